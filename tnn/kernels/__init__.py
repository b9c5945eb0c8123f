"""Compiled code on ndarrays.

``from ..kernels import conv`` gives the module `conv` unread: it is read when something is first taken from it. Of the
time that importing tnn takes, a third would go into decorating kernels that most programs never call.
"""

import os as _os
from importlib import import_module as _import_module
from types import ModuleType as _ModuleType


class _Unread(_ModuleType):
    """Stands for a module and turns into its equal at the first access; after that it costs what a module costs."""

    def __getattr__(self, name):
        if name.startswith("__"):  # what import statements look for
            raise AttributeError(name)
        module = _import_module(self.__name__)
        self.__dict__.update(module.__dict__)
        self.__class__ = _ModuleType
        return getattr(module, name)


def __getattr__(name):
    # Files with an underscore are what kernels are made of; those read one another in full.
    if name.startswith("_") or not _os.path.isfile(_os.path.join(__path__[0], name + ".py")):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _Unread(f"{__name__}.{name}")
