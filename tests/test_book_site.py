"""The site's extension: what it forgets, counts, says and ships."""

import book_site
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output


@pytest.fixture
def book(tmp_path):
    """Make a folder with the files that results depend on, and a build that remembers results."""
    for name in ("calclib/a.py", "calclib/explorer/view.js", "tools/book_site.py", "notes.md"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1", encoding="utf-8")
    (tmp_path / "constraints.txt").write_text("numpy==1", encoding="utf-8")

    def forgotten():
        build = tmp_path / "_build"
        for folder in (".jupyter_cache", ".doctrees"):
            (build / folder).mkdir(parents=True, exist_ok=True)
        said = book_site.forget_stale(tmp_path, build, build / ".doctrees")
        gone = [name for name in (".jupyter_cache", ".doctrees") if not (build / name).exists()]
        return said, gone

    assert forgotten() == (["results", "pages"], [".jupyter_cache", ".doctrees"])
    assert forgotten() == ([], [])
    return tmp_path, forgotten


@pytest.mark.parametrize("name", ["calclib/a.py", "calclib/explorer/view.js", "constraints.txt"])
def test_a_change_in_the_code_that_notebooks_run_empties_both_caches(book, name):
    folder, forgotten = book
    (folder / name).write_text("2", encoding="utf-8")
    assert forgotten() == (["results", "pages"], [".jupyter_cache", ".doctrees"])
    assert forgotten() == ([], [])


def test_a_new_and_a_removed_module_empty_both_caches(book):
    folder, forgotten = book
    (folder / "calclib" / "b.py").write_text("", encoding="utf-8")
    assert forgotten()[0] == ["results", "pages"]
    (folder / "calclib" / "b.py").unlink()
    assert forgotten()[0] == ["results", "pages"]


def test_a_change_in_the_sites_tools_keeps_the_results(book):
    folder, forgotten = book
    (folder / "tools" / "book_site.py").write_text("2", encoding="utf-8")
    assert forgotten() == (["pages"], [".doctrees"])


def test_a_change_in_a_text_forgets_nothing(book):
    folder, forgotten = book
    (folder / "notes.md").write_text("2", encoding="utf-8")
    assert forgotten() == ([], [])


def test_an_empty_table_header_is_no_header_and_a_formula_is_read_aloud():
    def header(inner):
        return f'<th class="head"><p>{inner}</p></th>'

    formula = r'<span class="math">\(\eta\lambda_k\)</span>'
    assert book_site.spoken_headers(header("symbol")) == header("symbol")
    assert book_site.spoken_headers(header("")) == '<td class="head"></td>'
    assert '<span class="visually-hidden">eta lambda k</span>' in book_site.spoken_headers(
        header(formula)
    )


def test_a_line_that_was_printed_in_pieces_is_one_line():
    pieces = [new_output("stream", name="stdout", text=text) for text in ("a ", "b\n\n", "c")]
    picture = new_output("display_data", data={"text/plain": "<Figure>"})
    cell = new_code_cell("", outputs=[pieces[0], picture, *pieces[1:]])
    notebook = new_notebook(cells=[new_markdown_cell(""), new_code_cell(""), cell])
    book_site.join_streams(notebook)
    assert [output.get("text") for output in cell.outputs] == ["a b\n\nc", None]
    assert notebook.cells[1].outputs == []


def test_a_dotted_name_may_break_behind_a_dot_or_an_underscore():
    code = '<code><span class="pre">{}</span></code>'
    broken = code.format("test_<wbr>nn.<wbr>test_<wbr>rows")
    assert book_site.breakable_names(code.format("test_nn.test_rows")) == broken
    assert book_site.breakable_names(code.format("max_steps")) == code.format("max_steps")


def test_no_rule_for_icon_fonts_is_left_in_the_styles():
    css = (
        '/*!\n * x */.fa-0:before{content:"\\30"}'
        '.fa-bars:before,.fa-navicon:before{content:"\\f0c9"}'
        '.keep{color:red}@font-face{font-family:"Font Awesome 6 Free";src:url(a.woff2)}'
        "/*# sourceMappingURL=a.css.map*/"
    )
    assert book_site.without_icon_fonts(css) == "/*!\n * x */.keep{color:red}"


def test_one_mathjax_file_holds_the_fonts_of_the_commands_in_use_and_no_others():
    plain, with_script = book_site.mathjax(r"\(x\)"), book_site.mathjax(r"\(\mathcal{L}\)")
    assert "MathJax_Main-Regular" not in plain, "the main font is inlined"
    assert "MathJax_Calligraphic-Regular" in plain, "a font that no page uses is left out"
    assert "MathJax_Calligraphic-Regular" not in with_script
    assert len(plain) < len(with_script) < 1_200_000
