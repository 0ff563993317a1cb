"""The family of functions that travels through the whole book.

Vocabulary
----------
expr        the formula, a SymPy expression; everything else is derived from it
variables   the SymPy symbols of the formula, in the order of the coordinates of a point
fun         the function          x (n,) -> float, x (n, k) -> (k,)
grad        its gradient          x (n,) -> (n,), x (n, k) -> (n, k)
hess        its Hessian           x (n,) -> (n, n), x (n, k) -> (n, n, k)
x0          where the book starts a descent, shape (n,)
minimizers  the local minimizers as columns, shape (n, k), a global one first
domain      the part worth drawing, one (low, high) for each variable

Called with SymPy symbols instead of numbers, `fun`, `grad` and `hess` return the formula.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp

from calclib import _validate


@dataclass(frozen=True, eq=False, repr=False)
class Problem:
    """A function to minimize, with its derivatives: one formula, compiled.

    Parameters
    ----------
    name : str
        Short name, as in "valley".
    expr : sympy.Expr
        The formula. The other parts follow from it.
    variables : tuple of sympy.Symbol, length n
        The symbols of the formula, in the order of the coordinates of a point.
    fun : callable
        The function: ``(n,)`` to float, ``(n, k)`` to ``(k,)``.
    grad : callable
        The gradient: ``(n,)`` to ``(n,)``, ``(n, k)`` to ``(n, k)``.
    hess : callable
        The Hessian: ``(n,)`` to ``(n, n)``, ``(n, k)`` to ``(n, n, k)``.
    x0 : ndarray, shape (n,)
        The usual start of a descent, dimensionless. Read-only.
    minimizers : ndarray, shape (n, k)
        The k local minimizers as columns, dimensionless, a global one first; k is 0 when there are
        none. Read-only.
    domain : tuple of (float, float), length n
        The interval of each variable that is worth drawing, dimensionless.

    Notes
    -----
    Problems of one variable also take a plain number and then give plain numbers: value, slope and
    second derivative. Integers are promoted to float64; complex numbers stay complex.

    Called with SymPy symbols, ``fun`` returns an expression, ``grad`` an object array of shape
    ``(n,)`` and ``hess`` one of shape ``(n, n)``, so that rules written in plain arithmetic go
    through unchanged.

    Examples
    --------
    >>> import sympy as sp
    >>> problem = bowl()
    >>> problem
    Problem('bowl', x**2 + 10*y**2)
    >>> problem.fun([3, 1])
    19.0
    >>> problem.grad([3, 1])
    array([ 6., 20.])
    >>> x, y = sp.symbols("x y")
    >>> problem.grad((x, y))
    array([2*x, 20*y], dtype=object)
    """

    name: str
    expr: sp.Expr
    variables: tuple[sp.Symbol, ...]
    fun: Callable
    grad: Callable
    hess: Callable
    x0: np.ndarray
    minimizers: np.ndarray
    domain: tuple[tuple[float, float], ...]

    def __repr__(self):
        return f"Problem({self.name!r}, {self.expr})"

    def grid(self, n=200):
        """Sample the function over its domain, for drawing.

        Parameters
        ----------
        n : int, default 200
            Number of samples along each axis, at least 2.

        Returns
        -------
        tuple of ndarray
            ``(x, y)``, each of shape ``(n,)``, for one variable; ``(X, Y, Z)``, each of shape
            ``(n, n)``, for two.

        Raises
        ------
        ValueError
            If the problem has more than two variables, or `n` is below 2.

        Examples
        --------
        >>> x, y = two_wells().grid(5)
        >>> x.shape, y.shape
        ((5,), (5,))
        >>> X, Y, Z = bowl().grid(5)
        >>> Z.shape
        (5, 5)
        """
        if n < 2:
            raise ValueError(f"n must be at least 2 to span the domain, got {n}")
        axes = [np.linspace(low, high, n) for low, high in self.domain]
        if len(axes) > 2:
            raise ValueError(
                f"grid draws functions of one or two variables, got {len(axes)}; "
                "fix all but two of them first"
            )
        mesh = np.meshgrid(*axes)
        points = np.array([axis.ravel() for axis in mesh])
        return (*mesh, self.fun(points).reshape(mesh[0].shape))


def _has_symbols(x):
    """Tell whether `x` is, or holds, a SymPy expression."""
    if isinstance(x, (list, tuple)) or (isinstance(x, np.ndarray) and x.dtype == object):
        return any(_has_symbols(entry) for entry in x)
    return isinstance(x, (sp.Basic, sp.MatrixBase))


def _compile(entries, variables, name):
    """Compile an array of expressions into one function of a point, numeric or symbolic.

    `entries` is an object array of shape (), (n,) or (n, n); the result at a point has the same
    shape, and one more axis for several points.
    """
    n = len(variables)
    flat = list(entries.ravel())
    numeric = sp.lambdify(variables, flat, modules="numpy", cse=True)

    def formula(x):
        point = [x] if isinstance(x, sp.Expr) else list(x)
        if len(point) != n:
            raise ValueError(f"{name} needs {n} symbols {variables}, got {len(point)}")
        rename = dict(zip(variables, map(sp.sympify, point), strict=True))
        values = [entry.subs(rename, simultaneous=True) for entry in flat]
        if entries.ndim == 0 or isinstance(x, sp.Expr):
            return values[0]
        out = np.empty(len(flat), dtype=object)
        out[:] = values
        return out.reshape(entries.shape)

    def evaluate(x):
        if _has_symbols(x):
            return formula(x)
        x = np.asarray(x)
        if x.dtype.kind not in "fc":
            x = _promote(x, name)
        if x.ndim == 0 and n == 1:
            return x.dtype.type(numeric(x[()])[0]).item()
        if x.ndim not in (1, 2) or x.shape[0] != n:
            raise ValueError(_shape_message(name, x, n))
        out = np.empty((len(flat), *x.shape[1:]), dtype=x.dtype)
        for row, value in enumerate(numeric(*x)):
            out[row] = value  # a constant entry spreads over all points
        out = out.reshape(entries.shape + x.shape[1:])
        return out if out.ndim else out.item()

    evaluate.__name__ = evaluate.__qualname__ = name
    return evaluate


def _promote(x, name):
    """Turn integers and booleans into float64; refuse what is not a number."""
    if x.dtype.kind not in "biu":
        raise TypeError(f"{name} needs numbers or SymPy symbols, got an array of {x.dtype}")
    return x.astype(float)


def _shape_message(name, x, n):
    way_out = "put several points in columns"
    if n == 1 and x.ndim == 1:
        way_out = "several points of one variable are one row: x[np.newaxis, :]"
    elif x.ndim == 2 and x.shape[1] == n:
        way_out = "points are columns: x.T"
    return f"{name} needs x of shape ({n},) or ({n}, k), got {x.shape}; {way_out}"


def _problem(name, expr, variables, *, x0, minimizers, domain):
    """Derive gradient and Hessian of `expr`, compile all three, and collect the parts."""
    gradient = [sp.diff(expr, v) for v in variables]
    hessian = [[sp.diff(slope, v) for v in variables] for slope in gradient]
    n = len(variables)
    minimizers = np.array(minimizers, dtype=float).reshape(-1, n).T
    x0 = np.array(x0, dtype=float)
    for array in (x0, minimizers):
        array.flags.writeable = False
    return Problem(
        name,
        expr,
        variables,
        _compile(np.array(expr, dtype=object), variables, "fun"),
        _compile(np.array(gradient, dtype=object), variables, "grad"),
        _compile(np.array(hessian, dtype=object), variables, "hess"),
        x0,
        minimizers,
        domain,
    )


def bowl(curvatures=(1.0, 10.0), angle=0.0):
    """Quadratic bowl, f = sum of c_i u_i^2, where u are the coordinates turned by `angle`.

    Parameters
    ----------
    curvatures : sequence of float, length n, default (1.0, 10.0)
        The coefficients c_i, positive, dimensionless. The Hessian has eigenvalues 2 c_i.
    angle : float, default 0.0
        How far the axes of the bowl are turned, in radians; for two variables only.

    Returns
    -------
    Problem
        ``bowl()`` is x^2 + 10 y^2, with Hessian diag(2, 20) and condition number 10;
        ``bowl((1,))`` is x^2.

    Raises
    ------
    ValueError
        If a curvature is not positive and finite, or `angle` is given without two curvatures.

    Notes
    -----
    Along the first axis of the turned bowl, (cos angle, sin angle), the function is c_0 u^2. Given
    curvatures are kept exactly as they are written: 0.1 is 1/10 in the formula.

    Examples
    --------
    >>> bowl().hess([0, 0])
    array([[ 2.,  0.],
           [ 0., 20.]])
    >>> bowl((1,)).fun(5)
    25.0
    """
    curvatures = [_validate.positive(c, "curvatures") for c in curvatures]
    angle = _validate.number(angle, "angle")
    n = len(curvatures)
    if n == 0:
        raise ValueError("curvatures must hold at least one number, got none")
    if angle and n != 2:
        raise ValueError(f"angle turns a bowl of two variables, got {n} curvatures; leave it at 0")
    names = ("x", "y", "z") if n <= 3 else [f"x{i}" for i in range(n)]
    variables = sp.symbols(names[:n])
    u = list(variables)
    if angle:
        c, s = np.cos(angle), np.sin(angle)
        u = [c * u[0] + s * u[1], -s * u[0] + c * u[1]]
    coefficients = [sp.Rational(repr(float(c))) for c in curvatures]
    expr = sum(c * ui**2 for c, ui in zip(coefficients, u, strict=True))
    return _problem(
        "bowl",
        sp.expand(expr),
        tuple(variables),
        x0=(5.0,) if n == 1 else (5.0,) + (1.0,) * (n - 1),
        minimizers=[(0.0,) * n],
        domain=((-6.0, 6.0),) if n == 1 else ((-6.0, 6.0),) + ((-3.0, 3.0),) * (n - 1),
    )


def valley():
    """Curved valley of Rosenbrock, f = (1 - x)^2 + 100 (y - x^2)^2.

    Returns
    -------
    Problem
        Minimum 0 at (1, 1); the Hessian there is [[802, -400], [-400, 200]], with condition number
        2508.

    References
    ----------
    H. H. Rosenbrock, "An automatic method for finding the greatest or least value of a function",
    The Computer Journal 3 (1960), 175-184. https://doi.org/10.1093/comjnl/3.3.175

    Examples
    --------
    >>> valley().fun([-1, 1])
    4.0
    >>> valley().grad([1, 1])
    array([0., 0.])
    """
    x, y = sp.symbols("x y")
    return _problem(
        "valley",
        (1 - x) ** 2 + 100 * (y - x**2) ** 2,
        (x, y),
        x0=(-1.0, 1.0),
        minimizers=[(1.0, 1.0)],
        domain=((-2.0, 2.0), (-1.0, 3.0)),
    )


def two_wells():
    """Two wells with a ridge between them, f = x^2 + 10 sin x.

    Returns
    -------
    Problem
        The global minimum is -7.9458 at x = -1.3064, a second one 8.3156 at x = 3.8375; the ridge
        is at x = 1.9773.

    Notes
    -----
    The minimizers are the roots of 2 x + 10 cos x with positive second derivative, to the last bit.

    Examples
    --------
    >>> problem = two_wells()
    >>> [round(problem.fun(x), 4) for x in problem.minimizers[0]]
    [-7.9458, 8.3156]
    """
    (x,) = sp.symbols("x,")
    return _problem(
        "two wells",
        x**2 + 10 * sp.sin(x),
        (x,),
        x0=(5.0,),
        minimizers=[(-1.306440008369511,), (3.8374671064990487,)],
        domain=((-6.0, 6.0),),
    )


def plateau():
    """One minimum and a nearly flat stretch on the way to it, f = x^2 + 5 sin x.

    Returns
    -------
    Problem
        The only critical point is the minimum -3.2464 at x = -1.1105; near x = 2.73 the slope
        falls to 0.9 without a second minimum.

    Notes
    -----
    The minimizer is the only root of 2 x + 5 cos x, to the last bit.

    Examples
    --------
    >>> problem = plateau()
    >>> round(problem.fun(problem.minimizers[0, 0]), 4)
    -3.2464
    """
    (x,) = sp.symbols("x,")
    return _problem(
        "plateau",
        x**2 + 5 * sp.sin(x),
        (x,),
        x0=(5.0,),
        minimizers=[(-1.110510503581112,)],
        domain=((-6.0, 6.0),),
    )


def himmelblau():
    """Four equal wells, f = (x^2 + y - 11)^2 + (x + y^2 - 7)^2.

    Returns
    -------
    Problem
        Minimum 0 at (3, 2) and at three more points.

    Notes
    -----
    The other three minimizers are roots of polynomials without a short closed form; they are given
    to the last bit.

    References
    ----------
    D. M. Himmelblau, Applied Nonlinear Programming, McGraw-Hill, 1972.

    Examples
    --------
    >>> problem = himmelblau()
    >>> problem.minimizers.shape
    (2, 4)
    >>> problem.fun([3, 2])
    0.0
    """
    x, y = sp.symbols("x y")
    return _problem(
        "himmelblau",
        (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
        (x, y),
        x0=(0.0, 0.0),
        minimizers=[
            (3.0, 2.0),
            (-2.8051180869527448, 3.1313125182505730),
            (-3.7793102533777469, -3.2831859912861694),
            (3.5844283403304917, -1.8481265269644036),
        ],
        domain=((-5.0, 5.0), (-5.0, 5.0)),
    )


def saddle():
    """Saddle, f = x^2 + 3 y^2 - 4 x y.

    Returns
    -------
    Problem
        The gradient (2x - 4y, 6y - 4x) vanishes at (0, 0) only, where the Hessian has the
        eigenvalues 4 + 2 sqrt(5) and 4 - 2 sqrt(5): up in one direction, down in another. There is
        no minimizer: `minimizers` has shape (2, 0).

    Notes
    -----
    From almost every start a descent leaves the saddle along (0.851, 0.526) and diverges.

    Examples
    --------
    >>> saddle().grad([1, 1])
    array([-2.,  2.])
    >>> saddle().minimizers.shape
    (2, 0)
    """
    x, y = sp.symbols("x y")
    return _problem(
        "saddle",
        x**2 + 3 * y**2 - 4 * x * y,
        (x, y),
        x0=(1.0, 1.0),
        minimizers=[],
        domain=((-3.0, 3.0), (-3.0, 3.0)),
    )


def beale():
    """Flat valley with steep corners, Beale's function.

    f = (1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2

    Returns
    -------
    Problem
        Minimum 0 at (3, 0.5).

    References
    ----------
    J. J. More, B. S. Garbow, K. E. Hillstrom, "Testing unconstrained optimization software", ACM
    Transactions on Mathematical Software 7 (1981), 17-41, problem 5.
    https://doi.org/10.1145/355934.355936

    Examples
    --------
    >>> beale().fun([3, 0.5])
    0.0
    """
    x, y = sp.symbols("x y")
    targets = sp.Rational(3, 2), sp.Rational(9, 4), sp.Rational(21, 8)
    return _problem(
        "beale",
        sum((c - x + x * y**i) ** 2 for i, c in enumerate(targets, start=1)),
        (x, y),
        x0=(1.0, 1.0),
        minimizers=[(3.0, 0.5)],
        domain=((-4.5, 4.5), (-4.5, 4.5)),
    )
