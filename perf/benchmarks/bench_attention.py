"""Attention and encoder layers."""

from . import common


class Attention(common.Rows):
    """Attention and encoder layers."""

    params = [common.rows("attention"), common.THREADS]
