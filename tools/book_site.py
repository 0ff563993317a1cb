"""Sphinx extension: what the book's site needs beyond Jupyter Book and its theme.

- Stale results are forgotten: a change in `calclib` or in the pinned versions empties the cache of
  executed notebooks and Sphinx's parsed pages, which know nothing of either.
- Notebooks run side by side.
- Chapters, figures, equations and exercises carry the chapter's number: Exercise 1.2 is ex-1-2.
- Admonitions of class "dropdown" become <details>, which open without JavaScript.
- Each page has a description of its own.
- After the build, the site holds only what its pages use: one MathJax file with the fonts of the
  commands found in the pages instead of 25 MB, no icon fonts, no source maps.
"""

import base64
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kernel_home
from docutils import nodes
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import create_nb_reader
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

ROOT = Path(__file__).resolve().parent.parent
logger = logging.getLogger(__name__)

RESULTS_DEPEND_ON = ("calclib/**/*.py", "calclib/**/*.js", "calclib/**/*.css", "constraints.txt")
PAGES_DEPEND_ON = ("tools/book_site.py", "tools/kernel_home.py")

WORKERS = min(4, os.cpu_count() or 1)

CHAPTER = re.compile(r"chapters/(\d+)_")
EXERCISE = re.compile(r"ex-(\d+)-(\d+)$")

MATHJAX_TEX = (
    "ams",
    "newcommand",
    "noundefined",
    "boldsymbol",
    "configmacros",
    "enclose",
    "cancel",
    "color",
)
MATHJAX_PARTS = (
    "startup",
    "core",
    "input/tex-base",
    *(f"input/tex/extensions/{name}" for name in MATHJAX_TEX),
    "output/chtml",
    "output/chtml/fonts/tex",
    "a11y/assistive-mml",
)
MATHJAX_SETTINGS = """\
window.MathJax = Object.assign({
  chtml: {scale: 0.94},
  loader: {load: []},
  startup: {
    pageReady() {
      // A formula that is wider than the page can be scrolled with the arrow keys.
      const mark = () => document.querySelectorAll("div.math mjx-container").forEach((box) => {
        if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
        else box.removeAttribute("tabindex");
      });
      addEventListener("resize", mark);
      return MathJax.startup.defaultPageReady().then(mark);
    },
  },
  tex: {packages: {"[+]": [PACKAGES]}},
}, window.MathJax);
"""
FONTS_ALWAYS = r"Zero|Main-Regular|Math-Italic|Size\d-Regular|AMS-Regular|Vector-Regular"
FONTS_OF_COMMANDS = {
    r"mathbf|textbf|bf|boldsymbol|bm": "Main-Bold|Vector-Bold",
    r"boldsymbol|bm": "Math-BoldItalic",
    r"mathit|textit|emph|it": "Main-Italic",
    r"mathcal|cal": "Calligraphic-Regular",
    r"mathsf|textsf|sf": "SansSerif-Regular",
    r"mathtt|texttt|tt": "Typewriter-Regular",
    r"mathscr|scr": "Script-Regular",
    r"mathfrak|frak": "Fraktur-Regular",
}
BOOK_FILES = (
    "*.md",
    "*.txt",
    "*.yml",
    "*.cff",
    "*.bib",
    "LICENSE*",
    "Makefile",
    "conftest.py",
    "pyproject.toml",
    ".gitignore",
    ".ci/run",
    *(
        f"{folder}/**/*"
        for folder in (
            "_static",
            "_templates",
            "benchmarks",
            "calclib",
            "chapters",
            "docs",
            "tests",
            "tools",
        )
    ),
)
MISLEADING_LABEL = '<summary aria-label="Toggle hidden content">'  # hides the visible words
NOT_SHIPPED = (
    "**/*.map",
    "*webpack-macros.html",
    "images/logo_*",
    "locales",
    "mathjax",
    "scripts/fontawesome.js",
    "vendor",
)


# Stale results


def fingerprint(root, patterns):
    """Return a hash of the contents of all files of `root` that match `patterns`."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def forget_stale(root, build, doctrees):
    """Empty the caches below `build` that were made with other code; say which.

    Parameters
    ----------
    root : Path
        The book's folder.
    build : Path
        The folder `_build`.
    doctrees : Path
        Sphinx's parsed pages.

    Returns
    -------
    list of str
        What was forgotten: "results", "pages" or both.
    """
    results = fingerprint(root, RESULTS_DEPEND_ON)
    pages = fingerprint(root, PAGES_DEPEND_ON)
    stamp = build / ".made-with"
    made_with = stamp.read_text(encoding="utf-8").split() if stamp.exists() else []
    forgotten = []
    if results not in made_with:
        forgotten.append("results")
        shutil.rmtree(build / ".jupyter_cache", ignore_errors=True)
    if forgotten or pages not in made_with:
        forgotten.append("pages")
        shutil.rmtree(doctrees, ignore_errors=True)
        build.mkdir(parents=True, exist_ok=True)
        stamp.write_text(f"{results}\n{pages}\n", encoding="utf-8")
    return forgotten


def remember_warnings(app, exception):
    """After a build with warnings, let the next one read every page again.

    Otherwise it would find nothing to do and pass.
    """
    if exception or app._warncount:
        (Path(app.doctreedir) / "environment.pickle").unlink(missing_ok=True)


# Notebooks


def run_notebooks_side_by_side(app, env, docnames):
    """Run the notebooks that are not in the cache, as many at a time as there are processors.

    MyST-NB, which runs one after the other, then finds them in the cache. One that fails is left
    to it: it runs it again and reports the cell.
    """
    cache = get_cache(env.mystnb_config.execution_cache_path)
    waiting = []
    for docname in docnames:
        path = Path(env.doc2path(docname))
        text = path.read_text(encoding="utf-8")
        reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
        notebook = reader and reader.read(text)
        if notebook and not in_cache(cache, notebook):
            waiting.append((path, notebook))
    if not waiting:
        return
    logger.info("running %d notebooks, %d at a time", len(waiting), min(WORKERS, len(waiting)))

    def run(path, notebook):
        return single_nb_execution(
            notebook,
            cwd=str(path.parent),
            timeout=env.mystnb_config.execution_timeout,
            allow_errors=False,
        )

    with ThreadPoolExecutor(WORKERS) as pool:
        runs = [(path, nb, pool.submit(run, path, nb)) for path, nb in waiting]
        for path, notebook, running in runs:
            result = running.result()
            if result.err is None:
                logger.info("%s: ran in %.1f seconds", path.name, result.time)
                join_streams(notebook)
                bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def join_streams(notebook):
    """Join what a cell prints, which comes in pieces: MyST-NB would give each a line of its own."""
    for cell in notebook.cells:
        streams, kept = {}, []
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and output.name in streams:
                streams[output.name].text += output.text
                continue
            if output.output_type == "stream":
                streams[output.name] = output
            kept.append(output)
        if kept:
            cell.outputs = kept


def in_cache(cache, notebook):
    """Return whether the outputs of `notebook` are known."""
    try:
        cache.match_cache_notebook(notebook)
    except KeyError:
        return False
    return True


# Numbers


def number_chapters(app, builder):
    """Let everything in chapters/NN_name count from NN.1, and exercises follow their labels.

    Sphinx numbers files in the order of the table of contents, which would make the introduction,
    chapter 0, the first. Runs after Sphinx has stored its own numbers and before any is shown.
    """
    env = app.env
    for docname in env.found_docs:
        match = CHAPTER.match(docname)
        if not match:
            continue
        chapter = int(match[1])
        secnumbers = env.toc_secnumbers[docname] = {}
        for reference in env.tocs[docname].findall(nodes.reference):
            anchor = reference["anchorname"]
            secnumbers[anchor] = (chapter,) if anchor == "" else ()  # sections carry no number
            if anchor == "":
                reference["secnumber"] = (chapter,)
        for figtype, numbers in env.toc_fignumbers.get(docname, {}).items():
            in_order = sorted(numbers, key=numbers.get)
            for k, label in enumerate(in_order, start=1):
                exercise = EXERCISE.match(label) if figtype == "exercise" else None
                if exercise and int(exercise[1]) != chapter:
                    logger.warning(
                        "exercise %s does not belong to chapter %d",
                        label,
                        chapter,
                        location=docname,
                    )
                numbers[label] = (chapter, int(exercise[2]) if exercise else k)


# Dropdowns


class DetailsNode(nodes.General, nodes.Element):
    """An admonition that opens on demand."""


class SummaryNode(nodes.General, nodes.TextElement):
    """The line of a `DetailsNode` that is always shown."""


class DropdownTransform(SphinxTransform):
    """Turn admonitions of class "dropdown" into <details>."""

    default_priority = 400

    def apply(self):
        """Replace each such admonition in this document."""
        for node in list(self.document.findall(nodes.Admonition)):
            if "dropdown" not in node.get("classes", []):
                continue
            children = list(node.children)
            if children and isinstance(children[0], nodes.title):
                title = children.pop(0).children
            else:
                title = [nodes.Text(node.tagname.capitalize())]
            details = DetailsNode("", ids=node["ids"], classes=node["classes"])
            details += SummaryNode("", "", *title)
            details += children
            node.replace_self(details)


def visit_details(writer, node):
    """Open the <details> element."""
    writer.body.append(writer.starttag(node, "details", CLASS="admonition"))


def depart_details(writer, node):
    """Close the <details> element."""
    writer.body.append("</details>\n")


def visit_summary(writer, node):
    """Open the <summary> element."""
    writer.body.append(writer.starttag(node, "summary", "", CLASS="admonition-title"))


def depart_summary(writer, node):
    """Close the <summary> element."""
    writer.body.append("</summary>\n")


# Descriptions


def describe_page(app, pagename, templatename, context, doctree):
    """Give the page its first paragraph as a description, and words to what had none."""
    if doctree is None:
        return
    text = next((words(p) for p in doctree.findall(nodes.paragraph) if is_prose(p)), "")
    body = context["body"].replace(MISLEADING_LABEL, "<summary>")
    body = body.replace(' role="doc-biblioentry"', ' role="listitem"')  # the former is deprecated
    context["body"] = breakable_names(spoken_headers(body))
    context["book_description"] = text if len(text) <= 160 else text[:157].rsplit(" ", 1)[0] + " …"


def spoken_headers(html):
    """Mend table headers without words: an empty one is no header, TeX is read aloud."""

    def mended(match):
        without_tags = re.sub(r"<[^>]+>", "", match[1])
        formula = re.fullmatch(r"\s*\\\((.*)\\\)\s*", without_tags)
        if not without_tags.strip():
            return '<td class="head"></td>'
        if not formula:
            return match[0]
        spoken = " ".join(re.sub(r"[\\{}$]|_|\^", " ", formula[1]).split())
        hidden = f'<span class="visually-hidden">{spoken}</span>'
        return f'<th class="head">{hidden}<p aria-hidden="true">{match[1]}</p></th>'

    return re.sub(r'<th class="head"><p>(.*?)</p></th>', mended, html, flags=re.DOTALL)


def breakable_names(html):
    """Let a dotted name break behind a dot or an underscore where a column is too narrow for it."""
    names = r'(?<=<span class="pre">)[a-z_]\w*\.\w+'
    return re.sub(names, lambda match: re.sub(r"([._])", r"\1<wbr>", match[0]), html)


def is_prose(paragraph):
    """Return whether the paragraph stands in the page itself and not in a box or a list."""
    return isinstance(paragraph.parent, nodes.section) and len(words(paragraph)) > 40


def words(paragraph):
    """Return the paragraph's text on one line, without TeX."""
    kept = [
        leaf.astext()
        for leaf in paragraph.findall(nodes.Text)
        if not isinstance(leaf.parent, nodes.math)
    ]
    return " ".join("".join(kept).split())


# A lean site


def copy_afresh(app, builder):
    """Remove what an earlier build made lean; Sphinx, about to write, copies the originals."""
    shutil.rmtree(Path(app.outdir) / "_static", ignore_errors=True)


def slim(app, exception):
    """Leave in the built site only what its pages use."""
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for pattern in NOT_SHIPPED:
        for path in static.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    style = static / "styles" / "pydata-sphinx-theme.css"
    style.write_text(without_icon_fonts(style.read_text(encoding="utf-8")), encoding="utf-8")
    for script in static.rglob("*.js"):
        without_map = re.sub(r"\n?//# sourceMappingURL=\S+\s*$", "", script.read_text("utf-8"))
        script.write_text(without_map, encoding="utf-8")
    if not app._warncount:
        shutil.rmtree(Path(app.outdir) / "reports", ignore_errors=True)  # of errors mended by now
    pages = "".join(page.read_text(encoding="utf-8") for page in Path(app.outdir).rglob("*.html"))
    for image in (Path(app.outdir) / "_images").glob("*"):
        if image.name not in pages:
            image.unlink()  # of a figure as it once was
    (static / "mathjax.js").write_text(mathjax(pages), encoding="utf-8")
    pack_book(static / "calculus-for-machine-learning.zip")


def pack_book(archive):
    """Write a zip of everything that a reader needs to run and test the book, one folder deep."""
    files = sorted(
        {path for pattern in BOOK_FILES for path in ROOT.glob(pattern) if path.is_file()}
    )
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            name = path.relative_to(ROOT)
            if not {"__pycache__", ".ipynb_checkpoints"} & set(name.parts):
                packed.write(path, Path(archive.stem) / name)


def without_icon_fonts(css):
    """Return `css` without Font Awesome: its fonts are not shipped, book.css draws the icons."""
    css = re.sub(r'@font-face\{[^}]*"?Font ?Awesome[^}]*\}', "", css.replace("\\ ", " "))
    selector = r"\.fa[\w-]*(?::before|::before)?"
    css = re.sub(rf'(?<=[}}/]){selector}(?:,{selector})*\{{content:"[^"]*"\}}', "", css)
    return re.sub(r"/\*# sourceMappingURL=.*?\*/", "", css)


def mathjax(pages):
    """Return one script: the parts of MathJax and the fonts that the text of `pages` needs.

    The fonts are inlined, so that formulas look the same when a page is opened from disk, where
    some browsers refuse to load a font from another folder.
    """
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    source = Path(spec.submodule_search_locations[0]) / "static" / "mathjax"
    wanted = [FONTS_ALWAYS]
    for commands, fonts in FONTS_OF_COMMANDS.items():
        if re.search(rf"\\(?:{commands})(?![a-zA-Z])", pages):
            wanted.append(fonts)
    wanted = re.compile(rf"MathJax_(?:{'|'.join(wanted)})\.woff")

    def inlined(match):
        if not wanted.fullmatch(match[1]):
            return match[0]
        font = (source / "output/chtml/fonts/woff-v2" / match[1]).read_bytes()
        return f'url("data:font/woff;base64,{base64.b64encode(font).decode()}")'

    packages = ", ".join(f'"{name}"' for name in MATHJAX_TEX)
    settings = MATHJAX_SETTINGS.replace("PACKAGES", packages)
    parts = [(source / f"{part}.js").read_text(encoding="utf-8") for part in MATHJAX_PARTS]
    script = ";\n".join([settings, *parts])
    return re.sub(r'url\("%%URL%%/([\w-]+\.woff)"\)', inlined, script)


def setup(app):
    """Connect the extension; called by Sphinx."""
    kernel_home.prepare(xmode="Minimal")
    forgotten = forget_stale(ROOT, Path(app.outdir).parent, Path(app.doctreedir))
    if forgotten:
        logger.info("calclib, the pinned versions or the site's tools changed: starting afresh")
    app.add_config_value("comments_config", {}, "")  # Jupyter Book sets it in any case
    app.add_node(DetailsNode, html=(visit_details, depart_details))
    app.add_node(SummaryNode, html=(visit_summary, depart_summary))
    app.add_transform(DropdownTransform)
    app.connect("env-before-read-docs", run_notebooks_side_by_side)
    app.connect("write-started", copy_afresh)
    app.connect("write-started", number_chapters)
    app.connect("html-page-context", describe_page)
    app.connect("build-finished", slim)
    app.connect("build-finished", remember_warnings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
