"""Ready-made parametrizations: weight normalisation, spectral normalisation, orthogonal matrices."""

from ...autograd.grad_mode import no_grad
from ...ops import weight_norm as ops
from ...tensor import Tensor
from ..modules.module import Module
from . import _orthogonal, parametrize
from .spectral_norm import as_matrix, output_dim, random_unit, unit

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _tensor_of(module, name):
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


class _Orthogonal(Module):
    """An orthogonal (or semi-orthogonal) matrix as a function of an unconstrained one.

    Args:
        weight: the tensor that is parametrized.
        orthogonal_map: the name of the function.
        use_trivialization: multiply by a fixed orthogonal matrix ``base``, so that any value can be assigned.
    """

    def __init__(self, weight, orthogonal_map, use_trivialization=True):
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X):
        """The orthogonal matrix."""
        n, k = X.shape[-2:]
        transposed = n < k
        if transposed:
            X, n, k = X.mT, k, n
        if self.orthogonal_map == "householder":
            Q = _orthogonal.householder(X)
        else:
            X = X.tril()
            if n != k:
                X = _orthogonal.pad_columns(X, n - k)
            A = X - X.mT
            Q = _orthogonal.matrix_exp(A) if self.orthogonal_map == "matrix_exp" else _orthogonal.cayley(A)
            if n != k:
                Q = Q[..., :k]
        if hasattr(self, "base"):
            Q = self.base.matmul(Q)
        return Q.mT if transposed else Q

    @no_grad()
    def right_inverse(self, Q):
        """The unconstrained matrix for ``Q``, which is made orthogonal where it is not.

        Raises:
            ValueError: ``Q`` has another shape.
            NotImplementedError: there is no ``base``, and the map has no inverse.
        """
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}."
            )
        given = Q
        n, k = Q.shape[-2:]
        transposed = n < k
        if transposed:
            Q, n, k = Q.mT, k, n
        if not hasattr(self, "base"):
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            A = _orthogonal.reflectors(Q)
            return A.mT if transposed else A
        if n != k:
            Q = _orthogonal.random_columns(Q, n - k)
        if n == k and _orthogonal.is_orthogonal(Q):
            Q = Q.clone()
        else:
            Q = _orthogonal.orthonormalize(Q)
        self.base = Q
        return _orthogonal.minus_identity(given)


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    r"""Makes a weight orthogonal: :math:`Q^T Q = I` (or :math:`Q Q^T = I` where it has more columns than rows).

    Args:
        module: the module.
        name: the name of a tensor with two dimensions or more; each of its matrices is made orthogonal.
        orthogonal_map: how Q comes from the parameter X: ``"matrix_exp"`` and ``"cayley"`` take
            :math:`A = \operatorname{tril}(X) - \operatorname{tril}(X)^T` to :math:`e^A` and
            :math:`(I - A/2)^{-1} (I + A/2)`, ``"householder"`` multiplies the reflections at X's columns. None:
            matrix_exp for square matrices, else householder.
        use_trivialization: keep a fixed orthogonal matrix beside X, which the result is multiplied by: so the first
            weight can be anything, and any can be assigned (arXiv 1909.09501).

    Returns:
        The module.

    Raises:
        ValueError: there is no such tensor, it has less than two dimensions, or the map is unknown.
    """
    weight = _tensor_of(module, name)
    if weight.dim() < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    map_module = _Orthogonal(weight, orthogonal_map, use_trivialization)
    parametrize.register_parametrization(module, name, map_module, unsafe=True)
    return module


class _WeightNorm(Module):
    """g * v / |v|; arguments of :func:`weight_norm`."""

    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        """The weight of magnitude and direction."""
        return ops.weight_norm(weight_v, weight_g, self.dim)

    def right_inverse(self, weight):
        """Magnitude and direction of a weight."""
        return ops.norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module, name="weight", dim=0):
    r"""Weight normalisation: :math:`w = g \, v / \|v\|`, magnitude g and direction v learned apart (arXiv 1602.07868).

    Args:
        module: the module; ``parametrizations.NAME.original0`` is g, ``original1`` is v.
        name: the weight's name.
        dim: the dimension along which norms are apart; None: one norm for all.

    Returns:
        The module.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        """Takes a state_dict of the older ``tnn.nn.utils.weight_norm``."""
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    """A weight over its largest singular value; arguments of :func:`spectral_norm`."""

    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        n = weight.dim()
        if not -n <= dim < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{n}, {n - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % n
        self.eps = eps
        if n > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            self.register_buffer("_u", random_unit(weight, matrix.shape[0], eps))
            self.register_buffer("_v", random_unit(weight, matrix.shape[1], eps))
            self._power_method(matrix, 15)

    @no_grad()
    def _power_method(self, matrix, n_power_iterations):
        for _ in range(n_power_iterations):
            self._u.copy_(unit(matrix.mv(self._v), self.eps))
            self._v.copy_(unit(matrix.t().mv(self._u), self.eps))

    def forward(self, weight):
        """The normalised weight; in training mode the singular vectors are brought closer first."""
        if weight.dim() == 1:
            return unit(weight, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # the next call changes the buffers, while backward still needs these values
        u, v = self._u.clone(), self._v.clone()
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value):
        """The weight itself."""
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Spectral normalisation: a weight divided by its largest singular value (arXiv 1802.05957).

    Args:
        module: the module.
        name: the weight's name.
        n_power_iterations: steps of the power iteration for each time the weight is computed in training mode.
        eps: the least length by which a vector is divided.
        dim: the dimension that numbers the outputs; None: 1 for transposed convolutions, else 0.

    Returns:
        The module.

    Raises:
        ValueError: there is no such tensor, or ``n_power_iterations`` is not positive.
        IndexError: ``dim`` is out of range.
    """
    weight = _tensor_of(module, name)
    dim = output_dim(module) if dim is None else dim
    parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module
