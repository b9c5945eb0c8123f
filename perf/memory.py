"""Memory of training: resident memory over many steps, and the peak beside PyTorch's on the same models.

    python perf/memory.py                                   10,000 steps of a small network: resident memory over time
    python perf/memory.py --rows "step LeNet*" --steps 2000
    python perf/memory.py --peak --peer-python PATH         peak memory of a few rows, tnn and PyTorch

Each row runs in a process of its own, after another one has compiled its kernels. "import" is the resident memory with
the library imported, "peak" the most that the process ever had, "training" the difference: what model, gradients,
buffers and machine code took. Resident memory counts as flat when it grew by less than 1 % and 2 MiB from a tenth of
the steps on.
"""

import argparse
import fnmatch
import gc
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEAK_ROWS = (
    "step MLP 784-512-256-10 batch 128",
    "step LeNet batch 64",
    "step two-block CNN batch 32",
    "step two-layer encoder d=128 16x64 dropout 0.0",
)
FLAT_ROW = "step MLP 8-16-4 batch 16"
MIB = 1 << 20


def status(key):
    """Bytes of a field of /proc/self/status: VmRSS, what is resident now, or VmHWM, the most that ever was."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) << 10
    raise KeyError(key)


def worker(name, row, steps, threads):
    """Runs a row and returns resident memory: after importing, at twenty points on the way, and at most."""
    sys.path[:0] = [str(HERE), str(ROOT)]
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    lib = importlib.import_module(name)
    importlib.import_module(name + ".nn")
    importlib.import_module(name + ".optim")
    from cases import CASES

    lib.set_num_threads(threads)
    imported = status("VmRSS")
    run = next(c for c in CASES if c.name == row).make(lib)
    found = []
    every = max(1, steps // 20)
    for step in range(steps):
        if step % every == 0:
            gc.collect()
            found.append((step, status("VmRSS")))
        run()
    gc.collect()
    found.append((steps, status("VmRSS")))
    return {"import": imported, "resident": found, "peak": status("VmHWM")}


def measure(python, name, row, steps, threads):
    """The worker's answer for a row in a fresh process of an interpreter."""
    command = [python, str(HERE / "memory.py"), "--worker", name, "--rows", row]
    command += ["--steps", str(steps), "--threads", str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def growth(resident):
    """Bytes by which resident memory grew from a tenth of the steps on."""
    last = resident[-1][0]
    settled = next(size for step, size in resident if step >= last / 10)
    return resident[-1][1] - settled


def is_flat(resident):
    """Whether memory grew by less than 1 % and 2 MiB from a tenth of the steps on."""
    return growth(resident) < max(resident[-1][1] // 100, 1) and growth(resident) < 2 * MIB


def flat(rows, args):
    """Resident memory of rows over many steps; returns whether all are flat."""
    found = {}
    for row in rows:
        measure(sys.executable, "tnn", row, 2, args.threads)
        got = found[row] = measure(sys.executable, "tnn", row, args.steps, args.threads)
        print(f"{row}, {args.threads} thread(s)")
        for step, size in got["resident"]:
            print(f"  {step:8d} steps {size / MIB:9.1f} MiB")
        word = "flat" if is_flat(got["resident"]) else "GROWS"
        print(f"  {word}: {growth(got['resident']) / MIB:+.2f} MiB from a tenth of the steps on", flush=True)
    return found, all(is_flat(got["resident"]) for got in found.values())


def peaks(rows, args):
    """Peak memory of rows, tnn and PyTorch; returns whether tnn's is at most PyTorch's for all."""
    found = {}
    print(f"{'MiB, ' + str(args.threads) + ' thread(s)':50s}    tnn: import training    peak   PyTorch: the same")
    for row in rows:
        measure(sys.executable, "tnn", row, 2, args.threads)
        pair = found[row] = {
            "tnn": measure(sys.executable, "tnn", row, args.steps, args.threads),
            "torch": measure(args.peer_python, "torch", row, args.steps, args.threads),
        }
        text = f"{row:50s}"
        for got in pair.values():
            sizes = got["import"], got["peak"] - got["import"], got["peak"]
            text += "    " + " ".join(f"{s / MIB:8.1f}" for s in sizes)
        print(text, flush=True)
    return found, all(p["tnn"]["peak"] <= p["torch"]["peak"] for p in found.values())


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="comma-separated names or patterns of rows")
    parser.add_argument("--steps", type=int, help="runs of a row: 10,000, for peaks 50")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak", action="store_true", help="peak memory beside PyTorch's")
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has PyTorch")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.steps = args.steps or (50 if args.peak else 10_000)
    if args.worker:
        print(json.dumps(worker(args.worker, args.rows, args.steps, args.threads)))
        return 0
    sys.path.insert(0, str(HERE))
    from cases import CASES

    names = list(PEAK_ROWS) if args.peak else [FLAT_ROW]
    if args.rows:
        names = [c.name for c in CASES if any(fnmatch.fnmatch(c.name, w) for w in args.rows.split(","))]
    found, good = (peaks if args.peak else flat)(names, args)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
