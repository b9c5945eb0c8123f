"""The rows of `tnn/_warmup.py`: each runs, forward and backward, with and without bounds checks.

Under NUMBA_BOUNDSCHECK=1 a kernel that leaves its arrays raises; without the compiler kernels are plain Python, which
those that consist of vector code cannot be.
"""

import pytest

import tnn
from tnn import _warmup

# Families whose kernels, forward and backward, do without vector code.
PLAIN = "ctc distance dropout fold indexing loss normalization optim padding reduction shape softmax sort".split()


@pytest.mark.boundscheck
@pytest.mark.parametrize("family", _warmup.ROWS)
def test_rows_run(family):
    for row in _warmup.ROWS[family]:
        _warmup.run_row(row, tnn.float32)


@pytest.mark.nojit
@pytest.mark.parametrize("family", PLAIN)
def test_rows_run_without_the_compiler(family):
    for row in _warmup.ROWS[family]:
        _warmup.run_row(row, tnn.float64)
