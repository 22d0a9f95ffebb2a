// The shop's API. Only this file knows of cookies, tokens and what a refusal looks like.

/** Milliseconds until an answer is given up. */
const PATIENCE = 15000;

/** A refusal. `status` 0: there was no answer, and nobody knows whether the request was served. */
export class Refused extends Error {
  constructor(status, { code = "", message = "", request_id: id = "" } = {}, seconds = 0) {
    super(message || "The shop did not answer as expected.");
    Object.assign(this, { status, code, id, seconds });
  }

  /** Whether the same request may still have been, or may yet be, served. */
  get open() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** Who is here. `changed` is told whenever this may be another. */
export const session = { customer: null, items: 0, token: "", changed: () => {} };

export async function refresh() {
  const { customer, csrf_token: token, cart_items: items } = await call("GET", "/api/session");
  Object.assign(session, { customer, token, items });
  session.changed();
}

/** One request; the answer's JSON, or null if it has none. Throws `Refused`, or `AbortError` when `signal` says so. */
export async function call(method, path, { body, key, signal } = {}, again = true) {
  const answer = await ask(method, path, { body, key, signal });
  if (answer.ok) return answer.status === 204 ? null : read(answer);
  // The token is of a session that ended meanwhile. A request that was refused may be sent again.
  if (answer.status === 403 && method !== "GET" && again) {
    await refresh();
    return call(method, path, { body, key, signal }, false);
  }
  const { error } = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, error, Number(answer.headers.get("retry-after")) || 0);
}

async function read(answer) {
  try {
    return await answer.json();
  } catch {
    throw new Refused(0, { message: "The shop's answer broke off. Please try again." });
  }
}

async function ask(method, path, { body, key, signal }) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = session.token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const stop = AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])]);
  try {
    return await fetch(path, { method, headers, body: JSON.stringify(body), signal: stop });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, { message: "The shop cannot be reached. Check the connection and try again." });
  }
}

/** `{a: 1, b: ""}` as `?a=1`. */
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value != null && value !== "");
  const text = new URLSearchParams(set).toString();
  return text && `?${text}`;
}

/** A key nobody else has; also where the browser offers `randomUUID` only to secure pages. */
export function unique() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Sets how many of a product are in the cart; the cart as it is then. */
export async function put(product, quantity, signal) {
  const cart = await call("PUT", `/api/cart/items/${encodeURIComponent(product)}`, { body: { quantity }, signal });
  session.items = cart.items.reduce((sum, line) => sum + line.quantity, 0);
  session.changed();
  return cart;
}
