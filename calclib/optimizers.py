"""Optimizers: rules that turn a gradient into a step, in plain arithmetic.

Vocabulary
----------
x       the point, shape (n,), or k points as columns, shape (n, k), or one number
g       the gradient at x, of the shape of x
step    what is added to the point: x + step is the next one
state   what the rule remembers from step to step, a named tuple; never changed in place
rate    the learning rate of this step: a number, or one for each of the k columns

An optimizer is a pair of functions, with no other memory than the state they hand on:

    state = optimizer.init(x)
    step, state = optimizer.update(g, state, x)
    x = x + step

The arithmetic asks for nothing but +, -, *, / and **, so floats, arrays and SymPy symbols all go
through the same lines.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from calclib import _validate


class Optimizer(NamedTuple):
    """A rule for taking steps: its name and two pure functions.

    Parameters
    ----------
    name : str
        The call that made it, as in "sgd(0.1, momentum=0.9)".
    init : callable
        ``init(x) -> state``: the state before the first step.
    update : callable
        ``update(g, state, x) -> (step, state)``: the step to take from `x`, where the gradient is
        `g`, and the state after it.

    Examples
    --------
    >>> optimizer = sgd(0.1)
    >>> optimizer
    sgd(0.1)
    >>> x = 5.0
    >>> step, state = optimizer.update(2 * x, optimizer.init(x), x)
    >>> x + step
    4.0
    """

    name: str
    init: Callable[[Any], Any]
    update: Callable[[Any, Any, Any], tuple[Any, Any]]

    def __repr__(self):
        return self.name


class SGDState(NamedTuple):
    """What `sgd` remembers.

    Parameters
    ----------
    k : int
        The number of steps taken.
    v : float or ndarray, shape of x
        The velocity, in units of the gradient: momentum times the velocity before, plus g.

    Examples
    --------
    >>> sgd(0.1, momentum=0.9).init(5.0)
    SGDState(k=0, v=0.0)
    """

    k: Any
    v: Any


def sgd(learning_rate, *, momentum=0.0, nesterov=False):
    """Gradient descent, with momentum if wanted: v = momentum v + g, step = -rate v.

    With ``nesterov=True`` the step looks one velocity ahead: step = -rate (g + momentum v).

    Parameters
    ----------
    learning_rate : float, ndarray of shape (k,), callable or SymPy symbol
        The rate, positive, in units of x over units of the gradient: one number, one for each
        of k columns, a schedule (a function of the step number 0, 1, 2, ...), or a symbol.
    momentum : float, ndarray of shape (k,) or SymPy symbol, default 0.0
        The part of the velocity that is kept, dimensionless, in [0, 1).
    nesterov : bool, default False
        Use the step that looks ahead.

    Returns
    -------
    Optimizer
        Its state is an `SGDState`.

    Raises
    ------
    ValueError
        If a rate is zero, negative or not finite, or `momentum` is outside [0, 1). From ``update``:
        if a schedule gives a rate that is negative or not finite, or there are several rates and
        no columns.
    TypeError
        If `nesterov` is neither True nor False.

    Notes
    -----
    The convention is PyTorch's: the rate multiplies the velocity, so a change of rate acts on all
    of it at once. The heavy ball of Polyak puts the rate inside instead, v = momentum v - rate g
    and step = v; for a constant rate both give the same points. The S in the name stands for
    stochastic, a property of the gradients given to the rule, not of the rule.

    On a quadratic with largest curvature L the rule is stable for rates below
    2 (1 + momentum) / L, and with ``nesterov=True`` below 2 (1 + momentum) / (L (1 + 2 momentum)).

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR
    Computational Mathematics and Mathematical Physics 4 (1964), 1-17.
    https://doi.org/10.1016/0041-5553(64)90137-5

    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum
    in deep learning", ICML 2013, PMLR 28, 1139-1147. https://proceedings.mlr.press/v28/sutskever13.html

    Examples
    --------
    >>> optimizer = sgd(0.1, momentum=0.9)
    >>> x, state = 5.0, optimizer.init(5.0)
    >>> for _ in range(2):
    ...     step, state = optimizer.update(2 * x, state, x)
    ...     x = x + step
    >>> print(round(x, 4), state.k)
    2.3 2

    With symbols the same lines give the formula.

    >>> import sympy as sp
    >>> rate, g, v, x = sp.symbols("rate g v x")
    >>> step, _ = sgd(rate, momentum=sp.Symbol("beta")).update(g, SGDState(0, v), x)
    >>> step
    -rate*(beta*v + g)
    """
    if not isinstance(nesterov, bool | np.bool_):
        raise TypeError(f"nesterov must be True or False, got {nesterov!r}; write nesterov=True")
    rate_at = _rate_at(learning_rate)
    momentum = _validate.fraction(momentum, "momentum")

    def init(x):
        return SGDState(k=0, v=0 * x)

    def update(g, state, x):
        rate = rate_at(state.k)
        _refuse_without_columns(g, learning_rate=rate, momentum=momentum)
        v = momentum * state.v + g
        step = -rate * (g + momentum * v) if nesterov else -rate * v
        return step, SGDState(state.k + 1, v)

    name = _name("sgd", learning_rate, momentum=(momentum, 0.0), nesterov=(nesterov, False))
    return Optimizer(name, init, update)


def _rate_at(learning_rate):
    """Give the function of the step number that `learning_rate` stands for."""
    if not callable(learning_rate):
        rate = _validate.positive(learning_rate, "learning_rate")
        return lambda k: rate

    def scheduled(k):
        rate = learning_rate(k)
        if not _validate.is_symbolic(rate) and not _is_rate(rate):
            raise ValueError(
                f"learning_rate must give a finite rate of 0 or above, got {rate} at step {k}; "
                "mend the schedule"
            )
        return rate

    return scheduled


def _is_rate(value):
    """Tell whether a schedule's value is a rate, or an array of them: 0 rests for a step."""
    array = np.asarray(value)
    if array.dtype == object:  # numbers of SymPy
        array = array.astype(float)
    return array.dtype.kind in "iuf" and bool((np.isfinite(array) & (array >= 0)).all())


def _refuse_without_columns(g, **values):
    """Refuse several rates for one point, where they would act on its coordinates."""
    for name, value in values.items():
        if np.ndim(value) and np.ndim(g) < 2:
            raise ValueError(
                f"{name} holds {np.size(value)} values, one for each column, but the gradient has "
                f"shape {np.shape(g)} and no columns; use minimize_many(..., learning_rates=...), "
                "or put the points in columns"
            )


def _name(rule, learning_rate, **options):
    """Write the call that makes an optimizer; `options` maps a name to (value, default)."""
    given = [_text(learning_rate)]
    for name, (value, default) in options.items():
        if np.ndim(value) or value != default:
            given.append(f"{name}={_text(value)}")
    return f"{rule}({', '.join(given)})"


def _text(value):
    """Write an argument shortly: a schedule by its name, an array by its size."""
    return f"{np.size(value)} values" if np.ndim(value) else getattr(value, "__name__", str(value))
