"""Pictures of a panel: SVG for the page, PNG for print."""

from __future__ import annotations

import io
import re
from html import escape

import matplotlib as mpl
import matplotlib.style
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from calclib.explorer.scene import Panel, Scene
from calclib.plotting import COLORS

WIDTH = 4.2  # inches of a column
INK = "#010203"  # stands for the color of the text around the figure
STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
}


def svg(panel: Panel, key: str) -> tuple[str, dict]:
    """Draw a panel's backdrop as SVG that follows the page's theme.

    Parameters
    ----------
    panel : Panel
        The panel.
    key : str
        Unique on the page; makes the ids.

    Returns
    -------
    markup : str
        An ``<svg>`` with empty groups for marks and handles.
    axes : dict
        For x and y: scale, the two limits in data units, and where they lie in points.

    Raises
    ------
    ValueError
        If the panel has more than one Axes or a scale other than linear and log.

    Notes
    -----
    Text and ticks take ``currentColor`` and the book's colors become CSS variables, so the
    picture changes with the theme. Equal input gives equal bytes.

    Examples
    --------
    >>> frame = Panel(lambda ax: ax.set(xlim=(0, 2), ylim=(0, 1)), (), "An empty frame.")
    >>> markup, axes = svg(frame, "frame")
    >>> axes["x"][:3], "currentColor" in markup
    (['linear', 0.0, 2.0], True)
    """
    inks = ["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"]
    with _style(**dict.fromkeys(inks, INK), **{"svg.hashsalt": key}):
        figure = Figure(figsize=(WIDTH, panel.height))
        canvas = FigureCanvasSVG(figure)
        ax = figure.add_axes(_frame(panel))
        ax.patch.set_visible(False)
        figure.patch.set_visible(False)
        panel.draw(ax)
        if len(figure.axes) != 1:
            raise ValueError(f"a panel has one Axes, got {len(figure.axes)}; use a second panel")
        canvas.draw()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        width, height = WIDTH * 72, panel.height * 72
        box = ax.get_position()
        axes = {
            "x": [ax.get_xscale(), *map(float, ax.get_xlim()), box.x0 * width, box.x1 * width],
            "y": [
                ax.get_yscale(),
                *map(float, ax.get_ylim()),
                (1 - box.y0) * height,
                (1 - box.y1) * height,
            ],
        }
    for scale in (axes["x"][0], axes["y"][0]):
        if scale not in ("linear", "log"):
            raise ValueError(f"a panel's scale must be linear or log, got {scale!r}")
    for name, (scale, *numbers) in axes.items():
        axes[name] = [scale, *(float(f"{number:.9g}") for number in numbers)]
    return _page_svg(buffer.getvalue(), panel, key, axes, width, height), axes


def png(scene: Scene) -> bytes:
    r"""Draw a scene at its first slider values as PNG, with its sentence below.

    Parameters
    ----------
    scene : Scene
        The scene.

    Returns
    -------
    bytes
        A PNG file.

    Examples
    --------
    >>> from calclib.explorer import house_price
    >>> png(house_price().scenes[0])[:4]
    b'\x89PNG'
    """
    q = scene.quantities()
    words = 0.6  # inches below the panels for the sentence
    wide = WIDTH * len(scene.columns)
    tall = words + max(sum(panel.height for panel in column) for column in scene.columns)
    with _style():
        figure = Figure(figsize=(wide, tall))
        for k, column in enumerate(scene.columns):
            top = tall
            for panel in column:
                top -= panel.height
                left, bottom, width, height = _frame(panel)
                place = [
                    (k + left) * WIDTH / wide,
                    (top + bottom * panel.height) / tall,
                    width * WIDTH / wide,
                    height * panel.height / tall,
                ]
                ax = figure.add_axes(place)
                panel.draw(ax)
                limits = ax.get_xlim(), ax.get_ylim()
                for mark in panel.marks:
                    show = getattr(mark, "show", "")
                    if not show or q[show]:
                        mark.draw(ax, q)
                ax.set(xlim=limits[0], ylim=limits[1])
        figure.text(0.5, 0.5 * words / tall, scene.sentence(q), ha="center", va="center", wrap=True)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _style(**settings):
    """Draw in the book's style, whatever the reader has set."""
    return mpl.style.context(["default", {**STYLE, **settings}])


def _frame(panel: Panel) -> list[float]:
    """Place of the axes in a panel: margins of equal inches, so that stacked panels line up."""
    left, right, bottom, top = 0.68, 0.15, 0.52, 0.34
    return [
        left / WIDTH,
        bottom / panel.height,
        1 - (left + right) / WIDTH,
        1 - (bottom + top) / panel.height,
    ]


def _page_svg(source: str, panel: Panel, key: str, axes: dict, width: float, height: float) -> str:
    inner = source[source.index("<svg") :]
    inner = inner[inner.index(">") + 1 : inner.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>", "", inner, flags=re.S)
    inner = re.sub(r'<style type="text/css">.*?</style>', "", inner, flags=re.S)
    inner = re.sub(r'<g id="[^"]*"', "<g", inner)
    inner = re.sub(r"<!--.*?-->", "", inner, flags=re.S)
    inner = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d{3,}", _short, tag[0]), inner)
    inner = inner.replace(INK, "currentColor")
    for name, color in COLORS.items():
        inner = inner.replace(color.lower(), f"var(--{name})")
    inner = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", inner)
    inner = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", inner)).strip()
    (_, _, _, left, right), (_, _, _, bottom, top) = axes["x"], axes["y"]
    clip = (
        f'<clipPath id="{key}"><rect x="{left:.2f}" y="{top:.2f}" '
        f'width="{right - left:.2f}" height="{bottom - top:.2f}"/></clipPath>'
    )
    return (
        f'<svg class="explorer-panel" viewBox="0 0 {width:g} {height:g}">'
        f'<g class="backdrop" role="img" aria-label="{escape(panel.alt)}">{inner}</g>{clip}'
        f'<g class="marks" aria-hidden="true" clip-path="url(#{key})"></g>'
        '<g class="handles"></g></svg>'
    )


def _short(found: re.Match) -> str:
    """Round a coordinate to a hundredth of a point."""
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
