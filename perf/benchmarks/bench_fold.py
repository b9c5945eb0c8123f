"""Unfolding images to columns and folding them back."""

from . import common


class Fold(common.Rows):
    """Unfolding images to columns and folding them back."""

    params = [common.rows("fold"), common.THREADS]
