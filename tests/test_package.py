"""The package as a whole: what importing it costs, what its floors may import, its README and its command line."""

import ast
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import tnn

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tnn"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FLOORS = {"kernels": 1, "tensor": 2, "autograd": 2, "ops": 3, "nn": 4, "optim": 4, "utils": 4, "distributed": 4}
FLOORS["quantization"] = 4
JIT_NAMES = {"njit", "jit", "vectorize", "guvectorize", "stencil", "cfunc"}


def run(*command, **env):
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=600)


def floor(parts):
    return FLOORS.get(parts[0].removesuffix(".py")) if parts else None


def imported(node, path):
    """Parts, below tnn, of the modules that a statement may import."""
    if isinstance(node, ast.Import):
        return [a.name.split(".")[1:] for a in node.names if a.name.split(".")[0] == "tnn"]
    base = (node.module or "").split(".") if node.module else []
    if node.level:
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        base = parts[: len(parts) - node.level] + base
    if base[:1] != ["tnn"]:
        return []
    return [base[1:] or [a.name] for a in node.names]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_source(path):
    """Imports at module level point down, code is compiled under kernels/ only, and NaN survives."""
    tree = ast.parse(path.read_text())
    parts = path.relative_to(PACKAGE).parts
    mine = floor(parts)
    for node in tree.body:
        if mine and isinstance(node, (ast.Import, ast.ImportFrom)):
            above = [".".join(p) for p in imported(node, path) if (floor(p) or 0) > mine]
            assert not above, f"line {node.lineno}: floor {mine} imports {above}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and parts[0] != "kernels":
            decorators = {n.id for d in node.decorator_list for n in ast.walk(d) if isinstance(n, ast.Name)}
            assert not decorators & JIT_NAMES, f"line {node.lineno}: {node.name} is compiled outside kernels/"
        if isinstance(node, ast.keyword) and node.arg == "fastmath":
            assert not (isinstance(node.value, ast.Constant) and node.value.value is True), "fastmath=True drops NaN"


def test_every_folder_is_a_package():
    assert [str(p.parent) for p in SOURCES if not (p.parent / "__init__.py").exists()] == []
    assert (PACKAGE / "py.typed").exists()


def test_importing_compiles_nothing_and_stays_small():
    code = """
        import sys
        import numba  # brings scipy where there is one
        from numba.core import event
        with event.install_recorder("numba:compile") as seen:
            import tnn
        from numba.core.registry import cpu_target
        heavy = {"torch", "sklearn", "matplotlib", "tqdm", "pandas", "safetensors", "asyncio"}
        # The target's registries are read at the first compilation or load: 0.1 s.
        heavy |= {"tnn.nn", "tnn.optim", "tnn.ops.pointwise", "tnn.ops.reduction", "tnn.kernels.conv"}
        print(len(seen.buffer), len(cpu_target.typing_context._registries), sorted(heavy & set(sys.modules)))
        """
    done = run(sys.executable, "-c", "\n".join(line[8:] for line in code.splitlines()))
    assert done.stdout.split("\n")[0] == "0 0 []", done.stderr


def test_importing_takes_little_longer_than_numba(tmp_path):
    """CPU time, the least of several runs: at most 1.3 times Numba's own import."""

    bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}  # as an installed package has it

    def seconds(code):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(sys.executable, "-c", code, **bytecode).check_returncode()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    seconds("import tnn")
    pairs = [(seconds("import numba"), seconds("import tnn")) for _ in range(6)]
    assert min(ours for _, ours in pairs) <= 1.3 * min(numba for numba, _ in pairs)


def test_readme_example(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    space: dict = {}
    for block in blocks:
        exec(block, space)
    assert space["loss"].item() < 0.02


def test_readme_commands():
    text = (ROOT / "README.md").read_text()
    commands = [c.strip() for b in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for c in b.splitlines()]
    expected = ["python -m pytest -n 2 --dist loadfile --no-loadscope-reorder"]
    assert [c for c in commands if c.startswith("python -m pytest ")] == expected
    for command in commands:
        if command.startswith("python examples/"):
            assert (ROOT / command.split()[1]).exists()


def test_info(tmp_path):
    done = run(sys.executable, "-m", "tnn", "info", TNN_CACHE_DIR=str(tmp_path), TNN_NUM_THREADS="3")
    assert done.returncode == 0, done.stderr
    rows = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert rows["tnn"].strip() == tnn.__version__
    assert rows["threads"].split()[0] == "3"
    assert str(tmp_path) in rows["compile cache"] and "0 entries" in rows["compile cache"]
    assert {"with", "Python", "CPU", "vector code"} <= set(rows)


def test_warmup_fills_the_cache_once(tmp_path):
    command = (sys.executable, "-m", "tnn", "warmup", "-j", "2", "--only", "fold")
    done = run(*command, TNN_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="0")
    assert done.returncode == 0, done.stdout + done.stderr
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")}
    assert files
    done = run(*command, TNN_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="0")
    assert done.returncode == 0 and str(tmp_path) in done.stdout
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")} == files


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("--only", "nothing"), "no such family: nothing"), (("-j", "0"), "expects a positive number")],
)
def test_warmup_refuses(arguments, says):
    done = run(sys.executable, "-m", "tnn", "warmup", *arguments)
    assert done.returncode == 2 and says in done.stderr
