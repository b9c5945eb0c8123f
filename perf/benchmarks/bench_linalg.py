"""Factorisations and solvers."""

from . import common


class Linalg(common.Rows):
    """Factorisations and solvers."""

    params = [common.rows("linalg"), common.THREADS]
