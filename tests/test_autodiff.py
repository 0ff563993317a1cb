"""Automatic differentiation: exact in every order, for every operation, and loud when misused."""

import array
import gc
import itertools
import math
import operator
import sys
import threading
import tracemalloc
import weakref
from functools import cache, reduce

import numpy as np
import pytest
import sympy as sp
from functions import FUNCTIONS, LINE, SPACE, VECTOR, by_name
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calclib import autodiff as ad
from calclib import numerical, symbolic
from calclib.autodiff import (
    Var,
    backward,
    cost,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    tape,
    value_and_grad,
    vjp,
)

seeds = st.integers(0, 2**32)
quick = settings(max_examples=20, deadline=None, derandomize=True)


def close(got, exact, tol=1e-12):
    exact = np.asarray(exact)
    return np.shape(got) == exact.shape and np.abs(got - exact).max() <= tol * max(
        1, np.abs(exact).max()
    )


# Three worlds, one table of functions


@cache
def formula(differentiate, expr, variables):
    """Return the NumPy function of a symbolic derivative."""
    return symbolic.to_function(differentiate(expr, variables), variables)


def points(row, seed):
    x = np.random.default_rng(seed).uniform(*row.domain, len(row.variables))
    return x.item() if x.size == 1 else x


@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
@given(seed=seeds)
@quick
def test_three_worlds_agree_on_the_gradient(row, seed):
    x = points(row, seed)
    exact = formula(symbolic.grad, row.expr, row.variables)(x).reshape(np.shape(x))
    value, g = value_and_grad(row.fun)(x)
    assert type(g) is type(x)
    assert close(value, row.fun(x))
    assert close(g, exact)
    assert close(g, numerical.grad(row.fun)(x), 1e-6)


@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
@given(seed=seeds)
@quick
def test_three_worlds_agree_on_the_hessian(row, seed):
    x = points(row, seed)
    exact = formula(symbolic.hessian, row.expr, row.variables)(x).reshape(np.shape(x) * 2)
    H = hessian(row.fun)(x)
    assert close(H, exact)
    assert np.array_equal(H, np.transpose(H))
    assert np.abs(H - numerical.hessian(row.fun)(x)).max() < 1e-4 * max(1, np.abs(exact).max())
    v = np.random.default_rng(seed + 1).normal(size=np.shape(x))
    assert close(hvp(row.fun)(x, v), exact @ v if np.ndim(x) else exact * v)


@pytest.mark.parametrize("row", **by_name(VECTOR))
@given(seed=seeds)
@quick
def test_three_worlds_agree_on_the_jacobian(row, seed):
    x = points(row, seed)
    exact = formula(symbolic.jacobian, row.exprs, row.variables)(x)
    assert close(jacobian(row.fun)(x), exact)
    assert close(jacobian(row.fun)(x), numerical.jacobian(row.fun)(x), 1e-6)
    columns = [jvp(row.fun, x, v)[1] for v in np.eye(x.size)]
    assert close(np.stack(columns, axis=1), exact)


@pytest.mark.parametrize("row", **by_name(LINE))
@given(shape=hnp.array_shapes(max_dims=3, max_side=4), seed=seeds)
@quick
def test_arrays_of_any_shape_are_differentiated_entry_by_entry(row, shape, seed):
    rng = np.random.default_rng(seed)
    x, v = rng.uniform(*row.domain, shape), rng.normal(size=shape)
    assert close(grad(lambda x: ad.sum(row.fun(x)))(x), row.grad(x))
    assert close(jvp(row.fun, x, v)[1], row.grad(x) * v)
    assert close(hvp(lambda x: ad.sum(row.fun(x)))(x, v), row.hess(x) * v)


@pytest.mark.parametrize("row", **by_name(LINE))
def test_third_derivative_is_the_derivative_of_the_second(row):
    x = 0.7
    third = float(sp.diff(row.expr, *row.variables, 3).subs(*row.variables, x))
    assert grad(grad(grad(row.fun)))(x) == pytest.approx(third, rel=1e-12)
    assert grad(hessian(row.fun))(x) == pytest.approx(third, rel=1e-12)
    assert jvp(lambda x: jvp(grad(row.fun), x, 1.0)[1], x, 1.0)[1] == pytest.approx(third, 1e-12)


def test_third_derivative_of_several_variables():
    cubic = sp.symbols("x y")
    x, y = cubic
    expr = x**3 * y**2 + sp.sin(x * y)
    fun = symbolic.to_function(expr, cubic)
    at = np.array([0.4, 1.3])
    trace = grad(lambda p: ad.sum(hessian(fun_of_vars)(p) * np.eye(2)))(at)
    laplacian = sp.diff(expr, x, 2) + sp.diff(expr, y, 2)
    exact = symbolic.to_function(symbolic.grad(laplacian, cubic), cubic)(at)
    assert close(trace, exact)
    assert fun(at) == pytest.approx(fun_of_vars(at))


def fun_of_vars(p):
    return p[0] ** 3 * p[1] ** 2 + np.sin(p[0] * p[1])


# Every operation of the table, in both directions and to second order


def case(name, fun, *shapes, low=-2.0, high=2.0, exact=True):
    """Describe an operation: fun of arguments of these shapes; exact: complex numbers pass."""
    return pytest.param(fun, shapes, low, high, exact, id=name)


MASK = np.array([[True, False, True], [False, True, True]])
CASES = [
    case("add", ad.add, (2, 3), (2, 3)),
    case("add row", ad.add, (2, 3), (3,)),
    case("subtract column", ad.subtract, (2, 3), (2, 1)),
    case("multiply", ad.multiply, (2, 3), (2, 3)),
    case("multiply number", ad.multiply, (), (2, 3)),
    case("divide", ad.divide, (2, 3), (1, 3), low=0.5),
    case("power", ad.power, (2, 3), (3,), low=0.5),
    case("power 2", lambda x: ad.power(x, 2), (4,)),
    case("power -1", lambda x: x**-1, (4,), low=0.5),
    case("power 0", lambda x: x**0 * x, (4,)),
    case("power of 2", lambda x: 2**x, (4,)),
    case("maximum", ad.maximum, (2, 3), (3,), exact=False),
    case("minimum", ad.minimum, (2, 3), (2, 1), exact=False),
    case("negative", ad.negative, (3,)),
    case("exp", ad.exp, (3,)),
    case("expm1", ad.expm1, (3,)),
    case("log", ad.log, (3,), low=0.5),
    case("log1p", ad.log1p, (3,), low=-0.5),
    case("sqrt", ad.sqrt, (3,), low=0.5),
    case("sin", ad.sin, (3,)),
    case("cos", ad.cos, (3,)),
    case("tan", ad.tan, (3,), low=-1, high=1),
    case("arctan", ad.arctan, (3,)),
    case("tanh", ad.tanh, (3,)),
    case("sigmoid", ad.sigmoid, (3,), exact=False),
    case("softplus", ad.softplus, (3,), exact=False),
    case("relu", lambda x: ad.relu(x) ** 3, (6,), exact=False),
    case("abs", lambda x: ad.abs(x) ** 3, (6,), exact=False),
    case("where", lambda a, b: ad.where(MASK, a**2, b), (2, 3), (3,)),
    case("sum", lambda x: ad.sum(x**2), (2, 3)),
    case("sum of rows", lambda x: ad.sum(x**2, axis=0), (2, 3)),
    case("sum over two axes", lambda x: ad.sum(x**2, axis=(0, -1)), (2, 3, 2)),
    case("sum, axis kept", lambda x: x / ad.sum(x, axis=1, keepdims=True), (2, 3), low=0.5),
    case("sum, all axes kept", lambda x: ad.sum(x**2, keepdims=True) * x, (2, 2)),
    case("mean", lambda x: ad.mean(x**2), (2, 3)),
    case("mean of columns", lambda x: ad.mean(x**2, axis=-1), (2, 3)),
    case("max", lambda x: ad.max(x) ** 2, (2, 3), exact=False),
    case("max of rows", lambda x: ad.max(x, axis=0) ** 2, (3, 2), exact=False),
    case("max, axis kept", lambda x: x * ad.max(x, axis=1, keepdims=True), (2, 3), exact=False),
    case("min of columns", lambda x: ad.min(x, axis=1) ** 2, (2, 3), exact=False),
    case("logsumexp", ad.logsumexp, (4,), exact=False),
    case("logsumexp of rows", lambda x: ad.logsumexp(x, axis=1), (2, 3), exact=False),
    case("logsumexp, axis kept", lambda x: ad.logsumexp(x, 0, True) * x, (2, 3), exact=False),
    case("softmax", ad.softmax, (2, 3), exact=False),
    case("softmax of columns", lambda x: ad.softmax(x, axis=0), (3, 2), exact=False),
    case("matmul v v", ad.matmul, (3,), (3,)),
    case("matmul M v", ad.matmul, (2, 3), (3,)),
    case("matmul v M", ad.matmul, (3,), (3, 2)),
    case("matmul M M", ad.matmul, (2, 3), (3, 2)),
    case("matmul batch", ad.matmul, (2, 2, 3), (2, 3, 2)),
    case("matmul batch M", ad.matmul, (2, 2, 3), (3, 2)),
    case("matmul M batch", ad.matmul, (2, 3), (2, 3, 2)),
    case("matmul stretched batch", ad.matmul, (2, 1, 2, 3), (3, 3, 2)),
    case("matmul v batch", ad.matmul, (3,), (2, 3, 2)),
    case("matmul batch v", ad.matmul, (2, 2, 3), (3,)),
    case("affine", ad.affine, (2, 3), (3, 2), (2,)),
    case("affine of a vector", ad.affine, (3,), (3, 2), (2,)),
    case("affine with one output", ad.affine, (4, 3), (3, 1), (1,)),
    case("affine with a number", ad.affine, (2, 3), (3, 2), ()),
    case("affine of a batch", ad.affine, (2, 2, 3), (3, 2), (2,)),
    case("reshape", lambda x: ad.reshape(x, (3, -1)) ** 2, (2, 3)),
    case("reshape to a vector", lambda x: x.reshape(-1) ** 2, (2, 3)),
    case("transpose", lambda x: ad.transpose(x) ** 2, (2, 3)),
    case("transpose 3", lambda x: ad.transpose(x, (1, -1, 0)) ** 2, (2, 3, 2)),
    case("concatenate", lambda a, b: ad.concatenate([a, b, a * b]) ** 2, (3,), (3,)),
    case("concatenate columns", lambda a, b: ad.concatenate([a, b], -1) ** 2, (2, 3), (2, 1)),
    case("stack", lambda a, b: ad.stack([a, b, a * b]) ** 2, (), ()),
    case("stack last", lambda a, b: ad.stack([a, b], axis=-1) ** 2, (2, 3), (2, 3)),
    case("stack with a constant", lambda a: ad.stack([a, 2.0 * a, 1.0]) ** 2, ()),
    case("item", lambda x: x[1] ** 2, (3,)),
    case("items", lambda x: x[0] * x[1] * x[-1] + x[1], (3,)),
    case("slice", lambda x: x[1:] * x[:-1], (4,)),
    case("slice back", lambda x: x[::-2] ** 2, (5,)),
    case("row and column", lambda x: x[1] * x[:, 2].reshape(2, 1), (2, 3)),
    case("new axis", lambda x: x[:, None] * x[None, ...], (3,)),
    case("entries by list", lambda x: x[[0, 2, 2, 0]] ** 2, (3,)),
    case("entries by array", lambda x: x[np.array([[0, 1], [1, 1]])] ** 2, (3, 2)),
    case("entries by pairs", lambda x: x[np.arange(2), [2, 2]] ** 2, (2, 3)),
    case("entries by mask", lambda x: x[MASK] ** 2, (2, 3)),
    case("entries by a tuple in a tuple", lambda x: x[(0, 2, 2, 0),] ** 2, (3,)),
    case("entries by pairs of tuples", lambda x: x[(0, 1, 1), (2, 0, 0)] ** 2, (2, 3)),
    case("rows by a tuple", lambda x: x[(0, 0, 1), :] ** 2, (2, 3)),
    case("rows of a slice", lambda x: x[1:][0] * x[:, ::2][1, 1], (2, 3)),
    case("numpy names", lambda x: np.sum(np.exp(x) * np.tanh(x), axis=0), (2, 3)),
]
every_case = pytest.mark.parametrize(("fun", "shapes", "low", "high", "exact"), CASES)


def packed(fun, shapes, low, high):
    """Return a scalar function of one vector that uses fun with random weights, and a point."""
    rng = np.random.default_rng(7)
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    weights = {}

    def arguments(p):
        parts = zip([0, *ends[:-1]], ends, shapes, strict=True)
        return [p[a:b].reshape(shape) if shape else p[a] for a, b, shape in parts]

    def scalar(p):
        y = fun(*arguments(p))
        shape = np.shape(y)
        if shape not in weights:
            weights[shape] = rng.normal(size=shape)
        return ad.sum(y * weights[shape])

    x = rng.uniform(low, high, ends[-1])
    scalar(x)
    return scalar, x, rng.normal(size=x.size)


@every_case
def test_rule_agrees_with_complex_step_or_central_differences(fun, shapes, low, high, exact):
    f, x, v = packed(fun, shapes, low, high)
    g = numerical.grad(f, scheme="complex" if exact else "central")(x)
    tol = 1e-12 if exact else 1e-7
    assert close(grad(f)(x), g, tol)
    assert close(jvp(f, x, v)[1], g @ v, tol * x.size)


@every_case
def test_rule_of_the_rule_agrees_with_differences_of_the_gradient(fun, shapes, low, high, exact):
    f, x, _ = packed(fun, shapes, low, high)
    assert close(hessian(f)(x), numerical.jacobian(grad(f))(x), 1e-6)


@every_case
def test_jacobian_of_the_gradient_is_symmetric_before_hessian_averages(
    fun, shapes, low, high, exact
):
    f, x, _ = packed(fun, shapes, low, high)
    last_zero = np.where(np.arange(x.size) < x.size - math.prod(shapes[-1]), x, 0.0)
    for at in (x, last_zero):
        H = outcome(jacobian(grad(f)), at)
        if isinstance(H, str):  # as the logarithm at 0
            assert "not finite" in H
            assert at is last_zero
        else:
            assert close(H, H.T)


@every_case
def test_all_four_ways_to_second_order_agree(fun, shapes, low, high, exact):
    f, x, v = packed(fun, shapes, low, high)
    reverse_over_reverse = hessian(f)(x) @ v
    forward_over_reverse = hvp(f)(x, v)
    reverse_over_forward = grad(lambda p: jvp(f, p, v)[1])(x)
    forward_over_forward = [jvp(lambda p, e=e: jvp(f, p, v)[1], x, e)[1] for e in np.eye(x.size)]
    for got in (forward_over_reverse, reverse_over_forward, np.array(forward_over_forward)):
        assert close(got, reverse_over_reverse)


@every_case
def test_each_argument_alone_has_its_part_of_the_gradient(fun, shapes, low, high, exact):
    f, x, v = packed(fun, shapes, low, high)
    whole, start = grad(f)(x), 0
    for shape in shapes:
        part = slice(start, start + math.prod(shape))

        def alone(p, part=part):
            return f(ad.concatenate([x[: part.start], p, x[part.stop :]]))

        assert close(grad(alone)(x[part]), whole[part])
        assert close(jvp(alone, x[part], v[part])[1], whole[part] @ v[part])
        start = part.stop


def test_every_operation_of_the_table_has_a_case():
    tried = set()
    for fun, shapes, low, high, _ in (row.values for row in CASES):
        _, _, *rest = packed(fun, shapes, low, high)
        assert rest
        arguments = [Var(np.full(shape, 1.1)) for shape in shapes]
        out = ad.sum(fun(*arguments))
        tried |= {row.operation for row in tape(out)}
        tried |= {row.operation for row in tape(second_order(fun, shapes))}
    operations = (getattr(value, "operation", None) for value in vars(ad).values())
    table = {each.name for each in operations if isinstance(each, ad._Operation)}
    assert len(table) > 30
    assert tried >= table


def second_order(fun, shapes):
    """Return a Var that was made by the rules of fun."""
    rng = np.random.default_rng(1)
    x = Var(rng.uniform(0.5, 0.9, sum(math.prod(shape) for shape in shapes)))
    f, _, _ = packed(fun, shapes, 0.5, 0.9)
    return ad.sum(grad(f)(x) * x)


def nth(order):
    return reduce(lambda f, _: grad(f), range(order), np.sin)(0.3)


def test_derivatives_of_sine_repeat_with_period_four():
    assert [nth(k) for k in range(1, 6)] == pytest.approx(
        [np.cos(0.3), -np.sin(0.3), -np.cos(0.3), np.sin(0.3), np.cos(0.3)], rel=1e-14
    )


@pytest.mark.parametrize(
    "operation", [ad.add, ad.subtract, ad.multiply, ad.divide, ad.power, ad.maximum]
)
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), seed=seeds)
@quick
def test_broadcasting_is_undone_in_the_gradient(operation, shapes, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.uniform(0.5, 2, shape) for shape in shapes.input_shapes)
    w = rng.normal(size=shapes.result_shape)
    a, b = Var(x), Var(y)
    cotangents = backward(ad.sum(operation(a, b) * w))
    for var, fun in ((a, lambda p: operation(p, y)), (b, lambda p: operation(x, p))):
        g, t = cotangents[var], rng.normal(size=var.shape)
        assert np.shape(g) == var.shape
        tangent = jvp(fun, var.value, t)[1]
        assert np.shape(tangent) == shapes.result_shape
        assert np.sum(tangent * w) == pytest.approx(np.sum(g * t), abs=1e-10)
        assert np.sum(g * t) == pytest.approx(slope(fun, var.value, t, w), abs=1e-6)


@pytest.mark.parametrize(
    ("fun", "x", "expected"),
    [
        (lambda x: ad.sum(x * np.zeros(0)) + x[0], [2.0], [1.0]),
        (lambda x: ad.sum((x[1:] - x) ** 2) + ad.sum(x**2), [2.0], [4.0]),
        (lambda x: ad.sum((np.zeros((0, 3)) + x) ** 2) + ad.sum(x**2), [[1.0, 2.0, 3.0]], None),
        (lambda x: ad.sum((np.zeros((0, 3)) + x) ** 2) + ad.sum(x**2), [1.0, 2.0, 3.0], None),
        (lambda x: ad.sum(np.ones((2, 0)) * x) + ad.sum(x**2), [[1.0], [2.0]], None),
    ],
)
def test_what_is_stretched_to_nothing_adds_nothing(fun, x, expected):
    expected = 2 * np.array(x) if expected is None else expected
    assert grad(fun)(x) == pytest.approx(np.array(expected))
    assert np.sum(grad(fun)(x)) == pytest.approx(jvp(fun, x, np.ones_like(x))[1])
    assert np.shape(grad(lambda p: ad.sum(grad(fun)(p)))(x)) == np.shape(x)


@pytest.mark.parametrize(
    "pull",
    [
        lambda g, y, x: g,
        lambda g, y, x: 0,
        lambda g, y, x: np.ones(5),
        lambda g, y, x: np.ones((5, 1)),
        lambda g, y, x: np.ones((2, 2))[:, :0],
    ],
)
def test_a_pull_of_a_wrong_shape_is_refused_by_the_name_of_its_operation(pull):
    total = ad.primitive("total", np.sum, [pull])
    with pytest.raises(ValueError, match=r"a pull of total must give .*\(2,\).*g dy/dx"):
        grad(total)([1.0, 2.0])
    with pytest.raises(ValueError, match="a pull of total must give"):
        grad(lambda x: total(x * x))([1.0, 2.0])


@pytest.mark.parametrize("pull", [lambda g, y, x: None, lambda g, y, x: [2.0 * x]])
@pytest.mark.parametrize("x", [3.0, [3.0, 4.0]])
def test_a_pull_that_gives_no_number_is_refused(pull, x):
    forgot = ad.primitive("forgot", lambda x: x * x, [pull])
    for fun in (forgot, lambda x: forgot(x) * forgot(x), lambda x: forgot(x) + x):
        with pytest.raises(TypeError, match=r"a pull of forgot must give .*ends in return"):
            grad(lambda x, fun=fun: ad.sum(fun(x)))(x)


def test_a_pull_may_give_a_whole_number():
    floor = ad.primitive("floor", np.floor, [lambda g, y, x: 0])
    assert grad(lambda x: x + floor(x))(1.5) == 1.0


@pytest.mark.parametrize("operation", [ad.add, ad.multiply, ad.power, ad.maximum])
def test_two_vars_of_shapes_that_do_not_fit_are_told_so(operation):
    with pytest.raises(ValueError, match=rf"{operation.__name__} cannot take .*\(2,\) and \(3,\)"):
        operation(Var([1.0, 2.0]), Var([1.0, 2.0, 3.0]))


def test_an_empty_mean_along_an_axis_is_empty():
    g = grad(lambda x: ad.sum(ad.mean(x[:0].reshape(0, 3), axis=1)) + ad.sum(x))(np.ones(3))
    assert g.tolist() == [1, 1, 1]


def test_logsumexp_of_nothing_but_minus_infinity_is_minus_infinity():
    x = np.array([[-np.inf, -np.inf], [np.inf, 0.0], [0.0, -np.inf]])
    assert ad.logsumexp(x, axis=1).tolist() == [-np.inf, np.inf, 0]


def slope(fun, x, t, w):
    """Return the derivative of the sum of w fun(x) along t, by central differences."""
    return numerical.derivative(lambda h: np.sum(fun(x + h * t) * w), 0.0)


def test_ties_and_kinks_are_as_documented():
    assert grad(ad.abs)(0.0) == 0
    assert grad(ad.relu)(0.0) == 0
    assert grad(lambda x: ad.maximum(x, 0.0))(0.0) == 0.5
    assert grad(lambda x: ad.minimum(0.0, x))(0.0) == 0.5
    assert grad(ad.max)([1.0, 3.0, 3.0]).tolist() == [0, 0.5, 0.5]
    assert grad(ad.min)([1.0, 1.0, 3.0]).tolist() == [0.5, 0.5, 0]
    assert jvp(ad.max, [1.0, 3.0, 3.0], [1.0, 1.0, 0.0])[1] == 0.5


def test_powers_at_zero():
    assert grad(lambda x: x**2)(0.0) == 0
    assert grad(lambda x: x**0)(0.0) == 0
    assert grad(lambda x: x**1)(0.0) == 1
    assert grad(lambda x: ad.sum(x ** np.array([0.0, 1.0, 2.0])))(np.zeros(3)).tolist() == [0, 1, 0]
    assert grad(lambda b: 0.0**b)(2.0) == 0
    assert hessian(lambda x: x**3)(0.0) == 0
    with pytest.raises(ValueError, match=r"gradient of fun is not finite at x=0\.0"):
        grad(lambda x: x**x)(0.0)


def test_second_derivatives_of_a_power_at_exponent_zero():
    a, log = 2.0, math.log(2)
    exact = [[0, 1 / a], [1 / a, log**2]]  # of a^b at b = 0
    H = jacobian(grad(lambda x: x[0] ** x[1]))([a, 0.0])
    assert close(H, exact)
    arrays = jacobian(grad(lambda x: ad.sum(x[:1] ** x[1:])))([a, 0.0])
    assert close(arrays, exact)
    columns = [hvp(lambda x: x[0] ** x[1])([a, 0.0], v) for v in np.eye(2)]
    assert close(np.array(columns), exact)
    assert grad(lambda x: ad.sum(x**0))(np.zeros(2)).tolist() == [0, 0]


def test_stable_functions_stay_finite_and_exact_where_naive_ones_overflow():
    big = np.array([-800.0, -40.0, 0.0, 40.0, 800.0])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert ad.sigmoid(big) == pytest.approx([0, math.exp(-40), 0.5, 1, 1], rel=1e-15)
        assert ad.softplus(big) == pytest.approx([0, math.exp(-40), math.log(2), 40, 800])
        assert ad.logsumexp(big) == 800
        assert ad.softmax(big).tolist() == [0, 0, 0, 0, 1]
    g = grad(lambda x: ad.sum(ad.sigmoid(x)))(big)
    assert g == pytest.approx([0, math.exp(-40), 0.25, 0, 0], rel=1e-12)
    assert grad(lambda x: ad.sum(ad.softplus(x)))(big) == pytest.approx(ad.sigmoid(big))
    assert np.isfinite(hessian(ad.logsumexp)(big)).all()


# Nested derivatives do not confuse what they are with respect to


def test_inner_derivative_does_not_see_the_outer_variable():
    def inner(x, derivative):
        return derivative(lambda y: x * y, 2.0)

    ways = [lambda f, x: grad(f)(x), lambda f, x: jvp(f, x, 1.0)[1]]
    for outer in ways:
        for way in ways:
            # d/dx (x d/dy (x y)) = d/dx x^2, and d/dx (x d/dy (x + y)) = 1
            assert outer(lambda x, way=way: x * inner(x, way), 3.0) == 6
            assert outer(lambda x, way=way: x * way(lambda y, x=x: x + y, 1.0), 3.0) == 1


def test_inner_result_without_the_inner_variable_belongs_to_the_outer_derivative():
    # the inner function is constant, its value w^2 is not: d/dw (w w^2) = 3 w^2
    assert grad(lambda w: w * value_and_grad(lambda x: w * w)(1.0)[0])(3.0) == 27
    assert grad(lambda w: w * vjp(lambda x: w * w, 1.0)[0])(3.0) == 27
    assert grad(lambda w: w * jvp(lambda x: w * w, 1.0, 1.0)[0])(3.0) == 27


def test_inner_result_without_the_inner_variable_has_slope_0_there():
    assert jvp(lambda w: w * jvp(lambda x: w * w, 1.0, 1.0)[1], 3.0, 1.0) == (0, 0)
    assert grad(lambda w: w * jvp(lambda x: w * w, 1.0, 1.0)[1])(3.0) == 0
    assert jvp(lambda w: w * grad(lambda x: w * w)(1.0), 3.0, 1.0) == (0, 0)
    assert grad(lambda w: w * grad(lambda x: w * w)(1.0))(3.0) == 0


@pytest.mark.parametrize("outer", [grad, lambda fun: lambda x: jvp(fun, x, 1.0)])
@pytest.mark.parametrize("inner", [grad, lambda fun: lambda x: jvp(fun, x, 1.0)[1]])
def test_a_var_that_outlives_its_derivative_is_refused(outer, inner):
    def leaking(x):
        kept = []
        inner(lambda y: kept.append(y) or y * x)(1.0)
        return kept[0] * x

    with pytest.raises(TypeError, match=r"another derivative, which has ended.*keep its \.value"):
        outer(leaking)(2.0)


def test_backward_inside_a_derivative_is_refused():
    with pytest.raises(TypeError, match=r"enclosing derivative.*use grad, value_and_grad or vjp"):
        grad(lambda x: backward(x**3)[x])(2.0)
    assert grad(lambda x: x * backward(Var(3.0) ** 2, inner=False).popitem()[1])(2.0) == 6


def test_free_vars_pass_through_inner_derivatives():
    w = Var([1.0, 2.0])
    inner = grad(lambda x: ad.sum(w * x**2))(np.array([3.0, 5.0]))
    assert inner.value.tolist() == [6, 20]
    assert backward(ad.sum(inner))[w].tolist() == [6, 10]


def test_pullback_is_differentiable_in_its_cotangent():
    x = np.array([1.0, 2.0])
    assert grad(lambda g: ad.sum(vjp(ad.sin, x)[1](g) ** 2))(np.ones(2)) == pytest.approx(
        2 * np.cos(x) ** 2
    )


def test_plain_cotangents_meet_traced_ones_on_the_same_array():
    w = Var(3.0)

    def fun(x):
        return x[0] * 2 + x[1] * w + x[0] * w + x[1]

    g = grad(fun)(np.array([1.0, 1.0]))
    assert g.value.tolist() == [5, 4]
    assert backward(ad.sum(g * np.array([1.0, 10.0])))[w] == 11


def test_stop_gradient_is_a_constant():
    assert grad(lambda x: ad.stop_gradient(x) * x)(3.0) == 3
    assert jvp(lambda x: ad.stop_gradient(x) * x, 3.0, 1.0) == (9, 3)
    assert ad.stop_gradient(2.0) == 2


# Control flow follows the value


def newton_root(a):
    x = a
    while abs(x * x - a) > 1e-12:
        x = (x + a / x) / 2
    return x


def test_derivative_goes_through_loops_and_branches():
    assert grad(newton_root)(2.0) == pytest.approx(0.5 / math.sqrt(2))
    assert jvp(newton_root, 2.0, 1.0)[1] == pytest.approx(0.5 / math.sqrt(2))
    assert hessian(newton_root)(2.0) == pytest.approx(-0.25 * 2**-1.5)

    def branch(x):
        return x**2 if x > 0 else -x

    assert grad(branch)(3.0) == 6
    assert grad(branch)(-3.0) == -1

    def recursive(x, n):
        return x if n == 0 else x * recursive(x, n - 1)

    assert grad(lambda x: recursive(x, 4))(2.0) == 80


def test_comparisons_and_conversions_give_plain_values():
    x, y = Var(2.0), Var(3.0)
    assert [x < y, x <= 2, x == y, x != y, x >= y, x > 1] == [True, True, False, True, False, True]
    assert type(x < y) is bool
    assert (Var([1.0, 3.0]) > 2).tolist() == [False, True]
    assert (np.array([1.0, 3.0]) > Var(2.0)).tolist() == [False, True]
    assert bool(x)
    assert not Var(0.0)
    assert f"{x:.2f}" == "2.00"
    assert len(Var([1.0, 2.0])) == 2
    assert [v.value for v in Var([1.0, 2.0])] == [1, 2]
    with pytest.raises(TypeError):
        len(x)


def test_var_reads_like_its_array():
    x = Var([[1.0, 2.0, 3.0]])
    assert (x.shape, x.ndim, x.size, x.T.shape) == ((1, 3), 2, 3, (3, 1))
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((1, 3), 2, 3)
    assert x.sum().value == 6
    assert x.mean(axis=1).value.tolist() == [2]
    assert x.max().value == 3
    assert x.min().value == 1
    assert x.transpose(1, 0).shape == x.transpose((1, 0)).shape == (3, 1)
    assert (+x).value.tolist() == [[1, 2, 3]]
    assert x.transpose().shape == x.reshape(3, 1).shape == x.reshape((-1, 1)).shape == (3, 1)
    assert repr(x) == "Var([[1., 2., 3.]])"
    assert repr(Var(2)) == "Var(2.0)"
    assert (-x).value.tolist() == [[-1, -2, -3]]


# The tape: no recursion, no cycles, nothing changed


def test_chain_of_200_000_operations():
    def long(x):
        for _ in range(100_000):
            x = x * 1.00001 + 1e-9
        return x

    slope = 1.00001**100_000
    assert grad(long)(1.0) == pytest.approx(slope, rel=1e-9)
    assert jvp(long, 1.0, 1.0)[1] == pytest.approx(slope, rel=1e-9)
    assert hvp(lambda x: long(x) ** 2)(1.0, 1.0) == pytest.approx(2 * slope**2, rel=1e-9)


def test_long_chain_can_be_dropped_even_with_a_small_stack():
    failures = []

    def run():
        try:
            x = Var(1.0)
            y = x
            for _ in range(200_000):
                y = y + 1.0
            assert backward(y)[x] == 1
        except BaseException as error:  # handed to the test
            failures.append(error)

    size = threading.stack_size(2 * 1024 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert not failures


def mixed(p):
    a = ad.tanh(ad.affine(p.reshape(2, 3), np.ones((3, 2)), np.ones(2)))
    b = ad.concatenate([a[0], a[:, 1], ad.stack([a[0, 0], p[1]])])
    return ad.logsumexp(b) + ad.sum(b[[0, 0, 1]] * 2.0) + ad.max(b)


@pytest.mark.parametrize(
    "run",
    [
        lambda x: grad(mixed)(x),
        lambda x: hessian(mixed)(x),
        lambda x: hvp(mixed)(x, x),
        lambda x: backward(mixed(Var(x))),
        lambda x: tape(mixed(Var(x))),
        lambda x: cost(grad(mixed))(x),
    ],
)
def test_nothing_is_left_for_the_garbage_collector(run):
    x = np.arange(6.0)
    run(x)
    gc.collect()
    gc.disable()
    try:
        run(x)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_tape_is_freed_with_its_end():
    held = []

    def fun(x):
        held.append(weakref.ref(ad.exp(x).value.base))
        return ad.sum(ad.exp(x))

    grad(fun)(np.ones(3))
    assert held[0]() is None


def test_backward_twice_gives_the_same_and_changes_nothing():
    x, y = Var(2.0, name="x"), Var([1.0, 3.0], name="y")
    out = ad.sum(x * y * y) + x
    before = [(row.name, row.operation, row.parents, np.array(row.value)) for row in tape(out)]
    first, second = backward(out), backward(out)
    after = [(row.name, row.operation, row.parents, np.array(row.value)) for row in tape(out)]
    assert str(before) == str(after)
    assert first.keys() == second.keys()
    assert first[x] == second[x] == 11
    assert first[y].tolist() == second[y].tolist() == [4, 12]
    assert first[out] == 1


def test_backward_carries_on_what_is_not_finite_to_show_where_it_began():
    x = Var(2.0, name="x")
    out = x * x * np.inf
    assert [row.value for row in tape(out)] == [2, 4, np.inf]
    assert backward(out)[x] == np.inf


@pytest.mark.parametrize(
    ("fun", "x", "value", "slope"),
    [
        (lambda x: 1 / x, 0.0, np.inf, -np.inf),
        (lambda x: x / 0, 2.0, np.inf, np.inf),
        (lambda x: x**2, 1e200, np.inf, 2e200),
        (lambda x: x**3, 1e200, np.inf, np.inf),
        (lambda x: x**-1, 0.0, np.inf, -np.inf),
        (lambda x: 10.0**x, 400.0, np.inf, np.inf),
        (ad.log, 0.0, -np.inf, np.inf),
        (ad.sqrt, 0.0, 0.0, np.inf),
        (lambda x: x**200 * x**-200, 1e3, np.nan, np.nan),
        (lambda x: x**200 - x**200, 1e3, np.nan, np.nan),
    ],
)
def test_numbers_become_infinite_as_those_of_an_array_do(fun, x, value, slope):
    with np.errstate(all="ignore"):
        start, array = Var(x), Var([x])
        out, same = fun(start), fun(array)
    assert np.array_equal([out.value], same.value, equal_nan=True)
    assert np.array_equal(out.value, value, equal_nan=True)
    assert np.array_equal(backward(out)[start], slope, equal_nan=True)
    assert np.array_equal(backward(ad.sum(same))[array], [slope], equal_nan=True)


def test_numbers_that_become_infinite_warn_as_in_numpy():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        _ = 1 / Var(0.0)
    with pytest.warns(RuntimeWarning, match="overflow"):
        _ = Var(1e200) ** 2


def test_forward_mode_names_the_point_where_a_slope_is_infinite():
    for fun in (ad.log, ad.sqrt, lambda x: 1 / x, lambda x: ad.sqrt(x) * 2):
        with pytest.raises(ValueError, match=r"at x=0\.0"):
            jvp(fun, 0.0, 1.0)
        with pytest.raises(ValueError, match=r"at x=0\.0"):
            hvp(fun)(0.0, 1.0)


def test_sum_over_all_uses_of_a_var():
    x = Var(3.0)
    assert backward(x + x + x * x)[x] == 8
    v = Var([1.0, 2.0])
    assert backward(v @ v + v[0] + ad.sum(v))[v].tolist() == [4, 5]


def test_items_of_an_array_cost_one_array_for_all():
    n = 3000
    x = np.linspace(0, 1, n)
    g = grad(lambda x: sum((x[k] * k for k in range(n)), 0.0))(x)
    assert np.array_equal(g, np.arange(n))


class Rows:
    """A list of rows that only NumPy can read, as the column of a table is."""

    def __array__(self, dtype=None, copy=None):
        return np.array([0, 0], dtype)


def test_entry_listed_twice_counts_twice_in_any_kind_of_list():
    buffer = array.array("l", [0, 0])
    for twice in ([0, 0], np.array([0, 0]), buffer, memoryview(buffer), Rows()):
        g = grad(lambda x, twice=twice: ad.sum(x[twice] ** 2))
        assert g([1, 2, 3]).tolist() == [4, 0, 0]
        assert jacobian(g)([1, 2, 3]).diagonal().tolist() == [4, 0, 0]
    for twice in ([0, 0], (0, 0), np.array([0, 0]), buffer, memoryview(buffer), Rows()):
        assert grad(lambda x, twice=twice: ad.sum(x[twice,]))([1, 2, 3]).tolist() == [2, 0, 0]
    g = grad(lambda x: ad.sum(x[np.arange(3), (0, 0, 1)]))(np.ones((3, 2)))
    assert g.tolist() == [[1, 0], [1, 0], [0, 1]]


def test_an_empty_list_takes_no_entry():
    for none in ([], (), np.zeros(3, bool)):
        x = Var([1.0, 2.0, 3.0])
        assert x[none,].shape == (0,)
        assert backward(ad.sum(x[none,]) + ad.sum(x))[x].tolist() == [1, 1, 1]


def test_items_are_added_to_the_cotangent_of_their_array_alone():
    v, w = Var([1.0, 2.0]), Var([3.0, 4.0])
    item = v[0]
    both = v + w  # newer than the item, so v, w and both have one array when the item adds to it
    cotangents = backward(ad.sum(both) + item * 5.0)
    assert cotangents[v].tolist() == [6, 1]
    assert cotangents[w].tolist() == [1, 1]
    assert cotangents[both].tolist() == [1, 1]


# Changes in place cannot corrupt a gradient


def test_caller_arrays_are_not_changed_and_changing_them_has_no_effect():
    x, c = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    v, index = Var(x), np.array([0, 1])
    mask, rows = np.array([True, False]), [0, 1]
    out = ad.sum(v * c + v[index] * c + v[mask] * 5.0 + v[rows] + ad.where(mask, v, v**2))
    for given_array in (x, c, index, mask):
        given_array[:] = 0
    rows[:] = [1, 1]
    assert backward(out)[v].tolist() == [2 * 3 + 10 + 1 + 1, 2 * 4 + 1 + 4]


def test_arrays_inside_tuples_may_change_later():
    buffer, index = np.array([3.0, 4.0]), np.array([0, 0])
    v = Var([1.0, 2.0])
    product, joined = v @ (buffer[0:1], buffer[1:2]), ad.concatenate([(buffer[0], 7.0), v])
    rows = v[(index, index),]
    out = ad.sum(product) + ad.sum(joined * joined) + ad.sum(rows * rows)
    buffer[:], index[:] = 0, 1
    assert backward(out)[v].tolist() == [3 + 2 + 4 * 2, 4 + 4]
    assert joined.value.tolist() == [3, 7, 1, 2]


def test_tuples_are_arrays_where_numbers_are_expected():
    assert grad(lambda x: x @ (1.0, 2.0, 3.0))([1, 2, 3]).tolist() == [1, 2, 3]
    assert grad(lambda x: ad.sum(ad.concatenate([(3.0,), x])))([1, 2]).tolist() == [1, 1]
    assert grad(lambda x: ad.sum(x * (5, 6)))([1, 2]).tolist() == [5, 6]
    assert ad.add((1, 2), [3, 4]).tolist() == [4, 6]


def test_index_arrays_are_copied():
    v, index, mask = Var([1.0, 2.0]), np.array([0]), np.array([True, False])
    out = ad.sum(v[index] * 3.0) + ad.sum(v[mask, None]) + ad.sum(v[index, None] * 5.0)
    index[0], mask[:] = 1, [False, True]
    assert backward(out)[v].tolist() == [3 + 1 + 5, 0]


def test_read_only_view_is_copied_because_its_owner_can_change():
    buffer = np.array([3.0, 4.0])
    view = buffer[:]
    view.setflags(write=False)
    v = Var([1.0, 2.0])
    out = ad.sum(v * view)
    buffer[:] = 0
    assert backward(out)[v].tolist() == [3, 4]


def test_read_only_array_is_copied_because_a_view_made_before_can_change_it():
    buffer = np.array([3.0, 4.0])
    view = buffer[:]
    buffer.setflags(write=False)
    v = Var([1.0, 2.0])
    out = ad.sum(v * buffer)
    view[:] = 0
    assert backward(out)[v].tolist() == [3, 4]


@pytest.mark.parametrize("kind", [list, np.array, tuple])
def test_conditions_of_any_kind_may_change_later(kind):
    first, second = np.array([True, False]), np.array([False, True])
    condition = kind([first, second])
    v = Var([[1.0, 2.0], [3.0, 4.0]])
    out = ad.sum(ad.where(condition, v**2, 0.0))
    first[:] = second[:] = False
    condition[0][:] = False
    assert backward(out)[v].tolist() == [[2, 0], [0, 8]]


def test_buffers_as_index_may_change_later():
    rows, mask = array.array("l", [0, 1]), [[True, False], [False, True]]
    v = Var([[1.0, 2.0], [3.0, 4.0]])
    out = ad.sum(v[rows] ** 2) + ad.sum(v[mask,] ** 3)
    rows[0] = rows[1] = 1
    mask[0][0] = mask[1][1] = False
    assert backward(out)[v].tolist() == [[2 + 3, 4], [6, 8 + 48]]


MASKED = np.ma.array([1.0, 2.0], mask=[False, True])


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: ad.sum(x - MASKED),
        lambda x: ad.sum(MASKED) + ad.sum(x),
        lambda x: ad.sum(ad.where(MASKED > 0, x, 0.0)),
        lambda x: ad.sum(x[np.ma.array([0, 1], mask=[False, True])]),
        lambda x: x @ MASKED,
        lambda x: ad.sum(ad.concatenate([x, MASKED])),
    ],
)
def test_masked_entries_are_refused_wherever_they_come_in(fun):
    with pytest.raises(ValueError, match="masked entries"):
        grad(fun)([1.0, 2.0])


def test_inner_cotangents_can_be_left_out():
    w, x = Var([2.0, 3.0]), Var(4.0)
    product = w * x
    out = ad.sum(product**2)
    everything, ends = backward(out), backward(out, inner=False)
    assert set(ends) == {w, x}
    assert {product, out} <= set(everything)
    assert ends[w].tolist() == everything[w].tolist() == [64, 96]
    assert ends[x] == everything[x] == 104


def test_functions_cannot_change_what_they_are_differentiated_at():
    x = np.array([1.0, 2.0])

    def fun(p):
        y = ad.sum(p * p)
        x[:] = 0
        return y

    assert grad(fun)(x).tolist() == [2, 4]
    assert x.tolist() == [0, 0]


@pytest.mark.parametrize(
    "view",
    [
        lambda v: v.value,
        lambda v: v[:].value,
        lambda v: v.T.value,
        lambda v: v.reshape(2, 1).value,
        lambda v: (v * 2).value,
        lambda v: ad.stop_gradient(v),
        lambda v: tape(ad.sum(v * 2))[1].value,
    ],
)
def test_arrays_of_the_tape_are_read_only(view):
    array = view(Var([1.0, 2.0]))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 7
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.setflags(write=True)
    with pytest.raises(TypeError, match="read-only"):
        array.base[...] = 7


def test_cotangents_are_read_only():
    found = backward(ad.sum(Var([1.0, 2.0]) + Var([3.0, 4.0])))
    for g in filter(np.ndim, found.values()):
        with pytest.raises(ValueError, match="read-only"):
            g[0] = 7


def test_results_belong_to_the_caller():
    x = np.array([1.0, 2.0])
    value, pullback = vjp(lambda p: p * 1.0, x)
    g = pullback(x)
    value[:] = g[:] = 0
    assert pullback([5.0, 6.0]).tolist() == [5, 6]
    value, pullback = vjp(ad.exp, x)  # whose rule needs the value
    value[:] = 0
    assert pullback([1.0, 1.0]) == pytest.approx(np.exp(x))
    same, back = vjp(lambda p: p, x)
    same[0] = 9
    seed = np.array([1.0, 1.0])
    back(seed)[0] = 9
    assert x.tolist() == [1, 2]
    assert seed.tolist() == [1, 1]
    _, t = jvp(lambda p: p, x, seed)
    t[0] = 9
    assert seed.tolist() == [1, 1]


def test_in_place_operators_make_a_new_var():
    def fun(x):
        y = x
        y += 1.0
        y *= x
        return ad.sum(y)

    assert grad(fun)([1.0, 2.0]).tolist() == [3, 5]


def assign(array, index, value):
    array[index] = value


LOST = "lose its derivative"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda v: assign(v, 0, 1.0),
            TypeError,
            r"in place.*autodiff\.where, concatenate or stack",
        ),
        (lambda v: assign(np.zeros(2), slice(None), v), TypeError, LOST),
        (lambda v: np.add(v, 1.0, out=np.zeros(2)), TypeError, r"in place of a \+= b"),
        (lambda v: np.zeros(2).__iadd__(v), TypeError, r"in place of a \+= b write a = a \+ b"),
        (lambda v: np.add.at(np.zeros(2), [0, 1], v), TypeError, "add.at has no rule"),
    ],
)
def test_change_in_place_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        change(Var([1.0, 2.0]))


CONVERSIONS = {
    "float": lambda y, x: float(x),
    "int": lambda y, x: int(x),
    "complex": lambda y, x: complex(x),
    "round": lambda y, x: round(x, 2),
    "math.sin": lambda y, x: math.sin(x),
    "math.fsum": lambda y, x: math.fsum([x, 1.0]),
    "range": lambda y, x: range(x),
    "percent": lambda y, x: "%.2f" % x,  # noqa: UP031
    "entry": lambda y, x: assign(y, 0, x),
    "one of two entries": lambda y, x: [assign(y, 0, 1.0), assign(y, 1, x)],
    "entry added to": lambda y, x: assign(y, 0, y[0] + x),
    "slice": lambda y, x: assign(y, slice(1), x),
    "listed entries": lambda y, x: assign(y, [0, 1], x),
    "slice from a list": lambda y, x: assign(y, slice(None), [1.0, x]),
    "setitem": lambda y, x: operator.setitem(y, 0, x),
    "put": lambda y, x: y.put(0, x),
    "fill": lambda y, x: y.fill(x),
    "fromiter": lambda y, x: np.fromiter([x, x], float),
    "index": lambda y, x: y[x],
    "slice of a Var": lambda y, x: ad.stack([x, x])[:x],
    "index list": lambda y, x: ad.stack([x, x])[[0, x]],
}


@pytest.mark.parametrize("trace", [grad, lambda f: lambda x: jvp(f, x, 1.0)], ids=["grad", "jvp"])
@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
def test_derivative_is_never_lost_in_a_plain_number_or_array(trace, convert):
    def fun(x):
        y = np.zeros(2)
        convert(y, x)
        return y.sum()

    with pytest.raises(TypeError, match=f"{LOST}.*x.value.*math.sin.*stack or concatenate"):
        trace(fun)(2.0)


def test_numpy_names_the_reason_above_its_own_where_no_verb_can_say_it():
    y = np.zeros(2)
    with pytest.raises(ValueError, match="setting an array element") as caught:
        y[0] = Var(2.0)
    assert LOST in str(caught.value.__cause__)
    assert y.tolist() == [0, 0]


def test_other_value_errors_of_fun_pass_unchanged():
    def fun(x):
        raise ValueError("no value here")

    with pytest.raises(ValueError, match=r"^no value here$"):
        grad(fun)(1.0)


def test_plain_number_is_there_for_who_asks():
    x, y = Var(2.0), np.zeros(2)
    y[0] = x.value
    assert y.tolist() == [2, 0]
    assert math.sin(x.value) == math.sin(2.0)
    assert (f"{x:.1f}", x > 1, 1 if x else 0) == ("2.0", True, 1)


# NumPy functions work or say what to use


X = np.array([0.3, 0.6])


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: 2.0 * x,
        lambda x: X * x,
        lambda x: x / X,
        lambda x: X / x,
        lambda x: X - x,
        lambda x: X**x,
        lambda x: X @ x,
        lambda x: np.ones((3, 2)) @ x,
        lambda x: np.float64(2) * x,
        lambda x: np.float64(2) ** x,
        lambda x: np.int64(2) * x,
        lambda x: [1, 2] * x,
        lambda x: x - [1, 2],
        lambda x: np.exp(x) + np.log(x) + np.sqrt(x) + np.abs(-x) + np.expm1(x) + np.log1p(x),
        lambda x: np.sin(x) * np.cos(x) + np.tan(x) + np.arctan(x) + np.tanh(x) + np.negative(x),
        lambda x: np.maximum(x, X[::-1]) + np.minimum(0.5, x) + np.where(X > 0.5, x, -x),
        lambda x: np.sum(x) + np.mean(x) + np.max(x) + np.min(x) + np.sum(x, axis=0),
        lambda x: np.add(x, 1) + np.subtract(1, x) + np.multiply(x, 2) + np.divide(x, 2),
        lambda x: np.power(x, 2) + np.matmul(x, x) + np.reshape(x, (2, 1)) + np.transpose(x),
        lambda x: np.concatenate([x, X, x]),
        lambda x: np.stack([x, X], axis=1),
        lambda x: sum(x) + abs(x) + pow(x, 2),
        lambda x: x * np.sign(x) + np.floor(x) + np.zeros_like(x) + np.ones_like(x),
        lambda x: x[np.argmax(x)] + x[np.argsort(x)],
    ],
)
def test_numpy_and_python_call_the_same_rules(fun):
    value, pullback = vjp(fun, X)
    assert close(value, fun(X))
    for g in np.eye(np.size(value)):
        numeric = numerical.grad(lambda p, g=g: np.ravel(fun(p)) @ g)(X)
        assert close(pullback(g.reshape(np.shape(value)) if np.ndim(value) else 1.0), numeric, 1e-7)


@pytest.mark.parametrize(
    ("fun", "message"),
    [
        (lambda x: np.clip(x, 0, 1), r"np\.clip has no rule.*autodiff.*minimum\(maximum"),
        (lambda x: np.linalg.norm(x), r"np\.norm .*autodiff.*sqrt\(sum\(x\*\*2\)\)"),
        (lambda x: np.dot(x, x), r"np\.dot .*autodiff.*matmul"),
        (lambda x: np.prod(x), r"np\.prod .*autodiff.*math\.prod\(x\), for a vector"),
        (lambda x: np.add.reduce(x), r"np\.add\.reduce .*autodiff.*: sum"),
        (lambda x: np.vstack([x, x]), r"np\.vstack .*autodiff.*concatenate.*stack"),
        (lambda x: np.einsum("i->", x), r"np\.einsum .*autodiff.*matmul"),
        (lambda x: np.array([x, x]), r"autodiff\.stack or concatenate"),
        (lambda x: np.array([x[0], x[1]]), r"autodiff\.stack or concatenate"),
        (lambda x: np.asarray(x), r"autodiff\.stack or concatenate"),
        (lambda x: np.array([x[0], None], dtype=object), r"autodiff\.stack or concatenate"),
        (lambda x: np.full(2, x[0]), r"autodiff\.stack or concatenate"),
        (lambda x: np.sum([x[0], x[1]]), r"autodiff\.stack or concatenate"),
        (lambda x: np.sum(x, dtype=int), "dtype"),
        (lambda x: x * "a", "real numbers and arrays of them, got a"),
        (lambda x: x * np.array([None, 1]), "real numbers and arrays of them, got .*object"),
        (lambda x: x * sp.Symbol("a"), "real numbers and arrays of them"),
        (lambda x: x[x[0]], r"must be plain.*use its \.value"),
        (lambda x: ad.sum(x, x[0]), r"must be plain.*use its \.value"),
        (lambda x: ad.reshape(x, x[0]), r"must be plain.*use its \.value"),
        (lambda x: x // 2, r"np\.floor\(x / y\)"),
        (lambda x: 2 // x, r"np\.floor\(x / y\)"),
        (lambda x: x % 2, r"x - y \* np\.floor\(x / y\)"),
        (lambda x: 2 % x, r"x - y \* np\.floor\(x / y\)"),
        (lambda x: np.reshape(x, (2, 1), order="F"), "np.reshape of a Var has no option order"),
        (lambda x: np.sum(x, where=X > 0.5), "no option where; leave it out, or choose"),
        (lambda x: x[0][None], r"no items; use reshape\(x, \(1,\)\) or stack"),
        (lambda x: x[0][0], "no items"),
    ],
)
def test_what_has_no_rule_names_what_to_use(fun, message):
    with pytest.raises(TypeError, match=message):
        grad(lambda x: ad.sum(fun(x)))(X)
    with pytest.raises(TypeError, match=message):
        jvp(fun, X, X)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("ravel", r"x\.reshape\(-1\)"),
        ("flatten", r"x\.reshape\(-1\)"),
        ("dot", "x @ y"),
        ("item", r"x\.value"),
        ("copy", "x itself"),
        ("clip", "minimum"),
        ("std", "sqrt"),
        ("astype", "matmul"),
    ],
)
def test_methods_of_arrays_that_have_no_rule_name_what_to_use(name, way):
    with pytest.raises(AttributeError, match=rf"x\.{name} has no rule for a Var.*{way}"):
        getattr(Var(X), name)
    assert not hasattr(Var(X), "dtype")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = Var(X).nothing


def ufuncs():
    return sorted(
        {f for f in vars(np).values() if isinstance(f, np.ufunc)}, key=lambda f: f.__name__
    )


def outcome(fun, *args):
    """Return the value of a function, or the text of its error."""
    try:
        return fun(*args)
    except (TypeError, ValueError, IndexError) as error:
        return str(error)


@pytest.mark.parametrize("ufunc", ufuncs(), ids=lambda f: f.__name__)
def test_no_ufunc_gives_an_array_of_objects(ufunc):
    for x in (Var(0.5), Var([0.5, 0.6])):
        y = outcome(ufunc, *[x] * ufunc.nin)
        if isinstance(y, Var):
            assert close(y.value, ufunc(*[x.value] * ufunc.nin))
        elif isinstance(y, str):
            assert "calclib.autodiff" in y or "cannot take shapes () and ()" in y
        else:
            assert np.asarray(y).dtype != object


def dispatched():
    """Return all functions of NumPy that a Var can answer, by name."""
    found = {}
    for prefix, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
        for name in sorted(module.__all__):
            if hasattr(getattr(module, name, None), "_implementation") and "save" not in name:
                found[f"{prefix}.{name}"] = getattr(module, name)
    return found


@pytest.mark.parametrize("name", dispatched())
@pytest.mark.parametrize("x", [[0.5, 0.6], [[1.0, 2.0], [3.0, 5.0]]], ids=["vector", "matrix"])
def test_numpy_function_follows_a_var_or_says_what_to_use(name, x):
    function = dispatched()[name]
    for more in range(3):
        args = [Var(x)] * (1 + more)
        y = outcome(function, *args)
        if isinstance(y, Var):
            assert close(y.value, function(*(a.value for a in args)))
        elif isinstance(y, str):
            answers = ("calclib.autodiff", "cannot take shapes", "required positional argument")
            answered = any(words in y for words in answers)
            assert answered or isinstance(outcome(function, *(a.value for a in args)), str)
        else:
            assert function.__name__ in ad._PLAIN | {"where"}
            assert np.asarray(y).dtype != object


PLAIN_CALLS = {
    "shape": [{}],
    "ndim": [{}],
    "size": [{}, {"axis": 1}],
    "zeros_like": [{}, {"dtype": int}],
    "ones_like": [{}, {"shape": (2,)}],
    "argmax": [{}, {"axis": 1}],
    "argmin": [{}, {"axis": 0, "keepdims": True}],
    "argsort": [{}, {"axis": 0}],
    "round": [{}, {"decimals": 1}],
    "isclose": [{"b": 1.0}, {"b": Var(X), "rtol": Var(0.5)}],
    "allclose": [{"b": 1.0}, {"b": Var(X), "atol": Var(9.0)}],
    "array_equal": [{"a2": X}, {"a2": Var(X)}],
} | {name: [{}] for name in ("sign", "floor", "ceil", "isfinite", "isnan", "isinf")}


def test_each_plain_function_is_tried():
    compared = {"less", "less_equal", "equal", "not_equal", "greater_equal", "greater"}
    assert PLAIN_CALLS.keys() | compared == ad._PLAIN


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, each) for name, options in PLAIN_CALLS.items() for each in options],
)
def test_a_function_without_a_slope_takes_its_options(name, options):
    M = np.array([[1.26, 2.5], [4.0, 3.0]])
    function = getattr(np, name)
    plain = {key: getattr(a, "value", a) for key, a in options.items()}
    np.testing.assert_array_equal(function(Var(M), **options), function(M, **plain))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.argmax(a=x),
        lambda x: np.max(x, 0, None, True),
        lambda x: np.sum(x, 1, None, None, True),
        lambda x: np.sum(a=x, axis=0),
        lambda x: np.where(x > 1),
        lambda x: np.where(x),
        lambda x: np.concatenate([x, x], axis=None),
        lambda x: np.concatenate([x, x], 1),
        lambda x: np.stack([x, x], 1),
        lambda x: np.transpose(x, (1, 0)),
        lambda x: x[0].transpose(0),
        lambda x: np.reshape(x, (4, 1)),
        lambda x: np.reshape(x, (4, 1), "C"),
    ],
)
def test_numpy_function_takes_its_options_by_place_and_by_name(call):
    M = np.array([[0.5, 2.5], [4.0, 3.0]])
    got = call(Var(M))
    np.testing.assert_array_equal(getattr(got, "value", got), call(M))


@pytest.mark.parametrize(
    ("call", "option"),
    [
        (lambda x: np.mean(x, 0, float), "dtype"),
        (lambda x: np.sum(x, 1, True), "dtype"),
        (lambda x: np.reshape(x, (4, 1), "F"), "order"),
        (lambda x: np.sum(x, where=[[True, False]] * 2), "where"),
        (lambda x: np.max(x, initial=0.0), "initial"),
    ],
)
def test_an_option_that_has_no_rule_is_refused_by_name(call, option):
    with pytest.raises(TypeError, match=f"of a Var has no option {option}; leave it out"):
        call(Var(np.ones((2, 2))))


@pytest.mark.parametrize(
    "function",
    [np.array, np.asarray, np.sum, np.mean, np.max, np.median, np.vstack, np.hstack, np.ravel],
)
@pytest.mark.parametrize("x", [0.5, [0.5, 0.6]])
def test_list_of_vars_never_becomes_an_array_of_objects(function, x):
    with pytest.raises(TypeError, match=r"calclib\.autodiff"):
        function([Var(x), Var(x)])


# Bad input


def vector(x):
    return x * np.ones(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: grad(vector)(1.0),
            ValueError,
            r"grad needs a scalar output, got shape \(3,\); use "
            r"jacobian instead",
        ),
        (lambda: value_and_grad(vector)(1.0), ValueError, "use jacobian instead"),
        (
            lambda: hessian(vector)(np.ones(3)),
            ValueError,
            r"hessian needs a scalar output.*jacobian",
        ),
        (lambda: hvp(vector)(1.0, 1.0), ValueError, "use jacobian instead"),
        (
            lambda: backward(Var([1.0, 2.0])),
            ValueError,
            r"backward needs a scalar.*\(2,\).*jacobian",
        ),
        (lambda: backward(3.0), TypeError, "backward needs a Var, got float"),
        (lambda: jacobian(vector)(1.0), ValueError, r"got a number; use np\.array\(\[x\]\)"),
        (lambda: jacobian(ad.sin)(np.ones((2, 2))), ValueError, r"got \(2, 2\); use x\.ravel\(\)"),
        (
            lambda: jacobian(lambda x: x.reshape(1, -1))(X),
            ValueError,
            r"needs a vector, got shape "
            r"\(1, 2\); return fun\(x\)\.reshape\(-1\)",
        ),
        (lambda: Var(np.ones((2, 3))) @ np.ones(2), ValueError, r"\(2, 3\) and \(2,\): inner"),
        (lambda: ad.matmul(np.ones((2, 3)), np.ones(2)), ValueError, r"\(2, 3\) and \(2,\): inner"),
        (lambda: ad.affine(Var(X), np.ones((3, 1)), 0.0), ValueError, r"\(2,\) and \(3, 1\)"),
        (
            lambda: ad.affine(np.ones((2, 2)), np.ones((2, 3)), Var(X)),
            ValueError,
            r"affine cannot take shapes \(2, 2\) and \(2, 3\) and \(2,\)",
        ),
        (lambda: Var(X) + np.ones(3), ValueError, r"add cannot take shapes \(2,\) and \(3,\)"),
        (
            lambda: ad.reshape(Var(X), 3),
            ValueError,
            r"reshape cannot take shapes \(2,\).*into shape",
        ),
        (lambda: ad.stack([Var(X), 1.0]), ValueError, r"one shape, got \[\(2,\), \(\)\]"),
        (
            lambda: ad.stack([np.ones((2, 3)), np.ones((3, 2))]),
            ValueError,
            r"stack needs one shape, got \[\(2, 3\), \(3, 2\)\]; use reshape or concatenate",
        ),
        (lambda: np.stack([Var(np.ones((2, 3))), np.ones((3, 2))]), ValueError, "one shape"),
        (lambda: ad.stack([]), ValueError, "one shape"),
        (lambda: ad.stack([Var(X), X], axis=7), ValueError, "axis 7 is out of bounds"),
        (lambda: ad.stack([Var(X), X], axis=0.5), TypeError, "integer"),
        (lambda: ad.concatenate([Var(X), X], axis=0.5), TypeError, "integer"),
        (lambda: ad.transpose(Var(np.ones((2, 3))), (4, 5)), ValueError, "axis 4 is out of bounds"),
        (lambda: ad.transpose(Var(np.ones((2, 3))), (0, 0)), ValueError, "repeated axis"),
        (lambda: ad.sum(Var(X), axis=3), ValueError, "^axis 3 is out of bounds[^;]*$"),
        (lambda: ad.concatenate([Var(1.0), 2.0]), ValueError, r"\(\) and \(\): .*use .*stack"),
        (lambda: Var(X)[2], IndexError, "out of bounds"),
        (
            lambda: grad(ad.sum)([1.0, np.nan]),
            ValueError,
            r"x must be finite, got nan at index \[1\]",
        ),
        (lambda: grad(ad.sin)(np.inf), ValueError, "x must be finite, got inf.*replace or remove"),
        (lambda: grad(ad.sin)(-np.inf), ValueError, "x must be finite, got -inf"),
        (lambda: Var(np.nan), ValueError, "value must be finite, got nan"),
        (
            lambda: Var([[1.0, np.inf]]),
            ValueError,
            r"value must be finite, got inf at index \[0, 1\]",
        ),
        (lambda: jvp(ad.sin, 1.0, np.nan), ValueError, "v must be finite"),
        (lambda: vjp(ad.sin, 1.0)[1](np.nan), ValueError, "g must be finite"),
        (
            lambda: jvp(ad.sin, X, [1.0]),
            ValueError,
            r"v must have the shape of x, \(2,\), got \(1,\)",
        ),
        (
            lambda: vjp(ad.sin, X)[1](1.0),
            ValueError,
            r"g must have the shape of f\(x\), \(2,\), got",
        ),
        (lambda: Var([]), ValueError, "value must not be empty"),
        (lambda: grad(ad.sum)([]), ValueError, "x must not be empty"),
        (lambda: grad(ad.sum)(np.ones((0, 2))), ValueError, "x must not be empty"),
        (lambda: grad(ad.sin)("1"), TypeError, "x must hold real numbers, got str"),
        (lambda: grad(ad.sin)(1j), TypeError, "x must hold real numbers, got complex"),
        (lambda: grad(ad.sin)([Var(1.0)]), TypeError, LOST),
        (lambda: Var(Var(1.0)), TypeError, "plain number or array, got Var.*use it as it is"),
        (
            lambda: grad(lambda x: None)(1.0),
            TypeError,
            "fun must return real numbers, got NoneType",
        ),
        (lambda: grad(lambda x: [x, x])(1.0), TypeError, LOST),
        (lambda: grad(lambda x: 1 / x)(0.0), ValueError, "fun is not finite at x=0.0: got inf"),
        (
            lambda: grad(lambda x: x * (1 / (x.value - x.value)))(0.0),
            ValueError,
            "at x=0.0: float division by zero; move to a point",
        ),
        (
            lambda: grad(lambda x: ad.sum(1 / x))([0.0, 1.0]),
            ValueError,
            r"not finite at x=\[0\., 1\.\]",
        ),
        (lambda: grad(ad.log)(-1.0), ValueError, "fun is not finite at x=-1.0: got nan"),
        (lambda: grad(lambda x: x**0.5)(-1.0), ValueError, "fun is not finite at x=-1.0: got nan"),
        (lambda: grad(ad.sqrt)(0.0), ValueError, "gradient of fun .*at x=0.0"),
        (
            lambda: grad(lambda x: ad.sum(x**0.5))(np.zeros(2)),
            ValueError,
            "gradient of fun is not fin",
        ),
        (lambda: grad(lambda x: x**400)(1e3), ValueError, "at x=1000.0.*; move to a point"),
        (lambda: jvp(ad.sqrt, 0.0, 1.0), ValueError, "at x=0.0"),
        (
            lambda: grad(lambda w: ad.sum(w * np.array([1.0, np.nan])))([1, 2]),
            ValueError,
            r"fun is not finite at x=\[1\., 2\.\]: got nan",
        ),
        (
            lambda: grad(lambda w: w * np.inf)(1.0),
            ValueError,
            "fun is not finite at x=1.0: got inf",
        ),
        (
            lambda: grad(lambda x: ad.sum(ad.where(x > 0, ad.log(x), 0.0)))([1.0, 0.0]),
            ValueError,
            r"the gradient of fun is not finite at x=\[1\., 0\.\]: got nan",
        ),
        (lambda: grad(ad.sum)([[1, 2], [3]]), ValueError, "rows of unequal length"),
        (lambda: grad(lambda z: z[[0, 7]].sum())([1, 2]), IndexError, "7 is out of bounds"),
    ],
)
def test_misuse_is_refused_with_the_way_out(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "x",
    [
        [1, 2],
        (1, 2),
        np.array([1, 2]),
        np.array([1, 2], "i1"),
        np.array([1, 2], "f4"),
        np.array([1, 2], object),
        [True, 2],
    ],
)
def test_integers_booleans_and_lists_are_promoted(x):
    g = grad(lambda p: ad.sum(p**2 / 4))(x)
    assert g.dtype == float
    assert g.tolist() == [0.5, 1]


def test_integer_arrays_are_promoted_where_no_var_takes_part():
    assert ad.affine([[1, 2]], [[1], [2]], [0.5]).tolist() == [[5.5]]
    assert ad.power([2], [-1]).tolist() == [0.5]
    assert ad.power(np.array([2]), -1).tolist() == [0.5]
    assert ad.divide([True], np.array([2])).dtype == float
    assert type(ad.sum(np.array([1, 2]))) is float
    assert type(ad.maximum(1, 2)) is float
    assert grad(lambda x: ad.sum(ad.affine([[1, 2]], x, [1])))([[1], [2]]).tolist() == [[1], [2]]
    assert grad(lambda x: ad.sum(ad.power([2], -x)))([1]) == pytest.approx([-np.log(2) / 2])


def test_booleans_are_promoted():
    assert grad(lambda p: ad.sum(p**2))(np.array([True, False])).tolist() == [2, 0]
    assert grad(lambda p: p**2)(True) == 2


@pytest.mark.parametrize("kind", ["?", "u1", "i1", "i8", "f2", "f4"])
def test_constants_of_any_kind_count_as_numbers(kind):
    x, c = np.array([0.3, 0.6]), np.array([1, 100]).astype(kind)
    same = c.astype(float)

    def fun(x, c):
        return ad.sum((c - x) * (x * c) / (x + c) + c**x + x**c + ad.maximum(x, c) + (c @ x))

    assert close(grad(lambda x: fun(x, c))(x), grad(lambda x: fun(x, same))(x))
    assert close(hessian(lambda x: fun(x, c))(x), hessian(lambda x: fun(x, same))(x))


@pytest.mark.parametrize("x", [2, np.array(2), np.float64(2), np.int64(2), np.float32(2), 2.0])
def test_numbers_of_any_kind_become_floats(x):
    seen = []
    value, g = value_and_grad(lambda x: seen.append(x.value) or x**2 / 8)(x)
    assert (value, g) == (0.5, 0.5)
    assert {type(value), type(g), type(seen[0])} == {float}
    assert type(jvp(np.sin, x, 1)[1]) is float
    assert type(hessian(np.sin)(x)) is float


def test_numbers_stay_python_floats_on_the_tape():
    x = Var(0.5)
    made = x
    for fun in (np.sin, np.exp, ad.sigmoid, ad.softplus, ad.relu, ad.sum, ad.mean, ad.max, abs):
        made = fun(made) * 2 + np.float64(1) - np.array(3.0) / 2
        assert type(made.value) is float
    made = ad.where(made > 0, made, 0.0) + ad.maximum(made, 1.0) + ad.stack([made, made])[0]
    assert all(type(row.value) is float or np.ndim(row.value) for row in tape(made))
    assert all(type(g) is float or np.ndim(g) for g in backward(made).values())


def test_functions_of_plain_numbers_and_arrays_give_plain_ones():
    assert type(ad.sin(0.5)) is float
    assert ad.add([1, 2], [3, 4]).tolist() == [4, 6]
    assert ad.multiply([1, 2], 2).tolist() == [2, 4]
    assert ad.max([1.0, 2.0]) == 2
    assert ad.min([1.0, 2.0]) == 1
    assert ad.affine([[1.0, 2.0]], [[1.0], [1.0]], [3.0]).tolist() == [[6]]


def test_constant_function_has_slope_zero():
    assert grad(lambda x: 3.0)(1.0) == 0
    assert grad(lambda x: 3)([1.0, 2.0]).tolist() == [0, 0]
    assert hessian(lambda x: 2 * x[0])([1.0, 2.0]).tolist() == [[0, 0], [0, 0]]
    assert jvp(lambda x: np.ones(2), 1.0, 1.0)[1].tolist() == [0, 0]
    assert jacobian(lambda x: np.ones(2))([1.0, 2.0, 3.0]).tolist() == [[0] * 3] * 2
    assert jacobian(lambda x: x @ x)([1.0, 2.0]).tolist() == [[2, 4]]


def test_no_warning_leaks_from_points_without_a_value():
    for x in (0.0, -1.0, 1e308):
        with pytest.raises(ValueError, match="x="):
            grad(lambda x: np.log(x) + np.exp(x))(x)


# Own operations


def test_own_operation_from_value_and_rules():
    rotate = ad.primitive(
        "rotate",
        lambda x, k: np.roll(x, k),
        [lambda g, y, x, k: rotate(g, -k)],
        linear=True,
        work="none",
    )
    x = np.array([1.0, 2.0, 3.0])
    w = np.array([1.0, 10.0, 100.0])

    def fun(x):
        return ad.sum(rotate(x, 1) ** 2 * w)

    assert grad(fun)(x) == pytest.approx(numerical.grad(fun)(x))
    assert hvp(fun)(x, w) == pytest.approx(hessian(fun)(x) @ w)
    assert cost(lambda x: rotate(x, 1))(x) == (1, 0)


# What a tape shows and what a run costs


def test_tape_lists_operations_in_order_with_stable_names():
    def neuron():
        w, x, b = Var(0.5, name="w"), Var(2.0, name="x"), Var(0.1, name="b")
        return ad.sigmoid(w * x + b)

    rows = tape(neuron())
    assert [row[:3] for row in rows] == [
        ("w", "input", ()),
        ("x", "input", ()),
        ("b", "input", ()),
        ("v1", "multiply", ("w", "x")),
        ("v2", "add", ("v1", "b")),
        ("v3", "sigmoid", ("v2",)),
    ]
    assert [row.adjoint for row in rows] == [None] * 6
    again = neuron()
    full = tape(again, backward(again))
    assert [row[:4] for row in full] == [row[:4] for row in rows]
    assert [round(row.adjoint, 4) for row in full] == [0.3747, 0.0937, 0.1874, 0.1874, 0.1874, 1]


def test_tape_shows_constants_and_options_as_text():
    x = Var([1.0, 2.0], name="x")
    out = ad.sum(2.0 * x[1:] ** 2, axis=0) + ad.where(np.array([True, False]), x, 0.0)[0]
    parents = {row.operation: row.parents for row in tape(out)}
    assert parents["multiply"] == ("2.0", "v2")
    assert parents["power"] == ("v1", "2")
    assert parents["sum"] == ("v3", "0")
    assert parents["where"] == ("x", "0.0", "[ True, False]")


def test_tape_reads_like_the_formula_when_a_constant_has_the_value_of_a_var():
    x = Var(3.0, name="x")
    assert tape(x.value - x)[-1].parents == ("3.0", "x")


def test_cost_counts_multiply_adds():
    A, B = np.ones((2, 3)), np.ones((3, 4))
    assert cost(lambda a: a @ B)(A) == (1, 24)
    assert cost(lambda a: ad.affine(a, B, np.ones(4)))(A) == (1, 24)
    assert cost(lambda a: a * 2)(A) == (1, 6)
    assert cost(ad.sum)(A) == (1, 6)
    assert cost(ad.transpose)(A) == (1, 0)
    assert cost(lambda a: a[0])(A) == (1, 0)
    assert cost(lambda x: x)(1.0) == (0, 0)


def layers(theta):
    a = np.ones((8, 4))
    for k in range(3):
        a = ad.tanh(a @ theta[16 * k : 16 * k + 16].reshape(4, 4))
    return ad.sum(a**2)


def test_gradient_costs_a_few_times_the_function_whatever_the_number_of_inputs():
    theta = np.full(48, 0.1)
    forward = cost(layers)(theta).multiply_adds
    both = cost(value_and_grad(layers))(theta).multiply_adds
    one_direction = cost(lambda p: jvp(layers, p, theta))(theta).multiply_adds
    second = cost(lambda p: hvp(layers)(p, theta))(theta).multiply_adds
    assert 2 * forward < both < 4 * forward
    assert 2 * forward <= one_direction < 4 * forward
    assert second < 4 * both


def neighbours(x):
    total = 0.0
    for k in range(len(x) - 1):
        total = total + x[k] * x[k + 1]
    return total


def slices(x):
    return reduce(operator.add, (ad.sum(x[k % 3 :]) for k in range(len(x))))


def stacked(x):
    return ad.sum(ad.stack([x[k] ** 2 for k in range(len(x))]))


def joined(x):
    return ad.sum(ad.concatenate([x[k : k + 1] ** 2 for k in range(len(x))]))


ITEMS = [neighbours, slices, stacked, joined]


@pytest.mark.parametrize("fun", ITEMS)
@pytest.mark.parametrize(
    "derivative",
    [
        value_and_grad,
        lambda f: lambda x: jvp(f, x, np.ones(len(x))),
        lambda f: lambda x: hvp(f)(x, np.ones(len(x))),
        lambda f: grad(lambda x: ad.sum(grad(f)(x) ** 2)),
    ],
    ids=["gradient", "along a line", "second along a line", "gradient of a gradient"],
)
def test_items_cost_a_few_times_the_function_however_many_they_are(fun, derivative):
    few, many = np.linspace(1, 2, 20), np.linspace(1, 2, 80)
    growth = cost(fun)(many).multiply_adds / cost(fun)(few).multiply_adds
    by_n = [cost(derivative(fun))(x).multiply_adds for x in (few, many)]
    assert by_n[1] / by_n[0] < 1.2 * growth


@pytest.mark.parametrize("join", [ad.concatenate, ad.stack])
def test_calls_grow_as_the_parts_do(join):
    def calls(n):
        count = 0

        def counted(frame, event, argument):
            nonlocal count
            count += event == "call"

        x = np.ones((n, 2))
        old = sys.getprofile()
        sys.setprofile(counted)
        try:
            grad(lambda x: ad.sum(join([x[k] for k in range(n)]) ** 2))(x)
        finally:
            sys.setprofile(old)
        return count

    assert calls(200) / calls(50) < 4.2


def test_memory_of_a_second_derivative_grows_as_the_items_do():
    def peak(n):
        second = grad(lambda x: ad.sum(grad(neighbours)(x) ** 2))
        second(np.ones(4))
        gc.collect()
        tracemalloc.start()
        second(np.linspace(1, 2, n))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(1600) / peak(200) < 12


@pytest.mark.parametrize("fun", ITEMS)
def test_items_have_their_derivatives(fun):
    x, v = np.linspace(0.5, 2, 30), np.cos(np.arange(30.0))
    g = grad(fun)(x)
    assert close(g, numerical.grad(fun)(x), 1e-7)
    assert close(jvp(fun, x, v)[1], g @ v)
    assert close(hvp(fun)(x, v), hessian(fun)(x) @ v)
    assert close(grad(lambda x: grad(fun)(x) @ v)(x), hvp(fun)(x, v))


def test_many_uses_of_large_slices_do_not_pile_up():
    def fun(x):
        return reduce(operator.add, (ad.sum(x[k % 2 :]) for k in range(200)))

    x = np.ones(10_000)
    grad(fun)(x[:4])
    tracemalloc.start()
    g = grad(fun)(x)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (g[0], g[1]) == (100, 200)
    assert most < 40 * x.nbytes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: hvp(lambda x: ad.sum(ad.where(x > 0, ad.log(x), 0.0)))([1, 0], [1, 1]),
            "^the gradient of fun is not finite at",
        ),
        (lambda: hessian(lambda x: ad.sum(x**0.5))([0, 1]), "^the gradient of fun is not finite"),
        (lambda: hessian(lambda x: x**1.5)(0.0), "^the gradient of the gradient of fun is not fin"),
        (lambda: hvp(lambda x: x)([1.0], [1.0]), "^hvp needs a scalar output"),
        (
            lambda: grad(lambda x: ad.sum(jacobian(lambda x: 2 * x)(x)))(2.0),
            r"^x must have shape \(n,\), got a number",
        ),
    ],
)
def test_errors_of_second_order_name_what_failed(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_rule_without_its_way_forward_is_not_guessed():
    sums = ad.primitive("cumsum", np.cumsum, [lambda g, y, x: np.tri(len(x)).T @ g])
    assert close(jacobian(sums)(np.ones(3)), np.tri(3))
    with pytest.raises(TypeError, match="cumsum has no rule forward; give primitive its pushes"):
        jvp(sums, np.ones(3), np.ones(3))


def test_a_number_can_be_reduced_along_its_only_axis():
    for reduced in (ad.sum, ad.mean, ad.max, ad.logsumexp):
        assert grad(lambda x, reduced=reduced: reduced(x, axis=0))(2.0) == 1.0
        assert jvp(lambda x, reduced=reduced: reduced(x, axis=0), 2.0, 1.0) == (2.0, 1.0)


@pytest.mark.parametrize("n", [3, 7, 49, 1000])
def test_the_mean_of_equals_is_their_value(n):
    assert ad.mean(np.full(n, 1.0)) == 1.0
    assert ad.mean(Var(np.ones((n, 3))), axis=0).value.tolist() == [1.0, 1.0, 1.0]


def test_what_is_no_var_has_no_tape_and_a_generator_can_be_stacked():
    with pytest.raises(TypeError, match="tape needs a Var, got float"):
        tape(3.0)
    assert ad.stack(v for v in (Var(1.0), 2.0)).value.tolist() == [1.0, 2.0]


# The numbers of the chapters


def test_derivative_of_five_fold_sine():
    def five(x):
        for _ in range(5):
            x = np.sin(x)
        return x

    assert round(grad(five)(1.0), 6) == 0.166695
    assert round(jvp(five, 1.0, 1.0)[1], 6) == 0.166695


def test_chain_of_square_and_cube():
    assert grad(lambda x: (x**2 + 1) ** 3)(2.0) == 300


def test_sigmoid_neuron():
    assert round(grad(lambda w: ad.sigmoid(w * 2.0 + 0.1))(0.5), 4) == 0.3747


def test_slope_of_the_sigmoid_is_at_most_a_quarter():
    x = np.linspace(-9, 9, 1001)
    slopes = grad(lambda x: ad.sum(ad.sigmoid(x)))(x)
    assert slopes.max() == slopes[500] == 0.25


def test_softmax_with_cross_entropy_has_gradient_p_minus_y():
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])

    def loss(z):
        return ad.sum(ad.logsumexp(z, axis=1) - z[np.arange(5), labels])

    assert close(grad(loss)(z), ad.softmax(z) - np.eye(3)[labels])


def test_hessians_of_the_family():
    valley, saddle, bowl = (
        next(row.fun for row in SPACE if row.name == name) for name in ("valley", "saddle", "bowl")
    )
    assert hessian(valley)([1, 1]).tolist() == [[802, -400], [-400, 200]]
    assert np.linalg.eigvalsh(hessian(saddle)([1, 1])) == pytest.approx(
        [4 - 2 * math.sqrt(5), 4 + 2 * math.sqrt(5)]
    )
    assert hessian(bowl)([3, 4]).tolist() == [[2, 0], [0, 20]]


@pytest.mark.parametrize(
    ("activation", "gain", "low", "high"), [(ad.tanh, 1, 1e-3, 4e-3), (ad.relu, 2, 1e-4, 1e-3)]
)
def test_tiny_net_learns_the_parabola(activation, gain, low, high):
    x = np.linspace(-1, 1, 100).reshape(100, 1)
    y = x**2
    assert round(np.mean((y - y.mean()) ** 2), 4) == 0.0925
    sizes, losses = [1, 16, 16, 1], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        pairs = list(itertools.pairwise(sizes))
        # Xavier 2 / (fan_in + fan_out) for tanh, He 2 / fan_in for ReLU
        scales = [(2 / (n if gain == 2 else n + m)) ** 0.5 for n, m in pairs]
        W = [rng.normal(size=pair) * s for pair, s in zip(pairs, scales, strict=True)]
        params = [p for w in W for p in (w, np.zeros(w.shape[1]))]
        for _ in range(1000):
            v = [Var(p) for p in params]
            hidden = activation(ad.affine(x, v[0], v[1]))
            hidden = activation(ad.affine(hidden, v[2], v[3]))
            loss = ad.mean((ad.affine(hidden, v[4], v[5]) - y) ** 2)
            g = backward(loss)
            params = [p - 0.1 * g[w] for p, w in zip(params, v, strict=True)]
        losses.append(loss.value)
    assert low < np.median(losses) < high


@pytest.mark.parametrize("x", [-37.0, -15.0, 15.0, 37.0])
def test_slopes_of_flat_ends_are_exact_relative_to_themselves(x):
    t = sp.Symbol("t")
    for function, formula_ in [
        (ad.sigmoid, 1 / (1 + sp.exp(-t))),
        (ad.softplus, sp.log(1 + sp.exp(t))),
        (ad.expm1, sp.exp(t) - 1),
    ]:
        for derivative, order in ((grad(function), 1), (grad(grad(function)), 2)):
            exact = float(sp.N(sp.diff(formula_, t, order).subs(t, sp.Integer(int(x))), 30))
            assert derivative(x) == pytest.approx(exact, rel=1e-13, abs=0)
