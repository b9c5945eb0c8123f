"""Times tnn's rows with one and with two threads, alone and beside a busy process.

    python perf/threads.py                             every row that takes at least a millisecond on one thread
    python perf/threads.py --only conv,gemm --least 0.2 --threads 4 --json out.json

For each row: the time on one thread, and how many times faster several threads are; then both again while another
process keeps one of the CPUs busy. The first rows are what memory allows: a copy far larger than the caches (the bytes
read and written), and one that fits the last-level cache.
"""

import argparse
import fnmatch
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TURN_SECONDS = 0.04
BUSY = "import os\nos.sched_setaffinity(0, {%d})\nwhile True: pass"


class Neighbour:
    """A process that computes on one CPU, within ``with``; stopped outside of it."""

    def __init__(self, cpu):
        self.process = subprocess.Popen([sys.executable, "-c", BUSY % cpu])
        time.sleep(0.2)
        self.process.send_signal(signal.SIGSTOP)

    def __enter__(self):
        self.process.send_signal(signal.SIGCONT)
        time.sleep(0.01)

    def __exit__(self, *exception):
        self.process.send_signal(signal.SIGSTOP)

    def close(self):
        """Ends the process."""
        self.process.kill()
        self.process.wait()


def seconds(run, repeats):
    """Mean time of one run."""
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def compare(lib, run, threads, turns, repeats):
    """Median times on one thread and on several, taking turns."""
    times = {1: [], threads: []}
    for turn in range(turns + 1):
        for n, kept in times.items():
            lib.set_num_threads(n)
            spent = seconds(run, repeats)
            if turn:
                kept.append(spent)
    return statistics.median(times[1]), statistics.median(times[threads])


def copies(lib):
    """(name, function): what memory and the last-level cache allow."""
    for name, megabytes in (("copy 128 MiB", 64), ("copy 8 MiB", 4)):
        yield name, lib.randn(megabytes << 18).clone


def rows(lib, wanted):
    """(name, function) of the rows that are asked for."""
    from cases import CASES

    for case in CASES:
        if any(w == case.family or w in case.name or fnmatch.fnmatch(case.name, w) for w in wanted):
            yield case.name, case.make(lib)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="comma-separated parts or patterns of row or family names")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--least", type=float, default=1.0, help="milliseconds that a row takes on one thread")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    import tnn

    neighbour = Neighbour(max(os.sched_getaffinity(0)))
    print(f"{'':44s} {'1 thread':>10s} {args.threads:d} threads     beside a busy process", flush=True)
    found = []
    try:
        for chosen in (copies(tnn), rows(tnn, args.only.split(",") if args.only else ["*"])):
            for name, run in chosen:
                tnn.set_num_threads(1)
                run()
                run()
                once = seconds(run, 1)
                if once * 1e3 < args.least * 0.8 and not name.startswith("copy"):
                    continue
                repeats = max(1, int(TURN_SECONDS / once))
                one, several = compare(tnn, run, args.threads, args.turns, repeats)
                if one * 1e3 < args.least and not name.startswith("copy"):
                    continue
                with neighbour:
                    busy, several_busy = compare(tnn, run, args.threads, args.turns, repeats)
                row = {"name": name, "ms": one * 1e3, "times": one / several, "busy_ms": busy * 1e3}
                found.append({**row, "busy_times": busy / several_busy})
                print(f"{name:44s} {one * 1e3:7.2f} ms {one / several:8.2f}x  {busy * 1e3:9.2f} ms "
                      f"{busy / several_busy:6.2f}x", flush=True)  # fmt: skip
    finally:
        neighbour.close()
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
