() => [...document.querySelectorAll(".plotly-graph-div")]
  .filter(chart => chart.checkVisibility()).flatMap(chart => {
  const box = chart.parentElement.getBoundingClientRect();
  const own = chart.querySelector(".main-svg").getBoundingClientRect();
  const wrong = [];
  if (own.width < 100 || own.height < 100) wrong.push(`${own.width} x ${own.height} pixels`);
  if (own.width > box.width + 1) wrong.push(`${own.width} pixels in a box of ${box.width}`);
  const hasData = trace => [trace.x, trace.y, trace.z].some(values => values && values.length
    && [...values].some(value => value !== null));
  const due = chart.data.filter(trace => trace.visible !== false && hasData(trace)).length;
  const drawn = chart.querySelectorAll(".trace, .heatmaplayer .hm").length;
  if (!due) wrong.push("nothing to show");
  if (drawn < due) wrong.push(`${drawn} of ${due} traces drawn`);
  return wrong.map(said => `${chart.id}: ${said}`);
})
