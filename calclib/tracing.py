"""Plain Python rules become formulas and JavaScript.

A rule is ordinary arithmetic: ``lambda x, rate: x - rate * 2 * x``. Called with floats it gives
numbers. Called with SymPy symbols it gives its own formula, which SymPy prints as LaTeX for the
chapter and as JavaScript for the page. Nothing is written twice, so nothing can drift apart.

A `Program` is a list of such rules. Each quantity is a function of the quantities that its
parameters name::

    Let("y", lambda x: x * x)                    one number
    Sweep("t", grid, (Let("z", ...), ...))       a number for each point of a grid
    Orbit(("x",), start, step, steps=50)         a rule applied to its own result again and again
    Table("loss", losses, "epoch")               a number or a list looked up in recorded rows

Called with numbers a program runs in Python; `Program.javascript` prints the same program for the
browser. This module imports SymPy and the standard library alone.
"""

from __future__ import annotations

import inspect
import linecache
import math
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp
from sympy.printing.codeprinter import PrintMethodNotImplementedError
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.precedence import PRECEDENCE

JAVASCRIPT_RESERVED = frozenset(
    """
    arguments await break case catch class const continue debugger default delete do else enum eval
    export extends false finally for function if implements import in instanceof interface let new
    null package private protected public return static super switch this throw true try typeof
    undefined var void while with yield Math Infinity NaN input q
    """.split()  # noqa: SIM905
)


class TraceError(TypeError):
    """A rule does something that has no formula; the message names the operation.

    Parameters
    ----------
    *args : object
        As for `TypeError`.

    Examples
    --------
    >>> import math
    >>> formula(lambda x: math.sin(x), "x")
    Traceback (most recent call last):
        ...
    calclib.tracing.TraceError: cannot trace math.sin(x): it needs a number and got the symbol x; \
use tracing.sin(x)
    """


# --- functions that work on numbers and on symbols --------------------------------------------


def is_symbolic(*values: Any) -> bool:
    """Tell whether any of the values is a SymPy expression.

    Parameters
    ----------
    *values : object
        Numbers, SymPy expressions, anything.

    Returns
    -------
    bool
        True when at least one value is a SymPy object.

    Examples
    --------
    >>> is_symbolic(1.0, sp.Symbol("x")), is_symbolic(1.0)
    (True, False)
    """
    return any(isinstance(value, sp.Basic) for value in values)


def sin(x):
    """Sine of a number or of an expression, sin(x).

    Parameters
    ----------
    x : float or sympy.Expr
        Angle in radians.

    Returns
    -------
    float or sympy.Expr
        sin(x), dimensionless.

    Examples
    --------
    >>> sin(0.0), sin(sp.Symbol("x"))
    (0.0, sin(x))
    """
    return sp.sin(x) if is_symbolic(x) else math.sin(x)


def cos(x):
    """Cosine of a number or of an expression, cos(x).

    Parameters
    ----------
    x : float or sympy.Expr
        Angle in radians.

    Returns
    -------
    float or sympy.Expr
        cos(x), dimensionless.

    Examples
    --------
    >>> cos(0.0), cos(sp.Symbol("x"))
    (1.0, cos(x))
    """
    return sp.cos(x) if is_symbolic(x) else math.cos(x)


def sqrt(x):
    """Square root of a number or of an expression, defined for x >= 0.

    Parameters
    ----------
    x : float or sympy.Expr
        Not negative, any unit.

    Returns
    -------
    float or sympy.Expr
        The square root.

    Raises
    ------
    ValueError
        If x is a negative number.

    Examples
    --------
    >>> sqrt(9.0), sqrt(sp.Symbol("x"))
    (3.0, sqrt(x))
    """
    return sp.sqrt(x) if is_symbolic(x) else math.sqrt(x)


def where(condition, if_true, if_false):
    """Choose between two values by a condition, for numbers and for formulas.

    Parameters
    ----------
    condition : bool or sympy.Basic
        What decides. Join conditions with ``&`` and ``|``, not with ``and`` and ``or``.
    if_true, if_false : float or sympy.Expr
        The two values.

    Returns
    -------
    float or sympy.Expr
        One of the two values, or a `sympy.Piecewise`.

    Raises
    ------
    TypeError
        If the condition is neither true or false nor a formula, as ``~(1 > 0)``, which is -2.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> where(1 > 0, 2.0, 3.0), where(x > 0, x, 0)
    (2.0, Piecewise((x, x > 0), (0, True)))
    """
    if is_symbolic(condition):
        return sp.Piecewise((if_true, condition), (if_false, True))
    if not isinstance(condition, bool) and type(condition).__name__ not in ("bool", "bool_"):
        raise TypeError(
            f"where needs a condition, true or false, got {condition!r}; write a comparison, and "
            "where(condition, b, a) in place of ~condition"
        )
    return if_true if condition else if_false


# --- one rule -> formula, LaTeX, JavaScript ---------------------------------------------------


def formula(fun: Callable, *names: str):
    """Call a rule with symbols, so that it returns its own formula.

    Parameters
    ----------
    fun : callable
        A rule in plain arithmetic.
    *names : str
        One name for each argument of the rule.

    Returns
    -------
    sympy.Expr or structure of sympy.Expr
        What the rule returns: an expression, or a tuple, list or array of them.

    Raises
    ------
    TraceError
        If the rule does something that has no formula, such as ``if x > 0``, ``x == 0`` or
        ``math.sin(x)``.

    Notes
    -----
    SymPy orders terms its own way and cancels equal ones. The formula has the same value as the
    rule, but its rounding may differ; use one `Let` for each step where rounding is the topic.

    A symbol stands for a real, finite number. What a rule asks by ``isinstance``, by a look into a
    set or a dict, or by a comparison with infinity is answered for the symbol, without an error.

    Examples
    --------
    >>> formula(lambda x, rate: x - rate * 2 * x, "x", "rate")
    -2*rate*x + x
    """
    return _call(fun, [_symbol(name) for name in names])


def latex(fun: Callable, *names: str) -> str:
    r"""Print a rule as LaTeX.

    Parameters
    ----------
    fun : callable
        A rule in plain arithmetic.
    *names : str
        One name for each argument of the rule.

    Returns
    -------
    str
        LaTeX source without dollar signs; several results are separated by commas.

    Raises
    ------
    TraceError
        If the rule cannot be traced.

    Examples
    --------
    >>> latex(lambda x: x**2 / 2, "x")
    '\\frac{x^{2}}{2}'
    """
    return r",\; ".join(sp.latex(leaf) for leaf in leaves(formula(fun, *names)))


def javascript(fun: Callable, *names: str, name: str = "f") -> str:
    """Print a rule as a JavaScript function.

    Parameters
    ----------
    fun : callable
        A rule in plain arithmetic.
    *names : str
        One name for each argument of the rule.
    name : str
        Name of the JavaScript function.

    Returns
    -------
    str
        Source of a function of plain numbers. It returns a number, or a flat array when the rule
        returns several values. Common subexpressions are computed once.

    Raises
    ------
    TraceError
        If the rule cannot be traced.
    ValueError
        If a name is not a name in JavaScript.

    Examples
    --------
    >>> print(javascript(lambda x: (x**2 + 1) ** 2 + x**2, "x"))
    function f(x) {
      const $0 = x*x;
      return $0 + ($0 + 1)*($0 + 1);
    }
    """
    for each in (name, *names):
        _check_name(each)
    if len(set(names)) < len(names):
        raise ValueError(f"each argument needs a name of its own, got {', '.join(names)}")
    result = formula(fun, *names)
    shared, values = sp.cse([sp.sympify(leaf) for leaf in leaves(result)], _shared_names())
    lines = [f"  const {symbol} = {_print(value)};" for symbol, value in shared]
    printed = [_print(value) for value in values]
    body = printed[0] if leaves(result) == [result] else f"[{', '.join(printed)}]"
    return "\n".join([f"function {name}({', '.join(names)}) {{", *lines, f"  return {body};", "}"])


def leaves(structure: Any) -> list:
    """List the values in a nested structure, depth first.

    Parameters
    ----------
    structure : object
        A value, or tuples, lists and arrays of values, nested in any way. None holds no value.

    Returns
    -------
    list
        The values in order.

    Examples
    --------
    >>> leaves((1, (2, [3, None]), 4))
    [1, 2, 3, 4]
    """
    if structure is None:
        return []
    if isinstance(structure, sp.MatrixBase) or hasattr(structure, "ravel"):
        structure = structure.tolist()
    if isinstance(structure, (tuple, list)):
        return [leaf for part in structure for leaf in leaves(part)]
    return [structure]


# --- programs ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Let:
    """One or several named numbers, computed from quantities defined before.

    Parameters
    ----------
    names : str or tuple of str
        Name of the number, or names of the numbers that `fun` returns.
    fun : callable
        A rule in plain arithmetic. Its parameters are named after earlier quantities.

    Examples
    --------
    >>> Program(("x",), Let("y", lambda x: x * x))(x=3.0)
    {'x': 3.0, 'y': 9.0}
    """

    names: str | tuple[str, ...]
    fun: Callable

    def defines(self) -> list[str]:
        """Names that this quantity adds to the program, in order."""
        return [self.names] if isinstance(self.names, str) else list(self.names)

    def run(self, known: dict) -> dict:
        """Compute the numbers from those already known."""
        values = leaves(_call(self.fun, [known[name] for name in _parameters(self.fun)]))
        return dict(zip(self.defines(), values, strict=True))

    def print(self, writer: _Writer) -> None:
        """Write the statements that compute the numbers in JavaScript."""
        writer.assign(self.defines(), writer.trace(self.fun))
        for name in self.defines():
            writer.line(f"q.{name} = {name};")


@dataclass(frozen=True)
class Sweep:
    """The same quantities for each point of a grid.

    Parameters
    ----------
    name : str
        Name of the grid variable. Afterwards it names the list of grid points.
    grid : sequence of float
        The grid points.
    body : tuple of Let
        What to compute at each point; each name becomes a list as long as the grid.

    Examples
    --------
    >>> squares = Sweep("t", (0.0, 1.0, 2.0), (Let("z", lambda t, x: x * t * t),))
    >>> Program(("x",), squares)(x=3.0)["z"]
    [0.0, 3.0, 12.0]
    """

    name: str
    grid: Sequence[float]
    body: tuple[Let, ...]

    def defines(self) -> list[str]:
        """Names that this quantity adds to the program, in order."""
        return [self.name, *(name for let in self.body for name in let.defines())]

    def run(self, known: dict) -> dict:
        """Compute the lists from the numbers already known."""
        lists = {name: [] for name in self.defines()}
        for point in self.grid:
            here = {**known, self.name: float(point)}
            for let in self.body:
                here |= let.run(here)
            for name in lists:
                lists[name].append(here[name])
        return lists

    def print(self, writer: _Writer) -> None:
        """Write the loop over the grid in JavaScript."""
        for name in self.defines():
            writer.line(f"q.{name} = [];")
        grid = ", ".join(repr(float(point)) for point in self.grid)
        with writer.block(f"for (const {self.name} of [{grid}])"):
            for let in self.body:
                writer.assign(let.defines(), writer.trace(let.fun))
            for name in self.defines():
                writer.line(f"q.{name}.push({name});")


@dataclass(frozen=True)
class Orbit:
    """A rule applied to its own result again and again: x_0, x_1, x_2, ...

    Parameters
    ----------
    names : tuple of str
        Names of the parts of the state. Afterwards each names the list of its values, and
        ``<name>_last`` its last value.
    start : callable
        Gives the first state from earlier quantities.
    step : callable
        Gives the next state. Its parameters name parts of the state and earlier quantities.
    steps : int
        Largest number of steps.
    count : str
        Name for the number of steps made.
    until : callable, optional
        Stop at the first state for which this is true.
    bound : float
        Stop at the first state with a part that is not below this in absolute value.

    Examples
    --------
    >>> halve = Orbit(("x",), lambda x0: x0, lambda x: x / 2, steps=3)
    >>> Program(("x0",), halve)(x0=8.0)
    {'x0': 8.0, 'x': [8.0, 4.0, 2.0, 1.0], 'x_last': 1.0, 'n': 3}
    """

    names: tuple[str, ...]
    start: Callable
    step: Callable
    steps: int
    count: str = "n"
    until: Callable | None = None
    bound: float = 1e10

    def defines(self) -> list[str]:
        """Names that this quantity adds to the program, in order."""
        return [*self.names, *(f"{name}_last" for name in self.names), self.count]

    def run(self, known: dict) -> dict:
        """Make the steps from the numbers already known."""
        state = Let(self.names, self.start).run(known)
        step = Let(self.names, self.step)
        lists = {name: [] for name in self.names}
        while True:
            here = {**known, **state}
            for name in self.names:
                lists[name].append(state[name])
            made = len(lists[self.names[0]]) - 1
            inside = all(abs(value) < self.bound for value in state.values())
            if made >= self.steps or not inside or (self.until and self._stops(here)):
                break
            state = step.run(here)
        last = {f"{name}_last": state[name] for name in self.names}
        return {**lists, **last, self.count: made}

    def _stops(self, here: dict) -> bool:
        return bool(_call(self.until, [here[name] for name in _parameters(self.until)]))

    def print(self, writer: _Writer) -> None:
        """Write the loop in JavaScript."""
        for name in self.names:
            writer.line(f"q.{name} = [];")
        counter = f"q.{self.count}"
        writer.line(f"{counter} = 0;")
        with writer.block(""):
            writer.assign(self.names, writer.trace(self.start), keyword="let")
            inside = [f"Math.abs({name}) < {self.bound!r}" for name in self.names]
            with writer.block("for (;;)"):
                for name in self.names:
                    writer.line(f"q.{name}.push({name});")
                ends = [f"{counter} >= {self.steps}", f"!({' && '.join(inside)})"]
                if self.until:
                    ends.append(_print(leaves(writer.trace(self.until))[0]))
                writer.line(f"if ({' || '.join(ends)}) break;")
                nexts = [f"$next_{name}" for name in self.names]
                writer.assign(nexts, writer.trace(self.step))
                for name, value in zip(self.names, nexts, strict=True):
                    writer.line(f"{name} = {value};")
                writer.line(f"{counter} += 1;")
        for name in self.names:
            writer.line(f"const {name}_last = q.{name}_last = q.{name}[{counter}];")
        writer.line(f"const {self.count} = {counter};")


@dataclass(frozen=True)
class Table:
    """Recorded numbers: one row of them, chosen by an earlier number.

    Parameters
    ----------
    names : str or tuple of str
        Name of the column, or names of the columns.
    rows : sequence
        The rows. For one name an entry each, for several names a tuple of entries. The entries of
        a column are all numbers or all sequences of numbers.
    index : str
        Name of an earlier number: row 0, 1, ... It is rounded, and held between first and last.

    Raises
    ------
    ValueError
        If there is no row, a row has another length than names, or a column mixes numbers and
        sequences.

    Notes
    -----
    For what takes too long to compute while a slider moves, such as a training run: the rows are
    computed when the book is built, and the page looks them up.

    Examples
    --------
    >>> loss = Table("loss", (4.0, 2.0, 1.0), "epoch")
    >>> Program(("epoch",), loss)(epoch=1.0)
    {'epoch': 1.0, 'loss': 2.0}
    """

    names: str | tuple[str, ...]
    rows: Sequence
    index: str

    def __post_init__(self):
        if not len(self.rows):
            raise ValueError(f"the table {self.names} needs at least one row, got none")
        names = self.defines()
        for row in self._entries():
            if len(row) != len(names):
                raise ValueError(f"a row needs {len(names)} entries, {names}, got {len(row)}")
        for name, column in zip(names, self._columns(), strict=True):
            if len({isinstance(entry, list) for entry in column}) > 1:
                raise ValueError(f"the column {name!r} mixes numbers and sequences; use one kind")

    def defines(self) -> list[str]:
        """Names that this quantity adds to the program, in order."""
        return [self.names] if isinstance(self.names, str) else list(self.names)

    def numbers(self) -> list[str]:
        """Names of the columns that hold single numbers."""
        columns = zip(self.defines(), self._columns(), strict=True)
        return [name for name, column in columns if not isinstance(column[0], list)]

    def _entries(self) -> list:
        return [(row,) for row in self.rows] if isinstance(self.names, str) else list(self.rows)

    def _columns(self) -> list[list]:
        """Give each column as plain floats, or lists of plain floats."""
        plain = [[_plain_entry(entry) for entry in row] for row in self._entries()]
        return [list(column) for column in zip(*plain, strict=True)]

    def run(self, known: dict) -> dict:
        """Look the row up."""
        k = math.floor(known[self.index] + 0.5)
        k = max(0, min(len(self.rows) - 1, k))
        columns = zip(self.defines(), self._columns(), strict=True)
        return {name: column[k] for name, column in columns}

    def print(self, writer: _Writer) -> None:
        """Write the rows and the look-up in JavaScript."""
        last = len(self.rows) - 1
        at = f"Math.max(0, Math.min({last}, Math.floor({self.index} + 0.5)))"
        for name, column in zip(self.defines(), self._columns(), strict=True):
            rows = ",".join(_print_entry(entry) for entry in column)
            writer.line(f"const {name} = q.{name} = [{rows}][{at}];")


def _plain_entry(entry):
    """Turn a number, or a sequence of numbers, into floats of plain Python."""
    return [float(each) for each in entry] if hasattr(entry, "__len__") else float(entry)


def _print_entry(entry) -> str:
    if isinstance(entry, list):
        return f"[{','.join(map(_print_entry, entry))}]"
    return _print(entry).removesuffix(".0")


class Program:
    """Named quantities computed in order from named inputs, in Python and in JavaScript.

    Parameters
    ----------
    inputs : tuple of str
        Names of the input numbers: the sliders.
    *quantities : Let, Sweep, Orbit or Table
        What to compute, in order. Each rule may use the inputs and every number defined before.

    Raises
    ------
    ValueError
        If a name is used twice, is not a name in JavaScript, or is not defined before its use.

    Examples
    --------
    >>> secant = Program(
    ...     ("x", "h"),
    ...     Let("rise", lambda x, h: (x + h) ** 2 - x**2),
    ...     Let("slope", lambda rise, h: rise / h),
    ... )
    >>> secant(x=1.0, h=0.5)["slope"]
    2.5
    >>> print(secant.javascript())
    function compute(input) {
      const {x, h} = input;
      const q = {x, h};
      const rise = -(x*x) + (h + x)*(h + x);
      q.rise = rise;
      const slope = rise/h;
      q.slope = slope;
      return q;
    }
    """

    def __init__(self, inputs: tuple[str, ...], *quantities: Let | Sweep | Orbit | Table):
        self.inputs = tuple(inputs)
        self.quantities = quantities
        numbers = list(self.inputs)
        every = list(self.inputs)
        for name in numbers:
            _check_name(name)
        for quantity in quantities:
            for name in quantity.defines():
                _check_name(name)
                if name in every:
                    raise ValueError(f"the name {name!r} is used twice in the program; rename one")
                every.append(name)
            _check_uses(quantity, numbers)
            numbers += _numbers(quantity)

    def __call__(self, **values: float) -> dict:
        """Run the program with numbers; returns every quantity by name."""
        if sorted(values) != sorted(self.inputs):
            raise ValueError(f"inputs must be {sorted(self.inputs)}, got {sorted(values)}")
        known = {name: values[name] for name in self.inputs}
        for quantity in self.quantities:
            known |= quantity.run(known)
        return known

    def javascript(self) -> str:
        """Print the program as a JavaScript function of an object of inputs."""
        names = ", ".join(self.inputs)
        writer = _Writer()
        writer.line("function compute(input) {")
        writer.depth += 1
        writer.line(f"const {{{names}}} = input;")
        writer.line(f"const q = {{{names}}};")
        for quantity in self.quantities:
            quantity.print(writer)
        writer.line("return q;")
        writer.depth -= 1
        writer.line("}")
        return "\n".join(writer.lines)


# --- behind the counter -----------------------------------------------------------------------


class _Printer(JavascriptCodePrinter):
    """SymPy's printer, with floats in full and small powers as products."""

    def _print_Float(self, expr):  # noqa: N802
        return repr(float(expr))

    def _print_NaN(self, expr):  # noqa: N802
        return "NaN"

    def _print_BooleanTrue(self, expr):  # noqa: N802
        return "true"

    def _print_BooleanFalse(self, expr):  # noqa: N802
        return "false"

    def _print_Mul(self, expr):  # noqa: N802
        # x / 3 is printed as it is computed in Python, not as (1/3)*x.
        number, rest = expr.as_coeff_Mul()
        if number.is_Rational and number.q != 1:
            return f"{self.parenthesize(number.p * rest, PRECEDENCE['Mul'])}/{number.q}"
        return super()._print_Mul(expr)

    def _print_Pow(self, expr):  # noqa: N802
        if expr.exp == sp.Rational(1, 3):  # not Math.cbrt, which differs from Python below 0
            return f"Math.pow({self._print(expr.base)}, 1/3)"
        if expr.exp in (2, 3):
            factor = self.parenthesize(expr.base, PRECEDENCE["Pow"])
            return "*".join([factor] * int(expr.exp))
        return super()._print_Pow(expr)

    def parenthesize(self, item, level, strict=False):
        # A power printed as a product binds like a product.
        if item.is_Pow and item.exp in (2, 3) and level >= PRECEDENCE["Mul"]:
            return f"({self._print(item)})"
        return super().parenthesize(item, level, strict)


_JAVASCRIPT_WORDS = {"Math", "Number", "NaN", "true", "false"}


def _print(expression) -> str:
    expression = sp.sympify(expression)
    if expression.has(sp.I, sp.zoo):
        raise TraceError(
            f"cannot print {expression} as JavaScript: its numbers are real; return the real "
            "and the imaginary part, and divide by no zero"
        )
    try:
        printed = _Printer({"strict": True}).doprint(expression)
        known = {symbol.name for symbol in expression.free_symbols} | _JAVASCRIPT_WORDS
        unknown = set(re.findall(r"(?<![\w.$])[A-Za-z_]\w*", printed)) - known
        cause = None
    except PrintMethodNotImplementedError as error:
        unknown, cause = True, error
    if unknown:
        raise TraceError(
            f"cannot print {expression} as JavaScript: its Math has no such function; "
            "use arithmetic, powers, sin, cos, exp, log and their like"
        ) from cause
    return printed


def _shared_names():
    """Names for common subexpressions: no Python name begins with a dollar sign."""
    return sp.numbered_symbols("$", real=True)


class _Writer:
    """Lines of JavaScript with their indentation."""

    def __init__(self):
        self.lines: list[str] = []
        self.depth = 0
        self._shared = _shared_names()

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    def block(self, head: str) -> _Block:
        return _Block(self, head)

    def trace(self, fun: Callable):
        return formula(fun, *_parameters(fun))

    def assign(self, names: Sequence[str], result, keyword: str = "const") -> None:
        values = [sp.sympify(leaf) for leaf in leaves(result)]
        if len(values) != len(names):
            raise ValueError(f"{', '.join(names)}: expected {len(names)} values, got {len(values)}")
        shared, values = sp.cse(values, self._shared)
        for symbol, value in shared:
            self.line(f"const {symbol} = {_print(value)};")
        for name, value in zip(names, values, strict=True):
            self.line(f"{keyword} {name} = {_print(value)};")


class _Block:
    def __init__(self, writer: _Writer, head: str):
        self.writer, self.head = writer, head

    def __enter__(self):
        self.writer.line(f"{self.head} {{".lstrip())
        self.writer.depth += 1

    def __exit__(self, *_):
        self.writer.depth -= 1
        self.writer.line("}")


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)


@cache
def _parameters(fun: Callable) -> tuple[str, ...]:
    """Names of the parameters without a default: the quantities that the rule reads."""
    found = inspect.signature(fun).parameters.values()
    return tuple(each.name for each in found if each.default is each.empty)


def _numbers(quantity) -> list[str]:
    """List the names that stand for single numbers afterwards; later rules may read these."""
    if isinstance(quantity, Let):
        return quantity.defines()
    if isinstance(quantity, Table):
        return quantity.numbers()
    if isinstance(quantity, Orbit):
        return quantity.defines()[len(quantity.names) :]
    return []


def _check_uses(quantity, known: list[str]) -> None:
    for name, allowed in _uses(quantity, known):
        if name not in allowed:
            raise ValueError(
                f"the rule for {quantity.defines()[0]!r} reads {name!r}, which is not a number "
                f"defined before it; known here: {', '.join(allowed)}"
            )


def _uses(quantity, known: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each name that a quantity reads, with the names that it may read there."""
    if isinstance(quantity, Table):
        rules = []
        yield quantity.index, known
    elif isinstance(quantity, Let):
        rules = [(quantity.fun, known)]
    elif isinstance(quantity, Sweep):
        inner = [*known, *quantity.defines()]
        rules = [(let.fun, inner) for let in quantity.body]
    else:
        inner = [*known, *quantity.names]
        rules = [(quantity.start, known), (quantity.step, inner)]
        rules += [(quantity.until, inner)] if quantity.until else []
    for rule, allowed in rules:
        for name in _parameters(rule):
            yield name, allowed


def _check_name(name: str) -> None:
    if not name.isidentifier() or not name.isascii() or name in JAVASCRIPT_RESERVED:
        raise ValueError(
            f"{name!r} cannot name a quantity in JavaScript; use letters, digits and _, "
            "and neither a reserved word nor q"
        )


def _call(fun: Callable, arguments: list):
    """Call a rule; turn what SymPy cannot follow into a TraceError that names the operation."""
    if not is_symbolic(*arguments):
        return fun(*arguments)
    try:
        with _no_silent_branches():
            result = fun(*arguments)
    except TraceError:
        raise
    except (TypeError, AttributeError) as error:
        raise TraceError(_explain(error, arguments)) from error
    for leaf in leaves(result):
        if not isinstance(leaf, (int, float, complex, sp.Basic)) and not hasattr(leaf, "item"):
            raise TraceError(
                f"cannot trace a rule that returns {type(leaf).__name__}; "
                "return numbers, or tuples, lists or arrays of them"
            )
        known = set().union(*(getattr(each, "free_symbols", ()) for each in arguments))
        strangers = getattr(leaf, "free_symbols", set()) - known
        if strangers:
            names = ", ".join(sorted(each.name for each in strangers))
            raise TraceError(
                f"cannot trace a rule that brings the symbol {names} along; use a parameter for it"
            )
    return result


_rules = threading.local()  # .running: how many rules this thread is tracing


@contextmanager
def _no_silent_branches():
    """Refuse the questions that SymPy answers for the expression and not for its value.

    ``x == 0`` asks SymPy whether x is written 0, and ``if x`` is always true: a rule would take
    one branch in silence. While a rule runs, both raise an error where the rule asks them;
    SymPy's own code may ask. So do ``%`` and ``//``, which JavaScript rounds in another way,
    except ``//`` by a whole number, which is the same for whole numbers.
    """
    kept = {(owner, name): owner.__dict__.get(name) for owner, name in (*_QUESTIONS, *_ROUNDED)}
    nested = getattr(_rules, "running", 0)
    _rules.running = nested + 1
    try:
        if not nested:
            for (owner, name), method in kept.items():
                setattr(owner, name, _asked_by_a_rule(name, method))
        yield
    finally:
        _rules.running = nested
        if not nested:
            for (owner, name), method in kept.items():
                if method is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, method)


_QUESTIONS = ((sp.Basic, "__eq__"), (sp.Basic, "__ne__"), (sp.Basic, "__bool__"))
_ROUNDED = tuple(
    (sp.Expr, f"__{name}__")
    for name in ("floordiv", "rfloordiv", "mod", "rmod", "divmod", "rdivmod")
)


def _asked_by_a_rule(name: str, method: Callable | None) -> Callable:
    """Make the stand-in for a method of SymPy that refuses when a rule is the one who asks."""

    def rounded(self, other):
        whole = name == "__floordiv__" and isinstance(other, (int, sp.Integer))
        if not whole and getattr(_rules, "running", 0) and _asks(sys._getframe(1), self, other):
            sign = "//" if "floor" in name else "divmod" if "div" in name else "%"
            raise TraceError(
                f"cannot trace {sign} of {self} and {other}: Python and JavaScript round it in "
                "different ways; use sympy.floor(a / b)"
            )
        return method(self, other)

    def stand_in(self, *other):
        answer = method(self, *other) if method else True
        same = answer is (name == "__eq__")  # what is written alike is equal for every value
        settled = other and (same or other[0] is None)
        if getattr(_rules, "running", 0) and not settled:
            caller = sys._getframe(1)
            if _asks(caller, self, *other):
                where_ = linecache.getline(caller.f_code.co_filename, caller.f_lineno).strip()
                asked = {
                    "__eq__": lambda: f"the comparison {self} == {other[0]}",
                    "__ne__": lambda: f"the comparison {self} != {other[0]}",
                    "__bool__": lambda: f"a choice by whether {self} is true",
                }[name]()
                raise TraceError(
                    f"cannot trace {asked}{f' in the line `{where_}`' if where_ else ''}: a "
                    "formula has no single branch; use tracing.where(condition, a, b) with a "
                    "condition such as x > 0 or sympy.Eq(x, 0), and & for and, | for or"
                )
        return answer

    return rounded if (sp.Expr, name) in _ROUNDED else stand_in


def _asks(caller, *values) -> bool:
    """Tell whether a rule, and not SymPy, asks something about expressions with symbols."""
    package = caller.f_globals.get("__name__", "").partition(".")[0]
    symbols = set().union(*(getattr(each, "free_symbols", ()) for each in values))
    return package not in ("sympy", "mpmath") and bool(symbols)


def _explain(error: Exception, arguments: list) -> str:
    """Say which operation of the rule has no formula, and what to write instead."""
    trace = error.__traceback__
    frames = []
    while trace:
        frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    ours = [each for each in frames if "sympy" not in each[0] and each[0] != __file__]
    line = linecache.getline(*ours[-1]).strip() if ours else ""
    got = ", ".join(str(each) for each in arguments if is_symbolic(each))
    text = str(error)
    if "truth value" in text:
        found = re.search(r"(?:truth value of Relational|Relational):?\s*(.*)", text)
        test = found.group(1).strip() if found and found.group(1).strip() else line
        return (
            f"cannot trace the comparison {test}: a formula has no single branch; "
            "use tracing.where(condition, a, b), and & for and, | for or"
        )
    ufunc = re.search(r"no callable (\w+) method", text)
    if ufunc:
        name = ufunc.group(1)
        instead = "write v ** 0.5" if name == "sqrt" else f"use sympy.{name}"
        return f"cannot trace np.{name} of the symbol {got}: it needs numbers; {instead}"
    called = re.search(r"\bmath\.(\w+)\(([^()]*)\)", line)
    if called:
        home = "tracing" if called.group(1) in globals() else "sympy"
        return (
            f"cannot trace {called.group(0)}: it needs a number and got the symbol {got}; "
            f"use {home}.{called.group(1)}({called.group(2)})"
        )
    if "to float" in text or "to int" in text:
        text = f"the symbol {got} is not a number for float(), int() or a math function"
    where_ = f" in the line `{line}`" if line else ""
    return (
        f"cannot trace this operation{where_}: {text}; "
        "a rule may add, multiply, divide, take powers and call tracing's functions"
    )
