"""Flat copies of several tensors, as programs that sum gradients of processes import them."""

from .ops.joining import cat

__all__: list[str] = []


def _flatten_dense_tensors(tensors):
    """One vector with the elements of all tensors."""
    return cat([t.contiguous().view(-1) for t in tensors]) if len(tensors) > 1 else tensors[0].contiguous().view(-1)


def _unflatten_dense_tensors(flat, tensors):
    """Views of the vector ``flat`` in the tensors' shapes."""
    views, start = [], 0
    for t in tensors:
        views.append(flat.narrow(0, start, t.numel()).view_as(t))
        start += t.numel()
    return tuple(views)
