"""The functions of ``torch.nn.functional``: re-exports of ``tnn.ops``, one import block for each family in alphabetical
order, and no bodies."""

# ruff: noqa: F401

# activation
from ..ops.activation import (
    celu,
    celu_,
    elu,
    elu_,
    gelu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    relu_,
    rrelu,
    rrelu_,
    selu,
    selu_,
    sigmoid,
    silu,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
    threshold_,
)

# adaptive_pooling
from ..ops.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
)

# attention
from ..ops.attention import scaled_dot_product_attention

# batchnorm
from ..ops.batchnorm import batch_norm

# conv
from ..ops.conv import conv1d, conv2d, conv3d, conv_tbc

# conv_transpose
from ..ops.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d

# cross_entropy
from ..ops.cross_entropy import cross_entropy, linear_cross_entropy, nll_loss

# ctc
from ..ops.ctc import ctc_loss

# distance
from ..ops.distance import cosine_similarity, pairwise_distance, pdist

# dropout
from ..ops.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)

# embedding
from ..ops.embedding import embedding, embedding_bag

# fold
from ..ops.fold import fold, unfold

# glu
from ..ops.glu import glu

# grid_sample
from ..ops.grid_sample import affine_grid, grid_sample

# grouped_mm
from ..ops.grouped_mm import grouped_mm

# linear
from ..ops.linear import bilinear, linear

# loss
from ..ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
)

# margin_loss
from ..ops.margin_loss import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)

# multi_head_attention
from ..ops.multi_head_attention import multi_head_attention_forward

# normalization
from ..ops.normalization import group_norm, instance_norm, layer_norm, local_response_norm, normalize, rms_norm

# padding
from ..ops.padding import pad

# pooling
from ..ops.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)

# resample
from ..ops.resample import (
    channel_shuffle,
    interpolate,
    native_channel_shuffle,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)

# scaled_mm
from ..ops.scaled_mm import ScalingType, SwizzleType, scaled_grouped_mm, scaled_mm

# search
from ..ops.search import one_hot

# softmax
from ..ops.softmax import gumbel_softmax, log_softmax, softmax, softmin
