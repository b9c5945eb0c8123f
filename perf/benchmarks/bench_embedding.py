"""Embeddings and bags of them."""

from . import common


class Embedding(common.Rows):
    """Embeddings and bags of them."""

    params = [common.rows("embedding"), common.THREADS]
