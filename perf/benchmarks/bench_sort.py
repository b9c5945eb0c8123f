"""Sorting and the largest elements."""

from . import common


class Sort(common.Rows):
    """Sorting and the largest elements."""

    params = [common.rows("sort"), common.THREADS]
