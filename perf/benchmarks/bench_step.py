"""Whole training steps."""

from . import common


class Step(common.Rows):
    """Whole training steps."""

    params = [common.rows("step"), common.THREADS]
