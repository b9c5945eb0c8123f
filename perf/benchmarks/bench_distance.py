"""Pairwise distances and similarities."""

from . import common


class Distance(common.Rows):
    """Pairwise distances and similarities."""

    params = [common.rows("distance"), common.THREADS]
