"""The line below an exercise: ok, or not yet and a hint."""

import math
import warnings
from numbers import Integral, Number

import numpy as np
import sympy as sp

_ROUNDING = 1e-12  # a computed 0 is seldom 0
_ON_PAPER, _EXACT, _CLOSE = 1e-3, 1e-9, 0.02
_NEAR = "within two percent. More digits, or is a small term missing?"
_NEAR_IN_FULL = "within two percent, and digits are not what is missing."
_WHOLE = 1e-6  # how far a count that was computed with floats may be off
# Where expressions are compared: both signs, small, middling and large
_POINTS = tuple(
    sp.Rational(k, 100) for k in (31, 57, -43, 83, 219, -161, 2, 617, -283, -7, 381, -731, 523)
)


def check(label, got, expected, *, tol=None, hint=""):
    r"""Print one line that says whether an answer is right, |got - expected| <= tol |expected|.

    |expected| is the largest number of an array, and 1 where the expected number is 0. An int, or
    an array of them, is a count and is right or wrong: 6931 is not 6932.

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
    tol : float, optional
        Relative tolerance, dimensionless, for all numbers and expressions. The default is 1e-3 for
        floats, which fits an answer worked out on paper, none for whole numbers, and 1e-9 for
        expressions with symbols.
    hint : str
        What to think of next, shown while an answer is given and not right.

    Returns
    -------
    None
        The line is printed.

    Notes
    -----
    It never raises, whatever the answer is. An answer that cannot be compared is not right yet.
    A number within two percent is told so, unless a whole number is expected, and the hint follows:
    it may lack digits, or a small term. With more digits than the tolerance asks for, as a program
    computes them, it does not lack digits: these are four by default, seven for ``tol=1e-6``. For a
    count 88.0 is as good as 88, and so is what rounding makes of it, up
    to 1e-6.

    Two expressions are compared at points of both signs and several sizes, at those where both are
    real and finite; symbols declared positive, negative or integer stay so. Agreement at points
    makes it likely that they are the same, and proves nothing. Where fewer than three points are
    left, the difference must simplify to 0.

    Examples
    --------
    >>> check("1.1", 6.0, 6)
    1.1  ok
    >>> check("1.2", ..., [2, 4], hint="double each number")
    1.2  not yet: replace the dots
    >>> check("1.2", [1, 4], [2, 4], hint="double each number")
    1.2  not yet: double each number
    >>> check("1.3", 0.142, 1 / 7)
    1.3  not yet: within two percent. More digits, or is a small term missing?
    >>> check("1.4", 6931, 6932, hint="round up")
    1.4  not yet: round up
    """
    tols = (_ON_PAPER, None, _EXACT) if tol is None else (tol, tol, tol)
    if _holds(_same, got, expected, tols):
        verdict = "ok"
    elif _holds(_unanswered, got):
        verdict = "not yet: replace the dots"
    elif _holds(_close, got, expected):
        near = _NEAR if _holds(_brief, got, tols[0]) else _NEAR_IN_FULL
        verdict = f"not yet: {near} {_line(hint)}".rstrip()
    elif _line(hint):
        verdict = f"not yet: {_line(hint)}"
    elif _holds(_same, got, expected, (_CLOSE, _CLOSE, _EXACT)):
        verdict = "not yet: close, but a whole number must be exact"
    else:
        verdict = "not yet"
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
    return not whole and _same(got, expected, (_CLOSE, None, _EXACT))


def _brief(got, tol):
    """Tell whether every number has no more digits than tol asks for, as somebody types them."""
    if isinstance(got, dict):
        return all(_brief(part, tol) for part in got.values())
    if isinstance(got, tuple | list):
        return all(_brief(part, tol) for part in got)
    if isinstance(got, str | bool):
        return True
    numbers = _numbers(got)
    parts = np.append(numbers.real, numbers.imag)
    digits = 1 - math.floor(math.log10(max(tol, _ROUNDING)))
    return all(float(f"{part:.{digits}g}") == part for part in parts)


def _same(got, expected, tols):
    """Tell whether two things agree; tols are for floats, whole numbers and expressions."""
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(_same(got[key], expected[key], tols) for key in expected)
        )
    if isinstance(expected, tuple | list):
        return isinstance(got, tuple | list | np.ndarray) and all(
            _same(*pair, tols) for pair in zip(got, expected, strict=True)
        )
    if isinstance(expected, str):
        return isinstance(got, str) and _line(got).casefold() == _line(expected).casefold()
    if isinstance(expected, bool | np.bool_):
        return isinstance(got, bool | np.bool_) and got == expected
    if isinstance(expected, sp.Basic | sp.MatrixBase):
        return _same_expression(got, expected, tols)
    whole = isinstance(expected, int) or np.asarray(expected).dtype.kind in "iu"
    return _same_numbers(got, expected, tols[1 if whole else 0])


def _same_numbers(got, expected, tol):
    """Tell whether numbers agree up to tol |expected|; without a tol they are counts."""
    number, count = _numbers(got), _numbers(expected)
    if tol is None and isinstance(got, Integral) and isinstance(expected, Integral):
        return got == expected  # also where floats cannot tell them apart
    size = np.max(np.abs(count), initial=0, where=np.isfinite(count)) or 1
    limit = _WHOLE if tol is None else tol * size + _ROUNDING
    near = np.isclose(number, count, rtol=0, atol=limit, equal_nan=True)
    return number.shape == count.shape and near.all()


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


def _same_expression(got, expected, tols):
    """Tell whether two expressions, or matrices of them, are the same function."""
    got = sp.sympify(got, strict=True)
    if isinstance(expected, sp.MatrixBase):
        return got.shape == expected.shape and all(
            _same_expression(*pair, tols) for pair in zip(got, expected, strict=True)
        )
    by_name = {symbol.name: symbol for symbol in expected.free_symbols}
    got = got.subs({s: by_name[s.name] for s in got.free_symbols if s.name in by_name})
    if got == expected:
        return True
    symbols = sorted(got.free_symbols | expected.free_symbols, key=str)
    if not symbols:
        return _same_numbers(got, expected, tols[0])
    return _same_function(got, expected, symbols, tols[2])


def _same_function(got, expected, symbols, tol):
    """Tell whether a difference is zero: at points where both are real, else by simplifying."""
    difference, met = got - expected, 0
    for j in range(len(_POINTS)):
        at = {symbol: _value(symbol, j * (k + 1) + k) for k, symbol in enumerate(symbols)}
        here, there = (_real(expr.evalf(subs=at)) for expr in (got, expected))
        if here is None or there is None:
            continue
        met += 1
        limit = tol * abs(there) if abs(there) > sp.Float("1e-100") else _ROUNDING
        if not abs(difference.evalf(subs=at)) <= limit:
            return False
    return met >= 3 or sp.simplify(difference) == 0


def _value(symbol, j):
    """Return point number j, as a number that the symbol may stand for."""
    value = _POINTS[j % len(_POINTS)]
    if symbol.is_nonnegative:
        value = abs(value)
    elif symbol.is_nonpositive:
        value = -abs(value)
    return value if symbol.is_integer is not True else sp.sign(value) * sp.ceiling(abs(value))


def _real(value):
    """Return a number if it is real and finite, else None."""
    if not (value.is_number and value.is_finite):
        return None
    real, imaginary = value.as_real_imag()
    return real if abs(imaginary) <= _ROUNDING * abs(real) else None


def _line(text):
    """Return text as one line."""
    try:
        return " ".join(str(text).encode("utf-8", "replace").decode().split())
    except Exception:
        return ""
