"""Rules in plain Python, their formulas and their JavaScript."""

import math

import numpy as np
import pytest
import sympy as sp

from calclib import tracing
from calclib.optimizers import sgd
from calclib.problems import himmelblau, valley
from calclib.tracing import Let, Orbit, Program, Sweep, Table, TraceError

x, y, rate = sp.symbols("x y rate", real=True)
k = sp.Symbol("k", integer=True)


def test_a_rule_called_with_symbols_is_its_formula():
    assert tracing.formula(lambda x, rate: x - rate * 2 * x, "x", "rate") == x - 2 * rate * x


def test_an_optimizer_traces_to_its_textbook_formula():
    def next_x(x, rate):
        rule = sgd(rate)
        step, _ = rule.update(2 * x, rule.init(x), x)
        return x + step

    assert sp.expand(tracing.formula(next_x, "x", "rate") - (x - 2 * rate * x)) == 0


@pytest.mark.parametrize("problem", [valley(), himmelblau()], ids=lambda p: p.name)
def test_a_traced_gradient_is_the_derivative_of_the_formula(problem):
    slopes = tracing.formula(lambda x, y: problem.grad((x, y)), "x", "y")
    height = problem.fun((x, y))
    for slope, symbol in zip(slopes, (x, y), strict=True):
        assert sp.simplify(slope - sp.diff(height, symbol)) == 0


def test_latex_is_the_latex_of_the_formula():
    assert tracing.latex(lambda x: (x**2, x / 3), "x") == r"x^{2},\; \frac{x}{3}"


def test_leaves_flatten_arrays_tuples_and_nothing():
    state = (np.array([[1, 2], [3, 4]]), None, [5, (6,)], sp.Matrix([x, y]))
    assert tracing.leaves(state) == [1, 2, 3, 4, 5, 6, x, y]


def test_an_object_array_of_symbols_goes_through_array_arithmetic():
    result = tracing.formula(lambda x, y: 2 * np.array([x, y], dtype=object) + 1, "x", "y")
    assert list(result) == [2 * x + 1, 2 * y + 1]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda x: np.sqrt(x), "np.sqrt"),
        (lambda x: np.exp(x), "np.exp"),
        (lambda x: np.exp(np.array([x])), "np.exp"),
        (lambda x: 1 if x == 0 else 2, "the comparison x == 0"),
        (lambda x: 1 if 0.0 == x - 1 else 2, "the comparison x - 1 == 0"),  # noqa: SIM300
        (lambda x: 1 if x != 2 else 2, "the comparison x != 2"),
        (lambda x: 1 if x in (0, 1) else 2, "the comparison x == 0"),
        (lambda x: 1 if x else 2, "whether x is true"),
        (lambda x: x or 1, "whether x is true"),
        (lambda x: not x, "whether x is true"),
        (lambda x: 1 if (x > 0) & (x < 1) else 2, "(x > 0) & (x < 1) is true"),
        (lambda x: x // 0.1, "cannot trace // of x and 0.1"),
        (lambda x: 3 % x, "cannot trace % of x and 3"),
        (lambda x: divmod(x, 3), "cannot trace divmod of x and 3"),
        (lambda x: x * sp.Symbol("y"), "brings the symbol y along"),
        (lambda x: math.sin(x), "math.sin(x)"),
        (lambda x: math.sin(x), "use tracing.sin(x)"),
        (lambda x: math.exp(x), "use sympy.exp(x)"),
        (lambda x: 1.0 if x > 0 else 2.0, "comparison x > 0"),
        (lambda x: max(x, 0), "comparison"),
        (lambda x: np.maximum(x, 0), "comparison"),
        (lambda x: x > 0 and x < 1, "comparison"),
        (lambda x: float(x), "float()"),
        (lambda x: [1, 2][x], "[1, 2][x]"),
        (lambda x: "text", "returns str"),
    ],
)
def test_what_cannot_be_traced_is_refused_by_name(rule, words):
    with pytest.raises(TraceError) as refused:
        tracing.formula(rule, "x")
    assert words in str(refused.value)
    assert any(way in str(refused.value) for way in ("use ", "write ", "return ", "a rule may"))


@pytest.mark.parametrize("function", [sp.gamma, sp.erf, sp.Function("foo")])
def test_a_function_that_javascript_lacks_is_refused_by_name(function):
    with pytest.raises(TraceError, match=str(function(x)).replace("(", r"\(").replace(")", r"\)")):
        tracing.javascript(lambda x: function(x), "x")


@pytest.mark.parametrize("name", ["while", "q", "2x", "λ", "input", "a-b", "Math"])
def test_names_that_javascript_cannot_have_are_refused(name):
    with pytest.raises(ValueError, match="cannot name a quantity"):
        Program((name,))


def test_a_name_used_twice_is_refused():
    with pytest.raises(ValueError, match="used twice"):
        Program(("x",), Let("x", lambda x: 2 * x))


def test_a_quantity_must_be_defined_before_it_is_read():
    with pytest.raises(ValueError, match="reads 'z'"):
        Program(("x",), Let("y", lambda z: z), Let("z", lambda x: x))


def test_a_list_cannot_be_read_as_a_number():
    grid = Sweep("t", (0.0, 1.0), (Let("z", lambda t: t),))
    with pytest.raises(ValueError, match="reads 'z'"):
        Program(("x",), grid, Let("w", lambda z: z))


def test_missing_inputs_are_named():
    with pytest.raises(ValueError, match=r"\['x', 'y'\]"):
        Program(("x", "y"))(x=1.0)


def test_shared_parts_are_computed_once():
    source = tracing.javascript(lambda x: ((x + 1) ** 2, (x + 1) ** 3, sp.sin(x + 1)), "x")
    assert source.count("x + 1") == 1


def test_floats_are_printed_in_full():
    assert repr(0.1 + 0.2) in tracing.javascript(lambda x: x + (0.1 + 0.2), "x")


def test_an_orbit_stops_at_its_bound_its_condition_or_its_last_step():
    def steps(x0, **options):
        orbit = Orbit(("x",), lambda x0: x0, lambda x: 10 * x, steps=5, **options)
        return Program(("x0",), orbit)(x0=x0)["n"]

    assert steps(1.0) == 5
    assert steps(1.0, bound=50.0) == 2
    assert steps(1.0, until=lambda x: x >= 1000) == 3


# --- questions that SymPy answers for the expression and not for its value -----------------------


def test_what_is_written_alike_may_be_compared():
    assert tracing.formula(lambda x: x if x == x else 0, "x") == x
    assert tracing.formula(lambda x: 0 if x is None or x == None else x, "x") == x  # noqa: E711


def test_a_plain_option_may_decide_inside_a_rule():
    rule = sgd(0.1, momentum=0.0)
    assert tracing.formula(lambda x: rule.update(x, rule.init(x), x)[0], "x") == -0.1 * x


def test_outside_a_rule_sympy_is_left_as_it_was():
    before = {name: vars(sp.Basic).get(name) for name in ("__eq__", "__ne__", "__bool__")}
    with pytest.raises(TraceError, match="x == 0"):
        tracing.formula(lambda x: tracing.formula(lambda t: t, "t") if x == 0 else 1, "x")
    assert before == {name: vars(sp.Basic).get(name) for name in before}
    assert bool(x)
    assert x != 0


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (lambda x: 3.0, "3.0"),
        (lambda x: True, "true"),
        (lambda x: float("inf"), "Number.POSITIVE_INFINITY"),
        (lambda x: float("nan"), "NaN"),
        (lambda x: [x], "[x]"),
        (lambda x: (x, 1), "[x, 1]"),
        (lambda x: x > 0, "x > 0"),
    ],
)
def test_a_constant_is_a_number_in_javascript_and_several_values_are_an_array(rule, body):
    assert tracing.javascript(rule, "x") == f"function f(x) {{\n  return {body};\n}}"


@pytest.mark.parametrize("rule", [lambda x: 1j, lambda x: x + 2j, lambda x: sp.S.One / 0])
def test_a_value_that_is_not_real_has_no_javascript(rule):
    with pytest.raises(TraceError, match="its numbers are real"):
        tracing.javascript(rule, "x")


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (lambda x: x / 3, "x/3"),
        (lambda x: -x / 3, "(-x)/3"),
        (lambda x: (x + 1) / 7 * 2, "(2*x)/7 + 2/7"),
        (lambda x: sp.floor(x / 49), "Math.floor(x/49)"),
        (lambda x: x // 49, "Math.floor(x/49)"),
        (lambda x: (x / 3) ** 2 / 5, "(x*x)/45"),
        (lambda x: sp.cbrt(x), "Math.pow(x, 1/3)"),
        (lambda x: sp.exp(x) / 2, "Math.exp(x)/2"),
    ],
)
def test_a_quotient_is_divided_as_python_divides_it(rule, body):
    assert tracing.javascript(rule, "x").splitlines()[-2] == f"  return {body};"


@pytest.mark.parametrize("rule", [lambda x: sp.Sum(x, (k, 0, 3)), lambda x: sp.gamma(x)])
def test_what_javascript_does_not_know_is_refused(rule):
    with pytest.raises(TraceError, match="its Math has no such function"):
        tracing.javascript(rule, "x")


def test_each_argument_has_a_name_of_its_own():
    with pytest.raises(ValueError, match="a name of its own, got x, x"):
        tracing.javascript(lambda x, y: x - y, "x", "x")


def test_the_complement_of_a_truth_value_is_no_condition():
    with pytest.raises(TypeError, match="where needs a condition"):
        tracing.where(~np.int64(1), 1, 2)
    assert tracing.where(np.bool_(False), 1, 2) == 2


# --- recorded rows --------------------------------------------------------------------------------


def test_a_table_gives_the_row_that_is_nearest_and_stays_inside():
    table = Table(("curve", "loss"), [((1, 2), 5.0), ((3, 4), 6.0), ((5, 6), 7.0)], "epoch")
    program = Program(("epoch",), table, Let("twice", lambda loss: 2 * loss))
    found = [(program(epoch=at)["curve"], program(epoch=at)["twice"]) for at in (-3, 0.5, 1.4, 9)]
    assert found == [([1, 2], 10), ([3, 4], 12), ([3, 4], 12), ([5, 6], 14)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("loss", [], "epoch"), "at least one row"),
        ((("a", "b"), [(1, 2, 3)], "epoch"), "a row needs 2 entries"),
        (("a", [1.0, [1.0]], "epoch"), "mixes numbers and sequences"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Table(*arguments)


def test_a_table_needs_a_number_as_index():
    with pytest.raises(ValueError, match="reads 'k', which is not a number"):
        Program(("epoch",), Table("loss", [1.0], "k"))
