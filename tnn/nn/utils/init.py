"""Construction of a module without the initial values of its parameters."""

import inspect

from ...random import get_rng_state, set_rng_state
from ..modules.module import Module

__all__ = ["skip_init"]


def skip_init(module_cls, *args, **kwargs):
    """A module whose parameters are uninitialised memory.

    The module is constructed as ever, its initial values are dropped, and the generator goes on as if there were none.

    Args:
        module_cls: the class; its constructor must take ``device``.
        args, kwargs: passed to the constructor.

    Raises:
        RuntimeError: ``module_cls`` is not a Module class, or takes no ``device``.
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError(f"Module must support a 'device' arg to skip initialization, {module_cls.__name__} does not")
    device = kwargs.pop("device", None)
    state = get_rng_state()
    module = module_cls(*args, **kwargs).to_empty(device=device)
    set_rng_state(state)
    return module
