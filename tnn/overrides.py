"""What programs ask about ``__torch_function__``: tnn has no such protocol, so the answers are no."""

from .tensor import Tensor

__all__ = ["handle_torch_function", "has_torch_function", "is_tensor_like"]


def is_tensor_like(inp):
    """Whether it is a tensor."""
    return isinstance(inp, Tensor)


def has_torch_function(relevant_args):
    """False."""
    return False


def has_torch_function_unary(arg):
    """False."""
    return False


def has_torch_function_variadic(*args):
    """False."""
    return False


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Calls the function."""
    return public_api(*args, **kwargs)
