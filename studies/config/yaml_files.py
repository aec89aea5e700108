"""YAML files as people write them: what is wrong with one is said with its path."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from saccade.controller.errors import StudyError
from saccade.controller.names import did_you_mean

M = TypeVar("M", bound=BaseModel)


def read_config(
    path: str | Path, what: str, model: type[M], parts: Mapping[str, type[BaseModel]]
) -> M:
    """Read a YAML file into a model.

    Parameters
    ----------
    path, what
        As in `read_yaml`.
    model : type
        Of the whole file.
    parts : mapping of str to type
        Models of what stands below the file's keys, for the keys allowed there.

    Raises
    ------
    StudyError
        If the file cannot be read, or an entry is unknown or wrong: where it is, what was given
        and what is allowed.
    """
    values = read_yaml(path, what)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        words = [_explain(problem, model, parts) for problem in error.errors()]
        raise StudyError(f"{path}: {'; '.join(words)}") from None


def _explain(problem: Any, model: type[BaseModel], parts: Mapping[str, type[BaseModel]]) -> str:
    """One validation error in words."""
    place = problem["loc"]
    where = ".".join(map(str, place))
    match problem["type"]:
        case "extra_forbidden":
            allowed = parts[place[0]] if len(place) > 1 else model
            keys = list(allowed.model_fields)
            near = did_you_mean(place[-1], keys)
            return f"unknown key {place[-1]!r} ({where}); {near}allowed: {', '.join(keys)}"
        case "literal_error":
            words = problem["ctx"]["expected"]
            near = did_you_mean(problem["input"], re.findall(r"'([^']*)'", words))
            return f"{where}: {problem['input']!r}; {near}allowed: {words}"
        case "value_error":  # ours: it says what was given
            message = str(problem["ctx"]["error"])
            return f"{where}: {message}" if where else message
        case "missing":
            message = "missing"
        case "tuple_type" | "too_short":
            message = f"give a list of one or more (given: {problem['input']!r})"
        case _:
            message = f"{problem['msg']} (given: {problem['input']!r})"
    return f"{where or 'the file'}: {message}"


def read_yaml(path: str | Path, what: str) -> Any:
    """Read the plain values of a YAML file.

    Parameters
    ----------
    path : str or Path
    what : str
        What the file should be, for the message if there is none: "study", ...

    Raises
    ------
    StudyError
        If there is no such file, it cannot be read, is not YAML, or gives a key twice.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError:
        raise StudyError(f"no {what} at {path}; give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML: {error}") from error


class _UniqueKeys(yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a key that is given twice; plain YAML would silently take the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: list[Any] = []
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # "<<": may come more than once
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.append(key)
        return super().construct_mapping(node, deep)
