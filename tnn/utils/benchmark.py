"""Timing a statement: runs enough for the clock, and the median of several."""

import math
import statistics
import timeit
from contextlib import contextmanager

from ..kernels._jit import get_num_threads, set_num_threads

__all__ = ["Measurement", "Timer", "timer"]

timer = timeit.default_timer
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


@contextmanager
def _threads(n):
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


class Measurement:
    """What :class:`Timer` measured.

    Args:
        number_per_run: how often a measurement runs the statement.
        raw_times: seconds of each measurement.
        title: what was run.
        num_threads: how many threads it could use.

    Attributes:
        times: seconds of one run, from each measurement; ``mean``, ``median`` and ``iqr`` (the distance of the
            quartiles) are those of ``times``.
    """

    def __init__(self, number_per_run, raw_times, title="", num_threads=1):
        self.number_per_run, self.raw_times = number_per_run, raw_times
        self.title, self.num_threads = title, num_threads

    @property
    def times(self):
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self):
        return statistics.fmean(self.times)

    @property
    def median(self):
        return statistics.median(self.times)

    @property
    def iqr(self):
        if len(self.raw_times) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return high - low

    def __repr__(self):
        scale, unit = next((u for u in _UNITS if self.median >= u[0]), _UNITS[-1])
        count = len(self.raw_times)
        spread = ""
        if count > 1:
            low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
            spread = f"  IQR:    {self.iqr / scale:.2f} {unit} ({low / scale:.2f} to {high / scale:.2f})\n"
        name = "" if count == 1 else "Median: "
        threads = f"{self.num_threads} thread{'s' * (self.num_threads > 1)}"
        runs = f"{self.number_per_run} runs" + (" per measurement" if count > 1 else "")
        return (
            f"{self.title}\n  {name}{self.median / scale:.2f} {unit}\n{spread}"
            f"  {count} measurement{'s' * (count > 1)}, {runs}, {threads}"
        )


class Timer:
    """Times a statement, as ``timeit`` does, on a given number of threads.

    Args:
        stmt: the statement, text.
        setup: what runs once before it.
        global_setup: text that is not used: there is no C++ to compile.
        timer: the clock.
        globals: the names that the statement sees.
        label, sub_label, description: what is measured, for the report.
        env: not used.
        num_threads: how many threads operations may use meanwhile.
        language: Python, the only one.

    Raises:
        NotImplementedError: ``language`` is C++.

    >>> import tnn
    >>> m = tnn.utils.benchmark.Timer("x + x", globals={"x": tnn.ones(3)}).timeit(10)
    >>> m.number_per_run, m.mean > 0
    (10, True)
    """

    def __init__(
        self, stmt="pass", setup="pass", global_setup="", timer=timer, globals=None, label=None, sub_label=None,
        description=None, env=None, num_threads=1, language="python",
    ):  # fmt: skip
        if str(language).lower() not in ("python", "py"):
            raise NotImplementedError(f"Timer() times Python, got language={language!r}")
        self.num_threads = num_threads
        self._timer = timeit.Timer(stmt, setup, timer, dict(globals or {}))
        title = ": ".join(filter(None, (label, sub_label))) or stmt
        lines = [title, description, None if setup == "pass" else f"setup: {setup}"]
        self._title = "\n".join(line for line in lines if line)

    def timeit(self, number=1_000_000):
        """One measurement of ``number`` runs, after some to warm up.

        Args:
            number: how many runs.
        """
        with _threads(self.num_threads):
            self._timer.timeit(max(number // 100, 2))
            return Measurement(number, [self._timer.timeit(number)], self._title, self.num_threads)

    def blocked_autorange(self, callback=None, min_run_time=0.2):
        """Measurements, until they have taken ``min_run_time``, of so many runs that the clock's cost disappears.

        Args:
            callback: called with the number of runs and the seconds of each measurement.
            min_run_time: seconds in all.
        """
        with _threads(self.num_threads):
            number = 1
            self._timer.timeit(2)
            while (took := self._timer.timeit(number)) < min(1e-3, min_run_time / 10) and number < 10**9:
                number *= 10
            times = []
            for _ in range(max(1, math.ceil(min_run_time / max(took, 1e-9)))):
                times.append(self._timer.timeit(number))
                if callback is not None:
                    callback(number, times[-1])
                if sum(times) >= min_run_time:
                    break
            return Measurement(number, times, self._title, self.num_threads)

    def adaptive_autorange(self, threshold=0.1, *, min_run_time=0.01, max_run_time=10.0, callback=None):
        """As :meth:`blocked_autorange`, for longer until the quartiles are close together.

        Args:
            threshold: the distance of the quartiles, relative to the median, at which it ends.
            min_run_time, max_run_time: seconds in all.
            callback: as there.
        """
        while True:
            found = self.blocked_autorange(callback, min_run_time)
            if found.iqr < threshold * found.median or min_run_time >= max_run_time:
                return found
            min_run_time = min(2 * min_run_time, max_run_time)
