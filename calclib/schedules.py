"""Schedules: the learning rate as a function of the step number.

Vocabulary
----------
k       the number of the step, 0, 1, 2, ...; a number or an array of them
steps   how many steps the schedule takes to reach its end; it stays there afterwards
rate    the rate of step k, in units of x over units of the gradient

Every function here makes a schedule. A schedule is called with k and gives a float for a number
and an array, shape of k, for an array. Pass it as the learning rate of an optimizer:

    sgd(cosine(0.1, steps=1000))

Called with a SymPy symbol for k, `constant`, `linear`, `step_decay`, `exponential` and a `warmup`
of these give the formula of the rate. The two with a cosine take numbers only.
"""

import numpy as np

from calclib import _validate


def constant(rate):
    """Keep one rate: rate(k) = rate.

    Parameters
    ----------
    rate : float
        The rate, positive.

    Returns
    -------
    callable
        The schedule, k to rate.

    Raises
    ------
    ValueError
        If `rate` is zero, negative or not finite.

    Notes
    -----
    With noisy gradients a constant rate ends in a ball around the minimum, not at it; rates whose
    sum diverges and whose sum of squares does not, such as 1/k, end at it.

    References
    ----------
    H. Robbins, S. Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22
    (1951), 400-407. https://doi.org/10.1214/aoms/1177729586

    Examples
    --------
    >>> constant(0.1)(7)
    0.1
    """
    rate = _rate(rate)
    return _schedule("constant", lambda k: rate + 0.0 * k)


def linear(rate, *, steps, end=0.0):
    """Go from one rate to another in a straight line: rate(k) = rate + (end - rate) k / steps.

    Parameters
    ----------
    rate : float
        The rate of step 0, positive.
    steps : int
        The step at which `end` is reached, at least 1.
    end : float, default 0.0
        The rate from step `steps` on, not negative.

    Returns
    -------
    callable
        The schedule, k to rate.

    Raises
    ------
    ValueError
        If `rate` or `steps` is not positive, or `end` is negative.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning, MIT Press 2016, equation 8.14.
    https://www.deeplearningbook.org

    Examples
    --------
    >>> schedule = linear(0.4, steps=4)
    >>> [round(schedule(k), 3) for k in range(6)]
    [0.4, 0.3, 0.2, 0.1, 0.0, 0.0]
    """
    rate, end, steps = _rate_end_steps(rate, end, steps)

    def at(k):
        done = _smaller(k / steps, 1.0)
        return (1 - done) * rate + done * end

    return _schedule("linear", at)


def step_decay(rate, *, steps, factor=0.1):
    """Multiply the rate once every `steps` steps: rate(k) = rate factor^floor(k / steps).

    Parameters
    ----------
    rate : float
        The rate of the first `steps` steps, positive.
    steps : int
        How many steps each rate lasts, at least 1.
    factor : float, default 0.1
        What the rate is multiplied with, dimensionless, in (0, 1].

    Returns
    -------
    callable
        The schedule, k to rate.

    Raises
    ------
    ValueError
        If `rate` or `steps` is not positive, or `factor` is outside (0, 1].

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016,
    section 3.4. https://doi.org/10.1109/CVPR.2016.90

    Examples
    --------
    >>> schedule = step_decay(0.8, steps=2, factor=0.5)
    >>> [schedule(k) for k in range(5)]
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """
    rate, _, steps = _rate_end_steps(rate, 0.0, steps)
    factor = _factor(factor)
    return _schedule("step_decay", lambda k: rate * factor ** (k // steps))


def exponential(rate, *, factor):
    """Multiply the rate at every step: rate(k) = rate factor^k.

    Parameters
    ----------
    rate : float
        The rate of step 0, positive.
    factor : float
        What the rate is multiplied with, dimensionless, in (0, 1].

    Returns
    -------
    callable
        The schedule, k to rate.

    Raises
    ------
    ValueError
        If `rate` is not positive, or `factor` is outside (0, 1].

    Notes
    -----
    All its steps together reach no farther than rate / (1 - factor) times the largest gradient: a
    small `factor` can stop a descent before it arrives.

    References
    ----------
    Y. Bengio, "Practical recommendations for gradient-based training of deep architectures", in
    Neural Networks: Tricks of the Trade, Springer 2012, section 3.1.
    https://doi.org/10.1007/978-3-642-35289-8_26

    Examples
    --------
    >>> schedule = exponential(0.8, factor=0.5)
    >>> [schedule(k) for k in range(4)]
    [0.8, 0.4, 0.2, 0.1]
    """
    rate, _, _ = _rate_end_steps(rate, 0.0, 1)
    factor = _factor(factor)
    return _schedule("exponential", lambda k: rate * factor ** (1.0 * k))


def cosine(rate, *, steps, end=0.0):
    """Go down half a cosine wave: rate(k) = end + (rate - end) (1 + cos(pi k / steps)) / 2.

    Parameters
    ----------
    rate : float
        The rate of step 0, positive.
    steps : int
        The step at which `end` is reached, at least 1.
    end : float, default 0.0
        The rate from step `steps` on, not negative.

    Returns
    -------
    callable
        The schedule, k to rate.

    Raises
    ------
    ValueError
        If `rate` or `steps` is not positive, or `end` is negative.

    Notes
    -----
    One period of the schedule of the paper, without its restarts.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017,
    equation 5. https://doi.org/10.48550/arXiv.1608.03983

    Examples
    --------
    >>> schedule = cosine(0.4, steps=4)
    >>> [round(schedule(k), 3) for k in range(6)]
    [0.4, 0.341, 0.2, 0.059, 0.0, 0.0]
    """
    rate, end, steps = _rate_end_steps(rate, end, steps)
    return _schedule("cosine", lambda k: _half_wave(rate, end, k / steps))


def one_cycle(rate, *, steps, rise=0.3, start_factor=25.0, end_factor=1e4):
    """Go up half a cosine wave and down another, in one cycle.

    The rate goes from rate / start_factor to rate in the first rise * steps steps, and from there
    to rate / (start_factor * end_factor) at step `steps`.

    Parameters
    ----------
    rate : float
        The largest rate, positive.
    steps : int
        The length of the cycle, at least 1.
    rise : float, default 0.3
        The part of the cycle that goes up, dimensionless, in [0, 1).
    start_factor : float, default 25.0
        How many times the first rate is smaller than the largest, at least 1.
    end_factor : float, default 1e4
        How many times the last rate is smaller than the first, at least 1.

    Returns
    -------
    callable
        The schedule, k to rate.

    Raises
    ------
    ValueError
        If `rate` or `steps` is not positive, `rise` is outside [0, 1), or a factor is below 1.

    Notes
    -----
    The defaults are those of PyTorch's ``OneCycleLR``, which also turns the momentum down and up
    again unless told not to, and reaches its end at step ``total_steps - 1``. The paper goes up and
    down in straight lines.

    References
    ----------
    L. N. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", Proc. SPIE 11006 (2019). https://doi.org/10.1117/12.2520589

    Examples
    --------
    >>> schedule = one_cycle(1.0, steps=10, rise=0.5)
    >>> [round(schedule(k), 2) for k in (0, 5, 10)]
    [0.04, 1.0, 0.0]
    """
    rate, _, steps = _rate_end_steps(rate, 0.0, steps)
    rise = _validate.fraction(_validate.number(rise, "rise"), "rise")
    for name, value in (("start_factor", start_factor), ("end_factor", end_factor)):
        if _validate.number(value, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {value}; 1 keeps the rate as it is")
    start = rate / start_factor
    end = start / end_factor
    top = rise * steps

    def at(k):
        up = _half_wave(start, rate, k / top if top else 1.0)
        down = _half_wave(rate, end, (k - top) / (steps - top))
        return np.where(np.less(k, top), up, down)

    return _schedule("one_cycle", at)


def warmup(schedule, *, steps):
    """Start a schedule gently: rate(k) = schedule(0) (k + 1) / (steps + 1), then the schedule.

    Parameters
    ----------
    schedule : float or callable
        What follows: a rate, or a schedule, which starts with its step 0 at step `steps`.
    steps : int
        How many steps the warmup takes, at least 1.

    Returns
    -------
    callable
        The schedule, k to rate.

    Raises
    ------
    ValueError
        If `steps` or a rate is not positive.

    References
    ----------
    P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, section
    2.2. https://doi.org/10.48550/arXiv.1706.02677

    Examples
    --------
    >>> schedule = warmup(cosine(0.4, steps=4), steps=3)
    >>> [round(schedule(k), 3) for k in range(8)]
    [0.1, 0.2, 0.3, 0.4, 0.341, 0.2, 0.059, 0.0]
    """
    steps = _validate.positive_int(steps, "steps")
    after = schedule if callable(schedule) else constant(schedule)

    def at(k):
        begun = _smaller((k + 1) / (steps + 1), 1.0)
        return begun * after(k - _smaller(k, steps))  # the first rate of `after` until k = steps

    return _schedule("warmup", at)


def _smaller(a, b):
    """Give the smaller of two numbers; of two symbols its formula, (a + b - |a - b|) / 2."""
    return (a + b - abs(a - b)) / 2 if _validate.is_symbolic(a) else np.minimum(a, b)


def _half_wave(start, end, done):
    """Go from `start` to `end` on half a cosine wave while `done` goes from 0 to 1."""
    return end + (start - end) * (1 + np.cos(np.pi * np.clip(done, 0.0, 1.0))) / 2


def _rate(rate):
    return _validate.number(_validate.positive(rate, "rate"), "rate")


def _rate_end_steps(rate, end, steps):
    rate = _rate(rate)
    steps = _validate.positive_int(steps, "steps")
    end = _validate.number(end, "end")
    if end < 0:
        raise ValueError(f"end must be 0 or above, got {end}; a negative rate climbs")
    return rate, end, steps


def _factor(factor):
    factor = _validate.number(factor, "factor")
    if not 0 < factor <= 1:
        raise ValueError(f"factor must lie in (0, 1], got {factor}; 0.5 halves the rate each time")
    return factor


def _schedule(name, at):
    """Give `at` the name of its maker, and make it give a float for a number."""

    def schedule(k):
        if _validate.is_symbolic(k):
            return at(k)
        k = np.asarray(k)
        if k.dtype == object and all(type(step) is int for step in k.flat):  # beyond 64 bits
            k = _validate.real(k, "the step number")
        if k.dtype.kind not in "iuf" or not ((k >= 0) & np.isfinite(k)).all():
            raise ValueError(
                f"the step number must be 0 or above, and finite, got {k}; steps count from 0"
            )
        rate = at(k)
        return float(rate) if k.ndim == 0 else np.asarray(rate, dtype=float)

    schedule.__name__ = schedule.__qualname__ = name
    return schedule
