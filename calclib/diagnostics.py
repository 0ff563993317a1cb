"""Diagnostics: what is wrong with a gradient, a network or a run, in numbers and in words.

Vocabulary
----------
finding     a sentence that names what was seen, where, and what to try; no finding is good news
g           the gradient to be checked; c a central difference, the number to check it by
left, right the slopes (f(x) - f(x - h)) / h and (f(x + h) - f(x)) / h
gap         right - left: about h f''(x) where f is smooth, the size of the bend at a kink
params, X, y, loss      as in `calclib.nn`
G, G_B      the gradient over all rows, and over B rows drawn at random

A diagnosis never fails because the patient is ill: NaN, no parameters and no rows are findings.
Misuse raises, as everywhere: wrong shapes, a loss that is no function.
A constant added to the loss changes no verdict, up to rounding: losses may be negative. `explain`
has one exception.
Thresholds are powers of ten or simple shares. Where the docstring names no source for one, it is
this book's choice, tried on runs that are healthy and on runs made sick on purpose.
"""

from collections.abc import Mapping
from itertools import pairwise
from math import copysign, hypot, inf, isfinite, nan, prod
from typing import NamedTuple

import numpy as np

from calclib import _validate, descent, nn
from calclib import autodiff as ad
from calclib._length import length
from calclib.optimizers import Optimizer, sgd

_EPS = np.finfo(float).eps
_ROUNDING = 4 * _EPS  # of the size of a value: how far its last digits are believed to be off


# A gradient against differences

_POWERS = range(2, 13)  # the steps: 1e-2 to 1e-12
_SHARP = 0.01  # a slope can be told if its doubt is at most this share of it
_LOUD = 100  # no rounding is this many times louder than _ROUNDING
_KEPT = 0.5, 5.0  # what a kink keeps of its gap from step to step; a smooth gap falls to 0.1 ...
_BENT = 4  # ... at so many steps in a row
_STEADY = 1.1, 6  # a jump is the same within this factor, at so many steps in a row


class Kink(NamedTuple):
    """A coordinate in which the function has no slope, but a kink or a jump.

    Parameters
    ----------
    name : str
        The entry, as in "x[3]".
    left, right : float
        The slopes on its two sides, infinite where they grow without end. At a jump, the changes
        of the function on the two sides.

    Examples
    --------
    >>> print(check_grad(abs, np.sign, 0.0).kinks[0])
    kink at x: left slope -1, right slope 1
    """

    name: str
    left: float
    right: float

    def __str__(self):
        return f"kink at {self.name}: left slope {self.left:.4g}, right slope {self.right:.4g}"


class _Jump(Kink):
    def __str__(self):
        return (
            f"jump at {self.name}: fun changes by {self.left:.4g} before it, by {self.right:.4g} "
            "behind it"
        )


class BlockCheck(NamedTuple):
    """How one block of a gradient did.

    Parameters
    ----------
    status : {"ok", "cannot tell", "kink", "wrong", "not finite"}
        As in `GradCheck`.
    worst : str
        The entry that decided this.
    error : float
        Its relative error, beyond what rounding explains.

    Examples
    --------
    >>> check = check_grad(lambda x: x @ x, lambda x: 2 * x, [1.0, 2.0])
    >>> check.blocks["x"].status
    'ok'
    """

    status: str
    worst: str
    error: float


class GradCheck(NamedTuple):
    """What `check_grad` found.

    Parameters
    ----------
    status : {"ok", "cannot tell", "kink", "wrong", "not finite", "empty"}
        The last of these that an entry has; "empty" if there is none.
    message : str
        A sentence with the worst entry, or with the kinks.
    worst : str
        The entry that decided the status: among equals, the one with the largest error.
    error : float
        Its relative error, beyond what rounding explains; infinite if it is not finite.
    blocks : dict of str to BlockCheck
        The same for each block.
    kinks : tuple of Kink
        The coordinates without a slope.

    Examples
    --------
    >>> check_grad(lambda x: x @ x, lambda x: [x[0], 2 * x[1]], [3.0, 4.0])
    GradCheck(wrong: worst at x[0], gradient 3 against difference 6, relative error 0.5)
    """

    status: str
    message: str
    worst: str
    error: float
    blocks: dict
    kinks: tuple

    def __repr__(self):
        return f"GradCheck({self.message})"


def check_grad(fun, grad, x, *, blocks=None, tol=1e-6):
    r"""Compare a gradient with central differences, entry by entry: \|g - c\| / max(\|g\|, \|c\|).

    Parameters
    ----------
    fun : callable
        The function, from x to a number.
    grad : callable
        The gradient to be checked, from x to the shape of x.
    x : float or array_like, shape (n,)
        The point.
    blocks : dict of str to shape, or list of Layer, optional
        How x is made up, in order: ``{"W": (2, 3), "b": 3}``, or the layers that `nn.flatten`
        wrote into x, which are called "layer 1, W" and so on. By default one block, "x".
    tol : float, default 1e-6
        An entry is wrong if its relative error is above this.

    Returns
    -------
    GradCheck
        With the status of the whole, of each block, and the kinks.

    Raises
    ------
    ValueError
        If grad has another shape than x; if fun is no number or differs from call to call; if the
        blocks do not fill x.
    TypeError
        If fun or grad is no function; if fun returns narrower floats than float64, such as float32;
        if the blocks are no shapes.

    Notes
    -----
    For each coordinate the step goes down from 1e-2 max(1, \|x\|) in powers of ten. It stops at
    1e-12, or where neither the gap nor the change to the step before counts: against tol times the
    slope, or twice the rounding, 4 eps max(\|f\|, \|x c\|) / h. This takes 4 to 22 values of fun.

    Believed is the difference with the least doubt: twice its change to the next step, or twice
    what smaller steps clearly say against it; four times the rounding; half of a gap that is not
    seen to fall; the rounding of x times the curvature. An error counts only beyond the doubt. So
    tiny gradients, steep functions and kinks beside x need no other tol.

    An entry cannot be told if its doubt is above a hundredth of both the gradient and the
    difference, as in a layer whose gradient has vanished below the digits of fun; nor if fun seems
    to compute in float32: it moves on both sides with the first step, by no bit with the last, and
    all its values fit into float32. Two zeros can be told all the same: at a flat point, where both
    are within a doubt that is below tol times the slope one step away; and of a dead unit, where
    the gradient is exactly 0 and fun does not move by a bit, if another entry of its block can be
    told, or if fun does not move at all.

    A coordinate has a kink if over four steps the gap, above twice the rounding, keeps half of its
    size from each to the next, and no smaller step is clear of it: where f is smooth it falls to a
    tenth. It has a jump if fun changes on one side by the same, within a tenth, at the last six
    steps, and on the other side by as little or as steadily. Whatever the gradient is there, it is
    neither passed nor failed. A kink about as near to x as the smallest step cannot be told.

    Not finite are an x, a fun or an entry of the gradient with NaN or Inf, and an entry beside
    which fun is finite on both sides for less than two steps.

    With central differences, errors below 1e-7 are good and those above 1e-2 usually mistakes,
    say the course notes; kinks crossed by the step are the main reason for what lies between. The
    other thresholds are this book's.

    References
    ----------
    A. Karpathy et al., CS231n course notes, "Gradient checks".
    https://cs231n.github.io/neural-networks-3/

    Examples
    --------
    >>> check_grad(lambda x: x[0] ** 2 * x[1], lambda x: [2 * x[0] * x[1], x[0] ** 2], [1.0, 3.0])
    GradCheck(ok: worst at x[0], relative error 0)
    >>> check_grad(lambda x: abs(x).sum(), np.sign, [1.0, 0.0])
    GradCheck(kink at x[1]: left slope -1, right slope 1)
    """
    holes = _holes(x)
    if not holes.size:
        return GradCheck("empty", _EMPTY, "", 0.0, {}, ())
    x = _validate.point(np.where(holes, 0.0, x) if holes.any() else x)
    tol = _validate.positive(_validate.number(tol, "tol"), "tol")
    names = _entry_names(blocks, x)
    at = _numbers(fun)
    f = nan if holes.any() else at(x)
    if not isfinite(f):
        return _nowhere(names, np.flatnonzero(holes), f)
    if at(x) != f:
        raise ValueError(
            "fun must give the same value each time, got two values at the same x; switch dropout "
            "off, or draw the batch once, before the check"
        )
    g = _claims(grad, x)
    rows = []
    for k, (block, name) in enumerate(names):
        claim = float(g.flat[k])
        slope = _slope(at, f, x, k, name, tol) if isfinite(claim) else None
        rows.append(_Entry(block, name, claim, slope, *_judge_entry(claim, slope, tol)))
    told = {row.block for row in rows if row.status in ("ok", "wrong")}
    if all(row.status == "still" for row in rows):
        told = {row.block for row in rows}
    for k, row in enumerate(rows):
        if row.status == "still":
            rows[k] = row._replace(status="ok" if row.block in told else "cannot tell")
    worst = max(rows, key=_rank)
    each = {
        block: BlockCheck(top.status, top.name, top.error)
        for block in dict.fromkeys(row.block for row in rows)
        for top in [max((row for row in rows if row.block == block), key=_rank)]
    }
    kinks = tuple(row.slope for row in rows if row.status == "kink")
    return GradCheck(worst.status, _words(worst, rows), worst.name, worst.error, each, kinks)


_STATUSES = ("ok", "cannot tell", "kink", "wrong", "not finite")


class _Slope(NamedTuple):
    """A slope known to within a doubt; steepest is that of one side at the largest step."""

    value: float
    doubt: float
    steepest: float


class _Entry(NamedTuple):
    block: str
    name: str
    claim: float
    slope: _Slope | Kink | None
    status: str
    error: float


def _rank(row):
    return _STATUSES.index(row.status), row.error


def _holes(x):
    """Mark the entries of x that are NaN or infinite; what is no array of floats has none."""
    try:
        array = np.asarray(x)
    except ValueError:  # ragged
        return np.zeros(1, dtype=bool)
    return ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=bool)


def _nowhere(names, holes, f):
    """Give the finding of an x that is not finite, or else of such a fun."""
    ill = [names[k][1] for k in holes] or [names[0][1]]
    more = f", and {len(ill) - 1} more" if len(ill) > 1 else ""
    place = f"x at {ill[0]}{more}" if len(holes) else f"fun is {f} at x"
    entries = {}
    for block, name in names:
        entries.setdefault(block, []).append(name)
    blocks = {
        block: BlockCheck("not finite", next((a for a in each if a in ill), each[0]), inf)
        for block, each in entries.items()
    }
    message = f"not finite: {place}; move to a point where fun and its surroundings are defined"
    return GradCheck("not finite", message, ill[0], inf, blocks, ())


def _judge_entry(claim, slope, tol):
    """Give status and error of an entry; "still" is a 0 where fun does not move by a bit."""
    if slope is None:
        return "not finite", inf
    if isinstance(slope, Kink):
        return "kink", 0.0
    size = max(abs(claim), abs(slope.value))
    excess = max(abs(claim - slope.value) - slope.doubt, 0.0)
    error = excess / size if excess else 0.0
    if error > tol:
        return "wrong", error
    is_flat = size <= slope.doubt <= tol * slope.steepest
    if slope.doubt <= _SHARP * size or is_flat:
        return "ok", error
    return ("cannot tell" if claim or slope.steepest else "still"), error


def _words(worst, rows):
    """Say what was found in a sentence."""
    alike = [row for row in rows if row.status == worst.status]
    shown = alike[:3] if worst.status == "kink" else [worst]
    more = len(alike) - len(shown)
    others = f", and {more} more" if more else ""
    if worst.status == "kink":
        return "; ".join(str(row.slope) for row in shown) + others
    if worst.status == "not finite" and isfinite(worst.claim):
        return (
            f"not finite: fun beside {worst.name}{others}, no two steps on both sides have values "
            "there; move to a point where fun and its surroundings are defined"
        )
    if worst.status == "not finite":
        return (
            f"not finite: gradient {worst.claim} at {worst.name}{others}; look for the first NaN "
            "or Inf on the way back"
        )
    pair = f"gradient {worst.claim:.4g} against difference {worst.slope.value:.4g}"
    if worst.status == "cannot tell":
        return (
            f"cannot tell at {worst.name}: {pair}, in doubt by {worst.slope.doubt:.2g}{others}; "
            "rounding hides the slope, or it changes too fast: compute in float64, subtract a "
            "constant from fun, or move"
        )
    if worst.status == "wrong":
        return f"wrong: worst at {worst.name}, {pair}, relative error {worst.error:.2g}"
    return f"ok: worst at {worst.name}, relative error {worst.error:.2g}"


def _numbers(fun):
    """Give fun of arrays as a function to floats, which need not be finite."""

    def at(x):
        value = _reals(fun, x, "fun")
        if value.ndim:
            raise ValueError(
                f"check_grad needs a scalar output, got shape {value.shape}; end fun in a sum or a "
                "mean, or take one entry"
            )
        if value.dtype.kind == "f" and value.dtype.itemsize < x.dtype.itemsize:
            raise TypeError(
                f"fun must compute in float64, got {value.dtype} at x={_validate.show(x)}; give "
                "all that fun computes with this precision (to convert its result is too late)"
            )
        return float(value)

    return at


def _claims(grad, x):
    """Give the gradient at x; its entries need not be finite."""
    g = _reals(grad, x, "grad")
    if g.shape != x.shape:
        raise ValueError(
            f"grad must give the shape of x, {x.shape}, got {g.shape}; check its last lines"
        )
    return g


def _reals(fun, x, name):
    """Give fun(x), real and perhaps not finite; fun may scribble on what it is given."""
    if not callable(fun):
        raise TypeError(f"{name} must be a function of x, got {fun!r}")
    given = []

    def filled(x):
        given.append(np.asanyarray(fun(x)))
        return np.nan_to_num(given[0]) if given[0].dtype.kind == "f" else given[0]

    value = _validate.evaluate(filled, x.copy() if x.ndim else x.item(), name)
    return given[0] if given[0].dtype.kind == "f" else value


def _entry_names(blocks, x):
    """List block and name of each entry of x, in order."""
    if blocks is None:
        blocks = {"x": x.shape}
    elif not isinstance(blocks, Mapping):
        try:
            layers = [(np.shape(W), np.shape(b)) for W, b in blocks]
        except (TypeError, ValueError):
            raise TypeError(
                f"blocks must map names to shapes, or be a list of Layer, got {blocks!r}; write "
                'for example {"W": (2, 3), "b": 3}'
            ) from None
        blocks = {
            f"layer {k}, {part}": shape
            for k, layer in enumerate(layers, start=1)
            for part, shape in zip("Wb", layer, strict=True)
        }
    shapes = {name: _shape(name, shape) for name, shape in blocks.items()}
    if sum(map(prod, shapes.values())) != x.size:
        raise ValueError(
            f"blocks must fill x, {x.size} numbers, got {sum(map(prod, shapes.values()))}; give "
            "the shape of each block in the order in which they stand in x"
        )
    return [
        (block, f"{block}[{', '.join(map(str, index))}]" if index else block)
        for block, shape in shapes.items()
        for index in np.ndindex(shape)
    ]


def _shape(name, shape):
    sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if (
        not all(type(n) is int or isinstance(n, np.integer) for n in sizes)
        or min(sizes, default=0) < 0
    ):
        raise TypeError(
            f"the block {name!r} must have a shape, a whole number or a tuple of them, got "
            f"{shape!r}; write for example (2, 3), or 3 for a vector"
        )
    return sizes


def _steps(at, f, x, k, tol):
    """Measure coordinate k with steps from large to small, until smaller ones tell nothing new.

    A row holds the step, the changes of fun behind and ahead of x, and what rounding may add to
    them: by the size of fun, or of what rounding x does to it.
    """
    steps = []
    for power in _POWERS:
        behind, ahead = x.copy(), x.copy()
        behind.flat[k] -= 10.0**-power * max(1.0, abs(x.flat[k]))
        ahead.flat[k] += 10.0**-power * max(1.0, abs(x.flat[k]))
        try:
            values = at(behind), at(ahead)
        except ValueError:
            continue
        if not np.isfinite(values).all():
            continue
        h = float(ahead.flat[k] - behind.flat[k]) / 2
        before, after = f - values[0], values[1] - f
        by_x = float(abs(x.flat[k])) * abs(before + after) / h / 2
        steps.append((h, before, after, _ROUNDING * max(abs(f), *map(abs, values), by_x)))
        if len(steps) > 1 and _is_settled(*steps[-2:], tol):
            break
    return steps


def _is_settled(large, small, tol):
    """Tell whether gap and change are small against the slope, or against rounding."""
    (h, a, b, _), (k, c, d, rounding) = large, small
    slope = (c + d) / k / 2
    change, gap = slope - (a + b) / h / 2, (d - c) / k
    return max(abs(change), abs(gap)) <= max(tol * abs(slope), 2 * rounding / k)


def _slope(at, f, x, k, name, tol):
    """Give the _Slope of coordinate k on which the steps agree, or the Kink; None if none has."""
    steps = _steps(at, f, x, k, tol)
    if len(steps) < 2:
        return None
    if jump := _jump(steps, name):
        return jump

    left, right, rounding = ([step[i] / step[0] for step in steps] for i in (1, 2, 3))
    c = [(a + b) / 2 for a, b in zip(left, right, strict=True)]
    gap = [b - a for a, b in zip(left, right, strict=True)]
    change = [abs(b - a) for a, b in pairwise(c)]
    steepest = max(abs(left[0]), abs(right[0]))
    changes_to_the_end = change[-1] > max(change[0], _LOUD * rounding[-1], _SHARP * abs(c[-1]))
    if changes_to_the_end or _is_narrow(f, steps):
        return _Slope(c[-1], inf, steepest)

    noise = [max(pair) for pair in zip(rounding, [*change, change[-1]], strict=True)]
    first, n = 0, len(steps)
    ends = range(_BENT, n + 1)
    bends = [i - 1 for i in ends if _is_bent(gap[i - _BENT : i], noise[i - _BENT : i])]
    if bends:
        last = bends[-1]
        first = next((j for j in range(last + 1, n) if _is_beside(c, gap, noise, j, last)), n)
        if n - first < 2:
            i = min(bends, key=lambda i: abs(gap[i] - gap[i - 1]) + rounding[i])
            sides = (_limit(side[i - 1], side[i], rounding[i]) for side in (left, right))
            return Kink(name, *sides)

    def doubt(i):
        against = (abs(c[i] - c[j]) - 4 * noise[j] for j in range(i + 2, n))
        return 2 * max(change[i], *against, 0.0) + 4 * rounding[i]

    best = min(range(first, n - 1), key=doubt)
    seen = [i for i in range(first + 1, n) if abs(gap[i]) > 2 * noise[i]]
    falls = seen and abs(gap[seen[-1]]) < _KEPT[0] * abs(gap[seen[-1] - 1])
    hidden = 0.0 if falls else min(abs(gap[i]) + 2 * noise[i] for i in range(first, n)) / 2
    by_x = _ROUNDING * float(abs(x.flat[k])) * abs(gap[first]) / steps[first][0]
    return _Slope(c[best], doubt(best) + hidden + by_x, steepest)


def _is_narrow(f, steps):
    """Tell whether fun moves on both sides, then by no bit, and float32 holds all its values."""
    values = np.array([(f - before, f + after) for _, before, after, _ in steps])
    with np.errstate(over="ignore"):
        fits = (values == np.float32(values)).all()
    return fits and all(steps[0][1:3]) and not any(steps[-1][1:3])


def _jump(steps, name):
    """Give the jump if fun changes by the same at many steps, and else by next to nothing."""
    factor, many = _STEADY
    sizes = np.abs([step[1:3] for step in steps[-many:]])
    if len(sizes) < many:
        return None
    steady = (sizes.max(axis=0) < factor * sizes.min(axis=0)) & (
        sizes.min(axis=0) > _LOUD * steps[-1][3]
    )
    settled = steady | (sizes[-1] < (factor - 1) * sizes[-1].max())
    return _Jump(name, *steps[-1][1:3]) if steady.any() and settled.all() else None


def _is_bent(gaps, noises):
    """Tell whether the gap is clear of noise and keeps its size from step to step."""
    clear = all(abs(gap) > 2 * noise for gap, noise in zip(gaps, noises, strict=True))
    return clear and all(_KEPT[0] < b / a < _KEPT[1] for a, b in pairwise(gaps))


def _is_beside(c, gap, noise, j, k):
    """Tell whether step j is clear of what gave step k its gap: it was beside x, not at x."""
    falls = abs(gap[j]) + 2 * noise[j] < _KEPT[0] * abs(gap[k])
    return falls or abs(c[j] - c[k]) - 4 * noise[j] > abs(gap[k])


def _limit(before, now, rounding):
    """Give the slope of one side, infinite if it still grows."""
    return copysign(inf, now) if abs(now) > 2 * abs(before) + rounding else now


# The layers of a network

_UNSCALED = 100  # a column this many times larger or smaller than 1
_FADED = 1e4  # a gradient this many times shorter, or longer, in the first layer than in the last
_FLAT_SHARE = 1 / 20  # of the largest slope: where a unit counts as saturated
_STEP, _ILL = 1, 0.5  # the step against the weights; a layer's share of saturated or dead units


class LayerRow(NamedTuple):
    """One layer in a `LayerReport`.

    Parameters
    ----------
    name : str
        "layer 1", "layer 2", ...
    nan, inf : int
        How many NaN and Inf are in its parameters, their gradient and its outputs.
    gradient_norm, weight_norm : float
        The Euclidean lengths of dL/dW and W.
    update_ratio : float
        learning_rate * gradient_norm / weight_norm; NaN without a learning rate, or if W is 0.
    saturated : float
        The share of outputs on the flat ends of tanh or sigmoid; NaN where that has no meaning.
    dead : float
        The share of relu units that are 0 for every row of X; NaN where that has no meaning.

    Examples
    --------
    >>> params = nn.init_params([1, 4, 1], rng=np.random.default_rng(0))
    >>> def loss(params, X, y):
    ...     return nn.mse(nn.forward(params, X), y)
    >>> row = layer_report(params, loss, ([[1.0]], [[0.0]])).layers[0]
    >>> row.name, row.nan, row.saturated
    ('layer 1', 0, 0.0)
    """

    name: str
    nan: int
    inf: int
    gradient_norm: float
    weight_norm: float
    update_ratio: float
    saturated: float
    dead: float


class LayerReport(NamedTuple):
    """What `layer_report` found; print it for a table.

    Parameters
    ----------
    loss : float
        The loss over the data; NaN if it could not be computed.
    layers : tuple of LayerRow
        A row for each layer.
    findings : tuple of str
        What looks wrong, NaN and Inf first. Empty if nothing does.

    Examples
    --------
    >>> layer_report([], None, ([[1.0]], [[1.0]]))
    LayerReport(0 layers, 1 finding)
    """

    loss: float
    layers: tuple
    findings: tuple

    def __repr__(self):
        n, k = len(self.layers), len(self.findings)
        return f"LayerReport({_count(n, 'layer')}, {_count(k, 'finding') if k else 'healthy'})"

    def __str__(self):
        head = f"{'':10}{'NaN':>5}{'Inf':>5}{'|dL/dW|':>10}{'|W|':>10}{'update':>10}"
        lines = [f"loss {self.loss:.4g}", f"{head}{'saturated':>11}{'dead':>6}"]
        for row in self.layers:
            numbers = "".join(f"{_text(value, '.2g'):>10}" for value in row[3:6])
            shares = f"{_text(row.saturated, '.0%'):>11}{_text(row.dead, '.0%'):>6}"
            lines.append(f"{row.name:10}{row.nan:5}{row.inf:5}{numbers}{shares}")
        return "\n".join([*lines, *(self.findings or ["No finding."])])


def layer_report(params, loss, data, *, activation="tanh", learning_rate=None):
    r"""Measure each layer on the data: gradient, weights, \|step\| / \|W\|, saturation, dead units.

    Parameters
    ----------
    params : list of Layer
        The network. It may hold NaN and Inf, or no layer.
    loss : callable
        ``loss(params, X, y)``, a number, as in `nn.train`.
    data : tuple of array_like
        X, shape (m, n_in), and y.
    activation : {"tanh", "sigmoid", "relu", "gelu", "linear"}, default "tanh"
        The one that `loss` uses.
    learning_rate : float, optional
        The rate of plain gradient descent, for the update ratio.

    Returns
    -------
    LayerReport
        The table and the findings.

    Raises
    ------
    ValueError
        If shapes do not fit, the loss is not one number, or the activation is not known.
    TypeError
        If params are no layers, data no pair, loss no function or one that knows nothing of params.

    Notes
    -----
    What is a finding, in this order:

    - NaN or Inf in X, y, a layer's parameters, its outputs, the loss or a gradient; no layer, no
      row, no unit. Parameters or data of this kind are not run. Of outputs the first such layer is
      named, and if there is none, of gradients the last one, which comes first on the way back.
    - A column of X whose root mean square is above 100, or whose standard deviation is below 0.01
      and not 0 up to rounding. If more than half of it is one value, the root mean square distance
      of the others from that has these two bounds. LeCun et al. advise mean 0 and variance 1; two
      powers of ten are this book's tolerance.
    - A layer whose units all have the same weights, those of the next layer included, so that they
      stay copies (Goodfellow, Bengio, Courville, section 8.4). Outputs have targets of their own.
    - Every dL/dW 0; or that of the first layer more than 10^4 times longer or shorter than that of
      the last: exploding and vanishing gradients (Pascanu, Mikolov, Bengio; this book's 10^4). A
      layer with exactly 0 is left out: weights of 0 in another layer do that at a good start.
      Where outputs grow forward as gradients grow back, as with relu, dL/dW hides it:
      `depth_profile` shows the gradient alone.
    - An update ratio above 1, a step longer than the weights. The course notes CS231n call 1e-3 a
      good ratio; first steps with 0.5 and last ones with 1e-6 are seen in runs that end well, so
      this book only warns beyond.
    - More than half of a layer's outputs saturated: where the slope of tanh or sigmoid is below a
      twentieth of its largest, \|tanh\| > 0.975. Glorot and Bengio show the sickness; the numbers
      are this book's.
    - More than half of a layer's relu units dead: 0 for every row of X, so without gradient. The
      course notes report up to 40 percent after a rate that was too high. At the start a quarter is
      normal in the second layer if X has one column.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, PMLR 9, 249-256. https://proceedings.mlr.press/v9/glorot10a.html

    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning, MIT Press 2016.
    https://www.deeplearningbook.org

    A. Karpathy et al., CS231n course notes. https://cs231n.github.io/neural-networks-3/ for the
    update ratio, https://cs231n.github.io/neural-networks-1/ for dead units.

    Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient backprop", in: Neural Networks: Tricks of
    the Trade, LNCS 1524, Springer 1998, 9-50. https://doi.org/10.1007/3-540-49430-8_2

    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, PMLR 28, 1310-1318. https://proceedings.mlr.press/v28/pascanu13.html

    Examples
    --------
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> params = nn.init_params([1, 8, 1], rng=np.random.default_rng(0), scheme="xavier")
    >>> def loss(params, X, y):
    ...     return nn.mse(nn.forward(params, X), y)
    >>> layer_report(params, loss, (X, X**2))
    LayerReport(2 layers, healthy)
    >>> layer_report(params, loss, (1000 * X, X**2)).findings[0]
    'Column 0 of X has mean 0 and standard deviation 589: shift and scale it to about 0 and 1.'
    """
    params, X, y = _parts(params, data)
    if trouble := _unfit(params, X, y):
        rows = [_row(k, W, b) for k, (W, b) in enumerate(params, start=1)]
        return LayerReport(nan, tuple(rows), trouble)

    X = X.astype(float)
    if learning_rate is not None:
        rate = _validate.number(learning_rate, "learning_rate")
        learning_rate = _validate.positive(rate, "learning_rate")
    _validate.choice(activation, "activation", _ACTIVATIONS)
    value, slopes = nn.loss_and_grad(loss, params, X, y)
    with np.errstate(all="ignore"):
        zs = [  # a network's last z is linear
            nn.forward(params[:k], X, activation=activation) for k in range(1, len(params) + 1)
        ]
        hidden = [activation] * (len(zs) - 1) + ["linear"]
        layers = zip(params, slopes, zs, hidden, strict=True)
        rows = [
            _row(k, W, b, gW, gb, z, f, learning_rate)
            for k, ((W, b), (gW, gb), z, f) in enumerate(layers, start=1)
        ]
        copies = [
            f"All units of layer {k} have the same weights and stay copies: draw them at random."
            for k, ((W, b), (onward, _)) in enumerate(pairwise(params), start=1)
            if np.size(b) > 1 and not np.ptp(np.vstack([W, b, np.transpose(onward)]), axis=1).any()
        ]
        findings = (*_overflow(value, slopes, zs), *_unscaled(X), *copies, *_judge(rows))
    return LayerReport(value, tuple(rows), findings)


def _parts(params, data):
    """Give the layers, X and y; whether their numbers are finite and fit is not asked here."""
    try:
        layers, (X, y) = [nn.Layer(W, b) for W, b in params], data
    except (TypeError, ValueError):
        raise TypeError(
            "params must be a list of Layer(W, b) and data the pair (X, y), got "
            f"{type(params).__name__} and {type(data).__name__}; see nn.init_params"
        ) from None
    return layers, np.array(X), np.array(y)


_EMPTY = "There is no layer and no parameter to look at: make some with nn.init_params."
_FLAT = {  # the size beyond which the slope is below a twentieth of its largest
    "tanh": lambda z: 1 - np.tanh(z) ** 2 < _FLAT_SHARE,
    "sigmoid": lambda z: 4 * ad.sigmoid(z) * ad.sigmoid(-z) < _FLAT_SHARE,
}


def _overflow(value, slopes, zs=()):
    """Say that the loss is not finite, and the first layer going forward, or else back."""
    way = "use smaller weights, or scale X"
    cause = "a number overflows on the way to it"
    ill = next((k for k, z in enumerate(zs) if not np.isfinite(z).all()), None)
    if ill is None:
        way = f"keep logarithms, roots and quotients away from 0 (as cross_entropy does), {way}"
        cause = "a logarithm, root or quotient has no value, or a number overflows"
    findings = () if isfinite(value) else (f"The loss is {value}: {cause}; {way}.",)
    if ill is not None:
        where = f"the outputs of layer {ill + 1}, the first with any"
        return findings + _counted(zs[ill], where, way)
    if value != value:
        return findings
    for k, slope in reversed([*enumerate(slopes, start=1)]):
        g = np.concatenate([np.ravel(part) for part in slope])
        if not np.isfinite(g).all():
            behind = f"layer {k + 1}" if k < len(slopes) else "the loss"
            where = f"the gradient of layer {k}, the first with any on the way back from {behind}"
            return findings + _counted(g, where, way)
    return findings


def _row(k, W, b, gW=None, gb=0.0, z=0.0, activation="linear", rate=None):
    """Measure one layer; z is what comes before its activation, shape (m, n_out)."""
    parts = (W, b) if gW is None else (W, b, gW, gb, z)
    numbers = np.concatenate([np.ravel(part) for part in parts])
    gradient, weight = (
        nan if part is None or not np.isfinite(part).all() else float(length(part))
        for part in (gW, W)
    )
    return LayerRow(
        name=f"layer {k}",
        nan=int(np.isnan(numbers).sum()),
        inf=int(np.isinf(numbers).sum()),
        gradient_norm=gradient,
        weight_norm=weight,
        update_ratio=nan if rate is None or not weight else rate * gradient / weight,
        saturated=float(_FLAT[activation](z).mean()) if activation in _FLAT else nan,
        dead=float((z <= 0).all(axis=0).mean()) if activation == "relu" else nan,
    )


def _unfit(params, X, y):
    """Say which of the data and the layers are empty or hold NaN or Inf, and how many."""
    if not any(np.size(part) for layer in params for part in layer):
        return (_EMPTY,)
    places = [("X", X), ("y", y)]
    for k, layer in enumerate(params, start=1):
        places += [(f"layer {k}, {name}", part) for name, part in zip("Wb", layer, strict=True)]
    findings = ()
    for name, part in places:
        part, is_data = np.asarray(part, dtype=float), len(name) == 1
        if not part.size:
            way = "it at least one row" if is_data else "each layer at least one unit"
            findings += (f"No number in {name}, shape {part.shape}: give {way}.",)
        way = "remove or replace them" if is_data else "go back to the last finite ones"
        findings += _counted(part, name, way)
    return findings


def _counted(x, where, way):
    counts = (np.isnan(x).sum(), "NaN"), (np.isinf(x).sum(), "Inf")
    kinds = [f"{count} {kind}" for count, kind in counts if count]
    return (f"{' and '.join(kinds)} in {where}: {way}.",) if kinds else ()


def _unscaled(X):
    """Say which column of X is farthest from size 1, if it is two powers of ten away."""
    m, mean, most = len(X), X.mean(axis=0), np.median(X, axis=0)
    others = (most != X).sum(axis=0)  # if less than half, the median is what the rest has
    size, spread = (length(Z, axis=0) / np.sqrt(m) for Z in (X, X - mean))
    gap = length(X - most, axis=0) / np.sqrt(np.maximum(others, 1))
    low = np.where(2 * others < m, gap, spread)  # of a sparse column what it holds
    low[spread <= m * _EPS * size] = 1.0  # constants may have any size up to the limit
    size = np.where(2 * others < m, np.maximum(size, gap), size)
    away = np.maximum(*(np.log10(np.where(a > 0, a, 1.0)) for a in (size, 1 / low)))
    if away.max() > np.log10(_UNSCALED):
        j = int(away.argmax())
        middle = mean[j] if abs(mean[j]) > m * _EPS * size[j] else 0.0
        yield (
            f"Column {j} of X has mean {middle:.3g} and standard deviation {spread[j]:.3g}: "
            "shift and scale it to about 0 and 1."
        )


def _judge(rows):
    """Say what the measures of the layers mean."""
    moving = [row for row in rows if row.gradient_norm]
    if not moving:
        yield (
            "Every dL/dW is 0: no weight moves. If the loss is not at its floor, look for dead "
            "units, inputs of 0, or a loss without params."
        )
    else:
        first, last = moving[0], moving[-1]
        ends = f"{first.gradient_norm:.2g} in {first.name}, {last.gradient_norm:.2g} in {last.name}"
        if first.gradient_norm < last.gradient_norm / _FADED:
            yield (
                f"The gradient vanishes on its way back: {ends}. Try He or Xavier weights, relu, "
                "residual connections or normalisation."
            )
        elif first.gradient_norm > last.gradient_norm * _FADED:
            yield (
                f"The gradient explodes on its way back: {ends}. Try smaller first weights, or "
                "clip by norm."
            )
    for measure, limit, words in _LIMITS:
        ill = [row for row in rows if getattr(row, measure) > limit]
        if ill:
            worst = max(ill, key=lambda row: getattr(row, measure))
            more = f" (likewise {_count(len(ill) - 1, 'other layer')})" if len(ill) > 1 else ""
            yield words.format(getattr(worst, measure), f"{worst.name}{more}")


_LIMITS = [
    (
        "update_ratio",
        _STEP,
        "One step is {:.2g} times as long as the weights of {}: lower the learning rate.",
    ),
    (
        "saturated",
        _ILL,
        "{:.0%} of the outputs are saturated in {}: scale the inputs, or draw smaller weights.",
    ),
    (
        "dead",
        _ILL,
        "{:.0%} of the units are dead in {}: lower the learning rate, draw new weights and biases, "
        "or use another activation.",
    ),
]


def _text(value, spec):
    return "-" if value != value else format(value, spec)


def _count(n, thing):
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


# The gradient through many layers

_FAR = 100  # a ratio beyond this, or below its inverse, has exploded or vanished


class DepthProfile(NamedTuple):
    r"""What `depth_profile` found.

    Parameters
    ----------
    norms : ndarray, shape (depth + 1,)
        The length of the gradient behind k layers; ``norms[0]`` is that at the input.
    ratio : float
        ``norms[0] / norms[-1]``: what depth has done to the gradient.
    status : {"steady", "vanishing", "exploding"}
        "vanishing" for a ratio below 0.01, "exploding" for one above 100.

    Examples
    --------
    >>> profile = depth_profile(3, 8, activation="linear", gain=1, rng=np.random.default_rng(0))
    >>> profile.norms.shape, profile.status
    ((4,), 'steady')
    """

    norms: np.ndarray
    ratio: float
    status: str


def depth_profile(depth, width, *, activation, gain, rng, residual=False):
    """Send a random gradient back through a random network: dL/dh = W f'(h W) dL/dh', by layers.

    Parameters
    ----------
    depth : int
        The number of layers h' = f(h W), at least 1.
    width : int
        The number n of units in each.
    activation : {"tanh", "sigmoid", "relu", "gelu", "linear"}
        The f of every layer.
    gain : float
        The entries of W are normal with mean 0 and variance gain^2 / n: gain sqrt(2) is He, gain 1
        Xavier, because n units enter and n leave. There are no biases.
    rng : numpy.random.Generator
        Where W, the input h and the gradient at the output come from, the last two standard normal.
    residual : bool, default False
        Make the layer h' = h + f(h W).

    Returns
    -------
    DepthProfile
        The lengths, layer by layer, and what they amount to.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    The logarithm of the length walks at random from layer to layer; compare medians over seeds.
    Its mean step is about half the logarithm of gain^2 times the mean square of f', so relu is
    steady at sqrt(2), and linear at 1, if the width is well above the depth: at 50 layers of relu
    the median ratio is 0.5 at width 64, 0.02 at 16 and 0 at 4. The bounds 0.01 and 100 are this
    book's choice.

    References
    ----------
    S. Hochreiter, Y. Bengio, P. Frasconi, J. Schmidhuber, "Gradient flow in recurrent nets: the
    difficulty of learning long-term dependencies", in: A Field Guide to Dynamical Recurrent
    Networks, IEEE Press 2001, 237-243. https://doi.org/10.1109/9780470544037.ch14

    S. S. Schoenholz, J. Gilmer, S. Ganguli, J. Sohl-Dickstein, "Deep information propagation",
    ICLR 2017. https://doi.org/10.48550/arXiv.1611.01232

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> depth_profile(50, 64, activation="sigmoid", gain=1.0, rng=rng).status
    'vanishing'
    >>> depth_profile(50, 64, activation="sigmoid", gain=1.0, rng=rng, residual=True).status
    'steady'
    """
    depth = _validate.positive_int(depth, "depth")
    n = _validate.positive_int(width, "width")
    gain = _validate.positive(_validate.number(gain, "gain"), "gain")
    f = _ACTIVATIONS[_validate.choice(activation, "activation", _ACTIVATIONS)]
    h, g = _validate.generator(rng).normal(size=(2, n))

    with np.errstate(all="ignore"):
        pulls = []
        for _ in range(depth):
            W = rng.normal(0.0, gain / np.sqrt(n), (n, n))
            z = h @ W
            slope = ad.grad(lambda z: ad.sum(f(z)))(z) if np.isfinite(z).all() else nan * z
            pulls.append((W, slope))
            h = f(z) + (h if residual else 0.0)
        norms = [hypot(*g)]
        for W, slope in reversed(pulls):
            g = W @ (slope * g) + (g if residual else 0.0)
            norms.append(hypot(*g))
    norms = np.array(norms[::-1])
    ratio = float(norms[0] / norms[-1])
    # NaN, beyond the largest float, is "exploding"
    status = "vanishing" if ratio < 1 / _FAR else "steady" if ratio <= _FAR else "exploding"
    return DepthProfile(norms, ratio, status)


_ACTIVATIONS = {
    "tanh": ad.tanh,
    "sigmoid": ad.sigmoid,
    "relu": ad.relu,
    "gelu": nn.gelu,
    "linear": lambda x: x,
}


# The rate and the batch

_SUMMED = 3 / 2  # times as long is the gradient of a mean at most when each row comes twice


class RangeTest(NamedTuple):
    """What `lr_range_test` found.

    Parameters
    ----------
    rates : ndarray, shape (k,)
        The rates that were tried, rising.
    losses : ndarray, shape (k,)
        The loss over all data after the step with each; all but the last are finite.
    rate : float
        A rate to try, NaN if none of these lowers the loss, or if the first or the last is best.
    message : str
        What happened and what to try.

    Examples
    --------
    >>> def loss(params, X, y):
    ...     return nn.mse(nn.forward(params, X), y)
    >>> lr_range_test([], loss, ([[1.0]], [[1.0]]), low=1e-3, high=1.0, steps=9, rng=None).message
    'There is no layer and no parameter to look at: make some with nn.init_params.'
    """

    rates: np.ndarray
    losses: np.ndarray
    rate: float
    message: str


def lr_range_test(params, loss, data, *, low, high, steps, rng, batch_size=None):
    r"""Take one step of gradient descent with each of many rising rates, and watch the loss.

    Parameters
    ----------
    params : list of Layer
        The start. It is not changed.
    loss : callable
        ``loss(params, X, y)``, a number, as in `nn.train`.
    data : tuple of array_like
        X, shape (m, n_in), and y.
    low, high : float
        The first and the last rate, above 0; the others lie between at equal ratios.
    steps : int
        The number of rates, at least 2.
    rng : numpy.random.Generator or None
        Where the batches come from; None will do without `batch_size`.
    batch_size : int, optional
        How many rows make a step, drawn anew for each. By default all.

    Returns
    -------
    RangeTest
        Rates, losses and a rate to try.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or of the wrong kind.

    Notes
    -----
    The test stops when the loss is not finite, or above the first loss by more than the first
    gradient promised to lower it at that rate, rate \|g\|^2. fastai stops at four times the lowest
    loss, which supposes a loss that ends near 0.

    The rate to try is a tenth of the one at the lowest loss, the rule of Howard and Gugger. Smith,
    whose test this is, reads the rate off the curve. No rate is proposed if the loss fell by no
    more than it rose in a single step on the way (this book's threshold; batches do that at a
    minimum), if it fell to the end, or if it rose from the first rate on.

    References
    ----------
    L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017, 464-472.
    https://doi.org/10.1109/WACV.2017.58

    J. Howard, S. Gugger, Deep Learning for Coders with fastai and PyTorch, O'Reilly 2020,
    chapter 5.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> def loss(params, X, y):
    ...     return nn.mse(nn.forward(params, X), y)
    >>> test = lr_range_test(
    ...     [nn.Layer([[0.0]], [0.0])], loss, (X, 2 * X), low=1e-4, high=10, steps=50, rng=None
    ... )
    >>> print(test.message)
    The loss was lowest, 2e-09, at rate 2.4: try 0.24, a tenth of it.
    """
    low = _validate.positive(_validate.number(low, "low"), "low")
    high = _validate.positive(_validate.number(high, "high"), "high")
    if high <= low:
        raise ValueError(f"high must be above low = {low:g}, got {high:g}; try high={100 * low:g}")
    steps = _validate.positive_int(steps, "steps", least=2)
    params, X, y = _parts(params, data)
    if findings := _cannot_run(params, loss, X, y):
        return RangeTest(np.array([]), np.array([]), nan, findings[0])

    draw = _rows(len(X), batch_size, rng)
    first, square = nn.loss_and_grad(loss, params, X, y)[0], None
    rounding = _ROUNDING * abs(first)
    rates, losses = np.geomspace(low, high, steps), []
    for rate in rates:
        rows = draw()
        result = nn.train(params, loss, (X[rows], y[rows]), sgd(rate), epochs=1)
        with np.errstate(all="ignore"):
            if square is None:  # g.g of the first step
                step = nn.flatten(result.params)[0] - nn.flatten(params)[0]
                square = (np.linalg.norm(step) / rate) ** 2
            most = first + rate * square + rounding
        params = result.params
        value, slopes = nn.loss_and_grad(loss, params, X, y)
        is_well = result.success and not _overflow(value, slopes)
        losses.append(value if is_well else inf)
        if not losses[-1] <= most:
            break
    best = int(np.argmin(losses))
    rises = np.diff([first, *losses[: best + 1]])
    rate = nan
    if first - losses[best] <= max(rounding, rises.max()):
        message = (
            f"No rate lowered the loss from {first:.2g}: try other rates, and test the gradient."
        )
    elif best == 0:
        message = (
            f"The loss was lowest, {losses[0]:.2g}, at the first rate, {low:.2g}. It rose from "
            f"there: lower low = {low:g} to see where it falls."
        )
    elif best == steps - 1:
        message = (
            f"The loss was lowest, {losses[best]:.2g}, at the last rate, {rates[best]:.2g}. It was "
            f"falling to the end: raise high = {high:g} to see where it turns."
        )
    else:
        rate = float(rates[best]) / 10
        message = (
            f"The loss was lowest, {losses[best]:.2g}, at rate {rates[best]:.2g}: try {rate:.2g}, "
            "a tenth of it."
        )
    return RangeTest(rates[: len(losses)], np.array(losses), rate, message)


class NoiseScale(NamedTuple):
    """What `gradient_noise_scale` found.

    Parameters
    ----------
    scale : float
        trace / gradient_norm^2, a number of rows; NaN if it could not be computed.
    trace : float
        The sum of the variances of all entries of the gradient of a single row.
    gradient_norm : float
        The length of the gradient over all rows.
    message : str
        What it says about the batch.

    Examples
    --------
    >>> NoiseScale(100.0, 4.0, 0.2, "").scale
    100.0
    """

    scale: float
    trace: float
    gradient_norm: float
    message: str


def gradient_noise_scale(params, loss, data, *, batch_size, rng, batches=100):
    r"""Estimate the batch size at which noise equals signal: B = tr(cov of a row's gradient) / G.G.

    Parameters
    ----------
    params : list of Layer
        The network.
    loss : callable
        ``loss(params, X, y)``, a number, a mean over the rows.
    data : tuple of array_like
        X, shape (m, n_in), and y.
    batch_size : int
        How many rows make a batch.
    rng : numpy.random.Generator
        Where the batches come from.
    batches : int, default 100
        How many batches to draw.

    Returns
    -------
    NoiseScale
        The scale, what it is made of, and a sentence.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or of the wrong kind; if the gradient over all rows
        differs from call to call; if loss is no mean over the rows: if with each row twice its
        gradient is more than 1.5 times as long.

    Notes
    -----
    With rows drawn with replacement, the mean of \|G_B - G\|^2 is trace / B: so B times its average
    over the batches estimates the trace without bias, for any B. This is the "simple noise scale"
    of the paper, with the given rows as all there is; the paper has no full gradient and takes
    batches of two sizes instead. It changes during training, and grows where G gets small.

    The threshold is the scale itself: batches well below it make noisy steps, and a batch of twice
    the size allows almost twice the step; batches well above it gain little from more rows. G
    counts as 0 if it is below 400 eps of the typical gradient of a row, where rounding makes it.

    References
    ----------
    S. McCandlish, J. Kaplan, D. Amodei, and the OpenAI Dota Team, "An empirical model of
    large-batch training", 2018. https://doi.org/10.48550/arXiv.1812.06162

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1))
    >>> def loss(params, X, y):
    ...     return nn.mse(nn.forward(params, X), y)
    >>> data = X, 3 * X + rng.normal(size=X.shape)
    >>> start = [nn.Layer([[0.0]], [0.0])]
    >>> noise = gradient_noise_scale(start, loss, data, batch_size=10, rng=rng)
    >>> round(noise.gradient_norm, 1), noise.message.split(":")[0]
    (5.4, 'Noise equals signal at about 2.3 rows')
    """
    batches = _validate.positive_int(batches, "batches")
    params, X, y = _parts(params, data)
    if findings := _cannot_run(params, loss, X, y):
        return NoiseScale(nan, nan, nan, findings[0])
    size, m = _validate.positive_int(batch_size, "batch_size"), len(X)
    _validate.generator(rng)

    def gradient(rows):
        slopes = nn.loss_and_grad(loss, params, X[rows], y[rows])[1]
        return np.concatenate([np.ravel(part) for layer in slopes for part in layer])

    with np.errstate(all="ignore"):
        G, again, twice = (gradient(np.arange(n) % m) for n in (m, m, 2 * m))
        noise = [gradient(rng.integers(m, size=size)) - G for _ in range(batches)]
        unit = max(np.abs(g).max() for g in (G, again, twice, *noise)) or 1.0
        trace = size * float(np.mean([(d / unit) @ (d / unit) for d in noise]))
        norm = length(G / unit)
        found = float(trace * unit**2), float(norm * unit)
    if not isfinite(unit):
        way = "use smaller weights, or scale X"
        return NoiseScale(nan, nan, nan, f"The gradient of a batch is not finite: {way}.")
    rounding = _LOUD * _ROUNDING * hypot(norm, trace**0.5)
    if length((again - G) / unit) > rounding:
        raise ValueError(
            "loss must give the same gradient each time, got two at the same params and rows; "
            "switch dropout off"
        )
    if norm <= rounding:
        return NoiseScale(
            inf if trace else nan,
            *found,
            "The gradient over all rows is 0 up to rounding: there is nothing to learn, or loss "
            "does not use params.",
        )
    if length(twice) > _SUMMED * length(G):
        raise ValueError(
            "loss must be a mean over the rows, but with each row twice its gradient is "
            f"{length(twice) / length(G):.3g} times as long; divide it by len(X)"
        )
    scale = trace / norm**2
    if size >= scale:
        advice = "a smaller batch does as well" if size > 1 else "there is little noise to average"
    elif size < m:
        advice = "a larger batch gives better steps"
    else:
        advice = "there are no more rows to average: take smaller steps"
    message = (
        f"Noise equals signal at about {scale:.2g} rows: with {_count(size, 'row')}, {advice}."
    )
    return NoiseScale(scale, *found, message)


def _cannot_run(params, loss, X, y):
    """Give the findings that forbid to run the network."""
    return _unfit(params, X, y) or _overflow(*nn.loss_and_grad(loss, params, X, y))


def _rows(m, size, rng):
    """Give the function that draws the rows of a batch."""
    if size is None:
        return lambda: slice(None)
    size = _validate.positive_int(size, "batch_size")
    if size > m:
        raise ValueError(f"batch_size must be at most {m}, the rows of X, got {size}; use None")
    rng = _validate.generator(rng)
    return lambda: rng.choice(m, size, replace=False)


# A run in words

_ENOUGH = 10  # steps or epochs below which slowness, jags and growth are not judged alike
_EQUAL = 1e-3  # two steps are opposite and equal if their sum is this share of the last
_ALONG, _BACK = 0.5, -0.5  # cosines between two steps: of 60 and of 120 degrees
_LAST = 20  # steps at the end that are looked at for zigzags
_STILL = 0.9  # the shortest gradient over the longest, in a run that crawls
_SHORT = 1e-6  # the tol of minimize
_GROWN = 10  # times what the first half did is an explosion; in a run of less than ten, its square
_HUGE = 1e3  # times the first value, or 1, is an explosion in a run of any length
_FEW = 4  # epochs below which the shape of a curve tells nothing
_JAG = 1 / 4  # of the fall: a rise that is too high, a part of it that is lost
_TREMOR = 1 / 1000  # of the fall: what a curve may turn by, if not in ...
_OFTEN = 1 / 2  # ... this share of the epochs: a swing turns twice in a period
_BOW = 1e-3  # a curve is straight if it leaves its chord by less than this share of its fall
_LEVEL = 1 / 100  # of what the second half spans: what the last quarter of a level run spans
_MANY = 500  # values whose pairs are looked at: of more, evenly spaced ones up to the last
_PAIRS = 0.9  # of all pairs in the second half of a curve that falls


def explain(result):
    """Say in one paragraph what happened in a run and what to try.

    Parameters
    ----------
    result : DescentResult or TrainResult
        What `descent.minimize` or `nn.train` gave. Of several runs at once, the first that did not
        converge is explained.

    Returns
    -------
    str
        A paragraph. It begins with "Nothing looks wrong" if nothing does, and with "Cannot tell" if
        runs that are well and runs that are sick look like this.

    Raises
    ------
    TypeError
        If the result is none of these.

    Notes
    -----
    What counts as wrong, the first that holds. All thresholds are this book's choice. Differences
    of values are compared with each other and count only beyond rounding: 4 eps times the values,
    for a loss at least 4 eps^2, what an exact fit to numbers near 1 leaves. Only the last sign of
    an explosion, below, looks at a value: a constant added to a loss may hide it.

    Of a descent that did not converge (the words of newton, lbfgs and a stalled run are those of
    their message):

    - the next point is not finite, or it diverged on its way down;
    - the last two steps are opposite and equal within a thousandth: a two-cycle;
    - it diverged, or explodes, or rises in every one of ten steps or more: with the wrong sign if
      more than half of the steps rise and keep their direction within 60 degrees, else with steps
      that are too long;
    - it ended above its first value: "Cannot tell", as it may come down again;
    - more than half of the last 20 steps turn back by more than 120 degrees: it zigzags;
    - in ten steps or more, over the second half the gradient keeps its length within a tenth: it
      crawls.

    A descent is level, and not judged further, if its gradient is at most 1e-6 long, the tol of
    minimize; or if it has shrunk by a tenth, and gradient times last step is lost in rounding.

    A run explodes, of whichever kind, if it ends above its first value by more than ten times the
    farthest that its first half was from there: a hundred times in four to nine steps or epochs; if
    it rises in all of four or more, with batches ten, faster than their square, as no swing does;
    or in a run of any length by more than a thousand times the size of that value, or of 1. The
    end is the least of the last tenth.

    Of a training run "Training goes uphill" is said if it explodes, and "Cannot tell" where sick
    and healthy runs have the same curve, the first that holds:

    - it was above its start by more than it ever fell below: a fresh start with too high a rate
      does that, and so do batches, momentum and Adam after a good start;
    - more than a quarter of the fall is lost again at the end: so it is in a swing of momentum;
    - in ten epochs or more without batches, the second half rises in one epoch by more than a
      quarter of the fall, or turns, by more than a thousandth of it both ways, in more than half of
      the epochs: dropout left on, or fast swings;
    - in ten epochs or more, it is nowhere farther from its chord than a thousandth of its fall.

    Else nothing looks wrong, and the second half is described, not judged: whether a run is at its
    floor or dead, a loss alone does not tell. It has levelled off if in eight epochs or more its
    last quarter spans a hundredth of it at most; it falls, or rises, if nine of ten pairs of losses
    do, and the last is below, or above, nine of ten; else its bounds are given. Of a half of a
    thousand or more every second or third counts, and so on.

    Examples
    --------
    >>> run = descent.gradient_descent(lambda x: x**2, 5.0, learning_rate=1.0, max_steps=50)
    >>> print(explain(run).split(":")[0])
    The run jumps between two points for ever
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(result, descent.DescentResult):
            return _explain_descent(result)
        if isinstance(result, nn.TrainResult):
            return _explain_training(result)
    raise TypeError(
        f"result must be a DescentResult or a TrainResult, got {type(result).__name__}; pass what "
        "descent.minimize or nn.train returned"
    )


def _explain_descent(result):
    if np.ndim(result.status):
        ill = np.flatnonzero(~result.success)
        if not ill.size:
            return f"Nothing looks wrong: all {len(result.status)} runs converged."
        words = _explain_descent(result.run(ill[0]))
        return f"{ill.size} of {len(result.status)} runs did not converge. Run {ill[0]}: {words}"

    values, norms = result.values, result.grad_norms
    steps = np.diff(result.path.reshape(len(values), -1), axis=0)
    story = f"fun went from {values[0]:.4g} to {values[-1]:.4g} in {_count(result.nit, 'step')}"
    if result.status == "converged":
        if not result.nit:
            return (
                "The run had nothing to do: the start is flat already. Start elsewhere, or look "
                "with curvature.classify what kind of point it is."
            )
        return (
            f"Nothing looks wrong: {story}, and the gradient fell from {norms[0]:.2g} to "
            f"{norms[-1]:.2g}. A flat point can be a minimum, a saddle or a plateau: "
            "curvature.classify tells."
        )
    if result.status == "stalled" or not isinstance(result.optimizer, Optimizer):  # no rate helps
        return f"{result.message} On the way {story}."

    diverged, rounding = result.status == "diverged", _ROUNDING * np.abs(values).max()
    rises, grows = values[-1] > values[0] + rounding, np.diff(values) > 0
    if diverged and not rises and "not finite" in result.message:
        return f"{result.message} Before that {story}." if result.nit else result.message
    if diverged and values[-1] == values.min():
        return (
            f"The run left the map downhill: {story}. fun may have no minimum in that direction; "
            "bound it, or start elsewhere."
        )
    late, lengths = norms[len(norms) // 2 :], np.sqrt((steps**2).sum(axis=1))
    products = np.maximum(lengths[1:] * lengths[:-1], 1e-300)
    turns = (steps[1:] * steps[:-1]).sum(axis=1) / products  # the cosines between steps
    is_still = late.min() > _STILL * late.max()
    is_lost = norms[-1] * lengths[-1] <= rounding and late.min() <= _STILL * norms.max()
    if not diverged and (norms[-1] <= _SHORT or is_lost):
        return (
            f"Nothing looks wrong: {story}, and is level: the gradient is {norms[-1]:.2g} long, "
            f"below {_SHORT:g} or lost in rounding. More steps would win next to nothing."
        )
    if not diverged and len(steps) > 1 and hypot(*(steps[-1] + steps[-2])) < _EQUAL * lengths[-1]:
        return (
            f"The run jumps between two points for ever: {story}. The rate sits on the border of "
            "stability: halve it."
        )
    if diverged or _explodes(values) or (rises and grows.all() and result.nit >= _ENOUGH):
        if (grows[1:] & (turns > _ALONG)).sum() > 0.5 * result.nit:
            return (
                f"The run goes uphill: {story}, and most steps keep their direction and rise. The "
                "gradient may have the wrong sign: check_grad tells. If it is right, lower the "
                "learning rate and the momentum."
            )
        return (
            f"The run goes uphill: {story}. The steps are too long for the curvature: divide the "
            "learning rate by ten; on a quadratic it must stay below curvature.max_stable_rate."
        )
    if rises:
        return (
            f"Cannot tell: {story}, above its start. Long steps, or the first steps of momentum or "
            "Adam, can do that and come down again: give it more steps. If fun stays up, divide "
            "the learning rate by ten and test the gradient with check_grad."
        )
    if len(turns) and (turns[-_LAST:] < _BACK).mean() > 0.5:
        return (
            f"The run zigzags: {story}, and most steps turn back. Halve the learning rate, or use "
            "momentum or newton if the valley is narrow."
        )
    if is_still and result.nit >= _ENOUGH:
        return (
            f"The run crawls: {story}, and over its second half the gradient kept its length, from "
            f"{late[0]:.2g} to {late[-1]:.2g}. Raise the learning rate until it zigzags, then go "
            "back; if it cannot be raised, the problem is ill-conditioned: use momentum, lbfgs or "
            "newton."
        )
    return (
        f"Nothing looks wrong: {story}, and is on its way: the gradient is {norms[-1]:.2g} long. "
        "Give it more steps."
    )


def _explain_training(result):
    losses, n = result.losses, len(result.losses) - 1
    story = f"the loss went from {losses[0]:.4g} to {losses[-1]:.4g} in {_count(n, 'epoch')}"
    if not result.success:
        before = f" Before that {story}." if n else ""
        return (
            f"{result.message}{before} If a small rate diverges too, look at layer_report for the "
            "scale of inputs and weights, and test the gradient."
        )
    has_batches = result.steps > result.epochs
    if _explodes(losses, has_batches):
        return (
            f"Training goes uphill: {story}. Divide the learning rate by ten. If a tiny rate "
            "climbs too, the gradient has the wrong sign (check_grad tells) or the inputs are not "
            "scaled."
        )
    if doubt := _doubt(losses, has_batches):
        return f"Cannot tell: {story}, {doubt}"
    return f"Nothing looks wrong: {story}{_course(losses)}"


def _explodes(values, has_batches=False):
    """Tell whether values end far above the first, far beyond where their first half was."""
    n, gaps = len(values) - 1, values - values[0]
    end = gaps[-max(1, n // 10) :].min()
    early = max(np.abs(gaps[: n // 2 + 1]).max(initial=0), _rounding(values))
    times = _GROWN if n >= _ENOUGH else _GROWN**2
    if n >= (_ENOUGH if has_batches else _FEW) and np.diff(values).min() > 0:
        times = (n / max(1, n // 2)) ** 2  # a swing leaves its lowest point like the square
    times = times if n >= _FEW else inf
    return bool(end > min(times * early, _HUGE * max(1.0, abs(values[0]))))


def _rounding(values):
    return _ROUNDING * max(abs(values[0]), _EPS)  # eps^2: an exact fit to numbers near 1


def _doubt(losses, has_batches):
    """Say what a loss can do in a sick run as well as in a healthy one; None if it does not."""
    n, first, last, lowest = len(losses) - 1, losses[0], losses[-1], losses.min()
    fall, half = first - lowest, losses[n // 2 :]
    rounding = _rounding(losses)
    if losses.max() - first > fall + rounding:
        return (
            f"and was at {losses.max():.4g} after epoch {losses.argmax()}, above its start. From a "
            "fresh start the rate is too high or the gradient has the wrong sign: divide the rate "
            "by ten, and test the gradient with check_grad. From a start that was trained before, "
            "batches, momentum or Adam can do that for a while, and a lower rate calms them."
        )
    if last - lowest > _JAG * fall + rounding:
        return (
            f"but was at {lowest:.4g} after epoch {losses.argmin()}. A swing of momentum or a jump "
            "of the batches is over after more epochs; if the loss stays up, lower the rate late "
            "in the run."
        )
    changes = np.diff(half)
    sizes = np.minimum(np.abs(changes[1:]), np.abs(changes[:-1]))
    often = (sizes > _TREMOR * fall + rounding) & (changes[1:] * changes[:-1] < 0)
    is_jagged = often.sum() > _OFTEN * len(changes) or changes.max() > _JAG * fall + rounding
    if n >= _ENOUGH and is_jagged and not has_batches:
        return (
            f"with jumps of up to {changes.max():.2g} in its second half, though all rows make "
            "each step. Swings of momentum shrink in a longer run; else lower the learning rate or "
            "let it decay, and see that the loss is computed without dropout."
        )
    bow = np.abs(losses - np.linspace(first, last, n + 1)).max()
    if n >= _ENOUGH and bow < _BOW * (first - last):
        return (
            "along a straight line: the slope is what it was. Too low a rate does that, and so "
            "does a short look at a long way. Find a larger rate with lr_range_test. If none "
            "helps, look in layer_report for dead, saturated or vanishing layers, and try to "
            "overfit one batch."
        )
    return None


def _course(losses):
    """Say how the second half of a curve goes, and what to do with such a run."""
    n, rounding = len(losses) - 1, _rounding(losses)
    half, quarter = losses[n // 2 :], losses[n - n // 4 :]
    level = (
        "Compare the level with what a constant prediction scores, and with the loss on data that "
        "training does not see; if a constant does as well, look in layer_report; to get lower "
        "try a schedule, another optimizer or a larger network."
    )
    if np.ptp(losses) <= rounding:
        return f", and is level. {level}"
    if n < _FEW:
        return ". Train for longer: so short a run tells no more."
    if n >= 2 * _FEW and np.ptp(quarter) <= max(_LEVEL * np.ptp(half), rounding):
        return f", and has levelled off. {level}"
    if _is_rising(-half):
        return (
            ", and is still falling. Train for longer. If a constant prediction scores the same, "
            "look in layer_report."
        )
    if _is_rising(half):
        return (
            ", and is rising at its end. A swing of momentum turns back: train for longer. If the "
            "loss goes on rising, lower the rate."
        )
    return (
        f", and stays between {half.min():.4g} and {half.max():.4g} in its second half. {level} "
        "Smaller rates, larger batches and time calm jumps and swings."
    )


def _is_rising(values):
    """Tell whether nearly all pairs of values rise, and nearly all values are below the last."""
    step = max(1, len(values) // _MANY)
    values = values[::-step][::-1]
    pairs = np.triu(values[:, None] < values, 1).sum() / (len(values) * (len(values) - 1) / 2)
    return min(pairs, (values[:-1] < values[-1]).mean()) >= _PAIRS
