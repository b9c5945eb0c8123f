"""The memory below tensors, as a flat sequence of bytes."""

import numpy as np

from .tensor import device


class UntypedStorage:
    """The bytes that a tensor and its views share.

    Made by ``tensor.untyped_storage()``; of ``n`` bytes, zeros, by ``UntypedStorage(n)``. It looks at the memory:
    writing to it changes the tensors.

    Args:
        data: a number of bytes, or an ndarray of bytes.

    Raises:
        TypeError: ``data`` is neither.
    """

    __slots__ = ("_bytes",)

    device = device("cpu")
    is_cuda = False

    def __init__(self, data=0):
        if isinstance(data, int):
            data = np.zeros(data, np.uint8)
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
            raise TypeError(f"UntypedStorage() expects a number of bytes or an array of them, got {type(data)}")
        self._bytes = data

    def nbytes(self):
        """The number of bytes."""
        return self._bytes.size

    size = __len__ = nbytes

    def element_size(self):
        """1: the elements are bytes."""
        return 1

    def data_ptr(self):
        """The address of the first byte; 0 where there is none."""
        return self._bytes.__array_interface__["data"][0] if self._bytes.size else 0

    def __getitem__(self, index):
        part = self._bytes[index]
        return UntypedStorage(part) if isinstance(index, slice) else int(part)

    def __setitem__(self, index, value):
        self._bytes[index] = value

    def __iter__(self):
        return iter(self.tolist())

    def tolist(self):
        """The bytes as a list of ints."""
        return self._bytes.tolist()

    def fill_(self, value):
        """Writes one byte everywhere."""
        self._bytes.fill(value)
        return self

    def copy_(self, source, non_blocking=None):
        """Copies the bytes of another storage of the same size.

        Raises:
            RuntimeError: the sizes differ.
        """
        if source.nbytes() != self.nbytes():
            raise RuntimeError(f"copy_: expected a storage of {self.nbytes()} bytes, got {source.nbytes()}")
        np.copyto(self._bytes, source._bytes)
        return self

    def clone(self):
        """A copy."""
        return UntypedStorage(self._bytes.copy())

    def cpu(self):
        """The storage itself."""
        return self

    def is_shared(self):
        """Always False: threads share memory as it is."""
        return False

    def __repr__(self):
        return f"{self.tolist()}\n[tnn.storage.UntypedStorage(device=cpu) of size {self.nbytes()}]"


class TypedStorage:
    """A storage whose elements are of one dtype: what ``tensor.storage()`` gives.

    Args:
        wrap_storage: the UntypedStorage below.
        dtype: the elements' dtype.
    """

    __slots__ = ("_elements", "_untyped", "dtype")

    device = device("cpu")

    def __init__(self, *, wrap_storage, dtype):
        self._untyped = wrap_storage
        self.dtype = dtype
        self._elements = wrap_storage._bytes[: wrap_storage.nbytes() // dtype.itemsize * dtype.itemsize].view(dtype.np)

    def untyped(self):
        """The bytes below."""
        return self._untyped

    def size(self):
        """The number of elements."""
        return self._elements.size

    __len__ = size

    def nbytes(self):
        """The number of bytes."""
        return self._untyped.nbytes()

    def element_size(self):
        """Bytes in an element."""
        return self.dtype.itemsize

    def data_ptr(self):
        """The address of the first element."""
        return self._untyped.data_ptr()

    def __getitem__(self, index):
        return self._elements[index].item()

    def __setitem__(self, index, value):
        self._elements[index] = value

    def __iter__(self):
        return iter(self.tolist())

    def tolist(self):
        """The elements as a list."""
        return self._elements.tolist()

    def __repr__(self):
        return f"{self.tolist()}\n[tnn.storage.TypedStorage(dtype={self.dtype}, device=cpu) of size {self.size()}]"
