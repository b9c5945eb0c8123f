"""The Module classes: one import block for each family, families in alphabetical order."""

# adaptive_pooling
from .adaptive_pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    FractionalMaxPool2d,
    FractionalMaxPool3d,
)

# container
from .container import Container, ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential

# dropout
from .dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout

# flatten
from .flatten import Flatten, Unflatten

# module
from .module import Module

# pooling
from .pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    LPPool1d,
    LPPool2d,
    LPPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    MaxUnpool1d,
    MaxUnpool2d,
    MaxUnpool3d,
)

__all__ = sorted(name for name, value in list(globals().items()) if isinstance(value, type))
