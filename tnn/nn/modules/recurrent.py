"""Recurrent layers of several steps (RNN, LSTM, GRU) and of a single one (cells)."""

import math
import numbers
import warnings

from ...autograd.autocast import is_autocast_enabled
from ...ops import creation
from ...ops import recurrent as ops
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]


def _check_sizes(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size):
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed, "
            f"got {dropout!r}"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value, kind in (
        ("bias", bias, bool), ("batch_first", batch_first, bool), ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):  # fmt: skip
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        if kind is int and value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


class RNNBase(Module):
    """What RNN, LSTM and GRU share: parameters, checks, and the forward pass.

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype: as of
            :class:`LSTM`.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.
    """

    __constants__ = [
        "mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
        "proj_size",
    ]  # fmt: skip

    def __init__(
        self, mode, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
        bidirectional=False, proj_size=0, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        _check_sizes(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if mode not in ops.KINDS:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights = []
        out = proj_size or hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else out * (2 if bidirectional else 1)
            shapes = ops.weight_shapes(ops.KINDS[mode].gates, inputs, hidden_size, out)
            for suffix in ("", "_reverse") if bidirectional else ("",):
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
                wanted = (True, True, bias, bias, proj_size > 0)
                self._all_weights.append([])
                for name, shape, there in zip(names, shapes, wanted, strict=True):
                    if there:
                        name = f"{name}_l{layer}{suffix}"
                        setattr(self, name, Parameter(creation.empty(shape, device=device, dtype=dtype)))
                        self._all_weights[-1].append(name)
        self.reset_parameters()

    @property
    def _flat_weights_names(self):
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self):
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self):
        """The parameters: a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self):
        """Does nothing: the weights need no common memory on a CPU."""

    def reset_parameters(self):
        """Draws new initial values."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def check_input(self, input, batch_sizes):
        """Raises unless the input has the weights' dtype (ValueError) and fitting sizes (RuntimeError)."""
        dtype = getattr(self, self._all_weights[0][0]).dtype
        if input.dtype is not dtype and not is_autocast_enabled():
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        expected = 3 if batch_sizes is None else 2
        if input.ndim != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.ndim}")
        if input._data.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input._data.shape[-1]}"
            )

    def get_expected_hidden_size(self, input, batch_sizes):
        """The shape that h0 must have."""
        return self._expected_size(input, batch_sizes, self.proj_size or self.hidden_size)

    def _expected_size(self, input, batch_sizes, size):
        if batch_sizes is not None:
            batch = int(batch_sizes[0])
        else:
            batch = input._data.shape[0 if self.batch_first else 1]
        return self.num_layers * (2 if self.bidirectional else 1), batch, size

    def check_hidden_size(self, hx, expected_hidden_size, msg="Expected hidden size {}, got {}"):
        """Raises RuntimeError unless ``hx`` has the expected shape."""
        if hx._data.shape != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(tuple(expected_hidden_size), list(hx._data.shape)))

    def check_forward_args(self, input, hidden, batch_sizes):
        """Raises unless input and state fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx, permutation):
        """The state with the sequences in another order (None: as they are)."""
        return hx if permutation is None else hx.index_select(1, permutation)

    def _check_state_dims(self, hx, batched):
        if hx.ndim != (3 if batched else 2):
            raise RuntimeError(
                f"For batched 3-D input, hx should also be 3-D but got {hx.ndim}-D tensor" if batched else
                f"For unbatched 2-D input, hx should also be 2-D but got {hx.ndim}-D tensor"
            )  # fmt: skip

    def _unsqueeze_state(self, hx):
        return hx.unsqueeze(1)

    def _squeeze_state(self, hx):
        return hx.squeeze(1)

    def _as_pair(self, hx):
        return hx, None

    def _from_list(self, states):
        return states[0]

    def _weight_groups(self):
        groups = []
        for w in self.all_weights:
            w_hr = w.pop() if self.proj_size else None
            groups.append((*w, w_hr) if self.bias else (*w, None, None, w_hr))
        return groups

    def _run(self, input, batch_sizes, hx):
        """Output and final state for checked arguments."""
        pair = (None, None) if hx is None else self._as_pair(hx)
        out, *states = ops.network(
            self.mode.lower(), ops.KINDS[self.mode], input, batch_sizes, pair, self._weight_groups(),
            self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first,
        )  # fmt: skip
        return out, self._from_list(states)

    def forward(self, input, hx=None):
        if isinstance(input, tuple):
            return self._forward_packed(input, hx)
        if input.ndim not in (2, 3):
            name = type(self).__name__
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        batched = input.ndim == 3
        dim = 0 if self.batch_first else 1
        if not batched:
            input = input.unsqueeze(dim)
        if hx is None:
            self.check_input(input, None)
        else:
            self._check_state_dims(hx, batched)
            if not batched:
                hx = self._unsqueeze_state(hx)
            self.check_forward_args(input, hx, None)
        out, state = self._run(input, None, hx)
        return (out, state) if batched else (out.squeeze(dim), self._squeeze_state(state))

    def _forward_packed(self, packed, hx):
        data, sizes, order, back = packed
        if hx is not None:
            hx = self.permute_hidden(hx, order)
            self.check_forward_args(data, hx, sizes)
        else:
            self.check_input(data, sizes)
        out, state = self._run(data, sizes, hx)
        return type(packed)(out, sizes, order, back), self.permute_hidden(state, back)

    def extra_repr(self):
        parts = [f"{self.input_size}, {self.hidden_size}"]
        usual = dict(proj_size=0, num_layers=1, bias=True, batch_first=False, dropout=0, bidirectional=False)
        return ", ".join(
            parts + [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        )


class RNN(RNNBase):
    """Elman network: each layer computes, for each step t of a sequence,

        h_t = f(x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh),    f = tanh or relu

    J. L. Elman, "Finding structure in time" (1990). Weights and biases start uniform in ``[-k, k]``,
    ``k = 1 / sqrt(hidden_size)``.

    Args:
        input_size, hidden_size, num_layers: as of :class:`LSTM`.
        nonlinearity: "tanh" or "relu".
        bias, batch_first, dropout, bidirectional, device, dtype: as of :class:`LSTM`.
        args, kwargs: these, by position or by name.

    Shape:
        input: (T, B, input_size), or (T, input_size) for a single sequence, or a PackedSequence; hx: h0, zeros by
        default, of (D num_layers, B, hidden_size), without B for a single sequence, D being 2 if bidirectional, else 1;
        output: (T, B, D hidden_size), or what corresponds to the input, and hn, shaped as hx.

    Raises:
        ValueError: input of another number of dimensions or of another dtype than the weights, or another
            ``nonlinearity``.
        RuntimeError: sizes of input or state do not fit, or the sequence is empty.

    Inputs, outputs, errors and parameters: as of :class:`LSTM`, but the state is h alone, there is no projection, and
    the weights have ``hidden_size`` rows.

    >>> import tnn
    >>> output, hn = tnn.nn.RNN(10, 20, 2)(tnn.randn(5, 3, 10))
    >>> output.shape, hn.shape
    (tnn.Size([5, 3, 20]), tnn.Size([2, 3, 20]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory: each layer computes, for each step t of a sequence,

        i, f, o = sigmoid(.),  g = tanh(.)  of the parts of  x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh
        c_t = f c_(t-1) + i g
        h_t = o tanh(c_t),  with a projection  (o tanh(c_t)) W_hr^T

    where the parts stand in the order i, f, g, o. S. Hochreiter and J. Schmidhuber, "Long short-term memory" (1997);
    H. Sak et al. (2014) for projections. Weights and biases start uniform in ``[-k, k]``,
    ``k = 1 / sqrt(hidden_size)``.

    Args:
        input_size: size of x_t.
        hidden_size: size H of c_t, and of h_t unless projected.
        num_layers: each further layer reads the output of the one before.
        bias: whether there are b_ih and b_hh.
        batch_first: sequences are (B, T, ...) and not (T, B, ...); the states are not affected.
        dropout: probability of dropout after each layer but the last, in training.
        bidirectional: a second set of weights reads each sequence backwards; the outputs are joined.
        proj_size: size of h_t if positive.
        device: the CPU, or None.
        dtype: of the parameters; the default dtype if None.
        args, kwargs: these, by position or by name.

    Shape:
        input: (T, B, input_size), or (T, input_size) for a single sequence, or a PackedSequence.
        hx: (h0, c0), zeros by default, of (D num_layers, B, R) and (D num_layers, B, H), without B for a single
            sequence. D is 2 if bidirectional, else 1; R is ``proj_size`` or H.
        output: (T, B, D R), or what corresponds to the input; and (hn, cn), shaped as hx.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0, weight_ih_l0_reverse, weight_ih_l1, ...:
            (4 H, inputs), (4 H, R), (4 H,), (4 H,) and (R, H).

    Raises:
        ValueError: input of another number of dimensions or of another dtype than the weights.
        RuntimeError: sizes of input or state do not fit, or the sequence is empty.

    >>> import tnn
    >>> output, (hn, cn) = tnn.nn.LSTM(10, 20, 2)(tnn.randn(5, 3, 10))
    >>> output.shape, hn.shape, cn.shape
    (tnn.Size([5, 3, 20]), tnn.Size([2, 3, 20]), tnn.Size([2, 3, 20]))
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input, batch_sizes):
        """The shape that c0 must have."""
        return self._expected_size(input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input, hidden, batch_sizes):
        """Raises unless input and states fit."""
        self.check_input(input, batch_sizes)
        expected = self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes)
        for i in range(2):
            self.check_hidden_size(hidden[i], expected[i], f"Expected hidden[{i}] size {{}}, got {{}}")

    def permute_hidden(self, hx, permutation):
        """The states with the sequences in another order (None: as they are)."""
        return hx if permutation is None else tuple(h.index_select(1, permutation) for h in (hx[0], hx[1]))

    def _check_state_dims(self, hx, batched):
        a, b = hx[0].ndim, hx[1].ndim
        if (a, b) != ((3, 3) if batched else (2, 2)):
            kind, wanted = ("batched 3-D", 3) if batched else ("unbatched 2-D", 2)
            raise RuntimeError(f"For {kind} input, hx and cx should also be {wanted}-D but got ({a}-D, {b}-D) tensors")

    def _unsqueeze_state(self, hx):
        return hx[0].unsqueeze(1), hx[1].unsqueeze(1)

    def _squeeze_state(self, hx):
        return hx[0].squeeze(1), hx[1].squeeze(1)

    def _as_pair(self, hx):
        if not isinstance(hx, (list, tuple)):
            raise TypeError(f"lstm(): argument 'hx' must be tuple of Tensors, not {type(hx).__name__}")
        return hx[0], hx[1]

    def _from_list(self, states):
        return tuple(states)


class GRU(RNNBase):
    """Gated recurrent units: each layer computes, for each step t of a sequence,

        r, z = sigmoid(.)  of the first two parts of  x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh
        n = tanh(x_t W_in^T + b_in + r (h_(t-1) W_hn^T + b_hn))
        h_t = (1 - z) n + z h_(t-1)

    where W_in is the third part of W_ih, and so on. K. Cho et al., "Learning phrase representations using RNN
    encoder-decoder" (2014), with r applied after the product. Weights and biases start uniform in ``[-k, k]``,
    ``k = 1 / sqrt(hidden_size)``.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as of
            :class:`LSTM`.
        args, kwargs: these, by position or by name.

    Shape:
        input: (T, B, input_size), or (T, input_size) for a single sequence, or a PackedSequence; hx: h0, zeros by
        default, of (D num_layers, B, hidden_size), without B for a single sequence, D being 2 if bidirectional, else 1;
        output: (T, B, D hidden_size), or what corresponds to the input, and hn, shaped as hx.

    Raises:
        ValueError: input of another number of dimensions or of another dtype than the weights.
        RuntimeError: sizes of input or state do not fit, or the sequence is empty.

    Inputs, outputs, errors and parameters: as of :class:`LSTM`, but the state is h alone, there is no projection, and
    the weights have ``3 * hidden_size`` rows.

    >>> import tnn
    >>> output, hn = tnn.nn.GRU(10, 20, 2)(tnn.randn(5, 3, 10))
    >>> output.shape, hn.shape
    (tnn.Size([5, 3, 20]), tnn.Size([2, 3, 20]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """What the cells share.

    Args:
        input_size, hidden_size, bias, device, dtype: as of :class:`LSTMCell`.
        num_chunks: parts of a weight, one for each gate.

    Raises:
        TypeError: a size is not an integer.
    """

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        shapes = ops.weight_shapes(num_chunks, input_size, hidden_size, hidden_size)
        for name, shape in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), shapes, strict=False):
            if bias or name.startswith("weight"):
                setattr(self, name, Parameter(creation.empty(shape, device=device, dtype=dtype)))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draws new initial values."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _one_step(self, op, input, states):
        """The new states (a tensor, or a tuple of two) of an input with or without a batch."""
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        for i, t in enumerate(states):
            if t is not None and t.ndim not in (1, 2):
                what = "hidden" if len(states) == 1 else f"hx[{i}]"
                raise ValueError(f"{name}: Expected {what} to be 1D or 2D, got {t.ndim}D instead")
        batched = input.ndim == 2
        if not batched:
            input = input.unsqueeze(0)
            states = [None if t is None else t.unsqueeze(0) for t in states]
        state = states[0] if len(states) == 1 else tuple(states)
        out = op(input, state, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        if batched:
            return out
        return tuple(t.squeeze(0) for t in out) if isinstance(out, tuple) else out.squeeze(0)

    def extra_repr(self):
        out = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            out += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            out += f", nonlinearity={self.nonlinearity}"
        return out


class RNNCell(RNNCellBase):
    """A step of an Elman network: ``h' = f(x W_ih^T + b_ih + h W_hh^T + b_hh)``, f = tanh or relu.

    Args:
        input_size, hidden_size, bias, device, dtype: as of :class:`LSTMCell`.
        nonlinearity: "tanh" or "relu".

    Shape:
        x: (B, input_size) or (input_size,); h, zeros by default, and h': (B, hidden_size) or (hidden_size,).

    Raises:
        ValueError, RuntimeError: as :class:`LSTMCell`.

    >>> import tnn
    >>> tnn.nn.RNNCell(10, 20)(tnn.randn(3, 10)).shape
    tnn.Size([3, 20])
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        if hx is None and input.ndim in (1, 2):
            hx = creation.zeros((*input.shape[:-1], self.hidden_size), dtype=input.dtype)
        return self._one_step(getattr(ops, f"rnn_{self.nonlinearity}_cell"), input, [hx])


class LSTMCell(RNNCellBase):
    """A step of an LSTM (the equations stand at :class:`LSTM`).

    Weights and biases start uniform in ``[-k, k]``, ``k = 1 / sqrt(hidden_size)``.

    Args:
        input_size: size of x.
        hidden_size: size H of h and c.
        bias: whether there are b_ih and b_hh.
        device: the CPU, or None.
        dtype: of the parameters; the default dtype if None.

    Shape:
        x: (B, input_size) or (input_size,); hx = (h, c), zeros by default, and the result (h', c'): (B, H) or (H,).

    Attributes:
        weight_ih, weight_hh, bias_ih, bias_hh: (4 H, input_size), (4 H, H), (4 H,), (4 H,), the gates in the order
            i, f, g, o.

    Raises:
        ValueError: x or a state has more than two dimensions.
        RuntimeError: sizes or dtypes do not fit.

    >>> import tnn
    >>> h, c = tnn.nn.LSTMCell(10, 20)(tnn.randn(3, 10))
    >>> h.shape, c.shape
    (tnn.Size([3, 20]), tnn.Size([3, 20]))
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        if hx is not None and not isinstance(hx, (list, tuple)):
            kind = type(hx).__name__
            raise TypeError(f"lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, not {kind}")
        return self._one_step(ops.lstm_cell, input, [None, None] if hx is None else list(hx))


class GRUCell(RNNCellBase):
    """A step of gated recurrent units (the equations stand at :class:`GRU`).

    Args:
        input_size, hidden_size, bias, device, dtype: as of :class:`LSTMCell`.

    Shape:
        x: (B, input_size) or (input_size,); h, zeros by default, and h': (B, hidden_size) or (hidden_size,).

    Raises:
        ValueError, RuntimeError: as :class:`LSTMCell`.

    >>> import tnn
    >>> tnn.nn.GRUCell(10, 20)(tnn.randn(3, 10)).shape
    tnn.Size([3, 20])
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        return self._one_step(ops.gru_cell, input, [hx])
