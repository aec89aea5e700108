async () => {
  const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
  const wrong = [];
  for (const chart of document.querySelectorAll(".plotly-graph-div")) {
    chart.scrollIntoView({block: "center"});
    const own = chart.querySelector(".main-svg").getBoundingClientRect();
    for (const trace of chart._fullData) {
      if (trace.visible !== true || trace.hoverinfo === "skip" || trace.type === "heatmap") continue;
      const points = trace.x.length;
      for (const pointNumber of new Set([0, points >> 1, points - 1])) {
        const subplot = (trace.xaxis || "x") + (trace.yaxis || "y");
        Plotly.Fx.hover(chart, [{curveNumber: trace.index, pointNumber}], subplot);
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
