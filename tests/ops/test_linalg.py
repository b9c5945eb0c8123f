"""einsum, products, factorizations and what is computed from them."""

import numpy as np
import pytest

import tnn
from tnn import linalg
from tnn.autograd import gradcheck, gradgradcheck


def draw(*shape, seed=0, requires_grad=False):
    return tnn.tensor(np.random.RandomState(sum(shape) + seed).randn(*shape), requires_grad=requires_grad)


def positive(n, requires_grad=False):
    a = np.random.RandomState(n).randn(n, n)
    return tnn.tensor(a @ a.T + n * np.eye(n), requires_grad=requires_grad)


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 3)),
    ("ij,kj->ki", (2, 3), (4, 3)),
    ("i,j->ij", (2,), (3,)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->j", (3, 3, 2)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("...ij,...j->...i", (2, 2, 3), (3,)),
    ("...ij->...", (2, 3, 4)),
    ("bi,bij,bj->b", (2, 2), (2, 2, 3), (2, 3)),
    ("ij,ij->ij", (2, 3), (2, 1)),
    ("abc,cd,bd->ad", (2, 3, 4), (4, 5), (3, 5)),
    ("ba", (2, 3)),
]


@pytest.mark.parametrize("equation, shapes", [(e[0], e[1:]) for e in EQUATIONS], ids=[e[0] for e in EQUATIONS])
def test_einsum(equation, shapes):
    operands = [draw(*s, seed=i, requires_grad=True) for i, s in enumerate(shapes)]
    out = tnn.einsum(equation, *operands)
    np.testing.assert_allclose(out.detach().numpy(), np.einsum(equation, *(t.detach().numpy() for t in operands)))
    if out.numel() < 20:
        assert gradcheck(lambda *ts: tnn.einsum(equation, *ts), operands)


def test_einsum_sublists_and_errors():
    a, b = draw(2, 3), draw(3, 4)
    np.testing.assert_allclose(tnn.einsum(a, [0, 1], b, [1, 2], [2, 0]).numpy(), (a.numpy() @ b.numpy()).T)
    np.testing.assert_allclose(
        tnn.einsum(draw(2, 3, 4), [..., 0, 1], [..., 1, 0]).numpy(), draw(2, 3, 4).numpy().swapaxes(1, 2)
    )
    np.testing.assert_allclose(tnn.einsum("ij,jk", [a, b]).numpy(), a.numpy() @ b.numpy())
    for args in (
        ("ij,jk->ik", a),
        ("ijk", a),
        ("ij->ii", a),
        ("ij->k", a),
        ("i1", a),
        ("..i", a),
        ("ij,jk", a, a),
        ("ii", a),
    ):
        with pytest.raises(RuntimeError, match="einsum"):
            tnn.einsum(*args)
    with pytest.raises(ValueError):
        tnn.einsum("i")


def test_products():
    a, b = draw(2, 3, 4), draw(4, 3, 5)
    np.testing.assert_allclose(
        tnn.tensordot(a, b, ([1, 2], [1, 0])).numpy(), np.tensordot(a.numpy(), b.numpy(), ([1, 2], [1, 0]))
    )
    np.testing.assert_allclose(tnn.kron(draw(2, 3), draw(2)).numpy(), np.kron(draw(2, 3).numpy(), draw(2).numpy()))
    u, v = draw(4, 3), draw(4, 3, seed=1)
    np.testing.assert_allclose(tnn.cross(u, v, dim=1).numpy(), np.cross(u.numpy(), v.numpy()))
    np.testing.assert_allclose(tnn.inner(u, v).numpy(), np.inner(u.numpy(), v.numpy()))
    chain = [draw(2, 6), draw(6, 3), draw(3, 5), draw(5)]
    np.testing.assert_allclose(linalg.multi_dot(chain).numpy(), np.linalg.multi_dot([t.numpy() for t in chain]))
    with pytest.raises(RuntimeError, match="length 3"):
        linalg.cross(draw(2, 2), draw(2, 2))
    with pytest.raises(RuntimeError, match="contracted"):
        tnn.tensordot(a, a, 1)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        linalg.multi_dot([draw(2, 3), draw(2, 3)])


def test_factors_multiply_back():
    for shape in ((3, 3), (2, 4, 3), (2, 3, 4)):
        a = draw(*shape)
        q, r = linalg.qr(a)
        u, s, vh = linalg.svd(a, full_matrices=False)
        p, lower, upper = linalg.lu(a)
        for product in (q.matmul(r), (u * s.unsqueeze(-2)).matmul(vh), p.matmul(lower).matmul(upper)):
            np.testing.assert_allclose(product.numpy(), a.numpy(), atol=1e-12)
    a = positive(4)
    values, vectors = linalg.eigh(a)
    for product in (
        (vectors * values).matmul(vectors.mT),
        linalg.cholesky(a).matmul(linalg.cholesky(a).mT),
        linalg.cholesky(a, upper=True).mT.matmul(linalg.cholesky(a, upper=True)),
    ):
        np.testing.assert_allclose(product.numpy(), a.numpy(), atol=1e-12)
    q = tnn.orgqr(*tnn.geqrf(a))
    np.testing.assert_allclose(abs(q.numpy()), abs(linalg.qr(a)[0].numpy()), atol=1e-12)
    np.testing.assert_allclose(
        tnn.ormqr(*tnn.geqrf(a), a, transpose=True).triu().numpy(), q.mT.matmul(a).triu().numpy(), atol=1e-12
    )


def test_solutions():
    a, b = positive(3), draw(3, 2)
    for x in (
        linalg.solve(a, b),
        linalg.inv(a).matmul(b),
        linalg.lstsq(a, b).solution,
        tnn.cholesky_solve(b, linalg.cholesky(a)),
        linalg.lu_solve(*linalg.lu_factor(a), b),
        tnn.cholesky_inverse(linalg.cholesky(a)).matmul(b),
    ):
        np.testing.assert_allclose(a.matmul(x).numpy(), b.numpy(), atol=1e-12)
    np.testing.assert_allclose(linalg.solve(a, b.mT, left=False).matmul(a).numpy(), b.mT.numpy(), atol=1e-12)
    np.testing.assert_allclose(
        linalg.solve_triangular(a, b, upper=False).numpy(), np.linalg.solve(np.tril(a.numpy()), b.numpy())
    )
    np.testing.assert_allclose(linalg.pinv(draw(4, 2)).numpy(), np.linalg.pinv(draw(4, 2).numpy()))
    np.testing.assert_allclose(tnn.det(a).item(), np.linalg.det(a.numpy()))
    np.testing.assert_allclose(tnn.logdet(a).item(), np.log(np.linalg.det(a.numpy())))
    assert linalg.matrix_rank(tnn.ones(3, 3)).item() == 1
    np.testing.assert_allclose(linalg.cond(a).item(), np.linalg.cond(a.numpy()))
    np.testing.assert_allclose(linalg.matrix_power(a, -2).numpy(), np.linalg.matrix_power(a.numpy(), -2))
    values, vectors = np.linalg.eigh(a.numpy())
    np.testing.assert_allclose(linalg.matrix_exp(a).numpy(), (vectors * np.exp(values)) @ vectors.T, rtol=1e-10)
    t = draw(2, 3, 6)
    np.testing.assert_allclose(
        tnn.tensordot(t, linalg.tensorsolve(t, draw(2, 3)), 1).numpy(), draw(2, 3).numpy(), atol=1e-10
    )
    np.testing.assert_allclose(tnn.tensordot(linalg.tensorinv(t), t, 2).numpy(), np.eye(6), atol=1e-10)


@pytest.mark.parametrize(
    "op",
    [
        linalg.inv,
        linalg.det,
        lambda a: linalg.slogdet(a)[1],
        lambda a: linalg.cholesky(a + a.mT),
        lambda a: linalg.eigh(a + a.mT)[0],
        lambda a: tuple(linalg.qr(a)),
        lambda a: linalg.qr(a[:, :2])[1],
        lambda a: linalg.qr(a[:2])[1],
        linalg.svdvals,
        lambda a: linalg.svd(a[:, :2])[0][:, :2].abs(),
        lambda a: linalg.svd(a[:2], False)[2].abs(),
        lambda a: linalg.pinv(a[:2]),
        lambda a: linalg.lu_factor(a)[0],
        lambda a: linalg.solve(a, a[0]),
        lambda a: linalg.lstsq(a[:, :2], a[:, 2:])[0],
        lambda a: linalg.matrix_power(a, 3),
        linalg.matrix_exp,
        lambda a: tnn.cov(a[:2]),
        lambda a: tnn.vander(a[0], 4),
        tnn.trace,
    ],
)
def test_first_and_second_derivatives(op):
    a = positive(3, requires_grad=True)
    assert gradcheck(op, (a,)) and gradgradcheck(op, (a,))


def test_determinant_gradient_of_singular_matrices():
    x = tnn.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=tnn.float64, requires_grad=True)
    linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[4, -2], [-2, 1]], atol=1e-12)


def test_statistics():
    x = draw(3, 5)
    a = x.numpy()
    f, w = np.array([1, 2, 1, 3, 1]), np.array([0.1, 0.5, 0.2, 0.3, 0.9])
    np.testing.assert_allclose(tnn.cov(x).numpy(), np.cov(a))
    np.testing.assert_allclose(
        tnn.cov(x, fweights=tnn.tensor(f), aweights=tnn.tensor(w)).numpy(), np.cov(a, fweights=f, aweights=w)
    )
    np.testing.assert_allclose(tnn.corrcoef(x).numpy(), np.corrcoef(a))
    np.testing.assert_allclose(tnn.vander(x[0], 3, True).numpy(), np.vander(a[0], 3, True))
    with pytest.raises(RuntimeError, match="negative"):
        tnn.cov(x, aweights=tnn.tensor(-w))


def test_errors_name_the_operation():
    for call in (
        lambda: linalg.inv(draw(2, 3)),
        lambda: linalg.inv(tnn.zeros(2, 2)),
        lambda: linalg.cholesky(-positive(2)),
        lambda: linalg.solve(positive(3), draw(2, 2)),
        lambda: linalg.det(tnn.ones(2, 2, dtype=tnn.int64)),
        lambda: linalg.qr(draw(3, 2), "bad"),
        lambda: linalg.svd(draw(3)),
        lambda: linalg.lstsq(draw(3, 2), draw(3), driver="bad"),
    ):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(linalg.LinAlgError, match="linalg.inv"):
        linalg.inv(tnn.zeros(2, 2))


def test_removed_methods_say_what_to_use():
    for name in ("eig", "lstsq", "solve", "symeig"):
        with pytest.raises(RuntimeError, match="linalg"):
            getattr(draw(2, 2), name)()


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_lu_of_other_matrices_has_a_derivative(shape):
    assert gradcheck(lambda a: linalg.lu(a)[1:], (draw(*shape, requires_grad=True),))
    assert gradcheck(lambda a: linalg.lu_factor(a)[0], (draw(*shape, requires_grad=True),))


def test_empty_matrices():
    assert [t.shape for t in linalg.lu_factor(tnn.zeros(2, 0, 0))] == [(2, 0, 0), (2, 0)]
    assert linalg.lu_solve(tnn.zeros(0, 0), tnn.zeros(0, dtype=tnn.int32), tnn.zeros(0, 2)).shape == (0, 2)
    assert [t.shape for t in tnn.geqrf(tnn.zeros(5, 0))] == [(5, 0), (0,)]


def test_results_have_names():
    a = positive(3)
    assert linalg.inv_ex(a).info.item() == 0 and linalg.solve_ex(a, a).result.shape == (3, 3)
    assert tnn.frexp(a).exponent.dtype is tnn.int32
    assert tnn.triangular_solve(a, a).solution.shape == (3, 3)


def test_pinv_of_symmetric_matrices_reads_the_lower_triangle():
    a = positive(3)
    other = a.triu(1) * 5 + a.tril()
    assert tnn.allclose(linalg.pinv(other, hermitian=True), a.inverse())
    assert linalg.matrix_rank(other, hermitian=True).item() == 3


def test_singular_values_of_low_rank():
    tnn.manual_seed(0)
    a = draw(9, 3) @ draw(3, 7)
    for x in (a, a.T):
        u, s, v = tnn.svd_lowrank(x, 4)
        assert u.shape == (x.shape[0], 4) and tnn.allclose(u * s @ v.T, x)
    u, s, v = tnn.pca_lowrank(a, 3)
    assert tnn.allclose(u * s @ v.T, a - a.mean(0))
    with pytest.raises(ValueError, match="q"):
        tnn.pca_lowrank(a, 8)


def test_power_0_belongs_to_the_graph():
    a = draw(2, 2, requires_grad=True)
    linalg.matrix_power(a, 0).sum().backward()
    assert a.grad.tolist() == [[0, 0], [0, 0]]
    assert linalg.slogdet(a).sign.requires_grad


def test_small_cases():
    assert linalg.vander(tnn.tensor(2.0), N=3).tolist() == [[1, 2, 4]]
    with pytest.raises(RuntimeError, match="fweights to have integral"):
        tnn.cov(tnn.ones(3), fweights=tnn.ones(3))
    x = tnn.ones(1, 2, dtype=tnn.int32)
    assert tnn.tensordot(x, tnn.ones(3, 2, dtype=tnn.int32), ([0], [0])).dtype is tnn.int32


def test_keywords():
    a = tnn.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=tnn.float64)
    b = tnn.ones(2, 1, dtype=tnn.float64)
    for name in (
        "cholesky cholesky_ex cond eigh eigvalsh matrix_exp matrix_norm matrix_rank norm pinv vector_norm svdvals"
    ).split():
        argument = {"A" if name == "svdvals" else "input": a}
        for got, want in zip(flat(getattr(linalg, name)(**argument)), flat(getattr(linalg, name)(a)), strict=True):
            np.testing.assert_array_equal(got.numpy(), want.numpy())
    assert tnn.equal(linalg.matrix_power(input=a, n=2), linalg.matrix_power(a, 2))
    assert tnn.equal(linalg.solve_triangular(input=a, B=b, upper=True), linalg.solve_triangular(a, b, upper=True))
    assert tnn.equal(linalg.lstsq(input=a, b=b).solution, linalg.lstsq(a, b).solution)
    assert tnn.equal(linalg.tensorinv(input=a, ind=1), linalg.tensorinv(a, 1))
    assert tnn.equal(linalg.tensorsolve(input=a, other=b[:, 0]), linalg.tensorsolve(a, b[:, 0]))
    assert tnn.equal(tnn.triangular_solve(input=b, A=a).solution, tnn.triangular_solve(b, a).solution)
    low = linalg.cholesky(a)
    assert tnn.equal(tnn.cholesky_solve(input=b, input2=low), tnn.cholesky_solve(b, low))
    assert tnn.equal(tnn.cholesky_inverse(input=low), tnn.cholesky_inverse(low))
    packed, tau = tnn.geqrf(a)
    assert tnn.equal(tnn.ormqr(input=packed, input2=tau, input3=b), tnn.ormqr(packed, tau, b))
    with pytest.raises(RuntimeError, match="2 dimensions"):
        tnn.ormqr(tnn.ones(()), tau, b)


def flat(result):
    return list(result) if isinstance(result, tuple) else [result]


def test_factors_of_large_and_many_matrices_for_any_number_of_threads():
    before = tnn.get_num_threads()
    for lead, n in (((), 3), ((), 70), ((300,), 9), ((), 257)):
        tnn.manual_seed(n)
        x = tnn.randn(*lead, n, n, dtype=tnn.float64)
        a = (x @ x.mT / n + tnn.eye(n, dtype=tnn.float64)).requires_grad_()
        b = tnn.randn(*lead, n, 5, dtype=tnn.float64)
        found = []
        for threads in (1, 2):
            tnn.set_num_threads(threads)
            lower, upper = linalg.cholesky(a), linalg.cholesky(a.detach() + x.tril(-1), upper=True)
            results = [lower, linalg.inv(a), linalg.solve(a, b), *linalg.slogdet(a), linalg.det(a)]
            gradients = [tnn.autograd.grad(r.tanh().sum(), a, retain_graph=True)[0] for r in results]
            found.append([t.detach().numpy() for t in (*results, upper, *gradients)])
        for one, two in zip(*found, strict=True):
            np.testing.assert_array_equal(one, two)
        lower, inverse, x, sign, logs, det, upper = found[0][:7]
        a = a.detach().numpy()
        close = {"rtol": 1e-9, "atol": 1e-10}
        np.testing.assert_allclose(lower @ lower.swapaxes(-1, -2), a, **close)
        np.testing.assert_allclose(upper, lower.swapaxes(-1, -2), **close)
        assert not np.triu(lower, 1).any() and not np.tril(upper, -1).any()
        np.testing.assert_allclose(a @ inverse, np.broadcast_to(np.eye(n), a.shape), **close)
        np.testing.assert_allclose(a @ x, b.numpy(), **close)
        np.testing.assert_allclose(sign * np.exp(logs), det, rtol=1e-9)
        np.testing.assert_allclose(logs, np.linalg.slogdet(a)[1], rtol=1e-9)
    tnn.set_num_threads(before)


@pytest.mark.parametrize("dtype", [tnn.float32, tnn.float64])
@pytest.mark.parametrize("n", [2, 40])
def test_gradients_from_factors_are_those_of_differentiable_operations(n, dtype):
    tnn.manual_seed(n)
    x, b = tnn.randn(2, n, n, dtype=dtype), tnn.randn(2, n, 3, dtype=dtype)
    a = (x @ x.mT / n + tnn.eye(n, dtype=dtype)).requires_grad_()
    for op in (
        linalg.inv,
        linalg.det,
        linalg.cholesky,
        lambda a: linalg.cholesky(a, upper=True),
        lambda a: linalg.solve(a, b),
        lambda a: linalg.solve(a, b[..., 0]),
        lambda a: linalg.slogdet(a)[1],
    ):
        y = op(a)
        seed = tnn.randn(*y.shape, dtype=dtype)
        direct = tnn.autograd.grad(y, a, seed, retain_graph=True)[0]
        composed = tnn.autograd.grad(y, a, seed, create_graph=True)[0]
        size = abs(composed.detach().numpy()).max()
        tolerance = 1e-4 if dtype is tnn.float32 else 1e-12
        np.testing.assert_allclose(direct.numpy(), composed.detach().numpy(), rtol=0, atol=tolerance * size)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("upper", [False, True])
def test_triangular_systems_read_one_triangle(upper, unit):
    a = draw(2, 4, 4) + 3 * tnn.eye(4, dtype=tnn.float64)
    t = a.triu() if upper else a.tril()
    if unit:
        t = t - t * tnn.eye(4, dtype=tnn.float64) + tnn.eye(4, dtype=tnn.float64)
    for given in (a, a.mT.contiguous().mT):
        for b in (draw(2, 4, 3), draw(4, 1)):
            x = linalg.solve_triangular(given, b, upper=upper, unitriangular=unit)
            np.testing.assert_allclose(t.matmul(x).numpy(), np.broadcast_to(b.numpy(), x.shape), atol=1e-12)
            x = linalg.solve_triangular(given, b.mT, upper=upper, left=False, unitriangular=unit)
            np.testing.assert_allclose(x.matmul(t).numpy(), np.broadcast_to(b.mT.numpy(), x.shape), atol=1e-12)
    pair = a.requires_grad_(), draw(2, 4, 2, requires_grad=True)
    for left in (True, False):
        assert gradcheck(
            lambda a, b, left=left: linalg.solve_triangular(
                a, b if left else b.mT, upper=upper, left=left, unitriangular=unit
            ),
            pair,
        )
    with pytest.raises(RuntimeError, match="Incompatible shapes"):
        linalg.solve_triangular(a, draw(3, 2), upper=upper)
    with pytest.raises(RuntimeError, match="same dtype"):
        linalg.solve_triangular(a, tnn.ones(4, 2), upper=upper)


def test_what_has_no_factor_is_named():
    singular = tnn.tensor([[1.0, 2.0], [2.0, 4.0]])
    both = tnn.stack([tnn.eye(2), singular])
    for call, message in (
        (lambda: linalg.inv(singular), r"linalg.inv: The diagonal element 2 is zero"),
        (lambda: linalg.inv(both), r"linalg.inv: \(Batch element 1\): The diagonal element 2 is zero"),
        (lambda: linalg.inv_ex(singular, check_errors=True), "linalg.inv_ex: The diagonal"),
        (lambda: linalg.solve(both, tnn.eye(2)), r"linalg.solve: \(Batch element 1\): The solver failed"),
        (lambda: linalg.solve_ex(singular, singular, check_errors=True), "linalg.solve_ex: The solver failed"),
        (lambda: linalg.cholesky(singular), "the leading minor of order 2 is not positive-definite"),
        (lambda: linalg.cholesky(tnn.stack([tnn.eye(2), -singular])), r"\(Batch element 1\).*minor of order 1"),
        (lambda: linalg.cholesky(tnn.full((2, 2), float("nan"))), "minor of order 1"),
        (lambda: linalg.cholesky_ex(-singular, check_errors=True), "linalg.cholesky_ex: .*minor of order 1"),
    ):
        with pytest.raises(linalg.LinAlgError, match=message):
            call()
    assert linalg.cholesky_ex(singular).info.item() == 2 and linalg.cholesky_ex(-singular).info.item() == 1
    assert linalg.inv_ex(both).info.tolist() == [0, 2] and linalg.inv_ex(both).inverse[0].tolist() == [[1, 0], [0, 1]]
    assert linalg.solve_ex(singular, singular).info.item() == 2
    sign, logs = linalg.slogdet(singular)
    assert sign.item() == 0 and logs.item() == float("-inf") and linalg.det(singular).item() == 0
    assert np.isnan(linalg.inv(tnn.full((2, 2), float("nan"))).numpy()).all()


def test_reflections_and_least_squares():
    for m, n in ((6, 4), (5, 5), (9, 1)):
        a = tnn.randn(2, m, n, dtype=tnn.float64)
        q = tnn.linalg.householder_product(*tnn.geqrf(a))
        np.testing.assert_allclose((q.mT @ q).numpy(), np.broadcast_to(np.eye(n), (2, n, n)), atol=1e-12)
        np.testing.assert_allclose((q @ (q.mT @ a)).numpy(), a.numpy(), atol=1e-12)
        b = tnn.randn(2, m, 3, dtype=tnn.float64)
        for one, two in zip(tnn.linalg.lstsq(a, b).solution, zip(a, b, strict=True), strict=True):
            np.testing.assert_allclose(one.numpy(), np.linalg.lstsq(*(t.numpy() for t in two), None)[0], atol=1e-10)
        np.testing.assert_allclose(tnn.linalg.svdvals(a).numpy(), tnn.linalg.svd(a)[1].numpy(), atol=1e-12)
        s = a.mT @ a
        np.testing.assert_allclose(tnn.linalg.eigvalsh(s).numpy(), tnn.linalg.eigh(s)[0].numpy(), atol=1e-12)


def test_lstsq_leaves_out_what_rcond_says():
    a, b = tnn.eye(4, 3, dtype=tnn.float64) * tnn.tensor([1.0, 0.5, 0.1], dtype=tnn.float64), tnn.ones(4, 1).double()
    for driver in (None, "gelsy", "gelsd"):
        found = linalg.lstsq(a, b, 0.3, driver=driver)
        assert found.rank == 2
        np.testing.assert_allclose(found.solution[:, 0].numpy(), [1.0, 2.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(linalg.lstsq(a, b, 0.3, driver="gels").solution[:, 0].numpy(), [1.0, 2.0, 10.0])


def test_matrix_exp_of_all_sizes():
    # A rotation by sums of powers of one matrix: exp(a) exp(a) = exp(2a), exactly known for two dimensions.
    for dtype, close in ((tnn.float32, 4e-7), (tnn.float64, 1e-15)):
        for angle in (0.0, 1e-9, 1e-4, 0.01, 0.04, 0.25, 0.5, 0.75, 1.4, 3.0, 20.0):
            turn = linalg.matrix_exp(tnn.tensor([[0.0, -angle], [angle, 0.0]], dtype=dtype)).numpy()
            exact = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
            np.testing.assert_allclose(turn, exact, atol=close * max(1.0, 2 * angle))
