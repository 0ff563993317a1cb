r"""Curvature: what the second derivatives at a point say about the surface around it.

Vocabulary
----------
H, hess         the Hessian at a point, shape (n, n), symmetric; or one number, the curvature
lambda          an eigenvalue of H: the curvature along its eigenvector
kind            "minimum", "maximum", "saddle" or "degenerate", read off the signs of the lambdas
hvp             a function v -> H v: the product without the matrix
g               the gradient at the point, shape (n,)

Nothing here looks for a point. `descent` does, and asks here where it has landed.
"""

from dataclasses import dataclass

import numpy as np

from calclib import _validate, numerical
from calclib._length import length

# Relative to the largest entry. A formula, or a program differentiated by rule, keeps it by far.
# Differences of a gradient agree across the diagonal to about eps^(2/3) |g| = 4e-11 |g|: they keep
# it where the gradient is at most a hundred times as large as H, and else are made symmetric.
_SYMMETRIC_TO = 1e-8


@dataclass(frozen=True, eq=False, repr=False)
class CriticalPoint:
    """What kind of point a Hessian makes of a flat one, and the numbers that say so.

    Parameters
    ----------
    kind : str
        "minimum", "maximum", "saddle" or "degenerate".
    eigenvalues : ndarray, shape (n,)
        The curvatures, ascending, in units of fun over units of x squared.
    eigenvectors : ndarray, shape (n, n)
        Column j belongs to eigenvalue j. Length 1; the entry of largest size is positive.
    condition_number : float
        The largest size of an eigenvalue over the smallest, dimensionless, at least 1; inf when
        an eigenvalue counts as zero.

    Examples
    --------
    >>> classify([[2.0, 0.0], [0.0, 20.0]])
    CriticalPoint(minimum, eigenvalues [2, 20], condition number 10)
    """

    kind: str
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    condition_number: float

    def __repr__(self):
        more = ", ..." if len(self.eigenvalues) > 4 else ""
        shown = ", ".join(f"{value:.4g}" for value in self.eigenvalues[:4])
        return (
            f"CriticalPoint({self.kind}, eigenvalues [{shown}{more}], "
            f"condition number {self.condition_number:.4g})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class TopEigenvalue:
    """The eigenvalue of largest size that a power iteration found, and how well it fits.

    Parameters
    ----------
    value : float
        The eigenvalue, with its sign.
    vector : ndarray, shape (n,)
        Its eigenvector: length 1, the entry of largest size positive.
    steps : int
        The number of Hessian-vector products taken.
    residual : float
        The length of H v - value v, in the units of the eigenvalue. Some eigenvalue of H lies
        within this distance of the value.
    settled : bool
        Whether the residual fell to tol times the size of the value; if not, `max_steps` ended
        the iteration.

    Examples
    --------
    >>> import numpy as np
    >>> top_eigenvalue(lambda v: 3 * v, 2, rng=np.random.default_rng(0))
    TopEigenvalue(3 after 1 step)
    """

    value: float
    vector: np.ndarray
    steps: int
    residual: float
    settled: bool

    def __repr__(self):
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return (
            f"TopEigenvalue({self.value:.4g} {'' if self.settled else 'not settled '}after {steps})"
        )


def classify(hess, *, tol=1e-6, error=0.0):
    r"""Tell a minimum from a maximum and a saddle by the signs of the eigenvalues of H.

    All positive: minimum. All negative: maximum. Both signs: saddle. Else, with a zero among
    eigenvalues of one sign, degenerate.

    Parameters
    ----------
    hess : array_like, shape (n, n), or float
        The Hessian at a point where the gradient is zero, symmetric; a number for n = 1.
    tol : float, default 1e-6
        An eigenvalue counts as zero when its size is at most tol times the largest size,
        dimensionless, in [0, 1).
    error : float, default 0.0
        How far the eigenvalues may be off, in their units, 0 or above: one of at most this size
        counts as zero, too. `numerical.hessian_with_error` gives it.

    Returns
    -------
    CriticalPoint
        With kind, eigenvalues, eigenvectors and condition_number.

    Raises
    ------
    ValueError
        If `hess` is not square, not finite or not symmetric, or an eigenvalue overflows; if `tol`
        is outside [0, 1), or `error` is negative.
    TypeError
        If `hess` does not hold real numbers.

    Notes
    -----
    Degenerate means that second derivatives do not decide: x^4, -x^4 and x^3 all have H = 0 at 0.
    A zero beside eigenvalues of both signs leaves a saddle, for there is a way up and a way down.

    How large an eigenvalue must be to count depends on where H comes from. Let lambda be the
    largest size.

    - A formula, or `autodiff`: exact but for rounding, about n eps lambda with eps = 2.2e-16. Give
      ``tol=n * 2.2e-16`` to tell what a condition number above 1e6 hides from the default.
    - Differences of fun, `numerical.hessian`: about 1.5e-8 times |f| and, a third of it, the fourth
      derivatives, at x of size 1 or less. That is no part of lambda. The default has room for 60
      times lambda, and so for a function whose values, slopes and curvatures are of like size.
      Elsewhere let the error be measured, as below.
    - Differences of a gradient, `numerical.jacobian`: about 4e-11 times the length of the gradient.
      They are not symmetric: give (H + H.T) / 2.

    The condition number is that of the sizes. A ratio of the signed eigenvalues is negative at a
    saddle and measures nothing.

    References
    ----------
    J. Nocedal, S. J. Wright, Numerical Optimization, 2nd edition, Springer 2006, section 2.1.
    https://doi.org/10.1007/978-0-387-40065-5

    Examples
    --------
    The saddle x^2 + 3 y^2 - 4 x y:

    >>> point = classify([[2.0, -4.0], [-4.0, 6.0]])
    >>> point
    CriticalPoint(saddle, eigenvalues [-0.4721, 8.472], condition number 17.94)
    >>> point.eigenvectors[:, 0].round(3).tolist()
    [0.851, 0.526]

    A gutter, flat along (2, 1), far below ground:

    >>> from calclib import numerical
    >>> H, error = numerical.hessian_with_error(lambda p: (p[0] - 2 * p[1]) ** 2 - 1e6)([1.0, 0.3])
    >>> classify(H, error=error).kind
    'degenerate'
    """
    tol = _validate.fraction(_validate.number(tol, "tol"), "tol")
    error = _validate.at_least_zero(_validate.number(error, "error"), "error")
    eigenvalues, eigenvectors = np.linalg.eigh(_symmetric(hess, error))
    sizes = np.abs(_floats(eigenvalues))
    zero = sizes <= max(tol * sizes.max(), error)
    up, down = (eigenvalues > 0) & ~zero, (eigenvalues < 0) & ~zero
    if up.any() and down.any():
        kind = "saddle"
    elif zero.any():
        kind = "degenerate"
    else:
        kind = "minimum" if up.any() else "maximum"
    condition = np.inf if zero.any() else float(sizes.max()) / float(sizes.min())
    return CriticalPoint(kind, eigenvalues, _facing(eigenvectors), condition)


def max_stable_rate(hess):
    r"""Return the learning rate at which gradient descent stops shrinking, 2 / lambda_max.

    Parameters
    ----------
    hess : array_like, shape (n, n), or float
        The Hessian, symmetric; a number for n = 1.

    Returns
    -------
    float
        The rate, in units of x over units of the gradient; inf where no curvature is positive.

    Raises
    ------
    ValueError
        If `hess` is not square, not finite or not symmetric, or an eigenvalue overflows.
    TypeError
        If `hess` does not hold real numbers.

    Notes
    -----
    A lambda_max of at most n eps times the largest size, eps = 2.2e-16, is what rounding leaves of
    0, and counts as 0.

    On a quadratic a step multiplies the error along an eigenvector by 1 - rate lambda. That is
    shorter than 1 for every positive lambda when the rate is below 2 / lambda_max. Along a negative
    lambda the error grows at any rate: no rate makes a saddle or a maximum stable.

    Examples
    --------
    The bowl x^2 + 10 y^2:

    >>> max_stable_rate([[2.0, 0.0], [0.0, 20.0]])
    0.1
    """
    lambdas = _floats(np.linalg.eigvalsh(_symmetric(hess)))
    rounding = len(lambdas) * np.finfo(float).eps * np.abs(lambdas).max()
    return 2 / float(lambdas[-1]) if lambdas[-1] > rounding else np.inf


def top_eigenvalue(hvp, n, *, rng, tol=1e-8, max_steps=1000):
    r"""Find the eigenvalue of largest size from products alone: v = H v / \|H v\| again and again.

    Parameters
    ----------
    hvp : callable
        Maps v, shape (n,), to H v, shape (n,), for a symmetric H.
    n : int
        The number of coordinates, at least 1.
    rng : numpy.random.Generator
        Where the first v is drawn from.
    tol : float, default 1e-8
        Stop when the residual \|H v - value v\| is at most this times \|value\|, dimensionless.
    max_steps : int, default 1000
        The most products to take, at least 1.

    Returns
    -------
    TopEigenvalue
        With value, vector, steps, residual and settled.

    Raises
    ------
    ValueError
        If a product is not finite or has another shape than v, if the products are not those of a
        symmetric H, or if `n`, `tol` or `max_steps` is out of range.
    TypeError
        If `hvp` is no function, `rng` no generator, or a product does not hold real numbers.

    Notes
    -----
    Each step multiplies the part along eigenvector j by lambda_j, so the part with the largest
    size wins, by a factor of its ratio to the next for each step. The plain iteration flips for
    ever between two vectors when lambda and -lambda are both largest. Therefore the answer is read
    off the best eigenvector in the plane of the last two v, at no further product; of such a pair
    the positive one is returned. With n = 2 that plane is everything, and two products are enough.

    A small residual shows that the value is an eigenvalue. That it is the largest rests on the
    random start, which has a part along every eigenvector with probability 1. If H v = 0 for it,
    the answer is 0.

    References
    ----------
    G. H. Golub, C. F. Van Loan, Matrix Computations, 4th edition, Johns Hopkins University Press
    2013, sections 7.3 and 8.2.

    Examples
    --------
    >>> import numpy as np
    >>> H = np.array([[2.0, -4.0], [-4.0, 6.0]])
    >>> top = top_eigenvalue(lambda v: H @ v, 2, rng=np.random.default_rng(0))
    >>> round(top.value, 3), top.settled
    (8.472, True)
    """
    if not callable(hvp):
        raise TypeError(f"hvp must be a function of v, got {hvp!r}; use lambda v: H @ v")
    _validate.generator(rng)
    n = _validate.positive_int(n, "n")
    max_steps = _validate.positive_int(max_steps, "max_steps")
    tol = _validate.fraction(_validate.number(tol, "tol"), "tol")
    v = _unit(rng.normal(size=n))
    Hv = _product(hvp, v, 1)
    value, vector, Hvector = v @ Hv, v, Hv
    for steps in range(1, max_steps + 1):
        residual = length(Hvector - value * vector)
        settled = residual <= tol * abs(value)
        if settled or steps == max_steps:
            break
        u = _unit(Hv)
        Hu = _product(hvp, u, steps + 1)
        value, vector, Hvector = _best_in_plane(v, Hv, u, Hu)
        v, Hv = u, Hu
    vector = _facing(vector[:, np.newaxis])[:, 0]
    return TopEigenvalue(float(value), vector, steps, float(residual), bool(settled))


def quadratic_model(fun, x, *, grad=None, hess=None):
    r"""Return the quadratic that agrees with fun at x to second order, as a function of y.

    m(y) = f + g . (y - x) + (y - x)^T H (y - x) / 2, with f, g and H taken at x.

    Parameters
    ----------
    fun : callable
        The function, from x to one number.
    x : float or array_like, shape (n,)
        The point.
    grad : callable, optional
        The gradient of `fun`, from x to the shape of x. Without it, central differences.
    hess : callable, optional
        The Hessian of `fun`, from x to shape (n, n), or to a number where x is one. Without it,
        central differences.

    Returns
    -------
    callable
        Maps y of shape (n,) to a float, and points as columns, (n, k), to (k,). Where x is a
        number, maps y of any shape to that shape. SymPy symbols in y give the formula.

    Raises
    ------
    ValueError
        If `fun` does not give one number, or `grad` or `hess` another shape; if one of them is not
        finite at x; if the Hessian is not symmetric. From the model: if y does not fit x.
    TypeError
        If a function is none, or x does not hold real numbers.

    Notes
    -----
    The model is taken once, at the call; the returned function asks `fun` nothing. Its error is of
    third order: |fun(y) - m(y)| falls by 8 when y comes twice as near. The minimizer of the model,
    where H is positive definite, is the next point of Newton's method.

    Examples
    --------
    cos near 0 looks like 1 - y^2 / 2:

    >>> import numpy as np
    >>> model = quadratic_model(np.cos, 0.0)
    >>> round(model(0.5), 4)
    0.875
    """
    x = _validate.point(x)
    for name, function in (("fun", fun), ("grad", grad), ("hess", hess)):
        if not callable(function) and (name == "fun" or function is not None):
            raise TypeError(f"{name} must be a function of x, got {function!r}")

    def at_x(function, name):  # with a copy of x: a function may scribble on what it is given
        return _validate.evaluate(function, x.copy() if x.ndim else x.item(), name).astype(float)

    f = _validate.scalar_output(at_x(fun, "fun"), "quadratic_model")
    g = at_x(numerical.grad(fun) if grad is None else grad, "grad")
    if g.shape != x.shape:
        raise ValueError(
            f"grad must give the shape of x, {x.shape}, got {g.shape}; check its last lines"
        )
    H = at_x(numerical.hessian(fun) if hess is None else hess, "hess")
    if H.shape != x.shape * 2:
        raise ValueError(
            f"hess must give shape {x.shape * 2} at x of shape {x.shape}, got {H.shape}; "
            "it has a row and a column for each coordinate"
        )
    if x.ndim:
        H = _symmetric(H)

    def model(y):
        if not _validate.is_symbolic(y := np.array(y)):
            y = _validate.real(y, "y")
        if x.ndim and (y.ndim not in (1, 2) or len(y) != len(x)):
            raise ValueError(
                f"y must have shape ({len(x)},), or ({len(x)}, k) for k points as columns, got "
                f"{y.shape}; give {len(x)} rows"
            )
        if x.ndim == 0:
            value = f + g * (y - x) + H * (y - x) ** 2 / 2
        else:
            d = (y.T - x).T
            value = f + g @ d + (d * (H @ d)).sum(axis=0) / 2
        return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else _python(value)

    return model


def _symmetric(hess, error=0.0):
    """Return a symmetric matrix of floats, (n, n), or say why hess is none to within the error."""
    H = _validate.real(hess, "hess")
    if H.ndim == 0:
        H = H.reshape(1, 1)
    if H.ndim != 2 or H.shape[0] != H.shape[1]:
        raise ValueError(
            f"hess must have shape (n, n), got {H.shape}; give the Hessian at one point, as "
            "numerical.hessian(fun)(x) does"
        )
    gap = np.abs(H / 2 - H.T / 2)
    if gap.max() > max(_SYMMETRIC_TO * np.abs(H).max() / 2, error):
        i, j = np.unravel_index(gap.argmax(), gap.shape)
        raise ValueError(
            f"hess must be symmetric, got {H[i, j]:.6g} at [{i}, {j}] and {H[j, i]:.6g} at "
            f"[{j}, {i}], {2 * gap.max().item():.2g} apart; mend the second derivatives, or, if "
            "they are differences of a gradient, use (H + H.T) / 2"
        )
    return H / 2 + H.T / 2


def _floats(eigenvalues):
    """Return the eigenvalues, if none is beyond all floats; of a finite matrix one can be."""
    if not np.isfinite(eigenvalues).all():
        raise ValueError(
            f"hess must have eigenvalues of at most {np.finfo(float).max:.2g} in size, got entries "
            "whose sum is larger; divide fun by its size"
        )
    return eigenvalues


def _product(hvp, v, step):
    """Return hvp(v), checked."""
    with np.errstate(all="ignore"):
        Hv = np.array(hvp(v.copy()))
    if Hv.dtype.kind not in "biuf":
        raise TypeError(
            f"hvp must return real numbers, got {Hv.dtype}; check that it ends in return"
        )
    if Hv.shape != v.shape:
        raise ValueError(
            f"hvp must map shape {v.shape} to {v.shape}, got {Hv.shape}; it returns H @ v"
        )
    Hv = Hv.astype(float)
    if not np.isfinite(Hv).all() or not np.isfinite(length(Hv)):
        raise ValueError(
            f"hvp is not finite: got {_validate.show(Hv)} in product {step}, from a v of length 1; "
            "move to a point where the second derivatives are defined"
        )
    return Hv


def _best_in_plane(v, Hv, u, Hu):
    """Return the eigenpair (value, y, H y) of largest size that the plane of v and u holds best.

    With e at right angles to v in the plane, H is there the 2 x 2 matrix of v.Hv, v.He, e.Hv, e.He.
    """
    cosine = u @ v
    sine = length(u - cosine * v)
    if sine <= 1e-12:  # one direction: nothing but rounding spans a plane
        return u @ Hu, u, Hu
    e, He = (u - cosine * v) / sine, (Hu - cosine * Hv) / sine
    upper, lower = v @ He, e @ Hv
    size = max(length(Hv), length(Hu))
    if sine > 1e-2 and abs(upper - lower) > 1e-4 * size:
        raise ValueError(
            f"hvp must be that of a symmetric H, got u.Hv = {lower:.6g} and v.Hu = {upper:.6g} for "
            "two vectors of length 1; use the mean of H v and H^T v"
        )
    values, turns = np.linalg.eigh([[v @ Hv, (upper + lower) / 2], [(upper + lower) / 2, e @ He]])
    best = int(values[1] >= -values[0] * (1 - 1e-12))
    a, b = turns[:, best]
    y, Hy = a * v + b * e, a * Hv + b * He
    return values[best], y, Hy


def _unit(a):
    """Return the vector of length 1 in the direction of a, which is not zero."""
    a = a / np.abs(a).max()
    return a / np.sqrt((a * a).sum())


def _facing(vectors):
    """Turn each column such that its entry of largest size, the first of equals, is positive."""
    sizes = np.abs(vectors)
    first = (sizes > (1 - 1e-9) * sizes.max(axis=0)).argmax(axis=0)
    return vectors * np.sign(vectors[first, np.arange(vectors.shape[1])])


def _python(value):
    """Return a plain float for a NumPy scalar; arrays and formulas pass."""
    return value.item() if isinstance(value, np.generic) else value
