"""One pass over memory for each optimizer: parameter, gradient and states are read once and written once.

All arrays of a call are 1-D, contiguous and of one dtype (float32 or float64); scalars are Python floats, rounded here
to that dtype as PyTorch rounds them. ``sign`` is 1 to minimise and -1 to maximise, ``wd`` the weight decay that joins
the gradient, ``keep`` the factor by which a decoupled weight decay shrinks the parameter (1 without one):

    d = sign g + wd p,    p <- keep p - update(d)

Every kernel writes the parameter and the states that it is given, in place, and returns nothing.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT


@njit(**JIT)
def lerp_one(a, b, w, u):
    """a + w (b - a), from the nearer end; u = 1 - w."""
    return a + w * (b - a) if w < u else b - (b - a) * u


@njit(**JIT)
def larger(a, b):
    """The larger of two numbers, NaN if one is NaN."""
    return a if a > b or a != a else b


@njit(**JIT)
def _sgd(p, g, sign, wd, lr):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        p[i] -= lr * d


@njit(parallel=True, **JIT)
def sgd(p, g, sign, wd, lr):
    """p <- p - lr d. Writes p."""
    t, n = p.dtype.type, p.size
    s, w, r = t(sign), t(wd), t(lr)
    if n < GRAIN:
        _sgd(p, g, s, w, r)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _sgd(p[lo:hi], g[lo:hi], s, w, r)


@njit(**JIT)
def _sgd_momentum(p, g, b, sign, wd, momentum, gain, lr, nesterov, first):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        m = d if first else momentum * b[i] + gain * d
        b[i] = m
        p[i] -= lr * (d + momentum * m if nesterov else m)


@njit(parallel=True, **JIT)
def sgd_momentum(p, g, b, sign, wd, momentum, gain, lr, nesterov, first):
    """b <- momentum b + gain d (``first``: b <- d);  p <- p - lr b, or p - lr (d + momentum b) with ``nesterov``.
    Writes p and b."""
    t, n = p.dtype.type, p.size
    s, w, m, k, r = t(sign), t(wd), t(momentum), t(gain), t(lr)
    if n < GRAIN:
        _sgd_momentum(p, g, b, s, w, m, k, r, nesterov, first)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _sgd_momentum(p[lo:hi], g[lo:hi], b[lo:hi], s, w, m, k, r, nesterov, first)


@njit(**JIT)
def _adam(p, g, m, v, sign, wd, keep, w1, u1, b2, w2, root, eps, step):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        a = lerp_one(m[i], d, w1, u1)
        s = b2 * v[i] + w2 * d * d
        m[i] = a
        v[i] = s
        p[i] = keep * p[i] - step * a / (np.sqrt(s) / root + eps)


@njit(parallel=True, **JIT)
def adam(p, g, m, v, sign, wd, keep, beta1, beta2, root, eps, step):
    """m <- lerp(m, d, 1 - beta1);  v <- beta2 v + (1 - beta2) d^2;  p <- keep p - step m / (sqrt(v) / root + eps).
    Writes p, m, v."""
    t, n = p.dtype.type, p.size
    s, w, k, w1, u1, b2, w2 = t(sign), t(wd), t(keep), t(1 - beta1), t(beta1), t(beta2), t(1 - beta2)
    r, e, a = t(root), t(eps), t(step)
    if n < GRAIN:
        _adam(p, g, m, v, s, w, k, w1, u1, b2, w2, r, e, a)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _adam(p[lo:hi], g[lo:hi], m[lo:hi], v[lo:hi], s, w, k, w1, u1, b2, w2, r, e, a)


@njit(**JIT)
def _amsgrad(p, g, m, v, h, sign, wd, keep, w1, u1, b2, w2, root, eps, step):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        a = lerp_one(m[i], d, w1, u1)
        s = b2 * v[i] + w2 * d * d
        m[i] = a
        v[i] = s
        s = larger(s, h[i])
        h[i] = s
        p[i] = keep * p[i] - step * a / (np.sqrt(s) / root + eps)


@njit(parallel=True, **JIT)
def amsgrad(p, g, m, v, h, sign, wd, keep, beta1, beta2, root, eps, step):
    """As ``adam``, with h <- max(h, v) in place of v in the denominator. Writes p, m, v, h."""
    t, n = p.dtype.type, p.size
    s, w, k, w1, u1, b2, w2 = t(sign), t(wd), t(keep), t(1 - beta1), t(beta1), t(beta2), t(1 - beta2)
    r, e, a = t(root), t(eps), t(step)
    if n < GRAIN:
        _amsgrad(p, g, m, v, h, s, w, k, w1, u1, b2, w2, r, e, a)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _amsgrad(p[lo:hi], g[lo:hi], m[lo:hi], v[lo:hi], h[lo:hi], s, w, k, w1, u1, b2, w2, r, e, a)


@njit(**JIT)
def _adamax(p, g, m, h, sign, wd, w1, u1, b2, eps, step):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        a = lerp_one(m[i], d, w1, u1)
        s = larger(b2 * h[i], abs(d) + eps)
        m[i] = a
        h[i] = s
        p[i] -= step * a / s


@njit(parallel=True, **JIT)
def adamax(p, g, m, h, sign, wd, beta1, beta2, eps, step):
    """m <- lerp(m, d, 1 - beta1);  h <- max(beta2 h, |d| + eps);  p <- p - step m / h. Writes p, m, h."""
    t, n = p.dtype.type, p.size
    s, w, w1, u1, b2, e, a = t(sign), t(wd), t(1 - beta1), t(beta1), t(beta2), t(eps), t(step)
    if n < GRAIN:
        _adamax(p, g, m, h, s, w, w1, u1, b2, e, a)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _adamax(p[lo:hi], g[lo:hi], m[lo:hi], h[lo:hi], s, w, w1, u1, b2, e, a)


@njit(**JIT)
def _nadam(p, g, m, v, sign, wd, keep, w1, u1, b2, w2, bias2, eps, cg, cm):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        a = lerp_one(m[i], d, w1, u1)
        s = b2 * v[i] + w2 * d * d
        m[i] = a
        v[i] = s
        den = np.sqrt(s / bias2) + eps
        p[i] = keep * p[i] - cg * d / den - cm * a / den


@njit(parallel=True, **JIT)
def nadam(p, g, m, v, sign, wd, keep, beta1, beta2, bias2, eps, cg, cm):
    """m, v as in ``adam``;  den = sqrt(v / bias2) + eps;  p <- keep p - cg d / den - cm m / den. Writes p, m, v."""
    t, n = p.dtype.type, p.size
    s, w, k, w1, u1, b2, w2 = t(sign), t(wd), t(keep), t(1 - beta1), t(beta1), t(beta2), t(1 - beta2)
    b, e, x, y = t(bias2), t(eps), t(cg), t(cm)
    if n < GRAIN:
        _nadam(p, g, m, v, s, w, k, w1, u1, b2, w2, b, e, x, y)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _nadam(p[lo:hi], g[lo:hi], m[lo:hi], v[lo:hi], s, w, k, w1, u1, b2, w2, b, e, x, y)


@njit(**JIT)
def _radam(p, g, m, v, sign, wd, keep, w1, u1, b2, w2, bias1, eps, lr, root, rect):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        a = lerp_one(m[i], d, w1, u1)
        s = b2 * v[i] + w2 * d * d
        m[i] = a
        v[i] = s
        step = a / bias1 * lr
        if rect != 0:
            step = step * (root / (np.sqrt(s) + eps)) * rect
        p[i] = keep * p[i] - step


@njit(parallel=True, **JIT)
def radam(p, g, m, v, sign, wd, keep, beta1, beta2, bias1, eps, lr, root, rect):
    """m, v as in ``adam``;  p <- keep p - lr m / bias1 [rect root / (sqrt(v) + eps)], the bracket only where ``rect``
    is not 0. Writes p, m, v."""
    t, n = p.dtype.type, p.size
    s, w, k, w1, u1, b2, w2 = t(sign), t(wd), t(keep), t(1 - beta1), t(beta1), t(beta2), t(1 - beta2)
    b, e, r, x, y = t(bias1), t(eps), t(lr), t(root), t(rect)
    if n < GRAIN:
        _radam(p, g, m, v, s, w, k, w1, u1, b2, w2, b, e, r, x, y)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _radam(p[lo:hi], g[lo:hi], m[lo:hi], v[lo:hi], s, w, k, w1, u1, b2, w2, b, e, r, x, y)


@njit(**JIT)
def _rmsprop(p, g, v, sign, wd, alpha, w, eps, lr):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        s = alpha * v[i] + w * d * d
        v[i] = s
        p[i] -= lr * d / (np.sqrt(s) + eps)


@njit(parallel=True, **JIT)
def rmsprop(p, g, v, sign, wd, alpha, eps, lr):
    """v <- alpha v + (1 - alpha) d^2;  p <- p - lr d / (sqrt(v) + eps). Writes p, v."""
    t, n = p.dtype.type, p.size
    s, w, a, u, e, r = t(sign), t(wd), t(alpha), t(1 - alpha), t(eps), t(lr)
    if n < GRAIN:
        _rmsprop(p, g, v, s, w, a, u, e, r)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _rmsprop(p[lo:hi], g[lo:hi], v[lo:hi], s, w, a, u, e, r)


@njit(**JIT)
def _rmsprop_momentum(p, g, v, b, sign, wd, alpha, w, eps, lr, momentum):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        s = alpha * v[i] + w * d * d
        v[i] = s
        m = momentum * b[i] + d / (np.sqrt(s) + eps)
        b[i] = m
        p[i] -= lr * m


@njit(parallel=True, **JIT)
def rmsprop_momentum(p, g, v, b, sign, wd, alpha, eps, lr, momentum):
    """v as in ``rmsprop``;  b <- momentum b + d / (sqrt(v) + eps);  p <- p - lr b. Writes p, v, b."""
    t, n = p.dtype.type, p.size
    s, w, a, u, e, r, k = t(sign), t(wd), t(alpha), t(1 - alpha), t(eps), t(lr), t(momentum)
    if n < GRAIN:
        _rmsprop_momentum(p, g, v, b, s, w, a, u, e, r, k)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _rmsprop_momentum(p[lo:hi], g[lo:hi], v[lo:hi], b[lo:hi], s, w, a, u, e, r, k)


@njit(**JIT)
def _rmsprop_centered(p, g, v, q, sign, wd, alpha, w, eps, lr):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        s = alpha * v[i] + w * d * d
        a = lerp_one(q[i], d, w, alpha)
        v[i] = s
        q[i] = a
        p[i] -= lr * d / (np.sqrt(s - a * a) + eps)


@njit(**JIT)
def _rmsprop_centered_momentum(p, g, v, q, b, sign, wd, alpha, w, eps, lr, momentum):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        s = alpha * v[i] + w * d * d
        a = lerp_one(q[i], d, w, alpha)
        v[i] = s
        q[i] = a
        m = momentum * b[i] + d / (np.sqrt(s - a * a) + eps)
        b[i] = m
        p[i] -= lr * m


@njit(parallel=True, **JIT)
def rmsprop_centered(p, g, v, q, sign, wd, alpha, eps, lr):
    """As ``rmsprop``, with q <- lerp(q, d, 1 - alpha) and sqrt(v - q^2) in place of sqrt(v). Writes p, v, q."""
    t, n = p.dtype.type, p.size
    s, w, a, u, e, r = t(sign), t(wd), t(alpha), t(1 - alpha), t(eps), t(lr)
    if n < GRAIN:
        _rmsprop_centered(p, g, v, q, s, w, a, u, e, r)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _rmsprop_centered(p[lo:hi], g[lo:hi], v[lo:hi], q[lo:hi], s, w, a, u, e, r)


@njit(parallel=True, **JIT)
def rmsprop_centered_momentum(p, g, v, q, b, sign, wd, alpha, eps, lr, momentum):
    """As ``rmsprop_momentum``, with q and the denominator of ``rmsprop_centered``. Writes p, v, q, b."""
    t, n = p.dtype.type, p.size
    s, w, a, u, e, r, k = t(sign), t(wd), t(alpha), t(1 - alpha), t(eps), t(lr), t(momentum)
    if n < GRAIN:
        _rmsprop_centered_momentum(p, g, v, q, b, s, w, a, u, e, r, k)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _rmsprop_centered_momentum(p[lo:hi], g[lo:hi], v[lo:hi], q[lo:hi], b[lo:hi], s, w, a, u, e, r, k)


@njit(**JIT)
def _rprop(p, g, prev, size, sign, down, up, least, most):
    zero = p.dtype.type(0)
    one = p.dtype.type(1)
    for i in range(p.size):
        d = sign * g[i]
        x = d * prev[i]
        f = up if x > zero else (down if x < zero else one)
        s = size[i] * f
        s = least if s < least else (most if s > most else s)
        d = zero if f == down else d
        size[i] = s
        prev[i] = d
        p[i] -= s if d > zero else (-s if d < zero else zero)


@njit(parallel=True, **JIT)
def rprop(p, g, prev, size, sign, down, up, least, most):
    """size <- clamp(size f, least, most), f = ``up``, ``down`` or 1 where d prev is positive, negative or 0;  d <- 0
    where f is ``down``;  p <- p - sgn(d) size;  prev <- d. Writes p, prev, size."""
    t, n = p.dtype.type, p.size
    s, a, b, x, y = t(sign), t(down), t(up), t(least), t(most)
    if n < GRAIN:
        _rprop(p, g, prev, size, s, a, b, x, y)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _rprop(p[lo:hi], g[lo:hi], prev[lo:hi], size[lo:hi], s, a, b, x, y)


@njit(**JIT)
def _adagrad(p, g, v, sign, wd, eps, step):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        s = v[i] + d * d
        v[i] = s
        p[i] -= step * d / (np.sqrt(s) + eps)


@njit(parallel=True, **JIT)
def adagrad(p, g, v, sign, wd, eps, step):
    """v <- v + d^2;  p <- p - step d / (sqrt(v) + eps). Writes p, v."""
    t, n = p.dtype.type, p.size
    s, w, e, a = t(sign), t(wd), t(eps), t(step)
    if n < GRAIN:
        _adagrad(p, g, v, s, w, e, a)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _adagrad(p[lo:hi], g[lo:hi], v[lo:hi], s, w, e, a)


@njit(**JIT)
def _adadelta(p, g, v, q, sign, wd, rho, w, eps, lr):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        s = rho * v[i] + w * d * d
        v[i] = s
        x = np.sqrt(q[i] + eps) / np.sqrt(s + eps) * d
        q[i] = rho * q[i] + w * x * x
        p[i] -= lr * x


@njit(parallel=True, **JIT)
def adadelta(p, g, v, q, sign, wd, rho, eps, lr):
    """v <- rho v + (1 - rho) d^2;  x = sqrt(q + eps) / sqrt(v + eps) d;  q <- rho q + (1 - rho) x^2;  p <- p - lr x.
    Writes p, v, q."""
    t, n = p.dtype.type, p.size
    s, w, a, u, e, r = t(sign), t(wd), t(rho), t(1 - rho), t(eps), t(lr)
    if n < GRAIN:
        _adadelta(p, g, v, q, s, w, a, u, e, r)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _adadelta(p[lo:hi], g[lo:hi], v[lo:hi], q[lo:hi], s, w, a, u, e, r)


@njit(**JIT)
def _asgd(p, g, x, sign, wd, keep, eta, mu):
    for i in range(p.size):
        d = sign * g[i]
        if wd != 0:
            d += wd * p[i]
        y = keep * p[i] - eta * d
        p[i] = y
        x[i] = y if mu == 1 else x[i] + (y - x[i]) * mu


@njit(parallel=True, **JIT)
def asgd(p, g, x, sign, wd, keep, eta, mu):
    """p <- keep p - eta d;  x <- x + mu (p - x), the running average. Writes p, x."""
    t, n = p.dtype.type, p.size
    s, w, k, e, m = t(sign), t(wd), t(keep), t(eta), t(mu)
    if n < GRAIN:
        _asgd(p, g, x, s, w, k, e, m)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _asgd(p[lo:hi], g[lo:hi], x[lo:hi], s, w, k, e, m)


@njit(**JIT)
def _lerp(a, b, w, u):
    for i in range(a.size):
        a[i] = lerp_one(a[i], b[i], w, u)


@njit(parallel=True, **JIT)
def lerp(a, b, weight):
    """a <- a + weight (b - a). Writes a."""
    t, n = a.dtype.type, a.size
    w, u = t(weight), t(1 - weight)
    if n < GRAIN:
        _lerp(a, b, w, u)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _lerp(a[lo:hi], b[lo:hi], w, u)


@njit(**JIT)
def _axpy(x, a, y):
    for i in range(x.size):
        y[i] += a * x[i]


@njit(parallel=True, **JIT)
def axpy(x, a, y):
    """y <- y + a x. Writes y."""
    n = x.size
    k = x.dtype.type(a)
    if n < GRAIN:
        _axpy(x, k, y)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _axpy(x[lo:hi], k, y[lo:hi])


@njit(**JIT)
def _scale(x, a, y):
    for i in range(x.size):
        y[i] = a * x[i]


@njit(parallel=True, **JIT)
def scale(x, a, y):
    """y <- a x. Writes y, which may be x."""
    n = x.size
    k = x.dtype.type(a)
    if n < GRAIN:
        _scale(x, k, y)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _scale(x[lo:hi], k, y[lo:hi])


@njit(**JIT)
def _dot(x, y):
    s = np.float64(0)
    for i in range(x.size):
        s += np.float64(x[i]) * np.float64(y[i])
    return s


@njit(parallel=True, **JIT)
def dot(x, y):
    """Returns sum(x y), in float64."""
    n = x.size
    if n < GRAIN:
        return _dot(x, y)
    chunks = (n + CHUNK - 1) // CHUNK
    part = np.empty(chunks, np.float64)
    for c in prange(chunks):
        lo = np.intp(c) * CHUNK
        hi = min(n, lo + CHUNK)
        part[np.intp(c)] = _dot(x[lo:hi], y[lo:hi])
    total = 0.0
    for c in range(chunks):
        total += part[c]
    return total
