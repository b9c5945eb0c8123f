"""Data sets: what gives samples by number, or one after the other."""

import bisect
import itertools
import math
import warnings
from typing import Generic, TypeVar

from ...ops.sampling import randperm
from ...random import default_generator

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Base class of data sets with numbered samples: a subclass defines ``__getitem__`` and, for most samplers,
    ``__len__``. One that defines ``__getitems__(list of numbers)`` too gives a batch at once.
    """

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} should implement __getitem__.")

    def __add__(self, other):
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Base class of data sets that are a stream: a subclass defines ``__iter__``.

    With several workers each of them reads the whole stream, of a copy of the data set: ``get_worker_info()`` says
    which worker runs, so that ``__iter__`` can give it a part.
    """

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} should implement __iter__.")

    def __add__(self, other):
        return ChainDataset([self, other])


class TensorDataset(Dataset):
    """Sample ``i`` is the tuple of all tensors' ``i``-th elements.

    Args:
        tensors: tensors of the same first size.

    Raises:
        AssertionError: the first sizes differ.
    """

    def __init__(self, *tensors):
        sizes = [t.size(0) for t in tensors]
        if any(n != sizes[0] for n in sizes):
            raise AssertionError(f"Size mismatch between tensors: first sizes are {sizes}")
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        return self.tensors[0].size(0)


class StackDataset(Dataset):
    """Sample ``i`` is the tuple, or the dict, of the ``i``-th samples of several data sets.

    Args:
        args: data sets, for tuples.
        kwargs: data sets, for dicts.

    Raises:
        ValueError: there is none, both kinds are given, or the lengths differ.
    """

    def __init__(self, *args, **kwargs):
        if args and kwargs:
            raise ValueError("expected data sets as positional arguments (for tuples) or by keyword, got both")
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets = args or kwargs
        lengths = [len(d) for d in self._all()]
        if any(n != lengths[0] for n in lengths):
            raise ValueError(f"Size mismatch between datasets: lengths are {lengths}")
        self._length = lengths[0]

    def _all(self):
        return self.datasets.values() if isinstance(self.datasets, dict) else self.datasets

    def _sample(self, parts):
        return dict(zip(self.datasets, parts, strict=True)) if isinstance(self.datasets, dict) else tuple(parts)

    def __getitem__(self, index):
        return self._sample([d[index] for d in self._all()])

    def __getitems__(self, indices):
        columns = []
        for d in self._all():
            items = fetch_all(d, indices)
            if len(items) != len(indices):
                raise ValueError(f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(items)}")
            columns.append(items)
        return [self._sample(parts) for parts in zip(*columns, strict=True)]

    def __len__(self):
        return self._length


def fetch_all(dataset, indices):
    """The samples with these numbers, through ``__getitems__`` where the data set has it."""
    if callable(getattr(dataset, "__getitems__", None)):
        return dataset.__getitems__(indices)
    return [dataset[i] for i in indices]


class ConcatDataset(Dataset):
    """Several data sets, one after the other.

    Args:
        datasets: data sets with lengths.

    Raises:
        AssertionError: there is none, or one is a stream.
    """

    @staticmethod
    def cumsum(sequence):
        """The lengths, added up."""
        return list(itertools.accumulate(len(e) for e in sequence))

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        for d in self.datasets:
            if isinstance(d, IterableDataset):
                raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = self.cumsum(self.datasets)

    def __len__(self):
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx):
        if idx < 0:
            if -idx > len(self):
                raise ValueError(f"absolute value of index should not exceed dataset length {len(self)}, got {idx}")
            idx += len(self)
        i = bisect.bisect_right(self.cumulative_sizes, idx)
        return self.datasets[i][idx - self.cumulative_sizes[i - 1] if i else idx]

    @property
    def cummulative_sizes(self):
        """Old spelling of ``cumulative_sizes``."""
        warnings.warn("`cummulative_sizes` attribute is renamed to `cumulative_sizes`", FutureWarning, stacklevel=2)
        return self.cumulative_sizes


class ChainDataset(IterableDataset):
    """Several streams, one after the other.

    Args:
        datasets: streams.

    Raises:
        AssertionError: (when read) one is no stream.
    """

    def __init__(self, datasets):
        self.datasets = datasets

    def _streams(self):
        for d in self.datasets:
            if not isinstance(d, IterableDataset):
                raise AssertionError(f"ChainDataset only supports IterableDataset, got {type(d).__name__}")
            yield d

    def __iter__(self):
        for d in self._streams():
            yield from d

    def __len__(self):
        return sum(len(d) for d in self._streams())


class Subset(Dataset):
    """The samples of a data set with the given numbers.

    Args:
        dataset: the whole.
        indices: numbers of samples in it.
    """

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = indices
        cls = type(self)
        if cls.__getitem__ is not Subset.__getitem__ and cls.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{cls.__name__} overrides __getitem__ but not __getitems__, which DataLoader calls: override both, "
                f"for "
                "instance by `def __getitems__(self, indices): return [self[i] for i in indices]`"
            )

    def __getitem__(self, idx):
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices):
        return fetch_all(self.dataset, [self.indices[i] for i in indices])

    def __len__(self):
        return len(self.indices)


def _lengths_of(fractions, n):
    lengths = []
    for i, part in enumerate(fractions):
        if part < 0 or part > 1:
            raise ValueError(f"Fraction at index {i} is not between 0 and 1: {part}")
        lengths.append(math.floor(n * part))
    # what rounding left over goes to the first parts, one each
    for i in range(n - sum(lengths)):
        lengths[i % len(lengths)] += 1
    for i, length in enumerate(lengths):
        if length == 0:
            warnings.warn(f"Length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=3)
    return lengths


def random_split(dataset, lengths, generator=default_generator):
    """Splits a data set at random into parts that do not overlap.

    Args:
        dataset: the whole.
        lengths: lengths that add up to the whole, or fractions that add up to 1.
        generator: where the permutation is drawn from.

    Returns:
        A list of :class:`Subset`.

    Raises:
        ValueError: the lengths do not add up, or a fraction is out of [0, 1].

    >>> import tnn
    >>> parts = random_split(range(10), [0.7, 0.3], tnn.Generator().manual_seed(42))
    >>> [len(p) for p in parts]
    [7, 3]
    """
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        lengths = _lengths_of(lengths, len(dataset))
    if sum(lengths) != len(dataset):
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset: {sum(lengths)}, expected "
            f"{len(dataset)}"
        )
    indices = randperm(sum(lengths), generator=generator).tolist()
    ends = itertools.accumulate(lengths)
    return [Subset(dataset, indices[end - n : end]) for end, n in zip(ends, lengths, strict=True)]
