// A plot of memory against its limit, with the forecast as a wedge. Drawn as SVG from numbers only.

import { bytes, bytesShort, span } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 190;
const PAD = { top: 20, right: 12, bottom: 24, left: 62 };

function node(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text != null) element.textContent = text;
  parent.append(element);
  return element;
}

// Ticks at 1, 2 or 5 times a power of two in bytes, at most five.
function byteTicks(top) {
  let step = 2 ** Math.floor(Math.log2(top / 4));
  if (top / step > 5) step *= 2;
  const ticks = [];
  for (let value = 0; value <= top; value += step) ticks.push(value);
  return ticks;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 172800];

function timeTicks(from, to, width) {
  const wanted = (to - from) / Math.max(2, width / 110);
  const step = STEPS.find((s) => s >= wanted) ?? 604800;
  const ticks = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) ticks.push(t);
  return ticks;
}

// How far to the right the forecast is followed: to the limit if that is near, else as far as the past is long.
function ahead(past, forecast) {
  if (!forecast) return 0;
  return Math.min((forecast.high ?? forecast.estimate * 1.3) * 1.05, Math.max(past, 10) * 1.5);
}

function line(points, x, y) {
  return points.map(([t, v], i) => `${i ? "L" : "M"}${x(t).toFixed(1)} ${y(v).toFixed(1)}`).join("");
}

// Draws into `figure`: rows of the series, and the assessment's limit, trend and forecast.
export function draw(figure, rows, assessment) {
  const width = Math.max(240, Math.floor(figure.clientWidth) || 600);
  figure.replaceChildren();
  if (rows.length < 2) {
    const wait = document.createElement("figcaption");
    wait.className = "quiet";
    wait.textContent = "The plot begins with the second sample.";
    figure.append(wait);
    return;
  }
  const now = rows[rows.length - 1].wall;
  const past = now - rows[0].wall;
  const forecast = assessment?.forecast ?? null;
  const limit = assessment?.limit ?? null;
  const future = ahead(past, forecast);
  const peak = rows.reduce((max, row) => Math.max(max, row.unreclaimable, row.rss), 1);
  const top = Math.max(peak, limit ?? 0) * 1.06;
  const x = (t) => PAD.left + ((t + past) / (past + future || 1)) * (width - PAD.left - PAD.right);
  const y = (v) => HEIGHT - PAD.bottom - (v / top) * (HEIGHT - PAD.top - PAD.bottom);

  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("role", "img");
  node(svg, "title", {}, caption(rows, past, limit, forecast));
  axes(svg, { x, y, top, past, future, width });
  series(svg, rows, now, x, y);
  if (forecast && limit != null) wedge(svg, { x, y, future, forecast, limit, from: assessment.used });
  if (limit != null) {
    node(svg, "line", { class: "limit", x1: PAD.left, x2: width - PAD.right, y1: y(limit), y2: y(limit) });
    node(svg, "text", { class: "limit-name", x: PAD.left + 6, y: y(limit) - 6 }, `limit ${bytes(limit)}`);
  }
  figure.append(svg, legend(forecast && limit != null));
}

function legend(forecast) {
  const made = document.createElement("figcaption");
  made.className = "quiet";
  const keys = [["used", "counts against the limit"], ["resident", "resident"]];
  if (forecast) keys.push(["expected", "expected, with the interval"]);
  for (const [name, words] of keys) {
    const key = document.createElement("span");
    key.className = `key ${name}`;
    key.textContent = words;
    made.append(key);
  }
  return made;
}

function caption(rows, past, limit, forecast) {
  const last = rows[rows.length - 1].unreclaimable;
  const parts = [`Memory over the last ${span(past)}: from ${bytes(rows[0].unreclaimable)} to ${bytes(last)}`];
  if (limit != null) parts.push(`limit ${bytes(limit)}`);
  if (forecast) parts.push(`the limit is hit in about ${span(forecast.estimate)}`);
  return parts.join(", ");
}

function axes(svg, { x, y, top, past, future, width }) {
  for (const value of byteTicks(top)) {
    node(svg, "line", { class: "grid", x1: PAD.left, x2: width - PAD.right, y1: y(value), y2: y(value) });
    node(svg, "text", { class: "tick", x: PAD.left - 8, y: y(value) + 4, "text-anchor": "end" }, bytesShort(value));
  }
  for (const t of timeTicks(-past, future, width)) {
    const label = t === 0 ? "now" : t > 0 ? `in ${span(t)}` : `−${span(-t)}`;
    const nearEdge = x(t) < PAD.left + 24 || x(t) > width - PAD.right - 30;
    if (nearEdge && t !== 0) continue;
    const anchor = x(t) > width - PAD.right - 20 ? "end" : "middle";
    node(svg, "text", { class: "tick", x: x(t), y: HEIGHT - 6, "text-anchor": anchor }, label.replace(/\.0 s$/, " s"));
  }
  if (future > 0) node(svg, "line", { class: "now", x1: x(0), x2: x(0), y1: PAD.top, y2: y(0) });
}

function series(svg, rows, now, x, y) {
  const points = (field) => rows.map((row) => [row.wall - now, row[field]]);
  const used = line(points("unreclaimable"), x, y);
  const start = x(rows[0].wall - now).toFixed(1);
  node(svg, "path", { class: "area", d: `${used}L${x(0).toFixed(1)} ${y(0)}L${start} ${y(0)}Z` });
  node(svg, "path", { class: "rss", d: line(points("rss"), x, y) });
  node(svg, "path", { class: "used-line", d: used });
}

// From what is used now to the limit: between the soonest and the latest time, and along the estimate.
function wedge(svg, { x, y, future, forecast, limit, from }) {
  const until = (seconds) => {
    if (seconds == null) return [future, from];
    if (seconds <= future) return [seconds, limit];
    return [future, from + ((limit - from) * future) / seconds];
  };
  const low = until(forecast.low);
  const high = until(forecast.high);
  const corners = [[0, from], low];
  if (low[1] >= limit && high[0] >= future && high[1] < limit) corners.push([future, limit]);
  corners.push(high);
  node(svg, "path", { class: "wedge", d: `${line(corners, x, y)}Z` });
  node(svg, "path", { class: "estimate", d: line([[0, from], until(forecast.estimate)], x, y) });
}
