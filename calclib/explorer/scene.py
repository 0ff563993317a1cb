"""What an explorer is made of: sliders, marks, panels, words.

A `Scene` is one picture with its sliders. Its `Program` computes named quantities from the
sliders; the marks and the words name the quantities that they show. A position is the name of a
quantity (a number or a list), a number, or a tuple of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from calclib.explorer.words import fill, number
from calclib.plotting import COLORS
from calclib.tracing import Program

Position = str | float | tuple


@dataclass(frozen=True)
class Slider:
    """One number that the reader sets.

    Parameters
    ----------
    name : str
        Name of the program's input.
    label : str
        What the reader sees.
    low, high : float
        Ends of the range.
    value : float
        Where it stands at first.
    step : float
        Distance between two positions; in decades when `log` is true.
    log : bool
        Equal distances multiply: for learning rates and step sizes.
    form : str
        How the value is written, as in `words.number`.
    words : tuple of str
        Names of the positions 0, 1, ... of a switch, shown in place of the value.

    Raises
    ------
    ValueError
        If the value is outside the range, a logarithmic range does not begin above zero, or a
        switch has other positions than 0, 1, ..., one for each word.

    Examples
    --------
    >>> Slider("rate", "Learning rate", 0.001, 1.0, 0.1, step=0.05, log=True, form="g").name
    'rate'
    """

    name: str
    label: str
    low: float
    high: float
    value: float
    step: float = 0.05
    log: bool = False
    form: str = ".2f"
    words: tuple[str, ...] = ()

    def __post_init__(self):
        if self.words and (self.low, self.high, self.step) != (0, len(self.words) - 1, 1):
            raise ValueError(
                f"{self.name}: {len(self.words)} words need the positions 0 to "
                f"{len(self.words) - 1} in steps of 1, got {self.low} to {self.high} in steps of "
                f"{self.step}; use switch()"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"{self.name}: a log slider must begin above 0, got low={self.low}")
        if not self.low <= self.value <= self.high:
            raise ValueError(
                f"{self.name}: value must be in [{self.low}, {self.high}], got {self.value}"
            )
        if self.step <= 0:
            raise ValueError(f"{self.name}: step must be above 0, got {self.step}")

    def position(self, value: float) -> float:
        """Place of a value on the slider: the value itself, or its decimal logarithm."""
        return math.log10(value) if self.log else value

    def told(self, value: float) -> str:
        """Write a value as the reader sees it: in words, or as a number."""
        return self.words[round(value)] if self.words else number(value, self.form)

    def values(self, count: int | None = None) -> list[float]:
        """List the values that the slider can take: all of them, or `count` spread evenly."""
        low, high = self.position(self.low), self.position(self.high)
        last = math.floor((high - low) / self.step + 1e-9)
        count = last + 1 if count is None else min(count, last + 1)
        steps = sorted({round(k * last / (count - 1)) for k in range(count)})
        places = [low + k * self.step for k in steps]
        return [10**place if self.log else round(place, 12) for place in places]


def switch(name: str, label: str, *words: str, value: int = 0) -> Slider:
    """Make a slider whose positions have names: a choice of modes.

    Parameters
    ----------
    name : str
        Name of the program's input, which is 0, 1, ... in the order of the words.
    label : str
        What the reader sees.
    *words : str
        Names of the positions, two at least.
    value : int
        Where it stands at first.

    Returns
    -------
    Slider
        A slider with ``words``.

    Examples
    --------
    >>> switch("mode", "Mode", "reverse", "forward").told(1.0)
    'forward'
    """
    return Slider(name, label, 0, len(words) - 1, value, step=1, form=".0f", words=words)


@dataclass(frozen=True)
class Path:
    """A line through points.

    Parameters
    ----------
    x, y : position
        Coordinates of the points, data units.
    color : str
        Name in `plotting.COLORS`.
    width : float
        Width in points of the page.
    dash : bool
        Dashed instead of solid.
    dots : bool
        With a dot on each point.
    show : str
        Name of a quantity: drawn only where it is true.

    Examples
    --------
    >>> Path("x", "y", dots=True).width
    2.0
    """

    x: Position
    y: Position
    color: str = "blue"
    width: float = 2.0
    dash: bool = False
    dots: bool = False
    show: str = ""

    def draw(self, ax, q: dict) -> None:
        """Draw the mark with matplotlib."""
        style = {"ls": "--" if self.dash else "-", "marker": "o" if self.dots else ""}
        ax.plot(_at(self.x, q), _at(self.y, q), **style, ms=3.5, lw=self.width, **_color(self))


@dataclass(frozen=True)
class Points:
    """Dots; rings when hollow.

    Parameters
    ----------
    x, y : position
        Coordinates of the points, data units.
    color : str
        Name in `plotting.COLORS`.
    size : float
        Radius in points of the page.
    hollow : bool
        Rings instead of dots.
    show : str
        Name of a quantity: drawn only where it is true.

    Examples
    --------
    >>> Points("x", 0.0).size
    5.0
    """

    x: Position
    y: Position
    color: str = "blue"
    size: float = 5.0
    hollow: bool = False
    show: str = ""

    def draw(self, ax, q: dict) -> None:
        """Draw the mark with matplotlib."""
        face = {"mfc": "none"} if self.hollow else {}
        style = {"ms": 2 * self.size, "mew": 2, **face, **_color(self)}
        ax.plot(_at(self.x, q), _at(self.y, q), "o", **style)


@dataclass(frozen=True)
class Arrow:
    """An arrow from (x, y) by (dx, dy).

    Parameters
    ----------
    x, y : position
        Where it begins, data units.
    dx, dy : position
        How far it goes, data units.
    color : str
        Name in `plotting.COLORS`.
    show : str
        Name of a quantity: drawn only where it is true.

    Examples
    --------
    >>> Arrow("x", "y", 1.0, 0.0).color
    'orange'
    """

    x: Position
    y: Position
    dx: Position
    dy: Position
    color: str = "orange"
    show: str = ""

    def draw(self, ax, q: dict) -> None:
        """Draw the mark with matplotlib."""
        (x,), (y,), (dx,), (dy,) = (_at(p, q) for p in (self.x, self.y, self.dx, self.dy))
        arrow = {"arrowstyle": "-|>", "lw": 2.5, "mutation_scale": 16, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (x + dx, y + dy), (x, y), arrowprops={**arrow, **_color(self)})


@dataclass(frozen=True)
class Bars:
    """Upright bars from `base` to `y`.

    Parameters
    ----------
    x, y : position
        Places and tops of the bars, data units.
    base : position
        Where the bars stand, data units: one number, or one for each bar.
    color : str
        Name in `plotting.COLORS`.
    width : float
        Width in points of the page.
    show : str
        Name of a quantity: drawn only where it is true.

    Examples
    --------
    >>> Bars((1.0, 2.0), ("a", "b")).base
    0.0
    """

    x: Position
    y: Position
    base: Position = 0.0
    color: str = "sky"
    width: float = 6.0
    show: str = ""

    def draw(self, ax, q: dict) -> None:
        """Draw the mark with matplotlib."""
        ax.vlines(_at(self.x, q), _at(self.base, q), _at(self.y, q), lw=self.width, **_color(self))


@dataclass(frozen=True)
class Text:
    """Words with numbers in them, beside a point.

    Parameters
    ----------
    x, y : position
        The point, data units.
    text : str
        The words, with fields as in `words.fill`.
    color : str
        Name in `plotting.COLORS`.
    anchor : str
        Which part of the words stands at the point: ``start``, ``middle`` or ``end``.
    show : str
        Name of a quantity: drawn only where it is true.

    Examples
    --------
    >>> Text("x", "y", "slope {slope:.2f}").anchor
    'start'
    """

    x: Position
    y: Position
    text: str
    color: str = "black"
    anchor: str = "start"
    show: str = ""

    def draw(self, ax, q: dict) -> None:
        """Draw the mark with matplotlib."""
        (x,), (y,) = _at(self.x, q), _at(self.y, q)
        side = {"start": ("left", 7), "middle": ("center", 0), "end": ("right", -7)}[self.anchor]
        text = fill(self.text, q)
        ax.annotate(
            text, (x, y), (side[1], 7), textcoords="offset points", ha=side[0], **_color(self)
        )


@dataclass(frozen=True)
class Handle:
    """A point that can be dragged, or moved with the arrow keys.

    Parameters
    ----------
    x, y : position
        The point, data units. A coordinate that names a slider moves that slider.
    label : str
        What the handle sets, for screen readers.
    color : str
        Name in `plotting.COLORS`.

    Examples
    --------
    >>> Handle("x0", 0.0, "Start point").color
    'vermillion'
    """

    x: Position
    y: Position
    label: str
    color: str = "vermillion"

    def draw(self, ax, q: dict) -> None:
        """Draw the mark with matplotlib."""
        ax.plot(_at(self.x, q), _at(self.y, q), "o", ms=11, mec="white", mew=1.5, **_color(self))


Mark = Path | Points | Arrow | Bars | Text | Handle


@dataclass(frozen=True)
class Panel:
    """One picture: a backdrop that stays and marks that move.

    Parameters
    ----------
    draw : callable
        Draws axes, limits, labels and curves on a matplotlib Axes. It must set the limits.
    marks : tuple of marks
        What moves, from back to front.
    alt : str
        What is seen, for those who do not see it.
    height : float
        Height in inches; the width is that of its column.

    Examples
    --------
    >>> Panel(lambda ax: ax.set(xlim=(0, 1), ylim=(0, 1)), (Points(0.5, 0.5),), "A dot.").height
    3.6
    """

    draw: Callable
    marks: tuple[Mark, ...]
    alt: str
    height: float = 3.6


@dataclass(frozen=True)
class Scene:
    """One picture with its sliders and its words.

    Parameters
    ----------
    title : str
        Name in the list of scenes.
    sliders : tuple of Slider
        The inputs of the program, in the order shown.
    program : Program
        Computes every quantity that marks and words name.
    columns : tuple of tuple of Panel
        Panels side by side; the panels of a column are stacked.
    says : tuple of (str, str)
        Conditions and sentences. The first condition that holds is said; ``""`` always holds.

    Raises
    ------
    ValueError
        If sliders and inputs differ, or a mark or sentence names no quantity.

    Examples
    --------
    >>> half = Scene(
    ...     "half",
    ...     (Slider("x", "x", 0.0, 1.0, 0.5),),
    ...     Program(("x",)),
    ...     ((Panel(lambda ax: ax.set(xlim=(0, 1), ylim=(0, 1)), (Points("x", 0.5),), "A dot."),),),
    ...     (("", "x is {x:.1f}."),),
    ... )
    >>> half.sentence(half.quantities())
    'x is 0.5.'
    """

    title: str
    sliders: tuple[Slider, ...]
    program: Program
    columns: tuple[tuple[Panel, ...], ...]
    says: tuple[tuple[str, str], ...]

    def __post_init__(self):
        names = tuple(slider.name for slider in self.sliders)
        if names != self.program.inputs:
            raise ValueError(f"sliders are {names}, but the program's inputs {self.program.inputs}")
        if not self.says or self.says[-1][0]:
            raise ValueError('the last sentence must hold always; give it the condition ""')
        quantities = self.quantities()
        for panel in self.panels:
            for mark in panel.marks:
                places = [value for key, value in vars(mark).items() if key in AXES]
                shown = [mark.show] if getattr(mark, "show", "") else []
                for name in [*_names(places), *shown]:
                    if name not in quantities:
                        raise ValueError(f"{mark} names {name!r}, which the program does not give")
        for condition, sentence in self.says:
            if condition and condition not in quantities:
                raise ValueError(f"the program does not give {condition!r}, which says {sentence}")
            fill(sentence, quantities)

    @property
    def panels(self) -> list[Panel]:
        """The panels, column by column."""
        return [panel for column in self.columns for panel in column]

    def quantities(self, **values: float) -> dict:
        """Every quantity at the given slider values; the others stay where they stand at first."""
        return self.program(**{slider.name: slider.value for slider in self.sliders} | values)

    def sentence(self, quantities: dict) -> str:
        """Say in words what the picture shows."""
        for condition, sentence in self.says:
            if not condition or quantities[condition]:
                return fill(sentence, quantities)
        raise AssertionError("the last sentence holds always")

    def spec(self) -> dict:
        """Give `explorer.js` what it needs, as JSON: sliders, marks and words."""
        return {
            "sliders": [vars(slider) for slider in self.sliders],
            "panels": [
                {"marks": [{"kind": type(m).__name__.lower(), **vars(m)} for m in panel.marks]}
                for panel in self.panels
            ],
            "says": [list(pair) for pair in self.says],
        }


AXES = ("x", "y", "dx", "dy", "base")


def _names(positions) -> list[str]:
    if isinstance(positions, str):
        return [positions]
    if isinstance(positions, (tuple, list)):
        return [name for each in positions for name in _names(each)]
    return []


def _at(position: Position, q: dict) -> list[float]:
    """Numbers of a position: those of a quantity, of a number, or of several of them."""
    if isinstance(position, tuple):
        return [number for part in position for number in _at(part, q)]
    value = q[position] if isinstance(position, str) else position
    return list(value) if isinstance(value, (list, tuple)) else [float(value)]


def _color(mark: Mark) -> dict:
    return {"color": COLORS[mark.color]}
