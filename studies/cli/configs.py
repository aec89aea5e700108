"""Configurations that come with the package, by their bare names."""

from pathlib import Path

SHIPPED = Path(__file__).parent.parent / "configs"


def shipped(folder: str = "") -> dict[str, Path]:
    """Configurations in a folder of the package, by name: "" for studies, "train" for trainings."""
    return {path.stem: path for path in sorted((SHIPPED / folder).glob("*.yaml"))}


def find_config(name: str, folder: str = "") -> Path:
    """A file of the user's, or else a shipped configuration.

    Raises
    ------
    FileNotFoundError
        Listing the shipped names.
    IsADirectoryError
        If it is a folder, and no shipped name.
    """
    if Path(name).is_file():
        return Path(name)
    known = shipped(folder)
    if name in known:
        return known[name]
    from saccade.controller.names import did_you_mean

    near = did_you_mean(name, known)
    advice = f"{near}give a YAML file, or one of: {', '.join(known) or 'none'}"
    if Path(name).is_dir():
        raise IsADirectoryError(f"{name} is a folder; {advice}")
    raise FileNotFoundError(f"no configuration {name!r}; {advice}")
