"""Conversions of a whole module: dtypes, devices, memory."""

from ... import dtypes
from ...autograd.grad_mode import no_grad
from ...tensor import Tensor, check_device, device
from ..parameter import is_lazy


def _is_dtype(value):
    return isinstance(value, dtypes.dtype)


def parse_to(args, kwargs):
    """The dtype that the arguments of :meth:`Module.to` ask for, or None.

    Raises:
        TypeError: the arguments fit none of ``to(device, dtype, non_blocking)``, ``to(dtype, non_blocking)`` and
            ``to(tensor, non_blocking)``.
        RuntimeError: another device than the CPU.
    """
    kwargs = dict(kwargs)
    kwargs.pop("memory_format", None)
    if len(args) > 4:
        raise TypeError(f"to() takes at most 4 positional arguments, got {len(args)}")
    names = ("device", "dtype", "non_blocking", "copy")
    if args and _is_dtype(args[0]):
        names = ("dtype", "non_blocking", "copy")
    elif args and isinstance(args[0], Tensor) or "tensor" in kwargs:
        names = ("tensor", "non_blocking", "copy")
    for name, value in zip(names, args, strict=False):
        if name in kwargs:
            raise TypeError(f"to() got multiple values for argument {name!r}")
        kwargs[name] = value
    unknown = sorted(set(kwargs) - set(names))
    if unknown:
        raise TypeError(
            f"to() received an invalid combination of arguments, got {unknown}: expected (device, dtype, "
            "non_blocking), (dtype, non_blocking) or (tensor, non_blocking)"
        )
    if "tensor" in kwargs:
        return kwargs["tensor"].dtype
    where, dtype = kwargs.get("device"), kwargs.get("dtype")
    if where is not None and not isinstance(where, (str, int, device)):
        raise TypeError(f"to(): argument 'device' should be a device, a string or an int, got {type(where).__name__}")
    check_device(where)
    if dtype is not None and not _is_dtype(dtype):
        raise TypeError(f"to(): argument 'dtype' should be a tnn dtype, got {dtype!r}")
    return dtype


def _no_device(name):
    def method(self, device=None):
        raise RuntimeError(f"Module.{name}(): tnn runs on the CPU, there is no device {name!r}")

    method.__name__ = name
    method.__doc__ = f"""Raises: tnn runs on the CPU, there is no device {name!r}.

    Args:
        device: not used.

    Raises:
        RuntimeError: always.
    """
    return method


class ConvertMethods:
    """The part of Module that converts its parameters and buffers."""

    def _apply(self, fn, recurse=True):
        """Replaces the data of parameters, gradients and buffers by ``fn`` of it; parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for param in self._parameters.values():
            if param is None:
                continue
            with no_grad():
                param.data = fn(param)
                grad = param.grad
                if grad is not None:
                    new = fn(grad).requires_grad_(grad.requires_grad)
                    param.grad = new
        for name, buf in self._buffers.items():
            if buf is not None:
                self._buffers[name] = fn(buf)
        return self

    def to(self, *args, **kwargs):
        """Converts floating-point parameters and buffers in place.

        Called as ``to(device=None, dtype=None, non_blocking=False)``, ``to(dtype, non_blocking=False)``,
        ``to(tensor, non_blocking=False)``, each with ``memory_format=``; the device must be the CPU.

        Args:
            args, kwargs: as above.

        Returns:
            the module.

        Raises:
            TypeError: the dtype is not a floating-point one, or the arguments fit none of the forms.
            RuntimeError: another device than the CPU.
        """
        dtype = parse_to(args, kwargs)
        if dtype is None:
            return self
        if not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
        return self._to_dtype(dtype)

    def _to_dtype(self, dtype):
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def type(self, dst_type):
        """Converts all parameters and buffers, integer ones too, to a dtype, in place.

        Args:
            dst_type: the dtype, or a type's name.

        Returns:
            the module.

        Raises:
            TypeError: it is neither a dtype nor a type's name.
        """
        return self._apply(lambda t: t.type(dst_type))

    def float(self):
        """Converts floating-point parameters and buffers to float32, in place.

        Returns:
            the module.
        """
        return self._to_dtype(dtypes.float32)

    def double(self):
        """Converts floating-point parameters and buffers to float64, in place.

        Returns:
            the module.
        """
        return self._to_dtype(dtypes.float64)

    def half(self):
        """Converts floating-point parameters and buffers to float16, in place.

        Returns:
            the module.
        """
        return self._to_dtype(dtypes.float16)

    def bfloat16(self):
        """Converts floating-point parameters and buffers to bfloat16, in place.

        Returns:
            the module.
        """
        return self._to_dtype(dtypes.bfloat16)

    def to_empty(self, *, device, recurse=True):
        """Gives parameters and buffers new, uninitialised memory.

        Args:
            device: None or the CPU.
            recurse: submodules too.

        Returns:
            the module.

        Raises:
            RuntimeError: another device than the CPU.
        """
        from ...kernels._pool import empty
        from ...tensor import wrap

        check_device(device)
        return self._apply(lambda t: t if is_lazy(t) else wrap(empty(tuple(t.shape), t.dtype.np)), recurse=recurse)

    def cpu(self):
        """The module itself: its tensors are on the CPU.

        Returns:
            the module.
        """
        return self

    cuda = _no_device("cuda")
    xpu = _no_device("xpu")
    ipu = _no_device("ipu")
    mtia = _no_device("mtia")

    def share_memory(self):
        """Moves parameters and buffers to shared memory, see ``Tensor.share_memory_``.

        Returns:
            the module.
        """
        return self._apply(lambda t: t.share_memory_())
