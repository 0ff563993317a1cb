"""check prints one line, says ok or not yet, and never raises."""

import contextlib
import io
import itertools
import math
import re
import warnings

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from calclib.checks import check

x, y = sp.symbols("x y")
x_real = sp.Symbol("x", real=True)


NOT_YET = tuple(
    f"3.2  not yet: {reason}\n"
    for reason in (
        "look again",
        "replace the dots",
        "within two percent. More digits, or is a small term missing? look again",
        "within two percent, and digits are not what is missing. look again",
    )
)


@pytest.fixture
def verdict(capsys):
    """Return what check prints for an answer, after looking that it is one whole line."""

    def run(got, expected, **options):
        assert check("3.2", got, expected, hint="look again", **options) is None
        printed, warned = capsys.readouterr()
        assert warned == ""
        assert printed == "3.2  ok\n" or printed in NOT_YET
        return printed == "3.2  ok\n"

    return run


RIGHT = [
    (2, 2.0),
    (2.0 + 1e-9, 2),
    (np.float32(0.1), 0.1),
    (np.array(2.0), 2),
    (sp.Rational(1, 2), 0.5),
    (0.5, sp.Rational(1, 2)),
    (sp.sqrt(2), 2**0.5),
    (0, 1e-13),
    (1e-13, 0),
    (1e-7, 0),
    (np.inf, np.inf),
    (np.nan, np.nan),
    (1j, 1j),
    ([1, 2], np.array([1.0, 2.0])),
    (np.array([1, 2]), [1, 2]),
    ((1, 2), [1, 2]),
    (np.eye(2), [[1, 0], [0, 1]]),
    ([np.array([1, 2]), "a", True], (np.array([1, 2]), "a", True)),
    (np.array([1.0, 1e-8]), np.array([1.0, 0.0])),
    ("converges", "converges"),
    ("  Converges ", "converges"),
    (True, True),
    (np.True_, True),
    (False, np.bool_(False)),
    ({"a": 1, "b": [2]}, {"b": (2,), "a": 1.0}),
    (x * (x + 1), x**2 + x),
    (x_real**2, x**2),
    (sp.sin(x) ** 2, 1 - sp.cos(x) ** 2),
    (0.1 * x + 0.2 * x, 0.3 * x),
    (sp.Matrix([2 * x, y]), sp.ImmutableMatrix([x + x, y])),
    ([2 * x, y], (x + x, y)),
    (sp.Function("g")(x) * 2 - sp.Function("g")(x), sp.Function("g")(x)),
    (sp.Function("g")(x) * (x + 1), x * sp.Function("g")(x) + sp.Function("g")(x)),
    (sp.Eq(x, 1), sp.Eq(x, 1)),
    (True, sp.true),
    (sp.oo, sp.oo),
]

WRONG = [
    (2.1, 2),
    (2.01, 2),
    (0, 2.7e-4),
    (-2, 2),
    (np.nan, 1),
    (1, np.nan),
    (1, np.inf),
    (-np.inf, np.inf),
    (True, 1),
    (1, True),
    (np.array([1]), 1),
    (1, np.array([1])),
    ([1, 2, 3], np.array([1, 2])),
    (np.array([[1], [2]]), np.array([1, 2])),
    ([5.0, np.inf], np.array([1.0, np.inf])),
    ([1, 1], 1),
    ([1, 2], [1]),
    ("2", 2),
    (2, "2"),
    ("diverges", "converges"),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": 1, "b": 2}, {"a": 1}),
    ({"a": 1}, [1]),
    ([("a", 1)], {"a": 1}),
    (x**2, x**3),
    (x + 1e-3, x),
    ("x**2", x**2),
    (y, x),
    (2, x),
    (x, 2),
    (x, sp.oo),
    (sp.Matrix([x, y]), sp.Matrix([[x, y]])),
    (sp.Matrix([x, y]), x),
    (x, sp.Matrix([x, y])),
    (sp.Eq(x, 1), sp.Eq(x, 2)),
    (True, sp.Integer(1)),
    (sp.sqrt(-1 - x**2), x),
]


@pytest.mark.parametrize(("got", "expected"), RIGHT, ids=lambda v: str(v)[:30])
def test_right_answer_is_ok(verdict, got, expected):
    assert verdict(got, expected)


@pytest.mark.parametrize(("got", "expected"), WRONG, ids=lambda v: str(v)[:30])
def test_wrong_answer_is_not_yet(verdict, got, expected):
    assert not verdict(got, expected)


def test_tolerance_is_relative_to_the_expected_number(verdict):
    assert verdict(2.71e-4, 2.7e-4, tol=1e-2)
    assert not verdict(2.8e-4, 2.7e-4, tol=1e-2)
    assert verdict(1.0005e6, 1e6, tol=1e-3)
    assert not verdict(1.002e6, 1e6, tol=1e-3)


@pytest.mark.parametrize("roots", [(0.31, 0.57), (0.31, 0.83), (0.57, 0.83)])
def test_expressions_that_meet_at_two_points_are_not_the_same(verdict, roots):
    a, b = roots
    assert not verdict(x**2 + 5 * (x - a) * (x - b), x**2)
    assert not verdict(x * y + 5 * (x - a) * (x - b), x * y)


def test_tolerance_of_an_expression_is_relative_to_its_value(verdict):
    for size in (1e6, 1, 1e-6, 1e-40):
        assert verdict(size * (1 + 1e-10) * x, size * x)
        assert not verdict(size * (1 + 1e-8) * x, size * x)
        assert verdict(size * 1.0005 * x, size * x, tol=1e-3)
        assert not verdict(size * 1.002 * x, size * x, tol=1e-3)


def test_an_expression_for_zero_may_be_off_by_rounding_alone(verdict):
    assert verdict(0.3 * x - 0.1 * x - 0.2 * x, sp.Integer(0))
    assert verdict(sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1, sp.Integer(0))
    assert verdict(sp.Integer(0), sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1)
    assert not verdict(1e-10 * x, sp.Integer(0))


def test_numbers_of_sympy_have_the_tolerance_of_numbers(verdict):
    assert verdict(0.3334, sp.Rational(1, 3))
    assert verdict(sp.Float("3.1416"), sp.pi)
    assert verdict(1e-4, sp.Integer(0))
    assert not verdict(sp.Float("3.15"), sp.pi)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (abs(x), x),
        (x, abs(x)),
        (sp.sign(x), sp.Integer(1)),
        (sp.Heaviside(x), sp.Integer(1)),
        (sp.Max(x, 0), x),
        (sp.Min(x, 5), x),
        (abs(x) * y, x * y),
        (x**1000, sp.Integer(0)),
        (x**2.0005, x**2),
        (2.001 * x, 2 * x),
        (sp.sqrt(x), sp.sqrt(-x)),
        (sp.Piecewise((x, x > 0), (0, True)), x),
        (sp.Matrix([abs(x), y]), sp.Matrix([x, y])),
    ],
    ids=str,
)
def test_expressions_that_agree_on_one_side_or_nearly_are_not_the_same(got, expected, capsys):
    check("1.1", got, expected, hint="think again")
    check("1.2", (got, 7.0), (expected, 7.0), hint="think again")
    assert capsys.readouterr().out == "1.1  not yet: think again\n1.2  not yet: think again\n"


p, q = sp.symbols("p q", positive=True)
m = sp.Symbol("m", integer=True)
negative = sp.Symbol("negative", negative=True)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (2 * sp.log(x), sp.log(x**2)),
        (sp.sqrt(x - 4) * 2, sp.sqrt(4 * x - 16)),
        (sp.acosh(x), sp.log(x + sp.sqrt(x - 1) * sp.sqrt(x + 1))),
        (sp.asin(x) + sp.acos(x), sp.pi / 2),
        (sp.sqrt(p) * sp.sqrt(q), sp.sqrt(p * q)),
        (sp.sqrt((negative - 1) ** 2), 1 - negative),
        (sp.cos(sp.pi * m), (-1) ** m),
        ((x + 1) ** 10, sp.expand((x + 1) ** 10)),
        (1 / (1 + sp.exp(-x)), sp.exp(x) / (1 + sp.exp(x))),
        (sp.Max(x, 0), (x + abs(x)) / 2),
        (sp.exp(-(x**4)), 1 / sp.exp(x**4)),
        ((x - 0.1) * (x + 0.1), x**2 - 0.01),
        (0.5 * sp.exp(0.1 * x) * 0.1, 0.05 * sp.exp(0.1 * x)),
    ],
    ids=str,
)
def test_expressions_are_compared_where_both_are_real(got, expected, verdict):
    assert verdict(got, expected)


def test_tolerance_of_an_array_is_relative_to_its_largest_number(verdict):
    assert verdict([1000.0, 0.9, -0.9], np.array([1000.0, 0.0, 0.0]))
    assert not verdict([1000.0, 1.1, 0.0], np.array([1000.0, 0.0, 0.0]))
    assert verdict([-1000.0, 0.9, np.inf], np.array([-1000.0, 0.0, np.inf]))
    assert not verdict([2e-6, 1e-6], np.array([2.1e-6, 1e-6]))
    assert verdict([9e-4, 0.0], np.array([0.0, 0.0]))
    assert not verdict([1.1e-3, 0.0], np.array([0.0, 0.0]))


class Hostile:
    """An object on which whatever check may try raises."""

    def __init__(self, error=RuntimeError):
        object.__setattr__(self, "error", error)

    def refuse(self, *args, **kwargs):
        raise object.__getattribute__(self, "error")("not with me")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __bool__ = refuse
    __array__ = __float__ = __complex__ = __int__ = __index__ = __len__ = __iter__ = refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __abs__ = refuse
    __getitem__ = __contains__ = __str__ = __repr__ = __getattr__ = _sympy_ = refuse


class PretendsToBeAList(Hostile):
    @property
    def __class__(self):
        return list


class ListThatRaises(list):
    __len__ = __iter__ = __getitem__ = Hostile.refuse
    error = ValueError


class DictThatRaises(dict):
    keys = __iter__ = __getitem__ = Hostile.refuse
    error = KeyError


class ArrayOfAnotherShapeEachTime:
    calls = itertools.count()

    def __array__(self, dtype=None, copy=None):
        return np.zeros(next(self.calls))


class Warns:
    """The number 7, with a warning."""

    def __array__(self, dtype=None, copy=None):
        warnings.warn("made an array", UserWarning, stacklevel=1)
        return np.array(7.0)


def endless():
    while True:
        yield 1


itself = []
itself.append(itself)

HOSTILE = [
    ...,
    None,
    NotImplemented,
    float("nan"),
    [],
    (),
    {},
    set(),
    "",
    "\ud800",
    b"bytes",
    object(),
    type,
    print,
    lambda: 1,
    endless(),
    itertools.count(),
    range(10**12),
    10**400,
    [..., ...],
    [None],
    itself,
    [[1, 2], [3]],
    np.array([1, None, "a"], dtype=object),
    np.array([]),
    np.array(["a"]),
    np.zeros((0, 3)),
    np.datetime64("2020-01-01"),
    np.ma.masked,
    np.zeros(3, dtype=[("a", int)]),
    sp.nan,
    sp.zoo,
    sp.Symbol("q"),
    sp.sin,
    sp.Matrix(0, 0, []),
    sp.Integral(sp.exp(x**x), x),
    sp.Function("g"),
    Exception("boom"),
    Hostile(),
    Hostile(RecursionError),
    Hostile(MemoryError),
    Hostile(AttributeError),
    Hostile(StopIteration),
    PretendsToBeAList(),
    [Hostile(), Hostile()],
    {"a": Hostile()},
    ListThatRaises([1]),
    DictThatRaises(a=1),
    ArrayOfAnotherShapeEachTime(),
    Warns(),
]

EXPECTED = [
    6.0,
    np.array([1.0, 2.0]),
    np.eye(2),
    "ok",
    True,
    x**2,
    sp.Matrix([x, y]),
    sp.Eq(x, 3),
    (1.0, 2.0),
    [x, "a"],
    {"a": 1.0},
]


@pytest.mark.parametrize("k", range(len(HOSTILE)))
def test_nothing_that_is_given_makes_check_raise(verdict, k):
    for expected in EXPECTED:
        assert not verdict(HOSTILE[k], expected)


def test_nothing_that_is_expected_makes_check_raise(capsys):
    for got, expected in itertools.product([1.0, [1.0], x, ..., Hostile()], HOSTILE):
        check("0", got, expected)
        assert re.fullmatch("0  (ok|not yet(: .*)?)\n", capsys.readouterr().out)


def test_bad_tolerance_does_not_raise(verdict):
    for tol in (None, "small", Hostile(), -1):
        assert not verdict(2.0, 3.0, tol=tol)


def test_warning_on_the_way_is_not_shown_and_not_held_against_the_answer(verdict):
    assert verdict(Warns(), 7)


def test_label_and_hint_stay_on_one_line(capsys):
    check("1\n.1", 1, 2, hint="first\nsecond \r\n third\u2028fourth")
    assert capsys.readouterr().out == "1 .1  not yet: first second third fourth\n"
    check(Hostile(), 1, 2, hint=Hostile())
    assert capsys.readouterr().out == "  not yet\n"
    check("1.1", 1, 2, hint="\ud800")
    assert capsys.readouterr().out == "1.1  not yet: ?\n"


def test_without_a_hint_there_is_no_colon(capsys):
    check("1.1", 1, 2)
    assert capsys.readouterr().out == "1.1  not yet\n"


def test_answer_is_not_modified(verdict):
    answer = [1, 2]
    array = np.array([1, 2])
    assert verdict(answer, np.array([1.0, 2.0]))
    assert verdict(array, [1.0, 2.0])
    assert answer == [1, 2]
    assert array.tolist() == [1, 2]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(got=anything, expected=anything)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_check_never_raises_on_random_objects(got, expected):
    assert check("0", got, expected) is None


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None, derandomize=True)
def test_every_number_equals_itself_and_not_its_double_plus_one(value):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        check("0", value, value)
        check("0", 2 * value + 1 if value >= 0 else 2 * value - 1, value)
    assert said.getvalue() == "0  ok\n0  not yet\n"


@pytest.mark.parametrize("answer", [..., (..., ...), [1.0, ...], [...]])
def test_an_untouched_starter_hears_no_hint(answer, capsys):
    check("1.1", answer, (1.0, 2.0), hint="the answer is (1, 2)")
    assert capsys.readouterr().out == "1.1  not yet: replace the dots\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(0.28, 0.2828427), (9.3, 9.3127), ((7, 9.3), (7, 9.3127)), (0.142, sp.Rational(1, 7))],
)
def test_a_number_with_few_digits_within_two_percent_is_told_so(answer, expected, capsys):
    check("1.1", answer, expected, hint="think again")
    said = "within two percent. More digits, or is a small term missing? think again"
    assert capsys.readouterr().out == f"1.1  not yet: {said}\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (2**0.5 / 1.04, (2 / 1.04) ** 0.5),  # a root forgotten
        ((np.log(4) / 50) ** 0.5, (4 ** (1 / 50) - 1) ** 0.5),  # nearly
        (np.arange(99.0) / np.std(range(99), ddof=1), np.arange(99.0) / np.std(range(99))),
        ([1.0, np.float64(2 / 3)], [1.0, 0.6670001 * 1.01]),
        (sp.Rational(1, 7), 0.1442),
        ({"a": 1 / 7}, {"a": 0.1442}),
    ],
    ids=["root", "nearly", "function", "one of two", "fraction", "named"],
)
def test_a_number_within_two_percent_with_digits_enough_is_not_asked_for_more(
    answer, expected, capsys
):
    check("1.1", answer, expected, hint="think again")
    said = "within two percent, and digits are not what is missing. think again"
    assert capsys.readouterr().out == f"1.1  not yet: {said}\n"


def test_a_typed_answer_within_two_percent_is_not_told_that_only_digits_are_missing(capsys):
    check("7.3", (0.1, 0.9), (0.1, 0.91), hint="which of them holds the rate?")
    assert capsys.readouterr().out.endswith(
        "More digits, or is a small term missing? which of them holds the rate?\n"
    )
    check("7.3", 0.9, 0.91)
    assert capsys.readouterr().out.endswith("or is a small term missing?\n")


@pytest.mark.parametrize(("answer", "expected"), [(160, 159), (68.9, 69), (x + 0.001, x), (1, 2.0)])
def test_what_is_wrong_is_not_told_that_it_is_near(answer, expected, capsys):
    check("1.1", answer, expected, hint="think again")
    assert capsys.readouterr().out == "1.1  not yet: think again\n"


@pytest.mark.parametrize("answer", [0.2828, 0.28284, 0.283])
def test_an_answer_from_paper_needs_three_digits(answer, verdict):
    assert verdict(answer, 0.2828427)


# --- whole numbers --------------------------------------------------------------------------------

COUNTS = [
    (6932, 6932),
    (6932.0, 6932),
    (np.int64(6932), 6932),
    (np.float64(6932), np.int32(6932)),
    (sp.Integer(6932), 6932),
    (np.array(6932), 6932),
    (-5.0, -5),
    (3 * 0.1 * 10, 3),
    (np.exp(3 * np.log(100)), 1_000_000),
    (10**20, 10**20),
    ([525000.0, 3000000], [525000, 3000000]),
    (np.array([1654.0, 4608.0]), (1654, 4608)),
    ((1, [1.2001, 0.4]), (1, [1.2, 0.4])),
    ({"steps": 1000.0}, {"steps": 1000}),
    ([4000.0, 0.0], np.array([4000, 0])),
]


@pytest.mark.parametrize(("got", "expected"), COUNTS, ids=str)
def test_a_count_is_right_in_any_form(verdict, got, expected):
    assert verdict(got, expected)


BESIDE_COUNTS = [
    (6931, 6932),
    (6933, 6932),
    (6931.4718, 6932),
    (6932.5, 6932),
    (6932.001, 6932),
    (np.int64(6931), np.int64(6932)),
    (sp.Integer(6931), 6932),
    (1_000_001, 1_000_000),
    (2**53, 2**53 + 1),
    (10**20 + 1, 10**20),
    (1e-5, 0),
    (-4.999, -5),
    ([525001, 3000000], [525000, 3000000]),
    ([525000, 3000100], np.array([525000, 3000000])),
    ((1654, 4600), (1654, 4608)),
    ((1.0005, [1.2, 0.4]), (1, [1.2, 0.4])),
    ({"steps": 999.5}, {"steps": 1000}),
    ([4000, 1], np.array([4000, 0])),
]


@pytest.mark.parametrize(("got", "expected"), BESIDE_COUNTS, ids=str)
def test_a_number_beside_a_count_is_wrong_and_hears_the_hint(got, expected, capsys):
    check("7.8", got, expected, hint="round up")
    assert capsys.readouterr().out == "7.8  not yet: round up\n"


def test_a_tolerance_that_is_asked_for_holds_for_whole_numbers_too(verdict):
    assert verdict(6931, 6932, tol=1e-3)
    assert verdict([6931, 2.0], [6932, 2], tol=1e-3)
    assert not verdict(6920, 6932, tol=1e-3)
    assert not verdict(6931, 6932, tol=0)
    assert not verdict(2 + 1e-7, 2, tol=0)


def test_floats_that_happen_to_be_whole_are_no_counts(verdict):
    assert verdict(6931, 6932.0)
    assert verdict([6931, 1], np.array([6932.0, 1.0]))


@pytest.mark.parametrize(("got", "expected"), [(6931, 6932), ((7, 6931), (7, 6932)), (68.9, 69)])
def test_without_a_hint_a_near_miss_of_a_count_is_told_what_counts_need(got, expected, capsys):
    check("7.8", got, expected)
    assert capsys.readouterr().out == "7.8  not yet: close, but a whole number must be exact\n"


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ((7, 9.3), "within two percent. More digits, or is a small term missing? think again"),
        ((8, 9.3), "think again"),
    ],
)
def test_a_number_beside_a_count_is_close_where_the_count_is_right(got, said, capsys):
    check("1.1", got, (7, 9.3127), hint="think again")
    assert capsys.readouterr().out == f"1.1  not yet: {said}\n"


@pytest.mark.parametrize(
    ("got", "expected", "tol"),
    [
        (3.142, math.pi * 1.005, None),
        (3.14159, math.pi, 1e-9),
        ([0.33333, 0.66667], [1 / 3, 2 / 3], 1e-6),
        (3.14159, math.pi, 0.0),
    ],
)
def test_an_answer_with_no_more_digits_than_the_tolerance_asks_for_may_lack_digits(
    capsys, got, expected, tol
):
    check("1.1", got, expected, tol=tol)
    assert "More digits, or is a small term missing?" in capsys.readouterr().out
    check("1.1", np.multiply(expected, 1.01234567890123), expected, tol=tol or 1e-9)
    assert "digits are not what is missing" in capsys.readouterr().out
