"""Tools beside the layers: ``tnn.utils.data``, ``tnn.utils.checkpoint``."""

from importlib import import_module as _import_module

from . import data

__all__ = ["checkpoint", "data"]


def __getattr__(name):
    if name == "checkpoint":
        return _import_module("tnn.utils.checkpoint")
    raise AttributeError(f"module 'tnn.utils' has no attribute {name!r}")
