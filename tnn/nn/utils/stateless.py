"""A module's call with other parameters in place of its own."""

import contextlib
import warnings

from ...tensor import Tensor

__all__ = ["functional_call"]


_MISSING = object()


def _swap(module, path, value):
    """Puts ``value`` in the place of a parameter or buffer and returns what was there; _MISSING stands for nothing."""
    owner_path, _, name = path.rpartition(".")
    owner = module.get_submodule(owner_path)
    for table in (owner._parameters, owner._buffers):
        if name in table:
            old, table[name] = table[name], value
            return old
    old = getattr(owner, name, _MISSING)
    if old is not _MISSING and not isinstance(old, Tensor):
        raise TypeError(f"{path} is {old!r}, not an instance of tnn.Tensor")
    if value is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, value)
    return old


def _named_tensors(module):
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _with_tied(module, given):
    """``given`` with the names added that share a tensor in the module with one of its names.

    Raises:
        ValueError: two names that share a tensor were given different ones.
    """
    tied = {}
    for name, tensor in _named_tensors(module).items():
        tied.setdefault(id(tensor), []).append(name)
    out = dict(given)
    for names in tied.values():
        values = {id(given[n]): given[n] for n in names if n in given}
        if len(values) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(names)}, which are tied. Consider using "
                "tie_weights=False"
            )
        for value in values.values():
            out.update(dict.fromkeys(names, value))
    return out


def _check_keys(module, given):
    have = set(_named_tensors(module))
    errors = [
        f"{what} key(s): {', '.join(map(repr, sorted(keys)))}."
        for what, keys in (("Unexpected", set(given) - have), ("Missing", have - set(given)))
        if keys
    ]
    if errors:
        raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(errors))


@contextlib.contextmanager
def _reparametrize_module(module, parameters_and_buffers, tie_weights=False, strict=False):
    given = _with_tied(module, parameters_and_buffers) if tie_weights else dict(parameters_and_buffers)
    if strict:
        _check_keys(module, given)
    before = {}
    try:
        for name, value in given.items():
            if not isinstance(value, Tensor) and value is not None:
                raise TypeError(f"{name}: {value} is not an instance of tnn.Tensor")
            before[name] = _swap(module, name, value)
        yield
    finally:
        for name, value in before.items():
            after = _swap(module, name, value)
            if name in parameters_and_buffers:
                parameters_and_buffers[name] = after  # a buffer may have been replaced in the call


def functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """Calls a module with the given tensors in place of its parameters and buffers.

    Args:
        module: the module; it is as before afterwards.
        parameters_and_buffers: names, as of ``named_parameters`` and ``named_buffers``, to Tensors.
        args: the positional arguments, a tuple, or one that is not a tuple.
        kwargs: the keyword arguments.
        tie_weights: a tensor given for one name stands for all names that share a tensor with it.
        strict: all names of the module must be given, and no others.

    Returns:
        What the module returns.

    Raises:
        RuntimeError: the names do not fit and ``strict`` is set.
        ValueError: names that share a tensor were given different ones.
        AttributeError: the module has no such submodule.
    """
    warnings.warn(
        "`tnn.nn.utils.stateless.functional_call` is deprecated: use `tnn.func.functional_call`.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)


def _functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _reparametrize_module(module, parameters_and_buffers, tie_weights=tie_weights, strict=strict):
        return module(*args, **(kwargs or {}))
