"""Draw the picture of the README: the learning-rate dial as it is printed.

Usage: ``python tools/readme_picture.py``, which writes ``docs/learning_rate_dial.png``.
"""

from pathlib import Path

from calclib import explorer

TARGET = Path(__file__).resolve().parent.parent / "docs" / "learning_rate_dial.png"


def main():
    """Write the picture; equal code gives equal bytes."""
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(explorer.learning_rate_dial().png())
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
