"""Derivatives from function values alone: finite differences and the complex step.

x               the point, a number or shape (n,)
h               the step, a number or one for each coordinate
f               fun(x)
left, right     fun(x - h), fun(x + h)
up              fun(x + ih), one step in the imaginary direction
eps             spacing of floating-point numbers at 1: 2.2e-16 in float64
"""

import cmath
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from calclib import _analytic, _validate
from calclib._length import length


class _Scheme(NamedTuple):
    where: tuple  # the points used, in steps from x
    slope: Callable  # the difference quotient
    power: float  # the best step is eps**power


# fun(x) is evaluated even where the formula does not need it: 1/x has no slope at 0.
_SCHEMES = {
    "forward": _Scheme((0, +1), lambda f, right, h: (right - f) / h, 1 / 2),
    "backward": _Scheme((0, -1), lambda f, left, h: (f - left) / h, 1 / 2),
    "central": _Scheme((0, -1, +1), lambda f, left, right, h: (right - left) / (2 * h), 1 / 3),
    "complex": _Scheme((1j,), lambda up, h: up.imag / h, None),
}
_COMPLEX_STEP = 1e-20
_HALF_CIRCLE = tuple(cmath.exp(1j * math.pi * (k + 0.5) / 8) for k in range(8))


def default_step(x, *, scheme="central"):
    r"""Return the step with the smallest error, h = eps^p max(1, |x|).

    A difference quotient errs by the truncation, about h^q |f|, and by the rounding of the
    function values, about eps |f| / h. Their sum is smallest near h = eps^(1 / (q + 1)).

    Parameters
    ----------
    x : float or ndarray, shape (n,)
        The point. float32 is kept and gives the step for float32.
    scheme : {"forward", "backward", "central", "complex", "second"}
        p = 1/2 for forward and backward, 1/3 for central, 1/4 for ``"second"``, the second
        derivatives of `hessian`. The complex step has no rounding error of this kind: 1e-20.

    Returns
    -------
    float or ndarray, shape (n,)
        The step, in the units of x, rounded such that (x + h) - x == h.

    Raises
    ------
    ValueError
        If x is not finite, or so large that x + 2h is not, or the scheme is unknown.

    Notes
    -----
    The rule takes f, f'' and f''' to be of like size and |x| or 1 to be the scale on which f
    changes. Where that is wrong by much, give h yourself.

    References
    ----------
    Press, Teukolsky, Vetterling, Flannery, Numerical Recipes, 3rd ed., Cambridge University
    Press 2007, section 5.7.

    Examples
    --------
    >>> print(f"{default_step(1.0):.1e} {default_step(1.0, scheme='forward'):.1e}")
    6.1e-06 1.5e-08
    """
    _validate.choice(scheme, "scheme", (*_SCHEMES, "second"))
    x = _validate.point(x, keep_precision=True)
    if scheme == "complex":
        return np.full_like(x, _COMPLEX_STEP)[()]
    _room(np.abs(x), "x", x, "divide the variable by its size", x.dtype)
    power = 1 / 4 if scheme == "second" else _SCHEMES[scheme].power
    h = np.finfo(x.dtype).eps ** power * np.maximum(1, np.abs(x))
    return ((x + h) - x)[()]


def derivative(fun, x, *, h=None, scheme="central"):
    r"""Return f'(x), by default from the central difference (f(x + h) - f(x - h)) / 2h.

    Parameters
    ----------
    fun : callable
        Maps a float to a float, or an array to an array of the same shape, element by element.
    x : float or ndarray, shape (n,)
        The point or points. Integers are promoted to float64.
    h : float or ndarray, shape (n,), optional
        The step, in the units of x. By default `default_step`.
    scheme : {"central", "forward", "backward", "complex"}
        forward is (f(x + h) - f(x)) / h, backward (f(x) - f(x - h)) / h, complex
        Im f(x + ih) / h.

    Returns
    -------
    float or ndarray, shape (n,)
        The slope at each point, in units of f per unit of x.

    Raises
    ------
    ValueError
        If fun is not finite at x or beside it, if h is not positive, too small to move x or too
        large for its double, or if the complex step meets a function that is not complex
        differentiable.
    TypeError
        If fun does not return real numbers; or if it returns narrower floats than float64, such
        as float32, and h is not given or lost in their rounding.

    Notes
    -----
    The error is of order h for forward and backward, h^2 for central and complex. fun is called
    at x too, so that a point without a value has no slope. At a kink such as \|x\| at 0 the
    central difference gives the mean of the two slopes.

    A difference knows nothing of what lies between its points. Where x is about as near as the
    step to a pole, a jump or a kink, it spans what it should stay beside, and the result is wrong
    without a word: 1/x at 1e-6 comes out as +2.8e10, where -1e12 is right, because the default
    step of 6e-6 reaches over the pole. There, give an h much smaller than the distance, or use
    ``scheme="complex"``, which refuses where it disagrees with the central difference.

    Only the complex step has no cancellation, so that h = 1e-20 gives full accuracy. Before it
    is believed it is compared with a central difference, and fun is asked on half circles
    around x whether it follows the conjugate of x. A part of fun that hides from both, in
    abs(complex(x)) for example, is smaller than about 1e-12 \|f\| / max(1, \|x\|) in the slope.

    References
    ----------
    Squire, Trapp, Using complex variables to estimate derivatives of real functions,
    SIAM Review 40 (1998), doi:10.1137/S003614459631241X.

    Examples
    --------
    >>> round(derivative(lambda x: x**3, 2.0), 6)
    12.0
    >>> derivative(np.sin, 0.0, scheme="complex")
    1.0
    """
    _validate.choice(scheme, "scheme", _SCHEMES)
    x = _validate.point(x)
    step = _step(h, x, scheme)
    value = _elementwise(_precise(fun, None if h is None else step), x.shape)
    slope = _slope(_along(value, x), x, step, scheme)
    return float(slope) if x.ndim == 0 else slope


def directional(fun, x, v, *, h=None, scheme="central"):
    r"""Return D_v f(x) = grad f(x) . v, the slope of f on the line x + t v at t = 0.

    Parameters
    ----------
    fun : callable
        Maps shape (n,) to a scalar.
    x : ndarray, shape (n,)
        The point.
    v : ndarray, shape (n,)
        The direction. It is not normalized: twice v has twice the slope.
    h : float, optional
        The step in t. By default the step `default_step` gives for the length of x, divided
        by the length of v.
    scheme : {"central", "forward", "backward", "complex"}
        As in `derivative`.

    Returns
    -------
    float
        The slope, in units of f per unit of t.

    Raises
    ------
    ValueError
        If x and v differ in shape, fun is not scalar or not finite, h is not positive, too
        small or too large, or v is too long.
    TypeError
        As `derivative`.

    Notes
    -----
    Three evaluations, whatever n is. The one step suits coordinates of like scale; where they
    differ by many powers of ten, ``grad(fun)(x) @ v`` takes a step for each.

    Examples
    --------
    >>> round(directional(lambda p: p @ p, np.array([3.0, 4.0]), np.array([1.0, 0.0])), 6)
    6.0
    """
    _validate.choice(scheme, "scheme", _SCHEMES)
    x, v = _validate.vector(x, "x"), _validate.vector(v, "v")
    if v.shape != x.shape:
        raise ValueError(
            f"v must have the shape of x, {x.shape}, got {v.shape}; give one number per coordinate"
        )
    size, norm = math.hypot(*x), math.hypot(*v) or 1.0
    _room(norm, "v", v, "use a shorter v and multiply the slope")
    move = None
    if h is not None:
        h = _step(_validate.number(h, "h"), x, scheme, v) * norm
        move = np.where(v == 0, np.inf, h * np.abs(v / norm))
    else:
        h = default_step(size, scheme=scheme)
    line = _along(_scalar(_precise(fun, move), "directional"), x, v / norm)
    slope = float(_slope(line, np.float64(size), h, scheme))
    return _finite_slope(norm * slope, x)


def grad(fun, *, h=None, scheme="central", vectorized=False):
    r"""Return the function x -> grad f(x), where (grad f)_j = df/dx_j.

    Parameters
    ----------
    fun : callable
        Maps shape (n,) to a scalar; with ``vectorized=True`` shape (n, k) to (k,).
    h : float or ndarray, shape (n,), optional
        The step, in the units of x. By default `default_step`, relative to each coordinate.
    scheme : {"central", "forward", "backward", "complex"}
        As in `derivative`.
    vectorized : bool
        Evaluate all shifted points, as columns, in one call of fun.

    Returns
    -------
    callable
        Maps x of shape (n,) to the gradient, shape (n,), and a number to a number.

    Raises
    ------
    ValueError
        From the returned function: if fun is not scalar, not finite at x or beside it, or if
        h is too small to move x.
    TypeError
        From the returned function: as `derivative`.

    Notes
    -----
    central takes 2 n + 1 values of fun, forward and backward n + 1. The complex step takes n
    complex values, and to test fun 4 n + 1 real ones and 17 n complex ones, up to 49 n where
    fun changes fast; when vectorized these are five calls, at most nine.

    Examples
    --------
    >>> grad(lambda p: p[0] ** 2 + p[1] ** 2)(np.array([3, 4])).round(6)
    array([6., 8.])
    """

    def gradient(x):
        x = _validate.point(x)
        if x.ndim == 0:
            return derivative(fun, x, h=h, scheme=scheme)
        step = _step(h, x, scheme)
        values = _scalars(_precise(fun, None if h is None else step), "grad", vectorized)
        return _slope(_each(values, x), x, step, scheme)

    _validate.choice(scheme, "scheme", _SCHEMES)
    return gradient


def jacobian(fun, *, h=None, scheme="central", vectorized=False):
    r"""Return the function x -> J(x), where J_ij = df_i/dx_j: a row for each output.

    Parameters
    ----------
    fun : callable
        Maps shape (n,) to (m,); with ``vectorized=True`` shape (n, k) to (m, k).
        A scalar output counts as m = 1.
    h : float or ndarray, shape (n,), optional
        The step, in the units of x. By default `default_step`, relative to each coordinate.
    scheme : {"central", "forward", "backward", "complex"}
        As in `derivative`.
    vectorized : bool
        Evaluate all shifted points, as columns, in one call of fun.

    Returns
    -------
    callable
        Maps x of shape (n,) to the Jacobian, shape (m, n).

    Raises
    ------
    ValueError
        From the returned function: if fun is not finite at x or beside it, if it returns
        more than one axis, or if h is too small to move x.
    TypeError
        From the returned function: as `derivative`.

    Notes
    -----
    The cost is that of `grad`; it does not grow with m.

    Examples
    --------
    >>> jacobian(lambda p: np.array([p[0] * p[1], p[0], p[1] ** 2]))([2, 3]).round(6)
    array([[3., 2.],
           [1., 0.],
           [0., 6.]])
    """

    def matrix(x):
        x = _validate.vector(x, "x")
        step = _step(h, x, scheme)
        values = _vectors(_precise(fun, None if h is None else step), vectorized)
        return _slope(_each(values, x), x, step, scheme)

    _validate.choice(scheme, "scheme", _SCHEMES)
    return matrix


def hessian(fun, *, h=None, vectorized=False):
    r"""Return the function x -> H(x), where H_ij = d^2 f / dx_i dx_j, symmetric.

    With a = h_i e_i and b = h_j e_j,
    H_ij = (f(x + a + b) - f(x + a - b) - f(x - a + b) + f(x - a - b)) / (4 h_i h_j).

    Parameters
    ----------
    fun : callable
        Maps shape (n,) to a scalar; with ``vectorized=True`` shape (n, k) to (k,).
    h : float or ndarray, shape (n,), optional
        The step, in the units of x. By default ``default_step(x, scheme="second")``.
    vectorized : bool
        Evaluate all shifted points, as columns, in one call of fun.

    Returns
    -------
    callable
        Maps x of shape (n,) to the Hessian, shape (n, n), and a number to f''(x).

    Raises
    ------
    ValueError
        From the returned function: if fun is not scalar, not finite at x or beside it, or if
        h is too small to move x.
    TypeError
        From the returned function: as `derivative`.

    Notes
    -----
    The truncation is at most h^2 / 3 times the fourth derivatives; the rounding is about eps |f| /
    h^2. With the default step, at x of size 1 or less, that is 5e-9 times the fourth derivatives
    and 1.5e-8 times |f|, however small H is: it leaves 100 + (x - 2y)^2 off by some 1e-7.
    `hessian_with_error` measures it.

    It takes 2 n (n + 1) + 1 values of fun.

    Examples
    --------
    >>> hessian(lambda p: p[0] ** 2 * p[1])([1.0, 3.0]).round(5)
    array([[6., 2.],
           [2., 0.]])
    """

    def matrix(x):
        x = _validate.point(x)
        if x.ndim == 0:
            one = hessian(lambda p: fun(p[0]), h=h, vectorized=vectorized)
            return float(one(x[None])[0, 0])
        step = _step(h, x, "second")
        values = _scalars(_precise(fun, None if h is None else step), "hessian", vectorized)
        H, _ = _bends(values, x, step)
        return _finite_slope(H, x)

    return matrix


def hessian_with_error(fun):
    r"""Return the function x -> (H(x), error): `hessian`, and how far its eigenvalues may be off.

    With H(h) by the default step and H(h / 2) by half of it,
    E_ij = 2 |H_ij(h / 2) - H_ij(h)| + 4 eps (|f| + sum_k |g_k x_k|) / (h_i h_j),
    and the error is the length of E, the root of the sum of its squares.

    Parameters
    ----------
    fun : callable
        Maps shape (n,) to a scalar.

    Returns
    -------
    callable
        Maps x of shape (n,) to the Hessian, shape (n, n), and a float, in the units of the
        Hessian; and a number to f''(x) and a float.

    Raises
    ------
    ValueError, TypeError
        From the returned function: as `hessian`.

    Notes
    -----
    Half the step has a quarter of the truncation T and four times the rounding R. So the two differ
    by 3/4 T, to leading order, up to 5 R: |T| + R is at most 4/3 of the difference and 23/3 R. Here
    2 stands for 4/3. Where fun is computed to the last digit, R is eps / 2 of each value, and as
    much of each coordinate: four values make eps (|f| + sum_k |g_k x_k|) / (2 h_i h_j). Where it is
    not, the difference shows it. No eigenvalue of a symmetric matrix moves by more than the
    length of what is added (Weyl).

    It is an estimate, not a proof. It fails where fun subtracts numbers much larger than |f|, and
    so coarse that all its values beside x are alike.

    It takes 4 n (n + 1) + 2 values of fun, none of them farther from x than those of `hessian`.

    References
    ----------
    G. H. Golub, C. F. Van Loan, Matrix Computations, 4th edition, Johns Hopkins University Press
    2013, section 8.1.

    Examples
    --------
    The second derivative of x^4 at 0 is 0. The difference is 8 h^2, and the error knows:

    >>> H, error = hessian_with_error(lambda x: x**4)(0.0)
    >>> print(f"{H:.1e} {error:.1e}")
    1.2e-07 1.8e-07
    """

    def pair(x):
        x = _validate.point(x)
        if x.ndim == 0:
            H, error = hessian_with_error(lambda p: fun(p[0]))(x[None])
            return float(H[0, 0]), error
        step = default_step(x, scheme="second")
        half = (x + step / 2) - x
        values = _scalars(_precise(fun, None), "hessian_with_error", False)
        (H, size), (finer, _) = (_bends(values, x, h) for h in (step, half))
        with np.errstate(all="ignore"):
            rounding = 4 * np.finfo(x.dtype).eps * size / step / step[:, None]
            return H, float(length(_finite_slope(2 * np.abs(finer - H) + rounding, x)))

    return pair


def jacobian_with_error(fun):
    r"""Return the function x -> (J(x), error): `jacobian`, and how far J may be off in length.

    With J(h) by the default step and J(h / 2) by half of it,
    E_ij = 2 |J_ij(h / 2) - J_ij(h)| + 3 eps (|f_i| + sum_k |J_ik x_k|) / h_j,
    and the error is the length of E, the root of the sum of its squares.

    Parameters
    ----------
    fun : callable
        Maps shape (n,) to (m,). A scalar output counts as m = 1.

    Returns
    -------
    callable
        Maps x of shape (n,) to the Jacobian, shape (m, n), and a float, in the units of the
        Jacobian.

    Raises
    ------
    ValueError, TypeError
        From the returned function: as `jacobian`.

    Notes
    -----
    Half the step has a quarter of the truncation T and twice the rounding R. So the two differ by
    3/4 T, to leading order, up to 3 R: |T| + R is at most 4/3 of the difference and 5 R, where R is
    eps (|f_i| + sum_k |J_ik x_k|) / (2 h_j). The limits are those of `hessian_with_error`.

    Of a gradient, (J + J^T) / 2 is the Hessian, and no eigenvalue is off by more than the error.
    Where the values are large beside the Hessian this error is far below that of differences of
    the function, which divide their rounding by h^2.

    It takes 4 n + 2 values of fun.

    Examples
    --------
    The second derivatives of 10^9 + x^2 + y^2, from its gradient and from its values:

    >>> x = np.array([1.0, 2.0])
    >>> _, of_slopes = jacobian_with_error(lambda p: 2 * p)(x)
    >>> _, of_values = hessian_with_error(lambda p: 1e9 + p @ p)(x)
    >>> print(f"{of_slopes:.0e} {of_values:.0e}")
    1e-09 8e+01
    """

    def pair(x):
        x = _validate.vector(x, "x")
        step = default_step(x)
        half = (x + step / 2) - x
        where, slope, _ = _SCHEMES["central"]
        sample = _each(_vectors(_precise(fun, None), False), x)
        values, near = (sample(h, where) for h in (step, half))
        with np.errstate(all="ignore"):
            J = _finite_slope(slope(*values, step), x)
            size = np.abs(np.hstack(values)).max(axis=1) + np.abs(J * x).sum(axis=1)
            rounding = 3 * np.finfo(x.dtype).eps * size[:, None] / step
            return J, float(length(_finite_slope(2 * np.abs(slope(*near, half) - J) + rounding, x)))

    return pair


def error_by_step(fun, exact, x, steps, *, scheme="central"):
    r"""Return the error \|approximation - exact\| of a derivative for each step.

    Parameters
    ----------
    fun : callable
        Maps a float to a float.
    exact : float or callable
        The true derivative: its value at x, or a function of x.
    x : float
        The point. ``np.float32(x)`` does the arithmetic in float32, to show its rounding.
    steps : array_like, shape (k,)
        The steps, in the units of x.
    scheme : {"central", "forward", "backward", "complex"}
        As in `derivative`.

    Returns
    -------
    ndarray, shape (k,)
        The errors, in units of f per unit of x, in float64.

    Raises
    ------
    ValueError
        If a step is too small to move x, or fun is not finite beside x.

    Notes
    -----
    Against the step on two log axes the error falls with slope 1 (forward, backward) or 2
    (central) down to the best step, and rises with slope -1 to its left, where rounding rules.

    Examples
    --------
    >>> error_by_step(np.sin, np.cos, 1.0, [1e-2, 5e-3]).round(7)
    array([9.0e-06, 2.3e-06])
    """
    _validate.choice(scheme, "scheme", _SCHEMES)
    x = _validate.point(x, keep_precision=True)
    if x.ndim:
        raise ValueError(f"x must be one number, got shape {x.shape}; call it for each point")
    truth = exact(float(x)) if callable(exact) else _validate.number(exact, "exact")
    sample = _along(_elementwise(_precise(fun, np.inf), ()), x)  # the error tells of itself
    steps = [_step(h, x, scheme) for h in _validate.vector(steps, "steps")]
    return np.array([abs(float(_slope(sample, x, h, scheme)) - truth) for h in steps])


# Samples: where fun is evaluated. A sample takes a step h and the offsets of a scheme and
# returns the values of fun at x + offset h, one array for each offset.


def _slope(sample, x, h, scheme):
    where, slope, _ = _SCHEMES[scheme]
    if scheme == "complex":
        _refuse_unless_analytic(sample, x)
    values = sample(h, where)
    with np.errstate(all="ignore"):
        return _finite_slope(slope(*values, h), x)


def _bends(values, x, step):
    """Return the second derivatives by steps, and |f| + sum |g_k x_k|: what rounding is part of."""
    n = x.size
    i, j = np.triu_indices(n)
    a, b = np.diag(step)[:, i], np.diag(step)[:, j]
    around = [s + c for s, c in ((a, b), (a, -b), (-a, b), (-a, -b))]
    f = values(x[:, None] + np.hstack([np.zeros((n, 1)), *around]))
    both, only_a, only_b, none = np.split(f[1:], 4)
    H = np.zeros((n, n))
    with np.errstate(all="ignore"):
        H[i, j] = H[j, i] = (both - only_a - only_b + none) / (4 * step[i]) / step[j]
        slopes = (both - none)[i == j] / (4 * step)
        return H, np.abs(f).max() + np.abs(slopes * x).sum()


def _finite_slope(slope, x):
    """Return a difference quotient, if neither the difference nor the quotient overflows."""
    if not np.isfinite(slope).all():
        raise ValueError(
            f"the difference quotient overflows at x={_validate.show(x)}: fun is too large or "
            "too steep for floats; divide fun by its size, and multiply the slope"
        )
    return slope


def _along(value, x, direction=1.0):
    """Sample on a line: x + offset h direction."""
    return lambda h, where: [value((x + offset * h * direction)[()]) for offset in where]


def _each(values, x):
    """Sample along each axis: x + offset h_j e_j, as columns; offset 0 is a single column."""

    def sample(h, where):
        blocks = [x[:, None] + offset * np.diag(h) if offset else x[:, None] for offset in where]
        ends = np.cumsum([block.shape[1] for block in blocks])
        return np.split(values(np.hstack(blocks)), ends[:-1], axis=-1)

    return sample


# Values: what fun must return, said with the way out.


def _elementwise(value_at, shape):
    def value(x):
        result = value_at(x)
        if result.shape != shape:
            raise ValueError(
                f"derivative needs one value for each x, shape {shape}, got {result.shape}; "
                "use grad or jacobian for a function of a vector"
            )
        return result

    return value


def _scalar(value_at, verb):
    return lambda x: _validate.scalar_output(value_at(x), verb)


def _scalars(value_at, verb, vectorized):
    """Return the function from points (n, k) to the scalars of fun, shape (k,)."""
    if not vectorized:
        value = _scalar(value_at, verb)
        return lambda points: np.array([value(x) for x in points.T.copy()])

    def values(points):
        result = value_at(points)
        if result.shape != points.shape[1:]:
            raise ValueError(
                f"{verb} needs a scalar for each column, shape {points.shape[1:]}, got "
                f"{result.shape}; use jacobian for a vector, or vectorized=False"
            )
        return result

    return values


def _vectors(value_at, vectorized):
    """Return the function from points (n, k) to the vectors of fun as columns, (m, k)."""

    def values(points):
        if vectorized:
            result = np.atleast_2d(value_at(points))
        else:
            result = np.stack([np.atleast_1d(value_at(x)) for x in points.T.copy()], axis=-1)
        if result.ndim != 2 or result.shape[1] != points.shape[1]:
            raise ValueError(
                f"jacobian needs a vector for each of {points.shape[1]} points, got values of "
                f"shape {result.shape}; return fun(x).ravel(), or use vectorized=False"
            )
        return result

    return values


def _step(h, x, scheme, v=1.0):
    """Return the default step, or the caller's if it moves x along v."""
    if h is None:
        return default_step(x, scheme=scheme)
    h = _validate.real(h, "h")
    if h.shape not in ((), x.shape):
        raise ValueError(f"h must be a number or have shape {x.shape}, got {h.shape}; use h=1e-6")
    with np.errstate(over="ignore"):
        _room(h * np.abs(v), "h", h, "without h the best step is taken", x.dtype)
    _room(np.abs(x), "x", x, "divide the variable by its size", x.dtype)
    smallest = _smallest_step(x, scheme, v)
    lost = ~(h >= smallest)
    if lost.any():
        useful = f"the smallest useful h is {np.max(smallest, where=lost, initial=0):.2g}"
        if (h <= 0).any():
            raise ValueError(
                f"h must be positive, got {_validate.show(h[h <= 0][0])}; at x="
                f"{_validate.show(x)} {useful}, and scheme='backward' steps to the left"
            )
        raise ValueError(
            f"h={_validate.show(h)} is too small at x={_validate.show(x)}, x + h rounds to x or "
            f"nearly; {useful}, and without h the best step is taken"
        )
    h = h.astype(x.dtype)
    return h if np.ndim(v) else np.broadcast_to(h, x.shape)[()]


def _room(size, name, value, way_out, dtype=float):
    """Refuse what is so large that x + 2h or 4h could overflow."""
    most = np.finfo(dtype).max / 4
    if not np.all(size <= most):
        raise ValueError(
            f"{name} must be at most {most:.2g} in size, so that x + 2h is a float, got "
            f"{name}={_validate.show(value)}; {way_out}"
        )


def _smallest_step(x, scheme, v):
    """Return the h below which x + h v is lost to rounding, or h and h^2 to underflow."""
    limits = np.finfo(x.dtype)
    underflow = (limits.tiny**0.5 if scheme == "second" else limits.tiny) / limits.eps
    if scheme == "complex":
        return np.full_like(x, underflow)
    v = np.abs(np.where(v == 0, np.inf, v)).astype(x.dtype)
    with np.errstate(over="ignore"):
        return np.maximum(np.spacing(np.abs(x)) / v, underflow)


def _precise(fun, move):
    """Return fun with values as floats no narrower than x, for steps that move x by `move`.

    Small integers would overflow in a difference. Narrow floats round by more than a default step
    changes them: they pass if the caller's step, the `move`, shows in their precision.
    """

    def value_at(x):
        value = (_analytic if np.iscomplexobj(x) else _validate).evaluate(fun, x)
        wide = np.result_type(value, np.real(x))
        if value.dtype.kind in "fc" and value.dtype.itemsize < wide.itemsize:
            _refuse_narrow(value.dtype, x, move)
        return value.astype(wide)

    return value_at


def _refuse_narrow(dtype, x, move):
    """Refuse values of a type in which x and x + move are hardly two numbers."""
    columns = np.ndim(x) == 2
    if move is not None and not np.iscomplexobj(x):
        with np.errstate(all="ignore"):
            spacing = np.spacing(np.abs(x).astype(dtype))
        if np.all((np.expand_dims(move, 1) if columns and np.ndim(move) else move) >= spacing):
            return
    x = np.real(x[:, 0] if columns else x)
    raise TypeError(
        f"fun must compute in {x.dtype} for a step as small as this, got {dtype} at "
        f"x={_validate.show(x)}; give all that fun computes with this precision (to convert its "
        f"result is too late), or give h, about {float(np.finfo(dtype).eps) ** 0.3:.1g} times the "
        "size of x"
    )


def _refuse_unless_analytic(sample, x):
    """Test the complex step before it is believed.

    The central difference D(h) must agree. D(2h) - D(h) is three times the truncation error of
    D(h), and eps |f| / h its rounding error: f'(x) lies within a few times their sum. A weaker
    fault than this shows as a slope along the conjugate of x.
    """
    h = default_step(x)
    (up,) = sample(default_step(x, scheme="complex"), (1j,))
    f, left, right, left2, right2 = sample(h, (0, -1, +1, -2, +2))
    with np.errstate(all="ignore"):
        slope = up.imag / _COMPLEX_STEP
        near, far = (right - left) / (2 * h), (right2 - left2) / (4 * h)
        rounding = np.finfo(near.dtype).eps * np.maximum(np.abs(left), np.abs(right)) / h
        wrong = ~(np.abs(slope - near) <= 10 * (np.abs(far - near) + rounding))
    if not np.iscomplexobj(up):  # no imaginary part is right for constants alone
        wrong = wrong | np.any([value != f for value in (left2, left, right, right2)], axis=0)
    if wrong.any():
        raise ValueError(
            f"the complex step gives {_validate.show(slope)} at x={_validate.show(x)}, the central "
            f"difference {_validate.show(near)}: fun drops the imaginary part (abs, real, max, a "
            "comparison) or changes too fast to tell; use scheme='central'"
        )
    part, rounding = _slope_along_the_conjugate(sample, x)
    if (np.abs(part) > 16 * rounding).any():
        raise ValueError(
            f"the complex step cannot be trusted at x={_validate.show(x)}: a part of fun follows "
            f"the conjugate of x with a slope of {np.max(np.abs(part)):.1g} (abs, real or conj "
            "after complex(x) or np.asarray(x)); use scheme='central'"
        )


def _slope_along_the_conjugate(sample, x):
    """Return the slope of fun along the conjugate of x, and the rounding error of this slope.

    On a circle x + r e^(it) an analytic function has no term in e^(-it); abs, real and conj
    have one, proportional to r. The terms e^(-2it) to e^(-5it) tell the rounding error. A large
    circle may hold a pole or a branch cut, on a small one rounding hides all: of six, the one
    decides on which both together are smallest.
    """
    turns = np.array([[w**m for w in _HALF_CIRCLE] for m in range(1, 6)])
    least, part, rounding = np.inf, np.zeros(()), np.zeros(())
    for k in range(6):
        r = np.maximum(1, np.abs(x)) / 16 / 8**k
        try:
            values = np.array(sample(r, _HALF_CIRCLE))
        except ValueError:  # fun is not defined on the whole circle
            continue
        with np.errstate(all="ignore"):
            first, *others = np.tensordot(turns, values, 1).real / 8 / r
            noise = np.finfo(values.dtype).eps * np.abs(values).max(axis=0) / r
            noise = np.maximum(noise, np.abs(others).max(axis=0))
            better = np.abs(first) + 2 * noise < least
            part, rounding = np.where(better, first, part), np.where(better, noise, rounding)
            least = np.where(better, np.abs(first) + 2 * noise, least)
        if not better.any() and (np.abs(part) <= 16 * rounding).all():
            break
    return part, rounding
