"""Facts about calclib.optimizers: formulas, conventions, faces, stability."""

import numpy as np
import pytest
import sympy as sp

from calclib import problems, schedules
from calclib.optimizers import Optimizer, SGDState, sgd


def steps_for(optimizer, gradients, x=0.0):
    """The steps an optimizer takes when it is shown these gradients in turn."""
    state, steps = optimizer.init(x), []
    for g in gradients:
        step, state = optimizer.update(g, state, x)
        x = x + step
        steps.append(step)
    return steps


def run(optimizer, grad, x, n):
    """The point after n steps."""
    state = optimizer.init(x)
    for _ in range(n):
        step, state = optimizer.update(grad(x), state, x)
        x = x + step
    return x


def test_plain_step_is_minus_rate_times_gradient():
    assert steps_for(sgd(0.1), [1.0, -2.0, 4.0]) == pytest.approx([-0.1, 0.2, -0.4], rel=1e-15)


# PyTorch's convention, worked by hand for gradients 1, 2, 3, rate 0.1 and momentum 0.9:
# velocity 1, 0.9 + 2 = 2.9, 2.61 + 3 = 5.61; looking ahead 1.9, 2 + 2.61 = 4.61, 3 + 5.049 = 8.049.
@pytest.mark.parametrize(
    ("nesterov", "expected"),
    [(False, [-0.1, -0.29, -0.561]), (True, [-0.19, -0.461, -0.8049])],
)
def test_momentum_follows_the_convention_of_pytorch(nesterov, expected):
    optimizer = sgd(0.1, momentum=0.9, nesterov=nesterov)
    assert steps_for(optimizer, [1.0, 2.0, 3.0]) == pytest.approx(expected, rel=1e-14)


def test_a_change_of_rate_acts_on_all_of_the_velocity():
    halved = sgd(lambda k: 0.1 if k < 2 else 0.05, momentum=0.9)
    expected = [-0.1, -0.29, -0.2805]
    assert steps_for(halved, [1.0, 2.0, 3.0]) == pytest.approx(expected, rel=1e-14)


def test_heavy_ball_with_the_rate_inside_gives_the_same_points_at_a_constant_rate():
    grad, rate, momentum = problems.valley().grad, 1e-3, 0.9
    x, v = np.array([-1.0, 1.0]), np.zeros(2)
    for _ in range(50):
        v = momentum * v - rate * grad(x)
        x = x + v
    ours = run(sgd(rate, momentum=momentum), grad, np.array([-1.0, 1.0]), 50)
    np.testing.assert_allclose(ours, x, rtol=1e-12)


def test_nesterov_without_momentum_is_plain_descent():
    gradients = [1.0, -2.0, 0.5]
    assert steps_for(sgd(0.1, nesterov=True), gradients) == steps_for(sgd(0.1), gradients)


def test_schedule_is_asked_for_steps_0_1_2():
    asked = []

    def schedule(k):
        asked.append(k)
        return 0.1

    steps_for(sgd(schedule), [1.0, 1.0, 1.0])
    assert asked == [0, 1, 2]


def test_every_schedule_of_the_book_drives_sgd():
    for schedule in (
        schedules.constant(0.1),
        schedules.linear(0.1, steps=5),
        schedules.warmup(schedules.cosine(0.1, steps=5), steps=2),
    ):
        steps = steps_for(sgd(schedule), [1.0] * 4)
        assert steps == [-schedule(k) for k in range(4)]


@pytest.mark.parametrize("nesterov", [False, True])
def test_floats_columns_and_symbols_agree(nesterov):
    """One rule, four faces: the same lines give numbers, batches and formulas."""
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(4, 3, 5))  # 4 steps, 3 coordinates, 5 columns
    rates = rng.uniform(0.01, 0.5, 5)
    beta, momentum = sp.Symbol("beta"), 0.8
    together = steps_for(
        sgd(rates, momentum=momentum, nesterov=nesterov), gradients, np.zeros((3, 5))
    )
    rate, *symbols = sp.symbols("rate g:4")
    formulas = steps_for(sgd(rate, momentum=beta, nesterov=nesterov), symbols, sp.Symbol("x"))
    evaluate = sp.lambdify([rate, beta, *symbols], formulas)
    for j in range(5):
        column = sgd(float(rates[j]), momentum=momentum, nesterov=nesterov)
        vectors = steps_for(column, gradients[:, :, j], np.zeros(3))
        for i in range(3):
            floats = steps_for(column, [float(g) for g in gradients[:, i, j]], 0.0)
            from_formula = evaluate(rates[j], momentum, *gradients[:, i, j])
            for k in range(4):
                assert vectors[k][i] == floats[k] == together[k][i, j]
                assert from_formula[k] == pytest.approx(floats[k], rel=1e-13)


def test_arrays_of_symbols_go_through():
    x, y, rate, beta = sp.symbols("x y rate beta")
    point = np.array([x, y])
    optimizer = sgd(rate, momentum=beta, nesterov=True)
    state = optimizer.init(point)
    assert list(state.v) == [0, 0]
    step, _ = optimizer.update(problems.bowl().grad(point), state, point)
    expected = [-rate * (2 * x + beta * 2 * x), -rate * (20 * y + beta * 20 * y)]
    assert [sp.expand(a - b) for a, b in zip(step, expected, strict=True)] == [0, 0]


def test_a_symbol_for_the_velocity_gives_the_formula_of_the_book():
    rate, beta, g, v, x = sp.symbols("rate beta g v x")
    state = SGDState(0, v)
    step, after = sgd(rate, momentum=beta).update(g, state, x)
    assert sp.expand(step + rate * (beta * v + g)) == 0
    assert after == SGDState(1, beta * v + g)
    step, _ = sgd(rate, momentum=beta, nesterov=True).update(g, state, x)
    assert sp.expand(step + rate * (g + beta * (beta * v + g))) == 0


def test_momentum_may_differ_from_column_to_column():
    momenta = np.array([0.0, 0.5, 0.9])
    together = steps_for(sgd(0.1, momentum=momenta), [np.ones((2, 3))] * 4, np.zeros((2, 3)))
    for j, momentum in enumerate(momenta):
        alone = steps_for(sgd(0.1, momentum=float(momentum)), [1.0] * 4)
        assert [step[0, j] for step in together] == alone


def test_state_is_returned_never_changed():
    optimizer = sgd(0.1, momentum=0.9)
    x, g = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    state = optimizer.init(x)
    first, after = optimizer.update(g, state, x)
    again, _ = optimizer.update(g, state, x)
    np.testing.assert_array_equal(first, again)
    optimizer.update(g, after, x)
    np.testing.assert_array_equal(after.v, g)
    np.testing.assert_array_equal(state.v, [0, 0])
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_array_equal(g, [3, 4])


def test_rates_given_as_an_array_are_copied():
    rates = np.array([0.1, 0.2])
    optimizer = sgd(rates)
    rates[:] = 99
    step, _ = optimizer.update(np.ones((1, 2)), optimizer.init(np.ones((1, 2))), np.ones((1, 2)))
    np.testing.assert_allclose(step, [[-0.1, -0.2]])


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
def test_a_quadratic_is_stable_just_below_the_limit_of_the_rule(momentum, nesterov):
    curvature = 20.0
    limit = 2 * (1 + momentum) / curvature / (1 + 2 * momentum if nesterov else 1)
    sizes = [
        abs(
            run(sgd(rate, momentum=momentum, nesterov=nesterov), lambda x: curvature * x, 1.0, 3000)
        )
        for rate in (0.98 * limit, 1.02 * limit)
    ]
    assert sizes[0] < 1e-3
    assert sizes[1] > 1e3


OPTIMIZERS = {
    "plain": lambda rate: sgd(rate),
    "momentum": lambda rate: sgd(rate, momentum=0.9),
    "nesterov": lambda rate: sgd(rate, momentum=0.9, nesterov=True),
    "cosine": lambda rate: sgd(schedules.cosine(rate, steps=20_000, end=rate / 10), momentum=0.9),
}
PROBLEMS = {  # problem, a rate that every rule above can bear
    "x^2": (problems.bowl((1,)), 0.05),
    "bowl": (problems.bowl(), 0.02),
    "turned bowl": (problems.bowl((1, 10), 0.6), 0.02),
    "valley": (problems.valley(), 5e-4),
    "two wells": (problems.two_wells(), 0.02),
    "plateau": (problems.plateau(), 0.02),
    "himmelblau": (problems.himmelblau(), 2e-3),
    "beale": (problems.beale(), 2e-3),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_every_optimizer_finds_a_minimizer_of_every_problem(rule, problem):
    problem, rate = PROBLEMS[problem]
    optimizer = OPTIMIZERS[rule](rate)
    x, state = problem.x0, optimizer.init(problem.x0)
    for _ in range(60_000):
        g = problem.grad(x)
        if np.linalg.norm(g) < 1e-8:
            break
        step, state = optimizer.update(g, state, x)
        x = x + step
    distance = np.linalg.norm(problem.minimizers - x[:, np.newaxis], axis=0).min()
    assert distance < 1e-5


@pytest.mark.parametrize("rate", [0, 0.0, -0.1, np.nan, np.inf, [0.1, 0.0], [0.1, -1.0]])
def test_a_rate_that_is_not_positive_is_refused(rate):
    with pytest.raises(ValueError, match="learning_rate"):
        sgd(rate)


@pytest.mark.parametrize("rate", ["0.1", None, True, 1j])
def test_a_rate_that_is_not_a_number_is_refused(rate):
    with pytest.raises(TypeError, match="learning_rate"):
        sgd(rate)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, 1.5, np.nan, [0.5, 1.0]])
def test_momentum_outside_0_to_1_is_refused(momentum):
    with pytest.raises(ValueError, match="momentum"):
        sgd(0.1, momentum=momentum)


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        (sgd(0.1), "sgd(0.1)"),
        (sgd(0.1, momentum=0.9, nesterov=True), "sgd(0.1, momentum=0.9, nesterov=True)"),
        (sgd(schedules.cosine(0.1, steps=3)), "sgd(cosine)"),
        (sgd(np.array([0.1, 0.2])), "sgd(2 values)"),
        (sgd(0.1, momentum=np.array([0.1, 0.2, 0.3])), "sgd(0.1, momentum=3 values)"),
        (sgd(sp.Symbol("rate")), "sgd(rate)"),
        (sgd(np.float64(0.1)), "sgd(0.1)"),
    ],
)
def test_an_optimizer_is_named_by_the_call_that_made_it(optimizer, name):
    assert isinstance(optimizer, Optimizer)
    assert optimizer.name == repr(optimizer) == name


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, None, "0.1", [0.1, -0.1], True])
def test_a_schedule_that_gives_no_rate_names_the_step(bad):
    optimizer = sgd(lambda k: bad if k == 2 else 0.1)
    with pytest.raises(ValueError, match=r"finite rate of 0 or above, got .* at step 2"):
        steps_for(optimizer, [1.0] * 3)


def test_a_schedule_may_rest_at_zero_and_may_give_symbols():
    assert steps_for(sgd(lambda k: 0.1 * k), [1.0, 1.0]) == [0, -0.1]
    rate = sp.Symbol("rate")
    g = sp.Symbol("g")
    step, _ = sgd(lambda k: rate / (k + 1)).update(g, SGDState(1, 0), 0)
    assert step == -rate * g / 2
    halved = steps_for(sgd(lambda k: sp.Rational(1, k + 1)), [1, 1])
    assert [float(step) for step in halved] == [-1, -0.5]


@pytest.mark.parametrize("nesterov", ["no", "False", 0, 1, None, 0.9])
def test_nesterov_is_true_or_false(nesterov):
    with pytest.raises(TypeError, match="nesterov must be True or False, got"):
        sgd(0.1, momentum=0.9, nesterov=nesterov)


@pytest.mark.parametrize("g", [1.0, np.ones(2), np.ones(3)])
def test_several_rates_or_momenta_need_columns(g):
    for optimizer, name in (
        (sgd([0.1, 0.2]), "learning_rate"),
        (sgd(lambda k: np.array([0.1, 0.2])), "learning_rate"),
        (sgd(0.1, momentum=[0.1, 0.2]), "momentum"),
    ):
        with pytest.raises(ValueError, match=rf"{name} holds 2 values.*minimize_many"):
            optimizer.update(g, optimizer.init(g), g)
