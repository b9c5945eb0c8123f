"""Tensor: an ndarray with a place on the tape.

Methods that compute are bound by ``tnn/_methods.py``; here stand what a tensor is, how it is seen from outside, and the
rules of in-place changes.
"""

import builtins
import warnings

import numpy as np

from . import dtypes, formats
from ._device import Size, check_device, cpu, device  # noqa: F401
from .autograd import engine, node
from .autograd.grad_mode import mode
from .autograd.node import Node, NodeHooks, RemovableHandle, Version, keep_retaining
from .autograd.view import ViewOf, rebase
from .kernels._copy import assign
from .kernels._pool import empty, zeros

_new = object.__new__
_of = dtypes.FROM_NUMPY


def wrap(data):
    """A Tensor of an ndarray, without recording. The array is taken as it is."""
    t = _new(Tensor)
    t._data = data
    t._rg = False
    t._nr = 0
    t._node = t._grad = t._version = t._base = t._hooks = None
    return t


def wrap_zeros(shape, np_dtype):
    """A Tensor of zeros."""
    return wrap(zeros(shape, np.dtype(np_dtype)))


def view_of(source, data):
    """A Tensor of ``data``, an ndarray that shares ``source``'s memory: with a common version counter."""
    t = wrap(data)
    v = source._version
    if v is None:
        v = source._version = Version()
    t._version = v
    base = source._base
    t._base = ViewOf(source if base is None else base.base, v.n)
    return t


class CopyBackwards(Node):
    """A tensor that was overwritten with a leaf."""

    __slots__ = ()

    def name(self):
        return "CopyBackwards"

    def backward(self, grad):
        return grad


class Tensor:
    """A multi-dimensional array of one dtype, whose operations can be recorded for differentiation.

    Made by ``tnn.tensor``, ``tnn.zeros`` and the like. ``tnn.Tensor(...)`` itself is the old constructor: sizes give an
    uninitialised float32 tensor, a sequence its elements as float32.

    Args:
        args: sizes, one sequence of numbers, or a tensor, whose memory is shared.

    Raises:
        TypeError: an unknown keyword.
        RuntimeError: another device than the CPU.
    """

    __module__ = "tnn"  # as it prints

    __slots__ = (
        "_data", "_rg", "_nr", "_node", "_grad", "_version", "_base", "_hooks", "__weakref__", "__dict__",
    )  # fmt: skip

    __array_priority__ = 1000
    is_sparse = False
    is_cuda = is_mps = is_xpu = is_quantized = is_meta = is_nested = is_mkldnn = is_ipu = is_vulkan = False
    is_xla = is_mtia = is_maia = is_sparse_csr = volatile = False
    is_cpu = True
    layout = formats.strided

    def __new__(cls, *args, **kwargs):
        t = _new(cls)
        if kwargs:
            check_device(kwargs.pop("device", None))
            if "data" in kwargs:
                args = (kwargs.pop("data"),)
            if kwargs:
                raise TypeError(f"Tensor() got an unexpected keyword argument {next(iter(kwargs))!r}")
        np_dtype = dtypes.get_default_dtype().np
        if len(args) == 1 and isinstance(args[0], Tensor):
            t._data = args[0]._data
            args[0]._hand_out()
        elif len(args) == 1 and isinstance(args[0], list | tuple | np.ndarray) and not isinstance(args[0], Size):
            t._data = np.array(args[0], dtype=np_dtype).view(np_dtype)  # see _rebuild
        else:
            shape = args[0] if len(args) == 1 and isinstance(args[0], Size) else args or (0,)
            t._data = empty(tuple(shape), np_dtype)
        t._rg = False
        t._nr = 0
        t._node = t._grad = t._version = t._base = t._hooks = None
        return t

    # -- what it is

    @property
    def dtype(self):
        """The element type."""
        return _of[self._data.dtype]

    @property
    def shape(self):
        """The size of each dimension."""
        return Size(self._data.shape)

    @property
    def ndim(self):
        """The number of dimensions."""
        return self._data.ndim

    @property
    def device(self):
        """Always the CPU."""
        return cpu

    @property
    def itemsize(self):
        """Bytes in an element."""
        return self._data.itemsize

    @property
    def nbytes(self):
        """Bytes in all elements."""
        return self._data.nbytes

    def size(self, dim=None):
        """The shape, or the size of one dimension.

        Args:
            dim: the dimension, or None.

        Raises:
            IndexError: there is no such dimension.
        """
        if dim is None:
            return Size(self._data.shape)
        n = self._data.ndim
        if not -max(n, 1) <= dim < max(n, 1) or n == 0:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(n, 1)}, {max(n, 1) - 1}], but got {dim})"
            )
        return self._data.shape[dim]

    def dim(self):
        """The number of dimensions."""
        return self._data.ndim

    ndimension = dim

    def numel(self):
        """The number of elements."""
        return self._data.size

    nelement = numel

    def element_size(self):
        """Bytes in an element."""
        return self._data.itemsize

    def stride(self, dim=None):
        """Elements from one index to the next, for each dimension or one.

        Args:
            dim: the dimension, or None.

        Raises:
            IndexError: there is no such dimension.
        """
        itemsize = self._data.itemsize
        strides = tuple(s // itemsize for s in self._data.strides)
        return strides if dim is None else strides[dim]

    def storage_offset(self):
        """Elements between the start of the base's memory and this tensor's first element."""
        if self._base is None or not self._data.size:
            return 0
        start = self._base.base._data.__array_interface__["data"][0]
        return (self._data.__array_interface__["data"][0] - start) // self._data.itemsize

    def data_ptr(self):
        """The address of the first element."""
        return self._data.__array_interface__["data"][0] if self._data.size else 0

    def is_contiguous(self, memory_format=None):
        """Whether the elements lie in row-major order without gaps.

        Args:
            memory_format: not used.
        """
        return self._data.flags.c_contiguous

    def is_floating_point(self):
        """Whether the dtype is a floating-point one."""
        return self.dtype.is_floating_point

    def is_complex(self):
        """Always False."""
        return False

    def is_signed(self):
        """Whether the dtype has negative values."""
        return self.dtype.is_signed

    def is_pinned(self):
        """Always False."""
        return False

    def is_shared(self):
        """Always False: threads share memory as it is."""
        return False

    def share_memory_(self):
        """The tensor itself: threads share its memory as it is, and another process gets a copy."""
        return self

    def is_inference(self):
        """Always False."""
        return False

    def get_device(self):
        """-1, as for every CPU tensor."""
        return -1

    def is_set_to(self, tensor):
        """Whether both show the same memory in the same way.

        Args:
            tensor: another tensor.
        """
        a, b = self._data, tensor._data
        return self.data_ptr() == tensor.data_ptr() and a.shape == b.shape and a.strides == b.strides

    # -- the tape

    @property
    def requires_grad(self):
        """Whether gradients are computed for it."""
        return self._rg

    @requires_grad.setter
    def requires_grad(self, value):
        value = bool(value)
        if self._node is not None and not value:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in "
                "a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if value and not self.dtype.is_floating_point:
            raise RuntimeError(f"only Tensors of floating point dtype can require gradients, got {self.dtype}")
        self._rg = value

    def requires_grad_(self, requires_grad=True):
        """Sets ``requires_grad`` and returns the tensor.

        Args:
            requires_grad: whether gradients are computed.

        Raises:
            RuntimeError: the tensor is not of floating point, or a recorded operation made it and ``requires_grad`` is
                False.
        """
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self):
        """Whether no recorded operation made it."""
        return self._node is None

    @property
    def grad_fn(self):
        """The recorded operation that made it, or None."""
        if self._base is not None and self._base.stale(self):
            self._base.refresh(self)
        return self._node

    @property
    def output_nr(self):
        """Which of its operation's outputs it is."""
        return self._nr

    @property
    def _version_number(self):
        return 0 if self._version is None else self._version.n

    @property
    def grad(self):
        """The gradient accumulated so far, or None."""
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if not value.is_sparse:
                if value._data.shape != self._data.shape:
                    raise RuntimeError(
                        f"assigned grad has data of a different size: expected {list(self._data.shape)}, "
                        f"got {list(value._data.shape)}"
                    )
                if value._data.dtype != self._data.dtype:
                    raise RuntimeError(
                        f"assigned grad has data of a different type: expected {self.dtype}, got {value.dtype}"
                    )
        self._grad = value

    @grad.deleter
    def grad(self):
        self._grad = None

    @property
    def data(self):
        """The same memory as a tensor that knows nothing of the tape (changes of it are not tracked)."""
        self._hand_out()
        return wrap(self._data)

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        self._hand_out()
        value._hand_out()
        self._data = value._data

    def _hand_out(self):
        v = self._version
        if v is None:
            v = self._version = Version()
        v.loose = True

    def detach(self):
        """The same memory, outside the tape: changes of it in place are not recorded."""
        t = wrap(self._data)
        v = self._version
        if v is None:
            v = self._version = Version()
        t._version = v
        base = self._base
        if base is not None:
            # its place in the memory stays known, but the base's history is none of its business
            t._base = ViewOf(base.base.detach(), v.n)
        return t

    def detach_(self):
        """Takes the tensor itself off the tape."""
        self._node, self._rg, self._nr = None, False, 0
        return self

    def _alias(self):
        if self._version is None:
            self._version = Version()
        t = wrap(self._data)
        t._version = self._version
        return t

    @property
    def _base_tensor(self):
        return None if self._base is None else self._base.base

    def _is_view(self):
        return self._base is not None

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Computes the gradients of the leaves that this tensor was made from, and adds them to their ``grad``.

        Args:
            gradient: dL/d(self), of this tensor's shape; may be left out for a single element, where it is 1.
            retain_graph: keep what the operations saved, for another backward (default: ``create_graph``).
            create_graph: record this backward, for higher derivatives.
            inputs: accumulate only into these tensors.

        Raises:
            RuntimeError: the tensor does not require gradients, ``gradient`` has another shape or is missing, or the
                graph was freed by an earlier backward.
        """
        gradient = engine.start(self, gradient)
        if inputs is not None:
            inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
            if not inputs:
                raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        if retain_graph is None:
            retain_graph = create_graph
        if inputs is None:
            engine.run_one(self, gradient, retain_graph, create_graph)
        else:
            engine.run((self,), (gradient,), retain_graph, create_graph, inputs)

    def retain_grad(self):
        """Keeps this non-leaf tensor's gradient in ``grad`` too.

        Raises:
            RuntimeError: the tensor does not require gradients.
        """
        if not self._rg:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._node is not None:
            import weakref

            self._node._hooks().retain[self._nr] = weakref.ref(self)

    @property
    def retains_grad(self):
        """Whether a non-leaf tensor's gradient is kept."""
        node = self._node
        return node is not None and node.hooks is not None and self._nr in node.hooks.retain

    def register_hook(self, hook):
        """Calls ``hook(grad)`` with this tensor's gradient when it is known; a tensor that it returns replaces it.

        Args:
            hook: takes the gradient; returns a tensor or None.

        Returns:
            A handle whose ``remove()`` takes the hook away.

        Raises:
            RuntimeError: the tensor does not require gradients.
        """
        if not self._rg:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._node is not None:
            hooks = self.grad_fn._hooks()
        else:
            if self._hooks is None:
                self._hooks = NodeHooks()
            hooks = self._hooks
        return RemovableHandle(hooks.tensor.setdefault(self._nr if self._node is not None else 0, {}), hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Calls ``hook(tensor)`` after this leaf's ``grad`` was accumulated.

        Args:
            hook: takes the tensor.

        Returns:
            A handle whose ``remove()`` takes the hook away.

        Raises:
            RuntimeError: the tensor is no leaf, or does not require gradients.
        """
        if not self._rg or self._node is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if self._hooks is None:
            self._hooks = NodeHooks()
        return RemovableHandle(self._hooks.post, hook)

    # -- changes in place

    def _check_inplace(self):
        """Raises where the tensor may not be changed in place."""
        if mode.grad:
            if self._rg and self._node is None:
                raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
            base = self._base
            if base is not None and base.base._rg and base.base._node is None:
                raise RuntimeError(
                    "a view of a leaf Variable that requires grad is being used in an in-place operation."
                )
        d = self._data
        if 0 in d.strides and d.size and any(s == 0 and n > 1 for s, n in zip(d.strides, d.shape, strict=True)):
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory "
                "location. Please clone() the tensor before performing the operation."
            )

    def _bump(self):
        if self._version is None:
            self._version = Version()
        self._version.n += 1

    def _rebase(self, node, nr):
        """After the memory was changed: this tensor's history is now output ``nr`` of ``node``."""
        self._bump()
        if self._base is None:
            node.attach(self, nr)
        else:
            result = wrap(self._data)
            node.attach(result, nr)
            rebase(self, result)

    def _write(self, result):
        """Takes over the values and the history of ``result``: the end of every in-place operation.

        Raises:
            RuntimeError: shape or dtype do not fit, or the tensor may not be changed in place.
        """
        self._check_inplace()
        mine, new = self._data, result._data
        if mine.shape != new.shape:
            raise RuntimeError(
                f"output with shape {list(mine.shape)} doesn't match the broadcast shape {list(new.shape)}"
            )
        if mine.dtype != new.dtype:
            if not dtypes.can_cast(result.dtype, self.dtype):
                raise RuntimeError(
                    f"result type {result.dtype.torch_name} can't be cast to the desired output type "
                    f"{self.dtype.torch_name}"
                )
            result = result.to(self.dtype)
            new = result._data
        if type(mine) is np.ndarray and mine.strides[-1:] == (mine.itemsize,):
            assign(mine, new)  # several threads for many elements
        else:
            np.copyto(mine, new)  # a copy that a recording sees
        self._bump()
        if mode.grad and (result._rg or self._rg):
            if self._base is not None and self._base.base is not self:
                rebase(self, result)
            elif result._rg:
                if self._base is not None and self._base.stale(self):
                    self._base.refresh(self)
                if result._node is None:
                    CopyBackwards(result).attach(self)
                else:
                    if self._node is not None:
                        keep_retaining(self, result._node, result._nr)
                    self._node, self._nr, self._rg = result._node, result._nr, True
            else:
                Node().attach(self)
        return self

    # -- to Python and NumPy

    def item(self):
        """The value of a one-element tensor as a Python number.

        Raises:
            RuntimeError: the tensor has another number of elements.
        """
        d = self._data
        if d.size != 1:
            raise RuntimeError(f"a Tensor with {d.size} elements cannot be converted to Scalar")
        return d.item()

    def tolist(self):
        """The elements as nested lists (a number for a 0-d tensor)."""
        d = self._data
        if d.dtype == dtypes.bfloat16.np:
            d = d.astype(np.float32)
        return d.tolist()

    def numpy(self, *, force=False):
        """The ndarray itself, sharing memory.

        Args:
            force: also for a tensor that requires gradients.

        Raises:
            RuntimeError: the tensor requires gradients and ``force`` is not set.
        """
        if self._rg and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        self._hand_out()
        return self._data

    def __array__(self, dtype=None, copy=None):
        if self._rg:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if copy:
            return np.array(self._data, dtype=dtype)
        if dtype is None or np.dtype(dtype) == self._data.dtype:
            self._hand_out()
            return self._data
        if copy is False:
            raise ValueError(f"a copy is needed to convert {self.dtype} to {np.dtype(dtype)}")
        return self._data.astype(dtype)

    def __array_wrap__(self, array, context=None, return_scalar=False):
        """What NumPy's functions of tensors return: tensors again, uint8 for bool as in PyTorch."""
        if array.dtype == np.bool_:
            array = array.astype(np.uint8)
        return wrap(np.asarray(array)) if array.dtype in dtypes.FROM_NUMPY else array

    def __dlpack__(self, **kwargs):
        if self._rg:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        self._hand_out()
        return self._data.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self._data.__dlpack_device__()

    def _one(self):
        if self._data.size != 1:
            raise ValueError(
                f"only one element tensors can be converted to Python scalars, got {self._data.size} elements"
            )
        if self._rg:
            warnings.warn(
                "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior. Consider "
                "using tensor.detach() first.",
                stacklevel=3,
            )
        return self._data.item()

    def __bool__(self):
        if self._data.size != 1:
            what = "more than one value" if self._data.size else "no values"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
        return builtins.bool(self._data)

    def __float__(self):
        return float(self._one())

    def __int__(self):
        return int(self._one())

    def __index__(self):
        if self._data.size != 1 or self.dtype.kind == 2:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._one())

    def __complex__(self):
        return complex(self.item())

    def __len__(self):
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self):
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element):
        return builtins.bool((self._data == (element._data if isinstance(element, Tensor) else element)).any())

    def __hash__(self):
        return id(self)

    def __repr__(self):
        from .printing import tensor_str

        return tensor_str(self)

    def __format__(self, spec):
        if self._data.ndim == 0 and type(self) is Tensor:
            return format(self.item(), spec)
        return object.__format__(self, spec) if spec else repr(self)

    def __dir__(self):
        return [n for n in object.__dir__(self)]

    # -- copies

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        if self._node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment."
            )
        import copy

        t = (
            wrap(np.array(self._data, order="K"))
            if type(self) is Tensor
            else self._like(np.array(self._data, order="K"))
        )
        memo[id(self)] = t
        t._rg = self._rg
        if self._grad is not None:
            t._grad = copy.deepcopy(self._grad, memo)
        if self.__dict__:
            t.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return t

    def _like(self, data):
        """A tensor of this one's class."""
        t = _new(type(self))
        t._data = data
        t._rg = False
        t._nr = 0
        t._node = t._grad = t._version = t._base = t._hooks = None
        return t

    def __reduce_ex__(self, protocol):
        return _rebuild, (
            type(self),
            np.ascontiguousarray(self._data).reshape(self._data.shape),
            self._rg,
            dict(self.__dict__),
        )


def _rebuild(cls, data, requires_grad, attributes):
    t = _new(cls)
    # an unpickled array's dtype equals NumPy's and is another object, while operations compare by identity
    t._data = data.view(_of[data.dtype].np)
    t._rg = requires_grad
    t._nr = 0
    t._node = t._grad = t._version = t._base = t._hooks = None
    if attributes:
        t.__dict__.update(attributes)
    return t


def is_tensor(obj):
    """Whether ``obj`` is a Tensor.

    Args:
        obj: any object.
    """
    return isinstance(obj, Tensor)


engine.wrap, engine.wrap_zeros = wrap, wrap_zeros
node.wrap = wrap
