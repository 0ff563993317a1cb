"""A real browser for the tests of the pages."""

import ensure_browser
import pytest
from playwright.sync_api import sync_playwright
from site_pages import SITE


@pytest.fixture(scope="session")
def browser():
    """Start headless Chromium once; without one the tests fail and say what to do."""
    path = ensure_browser.find()
    if path is None:
        pytest.fail("no Chromium works here; run: python tools/ensure_browser.py")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, args=list(ensure_browser.ARGS), headless=True
        )
        yield started
        started.close()


@pytest.fixture
def read(browser):
    """Open a page of the site; what it asks for from outside and what goes wrong is recorded."""
    contexts = []

    def opened(name, theme="light", width=1280, touch=False):
        context = browser.new_context(
            offline=True, viewport={"width": width, "height": 900}, has_touch=touch
        )
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
