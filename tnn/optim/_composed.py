"""The update rules once more, out of differentiable operations: ``differentiable=True`` runs them, so that a loss after
the step has gradients for what the step used.

Each rule gets the parameter, its gradient (already negated for ``maximize``), its state and its group. It computes from
copies and writes the parameter and the states at the end, so that nothing that backward needs is overwritten by a later
step.
"""

from ..tensor import Tensor
from .optimizer import advance


def _scalar(x):
    return x.reshape(()) if isinstance(x, Tensor) else x


def _decayed(p, d, group):
    """The parameter after a decoupled weight decay, and the gradient with the other kind added."""
    x, wd = p.clone(), group["weight_decay"]
    if not isinstance(wd, Tensor) and wd == 0:
        return x, d
    if group.get("decoupled_weight_decay"):
        return x * (1 - _scalar(group["lr"]) * wd), d
    return x, d + x * wd


def _lerp(a, b, w):
    return a + (b - a) * w


def sgd(p, d, state, group):
    """As ``kernels.optim.sgd`` and ``sgd_momentum``."""
    x, d = _decayed(p, d, group)
    momentum = group["momentum"]
    if momentum != 0:
        old = state.get("momentum_buffer")
        if old is None:
            b = state["momentum_buffer"] = d.detach().clone()
        else:
            b = old.clone() * momentum + d * (1 - group["dampening"])
            old.copy_(b)
        d = d + b * momentum if group["nesterov"] else b
    p.copy_(x - d * _scalar(group["lr"]))


def _moments(state, d, beta1, beta2):
    m = _lerp(state["exp_avg"].clone(), d, 1 - beta1)
    v = state["exp_avg_sq"].clone() * beta2 + d * d * (1 - beta2)
    state["exp_avg"].copy_(m)
    state["exp_avg_sq"].copy_(v)
    return m, v


def adam(p, d, state, group):
    """As ``kernels.optim.adam`` and ``amsgrad``."""
    step = advance(state)
    beta1, beta2 = (_scalar(b) for b in group["betas"])
    x, d = _decayed(p, d, group)
    m, v = _moments(state, d, beta1, beta2)
    if group["amsgrad"]:
        v = state["max_exp_avg_sq"].clone().maximum(v)
        state["max_exp_avg_sq"].copy_(v)
    root = (1 - beta2**step) ** 0.5
    p.copy_(x - m / (v.sqrt() / root + group["eps"]) * (_scalar(group["lr"]) / (1 - beta1**step)))


def adamax(p, d, state, group):
    """As ``kernels.optim.adamax``."""
    step = advance(state)
    beta1, beta2 = group["betas"]
    x, d = _decayed(p, d, group)
    m = _lerp(state["exp_avg"].clone(), d, 1 - beta1)
    h = (state["exp_inf"].clone() * beta2).maximum(d.abs() + group["eps"])
    state["exp_avg"].copy_(m)
    state["exp_inf"].copy_(h)
    p.copy_(x - m / h * (_scalar(group["lr"]) / (1 - beta1**step)))


def nadam(p, d, state, group):
    """As ``kernels.optim.nadam``."""
    step = advance(state)
    beta1, beta2 = group["betas"]
    lr, product = _scalar(group["lr"]), state["mu_product"]._data
    x, d = _decayed(p, d, group)
    mu = beta1 * (1.0 - 0.5 * (0.96 ** (step * group["momentum_decay"])))
    mu_next = beta1 * (1.0 - 0.5 * (0.96 ** ((step + 1) * group["momentum_decay"])))
    product *= mu
    m, v = _moments(state, d, beta1, beta2)
    den = (v / (1 - beta2**step)).sqrt() + group["eps"]
    x = x - d / den * (lr * ((1.0 - mu) / (1.0 - product.item())))
    p.copy_(x - m / den * (lr * (mu_next / (1.0 - product.item() * mu_next))))


def radam(p, d, state, group):
    """As ``kernels.optim.radam``."""
    step = advance(state)
    beta1, beta2 = group["betas"]
    x, d = _decayed(p, d, group)
    m, v = _moments(state, d, beta1, beta2)
    bias2 = 1 - beta2**step
    change = m / (1 - beta1**step) * _scalar(group["lr"])
    rect = rectification(beta2, step)
    if rect:
        change = change * (bias2**0.5 / (v.sqrt() + group["eps"])) * rect
    p.copy_(x - change)


def rectification(beta2, step):
    """RAdam's r_t, or 0.0 while the variance of the adaptive rate is not tractable (rho_t <= 5)."""
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * step * (beta2**step) / (1 - beta2**step)
    if rho <= 5.0:
        return 0.0
    return ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) ** 0.5


def rmsprop(p, d, state, group):
    """As ``kernels.optim.rmsprop`` and its variants."""
    advance(state)
    alpha, momentum = group["alpha"], group["momentum"]
    x, d = _decayed(p, d, group)
    v = state["square_avg"].clone() * alpha + d * d * (1 - alpha)
    state["square_avg"].copy_(v)
    if group["centered"]:
        q = _lerp(state["grad_avg"].clone(), d, 1 - alpha)
        state["grad_avg"].copy_(q)
        v = v - q * q
    change = d / (v.sqrt() + group["eps"])
    if momentum > 0:
        change = state["momentum_buffer"].clone() * momentum + change
        state["momentum_buffer"].copy_(change)
    p.copy_(x - change * _scalar(group["lr"]))


def rprop(p, d, state, group):
    """As ``kernels.optim.rprop``."""
    advance(state)
    (down, up), (least, most) = group["etas"], group["step_sizes"]
    x = p.clone()
    agree = (d.detach() * state["prev"].detach()).sign()
    grows, shrinks = (agree > 0).to(p.dtype), (agree < 0).to(p.dtype)
    factor = grows * up + shrinks * down + (1 - grows - shrinks)
    size = (state["step_size"].clone() * factor).clamp(least, most)
    d = d * (1 - shrinks)
    state["step_size"].copy_(size)
    state["prev"].copy_(d)
    p.copy_(x - d.sign() * size)


def adagrad(p, d, state, group):
    """As ``kernels.optim.adagrad``."""
    step = advance(state)
    x, d = _decayed(p, d, group)
    v = state["sum"].clone() + d * d
    state["sum"].copy_(v)
    p.copy_(x - d / (v.sqrt() + group["eps"]) * (_scalar(group["lr"]) / (1 + (step - 1) * group["lr_decay"])))


def adadelta(p, d, state, group):
    """As ``kernels.optim.adadelta``."""
    advance(state)
    rho, eps = group["rho"], group["eps"]
    x, d = _decayed(p, d, group)
    v = state["square_avg"].clone() * rho + d * d * (1 - rho)
    old = state["acc_delta"].clone()
    change = (old + eps).sqrt() / (v + eps).sqrt() * d
    state["square_avg"].copy_(v)
    state["acc_delta"].copy_(old * rho + change * change * (1 - rho))
    p.copy_(x - change * _scalar(group["lr"]))


def asgd(p, d, state, group):
    """As ``kernels.optim.asgd``."""
    step = advance(state)
    x, d = _decayed(p, d, group)
    eta, mu = state["eta"]._data, state["mu"]._data
    y = x * (1 - group["lambd"] * eta.item()) - d * eta.item()
    old = state["ax"].clone()
    state["ax"].copy_(y if mu == 1 else _lerp(old, y, mu.item()))
    p.copy_(y)
    lr = float(group["lr"])
    eta[()] = lr / ((1 + group["lambd"] * lr * step) ** group["alpha"])
    mu[()] = 1 / max(1, step - group["t0"])
