// Sorts, filters and copies tables, and gives the data of charts.
"use strict";
const csvCell = value => {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
};
const csv = rows => rows.map(row => row.map(csvCell).join(",")).join("\n") + "\n";
const markdown = rows => {
  const line = cells => `| ${cells.map(text => text.replace(/[\\|<>*_`[\]]/g, "\\$&")).join(" | ")} |`;
  return [line(rows[0]), line(rows[0].map((_, i) => i ? "---:" : "---")), ...rows.slice(1).map(line)]
    .join("\n") + "\n";
};
const texed = {"\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "%": "\\%", "&": "\\&", "_": "\\_",
  "#": "\\#", "$": "\\$", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$",
  "†": "$\\dagger$", "·": "$\\cdot$", "<": "$<$", ">": "$>$"};
const latex = rows => {
  const line = cells => `${cells.map(text => text.replace(/[\\{}%&_#$~^±†·<>]/g,
    own => texed[own])).join(" & ")} \\\\`;
  return [`\\begin{tabular}{l${"r".repeat(rows[0].length - 1)}}`, "\\toprule", line(rows[0]),
    "\\midrule", ...rows.slice(1).map(line), "\\bottomrule", "\\end{tabular}"].join("\n") + "\n";
};
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // no permission, or an older browser
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
function give(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = `${name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000); // a slow one may begin late
}
const cleaned = cell => {
  const own = cell.cloneNode(true);
  own.querySelectorAll(".room, .mark").forEach(part => part.remove());
  return own.innerText.replace(/\s+/g, " ").trim();
};
document.querySelectorAll(".tool-table").forEach(box => {
  const told = JSON.parse(box.querySelector("[data-values]").textContent), {order} = told;
  const [keys, rows] = "from" in told ? [fronts.columns, fronts.groups[told.from].rows]
    : [told.keys, told.rows];
  const said = box.querySelector(".said"), heads = [...box.querySelectorAll("thead th")];
  const lines = () => [...box.querySelectorAll("tr[data-row]")].filter(line => !line.hidden);
  const shown = () => {
    const titles = box.querySelector("tr.section") ? [""] : [];
    const head = [...titles, ...heads.map(cleaned)];
    return [head, ...lines().map(line => {
      const title = line.parentElement.querySelector("tr.section th > div");
      const name = title ? [title.firstChild.textContent.trim()] : titles;
      return [...name, ...[...line.cells].map(cleaned)];
    })];
  };
  const forms = {CSV: () => csv([keys, ...lines().map(line => rows[line.dataset.row])]),
    Markdown: () => markdown(shown()), LaTeX: () => latex(shown())};
  box.querySelectorAll("[data-copy]").forEach(button => button.addEventListener("click", async () => {
    const done = await copyText(forms[button.dataset.copy]());
    said.textContent = done ? `${lines().length} rows copied as ${button.dataset.copy}`
      : "The browser did not allow copying";
  }));
  box.querySelector("[data-filter]").addEventListener("input", event => {
    const wanted = event.target.value.toLowerCase();
    box.querySelectorAll("tr[data-row]").forEach(line => {
      line.hidden = !line.cells[0].textContent.toLowerCase().includes(wanted);
    });
    box.querySelectorAll("tr.section").forEach(title => {
      title.hidden = ![...title.parentElement.querySelectorAll("tr[data-row]")].some(l => !l.hidden);
    });
    said.textContent = wanted ? `${lines().length} rows match` : "";
  });
  const valueOf = (line, column) => {
    const key = order[column];
    return key < 0 ? cleaned(line.cells[column]) : rows[line.dataset.row][key];
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null); // what is not known comes last
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), "en", {numeric: true});
  };
  box.querySelectorAll("[data-sort]").forEach(button => button.addEventListener("click", () => {
    const column = Number(button.dataset.sort), head = heads[column];
    const up = head.getAttribute("aria-sort") === "descending" ||
      (column === 0 && head.getAttribute("aria-sort") !== "ascending");
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    box.querySelectorAll("tbody").forEach(body => {
      const own = [...body.querySelectorAll("tr[data-row]")];
      own.sort((a, b) => compare(valueOf(a, column), valueOf(b, column), up ? 1 : -1) ||
        a.dataset.row - b.dataset.row);
      body.append(...own);
    });
  }));
});
const listed = values => Array.from(values || []);
function chartRows(chart) { // of every trace the values that it draws
  const out = [["trace", "x", "y", "value", "text"]];
  (chart._fullData || []).forEach((trace, i) => {
    const name = trace.name || `trace ${i}`, xs = listed(trace.x), ys = listed(trace.y);
    if (trace.z) {
      listed(trace.z).forEach((row, y) => listed(row).forEach((value, x) =>
        out.push([name, xs[x] ?? x, ys[y] ?? y, value, ""])));
    } else {
      const texts = Array.isArray(trace.text) ? trace.text : [];
      xs.forEach((x, j) => out.push([name, x, ys[j], "", texts[j] ?? ""]));
    }
  });
  return out;
}
document.querySelectorAll("[data-download]").forEach(button => button.addEventListener("click", () => {
  const name = button.dataset.download, front = /^front-(\d+)$/.exec(name);
  give(name, csv(front ? [fronts.columns, ...fronts.groups[front[1]].rows]
    : chartRows(document.getElementById(name))));
}));
