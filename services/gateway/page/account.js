// Who somebody is: registering, signing in and out, profile.

import { call, query, refresh, session } from "./api.js";
import { h, toast } from "./dom.js";
import { address, addressed, field, limits, wire } from "./form.js";

/** Only a way inside this page is followed after signing in. */
const onward = (then) => (/^\/[a-z]/.test(then ?? "") ? then : "/");

const email = () => field("email", "Email", { type: "email", autocomplete: "username", maxlength: 254, check: limits.email });

const fresh = (id, label) => field(id, label, {
  type: "password", autocomplete: "new-password", maxlength: 200, hint: "Ten characters or more; a few words are best.", check: limits.password,
});

function door(title, form, other) {
  return h("div", { class: "door" }, h("h1", null, title), form, other);
}

export async function signIn({ query: { then }, replace }) {
  if (session.customer) return replace(onward(then));
  const fields = [email(), field("password", "Password", { type: "password", autocomplete: "current-password", maxlength: 200 })];
  const form = h("form", { class: "panel roomy" }, fields.map(({ node }) => node), h("button", { class: "button wide", type: "submit" }, "Sign in"));
  wire(form, fields, async (values) => {
    await call("POST", "/api/sign-in", { body: values });
    await refresh();
    replace(onward(then));
  });
  return door("Sign in", form, h("p", null, "New here? ", h("a", { href: `#/register${query({ then })}` }, "Create an account")));
}

export async function register({ query: { then }, replace }) {
  if (session.customer) return replace(onward(then));
  const fields = [field("name", "Name", { autocomplete: "name", maxlength: 100 }), email(), fresh("password", "Password")];
  const form = h("form", { class: "panel roomy" }, fields.map(({ node }) => node), h("button", { class: "button wide", type: "submit" }, "Create account"));
  wire(form, fields, async (values) => {
    await call("POST", "/api/register", { body: values });
    await refresh();
    replace(onward(then));
  }, { email_taken: "email", conflict: "email", invalid_email: "email", weak_password: "password" });
  return door("Create an account", form, h("p", null, "Been here before? ", h("a", { href: `#/sign-in${query({ then })}` }, "Sign in")));
}

export async function profile({ signal }) {
  const known = await call("GET", "/api/profile", { signal });
  const name = field("name", "Name", { autocomplete: "name", maxlength: 100, value: known.name });
  const where = address(known.address, true);
  const facts = h("form", { class: "panel roomy" }, h("h2", null, "About you"),
    h("p", { class: "quiet" }, "Signed in as ", h("strong", null, known.email ?? session.customer.email)), name.node, where.node,
    h("button", { class: "button", type: "submit" }, "Save"));
  wire(facts, [name, ...where.fields], async (values) => {
    await call("PATCH", "/api/profile", { body: { name: values.name, address: addressed(values) } });
    await refresh();
    toast("Saved.");
  });
  const old = field("old", "Password now", { type: "password", autocomplete: "current-password", maxlength: 200 });
  const next = fresh("new", "New password");
  // Whose password it is, for what keeps passwords.
  const whose = h("input", { hidden: true, readonly: true, autocomplete: "username", value: known.email ?? session.customer.email });
  const secret = h("form", { class: "panel roomy" }, h("h2", null, "Password"), whose,
    h("p", { class: "quiet" }, "Changing it signs you out everywhere else."), old.node, next.node,
    h("button", { class: "button", type: "submit" }, "Change password"));
  wire(secret, [old, next], async (values) => {
    await call("POST", "/api/password", { body: values });
    await refresh();
    secret.reset();
    toast("The password is changed.");
  }, { wrong_password: "old", unauthorized: "old", weak_password: "new" });
  return h("div", null, h("h1", null, "Profile"), h("div", { class: "halves" }, facts, secret));
}
