"""Traced arrays: what stands in for an ndarray while a call is recorded.

A :class:`Traced` is no ndarray. It holds one, and everything that is done with it goes through here: views keep their
buffer, NumPy's functions are recorded, kernels get the array inside. Whatever would let a value escape into Python (a
number, a comparison that decides a branch) or is not known here marks the recording as failed, with the reason, and
goes on with the array itself: so a call that cannot be recorded still computes what it should.
"""

import functools
import gc
import operator
import sys
import types
import weakref

import numpy as np

from ..kernels._words import address


class Address:
    """The address of a traced array, which knows whose it is; as a number it would be lost."""

    __slots__ = ("value", "traced")

    def __init__(self, value, traced):
        self.value, self.traced = value, traced

    @classmethod
    def of(cls, array):
        """The address of an array, traced or not."""
        return cls(address(array.real), array) if type(array) is Traced else address(array)

    @staticmethod
    def number(array):
        """The same as a number that only questions about this call's memory may use."""
        return address(array.real if type(array) is Traced else array)

    def _lost(self, function, *others):
        self.traced.tracer.fail("an address goes into Python")
        return function(self.value, *(o.value if type(o) is Address else o for o in others))

    def __int__(self):
        return self._lost(int)

    __index__ = __int__
    __hash__ = None  # type: ignore[assignment]


def address_of(array):
    """Where an ndarray begins."""
    return array.__array_interface__["data"][0]


def span(array):
    """The first byte of an ndarray and the one behind its last."""
    if not array.size:
        start = address_of(array)
        return start, start
    return np.lib.array_utils.byte_bounds(array)


# Methods that NumPy answers with a new array, or with a scalar, which becomes an array without dimensions.
_METHODS = (
    "all any argmax argmin argsort astype clip copy cumprod cumsum dot max mean min prod repeat round std sum take "
    "trace var byteswap"
).split()
_VIEWS = "reshape ravel transpose swapaxes squeeze view diagonal".split()
_BINARY = "add sub mul truediv floordiv mod pow and_ or_ xor lshift rshift matmul eq ne lt le gt ge".split()
_UNARY = "neg pos abs invert".split()


class Traced:
    """An array under recording.

    Attributes:
        real: the ndarray.
        buffer: the memory that it shows a part of.
        tracer: who records.
    """

    # The last ones are room: code that takes any argument for an ndarray and looks at its fields stays inside.
    __slots__ = ("real", "buffer", "tracer", "__weakref__", *(f"_{i}" for i in range(6)))

    __array_priority__ = 1e6

    def __init__(self, real, buffer, tracer):
        self.real, self.buffer, self.tracer = real, buffer, tracer
        tracer.traced.append(weakref.ref(self))

    shape = property(lambda self: self.real.shape)
    dtype = property(lambda self: self.real.dtype)
    ndim = property(lambda self: self.real.ndim)
    size = property(lambda self: self.real.size)
    strides = property(lambda self: self.real.strides)
    itemsize = property(lambda self: self.real.itemsize)
    nbytes = property(lambda self: self.real.nbytes)
    flags = property(lambda self: self.real.flags)

    @property
    def base(self):
        """None for a whole buffer; else something that is no array, so that nobody takes the memory over."""
        return None if self.real.nbytes == self.buffer.nbytes else self.buffer

    @property
    def T(self):
        """The transpose."""
        return self._view(self.real.T)

    @property
    def __array_interface__(self):
        # NumPy asks for this too, and then is to go on to __array__: only tnn's code that names it gets it
        frame = sys._getframe(1)
        if "__array_interface__" not in frame.f_code.co_names or frame.f_globals.get("__name__", "")[:4] != "tnn.":
            raise AttributeError("__array_interface__")
        interface = dict(self.real.__array_interface__)
        interface["data"] = Address(interface["data"][0], self), False
        return interface

    def _view(self, real):
        return Traced(real, self.buffer, self.tracer)

    def __getitem__(self, key):
        if isinstance(key, Traced) or (isinstance(key, tuple) and any(isinstance(k, Traced) for k in key)):
            return self.tracer.function(operator.getitem, (self, key), {})
        out = self.real[key]
        if isinstance(out, np.ndarray) and self.buffer.holds(out):
            return self._view(out)
        if isinstance(out, np.ndarray):
            return self.tracer.function(operator.getitem, (self, key), {})
        # a scalar, which does not follow later changes of the memory
        whole = (*key, ...) if isinstance(key, tuple) else (key, ...)
        return self.tracer.function(np.copy, (self._view(self.real[whole]),), {})

    def __setitem__(self, key, value):
        if isinstance(key, Traced) or (isinstance(key, tuple) and any(isinstance(k, Traced) for k in key)):
            self.tracer.fail("an assignment to elements that other data chooses")
            self.real[unwrapped(key)] = unwrapped(value)
            return
        if isinstance(key, tuple) and not any(k is Ellipsis for k in key):
            key = (*key, ...)
        elif not isinstance(key, tuple) and key is not Ellipsis:
            key = (key, ...)
        target = self.real[key]
        if not self.buffer.holds(target):
            self.tracer.fail("an assignment to elements chosen by a list")
            self.real[key] = unwrapped(value)
            return
        self.tracer.assign(self._view(target), value)

    def fill(self, value):
        """Sets every element to one value."""
        self.tracer.assign(self, value)

    def item(self, *args):
        """An element as a number."""
        return self.tracer.escape(self, ".item()").item(*args)

    def tolist(self):
        """The elements as lists."""
        return self.tracer.escape(self, ".tolist()").tolist()

    def __bool__(self):
        return self.tracer.decide(self)

    def __int__(self):
        return int(self.tracer.escape(self, "int()"))

    def __float__(self):
        return float(self.tracer.escape(self, "float()"))

    def __index__(self):
        return operator.index(self.tracer.escape(self, "an index"))

    def __len__(self):
        return len(self.real)

    def __iter__(self):
        return (self[i] for i in range(len(self.real)))

    def __array__(self, dtype=None, copy=None):
        real = self.tracer.escape(self, "a conversion to an ndarray")
        return real if dtype is None else real.astype(dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__":
            self.tracer.fail(f"NumPy's {ufunc.__name__}.{method}")
            return getattr(ufunc, method)(*unwrapped(inputs), **unwrapped(kwargs))
        return self.tracer.function(ufunc, inputs, kwargs)

    def __array_function__(self, function, kinds, args, kwargs):
        return self.tracer.function(function, args, kwargs)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        self.tracer.fail(f"an array's .{name}")
        return getattr(self.real, name)

    def __hash__(self):
        return id(self)


def unwrapped(value):
    """A value with the ndarrays in place of their traced stand-ins, inside tuples, lists and dicts too."""
    kind = type(value)
    if kind is Traced:
        return value.real
    if kind is Address:
        return value.value
    if kind is tuple or kind is list:
        return kind(unwrapped(v) for v in value)
    if kind is dict:
        return {k: unwrapped(v) for k, v in value.items()}
    return value


def swept(traced):
    """Puts the ndarrays back wherever somebody still holds a traced array: in graphs that live on, in users' lists.

    Args:
        traced: weak references to the traced arrays.
    """
    new = {id(t): (t, t.real) for t in (w() for w in traced) if t is not None}
    for _ in range(4):
        if not new:
            return
        tuples, known = {}, [old for old, _ in new.values()]
        own = {id(pair) for pair in new.values()} | {id(known), id(new)}
        for holder in gc.get_referrers(*known):
            if id(holder) in own or (type(holder) is tuple and list(map(id, holder)) == list(new)):
                continue  # this function's own, and the arguments of the call above
            if type(holder) is tuple:
                tuples[id(holder)] = holder, tuple(new[id(v)][1] if id(v) in new else v for v in holder)
            elif isinstance(holder, dict | list):
                for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
                    if id(value) in new:
                        holder[key] = new[id(value)][1]
            elif type(holder) is not Traced:
                _put_in_slots(holder, new)
        new = tuples


def _put_in_slots(holder, new):
    for kind in type(holder).__mro__:
        for name, slot in vars(kind).items():
            if isinstance(slot, types.MemberDescriptorType):
                value = getattr(holder, name, None)
                if id(value) in new:
                    setattr(holder, name, new[id(value)][1])


def _method(name):
    def method(self, *args, **kwargs):
        return self.tracer.function(_Method(name), (self, *args), kwargs)

    method.__name__ = name
    method.__doc__ = f"As ndarray's {name}, recorded."
    return method


@functools.lru_cache(256)
class _Method:
    """``array.name(*args)`` as a function of the array."""

    def __init__(self, name):
        self.__name__ = name
        self._call = operator.attrgetter(name)

    def __call__(self, array, *args, **kwargs):
        return self._call(array)(*args, **kwargs)


def _operator(function, swapped=False):
    def method(self, other):
        return self.tracer.function(function, (other, self) if swapped else (self, other), {})

    return method


def _in_place(function):
    def method(self, other):
        if function is operator.add:
            self.tracer.add(self, other)
        else:
            self.tracer.assign(self, function(self, other))
        return self

    return method


for _name in (*_BINARY, "neg"):
    if _name != "matmul":
        _plain, _function = _name.strip("_"), getattr(operator, _name)
        setattr(Address, f"__{_plain}__", lambda self, *others, f=_function: self._lost(f, *others))
for _name in (*_METHODS, *_VIEWS):
    setattr(Traced, _name, _method(_name))
for _name in _BINARY:
    _function = getattr(operator, _name)
    _plain = _name.strip("_")
    setattr(Traced, f"__{_plain}__", _operator(_function))
    if _name not in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(Traced, f"__r{_plain}__", _operator(_function, True))
        setattr(Traced, f"__i{_plain}__", _in_place(_function))
for _name in _UNARY:
    _function = getattr(operator, _name)
    setattr(Traced, f"__{_name}__", lambda self, f=_function: self.tracer.function(f, (self,), {}))


# ---------------------------------------------------------------- NumPy under another name


class _Kind(type):
    """Lets a stand-in for np.ndarray answer isinstance, and make arrays over traced memory."""

    def __instancecheck__(cls, value):
        return isinstance(value, Traced | np.ndarray)

    def __call__(cls, shape, dtype=float, buffer=None, offset=0, strides=None):
        if type(buffer) is Traced:
            return buffer._view(np.ndarray(shape, dtype, buffer.real, offset, strides))
        return cls.tracer.made(np.ndarray(shape, dtype, buffer, offset, strides), buffer is not None)


class _Function:
    """One of NumPy's functions, recorded where it meets traced arrays; what it makes of nothing is traced too."""

    def __init__(self, function, tracer):
        self._function, self._tracer = function, tracer

    def __call__(self, *args, **kwargs):
        tracer = self._tracer
        if not tracer.on():
            return self._function(*args, **kwargs)
        return tracer.function(self._function, args, kwargs)

    def __getattr__(self, name):
        return getattr(self._function, name)


class Numpy:
    """Stands for NumPy, or a module in it, in tnn's files while a call is recorded."""

    def __init__(self, tracer, module=np):
        self._tracer, self._module = tracer, module
        if module is np:
            self.ndarray = _Kind("ndarray", (), {"tracer": tracer})

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if isinstance(value, types.ModuleType):
            value = Numpy(self._tracer, value)
        elif callable(value) and not isinstance(value, type):
            value = _Function(value, self._tracer)
        setattr(self, name, value)
        return value
