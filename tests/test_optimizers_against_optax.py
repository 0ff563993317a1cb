"""Optimizers against an independent implementation, optax: 500 random gradients, every step.

The gradients span six orders of magnitude and the hyperparameters are unusual, so that a term in
the wrong place shows. Optax runs in float64.
"""

import jax
import numpy as np
import optax
import pytest

from calclib import schedules
from calclib.optimizers import adagrad, adam, adamw, clip_by_norm, rmsprop, sgd

TOLERANCE = 1e-12

RULES = {
    "sgd": (sgd(0.07), optax.sgd(0.07)),
    "momentum": (sgd(0.07, momentum=0.83), optax.sgd(0.07, momentum=0.83)),
    "nesterov": (
        sgd(0.07, momentum=0.83, nesterov=True),
        optax.sgd(0.07, momentum=0.83, nesterov=True),
    ),
    # optax puts the eps of this one inside the root, so both go without
    "adagrad": (
        adagrad(0.3, eps=1e-300),
        optax.adagrad(0.3, initial_accumulator_value=0.0, eps=0.0),
    ),
    "rmsprop": (
        rmsprop(0.02, decay=0.71, eps=0.03),
        optax.rmsprop(0.02, decay=0.71, eps=0.03, eps_in_sqrt=False),
    ),
    "adam": (
        adam(0.02, beta1=0.37, beta2=0.81, eps=0.03),
        optax.adam(0.02, b1=0.37, b2=0.81, eps=0.03),
    ),
    "adam with its defaults": (adam(), optax.adam(1e-3)),
    "adam without memory": (
        adam(0.02, beta1=0.0, beta2=0.0, eps=0.03),
        optax.adam(0.02, b1=0.0, b2=0.0, eps=0.03),
    ),
    "adamw": (
        adamw(0.02, beta1=0.61, beta2=0.93, eps=0.2, weight_decay=0.7),
        optax.adamw(0.02, b1=0.61, b2=0.93, eps=0.2, weight_decay=0.7),
    ),
    "adamw with a schedule": (
        adamw(schedules.cosine(0.2, steps=400, end=0.01), weight_decay=0.3),
        optax.adamw(optax.cosine_decay_schedule(0.2, 400, alpha=0.05), weight_decay=0.3),
    ),
    "clipped momentum": (
        clip_by_norm(sgd(0.07, momentum=0.83), 1.7),
        optax.chain(optax.clip_by_global_norm(1.7), optax.sgd(0.07, momentum=0.83)),
    ),
    "clipped adam": (
        clip_by_norm(adam(0.02, beta1=0.37, eps=0.03), 1.7),
        optax.chain(optax.clip_by_global_norm(1.7), optax.adam(0.02, b1=0.37, eps=0.03)),
    ),
}


@pytest.fixture(scope="module", autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def gradients():
    rng = np.random.default_rng(0)
    return rng.normal(size=(500, 7)) * 10 ** rng.uniform(-3, 3, size=(500, 1))


def steps_of_optax(rule, gradients, x):
    def advance(carry, g):
        x, state = carry
        step, state = rule.update(g, state, x)
        return (optax.apply_updates(x, step), state), step

    x = jax.numpy.asarray(x)
    return np.asarray(jax.jit(lambda: jax.lax.scan(advance, (x, rule.init(x)), gradients)[1])())


@pytest.mark.parametrize("rule", RULES)
def test_each_of_500_steps_is_that_of_optax(rule, gradients):
    ours, theirs = RULES[rule]
    x = np.linspace(-3.0, 4.0, 7)
    expected = steps_of_optax(theirs, gradients, x)
    assert expected.dtype == np.float64
    state = ours.init(x)
    for g, step_of_optax in zip(gradients, expected, strict=True):
        step, state = ours.update(g, state, x)
        x = x + step
        assert np.abs(step - step_of_optax).max() <= TOLERANCE * np.abs(step_of_optax).max()
    assert state.k == 500
