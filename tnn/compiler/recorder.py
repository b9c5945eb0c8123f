"""Recording: runs a call as it is and notes every kernel, every copy and every function of NumPy on the way.

The call computes what it always would. While it runs, three things are exchanged: how Numba's dispatchers are called
(so that a kernel call is seen, wherever it comes from), what ``Tensor._data`` gives (a :class:`~.traced.Traced` in
place of the ndarray), and the name ``np`` in tnn's files. Other threads meet the same names and pass through.
"""

import functools
import operator
import sys
import threading
import weakref

import numpy as np
from numba import _dispatcher
from numba.core.registry import CPUDispatcher

from .. import random as tnn_random
from ..kernels import _pool, _words
from ..optim.optimizer import Optimizer
from ..tensor import Tensor, Version
from . import records, settled, steps
from .traced import Address, Numpy, Traced, unwrapped

_run = _dispatcher.Dispatcher.__call__
_data = Tensor.__dict__["_data"]
_grad = Tensor.__dict__["_grad"]
_step_groups = Optimizer._step_groups

# Functions of NumPy by what they do to their arguments.
_SHAPE_ONLY = {
    "shape", "ndim", "size", "broadcast_shapes", "result_type", "can_cast", "may_share_memory", "shares_memory",
    "isscalar", "iscomplexobj", "byte_bounds", "ix_", "min_scalar_type",
}  # fmt: skip
_LIKE = {"empty_like", "zeros_like", "ones_like", "full_like"}
_WRITERS = {"put", "put_along_axis", "place", "putmask", "fill_diagonal"}
_BY_CONTENT = {"nonzero", "flatnonzero", "argwhere", "unique", "compress", "extract", "repeat", "bincount", "histogram"}
# Kernels that may advance a generator: everything that they draw is in the state that they are given.
_DRAWING = {"dropout_forward", "bernoulli_forward", "note_states"}
# Methods of Tensor that hand its memory out.
_LEAVING = ("numpy", "__array__", "__dlpack__", "untyped_storage", "storage", "data_ptr", "set_", "map_", "apply_")
# Constants larger than this are not checked for changes, but refused.
_MOST = 1 << 22

_recording = threading.Lock()
recording = [False]  # whether some thread is


class Recorder:
    """One recording of one call.

    Attributes:
        operations: the flat list.
        outside: ``{id: (tensor, array, traced)}`` for the tensors that were there before.
        holders: ``{id: how many others held its memory}`` for them.
        grads_read: ``{id: (tensor, grad)}`` for gradients that were looked at before they were set.
        failure: why this cannot be replayed, or None.
    """

    def __init__(self, arguments):
        self.argument_tensors = arguments
        self.arguments = {id(t): i for i, t in enumerate(arguments)}
        self.versions, self.holders = {}, {}
        self.traced = []  # weak references to all traced arrays
        self.operations, self.outside, self.grads_read = [], {}, {}
        self.grads_set, self.internal = {}, []
        self.failure = None
        self.paused = 0
        self.thread = threading.get_ident()
        self.constants = {}
        self.rules = []
        self.generator = tnn_random.current_generator()
        self.draws = False

    # -- what the exchanged names ask

    def on(self):
        """Whether this thread is being recorded."""
        return self.failure is None and not self.paused and threading.get_ident() == self.thread

    def fail(self, reason):
        """Gives the recording up, but not the call."""
        if self.failure is None:
            frame = sys._getframe(1)
            while frame is not None and frame.f_globals.get("__name__", "").startswith("tnn.compiler"):
                frame = frame.f_back
            place = "" if frame is None else f" ({frame.f_globals.get('__name__')}.{frame.f_code.co_name})"
            self.failure = reason + place

    def escape(self, traced, what):
        """The array itself, for a value that goes into Python: only constants may."""
        if self.on() and not traced.buffer.static(traced.real):
            self.fail(f"data goes into Python: {what} of a tensor of shape {list(traced.shape)}")
        return traced.real

    def decide(self, traced):
        """A truth value that decides how the call goes on."""
        value = bool(traced.real)
        if self.on() and not traced.buffer.static(traced.real):
            self.operations.append(records.Decide(self.ref(traced), value))
        return value

    def ref(self, traced):
        """The part of a buffer that a traced array shows."""
        return records.Ref(traced.buffer, traced.real)

    def made(self, array, foreign=False, fresh=False, addresses=None):
        """A traced array of a new ndarray; its content is noted as constants unless it is ``fresh``."""
        if not self.on():
            return array
        if foreign:
            self.fail("an ndarray from outside tnn is read")
            return array
        buffer = records.Buffer("temporary", array, pristine=not fresh)
        out = Traced(array, buffer, self)
        if not fresh:
            ref, refs = self.ref(out), {i: self.ref(t) for i, t in (addresses or {}).items()}
            self.operations.append(records.Fill(ref, np.array(array, order="C"), refs))
            buffer.link(ref, refs)
        return out

    def constant(self, array):
        """A traced array of an ndarray that nobody writes."""
        known = self.constants.get(id(array))
        if known is None:
            known = self.constants[id(array)] = Traced(array, records.Buffer("constant", array, pristine=True), self)
        return known

    # -- NumPy

    def function(self, function, args, kwargs):
        """A function of NumPy."""
        if not self.on():
            return function(*unwrapped(args), **unwrapped(kwargs))
        found, plain, addresses = [], [], {}
        _sort((*args, *kwargs.values()), found, plain, addresses)
        name = function.__name__
        for array in plain:
            if id(array) not in self.constants:
                self.fail("an ndarray from outside tnn is read")
                return function(*unwrapped(args), **unwrapped(kwargs))
        if not found or name in _LIKE:
            return self._from_nothing(function, name, args, kwargs, addresses)
        if name in _SHAPE_ONLY:
            return function(*unwrapped(args), **unwrapped(kwargs))
        if name == "copyto" and len(args) == 2 and not kwargs:
            return self.assign(*args)
        if name in _WRITERS or name in _BY_CONTENT or (name == "where" and len(args) == 1) or _masked(name, args):
            self.fail(f"NumPy's {name} of data")
            return function(*unwrapped(args), **unwrapped(kwargs))
        out = kwargs.pop("out", None)
        out = out[0] if type(out) is tuple else out
        result = self._result(function, name, args, kwargs, found)
        if out is None:
            return result
        self.assign(out, result)
        return out

    def _from_nothing(self, function, name, args, kwargs, addresses):
        result = function(*unwrapped(args), **unwrapped(kwargs))
        if type(result) is np.ndarray:
            if addresses and result.shape != (len(args[0]),):
                self.fail("an address goes into Python")
            return self.made(result, fresh=name in ("empty", "empty_like"), addresses=addresses)
        if type(result) in (tuple, list) and any(isinstance(r, np.ndarray) for r in result):
            return type(result)(self.made(r) if type(r) is np.ndarray else r for r in result)
        return result

    def _result(self, function, name, args, kwargs, found):
        result = function(*unwrapped(args), **unwrapped(kwargs))
        if isinstance(result, np.ndarray):
            for traced in found:
                if traced.buffer.holds(result):
                    return Traced(result, traced.buffer, self)
        elif isinstance(result, np.generic | bool | int | float):
            result = np.array(result)
        else:
            self.fail(f"NumPy's {name} gives several results")
            return result
        if all(t.buffer.static(t.real) for t in found):
            return self.made(result)
        out = Traced(result, records.Buffer("temporary", result), self)
        source = self._plain_copy(function, name, args, kwargs, found)
        if source is not None:
            self.operations.append(records.Copy(self.ref(out), source))
        else:
            self.operations.append(records.Call(function, self._refs(args), self._refs(kwargs), self.ref(out)))
        return out

    def _plain_copy(self, function, name, args, kwargs, found):
        """The source, where a function of NumPy is but a copy of it."""
        copies = name in ("copy", "ascontiguousarray", "array", "asarray", "astype", "ravel", "reshape")
        if not copies or len(found) != 1 or found[0] is not args[0]:
            return None
        source = found[0]
        if name in ("ravel", "reshape"):
            return None if not source.flags.c_contiguous else self.ref(source)
        shape = (1,) if name == "ascontiguousarray" and source.ndim == 0 else source.shape
        result = function(*unwrapped(args), **unwrapped(kwargs))
        return self.ref(source) if result.shape == shape and shape == source.shape else None

    def _refs(self, value):
        kind = type(value)
        if kind is Traced:
            return self.ref(value)
        if kind is tuple or kind is list:
            return kind(self._refs(v) for v in value)
        if kind is dict:
            return {k: self._refs(v) for k, v in value.items()}
        if kind is np.ndarray:
            return self.ref(self.constant(value))
        return value

    def assign(self, target, value):
        """``target[...] = value``."""
        if not self.on():
            np.copyto(unwrapped(target), unwrapped(value), casting="unsafe")
            return
        if type(target) is not Traced:
            self.fail("an ndarray from outside tnn is written")
            np.copyto(target, unwrapped(value), casting="unsafe")
            return
        found, plain, addresses = [], [], {}
        _sort((value,), found, plain, addresses)
        if addresses and isinstance(value, tuple | list):
            self._assign_addresses(target, value, addresses)
            return
        target.real[...] = unwrapped(value)
        target.buffer.pristine = False
        if found:
            if found[0] is not value:
                self.fail("an assignment of a list of tensors")
            else:
                self.operations.append(records.Copy(self.ref(target), self.ref(value)))
        elif any(id(array) not in self.constants for array in plain):
            self.fail("an ndarray from outside tnn is read")
        else:
            self.operations.append(records.Fill(self.ref(target), np.array(target.real, order="C")))

    def add(self, target, number):
        """``target += number``."""
        plain = target.dtype.kind in "iu" and type(number) is int and target.flags.c_contiguous
        if not self.on() or not plain:
            self.assign(target, self.function(operator.add, (target, number), {}))
            return
        target.real[...] += number
        target.buffer.pristine = False
        self.operations.append(records.AddNumber(self.ref(target), number))

    def _assign_addresses(self, target, value, addresses):
        target.real[...] = unwrapped(value)
        refs = {i: self.ref(t) for i, t in addresses.items()}
        target.buffer.link(self.ref(target), refs)
        self.operations.append(records.Fill(self.ref(target), np.array(target.real, order="C"), refs))

    # -- kernels

    def kernel(self, dispatcher, args, kwargs):
        """A call of a compiled kernel from Python."""
        if not self.on():
            return _run(dispatcher, *unwrapped(args), **unwrapped(kwargs))
        if kwargs:
            self.fail(f"kernel {dispatcher.py_func.__name__} is called with keywords")
            return _run(dispatcher, *unwrapped(args), **unwrapped(kwargs))
        checks = []
        noted = tuple(self._operand(dispatcher, a, checks) for a in args)
        real = unwrapped(args)
        real = tuple(a[()] if type(a) is np.ndarray and a.ndim == 0 else a for a in real)
        result = _run(dispatcher, *real)
        if not self.on():
            return result
        for array, before in checks:
            if not np.array_equal(array.reshape(-1).view(np.uint8), before):
                self.fail(f"kernel {dispatcher.py_func.__name__} writes to an array that was made outside the call")
        if result is not None and not isinstance(result, bool | int | float):
            self.fail(f"kernel {dispatcher.py_func.__name__} returns a {type(result).__name__}")
        compiled = dispatcher.overloads.get(tuple(dispatcher.typeof_pyval(a) for a in real))
        if compiled is None:
            self.fail(f"kernel {dispatcher.py_func.__name__} was called in an unknown way")
            return result
        for ref in records.refs_in(noted):
            ref.buffer.pristine = ref.buffer.kind == "constant"
        self.operations.append(records.KernelCall(dispatcher, compiled, noted, result))
        return result

    def _operand(self, dispatcher, value, checks):
        kind = type(value)
        if kind is Address:
            return records.Place(self._operand(dispatcher, value.traced, checks))
        if kind is Traced:
            if value.ndim == 0:
                self.escape(value, "a number for a kernel")
                return value.real[()]
            if value.buffer.kind == "constant":
                checks.append((value.real, np.array(value.real).reshape(-1).view(np.uint8)))
            return self.ref(value)
        if kind is tuple:
            return tuple(self._operand(dispatcher, v, checks) for v in value)
        if not isinstance(value, np.ndarray):
            return value
        if value is self.generator._state:
            if dispatcher.py_func.__name__ not in _DRAWING:
                self.fail("random numbers are drawn other than by dropout")
            self.draws = True
            known = self.constants.get(id(value))
            if known is None:
                known = self.constants[id(value)] = Traced(value, records.Buffer("outside", value), self)
                known.buffer.alone = True
            return self.ref(known)
        if value.nbytes > _MOST:
            self.fail(f"kernel {dispatcher.py_func.__name__} gets a large array that was made outside the call")
        if value.flags.c_contiguous:
            checks.append((value, np.array(value).reshape(-1).view(np.uint8)))
        else:
            self.fail("a kernel gets an array with gaps that was made outside the call")
        return self.ref(self.constant(value))

    # -- tensors

    def get_data(self, t):
        """``t._data``."""
        d = _data.__get__(t)
        if type(d) is Traced:
            return d if threading.get_ident() == self.thread and not self.paused and self.failure is None else d.real
        if not self.on():
            return d
        known = self.outside.get(id(t))
        if known is None:
            others, place = settled.holders(d), self.arguments.get(id(t))
            buffer = records.Buffer("outside" if place is None else "argument", d, place=place)
            if t._version is None:
                t._version = Version()
            if place is None:
                self.holders[id(t)] = others
                buffer.watched = settled.alone(d, others)
            known = self.outside[id(t)] = t, d, Traced(d, buffer, self)
            self.versions[id(t)] = t._version.n
        elif known[1] is not d:
            self.fail("a tensor's memory is exchanged")
        return known[2]

    def set_data(self, t, value):
        """``t._data = value``."""
        if not self.on():
            _data.__set__(t, value)
            return
        if id(t) in self.outside:
            self.fail("the memory of a tensor from outside is exchanged")
            value = unwrapped(value)
        elif type(value) is not Traced:
            if id(value) in self.constants:
                value = self.constants[id(value)]
            else:
                self.fail("a tensor is made from an array from outside tnn")
        self.internal.append(weakref.ref(t))
        _data.__set__(t, value)

    def get_grad(self, t):
        """``t._grad``."""
        g = _grad.__get__(t)
        if self.on() and id(t) not in self.grads_set and id(t) not in self.grads_read:
            self.grads_read[id(t)] = t, g
        return g

    def set_grad(self, t, value):
        """``t._grad = value``."""
        if self.on() and (value is not None or hasattr(t, "_hooks")):  # a tensor in the making has no hooks yet
            self.grads_set[id(t)] = t
        _grad.__set__(t, value)

    def step(self, optimizer, closure=None):
        """An optimizer's step: run as it is, noted as a whole."""
        if not self.on():
            return _step_groups(optimizer, closure)
        if closure is not None:
            self.fail("the optimizer is given a closure")
            return _step_groups(optimizer, closure)
        parts = steps.parts_of(optimizer, self)
        self.paused += 1
        try:
            out = _step_groups(optimizer, None)
        finally:
            self.paused -= 1
        if isinstance(parts, str):
            self.failure = self.failure or parts
        else:
            calls, rules = parts
            self.operations += calls
            self.rules += rules
        return out

    # -- exchanging names

    def __enter__(self):
        if not _recording.acquire(blocking=False):
            raise Busy
        recording[0] = True
        self._back = []
        CPUDispatcher.__call__ = lambda dispatcher, *args, **kwargs: self.kernel(dispatcher, args, kwargs)
        Tensor._data = property(self.get_data, self.set_data)
        Tensor._grad = property(self.get_grad, self.set_grad)
        Optimizer._step_groups = lambda optimizer, closure=None: self.step(optimizer, closure)
        for name in _LEAVING:
            if name in vars(Tensor):
                self._back.append((None, name, vars(Tensor)[name]))
                setattr(Tensor, name, self._leaving(name, vars(Tensor)[name]))
        numpy = Numpy(self)
        for name, module in list(sys.modules.items()):
            if name.startswith("tnn.") and not name.startswith(("tnn.kernels.", "tnn.compiler")):
                self._exchange(module, {np: numpy, _words.address: Address.number})
        address = _words.address
        for name, module in list(sys.modules.items()):
            if name in ("tnn.kernels._pool", "tnn.kernels._copy"):
                self._exchange(module, {np: numpy, address: Address.of})
            elif name.startswith("tnn.kernels.") and module is not _words and vars(module).get("address") is address:
                self._exchange(module, {address: Address.of})
        return self

    def release(self):
        """Lets go of all that was recorded."""
        self.operations, self.outside, self.constants, self._back = [], {}, {}, []

    def _exchange(self, module, others):
        """Puts others in place of some of a module's names: of these, of functions with a memory, of the pool's."""
        space = vars(module)
        for name, value in list(space.items()):
            if isinstance(value, functools._lru_cache_wrapper):
                new = self._outside_recording(value)
            elif name == "_take" and module is _pool:
                new = self._without_pool(value)
            elif value is np or value is _words.address:
                new = others.get(value)
            else:
                continue
            if new is not None:
                self._back.append((space, name, value))
                space[name] = new

    def _leaving(self, name, method):
        """A method that hands out a tensor's memory: what happens to it then is not seen."""

        @functools.wraps(method)
        def seen(*args, **kwargs):
            if self.on():
                self.fail(f"memory is handed out by Tensor.{name}")
            return method(*args, **kwargs)

        return seen

    def _outside_recording(self, function):
        """A function with a memory: what it makes stays, so it must not be traced."""

        @functools.wraps(function)
        def plain(*args, **kwargs):
            if not self.on():
                return function(*args, **kwargs)
            self.paused += 1
            try:
                out = function(*args, **kwargs)
            finally:
                self.paused -= 1
            return self.constant(out) if isinstance(out, np.ndarray) else out

        return plain

    def _without_pool(self, take):
        """The pool's way to new arrays: while this is on, they are made by NumPy, which is seen."""
        return lambda *args: None if self.on() else take(*args)

    def __exit__(self, *exc):
        del CPUDispatcher.__call__
        Tensor._data, Tensor._grad = _data, _grad
        Optimizer._step_groups = _step_groups
        for space, name, value in self._back:
            if space is None:
                setattr(Tensor, name, value)
            else:
                space[name] = value
        for weak in self.internal:
            t = weak()
            if t is not None:
                d = _data.__get__(t)
                if type(d) is Traced:
                    _data.__set__(t, d.real)
        recording[0] = False
        _recording.release()


class Busy(Exception):
    """Another thread is recording."""


def _sort(values, found, plain, addresses):
    """Looks for traced arrays, ndarrays and addresses in arguments."""
    for value in values:
        kind = type(value)
        if kind is Traced:
            found.append(value)
        elif kind is tuple or kind is list:
            for i, v in enumerate(value):
                if type(v) is Address:
                    addresses[i] = v.traced
            _sort(value, found, plain, addresses)
        elif isinstance(value, np.ndarray):
            plain.append(value)


def _masked(name, args):
    return name == "getitem" and any(
        type(k) is Traced and k.dtype == np.bool_ for k in (args[1] if type(args[1]) is tuple else (args[1],))
    )
