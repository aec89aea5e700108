async () => {
  const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
  const wrong = [];
  const shown = [...document.querySelectorAll(".plotly-graph-div")]
    .filter(chart => chart.checkVisibility());
  for (const chart of shown) {
    chart.scrollIntoView({block: "center"});
    // What reaches beyond a chart is seen, but for one that is scrolled in a box of its own.
    const own = chart.closest(".wide") ? chart.querySelector(".main-svg").getBoundingClientRect()
      : {left: 0, right: document.documentElement.clientWidth};
    for (const trace of chart._fullData) {
      const points = trace.x ? trace.x.length : 0;
      if (trace.visible !== true || trace.hoverinfo === "skip" || !points) continue;
      const some = [0, 1, 2, 3, 4].map(i => Math.round(i * (points - 1) / 4));
      for (const pointNumber of new Set(some)) {
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
