"""Explorers in a real browser: the JavaScript they carry equals the Python it came from."""

import itertools
import random
import re

import numpy as np
import pytest

from calclib import explorer, tracing
from calclib.explorer import page as markup
from calclib.explorer.scene import Arrow, Bars, Handle, Path, Points, Text
from calclib.explorer.words import number
from calclib.problems import two_wells
from calclib.tracing import Let, Orbit, Program, Sweep

EVERY = [make() for make in explorer.NAMED]
MANY = 200  # positions of a scene
SCENES = [(each, k) for each in EVERY for k in range(len(each.scenes))]


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """Open one page with every explorer on it, from a file, with the network blocked."""
    file = tmp_path_factory.mktemp("page") / "explorers.html"
    body = "\n".join(each.html() for each in EVERY)
    file.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8">{body}', "utf-8")
    context = browser.new_context(offline=True)
    opened = context.new_page()
    opened.goto(file.as_uri())
    yield opened
    context.close()


def grid(scene):
    """Spread values over all sliders of a scene; of a switch take every position.

    Of a large product of these, a seeded choice is taken: each value comes many times.
    """
    count = {1: 12, 2: 12, 3: 4, 4: 4}.get(len(scene.sliders), 3)
    names = [slider.name for slider in scene.sliders]
    places = [slider.values(None if slider.words else count) for slider in scene.sliders]
    product = list(itertools.product(*places))
    if len(product) > MANY:
        product = random.Random(0).sample(product, MANY)
    for values in product:
        yield dict(zip(names, values, strict=True))


def differs(got, want):
    """Give the largest difference, relative to the largest entry or to 1."""
    got, want = np.atleast_1d(got).astype(float), np.atleast_1d(want).astype(float)
    if got.shape != want.shape:
        return np.inf
    return np.max(np.abs(got - want)) / max(1.0, np.max(np.abs(want)))


@pytest.mark.parametrize(("shown", "k"), SCENES, ids=[f"{e.name} {k}" for e, k in SCENES])
def test_the_pages_javascript_equals_the_python_it_came_from(page, shown, k):
    scene = shown.scenes[k]
    inputs = list(grid(scene))
    answers = page.evaluate(
        """([name, k, inputs]) => {
          const figure = document.querySelector(`figure.explorer[data-name="${name}"]`);
          const scene = figure.explorer[k];
          const says = figure.querySelectorAll(".explorer-says")[k];
          return inputs.map((values) => {
            scene.set(values);
            return [scene.compute(values), says.textContent];
          });
        }""",
        [shown.name, k, inputs],
    )
    assert len(answers) == len(inputs) >= 12
    for values, (got, said) in zip(inputs, answers, strict=True):
        want = scene.quantities(**values)
        assert got.keys() == want.keys()
        for name in want:
            assert differs(got[name], want[name]) < 1e-9, (name, values)
        assert said == scene.sentence(want), values


# --- where the marks stand ----------------------------------------------------------------------


def numbers(position, quantities):
    """Give the numbers of a position: of a quantity, of a number, or of several of them."""
    if isinstance(position, tuple):
        return np.concatenate([numbers(part, quantities) for part in position])
    named = isinstance(position, str)
    return np.atleast_1d(np.array(quantities[position] if named else position, dtype=float))


def on_axis(axis, values):
    """Map data to points of the picture, on one axis; far outside is 9999 points away."""
    scale, low, high, start, end = axis
    bend = np.log10 if scale == "log" else np.asarray
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (bend(values) - bend(low)) / (bend(high) - bend(low))
        return np.clip(start + share * (end - start), -9999, 9999)


def where(axes, x, y):
    """Map data to points of the picture, shape (k, 2); what has no logarithm is left out."""
    k = min(len(x), len(y))
    placed = np.transpose([on_axis(axes["x"], x[:k]), on_axis(axes["y"], y[:k])])
    return placed[~np.isnan(placed).any(axis=1)]


def expected(mark, axes, q):
    """Give the points that a mark must show, for each of its elements with their offsets."""
    x, y = numbers(mark.x, q), numbers(mark.y, q)
    at = where(axes, x, y)
    if isinstance(mark, Path):
        return [at, at - [2.2, 0]] if mark.dots else [at]
    if isinstance(mark, Points):
        return [at - [mark.size, 0]]
    if isinstance(mark, Bars):
        base = np.broadcast_to(numbers(mark.base, q), x.shape)
        feet = where(axes, x, base)
        return [np.stack([feet, at], axis=1).reshape(-1, 2)]
    if isinstance(mark, Arrow):
        tip = where(axes, x + numbers(mark.dx, q), y + numbers(mark.dy, q))
        return [at, tip]
    if isinstance(mark, Text):
        shift = {"start": 7, "middle": 0, "end": -7}[mark.anchor]
        return [at[:1] + np.array([shift, -7])]
    return [at]


def drawn(element):
    """Give the points of an element: the corners of a path, or the place of words or a handle."""
    if element["kind"] == "path":
        found = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", element["d"])
    else:
        found = [element["at"]] if element["says"] else []
    return np.array(found, dtype=float).reshape(-1, 2)


SHOWN = """([name, k, inputs]) => {
  const figure = document.querySelector(`figure.explorer[data-name="${name}"]`);
  const root = figure.querySelectorAll(".explorer-scene")[k];
  const tell = (each) => each.tagName === "text"
    ? {kind: "text", at: [each.getAttribute("x"), each.getAttribute("y")], says: each.textContent}
    : {kind: "path", d: each.getAttribute("d") ?? ""};
  const grip = (each) => ({
    kind: "handle", at: each.getAttribute("transform").match(/-?[\\d.]+/g), says: "grip",
  });
  return inputs.map((values) => {
    figure.explorer[k].set(values);
    const panels = [...root.querySelectorAll("svg.explorer-panel")].map((svg) => ({
      marks: [...svg.querySelectorAll(".marks > g")].map((own) => ({
        hidden: own.getAttribute("visibility") === "hidden",
        parts: [...own.children].map(tell),
      })),
      handles: [...svg.querySelectorAll(".handles > g")].map(grip),
    }));
    return [figure.explorer[k].compute(values), panels];
  });
}"""


@pytest.mark.parametrize(("shown", "k"), SCENES, ids=[f"{e.name} {k}" for e, k in SCENES])
def test_every_mark_stands_where_the_axes_put_its_numbers(page, shown, k):
    scene = shown.scenes[k]
    _, specs = markup.panels(shown.name, shown.scenes)
    inputs = list(grid(scene))
    inputs = [
        {each.name: each.value for each in scene.sliders},
        *inputs[:: max(1, len(inputs) // 7)],
    ]
    compared = 0
    for values, (q, panels) in zip(
        inputs, page.evaluate(SHOWN, [shown.name, k, inputs]), strict=True
    ):
        for panel, spec, got in zip(scene.panels, specs[k]["panels"], panels, strict=True):
            marks, handles = iter(got["marks"]), iter(got["handles"])
            for mark in panel.marks:
                if isinstance(mark, Handle):
                    parts = [next(handles)]
                else:
                    one = next(marks)
                    assert one["hidden"] == bool(mark.show and not q[mark.show]), (mark, values)
                    if one["hidden"]:
                        continue
                    parts = one["parts"]
                for part, want in zip(parts, expected(mark, spec["axes"], q), strict=True):
                    points = drawn(part)
                    if isinstance(mark, Arrow):  # the shaft ends at the neck, the head at the wings
                        points = points[:1]
                    assert points.shape == want.shape, (mark, values)
                    assert np.abs(points - want).max(initial=0) <= 0.02, (mark, values)
                    compared += len(want)
            assert [*marks, *handles] == []
    assert compared >= len(inputs)


def test_rounding_noise_is_the_same_to_the_last_bit(page):
    """The error curve of chapter 01 is made of rounding errors, so nothing may be re-ordered."""
    (scene,) = explorer.secant_to_tangent().scenes
    inputs = list(grid(scene))
    compute = f"inputs => {{ {scene.program.javascript()}; return inputs.map(compute); }}"
    for values, got in zip(inputs, page.evaluate(compute, inputs), strict=True):
        want = scene.quantities(**values)
        assert got["miss"] == want["miss"]
        assert got["miss_step"] == want["miss_step"]


RULES = {
    "powers": lambda x, y: (x**2, x**3, x**-2, (x + y) ** 2 / y**2, -(x**2), (x**2 * y) ** 2),
    "roots": lambda x, y: (tracing.sqrt(y), (x**2 + 1) ** 0.5, y**1.5),
    "nested": lambda x, y: (x / (y * (x**2 + 1)), x - (y - (x - y)), (x * y) ** 3 / (x**2 + y)),
    "quotients": lambda x, y: (x / 3, -2 * y / 7, (x + y) / 5 - x / 49, (x / 3) ** 2),
    "functions": lambda x, y: (tracing.sin(x), tracing.cos(x * y), abs(x)),
    "choices": lambda x, y: (tracing.where(x > 0, x, 0), tracing.where((x > -1) & (x < 1), y, x)),
    "numbers": lambda x, y: (x * 0.1 + 0.2, x / 3, 1e-17 + y, x * 12345678.9),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_in_javascript_equals_the_rule_in_python(page, name):
    source = tracing.javascript(RULES[name], "x", "y")
    points = [[x, y] for x in (-2.5, -1.0, -0.3, 0.7, 1.0, 3.1) for y in (0.2, 1.0, 2.7)]
    answers = page.evaluate(f"points => {{ {source}; return points.map(p => f(...p)); }}", points)
    for point, got in zip(points, answers, strict=True):
        np.testing.assert_allclose(got, np.array(RULES[name](*point), float), rtol=1e-14)


def test_a_program_in_javascript_equals_the_program_in_python(page):
    program = Program(
        ("x0", "rate"),
        Orbit(
            ("x",),
            lambda x0: x0,
            lambda x, rate: x - rate * two_wells().grad(x),
            steps=50,
            until=lambda x: abs(two_wells().grad(x)) < 1e-6,
        ),
        Sweep("t", (0.5, 1.0, 2.0), (Let("power", lambda t, x_last: (x_last**2 + 1) ** t),)),
        Let("deep", lambda x_last: tracing.where(x_last < 0, 1.0, 0.0)),
    )
    inputs = [{"x0": a, "rate": r} for a in (-5.0, 0.3, 1.97, 5.5) for r in (0.01, 0.08, 0.16)]
    compute = f"inputs => {{ {program.javascript()}; return inputs.map(compute); }}"
    for values, got in zip(inputs, page.evaluate(compute, inputs), strict=True):
        want = program(**values)
        assert got.keys() == want.keys()
        for name, value in want.items():
            np.testing.assert_allclose(got[name], value, rtol=1e-9, err_msg=name)


def test_numbers_read_the_same_in_python_and_in_the_browser(page):
    rng = np.random.default_rng(0)
    values = [0.0, -0.0, 0.125, 2.5, 0.5, -0.001, 99950.0, 99949.9, 1e-4, 9.995e-5, 1e21, -1e300]
    values += list(rng.normal(size=200) * 10.0 ** rng.integers(-12, 12, size=200))
    values += [float("inf"), float("-inf"), float("nan")]
    for form in (".0f", ".1f", ".2f", ".4f", "g"):
        shown = page.evaluate(
            """([source, values, form]) =>
              import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})))
                .then(({number}) => values.map((value) => number(value, form)))""",
            [explorer.page.asset("explorer.js"), values, form],
        )
        fits = [k for k, value in enumerate(values) if form == "g" or not abs(value) >= 1e21]
        assert [shown[k] for k in fits] == [number(values[k], form) for k in fits]
