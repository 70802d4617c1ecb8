// Pictures of the view of one shot: the turntable from above, the camera from the side, and the levels of other axes.

const RIM = 46, REACH = 60; // radius of the turntable, and of the camera's way

const shownAs = (axis, value) => (typeof value === "string" ? value : `${Number(value.toFixed(6))}${axis.unit === "deg" ? "°" : axis.unit && ` ${axis.unit}`}`);
const isTilt = (axis) => axis.kind === "interval" && axis.unit === "deg" && axis.values.every((value) => Math.abs(value) <= 90);

// The first circle is the table and the first angle the camera's; each is drawn with where it was for the shot before.
function viewPictures(axes, steps, before) {
  const table = axes.findIndex((axis) => axis.kind === "circle"), tilt = axes.findIndex(isTilt);
  const settingIn = (parts, axis) => parts.slice(1).find((step) => step.of === axis.name).setting;
  return axes.map((axis, place) => {
    const setting = settingIn(steps, axis), was = before ? settingIn(before, axis) : setting;
    if (place === table) return turntable(axis, setting, was);
    if (place === tilt) return fromTheSide(axis, setting, was);
    return axis.kind === "category" ? chips(axis, setting) : scale(axis, setting);
  });
}

function framed(axis, words, viewBox, ...marks) {
  const svg = drawn("svg", { viewBox, role: "img", "aria-label": `${axis.name} ${words}` });
  svg.append(...marks);
  return element("figure", "view", svg, element("figcaption", "", axis.name));
}

function large(x, y, words, anchor = "middle") {
  const text = label(x, y, words, anchor);
  text.setAttribute("class", "large");
  return text;
}

function turntable(axis, setting, was) {
  const turn = (value) => (value / axis.period) * 2 * Math.PI;
  const marks = [drawn("circle", { r: RIM, class: "table" })];
  for (let part = 0; part < 24; part++) {
    const [[x1, y1], [x2, y2]] = [RIM - (part % 6 ? 3 : 7), RIM].map((radius) => point(radius, (part * Math.PI) / 12));
    marks.push(drawn("path", { d: `M${x1} ${y1}L${x2} ${y2}`, class: "tick" }));
  }
  for (let quarter = 0; quarter < 4; quarter++) {
    const [x, y] = point(RIM + 13, (quarter * Math.PI) / 2);
    marks.push(label(x, y, shownAs(axis, (quarter * axis.period) / 4)));
  }
  const way = (((setting - was) % axis.period) + axis.period) % axis.period;
  const shorter = way > axis.period / 2 ? way - axis.period : way;
  if (shorter) {
    const [x1, y1] = point(RIM - 12, turn(was)), [x2, y2] = point(RIM - 12, turn(setting));
    marks.push(drawn("path", { d: `M${x1} ${y1}A${RIM - 12} ${RIM - 12} 0 0 ${shorter > 0 ? 1 : 0} ${x2} ${y2}`, class: "way" }));
    marks.push(drawn("circle", { cx: x1, cy: y1, r: 3, class: "from" }));
  }
  const degrees = (360 * setting) / axis.period;
  marks.push(drawn("path", { d: `M0 ${-RIM + 1}L-6 ${-RIM + 17}L6 ${-RIM + 17}Z`, class: "now", transform: `rotate(${degrees})` }));
  return framed(axis, shownAs(axis, setting), "-76 -68 152 136", ...marks, large(0, 1, shownAs(axis, setting)));
}

function fromTheSide(axis, setting, was) {
  const low = Math.min(0, ...axis.values), at = (degrees, radius = REACH) => point(radius, ((90 - degrees) * Math.PI) / 180);
  const [[x1, y1], [x2, y2]] = [at(low), at(90)];
  const camera = (degrees, kind) => {
    const [x, y] = at(degrees), made = drawn("g", { class: kind, transform: `translate(${x} ${y}) rotate(${-degrees})` });
    made.append(drawn("rect", { x: -3, y: -7, width: 17, height: 14, rx: 2 }), drawn("path", { d: "M-3 -4L-9 -6V6L-3 4Z" }));
    return made;
  };
  const bottom = Math.max(20, 16 - REACH * Math.sin((low * Math.PI) / 180));
  const marks = [
    drawn("path", { d: `M${x1} ${y1}A${REACH} ${REACH} 0 0 0 ${x2} ${y2}`, class: "tick" }),
    drawn("path", { d: "M-40 8H74", class: "tick" }),
    drawn("path", { d: `M${at(setting, REACH - 10).join(" ")}L${at(setting, 12).join(" ")}`, class: "sight" }),
    drawn("rect", { x: -8, y: -8, width: 16, height: 16, rx: 3, class: "thing" }),
    ...(was === setting ? [] : [camera(was, "from")]),
    camera(setting, "now"),
    large(-46, -50, shownAs(axis, setting), "start"),
  ];
  return framed(axis, shownAs(axis, setting), `-50 -76 128 ${76 + bottom}`, ...marks);
}

function scale(axis, setting) {
  const low = Math.min(...axis.values), high = Math.max(...axis.values), wide = 280;
  const at = (value) => 10 + (wide * (value - low)) / (high - low || 1);
  const marks = axis.values.length > 60 ? [] : axis.values.map((value) => drawn("path", { d: `M${at(value)} 20v6`, class: "tick" }));
  marks.push(drawn("path", { d: `M10 23h${wide}`, class: "tick" }), drawn("path", { d: `M${at(setting)} 18l-6 -13h12Z`, class: "now" }));
  marks.push(label(10, 36, shownAs(axis, low), "start"), label(10 + wide, 36, shownAs(axis, high), "end"));
  const made = framed(axis, shownAs(axis, setting), "0 0 300 44", ...marks);
  made.classList.add("long");
  made.lastChild.append(" ", element("b", "", shownAs(axis, setting)));
  return made;
}

function chips(axis, setting) {
  const shown = axis.values.length > 12 ? [setting] : axis.values;
  const list = element("ul", "chips", ...shown.map((level) => element("li", level === setting ? "on" : "", level)));
  const made = element("figure", "view long", list, element("figcaption", "", axis.name));
  return made;
}
