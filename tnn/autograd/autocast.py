"""Automatic mixed precision on the CPU: which operations run in a lower precision, and which in float32.

Entry points of operations test ``active.n``, the number of threads inside an autocast region: one attribute read where
nobody uses autocast. Only then do they come here, with the policy that they were given where they are defined:

- ``lower``: floating-point tensors go in as the region's dtype (matrix products, convolutions, attention);
- ``float32``: they go in as float32 (losses, and what loses too much by rounding);
- ``widest``: they go in as the widest of their dtypes;
- ``first``: they go in as the dtype of the first of them (recurrent layers: the input decides);
- ``keep``: they go in as they are, and what the operation is made of is not cast either.

float64 is left alone. The casts are recorded, so gradients have the dtype of what they belong to.
"""

import functools
import threading
import warnings
import weakref

from .. import dtypes
from .grad_mode import _Switch, mode


class _Active:
    """How many threads are inside an enabled region."""

    __slots__ = ("n", "lock")

    def __init__(self):
        self.n = 0
        self.lock = threading.Lock()

    def add(self, n):
        with self.lock:
            self.n += n


class _State(threading.local):
    enabled = False
    dtype = dtypes.bfloat16
    cache_enabled = True
    nesting = 0
    cache = None


active = _Active()
state = _State()


def _set_enabled(value):
    if value != state.enabled:
        state.enabled = value
        active.add(1 if value else -1)


class autocast(_Switch):
    """A region in which operations choose their precision: a context manager, also a decorator.

    Matrix products, convolutions, attention and ``prelu`` take their floating-point inputs as ``dtype``; losses,
    products, quantiles, decompositions, ``grid_sample`` and others take them as float32; everything else runs in the
    dtypes that it gets. float64 is left alone. ``backward`` runs in the dtypes of forward, inside the region or not.

    Args:
        device_type: "cpu". Another one gives a region that does nothing, with a warning.
        dtype: bfloat16 (the default) or float16.
        enabled: False makes a region without autocast, within one that has it.
        cache_enabled: cast a parameter once in a region, not each time.

    Raises:
        ValueError: ``device_type`` is no string.
        RuntimeError: ``device_type`` is unknown.

    >>> import tnn
    >>> x, w = tnn.ones(2, 3), tnn.ones(3, 4)
    >>> with tnn.autocast("cpu"):
    ...     y = x @ w
    ...     z = y.float() + x.sum()
    >>> y.dtype, z.dtype
    (tnn.bfloat16, tnn.float32)
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device = device_type
        self.fast_dtype = state.dtype if dtype is None else dtype
        self._cache_enabled = state.cache_enabled if cache_enabled is None else cache_enabled
        if not is_autocast_available(device_type):
            if device_type not in ("cuda", "xpu", "mps"):
                raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
            if enabled:
                warnings.warn(f"tnn runs on the CPU: autocast for '{device_type}' is disabled.", stacklevel=2)
            enabled = False
        elif enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"CPU Autocast only supports dtypes of tnn.bfloat16, tnn.float16 currently, got {self.fast_dtype}.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._before = []

    def clone(self):
        """A fresh region with the same setting."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _before=[])
        return other

    def __enter__(self):
        self._before.append((state.enabled, state.dtype, state.cache_enabled))
        if self.device == "cpu":
            _set_enabled(self._enabled)
            state.dtype = self.fast_dtype
            state.cache_enabled = self._cache_enabled
        state.nesting += 1
        return self

    def __exit__(self, *exc):
        enabled, state.dtype, state.cache_enabled = self._before.pop()
        _set_enabled(enabled)
        state.nesting -= 1
        if not state.nesting:
            state.cache = None
        return False


class outside:
    """What runs inside this block is not cast."""

    __slots__ = ("before",)

    def __enter__(self):
        self.before = state.enabled
        _set_enabled(False)

    def __exit__(self, *exc):
        _set_enabled(self.before)


# ---------------------------------------------------------------- casting


def _eligible(t):
    return t.is_floating_point() and t.dtype is not dtypes.float64


def _cached(t, dtype):
    """The cast of a parameter, made once in a region."""
    if not (state.cache_enabled and t._rg and t._node is None and t.dtype is dtypes.float32):
        return t.to(dtype)
    if state.cache is None:
        state.cache = {}
    key = (id(t), dtype, mode.grad)
    found = state.cache.get(key)
    if found is not None and found[0]() is t and found[1] == t._version_number:
        return found[2]
    out = t.to(dtype)
    state.cache[key] = weakref.ref(t), t._version_number, out
    return out


def _cast_each(dtype):
    from ..tensor import Tensor

    def one(a):
        if isinstance(a, Tensor):
            return _cached(a, dtype) if a.dtype is not dtype and not a.is_sparse and _eligible(a) else a
        if type(a) in (tuple, list):
            return type(a)(map(one, a))
        return a

    return one


def as_float32(*values):
    """The tensors among the values as float32, where autocast is on."""
    return map(_cast_each(dtypes.float32), values) if state.enabled else values


def _dtype_of(values, policy):
    """The widest of the tensors' dtypes, or the first."""
    from ..tensor import Tensor

    found = [a.dtype for a in values if isinstance(a, Tensor) and a.is_floating_point()]
    if policy == "first":
        found = found[:1]
    return functools.reduce(dtypes.promote_types, found) if found else dtypes.float32


def run(policy, fn, args, kwargs):
    """``fn(*args, **kwargs)`` with tensors cast as the policy says; inside, nothing is cast any more."""
    if not state.enabled or (policy == "lower" and kwargs.get("out") is not None):
        return fn(*args, **kwargs)
    with outside():
        if policy == "keep":
            return fn(*args, **kwargs)
        if policy == "lower" or policy == "float32":
            dtype = state.dtype if policy == "lower" else dtypes.float32
        else:
            dtype = _dtype_of((*args, *kwargs.values()), policy)
        one = _cast_each(dtype)
        return fn(*map(one, args), **{k: one(a) for k, a in kwargs.items()})


def casts(policy):
    """Decorates an operation with a policy."""

    def decorate(fn):
        @functools.wraps(fn)
        def op(*args, **kwargs):
            if active.n:
                return run(policy, fn, args, kwargs)
            return fn(*args, **kwargs)

        return op

    return decorate


# ---------------------------------------------------------------- the setting, one for each thread


def is_autocast_available(device_type):
    """Whether there is autocast for a kind of device: for "cpu"."""
    return device_type == "cpu"


def is_autocast_enabled(device_type="cpu"):
    """Whether this thread is inside an enabled region.

    Args:
        device_type: "cpu"; there is no other device.
    """
    return state.enabled if device_type == "cpu" else False


def is_autocast_cpu_enabled():
    """As :func:`is_autocast_enabled`."""
    return state.enabled


def set_autocast_enabled(device_type, enabled=None):
    """Turns autocast on or off in this thread: ``set_autocast_enabled("cpu", True)``.

    Args:
        device_type: "cpu"; there is no other device.
        enabled: whether it is on.
    """
    if enabled is None:
        device_type, enabled = "cpu", device_type
    if device_type == "cpu":
        _set_enabled(bool(enabled))


def get_autocast_dtype(device_type="cpu"):
    """The dtype of the lower precision.

    Args:
        device_type: "cpu"; there is no other device.

    Raises:
        RuntimeError: ``device_type`` is not "cpu".
    """
    if device_type != "cpu":
        raise RuntimeError(f"unsupported device type '{device_type}': tnn runs on the CPU")
    return state.dtype


def get_autocast_cpu_dtype():
    """As :func:`get_autocast_dtype`."""
    return state.dtype


def set_autocast_dtype(device_type, dtype):
    """Sets the dtype of the lower precision in this thread.

    Args:
        device_type: "cpu"; there is no other device.
        dtype: bfloat16 or float16.
    """
    get_autocast_dtype(device_type)
    state.dtype = dtype


def is_autocast_cache_enabled():
    """Whether casts of parameters are kept for the region."""
    return state.cache_enabled


def set_autocast_cache_enabled(enabled):
    """Sets whether casts of parameters are kept for the region.

    Args:
        enabled: whether they are kept.
    """
    state.cache_enabled = bool(enabled)


def clear_autocast_cache():
    """Forgets the casts of parameters."""
    state.cache = None


# ---------------------------------------------------------------- user-defined Functions


def custom_fwd(fwd=None, *, device_type="cpu", cast_inputs=None):
    """Decorates the ``forward`` of a user-defined ``autograd.Function``.

    Args:
        device_type: "cpu".
        cast_inputs: if given, inside an enabled region floating-point tensors are cast to it and ``forward`` runs
            without autocast; otherwise ``forward`` runs with the setting that it meets.
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def wrapped(*args, **kwargs):
        ctx = args[0]
        ctx._dtype = state.dtype
        ctx._fwd_used_autocast = state.enabled and cast_inputs is None
        if cast_inputs is None or not state.enabled:
            return fwd(*args, **kwargs)
        one = _cast_each(cast_inputs)
        with outside():
            return fwd(*map(one, args), **{k: one(a) for k, a in kwargs.items()})

    return wrapped


def custom_bwd(bwd=None, *, device_type="cpu"):
    """Decorates the ``backward`` that belongs to a :func:`custom_fwd`: it runs with forward's setting."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def wrapped(*args, **kwargs):
        ctx = args[0]
        with autocast("cpu", enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(*args, **kwargs)

    return wrapped
