"""Facts about calclib.descent: results, stopping, divergence, batches, refusals, the numbers."""

import dataclasses
import math
import re
import warnings
from collections import Counter

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from calclib import curvature, descent, numerical, problems, schedules
from calclib.descent import (
    DescentResult,
    backtracking,
    gradient_descent,
    lbfgs,
    minimize,
    minimize_many,
    newton,
)
from calclib.optimizers import Optimizer, sgd

EPS = np.finfo(float).eps


def square(x):
    return x**2


def twice(x):
    return 2 * x


def squares(x):
    """x^2 of one coordinate or the sum of several, for a point or for columns."""
    return (x**2).sum(axis=0)


def on_square(rate, **options):
    """Gradient descent on x^2 from 5, with the exact gradient."""
    return gradient_descent(square, 5.0, learning_rate=rate, grad=twice, **options)


# The numbers of the book


def test_twenty_steps_shrink_5_to_0_0576():
    result = on_square(0.1, max_steps=20)
    assert result.x == pytest.approx(5 * 0.8**20, rel=1e-12)
    assert round(result.x, 4) == 0.0576


def test_52_steps_until_four_decimals_show_zero():
    path = on_square(0.1, max_steps=60).path
    assert [f"{x:.4f}" for x in path].index("0.0000") == 52


@pytest.mark.parametrize(
    ("rate", "after_50"),
    [(0.1, 5 * 0.8**50), (0.5, 0.0), (0.9, 5 * 0.8**50), (1.0, 5.0), (1.05, 5 * 1.1**50)],
)
def test_fifty_steps_multiply_by_one_minus_two_rates_each(rate, after_50):
    result = on_square(rate, max_steps=50, tol=0)
    assert result.x == pytest.approx(after_50, rel=1e-10, abs=0)
    np.testing.assert_allclose(result.path, 5 * (1 - 2 * rate) ** np.arange(result.nit + 1))


def test_regimes_on_x_squared():
    assert (np.diff(on_square(0.1, max_steps=50).path) < 0).all()  # monotone
    assert on_square(0.5, max_steps=50).nit == 1  # one step
    zigzag = on_square(0.9, max_steps=50).path
    assert (zigzag[:-1] * zigzag[1:] < 0).all()  # changes sides every time
    assert set(on_square(1.0, max_steps=50).path) == {5.0, -5.0}  # period two
    assert abs(on_square(1.05, max_steps=50).x) == pytest.approx(586.954, abs=5e-4)


def test_starts_beside_the_ridge_part_ways():
    problem = problems.two_wells()
    result = minimize_many(problem.fun, [[1.97, 1.98]], sgd(0.05), grad=problem.grad)
    assert result.success.all()
    np.testing.assert_allclose(result.x, [[-1.3064, 3.8375]], atol=5e-5)
    np.testing.assert_allclose(result.fun, [-7.9458, 8.3156], atol=5e-5)


def test_a_rate_above_two_over_the_curvature_locks_into_a_two_cycle():
    problem = problems.two_wells()
    curvature = problem.hess(problem.minimizers[0, 0])
    assert 2 / curvature == pytest.approx(0.172, abs=5e-4)
    locked = gradient_descent(problem.fun, -3.0, learning_rate=0.2, grad=problem.grad)
    assert locked.status == "max_steps"
    assert locked.path[-1] == pytest.approx(locked.path[-3], abs=1e-9)
    assert abs(locked.path[-1] - locked.path[-2]) > 0.5
    settled = gradient_descent(problem.fun, -3.0, learning_rate=0.16, grad=problem.grad)
    assert settled.x == pytest.approx(problem.minimizers[0, 0], abs=1e-6)


def test_plateau_holds_a_small_rate_back():
    problem = problems.plateau()
    result = gradient_descent(problem.fun, 5.0, learning_rate=0.01, grad=problem.grad)
    assert result.path[100] == pytest.approx(2.638, abs=5e-4)
    assert result.x == pytest.approx(-1.110511, abs=1e-6)
    assert result.fun == pytest.approx(-3.246394, abs=5e-7)
    # A loop that stops at the first step shorter than 1e-6 stops after 377 of them. That step
    # starts where the gradient is first shorter than 1e-6 / rate, which is after 376.
    short = np.abs(np.diff(result.path)) < 1e-6
    assert short.argmax() + 1 == 377
    looser = gradient_descent(problem.fun, 5.0, learning_rate=0.01, grad=problem.grad, tol=1e-4)
    assert looser.nit == 376


def test_shifted_bowl_has_its_minimum_at_minus_1_and_minus_three_halves():
    def fun(p):
        return p[0] ** 2 + p[1] ** 2 + 2 * p[0] + 3 * p[1] + 5

    result = gradient_descent(fun, [0.0, 0.0], learning_rate=0.1)
    assert result.success
    np.testing.assert_allclose(result.x, [-1, -1.5], atol=1e-6)
    assert result.fun == pytest.approx(1.75)


class Line:
    """Least squares for the points (1, 2), (2, 2.5), (3, 3.5), theta = (intercept, slope)."""

    A = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    y = np.array([2.0, 2.5, 3.5])
    hess = A.T @ A / 3  # of the loss with 1 / 2m

    @classmethod
    def loss(cls, theta):
        return ((cls.A @ theta - cls.y) ** 2).sum() / 6

    @classmethod
    def grad(cls, theta):
        return cls.A.T @ (cls.A @ theta - cls.y) / 3


def test_linear_regression_from_scratch_finds_seven_sixths_and_three_quarters():
    np.testing.assert_allclose(np.linalg.eigvalsh(Line.hess), [0.1202, 5.5465], atol=5e-5)
    assert np.linalg.cond(Line.hess) == pytest.approx(46.1, abs=0.05)
    result = gradient_descent(Line.loss, [0.0, 0.0], learning_rate=0.3, grad=Line.grad)
    assert result.success
    np.testing.assert_allclose(result.x, [7 / 6, 3 / 4], atol=1e-4)


def test_the_largest_stable_rate_of_the_regression_is_two_over_its_largest_eigenvalue():
    limit = 2 / np.linalg.eigvalsh(Line.hess)[-1]
    assert limit == pytest.approx(0.3606, abs=5e-5)
    options = {"grad": Line.grad, "max_steps": 5000}
    below = gradient_descent(Line.loss, [0.0, 0.0], learning_rate=0.99 * limit, **options)
    above = gradient_descent(Line.loss, [0.0, 0.0], learning_rate=1.01 * limit, **options)
    assert (below.status, above.status) == ("converged", "diverged")


def test_bowl_shrinks_by_0_818_at_its_best_rate_and_never_settles_at_its_limit():
    problem = problems.bowl()
    best = gradient_descent(problem.fun, [5, 1], learning_rate=2 / 22, grad=problem.grad)
    sizes = np.linalg.norm(best.path, axis=1)
    np.testing.assert_allclose(sizes[1:] / sizes[:-1], 9 / 11, rtol=1e-9)
    limit = gradient_descent(problem.fun, [5, 1], learning_rate=0.1, grad=problem.grad)
    assert limit.status == "max_steps"
    assert np.abs(limit.path[:, 1]) == pytest.approx(1.0)
    options = {"grad": problem.grad, "max_steps": 5000}
    above = gradient_descent(problem.fun, [5, 1], learning_rate=0.101, **options)
    assert above.status == "diverged"


def test_descent_leaves_the_saddle_and_is_beyond_1000_at_step_143():
    problem = problems.saddle()
    result = gradient_descent(problem.fun, [1, 1], learning_rate=0.1, grad=problem.grad)
    sizes = np.linalg.norm(result.path, axis=1)
    assert np.argmax(sizes > 1000) == 143
    np.testing.assert_allclose(result.x / sizes[-1], [0.851, 0.526], atol=5e-4)
    assert result.status == "diverged"
    assert result.fun < 0


def test_valley_is_slow_at_1e_3_and_diverges_at_1e_2_by_step_6():
    problem = problems.valley()
    options = {"grad": problem.grad, "max_steps": 10_000}
    slow = gradient_descent(problem.fun, [-1, 1], learning_rate=1e-3, **options)
    assert slow.status == "max_steps"
    np.testing.assert_allclose(slow.x, [0.9925, 0.9850], atol=5e-5)
    wild = gradient_descent(problem.fun, [-1, 1], learning_rate=1e-2, **options)
    assert wild.status == "diverged"
    assert wild.nit == 6


def test_momentum_wins_the_valley_race():
    problem = problems.valley()
    optimizer = sgd(1e-3, momentum=0.9)
    result = minimize(problem.fun, [-1, 1], optimizer, grad=problem.grad, max_steps=2000)
    assert result.nit == 2000
    assert round(result.fun, 9) == 9e-9


def test_x_to_the_fourth_from_5_diverges_instead_of_converging_at_minus_1_9e13():
    result = gradient_descent(lambda x: x**4, 5.0, learning_rate=0.1, grad=lambda x: 4 * x**3)
    assert result.status == "diverged"
    assert result.x == pytest.approx(-1.93e13, rel=1e-3)


def test_a_tiny_rate_does_not_pass_for_convergence():
    result = on_square(1e-8, max_steps=1000)
    assert result.status == "max_steps"
    assert not result.success


# The result


RUNS = {
    "float": lambda: on_square(0.1),
    "one coordinate": lambda: gradient_descent(squares, [5.0], learning_rate=0.1),
    "diverged": lambda: on_square(1.5),
    "stopped": lambda: on_square(0.1, max_steps=7),
    "two coordinates": lambda: minimize(
        problems.bowl().fun, [5.0, 1.0], sgd(0.05, momentum=0.5), grad=problems.bowl().grad
    ),
    "many": lambda: minimize_many(
        squares, [[5.0, 1.0, 0.0], [1.0, 2.0, 0.0]], sgd, learning_rates=[0.1, 1.5, 0.3]
    ),
    "at the edge": lambda: gradient_descent(
        lambda x: x - np.log(x), 1.7, learning_rate=8.0, grad=lambda x: 1 - 1 / x
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_result_is_the_end_of_the_path(name):
    result = RUNS[name]()
    np.testing.assert_array_equal(result.path[-1], result.x)
    np.testing.assert_array_equal(result.values[-1], result.fun)
    assert len(result.path) == len(result.values) == len(result.grad_norms)
    assert len(result.path) == np.max(result.nit) + 1
    length = np.abs(result.grad) if np.ndim(result.x) == 0 else np.linalg.norm(result.grad, axis=0)
    np.testing.assert_allclose(result.grad_norms[-1], length, rtol=1e-15)
    for array in (result.path, result.values, result.grad_norms, result.grad):
        assert np.isfinite(array).all()


def test_shapes_of_a_plain_number_a_vector_and_columns():
    number = on_square(0.1, max_steps=3)
    assert (number.path.shape, number.values.shape, number.grad_norms.shape) == ((4,), (4,), (4,))
    assert type(number.x) is type(number.fun) is type(number.grad) is float
    assert type(number.nit) is int
    assert type(number.status) is type(number.message) is str
    assert number.success is False

    vector = gradient_descent(squares, [5.0, 1.0], learning_rate=0.1, max_steps=3)
    assert (vector.path.shape, vector.values.shape, vector.x.shape) == ((4, 2), (4,), (2,))
    assert type(vector.fun) is float

    many = minimize_many(squares, np.ones((2, 5)), sgd(0.1), max_steps=3)
    assert (many.path.shape, many.values.shape, many.x.shape) == ((4, 2, 5), (4, 5), (2, 5))
    assert many.status.shape == many.nit.shape == many.success.shape == many.fun.shape == (5,)
    assert len(many.message) == 5


def test_every_step_is_minus_rate_times_gradient():
    problem = problems.two_wells()
    path = gradient_descent(problem.fun, 3.0, learning_rate=0.03, grad=problem.grad).path
    expected = [x - 0.03 * problem.grad(x) for x in path[:-1]]
    np.testing.assert_allclose(path[1:], expected, rtol=1e-15)


def test_a_plain_number_calls_the_functions_with_plain_numbers():
    seen = set()

    def fun(x):
        seen.add(type(x))
        return x * x

    def grad(x):
        seen.add(type(x))
        return 2 * x

    gradient_descent(fun, 5, learning_rate=0.1, grad=grad)
    assert seen == {float}


def test_calls_are_counted():
    count = {"fun": 0, "grad": 0}

    def fun(x):
        count["fun"] += 1
        return x @ x

    def grad(x):
        count["grad"] += 1
        return 2 * x

    result = gradient_descent(fun, [5.0, 1.0], learning_rate=0.1, grad=grad, max_steps=9)
    assert (result.nfev, result.njev) == (count["fun"], count["grad"]) == (10, 10)
    count["fun"] = 0
    result = gradient_descent(fun, [5.0, 1.0], learning_rate=0.1, max_steps=9)
    assert result.nfev == count["fun"] > 40  # central differences: more than 4 for each gradient
    assert result.njev == 10


def test_numerical_gradient_is_the_default():
    problem = problems.valley()
    optimizer = sgd(1e-3, momentum=0.9)
    exact = minimize(problem.fun, [-1, 1], optimizer, grad=problem.grad, max_steps=200)
    numerical = minimize(problem.fun, [-1, 1], optimizer, max_steps=200)
    np.testing.assert_allclose(numerical.path, exact.path, atol=1e-6)


def test_gradient_descent_is_minimize_with_sgd():
    problem = problems.bowl()
    short = gradient_descent(problem.fun, [5, 1], learning_rate=0.05, grad=problem.grad)
    long = minimize(problem.fun, [5, 1], sgd(0.05), grad=problem.grad)
    np.testing.assert_array_equal(short.path, long.path)
    assert short.optimizer.name == "sgd(0.05)"


def test_a_schedule_sets_the_rate_of_each_step():
    schedule = schedules.linear(0.4, steps=4)
    path = on_square(schedule, max_steps=4).path
    factors = [1 - 2 * schedule(k) for k in range(4)]
    np.testing.assert_allclose(path, 5 * np.cumprod([1, *factors]))


def test_callback_sees_the_start_and_every_step():
    seen = []
    result = on_square(0.1, max_steps=3, callback=lambda *what: seen.append(what))
    assert [k for k, *_ in seen] == [0, 1, 2, 3]
    assert [x for _, x, _, _ in seen] == result.path.tolist()
    assert [value for _, _, value, _ in seen] == result.values.tolist()
    assert [g for *_, g in seen] == [2 * x for x in result.path]


def test_a_result_is_frozen_and_short():
    result = on_square(0.1, max_steps=20)
    assert repr(result) == "DescentResult(not converged after 20 steps, x=0.05765, fun=0.003323)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.x = 0.0
    long = gradient_descent(squares, np.arange(6.0), learning_rate=0.5, grad=twice)
    assert repr(long) == "DescentResult(converged after 1 step, x=[0, 0, 0, 0, ...], fun=0)"
    assert repr(RUNS["many"]()) == "DescentResult(3 runs: 2 converged, 1 diverged)"


# Stopping


def test_stopping_is_by_the_length_of_the_gradient():
    result = on_square(0.1, tol=1e-3)
    assert result.status == "converged"
    assert result.grad_norms[-1] <= 1e-3 < result.grad_norms[-2]


def test_a_start_at_a_flat_point_takes_no_step():
    result = gradient_descent(square, 0.0, learning_rate=0.1, grad=twice)
    assert (result.status, result.nit) == ("converged", 0)
    np.testing.assert_array_equal(result.path, [0.0])


def test_tolerance_zero_stops_at_an_exact_zero_only():
    assert on_square(0.5, tol=0).nit == 1
    assert on_square(0.1, tol=0, max_steps=50).status == "max_steps"


def test_the_last_step_counts():
    steps = on_square(0.1).nit
    assert on_square(0.1, max_steps=steps).status == "converged"
    assert on_square(0.1, max_steps=steps - 1).status == "max_steps"


@pytest.mark.parametrize(
    ("rate", "options", "words"),
    [
        (0.1, {}, ["Converged after 73 steps", "at most tol = 1e-06", "Hessian"]),
        (0.1, {"max_steps": 9}, ["max_steps after 9 steps", "above tol = 1e-06", "more steps"]),
        (1.5, {}, ["Diverged after 31 steps", "beyond diverge_at = 1e+10", "smaller learning"]),
        (1.5, {"diverge_at": 9}, ["Diverged after 1 step:", "the length of x, 10,"]),
    ],
)
def test_the_message_says_which_test_fired_and_what_to_try(rate, options, words):
    message = on_square(rate, **options).message
    for word in words:
        assert word in message
    assert message.endswith(".")


# Divergence


@pytest.mark.parametrize("power", [2, 4, 10, 100])
def test_divergence_gives_no_warning_and_a_finite_result(power):
    """Plain Python numbers raise OverflowError, arrays warn and give inf; neither gets out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        number = gradient_descent(
            lambda x: x**power, 5.0, learning_rate=3.0, grad=lambda x: power * x ** (power - 1)
        )
        columns = minimize_many(
            lambda x: np.exp(x[0] ** power),
            [[1.05, 0.0]],
            sgd(1e4),
            grad=lambda x: power * x ** (power - 1) * np.exp(x**power),
        )
    assert number.status == "diverged"
    assert columns.status.tolist() == ["diverged", "converged"]
    for result in (number, columns):
        assert np.isfinite(result.path).all()
        assert np.isfinite(result.values).all()


def test_a_run_ends_at_the_first_point_beyond_diverge_at():
    sizes = np.abs(on_square(1.5, diverge_at=100).path)  # doubles at every step
    assert sizes.tolist() == [5, 10, 20, 40, 80, 160]


def test_a_start_beyond_diverge_at_is_refused():
    with pytest.raises(ValueError, match="raise diverge_at"):
        on_square(0.1, diverge_at=4)
    far = gradient_descent(square, 1e12, learning_rate=0.4, grad=twice, diverge_at=1e13)
    assert far.status == "converged"


def test_a_step_over_the_edge_of_the_domain_ends_before_it():
    for log in (np.log, math.log):  # one gives NaN there, the other raises
        result = gradient_descent(
            lambda x, log=log: x - log(x), 1.7, learning_rate=8.0, grad=lambda x: 1 - 1 / x
        )
        assert result.status == "diverged"
        assert result.message.startswith(
            "Diverged after 0 steps: fun or its gradient is not finite"
        )
        assert result.path.tolist() == [1.7]
        assert result.nit == 0


def test_a_step_over_the_edge_with_the_numerical_gradient_ends_before_it():
    result = gradient_descent(lambda x: x - np.log(x), 1.7, learning_rate=8.0)
    assert result.status == "diverged"
    assert result.path.tolist() == [1.7]


def test_an_infinite_gradient_ends_before_it():
    def grad(x):
        return np.where(x == 0, np.inf, 2 * x)

    result = gradient_descent(square, 1.0, learning_rate=0.5, grad=grad)
    assert result.status == "diverged"
    assert (result.x, result.fun, result.grad) == (1.0, 1.0, 2.0)
    many = minimize_many(squares, [[1.0]], sgd, learning_rates=[0.5, 0.1], grad=grad)
    assert many.status.tolist() == ["diverged", "converged"]
    assert (many.x[0, 0], many.fun[0], many.grad[0, 0]) == (1.0, 1.0, 2.0)


def test_the_gradient_is_never_asked_where_the_function_is_not_finite():
    asked = []

    def grad(x):
        asked.append(np.array(x))
        return 1 - 1 / x

    starts = [[1.7, 0.5]]
    result = minimize_many(
        lambda x: (x - np.log(x))[0], starts, sgd, learning_rates=[8, 0.1], grad=grad
    )
    assert result.status.tolist() == ["diverged", "converged"]
    assert np.min(asked) > 0


# Many runs at once

SETUPS = {
    "plain": sgd(0.01),
    "momentum": sgd(0.01, momentum=0.9),
    "nesterov": sgd(0.01, momentum=0.9, nesterov=True),
    "schedule": sgd(schedules.cosine(0.01, steps=300), momentum=0.5),
}
FAMILY = {
    "bowl": problems.bowl(),
    "two wells": problems.two_wells(),
    "himmelblau": problems.himmelblau(),
    "saddle": problems.saddle(),
    "valley": problems.valley(),  # diverges from most starts at this rate
}


def starts_for(problem, k=6):
    rng = np.random.default_rng(1)
    low, high = np.transpose(problem.domain)[:, :, np.newaxis]
    return rng.uniform(low, high, (len(problem.variables), k))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("name", FAMILY)
def test_many_runs_are_the_single_runs(name, setup, exact):
    problem, optimizer = FAMILY[name], SETUPS[setup]
    options = {"grad": problem.grad if exact else None, "max_steps": 300 if exact else 40}
    tol = 1e-12 if exact else 1e-9  # central differences magnify the rounding of fun
    starts = starts_for(problem)
    many = minimize_many(problem.fun, starts, optimizer, **options)
    for j, start in enumerate(starts.T):
        one = minimize(problem.fun, start, optimizer, **options)
        run = many.run(j)
        assert (run.status, run.nit) == (one.status, one.nit)
        for got, expected in (
            (run.path, one.path),
            (run.values, one.values),
            (run.grad_norms, one.grad_norms),
            (run.x, one.x),
            (run.grad, one.grad),
        ):
            assert got.shape == expected.shape
            np.testing.assert_allclose(got, expected, rtol=tol, atol=tol)
        if one.status != "diverged":
            assert run.message == one.message


def test_one_start_and_many_rates_are_the_single_runs():
    rates = np.array([0.1, 0.5, 0.9, 1.0, 1.05])
    many = minimize_many(squares, [[5.0]], sgd, learning_rates=rates, grad=twice, max_steps=50)
    for j, rate in enumerate(rates):
        one = gradient_descent(squares, [5.0], learning_rate=rate, grad=twice, max_steps=50)
        np.testing.assert_array_equal(many.run(j).path, one.path)
        assert many.status[j] == one.status


def test_starts_and_rates_go_together_in_any_rule():
    starts, rates = [[5.0, -3.0]], [0.1, 0.3]
    many = minimize_many(
        squares, starts, lambda rate: sgd(rate, momentum=0.5), learning_rates=rates, grad=twice
    )
    for j in range(2):
        one = minimize(squares, [starts[0][j]], sgd(rates[j], momentum=0.5), grad=twice)
        np.testing.assert_array_equal(many.run(j).path, one.path)


def test_runs_stop_on_their_own_and_stay_where_they_are():
    result = minimize_many(
        squares, [[5.0]], sgd, learning_rates=[0.5, 0.1, 1.0, 1.5], grad=twice, max_steps=100
    )
    assert result.status.tolist() == ["converged", "converged", "max_steps", "diverged"]
    assert result.nit[0] == 1
    for j, steps in enumerate(result.nit):
        assert (result.path[steps:, :, j] == result.x[:, j]).all()
        assert (result.values[steps:, j] == result.fun[j]).all()
        assert (result.grad_norms[steps:, j] == result.grad_norms[-1, j]).all()


def test_the_loop_ends_when_the_last_run_stops():
    result = minimize_many(squares, [[5.0, 1.0]], sgd(0.1), grad=twice, max_steps=10_000)
    assert len(result.path) == result.nit.max() + 1 < 100


def test_every_run_lost_at_once_ends_the_loop():
    result = minimize_many(
        lambda x: (x - np.log(x))[0], [[1.7, 1.8]], sgd(9.0), grad=lambda x: 1 - 1 / x
    )
    assert result.status.tolist() == ["diverged", "diverged"]
    assert result.path.shape == (1, 1, 2)


def test_a_single_result_has_no_runs():
    with pytest.raises(ValueError, match="single run"):
        on_square(0.1).run(0)


# Bad input, line by line


@pytest.mark.parametrize(
    ("x0", "error", "words"),
    [
        (np.ones((3, 1)), ValueError, r"x0 .*got \(3, 1\); use x0\.ravel\(\).*minimize_many"),
        (np.ones((2, 5)), ValueError, r"x0 .*got \(2, 5\).*minimize_many"),
        (["a", "b"], TypeError, "x0 must hold real numbers"),
        ("5", TypeError, "x0 must hold real numbers"),
        (None, TypeError, "x0 must hold real numbers"),
        ([1.0, 2.0j], TypeError, "x0 must hold real numbers"),
        ([1.0, np.nan], ValueError, r"x0 must be finite, got nan at index \[1\]"),
        (np.inf, ValueError, "x0 must be finite, got inf"),
        ([], ValueError, "x0 must not be empty"),
        ([[1.0], [1.0, 2.0]], ValueError, "x0 must be a number or a rectangular array"),
    ],
)
def test_a_bad_start_is_refused(x0, error, words):
    with pytest.raises(error, match=words):
        gradient_descent(squares, x0, learning_rate=0.1)


@pytest.mark.parametrize(
    ("starts", "error", "words"),
    [
        ([1.0, 2.0], ValueError, r"starts .*shape \(n, k\).*minimize for a single start"),
        (5.0, ValueError, r"shape \(n, k\)"),
        (np.ones((2, 3, 4)), ValueError, r"got shape \(2, 3, 4\)"),
        (np.ones((2, 0)), ValueError, "must not be empty"),
        ([[1.0, np.nan]], ValueError, "starts must be finite"),
        ([["a"]], TypeError, "starts must hold real numbers"),
    ],
)
def test_bad_starts_are_refused(starts, error, words):
    with pytest.raises(error, match=words):
        minimize_many(squares, starts, sgd(0.1))


@pytest.mark.parametrize("grad", [None, twice])
@pytest.mark.parametrize("x0", [[1.0, 2.0], [1.0]])
def test_a_vector_function_is_sent_to_jacobian(x0, grad):
    with pytest.raises(ValueError, match=r"single number .* got shape .*numerical\.jacobian"):
        gradient_descent(lambda x: x**2, x0, learning_rate=0.1, grad=grad)


def test_a_function_that_is_not_written_for_columns_is_told_how():
    with pytest.raises(ValueError, match=r"columns of shape \(2, 3\) to shape \(3,\), got \(\)"):
        minimize_many(lambda x: (x**2).sum(), np.ones((2, 3)), sgd(0.1))


@pytest.mark.parametrize(
    ("fun", "x0", "words"),
    [
        (lambda x: 1 / np.float64(x), 0.0, "fun is not finite at the start 0.0"),
        (lambda x: 1 / x, 0.0, "fun could not be evaluated at the start 0.0"),
        (np.log, -2.0, "fun is not finite at the start -2.0"),
        (math.log, -2.0, "fun could not be evaluated at the start -2.0"),
        (np.log, 1e-9, "gradient is not finite at the start 1e-09"),  # beside the point
        (lambda x: np.log(x).sum(), [1.0, -3.0], r"fun is not finite at the start \[ ?1\., -3\.\]"),
    ],
)
def test_a_function_that_is_not_finite_at_or_beside_the_start_names_the_point(fun, x0, words):
    with pytest.raises(ValueError, match=words):
        gradient_descent(fun, x0, learning_rate=0.1)


def float32_bowl(x):
    return (((x - 3) ** 2).sum(axis=0) + 100).astype(np.float32)


SLOPES = {"grad": lambda x: 2 * (x - 3)}


@pytest.mark.parametrize(
    "run",
    [
        lambda: minimize(float32_bowl, [1.0, 2.0], sgd(0.1)),
        lambda: minimize(lambda x: np.float32((x - 3) ** 2), 1.0, sgd(0.1)),
        lambda: minimize(lambda x: np.float16(x @ x), [1.0, 2.0], sgd(0.1)),
        lambda: minimize_many(float32_bowl, [[1.0, 2.0], [1.0, 2.0]], sgd(0.1)),
        lambda: lbfgs(float32_bowl, [1.0, 2.0]),
        lambda: newton(float32_bowl, [1.0, 2.0]),
        lambda: newton(squares, [1.0, 2.0], grad=lambda x: np.float32(2 * x)),
    ],
)
def test_differences_of_narrow_floats_are_refused(run):
    message = (
        r"(fun|grad) must compute in float64 .*got float(16|32) at x=.*or give its derivatives"
    )
    with pytest.raises(TypeError, match=message):
        run()


def test_narrow_floats_do_no_harm_where_derivatives_are_given():
    for result in (
        minimize(float32_bowl, [1.0, 2.0], sgd(0.1), **SLOPES),
        minimize_many(float32_bowl, [[1.0], [2.0]], sgd(0.1), **SLOPES),
        newton(float32_bowl, [1.0, 2.0], **SLOPES),
        newton(float32_bowl, [1.0, 2.0], **SLOPES, hess=lambda x: 2 * np.eye(2)),
    ):
        assert result.x.ravel() == pytest.approx([3, 3], abs=1e-6)
        assert np.all(result.status == "converged")


def test_masked_values_are_refused():
    with pytest.raises(ValueError, match=r"^the value of fun must not have masked entries"):
        minimize(lambda x: np.ma.array(x @ x, mask=True), [1.0], sgd(0.1))


def test_a_number_beyond_all_floats_names_its_argument():
    for name, options in {
        "x0": {"x0": [10**400]},
        "tol": {"tol": 10**400},
        "diverge_at": {"diverge_at": 10**400},
    }.items():
        with pytest.raises(ValueError, match=rf"{name} must be at most 1\.8e\+308"):
            minimize(lambda x: x @ x, **{"x0": [1.0], "optimizer": sgd(0.1), **options})
    with pytest.raises(ValueError, match=r"learning_rate must be at most 1\.8e\+308"):
        gradient_descent(lambda x: x @ x, [1.0], learning_rate=10**400)


# Gradients of any size, and steps that are none


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e-5, 1.0, 1e160, 1e300])
@pytest.mark.parametrize("x0", [1.0, [3.0, 4.0], [[3.0, 0.0], [4.0, 1.0]]])
def test_gradients_of_any_size_are_measured(size, x0):
    def fun(x):
        return size * np.sum(x / 2 * x, axis=0)

    descend = minimize_many if np.ndim(x0) == 2 else minimize
    result = descend(
        fun, x0, sgd(0.5 / size), grad=lambda x: size * x, tol=1e-6 * size, max_steps=30
    )
    assert np.all(result.status == "converged")
    expected = size * np.linalg.norm(np.atleast_1d(x0), axis=0)
    assert result.grad_norms[0] == pytest.approx(expected, rel=1e-15)


def test_a_tiny_gradient_is_not_zero():
    result = minimize(
        lambda x: 5e-171 * (x @ x),
        [1.0, 1.0],
        sgd(1.0),
        grad=lambda x: 1e-170 * x,
        tol=0,
        max_steps=5,
    )
    assert result.status == "max_steps"
    assert result.grad_norms[-1] == pytest.approx(2**0.5 * 1e-170, rel=1e-12)


def breaks_at(k, bad):
    """Return gradient descent with rate 0.1 whose step number k is bad."""
    return Optimizer(
        "mine(0.1)",
        lambda x: 1,
        lambda g, state, x: ((-0.1 if state < k else bad) * g, state + 1),
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_step_that_is_not_finite_is_named(bad):
    words = "step 4 of mine(0.1) is not finite, "
    result = minimize(lambda x: x @ x, [1.0, 1.0], breaks_at(4, bad), grad=lambda x: 2 * x)
    assert (result.status, result.nit) == ("diverged", 3)
    assert f"{words}[{bad}, {bad}], so the path ends before it" in result.message
    assert "fun or its gradient" not in result.message
    number = minimize(lambda x: x**2, 1.0, breaks_at(4, bad), grad=lambda x: 2 * x)
    assert f"{words}{bad}," in number.message
    many = minimize_many(
        lambda x: (x**2).sum(axis=0), [[1.0, 0.0, 2.0]], breaks_at(4, bad), grad=lambda x: 2 * x
    )
    assert many.status.tolist() == ["diverged", "converged", "diverged"]
    assert [words in message for message in many.message] == [True, False, True]


@pytest.mark.parametrize("x0", [1.0, [1.0, 2.0]])
def test_a_symbol_for_a_rate_is_for_algebra_alone(x0):
    eta = sp.Symbol("eta")
    for rate in (eta, lambda k: eta):
        with pytest.raises(TypeError, match=r"step must hold real numbers, got .*eta.*as numbers"):
            gradient_descent(lambda x: np.sum(x**2), x0, learning_rate=rate)
    tenth = gradient_descent(
        lambda x: np.sum(x**2), x0, learning_rate=lambda k: sp.Rational(1, 10), max_steps=1
    )
    assert tenth.x == pytest.approx(0.8 * np.array(x0), rel=1e-6)


@pytest.mark.parametrize("step", [None, 1j, "down"])
def test_a_step_that_is_no_number_is_refused(step):
    rule = Optimizer("odd", lambda x: None, lambda g, state, x: (step, state))
    with pytest.raises(TypeError, match=r"step must hold real numbers, got .* from odd;"):
        minimize(lambda x: x**2, 1.0, rule)


def test_columns_of_vectors_are_sent_to_jacobian():
    with pytest.raises(ValueError, match=r"sum over axis 0.*numerical\.jacobian"):
        minimize_many(lambda x: x**2, [[1.0, 2.0]] * 2, sgd(0.1))


def test_data_for_each_run_need_grad():
    targets = np.array([1.0, 2.0, 3.0])
    setup = (lambda x: ((x - targets) ** 2).sum(axis=0), np.zeros((2, 3)), sgd(0.1))
    with pytest.raises(ValueError, match=r"columns of shape \(2, 6\).*each run need grad"):
        minimize_many(*setup)
    result = minimize_many(*setup, grad=lambda x: 2 * (x - targets))
    assert result.x == pytest.approx(np.tile(targets, (2, 1)), abs=1e-6)


def test_differences_call_fun_with_all_runs_for_each_coordinate():
    seen = []

    def fun(x):
        seen.append(x)
        return (x**2).sum(axis=0)

    minimize_many(fun, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], sgd(0.1), max_steps=1)
    (_, ahead, behind, *_) = seen
    assert ahead.shape == behind.shape == (2, 6)
    assert (ahead - behind > 0).tolist() == [[True] * 3 + [False] * 3, [False] * 3 + [True] * 3]


def test_among_many_starts_the_bad_one_is_named():
    with pytest.raises(ValueError, match=r"fun is not finite at the start \[-3\.\]"):
        minimize_many(lambda x: np.log(x)[0], [[1.0, -3.0]], sgd(0.1))


def test_a_gradient_that_is_not_finite_at_the_start_names_the_point():
    with pytest.raises(ValueError, match=r"the gradient is not finite at the start 0\.0"):
        gradient_descent(abs, 0.0, learning_rate=0.1, grad=lambda x: np.nan)


@pytest.mark.parametrize("grad", [lambda x: 1.0, lambda x: x[:1], lambda x: x[:, np.newaxis]])
def test_a_gradient_of_another_shape_is_refused(grad):
    with pytest.raises(ValueError, match=r"grad must give the shape of x, \(2,\), got"):
        gradient_descent(squares, [1.0, 2.0], learning_rate=0.1, grad=grad)


@pytest.mark.parametrize("value", [None, "1", 1j, {}])
def test_a_function_that_gives_no_real_number_is_refused(value):
    with pytest.raises(TypeError, match="fun must return real numbers"):
        gradient_descent(lambda x: value, 1.0, learning_rate=0.1, grad=twice)
    with pytest.raises(TypeError, match="grad must return real numbers"):
        gradient_descent(square, 1.0, learning_rate=0.1, grad=lambda x: value)


@pytest.mark.parametrize("rate", [0, -0.1, np.nan])
def test_a_rate_of_zero_or_below_is_refused(rate):
    with pytest.raises(ValueError, match="learning_rate must be"):
        on_square(rate)
    with pytest.raises(ValueError, match="learning_rates must be"):
        minimize_many(squares, [[5.0]], sgd, learning_rates=[0.1, rate])


@pytest.mark.parametrize("max_steps", [0, -1])
def test_max_steps_of_zero_or_below_is_refused(max_steps):
    with pytest.raises(ValueError, match="max_steps must be at least 1"):
        on_square(0.1, max_steps=max_steps)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"max_steps": 10.0}, TypeError, "max_steps must be a whole number"),
        ({"tol": -1e-6}, ValueError, "tol must be 0 or above"),
        ({"tol": np.nan}, ValueError, "tol must be finite"),
        ({"diverge_at": 0}, ValueError, "diverge_at must be above 0"),
        ({"diverge_at": [9.0, 99.0]}, ValueError, "diverge_at must be one number, got shape"),
        ({"grad": 3.0}, TypeError, "grad must be a function"),
    ],
)
def test_other_numbers_out_of_range_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        gradient_descent(square, 5.0, learning_rate=0.1, **options)


def test_what_is_no_function_or_no_optimizer_is_refused():
    with pytest.raises(TypeError, match="fun must be a function"):
        minimize(25.0, 5.0, sgd(0.1))
    with pytest.raises(TypeError, match="call it with its learning rate"):
        minimize(square, 5.0, sgd)
    with pytest.raises(TypeError, match="as sgd"):
        minimize(square, 5.0, 0.1)


def test_learning_rates_ask_for_a_rule_and_one_rate_for_each_column():
    with pytest.raises(TypeError, match="pass sgd itself"):
        minimize_many(squares, [[5.0]], sgd(0.1), learning_rates=[0.1, 0.2])
    with pytest.raises(ValueError, match="one rate for each of the 3 columns"):
        minimize_many(squares, np.ones((1, 3)), sgd, learning_rates=[0.1, 0.2])
    with pytest.raises(ValueError, match="learning_rates must have shape"):
        minimize_many(squares, np.ones((1, 3)), sgd, learning_rates=0.1)


def test_several_rates_for_a_single_start_are_sent_to_minimize_many():
    with pytest.raises(ValueError, match="minimize_many"):
        minimize(square, 5.0, sgd([0.1, 0.2]), grad=twice)


# The caller's arrays


def test_the_callers_arrays_are_never_modified():
    x0, starts, rates = np.array([5.0, 1.0]), np.array([[5.0, 1.0]]), np.array([0.1, 0.2])
    minimize(squares, x0, sgd(0.1, momentum=0.9))
    minimize_many(squares, starts, sgd, learning_rates=rates)
    np.testing.assert_array_equal(x0, [5, 1])
    np.testing.assert_array_equal(starts, [[5, 1]])
    np.testing.assert_array_equal(rates, [0.1, 0.2])


def test_integer_starts_are_promoted():
    result = gradient_descent(squares, np.array([5, 1]), learning_rate=0.1, grad=twice)
    assert result.path.dtype == np.float64
    np.testing.assert_array_equal(result.path[1], [4, 0.8])


def test_functions_that_scribble_on_their_arguments_do_no_harm():
    buffer = np.empty(2)

    def fun(x):
        x *= 2
        return (x @ x) / 4

    def grad(x):
        np.multiply(2, x, out=buffer)
        x[:] = 99
        return buffer

    def scribble(k, x, value, g):
        x[:] = g[:] = -1

    clean = gradient_descent(squares, [5.0, 1.0], learning_rate=0.1, grad=twice)
    scribbled = gradient_descent(fun, [5.0, 1.0], learning_rate=0.1, grad=grad, callback=scribble)
    np.testing.assert_allclose(scribbled.path, clean.path, rtol=1e-15)
    np.testing.assert_allclose(scribbled.grad_norms, clean.grad_norms, rtol=1e-15)


def test_a_gradient_kept_in_one_buffer_does_no_harm_to_a_lost_run():
    buffer = np.empty(1)

    def grad(x):
        return np.divide(1, x, out=buffer) if x[0] > 1 else np.multiply(np.nan, x, out=buffer)

    result = gradient_descent(squares, [2.0], learning_rate=3.0, grad=grad)
    assert result.status == "diverged"
    assert result.grad.tolist() == [0.5]


def test_x_and_path_share_no_memory():
    result = gradient_descent(squares, [5.0, 1.0], learning_rate=0.1)
    result.x[:] = 99
    assert result.path[-1].max() < 1


# Newton


def at_saddle(**options):
    problem = problems.saddle()
    return newton(problem.fun, [1.0, 1.0], grad=problem.grad, hess=problem.hess, **options)


def on_valley(x0=(-1.2, 1.0), **options):
    problem = problems.valley()
    return newton(problem.fun, x0, grad=problem.grad, hess=problem.hess, **options)


def flat_along_a_line(p):
    return (p[0] + p[1] - 1) ** 2


def test_newton_lands_on_the_saddle_in_one_step_where_descent_leaves():
    result = at_saddle()
    assert (result.status, result.nit) == ("converged", 1)
    np.testing.assert_allclose(result.x, 0, atol=1e-14)
    assert "eigenvalues from -0.472 to 8.47: a saddle, not a minimum" in result.message
    assert "damping above 0.474" in result.message


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("signs", ["plus", "mixed"])
def test_newton_needs_one_step_on_a_quadratic(n, signs):
    rng = np.random.default_rng(n)
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    curvatures = rng.uniform(0.5, 100, n) * (1 if signs == "plus" else (-1.0) ** np.arange(n))
    H, center = (Q * curvatures) @ Q.T, rng.normal(size=n)
    H = (H + H.T) / 2
    result = newton(
        lambda x: (x - center) @ H @ (x - center) / 2,
        np.zeros(n),
        grad=lambda x: H @ (x - center),
        hess=lambda x: H,
    )
    assert (result.status, result.nit) == ("converged", 1)
    np.testing.assert_allclose(result.x, center, rtol=1e-9)


def test_newton_crosses_the_valley_in_two_steps_and_climbs_on_the_way():
    result = on_valley([-1.0, 1.0])
    assert result.nit == 2
    np.testing.assert_allclose(result.path, [[-1, 1], [1, -3], [1, 1]], atol=1e-9)
    np.testing.assert_allclose(result.values, [4, 1600, 0], rtol=1e-12, atol=1e-12)


def test_the_error_of_newton_is_squared_at_each_step():
    problem = problems.two_wells()
    at = problem.minimizers[0, 1]
    result = newton(problem.fun, 5.0, grad=problem.grad, hess=problem.hess, tol=1e-12)
    errors = np.abs(result.path - at)
    limit = abs(10 * np.cos(at)) / (2 * problem.hess(at))  # |f'''| / (2 f'')
    small = (errors[:-1] < 0.05) & (errors[1:] > 1e-13)
    assert small.sum() >= 1
    np.testing.assert_allclose((errors[1:] / errors[:-1] ** 2)[small], limit, rtol=0.1)


def test_every_damped_step_solves_the_damped_equations():
    problem = problems.himmelblau()
    result = newton(
        problem.fun, [4.0, 3.0], grad=problem.grad, hess=problem.hess, damping=5.0, max_steps=6
    )
    for x, after in zip(result.path[:-1], result.path[1:], strict=True):
        damped = problem.hess(x) + 5 * np.eye(2)
        np.testing.assert_allclose(damped @ (after - x), -problem.grad(x), rtol=1e-9, atol=1e-9)


def test_damping_multiplies_the_error_by_damping_over_curvature_plus_damping():
    result = newton(square, 5.0, grad=twice, hess=lambda x: 2.0, damping=3.0, max_steps=10, tol=0)
    np.testing.assert_allclose(result.path, 5 * (3 / (2 + 3)) ** np.arange(11), rtol=1e-12)


def test_enough_damping_leaves_the_saddle():
    assert abs(at_saddle(damping=0.2, max_steps=500).x).max() < 1e-6
    leaves = at_saddle(damping=0.48, max_steps=500)
    assert leaves.status == "diverged"
    assert (np.diff(leaves.values) < 0).all()


def test_with_a_line_search_newton_leaves_the_saddle_downhill():
    result = at_saddle(line_search=True)
    assert result.status == "diverged"
    assert (np.diff(result.values) < 0).all()
    np.testing.assert_allclose(result.x / np.linalg.norm(result.x), [0.851, 0.526], atol=5e-4)


@pytest.mark.parametrize("name", ["himmelblau", "valley", "two wells", "plateau"])
def test_with_a_line_search_no_step_climbs_and_each_gradient_points_against_it(name):
    problem = {**FAMILY, "plateau": problems.plateau()}[name]
    for start in starts_for(problem).T:
        result = newton(problem.fun, start, grad=problem.grad, hess=problem.hess, line_search=True)
        assert (np.diff(result.values) <= 1e-15 * np.abs(result.values[1:])).all()
        for x, step in zip(result.path[:-1], np.diff(result.path, axis=0), strict=True):
            assert step @ problem.grad(x) < 0
        assert result.status == "converged"


def test_where_the_hessian_is_positive_definite_a_line_search_changes_no_full_step():
    problem = problems.bowl((1, 10), 0.6)
    plain, searched = (
        newton(problem.fun, [5, 1], grad=problem.grad, hess=problem.hess, line_search=search)
        for search in (False, True)
    )
    np.testing.assert_array_equal(plain.path, searched.path)


@pytest.mark.parametrize(
    ("fun", "x0", "words"),
    [
        (lambda x: -np.cos(x), 0.3, "the eigenvalue 1: a minimum."),
        (np.cos, 0.3, "the eigenvalue -1: a maximum, not a minimum"),
        (lambda p: p[0] ** 2 - p[1] ** 2, [1.0, 1.0], "a saddle, not a minimum"),
        (
            lambda p: p[0] ** 2 + p[1] ** 4,
            [0.0, 0.0],
            "one counts as zero within the error 1.8e-07",
        ),
        (lambda p: p[0] ** 2 - 100 * p[1] ** 4, [0.0, 0.0], "one counts as zero"),
        (lambda p: 100 + p[0] ** 2 + 0 * p[1], [0.0, 1.0], "one counts as zero"),
        (lambda x: x**4, 1.0, "one more step would change it by much"),
        (lambda x: x**3, 1.0, "one more step would change it by much"),
        (np.exp, 1.0, "one more step would change it by much"),
    ],
)
def test_the_message_says_of_what_kind_the_point_is_where_newton_lands(fun, x0, words):
    result = newton(fun, x0)
    assert result.status == "converged"
    assert words in result.message
    assert result.message.endswith(".")


@pytest.mark.parametrize(
    ("low", "kind"), [(2e-9, "a minimum."), (-2e-9, "a saddle, not a minimum."), (0.0, "as zero")]
)
def test_an_exact_hessian_is_judged_to_its_rounding(low, kind):
    H = np.diag([2.0, low])
    start = [1.0, 0.0] if low == 0 else [1.0, 1.0]
    kwargs = {"grad": lambda x: H @ x, "hess": lambda x: H}
    result = newton(lambda x: x @ H @ x / 2, start, damping=0.1 * (low == 0), **kwargs)
    assert result.status == "converged"
    assert kind in result.message


def logistic(condition):
    """The loss of a logistic regression with features of sizes up to a million, and |w|^2 / 2."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)) * condition ** np.linspace(0, 0.5, 4)
    y = rng.uniform(size=60) < 0.5

    def fun(w):
        return np.logaddexp(0, X @ w).sum() - y @ X @ w + w @ w / 2

    def share(w):
        return 1 / (1 + np.exp(-X @ w))

    def grad(w):
        return X.T @ (share(w) - y) + w

    def hess(w):
        return (X.T * (share(w) * (1 - share(w)))) @ X + np.eye(4)

    return fun, grad, hess


@pytest.mark.parametrize("condition", [1.0, 1e6, 1e10])
def test_a_convex_loss_has_a_minimum_however_narrow_it_is(condition):
    fun, grad, hess = logistic(condition)
    result = newton(fun, np.zeros(4), grad=grad, hess=hess, line_search=True)
    assert result.status == "converged"
    lowest, *_, highest = np.linalg.eigvalsh(hess(result.x))
    assert lowest > 1
    assert highest / lowest > condition
    assert result.message.endswith(": a minimum.")


@pytest.mark.parametrize("line_search", [False, True])
def test_differences_of_a_steep_gradient_do_not_end_a_run_in_an_error(line_search):
    """Their two sides agree to 4e-11 times the gradient only, 1000 here, where H is about 1."""
    rng, told = np.random.default_rng(0), 0
    for _ in range(100):
        a, tilt = rng.normal(size=3), 1e3 * rng.normal(size=3)

        def fun(x, a=a, tilt=tilt):
            return x @ x / 2 + np.sin(a @ x) + tilt @ x

        def grad(x, a=a, tilt=tilt):
            return x + np.cos(a @ x) * a + tilt

        hess = numerical.jacobian(grad)
        x0 = rng.normal(size=3)
        result = newton(fun, x0, grad=grad, hess=hess, line_search=line_search, tol=1e-6)
        if result.success and "does not tell" not in result.message:
            told += 1
            H = np.eye(3) - np.sin(a @ result.x) * np.outer(a, a)
            kind = "a minimum." if np.linalg.eigvalsh(H)[0] > 0 else "a saddle"
            assert kind in result.message
    assert told == 100 if line_search else told > 50


@pytest.mark.parametrize(("scheme", "steep"), [("central", 1e8), ("forward", 1e5)])
def test_a_start_with_a_steep_gradient_is_not_refused_for_what_differences_leave(scheme, steep):
    """The exact Hessian is [[2, 1, 1], [1, 2, 1], [1, 1, 2]], with eigenvalues 1, 1 and 4."""
    rng, uneven = np.random.default_rng(0), []
    for _ in range(50):
        tilt, x0 = steep * rng.normal(size=3), rng.normal(size=3)

        def fun(x, tilt=tilt):
            return x @ x / 2 + x.sum() ** 2 / 2 + tilt @ x

        def grad(x, tilt=tilt):
            return x + x.sum() + tilt

        hess = numerical.jacobian(grad, scheme=scheme)
        uneven.append(np.abs(hess(x0) - hess(x0).T).max())
        result = newton(fun, x0, grad=grad, hess=hess, max_steps=1)
        assert result.nit == 1
    assert max(uneven) > 2e-4


@pytest.mark.parametrize("scheme", ["central", "forward"])
@pytest.mark.parametrize("level", [0.0, 1e6])
def test_differences_of_a_gradient_are_singular_within_what_they_are_unsymmetric_by(level, scheme):
    rng = np.random.default_rng(0)

    def grad(p):
        return 2 * (p[0] - 2 * p[1]) * np.array([1.0, -2.0])

    for _ in range(50):
        x0 = rng.normal(size=2)
        hess = numerical.jacobian(grad, scheme=scheme)
        result = newton(lambda p: level + (p[0] - 2 * p[1]) ** 2, x0, grad=grad, hess=hess)
        assert (result.status, result.nit) == ("singular", 0)


@pytest.mark.parametrize("level", [0.0, 100.0, 1e6])
@pytest.mark.parametrize("line_search", [False, True])
def test_differences_never_take_a_gutter_for_a_minimum_or_a_saddle(level, line_search):
    rng = np.random.default_rng(0)

    def gutter(p):
        return level + (p[0] - 2 * p[1]) ** 2

    for _ in range(50):
        result = newton(gutter, rng.normal(size=2), line_search=line_search)
        if result.success:
            assert "one counts as zero" in result.message
        else:
            assert result.status == "singular"


def crooked_after(k, crooked):
    """The Hessian 2 I of squares, with an entry more from call k on."""
    calls = []

    def hess(x):
        calls.append(x)
        return 2 * np.eye(2) + np.array([[0, crooked], [0, 0]]) * (len(calls) >= k)

    return hess


def test_of_a_hessian_that_is_not_symmetric_on_the_way_the_symmetric_part_is_taken():
    """What is unsymmetric, [[0, 0.2], [-0.2, 0]], has the length 0.28, below the eigenvalues."""
    result = newton(squares, [1.0, 2.0], grad=twice, hess=crooked_after(2, 0.2), damping=2.0)
    assert result.message.endswith("eigenvalues from 1.9 to 2.1: a minimum.")
    first, second, third = result.path[:3]
    np.testing.assert_allclose(second, first / 2)
    np.testing.assert_allclose([[4, 0.1], [0.1, 4]] @ (third - second), -2 * second)


def test_a_hessian_is_singular_within_what_is_unsymmetric_in_it():
    kwargs = {"grad": twice, "hess": crooked_after(3, 3.0)}
    result = newton(squares, [1.0, 2.0], damping=1.0, **kwargs)
    assert (result.status, result.nit) == ("singular", 2)
    assert "from 1.5 to 4.5, and one of them counts as zero within the error 4.2" in result.message
    landed = newton(squares, [1.0, 2.0], grad=twice, hess=crooked_after(2, 3.0))
    assert (landed.status, landed.nit) == ("converged", 1)
    assert "eigenvalues from 0.5 to 3.5: one counts as zero within the error 4.2" in landed.message
    told = newton(squares, [1.0, 2.0], grad=twice, hess=crooked_after(2, 1.0))
    assert told.message.endswith("eigenvalues from 1.5 to 2.5: a minimum.")


@pytest.mark.parametrize("part", [3e-4, 1e-2])
def test_a_hessian_that_no_difference_makes_so_unsymmetric_is_refused_at_the_start(part):
    """The gradient has the length 4.5, so that differences explain 4.5e-7."""
    with pytest.raises(ValueError, match=r"hess must be symmetric, got .* apart; mend"):
        newton(squares, [1.0, 2.0], grad=twice, hess=crooked_after(1, 2 * part))
    passed = newton(squares, [1.0, 2.0], grad=twice, hess=crooked_after(1, 1e-4))
    assert passed.success
    assert passed.message.endswith("eigenvalues from 2 to 2: a minimum.")


def test_differences_take_twice_the_values_of_a_hessian_for_it_and_its_error():
    options = {"max_steps": 1, "tol": 0, "damping": 1.0}
    of_values = newton(squares, [1.0, 2.0], **options)
    gradients = 2 * (2 * 2 + 1)
    assert of_values.nfev == 2 + gradients + 2 * (4 * 2 * 3 + 2)  # two of each, and two Hessians
    of_slopes = newton(squares, [1.0, 2.0], grad=twice, **options)
    assert (of_slopes.nfev, of_slopes.njev) == (2, 2 + 2 * (4 * 2 + 2))


def double_well(p):
    """Minima at (0, 1 / sqrt 2) and (0, -1 / sqrt 2), and between them a saddle."""
    return p[0] ** 2 - p[1] ** 2 + p[1] ** 4


@pytest.mark.parametrize(
    "options",
    [{"line_search": True}, {"line_search": True, "damping": 2.5}, {"damping": 2.5}],
    ids=str,
)
def test_where_no_damping_helps_the_way_out_of_a_saddle_names_none(options):
    landed = newton(double_well, [1.0, 0.0], **options)
    np.testing.assert_allclose(landed.x, 0, atol=1e-7)
    assert landed.message.endswith("try a start beside it, along the eigenvector of -2.")


@pytest.mark.parametrize(
    "options",
    [{"line_search": True}, {"damping": 2.02}, {"damping": 2.5, "line_search": True}],
    ids=str,
)
@pytest.mark.parametrize("size", [1e-3, -1e-3, 0.1])
def test_the_way_out_of_a_saddle_leads_away_from_it(options, size):
    landed = newton(double_well, [1.0, 0.0])
    assert landed.message.endswith(
        "try a start beside it, along the eigenvector of -2, with line_search=True or damping "
        "above 2.01."
    )
    H = numerical.hessian(double_well)(landed.x)
    beside = landed.x + size * curvature.classify(H).eigenvectors[:, 0]
    left = newton(double_well, beside, **options)
    assert left.message.endswith("a minimum.")
    np.testing.assert_allclose(left.x, [0, np.sign(size) / np.sqrt(2)], atol=1e-6)


@pytest.mark.parametrize(("damping", "more"), [(0.0, " with line_search=True or "), (1.02, ".")])
def test_beside_a_maximum_every_way_is_a_way_out(damping, more):
    landed = newton(np.cos, 0.0, damping=damping)
    assert "a maximum, not a minimum. Newton's method goes to flat points of any kind" in (
        landed.message
    )
    assert f"; try a start beside it{more}" in landed.message
    assert newton(np.cos, 0.1, line_search=True).message.endswith("a minimum.")


def advised(result):
    """The damping that the message of a singular run names."""
    return float(re.search(r"for example damping=(\S+):", result.message)[1])


@pytest.mark.parametrize("exact", [True, False])
def test_a_singular_hessian_is_a_status_with_damping_as_the_way_out(exact):
    hess = (lambda p: np.full((2, 2), 2.0)) if exact else None
    result = newton(flat_along_a_line, [0.0, 0.0], hess=hess)
    assert (result.status, result.nit, result.success) == ("singular", 0, False)
    assert "eigenvalues from" in result.message
    assert result.path.tolist() == [[0, 0]]
    damped = newton(flat_along_a_line, [0.0, 0.0], hess=hess, damping=advised(result))
    assert damped.status == "converged"
    np.testing.assert_allclose(damped.x, [0.5, 0.5], atol=1e-8)


def test_damping_that_makes_the_hessian_singular_is_told():
    result = newton(lambda x: -(x**2), 1.0, grad=lambda x: -2 * x, hess=lambda x: -2.0, damping=2)
    assert result.status == "singular"
    assert "the damped Hessian has the eigenvalue 0, and it counts as zero" in result.message
    line = newton(lambda x: 3 * x + 1, 1.0)
    assert (line.status, line.nit) == ("singular", 0)
    assert 3 < advised(line) < 4  # a step of length 1, where the slope is 3
    assert line.message.endswith("Or give grad, whose differences err by less.")
    sloped = newton(lambda x: 3 * x + 1, 1.0, grad=lambda x: 3.0)
    assert sloped.message.endswith("p = -g.")


def narrow(p):
    """A parabola with the curvatures 2 and 2e7."""
    return p[0] ** 2 + 1e7 * p[1] ** 2


def narrow_grad(p):
    return np.array([2 * p[0], 2e7 * p[1]])


SINGULAR = {
    "narrow": (narrow, [1.0, 1.0], {}, [0, 0]),
    "a line of minima": (flat_along_a_line, [3.0, 1.0], {}, [1.5, -0.5]),
    "where the curvature changes its sign": (lambda x: np.log1p(x * x), 1.0, {}, 0),
    "where one of two changes its sign": (double_well, [1.0, 6**-0.5], {}, [0, 2**-0.5]),
    "straight along one": (
        lambda p: p[0] + p[0] ** 4 + 1e3 * p[1] ** 2,
        [0.0, 1.0],
        {},
        [-(0.25 ** (1 / 3)), 0],
    ),
    "an exact Hessian": (
        lambda p: p[0] ** 2 / 2 - p[1] ** 2 + p[1] ** 4,
        [1.0, 6**-0.5],
        {
            "grad": lambda p: np.array([p[0], -2 * p[1] + 4 * p[1] ** 3]),
            "hess": lambda p: np.diag([1.0, -2 + 12 * p[1] ** 2]),
        },
        [0, 2**-0.5],
    ),
}


@pytest.mark.parametrize("line_search", [False, True])
@pytest.mark.parametrize(("fun", "x0", "derivatives", "at"), SINGULAR.values(), ids=SINGULAR)
def test_the_damping_that_a_singular_run_advises_leads_to_the_minimum(
    fun, x0, derivatives, at, line_search
):
    options = {**derivatives, "line_search": line_search}
    result = newton(fun, x0, **options)
    assert (result.status, result.nit) == ("singular", 0)
    followed = newton(fun, x0, damping=advised(result), **options)
    assert followed.status == "converged"
    np.testing.assert_allclose(followed.x, at, atol=1e-4)
    assert fun(followed.x) - fun(np.array(at)) < 1e-12


def test_the_damping_advised_makes_every_eigenvalue_positive_whatever_the_error():
    """Beside a zero there is one below it, with a gradient along it."""
    curvatures = np.array([-100.0, 0.0, 5.0])
    result = newton(
        lambda p: p @ (curvatures * p) / 2,
        [1.0, 2.0, 1.0],
        grad=lambda p: curvatures * p,
        hess=lambda p: np.diag(curvatures),
    )
    assert result.status == "singular"
    assert 100 + 100 / 6**0.5 < advised(result) < 1.2 * (100 + 100 / 6**0.5)


def test_an_exact_gradient_is_differenced_where_values_do_not_show_the_curvature():
    result = newton(narrow, [1.0, 1.0], grad=narrow_grad)
    assert (result.status, result.nit) == ("converged", 2)
    np.testing.assert_allclose(result.x, 0, atol=1e-8)
    assert result.message.endswith("eigenvalues from 2 to 2e+07: a minimum.")
    lifted = newton(lambda p: 1e9 + squares(p - 3), [0.0, 0.0], grad=lambda p: 2 * (p - 3))
    assert (lifted.status, lifted.nit) == ("converged", 1)
    assert lifted.message.endswith("eigenvalues from 2 to 2: a minimum.")
    number = newton(lambda x: 1e9 - np.cos(x), 0.5, grad=np.sin)
    assert number.status == "converged"
    assert number.message.endswith("the eigenvalue 1: a minimum.")


def test_what_is_unsymmetric_in_differences_of_a_gradient_is_an_error_of_them():
    """On the way the Jacobian becomes [[1, 4], [0, 1]], its symmetric part is [[1, 2], [2, 1]]."""

    def bent(p):
        return np.array([p[0] - 0.5 + 4 * max(p[1] + 1, 0), p[1]])

    result = newton(squares, [1.0, -2.0], grad=bent)
    assert (result.status, result.nit) == ("singular", 1)
    assert "up to 3 in size, may be off by 5.7" in result.message  # length of [[0, 4], [-4, 0]]


def test_a_hessian_whose_eigenvalues_overflow_is_a_status():
    def hess(p):
        return np.eye(2) if p[0] == 1 else np.full((2, 2), 1.7e308)

    result = newton(squares, [1.0, 1.0], grad=lambda p: p / 2, hess=hess)
    assert (result.status, result.nit) == ("diverged", 1)
    assert "the Hessian is not finite at x" in result.message


def test_newton_that_overshoots_diverges_and_a_line_search_is_the_way_out():
    def hess(x):
        return 2 * (1 - x**2) / (1 + x**2) ** 2

    def run(**options):
        return newton(
            lambda x: np.log1p(x**2), 0.8, grad=grad, hess=hess, diverge_at=1e6, **options
        )

    def grad(x):
        return 2 * x / (1 + x**2)

    plain = run()
    assert plain.status == "diverged"
    assert "line_search=True" in plain.message
    searched = run(line_search=True)
    assert searched.status == "converged"
    assert searched.x == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("log", [np.log, math.log])
def test_newton_over_the_edge_of_the_domain_ends_before_it_and_a_line_search_stays_inside(log):
    def fun(x):
        return x - log(x)

    derivatives = {"grad": lambda x: 1 - 1 / x, "hess": lambda x: 1 / x**2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in ({}, derivatives):
            plain = newton(fun, 5.0, **options)
            assert (plain.status, plain.path.tolist()) == ("diverged", [5.0])
            assert "path ends before it" in plain.message
            searched = newton(fun, 5.0, line_search=True, **options)
            assert searched.status == "converged"
            assert searched.x == pytest.approx(1, abs=1e-7)


def test_a_hessian_that_is_not_finite_on_the_way_is_a_status():
    result = newton(
        lambda x: (x**2) ** 0.75,
        1.0,
        grad=lambda x: 1.5 * np.sign(x) * abs(x) ** 0.5,
        hess=lambda x: 1.0 if x == 1 else np.inf,
    )
    assert result.status == "diverged"
    assert "the Hessian is not finite at x" in result.message
    assert result.nit == 1


def test_newton_stops_at_its_limit_and_says_so():
    result = on_valley(max_steps=3)
    assert (result.status, result.nit) == ("max_steps", 3)
    assert "Stopped by max_steps after 3 steps" in result.message
    assert "line_search=True" in result.message


def test_a_gradient_with_the_wrong_sign_stalls_the_line_searches():
    problem = problems.valley()

    def wrong(x):
        return -problem.grad(x)

    for result in (
        newton(problem.fun, [-1.0, 1.0], grad=wrong, hess=problem.hess, line_search=True),
        lbfgs(problem.fun, [-1.0, 1.0], grad=wrong),
    ):
        assert (result.status, result.nit) == ("stalled", 0)
        assert "compare grad with numerical.grad(fun)" in result.message


# L-BFGS


def valley_of(n):
    """The valley in n coordinates: (1 - x_i)^2 + 100 (x_(i+1) - x_i^2)^2, and its gradient."""

    def fun(x):
        return ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()

    def grad(x):
        g, rise = np.zeros(n), x[1:] - x[:-1] ** 2
        g[:-1] = -2 * (1 - x[:-1]) - 400 * x[:-1] * rise
        g[1:] += 200 * rise
        return g

    return fun, grad


def test_lbfgs_finds_the_minimum_of_a_valley_in_a_hundred_coordinates():
    fun, grad = valley_of(100)
    result = lbfgs(fun, np.tile([-1.2, 1.0], 50), grad=grad)
    assert result.success
    np.testing.assert_allclose(result.x, 1, atol=1e-6)
    assert result.nit < 1000


def test_more_memory_needs_fewer_steps_on_a_quadratic():
    curvatures = np.geomspace(1, 1e4, 40)
    steps = [
        lbfgs(
            lambda x: (curvatures * x * x).sum() / 2,
            np.ones(40),
            grad=lambda x: curvatures * x,
            memory=memory,
        ).nit
        for memory in (1, 5, 40)
    ]
    assert steps[0] > steps[1] > steps[2]


def test_the_two_loops_are_the_product_with_the_matrix_of_bfgs():
    rng = np.random.default_rng(0)
    H = np.diag([1.0, 2, 3, 4]) + 0.1
    pairs = [(s, H @ s) for s in rng.normal(size=(3, 4))]
    s, y = pairs[-1]
    B = np.eye(4) * (s @ y) / (y @ y)
    for s, y in pairs:  # the update of BFGS, from the oldest to the newest
        V = np.eye(4) - np.outer(y, s) / (y @ s)
        B = V.T @ B @ V + np.outer(s, s) / (y @ s)
    g = rng.normal(size=4)
    np.testing.assert_allclose(descent._two_loops(g, pairs), B @ g, rtol=1e-12)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (3.0, 1.0)])
@pytest.mark.parametrize(
    ("value_high", "part"), [(0.0, 0.5), (1.0, 0.25), (1e9, 0.1), (-0.999, 0.9), (-3.0, 0.5)]
)
def test_the_next_trial_is_the_bottom_of_a_parabola_off_both_ends(low, high, value_high, part):
    """The slope at low is -1 for the whole way to high; without a bottom the middle is taken."""
    got = descent._between(low, 0.0, -1 / (high - low), high, value_high)
    assert got == pytest.approx(low + part * (high - low), rel=1e-12)


@pytest.mark.parametrize("name", ["himmelblau", "beale", "valley", "two wells", "plateau", "bowl"])
def test_every_step_of_lbfgs_fulfils_the_strong_wolfe_conditions(name):
    problem = {**FAMILY, "beale": problems.beale(), "plateau": problems.plateau()}[name]
    checked = 0
    for start in starts_for(problem).T:
        result = lbfgs(problem.fun, start, grad=problem.grad, max_steps=100)
        for k in range(result.nit):
            x, after = result.path[k], result.path[k + 1]
            slope, slope_after = (problem.grad(at) @ (after - x) for at in (x, after))
            fall = result.values[k + 1] - result.values[k]
            assert slope < 0
            assert abs(slope_after) <= 0.9 * abs(slope) * (1 + 1e-9)
            assert fall <= 1e-4 * slope + 1e-14 * (1 + abs(result.values[k]))
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("side", [-1, 1])
def test_a_zoom_turns_back_when_its_trial_is_the_better_end(side):
    """Down to 0.8 and up again: t = 1 lies behind the bottom, and the next trial before it.

    The bottom is then between the two, not between the second and the start.
    """

    def fun(x):
        return math.hypot(x - 0.8 * side, 0.01)

    def grad(x):
        return (x - 0.8 * side) / fun(x)

    result = lbfgs(fun, 0.0, grad=grad, max_steps=1)
    assert abs(result.grad) <= 0.9 * abs(grad(0.0))
    assert result.x == pytest.approx(0.8 * side, abs=0.03)
    assert result.nfev <= 8


def test_lbfgs_stays_inside_a_domain_and_leaves_a_function_without_minimum():
    inside = lbfgs(lambda x: x - math.log(x), 5.0, grad=lambda x: 1 - 1 / x)
    assert inside.status == "converged"
    assert inside.x == pytest.approx(1, abs=1e-6)
    saddle = problems.saddle()
    for result in (
        lbfgs(lambda x: -x, 1.0, grad=lambda x: -1.0),
        lbfgs(saddle.fun, [1.0, 1.0], grad=saddle.grad),
    ):
        assert result.status == "diverged"
        assert "fun may have no minimum" in result.message


def test_a_search_ends_at_the_first_trial_beyond_diverge_at():
    result = lbfgs(lambda x: -x, 1.0, grad=lambda x: -1.0)
    assert result.path.tolist() == [1, 1 + 2.0**34]  # 2^34 is the first power of 2 above 1e10


def test_pairs_without_positive_curvature_are_left_out():
    """-cos bends down between pi / 2 and pi, where s.y is negative."""
    result = lbfgs(lambda x: -np.cos(x), 3.0, grad=np.sin)
    assert result.success
    assert np.cos(result.x) == pytest.approx(1)
    assert (np.diff(result.values) < 0).all()


@pytest.fixture
def two_loops(monkeypatch):
    """The calls of the two loops, as (g, pairs)."""
    calls, function = [], descent._two_loops

    def noted(g, pairs):
        calls.append((g, list(pairs)))
        return function(g, pairs)

    monkeypatch.setattr(descent, "_two_loops", noted)
    return calls


@pytest.mark.parametrize("memory", [1, 3])
def test_the_newest_pairs_are_kept_and_no_more_than_the_memory_holds(two_loops, memory):
    problem = problems.valley()
    result = lbfgs(problem.fun, [-1.2, 1.0], grad=problem.grad, memory=memory)
    steps = np.diff(result.path, axis=0)
    assert len(two_loops) == result.nit - 1
    for k, (_, pairs) in enumerate(two_loops, start=1):
        np.testing.assert_array_equal([s for s, _ in pairs], steps[max(0, k - memory) : k])


def test_where_a_search_fails_all_pairs_are_forgotten(two_loops):
    """Without a pair the next direction is -g, for which the two loops are not called."""

    def grad(p):
        return np.array([np.where(p[0] > 0, 1.0, -3.0), 2 * p[1]])

    result = lbfgs(lambda p: max(p[0], -3 * p[0]) + p[1] ** 2, [0.3, 1.0], grad=grad)
    assert result.status == "stalled"
    assert max(len(pairs) for _, pairs in two_loops) > 1
    points = [g.tobytes() for g, _ in two_loops]
    assert len(set(points)) == len(points)


def test_a_step_along_which_the_gradient_stays_makes_no_pair(two_loops):
    result = lbfgs(lambda x: max(x, -3 * x), 0.9, grad=lambda x: 1.0 if x > 0 else -3.0)
    assert (result.path[:5] > 0).all()
    assert all(s * y > 0 for _, pairs in two_loops for s, y in pairs)


def test_no_pair_without_positive_curvature_reaches_the_two_loops(two_loops):
    """At a kink no step fulfils the conditions, and the lowest point seen is taken all the same.

    Along sqrt|x| the slope has grown on the way to it, so that s.y is negative.
    """

    def fun(p):
        return np.sqrt(abs(p[0])) + p[1] ** 2

    def grad(p):
        return np.array([np.sign(p[0]) / (2 * np.sqrt(abs(p[0]))), 2 * p[1]])

    result = lbfgs(fun, [1.0, 0.1], grad=grad, max_steps=10)
    steps, turns = np.diff(result.path, axis=0), np.diff([grad(x) for x in result.path], axis=0)
    assert min(s @ y for s, y in zip(steps, turns, strict=True)) < 0
    assert all(s @ y > 0 for _, pairs in two_loops for s, y in pairs)


def test_a_gradient_whose_square_overflows_does_not_stop_lbfgs():
    result = lbfgs(lambda x: math.exp(x * x), 20.0, grad=lambda x: 2 * x * math.exp(x * x))
    assert result.success
    assert result.x == pytest.approx(0, abs=1e-6)


def test_a_large_constant_does_not_keep_the_line_searches_from_the_minimum():
    problem = problems.valley()

    def lifted(x):
        return problem.fun(x) + 1e9

    for result in (
        newton(lifted, [-1.2, 1], grad=problem.grad, hess=problem.hess, line_search=True),
        lbfgs(lifted, [-1.2, 1], grad=problem.grad),
    ):
        assert result.success
        np.testing.assert_allclose(result.x, [1, 1], atol=1e-5)


def test_where_values_change_by_their_rounding_alone_slopes_lead_lbfgs():
    """Every other point seems to lie one rounding higher than the start."""
    result = lbfgs(lambda x: 1.0 + EPS * (x != 1e-9), 1e-9, grad=lambda x: 2 * x, tol=1e-12)
    assert (result.status, result.x) == ("converged", 0)


# What newton and lbfgs have in common

BOTH = {
    "newton": newton,
    "newton with line search": lambda *args, **options: newton(*args, line_search=True, **options),
    "lbfgs": lbfgs,
}
both = pytest.mark.parametrize("method", BOTH.values(), ids=BOTH)


@both
def test_their_results_are_the_ends_of_their_paths(method):
    problem = problems.valley()
    for x0, fun in (([-1.2, 1.0], problem.fun), (0.5, square)):
        result = method(fun, x0, tol=1e-6)
        assert result.success
        np.testing.assert_array_equal(result.path[-1], result.x)
        assert result.values[-1] == result.fun
        assert result.grad_norms[-1] == pytest.approx(np.linalg.norm(result.grad), rel=1e-14)
        assert len(result.path) == len(result.values) == len(result.grad_norms) == result.nit + 1
        assert result.path.shape[1:] == np.shape(x0)
        assert type(result.fun) is float
        assert type(result.status) is type(result.message) is type(result.optimizer) is str
    assert type(result.x) is type(result.grad) is float


@both
def test_they_call_functions_of_a_number_with_plain_numbers(method):
    seen = set()

    def fun(x):
        seen.add(type(x))
        return math.cosh(x)

    assert method(fun, 1, grad=lambda x: seen.add(type(x)) or math.sinh(x)).success
    assert seen == {float}


@both
def test_they_count_their_calls(method):
    count, problem = Counter(), problems.valley()

    def fun(x):
        count["fun"] += 1
        return problem.fun(x)

    def grad(x):
        count["grad"] += 1
        return problem.grad(x)

    for options in ({"grad": grad}, {}):
        count.clear()
        result = method(fun, [-1.2, 1.0], **options)
        assert result.nfev == count["fun"]
        assert result.njev == count["grad"] or not options


@both
def test_they_report_the_start_and_every_step(method):
    seen = []
    result = method(
        problems.valley().fun,
        [-1.2, 1.0],
        grad=problems.valley().grad,
        callback=lambda k, x, value, g: seen.append((k, x, value, g)),
    )
    assert [k for k, *_ in seen] == list(range(result.nit + 1))
    np.testing.assert_array_equal([x for _, x, _, _ in seen], result.path)
    np.testing.assert_array_equal([value for _, _, value, _ in seen], result.values)


@both
def test_a_flat_start_takes_no_step(method):
    result = method(square, 0.0, grad=twice)
    assert (result.status, result.nit, result.path.tolist()) == ("converged", 0, [0.0])


@both
def test_they_leave_the_callers_array_alone_and_bear_scribbling(method):
    def fun(x):
        value = x @ x
        x[:] = 99
        return value

    x0 = np.array([5.0, 1.0])
    result = method(fun, x0, grad=twice, callback=lambda k, x, value, g: x.fill(7))
    assert x0.tolist() == [5, 1]
    np.testing.assert_allclose(result.x, 0, atol=1e-6)


@both
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"x0": np.ones((2, 1))}, ValueError, r"x0\.ravel\(\)"),
        ({"x0": [np.nan, 1.0]}, ValueError, "x0 must be finite"),
        ({"x0": "ab"}, TypeError, "x0 must hold real numbers"),
        ({"fun": 3.0}, TypeError, "fun must be a function"),
        ({"fun": lambda x: x}, ValueError, "single number"),
        ({"fun": lambda x: np.nan}, ValueError, "fun is not finite at the start"),
        ({"grad": 3.0}, TypeError, "grad must be a function"),
        ({"grad": lambda x: x[:1]}, ValueError, r"grad must give the shape of x, \(2,\)"),
        ({"grad": lambda x: x * np.nan}, ValueError, "gradient is not finite at the start"),
        ({"max_steps": 0}, ValueError, "max_steps must be at least 1"),
        ({"tol": -1}, ValueError, "tol must be 0 or above"),
        ({"diverge_at": [1.0, 2.0]}, ValueError, "diverge_at must be one number"),
        ({"x0": [1e11, 0.0]}, ValueError, "raise diverge_at"),
    ],
)
def test_they_refuse_bad_input(method, options, error, words):
    arguments = {"fun": squares, "x0": [1.0, 2.0], "grad": None} | options
    fun, x0 = arguments.pop("fun"), arguments.pop("x0")
    with pytest.raises(error, match=words):
        method(fun, x0, **arguments)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"hess": np.eye(2)}, TypeError, "hess must be a function"),
        ({"hess": lambda x: np.eye(3)}, ValueError, r"hess must give shape \(2, 2\).*got \(3, 3\)"),
        ({"hess": lambda x: 2.0}, ValueError, r"got \(\)"),
        (
            {"hess": lambda x: np.full((2, 2), np.nan)},
            ValueError,
            "hess is not finite at the start",
        ),
        ({"hess": lambda x: np.array([[1.0, 2], [3, 4]])}, ValueError, r"\(H \+ H\.T\) / 2"),
        ({"hess": lambda x: None}, TypeError, "hess must return real numbers"),
        ({"damping": -1.0}, ValueError, "damping must be 0 or above"),
        ({"damping": np.nan}, ValueError, "damping must be finite"),
        ({"damping": [1.0, 2.0]}, ValueError, "damping must be one number"),
        ({"line_search": "no"}, TypeError, "line_search must be True or False"),
    ],
)
def test_newton_refuses_bad_input(options, error, words):
    with pytest.raises(error, match=words):
        newton(squares, [1.0, 2.0], **options)


def test_lbfgs_refuses_a_memory_that_is_no_whole_number():
    with pytest.raises(ValueError, match="memory must be at least 1"):
        lbfgs(squares, [1.0], memory=0)
    with pytest.raises(TypeError, match="memory must be a whole number"):
        lbfgs(squares, [1.0], memory=2.5)


def test_they_are_named_by_their_calls():
    assert at_saddle().optimizer == "newton()"
    assert at_saddle(damping=0.5, line_search=True).optimizer == (
        "newton(damping=0.5, line_search=True)"
    )
    assert lbfgs(squares, [1.0], memory=3).optimizer == "lbfgs(memory=3)"


# Gradients that differences cannot resolve


def descends(fun, x0, **options):
    return gradient_descent(fun, x0, learning_rate=0.1, **options)


def descends_as_column(fun, x0, **options):
    columns = np.array(x0)[:, np.newaxis]
    return minimize_many(fun, np.hstack([columns, columns]), sgd(0.1), **options).run(1)


DESCENTS = {
    "lbfgs": lbfgs,
    "newton": newton,
    "newton with damping": lambda *args, **options: newton(*args, damping=0.1, **options),
    "gradient descent": descends,
    "many": descends_as_column,
}
NEWTONS = [DESCENTS["newton"], DESCENTS["newton with damping"]]
every_descent = pytest.mark.parametrize("descent_of", DESCENTS.values(), ids=DESCENTS)


def lifted(level):
    """A bowl around (3, 3) high above zero, of points or of columns."""
    return lambda x: level + squares(x - 3)


@every_descent
@pytest.mark.parametrize("level", [1e12, -1e12, 1e15])
def test_a_gradient_lost_in_the_rounding_of_fun_is_not_taken_for_zero(descent_of, level):
    result = descent_of(lifted(level), [0.0, 0.0])
    assert (result.status, result.nit, result.success) == ("stalled", 0, False)
    assert "differences of fun cannot resolve the gradient there" in result.message
    assert "Give grad, or a tol of" in result.message


@every_descent
@pytest.mark.parametrize("level", [0.0, 1.0, -300.0, 1e4, 1e5, 1e6, 1e8])
def test_where_a_run_by_differences_has_converged_the_true_gradient_is_short(descent_of, level):
    result = descent_of(lifted(level), [0.0, 0.0], tol=1e-6)
    if result.success:
        assert np.linalg.norm(2 * (result.x - 3)) <= 1e-6
    if level != 1e5:  # where the error is just below the tolerance
        assert result.success == (level < 1e5)
    if result.status == "stalled":
        tol = float(re.search(r"or a tol of (\S+)\.$", result.message)[1])
        assert descent_of(lifted(level), [0.0, 0.0], tol=tol).success
    exact = descent_of(lifted(level), [0.0, 0.0], grad=lambda x: 2 * (x - 3), tol=1e-6)
    assert exact.success


@pytest.mark.parametrize("x", [3.0, [3.0], [0.5, -20.0, 1e6]])
def test_what_differences_lose_is_the_rounding_of_fun_over_their_steps(x):
    x = np.array(x)
    lost = descent._lost_in_rounding(x, np.array(-1e5))
    h = numerical.default_step(x)
    assert lost == pytest.approx(np.linalg.norm(np.atleast_1d(EPS * 1e5 / (2 * h))), rel=1e-4)
    columns = np.stack([x, x], axis=-1) if x.ndim else None
    if columns is not None:
        both = descent._lost_in_rounding(columns, np.array([-1e5, 0.0]))
        assert both == pytest.approx([lost, 0], rel=1e-12)


@pytest.mark.parametrize("name", ["valley", "beale", "himmelblau", "two wells", "plateau", "bowl"])
@pytest.mark.parametrize(
    "method",
    [lbfgs, lambda *args: newton(*args, line_search=True, tol=2e-8)],
    ids=["lbfgs", "newton"],
)
def test_the_functions_of_the_field_are_resolved_by_differences(method, name):
    problem = {**FAMILY, "beale": problems.beale(), "plateau": problems.plateau()}[name]
    starts = {"beale": [[1.0, 1.0], [2.0, 0.0]], "valley": [[-1.2, 1.0], [2.0, 2.0]]}
    for start in starts.get(name, starts_for(problem).T):
        assert method(problem.fun, start).status == "converged"


def test_a_maximum_of_some_hundred_is_resolved_by_differences():
    result = newton(problems.himmelblau().fun, [-0.3, -0.9])
    assert result.fun == pytest.approx(181.6, abs=0.1)
    assert result.status == "converged"
    assert "a maximum, not a minimum" in result.message


def test_a_short_gradient_that_may_be_long_is_not_called_above_the_tolerance():
    result = gradient_descent(lambda x: 2.4e4 + x * x, 4e-7, learning_rate=1e-9, max_steps=1)
    assert result.status == "max_steps"
    assert result.grad_norms[-1] < 1e-6
    assert "may be off by 4.6e-07, the error of its differences" in result.message
    assert "above" not in result.message


@every_descent
def test_the_error_of_differences_is_that_of_the_point_reached(descent_of):
    """At the start, where fun is 1e10, they err by more than tol, and at the minimum by nothing."""
    result = descent_of(squares, [1e5], tol=1e-6)
    assert descent._lost_in_rounding(result.path[0], result.values[0]) > 1e-6
    assert result.status == "converged"


def test_among_many_runs_one_is_stalled_and_stays():
    def fun(x):
        return squares(x) + 1e15 * (x[0] > 10)

    many = minimize_many(fun, [[5.0, 20.0]], sgd(0.1))
    assert many.status.tolist() == ["converged", "stalled"]
    assert many.nit.tolist() == [73, 0]
    assert "differences of fun cannot resolve" in many.message[1]


def test_a_kink_that_stalls_a_line_search_is_not_called_rounding():
    result = lbfgs(lambda x: max(x, -3 * x), 1e-7)
    assert (result.status, result.nit) == ("stalled", 0)
    assert result.message.endswith("Try a larger tol, or give grad.")
    assert "cannot resolve" not in result.message


# The truncation of differences


def times(scale, problem):
    """A problem in other units of fun, as (fun, grad)."""
    return lambda x: scale * problem.fun(x), lambda x: scale * problem.grad(x)


@pytest.mark.parametrize(
    ("method", "scale", "tol"),
    [(newton, 1, 1e-8), (lbfgs, 100, 1e-6), (newton, 1000, 1e-8), (newton, 10000, 1e-6)],
)
def test_differences_that_bend_away_from_the_gradient_do_not_pass_for_short(method, scale, tol):
    """The third derivative at the minimum is 2400 scale; 6e-12 of it is above each tol."""
    fun, grad = times(scale, problems.valley())
    result = method(fun, [-1.2, 1.0], tol=tol)
    assert np.linalg.norm(grad(result.x)) > 1.3 * tol > result.grad_norms[-1]
    assert result.status == "stalled"
    assert "Give grad, or a tol of" in result.message
    named = float(re.search(r"or a tol of (\S+)\.$", result.message)[1])
    assert named == pytest.approx(2400 * scale * 6e-12, rel=0.3)
    again = method(fun, [-1.2, 1.0], tol=named)
    assert again.status == "converged"
    assert np.linalg.norm(grad(again.x)) <= named
    assert method(fun, [-1.2, 1.0], grad=grad, tol=tol).success


def waves(seed):
    """Some waves in a bowl, in random units, of n = 1 to 3 coordinates: fun, grad, start, tol.

    The waves are as short as 0.1. Both functions take a point or columns.
    """
    rng = np.random.default_rng(seed)
    n, scale, level = 1 + seed % 3, 10.0 ** rng.uniform(-2, 5), rng.choice([0, 1, 30])
    a, phase = rng.normal(size=4), rng.uniform(0, 6, size=4)
    W = rng.normal(size=(4, n)) * 10.0 ** rng.uniform(0, 1.7)
    c = (W**2).sum()

    def inner(x):
        return (W @ x).T + phase

    def fun(x):
        return scale * (np.cos(inner(x)) @ a + c * (x * x).sum(axis=0) / 2 + level)

    def grad(x):
        return scale * (c * x - ((a * np.sin(inner(x))) @ W).T)

    return fun, grad, rng.normal(size=n), 10.0 ** rng.integers(-9, -3), 0.5 / scale / c


def column_of_two(fun, x0, rate, **options):
    return minimize_many(fun, np.stack([x0 + 0.3, x0], axis=-1), sgd(rate), **options).run(1)


def far_side(seed):
    """Return a penalty that is 0 where A x <= 1, as runs reach it at the edge."""
    A = 3 * np.random.default_rng(seed).normal(size=(8, 3))
    return lambda x: (np.maximum(0, A @ x - 1) ** 2).sum()


@pytest.mark.parametrize("seed", range(6))
def test_a_bend_within_the_reach_of_the_differences_does_not_stall_a_run(seed):
    result = minimize(far_side(seed), [2.0, -3.0, 1.0], sgd(0.003), max_steps=5000)
    assert result.status == "converged"
    assert result.fun < 1e-12


def test_an_edge_beyond_the_differences_does_not_stall_a_run_or_end_it_in_an_error():
    def refusing(x):
        if x < 0:
            raise ValueError("x must not be negative")
        return (x - 1e-5) ** 2

    for fun in (refusing, lambda x: (x - 1e-5) ** 2 if x >= 0 else np.nan):
        result = minimize(fun, 1.0, sgd(0.1))
        assert result.status == "converged"
        assert result.x == pytest.approx(1e-5, abs=1e-6)


def test_the_error_of_many_runs_is_measured_on_all_columns_at_once():
    a, seen = np.array([1.0, 2.0, 3.0]), set()

    def fun(x):
        seen.add(x.shape)
        return (a * (x - 3.0) ** 2).sum(axis=0)

    result = minimize_many(fun, [[0.0, 3.0, 7.0]], sgd(0.1))
    assert result.status.tolist() == ["converged"] * 3
    assert seen == {(1, 3)}


@pytest.mark.parametrize(
    "descent_of",
    [
        lambda fun, x0, rate, **options: newton(fun, x0, line_search=True, **options),
        lambda fun, x0, rate, **options: lbfgs(fun, x0, **options),
        lambda fun, x0, rate, **options: minimize(fun, x0, sgd(rate), max_steps=200, **options),
        lambda fun, x0, rate, **options: column_of_two(fun, x0, rate, max_steps=200, **options),
    ],
    ids=["newton", "lbfgs", "minimize", "many"],
)
def test_whatever_the_units_a_run_by_differences_has_converged_only_where_it_says_so(descent_of):
    """To a tenth of tol: fun rounds more than once, and the error counts its last rounding."""
    counts = Counter()
    for seed in range(60):
        fun, grad, x0, tol, rate = waves(seed)
        result = descent_of(fun, x0, rate, tol=tol)
        counts[result.status] += 1
        true = np.linalg.norm(grad(result.x))
        if result.success:
            assert true <= 1.1 * tol
        if result.status == "stalled":
            counts["stalled where fun is resolved"] += true < tol / 10
    assert counts["converged"] >= 15
    assert counts["stalled"] >= 15
    assert counts["stalled where fun is resolved"] <= 3


EASY = {
    "x^2": (square, 5.0),
    "x^2 as a vector": (squares, [5.0]),
    "sin": (np.sin, 4.0),
    "cosh": (np.cosh, 1.0),
    "x^2 + 4 y^2": (lambda p: p[0] ** 2 + 4 * p[1] ** 2 + p[0] * p[1], [3.0, -2.0]),
    "(x - 3)^2 + 1": (lambda x: (x - 3) ** 2 + 1, 5.0),
    "sin of three": (lambda p: np.sin(p).sum(axis=0), [4.0, 5.0, 4.5]),
}


@every_descent
@pytest.mark.parametrize("name", EASY)
def test_easy_functions_converge_without_a_gradient(descent_of, name):
    fun, x0 = EASY[name]
    if descent_of is descends_as_column and np.ndim(x0) == 0:
        x0, fun = [x0], lambda x, fun=fun: fun(x[0])
    assert descent_of(fun, x0).status == "converged"


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("sign", [-1, 1])
def test_differences_reach_1e_8_where_newton_says_that_they_do(n, sign):
    """The value is nearly 150 / sqrt n, and the vector of third derivatives nearly 500 long."""

    def fun(x):
        cubes = 490 / 6 * (x - 0.7) ** 3
        return (sign * 149 + cubes.sum()) / math.sqrt(n) + 50 * squares(x - 0.7)

    result = newton(fun, np.full(n, 0.72))
    assert result.status == "converged"
    d = result.x - 0.7
    assert np.linalg.norm(490 / 2 * d**2 / math.sqrt(n) + 100 * d) <= 1e-8


def test_a_run_lost_in_rounding_names_a_tol_that_has_room_for_the_truncation_too():
    """The differences see one rounding of fun, 0.005, where 0.010 may be lost."""

    def fun(x):
        return 5.3e8 + (1.8e-8 + 8e7 * x**3)

    result = gradient_descent(fun, 0.0, learning_rate=0.1)
    assert (result.status, result.nit) == ("stalled", 0)
    assert 1e-6 < result.grad_norms[0] < descent._lost_in_rounding(0.0, 5.3e8)
    named = float(re.search(r"or a tol of (\S+)\.$", result.message)[1])
    assert gradient_descent(fun, 0.0, learning_rate=0.1, tol=named).success


@pytest.mark.parametrize("c", [0.5, [0.5], [0.5, -20.0, 300.0]])
def test_the_truncation_is_a_sixth_of_the_third_derivative_times_the_step_squared(c):
    """On 10^5 (x - c)^3 the central difference at c is 10^5 h^2 instead of 0."""
    c = np.array(c)
    fun = descent._Counted("fun", lambda x: 1e5 * ((x - c) ** 3).sum())
    h = numerical.default_step(c)
    errors = descent._errors_of_differences(fun, (), tol=1.0)
    g = 1e5 * h**2
    rounding, error = errors(c, 0.0, g, np.linalg.norm(np.atleast_1d(g)), True)
    assert rounding == 0
    assert error == pytest.approx(1e5 * np.linalg.norm(np.atleast_1d(h**2)), rel=1e-3)


def steep(x):
    """x^2 / 2 + x^3 / 6 + ..., 10^5 times: the third derivative at 0 shifts the slope by 6e-7."""
    return 1e5 * (np.expm1(x) - x).sum(axis=0)


def test_a_truncation_below_the_tolerance_delays_the_end_and_stalls_no_run():
    result = gradient_descent(steep, [0.1], learning_rate=2e-6, tol=1e-6)
    assert result.status == "converged"
    assert abs(1e5 * math.expm1(result.x[0])) <= 1e-6
    short = result.grad_norms <= 1e-6
    assert short.sum() > 3
    assert result.grad_norms[-1] < 0.4e-6 < result.grad_norms[-2]


@pytest.mark.parametrize(
    ("tol", "max_steps", "end"), [(1e-7, 132, "stalled"), (1e-6, 124, "converged")]
)
def test_many_runs_by_differences_end_like_the_single_ones(tol, max_steps, end):
    """The truncation of two coordinates is 9e-7."""
    starts = np.array([[0.1, 0.3, -0.5, 3.0, 0.0], [0.2, 0.2, 0.0, 0.0, 0.0]])
    many = minimize_many(steep, starts, sgd(2e-6), tol=tol, max_steps=max_steps)
    assert many.status.tolist() == [end, end, end, "max_steps", end]
    for j, start in enumerate(starts.T):
        single = minimize(steep, start, sgd(2e-6), tol=tol, max_steps=max_steps)
        run = many.run(j)
        assert (run.status, run.nit, run.message) == (single.status, single.nit, single.message)
        np.testing.assert_array_equal(run.path, single.path)


def test_the_error_of_differences_costs_one_more_gradient_at_the_end():
    count = Counter()

    def fun(x):
        count["fun"] += 1
        return squares(x)

    n, one = 2, gradient_descent(fun, [5.0, 1.0], learning_rate=0.1)
    assert one.success
    assert one.njev == one.nit + 1
    assert one.nfev == count["fun"] == (one.nit + 1) * (2 * n + 2) + (2 * n + 1)
    count.clear()
    many = minimize_many(fun, [[5.0, 1.0, 5.0], [1.0, 2.0, 1.0]], sgd(0.1))
    ends = len(set(many.nit.tolist()))
    assert many.success.all()
    assert ends == 2
    assert many.njev == many.nit.max() + 1
    assert many.nfev == count["fun"] == 3 * (many.nit.max() + 1) + 2 * ends


@every_descent
@pytest.mark.parametrize("edge", [np.nan, np.inf, "raises"])
def test_where_the_error_of_differences_cannot_be_told_no_run_has_converged(descent_of, edge):
    """The default step is 6e-6; four of them are beyond the edge, and half of one is in a hole."""

    def fun(x):
        size = np.abs(x[0])
        out = (size > 2e-5) | ((size > 2e-6) & (size < 4e-6))
        if edge == "raises":
            return math.sqrt(-1) if np.any(out) else squares(x)
        return np.where(out, edge, squares(x))

    options = {"hess": lambda x: np.eye(1)} if descent_of in NEWTONS else {}
    result = descent_of(fun, [0.0], **options)
    assert (result.status, result.nit) == ("stalled", 0)
    assert "not defined on all sides of this point" in result.message
    assert result.message.endswith("Give grad.")


# Backtracking


@pytest.mark.parametrize("initial", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("shrink", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("c", [1e-4, 0.3])
def test_the_first_step_length_with_the_fall_of_armijo_is_chosen(c, shrink, initial):
    problem, x = problems.valley(), np.array([-1.2, 1.0])
    g = problem.grad(x)
    t = backtracking(problem.fun, x, -g, gradient=g, c=c, shrink=shrink, initial=initial)

    def falls_enough(t):
        return problem.fun(x - t * g) <= problem.fun(x) - c * t * (g @ g)

    trials = [initial]
    while trials[-1] > t:
        trials.append(shrink * trials[-1])
    assert trials[-1] == t
    assert [falls_enough(trial) for trial in trials] == [False] * (len(trials) - 1) + [True]


def test_the_first_newton_step_in_the_valley_is_shortened_to_an_eighth():
    problem, x = problems.valley(), np.array([-1.0, 1.0])
    g = problem.grad(x)
    p = np.linalg.solve(problem.hess(x), -g)
    assert backtracking(problem.fun, x, p, gradient=g) == 0.125


@pytest.mark.parametrize("fun", [lambda x: x - np.log(x), lambda x: x - math.log(x)])
def test_a_trial_beyond_the_edge_of_the_domain_does_not_pass(fun):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backtracking(fun, 5.0, -40.0, gradient=0.8) == 0.0625  # 40 / 8 ends at 0


def test_minus_infinity_does_not_pass_for_a_fall():
    def fun(x):
        return -np.inf if x < 0 else x

    assert backtracking(fun, 1.0, -4.0, gradient=1.0) == 0.25  # ends at 0: a fall of 1


@pytest.mark.parametrize("direction", [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
def test_a_direction_that_does_not_lead_down_is_refused(direction):
    with pytest.raises(ValueError, match=r"must lead down.*use -gradient"):
        backtracking(squares, [1.0, 0.0], direction, gradient=[2.0, 0.0])


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e6])
def test_a_wrong_gradient_ends_in_an_error_that_says_so(offset):
    with pytest.raises(ValueError, match=r"no step along direction .*numerical\.grad"):
        backtracking(lambda x: x @ x + offset, [1.0, 2.0], [2.0, 4.0], gradient=[-2.0, -4.0])


def test_a_fall_below_the_rounding_of_the_function_passes_at_once():
    t = backtracking(lambda x: 1e6 + x * x, 1e-9, -1e-9, gradient=2e-9)
    assert t == 1.0


@pytest.mark.parametrize("slope", [1e-13, 1e-14])
def test_a_step_that_lowers_nothing_does_not_pass(slope):
    """A fall by 1e-4 of the slope is lost in the rounding of 1; a fall by the slope is not."""
    with pytest.raises(ValueError, match="no step along direction lowers fun"):
        backtracking(lambda x: 1.0, 0.0, -1.0, gradient=slope)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"c": 0}, ValueError, "c must lie between 0 and 1"),
        ({"c": 1.0}, ValueError, "c must lie between 0 and 1"),
        ({"shrink": 1.0}, ValueError, "shrink must lie between 0 and 1"),
        ({"initial": 0}, ValueError, "initial must be above 0"),
        ({"gradient": [1.0]}, ValueError, r"gradient must have the shape of x, \(2,\), got \(1,\)"),
        ({"gradient": twice}, TypeError, r"use grad\(x\)"),
        ({"direction": -1.0}, ValueError, r"direction must have the shape of x"),
        ({"direction": [np.nan, 0]}, ValueError, "direction must be finite"),
        ({"fun": 1.0}, TypeError, "fun must be a function"),
        ({"fun": lambda x: np.inf}, ValueError, "fun is not finite at x="),
        ({"x": np.ones((2, 1))}, ValueError, r"x\.ravel\(\)"),
    ],
)
def test_backtracking_refuses_bad_input(options, error, words):
    arguments = {"fun": squares, "x": [1.0, 2.0], "direction": [-1.0, -1.0], "gradient": [2.0, 4.0]}
    with pytest.raises(error, match=words):
        backtracking(**(arguments | options))


# Whose fault it is: an edge of the domain, or a fault in the function


def log_by_numbers(x):
    """x - log x of columns (1, k), written for numbers: math.log raises for a single one."""
    return np.array([value - math.log(value) for value in x[0]])


@pytest.mark.parametrize("grad", [lambda x: 1 - 1 / x, None])
def test_a_column_beyond_the_edge_does_not_spoil_the_others(grad):
    rates = [8.0, 0.1, 0.5]
    many = minimize_many(log_by_numbers, [[1.7]], sgd, learning_rates=rates, grad=grad)
    assert many.status.tolist() == ["diverged", "converged", "converged"]
    for j, rate in enumerate(rates):
        one = minimize(lambda x: x[0] - math.log(x[0]), [1.7], sgd(rate), grad=grad)
        assert (many.run(j).status, many.run(j).nit) == (one.status, one.nit)
        np.testing.assert_allclose(many.run(j).path, one.path, rtol=1e-12)


def test_a_gradient_that_raises_for_one_column_does_not_spoil_the_others():
    def grad(x):
        return np.array([[1 / value if value > 1 else 1 / 0 for value in x[0]]])

    many = minimize_many(squares, [[1.2, 40.0]], sgd(1.0), grad=grad, max_steps=3)
    assert many.status.tolist() == ["diverged", "max_steps"]


def test_the_column_that_fails_at_the_start_is_named():
    with pytest.raises(ValueError, match=r"could not be evaluated at the start \[-3\.\]"):
        minimize_many(log_by_numbers, [[1.0, -3.0]], sgd(0.1))


@pytest.mark.parametrize(
    ("fun", "error", "words"),
    [
        (lambda x: math.exp(x[0]), TypeError, r"np\.log for math\.log"),
        (lambda x: x[0] if x[0] > 0 else -x[0], ValueError, r"np\.where for if"),
    ],
)
def test_a_function_written_for_a_number_is_told_how_to_take_columns(fun, error, words):
    with pytest.raises(error, match=words) as caught:
        minimize_many(fun, [[1.0, 2.0]], sgd(0.1))
    assert "columns of shape (1, 2)" in str(caught.value)
    assert "minimize for each start" in str(caught.value)


def fails_below_one(x):
    """The square, with a fault in the code that shows only below 1."""
    return x @ x if x[0] > 1 else (np.ones((2, 3)) @ np.ones(2)).sum()


METHODS = {
    "minimize": lambda fun, **options: minimize(fun, [5.0], sgd(0.1), **options),
    "newton": lambda fun, **options: newton(fun, [5.0], damping=10.0, **options),
    "lbfgs": lambda fun, **options: lbfgs(fun, [5.0], **options),
}


@pytest.mark.parametrize("grad", [twice, None])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_fault_in_the_function_is_raised_and_not_called_divergence(method, grad):
    with pytest.raises(ValueError, match=r"^fun failed at x=\[.*\]: matmul.*np\.nan") as caught:
        method(fails_below_one, grad=grad)
    assert "matmul" in str(caught.value.__cause__)


def test_a_fault_in_the_gradient_is_raised_too():
    def grad(x):
        return 2 * x if x[0] > 1 else np.ones((2, 3)) @ np.ones(2)

    with pytest.raises(ValueError, match=r"^grad failed at x=\[.*\]: matmul"):
        minimize(squares, [5.0], sgd(0.1), grad=grad)
    with pytest.raises(ValueError, match=r"grad failed for columns of shape \(1, 2\): matmul"):
        minimize_many(squares, [[5.0, 9.0]], sgd(0.1), grad=lambda x: grad(x[0] / 9))


@pytest.mark.parametrize(
    ("error", "outside"),
    [
        (ValueError("math domain error"), True),
        (ValueError("expected a positive input, got -1.0"), True),  # from Python 3.14
        (ZeroDivisionError("division by zero"), True),
        (OverflowError("math range error"), True),
        (np.linalg.LinAlgError("Singular matrix"), True),
        (ValueError("operands could not be broadcast together"), False),
        (ValueError("negative length"), False),
    ],
)
def test_what_arithmetic_raises_is_an_edge_and_what_else_is_raised_a_fault(error, outside):
    def fun(x):
        if x < 0:
            raise error
        return x**2 + x

    def run():
        return minimize(fun, 1.0, sgd(0.5), grad=lambda x: 2 * x + 1)

    if outside:
        assert (run().status, run().path.tolist()) == ("diverged", [1])
    else:
        with pytest.raises(ValueError, match=rf"fun failed at x=-0\.5: {error}; mend it"):
            run()


@pytest.mark.parametrize("error", [KeyError("w"), IndexError("7"), RuntimeError("no")])
def test_other_errors_of_the_function_pass_untouched(error):
    def fun(x):
        if x[0] < 1:
            raise error
        return x @ x

    with pytest.raises(type(error)) as caught:
        minimize(fun, [5.0], sgd(0.1), grad=twice)
    assert caught.value is error


def test_derivatives_of_this_package_end_a_run_at_the_edge():
    for log in (math.log, np.log):
        grad = numerical.grad(lambda x, log=log: x - log(x))
        result = minimize(square, 1.7, sgd(8.0), grad=grad)
        assert (result.status, result.path.tolist()) == ("diverged", [1.7])


# Rates


@pytest.mark.parametrize("bad", [np.nan, -0.1, np.inf])
def test_a_schedule_that_gives_no_rate_names_the_step_and_the_rate(bad):
    def schedule(k):
        return bad if k == 3 else 0.1

    with pytest.raises(ValueError, match=rf"got {bad} at step 3; mend the schedule"):
        minimize(square, 5.0, sgd(schedule), grad=twice)
    with pytest.raises(ValueError, match="at step 3"):
        minimize_many(squares, [[5.0, 1.0]], sgd(schedule), grad=twice)


def test_a_rate_of_zero_in_a_schedule_rests_for_a_step():
    result = minimize(square, 5.0, sgd(lambda k: 0.1 * (k > 0)), grad=twice, max_steps=2)
    assert result.path.tolist() == [5, 5, 4]


@pytest.mark.parametrize("x0", [5.0, [5.0], [5.0, 1.0], [5.0, 1.0, 2.0]])
def test_several_rates_never_act_on_the_coordinates_of_one_start(x0):
    fun = square if np.ndim(x0) == 0 else squares
    with pytest.raises(ValueError, match=r"learning_rate holds 2 values.*minimize_many"):
        minimize(fun, x0, sgd([0.1, 0.2]), grad=twice)
    with pytest.raises(ValueError, match=r"momentum holds 2 values.*columns"):
        minimize(fun, x0, sgd(0.1, momentum=[0.1, 0.2]), grad=twice)


# Properties


@given(
    start=st.floats(-100, 100),
    rate=st.floats(1e-3, 1.2),
    curvature=st.floats(0.1, 2.0),
)
def test_on_a_quadratic_the_path_is_a_power_and_the_status_is_that_of_the_theory(
    start, rate, curvature
):
    """Each step multiplies the error by 1 - rate curvature."""
    factor = 1 - rate * curvature
    result = gradient_descent(
        lambda x: curvature * x**2 / 2,
        start,
        learning_rate=rate,
        grad=lambda x: curvature * x,
        max_steps=200,
    )
    expected = start * factor ** np.arange(result.nit + 1)
    np.testing.assert_allclose(result.path, expected, rtol=1e-9, atol=1e-9)
    final = abs(curvature * start * factor**200)
    if final < 0.9e-6:
        assert result.status == "converged"
    if abs(factor) > 1.5 and abs(curvature * start) > 1:
        assert result.status == "diverged"
    assert isinstance(result, DescentResult)


WRONG_SLOPES = {
    "a sign": (lambda p: p[0] ** 2 - p[0] * p[1] + p[1] ** 2,
               lambda p: np.array([2 * p[0] - p[1], p[0] + 2 * p[1]])),
    "a factor": (lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2,
                 lambda p: np.array([-2 * (1 - p[0]) - 200 * p[0] * (p[1] - p[0] ** 2),
                                     200 * (p[1] - p[0] ** 2)])),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_SLOPES)
@pytest.mark.parametrize("line_search", [False, True])
def test_newton_refuses_slopes_that_no_function_has(name, line_search):
    fun, grad = WRONG_SLOPES[name]
    with pytest.raises(ValueError, match=r"grad must be the gradient .* compare grad with numeric"):
        newton(fun, [1.2, 0.7], grad=grad, line_search=line_search)


def test_newton_quotes_no_eigenvalue_that_differences_do_not_tell():
    def fun(x):
        return x - np.log(x)

    run = newton(fun, 1.9999999, grad=lambda x: 1 - 1 / x)
    assert run.status == "singular"
    assert "differences do not tell the Hessian, whose eigenvalues, up to" in run.message
    assert "Or try line_search=True." in run.message
    again = newton(fun, 1.9999999, grad=lambda x: 1 - 1 / x, line_search=True)
    assert again.status == "converged"
    assert again.x == pytest.approx(1)


@pytest.mark.parametrize("method", [gradient_descent, newton, lbfgs])
def test_without_a_tol_the_rounding_of_differences_ends_no_run(method):
    rate = {"learning_rate": 0.1} if method is gradient_descent else {}
    run = method(lambda x: (x - 3) ** 2 + 1, 5.0, tol=0.0, max_steps=1000, **rate)
    assert run.status in ("converged", "max_steps") or "line search" in run.message
    flat = method(np.cos, 0.0, tol=0.0, **rate)
    assert (flat.status, flat.nit) == ("converged", 0)
