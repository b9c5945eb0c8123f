"""Packed and padded sequences."""

import numpy as np
import pytest

import tnn
from tnn.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)


def test_packing_goes_step_by_step():
    x = tnn.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    packed = pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False)
    assert packed.data.tolist() == [4, 1, 3, 5, 2, 6]
    assert packed.batch_sizes.tolist() == [3, 2, 1] and packed.batch_sizes.dtype is tnn.int64
    assert packed.sorted_indices.tolist() == [2, 0, 1] and packed.unsorted_indices.tolist() == [1, 2, 0]
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    assert padded.tolist() == x.tolist() and lengths.tolist() == [2, 1, 3]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[4, 2, 2, 1], [1, 4, 3, 4]])
def test_padding_undoes_packing(batch_first, lengths):
    x = np.random.RandomState(0).standard_normal((5, 4, 2, 3))
    given = tnn.tensor(x.swapaxes(0, 1).copy() if batch_first else x)
    ordered = lengths == sorted(lengths, reverse=True)
    packed = pack_padded_sequence(given, tnn.tensor(lengths), batch_first, enforce_sorted=ordered)
    assert packed.data.shape == (sum(lengths), 2, 3)
    assert (packed.sorted_indices is None) == ordered
    out, n = pad_packed_sequence(packed, batch_first, padding_value=-7.0, total_length=6)
    want = np.full((6, 4, 2, 3), -7.0)
    for i, length in enumerate(lengths):
        want[:length, i] = x[:length, i]
    np.testing.assert_array_equal(out.numpy(), want.swapaxes(0, 1) if batch_first else want)
    assert n.tolist() == lengths


def test_gradients_pass_through():
    x = tnn.tensor(np.random.RandomState(0).standard_normal((3, 3, 2)), requires_grad=True)

    def run(x):
        packed = pack_padded_sequence(x, [1, 3, 2], enforce_sorted=False)
        return pad_packed_sequence(packed._replace(data=packed.data * packed.data))[0]

    assert tnn.autograd.gradcheck(run, (x,))
    a, b = tnn.ones(2, requires_grad=True), tnn.ones(3, requires_grad=True)
    (pad_sequence([a, b]) * tnn.arange(6.0).reshape(3, 2)).sum().backward()
    assert a.grad.tolist() == [0, 2] and b.grad.tolist() == [1, 3, 5]


def test_pad_sequence():
    a, b = tnn.tensor([1, 2, 3]), tnn.tensor([4])
    assert pad_sequence([a, b]).tolist() == [[1, 4], [2, 0], [3, 0]]
    assert pad_sequence((s for s in (a, b)), True, 9, "left").tolist() == [[1, 2, 3], [9, 9, 4]]
    assert pad_sequence([tnn.ones(0, 2), tnn.ones(2, 2)]).tolist() == [[[0, 0], [1, 1]]] * 2
    assert pad_sequence([tnn.ones(2), tnn.ones(1, dtype=tnn.float64)]).dtype is tnn.float32


def test_sequences_survive_a_round_trip():
    rng = np.random.RandomState(0)
    sequences = [tnn.tensor(rng.standard_normal((n, 2))) for n in (3, 1, 5)]
    for got in (
        unpack_sequence(pack_sequence(sequences, enforce_sorted=False)),
        unpad_sequence(pad_sequence(sequences), tnn.tensor([3, 1, 5])),
    ):
        for a, b in zip(got, sequences, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_permutations_are_inverted():
    assert invert_permutation(None) is None
    assert invert_permutation(tnn.tensor([2, 0, 1])).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    "method,dtype",
    [("double", "float64"), ("half", "float16"), ("long", "int64"), ("int", "int32"), ("short", "int16"),
     ("char", "int8"), ("byte", "uint8")],
)  # fmt: skip
def test_conversions(method, dtype):
    packed = pack_sequence([tnn.ones(3), tnn.ones(2)])
    other = getattr(packed, method)()
    assert isinstance(other, PackedSequence) and other.data.dtype is getattr(tnn, dtype)
    assert other.batch_sizes is packed.batch_sizes


def test_nothing_to_convert_returns_the_same():
    packed = pack_sequence([tnn.ones(3), tnn.ones(2)])
    assert packed.float() is packed and packed.cpu() is packed and packed.to(tnn.float32) is packed
    assert not packed.is_cuda and not packed.is_pinned()
    with pytest.raises((RuntimeError, AssertionError)):
        packed.cuda()


def test_a_pair_makes_a_packed_sequence():
    data, sizes = tnn.ones(3), tnn.tensor([2, 1])
    packed = PackedSequence((data, sizes))
    assert packed.data is data and packed.batch_sizes is sizes and packed[2:] == (None, None)


X = tnn.zeros(4, 3, 2)


@pytest.mark.parametrize(
    "call,error,message",
    [
        (lambda: pack_padded_sequence(X, [4, 2, 3]), RuntimeError, "decreasing order"),
        (lambda: pack_padded_sequence(X, [4, 2, 0]), RuntimeError, "greater than 0"),
        (lambda: pack_padded_sequence(X, [4, 2]), RuntimeError, "got 2 .batch_size=3"),
        (lambda: pack_padded_sequence(X, [5, 2, 1]), RuntimeError, "only 4 steps"),
        (lambda: pack_padded_sequence(X, tnn.tensor([[3, 2, 1]])), RuntimeError, "1D"),
        (lambda: pack_padded_sequence(tnn.zeros(3), [3]), IndexError, "at least 2 dimensions"),
        (lambda: pack_padded_sequence(tnn.zeros(3, 0, 2), []), RuntimeError, "empty"),
        (lambda: pad_packed_sequence(pack_sequence([tnn.ones(2)]), total_length=1), ValueError, "total_length=1"),
        (lambda: pad_sequence([]), RuntimeError, "empty list"),
        (lambda: pad_sequence(3), RuntimeError, "iterable"),
        (lambda: pad_sequence([tnn.ones(2, 3), tnn.ones(1, 4)]), RuntimeError, "alike"),
        (lambda: pad_sequence([tnn.tensor(1.0)]), RuntimeError, "at least one dimension"),
        (lambda: pad_sequence([tnn.ones(2)], padding_side="top"), RuntimeError, "left or right"),
        (lambda: pack_sequence([]), RuntimeError, "empty list"),
        (lambda: pack_sequence([tnn.ones(2), tnn.ones(3)]), RuntimeError, "decreasing order"),
        (lambda: unpad_sequence(tnn.ones(3, 2), tnn.tensor([3, 2, 1])), ValueError, "3 lengths for 2"),
        (lambda: PackedSequence(tnn.ones(3)), AssertionError, "length 2"),
    ],
)
def test_bad_arguments_raise(call, error, message):
    with pytest.raises(error, match=message):
        call()
