"""Layers, losses and containers: the names of ``torch.nn``."""

from importlib import import_module as _import_module

from .modules import *  # noqa: F403  (classes only: modules/__init__.py lists them by family)
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter  # noqa: F401

_SUBMODULES = {"common_types", "functional", "grad", "init", "parallel", "utils"}


def __getattr__(name):
    if name in _SUBMODULES:
        return _import_module(f"tnn.nn.{name}")
    if name == "DataParallel":
        return _import_module("tnn.nn.parallel").DataParallel
    raise AttributeError(f"module 'tnn.nn' has no attribute {name!r}")
