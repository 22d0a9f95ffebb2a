// The page: which view an address means, how one gives way to the next, and what stays around them.

import { call, query, refresh, session } from "./api.js";
import { announce, by, h, icon, plural, toast } from "./dom.js";
import { worded } from "./form.js";
import { browse, product } from "./shop.js";
import { cart, checkout, forget } from "./cart.js";
import { order, orders } from "./orders.js";
import { mailbox } from "./mailbox.js";
import { profile, register, signIn } from "./account.js";

const SHOP = "Alder Lane";

// Pattern, view, and whether it is for customers only.
const ROUTES = [
  [/^\/$/, browse], [/^\/products\/([^/]+)$/, product], [/^\/cart$/, cart],
  [/^\/sign-in$/, signIn], [/^\/register$/, register], [/^\/checkout$/, checkout, true],
  [/^\/orders$/, orders, true], [/^\/orders\/([^/]+)$/, order, true],
  [/^\/mailbox$/, mailbox, true], [/^\/profile$/, profile, true],
];

const TABS = [["/orders", "Orders"], ["/mailbox", "Mailbox"], ["/profile", "Profile"]];

const main = by("main");
let leaving = new AbortController();
let before = null;

const go = (path) => { location.hash = `#${path}`; };

/** Goes on without a way back to where it came from. */
function replace(path) {
  history.replaceState(null, "", `#${path}`);
  return render();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function asked() {
  const [path, search = ""] = (location.hash.slice(1) || "/").split("?");
  for (const [pattern, view, member = false] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return { path, view, member, args: match.slice(1).map(decoded), query: Object.fromEntries(new URLSearchParams(search)) };
  }
  return { path, view: missing, member: false, args: [], query: {} };
}

async function missing() {
  return problem("Nothing is here", "The address leads nowhere; perhaps it was cut off.");
}

function problem(title, text, retry) {
  return h("section", { class: "empty" }, h("h1", null, title), h("p", { class: "quiet" }, text),
    h("p", { class: "act" }, retry && h("button", { class: "button", type: "button", onclick: retry }, "Try again"),
      h("a", { class: retry ? "button plain" : "button", href: "#/" }, "To the shop")));
}

async function render() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const back = history.state?.y;
  const route = asked();
  main.setAttribute("aria-busy", "true");
  const content = await viewed(route, signal, back !== undefined);
  if (signal.aborted || !content) return;
  main.removeAttribute("aria-busy");
  show(route, content, back);
}

async function viewed(route, signal, back) {
  try {
    if (!session.token) await refresh();
    if (route.member && !session.customer) {
      await replace(`/sign-in${query({ then: location.hash.slice(1) })}`);
      return null;
    }
    return await route.view({ ...route, signal, back, go, replace });
  } catch (error) {
    if (signal.aborted) return null;
    if (error.status === 401 && session.customer) {
      session.customer = null;
      session.changed();
      await render();
      return null;
    }
    if (error.status === 404) return problem("Nothing is here", "It may have been taken off the shelves.");
    return problem("That did not work", worded(error), render);
  }
}

function show(route, content, back) {
  const focused = document.activeElement?.id;
  const same = before?.view === route.view && before.path === route.path;
  if (!same) by("toast").hidden = true;
  main.replaceChildren(...(route.member && route.view !== checkout ? [tabs(route.path)] : []), content);
  const heading = main.querySelector("h1");
  document.title = route.path === "/" && !location.hash.includes("?") ? SHOP : `${heading.textContent} – ${SHOP}`;
  by("q").value = route.query.q && route.view === browse ? route.query.q : "";
  // After a filter the focus stays on it; on a new page it is at the top; the first page leaves it to the browser.
  const kept = same && focused && main.contains(by(focused)) && by(focused);
  if (kept) kept.focus({ preventScroll: true });
  else if (before) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
  if (same) announce(heading.textContent);
  const shelf = main.querySelector(".shelves [aria-current]");
  if (shelf) shelf.closest("ul").scrollLeft = shelf.offsetLeft - shelf.offsetWidth;
  scrollTo({ top: back ?? 0, behavior: "instant" });
  before = route;
}

function tabs(path) {
  let busy = false;
  const out = async () => {
    if (busy) return;
    busy = true;
    try {
      await call("POST", "/api/sign-out");
      forget();
      await refresh();
      toast("You are signed out.");
      go("/");
    } catch (error) {
      toast(worded(error));
    } finally {
      busy = false;
    }
  };
  return h("nav", { class: "tabs", "aria-label": "Your account" }, h("ul", { role: "list" }, TABS.map(([to, label]) => h("li", null,
    h("a", { href: `#${to}`, "aria-current": path === to ? "page" : path.startsWith(to) ? "true" : null }, label))),
  h("li", null, h("button", { class: "link", type: "button", onclick: out }, "Sign out"))));
}

session.changed = () => {
  const account = by("nav-account");
  account.textContent = session.customer ? session.customer.name.split(" ")[0] || "Account" : "Sign in";
  account.href = session.customer ? "#/orders" : "#/sign-in";
  account.setAttribute("aria-label", session.customer ? `Your account, ${session.customer.name}` : "Sign in");
  const items = session.items > 0 && h("span", { class: "count" }, String(session.items));
  by("nav-cart").replaceChildren(icon("cart"), h("span", { class: "word" }, "Cart"), ...(items ? [items] : []));
  by("nav-cart").setAttribute("aria-label", `Cart, ${plural(session.items, "piece")}`);
};

document.querySelector("#search button").append(icon("search"));
by("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const path = `/${query({ q: by("q").value.trim() })}`;
  if (location.hash === `#${path}`) render();
  else go(path);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

// Where one was on a page is kept with its entry in the history, so that the way back leads there.
history.scrollRestoration = "manual";
let settled;
addEventListener("scroll", () => {
  clearTimeout(settled);
  settled = setTimeout(() => {
    if (!main.hasAttribute("aria-busy")) history.replaceState({ y: scrollY }, "");
  }, 120);
}, { passive: true });

addEventListener("hashchange", render);
session.changed();
render();
