"""What a preset was measured and certified on, and whether a call is like that: told once."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from saccade.controller.preset import Preset

log = logging.getLogger(__name__)

UNCOUNTED = ("seed",)
"""Settings that make no difference to what is promised."""
_LOCK = threading.Lock()
_TOLD: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
"""What was said about each network: a controller made anew for every call does not repeat it."""


class Promise:
    """The terms of a preset, compared with the calls that its controller serves.

    Parameters
    ----------
    preset : Preset

    Attributes
    ----------
    told : bool
        Whether it has been told that a call is on other terms; it is told once.
    """

    def __init__(self, preset: Preset) -> None:
        self.preset, self.told = preset, False

    def __reduce__(self) -> tuple[type["Promise"], tuple[Preset]]:
        return Promise, (self.preset,)

    def differences(
        self,
        network: Any,
        fingerprint: Callable[[Any], str],
        dtype: str,
        settings: Mapping[str, Any],
        certified: Mapping[str, Any] | str,
    ) -> list[str]:
        """How a call differs from what the preset was made for, one clause each.

        Parameters
        ----------
        network : object
            The model's.
        fingerprint : callable
            Gives its hash.
        dtype : str
            Of its weights.
        settings : mapping of str to object
            Of the call, after defaults.
        certified : mapping of str to object, or str
            Those of the preset, after defaults; a text says why the model cannot have them.
        """
        if self.preset.abstained:  # the bare model, on any terms
            return []
        out, made = [], self.preset.backbone
        if fingerprint(network) != made.hash:
            kind = f" in {dtype}, not in {made.dtype}" if made.dtype not in ("", dtype) else ""
            out.append(f"another backbone than {made.name}{kind}")
        if isinstance(certified, str):
            return [*out, f"other generation settings ({certified})"]
        if self.preset.generation:
            wrong = [
                f"{name}={settings[name]!r}, not {value!r}"
                for name, value in certified.items()
                if name not in UNCOUNTED and settings.get(name, value) != value
            ]
            out += [f"other generation settings ({', '.join(wrong)})"] if wrong else []
        return out

    def tell(self, differences: list[str], network: Any) -> None:
        """Log a warning about the first call on other terms, whichever thread it is of; what was
        said about a network by another controller of such a preset is not said again."""
        if not differences:
            return
        said = self.sentence(differences)
        with _LOCK:
            known = _TOLD.setdefault(network, set())
            new = not self.told and said not in known
            self.told = True
            known.add(said)
        if new:
            log.warning("%s", said)

    def sentence(self, differences: list[str]) -> str:
        """What is said of such a call."""
        promise = "its certificate does" if self.preset.certificate else "its figures do"
        return (
            f"the preset {self.preset.name!r} is used on {' and '.join(differences)}: {promise} "
            "not hold here; make one for this use with saccade tune and saccade certify"
        )
