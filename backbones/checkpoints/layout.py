"""Where the fields of a config and the tensors of a checkpoint have other names than usual."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of a family's checkpoints; by default those of Llama and Qwen, which most share.

    Attributes
    ----------
    mark : str or None
        Field that only configs of this layout have, where families share a ``model_type``.
    fields : mapping of str to tuple of str
        From a usual field of ``config.json`` to its own names, of which the first that is there
        counts; all of them are written.
    keys : tuple of (str, str)
        From the usual beginning of a tensor's name to its own, where ``*`` is a layer's number. The
        first that fits counts.
    supported : mapping of str to tuple
        Values that its own fields may have where another would change what the model computes.
    """

    mark: str | None = None
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: tuple[tuple[str, str], ...] = ()
    supported: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    def read(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A config with the usual fields as well."""
        found = dict(config)
        for usual, own in self.fields.items():
            there = [name for name in own if config.get(name) is not None]
            if there:
                found[usual] = config[there[0]]
        return found

    def written(self, **usual: Any) -> dict[str, Any]:
        """Usual fields under the names that this layout has for them."""
        return {own: usual[name] for name in usual for own in self.fields.get(name, (name,))}

    def completed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A config with its own fields, where it has only the usual ones."""
        there = {name: config[name] for name in self.fields if config.get(name) is not None}
        return {**self.written(**there), **config}

    def field(self, usual: str) -> str:
        """What a usual field is called here."""
        return self.fields.get(usual, (usual,))[0]

    def key(self, usual: str) -> str:
        """What a tensor with a usual name is called here."""
        for ours, theirs in self.keys:
            pattern = re.escape(ours).replace(r"\*", r"(\d+)")
            found = re.match(pattern, usual)
            if found:
                own = theirs.replace("*", found[1]) if found.groups() else theirs
                return own + usual[found.end() :]
        return usual


USUAL = Layout()
