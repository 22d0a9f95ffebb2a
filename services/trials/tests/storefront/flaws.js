// What is wrong with the page in a window that is so wide.
(width) => {
  const flaws = [];
  const called = (e) => `${e.tagName.toLowerCase()}.${e.className} "${e.textContent.slice(0, 30)}"`;
  const wide = document.documentElement.scrollWidth;
  if (wide > width) flaws.push(`the page scrolls sideways: ${wide} of ${width}`);
  // What scrolls by itself may be wider than the window.
  const scrolls = (e) => e && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  for (const e of document.body.querySelectorAll("*")) {
    if (!e.checkVisibility() || e.closest(".unseen, .skip, svg")) continue;
    const [box, style] = [e.getBoundingClientRect(), getComputedStyle(e)];
    if ((box.right > width + 1 || box.left < -1) && !scrolls(e)) flaws.push(`${called(e)} sticks out of the window`);
    const text = [...e.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (text && style.display !== "inline" && style.textOverflow !== "ellipsis" && e.scrollWidth > e.clientWidth + 1 && !scrolls(e)) flaws.push(`${called(e)} is too narrow for its text`);
  }
  for (const field of document.querySelectorAll("input, select, textarea")) {
    if (field.checkVisibility() && !field.labels?.length && !field.ariaLabel) flaws.push(`${field.id || "a field"} has no label`);
  }
  if (document.querySelector("span.picture")) flaws.push("a picture is not to be had");
  return flaws;
}
