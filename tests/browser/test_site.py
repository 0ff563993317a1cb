"""The built site as a reader meets it: from a file, without a network, in both themes."""

import html
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import pytest
import tidy_notebooks
from axe_playwright_python.sync_playwright import Axe
from jupyter_cache import get_cache
from site_pages import PAGES, SITE, THEMES

BOOK = [name for name in PAGES if name.startswith(("chapters/", "index", "notation", "references"))]

CHAPTERS = sorted((Path(__file__).parents[2] / "chapters").glob("*.ipynb"))

every_page = pytest.mark.parametrize("name", PAGES)
every_theme = pytest.mark.parametrize("theme", THEMES)


def test_the_site_is_built():
    assert "index.html" in PAGES, "the site is not built: run `make book` first"
    assert sum(name.startswith("chapters/") for name in PAGES) >= 4


@every_theme
@every_page
def test_a_page_is_whole_quiet_and_open_to_all(read, name, theme):
    page = read(name, theme)
    assert page.locator("html").get_attribute("data-theme") == theme

    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(100)
    assert page.trouble == []

    untypeset = page.evaluate(
        """() => [...document.querySelectorAll(".math")]
            .filter((each) => !each.querySelector("mjx-container"))
            .map((each) => each.textContent)"""
    )
    assert untypeset == []
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@every_page
def test_on_a_phone_only_code_and_formulas_scroll_sideways(read, name):
    page = read(name, width=375)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    wide = page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((each) => {
            const style = getComputedStyle(each);
            return each.scrollWidth > each.clientWidth + 1
              && ["auto", "scroll"].includes(style.overflowX)
              && each.getClientRects().length
              && !each.closest("pre, .highlight, .math, mjx-container");
          }).map((each) => `${each.tagName}.${each.className}: ${each.scrollWidth}`)"""
    )
    assert wide == []


SHEETS = {"A4": 210, "Letter": 216}  # width in mm


@pytest.mark.parametrize("paper", SHEETS)
def test_the_formula_card_prints_whole_on_one_sheet(read, paper):
    page = read("formulas.html", width=round((SHEETS[paper] - 20) / 25.4 * 96))
    pdf = page.pdf(format=paper, margin=dict.fromkeys(("top", "right", "bottom", "left"), "10mm"))
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    page.emulate_media(media="print")
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".formula-card td")]
            .filter((cell) => cell.scrollWidth > cell.clientWidth + 1)
            .map((cell) => cell.textContent)"""
    )
    assert cut == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_page_prints_what_the_notebook_has_stored(chapter):
    nb = nbformat.read(chapter, as_version=4)
    outputs = (out for cell in nb.cells for out in cell.get("outputs", ()))
    stored = [out.text.rstrip() for out in outputs if out.output_type == "stream"]
    page = (SITE / "chapters" / chapter.name).with_suffix(".html").read_text("utf-8")
    block = r'<div class="output stream[^"]*"><div class="highlight"><pre>(.*?)</pre>'
    shown = [re.sub(r"<[^>]+>", "", text) for text in re.findall(block, page, re.DOTALL)]
    assert [html.unescape(text).rstrip() for text in shown] == stored


def without_pictures(nb):
    """Give the canonical text of a run with each PNG replaced, and the pictures as arrays."""
    nb, pictures = tidy_notebooks.tidied(nb), []
    for cell in nb.cells:
        for out in cell.get("outputs", ()):
            if "image/png" in out.get("data", {}):
                pictures.append(tidy_notebooks.pixels(out.data["image/png"]))
                out.data["image/png"] = "a picture"
    return tidy_notebooks.dumps(nb), pictures


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_running_a_chapter_for_the_site_gives_what_is_stored(chapter):
    """Texts are equal to the byte; on another processor, pictures may differ by rounding."""
    nb = nbformat.read(chapter, as_version=4)
    _, run = get_cache(SITE.parent / ".jupyter_cache").merge_match_into_notebook(nb)
    (text, pictures), (text_again, pictures_again) = map(without_pictures, (nb, run))
    assert text_again == text
    for one, other in zip(pictures, pictures_again, strict=True):
        assert one.shape == other.shape
        assert np.mean(np.abs(one - other) > tidy_notebooks.PIXEL_ROUNDING) < 0.001


class Links(HTMLParser):
    """Collect what a page links to, what can be linked to, and its images."""

    def __init__(self, path):
        super().__init__()
        self.hrefs, self.anchors, self.images = [], set(), []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag == "a" and attrs.get("href"):
            self.hrefs.append(attrs["href"])
        if tag == "img":
            self.images.append(attrs)


links = cache(Links)


@every_page
def test_links_within_the_site_lead_somewhere(name):
    here = SITE / name
    for href in links(here).hrefs:
        parts = urlsplit(href)
        if parts.scheme:
            continue
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        assert target.is_file(), href
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in links(target).anchors, href


@pytest.mark.parametrize("name", BOOK)
def test_every_image_of_the_book_has_words_for_it(name):
    for image in links(SITE / name).images:
        words = image.get("alt", "").strip()
        assert len(words.split()) >= 3, image.get("src")
