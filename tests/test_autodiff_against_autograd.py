"""Automatic differentiation against an independent implementation, HIPS autograd.

Both run the same programs: random graphs of up to 50 operations, and networks.
"""

import importlib.util
import itertools
from pathlib import Path

import autograd
import autograd.numpy as anp
import autograd.scipy.special as special
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calclib import autodiff as ad

TOLERANCE = 1e-10
seeds = st.integers(0, 2**32)
every_seed = settings(max_examples=100, deadline=None, derandomize=True)


def agree(got, expected):
    """Tell whether two arrays agree to 1e-10, relative to the largest entry."""
    got, expected = np.asarray(got), np.asarray(expected)
    size = np.abs(expected).max() + np.finfo(float).tiny
    return got.shape == expected.shape and np.abs(got - expected).max() <= TOLERANCE * size


def logsumexp(x, axis):
    return special.logsumexp(x, axis=axis)


# Each operation for calclib and for autograd; the arguments are matrices of 3 rows and 4 columns,
# and each result is broadcast to that shape again. Values stay moderate.
UNARY = [
    (ad.tanh, anp.tanh),
    (ad.sin, anp.sin),
    (ad.cos, anp.cos),
    (ad.arctan, anp.arctan),
    (lambda a: ad.exp(-(a**2)), lambda a: anp.exp(-(a**2))),
    (lambda a: ad.log(1 + a**2), lambda a: anp.log(1 + a**2)),
    (lambda a: ad.log1p(a * a), lambda a: anp.log1p(a * a)),
    (lambda a: ad.expm1(a / 4), lambda a: anp.expm1(a / 4)),
    (lambda a: ad.sqrt(2 + ad.sin(a)), lambda a: anp.sqrt(2 + anp.sin(a))),
    (lambda a: ad.sigmoid(a), lambda a: 1 / (1 + anp.exp(-a))),
    (lambda a: ad.softplus(a), lambda a: anp.logaddexp(a, 0.0)),
    (lambda a: ad.relu(a + 0.1), lambda a: anp.maximum(a + 0.1, 0.0)),
    (lambda a: ad.abs(a), anp.abs),
    (lambda a: -a, lambda a: -a),
    (lambda a: a / (2 + a**2), lambda a: a / (2 + a**2)),
    (lambda a: 1.5 ** ad.tanh(a), lambda a: 1.5 ** anp.tanh(a)),
    (lambda a: a[:, ::-1], lambda a: a[:, ::-1]),
    (lambda a: a[[2, 0, 0]], lambda a: a[[2, 0, 0]]),
    (lambda a: a[1:2], lambda a: a[1:2]),
    (lambda a: a[:, [1]] * a[0, 2], lambda a: a[:, [1]] * a[0, 2]),
    (lambda a: ad.sum(a, axis=0), lambda a: anp.sum(a, axis=0)),
    (
        lambda a: ad.mean(a, axis=1, keepdims=True),
        lambda a: anp.mean(a, axis=1, keepdims=True),
    ),
    (lambda a: ad.max(a, axis=0), lambda a: anp.max(a, axis=0)),
    (lambda a: ad.min(a), anp.min),
    (
        lambda a: ad.reshape(ad.logsumexp(a, axis=1), (3, 1)),
        lambda a: anp.reshape(logsumexp(a, 1), (3, 1)),
    ),
    (
        lambda a: ad.softmax(a),
        lambda a: anp.exp(a - anp.reshape(logsumexp(a, 1), (3, 1))),
    ),
    (lambda a: ad.reshape(ad.transpose(a), (3, 4)), lambda a: anp.reshape(a.T, (3, 4))),
    (lambda a: ad.where(PATTERN, a, a**2 / 4), lambda a: anp.where(PATTERN, a, a**2 / 4)),
]
BINARY = [
    (lambda a, b: a + b, lambda a, b: a + b),
    (lambda a, b: a - b, lambda a, b: a - b),
    (lambda a, b: a * b / 2, lambda a, b: a * b / 2),
    (lambda a, b: a / (1.5 + b**2), lambda a, b: a / (1.5 + b**2)),
    (lambda a, b: (1 + a**2) ** ad.sin(b), lambda a, b: (1 + a**2) ** anp.sin(b)),
    (lambda a, b: ad.maximum(a, b), anp.maximum),
    (lambda a, b: ad.minimum(a, b + 0.2), lambda a, b: anp.minimum(a, b + 0.2)),
    (lambda a, b: a @ b.T @ a / 12, lambda a, b: anp.dot(anp.dot(a, b.T), a) / 12),
    (lambda a, b: a[:, 0] @ b, lambda a, b: anp.dot(a[:, 0], b)),
    (
        lambda a, b: ad.reshape(a @ b[0], (3, 1)),
        lambda a, b: anp.reshape(anp.dot(a, b[0]), (3, 1)),
    ),
    (
        lambda a, b: ad.affine(a, b.T @ b, b[1]) / 9,
        lambda a, b: (anp.dot(a, anp.dot(b.T, b)) + b[1]) / 9,
    ),
    (
        lambda a, b: ad.concatenate([a[:1], b[1:]]),
        lambda a, b: anp.concatenate([a[:1], b[1:]]),
    ),
    (
        lambda a, b: ad.stack([a[0], b[1], a[2]]),
        lambda a, b: anp.stack([a[0], b[1], a[2]]),
    ),
    (lambda a, b: a * b[1, 2], lambda a, b: a * b[1, 2]),
]
PATTERN = np.arange(12).reshape(3, 4) % 3 == 0
OURS, THEIRS = 0, 1


def graph(seed):
    """Return a random program of 2 to 50 operations that both implementations can run."""
    rng = np.random.default_rng(seed)
    steps = []
    for k in range(rng.integers(1, 25)):
        unary, binary = UNARY[rng.integers(len(UNARY))], BINARY[rng.integers(len(BINARY))]
        steps.append((unary, binary, *rng.integers(0, k + 2, 2)))
    constants = rng.normal(size=(2, 3, 4))

    def run(x, side):
        made = [x, x * constants[0] + constants[1]]
        for unary, binary, i, j in steps:
            y = binary[side](unary[side](made[i]) + np.zeros((3, 4)), made[j])
            made.append(y + constants[0])
        total = sum(made[1:], made[0]) * constants[1]
        return ad.sum(total) if side == OURS else anp.sum(total)

    return run, rng.normal(size=(3, 4)), rng.normal(size=(3, 4))


@given(seed=seeds)
@every_seed
def test_gradients_of_random_graphs_agree(seed):
    run, x, _ = graph(seed)
    value, g = ad.value_and_grad(lambda x: run(x, OURS))(x)
    expected_value, expected = autograd.value_and_grad(lambda x: run(x, THEIRS))(x)
    assert agree(value, expected_value)
    assert agree(g, expected)


@given(seed=seeds)
@every_seed
def test_forward_mode_agrees_with_reverse_mode_of_the_other(seed):
    run, x, v = graph(seed)
    g = autograd.grad(lambda x: run(x, THEIRS))(x)
    _, t = ad.jvp(lambda x: run(x, OURS), x, v)
    assert abs(t - np.sum(g * v)) <= TOLERANCE * np.sum(np.abs(g * v))


@given(seed=seeds)
@settings(every_seed, max_examples=40)
def test_hessian_vector_products_of_random_graphs_agree(seed):
    run, x, v = graph(seed)
    expected = autograd.hessian_vector_product(lambda x: run(x, THEIRS))(x, v)
    assert agree(ad.hvp(lambda x: run(x, OURS))(x, v), expected)
    twice = ad.grad(lambda x: ad.sum(ad.grad(lambda x: run(x, OURS))(x) * v))(x)
    assert agree(twice, expected)


ACTIVATIONS = {
    "tanh": (ad.tanh, anp.tanh),
    "sigmoid": (ad.sigmoid, lambda a: 1 / (1 + anp.exp(-a))),
    "relu": (ad.relu, lambda a: anp.maximum(a, 0.0)),
    "softplus": (ad.softplus, lambda a: anp.logaddexp(a, 0.0)),
}


def network(seed):
    """Return random sizes, data and flat parameters of a network."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, rng.integers(2, 6))
    shapes = list(itertools.pairwise(sizes))
    theta = rng.normal(size=sum((n + 1) * m for n, m in shapes)) / np.sqrt(max(sizes))
    X = rng.normal(size=(rng.integers(1, 20), sizes[0]))
    labels = rng.integers(0, sizes[-1], len(X))
    return shapes, theta, X, rng.normal(size=(len(X), sizes[-1])), labels


def outputs(theta, shapes, X, activation, product):
    a, k = X, 0
    for layer, (n, m) in enumerate(shapes):
        W, b = theta[k : k + n * m].reshape((n, m)), theta[k + n * m : k + (n + 1) * m]
        a = product(a, W, b)
        a = activation(a) if layer < len(shapes) - 1 else a
        k += (n + 1) * m
    return a


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(seed=seeds)
@settings(every_seed, max_examples=25)
def test_gradients_of_networks_agree(name, seed):
    shapes, theta, X, Y, labels = network(seed)
    mine, other = ACTIVATIONS[name]
    rows = np.arange(len(X))

    def squares(theta):
        return ad.mean((outputs(theta, shapes, X, mine, ad.affine) - Y) ** 2)

    def cross_entropy(theta):
        z = outputs(theta, shapes, X, mine, ad.affine)
        return ad.mean(ad.logsumexp(z, axis=1) - z[rows, labels])

    def product(a, W, b):
        return anp.dot(a, W) + b

    def squares_of_other(theta):
        return anp.mean((outputs(theta, shapes, X, other, product) - Y) ** 2)

    def cross_entropy_of_other(theta):
        z = outputs(theta, shapes, X, other, product)
        return anp.mean(logsumexp(z, 1) - z[rows, labels])

    v = np.random.default_rng(seed).normal(size=theta.size)
    for loss, expected in ((squares, squares_of_other), (cross_entropy, cross_entropy_of_other)):
        assert agree(ad.grad(loss)(theta), autograd.grad(expected)(theta))
        assert agree(ad.hvp(loss)(theta, v), autograd.hessian_vector_product(expected)(theta, v))


def benchmark():
    path = Path(__file__).parents[1] / "benchmarks" / "bench_autodiff.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("row", "steps"),
    [("mlp", ()), ("rosenbrock", ()), ("sgd", (50,)), ("adam", (2,)), ("scalars", ())],
)
def test_benchmark_compares_what_gives_the_same_gradient(row, steps, monkeypatch, capsys):
    for name in ("OMP", "OPENBLAS", "MKL"):
        monkeypatch.setenv(f"{name}_NUM_THREADS", "1")
    monkeypatch.setenv("XLA_FLAGS", "")
    module = benchmark()
    monkeypatch.setattr(module, "medians", lambda contenders, **how: dict.fromkeys(contenders, 1))
    getattr(module, row)(*steps)
    assert capsys.readouterr().out.count("1.00") >= 2
