"""One answer as users see it: the text, then what it cost; or all of it as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from saccade.studies.cli.consoles import scaled

if TYPE_CHECKING:
    from saccade.backbones import Model, Prepared
    from saccade.controller import Controller, Generation
    from saccade.controller.step_record import StepRecord
    from saccade.controller.trace import Trace

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 48
"""Most bars in a line; more steps share them."""
REASONS = 6
"""Most reasons that are shown."""


@dataclass(frozen=True, slots=True)
class AnswerView:
    """A generation with what made it.

    Attributes
    ----------
    model : Model
    controller : Controller
    inputs : Prepared
    generation : Generation
    settings : dict
        Options given to ``generate``.
    load_seconds, seconds : float
        Wall time of loading the model, and of preparing the request and denoising the answer.
    bare : BareAnswer or None
        The model's own answer, if it was asked to compare.
    """

    model: "Model"
    controller: "Controller"
    inputs: "Prepared"
    generation: "Generation"
    settings: dict[str, Any]
    load_seconds: float
    seconds: float
    bare: "BareAnswer | None" = None

    @property
    def ideal(self) -> float | None:
        """Ideal speed-up: against the model's own answer where there is one, else against the same
        steps with all visual tokens; None where that cannot be told."""
        if self.bare is not None:
            own, bare = self.trace, self.bare.generation.trace
            return (bare.macs + bare.prepare_macs) / (own.macs + own.prepare_macs)
        from saccade.studies.analysis.full_work import ideal_speedup

        return ideal_speedup(self.trace, self.model.spec.geometry)

    @property
    def reasons(self) -> list[str]:
        """Why the plan of each step is what it is; "" where nothing is said."""
        return [step.plan.reason for step in self.trace]

    @property
    def trace(self) -> "Trace":
        return self.generation.trace

    @property
    def pruner(self) -> str | None:
        """The pruner as text."""
        from saccade.controller.text_form import written

        return None if self.controller.pruner is None else written(self.controller.pruner)

    @property
    def kept(self) -> list[int]:
        """Visual tokens that reached the last layer, per step."""
        return [len(step.kept) for step in self.trace]

    @property
    def attention(self) -> list[float] | None:
        """Attention mass of the answer on the picture per step, in [0, 1]; None if not probed."""
        masses = [mass for step in self.trace if (mass := _attention(step)) is not None]
        return masses if masses and len(masses) == len(self.trace) else None

    def to_json(self) -> dict[str, Any]:
        """Plain values of everything."""
        return {
            "text": self.generation.text,
            "tokens": list(self.generation.tokens),
            "seconds": round(self.seconds, 4),
            "load_seconds": round(self.load_seconds, 4),
            "forwards": self.trace.forwards,
            "refreshes": self.trace.refreshes,
            "macs": self.trace.macs,
            "prepare_macs": self.trace.prepare_macs,
            "speedup_ideal": None if self.ideal is None else round(self.ideal, 4),
            "visual_tokens": self.trace.n_visual,
            "visual_tokens_per_step": self.kept,
            "visual_tokens_ratio": round(self.trace.visual_tokens_ratio, 6),
            "attention_to_picture_per_step": self.attention,
            "model": self.model.spec.name,
            "policy": repr(self.controller.policy),
            "pruner": self.pruner,
            "reasons": self.reasons,
            "settings": self.settings,
            "device": str(self.model.device),
            **({} if self.bare is None else {"bare": self.bare.to_json(self.seconds)}),
        }

    def show(self, console: Console) -> None:
        """Print the answer, and a panel of what it cost."""
        console.out(_said(self.generation))
        unicode = console.encoding.lower().startswith("utf")
        name = escape(self.model.spec.name)
        console.print(Panel.fit(self._table(unicode), title=name, border_style="dim"))
        if self.bare is not None:
            console.print(self._comparison(self.bare))

    @property
    def _against(self) -> str:
        if self.bare is not None:
            return "the model's own answer, of multiply-accumulates"
        by_rule = any(step.plan.commit is not None for step in self.trace)
        n = self.trace.steps[-1].state.n_steps if by_rule else self.trace.forwards
        return f"{n} steps with all visual tokens, of multiply-accumulates"

    def _comparison(self, bare: "BareAnswer") -> Table:
        """Both answers side by side."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
        table.add_column("", style="dim")
        table.add_column("with the controller", overflow="fold")
        table.add_column("the model alone", overflow="fold")
        own, alone = self.trace, bare.generation.trace
        table.add_row("answer", *(escape(_said(g)) for g in (self.generation, bare.generation)))
        table.add_row("steps", str(own.forwards), str(alone.forwards))
        table.add_row("multiply-accumulates", scaled(own.macs), scaled(alone.macs))
        table.add_row("time, one run each", f"{self.seconds:.2f} s", f"{bare.seconds:.2f} s")
        a, b = self.generation, bare.generation
        same = a.tokens == b.tokens and a.text == b.text  # a stop may lie within a token
        table.add_row("", "the same answer" if same else "another answer", "")
        return table

    def _table(self, unicode: bool) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        trace, tokens = self.trace, len(self.generation.tokens)
        table.add_row("time", f"{self.seconds:.2f} s, after {self.load_seconds:.2f} s of loading")
        table.add_row("forwards", f"{trace.forwards} for {tokens} tokens")
        if trace.refreshes < trace.forwards:
            times = f"computed in {trace.refreshes} of {trace.forwards} steps, else cached"
            table.add_row("prompt", times)
        table.add_row("multiply-accumulates", f"{trace.macs:,} ({scaled(trace.macs)})")
        if self.ideal is not None:
            table.add_row("ideal speed-up", f"{self.ideal:.2f}, against {self._against}")
        share = f"{trace.visual_tokens_ratio:.1%} of the work on them"
        table.add_row("visual tokens per step", f"{runs(self.kept)} ({share})")
        if unicode:
            table.add_row("", bars([float(n) for n in self.kept], float(trace.n_visual)))
        if self.attention is not None:
            mean = sum(self.attention) / len(self.attention)
            table.add_row("attention to the picture", f"{mean:.1%} on average")
            if unicode:
                table.add_row("", bars(self.attention, max(self.attention)))
        table.add_row("policy", escape(repr(self.controller.policy)))
        for i, line in enumerate(why(self.trace)):
            table.add_row("" if i else "why", escape(line))
        if self.pruner is not None:
            table.add_row("pruner", escape(self.pruner))
        return table


@dataclass(frozen=True, slots=True)
class BareAnswer:
    """The model's own answer to the same request, and its wall time."""

    generation: "Generation"
    seconds: float

    def to_json(self, seconds: float) -> dict[str, Any]:
        """Plain values; `seconds` are those of the answer that it is compared with."""
        return {
            "text": self.generation.text,
            "tokens": list(self.generation.tokens),
            "forwards": self.generation.trace.forwards,
            "macs": self.generation.trace.macs,
            "seconds": round(self.seconds, 4),
            "speedup": round(self.seconds / seconds, 4),
        }


def _said(generation: "Generation") -> str:
    text = generation.text
    return " ".join(map(str, generation.tokens)) if text is None else text


def why(trace: "Trace") -> list[str]:
    """Why a controller did what it did: the reasons of steps whose plan is another than before; or
    that it did nothing, and why."""
    steps = list(trace)
    if not any(step.plan.acts for step in steps):
        said = next((step.plan.reason for step in steps if step.plan.reason), "")
        return [f"nothing was done{f': {said}' if said else ''}"]
    moves = [
        step
        for before, step in zip([None, *steps], steps, strict=False)
        if before is None or step.plan != before.plan
    ]
    told = [(step.state.step, step.plan.reason) for step in moves if step.plan.reason]
    lines = [f"step {number}: {reason}" for number, reason in told[:REASONS]]
    more = len(told) - len(lines)
    return [*lines, f"and {more} more: see --trace"] if more > 0 else lines


def runs(values: Sequence[int]) -> str:
    """Equal neighbours together: [144, 144, 36] is "144 x 2, 36"."""
    groups = [(value, len(list(group))) for value, group in groupby(values)]
    return ", ".join(f"{value} x {n}" if n > 1 else f"{value}" for value, n in groups)


def bars(values: Sequence[float], highest: float) -> str:
    """One bar a value, its height relative to `highest`; neighbours share bars beyond `WIDTH`."""
    if not values:
        return ""
    n = min(WIDTH, len(values))
    edges = [len(values) * i // n for i in range(n + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in zip(edges, edges[1:], strict=False)]
    top = len(BARS) - 1
    return "".join(BARS[round(top * mean / highest)] if highest > 0 else BARS[0] for mean in means)


def _attention(step: "StepRecord") -> float | None:
    mass = step.signals.attention_visual
    return None if mass is None else float(mass.nanmean())
