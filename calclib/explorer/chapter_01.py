"""Explorer of chapter 01: the secant becomes the tangent, until rounding spoils it."""

from __future__ import annotations

from calclib.explorer.scene import Handle, Panel, Path, Points, Scene, Slider, Text
from calclib.explorer.widget import Explorer
from calclib.plotting import COLORS
from calclib.tracing import Let, Program, Sweep, sqrt, where

EPS = 2.0**-52
READ = "The secant's slope is {secant:.6f}, the tangent's {exact:.6f}. Off by {miss}: "
STEPS = tuple(10 ** (k / 8) for k in range(-16 * 8, 3))


def _cubic(x):
    """Give the book's cubic, x^3 - 5x + 7, in Horner's form."""
    return (x * x - 5) * x + 7


def _cubic_slope(x):
    """Give its derivative, 3x^2 - 5."""
    return 3 * x * x - 5


def secant_to_tangent() -> Explorer:
    """Make the explorer of secant and tangent: the slope over a shrinking step h.

    Returns
    -------
    Explorer
        Sliders x and h (logarithmic), both dimensionless.

    Notes
    -----
    The program names every intermediate result, and the cubic is in Horner's form. So the browser
    makes the same roundings as Python, and the error curve is the true one, noise included.

    Examples
    --------
    >>> secant_to_tangent()
    Explorer('secant-to-tangent')
    """
    program = Program(
        ("x", "h"),
        Let("y", _cubic),
        Let("exact", _cubic_slope),
        Let("x_h", lambda x, h: x + h),
        Let("y_h", lambda x_h: _cubic(x_h)),
        Let("rise", lambda y, y_h: y_h - y),
        Let("secant", lambda rise, h: rise / h),
        Let("miss", lambda secant, exact: abs(secant - exact)),
        Sweep("s", (-9.0, 9.0), (
            Let("line_x", lambda s, x: x + s),
            Let("tangent_y", lambda s, y, exact: y + s * exact),
            Let("secant_y", lambda s, y, secant: y + s * secant),
        )),
        Sweep("step", STEPS, (
            Let("x_step", lambda x, step: x + step),
            Let("y_step", lambda x_step: _cubic(x_step)),
            Let("rise_step", lambda y, y_step: y_step - y),
            Let("slope_step", lambda rise_step, step: rise_step / step),
            Let("miss_step", lambda slope_step, exact: abs(slope_step - exact)),
        )),
        Let("best", lambda x, y: 2 * sqrt(EPS * abs(y) / where(abs(x) > 0.05, abs(6 * x), 0.3))),
        Let("lost", lambda x, x_h: x_h <= x),
        Let("tiny", lambda h, best: 30 * h < best),
        Let("good", lambda h, best: h < 30 * best),
        Let("wide", lambda h: h >= 0.1),
    )  # fmt: skip
    curve = Panel(
        _draw_cubic,
        (
            Path("line_x", "tangent_y", "green", 2.0, dash=True),
            Path("line_x", "secant_y", "vermillion", 2.2),
            Points("x_h", "y_h", "vermillion", 5.0, hollow=True),
            Text(-2.9, 18.0, "tangent, slope {exact:.2f}", "green"),
            Text(-2.9, 16.2, "secant, slope {secant:.2f}", "vermillion"),
            Handle("x", "y", "Point x on the curve", "green"),
        ),
        "The cubic x³ − 5x + 7 with its tangent at x, dashed, and the secant through x and x + h.",
    )
    errors = Panel(
        _draw_errors,
        (
            Path("step", "miss_step", "blue", 1.6),
            Handle("h", "miss", "Step h on the error curve"),
        ),
        "The error of the secant's slope against h, both on logarithmic axes: a V. On the right "
        "the error falls with h; on the left rounding noise grows as h shrinks.",
    )
    scene = Scene(
        "Secant to tangent",
        (
            Slider("x", "Point x", -2.5, 2.5, 1.0, step=0.05),
            Slider("h", "Step h", 1e-16, 10**0.25, 1.0, step=0.125, log=True, form="g"),
        ),
        program,
        ((curve,), (errors,)),
        (
            ("lost", "x + h rounds to x: the step is lost, the secant's slope reads {secant:.2f}, "
             "and the true slope {exact:.2f} is out of sight."),
            ("tiny", READ + "h is so small that rounding spoils the difference."),
            ("good", READ + "near the best h that this formula can have."),
            ("wide", READ + "the curve bends between x and x + h."),
            ("", READ + "the two lines can no longer be told apart, and a smaller h still helps."),
        ),
    )  # fmt: skip
    return Explorer("secant-to-tangent", "Secant to tangent: shrink the step", scene)


def _draw_cubic(ax):
    xs = [k / 40 for k in range(-120, 121)]
    ax.plot(xs, [_cubic(x) for x in xs], lw=2.2, color=COLORS["blue"])
    ax.set(xlim=(-3, 3), ylim=(-4, 20), title="x³ − 5x + 7, secant and tangent")
    ax.set(xlabel="x", ylabel="f(x)")


def _draw_errors(ax):
    ax.set(xscale="log", yscale="log", xlim=(1e-16, 2), ylim=(1e-13, 30))
    ax.set(title="Error of the secant's slope", xlabel="step h", ylabel="error")
    ticks = [-16, -12, -8, -4, 0]
    ax.set_xticks([10.0**k for k in ticks], ["10⁻¹⁶", "10⁻¹²", "10⁻⁸", "10⁻⁴", "1"])
    ax.set_yticks([10.0**k for k in (-12, -8, -4, 0)], ["10⁻¹²", "10⁻⁸", "10⁻⁴", "1"])
    ax.minorticks_off()
