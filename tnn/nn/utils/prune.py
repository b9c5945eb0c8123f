"""Pruning: parameters multiplied by a mask of zeros and ones, by a rule that says which elements go."""

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np

from ... import dtypes
from ...kernels import prune as kernels
from ...ops.sampling import rand, rand_like
from ...tensor import wrap
from .convert_parameters import parameters_to_vector

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


def _keep(scores, k, largest):
    """False for the k scores of smallest (largest) magnitude, a bool Tensor of the shape of ``scores``."""
    scores = scores.detach()
    if scores._data.dtype not in dtypes.COMPUTE:
        scores = scores.float()
    array = np.ascontiguousarray(scores._data).reshape(-1)
    unsigned = np.uint32 if array.itemsize == 4 else np.uint64
    magnitude = np.iinfo(unsigned).max >> 1
    flip = np.array([magnitude, magnitude if largest else 0], unsigned)
    keep = np.empty(array.size, np.uint8)
    kernels.select_forward(array.view(unsigned), keep, k, flip, np.empty(1 << kernels.DIGIT, np.int64))
    return wrap(keep.view(np.bool_).reshape(tuple(scores.shape)))


def _channel_norms(t, n, dim):
    """The norm of order ``n`` of each slice along ``dim``, a 1-D Tensor."""
    if n == "nuc":
        return t.norm(p=n, dim=[d for d in range(t.dim()) if d != dim])
    t = t.detach()
    p = 2.0 if n == "fro" else float(n)
    if t._data.dtype not in dtypes.COMPUTE:
        t = t.float()
    array = np.ascontiguousarray(t._data)
    array = array.reshape(int(np.prod(array.shape[:dim])), array.shape[dim], -1)
    kinds = {0.0: kernels.NONZERO, float("inf"): kernels.MAX, float("-inf"): kernels.MIN}
    norms = np.empty(array.shape[1], np.float64)
    kernels.channel_norm_forward(array, p, kinds.get(p, -1), norms)
    return wrap(norms)


def _check_amount(amount):
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if amount < 0 or not isinstance(amount, numbers.Integral) and amount > 1:
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def _number_to_prune(amount, size):
    k = amount if isinstance(amount, numbers.Integral) else round(amount * size)
    if k > size:
        raise ValueError(f"amount={k} should be smaller than the number of parameters to prune={size}")
    return int(k)


def _channel_dim(t, dim):
    """``dim`` counted from 0."""
    if t.dim() <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
            f"{tuple(t.shape)} with {t.dim()} dims"
        )
    if not -t.dim() <= dim < t.dim():
        raise IndexError(f"Invalid index {dim} for tensor of size {tuple(t.shape)}")
    return dim % t.dim()


def _along(keep, t, dim):
    """A 1-D mask in the shape that broadcasts along ``dim`` of ``t``."""
    return keep.reshape([-1 if d == dim else 1 for d in range(t.dim())])


class BasePruningMethod(ABC):
    """A rule of pruning. A subclass defines :meth:`compute_mask` and ``PRUNING_TYPE``.

    It acts as a forward pre-hook: the module's parameter ``name`` becomes ``name_orig``, the mask a buffer
    ``name_mask``, and before each forward the attribute ``name`` is set to their product.

    Attributes:
        PRUNING_TYPE: ``"unstructured"``, ``"structured"`` (whole slices along ``self.dim``) or ``"global"``: what
            :class:`PruningContainer` shows the rule of a tensor that is pruned already.
    """

    _tensor_name = None

    def __call__(self, module, inputs):
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t, default_mask):
        """The mask for ``t``: ``default_mask`` with zeros where elements go.

        Args:
            t: the importance of each element, a Tensor.
            default_mask: the mask so far, of the same shape.
        """

    def apply_mask(self, module):
        """The module's original parameter times its mask; recorded."""
        if self._tensor_name is None:
            raise AssertionError(f"Module {module} has to be pruned")
        mask = getattr(module, self._tensor_name + "_mask")
        orig = getattr(module, self._tensor_name + "_orig")
        return mask.to(orig.dtype) * orig

    @classmethod
    def _method_for(cls, module, name, args, kwargs):
        """A new method for the tensor, together with the one that is there already, whose hook is removed."""
        found = [
            (k, h)
            for k, h in module._forward_pre_hooks.items()
            if isinstance(h, BasePruningMethod) and h._tensor_name == name
        ]
        if len(found) > 1:
            raise AssertionError(
                f"Avoid adding multiple pruning hooks to the same tensor {name} of module {module}. Use a "
                "PruningContainer."
            )
        method = cls(*args, **kwargs)
        method._tensor_name = name
        for key, old in found:
            del module._forward_pre_hooks[key]
            container = old if isinstance(old, PruningContainer) else PruningContainer(old)
            container.add_pruning_method(method)
            method = container
        return method

    @classmethod
    def apply(cls, module, name, *args, importance_scores=None, **kwargs):
        """Prunes a parameter of a module; on one that is pruned already the new rule acts on what is left.

        Args:
            module: the module.
            name: the parameter's name.
            importance_scores: what the rule compares in place of the parameter itself, of its shape.
            args, kwargs: passed to the constructor.

        Returns:
            The method that was registered as a hook.

        Raises:
            AssertionError: ``importance_scores`` has another shape.
        """
        method = cls._method_for(module, name, args, kwargs)
        again = isinstance(method, PruningContainer)
        orig = getattr(module, name)
        if importance_scores is None:
            importance_scores = orig
        elif importance_scores.shape != orig.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}, got "
                f"{tuple(importance_scores.shape)} and {tuple(orig.shape)}"
            )
        if again:
            default_mask = getattr(module, name + "_mask").detach().clone()
        else:
            module.register_parameter(name + "_orig", orig)
            del module._parameters[name]
            default_mask = _ones_like(orig)
        try:
            module.register_buffer(name + "_mask", method.compute_mask(importance_scores, default_mask=default_mask))
            setattr(module, name, method.apply_mask(module))
            module.register_forward_pre_hook(method)
        except Exception:
            if not again:
                module.register_parameter(name, module._parameters.pop(name + "_orig"))
            raise
        return method

    def prune(self, t, default_mask=None, importance_scores=None):
        """A tensor with the elements that go set to zero.

        Args:
            t: the tensor.
            default_mask: a mask that it has already; None for ones.
            importance_scores: what the rule compares in place of ``t``, of its shape.

        Raises:
            AssertionError: ``importance_scores`` has another shape.
        """
        if importance_scores is None:
            importance_scores = t
        elif importance_scores.shape != t.shape:
            raise AssertionError(
                "importance_scores should have the same shape as tensor t, got "
                f"{tuple(importance_scores.shape)} and {tuple(t.shape)}"
            )
        if default_mask is None:
            default_mask = _ones_like(t)
        return t * self.compute_mask(importance_scores, default_mask=default_mask)

    def remove(self, module):
        """Makes the pruning permanent: the parameter gets its pruned values, and the mask goes. (The hook stays: see
        the function :func:`remove`.)

        Raises:
            AssertionError: nothing was pruned.
        """
        if self._tensor_name is None:
            raise AssertionError(f"Module {module} has to be pruned before pruning can be removed")
        name = self._tensor_name
        weight = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        orig = module._parameters.pop(name + "_orig")
        orig.data = weight.data
        del module._buffers[name + "_mask"]
        setattr(module, name, orig)


def _ones_like(t):
    return wrap(np.ones(tuple(t.shape), t.dtype.np))


class PruningContainer(BasePruningMethod):
    """Several rules on one tensor, each acting on what the ones before it left.

    Args:
        args: the methods, all for the same tensor name.
    """

    def __init__(self, *args):
        self._pruning_methods = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method):
        """Adds a method at the end.

        Raises:
            TypeError: ``method`` is not a pruning method.
            ValueError: it is for another tensor name.
        """
        if method is not None and not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self):
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, idx):
        return self._pruning_methods[idx]

    def compute_mask(self, t, default_mask):
        """The mask of the last method, which sees the elements that are not pruned yet.

        Args:
            t: the importance of each element.
            default_mask: the mask that the methods before made.

        Raises:
            AttributeError: a structured method has no attribute ``dim``.
            IndexError: that is out of range.
            ValueError: the method's ``PRUNING_TYPE`` is unknown.
        """
        method = self._pruning_methods[-1]
        kind = method.PRUNING_TYPE
        if kind == "unstructured":
            part = default_mask == 1
        elif kind == "structured":
            if not hasattr(method, "dim"):
                raise AttributeError(
                    'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.'
                )
            dims = range(t.dim())
            if method.dim < -t.dim():
                raise IndexError(f"Index {method.dim} is out of bounds for tensor with dimensions {t.dim()}")
            dim = method.dim % t.dim() if method.dim < 0 else method.dim
            keep = default_mask.sum(dim=[d for d in dims if d != dim]) != 0
            part = tuple(keep if d == dim else slice(None) for d in dims)
        elif kind == "global":
            part = (slice(None),) * t.dim()
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {kind}")
        mask = default_mask.to(t.dtype).clone()
        mask[part] = method.compute_mask(t.detach()[part], default_mask=default_mask[part]).to(mask.dtype)
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing: gives a module the form of a pruned one."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        """``default_mask`` as it is."""
        return default_mask

    @classmethod
    def apply(cls, module, name):
        """See :meth:`BasePruningMethod.apply`."""
        return super().apply(module, name)


class _Amount(BasePruningMethod):
    """A rule with an amount: how many elements go, or which fraction of them."""

    def __init__(self, amount):
        _check_amount(amount)
        self.amount = amount


class RandomUnstructured(_Amount):
    """Prunes elements at random.

    Args:
        amount: an int, how many; or a float in [0, 1], which fraction.
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        """See :meth:`BasePruningMethod.compute_mask`."""
        k = _number_to_prune(self.amount, t.numel())
        if k == 0:
            return default_mask.clone()
        return default_mask * _keep(rand_like(t), k, True).to(default_mask.dtype)

    @classmethod
    def apply(cls, module, name, amount):
        """See :meth:`BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount)


class L1Unstructured(_Amount):
    """Prunes the elements of smallest magnitude; of equal ones the first.

    Args:
        amount: an int, how many; or a float in [0, 1], which fraction.
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        """See :meth:`BasePruningMethod.compute_mask`."""
        k = _number_to_prune(self.amount, t.numel())
        if k == 0:
            return default_mask.clone()
        return default_mask * _keep(t, k, False).to(default_mask.dtype)

    @classmethod
    def apply(cls, module, name, amount, importance_scores=None):
        """See :meth:`BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


class RandomStructured(_Amount):
    """Prunes whole slices along a dimension at random.

    Args:
        amount: an int, how many; or a float in [0, 1], which fraction.
        dim: the dimension.
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount, dim=-1):
        super().__init__(amount)
        self.dim = dim

    def compute_mask(self, t, default_mask):
        """See :meth:`BasePruningMethod.compute_mask`."""
        dim = _channel_dim(t, self.dim)
        k = _number_to_prune(self.amount, t.shape[dim])
        if k == 0:
            return default_mask
        return _along(_keep(rand(t.shape[dim]), k, False), t, dim).to(t.dtype) * default_mask.to(t.dtype)

    @classmethod
    def apply(cls, module, name, amount, dim=-1):
        """See :meth:`BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(_Amount):
    """Prunes the slices along a dimension that have the smallest norm.

    Args:
        amount: an int, how many; or a float in [0, 1], which fraction.
        n: the order of the norm: a number, ``inf``, ``-inf``, ``"fro"`` or ``"nuc"``.
        dim: the dimension.
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount, n, dim=-1):
        super().__init__(amount)
        self.n = n
        self.dim = dim

    def compute_mask(self, t, default_mask):
        """See :meth:`BasePruningMethod.compute_mask`."""
        dim = _channel_dim(t, self.dim)
        k = _number_to_prune(self.amount, t.shape[dim])
        if k == 0:
            return default_mask
        keep = _keep(_channel_norms(t, self.n, dim), k, False)
        return _along(keep, t, dim).to(t.dtype) * default_mask.to(t.dtype)

    @classmethod
    def apply(cls, module, name, amount, n, dim, importance_scores=None):
        """See :meth:`BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """Prunes by a mask that is given.

    Args:
        mask: a Tensor of the parameter's shape, of zeros and ones.
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask):
        self.mask = mask

    def compute_mask(self, t, default_mask):
        """The product of the two masks.

        Raises:
            AssertionError: their shapes differ.
        """
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"default_mask shape {tuple(default_mask.shape)} must match self.mask shape {tuple(self.mask.shape)}"
            )
        return default_mask * self.mask.to(default_mask.dtype)

    @classmethod
    def apply(cls, module, name, mask):
        """See :meth:`BasePruningMethod.apply`."""
        return super().apply(module, name, mask=mask)


def identity(module, name):
    """Gives a parameter the form of a pruned one without pruning it; see :class:`Identity`.

    Args:
        module: the module.
        name: the parameter's name.

    Returns:
        The module.

    Raises:
        AttributeError: there is no such parameter.
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module, name, amount):
    """Prunes elements of a parameter at random; see :class:`RandomUnstructured`.

    Args:
        module: the module.
        name: the parameter's name.
        amount: an int, how many; or a float in [0, 1], which fraction.

    Returns:
        The module.

    Raises:
        AttributeError: there is no such parameter.
        TypeError: ``amount`` is no number.
        ValueError: it is out of range.
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module, name, amount, importance_scores=None):
    """Prunes the elements of a parameter with the smallest magnitude; see :class:`L1Unstructured`.

    Args:
        module: the module.
        name: the parameter's name.
        amount: an int, how many; or a float in [0, 1], which fraction.
        importance_scores: a tensor of the parameter's shape whose smallest elements are pruned, in place of its own
            magnitudes; or None.

    Returns:
        The module.

    Raises:
        AttributeError: there is no such parameter.
        TypeError: ``amount`` is no number.
        ValueError: it is out of range.

    >>> import tnn
    >>> layer = tnn.nn.Module()
    >>> layer.weight = tnn.nn.Parameter(tnn.tensor([3.0, -1.0, 2.0, 4.0]))
    >>> tnn.nn.utils.prune.l1_unstructured(layer, "weight", amount=2).weight.detach()
    tensor([3., -0., 0., 4.])
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module, name, amount, dim):
    """Prunes slices of a parameter at random; see :class:`RandomStructured`.

    Args:
        module: the module.
        name: the parameter's name.
        amount: an int, how many; or a float in [0, 1], which fraction.
        dim: the dimension of the slices.

    Returns:
        The module.

    Raises:
        AttributeError: there is no such parameter.
        TypeError: ``amount`` is no number.
        ValueError: it is out of range.
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module, name, amount, n, dim, importance_scores=None):
    """Prunes the slices of a parameter with the smallest norm; see :class:`LnStructured`.

    Args:
        module: the module.
        name: the parameter's name.
        amount: an int, how many; or a float in [0, 1], which fraction.
        n: the order of the norm: a number, ``inf``, ``-inf``, ``"fro"`` or ``"nuc"``.
        dim: the dimension of the slices.
        importance_scores: a tensor of the parameter's shape whose norms count, in place of its own; or None.

    Returns:
        The module.

    Raises:
        AttributeError: there is no such parameter.
        TypeError: ``amount`` is no number.
        ValueError: it is out of range.
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module, name, mask):
    """Prunes a parameter by a given mask; see :class:`CustomFromMask`.

    Args:
        module: the module.
        name: the parameter's name.
        mask: a Tensor of the parameter's shape, of zeros and ones.

    Returns:
        The module.

    Raises:
        AttributeError: there is no such parameter.
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(parameters, pruning_method, importance_scores=None, **kwargs):
    """Prunes several parameters as if they were one.

    Args:
        parameters: pairs of module and parameter name.
        pruning_method: a class with ``PRUNING_TYPE`` ``"unstructured"``.
        importance_scores: a dict from such pairs to what is compared in place of the parameter.
        kwargs: passed to the constructor of ``pruning_method``.

    Raises:
        TypeError: ``parameters`` is not iterable, ``importance_scores`` not a dict, or the method is not unstructured.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    importance_scores = {} if importance_scores is None else importance_scores
    if not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    parameters = list(parameters)
    params = [getattr(module, name) for module, name in parameters]
    scores = [importance_scores.get(pair, p) for pair, p in zip(parameters, params, strict=True)]
    masks = [getattr(module, name + "_mask", None) for module, name in parameters]
    masks = [_ones_like(p) if m is None else m for m, p in zip(masks, params, strict=True)]

    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method {pruning_method} of '
            f"type {method.PRUNING_TYPE}"
        )
    method._tensor_name = "temp"
    final = PruningContainer(method).compute_mask(parameters_to_vector(scores).detach(), parameters_to_vector(masks))
    start = 0
    for (module, name), param in zip(parameters, params, strict=True):
        n = param.numel()
        custom_from_mask(module, name, mask=final[start : start + n].view_as(param))
        start += n


def remove(module, name):
    """Makes the pruning of a parameter permanent and removes its hook.

    Args:
        module: the module.
        name: the parameter's name.

    Returns:
        The module.

    Raises:
        ValueError: the parameter is not pruned.
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module):
    """Whether a parameter of the module or of one below it is pruned.

    Args:
        module: the module.
    """
    return any(isinstance(hook, BasePruningMethod) for m in module.modules() for hook in m._forward_pre_hooks.values())
