"""What ``tnn.compile`` returns: calls that are recorded once, checked once and then replayed."""

import functools
import gc
import inspect
import threading

import numpy as np

from .. import dtypes
from ..autograd.anomaly_mode import state as anomaly
from ..autograd.autocast import active as autocast_active
from ..autograd.grad_mode import mode
from ..nn.modules.module import Module
from ..tensor import Tensor
from . import native, settled
from .around import CHANGED, OTHERWISE
from .plan import Plan, Replayed, Unsuitable, leaves, rebuilt, used_up
from .recorder import Busy, Recorder, recording
from .traced import swept, unwrapped
from .watch import Watch

# Kinds of arguments (shapes, dtypes, ...) that are kept apart, how often one is recorded, and how many of its plans are
# kept: a module in training and in evaluation has two.
MOST_KINDS, MOST_RECORDINGS, MOST_PLANS = 32, 16, 4
_CONSTANTS = (bool, int, float, str, type(None))
_data = Tensor.__dict__["_data"]


class _OfThread(threading.local):
    inside = False


_of_thread = _OfThread()


class _Kind:
    """What is known of calls with arguments of one kind."""

    __slots__ = ("calls", "recordings", "plans", "reason", "final", "held", "misses", "plain")

    def __init__(self, held):
        self.calls = self.recordings = self.misses = 0
        self.plans, self.reason = [], None
        self.final = self.plain = False  # plain: without fusion
        self.held = held


class Compiled:
    """A function whose calls are replayed where that gives what the function itself would give.

    The first call with arguments of a kind runs as it is; the second is recorded while it runs; the third runs as it is
    and is compared, bit for bit, with a replay. From the fourth on calls are replayed.

    Attributes:
        reason: why the last call was not replayed, or None.
    """

    def __init__(self, function):
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._kinds = {}
        self._replay = None
        self._lock = threading.Lock()
        self.reason = "not called yet"
        self._never = None
        if not native.usable():
            self._never = "Numba's compiler is off, or this is not CPython"
        elif inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
            self._never = "the function is a generator or a coroutine"

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self):
        return type(self), (self._function,)

    def __repr__(self):
        state = "replayed" if self.reason is None else f"not replayed: {self.reason}"
        return f"<compiled {getattr(self._function, '__qualname__', type(self._function).__name__)}, {state}>"

    # -- the call

    def __call__(self, *args, **kwargs):
        replay = self._replay
        if replay is not None and not kwargs and not recording[0]:
            out = replay(args)
            if out is not CHANGED and out is not OTHERWISE:
                self.reason = None
                return out
        return self._call(args, kwargs)

    def _call(self, args, kwargs):
        if _of_thread.inside or self._never is not None:
            return self._eager(self._never or "inside another recording", args, kwargs)
        arguments, shape = [], [mode.grad, mode.inference, dtypes.get_default_dtype(), len(args)]
        try:
            for a in args:
                _describe(a, arguments, shape)
            for name, a in kwargs.items():
                shape.append(name)
                _describe(a, arguments, shape)
            key = tuple(shape)
            kind = self._kinds.get(key)
        except (Unsuitable, TypeError) as error:
            return self._eager(str(error), args, kwargs)
        if kind is None:
            if len(self._kinds) >= MOST_KINDS:
                return self._eager(f"arguments of more than {MOST_KINDS} kinds", args, kwargs)
            kind = self._kinds[key] = _Kind(_held(args, kwargs))
        if kind.final:
            return self._eager(kind.reason, args, kwargs)
        if autocast_active.n or anomaly.enabled:
            return self._eager("autocast or anomaly mode is on", args, kwargs)
        for plan in kind.plans:
            out = plan.replay(arguments) if plan.trusted else CHANGED
            if out is OTHERWISE:
                return self._missed(kind, args, kwargs)
            if out is not CHANGED:
                self.reason = None
                # the next call may come this way at once
                self._replay = plan.replay if not kwargs and len(args) == len(arguments) else None
                return out
        if not self._lock.acquire(blocking=False):
            return self._eager("another thread is inside", args, kwargs)
        try:
            return self._prepare(kind, arguments, args, kwargs)
        finally:
            self._lock.release()

    def _eager(self, reason, args, kwargs):
        self.reason = reason
        return self._function(*args, **kwargs)

    def _missed(self, kind, args, kwargs):
        kind.misses += 1
        if kind.misses > 64:
            kind.reason, kind.final = "how the call goes on depends on the values of its arguments", True
        return self._eager("the values of the arguments ask for another way", args, kwargs)

    def _prepare(self, kind, arguments, args, kwargs):
        """A call that is not replayed yet."""
        kind.calls += 1
        if kind.calls == 1:
            return self._eager("the first call runs as it is", args, kwargs)
        for plan in kind.plans:
            if plan.stands():
                if plan.trusted:
                    return self._eager("something changed during the call", args, kwargs)
                return self._try(kind, plan, arguments, args, kwargs)
        if kind.recordings >= MOST_RECORDINGS:
            kind.reason, kind.final = kind.reason or "what it depends on changes too often", True
            kind.plans, self._replay = [], None
            return self._eager(kind.reason, args, kwargs)
        kind.recordings += 1
        kind.plans[: max(0, len(kind.plans) - MOST_PLANS + 1)] = []
        result = self._record(kind, arguments, args, kwargs)
        self.reason = kind.reason or "recorded; the next call is compared with a replay"
        return result

    # -- recording

    def _record(self, kind, arguments, args, kwargs):
        aliases = [t._alias() for t in arguments]
        swap = {id(t): a for t, a in zip(arguments, aliases, strict=True)}
        call_args, call_kwargs = (
            rebuilt(tree, iter([swap.get(id(v), v) if type(v) is Tensor else v for v in leaves(tree)]))
            for tree in (args, kwargs)
        )
        recorder = Recorder(aliases)
        watch = Watch(recorder)
        kind.reason = None
        _of_thread.inside = True
        try:
            with recorder:
                with watch:
                    result = self._function(*call_args, **call_kwargs)
                recorder.paused += 1
                try:
                    checks = watch.checks(self._function)
                    if watch.problem is not None:
                        raise Unsuitable(recorder.failure or watch.problem)
                    plan = Plan(recorder, result, checks, watch.weights(), not kind.plain)
                    _check_survivors(recorder, result, plan)
                    kind.plans.append(plan)
                except Unsuitable as error:
                    kind.reason = str(error)
                    kind.final = not _passing(kind.reason) or kind.recordings >= 4
        except Busy:
            kind.reason = "another thread is recording"
            return self._function(*args, **kwargs)
        finally:
            _of_thread.inside = False
        result = _returned(result, dict(zip(map(id, aliases), arguments, strict=True)), kind.reason is None)
        traced, holders = recorder.traced, recorder.holders
        plan = None
        recorder.release()
        del recorder, watch
        swept(traced)
        if kind.reason is None:
            settled.note(kind.plans[-1], holders)
        return result

    def _try(self, kind, plan, arguments, args, kwargs):
        """A call that runs as it is, and then again as a replay, from the same state: both have to end alike."""
        outside = plan.memories()
        before = [np.array(a) for a in outside]
        result = self._function(*args, **kwargs)
        after = [np.array(a) for a in outside]
        _put(outside, before)
        try:
            outputs = plan.run(arguments)
            asks = outputs is OTHERWISE or outputs is CHANGED
            wrong = None if asks else _difference(plan, outputs, arguments, result, outside, after)
        finally:
            _put(outside, after)
        plan.forget_grads()
        if asks:
            self.reason = "the values of the arguments ask for another way"
        elif wrong is None:
            plan.trusted = True
            self.reason = "compared with a replay; the next call is replayed"
        elif plan.fused:
            kind.plain, kind.plans = True, []
            self.reason = f"a replay with fused kernels came out otherwise: {wrong}"
        else:
            kind.reason, kind.final = f"a replay came out otherwise: {wrong}", True
            kind.plans = []
            self.reason = kind.reason
        return result

    # -- what it says

    def source(self):
        """The kernels that a replay calls, in order, as Python source; of the last kind of arguments recorded.

        Raises:
            RuntimeError: nothing was recorded.
        """
        from .listing import listing

        plans = [plan for kind in self._kinds.values() for plan in kind.plans]
        if not plans:
            raise RuntimeError(f"nothing to show: {self.reason}")
        return listing(plans[-1], getattr(self._function, "__name__", type(self._function).__name__))


class CompiledModule(Module):
    """A module whose calls are compiled; everything else is the module's own.

    Attributes:
        _orig_mod: the module.
    """

    def __init__(self, module):
        super().__init__()
        self._orig_mod = module
        self.__dict__["_compiled"] = Compiled(module)

    def __call__(self, *args, **kwargs):
        return self._compiled(*args, **kwargs)

    def forward(self, *args, **kwargs):
        """The module's call, compiled."""
        return self._compiled(*args, **kwargs)

    @property
    def training(self):
        """The module's mode."""
        return self._orig_mod.training

    @training.setter
    def training(self, value):
        self._orig_mod.training = value

    @property
    def reason(self):
        """Why the last call was not replayed, or None."""
        return self._compiled.reason

    def source(self):
        """See :meth:`Compiled.source`."""
        return self._compiled.source()

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "_orig_mod":
                raise
            return getattr(super().__getattr__("_orig_mod"), name)

    def __setattr__(self, name, value):
        if name == "_orig_mod" or "_orig_mod" not in self._modules:
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def extra_repr(self):
        """Nothing: the module is shown as a child."""
        return ""


def _describe(value, arguments, shape):
    """Adds an argument to a kind's key, and the tensors in it to ``arguments``."""
    if isinstance(value, Tensor):
        if type(value) is not Tensor:
            shape.append(("tensor", id(value)))
            return
        if value._rg:
            raise Unsuitable("an argument requires gradients")
        arguments.append(value)
        d = value._data
        shape += (d.shape, d.dtype, d.strides)
    elif isinstance(value, _CONSTANTS):
        shape.append((type(value), value))
    elif isinstance(value, tuple | list):
        shape.append((type(value), len(value)))
        for v in value:
            _describe(v, arguments, shape)
    elif isinstance(value, dict):
        shape.append((dict, tuple(value)))
        for v in value.values():
            _describe(v, arguments, shape)
    elif isinstance(value, dtypes.dtype | Module):
        shape.append(("object", id(value)))
    else:
        raise Unsuitable(f"an argument is a {type(value).__name__}")


def _held(args, kwargs):
    return [v for tree in (args, kwargs) for v in leaves(tree) if type(v) is not Tensor]


def _passing(reason):
    """Whether a reason may be gone at the next call."""
    return "not made its state yet" in reason or "from outside tnn" in reason


def _check_survivors(recorder, result, plan):
    """Raises Unsuitable where a tensor made in the call is kept by somebody."""
    known = set()
    for leaf in [*(grad.owner._grad for grad in plan.grads), *leaves(result)]:
        if isinstance(leaf, Tensor):
            known.add(id(leaf))
            if leaf._base is not None:
                known.add(id(leaf._base.base))

    def alive():
        return [t for t in (w() for w in recorder.internal) if t is not None and id(t) not in known]

    if alive():
        gc.collect()
        left = alive()
        if left:
            raise Unsuitable(f"a tensor of shape {list(left[0].shape)} made in the call is kept outside it")


def _returned(result, originals, cut):
    """What a recorded call gives: the caller's own tensors in place of their aliases, used-up graphs cut off."""
    out = []
    for leaf in leaves(result):
        if isinstance(leaf, Tensor):
            leaf = originals.get(id(leaf), leaf)
            if cut and leaf._node is not None and used_up(leaf):
                Replayed(leaf._node.name()).attach(leaf)
        out.append(unwrapped(leaf))
    return rebuilt(result, iter(out))


def _put(arrays, contents):
    for array, content in zip(arrays, contents, strict=True):
        array[...] = content


def _same(a, b):
    """Whether two arrays hold the same bits; of a NaN neither sign nor payload count, which arithmetic leaves open."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if np.array(a).tobytes() == np.array(b).tobytes():
        return True
    return a.dtype.kind == "f" and a.dtype.itemsize >= 4 and _numbers(a).tobytes() == _numbers(b).tobytes()


def _numbers(a):
    out = np.array(a)
    out[np.isnan(out)] = np.nan
    return out


def _difference(plan, outputs, arguments, result, outside, after):
    """What differs between a replay and the call itself, or None."""
    arrays, grads = outputs
    for (kind, value, ref, node), theirs in zip(plan.parts, leaves(result), strict=True):
        if kind == "tensor":
            base = arrays[value]
            mine = np.ndarray(ref.shape, ref.dtype, base, ref.offset, ref.strides)
            if theirs._rg is not (node is not None) or not _same(mine, theirs._data):
                return f"a result of shape {list(theirs.shape)}"
        elif theirs is not (arguments[value] if kind == "argument" else value) and theirs != value:
            return f"the result {theirs!r}"
    for grad, mine in zip(plan.grads, grads, strict=True):
        theirs = grad.owner._grad
        if theirs is None or not _same(mine._data, theirs._data):
            return f"a gradient of shape {list(grad.shape)}"
    for t in plan.cleared:
        if t._grad is not None:
            return "a gradient is not cleared"
    for mine, theirs in zip(outside, after, strict=True):
        if not _same(mine, theirs):
            return f"a parameter, buffer or state of shape {list(theirs.shape)}"
    return None
