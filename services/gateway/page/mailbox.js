// The mails the shop has sent to a customer.

import { call } from "./api.js";
import { empty, h, moment } from "./dom.js";

export async function mailbox({ signal }) {
  const { items } = await call("GET", "/api/mailbox", { signal });
  if (!items.length) return empty("No mail yet", "The confirmation of an order will be here.", "#/", "Look around");
  return h("div", null, h("h1", null, "Mailbox"), h("ul", { class: "mails", role: "list" }, items.map(mail)));
}

function mail(it) {
  const body = h("div", { class: "letter", id: `mail-${it.id}` }, h("p", { class: "text" }, it.body_text),
    it.order_id && h("p", null, h("a", { href: `#/orders/${encodeURIComponent(it.order_id)}` }, "Look at the order")));
  body.hidden = true;
  const fresh = h("span", { class: "new" }, "New");
  const button = h("button", { type: "button", "aria-expanded": "false", "aria-controls": body.id, onclick: () => {
    body.hidden = !body.hidden;
    button.setAttribute("aria-expanded", String(!body.hidden));
    if (it.read) return;
    it.read = true;
    fresh.remove();
    // Whether the shop remembers it is not worth a word.
    call("POST", `/api/mailbox/${encodeURIComponent(it.id)}/read`).catch(() => {});
  } }, h("span", { class: "subject" }, it.subject), !it.read && fresh, h("span", { class: "quiet small" }, moment(it.at)));
  return h("li", null, h("h2", null, button), body);
}
