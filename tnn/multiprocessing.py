"""Python's ``multiprocessing`` with tensors: they are pickled; processes are spawned, since forking breaks threads."""

import multiprocessing
from multiprocessing import *  # noqa: F403

__all__ = [
    *multiprocessing.__all__, "ProcessExitedException", "ProcessRaisedException", "get_all_sharing_strategies",
    "get_sharing_strategy", "set_sharing_strategy", "spawn",
]  # fmt: skip

_context = multiprocessing.get_context("spawn")


class ProcessRaisedException(Exception):
    """A process that :func:`spawn` started raised."""


class ProcessExitedException(Exception):
    """A process that :func:`spawn` started ended with an exit code other than 0."""


def get_all_sharing_strategies():
    """The names that :func:`set_sharing_strategy` takes."""
    return {"file_descriptor", "file_system"}


def get_sharing_strategy():
    """``"file_descriptor"``; tensors are copied whatever the name."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy):
    """Accepted; tensors are copied whatever the name."""
    if new_strategy not in get_all_sharing_strategies():
        raise AssertionError(f"invalid sharing strategy {new_strategy!r}")


def _run(fn, rank, args, failures):
    try:
        fn(rank, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        import traceback

        failures.put((rank, traceback.format_exc()))
        raise SystemExit(1) from None


class ProcessContext:
    """The processes that :func:`spawn` started with ``join=False``."""

    def __init__(self, processes, failures):
        self.processes, self._failures = processes, failures

    def pids(self):
        """Their numbers."""
        return [p.pid for p in self.processes]

    def join(self, timeout=None):
        """Waits for all of them; True where all have ended. When one fails the others are ended.

        Raises:
            ProcessRaisedException, ProcessExitedException: one failed.
        """
        from multiprocessing.connection import wait

        # Asked once: of nothing, `wait` waits for ever.
        while alive := [p.sentinel for p in self.processes if p.is_alive()]:
            if not wait(alive, timeout):
                return False
            if any(p.exitcode not in (0, None) for p in self.processes):
                break
        bad = next((i for i, p in enumerate(self.processes) if p.exitcode not in (0, None)), None)
        if bad is None:
            return True
        for p in self.processes:
            if p.is_alive():
                p.terminate()
            p.join()
        if self.processes[bad].exitcode == 1 and not self._failures.empty():
            rank, text = self._failures.get()
            raise ProcessRaisedException(f"\n\n-- Process {rank} terminated with the following error:\n{text}")
        raise ProcessExitedException(f"process {bad} terminated with exit code {self.processes[bad].exitcode}")


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Calls ``fn(i, *args)`` in ``nprocs`` processes, i from 0 on; waits for them, or returns a ProcessContext."""
    failures = _context.SimpleQueue()
    processes = [_context.Process(target=_run, args=(fn, i, args, failures), daemon=daemon) for i in range(nprocs)]
    for p in processes:
        p.start()
    context = ProcessContext(processes, failures)
    if not join:
        return context
    while not context.join():
        pass
    return None
