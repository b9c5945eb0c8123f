"""PyTorch's inner place of the functions that make batches."""

from .. import collate, worker

__all__ = ["collate", "worker"]
