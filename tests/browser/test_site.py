"""The built site as a reader meets it: from a file, without a network, in both themes."""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

SITE = Path(__file__).parents[2] / "_build" / "html"
PAGES = sorted(
    str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if "_static" not in path.parts
)
BOOK = [name for name in PAGES if name.startswith(("chapters/", "index", "notation", "references"))]
THEMES = ("light", "dark")

every_page = pytest.mark.parametrize("name", PAGES)
every_theme = pytest.mark.parametrize("theme", THEMES)


def test_the_site_is_built():
    assert "index.html" in PAGES, "the site is not built: run `make book` first"
    assert sum(name.startswith("chapters/") for name in PAGES) >= 4


@pytest.fixture
def read(browser):
    """Open a page of the site; what it asks for from outside and what goes wrong is recorded."""
    contexts = []

    def opened(name, theme="light", width=1280):
        context = browser.new_context(offline=True, viewport={"width": width, "height": 900})
        context.add_init_script(
            f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
        )
        contexts.append(context)
        page = context.new_page()
        page.trouble = []
        page.on("console", lambda m: m.type in ("error", "warning") and page.trouble.append(m.text))
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on("requestfailed", lambda request: page.trouble.append(f"failed: {request.url}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:", "blob:"))
                or page.trouble.append(f"asked for {request.url}")
            ),
        )
        page.goto((SITE / name).as_uri())
        page.wait_for_load_state("networkidle")
        if page.locator(".math").count():
            page.wait_for_function("document.querySelector('mjx-container') !== null")
            page.evaluate("MathJax.startup.promise.then(() => 0)")
        return page

    yield opened
    for context in contexts:
        context.close()


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


# --- explorers on their pages --------------------------------------------------------------------


def scenes(page):
    """Show every scene of every explorer of a page in turn."""
    figures = page.locator("figure.explorer")
    for k in range(figures.count()):
        figure = figures.nth(k)
        choice = figure.locator(".explorer-choice select")
        for chosen in range(figure.locator(".explorer-scene").count()):
            if choice.count():
                choice.select_option(index=chosen)
            scene = figure.locator(".explorer-scene").nth(chosen)
            assert scene.is_visible()
            yield scene


def seen(scene):
    """Give what a reader sees: the marks, and the sentence."""
    marks = scene.locator(".marks").evaluate_all("all => all.map((each) => each.innerHTML)")
    return "".join(marks), scene.locator(".explorer-says").inner_text()


EXPLORERS = [name for name in PAGES if 'class="explorer"' in (SITE / name).read_text("utf-8")]


def test_the_landing_page_and_every_chapter_have_an_explorer():
    chapters = [name for name in PAGES if name.startswith("chapters/")]
    assert set(EXPLORERS) >= {"index.html", *chapters}


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_slider_moves_marks_and_sentence_by_keyboard(read, name):
    page = read(name)
    for scene in scenes(page):
        for slider in scene.locator("input[type=range]").all():
            slider.focus()
            page.keyboard.press("End")
            before = seen(scene)
            told = scene.locator(f"output[for='{slider.get_attribute('id')}']").inner_text()
            for _ in range(12):
                page.keyboard.press("ArrowLeft")
            marks, sentence = seen(scene)
            label = slider.get_attribute("id")
            assert marks != before[0], f"{label}: the marks stay"
            assert sentence != before[1], f"{label}: the sentence stays"
            now = scene.locator(f"output[for='{label}']").inner_text()
            assert now != told
            assert slider.get_attribute("aria-valuetext") == now
            scene.locator(".explorer-reset").click()
    assert page.trouble == []


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("name", EXPLORERS)
def test_every_slider_moves_marks_and_sentence_by_pointer(read, name, width):
    page = read(name, width=width)
    for scene in scenes(page):
        for slider in scene.locator("input[type=range]").all():
            slider.scroll_into_view_if_needed()
            box = slider.bounding_box()
            middle = box["y"] + box["height"] / 2
            page.mouse.click(box["x"] + 0.15 * box["width"], middle)
            before = seen(scene)
            page.mouse.move(box["x"] + 0.15 * box["width"], middle)
            page.mouse.down()
            page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=4)
            page.mouse.up()
            marks, sentence = seen(scene)
            assert marks != before[0], slider.get_attribute("id")
            assert sentence != before[1], slider.get_attribute("id")
            scene.locator(".explorer-reset").click()


def values(scene):
    return scene.locator("input[type=range]").evaluate_all("all => all.map((each) => each.value)")


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_handle_can_be_dragged_and_moved_with_the_arrow_keys(read, name):
    page = read(name)
    for scene in scenes(page):
        for handle in scene.locator(".handle").all():
            handle.scroll_into_view_if_needed()
            label = handle.get_attribute("aria-label")
            first, marks = values(scene), seen(scene)[0]
            box = handle.locator(".grip").bounding_box()
            at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            page.mouse.move(*at)
            page.mouse.down()
            page.mouse.move(at[0] + 30, at[1] + 15, steps=5)
            page.mouse.up()
            assert values(scene) != first, f"{label}: dragging moves no slider"
            assert seen(scene)[0] != marks, f"{label}: dragging moves no mark"
            dragged, told = values(scene), handle.get_attribute("aria-valuetext")
            handle.focus()
            page.keyboard.press("ArrowLeft")
            page.keyboard.press("ArrowLeft")
            assert values(scene) != dragged, f"{label}: the arrow key moves no slider"
            assert handle.get_attribute("aria-valuetext") != told
            scene.locator(".explorer-reset").click()
            assert values(scene) == first, "Reset does not return to the start"
    assert page.trouble == []


@pytest.mark.parametrize("name", EXPLORERS)
def test_marks_stand_in_the_picture_and_follow_the_theme(read, name):
    light, dark = (read(name, theme) for theme in THEMES)
    for one, other in zip(scenes(light), scenes(dark), strict=True):
        assert "NaN" not in seen(one)[0]
        inks = [
            scene.locator(".backdrop text").first.evaluate("text => getComputedStyle(text).fill")
            for scene in (one, other)
        ]
        assert inks[0] != inks[1]
