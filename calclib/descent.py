"""Descent: take an optimizer's steps until a test says stop, and say which one.

Vocabulary
----------
x       the point, shape (n,); or k points as columns, shape (n, k); or one number
value   fun(x), one number for each run
g       the gradient at x, of the shape of x
norm    the Euclidean length of the gradient, one number for each run
path    every point in order, path[0] the start and path[-1] the result
k       the number of the step

p       the direction of a step, of the shape of x; t is the step length, x + t p the next point
H       the Hessian at x, shape (n, n)
s, y    the last step and the change of the gradient over it, for L-BFGS

`minimize` and `minimize_many` share one loop. A single run is the case in which "one number for
each run" is just one number. `newton` and `lbfgs` have their own loops and the same result.
"""

import re
from collections import Counter, deque
from dataclasses import dataclass
from numbers import Real

import numpy as np

from calclib import _validate, curvature, numerical
from calclib._length import length
from calclib.optimizers import Optimizer, sgd

_CONVERGED, _MAX_STEPS, _DIVERGED = "converged", "max_steps", "diverged"
_SINGULAR, _STALLED = "singular", "stalled"

_EPS = float(np.finfo(float).eps)
_EDGE = "fun or its gradient is not finite at the next point, so the path ends before it"
_LOOK = "Look at the Hessian to tell a minimum from a plateau or a saddle."


@dataclass(frozen=True, eq=False, repr=False)
class DescentResult:
    """What a descent found and how it got there.

    A result of `minimize_many` has one more axis, or one entry more, for the k runs.

    Parameters
    ----------
    x : float or ndarray, shape (n,) or (n, k)
        The last point, equal to ``path[-1]``.
    fun : float or ndarray, shape (k,)
        The value there, equal to ``values[-1]``.
    grad : float or ndarray, shape (n,) or (n, k)
        The gradient there.
    status : str or ndarray of str, shape (k,)
        "converged", "max_steps" or "diverged"; from `newton` also "singular", when its step is not
        defined; "stalled", when a line search finds no step that lowers fun, or when, without
        `grad`, the error of its differences hides whether the gradient is short.
    message : str or tuple of k str
        A sentence: which test fired, and what to try.
    path : ndarray, shape (steps + 1,), (steps + 1, n) or (steps + 1, n, k)
        Every point, the start first. A run that has stopped stays where it is.
    values : ndarray, shape (steps + 1,) or (steps + 1, k)
        The function along the path.
    grad_norms : ndarray, shape (steps + 1,) or (steps + 1, k)
        The Euclidean length of the gradient along the path.
    nit : int or ndarray of int, shape (k,)
        The number of steps of each run.
    nfev : int
        Calls of the function, those of the numerical gradient and of its error among them. A call
        for k columns counts once.
    njev : int
        Calls of the gradient. Differences taken for the error alone do not count.
    optimizer : Optimizer or str
        The optimizer that ran; the call, as in "newton(damping=0.1)", for `newton` and `lbfgs`.

    Examples
    --------
    >>> result = gradient_descent(lambda x: x**2, 5.0, learning_rate=0.5, grad=lambda x: 2 * x)
    >>> result
    DescentResult(converged after 1 step, x=0, fun=0)
    >>> result.path
    array([5., 0.])
    """

    x: float | np.ndarray
    fun: float | np.ndarray
    grad: float | np.ndarray
    status: str | np.ndarray
    message: str | tuple[str, ...]
    path: np.ndarray
    values: np.ndarray
    grad_norms: np.ndarray
    nit: int | np.ndarray
    nfev: int
    njev: int
    optimizer: Optimizer | str

    @property
    def success(self):
        """Whether the run converged; for k runs an array of booleans, shape (k,)."""
        return self.status == _CONVERGED

    def run(self, j):
        """Give run number `j` of a `minimize_many` as a result of its own.

        Parameters
        ----------
        j : int
            The column, from 0; negative numbers count from the last.

        Returns
        -------
        DescentResult
            With path (nit + 1, n): the steps after the run stopped are left out. The counts of
            calls are those of all runs together.

        Raises
        ------
        ValueError
            If the result is that of a single run already.

        Examples
        --------
        >>> from calclib.optimizers import sgd
        >>> many = minimize_many(
        ...     lambda x: (x**2).sum(axis=0), [[5.0, 1.0]], sgd(0.5), grad=lambda x: 2 * x
        ... )
        >>> many.run(1)
        DescentResult(converged after 1 step, x=[0], fun=0)
        """
        if np.ndim(self.status) == 0:
            raise ValueError("this result holds a single run; use it as it is")
        steps = int(self.nit[j]) + 1
        return DescentResult(
            x=self.x[:, j],
            fun=float(self.fun[j]),
            grad=self.grad[:, j],
            status=str(self.status[j]),
            message=self.message[j],
            path=self.path[:steps, :, j],
            values=self.values[:steps, j],
            grad_norms=self.grad_norms[:steps, j],
            nit=steps - 1,
            nfev=self.nfev,
            njev=self.njev,
            optimizer=self.optimizer,
        )

    def __repr__(self):
        if np.ndim(self.status):
            counts = Counter(self.status.tolist())
            words = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
            return f"DescentResult({len(self.status)} runs: {words})"
        steps = "1 step" if self.nit == 1 else f"{self.nit} steps"
        status = "not converged" if self.status == _MAX_STEPS else self.status
        return f"DescentResult({status} after {steps}, x={_short(self.x)}, fun={_short(self.fun)})"


def minimize(
    fun, x0, optimizer, *, grad=None, max_steps=1000, tol=1e-6, diverge_at=1e10, callback=None
):
    """Minimize a function from one start: x = x + step until the gradient is short.

    Parameters
    ----------
    fun : callable
        The function, from x to one number.
    x0 : float or array_like, shape (n,)
        The start. With a plain number `fun` and `grad` are called with plain numbers.
    optimizer : Optimizer
        The rule for the steps, as `optimizers.sgd` makes it.
    grad : callable, optional
        The gradient of `fun`, of the shape of x. Without it, central differences:
        ``numerical.grad(fun)``.
    max_steps : int, default 1000
        The most steps to take, at least 1.
    tol : float, default 1e-6
        Stop when the Euclidean length of the gradient, and of its error without `grad`, is at most
        this, in units of fun over units of x. With 0 the error is left aside, and a run only stops
        where the gradient is exactly zero.
    diverge_at : float, default 1e10
        Stop when the Euclidean length of x is above this, in units of x.
    callback : callable, optional
        Called as ``callback(k, x, value, g)`` at the start, k = 0, and after every step.

    Returns
    -------
    DescentResult
        With status "converged", "max_steps", "diverged" or, without `grad`, "stalled".

    Raises
    ------
    ValueError
        If `x0` is empty, not finite or has two axes; if `fun` does not give one number, or `grad`
        another shape than x; if either is not finite at `x0`; if a number is out of its range.
    TypeError
        If `x0` or a step does not hold numbers, or a function or the optimizer is none; if `fun`
        returns narrower floats than float64, such as float32, and its differences are needed.

    Notes
    -----
    The test is the length of the gradient, never the length of the step: a tiny rate makes tiny
    steps anywhere. A short gradient shows a flat point, which can be a plateau, a ridge or a
    saddle. With momentum the test can fire while the velocity is still large.

    Central differences D(h) with the step h_j = eps^(1/3) max(1, |x_j|) err in each entry by

    - rounding, eps |fun(x)| / (2 h_j) where fun rounds in its last digit alone: 2e-11 |fun(x)| at
      x_j of size 1;
    - truncation, h_j^2 / 6 times the third derivative along x_j, measured as (D(4h) - D(h)) / 15:
      6e-12 times the derivative at x_j of size 1.

    The error is the length of the one plus the length of the other. A run without `grad` has
    converged when the length of the gradient and the error are together at most `tol`. It stalls
    where the gradient is no longer than its rounding, or no longer than a quarter of `tol` while
    the error is above `tol`. A `grad` that is given counts as exact.

    The truncation is measured where the gradient is no longer than `tol` or its rounding, by 2 n +
    1 more values of fun, in `minimize_many` two calls. Where these leave a doubt, as beside a bend
    or an edge, as many at h / 2 decide. It is an estimate to leading order, for a fun that is
    smooth over a few steps h; where fun is not defined at these points it counts as infinite.

    A run has diverged when x passes `diverge_at`, or when the step, or `fun` or its gradient at the
    next point, is not finite. Such a next point is left out: every point of the result is finite.

    References
    ----------
    J. Nocedal, S. J. Wright, Numerical Optimization, 2nd edition, Springer 2006, chapter 2.
    https://doi.org/10.1007/978-0-387-40065-5

    Examples
    --------
    >>> from calclib import problems
    >>> from calclib.optimizers import sgd
    >>> problem = problems.bowl()
    >>> result = minimize(problem.fun, [5, 1], sgd(0.05), grad=problem.grad)
    >>> result.status, result.nit, result.x.round(6).tolist()
    ('converged', 153, [0.0, 0.0])
    """
    x = _validate.start(x0)
    return _descend(fun, x, optimizer, grad, max_steps, tol, diverge_at, callback)


def minimize_many(
    fun,
    starts,
    optimizer,
    *,
    grad=None,
    learning_rates=None,
    max_steps=1000,
    tol=1e-6,
    diverge_at=1e10,
    callback=None,
):
    """Minimize a function from k starts at once, each run stopping on its own.

    Parameters
    ----------
    fun : callable
        The function of columns, from ``(n, k)`` to ``(k,)``, for any number of columns.
    starts : array_like, shape (n, k)
        The starts as columns. One column, ``(n, 1)``, serves all `learning_rates`.
    optimizer : Optimizer, or callable with `learning_rates`
        The rule for the steps. With `learning_rates` it is the function that makes the rule from
        the rates: ``sgd`` itself, or ``lambda rate: sgd(rate, momentum=0.9)``.
    grad : callable, optional
        The gradient of `fun`, from ``(n, k)`` to ``(n, k)``. Without it, central differences, for
        which `fun` is called with ``(n, n k)``: all runs with the first coordinate shifted, then
        all with the second, and so on.
    learning_rates : array_like, shape (k,), optional
        A rate for each run, positive.
    max_steps, tol, diverge_at, callback
        As in `minimize`, for each run. The callback sees all columns.

    Returns
    -------
    DescentResult
        With one more axis for the k runs; ``result.run(j)`` is one of them.

    Raises
    ------
    ValueError, TypeError
        As `minimize`, and if the numbers of starts and of rates do not agree.

    Notes
    -----
    Every run gives what `minimize` gives from its start, up to the rounding of `fun` and `grad`.
    A run that has stopped stays where it is while the others go on; its point is still part of
    every call. The result keeps the path: (steps + 1) n k numbers.

    Data with an entry for each run, such as one target for each column, fit ``(n, k)`` alone: give
    `grad` with them, or call `minimize` for each run.

    Examples
    --------
    Two starts on either side of a ridge:

    >>> from calclib import problems
    >>> from calclib.optimizers import sgd
    >>> problem = problems.two_wells()
    >>> result = minimize_many(problem.fun, [[1.97, 1.98]], sgd(0.05), grad=problem.grad)
    >>> result
    DescentResult(2 runs: 2 converged)
    >>> result.x.round(4).tolist()
    [[-1.3064, 3.8375]]

    One start, three rates:

    >>> result = minimize_many(
    ...     lambda x: (x**2).sum(axis=0), [[5.0]], sgd, learning_rates=[0.1, 1.0, 1.5]
    ... )
    >>> result.status.tolist()
    ['converged', 'max_steps', 'diverged']
    """
    x = _validate.starts(starts)
    if learning_rates is not None:
        rates = _validate.vector(learning_rates, "learning_rates")
        rates = _validate.positive(rates, "learning_rates")
        if x.shape[1] not in (1, rates.size):
            raise ValueError(
                f"learning_rates must hold one rate for each of the {x.shape[1]} columns of "
                f"starts, got {rates.size}; one column, shape (n, 1), takes any number of rates"
            )
        if isinstance(optimizer, Optimizer) or not callable(optimizer):
            raise TypeError(
                f"with learning_rates the optimizer is a function of the rate, got {optimizer!r}; "
                "pass sgd itself, or lambda rate: sgd(rate, momentum=0.9)"
            )
        x = np.repeat(x, rates.size // x.shape[1], axis=1)
        optimizer = optimizer(rates)
    return _descend(fun, x, optimizer, grad, max_steps, tol, diverge_at, callback)


def gradient_descent(
    fun, x0, *, learning_rate, grad=None, max_steps=1000, tol=1e-6, diverge_at=1e10, callback=None
):
    """Minimize by gradient descent: x = x - learning_rate grad(x).

    Parameters
    ----------
    fun, x0, grad, max_steps, tol, diverge_at, callback
        As in `minimize`.
    learning_rate : float or callable
        The rate, positive, in units of x over units of the gradient; or a schedule.

    Returns
    -------
    DescentResult
        With status "converged", "max_steps", "diverged" or, without `grad`, "stalled".

    Raises
    ------
    ValueError, TypeError
        As `minimize`, and if the rate is zero, negative or not finite.

    Notes
    -----
    The same as ``minimize(fun, x0, sgd(learning_rate), ...)``. Where the largest curvature is L the
    steps shrink the error for rates below 2 / L and grow it above.

    References
    ----------
    A. Cauchy, "Methode generale pour la resolution des systemes d'equations simultanees", Comptes
    rendus de l'Academie des sciences 25 (1847), 536-538.

    Examples
    --------
    Twenty steps on x^2 from 5 with rate 0.1 shrink the error to 5 * 0.8^20, not to 0.

    >>> result = gradient_descent(lambda x: x**2, 5.0, learning_rate=0.1, max_steps=20)
    >>> round(result.x, 4)
    0.0576
    """
    return minimize(
        fun,
        x0,
        sgd(learning_rate),
        grad=grad,
        max_steps=max_steps,
        tol=tol,
        diverge_at=diverge_at,
        callback=callback,
    )


def newton(
    fun,
    x0,
    *,
    grad=None,
    hess=None,
    damping=0.0,
    line_search=False,
    max_steps=100,
    tol=1e-8,
    diverge_at=1e10,
    callback=None,
):
    """Find a flat point by Newton's method: solve (H + damping I) p = -g, then x = x + p.

    Parameters
    ----------
    fun, x0, grad, diverge_at, callback
        As in `minimize`.
    hess : callable, optional
        The Hessian of `fun`, from x to shape (n, n), symmetric; to a number where x is one. Without
        it, central differences of `grad`, ``numerical.jacobian_with_error(grad)``, or without that
        of `fun`, ``numerical.hessian_with_error(fun)``.
    damping : float, default 0.0
        What is added to every eigenvalue of H, in units of fun over units of x squared, 0 or above.
    line_search : bool, default False
        Go only downhill: take each eigenvalue of H + damping I by its size, and shorten the step by
        `backtracking`.
    max_steps : int, default 100
        The most steps to take, at least 1.
    tol : float, default 1e-8
        As in `minimize`. At x of size 1 differences reach 1e-8 where |fun| is below 150 / sqrt n
        and the third derivatives along the axes, as a vector, are shorter than 500; beyond, give
        `grad` or a larger `tol`.

    Returns
    -------
    DescentResult
        With status "converged", "max_steps", "diverged", "singular" or, with `line_search` or
        without `grad`, "stalled". The message of a run that converged says of what kind the point
        is.

    Raises
    ------
    ValueError
        As `minimize`; if `hess` gives another shape, or is not finite or not symmetric at `x0`; if
        `grad` cannot be the gradient of a function there; if `damping` is negative.
    TypeError
        As `minimize`; if `hess` is no function or `line_search` neither True nor False.

    Notes
    -----
    The plain step goes to the point where the quadratic model is flat, be it a minimum, a maximum
    or a saddle. Near a minimum with a positive definite Hessian the error of the next point is of
    the order of the error squared; on a quadratic one step is enough.

    With ``damping`` the step is shorter, and turns towards -g as the damping grows. When it is
    larger than -lambda for every negative lambda, H + damping I is positive definite and p leads
    down. Near a minimum each step multiplies the error along an eigenvector by damping /
    (lambda + damping), which is no longer 0.

    Where H + damping I is not positive definite its step may lead up. With ``line_search`` each
    eigenvalue is therefore replaced by its size: p = -sum of v_j (v_j . g) / |lambda_j|. This is
    Newton's step where all are positive, and it leads down everywhere, away from a saddle. A saddle
    still ends the run where g has no part along the directions of negative curvature, and no
    damping supplies one. A start beside the saddle, along ``curvature.classify(H)``'s first
    eigenvector, lies lower than the saddle, and from there a line search cannot come back.

    An eigenvalue of H + damping I counts as zero when its size is at most n 2.2e-16 times the
    largest, for rounding, or at most the error of H. The step is then not defined, and the status
    "singular". Of a Hessian by differences the error is measured at each point, as
    `numerical.jacobian_with_error` and `numerical.hessian_with_error` say. The second grows with
    |fun|, so that `grad` helps where the values are large. A `hess` that is given counts as exact
    but for what is unsymmetric in it: the error is the length of H - H^T. It is 0 for
    ``numerical.hessian(fun)``, whose error is not; leave `hess` out instead.

    The damping that the message of a "singular" run advises makes H + damping I positive definite
    whatever the error, and the step along a direction without positive curvature no longer than
    max(1, |x|).

    Differences of a gradient, ``hess=numerical.jacobian(grad)``, are not quite symmetric; the step
    takes (H + H^T) / 2. Where r is the smallest max(1, |x_j|), rounding makes H and H^T differ by
    about eps^(2/3) |g| / r = 4e-11 |g| / r, and in one-sided differences by twice eps^(1/2) |g| / r
    = 3e-8 |g| / r. At the start an H is refused that differs by more than 1e-7 |g| / r and by more
    than 1e-4 of its largest entry, and a `grad` whose differences, taken here, do so by more than
    four times their error; on the way there is only the error.

    The kind is told of the Hessian at the end, with the same zero. It is not told when the Hessian
    one step further differs by more than a quarter of its smallest eigenvalue: then the run is
    still on its way to a degenerate point, or down a slope such as exp(x) that has no flat one.

    A step costs one Hessian and its eigenvectors, of the order of n^3 operations. By differences
    the Hessian and its error take 4 n + 2 gradients, which `njev` counts, or without `grad`
    4 n (n + 1) + 2 values of `fun`, which `nfev` counts.

    At the minimum of `problems.valley` the third derivatives are 2400 long. Without `grad` the run
    stalls there, and its message names the `tol` of 1.6e-8 that differences reach.

    References
    ----------
    J. Nocedal, S. J. Wright, Numerical Optimization, 2nd edition, Springer 2006, sections 3.3 and
    3.4. https://doi.org/10.1007/978-0-387-40065-5

    Y. Dauphin et al., "Identifying and attacking the saddle point problem in high-dimensional
    non-convex optimization", Advances in Neural Information Processing Systems 27 (2014).
    https://arxiv.org/abs/1406.2572

    Examples
    --------
    One step on a quadratic, even when it is a saddle:

    >>> from calclib import problems
    >>> saddle = problems.saddle()
    >>> result = newton(saddle.fun, [1, 1], grad=saddle.grad, hess=saddle.hess)
    >>> result.status, result.nit, abs(result.x).max() < 1e-12
    ('converged', 1, np.True_)
    >>> "a saddle, not a minimum" in result.message
    True
    """
    if not isinstance(line_search, bool | np.bool_):
        raise TypeError(
            f"line_search must be True or False, got {line_search!r}; write line_search=True"
        )
    damping = _validate.number(damping, "damping")
    if damping < 0:
        raise ValueError(f"damping must be 0 or above, got {damping}; 0 is the plain method")
    run = _Run(fun, x0, grad, max_steps, tol, diverge_at, callback)
    from_values = grad is None and hess is None
    hess = _measured_hessian(run) if hess is None else _given_hessian(hess)
    advice = "another start" if line_search else "line_search=True, or another start"

    with np.errstate(all="ignore"):
        H, error = hess(run.x)
        if not _has_eigenvalues(H):
            raise ValueError(
                f"hess is not finite at the start {_validate.show(run.x)}; "
                "start where the second derivatives are defined"
            )
        _refuse_lopsided(run, H)
        status = run.status()
        while status is None:
            if not _has_eigenvalues(H):
                status, why = _DIVERGED, "the Hessian is not finite at x, so no step is defined"
                break
            point = _eigen(H + damping * np.eye(len(H)), error)
            lambdas, vectors = point.eigenvalues, point.eigenvectors
            parts = vectors.T @ run.g.ravel()
            if np.isinf(point.condition_number):
                status, why = _SINGULAR, _singular(run, lambdas, parts, damping, error)
                why += " Or give grad, whose differences err by less." if from_values else ""
                break
            if line_search:
                lambdas = np.abs(lambdas)
            p = -(vectors @ (parts / lambdas)).reshape(run.x.shape)
            if line_search:
                t = _armijo(run.fun, run.x, run.value, np.vdot(run.g, p), p, 1e-4, 0.5, 1.0)
                if t is None:
                    status, why = _STALLED, ""
                    break
                p = t * p
            if not run.move(run.x + p):
                status, why = _DIVERGED, _EDGE
                break
            H, error = hess(run.x)
            status = run.status()
        else:
            why = ""
            if status == _CONVERGED:
                why = _landing(run, H, error, hess, damping, line_search)
    options = {"damping": (damping, 0.0), "line_search": (line_search, False)}
    return run.result(status, why, advice, _call_text("newton", options))


def lbfgs(
    fun, x0, *, grad=None, memory=10, max_steps=1000, tol=1e-6, diverge_at=1e10, callback=None
):
    """Minimize by L-BFGS: x = x - t B g, where B is learned from the last steps.

    Parameters
    ----------
    fun, x0, grad, tol, diverge_at, callback
        As in `minimize`.
    memory : int, default 10
        The most pairs (s, y) to keep: a step, and the change of the gradient over it.
    max_steps : int, default 1000
        The most steps to take, at least 1.

    Returns
    -------
    DescentResult
        With status "converged", "max_steps", "diverged" or "stalled".

    Raises
    ------
    ValueError, TypeError
        As `minimize`, and if `memory` is no whole number of at least 1.

    Notes
    -----
    B stands for the inverse Hessian and is never formed: two loops over the pairs give B g, from
    B = (s.y / y.y) I of the newest pair, in 4 memory n multiplications. A pair with s.y <= 0, or
    zero to rounding, tells of no positive curvature along s and is left out, so that -B g leads
    down.

    Where no pair is known, B is min(1, 1 / |g|) I: the first step is tried with a length of at
    most 1. The step length t fulfils the strong Wolfe conditions, with p = -B g:
    fun(x + t p) <= fun(x) + 1e-4 t g.p, and the slope along p has fallen to at most 0.9 of |g.p|
    in size. It tries t = 1 first, then doubles or interpolates. Where fun changes by less than its
    rounding, the slopes alone decide. If no such t is found in 60 trials the lowest point seen will
    do; if none is lower, the pairs are forgotten, and if -g leads nowhere either, the run has
    stalled.

    Points where `fun` or its gradient is not finite count as too far.

    References
    ----------
    D. C. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization",
    Mathematical Programming 45 (1989), 503-528. https://doi.org/10.1007/BF01589116

    J. Nocedal, S. J. Wright, Numerical Optimization, 2nd edition, Springer 2006, algorithms 3.5,
    3.6 and 7.4. https://doi.org/10.1007/978-0-387-40065-5

    Examples
    --------
    >>> from calclib import problems
    >>> valley = problems.valley()
    >>> result = lbfgs(valley.fun, [-1, 1], grad=valley.grad)
    >>> result.status, result.x.round(5).tolist()
    ('converged', [1.0, 1.0])
    """
    memory = _validate.positive_int(memory, "memory")
    run = _Run(fun, x0, grad, max_steps, tol, diverge_at, callback)
    pairs = deque(maxlen=memory)
    with np.errstate(all="ignore"):
        status = run.status()
        while status is None:
            p = -_two_loops(run.g, pairs) if pairs else -run.g * min(1.0, 1 / float(run.norm))
            found = _wolfe(run, p, np.vdot(run.g, p))
            if found is None and pairs:
                pairs.clear()
                continue
            if found is None:
                status = _STALLED
                break
            x, value, g = found
            s, y = x - run.x, g - run.g
            if np.vdot(s, y) > _EPS * length(s) * length(y):
                pairs.append((s, y))
            run.go(x, value, g)
            status = run.status()
    text = _call_text("lbfgs", {"memory": (memory, 10)})
    why = _LOOK if status == _CONVERGED else ""
    return run.result(status, why, "another start", text)


def backtracking(fun, x, direction, *, gradient, c=1e-4, shrink=0.5, initial=1.0):
    """Shorten a step until fun falls enough: fun(x + t p) <= fun(x) + c t g.p.

    Parameters
    ----------
    fun : callable
        The function, from x to one number.
    x : float or array_like, shape (n,)
        The point.
    direction : float or array_like, shape of x
        The direction p, in units of x. It must lead down: g.p < 0.
    gradient : float or array_like, shape of x
        The gradient g at x: the numbers, not the function.
    c : float, default 1e-4
        The part of the fall that the slope promises which must come true, dimensionless, in (0, 1).
    shrink : float, default 0.5
        What t is multiplied by after each trial that failed, in (0, 1).
    initial : float, default 1.0
        The first t tried, positive, dimensionless.

    Returns
    -------
    float
        The step length t, the first of initial, shrink initial, shrink^2 initial, ... that passes.

    Raises
    ------
    ValueError
        If the direction does not lead down; if no t passes before t p is lost in the rounding of x
        or its fall in that of fun; if fun is not finite at x; if a shape or a number is wrong.
    TypeError
        If `fun` is no function, or another argument does not hold real numbers.

    Notes
    -----
    The condition is Armijo's. Near t = 0 the fall is t |g.p| up to a part that vanishes faster, so
    for c < 1 some t passes if g is the gradient. A trial point where fun is not finite, or not
    defined, does not pass.

    When the whole first step promises less than the rounding of fun, 4 eps |fun(x)|, values cannot
    judge it; it passes if fun does not rise by more than that.

    References
    ----------
    L. Armijo, "Minimization of functions having Lipschitz continuous first partial derivatives",
    Pacific Journal of Mathematics 16 (1966), 1-3. https://doi.org/10.2140/pjm.1966.16.1

    Examples
    --------
    On x^2 from 1 the step -8 is too long; a quarter of it would end where it began, on the other
    side, and an eighth lands on the minimum.

    >>> backtracking(lambda x: x**2, 1.0, -8.0, gradient=2.0)
    0.125
    """
    x = _validate.start(x, "x")
    for name, value in (("c", c), ("shrink", shrink)):
        if not 0 < _validate.number(value, name) < 1:
            raise ValueError(f"{name} must lie between 0 and 1, got {value}; try {name}=0.5")
    initial = _validate.number(_validate.positive(initial, "initial"), "initial")
    if callable(gradient):
        raise TypeError("gradient must hold the numbers at x, got a function; use grad(x)")
    p, g = _validate.real(direction, "direction"), _validate.real(gradient, "gradient")
    for name, array in (("direction", p), ("gradient", g)):
        if array.shape != x.shape:
            raise ValueError(
                f"{name} must have the shape of x, {x.shape}, got {array.shape}; "
                "give one number for each coordinate"
            )
    slope = float(np.vdot(g, p))
    if not slope < 0:
        raise ValueError(
            f"direction must lead down, got the slope gradient . direction = {slope:.3g}; "
            "use -gradient"
        )
    fun = _Counted("fun", fun)
    with np.errstate(all="ignore"):
        value = fun(x)
        if not np.isfinite(value):
            raise ValueError(
                f"fun is not finite at x={_validate.show(x)}: got {value}; "
                "move to a point where fun is defined"
            )
        t = _armijo(fun, x, value, slope, p, c, shrink, initial)
    if t is None:
        raise ValueError(
            f"no step along direction lowers fun at x={_validate.show(x)} by more than its "
            "rounding; compare gradient with numerical.grad(fun)(x)"
        )
    return t


def _descend(fun, x, optimizer, grad, max_steps, tol, diverge_at, callback):
    """Run the loop that `minimize` and `minimize_many` share: x is one point, or columns."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be an Optimizer, as sgd(0.1) makes it, got {optimizer!r}; "
            "call it with its learning rate"
        )
    max_steps, tol, diverge_at = _limits(max_steps, tol, diverge_at)
    runs = x.shape[1:]
    fun = _Counted("fun", fun)
    errors = _errors_of_differences(fun, runs, tol) if grad is None and tol else _no_errors
    grad = _Counted("grad", _central(fun, runs) if grad is None else grad)

    with np.errstate(all="ignore"):
        value, g = fun(x), grad(x)
        _check_start(x, value, g, diverge_at)
        norm = length(g, axis=0)
        rounding, error = errors(x, value, g, norm, True)
        state = optimizer.init(x)
        nit = np.zeros(runs, dtype=int)
        lost = np.zeros(runs, dtype=bool)  # fun or its gradient not finite at the next point
        far = np.zeros(runs, dtype=bool)  # x beyond diverge_at
        broken = {}  # what is wrong with the step of a run
        path, values, norms = [x], [value], [norm]
        _report(callback, 0, x, value, g)

        for k in range(1, max_steps + 1):
            running = ~_is_short(norm, error, tol) & ~lost & ~far
            running = running & ~_is_unresolved(norm, rounding, error, tol)
            if not running.any():
                break
            step, state = optimizer.update(g, state, x)
            step = _checked_step(step, x, optimizer)
            for j in np.flatnonzero(running & ~_is_finite(step)):
                what = _validate.show(step[:, j] if runs else step)
                broken[j] = f"step {k} of {optimizer.name} is not finite, {what}"
            x, value, g, moved = _advance(fun, grad, x, value, g, x + step, running)
            if not moved.any():
                lost |= running
                break
            norm = length(g, axis=0)
            rounding, new_error = errors(x, value, g, norm, moved)
            error = np.where(moved, new_error, error)
            lost |= running & ~moved
            far |= moved & (length(x, axis=0) > diverge_at)
            nit += moved
            path.append(x)
            values.append(value)
            norms.append(norm)
            _report(callback, k, x, value, g)

    status = np.select(
        [lost | far, _is_short(norm, error, tol), _is_unresolved(norm, rounding, error, tol)],
        [_DIVERGED, _CONVERGED, _STALLED],
        _MAX_STEPS,
    )
    each = np.broadcast(status, nit, norm, error, length(x, axis=0), lost)
    messages = tuple(_message(*run, broken.get(j), tol, diverge_at) for j, run in enumerate(each))
    single = not runs
    return DescentResult(
        x=_plain(x),
        fun=_plain(value),
        grad=_plain(g),
        status=str(status) if single else status,
        message=messages[0] if single else messages,
        path=np.array(path),
        values=np.array(values),
        grad_norms=np.array(norms),
        nit=int(nit) if single else nit,
        nfev=fun.calls,
        njev=grad.calls,
        optimizer=optimizer,
    )


def _checked_step(step, x, optimizer):
    """Give the step as floats, if it holds real numbers and has the shape of x."""
    array = np.asarray(step)
    if array.dtype == object and all(isinstance(entry, Real) for entry in array.flat):
        array = array.astype(float)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"the step must hold real numbers, got {' '.join(str(step).split())[:60]} from "
            f"{optimizer.name}; give its learning rate and other settings as numbers"
        )
    if array.shape != x.shape:
        raise ValueError(
            f"the step must have the shape of x, {x.shape}, got {array.shape}; several "
            "learning rates need several columns: minimize_many"
        )
    return array


class _Run:
    """A single run as it grows: where it is, where it has been, and the tests that end it."""

    def __init__(self, fun, x0, grad, max_steps, tol, diverge_at, callback):
        self.x = _validate.start(x0)
        self.max_steps, self.tol, self.diverge_at = _limits(max_steps, tol, diverge_at)
        self.fun, self.callback = _Counted("fun", fun), callback
        self.has_grad = grad is not None
        is_exact = self.has_grad or not self.tol  # with tol = 0 the error is left aside
        self.errors = _no_errors if is_exact else _errors_of_differences(self.fun, (), self.tol)
        self.grad = _Counted("grad", _central(self.fun, ()) if grad is None else grad)
        with np.errstate(all="ignore"):
            self.value, self.g = self.fun(self.x), self.grad(self.x)
            _check_start(self.x, self.value, self.g, self.diverge_at)
            self.path, self.values, self.norms = [], [], []
            self.go(self.x, self.value, self.g)

    @property
    def norm(self):
        return self.norms[-1]

    @property
    def nit(self):
        return len(self.path) - 1

    def status(self):
        """Say why to stop here, or None."""
        if length(self.x) > self.diverge_at:
            return _DIVERGED
        if _is_short(self.norm, self.error, self.tol):
            return _CONVERGED
        if _is_unresolved(self.norm, self.rounding, self.error, self.tol):
            return _STALLED
        return _MAX_STEPS if self.nit == self.max_steps else None

    def move(self, x):
        """Go to x if all is finite there, and tell whether it is."""
        if not _is_finite(x) or not np.isfinite(value := self.fun(x)):
            return False
        if not _is_finite(g := self.grad(x)):
            return False
        self.go(x, value, g)
        return True

    def go(self, x, value, g):
        self.x, self.value, self.g = np.asarray(x), np.asarray(value), np.asarray(g)
        self.path.append(self.x)
        self.values.append(self.value)
        self.norms.append(length(self.g))
        self.rounding, self.error = self.errors(self.x, self.value, self.g, self.norm, True)
        _report(self.callback, self.nit, self.x, self.value, self.g)

    def result(self, status, why, advice, optimizer):
        """Give the result; `why` is what the method knows about its end, `advice` what to try."""
        after = "1 step" if self.nit == 1 else f"{self.nit} steps"
        above = _above(self.norm, self.error, self.tol)
        if status == _CONVERGED:
            message = (
                f"Converged after {after}: the gradient's length {self.norm:.2g} is at most "
                f"tol = {self.tol:g}. {why}"
            )
        elif status == _MAX_STEPS:
            message = f"Stopped by max_steps after {after}: {above}. Try more steps, or {advice}."
        elif status == _STALLED and self.norm <= self.error:
            message = _unresolved(after, self.norm, self.error, self.tol)
        elif status == _STALLED:
            way = "give grad" if self.error else "compare grad with numerical.grad(fun)"
            message = (
                f"Stalled after {after}: the line search found no step that lowers fun, and "
                f"{above}. Try a larger tol, or {way}."
            )
        elif status == _SINGULAR:
            message = f"Stopped after {after}: {why}"
        elif why:
            message = f"Diverged after {after}: {why}. Try {advice}."
        else:
            message = (
                f"Diverged after {after}: the length of x, {length(self.x):.2g}, is beyond "
                f"diverge_at = {self.diverge_at:g}. Try {advice}; if that does not help, fun may "
                "have no minimum."
            )
        return DescentResult(
            x=_plain(self.x),
            fun=float(self.value),
            grad=_plain(self.g),
            status=status,
            message=message,
            path=np.array(self.path),
            values=np.array(self.values),
            grad_norms=np.array(self.norms),
            nit=self.nit,
            nfev=self.fun.calls,
            njev=self.grad.calls,
            optimizer=optimizer,
        )


def _measured_hessian(run):
    """Give the function x -> (H, error) by differences of the counted grad, if it is given, or fun.

    H is NaN where they are undefined.
    """

    def nothing(x):
        return np.full((x.size, x.size), np.nan), np.nan

    def of_slopes(x):
        J, error = jacobian(x.ravel())
        gap = np.abs(J - J.T)
        if run.nit == 0 and gap.max() > max(4 * error, 1e-4 * np.abs(J).max()):
            i, j = np.unravel_index(gap.argmax(), gap.shape)
            raise ValueError(
                f"grad must be the gradient of a function, whose slopes are symmetric; got "
                f"{J[i, j]:.6g} for entry {i} along x[{j}], and {J[j, i]:.6g} for entry {j} along "
                f"x[{i}]; compare grad with numerical.grad(fun)"
            )
        return (J + J.T) / 2, max(error, length(gap))

    def of_values(x):
        H, error = hessian(x)
        return np.reshape(H, (x.size, x.size)), error

    (run.grad if run.has_grad else run.fun).is_differenced = True
    jacobian = numerical.jacobian_with_error(lambda x: run.grad(x.reshape(run.x.shape)))
    hessian = numerical.hessian_with_error(run.fun)
    return _nan_outside(of_slopes if run.has_grad else of_values, nothing)


def _given_hessian(hess):
    """Give the function x -> (H, error), where all that is known of an error is the asymmetry."""
    hess = _Counted("hess", hess)

    def given(x):
        H = hess(x).reshape(x.size, x.size)
        return H, length(H - H.T)

    return given


def _eigen(H, error):
    """Give the eigenvalues and vectors, where zero is what rounding or the error may have made."""
    return curvature.classify(H, tol=len(H) * _EPS, error=error)


def _has_eigenvalues(H):
    """Tell whether H is finite, and its eigenvalues are, which are at most its length in size."""
    return np.isfinite(length(H))


def _refuse_lopsided(run, H):
    """Refuse an H that is less symmetric than even one-sided differences of a gradient are."""
    r = np.maximum(1, np.abs(run.x)).min()
    if np.abs(H - H.T).max() > max(1e-4 * np.abs(H).max(), 1e-7 * float(run.norm) / r):
        curvature.classify(H)  # raises


def _singular(run, lambdas, parts, damping, error):
    """Say that (H + damping I) p = -g has no single solution, and what to try.

    The damping advised makes H + damping I positive definite whatever the error, and each part of
    the step where it was not no longer than max(1, |x|).
    """
    matrix = "the Hessian" if damping == 0 else "the damped Hessian"
    which = "it" if len(lambdas) == 1 else "one of them"
    within = f" within the error {error:.2g}" if error > 0 else ""
    size = np.abs(lambdas).max()
    found = f"{matrix} has {_spread(lambdas)}, and {which} counts as zero{within}"
    if 0 < size <= error:
        found = (
            f"differences do not tell {matrix}, whose eigenvalues, up to {size:.2g} in size, may "
            f"be off by {error:.2g}"
        )
    reach = np.abs(parts[lambdas <= max(error, 1e-8 * size)]).max() / max(1, length(run.x))
    enough = damping - lambdas[0] + max(2 * error, 1e-8 * size, reach)
    other = " Or try line_search=True." if 0 < size <= error else ""
    return (
        f"{found}, so Newton's step is not defined. Use damping, for example "
        f"damping={1.06 * enough:.2g}: it solves (H + damping I) p = -g.{other}"
    )


def _landing(run, H, error, hess, damping, line_search):
    """Say of what kind the flat point is where Newton's method has landed."""
    if not _has_eigenvalues(H):
        return "The Hessian is not finite there and does not tell the kind of the point."
    point = _eigen(H, error)
    has = f"The Hessian there has {_spread(point.eigenvalues)}"
    if point.kind == "degenerate":
        which = "it counts" if run.x.size == 1 else "one counts"
        within = f" within the error {error:.2g}" if error > 0 else ""
        return (
            f"{has}: {which} as zero{within}, so second derivatives do not tell the kind of the "
            "point."
        )
    if not _is_settled(run, point, hess):
        return f"{has}, but one more step would change it by much: it does not tell the kind."
    if point.kind == "minimum":
        return f"{has}: a minimum."
    return (
        f"{has}: a {point.kind}, not a minimum. Newton's method goes to flat points of any kind; "
        f"try {_way_out(point, damping, line_search)}."
    )


def _way_out(point, damping, line_search):
    """Say from where, and how, fun can be followed down from a saddle or a maximum.

    Along the lowest eigenvector fun is lower than at the point, and with a line search it never
    rises again. A start that has no part along it comes back, whatever the damping.
    """
    lowest = point.eigenvalues[0]
    along = f", along the eigenvector of {lowest:.3g}" if point.kind == "saddle" else ""
    start, enough = f"a start beside it{along}", -1.005 * lowest
    if line_search or damping >= enough:
        return start
    return f"{start}{along and ','} with line_search=True or damping above {enough:.3g}"


def _is_settled(run, point, hess):
    """Tell whether the Hessian is about the same one Newton step ahead, where the model is flat.

    On the way to x^4's minimum, or down a slope such as exp(x) that has none, it is not.
    """
    V, lambdas = point.eigenvectors, point.eigenvalues
    p = -(V @ (V.T @ run.g.ravel() / lambdas)).reshape(run.x.shape)
    if not _is_finite(p):
        return False
    H, (ahead, _) = (V * lambdas) @ V.T, hess(run.x + p)
    return bool(np.abs((ahead + ahead.T) / 2 - H).max() <= 0.25 * np.abs(lambdas).min())


def _spread(lambdas):
    if len(lambdas) == 1:
        return f"the eigenvalue {lambdas[0]:.3g}"
    return f"eigenvalues from {lambdas[0]:.3g} to {lambdas[-1]:.3g}"


def _call_text(rule, options):
    """Write the call; `options` maps a name to (value, default)."""
    given = [f"{name}={value}" for name, (value, default) in options.items() if value != default]
    return f"{rule}({', '.join(given)})"


def _armijo(fun, x, value, slope, p, c, shrink, t):
    """Give the first t that lowers fun by c t |slope|; None if rounding comes first."""
    noise, initial = 4 * _EPS * abs(value), t
    while t > 0 and not np.array_equal(x + t * p, x):
        new = fun(x + t * p) if _is_finite(x + t * p) else np.nan
        if np.isfinite(new) and new <= value + c * t * slope and new < value:
            return float(t)
        if -t * slope <= noise:  # a fall that values cannot show
            return float(t) if t == initial and new <= value + noise else None
        t = shrink * t
    return None


def _two_loops(g, pairs):
    """Give B g, with the pairs (s, y) from the oldest to the newest."""
    q, parts = g, []
    for s, y in reversed(pairs):
        a = np.vdot(s, q) / np.vdot(s, y)
        q = q - a * y
        parts.append(a)
    if pairs:
        s, y = pairs[-1]
        q = np.vdot(s, y) / np.vdot(y, y) * q
    for (s, y), a in zip(pairs, reversed(parts), strict=True):
        b = np.vdot(y, q) / np.vdot(s, y)
        q = q + (a - b) * s
    return q


def _wolfe(run, p, slope, *, c1=1e-4, c2=0.9, trials=60):
    """Give the point, value and gradient at a t with the strong Wolfe conditions, or None.

    The t wanted lies between low, the best so far with a slope towards high, and high.
    """
    if not slope < 0:
        return None
    noise = 4 * _EPS * abs(run.value)
    t, low, value_low, slope_low, best = 1.0, 0.0, run.value, slope, None
    high, value_high = np.inf, np.inf
    for _ in range(trials):
        x = run.x + t * p
        if np.array_equal(x, run.x):
            break
        value = run.fun(x) if _is_finite(x) else np.nan
        enough = value <= run.value + c1 * t * slope and (best is None or value < value_low)
        passes = np.isfinite(value) and (enough or abs(value - run.value) <= noise)
        if passes:
            g = run.grad(x)
            passes = _is_finite(g)
        if passes:
            slope_here = np.vdot(g, p)
            if abs(slope_here) <= c2 * abs(slope) or length(x) > run.diverge_at:
                return x, value, g
            if slope_here * (high - low) >= 0:
                high, value_high = low, value_low
            low, value_low, slope_low, best = t, value, slope_here, (x, value, g)
        else:
            high, value_high = t, value
        t = 2 * t if np.isinf(high) else _between(low, value_low, slope_low, high, value_high)
    return best if best is not None and best[1] < run.value else None


def _between(low, value_low, slope_low, high, value_high):
    """Give the bottom of the parabola through low and high, kept off both ends."""
    width = high - low
    bend = value_high - value_low - slope_low * width
    part = -slope_low * width / (2 * bend) if np.isfinite(bend) and bend > 0 else 0.5
    return low + width * min(max(part, 0.1), 0.9)


def _limits(max_steps, tol, diverge_at):
    """Check the three numbers that end a run."""
    max_steps = _validate.positive_int(max_steps, "max_steps")
    diverge_at = _validate.number(_validate.positive(diverge_at, "diverge_at"), "diverge_at")
    tol = _validate.number(tol, "tol")
    if tol < 0:
        raise ValueError(f"tol must be 0 or above, got {tol}; 0 runs until max_steps")
    return max_steps, tol, diverge_at


def _advance(fun, grad, x, value, g, proposal, running):
    """Move the running runs to `proposal`, but none to where something is not finite."""
    moved = running & _is_finite(proposal)
    new_value = fun(np.where(moved, proposal, x))
    moved = moved & np.isfinite(new_value)
    new_x = np.where(moved, proposal, x)
    new_g = grad(new_x)
    moved = moved & _is_finite(new_g)
    return (
        np.where(moved, new_x, x),
        np.where(moved, new_value, value),
        np.where(moved, new_g, g),
        moved,
    )


class _Counted:
    """A function of the point whose results are checked and whose calls are counted.

    Where the function is not defined its result is NaN, whether it says so by NaN or by raising.
    """

    def __init__(self, name, function):
        if not callable(function):
            raise TypeError(f"{name} must be a function of x, got {function!r}")
        self.name, self.function, self.calls = name, function, 0
        self.is_differenced = False  # whether slopes are made from its values

    def __call__(self, x):
        return self._at(x, at_start=self.calls == 0)

    def _at(self, x, at_start):
        self.calls += 1
        expected = {"fun": x.shape[1:], "grad": x.shape, "hess": x.shape * 2}[self.name]
        try:
            found = self.function(x.copy() if x.ndim else float(x))
            out = np.asarray(found)
        except (ArithmeticError, ValueError, TypeError) as error:
            if not _outside_domain(error):
                fault = self._fault(error, x, at_start)
                if fault is error:
                    raise
                raise fault from error
            if x.ndim == 2 and x.shape[1] > 1:  # one column has spoiled it for all: each alone
                alone = [self._at(x[:, j : j + 1], at_start) for j in range(x.shape[1])]
                return np.concatenate(alone, axis=-1)
            if at_start:
                raise self._fault(error, x, at_start) from error
            return np.full(expected, np.nan)
        _validate.unmasked(found, f"the value of {self.name}")
        if out.dtype.kind not in "biuf":
            raise TypeError(
                f"{self.name} must return real numbers, got {out.dtype} at x={_validate.show(x)}; "
                "check that it ends in return and stays real there"
            )
        if self.is_differenced and out.dtype in (np.float16, np.float32):
            raise TypeError(
                f"{self.name} must compute in float64 where its slope comes from differences, got "
                f"{out.dtype} at x={_validate.show(x[:, 0] if x.ndim == 2 else x)}; give all that "
                f"{self.name} computes with this precision (to convert its result is too late), or "
                "give its derivatives"
            )
        if out.shape != expected:
            raise ValueError(_shape_message(self.name, x.shape, out.shape))
        return out.astype(float)  # a copy: the caller's buffer may change

    def _fault(self, error, x, at_start):
        """Give the error that names the point, the cause and the way out."""
        if str(error).startswith(("fun failed ", "fun could not ", "fun must ")):
            return error  # from the differences: the sentence is there already
        kind = TypeError if isinstance(error, TypeError) else ValueError
        if x.ndim == 2 and not _outside_domain(error):
            data = "data with an entry for each run need grad" if self.is_differenced else ""
            return kind(
                f"{self.name} failed for columns of shape {x.shape}: {error}; use functions of "
                "arrays (np.log for math.log, np.where for if), or call minimize for each start"
                f"{data and '; ' + data}"
            )
        point = _validate.show(x[:, 0] if x.ndim == 2 else x)
        if at_start:
            return kind(
                f"{self.name} could not be evaluated at the start {point}: {error}; "
                f"start where {self.name} is defined, or mend it"
            )
        return kind(
            f"{self.name} failed at x={point}: {error}; "
            f"mend it, or let it return np.nan where it is not defined"
        )


# What math raises outside a domain (the second form from Python 3.14), and what this package says.
_OUTSIDE = re.compile(
    r"math domain error|expected a .+, got |cannot convert float NaN|.* is not finite "
)


def _outside_domain(error):
    """Tell whether an error is that of arithmetic outside a domain, not a fault in the code."""
    if isinstance(error, ArithmeticError | np.linalg.LinAlgError):
        return True
    if isinstance(error.__cause__, Exception):  # as numerical says it: "... could not be evaluated"
        return _outside_domain(error.__cause__)
    return isinstance(error, ValueError) and bool(_OUTSIDE.match(str(error)))


def _shape_message(name, x, got):
    if name == "grad":
        return f"grad must give the shape of x, {x}, got {got}; check its last lines"
    if name == "hess":
        return f"hess must give shape {x * 2} for x of shape {x}, got {got}; check its last lines"
    if len(x) == 2:
        return (
            f"fun must map columns of shape {x} to shape {x[1:]}, got {got}; sum over axis 0, as "
            "in (x**2).sum(axis=0), or call minimize for each start; a vector of outputs has a "
            "jacobian, not a gradient: use numerical.jacobian, or add the outputs up to a loss"
        )
    return (
        f"fun must give a single number to minimize, got shape {got}; a vector of outputs has a "
        "jacobian, not a gradient: use numerical.jacobian, or add the outputs up to a loss"
    )


def _central(fun, runs, steps=1):
    """Give central differences of the counted `fun`, not a number where `fun` is not finite.

    They reach out by `steps` times the default step.
    """
    fun.is_differenced = True

    def at_point(x):
        return numerical.grad(fun, h=steps * numerical.default_step(x))(x)

    def at_columns(x):
        n, k = x.shape
        h = steps * numerical.default_step(x.ravel()).reshape(x.shape)
        shifts = np.eye(n)[:, :, np.newaxis] * h
        ahead = fun((x[:, np.newaxis] + shifts).reshape(n, n * k))
        behind = fun((x[:, np.newaxis] - shifts).reshape(n, n * k))
        return (ahead - behind).reshape(n, k) / (2 * h)

    return at_columns if runs else _nan_outside(at_point, lambda x: np.full(x.shape, np.nan))


def _errors_of_differences(fun, runs, tol):
    """Give the function (x, value, g, norm, moved) -> (rounding, error) of g = D(h), in length.

    The error is the rounding and, of the runs that moved to where g may end them, the truncation,
    (D(4h) - D(h)) / 15. From D(2h) it would be known to half the rounding, from D(4h) to a twelfth.
    Where that leaves a doubt, a bend or an edge may lie within 4h: then 4 (D(h) - D(h/2)) / 3,
    known to four times the rounding, counts if it is smaller.
    """
    wide, narrow = (_central(fun, runs, steps) for steps in (4, 0.5))

    def gap(differences, x, g):
        try:
            found = length(differences(x) - g, axis=0)
            return np.where(np.isnan(found), np.inf, found)
        except ValueError:  # fun refuses a point to which the gradient does not reach
            return np.full(runs, np.inf)

    def errors(x, value, g, norm, moved):
        rounding = _lost_in_rounding(x, value)
        near = moved & (norm <= np.maximum(tol, rounding))
        truncation = np.zeros(runs)
        if near.any():
            truncation = np.where(near, gap(wide, x, g) / 15, 0.0)
        in_doubt = near & (norm + rounding + truncation > tol)
        if in_doubt.any():
            closer = gap(narrow, x, g) * 4 / 3 + 4 * rounding
            truncation = np.where(in_doubt, np.minimum(truncation, closer), truncation)
        return rounding, rounding + truncation

    return errors


def _lost_in_rounding(x, value):
    """Give the length of what central differences lose of the gradient, eps |value| / (2 h_j)."""
    h = _EPS ** (1 / 3) * np.maximum(1, np.abs(x))  # numerical.default_step(x)
    return _EPS * np.abs(value) * length(1 / (2 * h), axis=0)


def _no_errors(x, value, g, norm, moved):
    """Give the rounding and the error of a gradient that counts as exact."""
    return 0.0, 0.0


def _is_short(norm, error, tol):
    """Tell whether the gradient has converged: it is short even if its error makes it longer."""
    return norm + error <= tol


def _is_unresolved(norm, rounding, error, tol):
    """Tell whether differences cannot do better here: for rounding, or for their error beside tol.

    A truncation below tol only shifts the point where the gradient vanishes; the run goes on. So it
    does from where the gradient passes tol until it is a quarter of it: the error may fall as well.
    """
    return (norm <= rounding) | ((norm <= tol / 4) & (error > tol))


def _nan_outside(derivative, nothing):
    """Give a derivative by differences of a counted `fun`, nothing(x) where `fun` is undefined."""

    def counted(x):
        try:
            return derivative(x)
        except ValueError as error:
            if _outside_domain(error):
                return nothing(np.asarray(x))
            raise error.__cause__ or error from None  # the sentence of the counted fun is enough

    return counted


def _is_finite(a):
    """Tell whether all of a vector, or of each column, is finite."""
    return np.isfinite(a) if np.ndim(a) == 0 else np.isfinite(a).all(axis=0)


def _plain(a):
    """Give a copy: an array, or a Python float for a single number."""
    return np.array(a) if np.ndim(a) else float(a)


def _report(callback, k, x, value, g):
    if callback is not None:
        callback(k, _plain(x), _plain(value), _plain(g))


def _check_start(x, value, g, diverge_at):
    """Refuse a start where the function or its gradient is not finite, and name it."""
    if np.max(length(x, axis=0)) > diverge_at:
        raise ValueError(
            f"the start must not be beyond diverge_at = {diverge_at:g}, got a length of "
            f"{np.max(length(x, axis=0)):.2g}; raise diverge_at, or measure x in larger units"
        )
    for name, bad in (("fun", ~np.isfinite(value)), ("the gradient", ~_is_finite(g))):
        if np.any(bad):
            point = x[:, np.argmax(bad)] if np.ndim(bad) else x
            raise ValueError(
                f"{name} is not finite at the start {_validate.show(point)}; "
                "start where the function is defined"
            )


def _above(norm, error, tol):
    """Say why the gradient does not count as short."""
    if norm > tol:
        return f"the gradient's length {norm:.2g} is still above tol = {tol:g}"
    return (
        f"the gradient's length {norm:.2g} may be off by {error:.2g}, the error of its "
        f"differences, and is not surely at most tol = {tol:g}"
    )


def _unresolved(after, norm, error, tol):
    """Say that the error of a gradient by differences hides whether it is short."""
    if np.isinf(error):
        return (
            f"Stalled after {after}: the gradient's length {norm:.2g} is not surely at most tol = "
            f"{tol:g}. Its error cannot be told, because fun is not defined on all sides of this "
            "point. Give grad."
        )
    return (
        f"Stalled after {after}: differences of fun cannot resolve the gradient there. Its length "
        f"{norm:.2g} may be off by {error:.2g}, their rounding and truncation, which tol = {tol:g} "
        f"does not allow. Give grad, or a tol of {1.06 * (norm + error):.2g}."
    )


def _message(status, nit, norm, error, length, lost, broken, tol, diverge_at):
    """Say which test fired and what to try."""
    after = "1 step" if nit == 1 else f"{nit} steps"
    if status == _CONVERGED:
        return (
            f"Converged after {after}: the gradient's length {norm:.2g} is at most tol = {tol:g}. "
            f"{_LOOK}"
        )
    if status == _STALLED:
        return _unresolved(after, norm, error, tol)
    if status == _MAX_STEPS:
        return (
            f"Stopped by max_steps after {after}: {_above(norm, error, tol)}. "
            "Try more steps, or another learning rate."
        )
    if broken:
        return (
            f"Diverged after {after}: {broken}, so the path ends before it. "
            "Try a smaller learning rate, divide fun by its size, or mend the rule."
        )
    if lost:
        return f"Diverged after {after}: {_EDGE}. Try a smaller learning rate, or another start."
    return (
        f"Diverged after {after}: the length of x, {length:.2g}, is beyond diverge_at = "
        f"{diverge_at:g}. Try a smaller learning rate; if that does not help, fun may have no "
        "minimum."
    )


def _short(a):
    """Write a number, or a vector of up to four, with four digits."""
    if np.ndim(a) == 0:
        return f"{a:.4g}"
    more = ", ..." if len(a) > 4 else ""
    return f"[{', '.join(f'{entry:.4g}' for entry in a[:4])}{more}]"
