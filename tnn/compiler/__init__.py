"""``tnn.compile``: calls that are recorded once and replayed from then on, as one piece of machine code."""

from .compiled import Compiled, CompiledModule

__all__ = ["Compiled", "CompiledModule"]
