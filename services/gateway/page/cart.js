// The cart, and the way from it to an order.

import { Refused, call, put, query, refresh, session, unique } from "./api.js";
import { announce, empty, h, money, picture, plural, refill } from "./dom.js";
import { address, addressed, field, stepper, wire, worded } from "./form.js";
import { path } from "./shop.js";

const NOTHING = ["Your cart is empty", "What you put into it waits here, also before you sign in.", "#/", "Look around"];

export async function cart({ signal }) {
  const place = h("div", { class: "cart" });
  show(place, await call("GET", "/api/cart", { signal }));
  return place;
}

function show(place, cart) {
  if (!cart.items.length) return refill(place, empty(...NOTHING));
  const note = h("p", { class: "wrong", role: "alert" });
  // One change after the other; the last one's cart is shown.
  let last = Promise.resolve();
  let waiting = 0;
  const change = (line, quantity) => {
    waiting += 1;
    last = last.then(() => put(line.product.id, quantity)).then((now) => {
      waiting -= 1;
      if (waiting) return;
      announce(quantity ? `Total ${money(now.total, now.currency)}.` : `${line.product.name} taken out.`);
      if (!show(place, now)) place.querySelector("h1")?.focus();
    }).catch((error) => {
      waiting -= 1;
      note.textContent = worded(error);
    });
  };
  const kept = refill(place, h("h1", { tabindex: -1 }, "Cart"),
    h("div", { class: "split" },
      h("div", null, h("ul", { class: "lines", role: "list" }, cart.items.map((line) => row(line, change))), note),
      h("aside", { class: "panel", "aria-label": "Total" },
        h("dl", { class: "sums" }, h("dt", null, "Delivery"), h("dd", null, "Free"),
          h("dt", { class: "total" }, "Total"), h("dd", { class: "total" }, money(cart.total, cart.currency))),
        h("a", { class: "button wide", href: session.customer ? "#/checkout" : `#/sign-in${query({ then: "/checkout" })}` },
          session.customer ? "Check out" : "Sign in to check out"))));
  return kept;
}

function row(line, change) {
  const { product, quantity } = line;
  const most = Math.max(quantity, Math.min(99, product.available ?? 99));
  const amount = stepper(`q-${product.id}`, `Quantity of ${product.name}`, quantity, { most, change: (next) => change(line, next) });
  return h("li", null, h("a", { href: path(product), tabindex: -1, "aria-hidden": "true" }, picture(product)),
    h("div", { class: "what" }, h("a", { class: "name", href: path(product) }, product.name),
      h("p", { class: "quiet small" }, `${money(product.price, product.currency)} each`),
      h("div", { class: "act" }, amount.node, h("button", {
        class: "link", type: "button", id: `out-${product.id}`, "aria-label": `Remove ${product.name}`,
        onclick: () => change(line, 0),
      }, "Remove"))),
    h("p", { class: "price" }, money(line.line_total, product.currency)));
}

/** Order lines, as small as they can be read. */
export function listed(items, currency) {
  return h("ul", { class: "listed", role: "list" }, items.map(({ product, quantity, line_total: total }) =>
    h("li", null, picture(product), h("span", null, h("a", { href: path(product) }, product.name),
      h("span", { class: "quiet" }, ` × ${quantity}`)), h("span", { class: "price" }, money(total, currency)))));
}

// What was sent last without a final answer, and under which key: sent again, it must not become a second order.
// It lives as long as the page; nothing of it is stored.
let attempt = { text: "", key: "" };

export function forget() {
  attempt = { text: "", key: "" };
}

function keyed(body, cart) {
  const text = JSON.stringify([body, cart.items.map(({ product, quantity }) => [product.id, quantity])]);
  if (attempt.text !== text) attempt = { text, key: unique() };
  return attempt.key;
}

const CODES = { card_invalid: "card_number", card_number_invalid: "card_number", card_expired: "expiry", expiry_invalid: "expiry", cvc_invalid: "cvc" };

export async function checkout({ signal, replace }) {
  const [cart, profile] = await Promise.all([call("GET", "/api/cart", { signal }), call("GET", "/api/profile", { signal })]);
  if (!cart.items.length) return empty(...NOTHING);
  const where = address(profile.address);
  const card = cardFields(profile.name);
  const send = async (values) => {
    const { card_number: number, expiry, cvc, holder } = values;
    const payment = { card_number: number.replaceAll(/\D/g, ""), expiry: expiry.replaceAll(" ", ""), cvc, holder };
    const body = { payment, address: addressed(values) };
    try {
      const answer = await call("POST", "/api/orders", { body, key: keyed(body, cart) });
      forget();
      await refresh().catch(() => {});
      replace(`/orders/${encodeURIComponent((answer.order ?? answer).id)}`);
    } catch (error) {
      if (error instanceof Refused && !error.open) forget();
      throw error;
    }
  };
  const form = h("form", { class: "panel roomy" }, where.node, card.node,
    h("button", { class: "button wide", type: "submit" }, `Pay ${money(cart.total, cart.currency)}`));
  return h("div", null, h("h1", null, "Checkout"), h("div", { class: "split" },
    wire(form, [...where.fields, ...card.fields], send, CODES),
    h("aside", { class: "panel", "aria-label": "Your order" }, h("h2", null, plural(cart.items.reduce((sum, { quantity }) => sum + quantity, 0), "piece")),
      listed(cart.items, cart.currency),
      h("dl", { class: "sums" }, h("dt", null, "Delivery"), h("dd", null, "Free"),
        h("dt", { class: "total" }, "Total"), h("dd", { class: "total" }, money(cart.total, cart.currency))))));
}

const CARDS = [
  ["4242424242424242", "pays"], ["4000000000000002", "is declined"],
  ["4000000000009995", "has too little on it"], ["4000000000000119", "fails at the provider"],
];

const grouped = (number) => number.replaceAll(/\D/g, "").replaceAll(/(\d{4})(?=\d)/g, "$1 ");

function cardFields(name) {
  const number = field("card_number", "Card number", { inputmode: "numeric", autocomplete: "cc-number", maxlength: 23,
    check: (text) => (luhn(text.replaceAll(/\D/g, "")) ? "" : "This is not a card number; look for a typing error.") });
  number.input.addEventListener("blur", () => { number.input.value = grouped(number.input.value); });
  const expiry = field("expiry", "Valid to", { placeholder: "MM/YY", inputmode: "numeric", autocomplete: "cc-exp", maxlength: 7, check: valid });
  expiry.input.addEventListener("blur", () => { expiry.input.value = expiry.input.value.replace(/^\s*(\d\d)\s*\/?\s*(\d\d)\s*$/, "$1/$2"); });
  const cvc = field("cvc", "Security code", { inputmode: "numeric", autocomplete: "cc-csc", maxlength: 4,
    check: (text) => (/^\d{3,4}$/.test(text) ? "" : "Three or four digits.") });
  const holder = field("holder", "Name on the card", { autocomplete: "cc-name", maxlength: 100, value: name ?? "" });
  const year = String((new Date().getFullYear() + 3) % 100).padStart(2, "0");
  const fill = (digits) => () => {
    number.input.value = grouped(digits);
    expiry.input.value = `12/${year}`;
    cvc.input.value = "123";
    [number, expiry, cvc].forEach((field) => field.say(""));
    announce("Test card filled in.");
  };
  const hint = h("details", { class: "hinted" }, h("summary", null, "Test cards"), h("ul", { role: "list" },
    CARDS.map(([digits, what]) => h("li", null,
      h("button", { class: "link mono", type: "button", onclick: fill(digits), "aria-label": `Use test card ${grouped(digits)}, which ${what}` }, grouped(digits)),
      h("span", { class: "quiet" }, ` ${what}`)))));
  const node = h("fieldset", null, h("legend", null, "Payment"), hint, number.node,
    h("div", { class: "pair" }, expiry.node, cvc.node), holder.node);
  return { node, fields: [number, expiry, cvc, holder] };
}

// Luhn's sum (ISO/IEC 7812-1, annex B): finds any one wrong digit.
function luhn(digits) {
  if (!/^\d{12,19}$/.test(digits)) return false;
  const sum = [...digits].reverse().reduce((sum, digit, at) => {
    const value = Number(digit) * (at % 2 ? 2 : 1);
    return sum + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}

function valid(text) {
  const [, month, year] = /^(\d\d)\s*\/?\s*(\d\d)$/.exec(text) ?? [];
  if (!month || month < 1 || month > 12) return "Month and year as MM/YY.";
  const end = new Date(2000 + Number(year), Number(month), 1);
  return end > new Date() ? "" : "This card is out of date.";
}
