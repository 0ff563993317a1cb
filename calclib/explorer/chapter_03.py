"""Explorer of chapter 03: the learning-rate dial."""

from __future__ import annotations

import math

import numpy as np

from calclib.explorer.scene import Handle, Panel, Path, Points, Scene, Slider
from calclib.explorer.widget import Explorer
from calclib.optimizers import sgd
from calclib.plotting import COLORS
from calclib.problems import Problem, bowl, plateau, two_wells, valley
from calclib.tracing import Let, Orbit, Program, sqrt, where

TOLERANCE = 1e-6  # gradient norm at which a run has converged


def learning_rate_dial() -> Explorer:
    """Make the explorer of the learning rate: gradient descent on five functions.

    Returns
    -------
    Explorer
        One scene for each function; sliders for the start point and the rate (logarithmic).

    Examples
    --------
    >>> learning_rate_dial()
    Explorer('learning-rate-dial')
    """
    return Explorer(
        "learning-rate-dial",
        "Learning-rate dial: turn it until the descent breaks",
        _on_a_line("Bowl x²", bowl((1.0,)), 5.0, (-1.5, 0.3), 0.9, BOWL),
        _on_a_line("Two wells x² + 10 sin x", two_wells(), 1.5, (-2.5, -0.6), 0.02, WELLS,
                   mark="2/λ, deep well"),
        _on_a_line("Plateau x² + 5 sin x", plateau(), 5.0, (-2.5, -0.3), 0.01, PLATEAU),
        _on_a_map("Bowl x² + 10y²", bowl(), (5.0, 1.5), (-2.5, -0.7), 0.09, LONG_BOWL),
        _on_a_map("Valley (Rosenbrock)", valley(), (-1.0, 1.0), (-4.0, -2.0), 0.001,
                  VALLEY, steps=500),
    )  # fmt: skip


def _on_a_line(title, problem: Problem, start, rates, rate, says, mark="2/λ") -> Scene:
    """Descent on a function of one variable, drawn on its graph."""
    depth = float(problem.fun(problem.minimizers[0, 0]))
    curvature = float(problem.hess(problem.minimizers[0, 0]))

    def step(x, before, k, rises, value, rate):
        rule = sgd(rate)
        move, _ = rule.update(problem.grad(x), rule.init(x), x)
        height = problem.fun(x + move)
        return (x + move, x, before, k + 1, _count(rises, height, value), height, height - depth)

    program = Program(
        ("x0", "rate"),
        Let("y0", lambda x0: problem.fun(x0)),
        Orbit(
            ("x", "before", "before_that", "k", "rises", "value", "excess"),
            lambda x0, y0: (x0, x0 - 1, x0 - 2, 0, 0, y0, y0 - depth),
            step,
            steps=50,
            until=lambda x: abs(problem.grad(x)) < TOLERANCE,
        ),
        Let("slope", lambda x_last: problem.grad(x_last)),
        Let("gradient", lambda slope: abs(slope)),
        Let("move", lambda x_last, before_last: abs(x_last - before_last)),
        Let("shift", lambda x_last, before_that_last: abs(x_last - before_that_last)),
        *_outcome(curvature),
        Let("shallow", lambda gradient, x_last: (gradient < TOLERANCE) & (x_last > 2)),
    )
    graph = Panel(
        lambda ax: _draw_graph(ax, problem, title),
        (
            Path("x", "value", "orange", 1.4, dots=True),
            Points("x_last", "value_last", "orange", 5.0),
            Handle("x0", "y0", "Start point"),
        ),
        f"The graph of {title}, the points of the descent joined by a line, and the start point.",
        4.0,
    )
    dial = _dial(*rates, rate, 2 / curvature)
    sliders = (
        Slider("x0", "Start x₀", *problem.domain[0], start, step=0.1, form=".1f"),
        dial,
    )
    return Scene(title, sliders, program, ((graph,), _gauges(dial, curvature, mark=mark)), says)


def _on_a_map(title, problem: Problem, start, rates, rate, says, steps=50) -> Scene:
    """Descent on a function of two variables, drawn on its level curves."""
    depth = float(problem.fun(problem.minimizers[:, 0]))
    curvature = float(np.linalg.eigvalsh(problem.hess(problem.minimizers[:, 0]))[-1])
    gentle = float(np.linalg.eigvalsh(problem.hess(problem.minimizers[:, 0]))[0])

    def step(x, y, x_before, y_before, k, rises, value, rate):
        rule = sgd(rate)
        slope_x, slope_y = problem.grad((x, y))
        move_x, _ = rule.update(slope_x, rule.init(x), x)
        move_y, _ = rule.update(slope_y, rule.init(y), y)
        point = (x + move_x, y + move_y)
        height = problem.fun(point)
        count = _count(rises, height, value)
        return (*point, x, y, x_before, y_before, k + 1, count, height, height - depth)

    program = Program(
        ("x0", "y0", "rate"),
        Let("value0", lambda x0, y0: problem.fun((x0, y0))),
        Orbit(
            ("x", "y", "x_before", "y_before", "x_before_that", "y_before_that",
             "k", "rises", "value", "excess"),
            lambda x0, y0, value0: (x0, y0, x0 - 1, y0 - 1, x0 - 2, y0 - 2, 0, 0,
                                    value0, value0 - depth),
            step,
            steps=steps,
            until=lambda x, y: _squared(problem.grad((x, y))) < TOLERANCE**2,
        ),
        Let("gradient", lambda x_last, y_last: sqrt(_squared(problem.grad((x_last, y_last))))),
        Let("move", lambda x_last, y_last, x_before_last, y_before_last:
            abs(x_last - x_before_last) + abs(y_last - y_before_last)),
        Let("shift", lambda x_last, y_last, x_before_that_last, y_before_that_last:
            abs(x_last - x_before_that_last) + abs(y_last - y_before_that_last)),
        *_outcome(curvature),
        Let("gentle_factor", lambda rate: 1 - rate * gentle),
        Let("on_axis", lambda y0: abs(y0) < 1e-9),
    )  # fmt: skip
    level_curves = Panel(
        lambda ax: _draw_map(ax, problem, title),
        (
            Path("x", "y", "orange", 1.4, dots=steps <= 50),
            Points("x_last", "y_last", "orange", 5.0),
            Handle("x0", "y0", "Start point"),
        ),
        f"Level curves of {title} with the minimum as a cross, the points of the descent "
        "joined by a line, and the start point.",
        4.0,
    )
    dial, (span_x, span_y) = _dial(*rates, rate, 2 / curvature), problem.domain
    sliders = (
        Slider("x0", "Start x₀", *span_x, start[0], step=0.1, form=".1f"),
        Slider("y0", "Start y₀", *span_y, start[1], step=0.1, form=".1f"),
        dial,
    )
    return Scene(title, sliders, program, ((level_curves,), _gauges(dial, curvature, steps)), says)


def _dial(low, high, rate, limit) -> Slider:
    """Make the slider of the rate, from about 10^low to 10^high.

    A position is about 0.01 decades from the next, such that the rate at first and 2/λ are both
    positions, and so are the ends.
    """
    decades = math.log10(limit / rate)
    step = decades / round(decades / 0.01)
    low, high = (step * round((end - math.log10(rate)) / step) for end in (low, high))
    high += 1e-9  # the markup rounds its numbers, which must not cut the last position off
    ends = (rate * 10**low, rate * 10**high)
    return Slider("rate", "Learning rate", *ends, rate, step=step, log=True, form="g")


def _count(rises, height, before):
    """Count one more step if it did not lower the function."""
    return rises + where(height < before, 0, 1)


def _squared(vector):
    return sum(part * part for part in vector)


def _outcome(curvature) -> tuple[Let, ...]:
    """Tell how the run ended; `curvature` is the largest at the minimum."""
    return (
        Let("stays", lambda n: n < 1),
        Let("settled", lambda gradient: gradient < TOLERANCE),
        Let("escaped", lambda excess_last: excess_last > 1e9),
        Let("cycles", lambda shift, move: (shift < 1e-3 * move) & (move > 1e-3)),
        Let("hops", lambda rises_last: rises_last > 2),
        Let("factor", lambda rate: 1 - rate * curvature),
        Let("too_fast", lambda factor: factor < -1.001),
        Let("on_the_edge", lambda factor: factor < -0.999),
        Let("zigzags", lambda factor: factor < -0.005),
        Let("in_one", lambda factor: factor < 0.005),
        Let("limit", lambda rate: 2 / curvature + 0 * rate),
    )


# --- what the sentences say: the first condition that holds is said ---------------------------

_STAYS = ("stays", "You start where the slope is zero: nothing moves, whatever the rate.")

_EACH = "Each step multiplies the error by {factor:.2f}: "
_X = " After {n:step} x is {x_last}."
BOWL = (
    _STAYS,
    ("too_fast", _EACH + "it zigzags and diverges. The limit is 2/λ = {limit:.2f}."),
    ("on_the_edge", _EACH + "it jumps from side to side forever. This is the limit, 2/λ."),
    ("zigzags", _EACH + "it zigzags and converges." + _X),
    ("in_one", _EACH + "one step lands on the minimum."),
    ("", _EACH + "it converges from one side." + _X),
)

_BOTH = "Each step multiplies the error by {factor:.2f} along y and {gentle_factor:.2f} along x: "
_AT = " After {n:step} it is at ({x_last}, {y_last})."
LONG_BOWL = (
    _STAYS,
    (
        "on_axis",
        "You start on the x axis, so y has no error to grow. Each step multiplies the error along "
        "x by {gentle_factor:.2f}." + _AT,
    ),
    ("too_fast", _BOTH + "it diverges along y. The limit is 2/λ = {limit:.2f}." + _AT),
    (
        "on_the_edge",
        _BOTH + "along y it jumps from side to side forever. This is the limit, 2/λ." + _AT,
    ),
    ("zigzags", _BOTH + "it zigzags across the bowl and converges." + _AT),
    ("in_one", _BOTH + "the steep direction is solved in one step, the gentle one is not." + _AT),
    ("", _BOTH + "it converges without a zigzag." + _AT),
)

_ENDS = "It converges: after {n:step} the slope is zero to six decimals, at x = {x_last:.4f} "
_SETTLED = ("settled", _ENDS + "with f = {value_last:.4f}.")
_CYCLES = (
    "cycles",
    "It never settles: it jumps forever between {before_last:.3f} and {x_last:.3f}. The rate is "
    "above 2/λ of this minimum.",
)
_HOPS = (
    "hops",
    "It does not settle: {rises_last:.0f} of {n:step} did not go down. After them x is "
    "{x_last:.3f} and f is {value_last:.3f}.",
)
_MOVING = (
    "",
    "Not done after {n:step}: x is {x_last:.4f}, f is {value_last:.4f}, and the slope "
    "{slope} is not zero yet.",
)
_SHALLOW = (
    "shallow",
    _ENDS + "in the shallow well, with f = {value_last:.4f}. It knows nothing of the deep well.",
)
WELLS = (_SHALLOW, _SETTLED, _CYCLES, _HOPS, _MOVING)
PLATEAU = (_SETTLED, _CYCLES, _HOPS, _MOVING)

_WHERE = " After {n:step} it is at ({x_last:.4f}, {y_last:.4f}), where f is {value_last}."
VALLEY = (
    _STAYS,
    (
        "escaped",
        "It diverges: within {n:step} f has passed {value_last}. At the minimum the limit is "
        "2/λ = {limit}.",
    ),
    ("hops", "It does not settle: {rises_last:.0f} of its steps did not go down." + _WHERE),
    ("", "It creeps: the walls are steep, the floor of the valley is almost flat." + _WHERE),
)


# --- backdrops --------------------------------------------------------------------------------


def _gauges(slider, curvature, steps=50, mark="2/λ") -> tuple[Panel, Panel]:
    """Loss on a log axis, and the dial with 2/λ marked: the right column of every scene."""
    losses = Panel(
        lambda ax: _draw_losses(ax, steps),
        (Path("k", "excess", "orange", 1.6, dots=steps <= 50),),
        "Height above the minimum after each step, on a logarithmic axis.",
        2.6,
    )
    dial = Panel(
        lambda ax: _draw_dial(ax, (slider.low, slider.high), curvature, mark),
        (
            Path(("rate", "rate"), (0.0, 1.0), "black", 2.5),
            Handle("rate", 0.5, "Learning rate on the dial"),
        ),
        "The dial: learning rates on a logarithmic axis. Up to 1/λ the steps come from one side, "
        "up to 2/λ they zigzag, beyond they do not settle.",
        1.4,
    )
    return losses, dial


def _draw_graph(ax, problem, title):
    xs, ys = problem.grid(241)
    ax.plot(xs, ys, lw=2.2, color=COLORS["blue"])
    reach = ys.max() - ys.min()
    for x, y in zip(problem.minimizers[0], problem.fun(problem.minimizers), strict=True):
        ax.plot(x, y, "x", ms=8, mew=2, color=COLORS["green"])
    ax.set(xlim=problem.domain[0], ylim=(ys.min() - 0.08 * reach, ys.max() + 0.05 * reach))
    ax.set(title=title, xlabel="x", ylabel="f(x)")


def _draw_map(ax, problem, title):
    xs, ys, heights = problem.grid(121)
    low = heights.min()
    levels = low + (heights.max() - low) * np.linspace(0.04, 1, 9) ** 2
    ax.contour(xs, ys, heights, levels=levels, colors=COLORS["sky"], linewidths=1)
    ax.plot(*problem.minimizers, "x", ms=8, mew=2, color=COLORS["green"])
    ax.set(xlim=problem.domain[0], ylim=problem.domain[1], title=title, xlabel="x", ylabel="y")


def _draw_losses(ax, steps):
    ax.set(yscale="log", xlim=(0, steps), ylim=(1e-13, 1e7), title="Height above the minimum")
    ax.set(xlabel="step")
    ax.set_yticks([1e-12, 1e-6, 1, 1e6], ["10⁻¹²", "10⁻⁶", "1", "10⁶"])
    ax.minorticks_off()


def _draw_dial(ax, rates, curvature, mark):
    one, two = 1 / curvature, 2 / curvature
    zones = (
        (rates[0], one, "green", "one side"),
        (one, two, "sky", "zigzag"),
        (two, rates[1], "vermillion", "breaks"),
    )
    for low, high, color, word in zones:
        ax.axvspan(low, high, color=COLORS[color], alpha=0.3, lw=0)
        if high > 1.9 * low:
            ax.text((low * high) ** 0.5, 0.85, word, ha="center", va="center", fontsize=8.5)
    ax.set(xscale="log", xlim=rates, ylim=(0, 1), yticks=[], title="Learning rate")
    ax.set_xticks([rates[0], two], [f"{rates[0]:.1g}", f"{mark} = {two:.3g}"])
    if two > 0.5 * rates[1]:
        ax.get_xticklabels()[1].set_horizontalalignment("right")
    ax.minorticks_off()
    ax.spines["left"].set_visible(False)
