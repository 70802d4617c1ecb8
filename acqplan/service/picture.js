// Pictures: the dial (or a grid, where no axis is a circle), and the learning curve.

const HOLE = 0.13; // of the dial's radius
const RADIUS = 150;
const SVG = "http://www.w3.org/2000/svg";

function drawn(name, attributes = {}, title = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (title) element.append(titled(title));
  return element;
}

function titled(words) {
  const title = document.createElementNS(SVG, "title");
  title.textContent = words;
  return title;
}

function label(x, y, words, anchor = "middle") {
  const text = drawn("text", { x, y, "text-anchor": anchor, "dominant-baseline": "middle" });
  text.textContent = words;
  return text;
}

// Which axes are drawn: the first circle around and the first interval up; without a circle the first two, flat.
function pictureAxes(axes) {
  const round = axes.findIndex((axis) => axis.kind === "circle");
  if (round < 0) return { round: false, across: 0, up: axes.length > 1 ? 1 : -1 };
  const up = axes.findIndex((axis) => axis.kind === "interval");
  const other = axes.findIndex((_, place) => place !== round);
  return { round: true, across: round, up: up >= 0 ? up : other };
}

function levels(axis) {
  const values = axis.kind === "circle" ? axis.values.map((value) => ((value % axis.period) + axis.period) % axis.period) : axis.values;
  return axis.kind === "category" ? values : [...new Set(values)].sort((a, b) => a - b);
}

const point = (radius, turn) => [radius * Math.sin(turn), -radius * Math.cos(turn)];

function sector(inner, outer, from, to) {
  const at = (radius, turn) => point(radius, turn).map((one) => one.toFixed(2)).join(" ");
  const wide = to - from > Math.PI ? 1 : 0;
  return `M${at(inner, from)}L${at(outer, from)}A${outer} ${outer} 0 ${wide} 1 ${at(outer, to)}` +
    `L${at(inner, to)}A${inner} ${inner} 0 ${wide} 0 ${at(inner, from)}Z`;
}

// Half of the way to the nearer neighbour: cells of an even grid touch, and none overlaps.
function halfWidth(values, place, period) {
  if (values.length === 1) return period ? period / 2 : 0.5;
  const gaps = [];
  const n = values.length;
  if (place > 0 || period) gaps.push((values[place] - values[(place + n - 1) % n] + (period || 0)) % (period || Infinity));
  if (place < n - 1 || period) gaps.push((values[(place + 1) % n] - values[place] + (period || 0)) % (period || Infinity));
  return Math.min(...gaps.filter((gap) => gap > 0)) / 2;
}

class Dial {
  constructor(svg, plan) {
    this.svg = svg;
    this.axes = plan.axes;
    this.chosen = pictureAxes(plan.axes);
    this.across = levels(plan.axes[this.chosen.across]);
    this.up = this.chosen.up < 0 ? [0] : levels(plan.axes[this.chosen.up]);
    this.dots = plan.table;
    this.places = new Map();
    this.forbidden = this.whollyForbidden(plan);
    this.cells = new Map();
    this.frame();
  }

  key(view) {
    return JSON.stringify([view[this.chosen.across], this.chosen.up < 0 ? 0 : view[this.chosen.up]]);
  }

  // Cells all of whose views are forbidden for every object.
  whollyForbidden(plan) {
    const others = plan.axes.filter((_, place) => place !== this.chosen.across && place !== this.chosen.up);
    const views = plan.table ? 1 : others.reduce((product, axis) => product * levels(axis).length, 1);
    const counted = new Map();
    for (const view of plan.forbidden) counted.set(this.key(view), [view, (counted.get(this.key(view)) || [view, 0])[1] + 1]);
    return [...counted.values()].filter(([, count]) => count >= views).map(([view]) => view);
  }

  name(view) {
    return [this.chosen.across, this.chosen.up].filter((place) => place >= 0)
      .map((place) => `${this.axes[place].name} ${view[place]}`).join(", ");
  }

  frame() {
    const defs = drawn("defs");
    const hatch = drawn("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    hatch.append(drawn("path", { d: "M0 0V6", stroke: "var(--slate)", "stroke-width": 4 }));
    defs.append(hatch);
    this.layers = ["cells", "leased", "failed", "fresh"].map(() => drawn("g"));
    this.svg.replaceChildren(defs, ...this.layers);
    if (this.chosen.round) this.roundFrame(); else this.flatFrame();
  }

  roundFrame() {
    this.svg.setAttribute("viewBox", "-178 -172 356 344");
    const axis = this.axes[this.chosen.across];
    for (let quarter = 0; quarter < 4; quarter++) {
      const [x, y] = point(RADIUS + 12, (quarter * Math.PI) / 2);
      this.svg.append(label(x, y, `${(quarter * axis.period) / 4}${axis.unit === "deg" ? "°" : ""}`, ["middle", "start", "middle", "end"][quarter]));
    }
  }

  flatFrame() {
    const [wide, high] = [this.across.length, this.up.length];
    this.size = Math.min(40, 300 / wide, 300 / high);
    this.svg.setAttribute("viewBox", `-60 -6 ${this.size * wide + 70} ${this.size * high + 30}`);
    const every = (count) => Math.ceil(count / 8);
    this.across.forEach((value, place) => {
      if (place % every(wide) === 0) this.svg.append(label((place + 0.5) * this.size, this.size * high + 12, String(value)));
    });
    if (this.chosen.up >= 0) this.up.forEach((value, place) => {
      if (place % every(high) === 0) this.svg.append(label(-6, (high - place - 0.5) * this.size, String(value), "end"));
    });
  }

  // Outline and middle of the cell of a view.
  place(view) {
    const key = this.key(view);
    if (!this.places.has(key)) this.places.set(key, this.chosen.round ? this.roundPlace(view) : this.flatPlace(view));
    return this.places.get(key);
  }

  roundPlace(view) {
    const axis = this.axes[this.chosen.across];
    const value = view[this.chosen.across];
    const turn = (value / axis.period) * 2 * Math.PI;
    const rings = this.up.length;
    const ring = this.chosen.up < 0 ? 0 : this.ring(view[this.chosen.up]);
    const [inner, outer] = [rings - 1 - ring, rings - ring].map((one) => RADIUS * (HOLE + ((1 - HOLE) * one) / rings));
    const middle = point((inner + outer) / 2, turn);
    if (this.dots) return { middle, size: 4.5, shape: ["circle", { cx: middle[0], cy: middle[1], r: 4.5 }] };
    const place = this.across.indexOf(value);
    const half = place < 0 ? 0.05 : Math.min((halfWidth(this.across, place, axis.period) / axis.period) * 2 * Math.PI, Math.PI - 0.001);
    const size = Math.min((outer - inner) / 2, ((inner + outer) / 2) * half);
    return { middle, size, shape: ["path", { d: sector(inner, outer, turn - half, turn + half) }] };
  }

  // Place between the rim and the middle, also of a setting that is no level.
  ring(value) {
    const place = this.up.indexOf(value);
    if (place >= 0 || typeof value === "string") return Math.max(place, 0);
    const above = this.up.findIndex((level) => level > value);
    return above < 0 ? this.up.length - 1 : Math.max(above - 1, 0);
  }

  flatPlace(view) {
    const x = Math.max(this.across.indexOf(view[this.chosen.across]), 0) * this.size;
    const row = this.chosen.up < 0 ? 0 : Math.max(this.up.indexOf(view[this.chosen.up]), 0);
    const y = (this.up.length - 1 - row) * this.size;
    const middle = [x + this.size / 2, y + this.size / 2];
    return { middle, size: this.size / 2, shape: ["rect", { x, y, width: this.size, height: this.size }] };
  }

  // Count shots by cell, and draw the cells.
  show(shots) {
    const counted = new Map();
    for (const shot of shots) {
      const key = this.key(shot.view);
      if (!counted.has(key)) counted.set(key, { view: shot.view, captured: 0, leased: 0, planned: 0, barred: 0, failed: 0 });
      const cell = counted.get(key);
      cell.failed += shot.tries;
      if (shot.state === "barred") cell.barred += 1;
      if (["captured", "leased", "proposed"].includes(shot.state)) cell.planned += 1;
      if (shot.state in cell && shot.state !== "barred") cell[shot.state] += 1;
    }
    for (const layer of this.layers.slice(0, 3)) layer.replaceChildren();
    this.empty(counted);
    for (const cell of counted.values()) this.showCell(cell);
    for (const view of this.forbidden) this.layers[0].append(this.outline(view, "cell barred", `${this.name(view)}: forbidden`));
  }

  empty(counted) {
    if (this.dots) return;
    for (const across of this.across) for (const up of this.up) {
      const view = [];
      view[this.chosen.across] = across;
      if (this.chosen.up >= 0) view[this.chosen.up] = up;
      if (!counted.has(this.key(view))) this.layers[0].append(this.outline(view, "cell empty", `${this.name(view)}: not planned`));
    }
  }

  outline(view, kind, title = "") {
    const [name, attributes] = this.place(view).shape;
    return drawn(name, { ...attributes, class: kind }, title);
  }

  showCell(cell) {
    const share = cell.captured / Math.max(cell.planned, 1);
    const heat = cell.captured ? `heat${Math.max(1, Math.ceil(5 * share))}` : cell.planned ? "wanted" : "empty";
    const words = `${this.name(cell.view)}: ${cell.captured} of ${cell.planned} captured` + (cell.leased ? `, ${cell.leased} leased` : "") +
      (cell.failed ? `, ${cell.failed} failed tries` : "") + (cell.barred ? `, ${cell.barred} forbidden` : "");
    this.layers[0].append(this.outline(cell.view, `cell ${heat}`, words));
    if (cell.barred) this.layers[0].append(this.outline(cell.view, "cell barred", words));
    const { middle, size } = this.place(cell.view);
    if (cell.leased) this.layers[1].append(drawn("circle", { cx: middle[0], cy: middle[1], r: Math.max(size * 0.75, 3), class: "leased" }, words));
    const radius = Math.min(Math.max(size * 0.75, 2.5), 2 + 1.3 * Math.sqrt(cell.failed));
    if (cell.failed) this.layers[2].append(drawn("circle", { cx: middle[0], cy: middle[1], r: radius, class: "failed" }, words));
  }

  flash(view) {
    const mark = this.outline(view, "fresh");
    this.layers[3].append(mark);
    setTimeout(() => mark.remove(), 5000);
  }

  caption() {
    const [across, up] = [this.axes[this.chosen.across], this.axes[this.chosen.up]];
    const ends = up && `${up.name} from ${this.up[0]} ${this.chosen.round ? "at the rim" : "below"} to ${this.up[this.up.length - 1]} ${this.chosen.round ? "in the middle" : "above"}`;
    const around = this.chosen.round ? `${across.name} clockwise` : `${across.name} across`;
    const others = this.axes.filter((axis) => axis !== across && axis !== up).map((axis) => axis.name);
    return [around, ends, others.length ? `each cell holds every ${others.join(" and ")}` : ""].filter(Boolean).join("; ") + ".";
  }
}

// What the marks of the dial mean.
function legend() {
  const item = (words, ...marks) => {
    const row = document.createElement("li");
    row.append(...marks, words);
    return row;
  };
  const mark = (name, attributes, width = 14) => {
    const svg = drawn("svg", { viewBox: `0 0 ${width} 14`, width, height: 14, "aria-hidden": "true" });
    svg.append(drawn(name, attributes));
    return svg;
  };
  const box = { x: 1, y: 1, width: 12, height: 12 };
  const ramp = [1, 2, 3, 4, 5].map((heat) => mark("rect", { ...box, class: `cell heat${heat}` }));
  return [
    item("to come", mark("rect", { ...box, class: "cell wanted" })),
    item("captured: few to all of those planned", ...ramp),
    item("leased now", mark("circle", { cx: 7, cy: 7, r: 5, class: "leased" })),
    item("failed tries", mark("circle", { cx: 7, cy: 7, r: 4, class: "failed" })),
    item("forbidden", mark("rect", { ...box, class: "cell barred" })),
  ];
}
