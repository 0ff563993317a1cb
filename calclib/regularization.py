"""Regularization: penalties that keep parameters small, noise that hides units, an early stop.

Vocabulary
----------
x           the parameters that are penalized, a number or an array of any shape
strength    how much the penalty counts beside the loss, 0 or above
threshold   how far the proximal step of l1 moves a parameter, 0 or above
rate        the share of units that dropout sets to zero, in [0, 1)
losses      the loss after each epoch, on data that training does not see

Which parameters are penalized is the caller's choice: pass them. Weights are, biases as a rule
are not, because a bias only shifts:

    def penalized(params, X, y):
        return loss(params, X, y) + sum(l2(layer.W, 1e-4) for layer in params)
"""

from typing import NamedTuple

import numpy as np

from calclib import _validate
from calclib import autodiff as ad


def l1(x, strength):
    r"""Return strength * sum of \|x_i\|, which has slope strength * sign(x_i).

    Parameters
    ----------
    x : float, array_like, Var or SymPy symbol
        The parameters, an array of any shape.
    strength : float or SymPy symbol
        The weight of the penalty, 0 or above, in units of the loss over units of x.

    Returns
    -------
    float, Var or SymPy expression
        The penalty, in units of the loss.

    Raises
    ------
    ValueError
        If `strength` is negative or not one number, or x is empty or not finite.

    Notes
    -----
    At x_i = 0 every slope from -strength to strength is a subgradient. `autodiff` gives 0 there,
    as PyTorch does, so a parameter that starts at 0 is not pushed by the penalty. A parameter that
    starts elsewhere jumps over 0 and is hardly ever at it: for exact zeros use `soft_threshold`.

    References
    ----------
    R. Tibshirani, "Regression shrinkage and selection via the lasso", Journal of the Royal
    Statistical Society B 58 (1996), 267-288. https://doi.org/10.1111/j.2517-6161.1996.tb02080.x

    Examples
    --------
    >>> l1([3.0, -4.0, 0.0], 0.5)
    3.5
    >>> ad.grad(lambda x: l1(x, 0.5))([3.0, -4.0, 0.0])
    array([ 0.5, -0.5,  0. ])
    """
    return _strength(strength) * _total(ad.abs(_door(x)))


def l2(x, strength):
    """Return strength * sum of x_i^2, which has slope 2 strength x_i.

    Parameters
    ----------
    x : float, array_like, Var or SymPy symbol
        The parameters, an array of any shape.
    strength : float or SymPy symbol
        The weight of the penalty, 0 or above, in units of the loss over squared units of x.

    Returns
    -------
    float, Var or SymPy expression
        The penalty, in units of the loss.

    Raises
    ------
    ValueError
        If `strength` is negative or not one number, or x is empty or not finite.

    Notes
    -----
    There is no 1/2: PyTorch's ``weight_decay=c`` of SGD adds c x to the gradient, which is this
    penalty with strength c / 2. The penalty shrinks parameters in proportion and makes none zero.

    References
    ----------
    A. E. Hoerl, R. W. Kennard, "Ridge regression: biased estimation for nonorthogonal problems",
    Technometrics 12 (1970), 55-67. https://doi.org/10.1080/00401706.1970.10488634

    Examples
    --------
    The penalty draws the minimum of (w - 3)^2 from 3 to 2.

    >>> slope = ad.grad(lambda w: (w - 3) ** 2 + l2(w, 0.5))
    >>> slope(3.0), slope(2.0)
    (3.0, 0.0)

    Weights are penalized here, biases are not.

    >>> params = [(np.ones((2, 3)), np.ones(3)), (np.ones((3, 1)), np.ones(1))]
    >>> sum(l2(W, 0.5) for W, b in params)
    4.5
    """
    x = _door(x)
    return _strength(strength) * _total(x * x)


def elastic_net(x, l1_strength, l2_strength):
    r"""Return l1_strength * sum of \|x_i\| + l2_strength * sum of x_i^2.

    Parameters
    ----------
    x : float, array_like, Var or SymPy symbol
        The parameters, an array of any shape.
    l1_strength : float or SymPy symbol
        As in `l1`.
    l2_strength : float or SymPy symbol
        As in `l2`.

    Returns
    -------
    float, Var or SymPy expression
        The penalty, in units of the loss.

    Raises
    ------
    ValueError
        As `l1` and `l2`.

    Notes
    -----
    With a step of length s on the smooth part, loss and l2, the step of l1 is
    ``soft_threshold(x, s * l1_strength)``. This is the naive elastic net of the paper; scikit-learn
    writes alpha * l1_ratio for l1_strength and alpha * (1 - l1_ratio) / 2 for l2_strength.

    References
    ----------
    H. Zou, T. Hastie, "Regularization and variable selection via the elastic net", Journal of the
    Royal Statistical Society B 67 (2005), 301-320.
    https://doi.org/10.1111/j.1467-9868.2005.00503.x

    Examples
    --------
    >>> elastic_net([3.0, -4.0], 1.0, 0.1)
    9.5
    """
    return l1(x, l1_strength) + l2(x, l2_strength)


def soft_threshold(x, threshold):
    r"""Return x moved by threshold towards 0, but not beyond: sign(x) max(\|x\| - threshold, 0).

    Parameters
    ----------
    x : float, array_like or Var
        The parameters.
    threshold : float or array_like
        How far to move, 0 or above, in units of x; its shape broadcasts against that of x.

    Returns
    -------
    float, ndarray or Var
        The nearer parameters. Entries within `threshold` of 0 are exactly 0.

    Raises
    ------
    ValueError
        If `threshold` is negative, the shapes do not broadcast, or x is empty or not finite.

    Notes
    -----
    This is the proximal step of `l1`: the u that makes (u - x)^2 / 2 + threshold \|u\| least. To
    minimize a smooth loss plus ``l1(x, strength)``, take a step of length s down the slope of the
    loss alone, then this step:

        x = soft_threshold(x - s * grad(loss)(x), s * strength)

    It converges for s below 2 / L, where L is the largest curvature of the convex loss.

    References
    ----------
    N. Parikh, S. Boyd, "Proximal algorithms", Foundations and Trends in Optimization 1 (2014),
    127-239. https://doi.org/10.1561/2400000003

    Examples
    --------
    >>> soft_threshold([3.0, -0.4, -2.0], 0.5)
    array([ 2.5,  0. , -1.5])
    """
    x, threshold = _door(x), _validate.at_least_zero(threshold, "threshold")
    return ad.relu(x - threshold) - ad.relu(-x - threshold)


def dropout_mask(shape, rate, *, rng):
    """Draw the mask of inverted dropout: 0 with probability rate, else 1 / (1 - rate).

    Parameters
    ----------
    shape : int or tuple of int
        The shape of the units to hide some of, (m, n) for m examples.
    rate : float
        The probability of hiding a unit, in [0, 1). At 0 the mask is all ones.
    rng : numpy.random.Generator
        Where the random numbers come from.

    Returns
    -------
    ndarray
        The mask; multiply the units by it in training, and leave it out in evaluation.

    Raises
    ------
    ValueError
        If `rate` is outside [0, 1).
    TypeError
        If `rng` is not a generator.

    Notes
    -----
    The mean of every entry is 1, so the units keep their expectation and evaluation needs no mask
    and no factor. That holds for what is linear in the units; the mean of a nonlinear function of
    them is changed. The paper hides units without the factor in training and multiplies by
    1 - rate in evaluation; PyTorch's ``nn.Dropout`` is inverted as here. Left on in evaluation,
    it makes the loss differ from call to call.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a simple way
    to prevent neural networks from overfitting", Journal of Machine Learning Research 15 (2014),
    1929-1958. https://jmlr.org/papers/v15/srivastava14a.html

    Examples
    --------
    >>> dropout_mask(8, 0.5, rng=np.random.default_rng(0))
    array([2., 0., 0., 0., 2., 2., 2., 2.])
    """
    rate = _validate.fraction(_validate.number(rate, "rate"), "rate")
    kept = _validate.generator(rng).random(shape) >= rate
    return kept / (1 - rate)


class Stop(NamedTuple):
    """What `stop_index` found.

    Parameters
    ----------
    best : int
        The index of the last improvement: the epoch whose parameters to keep.
    stopped : int or None
        The index at which the rule would have stopped; None if it would not have.

    Examples
    --------
    >>> stop_index([3.0, 1.0, 2.0], patience=5)
    Stop(best=1, stopped=None)
    """

    best: int
    stopped: int | None


def stop_index(losses, *, patience, min_improvement=0.0):
    """Find the last improvement, looking no further than patience epochs without one.

    Parameters
    ----------
    losses : array_like, shape (epochs,)
        The losses on data that training does not see, in order.
    patience : int
        How many epochs in a row may pass without an improvement, at least 1.
    min_improvement : float, default 0.0
        A loss is an improvement if it is lower than that of the last improvement by more than this,
        in units of the loss. The first loss is one.

    Returns
    -------
    Stop
        ``best`` and ``stopped``, where ``stopped == best + patience`` or None. Losses after
        ``stopped`` play no part: a training run that stops there never computes them.

    Raises
    ------
    ValueError
        If `losses` is empty, not finite or has two axes, `patience` is below 1, or
        `min_improvement` is negative.

    Notes
    -----
    With min_improvement = 0 that is the lowest loss, of equal ones the first; above 0 a slightly
    lower one may follow. On noisy losses a short patience stops at chance.

    References
    ----------
    L. Prechelt, "Early stopping - but when?", in: Neural Networks: Tricks of the Trade, LNCS 1524,
    Springer 1998, 55-69. https://doi.org/10.1007/3-540-49430-8_3

    Examples
    --------
    >>> stop_index([5.0, 3.0, 2.0, 2.5, 2.6, 1.0], patience=2)
    Stop(best=2, stopped=4)
    """
    losses = _validate.vector(losses, "losses")
    patience = _validate.positive_int(patience, "patience")
    least = _validate.number(min_improvement, "min_improvement")
    least = _validate.at_least_zero(least, "min_improvement")
    best = 0
    for k, loss in enumerate(losses):
        if loss < losses[best] - least:
            best = k
        elif k - best == patience:
            return Stop(best, k)
    return Stop(best, None)


def _door(x):
    """Return a finite float or array; what is traced and symbols pass."""
    if ad.stop_gradient(x) is not x or _validate.is_symbolic(x):
        return x
    x = _validate.real(x, "x")
    return x if x.ndim else x.item()


def _strength(strength):
    strength = _validate.at_least_zero(strength, "strength")
    if np.ndim(strength):
        raise ValueError(
            f"strength must be one number, got shape {np.shape(strength)}; add a penalty for each "
            "part of x"
        )
    return strength


def _total(terms):
    return ad.sum(terms) if np.ndim(terms) else terms
