"""Handles of hooks, under the place where programs import them from."""

from ..autograd.node import RemovableHandle

__all__ = ["RemovableHandle"]
