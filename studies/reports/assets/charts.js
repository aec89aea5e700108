// Draws charts in the page's own colours, light or dark, and again when these change; fits them to
// their boxes; lets legends hide lines, and keys go from point to point.
"use strict";
const darkness = matchMedia("(prefers-color-scheme: dark)");
const colourOf = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const every = () => document.querySelectorAll(".plotly-graph-div");
function drawFigure(source) {
  const {data, layout} = JSON.parse(source.textContent);
  return Plotly.newPlot(source.dataset.figure, data, layout,
    {displayModeBar: false, responsive: true});
}
const drawn = plotlyReady.then(() =>
  Promise.all(Array.from(document.querySelectorAll("[data-figure]"), drawFigure)));
const whenDrawn = act => drawn.then(act);
function inPageColours(chart) {
  const [ink, soft, line, card] = ["--ink", "--soft", "--line", "--card"].map(colourOf);
  const layout = {"font.color": soft, "hoverlabel.bgcolor": card, "hoverlabel.bordercolor": soft,
    "hoverlabel.font.color": ink};
  Object.keys(chart.layout).filter(key => /^[xy]axis\d*$/.test(key)).forEach(axis => {
    for (const part of ["gridcolor", "linecolor", "zerolinecolor"]) layout[`${axis}.${part}`] = line;
  });
  (chart.layout.shapes || []).forEach((_, i) => { layout[`shapes[${i}].line.color`] = soft; });
  const marked = chart.data.flatMap((trace, i) => trace.marker && trace.marker.line ? [i] : []);
  Plotly.update(chart, {"marker.line.color": card}, layout, marked)
    .then(() => fitted(chart)); // its box may have changed while it was drawn
}
// Plotly refuses to fit a chart that nobody sees, or that is still to be drawn.
const fitted = chart => {
  if (chart._fullLayout && chart.checkVisibility()) Plotly.Plots.resize(chart);
};
const inAllCharts = () => every().forEach(inPageColours);
const onPaper = printed => {
  document.documentElement.classList.toggle("printed", printed);
  if (darkness.matches) whenDrawn(inAllCharts);
};
addEventListener("beforeprint", () => onPaper(true));
addEventListener("afterprint", () => onPaper(false));

// Each was drawn before those after it, and perhaps a scrollbar, took their share of the row.
const fit = new ResizeObserver(boxes => boxes.forEach(box =>
  fitted(box.target.querySelector(".plotly-graph-div"))));
whenDrawn(() => {
  inAllCharts();
  darkness.addEventListener("change", inAllCharts);
  document.querySelectorAll(".plot").forEach(box => fit.observe(box));
});

whenDrawn(() => document.querySelectorAll("[data-line]").forEach(button =>
  button.addEventListener("click", () => {
    const visible = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", visible);
    const chart = document.getElementById(button.dataset.chart);
    Plotly.restyle(chart, {visible}, [Number(button.dataset.line)]);
  })));

const spoken = document.querySelector("main").appendChild(document.createElement("p"));
spoken.className = "unseen";
spoken.setAttribute("aria-live", "polite");
function pointsOf(chart) {
  return chart.data.flatMap((trace, curveNumber) => {
    const subplot = (trace.xaxis || "x") + (trace.yaxis || "y");
    const point = pointNumber => ({curveNumber, pointNumber, subplot});
    if (trace.visible === false || trace.hoverinfo === "skip") return [];
    const {type, _length, z} = chart._fullData[curveNumber];
    if (type !== "heatmap") return Array.from({length: _length || 0}, (_, i) => point(i));
    // Plotly finds what lies at a place of a heat map, but not the place of one of its cells.
    const {x, y} = chart._fullData[curveNumber];
    return Array.from(z, (row, i) => Array.from(row, (_, j) =>
      ({curveNumber, xval: x ? x[j] : j, yval: y ? y[i] : i, subplot}))).flat();
  });
}
function goTo(chart, key) {
  const points = pointsOf(chart), last = points.length - 1, now = Number(chart.dataset.point ?? -1);
  const next = {ArrowRight: now < last ? now + 1 : 0, ArrowLeft: now > 0 ? now - 1 : last,
    Home: 0, End: last}[key];
  if (next === undefined || !points.length) return false;
  chart.dataset.point = Math.min(next, last);
  const {subplot, ...point} = points[Math.min(next, last)];
  Plotly.Fx.hover(chart, [point], subplot);
  setTimeout(() => say(chart), 80); // plotly waits a little when keys come fast
  return true;
}
function say(chart) {
  const label = chart.querySelector(".hovertext");
  if (!label) return;
  const lines = [...label.querySelectorAll("tspan.line")].map(line => line.textContent);
  spoken.textContent = lines.length ? lines.join(", ") : label.textContent;
  label.scrollIntoView({block: "nearest", inline: "nearest"});
}
whenDrawn(() => document.querySelectorAll(".plot").forEach(box => {
  const chart = box.querySelector(".plotly-graph-div");
  box.addEventListener("keydown", event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") Plotly.Fx.unhover(chart);
    else if (goTo(chart, event.key)) event.preventDefault();
  });
  box.addEventListener("blur", () => Plotly.Fx.unhover(chart));
}));
