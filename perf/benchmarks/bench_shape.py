"""Copies, transposes, permutations, concatenation."""

from . import common


class Shape(common.Rows):
    """Copies, transposes, permutations, concatenation."""

    params = [common.rows("shape"), common.THREADS]
