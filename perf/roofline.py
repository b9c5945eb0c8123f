"""How near each row of cases.py comes to what the machine can do.

    python perf/roofline.py                                    the machine, and every row on one thread
    python perf/roofline.py --only gemm,softmax --threads 2
    python perf/roofline.py --machine --json machine.json      the machine alone

The machine's limits are measured with kernels of reference.py: the peak of fused multiply-adds, the bandwidth of
reading, writing, copying and of a triad with arrays that fit the level 2 cache, the level 3 cache and neither, and the
time of calling a compiled kernel from Python. A row says what it has to do at least (making.Work); the limit that would
take longest is the one that binds, and the row's share is that least time by the time it took. A share above 100 % of a
memory level's bandwidth means that a part of the data stayed nearer to the core.
"""

import argparse
import fnmatch
import importlib
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import reference  # noqa: E402
from cases import CASES  # noqa: E402


def choose(only):
    """Rows whose family is, or whose name holds or matches, one of the comma-separated words."""
    words = only.split(",") if only else ["*"]
    return [c for c in CASES if any(w == c.family or w in c.name or fnmatch.fnmatch(c.name, w) for w in words)]


def machine(threads):
    """The limits: operations a second, bytes a second by level and way, seconds to start a kernel."""
    return {
        "path": reference.NAME,
        "threads": threads,
        "flops": {d: reference.fma_peak(threads, d) for d in ("float32", "float64")},
        "bandwidth": {
            level: {way: reference.bandwidth(way, level, threads) for way in reference.WAYS}
            for level in reference.LEVELS
        },
        "launch": reference.launch(),
    }


def limits(work, dtype, roof):
    """Least seconds by each limit: a dict of limit and seconds."""
    moved = work.read + work.written
    level = reference.level_of(moved, roof["threads"])
    way = reference.way_of(work.read, work.written)
    return {
        f"FMA {dtype}": work.flops / roof["flops"][dtype],
        f"{level} {way}": moved / roof["bandwidth"][level][way],
        "launch": work.launches * roof["launch"],
    }


def seconds_of(run, budget):
    """The lower quartile of short batches of runs after warming up: what a row takes, without the disturbances."""
    run()
    start = time.perf_counter()
    run()
    once = max(time.perf_counter() - start, 1e-7)
    count = max(1, int(0.005 / once))
    times = []
    end = time.perf_counter() + budget
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(count):
            run()
        times.append((time.perf_counter() - start) / count)
    return sorted(times)[len(times) // 4]


def measure(case, lib, roof, budget):
    """One row: its time, the limit that binds it and the share of it that was reached."""
    run = case.make(lib)
    work = run.work()
    dtype = "float64" if "float64" in case.name else "float32"
    seconds = seconds_of(run, budget)
    bounds = limits(work, dtype, roof)
    binding = max(bounds, key=bounds.get)
    return {
        "name": case.name,
        "family": case.family,
        "seconds": seconds,
        "limit": binding,
        "share": bounds[binding] / seconds,
        "gflops": work.flops / seconds / 1e9,
        "gbytes": (work.read + work.written) / seconds / 1e9,
    }


def show_machine(roof):
    """Prints the limits."""
    print(f"{roof['threads']} thread(s), {roof['path']}: ", end="")
    print(", ".join(f"{v / 1e9:.0f} GFLOP/s {d}" for d, v in roof["flops"].items()), end="")
    print(f", {roof['launch'] * 1e6:.2f} us to start a kernel")
    for level, ways in roof["bandwidth"].items():
        print(f"  {level:8s}" + "".join(f"{way:>8s} {v / 1e9:6.1f} GB/s" for way, v in ways.items()))


def main(argv=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="comma-separated parts or patterns of row or family names")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.15, help="time for each row")
    parser.add_argument("--machine", action="store_true", help="measure the machine and no row")
    parser.add_argument("--worst", action="store_true", help="lowest shares first")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    lib = importlib.import_module("tnn")
    lib.set_num_threads(args.threads)
    roof = machine(args.threads)
    show_machine(roof)
    rows = []
    for case in [] if args.machine else choose(args.only):
        row = measure(case, lib, roof, args.seconds)
        rows.append(row)
        if not args.worst:
            show(row)
    if args.worst:
        for row in sorted(rows, key=lambda r: r["share"]):
            show(row)
    if args.json:
        args.json.write_text(json.dumps({"machine": roof, "rows": rows}, indent=1))


def show(row):
    """Prints a row."""
    rate = f"{row['gflops']:8.1f} GFLOP/s" if row["limit"].startswith("FMA") else f"{row['gbytes']:8.1f} GB/s   "
    print(
        f"{row['name']:56s} {row['seconds'] * 1e6:11.1f} us {rate}  {row['share']:6.1%} of {row['limit']}", flush=True
    )


if __name__ == "__main__":
    main()
