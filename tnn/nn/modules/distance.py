"""Distance and similarity layers."""

from ...ops import distance as ops
from .module import Module


class CosineSimilarity(Module):
    """``x1 . x2 / (max(||x1||, eps) max(||x2||, eps))`` along a dimension.

    Args:
        dim: the dimension that is summed over.
        eps: the least norm.

    Shape:
        inputs whose shapes broadcast, floating point; output: their shape without ``dim``.

    Raises:
        TypeError: an input is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the shapes do not broadcast.
    """

    __constants__ = ["dim", "eps"]

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1, x2):
        return ops.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Args:
        p: the norm's degree.
        eps: keeps the gradient finite where the vectors are equal.
        keepdim: keep the last dimension, with size 1.

    Shape:
        inputs: (N, D) or (D,), floating point; output: (N,) or (), or with a last size of 1.

    Raises:
        TypeError: an input is not a tensor.
        RuntimeError: the shapes do not broadcast.
    """

    __constants__ = ["norm", "eps", "keepdim"]

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1, x2):
        return ops.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
