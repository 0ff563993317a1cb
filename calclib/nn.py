"""Neural networks: layers, losses and training as plain functions on a list of layers.

Vocabulary
----------
X       the inputs, shape (m, n_in): a row for each of m examples
W, b    weights and biases of a layer, shapes (n_in, n_out) and (n_out,)
params  a list of layers; errors and messages count them from 1, as in "layer 2, W"
pred    the outputs of the last layer, shape (m, n_out); for classes they are called logits
y       the targets; for classes the labels, shape (m,)
theta   all weights and biases in one vector, shape (p,)
epoch   one pass over the data

A network is a function of its parameters, a loss is a function of the network's output, and all
is written with `calclib.autodiff`: arrays give numbers, Vars give numbers that know their slopes.
"""

import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, pi, prod, sqrt
from typing import Any, NamedTuple

import numpy as np

from calclib import _validate
from calclib import autodiff as ad
from calclib.optimizers import Optimizer

_FINISHED, _DIVERGED = "finished", "diverged"


class Layer(NamedTuple):
    """One layer: x W + b.

    Parameters
    ----------
    W : ndarray or Var, shape (n_in, n_out)
        The weights.
    b : ndarray or Var, shape (n_out,)
        The biases.

    Examples
    --------
    >>> layer = Layer(np.array([[1.0], [2.0]]), np.array([3.0]))
    >>> forward([layer], [[5.0, 7.0]])
    array([[22.]])
    """

    W: Any
    b: Any


# The network


def init_params(sizes, *, rng, scheme="he"):
    """Draw the first weights from a normal distribution: "he" has variance 2 / n_in.

    "xavier" has variance 2 / (n_in + n_out). The biases are zero.

    Parameters
    ----------
    sizes : sequence of int
        How many numbers enter, those between the layers, how many leave: ``[1, 16, 16, 1]`` makes
        three layers.
    rng : numpy.random.Generator
        Where the random numbers come from, as ``np.random.default_rng(0)``.
    scheme : {"he", "xavier"}, default "he"
        He for relu, Xavier for tanh.

    Returns
    -------
    list of Layer
        The layers.

    Raises
    ------
    ValueError
        If there are fewer than two sizes, one is below 1, or the scheme is not known.
    TypeError
        If `sizes` is no sequence, a size is not a whole number, or `rng` is not a generator.

    Notes
    -----
    For n_in independent inputs of mean square q, a sum of n_in terms w x has variance
    n_in var(w) q. Variance 1 / n_in would keep it at q; relu then halves the mean square, and the
    2 of He makes up for that. Xavier is a compromise between 1 / n_in, which keeps the signals on
    their way forward, and 1 / n_out, which keeps the gradients on their way back.

    PyTorch's ``nn.Linear`` does neither: it draws W and b from a uniform distribution on
    (-1/sqrt(n_in), 1/sqrt(n_in)). It also stores the transpose of W.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, PMLR 9, 249-256. https://proceedings.mlr.press/v9/glorot10a.html

    K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015, 1026-1034.
    https://doi.org/10.1109/ICCV.2015.123

    Examples
    --------
    >>> params = init_params([1, 16, 16, 1], rng=np.random.default_rng(0))
    >>> [layer.W.shape for layer in params]
    [(1, 16), (16, 16), (16, 1)]
    """
    try:
        sizes = list(sizes)
    except TypeError:
        raise TypeError(
            f"sizes must be a sequence of whole numbers, got {sizes!r}; write [1, 16, 1] for one "
            "input, 16 hidden units and one output"
        ) from None
    sizes = [_validate.positive_int(n, f"sizes[{k}]") for k, n in enumerate(sizes)]
    if len(sizes) < 2:
        raise ValueError(f"sizes must hold at least two numbers, got {sizes}; try [1, 16, 1]")
    _validate.generator(rng)
    variance = _VARIANCES[_validate.choice(scheme, "scheme", _VARIANCES)]
    return [
        Layer(rng.normal(0.0, sqrt(variance(n_in, n_out)), (n_in, n_out)), np.zeros(n_out))
        for n_in, n_out in pairwise(sizes)
    ]


_VARIANCES = {
    "he": lambda n_in, n_out: 2 / n_in,
    "xavier": lambda n_in, n_out: 2 / (n_in + n_out),
}


def gelu(x):
    """Return x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2, close to x P(Z < x), Z normal.

    Parameters
    ----------
    x : float, array_like or Var
        The argument, element by element. Lists, integers and booleans are promoted to float64.

    Returns
    -------
    float, ndarray or Var
        The result.

    Notes
    -----
    This is the approximation of the paper, because `calclib.autodiff` has no error function. It is
    within 5e-4 of x P(Z < x). In PyTorch it is ``nn.GELU(approximate="tanh")``; the default there
    is the exact form.

    References
    ----------
    D. Hendrycks, K. Gimpel, "Gaussian error linear units (GELUs)", 2016.
    https://doi.org/10.48550/arXiv.1606.08415

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4).tolist()
    [-0.1588, 0.0, 0.8412]
    """
    near = ad.minimum(ad.maximum(x, -10.0), 10.0)  # beyond, tanh is flat and the cube can overflow
    cube = near * near * near
    return ad.multiply(0.5, x) * (1.0 + ad.tanh(sqrt(2 / pi) * ad.add(x, 0.044715 * cube)))


_ACTIVATIONS = {
    "tanh": ad.tanh,
    "sigmoid": ad.sigmoid,
    "relu": ad.relu,
    "gelu": gelu,
    "linear": lambda x: x,
}


def forward(params, X, *, activation="tanh"):
    """Run the network: h = activation(h W + b) layer by layer, the last one without activation.

    Parameters
    ----------
    params : list of Layer
        The layers, of arrays or of Vars.
    X : array_like or Var, shape (m, n_in)
        The inputs as rows.
    activation : {"tanh", "sigmoid", "relu", "gelu", "linear"}, default "tanh"
        What follows every layer but the last. Networks with "linear" are one affine map.

    Returns
    -------
    ndarray or Var, shape (m, n_out)
        The outputs as rows.

    Raises
    ------
    ValueError
        If shapes do not multiply, an entry is not finite, or the activation is not known.
    TypeError
        If `params` or `X` does not hold real numbers.

    Notes
    -----
    Lists, integers and booleans are promoted to float64.

    Examples
    --------
    >>> params = [Layer(np.eye(2), np.zeros(2)), Layer(np.ones((2, 1)), np.zeros(1))]
    >>> forward(params, [[1, -2]], activation="relu")
    array([[1.]])
    """
    f = _ACTIVATIONS[_validate.choice(activation, "activation", _ACTIVATIONS)]
    layers = _layers(params)
    h = _inputs(X, layers[0].W)
    for W, b in layers[:-1]:
        h = f(ad.affine(h, W, b))
    return ad.affine(h, *layers[-1])


# Losses


def mse(pred, y):
    """Return the mean over all entries of (pred - y)^2.

    Parameters
    ----------
    pred : array_like or Var, shape (m, n_out)
        The outputs of the network.
    y : array_like or Var, of the shape of pred
        The targets. Lists, integers and booleans are promoted to float64.

    Returns
    -------
    float or Var
        The loss, in squared units of y.

    Raises
    ------
    ValueError
        If the shapes differ, even where NumPy would broadcast: (m, 1) minus (m,) is (m, m).

    Notes
    -----
    The mean is over m n_out numbers, as in PyTorch's ``nn.MSELoss``. With one output the gradient
    with respect to pred is 2 (pred - y) / m.

    Examples
    --------
    >>> mse([[1.0], [2.0]], [[1.0], [4.0]])
    2.0
    """
    pred, y = _finite(pred, "pred"), _finite(y, "y")
    if pred.shape != y.shape:
        raise ValueError(
            f"pred and y must have the same shape, got {pred.shape} and {y.shape}; "
            + ("use y.reshape(pred.shape)" if pred.size == y.size else "give one target an output")
        )
    return ad.mean((pred - y) ** 2)


def cross_entropy(logits, labels):
    """Return the mean of -log p[label], p = softmax(logits): log(sum of e^z) - z[label].

    Parameters
    ----------
    logits : array_like or Var, shape (m, classes)
        The outputs z of the network, any real numbers. Not probabilities: softmax is done here.
    labels : array_like of int, shape (m,)
        The class of each row, from 0 to classes - 1. Booleans are classes 0 and 1.

    Returns
    -------
    float or Var
        The loss, in nats. log(classes) is what equal probabilities score.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a label is not an integer or out of range.

    Notes
    -----
    `autodiff.logsumexp` does not overflow. The gradient with respect to the logits is
    (p - one-hot label) / m. PyTorch's ``nn.CrossEntropyLoss`` is the same function.

    Examples
    --------
    >>> round(cross_entropy([[2.0, 0.0], [0.0, 0.0]], [0, 1]), 4)
    0.41
    """
    logits = _finite(logits, "logits")
    if len(logits.shape) != 2:
        raise ValueError(f"logits must have shape (m, classes), got {logits.shape}; use reshape")
    m, classes = logits.shape
    labels = _labels(labels, m, classes)
    return ad.mean(ad.logsumexp(logits, 1) - logits[np.arange(m), labels])


def _labels(labels, m, classes):
    """Return the labels as an array of int, shape (m,), each from 0 to classes - 1."""
    try:
        labels = np.asarray(_validate.unmasked(labels, "labels"))
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(
            f"labels must have shape {(m,)} for logits of shape {(m, classes)}, got rows of "
            "unequal length; give one class for each row"
        ) from None
    if labels.shape != (m,):
        way = "argmax(axis=1)" if labels.shape == (m, classes) else "ravel()"
        raise ValueError(
            f"labels must have shape {(m,)} for logits of shape {(m, classes)}, got "
            f"{labels.shape}; for labels as a column or one-hot rows use labels.{way}"
        )
    if labels.dtype.kind not in "biu":
        raise ValueError(
            f"labels must be integers, got {_validate.show(labels)} ({labels.dtype}); "
            "use labels.astype(int) if they are whole numbers"
        )
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        raise ValueError(
            f"labels must lie from 0 to {classes - 1} for logits of shape {(m, classes)}, got "
            f"{labels[bad][0]} at index {np.argmax(bad)}; count classes from 0"
        )
    return labels.astype(int)


# All parameters as one vector


def flatten(params):
    """Write all parameters in one vector: W of layer 1 row by row, its b, W of layer 2, ...

    Parameters
    ----------
    params : list of Layer
        The layers, of arrays or of Vars.

    Returns
    -------
    theta : ndarray or Var, shape (p,)
        A copy of the parameters.
    unflatten : callable
        Maps a vector of this length, array or Var, back to a list of layers. Layers of arrays are
        copies.

    Raises
    ------
    ValueError, TypeError
        As `forward`; from `unflatten`, if the vector has another length.

    Examples
    --------
    >>> theta, unflatten = flatten([Layer([[1, 2]], [3, 4])])
    >>> theta
    array([1., 2., 3., 4.])
    >>> unflatten(10 * theta)
    [Layer(W=array([[10., 20.]]), b=array([30., 40.]))]
    """
    layers = _layers(params)
    cut, p = _cut(layers), sum(part.size for layer in layers for part in layer)

    def unflatten(theta):
        theta = _finite(theta, "theta")
        if theta.shape != (p,):
            raise ValueError(
                f"theta must have shape {(p,)}, got {theta.shape}; "
                "use the vector that flatten gives for these layers"
            )
        return cut(theta.copy() if isinstance(theta, np.ndarray) else theta)

    theta = ad.concatenate([part.reshape(-1) for layer in layers for part in layer])
    return theta, unflatten


def _cut(layers):
    """Give the function that cuts a vector, array or Var, into layers of these shapes."""
    shapes = [part.shape for layer in layers for part in layer]
    ends = np.cumsum([prod(shape) for shape in shapes]).tolist()
    places = [slice(*ends) for ends in pairwise([0, *ends])]

    def cut(theta):
        parts = [
            theta[place] if len(shape) == 1 else theta[place].reshape(shape)
            for place, shape in zip(places, shapes, strict=True)
        ]
        return [Layer(W, b) for W, b in zip(parts[::2], parts[1::2], strict=True)]

    return cut


def loss_and_grad(loss, params, X, y):
    """Return a loss and its gradient, layer by layer, whether they are finite or not.

    Parameters
    ----------
    loss : callable
        ``loss(params, X, y)``, a number, as in `train`.
    params : list of Layer
        The network, finite.
    X, y : array_like
        The data, as the loss takes them.

    Returns
    -------
    value : float
        The loss.
    slopes : list of Layer
        dL/dW and dL/db of each layer, of the shapes of W and b; 0 for what the loss does not use.

    Raises
    ------
    TypeError
        If `loss` is not a function, or does not give a Var when params hold Vars.
    ValueError
        If the loss is not one number.

    Examples
    --------
    >>> def loss(params, X, y):
    ...     return mse(forward(params, X), y)
    >>> value, slopes = loss_and_grad(loss, [Layer([[2.0]], [0.0])], [[1.0]], [[5.0]])
    >>> value, slopes[0].W.tolist()
    (9.0, [[-6.0]])
    """
    if not callable(loss):
        raise TypeError(f"loss must be a function of params, X and y, got {loss!r}")
    layers = [Layer(*map(ad.Var, layer)) for layer in params]
    with np.errstate(all="ignore"):
        out = loss(layers, X, y)
    if not isinstance(out, ad.Var):
        raise TypeError(
            f"loss must give a Var when params hold Vars, got {type(out).__name__}; end it with "
            "return, and compute it from params without .value or stop_gradient"
        )
    if out.shape:
        raise ValueError(
            f"loss must give one number, got shape {out.shape}; end it with mse, cross_entropy or "
            "a mean"
        )
    slopes = ad.backward(out, inner=False)
    return out.value, [
        Layer(*(slopes[x] if x in slopes else np.zeros(x.shape) for x in layer)) for layer in layers
    ]


# Training


class _NotFiniteError(ValueError):
    """A step of training met a number that is not finite; the text says where."""


_NOT_TWICE = "a loss that is not the same twice"  # a random one: run again it is finite


@dataclass(frozen=True, eq=False, repr=False)
class TrainResult:
    """What training found and how it got there.

    Parameters
    ----------
    params : list of Layer
        The parameters at the end. After a divergence those of the last epoch with a finite loss.
    losses : ndarray, shape (epochs + 1,)
        The loss over all data, at the start and after each epoch. ``losses[-1]`` is that of
        `params`; all are finite.
    status : {"finished", "diverged"}
        Whether all epochs were run.
    message : str
        A sentence: what happened, where, and what to try.
    epochs : int
        The number of epochs behind `params`.
    steps : int
        The number of steps behind `params`.
    optimizer : Optimizer
        The optimizer that ran.
    state : named tuple
        Its state after the last step; hand it to `train` to go on.

    Examples
    --------
    >>> params = [Layer([[0.0]], [0.0])]
    >>> def loss(params, X, y):
    ...     return mse(forward(params, X), y)
    >>> from calclib.optimizers import sgd
    >>> train(params, loss, ([[1.0]], [[1.0]]), sgd(0.1), epochs=3)
    TrainResult(finished after 3 epochs, loss 1 -> 0.04666)
    """

    params: list
    losses: np.ndarray
    status: str
    message: str
    epochs: int
    steps: int
    optimizer: Optimizer
    state: Any

    @property
    def success(self):
        """Whether all epochs were run."""
        return self.status == _FINISHED

    def __repr__(self):
        first, last = self.losses[[0, -1]]
        done = f"{self.status} after {_count(self.epochs)}"
        return f"TrainResult({done}, loss {first:.4g} -> {last:.4g})"


def train(
    params,
    loss,
    data,
    optimizer,
    *,
    epochs,
    batch_size=None,
    rng=None,
    state=None,
    callback=None,
    progress=None,
):
    """Train a network: theta = theta + step, the step from the gradient on a batch of rows.

    Parameters
    ----------
    params : list of Layer
        The start. It is not changed.
    loss : callable
        ``loss(params, X, y)``, a number, as
        ``lambda params, X, y: mse(forward(params, X), y)``.
    data : tuple of array_like
        X, shape (m, n_in), and y with m rows or entries. Integers in X are promoted to float64; y
        keeps its kind, because labels are integers.
    optimizer : Optimizer
        The rule for the steps, as `optimizers.sgd` makes it. Its x is read-only: an
        update in place raises an error, for the parameters that are kept would change with it.
    epochs : int
        How many passes over the data, at least 1.
    batch_size : int, optional
        How many rows make a step. By default all, so an epoch is one step. Otherwise each epoch
        takes the rows in a new random order; if m is not a multiple, its last batch is smaller.
    rng : numpy.random.Generator, optional
        Where the orders come from. Needed with `batch_size`.
    state : named tuple, optional
        The optimizer's state to go on from, as in ``result.state``. By default a new one.
    callback : callable, optional
        Called as ``callback(epoch, params, value)`` at the start, epoch 0, and after every epoch,
        with copies of the parameters and the loss over all data.
    progress : bool, optional
        Write a line of progress to standard error, once a run takes longer than a second. By
        default only if that is a terminal, so never into a notebook.

    Returns
    -------
    TrainResult
        With status "finished" or "diverged".

    Raises
    ------
    ValueError
        If shapes do not fit, data or parameters are not finite, the loss has a shape or is not
        finite at the start, a number is out of its range, or the optimizer changes x in place.
    TypeError
        If an argument is of the wrong kind, mini-batches have no `rng`, or the loss does not
        depend on the parameters.

    Notes
    -----
    The gradient comes from `autodiff.backward`, with a Var for each W and b. For a loss that is a
    mean over the rows, the gradient on a random batch has the full gradient as its expectation. A
    smaller last batch counts as a step like the others, so its rows weigh more.

    Training has diverged when a value, a gradient or a step is not finite. The message names the
    epoch and the place where this is seen first, on the way forward or back. To find it the loss is
    run again, so of a random loss, where that run is finite, the message cannot name the place.

    On Linux (glibc) `train` changes the allocator of the whole process: from then on it keeps freed
    arrays of up to 32 MB for the next ones, which makes steps faster.

    References
    ----------
    H. Robbins, S. Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22
    (1951), 400-407. https://doi.org/10.1214/aoms/1177729586

    Examples
    --------
    >>> from calclib.optimizers import sgd
    >>> X = np.linspace(-1, 1, 100)[:, None]
    >>> params = init_params([1, 16, 16, 1], rng=np.random.default_rng(0), scheme="xavier")
    >>> def loss(params, X, y):
    ...     return mse(forward(params, X), y)
    >>> result = train(params, loss, (X, X**2), sgd(0.1), epochs=100)
    >>> result.status, bool(result.losses[-1] < np.var(X**2))
    ('finished', True)
    """
    theta, unflatten = flatten(params)
    layers = unflatten(theta)
    X, y = _data(data)
    epochs = _validate.positive_int(epochs, "epochs")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be an Optimizer, as sgd(0.1) makes it, got {optimizer!r}; "
            "call it with its learning rate"
        )
    batches = _batches(X, y, batch_size, rng)
    value, value_and_grad = _measures(loss, unflatten, _cut(layers))
    measure = value_and_grad if batch_size is None else value  # all rows: g serves the next step
    show = _progress_line(progress, epochs)
    _keep_freed_memory()

    _check_start(loss, unflatten, theta, X, y)
    try:
        full, g = measure(theta, X, y)
    except _NotFiniteError as where:
        raise _bad_start(where) from None
    theta = _fixed(theta)
    state = optimizer.init(theta) if state is None else state
    losses, steps, trouble = [full], 0, None
    _report(callback, 0, unflatten, theta, full)
    for epoch in range(1, epochs + 1):
        kept = theta, state, steps
        try:
            for batch in batches():
                if batch_size is not None:
                    _, g = value_and_grad(theta, *batch)
                with np.errstate(all="ignore"):
                    step, state = _step(optimizer, g, state, theta)
                    theta = _moved(theta, step, layers)
                steps += 1
            full, g = measure(theta, X, y)
        except _NotFiniteError as where:
            trouble = (
                f"Diverged in epoch {epoch}: the first number that is not finite is in {where}. "
                f"{_largest(theta, layers)}"
            )
            theta, state, steps = kept
            break
        losses.append(full)
        _report(callback, epoch, unflatten, theta, full)
        show(epoch, full)
    show(epochs, full)

    return TrainResult(
        params=unflatten(theta),
        losses=np.array(losses),
        status=_DIVERGED if trouble else _FINISHED,
        message=_message(trouble, losses),
        epochs=len(losses) - 1,
        steps=steps,
        optimizer=optimizer,
        state=state,
    )


def _keep_freed_memory():
    """Free one array of nearly 32 MB that nobody has touched.

    The memory allocator of Linux (glibc) hands larger arrays back to the system when they are
    freed, and each step asks for them again. It stops doing so for arrays up to the largest, of at
    most 32 MB, that it has seen freed: see "dynamic mmap threshold" in mallopt(3). Elsewhere this
    does nothing.
    """
    np.empty(2**22 - 2**10)


def _batches(X, y, size, rng):
    """Give the function that deals all rows out once: as they are, or in a new random order."""
    m = len(X)
    if rng is not None or size is not None:
        _validate.generator(rng)
    if size is None:
        return lambda: [(X, y)]
    size = _validate.positive_int(size, "batch_size")
    if size > m:
        raise ValueError(
            f"batch_size must be at most the number of rows, {m}, got {size}; "
            "use batch_size=None for all rows in each step"
        )

    def deal():
        order = rng.permutation(m)
        for first in range(0, m, size):
            rows = order[first : first + size]
            yield _fixed(X[rows]), _fixed(y[rows])

    return deal


def _measures(loss, unflatten, cut):
    """Give two functions of theta, X and y: the loss, and the loss with its gradient.

    What is not finite there is raised as `_NotFiniteError`. To say where, the loss is run again.
    """

    def value(theta, X, y):
        with np.errstate(all="ignore"):
            return _number(loss(unflatten(theta), X, y), theta), None

    def value_and_grad(theta, X, y):
        out, slopes = loss_and_grad(loss, cut(theta), X, y)
        g = np.concatenate([part.reshape(-1) for layer in slopes for part in layer])
        if not np.isfinite(g).all():
            raise _NotFiniteError(_NOT_TWICE)
        return _number(out, theta), g

    def guarded(measure):
        def at(theta, X, y):
            try:
                return measure(theta, X, y)
            except (ValueError, ArithmeticError) as caught:
                error = caught
            where = _first_not_finite(loss, unflatten(theta), X, y)
            if where is None and " must be finite, got " in str(error):  # say forward and mse
                where = _NOT_TWICE
            raise _NotFiniteError(where) if where else error

        return at

    return guarded(value), guarded(value_and_grad)


def _number(value, theta):
    """Return the value of a loss, if it is finite."""
    if type(value) is float and isfinite(value):
        return value
    if np.asarray(value).dtype.kind in "fc" and not np.isfinite(value).all():
        raise _NotFiniteError(_NOT_TWICE)
    return float(_validate.finite(value, theta, "loss"))


def _check_start(loss, unflatten, theta, X, y):
    """Refuse a loss that is no number, knows nothing of params, or is not finite at the start."""
    loss_and_grad(loss, unflatten(theta), X, y)
    where = _first_not_finite(loss, unflatten(theta), X, y)
    if where:
        raise _bad_start(where)


def _bad_start(where):
    return ValueError(
        f"the loss and its gradient must be finite at the start, but {where} is not; "
        "use smaller parameters, or scale X"
    )


def _step(optimizer, g, state, theta):
    """Return the optimizer's step and state."""
    try:
        return optimizer.update(g, state, theta)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(
            f"{optimizer} must not change x, which is read-only, in place: {error}; let update "
            "return the step, as in return -rate * g, state"
        ) from error


def _moved(theta, step, layers):
    """Return theta + step, if it is finite."""
    if np.shape(step) != theta.shape:
        raise ValueError(
            f"the step must have the shape of theta, {theta.shape}, got {np.shape(step)}; "
            "check the optimizer"
        )
    theta = theta + step
    if not np.isfinite(theta).all():
        raise _NotFiniteError(f"the step of {_block(layers, np.argmin(np.isfinite(theta)))}")
    return _fixed(theta)


def _first_not_finite(loss, layers, X, y):
    """Say where a number stops being finite, on the way forward or back; None if all are."""
    names = [name for name, _ in _blocks(layers)]
    named = [ad.Var(part, name=name) for name, part in _blocks(layers)]
    with np.errstate(all="ignore"):
        out = loss([Layer(*pair) for pair in zip(named[::2], named[1::2], strict=True)], X, y)
        if not isinstance(out, ad.Var) or out.shape:
            return None
        rows = ad.tape(out, ad.backward(out))

    depth, places = {}, {}  # depth: the last layer that a number has come through
    for row in rows:
        used = [name for name in row.parents if name in names]
        depth[row.name] = max((depth.get(name, 0) for name in row.parents), default=0)
        if row.name in names:
            depth[row.name] = 1 + names.index(row.name) // 2
        place = f"behind layer {depth[row.name]}" if depth[row.name] else "before any layer"
        places[row.name] = f"of {row.name}" if row.name in names else place
        if not np.isfinite(row.value).all():
            return f"{row.operation} {f'of {used[0]}' if used else place}"

    # of the deepest the newest: its gradient came back from nothing that is not finite
    broken = [row.name for row in reversed(rows) if not np.isfinite(row.adjoint).all()]
    return f"the gradient {places[max(broken, key=depth.get)]}" if broken else None


def _blocks(layers):
    """Yield each block of parameters and its name, in the order of theta."""
    for k, (W, b) in enumerate(layers, start=1):
        yield f"layer {k}, W", W
        yield f"layer {k}, b", b


def _block(layers, index):
    """Return the name of the block that an entry of theta belongs to."""
    for name, part in _blocks(layers):
        if index < part.size:
            return name
        index -= part.size


def _largest(theta, layers):
    top = np.argmax(np.abs(theta))
    size = abs(theta[top])
    return f"The largest parameter was then {size:.2g} in size, in {_block(layers, top)}."


def _message(trouble, losses):
    done = _count(len(losses) - 1)
    if trouble is None:
        return (
            f"Finished {done}: the loss went from {losses[0]:.4g} to {losses[-1]:.4g}. "
            "Compare it with what a constant prediction scores."
        )
    return (
        f"{trouble} Kept are the parameters after {done}. Try a smaller learning rate, or clip "
        "the gradients."
    )


def _count(epochs):
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def _report(callback, epoch, unflatten, theta, value):
    if callback is not None:
        callback(epoch, unflatten(theta), value)


def _progress_line(progress, epochs):
    """Give a function that keeps one line on a terminal up to date, or one that does nothing."""
    if not (progress is None or isinstance(progress, bool | np.bool_)):
        raise TypeError(
            f"progress must be True, False or None, got {progress!r}; leave it out for a line on "
            "terminals alone"
        )
    if not (sys.stderr.isatty() if progress is None else progress):
        return lambda epoch, value: None
    start = shown = time.monotonic()

    def show(epoch, value):
        nonlocal shown
        now = time.monotonic()
        if epoch == epochs:
            sys.stderr.write("\r\x1b[K" if shown > start else "")  # leaves the line empty
        elif now - start > 1 and now - shown > 0.1:
            bar = "#" * (30 * epoch // epochs)
            sys.stderr.write(f"\r[{bar:<30}] epoch {epoch} of {epochs}, loss {value:<12.4g}")
            sys.stderr.flush()
            shown = now

    return show


# The door


def _finite(value, name):
    """Return what is traced as it is, and anything else as a finite array of float64.

    An array that is one already is not copied: nothing here writes into an array.
    """
    if isinstance(value, ad.Var):
        return value
    if _validate.is_plain(value) and value.size:
        return value
    if ad.stop_gradient(value) is not value:  # traced for another purpose
        return value
    return _validate.real(value, name)


def _layers(params):
    """Return the layers, each block finite, their shapes in a chain."""
    try:
        pairs = None if isinstance(params, Layer) else [(W, b) for W, b in params]
    except (TypeError, ValueError):
        pairs = None
    if not pairs:
        raise TypeError(
            f"params must be a list of Layer(W, b), got {type(params).__name__}; use init_params, "
            "[layer] for a single layer, unflatten(theta) for a vector"
        )
    layers = []
    for k, (W, b) in enumerate(pairs, start=1):
        W, b = _finite(W, f"layer {k}, W"), _finite(b, f"layer {k}, b")
        shape = W.shape
        if len(shape) != 2 or b.shape != shape[1:]:
            raise ValueError(
                f"layer {k} must have W of shape (n_in, n_out) and b of shape (n_out,), got "
                f"{shape} and {b.shape}; use W.T if n_out comes first, b.ravel() for a row"
            )
        if layers and shape[0] != layers[-1].W.shape[1]:
            raise ValueError(
                f"W of layer {k - 1} and layer {k} must multiply, got shapes "
                f"{layers[-1].W.shape} and {shape}; n_out of one is n_in of the next"
            )
        layers.append(Layer(W, b))
    return layers


def _inputs(X, W):
    """Return the inputs, finite, of a shape that multiplies with W of layer 1."""
    X = _finite(X, "X")
    if len(X.shape) != 2:
        raise ValueError(
            f"X must have shape (m, n_in), got {X.shape}; use X.reshape(-1, {W.shape[0]})"
        )
    if X.shape[1] != W.shape[0]:
        raise ValueError(
            f"X and W of layer 1 must multiply, got shapes {X.shape} and {W.shape}; "
            "X has a row for each example"
        )
    return X


def _data(data):
    """Return X and y as arrays of their own, which nobody can change."""
    try:
        X, y = data
    except (TypeError, ValueError):
        raise TypeError(
            f"data must be the pair (X, y), got {type(data).__name__}; write (X, y)"
        ) from None
    X, floats = _validate.real(X, "X"), _validate.real(y, "y")
    y = np.array(y)
    y = y if y.dtype.kind in "biu" else floats
    if X.ndim == 0 or y.shape[:1] != X.shape[:1]:
        raise ValueError(
            f"X and y must have the same number of rows, got shapes {X.shape} and {y.shape}; "
            "give a row of X and an entry or row of y for each example"
        )
    return _fixed(X), _fixed(y)


def _fixed(x):
    x.setflags(write=False)
    return x
