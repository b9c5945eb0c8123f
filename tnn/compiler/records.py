"""What a recording consists of: buffers, the parts of them that operations see, and the operations in order."""

import numpy as np

from .traced import address_of, span


class Buffer:
    """A piece of memory.

    Attributes:
        kind: "temporary" (made in the call), "argument", "outside" (a parameter, a buffer, an optimizer's state: found
            by reference) or "constant" (never written).
        array: the ndarray that holds it while recording.
        pristine: whether its content is the same in every call, so far.
        links: buffers whose addresses its content holds, at the places in ``marks`` (bytes from the start).
        place: the argument's number, for an argument.
        alone: whether no other buffer can share its memory: a generator's state.
        watched: whether writes to the memory of a tensor from outside can be seen; see settled.py.
    """

    __slots__ = ("kind", "array", "start", "stop", "nbytes", "pristine", "links", "marks", "place", "output", "alone",
                 "watched")  # fmt: skip

    def __init__(self, kind, array, pristine=False, place=None):
        self.kind, self.array, self.pristine, self.place = kind, array, pristine, place
        self.start, self.stop = span(array)
        self.nbytes = self.stop - self.start
        self.links, self.marks = (), set()
        self.output = False  # whether it outlives the call
        self.alone = kind in ("temporary", "constant")
        self.watched = False

    def link(self, ref, addresses):
        """Notes that a part of it, ``ref``, holds addresses: ``{position: ref}``."""
        self.links = (*self.links, *(r.buffer for r in addresses.values()))
        self.marks.update(ref.offset + 8 * position for position in addresses)

    def static(self, array):
        """Whether a part of it has the same content in every call."""
        if not self.pristine:
            return False
        start, stop = span(array)
        return not any(start - 8 < self.start + mark < stop for mark in self.marks)

    def holds(self, array):
        """Whether an ndarray lies within."""
        start, stop = span(array)
        return self.start <= start and stop <= self.stop and self.nbytes > 0


class Ref:
    """A strided part of a buffer."""

    __slots__ = ("buffer", "offset", "shape", "strides", "dtype")

    def __init__(self, buffer, array):
        self.buffer = buffer
        self.offset = address_of(array) - buffer.start
        self.shape, self.strides, self.dtype = array.shape, array.strides, array.dtype

    def contiguous(self):
        """Whether it is in row-major order without gaps."""
        step = self.dtype.itemsize
        for n, s in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if n != 1 and s != step:
                return False
            step *= n
        return True

    def whole(self):
        """Whether it is all of its buffer, in order."""
        return self.offset == 0 and self.contiguous() and self.size * self.dtype.itemsize == self.buffer.nbytes

    @property
    def size(self):
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def same(self, other):
        """Whether both show the same elements in the same order."""
        return (self.buffer is other.buffer and self.offset == other.offset and self.shape == other.shape
                and self.strides == other.strides and self.dtype == other.dtype)  # fmt: skip


class Place:
    """The address of a part of a buffer, as a number for a kernel."""

    __slots__ = ("ref",)

    def __init__(self, ref):
        self.ref = ref


class Scalar:
    """A float that is known when a replay starts: number ``index`` of those that a rule of steps.py computes."""

    __slots__ = ("rule", "index")

    def __init__(self, rule, index):
        self.rule, self.index = rule, index


def refs_in(value):
    """All refs inside tuples, lists and dicts."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Place):
        yield value.ref
    elif isinstance(value, tuple | list):
        for v in value:
            yield from refs_in(v)
    elif isinstance(value, dict):
        yield from refs_in(list(value.values()))


class Operation:
    """One entry of the flat list."""

    __slots__ = ("early",)

    def __init__(self):
        self.early = False

    def refs(self):
        """What it reads or writes."""
        raise NotImplementedError

    def buffers(self):
        """The buffers that it touches, those behind addresses too."""
        found = []
        for ref in self.refs():
            found.append(ref.buffer)
            found.extend(ref.buffer.links)
        return found


class KernelCall(Operation):
    """A compiled kernel on arrays and numbers; ``expect``: what it has to return, None for nothing."""

    __slots__ = ("dispatcher", "compiled", "args", "expect")

    def __init__(self, dispatcher, compiled, args, expect=None):
        super().__init__()
        self.dispatcher, self.compiled, self.args, self.expect = dispatcher, compiled, args, expect

    @property
    def name(self):
        """The kernel's name."""
        return self.dispatcher.py_func.__name__

    def refs(self):
        return list(refs_in(self.args))


class Fill(Operation):
    """Constants copied into a buffer; ``addresses``: {position: ref} where an address goes in."""

    __slots__ = ("target", "content", "addresses")

    def __init__(self, target, content, addresses=None):
        super().__init__()
        self.target, self.content, self.addresses = target, content, addresses or {}

    def refs(self):
        return [self.target, *self.addresses.values()]


class Copy(Operation):
    """``target[...] = source``, with broadcasting and conversion as NumPy's."""

    __slots__ = ("target", "source")

    def __init__(self, target, source):
        super().__init__()
        self.target, self.source = target, source

    def refs(self):
        return [self.target, self.source]


class AddNumber(Operation):
    """``target += number`` for an array of integers."""

    __slots__ = ("target", "number")

    def __init__(self, target, number):
        super().__init__()
        self.target, self.number = target, number

    def refs(self):
        return [self.target]


class Call(Operation):
    """``target[...] = function(*args, **kwargs)``, a function of NumPy that Python calls."""

    __slots__ = ("function", "args", "kwargs", "target")

    def __init__(self, function, args, kwargs, target):
        super().__init__()
        self.function, self.args, self.kwargs, self.target = function, args, kwargs, target

    def refs(self):
        return [*refs_in(self.args), *refs_in(self.kwargs), self.target]


class Decide(Operation):
    """A comparison that has to come out as it did."""

    __slots__ = ("source", "expect")

    def __init__(self, source, expect):
        super().__init__()
        self.source, self.expect = source, expect

    def refs(self):
        return [self.source]
