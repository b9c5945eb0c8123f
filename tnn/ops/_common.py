"""What the families of operations share: contiguous data, half precisions, gradients of broadcast operands, in-place
forms, argument checks."""

import functools
import inspect
import math
import operator
import sys
import warnings

import numpy as np

from .. import dtypes
from ..autograd.autocast import active, run
from ..autograd.grad_mode import mode
from ..autograd.node import Version
from ..kernels import _copy
from ..kernels._words import address
from ..tensor import Tensor, wrap
from . import _out

F32 = dtypes.float32.np
F64 = dtypes.float64.np
HALF = dtypes.HALF


def dense(t):
    """A tensor's ndarray, C-contiguous: the array itself where it is so already."""
    d = t._data
    return d if d.flags.c_contiguous else row_major(d)


def row_major(d):
    """A C-contiguous copy of an ndarray."""
    if d.size < 4096:
        return np.ascontiguousarray(d).reshape(d.shape)
    from .shape import contiguous_copy

    return contiguous_copy(d)


_NUMBERS = (float, int, bool, np.number, np.bool_)


def is_number(value):
    """Whether an operand is a number of Python or a scalar of NumPy."""
    return isinstance(value, _NUMBERS)


def finite_float(value):
    """A number as a Python float, infinite where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


@functools.lru_cache(4096)
def broadcast(*shapes):
    """The shape to which shapes broadcast.

    Raises:
        RuntimeError: they do not.
    """
    ndim = max(map(len, shapes))
    full = [(1,) * (ndim - len(s)) + s for s in shapes]
    result = []
    for i, sizes in enumerate(zip(*full, strict=True)):
        size = 1
        for n in sizes:
            if n != 1 and size not in (1, n):
                raise RuntimeError(
                    f"The size of tensor a ({size}) must match the size of tensor b ({n}) at non-singleton dimension "
                    f"{i}: shapes {', '.join(str(list(s)) for s in shapes)} do not broadcast together"
                )
            size = n if n != 1 else size
        result.append(size)
    return tuple(result)


@functools.lru_cache(4096)
def memory_order(shape, *strides):
    """In which order the result of an elementwise operation has its dimensions in memory, outermost first.

    That of its operands: of two dimensions the one with the larger stride comes first, the first operand that knows
    both deciding, and where strides are equal the larger one.

    Args:
        shape: that of the result.
        strides: each operand's, one for each dimension of the result, 0 where the operand repeats.

    Returns:
        The order and its inverse, or None where it is that of rows.
    """
    order = list(range(len(shape)))
    for i in range(len(order) - 2, -1, -1):
        at = i
        for k in range(i + 1, len(order)):
            outer, inner = order[at], order[k]
            turn = 0
            for s in strides:
                if s[outer] and s[inner] and not turn:
                    turn = s[inner] - s[outer] or int(shape[inner] > shape[outer])
            if turn < 0:
                break
            if turn > 0:
                order[at], order[k] = inner, outer
                at = k
    if order == sorted(order):
        return None
    return tuple(order), tuple(sorted(order, key=order.__getitem__))


def in_memory_order(data):
    """An ndarray with its dimensions in their order in memory, and the axes that turn it back; the ndarray itself and
    None where that is the order of rows."""
    order = None if data.flags.c_contiguous else memory_order(data.shape, data.strides)
    return (data, None) if order is None else (data.transpose(order[0]), order[1])


def recording(*tensors):
    """Whether an operation on these tensors (None allowed) is to be recorded."""
    if mode.grad:
        for t in tensors:  # 0.3 us less than any() of a generator
            if t is not None and t._rg:
                return True
    return False


def as_number(value, dtype, half_too=True):
    """A Python number as one that can be stored in ``dtype``.

    Args:
        half_too: whether a number too large for a half precision raises; it becomes infinite otherwise.

    Raises:
        RuntimeError: it is too large for the dtype.
    """
    kind = dtype.kind
    if kind == 0:
        return bool(value)
    if kind == 1:
        info = np.iinfo(dtype.np)
        # A small negative integer is taken modulo the range of an unsigned type, as in C; a negative float is not.
        low = info.min if dtype.is_signed else 0 if isinstance(value, float) else -int(info.max)
        fits = low <= value <= info.max
        if fits:
            value = int(value)
            return value if value >= 0 or dtype.is_signed else value + int(info.max) + 1
    else:
        top = dtypes.finfo(dtype).max
        fits = -top <= value <= top or value != value or value in (math.inf, -math.inf)
        if fits:
            return value
        if dtype.np in HALF and not half_too:
            with np.errstate(over="ignore"):
                return float(np.float32(value).astype(dtype.np))
    raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow")


def callers_level():
    """The stack level of the line outside tnn for a warning that the caller gives."""
    frame, level = sys._getframe(1), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("tnn."):
        frame, level = frame.f_back, level + 1
    return level


def check_tensor(function, argument, value, position=None):
    """Raises TypeError unless ``value`` is a Tensor."""
    if not isinstance(value, Tensor):
        at = f" (position {position})" if position else ""
        raise TypeError(f"{function}(): argument '{argument}'{at} must be Tensor, not {type(value).__name__}")


def check_tensors(function, **values):
    """Raises TypeError unless all values are Tensors."""
    for argument, value in values.items():
        check_tensor(function, argument, value)


def check_floating(function, *tensors):
    """Raises NotImplementedError unless every tensor (None allowed) is of a floating-point dtype."""
    for t in tensors:
        if t is not None and not t.dtype.is_floating_point:
            raise NotImplementedError(f"\"{function}\" not implemented for '{t.dtype.torch_name}'")


def check_same_dtype(function, **tensors):
    """Raises RuntimeError unless all tensors (None allowed) have one dtype."""
    given = [(n, t) for n, t in tensors.items() if t is not None]
    for name, t in given[1:]:
        if t._data.dtype != given[0][1]._data.dtype:
            raise RuntimeError(
                f"{function}: expected {name} to have dtype {given[0][1].dtype} as {given[0][0]} has, got {t.dtype}"
            )


def _as_int(argument, value):
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"argument '{argument}' must be int, not {type(value).__name__}") from None


def wrap_dim(dim, ndim):
    """A dimension as a number from 0; a 0-d tensor has one.

    Raises:
        TypeError: ``dim`` is not an integer.
        IndexError: there is no such dimension.
    """
    if type(dim) is not int:
        dim = _as_int("dim", dim)
    n = ndim or 1
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim + n if dim < 0 else dim


def sum_to(grad, like):
    """The gradient of an operand that was broadcast: ``grad`` summed to the shape and cast to the dtype of ``like``, a
    Tensor."""
    shape = like._data.shape
    if grad._data.shape != shape:
        lead = grad._data.ndim - len(shape)
        dims = tuple(range(lead)) + tuple(
            i + lead for i, s in enumerate(shape) if s == 1 and grad._data.shape[i + lead] != 1
        )
        if dims:
            grad = grad.sum(dims, keepdim=True)
        if grad._data.shape != shape:
            grad = grad.reshape(shape)
    if grad._data.dtype != like._data.dtype:
        grad = grad.to(like.dtype)
    return grad


_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "ddof": "correction"}


def numpy_names(fn):
    """Lets an operation also take NumPy's names ``axis``, ``keepdims`` and ``x``, as PyTorch's do."""

    @functools.wraps(fn)
    def op(*args, **kwargs):
        if not kwargs:
            return fn(*args)
        if not _NUMPY_NAMES.keys().isdisjoint(kwargs):
            kwargs = {_NUMPY_NAMES.get(name, name): value for name, value in kwargs.items()}
        return fn(*args, **kwargs)

    return op


def half_as_float32(fn=None, *, autocast=None, alike=False, at=None):
    """Lets an operation take bfloat16 and float16: it runs in float32 and rounds its floating-point results once.

    ``autocast`` is the operation's policy inside an autocast region, see :mod:`tnn.autocast`. ``alike``: a tensor of
    half precision beside one of another floating-point dtype raises, among all arguments (True) or those named. ``at``:
    where the only tensor stands, for operations called with positional arguments: looking at all of them takes 0.7 us.
    """
    if autocast is not None:
        return lambda fn: _half_with_policy(half_as_float32(fn, alike=alike), fn, autocast, alike)
    if at is not None:
        return lambda fn: _half_at(fn, at)
    if fn is None:
        return lambda fn: half_as_float32(fn, alike=alike)

    @functools.wraps(fn)
    def op(*args, **kwargs):
        for a in args:
            if isinstance(a, Tensor) and a._data.dtype in HALF:
                return _in_float32(fn, args, kwargs, alike)
        if kwargs:
            for a in kwargs.values():
                if isinstance(a, Tensor) and a._data.dtype in HALF:
                    return _in_float32(fn, args, kwargs, alike)
        return fn(*args, **kwargs)

    return op


def _half_at(fn, at):
    @functools.wraps(fn)
    def op(*args):
        a = args[at]
        if isinstance(a, Tensor) and a._data.dtype in HALF:
            return _in_float32(fn, args, {})
        return fn(*args)

    return op


def _half_with_policy(half, fn, policy, alike):
    @functools.wraps(fn)
    def op(*args, **kwargs):
        if active.n:
            return run(policy, half, args, kwargs)
        for a in args:
            if isinstance(a, Tensor) and a._data.dtype in HALF:
                return _in_float32(fn, args, kwargs, alike)
        if not kwargs:
            return fn(*args)
        for a in kwargs.values():
            if isinstance(a, Tensor) and a._data.dtype in HALF:
                return _in_float32(fn, args, kwargs, alike)
        return fn(*args, **kwargs)

    return op


def _dtypes_of(fn, names, args, kwargs):
    place = fn.__code__.co_varnames.index
    given = (args[place(name)] if place(name) < len(args) else kwargs.get(name) for name in names)
    return [t.dtype for t in given if isinstance(t, Tensor)]


def _check_alike(fn, found):
    if len(set(found)) > 1:
        names = " and ".join(dict.fromkeys(d.torch_name for d in found))
        raise RuntimeError(f"{fn.__name__.strip('_')}: tensors must have the same dtype, but got {names}")


def _in_float32(fn, args, kwargs, alike=False):
    given = kwargs.get("out")
    if given is not None:
        kwargs = {k: a for k, a in kwargs.items() if k != "out"}
        if not any(isinstance(a, Tensor) and a._data.dtype in HALF for a in (*args, *kwargs.values())):
            return fn(*args, **kwargs, out=given)
    found = [a.dtype for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a.dtype.is_floating_point]
    if alike:
        _check_alike(fn, found if alike is True else _dtypes_of(fn, alike, args, kwargs))
    target = functools.reduce(dtypes.promote_types, found)

    def up(a):
        return a.to(dtypes.float32) if isinstance(a, Tensor) and a._data.dtype in HALF else a

    def down(a):
        return a.to(target) if isinstance(a, Tensor) and a._data.dtype == F32 else a

    out = fn(*(up(a) for a in args), **{k: up(a) for k, a in kwargs.items()})
    if isinstance(out, tuple):
        out = type(out)(*map(down, out)) if hasattr(out, "_fields") else tuple(map(down, out))
    else:
        out = [down(a) for a in out] if isinstance(out, list) else down(out)
    return out if given is None else into(given, out, fn.__name__, *args, *kwargs.values())


def in_float64(op, input, *args, cut=np.trunc):
    """An operation on integers, computed in float64 (exact below 2^53) and cut to integers.

    Args:
        op: the operation; it is called with the input and ``args``, their tensors converted.
        cut: from float64 to the integers' range, an ndarray's function.

    Raises:
        RuntimeError: a tensor is of another dtype than the input.
    """
    dtype = input.dtype

    def up(a):
        if isinstance(a, Tensor):
            if a.dtype is not dtype:
                raise RuntimeError(f"expected scalar type {dtype.torch_name} but found {a.dtype.torch_name}")
            return a.to(dtypes.float64)
        return a

    def down(t):
        return wrap(cut(t._data).astype(dtype.np)) if t.dtype is dtypes.float64 else t

    out = op(*map(up, (input, *args)))
    return tuple(map(down, out)) if isinstance(out, tuple) else down(out)


def _keep_before(node, tensor):
    """Lets a node that saved ``tensor`` keep a copy instead, since the tensor is about to be overwritten."""
    for i, entry in enumerate(node.saved):
        if entry is not None and entry[0] is tensor:
            d = tensor._data
            before = wrap(_copy.contiguous_copy(d) if d.flags.c_contiguous else np.array(d))
            before._rg, before._node, before._nr = tensor._rg, tensor._node, tensor._nr
            before._version = Version()
            node.saved[i] = before, before._version, 0, *entry[3:]


def _keep_after(node, result, tensor):
    """Lets a node that saved ``result`` keep ``tensor``'s memory instead, to which it was written."""
    if result._data.dtype == tensor._data.dtype:
        for i, entry in enumerate(node.saved):
            if entry is not None and entry[0] is result._data:
                node.saved[i] = tensor._data, tensor._version, tensor._version.n, *entry[3:]


# Operations whose history, made of other operations, keeps the input.
_COMPOSED = {"index_reduce", "mvlgamma", "renorm", "scatter_reduce"}


def inplace_doc(op, what="``input`` takes on the values and is returned."):
    """An in-place form's docstring: that of the operation, without its examples, and what is special about it."""
    first = f"In-place form of :func:`{op.__name__}`: {what}"
    rest = inspect.cleandoc(op.__doc__ or "").partition(">>>")[0].rstrip()
    sections = rest if "\nRaises:\n" in rest else rest + "\n\nRaises:"
    return (
        f"{first}\n\n{sections}\n    RuntimeError: ``input`` is a leaf that requires gradients, repeats memory, or its "
        "shape or dtype cannot hold the result."
    )


# The short ways of in-place forms, by operation: see :mod:`tnn.ops._within`.
WITHIN: dict = {}


def inplace(op):
    """The in-place form of an operation: ``self`` takes over the values and the history of ``op(self, ...)``, unless
    the operation has a short way (:mod:`tnn.ops._within`) and that will do."""
    composed = op.__name__ in _COMPOSED
    within = WITHIN.get(op)
    if within is not None:  # what Python says of missing arguments names the function
        within.__name__ = within.__qualname__ = f"{op.__name__}_"

    @functools.wraps(op)
    def method(self, *args, **kwargs):
        if within is not None and within(self, *args, **kwargs):
            return self
        if not isinstance(self, Tensor):
            check_tensor(method.__name__, "input", self, 1)
        self._check_inplace()
        before = self.clone() if composed and recording(self) else self
        out = run("keep", op, (before, *args), kwargs) if active.n else op(before, *args, **kwargs)
        node = None if out is self else out._node
        if node is not None and node.saved:
            _keep_before(node, self)
        self._write(out)
        if node is not None and node.saved:
            _keep_after(node, out, self)
        return self

    method.__name__ = op.__name__ + "_"
    method.__qualname__ = method.__name__
    method.__doc__ = inplace_doc(op)
    return method


def _is_part(d, x):
    """Whether two ndarrays share memory without being the same."""
    at, start = address(d), address(x)
    if at >= start + x.nbytes or start >= at + d.nbytes:
        return False
    if at == start and d.nbytes == x.nbytes:
        return d.strides != x.strides
    return d.flags.forc and x.flags.forc


def _check_own_memory(out, inputs, apart):
    """Raises RuntimeError where writing to ``out`` would write an element twice, or change an input.

    Args:
        apart: ``out`` must not even be an input itself.
    """
    d = out._data
    if 0 in d.strides and d.size and any(n > 1 and step == 0 for n, step in zip(d.shape, d.strides, strict=True)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    for t in inputs:
        if isinstance(t, Tensor) and (
            out is t or np.may_share_memory(d, t._data) if apart else out is not t and _is_part(d, t._data)
        ):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
                "memory location. Please clone() the tensor before performing the operation."
            )


def _check_out_dtype(op, want, got):
    """Raises where an operation's ``out`` is of a dtype that it does not take: see :mod:`tnn.ops._out`."""
    name = op.partition(".")[0]
    impossible, refused = _out.RULES.get(op) or _out.RULES.get(name, _out.DEFAULT)
    message = refused if dtypes.can_cast(want, got) else impossible
    if message is not None:
        fields = {"want": want.torch_name, "got": got.torch_name, "name": name.removeprefix("linalg_")}
        fields["c_want"], fields["c_got"] = (_out.C_NAMES[fields[k]] for k in ("want", "got"))
        raise _out.ERRORS.get(name, RuntimeError)(message.format(**fields))


def _check_out(out, result, op, inputs):
    """Raises unless ``out`` takes an operation's result; warns where it is resized."""
    if not isinstance(out, Tensor):
        check_tensor(op.partition(".")[0], "out", out)
    if result._rg or (out._rg and mode.grad):
        name = op.partition(".")[0]
        raise RuntimeError(
            f"{_out.RECORDED.get(name, name)}(): functions with out=... arguments don't support automatic "
            "differentiation, but one of the arguments requires grad."
        )
    _check_own_memory(out, inputs, op in _out.APART)
    d, r = out._data, result._data
    if r.dtype is not d.dtype and result.dtype is not out.dtype:
        _check_out_dtype(op, result.dtype, out.dtype)
    if d.shape != r.shape and d.size and op not in _out.QUIET:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(d.shape)}, which does not match "
            f"the required output shape {list(r.shape)}. This behavior is deprecated, and in a future release outputs "
            "will not be resized unless they have zero elements. You can explicitly reuse an out tensor t by resizing "
            "it, inplace, to zero elements with t.resize_(0).",
            stacklevel=4,
        )


def _copy_out(out, result):
    d, r = out._data, result._data
    if d.shape != r.shape:
        d = out._data = np.empty(r.shape, d.dtype)
    if d.dtype is r.dtype:
        np.copyto(d, r)
    else:
        with np.errstate(all="ignore"):
            np.copyto(d, r, casting="unsafe")
    out._bump()


def out_dtype(op, dtype, out):
    """The dtype to compute in for operations that go by that of ``out`` where none is asked for."""
    if dtype is None and out is not None:
        check_tensor(op, "out", out)
        return out.dtype
    return dtype


def into(out, result, op, *inputs):
    """Ends an operation that has an ``out`` argument: copies the result there if it was given.

    Args:
        out: a tensor, or a tuple of them for a tuple of results; or None.
        result: what the operation gives.
        op: the operation's name, or that of one of its cases, as in :mod:`tnn.ops._out`, which says which dtypes
            ``out`` may have.
        inputs: tensors (numbers are let pass) with which ``out`` must not share a part of its memory.

    Raises:
        TypeError: ``out`` is not a tensor, or not as many of them as there are results.
        RuntimeError: gradients would be lost, ``out`` is of another dtype than it may have, or memory is shared.
    """
    if out is None:
        return result
    if isinstance(result, tuple):
        if not isinstance(out, tuple | list):
            name = op.partition(".")[0]
            raise TypeError(f"{name}(): argument 'out' must be tuple of Tensors, not {type(out).__name__}")
        if len(out) != len(result):
            raise TypeError(f"expected tuple of {len(result)} elements but got {len(out)}")
        for i, (o, r) in enumerate(zip(out, result, strict=True)):
            _check_out(o, r, f"{op}.{i}", inputs)
        for o, r in zip(out, result, strict=True):
            _copy_out(o, r)
        return out
    _check_out(out, result, op, inputs)
    _copy_out(out, result)
    return out


def composed_backward(compose, inputs, grad):
    """Differentiable gradients of a fused operation, for ``create_graph=True``: those of ``compose``, the same function
    written with differentiable operations.

    Args:
        compose: takes the inputs, returns the output (or a tuple of outputs).
        inputs: the operation's inputs as backward finds them (None allowed).
        grad: the output's gradient (or a tuple).

    Returns:
        A tuple with a gradient, or None, for each input.
    """
    from ..autograd import grad as gradients

    # a second name for each input: one tensor may stand at several places
    names = [t.view_as(t) if t is not None and t._rg else t for t in inputs]
    wanted = [t for t in names if t is not None and t._rg]
    found = iter(gradients(compose(*names), wanted, grad, create_graph=True, allow_unused=True))
    return tuple(next(found) if t is not None and t._rg else None for t in names)
