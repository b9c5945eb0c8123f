"""Parametrizations: a parameter that is computed from others by a module, each time it is read."""

import collections.abc
import copy
from contextlib import contextmanager

from ...autograd.grad_mode import no_grad
from ...tensor import Tensor
from ..modules.container import ModuleDict, ModuleList
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]


class _Cache:
    """How many :func:`cached` blocks are open, and the tensors computed in them by module id and tensor name."""

    depth = 0
    tensors = {}


@contextmanager
def cached():
    """Inside the block each parametrized tensor is computed once, when it is read first.

    >>> import tnn
    >>> with tnn.nn.utils.parametrize.cached():
    ...     pass  # e.g. several steps of a recurrent layer with the same weight
    """
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.tensors = {}


def _register(module, name, value):
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _set_data(dest, src):
    """Makes ``dest`` show the memory of ``src``."""
    dest.data = src
    dest._bump()


def _check_same(what, then, now, names):
    """Raises ValueError unless ``now`` is a tensor with dtype and shape of ``then``, a pair of these two."""
    if not isinstance(now, Tensor):
        raise ValueError(f"{what} must return a tensor. Got {type(now).__name__}.")
    for attribute, before in zip(("dtype", "shape"), then, strict=True):
        after = getattr(now, attribute)
        if after != before:
            raise ValueError(
                f"{what} may not change the {attribute} of the tensor, unless the `unsafe` flag is enabled.\n"
                f"{names[0]}.{attribute}: {before}\n{names[1]}.{attribute}: {after}"
            )


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied one after the other, and the parameters that they start from.

    These are ``original``, or ``original0``, ``original1`` ... where the first parametrization's ``right_inverse``
    returns several tensors.

    Args:
        modules: the parametrizations.
        original: the tensor that is parametrized.
        unsafe: do not check that the result has dtype and shape of ``original``.

    Raises:
        ValueError: ``modules`` is empty, or the checks fail.
    """

    def __init__(self, modules, original, unsafe=False):
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        then = (original.dtype, original.shape)
        with no_grad():
            new = original
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    try:
                        new = module.right_inverse(new)
                    except NotImplementedError:
                        continue  # the tensor is taken as it is
        if not isinstance(new, Tensor) and not isinstance(new, collections.abc.Sequence):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got "
                f"{type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if original.dtype != new.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}"
                )
            _set_data(original, new)
            _register(self, "original", original)
        else:
            for i, value in enumerate(new):
                if not isinstance(value, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                        f"Got element {i} of the sequence with type {type(value).__name__}."
                    )
                if isinstance(original, Parameter):
                    value = Parameter(value, original.requires_grad)
                value.requires_grad_(original.requires_grad)
                _register(self, f"original{i}", value)
        if not unsafe:
            _check_same("A parametrization", then, self(), ("unparametrized", "parametrized"))

    def _originals(self):
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value):
        """Assigns to the tensor: sets the originals to what the ``right_inverse`` methods make of ``value``.

        Raises:
            RuntimeError: a parametrization has no ``right_inverse``.
            ValueError: what they return does not fit the originals.
        """
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
            if self.is_tensor:
                if not isinstance(value, Tensor):
                    raise ValueError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
                values = [value]
            else:
                if not isinstance(value, collections.abc.Sequence):
                    raise ValueError(f"'right_inverse' must return a sequence of tensors. Got {type(value).__name__}.")
                if len(value) != self.ntensors:
                    raise ValueError(
                        f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a "
                        f"sequence of length {len(value)}."
                    )
                values = value
            for i, (original, new) in enumerate(zip(self._originals(), values, strict=True)):
                if not isinstance(new, Tensor):
                    raise ValueError(
                        f"'right_inverse' must return a sequence of tensors. Got element {i} of type "
                        f"{type(new).__name__}"
                    )
                if original.dtype != new.dtype:
                    raise ValueError(
                        f"Tensor {i} returned by `right_inverse` has dtype {new.dtype} while `original` has dtype "
                        f"{original.dtype}"
                    )
                _set_data(original, new)

    def forward(self):
        """The parametrized tensor."""
        first, *rest = self._modules.values()
        x = first(*self._originals())
        for module in rest:
            x = module(x)
        return x


def _read(module, name):
    if not _Cache.depth:
        return module.parametrizations[name]()
    key = (id(module), name)
    if key not in _Cache.tensors:
        _Cache.tensors[key] = module.parametrizations[name]()
    return _Cache.tensors[key]


def _deepcopy(self, memo):
    if id(self) not in memo:
        replica = memo[id(self)] = self.__new__(type(self))
        replica.__dict__ = copy.deepcopy(self.__dict__, memo)
    return memo[id(self)]


def _getstate(self):
    raise RuntimeError("Serialization of parametrized modules is only supported through state_dict().")


def _inject_class(module):
    """Gives the module a class of its own, which the properties can be set on."""
    cls = type(module)
    members = {"__getstate__": _getstate}
    if not hasattr(cls, "__deepcopy__"):
        members["__deepcopy__"] = _deepcopy
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def _inject_property(module, name):
    setattr(
        type(module),
        name,
        property(
            lambda self: _read(self, name),
            lambda self, value: self.parametrizations[name].right_inverse(value),
        ),
    )


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Has a module compute one of its parameters or buffers.

    From then on ``module.tensor_name`` is ``parametrization(original)``, with ``original`` kept in
    ``module.parametrizations.tensor_name.original``. Several parametrizations of one tensor are applied in the order in
    which they were registered. Assigning to ``module.tensor_name`` needs a method ``right_inverse`` of the
    parametrization.

    Args:
        module: the module.
        tensor_name: the name of a parameter, a buffer or a tensor that is parametrized already.
        parametrization: a Module. Where it has a method ``right_inverse`` the original is ``right_inverse`` of the
            tensor, else the tensor itself.
        unsafe: do not check that dtype and shape stay as they are.

    Returns:
        The module.

    Raises:
        ValueError: the module has no such tensor, or the parametrization changes dtype or shape.

    >>> import tnn
    >>> class Double(tnn.nn.Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> module = tnn.nn.Module()
    >>> module.weight = tnn.nn.Parameter(tnn.tensor([1.0, 2.0]))
    >>> tnn.nn.utils.parametrize.register_parametrization(module, "weight", Double()).weight.detach()
    tensor([2., 4.])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            before = getattr(module, tensor_name)
            then = (before.dtype, before.shape)
            names = (f"module.{tensor_name}", f"parametrization(module.{tensor_name})")
            after = parametrization(before)
            _check_same("Registering a parametrization", then, after, names)
            if hasattr(parametrization, "right_inverse"):
                try:
                    back = parametrization.right_inverse(after)
                except NotImplementedError:
                    back = before
                _check_same("parametrization.right_inverse", then, back, (names[0], "returned"))
        entry = module.parametrizations[tensor_name]
        entry.append(parametrization)
        entry.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        entry = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _inject_class(module)
            module.parametrizations = ModuleDict()
        _inject_property(module, tensor_name)
        module.parametrizations[tensor_name] = entry
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    return module


def is_parametrized(module, tensor_name=None):
    """Whether a module has parametrizations.

    Args:
        module: the module.
        tensor_name: ask about this tensor; None: about any.
    """
    entries = getattr(module, "parametrizations", None)
    if not isinstance(entries, ModuleDict):
        return False
    return len(entries) > 0 if tensor_name is None else tensor_name in entries


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Makes a parametrized tensor an ordinary parameter or buffer again.

    Args:
        module: the module.
        tensor_name: the tensor's name.
        leave_parametrized: it keeps the value that it has; otherwise it becomes ``original``.

    Returns:
        The module.

    Raises:
        ValueError: the tensor is not parametrized, or it is so by several tensors and ``leave_parametrized`` is False.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    entry = module.parametrizations[tensor_name]
    if entry.is_tensor:
        original = entry.original
        if leave_parametrized:
            with no_grad():
                _set_data(original, getattr(module, tensor_name))
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value) if value.requires_grad else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module):
    """The class that a module has or had before it was parametrized.

    Args:
        module: the module.
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module, to_module, tensor_name=None):
    """Gives ``to_module`` the parametrizations of ``from_module`` and the parameters that belong to them.

    Args:
        from_module, to_module: the modules.
        tensor_name: only those of this tensor; None: all.

    Returns:
        ``to_module``.
    """
    if not is_parametrized(from_module):
        return to_module
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        source = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization)
        target = to_module.parametrizations[name]
        originals = ["original"] if source.is_tensor else [f"original{i}" for i in range(source.ntensors)]
        for original in originals:
            setattr(target, original, getattr(source, original))
    return to_module
