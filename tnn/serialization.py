"""Checkpoints: ``save`` and ``load`` in PyTorch's zip format, and safetensors beside it.

A checkpoint is a zip archive: ``data.pkl`` holds the objects as a pickle in which each tensor refers to a storage by
number, and ``data/N`` holds the storage's bytes. Files written here load in PyTorch and the other way round; PyTorch is
not needed for either.

``load`` never runs code from a file unless asked to (``weights_only=False``): the names in the pickle are looked up in
a table of known builders, and only the operations that build plain containers and tensors are obeyed.
"""

import contextlib
import hashlib
import io
import os
import pickle
import struct
import sys
from collections import OrderedDict, defaultdict
from pickle import UnpicklingError
from types import FunctionType

import numpy as np

from . import dtypes
from ._archive import ArchiveReader, ArchiveWriter
from ._unpickle import (
    BUILDERS,
    NEW_DTYPES,
    STORAGE_TYPES,
    UNTYPED,
    VALUES,
    Storage,
    StorageType,
    add_safe_globals,
    check_view,
    clear_safe_globals,
    get_safe_globals,
    rebuild_device,
    rebuild_from_type,
    rebuild_parameter,
    rebuild_parameter_with_state,
    rebuild_size,
    rebuild_tensor_v2,
    rebuild_tensor_v3,
    safe_globals,
    unpickle,
)
from .tensor import Size, Tensor, device, wrap

__all__ = [
    "UnpicklingError", "add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "load_safetensors",
    "safe_globals", "save", "save_safetensors",
]  # fmt: skip

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


# -- writing


class _Group:
    """Tensors that share memory: their common extent becomes one storage."""

    __slots__ = ("arrays", "high", "key", "low", "lowest")

    def __init__(self):
        self.low = self.high = None
        self.arrays = []
        self.lowest = None
        self.key = None

    def include(self, array):
        low, high = _bounds(array)
        self.arrays.append(array)  # holds the memory, so that no address is used twice
        if self.low is None or low < self.low:
            self.low, self.lowest = low, array
        self.high = high if self.high is None else max(high, self.high)

    def data(self):
        """The storage's bytes as one flat array."""
        if self.high == self.low:
            return np.empty(0, self.lowest.dtype)
        step = self.lowest.itemsize
        first = self.lowest.view(np.uint8) if self.lowest.dtype in dtypes.FLOAT8 else self.lowest
        return np.lib.stride_tricks.as_strided(first, ((self.high - self.low) // step,), (step,), writeable=False)


class _StorageRef:
    __slots__ = ("dtype", "key", "numel", "untyped")

    def __init__(self, key, dtype, numel):
        self.key = key
        self.dtype = dtype
        self.untyped = dtype in NEW_DTYPES
        self.numel = numel * dtype.itemsize if self.untyped else numel


def _address(array):
    return array.__array_interface__["data"][0]


def _bounds(array):
    return np.lib.array_utils.byte_bounds(array) if array.size else (_address(array),) * 2


def _root(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class _Storages:
    """Finds the tensors that share memory and numbers the storages in the order of first use."""

    def __init__(self):
        self._groups = {}
        self._plain = {}
        self.order = []

    def plain(self, array):
        """The array itself, or a copy where its strides are none that a tensor can have."""
        if all(s >= 0 and s % array.itemsize == 0 for s in array.strides):
            return array
        return self._plain.setdefault(id(array), (np.ascontiguousarray(array), array))[0]

    def group(self, array):
        """The group of the tensors that share memory with ``array``, made if need be."""
        key = id(_root(array)), array.dtype, _address(array) % array.itemsize
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        return group

    def place(self, array):
        """The storage of ``array`` and its offset there, in elements."""
        group = self.group(array)
        low, high = _bounds(array)
        if group.low is None or low < group.low or high > group.high:
            group = _Group()  # a pickled object made this tensor only just now
            group.include(array)
        if group.key is None:
            group.key = str(len(self.order))
            self.order.append(group)
        step = array.itemsize
        storage = _StorageRef(group.key, dtypes.of(array.dtype), (group.high - group.low) // step)
        return storage, (_address(array) - group.low) // step if array.size else 0

    def check(self):
        """Raises where tensors of different dtypes show the same bytes, which the format cannot say."""
        by_root = defaultdict(list)
        for (root, *_), group in self._groups.items():
            by_root[root].append(group)
        for groups in by_root.values():
            groups.sort(key=lambda g: g.low)
            for a, b in zip(groups, groups[1:], strict=False):
                if b.low < a.high and b.high > b.low:
                    raise RuntimeError(
                        "Cannot save multiple tensors or storages that view the same data as different types"
                    )


class _Pickler(pickle._Pickler):
    """A pickler that writes tensors as references to storages, by the names that PyTorch gives them."""

    # The pure Python pickler: the compiled one refuses names of modules that cannot be imported.

    def __init__(self, file, protocol, storages, place):
        super().__init__(file, protocol)
        self._storages = storages
        self._place = place

    def persistent_id(self, obj):
        if type(obj) is not _StorageRef:
            return None
        kind = UNTYPED if obj.untyped else STORAGE_TYPES[obj.dtype]
        return ("storage", kind, obj.key, "cpu", obj.numel)

    def reducer_override(self, obj):
        if isinstance(obj, Tensor):
            return self._reduce_tensor(obj)
        if type(obj) in (dtypes.dtype, StorageType):
            return obj.name
        if type(obj) is Size:
            return rebuild_size, (tuple(obj),)
        if type(obj) is device:
            return rebuild_device, (obj.type,) if obj.index is None else (obj.type, obj.index)
        return NotImplemented

    def _reduce_tensor(self, tensor):
        kind, state = type(tensor), dict(tensor.__dict__)
        if kind is Tensor and not state:
            return self._reduce_array(tensor._data, tensor.requires_grad)
        from .nn.parameter import Buffer, Parameter

        if kind is Buffer:
            return self._reduce_array(tensor._data, tensor.requires_grad)
        if kind is Tensor:
            rebuild, args = self._reduce_array(tensor._data, tensor.requires_grad)
            return rebuild_from_type, (rebuild, Tensor, args, state)
        if not issubclass(kind, Parameter) or kind.__reduce_ex__ is not Tensor.__reduce_ex__:
            return NotImplemented
        if state:
            return rebuild_parameter_with_state, (wrap(tensor._data), tensor.requires_grad, OrderedDict(), state)
        return rebuild_parameter, (wrap(tensor._data), tensor.requires_grad, OrderedDict())

    def _reduce_array(self, array, requires_grad):
        array = self._storages.plain(array)
        if self._place is None:  # first pass: only see what there is
            self._storages.group(array).include(array)
            return rebuild_tensor_v2, ()
        storage, offset = self._place(array)
        stride = tuple(s // array.itemsize for s in array.strides)
        args = (storage, offset, array.shape, stride, requires_grad, OrderedDict())
        return (rebuild_tensor_v3, (*args, storage.dtype)) if storage.untyped else (rebuild_tensor_v2, args)

    def save_global(self, obj, name=None):
        found = _NAMES.get(id(obj))
        if found is None:
            super().save_global(obj, name)
        else:
            self.write(pickle.GLOBAL + "\n".join((*found, "")).encode())
            self.memoize(obj)

    dispatch: dict = {**pickle._Pickler.dispatch, FunctionType: save_global}


_NAMES = {}
for _name, _value in [*BUILDERS.items(), *VALUES.items()]:
    _NAMES.setdefault(id(_value), _name)


def _write_checkpoint(obj, write, root, protocol):
    storages = _Storages()
    seen = _Pickler(io.BytesIO(), protocol, storages, None)
    seen.dump(obj)
    storages.check()
    text = io.BytesIO()
    _Pickler(text, protocol, storages, storages.place).dump(obj)

    archive = ArchiveWriter(write, root)
    names, sums = hashlib.blake2b(digest_size=8), hashlib.blake2b(digest_size=8)

    def add(name, data):
        names.update(name.encode())
        sums.update(struct.pack("<I", archive.add(name, data)))

    add("data.pkl", text.getbuffer())
    add(".format_version", b"1")
    add(".storage_alignment", b"64")
    add("byteorder", sys.byteorder.encode())
    for group in storages.order:
        add(f"data/{group.key}", group.data().view(np.uint8))
    add("version", b"3\n")
    digits = "".join(f"{int.from_bytes(h.digest(), 'little'):020d}" for h in (names, sums))
    archive.add(".data/serialization_id", digits.encode())
    archive.close()


@contextlib.contextmanager
def _replacing(path):
    """A file to write; it takes the place of ``path`` only when the block ends well."""
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {folder} does not exist.")
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe or a device; a folder raises here
        with open(path, "wb") as file:
            yield file
        return
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
        if os.path.exists(path):
            os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _is_path(f):
    return isinstance(f, str | os.PathLike)


def save(obj, f, pickle_module=pickle, pickle_protocol=2, _use_new_zipfile_serialization=True):
    """Save an object to a file in PyTorch's checkpoint format.

    Tensors that share memory are written once and share it again after loading. A path is written atomically: a
    file that was there before stays whole until the new one is complete.

    Args:
        obj: tensors, containers of them such as a ``state_dict``, or any object that pickle can write.
        f: a path, or a binary file object with ``write``.
        pickle_module: accepted for compatibility; only the standard ``pickle`` is supported.
        pickle_protocol: an int, the pickle protocol of ``data.pkl``. PyTorch's safe loader reads 2.

    Raises:
        RuntimeError: the parent directory does not exist, tensors of different dtypes share memory, or the old file
            format is asked for.
        TypeError: ``f`` is neither a path nor a file object.

    Example:
        >>> import io, tnn
        >>> buffer = io.BytesIO()
        >>> tnn.save({"weight": tnn.ones(2, 3), "epoch": 4}, buffer)
        >>> _ = buffer.seek(0)
        >>> tnn.load(buffer)["epoch"]
        4
    """
    if pickle_module is not pickle:
        raise ValueError(f"pickle_module: only the standard pickle module is supported, got {pickle_module!r}")
    if not _use_new_zipfile_serialization:
        raise RuntimeError("the file format from before PyTorch 1.6 can be read but not written")
    if not _is_path(f):
        if not hasattr(f, "write"):
            raise TypeError(f"f must be a path or a file object with write, got {type(f).__name__}")
        _write_checkpoint(obj, f.write, "archive", pickle_protocol)
        return
    path = os.fspath(f)
    root = os.path.splitext(os.path.basename(path))[0]
    if not root or not root.isascii() or not root.isprintable():
        root = "archive"
    with _replacing(path) as file:
        _write_checkpoint(obj, file.write, root, pickle_protocol)


# -- reading


def _no_storage(saved_id):
    raise UnpicklingError("a reference to a storage stands where none can be")


def _restorer(map_location):
    """What turns (storage, location tag) into the storage to use, as ``map_location`` says."""

    def restore(storage, location):
        if location.split(":")[0] == "cpu":
            return storage
        raise RuntimeError(
            f"the file holds tensors that were saved on {location!r}, and tnn runs on the CPU: load it with "
            "map_location='cpu'"
        )

    if map_location is None:
        return restore
    if isinstance(map_location, dict):
        return lambda storage, location: restore(storage, str(map_location.get(location, location)))
    if isinstance(map_location, str | device):
        place = str(device(map_location))
        return lambda storage, location: restore(storage, place)
    if not callable(map_location):
        raise TypeError(f"map_location must be a device, str, dict or callable, got {type(map_location).__name__}")

    def call(storage, location):
        result = map_location(storage, location)
        if result is None:
            return restore(storage, location)
        if not isinstance(result, Storage):
            raise TypeError(f"map_location must return None or the storage, got {type(result).__name__}")
        return result

    return call


def _storage_id(saved_id, length):
    """The parts of a storage's reference after the word "storage", checked."""
    if type(saved_id) is not tuple or len(saved_id) != length or saved_id[0] not in ("storage", b"storage"):
        raise UnpicklingError(f"a persistent id must be a storage's, got {saved_id!r:.200}")
    kind, key, location, numel, *rest = saved_id[1:]
    key = key.decode("ascii") if isinstance(key, bytes) else key
    location = location.decode("ascii") if isinstance(location, bytes) else location
    if type(kind) is not StorageType or type(key) is not str or type(location) is not str:
        raise UnpicklingError(f"a storage's type, key and location are damaged: {saved_id!r:.200}")
    if type(numel) is not int or numel < 0:
        raise UnpicklingError(f"a storage's number of elements must be an integer >= 0, got {numel!r}")
    return kind.dtype, key, location, numel, *rest


def _load_zip(file, path, map_location, weights_only, mmap, options):
    archive = ArchiveReader(file)
    if "constants.pkl" in archive:
        raise RuntimeError("the file is a TorchScript archive, not a checkpoint of tensors")
    order = bytes(archive.read("byteorder")) if "byteorder" in archive else b"little"
    if order not in (b"little", b"big"):
        raise ValueError(f"Unknown endianness type: {order!r}")
    mapped = np.memmap(path, np.uint8, "c") if mmap else None
    restore = _restorer(map_location)
    storages = {}

    def persistent_load(saved_id):
        dtype, key, location, numel = _storage_id(saved_id, 5)
        if key not in storages:
            name = f"data/{key}"
            if archive.size(name) != numel * dtype.itemsize:
                raise RuntimeError(
                    f"the checkpoint is damaged: storage {key} has {archive.size(name)} bytes where {numel} elements "
                    f"of {dtype.name} were expected"
                )
            offset = archive.offset(name)
            if mmap and offset is not None and offset % dtype.itemsize == 0 and numel:
                data = mapped[offset : offset + numel * dtype.itemsize].view(np.ndarray).view(dtype.np)
            elif offset is None:
                data = np.frombuffer(archive.read(name), dtype.np)
            else:
                data = np.empty(numel, dtype.np)
                archive.read_into(name, data.view(np.uint8))
            if order.decode() != sys.byteorder:
                data = data.byteswap()
            storages[key] = restore(Storage(data, location), location)
        return storages[key]

    return unpickle(io.BytesIO(archive.read("data.pkl")), weights_only, persistent_load, options)


def _load_legacy(file, map_location, weights_only, options):
    """The format from before PyTorch 1.6: five pickles in a row, then each storage's length and bytes."""

    def following():
        return unpickle(file, weights_only, _no_storage, options)

    start = file.tell()
    length = file.seek(0, 2) - start
    file.seek(start)
    if not length:
        raise _EmptyFileError("the file is empty")
    if following() != _LEGACY_MAGIC:
        raise UnpicklingError("the file is no checkpoint: neither a zip archive nor the older format")
    if following() != _LEGACY_PROTOCOL:
        raise UnpicklingError("the checkpoint's protocol version is not supported")
    following()
    restore = _restorer(map_location)
    storages, views = {}, {}

    def persistent_load(saved_id):
        dtype, key, location, numel, view = _storage_id(saved_id, 6)
        if key not in storages:
            if numel * dtype.itemsize > length:
                raise UnpicklingError(f"a storage of {numel} elements does not fit a file of {length} bytes")
            storages[key] = restore(Storage(np.empty(numel, dtype.np), location), location)
        if view is None:
            return storages[key]
        view_key, offset, size = view
        check_view(offset, (size,), (1,), storages[key].data.size)
        return views.setdefault(view_key, Storage(storages[key].data[offset : offset + size], location))

    result = unpickle(file, weights_only, persistent_load, options)
    for key in following():
        data = storages[key].data
        head, raw = file.read(8), file.read(data.nbytes)
        if len(head) != 8 or struct.unpack("<q", head)[0] != data.size or len(raw) != data.nbytes:
            raise RuntimeError(f"the checkpoint is truncated or damaged at storage {key}")
        data[:] = np.frombuffer(raw, data.dtype)
    return result


class _EmptyFileError(UnpicklingError, EOFError):
    """The file ends before it begins."""


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """Load an object that ``save`` or PyTorch's ``torch.save`` wrote.

    Args:
        f: a path, or a seekable binary file object. A path that ends in ``.safetensors`` is read as such a file.
        map_location: where tensors go: ``"cpu"``, a device, a dict from location tags to places, or a function of a
            storage and its tag. Files with tensors from an accelerator need one of them that says ``"cpu"``.
        pickle_module: not supported with ``weights_only``; otherwise only the standard ``pickle``.
        weights_only: with True, the default, only tensors, plain containers and numbers are built, and no code
            from the file runs. **False may run any code that the file holds**: only for files that you trust.
        mmap: map the file instead of reading it: data are read when used; changes stay in memory.
        pickle_load_args: options of ``pickle.Unpickler``, such as ``encoding``.

    Raises:
        UnpicklingError: the pickle is damaged or names something that is not allowed.
        RuntimeError: the archive is truncated or damaged, or holds tensors of another device.
        FileNotFoundError: there is no such file.

    Example:
        >>> import io, tnn
        >>> buffer = io.BytesIO()
        >>> tnn.save(tnn.tensor([1.0, 2.0]), buffer)
        >>> _ = buffer.seek(0)
        >>> tnn.load(buffer)
        tensor([1., 2.])
    """
    weights_only = True if weights_only is None else weights_only
    if pickle_module is not None and (weights_only or pickle_module is not pickle):
        raise RuntimeError("pickle_module: tnn loads only with the standard pickle, and weights only without any")
    if mmap and not _is_path(f):
        raise ValueError("f must be a file path in order to use the mmap argument")
    options = {"encoding": "utf-8", **pickle_load_args}
    if not _is_path(f):
        if not all(hasattr(f, name) for name in ("read", "seek", "tell", "readline")):
            raise AttributeError(f"f must be a path or a seekable binary file object, got {type(f).__name__}")
        return _load_file(f, None, map_location, weights_only, mmap, options)
    path = os.fspath(f)
    if str(path).endswith(".safetensors"):
        return load_safetensors(path, device="cpu" if map_location is None else map_location)
    with open(path, "rb") as file:
        return _load_file(file, path, map_location, weights_only, mmap, options)


def _load_file(file, path, map_location, weights_only, mmap, options):
    start = file.tell()
    head = file.read(4)
    file.seek(start)
    if head == b"PK\3\4":
        return _load_zip(file, path, map_location, weights_only, mmap, options)
    if mmap:
        raise RuntimeError("mmap works only with checkpoints in the zip format")
    return _load_legacy(file, map_location, weights_only, options)


# -- safetensors


def save_safetensors(tensors, filename, metadata=None):
    """Save a flat dict of tensors in the safetensors format, atomically.

    Args:
        tensors (dict): names and tensors. Tensors that share memory are written one by one.
        filename: the path to write.
        metadata (dict, optional): strings by name, stored in the file's header.

    Raises:
        TypeError: a value is no tensor.
        RuntimeError: the parent directory does not exist.
    """
    from safetensors.numpy import save_file

    arrays = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"tensors[{name!r}] must be a Tensor, got {type(tensor).__name__}")
        arrays[name] = np.ascontiguousarray(tensor._data).reshape(tensor._data.shape)
    with _replacing(filename) as file:
        save_file(arrays, file.name, metadata=metadata)


def load_safetensors(filename, device="cpu"):
    """Load a safetensors file as a dict of tensors.

    Args:
        filename: the path to read.
        device: only the CPU.

    Raises:
        RuntimeError: the file is damaged, or holds a dtype that tnn does not have.
        FileNotFoundError: there is no such file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    _restorer(device)
    try:
        arrays = load_file(filename)
    except (AttributeError, KeyError, SafetensorError) as error:
        raise RuntimeError(f"{filename} is no safetensors file that tnn can read: {error}") from None
    result = {}
    for name, array in arrays.items():
        dtypes.of(array.dtype)
        result[name] = wrap(array if array.flags.writeable else array.copy())
    return result
