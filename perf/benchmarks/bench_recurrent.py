"""Recurrent layers."""

from . import common


class Recurrent(common.Rows):
    """Recurrent layers."""

    params = [common.rows("recurrent"), common.THREADS]
