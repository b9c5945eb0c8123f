"""Selection by indices and masks."""

from . import common


class Indexing(common.Rows):
    """Selection by indices and masks."""

    params = [common.rows("indexing"), common.THREADS]
