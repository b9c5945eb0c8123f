"""Optimizer, the base class, and what every optimizer shares: checks of arguments, hooks, state dicts, kernel
launches."""

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import enable_grad, no_grad
from ..autograd.node import RemovableHandle
from ..kernels._small_steps import Step
from ..tensor import Tensor, wrap

_global_pre_hooks = OrderedDict()
_global_post_hooks = OrderedDict()


ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
params_t = ParamsT


class _Required:
    """Marks an option without a default."""

    def __repr__(self):
        return "<required parameter>"


required = _Required()


def _add_hook(table, hook, prepend=False):
    handle = RemovableHandle(table, hook)
    if prepend:
        table.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook):
    """Calls ``hook(optimizer, args, kwargs)`` before every ``step`` of every optimizer.

    Returns:
        A handle whose ``remove()`` takes the hook away.
    """
    return _add_hook(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook):
    """Calls ``hook(optimizer, args, kwargs)`` after every ``step`` of every optimizer.

    Returns:
        A handle whose ``remove()`` takes the hook away.
    """
    return _add_hook(_global_post_hooks, hook)


# -- arguments


def check_lr(lr, text="Invalid learning rate: {}"):
    """Raises ValueError unless ``lr`` is a number or a one-element tensor, and not negative."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not 0.0 <= value_of(lr):
        raise ValueError(text.format(lr))


def check_not_negative(**options):
    """Raises ValueError for the first option below 0 (``epsilon=eps`` gives "Invalid epsilon value: ...")."""
    for name, value in options.items():
        if not 0.0 <= value_of(value):
            raise ValueError(f"Invalid {name} value: {value}")


def check_betas(betas):
    """Raises ValueError unless both are in [0, 1)."""
    for i in (0, 1):
        if not 0.0 <= value_of(betas[i]) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")


def check_fused(fused, foreach, differentiable):
    """Raises RuntimeError where ``fused`` meets an option that it excludes."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def value_of(x):
    """A hyperparameter as a number: a tensor gives a NumPy scalar of its dtype, in which further arithmetic rounds."""
    return x._data.reshape(-1)[0] if isinstance(x, Tensor) else x


# -- state


def scalar_dtype():
    """The NumPy dtype of ``step`` and other scalar states."""
    return np.float64 if dtypes.get_default_dtype() is dtypes.float64 else np.float32


def scalar_state(value):
    """A 0-d state tensor."""
    return wrap(np.array(value, scalar_dtype()))


def zeros_like(p):
    """A state of zeros with the parameter's shape and dtype."""
    return wrap(np.zeros_like(p._data))


def advance(state):
    """Adds 1 to ``state["step"]`` and returns the new step as a float."""
    a = state["step"]._data
    s = a.item() + 1
    a.fill(s)
    return s


_steps: dict = {}


def launch(kernel, p, arrays, scalars):
    """Runs ``kernel(p, *arrays, *scalars)`` on flat arrays; ``arrays`` is a tuple of the gradient, which is only read,
    and the states.

    Half precisions run in float32 and are rounded once; arrays with gaps run on a copy.

    Raises:
        RuntimeError: an array's shape is not the parameter's.
    """
    d = p._data
    step = _steps.get(kernel)
    if step is None:
        step = _steps[kernel] = Step(kernel)
    if step.call(d, arrays, scalars) is None:
        _launch(kernel, p, arrays, scalars, step)
    if p._version is not None:
        p._version.n += 1


def _launch(kernel, p, arrays, scalars, step):
    """The general way of :func:`launch`."""
    d = p._data
    shape, kind = d.shape, d.dtype.char
    plain = kind in "fd" and d.flags.c_contiguous
    for a in arrays:
        if a.shape != shape:
            raise RuntimeError(f"a gradient or state has shape {list(a.shape)}, the parameter has {list(shape)}")
        if a.dtype.char != kind or not a.flags.c_contiguous:
            plain = False
    if plain:
        kernel(d.ravel(), *[a.ravel() for a in arrays], *scalars)
        step.prepare(d.dtype, arrays, scalars)
    else:
        _launch_on_copies(kernel, (d, *arrays), scalars)


def _launch_on_copies(kernel, arrays, scalars):
    compute = np.float64 if arrays[0].dtype == np.float64 else np.float32
    if not dtypes.of(arrays[0].dtype).is_floating_point:
        raise RuntimeError(f"an optimizer needs floating point parameters, got {dtypes.of(arrays[0].dtype)}")
    flat = [np.array(a, compute, order="C").reshape(-1) for a in arrays]
    kernel(*flat, *scalars)
    for i, a in enumerate(arrays):
        if i != 1:
            a[...] = flat[i].reshape(a.shape)


class Optimizer:
    """Base class of all optimizers.

    Args:
        params: an iterable of tensors, of ``(name, tensor)`` pairs, or of dicts, each a parameter group: its
            ``"params"`` and the options that differ from the defaults.
        defaults: the options of groups that do not name them.

    Raises:
        TypeError: ``params`` is a tensor, a set, or holds something that is no tensor.
        ValueError: ``params`` is empty, a parameter is not a leaf or stands in two groups, or only some have names.
    """

    OptimizerPreHook = Callable
    OptimizerPostHook = Callable

    # options that older state dicts lack, and states that are 0-d tensors now and were numbers in them
    _options = {}
    _scalars: tuple[str, ...] = ()
    _advice = ""

    def __init__(self, params, defaults):
        self.defaults = defaults
        self._make_hooks()
        self._patch_step_function()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__name__} of shape {list(params.shape)}"
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hooks(self):
        for name in ("step", "state_dict", "load_state_dict"):
            for when in ("pre", "post"):
                self.__dict__.setdefault(f"_optimizer_{name}_{when}_hooks", OrderedDict())

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._make_hooks()
        self._patch_step_function()
        self.defaults.setdefault("differentiable", False)
        for group in self.param_groups:
            for name, value in self._options.items():
                group.setdefault(name, value)
            for p in group["params"] if self._scalars else ():
                own = self.state.get(p) or {}
                for name in self._scalars:
                    if name in own and not isinstance(own[name], Tensor):
                        own[name] = scalar_state(float(own[name]))

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"\nParameter Group {i}" if i else "Parameter Group 0")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # -- step and its hooks

    @staticmethod
    def profile_hook_step(func):
        """Wraps a ``step`` so that the registered hooks run before and after it."""

        @functools.wraps(func)
        def step(*args, **kwargs):
            self = args[0]
            pre, post = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks
            if not (pre or post or _global_pre_hooks or _global_post_hooks):
                return func(*args, **kwargs)
            for hook in [*_global_pre_hooks.values(), *pre.values()]:
                result = hook(self, args, kwargs)
                if result is not None:
                    if not (isinstance(result, tuple) and len(result) == 2):
                        raise RuntimeError(
                            f"{func} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                        )
                    args, kwargs = result
            out = func(*args, **kwargs)
            for hook in [*post.values(), *_global_post_hooks.values()]:
                hook(self, args, kwargs)
            return out

        return step

    def _patch_step_function(self):
        cls = type(self)
        if not getattr(cls.step, "hooked", False):
            cls.step = self.profile_hook_step(cls.step)
            cls.step.hooked = True

    def register_step_pre_hook(self, hook):
        """Calls ``hook(optimizer, args, kwargs)`` before each step; it may return new ``(args, kwargs)``."""
        return _add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Calls ``hook(optimizer, args, kwargs)`` after each step."""
        return _add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Calls ``hook(optimizer)`` before ``state_dict``; ``prepend`` puts it before earlier hooks."""
        return _add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Calls ``hook(optimizer, state_dict)`` after ``state_dict``; a dict that it returns replaces the result."""
        return _add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Calls ``hook(optimizer, state_dict)`` before ``load_state_dict``; a dict that it returns is loaded
        instead."""
        return _add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Calls ``hook(optimizer)`` after ``load_state_dict``."""
        return _add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    def step(self, closure=None):
        """Changes the parameters by their gradients.

        Args:
            closure: computes the loss anew, with its gradients, and returns it.

        Returns:
            What the closure returned, or None.
        """
        raise NotImplementedError

    def _step_groups(self, closure):
        """The frame of nearly every ``step``: the closure, then ``_update(group)`` for each group, or ``_composed``,
        made of differentiable operations, where the group asks for it."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group.get("differentiable"):
                with enable_grad() if self.defaults.get("differentiable") else no_grad():
                    self._composed(group)
            else:
                self._update(group)
        return loss

    def _active(self, group):
        """``(parameter, gradient array, state)`` for each parameter that has a gradient.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        for p in group["params"]:
            g = p._grad
            if g is None:
                continue
            if g.is_sparse:
                raise RuntimeError(f"{type(self).__name__} does not support sparse gradients{self._advice}")
            state = self.state[p]
            if not state:
                state.update(self._new_state(p, group))
            yield p, g._data, state

    def _composed(self, group):
        for p, _, state in self._active(group):
            self._rule(p, -p.grad if group["maximize"] else p.grad, state, group)

    def zero_grad(self, set_to_none=True):
        """Clears the gradients of all parameters.

        Args:
            set_to_none: drop them; otherwise they are filled with zeros.
        """
        for group in self.param_groups:
            for p in group["params"]:
                g = p._grad
                if g is None:
                    continue
                if set_to_none:
                    p._grad = None
                elif g.is_sparse:
                    g.zero_()
                else:
                    if g._node is not None:
                        g.detach_()
                    else:
                        g._rg = False
                    g._data.fill(0)
                    g._bump()

    # -- groups

    def add_param_group(self, param_group):
        """Adds a group of parameters, as when layers are unfrozen.

        Args:
            param_group: a dict with ``"params"`` and the group's own options.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        params = [p[1] if isinstance(p, tuple) else p for p in params]
        param_group["params"] = params
        if names:
            if len(names) != len(params):
                raise ValueError("all optimizer params should be with/without names. Some param names are missing")
            param_group["param_names"] = names
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not self.defaults.get("differentiable") and not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        mine = {id(p) for p in params}
        if len(params) != len(mine):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                which = "with names" if "param_names" in param_group else "without names"
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param group "
                    f"{which} to the optimizer"
                )
        if any(id(p) in mine for group in self.param_groups for p in group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    # -- state dicts

    def state_dict(self):
        """The optimizer's state, with parameters replaced by their numbers.

        Returns:
            ``{"state": {number: {name: value}}, "param_groups": [{..., "params": [number, ...]}]}``; the tensors in it
            are the optimizer's own, not copies.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        number = {}
        groups = []
        start = 0
        for group in self.param_groups:
            for i, p in enumerate(group["params"], start):
                number.setdefault(id(p), i)
            start += len(group["params"])
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [number[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {number[id(k)] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict):
        """Takes over a state that ``state_dict`` gave. States get their parameter's dtype, but for ``step``.

        Raises:
            ValueError: the groups differ in number or in their number of parameters.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        groups, saved = self.param_groups, deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, expected {len(groups)}"
            )
        for i, (mine, other) in enumerate(zip(groups, saved, strict=True)):
            if len(mine["params"]) != len(other["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    "group "
                    f"{i} has {len(other['params'])} parameters, expected {len(mine['params'])}"
                )
        by_number = dict(
            zip(
                chain.from_iterable(g["params"] for g in saved),
                chain.from_iterable(g["params"] for g in groups),
                strict=True,
            )
        )
        state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_number:
                state[by_number[key]] = _fit(by_number[key], value)
            else:
                state[key] = value
        for mine, other in zip(groups, saved, strict=True):
            other["params"] = mine["params"]
            if "param_names" in mine and "param_names" not in other:
                other["param_names"] = mine["param_names"]
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)


def _fit(param, value, key=None):
    """A loaded state value with its tensors in the parameter's dtype."""
    if isinstance(value, Tensor):
        if key == "step" or not param.is_floating_point() or value._data.dtype == param._data.dtype:
            return value
        return wrap(value._data.astype(param._data.dtype))
    if isinstance(value, dict):
        return {k: _fit(param, v, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | np.ndarray):
        return type(value)(_fit(param, v) for v in value)
    return value
