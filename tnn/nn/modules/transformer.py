"""The Transformer: its encoder and decoder layers, stacks of them, and the whole."""

import copy
import math
import warnings

from ... import dtypes
from ...autograd.grad_mode import mode
from ...ops import activation as activations
from ...ops import creation
from ...ops.multi_head_attention import canonical_mask
from .. import init
from .activation import GELU, ReLU
from .attention import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]


def _subsequent_mask(size, device=None, dtype=None):
    """(size, size): -inf above the diagonal, 0 elsewhere."""
    return creation.full((size, size), -math.inf, device=device, dtype=dtype).triu(1)


def _length(x, batch_first):
    return x.shape[0] if x.dim() == 2 or not batch_first else x.shape[1]


def _is_causal(mask, is_causal, size):
    """Whether a mask is the causal one: what the caller says, and where the caller says None, a look at it."""
    if is_causal is not None or mask is None:
        return is_causal is True
    if tuple(mask.shape) != (size, size):
        return False
    return bool((mask == _subsequent_mask(size, dtype=mask.dtype)).all())


def _get_activation_fn(name):
    """The function of a name; a callable is returned as it is.

    Raises:
        RuntimeError: another name than "relu" or "gelu".
    """
    if not isinstance(name, str):
        return name
    if name not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {name}")
    return getattr(activations, name)


def _get_clones(module, n):
    return ModuleList([copy.deepcopy(module) for _ in range(n)])


class TransformerEncoderLayer(Module):
    """Self-attention and a two-layer network, each with dropout, a residual connection and layer normalization.

    With ``A`` the attention and ``F(x) = W_2 activation(W_1 x + b_1) + b_2``::

        x = norm1(x + A(x));  x = norm2(x + F(x))                    norm_first=False
        x = x + A(norm1(x));  x = x + F(norm2(x))                    norm_first=True

    From: A. Vaswani et al., "Attention is all you need" (2017); R. Xiong et al., "On layer normalization in the
    Transformer architecture" (2020) for ``norm_first``.

    Args:
        d_model: number of features.
        nhead: number of attention heads.
        dim_feedforward: width of F.
        dropout: probability of dropout: of attention's weights, inside of F, and of what is added to x.
        activation: "relu", "gelu", or a function of one tensor.
        layer_norm_eps: eps of the layer normalizations.
        batch_first: batched inputs are (N, S, E), not (S, N, E).
        norm_first: normalize before, not after.
        bias: whether Linear and LayerNorm have biases.
        device: the CPU, or None.
        dtype: of the parameters.

    Shape:
        (S, N, E), (N, S, E) or (S, E); the result has the input's shape.

    Raises:
        RuntimeError: an unknown name of an activation.

    >>> import tnn
    >>> layer = tnn.nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> layer(tnn.rand(3, 5, 8)).shape
    tnn.Size([3, 5, 8])
    """

    __constants__ = ["norm_first"]

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=activations.relu, layer_norm_eps=1e-5,
        batch_first=False, norm_first=False, bias=True, device=None, dtype=None,
    ):  # fmt: skip
        made = {"device": device, "dtype": dtype}
        super().__init__()
        self.self_attn = MultiheadAttention(d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **made)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **made)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = _get_activation_fn(activation)
        # 1 and 2 name the activations that PyTorch's fused path knows.
        known = ((activations.relu, ReLU), (activations.gelu, GELU))
        chosen = [i for i, (f, c) in enumerate(known, 1) if self.activation is f or isinstance(self.activation, c)]
        self.activation_relu_or_gelu = chosen[0] if chosen else 0

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        """The layer's result.

        Args:
            src: the sequence.
            src_mask: (S, S) or (N * nhead, S, S), as ``attn_mask`` of :class:`MultiheadAttention`.
            src_key_padding_mask: (N, S) or (S,), as its ``key_padding_mask``.
            is_causal: says that ``src_mask`` is the causal one.
        """
        kind = None if src_mask is None else src_mask.dtype
        padding = canonical_mask(src_key_padding_mask, "src_key_padding_mask", kind, "src_mask", src.dtype)
        src_mask = canonical_mask(src_mask, "src_mask", None, "", src.dtype, False)
        x = src
        if self.norm_first:
            x = x + self._attend(self.norm1(x), src_mask, padding, is_causal)
            return x + self._feed_forward(self.norm2(x))
        x = self.norm1(x + self._attend(x, src_mask, padding, is_causal))
        return self.norm2(x + self._feed_forward(x))

    def _attend(self, x, mask, padding, is_causal):
        y, _ = self.self_attn(
            x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=is_causal
        )  # fmt: skip
        return self.dropout1(y)

    def _feed_forward(self, x):
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerDecoderLayer(Module):
    """Self-attention, attention to the encoder's result, and a two-layer network.

    As :class:`TransformerEncoderLayer`, with a third part between its two: attention whose queries are the layer's own
    and whose keys and values come from ``memory``. The arguments are the same.

    Args:
        d_model: number of features E.
        nhead: number of attention heads.
        dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device, dtype: as of
            :class:`TransformerEncoderLayer`.

    Shape:
        tgt (T, N, E), memory (S, N, E), or with N first, or without it; the result has the shape of tgt.

    Raises:
        TypeError: an input is not a tensor.
        AssertionError: ``nhead`` does not divide ``d_model``, or sizes do not fit.
        RuntimeError: shapes, masks or dtypes do not fit.

    >>> import tnn
    >>> layer = tnn.nn.TransformerDecoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> layer(tnn.rand(5, 3, 8), tnn.rand(7, 3, 8)).shape
    tnn.Size([5, 3, 8])
    """

    __constants__ = ["norm_first"]

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=activations.relu, layer_norm_eps=1e-5,
        batch_first=False, norm_first=False, bias=True, device=None, dtype=None,
    ):  # fmt: skip
        made = {"device": device, "dtype": dtype}
        super().__init__()
        heads = {"dropout": dropout, "bias": bias, "batch_first": batch_first, **made}
        self.self_attn = MultiheadAttention(d_model, nhead, **heads)
        self.multihead_attn = MultiheadAttention(d_model, nhead, **heads)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **made)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
        self.norm3 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = _get_activation_fn(activation)

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
        tgt_is_causal=False, memory_is_causal=False,
    ):  # fmt: skip
        """The layer's result.

        Args:
            tgt: the sequence.
            memory: the encoder's result.
            tgt_mask, tgt_key_padding_mask, tgt_is_causal: masks of tgt to itself, as those of
                :class:`TransformerEncoderLayer`.
            memory_mask, memory_key_padding_mask, memory_is_causal: masks of tgt to memory.
        """
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = tgt
        if self.norm_first:
            y = self.norm1(x)
            x = x + self.dropout1(self._attend(self.self_attn, y, y, *own))
            x = x + self.dropout2(self._attend(self.multihead_attn, self.norm2(x), memory, *other))
            return x + self._feed_forward(self.norm3(x))
        x = self.norm1(x + self.dropout1(self._attend(self.self_attn, x, x, *own)))
        x = self.norm2(x + self.dropout2(self._attend(self.multihead_attn, x, memory, *other)))
        return self.norm3(x + self._feed_forward(x))

    @staticmethod
    def _attend(layer, x, memory, mask, padding, is_causal):
        return layer(
            x, memory, memory, attn_mask=mask, key_padding_mask=padding, is_causal=is_causal, need_weights=False
        )[0]

    def _feed_forward(self, x):
        return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """A stack of encoder layers: copies of one layer, with the same initial weights.

    Args:
        encoder_layer: the layer that is copied.
        num_layers: number of copies.
        norm: a module for the end, or None.
        enable_nested_tensor: as in PyTorch, an evaluation without gradients, of layers that are ``batch_first`` and not
            ``norm_first``, gives 0 at padded positions (ahead of ``norm``) if padding is all at the end.
        mask_check: check that padding is at the end.

    Shape:
        As the layer's.

    Raises:
        TypeError: an input is not a tensor.
        AssertionError: sizes do not fit.
        RuntimeError: shapes, masks or dtypes do not fit.

    >>> import tnn
    >>> layer = tnn.nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> encoder = tnn.nn.TransformerEncoder(layer, num_layers=2)
    >>> encoder(tnn.rand(3, 5, 8)).shape
    tnn.Size([3, 5, 8])
    """

    __constants__ = ["norm"]

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        reason = self._why_not_nested(encoder_layer)
        if enable_nested_tensor and reason:
            warnings.warn(
                f"enable_nested_tensor is True, but self.use_nested_tensor is False because encoder_layer{reason}",
                stacklevel=2,
            )
            self.use_nested_tensor = False

    @staticmethod
    def _why_not_nested(layer):
        """What about the layer rules out PyTorch's nested path, or ""."""
        if not isinstance(layer, TransformerEncoderLayer):
            return " was not TransformerEncoderLayer"
        attention = layer.self_attn
        reasons = {
            ".norm_first was True": layer.norm_first,
            ".self_attn.batch_first was not True(use batch_first for better inference performance)":
                not attention.batch_first,
            ".self_attn._qkv_same_embed_dim was not True": not attention._qkv_same_embed_dim,
            ".self_attn was passed bias=False": attention.in_proj_bias is None,
            ".activation_relu_or_gelu was not True": not layer.activation_relu_or_gelu,
            ".norm1.eps was not equal to encoder_layer.norm2.eps": layer.norm1.eps != layer.norm2.eps,
            ".self_attn.num_heads is odd": attention.num_heads % 2 == 1,
        }  # fmt: skip
        return next((reason for reason, holds in reasons.items() if holds), "")

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        """The last layer's result, after ``norm``.

        Args:
            src: the sequence.
            mask, src_key_padding_mask: masks for every layer, as the layer's ``src_mask`` and ``src_key_padding_mask``.
            is_causal: says that ``mask`` is the causal one; None: find out.
        """
        kind = None if mask is None else mask.dtype
        padding = canonical_mask(src_key_padding_mask, "src_key_padding_mask", kind, "mask", src.dtype)
        mask = canonical_mask(mask, "mask", None, "", src.dtype, False)
        is_causal = _is_causal(mask, is_causal, _length(src, self.layers[0].self_attn.batch_first))
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=is_causal, src_key_padding_mask=padding)
        if padding is not None and mask is None and self._clears_padding(src, padding):
            x = x.masked_fill((padding != 0).unsqueeze(-1), 0.0)
        return x if self.norm is None else self.norm(x)

    def _clears_padding(self, src, padding):
        first = self.layers[0]
        if not self.use_nested_tensor or first.training or src.dim() != 3:
            return False
        if mode.grad and (src.requires_grad or any(p.requires_grad for p in first.parameters())):
            return False
        valid = (padding == 0).to(dtypes.int64)
        return not self.mask_check or bool((valid.diff(dim=1) <= 0).all())


class TransformerDecoder(Module):
    """A stack of decoder layers: copies of one layer, with the same initial weights.

    Args:
        decoder_layer: the layer that is copied.
        num_layers: number of copies.
        norm: a module for the end, or None.

    Shape:
        As the layer's.

    Raises:
        TypeError: an input is not a tensor.
        AssertionError: sizes do not fit.
        RuntimeError: shapes, masks or dtypes do not fit.

    >>> import tnn
    >>> layer = tnn.nn.TransformerDecoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> tnn.nn.TransformerDecoder(layer, num_layers=2)(tnn.rand(5, 3, 8), tnn.rand(7, 3, 8)).shape
    tnn.Size([5, 3, 8])
    """

    __constants__ = ["norm"]

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
        tgt_is_causal=None, memory_is_causal=False,
    ):  # fmt: skip
        """The last layer's result, after ``norm``. Args as the layer's; ``tgt_is_causal`` None: find out."""
        tgt_is_causal = _is_causal(tgt_mask, tgt_is_causal, _length(tgt, self.layers[0].self_attn.batch_first))
        x = tgt
        for layer in self.layers:
            x = layer(
                x, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """An encoder and a decoder that attends to its result, without embeddings and without an output layer.

    Weights of two or more dimensions start Xavier-uniform. From: A. Vaswani et al., "Attention is all you need" (2017).

    Args:
        d_model: number of features.
        nhead: number of attention heads.
        num_encoder_layers, num_decoder_layers: numbers of layers.
        dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device, dtype: as those of
            :class:`TransformerEncoderLayer`.
        custom_encoder, custom_decoder: modules to use in place of those made here.

    Shape:
        src (S, N, E), tgt (T, N, E), or with N first, or without it; the result has the shape of tgt.

    Raises:
        TypeError: an input is not a tensor.
        AssertionError: ``nhead`` does not divide ``d_model``, or sizes do not fit.
        RuntimeError: the batches of src and tgt differ, or shapes, masks or dtypes do not fit.

    >>> import tnn
    >>> model = tnn.nn.Transformer(8, 2, 1, 1, dim_feedforward=16)
    >>> model(tnn.rand(7, 3, 8), tnn.rand(5, 3, 8)).shape
    tnn.Size([5, 3, 8])
    """

    def __init__(
        self, d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1,
        activation=activations.relu, custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-5, batch_first=False,
        norm_first=False, bias=True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        made = {"device": device, "dtype": dtype}
        parts = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            layer = TransformerEncoderLayer(*parts, **made)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
            self.encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            layer = TransformerDecoderLayer(*parts, **made)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
            self.decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None,
        tgt_key_padding_mask=None, memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None,
        memory_is_causal=False,
    ):  # fmt: skip
        """The decoder's result.

        Args:
            src: the encoder's sequence.
            tgt: the decoder's sequence.
            src_mask, src_key_padding_mask, src_is_causal: masks of the encoder.
            tgt_mask, tgt_key_padding_mask, tgt_is_causal: masks of the decoder.
            memory_mask, memory_key_padding_mask, memory_is_causal: masks of the decoder's look at the encoder's result.

        Raises:
            RuntimeError: batch sizes of src and tgt differ, or their features are not ``d_model``.
        """
        at = 0 if self.batch_first else 1
        if src.dim() == 3 and src.size(at) != tgt.size(at):
            raise RuntimeError(
                f"the batch number of src and tgt must be equal, got shapes {list(src.shape)} and {list(tgt.shape)}"
            )
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError(
                f"the feature number of src and tgt must be equal to d_model {self.d_model}, got shapes "
                f"{list(src.shape)} and {list(tgt.shape)}"
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """The causal mask (sz, sz): -inf above the diagonal, 0 elsewhere."""
        return _subsequent_mask(sz, device, dtype)

    def _reset_parameters(self):
        for p in self.parameters():
            if p.dim() > 1:
                init.xavier_uniform_(p)
