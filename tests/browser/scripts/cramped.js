() => [...document.querySelectorAll("button, input, select, textarea, summary")]
  .filter(node => node.checkVisibility())
  .filter(node => {
    const box = node.getBoundingClientRect();
    return box.height < 24 || box.width < 24;
  })
  .map(node => node.outerHTML.slice(0, 160))
