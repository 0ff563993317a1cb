"""Explorers of chapter 04: the error along each eigenvector, and Newton beside descent."""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from calclib import symbolic
from calclib.explorer.scene import Arrow, Bars, Handle, Panel, Path, Points, Scene, Slider, Text
from calclib.explorer.widget import Explorer
from calclib.optimizers import sgd
from calclib.plotting import COLORS
from calclib.problems import Problem, bowl, saddle, two_wells, valley
from calclib.tracing import Let, Orbit, Program, Sweep, cos, sin, sqrt, where

TOLERANCE = 1e-6  # gradient norm at which a point counts as critical
FLOOR = (
    1e-10  # what is drawn of a smaller slope: a point just below the log axis, not rounding noise
)

# --- a turned bowl: curvature 1 along the steep eigenvector, `gentle` along the other ------------

X, Y, COS, SIN, GENTLE = sp.symbols("x y c s gentle")
BOWL = ((COS * X + SIN * Y) ** 2 + GENTLE * (COS * Y - SIN * X) ** 2) / 2
SLOPES = sp.lambdify((X, Y, COS, SIN, GENTLE), list(symbolic.grad(BOWL, (X, Y))))
PARABOLA = bowl((0.5,))  # x^2 / 2, of curvature 1
START = 2.0  # error along each eigenvector before the first step
LEVELS = (0.06, 0.25, 0.6, 1.1, 1.8)
STEEP, SLOW, DESCENT, NEWTON = "blue", "purple", "orange", "green"


def eigen_bars() -> Explorer:
    """Make the explorer of eigenvectors: gradient descent shrinks the error along each on its own.

    Returns
    -------
    Explorer
        Sliders: condition number (logarithmic), angle in degrees, learning rate and step. The
        largest curvature is 1, so that the limit of the learning rate is 2.

    Examples
    --------
    >>> eigen_bars()
    Explorer('eigen-bars')
    """

    def step(x, y, on_steep, on_gentle, k, c, s, gentle, rate):
        slope_x, slope_y = SLOPES(x, y, c, s, gentle)
        return (
            x + _downhill(x, slope_x, rate),
            y + _downhill(y, slope_y, rate),
            on_steep + _downhill(on_steep, PARABOLA.grad(on_steep), rate),
            on_gentle + _downhill(on_gentle, gentle * PARABOLA.grad(on_gentle), rate),
            k + 1,
        )

    def ring(t, c, s, gentle, level):
        u, v = sqrt(2 * level) * cos(t), sqrt(2 * level / gentle) * sin(t)
        return (c * u - s * v, s * u + c * v)

    program = Program(
        ("kappa", "angle", "rate", "step"),
        Let(("c", "s"), lambda angle: (cos(angle * math.pi / 180), sin(angle * math.pi / 180))),
        Let("gentle", lambda kappa: 1 / kappa),
        Let(("x0", "y0"), lambda c, s: (START * (c - s), START * (s + c))),
        Orbit(
            ("x", "y", "on_steep", "on_gentle", "k"),
            lambda x0, y0: (x0, y0, 1.0, 1.0, 0),
            step,
            steps=40,
            until=lambda k, step: k >= step,
            bound=1e30,
        ),
        Let("along_steep", lambda on_steep_last: on_steep_last),
        Let("along_gentle", lambda on_gentle_last: on_gentle_last),
        Let(("newton_x", "newton_y"), lambda x0, y0, step: (
            where(step < 1, x0, 0), where(step < 1, y0, 0))),
        Let("newton_error", lambda step: where(step < 1, 1, 0)),
        Sweep("t", tuple(math.pi * k / 36 for k in range(73)), tuple(
            Let((f"ring_x{j}", f"ring_y{j}"),
                lambda t, c, s, gentle, level=level: ring(t, c, s, gentle, level))
            for j, level in enumerate(LEVELS)
        )),
        Let(("steep_x", "steep_y"), lambda c, s: (0.9 * c, 0.9 * s)),
        Let(("gentle_x", "gentle_y"), lambda c, s: (-0.9 * s, 0.9 * c)),
        Let("steep_factor", lambda rate: 1 - rate),
        Let("gentle_factor", lambda rate, gentle: 1 - rate * gentle),
        Let("best", lambda kappa: 2 * kappa / (kappa + 1)),
        Let("best_factor", lambda kappa: (kappa - 1) / (kappa + 1)),
        Let("begins", lambda step: step < 0.5),
        Let("round", lambda kappa: kappa < 1.001),
        Let("grows", lambda rate: rate > 2.001),
        Let("on_the_edge", lambda rate: rate > 1.999),
        Let("balanced", lambda rate, best: abs(rate - best) < 0.025),
        Let("in_one", lambda steep_factor: abs(steep_factor) < 0.001),
        Let("steep_is_slow", lambda steep_factor, gentle_factor:
            abs(steep_factor) > abs(gentle_factor)),
    )  # fmt: skip
    picture = Panel(
        _draw_plane,
        (
            *(Path(f"ring_x{j}", f"ring_y{j}", "sky", 1.0) for j in range(len(LEVELS))),
            Arrow(0.0, 0.0, "steep_x", "steep_y", STEEP),
            Arrow(0.0, 0.0, "gentle_x", "gentle_y", SLOW),
            Path(("x0", "newton_x"), ("y0", "newton_y"), NEWTON, 2.0, dash=True),
            Points("newton_x", "newton_y", NEWTON, 6.0, hollow=True),
            Path("x", "y", DESCENT, 1.6, dots=True),
            Points("x_last", "y_last", DESCENT, 5.0),
        ),
        "Level curves of a turned bowl: ellipses around the origin. Two arrows from the center "
        "are its eigenvectors. The points of gradient descent are joined by a line, the Newton "
        "step is a dashed line to the center.",
        3.9,
    )
    bars = Panel(
        _draw_bars,
        (
            Bars(1.0, "along_steep", 0.0, STEEP, 26.0),
            Bars(1.9, "newton_error", 0.0, NEWTON, 26.0),
            Bars(3.1, "along_gentle", 0.0, SLOW, 26.0),
            Bars(4.0, "newton_error", 0.0, NEWTON, 26.0),
            Points((1.9, 4.0), ("newton_error", "newton_error"), NEWTON, 4.0),
            Text(1.0, -1.24, "{along_steep:.2f}", STEEP, "middle"),
            Text(1.9, -1.24, "{newton_error:.0f}", NEWTON, "middle"),
            Text(3.1, -1.24, "{along_gentle:.2f}", SLOW, "middle"),
            Text(4.0, -1.24, "{newton_error:.0f}", NEWTON, "middle"),
        ),
        "Bars of the error along the steep and along the gentle eigenvector, as a share of the "
        "error at the start: after the steps of gradient descent, and beside it after one Newton "
        "step.",
        3.4,
    )
    sliders = (
        Slider("kappa", "Condition number κ", 1.0, 100.0, 10.0, step=0.05, log=True, form=".1f"),
        Slider("angle", "Turned by, degrees", 0.0, 90.0, 30.0, step=5.0, form=".0f"),
        Slider("rate", "Learning rate", 0.1, 2.2, 1.5, step=0.05),
        Slider("step", "Step", 0.0, 40.0, 6.0, step=1.0, form=".0f"),
    )
    scene = Scene("Eigen-bars", sliders, program, ((bars,), (picture,)), BARS)
    return Explorer(
        "eigen-bars", "Eigen-bars: one error for each eigenvector, one rate for all", scene
    )


_TURNED = " Turning the bowl, now by {angle:.0f}°, changes no bar."
_NOW = (
    "After {step:step} the error is {along_steep} of what it was along the steep eigenvector "
    "and {along_gentle} along the gentle one. "
)
_EACH = "Each step multiplies them by {steep_factor:.2f} and {gentle_factor:.2f}"
BARS = (
    (
        "begins",
        "The start: both errors are whole. With rate {rate:.2f} and κ = {kappa:.1f} a step of "
        "descent will multiply them by {steep_factor:.2f} (steep) and {gentle_factor:.2f} "
        "(gentle), a Newton step by 0." + _TURNED,
    ),
    (
        "round",
        "A round bowl, κ = 1: every direction is an eigenvector and each step multiplies every "
        "error by {steep_factor:.2f}. After {step:step} {along_steep} of it is there." + _TURNED,
    ),
    (
        "grows",
        _NOW + _EACH + ": the rate is above 2/λ = 2 of the steep direction, so that error grows. "
        "Newton needs no rate: one step ends both." + _TURNED,
    ),
    (
        "on_the_edge",
        _NOW
        + _EACH
        + ": this is the limit, 2/λ of the steep direction, whose error never fades."
        + _TURNED,
    ),
    (
        "balanced",
        _NOW
        + _EACH
        + ", nearly the same size: no shared rate does much better than (κ − 1)/(κ + 1) "
        "= {best_factor:.2f}. Newton needs one step." + _TURNED,
    ),
    (
        "in_one",
        _NOW + _EACH + ": the steep error is gone after one step, the gentle one fades at its own "
        "pace. Newton ends both at once." + _TURNED,
    ),
    (
        "steep_is_slow",
        _NOW + _EACH + ": the steep one is now the slower, so a smaller rate would do better. "
        "The best shared rate is {best:.2f}." + _TURNED,
    ),
    (
        "",
        _NOW + _EACH + ": the gentle one makes you wait. The best shared rate is {best:.2f}; "
        "Newton needs one step." + _TURNED,
    ),
)


def _draw_plane(ax):
    ax.plot(0, 0, "x", ms=8, mew=2, color=COLORS["green"])
    ax.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal", xlabel="x", ylabel="y")
    ax.set(xticks=(-2, 0, 2), yticks=(-2, 0, 2))
    ax.set_title("The bowl from above")


def _draw_bars(ax):
    ax.axhline(0, color="#888888", lw=0.8)
    ax.set(xlim=(0.4, 4.6), ylim=(-1.3, 1.3), yticks=(-1, 0, 1))
    ax.set_xticks(
        (1, 1.9, 3.1, 4),
        ("descent,\nsteep", "Newton,\nsteep", "descent,\ngentle", "Newton,\ngentle"),
    )
    ax.tick_params(axis="x", length=0, labelsize=9.5)
    ax.set_title("Error along each eigenvector")


# --- Newton beside gradient descent ---------------------------------------------------------------


def newton_beside_descent() -> Explorer:
    """Make the explorer of Newton's method beside gradient descent, on three functions.

    Returns
    -------
    Explorer
        Scenes: the two wells, with the parabola that Newton believes in; the valley of Rosenbrock;
        the saddle, which descent leaves and Newton lands on. Sliders for start and steps.

    Examples
    --------
    >>> newton_beside_descent()
    Explorer('newton-beside-descent')
    """
    return Explorer(
        "newton-beside-descent",
        "Newton beside gradient descent: who arrives, and where",
        _wells(),
        _valley(),
        _saddle(),
    )


def newton_step(problem: Problem, point: tuple) -> tuple:
    """Solve H p = -grad f for one or two variables, with numbers or symbols.

    Parameters
    ----------
    problem : Problem
        A function of one or two variables.
    point : tuple of float or sympy.Expr
        Where the step begins.

    Returns
    -------
    tuple
        The Newton step, one entry for each variable.

    Examples
    --------
    >>> [float(part) for part in newton_step(saddle(), (1.0, 1.0))]
    [-1.0, -1.0]
    """
    if len(point) == 1:
        (x,) = point
        return (-problem.grad(x) / problem.hess(x),)
    (a, b), (_, d) = problem.hess(point)
    g_x, g_y = problem.grad(point)
    area = a * d - b * b
    return ((b * g_y - d * g_x) / area, (b * g_x - a * g_y) / area)


def _wells() -> Scene:
    problem, rate = two_wells(), 0.05
    low, high = problem.domain[0]

    def model(t, x, value, slope, curvature):
        return value + slope * (t - x) + curvature * (t - x) * (t - x) / 2

    def newton(x, least, j):
        to = x + newton_step(problem, (x,))[0]
        bend = abs(problem.hess(x))
        steepness = _above(FLOOR, abs(problem.grad(to)))
        return (to, problem.fun(to), steepness, where(bend < least, bend, least), j + 1)

    def descend(down_x, k):
        to = down_x + _downhill(down_x, problem.grad(down_x), rate)
        return (to, problem.fun(to), _above(FLOOR, abs(problem.grad(to))), k + 1)

    program = Program(
        ("x0", "step"),
        Let("y0", lambda x0: problem.fun(x0)),
        Orbit(
            ("x", "value", "steepness", "least", "j"),
            lambda x0, y0: (x0, y0, _above(FLOOR, abs(problem.grad(x0))), abs(problem.hess(x0)), 0),
            newton,
            steps=6,
            count="made",
            until=lambda x, j, step: (j >= step) | (abs(x) > high),
        ),
        Orbit(
            ("down_x", "down_value", "down_steepness", "k"),
            lambda x0, y0: (x0, y0, _above(FLOOR, abs(problem.grad(x0))), 0),
            descend,
            steps=60,
            until=lambda down_x: abs(problem.grad(down_x)) < TOLERANCE,
        ),
        Let("slope", lambda x_last: problem.grad(x_last)),
        Let("curvature", lambda x_last: problem.hess(x_last)),
        Let("next_x", lambda x_last, slope, curvature: x_last - slope / curvature),
        Let("next_model", lambda x_last, value_last, slope, curvature, next_x:
            model(next_x, x_last, value_last, slope, curvature)),
        Sweep("t", tuple(np.linspace(low, high, 61)), (
            Let("belief", lambda t, x_last, value_last, slope, curvature:
                model(t, x_last, value_last, slope, curvature)),
        )),
        Let("arrived", lambda slope: abs(slope) < TOLERANCE),
        Let("on_a_maximum", lambda arrived, curvature: arrived & (curvature < 0)),
        Let("outside", lambda x_last: abs(x_last) > high),
        Let("cut_short", lambda outside, made, step: outside & (made < step)),
        Let("hollow", lambda curvature: curvature < 0),
        Let("leaps", lambda next_x: abs(next_x) > high),
        Let("leaps_to_a_top", lambda leaps, hollow: leaps & hollow),
    )  # fmt: skip
    graph = Panel(
        lambda ax: _draw_wells(ax, problem),
        (
            Path("t", "belief", "green", 1.6, dash=True),
            Path("down_x", "down_value", DESCENT, 1.2, dots=True),
            Points("down_x_last", "down_value_last", DESCENT, 5.0),
            Points("next_x", "next_model", "green", 5.0, hollow=True),
            Path("x", "value", "green", 1.2),
            Points("x_last", "value_last", "green", 5.5),
            Handle("x0", "y0", "Start point"),
        ),
        "The graph of x² + 10 sin x. A dashed parabola touches it where Newton stands; a ring "
        "marks its top or bottom, the place of the next step. The points of gradient descent are "
        "joined by a line.",
        4.0,
    )
    at = "After {made:step} of Newton from {x0:.1f}: x is {x_last:.4f}, "
    descent = " Descent with rate 0.05 ends at {down_x_last:.3f}, where f is {down_value_last:.3f}."
    divided = " A step is the slope divided by f″, and |f″| came down to {least_last} on the way."
    says = (
        (
            "on_a_maximum",
            at + "the top of the ridge. The slope is zero and f″ = {curvature:.1f} is negative: "
            "Newton has found a maximum." + descent,
        ),
        (
            "arrived",
            at + "a minimum, with slope zero to six decimals and f″ = {curvature:.1f}." + descent,
        ),
        (
            "cut_short",
            "From {x0:.1f} Newton left the picture with step {made:.0f}, at {x_last:.2f}; the "
            "other steps are not shown." + divided + descent,
        ),
        ("outside", at + "outside the picture." + divided + descent),
        (
            "leaps_to_a_top",
            at + "where f″ = {curvature} is negative. The parabola opens downward, but it is so "
            "flat that its top is far away, at {next_x:.1f}: the next step leaves the picture."
            + descent,
        ),
        (
            "leaps",
            at + "where f″ = {curvature}. The parabola opens upward, but it is so flat that its "
            "bottom is far away, at {next_x:.1f}: the next step leaves the picture." + descent,
        ),
        (
            "hollow",
            at + "where f″ = {curvature} is negative. The parabola opens downward and its "
            "top is at {next_x:.3f}: the next step goes there." + descent,
        ),
        (
            "",
            at + "where f″ = {curvature}. The parabola opens upward and its bottom is at "
            "{next_x:.3f}: the next step goes there." + descent,
        ),
    )
    sliders = (
        Slider("x0", "Start x₀", low, high, 2.6, step=0.1, form=".1f"),
        Slider("step", "Newton steps", 0.0, 6.0, 3.0, step=1.0, form=".0f"),
    )
    return Scene(
        "Two wells x² + 10 sin x", sliders, program, ((graph,), (_steepness("slope"),)), says
    )


def _draw_wells(ax, problem):
    xs, ys = problem.grid(241)
    ax.plot(xs, ys, lw=2.2, color=COLORS["blue"])
    ax.set(xlim=problem.domain[0], ylim=(-14, 48), xlabel="x", ylabel="f(x)")
    ax.set_title("Newton's parabola and the function")


def _valley() -> Scene:
    problem, rate = valley(), 5e-4

    def newton(x, y, peak, j):
        move_x, move_y = newton_step(problem, (x, y))
        to = (x + move_x, y + move_y)
        height = problem.fun(to)
        steepness = _above(FLOOR, sqrt(_squared(problem.grad(to))))
        return (*to, height, where(height > peak, height, peak), steepness, j + 1)

    def descend(down_x, down_y, k):
        slope_x, slope_y = problem.grad((down_x, down_y))
        to = (
            down_x + _downhill(down_x, slope_x, rate),
            down_y + _downhill(down_y, slope_y, rate),
        )
        return (*to, _above(FLOOR, sqrt(_squared(problem.grad(to)))), k + 1)

    program = Program(
        ("x0", "y0", "step"),
        Let("value0", lambda x0, y0: problem.fun((x0, y0))),
        Let("gradient0", lambda x0, y0: _above(FLOOR, sqrt(_squared(problem.grad((x0, y0)))))),
        Orbit(
            ("x", "y", "value", "peak", "steepness", "j"),
            lambda x0, y0, value0, gradient0: (x0, y0, value0, value0, gradient0, 0),
            newton,
            steps=8,
            count="made",
            until=lambda j, step: j >= step,
        ),
        Orbit(
            ("down_x", "down_y", "down_steepness", "k"),
            lambda x0, y0, gradient0: (x0, y0, gradient0, 0),
            descend,
            steps=200,
            until=lambda down_x, down_y: _squared(problem.grad((down_x, down_y))) < TOLERANCE**2,
        ),
        Let("down_value", lambda down_x_last, down_y_last: problem.fun((down_x_last, down_y_last))),
        Let("begins", lambda step: step < 0.5),
        Let("arrived", lambda steepness_last: steepness_last < TOLERANCE),
        Let("climbed", lambda peak_last, value0: peak_last > (1 + 1e-9) * value0 + 1e-9),
        Let("arrived_climbing", lambda arrived, climbed: arrived & climbed),
    )
    level_curves = Panel(
        lambda ax: _draw_valley(ax, problem),
        (
            Path("down_x", "down_y", DESCENT, 1.6),
            Points("down_x_last", "down_y_last", DESCENT, 5.0),
            Path("x", "y", "green", 1.4, dots=True),
            Points("x_last", "y_last", "green", 5.5),
            Handle("x0", "y0", "Start point"),
        ),
        "Level curves of the valley of Rosenbrock with the minimum as a cross, the points of "
        "gradient descent and those of Newton's method, each joined by a line.",
        4.4,
    )
    at = (
        "From ({x0:.1f}, {y0:.1f}), where f is {value0}: after {made:step} Newton is at "
        "({x_last:.3f}, {y_last:.3f})"
    )
    descent = "Descent with rate 0.0005 reaches f = {down_value} in {n:step}."
    says = (
        (
            "begins",
            "From ({x0:.1f}, {y0:.1f}), where f is {value0}, Newton has not moved yet. " + descent,
        ),
        (
            "arrived_climbing",
            at + ", the minimum. On the way f rose to {peak_last}: Newton does not look "
            "whether a step goes down. " + descent,
        ),
        ("arrived", at + ", the minimum, and f never rose above its start. " + descent),
        ("climbed", at + ", where f is {value_last}. On the way f rose to {peak_last}. " + descent),
        ("", at + ", where f is {value_last}. " + descent),
    )
    (low_x, high_x), (low_y, high_y) = problem.domain
    sliders = (
        Slider("x0", "Start x₀", low_x, high_x, -1.2, step=0.1, form=".1f"),
        Slider("y0", "Start y₀", low_y, high_y, 1.0, step=0.1, form=".1f"),
        Slider("step", "Newton steps", 0.0, 8.0, 5.0, step=1.0, form=".0f"),
    )
    columns = ((level_curves,), (_steepness("gradient's length"),))
    return Scene("Valley (Rosenbrock)", sliders, program, columns, says)


def _draw_valley(ax, problem):
    xs, ys = np.meshgrid(np.linspace(-2.2, 2.2, 121), np.linspace(-4, 3.2, 161))
    heights = problem.fun(np.array([xs.ravel(), ys.ravel()])).reshape(xs.shape)
    levels = np.geomspace(1, 6000, 9)
    ax.contour(xs, ys, heights, levels=levels, colors=COLORS["sky"], linewidths=1)
    ax.plot(1, 1, "x", ms=8, mew=2, color=COLORS["green"])
    ax.set(xlim=(-2.2, 2.2), ylim=(-4, 3.2), xlabel="x", ylabel="y")
    ax.set_title("Descent creeps, Newton leaps")


def _saddle() -> Scene:
    problem, rate = saddle(), 0.1
    eigenvalues, eigenvectors = np.linalg.eigh(problem.hess([0.0, 0.0]))
    out_x, out_y = (float(part) for part in eigenvectors[:, 0] * np.sign(eigenvectors[0, 0]))
    out_factor, in_factor = (float(1 - rate * value) for value in eigenvalues)

    def descend(x, y, k):
        slope_x, slope_y = problem.grad((x, y))
        to = (x + _downhill(x, slope_x, rate), y + _downhill(y, slope_y, rate))
        return (*to, *parts_of(*to), k + 1)

    def parts_of(x, y):
        return (_above(1e-7, abs(out_x * x + out_y * y)), _above(1e-7, abs(out_x * y - out_y * x)))

    def newton_from(x0, y0):
        move_x, move_y = newton_step(problem, (x0, y0))
        return (x0 + move_x, y0 + move_y)

    program = Program(
        ("x0", "y0", "step"),
        Let(("out0", "across0"), lambda x0, y0: parts_of(x0, y0)),
        Orbit(
            ("x", "y", "part_out", "part_across", "k"),
            lambda x0, y0, out0, across0: (x0, y0, out0, across0, 0),
            descend,
            steps=80,
            until=lambda k, step: k >= step,
        ),
        Let(("newton_x", "newton_y"), newton_from),
        Let("value0", lambda x0, y0: problem.fun((x0, y0))),
        Let("value", lambda x_last, y_last: _rounded(problem.fun((x_last, y_last)))),
        Let("out", lambda part_out_last: part_out_last),
        Let("across", lambda part_across_last: part_across_last),
        Let("out_factor", lambda step: out_factor + 0 * step),
        Let("in_factor", lambda step: in_factor + 0 * step),
        Let("there", lambda x0, y0: abs(x0) + abs(y0) < 1e-9),
        Let("begins", lambda step: step < 0.5),
        Let("coming", lambda out, across: out <= across),
        Let("came", lambda out0, across0: out0 <= across0),
    )  # fmt: skip
    level_curves = Panel(
        lambda ax: _draw_saddle(ax, problem, (out_x, out_y)),
        (
            Path(("x0", "newton_x"), ("y0", "newton_y"), "green", 2.0, dash=True),
            Points("newton_x", "newton_y", "green", 6.0, hollow=True),
            Path("x", "y", DESCENT, 1.6, dots=True),
            Points("x_last", "y_last", DESCENT, 5.0),
            Handle("x0", "y0", "Start point"),
        ),
        "Level curves of the saddle x² + 3y² − 4xy with its two eigenvectors as lines through the "
        "origin, marked “up” and “down”. The points of gradient descent bend away from the saddle "
        "along “down”, the Newton step is a dashed line that ends on it.",
        4.0,
    )
    parts = (
        "After {step:step} of descent from ({x0:.1f}, {y0:.1f}) the part along “up” is "
        "{across:.4f} (it was {across0}, times {in_factor:.3f} each step) and the part along "
        "“down” is {out} (it was {out0}, times {out_factor:.3f}). "
    )
    newton = " One Newton step lands on the saddle itself, and stays."
    leaving = "leaving along “down”: f is {value}, from {value0}, and has no lowest value."
    says = (
        (
            "there",
            "You start on the saddle: the gradient is zero, so neither descent nor Newton moves, "
            "in {step:step} or in any number.",
        ),
        (
            "begins",
            "From ({x0:.1f}, {y0:.1f}), where f is {value0}, descent has not moved yet." + newton,
        ),
        (
            "coming",
            parts + "It is still coming in along “up”, but the other part grows, and in the end it "
            "will leave; f is {value}." + newton,
        ),
        ("came", parts + "It came in along “up” and is now " + leaving + newton),
        ("", parts + "It is " + leaving + newton),
    )
    sliders = (
        Slider("x0", "Start x₀", -2.0, 2.0, -1.0, step=0.1, form=".1f"),
        Slider("y0", "Start y₀", -2.0, 2.0, 2.0, step=0.1, form=".1f"),
        Slider("step", "Steps of descent", 0.0, 80.0, 40.0, step=1.0, form=".0f"),
    )
    return Scene("Saddle x² + 3y² − 4xy", sliders, program, ((level_curves,), (_parts(),)), says)


def _steepness(name) -> Panel:
    """Draw how fast the slope goes to zero: a line for descent, a plunge for Newton."""
    return Panel(
        lambda ax: _draw_steepness(ax, name),
        (
            Path("k", "down_steepness", DESCENT, 1.4, dots=True),
            Path("j", "steepness", NEWTON, 1.8, dots=True),
        ),
        f"The {name} after each of the first twenty steps, on a logarithmic axis: one line for "
        "gradient descent, one for Newton's method.",
        3.0,
    )


def _draw_steepness(ax, name):
    ax.set(yscale="log", xlim=(-0.3, 20), ylim=(1e-9, 1e5), xlabel="step")
    ax.set_yticks([1e-8, 1e-4, 1, 1e4], ["10⁻⁸", "10⁻⁴", "1", "10⁴"])
    ax.minorticks_off()
    ax.set_title(f"The {name} after each step")


def _parts() -> Panel:
    """Draw the two parts of the way of descent, one for each eigenvector of the saddle."""
    return Panel(
        _draw_parts,
        (
            Path("k", "part_out", DESCENT, 1.6),
            Points("k_last", "out", DESCENT, 4.5),
            Path("k", "part_across", SLOW, 1.6),
            Points("k_last", "across", SLOW, 4.5),
        ),
        "The distance from the saddle after each step of descent, on a logarithmic axis, split in "
        "two: the part along “down”, (0.851, 0.526), grows slowly, the part along “up” falls fast.",
        3.0,
    )


def _draw_parts(ax):
    ax.set(yscale="log", xlim=(-1, 80), ylim=(1e-6, 1e3), xlabel="step of descent")
    ax.set_yticks([1e-6, 1e-3, 1, 1e3], ["10⁻⁶", "10⁻³", "1", "1000"])
    ax.minorticks_off()
    ax.text(12, 6e-6, "along “up” (purple): falls", fontsize=9.5)
    ax.text(12, 6e-3, "along “down” (orange): grows", fontsize=9.5)
    ax.set_title("The two parts of the distance")


def _draw_saddle(ax, problem, direction):
    xs, ys, heights = problem.grid(121)
    levels = [-8, -4, -2, -1, -0.4, 0.4, 2, 6, 14, 30]
    ax.contour(xs, ys, heights, levels=levels, colors=COLORS["sky"], linewidths=1, linestyles="-")
    reach = 4 * np.array(direction)
    ax.plot([-reach[0], reach[0]], [-reach[1], reach[1]], ":", lw=1.4, color="#888888")
    ax.plot([reach[1], -reach[1]], [-reach[0], reach[0]], ":", lw=1.4, color="#888888")
    ax.text(2.0, 0.75, "down", ha="left", va="top", fontsize=9.5)
    ax.text(-1.15, 2.45, "up", ha="right", va="center", fontsize=9.5)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel="x", ylabel="y")
    ax.set_title("Descent leaves, Newton lands")


def _downhill(x, slope, rate):
    """Give the step of gradient descent in one coordinate."""
    rule = sgd(rate)
    return rule.update(slope, rule.init(x), x)[0]


def _above(floor, value):
    return where(value < floor, floor, value)


def _rounded(value):
    return where(abs(value) < 1e-12, 0, value)


def _squared(vector):
    return sum(part * part for part in vector)
