"""Facts about calclib.curvature: kinds, condition, rates, power iteration, the model."""

import math
import warnings

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from calclib import autodiff, curvature, numerical, problems
from calclib.curvature import classify, max_stable_rate, quadratic_model, top_eigenvalue

ROOT = math.sqrt(5)
SADDLE = problems.saddle().hess([0.0, 0.0])


def generator(seed=0):
    return np.random.default_rng(seed)


def with_eigenvalues(values, seed=0):
    """A symmetric matrix with these eigenvalues and random eigenvectors, and the eigenvectors."""
    Q, _ = np.linalg.qr(generator(seed).normal(size=(len(values), len(values))))
    H = (Q * values) @ Q.T
    return (H + H.T) / 2, Q


def power(H, seed=0, **options):
    """The top eigenvalue of a matrix, from products with it."""
    H = np.asarray(H, dtype=float)
    return top_eigenvalue(lambda v: H @ v, len(H), rng=generator(seed), **options)


# The numbers of the book


def test_the_saddle_has_eigenvalues_four_plus_and_minus_two_roots_of_five():
    point = classify(SADDLE)
    assert point.kind == "saddle"
    np.testing.assert_allclose(point.eigenvalues, [4 - 2 * ROOT, 4 + 2 * ROOT], rtol=1e-14)
    assert point.eigenvalues.round(3).tolist() == [-0.472, 8.472]


def test_the_saddle_has_condition_17_9_and_not_minus_17_9():
    condition = classify(SADDLE).condition_number
    assert condition == pytest.approx((2 + ROOT) / (ROOT - 2), rel=1e-13)
    assert round(condition, 1) == 17.9


def test_the_way_out_of_the_saddle_is_the_eigenvector_of_the_negative_eigenvalue():
    assert classify(SADDLE).eigenvectors[:, 0].round(3).tolist() == [0.851, 0.526]


def test_the_bowl_has_condition_ten():
    point = classify(problems.bowl().hess([5.0, 1.0]))
    assert (point.kind, point.eigenvalues.tolist()) == ("minimum", [2, 20])
    assert point.condition_number == 10


def test_the_valley_has_condition_2508_at_its_minimum():
    hess = problems.valley().hess([1.0, 1.0])
    assert hess.tolist() == [[802, -400], [-400, 200]]
    # lambda^2 - 1002 lambda + 400 = 0
    roots = [501 + sign * math.sqrt(501**2 - 400) for sign in (-1, 1)]
    assert classify(hess).condition_number == pytest.approx(roots[1] / roots[0], rel=1e-9)
    assert round(classify(hess).condition_number, 1) == 2508.0


def test_the_largest_stable_rates_of_the_book():
    assert max_stable_rate(problems.bowl().hess([5.0, 1.0])) == pytest.approx(0.1, rel=1e-15)
    A = np.array([[1, 1], [1, 2], [1, 3]])
    assert round(max_stable_rate(A.T @ A / 3), 4) == 0.3606
    well = problems.two_wells()
    assert max_stable_rate(well.hess(well.minimizers[0, 0])) == pytest.approx(0.172, abs=5e-4)


# Kinds

KINDS = [
    ([1, 2, 3], "minimum"),
    ([-3, -2, -1], "maximum"),
    ([-1, 2, 3], "saddle"),
    ([-2, -1, 3], "saddle"),
    ([0, 1, 2], "degenerate"),
    ([-2, -1, 0], "degenerate"),
    ([0, 0, 0], "degenerate"),
    ([-1, 0, 1], "saddle"),
    ([5], "minimum"),
    ([-5], "maximum"),
    ([0], "degenerate"),
]


@pytest.mark.parametrize(("values", "kind"), KINDS)
def test_the_signs_of_the_eigenvalues_make_the_kind(values, kind):
    H, Q = with_eigenvalues(np.array(values, dtype=float))
    point = classify(H)
    assert point.kind == kind
    np.testing.assert_allclose(point.eigenvalues, values, atol=1e-14)
    assert (np.isinf(point.condition_number)) == (0 in values)
    overlap = np.abs(np.diag(Q.T @ point.eigenvectors))
    if len(set(values)) == len(values):
        np.testing.assert_allclose(overlap, 1, rtol=1e-12)


def test_one_number_is_a_hessian_of_one_coordinate():
    assert classify(3.0).kind == classify([[3.0]]).kind == "minimum"
    assert classify(-3).eigenvalues.tolist() == [-3]
    assert max_stable_rate(4) == 0.5


@pytest.mark.parametrize(("tol", "options"), [(1e-6, {}), (1e-8, {"tol": 1e-8})])
def test_an_eigenvalue_counts_as_zero_at_the_tolerance_and_not_above_it(tol, options):
    assert classify(np.diag([tol, 1.0]), **options).kind == "degenerate"
    assert classify(np.diag([1.01 * tol, 1.0]), **options).kind == "minimum"
    assert classify(np.diag([-tol, 1.0]), **options).kind == "degenerate"
    assert classify(np.diag([-1.01 * tol, 1.0]), **options).kind == "saddle"
    assert classify(np.diag([0.1, 1.0]), tol=0.1).kind == "degenerate"
    exact = classify(np.diag([1e-12, 1.0]), tol=0)
    assert (exact.kind, exact.condition_number) == ("minimum", 1e12)


def test_an_eigenvalue_counts_as_zero_within_the_error_too():
    H = np.diag([-0.01, 1.0])
    assert classify(H, error=0.01).kind == "degenerate"
    assert classify(H, error=0.01).condition_number == np.inf
    assert classify(H, error=0.0099).kind == "saddle"
    assert classify(H, error=1.0).kind == "degenerate"
    assert classify(np.diag([1e-12, 1.0]), tol=0, error=1e-13).kind == "minimum"
    assert classify(np.diag([1e-7, 1.0]), error=1e-13).kind == "degenerate"  # by tol
    assert classify(np.diag([1.5e-6, 1.0]), error=1e-6).kind == "minimum"  # above both, each alone


def test_a_hessian_may_be_unsymmetric_by_its_error():
    H = [[1.0, 0.5], [0.52, 3.0]]
    np.testing.assert_allclose(
        classify(H, error=0.0101).eigenvalues, np.linalg.eigvalsh([[1, 0.51], [0.51, 3]])
    )
    with pytest.raises(ValueError, match=r"0\.5 at \[0, 1\] and 0\.52 at \[1, 0\], 0\.02 apart"):
        classify(H, error=0.0099)


FLAT = {
    "x^2 + y^4": (lambda p: p[0] ** 2 + p[1] ** 4, [0.0, 0.0]),
    "x^2 - y^4": (lambda p: p[0] ** 2 - p[1] ** 4, [0.0, 0.0]),
    "x^2 + y^3": (lambda p: p[0] ** 2 + p[1] ** 3, [0.0, 0.0]),
    "x^2 + 10 y^4": (lambda p: p[0] ** 2 + 10 * p[1] ** 4, [0.0, 0.0]),
    "cos x + sin y": (lambda p: np.cos(p[0]) + np.sin(p[1]), [0.0, 0.0]),
    "-(x + y)^2": (lambda p: -((p[0] + p[1]) ** 2), [0.3, 2.0]),
}


@pytest.mark.parametrize(("fun", "x"), FLAT.values(), ids=FLAT)
def test_differences_of_functions_of_order_one_are_judged_right(fun, x):
    assert classify(numerical.hessian(fun)(x)).kind == "degenerate"
    H, error = numerical.hessian_with_error(fun)(x)
    assert classify(H, tol=0, error=error).kind == "degenerate"


@pytest.mark.parametrize("level", [0.0, 1.0, 100.0])
def test_the_rounding_of_a_level_bends_no_gutter(level):
    rng = generator()

    def gutter(p):
        return level + (p[0] - 2 * p[1]) ** 2

    for _ in range(500):
        assert classify(numerical.hessian(gutter)(rng.normal(size=2))).kind == "degenerate"


@pytest.mark.parametrize("level", [1e4, -1e6, 1e8])
def test_on_a_high_level_the_error_tells_what_the_default_cannot(level):
    rng, guessed = generator(), set()

    def gutter(p):
        return level + (p[0] - 2 * p[1]) ** 2

    for _ in range(100):
        H, error = numerical.hessian_with_error(gutter)(rng.normal(size=2))
        guessed.add(classify(H).kind)
        assert classify(H, error=error).kind == "degenerate"
    assert guessed > {"degenerate"}


@pytest.mark.parametrize("scale", [1e-300, 1e-5, 1e5, 1e300])
def test_units_change_no_kind_and_no_condition(scale):
    point = classify(SADDLE * scale)
    assert point.kind == "saddle"
    assert point.condition_number == pytest.approx(classify(SADDLE).condition_number, rel=1e-12)


def test_the_hessian_of_differences_is_classified_like_the_exact_one():
    for problem in (problems.saddle(), problems.valley(), problems.himmelblau()):
        x = np.array([1.0, 1.0])
        guess, exact = classify(numerical.hessian(problem.fun)(x)), classify(problem.hess(x))
        assert guess.kind == exact.kind
        np.testing.assert_allclose(guess.eigenvalues, exact.eigenvalues, rtol=1e-3)


def test_eigenvectors_are_columns_of_length_one_and_face_one_way():
    H, _ = with_eigenvalues(np.arange(1.0, 7.0))
    point = classify(H)
    vectors = point.eigenvectors
    np.testing.assert_allclose(H @ vectors, vectors * point.eigenvalues, atol=1e-13)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(6), atol=1e-13)
    assert (vectors[np.abs(vectors).argmax(axis=0), np.arange(6)] > 0).all()


def test_of_equal_entries_the_first_faces_up():
    vectors = classify([[0.0, 1.0], [1.0, 0.0]]).eigenvectors
    np.testing.assert_allclose(vectors * math.sqrt(2), [[1, 1], [-1, 1]], rtol=1e-14)


def test_of_entries_equal_to_rounding_the_first_faces_up():
    half = math.sqrt(0.5)
    vectors = np.array([[-half, half], [np.nextafter(half, 1), -np.nextafter(half, 1)]])
    np.testing.assert_array_equal(np.sign(curvature._facing(vectors)), [[1, 1], [-1, -1]])


@given(
    values=st.lists(st.floats(0.1, 10), min_size=1, max_size=5),
    signs=st.lists(st.sampled_from([-1, 1]), min_size=5, max_size=5),
    seed=st.integers(0, 99),
)
def test_kind_and_condition_are_those_of_the_eigenvalues_put_in(values, signs, seed):
    values = np.array(values) * signs[: len(values)]
    point = classify(with_eigenvalues(values, seed)[0])
    expected = {(1,): "minimum", (-1,): "maximum", (-1, 1): "saddle"}
    assert point.kind == expected[tuple(sorted({int(s) for s in np.sign(values)}))]
    sizes = np.abs(values)
    assert point.condition_number == pytest.approx(sizes.max() / sizes.min(), rel=1e-10)


def test_a_point_is_shown_shortly():
    assert repr(classify(np.diag([1.0, 2, 3, 4, 5]))) == (
        "CriticalPoint(minimum, eigenvalues [1, 2, 3, 4, ...], condition number 5)"
    )


# Rates


def test_a_step_at_the_largest_stable_rate_turns_the_error_over():
    H, _ = with_eigenvalues(np.array([0.5, 3.0, 7.0]))
    factors = np.abs(np.linalg.eigvalsh(np.eye(3) - max_stable_rate(H) * H))
    assert factors.max() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("hess", [[[-1.0, 0.0], [0.0, -2.0]], [[0.0]], 0.0, -3.0])
def test_without_positive_curvature_no_rate_is_the_largest(hess):
    assert max_stable_rate(hess) == np.inf


def test_at_a_saddle_the_rate_is_that_of_its_positive_curvature():
    assert max_stable_rate(SADDLE) == pytest.approx(2 / (4 + 2 * ROOT), rel=1e-14)


# Power iteration


@pytest.mark.parametrize("seed", range(5))
def test_power_iteration_finds_the_eigenvalue_of_largest_size(seed):
    values = np.array([-9.0, -3, -1, 0, 0.5, 2, 8])
    H, Q = with_eigenvalues(values, seed)
    top = power(H, seed + 50)
    assert top.settled
    assert top.value == pytest.approx(-9, rel=1e-13)
    assert abs(top.vector @ Q[:, 0]) == pytest.approx(1, rel=1e-12)
    assert np.linalg.norm(top.vector) == pytest.approx(1, rel=1e-14)
    assert top.vector[np.abs(top.vector).argmax()] > 0


@pytest.mark.parametrize("values", [[5.0, -5], [5.0, 1, -5], [-5.0, -5, 5, 2], [3.0, 3, 3, -1]])
def test_a_pair_of_opposite_eigenvalues_gives_the_positive_one(values):
    H, _ = with_eigenvalues(np.array(values))
    top = power(H)
    assert top.settled
    assert top.value == pytest.approx(max(values), rel=1e-13)
    np.testing.assert_allclose(H @ top.vector, max(values) * top.vector, atol=1e-6)


def test_the_residual_is_that_of_the_pair_returned():
    H, _ = with_eigenvalues(np.array([1.0, 6, 6.5, -3]))
    for max_steps in (1, 2, 3, 10, 1000):
        top = power(H, max_steps=max_steps)
        measured = np.linalg.norm(H @ top.vector - top.value * top.vector)
        assert top.residual == pytest.approx(measured, rel=1e-6, abs=1e-14)
        assert np.abs(np.linalg.eigvalsh(H) - top.value).min() <= top.residual + 1e-14


def test_products_are_counted_and_bounded():
    H, _ = with_eigenvalues(np.array([1.0, 0.999, 0.998]))
    calls = []

    def hvp(v):
        calls.append(v)
        return H @ v

    top = top_eigenvalue(hvp, 3, rng=generator(), max_steps=7)
    assert len(calls) == top.steps == 7
    assert not top.settled
    assert repr(top).endswith("not settled after 7 steps)")
    calls.clear()
    assert top_eigenvalue(hvp, 3, rng=generator(), max_steps=10**5).steps == len(calls) > 7


def test_a_tolerance_is_kept():
    H, _ = with_eigenvalues(np.array([1.0, 0.9, 0.2]))
    rough, fine = power(H, tol=1e-2), power(H, tol=1e-10)
    assert rough.settled
    assert fine.settled
    assert 1e-10 < rough.residual / rough.value <= 1e-2
    assert fine.residual / fine.value <= 1e-10
    assert rough.steps < fine.steps


@pytest.mark.parametrize("seed", range(5))
def test_an_iteration_that_goes_on_after_it_has_settled_stays_at_its_eigenvalue(seed):
    """Between two vectors that are equal to rounding there is no plane to look in."""
    values = np.array([1.0, 0.3, -0.2, 0.1])
    top = power(with_eigenvalues(values, seed)[0], seed, tol=0.0, max_steps=200)
    assert top.value == pytest.approx(1, rel=1e-12)
    assert top.residual < 1e-12


def test_products_with_seven_digits_pass_for_symmetric_to_the_end():
    """When v hardly turns any more, their rounding is all that a plane would show."""
    H, _ = with_eigenvalues(np.array([5.0, 2, -1]))
    top = top_eigenvalue(lambda v: np.round(H @ v, 7), 3, rng=generator(), tol=0.0, max_steps=200)
    assert top.value == pytest.approx(5, rel=1e-6)


def test_a_zero_hessian_has_top_eigenvalue_zero():
    top = power(np.zeros((3, 3)))
    assert (top.value, top.residual, top.steps, top.settled) == (0, 0, 1, True)
    assert np.linalg.norm(top.vector) == pytest.approx(1)


def test_two_coordinates_need_two_products():
    """The plane of the first two vectors is then the whole space."""
    top = power(SADDLE)
    assert (top.steps, top.settled) == (2, True)
    assert top.value == pytest.approx(4 + 2 * ROOT, rel=1e-13)


def test_one_coordinate_needs_one_product():
    top = power([[-4.0]])
    assert (top.value, top.vector.tolist(), top.steps) == (-4, [1], 1)


@pytest.mark.parametrize("scale", [1e-305, 1e-200, 1e200, 1e306])
def test_power_iteration_bears_any_scale(scale):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        top = power(SADDLE * scale)
    assert top.settled
    assert top.value == pytest.approx((4 + 2 * ROOT) * scale, rel=1e-12)


def test_the_same_generator_gives_the_same_run():
    H, _ = with_eigenvalues(np.array([1.0, 2, 3, 4]))
    first, again, other = (power(H, seed, max_steps=3) for seed in (1, 1, 2))
    assert first.value == again.value != other.value


def test_products_of_autodiff_give_the_curvature_without_a_matrix():
    problem = problems.valley()

    def fun(p):
        return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2

    x, product = np.array([1.0, 1.0]), autodiff.hvp(fun)
    top = top_eigenvalue(lambda v: product(x, v), 2, rng=generator())
    assert top.value == pytest.approx(classify(problem.hess(x)).eigenvalues[-1], rel=1e-12)


def test_a_product_that_scribbles_on_v_or_keeps_one_buffer_does_no_harm():
    buffer = np.empty(2)

    def hvp(v):
        np.matmul(SADDLE, v, out=buffer)
        v[:] = 99
        return buffer

    top = top_eigenvalue(hvp, 2, rng=generator())
    assert (top.value, top.steps) == (power(SADDLE).value, power(SADDLE).steps)


# The quadratic model


def test_the_model_of_a_quadratic_is_the_quadratic():
    problem = problems.saddle()
    model = quadratic_model(problem.fun, [3.0, -2.0], grad=problem.grad, hess=problem.hess)
    points = generator().normal(size=(2, 7)) * 10
    np.testing.assert_allclose(model(points), problem.fun(points), rtol=1e-12)
    assert model(points[:, 0]) == pytest.approx(problem.fun(points[:, 0]), rel=1e-12)
    assert type(model([1, 2])) is float
    assert model(points).shape == (7,)


def test_the_error_of_the_model_falls_by_eight_when_the_distance_halves():
    problem = problems.himmelblau()
    x, direction = np.array([1.0, 2.0]), np.array([0.6, -0.8])
    model = quadratic_model(problem.fun, x, grad=problem.grad, hess=problem.hess)
    t = 1e-2 * 0.5 ** np.arange(4)
    points = x[:, np.newaxis] + direction[:, np.newaxis] * t
    errors = np.abs(problem.fun(points) - model(points))
    np.testing.assert_allclose(errors[:-1] / errors[1:], 8, rtol=0.02)


def test_without_derivatives_the_model_takes_differences():
    problem = problems.himmelblau()
    exact = quadratic_model(problem.fun, [1.0, 2.0], grad=problem.grad, hess=problem.hess)
    guess = quadratic_model(problem.fun, [1.0, 2.0])
    points = np.array([[1.5, 0.0, -1], [2, 1, 3]])
    np.testing.assert_allclose(guess(points), exact(points), rtol=1e-5)


def test_a_plain_number_has_a_model_of_plain_numbers():
    seen = set()

    def fun(x):
        seen.add(type(x))
        return math.exp(x)

    model = quadratic_model(fun, 0, grad=fun, hess=fun)
    assert seen == {float}
    assert model(0.5) == 1.625
    assert type(model(0.5)) is float
    np.testing.assert_allclose(model([0.5, 1.0]), [1.625, 2.5])
    assert quadratic_model(math.exp, 0.0)(0.5) == pytest.approx(1.625, rel=1e-7)


def test_symbols_give_the_formula_of_the_model():
    problem = problems.bowl()
    model = quadratic_model(problem.fun, [0.0, 0.0], grad=problem.grad, hess=problem.hess)
    x, y = sp.symbols("x y")
    assert sp.simplify(model([x, y]) - (x**2 + 10 * y**2)) == 0
    one = quadratic_model(math.exp, 0.0, grad=math.exp, hess=math.exp)
    assert sp.expand(one(x) - (1 + x + x**2 / 2)) == 0


def test_the_model_asks_the_function_once_and_harms_no_array():
    calls = []

    def fun(x):
        calls.append(1)
        value = x @ x
        x[:] = 99
        return value

    def grad(x):
        g = 2 * x
        x[:] = 99
        return g

    x = np.array([1.0, 2.0])
    model = quadratic_model(fun, x, grad=grad, hess=lambda x: 2 * np.eye(2))
    y = np.array([[3.0], [4.0]])
    assert model(y) == model(y) == 25
    assert len(calls) == 1
    assert (x.tolist(), y.tolist()) == ([1, 2], [[3], [4]])


# Bad input, line by line


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("size", [1e-300, 1.0, 1e200])
def test_what_rounding_leaves_of_a_flat_direction_is_no_curvature(n, size):
    """-1 everywhere has the eigenvalues -n and, n - 1 times, 0; computed they are some 1e-16."""
    assert max_stable_rate(-size * np.ones((n, n))) == np.inf
    assert max_stable_rate(np.diag([-1.0, 1e-14])) == 2e14


@pytest.mark.parametrize("verb", [classify, max_stable_rate])
def test_an_eigenvalue_beyond_all_floats_is_refused(verb):
    with pytest.raises(ValueError, match=r"eigenvalues of at most 1\.8e\+308 .*divide fun by its"):
        verb(np.full((2, 2), 1.7e308))
    verb(np.full((2, 2), 0.8e308))


@pytest.mark.parametrize("verb", [classify, max_stable_rate])
@pytest.mark.parametrize(
    ("hess", "error", "words"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], ValueError, r"symmetric, got 2 at \[0, 1\].*\(H \+ H\.T\) / 2"),
        ([[1.0, 1e-7], [0.0, 1.0]], ValueError, "symmetric"),
        ([1.0, 2.0], ValueError, r"shape \(n, n\), got \(2,\)"),
        (np.ones((2, 3)), ValueError, r"got \(2, 3\)"),
        (np.ones((2, 2, 5)), ValueError, r"got \(2, 2, 5\); give the Hessian at one point"),
        ([[np.nan]], ValueError, "finite"),
        ([[1.0, np.inf], [np.inf, 1.0]], ValueError, "finite"),
        ([], ValueError, "empty"),
        ([["a"]], TypeError, "real numbers"),
        (None, TypeError, "real numbers"),
        ([[1j]], TypeError, "real numbers"),
    ],
)
def test_what_is_no_hessian_is_refused(verb, hess, error, words):
    with pytest.raises(error, match=words):
        verb(hess)


def test_rounding_does_not_make_a_hessian_unsymmetric():
    point = classify([[1.0, 0.5 + 1e-9], [0.5, 1.0]])
    np.testing.assert_allclose(point.eigenvalues, [0.5, 1.5], rtol=1e-8)


def test_a_hessian_is_symmetric_to_1e_8_of_its_largest_entry():
    assert classify([[4.0, 0.5 + 3.9e-8], [0.5, 1.0]]).kind == "minimum"
    with pytest.raises(ValueError, match="hess must be symmetric"):
        classify([[4.0, 0.5 + 4.1e-8], [0.5, 1.0]])


@pytest.mark.parametrize("tol", [-1e-8, 1.0, 2, np.nan])
def test_a_tolerance_outside_0_to_1_is_refused(tol):
    with pytest.raises(ValueError, match="tol must"):
        classify(np.eye(2), tol=tol)
    with pytest.raises(ValueError, match="tol must"):
        power(np.eye(2), tol=tol)


@pytest.mark.parametrize(
    ("error", "words"), [(-1e-8, "0 or above"), (np.nan, "finite"), (np.inf, "finite")]
)
def test_an_error_below_zero_is_refused(error, words):
    with pytest.raises(ValueError, match=f"error must be {words}"):
        classify(np.eye(2), error=error)


def test_the_gap_is_told_where_the_entries_look_alike():
    """Differences of a gradient of about 1000 are off by about 1e-8, whatever the Hessian is."""
    H = [[0.02, 0.703427], [0.703427 + 3e-8, 0.02]]
    with pytest.raises(ValueError, match=r"got 0\.703427 at .* and 0\.703427 at .*, 3e-08 apart"):
        classify(H)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_product_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match=r"hvp is not finite: got \[.*\] in product 1"):
        top_eigenvalue(lambda v: v * bad, 2, rng=generator())
    calls = []

    def later(v):
        calls.append(1)
        return np.arange(1, 5) * v * (bad if len(calls) == 3 else 1)

    with pytest.raises(ValueError, match="in product 3"):
        top_eigenvalue(later, 4, rng=generator())


@pytest.mark.parametrize(
    ("hvp", "error", "words"),
    [
        (np.eye(2), TypeError, "lambda v: H @ v"),
        (lambda v: v[:1], ValueError, r"map shape \(2,\) to \(2,\), got \(1,\)"),
        (lambda v: v[:, np.newaxis], ValueError, r"got \(2, 1\)"),
        (lambda v: None, TypeError, "ends in return"),
        (lambda v: v + 1j, TypeError, "real numbers"),
        (lambda v: np.array([v[1], -v[0]]), ValueError, "symmetric"),
    ],
)
def test_what_is_no_hessian_vector_product_is_refused(hvp, error, words):
    with pytest.raises(error, match=words):
        top_eigenvalue(hvp, 2, rng=generator())


@pytest.mark.parametrize("part", [0.5, 0.1, 0.01, 1e-3])
def test_products_that_are_unsymmetric_by_a_thousandth_are_refused(part):
    with pytest.raises(ValueError, match=r"symmetric H, got u\.Hv = .* and v\.Hu = "):
        power([[2.0, 1.0], [1.0 + 2 * part, 3.0]])


def test_products_are_symmetric_to_1e_4_of_their_length():
    v, u = np.eye(2)

    def pair(gap):
        return curvature._best_in_plane(v, np.array([5.0, gap]), u, np.array([0.0, 3.0]))

    assert pair(4.9e-4)[0] == pytest.approx(5, rel=1e-6)
    with pytest.raises(ValueError, match="symmetric H"):
        pair(5.1e-4)


def test_products_by_differences_of_a_gradient_pass_for_symmetric():
    problem, x = problems.valley(), np.array([-1.2, 1.0])
    steps = {"central": (1e-5, 1e-5), "one-sided": (1e-8, 0.0)}
    for ahead, behind in steps.values():

        def hvp(v, ahead=ahead, behind=behind):
            change = problem.grad(x + ahead * v) - problem.grad(x - behind * v)
            return change / (ahead + behind)

        top = top_eigenvalue(hvp, 2, rng=generator(), max_steps=5)
        exact = np.linalg.eigvalsh(problem.hess(x))[-1]
        assert top.value == pytest.approx(exact, rel=1e-4)


def test_power_iteration_asks_for_a_generator_and_whole_numbers():
    with pytest.raises(TypeError, match="default_rng"):
        top_eigenvalue(lambda v: v, 2, rng=0)
    with pytest.raises(TypeError, match="n must be a whole number"):
        top_eigenvalue(lambda v: v, 2.0, rng=generator())
    with pytest.raises(ValueError, match="n must be at least 1"):
        top_eigenvalue(lambda v: v, 0, rng=generator())
    with pytest.raises(ValueError, match="max_steps must be at least 1"):
        power(np.eye(2), max_steps=0)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"fun": 3.0}, TypeError, "fun must be a function"),
        ({"grad": 3.0}, TypeError, "grad must be a function"),
        ({"hess": np.eye(2)}, TypeError, "hess must be a function"),
        ({"fun": lambda x: x}, ValueError, "scalar output"),
        ({"grad": lambda x: 1.0}, ValueError, r"grad must give the shape of x, \(2,\), got \(\)"),
        ({"hess": lambda x: np.eye(3)}, ValueError, r"hess must give shape \(2, 2\)"),
        ({"hess": lambda x: [[1.0, 2], [3, 4]]}, ValueError, "symmetric"),
        ({"hess": lambda x: np.full((2, 2), np.nan)}, ValueError, "hess is not finite at x="),
        ({"grad": lambda x: x * np.inf}, ValueError, "grad is not finite at x="),
        ({"fun": lambda x: np.log(-x[0])}, ValueError, "fun is not finite at x="),
        ({"x": [[1.0, 2.0]]}, ValueError, r"x\.ravel\(\)"),
        ({"x": "ab"}, TypeError, "real numbers"),
    ],
)
def test_what_makes_no_model_is_refused(arguments, error, words):
    good = {"fun": lambda x: x @ x, "x": [1.0, 2.0], "grad": None, "hess": None} | arguments
    with pytest.raises(error, match=words):
        quadratic_model(good["fun"], good["x"], grad=good["grad"], hess=good["hess"])


@pytest.mark.parametrize("y", [1.0, [1.0], [1.0, 2, 3], np.ones((3, 2)), np.ones((2, 2, 2))])
def test_a_point_that_does_not_fit_the_model_is_refused(y):
    with pytest.raises(ValueError, match=r"y must have shape \(2,\), or \(2, k\)"):
        quadratic_model(lambda x: x @ x, [1.0, 2.0])(y)
