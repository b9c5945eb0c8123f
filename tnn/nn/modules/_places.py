"""PyTorch's files of the layers, where tnn has them in others: ``from tnn.nn.modules.rnn import LSTM``."""

import sys
from importlib import import_module
from types import ModuleType

# PyTorch's file: the names that it has and tnn's file of that name lacks, each after the file where it lies.
_PLACES = {
    "activation": "attention.MultiheadAttention softmax.Softmin softmax.Softmax softmax.Softmax2d softmax.LogSoftmax",
    "channelshuffle": "resample.ChannelShuffle",
    "container": "module._addindent",
    "conv": (
        "conv_transpose._ConvTransposeNd conv_transpose.ConvTranspose1d conv_transpose.ConvTranspose2d "
        "conv_transpose.ConvTranspose3d conv_transpose.LazyConvTranspose1d conv_transpose.LazyConvTranspose2d "
        "conv_transpose.LazyConvTranspose3d"
    ),
    "instancenorm": (
        "normalization._InstanceNorm normalization.InstanceNorm1d normalization.InstanceNorm2d "
        "normalization.InstanceNorm3d normalization.LazyInstanceNorm1d normalization.LazyInstanceNorm2d "
        "normalization.LazyInstanceNorm3d"
    ),
    "loss": (
        "cross_entropy.NLLLoss cross_entropy.NLLLoss2d cross_entropy.CrossEntropyLoss "
        "cross_entropy.LinearCrossEntropyLoss margin_loss.HingeEmbeddingLoss margin_loss.MultiLabelMarginLoss "
        "margin_loss.MultiLabelSoftMarginLoss margin_loss.CosineEmbeddingLoss margin_loss.MarginRankingLoss "
        "margin_loss.MultiMarginLoss margin_loss.TripletMarginLoss margin_loss.TripletMarginWithDistanceLoss"
    ),
    "module": "_state._IncompatibleKeys",
    "pixelshuffle": "resample.PixelShuffle resample.PixelUnshuffle",
    "pooling": (
        "adaptive_pooling._AdaptiveAvgPoolNd adaptive_pooling._AdaptiveMaxPoolNd adaptive_pooling.AdaptiveAvgPool1d "
        "adaptive_pooling.AdaptiveAvgPool2d adaptive_pooling.AdaptiveAvgPool3d adaptive_pooling.AdaptiveMaxPool1d "
        "adaptive_pooling.AdaptiveMaxPool2d adaptive_pooling.AdaptiveMaxPool3d adaptive_pooling.FractionalMaxPool2d "
        "adaptive_pooling.FractionalMaxPool3d"
    ),
    "rnn": (
        "recurrent.RNNBase recurrent.RNN recurrent.LSTM recurrent.GRU recurrent.RNNCellBase recurrent.RNNCell "
        "recurrent.LSTMCell recurrent.GRUCell"
    ),
    "sparse": "embedding.Embedding embedding.EmbeddingBag",
    "upsampling": "resample.Upsample resample.UpsamplingNearest2d resample.UpsamplingBilinear2d",
}

_PACKAGE = __name__.rpartition(".")[0]


def _fill() -> None:
    package = sys.modules[_PACKAGE]
    for place, names in _PLACES.items():
        full = f"{_PACKAGE}.{place}"
        module = sys.modules.get(full)
        if module is None:
            module = sys.modules[full] = ModuleType(full, f"Layers under the name of PyTorch's file {place}.py.")
            setattr(package, place, module)
        for path in names.split():
            file, _, name = path.partition(".")
            setattr(module, name, getattr(import_module(f"{_PACKAGE}.{file}"), name))


_fill()
