"""Facts about calclib.schedules: formulas, ends, arrays, refusals."""

import math

import numpy as np
import pytest
import sympy as sp

from calclib import tracing
from calclib.schedules import constant, cosine, exponential, linear, one_cycle, step_decay, warmup

SCHEDULES = {
    "constant": constant(0.3),
    "linear": linear(0.3, steps=10, end=0.03),
    "step_decay": step_decay(0.3, steps=4, factor=0.5),
    "exponential": exponential(0.3, factor=0.9),
    "cosine": cosine(0.3, steps=10, end=0.03),
    "one_cycle": one_cycle(0.3, steps=10),
    "warmup": warmup(cosine(0.3, steps=7), steps=3),
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)


@pytest.mark.parametrize("k", range(14))
def test_rates_are_those_of_the_formulas(k):
    done = min(k / 10, 1)
    expected = {
        "constant": 0.3,
        "linear": 0.3 + (0.03 - 0.3) * done,
        "step_decay": 0.3 * 0.5 ** (k // 4),
        "exponential": 0.3 * 0.9**k,
        "cosine": 0.03 + (0.3 - 0.03) * (1 + math.cos(math.pi * done)) / 2,
        "one_cycle": (
            0.3 / 25 + (0.3 - 0.3 / 25) * (1 - math.cos(math.pi * k / 3)) / 2
            if k < 3
            else 0.3 / 25e4 + (0.3 - 0.3 / 25e4) * (1 + math.cos(math.pi * min((k - 3) / 7, 1))) / 2
        ),
        "warmup": (
            0.3 * (k + 1) / 4 if k < 3 else 0.3 * (1 + math.cos(math.pi * min((k - 3) / 7, 1))) / 2
        ),
    }
    for name, schedule in SCHEDULES.items():
        assert schedule(k) == pytest.approx(expected[name], rel=1e-12, abs=1e-17), name


@every_schedule
def test_an_array_of_steps_gives_the_array_of_rates(name):
    schedule = SCHEDULES[name]
    k = np.arange(14)
    rates = schedule(k)
    assert rates.dtype == np.float64
    np.testing.assert_allclose(rates, [schedule(int(i)) for i in k], rtol=1e-15)
    np.testing.assert_array_equal(schedule(k.reshape(2, 7)), rates.reshape(2, 7))
    np.testing.assert_array_equal(k, np.arange(14))


@every_schedule
def test_a_number_gives_a_python_float(name):
    for k in (3, 3.0, np.int64(3), np.array(3)):
        assert type(SCHEDULES[name](k)) is float
        assert SCHEDULES[name](k) == SCHEDULES[name](3)


@every_schedule
def test_rates_never_are_negative_and_settle_when_steps_are_over(name):
    rates = SCHEDULES[name](np.arange(1000))
    assert (rates >= 0).all()
    if name not in ("step_decay", "exponential"):
        assert (rates[10:] == rates[10]).all()


@every_schedule
def test_a_schedule_says_its_name(name):
    assert SCHEDULES[name].__name__ == name


def test_linear_and_cosine_hit_both_ends_exactly():
    for make in (linear, cosine):
        schedule = make(0.1, steps=7, end=0.01)
        assert schedule(0) == 0.1
        assert schedule(7) == schedule(700) == 0.01


def test_linear_may_also_rise():
    assert linear(0.1, steps=2, end=0.3)(1) == pytest.approx(0.2)


def test_cosine_is_half_way_at_half_time():
    assert cosine(1.0, steps=10, end=0.5)(5) == pytest.approx(0.75)


def test_one_cycle_rises_to_the_rate_and_ends_far_below_its_start():
    schedule = one_cycle(1.0, steps=100)
    rates = schedule(np.arange(101))
    assert rates.argmax() == 30
    assert rates.max() == 1.0
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[-1] == pytest.approx(1 / 25e4)
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:]) < 0).all()


@pytest.mark.parametrize(("steps", "rise", "top"), [(10, 0.5, 5), (100, 0.3, 30), (8, 0.25, 2)])
def test_one_cycle_stands_at_the_rate_itself_at_the_end_of_the_rise(steps, rise, top):
    schedule = one_cycle(0.1, steps=steps, rise=rise)
    assert schedule(top) == 0.1
    assert schedule(top - 1e-9) == pytest.approx(0.1)
    assert schedule(top + 1e-9) == pytest.approx(0.1)


def test_one_cycle_without_a_rise_starts_at_the_top():
    assert one_cycle(1.0, steps=10, rise=0.0)(0) == 1.0


def test_warmup_grows_by_equal_parts_and_then_starts_the_schedule_from_its_step_0():
    after = exponential(0.8, factor=0.5)
    schedule = warmup(after, steps=4)
    rates = schedule(np.arange(8))
    np.testing.assert_allclose(np.diff(rates[:5]), 0.8 / 5)
    np.testing.assert_allclose(rates[4:], after(np.arange(4)))
    assert schedule(0) > 0


def test_warmup_takes_a_plain_rate():
    np.testing.assert_allclose(warmup(0.4, steps=3)(np.arange(5)), [0.1, 0.2, 0.3, 0.4, 0.4])


@pytest.mark.parametrize("steps", [0, -1])
@pytest.mark.parametrize("make", [linear, step_decay, cosine, one_cycle, warmup])
def test_lengths_of_zero_or_below_are_refused(make, steps):
    with pytest.raises(ValueError, match="steps must be at least 1"):
        make(0.1, steps=steps)


@pytest.mark.parametrize("steps", [2.5, 10.0, "10", None, True])
@pytest.mark.parametrize("make", [linear, step_decay, cosine, one_cycle, warmup])
def test_lengths_that_are_no_whole_numbers_are_refused(make, steps):
    with pytest.raises(TypeError, match="steps must be a whole number"):
        make(0.1, steps=steps)


@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, [0.1, 0.2]])
@pytest.mark.parametrize(
    "make",
    [
        constant,
        lambda rate: linear(rate, steps=3),
        lambda rate: step_decay(rate, steps=3),
        lambda rate: exponential(rate, factor=0.5),
        lambda rate: cosine(rate, steps=3),
        lambda rate: one_cycle(rate, steps=3),
        lambda rate: warmup(rate, steps=3),
    ],
)
def test_rates_that_are_not_one_positive_number_are_refused(make, rate):
    with pytest.raises(ValueError, match="rate must be"):
        make(rate)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: linear(0.1, steps=3, end=-0.1), "end must be 0 or above"),
        (lambda: cosine(0.1, steps=3, end=math.nan), "end must be finite"),
        (lambda: step_decay(0.1, steps=3, factor=0.0), r"factor must lie in \(0, 1\]"),
        (lambda: exponential(0.1, factor=1.1), r"factor must lie in \(0, 1\]"),
        (lambda: one_cycle(0.1, steps=3, rise=1.0), r"rise must lie in \[0, 1\)"),
        (lambda: one_cycle(0.1, steps=3, start_factor=0.5), "start_factor must be at least 1"),
        (lambda: one_cycle(0.1, steps=3, end_factor=0.0), "end_factor must be at least 1"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@every_schedule
@pytest.mark.parametrize(
    "k", [-1, [0, -2], "3", None, math.nan, math.inf, [1.0, math.nan], -(10**30)]
)
def test_step_numbers_below_0_and_other_things_are_refused(name, k):
    with pytest.raises(ValueError, match="step number"):
        SCHEDULES[name](k)


@every_schedule
def test_a_step_number_may_have_more_digits_than_a_machine_word(name):
    assert SCHEDULES[name](10**30) == SCHEDULES[name](1e30)


def test_a_truth_value_is_no_rate():
    with pytest.raises(
        TypeError, match=r"rate must be a number above 0, got True; write rate=1\.0"
    ):
        constant(True)


TRACEABLE = {
    **{name: SCHEDULES[name] for name in ("constant", "linear", "step_decay", "exponential")},
    "warmup": warmup(linear(0.3, steps=7, end=0.03), steps=3),
    "warmup to a rate": warmup(0.3, steps=3),
}


@pytest.mark.parametrize("name", TRACEABLE)
def test_a_symbol_for_the_step_gives_the_formula_of_the_rate(name):
    schedule = TRACEABLE[name]
    formula = tracing.formula(lambda k: schedule(k), "k")
    evaluate = sp.lambdify(sp.Symbol("k", real=True), formula)
    for k in range(20):
        assert evaluate(k) == pytest.approx(schedule(k), rel=1e-12, abs=1e-16)
    assert tracing.javascript(lambda k: schedule(k), "k").startswith("function f(k)")


@pytest.mark.parametrize("name", ["cosine", "one_cycle"])
def test_a_cosine_of_a_symbol_is_refused_by_tracing(name):
    with pytest.raises(tracing.TraceError, match="cannot trace"):
        tracing.formula(lambda k: SCHEDULES[name](k), "k")


def test_warmup_reaches_the_first_rate_exactly():
    assert warmup(0.3, steps=7)(7) == 0.3
