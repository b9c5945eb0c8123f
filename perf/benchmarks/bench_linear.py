"""Linear and bilinear layers."""

from . import common


class Linear(common.Rows):
    """Linear and bilinear layers."""

    params = [common.rows("linear"), common.THREADS]
