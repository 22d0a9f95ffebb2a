// Elements from data: text stays text, whatever is in it.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20 20",
  cart: "M4 5h2.5l2 10.5h9L20 8H7.2M10 19.5h.01M16.5 19.5h.01",
  check: "M5 12.5 10 17 19 7.5",
  cross: "M6.5 6.5l11 11M17.5 6.5l-11 11",
};

/** `h("p", {class: "quiet", onclick: f}, "text", node)`: attributes by name, listeners by `on…`; null and false are left out. */
export function h(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== false));
  return made;
}

export const by = (id) => document.getElementById(id);

/** A line drawing beside a text that says the same. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Minor units as people write them. */
export function money(minor, currency = "EUR") {
  return new Intl.NumberFormat("en-IE", { style: "currency", currency }).format(minor / 100);
}

const MOMENT = new Intl.DateTimeFormat("en-IE", { dateStyle: "medium", timeStyle: "short" });
const CLOCK = new Intl.DateTimeFormat("en-IE", { timeStyle: "medium" });

export function moment(at, format = MOMENT) {
  const date = new Date(at);
  return h("time", { datetime: at }, Number.isNaN(date.valueOf()) ? "" : format.format(date));
}

const DAY = new Intl.DateTimeFormat("en-IE", { dateStyle: "medium" });

export const day = (at) => moment(at, DAY);
export const clock = (at) => moment(at, CLOCK);

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** A product's picture. One that cannot be had leaves its place empty. */
export function picture(product, alt = "", lazy = true) {
  const hide = (event) => event.target.replaceWith(h("span", { class: "picture" }));
  const loading = lazy ? "lazy" : "eager";
  return h("img", { class: "picture", src: product.picture, alt, width: 400, height: 400, loading, onerror: hide });
}

/** Says it to those who listen. */
export function announce(text) {
  by("live").textContent = text;
}

let fading;

/** Says it to everybody, with a way on if there is one. */
export function toast(text, href, label) {
  announce(text);
  const box = by("toast");
  box.replaceChildren(h("span", null, text), href ? h("a", { href }, label) : "");
  box.hidden = false;
  // It does not go while somebody is on it.
  const fade = () => {
    if (box.matches(":hover, :focus-within")) fading = setTimeout(fade, 1000);
    else box.hidden = true;
  };
  clearTimeout(fading);
  fading = setTimeout(fade, 6000);
}

/** Puts new content in place; what had the focus has it again if it is still there. */
export function refill(parent, ...children) {
  const id = parent.contains(document.activeElement) ? document.activeElement.id : "";
  parent.replaceChildren(...children);
  const again = id && by(id);
  if (again) again.focus({ preventScroll: true });
  return Boolean(again) || !id;
}

/** When there is nothing: why, and where to go from here. */
export function empty(title, text, href, label) {
  return h("section", { class: "empty" },
    h("h1", { tabindex: -1 }, title), h("p", { class: "quiet" }, text), href && h("a", { class: "button", href }, label));
}
