"""Tools beside the layers: ``tnn.utils.data``."""

from . import data

__all__ = ["data"]
