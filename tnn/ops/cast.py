"""Changing the dtype: ``to`` and its short forms."""

import builtins

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import cast as kernels
from ..kernels._elementwise import ELEMENTS, cast_to
from ..kernels._pool import empty
from ..tensor import Tensor, check_device, device, wrap
from ._common import F32, F64, check_tensor, in_memory_order

_BF16 = dtypes.bfloat16.np
F16 = dtypes.float16.np
# Below this many elements NumPy's way in is shorter than a kernel's.
_FEW = 64
# From this many on, arrays are made in the pool's memory.
_MANY = 16384
_E4M3 = dtypes.float8_e4m3fn.np


def convert(data, np_dtype):
    """An ndarray converted to another dtype (a copy, with the order of dimensions in memory that it has): to and from
    bfloat16 by kernels, float to integer by truncation."""
    data, turned = in_memory_order(data)
    out = _converted(data, np_dtype)
    return out if turned is None else out.transpose(turned)


def _converted(data, np_dtype):
    """The same in row-major order."""
    if data.dtype == _BF16 and np_dtype == F32:
        out = empty(data.shape, F32)
        kernels.bfloat16_to_float32(_bits(data, np.uint16), _bits(out, np.uint32))
        return out
    if data.dtype == F32 and np_dtype == _BF16:
        out = empty(data.shape, _BF16)
        kernels.float32_to_bfloat16(_bits(data, np.uint32), _bits(out, np.uint16))
        return out
    if data.dtype is F16 and np_dtype is F32 and data.size >= _FEW:
        out = empty(data.shape, F32)
        kernels.float16_to_float32(_bits(data, np.uint16), _bits(out, np.uint32))
        return out
    if data.dtype is F32 and np_dtype is F16 and data.size >= _FEW:
        out = empty(data.shape, F16)
        kernels.float32_to_float16(_bits(data, np.uint32), _bits(out, np.uint16))
        return out
    if data.dtype is F16 and np_dtype is F64 and data.size >= _FEW:
        return convert(convert(data, F32), np_dtype)
    if _BF16 in (data.dtype, np_dtype) and F32 not in (data.dtype, np_dtype):
        return convert(convert(data, F32), np_dtype)
    if data.dtype in dtypes.FLOAT8 and np_dtype != F32:
        return convert(convert(data, F32), np_dtype)
    if np_dtype in dtypes.FLOAT8:
        return _to_float8(data, np_dtype)
    to_unsigned = data.dtype.kind == "f" and np_dtype.kind == "u"
    if data.size >= _MANY and data.dtype in ELEMENTS and np_dtype in ELEMENTS and not to_unsigned:
        out = empty(data.shape, np_dtype)  # memory of the pool: the system's fresh pages cost as much as the rest
        if builtins.type(data) is np.ndarray and cast_to(np.ascontiguousarray(data), out):
            return out
    if data.dtype.kind == "f" and np_dtype.kind in "iu":
        with np.errstate(invalid="ignore"):
            return (
                data.astype(np.int64, order="C").astype(np_dtype)
                if np_dtype.kind == "u"
                else data.astype(np_dtype, order="C")
            )
    with np.errstate(over="ignore"):
        return data.astype(np_dtype, order="C")


def _to_float8(data, np_dtype):
    """float8_e4m3fn has no infinity: what is too large becomes its largest number."""
    data = convert(data, F32) if data.dtype != F32 else data
    with np.errstate(over="ignore", invalid="ignore"):
        return (np.clip(data, -448, 448) if np_dtype == _E4M3 else data).astype(np_dtype, order="C")


def _bits(data, np_dtype):
    return np.ascontiguousarray(data).reshape(-1).view(np_dtype)


class ToCopy(Node):
    __slots__ = ("dtype",)

    def backward(self, grad):
        return cast(grad, self.dtype)


def cast(input, dtype):
    """The tensor in another dtype: the tensor itself where it has it already."""
    d = input._data
    if d.dtype == dtype.np:
        return input
    out = wrap(convert(d, dtype.np))
    if input._rg and mode.grad and dtype.is_floating_point:
        node = ToCopy(input)
        node.dtype = input.dtype
        node.attach(out)
    return out


def to(self, *args, **kwargs):
    """The tensor with another dtype (or on another device, which can only be the CPU).

    ``to(dtype)``, ``to(device)``, ``to(device, dtype)``, ``to(other)``, each with ``non_blocking``, ``copy`` and
    ``memory_format`` accepted.

    Args:
        args, kwargs: see above.

    Raises:
        TypeError: an argument is none of these.
        RuntimeError: another device than the CPU.
    """
    copy = kwargs.pop("copy", False)
    dtype = kwargs.pop("dtype", None)
    check_device(kwargs.pop("device", None))
    for name in ("non_blocking", "memory_format"):
        kwargs.pop(name, None)
    if "other" in kwargs:
        args = (kwargs.pop("other"), *args)
    if kwargs:
        raise TypeError(f"to() received an unexpected keyword argument {next(iter(kwargs))!r}")
    for i, a in enumerate(args):
        if isinstance(a, dtypes.dtype):
            dtype = a
        elif isinstance(a, Tensor):
            dtype = a.dtype
        elif isinstance(a, str | device | builtins.int) and not isinstance(a, builtins.bool):
            check_device(a)
        elif isinstance(a, builtins.bool):
            copy = copy or (a and i > 0 and isinstance(args[i - 1], builtins.bool))
        elif a is not None:
            raise TypeError(f"to() received an invalid argument {a!r}; expected a dtype, a device or a tensor")
    out = self if dtype is None else cast(self, dtype)
    return out.clone() if copy and out is self else out


def type(self, dtype=None, non_blocking=False, **kwargs):
    """The name of the type (``'tnn.FloatTensor'``), or the tensor cast to ``dtype``.

    Args:
        dtype: the dtype, an old type (``tnn.LongTensor``) or its name; None: nothing is cast.
        non_blocking: not used.

    Raises:
        TypeError: ``dtype`` is neither a dtype nor a type nor a type's name.
    """
    if dtype is None:
        return f"tnn.{self.dtype.torch_name}Tensor"
    if isinstance(dtype, builtins.type) and isinstance(getattr(dtype, "dtype", None), dtypes.dtype):
        return cast(self, dtype.dtype)
    if isinstance(dtype, str):
        short = dtype.rsplit(".", 1)[-1].removesuffix("Tensor")
        for d in dtypes.ALL:
            if d.torch_name == short:
                return cast(self, d)
    return cast(self, dtypes.as_dtype(dtype))


def type_as(self, other):
    """The tensor cast to the dtype of ``other``.

    Args:
        other: the tensor whose dtype it takes.

    Raises:
        TypeError: ``other`` is not a tensor.
    """
    check_tensor("type_as", "other", other, 1)
    return cast(self, other.dtype)


def _short(name, target):
    def method(self, memory_format=None):
        return cast(self, target)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"""The tensor cast to {target.name}: itself where it has that dtype.

    Args:
        memory_format: not used.
    """
    return method


float = _short("float", dtypes.float32)
double = _short("double", dtypes.float64)
half = _short("half", dtypes.float16)
bfloat16 = _short("bfloat16", dtypes.bfloat16)
int = _short("int", dtypes.int32)
long = _short("long", dtypes.int64)
short = _short("short", dtypes.int16)
char = _short("char", dtypes.int8)
byte = _short("byte", dtypes.uint8)
bool = _short("bool", dtypes.bool)


def cpu(self, memory_format=None):
    """The tensor itself: it is on the CPU.

    Args:
        memory_format: not used.
    """
    return self


def _elsewhere(name, kind):
    def method(self, *args, **kwargs):
        raise RuntimeError(f"tnn runs on the CPU: there is no {kind} device")

    method.__name__ = method.__qualname__ = name
    method.__doc__ = """Raises: tnn runs on the CPU.

    Args:
        args, kwargs: not used.

    Raises:
        RuntimeError: always.
    """
    return method


cuda = _elsewhere("cuda", "CUDA")
xpu = _elsewhere("xpu", "XPU")
ipu = _elsewhere("ipu", "IPU")
mtia = _elsewhere("mtia", "MTIA")
