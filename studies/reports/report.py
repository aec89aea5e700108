"""The report of a study: one HTML page that needs nothing but itself."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from saccade.controller.errors import StudyError
from saccade.studies.analysis.methods import has_methods, methods_of
from saccade.studies.analysis.summary import Row, Summary
from saccade.studies.config.study import StudyConfig
from saccade.studies.reports.charts import (
    AXES,
    Style,
    axis_ranges,
    case_styles,
    scatter,
    switch_script,
)
from saccade.studies.reports.methods_table import methods_html
from saccade.studies.reports.overview import overview_html
from saccade.studies.reports.paper_figures import figures_html
from saccade.studies.reports.report_page import CSS, PAGE
from saccade.studies.reports.table import committed_note, interval, number, percent
from saccade.studies.runs.files import replacing

COLUMNS = {
    "Score": "mean over the samples, with its standard error; 1 is best. Tasks of one row count "
    "answers that are right, tasks of several rows the share of rows that are.",
    "Relative": "score relative to the baseline's, on the same samples.",
    "Time": "milliseconds per sample of a batch: preparing its inputs and generating its answer.",
    "Speed-up": "time of the baseline over that of the case, paired by batch, geometric mean; more "
    "than 1 is faster. In brackets its 95 % interval, by Student's t over the units.",
    "Ideal": "the same ratio of exact multiply-accumulates, vision tower and projector included: "
    "what could be gained if time followed arithmetic.",
    "Ideal, paper": "the same by the published formula (decoder layers alone, an MLP of two "
    "matrices); only for comparing with published figures.",
    "Projected": "the same when this run's own pattern of visual tokens is priced at the published "
    "size of LLaDA-V: 32 layers of width 4,096, 3,645 visual tokens, without its vision tower. "
    "Counted, not measured, and only for models that compute the picture in every step.",
    "Visual tokens": "share of the visual tokens that the answer could attend to, over all layers "
    "and steps.",
    "GMAC": "billions of multiply-accumulates per sample, in the decoder and its output head, "
    "exact.",
    "GMAC, paper": "the same by the published formula.",
}
"""Columns of the table after the case's name, and what they mean."""


WAYS = {
    "from-scratch": "a model that denoises its answer in several steps and reads the whole picture "
    "again in each of them",
    "ar-to-diffusion": "a model that denoises its answer in several steps and reads the picture "
    "once, then what it cached of it, unless a case says otherwise",
    "autoregressive": "a model that writes its answer token by token and reads the picture once, "
    "then what it cached of it",
}
"""How models of each origin answer."""


def write_report(summaries: Summary | Sequence[Summary], path: str | Path) -> None:
    """Write the report of a run, or of a study's runs, as one self-contained page.

    Raises
    ------
    StudyError
        If the file cannot be written.
    """
    page = report_html(*([summaries] if isinstance(summaries, Summary) else summaries))
    try:
        with replacing(path) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StudyError(f"the report cannot be written to {path}: {error}") from error


def report_html(*summaries: Summary) -> str:
    """The page: what was compared, charts, table and recipe. All text from outside is escaped.

    Of several models each has a part of its own, after an overview.
    """
    from plotly.offline import get_plotlyjs

    first = summaries[0]
    names = dict.fromkeys(case.name for one in summaries for case in one.config.cases)
    styles = case_styles(list(names), first.config.baseline)
    ranges = axis_ranges([row for one in summaries for row in one.rows()])
    recipes = [one.recipe for one in summaries]
    shown = recipes[0] if len(recipes) == 1 else recipes
    return Template(PAGE).substitute(
        css=CSS,
        plotly=get_plotlyjs(),
        title=escape(first.config.name),
        lead=_lead(first) if len(summaries) == 1 else _lead_of_many(summaries),
        overview=_overview(summaries) + figures_html(summaries),
        buttons=_buttons(list(ranges)),
        legend="".join(f"<li>{_mark(style)}{escape(name)}</li>" for name, style in styles.items()),
        charts=_all_charts(summaries, styles, ranges),
        switch=switch_script(ranges),
        tables="".join(_table(one, styles, len(summaries) > 1) for one in summaries),
        notes="".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in COLUMNS.items()),
        recipe=escape(json.dumps(shown, indent=2, ensure_ascii=False)),
        version=escape(str(first.recipe["versions"]["saccade"])),
    )


def _overview(summaries: Sequence[Summary]) -> str:
    """Tables of methods, and of several models side by side."""
    tables = "".join(methods_html(methods_of(one)) for one in summaries if has_methods(one))
    return tables + ("" if len(summaries) == 1 else overview_html(summaries))


def _by_task(summary: Summary) -> dict[str, list[Row]]:
    tasks: dict[str, list[Row]] = {}
    for row in summary.rows():
        tasks.setdefault(row["task"], []).append(row)
    return tasks


def _all_charts(
    summaries: Sequence[Summary], styles: dict[str, Style], ranges: dict[str, list[float]]
) -> str:
    """Charts of every task, model by model."""
    out, number = "", 0
    for summary in summaries:
        charts = ""
        for task, rows in _by_task(summary).items():
            chart = scatter(number, rows, styles, summary.config.baseline, ranges)
            charts += (
                f"<figure><figcaption>{escape(task)}</figcaption>"
                f'<div class="chart">{chart}</div></figure>'
            )
            number += 1
        heading = f"<h3>{escape(summary.config.model)}</h3>" if len(summaries) > 1 else ""
        out += f'{heading}<div class="charts">{charts}</div>'
    return out


def _table(summary: Summary, styles: dict[str, Style], named: bool) -> str:
    """The table of one model."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS)
    bodies = "".join(
        _task_rows(task, rows, styles, summary) for task, rows in _by_task(summary).items()
    )
    heading = f"<h3>{escape(summary.config.model)}</h3>" if named else ""
    return (
        f'{heading}<div class="scroll"><table><thead><tr><th scope="col">Case</th>{heads}</tr>'
        f"</thead>{bodies}</table></div>"
    )


def _lead_of_many(summaries: Sequence[Summary]) -> str:
    """What several models did, and which of their runs are unfinished."""
    config, hardware = summaries[0].config, summaries[0].recipe["hardware"]
    names = ", ".join(
        f"{one.config.model} ({one.recipe['backbone']['origin']})" for one in summaries
    )
    text = (
        f"{len(summaries)} models answered the same {_samples(config)} of each task: "
        f"{names}. Each case is compared with the baseline “{config.baseline}” of the same model, "
        "which drops no visual tokens. Times were measured on "
        f"{hardware['gpu'] or hardware['cpu']} with {_threads(hardware['threads'])}."
    )
    lead = f'<p class="lead">{escape(text)}</p>'
    for one in summaries:
        if not one.finished:
            done = f"{one.config.model} is unfinished: {one.done} of {one.total} units are in."
            lead += f'<p class="banner">{escape(done)}</p>'
    return lead


def _lead(summary: Summary) -> str:
    config, backbone = summary.config, summary.recipe["backbone"]
    hardware, threads = summary.recipe["hardware"], summary.recipe["hardware"]["threads"]
    text = (
        f"{len(config.cases)} cases answered the same {_samples(config)} of each task with "
        f"{backbone['name']} ({backbone['origin']}), {WAYS[backbone['origin']]}. A case drops "
        f"visual tokens by a schedule of its own; the baseline, “{config.baseline}”, drops "
        "nothing. The figures say what that costs in score and gains in time, measured on "
        f"{hardware['gpu'] or hardware['cpu']} with {_threads(threads)}."
    )
    lead = f'<p class="lead">{escape(text)}</p>'
    if not summary.finished:
        done = f"This run is unfinished: {summary.done} of {summary.total} units are in."
        lead += f'<p class="banner">{done}</p>'
    return lead


def _samples(config: StudyConfig) -> str:
    if not config.seeds:
        return f"{config.samples} samples"
    return f"{config.samples * len(config.seeds)} samples ({config.samples} a seed)"


def _buttons(axes: Sequence[str]) -> str:
    names = [AXES[axis].removesuffix(" speed-up").capitalize() for axis in axes]
    pressed = ["true"] + ["false"] * (len(names) - 1)
    return "".join(
        f'<button type="button" data-axis="{i}" aria-pressed="{state}">{name}</button>'
        for i, (name, state) in enumerate(zip(names, pressed, strict=True))
    )


def _mark(style: Style) -> str:
    return f'<span class="mark" style="color:{style.colour}">{style.glyph}</span>'


def _task_rows(task: str, rows: Sequence[Row], styles: dict[str, Style], summary: Summary) -> str:
    """The table's section of one task: a heading, and a row per case."""
    settings = summary.recipe["settings"][task]
    steps = f"in {settings['steps']} steps" if "steps" in settings else "one a step"
    facts = (
        f"{rows[0]['n']} samples in {rows[0]['n_units']} units, {settings['gen_length']} tokens "
        f"{steps}. {committed_note(rows)}"
    )
    heading = f'<th colspan="{len(COLUMNS) + 1}" scope="rowgroup">{escape(task)}'
    lines = [f'<tr class="task">{heading}<span>{escape(facts)}</span></th></tr>']
    for row in rows:
        kind = ' class="baseline"' if row["case"] == summary.config.baseline else ""
        name = f'<th scope="row">{_mark(styles[row["case"]])}{escape(row["case"])}</th>'
        lines.append(f"<tr{kind}>{name}{''.join(_cells(row))}</tr>")
    return f"<tbody>{''.join(lines)}</tbody>"


def _cells(row: Row) -> list[str]:
    def small(text: str) -> str:
        return f" <small>{text}</small>"

    share = row["visual_tokens_ratio"]
    bar = f'<span class="share" style="--share:{100 * share:.1f}%">{percent(share)}</span>'
    se = "" if row["score_se"] is None else small(f"± {number(row['score_se'], 3)}")
    # An invisible one keeps the numbers of the column below each other.
    spread = small(interval(row)) if interval(row) else " <small hidden>[1.00, 1.00]</small>"
    cells = (
        number(row["score"], 3) + se,
        percent(row["score_relative"], 1),
        number(1000 * row["seconds_per_sample"], 1, " ms"),
        f"<b>{number(row['speedup'], 2)}</b>{spread}",
        number(row["speedup_ideal"], 2),
        number(row["speedup_ideal_paper"], 2),
        number(row["speedup_projected"], 2),
        bar,
        number(row["macs"] / 1e9, 2),
        number(row["macs_paper"] / 1e9, 2),
    )
    return [f"<td>{cell}</td>" for cell in cells]


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"
