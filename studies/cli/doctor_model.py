"""What ``saccade doctor --model`` finds out about a checkpoint, without reading its weights."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saccade.backbones.loading import Examined

READ = frozenset(
    {
        "architectures",
        "dtype",
        "image_aspect_ratio",
        "image_grid_pinpoints",
        "mm_patch_merge_type",
        "mm_vision_tower",
        "model_type",
        "num_key_value_heads",
        "rms_norm_eps",
        "rope_full_precision",
        "rope_theta",
        "tie_word_embeddings",
        "tokenizer_model_max_length",
        "torch_dtype",
        "vision_config",
    }
)
"""Fields of a config that are read beside its sizes and those that are checked."""


def examine_model(name: str, revision: str | None = None) -> dict[str, Any]:
    """What a checkpoint is, by parts; each part that cannot be told is left out.

    Returns
    -------
    dict
        "model", "folder", parts of facts, "warnings", "ok" and "verdict": "loads", or the error of
        `saccade.load` in one line.
    """
    from saccade.backbones.loading import examine, resolve
    from saccade.controller.errors import SaccadeError

    found: dict[str, Any] = {"model": name}
    try:
        folder = resolve(name, revision, cached=True)
        found["folder"] = str(folder)
        found |= _plain_parts(folder)
        examined = examine(folder)
        found |= _examined_parts(examined)
        examined.fit.check()
        _check_memory(name, examined)
    except (SaccadeError, OSError) as error:
        return found | {"ok": False, "verdict": " ".join(str(error).split())}
    return found | {"ok": True, "verdict": "loads"}


def _check_memory(name: str, examined: "Examined") -> None:
    """Refuse what `load` would refuse by default: what does not fit into the free memory."""
    from saccade.backbones.checkpoints.memory import check_memory, needed
    from saccade.backbones.checkpoints.placing import choose_dtype, place

    device = place()
    kind, _ = choose_dtype(None, examined.fit, device)
    check_memory(name, needed(examined.network, examined.fit, kind), kind, device)


def _plain_parts(folder: Path) -> dict[str, Any]:
    """What each file says on its own, however wrong the others are."""
    found: dict[str, Any] = {}
    makers: dict[str, Callable[[Path], Any]] = {
        "family": _family,
        "shards": _shards,
        "stored": _stored,
        "tokenizer": _tokenizer,
    }
    for part, make in makers.items():
        with suppress(Exception):  # what is wrong is the verdict
            found[part] = make(folder)
    return found


def _family(folder: Path) -> dict[str, Any]:
    from saccade.backbones.checkpoints.json_files import read_json
    from saccade.backbones.families.registry import family_of

    config = read_json(folder / "config.json")
    facts = {name: config.get(name) for name in ("model_type", "architectures")}
    with suppress(Exception):
        family = family_of(config, folder)
        facts = {"name": family.name, "origin": family.origin, **facts}
    return facts


def _shards(folder: Path) -> dict[str, Any]:
    from saccade.backbones.checkpoints.checkpoint import named_files

    names = named_files(folder)
    here = [name for name in names if (folder / name).exists()]
    return {"present": here, "missing": [name for name in names if name not in here]}


def _stored(folder: Path) -> dict[str, Any]:
    from saccade.backbones.checkpoints.checkpoint import named_files
    from saccade.backbones.checkpoints.headers import read_headers

    files = [folder / name for name in named_files(folder) if (folder / name).exists()]
    tensors = read_headers(files)
    kinds: Counter[str] = Counter()
    for tensor in tensors:
        kinds[tensor.dtype_name] += tensor.n_bytes
    return {
        "tensors": len(tensors),
        "parameters": sum(tensor.n_elements for tensor in tensors),
        "bytes": sum(kinds.values()),
        "bytes_by_dtype": dict(kinds.most_common()),
    }


def _tokenizer(folder: Path) -> dict[str, Any] | None:
    from saccade.backbones.checkpoints.json_files import read_json
    from saccade.backbones.checkpoints.tokenizer import n_ids, read_tokenizer
    from saccade.backbones.families.registry import family_of

    tokenizer = read_tokenizer(folder)
    if tokenizer is None:
        return None
    facts: dict[str, Any] = {"ids": n_ids(tokenizer)}
    with suppress(Exception):
        family = family_of(read_json(folder / "config.json"), folder)
        facts["special"] = {
            token: tokenizer.encode(token, add_special_tokens=False).ids
            for token in family.published_ids
        }
        facts["mask"] = None if family.mask is None else tokenizer.token_to_id(family.mask)
    return facts


def _examined_parts(examined: "Examined") -> dict[str, Any]:
    """What is known where all files can be read together."""
    opened = examined.opened
    language, tower = opened.language, opened.tower
    return {
        "decoder": {
            "layers": language.n_layers,
            "heads": language.n_heads,
            "key_heads": language.n_kv_heads,
            "width": language.hidden_size,
            "mlp": language.intermediate_size,
            "vocabulary": language.vocab_size,
            "rows": opened.stored_vocab,
            "rope_theta": language.rope_theta,
            "longest_prompt": language.max_length,
        },
        "tower": {
            "layers": tower.n_layers,
            "heads": tower.n_heads,
            "width": tower.hidden_size,
            "image": tower.image_size,
            "patch": tower.patch_size,
            "tokens_per_view": tower.side**2,
            "named": opened.config.get("mm_vision_tower"),
        },
        "memory": _memory(examined),
        "warnings": list(opened.warnings),
        "passed_over": sorted(examined.fit.unused),
        "ignored": _ignored(opened.config, opened.family.layout),
    }


def _memory(examined: "Examined") -> dict[str, Any]:
    """Bytes that loading takes in each dtype, and what is free, by device."""
    import torch

    from saccade.backbones.checkpoints.memory import FLOATS, available, name_of, needed
    from saccade.backbones.checkpoints.placing import choose_dtype

    made, devices = examined.fit, [torch.device("cpu")]
    devices += [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    facts: dict[str, Any] = {
        "needed": {name_of(kind): needed(examined.network, made, kind).total for kind in FLOATS},
        "free": {str(device): available(device) for device in devices},
    }
    with suppress(IndexError):  # of no weights at all
        facts["by_default"] = {
            device.type: name_of(choose_dtype(None, made, device)[0])
            for device in (torch.device("cpu"), torch.device("cuda"))
        }
    return facts


def _ignored(config: Mapping[str, Any], layout: Any) -> list[str]:
    """Fields of a config that nothing reads."""
    from saccade.backbones.checkpoints.config import (
        DECODER,
        MULTIMODAL,
        POOLING,
        ROTARY_FIELDS,
        SIZES,
        VIDEO,
    )

    own = {name for names in layout.fields.values() for name in names} | set(layout.fields)
    known = READ | own | {*SIZES, *ROTARY_FIELDS, *DECODER, *MULTIMODAL, *POOLING, *VIDEO}
    return sorted(set(config) - known - set(layout.supported))
