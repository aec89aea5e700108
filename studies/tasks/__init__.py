"""What studies ask, and how answers are scored: tasks and metrics, each in one registry.

A kind of document is a task, and so is a file of questions. Packages offer more through the
entry-point groups ``saccade.tasks`` and ``saccade.metrics``.
"""

from saccade.studies.tasks.documents import make_sample
from saccade.studies.tasks.metrics import Metric, metrics
from saccade.studies.tasks.question_files import QuestionFile
from saccade.studies.tasks.registry import tasks
from saccade.studies.tasks.task import Sample, Score, Split, Task

__all__ = [
    "Metric",
    "QuestionFile",
    "Sample",
    "Score",
    "Split",
    "Task",
    "make_sample",
    "metrics",
    "tasks",
]
