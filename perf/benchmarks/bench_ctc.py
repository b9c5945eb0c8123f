"""Connectionist temporal classification."""

from . import common


class Ctc(common.Rows):
    """Connectionist temporal classification."""

    params = [common.rows("ctc"), common.THREADS]
