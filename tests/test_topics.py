"""What is taught where: each section, exercise and test that the page names is there."""

import ast
import functools
import json
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
OWN_OUTPUT, NONE = "the chapter's own output", "—"
COLUMNS = ["topic", "section", "exercise", "guarded by"]
TABLE = re.compile(r"^## \[[^\]]+\]\(chapters/(\w+)\.ipynb\)$", re.MULTILINE)
SECTION = re.compile(r"\[((?:[^\]\\]|\\.)+)\]\(chapters/(\w+)\.ipynb#([^)]+)\)")
EXERCISE = re.compile(r"\{ref\}`(\d+)\.(\d+) <ex-(\d+)-(\d+)>`")
GUARD = re.compile(r"`(test_\w+)\.(test_\w+)`")
LABEL = re.compile(r"^:label: (ex-\d+-\d+)$", re.MULTILINE)

every_chapter = pytest.mark.parametrize("chapter", [path.stem for path in CHAPTERS])


def cells(line):
    """Split a line of a table at its bars; one that is escaped belongs to the text."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def tables(page):
    """Give the lines of each chapter's table as lists of cells."""
    parts = TABLE.split(page)[1:]
    return {
        chapter: [cells(line) for line in text.splitlines() if line.startswith("|")]
        for chapter, text in zip(parts[::2], parts[1::2], strict=True)
    }


TABLES = tables((ROOT / "topics.md").read_text("utf-8"))


def rows(chapter):
    """Give the rows below the header of a chapter's table."""
    return TABLES.get(chapter, [])[2:]


@functools.cache
def texts(chapter):
    """Give the Markdown cells of a chapter."""
    stored = json.loads((ROOT / "chapters" / f"{chapter}.ipynb").read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in stored if cell["cell_type"] == "markdown"]


def headings(sources):
    """Map the anchor of each heading down to the third level to its text, as the site does."""
    found = {}
    for source in sources:
        tokens = MarkdownIt().parse(source)
        for k, token in enumerate(tokens):
            if token.type == "heading_open" and token.markup in ("#", "##", "###"):
                title = tokens[k + 1]
                said = "".join(each.content for each in title.children)
                anchor = re.sub(r"[^\w\- ]", "", said.lower().replace(" ", "-"))
                again = 0
                while anchor in found:
                    anchor = f"{anchor}-{(again := again + 1)}"
                found[anchor] = title.content
    return found


@functools.cache
def headings_of(chapter):
    return headings(texts(chapter))


def labels(chapter):
    """Give the labels of a chapter's exercises."""
    return set(LABEL.findall("\n".join(texts(chapter))))


@functools.cache
def functions(module):
    """Give the names of the tests in the modules of this name, without importing them."""
    return {
        node.name
        for path in (ROOT / "tests").rglob(f"{module}.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_chapter_has_a_table_with_the_same_four_columns():
    assert list(TABLES) == [path.stem for path in CHAPTERS]
    for chapter, lines in TABLES.items():
        assert lines[0] == COLUMNS, chapter
        assert all(len(line) == len(COLUMNS) for line in lines), chapter
        assert len(lines) > 10, chapter


@every_chapter
def test_a_row_names_a_topic_once_and_says_nothing_but_links_and_tests(chapter):
    topics = [row[0] for row in rows(chapter)]
    assert len(topics) == len(set(topics))
    for topic, section, exercise, guard in rows(chapter):
        assert topic
        assert section
        assert SECTION.sub("", section).strip(" ,") == "", section
        assert exercise == NONE or EXERCISE.sub("", exercise).strip(" ,") == "", exercise
        left = GUARD.sub("", guard).replace(OWN_OUTPUT, "").strip(" ,")
        assert guard == NONE or left == "", guard


@every_chapter
def test_a_linked_section_is_a_heading_of_the_chapter(chapter):
    for _, section, _, _ in rows(chapter):
        for text, target, anchor in SECTION.findall(section):
            assert target == chapter
            assert headings_of(chapter).get(anchor) == text.replace(r"\|", "|"), (text, anchor)


@every_chapter
def test_a_linked_exercise_is_there_and_shown_by_its_number(chapter):
    known = set().union(*(labels(path.stem) for path in CHAPTERS))
    for _, _, exercise, _ in rows(chapter):
        for *shown, of, number in EXERCISE.findall(exercise):
            assert shown == [of, number]
            assert f"ex-{of}-{number}" in known


@every_chapter
def test_a_named_test_is_a_test_function(chapter):
    for *_, guard in rows(chapter):
        for module, name in GUARD.findall(guard):
            assert name in functions(module), f"{module}.{name}"


@every_chapter
def test_every_exercise_checks_a_topic(chapter):
    linked = {
        f"ex-{of}-{number}"
        for each in TABLES
        for row in rows(each)
        for _, _, of, number in EXERCISE.findall(row[2])
    }
    assert labels(chapter) - linked == set()


def test_a_comment_in_a_listing_is_no_heading_and_a_second_anchor_has_a_number():
    source = "(label)=\n## Play\n\n```python\n## no heading\n```\n\n#### Too low\n\n## Play"
    assert headings([source]) == {"play": "Play", "play-1": "Play"}
    assert headings(["### |w| in `calclib`"]) == {"w-in-calclib": "|w| in `calclib`"}
