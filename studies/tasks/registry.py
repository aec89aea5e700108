"""The registry of tasks: our own, and those of installed packages."""

from saccade.controller.registry import Registry
from saccade.studies.tasks.task import Task

tasks: Registry[Task] = Registry("task", "saccade.tasks", home="saccade.studies.tasks.documents")
"""Tasks by name; `tasks.make(name)` gives one."""
