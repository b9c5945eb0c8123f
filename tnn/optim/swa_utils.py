"""Averages of a model's weights: AveragedModel, the schedule and the helpers of stochastic weight averaging."""

import itertools
import math
import warnings
from copy import deepcopy

import numpy as np

from ..autograd.grad_mode import no_grad
from ..kernels import optim as kernels
from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module
from ..tensor import wrap
from .lr_base import LRScheduler, per_group
from .optimizer import launch

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _check_decay(decay):
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_multi_avg_fn(decay=0.999):
    """The update of an exponential moving average, for a list of tensors: avg <- decay avg + (1 - decay) current.

    Args:
        decay: in [0, 1].

    Returns:
        A function ``(averages, currents, n)`` that changes the averages in place.

    Raises:
        ValueError: ``decay`` lies outside [0, 1].
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list, current_param_list, _):
        for average, new in zip(ema_param_list, current_param_list, strict=True):
            if average.is_floating_point():
                launch(kernels.lerp, average, (new._data,), (1.0 - decay,))
            else:
                average.copy_(average * decay + new * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn():
    """The update of an equal average, for a list of tensors: avg <- avg + (current - avg) / (n + 1).

    Returns:
        A function ``(averages, currents, n)`` that changes the averages in place; n counts the models averaged before.
    """

    @no_grad()
    def swa_update(averaged_param_list, current_param_list, num_averaged):
        n = int(num_averaged)
        for average, new in zip(averaged_param_list, current_param_list, strict=True):
            if average.is_floating_point():
                launch(kernels.lerp, average, (new._data,), (1.0 / (n + 1),))
            else:
                average.copy_(average + (new - average) / (n + 1))

    return swa_update


def get_ema_avg_fn(decay=0.999):
    """The update of an exponential moving average, for one tensor: avg <- decay avg + (1 - decay) current.

    Args:
        decay: in [0, 1].

    Returns:
        A function ``(average, current, n)`` that returns the new average.

    Raises:
        ValueError: ``decay`` lies outside [0, 1].
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param, current_param, num_averaged):
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """As :func:`get_swa_multi_avg_fn`, for one tensor: a function ``(average, current, n)`` that returns the new
    average."""

    @no_grad()
    def swa_update(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model that keeps the average of its parameters (Izmailov et al. 2018, "Averaging weights leads to
    wider optima and better generalization").

    Args:
        model: the model whose parameters are averaged.
        device: the CPU.
        avg_fn: the update of one tensor, ``(average, current, n)`` to the new average.
        multi_avg_fn: the update of a list of tensors in place (default: the equal average).
        use_buffers: average the buffers too; otherwise they are copied.

    Raises:
        AssertionError: both ``avg_fn`` and ``multi_avg_fn`` are given.
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", wrap(np.array(0, np.int64)))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        """The averaged model's output."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model):
        """Takes a model's parameters into the average.

        Args:
            model: a model of the same structure.
        """
        mine, theirs = self.module, model
        if self.use_buffers:
            pairs = zip(_tensors(mine), _tensors(theirs), strict=False)
        else:
            pairs = zip(mine.parameters(), theirs.parameters(), strict=False)
        pairs = [(a.detach(), b.detach()) for a, b in pairs]
        n = int(self.n_averaged._data)
        if n == 0:
            for average, new in pairs:
                average.copy_(new)
        elif self.avg_fn is not None:
            for average, new in pairs:
                average.copy_(self.avg_fn(average, new, self.n_averaged.clone()))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            by_dtype = {}
            for average, new in pairs:
                averages, news = by_dtype.setdefault(average.dtype, ([], []))
                averages.append(average)
                news.append(new)
            for averages, news in by_dtype.values():
                update(averages, news, self.n_averaged.clone())
        if not self.use_buffers:
            for average, new in zip(mine.buffers(), theirs.buffers(), strict=True):
                average.detach().copy_(new.detach())
        self.n_averaged._data[()] = n + 1
        self.n_averaged._bump()


def _tensors(module):
    return itertools.chain(module.parameters(), module.buffers())


@no_grad()
def update_bn(loader, model, device=None):
    """Computes the running statistics of all batch normalizations anew, as averages over the batches of a loader.

    Args:
        loader: batches; of a list or tuple the first entry is the model's input.
        model: the model.
        device: the CPU.
    """
    momenta = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    training = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    for batch in loader:
        if isinstance(batch, list | tuple):
            batch = batch[0]
        if device is not None:
            batch = batch.to(device)
        model(batch)
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """Takes the learning rate of each group to a constant.

    Args:
        optimizer: the optimizer.
        swa_lr: that constant, or a list of one for each group.
        anneal_epochs: in how many epochs.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        last_epoch: the epoch to go on from.

    Raises:
        ValueError: ``anneal_epochs`` is negative or no integer, the strategy is unknown, or a list has the wrong
            length.
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        for group, lr in zip(optimizer.param_groups, per_group("swa_lr", optimizer, swa_lr), strict=True):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t):
        """The share of ``swa_lr`` at the part ``t`` of the way."""
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self):
        """The next rates, from the present ones: each group's starting point is found from where it stands."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=2,
            )
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        length = max(1, self.anneal_epochs)
        before = self.anneal_func(max(0, min(1, (step - 1) / length)))
        now = self.anneal_func(max(0, min(1, step / length)))
        rates = []
        for group in self.optimizer.param_groups:
            lr, end = group["lr"], group["swa_lr"]
            start = end if before == 1 else (lr - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
