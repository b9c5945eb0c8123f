"""The most memory that a process needs: the interpreter with the library, and 20 runs of a row."""

import subprocess
import sys

from . import common

PREPARE = """
import sys
sys.path.insert(0, sys.argv[1])
from benchmarks.common import prepared
prepared(sys.argv[2], 1)
"""


class Baseline:
    """What an interpreter takes that has only imported tnn: a part of all peaks."""

    def peakmem_import(self):
        import tnn

        tnn.set_num_threads(1)


class Peak:
    """Peak memory of steps and of some large rows."""

    timeout = 300
    param_names = ["row"]
    params = common.rows("step") + [
        "step two-layer encoder d=128 16x64 dropout 0.0",
        "conv2d 64->64 3x3 8x64x32x32 forward+backward",
        "sdpa causal 2x8x512x64 forward+backward",
        "relu 2048x4096 forward+backward",
    ]

    def setup(self, row):
        # In a process of its own, so that this one loads compiled kernels: compiling takes more memory than any row.
        subprocess.run([sys.executable, "-c", PREPARE, common.PERF, row], check=True)

    def peakmem_row(self, row):
        run = common.prepared(row, 1)
        for _ in range(20):
            run()
