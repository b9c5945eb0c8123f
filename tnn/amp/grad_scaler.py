"""Scaling of the loss, so that small gradients survive in float16."""

import enum
import math
import warnings
from collections import defaultdict

import numpy as np

from .. import dtypes
from ..tensor import Tensor, wrap


class OptState(enum.Enum):
    """What was done with an optimizer since the last ``update``."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _fresh():
    return {"stage": OptState.READY, "found_inf": None}


def _unscale(array, factor):
    """Multiplies a gradient's array in place; whether it held anything infinite or NaN."""
    bad = not np.isfinite(array.astype(np.float32) if array.dtype in dtypes.HALF else array).all()
    if factor != 1.0:
        # the factor may lie below what float16 holds: the product is computed wide and rounded once
        wide = np.float64 if array.dtype == np.float64 else np.float32
        with np.errstate(over="ignore", invalid="ignore"):
            array[...] = (array.astype(wide) * wide(factor)).astype(array.dtype)
    return bad


class GradScaler:
    """Multiplies the loss by a factor, divides the gradients by it again, and skips steps whose gradients overflowed.

    The factor grows by ``growth_factor`` after ``growth_interval`` steps without overflow and shrinks by
    ``backoff_factor`` after one with it (Micikevicius et al., Mixed Precision Training, arXiv 1710.03740).

    Args:
        device: "cpu"; for another device the scaler does nothing, with a warning.
        init_scale: the first factor.
        growth_factor, backoff_factor, growth_interval: see above.
        enabled: False makes every method do nothing (``step`` steps).

    Example::

        with tnn.autocast("cpu", dtype=tnn.float16):
            loss = loss_fn(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    """

    def __init__(
        self,
        device="cpu",
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        self._device = device
        if enabled and device != "cpu":
            warnings.warn(f"tnn runs on the CPU: GradScaler for '{device}' is disabled.", stacklevel=2)
            enabled = False
        self._enabled = enabled
        if not enabled:
            return
        if growth_factor <= 1.0:
            raise ValueError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise ValueError("The backoff factor must be < 1.0.")
        self._scale = float(init_scale)
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._states = defaultdict(_fresh)

    def scale(self, outputs):
        """The tensor, or a list or tuple of tensors at any depth, times the factor.

        Raises:
            ValueError: something else is given.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            # a factor of float32 times a half loss gives a half loss, or infinity: so does this
            return outputs * self._scale
        if isinstance(outputs, list | tuple):
            scaled = [self.scale(o) for o in outputs]
            return type(outputs)(*scaled) if hasattr(outputs, "_fields") else type(outputs)(scaled)
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _unscale_all(self, optimizer):
        factor = 1.0 / self._scale
        found = False
        for group in optimizer.param_groups:
            for p in group["params"]:
                g = p.grad
                if g is None:
                    continue
                if g.is_sparse:
                    g = p.grad = g.coalesce()
                    found = _unscale(g._row_values, factor) or found
                else:
                    found = _unscale(g._data, factor) or found
                    g._bump()
        return found

    def unscale_(self, optimizer):
        """Divides the gradients of the optimizer's parameters by the factor, for example to clip them.

        Raises:
            RuntimeError: called twice since the last ``update``, or after ``step``.
        """
        if not self._enabled:
            return
        entry = self._states[id(optimizer)]
        if entry["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if entry["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        entry["found_inf"] = self._unscale_all(optimizer)
        entry["stage"] = OptState.UNSCALED

    def step(self, optimizer, *args, **kwargs):
        """Divides the gradients unless ``unscale_`` did, and steps if all of them are finite.

        Returns:
            What ``optimizer.step(*args, **kwargs)`` returns; None if the step was skipped.

        Raises:
            RuntimeError: a closure is given, or ``step`` was called already since the last ``update``.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        entry = self._states[id(optimizer)]
        if entry["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if entry["stage"] is OptState.READY:
            self.unscale_(optimizer)
        result = None if entry["found_inf"] else optimizer.step(*args, **kwargs)
        entry["stage"] = OptState.STEPPED
        return result

    def update(self, new_scale=None):
        """Adjusts the factor after the iteration's steps.

        Args:
            new_scale: a number or a one-element tensor that becomes the factor.

        Raises:
            RuntimeError: no step was made since the last ``update``.
        """
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        else:
            found = [e["found_inf"] for e in self._states.values() if e["found_inf"] is not None]
            if not found:
                raise RuntimeError("No inf checks were recorded prior to update.")
            if any(found):
                self._scale *= self._backoff_factor
                self._growth_tracker = 0
            else:
                self._growth_tracker += 1
                if self._growth_tracker == self._growth_interval:
                    grown = self._scale * self._growth_factor
                    if math.isfinite(np.float32(grown)):
                        self._scale = grown
                    self._growth_tracker = 0
        self._states = defaultdict(_fresh)

    def get_scale(self):
        """The factor; 1 where the scaler is disabled."""
        return self._scale if self._enabled else 1.0

    def _get_scale_async(self):
        return wrap(np.full((), self._scale, np.float32)) if self._enabled else None

    def get_growth_factor(self):
        """The growth factor."""
        return self._growth_factor

    def set_growth_factor(self, new_factor):
        """Sets the growth factor."""
        self._growth_factor = new_factor

    def get_backoff_factor(self):
        """The backoff factor."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor):
        """Sets the backoff factor."""
        self._backoff_factor = new_factor

    def get_growth_interval(self):
        """The growth interval."""
        return self._growth_interval

    def set_growth_interval(self, new_interval):
        """Sets the growth interval."""
        self._growth_interval = new_interval

    def is_enabled(self):
        """Whether the scaler does anything."""
        return self._enabled

    def state_dict(self):
        """The factor, the settings and the count of steps since the last overflow; empty where disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict):
        """Takes over what ``state_dict`` gave.

        Raises:
            RuntimeError: the dict is empty.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale = float(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]
