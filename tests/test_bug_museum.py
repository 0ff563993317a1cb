"""The bug museum: every test that is shown fails on the faulty version and passes on the fixed."""

import ast
import functools
import inspect
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = nbformat.read(ROOT / "chapters" / "10_bug_museum.ipynb", as_version=4)
EXHIBITS = range(1, 29)
BELIEFS = range(1, 10)
CONSTANTS = {"rng", "learning_rate", "valley", "saddle_hessian", "targets", "rules"}
CONSTANTS |= {"houses", "prices"}

every_exhibit = pytest.mark.parametrize("k", EXHIBITS)


def defines(statement):
    """Tell whether a statement of a cell only makes a name that exhibits share."""
    if isinstance(statement, ast.Assign):
        return {
            target.id for target in statement.targets if isinstance(target, ast.Name)
        } & CONSTANTS
    return isinstance(statement, ast.FunctionDef | ast.Import | ast.ImportFrom)


def code_cells():
    return [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]


def statements():
    """Give what the cells define, exercises left out."""
    trees = [ast.parse(cell.source) for cell in code_cells() if 'check("' not in cell.source]
    return [statement for tree in trees for statement in tree.body if defines(statement)]


@pytest.fixture(scope="module")
def museum():
    """Give the names that the cells define, without running what they print."""
    names = {}
    exec(compile(ast.Module(statements(), []), "10_bug_museum", "exec"), names)
    return names


def printed():
    outputs = (out for cell in code_cells() for out in cell.outputs)
    return "".join(out.text for out in outputs if out.output_type == "stream")


def markdown():
    return "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


def prose():
    return " ".join(markdown().split())


def exhibit(k):
    """Give the text from an exhibit's anchor to the next exhibit or room."""
    begin = markdown().index(f"(bug-{k})=\n### {k}. ")
    end = re.compile(r"^\(bug-|^## ", re.MULTILINE).search(markdown(), begin + 5).start()
    return markdown()[begin:end]


# --- every exhibit --------------------------------------------------------------------------------


@every_exhibit
def test_the_faulty_version_fails_its_test(museum, k):
    with pytest.raises(AssertionError):
        museum[f"test_{k}"](museum[f"faulty_{k}"])


@every_exhibit
def test_the_fixed_version_passes_its_test(museum, k):
    museum[f"test_{k}"](museum[f"fixed_{k}"])


@every_exhibit
def test_both_versions_are_called_alike(museum, k):
    faulty, fixed = (inspect.signature(museum[f"{name}_{k}"]) for name in ("faulty", "fixed"))
    needed = [name for name, given in faulty.parameters.items() if given.default is given.empty]
    assert list(fixed.parameters)[: len(needed)] == needed


@every_exhibit
def test_the_chapter_shows_that_the_fault_is_caught(k):
    assert f"faulty_{k} fails test_{k}\nfixed_{k} passes test_{k}\n" in printed()


@every_exhibit
def test_an_exhibit_can_be_linked_asks_and_tells(k):
    assert exhibit(k).count("**Find it.**") == 1
    assert exhibit(k).count("{admonition} The fault\n:class: dropdown") == 1


@every_exhibit
def test_an_exhibit_sets_one_exercise_between_its_question_and_its_answer(k):
    marks = re.findall(r"\*\*Find it|\{exercise\}|\} The fault", exhibit(k))
    assert marks == ["**Find it", "{exercise}", "} The fault"]


def test_the_goals_name_every_exercise_once():
    ranges = re.findall(r"10\.(\d+) to 10\.(\d+)", NOTEBOOK.cells[0].source)
    named = [k for first, last in ranges for k in range(int(first), int(last) + 1)]
    assert named == list(range(1, markdown().count("{exercise}") + 1))


def test_no_exhibit_and_no_belief_is_missing():
    labels = [int(k) for k in re.findall(r"^\(bug-(\d+)\)=$", markdown(), re.MULTILINE)]
    assert sorted(labels) == list(EXHIBITS)
    beliefs = re.findall(r"^\(belief-(\d)\)=\n### Belief (\d)\. ", markdown(), re.MULTILINE)
    assert beliefs == [(str(k), str(k)) for k in BELIEFS]


def test_no_definition_replaces_another():
    names = [each.name for each in statements() if isinstance(each, ast.FunctionDef)]
    assert len(names) == len(set(names))


def test_a_fix_and_its_test_are_folded_away():
    for cell in code_cells():
        if "\ndef test_" in f"\n{cell.source}":
            assert cell.metadata.tags == ["hide-cell"]
            assert cell.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}


def test_what_catches_nothing_is_not_called_a_test(museum, capsys):
    museum["caught"](lambda version: None, museum["faulty_1"], museum["fixed_1"])
    assert capsys.readouterr().out.count("passes") == 2


# --- the pitfalls of the chapters -----------------------------------------------------------------

PLACE = r"\{ref\}`(Exhibit|Belief) (\d+) <(bug|belief)-(\d+)>`"
WITH_PITFALLS = sorted((ROOT / "chapters").glob("0*.ipynb"))
OF_ROOMS = [path for path in WITH_PITFALLS if "01" <= path.name[:2] <= "08"]

every_chapter = pytest.mark.parametrize("chapter", WITH_PITFALLS, ids=lambda path: path.stem)


@functools.cache
def text_of(chapter):
    nb = nbformat.read(chapter, as_version=4)
    return "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def pitfalls(chapter):
    """Give the pitfalls of a chapter, each as one line."""
    section = text_of(chapter).split("## Pitfalls\n", 1)[1].split("\n## ", 1)[0]
    parts = (part.removeprefix("- ") for part in re.split(r"\n\n|\n(?=- )", section))
    return [" ".join(part.split()) for part in parts if part.startswith('**"')]


def linked_from(chapter):
    links = re.findall(PLACE, "\n".join(pitfalls(chapter)))
    return {(kind, int(k)) for _, _, kind, k in links}


@every_chapter
def test_a_link_to_the_museum_ends_its_pitfall_and_names_what_it_leads_to(chapter):
    assert len(pitfalls(chapter)) >= 6
    for pitfall in pitfalls(chapter):
        links = re.findall(PLACE, pitfall)
        assert len(links) == len(re.findall(r"(?:bug|belief)-\d", pitfall)), pitfall
        end = ", ".join(f"{{ref}}`{name} {shown} <{kind}-{k}>`" for name, shown, kind, k in links)
        assert not links or pitfall.endswith(f". {end}."), pitfall
        for name, shown, kind, k in links:
            assert (name, shown) == ({"bug": "Exhibit", "belief": "Belief"}[kind], k)
            assert f"\n({kind}-{k})=\n" in f"\n{markdown()}"


@every_exhibit
def test_an_exhibit_is_linked_from_the_pitfalls_of_a_chapter_of_its_room(k):
    before = markdown()[: markdown().index(f"(bug-{k})=")]
    room = re.split(r"^## Room \d: ", before, flags=re.MULTILINE)[-1]
    anchors = re.findall(r"\{ref\}`(ch-[a-z-]+)`", room.split("\n(bug-", 1)[0])
    homes = [c for c in WITH_PITFALLS if text_of(c).startswith(tuple(f"({a})=" for a in anchors))]
    assert len(homes) == len(anchors) > 0
    assert any(("bug", k) in linked_from(chapter) for chapter in homes)


@pytest.mark.parametrize("k", BELIEFS)
def test_a_belief_is_linked_from_the_pitfalls_of_a_chapter(k):
    assert any(("belief", k) in linked_from(chapter) for chapter in OF_ROOMS)


@pytest.mark.parametrize("chapter", OF_ROOMS, ids=lambda path: path.stem)
def test_the_pitfalls_of_a_chapter_lead_to_the_museum(chapter):
    assert linked_from(chapter)


# --- half a fix is caught too ---------------------------------------------------------------------


def step_in_whole_numbers(x, i, h):
    x = np.array(x)
    x[i] += h
    return x


def second_differences(stencil, step):
    def hessian(fun, x):
        e = step(x) * np.eye(len(x))
        return np.array([[stencil(fun, x, a, b) for b in e] for a in e]) / step(x) ** 2

    return hessian


def one_sided(fun, x, a, b):
    return fun(x + a + b) - fun(x + a) - fun(x + b) + fun(x)


def central(fun, x, a, b):
    return (fun(x + a + b) - fun(x + a - b) - fun(x - a + b) + fun(x - a - b)) / 4


def fit(theta, x, y):
    """Descend in place, from the array that is given."""
    for _ in range(2000):
        r = theta[0] + theta[1] * x - y
        theta -= 0.1 * np.array([r.mean(), (r * x).mean()])
    return theta


def largest_over_smallest_size(H):
    values = np.linalg.eigvalsh(H)
    return values.max() / np.abs(values).min()


def judged_in_total(gradients):
    total = np.sqrt(sum((g**2).sum() for g in gradients))
    if not np.isfinite(total):
        return "not finite"
    return "exploding" if total > 1e3 else "vanishing" if total < 1e-6 else "healthy"


def judged_without_nan(gradients):
    lengths = [np.linalg.norm(g) for g in gradients]
    if any(length > 1e3 for length in lengths):
        return "exploding"
    return "vanishing" if any(length < 1e-6 for length in lengths) else "healthy"


def relative(x):
    return 1e-4 * np.abs(x).max()


def adam_from_step_1_twice(slope, x, rate, steps):
    m = v = np.zeros_like(x)
    for t in range(steps):
        g, t = slope(x), max(t, 1)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        x = x - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


def race_of_one_step(rules, problem, start, steps):
    losses = {}
    for name, rule in rules.items():
        x = np.array(start)
        step, _ = rule.update(problem.grad(x), rule.init(x), x)
        losses[name] = float(problem.fun(x + step))
    return losses


HALF_FIXED = {
    "the slope of one polynomial": (1, lambda coefficients, x: 9 * x * x + 4 * x - 5),
    "starts for ends": (6, np.array),
    "a run that never starts": (7, lambda x, steps: (x, "not found")),
    "a run that stands still": (8, lambda x, steps: (x, [x] * (steps + 1))),
    "a run that never arrives": (9, lambda slope, x, rate: (x, 0, "max_steps")),
    "a run that is never done": (10, lambda fun, x, rate: (x, 0, "max_steps")),
    "a step for a sigmoid": (15, lambda x: np.heaviside(x, 0.5)),
    "Adam that counts 1, 1, 2, 3": (23, adam_from_step_1_twice),
    "a race of one step": (24, race_of_one_step),
    "a copy that stays whole": (4, step_in_whole_numbers),
    "one-sided, with a relative step": (12, second_differences(one_sided, relative)),
    "central, with a tiny step": (12, second_differences(central, lambda x: 1e-7)),
    "half of the signs dropped": (13, largest_over_smallest_size),
    "a new array, the penalty twice": (20, lambda g, w, strength: g + 4 * strength * w),
    "a NaN found, a dead layer not": (25, judged_in_total),
    "a dead layer found, a NaN not": (25, judged_without_nan),
    "the start of the caller": (27, lambda theta, x, y: fit(theta, x, np.ravel(y))),
    "y as a column": (27, lambda theta, x, y: fit(1.0 * theta, x, y)),
}


@pytest.mark.parametrize("name", HALF_FIXED)
def test_a_half_fixed_version_fails_too(museum, name):
    k, version = HALF_FIXED[name]
    with pytest.raises(AssertionError):
        museum[f"test_{k}"](version)


def test_an_integer_start_is_not_forgotten(museum):
    with pytest.raises(TypeError, match="Cannot cast"):
        museum["test_27"](lambda theta, x, y: fit(theta.copy(), x, np.ravel(y)))


# --- the numbers ----------------------------------------------------------------------------------


def test_the_slope_of_exhibit_1_is_88_and_not_76(museum):
    assert museum["faulty_1"]([3, 2, -5, 1], 3) == -1
    assert museum["fixed_1"]([3, 2, -5, 1], 3) == 9 * 9 + 4 * 3 - 5 == 88
    assert "-1   expected: 76\n" in printed()
    assert "at 3 it is 88, not 76" in prose()


def test_differences_go_wrong_as_told(museum):
    points = np.linspace(1, 2, 101)
    errors = [abs(museum["faulty_2"](np.sin, x) - np.cos(x)) for x in points]
    assert 1e-10 < np.median(errors) < 1e-9
    assert museum["faulty_3"](lambda x: x * x, 1e10) == 0
    point = np.array([3, 4])
    slopes = museum["gradient_by"](museum["faulty_4"], museum["squares"], point)
    assert slopes == pytest.approx([2.5e7, 3.5e7])
    bends = museum["hessian_by"](museum["faulty_4"], museum["squares"], point)
    assert np.array_equal(bends, np.zeros((2, 2)))
    assert museum["faulty_5"](abs, 0.0) == 0
    assert museum["faulty_5"](museum["relu"], 0.0) == pytest.approx(0.5)
    for line in (
        "slope of x^2 at 1e+10: 0\n",
        "gradient 2.5e+07 3.5e+07\n",
        "Hessian [[0.0, 0.0], [0.0, 0.0]]\n",
        "|x|: 0.0   ReLU: 0.5\n",
    ):
        assert line in printed()


def test_runs_go_wrong_as_told(museum):
    assert np.ptp(museum["faulty_6"]([-6.0, -2.0, 2.0, 6.0])) < 1e-5
    assert museum["faulty_7"](5.0, 100)[0] == pytest.approx(2.638, abs=5e-4)
    assert museum["faulty_9"](museum["twice"], 5.0, 1e-8)[1:] == (1, "converged")
    slopes = 2 * np.linspace(1, 5, 9999) + 5 * np.cos(np.linspace(1, 5, 9999))
    assert min(slopes) == pytest.approx(0.878, abs=5e-4)
    assert "The smallest slope on the shelf is 0.878" in prose()
    x, steps, says = museum["faulty_10"](museum["fourth"], 5.0, 0.1)
    assert (steps, says) == (3, "converged")
    assert x == pytest.approx(-1.9e13, rel=0.02)
    for line in (
        "[-1.1105 -1.1105 -1.1105 -1.1105]\n",
        "minimum found at 2.638; slope there 0.897\n",
        "0.878 at 2.730\n",
        "converged at 5.000000 after 1 step\n",
        "converged at -1.9e+13 after 3 steps\n",
    ):
        assert line in printed()


def test_curvature_goes_wrong_as_told(museum):
    assert museum["faulty_13"](museum["saddle_hessian"]) == pytest.approx(-9 - 4 * 5**0.5)
    assert "condition number -17.9\n" in printed()
    assert "The number $-17.9$ is no condition number" in prose()
    assert museum["faulty_28"](museum["saddle_hessian"]) == "minimum"


def test_the_networks_go_wrong_as_told(museum):
    X = np.linspace(-1, 1, 100)[:, None]
    losses = museum["faulty_19"](X, X**2)
    assert losses[-1] == pytest.approx(np.var(X**2), rel=1e-6)
    assert "loss 0.2081 -> 0.0925\nalways predicting the mean: 0.0925\n" in printed()
    assert "after  [(16, 16), (16, 16), (16, 16)]\nnext forward pass: ValueError\n" in printed()
    assert museum["fixed_14"](np.sin, np.cos, 1.0, 5) == pytest.approx(0.166695, abs=5e-7)


def test_updates_go_wrong_as_told(museum):
    assert museum["ridge_descent"](museum["faulty_20"]) == pytest.approx(1.5)
    assert museum["ridge_descent"](museum["fixed_20"]) == pytest.approx(2.0)
    assert (museum["after_200"](museum["faulty_21"]) == 0).sum() == 0
    assert (museum["after_200"](museum["fixed_21"]) == 0).sum() == 2
    with np.errstate(all="ignore"):
        assert np.isnan(museum["faulty_23"](museum["twice"], np.array([5.0]), 0.1, 1)).all()


# --- the beliefs ----------------------------------------------------------------------------------


def test_flat_is_not_near_a_minimum(museum):
    slope, loss = museum["belief_1"]()
    s = 1 / (1 + np.exp(10))
    assert slope == pytest.approx(2 * (s - 1) * s * (1 - s))
    assert loss == pytest.approx((s - 1) ** 2)
    assert "slope -9e-05, loss 0.9999\n" in printed()
    assert "$-9 \\cdot 10^{-5}$, the loss 0.9999" in prose()


def test_a_zero_gradient_is_not_a_minimum(museum):
    status, value, lower = museum["belief_2"]()
    assert status == "converged"
    assert lower < value


def test_the_gradient_does_not_say_how_far(museum):
    assert list(museum["belief_3"]().values()) == pytest.approx([0.1, 10, 1000])


def test_partial_derivatives_are_not_all_directions(museum):
    assert museum["belief_4"]() == (0, 0, 0.5)


def test_the_minimum_of_a_kink_has_no_zero_slope(museum):
    believed, left, middle, right = museum["belief_5"]()
    assert believed == -0.2
    assert middle < min(left, right)


def test_a_relu_can_be_silent(museum):
    loss, slopes = museum["belief_6"]()
    assert loss > 0.3
    assert (slopes == 0).all()


def test_the_start_chooses_the_well_and_not_the_rate(museum):
    _, ends = museum["belief_7"]()
    assert ends[1.0] == pytest.approx(-1.30644, abs=1e-4)
    assert ends[3.0] == pytest.approx(3.83747, abs=1e-4)


def test_weight_decay_is_not_l2_under_adam(museum):
    means = museum["belief_8"](np.random.default_rng(0))
    assert means["Adam + L2"] > 0.95
    assert means["AdamW"] == pytest.approx(0.999**1000, abs=0.03)


def test_rmsprop_divides_by_a_root(museum):
    steps = [step for _, step, _ in museum["belief_9"]()]
    assert steps == pytest.approx([-0.01 / 0.1**0.5] * 3, rel=1e-6)
