"""Explorer of chapter 08: what depth and gain do to a gradient on its way back."""

from __future__ import annotations

import functools
import math

import numpy as np
import sympy as sp

from calclib import autodiff as ad
from calclib.explorer.scene import Handle, Panel, Path, Scene, Slider, Text, switch
from calclib.explorer.widget import Explorer
from calclib.plotting import COLORS
from calclib.tracing import Let, Program, Table, is_symbolic

ACTIVATIONS = {"tanh": ad.tanh, "relu": ad.relu, "sigmoid": ad.sigmoid}
SLOPES = {
    "tanh": lambda f: 1 - f * f,
    "relu": lambda f: 1.0 * (f > 0),
    "sigmoid": lambda f: f * (1 - f),
}  # of the activation, from its value
WIDTH, NETWORKS, SEED = 64, 9, 8
DEPTHS = (10, 20, 30, 40, 50)
PER_OCTAVE = 8
GAINS = tuple(2 ** (k / PER_OCTAVE) for k in range(-8, 13))  # 0.5, ..., 1, ..., 2, ..., 2.83
NO_THRESHOLD = 1.0, 0.0
PARTS = 10  # a curve shows the gradient behind each tenth of the layers
LOW, HIGH = 1e-30, 1e20
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)  # even: no node at the bend of relu


def depth_map() -> Explorer:
    """Make the explorer of a gradient on its way back: depth, gain, activation, shortcuts.

    Returns
    -------
    Explorer
        Sliders: depth, gain; switches: activation, residual connections.

    Notes
    -----
    The lengths are recorded when the explorer is made: medians of nine networks of width 64, as
    `diagnostics.depth_profile` makes them. The prediction is `predicted_factors`; it is shown
    where no shortcut lets slopes and weights depend on each other.

    Examples
    --------
    >>> depth_map()
    Explorer('depth-map')
    """
    program = Program(
        ("activation", "residual", "depth", "gain"),
        Let("column", _column),
        Let("sweep_row", lambda activation, residual, depth:
            (2 * activation + residual) * len(DEPTHS) + (depth / 10 - 1)),
        Let("row", lambda sweep_row, column: sweep_row * len(GAINS) + column),
        Table(("curve", "forecast"), recorded()[0], "row"),
        Table(("ratio", "expected"), recorded()[1], "row"),
        Table(("ratios", "expectations", "threshold", "crosses"), recorded()[2], "sweep_row"),
        Let(tuple(f"layer{k}" for k in range(PARTS + 1)),
            lambda depth: tuple(depth * k / PARTS for k in range(PARTS + 1))),
        Let("shown", _shown),
        Let("factor", _factor),
        Let("vanishing", lambda ratio: ratio < 0.01),
        Let("exploding", lambda ratio: ratio > 100),
        Let("exploding_shortcut", lambda exploding, residual: exploding & (residual > 0.5)),
        Let("steady_shortcut", lambda residual: residual > 0.5),
        Let("plain", lambda residual: residual < 0.5),
        Let("flat", lambda plain, activation: plain & (activation > 1.5)),
        Let("crossing", lambda crosses: crosses > 0.5),
    )  # fmt: skip
    layers = tuple(f"layer{k}" for k in range(PARTS + 1))
    back = Panel(
        _draw_back,
        (
            Path(layers, "forecast", "vermillion", 1.6, dash=True, show="plain"),
            Path(layers, "curve", "blue", 2.2, dots=True),
        ),
        "The length of the gradient behind each layer, as a multiple of its length at the output, "
        "on a logarithmic axis from 1e-30 to 1e20. Dashed, the prediction. A band from 0.01 to "
        "100 is called steady.",
        4.0,
    )
    sweep = Panel(
        _draw_sweep,
        (
            Path(("threshold", "threshold"), (LOW, HIGH), "green", 1.6, dash=True, show="crossing"),
            Text("threshold", 1e-27, "threshold", "green", "start", show="crossing"),
            Path(GAINS, "expectations", "vermillion", 1.6, dash=True, show="plain"),
            Path(GAINS, "ratios", "blue", 1.6),
            Handle("gain", "shown", "Gain on the curve of ratios"),
        ),
        "The gradient at the input over that at the output, against the gain from 0.5 to 2.8, both "
        "on logarithmic axes. Dashed, the prediction; a dashed upright line marks the gain at "
        "which the prediction is 1, where there is one.",
        4.0,
    )
    scene = Scene(
        "Depth map",
        (
            switch("activation", "Activation", "tanh", "ReLU", "sigmoid", value=1),
            switch("residual", "Residual connections", "off", "on"),
            Slider("depth", "Depth (layers)", 10.0, 50.0, 50.0, 10.0, form=".0f"),
            Slider("gain", "Gain", GAINS[0], GAINS[-1], 1.0, math.log10(2) / PER_OCTAVE,
                   log=True, form=".2f"),
        ),
        program,
        ((back,), (sweep,)),
        SAYS,
    )  # fmt: skip
    return Explorer("depth-map", "Depth map: what is left of the gradient at the input", scene)


FACTS = (
    " In the median of nine networks the gradient at the input is {ratio} times that at the output"
)
PREDICTED = FACTS + "; {expected} was predicted."
SAYS = (
    (
        "flat",
        "Vanishing. The slope of the sigmoid is at most 1/4, so on average a layer leaves at most "
        "{gain:.2f}/4 of the gradient." + PREDICTED,
    ),
    (
        "exploding_shortcut",
        "Exploding, shortcuts or not: each layer adds its own part to what passes by."
        + FACTS
        + ".",
    ),
    ("steady_shortcut", "Steady: the shortcuts carry the gradient past the layers." + FACTS + "."),
    ("vanishing", "Vanishing: less than a hundredth arrives. The gain is too small." + PREDICTED),
    ("exploding", "Exploding: more than a hundredfold. The gain is too large." + PREDICTED),
    (
        "",
        "At this depth still between a hundredth and a hundredfold; each layer multiplies by about "
        "{factor}." + PREDICTED,
    ),
)


def _column(gain):
    log = sp.log(gain) if is_symbolic(gain) else math.log(gain)
    return (log / math.log(2) + 1) * PER_OCTAVE


def _factor(ratio, depth):
    """Give the factor that, once for each layer, makes the ratio."""
    exp, log = (sp.exp, sp.log) if is_symbolic(ratio) else (math.exp, math.log)
    return exp(log(ratio) / depth)


def _shown(ratio):
    """Hold the point on the picture."""
    if is_symbolic(ratio):
        return sp.Max(LOW, sp.Min(HIGH, ratio))
    return max(LOW, min(HIGH, ratio))


def predicted_factors(activation: str, gain: float, depth: int) -> np.ndarray:
    r"""Predict what each layer does to the gradient: sqrt(gain^2 E f'(z)^2), z normal.

    Parameters
    ----------
    activation : {"tanh", "relu", "sigmoid"}
        The f of every layer.
    gain : float
        As in `diagnostics.depth_profile`.
    depth : int
        The number of layers.

    Returns
    -------
    ndarray, shape (depth,)
        The factors, first layer first.

    Notes
    -----
    It is exact in the limit of infinite width. The variance of z is gain^2 times the mean square
    of the units before, which is carried along from layer to layer.

    Examples
    --------
    >>> predicted_factors("relu", 2**0.5, 3).round(12).tolist()
    [1.0, 1.0, 1.0]
    """
    return _factors(activation, np.array([gain]), depth)[:, 0]


def _factors(activation, gains, depth):
    """Predict the factors for several gains, shape (depth, gains)."""
    f, slope = ACTIVATIONS[activation], SLOPES[activation]
    weights = _WEIGHTS / _WEIGHTS.sum()
    square = np.ones_like(gains)  # mean square of the units
    factors = []
    for _ in range(depth):
        value = f((gains * np.sqrt(square))[:, None] * _NODES)
        factors.append(gains * np.sqrt(slope(value) ** 2 @ weights))
        square = value**2 @ weights
    return np.array(factors)


@functools.cache
def recorded() -> tuple[list, list, list]:
    """Send gradients back through networks of every kind, and record the lengths.

    Returns
    -------
    curves : list of tuple
        For each activation, residual, depth and gain, in this order, the lengths behind each tenth
        of the layers, and those that are predicted, as multiples of that at the output.
    ends : list of tuple
        Likewise the length at the input, and the predicted one.
    sweeps : list of tuple
        For each activation, residual and depth the two for all gains, the gain at which the
        prediction is 1, and whether there is one.

    Examples
    --------
    >>> curves, ends, sweeps = recorded()
    >>> len(curves) == len(ends) == len(sweeps) * len(GAINS)
    True
    """
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(NETWORKS, 1, WIDTH))
    g = rng.normal(size=(NETWORKS, 1, WIDTH))
    W = rng.normal(size=(DEPTHS[-1], NETWORKS, WIDTH, WIDTH)) / math.sqrt(WIDTH)
    curves, ends, sweeps = [], [], []
    for activation in ACTIVATIONS:
        for residual in (0.0, 1.0):
            measured = _lengths(activation, residual, x, g, W)
            factors = _factors(activation, np.array(GAINS), DEPTHS[-1])
            for depth in DEPTHS:
                behind = factors[:depth][::-1].cumprod(axis=0)[::-1]
                expected = np.vstack([behind, np.ones(len(GAINS))])[:: depth // PARTS]
                for j in range(len(GAINS)):
                    curves.append((_short(measured[depth][:, j]), _short(expected[:, j])))
                    ends.append((curves[-1][0][0], curves[-1][1][0]))
                ratios = [row[0] for row in ends[-len(GAINS) :]]
                forecast = [row[1] for row in ends[-len(GAINS) :]]
                threshold = NO_THRESHOLD if residual else _crossing(expected[0])
                sweeps.append((ratios, forecast, *threshold))
    return curves, ends, sweeps


def _lengths(activation, residual, x, g, W):
    """Give, for each depth, medians over networks of the gradient's length, (parts + 1, gains)."""
    f, slope = ACTIVATIONS[activation], SLOPES[activation]
    gains = np.array(GAINS)[:, None]
    h, slopes = np.repeat(x, len(GAINS), axis=1), []
    for weights in W:
        value = f(gains * (h @ weights))
        slopes.append(slope(value))
        h = value + residual * h
    lengths = {}
    for depth in DEPTHS:
        back = np.repeat(g, len(GAINS), axis=1)
        norms = [np.linalg.norm(back, axis=2)]
        for k in reversed(range(depth)):
            back = gains * ((slopes[k] * back) @ W[k].transpose(0, 2, 1)) + residual * back
            norms.append(np.linalg.norm(back, axis=2))
        shares = np.array(norms[::-1]) / norms[0]
        lengths[depth] = np.median(shares[:: depth // PARTS], axis=1)
    return lengths


def _crossing(expected):
    """Give the gain at which the prediction goes through 1, and whether there is one."""
    logs = np.log(expected)
    at = np.flatnonzero((logs[:-1] <= 1e-9) & (logs[1:] > 1e-9))
    if not at.size:
        return NO_THRESHOLD
    k = at[0]
    share = -logs[k] / (logs[k + 1] - logs[k])
    return float(GAINS[k] * 2 ** (share / PER_OCTAVE)), 1.0


def _short(numbers):
    return [float(f"{number:.2e}") for number in numbers]


def _frame(ax):
    ax.axhspan(1e-2, 1e2, color=COLORS["sky"], alpha=0.25, lw=0)
    ax.set(yscale="log", ylim=(LOW, HIGH))
    ticks = {1e-30: "1e-30", 1e-20: "1e-20", 1e-10: "1e-10", 1: "1", 1e10: "1e10", 1e20: "1e20"}
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.minorticks_off()


def _draw_back(ax):
    _frame(ax)
    ax.set(xlim=(-1, 51), xlabel="layer (0: the input)", title="Gradient behind each layer")
    ax.text(50, 2e3, "steady", ha="right", fontsize=8.5)


def _draw_sweep(ax):
    _frame(ax)
    ax.set(xscale="log", xlim=(0.48, 2.95), xlabel="gain", title="At the input, by gain")
    ax.set_xticks([0.5, 1, 1.41, 2, 2.83], ["0.5", "1", "√2", "2", "2.83"])
    ax.minorticks_off()
