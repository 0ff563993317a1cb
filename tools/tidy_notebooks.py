"""Run notebooks from top to bottom and store them in one canonical form.

The notebooks of the book are stored with their outputs. Two runs must give the same bytes, so
everything that differs between runs or machines is removed or derived from the content:

- cell ids come from the cell's text, execution counts run from 1 to n;
- metadata keeps the kernel's name, the language, and per cell ``tags``, ``mystnb`` and ``jupyter``;
- streams are merged as nbval merges them, tracebacks shrink to their last line;
- outputs keep text, LaTeX and PNG. An explorer cell also shows HTML and a live widget: they are
  dropped. Any other cell that shows something else is refused, because the strict comparison of
  outputs could not hold for it;
- a stored picture stays if the new one of an unchanged cell differs from it by no more than what
  another processor's rounding does to a pixel.

Usage: ``python tools/tidy_notebooks.py [--check] [FILES]``, by default all of ``chapters/``.
"""

import argparse
import base64
import hashlib
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import kernel_home
import nbformat
import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
EXPLORER_TAG = "nbval-ignore-output"
TAGS = ("hide-cell", "hide-input", EXPLORER_TAG, "raises-exception", "remove-cell")
CELL_METADATA = ("jupyter", "mystnb", "tags")
KEPT_TYPES = ("image/png", "text/latex", "text/plain")
DROPPED_FROM_EXPLORERS = ("text/html", "application/vnd.jupyter.widget-view+json")
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}
COLOR_CODES = re.compile(r"\x1b\[[0-9;]*m")
RULE = "------------------\n"  # nbclient's line between a cell and its error
CELL_SECONDS = 120
PIXEL_ROUNDING = 8  # of 255


class NotebookError(Exception):
    """A notebook that cannot be stored, with the cell and what to do."""


def execute(nb, folder):
    """Run all cells of `nb` in a fresh kernel, in place.

    Parameters
    ----------
    nb : NotebookNode
        The notebook; its old outputs are replaced.
    folder : path
        The kernel's working directory.

    Raises
    ------
    NotebookError
        If a cell fails: names the cell, shows its source and the error.
    """
    kernel_home.prepare()
    code_cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    for cell in code_cells:
        cell.metadata.pop("execution", None)
    client = NotebookClient(
        nb,
        timeout=CELL_SECONDS,
        kernel_name=NOTEBOOK_METADATA["kernelspec"]["name"],
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        reached = [k for k, cell in enumerate(code_cells) if "execution" in cell.metadata]
        number = reached[-1] if reached else 0
        report = _last_lines(str(error).split(RULE)[-1])
        raise NotebookError(f"{_where(number, code_cells[number].source)}\n{report}") from error


def _where(number, source):
    """Name a code cell as nbval does (code cells, from 0) and show its text."""
    shown = "\n".join("    " + line for line in source.splitlines())
    return f"code cell {number} (counted from 0, as nbval counts):\n{shown}"


def _last_lines(text, n=25):
    lines = COLOR_CODES.sub("", text).strip().splitlines()
    return "\n".join("    " + line for line in lines[-n:])


def tidied(nb):
    """Return the canonical form of `nb`; the argument is left alone.

    Parameters
    ----------
    nb : NotebookNode
        A notebook that has been run.

    Returns
    -------
    NotebookNode
        The same text and outputs without anything that differs from run to run.

    Raises
    ------
    NotebookError
        If an output cannot be stored, or a tag is not among the agreed ones.
    """
    out = nbformat.v4.new_notebook(metadata=nbformat.from_dict(NOTEBOOK_METADATA))
    seen = {}
    count = 0
    number = 0
    for cell in nb.cells:
        source = cell.source.strip("\n")
        if not source.strip():
            continue
        digest = hashlib.sha256(f"{cell.cell_type}\n{source}".encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        new = NotebookNode(
            id=digest if seen[digest] == 1 else f"{digest}-{seen[digest]}",
            cell_type=cell.cell_type,
            metadata=_tidy_cell_metadata(cell),
            source=source,
        )
        if cell.cell_type == "code":
            ran = cell.get("execution_count") is not None
            count += ran
            new.execution_count = count if ran else None
            try:
                new.outputs = _tidy_outputs(cell, new.execution_count)
            except NotebookError as error:
                raise NotebookError(f"{_where(number, source)}\n    {error}") from None
            number += 1
        out.cells.append(new)
    out.nbformat, out.nbformat_minor = 4, 5
    return out


def _tidy_cell_metadata(cell):
    kept = {key: cell.metadata[key] for key in CELL_METADATA if cell.metadata.get(key)}
    if "tags" in kept:
        kept["tags"] = sorted(set(kept["tags"]))
        unknown = [tag for tag in kept["tags"] if tag not in TAGS]
        if unknown:
            raise NotebookError(
                f"a cell has the tag {', '.join(unknown)}; use one of {', '.join(TAGS)}\n"
                f"    {cell.source.strip().splitlines()[0]}"
            )
    return nbformat.from_dict(kept)


def _tidy_outputs(cell, count):
    is_explorer = EXPLORER_TAG in cell.metadata.get("tags", [])
    outputs = []
    streams = {}
    for output in cell.outputs:
        kind = output.output_type
        if kind == "stream":
            if output.name == "stderr":
                raise NotebookError(
                    "writes to stderr, which no reader should meet; mend what warns:\n"
                    f"    {output.text.strip()}"
                )
            if output.name in streams:
                streams[output.name].text += output.text
                continue
            new = NotebookNode(output_type=kind, name=output.name, text=output.text)
            streams[output.name] = new
        elif kind == "error":
            last = f"{output.ename}: {output.evalue}"
            new = NotebookNode(
                output_type=kind, ename=output.ename, evalue=output.evalue, traceback=[last]
            )
        else:
            data, metadata = _tidy_data(output, is_explorer)
            new = NotebookNode(output_type=kind, data=data, metadata=metadata)
            if kind == "execute_result":
                new.execution_count = count
        outputs.append(new)
    return outputs


def _tidy_data(output, is_explorer):
    data = {kind: output.data[kind] for kind in KEPT_TYPES if kind in output.data}
    refused = [kind for kind in output.data if kind not in data]
    if is_explorer:
        refused = [kind for kind in refused if kind not in DROPPED_FROM_EXPLORERS]
    if refused:
        raise NotebookError(
            f"shows {', '.join(refused)}; a stored output is {', '.join(KEPT_TYPES)}: print the "
            f"text instead, or tag the cell {EXPLORER_TAG} if it is an explorer"
        )
    if "image/png" in data:
        data["image/png"] = _on_one_line(data["image/png"])
    size = output.get("metadata", {}).get("image/png", {})
    size = {key: size[key] for key in ("height", "width") if key in size}
    return nbformat.from_dict(data), nbformat.from_dict({"image/png": size} if size else {})


def _on_one_line(png):
    return "".join(png.split()) + "\n"


def pixels(png):
    """Return the picture in the text of a PNG output, as integers, shape (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), dtype=int)


def keep_pictures(nb, stored):
    """Put the pictures of `stored` back into `nb`, in place, where a reader sees no difference."""
    old = {cell.id: cell.get("outputs", ()) for cell in stored.cells}
    for cell in nb.cells:
        for new, was in zip(cell.get("outputs", ()), old.get(cell.id, ()), strict=False):
            pair = [out.get("data", {}).get("image/png") for out in (new, was)]
            if None in pair or pair[0] == pair[1]:
                continue
            a, b = map(pixels, pair)
            if a.shape == b.shape and np.abs(a - b).max() <= PIXEL_ROUNDING:
                new.data["image/png"] = _on_one_line(pair[1])


def dumps(nb):
    """Return the text of `nb` as it is stored: sorted keys, one space of indent, a last newline."""
    nbformat.validate(nb)
    return nbformat.writes(nb, version=nbformat.NO_CONVERT) + "\n"


def write_atomically(path, text):
    """Replace the file at `path` by `text` in one step, so that no half-written file is seen."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, path.stat().st_mode & 0o777)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def process(path, *, run=True):
    """Run and tidy one notebook; return its old and its canonical text."""
    old = path.read_text(encoding="utf-8")
    nb = nbformat.reads(old, as_version=4)
    if not run:
        return old, dumps(tidied(nb))
    execute(nb, path.parent)
    new = tidied(nb)
    keep_pictures(new, nbformat.reads(old, as_version=4))
    return old, dumps(new)


def main(argv=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="notebooks (default: all chapters)")
    parser.add_argument(
        "--check", action="store_true", help="run nothing, write nothing: say what is not tidy"
    )
    args = parser.parse_args(argv)
    files = args.files or sorted((ROOT / "chapters").glob("*.ipynb"))
    failures = 0
    for path in files:
        begun = time.perf_counter()
        print(f"{path.name}: {'looking' if args.check else 'running'} ...", flush=True)
        try:
            old, new = process(path.resolve(), run=not args.check)
        except NotebookError as error:
            failures += 1
            print(f"{path}: {error}\n  The file is unchanged. Mend the cell and run this again.")
            continue
        seconds = time.perf_counter() - begun
        if old == new:
            print(f"{path.name}: nothing to change ({seconds:.1f} s)")
        elif args.check:
            failures += 1
            print(f"{path.name}: not tidy; run: make notebooks")
        else:
            write_atomically(path.resolve(), new)
            print(f"{path.name}: written ({seconds:.1f} s)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
