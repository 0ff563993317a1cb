"""Explorer of chapter 09: the noise ball of stochastic gradient descent.

Every position of the sliders uses the same random numbers, so that what changes on the page is
what the reader changed. They are not stored: two Park-Miller generators, u -> 16807 u modulo
2^31 - 1, run inside the orbit, and Box and Muller's formula turns each pair of their numbers into
two independent normal ones. A product 16807 u stays below 2^53, so float64 holds it exactly, and
Python and the browser draw the same run.
"""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from calclib.explorer.scene import Handle, Panel, Path, Points, Scene, Slider
from calclib.explorer.widget import Explorer
from calclib.optimizers import sgd
from calclib.plotting import COLORS
from calclib.tracing import Let, Orbit, Program, Sweep, cos, is_symbolic, sin, sqrt, where

MULTIPLIER, MODULUS = 16807, 2**31 - 1
SEEDS = (20_260_101, 1_123_581_321)  # one for each generator
SIGMA = 2.0  # standard deviation of one example's gradient, along each axis
START = (3.0, 2.0)
APPROACH, MEASURED = 200, 800  # steps before measuring, and while measuring
FIRST = (START[0] ** 2 + START[1] ** 2) / 2  # mean square of the start's coordinates
RATES = (0.2 * 10**-1.3, 0.2 * 10**1.1 * (1 + 1e-9))  # 0.2 and 2 are positions
FAINT = 0.05  # share of the ball up to which the start no longer counts


def noise_ball() -> Explorer:
    """Make the explorer of the noise ball: stochastic gradient descent on a round bowl.

    Returns
    -------
    Explorer
        Sliders: batch size and learning rate (both logarithmic), and the curvature.

    References
    ----------
    S. K. Park, K. W. Miller, "Random number generators: good ones are hard to find",
    Communications of the ACM 31 (1988), 1192-1201. https://doi.org/10.1145/63039.63042

    G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", Annals of
    Mathematical Statistics 29 (1958), 610-611. https://doi.org/10.1214/aoms/1177706645

    Examples
    --------
    >>> noise_ball()
    Explorer('noise-ball')
    """
    program = Program(
        ("batch", "rate", "curvature"),
        Let("ratio", lambda rate, batch: rate / batch),
        Let("kick", lambda batch: SIGMA / sqrt(batch)),  # deviation of a batch's gradient
        Let("product", lambda rate, curvature: rate * curvature),
        Let("factor", lambda product: 1 - product),
        Let("room", lambda product: 2 - product),
        Let("edge", lambda room: abs(room) < 1e-6),
        Let("breaks", lambda room: room < 1e-6),
        Let("holds", lambda room: room >= 1e-6),
        Let("limit", lambda curvature: 2 / curvature),
        # the predicted ball: mean square along one axis, and its root; 1 where there is none
        Let("square", lambda rate, kick, curvature, room, holds: where(
            holds, rate * kick * kick / (curvature * where(holds, room, 1)), 1)),
        Let("spread", lambda square: sqrt(square)),
        Let("rim", lambda spread: 2 * spread),
        Orbit(("from_x", "from_y", "from_u", "from_v", "from_k", "from_distance"),
              lambda batch: (*START, *SEEDS, 0, _length(*START)),
              lambda from_x, from_y, from_u, from_v, from_k, rate, curvature, kick: _noisy_step(
                  from_x, from_y, from_u, from_v, from_k, rate, curvature, kick),
              steps=APPROACH, count="approach"),
        Orbit(("x", "y", "u", "v", "k", "distance", "total", "inside"),
              lambda from_x_last, from_y_last, from_u_last, from_v_last, from_k_last,
              from_distance_last: (from_x_last, from_y_last, from_u_last, from_v_last,
                                   from_k_last, from_distance_last, 0, 0),
              _measured_step, steps=MEASURED, count="points"),
        Let("measured", lambda total_last, points: sqrt(total_last / (2 * points + 1e-300))),
        # E[x_k^2] = square + factor^(2k) (start^2 - square): what is left of the start
        Let("held", lambda factor, holds: where(holds, factor, 0)),
        Let("left", lambda held, square: held ** (2 * APPROACH) * abs(FIRST - square)),
        Let("still", lambda left, square: left > FAINT * square),
        # Squares along the run fade like factor^(2k): so many steps tell as much as independent
        # ones, and there are two axes. A root has half the relative error of its square.
        Let("independent", lambda held: MEASURED * (1 - held * held) / (1 + held * held)),
        Let("off", lambda independent: 50 / sqrt(independent)),
        Let("expected_inside", lambda curvature: MEASURED * INSIDE + 0 * curvature),
        Let("forgets", lambda product: abs(product - 1) < 0.005),
        Let("zigzags", lambda product: product > 1),
        Sweep("angle", ANGLES, (
            Let(("ring_x", "ring_y"), lambda angle, rim: (rim * cos(angle), rim * sin(angle))),
        )),
        Sweep("step", STEPS, (
            Let("typical", lambda step, held, square:
                sqrt(2 * (square + (held * held) ** step * (FIRST - square)))),
        )),
        Sweep("share", SHARES, (
            Let("of_rate", lambda share, curvature: 2 * share / curvature),
            Let("of_spread", lambda share, curvature, kick:
                kick / curvature * sqrt(share / (1 - share))),
        )),
    )  # fmt: skip
    bowl = Panel(
        _draw_bowl,
        (
            Path("from_x", "from_y", "orange", 1.4),
            Path("x", "y", "blue", 0.7),
            Path("ring_x", "ring_y", "black", 2.0, dash=True, show="holds"),
            Points(*START, "orange", 5.0),
        ),
        "A round bowl from above, with its minimum in the middle. The first 200 steps lead from "
        "the start towards it, the next 800 fill a ball around it. A dashed circle: the predicted "
        "ball, of radius two spreads.",
        4.4,
    )
    distance = Panel(
        _draw_distance,
        (
            Path("from_k", "from_distance", "orange", 1.0),
            Path("k", "distance", "blue", 0.7),
            Path("step", "typical", "black", 2.0, dash=True, show="holds"),
        ),
        "The distance to the minimum after each step, on a logarithmic axis, and dashed the "
        "typical distance by theory: it falls, then stays level.",
        2.5,
    )
    size = Panel(
        _draw_size,
        (
            Path("of_rate", "of_spread", "black", 2.0, dash=True),
            Path(("rate", "rate"), (LOW, HIGH), "vermillion", 1.2),
            Points("rate", "spread", "black", 4.0, show="holds"),
            Points("rate", "measured", "blue", 7.0, hollow=True, show="holds"),
            Handle("rate", 1.5 * LOW, "Learning rate"),
        ),
        "The predicted spread against the learning rate, both logarithmic: a dashed line that "
        "rises slowly and shoots up at two over the curvature. A dot: the prediction for this "
        "rate; a ring: what this run measured.",
        2.5,
    )
    sliders = (
        Slider("batch", "Batch size b", 1.0, 256 * (1 + 1e-9), 2.0, step=math.log10(2), log=True,
               form=".0f"),
        Slider("rate", "Learning rate η", *RATES, 0.2, step=0.05, log=True, form="g"),
        Slider("curvature", "Curvature λ", 0.5, 4.0, 1.0, step=0.5, form=".1f"),
    )  # fmt: skip
    scene = Scene("Noise ball", sliders, program, ((bowl,), (distance, size)), SAYS)
    return Explorer("noise-ball", "Noise ball: how near a noisy descent comes", scene)


def _noisy_step(x, y, u, v, k, rate, curvature, kick):
    """Make one step with the gradient of a batch: exact slope plus noise, along each axis."""
    rule = sgd(rate)
    u, v = _next(u), _next(v)
    noise_x, noise_y = _normals(u / MODULUS, v / MODULUS)
    move_x, _ = rule.update(curvature * x + kick * noise_x, rule.init(x), x)
    move_y, _ = rule.update(curvature * y + kick * noise_y, rule.init(y), y)
    return (x + move_x, y + move_y, u, v, k + 1, _length(x + move_x, y + move_y))


def _measured_step(x, y, u, v, k, total, inside, rate, curvature, kick, rim):
    """Make one step, add its squared distance, and count it if it ends inside the circle."""
    x, y, u, v, k, distance = _noisy_step(x, y, u, v, k, rate, curvature, kick)
    return (x, y, u, v, k, distance, total + x * x + y * y, inside + where(distance < rim, 1, 0))


def _next(u):
    """Give the next number of the generator, a whole number from 1 to 2^31 - 2."""
    turns = MULTIPLIER * u / MODULUS
    return MULTIPLIER * u - MODULUS * (sp.floor(turns) if is_symbolic(u) else math.floor(turns))


def _normals(first, second):
    """Turn two uniform numbers into two normal ones: Box and Muller's formula."""
    log = sp.log(first) if is_symbolic(first) else math.log(first)
    radius, angle = sqrt(-2 * log), 2 * math.pi * second
    return radius * cos(angle), radius * sin(angle)


def _length(x, y):
    return sqrt(x * x + y * y)


# --- what the sentences say: the first condition that holds is said -------------------------------

INSIDE = 1 - math.exp(-2)  # chance of a normal point to be within two spreads, in the plane

_MEASURED = (
    "Theory gives the ball a spread of {spread} along each axis; the last 800 steps measure "
    "{measured}, and a run of this length is typically off by {off:.0f} percent. Of its 800 points "
    "{inside_last:.0f} are inside the circle; theory expects {expected_inside:.0f}."
)
SAYS = (
    ("edge", "Rate times curvature is 2, the limit: a step throws the run to the other side of the "
     "minimum, as far as before, and adds noise. It wanders off, and no batch gives it a ball."),
    ("breaks", "Rate times curvature is {product:.3f}, above 2: each step multiplies the error "
     "by {factor:.3f}. The run flies away, and no batch is large enough to hold it. The limit is "
     "2/λ = {limit:.2f}."),
    ("still", "Each step multiplies the error by {factor:.3f}, too slow for this run: after 200 "
     "steps the start still counts. In the end the ball has a spread of {spread}; the 800 steps "
     "after them measure {measured}, which is not yet the ball."),
    ("forgets", "Each step takes out the whole error, to two decimals, and puts new noise in: "
     "the run forgets at once where it was. " + _MEASURED),
    ("zigzags", "Each step multiplies the error by {factor:.2f}, so it jumps across the "
     "minimum, and adds noise. " + _MEASURED),
    ("", "Each step multiplies the error by {factor:.3f} and adds noise. Rate over batch is "
     "{ratio}. " + _MEASURED),
)  # fmt: skip


# --- backdrops ------------------------------------------------------------------------------------

LOW, HIGH = 0.001, 30.0
ANGLES = tuple(2 * math.pi * k / 60 for k in range(61))
STEPS = (*range(20), *range(20, 100, 5), *range(100, 1001, 50))
SHARES = (*np.geomspace(0.0024, 0.5, 24), *(1 - np.geomspace(0.48, 0.0005, 24)), 1 - 1e-9)
TICKS = ([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])


def _draw_bowl(ax):
    around = np.linspace(0, 2 * math.pi, 121)
    for radius in range(1, 6):
        ax.plot(radius * np.cos(around), radius * np.sin(around), lw=1, color=COLORS["sky"])
    ax.plot(0, 0, "x", ms=8, mew=2, color=COLORS["green"])
    ax.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal", xlabel="x", ylabel="y")
    ax.set_title("The run, and the predicted ball")


def _draw_distance(ax):
    ax.set(yscale="log", xlim=(0, APPROACH + MEASURED), ylim=(LOW, HIGH), xlabel="step")
    ax.set_xticks(range(0, 1000, 200))
    ax.set_yticks(*TICKS)
    ax.minorticks_off()
    ax.set_title("Distance to the minimum")


def _draw_size(ax):
    ax.set(xscale="log", yscale="log", xlim=RATES, ylim=(LOW, HIGH))
    ax.set(xlabel="learning rate")
    ax.set_xticks(*(part[:3] for part in TICKS))
    ax.set_yticks(*TICKS)
    ax.minorticks_off()
    ax.set_title("Spread of the ball")
