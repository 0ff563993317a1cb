"""Facts about calclib.problems: formulas, derivatives, minimizers, faces and shapes."""

import dataclasses

import numpy as np
import pytest
import sympy as sp

from calclib import problems

# name: problem, the same function written again by hand, the same gradient written by hand
TABLE = {
    "x^2": (
        problems.bowl((1,)),
        lambda x: x[0] ** 2,
        lambda x: [2 * x[0]],
    ),
    "bowl": (
        problems.bowl(),
        lambda x: x[0] ** 2 + 10 * x[1] ** 2,
        lambda x: [2 * x[0], 20 * x[1]],
    ),
    "bowl in three variables": (
        problems.bowl((0.5, 1, 3)),
        lambda x: 0.5 * x[0] ** 2 + x[1] ** 2 + 3 * x[2] ** 2,
        lambda x: [x[0], 2 * x[1], 6 * x[2]],
    ),
    "valley": (
        problems.valley(),
        lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2,
        lambda x: [-2 * (1 - x[0]) - 400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)],
    ),
    "two wells": (
        problems.two_wells(),
        lambda x: x[0] ** 2 + 10 * np.sin(x[0]),
        lambda x: [2 * x[0] + 10 * np.cos(x[0])],
    ),
    "plateau": (
        problems.plateau(),
        lambda x: x[0] ** 2 + 5 * np.sin(x[0]),
        lambda x: [2 * x[0] + 5 * np.cos(x[0])],
    ),
    "himmelblau": (
        problems.himmelblau(),
        lambda x: (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2,
        lambda x: [
            4 * x[0] * (x[0] ** 2 + x[1] - 11) + 2 * (x[0] + x[1] ** 2 - 7),
            2 * (x[0] ** 2 + x[1] - 11) + 4 * x[1] * (x[0] + x[1] ** 2 - 7),
        ],
    ),
    "saddle": (
        problems.saddle(),
        lambda x: x[0] ** 2 + 3 * x[1] ** 2 - 4 * x[0] * x[1],
        lambda x: [2 * x[0] - 4 * x[1], 6 * x[1] - 4 * x[0]],
    ),
    "beale": (
        problems.beale(),
        lambda x: sum(
            (c - x[0] + x[0] * x[1] ** i) ** 2 for i, c in enumerate([1.5, 2.25, 2.625], 1)
        ),
        lambda x: [
            sum(
                2 * (c - x[0] + x[0] * x[1] ** i) * (x[1] ** i - 1)
                for i, c in enumerate([1.5, 2.25, 2.625], 1)
            ),
            sum(
                2 * (c - x[0] + x[0] * x[1] ** i) * i * x[0] * x[1] ** (i - 1)
                for i, c in enumerate([1.5, 2.25, 2.625], 1)
            ),
        ],
    ),
}
every_problem = pytest.mark.parametrize("name", TABLE)
every_minimum = pytest.mark.parametrize("name", [n for n in TABLE if n != "saddle"])


def points_in(problem, k, seed=0):
    low, high = np.transpose(problem.domain)[:, :, np.newaxis]
    return np.random.default_rng(seed).uniform(low, high, (len(problem.variables), k))


@every_problem
def test_function_and_gradient_agree_with_the_hand_written_ones(name):
    problem, fun, grad = TABLE[name]
    points = points_in(problem, 20)
    np.testing.assert_allclose(problem.fun(points), fun(points), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(problem.grad(points), grad(points), rtol=1e-11, atol=1e-11)


@every_problem
def test_hessian_is_the_derivative_of_the_gradient(name):
    problem = TABLE[name][0]
    for x in points_in(problem, 5).T:
        columns = []
        for direction in np.eye(len(x)):
            shifted = problem.grad(x + 1e-20j * direction)  # complex step: no rounding error
            columns.append(shifted.imag / 1e-20)
        np.testing.assert_allclose(problem.hess(x), np.transpose(columns), rtol=1e-12, atol=1e-12)


@every_problem
def test_columns_give_what_single_points_give(name):
    problem = TABLE[name][0]
    points = points_in(problem, 7)
    for face in (problem.fun, problem.grad, problem.hess):
        one_by_one = np.stack([face(x) for x in points.T], axis=-1)
        together = face(points)
        assert together.shape == one_by_one.shape
        np.testing.assert_allclose(together, one_by_one, rtol=1e-15)


@every_problem
def test_shapes_are_those_of_the_contract(name):
    problem = TABLE[name][0]
    n = len(problem.variables)
    x = problem.x0
    assert x.shape == (n,)
    assert isinstance(problem.fun(x), float)
    assert problem.grad(x).shape == (n,)
    assert problem.hess(x).shape == (n, n)
    assert problem.fun(points_in(problem, 1)).shape == (1,)
    assert problem.grad(points_in(problem, 1)).shape == (n, 1)
    assert len(problem.domain) == n
    assert problem.minimizers.shape[0] == n


@every_minimum
def test_minimizers_are_flat_and_curve_upwards(name):
    problem = TABLE[name][0]
    for x in problem.minimizers.T:
        curvatures = np.linalg.eigvalsh(problem.hess(x))
        assert np.linalg.norm(problem.grad(x)) <= 4e-15 * curvatures.max()
        assert curvatures.min() > 0


@every_minimum
def test_first_minimizer_is_a_global_one(name):
    problem = TABLE[name][0]
    values = problem.fun(problem.minimizers)
    assert values[0] == values.min()
    assert values[0] <= problem.fun(points_in(problem, 2000)).min()


@every_problem
def test_start_and_minimizers_lie_in_the_domain_and_cannot_be_changed(name):
    problem = TABLE[name][0]
    low, high = np.transpose(problem.domain)
    for x in (problem.x0, *problem.minimizers.T):
        assert (low <= x).all()
        assert (x <= high).all()
    for array in (problem.x0, problem.minimizers):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_bowl_has_the_curvatures_and_the_condition_number_of_the_book():
    hess = problems.bowl().hess([0.3, -2.0])
    np.testing.assert_array_equal(hess, [[2, 0], [0, 20]])
    assert np.linalg.cond(hess) == pytest.approx(10)


def test_turned_bowl_keeps_its_curvatures_and_turns_its_axes():
    angle = 0.7
    hess = problems.bowl((1, 10), angle).hess([0, 0])
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-np.sin(angle), np.cos(angle)])
    np.testing.assert_allclose(hess @ along, 2 * along, atol=1e-14)
    np.testing.assert_allclose(hess @ across, 20 * across, atol=1e-14)


def test_bowl_writes_given_curvatures_exactly():
    x, y = sp.symbols("x y")
    assert problems.bowl((0.1, 2)).expr == x**2 / 10 + 2 * y**2
    assert problems.bowl((1,)).expr == x**2


def test_valley_is_badly_conditioned_at_its_minimum():
    hess = problems.valley().hess([1, 1])
    np.testing.assert_array_equal(hess, [[802, -400], [-400, 200]])
    assert np.linalg.cond(hess) == pytest.approx(2508.0, abs=0.05)


def test_two_wells_has_the_minima_and_the_ridge_of_the_book():
    problem = problems.two_wells()
    np.testing.assert_allclose(problem.minimizers, [[-1.3064, 3.8375]], atol=5e-5)
    np.testing.assert_allclose(problem.fun(problem.minimizers), [-7.9458, 8.3156], atol=5e-5)
    x = np.linspace(-10, 10, 200_001)[np.newaxis]
    slope = problem.grad(x)[0]
    roots = x[0, :-1][np.sign(slope[:-1]) * np.sign(slope[1:]) < 0]
    np.testing.assert_allclose(roots, [-1.3064, 1.9773, 3.8375], atol=1.5e-4)
    assert problem.hess(1.9773) < 0
    assert 2 / problem.hess(problem.minimizers[0, 0]) == pytest.approx(0.172, abs=5e-4)


def test_plateau_has_one_critical_point_and_a_nearly_flat_stretch():
    problem = problems.plateau()
    assert problem.minimizers[0, 0] == pytest.approx(-1.110511, abs=5e-7)
    assert problem.fun(problem.minimizers[:, 0]) == pytest.approx(-3.246394, abs=5e-7)
    x = np.linspace(-10, 10, 200_001)[np.newaxis]
    slope = problem.grad(x)[0]
    assert np.count_nonzero(np.sign(slope[:-1]) * np.sign(slope[1:]) < 0) == 1
    right = x[0] > 0
    assert slope[right].min() == pytest.approx(0.88, abs=5e-3)
    assert x[0][right][slope[right].argmin()] == pytest.approx(2.73, abs=5e-3)


def test_saddle_goes_up_one_way_and_down_the_other():
    problem = problems.saddle()
    curvatures = np.linalg.eigvalsh(problem.hess([0, 0]))
    np.testing.assert_allclose(curvatures, [4 - 2 * 5**0.5, 4 + 2 * 5**0.5])
    np.testing.assert_allclose(curvatures, [-0.472, 8.472], atol=5e-4)
    assert problem.minimizers.shape == (2, 0)


def test_himmelblau_has_four_equal_minima():
    problem = problems.himmelblau()
    np.testing.assert_allclose(problem.fun(problem.minimizers), 0, atol=1e-28)


@every_problem
def test_symbols_give_the_formula(name):
    problem = TABLE[name][0]
    point = sp.symbols(f"p:{len(problem.variables)}")
    rename = dict(zip(problem.variables, point, strict=True))
    assert sp.simplify(problem.fun(point) - problem.expr.subs(rename)) == 0
    slopes = [sp.diff(problem.fun(point), p) for p in point]
    grad, hess = problem.grad(point), problem.hess(point)
    assert grad.shape == (len(point),)
    assert hess.shape == (len(point), len(point))
    for i, slope in enumerate(slopes):
        assert sp.simplify(grad[i] - slope) == 0
        for j, p in enumerate(point):
            assert sp.simplify(hess[i, j] - sp.diff(slope, p)) == 0


def test_symbols_may_come_as_tuple_list_array_or_matrix():
    problem, point = problems.valley(), sp.symbols("a b")
    expected = problem.fun(point)
    for sequence in (list(point), np.array(point), sp.Matrix(point), sp.Tuple(*point)):
        assert problem.fun(sequence) == expected


def test_symbols_may_be_swapped_mixed_with_numbers_and_nested_in_expressions():
    x, y = sp.symbols("x y")
    problem = problems.bowl()
    assert problem.fun((y, x)) == y**2 + 10 * x**2
    assert problem.fun((x, 2)) == x**2 + 40
    assert list(problem.grad((x - y, y))) == [2 * x - 2 * y, 20 * y]


def test_one_symbol_serves_a_function_of_one_variable():
    t = sp.Symbol("t")
    problem = problems.two_wells()
    assert problem.fun(t) == t**2 + 10 * sp.sin(t)
    assert problem.grad(t) == 2 * t + 10 * sp.cos(t)
    assert problem.hess(t) == 2 - 10 * sp.sin(t)
    assert all(isinstance(face(t), sp.Expr) for face in (problem.fun, problem.grad, problem.hess))


def test_gradient_of_symbols_goes_through_the_arithmetic_of_a_step():
    x, y, rate = sp.symbols("x y rate")
    point = np.array([x, y])
    after = point - rate * problems.bowl().grad(point)
    assert [sp.expand(entry) for entry in after] == [x - 2 * rate * x, y - 20 * rate * y]


def test_a_plain_number_serves_a_function_of_one_variable():
    problem = problems.bowl((1,))
    for x in (5, 5.0, np.float64(5), np.array(5)):
        for face, expected in ((problem.fun, 25), (problem.grad, 10), (problem.hess, 2)):
            value = face(x)
            assert type(value) is float
            assert value == expected


def test_integers_are_promoted_not_truncated():
    problem = problems.valley()
    assert problem.grad(np.array([1, 2])).dtype == np.float64
    np.testing.assert_array_equal(problem.grad([-1, 2]), problem.grad([-1.0, 2.0]))
    assert problem.fun(np.array([3_000_000, 0])) == pytest.approx(8.1e27)  # int64 overflows


@every_problem
def test_single_precision_stays_single_precision(name):
    problem = TABLE[name][0]
    for points in (points_in(problem, 3), points_in(problem, 1)[:, 0]):
        single = points.astype(np.float32)
        for face in (problem.grad, problem.hess):
            assert face(single).dtype == np.float32
            exact = face(single.astype(float))
            np.testing.assert_allclose(face(single), exact, rtol=1e-3, atol=1e-3)
    assert problem.fun(points_in(problem, 3).astype(np.float32)).dtype == np.float32
    assert type(problem.fun(problem.x0.astype(np.float32))) is float


def test_the_callers_array_is_not_modified():
    for problem, _, _ in TABLE.values():
        x = points_in(problem, 3)
        before = x.copy()
        problem.fun(x), problem.grad(x), problem.hess(x)
        np.testing.assert_array_equal(x, before)


def test_two_results_share_no_memory():
    problem = problems.bowl()
    first = problem.hess([0, 0])
    first[...] = 99
    np.testing.assert_array_equal(problem.hess([0, 0]), [[2, 0], [0, 20]])


@pytest.mark.parametrize(
    ("problem", "x", "words"),
    [
        (problems.bowl(), [1.0, 2.0, 3.0], r"shape \(2,\) or \(2, k\), got \(3,\)"),
        (problems.bowl(), 1.0, r"got \(\)"),
        (problems.bowl(), np.zeros((5, 2)), r"x\.T"),
        (problems.bowl(), np.zeros((2, 3, 4)), r"got \(2, 3, 4\)"),
        (problems.two_wells(), [1.0, 2.0, 3.0], r"x\[np\.newaxis, :\]"),
        (problems.bowl(), sp.symbols("a b c"), "needs 2 symbols"),
        (problems.bowl(), sp.Symbol("a"), "needs 2 symbols"),
    ],
)
@pytest.mark.parametrize("face", ["fun", "grad", "hess"])
def test_a_wrong_shape_is_refused_with_the_way_out(problem, x, words, face):
    with pytest.raises(ValueError, match=words) as error:
        getattr(problem, face)(x)
    assert str(error.value).startswith(face)


def test_text_is_refused():
    with pytest.raises(TypeError, match="numbers or SymPy symbols"):
        problems.bowl().fun(["a", "b"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (((1.0, 0.0),), "curvatures must be above 0"),
        (((1.0, -3.0),), "curvatures must be above 0"),
        (((1.0, np.nan),), "curvatures must be finite"),
        (((),), "at least one"),
        (((1.0,), 0.5), "angle"),
        (((1.0, 2.0, 3.0), 0.5), "angle"),
        (((1.0, 2.0), np.inf), "angle must be finite"),
    ],
)
def test_a_bowl_that_is_none_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        problems.bowl(*arguments)


def test_grid_covers_the_domain():
    x, y = problems.two_wells().grid(11)
    assert (x[0], x[-1]) == problems.two_wells().domain[0]
    np.testing.assert_array_equal(y, problems.two_wells().fun(x[np.newaxis]))
    problem = problems.valley()
    X, Y, Z = problem.grid(11)
    assert X.shape == Y.shape == Z.shape == (11, 11)
    assert Z[3, 7] == pytest.approx(problem.fun([X[3, 7], Y[3, 7]]))
    assert ((X[0, 0], X[0, -1]), (Y[0, 0], Y[-1, 0])) == problem.domain


def test_grid_refuses_three_variables_and_a_single_sample():
    with pytest.raises(ValueError, match="one or two variables, got 3"):
        problems.bowl((1, 2, 3)).grid()
    with pytest.raises(ValueError, match="at least 2"):
        problems.bowl().grid(1)


def test_a_problem_is_frozen_and_says_its_formula():
    problem = problems.saddle()
    assert repr(problem) == "Problem('saddle', x**2 - 4*x*y + 3*y**2)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.name = "valley"
