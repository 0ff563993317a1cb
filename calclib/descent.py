"""Descent: take an optimizer's steps until a test says stop, and say which one.

Vocabulary
----------
x       the point, shape (n,); or k points as columns, shape (n, k); or one number
value   fun(x), one number for each run
g       the gradient at x, of the shape of x
norm    the Euclidean length of the gradient, one number for each run
path    every point in order, path[0] the start and path[-1] the result
k       the number of the step

`minimize` and `minimize_many` share one loop. A single run is the case in which "one number for
each run" is just one number.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from calclib import _validate, numerical
from calclib.optimizers import Optimizer, sgd

_CONVERGED, _MAX_STEPS, _DIVERGED = "converged", "max_steps", "diverged"


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
        "converged", "max_steps" or "diverged".
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
        Calls of the function, those of the numerical gradient among them. A call for k columns
        counts once.
    njev : int
        Calls of the gradient.
    optimizer : Optimizer
        The optimizer that ran.

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
    optimizer: Optimizer

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
        Stop when the Euclidean length of the gradient is at most this, in units of fun over units
        of x. With 0 a run only stops where the gradient is exactly zero.
    diverge_at : float, default 1e10
        Stop when the Euclidean length of x is above this, in units of x.
    callback : callable, optional
        Called as ``callback(k, x, value, g)`` at the start, k = 0, and after every step.

    Returns
    -------
    DescentResult
        With status "converged", "max_steps" or "diverged".

    Raises
    ------
    ValueError
        If `x0` is empty, not finite or has two axes; if `fun` does not give one number, or `grad`
        another shape than x; if either is not finite at `x0`; if a number is out of its range.
    TypeError
        If `x0` does not hold numbers, or a function or the optimizer is none.

    Notes
    -----
    The test is the length of the gradient, never the length of the step: a tiny rate makes tiny
    steps anywhere. A short gradient shows a flat point, which can be a plateau, a ridge or a
    saddle. With momentum the test can fire while the velocity is still large.

    A run has diverged when x passes `diverge_at`, or when `fun` or its gradient is not finite at
    the next point. Such a next point is left out: every point of the result is finite.

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
        The function of columns, from ``(n, k)`` to ``(k,)``.
    starts : array_like, shape (n, k)
        The starts as columns. One column, ``(n, 1)``, serves all `learning_rates`.
    optimizer : Optimizer, or callable with `learning_rates`
        The rule for the steps. With `learning_rates` it is the function that makes the rule from
        the rates: ``sgd`` itself, or ``lambda rate: sgd(rate, momentum=0.9)``.
    grad : callable, optional
        The gradient of `fun`, from ``(n, k)`` to ``(n, k)``. Without it, central differences.
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
        With status "converged", "max_steps" or "diverged".

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


def _descend(fun, x, optimizer, grad, max_steps, tol, diverge_at, callback):
    """Run the loop that `minimize` and `minimize_many` share: x is one point, or columns."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be an Optimizer, as sgd(0.1) makes it, got {optimizer!r}; "
            "call it with its learning rate"
        )
    max_steps = _validate.positive_int(max_steps, "max_steps")
    diverge_at = _validate.positive(diverge_at, "diverge_at")
    tol = _validate.number(tol, "tol")
    if tol < 0:
        raise ValueError(f"tol must be 0 or above, got {tol}; 0 runs until max_steps")
    runs = x.shape[1:]
    fun = _Counted("fun", fun)
    grad = _Counted("grad", _central(fun, runs) if grad is None else grad)

    with np.errstate(all="ignore"):
        value, g = fun(x), grad(x)
        _check_start(x, value, g, diverge_at)
        norm = _length(g)
        state = optimizer.init(x)
        nit = np.zeros(runs, dtype=int)
        lost = np.zeros(runs, dtype=bool)  # fun or its gradient not finite at the next point
        far = np.zeros(runs, dtype=bool)  # x beyond diverge_at
        path, values, norms = [x], [value], [norm]
        _report(callback, 0, x, value, g)

        for k in range(1, max_steps + 1):
            running = (norm > tol) & ~lost & ~far
            if not running.any():
                break
            step, state = optimizer.update(g, state, x)
            if np.shape(step) != x.shape:
                raise ValueError(
                    f"the step must have the shape of x, {x.shape}, got {np.shape(step)}; several "
                    "learning rates need several columns: minimize_many"
                )
            x, value, g, moved = _advance(fun, grad, x, value, g, x + step, running)
            if not moved.any():
                lost |= running
                break
            norm = _length(g)
            lost |= running & ~moved
            far |= moved & (_length(x) > diverge_at)
            nit += moved
            path.append(x)
            values.append(value)
            norms.append(norm)
            _report(callback, k, x, value, g)

    status = np.where(lost | far, _DIVERGED, np.where(norm <= tol, _CONVERGED, _MAX_STEPS))
    each = np.broadcast(status, nit, norm, _length(x), lost)
    messages = tuple(_message(*run, tol, diverge_at) for run in each)
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


def _advance(fun, grad, x, value, g, proposal, running):
    """Move the running runs to `proposal`, but none to where something is not finite."""
    moved = running & np.isfinite(_length(proposal))
    new_value = fun(np.where(moved, proposal, x))
    moved = moved & np.isfinite(new_value)
    new_x = np.where(moved, proposal, x)
    new_g = grad(new_x)
    moved = moved & np.isfinite(_length(new_g))
    return (
        np.where(moved, new_x, x),
        np.where(moved, new_value, value),
        np.where(moved, new_g, g),
        moved,
    )


class _Counted:
    """A function of the point whose results are checked and whose calls are counted."""

    def __init__(self, name, function):
        if not callable(function):
            raise TypeError(f"{name} must be a function of x, got {function!r}")
        self.name, self.function, self.calls = name, function, 0

    def __call__(self, x):
        self.calls += 1
        expected = x.shape if self.name == "grad" else x.shape[1:]
        try:
            out = np.asarray(self.function(x.copy() if x.ndim else float(x)))
        except (ArithmeticError, ValueError) as error:  # as math.log(-1.0) and 1 / 0.0 raise
            if self.calls == 1:
                raise ValueError(
                    f"{self.name} could not be evaluated at the start {_validate.show(x)}: "
                    f"{error}; start where {self.name} is defined, or mend it"
                ) from error
            return np.full(expected, np.nan)
        if out.dtype.kind not in "biuf":
            raise TypeError(
                f"{self.name} must return real numbers, got {out.dtype} at x={_validate.show(x)}; "
                "check that it ends in return and stays real there"
            )
        if out.shape != expected:
            raise ValueError(_shape_message(self.name, x.shape, out.shape))
        return out.astype(float)  # a copy: the caller's buffer may change


def _shape_message(name, x, got):
    if name == "grad":
        return f"grad must give the shape of x, {x}, got {got}; check its last lines"
    if len(x) == 2:
        return (
            f"fun must map columns of shape {x} to shape {x[1:]}, got {got}; sum over axis 0, as "
            "in (x**2).sum(axis=0), or call minimize for each start"
        )
    return (
        f"fun must give a single number to minimize, got shape {got}; a vector of outputs has a "
        "jacobian, not a gradient: use numerical.jacobian, or add the outputs up to a loss"
    )


def _central(fun, runs):
    """Give central differences of `fun`, not a number where `fun` is not finite."""
    gradient = numerical.grad(fun)

    def single(x):
        try:
            return gradient(x)
        except ValueError:
            return np.full(np.shape(x), np.nan)

    def columns(x):
        n, k = x.shape
        h = numerical.default_step(x.ravel()).reshape(x.shape)
        shifts = np.eye(n)[:, :, np.newaxis] * h
        ahead = fun((x[:, np.newaxis] + shifts).reshape(n, n * k))
        behind = fun((x[:, np.newaxis] - shifts).reshape(n, n * k))
        return (ahead - behind).reshape(n, k) / (2 * h)

    return columns if runs else single


def _length(a):
    """Euclidean length of a vector, or of each column; the absolute value of a number."""
    return np.abs(a) if np.ndim(a) == 0 else np.sqrt((a * a).sum(axis=0))


def _plain(a):
    """Give a copy: an array, or a Python float for a single number."""
    return np.array(a) if np.ndim(a) else float(a)


def _report(callback, k, x, value, g):
    if callback is not None:
        callback(k, _plain(x), _plain(value), _plain(g))


def _check_start(x, value, g, diverge_at):
    """Refuse a start where the function or its gradient is not finite, and name it."""
    if np.max(_length(x)) > diverge_at:
        raise ValueError(
            f"the start must not be beyond diverge_at = {diverge_at:g}, got a length of "
            f"{np.max(_length(x)):.2g}; raise diverge_at, or measure x in larger units"
        )
    for name, bad in (("fun", ~np.isfinite(value)), ("the gradient", ~np.isfinite(_length(g)))):
        if np.any(bad):
            point = x[:, np.argmax(bad)] if np.ndim(bad) else x
            raise ValueError(
                f"{name} is not finite at the start {_validate.show(point)}; "
                "start where the function is defined"
            )


def _message(status, nit, norm, length, lost, tol, diverge_at):
    """Say which test fired and what to try."""
    after = "1 step" if nit == 1 else f"{nit} steps"
    if status == _CONVERGED:
        return (
            f"Converged after {after}: the gradient's length {norm:.2g} is at most tol = {tol:g}. "
            "Look at the Hessian to tell a minimum from a plateau or a saddle."
        )
    if status == _MAX_STEPS:
        return (
            f"Stopped by max_steps after {after}: the gradient's length {norm:.2g} is still above "
            f"tol = {tol:g}. Try more steps, or another learning rate."
        )
    if lost:
        return (
            f"Diverged after {after}: fun or its gradient is not finite at the next point, so the "
            "path ends before it. Try a smaller learning rate, or another start."
        )
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
