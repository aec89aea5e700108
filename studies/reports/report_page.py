"""The frame of the report: its page, for `string.Template`, and its style."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="icon" href="data:,">
<style>$css</style>
<script>$plotly</script>
</head>
<body>
<main>
<header><p class="kicker">Saccade study</p><h1>$title</h1>$lead</header>
$overview<section>
<div class="bar"><h2>Score against speed-up</h2><div class="switch">$buttons</div></div>
<ul class="legend">$legend</ul>
$charts
</section>
<section>
<h2>Results</h2>
$tables
<dl>$notes</dl>
</section>
<details><summary>Recipe: configuration, versions, hardware, hashes of the weights</summary>
<pre>$recipe</pre></details>
<footer>Written by Saccade $version</footer>
</main>
<script>$switch</script>
</body>
</html>
"""
CSS = """
:root { --ink: #22262c; --soft: #686d76; --line: #e3e0d9; --tint: #f4f1ea; --accent: #2f6db5; }
* { box-sizing: border-box; }
body { margin: 0; background: #fcfbf9; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1220px; margin: 0 auto; padding: 48px 28px 64px; }
.kicker { margin: 0; color: var(--accent); font-size: 13px; font-weight: 600;
  letter-spacing: .08em; text-transform: uppercase; }
h1 { margin: 4px 0 12px; font-size: 36px; line-height: 1.15; letter-spacing: -.015em;
  overflow-wrap: anywhere; }
h3 { margin: 26px 0 4px; font-size: 16px; }
td.worse em { color: #b3261e; } td.better em { color: #1b7a52; }
td em { display: block; color: var(--soft); font-size: 12px; font-style: normal; }
h2 { margin: 0; font-size: 20px; letter-spacing: -.005em; }
.lead { max-width: 80ch; margin: 0; color: #454a52; }
.banner { margin: 16px 0 0; padding: 10px 14px; border-left: 3px solid #d0a21a;
  background: #fdf6e0; }
section { margin-top: 44px; }
.bar { display: flex; flex-wrap: wrap; gap: 12px; align-items: center;
  justify-content: space-between; }
.switch { display: inline-flex; border: 1px solid var(--line); border-radius: 8px;
  overflow: hidden; background: white; }
.switch button { padding: 6px 14px; border: 0; background: none; color: var(--soft); font: inherit;
  font-size: 14px; cursor: pointer; }
.switch button + button { border-left: 1px solid var(--line); }
.switch button[aria-pressed=true] { background: var(--accent); color: white; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 12px 0 14px; padding: 0;
  list-style: none; font-size: 14px; }
.mark { display: inline-block; width: 1.4em; }
.charts { display: grid; gap: 18px;
  grid-template-columns: repeat(auto-fit, minmax(min(330px, 100%), 1fr)); }
figure { min-width: 0; margin: 0; padding: 14px 14px 4px; border: 1px solid var(--line);
  border-radius: 10px; background: white; }
figcaption { font-size: 15px; font-weight: 600; }
.chart { height: 270px; }
.scroll { margin-top: 14px; overflow-x: auto; border: 1px solid var(--line); border-radius: 10px;
  background: white; }
table { width: 100%; border-collapse: collapse; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; text-align: right; white-space: nowrap; }
th:first-child { padding-left: 16px; text-align: left; }
td:last-child, thead th:last-child { padding-right: 16px; }
thead th { border-bottom: 1px solid var(--line); color: var(--soft); font-size: 13px;
  font-weight: 600; }
tbody th[scope=row] { min-width: 216px; max-width: 280px; font-weight: 400; white-space: normal;
  overflow-wrap: break-word; }
tr.task th { padding-top: 18px; border-bottom: 1px solid var(--line); font-size: 15px;
  white-space: normal; }
tr.task span { margin-left: 12px; color: var(--soft); font-size: 13px; font-weight: 400; }
tbody + tbody tr.task th { border-top: 1px solid var(--line); }
tr.baseline > * { background: var(--tint); }
tr.baseline th[scope=row] { font-weight: 600; }
small { color: var(--soft); font-size: 12px; }
small[hidden] { display: inline; visibility: hidden; }
.share { display: inline-block; width: 84px; padding: 0 6px; border-radius: 3px;
  background: linear-gradient(90deg, #d5e3f3 var(--share), #f1efea var(--share)); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 16px; margin: 18px 0 0;
  color: var(--soft); font-size: 13px; }
dt { font-weight: 600; }
dd { max-width: 100ch; margin: 0; }
details { margin-top: 44px; border: 1px solid var(--line); border-radius: 10px; background: white; }
summary { padding: 12px 16px; font-weight: 600; cursor: pointer; }
pre { margin: 0; padding: 4px 16px 16px; font: 12.5px/1.5 ui-monospace, Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 28px; color: var(--soft); font-size: 13px; }
@media (max-width: 640px) { main { padding: 28px 16px 48px; } h1 { font-size: 28px; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: 8px; } }
@media print { .switch { display: none; } body { background: white; } }
"""
