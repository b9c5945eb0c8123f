"""Multi-head attention: projections, attention in each head, and the projection of the heads' results."""

import math
import warnings

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels._copy import assign
from ..kernels._gemm import gemm_batched
from ..kernels._pool import empty
from ..kernels.softmax import softmax_rows_backward, softmax_rows_forward
from ..tensor import wrap
from ._common import F32, F64, check_tensor, composed_backward, recording
from .attention import packed_attention, scaled_dot_product_attention
from .dropout import dropout
from .joining import cat
from .linear import baddbmm, bmm, linear
from .padding import pad
from .softmax import softmax


def canonical_mask(mask, mask_name, other_type, other_name, target_type, check_other=True):
    """A mask as numbers to add: a bool mask becomes ``-inf`` where it is True, and 0 elsewhere.

    Args:
        mask: a bool or floating-point tensor, or None.
        mask_name, other_name: how the mask, and another one, are called in messages.
        other_type: the other mask's dtype; a warning says that the two should be of one type.
        target_type: the dtype that a bool mask gets.

    Raises:
        AssertionError: the mask is neither bool nor floating-point.
    """
    if mask is None:
        return None
    if mask.dtype is not dtypes.bool and not mask.dtype.is_floating_point:
        raise AssertionError(f"only bool and floating types of {mask_name} are supported, but got {mask.dtype}")
    if check_other and other_type is not None and mask.dtype is not other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if mask.dtype is dtypes.bool:
        zero, hidden = np.zeros((), target_type.np), np.array(-math.inf).astype(target_type.np)
        return wrap(np.where(mask._data, hidden, zero))
    return mask


def _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads):
    """Whether the inputs are batched.

    Raises:
        AssertionError: numbers of dimensions do not fit.
    """
    n = query._data.ndim
    if n not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {n}-D query tensor")
    what = f"For {'batched (3-D)' if n == 3 else 'unbatched (2-D)'} `query`, expected"
    if key._data.ndim != n or value._data.ndim != n:
        raise AssertionError(
            f"{what} `key` and `value` to be {n}-D but found {key._data.ndim}-D and {value._data.ndim}-D tensors "
            "respectively"
        )
    if key_padding_mask is not None and key_padding_mask._data.ndim != n - 1:
        raise AssertionError(
            f"{what} `key_padding_mask` to be `None` or {n - 1}-D but found {key_padding_mask._data.ndim}-D tensor "
            "instead"
        )
    if attn_mask is not None:
        if attn_mask._data.ndim not in (2, 3):
            raise AssertionError(
                f"{what} `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask._data.ndim}-D tensor instead"
            )
        if n == 2 and attn_mask._data.ndim == 3:
            expected = (num_heads, query._data.shape[0], key._data.shape[0])
            if attn_mask._data.shape != expected:
                raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {attn_mask._data.shape}")
    return n == 3


def _check_sizes(query, key, value, embed_dim, num_heads, separate, weights):
    """Raises AssertionError unless features and projections fit."""
    e = query._data.shape[-1]
    if e != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {e}")
    if e // num_heads * num_heads != e:
        raise AssertionError(f"embed_dim {e} not divisible by num_heads {num_heads}")
    k, v = key._data.shape, value._data.shape
    if separate and k[:2] != v[:2]:
        raise AssertionError(f"key's sequence and batch dims {k[:2]} do not match value's {v[:2]}")
    if not separate and k != v:
        raise AssertionError(f"key shape {k} does not match value shape {v}")
    for name, weight in weights.items():
        if weight is None:
            raise AssertionError(f"use_separate_proj_weight is {separate} but {name} is None")


def _project(query, key, value, weight, bias, weights):
    """Queries, keys and values: three tensors, from a packed weight or from three."""
    if weight is None:
        biases = (None, None, None) if bias is None else bias.chunk(3)
        return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    e = query._data.shape[-1]
    if key is value:
        if query is key:
            return linear(query, weight, bias).chunk(3, -1)
        w_q, w_kv = weight.split([e, 2 * e])
        b_q, b_kv = (None, None) if bias is None else bias.split([e, 2 * e])
        return linear(query, w_q, b_q), *linear(key, w_kv, b_kv).chunk(2, -1)
    biases = (None, None, None) if bias is None else bias.chunk(3)
    return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), weight.chunk(3), biases, strict=True))


def _check_mask(attn_mask, batch, heads, n, s):
    """The mask in three dimensions.

    Raises:
        RuntimeError: its shape is neither (L, S) nor (N * heads, L, S).
    """
    shape = attn_mask._data.shape
    if len(shape) == 2:
        if shape != (n, s):
            raise RuntimeError(f"The shape of the 2D attn_mask is {shape}, but should be {(n, s)}.")
        return attn_mask.unsqueeze(0)
    if len(shape) != 3:
        raise RuntimeError(f"attn_mask's dimension {len(shape)} is not supported")
    if shape != (batch * heads, n, s):
        raise RuntimeError(f"The shape of the 3D attn_mask is {shape}, but should be {(batch * heads, n, s)}.")
    return attn_mask


def _check_padding(mask, s, batch):
    if mask._data.shape[0] != batch:
        raise AssertionError(f"Expected key_padded_mask.shape[0] to be {batch}, but got {mask._data.shape[0]}")
    if mask._data.shape[1] != s:
        raise AssertionError(f"Expected key_padded_mask.shape[1] to be {s}, but got {mask._data.shape[1]}")


def _merge(attn_mask, padding, batch, heads):
    """Both masks in one that broadcasts to (batch, heads, L, S), or None."""
    if attn_mask is not None:
        shape = attn_mask._data.shape
        attn_mask = attn_mask.reshape((1, 1, *shape[1:]) if shape[0] == 1 else (batch, heads, *shape[1:]))
    if padding is None:
        return attn_mask
    padding = padding.reshape((batch, 1, 1, padding._data.shape[1]))
    return padding if attn_mask is None else attn_mask + padding


def _with_more_keys(k, v, bias_k, bias_v, add_zero_attn, masks, heads):
    """Keys and values (batch, heads, S, size) with the learned and the zero key at the end; masks to match."""
    batch, size = k._data.shape[0], k._data.shape[3]
    more = 0
    if bias_k is not None:
        k, v = (
            cat([x, bias.reshape((1, heads, 1, size)).expand((batch, heads, 1, size))], 2)
            for x, bias in ((k, bias_k), (v, bias_v))
        )
        more += 1
    if add_zero_attn:
        zero = wrap(np.zeros((batch, heads, 1, size), k._data.dtype))
        k, v = cat([k, zero], 2), cat([v, zero], 2)
        more += 1
    if more:
        masks = [m if m is None else pad(m, (0, more)) for m in masks]
    return k, v, masks


def _static(static, name, count, size, batch, heads):
    shape = static._data.shape
    if shape[0] != count:
        raise AssertionError(f"expecting {name}.size(0) of {count}, but got {shape[0]}")
    if shape[2] != size:
        raise AssertionError(f"expecting {name}.size(2) of {size}, but got {shape[2]}")
    return static.reshape((batch, heads, shape[1], size))


def _with_weights(q, k, v, mask, dropout_p):
    """(result, weights): attention by the whole matrix of weights. All (batch, heads, length, size)."""
    b, h, n, size = q._data.shape
    s = k._data.shape[2]
    left = (q * math.sqrt(1.0 / float(size))).reshape((b * h, n, size))
    right = k.reshape((b * h, s, size)).transpose(1, 2)
    if mask is None:
        scores = bmm(left, right)
    else:
        scores = baddbmm(mask.expand((b, h, n, s)).reshape((b * h, n, s)), left, right)
    weights = softmax(scores, -1)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    out = bmm(weights, v.reshape((b * h, s, v._data.shape[3])))
    return out.reshape((b, h, n, v._data.shape[3])), weights.reshape((b, h, n, s))


class AttentionWithWeights(Node):
    """Attention of projected queries, keys and values, (n, b, E) or with ``batch_first`` (b, n, E), in each head by the
    whole matrix of weights: the heads' results side by side, (n, b, E), and the weights (b, heads, n, s)."""

    __slots__ = ("heads", "batch_first", "kept")

    @classmethod
    def run(cls, q, k, v, heads, batch_first):
        """(result, weights) of float32 or float64 tensors."""
        a, b, c = (_heads_apart(t._data, heads, batch_first) for t in (q, k, v))
        scores = empty((a.shape[0], a.shape[1], b.shape[1]), a.dtype)
        gemm_batched(False, True, 1.0 / math.sqrt(a.shape[2]), a, b, 0.0, scores)
        weights, out = empty(scores.shape, a.dtype), empty(a.shape, a.dtype)
        softmax_rows_forward(scores.reshape(-1, b.shape[1]), weights.reshape(-1, b.shape[1]), False)
        gemm_batched(False, False, 1.0, weights, c, 0.0, out)
        batch = a.shape[0] // heads
        outs = wrap(_heads_together(out, batch, False)), wrap(weights.reshape(batch, heads, *weights.shape[1:]))
        if recording(q, k, v):
            node = cls(q, k, v)
            node.heads, node.batch_first, node.kept = heads, batch_first, (a, b, c, weights)
            node.attach_all(outs)
            node.save(q, k, v)
        return outs

    materialize = False

    def release(self):
        """Drops what was kept."""
        super().release()
        self.kept = None

    def backward(self, grad, to_weights):
        inputs = self.saved_tensors()
        if mode.grad:
            given = [g for g in (grad, to_weights) if g is not None]
            kept = [g is not None for g in (grad, to_weights)]
            return composed_backward(
                lambda *x: [t for t, keep in zip(self.composed(*x), kept, strict=True) if keep], inputs, given
            )
        a, b, c, weights = self.kept
        batch, s = a.shape[0] // self.heads, b.shape[1]
        dw, dc = empty(weights.shape, a.dtype), None
        if grad is None:
            dw[...] = to_weights._data.reshape(weights.shape)
        else:
            g = _heads_apart(grad._data, self.heads, False)
            if to_weights is not None:
                dw[...] = to_weights._data.reshape(weights.shape)
            gemm_batched(False, True, 1.0, g, c, 0.0 if to_weights is None else 1.0, dw)
            if self.needs(2):
                dc = empty(c.shape, a.dtype)
                gemm_batched(True, False, 1.0, weights, g, 0.0, dc)
        ds, scale = empty(weights.shape, a.dtype), 1.0 / math.sqrt(a.shape[2])
        softmax_rows_backward(dw.reshape(-1, s), weights.reshape(-1, s), ds.reshape(-1, s), False)
        da = db = None
        if self.needs(0):
            da = empty(a.shape, a.dtype)
            gemm_batched(False, False, scale, ds, b, 0.0, da)
        if self.needs(1):
            db = empty(b.shape, a.dtype)
            gemm_batched(True, False, scale, ds, a, 0.0, db)
        return tuple(None if d is None else wrap(_heads_together(d, batch, self.batch_first)) for d in (da, db, dc))

    def composed(self, q, k, v):
        """The same by differentiable operations."""
        order = (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)
        q, k, v = (x.reshape((*x._data.shape[:2], self.heads, -1)).permute(order) for x in (q, k, v))
        out, weights = _with_weights(q, k, v, None, 0.0)
        out = out.permute((2, 0, 1, 3))
        return out.reshape((*out._data.shape[:2], -1)), weights


def _heads_apart(d, heads, batch_first):
    """(b * heads, n, size) of an ndarray (n, b, heads * size), or (b, n, heads * size)."""
    first, second, width = d.shape
    batch, n = (first, second) if batch_first else (second, first)
    d = d.reshape(first, second, heads, width // heads)
    out = empty((batch * heads, n, width // heads), d.dtype)
    assign(out.reshape(batch, heads, n, -1), d.transpose((0, 2, 1, 3) if batch_first else (1, 2, 0, 3)))
    return out


def _heads_together(d, batch, batch_first):
    """The inverse of :func:`_heads_apart`."""
    heads, n, size = d.shape[0] // batch, d.shape[1], d.shape[2]
    d = d.reshape(batch, heads, n, size)
    out = empty((batch, n, heads * size) if batch_first else (n, batch, heads * size), d.dtype)
    assign(out.reshape(*out.shape[:2], heads, size), d.transpose((0, 2, 1, 3) if batch_first else (2, 0, 1, 3)))
    return out


def attend(
    query, key, value, embed_dim, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p,
    out_proj_weight, out_proj_bias, training, key_padding_mask, need_weights, attn_mask, separate, weights, static_k,
    static_v, average, is_causal, batch_first=False,
):  # fmt: skip
    """:func:`multi_head_attention_forward`, for inputs of either order: ``batch_first`` means (N, L, E)."""
    for name, t in (("query", query), ("key", key), ("value", value)):
        check_tensor("multi_head_attention_forward", name, t)
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        at = 0 if batch_first else 1
        same_kv, same_q = key is value, query is key
        query = query.unsqueeze(at)
        key = query if same_q else key.unsqueeze(at)
        value = key if same_kv else value.unsqueeze(at)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    kind = None if attn_mask is None else attn_mask.dtype
    key_padding_mask = canonical_mask(key_padding_mask, "key_padding_mask", kind, "attn_mask", query.dtype)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    # The hint stands for the mask where no weights are asked for and there is no other mask.
    is_causal = is_causal and key_padding_mask is None and not need_weights
    attn_mask = None if is_causal else canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    wanted = dict(zip(names, weights, strict=True)) if separate else {"in_proj_weight": in_proj_weight}
    for name, t in wanted.items():
        if t is not None:
            check_tensor("multi_head_attention_forward", name, t)
    _check_sizes(query, key, value, embed_dim, num_heads, separate, wanted)
    if (bias_k is None) != (bias_v is None):
        given, missing = ("bias_k", "bias_v") if bias_v is None else ("bias_v", "bias_k")
        raise AssertionError(f"{given} is set but {missing} is None")
    if bias_k is not None and (static_k is not None or static_v is not None):
        raise AssertionError(f"bias cannot be added to static {'key' if static_k is not None else 'value'}.")
    time, at = (1, 0) if batch_first else (0, 1)
    n, batch, s = query._data.shape[time], query._data.shape[at], key._data.shape[time]
    if key._data.shape[at] != batch:
        raise RuntimeError(
            f"expected query and key of one batch size, but got {list(query._data.shape)} and {list(key._data.shape)}"
        )
    if attn_mask is not None:
        attn_mask = _check_mask(attn_mask, batch, num_heads, n, s)
    dropout_p = float(dropout_p) if training else 0.0
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")

    plain = bias_k is None and not add_zero_attn and static_k is None and static_v is None
    attn_weights = None
    if plain and not need_weights and not separate and query is key and key is value:
        if key_padding_mask is not None:
            _check_padding(key_padding_mask, s, batch)
        mask = _merge(attn_mask, key_padding_mask, batch, num_heads)
        if mask is None or not (mask._rg and mode.grad):
            packed = linear(query, in_proj_weight, in_proj_bias)
            out = packed_attention(packed, num_heads, mask, dropout_p, is_causal, batch_first)
            out = linear(out, out_proj_weight, out_proj_bias)
            out = out.transpose(0, 1) if batch_first else out
            return (out if batched else out.squeeze(at)), None
    size = embed_dim // num_heads
    order = (0, 2, 1, 3) if batch_first else (1, 2, 0, 3)
    projected = _project(query, key, value, None if separate else in_proj_weight, in_proj_bias, weights)
    bare = attn_mask is None and key_padding_mask is None and not dropout_p
    if plain and need_weights and bare and s and n and batch:
        if all(x._data.dtype is F32 or x._data.dtype is F64 for x in projected):
            # as one operation: 16 features, 2 heads, 2 x 5 by the ten that follow 81 us forward, by this one 36
            out, attn_weights = AttentionWithWeights.run(*projected, num_heads, batch_first)
            return _results(
                linear(out, out_proj_weight, out_proj_bias), attn_weights, batch_first, average, batched, at
            )
    q, k, v = (x.reshape((*x._data.shape[:2], num_heads, size)).permute(order) for x in projected)
    if static_k is not None:
        k = _static(static_k, "static_k", batch * num_heads, size, batch, num_heads)
    if static_v is not None:
        v = _static(static_v, "static_v", batch * num_heads, size, batch, num_heads)
    masks = [attn_mask, key_padding_mask]
    k, v, masks = _with_more_keys(k, v, bias_k, bias_v, add_zero_attn, masks, num_heads)
    if masks[1] is not None:
        _check_padding(masks[1], k._data.shape[2], batch)
    mask = _merge(*masks, batch, num_heads)
    if need_weights:
        out, attn_weights = _with_weights(q, k, v, mask, dropout_p)
    else:
        out = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    out = out.permute((2, 0, 1, 3))
    out = linear(out.reshape((*out._data.shape[:2], embed_dim)), out_proj_weight, out_proj_bias)
    return _results(out, attn_weights, batch_first, average, batched, at)


def _results(out, attn_weights, batch_first, average, batched, at):
    """What :func:`attend` returns of a result (n, b, E) and weights (b, heads, n, s), or None."""
    out = out.transpose(0, 1) if batch_first else out
    if attn_weights is not None and average:
        attn_weights = attn_weights.mean(1)
    if not batched:
        out = out.squeeze(at)
        attn_weights = None if attn_weights is None else attn_weights.squeeze(0)
    return out, attn_weights


def multi_head_attention_forward(
    query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn,
    dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None, need_weights=True, attn_mask=None,
    use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None,
    static_v=None, average_attn_weights=True, is_causal=False,
):  # fmt: skip
    """``concat(head_1, ..., head_h) W_o^T + b_o`` with ``head_i = attention(q W_qi^T + b_qi, k W_ki^T + b_ki, ...)``.

    From: A. Vaswani et al., "Attention is all you need" (2017). :class:`tnn.nn.MultiheadAttention` is this with
    parameters of its own.

    Args:
        query: (L, N, E) or (L, E), floating point.
        key, value: (S, N, Ek) and (S, N, Ev), or without N.
        embed_dim_to_check: what E has to be.
        num_heads: number of heads; divides E.
        in_proj_weight: (3 E, E), the three projections' weights one below the other.
        in_proj_bias: (3 E,) or None.
        bias_k, bias_v: (1, 1, E), one more key and its value, or None.
        add_zero_attn: add one more key and value of zeros.
        dropout_p: probability of a weight to be dropped, if ``training``.
        out_proj_weight, out_proj_bias: (E, E) and (E,) or None.
        training: whether to drop weights.
        key_padding_mask: (N, S) or (S,): keys to leave out (bool, True), or numbers to add to their scores.
        need_weights: return the weights too, at the cost of holding them.
        attn_mask: (L, S) or (N * num_heads, L, S): pairs to leave out (bool, True), or numbers to add.
        use_separate_proj_weight: use the three weights that follow instead.
        q_proj_weight, k_proj_weight, v_proj_weight: (E, E), (E, Ek) and (E, Ev), or None.
        static_k, static_v: (N * num_heads, S, E / num_heads), used in place of projected keys and values.
        average_attn_weights: return the mean of the heads' weights.
        is_causal: says that ``attn_mask`` is the causal one, which saves looking at it.

    Returns:
        The result, of the query's shape, and the weights: (N, L, S) or (N, num_heads, L, S), or without N; or None.

    Raises:
        AssertionError: dimensions or sizes do not fit, or a mask is neither bool nor floating-point.
        RuntimeError: the shape of ``attn_mask`` does not fit, or ``is_causal`` comes without one.
    """
    return attend(
        query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn,
        dropout_p, out_proj_weight, out_proj_bias, training, key_padding_mask, need_weights, attn_mask,
        use_separate_proj_weight, (q_proj_weight, k_proj_weight, v_proj_weight), static_k, static_v,
        average_attn_weights, is_causal,
    )  # fmt: skip
