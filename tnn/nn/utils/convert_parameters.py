"""Parameters as one vector, and back."""

from ...ops.joining import cat
from ...ops.sequences import flattened
from ...tensor import Tensor, wrap
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
    parameters = list(parameters)
    if parameters and all(isinstance(p, Tensor) and p.dtype is parameters[0].dtype for p in parameters):
        return flattened(parameters)
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
    start, data = 0, vec._data
    for p in parameters:
        shape, n = p._data.shape, p._data.size
        part = data[start : start + n]
        if part.size != n:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {part.size}")
        p.data = wrap(part.reshape(shape))
        start += n
