"""The formulas on one page: every name on the card is a name of calclib."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CARD = (ROOT / "formulas.md").read_text("utf-8")
MODULES = ("descent", "curvature", "optimizers", "regularization", "diagnostics")
ROWS = [line for line in CARD.splitlines() if line.startswith("| ") and "---" not in line]
NAMES = sorted(
    {
        name
        for row in ROWS
        for name in re.findall(r"`([a-z_.]+)(?:\([^`]*\))?`", row.rsplit("|", 2)[1])
        if name != "calclib"
    }
)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_on_the_card_is_a_public_name(name):
    module, _, verb = name.rpartition(".")
    homes = (module,) if module else MODULES
    assert any(hasattr(importlib.import_module(f"calclib.{home}"), verb) for home in homes)


def test_every_chapter_is_on_the_card():
    chapters = sorted(path.stem for path in (ROOT / "chapters").glob("0[1-9]_*.ipynb"))
    assert [f"chapters/{name}.ipynb" in CARD for name in chapters] == [True] * len(chapters)
    assert len(NAMES) > 30
