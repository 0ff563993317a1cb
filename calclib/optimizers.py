"""Optimizers: rules that turn a gradient into a step, in plain arithmetic.

Vocabulary
----------
x       the point, shape (n,), or k points as columns, shape (n, k), or one number
g       the gradient at x, of the shape of x
step    what is added to the point: x + step is the next one
state   what the rule remembers from step to step, a named tuple; never changed in place
rate    the learning rate of this step: a number, or one for each of the k columns
k       the number of steps taken before this one
m, v    running means of g and of g squared, entry by entry, of the shape of x
eps     a small number that keeps a division from being one by zero; it stands outside the root

An optimizer is a pair of functions, with no other memory than the state they hand on:

    state = optimizer.init(x)
    step, state = optimizer.update(g, state, x)
    x = x + step

The arithmetic asks for nothing but +, -, *, / and **, so floats, arrays and SymPy symbols all go
through the same lines; lists, which have another arithmetic, do not. What does not fit is refused
in ``update`` before anything is computed, so the state that the caller holds is still good then: a
gradient that is not finite, and a gradient or a state of another shape than x, with a ValueError;
what is no real number, and the state of another rule, with a TypeError.
"""

import math
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
        If a rate is zero, negative or not finite, or `momentum` is outside [0, 1). From ``init``:
        if x is not finite. From ``update``: if `g` is not finite, `g` or the state has not the
        shape of x, a schedule gives a rate that is negative or not finite, or there are several
        rates and another number of columns.
    TypeError
        If `nesterov` is neither True nor False. From ``init`` and ``update``: if x or `g` holds no
        real numbers or symbols, as a list does, or the state is that of another rule.

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
        return SGDState(k=0, v=_zeros(x))

    def update(g, state, x):
        _check_state(state, x, SGDState)
        g, rate = _gradient(g, x), rate_at(state.k)
        _refuse_without_columns(g, learning_rate=rate, momentum=momentum)
        v = momentum * state.v + g
        step = -rate * (g + momentum * v) if nesterov else -rate * v
        return step, SGDState(state.k + 1, v)

    name = _name("sgd", learning_rate, momentum=(momentum, 0.0), nesterov=(nesterov, False))
    return Optimizer(name, init, update)


class AdagradState(NamedTuple):
    """What `adagrad` remembers.

    Parameters
    ----------
    k : int
        The number of steps taken.
    s : float or ndarray, shape of x
        The sum of the squares of all gradients so far, entry by entry.

    Examples
    --------
    >>> adagrad(0.1).init(5.0)
    AdagradState(k=0, s=0.0)
    """

    k: Any
    s: Any


def adagrad(learning_rate=1e-2, *, eps=1e-10):
    """Divide each slope by the root of its sum of squares: step = -rate g / (s^0.5 + eps).

    The sum takes in the gradient of this step first: s = s + g^2.

    Parameters
    ----------
    learning_rate : float, ndarray of shape (k,), callable or SymPy symbol, default 1e-2
        The rate, positive, in units of x: the length of the first step in each coordinate. One
        number, one for each of k columns, a schedule or a symbol, as in `sgd`.
    eps : float or SymPy symbol, default 1e-10
        What is added to the root, positive, in units of the gradient.

    Returns
    -------
    Optimizer
        Its state is an `AdagradState`.

    Raises
    ------
    ValueError
        If a rate or `eps` is zero, negative or not finite. From ``update``: as in `sgd`, and if the
        square of a gradient overflows.

    Notes
    -----
    The sum only grows, so the steps shrink: for slopes of one size as 1 / (k + 1)^0.5. A coordinate
    whose slope is seldom other than zero keeps long steps.

    The rule is the paper's with a diagonal matrix, where eps is called delta, and also PyTorch's
    ``Adagrad``, whose defaults these are. The paper gives no default for the rate. Optax puts eps
    inside the root and starts the sum at 0.1.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", Journal of Machine Learning Research 12 (2011), 2121-2159.
    https://jmlr.org/papers/v12/duchi11a.html

    Examples
    --------
    The first step has the length of the rate; the slopes 1, 1, 1 then give 1 / 2^0.5 and 1 / 3^0.5.

    >>> optimizer = adagrad(1.0)
    >>> x, state = 0.0, optimizer.init(0.0)
    >>> for _ in range(3):
    ...     step, state = optimizer.update(1.0, state, x)
    ...     print(round(step, 4))
    -1.0
    -0.7071
    -0.5774
    """
    rate_at = _rate_at(learning_rate)
    eps = _validate.positive(eps, "eps")

    def init(x):
        return AdagradState(k=0, s=_zeros(x))

    def update(g, state, x):
        _check_state(state, x, AdagradState)
        g, rate = _gradient(g, x, squared=True), rate_at(state.k)
        _refuse_without_columns(g, learning_rate=rate, eps=eps)
        s = state.s + g**2
        step = -rate * g / (s**0.5 + eps)
        return step, AdagradState(state.k + 1, s)

    return Optimizer(_name("adagrad", learning_rate, eps=(eps, 1e-10)), init, update)


class RMSpropState(NamedTuple):
    """What `rmsprop` remembers.

    Parameters
    ----------
    k : int
        The number of steps taken.
    v : float or ndarray, shape of x
        The running mean of the squared gradients, entry by entry.

    Examples
    --------
    >>> rmsprop(0.1).init(5.0)
    RMSpropState(k=0, v=0.0)
    """

    k: Any
    v: Any


def rmsprop(learning_rate=1e-2, *, decay=0.9, eps=1e-8):
    """Divide each slope by its root mean square: step = -rate g / (v^0.5 + eps).

    The mean is a running one: v = decay v + (1 - decay) g^2.

    Parameters
    ----------
    learning_rate : float, ndarray of shape (k,), callable or SymPy symbol, default 1e-2
        The rate, positive, in units of x: one number, one for each of k columns, a schedule or a
        symbol, as in `sgd`.
    decay : float, ndarray of shape (k,) or SymPy symbol, default 0.9
        The part of the mean that is kept, dimensionless, in [0, 1). It looks back over about
        1 / (1 - decay) steps.
    eps : float or SymPy symbol, default 1e-8
        What is added to the root, positive, in units of the gradient.

    Returns
    -------
    Optimizer
        Its state is an `RMSpropState`.

    Raises
    ------
    ValueError
        If a rate or `eps` is zero, negative or not finite, or `decay` is outside [0, 1). From
        ``update``: as in `sgd`, and if the square of a gradient overflows.

    Notes
    -----
    The mean starts at 0 and is not corrected, so the first step is 1 / (1 - decay)^0.5 times the
    rate: 3.16 times for 0.9. At the end the steps do not shrink with the gradient.

    The decay is the lecture's, which has no eps and gives no rate; both are PyTorch's. PyTorch's
    ``RMSprop`` calls the decay alpha and has 0.99 as its default.

    References
    ----------
    T. Tieleman, G. Hinton, "Lecture 6.5: rmsprop, divide the gradient by a running average of its
    recent magnitude", Neural Networks for Machine Learning, Coursera 2012.
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf

    Examples
    --------
    >>> optimizer = rmsprop(0.1)
    >>> step, state = optimizer.update(10.0, optimizer.init(5.0), 5.0)
    >>> print(round(step, 4), round(state.v, 4))
    -0.3162 10.0
    """
    rate_at = _rate_at(learning_rate)
    decay = _validate.fraction(decay, "decay")
    eps = _validate.positive(eps, "eps")

    def init(x):
        return RMSpropState(k=0, v=_zeros(x))

    def update(g, state, x):
        _check_state(state, x, RMSpropState)
        g, rate = _gradient(g, x, squared=True), rate_at(state.k)
        _refuse_without_columns(g, learning_rate=rate, decay=decay, eps=eps)
        v = decay * state.v + (1 - decay) * g**2
        step = -rate * g / (v**0.5 + eps)
        return step, RMSpropState(state.k + 1, v)

    name = _name("rmsprop", learning_rate, decay=(decay, 0.9), eps=(eps, 1e-8))
    return Optimizer(name, init, update)


class AdamState(NamedTuple):
    """What `adam` and `adamw` remember.

    Parameters
    ----------
    k : int
        The number of steps taken.
    m : float or ndarray, shape of x
        The running mean of the gradients.
    v : float or ndarray, shape of x
        The running mean of the squared gradients, entry by entry.

    Examples
    --------
    >>> adam(0.1).init(5.0)
    AdamState(k=0, m=0.0, v=0.0)
    """

    k: Any
    m: Any
    v: Any


def adam(learning_rate=1e-3, *, beta1=0.9, beta2=0.999, eps=1e-8):
    """Divide the mean slope by the root mean square: step = -rate m_hat / (v_hat^0.5 + eps).

    The means are running ones, m = beta1 m + (1 - beta1) g and v = beta2 v + (1 - beta2) g^2. Both
    start at 0, which makes them too small; m_hat = m / (1 - beta1^k) and v_hat = v / (1 - beta2^k),
    with k = 1 in the first step, correct for that.

    Parameters
    ----------
    learning_rate : float, ndarray of shape (k,), callable or SymPy symbol, default 1e-3
        The rate, positive, in units of x: the length of the first step in each coordinate. One
        number, one for each of k columns, a schedule (of the step number from 0) or a symbol.
    beta1 : float, ndarray of shape (k,) or SymPy symbol, default 0.9
        The part of the mean of gradients that is kept, dimensionless, in [0, 1).
    beta2 : float, ndarray of shape (k,) or SymPy symbol, default 0.999
        The part of the mean of squares that is kept, dimensionless, in [0, 1).
    eps : float or SymPy symbol, default 1e-8
        What is added to the root, positive, in units of the gradient.

    Returns
    -------
    Optimizer
        Its state is an `AdamState`.

    Raises
    ------
    ValueError
        If a rate or `eps` is zero, negative or not finite, or a beta is outside [0, 1). From
        ``update``: as in `sgd`, and if the square of a gradient overflows.

    Notes
    -----
    Gradients of any constant size give the same steps, as long as they are far above eps: a step
    tells nothing of how steep the function is. Without the correction the first step would be
    (1 - beta1) / (1 - beta2)^0.5 times the rate, 3.16 times with the default values.

    Rule and defaults are the paper's (algorithm 1) and PyTorch's ``Adam``. The ``weight_decay`` of
    that class is a penalty added to the gradient, not the decay of `adamw`.

    References
    ----------
    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    https://doi.org/10.48550/arXiv.1412.6980

    Examples
    --------
    Slopes of 1000 and of 0.001 give first steps of the same length.

    >>> optimizer = adam(0.1)
    >>> for slope in (1000.0, 0.001):
    ...     step, _ = optimizer.update(slope, optimizer.init(5.0), 5.0)
    ...     print(round(step, 4))
    -0.1
    -0.1
    """
    rate_at, direction = _rate_at(learning_rate), _adam_direction(beta1, beta2, eps)

    def update(g, state, x):
        _check_state(state, x, AdamState)
        g, rate = _gradient(g, x, squared=True), rate_at(state.k)
        _refuse_without_columns(g, learning_rate=rate)
        scaled, state = direction(g, state)
        return -rate * scaled, state

    return Optimizer(_adam_name("adam", learning_rate, beta1, beta2, eps), _adam_init, update)


def adamw(learning_rate=1e-3, *, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=1e-2):
    """Take Adam's step and shrink the point beside it: x = (1 - rate weight_decay) x + Adam's step.

    Parameters
    ----------
    learning_rate, beta1, beta2, eps
        As in `adam`.
    weight_decay : float, ndarray of shape (k,) or SymPy symbol, default 1e-2
        How fast the point shrinks, 0 or above, in units of 1 over the rate.

    Returns
    -------
    Optimizer
        Its state is an `AdamState`.

    Raises
    ------
    ValueError
        As in `adam`, and if `weight_decay` is negative or not finite. From ``update``: if x, which
        this rule reads, is not finite.

    Notes
    -----
    The decay is decoupled: it does not pass through the means, so no v_hat divides it. A penalty
    weight_decay |x|^2 / 2 in the loss adds weight_decay x to the gradient instead, and Adam divides
    that by the root mean square: where gradients are large or noisy it hardly acts.

    As in PyTorch's ``AdamW`` the rate multiplies the decay, so a schedule of the rate acts on both;
    the default is PyTorch's too. The paper (algorithm 2) multiplies both by a schedule that starts
    at 1, but only Adam's part by the base rate: its decay is rate * weight_decay here.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    https://doi.org/10.48550/arXiv.1711.05101

    Examples
    --------
    Where the gradient is zero only the decay is left: 5 (1 - 0.1 * 0.5) = 4.75.

    >>> optimizer = adamw(0.1, weight_decay=0.5)
    >>> step, _ = optimizer.update(0.0, optimizer.init(5.0), 5.0)
    >>> print(round(5.0 + step, 4))
    4.75
    """
    rate_at, direction = _rate_at(learning_rate), _adam_direction(beta1, beta2, eps)
    weight_decay = _validate.at_least_zero(weight_decay, "weight_decay")

    def update(g, state, x):
        _check_state(state, x, AdamState)
        g, x = _gradient(g, x, squared=True), _point(x, "go back to the point before it")
        rate = rate_at(state.k)
        _refuse_without_columns(g, learning_rate=rate, weight_decay=weight_decay)
        scaled, state = direction(g, state)
        return -rate * (scaled + weight_decay * x), state

    name = _adam_name("adamw", learning_rate, beta1, beta2, eps, weight_decay=(weight_decay, 1e-2))
    return Optimizer(name, _adam_init, update)


def _adam_init(x):
    return AdamState(k=0, m=_zeros(x), v=_zeros(x))


def _adam_direction(beta1, beta2, eps):
    """Give the function from g and a state to m_hat / (v_hat^0.5 + eps) and the next state."""
    beta1, beta2 = _validate.fraction(beta1, "beta1"), _validate.fraction(beta2, "beta2")
    eps = _validate.positive(eps, "eps")

    def direction(g, state):
        _refuse_without_columns(g, beta1=beta1, beta2=beta2, eps=eps)
        k = state.k + 1
        m = beta1 * state.m + (1 - beta1) * g
        v = beta2 * state.v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**k)
        v_hat = v / (1 - beta2**k)
        return m_hat / (v_hat**0.5 + eps), AdamState(k, m, v)

    return direction


def _adam_name(rule, learning_rate, beta1, beta2, eps, **options):
    defaults = {"beta1": (beta1, 0.9), "beta2": (beta2, 0.999), "eps": (eps, 1e-8)}
    return _name(rule, learning_rate, **defaults, **options)


def clip_by_norm(optimizer, max_norm):
    """Shorten long gradients, then hand them on: g = g / max(1, |g| / max_norm).

    Parameters
    ----------
    optimizer : Optimizer
        The rule that gets the gradient, as `sgd` or `adam` makes it.
    max_norm : float, ndarray of shape (k,) or SymPy symbol
        The largest length of a gradient that stays as it is, positive, in units of the gradient.

    Returns
    -------
    Optimizer
        Its state is that of `optimizer`.

    Raises
    ------
    ValueError
        If `max_norm` is zero, negative or not finite. From ``update``: as `optimizer`.
    TypeError
        If `optimizer` is no Optimizer.

    Notes
    -----
    |g| is the Euclidean length of all of the gradient, for points as columns of each column. The
    direction stays, which it does not when each entry is clipped.

    For symbols the larger of 1 and r = |g| / max_norm is written (1 + r + |1 - r|) / 2.

    PyTorch's ``clip_grad_norm_`` divides by |g| + 1e-6 instead of |g|, so it leaves a gradient a
    little shorter than max_norm.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, PMLR 28, 1310-1318. https://proceedings.mlr.press/v28/pascanu13.html

    Examples
    --------
    The gradient (30, 40) has length 50; at most 5 of it is used.

    >>> optimizer = clip_by_norm(sgd(0.1), 5.0)
    >>> optimizer
    clip_by_norm(sgd(0.1), 5.0)
    >>> x = np.array([0.0, 0.0])
    >>> step, _ = optimizer.update(np.array([30.0, 40.0]), optimizer.init(x), x)
    >>> step.round(4)
    array([-0.3, -0.4])
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be an Optimizer, as sgd(0.1) makes it, got {optimizer!r}; "
            "write clip_by_norm(sgd(0.1), 1.0)"
        )
    max_norm = _validate.positive(max_norm, "max_norm")

    def update(g, state, x):
        g = _gradient(g, x)
        _refuse_without_columns(g, max_norm=max_norm)
        return optimizer.update(_clipped(g, max_norm), state, x)

    return Optimizer(f"clip_by_norm({optimizer}, {_text(max_norm)})", optimizer.init, update)


def _clipped(g, max_norm):
    """Give g / max(1, |g| / max_norm), of each column, without overflow on the way."""
    array = np.asarray(g)
    if array.size == 0:
        return g
    axis = 0 if array.ndim else None
    if array.dtype == object:
        length = (g**2).sum(axis=0) ** 0.5 if array.ndim else abs(g)
        return g / _at_least_1(length / max_norm)
    largest = abs(array).max(axis=axis)
    largest = np.where(largest > 0, largest, 1.0)
    unit = array / largest
    length = (unit**2).sum(axis=axis) ** 0.5
    with np.errstate(over="ignore"):
        excess = largest * length / max_norm
    usual = np.isfinite(excess)
    if usual.all():
        return g / np.maximum(1.0, excess)
    shortened = unit * (max_norm / np.where(usual, 1.0, length))
    return np.where(usual, g / np.maximum(1.0, excess), shortened)[()]


def _at_least_1(r):
    """Give the larger of 1 and r."""
    return (1 + r + abs(1 - r)) / 2 if _validate.is_symbolic(r) else np.maximum(1.0, r)


def _zeros(x):
    """Give zeros of the shape of x, if x is finite: 0 times a NaN would stay in the state."""
    _point(x, "start from another point")
    return 0 * (np.asarray(x) if isinstance(x, np.ndarray) else x)


def _point(x, way_out):
    """Give x, integers as floats, if it is finite."""
    x, squares = _real(x, "x")
    if not math.isfinite(squares) and not np.isfinite(_numbers(x)).all():
        raise ValueError(f"x must be finite, got {_validate.show(x)}; {way_out}")
    return x


def _check_state(state, x, kind):
    """Refuse the state of another rule, and one of another shape than that of x."""
    if not isinstance(state, kind):
        raise TypeError(
            f"state must be of the kind {kind.__name__}, got {type(state).__name__}; "
            "begin with state = optimizer.init(x)"
        )
    shape = _shape(x)
    for part in state[1:]:
        got = getattr(part, "shape", ())
        if got != shape:
            raise ValueError(
                f"state must have the shape of x, {shape}, got {got}; "
                "begin with state = optimizer.init(x), or give x the shape that it had there"
            )


def _gradient(g, x, *, squared=False):
    """Give g, integers as floats; refuse another shape than that of x, and what is not finite."""
    g, squares = _real(g, "g")
    if _shape(g) != _shape(x):
        raise ValueError(
            f"g must have the shape of x, {_shape(x)}, got {_shape(g)}; "
            "give one slope for each coordinate"
        )
    if math.isfinite(squares):  # then every entry and its square are
        return g
    numbers = _numbers(g)
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise ValueError(
            f"g must be finite, got {numbers[bad][0]}; "
            "the state is unchanged: leave this step out, or take a smaller rate"
        )
    with np.errstate(over="ignore"):
        overflows = not np.isfinite(numbers**2).all()
    if squared and overflows:
        raise ValueError(
            f"the square of g must be finite, got g as large as {abs(numbers).max()}; "
            "the state is unchanged: shorten g with clip_by_norm"
        )
    return g


def _shape(value):
    """Give the shape of a number, an array or a symbol."""
    return () if isinstance(value, float) else np.shape(value)


def _real(value, name):
    """Give floats, as integers become, or symbols; and the sum of the squares of the numbers."""
    if isinstance(value, float):
        return value, float(value) * float(value)
    if type(value) is np.ndarray and value.dtype.kind == "f":
        return value, np.vdot(value, value)
    value = _validate.real_or_symbols(value, name)
    numbers = _numbers(value)
    return value, np.vdot(numbers, numbers)


def _numbers(value):
    """Give the numbers in value as an array of floats: what has symbols is left out."""
    array = np.asarray(value)
    if array.dtype != object:
        return array
    return np.array([float(entry) for entry in array.flat if not _validate.is_symbolic(entry)])


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
    """Refuse several rates where there are no columns, or not as many as there are rates."""
    for name, value in values.items():
        if isinstance(value, float) or not np.ndim(value):
            continue
        if np.ndim(g) < 2:
            raise ValueError(
                f"{name} holds {np.size(value)} values, one for each column, but the gradient has "
                f"shape {np.shape(g)} and no columns; use minimize_many(..., learning_rates=...), "
                "or put the points in columns"
            )
        if np.shape(value) != np.shape(g)[1:]:
            raise ValueError(
                f"{name} must hold one value for each of the {np.shape(g)[-1]} columns, "
                f"got shape {np.shape(value)}; repeat the points, or give one number for all"
            )


def _name(rule, learning_rate, **options):
    """Write the call that makes an optimizer; `options` maps a name to (value, default)."""
    given = [_text(learning_rate)]
    for name, (value, default) in options.items():
        if np.ndim(value) or _validate.is_symbolic(value) or value != default:
            given.append(f"{name}={_text(value)}")
    return f"{rule}({', '.join(given)})"


def _text(value):
    """Write an argument shortly: a schedule by its name, an array by its size."""
    return f"{np.size(value)} values" if np.ndim(value) else getattr(value, "__name__", str(value))
