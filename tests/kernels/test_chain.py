"""Chains: generated loops and their place in the compile cache."""

import numpy as np

from tnn.kernels import _cache, _chain, activation, pointwise

TEXT = """@loop
def chain(x0, x1, y0, n, z0):
    for i in range(n):
        a = mul_forward(x0[i], x1[0])
        y0[i] = {}_forward(apart(a, z0))


@entry
def chain_at(at, n, numbers):
    chain(pointer(at[0]), pointer(at[1]), pointer(at[2]), n, at[3])
"""


def made(name, kind):
    kernels = {"mul_forward": pointwise.mul_forward, f"{name}_forward": getattr(activation, f"{name}_forward")}
    return _chain.chain(TEXT.format(name), kernels, kind)


def test_rows_and_columns():
    for kind in (np.float32, np.float64):
        for rows, width in ((3, 5), (3, 40000), (700, 100), (1, 1), (0, 4), (4, 0)):
            x = np.random.default_rng(0).standard_normal((rows, width)).astype(kind)
            w = np.arange(rows, dtype=kind) - 1
            y = np.full((rows, width), 7, kind)
            at = np.array([*(a.ctypes.data for a in (x, w, y)), 0])
            item = x.itemsize
            dims = np.array([[rows, width * item, item, width * item, 0], [width, item, 0, item, 0]])
            _chain.run_chain(made("relu", kind), at, dims, np.zeros(1))
            assert np.array_equal(y, np.maximum(x * w[:, None], 0))


def test_one_text_is_compiled_once():
    assert made("relu", np.float32) == made("relu", np.float32)
    assert len({made("relu", np.float32), made("relu", np.float64), made("tanh", np.float32)}) == 3


def test_the_cache_goes_by_the_text(tmp_path):
    path = _cache.KERNELS + "_chains/0/chain.py"
    stamps = set()
    for text in ("one", "other"):
        _cache.adopt(path, text, _chain.__file__)
        stamps.add(_cache.source_stamp(path))
    helper = tmp_path / "helper.py"
    helper.write_text("x = 1")
    _cache.adopt(path, "other", str(helper))
    stamps.add(_cache.source_stamp(path))
    assert len(stamps) == 3 and None not in stamps


def test_loops_are_kept_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("TNN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_chain, "_compiled", {})
    made("relu", np.float32)
    files = sorted(p.name for p in (tmp_path / "chain").iterdir())
    assert [name.partition("-")[0] for name in files] == ["chain", "chain_at"]
    _chain._compiled.clear()
    made("relu", np.float32)
    assert sorted(p.name for p in (tmp_path / "chain").iterdir()) == files
