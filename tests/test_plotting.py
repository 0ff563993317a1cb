"""Facts about calclib.plotting: what is drawn, where labels stand, and that it repeats."""

import io
import itertools

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from calclib import plotting, problems


@pytest.fixture(autouse=True)
def style():
    """Every test in the book's style, none leaves figures or settings behind."""
    with mpl.rc_context():
        plotting.use_style()
        yield
        plt.close("all")


def texts(ax):
    """What is written beside marks, by text."""
    return {t.get_text(): t for t in ax.texts if t.get_text()}


def boxes(fig, ax):
    """Where the labels stand once the figure is laid out, by text."""
    fig.draw_without_rendering()
    return {words: t.get_window_extent() for words, t in texts(ax).items()}


def contrast(color, background=(1.0, 1.0, 1.0)):
    """Contrast ratio of WCAG 2."""

    def luminance(rgb):
        rgb = np.asarray(rgb)
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted((luminance(mpl.colors.to_rgb(color)), luminance(background)))[::-1]
    return (light + 0.05) / (dark + 0.05)


def example_figure():
    problem = problems.bowl()
    fig, (left, right) = plotting.figure(2)
    plotting.contours(left, *problem.grid(40))
    plotting.path(left, np.array([[5.0, 1.0], [3.0, -0.5], [1.0, 0.2]]), label="descent")
    plotting.arrow(left, (5, 1), (-1, -1), label="downhill")
    left.legend()
    left.set(title="A path", xlabel="x", ylabel="y")
    plotting.losses(right, {"rate 0.1": [25, 16, 10], "rate 0.4": [25, 1, 0.04]})
    right.set_title("Its loss")
    return fig


# Style


def test_the_palette_is_that_of_okabe_and_ito():
    assert plotting.COLORS == {
        "blue": "#0072B2",
        "orange": "#E69F00",
        "green": "#009E73",
        "vermillion": "#D55E00",
        "purple": "#CC79A7",
        "sky": "#56B4E9",
        "yellow": "#F0E442",
        "black": "#000000",
    }


def test_lines_take_colors_that_show_on_white():
    cycle = [entry["color"] for entry in plt.rcParams["axes.prop_cycle"]]
    assert cycle[0] == plotting.COLORS["blue"]
    assert plotting.COLORS["yellow"] not in cycle
    assert min(contrast(color) for color in cycle) > 2


@pytest.mark.parametrize("name", plotting.COLORS)
def test_a_label_in_the_color_of_its_line_can_be_read_on_white(name):
    color = plotting.COLORS[name]
    _, ax = plotting.figure()
    plotting.label_line(ax, 0.5, 0.5, "word", color=color)
    written = mpl.colors.to_rgb(texts(ax)["word"].get_color())
    assert contrast(written) >= 4.5
    hues = [mpl.colors.rgb_to_hsv(mpl.colors.to_rgb(c))[0] for c in (color, written)]
    assert hues[0] == pytest.approx(hues[1], abs=0.01)


def test_words_contrast_with_the_paper():
    for setting in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"):
        assert contrast(plt.rcParams[setting]) > 7


def test_every_word_has_ten_points_or_more():
    fig = example_figure()
    fig.draw_without_rendering()  # makes the numbers on the axes
    words = [t for t in fig.findobj(mpl.text.Text) if t.get_text()]
    assert len(words) > 20
    assert min(t.get_fontsize() for t in words) >= 10


def test_titles_stand_left_and_the_box_is_open():
    _, ax = plotting.figure()
    ax.set_title("message")
    assert ax.get_title(loc="left") == "message"
    assert not ax.spines["top"].get_visible()
    assert not ax.spines["right"].get_visible()


def test_the_same_data_give_the_same_png():
    pictures = []
    for _ in range(2):
        buffer = io.BytesIO()
        example_figure().savefig(buffer, bbox_inches="tight")
        plt.close("all")
        pictures.append(buffer.getvalue())
    assert pictures[0][:4] == b"\x89PNG"
    assert pictures[0] == pictures[1]


# Figures


def test_a_single_figure_is_6_inches_wide_and_a_double_one_8_4():
    fig, ax = plotting.figure()
    assert fig.get_size_inches().tolist() == [6.0, 3.2]
    assert isinstance(ax, mpl.axes.Axes)
    fig, axes = plotting.figure(3, height=2.5)
    assert fig.get_size_inches().tolist() == [8.4, 2.5]
    assert axes.shape == (3,)
    fig, _ = plotting.figure(width=4.0)
    assert fig.get_size_inches().tolist() == [4.0, 3.2]
    assert fig.dpi == 100


def test_axes_share_the_vertical_scale_only_if_asked():
    for sharey in (False, True):
        _, (left, right) = plotting.figure(2, sharey=sharey)
        left.set_ylim(0, 7)
        assert (right.get_ylim() == (0, 7)) == sharey


# Contours and paths


def test_contours_draw_the_asked_number_of_levels_inside_the_range():
    X, Y, Z = problems.valley().grid(60)
    for log in (False, True):
        _, ax = plotting.figure()
        plotting.contours(ax, X, Y, Z, levels=9, log=log)
        levels = ax.collections[0].levels
        assert len(levels) == 9
        assert levels[0] > Z.min()
        assert levels[-1] < Z.max()
        ratios = np.diff(levels - Z.min())
        assert np.allclose(ratios, ratios[0]) is not log


def test_log_levels_grow_by_a_constant_factor_above_the_lowest_point():
    X, Y, Z = problems.himmelblau().grid(60)
    _, ax = plotting.figure()
    plotting.contours(ax, X, Y, Z - 40, log=True)
    heights = ax.collections[0].levels - (Z.min() - 40)
    np.testing.assert_allclose(heights[1:] / heights[:-1], heights[1] / heights[0])


def test_contours_leave_out_heights_that_are_nan():
    X, Y, Z = problems.bowl().grid(21)
    holed = np.where(X**2 + Y**2 < 0.1, np.nan, Z)
    fig, ax = plotting.figure()
    plotting.contours(ax, X, Y, holed)
    assert np.isfinite(ax.collections[0].levels).all()
    fig.draw_without_rendering()


def test_contours_give_both_axes_one_scale_and_fix_the_limits():
    problem = problems.bowl()
    _, ax = plotting.figure()
    plotting.contours(ax, *problem.grid(20))
    ax.plot([5.0, 500.0], [1.0, -300.0])
    assert ax.get_aspect() == 1
    assert (ax.get_xlim(), ax.get_ylim()) == problem.domain


def test_a_path_shows_every_point_its_start_and_its_end():
    points = np.array([[4.0, 1.0], [2.0, -0.5], [1.0, 0.2]])
    _, ax = plotting.figure()
    plotting.path(ax, points, color="#123456", label="rate 0.1")
    line, start, end = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), points)
    np.testing.assert_array_equal(start.get_xydata(), points[:1])
    np.testing.assert_array_equal(end.get_xydata(), points[-1:])
    assert start.get_markerfacecolor() == "white"
    assert end.get_markerfacecolor() == line.get_color() == "#123456"
    assert [t.get_text() for t in ax.legend().get_texts()] == ["rate 0.1"]


def test_the_ends_of_a_path_can_be_left_out():
    _, ax = plotting.figure()
    plotting.path(ax, np.zeros((3, 2)), ends=False)
    assert len(ax.lines) == 1


def test_a_path_on_a_curve_joins_the_points_and_keeps_the_limits_of_the_curve():
    _, ax = plotting.figure()
    ax.plot([-6, 6], [0, 36])
    limits = ax.get_xlim(), ax.get_ylim()
    plotting.path_on_curve(ax, np.array([5.0, -50.0]), np.array([25.0, 2500.0]))
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[5, 25], [-50, 2500]])
    assert (ax.get_xlim(), ax.get_ylim()) == limits


def test_a_path_on_empty_axes_sets_the_limits():
    _, ax = plotting.figure()
    plotting.path_on_curve(ax, np.array([5.0, -50.0]), np.array([25.0, 2500.0]))
    assert ax.get_xlim()[0] < -50
    assert ax.get_ylim()[1] > 2500


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 4)])
def test_a_path_with_another_shape_is_refused(shape):
    _, ax = plotting.figure()
    with pytest.raises(ValueError, match=r"shape \(steps \+ 1, 2\).*path_on_curve"):
        plotting.path(ax, np.zeros(shape))


# Tangents and arrows


def test_a_tangent_has_its_slope_and_touches_at_the_point():
    _, ax = plotting.figure()
    plotting.tangent(ax, 2.0, 4.0, 3.0, width=0.5, label="slope 3")
    line, dot = ax.lines
    (x0, y0), (x1, y1) = line.get_xydata()
    assert (x0, x1) == (1.75, 2.25)
    assert (y1 - y0) / (x1 - x0) == pytest.approx(3)
    assert (y0 + y1) / 2 == pytest.approx(4)
    np.testing.assert_array_equal(dot.get_xydata(), [[2, 4]])
    assert texts(ax)["slope 3"].xy == (2.25, 4.75)


def test_an_arrow_reaches_from_start_to_tip_and_widens_the_limits():
    _, ax = plotting.figure()
    plotting.arrow(ax, (3, 4), (6, -8), label="gradient")
    arrow = ax.texts[0]
    assert tuple(arrow.xyann) == (3, 4)
    assert tuple(arrow.xy) == (9, -4)
    assert ax.get_xlim()[1] >= 9
    assert ax.get_ylim()[0] <= -4
    assert texts(ax)["gradient"].xy == (9, -4)


def test_a_label_stands_right_of_its_point_on_a_halo():
    fig, ax = plotting.figure()
    plotting.label_line(ax, 0.5, 0.5, "here", color=plotting.COLORS["green"])
    label = texts(ax)["here"]
    x, y = ax.transData.transform((0.5, 0.5))
    fig.draw_without_rendering()
    x, y = ax.transData.transform((0.5, 0.5))
    box = label.get_window_extent()
    assert x < box.x0 < x + 20
    assert box.y0 < y < box.y1
    assert label.get_path_effects()


# Losses and errors


def test_losses_draw_each_curve_from_step_0_with_its_label_at_its_end():
    curves = {"slow": [25, 16, 10, 6], "fast": np.array([25, 1])}
    fig, ax = plotting.figure()
    plotting.losses(ax, curves)
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")
    for line, (label, values) in zip(ax.lines, curves.items(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(len(values)))
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert texts(ax)[label].xy == (len(values) - 1, values[-1])
    assert len({str(line.get_linestyle()) for line in ax.lines}) == 2  # not by color alone
    fig.draw_without_rendering()


def test_losses_draw_on_a_linear_axis_if_asked():
    _, ax = plotting.figure()
    plotting.losses(ax, {"signed": [1.0, -1.0, -2.0]}, log=False)
    assert ax.get_yscale() == "linear"
    assert texts(ax)["signed"].xy == (2, -2)


def test_a_loss_of_zero_or_infinity_is_left_out_and_the_label_moves_to_the_last_one_seen():
    fig, ax = plotting.figure()
    plotting.losses(ax, {"exact": [25, 1, 0, 0], "lost": [25, 30, np.inf], "never": [0, 0]})
    assert texts(ax)["exact"].xy == (1, 1)
    assert texts(ax)["lost"].xy == (1, 30)
    assert "never" not in texts(ax)
    fig.draw_without_rendering()


def test_nothing_to_draw_is_no_error():
    fig, ax = plotting.figure()
    plotting.losses(ax, {})
    fig.draw_without_rendering()


def test_a_label_has_the_hue_of_its_line():
    _, ax = plotting.figure()
    plotting.losses(ax, {"first": [3, 2], "second": [3, 1]})
    blue, vermillion = (mpl.colors.to_rgb(texts(ax)[t].get_color()) for t in ("first", "second"))
    assert np.argmax(blue) == 2
    assert np.argmax(vermillion) == 0


@pytest.mark.parametrize("ends", [[1.0] * 5, [0, 0.01, 0.02, 0.03, 1], [0, 0, 1, 1, 1]])
def test_labels_of_crowded_curves_stand_apart_in_order_and_inside_the_figure(ends):
    fig, ax = plotting.figure()
    curves = {f"curve {i}": [0.5, end] for i, end in enumerate(ends)}
    plotting.losses(ax, curves, log=False)
    ax.set_title("Crowded")
    place = boxes(fig, ax)
    order = sorted(curves, key=lambda label: (curves[label][-1], label))
    for lower, upper in itertools.pairwise(order):
        assert place[upper].y0 > place[lower].y0
        assert place[upper].y0 >= place[lower].y1 - 3  # pixels; letters do not touch
    for box in place.values():
        assert 0 <= box.x0 < box.x1 <= fig.bbox.x1
        assert 0 <= box.y0 < box.y1 <= fig.bbox.y1


def test_a_label_with_room_stays_at_its_curve():
    fig, ax = plotting.figure()
    plotting.losses(ax, {"low": [1, 0.2], "high": [1, 0.8]}, log=False)
    place = boxes(fig, ax)
    for label, end in (("low", 0.2), ("high", 0.8)):
        y = ax.transData.transform((1, end))[1]
        assert (place[label].y0 + place[label].y1) / 2 == pytest.approx(y, abs=3)


def test_error_curves_are_drawn_on_two_log_axes():
    steps = np.geomspace(1e-8, 1e-1, 8)
    errors = {"forward": steps, "central": steps**2, "complex": 0 * steps}
    fig, ax = plotting.figure()
    plotting.error_curves(ax, steps, errors)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), np.transpose([steps, steps**2]))
    assert set(texts(ax)) == {"forward", "central"}
    assert texts(ax)["central"].xy == (steps[-1], steps[-1] ** 2)
    fig.draw_without_rendering()


# Arrays


def test_the_callers_arrays_are_never_modified():
    fig, ax = plotting.figure()
    X, Y, Z = problems.bowl().grid(10)
    steps, error, points = np.array([0.1, 0.2]), np.array([0.0, 1.0]), np.ones((3, 2))
    arrays = X, Y, Z, steps, error, points
    before = [a.copy() for a in arrays]
    plotting.contours(ax, X, Y, Z, log=True)
    plotting.path(ax, points)
    _, other = plotting.figure()
    plotting.error_curves(other, steps, {"e": error})
    fig.draw_without_rendering()
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
