"""What a fresh process pays: importing, and the first call with and without compiled kernels on disk."""

from . import common

PLACE = f"""
import atexit, os, shutil, sys, tempfile
sys.path.insert(0, {common.PERF!r})
"""
EMPTY = """
folder = tempfile.mkdtemp()
atexit.register(shutil.rmtree, folder, True)
os.environ["TNN_CACHE_DIR"] = folder
"""
READY = """
from cases import CASES
import tnn
case = next(c for c in CASES if c.name == {row!r})
"""


class Import:
    """Importing, beside what is imported in any case."""

    timeout = 120
    repeat = 5

    def timeraw_tnn(self):
        return "import tnn"

    def timeraw_numba(self):
        return "import numba"


class FirstCall:
    """Making a row's inputs and running it once, in a process that has only imported tnn."""

    timeout = 600
    number = 1
    repeat = 3
    param_names = ["row"]
    params = [
        "relu 8 forward",
        "relu 8 forward+backward",
        "linear 1x8->8 forward+backward",
        "conv2d 4->4 3x3 1x4x8x8 forward+backward",
        "step MLP 8-16-4 batch 16",
        "step LeNet batch 64",
    ]

    def timeraw_cold(self, row):
        return "case.make(tnn)()", PLACE + EMPTY + READY.format(row=row)

    def timeraw_warm(self, row):
        return "case.make(tnn)()", PLACE + READY.format(row=row)
