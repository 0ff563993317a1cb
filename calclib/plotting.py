"""Pictures: draws arrays and results, computes nothing.

Vocabulary
----------
ax      a matplotlib Axes, drawn on and never returned
path    the points of a descent in order, path[0] the start
label   text for the picture; labels stand beside what they name wherever there is room

The palette is that of Okabe and Ito, which readers with any color vision can tell apart. Color is
never the only difference: every line also has a label.
"""

import matplotlib.patheffects
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler

COLORS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
}
# The same hues for words, dark enough to read on white: a contrast of 4.5 or more.
_FOR_WORDS = {
    COLORS["vermillion"]: "#BE5400",
    COLORS["green"]: "#00835F",
    COLORS["purple"]: "#9F5E82",
    COLORS["orange"]: "#9A6B00",
    COLORS["sky"]: "#3A799C",
    COLORS["yellow"]: "#7A7422",
}
_CYCLE = [COLORS[c] for c in ("blue", "vermillion", "green", "purple", "orange", "sky", "black")]
_INK = "#333333"  # text and axes
_LEVELS = "#A9B8C9"  # contour lines, behind everything else
_HALO = [matplotlib.patheffects.withStroke(linewidth=3, foreground="white")]
# Where two lines run together, the gaps of the upper one show the lower one.
_DASHES = ["-", (0, (4, 1.5)), (0, (1.5, 3)), (0, (6, 1.5, 1.5, 1.5))]
_WIDTHS = {"single": 6.0, "double": 8.4}  # inches

_STYLE = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.dpi": 100,
    "savefig.facecolor": "white",
    "svg.hashsalt": "calclib",
    "font.family": ["DejaVu Sans"],
    "font.size": 12,
    "text.color": _INK,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 12,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=_CYCLE),
    "axes.axisbelow": True,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "lines.linewidth": 2.0,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "legend.fontsize": 11,
    "legend.handlelength": 1.4,
    "grid.color": "#E3E7EB",
    "grid.linewidth": 0.8,
}


def use_style():
    """Set the book's style for every figure that follows.

    Returns
    -------
    None

    Notes
    -----
    The fonts come with matplotlib, so that the same data give the same PNG on every machine with
    the same matplotlib. The text is 11 to 13 points in a figure 6 inches wide, legible when the
    figure shrinks to the width of a phone.

    References
    ----------
    M. Okabe, K. Ito, "Color Universal Design", 2008. https://jfly.uni-koeln.de/color/

    Examples
    --------
    >>> use_style()
    >>> plt.rcParams["axes.titlelocation"]
    'left'
    """
    plt.rcParams.update(_STYLE)


def figure(ncols=1, *, height=3.2, width=None, sharey=False):
    """Make a figure of the book's size, with one or more axes side by side.

    Parameters
    ----------
    ncols : int, default 1
        The number of axes.
    height : float, default 3.2
        The height, in inches.
    width : float, optional
        The width, in inches. By default 6.0 for one axes and 8.4 for more.
    sharey : bool, default False
        Give all axes the same vertical scale.

    Returns
    -------
    fig : matplotlib.figure.Figure
        The figure.
    ax : matplotlib.axes.Axes or ndarray of Axes, shape (ncols,)
        One axes, or an array of them.

    Examples
    --------
    >>> fig, (left, right) = figure(2)
    >>> fig.get_size_inches().tolist()
    [8.4, 3.2]
    >>> plt.close(fig)
    """
    width = width or _WIDTHS["single" if ncols == 1 else "double"]
    return plt.subplots(1, ncols, figsize=(width, height), sharey=sharey)


def contours(ax, X, Y, Z, *, levels=14, log=False):
    """Draw quiet level lines, the ground on which paths are drawn.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    X, Y, Z : ndarray, shape (m, n)
        The grid and the heights, as ``problem.grid()`` gives them. Heights of NaN are left out.
    levels : int, default 14
        How many level lines.
    log : bool, default False
        Space the levels by a constant factor above the lowest point, over five powers of ten: for
        functions with a flat floor and high walls, such as the valley.

    Returns
    -------
    None

    Notes
    -----
    Both axes get the same scale, because a gradient is perpendicular to the level lines only then;
    ``ax.set_aspect("auto")`` undoes it. The limits are fixed to the grid: a path that leaves it is
    cut off, not shrunk.

    Examples
    --------
    >>> from calclib import problems
    >>> fig, ax = figure()
    >>> contours(ax, *problems.valley().grid(50), log=True)
    >>> plt.close(fig)
    """
    low, high = np.nanmin(Z), np.nanmax(Z)
    heights = np.geomspace(1e-5, 1, levels + 1) if log else np.linspace(0, 1, levels + 2)[1:]
    ax.contour(
        X, Y, Z, levels=low + heights[:-1] * (high - low), colors=_LEVELS, linewidths=0.9, zorder=1
    )
    ax.set(xlim=(np.min(X), np.max(X)), ylim=(np.min(Y), np.max(Y)), aspect="equal")


def path(ax, path, *, color=COLORS["blue"], label=None, ends=True):
    """Draw the path of a descent in the plane, a dot for every point.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw. Limits that something else has set stay as they are.
    path : ndarray, shape (steps + 1, 2)
        The points in order.
    color : str, default blue
        A matplotlib color.
    label : str, optional
        The entry in a legend, for ``ax.legend()``. `label_line` writes beside the path instead.
    ends : bool, default True
        Mark the start with a ring and the end with a large dot.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If `path` does not have two columns.

    Examples
    --------
    >>> fig, ax = figure()
    >>> path(ax, np.array([[4.0, 1.0], [2.0, -0.5], [1.0, 0.2]]), label="rate 0.1")
    >>> plt.close(fig)
    """
    if np.ndim(path) != 2 or np.shape(path)[1] != 2:
        raise ValueError(
            f"path must have shape (steps + 1, 2), got {np.shape(path)}; "
            "path_on_curve draws a path on a line"
        )
    path_on_curve(ax, *np.transpose(path), color=color, label=label, ends=ends)


def path_on_curve(ax, x, y, *, color=COLORS["blue"], label=None, ends=True):
    """Draw the path of a descent on a curve: the points (x_k, f(x_k)), joined.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw. Limits that something else has set stay as they are.
    x, y : ndarray, shape (steps + 1,)
        The points in order and the heights there: ``result.path`` and ``result.values``.
    color : str, default blue
        A matplotlib color.
    label : str, optional
        The entry in a legend, for ``ax.legend()``.
    ends : bool, default True
        Mark the start with a ring and the end with a large dot.

    Returns
    -------
    None

    Examples
    --------
    >>> fig, ax = figure()
    >>> path_on_curve(ax, np.array([5.0, 4.0, 3.2]), np.array([25.0, 16.0, 10.24]))
    >>> plt.close(fig)
    """
    keep = ax.has_data()
    limits = ax.get_xlim(), ax.get_ylim()
    dot = 3.5 if len(x) <= 100 else 1.5
    ax.plot(x, y, "o-", color=color, markersize=dot, linewidth=1.3, label=label, zorder=3)
    if ends:
        ring = {"marker": "o", "linestyle": "none", "markeredgewidth": 1.8, "color": color}
        ax.plot(x[:1], y[:1], markersize=9, markerfacecolor="white", zorder=4, **ring)
        ax.plot(x[-1:], y[-1:], markersize=7, zorder=5, **ring)
    if keep:
        ax.set(xlim=limits[0], ylim=limits[1])


def tangent(ax, x, y, slope, *, width=1.0, color=COLORS["vermillion"], label=None):
    """Draw a piece of the tangent at (x, y), with a dot where it touches.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    x, y : float
        The point of contact.
    slope : float
        The slope there.
    width : float, default 1.0
        How far the piece reaches along the x axis, in the units of x, half on either side.
    color : str, default vermillion
        A matplotlib color.
    label : str, optional
        Text at the right end of the piece.

    Returns
    -------
    None

    Examples
    --------
    >>> fig, ax = figure()
    >>> tangent(ax, 1.0, 1.0, 2.0, label="slope 2")
    >>> plt.close(fig)
    """
    ends = np.array([x - width / 2, x + width / 2])
    ax.plot(ends, y + slope * (ends - x), color=color, linewidth=1.8, zorder=3)
    ax.plot([x], [y], "o", color=color, markersize=6, zorder=4)
    if label:
        label_line(ax, ends[1], y + slope * width / 2, label, color=color)


def arrow(ax, start, vector, *, color=COLORS["vermillion"], label=None):
    """Draw a vector as an arrow from `start` to `start` + `vector`.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    start, vector : array_like, shape (2,)
        Where the arrow begins and how far it reaches, in the units of the axes.
    color : str, default vermillion
        A matplotlib color.
    label : str, optional
        Text at the tip.

    Returns
    -------
    None

    Examples
    --------
    >>> fig, ax = figure()
    >>> arrow(ax, (3, 4), (0.6, 0.8), label="gradient")
    >>> plt.close(fig)
    """
    tip = np.add(start, vector)
    style = {"arrowstyle": "-|>,head_width=0.28,head_length=0.55", "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", tip, start, arrowprops={"color": color, "linewidth": 2, **style}, zorder=4)
    ax.update_datalim([start, tip])
    ax.autoscale_view()
    if label:
        label_line(ax, *tip, label, color=color)


def losses(ax, curves, *, log=True):
    """Draw losses against the step number, each with its label at its end.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    curves : dict of str to array_like, shape (steps + 1,)
        The losses of each run, by label. They may differ in length.
    log : bool, default True
        Use a log axis for the loss; a loss of zero or below is then left out.

    Returns
    -------
    None

    Examples
    --------
    >>> fig, ax = figure()
    >>> losses(ax, {"rate 0.1": [25, 16, 10.2], "rate 0.4": [25, 1, 0.04]})
    >>> plt.close(fig)
    """
    if log:
        ax.set_yscale("log", nonpositive="mask")
    ax.grid(axis="y")
    ax.set(xlabel="step", ylabel="loss")
    _plot_all(ax, None, curves)


def error_curves(ax, steps, errors):
    """Draw errors against the step h on two log axes, each with its label at its end.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    steps : array_like, shape (k,)
        The steps h, positive.
    errors : dict of str to array_like, shape (k,)
        The absolute errors of each scheme, by label. An error of exactly zero is left out.

    Returns
    -------
    None

    Examples
    --------
    >>> fig, ax = figure()
    >>> error_curves(ax, [1e-3, 1e-2, 1e-1], {"forward": [4e-4, 4e-3, 4e-2]})
    >>> plt.close(fig)
    """
    ax.set_xscale("log")
    ax.set_yscale("log", nonpositive="mask")
    ax.grid(axis="y")
    ax.set(xlabel="step h", ylabel="error")
    _plot_all(ax, np.asarray(steps), errors, linewidth=1.6)


def label_line(ax, x, y, text, *, color=_INK):
    """Write a label just right of the point (x, y), in place of a legend.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    x, y : float
        The point, in the units of the axes.
    text : str
        The label.
    color : str, default dark grey
        The color of what it names. Those of `COLORS` are darkened for words.

    Returns
    -------
    None

    Examples
    --------
    >>> fig, ax = figure()
    >>> label_line(ax, 1.0, 2.0, "the minimum", color=COLORS["green"])
    >>> plt.close(fig)
    """
    _write(ax, x, y, text, color)


def _plot_all(ax, x, curves, **style):
    """Draw one line for each curve, with its label at its last point."""
    lines = []
    for i, values in enumerate(curves.values()):
        y = np.asarray(values, dtype=float)
        steps = np.arange(len(y)) if x is None else x
        lines += ax.plot(steps, y, linestyle=_DASHES[i % len(_DASHES)], **style)
    ax.margins(x=0.02)
    ax.autoscale_view()
    visible_from = 0 if ax.get_yscale() == "log" else -np.inf
    ends = []
    for line, label in zip(lines, curves, strict=True):
        x, y = line.get_data()
        seen = np.flatnonzero(np.isfinite(y) & (y > visible_from))
        if seen.size:
            ends.append((x[seen[-1]], y[seen[-1]], label, line.get_color()))
    if ends:
        _label_ends(ax, ends)


def _label_ends(ax, ends):
    """Write labels right of the points (x, y, label, color), those at the margin kept apart."""
    pixel = ax.figure.dpi / 72
    at = ax.transData.transform([end[:2] for end in ends])
    margin = at[:, 0] > ax.bbox.x0 + 0.85 * ax.bbox.width
    heights = at[:, 1].copy()
    heights[margin] = _spread(heights[margin], 14 * pixel, ax.bbox.y0, ax.bbox.y1)
    for (x, y, label, color), shift in zip(ends, (heights - at[:, 1]) / pixel, strict=True):
        _write(ax, x, y, label, color, shift)


def _write(ax, x, y, text, color, shift=0.0):
    """Write a label beside (x, y), moved up by `shift` points."""
    ax.annotate(
        text,
        (x, y),
        xytext=(7, shift),
        textcoords="offset points",
        color=_FOR_WORDS.get(color, color),
        va="center",
        fontsize=11,
        path_effects=_HALO,
        annotation_clip=False,
        zorder=6,
    )


def _spread(heights, gap, low, high):
    """Move heights a little, so that neighbors are `gap` apart and all lie in [low, high]."""
    order = np.argsort(heights, kind="stable")
    rank = gap * np.arange(len(heights))
    free = np.sort(heights) - rank  # must not fall from one to the next
    for _ in range(100):
        fall = np.maximum(0, free[:-1] - free[1:]) / 2
        if not fall.any():
            break
        free[:-1] -= fall
        free[1:] += fall
    free = np.clip(np.maximum.accumulate(free), low, max(low, high - rank.max(initial=0)))
    spread = np.empty_like(free)
    spread[order] = free + rank
    return spread
