() => {
  const controls = "a[href], button, input, select, textarea, summary, [tabindex]";
  const canBeReached = node => node.matches(controls) && !node.disabled && node.tabIndex >= 0
    && node.checkVisibility();
  const scrolls = node => ["auto", "scroll"].includes(getComputedStyle(node).overflowX)
    && node.scrollWidth > node.clientWidth + 1;
  const found = [...document.querySelectorAll("body *")].filter(node => canBeReached(node)
    || scrolls(node) && ![...node.querySelectorAll(controls)].some(canBeReached));
  found.forEach((node, i) => { node.dataset.control = i; });
  return found.map(node => node.outerHTML.slice(0, 160));
}
