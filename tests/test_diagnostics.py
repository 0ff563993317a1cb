"""Facts about calclib.diagnostics: the sick are found out, and the healthy are left in peace."""

import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from functions import FUNCTIONS, by_name

from calclib import autodiff, curvature, descent, nn, optimizers, problems
from calclib.diagnostics import (
    check_grad,
    depth_profile,
    explain,
    gradient_noise_scale,
    layer_report,
    lr_range_test,
)
from calclib.regularization import dropout_mask

EPS = np.finfo(float).eps
X = np.linspace(-1, 1, 100)[:, None]
DATA = X, X**2
HEALTHY = [("tanh", "xavier"), ("sigmoid", "xavier"), ("relu", "he"), ("gelu", "he")]
every_network = pytest.mark.parametrize(("activation", "scheme"), HEALTHY)


def generator(seed=0):
    return np.random.default_rng(seed)


def network(scheme="xavier", seed=0, sizes=(1, 16, 16, 1)):
    return nn.init_params(sizes, rng=generator(seed), scheme=scheme)


def loss_with(activation="tanh"):
    return lambda params, X, y: nn.mse(nn.forward(params, X, activation=activation), y)


LOSS = loss_with()


def train(params=None, loss=LOSS, data=DATA, rate=0.1, epochs=200, optimizer=None, **options):
    optimizer = optimizer or optimizers.sgd(rate)
    params = network() if params is None else params
    return nn.train(params, loss, data, optimizer, epochs=epochs, **options)


def report(params=None, data=DATA, activation="tanh", **options):
    params = network() if params is None else params
    return layer_report(params, loss_with(activation), data, activation=activation, **options)


def scaled(params, factor, shift=0.0):
    return [nn.Layer(factor * W, b + shift) for W, b in params]


# A gradient that is right


@pytest.mark.parametrize("f", **by_name(FUNCTIONS))
def test_right_gradients_pass_and_slightly_wrong_ones_do_not(f):
    rng = generator(1)
    for _ in range(5):
        x = rng.uniform(*f.domain, size=len(f.variables))
        x = x if len(x) > 1 else x[0]
        assert check_grad(f.fun, f.grad, x).status == "ok"
        assert check_grad(f.fun, lambda x: 1.0001 * np.asarray(f.grad(x)), x).status == "wrong"


@every_network
def test_autodiff_passes_on_networks_block_by_block(activation, scheme):
    params = network(scheme, sizes=(1, 6, 6, 1))
    theta, unflatten = nn.flatten(params)

    def fun(theta):
        return loss_with(activation)(unflatten(theta), X[::9], X[::9] ** 2)

    check = check_grad(fun, autodiff.grad(fun), theta, blocks=params)
    assert check.status == "ok"
    assert list(check.blocks) == [f"layer {k}, {part}" for k in (1, 2, 3) for part in "Wb"]
    assert all(block.status == "ok" for block in check.blocks.values())


@pytest.mark.parametrize("size", [1e-200, 1e-12, 1.0, 1e12, 1e200])
def test_the_scale_of_the_function_does_not_matter(size):
    right = check_grad(lambda x: size * np.sin(x), lambda x: size * np.cos(x), 1.0)
    wrong = check_grad(lambda x: size * np.sin(x), lambda x: size * np.cos(x) * 1.001, 1.0)
    assert (right.status, wrong.status) == ("ok", "wrong")
    assert wrong.error == pytest.approx(0.001, rel=0.01)


@pytest.mark.parametrize("x", [1e-9, 0.0, 1e6, 1e10])
def test_the_scale_of_x_does_not_matter(x):
    assert check_grad(lambda x: x**2 + x, lambda x: 2 * x + 1, x).status == "ok"
    assert check_grad(lambda x: x**2 + x, lambda x: 2.01 * x + 1.01, x).status == "wrong"


def test_a_steep_function_passes():
    k = 1e9
    assert check_grad(lambda x: np.sin(k * x), lambda x: k * np.cos(k * x), 1e-9).status == "ok"


@pytest.mark.parametrize("x", [-2.7, -0.31, 0.3, 1.0, 2.9])
@pytest.mark.parametrize(
    ("power", "status"), [(3, "ok"), (6, "ok"), (9, "ok"), (12, "cannot tell")]
)
def test_a_smooth_function_has_no_kink_however_fast_it_turns(power, status, x):
    k = 10.0**power
    assert check_grad(lambda x: np.sin(k * x), lambda x: k * np.cos(k * x), x).status == status


@pytest.mark.parametrize("distance", [1e-2, 1e-6, 1e-10, 1e-12])
def test_right_gradients_beside_an_exact_fit_pass(distance):
    rng = generator(3)
    A, w, away = rng.normal(size=(12, 4)), rng.normal(size=4), rng.normal(size=4)

    def residuals(x):
        return A @ x - A @ w

    def fun(x):
        return (residuals(x) ** 2).mean()

    check = check_grad(fun, lambda x: A.T @ residuals(x) / 6, w + distance * away)
    assert check.status == "ok"


def test_a_tiny_entry_beside_large_ones_is_still_checked():
    size = np.array([1e4, 1.0, 1e-6])
    right = check_grad(lambda x: size @ x**2, lambda x: 2 * size * x, np.ones(3))
    lost = check_grad(lambda x: size @ x**2, lambda x: [2, 2, 1] * size * x, np.ones(3))
    assert right.status == "ok"
    assert (lost.status, lost.worst) == ("wrong", "x[2]")


# A gradient that is wrong


def loss_of_a_network():
    """Give the layers of a small network, their vector, and a loss of it."""
    params = network(sizes=(2, 3, 1))
    theta, unflatten = nn.flatten(params)
    rows = generator(0).normal(size=(7, 2))
    return params, theta, lambda theta: LOSS(unflatten(theta), rows, rows[:, :1])


def test_the_worst_entry_and_its_block_are_named():
    params, theta, fun = loss_of_a_network()

    def faulty(theta):
        g = autodiff.grad(fun)(theta)
        g[4] *= 1.5  # layer 1, W[1, 1]
        g[9] *= 1.01  # layer 2, W[0, 0]
        return g

    check = check_grad(fun, faulty, theta, blocks=params)
    assert (check.status, check.worst) == ("wrong", "layer 1, W[1, 1]")
    assert check.error == pytest.approx(1 / 3, rel=1e-6)
    assert "worst at layer 1, W[1, 1], gradient" in check.message
    ill = [name for name, block in check.blocks.items() if block.status == "wrong"]
    assert ill == ["layer 1, W", "layer 2, W"]
    assert check.blocks["layer 2, W"].worst == "layer 2, W[0, 0]"


def test_blocks_can_be_named_by_hand():
    check = check_grad(
        lambda x: x @ x, lambda x: 2 * x + [0, 0, 1], np.ones(3), blocks={"W": (1, 2), "b": 1}
    )
    assert (check.blocks["W"].status, check.blocks["b"].status) == ("ok", "wrong")
    assert check.worst == "b[0]"


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.5, np.inf])
def test_a_gradient_of_zero_of_the_wrong_sign_or_size_is_wrong(factor):
    if np.isinf(factor):
        fun, grad = (lambda x: 0.0 * x + 1.0), (lambda x: 1e-3)
    else:
        fun, grad = (lambda x: x**2), (lambda x: factor * 2 * x)
    assert check_grad(fun, grad, 3.0).status == "wrong"


# Kinks


@pytest.mark.parametrize("claim", [-1.0, 0.0, 0.3, 1.0, 17.0])
def test_a_kink_is_neither_passed_nor_failed(claim):
    check = check_grad(lambda x: np.abs(x).sum(), lambda x: [1, 1, 1, claim], [1.0, 2.0, 3.0, 0.0])
    assert check.status == "kink"
    assert check.message == "kink at x[3]: left slope -1, right slope 1"
    assert check.kinks[0][1:] == pytest.approx((-1.0, 1.0))


@pytest.mark.parametrize(
    ("fun", "x", "slopes"),
    [
        (lambda x: max(x, 0.0), 0.0, (0, 1)),
        (lambda x: abs(x) + 50 * x**2, 0.0, (-1, 1)),
        (lambda x: abs(x - 3.0) + np.sin(x), 3.0, (-1 + math.cos(3), 1 + math.cos(3))),
        (lambda x: 1e6 * abs(x - 100.0), 100.0, (-1e6, 1e6)),
        (lambda x: 1e-3 * abs(x) + np.exp(x), 0.0, (0.999, 1.001)),
        (lambda x: 1 + 0.1 * abs(x) + 1e5 * x**2, 0.0, (-0.1, 0.1)),
        (lambda x: 1 + 0.01 * abs(x) + 1e4 * x**2, 0.0, (-0.01, 0.01)),
    ],
)
def test_kinks_under_curvature_and_of_any_size_have_their_two_slopes(fun, x, slopes):
    check = check_grad(fun, lambda x: 0.0, x)
    assert check.status == "kink"
    np.testing.assert_allclose(check.kinks[0][1:], slopes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("fun", "words"),
    [
        (lambda x: float(x > 0), "jump at x: fun changes by 0 before it, by 1 behind it"),
        (np.sign, "jump at x: fun changes by 1 before it, by 1 behind it"),
        (lambda x: 3.0 * (x == 0), "jump at x: fun changes by 3 before it, by -3 behind it"),
        (lambda x: abs(x) ** 0.5, "kink at x: left slope -inf, right slope inf"),
    ],
)
def test_jumps_and_cusps_are_called_by_their_names(fun, words):
    check = check_grad(fun, lambda x: 0.0, 0.0)
    assert (check.status, check.message) == ("kink", words)


@pytest.mark.parametrize(
    ("power", "status"),
    [(1.31, "ok"), (1.29, "kink"), (0.32, "kink"), (0.28, "cannot tell")],
)
def test_a_gap_that_keeps_half_to_five_times_its_size_is_a_kink(power, status):
    assert check_grad(lambda x: abs(x) ** power, lambda x: 0.0, 0.0).status == status  # 0.1^(p-1)


@pytest.mark.parametrize(("power", "status"), [(33, "kink"), (34, "cannot tell")])
def test_a_kink_is_seen_over_four_steps_clear_of_rounding(power, status):
    offset = 2.0**power  # the gap, 2, is twice 4 eps |f| / h at h = 1e-5 for an offset of 2^33.4
    assert check_grad(lambda x: offset + abs(x), lambda x: 0.0, 0.0).status == status


@pytest.mark.parametrize(("slope", "status"), [(9e5, "kink"), (1.1e6, "cannot tell")])
def test_a_jump_is_the_same_within_a_tenth_at_six_steps(slope, status):
    check = check_grad(lambda x: (x > 0) + slope * x, lambda x: 0.0, 0.0)  # from 1e-12 to 1e-7
    assert check.status == status


@pytest.mark.parametrize(("size", "status"), [(1.1, "kink"), (0.9, "cannot tell")])
def test_a_jump_is_a_hundred_times_louder_than_rounding(size, status):
    jump = size * 100 * 4 * EPS * 1e6
    assert check_grad(lambda x: 1e6 + jump * (x > 0), lambda x: 0.0, 0.0).status == status


@pytest.mark.parametrize("power", [2, 3, 4, 5, 9])
def test_flat_points_are_no_kinks(power):
    assert check_grad(lambda x: x**power, lambda x: power * x ** (power - 1), 0.0).status == "ok"
    assert check_grad(lambda x: x**power, lambda x: 1e-3, 0.0).status == "wrong"


def test_a_fault_elsewhere_is_not_hidden_by_a_kink():
    check = check_grad(lambda x: np.abs(x).sum(), lambda x: [2.0, 0.0], [1.0, 0.0])
    assert (check.status, check.worst) == ("wrong", "x[0]")
    assert [kink.name for kink in check.kinks] == ["x[1]"]


@pytest.mark.parametrize("distance", 10.0 ** -np.arange(1, 12, 0.5))
def test_a_right_gradient_beside_a_kink_is_never_called_wrong(distance):
    def fun(x):
        return 5.0 + max(x - distance, 0.0) + np.sin(x)

    right = check_grad(fun, np.cos, 0.0)
    assert right.status == "ok" if distance > 3e-7 else right.status in ("ok", "kink")
    assert check_grad(fun, lambda x: np.cos(x) + 0.5, 0.0).status != "ok"


def test_many_kinks_are_counted():
    check = check_grad(lambda x: np.abs(x).sum(), np.sign, np.zeros(5))
    assert check.message.endswith("kink at x[2]: left slope -1, right slope 1, and 2 more")
    assert check.blocks["x"].status == "kink"


def test_relu_at_zero_bias_and_zero_input_is_a_kink_in_the_bias():
    params = [nn.Layer([[1.0]], [0.0]), nn.Layer([[1.0]], [0.0])]
    theta, unflatten = nn.flatten(params)

    def fun(theta):
        return loss_with("relu")(unflatten(theta), [[0.0]], [[1.0]])

    check = check_grad(fun, autodiff.grad(fun), theta, blocks=params)
    assert check.message == "kink at layer 1, b[0]: left slope 0, right slope -2"


# What differences cannot tell


def deep(depth, faulty=False):
    """Check the gradient of a sigmoid network of two units a layer."""
    params = network(sizes=(1, *[2] * (depth - 1), 1))
    theta, unflatten = nn.flatten(params)

    def fun(theta):
        return loss_with("sigmoid")(unflatten(theta), X[::20], X[::20] ** 2)

    def grad(theta):
        g = autodiff.grad(fun)(theta)
        g[: 2 * faulty] = 0.0  # layer 1, W
        return g

    return check_grad(fun, grad, theta, blocks=params)


@pytest.mark.parametrize(
    ("depth", "right", "faulty"),
    [
        (6, "ok", "wrong"),
        (12, "ok", "wrong"),
        (20, "cannot tell", "cannot tell"),
        (24, "cannot tell", "cannot tell"),
    ],
)
def test_a_vanished_layer_is_neither_passed_nor_failed(depth, right, faulty):
    for check, status in [(deep(depth), right), (deep(depth, faulty=True), faulty)]:
        assert check.status == check.blocks["layer 1, W"].status == status
        assert check.blocks[f"layer {depth}, b"].status == "ok"
        assert check.kinks == ()


@pytest.mark.parametrize("f", **by_name(FUNCTIONS))
@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9, 1e12, 1e15])
def test_a_large_constant_makes_doubts_and_no_faults(f, offset):
    rng = generator(2)
    for _ in range(5):
        x = rng.uniform(*f.domain, size=len(f.variables))
        x = x if len(x) > 1 else x[0]
        status = check_grad(lambda x: f.fun(x) + offset, f.grad, x).status
        assert status in ({"ok"} if offset < 1e8 else {"ok", "cannot tell"})


@pytest.mark.parametrize("offset", np.geomspace(1e7, 1e12, 21))
def test_a_slope_is_told_if_its_doubt_is_at_most_a_hundredth(offset):
    def status(claim):
        return check_grad(lambda x: offset + x, lambda x: claim, 0.0).status

    if status(1.0) == "ok":
        assert status(1.02) == status(0.98) == "wrong"
    else:
        assert status(1.0) == status(1.005) == status(0.995) == "cannot tell"


@pytest.mark.parametrize(
    ("fun", "claim"),
    [
        (lambda x: 1e15 + x**2, 3.0),
        (lambda x: 1e8 + 1e-3 * abs(x - 1), 0.0),
        (lambda x: 1e11 + x, 0.99),
        (lambda x: np.cbrt(x - 1), 1.0),
        (lambda x: np.maximum(x - 1, 0) ** 0.5, 0.0),
    ],
)
def test_nothing_passes_by_luck(fun, claim):
    check = check_grad(fun, lambda x: claim, 1.0)
    assert check.status == "cannot tell"
    assert check.message.startswith(f"cannot tell at x: gradient {claim:.4g} against difference")
    assert check.message.endswith("subtract a constant from fun, or move")


@pytest.mark.parametrize(("offset", "status"), [(2.5e4, "ok"), (3e4, "cannot tell")])
def test_a_flat_point_is_told_by_the_slopes_around_it(offset, status):
    # the doubt, 16 eps |f| / h, against tol times the slope at h = 1e-2
    assert check_grad(lambda x: offset + x**2, lambda x: 0.0, 0.0).status == status


def test_a_zero_is_right_where_other_entries_of_its_block_can_be_told():
    def fun(x):
        return 1.0 + x[0]

    apart = check_grad(fun, lambda x: [1, 0], [2.0, 3.0], blocks={"W": 1, "b": 1})
    assert [block.status for block in apart.blocks.values()] == ["ok", "cannot tell"]
    assert check_grad(fun, lambda x: [1, 0], [2.0, 3.0]).status == "ok"
    assert check_grad(fun, lambda x: [1, 1e-15], [2.0, 3.0]).status == "cannot tell"
    assert check_grad(fun, lambda x: [1, 1e-9], [2.0, 3.0]).status == "wrong"
    assert check_grad(lambda x: 1.0, np.zeros_like, [2.0, 3.0]).status == "ok"


# Gradients that are not finite, and none


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_an_entry_that_is_not_finite_is_named_with_its_block(hole):
    params, theta, fun = loss_of_a_network()

    def faulty(theta):
        g = autodiff.grad(fun)(theta)
        g[[4, 5]] = hole
        return 2 * g

    check = check_grad(fun, faulty, theta, blocks=params)
    assert check.message == (
        f"not finite: gradient {hole} at layer 1, W[1, 1], and 1 more; look for the first NaN or "
        "Inf on the way back"
    )
    assert (check.status, check.worst, check.error) == ("not finite", "layer 1, W[1, 1]", math.inf)
    statuses = [block.status for block in check.blocks.values()]
    assert statuses == ["not finite", "wrong", "wrong", "wrong"]


def test_an_x_that_is_not_finite_is_a_finding():
    check = check_grad(
        lambda x: x @ x, lambda x: 2 * x, [1.0, np.nan, -np.inf], blocks={"W": 2, "b": 1}
    )
    assert (check.status, check.worst, check.error) == ("not finite", "W[1]", math.inf)
    assert check.message.startswith("not finite: x at W[1], and 1 more; move to a point where fun")
    assert [block.worst for block in check.blocks.values()] == ["W[1]", "b[0]"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_function_that_is_not_finite_is_a_finding(value):
    check = check_grad(lambda x: x @ x * value, lambda x: x, [1.0, 2.0])
    assert (check.status, check.worst) == ("not finite", "x[0]")
    assert check.message.startswith(f"not finite: fun is {value} at x; move")


def test_a_function_that_ends_at_x_is_a_finding():
    check = check_grad(lambda x: np.sqrt(x[1] - 2) + x[0], lambda x: [1.0, 1.0], [1.0, 2.0])
    assert (check.status, check.worst) == ("not finite", "x[1]")
    assert check.message.startswith("not finite: fun beside x[1], no two steps on both sides have")


def test_no_entries_are_a_finding():
    check = check_grad(lambda x: 1.0, lambda x: x, np.zeros(0), blocks=[])
    assert (check.status, check.blocks, check.kinks) == ("empty", {}, ())
    assert check.message.startswith("There is no layer and no parameter to look at")


# What the check refuses


@pytest.mark.parametrize(
    ("fun", "grad", "words"),
    [
        (lambda x: x @ x, lambda x: 2 * x[:, None], r"grad must give the shape of x, \(2,\), got"),
        (lambda x: x @ x, lambda x: 2.0, r"grad must give the shape of x, \(2,\), got \(\)"),
        (lambda x: x @ x, lambda x: [[np.nan, 1.0]], r"grad must give the shape of x, \(2,\), got"),
        (lambda x: x, lambda x: x, r"check_grad needs a scalar output, got shape \(2,\)"),
        (
            lambda x: x[:1],
            lambda x: x,
            r"got shape \(1,\); end fun in a sum or a mean, or take one",
        ),
    ],
)
def test_what_cannot_be_checked_is_refused(fun, grad, words):
    with pytest.raises(ValueError, match=words):
        check_grad(fun, grad, [1.0, 2.0])


@pytest.mark.parametrize("name", ["fun", "grad"])
def test_what_is_no_function_is_refused(name):
    functions = {"fun": lambda x: x @ x, "grad": lambda x: 2 * x} | {name: None}
    with pytest.raises(TypeError, match=f"{name} must be a function of x, got None"):
        check_grad(**functions, x=[1.0, 2.0])


@pytest.mark.parametrize("blocks", ["W", 2, [np.ones(3)], {"W": "a"}, {"W": -2}, {"W": 2.0}])
def test_blocks_are_shapes(blocks):
    with pytest.raises(TypeError, match=r"block.*must (map names to|have a).* shape.*; write for"):
        check_grad(lambda x: x @ x, lambda x: 2 * x, [1.0, 2.0], blocks=blocks)


@pytest.mark.parametrize("x", [None, "abc", [[1.0], [1.0, 2.0]], [1j]])
def test_what_is_no_point_is_refused_and_no_finding(x):
    with pytest.raises((TypeError, ValueError), match="x must"):
        check_grad(lambda x: x @ x, lambda x: 2 * x, x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_function_in_narrow_floats_is_refused(dtype):
    with pytest.raises(TypeError, match=f"fun must compute in float64, got {dtype.__name__} at x="):
        check_grad(lambda x: dtype(x @ x), lambda x: 2 * x, [1.3, 0.7])


@pytest.mark.parametrize("factor", [0.0, 1.0, 2.0])
def test_a_staircase_of_narrow_floats_cannot_be_told(factor):
    def fun(x):
        return float(np.sum(np.asarray(x, dtype=np.float32) ** 2))

    check = check_grad(fun, lambda x: factor * 2 * x, [1.3, 0.7])
    assert check.status == "cannot tell"
    assert "compute in float64" in check.message


@pytest.mark.parametrize(
    ("fun", "x", "right", "wrong"),
    [
        (lambda x: 1 + np.maximum(x[0] - 0.005, 0) + x[1] ** 2, [0.0, 1.0], [0, 2], [1, 2]),
        (lambda w: max(0.0, 1 - w), 1.004, 0.0, -1.0),
        (lambda w: np.maximum(0, 1 - np.array([1.004, 2, 3]) * w).sum(), 1.0, 0.0, -1.004),
        (np.max, [1.0, 0.995, 0.3], [1, 0, 0], [1, 1, 0]),
        (lambda x: np.clip(x, -1, 1), 1.005, 0.0, 1.0),
        (lambda x: 1 + max(1.37 * x - 3e-6, 0.0), 0.0, 0.0, 1.37),  # a dead relu
        (lambda x: 1 + np.tanh(1e4 * (x - 0.05)), 0.045, 0.0, 1.0),
    ],
)
def test_the_flat_side_of_a_kink_is_told(fun, x, right, wrong):
    assert check_grad(fun, lambda x: right, x).status == "ok"
    assert check_grad(fun, lambda x: wrong, x).status == "wrong"


@pytest.mark.parametrize("distance", [1e-12, 5e-13, 1e-13])
def test_a_kink_as_near_as_the_smallest_step_is_no_jump(distance):
    for fun in (lambda x: max(x, 0.0), abs):
        check = check_grad(fun, lambda x: 1.0, distance)
        assert check.status in ("ok", "kink", "cannot tell")
        assert "jump" not in check.message


@pytest.mark.parametrize(("fun", "calls"), [(lambda x: 2 * x, 4), (lambda x: abs(x) ** 0.9, 22)])
def test_an_entry_takes_4_to_22_values(fun, calls):
    seen = []
    check_grad(lambda x: seen.append(x) or fun(x), lambda x: 2.0, 0.0)
    assert len(seen) - 2 == calls  # two at x


def test_blocks_must_fill_x():
    with pytest.raises(ValueError, match=r"blocks must fill x, 2 numbers, got 6"):
        check_grad(lambda x: x @ x, lambda x: 2 * x, [1.0, 2.0], blocks={"W": (2, 3)})


def test_dropout_left_on_is_refused():
    rng = generator()

    def fun(x):
        return (x * dropout_mask(9, 0.5, rng=rng)).sum()

    with pytest.raises(ValueError, match="two values at the same x; switch dropout off"):
        check_grad(fun, np.ones_like, generator(1).normal(size=9))


def test_functions_that_scribble_on_x_do_no_harm():
    x = np.array([1.0, 2.0])

    def grad(x):
        x *= 2
        return x

    assert check_grad(lambda x: x @ x, grad, x).status == "ok"
    assert x.tolist() == [1, 2]


# The layers


@every_network
@pytest.mark.parametrize("seed", range(4))
def test_healthy_networks_have_no_finding_before_and_after_training(activation, scheme, seed):
    start = network(scheme, seed)
    result = train(start, loss_with(activation))
    for params in (start, result.params):
        assert report(params, activation=activation, learning_rate=0.1).findings == ()


def test_norms_and_ratios_are_those_of_the_gradient():
    params = network()
    theta, unflatten = nn.flatten(params)
    g = unflatten(autodiff.grad(lambda theta: LOSS(unflatten(theta), *DATA))(theta))
    full = report(params, learning_rate=0.5)
    assert full.loss == pytest.approx(LOSS(params, *DATA))
    for row, (gW, _), (W, _) in zip(full.layers, g, params, strict=True):
        norms = np.linalg.norm(gW), np.linalg.norm(W)
        assert (row.gradient_norm, row.weight_norm) == pytest.approx(norms)
        assert row.update_ratio == pytest.approx(0.5 * norms[0] / norms[1])
    assert math.isnan(report(params).layers[0].update_ratio)


def test_saturated_and_dead_shares_by_hand():
    params = [
        nn.Layer([[1.0, 1.0, 1.0, 1.0]], [0.0, 5.0, -5.0, 0.5]),
        nn.Layer(np.ones((4, 1)), [0.0]),
    ]
    rows = [[0.0], [0.1]]
    tanh, relu = (
        layer_report(params, loss_with(name), (rows, rows), activation=name).layers
        for name in ("tanh", "relu")
    )
    assert tanh[0].saturated == 0.5
    assert relu[0].dead == 0.25
    assert math.isnan(tanh[0].dead)
    assert math.isnan(relu[0].saturated)
    assert math.isnan(tanh[1].saturated)  # the last layer is linear


def test_the_slope_at_the_border_of_saturation_is_a_twentieth_of_the_largest():
    def share(z, activation):
        params = [nn.Layer([[0.0]], [z]), nn.Layer([[1.0]], [0.0])]
        return (
            layer_report(params, loss_with(activation), ([[1.0]], [[0.0]]), activation=activation)
            .layers[0]
            .saturated
        )

    border = math.atanh(math.sqrt(1 - 1 / 20))
    assert [share(z * border, "tanh") for z in (-1.01, -0.99, 0.99, 1.01)] == [1, 0, 0, 1]
    assert [share(2 * z * border, "sigmoid") for z in (-1.01, -0.99, 0.99, 1.01)] == [1, 0, 0, 1]


rng_classes = generator(0)
FLOWERS = rng_classes.normal(size=(300, 4))
CLASSES = (FLOWERS @ rng_classes.normal(size=(4, 3))).argmax(axis=1)


def softmax_loss(params, X, y):
    return nn.cross_entropy(nn.forward(params, X), y)


def zeroed(params, k):
    """Set the weights of layer k to 0."""
    return [nn.Layer(W * (i != k), b) for i, (W, b) in enumerate(params)]


GOOD_STARTS = {  # with weights of 0 that training moves apart
    "softmax regression": (zeroed(network(sizes=(4, 3)), 0), softmax_loss, (FLOWERS, CLASSES)),
    "first layer": (zeroed(network(sizes=(4, 8, 3)), 0), softmax_loss, (FLOWERS, CLASSES)),
    "last layer": (zeroed(network(sizes=(4, 8, 3)), 1), softmax_loss, (FLOWERS, CLASSES)),
    "regression": (zeroed(network(sizes=(1, 16, 1)), 0), LOSS, (X, X**3 + X)),
}


@pytest.mark.parametrize("name", GOOD_STARTS)
def test_weights_of_zero_that_train_have_no_finding(name):
    params, loss, data = GOOD_STARTS[name]
    result = train(params, loss, data, rate=0.3)
    assert result.losses[-1] < 0.5 * result.losses[0]
    assert np.ptp(result.params[0].W) > 0.1
    for there in (params, result.params):
        assert layer_report(there, loss, data).findings == ()


def test_copies_are_units_with_equal_weights_on_both_sides():
    first, last = nn.Layer(np.ones((1, 4)), np.zeros(4)), nn.Layer(np.ones((4, 1)), np.zeros(1))
    for there in ((first, "W"), (first, "b"), (last, "W")):
        apart = [layer._replace() for layer in (first, last)]
        k = 0 if there[0] is first else 1
        part = getattr(apart[k], there[1]).copy()
        part.flat[2] = 1.5
        apart[k] = apart[k]._replace(**{there[1]: part})
        assert report(apart).findings == ()
    (finding,) = report([first, last]).findings
    assert finding.startswith("All units of layer 1 have the same weights and stay copies")


# the measure of a report just below and just above its threshold, and the finding


def column(size):
    return report(data=(size * X / np.sqrt((X**2).mean()), X**2))


def step(ratio):
    rows = report(learning_rate=1.0).layers
    return report(learning_rate=ratio / max(row.update_ratio for row in rows))


def units(bias, activation, share):
    """One hidden layer of 100 units; a share of them has the bias, the others have 0.1."""
    b = np.where(np.arange(100) < 100 * share, bias, 0.1)
    params = [
        nn.Layer(np.full((1, 100), 0.01), b),
        nn.Layer(generator().normal(size=(100, 1)), [0.0]),
    ]
    return report(params, activation=activation)


def chain(ratio):
    """Two weights, 1 and the ratio: the gradient of each is the other, times the same."""
    params = [nn.Layer([[1.0]], [0.0]), nn.Layer([[ratio]], [0.0])]
    return report(params, (X, X), activation="linear")


THRESHOLDS = {
    "a column of 100": (column, 99.0, 101.0, "Column 0 of X has mean 0 and standard deviation"),
    "a column of 0.01": (column, 0.0101, 0.0099, "Column 0 of X has mean 0 and standard deviation"),
    "a step as long as the weights": (step, 0.99, 1.01, "times as long as the weights"),
    "half dead": (lambda share: units(-9.0, "relu", share), 0.5, 0.51, "units are dead"),
    "half saturated": (lambda share: units(9.0, "tanh", share), 0.5, 0.51, "are saturated"),
    "vanishing": (chain, 1.01e-4, 0.99e-4, "The gradient vanishes on its way back"),
    "exploding": (chain, 0.99e4, 1.01e4, "The gradient explodes on its way back"),
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_finding_begins_at_its_threshold(name):
    examine, well, ill, words = THRESHOLDS[name]
    for measure, found in ((well, False), (ill, True)):
        assert any(words in finding for finding in examine(measure).findings) == found


SICK = {
    "saturated": (
        lambda: report(scaled(network(), 30.0)),
        "of the outputs are saturated in layer",
    ),
    "dead": (
        lambda: report(scaled(network("he"), 1.0, shift=-20.0), activation="relu"),
        "100% of the units are dead in layer 1 (likewise 1 other layer): lower",
    ),
    "no gradient": (
        lambda: report(scaled(network("he"), 1.0, shift=-20.0), activation="relu"),
        "Every dL/dW is 0: no weight moves. If the loss is not at its floor, look for dead units",
    ),
    "rate too high": (
        lambda: report(learning_rate=100.0),
        "times as long as the weights of layer 1 (likewise 2 other layers): lower",
    ),
    "relu drawn too large": (
        lambda: report(scaled(network("he"), 3.0), activation="relu", learning_rate=0.1),
        "times as long as the weights",
    ),
    "unscaled": (
        lambda: report(data=(1000 * X, X**2)),
        "Column 0 of X has mean 0 and standard deviation 583: shift and scale",
    ),
    "tiny features": (
        lambda: report(data=(X / 1e4, X**2)),
        "Column 0 of X has mean 0 and standard deviation 5.83e-05",
    ),
    "copies": (
        lambda: report([nn.Layer(np.ones_like(W), b) for W, b in network()]),
        "All units of layer 2 have the same weights",
    ),
    "vanishing": (
        lambda: report(network(sizes=(1, *[16] * 12, 1)), activation="sigmoid"),
        "The gradient vanishes on its way back",
    ),
    "exploding": (
        lambda: report(scaled(network(sizes=(1, *[32] * 40, 1)), 3.0)),
        "The gradient explodes on its way back",
    ),
    "vanished altogether": (
        lambda: report(network(sizes=(1, *[4] * 150, 1)), activation="sigmoid"),
        "The gradient vanishes on its way back",
    ),
    "overflow": (
        lambda: report(scaled(network(), 1e200), activation="linear"),
        "The loss is nan: a number overflows",
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_sick_networks_are_found_out(name):
    examine, words = SICK[name]
    findings = examine().findings
    assert any(words in finding for finding in findings), findings


def test_nan_and_inf_are_counted_first():
    params = network()
    params[1].W[0, :2] = np.nan
    params[1].b[3] = np.inf
    found = report(params)
    assert found.findings == (
        "2 NaN in layer 2, W: go back to the last finite ones.",
        "1 Inf in layer 2, b: go back to the last finite ones.",
    )
    assert [(row.nan, row.inf) for row in found.layers] == [(0, 0), (2, 1), (0, 0)]
    assert math.isnan(found.loss)


def test_nan_in_the_data_is_a_finding():
    spoiled = X.copy()
    spoiled[3] = np.nan
    assert report(data=(spoiled, X**2)).findings == ("1 NaN in X: remove or replace them.",)
    assert report(data=(X, -np.inf * np.ones_like(X))).findings[0].startswith("100 Inf in y")


def test_nan_comes_before_other_findings():
    findings = report(scaled(network(), 1e200), (1000 * X, X**2), activation="linear").findings
    assert findings[0].startswith("The loss is")
    assert "in the outputs of layer 2, the first with any: use smaller" in findings[1]
    assert "Column 0 of X has" in findings[2]


def linear_chain(*factors):
    return [
        nn.Layer(factor * np.array([[1.0, 2.0], [3.0, 1.0]]), np.zeros(2)) for factor in factors
    ]


@pytest.mark.parametrize(
    ("factors", "place"),
    [
        ((1.0, 1e160, 1e160), "the outputs of layer 3, the first with any:"),
        ((1.0, 1.0, 1e200), "the gradient of layer 2, the first with any on the way back from lay"),
        ((1e155, 1.0, 1.0), "the gradient of layer 3, the first with any on the way back from the"),
    ],
)
def test_the_first_layer_that_is_not_finite_is_named_forward_and_else_back(factors, place):
    rows = generator().uniform(1, 2, size=(9, 2))
    found = report(linear_chain(*factors), (rows, rows), activation="linear")
    assert f"in {place}" in found.findings[-1]
    assert sum("with any" in finding for finding in found.findings) == 1
    row = found.layers[-1]
    assert row.weight_norm == pytest.approx(15**0.5 * factors[-1])


@pytest.mark.parametrize("fun", [autodiff.log, autodiff.sqrt])
def test_a_logarithm_of_a_negative_number_does_not_overflow(fun):
    params = [nn.Layer([[1.0]], [-5.0])]
    found = layer_report(params, lambda p, X, y: autodiff.mean(fun(nn.forward(p, X))), DATA)
    (finding,) = found.findings
    assert finding.startswith("The loss is nan: a logarithm, root or quotient has no value")


@pytest.mark.parametrize(
    ("fun", "words"),
    [
        (
            lambda z: -autodiff.log(autodiff.sigmoid(z - 1e4)),
            "The loss is inf: a logarithm, root or",
        ),
        (
            lambda z: autodiff.sqrt(z - z),
            "in the gradient of layer 3, the first with any on the way",
        ),
    ],
)
def test_a_logarithm_and_a_root_at_zero_are_not_blamed_on_the_weights_alone(fun, words):
    found = layer_report(network(), lambda p, X, y: autodiff.mean(fun(nn.forward(p, X))), DATA)
    (finding,) = [finding for finding in found.findings if words in finding]
    assert "keep logarithms, roots and quotients away from 0 (as cross_entropy does)" in finding


def columns(*more):
    """Findings about data with a good column and these."""
    rows = np.column_stack([generator().normal(size=200), *more])
    found = report(network(sizes=(rows.shape[1], 8, 1)), (rows, rows[:, :1]))
    return [finding for finding in found.findings if "Column" in finding]


ROWS, NOISE = np.arange(200), generator(1).normal(size=200)


@pytest.mark.parametrize(
    "column",
    [
        1.0 * (ROWS == 7),
        np.where(ROWS == 5, 0.125, 0.0),
        np.where(ROWS < 99, 0.011, 0.0),
        np.ones(200),
        0 * NOISE,
        50 + 0.02 * NOISE,
        np.cos(NOISE) ** 2 + np.sin(NOISE) ** 2,
        1 - 1.0 * (ROWS == 7),
        np.where(ROWS == 5, 3.125, 3.0),
    ],
)
def test_rare_faint_and_constant_columns_are_in_scale(column):
    assert columns(column) == []


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (50 + 0.001 * NOISE, "mean 50 and standard deviation 0.00"),
        (2000 + 5 * NOISE, r"mean 2e\+03 and standard deviation"),
        (np.where(ROWS < 99, 0.009, 0.0), "mean 0.00446 and standard deviation 0.0045"),
        (np.where(ROWS < 99, 101.0, 0.0), "mean 50 and standard deviation 50.5"),
        (np.where(ROWS < 99, 3.009, 3.0), "mean 3 and standard deviation 0.0045"),
        (np.where(ROWS == 7, 1.0, 1000.0), "mean 995 and standard deviation 70.5"),
        (np.where(ROWS == 7, -150.0, 1.0), "mean 0.245 and standard deviation 10.7"),
        (1e200 * NOISE, "mean -?[0-9.e+]* and standard deviation"),
    ],
)
def test_columns_out_of_scale_are_named(column, words):
    (finding,) = columns(column)
    assert re.match(f"Column 1 of X has {words}", finding)


def test_the_farthest_column_is_named_not_the_largest():
    (finding,) = columns(101 * np.sign(NOISE), 1e-6 * NOISE)
    assert finding.startswith("Column 2 of X")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"activation": "sine"}, "activation must be one of"),
        ({"learning_rate": [0.1, 0.2]}, "learning_rate must be one number, got shape"),
    ],
)
def test_a_report_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        layer_report(network(), LOSS, DATA, **options)


EXAMINE = {
    "layer_report": lambda params, loss, data: layer_report(params, loss, data).findings[0],
    "lr_range_test": lambda params, loss, data: (
        lr_range_test(params, loss, data, low=0.1, high=1, steps=3, rng=None).message
    ),
    "gradient_noise_scale": lambda params, loss, data: (
        gradient_noise_scale(params, loss, data, batch_size=3, rng=generator()).message
    ),
}


@pytest.mark.parametrize("name", EXAMINE)
@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (None, TypeError, "loss must be a function of params, X and y, got None"),
        (lambda p, X, y: 3.0, TypeError, "loss must give a Var when params hold Vars, got float"),
        (lambda p, X, y: nn.forward(p, X), ValueError, "loss must give one number, got shape"),
    ],
)
def test_a_loss_that_is_none_is_refused(name, loss, error, words):
    with pytest.raises(error, match=words):
        EXAMINE[name](network(), loss, DATA)


@pytest.mark.parametrize("name", EXAMINE)
@pytest.mark.parametrize(
    ("params", "data", "got"),
    [
        (None, DATA, "NoneType and tuple"),
        ([*network()[0]], DATA, "list and tuple"),
        (network()[0], DATA, "Layer and tuple"),
        (network(), (*DATA, X), "list and tuple"),
        (network(), None, "list and NoneType"),
    ],
)
def test_what_is_no_network_and_no_pair_of_data_is_refused(name, params, data, got):
    words = r"params must be a list of Layer\(W, b\) and data the pair \(X, y\), got " + got
    with pytest.raises(TypeError, match=words):
        EXAMINE[name](params, LOSS, data)


@pytest.mark.parametrize("name", EXAMINE)
@pytest.mark.parametrize("size", [1e100, 1e160, 1e200, 1e308])
@pytest.mark.parametrize("activation", ["relu", "linear", "gelu", "tanh"])
def test_weights_that_overflow_are_a_finding_and_no_crash(name, size, activation):
    def loss(params, X, y):
        return nn.cross_entropy(nn.forward(params, X, activation=activation), y)

    params = scaled(network(sizes=(4, 8, 8, 3), seed=1), size)
    with np.errstate(all="ignore"):  # a report without findings is none here
        assert "nan rows" not in EXAMINE[name](params, loss, (FLOWERS, CLASSES))


def test_no_layer_is_a_finding_and_one_layer_is_none():
    empty = [nn.Layer(np.zeros((0, 0)), np.zeros(0))]
    assert report(empty).findings == report([]).findings
    assert report([]).findings == (
        "There is no layer and no parameter to look at: make some with nn.init_params.",
    )
    assert report(network(sizes=(1, 1))).findings == ()


NO_ROWS = np.zeros((0, 1)), np.zeros((0, 1))
NO_UNITS = [nn.Layer(np.zeros((1, 0)), np.zeros(0)), nn.Layer(np.zeros((0, 1)), np.zeros(1))]
EMPTY = {
    "no rows": (network(), NO_ROWS, "No number in X, shape (0, 1): give it at least one row."),
    "no units": (
        NO_UNITS,
        DATA,
        "No number in layer 1, W, shape (1, 0): give each layer at least one unit.",
    ),
}


@pytest.mark.parametrize("name", EMPTY)
def test_what_is_empty_is_a_finding(name):
    params, data, words = EMPTY[name]
    test = lr_range_test(params, LOSS, data, low=0.1, high=1, steps=3, rng=None)
    noise = gradient_noise_scale(params, LOSS, data, batch_size=3, rng=generator())
    found = layer_report(params, LOSS, data)
    assert test.message == noise.message == found.findings[0] == words
    assert math.isnan(test.rate)
    assert math.isnan(noise.scale)
    assert math.isnan(found.loss)
    assert len(found.layers) == len(params)


def test_a_report_prints_as_a_table():
    text = str(report(learning_rate=0.1))
    lines = text.splitlines()
    assert lines[0].startswith("loss 0.")
    assert lines[1].split() == ["NaN", "Inf", "|dL/dW|", "|W|", "update", "saturated", "dead"]
    assert [line[:7] for line in lines[2:5]] == ["layer 1", "layer 2", "layer 3"]
    assert lines[5] == "No finding."
    assert len({len(line) for line in lines[1:5]}) == 1


def test_labels_stay_integers():
    def loss(params, X, y):
        return nn.cross_entropy(nn.forward(params, X), y)

    params = network(sizes=(1, 8, 2))
    assert layer_report(params, loss, (X, (X[:, 0] > 0).astype(int))).findings == ()


# Depth


def median_ratio(**options):
    return np.median(
        [depth_profile(50, 64, rng=generator(seed), **options).ratio for seed in range(25)]
    )


@pytest.mark.parametrize(
    ("activation", "gain", "residual", "expected"),
    [
        ("sigmoid", 1.0, False, 3e-32),
        ("tanh", 1.0, False, 0.08),
        ("tanh", 2.0, False, 600),
        ("relu", 1.0, False, 1e-8),
        ("relu", math.sqrt(2), False, 0.6),
        ("relu", 1.7, False, 4000),
        ("sigmoid", 1.0, True, 1.2),
    ],
)
def test_fifty_layers_do_to_a_gradient_what_the_book_says(activation, gain, residual, expected):
    ratio = median_ratio(activation=activation, gain=gain, residual=residual)
    assert abs(math.log10(ratio / expected)) < 0.5


def test_a_profile_is_the_gradient_of_the_network():
    depth, n, seed = 4, 5, 3
    rng = generator(seed)
    h, g = rng.normal(size=(2, n))
    Ws = [rng.normal(0, 1.5 / np.sqrt(n), (n, n)) for _ in range(depth)]

    def output(h):
        for W in Ws:
            h = h + autodiff.tanh(h @ W)
        return h @ g

    profile = depth_profile(
        depth, n, activation="tanh", gain=1.5, rng=generator(seed), residual=True
    )
    assert profile.norms[0] == pytest.approx(np.linalg.norm(autodiff.grad(output)(h)))
    assert profile.norms[-1] == pytest.approx(np.linalg.norm(g))


@pytest.mark.parametrize(("width", "lowest", "highest"), [(4, 0, 1e-9), (16, 0.005, 0.05)])
def test_relu_at_sqrt_2_vanishes_where_it_is_narrow(width, lowest, highest):
    ratios = [
        depth_profile(50, width, activation="relu", gain=math.sqrt(2), rng=generator(seed)).ratio
        for seed in range(60)
    ]
    assert lowest <= np.median(ratios) < highest


def test_status_of_a_profile():
    def status(gain, activation="relu", depth=50):
        return depth_profile(depth, 64, activation=activation, gain=gain, rng=generator()).status

    assert [status(gain) for gain in (1.0, math.sqrt(2), 1.7)] == [
        "vanishing",
        "steady",
        "exploding",
    ]
    assert status(1e9, depth=100) == "exploding"  # beyond the largest float
    assert status(1e-9, depth=100) == "vanishing"


@pytest.mark.parametrize(
    ("ratio", "status"),
    [(0.0101, "steady"), (0.0099, "vanishing"), (99, "steady"), (101, "exploding")],
)
def test_a_profile_has_vanished_or_exploded_beyond_a_factor_of_a_hundred(ratio, status):
    def layer(gain):
        return depth_profile(1, 64, activation="linear", gain=gain, rng=generator())

    assert layer(ratio / layer(1.0).ratio).status == status


@pytest.mark.parametrize(
    "options", [{"depth": 0}, {"width": 0}, {"gain": 0.0}, {"gain": np.nan}, {"activation": "sine"}]
)
def test_a_profile_refuses(options):
    good = {"depth": 2, "width": 3, "activation": "tanh", "gain": 1.0, "rng": generator()}
    with pytest.raises(ValueError, match=f"{next(iter(options))} must"):
        depth_profile(**good | options)


# The rate


@every_network
@pytest.mark.parametrize("batch_size", [None, 20])
def test_the_rate_of_a_range_test_trains(activation, scheme, batch_size):
    start, loss = network(scheme), loss_with(activation)
    test = lr_range_test(
        start, loss, DATA, low=1e-4, high=100, steps=60, rng=generator(), batch_size=batch_size
    )
    result = train(start, loss, rate=test.rate, epochs=50)
    assert explain(result).startswith("Nothing looks wrong")
    assert len(test.rates) == len(test.losses) < 60


def test_the_rate_of_a_range_test_is_stable_on_linear_regression():
    A = np.array([[1.0], [2.0], [3.0]])
    y = np.array([[2.0], [2.5], [3.5]])
    test = lr_range_test(
        [nn.Layer([[0.0]], [0.0])], LOSS, (A, y), low=1e-4, high=10, steps=80, rng=None
    )
    columns = np.hstack([np.ones((3, 1)), A])
    limit = curvature.max_stable_rate(2 * columns.T @ columns / 3)
    assert limit / 100 < test.rate < limit


def test_losses_of_a_range_test_are_those_of_the_steps():
    test = lr_range_test(network(), LOSS, DATA, low=0.01, high=0.04, steps=3, rng=None)
    np.testing.assert_allclose(test.rates, [0.01, 0.02, 0.04])
    params = network()
    for rate, value in zip(test.rates, test.losses, strict=True):
        params = train(params, rate=rate, epochs=1).params
        assert value == pytest.approx(LOSS(params, *DATA), rel=1e-12)


@pytest.mark.parametrize(("low", "high"), [(1e-9, 1e-8), (1e-3, 0.1)])
def test_a_range_that_is_too_low_says_so(low, high):
    test = lr_range_test(network(), LOSS, DATA, low=low, high=high, steps=30, rng=None)
    assert math.isnan(test.rate)
    assert test.message.endswith(
        f"It was falling to the end: raise high = {high:g} to see where it turns."
    )


def three_rates(fun, x, low, middle):
    """Test three rates on a function of a single number, from x."""
    start = [nn.Layer(np.array([[x]]), np.zeros(1))]
    return lr_range_test(
        start,
        lambda params, X, y: autodiff.sum(fun(params[0].W)),
        DATA,
        low=low,
        high=middle**2 / low,
        steps=3,
        rng=None,
    )


@pytest.mark.parametrize(("share", "tried"), [(0.99, 3), (1.01, 2)])
def test_a_range_test_ends_above_the_first_loss_by_what_the_gradient_promised(share, tried):
    low, middle = 0.1, 4.0
    for _ in range(60):  # x^2 / 2 at (1 - low)(1 - middle) shall be 1 / 2 + share middle
        middle = 1 + math.sqrt(1 + 2 * share * middle) / (1 - low)
    test = three_rates(lambda x: x**2 / 2, 1.0, low, middle)
    assert test.losses[1] == pytest.approx(0.5 + share * middle)
    assert len(test.rates) == tried


@pytest.mark.parametrize(("rise", "rate"), [(1.9, 0.39), (2.1, math.nan)])
def test_a_rate_is_proposed_if_the_loss_fell_by_more_than_it_rose_in_one_step(rise, rate):
    def fun(x):
        return autodiff.relu(x) + 10 * autodiff.relu(-x)

    test = three_rates(fun, -1.0, low=(11 + rise) / 10, middle=2 + rise)
    np.testing.assert_allclose(test.losses[:2], [10 + rise, 8])  # from 10
    assert test.rate == pytest.approx(rate, nan_ok=True)


def test_a_range_whose_first_rate_is_best_says_so():
    test = lr_range_test(network(), LOSS, DATA, low=0.1, high=1e3, steps=2, rng=None)
    assert math.isnan(test.rate)
    assert test.message.endswith(
        "at the first rate, 0.1. It rose from there: lower low = 0.1 to see where it falls."
    )


def test_a_batch_of_all_rows_holds_each_once():
    options = {"low": 0.01, "high": 0.04, "steps": 3, "rng": generator()}
    whole = lr_range_test(network(), LOSS, DATA, **options)
    batch = lr_range_test(network(), LOSS, DATA, batch_size=100, **options)
    np.testing.assert_allclose(batch.losses, whole.losses, rtol=1e-12)


def test_a_range_test_does_not_end_at_a_rise_by_rounding():
    def loss(params, X, y):
        x = params[0].W[0, 0]
        return autodiff.sin(x) ** 2 + autodiff.cos(x) ** 2 + 1e-18 * x

    start = [nn.Layer([[0.0]], [0.0])]
    test = lr_range_test(start, loss, DATA, low=1e15, high=1e17, steps=40, rng=None)
    assert test.losses.max() > 1.0
    assert len(test.rates) == 40


def test_at_a_minimum_no_rate_is_proposed():
    result = train([nn.Layer([[0.0]], [0.0])], data=(X, 2 * X + X**2), epochs=1000)
    for batch_size in (None, 20):
        test = lr_range_test(
            result.params,
            LOSS,
            (X, 2 * X + X**2),
            low=1e-4,
            high=10,
            steps=60,
            rng=generator(),
            batch_size=batch_size,
        )
        assert test.message.startswith("No rate lowered the loss from")
        assert len(test.rates) > 30


@pytest.mark.parametrize("c", [-1000.0, -5.0, 0.0, 100.0])
@pytest.mark.parametrize("batch_size", [None, 20])
def test_a_constant_in_the_loss_changes_no_rate(c, batch_size):
    def test(c):
        return lr_range_test(
            network(),
            lambda params, X, y: LOSS(params, X, y) + c,
            DATA,
            low=1e-4,
            high=100,
            steps=60,
            rng=generator(),
            batch_size=batch_size,
        )

    assert test(c).rate == test(0.0).rate
    assert len(test(c).rates) == len(test(0.0).rates)


def test_a_range_test_ends_at_a_step_beyond_the_largest_float():
    data = np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]])
    start = [nn.Layer([[0.0]], [0.0])]
    test = lr_range_test(start, LOSS, data, low=1e160, high=1e170, steps=5, rng=None)
    assert test.losses.tolist() == [math.inf]
    assert math.isnan(test.rate)


def test_a_range_that_is_too_high_ends_at_once():
    test = lr_range_test(network(), LOSS, DATA, low=1e3, high=1e9, steps=9, rng=None)
    assert math.isnan(test.rate)
    assert len(test.rates) < 3


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ([], "There is no layer and no parameter"),
        (scaled(network(), np.nan), "16 NaN in layer 1, W"),
        (scaled(network(sizes=(1, 1)), 1e200), "The loss is inf: a logarithm, root or quotient"),
    ],
)
def test_range_test_and_noise_scale_have_findings_where_nothing_can_run(params, words):
    test = lr_range_test(params, LOSS, DATA, low=0.1, high=1, steps=3, rng=None)
    noise = gradient_noise_scale(params, LOSS, DATA, batch_size=3, rng=generator())
    assert test.message.startswith(words)
    assert noise.message == test.message
    assert math.isnan(test.rate)
    assert math.isnan(noise.scale)


def test_one_layer_has_a_rate_and_a_noise_scale():
    start = network(sizes=(1, 1))
    test = lr_range_test(start, LOSS, DATA, low=1e-4, high=10, steps=30, rng=None)
    noise = gradient_noise_scale(start, LOSS, DATA, batch_size=3, rng=generator())
    assert test.rate > 0
    assert noise.scale > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"low": 0.0}, "low must be above 0"),
        ({"high": 0.01}, r"high must be above low = 0\.1, got 0\.01"),
        ({"steps": 1}, "steps must be at least 2"),
        ({"batch_size": 101}, "batch_size must be at most 100"),
    ],
)
def test_a_range_test_refuses(options, words):
    good = {"low": 0.1, "high": 1.0, "steps": 3, "rng": generator()}
    with pytest.raises(ValueError, match=words):
        lr_range_test(network(), LOSS, DATA, **good | options)


# The noise


def test_the_noise_scale_is_that_of_the_gradients_row_by_row():
    rng = generator(4)
    rows = rng.normal(size=(300, 3))
    y = rows @ [[1.0], [2.0], [-1.0]] + rng.normal(size=(300, 1))
    params = [nn.Layer(np.zeros((3, 1)), np.zeros(1))]
    each = -2 * y * np.hstack([rows, np.ones((300, 1))])  # d(y - x w - b)^2 at w = b = 0
    G = each.mean(axis=0)
    trace = each.var(axis=0).sum()
    for size in (1, 10, 300):
        noise = gradient_noise_scale(params, LOSS, (rows, y), batch_size=size, rng=rng, batches=600)
        assert noise.gradient_norm == pytest.approx(np.linalg.norm(G))
        assert noise.trace == pytest.approx(trace, rel=0.1)
        assert noise.scale == pytest.approx(trace / (G @ G), rel=0.1)


def test_the_noise_scale_says_which_side_the_batch_is_on():
    rng = generator(0)
    rows = rng.normal(size=(200, 1))
    data = rows, 0.1 * rows + rng.normal(size=rows.shape)
    start = [nn.Layer([[0.0]], [0.0])]
    small, large = (
        gradient_noise_scale(start, LOSS, data, batch_size=size, rng=rng) for size in (2, 2000)
    )
    assert small.message.endswith("with 2 rows, a larger batch gives better steps.")
    assert large.message.endswith("with 2000 rows, a smaller batch does as well.")


def test_at_a_minimum_there_is_nothing_to_learn():
    start = [nn.Layer([[0.0]], [0.0])]
    noise = gradient_noise_scale(start, LOSS, (X, 0 * X), batch_size=5, rng=generator())
    assert noise.message.startswith("The gradient over all rows is 0 up to rounding: there is noth")
    assert math.isnan(noise.scale)


def fitted(m=40):
    """Linear regression with noise, at its minimum."""
    rng = generator(2)
    rows = rng.normal(size=(m, 2))
    y = rows @ [[1.0], [2.0]] + 0.5 * rng.normal(size=(m, 1))
    w = np.linalg.lstsq(np.hstack([rows, np.ones((m, 1))]), y, rcond=None)[0]
    return w, (rows, y)


@pytest.mark.parametrize(("away", "is_zero"), [(0.0, True), (2e-14, True), (1e-12, False)])
def test_a_gradient_below_the_rounding_of_the_rows_counts_as_zero(away, is_zero):
    w, data = fitted()
    params = [nn.Layer(w[:2] + away, w[2])]
    noise = gradient_noise_scale(params, LOSS, data, batch_size=40, rng=generator())
    assert math.isinf(noise.scale) == is_zero
    assert noise.trace > 0
    assert noise.message.startswith("The gradient over all rows is 0 up to") == is_zero


def test_no_batch_is_recommended_that_does_not_exist():
    w, data = fitted()
    params = [nn.Layer(w[:2] + 0.01, w[2])]
    for size, words in ((39, "a larger batch gives better steps."), (40, "there are no more rows")):
        noise = gradient_noise_scale(params, LOSS, data, batch_size=size, rng=generator())
        assert noise.scale > 40
        assert words in noise.message
    rows = np.ones((50, 1)), 5 + 0.1 * generator().normal(size=(50, 1))
    one = gradient_noise_scale(
        [nn.Layer([[0.0]], [0.0])], LOSS, rows, batch_size=1, rng=generator()
    )
    assert one.message.endswith("with 1 row, there is little noise to average.")


@pytest.mark.parametrize("size", [1e-200, 1e150])
def test_the_size_of_the_loss_does_not_change_the_noise_scale(size):
    def noise(size):
        return gradient_noise_scale(
            network(),
            lambda params, X, y: size * LOSS(params, X, y),
            DATA,
            batch_size=5,
            rng=generator(),
        )

    assert noise(size).scale == pytest.approx(noise(1.0).scale)
    assert noise(size).message == noise(1.0).message


def test_a_loss_that_is_a_sum_is_refused():
    def loss(params, X, y):
        return len(X) * LOSS(params, X, y)

    with pytest.raises(ValueError, match="each row twice its gradient is 2 times as long; divide"):
        gradient_noise_scale(network(), loss, DATA, batch_size=5, rng=generator())


@pytest.mark.parametrize("seed", range(5))
def test_a_noise_scale_with_dropout_left_on_is_refused(seed):
    rng = generator(seed)

    def loss(params, X, y):
        hidden = autodiff.tanh(nn.forward(params[:1], X))
        mask = dropout_mask((len(X), 16), 0.5, rng=rng)
        return nn.mse(nn.forward(params[1:], hidden * mask), y)

    with pytest.raises(ValueError, match="two at the same params and rows; switch dropout off"):
        gradient_noise_scale(network(sizes=(1, 16, 1)), loss, DATA, batch_size=5, rng=rng)


def test_a_mask_of_its_own_for_each_number_of_rows_makes_no_sum():
    def loss(params, X, y):
        mask = dropout_mask((len(X), 1), 0.5, rng=generator(len(X)))
        return nn.mse(mask * nn.forward(params, X), y)

    data = X[::10], X[::10] ** 2
    assert gradient_noise_scale(network(), loss, data, batch_size=5, rng=generator()).scale > 0


@pytest.mark.parametrize(("power", "is_one"), [(0.58, True), (0.59, False)])
def test_a_mean_keeps_its_gradient_within_a_half_when_rows_come_twice(power, is_one):
    def loss(params, X, y):
        return len(X) ** power * LOSS(params, X, y)  # 2^0.585 = 1.5

    def measure():
        return gradient_noise_scale(network(), loss, DATA, batch_size=5, rng=generator())

    if is_one:
        assert measure().scale > 0
    else:
        with pytest.raises(ValueError, match="loss must be a mean over the rows"):
            measure()


# Runs in words


def valley(rate, steps, **options):
    problem = problems.valley()
    return descent.gradient_descent(
        problem.fun, [-1.0, 1.0], learning_rate=rate, grad=problem.grad, max_steps=steps, **options
    )


def square(rate, steps=50, fun=lambda x: x**2, **options):
    return descent.gradient_descent(fun, 5.0, learning_rate=rate, max_steps=steps, **options)


IS_LEVEL = "Nothing looks wrong: fun went from"  # and "is level"

RUNS = {
    "converged": (lambda: square(0.1, 1000), "Nothing looks wrong: fun went from 25 to"),
    "one step": (lambda: square(0.5), "Nothing looks wrong"),
    "converging zigzag": (lambda: square(0.9, 1000), "Nothing looks wrong"),
    "still falling": (lambda: square(0.1, 20), "Nothing looks wrong"),
    "flat start": (lambda: square(0.1, fun=lambda x: (x - 5) ** 2), "The run had nothing to do"),
    "two-cycle": (lambda: square(1.0), "The run jumps between two points for ever"),
    "growing": (lambda: square(1.05), "The run goes uphill: fun went from 25 to"),
    "overflowing": (lambda: square(1.5, 1000), "The run goes uphill"),
    "valley at 1e-2": (lambda: valley(1e-2, 100), "The run goes uphill"),
    "near the largest float": (
        lambda: square(1.5, 1000, diverge_at=1e153),
        "The run goes uphill",
    ),
    "sign of the gradient": (lambda: square(0.1, grad=lambda x: -2 * x), "The run goes uphill"),
    "zigzag": (lambda: square(0.99), "The run zigzags"),
    "tiny rate": (lambda: square(1e-5), "The run crawls"),
    "ill-conditioned": (
        lambda: descent.gradient_descent(
            problems.bowl(curvatures=(1.0, 1e5)).fun, [5.0, 1.0], learning_rate=4e-6
        ),
        "The run crawls",
    ),
    "no minimum": (
        lambda: square(0.1, 1000, fun=lambda x: -(x**2)),
        "The run left the map downhill",
    ),
    "newton": (
        lambda: descent.newton(problems.valley().fun, [-1.0, 1.0], tol=1e-6),
        "Nothing looks wrong",
    ),
    "singular": (
        lambda: descent.newton(lambda x: x[0] ** 2, [1.0, 1.0]),
        "Stopped after 0 steps: the Hessian has eigenvalues from 0 to 2",
    ),
    "no move at all": (lambda: square(1e-30), "The run crawls"),
    "lbfgs": (lambda: descent.lbfgs(problems.valley().fun, [-1.0, 1.0]), "Nothing looks wrong"),
    "on its way in swings": (
        lambda: descent.minimize(lambda x: x**2, 5.0, optimizers.adam(0.5), max_steps=20),
        "Nothing looks wrong: fun went from 25 to 1.838 in 20 steps, and is on its way",
    ),
    "leaving a ridge": (
        lambda: descent.gradient_descent(
            problems.two_wells().fun, 1.9774, learning_rate=0.01, max_steps=60
        ),
        "Nothing looks wrong: fun went from 13.09 to 13.09 in 60 steps, and is on its way",
    ),
    "next point not finite at once": (
        lambda: descent.gradient_descent(lambda x: x - np.log(x), 3.0, learning_rate=5.0),
        "Diverged after 0 steps: fun or its gradient is not finite at the next point, so",
    ),
    "next point not finite later": (
        lambda: descent.gradient_descent(lambda x: x * np.sqrt(x), 3.0, learning_rate=1.0),
        "Diverged after 1 step: fun or its gradient is not finite at the next point, so",
    ),
    "at its floor": (lambda: square(0.1, 1000, fun=lambda x: (x - 1) ** 2, tol=0), IS_LEVEL),
    "at its floor from the start": (
        lambda: descent.gradient_descent(
            lambda x: (x - 1) ** 2, 1 + 1e-8, learning_rate=0.1, tol=0, max_steps=50
        ),
        IS_LEVEL,
    ),
    "at the floor of its rounding": (
        lambda: descent.gradient_descent(
            lambda x: 1e12 * (np.exp(x) - 2 * x),
            1.0,
            learning_rate=1e-13,
            grad=lambda x: 1e12 * (np.exp(x) - 2),
        ),
        IS_LEVEL,
    ),
    "momentum": (
        lambda: descent.minimize(
            problems.bowl().fun, [5.0, 1.0], optimizers.sgd(0.02, momentum=0.9)
        ),
        "Nothing looks wrong",
    ),
}


@cache
def explained(name):
    return explain((RUNS | WARD)[name][0]())


@pytest.mark.parametrize("name", RUNS)
def test_a_descent_in_words(name):
    assert explained(name).startswith(RUNS[name][1])
    assert ("is level: the gradient is" in explained(name)) == (RUNS[name][1] is IS_LEVEL)


@pytest.mark.parametrize("c", [-1000.0, 100.0])
@pytest.mark.parametrize("name", RUNS)
def test_a_constant_in_fun_changes_no_verdict(name, c):
    run = RUNS[name][0]()
    words = explain(replace(run, values=run.values + c))
    assert words.split(":")[0] == explained(name).split(":")[0]


def walk(turns, lengths=1.0, values=None, norms=None, status="max_steps"):
    """A made-up descent in the plane whose steps turn by these angles, in degrees."""
    angles = np.radians(np.cumsum([0.0, *turns]))
    steps = np.transpose(lengths * np.array([np.cos(angles), np.sin(angles)]))
    n = len(steps)
    return replace(
        square(0.1, 1),
        status=status,
        message="",
        path=np.vstack([np.zeros((1, 2)), np.cumsum(steps, axis=0)]),
        values=np.linspace(1, 0, n + 1) if values is None else np.array(values),
        grad_norms=np.linspace(2, 1, n + 1) if norms is None else np.array(norms),
        nit=n,
    )


def shrinking(share, n):
    """The gradients of n steps, the last the given share of the one in the middle."""
    return [1.0] * (n - (n + 1) // 2) + list(np.linspace(1, share, (n + 1) // 2 + 1))


WRONG_SIGN = (
    r"The run goes uphill: fun went from .* steps, and most steps keep their direction and rise"
)
WALKS = {  # a run just short of a verdict, one just beyond, and the verdict
    "opposite steps": (
        walk([180.0] * 9, lengths=[1.0] * 9 + [1.0011]),
        walk([180.0] * 9, lengths=[1.0] * 9 + [1.0009]),
        "The run jumps between two points for ever",
    ),
    "turning back": (walk([119.0] * 30), walk([121.0] * 30), "The run zigzags"),
    "turning back often": (
        walk([170.0] * 30 + [0.0, 170.0] * 10),
        walk([0.0] * 30 + [0.0, 170.0] * 9 + [170.0, 170.0]),
        "The run zigzags",
    ),
    "above its start": (
        walk([90.0] * 9, values=1 - 1e-9 * np.arange(11)),
        walk([90.0] * 9, values=1 + 1e-9 * (np.arange(11) % 6)),
        "Cannot tell: fun went from 1 to 1 in 10 steps, above its start",
    ),
    "rising in ten steps": (
        walk([90.0] * 8, values=np.arange(10)),
        walk([90.0] * 9, values=np.arange(11)),
        "The run goes uphill",
    ),
    "rising in all steps": (
        walk([90.0] * 19, values=[*range(20), 18.9]),
        walk([90.0] * 19, values=[*range(20), 19.1]),
        "The run goes uphill",
    ),
    "along": (
        walk([61.0] * 9, values=np.arange(11)),
        walk([59.0] * 9, values=np.arange(11)),
        WRONG_SIGN,
    ),
    "along in most steps": (
        walk([0.0, 90.0] * 5, values=2 ** np.arange(12)),
        walk([0.0, 90.0] * 5 + [0.0, 0.0], values=2 ** np.arange(14)),
        WRONG_SIGN,
    ),
    "rising where it goes along": (
        walk([0.0] * 10, values=[0, *range(5, -1, -1), 0, 9, 90, 900, 9000]),
        walk([0.0] * 10, values=[0, *range(5, 1, -1), 3, 9, 20, 90, 900, 9000, 90000]),
        WRONG_SIGN,
    ),
    "crawling": (
        walk([0.0] * 19, norms=shrinking(0.89, 20)),
        walk([0.0] * 19, norms=shrinking(0.91, 20)),
        "The run crawls",
    ),
    "crawling and climbing": (
        walk([0.0] * 19, norms=shrinking(1.12, 20)),
        walk([0.0] * 19, norms=shrinking(1.1, 20)),
        "The run crawls",
    ),
    "crawling for ten steps": (
        walk([0.0] * 8, norms=[1.0] * 10),
        walk([0.0] * 9, norms=[1.0] * 11),
        "The run crawls",
    ),
    "a short gradient": (
        walk([0.0] * 19, norms=[2e-6] * 20 + [1.01e-6]),
        walk([0.0] * 19, norms=[2e-6] * 20 + [0.99e-6]),
        "Nothing looks wrong: fun went from 1 to 0 in 20 steps, and is level",
    ),
    "a step lost in rounding": (  # the last gradient is 1 long
        walk([0.0] * 19, lengths=4.1 * EPS),
        walk([0.0] * 19, lengths=3.9 * EPS),
        "Nothing looks wrong: fun went from 1 to 0 in 20 steps, and is level",
    ),
    "lost since it has shrunk": (
        walk([0.0] * 19, lengths=1e-30, norms=[1.0] * 5 + [0.91] * 16),
        walk([0.0] * 19, lengths=1e-30, norms=[1.0] * 5 + [0.89] * 16),
        "Nothing looks wrong: fun went from 1 to 0 in 20 steps, and is level",
    ),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_verdict_on_a_descent_begins_at_its_threshold(name):
    short, beyond, words = WALKS[name]
    assert not re.match(words, explain(short))
    assert re.match(words, explain(beyond))


@pytest.mark.parametrize("steps", [1, 2, 5, 8, 14, 20])
def test_a_right_gradient_is_not_said_to_have_a_wrong_sign(steps):
    barrier = descent.gradient_descent(
        lambda x: x - np.log(x), 0.1, learning_rate=1.0, max_steps=steps
    )
    quadratic = descent.minimize(
        lambda x: 0.5 * (x[0] ** 2 + 100 * x[1] ** 2),
        [0.001, 0.001],
        optimizers.adam(0.1),
        max_steps=steps,
    )
    for run in (barrier, quadratic):
        assert explain(run).startswith(("Nothing looks wrong", "Cannot tell"))


def test_a_gradient_lost_in_rounding_is_not_called_level():
    run = descent.gradient_descent(lambda x: 1e12 + (x - 3) ** 2, 0.0, learning_rate=0.1)
    assert explain(run).startswith("Stalled after 0 steps: differences of fun cannot resolve")


def test_of_many_runs_the_first_sick_one_is_explained():
    def fun(x):
        return (x**2).sum(axis=0)

    many = descent.minimize_many(fun, [[5.0]], optimizers.sgd, learning_rates=[0.1, 1.0, 1.5])
    assert explain(many).startswith("2 of 3 runs did not converge. Run 1: The run jumps")
    good = descent.minimize_many(fun, [[5.0]], optimizers.sgd, learning_rates=[0.1, 0.2])
    assert explain(good) == "Nothing looks wrong: all 2 runs converged."


def uphill(rate):
    """Gradient descent with the sign forgotten."""
    rule = optimizers.sgd(rate)
    return optimizers.Optimizer("uphill", rule.init, lambda g, s, x: rule.update(-g, s, x))


def loss_with_dropout():
    rng = generator()

    def loss(params, X, y):
        *hidden, last = params
        h = np.tanh(nn.forward(hidden, X))
        h = h * dropout_mask(h.shape[1], 0.5, rng=rng)
        return nn.mse(nn.forward([last], h), y)

    return loss


WARD = {
    "rate too high": (lambda: train(rate=3.0), ("Training goes uphill", "Cannot tell", "Diverged")),
    "far too high": (lambda: train(loss=loss_with("relu"), rate=50.0), ("Diverged",)),
    "wrong sign": (lambda: train(optimizer=uphill(0.01)), ("Training goes uphill",)),
    "rate too low": (lambda: train(rate=1e-6), ("Cannot tell",)),
    "rate too low for batches": (
        lambda: train(rate=1e-7, batch_size=20, rng=generator()),
        ("Cannot tell",),
    ),
    "rate too high for batches": (
        lambda: train(rate=1.0, batch_size=50, rng=generator(1), epochs=30),
        ("Training goes uphill",),
    ),
    "wrong sign in batches": (
        lambda: train(optimizer=uphill(0.01), batch_size=20, rng=generator(), epochs=10),
        ("Training goes uphill",),
    ),
    "dropout left on": (
        lambda: train(loss=loss_with_dropout(), rate=0.05),
        ("Cannot tell",),
    ),
}


def test_uphill_by_a_wrong_sign_and_by_a_long_step_are_told_apart():
    told = {name: "wrong sign" in explained(name) for name in RUNS if "uphill" in RUNS[name][1]}
    assert told == {
        "growing": False,
        "overflowing": False,
        "valley at 1e-2": False,
        "near the largest float": False,
        "sign of the gradient": True,
    }


@pytest.mark.parametrize("name", WARD)
def test_a_sick_training_run_in_words(name):
    assert explained(name).startswith(WARD[name][1])


@every_network
@pytest.mark.parametrize("batch_size", [None, 20])
@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_training_run_in_words(activation, scheme, batch_size, seed):
    result = train(
        network(scheme, seed),
        loss_with(activation),
        rate=0.05,
        epochs=100,
        batch_size=batch_size,
        rng=generator(seed),
    )
    words = explain(result)
    on_a_plateau = activation == "sigmoid" and batch_size  # where the noise hides the fall
    assert words.startswith(("Nothing looks wrong", "Cannot tell")[: 1 + bool(on_a_plateau)])
    for c in (-5.0, 100.0):
        shifted = explain(replace(result, losses=result.losses + c))
        assert without_numbers(shifted) == without_numbers(words)


def without_numbers(words):
    return re.sub(r"-?\d[\d.e+-]*", "#", words)


@pytest.mark.parametrize("c", [-5.0, 100.0])
@pytest.mark.parametrize("name", WARD)
def test_a_constant_in_the_loss_changes_no_verdict_of_a_sick_run(name, c):
    result = WARD[name][0]()
    words = explain(replace(result, losses=result.losses + c))
    assert words.split(":")[0] == explained(name).split(":")[0]


def test_the_loss_of_a_likelihood_may_be_negative():
    def loss(params, X, y):
        return LOSS(params, X, y) / 0.02 + 0.5 * math.log(2 * math.pi * 0.01)

    result = train(loss=loss, rate=0.002, epochs=600)
    assert result.losses[-1] < 0
    assert explain(result).endswith(
        "is still falling. Train for longer. If a constant prediction "
        "scores the same, look in layer_report."
    )
    test = lr_range_test(result.params, loss, DATA, low=1e-5, high=10, steps=60, rng=None)
    assert 1e-4 < test.rate < 1e-1


HOUSES = np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [2.5], [3.5]])


@cache
def trained(batch_size):
    return train(rate=0.1, epochs=400, batch_size=batch_size, rng=generator(1)).params


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("epochs", [1, 3, 5, 20, 60])
@pytest.mark.parametrize("batch_size", [None, 10, 25])
def test_training_on_from_where_a_run_ended_is_healthy(batch_size, epochs, seed):
    if batch_size or not seed:
        result = train(
            trained(batch_size), rate=0.1, epochs=epochs, batch_size=batch_size, rng=generator(seed)
        )
        sick = "Cannot tell" if batch_size else "Nothing looks wrong"
        assert explain(result).startswith(("Nothing looks wrong", sick))


LEVEL = {
    "a fit that has converged": lambda: train(
        train([nn.Layer([[0.0]], [0.0])], data=HOUSES, epochs=2000).params, data=HOUSES, epochs=100
    ),
    "a loss of 0": lambda: train([nn.Layer([[0.0]], [0.0])], data=(X, 0 * X), epochs=5),
    "dead relu": lambda: train(
        scaled(network("he"), 1.0, shift=[-9.0]), loss_with("relu"), (X, X**2 - 9.3), rate=0.1
    ),
    "the rounding of an exact fit": lambda: curve([5e-33, 1e-32, 7.5e-33] * 30),
}


@pytest.mark.parametrize("name", LEVEL)
def test_a_run_at_its_floor_is_level_and_so_is_a_dead_one(name):
    words = explain(LEVEL[name]())
    assert words.startswith("Nothing looks wrong")
    assert "and is level. Compare" in words or "and has levelled off. Compare" in words
    assert "with what a constant prediction scores" in words
    assert "look in layer_report" in words


def curve(losses, batches=1):
    """A made-up training run."""
    n = len(losses) - 1
    made = {"losses": np.array(losses, dtype=float), "epochs": n, "steps": batches * n}
    return replace(train(epochs=1), **made)


def line(*heights):
    """The losses of ten epochs between each two heights."""
    return np.interp(np.arange(10 * len(heights) - 9), 10 * np.arange(len(heights)), heights)


def bowed(share, n=40):
    t = np.linspace(0, 1, n + 1)
    return 1 - t - 4 * share * t * (1 - t)


def jumping(size, turns, n=80):
    """A fall from 1 to 0 in the first half; in the second, rises and falls of a size in turn."""
    changes = np.zeros(n // 2)
    changes[: turns + 1] = size * (-1.0) ** np.arange(turns + 1)
    return [*np.linspace(1, 0, n // 2 + 1), *np.cumsum(changes)]


def ending(*losses, early=(), n=None):
    """Losses that leave 5 by at most 1, early on, and end with the given ones."""
    n = len(early) + len(losses) if n is None else n
    start = [5.0, 4.0] * n
    return [*start[: n + 1 - len(losses)], *losses]


UPHILL, STRAIGHT = "Training goes uphill", "along a straight line"
JUMPS, UP_AGAIN, ABOVE = "with jumps of up to", "but was at", "above its start"
CURVES = {  # a run just short of a verdict, one just beyond, and the verdict
    "tenfold in ten epochs": (
        curve(ending(14.9, n=10), batches=2),
        curve(ending(15.1, n=10), batches=2),
        UPHILL,
    ),
    "a hundredfold in less": (
        curve(ending(104.0, n=9), batches=2),
        curve(ending(106.0, n=9), batches=2),
        UPHILL,
    ),
    "a hundredfold in four": (curve(ending(106.0, n=3)), curve(ending(106.0, n=4)), UPHILL),
    "a thousand times the first": (
        curve([5, 5004.0], batches=2),
        curve([5, 5006.0], batches=2),
        UPHILL,
    ),
    "a thousand": (
        curve([1e-9, 1e3], batches=2),
        curve([1e-9, 1.001e3], batches=2),
        UPHILL,
    ),
    "for the last tenth": (
        curve(ending(20.0, n=20), batches=2),
        curve(ending(20.0, 20.0, n=20), batches=2),
        UPHILL,
    ),
    "faster than the square": (
        curve([*range(10), 19.9], batches=2),
        curve([*range(10), 20.1], batches=2),
        UPHILL,
    ),
    "faster than the square in ten epochs": (
        curve([*range(9), 45.0], batches=2),
        curve([*range(10), 45.0], batches=2),
        UPHILL,
    ),
    "faster than the square in four without batches": (
        curve([*range(3), 45.0]),
        curve([*range(4), 45.0]),
        UPHILL,
    ),
    "faster than the square in all steps": (
        curve([0, 1, 1, *range(2, 9), 30.0], batches=2),
        curve([0, 1, 1.1, *range(2, 9), 30.0], batches=2),
        UPHILL,
    ),
    "above the start": (curve([1, 0.5, 1.49, 0.6]), curve([1, 0.5, 1.51, 0.6]), ABOVE),
    "above by rounding": (
        curve([1.0] * 5 + [1 + 4 * EPS]),
        curve([1.0] * 5 + [1 + 6 * EPS]),
        ABOVE,
    ),
    "up again": (curve([*line(1, 0), 0.24]), curve([*line(1, 0), 0.26]), UP_AGAIN),
    "one jump": (curve(jumping(0.24, 1)), curve(jumping(0.26, 1)), JUMPS),
    "small jumps": (curve(jumping(0.0009, 30)), curve(jumping(0.0011, 30)), JUMPS),
    "jumps in half of the epochs": (curve(jumping(0.1, 20)), curve(jumping(0.1, 21)), JUMPS),
    "jumps and swings": (
        curve([*line(1, 0), *(0.1 * np.sin(np.arange(60)))]),
        curve([*line(1, 0), *(0.1 * np.sin(2 * np.arange(60)))]),
        JUMPS,
    ),
    "jumps in ten epochs": (
        curve([2, 1, 0.5, 0.2, 0, 0.6, 0, 0.6, 0, 0]),
        curve([2, 1, 0.5, 0.2, 0, 0.6, 0, 0.6, 0, 0, 0]),
        JUMPS,
    ),
    "jumps without batches": (
        curve(jumping(0.5, 31), batches=2),
        curve(jumping(0.5, 31)),
        JUMPS,
    ),
    "straight": (curve(bowed(1.1e-3)), curve(bowed(0.9e-3)), STRAIGHT),
    "straight for ten epochs": (curve(bowed(0, n=9)), curve(bowed(0, n=10)), STRAIGHT),
}


@pytest.mark.parametrize("name", CURVES)
def test_a_verdict_on_training_begins_at_its_threshold(name):
    short, beyond, words = CURVES[name]
    assert words not in explain(short)
    assert words in explain(beyond)
    assert explain(beyond).startswith(UPHILL if words == UPHILL else "Cannot tell: the loss went")


def tail(*losses):
    """A fall from 30 in as many epochs as the given losses have steps, then these."""
    fall = np.linspace(30, losses[0], len(losses) - 1, endpoint=False)
    return curve([*fall, *losses], batches=2)


FALLING, RISING, LEVELLED, BETWEEN = "still falling", "is rising", "levelled off", "stays between"
COURSES = {
    "falls": (tail(6, 5, 4, 3, 2, 1), FALLING),
    "falls in 14 of 15 pairs": (tail(6, 5, 3, 4, 2, 1), FALLING),
    "falls in 13 of 15 pairs": (tail(5, 6, 3, 4, 2, 1), BETWEEN),
    "ends below 18 of 20": (tail(*range(20, 0, -1), 2.5), FALLING),
    "ends below 17 of 20": (tail(*range(20, 0, -1), 3.5), BETWEEN),
    "rises": (tail(1, 1.1, 1.2, 1.3, 1.4, 1.5), RISING),
    "swings": (tail(1.857, 0.913, 0.377, 0.274, 0.558, 1.125), BETWEEN),
    "last quarter of 0.011": (tail(*line(1.0, 0.011)[:10], *line(0.011, 0.0)), FALLING),
    "last quarter of 0.009": (tail(*line(1.0, 0.009)[:10], *line(0.009, 0.0)), LEVELLED),
    "level in eight epochs": (tail(3, 2, 1, 1, 1), LEVELLED),
    "level in seven": (curve([9, 7, 6, 5, 3, 1, 1, 1]), BETWEEN),
    "four epochs": (curve([4, 3, 2, 1, 0.5]), FALLING),
    "three epochs": (curve([4, 3, 2, 1]), "so short a run tells no more"),
    "level at once": (curve([1.0, 1.0]), "is level"),
}


@pytest.mark.parametrize("name", COURSES)
def test_the_end_of_a_healthy_curve_is_described_by_what_it_does(name):
    run, words = COURSES[name]
    assert explain(run).startswith("Nothing looks wrong: the loss went from")
    assert words in explain(run)


def test_long_curves_and_those_near_the_largest_float_are_described():
    assert FALLING in explain(curve(1 / np.arange(1.0, 200_000)))
    assert explain(curve([1.0, 1e300, 1.7e308] * 9, batches=2)).startswith((UPHILL, "Cannot tell"))
    assert explain(curve([8e307, -8e307] * 9)).startswith("Cannot tell")


def first_epochs(result, *lengths):
    """The run as it was after so many epochs."""
    each = result.steps // result.epochs
    for n in lengths:
        if n <= result.epochs:
            yield replace(result, losses=result.losses[: n + 1], epochs=n, steps=n * each)


def linear(seed, sign=1.0, m=80):
    """Linear regression on three columns, with noise."""
    rng = generator(seed)
    rows = rng.normal(size=(m, 3))
    y = rows @ [[1.0], [2.0], [-1.0]] + 0.5 * rng.normal(size=(m, 1))
    return nn.init_params([3, 1], rng=rng), (rows, y)


LENGTHS = 1, 2, 3, 5, 7, 10, 11, 12, 13, 14, 16, 20, 24, 30, 40
STABLE = {
    "sgd": optimizers.sgd(0.05),
    "momentum 0.9": optimizers.sgd(0.05, momentum=0.9),
    "momentum 0.95": optimizers.sgd(0.02, momentum=0.95),
    "momentum 0.95, fast": optimizers.sgd(0.05, momentum=0.95),
    "momentum 0.97": optimizers.sgd(0.02, momentum=0.97),
    "adam": optimizers.adam(0.05),
}


def is_true(words, losses):
    """Tell whether what is said of the end of a curve can be seen in it."""
    half = losses[len(losses) // 2 :]
    if FALLING in words:
        return losses[-1] < np.median(half) < half[0]
    if RISING in words:
        return losses[-1] > np.median(half) > half[0]
    return LEVELLED not in words or np.ptp(losses[-len(losses) // 5 :]) < np.ptp(half) / 50


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("name", STABLE)
def test_no_stable_run_is_called_sick_however_long_it_is(name, batch_size):
    told = {"Nothing looks wrong": 0, "Cannot tell": 0}
    for seed in range(4):
        params, data = linear(seed)
        options = {"batch_size": batch_size, "rng": generator(seed)}
        fresh = train(params, data=data, optimizer=STABLE[name], epochs=40, **options)
        warm = train(fresh.params, data=data, optimizer=STABLE[name], epochs=40, **options)
        for run in (fresh, warm):
            for cut in first_epochs(run, *LENGTHS):
                for c in (0.0, -100.0):
                    words = explain(replace(cut, losses=cut.losses + c))
                    told[words.split(":")[0]] += run is fresh
                    assert is_true(words, cut.losses)
    assert told["Nothing looks wrong"] > 1.5 * told["Cannot tell"]


EXPLODING = {
    "rate of 0.9": (1.0, optimizers.sgd(0.9)),
    "rate of 1.2": (1.0, optimizers.sgd(1.2)),
    "inputs a thousand times": (1e3, optimizers.sgd(0.05)),
    "sign": (1.0, uphill(0.05)),
}


@pytest.mark.parametrize("batch_size", [None, 8])
@pytest.mark.parametrize("name", EXPLODING)
def test_an_explosion_is_called_one_whatever_the_batches(name, batch_size):
    stretch, optimizer = EXPLODING[name]
    found = set()
    for seed in range(4):
        params, (rows, y) = linear(seed)
        run = train(
            params,
            data=(stretch * rows, y),
            optimizer=optimizer,
            epochs=30,
            batch_size=batch_size,
            rng=generator(seed),
        )
        for cut in first_epochs(run, *LENGTHS):
            words, (first, *_, last) = explain(cut), cut.losses
            if last > 2 * first:
                assert words.startswith((UPHILL, "Cannot tell", "Diverged"))
            if last > 1e3 * max(1, first):
                assert words.startswith((UPHILL, "Diverged"))
                found.add(cut.epochs)
    assert found or batch_size is None


@pytest.mark.parametrize("epochs", [1, 5, 20, 60])
def test_a_rate_that_is_too_high_for_the_classes_is_not_called_healthy(epochs):
    run = train(
        network("he", sizes=(4, 16, 3)),
        lambda params, X, y: nn.cross_entropy(nn.forward(params, X, activation="relu"), y),
        (FLOWERS, CLASSES),
        rate=20.0,
        epochs=60,
        batch_size=10,
        rng=generator(),
    )
    (cut,) = first_epochs(run, epochs)
    assert not explain(cut).startswith("Nothing looks wrong")


@pytest.mark.parametrize("epochs", [5, 20, 300])
@pytest.mark.parametrize("seed", range(3))
def test_swings_in_full_batches_are_healthy(seed, epochs):
    for optimizer in (optimizers.sgd(0.03, momentum=0.9), optimizers.adam(0.01)):
        words = explain(train(network(seed=seed), optimizer=optimizer, epochs=epochs))
        assert words.startswith(("Nothing looks wrong", "Cannot tell")[: 1 + (epochs == 5)])


def test_one_epoch_can_be_explained():
    assert explain(train(epochs=1)).startswith("Nothing looks wrong")


def test_training_that_loses_what_it_had_has_come_up_again():
    result = train()
    losses = np.concatenate(
        [result.losses, np.linspace(result.losses[-1], 0.8 * result.losses[0], 200)]
    )
    words = explain(nn.TrainResult(**vars(result) | {"losses": losses}))
    assert words.startswith("Cannot tell: the loss went from 0.2434 to 0.1947 in 400 epochs, but")
    assert "after epoch 200" in words


def test_level_and_still_falling_are_told_apart():
    result = train()
    assert "and is still falling. Train for longer." in explain(result)
    losses = np.concatenate([result.losses, np.full(100, result.losses[-1])])
    assert "and has levelled off" in explain(nn.TrainResult(**vars(result) | {"losses": losses}))


def test_a_diverged_run_keeps_the_words_of_training():
    result = train(loss=loss_with("relu"), rate=50.0)
    assert explain(result).startswith(result.message)


def test_only_results_can_be_explained():
    with pytest.raises(TypeError, match="must be a DescentResult or a TrainResult, got list; pass"):
        explain([1.0, 2.0])


def test_an_explanation_is_one_paragraph_with_a_way_out():
    for name in (*RUNS, *WARD):
        words = explained(name)
        assert "\n" not in words
        assert words.endswith(".")
        assert words.count(". ") >= 1
