"""Errors as users see them: one line on stderr, and an exit code."""

import errno
import sys
from typing import Any

from rich.markup import escape

from saccade.studies.cli.consoles import err

FAILED, WRONG_INPUT = 1, 2


def explain(error: Exception) -> int:
    """Print an error as one line on stderr and return the exit code."""
    message, code = describe(error)
    line = f"[bold red]error:[/] {escape(' '.join(message.split()))}"
    err().print(line, highlight=False, soft_wrap=True)
    return code


def describe(error: Exception) -> tuple[str, int]:
    """What to say about an error, and the exit code: 2 where other input helps, else 1."""
    if isinstance(error, _loaded("saccade.controller.errors", "SaccadeError")):
        damaged = isinstance(error, _loaded("saccade.controller.errors", "CheckpointError"))
        failed = damaged or isinstance(error.__cause__, OSError)
        return _in_short(error), FAILED if failed else WRONG_INPUT
    match error:
        case ValueError() | TypeError():
            return _in_short(error), WRONG_INPUT
        case FileNotFoundError() | IsADirectoryError() | NotADirectoryError() | FileExistsError():
            return _with_file(error, error.strerror), WRONG_INPUT
        case OSError(errno=errno.ENOSPC):
            return _with_file(error, "no space left on the device"), FAILED
        case OSError():
            return _with_file(error, error.strerror), FAILED
        case MemoryError():
            return "out of memory", FAILED
        case ImportError():
            return str(error), FAILED
    return f"unexpected {type(error).__name__}: {error} (see where: saccade --debug ...)", FAILED


def _loaded(module: str, name: str) -> Any:
    """A class, or () where its module was not loaded: then nothing can be an instance of it."""
    return getattr(sys.modules.get(module), name, ())


def _with_file(error: OSError, reason: str | None) -> str:
    if reason is None:
        return str(error)
    return reason if error.filename is None else f"{reason}: {error.filename}"


def _in_short(error: Exception) -> str:
    """The message; where it quotes pydantic's report of many lines, one short clause each."""
    kind = _loaded("pydantic", "ValidationError")
    report: Any = error if isinstance(error, kind) else error.__cause__
    if not isinstance(report, kind):
        return str(error)
    clauses = "; ".join(map(_clause, report.errors(include_url=False)))
    return str(error).replace(str(report), clauses)


def _clause(problem: Any) -> str:
    where = ".".join(map(str, problem["loc"])) or "the file"
    return f"{where}: {'unknown key' if problem['type'] == 'extra_forbidden' else problem['msg']}"
