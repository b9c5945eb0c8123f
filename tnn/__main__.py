"""``python -m tnn info`` and ``python -m tnn warmup``."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import metadata

from .kernels import _cache, _jit


def info() -> int:
    """Print versions, the CPU and the path chosen for it, threads and the compile cache."""
    import llvmlite.binding

    import tnn

    from .kernels import _simd

    packages = ("numba", "llvmlite", "numpy", "ml_dtypes", "safetensors")
    versions = [f"{name} {metadata.version(name)}" for name in packages]
    features = _simd.cpu_features()
    shown = [f for f in "avx2 fma avx512f avx512vnni avx512bf16 amx-tile neon sve".split() if f in features]
    folder = _cache.cache_dir()
    entries = _cache.entries(folder)
    size = sum(stat.st_size for _, stat in entries)
    rows = {
        "tnn": tnn.__version__,
        "with": ", ".join(versions),
        "Python": f"{platform.python_version()} on {platform.platform()}",
        "CPU": f"{llvmlite.binding.get_host_cpu_name()} ({', '.join(shown) or 'no vector extensions of note'})",
        "vector code": _simd.PATH,
        "threads": f"{_jit.get_num_threads()} ({_jit.threading_layer()})",
        "compile cache": f"{folder} ({len(entries)} entries, {size / 2**20:.1f} MiB)",
    }
    for name, text in rows.items():
        print(f"{name + ':':15s}{text}")
    return 0


def worker(families: list[str], dtypes: list[str]) -> int:
    """Run the rows of some families; one line of output for each: its text, or what went wrong."""
    import tnn
    from tnn import _warmup

    from .kernels import _entry

    _entry.PATIENCE = 0
    failed = 0
    for family in families:
        for row in _warmup.ROWS[family]:
            for dtype in dtypes:
                try:
                    _warmup.run_row(row, getattr(tnn, dtype))
                except Exception as error:  # reported, and counted in the exit status
                    failed += 1
                    text = str(error).strip().split("\n")[0][:150]
                    print(f"failed {family}: {row[0]} ({dtype}): {type(error).__name__}: {text}", flush=True)
                else:
                    print(f"done {family}: {row[0]} ({dtype})", flush=True)
    return min(failed, 1)


def _progress(total: int) -> tuple[Callable[[str], None], Callable[[], None]]:
    """Functions that note one finished row and the end: a bar by tqdm, or plain text without it."""
    try:
        from tqdm import tqdm
    except ImportError:
        seen = [0]

        def plain(family: str) -> None:
            seen[0] += 1
            if seen[0] % 25 == 0 or seen[0] == total:
                print(f"{seen[0]}/{total} {family}", file=sys.stderr, flush=True)

        return plain, lambda: None
    bar = tqdm(total=total, unit="call", dynamic_ncols=True)

    def advance(family: str) -> None:
        bar.set_postfix_str(family, refresh=False)
        bar.update()

    return advance, bar.close


def _lines(family: str, dtypes: list[str]) -> Iterator[str]:
    command = [sys.executable, "-m", "tnn", "warmup", "--worker", "--only", family, "--dtypes", *dtypes]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield line.rstrip("\n")
    if process.returncode < 0:
        yield f"failed {family}: ended by signal {-process.returncode}"


def warmup(jobs: int, families: list[str] | None, dtypes: list[str]) -> int:
    """Compile ahead, a family per process; returns 1 if a call failed."""
    from tnn import _warmup

    unknown = set(families or ()) - set(_warmup.ROWS)
    if unknown:
        print(f"no such family: {', '.join(sorted(unknown))}; there are {', '.join(_warmup.ROWS)}", file=sys.stderr)
        return 2
    # The longest first: the last process to end decides.
    chosen = sorted(families or _warmup.ROWS, key=lambda f: -len(_warmup.ROWS[f]))
    start = time.perf_counter()
    advance, close = _progress(len(dtypes) * sum(len(_warmup.ROWS[f]) for f in chosen))
    failures: list[str] = []

    def follow(family: str) -> None:
        for line in _lines(family, dtypes):
            if line.startswith(("done ", "failed ")):
                advance(family)
            if line.startswith("failed "):
                failures.append(line.removeprefix("failed "))

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for future in as_completed([pool.submit(follow, f) for f in chosen]):
            future.result()
    close()
    print("\n".join(sorted(failures)), end="\n" if failures else "")
    print(f"compiled kernels are in {_cache.cache_dir()} ({time.perf_counter() - start:.0f} s)")
    return 1 if failures else 0


def main(argv: list[str] | None = None) -> int:
    """Run a command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tnn", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="show versions, the CPU, threads and the compile cache")
    one = commands.add_parser("warmup", help="compile kernels ahead of their first call")
    one.add_argument("-j", "--jobs", type=int, default=_jit.get_num_threads(), help="processes (default: the threads)")
    one.add_argument("--float64", action="store_true", help="for float64 too")
    one.add_argument("--only", nargs="+", metavar="FAMILY", help="these families of operations alone")
    one.add_argument("--dtypes", nargs="+", help=argparse.SUPPRESS)
    one.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.command == "info":
        return info()
    if options.jobs < 1:
        parser.error(f"--jobs expects a positive number, but got {options.jobs}")
    dtypes = options.dtypes or (["float32", "float64"] if options.float64 else ["float32"])
    if options.worker:
        return worker(options.only, dtypes)
    return warmup(options.jobs, options.only, dtypes)


if __name__ == "__main__":
    sys.exit(main())
