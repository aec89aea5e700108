// Shows an answer step by step: pictures, attention, confidences, text.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const NS = "http://www.w3.org/2000/svg", $ = (id) => document.getElementById(id);
const make = (parent, name, values) => {
  const node = document.createElementNS(NS, name);
  for (const key in values) node.setAttribute(key, values[key]);
  parent.appendChild(node);
  return node;
};
const words = (parent, x, y, text, anchor) => {
  make(parent, "text", {x, y, "text-anchor": anchor || "middle"}).textContent = text;
};
const canvas = (parent, width, height) =>
  make(parent, "svg", {viewBox: `0 0 ${width} ${height}`, role: "img"});
const steps = data.steps, total = data.places.length;

const pictures = data.images.map((image) => {
  const width = 600, height = Math.max(1, 600 * image.height / image.width);
  const svg = canvas($("pictures"), width, height);
  make(svg, "image", {href: image.source, width, height, preserveAspectRatio: "none"});
  return {width, height, layer: make(svg, "g", {})};
});

// Tokens of one view lie on a grid; views overlap, so marks are as large as a patch of the densest.
function draw(step) {
  const now = new Set(steps[step].kept);
  const before = new Set(step ? steps[step - 1].kept : steps[step].kept);
  const received = steps[step].received, most = received ? Math.max(...received, 1e-9) : 0;
  pictures.forEach((picture, number) => {
    picture.layer.replaceChildren();
    const own = data.places.filter((place) => place && place[0] === number).length || 1;
    const side = Math.sqrt(picture.width * picture.height / own);
    data.places.forEach((place, token) => {
      if (!place || place[0] !== number) return;
      const x = place[1] * picture.width, y = place[2] * picture.height;
      const box = {x: x - side / 2, y: y - side / 2, width: side, height: side};
      if (!now.has(token)) {
        make(picture.layer, "rect", {...box, fill: "#22262c", "fill-opacity": .62});
      } else if (!before.has(token)) {
        make(picture.layer, "rect", {...box, fill: "#1b8a6b", "fill-opacity": .35});
      }
      if (received && now.has(token)) {
        const r = side * .46 * Math.sqrt((received[token] || 0) / most);
        if (r > .8) make(picture.layer, "circle",
          {cx: x, cy: y, r, fill: "#d0561a", "fill-opacity": .45});
      }
    });
  });
  layers(step); confidence(step); text(step);
  document.querySelectorAll("#steps .at").forEach((node) =>
    node.setAttribute("fill-opacity", +node.dataset.step === step ? .1 : 0));
  const own = steps[step], ratio = total ? own.kept.length / total : 1;
  let said = `step ${step + 1} of ${steps.length} · ${own.kept.length} of ${total} visual tokens`;
  if (own.bypass.length) said += ` · layers ${own.bypass.join(", ")} skipped`;
  if (!own.refreshed) said += " · prompt cached";
  $("now").textContent = said;
  $("slider").value = step;
}

function layers(step) {
  $("layers").replaceChildren();
  const [visual, prompt, response] = steps[step].attention, n = data.layers;
  const svg = canvas($("layers"), 560, 190), wide = 520 / n, skip = new Set(steps[step].bypass);
  for (let layer = 0; layer < n; layer++) {
    const x = 36 + layer * wide + wide * .1, width = wide * .8;
    if (skip.has(layer)) make(svg, "rect",
      {x, y: 8, width, height: 160, fill: "none", stroke: "#b9b5ab", "stroke-dasharray": "3 3"});
    let y = 168;
    [[visual, "#2f6db5"], [prompt, "#c9c6be"], [response, "#a87b12"]].forEach(([masses, fill]) => {
      const mass = masses && masses[layer];
      if (mass === null || mass === undefined) return;
      y -= 160 * mass;
      make(svg, "rect", {x, y, width, height: 160 * mass, fill, "fill-opacity": .9});
    });
    if (n <= 40 || layer % 4 === 0) words(svg, x + width / 2, 184, layer);
  }
  ["1", "0.5", "0"].forEach((mark, i) => words(svg, 28, 12 + 80 * i, mark, "end"));
  if (!visual) words(svg, 290, 90, "not measured in this step");
}

function confidence(step) {
  $("confidence").replaceChildren();
  const own = steps[step], values = own.confidence || [], n = values.length || 1;
  const svg = canvas($("confidence"), 560, 130), wide = 520 / n;
  const fresh = new Set(own.committed), old = step ? steps[step - 1].tokens : [];
  values.forEach((value, i) => {
    if (value === null) return;
    const done = old[i] !== null && old[i] !== undefined;
    const fill = fresh.has(i) ? "#d0561a" : done ? "#e3e0d9" : "#9db9dc";
    make(svg, "rect", {x: 36 + i * wide + wide * .1, y: 108 - 100 * value, width: wide * .8,
      height: 100 * value, fill});
    if (n <= 16 || i % 8 === 0) words(svg, 36 + (i + .5) * wide, 124, i);
  });
  ["1", "0.5", "0"].forEach((mark, i) => words(svg, 28, 12 + 50 * i, mark, "end"));
}

function text(step) {
  const fresh = new Set(steps[step].committed), home = $("text");
  home.replaceChildren();
  steps[step].tokens.forEach((word, i) => {
    const node = document.createElement("span");
    node.textContent = word === null ? "▁" : word;
    node.className = word === null ? "masked" : fresh.has(i) ? "new" : "";
    home.appendChild(node);
  });
}

function overview() {
  const svg = canvas($("steps"), 1160, 150), wide = 1110 / steps.length, points = [];
  steps.forEach((own, step) => {
    const x = 40 + step * wide, share = total ? own.kept.length / total : 1;
    make(svg, "rect", {x: x + wide * .1, y: 120 - 110 * share, width: wide * .8,
      height: 110 * share, fill: "#2f6db5", "fill-opacity": .35});
    points.push(`${x + wide / 2},${120 - 110 * own.macs / data.full}`);
    if (steps.length <= 40 || step % 8 === 0) words(svg, x + wide / 2, 138, step + 1);
  });
  make(svg, "polyline", {points: points.join(" "), fill: "none", stroke: "#22262c",
    "stroke-width": 1.6});
  steps.forEach((own, step) => {
    const box = make(svg, "rect", {x: 40 + step * wide, y: 6, width: wide, height: 118,
      fill: "#22262c", "fill-opacity": 0, class: "at"});
    box.dataset.step = step;
    box.addEventListener("click", () => draw(step));
  });
  ["100 %", "50 %", "0"].forEach((mark, i) => words(svg, 34, 14 + 55 * i, mark, "end"));
}

let timer = null;
const stop = () => { clearInterval(timer); timer = null; $("play").innerHTML = "&#9654;"; };
$("slider").max = steps.length - 1;
$("slider").addEventListener("input", (event) => { stop(); draw(+event.target.value); });
$("play").addEventListener("click", () => {
  if (timer) return stop();
  $("play").innerHTML = "&#10074;&#10074;";
  let step = +$("slider").value >= steps.length - 1 ? 0 : +$("slider").value;
  draw(step);
  timer = setInterval(() => { if (step >= steps.length - 1) stop(); else draw(++step); }, 700);
});
overview();
draw(Math.max(0, Math.min(steps.length - 1, parseInt(location.hash.slice(1)) - 1 || 0)));
