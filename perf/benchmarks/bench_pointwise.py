"""Activations and arithmetic, element by element."""

from . import common


class Pointwise(common.Rows):
    """Activations and arithmetic, element by element."""

    params = [common.rows("pointwise"), common.THREADS]
