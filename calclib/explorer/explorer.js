// One view for the page and for JupyterLab. It moves marks over a picture and writes a sentence.
// It knows no mathematics: `compute` of each scene is printed from the book's Python.

const SVG = "http://www.w3.org/2000/svg";

// ---- numbers in words: the same as calclib/explorer/words.py -----------------------------------

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export function number(value, form = "g") {
  if (Number.isNaN(value)) return "undefined";
  if (!Number.isFinite(value)) return value > 0 ? "infinity" : "minus infinity";
  const digits = form === "g" ? threeDigits(Math.abs(value)) : Math.abs(value).toFixed(Number(form[1]));
  return (value < 0 && /[1-9]/.test(digits) ? "−" : "") + digits;
}

function threeDigits(value) {
  if (value === 0) return "0";
  const [mantissa, power] = value.toExponential(2).split("e");
  if (power >= -4 && power < 5) return Number(`${mantissa}e${power}`).toFixed(Math.max(0, 2 - power));
  return `${mantissa} × 10${String(Number(power)).replace(/./g, (sign) => RAISED[sign])}`;
}

export function fill(template, quantities) {
  return template.replace(/\{(\w+)(?::([^}]*))?\}/g, (_, name, form) => field(quantities[name], form || "g"));
}

function field(value, form) {
  if (form === "g" || !/^[a-z]+$/.test(form)) return number(value, form);
  const count = number(value, ".0f");
  return count === "1" ? `${count} ${form}` : `${count} ${form}s`;
}

function sentence(scene, quantities) {
  return fill(scene.says.find(([condition]) => !condition || quantities[condition])[1], quantities);
}

// ---- data coordinates to points of the picture and back ----------------------------------------

const bend = (scale, value) => (scale === "log" ? Math.log10(value) : value);

function place([scale, low, high, start, end], value) {
  const [a, b] = [bend(scale, low), bend(scale, high)];
  const point = start + ((bend(scale, value) - a) / (b - a)) * (end - start);
  return Math.max(-9999, Math.min(9999, point)); // far outside the picture is far enough
}

function value([scale, low, high, start, end], point) {
  const [a, b] = [bend(scale, low), bend(scale, high)];
  const bent = a + ((point - start) / (end - start)) * (b - a);
  return scale === "log" ? 10 ** bent : bent;
}

// ---- sliders -----------------------------------------------------------------------------------

const position = (slider, number_) => (slider.log ? Math.log10(number_) : number_);
const atPosition = (slider, place_) => (slider.log ? 10 ** place_ : place_);

function snapped(slider, wanted) {
  const [low, high] = [position(slider, slider.low), position(slider, slider.high)];
  const inside = Math.max(low, Math.min(high, position(slider, wanted)));
  const steps = Math.round((inside - low) / slider.step);
  return atPosition(slider, Number(Math.min(high, low + steps * slider.step).toPrecision(12)));
}

const told = (slider, number_) => slider.words[Math.round(number_)] ?? number(number_, slider.form);

// ---- marks -------------------------------------------------------------------------------------

function numbers(position_, quantities) {
  if (Array.isArray(position_)) return position_.flatMap((part) => numbers(part, quantities));
  const found = typeof position_ === "string" ? quantities[position_] : position_;
  return Array.isArray(found) ? found : [found];
}

function element(name, parent, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, text] of Object.entries(attributes)) made.setAttribute(key, text);
  parent.append(made);
  return made;
}

function points(mark, axes, quantities) {
  const [xs, ys] = [numbers(mark.x, quantities), numbers(mark.y, quantities)];
  const placed = xs.map((x, k) => [place(axes.x, x), place(axes.y, ys[k])]);
  return placed.filter(([x, y]) => !Number.isNaN(x) && !Number.isNaN(y));
}

const trace = (placed) => placed.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
const discs = (placed, r) =>
  placed.map(([x, y]) => `M${(x - r).toFixed(2)} ${y.toFixed(2)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`).join("");

// Each kind gets its element once and returns the function that moves it.
const KINDS = {
  path(mark, group, axes) {
    const line = element("path", group, { class: "path", "stroke-width": mark.width });
    if (mark.dash) line.setAttribute("stroke-dasharray", "6 4");
    const dots = mark.dots && element("path", group, { class: "disc" });
    return (quantities) => {
      const placed = points(mark, axes, quantities);
      line.setAttribute("d", trace(placed));
      if (dots) dots.setAttribute("d", discs(placed, 2.2));
    };
  },
  points(mark, group, axes) {
    const shape = element("path", group, { class: mark.hollow ? "ring" : "disc" });
    return (quantities) => shape.setAttribute("d", discs(points(mark, axes, quantities), mark.size));
  },
  arrow(mark, group, axes) {
    const shaft = element("path", group, { class: "path", "stroke-width": 2.5 });
    const head = element("path", group, { class: "disc" });
    return (quantities) => {
      const [[x], [y], [dx], [dy]] = [mark.x, mark.y, mark.dx, mark.dy].map((each) => numbers(each, quantities));
      const [a, b] = [[place(axes.x, x), place(axes.y, y)], [place(axes.x, x + dx), place(axes.y, y + dy)]];
      const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
      const size = Math.min(10, length);
      const [ux, uy] = length ? [(b[0] - a[0]) / length, (b[1] - a[1]) / length] : [0, 0];
      const neck = [b[0] - size * ux, b[1] - size * uy];
      const wing = 0.45 * size;
      shaft.setAttribute("d", trace([a, neck]));
      head.setAttribute("d", `${trace([b, [neck[0] - wing * uy, neck[1] + wing * ux], [neck[0] + wing * uy, neck[1] - wing * ux]])}Z`);
    };
  },
  bars(mark, group, axes) {
    const shape = element("path", group, { class: "path bar", "stroke-width": mark.width });
    return (quantities) => {
      const tops = points(mark, axes, quantities);
      const feet = points({ x: mark.x, y: mark.base }, axes, quantities);
      shape.setAttribute("d", tops.map((top, k) => trace([feet[k] ?? [top[0], feet[0][1]], top])).join(""));
    };
  },
  text(mark, group, axes) {
    const words = element("text", group, { class: "words", "text-anchor": mark.anchor });
    const shift = { start: 7, middle: 0, end: -7 }[mark.anchor];
    return (quantities) => {
      const [at] = points(mark, axes, quantities);
      if (!at) return void (words.textContent = "");
      words.setAttribute("x", (at[0] + shift).toFixed(2));
      words.setAttribute("y", (at[1] - 7).toFixed(2));
      words.textContent = fill(mark.text, quantities);
    };
  },
};

// A handle is a point that the reader drags, or moves with the arrow keys.
function handle(mark, panel, scene, set) {
  const { svg, axes } = panel;
  const bound = { x: mark.x, y: mark.y };
  const sliders = Object.fromEntries(
    Object.entries(bound)
      .map(([axis, name]) => [axis, scene.sliders.find((slider) => slider.name === name)])
      .filter(([, slider]) => slider),
  );
  const main = sliders.x ?? sliders.y;
  const grip = element("g", svg.querySelector(".handles"), {
    class: "handle",
    tabindex: 0,
    role: "slider",
    "aria-label": mark.label,
    "aria-valuemin": position(main, main.low).toFixed(2),
    "aria-valuemax": position(main, main.high).toFixed(2),
    "data-lm-suppress-shortcuts": "true",
    style: `--mark: var(--${mark.color})`,
  });
  element("circle", grip, { class: "reach", r: 20 });
  element("circle", grip, { class: "grip", r: 7.5 });
  const drag = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const wanted = {};
    if (sliders.x) wanted[sliders.x.name] = snapped(sliders.x, value(axes.x, at.x));
    if (sliders.y) wanted[sliders.y.name] = snapped(sliders.y, value(axes.y, at.y));
    set(wanted);
  };
  grip.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    grip.setPointerCapture(event.pointerId);
    grip.focus({ preventScroll: true });
  });
  grip.addEventListener("pointermove", (event) => grip.hasPointerCapture(event.pointerId) && drag(event));
  const KEYS = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowDown: ["y", -1], ArrowUp: ["y", 1] };
  let latest = {};
  grip.addEventListener("keydown", (event) => {
    const [axis, sign] = KEYS[event.key] ?? [];
    const slider = sliders[axis] ?? (axis && main);
    if (!slider) return;
    event.preventDefault();
    event.stopPropagation();
    const next = position(slider, latest[slider.name]) + sign * slider.step * (event.shiftKey ? 10 : 1);
    set({ [slider.name]: snapped(slider, atPosition(slider, next)) });
  });
  return (quantities) => {
    latest = quantities;
    const [[x], [y]] = [numbers(mark.x, quantities), numbers(mark.y, quantities)];
    grip.setAttribute("transform", `translate(${place(axes.x, x).toFixed(2)} ${place(axes.y, y).toFixed(2)})`);
    grip.setAttribute("aria-valuenow", position(main, latest[main.name]).toFixed(2));
    const each = Object.values(sliders).map((slider) => `${slider.label} ${told(slider, latest[slider.name])}`);
    grip.setAttribute("aria-valuetext", each.join(", "));
  };
}

// ---- scenes ------------------------------------------------------------------------------------

// Fill one scene's panels with marks; returns the function that draws them for slider values.
function stage(root, scene, set) {
  const movers = [...root.querySelectorAll("svg.explorer-panel")].flatMap((svg, k) => {
    const panel = { svg, axes: scene.panels[k].axes };
    const group = svg.querySelector(".marks");
    return scene.panels[k].marks.map((mark) => {
      if (mark.kind === "handle") return handle(mark, panel, scene, set);
      const own = element("g", group, { style: `--mark: var(--${mark.color})` });
      const move = KINDS[mark.kind](mark, own, panel.axes);
      if (!mark.show) return move;
      return (quantities) => {
        own.setAttribute("visibility", quantities[mark.show] ? "visible" : "hidden");
        if (quantities[mark.show]) move(quantities);
      };
    });
  });
  const says = root.querySelector(".explorer-says");
  return (values) => {
    const quantities = scene.compute(values);
    for (const move of movers) move(quantities);
    const words = sentence(scene, quantities);
    if (says.textContent !== words) says.textContent = words;
  };
}

const defaults = (scene) => Object.fromEntries(scene.sliders.map((slider) => [slider.name, slider.value]));

// The page: native sliders in the markup, nothing behind them.
export function mount(figure, scenes) {
  const roots = [...figure.querySelectorAll(".explorer-scene")];
  const shown = roots.map((root, k) => {
    const scene = scenes[k];
    const values = defaults(scene);
    const inputs = Object.fromEntries(scene.sliders.map(({ name }) => [name, root.querySelector(`input[name="${name}"]`)]));
    const write = (slider) => {
      const words = told(slider, values[slider.name]);
      inputs[slider.name].setAttribute("aria-valuetext", words);
      root.querySelector(`output[for="${inputs[slider.name].id}"]`).textContent = words;
    };
    const set = (wanted) => {
      Object.assign(values, wanted);
      for (const slider of scene.sliders) {
        if (!(slider.name in wanted)) continue;
        inputs[slider.name].value = position(slider, values[slider.name]);
        write(slider);
      }
      draw(values);
    };
    const draw = stage(root, scene, set);
    for (const slider of scene.sliders) {
      inputs[slider.name].addEventListener("input", ({ target }) => {
        values[slider.name] = atPosition(slider, Number(target.value));
        write(slider);
        draw(values);
      });
    }
    root.querySelector(".explorer-reset").addEventListener("click", () => set(defaults(scene)));
    set(defaults(scene));
    return { compute: scene.compute, set };
  });
  const choice = figure.querySelector(".explorer-choice select");
  const show = (chosen) => roots.forEach((root, k) => (root.hidden = k !== chosen));
  if (choice) choice.addEventListener("change", () => show(choice.selectedIndex));
  show(choice ? choice.selectedIndex : 0);
  figure.explorer = shown;
}

// JupyterLab: the sliders are ipywidgets, linked in the browser to this model's traits.
function render({ model, el }) {
  el.innerHTML = model.get("markup");
  const scenes = model.get("scenes").map((scene) => ({
    ...scene,
    compute: new Function(`${scene.javascript}\nreturn compute;`)(),
  }));
  const roots = [...el.querySelectorAll(".explorer-scene")];
  scenes.forEach((scene, k) => {
    const trait = (slider) => `${slider.name}_${k}`;
    const set = (wanted) => {
      for (const [name, number_] of Object.entries(wanted)) model.set(`${name}_${k}`, number_);
      model.save_changes();
    };
    const draw = stage(roots[k], scene, set);
    const redraw = () => draw(Object.fromEntries(scene.sliders.map((slider) => [slider.name, model.get(trait(slider))])));
    for (const slider of scene.sliders) model.on(`change:${trait(slider)}`, redraw);
    roots[k].querySelector(".explorer-reset").addEventListener("click", () => set(defaults(scene)));
    redraw();
  });
  const show = () => roots.forEach((root, k) => (root.hidden = k !== model.get("scene")));
  model.on("change:scene", show);
  show();
}

export default { render };
