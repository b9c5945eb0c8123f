"""What a checkpoint's pickle may name, and what stands for it here.

``SafeUnpickler`` builds plain containers, numbers, strings and tensors, and refuses everything else: each name in the
file leads to a builder in the table below, and each operation that could touch another object is checked.
"""

import contextlib
import pickle
import struct
from collections import Counter, OrderedDict, defaultdict
from pickle import UnpicklingError

import numpy as np

from . import dtypes
from .tensor import Size, Tensor, device, wrap

# Elements that a hashed key may hold: nested tuples that share parts can be exponentially slow to hash.
_MAX_KEY = 1000


# -- the names that a checkpoint's pickle uses


class StorageType:
    """What ``torch.FloatStorage`` and its kin stand for in a pickle: the dtype of a storage."""

    __slots__ = ("dtype", "name")

    def __init__(self, name, dtype):
        self.name = name
        self.dtype = dtype


UNTYPED = StorageType("UntypedStorage", dtypes.uint8)
# these come as untyped storages and a dtype
NEW_DTYPES = (dtypes.uint16, dtypes.uint32, dtypes.uint64, dtypes.float8_e4m3fn, dtypes.float8_e5m2)
STORAGE_TYPES = {d: StorageType(d.torch_name + "Storage", d) for d in dtypes.ALL if d not in NEW_DTYPES}


class Storage:
    """Bytes that tensors show: a flat ndarray, and the place where the file says it lived."""

    __slots__ = ("data", "location")
    device = device("cpu")

    def __init__(self, data, location="cpu"):
        self.data = data
        self.location = location

    def nbytes(self):
        """The number of bytes."""
        return self.data.nbytes

    def cpu(self):
        """The storage itself: it lives on the CPU."""
        return self


def rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad=False, backward_hooks=None, metadata=None):
    """A Tensor that shows part of a typed storage."""
    return rebuild_tensor_v3(storage, storage_offset, size, stride, requires_grad, backward_hooks, None, metadata)


def rebuild_tensor_v3(storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype, metadata=None):
    """A Tensor that shows part of a storage; raises where it would reach beyond it."""
    if type(storage) is not Storage:
        raise UnpicklingError(f"a tensor's storage must be a storage, got {type(storage).__name__}")
    if metadata:
        raise UnpicklingError("tensors with a conjugate or negative bit are not supported")
    data = storage.data
    if dtype is not None:
        if not isinstance(dtype, dtypes.dtype) or data.nbytes % dtype.itemsize:
            raise UnpicklingError(f"a storage of {data.nbytes} bytes cannot hold elements of {dtype!r}")
        data = data.view(dtype.np)
    check_view(storage_offset, size, stride, data.size)
    step = data.itemsize
    strides = tuple(s * step for s in stride)
    array = np.ndarray(tuple(size), data.dtype, data, storage_offset * step if 0 not in size else 0, strides)
    tensor = wrap(array)
    if requires_grad is True:
        tensor.requires_grad = True
    return tensor


def check_view(offset, size, stride, count):
    if type(size) not in (tuple, Size, list) or type(stride) not in (tuple, Size, list) or len(size) != len(stride):
        raise UnpicklingError(f"a tensor's size and stride must be tuples of one length, got {size!r} and {stride!r}")
    if any(type(v) is not int or v < 0 for v in (offset, *size, *stride)):
        raise UnpicklingError(
            f"a tensor's offset, size and stride must be integers >= 0, got {offset!r}, {size!r}, {stride!r}"
        )
    if 0 not in size:
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        if last >= count:
            raise UnpicklingError(
                f"a tensor of size {tuple(size)}, stride {tuple(stride)} and offset {offset} reaches element {last} of "
                f"a storage of {count}"
            )


def rebuild_parameter(data, requires_grad, backward_hooks=None):
    """A Parameter over a tensor's memory."""
    from .nn.parameter import Parameter

    if not isinstance(data, Tensor):
        raise UnpicklingError(f"a parameter's data must be a tensor, got {type(data).__name__}")
    return Parameter(data, requires_grad is True)


def rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    """A Parameter with attributes of its own."""
    parameter = rebuild_parameter(data, requires_grad)
    _set_attributes(parameter, state)
    return parameter


def rebuild_from_type(rebuild, kind, args, state):
    """A tensor with attributes of its own."""
    if rebuild not in (rebuild_tensor_v2, rebuild_tensor_v3) or kind is not Tensor or type(args) is not tuple:
        raise UnpicklingError(f"a tensor of type {kind!r} is not supported")
    tensor = rebuild(*args)
    _set_attributes(tensor, state)
    return tensor


def _set_attributes(tensor, state):
    if type(state) is tuple and len(state) == 2 and state[1] is None:
        state = state[0]
    if type(state) is not dict:
        raise UnpicklingError(f"a tensor's attributes must be a dict, got {type(state).__name__}")
    tensor.__dict__.update(state)


def rebuild_device(*args):
    """A device; those of accelerators become the CPU."""
    name = str(args[0]) if args else "cpu"
    return device("cpu") if name.startswith(("cuda", "mps", "xpu")) else device(*args)


def _encode(text, encoding="latin1"):
    """Bytes, which protocol 2 writes as text and the name of an encoding."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise UnpicklingError(f"bytes must come as latin1 text, got {type(text).__name__} in {encoding!r}")
    return text.encode("latin1")


def _bytearray(data=b"", *encoding):
    if type(data) is str:
        data = _encode(data, *encoding)
    if type(data) is not bytes:
        raise UnpicklingError(f"a bytearray must come from bytes, got {type(data).__name__}")
    return bytearray(data)


def _checked(kind):
    """A builder of a hashed container: every element must be a sensible key."""

    def build(items=()):
        items = list(items)
        for item in items:
            _check_key(item)
        return kind(items)

    return build


def _counter(counts=None):
    if counts is not None and type(counts) is not dict:
        raise UnpicklingError(f"a Counter must come from a dict, got {type(counts).__name__}")
    return Counter(counts)


def _ordered_dict(items=()):
    result = OrderedDict()
    for pair in items:
        _check_key(pair[0])
        result[pair[0]] = pair[1]
    return result


def _defaultdict(factory=None):
    if factory not in _FACTORIES:
        raise UnpicklingError("a defaultdict's factory must be one of dict, float, int, list, set, str")
    return defaultdict(_FACTORIES[factory])


def _plain(kind, accepted):
    """A builder of numbers: only from arguments of the accepted types."""

    def build(*args):
        if not all(type(a) in accepted for a in args):
            raise UnpicklingError(f"{kind.__name__}() from {[type(a).__name__ for a in args]} is not allowed")
        return kind(*args)

    return build


def rebuild_size(items=()):
    """A Size from a tuple of integers."""
    if not all(type(n) is int for n in items):
        raise UnpicklingError(f"a Size must hold integers, got {items!r}")
    return Size(items)


# name in the file -> what stands for it here; ``save`` writes what it finds among the values by the same names
_NUMBERS = (bool, int, float)
BUILDERS = {
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): rebuild_tensor_v3,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): rebuild_parameter_with_state,
    ("torch._tensor", "_rebuild_from_type_v2"): rebuild_from_type,
    ("torch", "Size"): rebuild_size,
    ("torch", "device"): rebuild_device,
    ("torch.nn.parameter", "Parameter"): lambda data=None, requires_grad=True: rebuild_parameter(data, requires_grad),
    ("collections", "OrderedDict"): _ordered_dict,
    ("collections", "Counter"): _counter,
    ("collections", "defaultdict"): _defaultdict,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytearray"): _bytearray,
    ("builtins", "set"): _checked(set),
    ("builtins", "frozenset"): _checked(frozenset),
    ("builtins", "complex"): _plain(complex, _NUMBERS),
    ("builtins", "dict"): _plain(dict, ()),
    ("builtins", "list"): _plain(list, ()),
    ("builtins", "int"): _plain(int, _NUMBERS),
    ("builtins", "float"): _plain(float, _NUMBERS),
    ("builtins", "str"): _plain(str, (str,)),
}
VALUES: dict = {("torch", s.name): s for s in STORAGE_TYPES.values()}
VALUES.update({("torch", d.name): d for d in dtypes.ALL})
VALUES["torch", "Tensor"] = Tensor
VALUES[("torch.storage", "UntypedStorage")] = VALUES[("torch", "UntypedStorage")] = UNTYPED
_FACTORIES: dict = {BUILDERS["builtins", k.__name__]: k for k in (dict, float, int, list, set, str)}
_FACTORIES[None] = None
_CALLABLE = set(BUILDERS.values())
_PYTHON2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}

_safe = {}


def _full_name(item):
    if isinstance(item, tuple):
        if len(item) != 2 or not isinstance(item[1], str):
            raise ValueError(f"expected (class or function, its full name), got {item!r}")
        return item[1], item[0]
    return f"{item.__module__}.{item.__qualname__}", item


def add_safe_globals(safe_globals):
    """Let ``load`` call these classes and functions when a file names them.

    Args:
        safe_globals (list): classes or functions, or pairs (class or function, full name in the file).
    """
    _safe.update(_full_name(item) for item in safe_globals)


def get_safe_globals():
    """Return the list of classes and functions that were allowed by ``add_safe_globals``."""
    return list(_safe.values())


def clear_safe_globals():
    """Take back everything that ``add_safe_globals`` allowed."""
    _safe.clear()


@contextlib.contextmanager
def safe_globals(safe_globals):
    """Allow classes and functions as ``add_safe_globals`` does, inside a ``with`` block."""
    before = dict(_safe)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe.clear()
        _safe.update(before)


# -- unpicklers


def _check_key(key):
    left, todo = _MAX_KEY, [key]
    while todo:
        item = todo.pop()
        left -= 1
        if isinstance(item, tuple | frozenset):
            todo.extend(item)
        if left < 0:
            raise UnpicklingError(f"a dict key or set element of more than {_MAX_KEY} parts is refused")


def _opcodes(table):
    """The dispatch table of the safe unpickler: harmless opcodes as they are, the risky ones checked."""
    plain = (
        "PROTO FRAME MARK STOP POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 "
        "FLOAT BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 SHORT_BINSTRING BINSTRING BINBYTES SHORT_BINBYTES "
        "BINBYTES8 BYTEARRAY8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST EMPTY_DICT EMPTY_SET GET BINGET "
        "LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL BINPERSID"
    )
    base = pickle._Unpickler.dispatch
    result = {getattr(pickle, name)[0]: base[getattr(pickle, name)[0]] for name in plain.split()}
    result.update({getattr(pickle, name)[0]: method for name, method in table.items()})
    return result


class SafeUnpickler(pickle._Unpickler):
    """An unpickler that builds plain containers, numbers, strings and tensors, and refuses everything else."""

    # The pure Python unpickler: the compiled one offers no say over BUILD, SETITEM and the like.

    def find_class(self, module, name):
        module = _PYTHON2.get(module, module)
        found = BUILDERS.get((module, name)) or VALUES.get((module, name)) or _safe.get(f"{module}.{name}")
        if found is None:
            raise UnpicklingError(
                f"Unsupported global: {module}.{name} is not allowed by default. If you trust this class or function, "
                "allow it with tnn.serialization.add_safe_globals, or load the file with weights_only=False, which may "
                "run any code that the file holds."
            )
        return found

    def _call(self, function, args):
        if type(args) is not tuple:
            raise UnpicklingError(f"the arguments of a call must be a tuple, got {type(args).__name__}")
        if not any(function is f for f in _safe.values()) and not (
            getattr(function, "__hash__", None) and type(function) in _CALLABLE_TYPES and function in _CALLABLE
        ):
            raise UnpicklingError(f"a call of {function!r} is not allowed")
        return function(*args)

    def load_reduce(self):
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj(self):
        args, cls = self.stack.pop(), self.stack.pop()
        if any(cls is f for f in _safe.values()) and isinstance(cls, type):
            self.append(cls.__new__(cls, *args))
        else:
            self.append(self._call(cls, args))

    def load_build(self):
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is OrderedDict and type(state) is dict:
            target.__dict__.update(state)
        elif any(type(target) is f for f in _safe.values()):
            self.stack += [state]
            pickle._Unpickler.load_build(self)
        else:
            raise UnpicklingError(f"setting the state of a {type(target).__name__} is not allowed")

    def _container(self, kinds):
        target = self.stack[-1]
        if type(target) not in kinds:
            raise UnpicklingError(f"adding items to a {type(target).__name__} is not allowed")
        return target

    def load_append(self):
        item = self.stack.pop()
        self._container((list,)).append(item)

    def load_appends(self):
        items = self.pop_mark()
        self._container((list,)).extend(items)

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        _check_key(key)
        self._container(_DICTS)[key] = value

    def load_setitems(self):
        items = self.pop_mark()
        target = self._container(_DICTS)
        if len(items) % 2:
            raise UnpicklingError("a dict's keys and values do not come in pairs")
        for key, value in zip(items[::2], items[1::2], strict=True):
            _check_key(key)
            target[key] = value

    def load_additems(self):
        items = self.pop_mark()
        for item in items:
            _check_key(item)
        self._container((set,)).update(items)

    dispatch = _opcodes(
        {
            "REDUCE": load_reduce, "NEWOBJ": load_newobj, "BUILD": load_build, "APPEND": load_append,
            "APPENDS": load_appends, "SETITEM": load_setitem, "SETITEMS": load_setitems, "ADDITEMS": load_additems,
        }
    )  # fmt: skip


_DICTS = (dict, OrderedDict, Counter, defaultdict)
_CALLABLE_TYPES = tuple({type(f) for f in _CALLABLE})


class TrustingUnpickler(pickle.Unpickler):
    """The standard unpickler, with PyTorch's names for tensors and modules led to tnn's."""

    def find_class(self, module, name):
        module = _PYTHON2.get(module, module)
        if (module, name) == ("torch.nn.parameter", "Parameter"):
            return super().find_class("tnn.nn.parameter", name)
        if module.split(".")[0] == "torch":
            found = BUILDERS.get((module, name)) or VALUES.get((module, name))
            return found if found is not None else super().find_class("tnn" + module[len("torch") :], name)
        return super().find_class(module, name)


_DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, RecursionError, struct.error,
    TypeError, ValueError,
)  # fmt: skip


def unpickle(file, weights_only, persistent_load, options):
    """The next object of a pickle stream; damage of any kind raises UnpicklingError."""
    unpickler = (SafeUnpickler if weights_only else TrustingUnpickler)(file, **options)
    unpickler.persistent_load = persistent_load
    if not weights_only:
        return unpickler.load()
    try:
        return unpickler.load()
    except UnpicklingError as error:
        raise UnpicklingError(f"Weights only load failed. {error}") from None
    except _DAMAGE as error:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise UnpicklingError(f"Weights only load failed: the pickle is truncated or damaged ({what})") from error
