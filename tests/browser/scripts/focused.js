() => {
  const node = document.activeElement;
  if (!node || node.dataset.control === undefined) return [null, false];
  const {outlineStyle, outlineWidth} = getComputedStyle(node);
  return [Number(node.dataset.control), outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
}
