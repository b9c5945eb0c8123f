"""DataLoader."""

import itertools
import multiprocessing
import queue
import warnings
from typing import Generic, TypeVar

from ...tensor import wrap
from . import collate as _collate
from .collate import default_collate, default_convert  # noqa: F401  (where programs import them from)
from .dataset import IterableDataset, Subset, TensorDataset, fetch_all
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed
from .worker import End, Failure, Pool

T_co = TypeVar("T_co", covariant=True)


class _Forever(Sampler):
    """Gives None without end: a stream needs no numbers."""

    def __iter__(self):
        return itertools.repeat(None)


class _MapFetcher:
    """Fetches samples by number."""

    streams = False

    def __init__(self, dataset, batched, collate_fn, drop_last):
        self.dataset = dataset
        self.batched = batched
        self.collate_fn = collate_fn

    def fetch(self, index):
        """The batch, or the sample, with these numbers."""
        if not self.batched:
            return self.collate_fn(self.dataset[index])
        if self.collate_fn is _collate.default_collate:
            batch = _rows_at_once(self.dataset, index)
            if batch is not None:
                return batch
        return self.collate_fn(fetch_all(self.dataset, index))


def _rows_at_once(dataset, index):
    """What ``default_collate`` would make of these samples of a TensorDataset or of a Subset of one, taken from each
    tensor at once (for 64 samples of 784 numbers 14 times as fast as one by one); None for other data sets."""
    while type(dataset) is Subset:
        index = [dataset.indices[i] for i in index]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or any(t._rg or t.is_sparse for t in dataset.tensors):
        return None
    return [wrap(t._data.take(index, axis=0)) for t in dataset.tensors]


class _StreamFetcher:
    """Fetches the next samples of a stream."""

    streams = True

    def __init__(self, dataset, batched, collate_fn, drop_last):
        self.samples = iter(dataset)
        self.batched = batched
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.ended = False

    def fetch(self, index):
        """The next batch of ``len(index)`` samples, or the next sample."""
        if self.ended:
            raise StopIteration
        if not self.batched:
            return self.collate_fn(next(self.samples))
        data = list(itertools.islice(self.samples, len(index)))
        self.ended = len(data) < len(index)
        if not data or (self.ended and self.drop_last):
            raise StopIteration
        return self.collate_fn(data)


class DataLoader(Generic[T_co]):
    """Gives the batches of a data set. After ``tnn.manual_seed`` a shuffled loader gives them in PyTorch's order.

    Args:
        dataset: a data set with ``__getitem__`` and ``__len__``, or an :class:`IterableDataset`.
        batch_size: samples in a batch; None for samples as they are.
        shuffle: in random order, a new one for each iteration.
        sampler: the order, in place of ``shuffle``.
        batch_sampler: gives lists of numbers, in place of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
        num_workers: threads that fetch batches ahead; 0 fetches in the calling thread. Threads share memory, and run
            side by side while they read files or run kernels.
        collate_fn: makes a batch of a list of samples (default: :func:`default_collate`).
        pin_memory, pin_memory_device: accepted; there is no accelerator.
        drop_last: leave out a last batch that is smaller.
        timeout: seconds to wait for a worker's batch; 0 for no limit.
        worker_init_fn: called in each worker with its number.
        multiprocessing_context: accepted; workers are threads.
        generator: where the order is drawn from.
        prefetch_factor: batches that each worker has in hand (default: 2).
        persistent_workers: keep the workers after an iteration.
        in_order: give batches in the order of their numbers, otherwise as they come.

    Raises:
        ValueError: options exclude each other, are negative, or (later) one is set that may not change.

    >>> import tnn
    >>> data = TensorDataset(tnn.arange(6.0).reshape(3, 2), tnn.arange(3))
    >>> for x, y in DataLoader(data, batch_size=2):
    ...     print(x.tolist(), y.tolist())
    [[0.0, 1.0], [2.0, 3.0]] [0, 1]
    [[4.0, 5.0]] [2]
    """

    _ready = False

    def __init__(
        self, dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0, collate_fn=None,
        pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None, multiprocessing_context=None, generator=None,
        *, prefetch_factor=None, persistent_workers=False, pin_memory_device="", in_order=True,
    ):  # fmt: skip
        prefetch_factor = _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self._streams = isinstance(dataset, IterableDataset)
        if self._streams:
            _check_stream(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            if self._streams:
                sampler = _Forever()
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = _collate.default_collate if batch_sampler is not None else _collate.default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self._stream_length = None
        self._iterator = None
        self._ready = True

    @property
    def multiprocessing_context(self):
        """What was given for it."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context):
        if context is not None:
            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with num_workers > 0, but got "
                    f"num_workers={self.num_workers}"
                )
            if isinstance(context, str):
                methods = multiprocessing.get_all_start_methods()
                if context not in methods:
                    raise ValueError(
                        f"multiprocessing_context should name a start method in {methods}, got {context!r}"
                    )
                context = multiprocessing.get_context(context)
            if not isinstance(context, multiprocessing.context.BaseContext):
                raise TypeError(
                    f"multiprocessing_context should be a context or the name of a start method, got {context!r}"
                )
        self._multiprocessing_context = context

    def __setattr__(self, name, value):
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self._ready and name in fixed:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def _index_sampler(self):
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def _make_fetcher(self):
        kind, batched = _StreamFetcher if self._streams else _MapFetcher, self.batch_sampler is not None
        collate_fn, drop_last = self.collate_fn, self.drop_last
        return lambda dataset: kind(dataset, batched, collate_fn, drop_last)

    def __iter__(self):
        if self.num_workers == 0:
            return _Iterator(self)
        if not self.persistent_workers:
            return _WorkerIterator(self)
        if self._iterator is None:
            self._iterator = _WorkerIterator(self)
        else:
            self._iterator._reset(self)
        return self._iterator

    def __len__(self):
        if not self._streams:
            return len(self._index_sampler)
        n = self._stream_length = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def _check_workers(num_workers, timeout, prefetch_factor, persistent_workers):
    if num_workers < 0:
        raise ValueError(f"num_workers option should be non-negative (0: no workers), got {num_workers}")
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, got {timeout}")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(f"prefetch_factor option needs num_workers > 0, got prefetch_factor={prefetch_factor}")
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError(f"prefetch_factor option should be non-negative, got {prefetch_factor}")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")
    return 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor


def _check_stream(shuffle, sampler, batch_sampler):
    for name, value, plain in (
        ("shuffle", shuffle, shuffle in (None, False)),
        ("sampler", sampler, sampler is None),
        ("batch_sampler", batch_sampler, batch_sampler is None),
    ):
        if not plain:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
            )


class _Iterator:
    """An iteration in the calling thread."""

    def __init__(self, loader):
        self._sampler = loader._index_sampler
        self._dataset = loader.dataset
        self._streams = loader._streams
        # The order of draws is PyTorch's: the sampler's, then the workers' seed, which is drawn also without workers
        self._numbers = iter(self._sampler)
        self._seed = draw_seed(loader.generator)
        self._start(loader)

    def _start(self, loader):
        if loader.timeout != 0:
            raise AssertionError(f"timeout needs num_workers > 0, got timeout={loader.timeout}")
        self._count(loader)
        self._fetcher = loader._make_fetcher()(loader.dataset)

    def _count(self, loader):
        self._stream_length = loader._stream_length
        self._given = 0

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._sampler)

    def _next(self):
        return self._fetcher.fetch(next(self._numbers))

    def __next__(self):
        data = self._next()
        self._given += 1
        if self._streams and self._stream_length is not None and self._given > self._stream_length:
            warnings.warn(
                f"Length of IterableDataset {self._dataset} was reported to be {self._stream_length} (when accessing "
                f"len(dataloader)), but {self._given} samples have been fetched.",
                stacklevel=2,
            )
        return data

    def __getstate__(self):
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


class _WorkerIterator(_Iterator):
    """An iteration with worker threads. Batch k is given to the next worker in turn, and waited for in its turn."""

    _pool = None

    def _start(self, loader):
        self._n = loader.num_workers
        self._ahead = loader.prefetch_factor * self._n
        if self._ahead == 0:
            raise AssertionError("prefetch_factor must be greater than 0")
        self._timeout = loader.timeout
        self._in_order = loader.in_order
        self._persistent = loader.persistent_workers
        self._pool = Pool(loader, self._seed, loader._make_fetcher())
        self._epoch = 0
        self._reset(loader)

    def _reset(self, loader):
        self._numbers = iter(self._sampler)
        self._count(loader)
        self._epoch += 1
        self._pool.current[0] = self._epoch
        self._alive = [True] * self._n
        self._load = [0] * self._n
        self._turn = itertools.cycle(range(self._n))
        self._sent = self._wanted = 0
        self._worker_of = {}
        self._arrived = {}
        for _ in range(self._ahead):
            self._send()

    def _send(self):
        """Gives the next batch to the next worker whose stream goes on."""
        if not any(self._alive):
            return
        try:
            indices = next(self._numbers)
        except StopIteration:
            return
        limit = self._ahead // sum(self._alive)
        for _ in range(self._n):
            worker = next(self._turn)
            if self._alive[worker] and (self._in_order or self._load[worker] < limit):
                break
        else:
            return
        self._pool.tasks[worker].put((self._epoch, self._sent, indices))
        self._worker_of[self._sent] = worker
        self._load[worker] += 1
        self._sent += 1

    def _receive(self):
        """The number and the data of a batch of this iteration that has come."""
        while True:
            try:
                result = self._pool.results.get(timeout=self._timeout or None)
            except queue.Empty:
                raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds") from None
            if result[0] == self._epoch:
                return result[1:]

    def _next(self):
        if self._pool is None:
            raise StopIteration
        while self._worker_of:
            if self._in_order:
                while self._wanted not in self._worker_of:
                    self._wanted += 1
                if self._wanted in self._arrived:
                    return self._finish(self._wanted, self._arrived.pop(self._wanted))
            number, worker, data = self._receive()
            if isinstance(data, End):
                self._alive[worker] = False
                del self._worker_of[number]
                self._send()
            elif self._in_order and number != self._wanted:
                self._arrived[number] = data
            else:
                return self._finish(number, data)
        if not self._persistent:
            self._close()
        raise StopIteration

    def _finish(self, number, data):
        self._load[self._worker_of.pop(number)] -= 1
        self._send()
        if isinstance(data, Failure):
            data.reraise()
        return data

    def _close(self):
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def __del__(self):
        self._close()
