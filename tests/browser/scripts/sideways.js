() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width && innerWidth <= width + 20) return [];
  const scrolls = node => node && node !== document.body
    && (getComputedStyle(node).overflowX !== "visible" || scrolls(node.parentElement));
  const wide = [...document.body.querySelectorAll("*")].filter(node =>
    node.getBoundingClientRect().right > width + 1 && !scrolls(node.parentElement));
  return [`${document.documentElement.scrollWidth} pixels in ${width}`]
    .concat(wide.slice(0, 5).map(node => node.outerHTML.slice(0, 120)));
}
