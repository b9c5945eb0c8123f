"""The names by which PyTorch's programs ask for a layout in memory. tnn stores tensors with strides; a memory format is
accepted where an operation takes one, and decides only whether a copy keeps its source's order of dimensions."""


class _Name:
    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"tnn.{self.name}"

    def __reduce__(self):
        return self.name


class layout(_Name):
    """How a tensor's elements are kept: ``tnn.strided`` or ``tnn.sparse_coo``.

    Args:
        name: as it prints.
    """

    __module__ = "tnn"  # as it prints

    __slots__ = ()


class memory_format(_Name):
    """An order of dimensions in memory.

    Args:
        name: as it prints.
    """

    __module__ = "tnn"  # as it prints

    __slots__ = ()


strided = layout("strided")
sparse_coo = layout("sparse_coo")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
