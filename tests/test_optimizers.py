"""Facts about calclib.optimizers: formulas, conventions, faces, stability."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from calclib import descent, problems, schedules, tracing
from calclib.optimizers import (
    AdagradState,
    AdamState,
    Optimizer,
    RMSpropState,
    SGDState,
    adagrad,
    adam,
    adamw,
    clip_by_norm,
    rmsprop,
    sgd,
)

RULES = {
    "sgd": lambda rate: sgd(rate, momentum=0.8),
    "adagrad": lambda rate: adagrad(rate, eps=0.05),
    "rmsprop": lambda rate: rmsprop(rate, decay=0.7, eps=0.05),
    "adam": lambda rate: adam(rate, beta1=0.6, beta2=0.85, eps=0.05),
    "adamw": lambda rate: adamw(rate, beta1=0.6, beta2=0.85, eps=0.05, weight_decay=0.4),
    "clipped": lambda rate: clip_by_norm(adamw(rate, beta1=0.6, weight_decay=0.4), 1.5),
}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


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
    "adagrad": lambda rate: adagrad(0.5),
    "rmsprop": lambda rate: rmsprop(schedules.exponential(0.02, factor=0.999)),
    "adam": lambda rate: adam(schedules.exponential(0.05, factor=0.999)),
    "clipped": lambda rate: clip_by_norm(sgd(rate, momentum=0.9), 1.0),
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
        (sgd(0.1, momentum=sp.Symbol("beta")), "sgd(0.1, momentum=beta)"),
        (adagrad(), "adagrad(0.01)"),
        (adagrad(0.1, eps=1e-3), "adagrad(0.1, eps=0.001)"),
        (rmsprop(decay=0.99), "rmsprop(0.01, decay=0.99)"),
        (adam(), "adam(0.001)"),
        (adam(beta2=0.99), "adam(0.001, beta2=0.99)"),
        (adamw(weight_decay=0.1), "adamw(0.001, weight_decay=0.1)"),
        (clip_by_norm(adam(0.1), 1), "clip_by_norm(adam(0.1), 1.0)"),
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


# By hand for gradients 3, 4, 0 and rate 0.1, with eps = 1: sums of squares 9, 25, 25.
def test_adagrad_divides_by_the_root_of_the_sum_of_squares_plus_eps():
    steps = steps_for(adagrad(0.1, eps=1.0), [3.0, 4.0, 0.0])
    assert steps == pytest.approx([-0.3 / 4, -0.4 / 6, 0.0], rel=1e-14)


# With decay 0.75 the means of squares of 4 and 2 are 4 and 3 + 1 = 4: both roots are 2.
def test_rmsprop_divides_by_the_root_mean_square_plus_eps():
    steps = steps_for(rmsprop(0.1, decay=0.75, eps=0.5), [4.0, 2.0])
    assert steps == pytest.approx([-0.4 / 2.5, -0.2 / 2.5], rel=1e-14)


# With both betas 0.5 the gradients 2 and 6 have the means m = 1, 3.5 and v = 2, 19; divided by
# 0.5 and 0.75 these are m_hat = 2, 14/3 and v_hat = 4, 76/3.
def test_adam_divides_the_corrected_mean_by_the_corrected_root_mean_square_plus_eps():
    steps = steps_for(adam(0.1, beta1=0.5, beta2=0.5, eps=1.0), [2.0, 6.0])
    expected = [-0.1 * 2 / 3, -0.1 * (14 / 3) / ((76 / 3) ** 0.5 + 1)]
    assert steps == pytest.approx(expected, rel=1e-14)


def test_adamw_takes_the_step_of_adam_and_decays_beside_it():
    gradients = [2.0, 6.0, -1.0]
    of_adam, of_adamw = adam(0.1), adamw(0.1, weight_decay=0.5)
    state, x = of_adam.init(5.0), 5.0
    for g in gradients:
        plain, after = of_adam.update(g, state, x)
        decayed, state = of_adamw.update(g, state, x)
        assert state == after
        assert x + decayed == pytest.approx((1 - 0.1 * 0.5) * x + plain, rel=1e-14)
        x = x + decayed


def test_adamw_without_decay_is_adam():
    gradients = [2.0, 6.0, -1.0]
    assert steps_for(adamw(0.1, weight_decay=0), gradients) == steps_for(adam(0.1), gradients)


RECORDED = json.loads(
    (Path(__file__).parent / "data" / "torch_trajectories.json").read_text("utf-8")
)
RECORDED_GRADIENTS = [
    np.array([((7 * k + 3 * i) % 11 - 5) / (1 + 9 * i) for i in range(3)]) for k in range(16)
]
NAMES_OF_TORCH = {"alpha": "decay", "lr": "learning_rate"}


@pytest.mark.parametrize(
    "recorded", RECORDED["rules"], ids=lambda each: " ".join([each["name"], *each["options"]])
)
def test_points_are_those_recorded_from_pytorch(recorded):
    make = {"SGD": sgd, "Adagrad": adagrad, "RMSprop": rmsprop, "Adam": adam, "AdamW": adamw}
    options = {NAMES_OF_TORCH.get(key, key): v for key, v in recorded["options"].items()}
    if "betas" in options:
        options["beta1"], options["beta2"] = options.pop("betas")
    if recorded["name"] == "RMSprop":
        options.setdefault("decay", 0.99)  # where the default of PyTorch is another
    x = np.array(RECORDED["start"])
    points = x + np.cumsum(
        steps_for(make[recorded["name"]](**options), RECORDED_GRADIENTS, x), axis=0
    )
    assert len(points) == len(recorded["points"]) == 16
    np.testing.assert_allclose(points, recorded["points"], rtol=1e-12)


def test_pytorch_clips_to_a_little_less_than_max_norm():
    recorded = RECORDED["clipped SGD"]
    x = np.array(RECORDED["start"])
    rule = clip_by_norm(sgd(recorded["lr"]), recorded["max_norm"])
    steps = np.array(steps_for(rule, RECORDED_GRADIENTS, x))
    norms = np.linalg.norm(RECORDED_GRADIENTS, axis=1)
    long = norms > recorded["max_norm"]
    assert 0 < long.sum() < 16
    steps[long] *= (norms / (norms + 1e-6))[long, np.newaxis]
    np.testing.assert_allclose(x + steps.cumsum(axis=0), recorded["points"], rtol=1e-12)


def test_first_step_of_adam_without_bias_correction_is_3_16_times_too_large():
    rate = 0.1
    step, state = adam(rate).update(7.0, adam(rate).init(0.0), 0.0)
    without = -rate * state.m / (state.v**0.5 + 1e-8)
    assert step == pytest.approx(-rate, rel=1e-8)
    assert without / step == pytest.approx(3.1623, abs=1e-4)


def test_first_step_of_rmsprop_is_3_16_times_the_rate():
    assert steps_for(rmsprop(0.1), [7.0]) == pytest.approx([-0.1 * 10**0.5], rel=1e-8)


def test_adagrad_steps_shrink_as_one_over_the_root_of_the_step_number():
    steps = steps_for(adagrad(0.1), [7.0] * 100)
    assert steps == pytest.approx([-0.1 / (k + 1) ** 0.5 for k in range(100)], rel=1e-9)


@pytest.mark.parametrize("rule", [adagrad, rmsprop, adam])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_adaptive_steps_do_not_depend_on_the_scale_of_the_gradient(rule, size):
    gradients = np.random.default_rng(0).normal(size=20)
    scaled = steps_for(rule(0.1, eps=1e-20), list(size * gradients))
    assert scaled == pytest.approx(steps_for(rule(0.1, eps=1e-20), list(gradients)), rel=1e-12)


def test_noise_of_scale_100_switches_off_the_l2_penalty_in_adam_but_not_the_decay_of_adamw():
    rng = np.random.default_rng(0)
    rate, decay, steps = 1e-3, 0.5, 2000
    rules = adam(rate), adamw(rate, weight_decay=decay)
    points = [np.ones(1000), np.ones(1000)]
    states = [rule.init(x) for rule, x in zip(rules, points, strict=True)]
    for _ in range(steps):
        noise = 100 * rng.normal(size=1000)
        for j, g in enumerate((noise + decay * points[0], noise)):
            step, states[j] = rules[j].update(g, states[j], points[j])
            points[j] = points[j] + step
    penalised, decayed = points[0].mean(), points[1].mean()
    assert penalised == pytest.approx(1.0, abs=0.02)
    assert decayed == pytest.approx((1 - rate * decay) ** steps, abs=0.01)  # 0.368


@every_rule
def test_columns_are_runs_of_their_own(rule):
    rng = np.random.default_rng(1)
    gradients, start = rng.normal(size=(6, 3, 5)), rng.normal(size=(3, 5))
    rates = rng.uniform(0.01, 0.5, 5)
    together = np.array(steps_for(rule(rates), gradients, start))
    for j in range(5):
        alone = steps_for(rule(float(rates[j])), gradients[:, :, j], start[:, j])
        np.testing.assert_allclose(together[:, :, j], alone, rtol=1e-13)


@pytest.mark.parametrize("name", [name for name in RULES if name != "clipped"])
def test_coordinates_do_not_know_of_each_other(name):
    rng = np.random.default_rng(2)
    gradients, start = rng.normal(size=(6, 3)), rng.normal(size=3)
    together = np.array(steps_for(RULES[name](0.1), gradients, start))
    for i in range(3):
        alone = steps_for(RULES[name](0.1), gradients[:, i].tolist(), float(start[i]))
        np.testing.assert_allclose(together[:, i], alone, rtol=1e-14)


@pytest.mark.parametrize("max_norm", [0.5, 20.0])
@every_rule
def test_traced_formula_gives_the_numbers(rule, max_norm):
    """Each rule, and each within a clip, is called with symbols and then with numbers."""

    def advance(g1, g2, x1, x2, k, a1, a2, b1, b2, rate):
        optimizer = clip_by_norm(rule(rate), max_norm)
        x = np.array([x1, x2])
        fresh = optimizer.init(x)
        memory = [np.array([a1, a2]), np.array([b1, b2])][: len(fresh) - 1]
        step, state = optimizer.update(np.array([g1, g2]), type(fresh)(k, *memory), x)
        return (*step, state.k, *(entry for part in state[1:] for entry in part))

    names = "g1 g2 x1 x2 k a1 a2 b1 b2 rate".split()  # noqa: SIM905
    evaluate = sp.lambdify(sp.symbols(names, real=True), tracing.formula(advance, *names))
    rng = np.random.default_rng(3)
    for k in range(10):
        g1, g2, x1, x2, a1, a2 = rng.normal(size=6)
        b1, b2, rate = rng.uniform(0.1, 2, size=3)
        if len(rule(0.1).init(0.0)) == 2:  # its one memory may hold squares
            a1, a2 = abs(a1), abs(a2)
        values = (g1, g2, x1, x2, k, a1, a2, b1, b2, rate)
        np.testing.assert_allclose(evaluate(*values), advance(*values), rtol=1e-11)
    assert tracing.javascript(advance, *names).startswith("function f(g1")


def test_symbols_for_the_state_give_the_formulas_of_the_papers():
    rate, eps, b1, b2, decay = sp.symbols("rate eps beta1 beta2 decay", positive=True)
    g, x, k, m, v = sp.symbols("g x k m v", positive=True)

    def same(a, b):
        return sp.simplify(sp.nsimplify(a - b)) == 0

    step, state = adagrad(rate, eps=eps).update(g, AdagradState(k, v), x)
    assert same(step, -rate * g / (sp.sqrt(v + g**2) + eps))
    assert state == AdagradState(k + 1, v + g**2)

    mean = b1 * v + (1 - b1) * g**2
    step, state = rmsprop(rate, decay=b1, eps=eps).update(g, RMSpropState(k, v), x)
    assert same(step, -rate * g / (sp.sqrt(mean) + eps))
    assert state == RMSpropState(k + 1, mean)

    first = (b1 * m + (1 - b1) * g) / (1 - b1 ** (k + 1))
    root = sp.sqrt((b2 * v + (1 - b2) * g**2) / (1 - b2 ** (k + 1)))
    options = {"beta1": b1, "beta2": b2, "eps": eps}
    step, state = adam(rate, **options).update(g, AdamState(k, m, v), x)
    assert same(step, -rate * first / (root + eps))
    assert state == AdamState(k + 1, b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2)
    step, _ = adamw(rate, weight_decay=decay, **options).update(g, AdamState(k, m, v), x)
    assert same(step, -rate * (first / (root + eps) + decay * x))


def test_a_rule_traced_step_by_step_runs_as_the_loop():
    """The state lives in an Orbit, as it does in a page."""
    rule = adam(schedules.linear(0.5, steps=30))

    def advance(x, m, v, k):
        step, state = rule.update(2 * x, AdamState(k, m, v), x)
        return x + step, state.m, state.v, state.k

    orbit = tracing.Orbit(("x", "m", "v", "k"), lambda x0: (x0, 0, 0, 0), advance, steps=20)
    program = tracing.Program(("x0",), orbit)
    assert program(x0=5.0)["x_last"] == pytest.approx(
        run(rule, lambda x: 2 * x, 5.0, 20), rel=1e-14
    )
    assert "Math.abs" in program.javascript()


@pytest.mark.parametrize("size", [1.0, 5.0, 1e-3])
def test_clipping_keeps_the_direction_and_limits_the_length(size):
    g = np.random.default_rng(4).normal(size=50)
    (step,) = steps_for(clip_by_norm(sgd(1.0), size), [g], np.zeros(50))
    assert np.linalg.norm(step) == pytest.approx(size, rel=1e-14)
    np.testing.assert_allclose(step / np.linalg.norm(step), -g / np.linalg.norm(g), rtol=1e-13)


def test_clipping_leaves_a_short_gradient_exactly_as_it_is():
    gradients = [np.array([0.3, 0.4]), np.zeros(2), np.array([3.0, -4.0])]
    clipped = steps_for(clip_by_norm(adam(0.1), 5.0), gradients, np.ones(2))
    np.testing.assert_array_equal(clipped, steps_for(adam(0.1), gradients, np.ones(2)))


def test_clipping_comes_before_the_rule_and_keeps_its_state():
    rule = clip_by_norm(adam(0.1), 5.0)
    x = np.zeros(2)
    assert isinstance(rule.init(x), AdamState)
    _, state = rule.update(np.array([30.0, 40.0]), rule.init(x), x)
    np.testing.assert_allclose(state.m, [0.3, 0.4])


def test_clipping_acts_on_each_column_and_on_a_single_number():
    g = np.array([[30.0, 0.3], [40.0, 0.4]])
    (step,) = steps_for(clip_by_norm(sgd(1.0), 5.0), [g], np.zeros((2, 2)))
    np.testing.assert_allclose(step, [[-3, -0.3], [-4, -0.4]], rtol=1e-15)
    (step,) = steps_for(clip_by_norm(sgd(1.0), np.array([10.0, 0.05])), [g], np.zeros((2, 2)))
    np.testing.assert_allclose(step, [[-6, -0.03], [-8, -0.04]], rtol=1e-14)
    assert steps_for(clip_by_norm(sgd(1.0), 5.0), [-30.0, 2.0]) == [5.0, -2.0]


def test_a_gradient_whose_square_overflows_is_clipped_all_the_same():
    g = np.array([3e200, 4e200])
    (step,) = steps_for(clip_by_norm(adam(0.1), 5.0), [g], np.zeros(2))
    np.testing.assert_allclose(step, [-0.1, -0.1])
    with pytest.raises(ValueError, match=r"square of g must be finite.*4e\+200.*clip_by_norm"):
        steps_for(adam(0.1), [g], np.zeros(2))
    with pytest.raises(ValueError, match="square of g must be finite"):
        steps_for(adagrad(0.1), [1e200])


@every_rule
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_refused_and_the_state_stays_good(rule, bad):
    optimizer, x, g = rule(0.1), np.array([1.0, 2.0]), np.array([0.5, -0.5])
    _, state = optimizer.update(g, optimizer.init(x), x)
    kept = [np.copy(part) for part in state]
    with pytest.raises(ValueError, match=f"g must be finite, got {bad}"):
        optimizer.update(np.array([0.5, bad]), state, x)
    for part, copy in zip(state, kept, strict=True):
        np.testing.assert_array_equal(part, copy)
    with pytest.raises(ValueError, match="g must be finite"):
        optimizer.update(bad, optimizer.init(1.0), 1.0)


@every_rule
@pytest.mark.parametrize("g", [np.ones(3), np.ones((2, 1)), 1.0])
def test_a_gradient_of_another_shape_than_the_point_is_refused(rule, g):
    optimizer, x = rule(0.1), np.ones(2)
    with pytest.raises(ValueError, match=r"g must have the shape of x, \(2,\), got"):
        optimizer.update(g, optimizer.init(x), x)


@every_rule
def test_a_start_that_is_not_finite_is_refused(rule):
    with pytest.raises(ValueError, match="x must be finite"):
        rule(0.1).init(np.array([1.0, np.nan]))


@every_rule
def test_no_update_changes_what_it_was_given(rule):
    optimizer, x, g = rule(0.1), np.array([1.0, 2.0]), np.array([3.0, 4.0])
    _, state = optimizer.update(g, optimizer.init(x), x)
    kept = [np.copy(part) for part in state]
    first, _ = optimizer.update(g, state, x)
    again, after = optimizer.update(g, state, x)
    np.testing.assert_array_equal(first, again)
    for part, copy in zip(state, kept, strict=True):
        np.testing.assert_array_equal(part, copy)
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_array_equal(g, [3, 4])
    assert after.k == 2


@every_rule
def test_integers_count_as_floats(rule):
    big = 5 * 10**9  # its square does not fit into 64 bits
    start = np.array([1, 2])
    from_ints = steps_for(rule(0.1), [np.array([big, -3])] * 3, start)
    from_floats = steps_for(rule(0.1), [np.array([float(big), -3.0])] * 3, start.astype(float))
    np.testing.assert_array_equal(from_ints, from_floats)


@pytest.mark.parametrize(
    ("make", "name", "bad"),
    [
        *((adagrad, "eps", bad) for bad in (0, -1e-8, np.nan, np.inf)),
        *((rmsprop, "eps", bad) for bad in (0, -1e-8)),
        *((rmsprop, "decay", bad) for bad in (-0.1, 1.0, np.nan)),
        *((make, "beta1", bad) for make in (adam, adamw) for bad in (-0.1, 1.0, 1.5)),
        *((make, "beta2", bad) for make in (adam, adamw) for bad in (-0.1, 1.0, np.nan)),
        *((make, "eps", bad) for make in (adam, adamw) for bad in (0.0, -1.0)),
        *((adamw, "weight_decay", bad) for bad in (-0.01, np.nan, np.inf)),
    ],
)
def test_numbers_out_of_their_range_are_refused_by_name(make, name, bad):
    with pytest.raises(ValueError, match=f"^{name} must "):
        make(0.1, **{name: bad})


@pytest.mark.parametrize("make", [adagrad, rmsprop, adam, adamw])
@pytest.mark.parametrize("rate", [0, -0.1, np.nan])
def test_no_rule_takes_a_rate_that_is_not_positive(make, rate):
    with pytest.raises(ValueError, match="learning_rate"):
        make(rate)


@pytest.mark.parametrize("max_norm", [0, -1.0, np.nan, np.inf])
def test_a_largest_length_that_is_not_positive_is_refused(max_norm):
    with pytest.raises(ValueError, match="max_norm must be"):
        clip_by_norm(sgd(0.1), max_norm)


@pytest.mark.parametrize("optimizer", [sgd, None, 0.1, "sgd"])
def test_clipping_needs_an_optimizer(optimizer):
    with pytest.raises(TypeError, match="optimizer must be an Optimizer"):
        clip_by_norm(optimizer, 1.0)


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        (adagrad([0.1, 0.2]), "learning_rate"),
        (rmsprop(0.1, decay=[0.1, 0.2]), "decay"),
        (adam(0.1, beta1=[0.1, 0.2]), "beta1"),
        (adam(0.1, beta2=[0.1, 0.2]), "beta2"),
        (adamw(0.1, weight_decay=[0.1, 0.2]), "weight_decay"),
        (clip_by_norm(sgd(0.1), [0.1, 0.2]), "max_norm"),
    ],
)
def test_an_array_of_options_needs_columns(optimizer, name):
    with pytest.raises(ValueError, match=f"{name} holds 2 values"):
        optimizer.update(np.ones(2), optimizer.init(np.ones(2)), np.ones(2))


def test_many_rates_of_adam_run_side_by_side():
    starts, rates = [[-1.0], [1.0]], [0.01, 0.05, 0.1]
    valley = problems.valley()
    many = descent.minimize_many(
        valley.fun, starts, adam, learning_rates=rates, grad=valley.grad, max_steps=300
    )
    for j, rate in enumerate(rates):
        alone = descent.minimize(
            valley.fun, [-1.0, 1.0], adam(rate), grad=valley.grad, max_steps=300
        )
        np.testing.assert_allclose(many.x[:, j], alone.x, rtol=1e-10)


@every_rule
def test_single_precision_stays(rule):
    x = np.ones(3, dtype=np.float32)
    step, state = rule(0.1).update(2 * x, rule(0.1).init(x), x)
    assert {part.dtype for part in (step, *state[1:])} == {np.dtype(np.float32)}


# --- at the door ----------------------------------------------------------------------------------

NO_NUMBERS = [
    [1.0, 2.0],
    (1.0, 2.0),
    "12",
    None,
    {},
    1 + 2j,
    np.array([1.0, 2j]),
    np.array([1.0, 2j], dtype=object),
    np.array(["1", "2"]),
    np.array([1.0, None], dtype=object),
    sp.I,
    sp.zoo,
]


@every_rule
@pytest.mark.parametrize("bad", NO_NUMBERS, ids=repr)
def test_what_is_no_real_number_array_or_symbol_is_refused(rule, bad):
    optimizer, x = rule(0.1), np.array([1.0, 2.0])
    with pytest.raises(TypeError, match=r"^x must be a real number, an array of them, or symbols"):
        optimizer.init(bad)
    _, state = optimizer.update(x, optimizer.init(x), x)
    kept = [np.copy(part) for part in state]
    with pytest.raises(TypeError, match=r"^g must be a real .* with np\.asarray\(g, dtype=float\)"):
        optimizer.update(bad, state, x)
    for part, copy in zip(state, kept, strict=True):
        np.testing.assert_array_equal(part, copy)


@every_rule
@pytest.mark.parametrize(
    "bad",
    [np.array([1.0, np.nan], dtype=object), np.array([sp.Symbol("g"), np.inf]), sp.oo, sp.nan],
    ids=repr,
)
def test_no_object_hides_a_number_that_is_not_finite(rule, bad):
    optimizer = rule(0.1)
    with pytest.raises(ValueError, match="x must be finite"):
        optimizer.init(bad)
    x = np.ones(np.shape(bad))[()]
    with pytest.raises(
        ValueError, match=r"g must be finite, got (nan|inf); the state is unchanged"
    ):
        optimizer.update(bad, optimizer.init(x), x)


@every_rule
def test_a_masked_entry_is_refused(rule):
    hidden = np.ma.array([1.0, 2.0], mask=[True, False])
    optimizer, x = rule(0.1), np.array([1.0, 2.0])
    with pytest.raises(ValueError, match="x must not have masked entries"):
        optimizer.init(hidden)
    with pytest.raises(ValueError, match="g must not have masked entries"):
        optimizer.update(hidden, optimizer.init(x), x)


@every_rule
@pytest.mark.parametrize("other", [(), (3, 1), (1, 3), (2,), (1,)])
def test_a_state_of_another_shape_than_the_point_is_refused(rule, other):
    """A state of shape (3,) and a point of shape (3, 1) would make a step of shape (3, 3)."""
    optimizer, x = rule(0.1), np.ones(3)
    for at, state in (
        (np.ones(other)[()], optimizer.init(x)),
        (x, optimizer.init(np.ones(other)[()])),
    ):
        with pytest.raises(ValueError, match=r"state must have the shape of x, .*optimizer\.init"):
            optimizer.update(at, state, at)


@pytest.mark.parametrize("first", RULES)
@pytest.mark.parametrize("second", RULES)
def test_the_state_of_another_rule_is_refused(first, second):
    """The velocity of sgd and the mean of squares of rmsprop have one name and two meanings."""
    x = np.ones(3)
    optimizer, state = RULES[first](0.1), RULES[second](0.1).init(x)
    kind = type(optimizer.init(x))
    if isinstance(state, kind):
        assert optimizer.update(x, state, x)[0].shape == (3,)
        return
    with pytest.raises(TypeError, match=rf"{kind.__name__}, got {type(state).__name__}; begin"):
        optimizer.update(x, state, x)


@every_rule
@pytest.mark.parametrize("bad", [None, (0, 1.0), [0, 1.0]])
def test_what_is_no_state_is_refused(rule, bad):
    with pytest.raises(TypeError, match=rf"got {type(bad).__name__}; begin with state = optimizer"):
        rule(0.1).update(1.0, bad, 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_adamw_reads_the_point_and_refuses_one_that_is_not_finite(bad):
    for optimizer in (adamw(0.1), clip_by_norm(adamw(0.1), 1.0)):
        state = optimizer.init(0.0)
        with pytest.raises(ValueError, match=f"x must be finite, got {bad}; go back"):
            optimizer.update(0.0, state, bad)
        x = np.array([1.0, bad])
        with pytest.raises(ValueError, match="x must be finite, got"):
            optimizer.update(np.ones(2), optimizer.init(np.ones(2)), x)


def test_adamw_takes_points_whose_squares_overflow():
    x = np.array([1e200, -3e300])
    (step,) = steps_for(adamw(0.1, weight_decay=0.5), [np.zeros(2)], x)
    np.testing.assert_allclose(step, -0.05 * x, rtol=1e-15)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_rates_for_another_number_of_columns_are_refused(count):
    """Five rates and one column would make a step of five columns."""
    x = np.ones((2, 3))
    many = np.full(count, 0.1)
    for optimizer in (
        sgd(many),
        sgd(lambda k: many),
        sgd(0.1, momentum=many),
        rmsprop(0.1, decay=many),
        adam(0.1, beta1=many),
        adamw(0.1, weight_decay=many),
        clip_by_norm(sgd(0.1), many),
    ):
        with pytest.raises(ValueError, match=rf"each of the 3 columns, got shape \({count},\)"):
            optimizer.update(x, optimizer.init(x), x)


@every_rule
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_nothing_to_move_is_moved_by_nothing(rule, shape):
    nothing = np.zeros(shape)
    step, state = rule(0.1).update(nothing, rule(0.1).init(nothing), nothing)
    assert step.shape == shape
    assert state.k == 1


@pytest.mark.parametrize("max_norm", [1e-10, 1e-300, 1.0, 1e300])
def test_clipping_gives_the_length_asked_for_whatever_the_gradient(max_norm):
    for g in (np.array([1e308, 1e308]), np.array([1.7e308, -1.7e308]), np.array([3.0, 4.0e307])):
        (step,) = steps_for(clip_by_norm(sgd(1.0), max_norm), [g], np.zeros(2))
        direction = g / abs(g).max()
        direction = direction / np.linalg.norm(direction)
        np.testing.assert_allclose(step, -max_norm * direction, rtol=1e-14)
    assert steps_for(clip_by_norm(sgd(1.0), max_norm), [-1e308]) == pytest.approx([max_norm])


def test_clipping_tells_a_column_that_overflows_from_its_neighbours():
    g = np.array([[1e308, 3.0, 0.0, 3e-12], [1e308, 4.0, 0.0, 4e-12]])
    (step,) = steps_for(clip_by_norm(sgd(1.0), 1e-11), [g], np.zeros((2, 4)))
    half = 1e-11 / 2**0.5
    expected = [[half, 6e-12, 0.0, 3e-12], [half, 8e-12, 0.0, 4e-12]]
    np.testing.assert_allclose(-step, expected, rtol=1e-14)
    single = np.array([3e38, 3e38], dtype=np.float32)
    (step,) = steps_for(clip_by_norm(sgd(1.0), 1.0), [single], np.zeros(2, dtype=np.float32))
    assert step.dtype == np.float32
    np.testing.assert_allclose(step, [-(0.5**0.5)] * 2, rtol=1e-6)


@every_rule
def test_whole_numbers_of_python_and_fractions_are_numbers(rule):
    expected = steps_for(rule(0.1), [0.5, 3.0], 2.0)
    assert steps_for(rule(0.1), [Fraction(1, 2), 3], 2) == expected
    objects = [
        np.array([Fraction(1, 2), 1], dtype=object),
        np.array([3, Fraction(2)], dtype=object),
    ]
    floats = [np.array([0.5, 1.0]), np.array([3.0, 2.0])]
    np.testing.assert_array_equal(
        steps_for(rule(0.1), objects, np.ones(2)), steps_for(rule(0.1), floats, np.ones(2))
    )
    with pytest.raises(ValueError, match="g must be at most"):
        rule(0.1).update(10**400, rule(0.1).init(1.0), 1.0)


@every_rule
def test_numbers_among_symbols_go_through(rule):
    x, g = np.array([sp.Symbol("x"), 1.0]), np.array([sp.Symbol("g"), 2.0])
    step, _ = rule(0.1).update(g, rule(0.1).init(x), x)
    numbers = [entry.subs({"x": 3.0, "g": 4.0}) for entry in map(sp.sympify, step)]
    at = np.array([3.0, 1.0])
    np.testing.assert_allclose(
        np.array(numbers, float), rule(0.1).update(np.array([4.0, 2.0]), rule(0.1).init(at), at)[0]
    )
