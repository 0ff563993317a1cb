"""Print how to open the book that was built."""

from pathlib import Path

INDEX = Path(__file__).resolve().parent.parent / "_build" / "html" / "index.html"

if __name__ == "__main__":
    print(f"\nThe book is in _build/html. Open it with a browser:\n    {INDEX.as_uri()}")
    print("or run: make serve")
