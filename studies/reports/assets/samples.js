// Chooses, sorts and shows samples. All that comes from models and files is set as text.
const samples = document.getElementById("samples");
const data = JSON.parse(document.getElementById("samples-data").textContent);
const $ = (part) => samples.querySelector(`[data-part=${part}]`);
const by = (name) => samples.querySelector(`[data-by=${name}]`);
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const view = stepping(samples.querySelector(".stepping"));
let kind = "", found = [], shown = null;

// Short texts become numbers again: the other half of packing.py.
const code = (letter) => LETTERS.indexOf(letter);
const shares = (text) => Array.from({length: text.length / 2}, (_, i) => {
  const value = 64 * code(text[2 * i]) + code(text[2 * i + 1]);
  return value > 4094 ? null : value / 4094;
});
const levels = (text) => Array.from(text, (letter) => letter === "_" ? null : code(letter) / 62);
const bits = (text) => Array.from(text).flatMap((letter, i) =>
  [0, 1, 2, 3, 4, 5].filter((bit) => code(letter) >> bit & 1).map((bit) => 6 * i + bit));
const placesOf = (text) => Array.from({length: text.length / 5}, (_, i) => {
  const own = text.slice(5 * i, 5 * i + 5);
  return own[0] === "_" ? null : [code(own[0]), ...shares(own.slice(1))];
});

function unpacked(sample) {
  const packed = sample.steps, tokens = [];
  let kept = [];
  const steps = packed.steps.map((own) => {
    if ("kept" in own) kept = bits(own.kept);
    (own.tokens || []).forEach(([place, word]) => { tokens[place] = packed.words[word]; });
    return {
      number: own.n, kept, bypass: own.bypass || [], refreshed: !own.cached, macs: own.macs,
      reason: own.reason === undefined ? null : packed.words[own.reason],
      attention: (own.attention || [null, null, null]).map((text) => text && shares(text)),
      received: own.received ? levels(own.received) : null,
      confidence: own.confidence === undefined ? null : shares(own.confidence),
      committed: own.committed || [], tokens: tokens.slice(),
    };
  });
  return {...packed, steps, images: data.pictures[sample.picture],
    places: placesOf(data.places[sample.places])};
}

const element = (parent, name, text, kind) => {
  const node = document.createElement(name);
  node.textContent = text;
  if (kind) node.className = kind;
  parent.appendChild(node);
  return node;
};
const chip = (node, kind) => {
  node.textContent = kind;
  node.className = `chip ${kind.split(" ").pop()}`;
};
const plain = (parts) => parts.join("");
const answer = (sample, i) => sample.answers[i] || sample.answers[0];
const score = (value) => String(Math.round(1000 * value) / 1000);
const change = (sample) => `score ${score(sample.facts[0][0])} → ${score(sample.facts[1][0])}`;
const named = (sample) => `sample ${sample.sample}, seed ${sample.seed}`;
data.samples.forEach((sample) => {
  ["kind", "case", "baseline", "run", "task", "missing"].forEach((name) => {
    if (name in sample) sample[name] = data.names[sample[name]];
  });
  sample.text = [sample.question, sample.expected, plain(sample.answers[0]),
    plain(answer(sample, 1))].filter(Boolean).join("\n").toLowerCase();
});

const several = new Set(data.samples.map((sample) => sample.run)).size > 1;

function answered(part, parts, facts) {
  const home = $(part), [value, steps, share] = facts;
  home.replaceChildren();
  parts.forEach((text, i) => {
    if (text) element(home, i % 2 ? "mark" : "span", text);
  });
  home.classList.toggle("empty", !plain(parts));
  if (!plain(parts)) home.textContent = "no answer";
  home.scrollTop = 0;
  home.tabIndex = home.scrollHeight > home.clientHeight ? 0 : -1; // so that keys can scroll it
  $(`${part}-facts`).textContent = `score ${score(value)} · ${steps} step${steps === 1 ? "" : "s"}`
    + ` · ${Math.round(100 * share)} % of the work on visual tokens`;
}

function show(sample) {
  shown = sample;
  $("shown").hidden = !sample;
  view.stop();
  if (!sample) return;
  chip($("kind"), sample.kind);
  $("where").textContent = [sample.case, sample.task, ...(several ? [sample.run] : []),
    named(sample), change(sample)].join(" · ");
  $("differs").textContent = sample.differs || "";
  $("missing").textContent = sample.missing || "";
  $("question").textContent = sample.question || "";
  const expected = sample.expected === null ? plain(sample.answers[0]) : sample.expected;
  $("expected").textContent = `Right answer:${expected.includes("\n") ? "\n" : " "}${expected}`;
  $("baseline").textContent = sample.baseline;
  $("case").textContent = sample.case;
  answered("before", sample.answers[0], sample.facts[0]);
  answered("after", answer(sample, 1), sample.facts[1]);
  $("stage").hidden = !sample.steps;
  $("plain").replaceChildren();
  if (sample.steps) view.load(unpacked(sample), 0);
  else pictures(sample);
}

// Where there are no steps, the picture alone.
function pictures(sample) {
  if (sample.picture === undefined) return;
  data.pictures[sample.picture].forEach((own) => {
    const image = element($("plain"), "img", "");
    [image.src, image.alt] = [own.source, "the picture that was asked about"];
  });
}

function option(sample) {
  const node = element($("list"), "div", "");
  node.setAttribute("role", "option");
  node.addEventListener("click", () => choose(sample, true));
  const top = element(node, "span", "", "top");
  chip(element(top, "span", ""), sample.kind);
  element(top, "span", `${sample.case} · ${sample.task}`);
  element(node, "span", [...(several ? [sample.run] : []), named(sample), change(sample)]
    .join(" · "), "small");
  return node;
}

function choose(sample, focus) {
  const options = [...$("list").children];
  options.forEach((node, i) => {
    const own = found[i] === sample;
    node.setAttribute("aria-selected", own);
    node.tabIndex = own ? 0 : -1;
    if (own && focus) node.focus();
  });
  show(sample);
}

function filter() {
  const words = by("text").value.trim().toLowerCase();
  const fits = (sample) => (!kind || sample.kind === kind) && sample.text.includes(words)
    && ["run", "case", "task"].every((name) => !by(name).value || sample[name] === by(name).value);
  const turn = by("order").value === "gain" ? 1 : -1;
  found = data.samples.filter(fits).sort((a, b) => turn * (a.loss - b.loss));
  $("list").replaceChildren();
  found.forEach(option);
  $("list").hidden = !found.length;
  $("count").textContent = found.length
    ? `${found.length} of ${data.samples.length} samples`
    : "No sample fits: choose another kind, case or task, or search for less.";
  choose(found.includes(shown) ? shown : found[0] || null, false);
}

["run", "case", "task"].forEach((name) => {
  const values = [...new Set(data.samples.map((sample) => sample[name]))];
  by(name).appendChild(new Option("all", ""));
  values.forEach((value) => by(name).appendChild(new Option(value, value)));
  by(name).closest("label").hidden = name === "run" && values.length < 2;
});
samples.querySelectorAll("[data-kind]").forEach((button) => {
  const own = button.dataset.kind;
  const n = data.samples.filter((sample) => !own || sample.kind === own).length;
  button.textContent += ` ${n}`;
  button.disabled = !n;
  button.addEventListener("click", () => {
    kind = own;
    samples.querySelectorAll("[data-kind]").forEach((other) =>
      other.setAttribute("aria-pressed", other === button));
    filter();
  });
});
samples.querySelectorAll("[data-by]").forEach((node) => node.addEventListener("input", filter));

const KEYS = {ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity};
$("list").addEventListener("keydown", (event) => {
  if (!(event.key in KEYS)) return;
  event.preventDefault();
  const next = found.indexOf(shown) + KEYS[event.key];
  choose(found[Math.max(0, Math.min(found.length - 1, next))], true);
});
samples.addEventListener("keydown", (event) => {
  const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!by || !shown || !shown.steps || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.matches("input, select, textarea")) return; // which have their own arrow keys
  event.preventDefault();
  view.move(by);
});
filter();
