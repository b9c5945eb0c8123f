"""Learning rate schedules that are a formula of the epoch. The others stand in ``lr_composite`` and ``lr_cycle``; all
are reached here, under torch.optim.lr_scheduler's names."""

import math
from bisect import bisect_right
from collections import Counter

from .lr_base import LRScheduler, current, packed_functions, warn_outside_step
from .lr_composite import ChainedScheduler, ReduceLROnPlateau, SequentialLR
from .lr_cycle import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class _ByFunction(LRScheduler):
    """Schedules of one function, or one for each group."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        self.optimizer = optimizer
        if isinstance(lr_lambda, list | tuple):
            if len(lr_lambda) != len(optimizer.param_groups):
                raise ValueError(f"Expected {len(optimizer.param_groups)} lr_lambdas, but got {len(lr_lambda)}")
            self.lr_lambdas = list(lr_lambda)
        else:
            self.lr_lambdas = [lr_lambda] * len(optimizer.param_groups)
        self._check()
        super().__init__(optimizer, last_epoch)

    def _check(self):
        pass

    def state_dict(self):
        """Everything but the optimizer and plain functions; of callable objects the attributes."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "lr_lambdas")}
        state["lr_lambdas"] = packed_functions(self.lr_lambdas)
        return state

    def load_state_dict(self, state_dict):
        """Takes over what ``state_dict`` gave; plain functions stay as they are."""
        self.__dict__.update({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for function, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)


class LambdaLR(_ByFunction):
    r"""The initial rate times a function of the epoch: :math:`\gamma_t = \gamma_0 f(t)`.

    Args:
        optimizer: the optimizer.
        lr_lambda: a function from the epoch to a factor, or a list of one for each group.
        last_epoch: the epoch to go on from.

    Raises:
        ValueError: the list's length is not the number of groups.
    """

    def get_lr(self):
        """The initial rates times the functions' values."""
        warn_outside_step(self)
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(_ByFunction):
    r"""The rate times a function of the epoch, each time: :math:`\gamma_t = \gamma_{t-1} f(t)`.

    Args:
        optimizer: the optimizer.
        lr_lambda: a function from the epoch to a factor, or a list of one for each group.
        last_epoch: the epoch to go on from.

    Raises:
        ValueError: the list's length is not the number of groups.
        TypeError: one is not callable.
    """

    def _check(self):
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")

    def get_lr(self):
        """The present rates times the functions' values."""
        warn_outside_step(self)
        rates = current(self)
        if self._is_initial:
            return rates
        return [rate * f(self.last_epoch) for rate, f in zip(rates, self.lr_lambdas, strict=True)]


class _Chainable(LRScheduler):
    """Schedules with a factor from one epoch to the next, the same for all groups, and a closed form."""

    def get_lr(self):
        """The present rates times the factor of this epoch."""
        warn_outside_step(self)
        factor = self._factor()
        rates = current(self)
        return rates if factor is None else [r * factor for r in rates]

    def _get_closed_form_lr(self):
        factor = self._closed()
        return [base * factor for base in self.base_lrs]


class StepLR(_Chainable):
    r"""The rate times ``gamma`` every ``step_size`` epochs.

    Args:
        optimizer: the optimizer.
        step_size: the number of epochs between changes.
        gamma: the factor.
        last_epoch: the epoch to go on from.

    Raises:
        TypeError: ``optimizer`` is not an Optimizer.
        KeyError: ``last_epoch`` is given and a group has no ``initial_lr``.

    >>> import tnn
    >>> opt = tnn.optim.SGD([tnn.nn.Parameter(tnn.ones(1))], lr=1.0)
    >>> scheduler = StepLR(opt, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     opt.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self):
        return None if self.last_epoch == 0 or self.last_epoch % self.step_size else self.gamma

    def _closed(self):
        return self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(_Chainable):
    """The rate times ``gamma`` at each milestone.

    Args:
        optimizer: the optimizer.
        milestones: epochs; one that stands twice counts twice.
        gamma: the factor.
        last_epoch: the epoch to go on from.

    Raises:
        TypeError: ``optimizer`` is not an Optimizer.
        KeyError: ``last_epoch`` is given and a group has no ``initial_lr``.
    """

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self):
        return self.gamma ** self.milestones[self.last_epoch] if self.last_epoch in self.milestones else None

    def _closed(self):
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class ConstantLR(_Chainable):
    """The rate times ``factor`` for the first ``total_iters`` epochs.

    Args:
        optimizer: the optimizer.
        factor: in [0, 1].
        total_iters: the number of epochs.
        last_epoch: the epoch to go on from.

    Raises:
        ValueError: ``factor`` is out of its range.
    """

    def __init__(self, optimizer, factor=1.0 / 3, total_iters=5, last_epoch=-1):
        if factor > 1.0 or factor < 0:
            raise ValueError(f"Constant multiplicative factor expected to be between 0 and 1, got {factor}.")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self):
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else None

    def _closed(self):
        return self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor)


class LinearLR(_Chainable):
    """The rate times a factor that goes linearly from ``start_factor`` to ``end_factor`` over ``total_iters`` epochs.

    Args:
        optimizer: the optimizer.
        start_factor: in (0, 1].
        end_factor: in [0, 1].
        total_iters: the number of epochs.
        last_epoch: the epoch to go on from.

    Raises:
        ValueError: a factor is out of its range.
    """

    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        if start_factor > 1.0 or start_factor <= 0:
            raise ValueError(
                "Starting multiplicative factor expected to be greater than 0 and less or equal to 1, got "
                f"{start_factor}."
            )
        if end_factor > 1.0 or end_factor < 0:
            raise ValueError(f"Ending multiplicative factor expected to be between 0 and 1, got {end_factor}.")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self):
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)

    def _closed(self):
        rise = self.end_factor - self.start_factor
        return self.start_factor + rise * min(self.total_iters, self.last_epoch) / self.total_iters


class ExponentialLR(_Chainable):
    """The rate times ``gamma`` every epoch.

    Args:
        optimizer: the optimizer.
        gamma: the factor.
        last_epoch: the epoch to go on from.

    Raises:
        TypeError: ``optimizer`` is not an Optimizer.
        KeyError: ``last_epoch`` is given and a group has no ``initial_lr``.
    """

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self):
        return None if self._is_initial else self.gamma

    def _closed(self):
        return self.gamma**self.last_epoch


class PolynomialLR(_Chainable):
    r"""A polynomial that reaches 0 after ``total_iters`` epochs:
    :math:`\gamma_t = \gamma_0 (1 - \min(t, T) / T)^{power}`.

    Args:
        optimizer: the optimizer.
        total_iters: :math:`T`.
        power: the exponent.
        last_epoch: the epoch to go on from.

    Raises:
        TypeError: ``optimizer`` is not an Optimizer.
        KeyError: ``last_epoch`` is given and a group has no ``initial_lr``.
    """

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _factor(self):
        if self._is_initial or self.last_epoch > self.total_iters:
            return None
        left = 1.0 - self.last_epoch / self.total_iters
        return (left / (1.0 - (self.last_epoch - 1) / self.total_iters)) ** self.power

    def _closed(self):
        return (1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power


class CosineAnnealingLR(LRScheduler):
    r"""Half a cosine from the initial rate to ``eta_min`` over ``T_max`` epochs, and back
    (Loshchilov and Hutter 2016, "SGDR: Stochastic gradient descent with warm restarts", without the restarts):

    .. math:: \gamma_t = \gamma_{min} + \tfrac12 (\gamma_0 - \gamma_{min}) (1 + \cos(\pi t / T_{max}))

    Args:
        optimizer: the optimizer.
        T_max: half of the period.
        eta_min: the least rate.
        last_epoch: the epoch to go on from.

    Raises:
        TypeError: ``optimizer`` is not an Optimizer.
        KeyError: ``last_epoch`` is given and a group has no ``initial_lr``.
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        """The next rates, from the present ones."""
        warn_outside_step(self)
        rates = current(self)
        if self._is_initial:
            return rates
        t, low, period = self.last_epoch, self.eta_min, self.T_max
        if self._step_count == 1 and t > 0:
            return self._get_closed_form_lr()
        if (t - 1 - period) % (2 * period) == 0:
            rise = (1 - math.cos(math.pi / period)) / 2
            return [r + (base - low) * rise for r, base in zip(rates, self.base_lrs, strict=True)]
        ratio = (1 + math.cos(math.pi * t / period)) / (1 + math.cos(math.pi * (t - 1) / period))
        return [ratio * (r - low) + low for r in rates]

    def _get_closed_form_lr(self):
        wave = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return [self.eta_min + (base - self.eta_min) * wave / 2 for base in self.base_lrs]

_LRScheduler = LRScheduler  # its old name, from which users derive
