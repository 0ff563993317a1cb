"""Derivatives as formulas: SymPy expressions in, SymPy expressions out.

expr        f, an expression
variables   x_1 ... x_n, the symbols it is differentiated in
a           the point a Taylor polynomial touches
"""

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from calclib import _validate

_BESIDE, _NEARER = sp.Rational(1, 10**30), sp.Rational(1, 10**40)  # where a jump is looked for
_INFINITE = (sp.nan, sp.zoo, sp.oo, -sp.oo, sp.AccumBounds)


def grad(expr, variables):
    r"""Return the gradient as a column, (grad f)_j = df/dx_j.

    Parameters
    ----------
    expr : SymPy expression
        The function f, a scalar.
    variables : Symbol or sequence of n Symbols
        What to differentiate in. Other symbols are constants.

    Returns
    -------
    Matrix, shape (n, 1)
        The partial derivatives.

    Raises
    ------
    ValueError
        If expr is a matrix or list, `jacobian` differentiates those; or if it is infinite or nan.
    TypeError
        If expr is no expression or a variable is no symbol.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> grad(x**2 + 3 * y**2 - 4 * x * y, (x, y))
    Matrix([
    [ 2*x - 4*y],
    [-4*x + 6*y]])
    """
    expr, variables = _finite(_scalar(expr, "grad")), _symbols(variables)
    return sp.Matrix([sp.diff(expr, x_j) for x_j in variables])


def jacobian(exprs, variables):
    r"""Return the Jacobian, J_ij = df_i/dx_j: a row for each output.

    Parameters
    ----------
    exprs : sequence of m expressions, or one expression
        The functions f_1 ... f_m.
    variables : Symbol or sequence of n Symbols
        What to differentiate in.

    Returns
    -------
    Matrix, shape (m, n)
        The partial derivatives.

    Raises
    ------
    ValueError
        If an entry is infinite or nan.
    TypeError
        If an entry is no expression or a variable is no symbol. Text is none: it is not evaluated.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> jacobian([x * y, sp.sin(x)], (x, y))
    Matrix([
    [     y, x],
    [cos(x), 0]])
    """
    exprs, variables = _expression(exprs), _symbols(variables)
    outputs = [_finite(f_i) for f_i in (exprs if isinstance(exprs, sp.MatrixBase) else [exprs])]
    return sp.Matrix([[sp.diff(f_i, x_j) for x_j in variables] for f_i in outputs])


def hessian(expr, variables):
    r"""Return the Hessian, H_ij = d^2 f / dx_i dx_j.

    Parameters
    ----------
    expr : SymPy expression
        The function f, a scalar.
    variables : Symbol or sequence of n Symbols
        What to differentiate in.

    Returns
    -------
    Matrix, shape (n, n)
        The second derivatives, symmetric where they are continuous.

    Raises
    ------
    ValueError
        If expr is a matrix or list, take the Hessian of each output; or if it is infinite or nan.
    TypeError
        If expr is no expression or a variable is no symbol.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> hessian(100 * (y - x**2) ** 2 + (1 - x) ** 2, (x, y)).subs({x: 1, y: 1})
    Matrix([
    [ 802, -400],
    [-400,  200]])
    """
    expr, variables = _finite(_scalar(expr, "hessian")), _symbols(variables)
    return sp.Matrix([[sp.diff(expr, x_i, x_j) for x_j in variables] for x_i in variables])


def taylor(expr, variable, *, about=0, order=2):
    r"""Return the Taylor polynomial, the sum of f^(k)(a) / k! (x - a)^k for k = 0 ... order.

    Parameters
    ----------
    expr : SymPy expression
        The function f.
    variable : Symbol
        x.
    about : number or expression
        a, the point where polynomial and function touch.
    order : int
        Degree of the last term, 0 or more.

    Returns
    -------
    SymPy expression
        The polynomial, without a remainder term.

    Raises
    ------
    ValueError
        If a is not finite, if f or one of the derivatives needed is not finite at a, or if f
        has a kink or a jump there.

    Notes
    -----
    The error is f^(order + 1) / (order + 1)! (x - a)^(order + 1), taken somewhere between a
    and x.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> taylor(sp.exp(x), x, order=2)
    x**2/2 + x + 1
    """
    f, a, (x,) = _scalar(expr, "taylor"), _scalar(about, "taylor"), _symbols([variable])
    order = _validate.positive_int(order, "order", least=0)
    if a.has(*_INFINITE):
        raise ValueError(
            f"about must be finite, got {a}; for large {x} put 1/{x} for {x}, and expand about 0"
        )
    t = sp.Symbol(x.name, real=True)
    derivatives = [sp.diff(f.subs(x, t), t, k) for k in range(order + 1)]
    return sum(
        _value_at(f_k, t, a) / sp.factorial(k) * (x - a) ** k for k, f_k in enumerate(derivatives)
    )


def to_function(expr, variables):
    r"""Return the NumPy function x -> f(x) of an expression.

    Parameters
    ----------
    expr : SymPy expression, matrix, or sequence of expressions
        What to compute. A column or a sequence of m expressions gives vectors.
    variables : Symbol or sequence of n Symbols
        The coordinates of x, in this order.

    Returns
    -------
    callable
        Maps one point, shape (n,), to a float, and k points as columns, (n, k), to (k,).
        An expression with m outputs gives (m,) and (m, k), a matrix (m, p) and (m, p, k).
        With one variable a number gives a float and an array is taken element by element.

    Raises
    ------
    ValueError
        If expr has symbols that are not among the variables, or parts that NumPy cannot compute.
        From the function: if x has not n coordinates, or expr has no finite value there.
    TypeError
        If expr is no expression or a variable is no symbol. From the function: if x does not
        hold numbers.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> f = to_function(x**2 + 10 * y**2, (x, y))
    >>> f([1, 2])
    41.0
    >>> f(np.array([[1, 0], [2, 1]]))
    array([41., 10.])
    """
    expr, variables = _expression(expr), _symbols(variables)
    unknown = expr.free_symbols - set(variables)
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))
        raise ValueError(
            f"expr has symbols that are not among the variables: {names}; "
            "add them to variables or replace them with expr.subs"
        )
    undefined = ", ".join(sorted({str(f.func) for f in expr.atoms(AppliedUndef)}))
    if undefined:
        raise ValueError(
            f"expr has functions that are not defined: {undefined}; "
            "put an expression in their place with expr.subs, and call doit()"
        )
    matrix = isinstance(expr, sp.MatrixBase)
    shape = () if not matrix else expr.shape[:1] if expr.shape[1] == 1 else expr.shape
    try:
        entries = [
            sp.lambdify(variables, e, "numpy", cse=True) for e in (expr if matrix else [expr])
        ]
    except NotImplementedError as error:
        raise ValueError(
            f"expr has a part that NumPy cannot compute, got {_begin(expr)}; call expr.doit() "
            "to carry out its derivatives and integrals"
        ) from error

    def function(x):
        coordinates = _coordinates(x, len(variables))
        points = np.broadcast_shapes(*(c.shape for c in coordinates))
        try:
            with np.errstate(all="ignore"):
                values = [np.broadcast_to(entry(*coordinates), points) for entry in entries]
        except NameError as error:
            raise ValueError(
                f"expr has a function that NumPy does not have, {error.name}: got {_begin(expr)}; "
                "rewrite it with functions that NumPy has, or use expr.evalf(subs=...)"
            ) from error
        value = np.array(values, np.result_type(float, *values)).reshape(shape + points)
        bad = ~np.isfinite(value)
        if bad.any():
            first = tuple(np.argwhere(bad)[0])
            at = [c[first[len(shape) :]] for c in coordinates]
            raise ValueError(
                f"{expr} is not finite at x={_validate.show(at if len(at) > 1 else at[0])}: got "
                f"{value[first]}; move to a point where it has a finite value"
            )
        return value.item() if value.ndim == 0 else value

    return function


def agree(a, b, variables, *, rng, n=20, tol=1e-9):
    r"""Tell whether two functions are the same, \|a(x) - b(x)\| <= tol (1 + \|b(x)\|).

    Parameters
    ----------
    a, b : SymPy expression, matrix, or callable
        A callable maps what the function of `to_function` maps: a float for one variable, a
        point of shape (n,) for several.
    variables : Symbol or sequence of Symbols
        The coordinates of x.
    rng : numpy.random.Generator
        Where the points come from: uniform between -2 and 2, between 0 and 2 for a symbol
        declared positive.
    n : int
        Number of points.
    tol : float
        Tolerance, dimensionless.

    Returns
    -------
    bool
        True if both are finite at the same points and agree there.

    Raises
    ------
    ValueError
        If none of the points lies where both are defined.
    TypeError
        If rng is no generator.

    Notes
    -----
    A difference at one point disproves that they are the same. Agreement at random points
    makes it likely, and proves nothing.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> agree(sp.sin(x) ** 2, 1 - sp.cos(x) ** 2, x, rng=np.random.default_rng(0))
    True
    >>> agree(sp.diff(x**3, x), lambda x: 3 * x, x, rng=np.random.default_rng(0))
    False
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a NumPy generator, got {type(rng).__name__}; "
            "use rng=np.random.default_rng(0)"
        )
    variables = _symbols(variables)
    n, tol = _validate.positive_int(n, "n"), _validate.positive(tol, "tol")
    formulas = (sp.Basic, sp.MatrixBase, list, tuple, int, float)
    a, b = (to_function(f, variables) if isinstance(f, formulas) else f for f in (a, b))
    low = [0.0 if x_j.is_positive else -2.0 for x_j in variables]
    met = False
    for x in rng.uniform(low, 2.0, (n, len(variables))):
        x = x.item() if len(variables) == 1 else x
        value_a, value_b = _value_or_nan(a, x), _value_or_nan(b, x)
        finite_a, finite_b = np.isfinite(value_a).all(), np.isfinite(value_b).all()
        if finite_a and finite_b:
            met = True
            gap = np.abs(value_a - value_b)
            if value_a.shape != value_b.shape or (gap > tol * (1 + np.abs(value_b))).any():
                return False
        elif finite_a or finite_b:
            return False
    if not met:
        raise ValueError(
            f"a and b must be defined at some of the {n} points between {low} and 2, got none; "
            "declare the symbols positive, or shift the variables"
        )
    return True


def _value_or_nan(fun, x):
    """Return fun(x) as an array, NaN where it is not defined."""
    try:
        with np.errstate(all="ignore"):
            value = np.asarray(fun(x))
    except (ArithmeticError, ValueError):
        return np.asarray(np.nan)
    return np.asarray(np.nan) if value.dtype.kind == "c" else value.astype(float)


def _value_at(expr, x, a):
    """Return expr at x = a, if it is finite and no jump away from its values beside a.

    Beside a continuous function comes nearer to its value, however steep it is; a jump stays.
    """
    value = expr.subs(x, a)
    if expr.has(AppliedUndef):  # nothing is known of f(x)
        return value
    exact, at = (e.xreplace({c: sp.Rational(c) for c in e.atoms(sp.Float)}) for e in (expr, a))
    others = sorted((expr.free_symbols | a.free_symbols) - {x}, key=str)
    some = {symbol: sp.Rational(k, 7) for k, symbol in enumerate(others, start=2)}

    def beside(d):
        return exact.subs(x, at + d).subs(some).evalf(60)

    left, here, right = beside(-_BESIDE), beside(0), beside(_BESIDE)
    finite = not value.has(*_INFINITE, sp.DiracDelta)
    if not finite or _jumps(left, here, beside(-_NEARER)) or _jumps(right, here, beside(_NEARER)):
        raise ValueError(
            f"taylor needs a function that is smooth at {x} = {a}, got {expr} with the values "
            f"{_brief(left)}, {value}, {_brief(right)} there; move about, or lower the order"
        )
    return value


def _brief(value):
    """Return four digits of a value as text; SymPy's power of ten may be long itself."""
    text = str(value.evalf(4))
    return text if len(text) <= 24 else text[:21] + "..."


def _jumps(beside, here, nearer):
    """Tell whether a value nearer to a is hardly closer to the value at a."""
    if not (beside.is_number and here.is_number and nearer.is_number):
        return False
    far, near = abs(beside - here), abs(nearer - here)
    return bool(near > 1e-45 * (1 + abs(here)) and 2 * near > far)


def _coordinates(x, n):
    """Split x into its n coordinates: floats, or arrays of shape (k,)."""
    _validate.unmasked(x, "x")
    try:
        array = np.asanyarray(x)
    except ValueError:  # rows of unequal length, say
        array = _validate.real(x, "x")
    if array.dtype.kind not in "biufc":
        array = _validate.real(x, "x")
    x = array.astype(float) if array.dtype.kind in "biu" else array
    if n == 1 and x.ndim < 2:
        return [x[()]] if x.ndim == 0 else [x]
    if x.ndim not in (1, 2) or len(x) != n:
        raise ValueError(
            f"x must have shape ({n},), or ({n}, k) for k points as columns, got {x.shape}; "
            "give one row for each variable"
        )
    return list(x)


def _symbols(variables):
    """Return the variables as a list of distinct symbols."""
    sequence = isinstance(variables, list | tuple | sp.Tuple | sp.MatrixBase | np.ndarray)
    variables = list(variables) if sequence else [variables]
    if not variables or not all(isinstance(v, sp.Symbol) for v in variables):
        raise TypeError(
            f"variables must be symbols, got {variables}; make them with sp.symbols('x y')"
        )
    if len(set(variables)) < len(variables):
        raise ValueError(f"variables must differ, got {variables}; name each one once")
    return variables


def _expression(value):
    """Return a SymPy expression, or a matrix of them from a sequence."""
    if isinstance(value, sp.Expr | sp.MatrixBase):
        return value
    rows = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)
    if rows and len(value):
        return _matrix(value)
    if isinstance(value, int | float | complex | np.number) and not isinstance(value, bool):
        return sp.sympify(value)
    raise TypeError(
        f"expr must be a SymPy expression, got {type(value).__name__} {_begin(value)!r}; "
        "make it from symbols, x = sp.Symbol('x'), or call your function with symbols"
    )


def _matrix(rows):
    """Return a matrix of a sequence of expressions, or of rows of them."""
    for entry in rows:
        _expression(entry)  # SymPy would evaluate text
    try:
        return sp.Matrix(rows)
    except ValueError:
        raise ValueError(
            f"expr must be a column of expressions, or rows of equal length, got {_begin(rows)}; "
            "give every row the same length"
        ) from None


def _finite(expr):
    """Return an expression, if it is not infinite and has no infinite term or factor."""
    parts = [expr, *(expr.args if expr.is_Add or expr.is_Mul else ())]
    if any(part in (sp.nan, sp.zoo, sp.oo, -sp.oo) for part in parts):
        raise ValueError(
            f"expr must have finite values to have a derivative, got {_begin(expr)}; "
            "look for a division by 0 or an infinite limit on the way to it"
        )
    return expr


def _begin(value):
    """Return the beginning of a value as text."""
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _scalar(value, verb):
    expr = _expression(value)
    if isinstance(expr, sp.MatrixBase):
        raise ValueError(
            f"{verb} needs one expression, got a matrix of shape {expr.shape}; "
            "use jacobian instead, or take one entry"
        )
    return expr
