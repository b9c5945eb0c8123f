"""Parameters as one vector, and back."""

from ...ops.joining import cat
from ...tensor import Tensor
from ..modules.module import typename

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters):
    """All parameters flattened and joined to one vector.

    Args:
        parameters: an iterable of Tensors.

    Returns:
        A 1-D Tensor; the operation is recorded.

    Raises:
        RuntimeError: ``parameters`` is empty.
    """
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Makes the slices of a vector the data of parameters, in order: they share its memory.

    Args:
        vec: a 1-D Tensor with at least as many elements as the parameters have together.
        parameters: an iterable of Tensors.

    Raises:
        TypeError: ``vec`` is not a Tensor.
        RuntimeError: it has too few elements.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected tnn.Tensor, but got: {typename(vec)}")
    start = 0
    for p in parameters:
        n = p.numel()
        p.data = vec[start : start + n].view_as(p).data
        start += n
