r"""Weight normalisation: :math:`w = g \, v / \|v\|`, with magnitude and direction learned apart (arXiv 1602.07868)."""

import warnings

from ...ops import weight_norm as ops
from ..parameter import Parameter, is_lazy

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]


class WeightNorm:
    """The forward pre-hook of :func:`weight_norm`.

    Args:
        name: the weight's name.
        dim: the dimension along which norms are apart; -1 or None: one norm.
    """

    def __init__(self, name, dim):
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module):
        """The weight from the module's ``name_g`` and ``name_v``; recorded."""
        return ops.weight_norm(getattr(module, self.name + "_v"), getattr(module, self.name + "_g"), self.dim)

    @staticmethod
    def apply(module, name, dim):
        """Registers the hook and replaces the weight; see :func:`weight_norm`."""
        warnings.warn(
            "`tnn.nn.utils.weight_norm` is deprecated in favor of `tnn.nn.utils.parametrizations.weight_norm`.",
            FutureWarning,
            stacklevel=3,
        )
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
        fn = WeightNorm(name, dim)
        weight = getattr(module, name)
        if is_lazy(weight):
            raise ValueError(
                f"The module passed to `WeightNorm` can't have uninitialized parameters, `{name}` is one: run a "
                "forward first"
            )
        del module._parameters[name]
        module.register_parameter(name + "_g", Parameter(ops.norm_except_dim(weight, 2, fn.dim).data))
        module.register_parameter(name + "_v", Parameter(weight.data))
        setattr(module, name, fn.compute_weight(module))
        module.register_forward_pre_hook(fn)
        return fn

    def remove(self, module):
        """Makes the weight a parameter again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module, name="weight", dim=0):
    r"""Deprecated: replaces a weight by :math:`g \, v / \|v\|` with parameters ``name_g`` and ``name_v``. Use
    :func:`tnn.nn.utils.parametrizations.weight_norm`.

    Args:
        module: the module.
        name: the weight's name.
        dim: the dimension along which norms are apart; None: one norm.

    Returns:
        The module.

    Raises:
        RuntimeError: the weight is normalised already.
        ValueError: it is not initialised yet.
    """
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module, name="weight"):
    """Undoes :func:`weight_norm`: the weight is a parameter again.

    Args:
        module: the module.
        name: the weight's name.

    Returns:
        The module.

    Raises:
        ValueError: the weight is not normalised.
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
