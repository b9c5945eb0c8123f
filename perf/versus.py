"""Times tnn against PyTorch: one process each, the same number of threads, taking turns A B A B.

    python perf/versus.py                              every row, with PyTorch in this environment (extra ``peers``)
    python perf/versus.py --peer-python PATH           PyTorch in another environment
    python perf/versus.py --only gemm,relu --threads 1 --json out.json --fail-under 1.0

A row's ratio is the median over the turns of PyTorch's time by tnn's: above 1, tnn is faster.
"""

import argparse
import fnmatch
import importlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TURN_SECONDS = 0.06


def worker(name, threads):
    """Answers requests on standard input: makes a case once, then times it each time it is asked."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    sys.path.insert(0, str(HERE))
    sys.path.insert(0, str(HERE.parent))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    lib = importlib.import_module(name)
    importlib.import_module(name + ".nn")
    lib.set_num_threads(threads)
    from cases import CASES

    made = {}
    by_name = {c.name: c for c in CASES}
    for line in sys.stdin:
        case = line.rstrip("\n")
        try:
            if case not in made:
                made.clear()
                run = by_name[case].make(lib)
                made[case] = (run, _repeats(run))
            run, repeats = made[case]
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            answer = {"seconds": (time.perf_counter() - start) / repeats}
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


def _repeats(run):
    """How often to run in one turn; runs it meanwhile, so that everything is compiled and warm."""
    run()
    run()
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    n = max(1, min(20000, int(TURN_SECONDS / max(once, 1e-7))))
    start = time.perf_counter()
    for _ in range(n):
        run()
    return max(1, min(50000, int(n * TURN_SECONDS / (time.perf_counter() - start))))


class Peer:
    """A worker process."""

    def __init__(self, python, name, threads):
        command = [python, str(Path(__file__).resolve()), "--worker", name, "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def time(self, case):
        """Seconds for one run of the case in one turn.

        Raises:
            RuntimeError: the case failed there.
        """
        self.process.stdin.write(case + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the worker process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["seconds"]

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait(10)


def compare(case, ours, theirs, turns):
    """One row: the median ratio, its quartiles, and both medians."""
    pairs = []
    for turn in range(turns + 1):
        pair = (ours.time(case.name), theirs.time(case.name))
        if turn:
            pairs.append(pair)
    ratios = sorted(b / a for a, b in pairs)
    return {
        "name": case.name,
        "family": case.family,
        "ratio": statistics.median(ratios),
        "low": ratios[len(ratios) // 4],
        "high": ratios[-1 - len(ratios) // 4],
        "tnn_seconds": statistics.median(a for a, _ in pairs),
        "torch_seconds": statistics.median(b for _, b in pairs),
    }


def _duration(seconds):
    return f"{seconds * 1e6:9.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:9.2f} ms"


def processor():
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def summary(rows):
    """The geometric mean for each family, and the worst row."""
    families = {}
    for r in rows:
        families.setdefault(r["family"], []).append(r["ratio"])
    means = {f: math.exp(statistics.fmean(map(math.log, v))) for f, v in families.items()}
    return means, min(rows, key=lambda r: r["ratio"])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="comma-separated parts or patterns of row or family names")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has PyTorch")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--fail-under", type=float, help="exit with 1 if a row's ratio is below this")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        return worker(args.worker, args.threads)
    sys.path.insert(0, str(HERE))
    from cases import CASES

    wanted = args.only.split(",") if args.only else ["*"]
    cases = [
        c for c in CASES if any(w == c.family or w in c.name or fnmatch.fnmatch(c.name, w) for w in wanted)
    ]  # fmt: skip
    ours = Peer(sys.executable, "tnn", args.threads)
    theirs = Peer(args.peer_python, "torch", args.threads)
    print(f"{processor()}, {args.threads} thread(s); ratio: PyTorch's time / tnn's, above 1 tnn is faster")
    rows, failed = [], []
    for case in cases:
        try:
            row = compare(case, ours, theirs, args.turns)
        except RuntimeError as e:
            failed.append(case.name)
            print(f"{case.name:44s} failed: {e}", flush=True)
            continue
        rows.append(row)
        print(
            f"{row['name']:44s} {row['ratio']:6.2f}  ({row['low']:.2f}-{row['high']:.2f})   "
            f"tnn {_duration(row['tnn_seconds'])}   PyTorch {_duration(row['torch_seconds'])}",
            flush=True,
        )
    ours.close()
    theirs.close()
    if rows:
        means, worst = summary(rows)
        print("\n" + "\n".join(f"{f:20s} geometric mean {m:.2f}" for f, m in means.items()))
        print(f"all rows: geometric mean {math.exp(statistics.fmean(math.log(r['ratio']) for r in rows)):.2f}")
        print(f"slowest row: {worst['name']}, {worst['ratio']:.2f}")
    if args.json:
        args.json.write_text(json.dumps({"processor": processor(), "threads": args.threads, "rows": rows}, indent=1))
    below = [r["name"] for r in rows if args.fail_under is not None and r["ratio"] < args.fail_under]
    if below:
        print("below the bound: " + ", ".join(below))
    return 1 if failed or below else 0


if __name__ == "__main__":
    sys.exit(main())
