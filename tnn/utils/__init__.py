"""Tools beside the layers: ``data``, ``checkpoint``, ``dlpack``, ``hooks``, ``model_zoo``."""

from importlib import import_module as _import_module

from . import data

__all__ = ["checkpoint", "data", "dlpack", "hooks", "model_zoo"]


def __getattr__(name):
    if name in ("checkpoint", "dlpack", "hooks", "model_zoo"):
        return _import_module(f"tnn.utils.{name}")
    raise AttributeError(f"module 'tnn.utils' has no attribute {name!r}")
