// The view of every explorer: labelled sliders, a drawing and a sentence. The same code runs as an anywidget and in a static page.
const STYLE = `
.mlx { --s0: #0067a5; --s1: #b84a00; --s2: #00704f; font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 1em 0; padding: .75em 1em 1em;
  border: 1px solid color-mix(in srgb, currentColor 30%, transparent); border-radius: .5em; color: inherit; box-sizing: border-box; }
.mlx.mlx-dark { --s0: #6cc0ff; --s1: #ff9d5c; --s2: #3fd6a4; }
.mlx .mlx-title { margin: 0 0 .25em; font-size: 1.05rem; font-weight: 600; } .mlx p { margin: .25em 0 .5em; font-size: .9rem; }
.mlx svg { display: block; width: 100%; touch-action: pan-y; user-select: none; overflow: visible; } .mlx svg text { fill: currentColor; font-size: 12px; }
.mlx svg.mlx-drag { cursor: ew-resize; }
.mlx-controls { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: .25em 1.5em; }
.mlx-controls label { display: block; font-size: .85rem; } .mlx-controls output { float: right; font-variant-numeric: tabular-nums; font-weight: 600; }
.mlx textarea { display: block; width: 100%; box-sizing: border-box; font: .9rem/1.4 monospace; color: inherit; background: transparent;
  border: 1px solid currentColor; border-radius: .3em; padding: .3em .5em; }
.mlx-controls input { display: block; width: 100%; min-height: 24px; margin: 0; accent-color: var(--s0); }
.mlx input:focus-visible, .mlx textarea:focus-visible, .mlx button:focus-visible { outline: 2px solid var(--s0); outline-offset: 2px; }
.mlx button { font: inherit; font-size: .85rem; padding: .2em .8em; min-height: 28px; color: inherit; background: transparent;
  border: 1px solid currentColor; border-radius: .3em; cursor: pointer; }
@media print { .mlx-controls, .mlx button { display: none; } }`;
const DASHES = ["", "7 4", "2 3"];

function tag(name, attributes = {}, ...children) {
  const svg = "svg g path line rect circle text title clipPath".split(" ").includes(name);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function ticks(low, high) {
  const step = [0.1, 0.2, 0.25, 0.5, 1, 2].find((s) => (high - low) / s <= 6) ?? (high - low) / 5;
  const from = Math.ceil(low / step - 1e-9), to = Math.floor(high / step + 1e-9);
  return Array.from({ length: to - from + 1 }, (_, i) => (from + i) * step);
}

const tidy = (number) => String(Math.round(number * 100) / 100).replace("-", "\u2212");

/** Draw axes, then curves or bars, into an emptied svg of the given width; return how pixels map to values. */
function draw(svg, chart, width) {
  if (chart.kind === "cells") return drawCells(svg, chart, width);
  const height = Math.min(320, Math.max(220, width * 0.55)), left = 44, top = 34, bottom = height - 38, right = width - 10;
  const [low, high] = chart.kind === "bars" ? chart.range : [chart.y[1], chart.y[2]];
  const y = (v) => bottom - ((Math.min(high, Math.max(low, v)) - low) / (high - low)) * (bottom - top);
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  for (const t of ticks(low, high)) {
    svg.append(tag("line", { x1: left, x2: right, y1: y(t), y2: y(t), stroke: "currentColor", "stroke-opacity": Math.abs(t) < 1e-9 ? 0.7 : 0.15 }));
    svg.append(tag("text", { x: left - 6, y: y(t) + 4, "text-anchor": "end" }, tidy(t)));
  }
  svg.append(tag("text", { x: 2, y: 10 }, chart.kind === "bars" ? chart.axis : chart.y[0]));
  return chart.kind === "bars" ? drawBars(svg, chart, { left, right, top, bottom, low, high, y }) : drawCurves(svg, chart, { left, right, top, bottom, y });
}

function drawBars(svg, chart, { left, right, top, bottom, low, high, y }) {
  const slot = (right - left) / chart.groups.length, wide = Math.min(40, (slot * 0.8) / chart.series.length);
  chart.groups.forEach((group, g) => {
    const middle = left + slot * (g + 0.5);
    const cut = group.length * 6.5 > slot ? group.lastIndexOf(" ") : -1; // two lines where one would reach its neighbour
    [group.slice(0, Math.max(cut, 0)), group.slice(cut + 1)].filter(Boolean).forEach((line, i) =>
      svg.append(tag("text", { x: middle, y: bottom + 17 + 14 * i, "text-anchor": "middle" }, line)));
    chart.series.forEach((series, s) => {
      const value = series.values[g], x = middle + (s - chart.series.length / 2) * wide;
      svg.append(tag("rect", { class: "mlx-bar", x: x + 1, width: wide - 2, y: Math.min(y(value), y(0)), height: Math.abs(y(value) - y(0)),
        fill: s === 1 ? "none" : `var(--s${s})`, stroke: `var(--s${s})`, "stroke-width": 2, "fill-opacity": s === 2 ? 0.35 : 1 }));
      svg.append(tag("text", { x: x + wide / 2, y: value < 0 ? y(value) + 13 : y(value) - 4, "text-anchor": "middle" }, tidy(value) + (value > high ? " ↑" : ""))); // what the scale cuts
    });
  });
  return (_, py) => ({ value: low + ((bottom - py) / (bottom - top)) * (high - low) });
}

function drawCurves(svg, chart, { left, right, top, bottom, y }) {
  const [label, from, to] = chart.x, x = (v) => left + ((v - from) / (to - from)) * (right - left), [at, note] = chart.ruler;
  if (chart.level) { // a horizontal line with its name
    svg.append(tag("line", { class: "mlx-level", x1: left, x2: right, y1: y(chart.level[0]), y2: y(chart.level[0]), stroke: "var(--s1)", "stroke-width": 2, "stroke-dasharray": "7 4" }));
    svg.append(tag("text", { x: chart.level[2] ? right - 4 : left + 6, y: y(chart.level[0]) - 6, "text-anchor": chart.level[2] ?? "start" }, chart.level[1]));
  }
  for (const [place, name] of chart.marks ?? []) { // vertical lines with their names, below those of the ruler
    svg.append(tag("line", { class: "mlx-mark", x1: x(place), x2: x(place), y1: top, y2: bottom, stroke: "var(--s2)", "stroke-width": 2, "stroke-dasharray": "2 3" }));
    svg.append(tag("text", { x: x(place) + (place > from + 0.85 * (to - from) ? -5 : 5), y: bottom - 6, "text-anchor": place > from + 0.85 * (to - from) ? "end" : "start" }, name));
  }
  for (const t of ticks(from, to)) svg.append(tag("text", { x: x(t), y: bottom + 16, "text-anchor": "middle" }, tidy(t)));
  svg.append(tag("text", { x: (left + right) / 2, y: bottom + 33, "text-anchor": "middle" }, label));
  svg.append(tag("line", { class: "mlx-ruler", x1: x(at), x2: x(at), y1: top, y2: bottom, stroke: "currentColor", "stroke-width": 1.5 }));
  const late = at > from + 0.85 * (to - from); // the note stays inside the drawing
  svg.append(tag("text", { x: x(at) + (late ? -5 : 5), y: top - 9, "text-anchor": late ? "end" : "start" }, note));
  chart.series.forEach((series, s) => {
    const inside = ([, py]) => py >= chart.y[1] && py <= chart.y[2];
    const path = series.points.map((point, i, all) => !inside(point) ? ""
      : `${i && inside(all[i - 1]) ? "L" : "M"}${x(point[0]).toFixed(1)} ${y(point[1]).toFixed(1)}`).join("");
    svg.append(tag("path", { d: path, fill: "none", stroke: `var(--s${s})`, "stroke-width": 2.5, "stroke-dasharray": DASHES[s] }));
    if (inside(series.best)) svg.append(tag("circle", { class: "mlx-best", cx: x(series.best[0]), cy: y(series.best[1]), r: 6, fill: `var(--s${s})` }));
  });
  return (px) => ({ value: from + ((px - left) / (right - left)) * (to - from) });
}

function legend(chart) {
  const row = tag("p", { "aria-hidden": "true" });
  chart.series.forEach((series, s) => {
    const key = tag("svg", { width: 26, height: 12, style: "display:inline-block;width:26px;vertical-align:middle;margin-right:.3em" });
    key.append(chart.kind === "cells"
      ? tag("rect", { x: 4, y: 1, width: 10, height: 10, fill: ["var(--s2)", "var(--s1)", "none"][s], "fill-opacity": s ? 1 : 0.35, stroke: "currentColor", "stroke-opacity": 0.4 })
      : chart.kind === "bars"
      ? tag("rect", { x: 4, y: 1, width: 14, height: 10, fill: s === 1 ? "none" : `var(--s${s})`, stroke: `var(--s${s})`, "stroke-width": 2, "fill-opacity": s === 2 ? 0.35 : 1 })
      : tag("line", { x1: 0, x2: 24, y1: 6, y2: 6, stroke: `var(--s${s})`, "stroke-width": 3, "stroke-dasharray": DASHES[s] }));
    row.append(tag("span", { style: "display:inline-block;margin-right:1.2em" }, key, series.name));
  });
  return row;
}

/** Say whether the page behind the explorer is dark, by the colour of its text. */
function dark(node) {
  const [r, g, b] = getComputedStyle(node).color.match(/[\d.]+/g).map(Number);
  return r + g + b > 382;
}

function render({ model, el }) {
  const spec = model.get("spec"), { compute, draw: chartOf, say } = models[model.get("kind")];
  const start = { ...model.get("params") };
  const svg = tag("svg", { role: "img" }), said = tag("p", { "aria-live": "polite", class: "mlx-said" }), keys = tag("div");
  const controls = tag("div", { class: "mlx-controls" }), inputs = {};
  const box = tag("section", { class: "mlx", "aria-label": spec.title }, tag("style", {}, STYLE), tag("p", { class: "mlx-title" }, spec.title), tag("p", {}, spec.about), svg, keys, said, controls);
  for (const control of spec.controls) {
    // the attribute keeps JupyterLab from taking the arrow keys for itself
    const input = control.text ? tag("textarea", { rows: 2, spellcheck: "false", "data-lm-suppress-shortcuts": "" }) : tag("input", { type: "range", min: control.min, max: control.max, step: control.step, "data-lm-suppress-shortcuts": "" });
    const output = tag("output");
    input.addEventListener("input", () => (control.text ? set({ [control.name]: input.value }) : change(control.name, Number(input.value))));
    inputs[control.name] = { input, output };
    controls.append(tag("label", {}, control.label, output, input));
  }
  const reset = tag("button", { type: "button", "data-lm-suppress-shortcuts": "" }, "Reset");
  reset.addEventListener("click", () => { stop(); model.set("params", { ...start }); model.save_changes(); update(); });
  const buttons = tag("p", { style: "margin:.75em 0 0" });
  let playing = null;
  function stop() {
    clearInterval(playing);
    playing = null;
    play.textContent = "Play";
  }
  const play = tag("button", { type: "button", "data-lm-suppress-shortcuts": "", style: "margin-right:.75em" }, "Play");
  play.addEventListener("click", () => {
    if (playing) return stop();
    const control = spec.controls.find((c) => c.name === spec.play), still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begin = model.get("params")[control.name];
    let at = begin >= control.max ? control.min : begin;
    playing = setInterval(() => {
      at = still ? control.max : Math.min(control.max, at + Math.max(control.step, (control.max - control.min) / 100));
      change(control.name, at);
      if (at >= control.max || !box.isConnected) stop();
    }, 60);
    play.textContent = "Pause";
  });
  if (spec.play) buttons.append(play);
  buttons.append(reset);
  box.append(buttons);
  el.replaceChildren(box);
  let locate = () => ({});

  function change(name, raw) {
    const control = spec.controls.find((c) => c.name === name);
    const value = Math.min(control.max, Math.max(control.min, control.min + Math.round((raw - control.min) / control.step) * control.step));
    set({ [name]: Number(value.toFixed(6)) });
  }

  function set(values) {
    model.set("params", { ...model.get("params"), ...values });
    model.save_changes();
    update();
  }

  function update() {
    if (!box.isConnected) return; // outside the page it has neither width nor colours; it is drawn once it comes in
    const params = model.get("params"), state = compute(params), chart = chartOf(params, state), sentence = say(params, state);
    for (const [name, { input, output }] of Object.entries(inputs)) {
      if (input.value !== String(params[name])) input.value = params[name];
      const { names, min } = spec.controls.find((c) => c.name === name); // a slider of kinds, not of numbers
      output.textContent = typeof params[name] === "string" ? "" : names ? names[params[name] - min] : tidy(params[name]);
      if (names) input.setAttribute("aria-valuetext", output.textContent);
    }
    box.classList.toggle("mlx-dark", dark(box));
    locate = draw(svg, chart, Math.max(280, box.clientWidth - 32));
    keys.replaceChildren(legend(chart));
    svg.setAttribute("aria-label", sentence);
    if (said.textContent !== sentence) said.textContent = sentence;
  }

  function dragged(event) {
    const frame = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / frame.width;
    const { value, cell } = locate((event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale);
    if (spec.drag === "cells") {
      const flips = model.get("params").flips ?? [];
      if (cell !== null && event.type === "pointerdown") set({ flips: flips.includes(cell) ? flips.filter((c) => c !== cell) : [...flips, cell] });
      return;
    }
    if (spec.play) model.set("params", { ...model.get("params"), [spec.play]: spec.controls.find((c) => c.name === spec.play).min });
    change(spec.drag, value);
  }
  if (spec.drag) {
    svg.classList.add("mlx-drag");
    svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); dragged(event); event.preventDefault(); });
    svg.addEventListener("pointermove", (event) => svg.hasPointerCapture(event.pointerId) && dragged(event));
  }

  const resized = new ResizeObserver(() => update()), themed = new MutationObserver(() => update());
  resized.observe(box);
  for (const root of [document.documentElement, document.body]) themed.observe(root, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light", "class"] });
  model.on("change:params", update);
  update();
  return () => { stop(); resized.disconnect(); themed.disconnect(); model.off?.("change:params", update); };
}

/** Wake the explorers of a static page: there a plain object stands in for the kernel's model. */
export function wake(root = document) {
  performance.mark("mechlib-explorers");
  for (const el of root.querySelectorAll("[data-mechlib-explorer]")) {
    const values = JSON.parse(el.dataset.mechlibExplorer);
    render({ el, model: { get: (name) => values[name], set: (name, value) => { values[name] = value; }, save_changes() {}, on() {} } });
  }
}

export default { render };
