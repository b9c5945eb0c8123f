"""Exchange of memory with other libraries."""

from ..ops import creation

__all__ = ["from_dlpack", "to_dlpack"]


class _Held:
    """A capsule as an object that gives it away."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **options):
        return self.capsule

    def __dlpack_device__(self):
        return 1, 0


def to_dlpack(tensor):
    """A capsule with the tensor's memory, for :func:`from_dlpack`, here or of another library."""
    return tensor.__dlpack__()


def from_dlpack(ext_tensor):
    """A tensor with the elements of a capsule (copied), or sharing the memory of an object with ``__dlpack__``."""
    return creation.from_dlpack(ext_tensor if hasattr(ext_tensor, "__dlpack__") else _Held(ext_tensor))
