// The page: what is shown, and what events change.

const LATEST = 12, LOGGED = 8;
const shots = new Map();
const pictures = new Map(); // object URLs by digest
let plan = null, dial = null, latest = [], status = null;

function button(words, deed) {
  const made = element("button", "small", words);
  made.onclick = () => act(deed);
  return made;
}

async function act(deed) {
  try {
    await deed();
    complain(null);
  } catch (error) {
    complain(error);
  }
  refresh();
}

// What the status says.

function showStatus() {
  const [words, kind] = stateWords();
  $("state").textContent = words;
  $("state").className = kind;
  document.title = `${count(status.captured)} of ${count(status.budget)} · ${$("place").textContent}`;
  const isSpent = status.exposures >= status.budget;
  $("pause").hidden = status.paused || Boolean(status.finished);
  $("resume").hidden = !(status.paused || (status.finished && !isSpent && (status.stopped || status.saturated)));
  $("whole").replaceChildren(...bars(status.captured, status.leased, status.exposures - status.captured, status.budget));
  $("tiles").replaceChildren(...tiles());
  showProgress("classes", status.by_class);
  showProgress("objects", status.by_object);
  showFailures();
  showRegions();
  showAdvice();
}

function stateWords() {
  if (status.finished) return [`Finished: ${status.finished}`, "good"];
  if (status.paused) return ["Paused", "held"];
  return status.leased || status.captured ? ["Running", ""] : ["Waiting for a rig to ask", ""];
}

function bars(captured, leased, lost, total) {
  const parts = [["", captured], ["failed", lost], ["leased", leased]];
  return parts.filter(([, many]) => many > 0).map(([kind, many]) => {
    const bar = element("i", kind);
    bar.style.width = `${(100 * many) / Math.max(total, 1)}%`;
    return bar;
  });
}

function tiles() {
  const { rate, time_budget: timeBudget, seconds_left: left } = status;
  const pace = rate.per_hour_last ? `at ${count(Math.round(rate.per_hour_last))} images an hour` : "no pace yet";
  const lost = status.exposures - status.captured;
  const found = [
    [count(status.captured), `of ${count(status.budget)} images`, lost ? `and ${count(lost)} that count, but are lost or set aside` : `${count(status.remaining)} still to hand out`],
    status.finished ? ["done", "nothing left to do", pace] : [status.remaining_seconds === null ? "–" : duration(status.remaining_seconds), "to go", pace],
    [count(status.leased), "leased now", `${count(status.queued)} wait in the queue`],
    [count(status.failed), "failed tries", `${count(status.rejected)} shots given up`],
  ];
  if (timeBudget !== null) found.push([duration(left), "of time left", `of ${duration(timeBudget)}`]);
  return found.map(([number, what, more]) => element("li", "", element("b", "", number), element("span", "", what), element("small", "", more)));
}

function showProgress(where, groups) {
  const rows = Object.entries(groups).map(([name, group]) => {
    const total = group.captured + group.leased + group.queued;
    const bar = element("div", "bar");
    bar.append(...bars(group.captured, group.leased, 0, total));
    const said = `${count(group.captured)} of ${count(total)}` + (group.rejected ? `, ${count(group.rejected)} given up` : "");
    return element("div", "", element("b", "", name), bar, element("span", "", said));
  });
  $(where).replaceChildren(...rows);
}

function showFailures() {
  const { by_region: regions, by_reason: reasons } = status.failures;
  const where = element("ul", "plain", ...regions.map((one) => element(
    "li", "", element("span", "bad-share", `${one.where} fails ${one.failed} of ${one.answers}`),
    ...(status.finished || status.regions.some((other) => other.where === one.where) ? [] : [button("forbid", () => post("forbid", { where: one.where }))]),
  )));
  const why = element("ul", "plain", ...Object.entries(reasons).map(([reason, many]) =>
    element("li", "", element("span", "", reason), element("span", "soft", `${count(many)}×`))));
  const notes = status.notes.map((one) => element("p", "bad-share", one));
  $("failures").replaceChildren(...notes, ...(status.failed ? [where, why] : [element("p", "soft", "None so far.")]));
}

function showRegions() {
  const rows = status.regions.map((one) =>
    element("li", "", element("code", "", one.where), button("allow again", () => post("allow", { where: one.where }))));
  $("regions").replaceChildren(...(rows.length ? rows : [element("li", "soft", "None: shots may be taken everywhere.")]));
}

function showAdvice() {
  const advice = status.advice || {}, background = status.background || {};
  $("curve-caption").textContent = drawCurve($("curve"), advice);
  $("surface-caption").textContent = drawSurface($("surface"), advice);
  const sentences = advice.sentences || [];
  $("advice").replaceChildren(...sentences.map((one) => element("li", "", one)));
  const doing = { plan: "The next round is being planned.", advice: "Advice is being worked out.", features: "New images are being looked at." };
  const failed = background.failed ? `In the background: ${background.failed.error}; ${background.failed.hint}` : "";
  const silent = sentences.length ? "" : "No advice yet: it comes with more images.";
  $("background").textContent = [silent, doing[background.doing] || "", failed].filter(Boolean).join(" ");
}

// What the plan and events say of shots.

async function showPlan() {
  plan = await read("plan");
  $("place").textContent = `${plan.place} · ${plan.rig}`;
  shots.clear();
  for (const [id, object, view, state, tries] of plan.shots) shots.set(id, { object, view, state, tries });
  dial = new Dial($("dial"), plan);
  latest = plan.latest;
  $("dial-caption").textContent = dial.caption() + (plan.omitted ? ` ${count(plan.omitted)} shots at the end of the queue are not drawn.` : "");
  offerObjects();
  redraw();
  await showLatest();
}

function offerObjects() {
  const before = $("whose").value;
  const option = (value, words) => { const made = element("option", "", words); made.value = value; return made; };
  const classes = [...new Set(plan.objects.map(([, name]) => name))].sort();
  $("whose").replaceChildren(option("", "all objects"), ...classes.map((name) => option(`class ${name}`, `class ${name}`)),
    ...plan.objects.map(([name]) => option(`object ${name}`, name)));
  $("whose").value = before;
  if ($("whose").selectedIndex < 0) $("whose").value = "";
}

function chosenShots() {
  const whose = $("whose").value;
  const wanted = plan.objects.map(([name, kind]) => !whose || whose === `class ${kind}` || whose === `object ${name}`);
  return [...shots.values()].filter((shot) => wanted[shot.object]);
}

const redraw = throttled(0.2, async () => dial && [dial.show(chosenShots()), showHemisphere(dial, chosenShots())]);

async function showLatest() {
  const wanted = latest.slice(0, LATEST);
  const figures = await Promise.all(wanted.map(async (one, place) => {
    const picture = document.createElement("img");
    picture.alt = `${one.object}, ${viewWords(one.shot)}`;
    picture.title = picture.alt;
    picture.src = await pictureOf(one);
    const opening = element("button", "", picture);
    opening.onclick = () => act(() => enlarge(one));
    return element("figure", place === 0 ? "fresh-one" : "", opening, element("figcaption", "", one.object, document.createElement("br"), clock(one.at)));
  }));
  $("latest").replaceChildren(...(figures.length ? figures : [element("p", "soft", "None yet.")]));
  for (const [digest, place] of pictures) if (!wanted.some((one) => one.digest === digest)) { URL.revokeObjectURL(place); pictures.delete(digest); }
}

const renewLatest = throttled(0.3, showLatest);

async function pictureOf(one) {
  if (!pictures.has(one.digest)) {
    try {
      pictures.set(one.digest, URL.createObjectURL(await (await request(picturePath(one.shot))).blob()));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return "data:,"; // the image is lost, or replaced meanwhile; the alternative text stays
    }
  }
  return pictures.get(one.digest);
}

// The whole picture, as large as the screen allows.
async function enlarge(one) {
  const place = URL.createObjectURL(await (await request(picturePath(one.shot, "image"))).blob()), picture = $("enlarged");
  picture.alt = $("enlarged-words").textContent = `${one.object}, ${viewWords(one.shot)}`;
  picture.onerror = () => { $("enlarged-words").textContent += ": this browser does not show files of this kind"; };
  picture.src = place;
  $("enlarging").onclose = () => { picture.onerror = null; picture.removeAttribute("src"); URL.revokeObjectURL(place); };
  $("enlarging").showModal();
}

function viewWords(id) {
  const shot = shots.get(id);
  return shot ? plan.axes.map((axis, place) => `${axis.name} ${shot.view[place]}`).join(", ") : "";
}

const STATES = { leased: "leased", told: "captured", rejected: "rejected", restored: "proposed", damaged: "proposed" };
const ANEW = ["replanned", "forbidden", "allowed", "object added", "object removed"];

function hear(event) {
  plan.last = event.number;
  if (event.kind in WORDS) log(event);
  if (ANEW.includes(event.kind)) replan();
  const shot = shots.get(event.shot);
  if (shot) {
    if (event.kind in STATES) shot.state = STATES[event.kind];
    if (event.kind === "failed") shot.tries += 1;
    if (event.kind === "restored") shot.tries = 0;
    if (["failed", "expired"].includes(event.kind) && shot.state === "leased") shot.state = "proposed";
    if (event.kind === "told") captured(event, shot);
    redraw();
  }
  refresh();
}

function captured(event, shot) {
  const [object, kind] = plan.objects[shot.object];
  latest = latest.filter((one) => one.shot !== event.shot);
  latest.unshift({ shot: event.shot, object, label: kind, digest: event.body.digest, at: event.at });
  dial.flash(shot.view);
  renewLatest();
}

const WORDS = {
  told: (event) => `${event.shot} captured`,
  surplus: (event) => `${event.shot} came too late: kept aside`,
  failed: (event) => `${event.shot} failed: ${event.body.reason || "no reason given"}`,
  rejected: (event) => `${event.shot} given up`,
  damaged: (event) => `${event.shot}: its image is lost`,
  replanned: (event) => (event.body.replaces ? `round ${event.body.round} planned: ${count(event.body.shots)} shots` : `${count(event.body.shots)} shots drawn in place of others`),
  forbidden: (event) => `forbidden: ${event.body.where}`,
  allowed: (event) => `allowed again: ${event.body.where}`,
  paused: () => "paused",
  resumed: () => "resumed",
  continued: () => "going on",
  stopped: (event) => `stopped: ${event.body.reason}`,
  budget: (event) => `budget: ${count(event.body.budget)} images`,
  advised: () => "advice is given",
  "object added": (event) => `object ${event.body.object} added`,
  "object removed": (event) => `object ${event.body.object} taken away`,
};

function log(event) {
  const bad = ["failed", "rejected", "damaged", "stopped"].includes(event.kind);
  $("log").prepend(element("li", "", element("time", "", clock(event.at)), element("span", bad ? "bad" : "", WORDS[event.kind](event))));
  while ($("log").children.length > LOGGED) $("log").lastChild.remove();
}

// How it runs.

const refresh = throttled(0.8, async () => {
  try {
    status = await read("status");
    showStatus();
  } catch (error) {
    if (alive || error instanceof Refused) complain(error);
  }
});

const replan = throttled(1, async () => {
  try {
    await showPlan();
  } catch (error) {
    complain(error);
  }
});

async function follow() {
  for (let wait = 1; ; wait = Math.min(2 * wait, 15)) {
    try {
      await showPlan();
      const before = await read(`events?after=${Math.max(plan.last - 60, 0)}&limit=60`);
      $("log").replaceChildren();
      before.events.filter((event) => event.kind in WORDS).forEach(log);
      complain(null);
      refresh();
      wait = 1;
      await listen(plan.last, hear);
    } catch (error) {
      if (error instanceof Refused) complain(error);
      if (error.status === 401) return;
    }
    showAlive(false);
    await sleep(wait);
  }
}

$("enlarging").onclick = () => $("enlarging").close();
$("pause").onclick = () => act(() => post("pause"));
$("resume").onclick = () => act(() => post("resume"));
$("whose").onchange = () => redraw();
$("forbid").onsubmit = (event) => {
  event.preventDefault();
  act(async () => { await post("forbid", { where: $("where").value }); $("where").value = ""; });
};
whenShown(follow);
setInterval(() => alive && refresh(), 5000); // rates and times change without events
$("legend").append(...legend());
follow();
