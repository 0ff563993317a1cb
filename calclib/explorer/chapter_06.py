"""Explorers of chapter 06: a network under your hands, and the training run of the tiny net."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import sympy as sp

from calclib import nn
from calclib.explorer.scene import Handle, Panel, Path, Points, Scene, Slider, Text
from calclib.explorer.widget import Explorer
from calclib.optimizers import sgd
from calclib.plotting import COLORS
from calclib.tracing import Let, Program, Sweep, Table, is_symbolic

# --- a network under your hands -------------------------------------------------------------------

BIAS = 0.1  # of both hidden units; the output's is 0
RATE = 0.1
RATES = tuple(k / 80 for k in range(41))
PARAMETERS = ("w1", "w2", "b1", "b2", "v1", "v2", "c")
SLOPES = tuple(f"d_{name}" for name in PARAMETERS)


def network_under_your_hands() -> Explorer:
    """Make the explorer of a network 1-2-1 with tanh: values go forward, slopes come back.

    Returns
    -------
    Explorer
        Sliders: two weights into and two out of the hidden units, the input and the target.

    Examples
    --------
    >>> network_under_your_hands()
    Explorer('network-under-your-hands')
    """
    program = Program(
        ("w1", "w2", "v1", "v2", "x", "y"),
        Let(("h1", "h2"), lambda w1, w2, x: (_tanh(w1 * x + BIAS), _tanh(w2 * x + BIAS))),
        Let("out", lambda v1, v2, h1, h2: v1 * h1 + v2 * h2),
        Let("loss", lambda out, y: (out - y) * (out - y)),
        Let("d_c", lambda out, y: 2 * (out - y)),
        Let(("d_v1", "d_v2"), lambda d_c, h1, h2: (d_c * h1, d_c * h2)),
        Let(("d_b1", "d_b2"), lambda d_c, v1, v2, h1, h2:
            (d_c * v1 * (1 - h1 * h1), d_c * v2 * (1 - h2 * h2))),
        Let(("d_w1", "d_w2"), lambda d_b1, d_b2, x: (d_b1 * x, d_b2 * x)),
        Let("steepness", lambda d_w1, d_w2, d_b1, d_b2, d_v1, d_v2, d_c:
            d_w1 * d_w1 + d_w2 * d_w2 + d_b1 * d_b1 + d_b2 * d_b2
            + d_v1 * d_v1 + d_v2 * d_v2 + d_c * d_c),
        Let("after", _loss_after),
        Let("promised", lambda loss, steepness: loss - RATE * steepness),
        Let("share", lambda after, loss: after / (loss + 1e-300)),
        Sweep("rate", RATES, (
            Let("left", lambda rate, w1, w2, v1, v2, x, y, loss, d_w1, d_w2, d_b1, d_b2, d_v1, d_v2,
                d_c: _loss_after(w1, w2, v1, v2, x, y, d_w1, d_w2, d_b1, d_b2, d_v1, d_v2, d_c,
                                 rate=rate) / (loss + 1e-300)),
            Let("line", lambda rate, loss, steepness: 1 - rate * steepness / (loss + 1e-300)),
        )),
        Let("misses", lambda loss: loss >= 1e-12),
        Let("exact", lambda loss: loss < 1e-12),
        Let("closed", lambda v1, v2: abs(v1) + abs(v2) < 1e-9),
        Let("alike", lambda w1, w2, v1, v2: abs(w1 - w2) + abs(v1 - v2) < 1e-9),
        Let("no_input", lambda x: abs(x) < 1e-9),
        Let("overshoots", lambda after, loss: after > loss),
        Let("too_good", lambda promised: promised < -1e-12),
        Let(("through1", "through2"), lambda h1, h2: (1 - h1 * h1, 1 - h2 * h2)),
        Let("flat1", lambda through1, v1: (through1 < 0.1) & (abs(v1) > 1e-9)),
        Let("flat2", lambda through2, v2: (through2 < 0.1) & (abs(v2) > 1e-9)),
        Let("saturated", lambda flat1, flat2: flat1 & flat2),
    )  # fmt: skip
    graph = Panel(_draw_graph, _graph_marks(), GRAPH_ALT, 4.4)
    ahead = Panel(
        _draw_ahead,
        (
            Path("rate", "line", "vermillion", 1.6, dash=True, show="misses"),
            Path("rate", "left", "blue", 2.2, show="misses"),
            Points(RATE, "share", "black", 5.0, show="misses"),
        ),
        "The loss after one gradient step, as a share of the loss now, against the learning rate "
        "from 0 to 0.5. Dashed, the straight line that the slopes promise. A dot at rate 0.1.",
        4.4,
    )
    weight = {"low": -2.0, "high": 2.0, "step": 0.1, "form": ".1f"}
    scene = Scene(
        "Network",
        (
            Slider("w1", "Weight w₁, input to h₁", value=0.5, **weight),
            Slider("w2", "Weight w₂, input to h₂", value=-1.0, **weight),
            Slider("v1", "Weight v₁, h₁ to output", value=1.2, **weight),
            Slider("v2", "Weight v₂, h₂ to output", value=0.4, **weight),
            Slider("x", "Input x", value=1.5, **weight),
            Slider("y", "Target y", value=1.0, **weight),
        ),
        program,
        ((graph,), (ahead,)),
        (
            ("exact", "The output is the target: the loss and all slopes are 0 to four decimals, "
             "and a step changes nothing that you could see."),
            ("closed", "Both ways out are closed, v₁ = v₂ = 0. No slope gets back to w₁, w₂ and "
             "their biases: they stay, only v and the output's bias c can move." + STEP),
            ("alike", "The two hidden units are alike, so their slopes are alike, and after the "
             "step they are alike again: two units that do the work of one." + STEP),
            ("no_input", "The input is 0. No change of w₁ or w₂ would be noticed, and their slopes "
             "are 0." + STEP),
            ("saturated", "Both hidden units are saturated: h₁ = {h1:.3f} and h₂ = {h2:.3f} are "
             "close to ±1. Only 1 − h₁² = {through1:.3f} and 1 − h₂² = {through2:.3f} of the "
             "slopes in them get through, and w₁ and w₂ have the slopes {d_w1:.3f} and "
             "{d_w2:.3f}." + STEP),
            ("flat1", FLAT.format("₁", "1") + STEP),
            ("flat2", FLAT.format("₂", "2") + STEP),
            ("overshoots", "The slopes point the right way, and rate 0.1 is too much here: the "
             "step takes the loss up, from {loss} to {after}."),
            ("too_good", PROMISE + ", which no squared loss can be: the straight line is good for "
             "short steps only."),
            ("", PROMISE + "."),
        ),
    )  # fmt: skip
    return Explorer(
        "network-under-your-hands", "A network under your hands: values forward, slopes back", scene
    )


STEP = " One step of rate 0.1 takes the loss from {loss} to {after}."
FLAT = (
    "The unit h{0} is saturated: h{0} = {{h{1}:.3f}} is close to ±1. Only 1 − h{0}² = "
    "{{through{1}:.3f}} of the slope in it gets through, and w{0} has the slope {{d_w{1}:.3f}}."
)
PROMISE = (
    "The output is {out:.2f}, the target {y:.1f}." + STEP + " The slopes alone had promised "
    "{promised}"
)


def _exp(z):
    return sp.exp(z) if is_symbolic(z) else math.exp(z)


def _tanh(z):
    return 1 - 2 / (1 + _exp(2 * z))


def _loss_after(w1, w2, v1, v2, x, y, d_w1, d_w2, d_b1, d_b2, d_v1, d_v2, d_c, rate=RATE):
    """Give the loss after one step of gradient descent in all seven parameters."""
    h1 = _tanh((w1 - rate * d_w1) * x + BIAS - rate * d_b1)
    h2 = _tanh((w2 - rate * d_w2) * x + BIAS - rate * d_b2)
    miss = (v1 - rate * d_v1) * h1 + (v2 - rate * d_v2) * h2 - rate * d_c - y
    return miss * miss


PLACES = {"x": (0.7, 5.0), "h1": (5.0, 8.2), "h2": (5.0, 1.8), "out": (9.3, 5.0)}
EDGES = (("x", "h1"), ("x", "h2"), ("h1", "out"), ("h2", "out"))
GRAPH_ALT = (
    "The graph of the network: the input x at the left, two hidden units, the output at the right. "
    "On each line stand its weight and, in orange, the slope of the loss in it. On each unit stand "
    "its value and, in orange, the slope δ before the activation, which is also that of the bias."
)


def _graph_marks() -> tuple[Text, ...]:
    """Write values in blue and slopes in orange, beside the lines and units of the graph."""
    lines = [
        ("w₁ = {w1:.1f}", "slope {d_w1:.3f}", 2.0, 7.65),
        ("w₂ = {w2:.1f}", "slope {d_w2:.3f}", 2.0, 1.8),
        ("v₁ = {v1:.1f}", "slope {d_v1:.3f}", 8.1, 7.65),
        ("v₂ = {v2:.1f}", "slope {d_v2:.3f}", 8.1, 1.8),
        ("h₁ = {h1:.3f}", "δ₁ = {d_b1:.3f}", 5.0, 9.35),
        ("h₂ = {h2:.3f}", "δ₂ = {d_b2:.3f}", 5.0, 0.1),
        ("out = {out:.2f}", "δ = {d_c:.2f}", 6.95, 4.65),
    ]
    marks = [Text(0.6, 5.5, "x = {x:.1f}", "blue", "middle")]
    for value, slope, x, y in lines:
        marks.append(Text(x, y + 0.33, value, "blue", "middle"))
        marks.append(Text(x, y - 0.37, slope, "vermillion", "middle"))
    return (
        *marks,
        Text(3.55, 5.0, "target {y:.1f}", "black", "middle"),
        Text(3.55, 4.3, "loss {loss:.4f}", "black", "middle"),
    )


def _draw_graph(ax):
    for start, end in EDGES:
        (x0, y0), (x1, y1) = PLACES[start], PLACES[end]
        ax.plot([x0, x1], [y0, y1], color="#888888", lw=1.4)
    for x, y in PLACES.values():
        ax.plot(x, y, "o", ms=13, color=COLORS["sky"])
    ax.set(xlim=(-0.6, 10.4), ylim=(-0.8, 10.4), xticks=[], yticks=[])
    ax.set(title="Values (blue) and slopes (orange)")
    ax.set_xlabel("hidden biases 0.1, slopes δ₁ and δ₂; output's bias 0, slope δ", fontsize=8.5)
    for side in ax.spines.values():
        side.set_visible(False)


def _draw_ahead(ax):
    ax.axhline(1, color="#888888", lw=0.8)
    ax.set(xlim=(0, 0.5), ylim=(0, 2), title="One step ahead")
    ax.set(xlabel="learning rate", ylabel="loss after / loss now")


# --- the training run of the tiny net -------------------------------------------------------------

SIZES = (1, 16, 16, 1)
X = np.linspace(-1.0, 1.0, 100)[:, None]
Y = X**2
MEAN_SCORES = float(np.mean((Y - Y.mean()) ** 2))  # 0.0925
GRID = np.linspace(-1.0, 1.0, 41)
ROWS_PER_DECADE = 20
EPOCHS = tuple(round(10 ** (k / ROWS_PER_DECADE)) for k in range(3 * ROWS_PER_DECADE + 1))


def training_run() -> Explorer:
    """Make the explorer of three training runs of the net 1-16-16-1 on y = x^2, epoch by epoch.

    Returns
    -------
    Explorer
        One scene for each start; slider: the epoch (logarithmic).

    Notes
    -----
    The runs are recorded when the explorer is made: 1000 full-batch epochs of `nn.train` with
    rate 0.1 each. The first two are the runs that chapter 06 prints and plots.

    Examples
    --------
    >>> training_run()
    Explorer('training-run')
    """
    return Explorer(
        "training-run",
        "A training run: scrub through the epochs",
        _run_scene("tanh, Xavier", "tanh"),
        _run_scene("ReLU, He", "relu"),
        _run_scene("All units alike, tanh", "alike"),
    )


def start_of(kind: str) -> tuple[list[nn.Layer], str]:
    """Give the first parameters of a run, and its activation.

    Parameters
    ----------
    kind : {"tanh", "relu", "alike"}
        Which run.

    Returns
    -------
    params : list of Layer
        The start.
    activation : str
        For `nn.forward`.

    Examples
    --------
    >>> start_of("alike")[1]
    'tanh'
    """
    if kind == "alike":
        shapes = itertools.pairwise(SIZES)
        return [nn.Layer(np.full((a, b), 0.5 / a), np.zeros(b)) for a, b in shapes], "tanh"
    rng = np.random.default_rng(CHAPTERS_SEED)
    drawn = {name: nn.init_params(SIZES, rng=rng, scheme=scheme) for name, scheme in SCHEMES}
    return drawn[kind], kind


CHAPTERS_SEED = 12
SCHEMES = (("tanh", "xavier"), ("relu", "he"))  # in the order in which the chapter draws them


@functools.cache
def recorded(kind: str) -> tuple[list, list, list]:
    """Train, and record the run.

    Parameters
    ----------
    kind : {"tanh", "relu", "alike"}
        Which run.

    Returns
    -------
    rows : list of tuple
        For each of `EPOCHS` the epoch, the loss and the curve on `GRID`, in three decimals.
    losses : list of float
        The loss at the start and after every epoch.
    first : list of float
        The curve at the start.

    Examples
    --------
    >>> rows, losses, first = recorded("alike")
    >>> len(losses), round(losses[-1], 4)
    (1001, 0.0925)
    """
    start, activation = start_of(kind)
    curves = {}

    def curve(params):
        outputs = nn.forward(params, GRID[:, None], activation=activation)
        return np.round(outputs[:, 0], 3).tolist()

    def keep(epoch, params, value):
        if epoch in EPOCHS or not epoch:
            curves[epoch] = curve(params)

    def loss(params, X, y):
        return nn.mse(nn.forward(params, X, activation=activation), y)

    run = nn.train(start, loss, (X, Y), sgd(0.1), epochs=EPOCHS[-1], callback=keep)
    rows = [(epoch, float(f"{run.losses[epoch]:.5g}"), curves[epoch]) for epoch in EPOCHS]
    return rows, run.losses.tolist(), curves[0]


def _run_scene(title: str, kind: str) -> Scene:
    rows, losses, first = recorded(kind)
    program = Program(
        ("epoch",),
        Let("row", lambda epoch: _log10(epoch) * ROWS_PER_DECADE),
        Table(("done", "loss", "curve"), rows, "row"),
        Let("share", lambda loss: 100 * loss / MEAN_SCORES),
        Let("above", lambda loss: loss >= LEVEL_TO),
        Let("level", lambda loss: loss >= LEVEL_FROM),
        Let("below", lambda share: share >= 99),
        Let("close", lambda share: share < 5),
    )
    fit = Panel(
        lambda ax: _draw_fit(ax, title, first),
        (Path(tuple(GRID.tolist()), "curve", "vermillion", 2.2),),
        f"The points of the parabola and the curve of the network, {title}; dashed, its curve at "
        "the start.",
        3.8,
    )
    course = Panel(
        lambda ax: _draw_course(ax, losses),
        (
            Path(("epoch", "epoch"), (1e-4, "loss"), "vermillion", 1.4, dash=True),
            Handle("epoch", "loss", "Epoch on the loss curve"),
        ),
        "The loss against the epoch, both on logarithmic axes, with the dashed line at 0.0925 that "
        "predicting the mean scores. A point marks the epoch.",
        3.8,
    )
    slider = Slider("epoch", "Epoch", 1.0, float(EPOCHS[-1]), 10**2.4, 1 / ROWS_PER_DECADE,
                    log=True, form=".0f")  # fmt: skip
    return Scene(title, (slider,), program, ((fit,), (course,)), _sentences(losses))


def _sentences(losses) -> tuple[tuple[str, str], ...]:
    """Give the sentences that this run has a use for, the last of them without a condition."""
    loss = np.array([losses[epoch] for epoch in EPOCHS])
    share = 100 * loss / MEAN_SCORES
    useful = [
        ("above", ABOVE, loss >= LEVEL_TO),
        ("level", LEVEL, (loss >= LEVEL_FROM) & (loss < LEVEL_TO)),
        ("below", BELOW, (loss < LEVEL_FROM) & (share >= 99)),
        ("close", CLOSE, share < 5),
        ("", BETTER, (share >= 5) & (share < 99)),
    ]
    says = [(condition, words) for condition, words, holds in useful if holds.any()]
    return (*says[:-1], ("", says[-1][1]))


LEVEL_FROM, LEVEL_TO = 0.09245, 0.09255  # what reads 0.0925 in four decimals
AFTER = "After epoch {done:.0f} the loss is {loss:.4f}"
ABOVE = AFTER + ", still above the 0.0925 that predicting the mean scores."
LEVEL = AFTER + ", to four decimals what predicting the mean scores."
BELOW = AFTER + ", now just below the 0.0925 that predicting the mean scores."
BETTER = AFTER + ", {share:.0f} percent of what predicting the mean scores."
CLOSE = (
    AFTER
    + ", {share:.1f} percent of what predicting the mean scores: the curve is close to the points."
)


def _log10(x):
    return sp.log(x) / math.log(10) if is_symbolic(x) else math.log(x) / math.log(10)


def _draw_fit(ax, title, first):
    ax.plot(X[::3, 0], Y[::3, 0], "o", ms=4, color="#888888")
    ax.plot(GRID, first, "--", lw=1.4, color=COLORS["sky"])
    ax.set(xlim=(-1.05, 1.05), ylim=(-0.7, 1.6), xlabel="x", ylabel="y")
    ax.set(title=title, xticks=(-1, 0, 1), yticks=(0, 1))


def _draw_course(ax, losses):
    ax.axhline(MEAN_SCORES, color="#888888", lw=1, ls="--")
    ax.plot(range(1, len(losses)), losses[1:], lw=2, color=COLORS["blue"])
    ax.set(xscale="log", yscale="log", xlim=(0.9, 1300), ylim=(1e-4, 10), title="Loss")
    ax.set(xlabel="epoch")
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    ax.set_yticks([1e-4, 1e-2, 1], ["0.0001", "0.01", "1"])
    ax.text(1200, MEAN_SCORES * 1.15, "the mean", ha="right", fontsize=8.5)
    ax.minorticks_off()
