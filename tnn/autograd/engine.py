"""The backward pass: walks the tape without recursion, frees what it has used, and accumulates on the leaves."""

import sys
from typing import Any

from ..kernels._pool import empty
from .grad_mode import mode
from .node import Node

wrap: Any = None
wrap_zeros: Any = None  # both set by tensor.py, which imports this module


def _reachable(roots):
    """Every target below the roots, with the number of edges that lead to it, by id."""
    deps, seen, stack = {}, {}, []
    for r in roots:
        if id(r) not in seen:
            seen[id(r)] = r
            deps[id(r)] = 0
            stack.append(r)
    while stack:
        node = stack.pop()
        if not isinstance(node, Node):
            continue
        for edge in node.next:
            if edge is None:
                continue
            target = edge[0]
            key = id(target)
            if key in seen:
                deps[key] += 1
            else:
                seen[key] = target
                deps[key] = 1
                stack.append(target)
    return deps, seen


def _leading_to(seen, wanted):
    """The ids of the nodes on a way to one of the wanted targets."""
    order = sorted((n for n in seen.values() if isinstance(n, Node)), key=lambda n: n.seq)
    on_path = set(wanted)
    for node in order:
        if any(e is not None and id(e[0]) in on_path for e in node.next):
            on_path.add(id(node))
    return on_path


def _add(table, target, nr, grad):
    key = id(target)
    if not isinstance(target, Node) or target.n_out == 1:
        have = table.get(key)
        table[key] = grad if have is None else have + grad
        return
    slots = table.get(key)
    if slots is None:
        slots = table[key] = [None] * target.n_out
    slots[nr] = grad if slots[nr] is None else slots[nr] + grad


def _run_hooks(hooks, grad):
    for hook in list(hooks.values()):
        new = hook(grad)
        if new is not None:
            grad = new
    return grad


def _prepare(node, grads, capture, results):
    """Applies the hooks on a node's incoming gradients and captures those that were asked for."""
    single = node.n_out == 1
    slots = [grads] if single else grads
    if node.hooks is not None:
        hooks = node.hooks
        for nr, table in hooks.tensor.items():
            if slots[nr] is not None:
                slots[nr] = _run_hooks(table, slots[nr])
        if hooks.pre:
            slots = _node_prehooks(hooks.pre, slots)
        for nr, tensor in hooks.retain.items():
            t = tensor()
            if t is not None and slots[nr] is not None:
                _accumulate_retained(t, slots[nr])
    if capture is not None:
        for nr in range(node.n_out):
            for i in capture.get((id(node), nr), ()):
                results[i] = slots[nr]
    return slots


def _node_prehooks(table, slots):
    for hook in list(table.values()):
        new = hook(tuple(slots))
        if new is not None:
            slots = list(new) if isinstance(new, tuple | list) else [new]
    return slots


def _accumulate_retained(t, grad):
    t._grad = grad if t._grad is None else t._grad + grad


def _apply(node, slots):
    if node.n_out == 1:
        out = node.backward(slots[0])
    else:
        if node.materialize:
            slots = [wrap_zeros(*node.outs[i]) if g is None else g for i, g in enumerate(slots)]
        out = node.backward(*slots)
    if type(out) is not tuple:
        out = (out,)
    if node.hooks is not None and node.hooks.post:
        for hook in list(node.hooks.post.values()):
            new = hook(out, tuple(slots))
            if new is not None:
                out = new if isinstance(new, tuple) else (new,)
    return out


def _own_counts():
    """References that sys.getrefcount reports on a gradient and on its array when nobody else holds them."""
    counts = []

    def probe(grad):
        counts.append((sys.getrefcount(grad), sys.getrefcount(grad._data)))

    table = {0: wrap_zeros((1,), "float32")}
    grad = table.pop(0)
    probe(grad)
    return counts[0]


_own = []


def _accumulate(leaf, grad, create_graph):
    """Adds a gradient to a leaf's ``grad``, taking the array over where nobody else holds it."""
    if grad._data.shape != leaf._data.shape:
        raise RuntimeError(
            f"the gradient computed for a leaf has shape {list(grad._data.shape)}, expected {list(leaf._data.shape)}"
        )
    if grad._data.dtype != leaf._data.dtype and not grad.is_sparse:
        grad = grad.to(leaf.dtype)
    have = leaf._grad
    if create_graph:
        leaf._grad = grad if have is None else have + grad
        return
    if grad.is_sparse or (have is not None and have.is_sparse):
        leaf._grad = grad if have is None else have + grad
        return
    if have is not None:
        if have._rg:
            leaf._grad = have.detach() + grad
        else:
            have.add_(grad)
        return
    if not _own:
        _own.append(_own_counts())
    tensor_refs, array_refs = _own[0]
    data = grad._data
    base = data.base
    refs = sys.getrefcount(grad._data) - 1
    mine = (
        sys.getrefcount(grad) <= tensor_refs
        and refs <= array_refs
        and (base is None or (type(base).__name__ == "_Block" and sys.getrefcount(base) <= 3))
        and data.flags.c_contiguous
        and data.flags.writeable
    )
    if not mine or grad._rg:
        own = empty(data.shape, data.dtype)
        own[...] = data
        grad = wrap(own)
    leaf._grad = grad


def _finish_leaf(leaf, grad, capture, results, accumulate, create_graph):
    hooks = leaf._hooks
    if hooks is not None and hooks.tensor:
        grad = _run_hooks(hooks.tensor.get(0, {}), grad)
    if capture is not None:
        for i in capture.get((id(leaf), 0), ()):
            results[i] = grad
    if accumulate is None or id(leaf) in accumulate:
        _accumulate(leaf, grad, create_graph)
        if hooks is not None and hooks.post:
            for hook in list(hooks.post.values()):
                hook(leaf)


def run(roots, grads, retain_graph, create_graph, inputs=None, accumulate=True):
    """Backpropagates ``grads`` from ``roots``.

    Args:
        roots: tensors that require gradients.
        grads: a gradient for each, of its shape.
        retain_graph: keep what the nodes saved, for another backward.
        create_graph: record the backward itself.
        inputs: if given, only these tensors' gradients are computed and returned.
        accumulate: whether gradients are added to leaves' ``grad``.

    Returns:
        A list with a gradient or None for each of ``inputs``; empty when that is None.
    """
    capture, results, leaf_ids = None, [], None
    targets = [t._node if t._node is not None else t for t in roots]
    deps, seen = _reachable(targets)
    on_path = None
    if inputs is not None:
        capture, results = {}, [None] * len(inputs)
        for i, t in enumerate(inputs):
            if t._base is not None and t._base.stale(t):
                t._base.refresh(t)
            target = t._node if t._node is not None else t
            capture.setdefault((id(target), t._nr if t._node is not None else 0), []).append(i)
        on_path = _leading_to(seen, {key for key, _ in capture})
        leaf_ids = {id(t) for t in inputs} if accumulate else set()
    table = {}
    for t, g, target in zip(roots, grads, targets, strict=True):
        _add(table, target, t._nr, g)
    ready = [n for n in {id(n): n for n in targets}.values() if deps[id(n)] == 0]
    before = mode.grad
    mode.grad = create_graph
    try:
        while ready:
            node = ready.pop()
            grad = table.pop(id(node), None)
            if not isinstance(node, Node):
                if grad is not None:
                    _finish_leaf(node, grad, capture, results, leaf_ids, create_graph)
                continue
            out = ()
            if grad is not None:
                slots = _prepare(node, grad, capture, results)
                if on_path is None or _goes_on(node, on_path):
                    out = _apply(node, slots)
                    if not retain_graph:
                        node.release()
                slots = None
            grad = None
            for i, edge in enumerate(node.next):
                if edge is None:
                    continue
                target = edge[0]
                if i < len(out) and out[i] is not None and (on_path is None or id(target) in on_path):
                    _add(table, target, edge[1], out[i])
                key = id(target)
                deps[key] -= 1
                if deps[key] == 0:
                    ready.append(target)
            out = None
    finally:
        mode.grad = before
    return results


def _goes_on(node, on_path):
    return any(e is not None and id(e[0]) in on_path for e in node.next)
