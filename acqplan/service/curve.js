// The learning curve, as the last advice has it.

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
