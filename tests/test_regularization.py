"""Facts about calclib.regularization: penalties, the proximal step, dropout, early stopping."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from calclib import autodiff, descent, nn, numerical, optimizers, symbolic
from calclib.regularization import (
    Stop,
    dropout_mask,
    elastic_net,
    l1,
    l2,
    soft_threshold,
    stop_index,
)

STRENGTH = 0.7
PENALTIES = {
    "l1": (lambda x: l1(x, STRENGTH), lambda x: STRENGTH * np.sign(x)),
    "l2": (lambda x: l2(x, STRENGTH), lambda x: 2 * STRENGTH * x),
    "elastic_net": (
        lambda x: elastic_net(x, STRENGTH, 0.2),
        lambda x: STRENGTH * np.sign(x) + 0.4 * x,
    ),
}
every_penalty = pytest.mark.parametrize("name", PENALTIES)


def lasso(seed=0, m=30, n=10):
    """A design, and targets that only three of its columns make, with some noise."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(m, n))
    truth = np.zeros(n)
    truth[:3] = 2.0, -3.0, 1.0
    return A, A @ truth + 0.1 * rng.normal(size=m)


def proximal_descent(A, y, strength, steps, rate):
    """The last point for |A x - y|^2 / 2 + l1(x, strength), from the least squares solution."""
    x = np.linalg.lstsq(A, y)[0]
    for _ in range(steps):
        x = soft_threshold(x - rate * A.T @ (A @ x - y), rate * strength)
    return x


# Penalties


def test_values_by_hand():
    x = [[3.0, -4.0], [0.0, 1.0]]
    assert l1(x, 0.5) == 4.0
    assert l2(x, 0.5) == 13.0
    assert elastic_net(x, 0.5, 0.25) == 4.0 + 6.5


@every_penalty
def test_three_worlds_agree_on_the_gradient(name):
    penalty, by_hand = PENALTIES[name]
    x = np.random.default_rng(1).normal(size=4)
    symbols = sp.symbols("a:4", real=True)
    formula = symbolic.grad(penalty(np.array(symbols)), symbols)
    values = [float(entry.subs(dict(zip(symbols, x, strict=True)))) for entry in formula]
    np.testing.assert_allclose(by_hand(x), values, rtol=1e-12)
    np.testing.assert_allclose(autodiff.grad(penalty)(x), values, rtol=1e-12)
    np.testing.assert_allclose(numerical.grad(penalty)(x), values, rtol=1e-8)


@every_penalty
def test_a_number_is_an_array_of_one(name):
    penalty, by_hand = PENALTIES[name]
    assert penalty(-3) == penalty([-3]) == penalty([[-3.0]])
    assert autodiff.grad(penalty)(-3.0) == pytest.approx(by_hand(-3.0))
    assert isinstance(penalty(-3), float)


def test_l1_and_the_elastic_net_have_slope_0_at_0():
    assert autodiff.grad(lambda x: l1(x, 2.0))([0.0, 5.0]).tolist() == [0, 2]
    assert autodiff.grad(lambda x: elastic_net(x, 2.0, 1.0))(0.0) == 0


def test_the_curvature_of_l2_is_twice_its_strength():
    assert autodiff.hessian(lambda x: l2(x, 3.0))(np.ones(2)).tolist() == [[6, 0], [0, 6]]


def test_a_symbolic_strength_gives_the_formula():
    w, c = sp.symbols("w c", real=True)
    assert l2(w, c) == c * w**2
    assert l1(w, c) == c * sp.Abs(w)


def test_l2_draws_the_minimum_from_3_to_2():
    result = descent.gradient_descent(
        lambda w: (w - 3) ** 2 + l2(w, 0.5),
        5.0,
        learning_rate=0.1,
        grad=autodiff.grad(lambda w: (w - 3) ** 2 + l2(w, 0.5)),
        tol=1e-12,
    )
    assert result.x == pytest.approx(2.0, abs=1e-12)


def test_l2_on_least_squares_is_ridge_regression():
    A, y = lasso()

    def loss(x):
        return autodiff.sum((A @ x - y) ** 2) + l2(x, 4.0)

    ridge = np.linalg.solve(A.T @ A + 4.0 * np.eye(10), A.T @ y)
    np.testing.assert_allclose(autodiff.grad(loss)(ridge), 0, atol=1e-11)


def test_only_what_is_passed_is_penalized():
    params = nn.init_params([2, 3, 1], rng=np.random.default_rng(0))
    theta, unflatten = nn.flatten(params)
    g = unflatten(
        autodiff.grad(lambda theta: sum(l2(W, 0.5) for W, _ in unflatten(theta)))(theta + 1)
    )
    shifted = unflatten(theta + 1)
    for (gW, gb), (W, _) in zip(g, shifted, strict=True):
        np.testing.assert_allclose(gW, W, rtol=1e-15)
        assert not gb.any()


def test_a_penalty_in_training_shrinks_the_weights():
    rng = np.random.default_rng(0)
    X = np.linspace(-1, 1, 50)[:, None]
    start = nn.init_params([1, 8, 1], rng=rng, scheme="xavier")

    def size(strength):
        def loss(params, X, y):
            fit = nn.mse(nn.forward(params, X), y)
            return fit + sum(l2(W, strength) for W, _ in params)

        result = nn.train(start, loss, (X, X**2), optimizers.sgd(0.1), epochs=200)
        return sum(l2(W, 1.0) for W, _ in result.params)

    assert size(0.01) < 0.8 * size(0.0)


# Exact zeros


def test_subgradient_steps_of_l1_give_no_exact_zero_in_200_steps():
    A, y = lasso()
    x = np.linalg.lstsq(A, y)[0]
    slope = autodiff.grad(lambda x: autodiff.sum((A @ x - y) ** 2) / 2 + l1(x, 5.0))
    for _ in range(200):
        x = x - 0.01 * slope(x)
        assert (x == 0).sum() == 0


def test_proximal_steps_give_six_exact_zeros_and_keep_the_columns_that_matter():
    x = proximal_descent(*lasso(), strength=5.0, steps=200, rate=0.01)
    assert (x == 0).sum() == 6
    assert (np.abs(x[:3]) > 0.5).all()


def test_proximal_steps_end_where_zero_is_a_subgradient():
    A, y = lasso()
    x = proximal_descent(A, y, strength=5.0, steps=2000, rate=0.01)
    slope = A.T @ (A @ x - y)
    np.testing.assert_allclose(slope[x != 0], -5.0 * np.sign(x[x != 0]), rtol=1e-9)
    assert (np.abs(slope[x == 0]) < 5.0).all()


@pytest.mark.parametrize("rate", [0.1, 1.0, 1.9])
def test_proximal_steps_converge_to_the_closed_form_for_an_orthonormal_design(rate):
    A, y = lasso()
    Q, _ = np.linalg.qr(A)
    closed = soft_threshold(Q.T @ y, 2.0)
    assert 0 < (closed == 0).sum() < 10
    x = proximal_descent(Q, y, strength=2.0, steps=400, rate=rate)
    np.testing.assert_allclose(x, closed, atol=1e-12)
    assert ((x == 0) == (closed == 0)).all()


def test_the_elastic_net_by_proximal_steps_has_its_closed_form_for_an_orthonormal_design():
    A, y = lasso()
    Q, _ = np.linalg.qr(A)
    x = np.zeros(10)
    for _ in range(300):
        smooth = Q.T @ (Q @ x - y) + autodiff.grad(lambda x: l2(x, 0.5))(x)
        x = soft_threshold(x - 0.3 * smooth, 0.3 * 2.0)
    np.testing.assert_allclose(x, soft_threshold(Q.T @ y, 2.0) / 2, atol=1e-12)


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3))
def test_soft_threshold_is_the_proximal_step_of_l1(x, threshold):
    def objective(u):
        return (u - x) ** 2 / 2 + l1(u, threshold)

    u = soft_threshold(x, threshold)
    assert isinstance(u, float)
    assert u == pytest.approx(np.sign(x) * max(abs(x) - threshold, 0), abs=1e-12)
    for other in (0.0, x, u - 1e-2, u + 1e-2, u + 1.0):
        assert objective(u) <= objective(other) + 1e-9


def test_soft_threshold_is_0_on_the_edge_and_0_leaves_x_as_it_is():
    assert soft_threshold([0.5, -0.5, 0.0], 0.5).tolist() == [0, 0, 0]
    assert soft_threshold([0.5, -2.0], 0.0).tolist() == [0.5, -2.0]


def test_thresholds_broadcast():
    x = np.array([[1.0, 2.0], [-3.0, 4.0]])
    assert soft_threshold(x, [0.0, 3.0]).tolist() == [[1, 0], [-3, 1]]
    assert soft_threshold(2.0, [1.0, 3.0]).tolist() == [1, 0]


def test_soft_threshold_has_slope_1_outside_the_threshold_and_0_inside():
    slope = autodiff.grad(lambda x: autodiff.sum(soft_threshold(x, 1.0)))
    assert slope([3.0, 0.5, -0.5, -3.0]).tolist() == [1, 0, 0, 1]


# Dropout


def test_a_mask_holds_0_and_1_over_1_minus_rate():
    mask = dropout_mask((50, 20), 0.2, rng=np.random.default_rng(0))
    assert mask.shape == (50, 20)
    assert set(np.unique(mask)) == {0.0, 1.25}


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_training_agrees_with_evaluation_in_expectation(rate):
    rng = np.random.default_rng(2)
    h, w, n = rng.normal(size=20), rng.normal(size=20), 20_000
    train = (h * dropout_mask((n, 20), rate, rng=rng)) @ w
    deviation = np.sqrt(((h * w) ** 2).sum() * rate / (1 - rate))  # variance rate/(1-rate) each
    assert abs(train.mean() - h @ w) < 4 * deviation / np.sqrt(n)
    assert train.std() == pytest.approx(deviation, rel=0.05)


def test_units_are_hidden_independently_with_probability_rate():
    hidden = dropout_mask((20_000, 2), 0.3, rng=np.random.default_rng(0)) == 0
    bound = 4 * np.sqrt(0.25 / 20_000)
    assert (np.abs(hidden.mean(axis=0) - 0.3) < bound).all()
    assert abs(hidden.all(axis=1).mean() - 0.09) < bound


def test_rate_0_hides_nothing_and_one_seed_gives_one_mask():
    assert dropout_mask(5, 0.0, rng=np.random.default_rng(0)).tolist() == [1] * 5
    first, second = (dropout_mask(99, 0.5, rng=np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all()


# Early stopping


def test_an_improvement_is_measured_from_the_last_one():
    losses = [1, 0.85, 0.8, 0.72]  # 0.72 is 0.13 below 0.85, and only 0.08 below 0.8
    assert stop_index(losses, patience=2, min_improvement=0.1) == Stop(best=3, stopped=None)
    losses = [1, 0.95, 0.9, 0.89]  # 0.9 is the last improvement, 0.89 the lowest
    assert stop_index(losses, patience=5, min_improvement=0.07) == Stop(best=2, stopped=None)


def test_training_stops_patience_epochs_after_the_best():
    assert stop_index([5, 3, 2, 2.5, 2.6, 1], patience=2) == Stop(best=2, stopped=4)
    assert stop_index([5, 3, 2, 2.5, 2.6, 1], patience=3) == Stop(best=5, stopped=None)


def test_an_equal_loss_is_no_improvement():
    assert stop_index([1, 1, 1], patience=2) == Stop(best=0, stopped=2)


def test_small_improvements_do_not_count():
    losses = [1.0, 0.99, 0.98, 0.5, 0.49]
    assert stop_index(losses, patience=3, min_improvement=0.1) == Stop(best=3, stopped=None)
    assert stop_index(losses, patience=2, min_improvement=0.1) == Stop(best=0, stopped=2)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 6))
def test_the_best_is_the_first_least_loss_up_to_the_stop(losses, patience):
    best, stopped = stop_index(losses, patience=patience)
    seen = losses if stopped is None else losses[: stopped + 1]
    assert best == seen.index(min(seen))
    assert stopped is None or stopped == best + patience
    assert stopped is not None or len(losses) - 1 - best < patience


# Bad input


@pytest.mark.parametrize("penalty", [l1, l2, soft_threshold, lambda x, c: elastic_net(x, c, 1.0)])
def test_negative_strengths_are_refused(penalty):
    with pytest.raises(ValueError, match=r"must be 0 or above, got -0\.1"):
        penalty([1.0], -0.1)


@pytest.mark.parametrize("penalty", [l1, l2, soft_threshold])
@pytest.mark.parametrize("bad", [np.nan, np.inf, []])
def test_parameters_that_are_not_finite_or_empty_are_refused(penalty, bad):
    with pytest.raises(ValueError, match="x must"):
        penalty(bad, 0.1)


def test_a_strength_is_one_number():
    with pytest.raises(ValueError, match=r"strength must be one number, got shape \(2,\)"):
        l2([1.0, 2.0], [0.1, 0.2])
    with pytest.raises(ValueError, match="strength must be finite, got nan"):
        l1([1.0], np.nan)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, np.nan])
def test_dropout_rates_outside_0_to_1_are_refused(rate):
    with pytest.raises(ValueError, match="rate must"):
        dropout_mask(3, rate, rng=np.random.default_rng(0))


def test_dropout_needs_a_generator():
    with pytest.raises(TypeError, match="rng must be a random generator, got 0; use"):
        dropout_mask(3, 0.5, rng=0)


@pytest.mark.parametrize(
    ("losses", "options", "words"),
    [
        ([], {}, "losses must not be empty"),
        ([1.0, np.nan], {}, "losses must be finite, got nan"),
        ([[1.0], [2.0]], {}, r"losses must have shape \(n,\)"),
        ([1.0], {"patience": 0}, "patience must be at least 1"),
        ([1.0], {"min_improvement": -1.0}, "min_improvement must be 0 or above"),
    ],
)
def test_early_stopping_refuses(losses, options, words):
    with pytest.raises(ValueError, match=words):
        stop_index(losses, **{"patience": 1} | options)


def test_the_arrays_of_the_caller_stay_as_they_are():
    x = np.array([1.0, -2.0])
    l1(x, 1.0), l2(x, 1.0), soft_threshold(x, 0.5)
    assert x.tolist() == [1, -2]
