"""Tensors of a few elements: what an operation costs beyond its kernel."""

from . import common


class Small(common.Rows):
    """Tensors of a few elements: what an operation costs beyond its kernel."""

    params = [common.rows("small"), common.THREADS]
