"""Shared by the tests and by the examples in docstrings."""

import numpy as np
import pytest
from hypothesis import settings

import tnn
from tnn.kernels import _entry

settings.register_profile("tnn", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("tnn")

_entry.PATIENCE = 0  # small arrays take the short way from the second call on


@pytest.fixture(autouse=True)
def seeded(request):
    """Every test starts from the same random state and in the default dtype and grad mode."""
    np.random.seed(0)
    if hasattr(tnn, "manual_seed"):
        tnn.manual_seed(0)
    yield
    tnn.set_default_dtype(tnn.float32)
    tnn.set_grad_enabled(True)


@pytest.fixture(autouse=True)
def example(request, doctest_namespace):
    """An example in a docstring need not import these, and writes its files elsewhere."""
    doctest_namespace.update(np=np, tnn=tnn)
    if isinstance(request.node, pytest.DoctestItem):
        request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))
