"""A case's answer beside the baseline's to the same question, and which of them are shown."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from saccade.studies.analysis.summary import Summary
from saccade.studies.runs.record import Record

Kind = Literal["broke", "fixed", "both wrong", "same"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two answers to one question.

    Attributes
    ----------
    run : int
        Which of the summaries it is of.
    baseline, case : Record
    """

    run: int
    baseline: Record
    case: Record

    @property
    def kind(self) -> Kind:
        """What the case did to the answer; an answer is right where all of it is."""
        before, now = self.baseline.exact == 1, self.case.exact == 1
        if before:
            return "same" if now else "broke"
        return "fixed" if now else "both wrong"

    @property
    def loss(self) -> float:
        """Score that was lost; negative where some was gained."""
        return self.baseline.score - self.case.score

    @property
    def telling(self) -> tuple[float, float, int, int]:
        """Sorts the most telling first: much lost or gained, then few visual tokens read."""
        own = self.case
        return -abs(self.loss), own.visual_tokens_ratio, own.seed, own.sample


def baseline_of(summary: Summary, wanted: str | None) -> str:
    """The case that a study's others are compared with: the wanted one where it has it."""
    names = [case.name for case in summary.config.cases]
    return wanted if wanted is not None and wanted in names else summary.config.baseline


def pairs_of(summaries: Sequence[Summary], baseline: str | None = None) -> Iterator[Pair]:
    """Every answer that has one of the baseline beside it."""
    for run, summary in enumerate(summaries):
        name = baseline_of(summary, baseline)
        before = {(r.task, r.seed, r.sample): r for r in summary.records if r.case == name}
        for record in summary.records:
            own = before.get((record.task, record.seed, record.sample))
            if own is not None and record.case != name:
                yield Pair(run, own, record)


def choose(pairs: Sequence[Pair], n: int) -> list[Pair]:
    """The `n` pairs that are shown, the kinds in turn, spread over models, cases and tasks.

    One of each kind that exists is always there, even if `n` is smaller. The same pairs give the
    same choice.
    """
    queues: dict[Kind, dict[tuple[int, str, str], list[Pair]]] = {kind: {} for kind in KINDS}
    for pair in pairs:
        key = pair.run, pair.case.case, pair.case.task
        queues[pair.kind].setdefault(key, []).append(pair)
    for groups in queues.values():
        for group in groups.values():
            group.sort(key=lambda pair: pair.telling, reverse=True)  # the next is the last
    chosen: list[Pair] = []
    uses: Counter[object] = Counter()
    most = max(n, sum(bool(groups) for groups in queues.values()))
    while len(chosen) < most and any(queues.values()):
        for kind in KINDS:
            if queues[kind] and len(chosen) < most:
                chosen.append(_next(queues[kind], uses))
    return chosen


def _next(groups: dict[tuple[int, str, str], list[Pair]], uses: Counter[object]) -> Pair:
    """Take the most telling pair of the group that was shown least."""

    def shown(key: tuple[int, str, str]) -> int:
        run, case, task = key
        return uses[run] + uses[run, case] + uses["task", task]

    run, case, task = min(groups, key=lambda key: (shown(key), groups[key][-1].telling, key))
    group = groups[run, case, task]
    pair = group.pop()
    if not group:
        del groups[run, case, task]
    uses.update([run, (run, case), ("task", task)])
    return pair


def count_kinds(pairs: Sequence[Pair]) -> dict[Kind, int]:
    """How many there are of each kind."""
    found: dict[Kind, int] = defaultdict(int)
    for pair in pairs:
        found[pair.kind] += 1
    return {kind: found[kind] for kind in KINDS}
