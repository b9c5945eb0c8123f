"""Flatten and Unflatten: a range of dimensions becomes one, and back."""

from .module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Makes one dimension of a range of dimensions.

    Args:
        start_dim: the first dimension of the range.
        end_dim: the last one.

    Shape:
        ``(*, S_start, ..., S_end, *)`` to ``(*, S_start * ... * S_end, *)``.

    Raises:
        TypeError: the input is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``start_dim`` comes after ``end_dim``.

    Example::

        >>> import tnn
        >>> tnn.nn.Flatten()(tnn.zeros(32, 1, 5, 5)).shape
        tnn.Size([32, 25])
    """

    __constants__ = ["start_dim", "end_dim"]

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input):
        """``input`` with the dimensions of the range made one."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        """The two dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Makes several dimensions of one.

    Args:
        dim: the dimension that is split.
        unflattened_size: its new sizes, a tuple or list of ints of which one may be -1.

    Shape:
        ``(*, S_dim, *)`` to ``(*, U_1, ..., U_n, *)`` with the product of the U equal to ``S_dim``.

    Raises:
        TypeError: ``unflattened_size`` is no tuple or list of ints.

    Example::

        >>> import tnn
        >>> tnn.nn.Unflatten(1, (2, 5, 5))(tnn.zeros(2, 50)).shape
        tnn.Size([2, 2, 5, 5])
    """

    __constants__ = ["dim", "unflattened_size"]

    def __init__(self, dim, unflattened_size):
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                f"unflattened_size must be a tuple of ints, but found type {type(unflattened_size).__name__}"
            )
        for i, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type {type(size).__name__} at pos "
                    f"{i}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input):
        """``input`` with dimension ``dim`` split."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self):
        """The dimension and its new sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
