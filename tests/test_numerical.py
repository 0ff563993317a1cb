"""Finite differences and the complex step: as exact as theory says, and loud when misused."""

import cmath
import math
from functools import cache

import numpy as np
import pytest
import sympy as sp
from functions import FUNCTIONS, LINE, SPACE, VECTOR, by_name
from hypothesis import given, settings
from hypothesis import strategies as st

from calclib import symbolic
from calclib.numerical import (
    default_step,
    derivative,
    directional,
    error_by_step,
    grad,
    hessian,
    hessian_with_error,
    jacobian,
    jacobian_with_error,
)

EPS = np.finfo(float).eps
DIFFERENCES = ["forward", "backward", "central"]
SCHEMES = [*DIFFERENCES, "complex"]
# eps**p of the scheme's theory, times what f and its derivatives are over the table
TOLERANCE = {"forward": 1e-5, "backward": 1e-5, "central": 1e-7, "complex": 1e-12}
HESSIAN_TOLERANCE = 1e-5


def points(row, seed):
    """Return the random point of a row that belongs to a seed."""
    n = len(row.variables)
    x = np.random.default_rng(seed).uniform(*row.domain, n)
    return x.item() if n == 1 else x


def close(got, exact, tol, size=1.0):
    return np.abs(got - exact).max() <= tol * max(1, np.abs(exact).max(), abs(size))


# Three ways to one number


@cache
def formula(differentiate, expr, variables):
    """Return the NumPy function of a symbolic derivative."""
    return symbolic.to_function(differentiate(expr, variables), variables)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_numerical_and_symbolic_gradient_agree(row, scheme, seed):
    x = points(row, seed)
    exact = formula(symbolic.grad, row.expr, row.variables)(x)
    got = grad(row.fun, scheme=scheme)(x)
    assert np.shape(got) == np.shape(x)
    assert close(got, exact, TOLERANCE[scheme], row.fun(x))
    assert close(exact, row.grad(x), 1e-12)


@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_numerical_and_symbolic_hessian_agree(row, seed):
    x = points(row, seed)
    exact = formula(symbolic.hessian, row.expr, row.variables)(x)
    got = hessian(row.fun)(x)
    assert np.shape(got) == np.shape(x) * 2
    assert close(got, exact, HESSIAN_TOLERANCE, row.fun(x))
    assert close(exact, row.hess(x), 1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("row", **by_name(VECTOR))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_numerical_and_symbolic_jacobian_agree(row, scheme, seed):
    x = points(row, seed)
    exact = formula(symbolic.jacobian, row.exprs, row.variables)(x)
    got = jacobian(row.fun, scheme=scheme)(x)
    assert got.shape == (len(row.exprs), len(row.variables))
    assert close(got, exact, TOLERANCE[scheme])
    assert close(exact, row.jac(x), 1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("row", **by_name(SPACE))
def test_directional_derivative_is_gradient_times_direction(row, scheme):
    rng = np.random.default_rng(3)
    x, v = rng.uniform(*row.domain, (2, len(row.variables)))
    got = directional(row.fun, x, v, scheme=scheme)
    assert isinstance(got, float)
    assert close(got, row.grad(x) @ v, TOLERANCE[scheme] * np.linalg.norm(v), row.fun(x))


def test_directional_derivative_is_linear_in_the_direction():
    x, v = np.array([3.0, 4.0]), np.array([1.0, 2.0])
    for factor in (1e-300, 1e-200, 1e-6, 0.5, 2, 1e6, 1e200, 1e300):
        got = directional(SPACE[0].fun, x, factor * v)
        assert got == pytest.approx(factor * directional(SPACE[0].fun, x, v), rel=1e-7)
    assert directional(SPACE[0].fun, x, [0, 0]) == 0.0
    assert directional(SPACE[0].fun, x, [0, 0], h=1e-5) == 0.0


def met(v, h=None):
    """Return the points at which directional evaluates a function of two variables."""
    points = []
    directional(lambda p: points.append(p.copy()) or p.sum(), [3.0, 4.0], v, h=h)
    return np.array(points)


def test_directional_steps_by_h_times_v():
    v, h = np.array([6.0, 8.0]), 0.5
    x = np.array([3.0, 4.0])
    assert met(v, h) == pytest.approx(np.array([x, x - h * v, x + h * v]), rel=1e-15)


@pytest.mark.parametrize("length", [1e-200, 1e-3, 1.0, 1e3, 1e200])
def test_directional_goes_as_far_by_default_as_the_length_of_x_asks_for(length):
    here, left, right = met(length * np.array([1.0, 0.0]))
    assert here.tolist() == [3.0, 4.0]
    assert right - here == pytest.approx([default_step(5.0), 0.0], rel=1e-9)
    assert here - left == pytest.approx([default_step(5.0), 0.0], rel=1e-9)


# The order of accuracy is measured


@pytest.mark.parametrize(
    ("scheme", "factor"), [("forward", 2), ("backward", 2), ("central", 4), ("complex", 4)]
)
@pytest.mark.parametrize("row", **by_name(LINE))
def test_error_falls_by_two_or_four_when_h_halves(row, scheme, factor):
    x = 0.7
    at = {row.variables[0]: x}
    second, third, fifth = (
        abs(float(row.expr.diff(*row.variables, k).subs(at))) for k in (2, 3, 5)
    )
    if (scheme, row.name) in {("central", "cubic"), ("central", "polynomial")}:
        assert fifth == 0  # the error is h^2 f'''/6 and nothing else
    h = 1e-3
    coarse, fine = error_by_step(row.fun, row.grad, x, [h, h / 2], scheme=scheme)
    # the next term of the series is smaller by about h f'''/f'', or h^2 f'''''/f'''
    next_term = h * third / second if factor == 2 else h**2 * fifth / third
    assert coarse / fine == pytest.approx(factor, rel=0.02 + next_term)


def test_second_order_of_the_hessian():
    exact = -np.sin(1.0)
    coarse, fine = (abs(hessian(np.sin, h=h)(1.0) - exact) for h in (2e-2, 1e-2))
    assert coarse / fine == pytest.approx(4, rel=0.01)


# The V-curve of sin at 1


def errors(scheme, steps, x=1.0):
    return error_by_step(np.sin, np.cos(1.0), x, steps, scheme=scheme)


def slope(scheme, low, high):
    """Return the slope of log error against log h."""
    steps = np.logspace(low, high, 200)
    return np.polyfit(np.log(steps), np.log(errors(scheme, steps)), 1)[0]


@pytest.mark.parametrize(("scheme", "order"), [("forward", 1), ("backward", 1), ("central", 2)])
def test_v_curve_has_slope_of_the_order_on_the_right(scheme, order):
    assert slope(scheme, -4, -1) == pytest.approx(order, abs=0.03)


@pytest.mark.parametrize(("scheme", "high"), [("forward", -9), ("backward", -9), ("central", -6.5)])
def test_v_curve_has_slope_minus_one_on_the_left(scheme, high):
    assert slope(scheme, high - 5, high) == pytest.approx(-1, abs=0.1)


@pytest.mark.parametrize("scheme", DIFFERENCES)
def test_v_curve_minimum_lies_where_theory_says(scheme):
    f, second, third = np.sin(1.0), np.sin(1.0), np.cos(1.0)
    # rounding 2 eps f / (span) plus truncation has its minimum where both slopes cancel
    best = (
        (3 * EPS * f / third) ** (1 / 3) if scheme == "central" else 2 * (EPS * f / second) ** 0.5
    )
    decades = np.arange(-12, -1, 0.5)
    worst = [errors(scheme, np.logspace(d, d + 0.5, 100)).mean() for d in decades]
    lowest = decades[np.argmin(worst)] + 0.25
    assert abs(lowest - np.log10(best)) < 0.8
    assert abs(np.log10(default_step(1.0, scheme=scheme)) - np.log10(best)) < 0.8


@pytest.mark.parametrize(
    ("scheme", "h", "floor"), [("forward", 1.5e-8, 5e-9), ("central", 6e-6, 1e-11)]
)
def test_floor_of_the_v_curve(scheme, h, floor):
    near = errors(scheme, h * np.logspace(-0.3, 0.3, 200))
    assert floor / 2 < np.median(near) < 2 * floor


def test_central_error_at_1e_7_is_thirty_times_its_floor():
    near = errors("central", 1e-7 * np.logspace(-0.1, 0.1, 200))
    assert 1e-10 < np.median(near) < 1e-9
    assert errors("central", [1e-7])[0] == pytest.approx(3e-10, rel=0.5)


def test_complex_step_is_exact_at_1e_20():
    assert errors("complex", [1e-20, 1e-100, 1e-200]).max() <= EPS
    assert derivative(np.sin, 1.0, scheme="complex") == np.cos(1.0)


def test_float32_stays_float32_and_has_its_floor_further_up():
    seen = set()

    def sine(t):
        seen.add(np.asarray(t).dtype)
        return np.sin(t)

    x = np.float32(1)
    got = error_by_step(sine, np.cos(1.0), x, np.logspace(-6, -1, 60))
    assert seen == {np.dtype(np.float32)}
    assert got.dtype == float
    assert got.min() < 1e-4 < got[0]
    best = default_step(x)
    assert best.dtype == np.float32
    assert best == pytest.approx(np.finfo(np.float32).eps ** (1 / 3), rel=1e-3)
    assert errors("central", [best], x)[0] < 1e-4


def test_complex_step_in_float32():
    assert errors("complex", [1e-20], np.float32(1))[0] < 1e-7


def test_exact_slope_may_be_a_value_or_a_function():
    value = error_by_step(np.sin, np.cos(1.0), 1.0, [1e-2])
    assert error_by_step(np.sin, np.cos, 1.0, [1e-2]) == value


# The default step


@pytest.mark.parametrize(
    ("scheme", "power"),
    [("forward", 1 / 2), ("backward", 1 / 2), ("central", 1 / 3), ("second", 1 / 4)],
)
@given(x=st.floats(-1e300, 1e300))
@settings(deadline=None, derandomize=True)
def test_default_step_is_relative_and_exactly_representable(scheme, power, x):
    h = default_step(x, scheme=scheme)
    assert (x + h) - x == h
    assert h == pytest.approx(EPS**power * max(1, abs(x)), rel=1e-4)


def test_default_step_has_the_shape_of_x():
    x = np.array([0, 1, 1e10])
    assert default_step(x).shape == (3,)
    assert default_step(x)[2] == pytest.approx(1e10 * default_step(1.0), rel=1e-4)
    assert default_step(x, scheme="complex").tolist() == [1e-20] * 3
    assert np.ndim(default_step(2)) == 0


def test_slope_of_square_at_1e10_needs_a_relative_step():
    assert derivative(lambda x: x * x, 1e10) == pytest.approx(2e10, rel=1e-9)
    tiny_step = ((1e10 + 1e-7) ** 2 - (1e10 - 1e-7) ** 2) / 2e-7
    assert tiny_step == 0.0
    with pytest.raises(ValueError, match=r"smallest useful h is 1\.9e-06"):
        derivative(lambda x: x * x, 1e10, h=1e-7)


def test_each_coordinate_has_its_own_step():
    got = grad(lambda p: (p[0] / 1e10) ** 2 + np.sin(p[1]))([1e10, 0.5])
    assert got == pytest.approx([2e-10, np.cos(0.5)], rel=1e-8)


# Numbers that the book prints


@pytest.mark.parametrize(("x", "value", "slope"), [(0, 1, -5), (1, 1, 8), (2, 23, 39), (3, 85, 88)])
def test_polynomial_and_its_slope_at_four_points(x, value, slope):
    (row,) = (row for row in LINE if row.name == "polynomial")
    assert row.fun(x) == value
    assert row.grad(x) == slope
    assert derivative(row.fun, x) == pytest.approx(slope, rel=1e-8)
    assert derivative(row.fun, x, scheme="complex") == slope


def test_partials_of_x2_plus_y2_at_3_4():
    for scheme in SCHEMES:
        assert grad(lambda p: p @ p, scheme=scheme)([3, 4]) == pytest.approx([6, 8], rel=1e-6)


def test_hessian_of_the_valley_at_its_minimum():
    (row,) = (row for row in SPACE if row.name == "valley")
    H = hessian(row.fun)([1, 1])
    assert pytest.approx(np.array([[802, -400], [-400, 200]]), rel=1e-6) == H
    assert np.linalg.cond(H) == pytest.approx(2508.0, rel=1e-4)


def test_eigenvalues_of_the_saddle():
    (row,) = (row for row in SPACE if row.name == "saddle")
    eigenvalues = np.linalg.eigvalsh(hessian(row.fun)([1.0, 1.0]))
    assert eigenvalues == pytest.approx([4 - 2 * 5**0.5, 4 + 2 * 5**0.5], abs=1e-6)
    assert eigenvalues == pytest.approx([-0.472, 8.472], abs=1e-3)


def test_derivative_of_sine_five_times_at_1():
    def five(x):
        for _ in range(5):
            x = np.sin(x)
        return x

    assert derivative(five, 1.0) == pytest.approx(0.166695, abs=5e-7)


def test_slopes_of_two_chains():
    assert derivative(lambda x: (x**2 + 1) ** 3, 2) == pytest.approx(300, rel=1e-8)
    assert grad(lambda w: 1 / (1 + np.exp(-(2 * w + 0.1))))(0.5) == pytest.approx(0.3747, abs=5e-5)


def test_central_difference_hides_a_kink():
    assert derivative(np.abs, 0.0) == 0.0
    assert derivative(lambda x: np.maximum(x, 0), 0.0) == 0.5
    assert derivative(np.abs, 0.0, scheme="forward") == 1.0
    assert derivative(np.abs, 0.0, scheme="backward") == -1.0


# Float in, float out; arrays in, arrays out; nothing is modified


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("x", [2, 2.0, np.float64(2), np.array(2), np.int32(2), True + 1])
def test_number_in_float_out(x, scheme):
    for got in (
        derivative(lambda t: t**3, x, scheme=scheme),
        grad(lambda t: t**3, scheme=scheme)(x),
    ):
        assert type(got) is float
        assert got == pytest.approx(12, rel=1e-6)
    assert type(hessian(lambda t: t**3)(x)) is float
    assert hessian(lambda t: t**3)(x) == pytest.approx(12, rel=1e-6)
    assert hessian(lambda t: t**3, vectorized=True)(x) == pytest.approx(12, rel=1e-6)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("x", [[1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3], dtype=np.int8)])
def test_integers_and_lists_are_promoted(x, scheme):
    assert derivative(lambda t: t**3, x, scheme=scheme) == pytest.approx([3, 12, 27], rel=1e-6)
    got = grad(lambda p: (p**3).sum(), scheme=scheme)(x)
    assert got.dtype == float
    assert got == pytest.approx([3, 12, 27], rel=1e-6)
    assert hessian(lambda p: (p**3).sum())(x) == pytest.approx(np.diag([6, 12, 18]), abs=1e-5)


def test_a_float_reaches_fun_as_a_float():
    assert derivative(math.sin, 1.0) == pytest.approx(math.cos(1), rel=1e-9)
    assert derivative(lambda x: math.exp(x) if x > 0 else 0.0, 1.0) == pytest.approx(math.e)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_caller_arrays_are_never_modified_even_by_a_fun_that_writes(scheme):
    def writes(p):
        p *= 2
        return (p * p).sum(axis=0)

    x, v, h = np.array([1.0, 2.0]), np.array([0.5, 1.0]), np.array([1e-3, 1e-3])
    kept = x.copy(), v.copy(), h.copy()
    expected = [8.0, 16.0]
    assert grad(writes, scheme=scheme, h=h)(x) == pytest.approx(expected, rel=1e-2)
    assert grad(writes, scheme=scheme, vectorized=True)(x) == pytest.approx(expected, rel=1e-6)
    assert jacobian(writes, scheme=scheme)(x)[0] == pytest.approx(expected, rel=1e-6)
    assert directional(writes, x, v, scheme=scheme) == pytest.approx(20, rel=1e-6)
    assert hessian(writes)(x) == pytest.approx(8 * np.eye(2), abs=1e-5)

    def writes_each(t):
        t *= 2
        return t

    assert derivative(writes_each, x, scheme=scheme, h=h) == pytest.approx([2, 2], rel=1e-6)
    for array, before in zip((x, v, h), kept, strict=True):
        assert (array == before).all()


@pytest.mark.parametrize("row", **by_name(SPACE))
def test_hessian_is_exactly_symmetric(row):
    H = hessian(row.fun)(points(row, 5))
    assert (H.T == H).all()


def test_jacobian_of_a_scalar_has_one_row():
    assert jacobian(lambda p: p @ p)([1.0, 2.0]).shape == (1, 2)
    assert jacobian(lambda p: p[0] * p[1], vectorized=True)([1.0, 2.0]).shape == (1, 2)


# One call for all points


class Counting:
    """A function that counts its calls."""

    def __init__(self, fun):
        self.fun, self.calls = fun, 0

    def __call__(self, x):
        self.calls += 1
        return self.fun(x)


@pytest.mark.parametrize("row", **by_name(SPACE))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_vectorized_gradient_is_the_same_in_one_call(row, scheme):
    x, fun = points(row, 7), Counting(row.fun)
    got = grad(fun, scheme=scheme, vectorized=True)(x)
    assert got == pytest.approx(grad(row.fun, scheme=scheme)(x), rel=1e-6, abs=1e-6)
    assert fun.calls == (5 if scheme == "complex" else 1)


@pytest.mark.parametrize("row", **by_name(VECTOR))
@pytest.mark.parametrize("scheme", DIFFERENCES)
def test_vectorized_jacobian_is_the_same_in_one_call(row, scheme):
    x, fun = points(row, 7), Counting(row.fun)
    got = jacobian(fun, scheme=scheme, vectorized=True)(x)
    assert got == pytest.approx(jacobian(row.fun, scheme=scheme)(x), rel=1e-6, abs=1e-6)
    assert fun.calls == 1


@pytest.mark.parametrize("row", **by_name(SPACE))
def test_vectorized_hessian_is_the_same_in_one_call(row):
    x, fun = points(row, 7), Counting(row.fun)
    got = hessian(fun, vectorized=True)(x)
    assert got == pytest.approx(hessian(row.fun)(x), rel=1e-5, abs=1e-5)
    assert fun.calls == 1


@pytest.mark.parametrize(("scheme", "calls"), [("forward", 4), ("backward", 4), ("central", 7)])
def test_cost_of_a_gradient_of_three(scheme, calls):
    fun = Counting(lambda p: p @ p)
    grad(fun, scheme=scheme)([1.0, 2.0, 3.0])
    assert fun.calls == calls
    plain = Counting(lambda p: p @ p)
    hessian(plain)([1.0, 2.0, 3.0])
    assert plain.calls == 2 * 3 * 4 + 1


# The error of a Hessian

LIFTS = {"as it is": (0, 0), "lifted": (1e5, 0), "tilted": (0, 1e4), "squeezed": (-1e3, -300)}


@pytest.mark.parametrize(("level", "slope"), LIFTS.values(), ids=LIFTS)
@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_no_eigenvalue_of_a_hessian_is_off_by_more_than_the_error(row, level, slope, seed):
    """A level and a slope add nothing to the Hessian, and much to the rounding of the values."""

    def fun(p):
        return row.fun(p) + level + slope * np.sum(p)

    x = points(row, seed)
    exact = np.atleast_2d(formula(symbolic.hessian, row.expr, row.variables)(np.atleast_1d(x)))
    H, error = hessian_with_error(fun)(x)
    off = np.linalg.eigvalsh(np.atleast_2d(H)) - np.linalg.eigvalsh(exact)
    assert np.abs(off).max() <= error + 8 * EPS * np.abs(exact).max()


def gutter(p):
    return (p[0] - 2 * p[1]) ** 2


@pytest.mark.parametrize("level", [0.0, 100.0, -1e6])
def test_the_error_is_the_least_that_bounds_up_to_a_factor_of_a_thousand(level):
    rng, used = np.random.default_rng(0), []
    for _ in range(50):
        H, error = hessian_with_error(lambda p: level + gutter(p))(rng.normal(size=2))
        used.append(np.abs(np.linalg.eigvalsh(H) - [0, 10]).max() / error)
    assert np.median(used) > 1e-3
    assert max(used) <= 1


TERMS = {
    "its value": (lambda p: 1e3 + p[0] * p[1], [0.5, -0.25], 1e3),
    "its slopes": (lambda p: 1e4 * p[0] - 3e4 * p[1] + p[0] * p[1], [3.0, 1.0], 6e4),
    "far out": (lambda p: 1e3 + p[0] * p[1] * 1e-6, [-500.0, 100.0], 1e3),
}


@pytest.mark.parametrize(("fun", "x", "size"), TERMS.values(), ids=TERMS)
def test_the_error_grows_with_the_size_of_what_is_rounded(fun, x, size):
    """Of a quadratic there is no truncation: the error is what the rounding adds, or more."""
    h, (_, error) = default_step(np.array(x), scheme="second"), hessian_with_error(fun)(x)
    rounding = np.linalg.norm(4 * EPS * size / np.outer(h, h))
    assert 0.99 * rounding < error < 5 * rounding


@pytest.mark.parametrize("size", [1.0, 100.0, -1e4])
def test_the_error_sees_the_fourth_derivative(size):
    """Of c x^4 at 0 the difference is 8 c h^2, and the second derivative 0."""
    H, error = hessian_with_error(lambda x: size * x**4)(0.0)
    assert pytest.approx(8 * size * default_step(0.0, scheme="second") ** 2, rel=1e-12) == H
    assert error == pytest.approx(1.5 * abs(H), rel=1e-6)


@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
def test_the_hessian_that_comes_with_its_error_is_the_same(row):
    x = points(row, 3)
    H, error = hessian_with_error(row.fun)(x)
    assert np.array_equal(H, hessian(row.fun)(x))
    assert (type(error), type(H)) == (float, float if np.ndim(x) == 0 else np.ndarray)


def test_an_error_costs_as_much_as_the_hessian_and_goes_no_farther():
    asked = [], []

    def noting(seen):
        return lambda p: seen.append(p) or p @ p

    x = np.array([1.0, -200.0, 0.0])
    for verb, seen in zip((hessian, hessian_with_error), asked, strict=True):
        verb(noting(seen))(x)
    assert [len(seen) for seen in asked] == [2 * 3 * 4 + 1, 2 * (2 * 3 * 4 + 1)]
    reach = [np.abs(np.array(seen) - x).max(axis=0).tolist() for seen in asked]
    assert reach[0] == reach[1]


@pytest.mark.parametrize("size", [0.0, 1e-250, 1e250])
def test_an_error_has_any_size(size):
    H, error = hessian_with_error(lambda p: size * (p @ p))([1.0, 2.0])
    assert np.abs(H - 2 * size * np.eye(2)).max() <= error <= 1e-5 * size


def test_the_error_of_a_vector_or_of_narrow_values_is_refused_like_the_hessian():
    with pytest.raises(ValueError, match=r"hessian_with_error needs a scalar.*\(2,\)"):
        hessian_with_error(lambda p: 2 * p)([1.0, 2.0])
    with pytest.raises(TypeError, match="float32"):
        hessian_with_error(lambda p: np.float32(p @ p))([1.0, 2.0])
    with pytest.raises(ValueError, match="not finite at x="):
        hessian_with_error(lambda p: np.log(p[0]))([1e-5, 2.0])


# The error of a Jacobian


@pytest.mark.parametrize("slope", [1.0, 1e4, -300.0])
@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_no_jacobian_of_a_gradient_is_off_by_more_than_the_error(row, slope, seed):
    """With a slope of at least 1, for a gradient as 1 - tanh^2 rounds like 1 where it is small."""
    x = np.atleast_1d(points(row, seed))
    shape = np.shape(points(row, seed))
    exact = formula(symbolic.hessian, row.expr, row.variables)(x.reshape(shape))
    J, error = jacobian_with_error(lambda p: row.grad(p.reshape(shape)) + slope)(x)
    assert np.linalg.norm(J - exact, 2) <= error + 8 * EPS * np.abs(exact).max()


def test_the_error_of_a_jacobian_is_the_least_that_bounds_up_to_a_factor_of_a_thousand():
    rng, used = np.random.default_rng(0), []
    for _ in range(50):
        J, error = jacobian_with_error(lambda p: np.array([np.sin(p[0]) + 5, p[0] * p[1]]))(
            x := rng.normal(size=2)
        )
        exact = [[np.cos(x[0]), 0], [x[1], x[0]]]
        used.append(np.linalg.norm(J - exact, 2) / error)
    assert np.median(used) > 1e-3
    assert max(used) <= 1


SIZED = {
    "its values": (lambda p: p + np.array([1e3, 0.0]), [0.5, -0.25], [1e3, 0]),
    "its slopes": (lambda p: 1e4 * p[::-1], [0.0, 3.0], [3e4, 0]),
    "far out": (lambda p: 1e-6 * p + np.array([1e3, 0.0]), [-500.0, 100.0], [1e3, 0]),
}


@pytest.mark.parametrize(("fun", "x", "sizes"), SIZED.values(), ids=SIZED)
def test_the_error_of_a_jacobian_grows_with_the_size_of_what_is_rounded(fun, x, sizes):
    h, (_, error) = default_step(np.array(x)), jacobian_with_error(fun)(x)
    rounding = np.linalg.norm(3 * EPS * np.divide.outer(sizes, h))
    assert 0.99 * rounding < error < 5 * rounding


def test_the_error_of_a_jacobian_sees_the_third_derivative():
    """Of x^3 at 0 the difference is h^2, and the slope 0."""
    J, error = jacobian_with_error(lambda p: p**3)([0.0])
    assert J.item() == pytest.approx(default_step(0.0) ** 2, rel=1e-9)
    assert error == pytest.approx(1.5 * J.item(), rel=1e-4)


def test_a_jacobian_with_its_error_is_the_same_and_takes_twice_the_values():
    fun = Counting(lambda p: np.array([p[0] * p[1], np.exp(p[2])]))
    x = np.array([1.0, -200.0, 0.3])
    J, error = jacobian_with_error(fun)(x)
    assert fun.calls == 4 * 3 + 2
    assert np.array_equal(J, jacobian(fun)(x))
    assert type(error) is float
    assert jacobian_with_error(lambda p: 0 * p)(x)[1] == 0.0


# Values of any type of number, and numbers of any size


@pytest.mark.parametrize("scheme", DIFFERENCES)
@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32, np.float16, np.float32, int, float])
def test_values_of_narrow_types_are_promoted_before_the_difference(kind, scheme):
    def falls(t):
        return kind(80 - 40 * np.max(t))

    assert derivative(falls, 1.0, h=1.0, scheme=scheme) == -40.0
    assert grad(falls, h=1.0, scheme=scheme)([1.0, 0.0])[0] == -40.0
    assert directional(falls, [1.0], [1.0], h=1.0, scheme=scheme) == -40.0
    assert hessian(lambda t: kind(10 * t**2), h=1.0)(1.0) == 20.0


NARROW_FLOATS = [np.float16, np.float32]


@pytest.mark.parametrize("narrow", NARROW_FLOATS)
@pytest.mark.parametrize("scheme", DIFFERENCES)
@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("h", [None, 1e-9, [1e-1, 1e-9]])
def test_narrow_floats_are_refused_where_their_rounding_hides_the_step(
    narrow, scheme, vectorized, h
):
    def total(p):
        return (p**2).sum(axis=0).astype(narrow)

    x, kind = [1.0, 2.0], np.dtype(narrow).name
    message = rf"fun must compute in float64 .*got {kind} at x=.*or give h, about 0\.\d+ times"
    with pytest.raises(TypeError, match=message):
        grad(total, h=h, scheme=scheme, vectorized=vectorized)(x)
    with pytest.raises(TypeError, match=message):
        jacobian(lambda p: p.astype(narrow), h=h, scheme=scheme, vectorized=vectorized)(x)
    with pytest.raises(TypeError, match=message):
        hessian(total, h=h, vectorized=vectorized)(x)
    with pytest.raises(TypeError, match=message):
        derivative(lambda t: np.sin(t).astype(narrow), x, h=h, scheme=scheme)
    with pytest.raises(TypeError, match=message):
        directional(total, x, [1.0, 0.0], h=np.min(h) if h else None, scheme=scheme)


@pytest.mark.parametrize("vectorized", [False, True])
def test_narrow_floats_pass_with_a_step_that_shows_in_them(vectorized):
    def total(p):
        return (p**2).sum(axis=0).astype(np.float32)

    x = [1.0, 2.0]
    for h in (1e-2, [1e-2, 2e-2]):
        got = grad(total, h=h, vectorized=vectorized)(x)
        assert got == pytest.approx([2, 4], rel=1e-4)
        got = hessian(total, h=h, vectorized=vectorized)(x)
        assert got == pytest.approx(2 * np.eye(2), abs=1e-2)
    got = jacobian(lambda p: p.astype(np.float16), h=0.1, vectorized=vectorized)(x)
    assert got == pytest.approx(np.eye(2), abs=1e-2)
    assert directional(total, x, [0.0, 10.0], h=1e-3) == pytest.approx(40, rel=1e-4)
    assert derivative(lambda t: np.sin(np.float32(t)), 1.0, h=5e-3) == pytest.approx(
        np.cos(1.0), rel=1e-3
    )


def test_one_narrow_value_among_wide_ones_is_refused():
    with pytest.raises(TypeError, match=r"got float32 at x=\[2\.0"):
        grad(lambda p: np.float32(p[0]) if p[0] > 2 else p[0])([2.0, 1.0])


@pytest.mark.parametrize("h", [None, 1e-20])
def test_complex_step_refuses_narrow_values(h):
    def sine(t):
        return np.sin(t).astype(np.complex64 if np.iscomplexobj(t) else np.float32)

    with pytest.raises(TypeError, match=r"fun must compute in float64 .*got complex64 at x="):
        derivative(sine, 1.0, h=h, scheme="complex")


def test_narrow_values_at_a_narrow_point_and_wide_ones_anywhere_pass():
    assert errors("central", [1e-2], np.float32(1))[0] < 1e-4
    assert derivative(lambda t: np.longdouble(t) ** 2, 1.0) == pytest.approx(2, rel=1e-9)
    assert derivative(lambda t: 3, 1.0) == 0.0


def test_error_by_step_shows_what_narrow_values_cost():
    def sine(t):
        return np.sin(np.float32(t))

    coarse, fine = error_by_step(sine, np.cos, 1.0, [1e-2, 1e-9])
    assert coarse < 1e-4
    assert fine > 0.5


def test_a_step_across_a_pole_is_wrong_as_the_notes_say_and_both_ways_out_are_right():
    def reciprocal(t):
        return 1 / t

    assert derivative(reciprocal, 1e-6) == pytest.approx(2.8e10, rel=0.02)
    assert derivative(reciprocal, 1e-6, h=1e-9) == pytest.approx(-1e12, rel=1e-5)
    with pytest.raises(ValueError, match="the complex step gives -1000000000000"):
        derivative(reciprocal, 1e-6, scheme="complex")


def test_hessian_refuses_a_step_whose_square_underflows():
    def square(t):
        return (t * 1e138) ** 2

    with pytest.raises(ValueError, match=r"h=1e-139 is too small.*smallest useful h is 6\.7e-139"):
        hessian(square, h=1e-139)(0.0)
    assert hessian(square, h=1e-138)(0.0) == pytest.approx(2e276, rel=1e-12)
    assert derivative(lambda t: t * 1e138, 0.0, h=1e-139) == pytest.approx(1e138, rel=1e-12)


def test_values_at_the_ends_of_int32_do_not_wrap_around():
    ends = np.iinfo(np.int32)

    def jumps(t):
        return np.int32(ends.max if t > 1 else ends.min)

    assert derivative(jumps, 1.0, h=0.5) == ends.max - ends.min


@pytest.mark.parametrize("scheme", DIFFERENCES)
@pytest.mark.parametrize("vectorized", [False, True])
def test_arrays_of_small_integers_and_truth_values_are_promoted(scheme, vectorized):
    def falls(p):
        return (80 - 40 * p).astype(np.uint8)

    J = jacobian(falls, h=1.0, scheme=scheme, vectorized=vectorized)([1.0, 1.0])
    assert J.tolist() == [[-40.0, 0.0], [0.0, -40.0]]
    assert derivative(falls, [1.0, 1.0], h=1.0, scheme=scheme).tolist() == [-40.0, -40.0]
    assert derivative(lambda t: t > 1, 1.0, h=0.5, scheme="forward") == 2.0
    got = grad(lambda p: p[0] > 1, h=0.5, scheme="forward", vectorized=vectorized)([1.0])
    assert got.tolist() == [2.0]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("h", [5e307, 1e308, 1.7e308])
def test_step_whose_double_is_no_float_is_refused(h, scheme):
    message = r"h must be at most 4\.5e\+307 .*got h=.*without h the best step"
    with pytest.raises(ValueError, match=message):
        derivative(np.sin, 1.0, h=h, scheme=scheme)
    with pytest.raises(ValueError, match=message):
        grad(lambda p: p.sum(), h=h, scheme=scheme)([1.0, 0.5])
    with pytest.raises(ValueError, match=message):
        jacobian(lambda p: p, h=h, scheme=scheme)([1.0, 0.5])
    with pytest.raises(ValueError, match=message):
        hessian(lambda p: p.sum(), h=h)([1.0, 0.5])
    with pytest.raises(ValueError, match=message):
        directional(lambda p: p.sum(), [1.0, 0.5], [1.0, 0.0], h=h, scheme=scheme)
    with pytest.raises(ValueError, match=message):
        directional(lambda p: p.sum(), [1.0, 0.5], [1e10, 0.0], h=h / 1e10, scheme=scheme)
    with pytest.raises(ValueError, match=message):
        error_by_step(np.sin, np.cos, 1.0, [1e-3, h], scheme=scheme)
    with pytest.raises(ValueError, match=r"h must be at most 8\.5e\+37"):
        error_by_step(np.sin, np.cos, np.float32(1), [1e38], scheme=scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("h", [None, 1e300])
def test_point_without_room_for_a_step_is_refused(scheme, h):
    message = "x must be at most .*divide the variable by its size"
    with pytest.raises(ValueError, match=message):
        derivative(lambda t: t, 1.7e308, h=h, scheme=scheme)
    with pytest.raises(ValueError, match=message):
        hessian(lambda t: t, h=h)(-1.7e308)
    if scheme != "complex":
        with pytest.raises(ValueError, match=message):
            default_step(1.7e308, scheme=scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_direction_as_long_as_the_largest_float_is_refused(scheme):
    for v in ([1.7e308, 0.0], [4e307, 4e307]):
        with pytest.raises(ValueError, match=r"v must be at most .*use a shorter v"):
            directional(lambda p: p.sum(), [1.0, 2.0], v, scheme=scheme)


def test_short_direction_with_a_step_that_moves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"smallest useful h is 4\.4e\+284"):
        directional(lambda p: p @ p, [1.0, 2.0], [1e-300, 1e-300], h=1e-5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_slope_above_the_largest_float_is_refused(scheme):
    with pytest.raises(ValueError, match=r"difference quotient overflows.*divide fun"):
        directional(lambda p: 1e10 * p[0], [1.0], [4e307], scheme=scheme)


def test_difference_above_the_largest_float_is_refused():
    def jumps(t):
        return 1.7e308 * np.sign(t - 1)

    for scheme in DIFFERENCES:
        with pytest.raises(ValueError, match=r"difference quotient overflows at x=1\.0"):
            derivative(jumps, 1.0, scheme=scheme)
    with pytest.raises(ValueError, match="difference quotient overflows"):
        hessian(lambda t: np.abs(jumps(t)))(1.0)


def test_hessian_far_out_needs_no_square_of_the_step():
    assert hessian(lambda t: t * t)(1e120) == pytest.approx(2.0, rel=1e-6)
    assert hessian(lambda t: (t * 1e-200) ** 2 * 1e300)(1e160) == pytest.approx(2e-100, rel=1e-6)


# Misuse


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("vectorized", [False, True])
def test_gradient_of_a_vector_names_jacobian(scheme, vectorized):
    with pytest.raises(ValueError, match=r"grad needs a scalar.*jacobian"):
        grad(lambda p: 2 * p, scheme=scheme, vectorized=vectorized)([1.0, 2.0])


def test_hessian_and_directional_of_a_vector_name_jacobian():
    with pytest.raises(ValueError, match=r"hessian needs a scalar.*\(2,\).*jacobian"):
        hessian(lambda p: 2 * p)([1.0, 2.0])
    with pytest.raises(ValueError, match=r"directional needs a scalar.*\(2,\).*jacobian"):
        directional(lambda p: 2 * p, [1.0, 2.0], [1.0, 0.0])


def test_derivative_of_a_function_of_a_vector_names_grad():
    with pytest.raises(ValueError, match=r"shape \(2,\), got \(\); use grad"):
        derivative(lambda p: p @ p, [1.0, 2.0])


def test_jacobian_of_a_matrix_says_ravel():
    with pytest.raises(ValueError, match="ravel"):
        jacobian(lambda p: np.outer(p, p))([1.0, 2.0])


UNDEFINED = [
    (lambda x: 1 / x, 0.0, "0.0"),
    (np.log, -1.0, "-1.0"),
    (np.log, 0.0, "0.0"),
    (math.log, -1.0, "-1.0"),
    (np.sqrt, -2.0, "-2.0"),
    (lambda x: math.exp(1000 * x), 1.0, "1.0"),
    (lambda x: np.nan * x, 3.0, "3.0"),
    (lambda x: x**math.inf, 2.0, "2.0"),
]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("fun", "x", "named"), UNDEFINED)
def test_fun_without_a_value_at_the_point_is_refused_by_name(fun, x, named, scheme):
    with pytest.raises(ValueError, match=f"at x={named}"):
        derivative(fun, x, scheme=scheme)
    with pytest.raises(ValueError, match=f"at x={named}"):
        grad(fun, scheme=scheme)(x)
    with pytest.raises(ValueError, match=rf"at x=\[{named[:-1]}"):
        grad(lambda p: fun(p[0]), scheme=scheme)([x])
    with pytest.raises(ValueError, match=f"at x=.?{named[:-1]}"):
        hessian(fun)(x)


@pytest.mark.parametrize("scheme", ["backward", "central"])
def test_fun_without_a_value_beside_the_point_is_refused_by_name(scheme):
    x = 1e-10
    beside = x - default_step(x, scheme=scheme)
    with pytest.raises(ValueError, match=f"not finite at x={beside}"):
        derivative(np.log, x, scheme=scheme)
    assert derivative(np.log, x, h=1e-14, scheme=scheme) == pytest.approx(1e10, rel=1e-3)


def test_of_many_points_the_bad_one_is_named():
    def fun(p):
        return np.log(p[0]) + p[1]

    for vectorized in (False, True):
        with pytest.raises(ValueError, match=r"not finite at x=\[-1\., +2\.\]"):
            grad(fun, vectorized=vectorized)([-1.0, 2.0])


@pytest.mark.parametrize("value", [None, "1", 1j, [1, None]])
def test_fun_that_returns_no_real_number_is_refused(value):
    with pytest.raises(TypeError, match=r"fun must return real numbers.*at x=1\.0"):
        derivative(lambda x: value, 1.0)


@pytest.mark.parametrize("scheme", DIFFERENCES)
@pytest.mark.parametrize("h", [0, 0.0, -1e-6, 1e-17, 1e-16])
def test_useless_step_is_refused_with_the_smallest_useful_one(h, scheme):
    message = r"smallest useful h is 2\.2e-16"
    with pytest.raises(ValueError, match=message):
        derivative(np.sin, 1.0, h=h, scheme=scheme)
    with pytest.raises(ValueError, match=message):
        grad(lambda p: p @ p, h=h, scheme=scheme)([1.0, 0.5])
    with pytest.raises(ValueError, match=message):
        directional(lambda p: p @ p, [1.0, 0.5], [1.0, 0.0], h=h, scheme=scheme)
    with pytest.raises(ValueError, match=message):
        jacobian(lambda p: p, h=h, scheme=scheme)([1.0, 0.5])
    with pytest.raises(ValueError, match=message):
        hessian(lambda p: p @ p, h=h)([1.0, 0.5])
    with pytest.raises(ValueError, match=message):
        error_by_step(np.sin, np.cos, 1.0, [1e-3, h], scheme=scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("h", [-1e-6, -1e300, 0.0])
def test_step_that_is_not_positive_is_told_so(h, scheme):
    message = "h must be positive, got "
    with pytest.raises(ValueError, match=message) as caught:
        derivative(np.sin, 1.0, h=h, scheme=scheme)
    assert "too small" not in str(caught.value)
    with pytest.raises(ValueError, match=message):
        grad(lambda p: p @ p, h=[1e-3, h], scheme=scheme)([1.0, 0.5])
    with pytest.raises(ValueError, match=message):
        hessian(lambda p: p @ p, h=h)([1.0, 0.5])
    with pytest.raises(ValueError, match=message):
        directional(lambda p: p @ p, [1.0, 0.5], [1.0, 0.0], h=h, scheme=scheme)


@pytest.mark.parametrize("h", [0, -1e-20, 1e-310])
def test_useless_complex_step_is_refused(h):
    with pytest.raises(ValueError, match="smallest useful h is 1e-292"):
        derivative(np.sin, 1.0, h=h, scheme="complex")


@pytest.mark.parametrize("h", [np.nan, np.inf, "small", [1e-3, 1e-3]])
def test_step_that_is_no_step_is_refused(h):
    with pytest.raises((ValueError, TypeError), match="h must"):
        derivative(np.sin, 1.0, h=h)


@given(x=st.floats(-1e200, 1e200), scheme=st.sampled_from(DIFFERENCES))
@settings(deadline=None, derandomize=True)
def test_smallest_useful_step_of_the_message_works(x, scheme):
    with pytest.raises(ValueError, match="smallest useful h is") as caught:
        derivative(lambda t: t, x, h=0.0, scheme=scheme)
    smallest = float(str(caught.value).split("smallest useful h is ")[1].split(",")[0])
    assert derivative(lambda t: t, x, h=1.05 * smallest, scheme=scheme) > 0
    with pytest.raises(ValueError, match="smallest useful h"):
        derivative(lambda t: t, x, h=0.9 * smallest, scheme=scheme)


def test_a_step_for_each_coordinate_is_judged_for_each():
    got = grad(lambda p: p[0] / 1e10 + p[1], h=[1e3, 1e-6])([1e10, 1.0])
    assert got == pytest.approx([1e-10, 1], rel=1e-6)
    with pytest.raises(ValueError, match=r"smallest useful h is 1\.9e-06"):
        grad(lambda p: p.sum(), h=1e-7)([1e10, 1.0])


@pytest.mark.parametrize(
    "call",
    [
        derivative,
        lambda f, x: grad(f)(x),
        lambda f, x: jacobian(f)(x),
        lambda f, x: hessian(f)(x),
        lambda f, x: directional(f, x, [1.0]),
    ],
)
@pytest.mark.parametrize(
    ("x", "error", "way_out"),
    [
        (np.ones((2, 1)), ValueError, r"x\.ravel\(\)"),
        ("1", TypeError, "np.asarray"),
        (["a", "b"], TypeError, "np.asarray"),
        (None, TypeError, "np.asarray"),
        (1j, TypeError, "np.asarray"),
        (np.nan, ValueError, "finite"),
        ([1.0, np.inf], ValueError, r"index \[1\]"),
        ([], ValueError, "empty"),
        ([[1, 2], [3]], ValueError, "same length"),
    ],
)
def test_bad_point_is_refused_with_a_way_out(call, x, error, way_out):
    with pytest.raises(error, match=rf"x must.*{way_out}"):
        call(np.sin, x)


def test_jacobian_at_a_number_says_how_to_make_a_vector():
    with pytest.raises(ValueError, match=r"x must have shape \(n,\), got a number; use np\.array"):
        jacobian(np.sin)(1.0)


def test_unknown_scheme_is_refused_with_the_known_ones():
    for scheme in ("cental", None, 2, "second"):
        with pytest.raises(ValueError, match="scheme must be one of 'forward', 'backward'"):
            derivative(np.sin, 1.0, scheme=scheme)
        with pytest.raises(ValueError, match="scheme must be one of"):
            grad(np.sin, scheme=scheme)


def test_direction_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape of x, \(2,\), got \(3,\)"):
        directional(lambda p: p @ p, [1, 2], [1, 2, 3])


# The complex step refuses what breaks it


BREAKERS = {
    "abs": abs,
    "np.abs": np.abs,
    "fabs": np.fabs,
    "x |x|": lambda x: x * abs(x),
    "x^2 + tiny |x|": lambda x: x * x + 1e-13 * abs(x),
    "x^2 + tiny real": lambda x: x * x + 1e-13 * x.real,
    "x^2 + tiny imag": lambda x: x * x + 1e-13 * x.imag,
    "x^2 + tiny astype": lambda x: x * x + 1e-13 * x.astype(float),
    "x^2 + tiny stripped astype": lambda x: x * x + 1e-13 * np.asarray(x).astype(float),
    "max": lambda x: max(x, 0),
    "np.maximum": lambda x: np.maximum(x, 0),
    "np.minimum": lambda x: np.minimum(x, 0),
    "np.fmax": lambda x: np.fmax(x, 0),
    "np.clip": lambda x: np.clip(x, -1, 1),
    "x.clip": lambda x: x.clip(-1, 1) * x,
    "branch": lambda x: x if x > 0 else -x,
    "sorted": lambda x: sorted([x, -x])[1],
    "np.where": lambda x: np.where(x > 0, x, 0),
    "equality": lambda x: x * (x != 0),
    "sign": lambda x: np.sign(x) * x,
    "round": lambda x: np.rint(x) + x,
    "x.real": lambda x: x.real**2,
    "np.real": lambda x: np.real(x) * x,
    "np.imag": lambda x: np.imag(x) + x,
    "conjugate": lambda x: x.conj() * x,
    "np.conj": lambda x: np.conj(x) * x,
    "angle": lambda x: np.angle(x) + x,
    "float": lambda x: float(x) ** 2,
    "math.sin": math.sin,
    "norm": lambda x: np.linalg.norm(x),
    "plain complex |x|": lambda x: complex(x) * abs(complex(x)),
    "plain complex small |x|": lambda x: complex(x) + 1e-7 * abs(complex(x)),
    "plain complex real": lambda x: complex(x).real * complex(x),
    "stripped |x|": lambda x: np.asarray(x) * np.abs(np.asarray(x)),
    "stripped sign": lambda x: np.asarray(x) * np.sign(np.asarray(x)),
    "astype float": lambda x: x.astype(float) ** 2,
    "arctan2": lambda x: np.arctan2(x, 1),
    "floor": lambda x: np.floor(x) * x,
}


@pytest.mark.parametrize("x", [-1.5, 0.5, 2.0])
@pytest.mark.parametrize("fun", BREAKERS.values(), ids=BREAKERS)
def test_complex_step_refuses_a_function_that_breaks_it(fun, x):
    with pytest.raises(ValueError, match="complex"):
        derivative(fun, x, scheme="complex")


@pytest.mark.parametrize("fun", BREAKERS.values(), ids=BREAKERS)
def test_complex_step_refuses_breakers_of_vectors(fun):
    with pytest.raises(ValueError, match="complex"):
        grad(lambda p: fun(p[0]) + p[1], scheme="complex")([0.5, 1.0])

    def unpacked(p):
        a, b = p
        return b * fun(a)

    with pytest.raises(ValueError, match="complex"):
        grad(unpacked, scheme="complex")([0.5, 1.0])
    with pytest.raises(ValueError, match="complex"):
        directional(unpacked, [0.5, 1.0], [1.0, 0.0], scheme="complex")


@pytest.mark.parametrize(
    "fun",
    [
        lambda p: np.max(p),
        lambda p: p.max(),
        lambda p: sorted(p)[0],
        lambda p: np.sort(p)[0] * p[np.argmin(p)],
        lambda p: np.abs(p).sum(),
        lambda p: sum(abs(t) for t in p),
        lambda p: np.where(p > 0, p, 0).sum(),
        lambda p: np.linalg.norm(p),
        lambda p: np.linalg.norm(p) ** 2 + p[0],
        lambda p: np.vdot(p, p),
        lambda p: (p * p.conj()).sum(),
    ],
)
def test_complex_step_refuses_breakers_on_whole_vectors(fun):
    with pytest.raises(ValueError, match="complex"):
        grad(fun, scheme="complex")([0.5, -1.0, 2.0])


@pytest.mark.parametrize(
    "fun",
    [
        abs,
        lambda x: np.sqrt(x**2),
        lambda x: (x * x) ** 0.5,
        lambda x: abs(complex(x)),
        lambda x: np.abs(np.asarray(x)),
    ],
)
def test_complex_step_refuses_a_kink(fun):
    with pytest.raises(ValueError, match="complex"):
        derivative(fun, 0.0, scheme="complex")


HIDDEN = {
    "abs": lambda z: abs(z),
    "real": lambda z: z.real,
    "conjugate": lambda z: z.conjugate(),
    "norm": lambda z: np.hypot(z.real, z.imag),
    "squared modulus": lambda z: z.real**2 + z.imag**2,
}
BARE = {"complex": complex, "asarray": lambda x: np.asarray(x)[()], "item": lambda x: x.item()}


@pytest.mark.parametrize("x", [-1.5, 0.2, 2.0])
@pytest.mark.parametrize("bare", BARE.values(), ids=BARE)
@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize("smooth", [lambda z: z * z, np.exp], ids=["square", "exp"])
def test_complex_step_refuses_a_hidden_breaker_that_a_difference_cannot_see(
    smooth, hidden, bare, x
):
    def fun(t):
        return smooth(t) + 2e-11 * hidden(bare(t))

    with pytest.raises(ValueError, match="the complex step"):
        derivative(fun, x, scheme="complex")
    with pytest.raises(ValueError, match="the complex step"):
        grad(lambda p: fun(p[0]) + p[1], scheme="complex")([x, 1.0])
    with pytest.raises(ValueError, match="the complex step"):
        jacobian(lambda p: np.stack([p[1], fun(p[0])]), scheme="complex")([x, 1.0])
    with pytest.raises(ValueError, match="the complex step"):
        directional(lambda p: fun(p[0]) + p[1], [x, 1.0], [1.0, 0.0], scheme="complex")


NARROW = {
    "logarithm beside its pole": (np.log, 1e-3),
    "root beside its end": (lambda t: np.sqrt(t - 0.499), 0.5),
    "pole": (lambda t: 1 / t, -1e-3),
    "entropy": (lambda t: t * np.log(t) + (1 - t) * np.log(1 - t), 1 - 1e-3),
    "tangent": (np.tan, 1.57),
    "logarithm twice": (lambda t: np.log(np.log(t)), 1.001),
    "fast wave": (lambda t: np.sin(1000 * t), 0.3),
    "fast growth": (lambda t: np.exp(100 * t), 5.0),
    "narrow peak": (lambda t: 1 / (1 + 1e6 * t * t), 1e-3),
    "high power": (lambda t: t**20, 4.0),
    "arc": (np.arcsin, 0.999),
    "two pieces": (lambda t: t * t if complex(t).real > 0.5 else t - 0.25, 0.502),
    "rounding": (lambda t: t**3 - 3 * t**2 + 3 * t - 1, 1.0001),
    "large": (lambda t: 1e5 + t, 0.3),
    "flat": (np.tanh, 30.0),
}


@pytest.mark.parametrize(("fun", "x"), NARROW.values(), ids=NARROW)
def test_complex_step_passes_honest_functions_that_change_fast_or_end_nearby(fun, x):
    got, central = derivative(fun, x, scheme="complex"), derivative(fun, x)
    assert got == pytest.approx(central, rel=1e-3, abs=1e-4)


def fill(p):
    out = np.zeros(2, dtype=p.dtype)
    out[0] = p[0] * p[1]
    out[1] += p[0] ** 2
    return out.sum()


ANALYTIC = {
    "dot": lambda p: p @ p,
    "np.dot": lambda p: np.dot(p, p),
    "np.sum": lambda p: np.sum(p**3),
    "mean": lambda p: p.mean(),
    "np.mean": lambda p: np.mean(p * p),
    "prod": lambda p: np.prod(p),
    "power": lambda p: (p @ p) ** 0.5,
    "list": lambda p: np.array([p[0] * p[1], 2 * p[0]]).sum(),
    "stack": lambda p: np.stack([p[0], p[1] * p[0]]).sum(),
    "cmath": lambda p: cmath.sin(p[0]) if np.iscomplexobj(p) else math.sin(p[0]),
    "unpacked": lambda p: (lambda a, b: a * np.exp(b))(*p),
    "in place": lambda p: (p.__imul__(2)).sum(),
    "filled": fill,
    "matrix": lambda p: np.array([[2.0, 1.0], [1.0, 3.0]]) @ p @ p,
    "einsum": lambda p: np.einsum("i,i->", p, p),
    "slices": lambda p: (p[1:] * p[:-1]).sum(),
    "constant": lambda p: 3.0,
    "ignores one": lambda p: p[1] ** 2,
    "lambdified": symbolic.to_function(sp.sin(sp.Symbol("a")) * sp.Symbol("b"), sp.symbols("a b")),
}


@pytest.mark.parametrize("fun", ANALYTIC.values(), ids=ANALYTIC)
def test_complex_step_passes_honest_functions(fun):
    x = [0.5, -1.25]
    exact, central = grad(fun, scheme="complex")(x), grad(fun)(x)
    assert exact == pytest.approx(central, rel=1e-8, abs=1e-9)


def test_complex_step_says_what_broke_it_and_the_way_out():
    with pytest.raises(ValueError, match=r"absolute.*scheme='central'"):
        derivative(abs, 2.0, scheme="complex")
    with pytest.raises(ValueError, match=r"gives 2\.0 at x=2\.0.*difference 3\.99.*'central'"):
        derivative(lambda x: np.asarray(x) * np.abs(np.asarray(x)), 2.0, scheme="complex")


def test_complex_step_with_a_large_step_errs_by_theory_and_is_not_refused():
    h = 1e-2
    error = derivative(np.exp, 0.0, h=h, scheme="complex") - 1
    assert error == pytest.approx(-(h**2) / 6, rel=1e-3)
