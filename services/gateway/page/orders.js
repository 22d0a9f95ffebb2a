// Orders: all of them, and one that is followed while it moves.

import { call, put, query } from "./api.js";
import { announce, clock, day, empty, h, icon, money, plural, toast } from "./dom.js";
import { worded } from "./form.js";
import { listed } from "./cart.js";

const STEPS = [
  ["placed", "Placed", "We have your order."], ["reserved", "Reserved", "Everything is put aside for you."],
  ["paid", "Paid", "Your card was charged."], ["notified", "Confirmed", "The confirmation is in your mailbox."],
];

const STATES = { placed: "Placed", reserved: "Reserved", paid: "Paid", notified: "Confirmed", cancelled: "Cancelled" };

/** Milliseconds between two looks at an order: the first, the last, and what is between them. */
const FIRST = 400;
const LONGEST = 8000;
const SLOWER = 1.4;

const link = (order) => `#/orders/${encodeURIComponent(order.id)}`;

const final = (order) => order.state === "notified" || order.state === "cancelled";

export function badge(state) {
  return h("span", { class: "badge", "data-state": state }, STATES[state] ?? state);
}

export async function orders({ signal }) {
  const first = await call("GET", "/api/orders", { signal });
  if (!first.items.length) return empty("No orders yet", "They will be listed here, the newest first.", "#/", "Look around");
  const list = h("ul", { class: "rows", role: "list" }, first.items.map(row));
  let next = first.next;
  const button = h("button", { class: "button plain", type: "button", onclick: async () => {
    if (button.hasAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    try {
      const page = await call("GET", `/api/orders${query({ cursor: next })}`, { signal });
      next = page.next;
      const rows = page.items.map(row);
      list.append(...rows);
      rows[0]?.querySelector("a").focus();
      button.hidden = !next;
    } catch (error) {
      if (error.name !== "AbortError") toast(worded(error));
    } finally {
      button.removeAttribute("aria-disabled");
    }
  } }, "Show older ones");
  button.hidden = !next;
  return h("div", null, h("h1", null, "Orders"), list, h("div", { class: "more" }, button));
}

function row(order) {
  const count = order.items.reduce((sum, { quantity }) => sum + quantity, 0);
  return h("li", null, h("a", { href: link(order), class: "name" }, `Order ${order.number}`),
    h("span", { class: "quiet" }, day(order.history[0]?.at), ` · ${plural(count, "piece")}`),
    h("span", { class: "price" }, money(order.total, order.currency)), badge(order.state));
}

export async function order({ args: [id], signal }) {
  const at = `/api/orders/${encodeURIComponent(id)}`;
  const place = h("div", { class: "order" });
  const first = await call("GET", at, { signal });
  const note = h("p", { class: "quiet small note" });
  show(place, first, note, signal);
  follow(place, at, first, note, signal);
  return place;
}

function show(place, order, note, signal) {
  const head = h("div", { class: "heading" }, h("h1", { tabindex: -1 }, `Order ${order.number}`), badge(order.state));
  const focused = place.contains(document.activeElement) && document.activeElement;
  const parts = [
    head, progress(order), note, actions(place, order, note, signal),
    h("div", { class: "panel" }, h("h2", null, "What you ordered"), listed(order.items, order.currency),
      h("dl", { class: "sums" }, paid(order),
        h("dt", { class: "total" }, "Total"), h("dd", { class: "total" }, money(order.total, order.currency)))),
  ];
  const id = focused && focused.id;
  const heading = focused && focused.tagName === "H1";
  place.replaceChildren(...parts);
  place.dataset.state = order.state;
  if (heading) head.firstChild.focus({ preventScroll: true });
  else if (focused) (place.querySelector(`[id="${CSS.escape(id || "-")}"]`) ?? head.firstChild).focus({ preventScroll: true });
}

function paid({ payment }) {
  if (!payment?.last4) return [];
  const states = { refunded: ", paid back", failed: ", not charged", pending: ", not charged yet" };
  return [h("dt", null, "Card"), h("dd", null, `ends in ${payment.last4}${states[payment.state] ?? ""}`)];
}

function progress(order) {
  const reached = new Map(order.history.map(({ state, at }) => [state, at]));
  const cancelled = order.state === "cancelled";
  const shown = cancelled ? STEPS.filter(([state]) => reached.has(state)) : STEPS;
  const step = ([state, title, text], at) => {
    const done = reached.has(state);
    const current = !cancelled && !done && at > 0 && reached.has(shown[at - 1][0]);
    return h("li", { class: done ? "done" : current ? "current" : null, "aria-current": order.state === state ? "step" : null },
      h("span", { class: "dot" }, done && icon("check")),
      h("span", { class: "title" }, title, h("span", { class: "unseen" }, done ? ", done" : ", not yet")),
      h("span", { class: "quiet small" }, done ? [text, " ", clock(reached.get(state))] : ""));
  };
  const end = cancelled && h("li", { class: "ended", "aria-current": "step" }, h("span", { class: "dot" }, icon("cross")),
    h("span", { class: "title" }, "Cancelled"),
    h("span", { class: "quiet small" }, order.reason ?? "", " ", reached.has("cancelled") && clock(reached.get("cancelled"))));
  return h("ol", { class: "steps", role: "list", "aria-label": "Progress" }, shown.map(step), end);
}

function actions(place, order, note, signal) {
  const once = (label, className, work) => {
    const button = h("button", { class: className, type: "button", id: `do-${label.split(" ")[0].toLowerCase()}`, onclick: async () => {
      if (button.hasAttribute("aria-disabled")) return;
      button.setAttribute("aria-disabled", "true");
      try {
        await work();
      } catch (error) {
        if (error.name !== "AbortError") toast(worded(error));
      } finally {
        button.removeAttribute("aria-disabled");
      }
    } }, label);
    return button;
  };
  const cancel = () => once("Cancel the order", "link", async () => {
    await call("POST", `/api/orders/${encodeURIComponent(order.id)}/cancel`, { signal });
    note.textContent = "Cancelling …";
    place.dispatchEvent(new Event("look"));
  });
  const again = () => once("Put all back into the cart", "button plain", async () => {
    for (const { product, quantity } of order.items) await put(product.id, quantity, signal);
    location.hash = "#/cart";
  });
  return h("p", { class: "act" }, order.state === "notified" && h("a", { class: "button plain", href: "#/mailbox", id: "do-read" }, "Read the confirmation"),
    order.state === "cancelled" ? again() : order.state !== "notified" && cancel());
}

// Looks again and again, quickly while things move and seldom when they do not, until the order has come to its end.
async function follow(place, at, order, note, signal) {
  let pause = FIRST;
  let failed = false;
  place.addEventListener("look", () => { pause = FIRST; }, { signal });
  while (!final(order) && !signal.aborted) {
    const due = pause;
    pause = Math.min(LONGEST, pause * SLOWER);
    await waited(place, due, signal);
    try {
      const now = await call("GET", at, { signal });
      if (signal.aborted) return;
      if (failed) note.textContent = "";
      failed = false;
      if (now.state !== order.state || now.history.length !== order.history.length) {
        pause = FIRST;
        note.textContent = "";
        show(place, now, note, signal);
        announce(`Order ${now.number}: ${STATES[now.state] ?? now.state}. ${now.reason ?? ""}`);
      }
      order = now;
    } catch (error) {
      if (signal.aborted) return;
      failed = true;
      note.textContent = `${worded(error)} Looking again by itself.`;
      if (error.status === 401 || error.status === 404) return;
    }
  }
}

/** After a pause, or at once when there is reason to look, but not before the page is in sight. */
async function waited(place, pause, signal) {
  await new Promise((done) => {
    const timer = setTimeout(done, pause);
    const stop = () => { clearTimeout(timer); done(); };
    signal.addEventListener("abort", stop, { once: true });
    place.addEventListener("look", stop, { once: true, signal });
  });
  while (document.hidden && !signal.aborted) {
    await new Promise((done) => {
      document.addEventListener("visibilitychange", done, { once: true, signal });
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
