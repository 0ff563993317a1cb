"""The length of vectors: exact where plain squares are, and right where they are not."""

import numpy as np
import pytest

from calclib._length import length


def test_it_is_that_of_plain_squares_to_the_last_bit():
    a = np.random.default_rng(8).normal(size=(5, 40)) * 10.0 ** np.arange(-20, 20)
    assert (length(a, axis=0) == np.sqrt((a * a).sum(axis=0))).all()


@pytest.mark.parametrize("size", [5e-324, 1e-200, 1.0, 1e200, 3e307])
def test_squares_neither_overflow_nor_vanish(size):
    assert length([3 * size, -4 * size]) == pytest.approx(5 * size, rel=1e-15)
    assert length([[3 * size, 0.0], [0.0, 4 * size]]) == pytest.approx(5 * size, rel=1e-15)


def test_each_column_has_its_own_scale():
    a = np.array([[3e200, 3e-200, 0.0], [4e200, 4e-200, 0.0]])
    np.testing.assert_allclose(length(a, axis=0), [5e200, 5e-200, 0.0], rtol=1e-15)


def test_along_any_axis():
    a = np.array([[3.0, 4.0], [3e200, 4e200], [3e-200, 4e-200]])
    for b, axis in ((a, 1), (a, -1), (a[None], 2), (a.T[:, None], 0)):
        np.testing.assert_allclose(np.ravel(length(b, axis=axis)), [5, 5e200, 5e-200], rtol=1e-15)


def test_whole_numbers_and_truth_values_count_as_floats():
    assert length(np.int8([60, 80])) == 100
    assert length(np.ones(300_000, bool)) == pytest.approx(300_000**0.5, rel=1e-15)


def test_numbers_nothing_and_what_is_not_finite():
    assert length(-2.0) == 2.0
    assert length(np.zeros(3)) == length(np.zeros(0)) == 0.0
    assert length([np.inf, 1.0]) == np.inf
    assert np.isnan(length([np.nan, 1.0]))
    assert length([1.7e308, 1.7e308]) == np.inf
