"""Running an optimizer for a while on other parameters and another state."""

import contextlib
from collections import defaultdict

from ..tensor import Tensor


def _check_group(i, group, other):
    """Raises RuntimeError unless ``other`` is a packed group with the options of the live one."""
    if not isinstance(other, dict):
        raise RuntimeError(f"param group {i}: expected a dict, got {type(other).__name__}")
    numbers = other.get("params")
    if not isinstance(numbers, list) or not all(isinstance(n, int) for n in numbers):
        raise RuntimeError(f"param group {i}: expected 'params' to be a list of numbers, as state_dict() gives it")
    if len(numbers) != len(group["params"]):
        raise RuntimeError(f"param group {i}: expected {len(group['params'])} params, got {len(numbers)}")
    if set(group) != set(other):
        raise RuntimeError(
            f"param group {i}: options differ. Only given: {sorted(set(other) - set(group))}; "
            f"only in the optimizer: {sorted(set(group) - set(other))}"
        )


def _check(optimizer, parameters, state_dict):
    if not optimizer.state:
        raise RuntimeError("swap_in_optimizer_params_and_state requires initialized optimizer state.")
    if not isinstance(state_dict, dict) or not isinstance(state_dict.get("state"), dict):
        raise RuntimeError("swapin_optim_state must be a dict as state_dict() gives it, with a dict under 'state'")
    state, groups = state_dict["state"], state_dict.get("param_groups")
    if not isinstance(groups, list) or len(groups) != len(optimizer.param_groups):
        raise RuntimeError(
            f"swapin_optim_state['param_groups'] must be a list of {len(optimizer.param_groups)} groups, as in the "
            "optimizer"
        )
    for i, (group, other) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        _check_group(i, group, other)
    numbers = [n for group in groups for n in group["params"]]
    if len(numbers) > len(parameters):
        raise RuntimeError(f"expected {len(numbers)} parameters in the order of the groups, got {len(parameters)}")
    for key, value in state.items():
        if isinstance(key, Tensor) or key not in numbers:
            raise RuntimeError(f"swapin_optim_state['state'] must be keyed by the groups' numbers, got {key!r}")
        if not isinstance(value, dict):
            raise RuntimeError(f"the state of parameter {key} must be a dict, got {type(value).__name__}")
    return state, groups


@contextlib.contextmanager
def swap_in_optimizer_params_and_state(optimizer, swapin_parameters, swapin_optim_state):
    """A context in which the optimizer has other parameters, another state and other options; they are put back at its
    end.

    Args:
        optimizer: an optimizer that has stepped.
        swapin_parameters: a dict of tensors, in the order of the optimizer's groups.
        swapin_optim_state: a state dict as ``optimizer.state_dict()`` gives it.

    Raises:
        RuntimeError: groups, parameters or state do not fit the optimizer.
    """
    state, groups = _check(optimizer, swapin_parameters, swapin_optim_state)
    live, live_state = [dict(g) for g in optimizer.param_groups], optimizer.state
    parameters = iter(swapin_parameters.values())
    try:
        optimizer.state = defaultdict(dict)
        for group, other in zip(optimizer.param_groups, groups, strict=True):
            group.update({k: v for k, v in other.items() if k != "params"})
            group["params"] = [next(parameters) for _ in other["params"]]
            for p, number in zip(group["params"], other["params"], strict=True):
                optimizer.state[p] = dict(state.get(number, {}))
        yield
    finally:
        for group, before in zip(optimizer.param_groups, live, strict=True):
            group.clear()
            group.update(before)
        optimizer.state = live_state
