// The views of the plan as a dome about the object; it turns by dragging, and by the keys of arrows.

const DOME = 150, RAISED = 25, PER_PIXEL = 0.5, PER_KEY = 10; // radius; degrees at first, of a pixel and of a key
const RISES = /elev|\bel\b|tilt|pitch|inclination|polar|zenith/i, FROM_ABOVE = /polar|zenith/i; // names of axes
let hemisphere = null;

// Draw the shots of a dial; nothing where no axis turns, or none rises, in degrees.
function showHemisphere(dial, shots) {
  const [around, up] = [dial.axes[dial.chosen.across], dial.axes[dial.chosen.up]];
  const hasDome = dial.chosen.round && around.period === 360 && up && up.unit === "deg" && RISES.test(up.name);
  if (hemisphere && (hemisphere.dial !== dial || !hasDome)) { hemisphere.figure.remove(); hemisphere = null; }
  if (!hasDome) return;
  if (!hemisphere) hemisphere = new Hemisphere(dial, around.name, up.name);
  hemisphere.show(shots);
}

class Hemisphere {
  constructor(dial, around, up) {
    [this.dial, this.facing, this.raised, this.cells] = [dial, 35, RAISED, []];
    this.figure = document.createElement("figure");
    this.figure.style = "margin: 1rem auto; max-width: 34rem";
    const words = `The same about the object: ${around} around, ${up} up. Drag it, or use the arrow keys, to turn it.`;
    this.svg = drawn("svg", { viewBox: "-190 -165 380 330", role: "img", "aria-label": words, tabindex: 0 });
    this.svg.style = "cursor: grab; touch-action: pan-y";
    const caption = document.createElement("figcaption");
    [caption.className, caption.textContent] = ["soft", words];
    this.figure.append(this.svg, caption);
    dial.svg.closest("section").append(this.figure);
    this.svg.onpointerdown = (event) => { this.svg.setPointerCapture(event.pointerId); this.last = [event.clientX, event.clientY]; };
    this.svg.onpointermove = (event) => this.drag(event);
    this.svg.onpointerup = this.svg.onpointercancel = () => { this.last = null; };
    this.svg.onkeydown = (event) => this.press(event);
  }

  drag(event) {
    if (!this.last) return;
    const [right, down] = [event.clientX - this.last[0], event.clientY - this.last[1]];
    this.last = [event.clientX, event.clientY];
    this.turn(-PER_PIXEL * right, PER_PIXEL * down);
  }

  press(event) {
    const step = { ArrowLeft: [PER_KEY, 0], ArrowRight: [-PER_KEY, 0], ArrowUp: [0, -PER_KEY], ArrowDown: [0, PER_KEY] }[event.key];
    if (!step) return;
    event.preventDefault();
    this.turn(...step);
  }

  turn(around, up) {
    this.facing = (this.facing + around + 360) % 360;
    this.raised = Math.min(90, Math.max(0, this.raised + up));
    this.draw();
  }

  // A point of the dome: right, down and towards the eye. Turning the table moves the camera the other way round.
  seen(azimuth, elevation, radius = DOME) {
    const [place, height, raised] = [-azimuth - this.facing, elevation, this.raised].map((angle) => (angle * Math.PI) / 180);
    const [right, towards, above] = [Math.sin(place) * Math.cos(height), Math.cos(place) * Math.cos(height), Math.sin(height)];
    const depth = towards * Math.cos(raised) + above * Math.sin(raised);
    return [radius * right, -radius * (above * Math.cos(raised) - towards * Math.sin(raised)), depth];
  }

  show(shots) {
    const cells = new Map(), { across, up } = this.dial.chosen;
    const isFromAbove = FROM_ABOVE.test(this.dial.axes[up].name);
    for (const { view, state } of shots) {
      const key = `${view[across]} ${view[up]}`;
      if (!cells.has(key)) cells.set(key, { azimuth: view[across], elevation: isFromAbove ? 90 - view[up] : view[up], captured: 0, planned: 0 });
      if (["captured", "leased", "proposed"].includes(state)) cells.get(key).planned += 1;
      if (state === "captured") cells.get(key).captured += 1;
    }
    this.cells = [...cells.values()].filter((cell) => cell.planned);
    this.draw();
  }

  draw() {
    const back = drawn("g", { opacity: 0.4 }), front = drawn("g"), names = drawn("g");
    const ring = [...Array(61).keys()], arc = [...Array(16).keys()];
    for (const height of [0, 30, 60]) this.line(ring.map((step) => [6 * step, height]), back, front);
    for (let turn = 0; turn < 360; turn += 30) this.line(arc.map((step) => [turn, 6 * step]), back, front);
    for (const turn of [0, 90, 180, 270]) { const [x, y] = this.seen(turn, 0, 1.12 * DOME); names.append(label(x, y, `${turn}°`)); }
    const [x, y] = this.seen(0, 0, 0.5 * DOME);
    names.append(drawn("path", { d: `M0 0L${x} ${y}`, stroke: "var(--rust)", "stroke-width": 2 }), label(1.15 * x, 1.15 * y + 8, "front"));
    const dots = this.cells.map((cell) => [cell, this.seen(cell.azimuth, cell.elevation)]).sort(([, one], [, other]) => one[2] - other[2]);
    const radius = this.cells.length > 200 ? 4 : 6;
    for (const [cell, [cx, cy, depth]] of dots) {
      const heat = cell.captured ? `heat${Math.max(1, Math.ceil((5 * cell.captured) / cell.planned))}` : "wanted";
      const words = `azimuth ${cell.azimuth}, elevation ${cell.elevation}: ${cell.captured} of ${cell.planned} captured`;
      (depth > 0 ? front : back).append(drawn("circle", { cx, cy, r: radius, class: `cell ${heat}` }, words));
    }
    // in the middle of the picture, however much of the ground is seen
    const whole = drawn("g", { transform: `translate(0 ${(DOME / 2) * (1 - Math.sin((this.raised * Math.PI) / 180))})` });
    whole.append(back, names, front);
    this.svg.replaceChildren(whole);
  }

  // A line on the dome, its part behind the object apart.
  line(points, back, front) {
    const seen = points.map(([azimuth, elevation]) => this.seen(azimuth, elevation));
    for (const [group, isNear] of [[back, false], [front, true]]) {
      const d = seen.slice(1).map((to, place) => [seen[place], to]).filter(([from, to]) => from[2] + to[2] > 0 === isNear)
        .map(([from, to]) => `M${from[0].toFixed(1)} ${from[1].toFixed(1)}L${to[0].toFixed(1)} ${to[1].toFixed(1)}`).join("");
      group.append(drawn("path", { d, stroke: "var(--faint)", fill: "none" }));
    }
  }
}
