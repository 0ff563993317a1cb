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
from calclib.optimizers import (
    AdagradState,
    RMSpropState,
    adagrad,
    adam,
    adamw,
    clip_by_norm,
    rmsprop,
    sgd,
)
from calclib.plotting import COLORS
from calclib.problems import Problem, beale, bowl, himmelblau, saddle, valley
from calclib.tracing import Let, Orbit, Program, Table, formula, is_symbolic, leaves, where

BUDGET = 200  # gradient evaluations for each runner
FLOOR = 1e-12  # what is drawn of a smaller height: a point just below the log axis
LOST = 1e9  # height above the minimum at which a run has diverged
RATES = (-4.0, 2.0, 0.1)  # decades of the rate slider: from, to, step
MOMENTUM = 0.9  # with which the rates are tuned
SLOW = 0.999  # the decay of Adam's mean of squares
CLIP = 1.0  # the largest length of a gradient of momentum that is clipped

# The rules with symbols for the rate and the momentum. Adagrad and RMSprop have no momentum; AdamW
# has the weight decay that it has by default.
RATE, BETA = sp.symbols("rate beta", real=True)
RULES = {
    "momentum": sgd(RATE, momentum=BETA),
    "Nesterov": sgd(RATE, momentum=BETA, nesterov=True),
    "Adagrad": adagrad(RATE),
    "RMSprop": rmsprop(RATE),
    "Adam": adam(RATE, beta1=BETA, beta2=SLOW),
    "AdamW": adamw(RATE, beta1=BETA, beta2=SLOW),
    "clipped": clip_by_norm(sgd(RATE, momentum=BETA), CLIP),
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
        one of the slider's with the lowest median height after `BUDGET` steps from 25 starts. All
        heights below 1e-25 are equally low.
    plain_arrives : bool
        Plain descent arrives from every start of the sliders, so that nobody can be ahead of it.
    grid : int
        How many heights on a side the level curves are drawn from; a narrow valley needs more.

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
    grid: int = 71


SURFACES = (
    Surface(
        "Valley (Rosenbrock)",
        valley(),
        (-1.0, 1.0),
        (-2.8, -2.8, -3.1, -0.1, -1.8, -0.3, -0.7, -2.4),
        grid=121,
    ),
    Surface(
        "Long bowl x² + 100y²",
        bowl((1.0, 100.0)),
        (5.0, 1.0),
        (-2.1, -2.5, -2.4, 1.3, -1.5, 0.8, 1.4, -2.0),
    ),
    Surface(
        "Long bowl, turned",
        bowl((1.0, 100.0), math.pi / 6),
        (4.0, 2.0),
        (-2.1, -2.5, -2.4, 0.7, -1.6, 0.1, 1.4, -1.9),
    ),
    Surface(
        "Flat valley (Beale)",
        beale(),
        (1.0, 1.0),
        (-3.2, -3.4, -3.5, 0.3, -0.2, 0.0, 0.1, -1.7),
    ),
    Surface(
        "Four wells (Himmelblau)",
        himmelblau(),
        (0.0, 2.0),
        (-2.1, -3.2, -2.0, 0.3, 1.0, -0.3, -0.2, -1.7),
        plain_arrives=True,
    ),
    Surface(
        "Bowl x² + 10y²",
        bowl(),
        (5.0, 1.0),
        (-1.1, -2.3, -1.2, 1.3, -1.5, -0.9, 1.4, -0.9),
        plain_arrives=True,
    ),
    Surface(
        "Saddle x² + 3y² − 4xy",
        saddle(),
        (1.0, 1.0),
        (-0.7, -0.4, -0.8, 2.0, 2.0, 2.0, 1.5, 2.0),
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
    """Turn one step of a rule, on a surface, into a function of plain arithmetic.

    Parameters
    ----------
    rule : Optimizer
        With symbols for its rate and its momentum, as in `RULES`.

    Returns
    -------
    callable
        ``(g_x, g_y, x, y, vx, vy, sx, sy, fade, slow_fade, rate, beta) -> (step_x, step_y, vx, vy,
        sx, sy)``, for numbers and for symbols. Of what the rule remembers, v is the velocity or
        mean of gradients, s the sum or mean of squares. The powers of beta and of 0.999 to the
        number of the step come in as `fade` and `slow_fade`.

    Examples
    --------
    >>> step = traced(sgd(RATE, momentum=BETA))
    >>> step(2.0, 4.0, 5.0, 5.0, 1.0, 2.0, 0.0, 0.0, 0.9, 0.999, 0.1, 0.9)
    (-0.29, -0.58, 2.9, 5.8, 0.0, 0.0)
    """
    names = sp.symbols("g_x g_y x y vx vy sx sy fade slow_fade", real=True)
    g, at, v, s = (np.array(pair) for pair in zip(names[0:8:2], names[1:8:2], strict=True))
    fade, slow_fade = names[8:]
    k = sp.Symbol("k", real=True)
    kind = type(rule.init(at))
    squares = kind in (AdagradState, RMSpropState)  # remembers nothing but squares
    memory = [s] if squares else [v, s][: len(kind._fields) - 1]
    step, state = rule.update(g, kind(k, *memory), at)
    kept = [v, state[1]] if squares else [*state[1:], s][:2]
    powers = {BETA: fade, sp.Float(SLOW): slow_fade}
    parts = [
        sp.sympify(part).replace(lambda e: e.is_Pow and e.exp.has(k), lambda e: powers[e.base])
        for pair in (step, *kept)
        for part in pair
    ]
    return sp.lambdify((*names, RATE, BETA), tuple(parts), modules="math")


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
    problem, bottomless = surface.problem, _is_bottomless(surface.problem)
    rates = tuple(10**decade for decade in surface.decades)
    depth = 0.0 if bottomless else float(problem.fun(problem.minimizers[:, 0]))
    slopes = sp.lambdify(problem.variables, list(problem.grad(problem.variables)))
    height = sp.lambdify(problem.variables, problem.expr - depth)
    drawn = _both_ways if bottomless else _drawn
    lost = drawn(LOST)
    plain = traced(sgd(RATE))
    rules = [traced(rule) for rule in RULES.values()]
    decays = list(RULES).index("AdamW")  # the one that moves where the gradient is zero

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
        memory = (x, y, vx, vy, sx, sy, faded, slowly, rate, beta)
        move_x, move_y, *kept = chosen(mode, *slopes(x, y), *memory)
        to = (x + move_x, y + move_y)
        return (*to, *kept, faded, slowly, k + 1, drawn(height(*to)))

    @as_on_the_page
    def plain_step(plain_x, plain_y, plain_k):
        nothing = (0, 0, 0, 0, 1, 1)
        at = (plain_x, plain_y)
        move_x, move_y = plain(*slopes(*at), *at, *nothing, rates[0], 0)[:2]
        to = (plain_x + move_x, plain_y + move_y)
        return (*to, plain_k + 1, drawn(height(*to)))

    program = Program(
        ("x0", "y0", "mode", "rate", "beta"),
        Let("above0", lambda x0, y0: height(x0, y0)),
        Orbit(
            ("x", "y", "vx", "vy", "sx", "sy", "fade", "slow_fade", "k", "above"),
            lambda x0, y0, above0: (x0, y0, 0, 0, 0, 0, 1, 1, 0, drawn(above0)),
            step,
            steps=BUDGET,
            bound=1e100,
            until=lambda above: above > lost,
        ),
        Orbit(
            ("plain_x", "plain_y", "plain_k", "plain_above"),
            lambda x0, y0, above0: (x0, y0, 0, drawn(above0)),
            plain_step,
            steps=BUDGET,
            count="plain_n",
            bound=1e100,
            until=lambda plain_above: plain_above > lost,
        ),
        Let("steepness", lambda x0, y0: sum(abs(part) for part in slopes(x0, y0))),
        Table("tuned", rates[1:], "mode"),
        Let("plain_rate", lambda x0: rates[0] + 0 * x0),
        Let(
            "stays",
            lambda steepness, mode, x0, y0: (
                (steepness < 1e-9) & ((abs(mode - decays) > 0.5) | (abs(x0) + abs(y0) < 1e-9))
            ),
        ),
        Let("diverges", lambda above_last: above_last > lost),
        *(_LOWER if not bottomless else _lower_without_a_floor(height)),
        *_UNTUNED,
    )
    dots = "the saddle point as a ring" if bottomless else "each minimum as a cross"
    level_curves = Panel(
        lambda ax: _draw_map(ax, surface),
        (
            Path("plain_x", "plain_y", "purple", 2.0),
            Points("plain_x_last", "plain_y_last", "purple", 4.5),
            Path("x", "y", "orange", 1.8),
            Points("x_last", "y_last", "orange", 5.0),
            Handle("x0", "y0", "Start point"),
        ),
        f"Level curves of {surface.title} with {dots}. From the start point two "
        "paths: that of plain gradient descent and that of the optimizer you chose.",
        4.0,
    )
    losses = Panel(
        _draw_heights if bottomless else _draw_losses,
        (
            Path("plain_k", "plain_above", "purple", 1.6),
            Path("k", "above", "orange", 1.8),
        ),
        f"Height above the {'saddle point, or below it,' if bottomless else 'minimum'} after each "
        "gradient evaluation, on a logarithmic axis: one line for plain gradient descent, one for "
        "the optimizer you chose.",
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
    says = SAYS_WITHOUT_A_FLOOR if bottomless else SAYS
    says = tuple(
        pair for pair in says if not (surface.plain_arrives and pair[0].startswith("ahead"))
    )
    return Scene(surface.title, sliders, program, ((level_curves,), (losses,)), says)


def _is_bottomless(problem):
    """Tell whether a function has no minimum, so that only the height itself can be compared."""
    return problem.minimizers.shape[1] == 0


def _drawn(height):
    """Give the larger of a height and `FLOOR`; without a condition, which traces faster."""
    return (height + FLOOR + abs(height - FLOOR)) / 2


def _both_ways(height):
    """Give the decimal logarithm of large heights, and minus that of large depths."""
    return (sp.asinh if is_symbolic(height) else math.asinh)(height / 2) / math.log(10)


_LOWER = (
    Let("ahead", lambda above_last, plain_above_last: above_last < 0.99 * plain_above_last),
    Let("behind", lambda above_last, plain_above_last: plain_above_last < 0.99 * above_last),
)


def _lower_without_a_floor(height):
    """Compare heights that may be negative; one percent apart is level."""
    return (
        Let("height", lambda x_last, y_last: height(x_last, y_last)),
        Let("plain_height", lambda plain_x_last, plain_y_last: height(plain_x_last, plain_y_last)),
        Let("ahead", lambda height, plain_height: height < plain_height - 0.01 * abs(plain_height)),
        Let("behind", lambda height, plain_height: plain_height < height - 0.01 * abs(height)),
    )


_UNTUNED = (
    Let("untuned", lambda rate, tuned: abs(rate - tuned) > 0.01 * tuned),
    Let("ahead_untuned", lambda ahead, untuned: ahead & untuned),
    Let("behind_untuned", lambda behind, untuned: behind & untuned),
)


# --- what the sentences say: the first condition that holds is said ---------------------------

_RATES = (
    "over 25 starts and with β = 0.9, your optimizer takes the rate {tuned}, plain descent "
    "{plain_rate}."
)
_TUNED = f" Tuned by one sweep, {_RATES}"
_STAYS = "You start where the gradient is zero: nobody moves, whatever the rate."
_BOTH = (
    "After {n:.0f} gradients your optimizer is within {above_last} of the lowest height, plain "
    "descent after {plain_n:.0f} within {plain_above_last}"
)


def _verdicts(diverges, both, leads, rest):
    """Give the sentences; who leads is said with a word on a rate that is not tuned."""
    not_its = "at a rate that is not its tuned one"
    return (
        ("stays", _STAYS + rest),
        ("diverges", f"Your optimizer diverges{diverges}{rest}"),
        ("ahead_untuned", f"{both}: yours is {leads}, {not_its}.{rest}"),
        ("ahead", f"{both}: yours is {leads}.{rest}"),
        ("behind_untuned", f"{both}: plain descent is {leads}, yours {not_its}.{rest}"),
        ("behind", f"{both}: plain descent is {leads}.{rest}"),
        ("", f"{both}: the two are level, with your β at {{beta:.2f}}.{rest}"),
    )


SAYS = _verdicts(
    ": after {n:.0f} gradients its height is {above_last}. Plain descent after {plain_n:.0f} is "
    "within {plain_above_last} of the lowest.",
    _BOTH,
    "ahead",
    _TUNED,
)

_HEIGHTS = (
    "After {n:.0f} gradients your optimizer is at height {height}, plain descent after "
    "{plain_n:.0f} at {plain_height}"
)
_NO_FLOOR = f" There is no lowest height. Tuned by one sweep of rates up to 100, {_RATES}"
SAYS_WITHOUT_A_FLOOR = _verdicts(
    ": after {n:.0f} gradients its height is {height}. Plain descent after {plain_n:.0f} is at "
    "{plain_height}.",
    _HEIGHTS,
    "lower",
    _NO_FLOOR,
)


# --- backdrops --------------------------------------------------------------------------------


def _draw_map(ax, surface):
    problem = surface.problem
    xs, ys, heights = problem.grid(surface.grid)
    if _is_bottomless(problem):
        up = np.geomspace(0.01, 0.7, 5) * heights.max()
        levels, places, mark = [*-up[::-1], 0, *up], [0, 0], {"marker": "o", "mfc": "none"}
    else:
        levels = heights.min() + np.geomspace(2e-4, 0.7, 9) * np.ptp(heights)
        places, mark = problem.minimizers, {"marker": "x"}
    lines = {"colors": COLORS["sky"], "linewidths": 1, "linestyles": "solid"}
    ax.contour(xs, ys, heights, levels=levels, **lines)
    ax.plot(*places, ls="", ms=8, mew=2, color=COLORS["green"], **mark)
    ax.set(xlim=problem.domain[0], ylim=problem.domain[1], xlabel="x", ylabel="y")
    ax.set_title(surface.title)


def _draw_losses(ax):
    ax.set(yscale="log", ylim=(1e-11, 1e6), title="Height above the minimum")
    ax.set_yticks([1e-10, 1e-5, 1, 1e5], ["10⁻¹⁰", "10⁻⁵", "1", "10⁵"])
    _name_lines(ax)


def _draw_heights(ax):
    ax.set(ylim=(-20, 10), title="Height above the saddle point")
    ax.set_yticks([-18, -12, -6, 0, 6], ["−10¹⁸", "−10¹²", "−10⁶", "0", "10⁶"])
    _name_lines(ax)


def _name_lines(ax):
    ax.set(xlim=(0, BUDGET), xlabel="gradient evaluations")
    ax.minorticks_off()
    ax.text(0.98, 0.95, "yours: orange", ha="right", va="top", transform=ax.transAxes, fontsize=9.5)
    ax.text(0.98, 0.86, "plain: purple", ha="right", va="top", transform=ax.transAxes, fontsize=9.5)
