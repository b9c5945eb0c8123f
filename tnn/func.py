"""Modules as functions of their parameters: ``functional_call``."""

from collections.abc import Sequence

from .nn.utils.stateless import _functional_call

__all__ = ["functional_call"]


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
