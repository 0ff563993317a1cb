"""Every explorer on its page: keyboard, pointer and touch move its marks and its sentence."""

import pytest
from site_pages import PAGES, SITE, THEMES


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


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_slider_moves_marks_and_sentence_by_touch(read, name):
    page = read(name, width=375, touch=True)
    for scene in scenes(page):
        for slider in scene.locator("input[type=range]").all():
            slider.scroll_into_view_if_needed()
            shown = []
            for part in (0.15, 0.8):
                box = slider.bounding_box()
                page.touchscreen.tap(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
                shown.append(seen(scene))
            (marks, sentence), (other_marks, other_sentence) = shown
            assert marks != other_marks, slider.get_attribute("id")
            assert sentence != other_sentence, slider.get_attribute("id")
            scene.locator(".explorer-reset").tap()


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
