"""The device, which is always the CPU, and the shape's type."""


class Size(tuple):
    """A tensor's shape: a tuple with ``numel()``.

    Args:
        iterable: the sizes.

    Raises:
        TypeError: a size is not an integer.
    """

    __module__ = "tnn"  # as it prints

    __slots__ = ()

    def numel(self):
        """The product of the sizes."""
        n = 1
        for s in self:
            n *= s
        return n

    def __getitem__(self, i):
        out = tuple.__getitem__(self, i)
        return Size(out) if isinstance(i, slice) else out

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))

    def __mul__(self, n):
        return Size(tuple.__mul__(self, n))

    __rmul__ = __mul__

    def __repr__(self):
        return f"tnn.Size({list(self)})"

    def __reduce__(self):
        return Size, (tuple(self),)


class device:
    """Where tensors live: always the CPU.

    Args:
        type: ``"cpu"``, or a device.
        index: None or 0.

    Raises:
        RuntimeError: another device is asked for.
    """

    __module__ = "tnn"  # as it prints

    __slots__ = ("type", "index")

    def __init__(self, type="cpu", index=None):
        if isinstance(type, device):
            type, index = type.type, type.index
        if isinstance(type, int):
            raise RuntimeError(f"tnn runs on the CPU; there is no accelerator with index {type}")
        name, _, number = str(type).partition(":")
        if name == "meta":
            raise NotImplementedError("tnn has no meta device; tnn runs on the CPU")
        if name != "cpu":
            raise RuntimeError(f"tnn runs on the CPU: expected device 'cpu', got {type!r}")
        self.type = name
        self.index = int(number) if number else index

    def __repr__(self):
        return f"device(type='{self.type}'" + (f", index={self.index})" if self.index is not None else ")")

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        return isinstance(other, device)

    def __hash__(self):
        return hash("cpu")

    def __reduce__(self):
        return device, (self.type,)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


cpu = device("cpu")


def check_device(value):
    """Accepts None and the CPU; raises for every other device."""
    if value is not None and value is not cpu:
        device(value)
