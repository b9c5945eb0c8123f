"""``Variable``, the old name of a tensor that takes part in differentiation."""

__all__ = ["Variable"]


class _VariableMeta(type):
    def __instancecheck__(cls, obj):
        from ..tensor import Tensor

        return isinstance(obj, Tensor)


class Variable(metaclass=_VariableMeta):
    """``Variable(tensor)`` is a tensor that shares ``tensor``'s memory; every Tensor is an instance of it.

    Args:
        data: the tensor.
        requires_grad: whether the result requires gradients.
        volatile: an old argument; accepted.

    >>> import tnn
    >>> tnn.autograd.Variable(tnn.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data=None, requires_grad=None, volatile=None):
        from ..tensor import Tensor

        data = Tensor() if data is None else data
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        out = data.detach()
        return out.requires_grad_() if requires_grad else out
