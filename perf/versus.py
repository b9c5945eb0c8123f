"""Times tnn against PyTorch: one process each, the same number of threads, taking turns A B A B.

    python perf/versus.py                              every row, with PyTorch in this environment (extra ``peers``)
    python perf/versus.py --peer-python PATH           PyTorch in another environment
    python perf/versus.py --only gemm,relu --threads 1 --json out.json --fail-under 1.0
    python perf/versus.py --peer torch.compile         whole steps and chains, compiled by PyTorch
    python perf/versus.py --ours tnn.compile --peer torch.compile
    python perf/versus.py --peer onnxruntime           inference, of models exported by PyTorch
    python perf/versus.py --ours tnn.compile --peer onnxruntime

A row's ratio is the median over the turns of the other library's time by tnn's: above 1, tnn is faster. What a peer
needs and does not find (a C++ compiler, a package) makes its rows "not available", not failed.
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
# PyTorch's idle threads spin for 10 ms after its turn, on a core that whoever comes next then lacks.
REST_SECONDS = 0.02


# Which rows a peer is asked unless --only says otherwise: a part of their names.
ROWS = {"torch": "*", "torch.compile": "step *,chain *", "onnxruntime": "inference *"}


class NotAvailable(RuntimeError):
    """Something that a peer needs is not installed."""


def prepare(name, lib, case, threads):
    """The function that runs a case in the way of ``name``: a library, its ``compile``, or onnxruntime."""
    run = case.make(lib)
    if name == "onnxruntime":
        return exported(lib, run, threads)
    return lib.compile(run) if name.endswith(".compile") else run


def exported(torch, run, threads):
    """A model's forward run in onnxruntime."""
    import io
    import warnings

    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as e:
        raise NotAvailable(str(e)) from None
    if not hasattr(run, "model"):
        raise NotAvailable("only inference rows can be exported")
    torch.backends.mha.set_fastpath_enabled(False)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(run.model, (run.x,), file, input_names=["x"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    given = {"x": run.x.numpy()}
    return lambda: session.run(None, given)


def worker(name, threads):
    """Answers requests on standard input: makes a case once, then times it each time it is asked."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    sys.path.insert(0, str(HERE))
    sys.path.insert(0, str(HERE.parent))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    library = "torch" if name == "onnxruntime" else name.split(".")[0]
    lib = importlib.import_module(library)
    importlib.import_module(library + ".nn")
    lib.set_num_threads(threads)
    from cases import CASES

    made = {}
    by_name = {c.name: c for c in CASES}
    for line in sys.stdin:
        case = line.rstrip("\n")
        try:
            if case not in made:
                made.clear()
                start = time.perf_counter()
                run = prepare(name, lib, by_name[case], threads)
                run()
                first = time.perf_counter() - start
                made[case] = (run, _repeats(run), first)
            run, repeats, first = made[case]
            time.sleep(REST_SECONDS)
            for _ in range(repeats // 20 + 1):
                run()
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            answer = {"seconds": (time.perf_counter() - start) / repeats, "first": first}
        except Exception as e:
            text = f"{type(e).__name__}: {e}".strip().splitlines()
            missing = isinstance(e, NotAvailable) or "InvalidCxxCompiler" in "".join(text)
            answer = {"missing" if missing else "error": text[0]}
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
        self.name = name
        command = [python, str(Path(__file__).resolve()), "--worker", name, "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def time(self, case):
        """Seconds for one run of the case in one turn.

        Raises:
            NotAvailable: something that it needs there is not installed.
            RuntimeError: the case failed there.
        """
        self.process.stdin.write(case + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the worker process ended")
        answer = json.loads(line)
        if "missing" in answer:
            raise NotAvailable(answer["missing"])
        if "error" in answer:
            raise RuntimeError(answer["error"])
        self.first = answer["first"]
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
        f"{theirs.name}_seconds": statistics.median(b for _, b in pairs),
        "tnn_first_seconds": ours.first,
        f"{theirs.name}_first_seconds": theirs.first,
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


def choose(cases, words):
    """Rows whose family is, or whose name holds or matches, one of the comma-separated words."""
    words = words.split(",")
    return [c for c in cases if any(w == c.family or w in c.name or fnmatch.fnmatch(c.name, w) for w in words)]


def show(row, peer):
    """Prints a row."""
    print(
        f"{row['name']:44s} {row['ratio']:6.2f}  ({row['low']:.2f}-{row['high']:.2f})   "
        f"tnn {_duration(row['tnn_seconds'])}   {peer} {_duration(row[peer + '_seconds'])}",
        flush=True,
    )


def report(rows, missing, failed, args):
    """Prints and writes the summary; returns the exit status."""
    found = {"processor": processor(), "threads": args.threads, "ours": args.ours, "peer": args.peer, "rows": rows}
    if rows:
        means, worst = summary(rows)
        mean = math.exp(statistics.fmean(math.log(r["ratio"]) for r in rows))
        print("\n" + "\n".join(f"{f:20s} geometric mean {m:.2f}" for f, m in means.items()))
        print(f"all rows: geometric mean {mean:.2f}")
        print(f"slowest row: {worst['name']}, {worst['ratio']:.2f}")
        found.update(families=means, mean=mean, worst=worst["name"])
    if missing:
        print(f"not available: {len(missing)} row(s)")
    if failed:
        print("failed: " + ", ".join(failed))
    if args.json:
        args.json.write_text(json.dumps({**found, "missing": missing, "failed": failed}, indent=1))
    below = [r["name"] for r in rows if args.fail_under is not None and r["ratio"] < args.fail_under]
    if below:
        print(f"below {args.fail_under}: " + ", ".join(below))
    return 1 if failed or below else 0


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="comma-separated parts or patterns of row or family names")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--ours", choices=("tnn", "tnn.compile"), default="tnn")
    parser.add_argument("--peer", choices=tuple(ROWS), default="torch")
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has the peer")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--fail-under", type=float, help="exit with 1 if a row's ratio is below this")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        return worker(args.worker, args.threads)
    sys.path.insert(0, str(HERE))
    from cases import CASES

    ours = Peer(sys.executable, args.ours, args.threads)
    theirs = Peer(args.peer_python, args.peer, args.threads)
    print(f"{processor()}, {args.threads} thread(s); ratio: {args.peer}'s time / {args.ours}'s, above 1 tnn is faster")
    rows, missing, failed = [], [], []
    whole = (args.ours, args.peer) == ("tnn.compile", "torch")
    for case in choose(CASES, args.only or ROWS["torch.compile" if whole else args.peer]):
        try:
            row = compare(case, ours, theirs, args.turns)
        except NotAvailable as e:
            missing.append(case.name)
            print(f"{case.name:44s} not available: {e}", flush=True)
        except RuntimeError as e:
            failed.append(case.name)
            print(f"{case.name:44s} failed: {e}", flush=True)
        else:
            rows.append(row)
            show(row, args.peer)
    ours.close()
    theirs.close()
    return report(rows, missing, failed, args)


if __name__ == "__main__":
    sys.exit(main())
