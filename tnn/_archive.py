"""The zip container of checkpoint files: stored entries whose data starts on a 64-byte boundary.

Every entry is laid out as: local header, name, an ``FB`` extra field that pads up to the boundary, the data, and a data
descriptor (not for empty entries). Readers of PyTorch's checkpoints that compute offsets without reading headers rely
on exactly this layout. Sizes and offsets from 4 GiB on use the zip64 records.
"""

import struct
import zipfile
import zlib

ALIGNMENT = 64
_U32 = 0xFFFFFFFF
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_FLAGS = 0x0800  # names are UTF-8
_DESCRIPTOR = 0x0008  # CRC and sizes follow the data
# DEFLATE cannot expand by more than about 1032; a checkpoint's arrays come nowhere near, a bomb does.
_MAX_EXPANSION = 1032


class ArchiveWriter:
    """Write a zip of stored, aligned entries through ``write(buffer)``; needs neither seek nor tell.

    Args:
        write: a function that takes any bytes-like object.
        root (str): the folder that every entry's name starts with.
    """

    def __init__(self, write, root):
        self._write = write
        self._root = root
        self._position = 0
        self._entries = []

    def _put(self, data):
        self._write(data)
        self._position += memoryview(data).nbytes

    def add(self, name, data):
        """Append the entry ``root/name`` that holds ``data`` (bytes-like, C-contiguous) and return its CRC-32."""
        name = f"{self._root}/{name}".encode()
        view = memoryview(data).cast("B") if memoryview(data).nbytes else b""
        size, offset = len(view), self._position
        crc = zlib.crc32(view)
        extra = _zip64_field(size, offset)
        start = offset + _LOCAL.size + len(name) + len(extra) + 4
        padding = -start % ALIGNMENT
        extra += struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        flags = _FLAGS | (_DESCRIPTOR if size else 0)
        marker = _U32 if size >= _U32 else 0
        self._put(_LOCAL.pack(b"PK\3\4", 20, flags, 0, 0, 0, 0, marker, marker, len(name), len(extra)) + name + extra)
        if size:
            self._put(view)
            wide = size >= _U32 or offset >= _U32
            self._put(struct.pack("<4sIQQ" if wide else "<4sIII", b"PK\7\10", crc, size, size))
        self._entries.append((name, flags, crc, size, offset))
        return crc

    def close(self):
        """Write the central directory; the archive is complete afterwards."""
        start = self._position
        for name, flags, crc, size, offset in self._entries:
            extra = _zip64_field(size, offset)
            size32, offset32 = min(size, _U32), min(offset, _U32)
            header = (20, 20, flags, 0, 0, 0, crc, size32, size32, len(name), len(extra), 0, 0, 0, 0, offset32)
            self._put(_CENTRAL.pack(b"PK\1\2", *header) + name + extra)
        count, length, end = len(self._entries), self._position - start, self._position
        if count >= 0xFFFF or start >= _U32 or length >= _U32:
            self._put(_END64.pack(b"PK\6\6", _END64.size - 12, 45, 45, 0, 0, count, count, length, start))
            self._put(_LOCATOR64.pack(b"PK\6\7", 0, end, 1))
        count, length, start = min(count, 0xFFFF), min(length, _U32), min(start, _U32)
        self._put(_END.pack(b"PK\5\6", 0, 0, count, count, length, start, 0))


def _zip64_field(size, offset):
    values = ([size, size] if size >= _U32 else []) + ([offset] if offset >= _U32 else [])
    return struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values) if values else b""


class ArchiveReader:
    """Read a checkpoint's entries by their name below the archive's root folder.

    Args:
        file: a binary file object with read, seek and tell.

    Raises:
        RuntimeError: the file is no complete zip archive, holds no ``data.pkl``, or an entry is damaged.
    """

    def __init__(self, file):
        self._file = file
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, struct.error) as error:
            raise RuntimeError(f"the checkpoint is truncated or damaged: {error}") from None
        self._length = file.seek(0, 2)
        names = [name for name in self._zip.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if not names:
            raise RuntimeError("the zip archive holds no data.pkl: it is not a checkpoint")
        self._root = names[0][: -len("data.pkl")]
        self._infos = {info.filename: info for info in self._zip.infolist()}
        stored = sum(info.file_size for info in self._infos.values() if info.compress_type == zipfile.ZIP_STORED)
        if stored > self._length:
            raise RuntimeError(f"the checkpoint's entries overlap: {stored} bytes stored in {self._length}")

    def __contains__(self, name):
        return self._root + name in self._infos

    def size(self, name):
        """Return the number of bytes of an entry's data."""
        return self._info(name).file_size

    def _info(self, name):
        info = self._infos.get(self._root + name)
        if info is None:
            raise RuntimeError(f"the checkpoint has no entry {name!r}")
        return info

    def offset(self, name):
        """Return where in the file a stored entry's data starts, or None where the entry is compressed."""
        info = self._info(name)
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        self._file.seek(info.header_offset)
        header = self._file.read(_LOCAL.size)
        if len(header) != _LOCAL.size or header[:4] != b"PK\3\4":
            raise RuntimeError(f"the checkpoint is damaged: entry {name!r} has no local header")
        name_length, extra_length = struct.unpack_from("<2H", header, 26)
        offset = info.header_offset + _LOCAL.size + name_length + extra_length
        if info.flag_bits & 1 or info.compress_size != info.file_size or offset + info.file_size > self._length:
            raise RuntimeError(f"the checkpoint is truncated or damaged at entry {name!r}")
        return offset

    def read(self, name):
        """Return an entry's data as a bytearray, its checksum verified."""
        info = self._info(name)
        if info.compress_type == zipfile.ZIP_STORED:
            self.offset(name)  # an entry that the file is too short for must not allocate its declared size
            data = bytearray(info.file_size)
            self.read_into(name, data)
            return data
        if info.file_size > info.compress_size * _MAX_EXPANSION + ALIGNMENT:
            raise RuntimeError(f"entry {name!r} claims {info.file_size} bytes from {info.compress_size}: refused")
        try:
            return bytearray(self._zip.read(info))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise RuntimeError(f"the checkpoint is damaged at entry {name!r}: {error}") from None

    def read_into(self, name, out):
        """Fill the writable buffer ``out`` (exactly the entry's size) and verify the checksum."""
        view = memoryview(out).cast("B") if memoryview(out).nbytes else memoryview(bytearray())
        info, offset = self._info(name), self.offset(name)
        if offset is None:
            view[:] = self.read(name)
            return
        self._file.seek(offset)
        done = 0
        while done < len(view):
            count = _read_some(self._file, view[done:])
            if not count:
                raise RuntimeError(f"the checkpoint is truncated: entry {name!r} ends early")
            done += count
        if zlib.crc32(view) != info.CRC:
            raise RuntimeError(f"the checkpoint is damaged: entry {name!r} fails its checksum")


def _read_some(file, view):
    if hasattr(file, "readinto"):
        return file.readinto(view)
    data = file.read(len(view))
    view[: len(data)] = data
    return len(data)
