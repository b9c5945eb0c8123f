"""Tools beside the layers: ``benchmark``, ``data``, ``checkpoint``, ``dlpack``, ``hooks``, ``model_zoo``."""

from importlib import import_module as _import_module

from . import data

__all__ = ["benchmark", "checkpoint", "data", "dlpack", "hooks", "model_zoo"]


def __getattr__(name):
    if name in ("benchmark", "checkpoint", "dlpack", "hooks", "model_zoo"):
        return _import_module(f"tnn.utils.{name}")
    raise AttributeError(f"module 'tnn.utils' has no attribute {name!r}")
