"""JupyterLab with a real kernel: every chapter runs, and its sliders move the pictures."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path.name for path in (ROOT / "chapters").glob("*.ipynb"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab on a copy of the chapters; its files and settings stay out of the way."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "chapters", home / "chapters")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    command += ["--expose-app-in-browser", f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home / 'chapters'}"]
    places = {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    places["JUPYTERLAB_WORKSPACES_DIR"] = str(home / "workspaces")
    places["JUPYTERLAB_SETTINGS_DIR"] = str(home / "settings")
    log = (home / "lab.log").open("w")
    server = subprocess.Popen(
        command, env={**os.environ, **places}, stdout=log, stderr=subprocess.STDOUT
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api?token={token}", timeout=2)
            break
        except OSError:
            assert server.poll() is None, (home / "lab.log").read_text()
            time.sleep(0.5)
    else:
        pytest.fail(f"JupyterLab did not answer in a minute:\n{(home / 'lab.log').read_text()}")
    yield address, token
    server.terminate()
    server.wait(20)
    log.close()


@pytest.fixture(scope="module", params=CHAPTERS)
def notebook(request, browser, lab):
    """Open a chapter and run all its cells."""
    address, token = lab
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{address}/lab/workspaces/{request.param[:2]}/tree/{request.param}?token={token}")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_function(
        "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    )
    page.evaluate(
        """async () => {
          const app = window.jupyterapp;
          await app.commands.execute("notebook:run-all-cells");
        }"""
    )
    yield page
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    context.close()


CODE_CELLS = """() => [...jupyterapp.shell.currentWidget.content.model.cells]
    .map((cell, index) => ({index, type: cell.type, source: cell.sharedModel.source,
                            count: cell.executionCount, outputs: cell.outputs?.toJSON()}))
    .filter((cell) => cell.type === "code")"""


def test_a_chapter_runs_from_top_to_bottom(notebook):
    cells = notebook.evaluate(CODE_CELLS)
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert [each["evalue"] for each in outputs if each["output_type"] == "error"] == []
    assert [each["text"] for each in outputs if each.get("name") == "stderr"] == []


def test_the_books_markdown_is_rendered(notebook):
    text = notebook.locator(".jp-Notebook").inner_text()
    assert "(ch-" not in text
    assert "```{" not in text
    assert ":label:" not in text


def explorers_of(page):
    """Bring each cell with an explorer into view and give its output."""
    cells = [cell for cell in page.evaluate(CODE_CELLS) if "explorer." in cell["source"]]
    assert cells
    for cell in cells:
        page.evaluate(
            "index => jupyterapp.shell.currentWidget.content.scrollToItem(index, 'center')",
            cell["index"],
        )
        shown = page.locator(f".jp-Cell[data-windowed-list-index='{cell['index']}'] .jp-OutputArea")
        shown.locator(".explorer-panel").first.wait_for()
        yield shown


def marks(shown):
    return shown.locator(".marks").evaluate_all("all => all.map((each) => each.innerHTML).join()")


def test_moving_an_ipywidgets_slider_moves_the_marks(notebook):
    for shown in explorers_of(notebook):
        assert shown.locator(".widget-slider").count() >= 1
        assert shown.locator("input[type=range]").count() == 0, "the static display is shown"
        for k in range(shown.locator(".widget-slider:visible").count()):
            slider = shown.locator(".widget-slider:visible").nth(k)
            slider.locator(".noUi-handle").focus()
            notebook.keyboard.press("End")
            notebook.wait_for_timeout(100)
            before, said = marks(shown), shown.locator(".explorer-says:visible").inner_text()
            for _ in range(8):
                notebook.keyboard.press("ArrowLeft")
            notebook.wait_for_timeout(200)
            assert marks(shown) != before, f"slider {k} moves no mark"
            assert shown.locator(".explorer-says:visible").inner_text() != said, f"slider {k}"
            shown.locator(".explorer-reset:visible").click()
            notebook.wait_for_timeout(100)


def test_dragging_a_handle_moves_the_ipywidgets_slider(notebook):
    read = "all => all.map((each) => each.textContent).join()"
    for shown in explorers_of(notebook):
        for handle in shown.locator(".handle:visible").all()[:1]:
            before = shown.locator(".widget-readout:visible").evaluate_all(read)
            handle.scroll_into_view_if_needed()
            box = handle.locator(".grip").bounding_box()
            at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            notebook.mouse.move(*at)
            notebook.mouse.down()
            notebook.mouse.move(at[0] - 50, at[1] - 10, steps=5)
            notebook.mouse.up()
            notebook.wait_for_timeout(200)
            assert shown.locator(".widget-readout:visible").evaluate_all(read) != before


def test_choosing_another_scene_shows_its_sliders(notebook):
    for shown in explorers_of(notebook):
        if not shown.locator(".widget-dropdown select").count():
            continue
        said = shown.locator(".explorer-says:visible").inner_text()
        shown.locator(".widget-dropdown select").select_option(index=1)
        notebook.wait_for_timeout(300)
        assert shown.locator(".explorer-scene:visible").count() == 1
        assert shown.locator(".explorer-says:visible").inner_text() != said
        assert shown.locator(".widget-slider:visible").count() >= 1
