"""YAML files as people write them: what is wrong with one is said with its path."""

from pathlib import Path
from typing import Any

import yaml

from saccade.controller.errors import StudyError


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
        If there is no such file, it cannot be read, is no YAML, or gives a key twice.
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
