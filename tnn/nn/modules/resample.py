"""Layers that change an image's size or shuffle its pixels and channels."""

from ...ops import resample as ops
from .module import Module


class Upsample(Module):
    """Resamples a signal, image or volume to another size: output o reads the input around ``(o + 0.5) n_in / n_out -
    0.5``, or with ``align_corners`` around ``o (n_in - 1) / (n_out - 1)``.

    Args:
        size: the output's spatial sizes, an int or a tuple; or
        scale_factor: their ratio to the input's.
        mode: 'nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear' or 'area'.
        align_corners: whether the corner elements keep their places.
        recompute_scale_factor: use the ratio of the sizes in place of ``scale_factor``.

    Shape:
        (N, C, L), (N, C, H, W) or (N, C, D, H, W), floating point or uint8; a size L becomes ``floor(L scale_factor)``.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the arguments contradict each other.
        NotImplementedError: the mode does not fit the input's rank.
        RuntimeError: a size is not positive.

    >>> import tnn
    >>> tnn.nn.Upsample(scale_factor=2)(tnn.ones(1, 1, 2, 2)).shape
    tnn.Size([1, 1, 4, 4])
    """

    __constants__ = ["size", "scale_factor", "mode", "align_corners", "name", "recompute_scale_factor"]

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor = tuple(float(s) for s in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input):
        return ops.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self):
        what = f"scale_factor={self.scale_factor!r}" if self.scale_factor is not None else f"size={self.size!r}"
        return f"{what}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resamples images by taking the nearest element: :class:`Upsample` in mode 'nearest'.

    Args:
        size: the output's spatial sizes, an int or a tuple; or
        scale_factor: their ratio to the input's.

    Shape:
        (N, C, H, W), floating point; a size L becomes ``floor(L scale_factor)``.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the arguments contradict each other.
        RuntimeError: a size is not positive.
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Resamples images by linear weights in both directions: :class:`Upsample` in mode 'bilinear' with aligned corners.

    Args:
        size: the output's spatial sizes, an int or a tuple; or
        scale_factor: their ratio to the input's.

    Shape:
        (N, C, H, W), floating point; a size L becomes ``floor(L scale_factor)``.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the arguments contradict each other.
        RuntimeError: a size is not positive.
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """Channels become pixels: ``y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w]`` (Shi et al., arXiv 1609.05158).

    Args:
        upscale_factor: r.

    Shape:
        (..., C r^2, H, W) to (..., C, H r, W r), of any dtype.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: fewer than 3 dimensions, a factor that is not positive, or channels that it does not divide.
    """

    __constants__ = ["upscale_factor"]

    def __init__(self, upscale_factor):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input):
        return ops.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels: ``y[c r^2 + i r + j, h, w] = x[c, h r + i, w r + j]``, the inverse of
    :class:`PixelShuffle`.

    Args:
        downscale_factor: r.

    Shape:
        (..., C, H r, W r) to (..., C r^2, H, W), of any dtype.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: fewer than 3 dimensions, a factor that is not positive, or sizes that it does not divide.
    """

    __constants__ = ["downscale_factor"]

    def __init__(self, downscale_factor):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input):
        return ops.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Interleaves the channels of ``groups`` groups (Zhang et al., ShuffleNet, arXiv 1707.01083).

    Args:
        groups: how many groups the channels are divided in.

    Shape:
        (N, C, ...), of any dtype, kept.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: fewer than 3 dimensions, or groups that do not divide the channels.
    """

    __constants__ = ["groups"]

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, input):
        return ops.channel_shuffle(input, self.groups)

    def extra_repr(self):
        return f"groups={self.groups}"
