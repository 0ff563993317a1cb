"""The complex step needs a function that complex numbers pass through unharmed.

|x|, a comparison or a dropped imaginary part give a wrong slope without a word. So the
argument goes in guarded: every operation on it that is not complex differentiable raises.
"""

import warnings

import numpy as np

from calclib import _validate

_NOT_ANALYTIC = {"conjugate", "sign", "rint", "maximum", "minimum", "fmax", "fmin", "clip"}


def evaluate(fun, x):
    """Return fun(x) for a complex x, finite; a real value means that fun ignores x."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            value = np.asarray(fun(np.asarray(x).view(Guarded)))
    except (TypeError, ValueError, ArithmeticError, np.exceptions.ComplexWarning) as error:
        raise ValueError(
            f"the complex step cannot pass through fun at x={_validate.show(np.real(x))}: "
            f"{error}; use scheme='central'"
        ) from error
    _validate.finite(np.real(value), np.real(x))
    _validate.finite(np.imag(value), np.real(x))
    return value


class Guarded(np.ndarray):
    """A complex array that refuses every operation that is not complex differentiable."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if "out" in kwargs:
            kwargs["out"] = tuple(map(_bare, kwargs["out"]))
        result = getattr(ufunc, method)(*map(_bare, inputs), **kwargs)
        return _guard(result, ufunc.__name__)

    def __array_function__(self, func, types, args, kwargs):
        return _guard(super().__array_function__(func, types, args, kwargs), func.__name__)

    def __getitem__(self, index):
        return np.asarray(super().__getitem__(index)).view(Guarded)

    @property
    def real(self):
        raise TypeError("x.real drops the imaginary part")

    @property
    def imag(self):
        raise TypeError("x.imag drops the real part")


def _bare(value):
    return value.view(np.ndarray) if isinstance(value, Guarded) else value


def _guard(result, name):
    """Guard the result of an operation, or refuse the operation."""
    if not isinstance(result, np.ndarray | np.generic):
        return result
    if name in _NOT_ANALYTIC or result.dtype.kind in "biuf":
        raise TypeError(f"{name} compares complex numbers or drops a part of them")
    return np.asarray(result).view(Guarded) if result.dtype.kind == "c" else result
