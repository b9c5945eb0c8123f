"""Modules as functions of their parameters."""

from collections.abc import Sequence

from ..nn.utils.stateless import _functional_call

__all__ = ["functional_call", "replace_all_batch_norm_modules_", "stack_module_state"]


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """Calls a module with the given tensors in place of its parameters and buffers.

    Args:
        module: the module; it is as before afterwards.
        parameter_and_buffer_dicts: a dict of names, as of ``named_parameters`` and ``named_buffers``, to Tensors, or a
            tuple of such dicts with different names.
        args: the positional arguments, a tuple, or one that is not a tuple.
        kwargs: the keyword arguments.
        tie_weights: a tensor given for one name stands for all names that share a tensor with it.
        strict: all names of the module must be given, and no others.

    Returns:
        What the module returns.

    Raises:
        TypeError, ValueError: the dicts are no dicts, or have a name in common.
        RuntimeError: the names do not fit and ``strict`` is set.

    >>> import tnn
    >>> layer = tnn.nn.Linear(1, 1)
    >>> new = {"weight": tnn.full((1, 1), 3.0), "bias": tnn.ones(1)}
    >>> tnn.func.functional_call(layer, new, tnn.full((1, 1), 2.0))
    tensor([[7.]])
    """
    dicts = parameter_and_buffer_dicts
    if not isinstance(dicts, dict):
        if not isinstance(dicts, Sequence) or not all(isinstance(d, dict) for d in dicts):
            raise ValueError(
                "Expected all elements of parameter_and_buffer_dicts to be dictionaries, got "
                f"{type(dicts).__name__}"
                + (f" of {[type(d).__name__ for d in dicts]}" if isinstance(dicts, Sequence) else "")
            )
        merged = {}
        for d in dicts:
            twice = sorted(merged.keys() & d.keys())
            if twice:
                raise ValueError(
                    f"{', '.join(twice)} appeared in multiple dictionaries; behavior of functional call is ambiguous"
                )
            merged.update(d)
        dicts = merged
    return _functional_call(module, dicts, args, kwargs, tie_weights=tie_weights, strict=strict)


def stack_module_state(models):
    """The parameters and the buffers of several modules of one kind, stacked along a new first dimension.

    With :func:`vmap` over :func:`functional_call` they run as an ensemble.

    Args:
        models: modules of one class, all in training mode or all in eval mode.

    Returns:
        ``(parameters, buffers)``: dicts from names to tensors. The parameters are new leaves that require gradients
        where the modules' do.

    Raises:
        RuntimeError: no modules, modules of several classes, or in several modes.

    >>> import tnn
    >>> parameters, buffers = tnn.func.stack_module_state([tnn.nn.Linear(2, 3) for _ in range(4)])
    >>> {name: tuple(p.shape) for name, p in parameters.items()}, buffers
    ({'weight': (4, 3, 2), 'bias': (4, 3)}, {})
    """
    from ..autograd.grad_mode import no_grad
    from ..ops.joining import stack

    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if len({type(m) for m in models}) > 1:
        raise RuntimeError(
            f"stack_module_state: Expected all models to be of the same class, got {[type(m).__name__ for m in models]}"
        )
    out = []
    with no_grad():
        for tables in ([dict(m.named_parameters()) for m in models], [dict(m.named_buffers()) for m in models]):
            stacked = {}
            for name, first in tables[0].items():
                stacked[name] = stack([t[name] for t in tables]).detach()
                if first.requires_grad:
                    stacked[name].requires_grad_()
            out.append(stacked)
    return tuple(out)


def replace_all_batch_norm_modules_(root):
    """Takes the running statistics away from every BatchNorm in ``root``, in place, and returns it.

    Raises:
        TypeError: ``root`` is no Module.

    >>> import tnn
    >>> tnn.func.replace_all_batch_norm_modules_(tnn.nn.Sequential(tnn.nn.BatchNorm1d(2)))[0].running_mean is None
    True
    """
    from ..nn.modules.batchnorm import _BatchNorm
    from ..nn.modules.module import Module

    if not isinstance(root, Module):
        raise TypeError(f"replace_all_batch_norm_modules_: expected a Module, got {type(root).__name__}")
    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
