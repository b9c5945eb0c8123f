"""The compile cache: machine code of kernels, kept on disk between processes.

Numba's own cache asks whether a function's file has changed. It does not ask about the functions in other files that
the kernel calls, the jit options or NUMBA_BOUNDSCHECK, so an edited helper would keep its old behaviour; and a
truncated index file stops the program. Functions defined under ``tnn/kernels/`` use this cache instead; every other
function keeps Numba's. There is no index. An entry is one file, and its name is a hash of everything that decides the
machine code:

- the text of the function's file and of all tnn files that it imports, directly or not;
- the function as it is now: bytecode, constants, closure, the constants and helpers that it reads as globals, and the
  same, with their files, for the helpers;
- its jit options, the argument types, Numba's code generation settings and the TNN_* variables;
- versions of tnn's cache format, Python, Numba and llvmlite, and the CPU with its features.

So nothing ever has to be invalidated, checkouts and versions share one folder, and processes that write at the same
time write different files or the same content. Files are replaced atomically and carry a checksum: a damaged one
counts as absent. The folder is ``$TNN_CACHE_DIR``, else ``tnn`` in the user's cache folder; when it cannot be written
the kernels work all the same and are compiled in each process. It is pruned, oldest use first, above
``$TNN_CACHE_LIMIT`` MiB (default 2048).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import re
import sys
import tempfile
import time
import types as pytypes
import warnings
from pathlib import Path

import llvmlite
import numba
import numpy as np
from numba.core import compiler, config, dispatcher, serialize, sigutils
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import _Cache
from numba.core.dispatcher import Dispatcher

from . import _callees
from ._callees import KERNELS

FORMAT = 2
MAGIC = b"tnn-kernel-%d\n" % FORMAT
PACKAGE = os.path.dirname(KERNELS.rstrip(os.sep)) + os.sep
# Variables of ours that do not change machine code.
NEUTRAL = {"TNN_CACHE_DIR", "TNN_CACHE_LIMIT", "TNN_NUM_THREADS"}
# Settings of Numba that do.
SETTINGS = ("BOUNDSCHECK", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "USING_SVML", "DEBUGINFO_DEFAULT", "ENABLE_AVX")
DAY = 86400


def cache_dir() -> Path:
    """The folder that holds compiled kernels; it need not exist."""
    chosen = os.environ.get("TNN_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path("~/Library/Caches/tnn").expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local").expanduser() / "tnn" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tnn"


def entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The cache files below `folder` with their stat results; files that go meanwhile are left out."""
    found = []
    for path in folder.glob("*/*.nbc*"):
        try:
            found.append((path, path.stat()))
        except OSError:
            continue
    return found


# -- what decides the machine code ---------------------------------------------------------------------------------

_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+(\.*)([\w.]*)[ \t]+)?import[ \t]+(\([^)]*\)|[^\n#]*)", re.MULTILINE)
_texts: dict[str, tuple[bytes, tuple[str, ...]] | None] = {}
_stamps: dict[str, str | None] = {}


def _existing(base: str) -> str | None:
    """The source file of the module at path `base` (without suffix), if it is one of ours."""
    if not base.startswith(PACKAGE):
        return None
    for path in (base + ".py", os.path.join(base, "__init__.py")):
        if os.path.isfile(path):
            return path
    return None


def _imports(path: str, text: str) -> list[str]:
    """Files of this package that the import statements in `text` can name."""
    found = []
    name = os.path.basename(os.path.dirname(PACKAGE))
    for dots, module, names in _IMPORT.findall(text.replace("\\\n", " ")):
        words = re.findall(r"[\w.]+", re.sub(r"#[^\n]*|\bas\s+\w+", "", names))
        if not dots and not module:
            bases = [os.path.join(PACKAGE, *w.split(".")[1:]) for w in words if w.split(".")[0] == name]
            found += [p for p in map(_existing, bases) if p]
            continue
        if dots:
            root = os.path.dirname(path)
            for _ in dots[1:]:
                root = os.path.dirname(root)
            base = os.path.join(root, *module.split(".")) if module else root
        elif module.split(".")[0] == name:
            base = os.path.join(PACKAGE, *module.split(".")[1:])
        else:
            continue
        inner = [p for p in (_existing(os.path.join(base, w)) for w in words) if p]
        outer = _existing(base.rstrip(os.sep))
        # `from package import submodule` needs the submodule; the package file only when it is asked for a name.
        if outer and not (outer.endswith("__init__.py") and len(inner) == len(words)):
            inner.append(outer)
        found += inner
    return found


def _read(path: str) -> tuple[bytes, tuple[str, ...]] | None:
    """Digest of one file and the files it imports, read once per process; None where there is no source."""
    if path not in _texts:
        try:
            with open(path, "rb") as f:
                data = f.read()
        except OSError:
            _texts[path] = None
        else:
            _texts[path] = hashlib.sha256(data).digest(), tuple(_imports(path, data.decode("utf-8", "replace")))
    return _texts[path]


def adopt(path: str, text: str, *imported: str) -> None:
    """Take generated source for the file at ``path``, which need not exist and imports the files ``imported``."""
    _texts[path] = hashlib.sha256(text.encode()).digest(), imported
    _stamps.pop(path, None)


def source_stamp(path: str) -> str | None:
    """Hash over a source file and all files of this package that it imports, transitively; None without source."""
    if path not in _stamps:
        seen: dict[str, bytes] = {}
        stack = [path]
        while stack:
            one = stack.pop()
            if one in seen:
                continue
            got = _read(one)
            if got is None:
                _stamps[path] = None
                return None
            seen[one], below = got
            stack.extend(below)
        parts = sorted((os.path.relpath(p, PACKAGE), digest) for p, digest in seen.items())
        _stamps[path] = hashlib.sha256(repr(parts).encode()).hexdigest()
    return _stamps[path]


_digests: dict[int, tuple[object, str]] = {}


def _code_parts(code: pytypes.CodeType) -> tuple:
    consts = [_code_parts(c) if isinstance(c, pytypes.CodeType) else describe(c) for c in code.co_consts]
    return code.co_name, code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, consts


def _names(code: pytypes.CodeType) -> set[str]:
    """Names that a function and the functions inside it may read as globals."""
    names = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, pytypes.CodeType):
            names |= _names(const)
    return names


def _digest_function(func: pytypes.FunctionType, extra: object = "") -> str:
    """Hash of a function as it stands: code, closure and the globals that it reads."""
    known = _digests.get(id(func))
    if known is not None:
        return known[1]
    _digests[id(func)] = func, "itself"  # a recursive reference
    cells = []
    for cell in func.__closure__ or ():
        try:
            cells.append(describe(cell.cell_contents))
        except ValueError:  # an empty cell
            cells.append("empty")
    space = func.__globals__
    read = [(n, describe(space[n])) for n in sorted(_names(func.__code__)) if n in space]
    path = func.__code__.co_filename
    # A callee's file counts too: what stands for it in compiled code (numba's overloads) need not be reachable from it.
    stamp = source_stamp(path) if path.startswith(PACKAGE) else None
    parts = (func.__module__, func.__qualname__, _code_parts(func.__code__), describe(func.__defaults__), cells, read)
    digest = hashlib.sha256(repr((parts, stamp, extra)).encode()).hexdigest()
    _digests[id(func)] = func, digest
    return digest


def describe(value: object) -> str:
    """A text that differs whenever code compiled with `value` as a constant or a callee could differ."""
    if value is None or value is Ellipsis or isinstance(value, (bool, int, float, complex, str, bytes)):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}({', '.join(map(describe, value))})"
    if isinstance(value, (set, frozenset)):
        return f"set({sorted(map(describe, value))})"
    if isinstance(value, dict):
        return f"dict({sorted((describe(k), describe(v)) for k, v in value.items())})"
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array:{value.dtype}{value.shape}{digest}"
    if isinstance(value, (np.generic, np.dtype, numba.types.Type)):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, Dispatcher):
        return "jit:" + _digest_function(value.py_func, describe(value.targetoptions))
    if isinstance(value, (pytypes.ModuleType, type)):
        return f"{type(value).__name__}:{value.__name__}"
    inner = getattr(value, "_defn", value)  # numba's intrinsics hold their Python function here
    if isinstance(inner, pytypes.FunctionType) and inner.__code__.co_filename.startswith(PACKAGE):
        return "function:" + _digest_function(inner)
    return f"{type(value).__module__}.{getattr(inner, '__qualname__', type(value).__qualname__)}"


def _environment() -> tuple:
    """Settings outside the sources that change what the compiler emits."""
    ours = sorted((k, v) for k, v in os.environ.items() if k.startswith("TNN_") and k not in NEUTRAL)
    flags = [(n, str(getattr(config, n, None))) for n in SETTINGS]
    return FORMAT, sys.version, numba.__version__, llvmlite.__version__, np.__version__, flags, ours


# -- the cache of one kernel ---------------------------------------------------------------------------------------

_state = {"announced": False, "broken": False, "pruned": False}


class KernelCache(_Cache):
    """Cache of one compiled function, in the shape that Numba's dispatcher expects."""

    def __init__(self, owner: Dispatcher, path: str):
        self._owner = owner
        self._path = path
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """Folder of this function's entries."""
        return str(cache_dir() / os.path.splitext(os.path.basename(self._path))[0])

    def enable(self) -> None:
        """Use the cache."""
        self._enabled = True

    def disable(self) -> None:
        """Neither load nor save."""
        self._enabled = False

    def flush(self) -> None:
        """Remove every entry of this function."""
        for path in Path(self.cache_path).glob(f"{self._owner.py_func.__name__}-*.nbc"):
            path.unlink(missing_ok=True)

    def _file(self, sig, codegen) -> Path | None:
        """Path of the entry for one signature; None where the code cannot be cached."""
        stamp = source_stamp(self._path)
        args, returns = sigutils.normalize_signature(sig)
        if stamp is None or any(isinstance(t, numba.types.Callable) for t in args):
            return None
        function = _digest_function(self._owner.py_func, describe(self._owner.targetoptions))
        callee = _callees.wanted_as_callee()
        key = repr((stamp, function, str(args), str(returns), callee, codegen.magic_tuple(), _environment()))
        digest = hashlib.sha256(key.encode()).hexdigest()[:32]
        return Path(self.cache_path) / f"{self._owner.py_func.__name__}-{digest}.nbc"

    def holds(self, sig, target_context) -> bool:
        """Whether there is compiled code for a signature."""
        file = self._file(sig, target_context.codegen()) if self._enabled else None
        return file is not None and file.is_file()

    def load_overload(self, sig, target_context):
        """The compiled function for a signature, or None."""
        target_context.refresh()
        if not self._enabled:
            return None
        file = self._file(sig, target_context.codegen())
        payload = file and _load(file)
        if payload is None:
            _announce()
            return None
        rebuild = _callees.rebuilt if _callees.wanted_as_callee() else compiler.CompileResult._rebuild
        return rebuild(target_context, *pickle.loads(payload))

    def save_overload(self, sig, data) -> None:
        """Keep a compiled function; what goes wrong here costs a later compilation and nothing else."""
        if not self._enabled or _state["broken"] or data.lifted or data.library.has_dynamic_globals:
            return
        file = self._file(sig, data.codegen)
        if file is None:
            return
        payload = serialize.dumps(_callees.reduced(data) if _callees.is_callee(data) else data._reduce())
        try:
            _save(file, payload)
        except OSError as error:
            _state["broken"] = True
            warnings.warn(
                f"tnn cannot write compiled kernels to {cache_dir()} ({error}): each process will compile them again. "
                "Set TNN_CACHE_DIR to a folder that can be written.",
                RuntimeWarning,
                stacklevel=2,
            )


def _load(file: Path) -> bytes | None:
    """Content of an entry; None where it is absent or damaged."""
    try:
        with open(file, "rb") as f:
            data = f.read()
            used = os.fstat(f.fileno()).st_mtime
    except OSError:
        return None
    start = len(MAGIC) + 32
    payload = data[start:]
    if data[: len(MAGIC)] != MAGIC or data[len(MAGIC) : start] != hashlib.sha256(payload).digest():
        return None
    if time.time() - used > DAY:  # pruning goes by last use
        try:
            os.utime(file)
        except OSError:
            return payload
    return payload


def _save(file: Path, payload: bytes) -> None:
    """Write an entry so that a reader sees all of it or nothing."""
    os.makedirs(file.parent, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{file.stem}.nbc.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(MAGIC + hashlib.sha256(payload).digest() + payload)
        os.replace(name, file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    if not _state["pruned"]:
        _state["pruned"] = True
        prune(cache_dir(), int(os.environ.get("TNN_CACHE_LIMIT") or 2048) << 20)


def prune(folder: Path, limit: int) -> int:
    """Delete leftovers and, above `limit` bytes, the entries that were used longest ago; returns how many went."""
    now = time.time()
    kept, gone = [], []
    for path, stat in entries(folder):
        stale = path.suffix != ".nbc" and now - stat.st_mtime > 3600
        (gone if stale else kept).append((stat.st_mtime, stat.st_size, path))
    size = sum(s for _, s, _ in kept)
    if size > limit:
        for entry in sorted(kept):
            if size <= limit * 3 // 4:
                break
            gone.append(entry)
            size -= entry[1]
    for _, _, path in gone:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            break
    return len(gone)


def _announce() -> None:
    """Say once, in a terminal, why the first call takes its time."""
    if _state["announced"]:
        return
    _state["announced"] = True
    if sys.stderr is not None and sys.stderr.isatty():
        print(
            f"tnn: compiling kernels for this machine (kept in {cache_dir()}; `python -m tnn warmup` compiles ahead)",
            file=sys.stderr,
        )


# -- into Numba ----------------------------------------------------------------------------------------------------

_numba_enable_caching = Dispatcher.enable_caching


def _enable_caching(self: Dispatcher) -> None:
    path = os.path.abspath(self.py_func.__code__.co_filename)
    if path.startswith(KERNELS):
        self._cache = KernelCache(self, path)
    else:
        _numba_enable_caching(self)


def _scatter_names() -> None:
    # Symbols carry a number that Numba counts up from 1 in each process. Functions of one name, made by a factory and
    # compiled in different processes, could meet in a third under one symbol: the linker would take either.
    FunctionIdentity._unique_ids = itertools.count(int.from_bytes(os.urandom(5), "little") + 1)


def install() -> None:
    """Give functions under ``tnn/kernels/`` this cache. Called once, before the first kernel is decorated."""
    dispatcher.Dispatcher.enable_caching = _enable_caching
    _callees.install()
    _scatter_names()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_scatter_names)
