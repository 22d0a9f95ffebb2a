// Forms: a label for each field, its error beside it, one submission at a time.

import { announce, by, h, plural } from "./dom.js";
import { Refused } from "./api.js";

/** A labelled input. `check` gives what is wrong with a value, or nothing; `optional` says whether it may be empty. */
export function field(id, label, { hint, check = () => "", optional = () => false, type = "text", ...attributes } = {}) {
  const described = [hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
  const input = h("input", { id, name: id, type, "aria-describedby": described, ...attributes });
  const error = h("p", { class: "wrong", id: `${id}-error` });
  const node = h("div", { class: "field" },
    h("label", { for: id }, label), hint && h("p", { class: "hint", id: `${id}-hint` }, hint), input, error);
  const say = (text) => {
    error.textContent = text;
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    return !text;
  };
  const value = () => (type === "password" ? input.value : input.value.trim());
  const problem = () => (value() ? check(value()) : optional() ? "" : `${label} is needed.`);
  input.addEventListener("input", () => error.textContent && say(""));
  return { id, node, input, value, say, checked: () => say(problem() || "") };
}

/** Wires a form: checks, sends once, and ties refusals to fields by `codes` (`{email_taken: "email"}`). */
export function wire(form, fields, send, codes = {}) {
  const button = form.querySelector("button[type=submit]");
  const wrong = h("p", { class: "wrong banner", role: "alert" });
  button.before(wrong);
  form.noValidate = true;
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    wrong.textContent = "";
    const bad = fields.filter((field) => !field.checked());
    if (bad.length) {
      announce(`${plural(bad.length, "field needs", "fields need")} another look.`);
      bad[0].input.focus();
      return;
    }
    busy = true;
    button.setAttribute("aria-disabled", "true");
    form.setAttribute("aria-busy", "true");
    try {
      await send(Object.fromEntries(fields.map((field) => [field.id, field.value()])));
    } catch (error) {
      if (error.name !== "AbortError") refused(error, fields, codes, wrong);
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
      form.removeAttribute("aria-busy");
    }
  });
  return form;
}

function refused(error, fields, codes, wrong) {
  const at = fields.find((field) => field.id === codes[error.code]);
  if (at) {
    at.say(error.message);
    at.input.focus();
  } else {
    wrong.textContent = worded(error);
  }
}

/** A refusal in a sentence or two. */
export function worded(error) {
  if (!(error instanceof Refused)) {
    console.error(error);
    return "Something went wrong in this page. Loading it again may help.";
  }
  const wait = error.seconds ? ` Try again in ${plural(error.seconds, "second")}.` : "";
  const id = error.id && error.status >= 500 ? ` (Request ${error.id})` : "";
  return `${error.message}${wait}${id}`;
}

/** Minus, number, plus. `change` gets each new number between `least` and `most`. */
export function stepper(id, label, value, { least = 1, most = 99, change = () => {} }) {
  const set = (wanted) => {
    const next = Math.min(most, Math.max(least, Math.round(Number(wanted)) || least));
    const old = Number(input.dataset.value);
    input.value = input.dataset.value = next;
    if (next !== old) change(next);
  };
  const input = h("input", {
    id, type: "number", inputmode: "numeric", min: least, max: most, value, "aria-label": label, "data-value": value,
    onchange: () => set(input.value),
  });
  const button = (suffix, sign, by, words) =>
    h("button", { type: "button", id: `${id}-${suffix}`, "aria-label": `${words}: ${label}`, onclick: () => set(Number(input.value) + by) }, sign);
  const node = h("div", { class: "stepper", role: "group", "aria-label": label },
    button("less", "−", -1, "One less"), input, button("more", "+", 1, "One more"));
  return { node, value: () => Number(input.dataset.value), settle: () => set(input.value) };
}

export const limits = {
  email: (text) => (/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text) ? "" : "An address looks like name@example.org."),
  password: (text) => (text.length >= 10 ? "" : "At least ten characters, please."),
};

const COUNTRIES = ["Austria", "Belgium", "Denmark", "France", "Germany", "Ireland", "Italy", "Netherlands", "Poland", "Portugal", "Spain", "Sweden"];

/** Where parcels go. An optional one is given whole or not at all. */
export function address(known, free = false) {
  const optional = () => free && fields.every((field) => !field.value());
  const made = (id, label, autocomplete, length, more = {}) =>
    field(id, label, { autocomplete, maxlength: length, value: known?.[id] ?? "", optional, ...more });
  const street = made("street", "Street and number", "street-address", 120);
  const postcode = made("postcode", "Postcode", "postal-code", 12, {
    check: (text) => (/^[\p{L}\p{N} -]{3,12}$/u.test(text) ? "" : "A postcode has 3 to 12 letters and digits."),
  });
  const city = made("city", "City", "address-level2", 80);
  const country = made("country", "Country", "country-name", 60, { list: "countries" });
  const fields = [street, postcode, city, country];
  const list = by("countries") ?? document.body.appendChild(
    h("datalist", { id: "countries" }, COUNTRIES.map((value) => h("option", { value }))));
  const node = h("fieldset", { "data-list": list.id }, h("legend", null, "Address", free && h("span", { class: "quiet small" }, " (optional)")), street.node,
    h("div", { class: "pair narrow-wide" }, postcode.node, city.node), country.node);
  return { node, fields };
}

/** The address out of a form's values, or null. */
export const addressed = ({ street, city, postcode, country }) => (street ? { street, city, postcode, country } : null);
