"""Scaled dot-product attention."""

import math
from functools import lru_cache

import numpy as np

from .. import dtypes
from ..autograd.autocast import casts
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import attention as kernels
from ..kernels import random as random_kernels
from ..kernels._pool import empty
from ..random import current_generator
from ..tensor import Tensor, wrap
from ._common import check_tensor, composed_backward, half_as_float32
from .cast import cast

# What tnn.nn.attention.sdpa_kernel chooses among: blocks ("flash"), or the whole matrix of weights ("math").
enabled = {"flash", "math"}

_NO_STATES = np.empty((0, random_kernels.STATE_SIZE), np.uint32)
_NO_PARTIAL = {np.dtype(t): np.empty((0, 1, 1), t) for t in (np.float32, np.float64)}
_NONE = (0, 0, 0, 0, 0)


# ---------------------------------------------------------------- on arrays


class Plan:
    """What a call is besides its tensors: mask (array that broadcasts, or None), causal, scale, probability to keep,
    and the generator's states that dropout starts from."""

    __slots__ = ("mask", "causal", "scale", "keep", "states")

    def __init__(self, mask, causal, scale, keep):
        self.mask, self.causal, self.scale, self.keep = mask, causal, scale, keep
        self.states = _NO_STATES


def _rows(x):
    """The array, its last dimension contiguous."""
    return x if x.strides[-1] == x.itemsize or x.shape[-1] == 1 else np.ascontiguousarray(x)


def _place(x):
    """Address and strides, in elements, of a 4-D array."""
    size = x.itemsize
    b, h, r, c = x.strides
    return x.__array_interface__["data"][0], b // size, h // size, r // size, c // size


def like_layout(x):
    """A new array of x's shape, its dimensions in the order that they have in x's memory."""
    if x.flags.c_contiguous:
        return empty(x.shape, x.dtype)
    strides = [abs(s) for s in x.strides[:-1]]
    if 0 in strides:
        return empty(x.shape, x.dtype)
    axes = sorted(range(x.ndim - 1), key=lambda i: -strides[i]) + [x.ndim - 1]
    return empty(tuple(x.shape[i] for i in axes), x.dtype).transpose(np.argsort(axes))


def _groups(heads, blocks, work):
    """Runs of query blocks of a head: as many as make TASKS tasks of a large call."""
    if heads >= kernels.TASKS or work < kernels.SERIAL // 2:
        return 1
    return min(blocks, -(-kernels.TASKS // max(1, heads)))


@lru_cache(1024)
def _sizes(q, k, v, causal, kind):
    """The kernels' description of a call on arrays of these shapes, without addresses and strides."""
    b, h, n, d = q
    s, w = k[2], v[3]
    blocks = max(1, -(-n // kernels.ROWS))
    groups = _groups(b * h, blocks, b * h * n * s * (d + w))
    share_k, share_v = h // max(1, k[1]), h // max(1, v[1])
    sizes = (b, h, n, s, d, w, causal, kind, share_k, share_v, groups, blocks)
    return np.array([*sizes, *_NONE * 9], np.int64)


def _spec(plan, q, k, v, out):
    """The kernels' description of a call, without the gradients."""
    mask = plan.mask
    kind = kernels.NO_MASK
    if mask is not None:
        kind = kernels.BOOL_MASK if mask.dtype == np.bool_ else kernels.FLOAT_MASK
    spec = _sizes(q.shape, k.shape, v.shape, plan.causal, kind).copy()
    if kernels.place(spec, q, k, v, out) is None:
        spec[kernels.Q : kernels.MASK] = (*_place(q), *_place(k), *_place(v), *_place(out))
    if mask is not None:
        shape = (*q.shape[:3], k.shape[2])
        spec[kernels.MASK : kernels.DO] = _place(np.broadcast_to(mask, shape))
    return spec


def run_forward(plan, q, k, v, out):
    """Writes ``out`` (4-D arrays, the last dimension contiguous), returns lse; notes dropout's states in the plan."""
    b, h, n = q.shape[:3]
    lse = empty((b * h, n), q.dtype)
    if not out.size or not k.shape[2]:
        out[...] = 0
        lse[...] = np.inf
        return lse
    spec = _spec(plan, q, k, v, out)
    if plan.keep < 1:
        blocks = int(spec[kernels.BLOCKS])
        if plan.keep == 0:
            plan.states = np.zeros((1, random_kernels.STATE_SIZE), np.uint32)
        else:
            plan.states = np.empty((b * h * blocks, random_kernels.STATE_SIZE), np.uint32)
            kernels.note_states(current_generator()._state, plan.states, b * h, n, k.shape[2], blocks)
    kernels.attention_forward(spec, lse, lse, plan.states, plan.keep, plan.scale)
    return lse


def run_backward(plan, q, k, v, out, lse, grad, dq, dk, dv):
    """Writes dq, dk and dv; 4-D arrays, the last dimension contiguous."""
    if not (q.shape[2] and k.shape[2] and q.shape[0] and q.shape[1]):
        for g in (dq, dk, dv):
            g[...] = 0
        return
    spec = _spec(plan, q, k, v, out)
    if kernels.place_gradients(spec, grad, dq, dk, dv) is None:
        spec[kernels.DO :] = (*_place(grad), *_place(dq), *_place(dk), *_place(dv))
    b, h = q.shape[:2]
    groups = int(spec[kernels.GROUPS])
    share_k, share_v = groups * (h // k.shape[1]), groups * (h // v.shape[1])
    none = _NO_PARTIAL[q.dtype]
    partial_k = empty((b * h * groups, *k.shape[2:]), q.dtype) if share_k > 1 else none
    partial_v = empty((b * h * groups, *v.shape[2:]), q.dtype) if share_v > 1 else none
    kernels.attention_backward(spec, lse, lse, plan.states, plan.keep, plan.scale, partial_k, partial_v)
    if share_k > 1:
        kernels.reduce_partial(spec, lse, partial_k, kernels.DK, k.shape[1], share_k)
    if share_v > 1:
        kernels.reduce_partial(spec, lse, partial_v, kernels.DV, v.shape[1], share_v)


def _dropout_factors(plan, shape, dtype):
    """The multipliers 0 and 1 / keep that the plan's states stand for, as an array of the weights' shape."""
    mask = np.zeros(math.prod(shape), np.uint8)
    if plan.keep > 0:
        random_kernels.bernoulli_forward(plan.states[0].copy(), mask, plan.keep)
    return mask.reshape(shape).astype(dtype) * dtype.type(1 / plan.keep if plan.keep else 0)


# ---------------------------------------------------------------- composed of other operations


def compose(q, k, v, mask, causal, scale, factors):
    """Attention written with differentiable operations, the matrix of weights and all.

    Args:
        mask: a bool or floating-point tensor, or None.
        factors: what the weights are multiplied by (dropout), or None.
    """
    if k._data.shape[1] != q._data.shape[1]:
        k = k.repeat_interleave(q._data.shape[1] // k._data.shape[1], 1)
    if v._data.shape[1] != q._data.shape[1]:
        v = v.repeat_interleave(q._data.shape[1] // v._data.shape[1], 1)
    scores = (q * scale).matmul(k.transpose(-2, -1))
    if mask is not None:
        if mask.dtype is dtypes.bool:
            scores = scores.masked_fill(mask.logical_not(), -math.inf)
        else:
            scores = scores + mask
    if causal:
        n, s = scores._data.shape[-2:]
        scores = scores.masked_fill(wrap(~np.tri(n, s, dtype=np.bool_)), -math.inf)
    if not scores._data.shape[-1]:
        return scores.matmul(v)
    # A row without any key left has weights of 0, where softmax would give NaN.
    dead = scores._data.max(-1, keepdims=True) == -math.inf if scores._data.size else np.zeros((), np.bool_)
    if dead.any():
        weights = scores.masked_fill(wrap(dead), 0.0).softmax(-1).masked_fill(wrap(dead), 0.0)
    else:
        weights = scores.softmax(-1)
    return (weights if factors is None else weights * factors).matmul(v)


def _composed(plan, q, k, v, mask):
    """``compose`` with a plan whose dropout is yet to be drawn."""
    factors = None
    if plan.keep < 1:
        shape = (*q._data.shape[:3], k._data.shape[2])
        if plan.keep:
            plan.states = current_generator()._state[None].copy()
            drawn = np.empty(math.prod(shape), np.uint8)
            random_kernels.bernoulli_forward(current_generator()._state, drawn, plan.keep)
        factors = wrap(_dropout_factors(plan, shape, q._data.dtype))
    return compose(q, k, v, mask, plan.causal, plan.scale, factors)


def compose_again(plan, q, k, v):
    """``compose`` with the dropout that a plan has drawn."""
    factors = None
    if plan.keep < 1:
        factors = wrap(_dropout_factors(plan, (*q._data.shape[:3], k._data.shape[2]), q._data.dtype))
    mask = None if plan.mask is None else wrap(plan.mask)
    return compose(q, k, v, mask, plan.causal, plan.scale, factors)


# ---------------------------------------------------------------- the operation


class ScaledDotProductFlashAttentionForCpu(Node):
    __slots__ = ("plan",)

    def backward(self, grad):
        query, key, value, out, lse = self.saved_tensors()
        plan = self.plan
        if mode.grad:
            return composed_backward(lambda q, k, v: compose_again(plan, q, k, v), (query, key, value), grad)
        q, k, v = _rows(query._data), _rows(key._data), _rows(value._data)
        dq, dk, dv = like_layout(q), like_layout(k), like_layout(v)
        run_backward(plan, q, k, v, out._data, lse._data, _rows(grad._data), dq, dk, dv)
        return tuple(wrap(g) if self.needs(i) else None for i, g in enumerate((dq, dk, dv)))


class PackedAttention(Node):
    """Attention of a packed projection (.., .., 3 * heads * size) to itself."""

    __slots__ = ("plan", "heads", "batch_first")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "ScaledDotProductFlashAttentionForCpuBackward0"

    def backward(self, grad):
        packed, out, lse = self.saved_tensors()
        if mode.grad:
            return composed_backward(self._compose, (packed,), grad)
        g = np.ascontiguousarray(grad._data)
        d = empty(packed._data.shape, g.dtype)
        parts = unpack(packed._data, self.heads, self.batch_first)
        whole = [unpack(x, self.heads, False, 1)[0] for x in (out._data, g)]
        run_backward(self.plan, *parts, whole[0], lse._data, whole[1], *unpack(d, self.heads, self.batch_first))
        return wrap(d)

    def _compose(self, packed):
        n, m, e = packed._data.shape
        order = (2, 0, 3, 1, 4) if self.batch_first else (2, 1, 3, 0, 4)
        q, k, v = packed.reshape((n, m, 3, self.heads, e // 3 // self.heads)).permute(order).unbind(0)
        out = compose_again(self.plan, q, k, v)
        return out.permute((2, 0, 1, 3)).reshape((m, n, e // 3) if self.batch_first else (n, m, e // 3))


def unpack(x, heads, batch_first, parts=3):
    """Views (batch, heads, length, size) of the parts of an array (length, batch, parts * heads * size), or of (batch,
    length, ...)."""
    n, m, e = x.shape
    order = (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4)
    split = x.reshape(n, m, parts, heads, e // (parts * heads)).transpose(order)
    return [split[i] for i in range(parts)]


@half_as_float32
def packed_attention(packed, heads, mask, dropout_p, causal, batch_first):
    """Self-attention over a packed projection of queries, keys and values, without a copy of any of them.

    Args:
        packed: (length, batch, 3 * heads * size), or (batch, length, ...) if ``batch_first``.
        mask: a tensor that broadcasts to (batch, heads, length, length) and requires no gradient, or None.

    Returns:
        (length, batch, heads * size), also if ``batch_first``: what follows is in PyTorch's order in memory, on which a
        later dropout's draws depend.
    """
    x = packed._data if packed._data.flags.c_contiguous else np.ascontiguousarray(packed._data)
    n, m, e = x.shape
    scale = 1 / math.sqrt(e // (3 * heads)) if e else 1.0
    plan = Plan(None if mask is None else cast(mask, packed.dtype)._data, causal, scale, 1.0 - dropout_p)
    y = empty((m, n, e // 3) if batch_first else (n, m, e // 3), x.dtype)
    lse = run_forward(plan, *unpack(x, heads, batch_first), unpack(y, heads, False, 1)[0])
    out = wrap(y)
    if packed._rg and mode.grad:
        node = PackedAttention(packed)
        node.plan, node.heads, node.batch_first = plan, heads, batch_first
        node.attach(out)
        node.save(packed if x is packed._data else wrap(x), out, wrap(lse))
    return out


@half_as_float32(at=0)
def _attention(query, key, value, mask, dropout_p, causal, scale):
    """4-D inputs of one dtype whose sizes fit; the mask's too."""
    keep = 1.0 - dropout_p
    flash = "flash" in enabled
    if not flash and "math" not in enabled:
        raise RuntimeError("No viable backend for scaled_dot_product_attention was found.")
    if mask is not None and mask.dtype is not dtypes.bool:
        mask = cast(mask, query.dtype)
    if not flash or (mask is not None and mask._rg and mode.grad):
        return _composed(Plan(None, causal, scale, keep), query, key, value, mask)
    plan = Plan(None if mask is None else mask._data, causal, scale, keep)
    q, k, v = _rows(query._data), _rows(key._data), _rows(value._data)
    if v.shape[-1] == q.shape[-1]:
        y = like_layout(q)
    else:
        y = empty((*q.shape[:3], v.shape[-1]), q.dtype)
    lse = run_forward(plan, q, k, v, y)
    out = wrap(y)
    if (query._rg or key._rg or value._rg) and mode.grad:
        node = ScaledDotProductFlashAttentionForCpu(query, key, value)
        node.plan = plan
        node.attach(out)
        node.save(query, key, value, out, wrap(lse))
    return out


def _plain(query, key, value):
    """Whether these are 4-D tensors of one shape and one floating-point dtype: nothing else has to be looked at."""
    if not type(query) is type(key) is type(value) is Tensor:
        return False
    q, k, v = query._data, key._data, value._data
    shape, dtype = q.shape, q.dtype
    return (
        dtype is k.dtype and dtype is v.dtype and dtype.kind == "f" and shape == k.shape and shape == v.shape
        and len(shape) == 4
    )  # fmt: skip


def _check(query, key, value, attn_mask, dropout_p):
    """Raises unless types, dtypes and sizes fit; the number of heads aside."""
    if not type(query) is type(key) is type(value) is Tensor:
        for position, (name, t) in enumerate({"query": query, "key": key, "value": value}.items(), 1):
            check_tensor("scaled_dot_product_attention", name, t, position)
    q, k, v = query._data, key._data, value._data
    if not q.dtype == k.dtype == v.dtype:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {query.dtype} key.dtype: "
            f"{key.dtype} and value.dtype: {value.dtype} instead."
        )
    if not query.dtype.is_floating_point:
        raise RuntimeError(f"scaled_dot_product_attention: expected a floating-point dtype, but got {query.dtype}")
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be at least 2 dimensional, but got query.dim: "
            f"{q.ndim} key.dim: {k.ndim} and value.dim: {v.ndim} instead."
        )
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        what = "query and key to have one size in the last dimension"
        if q.shape[-1] == k.shape[-1]:
            what = "key and value to have one length"
        shapes = f"query {list(q.shape)}, key {list(k.shape)} and value {list(v.shape)}"
        raise RuntimeError(f"Expected {what}, but got {shapes}")
    if attn_mask is not None:
        check_tensor("scaled_dot_product_attention", "attn_mask", attn_mask, 4)
        if attn_mask.dtype not in (dtypes.bool, dtypes.float32, query.dtype):
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{attn_mask.dtype} and query.dtype: {query.dtype} instead."
            )
        if attn_mask._data.ndim < 2:
            raise IndexError(
                f"Expected attn_mask of at least two dimensions, but got one of shape {list(attn_mask._data.shape)}"
            )
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")


def _four(t):
    """The tensor in four dimensions."""
    shape = t._data.shape
    if len(shape) == 4:
        return t
    if len(shape) < 4:
        return t.reshape((1,) * (4 - len(shape)) + shape)
    return t.reshape((math.prod(shape[:-3]), *shape[-3:]))


def _fit_heads(query, key, value, enable_gqa):
    """The inputs with equal leading dimensions; with ``enable_gqa`` the heads of key and value may be fewer."""
    shapes = query._data.shape, key._data.shape, value._data.shape
    if shapes[0] == shapes[1] == shapes[2] and not enable_gqa:
        return query, key, value
    if enable_gqa:
        if min(map(len, shapes)) < 3:
            raise IndexError(f"enable_gqa expects inputs with a dimension of heads, but got shapes {shapes}")
        heads = [s[-3] for s in shapes]
        if any(n == 0 or heads[0] % n for n in heads[1:]):
            raise RuntimeError(
                f"Number of heads in key and value must divide the number of heads in query, but got {heads[1]} and "
                f"{heads[2]} for {heads[0]}"
            )
        lead = [s[:-3] for s in shapes]
    else:
        lead = [s[:-2] for s in shapes]
    if lead[0] == lead[1] == lead[2]:
        return query, key, value
    try:
        common = np.broadcast_shapes(*lead)
    except ValueError:
        raise RuntimeError(
            f"scaled_dot_product_attention: the batch dimensions of query {list(shapes[0])}, key {list(shapes[1])} and "
            f"value {list(shapes[2])} do not broadcast"
        ) from None
    return tuple(
        t if t._data.shape[: len(common)] == common and len(one) == len(common) else t.expand((*common, *s[len(one) :]))
        for t, s, one in zip((query, key, value), shapes, lead, strict=True)
    )


def _fit_mask(mask, shape):
    """The mask in four dimensions, if it broadcasts to the scores' shape."""
    try:
        fits = np.broadcast_shapes(mask._data.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(
            f"scaled_dot_product_attention: attn_mask of shape {list(mask._data.shape)} does not broadcast to the "
            f"weights' shape {list(shape)}"
        )
    if len(shape) <= 4 or mask._data.ndim < 4:
        return _four(mask)
    return _four(mask.expand(shape))


@casts("lower")
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """``softmax(scale * query key^T + mask) value``, computed in blocks: memory grows with the length, not its square.

    A query that may see no key at all gives 0. See ``tnn/kernels/attention.py`` for the equations. Second derivatives,
    and gradients of the mask, go through the matrix of weights.

    From: A. Vaswani et al., "Attention is all you need" (2017); T. Dao et al., "FlashAttention" (2022).

    Args:
        query: (..., heads, L, E).
        key: (..., heads, S, E).
        value: (..., heads, S, Ev).
        attn_mask: broadcasts to (..., heads, L, S). A bool mask lets a query see a key where it is True; a
            floating-point mask is added.
        dropout_p: probability of a weight to be dropped; whoever evaluates passes 0.
        is_causal: query i sees the keys 0 to i only (besides what the mask says).
        scale: 1 / sqrt(E) unless given.
        enable_gqa: query may have a multiple of the heads of key and of value; successive heads share one.

    Returns:
        (..., heads, L, Ev).

    Raises:
        TypeError: an input is not a tensor.
        RuntimeError: sizes or dtypes do not fit, or ``dropout_p`` is not within [0, 1].
        IndexError: the mask has less than two dimensions, or there is no dimension of heads where ``enable_gqa``.

    >>> import tnn
    >>> x = tnn.eye(2)[None, None]
    >>> tnn.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)[0, 0, 0].tolist()
    [1.0, 0.0]
    """
    plain = attn_mask is None and dropout_p == 0 and not enable_gqa and _plain(query, key, value)
    if not plain:
        _check(query, key, value, attn_mask, dropout_p)
        query, key, value = _fit_heads(query, key, value, enable_gqa)
    shape = query._data.shape
    size = shape[-1]
    factor = float(scale) if scale is not None else (1 / math.sqrt(size) if size else 1.0)
    if attn_mask is not None:
        attn_mask = _fit_mask(attn_mask, (*shape[:-1], key._data.shape[-2]))
    if len(shape) != 4:
        query, key, value = _four(query), _four(key), _four(value)
    out = _attention(query, key, value, attn_mask, float(dropout_p), bool(is_causal), factor)
    return out if len(shape) == 4 else out.reshape((*shape[:-1], value._data.shape[-1]))
