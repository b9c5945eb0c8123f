"""Sequences of several lengths: packed (no padding stored) and padded."""

import functools
from collections import namedtuple
from collections.abc import Iterable

import numpy as np

from ...ops.sequences import padded
from ...tensor import Tensor, wrap

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

PackedSequence_ = namedtuple("PackedSequence_", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])
PackedSequence_.__doc__ = """The fields of a PackedSequence.

Args:
    data, batch_sizes, sorted_indices, unsorted_indices: see :class:`PackedSequence`.
"""


class PackedSequence(PackedSequence_):
    """A batch of sequences without padding, step by step: what all recurrent layers take.

    Of the sequences ``abc`` and ``x``, the data is ``axbc`` and the batch sizes are [2, 1, 1]. Made by
    :func:`pack_padded_sequence` and :func:`pack_sequence`, seldom by hand.

    Args:
        data, batch_sizes, sorted_indices, unsorted_indices: the attributes below; or the pair (data, batch_sizes) as
            the first.

    Attributes:
        data: (rows, ...), of any dtype.
        batch_sizes: (steps,), int64: how many sequences each step has.
        sorted_indices: (batch,), int64: which sequence stands where, the longest first; None if they came sorted.
        unsorted_indices: the inverse permutation, or None.

    Raises:
        AssertionError: without ``batch_sizes``, ``data`` is not a pair (data, batch_sizes).
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs):
        """A packed sequence whose data is converted as by :meth:`tnn.Tensor.to`; this one if nothing changes."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def pin_memory(self):
        """A copy with the data and the indices pinned, as by :meth:`tnn.Tensor.pin_memory`."""
        indices = (None if t is None else t.pin_memory() for t in self[2:])
        return type(self)(self.data.pin_memory(), self.batch_sizes, *indices)

    def cuda(self, *args, **kwargs):
        """Raises RuntimeError, since tnn runs on the CPU."""
        return self.to(*args, **{"device": "cuda", **kwargs})

    def cpu(self, *args, **kwargs):
        """This packed sequence, converted as by :meth:`to`."""
        return self.to(*args, **{"device": "cpu", **kwargs})

    def double(self):
        """With data of dtype float64."""
        return self._as("float64")

    def float(self):
        """With data of dtype float32."""
        return self._as("float32")

    def half(self):
        """With data of dtype float16."""
        return self._as("float16")

    def long(self):
        """With data of dtype int64."""
        return self._as("int64")

    def int(self):
        """With data of dtype int32."""
        return self._as("int32")

    def short(self):
        """With data of dtype int16."""
        return self._as("int16")

    def char(self):
        """With data of dtype int8."""
        return self._as("int8")

    def byte(self):
        """With data of dtype uint8."""
        return self._as("uint8")

    def _as(self, name):
        from ... import dtypes

        return self.to(dtype=getattr(dtypes, name))

    @property
    def is_cuda(self):
        """False."""
        return self.data.is_cuda

    def is_pinned(self):
        """Whether the data is pinned memory: False on a CPU."""
        return self.data.is_pinned()


def invert_permutation(permutation):
    """The permutation that undoes ``permutation``, an int64 tensor (or None, which stays None).

    Args:
        permutation: (n,), each number from 0 to n - 1 once, or None.
    """
    if permutation is None:
        return None
    p = permutation._data
    out = np.empty(p.shape, p.dtype)
    out[p] = np.arange(p.size, dtype=p.dtype)
    return wrap(out)


def _lengths(lengths):
    d = np.asarray(lengths._data if isinstance(lengths, Tensor) else lengths)
    if d.ndim != 1:
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got shape {list(d.shape)}")
    return d.astype(np.int64)


@functools.lru_cache(64)
def _positions(sizes, batch, steps, batch_first):
    """For each row of packed data, the row of the padded batch, both dimensions made one, that it belongs to; sizes: of
    the batch at each step, int64, as bytes. Made once for the same lengths: that takes longer than to move 320 rows."""
    sizes = np.frombuffer(sizes, np.int64)
    step = np.repeat(np.arange(len(sizes)), sizes)
    sequence = np.concatenate([np.arange(n) for n in sizes])
    return wrap(sequence * steps + step if batch_first else step * batch + sequence)


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Packs a padded batch.

    Args:
        input: the padded sequences.
        lengths: of each sequence: a list, or a 1-D tensor of integers.
        batch_first: the input's first dimension is the batch.
        enforce_sorted: the sequences come sorted by length, the longest first; otherwise they are sorted here.

    Shape:
        (T, B, ...), or (B, T, ...) if ``batch_first``.

    Returns:
        A :class:`PackedSequence`.

    Raises:
        RuntimeError: a length is not positive or above T, their number is not B, or they are not sorted.
        IndexError: the input has fewer than two dimensions.

    >>> import tnn
    >>> from tnn.nn.utils.rnn import pack_padded_sequence
    >>> packed = pack_padded_sequence(tnn.tensor([[1, 2, 0], [3, 0, 0]]), [2, 1], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (tensor([1, 3, 2]), tensor([2, 1]))
    """
    lengths = _lengths(lengths)
    order = None
    if not enforce_sorted:
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
    shape = input._data.shape
    if len(shape) < 2:
        raise IndexError(f"pack_padded_sequence: input must have at least 2 dimensions, got shape {list(shape)}")
    if not input._data.size and 0 in shape[:2]:
        raise RuntimeError("Cannot pack empty tensors.")
    batch, steps = shape[:2] if batch_first else shape[1::-1]
    if len(lengths) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} (batch_size={batch})"
        )
    if (lengths <= 0).any():
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if (lengths[1:] > lengths[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement."
        )
    if lengths[0] > steps:
        raise RuntimeError(f"pack_padded_sequence: a length is {lengths[0]}, but the input has only {steps} steps")
    sizes = (lengths[None] > np.arange(lengths[0])[:, None]).sum(1)
    rows = _positions(sizes.tobytes(), batch, steps, bool(batch_first))
    if order is not None:
        step, sequence = (rows._data % steps, rows._data // steps) if batch_first else divmod(rows._data, batch)
        sequence = order[sequence]
        rows = wrap(sequence * steps + step if batch_first else step * batch + sequence)
    data = input.reshape(batch * steps, *shape[2:]).index_select(0, rows)
    return PackedSequence(data, wrap(sizes), None if order is None else wrap(order))


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """Undoes :func:`pack_padded_sequence`.

    Args:
        sequence: a PackedSequence.
        batch_first: return (B, T, ...) and not (T, B, ...).
        padding_value: for the elements past a sequence's end.
        total_length: T, at least the longest sequence's length, which it is by default.

    Returns:
        The padded batch, in the original order, and an int64 tensor with the lengths.

    Raises:
        ValueError: ``total_length`` is too small.
    """
    sizes = sequence.batch_sizes._data
    longest = len(sizes)
    steps = longest if total_length is None else total_length
    if steps < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    batch = int(sizes[0])
    lengths = (sizes[:, None] > np.arange(batch)).sum(0)
    data = sequence.data
    rows = _positions(sizes.astype(np.int64).tobytes(), batch, steps, bool(batch_first))
    out = data.new_full((batch * steps, *data.shape[1:]), padding_value).index_copy(0, rows, data)
    out = out.reshape(*((batch, steps) if batch_first else (steps, batch)), *data.shape[1:])
    lengths = wrap(lengths)
    if sequence.unsorted_indices is not None:
        out = out.index_select(0 if batch_first else 1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices]
    return out, lengths


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Joins sequences of several lengths into a padded batch.

    Args:
        sequences: tensors (L_i, ...) of one dtype, alike but for their first dimension.
        batch_first: return (B, T, ...) and not (T, B, ...), where T is the greatest L_i.
        padding_value: for the elements past a sequence's end (or before its start).
        padding_side: "right" or "left".

    Raises:
        RuntimeError: there are no sequences, they do not fit together, or ``padding_side`` is something else.

    >>> import tnn
    >>> tnn.nn.utils.rnn.pad_sequence([tnn.tensor([1, 2, 3]), tnn.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    for s in sequences:
        if s._data.ndim == 0:
            raise RuntimeError("pad_sequence: a sequence needs at least one dimension, got a 0-d tensor")
    first = sequences[0]
    rest = first._data.shape[1:]
    for s in sequences:
        if s._data.shape[1:] != rest:
            raise RuntimeError(
                "pad_sequence: the sequences must be alike but for their first dimension, got "
                f"{list(first._data.shape)} and {list(s._data.shape)}"
            )
    sequences = [s if s.dtype is first.dtype else s.to(first.dtype) for s in sequences]
    steps = max(s._data.shape[0] for s in sequences)
    return padded(sequences, steps, batch_first, padding_value, padding_side == "left")


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """The sequences of a padded batch, as a list.

    Args:
        padded_sequences: (T, B, ...), or (B, T, ...) if ``batch_first``; padded on the right.
        lengths: (B,), the sequences' lengths.
        batch_first: whether B comes first.

    Raises:
        ValueError: the number of lengths is not B.
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    counts = _lengths(lengths).tolist()
    if len(counts) != len(padded_sequences):
        raise ValueError(f"unpad_sequence: got {len(counts)} lengths for {len(padded_sequences)} sequences")
    return [padded_sequences[i][: max(n, 0)] for i, n in enumerate(counts)]


def pack_sequence(sequences, enforce_sorted=True):
    """Packs a list of sequences (L_i, ...) of several lengths.

    Args:
        sequences: tensors, alike but for their first dimension.
        enforce_sorted: they come sorted by length, the longest first; otherwise they are sorted here.

    Raises:
        RuntimeError: as :func:`pad_sequence` and :func:`pack_padded_sequence`.

    >>> import tnn
    >>> tnn.nn.utils.rnn.pack_sequence([tnn.tensor([1, 2, 3]), tnn.tensor([4, 5])]).data
    tensor([1, 4, 2, 5, 3])
    """
    sequences = list(sequences)
    lengths = [s._data.shape[0] for s in sequences if s._data.ndim]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """The sequences of a PackedSequence, as a list in the original order.

    Args:
        packed_sequences: the PackedSequence.

    Returns:
        a list of tensors (length, ...).
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
