"""What a module's call does when there are hooks; without hooks the call goes straight to ``forward``."""

import warnings

from ...autograd.grad_mode import mode
from ...autograd.node import Node
from ...tensor import Tensor
from ._hooks import GlobalHooks, WrappedHook, warn_if_partial


def call_with_hooks(module, args, kwargs):
    """Runs the pre-hooks, ``forward``, the forward hooks, and sets up the backward hooks."""
    run = _HookedCall(module, args, kwargs)
    try:
        return run()
    except Exception:
        run.after_error()
        raise


class _HookedCall:
    def __init__(self, module, args, kwargs):
        self.module, self.args, self.kwargs = module, args, kwargs
        self.result = None
        self.called = set()

    def __call__(self):
        module = self.module
        full, legacy = module._get_backward_hooks()
        pre = module._get_backward_pre_hooks()
        self._forward_pre()
        backward = None
        if full or pre:
            backward = BackwardHook(module, full, pre)
            self.args = backward.setup_input_hook(self.args)
        self.result = module.forward(*self.args, **self.kwargs)
        self._forward_hooks()
        result = self.result
        if backward is not None:
            if not isinstance(result, (Tensor, tuple)):
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but "
                    f"received {type(result)}",
                    stacklevel=4,
                )
            result = backward.setup_output_hook(result)
        if legacy:
            self._legacy(legacy, result)
        return result

    def _forward_pre(self):
        module = self.module
        with_kwargs = module._forward_pre_hooks_with_kwargs
        for key, hook in (*GlobalHooks.forward_pre.items(), *module._forward_pre_hooks.items()):
            if key in with_kwargs:
                out = hook(module, self.args, self.kwargs)
                if out is None:
                    continue
                if not (isinstance(out, tuple) and len(out) == 2):
                    raise RuntimeError(
                        f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {out}."
                    )
                self.args, self.kwargs = out
            else:
                out = hook(module, self.args)
                if out is not None:
                    self.args = out if isinstance(out, tuple) else (out,)

    def _tables(self):
        m, g = self.module, GlobalHooks
        return (
            ("global module", g.forward, g.forward_with_kwargs, g.forward_always_called),
            ("module", m._forward_hooks, m._forward_hooks_with_kwargs, m._forward_hooks_always_called),
        )

    def _run(self, hook, with_kwargs):
        if with_kwargs:
            out = hook(self.module, self.args, self.kwargs, self.result)
        else:
            out = hook(self.module, self.args, self.result)
        if out is not None:
            self.result = out

    def _forward_hooks(self):
        for _, hooks, with_kwargs, always in self._tables():
            for key, hook in list(hooks.items()):
                if key in always:
                    self.called.add(key)
                self._run(hook, key in with_kwargs)

    def after_error(self):
        """Runs the hooks registered with ``always_call`` that did not run yet."""
        for which, hooks, with_kwargs, always in self._tables():
            for key, hook in list(hooks.items()):
                if key not in always or key in self.called:
                    continue
                try:
                    self._run(hook, key in with_kwargs)
                except Exception as error:
                    warnings.warn(
                        f"{which} forward hook with ``always_call=True`` raised an exception that was silenced as "
                        f"another error was raised in forward: {error}",
                        stacklevel=5,
                    )

    def _legacy(self, hooks, result):
        var = result
        while not isinstance(var, Tensor):
            if isinstance(var, dict):
                var = next(v for v in var.values() if isinstance(v, Tensor))
            else:
                var = var[0]
        node = var.grad_fn
        if node is not None:
            for hook in hooks:
                node.register_hook(WrappedHook(hook, self.module))
            warn_if_partial(self.args, result, node)


class BackwardHookFunction(Node):
    """The identity on several tensors: a place on the tape where hooks see all their gradients at once."""

    __slots__ = ()
    materialize = False

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "BackwardHookFunctionBackward"

    def backward(self, *grads):
        """The gradients as they came."""
        return grads


class _InputHookFunction(BackwardHookFunction):
    __slots__ = ()
    materialize = True  # a hook gets zeros for an input that needs no gradient, as in PyTorch


class BackwardHook:
    """Full backward hooks of one call: an identity on the inputs and one on the outputs catch the gradients.

    Args:
        module: the module that is called.
        user_hooks: called with ``(module, grad_input, grad_output)``.
        user_pre_hooks: called with ``(module, grad_output)``.
    """

    def __init__(self, module, user_hooks, user_pre_hooks):
        self.module = module
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        self.grad_outputs = None
        self.n_inputs = self.n_outputs = -1
        self.input_index = self.output_index = None

    def setup_input_hook(self, args):
        """The arguments, tensors led through the identity; their gradients go to the user's hooks."""
        self.n_inputs = len(args)
        out, node, self.input_index = self._through_identity(_InputHookFunction, args)
        if node is not None:
            node.register_hook(self._on_grad_input)
        return out

    def setup_output_hook(self, result):
        """The result, with its tensors led through the identity; their gradients go to the user's pre-hooks."""
        results = result if isinstance(result, tuple) else (result,)
        self.n_outputs = len(results)
        out, node, self.output_index = self._through_identity(BackwardHookFunction, results)
        if node is not None:
            node.register_hook(self._on_grad_output)
        return out if isinstance(result, tuple) else out[0]

    @staticmethod
    def _through_identity(function, values):
        index = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
        tensors = [values[i] for i in index]
        if not (mode.grad and any(t.requires_grad for t in tensors)):
            return values, None, None
        node = function(*tensors)
        outs = node.attach_all([t._alias() for t in tensors], [t.requires_grad for t in tensors])
        new = list(values)
        for i, t in zip(index, outs, strict=True):
            new[i] = t
        # a namedtuple takes its fields one by one
        return (tuple(new) if type(values) is tuple else type(values)(*new)), node, index

    @staticmethod
    def _spread(index, values, n):
        full = [None] * n
        for i, v in zip(index, values, strict=True):
            full[i] = v
        return tuple(full)

    def _on_grad_output(self, _, grad_output):
        grads = self._spread(self.output_index, grad_output, self.n_outputs)
        for hook in self.user_pre_hooks:
            new = hook(self.module, grads)
            if new is None:
                continue
            if not isinstance(new, tuple):
                new = (new,)
            if len(new) != len(grads):
                raise RuntimeError(
                    f"Backward pre hook returned an invalid number of grad_output, got {len(new)}, but expected "
                    f"{len(grads)}"
                )
            grads = new
        self.grad_outputs = grads
        if self.input_index is None:
            self._without_grad_input()
        return tuple(grads[i] for i in self.output_index)

    def _without_grad_input(self):
        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs "
            "require gradients.",
            stacklevel=6,
        )
        for hook in self.user_hooks:
            out = hook(self.module, (None,) * self.n_inputs, self.grad_outputs)
            if out is not None and not (isinstance(out, tuple) and all(g is None for g in out)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None or None for "
                    f"all gradients, got {out}."
                )
        self.grad_outputs = None

    def _on_grad_input(self, grad_input, _):
        if self.grad_outputs is None:  # the gradient came on a way that does not pass the module's outputs
            return None
        grads = self._spread(self.input_index, grad_input, self.n_inputs)
        for hook in self.user_hooks:
            new = hook(self.module, grads, self.grad_outputs)
            if new is None:
                continue
            if not isinstance(new, tuple):
                new = (new,)
            if len(new) != len(grads):
                raise RuntimeError(
                    f"Backward hook returned an invalid number of grad_input, got {len(new)}, but expected {len(grads)}"
                )
            grads = new
        self.grad_outputs = None
        return tuple(grads[i] for i in self.input_index)
