// What a person finds on a page: controls by the name that they carry.
const nameOf = (e) =>
  (e.getAttribute("aria-label") ?? e.labels?.[0]?.textContent ?? e.textContent).trim().replaceAll(/\s+/g, " ");
const controls = (within) => [...within.querySelectorAll("a[href], button, input, select, summary")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest("[aria-hidden=true]"));
// What the page is about comes before what is around it, a whole name before the beginning of one.
const find = (name) => {
  const all = [...controls(document.querySelector("main")), ...controls(document)];
  return all.find((e) => nameOf(e) === name) ?? all.find((e) => nameOf(e).startsWith(name));
};
// Where to press it: in its middle, if nothing else is there.
const place = (name) => {
  const e = find(name);
  if (!e) return null;
  e.scrollIntoView({ block: "center", behavior: "instant" });
  const box = e.getClientRects()[0];
  const at = [box.x + box.width / 2, box.y + box.height / 2];
  return e.contains(document.elementFromPoint(...at)) ? at : null;
};
const isAt = (name) => document.activeElement === find(name);
const heading = () => document.querySelector("main:not([aria-busy]) h1")?.textContent;
// What has the focus: whether it shows that, and whether it is in sight.
const focused = () => {
  const e = document.activeElement;
  const [style, box] = [getComputedStyle(e), e.getBoundingClientRect()];
  const marked = e.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  const inSight = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  return { name: nameOf(e).slice(0, 60), marked, inSight, page: e === document.body };
};
