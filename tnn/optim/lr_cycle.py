"""Learning rate schedules that go up and down, some of them with the momentum."""

import math
import types

from .lr_base import LRScheduler, check_optimizer, inside_step, per_group, update_value, warn_outside_step


class _WithMomentum(LRScheduler):
    """Schedules that move momentum, or Adam's beta1, against the learning rate."""

    def _init_momentum(self, optimizer, base_momentum, max_momentum, last_epoch):
        """Finds out what the optimizer calls its momentum and sets every group to ``max_momentum``.

        Returns:
            The lists of base and maximal momentums.
        """
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.use_beta1 = "betas" in optimizer.defaults
        low = per_group("base_momentum", optimizer, base_momentum)
        high = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for group, b, m in zip(optimizer.param_groups, low, high, strict=True):
                self._set_momentum(group, m)
                group["max_momentum"] = m
                group["base_momentum"] = b
        return low, high

    def _set_momentum(self, group, value):
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_WithMomentum):
    r"""Triangles between ``base_lr`` and ``max_lr`` (Smith 2017, "Cyclical learning rates for training neural
    networks"). Step it after every batch.

    Args:
        optimizer: the optimizer.
        base_lr: the least rate, or a list of one for each group.
        max_lr: the greatest rate, likewise.
        step_size_up: steps of the rising half.
        step_size_down: steps of the falling half (default: as many).
        mode: ``"triangular"``; ``"triangular2"`` halves the height every cycle; ``"exp_range"`` scales it by
            ``gamma ** step``.
        gamma: for ``"exp_range"``.
        scale_fn: another scaling of the height, in place of ``mode``.
        scale_mode: whether ``scale_fn`` gets the number of the ``"cycle"`` or of ``"iterations"``.
        cycle_momentum: move the momentum the other way round, between ``max_momentum`` and ``base_momentum``.
        base_momentum, max_momentum: its limits, or lists of one for each group.
        last_epoch: the step to go on from.

    Raises:
        ValueError: ``mode`` is unknown and there is no ``scale_fn``, a list has the wrong length, or the optimizer has
            no momentum to cycle.
        TypeError: ``optimizer`` is no Optimizer.
    """

    def __init__(
        self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None, mode="triangular", gamma=1.0,
        scale_fn=None, scale_mode="cycle", cycle_momentum=True, base_momentum=0.8, max_momentum=0.9, last_epoch=-1,
    ):  # fmt: skip
        check_optimizer(optimizer)
        self.optimizer = optimizer
        base_lrs = per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for lr, group in zip(base_lrs, optimizer.param_groups, strict=True):
                update_value(group, "lr", lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        down = up if step_size_down is None else float(step_size_down)
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f"mode is invalid and scale_fn is None: got {mode!r}")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._init_momentum(
                optimizer, base_momentum, max_momentum, last_epoch
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x):
        """The height of a triangle, relative to the first."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return 1 / (2.0 ** (x - 1))
        return self.gamma**x if self.mode == "exp_range" else 1.0

    def get_lr(self):
        """The rates of this step; sets the momentum."""
        warn_outside_step(self)
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in limits:
                self._set_momentum(group, high - (high - low) * height * scale)
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self):
        """Everything but the optimizer; of a ``scale_fn`` that is an object the attributes, of a function nothing."""
        state = super().state_dict()
        fn = state["_scale_fn_custom"]
        state["_scale_fn_custom"] = None if fn is None or isinstance(fn, types.FunctionType) else fn.__dict__.copy()
        return state

    def load_state_dict(self, state_dict):
        """Takes over what ``state_dict`` gave; ``scale_fn`` stays what it is."""
        attributes = state_dict["_scale_fn_custom"]
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        if attributes is not None:
            self._scale_fn_custom.__dict__.update(attributes)


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""Half a cosine from the initial rate to ``eta_min``, again and again (Loshchilov and Hutter 2016, "SGDR:
    Stochastic gradient descent with warm restarts"):

    .. math:: \gamma_t = \gamma_{min} + \tfrac12 (\gamma_0 - \gamma_{min}) (1 + \cos(\pi T_{cur} / T_i))

    Args:
        optimizer: the optimizer.
        T_0: length of the first period.
        T_mult: each period is this many times as long as the one before.
        eta_min: the least rate.
        last_epoch: the epoch to go on from.

    Raises:
        ValueError: ``T_0`` or ``T_mult`` is no positive integer, or ``eta_min`` no number.
    """

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, float | int):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        """The rates of this epoch."""
        warn_outside_step(self)
        wave = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * wave / 2 for base in self.base_lrs]

    def step(self, epoch=None):
        """Goes to the next epoch, or to any.

        Args:
            epoch: the epoch, which may have a fraction: ``epoch + batch / batches``.

        Raises:
            ValueError: ``epoch`` is negative.
        """
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        elif epoch < self.T_0:
            self.T_i = self.T_0
            self.T_cur = epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n
        self.last_epoch = math.floor(epoch)
        with inside_step(self):
            values = self.get_lr()
        self._set_lrs(values)


class OneCycleLR(_WithMomentum):
    """One rise from ``max_lr / div_factor`` to ``max_lr`` and one fall to ``initial_lr / final_div_factor`` (Smith and
    Topin 2017, "Super-convergence: Very fast training of neural networks using large learning rates"). Step it after
    every batch.

    Args:
        optimizer: the optimizer.
        max_lr: the greatest rate, or a list of one for each group.
        total_steps: the number of steps; otherwise ``epochs * steps_per_epoch``.
        epochs, steps_per_epoch: see above.
        pct_start: the part of the steps that rises.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: move the momentum the other way round, between ``max_momentum`` and ``base_momentum``.
        base_momentum, max_momentum: its limits, or lists of one for each group.
        div_factor, final_div_factor: see above.
        three_phase: rise, fall back to the initial rate in as many steps, then fall to the end.
        last_epoch: the step to go on from.

    Raises:
        ValueError: the number of steps is missing or not positive, ``pct_start`` is no float in [0, 1], the strategy is
            unknown, a list has the wrong length, the optimizer has no momentum to cycle, or (in ``step``) the cycle is
            over.
        TypeError: ``optimizer`` is no Optimizer.
    """

    def __init__(
        self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True, base_momentum=0.85, max_momentum=0.95, div_factor=25.0, final_div_factor=1e4,
        three_phase=False, last_epoch=-1,
    ):  # fmt: skip
        check_optimizer(optimizer)
        self.optimizer = optimizer
        if total_steps is not None:
            self.total_steps = _positive("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = _positive("epochs", epochs) * _positive("steps_per_epoch", steps_per_epoch)
        else:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        max_lrs = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, high in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"] = high / div_factor
                group["max_lr"] = high
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._init_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _anneal_func(self, start, end, pct):
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * pct) + 1)
        return (end - start) * pct + start

    def get_lr(self):
        """The rates of this step; sets the momentum."""
        warn_outside_step(self)
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        start = 0.0
        for phase in self._schedule_phases:
            if step <= phase["end_step"] or phase is self._schedule_phases[-1]:
                break
            start = phase["end_step"]
        pct = (step - start) / (phase["end_step"] - start)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._anneal_func(group[phase["start_lr"]], group[phase["end_lr"]], pct))
            if self.cycle_momentum:
                value = self._anneal_func(group[phase["start_momentum"]], group[phase["end_momentum"]], pct)
                self._set_momentum(group, value)
        return rates


def _positive(name, value):
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


def _phases(total, pct, three):
    """The parts of the cycle: where each ends, and between which of a group's entries it goes."""
    keys = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
    up = (float(pct * total) - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three:
        rows = [up, (total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    else:
        rows = [
            up,
            (float(2 * pct * total) - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
            (total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
        ]
    return [dict(zip(keys, row, strict=True)) for row in rows]
