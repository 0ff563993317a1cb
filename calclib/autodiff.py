"""Derivatives of programs: every operation knows its own, and the chain rule joins them.

The engine comes first: numbers that remember, how an operation meets them, the sweep back, the
verbs. The table of rules follows, and last the names under which Python and NumPy reach it.

Vocabulary
----------
x, a, b     the arguments of an operation
y           its result
g           a cotangent, d(out)/dy or d(out)/dx, of the shape of what it belongs to
t           a tangent, dy/ds or dx/ds along a line with parameter s, likewise
pull        g of the result -> g of one argument, g dy/dx: reverse mode
push        t of one argument -> t of the result, dy/dx t: forward mode
level       which derivative a number works for; a higher level is a derivative further inside

A `Var` holds a value and remembers how it was made. All Vars together are the tape, which the
sweep plays backward. The value may itself be traced, for an outer derivative: an operation strips
the highest level and applies itself to the values. The rules are written with the same operations,
so they can be differentiated again.
"""

import builtins
import inspect
import itertools
import operator
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from calclib import _validate

_next_number = itertools.count(1).__next__  # the age of a Var; also numbers the levels
_by_number = operator.attrgetter("number")
_new = object.__new__
_FLOAT64 = np.dtype(float)


# Numbers that remember

_LOST = (
    "a plain number or array made of a Var would lose its derivative; use x.value where none is "
    "wanted, calclib.autodiff.sin in place of math.sin, and collect Vars with "
    "calclib.autodiff.stack or concatenate"
)


class _Traced:
    """What `Var` and `_Dual` share: they read like the number or array that they hold."""

    __slots__ = ("_value", "level")
    __hash__ = object.__hash__

    value = property(lambda self: _read_only(self._value))
    shape = property(lambda self: _shape(self._value))
    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: _size(self._value))
    T = property(lambda self: _transpose(self, None))

    def reshape(self, *shape):
        return _reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes):
        return transpose(self, axes[0] if len(axes) == 1 else axes or None)

    def __getitem__(self, index):
        parts = isinstance(index, tuple)
        return _getitem(self, tuple(map(_part, index)) if parts else _part(index))

    def __getattr__(self, name):  # only where there is nothing else of this name
        if hasattr(np.ndarray, name) and not name.startswith("_"):
            raise AttributeError(_no_rule(f"x.{name}", name))
        raise AttributeError(f"{type(self).__name__.strip('_')} has no attribute {name!r}")

    def __setitem__(self, index, value):
        raise TypeError(
            "a Var cannot be changed in place, its old value is part of the derivative; build the "
            "new array with calclib.autodiff.where, concatenate or stack"
        )

    def __len__(self):
        return len(self._value)

    def __bool__(self):
        return bool(_plain(self))

    def __format__(self, spec):
        return format(_plain(self), spec) if spec else repr(self)

    def __repr__(self):
        return f"{type(self).__name__.strip('_')}({_text(self._value)})"

    def __array__(self, *args, **options):
        raise TypeError(_LOST)

    __float__ = __int__ = __index__ = __complex__ = __round__ = __array__

    def __array_ufunc__(self, ufunc, method, *args, **options):
        if "out" in options:
            raise TypeError(f"{_LOST}; in place of a += b write a = a + b")
        if method == "__call__":
            return _from_numpy(ufunc, ufunc.__name__, args, options)
        return _from_numpy(getattr(ufunc, method), f"{ufunc.__name__}.{method}", args, options)

    def __array_function__(self, function, types, args, options):
        return _from_numpy(function, function.__name__, args, options)


class Var(_Traced):
    """A number or array that remembers how it was made.

    Parameters
    ----------
    value : float or array_like
        Integers and booleans are promoted to float64, a 0-d array to a float. It is copied.
    name : str, optional
        What `tape` calls it.

    Attributes
    ----------
    value : float or ndarray
        What it holds; an array is read-only, because the tape needs it.
    shape, ndim, size, T
        As in NumPy.

    Raises
    ------
    ValueError, TypeError
        If the value is empty, not finite, or does not hold numbers.

    Notes
    -----
    It takes part in arithmetic, indexing and NumPy functions. What has no rule raises an error
    that names the functions to use. Comparisons give plain booleans, so ``if`` and ``while``
    follow the value. ``float(x)`` and ``math.sin(x)`` would be constants to the tape: they raise
    an error. So does storing x in a plain array, where NumPy says "setting an array element with a
    sequence" and names this reason above its own.

    Examples
    --------
    >>> x = Var(3.0, name="x")
    >>> y = x * x + sin(x)
    >>> y > 9, round(y.value, 4)
    (True, 9.1411)
    >>> round(backward(y)[x], 4)
    5.01
    """

    __slots__ = ("inputs", "links", "name", "number", "operation")

    def __new__(cls, value, name=None):  # noqa: D102
        if isinstance(value, _Traced):
            raise TypeError(f"value must be a plain number or array, got {value}; use it as it is")
        self = _node(_door(value, "value"), 0)
        self.name = name
        return self


def _node(y, level, operation=None, links=(), inputs=()):
    """Return the Var of a result; links are (position, argument, pull)."""
    node = _new(Var)
    node._value, node.level, node.number = y, level, _next_number()
    node.operation, node.links, node.inputs = operation, links, inputs
    return node


class _Dual(_Traced):
    """A number with its tangent, x + t e where e^2 = 0."""

    __slots__ = ("tangent",)

    def __init__(self, value, tangent, level):
        self._value, self.tangent, self.level = value, tangent, level


def _dual(y, level, operation, links, inputs):
    """Return the dual number of a result: its tangent is the sum of what each argument pushes."""
    if operation.join:  # of tangents, and 0 for constants
        tangents, (parts, where) = {k: x.tangent for k, x, _ in links}, inputs
        parts = [tangents.get(k, np.zeros(_shape(a))) for k, a in enumerate(parts)]
        return _Dual(y, operation.join(*parts, where), level)
    pushed = [_carried_on(push, (x.tangent, y, *inputs)) for _, x, push in links]
    t = reduce(operator.add, pushed)
    return _Dual(y, t if _shape(t) == _shape(y) else _broadcast(t, _shape(y)), level)


class _Counted(_Traced):
    """A number that counts the operations on it."""

    __slots__ = ("tally",)

    def __init__(self, value, tally, level):
        self._value, self.tally, self.level = value, tally, level


def _counted(y, level, operation, links, inputs):
    tally = links[0][1].tally
    tally["operations"] += 1
    tally["multiply_adds"] += operation.work(y, *inputs)
    return _Counted(y, tally, level)


def _plain(x):
    while isinstance(x, _Traced):
        x = x._value
    return x


def _shape(x):
    return getattr(x, "shape", ())


def _size(x):
    return getattr(x, "size", 1)


def _text(x):
    return _validate.show(x) if isinstance(x, np.ndarray) else str(x)


def _read_only(x):
    if isinstance(x, np.ndarray):
        x = np.asarray(memoryview(x).toreadonly())  # a view that nobody can make writable again
    return x


# How an operation meets its arguments


class _Operation(NamedTuple):
    name: str
    value: Callable
    work: Callable
    join: Callable | None  # itself, if it joins parts


_MADE_BY = {Var: _node, _Dual: _dual, _Counted: _counted}
_WORK = {
    "results": lambda y, *args: _size(y),
    "terms": lambda y, x, *how: _size(x),
    "products": lambda y, a, *_: _size(y) * _shape(a)[-1],
    "overlaps": lambda y, parts, where: builtins.sum(map(_size, parts[1:])),
    "none": lambda *_: 0,
}
_NUMBERS = {float, int}
_PLAIN_KINDS = {float, np.ndarray}  # what a Var holds that is not traced again
_PARTS = (slice, int, np.integer, np.bool, type(None), type(...))  # of an index; the rest are lists
_OF_SHAPES = ("broadcast", "core dimension", "dimensions", "dimensional", "reshape")


def primitive(name, value, pulls, pushes=None, *, linear=False, work="results"):
    """Make an operation from its value and its rules.

    Parameters
    ----------
    name : str
        What errors and `tape` call it.
    value : callable
        ``value(*args)`` on plain numbers and arrays, by position; the result is a new array.
    pulls : sequence of callables, or None
        ``pull(g, y, *args)`` for each argument: the cotangent of y carried back, g dy/dx. What
        broadcasting has enlarged is summed up afterwards. Arguments beyond are options. None is
        for what joins parts, in this module: value is given a list of them and one option, which
        has first, for each part, the index of its place in the result.
    pushes : sequence of callables, optional
        ``push(t, y, *args)`` for each argument: its tangent carried forward, dy/dx t. They are the
        pulls themselves where y is made entry by entry: g dy/dx and dy/dx t are one product. By
        default there are none, and `jvp` and `hvp` refuse the operation.
    linear : bool, default False
        Say that y is linear in each argument: then t is pushed as the argument itself is.
    work : {"results", "terms", "products", "overlaps", "none"}
        What `cost` counts: one multiply-add for each entry of y, for each entry of the argument,
        for each product in a matrix product, for each entry added to those of a first part, or
        none.

    Returns
    -------
    callable
        The operation, for numbers, arrays and Vars.

    Notes
    -----
    Write rules with operators and the functions of this module, and derivatives of any order
    follow.

    Examples
    --------
    >>> slope = [lambda g, y, x: g * 3 * x**2]
    >>> cube = primitive("cube", lambda x: x**3, slope, slope)
    >>> grad(cube)(2.0), grad(grad(cube))(2.0), jvp(cube, 2.0, 1.0)
    (12.0, 12.0, (8.0, 12.0))
    """

    def apply(*args):
        top, operands = None, count or len(args) - 1
        for a in args:
            if isinstance(a, _Traced) and (top is None or a.level > top.level):
                top = a
        if top is None:
            inputs = [*map(_promoted, args[:operands]), *args[operands:]]
            return _evaluate(operation, inputs if count else (inputs[:-1], inputs[-1]))
        kind, level, links, inputs = type(top), top.level, [], []
        rules, nested = pulls if kind is Var else pushes, False
        for k, a in enumerate(args):
            if k >= operands:
                a = _fixed(a)
            elif isinstance(a, _Traced):
                if a.level == level:
                    links.append((k, a, rules[k] if count else _pull_part(k)))
                    a = a._value
                nested = nested or isinstance(a, _Traced)
            elif type(a) not in _NUMBERS:
                a = _constant(a)
            inputs.append(a)
        kept = inputs if count else (inputs[:-1], inputs[-1])  # the parts are one argument
        y = apply(*inputs) if nested else _evaluate(operation, kept)
        return _MADE_BY[kind](y, level, operation, links, kept)

    count = len(pulls) if pulls else None

    def instead_of(k):
        return lambda t, y, *args: apply(*args[:k], t, *args[k + 1 :])

    def missing(*_):
        raise TypeError(
            f"{name} has no rule forward; give primitive its pushes, or linear=True if it is linear"
        )

    if linear:
        pushes = [instead_of(k) for k in range(count)]
    elif count and pushes is None:
        pushes = [missing] * count
    join = None if count else apply  # of parts; their tangents are joined in the same way
    apply.operation = operation = _Operation(name, value, _WORK[work], join)
    return apply


def _pull_part(k):
    """Return the pull to part k of what joins parts: the entries of g at its place."""
    return lambda g, y, parts, where: _getitem(g, where[0][k])


def _evaluate(operation, inputs):
    try:
        y = _carried_on(operation.value, inputs)
    except ValueError as error:
        if not any(word in str(error) for word in _OF_SHAPES):
            raise
        operands = inputs[0] if operation.join else inputs
        shapes = " and ".join(str(_shape(x)) for x in operands if isinstance(x, np.ndarray | float))
        why = "inner lengths differ" if "core dimension" in str(error) else error
        raise ValueError(
            f"{operation.name} cannot take shapes {shapes}: {why}; use reshape, transpose or stack"
        ) from error
    return float(y) if type(y) is np.float64 else y


def _carried_on(fun, args):
    """Return fun(*args) as NumPy has it: infinite or NaN where Python's numbers raise an error."""
    try:
        return fun(*args)
    except ArithmeticError:
        return fun(*(np.float64(a) if type(a) is float else a for a in args))


def _promoted(a):
    """Return a plain operand; a list is an array, whole numbers and booleans become float64."""
    if type(a) is float or (type(a) is np.ndarray and a.dtype is _FLOAT64):
        return a
    if isinstance(a, (list, tuple, int, np.ndarray, np.generic)):
        a = np.asarray(_validate.unmasked(a, "an argument"))
        a = (a.astype(float) if a.dtype.kind in "biu" else a)[()]
    return a


def _constant(a):
    """Return an operand as the tape keeps it: a copy, as float64, that nobody else can change."""
    a = np.array(a if type(a) is np.ndarray else _validate.unmasked(a, "an argument"))
    if a.dtype.kind not in "biuf":
        raise TypeError(f"a Var meets real numbers and arrays of them, got {_text(a)} ({a.dtype})")
    a = a.astype(float, copy=False)
    return a if a.ndim else a.item()


def _fixed(option):
    """Return an option, as the axis or index, such that nobody else can change it."""
    if isinstance(option, _Traced):
        raise TypeError(f"an index or option must be plain, got {option}; use its .value")
    return np.array(option) if isinstance(option, list | np.ndarray) else option


def _part(index):
    """Return a part of an index: a list of entries or a mask, of whatever kind, as an array."""
    if isinstance(index, _PARTS):
        return index
    index = np.array(_fixed(_validate.unmasked(index, "an index")))
    return index if index.size or index.dtype.kind in "biu" else index.astype(int)  # [] lists none


# The sweep back


def _order(out):
    """Return out and all it was made of, newest first: every Var before its arguments."""
    order, found = [out], {out}
    for node in order:  # grows on the way
        for _, x, _ in node.links:
            if x not in found:
                found.add(x)
                order.append(x)
    order.sort(key=_by_number, reverse=True)
    return order


def _sweep(out, g, *, keep=False):
    """Carry g from out back to all it was made of: the g of a Var is the sum over its uses.

    Nothing on the tape changes. With keep the result has every Var, else those at the start.
    """
    cotangents, aside, item = {out: g}, {}, _getitem.operation
    for node in _order(out):
        if aside and node in aside:
            _add_items(cotangents, aside, node)
        if not (links := node.links):
            continue
        g = cotangents[node] if keep else cotangents.pop(node)
        if node.operation is item:
            _lay_aside(cotangents, aside, node, g)
            continue
        args = (g, node._value, *node.inputs)
        for _, x, pull in links:
            try:
                piece = pull(*args)
            except ArithmeticError:
                piece = _carried_on(pull, args)
            if type(piece) is not float or type(x._value) is not float:
                piece = _summed_to(_shape(x._value), piece, node.operation)
            total = cotangents.get(x)
            cotangents[x] = piece if total is None else total + piece
    return cotangents


def _summed_to(shape, g, operation):
    """Sum g over the axes that broadcasting has added in front or stretched from length 1."""
    if type(g) is not np.ndarray and not isinstance(g, _Traced | np.generic | float | int):
        raise TypeError(
            f"a pull of {operation.name} must give g dy/dx, a number or an array, got "
            f"{type(g).__name__}; check that it ends in return"
        )
    given = _shape(g)
    if given == shape:
        return g
    while len(_shape(g)) > len(shape):
        g = np.ones(len(g)) @ g if g.ndim == 2 else _sum(g, 0, False)  # a product adds rows faster
    for axis, (n, m) in enumerate(zip(shape, _shape(g), strict=False)):
        if n == 1 != m:
            g = _sum(g, axis, True)
    if _shape(g) != shape:
        raise ValueError(
            f"a pull of {operation.name} must give the shape of its argument, {shape}, or one that "
            f"broadcasting makes of it, got {given}; it returns g dy/dx"
        )
    return g


def _lay_aside(cotangents, aside, node, g):
    """Keep g for the items that it belongs to: n items of an array do not cost n arrays.

    Aside has, for each Var, what to add, where, and how many numbers that is. It is added when the
    Var's turn comes, or as soon as it is several times as large as the Var.
    """
    (_, x, _), index = node.links[0], node.inputs[1]
    waiting = aside.setdefault(x, [[], [], 0])
    waiting[0].append(g)
    waiting[1].append(index)
    waiting[2] += _size(g)
    if waiting[2] > 8 * x.size:
        _add_items(cotangents, aside, x)


def _add_items(cotangents, aside, x):
    parts, places, _ = aside.pop(x)
    piece = _put(*parts, (tuple(places), x.shape))
    total = cotangents.get(x)
    cotangents[x] = piece if total is None else total + piece


def backward(out, *, inner=True):
    """Return d(out)/dv for every Var v that out was made of, by one sweep back.

    Parameters
    ----------
    out : Var
        The end, a number.
    inner : bool, default True
        Whether the result has the Vars on the way as well. Without them the sweep frees each
        cotangent once it is passed on, and the result has only what out started from.

    Returns
    -------
    dict of Var to float or ndarray
        The cotangents, each of the shape of its Var, arrays read-only.

    Raises
    ------
    ValueError
        If out is not a number.
    TypeError
        If out is not a Var, or one that `grad` and its kin have made.

    Notes
    -----
    Nothing is remembered between calls: the cotangents are in the dictionary and nowhere else, and
    a second call gives the same ones. What is not finite is carried on, so that `tape` shows where
    it began; `grad` refuses it.

    References
    ----------
    S. Linnainmaa, Taylor expansion of the accumulated rounding error, BIT Numerical Mathematics 16
    (1976), 146-160. https://doi.org/10.1007/BF01931367

    Examples
    --------
    >>> w, x = Var(2.0), Var(3.0)
    >>> cotangents = backward(w * x + x)
    >>> cotangents[w], cotangents[x]
    (3.0, 3.0)
    """
    _number(_a_var(out, "backward"), "backward")
    if out.level:
        raise TypeError(
            "backward gives plain numbers, which an enclosing derivative would take for constants, "
            "but got a Var of one; use grad, value_and_grad or vjp inside"
        )
    with np.errstate(all="ignore"):
        cotangents = _sweep(out, 1.0, keep=inner)
    for x, g in cotangents.items():
        if type(g) is np.ndarray:
            g.setflags(write=False)
        elif type(g) is not float and not isinstance(g, _Traced):
            cotangents[x] = float(g)
    return cotangents


# The verbs


def _door(x, name="x"):
    """Return x as a finite float, or a float64 array of its own; what is traced passes."""
    if _passes(x):
        return x
    if _validate.is_plain(x) and x.shape and x.size:
        return x.copy()
    x = _validate.real(x, name)
    return x if x.ndim else x.item()


def _result(y, x, what):
    """Return a finite float, or an array of its own; what is traced passes."""
    if _passes(y):
        return y
    if _validate.is_plain(y) and y.shape:
        return y.copy()
    y = _validate.finite(y, _plain(x), what)
    return y.astype(float) if y.ndim else float(y)


def _passes(x):
    return isinstance(x, _Traced) or (type(x) is float and x - x == 0.0)


def _compute(fun, x, what):
    """Return fun(), with no warning on the way; arithmetic that fails names the point."""
    try:
        with np.errstate(all="ignore"):
            return fun()
    except ValueError as error:
        if str(error.__cause__) == _LOST:  # NumPy says "setting an array element with a sequence"
            raise TypeError(_LOST) from None
        raise
    except ArithmeticError as error:  # as in 1 / 0.0 of plain numbers
        raise ValueError(
            f"{what} could not be evaluated at x={_text(_plain(x))}: {error}; "
            "move to a point where fun and its surroundings are defined"
        ) from error


def _a_var(out, verb):
    if not isinstance(out, Var):
        raise TypeError(f"{verb} needs a Var, got {type(out).__name__}; compute it from Vars")
    return out


def _number(y, verb):
    if _shape(y):
        _validate.scalar_output(y, verb)


def _same_shape(v, x, name, other):
    if _shape(v) != _shape(x):
        raise ValueError(
            f"{name} must have the shape of {other}, {_shape(x)}, got {_shape(v)}; "
            "give one number for each entry"
        )


def _depends(out, start):
    """Tell whether the result of a run depends on its start, or is a constant there."""
    if not isinstance(out, _Traced) or out.level < start.level:
        return False
    if out.level > start.level:
        raise TypeError(
            "fun used a Var of another derivative, which has ended: its slope is lost; let the "
            "inner function return what is needed, or keep its .value"
        )
    return True


def _record(fun, x, what="fun"):
    """Run fun on a tape of its own; return its value and what pulls a cotangent back to x.

    What is fun, in words.
    """
    start, slope = _node(x, _next_number()), f"the gradient of {what}"
    out = _compute(lambda: fun(start), x, what)
    if not _depends(out, start):
        out = _node(out, start.level)
    value = _result(out._value, x, what)

    def pullback(g):
        g = _compute(lambda: _sweep(out, g).get(start), x, slope)
        return _result(np.zeros(_shape(x)) if g is None else g, x, slope)

    return value, pullback


def vjp(fun, x):
    """Return f(x) and the pullback g -> g J(x), the product with the Jacobian from the left.

    Parameters
    ----------
    fun : callable
        The function, of a number or array to a number or array.
    x : float, array_like or Var
        The point.

    Returns
    -------
    value : float or ndarray
        f(x).
    pullback : callable
        Maps a cotangent g of the shape of f(x) to one of the shape of x, any number of times.

    Raises
    ------
    ValueError
        If x, f(x) or the product is not finite, or g has another shape than f(x).

    Notes
    -----
    Reverse mode: one run of fun that remembers every value, then a sweep for each g, at the cost of
    a few runs whatever the number of inputs is.

    Examples
    --------
    >>> value, pullback = vjp(lambda x: x**2, [1.0, 2.0])
    >>> value, pullback([1.0, 10.0])
    (array([1., 4.]), array([ 2., 40.]))
    """
    value, pullback = _record(fun, _door(x))

    def checked(g):
        g = _door(g, "g")
        _same_shape(g, value, "g", "f(x)")
        return pullback(g)

    return value, checked


def jvp(fun, x, v):
    """Return f(x) and J(x) v, the derivative of f along v, by one run forward.

    Parameters
    ----------
    fun : callable
        The function, of a number or array to a number or array.
    x : float, array_like or Var
        The point.
    v : float, array_like or Var
        The direction, of the shape of x. It is not normalized.

    Returns
    -------
    value : float or ndarray
        f(x).
    tangent : float or ndarray
        J(x) v, of the shape of f(x).

    Raises
    ------
    ValueError
        If x, v, f(x) or the product is not finite, or v has another shape than x.

    Notes
    -----
    Forward mode by dual numbers: the value and its tangent, x + t e where e^2 = 0, go through fun
    together and nothing is remembered. It costs about two runs for one direction; a gradient of n
    numbers takes n directions.

    References
    ----------
    R. E. Wengert, A simple automatic derivative evaluation program, Communications of the ACM 7
    (1964), 463-464. https://doi.org/10.1145/355586.364791

    Examples
    --------
    >>> jvp(lambda x: x[0] * x[1], [3.0, 4.0], [1.0, 0.0])
    (12.0, 4.0)
    """
    return _along_a_line(fun, x, v)


def _along_a_line(fun, x, v, what="fun"):
    x, v = _door(x), _door(v, "v")
    _same_shape(v, x, "v", "x")
    start = _Dual(x, v, _next_number())
    out = _compute(lambda: fun(start), x, what)
    if not _depends(out, start):
        out = _Dual(out, np.zeros(np.shape(out)), start.level)
    return _result(out._value, x, what), _result(out.tangent, x, f"the derivative of {what}")


def value_and_grad(fun):
    """Return the function x -> (f(x), grad f(x)), both from one run and one sweep.

    Parameters
    ----------
    fun : callable
        The function, of a number or array to a number.

    Returns
    -------
    callable
        Maps x to the value and the gradient, of the shape of x.

    Raises
    ------
    ValueError, TypeError
        From the returned function: as `grad`.

    Examples
    --------
    >>> value_and_grad(lambda x: x @ x)([3.0, 4.0])
    (25.0, array([6., 8.]))
    """
    return lambda x: _value_and_grad(fun, x, "grad")


def _value_and_grad(fun, x, verb, what="fun"):
    value, pullback = _record(fun, _door(x), what)
    _number(value, verb)
    return value, pullback(1.0)


def grad(fun):
    r"""Return the function x -> grad f(x), where (grad f)_j = df/dx_j.

    Parameters
    ----------
    fun : callable
        The function, of a number or array to a number, written with arithmetic, NumPy functions
        and the functions of this module.

    Returns
    -------
    callable
        Maps x, a number or an array of any shape, to the gradient of the same shape. Integers,
        booleans and lists are promoted to float64, a 0-d array to a float. It can be
        differentiated again, as in ``grad(grad(fun))``.

    Raises
    ------
    ValueError
        From the returned function: if fun does not return a number, or x, fun or its gradient is
        not finite there.
    TypeError
        From the returned function: if x or f(x) does not hold numbers, or fun uses a NumPy
        function that has no rule.

    Notes
    -----
    Exact up to rounding, at the cost of a few runs of fun, whatever the number of inputs is. At a
    kink it gives one slope of those between left and right: 0 for \|x\| and relu at 0, the mean
    for the maximum of equals.

    References
    ----------
    A. Griewank, A. Walther, Evaluating Derivatives, 2nd edition, SIAM 2008, chapter 3.
    https://doi.org/10.1137/1.9780898717761

    Examples
    --------
    >>> grad(lambda x: x**3)(2.0)
    12.0
    >>> grad(lambda p: p[0] ** 2 + p[1] ** 2)([3, 4])
    array([6., 8.])
    """
    return lambda x: _value_and_grad(fun, x, "grad")[1]


def jacobian(fun):
    """Return the function x -> J(x), where J_ij = df_i/dx_j: a row for each output.

    Parameters
    ----------
    fun : callable
        The function, of shape (n,) to (m,). A number counts as m = 1.

    Returns
    -------
    callable
        Maps x of shape (n,) to the Jacobian, shape (m, n).

    Raises
    ------
    ValueError, TypeError
        From the returned function: as `grad`, and if x is a number or f(x) has two axes.

    Notes
    -----
    One run and m sweeps. With many more outputs than inputs, n calls of `jvp` are cheaper.

    Examples
    --------
    >>> jacobian(lambda x: stack([x[0] * x[1], x[0], x[1] ** 2]))([2, 3])
    array([[3., 2.],
           [1., 0.],
           [0., 6.]])
    """
    return lambda x: _jacobian(fun, x)


def _jacobian(fun, x, what="fun"):
    vector = _validate.vector(_plain(x), "x")
    value, pullback = _record(fun, x if isinstance(x, _Traced) else vector, what)
    if len(_shape(value)) > 1:
        raise ValueError(
            f"jacobian needs a vector, got shape {_shape(value)}; return fun(x).reshape(-1)"
        )
    return stack([pullback(g) for g in (np.eye(_size(value)) if _shape(value) else [1.0])])


def hessian(fun):
    """Return the function x -> H(x), H_ij = d^2 f / dx_i dx_j: the Jacobian of the gradient.

    Parameters
    ----------
    fun : callable
        The function, of shape (n,) to a number.

    Returns
    -------
    callable
        Maps x of shape (n,) to the Hessian, shape (n, n), symmetric, and a number to f''(x).

    Raises
    ------
    ValueError, TypeError
        From the returned function: as `grad`.

    Notes
    -----
    It costs about n gradients; `hvp` gives H v for the cost of two or three.

    Examples
    --------
    >>> hessian(lambda x: x[0] ** 2 * x[1])([1.0, 3.0])
    array([[6., 2.],
           [2., 0.]])
    """

    def gradient(x):
        return _value_and_grad(fun, x, "hessian")[1]

    def matrix(x):
        if not np.ndim(x):
            return _value_and_grad(gradient, x, "hessian", "the gradient of fun")[1]
        H = _jacobian(gradient, x, "the gradient of fun")
        return (H + H.T) / 2

    return matrix


def hvp(fun):
    """Return the function (x, v) -> H(x) v, the change of the gradient along v.

    Parameters
    ----------
    fun : callable
        The function, of a number or array to a number.

    Returns
    -------
    callable
        Maps x and v of the same shape to H v of that shape, without computing H.

    Raises
    ------
    ValueError, TypeError
        From the returned function: as `grad` and `jvp`.

    Notes
    -----
    Forward over reverse: dual numbers go through the gradient, at the cost of two or three
    gradients whatever n is.

    References
    ----------
    B. A. Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994),
    147-160. https://doi.org/10.1162/neco.1994.6.1.147

    Examples
    --------
    >>> hvp(lambda x: x[0] ** 2 * x[1])([1.0, 3.0], [1.0, 0.0])
    array([6., 2.])
    """

    def gradient(x):
        return _value_and_grad(fun, x, "hvp")[1]

    return lambda x, v: _along_a_line(gradient, x, v, "the gradient of fun")[1]


# What a tape shows and what a run costs


class TapeRow(NamedTuple):
    """One Var of a tape.

    Parameters
    ----------
    name : str
        The name it was given, or v1, v2, ... in the order of computation.
    operation : str
        What made it; "input" at the start.
    parents : tuple of str
        The arguments: names of rows above, and constants as text.
    value : float or ndarray
        Its value.
    adjoint : float, ndarray or None
        Its cotangent, if known.

    Examples
    --------
    >>> tape(Var(2.0) * 3)[1]
    TapeRow(name='v2', operation='multiply', parents=('v1', '3'), value=6.0, adjoint=None)
    """

    name: str
    operation: str
    parents: tuple[str, ...]
    value: Any
    adjoint: Any


def tape(out, cotangents=None):
    """List all that out was made of, a row for each Var in the order of computation.

    Parameters
    ----------
    out : Var
        The end.
    cotangents : dict, optional
        From `backward`, to fill the column of the adjoints.

    Returns
    -------
    list of TapeRow
        The rows. Names are those given to `Var`, else v1, v2, ...: the same in every run.

    Raises
    ------
    TypeError
        If out is not a Var.

    Examples
    --------
    >>> w, x = Var(0.5, name="w"), Var(2.0, name="x")
    >>> out = tanh(w * x)
    >>> for row in tape(out, backward(out)):
    ...     print(row.name, row.operation, row.parents, round(row.value, 3), round(row.adjoint, 3))
    w input () 0.5 0.84
    x input () 2.0 0.21
    v1 multiply ('w', 'x') 1.0 0.42
    v2 tanh ('v1',) 0.762 1.0
    """
    names, rows, numbers, cotangents = {}, [], itertools.count(1), cotangents or {}
    for node in reversed(_order(_a_var(out, "tape"))):
        names[node] = getattr(node, "name", None) or f"v{next(numbers)}"
        linked = {k: names[x] for k, x, _ in node.links}
        joined = node.operation and node.operation.join
        parents = tuple(
            linked.get(k) or _text(a)
            for k, a in enumerate(node.inputs[0] if joined else node.inputs)
            if k in linked or (a is not None and a is not False)  # options that were left out
        )
        operation = node.operation.name if node.operation else "input"
        rows.append(TapeRow(names[node], operation, parents, node.value, cotangents.get(node)))
    return rows


class Cost(NamedTuple):
    """What a computation cost.

    Parameters
    ----------
    operations : int
        How many operations of the table were evaluated.
    multiply_adds : int
        The arithmetic in them: m k n for matrices of shapes (m, k) and (k, n), one for each entry
        that is reduced, none for moving entries, else one for each entry of the result.

    Examples
    --------
    >>> cost(lambda x: sum(x * x))([1.0, 2.0, 3.0])
    Cost(operations=2, multiply_adds=6)
    """

    operations: int
    multiply_adds: int


def cost(fun):
    """Return the function x -> what it costs to compute f(x).

    Parameters
    ----------
    fun : callable
        The function. With ``value_and_grad(f)`` the run forward and the sweep back count together.

    Returns
    -------
    callable
        Maps x to a `Cost`. Operations on constants alone do not count.

    Examples
    --------
    >>> def f(x):
    ...     return sum(sin(x))
    >>> cost(f)(np.ones(100)).multiply_adds, cost(value_and_grad(f))(np.ones(100)).multiply_adds
    (200, 400)
    """

    def count(x):
        tally, x = {"operations": 0, "multiply_adds": 0}, _door(x)
        _compute(lambda: fun(_Counted(x, tally, _next_number())), x, "fun")
        return Cost(**tally)

    return count


# Values that NumPy does not have, or not in this form


def _power(a, b):
    y = a**b
    return y if type(y) is not complex else np.nan  # (-8.0) ** (1 / 3)


def _stable_sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


@np.errstate(divide="ignore")  # the logarithm of 0, where all x are minus infinity
def _stable_logsumexp(x, axis, keepdims):
    top = np.max(x, axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    y = np.log(np.sum(np.exp(x - top), axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis)[()]


def _affine_value(x, W, b):
    y = x @ W
    y += b
    return y


def _mean_value(x, axis, keepdims):
    y = np.add.reduce(x, axis, keepdims=keepdims)
    return y / _count(x, y)


def _count(x, y):
    """Return how many entries of x a reduction has made one of y."""
    return _size(x) / (_size(y) or 1)


def _filled(x, shape):
    y = np.empty(shape)
    y[...] = x
    return y[()]


def _item(x, index):
    if type(x) is float:
        raise TypeError("a number has no items; use reshape(x, (1,)) or stack([x])")
    return x[index]


def _added_up(parts, where):
    """Add each part to the entries of zeros at its place; an entry that is met twice gets both."""
    places, shape = where
    y = np.zeros(shape)
    for part, place in zip(parts, places, strict=True):
        if np.ndarray in map(type, place if isinstance(place, tuple) else (place,)):
            np.add.at(y, place, part)
        else:
            y[place] += part
    return y


# What rules share


def _kept(g, x, axis, keepdims):
    """Give the result of a reduction of x its axes back, with length 1."""
    if axis is None or keepdims or not _shape(x):
        return g
    shape = np.array(_shape(x))
    shape[list(axis) if isinstance(axis, tuple) else axis] = 1
    return _reshape(g, tuple(shape.tolist()))


def _share(y, x, axis, keepdims):
    """Return 1 where x reaches its maximum y, or 1/n where n entries do, and else 0."""
    hits = x == _kept(y, x, axis, keepdims)
    return hits / np.sum(hits, axis, keepdims=True)


def _wins(a, b):
    """Return 1 where a > b, 1/2 where a = b, and else 0."""
    return np.multiply(a > b, 1.0) + np.multiply(a == b, 0.5)


def _power_slope(a, b):
    """Return b a^(b - 1), and 0 for b = 0 even at a = 0."""
    if type(b) in _NUMBERS:
        return b * (a if b == 2 else a ** (b - 1 if b else 1))  # the exponent is a constant
    return b * a ** where((a == 0) & (b == 0), 1.0, b - 1)


def _column(x):
    """Read a vector, or each of several, as a matrix with one column."""
    return _reshape(x, (*_shape(x), 1))


def _swap(x):
    """Transpose the last two axes."""
    n = x.ndim
    return x.T if n == 2 else _transpose(x, (*range(n - 2), n - 1, n - 2))


def _pull_left(g, y, a, b, *_):
    if b.ndim == 1:
        return _column(g) * b
    if a.ndim == 1:
        return (b @ _column(g))[..., 0]
    return g * _swap(b) if b.shape[-1] == 1 else g @ _swap(b)  # a column and a row: no sums


def _pull_right(g, y, a, b, *_):
    if a.ndim == 1:
        return a * g if b.ndim == 1 else _column(a) * _swap(_column(g))
    return _swap(a) @ g if b.ndim > 1 else (_swap(a) @ _column(g))[..., 0]


_PARAMETERS = {
    "condition": "condition : bool or array_like of bool\n    The choice; it has no slope.",
    "x": "x : float, array_like or Var\n    The argument.",
    "a": "a, b : float, array_like or Var\n    The arguments, of shapes that broadcast.",
    "arrays": "arrays : sequence of float, array_like or Var\n    The parts.",
    "shape": "shape : int or tuple of int\n    The new shape; -1 stands for what is left.",
    "axes": "axes : sequence of int\n    The new order of the axes; by default the reverse.",
    "axis": "axis : int\n    The axis; for a reduction also a tuple of int, or None for all axes.",
    "keepdims": "keepdims : bool\n    Keep the axes that are reduced, with length 1.",
}


def _documented(function):
    """Add the sections that the docstrings of all operations share."""
    summary, rest = inspect.cleandoc(function.__doc__).split("\n\n", 1)
    names = inspect.signature(function).parameters
    words = "\n".join(words for name, words in _PARAMETERS.items() if name in names)
    function.__doc__ = (
        f"{summary}\n\nParameters\n----------\n{words}\n\n"
        f"Returns\n-------\nfloat, ndarray or Var\n    The result.\n\n{rest}"
    )
    return function


def _elementwise(name, formula, value, *slopes):
    """Make an operation on each entry by itself; slope(g, y, *args) is g dy/dx, for g and t."""
    apply = primitive(name, value, slopes, slopes)
    left, right = slopes[0], slopes[-1]

    # What apply does, spelled out for plain numbers and arrays: most graphs spend their time here.

    def one(x, /):
        if type(x) is Var and type(p := x._value) in _PLAIN_KINDS:
            return made(x.level, ((0, x, left),), (p,))
        return apply(x)

    def two(a, b, /):
        if type(a) is Var and type(p := a._value) in _PLAIN_KINDS:
            if type(b) in _NUMBERS:
                return made(a.level, ((0, a, left),), (p, b))
            if type(b) is Var and type(q := b._value) in _PLAIN_KINDS and a.level == b.level:
                return made(a.level, ((0, a, left), (1, b, right)), (p, q))
        elif type(a) in _NUMBERS and type(b) is Var and type(q := b._value) in _PLAIN_KINDS:
            return made(b.level, ((1, b, right),), (a, q))
        return apply(a, b)

    def made(level, links, inputs):
        try:
            y = value(*inputs)
        except (ArithmeticError, ValueError):
            y = _evaluate(operation, inputs)
        return _node(y if type(y) in _PLAIN_KINDS else float(y), level, operation, links, inputs)

    function = two if len(slopes) == 2 else one
    operation = function.operation = apply.operation
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{formula}, element by element.

    Examples
    --------
    >>> from calclib import numerical
    >>> def f(x):
    ...     return {name}({"x, 2.0" if function is two else "x"})
    >>> abs(grad(f)(0.5) - numerical.derivative(f, 0.5)) < 1e-8
    True
    """
    return _documented(function)


# The table of rules. A row has a name, a value, and for each argument the way back of g, the
# cotangent of y, and the way forward of t, the argument's tangent. Element by element both are one
# product with the slope, so it is written once; what is linear treats t as it treats the argument.
# fmt: off

add = _elementwise("add", "a + b, slopes 1 and 1", operator.add,
                   lambda g, y, a, b: g,
                   lambda g, y, a, b: g)
subtract = _elementwise("subtract", "a - b, slopes 1 and -1", operator.sub,
                        lambda g, y, a, b: g,
                        lambda g, y, a, b: -g)
multiply = _elementwise("multiply", "a b, slopes b and a", operator.mul,
                        lambda g, y, a, b: g * b,
                        lambda g, y, a, b: g * a)
divide = _elementwise("divide", "y = a / b, slopes 1 / b and -y / b", operator.truediv,
                      lambda g, y, a, b: g / b,
                      lambda g, y, a, b: -g * y / b)
power = _elementwise("power", "y = a^b, slopes b a^(b - 1) and y log a", _power,
                     lambda g, y, a, b: g * _power_slope(a, b),
                     lambda g, y, a, b: g * y * log(where(y == 0, 1.0, a)))
maximum = _elementwise("maximum", "max(a, b), slope 1 for the larger, 1/2 if equal", np.maximum,
                       lambda g, y, a, b: g * _wins(a, b),
                       lambda g, y, a, b: g * _wins(b, a))
minimum = _elementwise("minimum", "min(a, b), slope 1 for the smaller, 1/2 if equal", np.minimum,
                       lambda g, y, a, b: g * _wins(b, a),
                       lambda g, y, a, b: g * _wins(a, b))

negative = _elementwise("negative", "-x, slope -1", operator.neg, lambda g, y, x: -g)
exp = _elementwise("exp", "y = e^x, slope y", np.exp, lambda g, y, x: g * y)
expm1 = _elementwise("expm1", "e^x - 1, slope e^x", np.expm1, lambda g, y, x: g * exp(x))
log = _elementwise("log", "log x, slope 1 / x", np.log, lambda g, y, x: g / x)
log1p = _elementwise("log1p", "log(1 + x), slope 1 / (1 + x)", np.log1p,
                     lambda g, y, x: g / (1 + x))
sqrt = _elementwise("sqrt", "y = sqrt x, slope 1 / (2 y)", np.sqrt, lambda g, y, x: g / (2 * y))
sin = _elementwise("sin", "sin x, slope cos x", np.sin, lambda g, y, x: g * cos(x))
cos = _elementwise("cos", "cos x, slope -sin x", np.cos, lambda g, y, x: -g * sin(x))
tan = _elementwise("tan", "y = tan x, slope 1 + y^2", np.tan, lambda g, y, x: g * (1 + y**2))
arctan = _elementwise("arctan", "arctan x, slope 1 / (1 + x^2)", np.arctan,
                      lambda g, y, x: g / (1 + x**2))
tanh = _elementwise("tanh", "y = tanh x, slope 1 - y^2, to 1e-16: 0 beyond |x| = 19", np.tanh,
                    lambda g, y, x: g * (1 - y**2))
sigmoid = _elementwise("sigmoid", "y = 1 / (1 + e^-x), slope y (1 - y)", _stable_sigmoid,
                       lambda g, y, x: g * (y * sigmoid(-x)))  # 1 - y, where y rounds to 1 too
softplus = _elementwise("softplus", "log(1 + e^x), slope sigmoid x",
                        lambda x: np.logaddexp(x, 0.0), lambda g, y, x: g * sigmoid(x))
relu = _elementwise("relu", "max(x, 0), slope 1 above 0, else 0",
                    lambda x: np.maximum(x, 0.0), lambda g, y, x: g * (x > 0))
abs = _elementwise("abs", "|x|, slope the sign of x, 0 at 0", operator.abs,
                   lambda g, y, x: g * np.sign(x))

_chosen = [lambda g, y, a, b, condition: _where(g, 0.0, condition),
           lambda g, y, a, b, condition: _where(0.0, g, condition)]
_where = primitive("where", lambda a, b, condition: np.where(condition, a, b)[()],
                   _chosen, _chosen)
_sum = primitive("sum", lambda x, axis, keepdims: np.add.reduce(x, axis, keepdims=keepdims),
                 [lambda g, y, x, *how: _broadcast(_kept(g, x, *how), _shape(x))],
                 linear=True, work="terms")
_mean = primitive("mean", _mean_value,
                  [lambda g, y, x, *how:
                   _broadcast(_kept(g / _count(x, y), x, *how), _shape(x))],
                  linear=True, work="terms")
_max = primitive("max", lambda x, axis, keepdims: np.max(x, axis, keepdims=keepdims),
                 [lambda g, y, x, *how: _kept(g, x, *how) * _share(y, x, *how)],
                 [lambda t, y, x, *how: _sum(t * _share(y, x, *how), *how)], work="terms")
_logsumexp = primitive("logsumexp", _stable_logsumexp,
                       [lambda g, y, x, *how: _kept(g, x, *how) * exp(x - _kept(y, x, *how))],
                       [lambda t, y, x, *how: _sum(t * exp(x - _kept(y, x, *how)), *how)],
                       work="terms")
_matmul = primitive("matmul", np.matmul,
                    [_pull_left,
                     _pull_right], linear=True, work="products")
_affine = primitive("affine", _affine_value,
                    [_pull_left,
                     _pull_right,
                     lambda g, y, x, W, b: g],
                    [lambda t, y, x, W, b: _matmul(t, W),
                     lambda t, y, x, W, b: _matmul(x, t),
                     lambda t, y, x, W, b: t], work="products")
_reshape = primitive("reshape", lambda x, shape: np.asarray(x).reshape(shape)[()],
                     [lambda g, y, x, shape: _reshape(g, _shape(x))],
                     linear=True, work="none")
_transpose = primitive("transpose", lambda x, axes: np.transpose(x, axes)[()],
                       [lambda g, y, x, axes: _transpose(g, axes and tuple(np.argsort(axes)))],
                       linear=True, work="none")
_broadcast = primitive("broadcast_to", _filled,
                       [lambda g, y, x, shape: g],
                       linear=True, work="none")
_getitem = primitive("getitem", _item,
                     [lambda g, y, x, index: _put(g, ((index,), _shape(x)))],
                     linear=True, work="none")
_put = primitive("put", _added_up, None, work="overlaps")
_concatenate = primitive("concatenate", lambda parts, where: np.concatenate(parts, where[1]),
                         None, work="none")
_stack = primitive("stack", lambda parts, where: np.stack(parts, where[1]), None, work="none")
# fmt: on


# Functions with options


@_documented
def where(condition, a, b):
    """Choose entry by entry: a where the condition holds, else b.

    Notes
    -----
    Both a and b are computed. If the one not chosen has an infinite slope, 0 times infinity is
    NaN: choose inside as well, as in ``where(x > 0, log(where(x > 0, x, 1.0)), 0.0)``.

    Examples
    --------
    >>> grad(lambda x: where(x > 0, x**2, -x))(3.0)
    6.0
    """
    return _where(a, b, np.asarray(_validate.unmasked(_plain(condition), "condition")))


@_documented
def sum(x, axis=None, keepdims=False):
    """Add up the entries: each has slope 1.

    Examples
    --------
    >>> grad(lambda x: sum(x**2))([1.0, 2.0])
    array([2., 4.])
    """
    return _sum(x, axis, keepdims)


@_documented
def mean(x, axis=None, keepdims=False):
    """Average the n entries: each has slope 1/n.

    Examples
    --------
    >>> grad(lambda x: mean(x**2))([1.0, 2.0])
    array([1., 2.])
    """
    return _mean(x, axis, keepdims)


@_documented
def max(x, axis=None, keepdims=False):
    """Take the largest entry: it has slope 1, or 1/n each where n are equally large.

    Examples
    --------
    >>> grad(max)([1.0, 3.0, 2.0])
    array([0., 1., 0.])
    """
    return _max(x, axis, keepdims)


@_documented
def min(x, axis=None, keepdims=False):
    """Take the smallest entry: it has slope 1, or 1/n each where n are equally small.

    Examples
    --------
    >>> grad(min)([1.0, 3.0, 2.0])
    array([1., 0., 0.])
    """
    return negative(max(negative(x), axis, keepdims))


@_documented
def logsumexp(x, axis=None, keepdims=False):
    """Return log(sum of e^x_i), without overflow; its slopes are softmax(x).

    Examples
    --------
    >>> grad(logsumexp)([1000.0, 1000.0])
    array([0.5, 0.5])
    """
    return _logsumexp(x, axis, keepdims)


@_documented
def softmax(x, axis=-1):
    """Return p_i = e^x_i / (sum of e^x_j) along an axis; dp_i/dx_j = p_i (1 if i = j else 0 - p_j).

    Examples
    --------
    >>> softmax([1000.0, 1000.0])
    array([0.5, 0.5])
    """
    return exp(x - _logsumexp(x, axis, True))


def matmul(a, b):
    """Multiply matrices, y_ij = sum over k of a_ik b_kj; pulled back, g b^T and a^T g.

    Parameters
    ----------
    a : array_like or Var, shape (m, k) or (k,)
        The left factor. More axes in front are a batch.
    b : array_like or Var, shape (k, n) or (k,)
        The right factor, likewise.

    Returns
    -------
    float, ndarray or Var
        The product, as NumPy's ``a @ b``.

    Raises
    ------
    ValueError
        If the shapes do not multiply.

    Examples
    --------
    >>> grad(lambda x: matmul(x, x))([1.0, 2.0])
    array([2., 4.])
    """
    return _matmul(a, b)


def affine(x, W, b):
    """Return x W + b, a layer of a network, as one operation; pulled back, g W^T, x^T g and g.

    Parameters
    ----------
    x : array_like or Var, shape (m, n_in) or (n_in,)
        The m inputs as rows.
    W : array_like or Var, shape (n_in, n_out)
        The weights.
    b : array_like or Var, shape (n_out,)
        The biases; their cotangent is g summed over the rows.

    Returns
    -------
    ndarray or Var, shape (m, n_out) or (n_out,)
        The outputs as rows.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> W, b = Var([[1.0], [2.0]]), Var([3.0])
    >>> y = affine([[5.0, 7.0]], W, b)
    >>> y, backward(sum(y))[W].tolist()
    (Var([[22.]]), [[5.0], [7.0]])
    """
    return _affine(x, W, b)


@_documented
def reshape(x, shape):
    """Arrange the entries in another shape.

    Examples
    --------
    >>> reshape(Var([1.0, 2.0]), (2, 1)).shape
    (2, 1)
    """
    return _reshape(x, shape)


@_documented
def transpose(x, axes=None):
    """Put the axes in another order.

    Examples
    --------
    >>> transpose(Var([[1.0, 2.0]])).shape
    (2, 1)
    """
    return _transpose(x, None if axes is None else normalize_axis_tuple(axes, np.ndim(x)))


@_documented
def concatenate(arrays, axis=0):
    """Join arrays along an axis that they have.

    Examples
    --------
    >>> concatenate([Var([1.0, 2.0]), [3.0]])
    Var([1., 2., 3.])
    """
    arrays = list(arrays)
    if axis is None:
        arrays, axis = [_reshape(part, -1) for part in arrays], 0
    axis = operator.index(axis)
    before = axis % builtins.max(1, 1, *map(np.ndim, arrays))  # axes in front of it
    lengths = [n for part in arrays for n in np.shape(part)[before : before + 1]]
    ends = itertools.pairwise(itertools.accumulate(lengths, initial=0))
    places = [(slice(None),) * before + (slice(*ends),) for ends in ends]
    return _concatenate(*arrays, (places, axis))


@_documented
def stack(arrays, axis=0):
    """Put numbers, or arrays of one shape, side by side along a new axis.

    Examples
    --------
    >>> x = Var(2.0)
    >>> stack([x, x**2, 1.0])
    Var([2., 4., 1.])
    """
    arrays = list(arrays)
    shapes = list(map(np.shape, arrays))
    if len(set(shapes)) != 1:
        raise ValueError(f"stack needs one shape, got {shapes}; use reshape or concatenate")
    axis = normalize_axis_index(axis, len(shapes[0]) + 1)
    return _stack(*arrays, ([(slice(None),) * axis + (k,) for k in range(len(arrays))], axis))


@_documented
def stop_gradient(x):
    """Return the value of x as a constant, whose slope is 0.

    Examples
    --------
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    3.0
    """
    return _read_only(_plain(x)) if isinstance(x, _Traced) else x


# Python's operators and NumPy's functions lead to the same table


def _compare(compare):
    return lambda self, other: compare(_plain(self), _plain(other))


def _turned(operation):
    return lambda self, other: operation(other, self)


def _no_rule(function, name):
    known = f"{', '.join(sorted(_BY_NUMPY))}, sigmoid, softplus, relu, logsumexp, softmax, affine"
    way = _WAYS_OUT.get(name, known)
    return f"{function} has no rule for a Var; use what calclib.autodiff has: {way}"


for _name in ("lt", "le", "eq", "ne", "ge", "gt"):
    setattr(_Traced, f"__{_name}__", _compare(getattr(operator, _name)))
for _name, _operation in zip(
    ("add", "sub", "mul", "truediv", "pow", "matmul"),
    (add, subtract, multiply, divide, power, _matmul),
    strict=True,
):
    setattr(_Traced, f"__{_name}__", _operation)
    setattr(_Traced, f"__r{_name}__", _turned(_operation))
for _name, _operation in (("floordiv", np.floor_divide), ("mod", np.remainder)):  # have no rule
    setattr(_Traced, f"__{_name}__", lambda self, other, no=_operation: no(self, other))
    setattr(_Traced, f"__r{_name}__", _turned(_operation))
for _operation in (sum, mean, max, min):
    setattr(_Traced, _operation.__name__, _operation)
_Traced.__neg__, _Traced.__abs__, _Traced.__pos__ = negative, abs, lambda self: self

_BY_NUMPY = {
    function.__name__: function
    for function in (
        *(add, subtract, multiply, divide, power, maximum, minimum, negative, abs, sqrt),
        *(exp, expm1, log, log1p, sin, cos, tan, arctan, tanh, where, sum, mean, max, min),
        *(matmul, reshape, transpose, concatenate, stack),
    )
} | {"absolute": abs}
_PLAIN = {  # without a slope, or with slope 0
    *("shape", "ndim", "size", "zeros_like", "ones_like", "argmax", "argmin", "argsort", "round"),
    *("less", "less_equal", "equal", "not_equal", "greater_equal", "greater", "sign", "floor"),
    *("isclose", "allclose", "array_equal", "isfinite", "isnan", "isinf", "ceil"),
}
_WAYS_OUT = {
    "add.reduce": "sum",
    "clip": "minimum(maximum(x, low), high)",
    "cumsum": "matmul with a triangle of ones",
    "copy": "x itself, nothing can change it",
    "dot": "matmul, or x @ y",
    "flatten": "x.reshape(-1)",
    "floor_divide": "np.floor(x / y), of slope 0",
    "item": "x.value",
    "norm": "sqrt(sum(x**2))",
    "outer": "reshape(x, (-1, 1)) * y",
    "positive": "x itself",
    "prod": "math.prod(x), for a vector",
    "ravel": "x.reshape(-1)",
    "remainder": "x - y * np.floor(x / y)",
    "square": "x**2",
    "std": "sqrt(mean((x - mean(x))**2))",
    "var": "mean((x - mean(x))**2)",
}


def _from_numpy(function, name, args, options):
    """Answer a NumPy function that was called with a Var."""
    if name in _PLAIN or (name == "where" and len(args) == 1):  # where gives indices
        return function(*map(_plain, args), **{key: _plain(a) for key, a in options.items()})
    if name not in _BY_NUMPY:
        raise TypeError(_no_rule(f"np.{name}", name))
    ours = _BY_NUMPY[name]
    if not isinstance(function, np.ufunc):  # find the names of options that are given by place
        names = inspect.signature(function).parameters
        given = inspect.signature(function).bind(*args, **options).arguments
        operands = 3 if ours is where else 1
        args = [given.pop(key) for key in list(names)[:operands] if key in given]
        options = {k: a for k, a in given.items() if a is not names[k].default}
    if extra := options.keys() - inspect.signature(ours).parameters:
        raise TypeError(
            f"np.{name} of a Var has no option {', '.join(sorted(extra))}; leave it out, or choose "
            "entries with an index or calclib.autodiff.where"
        )
    return ours(*args, **options)
