"""The line below an exercise: ok, or not yet and a hint."""

import warnings
from numbers import Number

import numpy as np
import sympy as sp

_ROUNDING = 1e-12  # a computed 0 is seldom 0


def check(label, got, expected, *, tol=1e-3, hint=""):
    r"""Print one line that says whether an answer is right, |got - expected| <= tol |expected|.

    |expected| is the largest number of an array, and 1 where the expected number is 0.

    Parameters
    ----------
    label : str
        Number of the exercise, such as ``"3.2"``.
    got : object
        The reader's answer. Anything may be given; ``...`` stands for no answer yet, also in a
        part of the answer.
    expected : number, array, str, bool, SymPy expression, or tuple, list or dict of these
        The right answer. Arrays must agree in shape, strings up to upper case and blanks,
        expressions as functions of their symbols, which are matched by name.
    tol : float
        Relative tolerance, dimensionless. The default fits an answer worked out on paper.
    hint : str
        What to think of next, shown while an answer is given and not right.

    Returns
    -------
    None
        The line is printed.

    Notes
    -----
    It never raises, whatever the answer is. An answer that cannot be compared is not right yet.
    A number within two percent is called close, unless whole numbers are expected.

    Examples
    --------
    >>> check("1.1", 6.0, 6)
    1.1  ok
    >>> check("1.2", ..., [2, 4], hint="double each number")
    1.2  not yet: put your answer in the place of the dots
    >>> check("1.2", [1, 4], [2, 4], hint="double each number")
    1.2  not yet: double each number
    >>> check("1.3", 0.142, 1 / 7)
    1.3  not yet: close, give more digits
    """
    if _holds(_same, got, expected, tol):
        verdict = "ok"
    elif _holds(_unanswered, got):
        verdict = "not yet: put your answer in the place of the dots"
    elif _holds(_close, got, expected):
        verdict = "not yet: close, give more digits"
    else:
        verdict = f"not yet: {_line(hint)}" if _line(hint) else "not yet"
    print(f"{_line(label)}  {verdict}")


def _holds(test, *values):
    """Tell whether a test is passed; one that cannot be made is not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(test(*values))
    except Exception:
        return False


def _unanswered(got):
    parts = got if isinstance(got, tuple | list) else (got,)
    return any(part is ... for part in parts)


def _close(got, expected):
    whole = isinstance(expected, Number) and float(expected).is_integer()
    symbolic = isinstance(expected, sp.Basic | sp.MatrixBase) and expected.free_symbols
    return not whole and not symbolic and _same(got, expected, 0.02)


def _same(got, expected, tol):
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(_same(got[key], expected[key], tol) for key in expected)
        )
    if isinstance(expected, tuple | list):
        return isinstance(got, tuple | list | np.ndarray) and all(
            _same(*pair, tol) for pair in zip(got, expected, strict=True)
        )
    if isinstance(expected, str):
        return isinstance(got, str) and _line(got).casefold() == _line(expected).casefold()
    if isinstance(expected, bool | np.bool_):
        return isinstance(got, bool | np.bool_) and got == expected
    if isinstance(expected, sp.Basic | sp.MatrixBase):
        return _same_expression(got, expected, tol)
    return _same_numbers(got, expected, tol)


def _same_numbers(got, expected, tol):
    got, expected = _numbers(got), _numbers(expected)
    size = np.max(np.abs(expected), initial=0, where=np.isfinite(expected)) or 1
    near = np.isclose(got, expected, rtol=0, atol=tol * size + _ROUNDING, equal_nan=True)
    return got.shape == expected.shape and near.all()


def _numbers(value):
    """Return an array of numbers; text, booleans and what may have no end raise."""
    if not isinstance(value, Number | list | tuple | sp.Basic) and not hasattr(value, "__array__"):
        raise TypeError("not numbers")
    array = np.asarray(value)
    if array.dtype == object:
        array = array.astype(complex)
    if array.dtype.kind not in "iufc":
        raise TypeError("not numbers")
    return array


def _same_expression(got, expected, tol):
    """Tell whether two expressions, or matrices of them, are the same function."""
    got = sp.sympify(got, strict=True)
    if isinstance(expected, sp.MatrixBase):
        return got.shape == expected.shape and all(
            _same_expression(*pair, tol) for pair in zip(got, expected, strict=True)
        )
    by_name = {symbol.name: symbol for symbol in expected.free_symbols}
    got = got.subs({s: by_name[s.name] for s in got.free_symbols if s.name in by_name})
    return got == expected or _vanishes(got - expected, expected, tol)


def _vanishes(difference, expected, tol):
    """Tell whether a difference is zero: at three points, else by simplifying it."""
    symbols = sorted(difference.free_symbols | expected.free_symbols, key=str)
    for base in (0.31, 0.57, 0.83):
        at = {symbol: base + k / 7 for k, symbol in enumerate(symbols)}
        gap, size = difference.evalf(subs=at), expected.evalf(subs=at)
        if not (gap.is_number and gap.is_finite and size.is_number and size.is_finite):
            return sp.simplify(difference) == 0
        if not abs(gap) <= tol * (abs(size) or 1) + _ROUNDING:
            return False
    return True


def _line(text):
    """Return text as one line."""
    try:
        return " ".join(str(text).encode("utf-8", "replace").decode().split())
    except Exception:
        return ""
