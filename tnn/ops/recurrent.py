"""Recurrent networks of several layers, and single steps of them (cells)."""

import numpy as np

from ..autograd.autocast import active, casts, is_autocast_enabled, run
from ..tensor import Tensor
from ._common import F32, F64, HALF, check_tensor
from .dropout import dropout as drop
from .joining import cat
from .recurrent_layer import Gru, Lstm, RnnRelu, RnnTanh, weight_shapes

KINDS = {"LSTM": Lstm, "GRU": Gru, "RNN_TANH": RnnTanh, "RNN_RELU": RnnRelu}


def _check_dtypes(function, input, *tensors):
    d = input._data.dtype
    if d not in HALF and d != F32 and d != F64:
        raise NotImplementedError(f"\"{function}\" not implemented for '{input.dtype.torch_name}'")
    for t in tensors:
        if t is not None and t._data.dtype is not d and t._data.dtype != d:
            raise RuntimeError(
                f"{function}: mat1 and mat2 must have the same dtype, but got {input.dtype.torch_name} and "
                f"{t.dtype.torch_name}"
            )


def _check_weights(function, kind, group, inputs, hidden, out):
    """Raises RuntimeError unless a direction's five weights have their shapes."""
    for name, t, shape in zip(
        ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"), group,
        weight_shapes(kind.gates, inputs, hidden, out), strict=True,
    ):  # fmt: skip
        if t is not None and t._data.shape != shape:
            raise RuntimeError(f"{function}: expected {name} of shape {list(shape)}, got {list(t._data.shape)}")


def _groups(function, params, has_biases, num_layers, directions, cell):
    """The parameters as a tuple of five for each layer and direction."""
    count = num_layers * directions
    each = len(params) // count if count > 0 else 0
    base = 4 if has_biases else 2
    if count <= 0 or len(params) != each * count or each not in ((base, base + 1) if cell else (base,)):
        raise RuntimeError(
            f"{function}: got an incorrect number of RNN parameters: {len(params)} for {num_layers} layers and "
            f"{directions} directions"
        )
    out = []
    for i in range(0, len(params), each):
        p = list(params[i : i + each])
        w_hr = p.pop() if each > base else None
        out.append((p[0], p[1], p[2] if has_biases else None, p[3] if has_biases else None, w_hr))
    return out


def _check_state(function, name, t, shape):
    if t is not None and t._data.shape != shape:
        raise RuntimeError(f"{function}: Expected {name} size {shape}, got {list(t._data.shape)}")


def starts_of(batch_sizes, rows):
    """First row of each step, and the number of rows, from a packed sequence's batch sizes.

    Raises:
        RuntimeError: the sizes are not positive and falling, or do not add up to the rows.
    """
    sizes = batch_sizes._data if isinstance(batch_sizes, Tensor) else np.asarray(batch_sizes)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu":
        raise RuntimeError(f"batch_sizes must be a 1-D tensor of integers, got {batch_sizes!r}")
    if not len(sizes):
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    if (sizes <= 0).any() or (sizes[1:] > sizes[:-1]).any() or sizes.sum() != rows:
        raise RuntimeError(
            f"batch_sizes must be positive, must not grow, and must add up to the number of rows of the data, {rows}; "
            f"got {sizes.tolist()}"
        )
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def network(
    function, kind, input, batch_sizes, hx, groups, num_layers, dropout, train, bidirectional, batch_first
):  # fmt: skip
    """What rnn_tanh, rnn_relu, lstm and gru run.

    Args:
        function: the name for messages.
        kind: a class of KINDS.
        input: (T, B, inputs), or (B, T, inputs) if ``batch_first``; with ``batch_sizes`` (rows, inputs).
        batch_sizes: a packed sequence's, or None.
        hx: (h0, c0), each of them a tensor or None.
        groups: five weights for each layer and direction, None where there is none.

    Returns:
        [y, hn] or [y, hn, cn].
    """
    if active.n and is_autocast_enabled():
        args = function, kind, input, batch_sizes, hx, groups, num_layers, dropout, train, bidirectional, batch_first
        return run("first" if kind is Gru else "lower", network, args, {})
    h0, c0 = hx
    _check_dtypes(function, input, h0, c0, *(t for g in groups for t in g))
    half = input.dtype if input._data.dtype in HALF else None
    if half is not None:
        input, h0, c0 = (None if t is None else t.float() for t in (input, h0, c0))
        groups = [tuple(None if t is None else t.float() for t in g) for g in groups]
    if batch_sizes is None and batch_first:
        input = input.transpose(0, 1)
    shape = input._data.shape
    if batch_sizes is None:
        if shape[0] == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        starts = np.arange(shape[0] + 1, dtype=np.int64) * shape[1]
    else:
        starts = starts_of(batch_sizes, shape[0])
    directions = 2 if bidirectional else 1
    w_hh = groups[0][1]._data
    hidden, out = w_hh.shape[0] // kind.gates, w_hh.shape[1]
    batch = int(starts[1])
    _check_state(function, "hidden[0]" if kind.has_cell else "hidden", h0, (num_layers * directions, batch, out))
    _check_state(function, "hidden[1]", c0, (num_layers * directions, batch, hidden))
    if groups[0][4] is None and out != hidden:
        raise RuntimeError(f"{function}: expected weight_hh of {hidden} columns, got {list(w_hh.shape)}")
    states = []
    for layer in range(num_layers):
        a, b = layer * directions, (layer + 1) * directions
        if layer and dropout and train:
            input = drop(input, dropout, True)
        for group in groups[a:b]:
            _check_weights(function, kind, group, input._data.shape[-1], hidden, out)
        first = [t if t is None or num_layers == 1 else t[a:b] for t in (h0, c0)]
        input, *state = kind.run(input, starts, *first, groups[a:b])
        states.append(state)
    outs = [input]
    if batch_sizes is None and batch_first:
        outs[0] = input.transpose(0, 1)
    outs += states[0] if num_layers == 1 else [cat(parts) for parts in zip(*states, strict=True)]
    return outs if half is None else [t.to(half) for t in outs]


def _check_list(function, argument, values):
    if not isinstance(values, list | tuple):
        raise TypeError(f"{function}(): argument '{argument}' must be tuple of Tensors, not {type(values).__name__}")
    for i, t in enumerate(values):
        check_tensor(function, f"{argument}[{i}]", t)


def _several_layers(function, kind, args):
    """Sorts out the arguments of a padded and of a packed call, and runs the network."""
    if len(args) != 9:
        raise TypeError(f"{function}() takes 9 arguments but {len(args)} were given")
    packed = isinstance(args[1], Tensor) and not isinstance(args[2], (list, tuple)) or (
        kind.has_cell and isinstance(args[1], Tensor)
    )  # fmt: skip
    if packed:
        input, sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional = args
        batch_first = False
    else:
        input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first = args
        sizes = None
    check_tensor(function, "data" if packed else "input", input, 1)
    _check_list(function, "params", params)
    if kind.has_cell:
        _check_list(function, "hx", hx)
    if input._data.ndim != (2 if packed else 3):
        raise RuntimeError(f"input must have {2 if packed else 3} dimensions, got {input._data.ndim}")
    if kind.has_cell:
        if len(hx) != 2:
            raise RuntimeError(f"{function} expects two hidden states, got {len(hx)}")
    else:
        check_tensor(function, "hx", hx)
        hx = (hx, None)
    groups = _groups(function, params, has_biases, num_layers, 2 if bidirectional else 1, kind.has_cell)
    return tuple(
        network(function, kind, input, sizes, hx, groups, num_layers, dropout, train, bidirectional, batch_first)
    )


def lstm(*args):
    """Layers of long short-term memory: see :class:`tnn.nn.LSTM`, which also gives the equations.

    Args:
        args: ``input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first`` for padded
            sequences, or ``data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional`` for
            packed ones; ``hx`` is (h0, c0), ``params`` the list of weights in the module's order.

    Returns:
        (output, hn, cn): (L, N, D hidden) or (N, L, D hidden), and (D layers, N, hidden) twice.

    Raises:
        TypeError: there are not nine arguments, or one that is to be a tensor is not.
        RuntimeError: shapes, dtypes or batch sizes do not fit.
    """
    return _several_layers("lstm", Lstm, args)


def gru(*args):
    """Layers of gated recurrent units: see :class:`tnn.nn.GRU`, which also gives the equations.

    Args:
        args: ``input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first`` for padded
            sequences, or ``data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional`` for
            packed ones; ``hx`` is h0, ``params`` the list of weights in the module's order.

    Returns:
        (output, hn): (L, N, D hidden) or (N, L, D hidden), and (D layers, N, hidden).

    Raises:
        TypeError: there are not nine arguments, or one that is to be a tensor is not.
        RuntimeError: shapes, dtypes or batch sizes do not fit.
    """
    return _several_layers("gru", Gru, args)


def rnn_tanh(*args):
    """Layers of an Elman network with tanh: see :class:`tnn.nn.RNN`, which also gives the equations.

    Args:
        args: ``input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first`` for padded
            sequences, or ``data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional`` for
            packed ones; ``hx`` is h0, ``params`` the list of weights in the module's order.

    Returns:
        (output, hn): (L, N, D hidden) or (N, L, D hidden), and (D layers, N, hidden).

    Raises:
        TypeError: there are not nine arguments, or one that is to be a tensor is not.
        RuntimeError: shapes, dtypes or batch sizes do not fit.
    """
    return _several_layers("rnn_tanh", RnnTanh, args)


def rnn_relu(*args):
    """Layers of an Elman network with relu: see :class:`tnn.nn.RNN`, which also gives the equations.

    Args:
        args: ``input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first`` for padded
            sequences, or ``data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional`` for
            packed ones; ``hx`` is h0, ``params`` the list of weights in the module's order.

    Returns:
        (output, hn): (L, N, D hidden) or (N, L, D hidden), and (D layers, N, hidden).

    Raises:
        TypeError: there are not nine arguments, or one that is to be a tensor is not.
        RuntimeError: shapes, dtypes or batch sizes do not fit.
    """
    return _several_layers("rnn_relu", RnnRelu, args)


# ---------------------------------------------------------------- cells


def _check_cell_state(number, input, t, hidden):
    shape = t._data.shape
    if len(shape) != 2:
        raise RuntimeError(f"hidden{number} must have 2 dimensions, got shape {list(shape)}")
    if shape[0] != input._data.shape[0]:
        raise RuntimeError(
            f"Input batch size {input._data.shape[0]} doesn't match hidden{number} batch size {shape[0]}"
        )
    if shape[1] != hidden:
        raise RuntimeError(f"hidden{number} has inconsistent hidden_size: got {shape[1]}, expected {hidden}")


def _cell(function, kind, input, hx, w_ih, w_hh, b_ih, b_hh):
    """One step; ``hx`` is (h, c), each of them a tensor or None for zeros."""
    for name, t in (("input", input), ("w_ih", w_ih), ("w_hh", w_hh)):
        check_tensor(function, name, t)
        if t._data.ndim != 2:
            raise RuntimeError(f"{function}: {name} must have 2 dimensions, got shape {list(t._data.shape)}")
    if input._data.shape[1] != w_ih._data.shape[1]:
        raise RuntimeError(
            f"input has inconsistent input_size: got {input._data.shape[1]} expected {w_ih._data.shape[1]}"
        )
    hidden = w_hh._data.shape[1]
    for number, t in enumerate(hx):
        if t is not None:
            check_tensor(function, "hx", t)
            _check_cell_state(number, input, t, hidden)
    group = w_ih, w_hh, b_ih, b_hh, None
    _check_dtypes(function, input, *hx, *group)
    _check_weights(function, kind, group, input._data.shape[1], hidden, hidden)
    half = input.dtype if input._data.dtype in HALF else None
    if half is not None:
        input, h, c, *group = (None if t is None else t.float() for t in (input, *hx, *group))
        hx = h, c
    starts = np.array([0, input._data.shape[0]], np.int64)
    outs = kind.run(input, starts, *hx, [tuple(group)], cell=True)
    return outs if half is None else tuple(t.to(half) for t in outs)


@casts("first")
def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an LSTM: see :class:`tnn.nn.LSTMCell`.

    Args:
        input: (B, inputs).
        hx: the pair (h, c), each (B, hidden).
        w_ih, w_hh: (4 hidden, inputs) and (4 hidden, hidden), the gates in the order i, f, g, o.
        b_ih, b_hh: (4 hidden,), or None.

    Returns:
        The pair of new states.

    Raises:
        TypeError: ``hx`` is not a pair of tensors.
        RuntimeError: shapes or dtypes do not fit.
    """
    if not isinstance(hx, tuple) or any(t is not None for t in hx):  # None stands for zeros
        _check_list("lstm_cell", "hx", hx)
    if len(hx) != 2:
        raise RuntimeError(f"lstm_cell expects two hidden states, got {len(hx)}")
    return _cell("lstm_cell", Lstm, input, tuple(hx), w_ih, w_hh, b_ih, b_hh)


@casts("first")
def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of gated recurrent units: see :class:`tnn.nn.GRUCell`, which also gives the equations.

    Args:
        input: (B, inputs), floating point.
        hx: (B, hidden), of the same dtype.
        w_ih, w_hh: (3 hidden, inputs) and (3 hidden, hidden), the gates in the order r, z, n.
        b_ih, b_hh: (3 hidden,), or None.

    Shape:
        output (B, hidden).

    Raises:
        TypeError: an argument is not a tensor.
        RuntimeError: shapes or dtypes do not fit.
    """
    return _cell("gru_cell", Gru, input, (hx, None), w_ih, w_hh, b_ih, b_hh)[0]


@casts("lower")
def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """``tanh(input W_ih^T + b_ih + hx W_hh^T + b_hh)``: see :class:`tnn.nn.RNNCell`.

    Args:
        input: (B, inputs), floating point.
        hx: (B, hidden), of the same dtype.
        w_ih, w_hh: (hidden, inputs) and (hidden, hidden).
        b_ih, b_hh: (hidden,), or None.

    Shape:
        output (B, hidden).

    Raises:
        TypeError: an argument is not a tensor.
        RuntimeError: shapes or dtypes do not fit.
    """
    check_tensor("rnn_tanh_cell", "hx", hx, 2)
    return _cell("rnn_tanh_cell", RnnTanh, input, (hx, None), w_ih, w_hh, b_ih, b_hh)[0]


@casts("lower")
def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """``relu(input W_ih^T + b_ih + hx W_hh^T + b_hh)``: see :class:`tnn.nn.RNNCell`.

    Args:
        input: (B, inputs), floating point.
        hx: (B, hidden), of the same dtype.
        w_ih, w_hh: (hidden, inputs) and (hidden, hidden).
        b_ih, b_hh: (hidden,), or None.

    Shape:
        output (B, hidden).

    Raises:
        TypeError: an argument is not a tensor.
        RuntimeError: shapes or dtypes do not fit.
    """
    check_tensor("rnn_relu_cell", "hx", hx, 2)
    return _cell("rnn_relu_cell", RnnRelu, input, (hx, None), w_ih, w_hh, b_ih, b_hh)[0]
