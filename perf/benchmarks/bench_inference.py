"""Whole models in evaluation mode."""

from . import common


class Inference(common.Rows):
    """Whole models in evaluation mode."""

    params = [common.rows("inference"), common.THREADS]
