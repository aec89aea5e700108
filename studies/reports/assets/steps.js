// Shows an answer step by step in a home: pictures, attention, confidences, text.
"use strict";
const stepping = (home) => {
  const NS = "http://www.w3.org/2000/svg";
  const $ = (part) => home.querySelector(`[data-part=${part}]`);
  let data = null, steps = [], total = 0, shown = 0, pictures = [], timer = null, wideness = 0;
  const make = (parent, name, values) => {
    const node = document.createElementNS(NS, name);
    for (const key in values) node.setAttribute(key, values[key]);
    parent.appendChild(node);
    return node;
  };
  const words = (parent, x, y, text, anchor) => {
    make(parent, "text", {x, y, "text-anchor": anchor || "middle"}).textContent = text;
  };
  const named = (node, text) => { make(node, "title", {}).textContent = text; return node; };
  const canvas = (parent, width, height, label) =>
    make(parent, "svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label});
  // Drawn in the pixels that there are, so that words are as large in a narrow window.
  const fresh = (part, height, label) => {
    $(part).replaceChildren();
    const width = Math.max(240, $(part).clientWidth);
    return [canvas($(part), width, height, label), width];
  };
  // Every how many of `n` places of this width a number has room.
  const stride = (wide) => [1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 256]
    .find((every) => every * wide >= 24) || 512;
  const LEFT = 42;
  // A page may leave steps out; each has its own number then.
  const numberOf = (step) => steps[step].number || step + 1;

  function picture(image, i) {
    const width = 600, height = Math.max(1, 600 * image.height / image.width);
    const svg = canvas($("pictures"), width, height, `Picture ${i + 1}`);
    make(svg, "image", {href: image.source, width, height, preserveAspectRatio: "none"});
    return {svg, width, height, layer: make(svg, "g", {})};
  }

  function draw(step) {
    shown = step;
    marks(step); layers(step); confidence(step); text(step);
    home.querySelectorAll(".step").forEach((node) =>
      node.classList.toggle("at", +node.dataset.step === step));
    const own = steps[step];
    let said = `step ${numberOf(step)} of ${data.count || steps.length} · `
      + `${own.kept.length} of ${total} visual tokens`;
    if (own.bypass.length) said += ` · layers ${own.bypass.join(", ")} skipped`;
    if (!own.refreshed) said += " · prompt cached";
    $("now").textContent = said;
    $("why").textContent = own.reason ? `Why: ${own.reason}` : "";
    $("slider").value = step;
    $("slider").setAttribute("aria-valuetext", said);
  }

  // Tokens of one view lie on a grid; views overlap: marks are as large as the densest one's patches.
  function marks(step) {
    const now = new Set(steps[step].kept);
    const before = new Set(step ? steps[step - 1].kept : steps[step].kept);
    const received = steps[step].received, most = received ? Math.max(...received, 1e-9) : 0;
    pictures.forEach((picture, number) => {
      picture.layer.replaceChildren();
      const there = data.places.flatMap((place, i) => place && place[0] === number ? [i] : []);
      const read = there.filter((token) => now.has(token)).length;
      picture.svg.setAttribute("aria-label",
        `Picture ${number + 1}: ${read} of its ${there.length} visual tokens are read`);
      const side = Math.sqrt(picture.width * picture.height / (there.length || 1));
      data.places.forEach((place, token) => {
        if (!place || place[0] !== number) return;
        const x = place[1] * picture.width, y = place[2] * picture.height;
        const box = {x: x - side / 2, y: y - side / 2, width: side, height: side};
        if (!now.has(token)) make(picture.layer, "rect", {...box, class: "dropped"});
        else if (!before.has(token)) make(picture.layer, "rect", {...box, class: "back"});
        if (received && now.has(token)) {
          const r = side * .46 * Math.sqrt((received[token] || 0) / most);
          if (r > .8) make(picture.layer, "circle", {cx: x, cy: y, r, class: "much"});
        }
      });
    });
  }

  const shares = (masses) => masses
    ? masses.map((mass, layer) =>
      `layer ${layer} ${mass === null ? "not measured" : mass.toFixed(2)}`).join(", ")
      + " to the picture"
    : "not measured in this step";

  function layers(step) {
    const [visual, prompt, response] = steps[step].attention, n = data.layers;
    const [svg, width] = fresh("layers", 190,
      `Attention of the answer, layer by layer: ${shares(visual)}`);
    const wide = (width - LEFT) / n, every = stride(wide), skip = new Set(steps[step].bypass);
    for (let layer = 0; layer < n; layer++) {
      const x = LEFT + layer * wide + wide * .1, bar = wide * .8;
      if (skip.has(layer)) make(svg, "rect", {x, y: 8, width: bar, height: 160, class: "skipped"});
      let y = 168;
      [[visual, "visual"], [prompt, "prompt"], [response, "response"]].forEach(([masses, kind]) => {
        const mass = masses && masses[layer];
        if (mass === null || mass === undefined) return;
        y -= 160 * mass;
        named(make(svg, "rect", {x, y, width: bar, height: 160 * mass, class: kind}),
          `layer ${layer}: ${(100 * mass).toFixed(1)} %`);
      });
      if (layer % every === 0) words(svg, x + bar / 2, 184, layer);
    }
    ["1", "0.5", "0"].forEach((mark, i) => words(svg, LEFT - 6, 12 + 80 * i, mark, "end"));
    if (!visual) words(svg, width / 2, 90, "not measured in this step");
  }

  function confidence(step) {
    const own = steps[step], values = own.confidence || [], n = Math.max(1, data.positions);
    const [svg, width] = fresh("confidence", 130,
      `Confidence of ${n} positions, ${own.committed.length} of them committed in this step`);
    const wide = (width - LEFT) / n, every = stride(wide);
    const now = new Set(own.committed), old = step ? steps[step - 1].tokens : [];
    for (let i = 0; i < n; i++) {
      const value = values[i], done = old[i] !== null && old[i] !== undefined;
      if (value !== null && value !== undefined) {
        const kind = now.has(i) ? "new" : done ? "done" : "sure", word = own.tokens[i];
        named(make(svg, "rect", {x: LEFT + i * wide + wide * .1, y: 108 - 100 * value,
          width: wide * .8, height: 100 * value, class: kind}), said(i, word, value));
      }
      if (i % every === 0) words(svg, LEFT + (i + .5) * wide, 124, i);
    }
    ["1", "0.5", "0"].forEach((mark, i) => words(svg, LEFT - 6, 12 + 50 * i, mark, "end"));
    if (!own.confidence) words(svg, width / 2, 60, "not measured in this step");
  }

  const said = (place, word, value) => `position ${place}`
    + (word === null || word === undefined ? "" : `, ${JSON.stringify(word)}`)
    + (value === null || value === undefined ? "" : `: ${value.toFixed(4)}`);

  function text(step) {
    const own = steps[step], now = new Set(own.committed), home = $("text");
    home.replaceChildren();
    own.tokens.forEach((word, i) => {
      const node = document.createElement("span");
      node.textContent = word === null ? "▁" : word;
      node.className = word === null ? "masked" : now.has(i) ? "new" : "";
      node.title = said(i, word, (own.confidence || [])[i]);
      home.appendChild(node);
    });
  }

  function overview() {
    const [svg, width] = fresh("steps", 150, `${steps.length} of ${data.count || steps.length} steps: `
      + "visual tokens read, work, and confidence of what is committed");
    const points = [];
    const wide = (width - LEFT) / steps.length, every = stride(wide);
    steps.forEach((own, step) => {
      const x = LEFT + step * wide, share = total ? own.kept.length / total : 1;
      make(svg, "rect", {x: x + wide * .1, y: 120 - 110 * share, width: wide * .8,
        height: 110 * share, class: "kept"});
      points.push(`${x + wide / 2},${120 - 110 * own.macs / data.full}`);
      if (step % every === 0) words(svg, x + wide / 2, 138, numberOf(step));
    });
    make(svg, "polyline", {points: points.join(" ")});
    steps.forEach((own, step) => {
      const sure = own.committed.map((i) => (own.confidence || [])[i]).filter(Number.isFinite);
      const mean = sure.reduce((sum, value) => sum + value, 0) / sure.length;
      if (sure.length) make(svg, "circle", {cx: LEFT + (step + .5) * wide, cy: 120 - 110 * mean,
        r: Math.min(3.5, Math.max(1.5, wide / 4)), class: "dot"});
      const box = make(svg, "rect", {x: LEFT + step * wide, y: 6, width: wide, height: 118,
        class: "step"});
      box.dataset.step = step;
      box.addEventListener("click", () => { stop(); draw(step); });
      named(box, `step ${numberOf(step)}: ${own.kept.length} of ${total} visual tokens, `
        + `${own.committed.length} committed`
        + (sure.length ? `, confidence ${mean.toFixed(4)}` : "")
        + (own.reason ? `\n${own.reason}` : ""));
    });
    ["100 %", "50 %", "0"].forEach((mark, i) => words(svg, LEFT - 6, 14 + 55 * i, mark, "end"));
  }

  const showPlay = (text, label) => {
    $("play").textContent = text;
    $("play").setAttribute("aria-label", label);
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    showPlay("\u25b6", "Play");
  };
  const clamp = (step) => Math.max(0, Math.min(steps.length - 1, step));
  $("slider").addEventListener("input", (event) => { stop(); draw(+event.target.value); });
  $("play").addEventListener("click", () => {
    if (timer) return stop();
    showPlay("\u275a\u275a", "Pause");
    let step = shown >= steps.length - 1 ? 0 : shown;
    draw(step);
    timer = setInterval(() => { if (step >= steps.length - 1) stop(); else draw(++step); }, 700);
  });
  new ResizeObserver(() => {
    if (!data || $("steps").clientWidth === wideness) return;
    wideness = $("steps").clientWidth;
    overview();
    draw(shown);
  }).observe($("steps"));

  return {
    load(given, step) {
      stop();
      [data, steps, total] = [given, given.steps, given.places.length];
      wideness = $("steps").clientWidth;
      $("pictures").replaceChildren();
      pictures = data.images.map(picture);
      $("slider").max = steps.length - 1;
      $("why").hidden = !steps.some((own) => own.reason); // else it would be an empty line
      shown = clamp(step);
      overview();
      draw(shown);
    },
    move(by) { stop(); draw(clamp(shown + by)); },
    stop,
  };
};
