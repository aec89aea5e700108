// Lets buttons choose the axis of all charts and the lines of one, and fits charts to their boxes.
"use strict";
const axes = JSON.parse(document.getElementById("axes").textContent);
const charts = document.querySelectorAll(".chart .plotly-graph-div");
// Each was drawn before those after it, and perhaps a scrollbar, took their share of the row.
const fit = new ResizeObserver(boxes => boxes.forEach(box =>
  Plotly.Plots.resize(box.target.querySelector(".plotly-graph-div"))));
document.querySelectorAll(".chart, .wide > div").forEach(box => fit.observe(box));
const buttons = document.querySelectorAll("[data-axis]");
buttons.forEach(button => button.addEventListener("click", () => {
  const chosen = Number(button.dataset.axis);
  buttons.forEach(other => other.setAttribute("aria-pressed", other === button));
  charts.forEach(chart => {
    const cases = chart.data.length / axes.length;
    const visible = chart.data.map((_, i) => Math.floor(i / cases) === chosen);
    const layout = {"xaxis.range": axes[chosen].range, "xaxis.title.text": axes[chosen].title};
    Plotly.update(chart, {visible}, layout);
  });
}));
document.querySelectorAll("[data-line]").forEach(button => button.addEventListener("click", () => {
  const visible = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", visible);
  const chart = document.getElementById(button.dataset.chart);
  Plotly.restyle(chart, {visible}, [Number(button.dataset.line)]);
}));
