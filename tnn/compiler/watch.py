"""What Python does in a call besides tnn's operations: a replay does not repeat it, so little is allowed.

While a call is recorded, every function of the user's that runs is looked at: it must not assign to attributes, globals
or items, nor call anything but tnn, other functions of the user's, and builtins without effects. What it reads
(globals, closures, attributes of modules and of ``self``) is kept, and a replay takes place only while that is still
the same.
"""

import contextlib
import dis
import gc
import os
import sys
import sysconfig
import types

from ..nn.modules.module import Module
from ..optim.optimizer import Optimizer
from ..tensor import Tensor
from .around import bound, in_cell, same_attributes, unchanged

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_OTHERS = tuple(
    os.path.dirname(sys.modules[name].__file__ or name) + os.sep
    for name in ("numpy", "numba", "llvmlite", "ml_dtypes")
    if name in sys.modules
)
_NUMBA = os.path.dirname(sys.modules["numba"].__file__ or "numba") + os.sep
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep
# Parts of tnn that keep Python objects of their own, which a replay would not move.
_STATEFUL = tuple(
    os.path.join(_HERE, *p.split("/"))
    for p in (
        "optim/lr_", "optim/swa_utils", "utils/data", "amp/", "serialization", "_archive", "random.py", "distributed",
    )  # fmt: skip
)
# Functions of random.py that only look.
_LOOKING = {"current_generator", "get_rng_state", "initial_seed"}
_BUILTINS = {
    "abs", "all", "any", "bool", "callable", "divmod", "getattr", "hasattr", "hash", "id", "isinstance", "issubclass",
    "iter", "len", "max", "min", "pow", "repr", "round", "sorted", "sum", "format", "chr", "ord", "vars",
}  # fmt: skip
_METHODS = {
    "append", "extend", "items", "keys", "values", "get", "copy", "index", "count", "join", "format", "startswith",
    "endswith", "split", "strip", "lower", "upper", "union", "intersection", "difference", "reverse", "insert", "pop",
    "sort", "add", "setdefault", "update", "is_integer",
}  # fmt: skip
_CHANGING = {"append", "extend", "reverse", "insert", "pop", "sort", "add", "setdefault", "update"}
_WRITES = {"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR", "IMPORT_NAME"}
_TABLES = ("_parameters", "_buffers", "_modules")
_PURE_MODULES = {"math", "operator", "itertools", "functools", "_functools", "_operator"}
_HELPERS = ("contextlib.py", "functools.py", "typing.py", "abc.py", "enum.py", "operator.py", "types.py")


def _is_users(path):
    if path.startswith((_HERE, *_OTHERS, "<frozen")):
        return False
    return "site-packages" in path or not path.startswith(_STDLIB)


def _is_generated(frame):
    """Whether Numba has just made this code, as it does while it compiles a kernel that the call is first to use."""
    back = frame.f_back
    by = "" if back is None else back.f_code.co_filename
    return frame.f_code.co_filename == "<string>" and by.startswith(_NUMBA)


class Watch:
    """Looks on while a call runs.

    Attributes:
        problem: what was seen that a replay would leave out, or None.
        modules: the modules that were called.
    """

    def __init__(self, recorder):
        self.recorder = recorder
        self.problem = None
        self.codes, self.modules, self.reads = {}, {}, {}
        self.functions, self.free = {}, {}
        self.known = None

    def __enter__(self):
        self.before = sys.getprofile()
        self.known = {id(o) for o in _containers()}
        # what the collector would end, and the code that runs then, is none of the call's
        self.collects = gc.isenabled()
        gc.disable()
        sys.setprofile(self._event)
        return self

    def __exit__(self, *exc):
        sys.setprofile(self.before)
        if self.collects:
            gc.enable()

    def _seen(self, problem):
        if self.problem is None:
            self.problem = problem

    def _event(self, frame, event, arg):
        if event == "call":
            self._call(frame)
        elif event == "c_call":
            code = frame.f_code
            if code in self.codes and self.codes[code]:
                self._builtin(arg)

    def _call(self, frame):
        code = frame.f_code
        users = self.codes.get(code)
        path = code.co_filename
        if users is None:
            users = _is_users(path) and not frame.f_globals.get("__name__", "").startswith("namedtuple_")
            users = users and not _is_generated(frame)
            self.codes[code] = users
            if users:
                self._look_at(frame, code)
            elif path.startswith(_STATEFUL) and not (path.endswith("random.py") and code.co_name in _LOOKING):
                where = os.path.basename(path)
                self._seen(f"{where}: {code.co_name} keeps Python objects that a replay would not move")
        if not users:
            if code.co_name in ("forward", "__call__", "_call_impl"):
                owner = frame.f_locals.get("self")
                if isinstance(owner, Module):
                    self.modules[id(owner)] = owner
            back = frame.f_back
            if back is not None and self.codes.get(back.f_code) and not path.startswith(_HERE):
                if not path.endswith(_HELPERS) and not path.startswith("<"):
                    self._seen(f"{code.co_name} of {os.path.basename(path)} is called")
            return
        self._read(frame, code)

    def _look_at(self, frame, code):
        if code.co_flags & 0x280:
            self._seen(f"{code.co_name} is a coroutine")
        for instruction in dis.get_instructions(code):
            name = instruction.opname
            if name in _WRITES and not (name == "STORE_ATTR" and instruction.argval == "grad"):
                what = instruction.argval if isinstance(instruction.argval, str) else "an item"
                self._seen(f"{code.co_name} assigns to {what} or imports it, which a replay would not do")
            elif name in ("STORE_DEREF", "DELETE_DEREF") and instruction.argval in code.co_freevars:
                self._seen(f"{code.co_name} assigns to {instruction.argval} of the function around it")

    def _read(self, frame, code):
        space = frame.f_globals
        for name in _names(code):
            if name in space:
                self.reads[id(space), name] = space, name, space[name]
                self._object(name, space[name])
        local = frame.f_locals
        for name in code.co_freevars:
            if name != "__class__":
                self.free[code] = code.co_name
                if name in local:
                    self._object(name, local[name])
        owner = local.get("self")
        if owner is not None:
            self._object("self", owner)

    def _object(self, name, value):
        """Something that the user's code can reach: what it holds counts too."""
        if isinstance(value, Module):
            self.modules[id(value)] = value
        elif isinstance(value, types.ModuleType):
            root = value.__name__.partition(".")[0]
            if root != "tnn" and root not in _PURE_MODULES:
                self._seen(f"the module {value.__name__} is used")
        elif isinstance(value, types.FunctionType | types.MethodType):
            self._function(value)
        elif type(value) in (list, dict, set, tuple):
            self.reads[id(value), None] = value, None, None
        elif hasattr(type(value), "__next__"):
            self._seen(f"the iterator {name} is used")
        elif isinstance(value, type | Tensor | Optimizer):
            return
        elif callable(value) and type(value).__name__ in ("builtin_function_or_method", "cython_function_or_method"):
            root = (getattr(value, "__module__", None) or "").partition(".")[0]
            if root not in ("builtins", "tnn") and root not in _PURE_MODULES:
                self._seen(f"{name} of {root or 'an unknown module'} is used")
        elif type(value).__module__.partition(".")[0] in ("random", "numpy") and not isinstance(value, float | int):
            self._seen(f"a {type(value).__name__} of {type(value).__module__} is used")
        elif hasattr(value, "__dict__"):
            if (id(value), None) not in self.reads:
                self.reads[id(value), None] = vars(value), None, None
                for k, v in vars(value).items():
                    self._object(k, v)

    def _function(self, function):
        """A function of the user's: its closure counts."""
        owner = getattr(function, "__self__", None)
        function = getattr(function, "__func__", function)
        if owner is not None:
            self._object("self", owner)
        if function.__code__ in self.functions or not _is_users(function.__code__.co_filename):
            return
        self.functions[function.__code__] = function
        for cell in function.__closure__ or ():
            if _full(cell):
                self._object("a variable", cell.cell_contents)

    def _builtin(self, function):
        name, owner = function.__name__, getattr(function, "__self__", None)
        if owner is None or isinstance(owner, types.ModuleType):
            module = getattr(function, "__module__", None) or getattr(owner, "__name__", "")
            if module in _PURE_MODULES or module.startswith("tnn") or (module == "builtins" and name in _BUILTINS):
                return
            if module == "builtins" and name in ("__build_class__", "super"):
                return
            self._seen(f"{name} of {module} is called")
        elif isinstance(owner, Tensor | type) or name.startswith("__"):
            return
        elif name in _METHODS and isinstance(owner, list | dict | set | tuple | str | float | int | frozenset):
            if name in _CHANGING and id(owner) in self.known:
                self._seen(f"a {type(owner).__name__} from outside the call is changed ({name})")
        else:
            self._seen(f"{type(owner).__name__}.{name} is called")

    # -- afterwards

    def checks(self, function):
        """What has to be the same for a replay, see around.py."""
        if isinstance(function, Module):
            self.modules[id(function)] = function
        else:
            self._object("the function", function)
        for value in [v for _, name, v in self.reads.values() if name is not None]:
            if isinstance(value, types.FunctionType | types.MethodType):
                self._function(value)
        modules = {id(m): m for top in self.modules.values() for m in top.modules()}
        self.modules = modules
        for m in modules.values():
            forward = getattr(type(m), "forward", None)
            if isinstance(forward, types.FunctionType):
                self._function(forward)
        for code, name in self.free.items():
            if code not in self.functions and not name.startswith("<"):
                self._seen(f"{name} reads variables of a function around it that is not known")
        out = []
        for space, name, value in self.reads.values():
            out.append(unchanged(space) if name is None else bound(space, name, value))
        for known in self.functions.values():
            for cell in known.__closure__ or ():
                if _full(cell):
                    out.append(in_cell(cell, cell.cell_contents))
        for m in modules.values():
            out.append(same_attributes(m, _TABLES))
            for name, value in vars(m).items():
                # additions to empty tables of hooks are seen by the count of hooks
                if isinstance(value, list | dict | set) and (value or name in _TABLES or name[0] != "_"):
                    out.append(unchanged(value))
        return out

    def weights(self):
        """The parameters and buffers of the modules, once there are ``checks``: what stays from call to call."""
        return [t for m in self.modules.values() for t in (*m._parameters.values(), *m._buffers.values())]


def _names(code):
    """The globals that a function and the functions inside it read."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _containers():
    return [o for o in gc.get_objects() if type(o) in (list, dict, set)]


def _full(cell):
    with contextlib.suppress(ValueError):
        return cell.cell_contents is cell.cell_contents
    return False
