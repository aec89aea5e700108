() => {
  const channels = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(value => value / 255)
    .map(value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4)
    .reduce((sum, value, i) => sum + value * [.2126, .7152, .0722][i], 0);
  const behind = node => {
    for (let own = node; own; own = own.parentElement) {
      const found = channels(getComputedStyle(own).backgroundColor);
      if (found.length && found[3] !== 0) return found;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("svg text")].filter(node => node.textContent.trim()
    && node.checkVisibility() && !node.closest(".hoverlayer"));
  return texts.flatMap(node => {
    const [one, other] = [channels(getComputedStyle(node).fill), behind(node)].map(light);
    const ratio = (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
    return ratio < 4.5 ? [`${node.textContent}: ${ratio.toFixed(2)}`] : [];
  });
}
