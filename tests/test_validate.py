"""The door: each line of bad input gives the argument, what was got, and the way out."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from calclib import _validate

# every checker of points refuses these in the same words
BAD_POINTS = [
    ("one", TypeError, r"x0 must hold real numbers, got str 'one'.*np\.asarray\(x0, dtype=float\)"),
    (["a", "b"], TypeError, r"x0 must hold real numbers, got list.*np\.asarray"),
    (np.array(["a"]), TypeError, r"x0 must hold real numbers, got an array of <U1.*np\.asarray"),
    (None, TypeError, r"x0 must hold real numbers, got NoneType.*np\.asarray"),
    (..., TypeError, r"x0 must hold real numbers, got ellipsis.*np\.asarray"),
    (1j, TypeError, r"x0 must hold real numbers, got complex.*np\.asarray"),
    (sp.Symbol("a"), TypeError, r"x0 must hold real numbers, got Symbol 'a'.*np\.asarray"),
    ([1, None], TypeError, r"x0 must hold real numbers, got list.*np\.asarray"),
    (np.array(["2020-01-01"], "M8[D]"), TypeError, r"x0 must hold real.*np\.asarray"),
    (np.nan, ValueError, r"x0 must be finite, got nan; replace"),
    ([1.0, np.nan], ValueError, r"x0 must be finite, got nan at index \[1\]; replace"),
    ([[1.0, -np.inf]], ValueError, r"x0 must be finite, got -inf at index \[0, 1\]; replace"),
    ([], ValueError, r"x0 must not be empty, got shape \(0,\); give one number"),
    (np.empty((2, 0)), ValueError, r"x0 must not be empty, got shape \(2, 0\); give"),
    ([[1, 2], [3]], ValueError, r"x0 must be .*unequal length; give every row the same length"),
]


@pytest.mark.parametrize("accept", [_validate.real, _validate.start, _validate.starts])
@pytest.mark.parametrize(("value", "error", "message"), BAD_POINTS)
def test_point_that_is_no_point_is_refused(accept, value, error, message):
    with pytest.raises(error, match=message):
        accept(value, "x0")


WRONG_SHAPES = [
    (_validate.start, np.ones((3, 1)), r"x0 must be one start.*\(3, 1\); use x0\.ravel\(\)"),
    (_validate.start, np.ones((2, 3)), r"minimize_many for starts as columns"),
    (_validate.starts, np.ones(3), r"x0 must hold the starts as columns.*\(3,\).*x0\[:, None\]"),
    (_validate.starts, 1.0, r"x0 must hold the starts as columns.*\(\).*minimize for a single"),
    (_validate.starts, np.ones((1, 2, 3)), r"shape \(n, k\), got shape \(1, 2, 3\)"),
    (_validate.vector, np.ones((3, 1)), r"x0 must have shape \(n,\), got \(3, 1\).*x0\.ravel"),
    (_validate.vector, 2.0, r"x0 must have shape \(n,\), got a number; use np\.array\(\[x0\]\)"),
    (_validate.point, np.ones((1, 3)), r"x0 must be a number or have.*\(1, 3\); use x0\.ravel"),
    (_validate.number, [1.0, 2.0], r"x0 must be one number, got shape \(2,\); use x0\[0\]"),
]


@pytest.mark.parametrize(("accept", "value", "message"), WRONG_SHAPES)
def test_wrong_shape_is_refused_with_the_way_out(accept, value, message):
    with pytest.raises(ValueError, match=message):
        accept(value, "x0")


@pytest.mark.parametrize(
    "value", [[1, 2], (1, 2), np.array([1, 2], np.int8), np.array([1, 2], "f4")]
)
def test_what_goes_in_comes_out_as_a_copy_in_float64(value):
    got = _validate.vector(value, "x0")
    assert got.dtype == float
    assert got.tolist() == [1.0, 2.0]
    assert not np.shares_memory(got, value)


def test_exact_numbers_are_promoted():
    assert _validate.number(Fraction(1, 4), "x") == 0.25
    assert _validate.number(sp.Rational(1, 4), "x") == 0.25
    assert _validate.vector([10**30, 1], "x").tolist() == [1e30, 1.0]
    assert _validate.vector([True, False], "x").tolist() == [1.0, 0.0]


BEYOND = [10**400, [1, 10**400], [10**5000], Fraction(10**400, 3)]
if np.finfo(np.longdouble).max > np.finfo(float).max:  # not on every processor
    BEYOND += [np.longdouble("1e4000"), [np.longdouble("1e4000")]]


@pytest.mark.parametrize("name", ["x0", "h", "learning_rate", "tol"])
@pytest.mark.parametrize("value", BEYOND)
def test_a_number_beyond_all_floats_is_refused_with_the_way_out(value, name):
    message = rf"{name} must be at most 1\.8e\+308 in size.*larger number; divide it by its size"
    with pytest.raises(ValueError, match=message):
        _validate.real(value, name)


def test_a_whole_number_too_long_to_write_does_not_hide_what_is_wrong():
    with pytest.raises(TypeError, match="x0 must hold real numbers, got list;"):
        _validate.real([10**5000, None], "x0")


def test_masked_entries_are_refused_with_both_ways_out():
    holed = np.ma.array([1.0, 2.0], mask=[False, True])
    message = r"x0 must not have masked .*\.filled\(0\.0\).*\.compressed\(\)"
    for value in (holed, [holed, holed], np.ma.masked):
        with pytest.raises(ValueError, match=message):
            _validate.real(value, "x0")
    with pytest.raises(ValueError, match="value of fun must not have masked entries"):
        _validate.evaluate(lambda x: holed, 1.0)
    assert _validate.real(np.ma.array([1.0, 2.0]), "x0").tolist() == [1.0, 2.0]


def test_what_fails_to_become_an_array_is_not_called_ragged():
    class Elsewhere:
        def __array__(self, dtype=None, copy=None):
            raise ValueError("the data are elsewhere")

    message = "x0 must be a number or an array.*the data are elsewhere; give a list of numbers"
    for value in (Elsewhere(), [Elsewhere(), 1.0]):
        with pytest.raises(ValueError, match=message):
            _validate.real(value, "x0")
    with pytest.raises(ValueError, match="unequal length"):
        _validate.real([np.ones((2, 3)), np.ones((2, 4))], "x0")


def test_shapes_are_kept():
    assert _validate.start(3).shape == ()
    assert _validate.start([3]).shape == (1,)
    assert _validate.starts([[1, 2, 3]]).shape == (1, 3)


def test_precision_is_kept_on_request():
    assert _validate.point(np.float32(1), keep_precision=True).dtype == np.float32
    assert _validate.point(1, keep_precision=True).dtype == float


def test_checked_array_does_not_share_the_memory_of_the_caller():
    x0 = np.array([1.0, 2.0])
    for accept in (_validate.start, _validate.real, _validate.vector, _validate.point):
        assert not np.shares_memory(accept(x0, "x0"), x0)
    assert not np.shares_memory(_validate.positive(x0, "x0"), x0)
    assert not np.shares_memory(_validate.point(x0, keep_precision=True), x0)


# Rates, fractions, counts


@pytest.mark.parametrize("value", [0, 0.0, -1, -0.1, np.nan, np.inf, [0.1, 0.0], [0.1, np.nan], []])
def test_rate_that_is_not_positive_is_refused(value):
    with pytest.raises(ValueError, match=r"learning_rate must .*got .*;"):
        _validate.positive(value, "learning_rate")


@pytest.mark.parametrize("value", ["0.1", None, True, 1j, ...])
def test_rate_that_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match=r"learning_rate must .*got .*;"):
        _validate.positive(value, "learning_rate")


def test_positive_keeps_numbers_arrays_and_symbols():
    eta = sp.Symbol("eta")
    assert _validate.positive(1, "rate") == 1.0
    assert type(_validate.positive(1, "rate")) is float
    assert _validate.positive([1, 2], "rate").tolist() == [1.0, 2.0]
    assert _validate.positive(eta, "rate") is eta
    rates = np.array([eta, 2 * eta])
    assert _validate.positive(rates, "rate") is rates
    with pytest.raises(ValueError, match="above 0"):
        _validate.positive(sp.Integer(-1), "rate")


def test_positive_names_the_bad_rate():
    with pytest.raises(ValueError, match=r"got -2\.0 at index \[1\]"):
        _validate.positive([1.0, -2.0], "rate")


@pytest.mark.parametrize("value", [-0.1, 1, 1.0, 2, np.nan])
def test_fraction_lies_below_one(value):
    with pytest.raises(ValueError, match=r"momentum must .*got .*;"):
        _validate.fraction(value, "momentum")


def test_fraction_keeps_numbers_and_symbols():
    beta = sp.Symbol("beta")
    assert _validate.fraction(0, "momentum") == 0.0
    assert _validate.fraction(0.9, "momentum") == 0.9
    assert _validate.fraction(beta, "momentum") is beta
    assert _validate.fraction([0, 0.9], "momentum").tolist() == [0.0, 0.9]


def test_fraction_names_the_bad_one():
    with pytest.raises(ValueError, match=r"momentum must .*got 1\.5 at index \[1\]"):
        _validate.fraction([0.5, 1.5], "momentum")


@pytest.mark.parametrize("value", [0, -5, np.int64(0)])
def test_count_below_one_is_refused(value):
    with pytest.raises(
        ValueError, match=r"max_steps must be at least 1, got -?\d; write max_steps=1"
    ):
        _validate.positive_int(value, "max_steps")


@pytest.mark.parametrize("value", [10.0, "10", None, True, np.nan, [10]])
def test_count_that_is_no_whole_number_is_refused(value):
    with pytest.raises(TypeError, match=r"max_steps must be a whole number, got .*; use int"):
        _validate.positive_int(value, "max_steps")


def test_count_is_an_int():
    assert type(_validate.positive_int(np.int32(7), "max_steps")) is int
    assert _validate.positive_int(0, "order", least=0) == 0


def test_choice_lists_what_there_is():
    assert _validate.choice("a", "scheme", ("a", "b")) == "a"
    for value in ("c", None, 3, ["a"], np.array(["a", "b"])):
        with pytest.raises(ValueError, match=r"scheme must be one of 'a', 'b', got"):
            _validate.choice(value, "scheme", ("a", "b"))


# Values of fun


def test_evaluate_returns_an_array_and_no_warning():
    assert _validate.evaluate(lambda x: x**2, 3.0) == 9.0
    assert _validate.evaluate(lambda x: [x, 1], 3.0).tolist() == [3.0, 1.0]


@pytest.mark.parametrize(
    ("fun", "x"),
    [(lambda x: 1 / x, 0.0), (lambda x: 1 / x, np.float64(0)), (np.log, -1.0), (np.exp, 1e5)],
)
def test_evaluate_names_the_point_without_a_value(fun, x):
    with pytest.raises(ValueError, match=rf"loss .*at x={x}"):
        _validate.evaluate(fun, x, "loss")


def test_error_inside_fun_keeps_its_cause():
    with pytest.raises(
        ValueError, match=r"fun could not be evaluated at x=0\.0: float division"
    ) as e:
        _validate.evaluate(lambda x: 1 / x, 0.0)
    assert isinstance(e.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("value", [None, "3", 1j, [1, 1j], object()])
def test_value_that_is_no_real_number_is_refused(value):
    with pytest.raises(TypeError, match=r"fun must return real numbers, got .* at x=2\.0; check"):
        _validate.evaluate(lambda x: value, 2.0)


def test_complex_value_on_the_real_line_is_real():
    assert _validate.evaluate(lambda x: x + 0j, 2.0).dtype == float


def test_bad_column_of_points_is_named():
    points = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    with pytest.raises(ValueError, match=r"at x=\[2\., 5\.\]: got nan"):
        _validate.finite(np.array([0.0, np.nan, 0.0]), points)


def test_scalar_output_names_jacobian():
    with pytest.raises(ValueError, match=r"grad needs a scalar output, got shape \(3,\); use jac"):
        _validate.scalar_output(np.ones(3))
    assert _validate.scalar_output(np.array(2.0)) == 2.0


def test_long_arrays_are_shown_short():
    assert len(_validate.show(np.arange(1000.0))) < 60
    assert _validate.show(0.25) == "0.25"


NO_ARITHMETIC = [
    [1.0],
    (1.0,),
    "1",
    b"1",
    None,
    ...,
    {1.0},
    1j,
    Decimal(1),
    np.array(["1"]),
    np.array([1j]),
    np.array([1.0, None], dtype=object),
    np.array([1.0, "2"], dtype=object),
    sp.I,
    sp.true,
]


@pytest.mark.parametrize("value", NO_ARITHMETIC, ids=repr)
def test_what_is_no_real_number_array_or_symbol_is_refused_and_not_converted(value):
    with pytest.raises(
        TypeError, match=r"g must be a real number, .*np\.asarray\(g, dtype=float\)"
    ):
        _validate.real_or_symbols(value, "g")


def test_floats_and_symbols_are_handed_on_and_integers_promoted():
    x = sp.Symbol("x")
    for value in (1.5, np.float32(2), np.array([1.0, np.nan]), x, sp.pi, np.array([x, 1.0])):
        assert _validate.real_or_symbols(value, "g") is value
    for value in (3, True, Fraction(3), np.int8(3), np.array([1, 2]), np.array([1, 2.5], object)):
        found = _validate.real_or_symbols(value, "g")
        assert np.asarray(found).dtype == float
        np.testing.assert_array_equal(found, value)
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)
    squares = _validate.real_or_symbols(matrix, "g") ** 2
    np.testing.assert_array_equal(squares, [[1, 4], [9, 16]])  # and not the power of a matrix
