// The learning curve and the design surface, as the last advice has them.

const PLOT = { left: 38, right: 330, top: 8, bottom: 170 };

function niceStep(range, n) {
  const raw = range / n, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
}

function drawCurve(svg, advice) {
  const points = advice.points || [];
  svg.hidden = !points.length;
  svg.toggleAttribute("hidden", !points.length);
  if (!points.length) return "";
  const surface = advice.surface, most = surface ? Math.min(advice.capacity, 2 * advice.images) : advice.images;
  const lowest = Math.min(...points.map((one) => one.accuracy.low));
  const bottom = Math.max(0, Math.floor(lowest * 10) / 10), top = 1;
  const x = (images) => PLOT.left + ((PLOT.right - PLOT.left) * images) / most;
  const y = (accuracy) => PLOT.bottom - ((PLOT.bottom - PLOT.top) * (accuracy - bottom)) / (top - bottom);
  svg.setAttribute("viewBox", "0 0 340 200");
  svg.replaceChildren();
  for (let share = bottom, step = niceStep(top - bottom, 4); share <= top + 1e-9; share += step) {
    svg.append(drawn("path", { d: `M${PLOT.left} ${y(share)}H${PLOT.right}`, stroke: "var(--faint)", "stroke-width": 0.7 }));
    svg.append(label(PLOT.left - 5, y(share), `${Math.round(100 * share)} %`, "end"));
  }
  for (let images = 0, step = niceStep(most, 4); images <= most; images += step) svg.append(label(x(images), PLOT.bottom + 12, images.toLocaleString("en")));
  svg.append(label((PLOT.left + PLOT.right) / 2, PLOT.bottom + 26, "images"));
  if (surface) {
    const own = advice.objects / advice.classes, row = surface.accuracy[surface.objects.indexOf(own)];
    const path = surface.shots.map((shots, column) => [shots * advice.objects, row[column].estimate])
      .filter(([images]) => images >= points[0].images && images <= most)
      .map(([images, accuracy], step) => `${step ? "L" : "M"}${x(images).toFixed(1)} ${y(Math.max(accuracy, bottom)).toFixed(1)}`);
    svg.append(drawn("path", { d: path.join(""), fill: "none", stroke: "var(--rust)", "stroke-width": 1.5, "stroke-dasharray": "4 3" }));
  }
  for (const one of points) {
    const title = `${one.images.toLocaleString("en")} images: ${(100 * one.accuracy.estimate).toFixed(1)} %`;
    svg.append(drawn("path", { d: `M${x(one.images)} ${y(one.accuracy.low)}V${y(Math.min(one.accuracy.high, 1))}`, stroke: "var(--accent)", "stroke-width": 1.5 }));
    svg.append(drawn("circle", { cx: x(one.images), cy: y(one.accuracy.estimate), r: 4, fill: "var(--accent)" }, title));
  }
  return `Accuracy on ${advice.judged} objects left out in turn, with its 95 % interval, as of ${advice.images.toLocaleString("en")} images` +
    (surface ? "; dashed: foreseen with all of these objects." : ".");
}

// Accuracy foreseen for objects of each class by shots of each: a cell for each pair, more is darker.
function drawSurface(svg, advice) {
  const surface = advice.surface;
  svg.toggleAttribute("hidden", !surface);
  if (!surface) return "";
  const width = (PLOT.right - PLOT.left) / surface.shots.length, height = (PLOT.bottom - PLOT.top) / surface.objects.length;
  const every = surface.accuracy.flat().map((one) => one.estimate), low = Math.min(...every), range = Math.max(...every) - low || 1;
  // where a number lies among the ascending levels of a side, on a scale of logarithms between two of them
  const place = (levels, value) => {
    const above = levels.findIndex((level) => level >= value - 1e-9), top = above < 0 ? levels.length - 1 : above;
    if (top === 0 || above < 0) return top;
    return top - 1 + Math.log(value / levels[top - 1]) / Math.log(levels[top] / levels[top - 1]);
  };
  const x = (shots) => PLOT.left + (place(surface.shots, shots) + 0.5) * width;
  const y = (objects) => PLOT.bottom - (place(surface.objects, objects) + 0.5) * height;
  svg.setAttribute("viewBox", "0 0 340 205");
  svg.replaceChildren();
  surface.objects.forEach((objects, row) => surface.shots.forEach((shots, column) => {
    const one = surface.accuracy[row][column], heat = 1 + Math.min(4, Math.floor((5 * (one.estimate - low)) / range));
    const words = `${objects.toFixed(0)} objects of each class × ${shots.toFixed(0)} shots: ${(100 * one.estimate).toFixed(1)} % ` +
      `(${(100 * one.low).toFixed(1)} to ${(100 * one.high).toFixed(1)})`;
    const box = { x: PLOT.left + column * width, y: PLOT.bottom - (row + 1) * height, width: width - 1, height: height - 1 };
    svg.append(drawn("rect", { ...box, class: `cell heat${heat}` }, words));
  }));
  surface.objects.forEach((objects) => svg.append(label(PLOT.left - 5, y(objects), objects.toFixed(0), "end")));
  surface.shots.forEach((shots) => svg.append(label(x(shots), PLOT.bottom + 12, shots.toFixed(0))));
  svg.append(label((PLOT.left + PLOT.right) / 2, PLOT.bottom + 28, "shots of each object; upwards: objects of each class"));
  const captured = [x(advice.images / advice.objects), y(advice.objects / advice.classes)], best = advice.best;
  svg.append(drawn("circle", { cx: captured[0], cy: captured[1], r: 5, fill: "var(--ink)", stroke: "var(--ground)" }, "captured"));
  if (best && best.objects) {
    const [across, up] = [x(best.shots), y(advice.objects / advice.classes + best.objects)];
    svg.append(drawn("path", { d: `M${across} ${up - 6}l6 6l-6 6l-6 -6z`, fill: "var(--rust)", stroke: "var(--ground)" }, "best bought next"));
  }
  return "Accuracy on new objects that these images foretell; dot: captured" + (best && best.objects ? "; diamond: the best use of as many images again." : ".");
}
