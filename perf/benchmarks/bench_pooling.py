"""Maximum and average pooling."""

from . import common


class Pooling(common.Rows):
    """Maximum and average pooling."""

    params = [common.rows("pooling"), common.THREADS]
