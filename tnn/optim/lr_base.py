"""LRScheduler, the base class of learning rate schedules, and what the schedules share."""

import functools
import types
import warnings
import weakref
from contextlib import contextmanager

from ..tensor import Tensor, wrap
from .optimizer import Optimizer

EPOCH_WARNING = (
    "The epoch parameter in `scheduler.step()` is deprecated: call `scheduler.step()` to step the scheduler. With an "
    "epoch, "
    "the closed form of the schedule is used where there is one."
)


def copied(value):
    """A copy of a tensor, anything else as it is."""
    return wrap(value._data.copy()) if isinstance(value, Tensor) else value


def values_of(optimizer, key):
    """One option of all groups."""
    return [copied(group[key]) for group in optimizer.param_groups]


def update_value(group, key, value):
    """Sets an option of a group; one that is a tensor keeps its identity and gets the value."""
    if isinstance(group[key], Tensor):
        group[key]._data.fill(float(value))
        group[key]._bump()
    else:
        group[key] = value


def per_group(name, optimizer, value):
    """One value for each group, from a list of them or from one for all.

    Raises:
        ValueError: the list has another length.
    """
    if isinstance(value, list | tuple):
        if len(value) != len(optimizer.param_groups):
            raise ValueError(
                f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, "
                f"param_groups has {len(optimizer.param_groups)}."
            )
    else:
        value = [value] * len(optimizer.param_groups)
    return [copied(v) for v in value]


def check_optimizer(optimizer):
    """Raises TypeError unless it is an Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def packed_functions(functions):
    """What a state dict keeps of functions: the attributes of callable objects, None for plain functions."""
    return [None if isinstance(f, types.FunctionType) else f.__dict__.copy() for f in functions]


def _note_steps(optimizer):
    """Lets the optimizer remember that its ``step`` was called."""
    if hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return
    func, of = optimizer.step.__func__, weakref.ref(optimizer)

    @functools.wraps(func)
    def step(*args, **kwargs):
        opt = of()
        opt._opt_called = True
        return func(opt, *args, **kwargs)

    step._wrapped_by_lr_sched = True
    optimizer.step = step


class LRScheduler:
    """Base class: sets the learning rate of every group, each time ``step`` is called.

    A schedule defines ``get_lr()``, the next learning rates from the present ones, and may define
    ``_get_closed_form_lr()``, the rates of ``last_epoch`` from the initial ones.

    Args:
        optimizer: the optimizer whose ``lr`` is set.
        last_epoch: the epoch to go on from; -1 to begin.

    Raises:
        TypeError: ``optimizer`` is no Optimizer.
        KeyError: ``last_epoch`` is not -1 and a group lacks ``initial_lr``.
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer, last_epoch=-1):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch "
                    ">= 0: "
                    "load the optimizer's state first"
                )
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _note_steps(optimizer)
        self._initial_step()

    def _initial_step(self):
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self):
        """Everything but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict):
        """Takes over what ``state_dict`` gave."""
        self.__dict__.update(state_dict)

    def get_last_lr(self):
        """The learning rates that were set last, one for each group."""
        return self._last_lr

    def get_lr(self):
        """The next learning rates."""
        raise NotImplementedError

    def step(self, epoch=None):
        """Sets the learning rates of the next epoch. Call it after ``optimizer.step()``.

        Args:
            epoch: deprecated: the epoch to go to.
        """
        if self._step_count == 1:
            self._warn_of_order()
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _warn_of_order(self):
        if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
            warnings.warn(
                "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Call "
                "`optimizer.step()` before `lr_scheduler.step()`.",
                UserWarning,
                stacklevel=3,
            )
        elif not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order, or "
                "the "
                "first value of the learning rate schedule is skipped.",
                UserWarning,
                stacklevel=3,
            )

    def _update_lr(self, epoch=None):
        with inside_step(self):
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                values = self._get_closed_form_lr() if hasattr(self, "_get_closed_form_lr") else self.get_lr()
        self._set_lrs(values)

    def _set_lrs(self, values):
        for group, lr in zip(self.optimizer.param_groups, values, strict=True):
            update_value(group, "lr", lr)
        self._last_lr = current(self)


@contextmanager
def inside_step(scheduler):
    """Within it ``get_lr`` does not warn."""
    scheduler._get_lr_called_within_step = True
    try:
        yield
    finally:
        scheduler._get_lr_called_within_step = False


def current(scheduler):
    """The learning rates as they are."""
    return values_of(scheduler.optimizer, "lr")


def warn_outside_step(scheduler):
    """Warns where ``get_lr`` is called by a user, for whom it would go one step ahead."""
    if not scheduler._get_lr_called_within_step:
        warnings.warn(
            "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
            UserWarning,
            stacklevel=3,
        )
