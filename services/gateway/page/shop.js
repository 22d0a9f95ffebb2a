// Looking around: the shelves, one product, what goes with it.

import { call, put, query } from "./api.js";
import { announce, h, money, picture, plural, toast } from "./dom.js";
import { stepper, worded } from "./form.js";

/** Products per page. */
const PAGE = 24;

const LEAD = "For the kitchen, the desk and the way there. Made to be used for years.";

const SORTS = { popular: "Popular", price: "Price, low to high", "-price": "Price, high to low", name: "Name" };

// The shelves last seen, so that the way back from a product leads to the same place.
let seen = { key: "", items: [], next: null };

export const path = (product) => `#/products/${encodeURIComponent(product.id)}`;

function stock(product) {
  if (product.available <= 0) return h("span", { class: "gone" }, "Sold out");
  return product.available <= 5 && h("span", { class: "few" }, `Only ${product.available} left`);
}

export function card(product) {
  return h("li", { class: "card" },
    h("a", { href: path(product), id: `card-${product.id}` }, picture(product), h("span", { class: "name" }, product.name)),
    h("p", { class: "line" }, h("span", { class: "price" }, money(product.price, product.currency)), stock(product)));
}

async function page(filter, cursor, signal) {
  return call("GET", `/api/products${query({ ...filter, cursor, limit: PAGE })}`, { signal });
}

export async function browse({ query: given, signal, back, go }) {
  const filter = { q: given.q ?? "", category: given.category ?? "", sort: given.sort in SORTS ? given.sort : "popular" };
  const key = JSON.stringify(filter);
  const [categories, first] = await Promise.all([
    call("GET", "/api/categories", { signal }),
    back && seen.key === key ? seen : page(filter, null, signal),
  ]);
  seen = { key, items: first.items, next: first.next };
  const here = categories.items.find(({ id }) => id === filter.category);
  const title = filter.q ? `Results for “${filter.q}”` : here?.name ?? "Plain, well-made things";
  const grid = h("ul", { class: "grid", role: "list" }, seen.items.map(card));
  const sorting = h("select", { id: "sort", onchange: () => go(`/${query({ ...filter, sort: sorting.value })}`) },
    Object.entries(SORTS).map(([value, label]) => h("option", { value, selected: value === filter.sort }, label)));
  return h("div", { class: "browse" },
    shelves(categories.items, filter),
    h("section", { class: "results" },
      h("div", { class: "heading" },
        h("div", null, h("h1", null, title), !filter.q && !here && h("p", { class: "lead" }, LEAD)),
        h("div", { class: "sort" }, h("label", { for: "sort" }, "Sort by"), sorting)),
      seen.items.length ? grid : nothing(filter), more(filter, grid, signal)));
}

function shelves(categories, filter) {
  const link = (id, name, count) => h("li", null, h("a", {
    id: `shelf-${id || "all"}`, href: `#/${query({ category: id, sort: filter.sort === "popular" ? "" : filter.sort })}`,
    "aria-current": id === filter.category && !filter.q ? "page" : null,
  }, name, h("span", { class: "count" }, String(count))));
  const total = categories.reduce((sum, { count }) => sum + count, 0);
  return h("nav", { class: "shelves", "aria-label": "Categories" }, h("ul", { role: "list" },
    link("", "Everything", total), categories.map(({ id, name, count }) => link(id, name, count))));
}

function nothing(filter) {
  return h("div", { class: "empty" },
    h("p", null, filter.q ? "Nothing here goes by that name. Try a shorter or another word." : "This shelf is empty today."),
    h("a", { class: "button", href: "#/" }, "Show everything"));
}

function more(filter, grid, signal) {
  const note = h("p", { class: "wrong", role: "alert" });
  let busy = false;
  const button = h("button", { class: "button plain", type: "button", onclick: async () => {
    if (busy) return;
    busy = true;
    note.textContent = "";
    button.setAttribute("aria-disabled", "true");
    try {
      const next = await page(filter, seen.next, signal);
      seen = { ...seen, items: [...seen.items, ...next.items], next: next.next };
      const cards = next.items.map(card);
      grid.append(...cards);
      box.hidden = !seen.next;
      announce(`${plural(next.items.length, "more product")} shown.`);
      cards[0]?.querySelector("a").focus({ preventScroll: true });
    } catch (error) {
      if (error.name !== "AbortError") note.textContent = worded(error);
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
    }
  } }, "Show more");
  const box = h("div", { class: "more" }, note, button);
  box.hidden = !seen.next;
  return box;
}

export async function product({ args: [id], signal }) {
  const it = await call("GET", `/api/products/${encodeURIComponent(id)}`, { signal });
  const beside = h("section", { class: "beside", "aria-labelledby": "beside" });
  recommend(it, beside, signal);
  return h("div", null,
    h("article", { class: "product" }, picture(it, `Drawing: ${it.name}`, false),
      h("div", { class: "facts" },
        h("p", { class: "crumb" }, h("a", { href: "#/" }, "Shop"), " / ",
          h("a", { href: `#/${query({ category: it.category })}` }, it.category_name ?? it.category)),
        h("h1", null, it.name), h("p", { class: "price big" }, money(it.price, it.currency)),
        h("p", { class: "description" }, it.description), buy(it),
        h("p", { class: "quiet small" }, `Item ${it.sku} · VAT included · free delivery`))),
    beside);
}

function buy(it) {
  if (it.available <= 0) return h("p", { class: "gone" }, "Sold out. It will be back.");
  const amount = stepper("amount", "Quantity", 1, { most: Math.min(99, it.available) });
  const note = h("p", { class: "wrong", role: "alert" });
  let busy = false;
  const add = async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    note.textContent = "";
    button.setAttribute("aria-disabled", "true");
    amount.settle();
    try {
      const cart = await call("GET", "/api/cart");
      const had = cart.items.find((line) => line.product.id === it.id)?.quantity ?? 0;
      const wanted = had + amount.value();
      const most = Math.min(99, it.available);
      if (wanted > most) throw Object.assign(new Error(), { most, had });
      await put(it.id, wanted);
      toast(`${plural(amount.value(), "piece")} in the cart: ${it.name}.`, "#/cart", "Go to cart");
    } catch (error) {
      note.textContent = error.most ? `There are ${error.most}, and ${error.had} of them are in the cart.` : worded(error);
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
    }
  };
  const button = h("button", { class: "button", type: "submit" }, "Add to cart");
  return h("div", null, h("form", { class: "buy", onsubmit: add, novalidate: true }, amount.node, button),
    h("p", { class: "stock" }, it.available <= 5 ? stock(it) : h("span", { class: "in" }, "In stock")), note);
}

// What goes with it comes later, or not at all: the product is what was asked for.
async function recommend(it, place, signal) {
  try {
    const path = `/api/products/${encodeURIComponent(it.id)}/recommendations?limit=4`;
    const { items, reason } = await call("GET", path, { signal });
    if (!items.length) return;
    const title = reason === "bought-together" ? "Often bought together" : "Popular now";
    place.append(h("h2", { id: "beside" }, title), h("ul", { class: "grid four", role: "list" }, items.map(card)));
  } catch {
    place.remove();
  }
}
