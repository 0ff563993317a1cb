"""Formulas: the derivatives SymPy finds are those written by hand, and agree says so."""

import math

import numpy as np
import pytest
import sympy as sp
from functions import FUNCTIONS, LINE, SPACE, VECTOR, by_name

from calclib import numerical
from calclib.symbolic import agree, grad, hessian, jacobian, taylor, to_function

x, y, t = sp.symbols("x y t")
positive = sp.Symbol("p", positive=True)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def columns(row, rng, k=5):
    """Return k random points as columns, or k numbers for one variable."""
    points = rng.uniform(*row.domain, (len(row.variables), k))
    return points[0] if len(row.variables) == 1 else points


# One table, three ways


@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
def test_formula_and_program_are_the_same_function(row, rng):
    p = columns(row, rng)
    assert to_function(row.expr, row.variables)(p) == pytest.approx(row.fun(p), rel=1e-12)


@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
def test_gradient_is_the_one_found_by_hand(row, rng):
    column = grad(row.expr, row.variables)
    assert column.shape == (len(row.variables), 1)
    p = columns(row, rng)
    got = to_function(column, row.variables)(p)
    assert np.squeeze(got) == pytest.approx(row.grad(p), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("row", **by_name(FUNCTIONS))
def test_hessian_is_symmetric_and_the_one_found_by_hand(row, rng):
    H = hessian(row.expr, row.variables)
    assert H.shape == (len(row.variables),) * 2
    assert H == H.T
    exact = to_function(H, row.variables)
    for p in np.atleast_2d(columns(row, rng)).T:
        got = exact(p if len(row.variables) > 1 else p.item())
        assert np.squeeze(got) == pytest.approx(row.hess(np.squeeze(p)), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("row", **by_name(VECTOR))
def test_jacobian_has_a_row_for_each_output(row, rng):
    J = jacobian(row.exprs, row.variables)
    assert J.shape == (len(row.exprs), len(row.variables))
    exact = to_function(J, row.variables)
    for p in columns(row, rng).T:
        assert exact(p) == pytest.approx(row.jac(p), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("row", **by_name(SPACE))
def test_hessian_is_the_jacobian_of_the_gradient(row):
    H = jacobian(grad(row.expr, row.variables), row.variables)
    assert sp.simplify(H - hessian(row.expr, row.variables)) == sp.zeros(*H.shape)


# Numbers and formulas that the book prints


def test_cubic_has_its_slope_and_critical_points():
    slope = grad(x**3 - 5 * x + 7, x)[0]
    assert slope == 3 * x**2 - 5
    assert set(sp.solve(slope, x)) == {sp.sqrt(sp.Rational(5, 3)), -sp.sqrt(sp.Rational(5, 3))}


def test_polynomial_and_its_slope_at_four_points():
    p = 3 * x**3 + 2 * x**2 - 5 * x + 1
    pairs = [(p.subs(x, k), grad(p, x)[0].subs(x, k)) for k in range(4)]
    assert pairs == [(1, -5), (1, 8), (23, 39), (85, 88)]


def test_partials_of_the_saddle():
    assert grad(x**2 + 3 * y**2 - 4 * x * y, (x, y)) == sp.Matrix([2 * x - 4 * y, 6 * y - 4 * x])


def test_gradient_of_x2_plus_y2_at_3_4():
    assert to_function(grad(x**2 + y**2, (x, y)), (x, y))([3, 4]).tolist() == [6, 8]


def test_minimum_of_the_shifted_bowl():
    f = x**2 + y**2 + 2 * x + 3 * y + 5
    at = sp.solve(grad(f, (x, y)), (x, y))
    assert at == {x: -1, y: sp.Rational(-3, 2)}
    assert f.subs(at) == sp.Rational(7, 4)


def test_hessians_of_the_valley_and_the_saddle():
    valley = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    assert hessian(valley, (x, y)).subs({x: 1, y: 1}) == sp.Matrix([[802, -400], [-400, 200]])
    eigenvalues = hessian(x**2 + 3 * y**2 - 4 * x * y, (x, y)).eigenvals()
    assert set(eigenvalues) == {4 + 2 * sp.sqrt(5), 4 - 2 * sp.sqrt(5)}


# Taylor


def test_taylor_polynomials_known_by_heart():
    assert taylor(sp.exp(x), x, order=3) == 1 + x + x**2 / 2 + x**3 / 6
    assert taylor(sp.sin(x), x, order=4) == x - x**3 / 6
    assert taylor(sp.cos(x), x) == 1 - x**2 / 2
    assert taylor(sp.log(x), x, about=1) == (x - 1) - (x - 1) ** 2 / 2
    assert taylor(sp.exp(x), x, about=t, order=1) == sp.exp(t) + (x - t) * sp.exp(t)
    assert taylor(x**2, x, order=0) == 0
    assert taylor(sp.sqrt(positive), positive, about=1, order=1) == 1 + (positive - 1) / 2
    assert taylor(sp.exp(x * t), x) == 1 + t * x + t**2 * x**2 / 2
    unknown = sp.Function("g")
    assert taylor(unknown(x), x, order=1).coeff(x, 0) == unknown(0)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("row", **by_name(LINE))
def test_taylor_error_falls_by_its_order(row, order):
    (v,), a = row.variables, sp.Rational(7, 10)
    next_one, after = (float(row.expr.diff(v, order + k).subs(v, a)) for k in (1, 2))
    if next_one == 0:
        assert sp.expand(taylor(row.expr, v, about=a, order=order) - row.expr) == 0
        return
    remainder = row.expr - taylor(row.expr, v, about=a, order=order)
    h = sp.Rational(1, 1000)
    coarse, fine = (remainder.evalf(30, subs={v: a + s}) for s in (h, h / 2))
    assert float(coarse / fine) == pytest.approx(
        2 ** (order + 1), rel=0.01 + abs(after / next_one) * 1e-3
    )


@pytest.mark.parametrize(
    ("expr", "order"),
    [
        (sp.Abs(x), 1),
        (sp.Max(x, 0), 1),
        (1 / x, 0),
        (sp.sqrt(x), 1),
        (sp.log(x), 2),
        (sp.sign(x), 0),
        (sp.Piecewise((0, x < 0), (x, True)), 1),
        (sp.sin(x) / x, 1),
        (t * sp.Abs(x), 1),
        (sp.exp(-1 / x**2), 2),
        (sp.exp(1 / x), 0),
        (sp.atan(1 / x), 0),
        (sp.floor(x), 0),
    ],
)
def test_taylor_at_a_kink_or_a_pole_is_refused(expr, order):
    with pytest.raises(ValueError, match=r"taylor needs .*smooth at x = 0.*move about"):
        taylor(expr, x, order=order)


@pytest.mark.parametrize("size", [1e-5, 1e-7, sp.Rational(1, 10**12), sp.Rational(1, 10**25)])
def test_taylor_sees_a_kink_of_any_size(size):
    with pytest.raises(ValueError, match=r"taylor needs .*smooth at x = 0.*move about"):
        taylor(x**2 + size * sp.Abs(x), x, order=1)
    with pytest.raises(ValueError, match=r"taylor needs .*smooth at x = 0\.3.*move about"):
        taylor(x**2 + size * sp.Abs(x - 0.3), x, about=0.3, order=1)
    assert taylor(x**2 + size * sp.Abs(x), x, order=0) == 0


def test_taylor_takes_no_steep_slope_for_a_jump():
    assert taylor(10**12 * sp.sin(10**8 * x), x, order=1) == 10**20 * x
    assert taylor(sp.exp(300 * x), x, about=2, order=1).subs(x, 2) == sp.exp(600)
    assert taylor(sp.sqrt(x), x, order=0) == 0
    assert taylor(sp.cbrt(x), x, order=0) == 0


@pytest.mark.parametrize("about", [sp.oo, -sp.oo, sp.zoo, sp.nan, math.inf, math.nan])
def test_taylor_at_infinity_is_refused_with_the_way_out(about):
    with pytest.raises(ValueError, match=r"about must be finite, got .*put 1/x for x"):
        taylor(sp.exp(-x), x, about=about)


def test_taylor_beside_a_kink_is_fine():
    assert taylor(sp.Abs(x), x, about=2) == x
    assert taylor(sp.Max(x, 0), x, about=-1) == 0
    assert taylor(sp.Abs(x), x, order=0) == 0


@pytest.mark.parametrize(
    ("order", "error"), [(-1, ValueError), (1.0, TypeError), (None, TypeError)]
)
def test_taylor_of_a_bad_order_is_refused(order, error):
    with pytest.raises(error, match="order must be"):
        taylor(sp.exp(x), x, order=order)


# NumPy functions


def test_to_function_keeps_the_shape_of_the_points():
    f = to_function(x**2 + 10 * y**2, (x, y))
    assert type(f([1, 2])) is float
    assert f([1, 2]) == 41.0
    assert f(np.ones((2, 7))).shape == (7,)
    assert to_function(grad(x * y, (x, y)), (x, y))(np.ones((2, 7))).shape == (2, 7)
    assert to_function([x, y, x * y], (x, y))(np.ones((2, 7))).shape == (3, 7)
    assert to_function(hessian(x * y, (x, y)), (x, y))(np.ones((2, 7))).shape == (2, 2, 7)


def test_to_function_of_one_variable_takes_numbers_and_arrays():
    f = to_function(x**3, x)
    assert type(f(2)) is float
    assert f(np.array([1, 2])).tolist() == [1.0, 8.0]
    assert f([[1, 2]]).tolist() == [1.0, 8.0]
    assert to_function(grad(x**3, x), [x])(2.0).tolist() == [12.0]


def test_constants_fill_the_shape():
    assert to_function(sp.Integer(3), (x, y))([1, 2]) == 3.0
    assert type(to_function(sp.Integer(3), x)(2)) is float
    assert to_function(3, x)(np.ones(4)).tolist() == [3.0] * 4
    got = to_function(grad(2 * x + y, (x, y)), (x, y))(np.ones((2, 3)))
    assert got.tolist() == [[2.0] * 3, [1.0] * 3]


def test_integers_are_promoted():
    assert to_function(1 / x, x)(np.array([2, 4])).tolist() == [0.5, 0.25]
    assert to_function(x**-2, x)(np.array([2])).tolist() == [0.25]
    assert to_function(x**20, x)(np.array([10])).tolist() == [1e20]


@pytest.mark.parametrize(
    ("expr", "values"),
    [
        (sp.Max(x, 0), [0, 0, 2]),
        (sp.Abs(x), [1, 0, 2]),
        (sp.sign(x), [-1, 0, 1]),
        (sp.Piecewise((0, x < 0), (x, True)), [0, 0, 2]),
        (sp.Min(x, x**2, 1), [-1, 0, 1]),
    ],
)
def test_functions_with_kinks_work_on_arrays(expr, values):
    assert to_function(expr, x)(np.array([-1, 0, 2])).tolist() == values
    assert to_function(expr, x)(2) == values[-1]


@pytest.mark.parametrize("row", **by_name(SPACE))
def test_compiled_formula_serves_numerical_derivatives(row, rng):
    p = columns(row, rng, 1)[:, 0]
    f = to_function(row.expr, row.variables)
    for options in ({}, {"vectorized": True}, {"scheme": "complex"}):
        got = numerical.grad(f, **options)(p)
        assert got == pytest.approx(row.grad(p), rel=1e-6, abs=1e-6)


def test_complex_step_sees_through_a_compiled_formula():
    f = to_function(x**2 + 1e-13 * sp.Abs(x), x)
    with pytest.raises(ValueError, match="absolute"):
        numerical.derivative(f, 2.0, scheme="complex")


@pytest.mark.parametrize(
    ("expr", "variables", "point", "named"),
    [
        (sp.log(x), x, -1.0, r"x=-1\.0: got nan"),
        (sp.log(x), x, 0, r"x=0\.0: got -inf"),
        (1 / x, x, 0, r"x=0\.0: got inf"),
        (sp.sqrt(x), x, [1.0, 4.0, -2.0], r"x=-2\.0: got nan"),
        (sp.exp(x), x, 1000, r"x=1000\.0: got inf"),
        (x * sp.log(y), (x, y), [1, -2], r"x=\[ 1\., -2\.\]: got nan"),
        (x * sp.log(y), (x, y), [[1, 2, 3], [1, -2, 0]], r"x=\[ 2\., -2\.\]: got nan"),
        ([x, sp.log(y)], (x, y), [[1, 2], [3, -3]], r"x=\[ 2\., -3\.\]: got nan"),
        (hessian(y * sp.log(x), (x, y)), (x, y), [[1, 0], [2, 2]], r"x=\[0\., 2\.\]: got -inf"),
    ],
)
def test_point_without_a_finite_value_is_named(expr, variables, point, named):
    with pytest.raises(ValueError, match=f"is not finite at {named}; move to a point"):
        to_function(expr, variables)(point)


def test_branch_that_is_not_taken_may_be_undefined():
    guarded = to_function(sp.Piecewise((sp.log(x), x > 0), (0, True)), x)
    assert guarded(-1.0) == 0.0
    assert guarded([1.0, -1.0]).tolist() == [0.0, 0.0]


def test_points_are_not_modified():
    p = np.array([[1, 2], [3, 4]])
    to_function(x * y, (x, y))(p)
    assert p.tolist() == [[1, 2], [3, 4]]


# agree


def test_agree_tells_same_from_different(rng):
    assert agree((x + 1) ** 2, x**2 + 2 * x + 1, x, rng=rng) is True
    assert agree((x + 1) ** 2, x**2 + 2 * x, x, rng=rng) is False
    assert agree(x * y, lambda p: p[0] * p[1], (x, y), rng=rng) is True
    assert agree(grad(x * y, (x, y)), lambda p: [p[1], p[0]], (x, y), rng=rng) is True
    assert agree(grad(x * y, (x, y)), lambda p: [p[0], p[1]], (x, y), rng=rng) is False
    assert agree(math.sin, sp.sin(x), x, rng=rng) is True
    assert agree(sp.sin, sp.sin(x), x, rng=rng) is True
    assert agree(x, x, x, rng=rng) is True


def test_agree_finds_a_small_difference_and_keeps_to_its_tolerance(rng):
    assert not agree(x + 1e-6, x, x, rng=rng)
    assert agree(x + 1e-6, x, x, rng=rng, tol=1e-5)


def test_agree_needs_the_same_shape(rng):
    assert not agree(x, [x, x], x, rng=rng)


def test_agree_needs_the_same_domain(rng):
    assert not agree(sp.log(x**2), 2 * sp.log(x), x, rng=rng)
    assert agree(sp.log(x), math.log, x, rng=rng)
    assert agree(sp.log(positive**2), 2 * sp.log(positive), positive, rng=rng)
    assert agree(1 / x, lambda v: 1 / v, x, rng=rng)


def test_agree_without_a_common_point_is_refused(rng):
    with pytest.raises(ValueError, match=r"defined at some of the 20 points.*declare"):
        agree(sp.sqrt(-1 - x**2), lambda v: math.sqrt(-1 - v * v), x, rng=rng)


def test_agree_draws_its_points_from_rng_alone():
    rng, expected, met = np.random.default_rng(5), np.random.default_rng(5), []
    agree(lambda v: met.append(v) or v, x, x, rng=rng, n=3)
    assert met == expected.uniform(-2, 2, 3).tolist()


@pytest.mark.parametrize("rng", [None, 0, np.random])
def test_agree_needs_a_generator(rng):
    with pytest.raises(TypeError, match=r"rng must be .*np\.random\.default_rng\(0\)"):
        agree(x, x, x, rng=rng)


@pytest.mark.parametrize(("options", "error"), [({"n": 0}, ValueError), ({"tol": 0}, ValueError)])
def test_agree_needs_points_and_a_tolerance(options, error, rng):
    with pytest.raises(error, match=r"must be"):
        agree(x, x, x, rng=rng, **options)


# Misuse


@pytest.mark.parametrize("verb", [grad, hessian])
@pytest.mark.parametrize("expr", [[x, y], (x,), sp.Matrix([x, y])])
def test_derivative_of_several_expressions_names_jacobian(verb, expr):
    with pytest.raises(ValueError, match=rf"{verb.__name__} needs one expression.*jacobian"):
        verb(expr, (x, y))


@pytest.mark.parametrize("verb", [grad, jacobian, hessian, taylor, to_function])
@pytest.mark.parametrize("expr", ["x**2", None, lambda v: v**2, sp.sin, True])
def test_what_is_no_expression_is_refused_with_the_way_out(verb, expr):
    with pytest.raises(TypeError, match=r"expr must be a SymPy expression, got .*sp\.Symbol"):
        verb(expr, x)


@pytest.mark.parametrize("verb", [grad, jacobian, hessian, taylor, to_function])
@pytest.mark.parametrize("variables", ["x", 3, None, x**2, ["x"], [x, 1]])
def test_what_is_no_symbol_is_refused_with_the_way_out(verb, variables):
    with pytest.raises(TypeError, match=r"variables must be symbols, got .*sp\.symbols"):
        verb(x**2, variables)


def test_variables_come_in_any_sequence_and_once():
    for variables in ((x, y), [x, y], sp.Matrix([x, y]), sp.Tuple(x, y), np.array([x, y])):
        assert grad(x * y, variables) == sp.Matrix([y, x])
    with pytest.raises(ValueError, match="variables must differ"):
        grad(x * y, (x, x))
    with pytest.raises(TypeError, match="variables must be symbols"):
        grad(x * y, [])


TEXT = "x*__import__('os').getpid()"


@pytest.mark.parametrize("verb", [jacobian, to_function])
@pytest.mark.parametrize(
    "entries",
    [
        [TEXT],
        np.array([TEXT]),
        [x, TEXT],
        [[x, TEXT]],
        [None],
        [True],
        [x > 0],
        [lambda t: t],
        [x, []],
    ],
    ids=lambda each: str(each).split(" at 0x")[0],
)
def test_entries_that_are_no_expressions_are_refused_and_never_evaluated(verb, entries):
    with pytest.raises(TypeError, match=r"expr must be a SymPy expression, got .*; make it from"):
        verb(entries, x)


def test_rows_of_expressions_keep_their_shape_and_have_equal_length():
    f = to_function([[x, 2 * x, 0], [1, 2.5, x]], x)
    assert f(2.0).tolist() == [[2, 4, 0], [1, 2.5, 2]]
    assert to_function(np.array([[x, y]]), (x, y))([1, 2]).tolist() == [[1, 2]]
    for ragged in ([x, [y]], [[x, y], [x]]):
        with pytest.raises(ValueError, match=r"rows of equal length, got .*same length"):
            jacobian(ragged, x)


@pytest.mark.parametrize("expr", [sp.nan, np.nan, sp.oo, -sp.oo, sp.zoo, sp.zoo * x, sp.oo + y])
def test_what_is_not_finite_has_no_derivative(expr):
    for verb in (grad, jacobian, hessian):
        with pytest.raises(ValueError, match=r"expr must have finite values.*got .*division by 0"):
            verb(expr, x)
    with pytest.raises(ValueError, match="expr must have finite values"):
        jacobian([x, expr], x)


def test_an_infinite_limit_or_a_branch_without_a_value_has_a_derivative():
    tail = sp.Integral(sp.exp(-y), (y, x, sp.oo))
    assert grad(tail, x)[0] == -sp.exp(-x)
    half = sp.Piecewise((x**2, x > 0), (sp.nan, True))
    assert grad(half, x)[0].subs(x, 3) == 6


@pytest.mark.parametrize(
    ("point", "error", "words"),
    [
        (10**400, ValueError, r"x must be at most 1\.8e\+308"),
        ([10**400, 1], ValueError, r"x must be at most 1\.8e\+308"),
        ("a", TypeError, "x must hold real numbers, got str 'a'"),
        (None, TypeError, "x must hold real numbers, got NoneType"),
        ([1.0, None], TypeError, "x must hold real numbers, got list"),
        (y, TypeError, "x must hold real numbers, got Symbol 'y'"),
        ([[1.0], [2.0, 3.0]], ValueError, "x must be .*unequal length"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), ValueError, "x must not have masked entries"),
    ],
)
def test_a_point_that_is_none_is_refused(point, error, words):
    with pytest.raises(error, match=words):
        to_function(x**2, x)(point)


def test_exact_numbers_are_points():
    f = to_function(x**2, x)
    assert f(sp.Rational(1, 2)) == 0.25
    assert f([sp.Integer(2), 3]).tolist() == [4.0, 9.0]
    assert f(10**30) == pytest.approx(1e60, rel=1e-15)


@pytest.mark.parametrize(
    ("expr", "words"),
    [
        (sp.Function("f")(x) + x, r"functions that are not defined: f; .*expr\.subs"),
        (sp.Derivative(sp.Function("f")(x), x), "functions that are not defined: f;"),
        (
            sp.Derivative(sp.sin(x), x),
            r"NumPy cannot compute, got .*Derivative\(sin\(x\), x\).*doit",
        ),
        (sp.Integral(sp.exp(x**x), x), r"NumPy cannot compute, got .*Integral.*doit"),
    ],
)
def test_what_cannot_be_compiled_is_refused_at_once(expr, words):
    with pytest.raises(ValueError, match=words):
        to_function(expr, x)
    with pytest.raises(ValueError, match=words):
        to_function([x, expr], x)


@pytest.mark.parametrize("expr", [sp.zeta(x), sp.DiracDelta(x)])
def test_a_function_that_numpy_does_not_have_is_named(expr):
    name = str(expr.func)
    with pytest.raises(ValueError, match=f"function that NumPy does not have, {name}: got {name}"):
        to_function(expr, x)(2.0)


def test_unknown_symbols_are_named():
    with pytest.raises(ValueError, match=r"not among the variables: t, y; add them"):
        to_function(x * y * t, x)


@pytest.mark.parametrize("point", [3.0, [1, 2, 3], np.ones((3, 2)), np.ones((2, 2, 2))])
def test_point_with_another_number_of_coordinates_is_refused(point):
    with pytest.raises(ValueError, match=r"x must have shape \(2,\), or \(2, k\)"):
        to_function(x * y, (x, y))(point)
