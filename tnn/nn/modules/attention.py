"""Multi-head attention."""

from ...ops import creation
from ...ops import multi_head_attention as ops
from .. import init
from ..parameter import Parameter
from .linear import NonDynamicallyQuantizableLinear
from .module import Module

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """``concat(head_1, ..., head_h) W_o^T + b_o``, ``head_i = softmax(q_i k_i^T / sqrt(size)) v_i``.

    ``q_i``, ``k_i`` and ``v_i`` are slices, of ``size = embed_dim / num_heads`` features, of linear projections of
    query, key and value. Weights of the projections in start Xavier-uniform, their biases and the output's bias at 0.

    From: A. Vaswani et al., "Attention is all you need" (2017).

    Args:
        embed_dim: number of features of the query and the result.
        num_heads: number of heads; divides ``embed_dim``.
        dropout: probability of a weight of the softmax to be dropped, in training mode.
        bias: whether the projections have biases.
        add_bias_kv: learn one more key and its value.
        add_zero_attn: add one more key and value of zeros.
        kdim, vdim: number of features of key and value; ``embed_dim`` if None.
        batch_first: batched inputs are (N, L, E), not (L, N, E).
        device: the CPU, or None.
        dtype: of the parameters; the default dtype if None.

    Shape:
        query (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim); or without N. The result has the query's shape.

    Attributes:
        in_proj_weight: (3 embed_dim, embed_dim) where key and value have ``embed_dim`` features, else None.
        q_proj_weight, k_proj_weight, v_proj_weight: (embed_dim, features) otherwise.
        in_proj_bias: (3 embed_dim,) or None.
        out_proj: the Linear layer at the end.
        bias_k, bias_v: (1, 1, embed_dim) or None.

    Raises:
        ValueError: ``embed_dim`` or ``num_heads`` is not positive.
        AssertionError: ``num_heads`` does not divide ``embed_dim``.

    >>> import tnn
    >>> layer = tnn.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = tnn.randn(3, 5, 8)
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    (tnn.Size([3, 5, 8]), tnn.Size([3, 5, 5]))
    """

    __constants__ = ["batch_first"]

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None,
        vdim=None, batch_first=False, device=None, dtype=None,
    ):  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads}"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")

        def parameter(*shape):
            return Parameter(creation.empty(shape, device=device, dtype=dtype))

        separate = ("q_proj_weight", embed_dim), ("k_proj_weight", self.kdim), ("v_proj_weight", self.vdim)
        if self._qkv_same_embed_dim:
            self.in_proj_weight = parameter(3 * embed_dim, embed_dim)
            for name, _ in separate:
                self.register_parameter(name, None)
        else:
            for name, features in separate:
                setattr(self, name, parameter(embed_dim, features))
            self.register_parameter("in_proj_weight", None)
        if bias:
            self.in_proj_bias = parameter(3 * embed_dim)
        else:
            self.register_parameter("in_proj_bias", None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        if add_bias_kv:
            self.bias_k, self.bias_v = parameter(1, 1, embed_dim), parameter(1, 1, embed_dim)
        else:
            self.bias_k = self.bias_v = None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self):
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
        is_causal=False,
    ):  # fmt: skip
        """(result, weights or None).

        Args:
            query, key, value: see the class.
            key_padding_mask: (N, S) or (S,): keys to leave out (bool, True), or numbers to add to their scores.
            need_weights: return the weights too; without them attention runs in blocks, faster and in less memory.
            attn_mask: (L, S) or (N * num_heads, L, S): pairs to leave out (bool, True), or numbers to add.
            average_attn_weights: return the mean of the heads' weights (N, L, S), else (N, num_heads, L, S).
            is_causal: says that ``attn_mask``, which must be given, is the causal one.

        Raises:
            AssertionError: dimensions or sizes do not fit, or a mask is neither bool nor floating-point.
            RuntimeError: the shape of ``attn_mask`` does not fit, or ``is_causal`` comes without one.
        """
        return ops.attend(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training,
            key_padding_mask, need_weights, attn_mask, not self._qkv_same_embed_dim,
            (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight), None, None, average_attn_weights, is_causal,
            self.batch_first and query.dim() == 3,
        )  # fmt: skip
