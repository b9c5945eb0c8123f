"""Padding by reflection, replication and zeros."""

from . import common


class Padding(common.Rows):
    """Padding by reflection, replication and zeros."""

    params = [common.rows("padding"), common.THREADS]
