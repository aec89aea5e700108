"""Learned models on their way into a preset: copied beside it, and named by their plain name."""

import ast
import hashlib
from pathlib import Path

from saccade.controller.errors import PresetError
from saccade.controller.preset import Learned, Preset
from saccade.controller.preset_controller import learned_file
from saccade.controller.preset_files import FILE, LARGEST_LEARNED, read_bounded, write_first
from saccade.controller.preset_texts import READS


def learned_files(policy: str) -> list[str]:
    """Files that the policy's text reads learned models from, each once.

    Raises
    ------
    ValueError
        If it is not the text of a policy.
    """
    try:
        tree = ast.parse(policy.strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{policy[:80]!r} is not read: {error}") from error
    return list(dict.fromkeys(str(node.value) for node in _files(tree)))


def take_along(policy: str, folder: Path) -> tuple[str, Learned | None]:
    """Copy the learned model that a policy reads into a preset's folder.

    Parameters
    ----------
    policy : str
    folder : Path
        That of the preset's file.

    Returns
    -------
    policy : str
        Naming the model by its plain name, as presets do; as it was if it reads none.
    learned : Learned or None

    Raises
    ------
    FileNotFoundError
        If there is no such model.
    PresetError
        If it reads several.
    OSError
        If it cannot be written; nothing is left half written.
    """
    files = learned_files(policy)
    if not files:
        return policy, None
    if len(files) > 1:
        raise PresetError(
            f"the policy reads {len(files)} learned models ({', '.join(files)}); a preset has one"
        )
    source = Path(files[0]).expanduser()
    if not source.exists():
        raise FileNotFoundError(f"no learned model at {source}; saccade learn writes them")
    data = read_bounded(source, LARGEST_LEARNED)
    digest = hashlib.sha256(data).hexdigest()
    name = _free_name(folder, source.name if source.name != FILE else f"{READS}.json", digest)
    write_first(folder / name, data)
    tree = ast.parse(policy.strip(), mode="eval")
    for node in _files(tree):
        node.value = name
    return ast.unparse(tree), Learned(file=name, hash=digest)


def carried(preset: Preset, source: Path | None, folder: Path, root: Path | None = None) -> Preset:
    """A preset for another folder: its learned model is copied there, if it has one.

    Parameters
    ----------
    preset : Preset
    source : Path or None
        Where its learned model lies.
    folder : Path
    root : Path, optional
        What links of a cache may lead to, instead of `source` alone.

    Raises
    ------
    PresetError, OSError
        If the model is missing or another than the preset's, or it cannot be written.
    """
    if preset.learned is None or source is None or source.resolve() == folder.resolve():
        return preset
    data = read_bounded(learned_file(preset, source, root), LARGEST_LEARNED)
    name = _free_name(folder, preset.learned.file, preset.learned.hash)
    write_first(folder / name, data)
    tree = ast.parse(preset.policy.strip(), mode="eval")
    for node in _files(tree):
        node.value = name
    learned = preset.learned.model_copy(update={"file": name})
    return preset.model_copy(update={"policy": ast.unparse(tree), "learned": learned})


def _free_name(folder: Path, name: str, digest: str) -> str:
    """The name, or one of its own where the folder has another file of that name."""
    there = folder / name
    if not there.exists() or _hash(there) == digest:
        return name
    return f"{there.stem}-{digest[:12]}{there.suffix}"


def _hash(path: Path) -> str:
    return hashlib.sha256(read_bounded(path, LARGEST_LEARNED)).hexdigest()


def _files(tree: ast.AST) -> list[ast.Constant]:
    """The files of all calls of `READS` in a text."""
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.lower() == READS
    ]
    given = [
        value
        for call in calls
        for value in (*call.args[:1], *(k.value for k in call.keywords if k.arg == "file"))
    ]
    return [v for v in given if isinstance(v, ast.Constant) and isinstance(v.value, str)]
