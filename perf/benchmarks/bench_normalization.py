"""Batch, layer, group, instance and root-mean-square normalization."""

from . import common


class Normalization(common.Rows):
    """Batch, layer, group, instance and root-mean-square normalization."""

    params = [common.rows("normalization"), common.THREADS]
