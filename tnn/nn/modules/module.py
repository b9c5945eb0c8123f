"""Module: the base class of all layers and models.

The class is put together from parts by what they do: hooks (``_hooks``), walking (``_tree``), state_dict (``_state``)
and conversion (``_convert``). Here stand registration, attributes, the call, and how a module prints.
"""

import inspect
import warnings
from collections import OrderedDict
from typing import Any, TypeVar

from ...autograd.node import RemovableHandle
from ...tensor import Tensor
from ..parameter import Buffer, Parameter
from ._call import call_with_hooks
from ._convert import ConvertMethods
from ._hooks import (
    GlobalHooks,
    HookMethods,
    apply_registration_hooks,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from ._state import StateMethods
from ._tree import TreeMethods

__all__ = [
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

_forward = GlobalHooks.forward
_forward_pre = GlobalHooks.forward_pre
_backward = GlobalHooks.backward
_backward_pre = GlobalHooks.backward_pre

# The tables of hooks that every instance has.
_HOOK_TABLES = (
    "_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_state_dict_hooks", "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip


def typename(value):
    """The name of a value's type, with its module unless it is a builtin; of a Tensor that of its elements."""
    if isinstance(value, Tensor):
        return value.type()
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def indent(text, n):
    """``text`` with every line but the first indented by ``n`` spaces; blank lines stay empty."""
    first, *rest = text.split("\n")
    return "\n".join([first, *((" " * n + line if line.strip() else "") for line in rest)])


_addindent = indent


def is_plain(module):
    """Whether a module's call is its class's ``forward`` and nothing else: no hooks, and no ``forward`` of its own."""
    return not (
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
        or _forward or _forward_pre or _backward or _backward_pre or module._compiled_call_impl is not None
        or "forward" in module.__dict__
    )  # fmt: skip


def weight_and_bias(module):
    """A layer's weight and bias: 0.25 us where by way of Module.__getattr__ they take 1.2."""
    own = module._parameters
    if "weight" in own and "bias" in own:
        return own["weight"], own["bias"]
    return module.weight, module.bias


class Module(HookMethods, TreeMethods, StateMethods, ConvertMethods):
    """Base class of all layers and models.

    A subclass calls ``super().__init__()``, assigns parameters and other modules as attributes, which registers them,
    and defines ``forward``. Calling the module runs ``forward`` and the hooks.

    Args:
        args, kwargs: none: any argument raises.

    Attributes:
        training: True in training mode, which :meth:`train` and :meth:`eval` set for the whole tree.

    Raises:
        TypeError: the constructor is given an argument.

    Example::

        >>> import tnn
        >>> class Scale(tnn.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.factor = tnn.nn.Parameter(tnn.ones(1))
        ...     def forward(self, x):
        ...         return self.factor * x
        >>> scale = Scale()
        >>> [name for name, _ in scale.named_parameters()]
        ['factor']
    """

    dump_patches = False
    call_super_init = False
    T_destination = TypeVar("T_destination", bound=dict[str, Any])
    training: bool
    _version = 1
    _compiled_call_impl = None

    def __init__(self, *args, **kwargs):
        if not self.call_super_init:
            name = f"{type(self).__name__}.__init__()"
            if kwargs:
                raise TypeError(f"{name} got an unexpected keyword argument '{next(iter(kwargs))}'")
            if args:
                raise TypeError(f"{name} takes 1 positional argument but {len(args) + 1} were given")
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _non_persistent_buffers_set=set(),
            _modules={},
            _is_full_backward_hook=None,
            **{name: OrderedDict() for name in _HOOK_TABLES},
        )
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *input):
        """Computes the output: every subclass defines it.

        Args:
            input: what the module is called with.

        Raises:
            NotImplementedError: the subclass does not.
        """
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # -- the call

    def __call__(self, *args, **kwargs):
        if (
            self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks
            or _forward or _forward_pre or _backward or _backward_pre or self._compiled_call_impl is not None
        ):  # fmt: skip
            return (self._compiled_call_impl or self._call_impl)(*args, **kwargs)
        return self.forward(*args, **kwargs) if kwargs else self.forward(*args)

    def _call_impl(self, *args, **kwargs):
        """The call with hooks, if there are any; what ``compile`` compiles."""
        return call_with_hooks(self, args, kwargs)

    def compile(self, *args, **kwargs):
        """Has ``tnn.compile`` compile this module's call.

        Args:
            args, kwargs: passed on to ``tnn.compile``.

        Raises:
            RuntimeError: this version of tnn has no ``compile``.
        """
        import tnn

        compiler = getattr(tnn, "compile", None)
        if compiler is None:
            raise RuntimeError("Module.compile(): tnn.compile is not available")
        self._compiled_call_impl = compiler(self._call_impl, *args, **kwargs)

    # -- registration

    def _check_name(self, kind, table, name):
        if table not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        if hasattr(self, name) and name not in self.__dict__[table]:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name!r}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')

    def register_buffer(self, name, tensor, persistent=True):
        """Adds a buffer: a tensor that belongs to the module's state but is not a parameter.

        Args:
            name: the attribute under which it can be reached.
            tensor: the buffer; None keeps the name and leaves it out of ``state_dict``.
            persistent: whether ``state_dict`` holds it.

        Raises:
            TypeError: ``name`` is not a string, or ``tensor`` not a Tensor or None.
            KeyError: the name is empty, has a dot or is taken.
            AttributeError: ``Module.__init__`` was not called yet.
        """
        self._check_name("buffer", "_buffers", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' (tnn Tensor or None required)"
            )
        self._buffers[name] = apply_registration_hooks(GlobalHooks.buffer_registration, self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name, param):
        """Adds a parameter.

        Args:
            name: the attribute under which it can be reached.
            param: a Parameter; None keeps the name and leaves it out of ``state_dict``.

        Raises:
            TypeError: ``name`` is not a string, or ``param`` not a Parameter or None.
            KeyError: the name is empty, has a dot or is taken.
            ValueError: ``param`` is the result of an operation.
            AttributeError: ``Module.__init__`` was not called yet.
        """
        self._check_name("parameter", "_parameters", name)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{typename(param)}' object to parameter '{name}' (tnn.nn.Parameter or None "
                    "required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. To express '{name}' as a function of "
                    "another Tensor, compute the value in the forward() method."
                )
            param = apply_registration_hooks(GlobalHooks.parameter_registration, self, name, param)
        self._parameters[name] = param

    def add_module(self, name, module):
        """Adds a submodule.

        Args:
            name: the attribute under which it can be reached.
            module: a Module or None.

        Raises:
            TypeError: ``name`` is not a string, or ``module`` not a Module or None.
            KeyError: the name is empty, has a dot or is taken.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self._check_name("module", "_modules", name)
        self._modules[name] = apply_registration_hooks(GlobalHooks.module_registration, self, name, module)

    def register_module(self, name, module):
        """Adds a submodule under a name: the same as :meth:`add_module`.

        Args:
            name: its name, without dots.
            module: a module, or None.

        Raises:
            TypeError: ``module`` is not a module, or the name not a string.
            KeyError: the name is empty, holds a dot, or is taken by another attribute.
        """
        self.add_module(name, module)

    # -- attributes

    def __getattr__(self, name):
        d = self.__dict__
        table = d.get("_parameters")
        if table is not None:
            if name in table:
                return table[name]
            table = d["_buffers"]
            if name in table:
                return table[name]
            table = d["_modules"]
            if name in table:
                return table[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _forget(self, name, *keep):
        """Takes ``name`` out of every table but those to keep."""
        for table in ("__dict__", "_parameters", "_buffers", "_modules"):
            if table not in keep:
                (self.__dict__ if table == "__dict__" else self.__dict__[table]).pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __setattr__(self, name, value):
        d = self.__dict__
        params, modules, buffers = d.get("_parameters"), d.get("_modules"), d.get("_buffers")
        if isinstance(value, Parameter):
            if params is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif params is not None and name in params:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as parameter '{name}' (tnn.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
        elif isinstance(value, Module) or modules is not None and name in modules:
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            if isinstance(value, Module):
                self._forget(name, "_modules")
            elif value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as child module '{name}' (tnn.nn.Module or None expected)"
                )
            modules[name] = apply_registration_hooks(GlobalHooks.module_registration, self, name, value)
        elif isinstance(value, Buffer) or buffers is not None and name in buffers:
            self._set_buffer(name, value)
        else:
            super().__setattr__(name, value)

    def _set_buffer(self, name, value):
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                f"cannot assign '{typename(value)}' as buffer '{name}' (tnn.nn.Buffer, tnn.Tensor or None expected)"
            )
        persistent = value.persistent if isinstance(value, Buffer) else name not in self._non_persistent_buffers_set
        # a subclass may override register_buffer without the argument `persistent`
        if "persistent" in inspect.signature(self.register_buffer).parameters:
            self.register_buffer(name, value, persistent)
        elif persistent:
            self.register_buffer(name, value)
        else:
            raise RuntimeError(
                f"buffer '{name}' is not persistent, but {type(self).__name__}.register_buffer() has no argument "
                "`persistent`"
            )

    def __delattr__(self, name):
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def __dir__(self):
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers}
        return sorted(name for name in names if not name[0].isdigit())

    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop("_compiled_call_impl", None)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        # a state written by an older version may lack some tables
        for name in _HOOK_TABLES:
            self.__dict__.setdefault(name, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)
        # handles made from now on must not take the ids of hooks that came with the state
        ids = [key for name in _HOOK_TABLES for key in self.__dict__[name]]
        RemovableHandle.next_id = max([RemovableHandle.next_id, *(key + 1 for key in ids)])

    # -- modes and gradients

    def train(self, mode=True):
        """Sets training mode for the module and all below it, which dropout, batch normalisation and the like heed.

        Args:
            mode: True for training, False for evaluation.

        Returns:
            the module.

        Raises:
            ValueError: ``mode`` is not a bool.
        """
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Sets evaluation mode for the whole tree: the same as ``train(False)``.

        Returns:
            the module.
        """
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Sets whether gradients are computed for the parameters, as one does to freeze a part of a model.

        Args:
            requires_grad: whether they are computed.

        Returns:
            the module.

        Raises:
            RuntimeError: a parameter is not a leaf, or not of floating point.
        """
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Resets the gradients of all parameters.

        Args:
            set_to_none: drop them; otherwise they are filled with zeros.
        """
        if getattr(self, "_is_replica", False):
            warnings.warn(
                "Calling .zero_grad() from a module created with nn.DataParallel() has no effect: its parameters are "
                "copies, not leaves.",
                stacklevel=2,
            )
        for p in self.parameters():
            if p.grad is None:
                continue
            if set_to_none:
                p.grad = None
            else:
                p.grad.detach_()
                p.grad.zero_()

    def _replicate_for_data_parallel(self):
        """A module that shares everything but has tables of its own."""
        replica = type(self).__new__(type(self))
        replica.__dict__ = self.__dict__.copy()
        replica._parameters = {}
        replica._buffers = replica._buffers.copy()
        replica._modules = replica._modules.copy()
        replica._is_replica = True
        return replica

    # -- printing

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """What stands between the brackets when the module prints; a subclass overrides it."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        if len(lines) == 1 and not self._modules:
            return f"{self._get_name()}({extra})"
        lines += [f"({name}): {indent(repr(module), 2)}" for name, module in self._modules.items()]
        if not lines:
            return self._get_name() + "()"
        return "\n  ".join([self._get_name() + "(", *lines]) + "\n)"
