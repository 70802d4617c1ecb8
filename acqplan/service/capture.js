// Capturing by hand: the next shot as a sentence and a picture, a photograph of it, and the next one.

const CALLER = "acqplan-caller", MEMORY = "acqplan-memory";
const PASSING = [408, 502, 503, 504, 507]; // statuses of what may be over in a moment
const REASONS = ["cannot be set so", "object is not here", "something is in the way", "lamp does not work"];
const most = Number(document.querySelector("main").dataset.most);
const caller = remembered(CALLER) || `telephone-${[...crypto.getRandomValues(new Uint8Array(5))].map((one) => one.toString(36)).join("")}`;
localStorage.setItem(CALLER, JSON.stringify(caller));
let rig = null, shot = null, photo = null, state = "loading";
let redo = false; // whether the shot is captured already, and its photograph is taken once more
let memory = { before: null, undo: null }; // steps of the shot before, and what `undo` would take back

function remembered(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

function remember(more) {
  memory = { ...memory, ...more, rig: rig.key };
  localStorage.setItem(MEMORY, JSON.stringify(memory));
}

function show(name) {
  state = name;
  const held = name === "shot" && !redo ? ["fresh"] : redo && name !== "sending" ? ["redo"] : [];
  if (memory.undo && !redo && ["shot", "idle"].includes(name)) held.push("undo");
  for (const one of document.querySelectorAll("[data-when]")) one.hidden = !one.dataset.when.split(" ").some((when) => [name, ...held].includes(when));
}

function note(words) {
  $("note").textContent = words;
  $("note").hidden = !words;
}

// Do something until the server has answered; what it refuses is an error.
async function stubbornly(deed, words) {
  for (let wait = 1; ; wait = Math.min(2 * wait, 15)) {
    try {
      const found = await deed();
      $("offline").hidden = true;
      return found;
    } catch (error) {
      $("offline").hidden = error instanceof Refused && !PASSING.includes(error.status);
      if ($("offline").hidden) throw error;
      $("offline-words").textContent = `${error instanceof Refused ? error.message : "No connection"}. ${words}`;
      await Promise.race([sleep(wait), new Promise((done) => { $("now").onclick = window.ononline = done; })]);
    }
  }
}

// The shot that this telephone is to take: the one it holds already, else the next of the queue.
async function next(words = "") {
  note(words);
  redo = false;
  photo = null;
  await forgetPhotograph();
  const answer = await stubbornly(() => post("ask", { n: 1, caller, resume: true }), "Trying again.");
  await refresh();
  if (!answer.shots.length) return idle(answer.finished);
  begin(answer.shots[0]);
}

function begin(one) {
  shot = one;
  showSentence();
  $("views").replaceChildren(...viewPictures(rig.axes, shot.steps, redo ? null : memory.before));
  $("nearest").replaceChildren();
  show("shot");
  showNearest(one);
}

// What differs from the shot before is what there is to do.
function showSentence() {
  const before = redo ? null : memory.before, setting = (step) => ("setting" in step ? step.setting : step.do);
  const parts = shot.steps.map((step, place) => (before && setting(before[place]) === setting(step) ? ["still", step.still] : ["", step.do]));
  parts[0][1] = parts[0][1].charAt(0).toUpperCase() + parts[0][1].slice(1);
  $("say").className = "";
  $("say").replaceChildren(...parts.flatMap(([kind, words], place) => [element("span", kind, `${words}${place < parts.length - 1 ? "," : "."}`), " "]));
  $("about").textContent = redo ? `${shot.object} · ${shot.label} · taken already: another photograph takes the place of the first` : `${shot.object} · ${shot.label}`;
}

async function showNearest(one) {
  try {
    const found = redo ? { shot: one.id, say: "" } : await read(`shots/${encodeURIComponent(one.id)}/nearest`);
    if (!found.shot) return;
    const picture = document.createElement("img");
    picture.alt = `${one.object}, ${found.say}`;
    picture.src = URL.createObjectURL(await (await request(picturePath(found.shot))).blob());
    picture.onload = () => URL.revokeObjectURL(picture.src);
    const words = redo ? "This is the photograph that it has." : `The nearest photograph of ${one.object} so far: ${found.say}.`;
    if (shot === one) $("nearest").replaceChildren(picture, element("figcaption", "", words));
  } catch {
    // the shot can be taken without a picture of another
  }
}

function idle(finished) {
  shot = null;
  const isPaused = !finished && pace.paused, isPlanning = Boolean((pace.background || {}).doing);
  const words = isPaused ? "Paused" : isPlanning ? "The next round is being planned …" : "All that is left is held by others; waiting …";
  $("say").textContent = finished ? `Finished: ${finished}` : words;
  $("say").className = finished ? "good" : "held";
  show(isPaused ? "paused" : "idle");
}

// How far it is.

let pace = {};

async function refresh() {
  try {
    pace = await read("status");
  } catch (error) {
    if (error instanceof Refused) complain(error);
    return;
  }
  const { captured, budget, remaining_seconds: left, finished } = pace;
  const end = new Date(Date.now() + 1000 * left).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const ending = left && !finished ? `, about ${duration(left)} left, ends at ${end}` : "";
  $("pace").textContent = `${count(captured)} of ${count(budget)}${ending}`;
  const bar = element("i");
  bar.style.width = `${(100 * captured) / Math.max(budget, 1)}%`;
  $("whole").replaceChildren(bar);
  document.title = `${count(captured)} of ${count(budget)} · Capture`;
}

// What a person does.

async function took(input) {
  const [file] = input.files;
  if (!file) return;
  complain(null);
  note("");
  try {
    // read at once: a telephone may take the file away meanwhile
    photo = new Blob([await file.arrayBuffer()], { type: file.type });
  } catch {
    return complain(new Error("The photograph cannot be read; take it again."));
  } finally {
    input.value = "";
  }
  if (photo.size > most) {
    return complain(new Error(`The photograph has ${sizeWords(photo.size)}, more than ${sizeWords(most)}; choose a smaller size in the camera, or start acqplan serve with more --max-upload.`));
  }
  await keepPhotograph({ rig: rig.key, shot, photo, redo, sent: false });
  preview();
}

const sizeWords = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

function preview() {
  const words = sizeWords(photo.size);
  $("preview").onload = () => {
    $("preview-words").textContent = `${words}, ${$("preview").naturalWidth} × ${$("preview").naturalHeight} pixels`;
    URL.revokeObjectURL($("preview").src);
  };
  $("preview").onerror = () => { $("preview-words").textContent = `${words}; this browser cannot show it, but it can be sent`; };
  $("preview").src = URL.createObjectURL(photo);
  show("preview");
}

async function send() {
  complain(null);
  show("sending");
  showSent(0);
  await keepPhotograph({ rig: rig.key, shot, photo, redo, sent: true });
  const path = `shots/${encodeURIComponent(shot.id)}/image${redo ? "?replace=true" : ""}`;
  let answer;
  try {
    answer = await stubbornly(() => sendPhotograph(path, photo, showSent), "The photograph is kept on this telephone, and sent again.");
  } catch (error) {
    // the shot is taken meanwhile, or not wanted any more
    if ([404, 409].includes(error.status)) return next(error.message);
    await keepPhotograph({ rig: rig.key, shot, photo, redo, sent: false });
    show("preview");
    return complain(error.status === 422 && (await isHeic(photo)) ? new Error(HEIC_ADVICE) : error);
  }
  remember({ before: shot.steps, undo: { kind: "told", shot } });
  const said = { replaced: "The first photograph is replaced.", surplus: "Another telephone took this one meanwhile: yours is kept aside." };
  return next([said[answer.outcome], ...(answer.notes || [])].filter(Boolean).join(" "));
}

function showSent(share) {
  const bar = element("i");
  bar.style.width = `${100 * share}%`;
  $("sent").replaceChildren(bar);
  $("sent-words").textContent = share < 1 ? `Sending: ${Math.round(100 * share)} %` : "Sent; it is being looked at.";
}

async function skip(retry) {
  const chosen = document.querySelector("#reasons .on");
  const reason = $("reason").value.trim() || (chosen && chosen.textContent) || "skipped";
  const { events: last } = await stubbornly(() => read("status"), "Trying again.");
  await stubbornly(() => post(`shots/${encodeURIComponent(shot.id)}/fail`, { reason, retry, caller }), "Trying again.");
  const { events } = await stubbornly(() => read(`events?after=${last}`), "Trying again.");
  const given = events.find((event) => event.kind === "rejected" && event.shot === shot.id);
  remember({ before: shot.steps, ...(given ? { undo: { kind: "given up", shot, event: given.number } } : {}) });
  return next(given ? "That shot is given up." : "That shot comes again later.");
}

async function undo() {
  const { kind, shot: before, event } = memory.undo;
  note("");
  remember({ undo: null });
  if (kind === "told") {
    redo = true;
    return begin(before);
  }
  await stubbornly(() => post("undo", { event }), "Trying again.");
  return next("That shot is wanted again.");
}

// One thing at a time: buttons wait while something is under way.
async function deed(doing) {
  const buttons = document.querySelector(".thumbs");
  if (buttons.inert) return;
  buttons.inert = true;
  try {
    complain(null);
    await doing();
  } catch (error) {
    complain(error);
  } finally {
    buttons.inert = false;
  }
}

function offerReasons() {
  $("reasons").replaceChildren(...REASONS.map((words) => {
    const made = element("button", "", words);
    made.type = "button";
    made.onclick = () => {
      for (const one of $("reasons").children) one.className = one === made && !made.className ? "on" : "";
    };
    return made;
  }));
  $("reason").value = "";
}

async function start() {
  rig = await stubbornly(() => read("rig"), "Trying again.");
  rig.key = JSON.stringify(rig); // what is remembered of another campaign means nothing here
  $("place").textContent = rig.place;
  const before = remembered(MEMORY);
  memory = before && before.rig === rig.key ? before : memory;
  const kept = await keptPhotograph();
  if (!kept || kept.rig !== rig.key) return next();
  ({ shot, photo, redo } = kept);
  showSentence();
  preview();
  await refresh();
  return kept.sent ? send() : undefined;
}

for (const name of ["camera", "file"]) $(name).onchange = (event) => took(event.target);
$("send").onclick = () => deed(send);
$("again").onclick = () => deed(async () => { await forgetPhotograph(); begin(shot); });
$("keep").onclick = () => deed(next);
$("undo").onclick = () => deed(undo);
$("skip").onclick = () => { offerReasons(); $("skipping").showModal(); };
$("later").onclick = () => deed(() => skip(true));
$("never").onclick = () => deed(() => skip(false));
$("pause").onclick = () => deed(async () => { await post("pause"); await next(); });
$("resume").onclick = () => deed(async () => { await post("resume"); await next(); });
whenShown(() => deed(start));
setInterval(() => {
  if (document.hidden || !rig) return;
  if (["idle", "paused"].includes(state)) deed(() => next($("note").textContent)); else if (state === "shot") refresh();
}, 5000);
show("loading");
deed(start);
