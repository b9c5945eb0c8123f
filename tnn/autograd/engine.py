"""The backward pass: walks the tape without recursion, frees what it has used, and accumulates on the leaves."""

from sys import getrefcount
from typing import Any

import numpy as np

from ..kernels._copy import contiguous_copy
from ..kernels._pool import FEW, Capsule, empty
from .anomaly_mode import applied, ever
from .anomaly_mode import state as anomaly
from .autocast import active, outside
from .autocast import state as autocast_state
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
    users = {}
    for key, node in seen.items():
        if isinstance(node, Node):
            for edge in node.next:
                if edge is not None:
                    users.setdefault(id(edge[0]), []).append(key)
    on_path, stack = set(wanted), list(wanted)
    while stack:
        for key in users.get(stack.pop(), ()):
            if key not in on_path:
                on_path.add(key)
                stack.append(key)
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


def _apply(node, slots, watch):
    if node.n_out != 1 and node.materialize:
        slots = [wrap_zeros(*node.outs[i]) if g is None else g for i, g in enumerate(slots)]
    out = applied(node, node.backward, *slots) if watch else node.backward(*slots)
    if type(out) is not tuple:
        out = (out,)
    if node.hooks is not None and node.hooks.post:
        for hook in list(node.hooks.post.values()):
            new = hook(out, tuple(slots))
            if new is not None:
                out = new if isinstance(new, tuple) else (new,)
    return out


class _Probe(Node):
    __slots__ = ()

    def backward(self, grad):
        return wrap_zeros((1,), "float32")


# References that sys.getrefcount reports in _accumulate on a gradient that nobody else holds: how many the calls on the
# way there hold differs between versions of Python, so it is measured once.
_own_refs = []


def _measure_own_refs():
    leaf, out = wrap_zeros((1,), "float32"), wrap_zeros((1,), "float32")
    leaf._rg = True
    _Probe(leaf).attach(out)
    _own_refs.append(None)
    run_one(out, wrap_zeros((1,), "float32"), False, False)
    _own_refs.pop(0)


def _accumulate(leaf, grad, create_graph):
    """Adds a gradient to a leaf's ``grad``, taking the array over where nobody else holds it."""
    refs = getrefcount(grad)
    have = leaf._grad
    if create_graph or grad.is_sparse or (have is not None and (have.is_sparse or have._rg)):
        if have is not None and have._rg and not create_graph:
            have = have.detach()
        leaf._grad = grad if have is None else have + grad
        return
    data, like = grad._data, leaf._data
    if data.shape != like.shape:
        raise RuntimeError(
            f"the gradient computed for a leaf has shape {list(data.shape)}, expected {list(like.shape)}"
        )
    if data.dtype is not like.dtype and data.dtype != like.dtype:
        grad = grad.to(leaf.dtype)
        data = grad._data
        refs = 0
    if have is not None:
        have.add_(grad)
        return
    if not _own_refs:
        _measure_own_refs()
    if _own_refs[0] is None:
        _own_refs.append(refs)
        return
    data = like = None  # references
    if refs > _own_refs[0] or not _taken_over(leaf, grad):
        leaf._grad = wrap(_laid_as(grad._data, leaf._data))


class _ProbeOfTwo(Node):
    __slots__ = ()

    def backward(self, grad):
        return wrap_zeros((1,), "float32"), wrap_zeros((1,), "float32")


_chain_refs = []  # as _own_refs, in _run_chain


def _measure_chain_refs():
    leaves, out = [wrap_zeros((1,), "float32") for _ in range(2)], wrap_zeros((1,), "float32")
    for leaf in leaves:
        leaf._rg = True
    _ProbeOfTwo(*leaves).attach(out)
    _chain_refs.append(None)
    run_one(out, wrap_zeros((1,), "float32"), False, False)
    _chain_refs.pop(0)


def _give(leaf, grad, refs):
    """The first gradient of a leaf without hooks, nothing being recorded; refs: what sys.getrefcount says of it."""
    if not _chain_refs:
        _measure_chain_refs()
    if _chain_refs[0] is None:
        _chain_refs.append(refs)
    if grad.is_sparse or grad._data.shape != leaf._data.shape or grad._data.dtype is not leaf._data.dtype:
        _accumulate(leaf, grad, False)
    elif _chain_refs[0] is None or refs > _chain_refs[0] or not _taken_over(leaf, grad):
        leaf._grad = wrap(_laid_as(grad._data, leaf._data))


def _taken_over(leaf, grad):
    """Makes a gradient that nobody else holds the leaf's own, if its memory is nobody else's either."""
    data, like = grad._data, leaf._data
    if grad._rg or getrefcount(data) > 3:
        return False
    base, flags = data.base, data.flags
    if base is not None and not (isinstance(base, np.ndarray | Capsule) and getrefcount(base) <= 3):
        return False
    if not flags.writeable or (not flags.c_contiguous if like.flags.c_contiguous else data.strides != like.strides):
        return False
    leaf._grad = grad
    return True


def _laid_as(data, like):
    """A copy of an ndarray with the order of dimensions in memory that another one has, if that fills its memory."""
    axes = None
    if not like.flags.c_contiguous:
        order = sorted(range(like.ndim), key=lambda i: -like.strides[i])
        if like.transpose(order).flags.c_contiguous:
            axes, data = sorted(range(like.ndim), key=order.__getitem__), data.transpose(order)
    own = data.copy() if data.size < FEW else contiguous_copy(data)
    return own if axes is None else own.transpose(axes)


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


def start(output, gradient):
    """The gradient to begin with at ``output``: the one given, checked, or 1 for a single element.

    Raises:
        RuntimeError: the output does not require gradients, or the gradient is missing or of another shape.
    """
    if not output._rg:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    if gradient is None:
        if output._data.size != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        one = empty(output._data.shape, output._data.dtype)
        one[...] = 1
        return wrap(one)
    data, like = gradient._data, output._data
    if data.shape != like.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {list(gradient._data.shape)} and output[0] has a shape "
            f"of {list(output._data.shape)}."
        )
    return gradient if data.dtype is like.dtype or data.dtype == like.dtype else gradient.to(output.dtype)


def run_one(root, grad, retain_graph, create_graph):
    """As :func:`run` from one tensor to all leaves: the usual backward, without its lists."""
    if ever.enabled or (active.n and autocast_state.enabled):
        run((root,), (grad,), retain_graph, create_graph)
        return
    if root._base is not None and root._base.stale(root):
        root._base.refresh(root)
    before = mode.grad
    mode.grad = create_graph
    try:
        node = root._node
        if node is None:
            seeds = _run_chain(root, 0, grad, retain_graph, create_graph)
        else:
            seeds = _run_chain(node, root._nr, grad, retain_graph, create_graph)
        if seeds:
            _walk_all(seeds, retain_graph, create_graph)
    finally:
        mode.grad = before


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
    if active.n and autocast_state.enabled:
        with outside():  # backward runs in the dtypes of forward
            return run(roots, grads, retain_graph, create_graph, inputs, accumulate)
    seeds = []
    for t, g in zip(roots, grads, strict=True):
        if t._base is not None and t._base.stale(t):
            t._base.refresh(t)
        seeds.append((t, 0, g) if t._node is None else (t._node, t._nr, g))
    before = mode.grad
    mode.grad = create_graph
    try:
        if inputs is not None:
            return _run_to(seeds, retain_graph, create_graph, inputs, accumulate)
        if ever.enabled and anomaly.enabled:
            _walk(seeds, retain_graph, create_graph, None, None, [], None)
            return []
        if len(seeds) == 1:
            seeds = _run_chain(*seeds[0], retain_graph, create_graph)
        if seeds:
            _walk_all(seeds, retain_graph, create_graph)
        return []
    finally:
        mode.grad = before


def _run_chain(target, nr, grad, retain_graph, create_graph):
    """Follows the tape as long as it leads to one node at a time, and to leaves: no bookkeeping is needed there, which
    is half the time of a small backward. Returns the seeds for what remains."""
    leaves = {}  # those that were met, without hooks, by id: (leaf, 0, gradient so far)
    while isinstance(target, Node):
        if target.n_out != 1 or target.hooks is not None:
            return [(target, nr, grad), *leaves.values()]
        out = target.backward(grad)
        if not retain_graph and target.saved:
            target.saved = None
        edges = target.next
        target = grad = None
        if len(edges) == 1:
            if edges[0] is not None:
                grad = out[0] if type(out) is tuple else out
                if grad is not None:
                    target, nr = edges[0]
            out = None
            continue
        if type(out) is not tuple:
            out = (out,)
        nodes = None
        for edge, grad in zip(edges, out, strict=False):
            if edge is None or grad is None:
                continue
            follow = edge[0]
            if isinstance(follow, Node) or follow._hooks is not None:
                if nodes is None:
                    nodes = [(follow, edge[1], grad)]
                else:
                    nodes.append((follow, edge[1], grad))
            elif follow._grad is None and not create_graph:
                _give(follow, grad, getrefcount(grad))
            else:
                key = id(follow)
                leaves[key] = (follow, 0, leaves[key][2] + grad if key in leaves else grad)
        out = grad = follow = None
        if nodes is not None:
            if len(nodes) == 2 and nodes[0][0] is nodes[1][0] and nodes[0][1] == nodes[1][1]:
                nodes = [(nodes[0][0], nodes[0][1], nodes[0][2] + nodes[1][2])]
            if len(nodes) > 1:
                return [*nodes, *leaves.values()]
            target, nr, grad = nodes.pop()
    if target is not None and id(target) in leaves:
        grad = leaves.pop(id(target))[2] + grad
    if target is not None:
        _finish_leaf(target, grad, None, (), None, create_graph)
    while leaves:
        target, _, grad = leaves.popitem()[1]
        _finish_leaf(target, grad, None, (), None, create_graph)
    return ()


def _uses(targets):
    """How many edges below the targets lead to each target, by id."""
    deps = dict.fromkeys(map(id, targets), 0)
    stack = [t for t in targets if isinstance(t, Node)]
    while stack:
        for edge in stack.pop().next:
            if edge is not None:
                target = edge[0]
                key = id(target)
                if key in deps:
                    deps[key] += 1
                else:
                    deps[key] = 1
                    if isinstance(target, Node):
                        stack.append(target)
    return deps


def _walk_all(seeds, retain_graph, create_graph):
    """As `_walk`, to all leaves."""
    targets = {id(s[0]): s[0] for s in seeds}
    deps = _uses(targets.values())
    table = {}
    while seeds:
        _add(table, *seeds.pop(0))  # the list must not keep the gradients: they could not be taken over then
    ready = [n for k, n in targets.items() if deps[k] == 0]
    while ready:
        node = ready.pop()
        grad = table.pop(id(node), None)
        if not isinstance(node, Node):
            if grad is not None:
                _finish_leaf(node, grad, None, (), None, create_graph)
            continue
        edges = node.next
        out = ()
        if grad is not None:
            if node.hooks is None and node.n_out == 1:
                out = node.backward(grad)
            else:
                out = _apply(node, _prepare(node, grad, None, ()), False)
            if type(out) is not tuple:
                out = (out,)
            if not retain_graph:
                node.release()
        grad = None
        if len(out) < len(edges):
            out += (None,) * (len(edges) - len(out))
        for edge, grad in zip(edges, out, strict=False):
            if edge is None:
                continue
            target = edge[0]
            key = id(target)
            left = deps[key] - 1
            if grad is not None:
                if isinstance(target, Node):
                    if key in table or target.n_out != 1:
                        _add(table, target, edge[1], grad)
                    else:
                        table[key] = grad
                elif left or key in table or target._grad is not None or target._hooks is not None or create_graph:
                    _add(table, target, edge[1], grad)
                else:
                    _give(target, grad, getrefcount(grad))
                    continue
            deps[key] = left
            if not left:
                ready.append(target)
        out = grad = None


def _run_to(seeds, retain_graph, create_graph, inputs, accumulate):
    """Computes the gradients of ``inputs`` alone."""
    capture, results = {}, [None] * len(inputs)
    for i, t in enumerate(inputs):
        if t._base is not None and t._base.stale(t):
            t._base.refresh(t)
        key = (id(t), 0) if t._node is None else (id(t._node), t._nr)
        capture.setdefault(key, []).append(i)
    _, seen = _reachable([s[0] for s in seeds])
    on_path = _leading_to(seen, {key for key, _ in capture})
    leaf_ids = {id(t) for t in inputs} if accumulate else ()
    _walk(seeds, retain_graph, create_graph, on_path, capture, results, leaf_ids)
    return results


def _walk(seeds, retain_graph, create_graph, on_path, capture, results, leaf_ids):
    """The general way: a node runs when all gradients that lead to it have come."""
    targets = {id(s[0]): s[0] for s in seeds}
    deps, _ = _reachable(targets.values())
    table = {}
    while seeds:
        _add(table, *seeds.pop(0))  # the list must not keep the gradients: they could not be taken over then
    ready = [n for k, n in targets.items() if deps[k] == 0]
    watch = anomaly.enabled
    while ready:
        node = ready.pop()
        grad = table.pop(id(node), None)
        if not isinstance(node, Node):
            if grad is not None:
                _finish_leaf(node, grad, capture, results, leaf_ids, create_graph)
            continue
        out = ()
        if grad is not None:
            if capture is None and node.hooks is None and node.n_out == 1 and not watch:
                out = node.backward(grad)
                if type(out) is not tuple:
                    out = (out,)
                if not retain_graph and node.saved:
                    node.saved = None
            else:
                slots = _prepare(node, grad, capture, results)
                if on_path is None or _goes_on(node, on_path):
                    out = _apply(node, slots, watch)
                    if not retain_graph:
                        node.release()
                slots = None
        grad = None
        n = len(out)
        for i, edge in enumerate(node.next):
            if edge is None:
                continue
            target = edge[0]
            key = id(target)
            if i < n and out[i] is not None and (on_path is None or key in on_path):
                _add(table, target, edge[1], out[i])
            deps[key] -= 1
            if deps[key] == 0:
                ready.append(target)
        out = None


def _goes_on(node, on_path):
    return any(e is not None and id(e[0]) in on_path for e in node.next)
