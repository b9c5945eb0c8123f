"""AdamW."""

from .adam import Adam


class AdamW(Adam):
    r"""Adam with decoupled weight decay, :math:`p \leftarrow (1 - \gamma \lambda) p` before Adam's own update
    (Loshchilov and Hutter 2017, "Decoupled weight decay regularization").

    Args:
        params, lr, betas, eps, amsgrad, maximize, foreach, capturable, differentiable, fused: as for :class:`Adam`.
        weight_decay: :math:`\lambda`.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *,
        maximize=False, foreach=None, capturable=False, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
