"""Differentiable operations on Tensors: argument checks, shapes, allocation, and one Node for each kernel pair."""
