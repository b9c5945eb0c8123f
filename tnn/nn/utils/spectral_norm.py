r"""Spectral normalisation: a weight divided by its largest singular value, which a power iteration follows
(arXiv 1802.05957)."""

from ...autograd.grad_mode import no_grad
from ..parameter import Parameter, is_lazy

__all__ = [
    "SpectralNorm",
    "SpectralNormLoadStateDictPreHook",
    "SpectralNormStateDictHook",
    "remove_spectral_norm",
    "spectral_norm",
]

_TRANSPOSED = {"ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"}


def output_dim(module):
    """The dimension of a module's weight that numbers its outputs: 1 for transposed convolutions, else 0."""
    return 1 if any(c.__name__ in _TRANSPOSED for c in type(module).__mro__) else 0


def as_matrix(weight, dim):
    """``weight`` with ``dim`` first and the others flattened."""
    if dim != 0:
        weight = weight.permute(dim, *[d for d in range(weight.dim()) if d != dim])
    return weight.flatten(1) if weight.dim() > 1 else weight.reshape(-1, 1)


def unit(x, eps):
    """x / max(|x|, eps), of a vector."""
    return x / x.norm(2).clamp(min=eps)


def random_unit(weight, n, eps):
    """A random vector of length 1 and the dtype of ``weight``."""
    return unit(weight.new_empty(n).normal_(0, 1), eps)


class SpectralNorm:
    """The forward pre-hook of :func:`spectral_norm`; arguments as there."""

    _version = 1

    def __init__(self, name="weight", n_power_iterations=1, dim=0, eps=1e-12):
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.dim = dim
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def reshape_weight_to_matrix(self, weight):
        """``weight`` as (outputs, rest)."""
        return as_matrix(weight, self.dim)

    def compute_weight(self, module, do_power_iteration):
        """The weight over its largest singular value; recorded.

        Args:
            module: the module, whose buffers ``name_u`` and ``name_v`` hold the singular vectors.
            do_power_iteration: first bring these closer to the weight's, in place.
        """
        weight = getattr(module, self.name + "_orig")
        u = getattr(module, self.name + "_u")
        v = getattr(module, self.name + "_v")
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(unit(matrix.t().mv(u), self.eps))
                    u.copy_(unit(matrix.mv(v), self.eps))
                # the next call changes the buffers, while backward still needs these values
                u, v = u.clone(), v.clone()
        sigma = u.dot(matrix.mv(v))
        return weight / sigma

    def remove(self, module):
        """Makes the normalised weight a parameter again."""
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        for suffix in ("", "_u", "_v", "_orig"):
            delattr(module, self.name + suffix)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module, do_power_iteration=module.training))

    def _solve_v_and_rescale(self, matrix, u, sigma):
        """A v with u = unit(matrix v) and u . matrix v = sigma."""
        from ...ops.linalg import pinv

        v = pinv(matrix).mv(u)
        return v * (sigma / u.dot(matrix.mv(v)))

    @staticmethod
    def apply(module, name, n_power_iterations, dim, eps):
        """Registers the hooks and replaces the weight; see :func:`spectral_norm`."""
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm) and hook.name == name:
                raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
        fn = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        if is_lazy(weight):
            raise ValueError(
                f"The module passed to `SpectralNorm` can't have uninitialized parameters, `{name}` is one: run a "
                "forward first"
            )
        with no_grad():
            h, w = fn.reshape_weight_to_matrix(weight).shape
            u = random_unit(weight, h, eps)
            v = random_unit(weight, w, eps)
        delattr(module, name)
        module.register_parameter(name + "_orig", weight)
        setattr(module, name, weight.data)  # a plain attribute, so that whoever looks for the weight finds one
        module.register_buffer(name + "_u", u)
        module.register_buffer(name + "_v", v)
        module.register_forward_pre_hook(fn)
        module._register_state_dict_hook(SpectralNormStateDictHook(fn))
        module._register_load_state_dict_pre_hook(SpectralNormLoadStateDictPreHook(fn))
        return fn


class SpectralNormLoadStateDictPreHook:
    """Reads state_dicts of the version before 1, which hold the normalised weight and no ``v``.

    Args:
        fn: the SpectralNorm.
    """

    def __init__(self, fn):
        self.fn = fn

    def __call__(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        fn = self.fn
        version = local_metadata.get("spectral_norm", {}).get(fn.name + ".version", None)
        if version is not None and version >= 1:
            return
        key = prefix + fn.name
        if version is None and key not in state_dict and all(key + s in state_dict for s in ("_orig", "_u", "_v")):
            return  # a current state_dict without metadata
        missing = [key + s for s in ("_orig", "", "_u") if key + s not in state_dict]
        if missing:
            if strict:
                missing_keys.extend(missing)
            return
        with no_grad():
            orig = state_dict[key + "_orig"]
            sigma = (orig / state_dict.pop(key)).mean()
            matrix = fn.reshape_weight_to_matrix(orig)
            state_dict[key + "_v"] = fn._solve_v_and_rescale(matrix, state_dict[key + "_u"], sigma)


class SpectralNormStateDictHook:
    """Writes the version into a state_dict's metadata.

    Args:
        fn: the SpectralNorm.
    """

    def __init__(self, fn):
        self.fn = fn

    def __call__(self, module, state_dict, prefix, local_metadata):
        versions = local_metadata.setdefault("spectral_norm", {})
        key = self.fn.name + ".version"
        if key in versions:
            raise RuntimeError(f"Unexpected key in metadata['spectral_norm']: {key}")
        versions[key] = self.fn._version


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divides a weight by its largest singular value before each forward.

    The parameter becomes ``name_orig``; buffers ``name_u`` and ``name_v`` follow its singular vectors, by
    ``n_power_iterations`` steps for each forward in training mode.

    Args:
        module: the module.
        name: the weight's name.
        n_power_iterations: steps of the power iteration.
        eps: the least length by which a vector is divided.
        dim: the dimension that numbers the outputs; None: 1 for transposed convolutions, else 0.

    Returns:
        The module.

    Raises:
        RuntimeError: the weight is normalised already.
        ValueError: ``n_power_iterations`` is not positive, or the weight is None or not initialised yet.
    """
    SpectralNorm.apply(module, name, n_power_iterations, output_dim(module) if dim is None else dim, eps)
    return module


def _drop(hooks, kind, name):
    """Removes the first hook of a kind that belongs to the weight ``name`` and returns it."""
    for key, hook in hooks.items():
        inner = getattr(hook, "hook", hook)
        if isinstance(inner, kind) and getattr(inner, "fn", inner).name == name:
            del hooks[key]
            return inner
    return None


def remove_spectral_norm(module, name="weight"):
    """Undoes :func:`spectral_norm`: the normalised weight is a parameter.

    Args:
        module: the module.
        name: the weight's name.

    Returns:
        The module.

    Raises:
        ValueError: the weight is not normalised.
    """
    fn = _drop(module._forward_pre_hooks, SpectralNorm, name)
    if fn is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    fn.remove(module)
    _drop(module._state_dict_hooks, SpectralNormStateDictHook, name)
    _drop(module._load_state_dict_pre_hooks, SpectralNormLoadStateDictPreHook, name)
    return module
