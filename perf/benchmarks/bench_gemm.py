"""Matrix products: square, tall, thin, batched, transposed."""

from . import common


class Gemm(common.Rows):
    """Matrix products: square, tall, thin, batched, transposed."""

    params = [common.rows("gemm"), common.THREADS]
