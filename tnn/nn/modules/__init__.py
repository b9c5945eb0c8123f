"""The Module classes: one import block for each family, families in alphabetical order."""

# container
from .container import Container, ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential

# flatten
from .flatten import Flatten, Unflatten

# module
from .module import Module

__all__ = sorted(name for name, value in list(globals().items()) if isinstance(value, type))
