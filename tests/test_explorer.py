"""Explorers: three displays from one object, the same picture twice, words that fit the numbers."""

import functools
import gzip
import inspect
import itertools
import json
import re
from decimal import Decimal
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from calclib import (
    autodiff,
    curvature,
    descent,
    explorer,
    nn,
    numerical,
    optimizers,
    problems,
)
from calclib.descent import gradient_descent
from calclib.explorer import (
    Explorer,
    Panel,
    Path,
    Points,
    Scene,
    Slider,
    backdrop,
    chapter_05,
    chapter_07,
    chapter_08,
    chapter_09,
    page,
    switch,
)
from calclib.explorer.words import fill, number
from calclib.optimizers import adagrad, adam, adamw, clip_by_norm, rmsprop, sgd
from calclib.problems import bowl, plateau, two_wells, valley
from calclib.tracing import Let, Program

EVERY = [make() for make in explorer.NAMED]
SCENES = [(each, scene) for each in EVERY for scene in each.scenes]
every = pytest.mark.parametrize("shown", EVERY, ids=repr)
every_scene = pytest.mark.parametrize(
    ("shown", "scene"), SCENES, ids=[f"{e.name}: {s.title}" for e, s in SCENES]
)


@functools.cache
def html_of(shown):
    """Give the markup of an explorer; drawing it takes seconds, and each time gives the same."""
    return shown.html()


def square(**changes):
    """Make a small scene to break on purpose."""
    parts = {
        "title": "square",
        "sliders": (Slider("x", "x", -1.0, 1.0, 0.5),),
        "program": Program(("x",), Let("y", lambda x: x * x)),
        "columns": ((Panel(frame, (Points("x", "y"),), "A parabola."),),),
        "says": (("", "y is {y:.2f}."),),
    }
    return Scene(**{**parts, **changes})


def frame(ax):
    ax.set(xlim=(-1, 1), ylim=(0, 1))


@every
def test_one_object_has_three_displays(shown):
    bundle = shown._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/html"].startswith('<figure class="explorer" role="group" aria-label="')
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["text/plain"] == repr(shown)


@every
def test_drawing_twice_changes_no_byte(shown):
    again = explorer.NAMED[EVERY.index(shown)]()
    assert again.html() == shown.html()
    assert again.png() == shown.png()


def test_the_readers_own_plot_settings_do_not_change_the_picture():
    settings = {"figure.constrained_layout.use": True, "axes.grid": True, "font.size": 20}
    with mpl.rc_context(settings):
        again = explorer.compass()
        assert again.html() == EVERY[2].html()
        assert again.png() == EVERY[2].png()


@every
def test_the_page_needs_nothing_from_outside(shown):
    html = html_of(shown).replace("http://www.w3.org/2000/svg", "")
    html = html.replace("http://www.w3.org/1999/xlink", "")
    assert "http" not in html
    assert "@import" not in html
    assert not re.search(r"<(link|img|iframe)|\bimport\s*[({'\"]|fetch\(", html)


class Tags(HTMLParser):
    """Collect the tags of a page with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, tag, **wanted):
        wanted = {key.rstrip("_"): value for key, value in wanted.items()}
        return [a for t, a in self.found if t == tag and wanted.items() <= a.items()]


@every
def test_the_markup_has_what_readers_tools_rely_on(shown):
    tags = Tags(html_of(shown))
    (figure,) = tags.all("figure", class_="explorer", role="group")
    assert figure["aria-label"]
    ranges = tags.all("input", type="range")
    assert len(ranges) == sum(len(scene.sliders) for scene in shown.scenes)
    for slider in ranges:
        assert len(tags.all("label", for_=slider["id"])) == 1
        assert len(tags.all("output", for_=slider["id"])) == 1
        assert slider["data-lm-suppress-shortcuts"] == "true"
    says = tags.all("p", class_="explorer-says")
    assert len(says) == len(shown.scenes)
    assert all(each["aria-live"] == "polite" for each in says)
    panels = sum(len(scene.panels) for scene in shown.scenes)
    assert len(tags.all("g", class_="marks")) == len(tags.all("svg")) == panels
    assert all(each["aria-label"] for each in tags.all("g", class_="backdrop", role="img"))


@every
def test_ids_are_used_once(shown):
    ids = [attrs["id"] for _, attrs in Tags(html_of(shown)).found if "id" in attrs]
    assert len(ids) == len(set(ids))


@every
def test_colors_follow_the_theme(shown):
    html = html_of(shown)
    backdrops = re.findall(r'<g class="backdrop".*?<clipPath', html, re.S)
    assert backdrops
    for each in backdrops:
        assert "currentColor" in each
        assert not re.search(r"#000000|stroke: black", each)


@every_scene
def test_every_sentence_can_be_said(shown, scene):
    heard = set()
    for values in itertools.chain(positions(scene), positions_of_a_race(scene)):
        q = scene.quantities(**values)
        holds = [not condition or q[condition] for condition, _ in scene.says]
        heard.add(holds.index(True))
        assert "undefined" not in scene.sentence(q)
    assert heard == set(range(len(scene.says)))


DIALS = EVERY[3].scenes


@pytest.mark.parametrize("scene", DIALS, ids=lambda scene: scene.title)
def test_a_descent_that_always_goes_down_is_never_called_wild(scene):
    for values in positions(scene):
        q = scene.quantities(**values)
        said = scene.sentence(q)
        wild = [word for word in ("never", "forever", "diverges", "not settle") if word in said]
        if q["rises_last"] == 0 and q["factor"] > -0.99:
            assert not wild, (values, said)


def test_the_compass_names_one_angle_for_each_direction_it_calls_out():
    (scene,) = EVERY[2].scenes
    called = {"steepest ascent": [], "steepest descent": [], "no change": []}
    for angle in scene.sliders[0].values():
        said = scene.sentence(scene.quantities(angle=angle))
        for words, angles in called.items():
            if words in said:
                angles.append(angle)
    assert called == {"steepest ascent": [45], "steepest descent": [225], "no change": [135, 315]}


def positions(scene):
    """Every position of each slider, the others at rest, and a coarse grid of all.

    Where switches choose among modes, 24 positions of each slider are taken in every mode.
    """
    switches = [slider for slider in scene.sliders if slider.words]
    count = 24 if switches else None
    for choice in itertools.product(*(each.values() for each in switches)):
        mode = {each.name: value for each, value in zip(switches, choice, strict=True)}
        for slider in scene.sliders:
            places = slider.values(None if slider.words else count)
            yield from ({**mode, slider.name: value} for value in places)
    names = [slider.name for slider in scene.sliders]
    count = 5 if len(scene.sliders) < 3 else 3
    for values in itertools.product(*(slider.values(count) for slider in scene.sliders)):
        yield dict(zip(names, values, strict=True))


# where the gradient is zero, on each surface of the race
RESTING = {0: (1, 1), 1: (0, 0), 2: (0, 0), 3: (0, 1), 4: (3, 2), 5: (0, 0), 6: (0, 0)}


def positions_of_a_race(scene):
    """A start at rest, and many starts for each rule at its tuned rate."""
    titles = [surface.title for surface in chapter_07.SURFACES]
    if scene.title not in titles or "tuned" not in scene.quantities():
        return
    k = titles.index(scene.title)
    yield dict(zip(("x0", "y0"), RESTING[k], strict=True))
    starts = [slider.values(5) for slider in scene.sliders[:2]]
    for mode, decade in enumerate(chapter_07.SURFACES[k].decades[1:]):
        for x0, y0 in itertools.product(*starts):
            yield {"mode": mode, "rate": 10**decade, "x0": x0, "y0": y0}


@every_scene
def test_the_live_and_the_static_display_share_one_program(shown, scene):
    source = scene.program.javascript()
    assert source in html_of(shown)
    view = shown.children[0]
    assert source in [each["javascript"] for each in view.scenes]
    assert json.dumps(view.scenes)


@every
def test_each_live_slider_is_linked_in_the_browser(shown):
    view = shown.children[0]
    for k, scene in enumerate(shown.scenes):
        for slider in scene.sliders:
            assert getattr(view, f"{slider.name}_{k}") == slider.value


def test_a_closing_tag_in_a_label_cannot_end_the_script():
    scene = square(title="</script><b>", says=(("", "</script> {y}"),))
    html = Explorer("demo", "</script>", scene).html()
    assert html.count("</script>") == 1


# --- bad parts are refused where they are made ---------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sliders": ()}, "the program's inputs"),
        ({"says": (("y", "never"),)}, "must hold always"),
        ({"says": (("z", "no"), ("", "yes"))}, "does not give 'z'"),
        ({"columns": ((Panel(frame, (Path("x", "w"),), "alt"),),)}, "names 'w'"),
        ({"columns": ((Panel(frame, (Points("x", 0.0, show="w"),), "alt"),),)}, "names 'w'"),
    ],
)
def test_a_scene_that_names_what_is_not_there_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        square(**change)


def test_a_sentence_that_names_no_quantity_is_refused():
    with pytest.raises(KeyError, match="nowhere"):
        square(says=(("", "{nowhere}"),))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": 2.0}, "value must be in"),
        ({"step": 0.0}, "step must be above 0"),
        ({"log": True}, "must begin above 0"),
    ],
)
def test_an_impossible_slider_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Slider(**{"name": "x", "label": "x", "low": -1.0, "high": 1.0, "value": 0.0, **change})


def test_a_switch_shows_its_words():
    turn = switch("mode", "Mode", "reverse", "forward", value=1)
    assert [turn.told(value) for value in turn.values()] == ["reverse", "forward"]
    scene = square(
        sliders=(turn,),
        program=Program(("mode",), Let("y", lambda mode: mode)),
        columns=((Panel(frame, (Points("mode", "y"),), "A dot."),),),
    )
    shown = Explorer("demo", "Demo", scene)
    assert ">forward</output>" in html_of(shown)
    assert 'aria-valuetext="forward"' in html_of(shown)
    (live,) = shown.children[1].children
    assert (live.value, live.options) == ("forward", ("reverse", "forward"))


@pytest.mark.parametrize("change", [{"low": 1.0}, {"high": 2.0}, {"step": 0.5}])
def test_a_switch_has_a_position_for_each_word(change):
    parts = {"low": 0, "high": 1, "value": 1, "step": 1, "words": ("off", "on")}
    with pytest.raises(ValueError, match="2 words need the positions 0 to 1"):
        Slider("mode", "Mode", **{**parts, **change})


def test_a_mark_is_drawn_only_where_it_is_shown():
    def drawn(x):
        hidden = Points("x", "y", show="right")
        program = Program(("x",), Let("y", lambda x: x * x), Let("right", lambda x: x > 0))
        sliders = (Slider("x", "x", -1.0, 1.0, x),)
        panels = ((Panel(frame, (hidden,), "A dot."),),)
        return square(sliders=sliders, program=program, columns=panels)

    def empty(x):
        return square(
            columns=((Panel(frame, (), "Nothing."),),), sliders=(Slider("x", "x", -1.0, 1.0, x),)
        )

    assert backdrop.png(drawn(-0.5)) == backdrop.png(empty(-0.5))
    assert backdrop.png(drawn(0.5)) != backdrop.png(empty(0.5))


def test_an_explorer_without_a_scene_is_refused():
    with pytest.raises(ValueError, match="at least one Scene"):
        Explorer("empty", "Empty")


def test_a_second_axes_in_a_panel_is_refused():
    def twin(ax):
        frame(ax)
        ax.twinx()

    scene = square(columns=((Panel(twin, (), "alt"),),))
    with pytest.raises(ValueError, match="one Axes"):
        page.static("demo", "Demo", (scene,))


# --- numbers in words ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (-0.8, ".2f", "−0.80"),
        (-0.001, ".2f", "0.00"),
        (0.125, ".2f", "0.13"),
        (2.5, ".0f", "3"),
        (0.0, "g", "0"),
        (0.0123456, "g", "0.0123"),
        (99950.0, "g", "1.00 × 10⁵"),
        (99940.0, "g", "99900"),
        (4.2e-7, "g", "4.20 × 10⁻⁷"),
        (-1e300, "g", "−1.00 × 10³⁰⁰"),
        (float("inf"), "g", "infinity"),
        (float("-inf"), ".2f", "minus infinity"),
        (float("nan"), "g", "undefined"),
    ],
)
def test_numbers_are_written_for_reading(value, form, text):
    assert number(value, form) == text


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form must be"):
        number(1.0, "5.3e")


def test_a_field_without_a_form_has_three_digits():
    assert fill("{a} and {a:.1f}", {"a": 1.2345}) == "1.23 and 1.2"


def test_a_word_as_form_counts():
    assert fill("{a:step}, {b:step}, {c:step}", {"a": 1, "b": 0, "c": 12.0}) == (
        "1 step, 0 steps, 12 steps"
    )


# --- the explorers tell what calclib computes ----------------------------------------------------


def scene_of(name, k=0):
    (shown,) = (each for each in EVERY if each.name == name)
    return shown.scenes[k]


@pytest.mark.parametrize(
    ("k", "problem"),
    list(enumerate([bowl((1.0,)), two_wells(), plateau(), bowl(), valley()])),
    ids=lambda value: str(value),
)
def test_the_dial_takes_the_steps_of_gradient_descent(k, problem):
    scene = scene_of("learning-rate-dial", k)
    q = scene.quantities()
    names = ("x", "y")[: len(problem.variables)]
    start = np.array([q[name][0] for name in names])
    rate = scene.sliders[-1].value
    steps = q["n"]
    run = gradient_descent(
        problem.fun, start, learning_rate=rate, grad=problem.grad, max_steps=steps, tol=0.0
    )
    np.testing.assert_allclose(np.transpose([q[name] for name in names]), run.path, rtol=1e-9)
    steepest = np.linalg.eigvalsh(problem.hess(problem.minimizers[:, 0]))[-1]
    assert q["limit"] == pytest.approx(2 / steepest, rel=1e-9)


def test_the_compass_reads_the_directional_derivative():
    surface = bowl((1.0, 3.0))
    for angle in (0.0, 20.0, 117.0, 300.0):
        q = scene_of("compass").quantities(angle=angle)
        direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        want = numerical.directional(surface.fun, np.array([1.5, 0.5]), direction)
        assert q["slope"] == pytest.approx(want, abs=1e-7)


def test_the_secant_is_the_forward_difference():
    for h in (1.0, 1e-3, 1e-8):
        q = scene_of("secant-to-tangent").quantities(x=0.5, h=h)
        want = numerical.derivative(lambda x: (x * x - 5) * x + 7, 0.5, h=h, scheme="forward")
        assert q["secant"] == pytest.approx(want, rel=1e-6)
        assert q["exact"] == pytest.approx(3 * 0.25 - 5)


def test_the_house_price_has_the_loss_and_slope_of_the_five_houses():
    areas, prices = np.array([0.5, 0.8, 1.0, 1.2, 1.5]), np.array([1.1, 1.7, 2.1, 2.3, 3.1])
    for w in (0.0, 1.3, 3.0):
        q = scene_of("house-price").quantities(w=w)
        assert q["loss"] == pytest.approx(np.mean((w * areas - prices) ** 2))
        assert q["slope"] == pytest.approx(np.mean(2 * areas * (w * areas - prices)))


# the graphs of the tape stepper as programs of calclib; its loss is one operation
slope_of_distance = [lambda g, y, p: g * 2 * (p - 1)]
distance_to_one = autodiff.primitive(
    "loss", lambda p: (p - 1) ** 2, slope_of_distance, slope_of_distance
)
GRAPHS = {
    0: (("w", "x", "b"), lambda w, x, b: distance_to_one(autodiff.sigmoid(w * x + b))),
    1: (("x", "y"), lambda x, y: x * y + autodiff.sin(x)),
    2: (("w", "x"), lambda w, x: autodiff.tanh(w * autodiff.tanh(w * x))),
}
every_graph = pytest.mark.parametrize("k", GRAPHS)


def stepped(k, **switches):
    """Yield points of a graph, and what the stepper shows there after its last step."""
    scene, (names, _) = scene_of("tape-stepper", k), GRAPHS[k]
    rng = np.random.default_rng(k)
    lows, highs = zip(*[(s.low, s.high) for s in scene.sliders if s.name in names], strict=True)
    last = scene.sliders[0].high
    for _ in range(10):
        point = dict(zip(names, rng.uniform(lows, highs).tolist(), strict=True))
        yield point, scene.quantities(**{"step": last, **switches, **point})


@every_graph
def test_the_stepper_has_the_values_and_adjoints_of_the_tape(k):
    names, fun = GRAPHS[k]
    boxes = [box for box in "uszhvpLf" if box in scene_of("tape-stepper", k).quantities()]
    for point, q in stepped(k):
        out = fun(*(autodiff.Var(point[name], name=name) for name in names))
        rows = autodiff.tape(out, autodiff.backward(out))
        made = [row for row in rows if row.operation != "input"]
        assert sorted(q[box] for box in boxes) == pytest.approx(sorted(row.value for row in made))
        shown = sorted(q[f"seen_{box}"] for box in boxes)
        assert shown == pytest.approx(sorted(row.adjoint for row in made))
        for row in rows:
            if row.operation == "input":
                assert q[f"seen_{row.name}"] == pytest.approx(row.adjoint)
                assert q[f"found_{row.name}"] == pytest.approx(row.adjoint)
        assert q["off_back"] == pytest.approx(0.0, abs=1e-15)


@every_graph
def test_the_stepper_has_the_tangents_of_forward_mode(k):
    names, fun = GRAPHS[k]
    for which, name in enumerate(names):
        for point, q in stepped(k, mode=1.0 + which):
            along = [float(each == name) for each in names]
            _, tangent = autodiff.jvp(lambda p: fun(*p), list(point.values()), along)
            assert q[f"found_{name}"] == pytest.approx(tangent, abs=1e-12)


@every_graph
def test_the_stepper_counts_the_links_of_the_tape(k):
    names, fun = GRAPHS[k]
    (point, q), *_ = stepped(k)

    def links(traced):
        values = [autodiff.Var(v, name=n) if n in traced else v for n, v in point.items()]
        rows = autodiff.tape(fun(*values))
        known = {row.name for row in rows}
        return sum(parent in known for row in rows for parent in row.parents)

    def dots(q, mode):
        return sum(value >= 0 for name, value in q.items() if name.startswith(f"{mode}_dot_"))

    assert dots(q, "back") == links(names)
    for which, name in enumerate(names):
        (_, q), *_ = stepped(k, mode=1.0 + which)
        assert dots(q, "run") == links([name])
    made = sum(name.startswith("has_") and name.count("_") == 1 for name in q)
    traced = autodiff.cost(lambda p: fun(*p))(list(point.values()))
    assert made == traced.multiply_adds


def read_formula(text, values):
    """Compute a formula as the boxes and arrows of the stepper write it."""
    text = re.sub(r"(sin|cos|tanh) (\w)", r"\1(\2)", text)
    text = re.sub(r"([\dp])\(", r"\1*(", text)
    for sign, code in (("−", "-"), ("·", "*"), ("²", "**2"), ("σ", "sigmoid")):
        text = text.replace(sign, code)
    known = {"sin": np.sin, "cos": np.cos, "tanh": np.tanh, "sigmoid": autodiff.sigmoid}
    return eval(text, known, values)


@every_graph
def test_boxes_and_arrows_say_what_is_computed(k):
    nodes = (chapter_05.NEURON, chapter_05.TWO_PATHS, chapter_05.SHARED)[k]
    for _, q in stepped(k):
        for node in nodes:
            if not node.rule:
                assert node.label == node.name
                continue
            name, formula = node.label.split(" = ")
            assert (name, read_formula(formula, q)) == (node.name, pytest.approx(q[name]))
            for j, (slope, _) in enumerate(node.slopes):
                assert read_formula(slope, q) == pytest.approx(q[f"s_{name}_{j}"])


@pytest.mark.parametrize(("k", "name"), [(1, "x"), (2, "w")])
def test_an_overwritten_adjoint_is_wrong_by_the_piece_that_came_first(k, name):
    for point, q in stepped(k, broken=1.0):
        if k == 1:
            lost = np.cos(point["x"])
        else:
            h = np.tanh(point["w"] * point["x"])
            lost = h * (1 - np.tanh(point["w"] * h) ** 2)
        assert q[f"true_{name}"] - q[f"seen_{name}"] == pytest.approx(lost, abs=1e-12)
        assert q["off_back"] == pytest.approx(abs(lost), abs=1e-12)


def test_only_a_graph_where_paths_meet_can_be_broken():
    for k in GRAPHS:
        switches = [slider.name for slider in scene_of("tape-stepper", k).sliders if slider.words]
        assert switches == (["mode", "broken"] if k else ["mode"])


def test_an_overwritten_tangent_is_wrong_by_the_piece_that_came_first():
    for point, q in stepped(1, broken=1.0, mode=1.0):
        assert q["found_x"] == pytest.approx(np.cos(point["x"]))
        assert q["off_dot"] == pytest.approx(abs(point["y"]))


@every_graph
def test_nothing_stands_in_a_box_before_its_step(k):
    scene = scene_of("tape-stepper", k)
    for mode in (0.0, 1.0):
        shown = []
        for step in scene.sliders[0].values():
            q = scene.quantities(step=step, mode=mode)
            shown.append({name for name, value in q.items() if name.startswith("has_") and value})
        assert all(before <= after for before, after in itertools.pairwise(shown))
        adjoint = any(name.startswith("has_bar_") for name in shown[-1])
        tangent = any(name.startswith("has_dot_") for name in shown[-1])
        assert (adjoint, tangent) == (mode == 0, mode == 1)
    assert not any(name.startswith("has_bar_") for name in shown[0])


@pytest.mark.parametrize(("kappa", "angle", "rate"), [(10.0, 30.0, 1.5), (100.0, 0.0, 2.2)])
def test_the_eigen_bars_are_the_errors_of_gradient_descent_along_the_eigenvectors(
    kappa, angle, rate
):
    q = scene_of("eigen-bars").quantities(kappa=kappa, angle=angle, rate=rate, step=7)
    turned = bowl((0.5, 0.5 / kappa), np.radians(angle))
    point = curvature.classify(turned.hess([0.0, 0.0]))
    assert point.condition_number == pytest.approx(kappa)
    run = gradient_descent(
        turned.fun, [q["x0"], q["y0"]], grad=turned.grad, learning_rate=rate, max_steps=7, tol=0.0
    )
    np.testing.assert_allclose(np.transpose([q["x"], q["y"]]), run.path, rtol=1e-9, atol=1e-12)
    shares = np.abs(point.eigenvectors.T @ run.x) / np.abs(point.eigenvectors.T @ run.path[0])
    assert shares[1] == pytest.approx(abs(q["along_steep"]))
    assert shares[0] == pytest.approx(abs(q["along_gentle"]))
    for k in range(5):
        heights = turned.fun(np.array([q[f"ring_x{k}"], q[f"ring_y{k}"]]))
        np.testing.assert_allclose(heights, heights[0], rtol=1e-9)


def test_turning_the_bowl_changes_no_eigen_bar():
    scene = scene_of("eigen-bars")
    for angle in scene.sliders[1].values():
        q, straight = scene.quantities(angle=angle), scene.quantities(angle=0.0)
        assert q["along_steep"] == straight["along_steep"]
        assert q["along_gentle"] == straight["along_gentle"]


def test_the_eigen_bars_grow_exactly_above_two_over_the_largest_curvature():
    scene = scene_of("eigen-bars")
    for rate in scene.sliders[2].values():
        q = scene.quantities(rate=rate, step=40)
        assert (abs(q["along_steep"]) > 1.001) == ("grows" in scene.sentence(q)), rate


@pytest.mark.parametrize("start", [-5.0, 0.4, 2.6, 4.8])
def test_newton_on_the_two_wells_takes_the_steps_of_newton(start):
    wells = two_wells()
    q = scene_of("newton-beside-descent", 0).quantities(x0=start, step=6)
    steps = q["made"]
    run = descent.newton(
        wells.fun, start, grad=wells.grad, hess=wells.hess, max_steps=steps, tol=1e-300
    )
    path = np.ravel(run.path)  # shorter where the slope is zero to the last bit
    np.testing.assert_allclose(q["x"][: len(path)], path, rtol=1e-9)
    assert q["x_last"] == pytest.approx(path[-1])
    slow = gradient_descent(wells.fun, start, grad=wells.grad, learning_rate=0.05)
    assert q["down_x_last"] == pytest.approx(float(slow.x), abs=1e-4)
    model = curvature.quadratic_model(wells.fun, q["x_last"], grad=wells.grad, hess=wells.hess)
    np.testing.assert_allclose(q["belief"], model(np.array(q["t"])), rtol=1e-9, atol=1e-9)


def test_a_parabola_that_is_almost_flat_is_called_so_with_digits_of_its_curvature():
    scene = scene_of("newton-beside-descent", 0)
    for start, bend in ((0.1, "1.00"), (0.2, "0.0133"), (0.3, "−0.955"), (0.4, "−1.89")):
        q = scene.quantities(x0=start, step=0)
        said = scene.sentence(q)
        assert f"f″ = {bend}" in said
        assert ("so flat that" in said) == ("leaves the picture" in said) == (abs(q["next_x"]) > 6)
        assert ("negative" in said) == (two_wells().hess(start) < 0)


def test_a_newton_path_that_left_the_picture_says_with_which_step():
    scene = scene_of("newton-beside-descent", 0)
    x0, steps = scene.sliders
    cut = []
    for start, step in itertools.product(x0.values(), steps.values()):
        q = scene.quantities(x0=start, step=step)
        said = scene.sentence(q)
        if q["made"] < step:
            cut.append(start)
            assert abs(q["x_last"]) > 6
            assert f"with step {q['made']}, at " in said
            assert "the other steps are not shown" in said
        else:
            assert f"fter {step:.0f} step" in said
    assert {0.1, 0.2, 0.3} < set(np.round(cut, 6))


@pytest.mark.parametrize("start", [(-1.2, 1.0), (-1.0, 1.0), (2.0, -1.0)])
def test_newton_in_the_valley_takes_the_steps_of_newton(start):
    problem = valley()
    scene = scene_of("newton-beside-descent", 1)
    for steps in (1, 3):
        q = scene.quantities(x0=start[0], y0=start[1], step=steps)
        run = descent.newton(
            problem.fun, start, grad=problem.grad, hess=problem.hess, max_steps=steps, tol=1e-300
        )
        assert (q["x_last"], q["y_last"]) == pytest.approx(tuple(run.x), rel=1e-6)
        assert q["peak_last"] == pytest.approx(run.values.max(), rel=1e-6)
    slow = gradient_descent(
        problem.fun, start, grad=problem.grad, learning_rate=5e-4, max_steps=200, tol=1e-6
    )
    assert q["down_value"] == pytest.approx(slow.fun, rel=1e-9)


def test_descent_leaves_the_saddle_and_newton_lands_on_it_from_every_start():
    scene = scene_of("newton-beside-descent", 2)
    for values in positions(scene):
        q = scene.quantities(**values)
        assert (q["newton_x"], q["newton_y"]) == pytest.approx((0, 0), abs=1e-12)
        said = scene.sentence(q)
        if q["step"] > 0 and not q["there"]:
            ratio = q["out0"] / q["across0"] * (q["out_factor"] / q["in_factor"]) ** q["step"]
            assert ("is leaving" in said) == (q["out0"] > q["across0"])
            assert ("is now leaving" in said) == (q["out0"] <= q["across0"] and ratio > 1)
            assert ("still coming in" in said) == (ratio <= 1)


def test_no_start_off_the_stable_line_of_the_saddle_stays():
    scene = scene_of("newton-beside-descent", 2)
    x_slider, y_slider, _ = scene.sliders
    for x0, y0 in itertools.product(x_slider.values(), y_slider.values()):
        q = scene.quantities(x0=x0, y0=y0, step=80)
        assert q["there"] or "leaving along “down”" in scene.sentence(q), (x0, y0)


def test_a_path_that_has_come_in_to_the_saddle_is_said_to_leave():
    scene = scene_of("newton-beside-descent", 2)
    said = [scene.sentence(scene.quantities(x0=-1.3, y0=2.0, step=step)) for step in (1, 80)]
    assert "still coming in along “up”" in said[0]
    assert "came in along “up” and is now leaving along “down”" in said[1]


def test_newton_takes_one_step_in_words():
    for k in (0, 1):
        scene = scene_of("newton-beside-descent", k)
        said = scene.sentence(scene.quantities(step=1))
        assert "fter 1 step" in said
        assert "1 steps" not in said


# Corners, all zero, both units alike, and three places between: w1, w2, v1, v2, x, y.
HANDS = [
    (0.5, -1.0, 1.2, 0.4, 1.5, 1.0),
    (2.0, 2.0, 2.0, -2.0, 2.0, -2.0),
    (-2.0, 2.0, -2.0, -2.0, -2.0, 2.0),
    (0.7, 0.7, -1.1, -1.1, 0.9, 0.3),
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (1.3, -0.2, 0.6, 1.9, -1.4, 0.8),
]


def network(values):
    """Give the quantities of the network, its parameters, its loss and its gradient by autodiff."""
    names = ("w1", "w2", "v1", "v2", "x", "y")
    q = scene_of("network-under-your-hands").quantities(**dict(zip(names, values, strict=True)))
    w1, w2, v1, v2, x, y = values

    def loss(theta):
        hidden = autodiff.tanh(theta[0:2] * x + theta[2:4])
        return (theta[4:6] @ hidden + theta[6] - y) ** 2

    theta = np.array([w1, w2, 0.1, 0.1, v1, v2, 0.0])
    return q, theta, loss, autodiff.grad(loss)(theta)


@pytest.mark.parametrize("values", HANDS)
def test_the_network_shows_the_slopes_of_autodiff(values):
    q, theta, loss, g = network(values)
    shown = [q[f"d_{name}"] for name in ("w1", "w2", "b1", "b2", "v1", "v2", "c")]
    np.testing.assert_allclose(shown, g, rtol=1e-12, atol=1e-14)
    assert q["loss"] == pytest.approx(loss(theta), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("values", HANDS)
def test_the_network_steps_against_its_whole_gradient(values):
    q, theta, loss, g = network(values)
    assert q["after"] == pytest.approx(loss(theta - 0.1 * g), rel=1e-11, abs=1e-14)
    assert q["promised"] == pytest.approx(loss(theta) - 0.1 * g @ g, rel=1e-12, abs=1e-14)
    if q["misses"]:
        ahead = [loss(theta - rate * g) / loss(theta) for rate in q["rate"]]
        line = [1 - rate * g @ g / loss(theta) for rate in q["rate"]]
        np.testing.assert_allclose(q["left"], ahead, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(q["line"], line, rtol=1e-11, atol=1e-12)


def test_two_units_alike_stay_alike_and_closed_ways_out_let_no_slope_through():
    alike, *_ = network(HANDS[3])
    assert alike["alike"]
    assert alike["d_w1"] == alike["d_w2"]
    assert alike["d_v1"] == alike["d_v2"]
    closed, *_ = network((1.0, -0.5, 0.0, 0.0, 1.5, 1.0))
    assert closed["closed"]
    assert [closed[name] for name in ("d_w1", "d_w2", "d_b1", "d_b2")] == [0, 0, 0, 0]
    assert closed["d_v1"] != 0


@pytest.mark.parametrize(("k", "kind"), list(enumerate(("tanh", "relu", "alike"))))
def test_the_training_run_is_one_of_nn_train(k, kind):
    activation = "tanh" if kind == "alike" else kind
    if kind == "alike":
        start = [nn.Layer(np.full((a, b), 0.5 / a), np.zeros(b)) for a, b in [(1, 16), (16, 16)]]
        start.append(nn.Layer(np.full((16, 1), 0.5 / 16), np.zeros(1)))
    else:
        rng = np.random.default_rng(12)  # as chapter 06 draws them, the tanh network first
        drawn = [nn.init_params((1, 16, 16, 1), rng=rng, scheme=s) for s in ("xavier", "he")]
        start = drawn[k]

    def loss(params, X, y):
        return nn.mse(nn.forward(params, X, activation=activation), y)

    X = np.linspace(-1, 1, 100)[:, None]
    kept = {}
    run = nn.train(
        start,
        loss,
        (X, X**2),
        sgd(0.1),
        epochs=1000,
        callback=lambda epoch, params, value: kept.update({epoch: params}),
    )
    scene = scene_of("training-run", k)
    grid = np.linspace(-1, 1, 41)[:, None]
    for epoch in scene.sliders[0].values():
        q = scene.quantities(epoch=epoch)
        assert q["done"] == round(epoch)
        assert q["loss"] == pytest.approx(run.losses[round(epoch)], rel=1e-4)
        curve = nn.forward(kept[round(epoch)], grid, activation=activation)[:, 0]
        np.testing.assert_allclose(q["curve"], curve, atol=6e-4)


def test_a_start_with_all_units_alike_learns_the_mean_and_no_more():
    ends = [scene_of("training-run", k).quantities(epoch=1000.0)["loss"] for k in range(3)]
    assert ends[0] == pytest.approx(0.0026, abs=1e-4)
    assert ends[1] == pytest.approx(0.00028, abs=1e-5)
    assert ends[2] == pytest.approx(0.0925, abs=1e-4)


def test_no_curve_of_a_training_run_leaves_its_panel():
    for k in range(3):
        scene = scene_of("training-run", k)
        ax = Figure().add_subplot()
        scene.columns[0][0].draw(ax)
        low, high = ax.get_ylim()
        dashed = ax.lines[1].get_ydata()
        curves = [scene.quantities(epoch=e)["curve"] for e in scene.sliders[0].values()]
        assert low < np.min([*curves, dashed])
        assert np.max([*curves, dashed]) < high


def test_the_tanh_run_rests_at_the_mean_before_it_bends_and_relu_starts_bent():
    """What the chapter tells the reader to look for."""
    tanh, relu, alike = (scene_of("training-run", k) for k in range(3))
    epochs = [e for e in tanh.sliders[0].values() if e > 0.99]

    def first_below(scene, share):
        return next(round(e) for e in epochs if scene.quantities(epoch=e)["share"] < share)

    assert first_below(tanh, 100) == 10
    assert first_below(tanh, 10) in (141, 158)
    assert first_below(relu, 10) in (14, 16)
    assert np.ptp(tanh.quantities(epoch=10.0)["curve"]) < 0.1
    assert tanh.quantities(epoch=3.0)["loss"] < 0.098
    assert tanh.quantities(epoch=16.0)["loss"] > 0.088
    assert 20 < tanh.quantities(epoch=100.0)["share"] < 25
    assert 100 < alike.quantities(epoch=16.0)["share"] < 102
    assert alike.quantities(epoch=1000.0)["share"] > 99


@pytest.mark.parametrize("values", HANDS)
def test_a_promise_below_zero_is_called_impossible(values):
    q, *_ = network(values)
    said = scene_of("network-under-your-hands").sentence(q)
    if "had promised" in said:
        assert ("no squared loss" in said) == (q["promised"] < 0)
        assert ("promised \u2212" in said) == (q["promised"] < 0)


def test_the_run_is_compared_with_the_mean_as_the_sentence_says():
    for k in range(3):
        scene = scene_of("training-run", k)
        for epoch in scene.sliders[0].values():
            q = scene.quantities(epoch=epoch)
            said = scene.sentence(q)
            shown = float(re.search(r"the loss is (\d\.\d{4})", said)[1])
            assert ("still above the 0.0925" in said) == (shown > 0.0925)
            assert ("to four decimals what" in said) == (shown == 0.0925)
            just = q["loss"] >= 0.99 * 0.0924889
            assert ("just below the 0.0925" in said) == (shown < 0.0925 and just)
            assert ("percent of what" in said) == (not just)
            assert ("close to the points" in said) == (q["loss"] < 0.05 * 0.0924889)


def test_the_sentence_names_the_epoch_at_which_tanh_falls_below_the_mean():
    scene = scene_of("training-run", 0)
    said = [scene.sentence(scene.quantities(epoch=epoch)) for epoch in (9.0, 10.0)]
    assert said == [
        "After epoch 9 the loss is 0.0931, still above the 0.0925 that predicting the mean scores.",
        "After epoch 10 the loss is 0.0924, now just below the 0.0925 that predicting the mean "
        "scores.",
    ]


def hands():
    """Give places of the network: each slider at its lower end, at 0 and at a place above."""
    scene = scene_of("network-under-your-hands")
    names = [slider.name for slider in scene.sliders]
    for values in itertools.product((-2.0, 0.0, 1.3), repeat=6):
        yield scene, scene.quantities(**dict(zip(names, values, strict=True)))


def test_a_saturated_unit_is_named_with_what_it_lets_through():
    for scene, q in hands():
        said = scene.sentence(q)
        for k, sub in ((1, "₁"), (2, "₂")):
            h, v = q[f"h{k}"], q[f"v{k}"]
            named = re.search(f"h{sub} = (\\S+?) .*1 − h{sub}² = (\\S+) .*slope", said)
            if named:
                assert 1 - h**2 < 0.1
                assert v != 0
                assert float(named[1].replace("−", "-")) == pytest.approx(h, abs=6e-4)
                assert float(named[2]) == pytest.approx(1 - h**2, abs=6e-4)
        quiet = q["exact"] or q["closed"] or q["alike"]
        flat = [1 - q[f"h{k}"] ** 2 < 0.1 and q[f"v{k}"] != 0 for k in (1, 2)]
        assert ("saturated" in said) == (any(flat) and not quiet)
        assert ("Both hidden units are saturated" in said) == (all(flat) and not quiet)


@pytest.mark.parametrize("w1", [-2.0, 2.0])
def test_a_weight_pushed_to_its_end_saturates_its_unit_in_words(w1):
    """What the chapter asks the reader to try: the sentence says why the slope is gone."""
    scene = scene_of("network-under-your-hands")
    q = scene.quantities(w1=w1, w2=-0.5, v1=1.2, v2=0.4, x=2.0, y=1.0)
    sign = "" if w1 > 0 else "−"
    assert f"The unit h₁ is saturated: h₁ = {sign}0.999 is close to ±1." in scene.sentence(q)
    assert abs(q["d_w1"]) < 0.03
    assert abs(q["d_w2"]) > 0.05


def depth_positions():
    scene = scene_of("depth-map")
    for values in itertools.product(*(slider.values() for slider in scene.sliders)):
        q = scene.quantities(
            **dict(zip(("activation", "residual", "depth", "gain"), values, strict=True))
        )
        yield q, scene.sentence(q)


@pytest.mark.parametrize("residual", [0, 1])
@pytest.mark.parametrize(("k", "f"), list(enumerate(("tanh", "relu", "sigmoid"))))
def test_the_depth_map_is_a_median_of_products_of_jacobians(k, f, residual):
    rng = np.random.default_rng(chapter_08.SEED)
    h0, g0 = rng.normal(size=(9, 1, 64)), rng.normal(size=(9, 1, 64))
    W = rng.normal(size=(50, 9, 64, 64)) / 8
    gain = scene_of("depth-map").sliders[3].values()[10]
    lengths = []
    for network in range(9):
        h, g, pulls = h0[network, 0], g0[network, 0], []
        for layer in range(20):

            def step(h, W=gain * W[layer, network]):
                return getattr(autodiff, f)(h @ W) + residual * h

            h, pull = autodiff.vjp(step, h)
            pulls.append(pull)
        norms = [np.linalg.norm(g)]
        for pull in reversed(pulls):
            g = pull(g)
            norms.append(np.linalg.norm(g))
        lengths.append(np.array(norms[::-1]) / norms[0])
    q = scene_of("depth-map").quantities(activation=k, residual=residual, depth=20.0, gain=gain)
    np.testing.assert_allclose(q["curve"], np.median(lengths, axis=0)[::2], rtol=6e-3)
    assert q["ratio"] == q["curve"][0]
    assert q["ratios"][10] == q["ratio"]
    assert [q[f"layer{part}"] for part in range(11)] == list(range(0, 21, 2))


def test_the_depth_map_knows_the_threshold_of_each_activation():
    thresholds = {0: [], 1: [], 2: []}
    for q, _ in depth_positions():
        assert not (q["residual"] and q["crossing"])
        if not q["residual"] and q["gain"] == 0.5:
            thresholds[q["activation"]].append(q["threshold"] if q["crossing"] else None)
    tanh, relu, sigmoid = thresholds.values()
    assert relu == pytest.approx([2**0.5] * 5)
    assert tanh == sorted(tanh, reverse=True)
    assert 1 < tanh[-1] < tanh[0] < 1.5
    assert sigmoid == [None] * 5


def test_the_depth_map_predicts_the_median_within_a_factor_for_each_layer():
    for q, _ in depth_positions():
        if not q["residual"]:
            assert abs(np.log(q["ratio"] / q["expected"])) < 0.06 * q["depth"]


def test_the_depth_map_says_what_depth_does_to_the_gradient():
    for q, said in depth_positions():
        between = "Steady" if q["residual"] else "At this depth still between a hundredth and"
        word = "Vanishing" if q["ratio"] < 0.01 else "Exploding" if q["ratio"] > 100 else between
        assert said.startswith(word)
        assert q["factor"] ** q["depth"] == pytest.approx(q["ratio"])
        told = f"each layer multiplies by about {number(q['factor'])}. "
        assert (told in said) == (word == between and not q["residual"])
        assert ("was predicted" in said) == (not q["residual"])
        assert ("shortcuts" in said) == bool(q["residual"])
        assert ("sigmoid is at most 1/4" in said) == (q["activation"] == 2 and not q["residual"])
        if "sigmoid is at most" in said:
            assert q["ratio"] < (q["gain"] / 4) ** q["depth"] * 4


RACE = {
    0: sgd,
    1: lambda rate, momentum: sgd(rate, momentum=momentum, nesterov=True),
    2: lambda rate, momentum: adagrad(rate),
    3: lambda rate, momentum: rmsprop(rate),
    4: lambda rate, momentum: adam(rate, beta1=momentum),
    5: lambda rate, momentum: adamw(rate, beta1=momentum),
    6: lambda rate, momentum: clip_by_norm(sgd(rate, momentum=momentum), 1.0),
}
ADAMW, SADDLE = 5, 6
every_surface = pytest.mark.parametrize(
    "k", range(len(chapter_07.SURFACES)), ids=[surface.title for surface in chapter_07.SURFACES]
)


def public_functions(module):
    return {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


def test_the_race_has_every_surface_and_every_optimizer_of_the_book():
    made = [make() for make in public_functions(problems).values()]
    surfaces = {each.expr for each in made if len(each.variables) == 2}
    assert surfaces <= {surface.problem.expr for surface in chapter_07.SURFACES}
    rules = {repr(rule).partition("(")[0] for rule in chapter_07.RULES.values()}
    assert rules == set(public_functions(optimizers))
    assert len(RACE) == len(chapter_07.RULES)


def test_the_race_stays_small_on_its_way_to_the_reader():
    (race,) = (each for each in EVERY if each.name == "race")
    assert len(gzip.compress(race.html().encode())) < 45_000


@pytest.mark.parametrize("mode", RACE)
@every_surface
def test_the_race_takes_the_steps_of_the_optimizers(k, mode):
    """Where nothing is chaotic: at the tuned rate, from the start shown at first."""
    problem = chapter_07.SURFACES[k].problem
    scene = scene_of("race", k)
    rate = 10 ** chapter_07.SURFACES[k].decades[mode + 1]
    q = scene.quantities(mode=mode, rate=rate, beta=0.85)
    assert q["tuned"] == pytest.approx(rate)
    yours, plain = RACE[mode](rate, momentum=0.85), sgd(q["plain_rate"])
    for rule, names in ((yours, ("x", "y")), (plain, ("plain_x", "plain_y"))):
        path = np.transpose([q[name] for name in names])
        run = descent.minimize(problem.fun, path[0], rule, grad=problem.grad, max_steps=60, tol=0.0)
        steps = min(len(path), len(run.path))
        np.testing.assert_allclose(path[:steps], run.path[:steps], rtol=1e-6, atol=1e-9)
    heights = problem.fun(np.array([q["x"], q["y"]]))
    if k == SADDLE:  # the axis is logarithmic both ways, and the sentence has the height itself
        decades = np.sign(heights) * np.log10(1 + np.abs(heights))
        np.testing.assert_allclose(q["above"], decades, atol=0.1)
        far = np.abs(heights) > 100
        np.testing.assert_allclose(np.array(q["above"])[far], decades[far], atol=1e-2)
        assert q["height"] == pytest.approx(heights[-1], rel=1e-6)
    else:
        expected = np.maximum(heights, 1e-12)
        np.testing.assert_allclose(q["above"], expected, rtol=1e-6, atol=1e-12)


@every_surface
def test_every_runner_of_the_race_is_tuned_by_the_same_sweep(k):
    surface = chapter_07.SURFACES[k]
    low, high, step = chapter_07.RATES
    decades = np.arange(round((high - low) / step) + 1) * step + low
    sides = [0.9 * np.linspace(*side, 5) for side in surface.problem.domain]
    starts = np.repeat([axis.ravel() for axis in np.meshgrid(*sides)], len(decades), axis=1)
    plain = lambda rate, momentum: sgd(rate)  # noqa: E731
    at_the_end = []
    for make, tuned in zip((plain, *RACE.values()), surface.decades, strict=True):
        runs = descent.minimize_many(
            surface.problem.fun,
            starts,
            lambda rates, make=make: make(rates, momentum=0.9),
            learning_rates=np.tile(10**decades, 25),
            grad=surface.problem.grad,
            max_steps=chapter_07.BUDGET,
            tol=0,
            diverge_at=1e100 if k == SADDLE else 1e10,  # to fall far is no fault on a saddle
        )
        ends = np.where(runs.status == "diverged", np.inf, runs.fun).reshape(25, -1)
        medians = np.median(ends, axis=0)
        chosen = np.abs(decades - tuned).argmin()
        limit = medians.min() + 0.01 * abs(medians.min())
        assert medians[chosen] <= (limit if k == SADDLE else max(limit, 1e-25))
        assert chosen > 0
        if chosen == len(decades) - 1:
            at_the_end.append(tuned)
    # without a floor nothing stops a rule whose steps are bounded: Adagrad, RMSprop, Adam, clipped
    assert at_the_end == ([high] * 4 if k == SADDLE else [])
    said = scene_of("race", k).sentence(scene_of("race", k).quantities())
    assert ("rates up to 100" in said) == bool(at_the_end)


@pytest.mark.parametrize(
    "k", [k for k, surface in enumerate(chapter_07.SURFACES) if surface.plain_arrives]
)
def test_plain_descent_arrives_from_every_start_where_nobody_is_said_to_be_ahead(k):
    surface = chapter_07.SURFACES[k]
    starts = np.meshgrid(*(slider.values() for slider in scene_of("race", k).sliders[:2]))
    runs = descent.minimize_many(
        surface.problem.fun,
        [axis.ravel() for axis in starts],
        sgd(10 ** surface.decades[0]),
        grad=surface.problem.grad,
        max_steps=chapter_07.BUDGET,
        tol=1e-7,
    )
    assert runs.fun.max() < chapter_07.FLOOR


@every_surface
def test_a_race_with_momentum_0_at_the_rate_of_plain_descent_is_level(k):
    scene = scene_of("race", k)
    q = scene.quantities(mode=0, beta=0.0)
    assert q["x"] == pytest.approx(q["plain_x"])
    assert "level" in scene.sentence(q)


@pytest.mark.parametrize("k", range(5))
def test_the_race_says_who_is_ahead_from_the_numbers(k):
    scene = scene_of("race", k)
    for rate in scene.sliders[3].values():
        q = scene.quantities(mode=4, rate=rate)
        said = scene.sentence(q)
        if q["above_last"] > 1e9:
            assert said.startswith("Your optimizer diverges")
        elif q["above_last"] < 0.9 * q["plain_above_last"]:
            assert "yours is ahead" in said
        elif q["plain_above_last"] < 0.9 * q["above_last"]:
            assert "plain descent is ahead" in said


@pytest.mark.parametrize("mode", RACE)
@every_surface
def test_a_verdict_of_the_race_says_where_the_rate_is_not_the_tuned_one(k, mode):
    scene, tuned = scene_of("race", k), chapter_07.SURFACES[k].decades[mode + 1]
    for rate in (*scene.sliders[3].values(7), 10**tuned):
        said = scene.sentence(scene.quantities(mode=mode, rate=rate))
        leads = any(word in said for word in ("yours is", "plain descent is"))
        untuned = abs(np.log10(rate) - tuned) > 0.01
        assert ("at a rate that is not its tuned one." in said) == (leads and untuned)


@pytest.mark.parametrize("mode", RACE)
@every_surface
def test_what_the_race_says_is_true_for_every_optimizer(k, mode):
    """The heights in the sentence are those of the last points, and so is the order."""
    problem, scene = chapter_07.SURFACES[k].problem, scene_of("race", k)
    floor = -np.inf if k == SADDLE else 1e-12
    for rate in scene.sliders[3].values(13):
        q = scene.quantities(mode=mode, rate=rate)
        said = scene.sentence(q)
        ends = [(q["x_last"], q["y_last"]), (q["plain_x_last"], q["plain_y_last"])]
        yours, plain = (max(problem.fun(end), floor) for end in ends)
        assert ("diverges" in said) == (yours > 1e9)
        assert f"fter {q['n']} gradients" in said
        assert f"lain descent after {q['plain_n']} " in said
        assert number(yours) in said
        assert number(plain) in said
        if "diverges" not in said:
            assert (q["n"], q["plain_n"]) == (200, 200) or plain > 1e9
            apart = yours - plain
            assert ("yours is" in said) == (apart < -0.01 * abs(plain))
            assert ("plain descent is" in said) == (apart > 0.01 * abs(yours))
        assert ("no lowest height" in said) == (k == SADDLE)
        assert ("the lowest" in said) == (k != SADDLE)


@pytest.mark.parametrize(("mode", "rate"), [(0, 0.4), (1, 0.1), (4, 100.0), (6, 1.0)])
def test_runs_leave_the_saddle_and_fall_out_of_the_picture(mode, rate):
    scene = scene_of("race", SADDLE)
    q = scene.quantities(mode=mode, rate=rate)
    assert q["height"] < -1e4
    assert q["plain_height"] < -1e9
    assert max(abs(q["x_last"]), abs(q["y_last"])) > 100
    assert np.diff(q["plain_above"])[20:].max() < 0


def test_nobody_moves_where_the_gradient_is_zero_but_for_the_decay_of_adamw():
    for k, (x, y) in RESTING.items():
        scene = scene_of("race", k)
        for mode in RACE:
            q = scene.quantities(x0=x, y0=y, mode=mode, rate=1.0)
            moved = np.hypot(q["x_last"] - x, q["y_last"] - y) > 1e-3
            assert moved == (mode == ADAMW and (x, y) != (0, 0))
            assert scene.sentence(q).startswith("You start where") == (not moved)


def test_depths_on_the_saddle_grow_by_a_factor_with_momentum_and_like_a_square_with_adam():
    scene, plain_rate = scene_of("race", SADDLE), 10 ** chapter_07.SURFACES[SADDLE].decades[0]
    heights = []
    for beta in (0.0, 0.3, 0.6, 0.9):
        q = scene.quantities(mode=0, rate=plain_rate, beta=beta)
        fall = np.diff(q["above"][60:])  # a straight line on the logarithmic axis
        np.testing.assert_allclose(fall, fall.mean(), rtol=0.05)
        heights.append(q["height"])
    assert heights == sorted(heights, reverse=True)
    for rate in (1.0, 10.0, 100.0):
        q = scene.quantities(mode=4, rate=rate)
        fall = -np.diff(q["above"])
        assert fall[100] > 2 * fall[-1] > 0
        assert q["height"] == pytest.approx(-3e4 * rate**2, rel=0.3)


def test_the_decay_of_adamw_helps_where_the_minimum_is_at_zero_and_only_there():
    lowest = {}
    for k in (1, 4):
        for mode in (4, ADAMW):
            rate = 10 ** chapter_07.SURFACES[k].decades[mode + 1]
            lowest[k, mode] = scene_of("race", k).quantities(mode=mode, rate=rate)["above_last"]
    assert lowest[1, ADAMW] == pytest.approx(1e-12)
    assert lowest[1, 4] > 1e-9
    assert lowest[4, ADAMW] > 1e-4 > 1e-6 > lowest[4, 4]


def test_marks_and_backdrop_share_one_coordinate_system():
    def diagonal(ax):
        frame(ax)
        ax.plot([-0.5, 0.5], [0.25, 0.75], color="#123456")

    markup, axes = backdrop.svg(Panel(diagonal, (), "A line."), "line")
    drawn = re.search(r'd="M ([\d.]+) ([\d.]+) L ([\d.]+) ([\d.]+) "[^>]*#123456', markup)
    want = []
    for x, y in ((-0.5, 0.25), (0.5, 0.75)):
        for value, (_, low, high, start, end) in ((x, axes["x"]), (y, axes["y"])):
            want.append(start + (value - low) / (high - low) * (end - start))
    assert [float(number_) for number_ in drawn.groups()] == pytest.approx(want, abs=0.02)


def test_a_slider_reaches_both_ends():
    assert len(Slider("x", "x", 0.0, 1.0, 0.5, step=0.1).values()) == 11
    rates = Slider("r", "r", 10**-2.5, 10**-0.7, 0.09, step=0.01, log=True).values()
    assert len(rates) == 181
    assert rates[-1] == pytest.approx(10**-0.7)


@every_scene
def test_every_slider_can_return_to_where_it_stands_at_first(shown, scene):
    for slider in scene.sliders:
        places = np.array(slider.values())
        nearest = places[np.abs(places - slider.value).argmin()]
        assert nearest == pytest.approx(slider.value, rel=1e-9, abs=1e-12), slider.name


@every
def test_rounding_in_the_markup_cuts_no_position_off(shown):
    ranges = iter(Tags(html_of(shown)).all("input", type="range"))
    for scene in shown.scenes:
        for slider, tag in zip(scene.sliders, ranges, strict=False):
            low, high, step = (Decimal(tag[key]) for key in ("min", "max", "step"))
            assert (high - low) // step + 1 == len(slider.values()), slider.name


@pytest.mark.parametrize("scene", DIALS, ids=lambda scene: scene.title)
def test_the_dial_can_be_set_to_two_over_the_curvature(scene):
    places = np.array(scene.sliders[-1].values())
    limit = scene.quantities()["limit"]
    assert places[np.abs(places - limit).argmin()] == pytest.approx(limit, rel=1e-9)


@pytest.mark.parametrize(
    ("k", "problem"),
    list(enumerate([bowl((1.0,)), two_wells(), plateau(), bowl(), valley()])),
    ids=lambda value: str(value),
)
def test_the_zones_of_the_dial_end_at_one_and_two_over_the_curvature(k, problem):
    scene = scene_of("learning-rate-dial", k)
    ax = Figure().add_subplot()
    scene.panels[-1].draw(ax)
    steepest = np.linalg.eigvalsh(problem.hess(problem.minimizers[:, 0]))[-1]
    spans = [(zone.get_x(), zone.get_x() + zone.get_width()) for zone in ax.patches]
    low, high = scene.sliders[-1].low, scene.sliders[-1].high
    ends = [low, 1 / steepest, 2 / steepest, high]
    np.testing.assert_allclose(spans, list(itertools.pairwise(ends)), rtol=1e-9)
    assert ax.get_xlim() == pytest.approx((low, high))
    assert ax.get_xticks() == pytest.approx([low, 2 / steepest])


def normals_of_the_noise_ball(count):
    """Draw the explorer's normal numbers with whole numbers of Python."""
    u, v = chapter_09.SEEDS
    pairs = []
    for _ in range(count):
        u, v = 16807 * u % (2**31 - 1), 16807 * v % (2**31 - 1)
        radius, angle = np.sqrt(-2 * np.log(u / (2**31 - 1))), 2 * np.pi * v / (2**31 - 1)
        pairs.append((radius * np.cos(angle), radius * np.sin(angle)))
    return np.array(pairs)


def test_the_generator_of_the_noise_ball_passes_the_check_of_its_authors():
    u = 1
    for _ in range(10_000):
        u = chapter_09._next(u)
    assert u == 1_043_618_065


def test_the_noise_of_the_noise_ball_is_normal_and_new_at_each_step():
    z = normals_of_the_noise_ball(1000)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=3 / np.sqrt(1000))
    np.testing.assert_allclose(z.std(axis=0), 1, atol=3 / np.sqrt(2000))
    np.testing.assert_allclose((z**4).mean(axis=0), 3, atol=3 * np.sqrt(96 / 1000))
    for one, other in ((z[1:, 0], z[:-1, 0]), (z[1:, 1], z[:-1, 1]), (z[:, 0], z[:, 1])):
        assert abs(np.corrcoef(one, other)[0, 1]) < 3 / np.sqrt(1000)


@pytest.mark.parametrize(
    ("batch", "rate", "curvature"), [(2.0, 0.2, 1.0), (64.0, 0.5, 3.0), (1.0, 0.01, 0.5)]
)
def test_the_noise_ball_is_descent_with_the_gradient_of_a_batch(batch, rate, curvature):
    q = scene_of("noise-ball").quantities(batch=batch, rate=rate, curvature=curvature)
    point = np.array([3.0, 2.0])
    path = [point]
    for noise in normals_of_the_noise_ball(1000):
        point = point - rate * (curvature * point + 2 / np.sqrt(batch) * noise)
        path.append(point)
    path = np.array(path)
    np.testing.assert_allclose(np.transpose([q["from_x"], q["from_y"]]), path[:201], atol=1e-11)
    np.testing.assert_allclose(np.transpose([q["x"], q["y"]]), path[200:], atol=1e-11)
    assert q["measured"] == pytest.approx(np.sqrt((path[201:] ** 2).mean()), rel=1e-9)
    inside = (np.linalg.norm(path[201:], axis=1) < 2 * q["spread"]).sum()
    assert q["inside_last"] == inside


def test_the_predicted_noise_ball_stands_still_and_the_run_measures_it():
    scene = scene_of("noise-ball")
    seen = set()
    for batch in scene.sliders[0].values(3):
        for rate in scene.sliders[1].values(13):
            for bend in (0.5, 1.0, 4.0):
                q = scene.quantities(batch=batch, rate=rate, curvature=bend)
                said = scene.sentence(q)
                assert q["holds"] == (rate * bend < 2 - 1e-6)
                assert q["holds"] == ("Theory gives" in said or "too slow" in said)
                if not q["holds"]:
                    continue
                V = q["spread"] ** 2
                assert pytest.approx(V) == (1 - rate * bend) ** 2 * V + rate**2 * 4 / batch
                if not q["still"]:
                    seen.add((batch, rate, bend))
                    assert abs(q["measured"] / q["spread"] - 1) < 3 * q["off"] / 100
                    assert abs(q["inside_last"] - 692) < 60
    assert len(seen) > 40


def test_the_typical_distance_begins_at_the_start_and_ends_at_the_ball():
    q = scene_of("noise-ball").quantities(batch=4.0, rate=0.5, curvature=1.0)
    assert q["typical"][0] == pytest.approx(np.hypot(3, 2))
    assert q["typical"][-1] == pytest.approx(np.sqrt(2) * q["spread"])
    at_one = np.interp(1.0, q["of_rate"], q["of_spread"])
    assert at_one == pytest.approx(2 / np.sqrt(4) * np.sqrt(1 / (2 - 1)), rel=1e-2)


def test_at_the_limit_the_noise_ball_is_a_random_walk():
    scene = scene_of("noise-ball")
    q = scene.quantities(batch=1.0, rate=0.5, curvature=4.0)
    assert "the limit: " in scene.sentence(q)
    assert not q["holds"]
