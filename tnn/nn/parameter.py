"""Parameters and buffers: the tensors that a module holds."""

from .. import dtypes
from ..kernels._pool import empty
from ..tensor import Tensor, Version, check_device, wrap

_data = Tensor._data  # the slot itself, which UninitializedTensorMixin hides


def _make(cls, data, requires_grad):
    """A tensor of class ``cls`` with the array and the version counter of ``data``."""
    if data is None:
        array, version = empty((0,), dtypes.get_default_dtype().np), None
    elif isinstance(data, Tensor):
        array = _data.__get__(data)
        version = data._version
        if version is None:
            version = data._version = Version()
    else:
        raise TypeError(f"{cls.__name__}: data should be a Tensor or None, got {type(data).__name__}")
    t = object.__new__(cls)
    _data.__set__(t, array)
    t._nr = 0
    t._rg = False
    t._node = t._grad = t._base = t._hooks = None
    t._version = version
    if requires_grad:
        t.requires_grad = True
    return t


class Parameter(Tensor):
    """A tensor that a module learns: assigned as an attribute of a Module it shows up in ``module.parameters()``.

    Args:
        data: a Tensor, whose memory the parameter shares; None makes an empty one.
        requires_grad: whether gradients are computed for it, also where it is made under ``no_grad``.

    Raises:
        TypeError: ``data`` is not a Tensor.
        RuntimeError: ``requires_grad`` is set for a dtype that has no gradients.

    >>> import tnn
    >>> tnn.nn.Parameter(tnn.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data=None, requires_grad=True):
        return _make(cls, data, requires_grad)

    def __init__(self, data=None, requires_grad=True):
        pass

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        grad, self._grad = self._grad, None  # a copy starts without a gradient
        try:
            return super().__deepcopy__(memo)
        finally:
            self._grad = grad


class Buffer(Tensor):
    """A tensor that belongs to a module's state but is not learned: assigned as an attribute of a Module it is
    registered as a buffer.

    Args:
        data: a Tensor, whose memory the buffer shares; None makes an empty one.
        persistent: whether ``state_dict`` holds it.
    """

    __slots__ = ()

    def __new__(cls, data=None, *, persistent=True):
        t = _make(cls, data, isinstance(data, Tensor) and data.requires_grad)
        t.persistent = persistent
        return t

    def __init__(self, data=None, *, persistent=True):
        pass


_UNINITIALIZED = (
    "Attempted to use an uninitialized {}: its shape is not known yet. Call the lazy module's `forward` with a batch "
    "first, which initializes its parameters."
)


def _rebuild(cls, settings):
    return cls(**settings)


def _converter(name):
    def convert(self, *args, **kwargs):
        dtype = getattr(self.data, name)(*args, **kwargs).dtype
        return self if dtype is self.dtype else type(self)(**{**self._settings(), "dtype": dtype})

    convert.__name__ = name
    convert.__doc__ = f"As ``Tensor.{name}``: an uninitialized tensor of another dtype."
    return convert


class UninitializedTensorMixin:
    """A tensor whose shape is not known yet: it has a dtype and no data; most uses raise.

    Raises:
        ValueError: an operation uses it.
        RuntimeError: its shape is asked for.
    """

    __slots__ = ()

    @property
    def _data(self):
        raise ValueError(_UNINITIALIZED.format(type(self).__name__))

    @_data.setter
    def _data(self, array):
        _data.__set__(self, array)

    @property
    def data(self):
        """An empty tensor that carries the dtype."""
        return wrap(_data.__get__(self))

    @data.setter
    def data(self, value):
        _data.__set__(self, _data.__get__(value))

    @property
    def dtype(self):
        """The dtype that the data will have."""
        return self.data.dtype

    @property
    def shape(self):
        """Not known: raises RuntimeError."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This happens in `load_state_dict` when an "
            "uninitialized parameter is loaded into an initialized one. Call `forward` first, which initializes the "
            "parameters."
        )

    def materialize(self, shape, device=None, dtype=None):
        """Gives it a shape: it becomes an ordinary parameter or buffer with uninitialised values.

        Args:
            shape: the sizes.
            device: None or the CPU.
            dtype: None keeps the one it has.
        """
        check_device(device)
        np_dtype = (self.dtype if dtype is None else dtypes.as_dtype(dtype)).np
        array = empty(tuple(shape), np_dtype)
        self.__class__ = self.cls_to_become
        self._data = array

    def size(self, dim=None):
        """The size of the empty tensor that carries the dtype."""
        return self.data.size(dim)

    def copy_(self, src, non_blocking=False):
        """Itself: there is nothing to copy from another uninitialized tensor.

        Raises:
            ValueError: ``src`` has data.
        """
        if not is_lazy(src):
            raise ValueError(_UNINITIALIZED.format(type(self).__name__))
        return self

    def share_memory_(self):
        """Not possible yet: raises RuntimeError."""
        raise RuntimeError("Can't share memory on an uninitialized parameter or buffer: call `forward` first.")

    def detach(self):
        """Itself: there is nothing to detach."""
        return self

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def __len__(self):
        raise ValueError(_UNINITIALIZED.format(type(self).__name__))

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(**self._settings())
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return _rebuild, (type(self), self._settings())

    to, half, float, double, bfloat16, char, short, int, long, cpu, type_as = map(
        _converter, "to half float double bfloat16 char short int long cpu type_as".split()
    )


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape becomes known with the first batch; see :class:`UninitializedTensorMixin`.

    Args:
        requires_grad: whether gradients will be computed for it.
        device: None or the CPU.
        dtype: the dtype it will have; None is the default dtype.
    """

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        check_device(device)
        return _make(cls, _empty(dtype), requires_grad)

    def __init__(self, requires_grad=True, device=None, dtype=None):
        pass

    def _settings(self):
        return {"requires_grad": self.requires_grad, "dtype": self.dtype}


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A buffer whose shape becomes known with the first batch; see :class:`UninitializedTensorMixin`.

    Args:
        requires_grad: whether gradients will be computed for it.
        device: None or the CPU.
        dtype: the dtype it will have; None is the default dtype.
        persistent: whether ``state_dict`` holds it.
    """

    __slots__ = ()
    cls_to_become = Buffer

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        check_device(device)
        t = _make(cls, _empty(dtype), requires_grad)
        t.persistent = persistent
        return t

    def __init__(self, requires_grad=False, device=None, dtype=None, persistent=True):
        pass

    def _settings(self):
        return {"requires_grad": self.requires_grad, "dtype": self.dtype, "persistent": self.persistent}


def _empty(dtype):
    return wrap(empty((0,), (dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)).np))


def is_lazy(param):
    """Whether ``param`` is an uninitialized parameter or buffer."""
    return isinstance(param, UninitializedTensorMixin)
