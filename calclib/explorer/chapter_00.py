"""Explorer of chapter 00: what the price of a square meter does to the loss."""

from __future__ import annotations

from calclib.explorer.scene import Bars, Handle, Panel, Path, Scene, Slider
from calclib.explorer.widget import Explorer
from calclib.plotting import COLORS
from calclib.tracing import Let, Program, Sweep

AREAS = (0.5, 0.8, 1.0, 1.2, 1.5)  # in units of 100 square meters
PRICES = (1.1, 1.7, 2.1, 2.3, 3.1)  # in units of 100 000 euro


def _loss(w):
    """Give the mean squared error of price = w * area, in (100 000 euro) squared."""
    return sum((w * area - price) ** 2 for area, price in zip(AREAS, PRICES, strict=True)) / 5


def _slope(w):
    """Give the derivative of the loss with respect to w."""
    return sum(2 * a * (w * a - p) for a, p in zip(AREAS, PRICES, strict=True)) / 5


def house_price() -> Explorer:
    """Make the explorer of the house price: one weight, its loss and the slope of the loss.

    Returns
    -------
    Explorer
        Slider w, price per area in 1000 euro per square meter.

    Examples
    --------
    >>> house_price()
    Explorer('house-price')
    """
    houses = tuple(range(len(AREAS)))
    program = Program(
        ("w",),
        Let(tuple(f"guess_{k}" for k in houses), lambda w: tuple(w * area for area in AREAS)),
        Let("far", lambda w: 1.7 * w),
        Let("loss", _loss),
        Let("slope", _slope),
        Sweep("t", (-0.6, 0.6), (
            Let("tangent_x", lambda t, w: w + t),
            Let("tangent_y", lambda t, loss, slope: loss + t * slope),
        )),
        Let("flat", lambda slope: abs(slope) < 0.03),
        Let("low", lambda slope: slope < 0),
    )  # fmt: skip
    data = Panel(
        _draw_houses,
        (
            Bars(AREAS, tuple(f"guess_{k}" for k in houses), PRICES, "orange", 4.0),
            Path((0.0, 1.7), (0.0, "far"), "blue", 2.5),
        ),
        "Five houses: price against area. A line through the origin with slope w; an upright bar "
        "joins each house to the line.",
    )
    curve = Panel(
        _draw_loss,
        (
            Path("tangent_x", "tangent_y", "vermillion", 2.5),
            Handle("w", "loss", "Weight w on the loss curve"),
        ),
        "The loss against w: a bowl with its lowest point near w = 2.05, and the tangent at w.",
    )
    scene = Scene(
        "House price",
        (Slider("w", "Weight w", 0.0, 4.0, 1.0, step=0.02),),
        program,
        ((data,), (curve,)),
        (
            ("flat", "At w = {w:.2f} the slope is {slope:.2f}: almost flat. This is the best "
             "straight line through the origin; the loss is {loss:.3f}."),
            ("low", "At w = {w:.2f} the loss is {loss:.3f} and its slope {slope:.2f}. "
             "The slope is negative: a larger w lowers the loss."),
            ("", "At w = {w:.2f} the loss is {loss:.3f} and its slope {slope:.2f}. "
             "The slope is positive: a smaller w lowers the loss."),
        ),
    )  # fmt: skip
    return Explorer("house-price", "House price: turn the weight, watch the loss", scene)


def _draw_houses(ax):
    ax.plot(AREAS, PRICES, "o", ms=8, color=COLORS["black"], zorder=3)
    ax.set(xlim=(0, 1.7), ylim=(0, 4.5), title="Price = w · area")
    ax.set(xlabel="area, 100 m²", ylabel="price, 100 000 €")


def _draw_loss(ax):
    weights = [k / 50 for k in range(201)]
    ax.plot(weights, [_loss(w) for w in weights], lw=2, color=COLORS["blue"])
    ax.set(xlim=(0, 4), ylim=(-0.3, 5), title="Loss and its slope at w")
    ax.set(xlabel="w", ylabel="mean squared error")
