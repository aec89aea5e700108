"""What records do not hold: the question and its picture, drawn again; the answer, given again."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from saccade.backbones.inputs.prepare import Prepared
from saccade.backbones.inputs.processor import encode_for
from saccade.backbones.model import Model
from saccade.controller.controller import Controller
from saccade.controller.errors import SaccadeError, StudyError
from saccade.controller.trace import Generation
from saccade.studies.analysis.summary import Summary
from saccade.studies.config.case_controllers import controller_of, preset_of
from saccade.studies.config.cases import settings_of
from saccade.studies.config.study import Case, Unit, plan_units
from saccade.studies.reports.samples.local_models import recorded_model
from saccade.studies.runs.record import Record
from saccade.studies.runs.runner import limited_threads
from saccade.studies.runs.unit_runner import samples_of
from saccade.studies.tasks.question_files import QuestionFile
from saccade.studies.tasks.task import Sample, Task


class Again:
    """Draws the samples of a run again, and has the model answer them again, where that can be.

    Parameters
    ----------
    summary : Summary
    """

    def __init__(self, summary: Summary) -> None:
        self.config, self.recipe = summary.config, summary.recipe
        self._units = {(unit.task, unit.number): unit for unit in plan_units(self.config)}
        self._tasks: dict[str, Task] = {}
        self._controllers: dict[tuple[str, str], Controller] = {}
        self._model: Model | None = None
        self._missing: str | None = None

    def sample(self, record: Record) -> Sample:
        """The question of a record.

        Raises
        ------
        StudyError
            If its task is not there, or asks something else now.
        """
        unit = replace(self._unit(record), samples=(record.sample,))
        try:
            (found,) = samples_of(self.config, self._task(record.task), unit)
            expected = found.answer
        except Exception as error:  # of a task of another package, whatever it raises
            raise StudyError(f"the question cannot be drawn again: {said(error)}") from error
        if expected != record.expected:
            raise StudyError("the task asks something else under this number now")
        return found

    def answer(self, record: Record, sample: Sample) -> tuple[Generation, Model, Prepared]:
        """A record's answer given again, with everything measured that can be.

        It is given alone; if it then differs from the record, with all of its unit, as it was when
        it was recorded: the last digits of sums depend on what is computed together.

        Raises
        ------
        StudyError
            If the model or what controls it is not there, or another now.
        """
        model = self.model()
        try:
            with limited_threads(self._threads()):
                return self._answer(record, sample, model)
        except Exception as error:  # of a task, policy or pruner of another package
            raise StudyError(f"it cannot be answered again: {said(error)}") from error

    def model(self) -> Model:
        """The model of the run; `StudyError` if it is not there, or another one now."""
        if self._missing is not None:
            raise StudyError(self._missing)
        if self._model is None:
            try:
                self._model = recorded_model(self.config.model, self.recipe)
            except StudyError as error:
                self._missing = str(error)
                raise
        return self._model

    def _answer(
        self, record: Record, sample: Sample, model: Model
    ) -> tuple[Generation, Model, Prepared]:
        controller = self._controller(record)
        inputs = _prepared(model, sample, controller)
        (out,) = self._generate(record, model, controller, [inputs])
        unit = self._unit(record)
        if differences(record, out) and len(unit.samples) > 1:
            together = samples_of(self.config, self._task(record.task), unit)
            batch = [_prepared(model, own, controller) for own in together]
            place = unit.samples.index(record.sample)
            out, inputs = self._generate(record, model, controller, batch)[place], batch[place]
        return out, model, inputs

    def _generate(
        self, record: Record, model: Model, controller: Controller, inputs: list[Prepared]
    ) -> list[Generation]:
        unit, case = self._unit(record), self._case(record)
        own = settings_of(case, self._task(record.task), model.family.settings)
        options: dict[str, Any] = {"seed": unit.seed + unit.samples[0], **own}
        return model.generate(inputs=inputs, controller=controller, **options)

    def _unit(self, record: Record) -> Unit:
        return self._units[record.task, record.unit]

    def _case(self, record: Record) -> Case:
        return next(case for case in self.config.cases if case.name == record.case)

    def _threads(self) -> int | None:
        """As many threads as the run had, as far as there are cores."""
        hardware: Mapping[str, Any] = self.recipe.get("hardware") or {}
        threads = hardware.get("threads")
        return min(threads, os.cpu_count() or 1) if isinstance(threads, int) else None

    def _task(self, name: str) -> Task:
        """A task, made once; a file of questions must be the one of the run."""
        if name not in self._tasks:
            made = self.config.task_of(name)
            if isinstance(made, QuestionFile):
                recorded = (self.recipe.get("benchmarks") or {}).get(name) or {}
                if hashlib.sha256(made.file.read_bytes()).hexdigest() != recorded.get("sha256"):
                    raise StudyError(f"{made.file} is not the file of the run any more")
            self._tasks[name] = made
        return self._tasks[name]

    def _controller(self, record: Record) -> Controller:
        key = record.case, record.task
        if key not in self._controllers:
            self._controllers[key] = self._made(self._case(record), record.task)
        return self._controllers[key]

    def _made(self, case: Case, task: str) -> Controller:
        """What controls a case, with a probe in every layer; presets as they were then."""
        if case.preset is not None:
            then = self.recipe["cases"][case.name][task]
            if then["learned"] is None:
                text = "none" if then["policy"] is None else then["policy"]
                placed = then["positions"]
                return Controller(text, then["pruner"], "all", positions=placed, tokens=True)
            learned = preset_of(case, self.config, task).preset.learned
            if learned is None or learned.hash != then["learned"]:
                raise StudyError(f"the preset {case.preset} has another learned model now")
        probed = case.model_copy(update={"probe": "all"})
        made = controller_of(probed, self.config, task, tokens=True)
        return Controller("none", probe="all", tokens=True) if made is None else made


def _prepared(model: Model, sample: Sample, controller: Controller) -> Prepared:
    way = encode_for(controller)
    return model.processor.prepare(sample.question, sample.images, encode=way)


def differences(record: Record, out: Generation) -> list[str]:
    """In what an answer given again is not as it was recorded."""
    trace, found = out.trace, []
    if (out.text or "") != record.answer:
        found.append(f"it reads “{out.text or ''}”")
    if trace.forwards != record.forwards:
        found.append(f"it took {trace.forwards} steps, not {record.forwards}")
    elif trace.visual_tokens != record.visual_tokens:
        found.append(f"it read {trace.visual_tokens:,} visual tokens, not {record.visual_tokens:,}")
    return found


def said(error: Exception) -> str:
    """What an error says; its kind, too, where it is none that is made for users."""
    plain = isinstance(error, SaccadeError | ValueError | TypeError | OSError)
    return str(error) if plain else f"{type(error).__name__}: {error}"
