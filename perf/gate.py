"""Fails when a row of cases.py has become slower than a stored ratio to a reference kernel allows.

    python perf/gate.py                    compares with perf/gate.json
    python perf/gate.py --update           stores the ratios of this machine
    python perf/gate.py --rounds 5 --json now.json

A row's time means nothing on a machine that others use too, its ratio to a reference does: both run in this process, in
turns of less than a millisecond A B A B, on one thread, and of each the shortest turn counts, which no neighbour
disturbed. What the row is bound by chooses the reference: multiply-adds in registers, copying an array as large as the
row's data, or a loop of plain Python. A row whose ratio lies more than the tolerance above the stored one is tried
again after the others, several times. Ratios differ from one kind of processor to another, so perf/gate.json keeps them
for each by its name and model, the vectors it has and Python's version; on one that is not in the file the gate says
so, prints the ratios and passes.
"""

import argparse
import importlib
import json
import platform
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np  # noqa: E402
import reference  # noqa: E402
from cases import CASES  # noqa: E402

STORE = HERE / "gate.json"
TOLERANCE = 0.15
TURN = 0.0004

# Each row with what it is bound by: "fma" (the core), "copy" (memory, as many bytes as the row) or "python". But
# for one row all are short and keep to the level 2 cache: under load a run of a millisecond is rarely left alone, and
# the level 3 cache is everybody's (relu 512x1024 forward+backward, of 8 MiB: 0.83 to 1.22 in twelve processes). Copying
# within the level 2 cache is no reference: its time depends on which pages the system hands out, by up to a third;
# multiply-adds come out within 1 % each time.
ROWS = {
    "gemm 128": "fma",
    "conv2d 64->64 3x3 1x64x16x16 forward": "fma",
    "conv2d 1x1 64->64 1x64x16x16 forward+backward": "fma",
    "lstm 32->32 16x20 forward": "fma",
    "sdpa 1x4x64x64 forward": "fma",
    "relu 64x512 forward+backward": "fma",
    "tanh 64x512 forward": "fma",
    "softmax 64x512 forward": "fma",
    "layer_norm 64x512 forward": "fma",
    "max_pool2d 1x64x32x32 forward": "fma",
    "batch_norm 2x64x16x16 forward+backward": "fma",
    "add 512x1024 forward": "copy",
    "tanh 8 forward": "python",
    "linear 1x8->8 forward+backward": "python",
    "step MLP 8-16-4 batch 16": "python",
}


def processor():
    """The name under which ratios are stored: the processor's with family and model, its vectors', Python's version."""
    found = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    name = found.get("model name") or platform.processor() or platform.machine()
    model = ".".join(found[k] for k in ("cpu family", "model") if k in found)
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    return " / ".join(p for p in (name, model, reference.NAME, python) if p)


def reference_run(kind, moved):
    """The reference of a kind, as a function that does it ``n`` times."""
    if kind == "fma":
        start = np.float32(0.1)
        return lambda n: reference.fma(start, 1000 * n)
    if kind == "copy":
        x, y = reference.aligned(moved // 8), reference.aligned(moved // 8, 2048)
        return lambda n: reference.copy(x, y, n)
    return lambda n: reference.interpreter(10 * n)


def repeated(run):
    """Runs a row ``n`` times."""

    def times(n):
        for _ in range(n):
            run()

    return times


def count_for(times, seconds):
    """How often to run in one turn of about the given seconds."""
    times(1)
    n = 1
    while True:
        start = time.perf_counter()
        times(n)
        took = time.perf_counter() - start
        if took > seconds / 4:
            return max(1, round(n * seconds / took))
        n *= 4


class Row:
    """A row of the gate with the shortest times so far of its own and its reference's runs."""

    def __init__(self, name, kind, stored=None):
        self.case = next(c for c in CASES if c.name == name)
        self.name, self.kind, self.stored = name, kind, stored
        self.own = self.other = float("inf")
        self.rounds = 0

    @property
    def ratio(self):
        """The row's time by its reference's."""
        return self.own / self.other

    def slow(self, tolerance):
        """Whether the row is slower than stored, as far as is known now."""
        return self.stored is not None and self.ratio > self.stored * (1 + tolerance)

    def round(self, lib, seconds):
        """Times row and reference in turns; both are made anew, since where data lies matters too."""
        run = self.case.make(lib)
        work = run.work()
        own, other = repeated(run), reference_run(self.kind, int(work.read + work.written))
        own(2)
        n, m = count_for(own, TURN), count_for(other, TURN)
        end = time.perf_counter() + seconds
        turns = 0
        while time.perf_counter() < end or turns < 5:
            self.own = min(self.own, once(own, n))
            self.other = min(self.other, once(other, m))
            turns += 1
        self.rounds += 1


def once(times, n):
    """Seconds of one run out of ``n`` in a row."""
    start = time.perf_counter()
    times(n)
    return (time.perf_counter() - start) / n


def describe(row, tolerance):
    """A row as a line of text."""
    text = f"{row.name:50s} {row.kind:7s}{row.ratio:10.4g}"
    if row.stored is not None:
        text += f"  stored {row.stored:.4g}, {row.ratio / row.stored - 1:+6.1%} in {row.rounds} round(s)"
        if row.ratio * (1 + tolerance) < row.stored:
            text += "  faster: worth an --update"
    return text + ("  TOO SLOW" if row.slow(tolerance) else "")


def main(argv=None, rows=None, out=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="store this machine's ratios")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    parser.add_argument("--rounds", type=int, default=8, help="how often a row may be tried")
    parser.add_argument("--seconds", type=float, default=0.25, help="time for a row in a round")
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--json", type=Path, help="write what was measured")
    args = parser.parse_args(argv)
    lib = importlib.import_module("tnn")
    threads = lib.get_num_threads()
    lib.set_num_threads(1)
    try:
        return judge(lib, args, rows or ROWS, out or sys.stdout)
    finally:
        lib.set_num_threads(threads)


def judge(lib, args, rows, out):
    """Measures the rows, compares or stores; returns the exit status."""
    store = json.loads(args.store.read_text()) if args.store.exists() else {}
    name = processor()
    known = {} if args.update else store.get(name, {})
    print(f"{name}: row's time / reference's, one thread", file=out)
    if not known and not args.update:
        print(f"no ratios are stored for this processor in {args.store.name}: nothing can fail", file=out)
    rows = [Row(row, kind, known.get(row)) for row, kind in rows.items()]
    todo = rows
    for left in range(args.rounds, 0, -1):
        for row in todo:
            row.round(lib, args.seconds)
        # Rows that look slow come again after the others: by then the neighbour may have gone.
        todo = [r for r in todo if r.slow(args.tolerance) or (args.update and left > args.rounds - 3)]
    for row in rows:
        print(describe(row, args.tolerance), file=out, flush=True)
    if args.update:
        store[name] = {r.name: float(f"{r.ratio:.4g}") for r in rows}
        args.store.write_text(json.dumps(store, indent=1) + "\n")
    slow = [r.name for r in rows if r.slow(args.tolerance)]
    if args.json:
        found = {"processor": name, "ratios": {r.name: r.ratio for r in rows}, "slow": slow}
        args.json.write_text(json.dumps(found, indent=1))
    if slow:
        print(f"slower than stored by more than {args.tolerance:.0%}: {', '.join(slow)}", file=out)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
