"""Explorer of chapter 02: the compass, which reads the slope in each direction."""

from __future__ import annotations

import math

import numpy as np

from calclib.explorer.scene import Arrow, Handle, Panel, Path, Points, Scene, Slider, Text
from calclib.explorer.widget import Explorer
from calclib.plotting import COLORS
from calclib.problems import bowl
from calclib.tracing import Let, Program, Sweep, cos, sin, sqrt

SURFACE = bowl((1.0, 3.0))  # x^2 + 3y^2
DEGREE = math.pi / 180
# The nearest whole degree is at most half a degree off.
COS_HALF_DEGREE, SIN_HALF_DEGREE = math.cos(0.5 * DEGREE), math.sin(0.5 * DEGREE)
COS_FIVE_DEGREES = math.cos(5 * DEGREE)


def compass() -> Explorer:
    """Make the explorer of the directional derivative: turn an arrow, read the slope along it.

    Returns
    -------
    Explorer
        Sliders: angle in degrees, x and y.

    Examples
    --------
    >>> compass()
    Explorer('compass')
    """
    program = Program(
        ("angle", "x", "y"),
        Let(("g_x", "g_y"), lambda x, y: SURFACE.grad([x, y])),
        Let("steepest", lambda g_x, g_y: sqrt(g_x * g_x + g_y * g_y)),
        Let(("u_x", "u_y"), lambda angle: (cos(angle * DEGREE), sin(angle * DEGREE))),
        Let("slope", lambda g_x, g_y, u_x, u_y: g_x * u_x + g_y * u_y),
        Let("cosine", lambda slope, steepest: slope / (steepest + 1e-300)),
        Let("share", lambda cosine: 100 * abs(cosine)),
        Let(("arrow_x", "arrow_y"), lambda g_x, g_y: (0.12 * g_x, 0.12 * g_y)),
        Let(("tip_x", "tip_y"), lambda x, y, arrow_x, arrow_y: (x + arrow_x, y + arrow_y)),
        Let(("end_x", "end_y"), lambda x, y, u_x, u_y: (x + u_x, y + u_y)),
        Sweep("turn", tuple(5.0 * k for k in range(73)), (
            Let("slope_at", lambda turn, g_x, g_y:
                g_x * cos(turn * DEGREE) + g_y * sin(turn * DEGREE)),
        )),
        Let("flat", lambda steepest: steepest < 1e-9),
        Let("up", lambda cosine: cosine >= COS_HALF_DEGREE),
        Let("down", lambda cosine: cosine <= -COS_HALF_DEGREE),
        Let("level", lambda cosine: abs(cosine) <= SIN_HALF_DEGREE),
        Let("almost_up", lambda cosine: cosine > COS_FIVE_DEGREES),
        Let("almost_down", lambda cosine: cosine < -COS_FIVE_DEGREES),
        Let("climbs", lambda slope: slope > 0),
    )  # fmt: skip
    contours = Panel(
        _draw_contours,
        (
            Arrow("x", "y", "arrow_x", "arrow_y", "blue"),
            Arrow("x", "y", "u_x", "u_y", "vermillion"),
            Text("tip_x", "tip_y", "∇f", "blue"),
            Text("end_x", "end_y", "u", "vermillion"),
            Handle("x", "y", "Point on the map", "green"),
        ),
        "Level curves of x² + 3y², ellipses around the origin. At the point stand the gradient, "
        "drawn at 0.12 of its length, and the unit arrow of the chosen direction.",
        3.9,
    )
    rose = Panel(
        _draw_slopes,
        (
            Path("turn", "slope_at", "blue", 2.2),
            Path(("angle", "angle"), (0.0, "slope"), "vermillion", 2.2),
            Points("angle", 0.0, "vermillion", 2.5),
            Handle("angle", "slope", "Angle on the slope curve"),
        ),
        "The slope against the angle of the direction: one period of a cosine, as high as the "
        "gradient is long. The chosen angle is marked.",
        3.9,
    )
    at = "Along {angle:.0f}° the slope at ({x:.1f}, {y:.1f}) is {slope:.2f}"
    scene = Scene(
        "Compass",
        (
            Slider("angle", "Angle, degrees", 0.0, 360.0, 20.0, step=1.0, form=".0f"),
            Slider("x", "x", -2.0, 2.0, 1.5, step=0.1, form=".1f"),
            Slider("y", "y", -1.5, 1.5, 0.5, step=0.1, form=".1f"),
        ),
        program,
        ((contours,), (rose,)),
        (
            ("flat", "At (0, 0) the gradient is zero: the slope is 0 in every direction."),
            ("up", at + ": steepest ascent, the direction of the gradient, whose length is "
             "{steepest:.2f}."),
            ("down", at + ": steepest descent, straight against the gradient, whose length is "
             "{steepest:.2f}."),
            ("level", at + ", to the whole degree none: a direction of no change. The arrow lies "
             "along the level curve, square to the gradient."),
            ("almost_up", at + ": uphill, almost the steepest way, whose slope is "
             "{steepest:.2f}."),
            ("almost_down", at + ": downhill, almost the steepest way down, whose slope is "
             "−{steepest:.2f}."),
            ("climbs", at + ": uphill, {share:.0f} percent of the steepest slope {steepest:.2f}."),
            ("", at + ": downhill, {share:.0f} percent of the steepest slope {steepest:.2f}."),
        ),
    )  # fmt: skip
    return Explorer("compass", "Compass: turn the direction, read the slope", scene)


def _draw_contours(ax):
    x, y = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-2.5, 2.5, 101))
    heights = SURFACE.fun(np.array([x.ravel(), y.ravel()])).reshape(x.shape)
    ax.contour(x, y, heights, levels=[0.25, 1, 2.25, 4, 6.25, 9, 12.25, 16],
               colors=COLORS["sky"], linewidths=1)  # fmt: skip
    ax.set(xlim=(-3, 3), ylim=(-2.5, 2.5), aspect="equal", xlabel="x", ylabel="y")
    ax.set_title("Level curves of x² + 3y²")


def _draw_slopes(ax):
    ax.axhline(0, color="#888888", lw=0.8)
    ax.set(xlim=(0, 360), ylim=(-10.5, 10.5), xticks=range(0, 361, 90), yticks=(-8, -4, 0, 4, 8))
    ax.set(title="Slope in each direction", xlabel="angle, degrees", ylabel="slope")
