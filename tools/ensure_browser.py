"""Find a Chromium for the browser tests, or install one, and print its path.

Tried in this order: an installed Chromium or Chrome, Playwright's own, what `playwright install`
brings and, as root on Debian, the package chromium. Progress goes to stderr, the path to stdout.
Without a browser the exit status is 1, so that no test is skipped in silence.

Usage: ``python tools/ensure_browser.py``; the variable CHROMIUM, when set, is tried first.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
)
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MESSAGE = """\
No Chromium was found and none could be installed.
What to do: install Chromium or Google Chrome, or run
    {python} -m playwright install --with-deps chromium
or name one: CHROMIUM=/path/to/chrome make test"""


class NoBrowserError(RuntimeError):
    """No browser, with what to do about it."""


def works(path):
    """Return whether the program at `path` is a browser that starts without a screen."""
    try:
        command = [path, "--headless", *ARGS, "--dump-dom", "data:text/html,<p>it works"]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"it works" in done.stdout


def playwrights_own():
    """Return the path where this version of Playwright keeps its own Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def found():
    """Yield the paths of browsers that are there, whether they work or not."""
    for name in (os.environ.get("CHROMIUM"), *NAMES):
        path = shutil.which(name) if name else None
        if path:
            yield path
    own = playwrights_own()
    if Path(own).exists():
        yield own


def find():
    """Return the path of the first browser that works, or None."""
    return next(filter(works, found()), None)


def install(*command):
    """Run an installer with its output on stderr; a failure is for the next look to find."""
    print("$", *command, file=sys.stderr, flush=True)
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)


def ensure():
    """Return the path of a browser that works, installing one if there is none.

    Raises
    ------
    NoBrowserError
        If no browser works and none could be installed; says what to do.
    """
    path = find()
    if path is None:
        install(sys.executable, "-m", "playwright", "install", "chromium")
        path = find()
    if path is None and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        install("apt-get", "update")
        install("apt-get", "install", "-y", "--no-install-recommends", "chromium")
        path = find()
    if path is None:
        raise NoBrowserError(MESSAGE.format(python=sys.executable))
    return path


if __name__ == "__main__":
    try:
        print(ensure())
    except NoBrowserError as error:
        sys.exit(str(error))
