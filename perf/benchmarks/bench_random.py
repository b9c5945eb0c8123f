"""Random numbers."""

from . import common


class Random(common.Rows):
    """Random numbers."""

    params = [common.rows("random"), common.THREADS]
