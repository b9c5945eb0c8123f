"""Operations of three operands: where, masked_fill, clamp, lerp, addcmul, addcdiv."""

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import pointwise_select as kernels
from ..kernels import pointwise_unary as unary_kernels
from ..kernels._mask import masked
from ..kernels.pointwise_integer import between_forward
from ..tensor import Tensor, wrap
from ._common import F32, F64, WITHIN, as_number, check_tensor, into, recording
from ._elementwise import (
    as_array,
    broadcast,
    finite_float,
    is_number,
    promoted,
    reduced,
    run3,
    run_float,
    straight,
    straight1,
    whole,
    whole3,
    working,
)
from ._old_order import in_new_order
from ._within import integers_between, integers_within, open_array, run_within
from .cast import convert


def _target(t):
    return (t._data.shape, t._data.dtype) if isinstance(t, Tensor) and t._rg else None


def _tensor(t):
    return t if isinstance(t, Tensor) else None


# ---------------------------------------------------------------------------------------------- where, masked_fill


class Where(Node):
    __slots__ = ("x", "y")

    def backward(self, grad):
        (condition,) = self.saved_tensors()
        gx = reduced(where(condition, grad, 0.0), self.x) if self.needs(0) else None
        gy = reduced(where(condition, 0.0, grad), self.y) if self.needs(1) else None
        return gx, gy


def where(condition, input=None, other=None, *, out=None):
    """input where condition holds, other elsewhere; with the condition alone, the indices of its nonzero elements.

    Args:
        condition: bool tensor (or uint8).
        input, other: tensors or numbers, or both None; all three shapes broadcast.
        out: tensor to write the result to, or None.

    Shape:
        that to which the three broadcast; the dtype is that to which ``input`` and ``other`` promote. With the
        condition alone: a tuple of int64 tensors, one for each dimension.

    Raises:
        TypeError: the condition is not a tensor, or ``input`` or ``other`` neither that nor a number.
        RuntimeError: the condition is not of bool type, or the shapes do not broadcast, or ``out`` cannot hold the
            result.
    """
    check_tensor("where", "condition", condition, 1)
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition._data.dtype.kind != "b":
        if condition.dtype is not dtypes.uint8:
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
            )
        condition = condition.to(dtypes.bool)
    for argument, value in (("input", input), ("other", other)):
        if not isinstance(value, Tensor) and not is_number(value):
            raise TypeError(f"where(): argument '{argument}' must be Tensor or Number, not {type(value).__name__}")
    if out is not None and isinstance(input, Tensor) and isinstance(other, Tensor) and input.dtype.kind == 2:
        if straight(kernels.where_forward, out, (condition, input, other)):
            return out
    kind = promoted(input, other).np
    x, y = as_array(input, kind), as_array(other, kind)
    if kind is F32 or kind is F64:
        data = run3(kernels.where_forward, condition._data, x, y)
    else:
        broadcast(condition._data.shape, x.shape, y.shape)
        data = np.asarray(np.where(condition._data, x, y))
    result = wrap(data)
    a, b = _tensor(input), _tensor(other)
    if recording(a, b):
        node = Where(a, b)
        node.x, node.y = _target(a), _target(b)
        node.attach(result)
        node.save(condition)
    return result if out is None else into(out, result, "where", condition, input, other)


def where_method(self, condition, other, *, out=None):
    """``self`` where the condition holds, ``other`` elsewhere: ``where(condition, self, other)``.

    Args:
        condition: bool tensor (or uint8).
        other: tensor or number; all three shapes broadcast.
        out: tensor to write the result to, or None.

    Shape:
        that to which the three broadcast; the dtype is that to which ``self`` and ``other`` promote.

    Raises:
        TypeError: the condition is not a tensor, or ``other`` neither that nor a number.
        RuntimeError: the condition is not of bool type, or the shapes do not broadcast, or ``out`` cannot hold the
            result.
    """
    return where(condition, self, other, out=out)


class MaskedFill(Node):
    __slots__ = ("x", "y", "label")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return self.label

    def backward(self, grad):
        (mask,) = self.saved_tensors()
        gx = reduced(where(mask, 0.0, grad), self.x) if self.needs(0) else None
        gy = reduced(where(mask, grad, 0.0), self.y) if self.needs(1) else None
        return gx, gy


def masked_fill(input, mask, value):
    """A copy of input with ``value`` where mask is True.

    Args:
        input: tensor of any dtype.
        mask: bool tensor; the shapes broadcast.
        value: a number or a tensor without dimensions; it is cast to input's dtype.

    Shape:
        that to which ``input`` and ``mask`` broadcast, in input's dtype.

    Raises:
        TypeError: ``input`` or ``mask`` is not a tensor, or the value neither that nor a number.
        RuntimeError: the mask is not of bool type, the value has dimensions or is too large for the dtype, or the
            shapes do not broadcast.
    """
    check_tensor("masked_fill", "input", input, 1)
    check_tensor("masked_fill", "mask", mask, 2)
    if mask._data.dtype.kind != "b":
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype}")
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._data.ndim} dimension(s)."
            )
    elif not is_number(value):
        raise TypeError(f"masked_fill(): argument 'value' must be Number or Tensor, not {type(value).__name__}")
    kind = input._data.dtype
    if not isinstance(value, Tensor):
        if not (mode.grad and input._rg):
            data = masked(input._data, mask._data, value)
            if data is not None:
                return wrap(data)
        value = as_number(value, input.dtype)
    fill = as_array(value, kind)
    if kind is F32 or kind is F64:
        data = run3(kernels.where_forward, mask._data, fill, input._data)
    else:
        broadcast(mask._data.shape, input._data.shape)
        data = np.asarray(np.where(mask._data, fill, input._data))
    result = wrap(data)
    v = _tensor(value)
    if recording(input, v):
        node = MaskedFill(input, v)
        node.label = f"MaskedFillBackward{int(isinstance(value, Tensor))}"
        node.x, node.y = _target(input), _target(v)
        node.attach(result)
        node.save(mask)
    return result


def _masked_fill_within(self, mask, value):
    """The short way of masked_fill."""
    d = open_array(self)
    if d is None or not isinstance(mask, Tensor) or isinstance(value, Tensor) or not is_number(value):
        return False
    if masked(d, mask._data, value, None) is not None:
        self._bump()
        return True
    if mask._data.dtype.kind != "b":
        return False
    value = as_number(value, self.dtype)
    if d.dtype is F32 or d.dtype is F64:
        done = run_within(kernels.where_forward, mask._data, np.asarray(value, d.dtype), d)
    else:
        done = _overwritten(d, mask._data, value)
    if done:
        self._bump()
    return done


def _overwritten(d, mask, value):
    """Writes a number where the mask, which broadcasts to the ndarray, holds; returns whether it could."""
    if type(d) is not np.ndarray or 0 in d.strides or broadcast(d.shape, mask.shape) != d.shape:
        return False
    np.copyto(d, np.asarray(value).astype(d.dtype), where=mask)
    return True


WITHIN[masked_fill] = _masked_fill_within

# ---------------------------------------------------------------------------------------------- clamp


class Clamp(Node):
    __slots__ = ("low", "high", "targets", "label")

    def name(self):
        return self.label

    def backward(self, grad):
        x, low, high = self.saved_tensors()
        low = self.low if low is None else low
        high = self.high if high is None else high
        outs = [None, None, None]
        if self.needs(0):
            # NaN is not inside
            inside = x <= high if low is None else x >= low if high is None else (x >= low) & (x <= high)
            outs[0] = where(inside, grad, 0.0)
        if self.needs(1):
            below = x < low
            outs[1] = where(below if high is None else below & (low < high), grad, 0.0)
        if self.needs(2):
            above = x > high
            outs[2] = where(above if low is None else above | (high < low), grad, 0.0)
        return tuple(None if g is None else reduced(g, t) for g, t in zip(outs, self.targets, strict=True))


def _between(x, low, high):
    """An ndarray of integers within limits, ndarrays of its dtype or None."""
    if low is None or high is None:
        limit, other = (np.maximum, low) if high is None else (np.minimum, high)
        found = whole(limit, x, other)
        return limit(x, other) if found is None else found
    found = whole3(between_forward, x, low, high)
    return np.minimum(np.maximum(x, low), high) if found is None else found


def clamp(input, min=None, max=None, *, out=None):
    """min(max(input, min), max), element by element: ``max`` where min > max; NaN stays NaN.

    Args:
        input: tensor of any shape and dtype.
        min, max: numbers or tensors (their shapes broadcast with input's), or None for no limit.
        out: tensor to write the result to, or None.

    Shape:
        that to which input and limits broadcast; their dtypes are promoted.

    Raises:
        RuntimeError: both limits are None, or the shapes do not broadcast, or ``out`` cannot hold the result.
        TypeError: a limit is neither a number nor a tensor.
    """
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    return _clamp("clamp", input, min, max, out, ("ClampBackward1", "ClampBackward0"))


def _clamp(name, input, min, max, out, labels):
    check_tensor(name, "input", input, 1)
    for argument, value in (("min", min), ("max", max)):
        if value is not None and not isinstance(value, Tensor) and not is_number(value):
            raise TypeError(f"{name}(): argument '{argument}' must be Number or Tensor, not {type(value).__name__}")
    tensors = isinstance(min, Tensor) or isinstance(max, Tensor)
    x = input._data
    if not tensors and (x.dtype is F32 or x.dtype is F64):
        dtype, work = input.dtype, x.dtype
    else:
        dtype = promoted(*(v for v in (input, min, max) if v is not None))
        work = working(dtype.np)
        x = as_array(input, work) if tensors or work.kind in "biu" else as_array(input, dtype.np)
    if work.kind in "biu":
        data = _between(x, None if min is None else as_array(min, work), None if max is None else as_array(max, work))
    elif not tensors:
        low = -np.inf if min is None else finite_float(min)
        high = np.inf if max is None else finite_float(max)
        if out is not None and dtype is input.dtype and straight1(unary_kernels.clamp_forward, out, input, low, high):
            return out
        data = run_float(unary_kernels.clamp_forward, x, low, high)
    else:
        low = as_array(-np.inf if min is None else min, work)
        data = run3(kernels.clamp_forward, x, low, as_array(np.inf if max is None else max, work))
    result = wrap(data if data.dtype == dtype.np else convert(data, dtype.np))
    a, b = _tensor(min), _tensor(max)
    if recording(input, a, b):
        node = Clamp(input, a, b)
        node.targets = _target(input), _target(a), _target(b)
        node.label = labels[tensors]
        node.low = None if a is not None else min
        node.high = None if b is not None else max
        node.attach(result)
        node.save(input, a, b)
    return result if out is None else into(out, result, name if tensors else f"{name}.number", input, min, max)


def _clamp_within(self, min=None, max=None):
    """The short way of clamp, between numbers."""
    d = open_array(self)
    for limit in (min, max):
        if limit is not None and (isinstance(limit, Tensor) or not is_number(limit)):
            return False
    if d is not None and d.dtype.kind in "iu":
        info = np.iinfo(d.dtype)
        given = [(f, v) for f, v in ((np.maximum, min), (np.minimum, max)) if v is not None]
        if not given or not all(type(v) is int and info.min <= v <= info.max for _, v in given):
            return False
        if len(given) == 2 and integers_between(d, min, max):
            self._bump()
            return True
        if not all(integers_within(function, d, limit) for function, limit in given):
            return False
        self._bump()
        return True
    if d is None or (min is None and max is None) or (d.dtype is not F32 and d.dtype is not F64):
        return False
    low, high = -np.inf if min is None else finite_float(min), np.inf if max is None else finite_float(max)
    if not run_within(unary_kernels.clamp_forward, d, d, d, low, high):
        return False
    self._bump()
    return True


WITHIN[clamp] = _clamp_within
clip = clamp


def clamp_min(input, min, *, out=None):
    """max(input, min), element by element; NaN stays NaN.

    Args:
        input: tensor of any shape and dtype.
        min: number, or tensor whose shape broadcasts with input's.
        out: tensor to write the result to, or None.

    Shape:
        that to which both broadcast; their dtypes are promoted.

    Raises:
        TypeError: ``input`` is not a tensor, or ``min`` neither that nor a number.
        RuntimeError: the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    return _clamp("clamp_min", input, min, None, out, ("ClampMinBackward0", "ClampMinBackward1"))


def clamp_max(input, max, *, out=None):
    """min(input, max), element by element; NaN stays NaN.

    Args:
        input: tensor of any shape and dtype.
        max: number, or tensor whose shape broadcasts with input's.
        out: tensor to write the result to, or None.

    Shape:
        that to which both broadcast; their dtypes are promoted.

    Raises:
        TypeError: ``input`` is not a tensor, or ``max`` neither that nor a number.
        RuntimeError: the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    return _clamp("clamp_max", input, None, max, out, ("ClampMaxBackward0", "ClampMaxBackward1"))


WITHIN[clamp_min] = lambda self, min: _clamp_within(self, min)
WITHIN[clamp_max] = lambda self, max: _clamp_within(self, None, max)

# ---------------------------------------------------------------------------------------------- lerp, addcmul, addcdiv


def _three_within(kernel, self, y, z, p):
    """Overwrites the first of three operands: returns whether it could. ``z`` may be a number."""
    d = open_array(self)
    if d is None or (d.dtype is not F32 and d.dtype is not F64) or not isinstance(y, Tensor):
        return False
    if mode.grad and (y._rg or (isinstance(z, Tensor) and z._rg)):
        return False
    if not isinstance(z, Tensor) and not is_number(z):
        return False
    if not run_within(kernel, d, y._data, z._data if isinstance(z, Tensor) else np.asarray(z, d.dtype), p):
        return False
    self._bump()
    return True


def _addc_within(kernel):
    def within(self, tensor1, tensor2, *old, value=1):
        if old or not isinstance(tensor2, Tensor) or not is_number(value):
            return False
        return _three_within(kernel, self, tensor1, tensor2, finite_float(value))

    return within


def _three(kernel, integer, tensors, dtype, p):
    work = working(dtype.np)
    arrays = [as_array(t, work) for t in tensors]
    if work.kind in "biu":
        broadcast(*(a.shape for a in arrays))
        return np.asarray(integer(*arrays)).astype(work)
    data = run3(kernel, *arrays, p)
    return data if data.dtype == dtype.np else convert(data, dtype.np)


class Lerp(Node):
    __slots__ = ("targets", "weight")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "LerpBackward1" if self.weight is None else "LerpBackward0"

    def backward(self, grad):
        x, y, w = self.saved_tensors()
        w = self.weight if w is None else w
        a, b, c = self.targets
        gx = reduced(grad * (1.0 - w), a) if self.needs(0) else None
        gy = reduced(grad * w, b) if self.needs(1) else None
        gw = reduced(grad * (y - x), c) if self.needs(2) else None
        return gx, gy, gw


def lerp(input, end, weight, *, out=None):
    """input + weight * (end - input).

    Args:
        input, end: tensors of one floating-point dtype.
        weight: number, or tensor of that dtype; all shapes broadcast.
        out: tensor to write the result to, or None.

    Shape:
        that to which all broadcast, in input's dtype.

    Raises:
        TypeError: ``input`` or ``end`` is not a tensor, or ``weight`` neither that nor a number.
        RuntimeError: the dtypes differ, or the shapes do not broadcast, or ``out`` cannot hold the result.
        NotImplementedError: the dtype is not a floating-point one.
    """
    for argument, t in (("input", input), ("end", end)):
        check_tensor("lerp", argument, t)
    if not isinstance(weight, Tensor) and not is_number(weight):
        raise TypeError(f"lerp(): argument 'weight' must be Tensor or Number, not {type(weight).__name__}")
    if input._data.dtype != end._data.dtype:
        raise RuntimeError(f"expected dtype {input.dtype.torch_name} for `end` but got dtype {end.dtype.torch_name}")
    if isinstance(weight, Tensor) and weight._data.dtype != input._data.dtype and weight._data.ndim:
        raise RuntimeError(
            f"expected dtype {input.dtype.torch_name} for `weight` but got dtype {weight.dtype.torch_name}"
        )
    if input.dtype.kind < 2:
        raise NotImplementedError(f"\"lerp\" not implemented for '{input.dtype.torch_name}'")
    if out is not None and isinstance(weight, Tensor) and straight(kernels.lerp_forward, out, (input, end, weight)):
        return out
    data = _three(kernels.lerp_forward, None, (input, end, weight), input.dtype, 0.0)
    result = wrap(data)
    w = _tensor(weight)
    if recording(input, end, w):
        node = Lerp(input, end, w)
        node.targets = _target(input), _target(end), _target(w)
        node.weight = None if w is not None else weight
        node.attach(result)
        needs = w is not None and w._rg
        node.save(input if needs else None, end if needs else None, w)
    return result if out is None else into(out, result, "lerp" if w is None else "lerp.Tensor", input, end, weight)


class Addcmul(Node):
    __slots__ = ("targets", "value")

    def backward(self, grad):
        y, z = self.saved_tensors()
        a, b, c = self.targets
        scaled = grad if self.value == 1 else grad * self.value
        gx = reduced(grad, a) if self.needs(0) else None
        gy = reduced(scaled * z, b) if self.needs(1) else None
        gz = reduced(scaled * y, c) if self.needs(2) else None
        return gx, gy, gz


class Addcdiv(Node):
    __slots__ = ("targets", "value")

    def backward(self, grad):
        y, z = self.saved_tensors()
        a, b, c = self.targets
        scaled = grad if self.value == 1 else grad * self.value
        gx = reduced(grad, a) if self.needs(0) else None
        gy = reduced(scaled / z, b) if self.needs(1) else None
        gz = reduced(-scaled * ((y / z) / z), c) if self.needs(2) else None
        return gx, gy, gz


def _addc(name, kernel, integer, node_class, input, tensor1, tensor2, value, out):
    for argument, t in (("input", input), ("tensor1", tensor1), ("tensor2", tensor2)):
        check_tensor(name, argument, t)
    if isinstance(value, Tensor):
        value = value.item()
    elif not is_number(value):
        raise TypeError(f"{name}(): argument 'value' must be Number, not {type(value).__name__}")
    alike = input._data.dtype is tensor1._data.dtype is tensor2._data.dtype
    dtype = input.dtype if alike else promoted(input, tensor1, tensor2)
    if isinstance(value, float) and dtype.kind < 2:
        raise RuntimeError("For integral input tensors, argument value must not be a floating point number.")
    if out is not None and alike and dtype.kind == 2:
        if straight(kernel, out, (input, tensor1, tensor2), finite_float(value)):
            return out
    data = _three(
        kernel, lambda x, y, z: integer(x, y, z, value), (input, tensor1, tensor2), dtype, finite_float(value)
    )
    result = wrap(data)
    if mode.grad and recording(input, tensor1, tensor2):
        node = node_class(input, tensor1, tensor2)
        node.targets = _target(input), _target(tensor1), _target(tensor2)
        node.value = value
        node.attach(result)
        quotient = node_class is Addcdiv
        node.save(
            tensor1 if node.needs(2) else None,
            tensor2 if node.needs(1) or (quotient and node.needs(2)) else None,
        )
    return result if out is None else into(out, result, name, input, tensor1, tensor2)


def addcmul(input, tensor1, tensor2, *old, value=1, out=None):
    """input + value * tensor1 * tensor2.

    Args:
        input, tensor1, tensor2: tensors; their shapes broadcast.
        old: ``tensor2`` in the old order ``addcmul(input, value, tensor1, tensor2)``, which warns.
        value: number.
        out: tensor to write the result to, or None.

    Shape:
        that to which the three broadcast; their dtypes are promoted.

    Raises:
        TypeError: ``input``, ``tensor1`` or ``tensor2`` is not a tensor.
        RuntimeError: the shapes do not broadcast, or ``value`` is a float and the tensors are of integer types, or
            ``out`` cannot hold the result.
    """
    if old:
        return in_new_order(addcmul, 3, ("value",), (input, tensor1, tensor2, *old), out=out)
    return _addc(
        "addcmul",
        kernels.addcmul_forward,
        lambda x, y, z, v: x + v * y * z,
        Addcmul,
        input,
        tensor1,
        tensor2,
        value,
        out,
    )


def addcdiv(input, tensor1, tensor2, *old, value=1, out=None):
    """input + value * tensor1 / tensor2.

    Args:
        input, tensor1, tensor2: tensors; their shapes broadcast.
        old: ``tensor2`` in the old order ``addcdiv(input, value, tensor1, tensor2)``, which warns.
        value: number.
        out: tensor to write the result to, or None.

    Shape:
        that to which the three broadcast; their dtypes are promoted.

    Raises:
        TypeError: ``input``, ``tensor1`` or ``tensor2`` is not a tensor.
        RuntimeError: both ``tensor1`` and ``tensor2`` are of integer types, or the shapes do not broadcast, or ``out``
            cannot hold the result.
    """
    if old:
        return in_new_order(addcdiv, 3, ("value",), (input, tensor1, tensor2, *old), out=out)
    if (
        isinstance(tensor1, Tensor)
        and isinstance(tensor2, Tensor)
        and tensor1.dtype.kind < 2
        and tensor2.dtype.kind < 2
    ):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported: convert the operands to floating point first, or "
            "round the quotient with div(..., rounding_mode=...)."
        )
    return _addc("addcdiv", kernels.addcdiv_forward, None, Addcdiv, input, tensor1, tensor2, value, out)


WITHIN[lerp] = lambda self, end, weight: _three_within(kernels.lerp_forward, self, end, weight, 0.0)
WITHIN[addcmul], WITHIN[addcdiv] = _addc_within(kernels.addcmul_forward), _addc_within(kernels.addcdiv_forward)
