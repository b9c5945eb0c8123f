"""Settings that programs make for the whole process, and constants: mostly for PyTorch's other devices."""

import functools
import math

from . import dtypes
from .tensor import Tensor, check_device, device

inf, nan, pi, e, newaxis = math.inf, math.nan, math.pi, math.e, None

_precision = ["highest"]
_deterministic = [False]


def set_float32_matmul_precision(precision):
    """Accepted; float32 products are always computed in float32.

    Args:
        precision: 'highest', 'high' or 'medium'.

    Raises:
        RuntimeError: not one of 'highest', 'high', 'medium'.
    """
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"Invalid precision: expected 'highest', 'high' or 'medium', got {precision!r}")
    _precision[0] = precision


def get_float32_matmul_precision():
    """What was last set; 'highest' is what tnn does."""
    return _precision[0]


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Accepted; every operation of tnn is deterministic, for any number of threads.

    Args:
        mode: kept.
        warn_only: kept.
    """
    _deterministic[0] = bool(mode)


def are_deterministic_algorithms_enabled():
    """What was last set; tnn's operations are deterministic in any case."""
    return _deterministic[0]


def set_num_interop_threads(n):
    """Accepted; tnn runs one operation at a time.

    Args:
        n: a positive number.

    Raises:
        RuntimeError: it is not positive.
    """
    if n <= 0:
        raise RuntimeError(f"Expected a positive number of threads, got {n}")


def get_num_interop_threads():
    """1: operations run one at a time."""
    return 1


def set_default_device(value):
    """Accepts the CPU.

    Args:
        value: the CPU, or None.

    Raises:
        RuntimeError: another device.
    """
    check_device(value)


def get_default_device():
    """The CPU."""
    return device("cpu")


def set_default_tensor_type(t):
    """Sets the default dtype by a legacy type or its name, as ``'torch.DoubleTensor'``.

    Args:
        t: the type or its name.

    Raises:
        TypeError: it is not a floating-point type.
    """
    name = t if isinstance(t, str) else t.__name__
    short = name.rsplit(".", 1)[-1].removesuffix("Tensor")
    for d in dtypes.ALL:
        if d.torch_name == short:
            return dtypes.set_default_dtype(d)
    raise TypeError(f"invalid type object: expected a floating point type, got {t!r}")


def typename(obj):
    """The name of an object's type; of a tensor, ``'tnn.FloatTensor'`` and the like.

    Args:
        obj: any object.
    """
    if isinstance(obj, Tensor):
        return obj.type()
    cls = obj if isinstance(obj, type) else type(obj)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def compile(
    model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, disable=False
):  # fmt: skip
    """A module or function whose calls are recorded and replayed: the kernels one after the other, as one piece of
    machine code on memory planned ahead, without the Python between them.

    For each kind of arguments (shapes, dtypes, grad mode) the first call runs as it is, the second is recorded while it
    runs, the third is compared bit for bit with a replay. From the fourth call on there are replays. They give the
    results that the function gives, leave ``grad`` of parameters, optimizers' states, running statistics and the
    generator as it does, and read learning rates anew. A whole training step may be compiled: forward, ``backward()``,
    the ``step`` of SGD, Adam or AdamW, and ``zero_grad``.

    What cannot be replayed runs as it always did, and ``reason`` of the result says why: data that goes into Python
    (``item()``, ``if x.sum() > 0``), arguments or results that require gradients, assignments to attributes or items in
    the function, calls of the standard library or NumPy. A replay takes place only while modules, parameters, options
    of optimizers, and the variables and attributes that the function reads, are what they were when it was recorded;
    otherwise the call is recorded again.

    What depends on nothing but parameters and buffers that the call does not write is done once, and again after one of
    them was written: products and convolutions get their weights packed beforehand (``source()`` shows how many bytes
    that takes, at most 256 MiB for each kind of arguments). Every write through tensors or arrays counts; one through
    the bare address that ``data_ptr()`` gives is not seen.

    Args:
        model: a module or function; without it, the result is a decorator.
        disable: return ``model`` as it is.
        fullgraph, dynamic, backend, mode, options: accepted as in PyTorch.

    Returns:
        For a function a :class:`~tnn.compiler.Compiled`, for a module a module with it as ``_orig_mod``. Both have
        ``reason``, None after a replay, and ``source()``, the recorded kernel calls as Python source.

    Raises:
        TypeError: ``model`` is not callable.

    >>> import tnn
    >>> layer = tnn.nn.Linear(2, 2).eval()
    >>> fast = tnn.compile(layer)
    >>> with tnn.no_grad():
    ...     for _ in range(4):
    ...         y = fast(tnn.ones(1, 2))
    >>> fast.reason is None, tnn.equal(y, layer(tnn.ones(1, 2)))
    (True, True)
    """
    if model is None:
        return functools.partial(compile, disable=disable)
    if not callable(model):
        raise TypeError(f"compile(): argument 'model' must be a module or a function, got {type(model).__name__}")
    if disable:
        return model
    from .compiler import Compiled, CompiledModule
    from .nn import Module

    return CompiledModule(model) if isinstance(model, Module) else Compiled(model)
