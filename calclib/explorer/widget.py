"""The Explorer: one object, three displays."""

from __future__ import annotations

from html import escape

import anywidget
import ipywidgets
import traitlets

from calclib.explorer import backdrop, page
from calclib.explorer.scene import Scene, Slider


class Explorer(ipywidgets.VBox):
    """A figure with sliders that works live, on a static page and on paper.

    Parameters
    ----------
    name : str
        Short name, unique in the book: letters, digits and hyphens.
    label : str
        Title that the reader sees and hears.
    *scenes : Scene
        One or more pictures with their sliders.

    Raises
    ------
    ValueError
        If no scene is given.

    Notes
    -----
    The MIME bundle holds the live widget (JupyterLab, VS Code, Colab), the same view as HTML with
    native sliders (the site, exported HTML) and a PNG at the first slider values (GitHub, print).
    In the live display the sliders are linked to the view in the browser: moving one asks
    nothing of the kernel.

    Examples
    --------
    >>> from calclib import explorer
    >>> explorer.house_price()
    Explorer('house-price')
    """

    def __init__(self, name: str, label: str, *scenes: Scene):
        if not scenes:
            raise ValueError("an Explorer needs at least one Scene, got none")
        self.name, self.label, self.scenes = name, label, scenes
        markup, specs = page.panels(f"{name}-live", scenes)
        bodies = [
            page.scene_markup(scene, html, "") for scene, html in zip(scenes, markup, strict=True)
        ]
        title = f'<p class="explorer-title">{escape(label)}</p>'
        codes = [scene.program.javascript() for scene in scenes]
        view = _View(
            markup=f'<div class="explorer" role="group" aria-label="{escape(label)}">'
            f"{title}{''.join(bodies)}</div>",
            scenes=[{**s, "javascript": c} for s, c in zip(specs, codes, strict=True)],
        )
        view.add_traits(
            **{
                f"{slider.name}_{k}": traitlets.Float(slider.value).tag(sync=True)
                for k, scene in enumerate(scenes)
                for slider in scene.sliders
            }
        )
        boxes = [
            ipywidgets.VBox([_linked(slider, view, f"{slider.name}_{k}") for slider in s.sliders])
            for k, s in enumerate(scenes)
        ]
        super().__init__([view, *_chooser(scenes, boxes, view)])

    def html(self) -> str:
        """Give the static display: HTML that needs no kernel, no network and no other file."""
        return page.static(self.name, self.label, self.scenes)

    def png(self) -> bytes:
        """Give the printed display: the first scene at its first slider values."""
        return backdrop.png(self.scenes[0])

    def __repr__(self) -> str:
        return f"Explorer({self.name!r})"

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {**data, "text/plain": repr(self), "text/html": self.html(), "image/png": self.png()}


class _View(anywidget.AnyWidget):
    """The picture and its sentence, drawn by explorer.js."""

    _esm = page.asset("explorer.js")
    _css = page.asset("explorer.css")
    markup = traitlets.Unicode().tag(sync=True)
    scenes = traitlets.List().tag(sync=True)
    scene = traitlets.Int(0).tag(sync=True)


def _linked(slider: Slider, view: _View, trait: str) -> ipywidgets.Widget:
    """Make an ipywidgets slider that moves the view without the kernel."""
    same = {"description": slider.label, "value": slider.value, "step": slider.step}
    wide = {"style": {"description_width": "9rem"}, "layout": {"width": "32rem"}}
    if slider.words:
        made = ipywidgets.SelectionSlider(
            description=slider.label, options=slider.words, index=int(slider.value), **wide
        )
        ipywidgets.jslink((made, "index"), (view, trait))
        return made
    if slider.log:
        low, high = slider.position(slider.low), slider.position(slider.high)
        made = ipywidgets.FloatLogSlider(**same, **wide, min=low, max=high, readout_format=".3g")
    else:
        form = slider.form if slider.form != "g" else ".3g"
        made = ipywidgets.FloatSlider(
            **same, **wide, min=slider.low, max=slider.high, readout_format=form
        )
    ipywidgets.jslink((made, "value"), (view, trait))
    return made


def _chooser(scenes, boxes, view) -> list[ipywidgets.Widget]:
    """Show the sliders of the chosen scene; one scene needs no list."""
    if len(scenes) == 1:
        return boxes
    choice = ipywidgets.Dropdown(
        description="Show",
        options=[scene.title for scene in scenes],
        style={"description_width": "9rem"},
        layout={"width": "32rem"},
    )
    stack = ipywidgets.Stack(boxes, selected_index=0)
    ipywidgets.jslink((choice, "index"), (view, "scene"))
    ipywidgets.jslink((choice, "index"), (stack, "selected_index"))
    return [choice, stack]
