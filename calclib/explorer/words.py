"""Numbers in sentences: the same words in Python and in the browser.

`explorer.js` has the same two functions; a browser test holds them together.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Context, Decimal

FIELD = re.compile(r"\{(\w+)(?::([^}]*))?\}")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, form: str = "g") -> str:
    """Write a number for reading: a true minus sign, powers of ten in words' order.

    Parameters
    ----------
    value : float
        The number, any unit.
    form : str
        ``".2f"`` for two decimals, ``"g"`` for three significant digits.

    Returns
    -------
    str
        For example ``−0.80``, ``0.0123`` or ``4.2 × 10⁻⁷``. Ties round away from zero.

    Raises
    ------
    ValueError
        If the form is neither.

    Examples
    --------
    >>> number(-0.8, ".2f"), number(1234567.0), number(0.000042)
    ('−0.80', '1.23 × 10⁶', '4.20 × 10⁻⁵')
    """
    if form != "g" and not re.fullmatch(r"\.\df", form):
        raise ValueError(f'form must be like ".2f" or "g", got {form!r}')
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinity" if value > 0 else "minus infinity"
    digits = _fixed(abs(value), int(form[1])) if form != "g" else _three_digits(abs(value))
    sign = "−" if value < 0 and re.search("[1-9]", digits) else ""
    return sign + digits


def fill(template: str, quantities: dict) -> str:
    """Fill a sentence with quantities.

    Parameters
    ----------
    template : str
        Text with fields like ``{slope:.2f}``; a field without a form means ``g``. A word as form
        counts: ``{n:step}`` is "1 step" or "6 steps".
    quantities : dict
        Numbers by name.

    Returns
    -------
    str
        The sentence.

    Raises
    ------
    KeyError
        If a field names no quantity.

    Examples
    --------
    >>> fill("The slope is {slope:.1f} after {n:step}.", {"slope": 3.0, "n": 1})
    'The slope is 3.0 after 1 step.'
    """
    return FIELD.sub(lambda field: _field(quantities[field[1]], field[2] or "g"), template)


def _field(value: float, form: str) -> str:
    if form == "g" or not form.isalpha():
        return number(value, form)
    count = number(value, ".0f")
    return f"{count} {form}" if count == "1" else f"{count} {form}s"


def _fixed(value: float, decimals: int) -> str:
    unit = Decimal(1).scaleb(-decimals)
    return str(Decimal(value).quantize(unit, ROUND_HALF_UP, Context(prec=400)))


def _three_digits(value: float) -> str:
    if value == 0:
        return "0"
    rounded = Context(prec=3, rounding=ROUND_HALF_UP).plus(Decimal(value))
    power = rounded.adjusted()
    if -4 <= power < 5:
        return _fixed(float(rounded), max(0, 2 - power))
    mantissa = _fixed(float(rounded.scaleb(-power)), 2)
    return f"{mantissa} × 10{str(power).translate(SUPERSCRIPTS)}"
