"""The pages of the built site."""

from pathlib import Path

SITE = Path(__file__).parents[2] / "_build" / "html"
PAGES = sorted(
    str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if "_static" not in path.parts
)
THEMES = ("light", "dark")
