"""Facts about calclib.nn: networks, losses, gradients by four routes, training, bad input."""

import io
import math
import platform
import subprocess
import sys

import numpy as np
import pytest

from calclib import autodiff, nn, numerical
from calclib.nn import Layer, cross_entropy, flatten, forward, init_params, mse, train
from calclib.optimizers import Optimizer, sgd

X100 = np.linspace(-1, 1, 100)[:, np.newaxis]
Y100 = X100**2


def generator(seed=0):
    return np.random.default_rng(seed)


def network(sizes, seed=0, scheme="xavier"):
    """A network whose biases are random too, so that no gradient is zero by symmetry."""
    rng = generator(seed)
    layers = init_params(sizes, rng=rng, scheme=scheme)
    return [Layer(W, rng.normal(0.0, 0.3, b.shape)) for W, b in layers]


def square_loss(activation="tanh"):
    return lambda params, X, y: mse(forward(params, X, activation=activation), y)


def class_loss(activation="tanh"):
    return lambda params, X, y: cross_entropy(forward(params, X, activation=activation), y)


def gradient(loss, params, X, y):
    """The gradient that training uses, block by block."""
    theta, unflatten = flatten(params)
    return unflatten(autodiff.grad(lambda theta: loss(unflatten(theta), X, y))(theta))


def assert_same_blocks(got, expected, rtol):
    for a, b in zip(got, expected, strict=True):
        for got_block, block in zip(a, b, strict=True):
            scale = np.abs(block).max()
            np.testing.assert_allclose(got_block, block, rtol=0, atol=rtol * scale)


# A network and its backpropagation written out in NumPy, with no help from calclib. It takes
# complex numbers, so the complex step can go through it.

PLAIN = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.where(z.real > 0, z, 0),
    "gelu": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "linear": lambda z: z,
}
SLOPES = {
    "tanh": lambda z: 1 / np.cosh(z) ** 2,
    "sigmoid": lambda z: PLAIN["sigmoid"](z) * PLAIN["sigmoid"](-z),
    "relu": lambda z: np.where(z > 0, 1.0, 0.0),
    "linear": np.ones_like,
}
every_activation = pytest.mark.parametrize("activation", PLAIN)


def plain_forward(params, X, activation):
    h = X
    for W, b in params[:-1]:
        h = PLAIN[activation](h @ W + b)
    return h @ params[-1][0] + params[-1][1]


def plain_mse(pred, y):
    return ((pred - y) ** 2).sum() / pred.size


def plain_cross_entropy(z, labels):
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -sum(log_p[i, label] for i, label in enumerate(labels)) / len(labels)


def backpropagation(params, X, delta_of, activation):
    """Gradients by hand: delta is dL/dz, carried back through W^T and the slope."""
    inputs, sums = [X], []
    for W, b in params:
        sums.append(inputs[-1] @ W + b)
        inputs.append(PLAIN[activation](sums[-1]))
    delta, gradients = delta_of(sums[-1]), []
    for k in reversed(range(len(params))):
        gradients.insert(0, (inputs[k].T @ delta, delta.sum(axis=0)))
        if k:
            delta = (delta @ params[k].W.T) * SLOPES[activation](sums[k - 1])
    return gradients


def complex_step(fun, params):
    """The gradient entry by entry, from the imaginary part; no difference, so no rounding."""
    theta, unflatten = flatten(params)
    shapes = [part.shape for layer in params for part in layer]

    def split(theta):
        parts = np.split(theta, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
        parts = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return list(zip(parts[::2], parts[1::2], strict=True))

    steps = 1e-30j * np.eye(theta.size)
    return unflatten(np.array([fun(split(theta + step)).imag / 1e-30 for step in steps]))


# First weights


@pytest.mark.parametrize(
    ("scheme", "variance"), [("he", 2 / 200), ("xavier", 2 / (200 + 300))], ids=["he", "xavier"]
)
def test_first_weights_have_the_variance_of_their_scheme(scheme, variance):
    (layer,) = init_params([200, 300], rng=generator(), scheme=scheme)
    n = layer.W.size
    # the variance of n normal numbers spreads by sqrt(2/n), their mean by sqrt(variance/n)
    assert layer.W.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / n))
    assert abs(layer.W.mean()) < 4 * math.sqrt(variance / n)
    assert np.mean(np.abs(layer.W) < math.sqrt(variance)) == pytest.approx(0.6827, abs=0.01)
    assert not layer.b.any()


def test_he_keeps_the_mean_square_through_relu_layers_and_xavier_halves_it():
    X = generator(1).normal(size=(200, 400))
    sizes = [400] * 7
    q = {}
    for scheme in ("he", "xavier"):
        h = forward(init_params(sizes, rng=generator(), scheme=scheme), X, activation="relu")
        q[scheme] = np.mean(h**2)
    assert q["he"] == pytest.approx(2.0, rel=0.3)  # no relu behind the last layer
    assert q["he"] / q["xavier"] == pytest.approx(2.0**6, rel=1e-9)  # the same random numbers


def test_the_same_seed_gives_the_same_weights():
    a, b = (flatten(init_params([2, 5, 3], rng=generator(7)))[0] for _ in range(2))
    assert np.array_equal(a, b)


def test_shapes_follow_the_sizes():
    shapes = [(W.shape, b.shape) for W, b in init_params([3, 5, 2], rng=generator())]
    assert shapes == [((3, 5), (5,)), ((5, 2), (2,))]


# Forward


@every_activation
def test_forward_is_the_chain_of_affine_maps_and_activations(activation):
    params, X = network([3, 5, 4, 2]), generator(1).normal(size=(7, 3))
    expected = plain_forward(params, X, activation)
    np.testing.assert_allclose(forward(params, X, activation=activation), expected, rtol=1e-13)


def test_the_last_layer_has_no_activation():
    params = [Layer(np.array([[2.0]]), np.array([-7.0]))]
    for activation in PLAIN:
        assert forward(params, [[1.0]], activation=activation).tolist() == [[-5.0]]


def test_linear_layers_are_one_affine_map():
    first, second = network([3, 5, 2])
    X = generator(1).normal(size=(4, 3))
    one = Layer(first.W @ second.W, first.b @ second.W + second.b)
    together = forward([first, second], X, activation="linear")
    np.testing.assert_allclose(together, forward([one], X), rtol=1e-12)


def test_rows_are_independent():
    params, X = network([3, 5, 2]), generator(1).normal(size=(4, 3))
    rows = np.concatenate([forward(params, X[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(forward(params, X), rows, rtol=1e-12)


def test_gelu_is_within_5e_4_of_its_exact_form_and_no_closer_than_4e_4():
    x = np.linspace(-6, 6, 2001)
    exact = np.array([t * (1 + math.erf(t / math.sqrt(2))) / 2 for t in x])
    assert 4e-4 < np.abs(nn.gelu(x) - exact).max() < 5e-4


def test_gelu_at_one_is_the_formula_worked_by_hand():
    assert nn.gelu(1.0) == pytest.approx((1 + math.tanh(math.sqrt(2 / math.pi) * 1.044715)) / 2)


@pytest.mark.parametrize("x", [1e155, 1e308, 30.0, 10.0])
def test_gelu_has_its_two_slopes_where_the_cube_is_beyond_all_floats(x):
    for point, value, slope in ((x, x, 1.0), (-x, 0.0, 0.0)):
        assert (nn.gelu(point), nn.gelu(np.array([point])).item()) == (value, value)
        assert autodiff.grad(nn.gelu)(point) == slope
        assert autodiff.jvp(nn.gelu, point, 1.0) == (value, slope)
        assert autodiff.grad(autodiff.grad(nn.gelu))(point) == 0.0
        assert autodiff.hvp(nn.gelu)(point, 1.0) == 0.0


def test_gelu_at_zero_has_the_slopes_of_its_formula():
    assert nn.gelu(0.0) == 0.0
    assert autodiff.grad(nn.gelu)(0.0) == 0.5
    second = autodiff.grad(autodiff.grad(nn.gelu))(0.0)
    assert second == pytest.approx(math.sqrt(2 / math.pi), rel=1e-15)


def test_gelu_is_the_formula_to_the_last_bit_where_the_cube_is_a_float():
    x = np.append(np.linspace(-30, 30, 6001), generator().normal(0.0, 3.0, 1000))
    cube = x * x * x
    expected = 0.5 * x * (1.0 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * cube)))
    assert np.array_equal(nn.gelu(x), expected)


@pytest.mark.parametrize(
    "x",
    [
        [6, -6],
        (6.0, -6.0),
        [[True, False], [False, True]],
        3,
        True,
        np.int8(6),
        np.array([6, -6, 100], dtype=np.int8),
        np.array([255, 6], dtype=np.uint8),
        np.array([-1500, 1500], dtype=np.int32),
        np.array(-6, dtype=np.int8),
        np.array([True, False]),
        np.array(0.5),
    ],
    ids=repr,
)
def test_gelu_promotes_what_the_other_activations_promote(x):
    floats = np.array(x, dtype=float)
    got, expected = nn.gelu(x), PLAIN["gelu"](floats)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-16)
    assert type(got) is type(autodiff.tanh(x)) is (np.ndarray if floats.ndim else float)


def test_gelu_of_a_var_of_integers_has_the_slopes_of_floats():
    x = np.array([6, -6, 1], dtype=np.int8)
    slopes = autodiff.grad(lambda x: autodiff.sum(nn.gelu(x)))
    np.testing.assert_array_equal(slopes(x), slopes(x.astype(float)))
    assert isinstance(nn.gelu(autodiff.Var(x)), autodiff.Var)


@pytest.mark.parametrize(
    "X", [[[1, 0], [0, 1]], np.eye(2, dtype=np.uint8), np.eye(2, dtype=bool), np.eye(2)]
)
def test_lists_integers_and_booleans_are_promoted(X):
    params = [Layer([[1, 2, 300], [3, 4, 500]], [0, 0, 1])]
    out = forward(params, X)
    assert out.dtype == float
    assert out.tolist() == [[1, 2, 301], [3, 4, 501]]


# Losses


def test_mse_is_the_mean_over_all_entries():
    assert mse([[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [0.0, 0.0]]) == (0 + 4 + 9 + 16) / 4


def test_predicting_the_mean_of_the_parabola_scores_its_variance():
    assert mse(np.full_like(Y100, Y100.mean()), Y100) == pytest.approx(np.var(Y100), rel=1e-13)
    assert round(np.var(Y100), 4) == 0.0925


def test_cross_entropy_of_equal_logits_is_the_log_of_the_classes():
    assert cross_entropy(np.zeros((5, 10)), np.arange(5)) == pytest.approx(math.log(10))


def test_cross_entropy_is_minus_the_log_of_the_probability_of_the_label():
    z, labels = generator().normal(size=(6, 3)), [0, 1, 2, 2, 1, 0]
    expected = plain_cross_entropy(z, labels)
    assert cross_entropy(z, labels) == pytest.approx(expected, rel=1e-14)


def test_cross_entropy_of_huge_logits_does_not_overflow():
    assert cross_entropy([[1000.0, 0.0]], [0]) == 0.0
    assert cross_entropy([[1000.0, 0.0]], [1]) == 1000.0


def test_boolean_labels_are_classes_and_not_a_mask():
    z = generator().normal(size=(4, 2))
    assert cross_entropy(z, [True, False, False, True]) == cross_entropy(z, [1, 0, 0, 1])


def test_slope_of_cross_entropy_is_probability_minus_one_hot_over_m():
    z, labels = generator().normal(size=(4, 3)), np.array([2, 0, 1, 1])
    slope = autodiff.grad(lambda z: cross_entropy(z.reshape(4, 3), labels))(z.ravel())
    expected = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - np.eye(3)[labels]) / 4
    np.testing.assert_allclose(slope.reshape(4, 3), expected, rtol=1e-12)


# One vector


def test_flatten_writes_the_blocks_in_order():
    theta, _ = flatten([Layer([[1, 2], [3, 4]], [5, 6]), Layer([[7], [8]], [9])])
    assert theta.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_unflatten_undoes_flatten_for_arrays_and_for_vars():
    theta, unflatten = flatten(network([3, 4, 2]))
    assert np.array_equal(flatten(unflatten(theta))[0], theta)
    x = autodiff.Var(theta)
    layers = unflatten(x)
    assert all(isinstance(part, autodiff.Var) for layer in layers for part in layer)
    again, _ = flatten(layers)
    assert np.array_equal(again.value, theta)
    slopes = autodiff.backward(autodiff.sum(again * np.arange(theta.size)))[x]
    assert np.array_equal(slopes, np.arange(theta.size))


def test_layers_and_vector_share_no_memory():
    params = network([3, 4, 2])
    theta, unflatten = flatten(params)
    theta_before = theta.copy()
    params[0].W[:] = 0.0
    unflatten(theta)[0].W[:] = 0.0
    assert np.array_equal(theta, theta_before)


# Gradients by four routes, for each block

LABELS = np.array([0, 2, 1, 1, 0, 2, 2])


@pytest.fixture
def seven():
    """A small network and seven rows, with targets of the shape of its output."""
    rng = generator(3)
    return network([3, 5, 4, 3]), rng.normal(size=(7, 3)), rng.normal(size=(7, 3))


@pytest.mark.parametrize("activation", SLOPES)
def test_gradient_of_mse_is_that_of_backpropagation_by_hand(seven, activation):
    params, X, y = seven
    by_hand = backpropagation(params, X, lambda z: 2 * (z - y) / y.size, activation)
    assert_same_blocks(gradient(square_loss(activation), params, X, y), by_hand, 1e-13)


@pytest.mark.parametrize("activation", SLOPES)
def test_gradient_of_cross_entropy_is_that_of_backpropagation_by_hand(seven, activation):
    params, X, _ = seven

    def delta(z):
        return (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - np.eye(3)[LABELS]) / 7

    by_hand = backpropagation(params, X, delta, activation)
    assert_same_blocks(gradient(class_loss(activation), params, X, LABELS), by_hand, 1e-13)


@every_activation
def test_gradients_are_those_of_the_complex_step(seven, activation):
    params, X, y = seven
    by_step = complex_step(lambda p: plain_mse(plain_forward(p, X, activation), y), params)
    assert_same_blocks(gradient(square_loss(activation), params, X, y), by_step, 1e-13)
    by_step = complex_step(
        lambda p: plain_cross_entropy(plain_forward(p, X, activation), LABELS), params
    )
    assert_same_blocks(gradient(class_loss(activation), params, X, LABELS), by_step, 1e-13)


@every_activation
def test_gradients_are_those_of_central_differences(seven, activation):
    params, X, y = seven
    theta, unflatten = flatten(params)
    for loss, targets in ((square_loss(activation), y), (class_loss(activation), LABELS)):
        fun = numerical.grad(lambda theta, f=loss, t=targets: f(unflatten(theta), X, t))
        assert_same_blocks(gradient(loss, params, X, targets), unflatten(fun(theta)), 1e-8)


def test_forward_mode_and_the_cost_counter_go_through_a_network(seven):
    params, X, y = seven
    theta, unflatten = flatten(params)
    v = generator(4).normal(size=theta.size)

    def fun(theta):
        return square_loss()(unflatten(theta), X, y)

    value, slope = autodiff.jvp(fun, theta, v)
    assert value == pytest.approx(fun(theta), rel=1e-14)
    assert slope == pytest.approx(autodiff.grad(fun)(theta) @ v, rel=1e-12)
    assert autodiff.cost(fun)(theta).multiply_adds > 7 * (3 * 5 + 5 * 4 + 4 * 3)


def test_hessian_vector_product_goes_through_a_network(seven):
    params, X, y = seven
    theta, unflatten = flatten(params)
    v = generator(4).normal(size=theta.size)

    def fun(theta):
        return square_loss()(unflatten(theta), X, y)

    difference = numerical.derivative(lambda s: autodiff.grad(fun)(theta + s * v) @ v, 0.0)
    assert autodiff.hvp(fun)(theta, v) @ v == pytest.approx(difference, rel=1e-7)


# Training


def test_full_batch_training_is_gradient_descent_on_theta():
    params = network([1, 4, 1])
    result = train(params, square_loss(), (X100, Y100), sgd(0.1), epochs=5)
    theta, unflatten = flatten(params)
    losses = [square_loss()(params, X100, Y100)]
    for _ in range(5):
        layers = unflatten(theta)
        steps = backpropagation(layers, X100, lambda z: 2 * (z - Y100) / Y100.size, "tanh")
        theta = theta - 0.1 * flatten([Layer(*pair) for pair in steps])[0]
        losses.append(square_loss()(unflatten(theta), X100, Y100))
    np.testing.assert_allclose(flatten(result.params)[0], theta, rtol=1e-12)
    np.testing.assert_allclose(result.losses, losses, rtol=1e-12)
    assert (result.status, result.epochs, result.steps) == ("finished", 5, 5)
    assert result.success


@pytest.mark.parametrize("seed", range(4))
def test_tiny_networks_fit_the_parabola_and_beat_the_mean(seed):
    """The run of the book: 1-16-16-1, 1000 full-batch epochs at rate 0.1."""
    scores = {}
    for activation, scheme in (("tanh", "xavier"), ("relu", "he")):
        params = init_params([1, 16, 16, 1], rng=generator(seed), scheme=scheme)
        loss = square_loss(activation)
        result = train(params, loss, (X100, Y100), sgd(0.1), epochs=1000)
        scores[activation] = result.losses[-1]
    assert 8e-4 < scores["tanh"] < 3e-3
    assert 1e-4 < scores["relu"] < 7e-4
    assert scores["tanh"] < np.var(Y100) / 30


def test_classifier_learns_three_clouds():
    rng = generator(5)
    labels = rng.integers(0, 3, 150)
    X = np.array([[0.0, 2.0], [-2.0, -1.0], [2.0, -1.0]])[labels] + rng.normal(size=(150, 2)) / 2
    params = init_params([2, 8, 3], rng=rng, scheme="he")
    loss = class_loss("relu")
    result = train(params, loss, (X, labels), sgd(0.2), epochs=30, batch_size=32, rng=rng)
    guessed = forward(result.params, X, activation="relu").argmax(axis=1)
    assert np.mean(guessed == labels) > 0.97
    assert result.losses[-1] < 0.15 < math.log(3) * 0.5 < result.losses[0]


@pytest.mark.parametrize(("batch_size", "sizes"), [(4, [4, 4, 2]), (5, [5, 5]), (10, [10])])
def test_each_epoch_deals_every_row_once_in_a_new_order(batch_size, sizes):
    batches = []

    def loss(params, X, y):
        if isinstance(params[0].W, autodiff.Var):  # a gradient, not a look at the whole data
            batches.append((X.ravel(), y.ravel()))
        return mse(forward(params, X), y)

    X, n = np.arange(10.0)[:, np.newaxis], len(sizes)
    kind = {"epochs": 3, "batch_size": batch_size, "rng": generator(6)}
    result = train([Layer([[0.0]], [0.0])], loss, (X, 2 * X), sgd(1e-3), **kind)
    batches = batches[-3 * n :]  # without those of the checks at the start
    assert [len(rows) for rows, _ in batches] == 3 * sizes
    assert all(np.array_equal(2 * rows, targets) for rows, targets in batches)
    epochs = [np.concatenate([rows for rows, _ in batches[k : k + n]]) for k in (0, n, 2 * n)]
    assert all(np.array_equal(np.sort(epoch), X.ravel()) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert result.steps == 3 * n


def test_mini_batches_step_along_the_gradient_of_their_rows():
    rng, theta = generator(8), np.array([0.5, -0.5])
    X = rng.normal(size=(7, 1))
    y = 3 * X + 1
    start = [Layer(theta[:1].reshape(1, 1), theta[1:])]
    kind = {"epochs": 2, "batch_size": 3, "rng": generator(9)}
    result = train(start, square_loss(), (X, y), sgd(0.1), **kind)
    again = generator(9)
    for _ in range(2):
        order = again.permutation(7)
        for rows in (order[:3], order[3:6], order[6:]):
            e = X[rows, 0] * theta[0] + theta[1] - y[rows, 0]
            theta = theta - 0.1 * 2 * np.array([np.mean(e * X[rows, 0]), np.mean(e)])
    np.testing.assert_allclose(flatten(result.params)[0], theta, rtol=1e-12)


def test_runs_with_the_same_seed_are_the_same():
    kind = {"epochs": 4, "batch_size": 32}
    losses = [
        train(
            network([1, 4, 1]), square_loss(), (X100, Y100), sgd(0.1), rng=generator(2), **kind
        ).losses.tolist()
        for _ in range(2)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("batch_size", [None, 32])
def test_losses_are_those_of_all_data_before_and_after_each_epoch(batch_size):
    seen = []

    def look(epoch, params, value):
        seen.append((epoch, value, square_loss()(params, X100, Y100)))

    params = network([1, 4, 1])
    kind = {"epochs": 3, "batch_size": batch_size, "rng": generator(2), "callback": look}
    result = train(params, square_loss(), (X100, Y100), sgd(0.1), **kind)
    assert [epoch for epoch, _, _ in seen] == [0, 1, 2, 3]
    assert result.losses.tolist() == [value for _, value, _ in seen]
    np.testing.assert_allclose(result.losses, [again for _, _, again in seen], rtol=1e-13)


def test_a_callback_that_changes_its_parameters_changes_nothing_else():
    def spoil(epoch, params, value):
        params[0].W[:] = 1e6

    runs = [
        train(network([1, 4, 1]), square_loss(), (X100, Y100), sgd(0.1), epochs=3, callback=look)
        for look in (None, spoil)
    ]
    assert np.array_equal(runs[0].losses, runs[1].losses)


def adam(rate):
    """Adam of Kingma and Ba, 2015, with a tuple as its state."""

    def init(x):
        return 0, 0 * x, 0 * x

    def update(g, state, x):
        k, m, v = state
        k, m, v = k + 1, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        return -rate * (m / (1 - 0.9**k)) / ((v / (1 - 0.999**k)) ** 0.5 + 1e-8), (k, m, v)

    return Optimizer("adam", init, update)


@pytest.mark.parametrize(
    "optimizer", [sgd(0.05), sgd(0.05, momentum=0.9), sgd(lambda k: 0.1 / (k + 1)), adam(0.01)]
)
def test_any_optimizer_trains_and_a_run_can_be_gone_on_with(optimizer):
    def run(params, epochs, state=None):
        return train(params, square_loss(), (X100, Y100), optimizer, epochs=epochs, state=state)

    once = run(network([1, 4, 1]), 20)
    first = run(network([1, 4, 1]), 12)
    kept = [np.copy(part) for part in first.state]
    second = run(first.params, 8, first.state)
    assert np.array_equal(np.append(first.losses, second.losses[1:]), once.losses)
    assert once.losses[-1] < once.losses[0]
    assert all(np.array_equal(a, b) for a, b in zip(kept, first.state, strict=True))


def test_the_callers_arrays_are_neither_changed_nor_needed():
    params, X, y = network([1, 4, 1]), X100.copy(), Y100.copy()
    before = flatten(params)[0]

    def meddle(epoch, layers, value):
        X[:] = np.nan
        params[0].W[:] = np.nan

    undisturbed = train(params, square_loss(), (X, y), sgd(0.1), epochs=3)
    assert np.array_equal(flatten(params)[0], before)
    assert np.array_equal(X, X100)
    assert np.array_equal(y, Y100)
    result = train(params, square_loss(), (X, y), sgd(0.1), epochs=3, callback=meddle)
    assert np.array_equal(result.losses, undisturbed.losses)


@pytest.mark.parametrize("as_labels", [False, True])
def test_the_callers_data_stay_writable_and_unshared(as_labels):
    X, seen = X100.copy(), []
    y = (X[:, 0] > 0).astype(int) if as_labels else Y100.copy()

    def loss(params, X, y):
        seen.append((X, y))
        return (class_loss() if as_labels else square_loss())(params, X, y)

    train(network([1, 2 if as_labels else 1]), loss, (X, y), sgd(0.1), epochs=1)
    assert X.flags.writeable
    assert y.flags.writeable
    assert all(not np.shares_memory(X, X_) and not np.shares_memory(y, y_) for X_, y_ in seen)


@pytest.mark.parametrize("batch_size", [None, 50])
@pytest.mark.parametrize("from_step", [0, 3])
def test_an_optimizer_that_changes_x_in_place_is_refused(from_step, batch_size):
    """Else the parameters kept for a divergence would be the diverged ones."""

    def update(g, k, x):
        if k >= from_step:
            x -= 1e3 * g
        return np.zeros_like(x), k + 1

    hasty = Optimizer("hasty", lambda x: 0, update)
    kind = {"epochs": 99, "batch_size": batch_size, "rng": generator()}
    with pytest.raises(ValueError, match=r"hasty must not change x, which is.*let update ret"):
        train(network([1, 4, 1]), square_loss(), (X100, Y100), hasty, **kind)


def test_an_optimizer_may_change_a_copy_and_keeps_the_last_finite_parameters():
    def update(g, state, x):
        moved = x.copy()
        moved -= 1e3 * g
        return moved - x, state

    careful, loss = Optimizer("careful", lambda x: None, update), square_loss("relu")
    result = train(network([1, 4, 1]), loss, (X100, Y100), careful, epochs=999)
    assert result.status == "diverged"
    assert result.losses[-1] > 1e100
    assert loss(result.params, X100, Y100) == pytest.approx(result.losses[-1], rel=1e-12)


def test_a_state_that_is_x_itself_cannot_be_changed_in_place():
    def update(g, state, x):
        if state is not x:  # from the second step on
            state *= 0.5
        return -0.1 * g, state

    mean = Optimizer("mean", lambda x: x, update)
    with pytest.raises(ValueError, match="mean must not change x, which is read-only"):
        train(network([1, 4, 1]), square_loss(), (X100, Y100), mean, epochs=9)


def test_another_error_of_an_optimizer_comes_out_as_it_is():
    def update(g, state, x):
        raise ValueError("no steps today")

    with pytest.raises(ValueError, match=r"^no steps today$"):
        train(ONE, square_loss(), (X100, Y100), Optimizer("idle", len, update), epochs=1)


def test_a_loss_cannot_change_the_data():
    def loss(params, X, y):
        X -= X.mean()
        return mse(forward(params, X), y)

    with pytest.raises(ValueError, match="read-only"):
        train(network([1, 4, 1]), loss, (X100, Y100), sgd(0.1), epochs=1)


def test_integer_data_train_as_floats():
    X, y = np.array([[0], [1], [2]], dtype=np.int8), [[0], [100], [200]]
    runs = [
        train(network([1, 4, 1]), square_loss(), (X_, y_), sgd(1e-4), epochs=3)
        for X_, y_ in (
            (X, y),
            (X.tolist(), np.array(y, dtype=np.uint8)),
            (X * 1.0, np.array(y) * 1.0),
        )
    ]
    assert np.array_equal(runs[0].losses, runs[2].losses)
    assert np.array_equal(runs[1].losses, runs[2].losses)


# Divergence


@pytest.mark.parametrize("batch_size", [None, 32])
@pytest.mark.parametrize(
    ("activation", "where"),
    [("linear", "affine of layer 2, W"), ("relu", "behind layer 3"), ("tanh", "behind layer 3")],
)
def test_a_rate_too_large_ends_as_diverged_with_finite_parameters(activation, where, batch_size):
    loss, params = square_loss(activation), network([1, 16, 16, 1])
    kind = {"epochs": 2000, "batch_size": batch_size, "rng": generator()}
    result = train(params, loss, (X100, Y100), sgd(60.0), **kind)
    assert result.status == "diverged"
    assert not result.success
    assert result.epochs == len(result.losses) - 1 < 2000
    assert np.isfinite(result.losses).all()
    assert np.isfinite(flatten(result.params)[0]).all()
    assert loss(result.params, X100, Y100) == pytest.approx(result.losses[-1], rel=1e-12)
    assert f"Diverged in epoch {result.epochs + 1}:" in result.message
    assert where in result.message.split(".")[0]
    assert "The largest parameter was then " in result.message
    assert f"Kept are the parameters after {result.epochs} epochs." in result.message
    assert result.steps == result.state.k == result.epochs * (4 if batch_size else 1)


def steps_to(entry, value):
    """An optimizer that stands still, but moves one entry of theta in its third step."""

    def update(g, k, x):
        return np.where((np.arange(x.size) == entry) & (k == 2), value, 0.0), k + 1

    return Optimizer("standing", lambda x: 0, update)


@pytest.mark.parametrize("batch_size", [None, 50])
@pytest.mark.parametrize(
    ("activation", "optimizer", "where"),
    [
        ("tanh", steps_to(8, np.nan), "the step of layer 2, W"),
        ("tanh", steps_to(7, np.inf), "the step of layer 1, b"),
        ("gelu", steps_to(7, 1e200), "power behind layer 3"),
        ("relu", steps_to(32, 1e200), "power behind layer 3"),
    ],
)
def test_the_message_names_epoch_and_layer_where_numbers_end(
    activation, optimizer, where, batch_size
):
    params = network([1, 4, 4, 1])
    kind = {"epochs": 9, "batch_size": batch_size, "rng": generator()}
    result = train(params, square_loss(activation), (X100, Y100), optimizer, **kind)
    epoch = 3 if batch_size is None else 2
    assert f"Diverged in epoch {epoch}: the first number that is not finite is in {where}." in (
        result.message
    )
    assert result.epochs == epoch - 1
    assert np.array_equal(flatten(result.params)[0], flatten(params)[0])


def test_on_the_way_back_the_parameters_of_a_layer_are_named_before_the_layer_below():
    """Of 2^600 (x w v - y) the slopes along v and along x w are both beyond all floats."""

    def loss(params, X, y):
        return 2.0**600 * autodiff.mean(forward(params, X, activation="linear") - y)

    params = [Layer([[1.0]], [0.0]), Layer([[2.0**500]], [0.0])]
    with pytest.raises(ValueError, match=r"but the gradient of layer 2, W is not; use smaller"):
        train(params, loss, ([[2.0**500]], [[2.0**1000]]), sgd(0.1), epochs=1)


def squared(params, X, y):
    return square_loss()(params, X, y) ** 2


def of_reciprocal(params, X, y):
    return 1 / (1 / square_loss()(params, X, y)) ** 2


@pytest.mark.parametrize("loss", [squared, of_reciprocal])
@pytest.mark.parametrize("batch_size", [None, 50, 100])
def test_arithmetic_with_the_loss_diverges_as_the_loss_does(loss, batch_size):
    params = network([1, 4, 4, 1])
    kind = {"epochs": 9, "batch_size": batch_size, "rng": generator()}
    result = train(params, loss, (X100, Y100), steps_to(32, 1e100), **kind)  # mse 1e200
    assert result.status == "diverged"
    assert f"Diverged in epoch {2 if batch_size == 50 else 3}: the first number" in result.message
    assert " behind layer 3." in result.message
    assert np.array_equal(flatten(result.params)[0], flatten(params)[0])


# steps to the W and b that fit the one row (1, 2)
PERFECT = Optimizer("perfect", lambda x: 0, lambda g, k, x: (np.array([2.0, 0.0]) - x, k + 1))


@pytest.mark.parametrize("batch_size", [None, 1])
def test_logarithm_of_a_loss_that_reaches_zero_diverges(batch_size):
    def loss(params, X, y):
        return autodiff.log(mse(forward(params, X), y))

    start = [Layer([[1.0]], [0.0])]
    kind = {"epochs": 9, "batch_size": batch_size, "rng": generator()}
    result = train(start, loss, ([[1.0]], [[2.0]]), PERFECT, **kind)
    assert (result.status, result.epochs, result.losses.tolist()) == ("diverged", 0, [0.0])
    assert "the first number that is not finite is in log behind layer 1." in result.message


def test_a_number_that_rounds_to_zero_is_no_divergence_whatever_numpy_is_told_to_raise():
    data, params = ([[1e-10]], [[1e-200]]), [Layer([[1e-170]], [0.0])]
    with np.errstate(all="raise"):
        result = train(params, square_loss("tanh"), data, adam(1e-3), epochs=5)
    assert result.status == "finished"


def test_a_hidden_label_is_refused():
    labels = np.ma.array([0, 1, 0], mask=[False, True, False])
    with pytest.raises(ValueError, match="labels must not have masked entries"):
        cross_entropy(np.ones((3, 2)), labels)


def test_a_block_that_the_loss_does_not_use_stays():
    def loss(params, X, y):
        return mse(forward(params[:1], X), y)

    unused = Layer([[5.0]], [6.0])
    result = train([Layer([[0.0]], [0.0]), unused], loss, ([[1.0]], [[1.0]]), sgd(0.1), epochs=3)
    assert result.losses[-1] < result.losses[0]
    assert (result.params[1].W.item(), result.params[1].b.item()) == (5, 6)


def test_arithmetic_that_fails_at_the_start_is_refused_by_name():
    with pytest.raises(ValueError, match="finite at the start, but divide behind layer 1 is not"):
        train(
            [Layer([[2.0]], [0.0])],
            lambda params, X, y: 1 / mse(forward(params, X), y),
            ([[1.0]], [[2.0]]),
            sgd(0.1),
            epochs=1,
        )


def test_arithmetic_that_fails_apart_from_the_parameters_is_not_taken_for_divergence():
    calls = []

    def loss(params, X, y):
        calls.append(1)
        return mse(forward(params, X), y) * (1 / (len(calls) != 5))

    with pytest.raises(ZeroDivisionError):
        train(ONE, loss, (X100, Y100), sgd(0.1), epochs=9, batch_size=100, rng=generator())


def test_the_message_names_the_largest_parameter_whatever_its_sign():
    result = train(
        network([1, 4, 4, 1]), square_loss(), (X100, Y100), steps_to(28, -1e200), epochs=9
    )
    assert "The largest parameter was then 1e+200 in size, in layer 3, W." in result.message


def test_an_overflow_between_layers_is_found_in_its_affine_map():
    wide = [Layer(np.full((1, 2), 1e155), np.zeros(2)), Layer(np.ones((2, 1)), np.zeros(1))]
    wide = [wide[0], Layer(np.full((2, 1), 1e155), np.zeros(1))]
    with pytest.raises(ValueError, match=r"start, but affine of layer 2, W is not; use smaller"):
        train(wide, square_loss("linear"), (X100, Y100), sgd(0.1), epochs=1)


def test_a_gradient_that_is_not_finite_is_found_on_the_way_back():
    def loss(params, X, y):  # the square root has no slope at zero
        return autodiff.mean(autodiff.sqrt(forward(params, X) - params[-1].b))

    flat = [Layer(np.ones((1, 2)), np.zeros(2)), Layer(np.zeros((2, 1)), np.ones(1))]
    with pytest.raises(ValueError, match="the gradient behind layer 2 is not"):
        train(flat, loss, (X100, Y100), sgd(0.1), epochs=1)


@pytest.mark.parametrize(
    ("depth", "where"), [(1, "layer 1, W"), (2, "layer 2, W")], ids=["one layer", "two layers"]
)
def test_a_gradient_that_overflows_in_a_block_is_found_in_that_block(depth, where):
    """The output is 1. Its adjoint, about 1e150, is multiplied by an input of 1e200."""
    layers = [Layer([[1.0]], [0.0])] * (depth - 1) + [Layer([[1e-200]], [0.0])]
    data = [[1e200]], [[1e150]]
    with pytest.raises(ValueError, match=f"start, but the gradient of {where} is not;"):
        train(layers, square_loss("linear"), data, sgd(0.1), epochs=1)


DEEP = network([1, 3, 3, 3, 1])
every_layer = pytest.mark.parametrize("layer", [1, 2, 3, 4])
every_place = pytest.mark.parametrize("penalty", ["none", "before", "between", "after"])
SPOILERS = [
    (lambda h: 1e200 * (1e200 * h), "multiply"),  # not finite on the way forward
    (lambda h: autodiff.sqrt(0.0 * h), "the gradient"),  # 0, of infinite slope
]


def spoiled_loss(spoil, layer, penalty="none", chain=lambda params: params):
    """The loss of a linear network with `spoil` behind a layer, and a penalty on all weights."""

    def loss(params, X, y):
        def size():
            return sum(autodiff.mean(abs(W)) for W, _ in params)

        h, extra = X, size() if penalty == "before" else 0.0
        for k, (W, b) in enumerate(chain(params), start=1):
            h = autodiff.affine(h, W, b)
            if k == layer:
                extra = size() if penalty == "between" else extra
                h = spoil(h)
        value = mse(h, y)
        return value + (size() if penalty == "after" else extra)

    return loss


@every_layer
@every_place
@pytest.mark.parametrize(("spoil", "what"), SPOILERS, ids=["forward", "back"])
def test_the_layer_named_is_the_one_gone_through_wherever_a_penalty_is_written(
    spoil, what, layer, penalty
):
    loss = spoiled_loss(spoil, layer, penalty)
    with pytest.raises(ValueError, match=f"start, but {what} behind layer {layer} is not;"):
        train(DEEP, loss, (X100, Y100), sgd(0.1), epochs=1)


@every_layer
@every_place
def test_a_gradient_that_overflows_in_a_layer_is_named_wherever_a_penalty_is_written(
    layer, penalty
):
    """The slopes along the weights of a layer, its input 1e200 times 1e150, are beyond floats."""
    layers = [Layer([[1.0]], [0.0])] * 4
    layers[layer - 1] = Layer([[1e-200]], [0.0])

    def chain(params):
        return params[:layer]

    loss = spoiled_loss(None, None, penalty, chain)
    with pytest.raises(ValueError, match=f"start, but the gradient of layer {layer}, W is not;"):
        train(layers, loss, ([[1e200]], [[1e150]]), sgd(0.1), epochs=1)


@pytest.mark.parametrize(("used", "deepest"), [(1, 1), (2, 2), (3, 2), (4, 2)])
@every_place
@pytest.mark.parametrize(("spoil", "what"), SPOILERS, ids=["forward", "back"])
def test_weights_used_twice_count_where_they_were_gone_through(spoil, what, used, deepest, penalty):
    loss = spoiled_loss(spoil, used, penalty, chain=lambda params: params + params[::-1])
    with pytest.raises(ValueError, match=f"start, but {what} behind layer {deepest} is not;"):
        train(network([1, 1, 1]), loss, (X100, Y100), sgd(0.1), epochs=1)


@pytest.mark.parametrize("penalty", ["before", "after"])
@pytest.mark.parametrize(
    ("wrap", "what"), [(autodiff.log, "log"), (autodiff.sqrt, "the gradient")], ids=["log", "sqrt"]
)
def test_a_loss_around_mse_breaks_behind_the_last_layer_wherever_a_penalty_is_written(
    wrap, what, penalty
):
    def size(params):
        return autodiff.sum(abs(params[0].W))

    def loss(params, X, y):
        extra = size(params) if penalty == "before" else 0.0
        value = wrap(mse(forward(params, X), y))
        return value + 0.0 * (size(params) if penalty == "after" else extra)

    perfect = forward(DEEP, X100)
    with pytest.raises(ValueError, match=f"start, but {what} behind layer 4 is not;"):
        train(DEEP, loss, (X100, perfect), sgd(0.1), epochs=1)


@pytest.mark.parametrize(("batch_size", "epochs"), [(None, 0), (1, 1)])
def test_a_gradient_that_is_not_finite_ends_training_though_the_loss_is_finite(batch_size, epochs):
    """The first step makes the loss 0, where the square root has no slope."""

    def loss(params, X, y):
        return autodiff.sqrt(mse(forward(params, X), y))

    start = [Layer([[1.0]], [0.0])]
    kind = {"epochs": 9, "batch_size": batch_size, "rng": generator()}
    result = train(start, loss, ([[1.0]], [[2.0]]), PERFECT, **kind)
    assert (result.status, result.epochs, result.steps) == ("diverged", epochs, epochs)
    assert result.losses.tolist() == [1.0, 0.0][: epochs + 1]
    assert result.params[0].W.item() == 1.0 + epochs
    assert "the first number that is not finite is in the gradient behind layer 1." in (
        result.message
    )


@pytest.mark.parametrize("batch_size", [None, 1])
def test_a_random_loss_diverges_with_the_last_finite_parameters(batch_size):
    """Inputs drop out at random: run again, a loss beyond all floats may be finite."""
    places, data = set(), ([[1.0], [2.0]], [[1.0], [4.0]])
    for seed in range(10):
        rng = generator(seed)

        def loss(params, X, y, rng=rng):
            kept = X * (rng.random(X.shape) < 0.5)
            return mse(forward([Layer(params[0].W, [0.0])], kept), y)

        kind = {"epochs": 300, "batch_size": batch_size, "rng": generator(seed)}
        result = train(network([1, 1], seed), loss, data, sgd(1e3), **kind)
        assert result.status == "diverged"
        assert result.epochs == len(result.losses) - 1 < 300
        assert np.isfinite(result.losses).all()
        assert np.isfinite(flatten(result.params)[0]).all()
        places.add(result.message.split("not finite is in ")[1].split(".")[0])
    assert {"a loss that is not the same twice", "power behind layer 1"} <= places


@pytest.mark.parametrize("batch_size", [None, 1])
def test_a_random_loss_that_mse_refuses_diverges_too(batch_size):
    calls = []

    def loss(params, X, y):
        calls.extend([1] if np.any(params[0].W > 1e100) else [])
        return mse(forward(params, X if len(calls) == 1 else 0 * X), y)

    params, kind = network([1, 1]), {"epochs": 9, "batch_size": batch_size, "rng": generator()}
    result = train(params, loss, ([[1e200]], [[1.0]]), steps_to(0, 1e200), **kind)
    assert (result.status, result.epochs) == ("diverged", 2)
    assert "is in a loss that is not the same twice." in result.message
    assert np.array_equal(flatten(result.params)[0], flatten(params)[0])


@pytest.mark.parametrize("batch_size", [None, 100])
def test_a_random_loss_that_is_not_finite_at_the_start_is_refused(batch_size):
    calls = []

    def loss(params, X, y):
        calls.append(1)
        return mse(forward(params, X), y) * (1e308 if len(calls) == 3 else 1.0) * 1e3

    kind = {"epochs": 1, "batch_size": batch_size, "rng": generator()}
    with pytest.raises(ValueError, match="start, but a loss that is not the same twice is not;"):
        train(ONE, loss, (X100, Y100), sgd(0.1), **kind)


def test_the_result_reads_in_one_line():
    result = train(network([1, 4, 1]), square_loss(), (X100, Y100), sgd(0.1), epochs=1)
    assert repr(result) == (
        f"TrainResult(finished after 1 epoch, loss {result.losses[0]:.4g} -> "
        f"{result.losses[1]:.4g})"
    )
    assert result.message.startswith("Finished 1 epoch: the loss went from ")


# Memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a trick for the allocator of glibc")
def test_training_lets_the_process_keep_the_memory_that_it_frees():
    code = """
import resource
import numpy as np
from calclib.nn import Layer, forward, mse, train
from calclib.optimizers import sgd

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(2**18) for _ in range(8)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def loss(params, X, y):
    return mse(forward(params, X), y)

untrained = faults()
train([Layer([[1.0]], [0.0])], loss, ([[1.0]], [[1.0]]), sgd(0.1), epochs=1)
print(untrained, faults())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    untrained, trained = map(int, run.stdout.split())
    if untrained < 20_000:  # of 20 times 16 MB in pages of 4 kB
        pytest.skip("the allocator of this process keeps what it frees anyway")
    assert trained < untrained / 4


# The line of progress


class Screen(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


@pytest.mark.parametrize(
    ("is_terminal", "progress", "expected"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_progress_goes_to_a_terminal_or_where_it_is_asked_for(
    monkeypatch, is_terminal, progress, expected
):
    screen, clock = Screen(is_terminal), iter(np.arange(0.0, 100.0, 0.3))
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(nn.time, "monotonic", lambda: float(next(clock)))
    train(network([1, 2, 1]), square_loss(), (X100, Y100), sgd(0.1), epochs=8, progress=progress)
    text = screen.getvalue()
    assert bool(text) == expected
    if expected:
        assert "\n" not in text
        assert "epoch 4 of 8, loss " in text
        assert "epoch 3 of 8" not in text  # less than a second
        assert text.endswith("\r\x1b[K")  # nothing stays on the line


def test_a_short_run_shows_no_progress(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Screen(True))
    train(network([1, 2, 1]), square_loss(), (X100, Y100), sgd(0.1), epochs=3)
    assert sys.stderr.getvalue() == ""


# Bad input

ONE = network([1, 4, 1])
RNG = generator()


def training(**changes):
    """Call train with one argument changed."""
    kind = {
        "params": ONE,
        "loss": square_loss(),
        "data": (X100, Y100),
        "optimizer": sgd(0.1),
        "epochs": 1,
    } | changes
    return lambda: train(**kind)


def with_nan(x):
    x = x.copy()
    x.flat[2] = np.nan
    return x


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: forward(ONE, X100.T), ValueError, r"layer 1 .* \(1, 100\) and \(1, 4\)"),
        (lambda: forward(ONE, X100[:, 0]), ValueError, r"\(100,\); use X.reshape\(-1, 1\)"),
        (lambda: forward(ONE, 1.0), ValueError, r"X must have shape \(m, n_in\), got \(\)"),
        (lambda: forward(ONE, []), ValueError, "X must not be empty"),
        (lambda: forward(ONE, with_nan(X100)), ValueError, r"X must be finite, .* index \[2, 0\]"),
        (lambda: forward(ONE, [["a"]]), TypeError, "X must hold real numbers"),
        (lambda: forward(ONE, X100 * 1j), TypeError, "X must hold real numbers"),
        (
            lambda: forward([ONE[0], ONE[0]], X100),
            ValueError,
            r"2 must mult.*\(1, 4\) and \(1, 4\)",
        ),
        (lambda: forward([Layer(np.eye(2), np.ones((1, 2)))], X100), ValueError, r"use W\.T .*row"),
        (lambda: forward([Layer(np.ones((4, 1)), np.ones(4))], X100), ValueError, r"\(4,\); use W"),
        (lambda: forward([Layer(np.ones(2), np.ones(2))], X100), ValueError, r"got \(2,\) and"),
        (
            lambda: forward([ONE[0], Layer(with_nan(ONE[1].W), ONE[1].b)], X100),
            ValueError,
            r"layer 2, W must be finite, got nan at index \[2, 0\]",
        ),
        (
            lambda: flatten([Layer(ONE[0].W, with_nan(ONE[0].b)), ONE[1]]),
            ValueError,
            "layer 1, b must be finite",
        ),
        (lambda: forward(Layer(np.eye(2), np.ones(2)), np.eye(2)), TypeError, "got Layer"),
        (lambda: forward(ONE[0], X100), TypeError, r"list of Layer\(W, b\), got Layer"),
        (lambda: forward(flatten(ONE)[0], X100), TypeError, r"unflatten\(theta\) for a vector"),
        (lambda: forward([], X100), TypeError, "use init_params"),
        (lambda: forward(None, X100), TypeError, "got NoneType"),
        (lambda: forward(ONE, X100, activation="swish"), ValueError, "'gelu'.*got 'swish'"),
        (lambda: mse(np.ones((3, 1)), np.ones(3)), ValueError, r"\(3, 1\) and \(3,\); use y.resh"),
        (lambda: mse(np.ones(3), np.ones((3, 1))), ValueError, r"\(3,\) and \(3, 1\); use y.resh"),
        (lambda: mse(np.ones((3, 2)), 1.0), ValueError, r"\(3, 2\) and \(\); give one target"),
        (lambda: mse(autodiff.Var(np.ones((3, 1))), np.ones(3)), ValueError, r"\(3, 1\) and \(3,"),
        (lambda: mse([1.0], [np.inf]), ValueError, "y must be finite, got inf"),
        (lambda: cross_entropy(np.eye(3), [0, 1, 3]), ValueError, "0 to 2 .* got 3 at index 2"),
        (lambda: cross_entropy(np.eye(3), [0, -1, 0]), ValueError, "0 to 2 .* got -1 at index 1"),
        (lambda: cross_entropy(np.eye(3), [0.0, 1.0, 2.0]), ValueError, r"labels\.astype\(int\)"),
        (lambda: cross_entropy(np.eye(3), ["a", "b", "c"]), ValueError, "labels must be integers"),
        (lambda: cross_entropy(np.eye(3), [[0], [1], [2]]), ValueError, r"\(3, 1\); .*ravel"),
        (lambda: cross_entropy(np.eye(2), [[0], [1, 2]]), ValueError, "unequal length; give one"),
        (lambda: cross_entropy(np.eye(3), np.eye(3)), ValueError, r"one-hot .*argmax\(axis=1\)"),
        (lambda: cross_entropy(np.eye(3), [0, 1]), ValueError, r"shape \(3,\) .* got \(2,\)"),
        (lambda: cross_entropy(np.ones(3), [0]), ValueError, r"\(m, classes\), got \(3,\)"),
        (
            lambda: cross_entropy(with_nan(np.eye(3)), [0, 1, 2]),
            ValueError,
            "logits must be finite",
        ),
        (lambda: init_params([3], rng=RNG), ValueError, "at least two numbers"),
        (
            lambda: init_params(3, rng=RNG),
            TypeError,
            r"sizes must be a sequence.*write \[1, 16, 1\]",
        ),
        (lambda: init_params(None, rng=RNG), TypeError, r"sizes must be a sequence.*got None"),
        (lambda: init_params([3, 0], rng=RNG), ValueError, r"sizes\[1\] must be at least 1"),
        (lambda: init_params([3, 2.0], rng=RNG), TypeError, r"sizes\[1\] must be a whole number"),
        (lambda: init_params([3, 2], rng=RNG, scheme="lecun"), ValueError, "'he', 'xavier'"),
        (
            lambda: init_params([3, 2], rng=0),
            TypeError,
            r"got 0; use rng=np.random.default_rng\(0\)",
        ),
        (lambda: init_params([3, 2]), TypeError, "rng"),
        (lambda: flatten(ONE)[1](np.ones(12)), ValueError, r"shape \(13,\), got \(12,\)"),
        (lambda: flatten(ONE)[1](np.ones((13, 1))), ValueError, r"shape \(13,\), got \(13, 1\)"),
        (lambda: flatten(ONE)[1](with_nan(np.ones(13))), ValueError, r"theta .* index \[2\]"),
        (training(data=(X100, Y100[:, 0])), ValueError, r"\(100, 1\) and \(100,\)"),
        (training(data=(X100, Y100[:50])), ValueError, r"\(100, 1\) and \(50, 1\)"),
        (training(data=(with_nan(X100), Y100)), ValueError, "X must be finite"),
        (training(data=(X100, with_nan(Y100))), ValueError, "y must be finite"),
        (training(data=(X100, None)), TypeError, "y must hold real numbers"),
        (training(data=X100), TypeError, r"the pair \(X, y\), got ndarray"),
        (training(data=None), TypeError, r"the pair \(X, y\), got NoneType"),
        (training(params=[Layer(with_nan(np.eye(2)), [0, 0])]), ValueError, "layer 1, W"),
        (training(optimizer=sgd), TypeError, "call it with its learning rate"),
        (training(optimizer="sgd"), TypeError, "got 'sgd'"),
        (training(epochs=0), ValueError, "epochs must be at least 1"),
        (training(epochs=1.5), TypeError, "epochs must be a whole number"),
        (
            training(batch_size=10),
            TypeError,
            r"rng must .* got None; use rng=np.random.default_rng",
        ),
        (training(batch_size=10, rng=0), TypeError, "rng must be a random generator, got 0"),
        (training(batch_size=0, rng=RNG), ValueError, "batch_size must be at least 1"),
        (training(batch_size=101, rng=RNG), ValueError, "at most the number of rows, 100, got 101"),
        (training(rng=5), TypeError, r"generator, got 5; use rng=np\.random\.default_rng\(0\)"),
        (training(progress="x"), TypeError, "True, False or None, got 'x'; leave it out"),
        (training(progress=1), TypeError, "progress must be True, False or None, got 1"),
        (training(data=(X100, [[0], [1, 2]] * 50)), ValueError, "y .* rows of unequal length"),
        (training(loss=3), TypeError, "loss must be a function"),
        (training(loss=lambda p, X, y: None), TypeError, "got NoneType; end it with return"),
        (
            training(loss=lambda p, X, y: forward(p, X)),
            ValueError,
            r"one number, got shape \(100, 1\)",
        ),
        (
            training(loss=lambda p, X, y: mse(forward(p, X), y).value),
            TypeError,
            r"got float; .* without \.value",
        ),
        (
            training(loss=lambda p, X, y: float(mse(forward(p, X), y))),
            TypeError,
            r"lose its derivative; use x\.value where none is wanted",
        ),
        (
            training(loss=lambda p, X, y: mse(forward(p, X), y[:, :0])),
            ValueError,
            "must not be empty",
        ),
    ],
)
def test_bad_input_is_refused_with_a_way_out(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_error_inside_the_loss_is_not_taken_for_divergence():
    def loss(params, X, y):
        if len(X) == 1:
            raise ValueError("no single rows")
        return mse(forward(params, X), y)

    with pytest.raises(ValueError, match="no single rows"):
        train(ONE, loss, (X100, Y100), sgd(0.1), epochs=1, batch_size=33, rng=generator())


def test_an_error_that_does_not_come_back_is_not_taken_for_divergence():
    calls = []

    def loss(params, X, y):
        calls.append(len(calls))
        if len(calls) == 6:
            raise ValueError("only once")
        return mse(forward(params, X), y)

    with pytest.raises(ValueError, match="only once"):
        train(ONE, loss, (X100, Y100), sgd(0.1), epochs=9)


def test_a_step_of_another_shape_is_refused():
    short = Optimizer("short", lambda x: None, lambda g, state, x: (g[:-1], state))
    with pytest.raises(ValueError, match=r"shape of theta, \(13,\), got \(12,\)"):
        train(ONE, square_loss(), (X100, Y100), short, epochs=1)
