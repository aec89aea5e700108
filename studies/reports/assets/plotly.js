// Unpacks plotly, which pages hold compressed. `plotlyReady` is kept once `Plotly` is there, and
// broken where the browser cannot unpack it; then every chart says so.
"use strict";
const plotlyReady = (async () => {
  if (!("DecompressionStream" in window)) {
    throw new Error("this browser is too old to unpack them; Chrome and Edge can from version 80, " +
      "Firefox from 113, Safari from 16.4");
  }
  const packed = document.getElementById("packed-plotly"), text = atob(packed.textContent);
  packed.remove();
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(plain).text();
  document.head.append(script);
  if (!window.Plotly) throw new Error("the script that draws them did not start");
})();
function sayUndrawn(error) {
  document.querySelectorAll(".plotly-graph-div").forEach(chart => {
    chart.textContent = `The charts cannot be drawn: ${error.message}. Tables show the figures.`;
  });
}
plotlyReady.catch(error => document.readyState === "loading"
  ? addEventListener("DOMContentLoaded", () => sayUndrawn(error)) : sayUndrawn(error));
