"""L-BFGS on Rosenbrock's function, against PyTorch's path."""

import numpy as np
import pytest

import tnn
from tnn import optim


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    g = np.zeros_like(x)
    g[:-1] = -2 * (1 - a) - 400 * a * (b - a * a)
    g[1:] += 200 * (b - a * a)
    return ((1 - a) ** 2 + 100 * (b - a * a) ** 2).sum(), g


def closure_of(p, calls=None):
    def closure():
        x = p.detach().numpy().reshape(-1)
        f, g = rosenbrock(x)
        p.grad = tnn.tensor(g.reshape(p._data.shape))
        if calls is not None:
            calls.append(tnn.is_grad_enabled())
        return tnn.tensor(f)

    return closure


@pytest.mark.parametrize(
    "search, lr, losses, end, n_iter, evals",
    [
        (
            None, 1e-3, [49.2, 48.495616303992506, 47.8552681477117, 47.204913798470905],
            [-1.1938860031896665, 0.998329003482624, 0.5118168656746257], 32, 32,
        ),
        (
            "strong_wolfe", 1, [49.2, 3.5198535641292485, 2.915061153440661, 2.1779808507886953],
            [0.5302002820001223, 0.2514729343711448, 0.0471861569396898], 26, 42,
        ),
    ],
)  # fmt: skip
def test_takes_pytorchs_path(search, lr, losses, end, n_iter, evals):
    p = tnn.nn.Parameter(tnn.tensor(np.array([-1.2, 1.0, 0.5])))
    opt = optim.LBFGS([p], lr=lr, max_iter=8, history_size=3, line_search_fn=search)
    calls = []
    got = [opt.step(closure_of(p, calls)).item() for _ in range(4)]
    np.testing.assert_allclose(got, losses, rtol=1e-8)
    np.testing.assert_allclose(p.detach().numpy(), end, rtol=1e-7)
    assert (opt.state[p]["n_iter"], opt.state[p]["func_evals"]) == (n_iter, evals)
    assert len(calls) == evals and all(calls)
    assert len(opt.state[p]["old_dirs"]) == 3


def test_finds_the_minimum_and_stops():
    p = tnn.nn.Parameter(tnn.tensor(np.array([[-1.2], [1.0], [-0.5], [0.3]])))
    opt = optim.LBFGS([p], max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-15, line_search_fn="strong_wolfe")
    opt.step(closure_of(p))
    assert abs(rosenbrock(p.detach().numpy().reshape(-1))[1]).max() < 1e-6
    before = p.tolist(), opt.state[p]["n_iter"]
    opt.defaults["tolerance_grad"] = opt.param_groups[0]["tolerance_grad"] = 1e-3
    opt.step(closure_of(p))
    assert (p.tolist(), opt.state[p]["n_iter"]) == before


def test_several_parameters_are_one_vector():
    whole = tnn.nn.Parameter(tnn.tensor(np.array([-1.2, 1.0, 0.5])))
    a, b, idle = (tnn.nn.Parameter(tnn.tensor(np.array(x))) for x in ([-1.2, 1.0], [0.5], [[3.0]]))

    def closure():
        f, g = rosenbrock(np.concatenate([a.detach().numpy(), b.detach().numpy()]))
        a.grad, b.grad = tnn.tensor(g[:2]), tnn.tensor(g[2:])
        return f

    optim.LBFGS([whole], line_search_fn="strong_wolfe").step(closure_of(whole))
    optim.LBFGS([a, b, idle], line_search_fn="strong_wolfe").step(closure)
    np.testing.assert_allclose(a.tolist() + b.tolist(), whole.tolist(), rtol=1e-6)
    assert idle.item() == 3.0


def test_state_dict_goes_on_alike():
    p = tnn.nn.Parameter(tnn.tensor(np.array([-1.2, 1.0, 0.5])))
    opt = optim.LBFGS([p], max_iter=3, line_search_fn="strong_wolfe")
    opt.step(closure_of(p))
    q = tnn.nn.Parameter(tnn.tensor(np.array(p.tolist())))
    other = optim.LBFGS([q], max_iter=3, line_search_fn="strong_wolfe")
    other.load_state_dict(opt.state_dict())
    opt.step(closure_of(p))
    other.step(closure_of(q))
    assert p.tolist() == q.tolist()


def test_what_it_refuses():
    a, b = (tnn.nn.Parameter(tnn.tensor(np.array([2.0, 1.0]))) for _ in range(2))
    with pytest.raises(ValueError, match="parameter groups"):
        optim.LBFGS([{"params": [a]}, {"params": [b]}])
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported, got 'armijo'"):
        optim.LBFGS([a], line_search_fn="armijo").step(closure_of(a))
