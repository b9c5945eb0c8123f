"""Hooks of modules: the tables that are common to all modules, and the registration methods of one module."""

import functools
import warnings
import weakref
from collections import OrderedDict

from ...autograd.node import RemovableHandle
from ...tensor import Tensor


class GlobalHooks:
    """The tables of hooks that run for every module, one OrderedDict for each kind, by handle id."""

    buffer_registration = OrderedDict()
    module_registration = OrderedDict()
    parameter_registration = OrderedDict()
    forward_pre = OrderedDict()
    forward = OrderedDict()
    forward_with_kwargs = OrderedDict()
    forward_always_called = OrderedDict()
    backward_pre = OrderedDict()
    backward = OrderedDict()
    full_backward = None  # None: no backward hook yet; True: full ones only; False: legacy ones only


class WrappedHook:
    """A hook together with the module it belongs to, held weakly so that a module does not keep itself alive.

    Args:
        hook: the callable.
        module: passed to the hook before its other arguments; None: the hook gets no module.
    """

    def __init__(self, hook, module=None):
        functools.update_wrapper(self, hook)
        self.hook = hook
        self.with_module = module is not None
        if self.with_module:
            self.module = weakref.ref(module)

    def __call__(self, *args, **kwargs):
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError(f"the module of hook {self.hook!r} no longer exists")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self):
        state = {"hook": self.hook, "with_module": self.with_module}
        if self.with_module:
            state["module"] = self.module()
        return state

    def __setstate__(self, state):
        self.hook = state["hook"]
        self.with_module = state["with_module"]
        if self.with_module:
            if state["module"] is None:
                raise RuntimeError(f"the module of hook {self.hook!r} no longer exists: it cannot be restored")
            self.module = weakref.ref(state["module"])


def apply_registration_hooks(table, module, name, value):
    """What is registered in place of ``value`` once the global registration hooks have seen it."""
    for hook in table.values():
        out = hook(module, name, value)
        if out is not None:
            value = out
    return value


def register_module_buffer_registration_hook(hook):
    """Calls ``hook(module, name, buffer)`` whenever any module registers a buffer; a value other than None replaces it.

    Returns:
        A handle with ``remove()``.
    """
    return RemovableHandle(GlobalHooks.buffer_registration, hook)


def register_module_module_registration_hook(hook):
    """Calls ``hook(module, name, submodule)`` whenever any module registers a submodule; a value other than None
    replaces it.

    Returns:
        A handle with ``remove()``.
    """
    return RemovableHandle(GlobalHooks.module_registration, hook)


def register_module_parameter_registration_hook(hook):
    """Calls ``hook(module, name, param)`` when any module registers a parameter; a value other than None replaces it.

    Returns:
        A handle with ``remove()``.
    """
    return RemovableHandle(GlobalHooks.parameter_registration, hook)


def register_module_forward_pre_hook(hook):
    """Calls ``hook(module, args)`` before the forward of every module, ahead of the module's own hooks; a value other
    than None replaces the arguments.

    Returns:
        A handle with ``remove()``.
    """
    return RemovableHandle(GlobalHooks.forward_pre, hook)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Calls ``hook(module, args, output)`` after the forward of every module, ahead of the module's own hooks; a value
    other than None replaces the output.

    Args:
        hook: the callable.
        with_kwargs: call ``hook(module, args, kwargs, output)``.
        always_call: run the hook also when the call raised.

    Returns:
        A handle with ``remove()``.
    """
    g = GlobalHooks
    handle = RemovableHandle(g.forward, hook, extra=(g.forward_with_kwargs, g.forward_always_called))
    if with_kwargs:
        g.forward_with_kwargs[handle.id] = True
    if always_call:
        g.forward_always_called[handle.id] = True
    return handle


def register_module_full_backward_pre_hook(hook):
    """As :meth:`Module.register_full_backward_pre_hook`, for every module.

    Returns:
        A handle with ``remove()``.
    """
    return RemovableHandle(GlobalHooks.backward_pre, hook)


def register_module_full_backward_hook(hook):
    """As :meth:`Module.register_full_backward_hook`, for every module.

    Returns:
        A handle with ``remove()``.

    Raises:
        RuntimeError: a legacy global backward hook was registered before.
    """
    return _register_global_backward(hook, True)


def register_module_backward_hook(hook):
    """As the deprecated :meth:`Module.register_backward_hook`, for every module.

    Returns:
        A handle with ``remove()``.

    Raises:
        RuntimeError: a full global backward hook was registered before.
    """
    return _register_global_backward(hook, False)


_MIXED = "Cannot use both regular backward hooks and full backward hooks {}. Please use only one of them."


def _register_global_backward(hook, full):
    if GlobalHooks.full_backward not in (None, full):
        raise RuntimeError(_MIXED.format("as a global Module hook"))
    GlobalHooks.full_backward = full
    return RemovableHandle(GlobalHooks.backward, hook)


class HookMethods:
    """The part of Module that registers hooks. Every method returns a handle with ``remove()``."""

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Calls ``hook(module, args)`` before each forward.

        Args:
            hook: what it returns, when not None, replaces the positional arguments (a single value is wrapped in a
                tuple).
            prepend: run before the hooks that are already there.
            with_kwargs: call ``hook(module, args, kwargs)``, which returns None or the pair of new args and kwargs.

        Returns:
            A handle whose ``remove()`` takes the hook away.
        """
        handle = RemovableHandle(self._forward_pre_hooks, hook, extra=(self._forward_pre_hooks_with_kwargs,))
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        if prepend:
            self._forward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Calls ``hook(module, args, output)`` after each forward.

        Args:
            hook: what it returns, when not None, replaces the output.
            prepend: run before the hooks that are already there.
            with_kwargs: call ``hook(module, args, kwargs, output)``.
            always_call: run the hook also when the call raised; an exception of the hook is then only warned about.

        Returns:
            A handle whose ``remove()`` takes the hook away.
        """
        extra = (self._forward_hooks_with_kwargs, self._forward_hooks_always_called)
        handle = RemovableHandle(self._forward_hooks, hook, extra=extra)
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        if prepend:
            self._forward_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Calls ``hook(module, grad_output)`` before the gradients of the module are computed.

        Args:
            hook: ``grad_output`` is a tuple with None for outputs that are no tensors; what the hook returns, when
                not None, replaces it.
            prepend: run before the hooks that are already there.

        Returns:
            A handle whose ``remove()`` takes the hook away.
        """
        handle = RemovableHandle(self._backward_pre_hooks, hook)
        if prepend:
            self._backward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_full_backward_hook(self, hook, prepend=False):
        """Calls ``hook(module, grad_input, grad_output)`` each time the gradients of the module's inputs were computed.

        Args:
            hook: both gradients are tuples with None for what is no tensor; keyword arguments are left out. What the
                hook returns, when not None, replaces ``grad_input``.
            prepend: run before the hooks that are already there.

        Raises:
            RuntimeError: a legacy backward hook was registered on this module.
        """
        handle = self._register_backward(hook, True)
        if prepend:
            self._backward_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_backward_hook(self, hook):
        """Deprecated: calls ``hook(module, grad_input, grad_output)`` after the backward of the last operation of the
        module; use :meth:`register_full_backward_hook`.

        Args:
            hook: what it returns, when not None, replaces ``grad_input``.

        Returns:
            A handle whose ``remove()`` takes the hook away.

        Raises:
            RuntimeError: a full backward hook was registered on this module.
        """
        return self._register_backward(hook, False)

    def _register_backward(self, hook, full):
        if self._is_full_backward_hook not in (None, full):
            raise RuntimeError(_MIXED.format("on a single Module"))
        self._is_full_backward_hook = full
        return RemovableHandle(self._backward_hooks, hook)

    def register_state_dict_pre_hook(self, hook):
        """Calls ``hook(module, prefix, keep_vars)`` before this module's part of :meth:`state_dict` is collected.

        Args:
            hook: called with these; what it returns is not used.

        Returns:
            A handle whose ``remove()`` takes the hook away.
        """
        return RemovableHandle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook):
        """Calls ``hook(module, state_dict, prefix, local_metadata)`` after :meth:`state_dict`; it may change the
        dictionary in place and must return None.

        Args:
            hook: called with these.

        Returns:
            A handle whose ``remove()`` takes the hook away.
        """
        hook._from_public_api = True
        return RemovableHandle(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook):
        """As the public one, but what the hook returns, when not None, becomes the result."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                f"{hook!r} was registered through register_state_dict_post_hook before: it cannot be registered both "
                "ways"
            )
        return RemovableHandle(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook):
        """Calls ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``
        before :meth:`load_state_dict` reads this module's part.

        Args:
            hook: called with these; it may change them in place.

        Returns:
            A handle whose ``remove()`` takes the hook away.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        """As the public one, but the hook gets the module only ``with_module``."""
        return RemovableHandle(self._load_state_dict_pre_hooks, WrappedHook(hook, self if with_module else None))

    def register_load_state_dict_post_hook(self, hook):
        """Calls ``hook(module, incompatible_keys)`` after this module's part was loaded; it may change the two lists in
        place, before a strict load checks them, and must return None.

        Args:
            hook: called with these.

        Returns:
            A handle whose ``remove()`` takes the hook away.
        """
        return RemovableHandle(self._load_state_dict_post_hooks, hook)

    def _get_backward_hooks(self):
        """The hooks that a call must set up: full ones and legacy ones, global before the module's own."""
        full, legacy = [], []
        g = GlobalHooks
        for is_full, table in ((g.full_backward, g.backward), (self._is_full_backward_hook, self._backward_hooks)):
            if is_full is not None:
                (full if is_full else legacy).extend(table.values())
        return full, legacy

    def _get_backward_pre_hooks(self):
        return [*GlobalHooks.backward_pre.values(), *self._backward_pre_hooks.values()]


def warn_if_partial(inputs, result, grad_fn):
    """Warns when a legacy backward hook on ``grad_fn`` cannot see all gradients of a module's call."""

    def missing(what, why):
        message = f"A legacy backward hook {why}, so it misses part of {what}: use register_full_backward_hook instead."
        warnings.warn(message, FutureWarning, stacklevel=4)

    results = (result,) if isinstance(result, Tensor) else result
    inputs = (inputs,) if isinstance(inputs, Tensor) else inputs
    if not (isinstance(results, tuple) and all(isinstance(r, Tensor) for r in results)):
        return missing("grad_output", "is on a module whose output is not a Tensor or a tuple of Tensors")
    if not (isinstance(inputs, tuple) and all(isinstance(i, Tensor) for i in inputs)):
        return missing("grad_input", "is on a module whose input is not a Tensor or a tuple of Tensors")
    nodes = {r.grad_fn for r in results if r.grad_fn is not None}
    if grad_fn not in nodes:
        return missing("grad_output", "is on a module whose outputs are nested")
    if len(nodes) > 1:
        return missing("grad_output", "is on a module whose outputs come from several operations")
    if {i.grad_fn for i in inputs if i.grad_fn is not None} != {n[0] for n in grad_fn.next_functions}:
        return missing("grad_input", "is on a module that runs several operations")
    return None
