"""The tool that stores notebooks: canonical, careful with files, clear about what failed."""

import base64
import io

import nbformat
import numpy as np
import pytest
import tidy_notebooks
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

PNG = "iVBORw0KGgo="


def tidied(*cells, **metadata):
    return tidy_notebooks.tidied(new_notebook(cells=list(cells), metadata=metadata))


def shown(data, *, tags=(), output_type="display_data"):
    out = new_output(output_type, data=data)
    return new_code_cell("f()", execution_count=7, outputs=[out], metadata={"tags": list(tags)})


@pytest.fixture
def notebook(tmp_path):
    """Write a notebook and give its path."""

    def written(*sources):
        path = tmp_path / "chapter.ipynb"
        cells = [new_markdown_cell("# A"), *(new_code_cell(source) for source in sources)]
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return written


def test_a_second_run_changes_no_byte(notebook):
    path = notebook("print(1)\nprint(2)", "x = 3\nx", "raise_it = 1")
    assert tidy_notebooks.main([str(path)]) == 0
    first = path.read_bytes()
    assert tidy_notebooks.main([str(path)]) == 0
    assert path.read_bytes() == first
    assert tidy_notebooks.main(["--check", str(path)]) == 0


def test_a_failing_cell_is_named_and_the_file_is_left_alone(notebook, capsys):
    path = notebook("a = 1", "b = a / 0", "c = 2")
    before = path.read_bytes()
    assert tidy_notebooks.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    said = capsys.readouterr().out
    for part in ("chapter.ipynb: code cell 1", "b = a / 0", "ZeroDivisionError: division by zero"):
        assert part in said


def test_a_check_reports_what_is_not_tidy_and_writes_nothing(notebook, capsys):
    path = notebook("a = 1")
    before = path.read_bytes()
    assert tidy_notebooks.main(["--check", str(path)]) == 1
    assert path.read_bytes() == before
    assert "run: make notebooks" in capsys.readouterr().out


def test_ids_come_from_the_text_and_equal_cells_differ():
    first, again = (
        [cell.id for cell in tidied(*(new_code_cell(text) for text in ("a", "b", "a"))).cells]
        for _ in range(2)
    )
    assert first == again
    assert len(set(first)) == 3
    moved = tidied(new_code_cell("z"), new_code_cell("a")).cells
    assert moved[1].id == first[0]


def test_counts_run_from_one_and_empty_cells_go():
    cells = [new_code_cell(text, execution_count=k) for text, k in (("a", 9), (" ", 10), ("b", 11))]
    assert [cell.execution_count for cell in tidied(*cells).cells] == [1, 2]


def test_metadata_is_what_the_book_uses_and_nothing_else():
    meta = {"tags": ["hide-input"], "mystnb": {"a": 1}, "collapsed": True, "execution": {"t": "1"}}
    nb = tidied(new_code_cell("a", metadata=meta), widgets={"state": 1}, jupytext={"x": 1})
    assert nb.cells[0].metadata == {"tags": ["hide-input"], "mystnb": {"a": 1}}
    assert nb.metadata == tidy_notebooks.NOTEBOOK_METADATA


def test_streams_are_merged_and_tracebacks_keep_their_last_line():
    outputs = [
        new_output("stream", name="stdout", text="a\n"),
        new_output("stream", name="stdout", text="b\n"),
        new_output("error", ename="E", evalue="why", traceback=["File /home/me/x.py", "E: why"]),
    ]
    (cell,) = tidied(new_code_cell("f()", outputs=outputs)).cells
    assert cell.outputs[0].text == "a\nb\n"
    assert cell.outputs[1].traceback == ["E: why"]


def test_an_explorer_keeps_its_text_and_its_picture():
    data = {
        "text/plain": "Explorer",
        "text/html": "<figure>",
        "image/png": PNG,
        "application/vnd.jupyter.widget-view+json": {"model_id": "1"},
    }
    (cell,) = tidied(shown(data, tags=["nbval-ignore-output"])).cells
    assert cell.outputs[0].data == {"text/plain": "Explorer", "image/png": PNG + "\n"}


def gray(value, *, width=3, source="f()"):
    """Give a notebook of one cell that shows a gray picture."""
    file = io.BytesIO()
    Image.fromarray(np.full((2, width), value, dtype=np.uint8)).save(file, "png")
    data = {"image/png": base64.b64encode(file.getvalue()).decode() + "\n"}
    return tidied(new_code_cell(source, outputs=[new_output("display_data", data=data)]))


@pytest.mark.parametrize(
    ("new", "is_kept"),
    [
        (gray(108), True),
        (gray(109), False),
        (gray(100, width=4), False),
        (gray(108, source="g()"), False),
    ],
)
def test_a_stored_picture_stays_if_nobody_can_see_a_difference(new, is_kept):
    stored = gray(100)
    own, kept = (nb.cells[0].outputs[0].data["image/png"] for nb in (new, stored))
    tidy_notebooks.keep_pictures(new, stored)
    assert new.cells[0].outputs[0].data["image/png"] == (kept if is_kept else own)


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/json"])
def test_another_cell_that_shows_more_than_text_and_pictures_is_refused(kind):
    with pytest.raises(tidy_notebooks.NotebookError, match=r"code cell 0[\s\S]*print the text"):
        tidied(shown({"text/plain": "x", kind: "y"}))


def test_stderr_is_refused():
    out = new_output("stream", name="stderr", text="RuntimeWarning: overflow")
    with pytest.raises(tidy_notebooks.NotebookError, match="RuntimeWarning: overflow"):
        tidied(new_code_cell("f()", outputs=[out]))


def test_an_unknown_tag_is_refused():
    with pytest.raises(tidy_notebooks.NotebookError, match="has the tag remove-input; use one of"):
        tidied(new_code_cell("f()", metadata={"tags": ["remove-input"]}))
