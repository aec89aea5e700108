// Lets buttons choose the axis of all charts of score against speed-up.
"use strict";
const axes = JSON.parse(document.getElementById("axes").textContent);
const charts = document.querySelectorAll(".chart .plotly-graph-div");
const buttons = document.querySelectorAll("[data-axis]");
whenDrawn(() => buttons.forEach(button => button.addEventListener("click", () => {
  const chosen = Number(button.dataset.axis);
  buttons.forEach(other => other.setAttribute("aria-pressed", other === button));
  charts.forEach(chart => {
    const cases = chart.data.length / axes.length;
    const visible = chart.data.map((_, i) => Math.floor(i / cases) === chosen);
    const layout = {"xaxis.range": axes[chosen].range, "xaxis.title.text": axes[chosen].title};
    Plotly.update(chart, {visible}, layout);
  });
})));
