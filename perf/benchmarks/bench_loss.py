"""Losses."""

from . import common


class Loss(common.Rows):
    """Losses."""

    params = [common.rows("loss"), common.THREADS]
