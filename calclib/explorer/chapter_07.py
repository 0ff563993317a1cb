"""Explorer of chapter 07: the race of the optimizers."""

from __future__ import annotations

import functools
import inspect
import math
from typing import NamedTuple

import numpy as np
import sympy as sp
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pycode import PythonCodePrinter

from calclib.explorer.scene import Handle, Panel, Path, Points, Scene, Slider, switch
from calclib.explorer.widget import Explorer
from calclib.optimizers import adagrad, adam, rmsprop, sgd
from calclib.plotting import COLORS
from calclib.problems import Problem, beale, bowl, himmelblau, valley
from calclib.tracing import Let, Orbit, Program, Table, formula, is_symbolic, leaves, where

BUDGET = 200  # gradient evaluations for each runner
FLOOR = 1e-12  # what is drawn of a smaller height: a point just below the log axis
LOST = 1e9  # height above the minimum at which a run has diverged
RATES = (-4.0, 2.0, 0.1)  # decades of the rate slider: from, to, step
MOMENTUM = 0.9  # with which the rates are tuned
SLOW = 0.999  # the decay of Adam's mean of squares

# The rules with symbols for the rate and the momentum. Adagrad and RMSprop have no momentum.
RATE, BETA = sp.symbols("rate beta", real=True)
RULES = {
    "momentum": sgd(RATE, momentum=BETA),
    "Nesterov": sgd(RATE, momentum=BETA, nesterov=True),
    "Adagrad": adagrad(RATE),
    "RMSprop": rmsprop(RATE),
    "Adam": adam(RATE, beta1=BETA, beta2=SLOW),
}


class Surface(NamedTuple):
    """Where a race takes place.

    Parameters
    ----------
    title : str
        Name of the scene.
    problem : Problem
        The function, of two variables.
    start : tuple of float
        Where the runners begin at first.
    decades : tuple of float
        For plain descent and each of `RULES`: the decimal logarithm of the tuned rate, which is the
        one of the slider's with the lowest median height after `BUDGET` steps from 25 starts.
    plain_arrives : bool
        Plain descent arrives from every start of the sliders, so that nobody can be ahead of it.

    Examples
    --------
    >>> SURFACES[0].title
    'Valley (Rosenbrock)'
    """

    title: str
    problem: Problem
    start: tuple[float, float]
    decades: tuple[float, ...]
    plain_arrives: bool = False


SURFACES = (
    Surface("Valley (Rosenbrock)", valley(), (-1.0, 1.0), (-2.8, -2.8, -3.1, -0.1, -1.8, -0.3)),
    Surface(
        "Long bowl x² + 100y²", bowl((1.0, 100.0)), (5.0, 1.0), (-2.1, -2.5, -2.4, 1.3, -1.5, 0.8)
    ),
    Surface(
        "Long bowl, turned",
        bowl((1.0, 100.0), math.pi / 6),
        (4.0, 2.0),
        (-2.1, -2.5, -2.4, 0.7, -1.6, 0.1),
    ),
    Surface("Flat valley (Beale)", beale(), (1.0, 1.0), (-3.2, -3.4, -3.5, 0.3, -0.2, 0.0)),
    Surface(
        "Four wells (Himmelblau)",
        himmelblau(),
        (0.0, 2.0),
        (-2.1, -3.2, -2.0, 0.3, 1.0, -0.3),
        True,
    ),
)


def race() -> Explorer:
    """Make the explorer of the race: an optimizer of your choice against plain gradient descent.

    Returns
    -------
    Explorer
        One scene for each surface; sliders for the start, the optimizer, its rate (logarithmic)
        and its momentum. Plain descent runs with the rate that a sweep has chosen for it.

    Examples
    --------
    >>> race()
    Explorer('race')
    """
    return Explorer(
        "race",
        "The race: your optimizer against plain gradient descent",
        *(_race_on(surface) for surface in SURFACES),
    )


@functools.cache
def traced(rule):
    """Turn one step of a rule, for one coordinate, into a function of plain arithmetic.

    Parameters
    ----------
    rule : Optimizer
        With symbols for its rate and its momentum, as in `RULES`.

    Returns
    -------
    callable
        ``(g, v, s, fade, slow_fade, rate, beta) -> (step, v, s)``, for numbers and for symbols.
        Of what the rule remembers, v is the velocity or mean of gradients, s the sum or mean of
        squares. The powers of beta and of 0.999 to the number of the step come in as `fade` and
        `slow_fade`.

    Examples
    --------
    >>> traced(sgd(RATE, momentum=BETA))(2.0, 1.0, 0.0, 0.9, 0.999, 0.1, 0.9)
    (-0.29, 2.9, 0.0)
    """
    g, k, v, s, fade, slow_fade = sp.symbols("g k v s fade slow_fade", real=True)
    kind = type(rule.init(g))
    squares = rule in (RULES["Adagrad"], RULES["RMSprop"])  # remembers nothing but squares
    memory = {2: [s] if squares else [v], 3: [v, s]}[len(kind._fields)]
    step, state = rule.update(g, kind(k, *memory), sp.Integer(0))
    kept = {2: [v, state[1]] if squares else [state[1], s], 3: state[1:]}[len(kind._fields)]
    powers = {BETA: fade, sp.Float(SLOW): slow_fade}
    parts = [
        part.replace(lambda e: e.is_Pow and e.exp.has(k), lambda e: powers[e.base])
        for part in (step, *kept)
    ]
    return sp.lambdify((g, v, s, fade, slow_fade, RATE, BETA), tuple(parts), modules="math")


class _AsOnThePage(PythonCodePrinter):
    """SymPy's printer for Python, with the operations of `tracing`'s printer for JavaScript."""

    def _print_Pow(self, expr, **_):  # noqa: N802
        base = self.parenthesize(expr.base, PRECEDENCE["Pow"])
        if expr.exp in (2, 3):
            return f"({'*'.join([base] * int(expr.exp))})"
        if expr.exp == sp.Float(0.5):
            return f"math.sqrt({self._print(expr.base)})"
        return super()._print_Pow(expr)


def _shared_parts(expressions):
    # Capitals stand before small letters, as the page's dollar signs do: the order of terms is one.
    return sp.cse(expressions, sp.numbered_symbols("A", real=True), list=False)


def as_on_the_page(rule):
    """Let Python compute a rule in the order of operations that the page has.

    Parameters
    ----------
    rule : callable
        A rule in plain arithmetic that `tracing.formula` can follow.

    Returns
    -------
    callable
        The same rule. With large rates some runs are chaotic: there the last digit of a rounding
        decides where they go, so a book and a page that round differently would disagree.

    Examples
    --------
    >>> as_on_the_page(lambda x, rate: x - rate * 2 * x)(5.0, 0.1)
    [4.0]
    """
    names = list(inspect.signature(rule).parameters)
    inputs = [sp.Symbol(name, real=True) for name in names]
    values = [sp.sympify(leaf) for leaf in leaves(formula(rule, *names))]
    compiled = sp.lambdify(
        inputs, values, [{"math": math}, "math"], printer=_AsOnThePage, cse=_shared_parts
    )

    @functools.wraps(rule)
    def either(*arguments):
        return rule(*arguments) if is_symbolic(*arguments) else compiled(*arguments)

    return either


def _race_on(surface: Surface) -> Scene:
    problem = surface.problem
    rates = tuple(10**decade for decade in surface.decades)
    depth = float(problem.fun(problem.minimizers[:, 0]))
    slopes = sp.lambdify(problem.variables, list(problem.grad(problem.variables)))
    height = sp.lambdify(problem.variables, problem.expr - depth)
    plain = traced(sgd(RATE))
    rules = [traced(rule) for rule in RULES.values()]

    def chosen(mode, *arguments):
        """Give the step of the rule that `mode` numbers."""
        picked = rules[-1](*arguments)
        for k in reversed(range(len(rules) - 1)):
            pairs = zip(rules[k](*arguments), picked, strict=True)
            picked = [where(mode < k + 0.5, one, other) for one, other in pairs]
        return picked

    @as_on_the_page
    def step(x, y, vx, vy, sx, sy, fade, slow_fade, k, mode, rate, beta):
        faded, slowly = fade * beta, slow_fade * SLOW
        g_x, g_y = slopes(x, y)
        move_x, vx, sx = chosen(mode, g_x, vx, sx, faded, slowly, rate, beta)
        move_y, vy, sy = chosen(mode, g_y, vy, sy, faded, slowly, rate, beta)
        to = (x + move_x, y + move_y)
        return (*to, vx, vy, sx, sy, faded, slowly, k + 1, _drawn(height(*to)))

    @as_on_the_page
    def plain_step(plain_x, plain_y, plain_k):
        g_x, g_y = slopes(plain_x, plain_y)
        to = (
            plain_x + plain(g_x, 0, 0, 1, 1, rates[0], 0)[0],
            plain_y + plain(g_y, 0, 0, 1, 1, rates[0], 0)[0],
        )
        return (*to, plain_k + 1, _drawn(height(*to)))

    program = Program(
        ("x0", "y0", "mode", "rate", "beta"),
        Let("above0", lambda x0, y0: height(x0, y0)),
        Orbit(
            ("x", "y", "vx", "vy", "sx", "sy", "fade", "slow_fade", "k", "above"),
            lambda x0, y0, above0: (x0, y0, 0, 0, 0, 0, 1, 1, 0, _drawn(above0)),
            step,
            steps=BUDGET,
            bound=1e100,
            until=lambda above: above > LOST,
        ),
        Orbit(
            ("plain_x", "plain_y", "plain_k", "plain_above"),
            lambda x0, y0, above0: (x0, y0, 0, _drawn(above0)),
            plain_step,
            steps=BUDGET,
            count="plain_n",
            bound=1e100,
            until=lambda plain_above: plain_above > LOST,
        ),
        Let("steepness", lambda x0, y0: sum(abs(part) for part in slopes(x0, y0))),
        Table("tuned", rates[1:], "mode"),
        Let("plain_rate", lambda x0: rates[0] + 0 * x0),
        Let("stays", lambda steepness: steepness < 1e-9),
        Let("diverges", lambda above_last: above_last > LOST),
        Let("ahead", lambda above_last, plain_above_last: above_last < 0.99 * plain_above_last),
        Let("behind", lambda above_last, plain_above_last: plain_above_last < 0.99 * above_last),
    )
    level_curves = Panel(
        lambda ax: _draw_map(ax, problem, surface.title),
        (
            Path("plain_x", "plain_y", "purple", 2.0),
            Points("plain_x_last", "plain_y_last", "purple", 4.5),
            Path("x", "y", "orange", 1.8),
            Points("x_last", "y_last", "orange", 5.0),
            Handle("x0", "y0", "Start point"),
        ),
        f"Level curves of {surface.title} with each minimum as a cross. From the start point two "
        "paths: that of plain gradient descent and that of the optimizer you chose.",
        4.0,
    )
    losses = Panel(
        _draw_losses,
        (
            Path("plain_k", "plain_above", "purple", 1.6),
            Path("k", "above", "orange", 1.8),
        ),
        "Height above the minimum after each gradient evaluation, on a logarithmic axis: one line "
        "for plain gradient descent, one for the optimizer you chose.",
        3.0,
    )
    (low_x, high_x), (low_y, high_y) = problem.domain
    low, high, decade = RATES
    sliders = (
        Slider("x0", "Start x₀", low_x, high_x, surface.start[0], step=0.1, form=".1f"),
        Slider("y0", "Start y₀", low_y, high_y, surface.start[1], step=0.1, form=".1f"),
        switch("mode", "Optimizer", *RULES),
        Slider("rate", "Its rate", 10**low, 10**high, rates[0], step=decade, log=True, form="g"),
        Slider("beta", "Its β (not Adagrad, RMSprop)", 0.0, 0.95, MOMENTUM, step=0.05),
    )
    says = tuple(pair for pair in SAYS if not (surface.plain_arrives and pair[0] == "ahead"))
    return Scene(surface.title, sliders, program, ((level_curves,), (losses,)), says)


def _drawn(height):
    """Give the larger of a height and `FLOOR`; without a condition, which traces faster."""
    return (height + FLOOR + abs(height - FLOOR)) / 2


# --- what the sentences say: the first condition that holds is said ---------------------------

_TUNED = (
    " Tuned by one sweep, over 25 starts and with β = 0.9, your optimizer takes the rate {tuned}, "
    "plain descent {plain_rate}."
)
_BOTH = (
    "After {n:.0f} gradients your optimizer is within {above_last} of the lowest height, plain "
    "descent after {plain_n:.0f} within {plain_above_last}"
)
SAYS = (
    ("stays", "You start where the gradient is zero: nobody moves, whatever the rule." + _TUNED),
    (
        "diverges",
        "Your optimizer diverges: after {n:.0f} gradients its height is {above_last}. Plain "
        "descent after {plain_n:.0f} is within {plain_above_last} of the lowest." + _TUNED,
    ),
    ("ahead", _BOTH + ": yours is ahead." + _TUNED),
    ("behind", _BOTH + ": plain descent is ahead." + _TUNED),
    ("", _BOTH + ": the two are level, with your β at {beta:.2f}." + _TUNED),
)


# --- backdrops --------------------------------------------------------------------------------


def _draw_map(ax, problem, title):
    xs, ys, heights = problem.grid(121)
    levels = heights.min() + np.geomspace(2e-4, 0.7, 9) * np.ptp(heights)
    ax.contour(xs, ys, heights, levels=levels, colors=COLORS["sky"], linewidths=1)
    ax.plot(*problem.minimizers, "x", ms=8, mew=2, color=COLORS["green"])
    ax.set(xlim=problem.domain[0], ylim=problem.domain[1], title=title, xlabel="x", ylabel="y")


def _draw_losses(ax):
    ax.set(yscale="log", xlim=(0, BUDGET), ylim=(1e-11, 1e6), title="Height above the minimum")
    ax.set(xlabel="gradient evaluations")
    ax.set_yticks([1e-10, 1e-5, 1, 1e5], ["10⁻¹⁰", "10⁻⁵", "1", "10⁵"])
    ax.minorticks_off()
    ax.text(0.98, 0.95, "yours: orange", ha="right", va="top", transform=ax.transAxes, fontsize=9.5)
    ax.text(0.98, 0.86, "plain: purple", ha="right", va="top", transform=ax.transAxes, fontsize=9.5)
