"""Every public name has a complete docstring, and every example in it runs."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import matplotlib as mpl
import pytest

PACKAGE = Path(__file__).parent.parent / "calclib"
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)
ORDER = ["Parameters", "Attributes", "Returns", "Raises", "Notes", "References", "Examples"]
SECTION = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)


def is_public(name, value, module):
    defined_there = getattr(value, "__module__", None) == module.__name__
    return not name.startswith("_") and callable(value) and defined_there


def public_names():
    """Yield a test case for each public function and class of each module."""
    for name in MODULES:
        if name.rpartition(".")[2].startswith("_"):
            continue
        module = importlib.import_module(name)
        for key, value in vars(module).items():
            if is_public(key, value, module):
                yield pytest.param(value, module, id=f"{name.removeprefix('calclib.')}.{key}")


PUBLIC = list(public_names())
every_public_name = pytest.mark.parametrize(("value", "module"), PUBLIC)


def sections(value):
    """Return the summary and the sections of a numpydoc docstring, by heading."""
    parts = SECTION.split(inspect.getdoc(value) or "")
    return {"Summary": parts[0].strip(), **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(text):
    """Return the names that a section describes: ``x, y : float`` describes two."""
    heads = [line.split(" :")[0] for line in text.splitlines() if re.match(r"[*\w]", line)]
    return {name.strip(" *") for head in heads for name in head.split(",")}


def parameters(value):
    if inspect.isclass(value) and issubclass(value, Exception):
        return {"args"}
    return set(inspect.signature(value).parameters)


def test_the_table_of_public_names_is_not_empty():
    ids = {case.id for case in PUBLIC}
    assert {"numerical.grad", "symbolic.grad", "checks.check", "descent.minimize"} <= ids


@every_public_name
def test_summary_is_one_line_that_ends_as_a_sentence(value, module):
    first = sections(value)["Summary"].split("\n\n")[0]
    assert first
    assert first.endswith((".", ":"))
    assert "\n" not in first


@every_public_name
def test_every_parameter_is_described(value, module):
    names = parameters(value)
    if names:
        described = sections(value)
        text = described.get("Parameters", "") + described.get("Attributes", "")
        assert names <= entries(text), f"not described: {names - entries(text)}"


@every_public_name
def test_no_parameter_is_described_that_is_not_there(value, module):
    assert entries(sections(value).get("Parameters", "")) <= parameters(value)


@every_public_name
def test_what_a_function_returns_is_described(value, module):
    if not inspect.isclass(value):
        assert sections(value).get("Returns", "").strip()


@every_public_name
def test_sections_come_in_numpydoc_order(value, module):
    found = [name for name in sections(value) if name in ORDER]
    assert found == sorted(found, key=ORDER.index)


@every_public_name
def test_example_is_there_and_runs(value, module):
    text = sections(value).get("Examples", "")
    assert ">>>" in text
    test = doctest.DocTestParser().get_doctest(text, dict(vars(module)), value.__name__, None, 0)
    report = []
    with mpl.rc_context({"backend": "agg"}):
        result = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert result.attempted
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name):
    assert (importlib.import_module(name).__doc__ or "").strip()
