"""Worker threads: how a loader fetches batches ahead."""

import copy
import queue
import threading
import traceback
from dataclasses import dataclass
from typing import Any

from ...random import use_own_generator

_local = threading.local()


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker knows of itself.

    Attributes:
        id: its number.
        num_workers: how many there are.
        seed: the loader's seed for this iterator plus ``id``; what the worker draws (``tnn.rand`` and the like) comes
            from a generator of its own with this seed, as in PyTorch.
        dataset: this worker's copy of the data set, a shallow one: its attributes may be set for this worker alone.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


def get_worker_info():
    """The :class:`WorkerInfo` of the worker that this runs in, None elsewhere."""
    return getattr(_local, "info", None)


class End:
    """What a worker gives when its stream is at its end."""


class Failure:
    """An exception on its way from a worker to the loader."""

    def __init__(self, error, worker_id):
        self.error = error
        self.worker_id = worker_id

    def reraise(self):
        """Raises an exception of the same type, whose message has the worker's traceback."""
        error = self.error
        text = "".join(traceback.format_exception(error))
        message = f"Caught {type(error).__name__} in DataLoader worker {self.worker_id}.\nOriginal {text}"
        if isinstance(error, KeyError):
            message = _Unquoted(message)
        try:
            again = type(error)(message)
        except Exception:
            # a type whose constructor wants other arguments
            again = RuntimeError(message)
        raise again from error


class _Unquoted(str):
    """A message that KeyError, which prints the repr of its argument, shows with its line breaks."""

    def __repr__(self):
        return str(self)


def _own_copy(dataset):
    try:
        return copy.copy(dataset)
    except Exception:
        # a data set that cannot be copied is shared
        return dataset


def _work(tasks, results, current, info_of, make_fetcher, init_fn, worker_id):
    """A worker's life: ``tasks`` are ``(epoch, number, indices)`` or None for the end; ``current`` holds the epoch that
    is still wanted."""
    info = info_of(worker_id)
    _local.info = info
    use_own_generator(info.seed)
    fetcher, of_epoch, failure = None, None, None
    try:
        if init_fn is not None:
            init_fn(worker_id)
    except Exception as error:
        failure = Failure(error, worker_id)
    while (task := tasks.get()) is not None:
        epoch, number, indices = task
        if epoch != current[0]:
            continue
        try:
            if failure is None and of_epoch != epoch:
                fetcher, of_epoch = make_fetcher(info.dataset), epoch
            data = failure or fetcher.fetch(indices)
        except StopIteration as error:
            data = End() if fetcher is not None and fetcher.streams else Failure(error, worker_id)
        except Exception as error:
            data = Failure(error, worker_id)
        results.put((epoch, number, worker_id, data))
        del data, task


class Pool:
    """The workers of one iterator. Nothing here refers to the iterator, so that dropping it ends them.

    Args:
        loader: the loader, for its settings.
        seed: the iterator's seed.
        make_fetcher: makes what fetches batches, for a data set.
    """

    def __init__(self, loader, seed, make_fetcher):
        n, dataset = loader.num_workers, loader.dataset
        self.results = queue.SimpleQueue()
        self.tasks = [queue.SimpleQueue() for _ in range(n)]
        self.current = [0]

        def info_of(i):
            return WorkerInfo(i, n, seed + i, _own_copy(dataset))

        self.threads = [
            threading.Thread(
                target=_work,
                args=(self.tasks[i], self.results, self.current, info_of, make_fetcher, loader.worker_init_fn, i),
                name=f"tnn_data_worker_{i}",
                daemon=True,
            )
            for i in range(n)
        ]
        for t in self.threads:
            t.start()

    def close(self, wait=5.0):
        """Ends the workers; one in the middle of a batch ends after it.

        Args:
            wait: seconds to wait for each.
        """
        self.current[0] = None
        for tasks in self.tasks:
            tasks.put(None)
        for t in self.threads:
            if t is not threading.current_thread():
                t.join(wait)
