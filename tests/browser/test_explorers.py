"""Explorers in a real browser: the JavaScript they carry equals the Python it came from."""

import itertools

import numpy as np
import pytest

from calclib import explorer, tracing
from calclib.explorer.words import number
from calclib.problems import two_wells
from calclib.tracing import Let, Orbit, Program, Sweep

EVERY = [make() for make in explorer.NAMED]
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
    """Spread values over all sliders of a scene."""
    count = 12 if len(scene.sliders) < 3 else 4
    names = [slider.name for slider in scene.sliders]
    for values in itertools.product(*(slider.values(count) for slider in scene.sliders)):
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
