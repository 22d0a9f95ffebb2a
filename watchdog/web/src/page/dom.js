// Text into the document, never markup, and only where it changed, so that focus, selection and open stacks stay.

export const by = (id) => document.getElementById(id);

// What an element was last filled from.
const filled = new WeakMap();

export function changed(element, data) {
  const key = JSON.stringify(data);
  if (filled.get(element) === key) return false;
  filled.set(element, key);
  return true;
}

export function put(parent, selector, text) {
  const element = parent.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
  return element;
}

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text != null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A function's or a file's path, which may be broken after each `::` or `/`.
export function code(parent, path) {
  if (!changed(parent, path)) return parent;
  const parts = path.split(/(?<=::|\/)/);
  parent.replaceChildren(...parts.flatMap((part) => [part, document.createElement("wbr")]));
  return parent;
}
