"""Recurrent layers and cells: the checks of every layer, a plain reference, packed sequences, errors."""

import naive
import numpy as np
import pytest
from check_layer import LayerCase, check_layer

import tnn
from tnn import nn
from tnn.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence, unpack_sequence

X, H1 = (2, 3, 2), (1, 3, 3)


class Pair(nn.Module):
    """Calls a layer with its two states, and returns output and states side by side."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, h, c):
        y, (hn, cn) = self.layer(x, (h, c))
        return tnn.cat([y.reshape(-1), hn.reshape(-1), cn.reshape(-1)])


CASES = [
    LayerCase("rnn", lambda: nn.RNN(2, 3), (X, H1), double=True, empty=False),
    LayerCase("rnn_relu", lambda: nn.RNN(2, 3, 2, "relu", batch_first=True, bidirectional=True), (X,)),
    LayerCase("gru", lambda: nn.GRU(2, 3), (X, H1), double=True, empty=False),
    LayerCase("gru_bidirectional", lambda: nn.GRU(2, 3, 2, False, True, bidirectional=True), (X,)),
    LayerCase("lstm", lambda: nn.LSTM(2, 3), (X,), double=True, empty=False),
    LayerCase("lstm_bidirectional", lambda: nn.LSTM(2, 3, 2, batch_first=True, bidirectional=True), (X,)),
    LayerCase("lstm_projected", lambda: nn.LSTM(2, 3, bias=False, proj_size=2), (X,), double=True, empty=False),
    LayerCase("lstm_unbatched", lambda: nn.LSTM(2, 3), ((4, 2),), empty=False),
    LayerCase("lstm_states", lambda: Pair(nn.LSTM(2, 3)), (X, H1, H1), empty=False),
    LayerCase("rnn_cell", lambda: nn.RNNCell(2, 3, nonlinearity="relu"), ((2, 2), (2, 3))),
    LayerCase("gru_cell", lambda: nn.GRUCell(2, 3, bias=False), ((2, 2), (2, 3)), double=True),
    LayerCase("lstm_cell", lambda: nn.LSTMCell(2, 3), ((2, 2),), double=True),
    LayerCase("lstm_cell_unbatched", lambda: nn.LSTMCell(2, 3), ((2,),), empty=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


KINDS = {
    "tanh": lambda *a, **k: nn.RNN(*a, **k),
    "relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k),
    "gru": lambda *a, **k: nn.GRU(*a, **k),
    "lstm": lambda *a, **k: nn.LSTM(*a, **k),
}


def arrays_of(layer):
    """The weights by layer and direction, as the reference takes them."""
    directions = 2 if layer.bidirectional else 1
    groups = []
    for ws in layer.all_weights:
        w = [t.detach().numpy() for t in ws]
        biases = w[2:4] if layer.bias else [0.0, 0.0]
        groups.append((*w[:2], *biases, w[-1] if layer.proj_size else None))
    return [groups[i : i + directions] for i in range(0, len(groups), directions)]


def states_of(layer, batch, rng):
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    h = rng.standard_normal((rows, batch, layer.proj_size or layer.hidden_size))
    c = rng.standard_normal((rows, batch, layer.hidden_size))
    return h, c


def check_against_reference(kind, layer, lengths, rng, rtol=1e-10):
    """Runs a packed batch of these lengths and compares outputs and final states."""
    sequences = [rng.standard_normal((n, layer.input_size)) for n in lengths]
    h, c = states_of(layer, len(lengths), rng)
    hx = (tnn.tensor(h), tnn.tensor(c)) if kind == "lstm" else tnn.tensor(h)
    packed = pack_sequence([tnn.tensor(s) for s in sequences], enforce_sorted=False)
    out, state = layer(packed, hx)
    want, hn, cn = naive.recurrent(kind, sequences, arrays_of(layer), h, c)
    for got, one in zip(unpack_sequence(out), want, strict=True):
        np.testing.assert_allclose(got.detach().numpy(), one, rtol=rtol, atol=rtol)
    got = state if kind == "lstm" else (state,)
    for a, b in zip(got, (hn, cn), strict=False):
        np.testing.assert_allclose(a.detach().numpy(), b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_follow_the_reference(kind, bidirectional):
    tnn.manual_seed(0)
    options = {"proj_size": 4} if kind == "lstm" and bidirectional else {}
    layer = KINDS[kind](3, 5, num_layers=2, bidirectional=bidirectional, dtype=tnn.float64, **options)
    check_against_reference(kind, layer, [4, 7, 1, 7, 2], np.random.RandomState(0))


@pytest.mark.parametrize("kind", KINDS)
def test_many_rows_and_steps_follow_the_reference(kind):
    # wide enough for several tiles, chunks and packed panels, and for the inputs' products step by step
    tnn.manual_seed(0)
    layer = KINDS[kind](9, 37, bidirectional=True, dtype=tnn.float64)
    lengths = np.random.RandomState(1).randint(1, 10, 35).tolist()
    with tnn.no_grad():
        check_against_reference(kind, layer, lengths, np.random.RandomState(2))
    check_against_reference(kind, layer, lengths, np.random.RandomState(2))


def test_a_large_input_weight_is_applied_beforehand():
    tnn.manual_seed(0)
    layer = nn.LSTM(500, 40, dtype=tnn.float64)
    check_against_reference("lstm", layer, [5] * 8, np.random.RandomState(0))


@pytest.mark.parametrize("kind", KINDS)
def test_packed_gradients_equal_those_of_single_sequences(kind):
    tnn.manual_seed(0)
    layer = KINDS[kind](3, 17, num_layers=2, bidirectional=True, dtype=tnn.float64)
    rng = np.random.RandomState(0)
    lengths = [3, 6, 1, 5, 6, 2, 2, 4, 6]
    sequences = [tnn.tensor(rng.standard_normal((n, 3)), requires_grad=True) for n in lengths]

    def gradients(outputs):
        for t in (*sequences, *layer.parameters()):
            t.grad = None
        sum((o * o).sum() for o in outputs).backward()
        return [t.grad.numpy().copy() for t in (*sequences, *layer.parameters())]

    out, state = layer(pack_sequence(sequences, enforce_sorted=False))
    states = state if kind == "lstm" else (state,)
    together = gradients([*unpack_sequence(out), *states])
    singles = [layer(s) for s in sequences]
    states = [s for _, st in singles for s in (st if kind == "lstm" else (st,))]
    alone = gradients([*(o for o, _ in singles), *states])
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_second_derivatives_of_packed_sequences():
    tnn.manual_seed(0)
    layer = nn.GRU(2, 2, bidirectional=True, dtype=tnn.float64)
    data = tnn.tensor(np.random.RandomState(0).standard_normal((3, 2, 2)), requires_grad=True)

    def run(x):
        out, hn = layer(pack_padded_sequence(x, [3, 1]))
        return pad_packed_sequence(out)[0], hn

    assert tnn.autograd.gradcheck(run, (data,))
    assert tnn.autograd.gradgradcheck(run, (data,))


def test_batch_first_and_unbatched_input_mean_the_same():
    tnn.manual_seed(0)
    layer = nn.LSTM(3, 4, 2, bidirectional=True)
    x = tnn.randn(5, 2, 3)
    out, (hn, cn) = layer(x)
    layer.batch_first = True
    turned, (hn2, cn2) = layer(x.transpose(0, 1))
    np.testing.assert_array_equal(turned.detach().numpy(), out.detach().numpy().transpose(1, 0, 2))
    np.testing.assert_array_equal(hn2.detach().numpy(), hn.detach().numpy())
    layer.batch_first = False
    alone, (h1, c1) = layer(x[:, 1])
    assert alone.shape == (5, 8) and h1.shape == c1.shape == (4, 4)
    np.testing.assert_allclose(alone.detach().numpy(), out.detach().numpy()[:, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(c1.detach().numpy(), cn.detach().numpy()[:, 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["gru", "lstm", "tanh"])
def test_cells_repeat_to_the_layer(kind):
    tnn.manual_seed(0)
    layer = KINDS[kind](3, 4)
    cell = {"gru": nn.GRUCell, "lstm": nn.LSTMCell, "tanh": nn.RNNCell}[kind](3, 4)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x, state = tnn.randn(4, 2, 3), None
    out, _ = layer(x)
    for t in range(4):
        state = cell(x[t], state)
        h = state[0] if kind == "lstm" else state
        np.testing.assert_allclose(h.detach().numpy(), out[t].detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell])
def test_cells_of_many_sequences_are_those_of_few(kind, dtype):
    # Steps of 8 to 64 sequences have kernels of their own: sizes around vectors and panels, and two panels.
    for batch, inputs, size, bias in ((8, 3, 5, True), (33, 20, 40, True), (64, 16, 16, False), (40, 0, 9, True)):
        cell = kind(inputs, size, bias, dtype=getattr(tnn, dtype))
        rng = np.random.default_rng(batch)
        x, h, c = (rng.standard_normal((batch, n)).astype(dtype) for n in (inputs, size, size))

        def run(pieces, cell=cell, arrays=(x, h, c)):
            leaves = [tnn.tensor(a, requires_grad=True) for a in arrays]
            outs = []
            for part in zip(*(t.split(pieces) for t in leaves), strict=True):
                out = cell(part[0], tuple(part[1:]) if kind is nn.LSTMCell else part[1])
                outs.append(tnn.cat(out if kind is nn.LSTMCell else [out, part[2]], 1))
            out = tnn.cat(outs)
            cell.zero_grad()
            out.backward(tnn.tensor(np.linspace(-1, 1, out.numel()).reshape(out.shape).astype(dtype)))
            return [out.detach(), *(t.grad for t in leaves), *(p.grad for p in cell.parameters())]

        tolerance = 2e-5 if dtype == "float32" else 1e-12
        for got, expected in zip(run(batch), run(7), strict=True):
            np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=tolerance, atol=tolerance)
        with tnn.no_grad():
            state = (tnn.tensor(h), tnn.tensor(c)) if kind is nn.LSTMCell else tnn.tensor(h)
            out = cell(tnn.tensor(x), state)
        out = tnn.cat(out, 1) if kind is nn.LSTMCell else out
        np.testing.assert_array_equal(out.numpy(), run(batch)[0].numpy()[:, : out.shape[1]])


@pytest.mark.parametrize("kind", ["gru", "lstm", "tanh"])
def test_results_are_the_same_for_any_number_of_threads(kind):
    tnn.manual_seed(0)
    layer = KINDS[kind](40, 48, bidirectional=True)
    x = tnn.randn(10, 33, 40, requires_grad=True)
    before, results = tnn.get_num_threads(), []
    try:
        for threads in (1, 2):
            tnn.set_num_threads(threads)
            leaves = [x, *layer.parameters()]
            for t in leaves:
                t.grad = None
            out, _ = layer(x)
            (out * out).sum().backward()
            with tnn.no_grad():
                plain, _ = layer(x)
            results.append([out.detach().numpy(), plain.numpy(), *(t.grad.numpy().copy() for t in leaves)])
    finally:
        tnn.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(results[0][0], results[0][1])


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell])
def test_cells_are_the_same_for_any_number_of_threads(kind):
    tnn.manual_seed(0)
    cell = kind(70, 130)
    x, h, c = tnn.randn(40, 70, requires_grad=True), tnn.randn(40, 130), tnn.randn(40, 130)
    before, results = tnn.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            tnn.set_num_threads(threads)
            leaves = [x, *cell.parameters()]
            for t in leaves:
                t.grad = None
            out = cell(x, (h, c) if kind is nn.LSTMCell else h)
            out = tnn.cat(out, 1) if kind is nn.LSTMCell else out
            (out * out).sum().backward()
            results.append([out.detach().numpy(), *(t.grad.numpy().copy() for t in leaves)])
    finally:
        tnn.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_nan_stays_in_its_sequence():
    tnn.manual_seed(0)
    layer = nn.GRU(3, 20)
    x = tnn.randn(5, 9, 3)
    x[2, 4, 1] = float("nan")
    found = np.isnan(layer(x)[0].detach().numpy()).all(2)
    want = np.zeros((5, 9), bool)
    want[2:, 4] = True
    np.testing.assert_array_equal(found, want)


def test_large_gates_saturate():
    layer = nn.LSTM(1, 2, dtype=tnn.float64)
    out, (hn, cn) = layer(tnn.full((3, 1, 1), 1e300, dtype=tnn.float64))
    assert np.isfinite(out.detach().numpy()).all() and np.isfinite(cn.detach().numpy()).all()


# first and last element of each parameter: what the same seed gives in PyTorch 2.13
GOLDEN_LSTM = [
    -0.5724272, -0.5633684, -0.3684913, -0.13904, -0.080659, -0.2571374, 0.4097219, 0.475717, -0.2618977, 0.4827775,
    0.1315812, 0.2402857, 0.0611424, -0.2648675, 0.1561497, 0.3357049, -0.5432209, 0.5581023, -0.4108745, -0.4943255,
    0.4346456, 0.5042322, 0.5124503, 0.1840757, 0.4014411, 0.3981786, 0.1149822, 0.3850381, 0.4053865, 0.4674,
    0.3224627, -0.1309828, -0.1645531, -0.5315176, -0.0876436, -0.3391533, 0.059082, -0.3427826, 0.4527892, -0.5210513,
]  # fmt: skip
GOLDEN_CELL = [-0.5724272, 0.5186717, 0.401049, 0.29578, -0.1390865, 0.5101867, 0.370911, -0.4269832]
GOLDEN_DROPOUT = [-0.10328214, 0.2536023, -0.11090194, 0.40864438, -0.26140165, 0.4107103]
NAMES = "weight_ih weight_hh bias_ih bias_hh weight_hr".split()


def ends(module):
    return [v for p in module.parameters() for v in (p.flatten()[0].item(), p.flatten()[-1].item())]


def test_initial_values_and_names():
    tnn.manual_seed(3)
    layer = nn.LSTM(2, 3, 2, bidirectional=True, proj_size=2)
    np.testing.assert_allclose(ends(layer), GOLDEN_LSTM, atol=1e-6)
    assert list(layer.state_dict()) == [f"{n}_l{i}{s}" for i in (0, 1) for s in ("", "_reverse") for n in NAMES]
    shapes = [tuple(p.shape) for p in layer.all_weights[2]]
    assert shapes == [(12, 4), (12, 2), (12,), (12,), (2, 3)]
    tnn.manual_seed(3)
    np.testing.assert_allclose(ends(nn.GRUCell(2, 3)), GOLDEN_CELL, atol=1e-6)


def test_dropout_lies_between_the_layers():
    tnn.manual_seed(5)
    layer = nn.GRU(2, 2, 2, dropout=0.5)
    x = tnn.ones(3, 1, 2)
    tnn.manual_seed(6)
    out, _ = layer(x)
    # what the same seeds give in PyTorch 2.13
    np.testing.assert_allclose(out.detach().numpy().ravel(), GOLDEN_DROPOUT, rtol=1e-5)
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy())
    layer.train().dropout = 1.0
    assert np.isfinite(layer(x)[0].detach().numpy()).all()


def test_frozen_weights_get_no_gradient():
    layer = nn.LSTM(2, 3)
    layer.weight_hh_l0.requires_grad_(False)
    layer.bias_ih_l0.requires_grad_(False)
    layer(tnn.randn(4, 2, 2))[0].sum().backward()
    assert layer.weight_hh_l0.grad is None and layer.bias_ih_l0.grad is None
    assert layer.weight_ih_l0.grad.shape == (12, 2) and layer.bias_hh_l0.grad.abs().sum().item() > 0


def test_the_two_biases_have_gradients_of_their_own():
    layer = nn.RNN(2, 3)
    layer(tnn.randn(4, 2, 2))[0].sum().backward()
    layer.bias_ih_l0.grad.zero_()
    assert layer.bias_hh_l0.grad.abs().sum().item() > 0


def test_backward_twice_needs_a_retained_graph():
    layer = nn.GRU(2, 3)
    out = layer(tnn.randn(4, 2, 2))[0].sum()
    out.backward(retain_graph=True)
    first = layer.weight_hh_l0.grad.numpy().copy()
    out.backward()
    np.testing.assert_allclose(layer.weight_hh_l0.grad.numpy(), 2 * first, rtol=1e-6)
    with pytest.raises(RuntimeError, match="second time"):
        out.backward()


def test_a_changed_output_is_noticed():
    out, _ = nn.LSTM(2, 3)(tnn.randn(4, 2, 2))
    out.mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        out.sum().backward()


def test_repr():
    assert repr(nn.LSTM(3, 4, 2, False, True, 0.3, True, 2)) == (
        "LSTM(3, 4, proj_size=2, num_layers=2, bias=False, batch_first=True, dropout=0.3, bidirectional=True)"
    )
    assert repr(nn.RNN(3, 4, nonlinearity="relu")) == "RNN(3, 4)"
    assert repr(nn.RNNCell(3, 4, False, "relu")) == "RNNCell(3, 4, bias=False, nonlinearity=relu)"


def test_functions_take_padded_and_packed_input():
    tnn.manual_seed(0)
    layer = nn.LSTM(3, 4)
    x, h = tnn.randn(5, 2, 3), (tnn.zeros(1, 2, 4), tnn.zeros(1, 2, 4))
    weights = list(layer.parameters())
    want = layer(x)[0].detach().numpy()
    out, hn, cn = tnn.lstm(x, h, weights, True, 1, 0.0, False, False, False)
    np.testing.assert_array_equal(out.detach().numpy(), want)
    sizes = tnn.full((5,), 2, dtype=tnn.int64)
    out, hn, cn = tnn.lstm(x.reshape(10, 3), sizes, h, weights, True, 1, 0.0, False, False)
    np.testing.assert_array_equal(out.detach().numpy(), want.reshape(10, 4))
    gru = nn.GRU(3, 4, bias=False)
    out, hn = tnn.gru(x, h[0], list(gru.parameters()), False, 1, 0.0, False, False, False)
    np.testing.assert_array_equal(out.detach().numpy(), gru(x)[0].detach().numpy())


def lstm(*args):
    return nn.LSTM(3, 4)(*args)


def gru(*args):
    return nn.GRU(3, 4)(*args)


def zeros(*shape):
    return tnn.zeros(*shape)


@pytest.mark.parametrize(
    "call,error,message",
    [
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "smaller than hidden_size"),
        (lambda: nn.LSTM(3, 4, proj_size=-1), ValueError, "proj_size should be"),
        (lambda: nn.GRU(3, 4, proj_size=2), ValueError, "only supported for LSTM"),
        (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError, "Unknown nonlinearity"),
        (lambda: nn.LSTM(3, 4, dropout=1.5), ValueError, "dropout should be a number"),
        (lambda: nn.LSTM(3, 4, dropout=True), ValueError, "dropout should be a number"),
        (lambda: nn.LSTM(3, 4, bias=1), TypeError, "bias should be of type bool"),
        (lambda: nn.LSTM(3.0, 4), TypeError, "input_size should be of type int"),
        (lambda: nn.LSTM(3, 0), ValueError, "hidden_size must be greater than zero"),
        (lambda: nn.LSTM(3, 4, 0), ValueError, "num_layers must be greater than zero"),
        (lambda: lstm(zeros(3)), ValueError, "LSTM: Expected input to be 2D or 3D"),
        (lambda: lstm(zeros(5, 2, 2)), RuntimeError, "must be equal to input_size. Expected 3, got 2"),
        (lambda: lstm(zeros(0, 2, 3)), RuntimeError, "sequence length to be larger than 0"),
        (lambda: lstm(zeros(5, 2, 3).double()), ValueError, "does not match weight dtype"),
        (lambda: lstm(zeros(5, 2, 3), (zeros(1, 3, 4), zeros(1, 2, 4))), RuntimeError, r"hidden\[0\] size"),
        (lambda: lstm(zeros(5, 2, 3), (zeros(1, 2, 4), zeros(1, 2, 3))), RuntimeError, r"hidden\[1\] size"),
        (lambda: lstm(zeros(5, 3), (zeros(1, 1, 4), zeros(1, 1, 4))), RuntimeError, "should also be 2-D"),
        (lambda: lstm(zeros(5, 2, 3), (zeros(1, 2, 4), zeros(1, 2, 4).double())), RuntimeError, "same dtype"),
        (lambda: lstm(zeros(5, 2, 3), zeros(2, 1, 2, 4)), TypeError, "tuple of Tensors"),
        (lambda: gru(zeros(5, 2, 3), zeros(2, 4)), RuntimeError, "should also be 3-D"),
        (lambda: gru(zeros(5, 2, 3), zeros(1, 3, 4)), RuntimeError, "Expected hidden size"),
        (lambda: gru(pack_sequence([zeros(3)])), RuntimeError, "input must have 2 dimensions"),
        (lambda: gru(pack_sequence([zeros(3, 3)]), zeros(1, 2, 4)), RuntimeError, "Expected hidden size"),
        (lambda: nn.LSTMCell(3, 4)(zeros(2, 3, 1)), ValueError, "Expected input to be 1D or 2D"),
        (lambda: nn.LSTMCell(3, 4)(zeros(2, 3), (zeros(2, 4), zeros(1, 1, 4))), ValueError, r"hx\[1\]"),
        (lambda: nn.LSTMCell(3, 4)(zeros(2, 2)), RuntimeError, "inconsistent input_size: got 2 expected 3"),
        (lambda: nn.LSTMCell(3, 4)(zeros(2, 3), (zeros(2, 4), zeros(3, 4))), RuntimeError, "hidden1 batch size 3"),
        (lambda: nn.LSTMCell(3, 4)(zeros(2, 3), zeros(2, 4)), TypeError, "tuple of Tensors"),
        (lambda: nn.GRUCell(3, 4)(zeros(2, 3), zeros(2, 5)), RuntimeError, "hidden0 has inconsistent hidden_size"),
        (lambda: nn.GRUCell(3, 4)(zeros(2, 3), zeros(2, 4).double()), RuntimeError, "same dtype"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="x")(zeros(2, 3)), RuntimeError, "Unknown nonlinearity"),
        (lambda: tnn.rnn_tanh_cell(zeros(2, 3), zeros(2, 4), zeros(3, 3), zeros(4, 4)), RuntimeError, "weight_ih"),
        (lambda: tnn.lstm_cell(zeros(2, 3), (zeros(2, 4),), zeros(16, 3), zeros(16, 4)), RuntimeError, "two hidden"),
        (lambda: tnn.gru(zeros(2, 3, 3), zeros(1, 3, 4), [zeros(12, 3)], False, 1, 0.0, False, False, False),
         RuntimeError, "number of RNN parameters"),
        (lambda: tnn.gru(zeros(2, 3, 3), zeros(1, 3, 4), [zeros(12, 3), zeros(12, 5)], False, 1, 0.0, False, False,
                         False),
         RuntimeError, "Expected hidden size"),
        (lambda: tnn.rnn_relu(zeros(3, 3), tnn.tensor([1, 2]), zeros(1, 1, 4), [zeros(4, 3), zeros(4, 4)], False, 1,
                              0.0, False, False), RuntimeError, "must not grow"),
    ],
)  # fmt: skip
def test_bad_arguments_raise(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_dropout_of_one_layer_warns():
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        nn.GRU(3, 4, dropout=0.5)
