"""Measure the built site: what each page weighs, and how fast a slider moves its marks.

Run `make book` first. Times are of this machine; compare them with the length of a frame, 16.7 ms.
"""

import gzip
import re
import statistics
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
sys.path.insert(0, str(ROOT / "tools"))

EVENTS = """([figure, chosen, name]) => {
  const scene = document.querySelectorAll("figure.explorer")[figure]
    .querySelectorAll(".explorer-scene")[chosen];
  const slider = scene.querySelector(`input[name="${name}"]`);
  const [low, high] = [Number(slider.min), Number(slider.max)];
  const times = [];
  for (let k = 0; k < 220; k++) {
    slider.value = low + (high - low) * ((k * 0.618) % 1);
    const start = performance.now();
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    times.push(performance.now() - start);
  }
  return times.slice(20);
}"""


def weight(path):
    """Give the size of a file as served: gzip, in KB."""
    return len(gzip.compress(path.read_bytes(), 6)) / 1024


def sizes():
    """Print the weight of each page, of its explorers, and of what it loads besides."""
    print(f"{'page':44}{'HTML KB':>9}{'loads KB':>10}{'explorers KB':>30}")
    for path in sorted(SITE.rglob("*.html")):
        text = path.read_text("utf-8")
        loads = set(re.findall(r'(?:src|href)="([^"#?:]+\.(?:js|css|svg|woff2))', text))
        others = sum(weight(path.parent / name) for name in loads if (path.parent / name).is_file())
        found = re.findall(r'<figure class="explorer".*?</script>', text, re.S)
        parts = [f"{len(gzip.compress(each.encode(), 6)) / 1024:.1f}" for each in found]
        name = str(path.relative_to(SITE))
        print(f"{name:44}{weight(path):9.1f}{others:10.1f}{', '.join(parts):>30}")


def latency():
    """Print the time from a slider's input event to its marks, over 200 events for each slider."""
    from ensure_browser import ARGS, find

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=list(ARGS))
        page = browser.new_page()
        print(f"\n{'slider':52}{'median ms':>10}{'95% ms':>8}")
        for path in sorted(SITE.rglob("*.html")):
            if 'class="explorer"' not in path.read_text("utf-8"):
                continue
            page.goto(path.as_uri())
            sliders = page.evaluate(
                """() => [...document.querySelectorAll("figure.explorer")].flatMap((figure, f) =>
                    [...figure.querySelectorAll(".explorer-scene")].flatMap((scene, s) =>
                      [...scene.querySelectorAll("input")].map((i) => [f, s, i.name, i.id])))"""
            )
            for figure, chosen, name, key in sliders:
                times = sorted(page.evaluate(EVENTS, [figure, chosen, name]))
                middle, late = statistics.median(times), times[int(0.95 * len(times))]
                print(f"{path.stem + ' ' + key:52}{middle:10.2f}{late:8.2f}")
        browser.close()


if __name__ == "__main__":
    if not (SITE / "index.html").is_file():
        sys.exit("the site is not built: run `make book` first")
    sizes()
    latency()
