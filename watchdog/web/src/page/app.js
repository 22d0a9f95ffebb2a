// The page: asks the API, puts what it says into the document as text, never as markup.

import { by, changed, code, element, put } from "./dom.js";
import { dumpRow, dumps as dumpsOf, place, suspects } from "./heap.js";
import { draw } from "./plot.js";
import { ago, bytes, clock, rate, span, state } from "./words.js";

const POLL = 1500;
const PATIENCE = 8000;
// Cards shown at most, most dangerous first, and rows of each list.
const MAX_CARDS = 40;
const MAX_ROWS = 12;

const cards = new Map();
let token = "";
// The target that the address names after #, as reports link to it; looked for once.
let wanted = location.hash.slice(1);
// Whether heaps are known to need the token. They do when the server is reached under a name that is not this machine's:
// one that listens on loopback answers under no other.
let guarded = !/^(localhost|127(\.\d+){3}|\[::1\])$/i.test(location.hostname);

async function ask(path, options = {}) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { ...options, headers, signal: AbortSignal.timeout(options.patience ?? PATIENCE) });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const error = new Error(body.error ?? `the watchdog answered ${response.status}`);
  error.status = response.status;
  throw error;
}

const json = async (path) => (await ask(path)).json();

// ---- cards

const visible = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.target.dataset.visible = entry.isIntersecting ? "yes" : "no";
}, { rootMargin: "200px" });

function card(name) {
  let made = cards.get(name);
  if (!made) {
    made = by("card").content.firstElementChild.cloneNode(true);
    made.dataset.visible = "yes";
    made.querySelector(".capture").addEventListener("click", (event) => capture(name, event.currentTarget));
    visible.observe(made);
    cards.set(name, made);
  }
  return made;
}

function fill(article, target, incident, dumps, now) {
  const [className, words] = state(target);
  article.dataset.state = className;
  put(article, ".name", target.name);
  put(article, ".state", words);
  put(article, ".who", who(target, now));
  const assessment = target.assessment;
  put(article, ".sentence", assessment ? assessment.verdict.sentence : "Waiting for the first sample.");
  article.querySelector(".sentence").dataset.kind = assessment?.verdict.kind ?? "";
  figures(article, target);
  suspects(article, incident);
  dumpsOf(article, dumps, opening);
  article.querySelector(".capture").hidden = !target.up;
}

function who(target, now) {
  const { namespace, pod, version, pid } = target.identity;
  const parts = [`process ${pid}`];
  if (pod) parts.push(namespace ? `${namespace}/${pod}` : pod);
  if (version) parts.push(`version ${version}`);
  if (target.sample) parts.push(`up ${span(target.sample.age)}`);
  if (target.sample && now - target.sample.wall > 20) parts.push(`last seen ${ago(now - target.sample.wall)}`);
  if (target.oom_kills) parts.push(`${target.oom_kills} OOM kill${target.oom_kills > 1 ? "s" : ""}`);
  return parts.join(" · ");
}

function figures(article, target) {
  const { used, limit, assessment } = target;
  put(article, ".used", bytes(used));
  const share = limit ? used / limit : null;
  const source = target.limit_source ? ` (${target.limit_source})` : "";
  put(article, ".used-of", limit ? `${Math.round(share * 100)} % of ${bytes(limit)}${source}` : target.sample ? "no limit is known" : "");
  const meter = article.querySelector(".meter");
  meter.hidden = share == null;
  meter.firstElementChild.style.width = `${Math.min(100, (share ?? 0) * 100)}%`;
  if (share != null) meter.setAttribute("aria-label", `${Math.round(share * 100)} percent of the limit is used`);

  const trend = assessment?.trend;
  put(article, ".growth", trend ? rate(trend.slope) : "–");
  put(article, ".growth-range", trend ? `${rate(trend.low)} to ${rate(trend.high)}` : target.sample ? "no trend known yet" : "");
  const forecast = target.up ? assessment?.forecast : null;
  put(article, ".eta", forecast ? span(forecast.estimate) : "–");
  put(article, ".eta-range", forecast ? interval(forecast) : limit ? "no growth towards the limit" : "");
}

function interval({ low, high }) {
  return high == null ? `${span(low)} at the soonest` : `between ${span(low)} and ${span(high)}`;
}

async function plot(article, target) {
  const rows = article.dataset.rows ? Number(article.dataset.rows) : 0;
  // As many rows as the plot has room for; the server keeps at most a thousand.
  const step = rows > 400 && article.dataset.span ? `?step=${Number(article.dataset.span) / 300}` : "";
  const series = await json(`/api/v1/targets/${encodeURIComponent(target.name)}/series${step}`);
  if (!step) article.dataset.rows = series.rows.length;
  if (series.rows.length > 1) article.dataset.span = series.rows.at(-1).wall - series.rows[0].wall;
  draw(article.querySelector(".plot"), series.rows, target.assessment);
}

// ---- lists

function incidentRow(incident, now) {
  const row = element("li");
  row.dataset.state = incident.state;
  const head = element("p", null, "row-head");
  head.append(element("strong", incident.target.name), element("span", incident.state, "state"));
  row.append(head);
  const parts = [`opened ${clock(incident.opened)}`];
  if (incident.closed) parts.push(`ended after ${span(incident.closed - incident.opened)}`);
  else if (incident.kill) parts.push(`limit hit about ${clock(incident.kill.estimate)}`);
  else parts.push(ago(now - incident.opened));
  row.append(element("p", parts.join(" · "), "quiet"));
  if (incident.culprit) {
    row.append(code(element("p", null, "function"), incident.culprit.frame.function));
    if (incident.culprit.frame.file) row.append(code(element("p", null, "quiet"), place(incident.culprit.frame)));
  }
  if (incident.evidence) row.append(element("p", incident.evidence));
  return row;
}

function list(id, rows, make, none) {
  const place = by(id);
  if (!changed(place, rows)) return;
  const shown = rows.slice(0, MAX_ROWS).map(make);
  if (!shown.length) shown.push(element("li", none, "quiet"));
  if (rows.length > MAX_ROWS) shown.push(element("li", `and ${rows.length - MAX_ROWS} more in the API`, "quiet"));
  place.replaceChildren(...shown);
}

// ---- heap dumps

function say(text, error) {
  by("note").textContent = text;
  by("note").className = error ? "problem" : "";
}

function trouble(error) {
  say(error.message, true);
  if (error.status === 401) {
    guarded = true;
    by("token-form").hidden = false;
    by("token").focus();
  }
}

async function capture(name, button) {
  button.disabled = true;
  say(`Taking a heap dump of ${name} …`);
  try {
    await ask(`/api/v1/targets/${encodeURIComponent(name)}/heap-dumps`, { method: "POST", patience: 15000 });
    say(`A heap dump of ${name} was taken.`);
  } catch (error) {
    trouble(error);
  } finally {
    button.disabled = false;
  }
}

// Through fetch and not by the link itself, as the token travels in a header.
async function download(href) {
  try {
    const response = await ask(href, { patience: 60000 });
    const named = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "");
    const link = element("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = named ? named[1] : "profile.heap";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    trouble(error);
  }
}

// How a dump is opened: a drawing by the browser itself unless the token has to travel along.
const opening = { guarded: () => guarded || token !== "", download };

by("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = by("token").value.trim();
  by("token").value = "";
  by("token-form").hidden = true;
  say("The token is kept until this page is closed. Try again now.");
});

// ---- the round

function summarize(targets) {
  const counts = new Map();
  for (const target of targets) {
    const [, words, danger] = state(target);
    counts.set(words, { danger, count: (counts.get(words)?.count ?? 0) + 1 });
  }
  const order = [...counts].sort((a, b) => b[1].danger - a[1].danger);
  const text = order.map(([words, { count }]) => (targets.length === 1 ? words : `${count} × ${words.toLowerCase()}`)).join(", ");
  by("summary").textContent = targets.length ? text : "No target is watched yet.";
  const worst = targets.length ? state(targets[0]) : ["calm", "", 0];
  document.title = worst[2] >= 2 ? `${worst[1]}: ${targets[0].name} – Oomen` : "Oomen";
}

function arrange(targets) {
  const shown = targets.slice(0, MAX_CARDS).map((target) => card(target.name));
  const place = by("targets");
  // Moving a card takes the focus away, so it is moved only when its place changed.
  shown.forEach((article, i) => {
    if (place.children[i] !== article) place.insertBefore(article, place.children[i] ?? null);
  });
  for (const [name, article] of cards) {
    if (shown.includes(article)) continue;
    visible.unobserve(article);
    article.remove();
    cards.delete(name);
  }
  const rest = targets.length - shown.length;
  by("more").hidden = rest <= 0;
  by("more").textContent = `${rest} more targets, none more dangerous than these, are listed by /api/v1/targets.`;
  place.dataset.count = shown.length;
}

// Goes to the card of the target that the address names, once it is there.
function arrive() {
  if (!wanted) return;
  let name;
  try {
    name = decodeURIComponent(wanted);
  } catch {
    name = wanted;
  }
  wanted = "";
  const article = cards.get(name);
  if (!article) return;
  article.dataset.wanted = "yes";
  article.scrollIntoView({ block: "start" });
}

async function round() {
  const [{ targets }, { incidents }, { heap_dumps: dumps }] = await Promise.all([
    json("/api/v1/targets"),
    json("/api/v1/incidents"),
    json("/api/v1/heap-dumps"),
  ]);
  const now = Date.now() / 1000;
  targets.sort((a, b) => state(b)[2] - state(a)[2] || (b.used / b.limit || 0) - (a.used / a.limit || 0) || (a.name < b.name ? -1 : 1));
  arrange(targets);
  summarize(targets);
  const plots = [];
  for (const target of targets.slice(0, MAX_CARDS)) {
    const article = card(target.name);
    const own = incidents.filter((incident) => incident.target.name === target.name);
    const incident = own.find((incident) => incident.id === target.incident) ?? (target.up ? null : own[0]);
    fill(article, target, incident, dumps.filter((dump) => dump.target === target.name), now);
    if (article.dataset.visible === "yes") plots.push(plot(article, target));
  }
  list("incidents", incidents, (incident) => incidentRow(incident, now), "None so far.");
  const others = dumps.filter((dump) => !cards.has(dump.target));
  by("others").hidden = !others.length;
  list("dumps", others, (dump) => dumpRow(dump, others, { ...opening, named: true }), "None stored.");
  await Promise.allSettled(plots);
  arrive();
  by("clock").textContent = `as of ${clock(now)}`;
  document.body.dataset.stale = "no";
}

async function run() {
  if (!document.hidden) {
    try {
      await round();
    } catch (error) {
      document.body.dataset.stale = "yes";
      by("summary").textContent = `The watchdog does not answer: ${error.message}`;
    }
  }
  setTimeout(run, POLL);
}

run();
