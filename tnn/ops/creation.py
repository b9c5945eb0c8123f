"""Making tensors: from data, filled with a value, and like another one. Counted ones are in ``ranges.py``."""

import itertools
import operator
from array import array

import numpy as np

from .. import dtypes
from ..dtypes import as_dtype, get_default_dtype
from ..formats import contiguous_format
from ..kernels._copy import fill
from ..kernels._pool import empty as _empty
from ..kernels._pool import zeros as _zeros
from ..tensor import Tensor, check_device, wrap
from ._common import as_number, check_tensor, in_memory_order, into, out_dtype
from .cast import convert

# ---------------------------------------------------------------- what the factories share


def shape_of(function, size, keyword=None):
    """The shape that a factory was given: integers, one sequence of them, or ``size=``.

    Raises:
        TypeError: a size is not an integer, or there is none.
        RuntimeError: a size is negative.
    """
    if keyword is not None:
        if size:
            raise TypeError(f"{function}() got multiple values for argument 'size'")
        size = keyword if isinstance(keyword, tuple | list) else (keyword,)
    elif len(size) == 1 and isinstance(size[0], tuple | list):
        size = size[0]
    elif not size:
        raise TypeError(f'{function}() missing 1 required positional arguments: "size"')
    if all([type(n) is int and n >= 0 for n in size]):
        return tuple(size)
    shape = []
    for i, n in enumerate(size):
        if type(n) is not int:
            if isinstance(n, bool | tuple | list) or not hasattr(n, "__index__"):
                found = f"found element of type {type(n).__name__} at pos {i}"
                raise TypeError(f"{function}(): argument 'size' must be tuple of ints, but {found}")
            n = operator.index(n)
        if n < 0:
            raise RuntimeError(f"{function}: Dimension size must be non-negative, but got {n} in size {list(size)}.")
        shape.append(n)
    return tuple(shape)


def dtype_for(function, dtype, out, device, default=None):
    """The dtype of a factory's result: the one that was asked for, that of ``out``, or the default."""
    if device is not None:
        check_device(device)
    if dtype is None:
        if out is not None:
            return out_dtype(function, None, out)
        return get_default_dtype() if default is None else default
    dtype = as_dtype(dtype)
    if out is not None and out_dtype(function, None, out) is not dtype:
        raise RuntimeError(f"dtype {dtype.torch_name} does not match dtype of out parameter ({out.dtype.torch_name})")
    return dtype


def finish(data, requires_grad=False, out=None, function=""):
    """A factory's result: ``data`` as a Tensor, as a leaf that requires gradients, or copied to ``out`` (then with the
    factory's name)."""
    t = wrap(data)
    if out is None and not requires_grad:
        return t
    if out is not None:
        t = into(out, t, function)
    if requires_grad:
        t.requires_grad = True
    return t


def like(data, np_dtype, memory_format=None, size=None):
    """An uninitialised array with the shape of ``data``, and its order of dimensions in memory unless told not to."""
    if size is not None or data.flags.c_contiguous or memory_format is contiguous_format:
        return _empty(data.shape if size is None else size, np_dtype)
    data, turned = in_memory_order(data)
    out = _empty(data.shape, np_dtype)
    return out if turned is None else out.transpose(turned)


def check_number(value, dtype, function="full"):
    """A Python number that can be stored in ``dtype``.

    Raises:
        TypeError: it is no number.
        RuntimeError: the type is too small for it.
    """
    if type(value) in (float, int) and dtype.np in dtypes.COMPUTE and -1e38 < value < 1e38:
        return value
    if isinstance(value, Tensor | np.ndarray | np.generic):
        value = value.item()
    if not isinstance(value, bool | int | float):
        raise TypeError(f"{function}(): expected a number, but got {type(value).__name__}")
    if function == "tensor" and dtype.kind == 2:  # elements of a list may become infinite
        return value
    return as_number(value, dtype, half_too=function == "pad")


def filled(shape, value, dtype):
    """An array of one value."""
    if value == 0 and dtype is not dtypes.bool:
        return _zeros(shape, dtype.np)
    data = _empty(shape, dtype.np)
    _set_all(data, value)
    return data


def _set_all(data, value):
    """Sets all elements to a number, infinite where it is too large; saying so to NumPy takes 1 us."""
    if data.dtype in dtypes.COMPUTE and -1e38 < value < 1e38:
        fill(data, value)
    else:
        with np.errstate(over="ignore"):
            fill(data, value)


# ---------------------------------------------------------------- from data


_PLAIN = frozenset((bool, int, float))


def _is_sequence(x):
    return isinstance(x, list | tuple) or (
        hasattr(x, "__len__")
        and hasattr(x, "__getitem__")
        and not isinstance(x, dict | str | bytes | Tensor | np.generic)
        and (not isinstance(x, np.ndarray) or x.ndim > 0)
    )


def _leaves(data):
    """The shape of nested sequences and their elements in order."""
    shape, level = [], [data]
    while _is_sequence(level[0]):
        n = len(level[0])
        for x in level:
            if not _is_sequence(x):
                raise TypeError(f"expected a sequence of length {n} at dim {len(shape)}, but got {type(x).__name__}")
            if len(x) != n:
                raise ValueError(f"expected sequence of length {n} at dim {len(shape)} (got {len(x)})")
        shape.append(n)
        level = list(itertools.chain.from_iterable(level))
        if not level:
            break
    if not _PLAIN.issuperset(map(type, level)):
        for x in level:
            if _is_sequence(x):
                raise TypeError(f"'{type(x).__name__}' object stands where a number is expected, at dim {len(shape)}")
    return tuple(shape), level


def _scalar(x):
    """A leaf of nested sequences as a Python number, and its dtype."""
    if isinstance(x, Tensor):
        if x._data.size != 1:
            error = ValueError if x.dtype.is_floating_point else TypeError
            raise error("only one element tensors can be converted to Python scalars")
        return x.item(), x.dtype
    if isinstance(x, np.generic | np.ndarray):
        return x.item(), dtypes.of(x.dtype)
    if isinstance(x, bool | int | float):
        return x, dtypes.of_scalar(x)
    if isinstance(x, complex):
        raise TypeError("tnn has no complex dtypes")
    if isinstance(x, str | bytes):
        raise TypeError(f"tensor(): invalid data type {type(x).__name__!r}")
    if hasattr(x, "__index__"):
        return operator.index(x), dtypes.int64
    if hasattr(x, "__float__"):
        return float(x), get_default_dtype()
    raise RuntimeError(f"Could not infer dtype of {type(x).__name__}")


def _array_of(data, dtype):
    """An array of its own from numbers and nested sequences; the dtype is inferred where it is None."""
    kinds = set(map(type, data)) if type(data) is list else ()
    if kinds and _PLAIN.issuperset(kinds):  # a list of numbers
        shape, leaves = (len(data),), data
    else:
        shape, leaves = _leaves(data)
        kinds = set(map(type, leaves))
    if len(kinds) == 1 and _PLAIN.issuperset(kinds):
        found = (dtypes.of_scalar(leaves[0]),)
    elif kinds <= _PLAIN:
        found = [dtypes.of_scalar(k()) for k in kinds]
    else:
        pairs = [_scalar(x) for x in leaves]
        leaves = [v for v, _ in pairs]
        found = {d for _, d in pairs}
    if dtype is None:
        for d in found:
            dtype = d if dtype is None else dtypes.promote_types(dtype, d)
        dtype = dtype or get_default_dtype()
    if dtype.kind == 1:
        if dtype is dtypes.int64 and kinds <= {bool, int}:
            try:
                return np.array(leaves, np.int64).reshape(shape)
            except OverflowError as e:
                raise ValueError("an integer is too large for int64") from e
        leaves = [check_number(x, dtype, "tensor") for x in leaves]
        return np.array(leaves, dtype.np).reshape(shape)
    if dtype in (dtypes.float64, dtypes.bool):
        return np.array(leaves, dtype.np).reshape(shape)
    if dtype is dtypes.float32:
        try:  # half the time of NumPy's float64 and a conversion, which warns of what becomes infinite
            return np.array(array("f", leaves)).reshape(shape)
        except OverflowError:  # too large an integer
            pass
    return convert(np.array(leaves, np.float64).reshape(shape), dtype.np)


def _external(data):
    """An ndarray for what speaks NumPy's protocols without being a tensor or a sequence of numbers, else None."""
    if isinstance(data, np.ndarray):
        return data
    if not isinstance(data, list | tuple | np.generic) and (
        hasattr(data, "__array__") or hasattr(data, "__array_interface__")
    ):
        return np.asarray(data)
    return None


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new tensor with a copy of ``data``.

    Args:
        data: a number, nested sequences of numbers, an ndarray or a tensor.
        dtype: the element type, by default that of the data: Python floats give the default dtype, integers int64.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        pin_memory: ignored.

    Shape:
        that of the data.

    Raises:
        ValueError: sequences of one level differ in length.
        TypeError, RuntimeError: something is no number, or an integer does not fit.

    >>> import tnn
    >>> tnn.tensor([[1, 2], [3, 4]]), tnn.tensor(2.5).dtype
    (tensor([[1, 2],
            [3, 4]]), tnn.float32)
    """
    if device is not None:
        check_device(device)
    if dtype is not None:
        dtype = as_dtype(dtype)
    if type(data) is float and dtype is None:
        return finish(np.array(data, get_default_dtype().np), requires_grad)
    if isinstance(data, Tensor):
        source = data._data
    else:
        source = _external(data)
    if source is None:
        return finish(_array_of(data, dtype), requires_grad)
    if dtype is None:
        dtype = dtypes.of(source.dtype)
    return finish(convert(source, dtype.np), requires_grad)


def _shared(array):
    """An ndarray that a tensor can hold: of a known dtype, aligned, in native byte order and writable."""
    if any(s < 0 for s in array.strides) and array.size:
        raise ValueError(
            "at least one stride in the given numpy array is negative, and tensors with negative strides are not "
            "supported: copy the array first"
        )
    if not array.dtype.isnative:
        raise ValueError("given numpy array has byte order different from the native byte order")
    d = dtypes.of(array.dtype)
    # A read-only or misaligned array cannot be shared with kernels that write to it.
    if not (array.flags.writeable and array.flags.aligned) or any(s % d.itemsize for s in array.strides):
        array = np.array(array, order="K")
    # An unpickled array's dtype equals NumPy's and is another object, while operations compare by identity.
    return array if array.dtype is d.np else array.view(d.np)


def as_tensor(data, dtype=None, device=None):
    """The data as a tensor, without a copy where the dtype fits: a tensor itself, the memory of an ndarray.

    Args:
        data: a number, nested sequences of numbers, an ndarray or a tensor.
        dtype: the element type, by default that of the data.
        device: the CPU.

    Shape:
        that of the data.

    Raises:
        ValueError: sequences of one level differ in length, or an array has negative strides or foreign byte order.
        TypeError, RuntimeError: something is no number, or an integer does not fit.
    """
    if device is not None:
        check_device(device)
    if dtype is not None:
        dtype = as_dtype(dtype)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    array = _external(data)
    if array is None:
        return wrap(_array_of(data, dtype))
    if dtype is not None and array.dtype != dtype.np:
        return wrap(convert(array, dtype.np))
    return wrap(_shared(array))


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """As :func:`as_tensor`; ``copy=True`` always copies, ``copy=False`` raises where a copy is needed.

    Args:
        obj: a number, nested sequences of numbers, an ndarray, a tensor, or what has ``__dlpack__``.
        dtype: the element type, by default that of the data.
        device: the CPU.
        copy: whether to copy; None: only where it is needed.
        requires_grad: whether gradients are computed for it.

    Shape:
        that of the data.

    Raises:
        ValueError: ``copy=False``, and the data cannot be shared; or sequences of one level differ in length.
        TypeError, RuntimeError: something is no number, or an integer does not fit.
    """
    shares = isinstance(obj, Tensor) or _external(obj) is not None or hasattr(obj, "__dlpack__")
    if copy is False:
        source = obj._data if isinstance(obj, Tensor) else _external(obj)
        if not shares or (dtype is not None and source is not None and source.dtype != as_dtype(dtype).np):
            raise ValueError("can't alias the data: copy=False was given, but a copy is needed")
    if not shares:
        out = tensor(obj, dtype=dtype, device=device)
    elif copy:
        out = tensor(obj.detach() if isinstance(obj, Tensor) else obj, dtype=dtype, device=device)
    else:
        out = as_tensor(obj, dtype, device)
        if isinstance(obj, Tensor) and not requires_grad and out is obj and obj._rg:
            out = obj.detach()
    if requires_grad:
        out.requires_grad = True
    return out


def from_numpy(ndarray):
    """A tensor that shares the memory of an ndarray (a copy of it where the array is read-only).

    Args:
        ndarray: an array of a dtype that tnn has.

    Shape:
        that of the array, in its dtype.

    Raises:
        TypeError: it is no ndarray, or of a dtype that tnn has not.
        ValueError: negative strides or foreign byte order.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return wrap(_shared(ndarray))


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor that shares the memory of an object with ``__dlpack__``.

    Args:
        ext_tensor: a tensor, or an object with ``__dlpack__`` on the CPU.
        device: the CPU.
        copy: whether to copy.

    Shape:
        that of the object, in its dtype.

    Raises:
        TypeError: the object has no ``__dlpack__``, or is of a dtype that tnn has not.
        RuntimeError: another device than the CPU.
    """
    if device is not None:
        check_device(device)
    if isinstance(ext_tensor, Tensor):
        return ext_tensor.detach() if not copy else ext_tensor.detach().clone()
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"from_dlpack(): expected an object with __dlpack__, but got {type(ext_tensor).__name__}")
    array = np.from_dlpack(ext_tensor)
    return wrap(array.copy() if copy else _shared(array))


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A 1-d tensor over an object with the buffer protocol (a copy where the buffer is read-only).

    Args:
        buffer: an object with the buffer protocol.
        dtype: the element type.
        count: number of elements; -1: all.
        offset: bytes to skip.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (count,).

    Raises:
        ValueError: the buffer is too short or its size does not fit.
    """
    return finish(_shared(np.frombuffer(buffer, as_dtype(dtype).np, count, offset)), requires_grad)


def scalar_tensor(s, *, dtype=None, device=None, layout=None, pin_memory=False, requires_grad=False):
    """A 0-d tensor of the default dtype unless told otherwise.

    Args:
        s: the number.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        device: the CPU.
        layout, pin_memory: ignored.
        requires_grad: whether gradients are computed for it.

    Shape:
        output ().

    Raises:
        TypeError: ``s`` is no number.
        RuntimeError: it does not fit an integer dtype.
    """
    d = dtype_for("scalar_tensor", dtype, None, device)
    return finish(filled((), check_number(s, d, "scalar_tensor"), d), requires_grad)


# ---------------------------------------------------------------- filled


def empty(*size, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, **kw):
    """An uninitialised tensor.

    Args:
        size: the shape: integers, or one sequence of them.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output ``size``.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: a size is negative, another device than the CPU, or ``out`` is of another dtype.
    """
    d = dtype_for("empty", dtype, out, device)
    kw.pop("memory_format", None)
    return finish(_empty(shape_of("empty", size, size_keyword(kw, "empty")), d.np), requires_grad, out, "empty")


def zeros(*size, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, **kw):
    """A tensor of zeros.

    Args:
        size: the shape: integers, or one sequence of them.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output ``size``.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: a size is negative, another device than the CPU, or ``out`` is of another dtype.
    """
    d = dtype_for("zeros", dtype, out, device)
    return finish(_zeros(shape_of("zeros", size, size_keyword(kw, "zeros")), d.np), requires_grad, out, "zeros")


def ones(*size, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, **kw):
    """A tensor of ones.

    Args:
        size: the shape: integers, or one sequence of them.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output ``size``.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: a size is negative, another device than the CPU, or ``out`` is of another dtype.
    """
    d = dtype_for("ones", dtype, out, device)
    return finish(filled(shape_of("ones", size, size_keyword(kw, "ones")), 1, d), requires_grad, out, "ones")


def size_keyword(keywords, function):
    """The keyword ``size``, which cannot be a parameter beside ``*size``; TypeError for any other keyword."""
    size = keywords.pop("size", None)
    if keywords:
        raise TypeError(f"{function}() got an unexpected keyword argument {next(iter(keywords))!r}")
    return size


def full(size, fill_value, *, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A tensor of one value.

    Args:
        size: the shape, a sequence of integers.
        fill_value: the value, a number or a tensor of one element.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default that of the value.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output ``size``.

    Raises:
        TypeError: ``size`` is no sequence of integers, ``fill_value`` no number.
        RuntimeError: a size is negative, the value does not fit an integer dtype, or another device than the CPU.
    """
    if not isinstance(size, tuple | list):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    if isinstance(fill_value, Tensor):
        default = fill_value.dtype
        fill_value = fill_value.item()
    else:
        default = dtypes.of_scalar(fill_value)
    d = dtype_for("full", dtype, out, device, default)
    return finish(filled(shape_of("full", (tuple(size),)), check_number(fill_value, d), d), requires_grad, out, "full")


def empty_strided(size, stride, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """An uninitialised tensor with the given strides, counted in elements.

    Args:
        size, stride: sequences of integers of one length.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output ``size``.

    Raises:
        TypeError: a number is not an integer.
        RuntimeError: the lengths of size and stride differ, or a number is negative.
    """
    d = dtype_for("empty_strided", dtype, None, device)
    shape, steps = shape_of("empty_strided", (tuple(size),)), shape_of("empty_strided", (tuple(stride),))
    if len(shape) != len(steps):
        raise RuntimeError(f"mismatch in length of strides and shape: got size {list(shape)} and stride {list(steps)}")
    extent = 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) if all(shape) else 0
    memory = _empty((max(extent, 0),), d.np)
    data = np.lib.stride_tricks.as_strided(memory, shape, [s * d.itemsize for s in steps])
    return finish(data, requires_grad)


def _like(function, input, value, dtype, device, requires_grad, memory_format, fill_dtype=None):
    check_tensor(function, "input", input, 1)
    d = dtype_for(function, dtype, None, device, input.dtype)
    data = like(input._data, d.np, memory_format)
    if value is not None:
        _set_all(data, check_number(value, d, function))
    return finish(data, requires_grad)


def empty_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
):
    """An uninitialised tensor with the shape, dtype and order in memory of ``input``.

    Args:
        input: the tensor to follow.
        dtype: the element type, by default that of ``input``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        memory_format: ``tnn.contiguous_format``: row-major order; else the order of ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: another device than the CPU.
    """
    return _like("empty_like", input, None, dtype, device, requires_grad, memory_format)


def zeros_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
):
    """Zeros with the shape, dtype and order in memory of ``input``.

    Args:
        input: the tensor to follow.
        dtype: the element type, by default that of ``input``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        memory_format: ``tnn.contiguous_format``: row-major order; else the order of ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: another device than the CPU.
    """
    return _like("zeros_like", input, 0, dtype, device, requires_grad, memory_format)


def ones_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
):
    """Ones with the shape, dtype and order in memory of ``input``.

    Args:
        input: the tensor to follow.
        dtype: the element type, by default that of ``input``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        memory_format: ``tnn.contiguous_format``: row-major order; else the order of ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: another device than the CPU.
    """
    return _like("ones_like", input, 1, dtype, device, requires_grad, memory_format)


def full_like(
    input,
    fill_value,
    *,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    memory_format=None,
    pin_memory=False,
):
    """One value with the shape, dtype and order in memory of ``input``.

    Args:
        input: the tensor to follow.
        fill_value: the value, a number.
        dtype: the element type, by default that of ``input``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        memory_format: ``tnn.contiguous_format``: row-major order; else the order of ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor, ``fill_value`` no number.
        RuntimeError: the value does not fit an integer dtype, or another device than the CPU.
    """
    return _like("full_like", input, fill_value, dtype, device, requires_grad, memory_format)


# ---------------------------------------------------------------- methods: new_...


def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """A new tensor with a copy of ``data``, by default of this tensor's dtype.

    Args:
        data: a number, nested sequences of numbers, an ndarray or a tensor.
        dtype: the element type.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        layout, pin_memory: ignored.

    Shape:
        that of the data.

    Raises:
        ValueError: sequences of one level differ in length.
        TypeError, RuntimeError: something is no number, or an integer does not fit.
    """
    if dtype is None and not isinstance(data, Tensor | np.ndarray):
        dtype = self.dtype
    return tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)


def new_empty(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **kw):
    """An uninitialised tensor, by default of this tensor's dtype.

    Args:
        size: the shape: integers, or one sequence of them.
        dtype: the element type.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        layout, pin_memory: ignored.

    Shape:
        output ``size``.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: a size is negative, or another device than the CPU.
    """
    return empty(*size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **kw)


def new_empty_strided(self, size, stride, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """An uninitialised tensor with the given strides, by default of this tensor's dtype.

    Args:
        size, stride: sequences of integers of one length.
        dtype: the element type.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        layout, pin_memory: ignored.

    Shape:
        output ``size``.

    Raises:
        TypeError: a number is not an integer.
        RuntimeError: the lengths of size and stride differ, or a number is negative.
    """
    return empty_strided(size, stride, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


def new_zeros(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **kw):
    """Zeros, by default of this tensor's dtype.

    Args:
        size: the shape: integers, or one sequence of them.
        dtype: the element type.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        layout, pin_memory: ignored.

    Shape:
        output ``size``.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: a size is negative, or another device than the CPU.
    """
    return zeros(*size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **kw)


def new_ones(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **kw):
    """Ones, by default of this tensor's dtype.

    Args:
        size: the shape: integers, or one sequence of them.
        dtype: the element type.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        layout, pin_memory: ignored.

    Shape:
        output ``size``.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: a size is negative, or another device than the CPU.
    """
    return ones(*size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **kw)


def new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """One value, by default of this tensor's dtype.

    Args:
        size: the shape, a sequence of integers.
        fill_value: the value, a number.
        dtype: the element type.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        layout, pin_memory: ignored.

    Shape:
        output ``size``.

    Raises:
        TypeError: ``size`` is no sequence of integers, ``fill_value`` no number.
        RuntimeError: a size is negative, or the value does not fit an integer dtype.
    """
    return full(size, fill_value, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


def new(self, *args, device=None):
    """The old constructor, with this tensor's dtype: sizes give an uninitialised tensor, a sequence its elements.

    Args:
        args: sizes, one sequence of numbers, or a tensor, whose memory is shared.
        device: the CPU.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: another device than the CPU.
    """
    if device is not None:
        check_device(device)
    if not args:
        return wrap(_empty((0,), self._data.dtype))
    if len(args) == 1 and isinstance(args[0], Tensor):
        return args[0].detach()
    if len(args) == 1 and not isinstance(args[0], int) and type(args[0]).__name__ != "Size":
        return tensor(args[0], dtype=self.dtype)
    return empty(*args, dtype=self.dtype)
