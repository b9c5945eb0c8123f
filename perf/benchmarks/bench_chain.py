"""Chains of elementwise operations, one after the other: what ``tnn.compile`` fuses."""

from . import common


class Chain(common.Rows):
    """Chains of elementwise operations."""

    params = [common.rows("chain"), common.THREADS]
