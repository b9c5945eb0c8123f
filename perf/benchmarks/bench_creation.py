"""New tensors."""

from . import common


class Creation(common.Rows):
    """New tensors."""

    params = [common.rows("creation"), common.THREADS]
