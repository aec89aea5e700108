async () => {
  const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
  const wrong = [];
  const shown = [...document.querySelectorAll(".plotly-graph-div")]
    .filter(chart => chart.checkVisibility());
  for (const chart of shown) {
    chart.scrollIntoView({block: "center"});
    const own = chart.querySelector(".main-svg").getBoundingClientRect();
    for (const trace of chart._fullData) {
      const points = trace.x ? trace.x.length : 0;
      if (trace.visible !== true || trace.hoverinfo === "skip" || !points) continue;
      for (const pointNumber of new Set([0, points >> 1, points - 1])) {
        const subplot = (trace.xaxis || "x") + (trace.yaxis || "y");
        const place = trace.type === "heatmap" ? {xval: trace.x[pointNumber], yval: 0} : {pointNumber};
        Plotly.Fx.hover(chart, [{curveNumber: trace.index, ...place}], subplot);
        await frame();
        if (!chart.querySelector(".hovertext"))
          wrong.push(`${chart.id}: no label, line ${trace.index}, point ${pointNumber}`);
        for (const label of chart.querySelectorAll(".hovertext")) {
          const box = label.getBoundingClientRect();
          if (box.left < own.left - 1 || box.right > own.right + 1 || box.top < 0
            || box.bottom > innerHeight)
            wrong.push(`${chart.id}: ${label.textContent.slice(0, 90)}`);
        }
        Plotly.Fx.unhover(chart);
      }
    }
  }
  return wrong;
}
