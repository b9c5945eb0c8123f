"""Sums, means, variances, extremes, cumulative sums."""

from . import common


class Reduction(common.Rows):
    """Sums, means, variances, extremes, cumulative sums."""

    params = [common.rows("reduction"), common.THREADS]
