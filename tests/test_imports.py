"""Imports go only upwards, row by row, and stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "calclib"

# each row imports only from rows above it
ROWS = [
    {"_validate", "_length"},
    {"_analytic"},
    {"numerical", "symbolic", "tracing", "autodiff", "schedules", "checks"},
    {"problems", "optimizers", "curvature", "regularization"},
    {"descent", "nn"},
    {"diagnostics"},
    {"plotting"},
    {"explorer"},
]
ROW = {name: k for k, row in enumerate(ROWS) for name in row}
NUMBERS_ONLY = {name for row in ROWS[:-2] for name in row}

MAY_IMPORT_SYMPY = {"symbolic", "problems", "checks", "tracing", "explorer"}
DISPLAYS = {"matplotlib", "ipywidgets", "anywidget", "traitlets", "IPython", "cycler"}

FILES = sorted(PACKAGE.rglob("*.py"))


def module(path):
    """Return the name in ROWS of a file: explorer for all files of the explorer."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path):
    """Yield every imported name of a file, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: write imports in full"
            if node.module == "calclib":
                yield from (f"calclib.{alias.name}" for alias in node.names)
            else:
                yield node.module


def outside(path):
    return {name.split(".")[0] for name in imports(path)} - {"calclib"}


def inside(path):
    return {name.split(".")[1] for name in imports(path) if name.startswith("calclib.")}


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def path(request):
    return request.param


def test_every_module_has_a_row(path):
    assert module(path) == "__init__" or module(path) in ROW


def test_a_module_imports_only_from_rows_above_it(path):
    name = module(path)
    for imported in inside(path) - ({name} if name == "explorer" else set()):
        assert ROW[imported] < ROW.get(name, 0), f"{name} imports {imported}"


def test_numbers_need_no_display(path):
    if module(path) in NUMBERS_ONLY:
        assert not outside(path) & DISPLAYS


def test_sympy_stays_where_formulas_are(path):
    if module(path) not in MAY_IMPORT_SYMPY:
        assert "sympy" not in outside(path)


def test_package_itself_imports_nothing():
    assert not list(imports(PACKAGE / "__init__.py"))


def test_tracing_needs_sympy_and_the_standard_library_alone():
    assert outside(PACKAGE / "tracing.py") - sys.stdlib_module_names == {"sympy"}
    assert not inside(PACKAGE / "tracing.py")


def test_no_module_imports_by_name_at_run_time(path):
    assert "importlib" not in outside(path)
    names = {
        node.id
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Name)
    }
    assert "__import__" not in names


def test_package_never_reads_the_chapters(path):
    tree = ast.parse(path.read_text("utf-8"))
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    docs = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, documented)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} - docs
    assert not [text for text in texts if isinstance(text, str) and "chapters" in text]


def loaded_by(statement):
    """Return the top modules that a fresh Python holds after a statement."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_import_calclib_loads_nothing_heavy():
    heavy = {"numpy", "sympy", "scipy", *DISPLAYS}
    assert not loaded_by("import calclib") & heavy


def test_all_that_computes_loads_no_display():
    names = [name for name in NUMBERS_ONLY if (PACKAGE / f"{name}.py").exists()]
    assert len(names) >= 5
    loaded = loaded_by("import " + ", ".join(f"calclib.{name}" for name in names))
    assert {"numpy", "sympy"} <= loaded
    assert not loaded & DISPLAYS


@pytest.mark.parametrize("name", ["numerical", "optimizers", "schedules", "descent"])
def test_numbers_load_no_sympy(name):
    assert "sympy" not in loaded_by(f"import calclib.{name}")


def test_tracing_works_where_numpy_cannot():
    loaded_by("sys.modules['numpy'] = None; import calclib.tracing")
