"""A real browser for the tests of the pages."""

import ensure_browser
import pytest
from playwright.sync_api import sync_playwright


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
