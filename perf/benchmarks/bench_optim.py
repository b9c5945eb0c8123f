"""Steps of optimizers alone."""

from . import common


class Optim(common.Rows):
    """Steps of optimizers alone."""

    params = [common.rows("optim"), common.THREADS]
