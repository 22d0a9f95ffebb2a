// Who keeps the memory, and the heap dumps that show it.

import { by, changed, code, element, put } from "./dom.js";
import { bytes, clock, hourly, span } from "./words.js";

// Rows shown at most.
const MAX_DUMPS = 8;
const MAX_SUSPECTS = 5;

export function place(frame) {
  if (!frame.file) return "";
  return frame.line ? `${frame.file}:${frame.line}` : frame.file;
}

// ---- suspects

// The functions that are named, most suspicious first. What is not known of one is not shown.
export function suspects(article, incident) {
  const named = incident?.suspects?.length ? incident.suspects : [incident?.culprit].filter(Boolean);
  article.querySelector(".culprit").hidden = !named.length;
  put(article, ".culprit h3", named.length > 1 ? "Who keeps the memory, most suspicious first" : "Who keeps the memory");
  const pending = put(article, ".pending", incident?.culprit_pending ?? "");
  pending.hidden = Boolean(named.length) || !incident?.culprit_pending;
  const rows = article.querySelector(".suspects");
  const shown = named.slice(0, MAX_SUSPECTS);
  while (rows.children.length > shown.length) rows.lastElementChild.remove();
  while (rows.children.length < shown.length) rows.append(by("suspect").content.firstElementChild.cloneNode(true));
  shown.forEach((found, i) => suspect(rows.children[i], found));
}

function suspect(row, found) {
  code(row.querySelector(".function"), found.frame.function);
  const where = code(row.querySelector(".place"), place(found.frame));
  where.hidden = !where.textContent;
  put(row, ".more", `${bytes(found.growth)} more`);
  put(row, ".more-than", `than ${span(found.over_seconds)} before`);
  const known = found.rate > 0;
  row.querySelector(".pace").hidden = !known;
  put(row, ".hourly", known ? hourly(found.rate) : "");
  const interval = known && found.rate_high > 0;
  put(row, ".hourly-range", interval ? `${hourly(found.rate_low)} to ${hourly(found.rate_high)}, 90 % sure` : "");
  put(row, ".share", `${Math.round(found.share * 100)} % of all growth`);
  const profiles = found.profiles ? ` in ${found.profiles} profiles` : "";
  put(row, ".rests", `seen in ${found.samples} samples${profiles}`);
  const stack = row.querySelector(".stack");
  row.querySelector("details").hidden = !found.stack.length;
  if (!changed(stack, found.stack)) return;
  stack.replaceChildren(...found.stack.map((frame) => {
    const line = code(element("li"), frame.function);
    if (frame.function === found.frame.function) line.className = "own";
    if (frame.file) line.append(code(element("span", null, "quiet"), place(frame)));
    return line;
  }));
}

// ---- dumps

const path = (dump, query) => `/api/v1/heap-dumps/${encodeURIComponent(dump.id)}${query}`;

// The oldest dump of the same process: what growth is counted from.
function first(dump, dumps) {
  const same = dumps.filter((other) => other.target === dump.target && other.pid === dump.pid);
  return same.reduce((oldest, other) => (other.taken < oldest.taken ? other : oldest), dump);
}

// A link to one form of a dump. A drawing opens by itself; a file, and everything while a token is needed, is fetched.
function link(words, label, href, open) {
  const made = element("a", words);
  made.href = href;
  made.setAttribute("aria-label", label);
  if (open.drawing) {
    made.target = "_blank";
    made.rel = "noopener";
  }
  made.addEventListener("click", (event) => {
    if (open.drawing && !open.guarded()) return;
    event.preventDefault();
    open.download(made.href);
  });
  return made;
}

function memoryThen(dump) {
  if (dump.used == null) return "";
  return dump.limit ? `${bytes(dump.used)} of ${bytes(dump.limit)} used` : `${bytes(dump.used)} used`;
}

export function dumpRow(dump, dumps, { guarded, download, named }) {
  const row = element("li");
  const head = element("p", null, "row-head");
  const time = element("time", `${named ? `${dump.target}, ` : ""}${clock(dump.taken)}`);
  time.dateTime = new Date(dump.taken * 1000).toISOString();
  head.append(time, element("span", dump.verdict ?? "", "quiet"));
  row.append(head);
  const inHeap = dump.inuse_space == null ? "" : `${bytes(dump.inuse_space)} in the heap`;
  const facts = [memoryThen(dump), inHeap, dump.reason, `file of ${bytes(dump.size)}`];
  row.append(element("p", facts.filter(Boolean).join(" · "), "quiet"));
  const links = element("p", null, "links");
  const of = `of the heap dump of ${dump.target} at ${clock(dump.taken)}`;
  const drawing = { drawing: true, guarded, download };
  const file = { drawing: false, guarded, download };
  links.append(link("flamegraph", `Flamegraph ${of}`, path(dump, "?format=flamegraph"), drawing));
  const base = first(dump, dumps);
  if (base !== dump) {
    const since = `growth since ${clock(base.taken)}`;
    const query = `?format=flamegraph&base=${encodeURIComponent(base.id)}`;
    links.append(link(since, `Flamegraph of the ${since}, ${of}`, path(dump, query), drawing));
  }
  links.append(link("pprof", `pprof file ${of}`, path(dump, "?format=pprof"), file));
  links.append(link("raw", `Raw file ${of}`, path(dump, ""), file));
  row.append(links);
  return row;
}

// The dumps of one target in its card, newest first.
export function dumps(article, own, open) {
  article.querySelector(".dumps").hidden = !own.length;
  const rows = article.querySelector(".dumps ol");
  if (!changed(rows, own)) return;
  const shown = own.slice(0, MAX_DUMPS).map((dump) => dumpRow(dump, own, { ...open, named: false }));
  const rest = own.length - shown.length;
  if (rest > 0) shown.push(element("li", `and ${rest} older in the API`, "quiet"));
  rows.replaceChildren(...shown);
}
