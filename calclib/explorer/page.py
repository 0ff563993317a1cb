"""Markup of an explorer: panels, sliders and words as HTML."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from pathlib import Path

from calclib.explorer import backdrop
from calclib.explorer.scene import Scene, Slider
from calclib.explorer.words import FIELD

HERE = Path(__file__).parent


@cache
def asset(name: str) -> str:
    """Read a file of this folder.

    Parameters
    ----------
    name : str
        ``explorer.js`` or ``explorer.css``.

    Returns
    -------
    str
        Its text.

    Examples
    --------
    >>> asset("explorer.css").startswith("/* The book's colors")
    True
    """
    return (HERE / name).read_text(encoding="utf-8")


def panels(name: str, scenes: tuple[Scene, ...]) -> tuple[list[str], list[dict]]:
    """Draw every scene's panels.

    Parameters
    ----------
    name : str
        The explorer's name; makes ids unique on the page.
    scenes : tuple of Scene
        The scenes.

    Returns
    -------
    markup : list of str
        For each scene the HTML of its panels.
    specs : list of dict
        For each scene what `explorer.js` needs, as JSON.

    Examples
    --------
    >>> from calclib.explorer import house_price
    >>> markup, specs = panels("demo", house_price().scenes)
    >>> markup[0].count("<svg"), sorted(specs[0])
    (2, ['panels', 'says', 'sliders'])
    """
    markup, specs = [], []
    for k, scene in enumerate(scenes):
        spec = scene.spec()
        places = iter(spec["panels"])
        columns = []
        for column in scene.columns:
            drawn = []
            for panel in column:
                key = f"{name}-{k}-{len(columns)}-{len(drawn)}"
                svg, axes = backdrop.svg(panel, key)
                next(places)["axes"] = axes
                drawn.append(svg)
            columns.append(f'<div class="explorer-column">{"".join(drawn)}</div>')
        markup.append(f'<div class="explorer-panels">{"".join(columns)}</div>')
        specs.append(spec)
    return markup, specs


def scene_markup(scene: Scene, panel_markup: str, sliders: str) -> str:
    """Put panels, sliders, reset button and sentence of a scene together.

    Parameters
    ----------
    scene : Scene
        The scene.
    panel_markup : str
        From `panels`.
    sliders : str
        HTML of its sliders; empty where ipywidgets show them.

    Returns
    -------
    str
        HTML of the scene.

    Notes
    -----
    On a phone the sentence stands above the sliders. There it keeps the room of the scene's longest
    sentence, which `data-longest` holds, so that no slider moves when the words change.

    Examples
    --------
    >>> from calclib.explorer import house_price
    >>> 'aria-live="polite"' in scene_markup(house_price().scenes[0], "", "")
    True
    """
    says = escape(scene.sentence(scene.quantities()))
    longest = escape(max((FIELD.sub("−10.000", words) for _, words in scene.says), key=len))
    reset = '<button type="button" class="explorer-reset">Reset</button>'
    return (
        f'<div class="explorer-scene">{panel_markup}'
        f'<div class="explorer-controls">{sliders}{reset}</div>'
        f'<p class="explorer-says" aria-live="polite" data-longest="{longest}">{says}</p></div>'
    )


def static(name: str, label: str, scenes: tuple[Scene, ...]) -> str:
    """Write an explorer as HTML that needs no kernel, no network and no other file.

    Parameters
    ----------
    name : str
        The explorer's name.
    label : str
        Its title.
    scenes : tuple of Scene
        The scenes; more than one gets a list to choose from.

    Returns
    -------
    str
        A ``<figure>`` with its style, its markup and its script.

    Examples
    --------
    >>> from calclib.explorer import house_price
    >>> html = static("demo", "House price", house_price().scenes)
    >>> html.startswith('<figure class="explorer" role="group" aria-label="House price"')
    True
    """
    markup, specs = panels(name, scenes)
    body = [
        scene_markup(scene, html, "".join(_slider(f"{name}-{k}", each) for each in scene.sliders))
        for k, (scene, html) in enumerate(zip(scenes, markup, strict=True))
    ]
    data = ",\n".join(
        f"{{...{_json(spec)}, compute: {scene.program.javascript()}}}"
        for spec, scene in zip(specs, scenes, strict=True)
    )
    return (
        f'<figure class="explorer" role="group" aria-label="{escape(label)}" data-name="{name}">'
        f"<style>{asset('explorer.css')}</style>"
        f'<p class="explorer-title">{escape(label)}</p>{_choice(name, scenes)}{"".join(body)}'
        "<noscript><p>The sliders need JavaScript; the sentence tells what the figure shows."
        "</p></noscript></figure>\n"
        f'<script type="module">\n{asset("explorer.js")}\n'
        f"for (const figure of document.querySelectorAll('figure.explorer[data-name=\"{name}\"]')) "
        f"if (!figure.explorer) mount(figure, [{data}]);\n</script>"
    )


def _choice(name: str, scenes: tuple[Scene, ...]) -> str:
    if len(scenes) == 1:
        return ""
    options = "".join(f"<option>{escape(scene.title)}</option>" for scene in scenes)
    return (
        f'<p class="explorer-choice"><label for="{name}-choice">Show</label>'
        f'<select id="{name}-choice" autocomplete="off">{options}</select></p>'
    )


def _slider(prefix: str, slider: Slider) -> str:
    key = f"{prefix}-{slider.name}"
    low, high, at = (slider.position(v) for v in (slider.low, slider.high, slider.value))
    shown = escape(slider.told(slider.value))
    return (
        f'<div class="explorer-slider"><label for="{key}">{escape(slider.label)}</label>'
        f'<input type="range" id="{key}" name="{slider.name}" min="{low:.12g}" max="{high:.12g}" '
        f'step="{slider.step:.12g}" value="{at:.12g}" autocomplete="off" '
        f'aria-valuetext="{shown}" data-lm-suppress-shortcuts="true">'
        f'<output for="{key}">{shown}</output></div>'
    )


def _json(spec: dict) -> str:
    return json.dumps(spec, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
