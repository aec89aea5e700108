// Draws score against speed-up of every group, for the task and the kind of speed-up that is chosen.
"use strict";
const frontData = (() => {
  const source = document.getElementById("front-data");
  return source ? JSON.parse(source.textContent) : null;
})();
const fronts = (() => {
  if (!frontData) return null;
  const {columns, axes, kinds, groups} = frontData, at = {};
  columns.forEach((name, i) => { at[name] = i; });
  const marks = [0.1, 0.2, 0.5, 0.7, 1, 1.4, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128];
  const fine = [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2];
  const marksOf = ([low, high]) => high - low > Math.log10(2.2) ? marks : fine;
  // Plotly reads tags in texts, and would take %{...} for a field to fill in.
  const plain = text => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;").replaceAll("%{", "%&#123;");
  const cut = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;
  const folded = (text, width) => {
    const lines = [];
    for (const part of cut(text, 1200).split(/\s+/)) {
      for (let rest = part; rest; rest = rest.slice(width)) {
        const word = rest.slice(0, width), last = lines.length - 1;
        if (last >= 0 && lines[last].length + word.length < width) lines[last] += ` ${word}`;
        else lines.push(word);
      }
    }
    return lines.map(plain).join("<br>");
  };
  const number = (value, digits) => value === null ? "-" : value.toFixed(digits);
  const percent = value => value === null ? "-" : `${(100 * value).toFixed(1)} %`;
  const between = (low, high) => low === null ? "" : ` [${low.toFixed(2)}, ${high.toFixed(2)}]`;
  const told = (row, group, width) => [
    `<b>${folded(row[at.case], width)}<\/b>`,
    ...[`${row[at.task]}: score ${number(row[at.score], 3)}` +
      (row[at.score_se] === null ? "" : ` ± ${row[at.score_se].toFixed(3)}`) +
      `, ${percent(row[at.score_relative])} of the unpruned`,
    `measured ${number(row[at.speedup], 2)}${between(row[at.speedup_low], row[at.speedup_high])}`,
    `ideal ${number(row[at.speedup_ideal], 2)}, projected ${number(row[at.speedup_projected], 2)}`,
    `flips ${percent(row[at.flip_rate])}, changed ${percent(row[at.changed])}, ` +
      `gen_length ${row[at.gen_length] === null ? "by task" : row[at.gen_length]}`,
    group.cases[row[at.case]].text].map(line => folded(line, width)),
  ].join("<br>");
  const ends = (values, least) => {
    const low = Math.min(...values), high = Math.max(...values);
    const margin = Math.max(0.08 * (high - low), (least - (high - low)) / 2) + 0.01;
    return [low - margin, high + margin];
  };
  // Names of points on the front, fastest first, where no other name is near; not the baseline's.
  const labels = (front, axis, baseline) => {
    const places = front.map(row => [Math.log10(row[at[axis]]), row[at.score]]), kept = [];
    const width = ends([...places.map(own => own[0]), 0], 0.05), height = ends(
      places.map(own => own[1]), 0.1);
    const near = (a, b) => Math.abs(a[0] - b[0]) < 0.35 * (width[1] - width[0]) &&
      Math.abs(a[1] - b[1]) < 0.12 * (height[1] - height[0]);
    for (let i = front.length - 1; i >= 0; i--) {
      const own = places[i], free = !kept.some(j => near(places[j], own));
      if (front[i][at.case] !== baseline && free) kept.push(i);
    }
    return front.map((row, i) => kept.includes(i) ? `${plain(cut(row[at.case], 26))}<br> ` : "");
  };
  const whiskers = {type: "data", thickness: 1.2, width: 3};
  const traces = (group, shown, front, axis, narrow) => {
    const x = at[axis], own = Object.keys(kinds).map(kind =>
      [kind, shown.filter(row => group.cases[row[at.case]].kind === kind)]);
    const line = {type: "scatter", mode: narrow ? "lines" : "lines+text", name: "front",
      x: front.map(row => row[x]), y: front.map(row => row[at.score]), hoverinfo: "skip",
      line: {color: "#8a8f98", width: 1.5, shape: "vh"}, textposition: "top center",
      text: labels(front, axis, group.baseline), // above their marks
      textfont: {size: 11}, cliponaxis: false};
    return [line, ...own.filter(([, rows]) => rows.length).map(([kind, rows]) => ({
      type: "scatter", mode: "markers", name: kind,
      x: rows.map(row => row[x]), y: rows.map(row => row[at.score]),
      text: rows.map(row => told(row, group, narrow ? 40 : 72)),
      hovertemplate: "%{text}<extra><\/extra>",
      error_x: axis !== "speedup" ? {visible: false} : {...whiskers,
        array: rows.map(row => row[at.speedup_high] === null ? 0
          : row[at.speedup_high] - row[at.speedup]),
        arrayminus: rows.map(row => row[at.speedup_low] === null ? 0
          : row[at.speedup] - row[at.speedup_low])},
      error_y: {...whiskers, array: rows.map(row => row[at.score_se] || 0)},
      marker: {color: kinds[kind].colour, symbol: kinds[kind].symbol, size: 10,
        line: {width: 1, color: "white"}}, cliponaxis: false,
    }))];
  };
  const layout = (group, shown, axis) => {
    const spread = axis === "speedup" ? ["speedup", "speedup_low", "speedup_high"] : [axis];
    const xs = shown.flatMap(row => spread.map(name => row[at[name]]))
      .filter(value => value !== null && value > 0).map(Math.log10);
    const ys = shown.flatMap(row => [-1, 1].map(sign =>
      row[at.score] + sign * (row[at.score_se] || 0)));
    const range = ends([...xs, 0], 0.05), ticks = marksOf(range);
    const grid = "#8a8f98", dotted = {type: "line", layer: "below",
      line: {dash: "dot", width: 1, color: grid}};
    const base = shown.find(row => row[at.case] === group.baseline);
    const common = {gridcolor: grid, linecolor: grid, zeroline: false, ticks: ""};
    const shapes = [{...dotted, x0: 1, x1: 1, yref: "paper", y0: 0, y1: 1}];
    if (base) shapes.push({...dotted, xref: "paper", x0: 0, x1: 1, y0: base[at.score],
      y1: base[at.score]});
    return {template: "none", height: 380, margin: {l: 52, r: 16, t: 22, b: 46}, showlegend: false,
      font: {family: "system-ui, 'Segoe UI', sans-serif", size: 12, color: "#767c86"},
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hoverlabel: {align: "left"},
      xaxis: {...common, type: "log", tickvals: ticks, ticktext: ticks.map(String), range,
        title: {text: axes.find(one => one.name === axis).title}},
      yaxis: {...common, range: ends(ys, 0.1), nticks: 6, title: {text: "score"}}, shapes};
  };
  function draw(place, task, axis) {
    const group = groups[place], chart = document.getElementById(`front-${place}`);
    if (task === frontData.all) task = group.tasks[0]; // one of a single task has no such rows
    const figure = chart.closest("figure"), chosen = group.tasks.includes(task);
    figure.hidden = !chosen;
    if (!chosen) return;
    const shown = group.rows.filter(row => row[at.task] === task && row[at[axis]] !== null &&
      row[at.score] !== null);
    const front = group.fronts[task][axis].map(i => group.rows[i]);
    const narrow = chart.clientWidth < 420;
    const area = group.areas[task][axis].toFixed(4);
    const words = shown.length
      ? `${task}: ${shown.length} settings, ${front.length} on the front; area ${area}`
      : `${task}: missing, as no setting has this kind of speed-up here.`;
    document.querySelector(`[data-area="${place}"]`).textContent = words;
    Plotly.react(chart, traces(group, shown, front, axis, narrow), layout(group, shown, axis),
      {displayModeBar: false, responsive: true});
  }
  const every = new Set(groups.flatMap(group => group.tasks));
  const tasks = [...(every.has(frontData.all) ? [frontData.all] : []), ...every]
    .filter((name, i, all) => all.indexOf(name) === i); // all tasks first
  const select = document.getElementById("task"), buttons = document.querySelectorAll("[data-axis]");
  let task = tasks[0], axis = axes[0].name;
  tasks.forEach(name => select.append(new Option(name, name)));
  const drawAll = () => groups.forEach((_, place) => draw(place, task, axis));
  const again = () => plotlyReady.then(() => { drawAll(); inAllCharts(); });
  document.getElementById("more-fronts")?.addEventListener("toggle", again);
  select.addEventListener("change", () => { task = select.value; again(); });
  buttons.forEach(button => button.addEventListener("click", () => {
    axis = button.dataset.axis;
    buttons.forEach(other => other.setAttribute("aria-pressed", other === button));
    again();
  }));
  plotlyReady.then(() => {
    groups.forEach((group, place) => { // each is drawn once, as what colours charts wants them all
      const own = group.tasks.includes(task) ? task : group.tasks[0];
      draw(place, own, axis);
    });
    drawAll();
  });
  return {columns, groups};
})();
