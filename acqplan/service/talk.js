"use strict";
// Talking to the server: a token where one is needed, and events as they come.

const $ = (name) => document.getElementById(name);
const TOKEN = "acqplan-token";
let alive = false;

// A link may carry the token behind "#token=": browsers send that part to nobody, and it is not kept in the history.
if (location.hash.startsWith("#token=")) {
  sessionStorage.setItem(TOKEN, decodeURIComponent(location.hash.slice(7)));
  history.replaceState(null, "", location.pathname);
}

class Refused extends Error {
  constructor(status, said) {
    super(said.hint ? `${said.error}; ${said.hint}` : said.error);
    this.status = status;
  }
}

function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

// Go on once somebody has typed the token.
function whenShown(deed) {
  $("token").onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, $("secret").value);
    $("token").hidden = true;
    complain(null);
    deed();
  };
}

async function request(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers(options.headers), cache: "no-cache" });
  if (answer.ok) return answer;
  if (answer.status === 401) $("token").hidden = false;
  const said = await answer.json().catch(() => ({ error: `status ${answer.status}` }));
  throw new Refused(answer.status, said);
}

async function read(path) {
  return (await request(path)).json();
}

async function post(path, body = {}) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return (await request(path, options)).json();
}

function picturePath(shot, kind = "thumbnail") {
  return `shots/${encodeURIComponent(shot)}/${kind}`;
}

function complain(error) {
  $("trouble").textContent = error ? error.message : "";
  $("trouble").hidden = !error;
}

function showAlive(yes) {
  alive = yes;
  $("alive").className = yes ? "dot on" : "dot";
  $("alive-words").textContent = yes ? "live" : "connection lost; trying again";
}

// A stream read by fetch and not by EventSource, which cannot send a token.
async function listen(after, hear) {
  const answer = await request(`stream?after=${after}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const watch = { timer: 0 };
  const wait = () => {
    clearTimeout(watch.timer);
    watch.timer = setTimeout(() => reader.cancel(), 40000); // two heartbeats and some: a dead connection says nothing
  };
  let text = "";
  showAlive(true);
  for (wait(); ; wait()) {
    const { value, done } = await reader.read();
    if (done) break;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const line = part.split("\n").find((one) => one.startsWith("data: "));
      if (line) hear(JSON.parse(line.slice(6)));
    }
  }
  clearTimeout(watch.timer);
}

// Do something at most once in a time, and once more at its end if it was wanted meanwhile.
function throttled(seconds, deed) {
  let waiting = false, again = false;
  const run = async () => {
    waiting = true;
    again = false;
    await deed();
    setTimeout(() => { waiting = false; if (again) run(); }, 1000 * seconds);
  };
  return () => { if (waiting) again = true; else run(); };
}

const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
