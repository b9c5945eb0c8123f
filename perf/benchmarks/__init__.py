"""Benchmarks for asv: the rows of cases.py by family, and what only a process of its own can measure."""
