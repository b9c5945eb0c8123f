"""The old tensor types, ``FloatTensor`` and its like: constructors with a fixed dtype."""

from collections.abc import Sequence

import numpy as np

from . import dtypes
from .kernels._pool import empty
from .tensor import Size, Tensor, wrap


class _Type(type):
    def __instancecheck__(cls, obj):
        return isinstance(obj, Tensor) and obj.dtype is cls.dtype


class _LegacyTensor(metaclass=_Type):
    """Sizes give an uninitialised tensor, a sequence or an array its elements."""

    dtype = dtypes.float32

    def __new__(cls, *args):
        if len(args) == 1 and isinstance(args[0], Tensor):
            return args[0].to(cls.dtype)
        if len(args) == 1 and isinstance(args[0], Sequence | np.ndarray) and not isinstance(args[0], Size):
            return wrap(np.array(args[0]).astype(cls.dtype.np))
        shape = tuple(args[0]) if len(args) == 1 and isinstance(args[0], Size) else args or (0,)
        return wrap(empty(shape, cls.dtype.np))


def _make(dtype):
    name = dtype.torch_name + "Tensor"
    doc = f"The old constructor of {dtype.name} tensors: of sizes, of a sequence, or of a tensor."
    return _Type(name, (_LegacyTensor,), {"dtype": dtype, "__doc__": doc, "__module__": "tnn"})


FloatTensor = _make(dtypes.float32)
DoubleTensor = _make(dtypes.float64)
HalfTensor = _make(dtypes.float16)
BFloat16Tensor = _make(dtypes.bfloat16)
ByteTensor = _make(dtypes.uint8)
CharTensor = _make(dtypes.int8)
ShortTensor = _make(dtypes.int16)
IntTensor = _make(dtypes.int32)
LongTensor = _make(dtypes.int64)
BoolTensor = _make(dtypes.bool)
