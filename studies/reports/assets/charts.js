// Draws charts in the page's own colours, light or dark, and again when these change.
"use strict";
const darkness = matchMedia("(prefers-color-scheme: dark)");
const colourOf = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const every = () => document.querySelectorAll(".plotly-graph-div");
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
    .then(() => Plotly.Plots.resize(chart)); // its box may have changed while it was drawn
}
const inAllCharts = () => every().forEach(inPageColours);
const onPaper = printed => {
  document.documentElement.classList.toggle("printed", printed);
  if (darkness.matches) inAllCharts();
};
inAllCharts();
darkness.addEventListener("change", inAllCharts);
addEventListener("beforeprint", () => onPaper(true));
addEventListener("afterprint", () => onPaper(false));
