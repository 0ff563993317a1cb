"""The guard of the complex step: what it lets pass, and what it refuses at the operation itself."""

import cmath
import math

import numpy as np
import pytest

from calclib import _analytic

Z = np.array([0.5 + 1e-20j, -1.25 + 0j])

REFUSED = {
    "conjugate": lambda z: z.conj(),
    "sign": np.sign,
    "rint": np.rint,
    "maximum": lambda z: np.maximum(z, 0.1),
    "minimum": lambda z: np.minimum(z, 0.1),
    "fmax": lambda z: np.fmax(z, 0.1),
    "fmin": lambda z: np.fmin(z, 0.1),
    "clip": lambda z: np.clip(z, -1, 1),
    "absolute": abs,
    "greater": lambda z: z > 0,
    "less": lambda z: sorted(z),
    "equal": lambda z: z == 0,
    "isnan": np.isnan,
    "argmax": np.argmax,
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_operation_that_is_not_analytic_is_refused_by_name(name):
    with pytest.raises(ValueError, match=rf"cannot pass .*{name}.*scheme='central'"):
        _analytic.evaluate(REFUSED[name], Z)


@pytest.mark.parametrize("name", ["conjugate", "sign", "maximum", "absolute", "greater"])
@pytest.mark.parametrize(
    "before",
    [
        lambda z: z[:1],
        lambda z: z[0],
        lambda z: next(iter(z)),
        lambda z: 2 * z,
        lambda z: np.exp(z),
        lambda z: np.add(z, 1, out=z),
        lambda z: np.concatenate([z, z]),
        lambda z: np.sum(z),
        lambda z: z.sum(),
        lambda z: z.reshape(2, 1).T,
        lambda z: z.copy(),
    ],
)
def test_what_is_made_of_a_guarded_array_is_guarded_too(before, name):
    with pytest.raises(ValueError, match="cannot pass"):
        _analytic.evaluate(lambda z: np.sum(REFUSED[name](before(z))), Z.copy())


@pytest.mark.parametrize(
    ("fun", "words"),
    [
        (lambda z: z.real, r"x\.real drops the imaginary part"),
        (np.real, r"x\.real drops the imaginary part"),
        (lambda z: z.imag, r"x\.imag drops the real part"),
        (np.angle, r"x\.imag drops the real part"),
        (np.imag, r"x\.imag drops the real part"),
        (lambda z: z.astype(float), "discards the imaginary part"),
        (lambda z: np.asarray(z).astype(float), "discards the imaginary part"),
        (lambda z: float(z[0]), "cannot pass"),
        (lambda z: math.sin(z[0]), "cannot pass"),
    ],
)
def test_a_dropped_part_is_refused(fun, words):
    with pytest.raises(ValueError, match=words):
        _analytic.evaluate(fun, Z)


@pytest.mark.parametrize("value", [np.nan, np.inf, complex(0, np.inf), complex(0, np.nan)])
def test_a_value_that_is_not_finite_is_refused_by_its_real_point(value):
    with pytest.raises(ValueError, match=r"fun is not finite at x=0\.5"):
        _analytic.evaluate(lambda z: value, np.asarray(0.5 + 1e-20j))


@pytest.mark.parametrize(
    ("fun", "value"),
    [
        (lambda z: z @ z, 1.8125 + 1e-20j),
        (lambda z: z[0] ** 2, 0.25 + 1e-20j),
        (lambda z: cmath.exp(z[0]) / cmath.exp(0.5), 1 + 1e-20j),
        (lambda z: np.cumsum(z)[-1], -0.75 + 1e-20j),
        (lambda z: 3.0, 3.0),
        (lambda z: z.size, 2),
    ],
)
def test_analytic_functions_pass_with_their_imaginary_part(fun, value):
    got = _analytic.evaluate(fun, Z)
    assert got.real == pytest.approx(np.real(value), rel=1e-15)
    assert got.imag == pytest.approx(np.imag(value), rel=1e-15)
    assert np.iscomplexobj(got) == isinstance(value, complex)


def test_warnings_of_the_arithmetic_stay_inside():
    zero = np.float64(0)
    assert _analytic.evaluate(lambda z: z[0] / (1 + 1 / (1 / zero)), Z).real == 0.5
