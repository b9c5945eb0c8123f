"""Dropout of elements and channels."""

from . import common


class Dropout(common.Rows):
    """Dropout of elements and channels."""

    params = [common.rows("dropout"), common.THREADS]
