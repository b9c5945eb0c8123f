"""Data types, their limits, and the rules by which operands of different types meet."""

import builtins

import ml_dtypes
import numpy as np


class dtype:
    """A tensor's element type, one object for each type, as ``tnn.float32``.

    Args:
        name: as in ``tnn.float32``.
        np_dtype: NumPy's dtype.
        torch_name: as in ``FloatTensor``.
    """

    __module__ = "tnn"  # as it prints

    __slots__ = ("name", "np", "itemsize", "is_floating_point", "is_signed", "kind", "torch_name")

    is_complex = False

    def __init__(self, name, np_dtype, torch_name):
        self.name = name
        self.np = np.dtype(np_dtype)
        self.torch_name = torch_name
        self.itemsize = self.np.itemsize
        self.is_floating_point = name.startswith(("float", "bfloat"))
        self.is_signed = self.is_floating_point or name.startswith("int")
        self.kind = 2 if self.is_floating_point else 0 if name == "bool" else 1

    def __repr__(self):
        return f"tnn.{self.name}"

    def __reduce__(self):
        return _by_name, (self.name,)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def to_complex(self):
        """tnn has no complex types."""
        raise TypeError("complex dtypes are not supported")


uint8 = dtype("uint8", np.uint8, "Byte")
int8 = dtype("int8", np.int8, "Char")
int16 = dtype("int16", np.int16, "Short")
int32 = dtype("int32", np.int32, "Int")
int64 = dtype("int64", np.int64, "Long")
uint16 = dtype("uint16", np.uint16, "UInt16")
uint32 = dtype("uint32", np.uint32, "UInt32")
uint64 = dtype("uint64", np.uint64, "UInt64")
float16 = dtype("float16", np.float16, "Half")
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, "BFloat16")
float32 = dtype("float32", np.float32, "Float")
float64 = dtype("float64", np.float64, "Double")
float8_e4m3fn = dtype("float8_e4m3fn", ml_dtypes.float8_e4m3fn, "Float8_e4m3fn")
float8_e5m2 = dtype("float8_e5m2", ml_dtypes.float8_e5m2, "Float8_e5m2")
bool = dtype("bool", np.bool_, "Bool")  # noqa: A001

ALL = (
    bool, uint8, int8, int16, int32, int64, uint16, uint32, uint64, float16, bfloat16, float32, float64,
    float8_e4m3fn, float8_e5m2,
)  # fmt: skip
FROM_NUMPY = {d.np: d for d in ALL}
HALF = frozenset((float16.np, bfloat16.np))
COMPUTE = frozenset((float32.np, float64.np))
FLOAT8 = frozenset((float8_e4m3fn.np, float8_e5m2.np))  # storage for scaled_mm; nothing is computed in them

_NAMES = {d.name: d for d in ALL}


def refuse_float8(function, np_dtype):
    """Raises NotImplementedError for a float8 dtype, which nothing but scaled_mm computes with."""
    if np_dtype in FLOAT8:
        raise NotImplementedError(f"\"{function}\" not implemented for '{FROM_NUMPY[np_dtype].torch_name}'")


_PYTHON = {builtins.bool: bool, int: int64, float: float64}
_INT_RANK = {int8: 0, int16: 1, int32: 2, int64: 3}
_default = [float32]


def _by_name(name):
    return _NAMES[name]


def of(np_dtype):
    """The dtype of a NumPy dtype.

    Raises:
        TypeError: tnn has no such type (complex, strings, objects ...).
    """
    try:
        return FROM_NUMPY[np_dtype]
    except KeyError:
        np_dtype = np.dtype(np_dtype)
        if np_dtype.newbyteorder("=") in FROM_NUMPY:
            return FROM_NUMPY[np_dtype.newbyteorder("=")]
        names = ", ".join(d.name for d in ALL)
        raise TypeError(f"can't convert a NumPy array of dtype {np_dtype}. The supported types are: {names}.") from None


def as_dtype(value):
    """A dtype from a dtype, one of Python's ``float``, ``int``, ``bool``, a NumPy dtype or a name."""
    if isinstance(value, dtype):
        return value
    if value in _PYTHON:
        return _PYTHON[value]
    if isinstance(value, str):
        name = value.rsplit(".", 1)[-1]
        if name in _NAMES:
            return _NAMES[name]
    else:
        try:
            return of(np.dtype(value))
        except TypeError:
            pass
    raise TypeError(f"dtype must be a tnn.dtype, got {value!r}")


def get_default_dtype():
    """The floating-point dtype that factories use when none is given."""
    return _default[0]


def set_default_dtype(d):
    """Sets the floating-point dtype that factories use when none is given.

    Args:
        d: the dtype.

    Raises:
        TypeError: ``d`` is not a floating-point dtype.
    """
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d!r}")
    _default[0] = d


def promote_types(type1, type2):
    """The smallest dtype that holds both, as PyTorch's table has it.

    Args:
        type1, type2: dtypes.

    Raises:
        RuntimeError: there is none, as for two float8 dtypes.

    >>> promote_types(int32, float16), promote_types(uint8, int8)
    (tnn.float16, tnn.int16)
    """
    a, b = type1, type2
    if a is b:
        return a
    if a.np in FLOAT8 or b.np in FLOAT8:
        raise RuntimeError(
            f"Promotion for Float8 Types is not supported, attempted to promote {a.torch_name} and {b.torch_name}"
        )
    if a.kind != b.kind:
        return a if a.kind > b.kind else b
    if a.kind == 2:
        if a.itemsize != b.itemsize:
            return a if a.itemsize > b.itemsize else b
        return float32
    if a in _INT_RANK and b in _INT_RANK:
        return a if _INT_RANK[a] > _INT_RANK[b] else b
    unsigned, other = (a, b) if not a.is_signed else (b, a)
    if not other.is_signed:
        return a if a.itemsize > b.itemsize else b
    if unsigned is uint8:
        return int16 if other is int8 else other
    raise RuntimeError(f"Promotion for {a.name} and {b.name} is not supported")


def can_cast(from_, to):
    """Whether a result of dtype ``from_`` may be stored in ``to``: never from floating point to integer or to bool.

    Args:
        from_, to: dtypes.
    """
    return from_.kind <= to.kind


def of_scalar(value):
    """The dtype that a Python number has in promotion."""
    if isinstance(value, (np.bool_, builtins.bool)):
        return bool
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, complex) and not isinstance(value, float):
        raise TypeError("complex numbers are not supported")
    return _default[0]


def result_of(dim, zero, scalar):
    """Combines the promoted dtypes of the tensors with dimensions, of those without, and of the Python numbers: a
    lower group counts only if it is of a higher kind (bool < integer < floating point)."""
    result = dim
    for other in (zero, scalar):
        if other is None:
            continue
        if result is None:
            result = other
        elif other.kind > result.kind:
            result = other if other is not scalar or other.kind < 2 else _default[0]
    return result


class finfo:
    """Limits of a floating-point dtype: ``bits, eps, max, min, tiny, smallest_normal, resolution``.

    Args:
        type: the dtype; None: the default one.

    Raises:
        TypeError: it is not a floating-point dtype.
    """

    def __init__(self, type=None):
        d = _default[0] if type is None else type
        if not isinstance(d, dtype) or not d.is_floating_point:
            raise TypeError(f"tnn.finfo() requires a floating point input type. Use tnn.iinfo to handle {d!r}")
        info = ml_dtypes.finfo(d.np)
        self.bits = info.bits
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = float(info.resolution)
        self.dtype = d.name

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: ``bits, max, min``.

    Args:
        type: the dtype.

    Raises:
        TypeError: it is not an integer dtype.
    """

    def __init__(self, type):
        if not isinstance(type, dtype) or type.kind != 1:
            raise TypeError(f"tnn.iinfo() requires an integer input type. Use tnn.finfo to handle {type!r}")
        info = np.iinfo(type.np)
        self.bits, self.min, self.max = info.bits, int(info.min), int(info.max)
        self.dtype = type.name

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
