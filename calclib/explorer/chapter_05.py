"""Explorer of chapter 05: the tape stepper, which walks through a graph forward and backward.

Vocabulary
----------
node        a number of the graph: an input, or what one operation made
s_j_k       local slope of node j in its k-th argument
bar_v       adjoint of v, as the sweep back computes it; true_v where the switch breaks it
dot_v_k     tangent of v along the k-th input, likewise
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
import sympy as sp
from matplotlib.patches import FancyBboxPatch

from calclib.explorer.scene import (
    Panel,
    Path,
    Points,
    Scene,
    Slider,
    Text,
    switch,
)
from calclib.explorer.widget import Explorer
from calclib.tracing import Let, Program, cos, is_symbolic, sin

WIDE, HIGH, PITCH = 112, 29, 60  # points: a box, and from one row of boxes to the next
ACROSS, LEGEND = 242.0, 18.0  # points: the width of a panel's axes, a line of words below


@dataclass(frozen=True)
class Node:
    """One number of the graph.

    Parameters
    ----------
    name : str
        Its name, in formulas and in the program.
    place : tuple of float
        Column and row of its box, from 0 at the upper left.
    label : str
        What the box says.
    rule : callable, optional
        Its value, from the arguments that the rule names; None for an input.
    slopes : tuple of (str, callable)
        For each argument, in the rule's order: the local slope as text and as a rule.

    Examples
    --------
    >>> Node("y", (0, 1), "y = x²", lambda x: x * x, (("2x", lambda x: 2 * x),)).parents
    ('x',)
    """

    name: str
    place: tuple[float, float]
    label: str
    rule: Callable | None = None
    slopes: tuple[tuple[str, Callable], ...] = ()

    @property
    def parents(self) -> tuple[str, ...]:
        """Names of the arguments."""
        return tuple(inspect.signature(self.rule).parameters) if self.rule else ()


def tape_stepper() -> Explorer:
    """Make the explorer of the two sweeps: walk through a graph forward, then backward.

    Returns
    -------
    Explorer
        Three graphs: a neuron with its loss, a variable with two paths, a weight used twice.
        Sliders: the step, the mode, the inputs, and where paths meet a switch that breaks it.

    Examples
    --------
    >>> tape_stepper()
    Explorer('tape-stepper')
    """
    return Explorer(
        "tape-stepper",
        "Tape stepper: values forward, slopes backward",
        _scene("Neuron: L = (σ(w·x + b) − 1)²", NEURON, 0.65, {
            "w": (-2.0, 2.0, 0.5), "x": (-2.0, 2.0, 2.0), "b": (-2.0, 2.0, 0.1),
        }),
        _scene("Two paths: f = x·y + sin x", TWO_PATHS, 4.5, {
            "x": (-3.0, 3.0, 2.0), "y": (-3.0, 3.0, 3.0),
        }),
        _scene("Shared weight: f = tanh(w · tanh(w·x))", SHARED, 2.4, {
            "w": (-2.0, 2.0, 0.8), "x": (-2.0, 2.0, 1.0),
        }, vanishes=True),
    )  # fmt: skip


# --- the graphs: nodes in the order of computation -----------------------------------------------


def _exp(x):
    return sp.exp(x) if is_symbolic(x) else math.exp(x)


def _sigmoid(z):
    return 1 / (1 + _exp(-z))


def _tanh(z):
    return 1 - 2 / (1 + _exp(2 * z))


NEURON = (
    Node("w", (0, 0), "w"),
    Node("x", (1, 0), "x"),
    Node("b", (1, 1), "b"),
    Node("u", (0, 1), "u = w·x", lambda w, x: w * x,
         (("x", lambda x: x), ("w", lambda w: w))),
    Node("z", (0.5, 2), "z = u + b", lambda u, b: u + b,
         (("1", lambda u: 1), ("1", lambda b: 1))),
    Node("p", (0.5, 3), "p = σ(z)", _sigmoid, (("p(1 − p)", lambda p: p * (1 - p)),)),
    Node("L", (0.5, 4), "L = (p − 1)²", lambda p: (p - 1) ** 2,
         (("2(p − 1)", lambda p: 2 * (p - 1)),)),
)  # fmt: skip

TWO_PATHS = (
    Node("x", (0, 0), "x"),
    Node("y", (1, 0), "y"),
    Node("u", (1, 1.3), "u = x·y", lambda x, y: x * y,
         (("y", lambda y: y), ("x", lambda x: x))),
    Node("s", (0, 1.3), "s = sin x", lambda x: sin(x), (("cos x", lambda x: cos(x)),)),
    Node("f", (0.5, 2.6), "f = u + s", lambda u, s: u + s,
         (("1", lambda u: 1), ("1", lambda s: 1))),
)  # fmt: skip

SHARED = (
    Node("w", (0, 0), "w"),
    Node("x", (1, 0), "x"),
    Node("u", (1, 1), "u = w·x", lambda w, x: w * x,
         (("x", lambda x: x), ("w", lambda w: w))),
    Node("h", (1, 2), "h = tanh u", lambda u: _tanh(u), (("1 − h²", lambda h: 1 - h * h),)),
    Node("v", (0, 3), "v = w·h", lambda w, h: w * h,
         (("h", lambda h: h), ("w", lambda w: w))),
    Node("f", (0, 4), "f = tanh v", lambda v: _tanh(v), (("1 − f²", lambda f: 1 - f * f),)),
)  # fmt: skip


# --- from a graph to a program --------------------------------------------------------------------


class _Sweeps:
    """When each node of a graph is visited, and what it gets."""

    def __init__(self, nodes: tuple[Node, ...]):
        self.nodes = nodes
        self.inputs = [node.name for node in nodes if not node.rule]
        self.made = [node for node in nodes if node.rule]
        self.out = nodes[-1].name
        self.values = len(self.made)  # steps that compute values
        self.last = 2 * self.values + 1
        self.visit = {node.name: k for k, node in enumerate(self.made, 1)}  # on the way forward
        self.back = {name: self.last + 1 - k for name, k in self.visit.items()}
        self.uses = {node.name: self._users(node.name) for node in nodes}  # newest first
        self.edges = sum(len(node.parents) for node in self.made)

    def _users(self, name: str) -> list[tuple[Node, int]]:
        return [
            (node, k)
            for node in reversed(self.made)
            for k, parent in enumerate(node.parents)
            if parent == name
        ]

    def depends(self, seed: str) -> list[str]:
        """Names of the nodes that an input has an effect on, itself included."""
        names = [seed]
        for node in self.made:
            if set(node.parents) & set(names):
                names.append(node.name)
        return names

    def carried(self, node: Node, seed: str) -> list[int]:
        """Which arguments of a node carry a tangent of an input."""
        depends = self.depends(seed)
        return [k for k, parent in enumerate(node.parents) if parent in depends]

    def products(self, seed: str) -> int:
        """Count the edges that carry a tangent of an input: one product for each."""
        return sum(len(self.carried(node, seed)) for node in self.made)

    def arrival(self, name: str, k: int = 0) -> int:
        """Step of the sweep back at which the k-th piece of an adjoint arrives."""
        return self.values + 1 if name == self.out else self.back[self.uses[name][k][0].name]


def _rule(names, fun: Callable) -> Callable:
    """Make a rule of the named quantities; `fun` takes them as one list."""

    def rule(*values):
        return fun(values)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    rule.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    return rule


def _pick(numbers, chosen, otherwise):
    """Choose by a switch that stands at 0, 1, ...; `numbers` maps positions to values."""
    result = otherwise
    for k, number in numbers.items():
        result = _if((chosen > k - 0.5) & (chosen < k + 0.5), number, result)
    return result


def _if(condition, if_true, if_false):
    if is_symbolic(condition):
        return sp.Piecewise((if_true, condition), (if_false, True))
    return if_true if condition else if_false


def _quantities(g: _Sweeps) -> list[Let]:
    found = [Let(node.name, node.rule) for node in g.made]
    found += [
        Let(f"s_{node.name}_{k}", slope)
        for node in g.made
        for k, (_, slope) in enumerate(node.slopes)
    ]
    return [*found, *_backward(g), *_forward(g), *_shown(g), *_verdict(g), *_products(g)]


def _backward(g: _Sweeps):
    """Adjoints: those of a sweep that adds, and of the sweep as the switch has it."""
    for kind in ("true", "bar"):
        yield Let(f"{kind}_{g.out}", lambda step: 1)
        for node in reversed(g.nodes[:-1]):
            pieces = []
            for user, k in g.uses[node.name]:
                piece = f"{kind}_{user.name}_{k}"
                pieces.append(piece)
                parts = (f"{kind}_{user.name}", f"s_{user.name}_{k}")
                yield Let(piece, _rule(parts, lambda p: p[0] * p[1]))
            if kind == "true" or len(pieces) == 1:
                yield Let(f"{kind}_{node.name}", _rule(pieces, sum))
            else:
                yield Let(f"bar_{node.name}", _rule(("broken", *pieces), _met))


def _met(p):
    """Add pieces, or keep the last one, as the switch has it."""
    broken, *pieces = p
    return _if(broken > 0.5, pieces[-1], sum(pieces))


def _forward(g: _Sweeps):
    """Tangents along each input, as the switch has it."""
    for index, seed in enumerate(g.inputs):
        yield Let(f"dot_{seed}_{index}", lambda step: 1)
        for node in g.made:
            ks = g.carried(node, seed)
            if not ks:
                continue
            parts = [f"dot_{node.parents[k]}_{index}" for k in ks]
            parts += [f"s_{node.name}_{k}" for k in ks]
            yield Let(f"dot_{node.name}_{index}", _rule(("broken", *parts), _pushed))


def _pushed(p):
    broken, *parts = p
    half = len(parts) // 2
    return _met((broken, *(t * s for t, s in zip(parts[:half], parts[half:], strict=True))))


def _shown(g: _Sweeps):
    """Tell what stands in the boxes at this step, and whether it does."""
    yield Let("reverse", lambda mode: mode < 0.5)
    yield Let("forward", lambda mode: mode > 0.5)
    for node in g.made:
        visit, back = g.visit[node.name], g.back[node.name]
        yield Let(f"has_{node.name}", lambda step, k=visit: step > k - 0.5)
        yield Let(
            f"hot_{node.name}",
            lambda step, mode, k=visit, j=back: (
                (abs(step - k) < 0.5) | ((abs(step - j) < 0.5) & (mode < 0.5))
            ),
        )
    for node in g.nodes:
        arrives = g.arrival(node.name)
        yield Let(
            f"has_bar_{node.name}",
            lambda step, mode, k=arrives: (step > k - 0.5) & (mode < 0.5),
        )
        if len(g.uses[node.name]) > 1:
            user, k = g.uses[node.name][0]
            parts = ("step", f"bar_{user.name}_{k}", f"bar_{node.name}")
            then = g.arrival(node.name, 1)
            yield Let(
                f"seen_{node.name}",
                _rule(parts, lambda p, then=then: _if(p[0] < then - 0.5, p[1], p[2])),
            )
        else:
            yield Let(f"seen_{node.name}", _rule((f"bar_{node.name}",), lambda p: p[0]))
        seeds = [k for k, seed in enumerate(g.inputs) if node.name in g.depends(seed)]
        parts = ("which", *(f"dot_{node.name}_{k}" for k in seeds))
        yield Let(
            f"dot_{node.name}",
            _rule(parts, lambda p, ks=seeds: _pick(dict(zip(ks, p[1:], strict=True)), p[0], 0)),
        )
        visit = g.visit.get(node.name, 0)
        yield Let(
            f"has_dot_{node.name}",
            lambda step, mode, which, k=visit, ks=seeds: (
                (step > k - 0.5) & (mode > 0.5) & (_pick(dict.fromkeys(ks, 1), which, 0) > 0.5)
            ),
        )


def _verdict(g: _Sweeps):
    """Compute the slopes found so far, and by how much the sweep is wrong."""
    for k, name in enumerate(g.inputs):
        parts = ("step", "mode", "which", f"seen_{name}", f"dot_{g.out}_{k}")
        arrives = g.arrival(name)
        yield Let(
            f"found_{name}",
            _rule(
                parts,
                lambda p, k=k, arrives=arrives: _if(
                    p[1] < 0.5,
                    _if(p[0] > arrives - 0.5, p[3], 0),
                    _if((p[0] > g.values - 0.5) & (abs(p[2] - k) < 0.5), p[4], 0),
                ),
            ),
        )
    for name in g.inputs:
        parts = (f"bar_{name}", f"true_{name}")
        yield Let(f"off_{name}", _rule(parts, lambda p: abs(p[0] - p[1])))
    yield Let("off_back", _rule([f"off_{name}" for name in g.inputs], sum))
    wanted = [f"true_{name}" for name in g.inputs]
    yield Let("wanted", _rule(("which", *wanted), lambda p: _pick(dict(enumerate(p[1:])), p[0], 0)))
    yield Let("off_dot", _rule((f"dot_{g.out}", "wanted"), lambda p: abs(p[0] - p[1])))
    for name in g.inputs:
        arrives = g.arrival(name)
        yield Let(
            f"back_found_{name}", lambda step, mode, k=arrives: (step > k - 0.5) & (mode < 0.5)
        )
    for k, name in enumerate(g.inputs):
        yield Let(
            f"run_found_{name}",
            lambda step, mode, which, k=k: (
                (step > g.values - 0.5) & (mode > 0.5) & (abs(which - k) < 0.5)
            ),
        )


def _products(g: _Sweeps):
    """Put a dot on each product that has been made; the others wait outside the picture."""
    spots = _spots(g)
    steps = [g.back[node.name] for node in reversed(g.made) for _ in node.parents]
    for j, (step_made, spot) in enumerate(zip(steps, spots["back"], strict=True)):
        yield Let(
            f"back_dot_{j}",
            lambda step, mode, made=step_made, spot=spot: _if(
                (step > made - 0.5) & (mode < 0.5), spot, -9.0
            ),
        )
    runs = [
        (k, g.visit[node.name])
        for k, seed in enumerate(g.inputs)
        for node in g.made
        for _ in g.carried(node, seed)
    ]
    for j, ((k, step_made), spot) in enumerate(zip(runs, spots["run"], strict=True)):
        yield Let(
            f"run_dot_{j}",
            lambda step, mode, which, k=k, made=step_made, spot=spot: _if(
                (step > made - 0.5) & (mode > 0.5) & (abs(which - k) < 0.5), spot, -9.0
            ),
        )


# --- what the sentences say: the first condition that holds is said -------------------------------


def _sentences(g: _Sweeps, vanishes: bool) -> tuple[list[Let], list[tuple[str, str]]]:
    """Give the conditions and the sentences of a graph.

    `vanishes` says that the piece which comes first can be 0 at a position of the sliders.
    """
    lets, says = [], []

    def say(name, words, condition):
        lets.append(Let(name, condition))
        says.append((name, words))

    def at(k):
        return lambda step, mode: (mode < 0.5) & (abs(step - k) < 0.5)

    nodes = {node.name: node for node in g.nodes}
    total = sum(g.products(seed) for seed in g.inputs)
    count = {2: "both", 3: "all three"}[len(g.inputs)]
    slopes = ", ".join(f"{{found_{name}:.3f}} in {name}" for name in g.inputs)

    # backward
    say("say_start", "The inputs are known, and nothing else. Move the step on.", at(0))
    for node in g.made:
        say(
            f"say_{node.name}",
            f"Values first: {node.label}, that is {{{node.name}:.3f}}.",
            at(g.visit[node.name]),
        )
    say(
        "say_seed",
        f"All values are known. Now back: the adjoint of {g.out} is 1, for {g.out} changes itself "
        "one for one.",
        at(g.values + 1),
    )
    for node in list(reversed(g.made))[:-1]:
        say(f"say_back_{node.name}", _handed(g, node), at(g.back[node.name]))

    done = (
        f" One sweep back gives {count} slopes, {slopes}, with {g.edges} products; forward mode "
        f"takes {total}."
    )
    shared = [name for name in g.inputs if len(g.uses[name]) > 1]
    for name in shared:
        (_, _), (user, k) = g.uses[name]
        hand = (
            f"Back through {nodes[user.name].label}: a second piece, {{bar_{user.name}_{k}:.3f}}, "
            f"comes to {name}"
        )
        old = f"{{bar_{g.uses[name][0][0].name}_{g.uses[name][0][1]}:.3f}}"
        say(
            "say_wrong",
            f"{hand} and overwrites the first, {old}. The slope in {name} is said to be "
            f"{{bar_{name}:.3f}}. It is {{true_{name}:.3f}}: wrong by {{off_back:.3f}}.",
            lambda step, mode, broken, off_back: (
                (mode < 0.5) & (broken > 0.5) & (step > g.last - 0.5) & (off_back >= 0.0005)
            ),
        )
        if vanishes:
            say(
                "say_lucky",
                f"{hand} and overwrites the first. The first was 0 to three decimals, so nobody "
                "notices at this point.",
                lambda step, mode, broken: (mode < 0.5) & (broken > 0.5) & (step > g.last - 0.5),
            )
        say("say_end", f"{hand} and is added to the first, {old}." + done, at(g.last))
    if not shared:
        say("say_end", _handed(g, g.made[0]) + done, at(g.last))

    # forward
    for k, seed in enumerate(g.inputs):
        say(
            f"say_start_{k}",
            f"Forward mode along {seed}: the tangent of {seed} is 1, the others have none.",
            lambda step, mode, which, k=k: (step < 0.5) & (abs(which - k) < 0.5),
        )
    for node in g.made[:-1]:
        seeds = [k for k, seed in enumerate(g.inputs) if node.name in g.depends(seed)]
        here = f"{node.label} is {{{node.name}:.3f}}"
        met = [k for k in seeds if len(g.carried(node, g.inputs[k])) > 1]
        if met and any(len(g.uses[name]) > 1 for name in g.inputs):
            say(
                f"say_over_{node.name}",
                f"Two pieces meet at {node.label}, and the second overwrites the first. The "
                f"tangent is said to be {{dot_{node.name}:.3f}}.",
                lambda step, which, broken, k=g.visit[node.name], ks=met: (
                    (abs(step - k) < 0.5)
                    & (broken > 0.5)
                    & (_pick(dict.fromkeys(ks, 1), which, 0) > 0.5)
                ),
            )
        say(
            f"say_dot_{node.name}",
            f"Value and tangent together: {here}, and its tangent is {{dot_{node.name}:.3f}}.",
            lambda step, which, k=g.visit[node.name], ks=seeds: (
                (abs(step - k) < 0.5) & (_pick(dict.fromkeys(ks, 1), which, 0) > 0.5)
            ),
        )
        if len(seeds) < len(g.inputs):
            say(
                f"say_still_{node.name}",
                f"{here}. It does not depend on the chosen input and has no tangent.",
                lambda step, k=g.visit[node.name]: abs(step - k) < 0.5,
            )
    for k, seed in enumerate(g.inputs):
        met = [node.name for node in g.made if len(g.carried(node, seed)) > 1]
        if met:
            say(
                f"say_wrong_{k}",
                f"Pieces met at {' and '.join(met)}, and the last overwrote the first. The slope "
                f"in {seed} is said to be {{dot_{g.out}:.3f}}. It is {{wanted:.3f}}: wrong by "
                "{off_dot:.3f}.",
                lambda which, broken, off_dot, k=k: (
                    (abs(which - k) < 0.5) & (broken > 0.5) & (off_dot >= 0.0005)
                ),
            )
            say(
                f"say_lucky_{k}",
                f"A piece was overwritten at {' and '.join(met)}, but what was lost is 0 to three "
                "decimals: nobody notices at this point.",
                lambda which, broken, k=k: (abs(which - k) < 0.5) & (broken > 0.5),
            )
    for k, seed in enumerate(g.inputs):
        says.append(
            (
                f"say_end_{k}" if k + 1 < len(g.inputs) else "",
                f"Done: the tangent of {g.out} is its slope in {seed}, {{dot_{g.out}:.3f}}, after "
                f"{g.products(seed)} products. {count.capitalize()} slopes take {total}; one sweep "
                f"back takes {g.edges}.",
            )
        )
        if k + 1 < len(g.inputs):
            lets.append(Let(f"say_end_{k}", lambda which, k=k: abs(which - k) < 0.5))
    return lets, says


def _handed(g: _Sweeps, node: Node) -> str:
    """Say what a node hands back to its arguments."""
    parts = []
    for k, (parent, (slope, _)) in enumerate(zip(node.parents, node.slopes, strict=True)):
        piece = f"{{bar_{node.name}_{k}:.3f}}"
        times = f" times {slope}" if slope != "1" else " unchanged"
        parts.append(f"{parent} gets it{times}: {piece}")
    return (
        f"Back through {node.label}, whose adjoint is {{bar_{node.name}:.3f}}: {'; '.join(parts)}."
    )


# --- the scene ------------------------------------------------------------------------------------


def _scene(title, nodes, reach, inputs, vanishes=False) -> Scene:
    """Make the scene of one graph; `inputs` maps names to low, high and first value."""
    g = _Sweeps(nodes)
    names = list(inputs)
    lets, says = _sentences(g, vanishes)
    meet = any(len(g.uses[name]) > 1 for name in g.inputs)
    switches = [switch("mode", "Mode", "reverse", *(f"forward along {name}" for name in names))]
    if meet:
        switches.append(switch("broken", "Where paths meet", "add (+=)", "overwrite (=)"))
    quantities = [Let("which", lambda mode: mode - 1)]  # the input of a run forward: 0, 1, ...
    quantities += [] if meet else [Let("broken", lambda step: 0)]
    program = Program(
        ("step", *(each.name for each in switches), *names), *quantities, *_quantities(g), *lets
    )
    sliders = (
        Slider("step", "Step", 0.0, float(g.last), float(g.last), step=1.0, form=".0f"),
        *switches,
        *(Slider(name, name, *span, step=0.1, form=".1f") for name, span in inputs.items()),
    )  # fmt: skip
    columns = ((_graph_panel(title, g),), (_slopes_panel(g, reach), _products_panel(g)))
    return Scene(title, sliders, program, columns, tuple(says))


def _graph_panel(title, g: _Sweeps) -> Panel:
    rows = max(node.place[1] for node in g.nodes) + 1
    tall = PITCH * rows + LEGEND
    centers = {
        node.name: (
            WIDE / 2 + 2 + node.place[0] * (ACROSS - WIDE - 4),
            tall - PITCH * (node.place[1] + 0.5) + 10,
        )
        for node in g.nodes
    }
    marks: list = []
    for node in g.made:
        for parent in node.parents:
            (x0, y0), (x1, y1) = _edge(centers, node, parent)
            marks.append(Path((x0, x1), (y0, y1), "orange", 4.0, show=f"hot_{node.name}"))
    for node in g.nodes:
        x, y = centers[node.name]
        seen = f"has_{node.name}" if node.rule else ""
        left, right, low = float(x - WIDE / 2 - 1), float(x + WIDE / 2 + 1), float(y - 18)
        texts = (
            (left, node.name, "black", "start", seen),
            (right, f"seen_{node.name}", "vermillion", "end", f"has_bar_{node.name}"),
            (right, f"dot_{node.name}", "blue", "end", f"has_dot_{node.name}"),
        )
        for at, name, color, anchor, show in texts:
            marks.append(Text(at, low, f"{{{name}:.3f}}", color, anchor, show=show))
    for show, word, color in (("reverse", "adjoint", "vermillion"), ("forward", "tangent", "blue")):
        marks.append(Text(ACROSS, 0.0, f"right: {word}", color, "end", show=show))
    return Panel(
        lambda ax: _draw_graph(ax, title, g, centers, tall),
        tuple(marks),
        f"The graph of {title}. Boxes are numbers, arrows lead from each number to those made "
        "from it and carry the local slope. In each box the value stands on the left, and on "
        "the right the adjoint or the tangent.",
        (tall + 62) / 72,
    )


def _edge(centers, node, parent):
    """Give the ends of an edge: the lower side of one box and the upper side of the other."""
    (x0, y0), (x1, y1) = centers[parent], centers[node.name]
    side = {True: -18, False: 18, None: 0}[_comes_from_left(centers, node, parent)]
    return (float(x0), float(y0 - HIGH / 2)), (float(x1 + side), float(y1 + HIGH / 2))


def _beside(start, end, gap, left) -> tuple[float, float]:
    """Place words beside an edge: left or right of a steep one, above a flat one."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    across = (-dy / length, dx / length)  # points right where the edge goes down
    flat = abs(dx) > abs(dy)
    sign = (1 if across[1] > 0 else -1) if flat else (-1 if left else 1)
    gap = 7 if flat else gap
    at = (start[0] + 0.5 * dx, start[1] + 0.5 * dy)
    return at[0] + sign * gap * across[0], at[1] + sign * gap * across[1]


def _comes_from_left(centers, node, parent) -> bool | None:
    """Tell which of two arguments stands further left; None for the only one."""
    if len(node.parents) == 1:
        return None
    return parent == min(node.parents, key=lambda name: centers[name][0])


def _draw_graph(ax, title, g: _Sweeps, centers, tall):
    ink = mpl.rcParams["text.color"]
    for node in g.made:
        for k, parent in enumerate(node.parents):
            start, end = _edge(centers, node, parent)
            arrow = {"arrowstyle": "-|>", "color": "#888888", "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", end, start, arrowprops=arrow)
            words, left = node.slopes[k][0], _comes_from_left(centers, node, parent)
            if left is None:
                left = len(g.uses[parent]) > 1
            x, y = _beside(start, end, 6 + 2.5 * len(words), left)
            ax.text(x, y, words, fontsize=9.5, ha="center", va="center")
    for node in g.nodes:
        x, y = centers[node.name]
        corner = (x - WIDE / 2, y - HIGH / 2)
        style = {"boxstyle": "round,pad=0,rounding_size=4", "fc": "none", "ec": ink, "lw": 1}
        ax.add_patch(FancyBboxPatch(corner, WIDE, HIGH, **style))
        ax.text(x, y + 3, node.label, ha="center", va="bottom", fontsize=9.5)
    ax.text(3, 7, "left: value", fontsize=9.5, fontweight="bold")
    ax.set(xlim=(0, ACROSS), ylim=(0, tall), title=title)
    ax.set_axis_off()


def _slopes_panel(g: _Sweeps, reach) -> Panel:
    marks: list = []
    for k, name in enumerate(g.inputs):
        marks.append(Points(float(k), f"true_{name}", "black", 7.0, hollow=True))
        for mode, color in (("back", "vermillion"), ("run", "blue")):
            show = f"{mode}_found_{name}"
            marks.append(Path((float(k), float(k)), (0.0, f"found_{name}"), color, 2.5, show=show))
            marks.append(Points(float(k), f"found_{name}", color, 4.5, show=show))

    def draw(ax):
        ax.axhline(0, color="#888888", lw=0.8)
        ax.set(xlim=(-0.6, len(g.inputs) - 0.4), ylim=(-reach, reach), xticks=range(len(g.inputs)))
        ax.set_xticklabels(g.inputs)
        ax.set_title(f"Slopes of {g.out}")

    return Panel(
        draw,
        tuple(marks),
        f"The slope of {g.out} in each input: rings show the true slopes, dots those that this "
        "run has found so far.",
        2.5,
    )


def _products_panel(g: _Sweeps) -> Panel:
    each = {seed: g.products(seed) for seed in g.inputs}
    total = sum(each.values())
    spots = _spots(g)
    told = ", ".join(f"{count} along {seed}" for seed, count in each.items())

    def draw(ax):
        ring = {"ms": 9, "mfc": "none", "mec": "#888888", "ls": ""}
        for color, row in (("back", 1), ("run", 0)):
            ax.plot(spots[color], [row] * len(spots[color]), "o", **ring)
        ax.text(-0.5, 1.28, f"reverse: {g.edges} for all slopes", fontsize=9.5)
        ax.text(-0.5, 0.28, f"forward: {told}", fontsize=9.5)
        ax.set(xlim=(-0.7, 11.7), ylim=(-0.4, 1.6), title="Products with a local slope")
        ax.set_axis_off()

    marks = tuple(
        Points(tuple(f"{mode}_dot_{k}" for k in range(len(spots[mode]))),
               (row,) * len(spots[mode]), color, 4.5)
        for mode, row, color in (("back", 1.0, "vermillion"), ("run", 0.0, "blue"))
    )  # fmt: skip
    return Panel(
        draw,
        marks,
        f"A ring for each product of a sweep: reverse mode needs {g.edges} for all slopes, forward "
        f"mode {total}: {told}. What has been made so far is filled.",
        2.1,
    )


def _spots(g: _Sweeps) -> dict[str, list[float]]:
    """Places of the products: one row for the sweep back, one with a gap between forward runs."""
    run: list[float] = []
    for k, seed in enumerate(g.inputs):
        start = len(run) + 0.6 * k
        run += [start + j for j in range(g.products(seed))]
    return {"back": [float(k) for k in range(g.edges)], "run": run}
