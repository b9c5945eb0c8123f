"""Optimizers whose step is replayed: what it calls for each parameter, and the numbers that change from step to step.

A rule belongs to a parameter group. ``numbers`` computes its scalars as the optimizer itself does, from the group as it
is when a replay starts, so that schedules of the learning rate work.
"""

from array import array

from numba import types

from ..kernels import optim as kernels
from ..optim import SGD, Adam, AdamW, optimizer
from ..optim.optimizer import value_of
from ..tensor import Tensor
from .around import Check, unchanged
from .records import KernelCall, Scalar

_GLOBAL_HOOKS = (optimizer._global_pre_hooks, optimizer._global_post_hooks)


class Rule:
    """A parameter group of one optimizer.

    Attributes:
        fixed: options of the group that decide which kernels run: they must stay as they were.
        params: ``(parameter, state dict, {name: state tensor})`` for each parameter that has a gradient.
        count: how many scalars there are.
    """

    options: tuple[str, ...] = ()
    read: tuple[str, ...] = ()  # the options that scalars are computed from

    def __init__(self, owner, group):
        self.owner, self.group = owner, group
        self.listed = list(group["params"])
        self.fixed = {name: bool(group[name]) for name in self.options}
        self.params, self.count = [], 0
        self.last = [object()] * len(self.read)
        self.place = next(i for i, g in enumerate(owner.param_groups) if g is group)
        self.hooks = [t for t in (owner._optimizer_step_pre_hooks, owner._optimizer_step_post_hooks, *_GLOBAL_HOOKS)]
        self.groups, self.state = owner.param_groups, owner.state
        self.sizes = len(owner.param_groups), len(owner.state)

    def conditions(self, names):
        """Expressions and checks that are true while the optimizer is still put together as it was."""
        owner, group = names.of(self.owner, "optimizer"), names.of(self.group, "group")
        groups, state = names.of(self.groups, "groups"), names.of(self.state, "state")
        out = [
            f"{owner}.param_groups is {groups} and {owner}.state is {state}",
            f"len({groups}) == {self.sizes[0]} and len({state}) == {self.sizes[1]}",
            f"{groups}[{self.place}] is {group}",
            f"{group}['params'] is {names.of(self.group['params'], 'params')}",
        ]
        for name, value in self.fixed.items():
            now = f"{group}[{name!r}]"
            out.append(f"{now if isinstance(self.group[name], bool) else f'bool({now})'} is {value}")
        checks = [unchanged(self.group["params"])]
        for p, own, tensors in self.params:
            if tensors:
                checks.append(_in_dict(self.state, p, own))
                checks += [_in_dict(own, name, t) for name, t in tensors.items()]
        return out, checks

    def calls(self, p, own, trace):
        """The kernel calls for one parameter, and the state tensors that they need."""
        raise NotImplementedError

    def numbers(self, out, at):
        """Writes the scalars that the group's options give into ``out``, from ``at`` on."""
        raise NotImplementedError

    def lines(self, names, at):
        """Source that brings the scalars up to date before a replay."""
        group, rule = names.of(self.group, "group"), names.of(self, "rule")
        options = [f"{group}[{name!r}]" for name in self.read]
        same = " and ".join(f"{o} is {rule}.last[{i}]" for i, o in enumerate(options))
        return [f"if not ({same}): {rule}.update(numbers, {at})"]

    def update(self, out, at):
        """Takes over the group's options."""
        values = [self.group[name] for name in self.read]
        self.numbers(out, at)
        # a tensor may get another value and stay the same object
        inside = [v for value in values for v in (value if type(value) is tuple else (value,))]
        plain = not any(isinstance(v, Tensor) for v in inside)
        self.last = values if plain else [object()] * len(values)

    def last_lines(self, names):
        """Source for what is left to do after a replay."""
        return []


class _Sgd(Rule):
    options = ("momentum", "nesterov", "maximize", "differentiable")
    read = ("lr", "weight_decay", "momentum", "dampening", "maximize")

    def __init__(self, owner, group):
        super().__init__(owner, group)
        self.count = 5

    def calls(self, p, own, trace):
        g = p._grad
        if not self.fixed["momentum"]:
            return [_call(kernels.sgd, trace, (p, g), [Scalar(self, i) for i in range(3)])], {}
        buffer = own.get("momentum_buffer")
        if buffer is None:
            return "the optimizer has not made its state yet", {}
        scalars = [Scalar(self, i) for i in range(5)] + [self.fixed["nesterov"], False]
        return [_call(kernels.sgd_momentum, trace, (p, g, buffer), scalars)], {"momentum_buffer": buffer}

    def numbers(self, out, at):
        group = self.group
        out[at] = -1.0 if group["maximize"] else 1.0
        out[at + 1] = float(value_of(group["weight_decay"]))
        lr = float(value_of(group["lr"]))
        if self.fixed["momentum"]:
            out[at + 2], out[at + 3], out[at + 4] = float(group["momentum"]), 1.0 - group["dampening"], lr
        else:
            out[at + 2] = lr


class _Adam(Rule):
    options = ("amsgrad", "maximize", "differentiable", "decoupled_weight_decay")
    read = ("lr", "weight_decay", "betas", "eps", "maximize")

    def __init__(self, owner, group):
        super().__init__(owner, group)
        self.count, self.counts = 6, {}

    def calls(self, p, own, trace):
        names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if self.fixed["amsgrad"] else [])]
        if any(name not in own for name in ("step", *names)):
            return "the optimizer has not made its state yet", {}
        tensors = {name: own[name] for name in ("step", *names)}
        step = trace.get_data(own["step"]).real
        # parameters that have made as many steps share their scalars
        steps = self.counts.setdefault(step.item(), [])
        steps.append(step)
        at = 6 + 2 * list(self.counts).index(step.item())
        self.count = 6 + 2 * len(self.counts)
        order = (0, 1, 2, 3, 4, at, 5, at + 1)
        kernel = kernels.amsgrad if self.fixed["amsgrad"] else kernels.adam
        arrays = (p, p._grad, *(own[name] for name in names))
        return [_call(kernel, trace, arrays, [Scalar(self, i) for i in order])], tensors

    def numbers(self, out, at):
        group = self.group
        lr, wd = value_of(group["lr"]), value_of(group["weight_decay"])
        self.beta1, self.beta2 = (float(value_of(b)) for b in group["betas"])
        keep = 1.0
        if self.fixed["decoupled_weight_decay"]:
            keep, wd = float(1 - lr * wd) if wd != 0 else 1.0, 0.0
        self.lr = lr
        out[at], out[at + 1], out[at + 2] = -1.0 if group["maximize"] else 1.0, float(wd), keep
        out[at + 3], out[at + 4], out[at + 5] = self.beta1, self.beta2, float(group["eps"])

    def lines(self, names, at):
        rule, out = names.of(self, "rule"), super().lines(names, at)
        for i, steps in enumerate(self.counts.values()):
            t = f"{rule}_{i}"
            first, *others = (names.of(a, "a") for a in steps)
            out.append(f"{t} = {first}.item() + 1")
            out += [f"if {a}.item() + 1 != {t}: return CHANGED" for a in others]
            place = at + 6 + 2 * i
            out += [
                f"numbers[{place}] = (1 - {rule}.beta2**{t}) ** 0.5",
                f"numbers[{place + 1}] = {rule}.lr / (1 - {rule}.beta1**{t})",
            ]
        return out

    def last_lines(self, names):
        out = []
        for i, steps in enumerate(self.counts.values()):
            out += [f"{names.of(a, 'a')}[()] = {names.of(self, 'rule')}_{i}" for a in steps]
        return out


def _in_dict(table, key, value):
    """A check that a dict has the same object under a key."""

    def expression(names):
        return f"{names.of(table, 'table')}.get({names.of(key, 'key')}) is {names.of(value, 'value')}"

    return Check(expression, (table,))


_RULES = {SGD: _Sgd, Adam: _Adam, AdamW: _Adam}


def _call(kernel, trace, tensors, scalars):
    traced = [trace.get_data(t).reshape(-1) for t in tensors]
    real = [t.real for t in traced]
    kinds = [types.float64 if type(s) is Scalar else types.boolean for s in scalars]
    signature = (*(kernel.typeof_pyval(a) for a in real), *kinds)
    if signature not in kernel.overloads:
        kernel.compile(signature)
    return KernelCall(kernel, kernel.overloads[signature], (*(trace.ref(t) for t in traced), *scalars))


def parts_of(owner, trace):
    """The kernel calls of an optimizer's step and the rules behind them, or a reason why there are none."""
    make = _RULES.get(type(owner))
    if make is None:
        return f"the step of {type(owner).__name__} is not known to tnn.compile"
    calls, rules = [], []
    for group in owner.param_groups:
        rule = make(owner, group)
        if any(rule.hooks) or rule.fixed["differentiable"]:
            return "the optimizer has hooks, or its step is differentiable"
        for p in group["params"]:
            g = p._grad
            if g is None:
                continue
            if g.is_sparse or g._data.shape != p._data.shape or not _plain(p, g):
                return "a parameter or its gradient is sparse, of half precision or has gaps"
            own = owner.state.get(p) or {}
            made, tensors = rule.calls(p, own, trace)
            if isinstance(made, str):
                return made
            rule.params.append((p, own, tensors))
            calls += made
        rules.append(rule)
    return calls, rules


def _plain(p, g):
    a, b = p._data, g._data
    whole = a.flags.c_contiguous and b.flags.c_contiguous
    return whole and a.dtype == b.dtype and a.dtype.kind == "f" and a.itemsize >= 4


def room(rules):
    """An array for the scalars of several rules, and where each begins."""
    places, n = {}, 0
    for rule in rules:
        places[rule] = n
        n += rule.count
    return array("d", [0.0] * max(n, 1)), places
