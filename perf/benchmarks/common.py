"""What the benchmarks share: a class that times rows of cases.py, subclassed once for each family."""

import sys
from abc import ABC, abstractmethod
from pathlib import Path

PERF = str(Path(__file__).resolve().parent.parent)
if PERF not in sys.path:
    sys.path.insert(0, PERF)

from cases import CASES  # noqa: E402

BY_NAME = {c.name: c for c in CASES}
THREADS = [1, 2]


def rows(family):
    """Names of a family's rows."""
    return [c.name for c in CASES if c.family == family]


def prepared(row, threads):
    """The function that runs a row, with inputs made and touched and every kernel compiled."""
    import tnn

    tnn.set_num_threads(threads)
    run = BY_NAME[row].make(tnn)
    run()
    run()
    return run


class Rows(ABC):
    """Times the rows in ``params[0]`` on ``params[1]`` threads. Setup compiles, so that no compilation is timed."""

    param_names = ["row", "threads"]
    timeout = 300
    rounds = 2
    warmup_time = 0.05
    repeat = (3, 20, 0.5)

    @property
    @abstractmethod
    def params(self):
        """Rows and numbers of threads; abstract so that asv takes this class for none of its own."""

    def setup(self, row, threads):
        self.run = prepared(row, threads)

    def time_row(self, row, threads):
        self.run()
