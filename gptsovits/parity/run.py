"""Run every set of reference vectors below a folder, whatever the sets are called and however large their networks are.

A set is a folder with `vectors.safetensors` (or `config.json`, or a fingerprint, which then lack their vectors: a
miss). Its `config.json` names what it tests. Folders without any of these (texts, checkpoint samples) belong to other
commands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from timbre.core.errors import CheckFailedError, InputError
from timbre.gptsovits.parity.audio import CASES_KEY, audio_checks
from timbre.gptsovits.parity.check import ABSOLUTE_LIMIT, Check
from timbre.gptsovits.parity.sovits import sovits_checks
from timbre.gptsovits.parity.t2s import t2s_checks

SetChecks = Callable[[Path], Iterator[Check]]
_SET_FILES = ("vectors.safetensors", "config.json", "state_dict.safetensors", "fingerprint*.json")


def find_sets(root: Path) -> list[Path]:
    """Folders below root (or root itself) that hold reference vectors or parts of them, sorted by path.

    Raises InputError when root is no folder, CheckFailedError when it holds no set at all.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder", remedy="name a folder of reference vectors")
    folders = {path.parent for pattern in _SET_FILES for path in root.rglob(pattern)}
    if not folders:
        raise CheckFailedError(
            f"{root} holds no set of reference vectors (no vectors.safetensors, no config.json)",
            remedy="name a folder whose sub-folders hold vectors.safetensors and config.json",
        )
    return sorted(folders)


def checks_for(config: Mapping[str, Any]) -> SetChecks | None:
    """The comparisons that a set's configuration asks for, or None when nothing here knows it."""
    model = config.get("model")
    if isinstance(model, Mapping):
        if "phoneme_vocab_size" in model:
            return t2s_checks
        if "inter_channels" in model:
            return sovits_checks
    if any(key.startswith(CASES_KEY) for key in config):
        return audio_checks
    return None


def run_set(folder: Path, name: str) -> Iterator[Check]:
    """All verdicts on one set. One that cannot be read or computed yields a miss with the reason; nothing is raised."""
    produced = 0
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        checks = checks_for(config) if isinstance(config, dict) else None
        if checks is None:
            yield _stopped(name, "config.json describes neither a text-to-semantic, nor a SoVITS, nor an audio set")
            return
        for check in checks(folder):
            produced += 1
            yield Check(name, check.tensor, check.kind, check.error, check.limit, check.note)
    except Exception as error:
        # Whatever stops a set (a missing tensor, a shape that fits no layer, a broken file) is a miss of that set.
        yield _stopped(name, f"{type(error).__name__}: {' '.join(str(error).split())}"[:400])
        return
    if not produced:
        yield _stopped(name, "no comparison was made")


def run_parity(root: Path) -> Iterator[Check]:
    """Every verdict on every set below root, as they are made. Raises as find_sets does."""
    for folder in find_sets(root):
        name = root.name if folder == root else str(folder.relative_to(root))
        yield from run_set(folder, name)


def _stopped(name: str, note: str) -> Check:
    return Check(name, "(set)", "absolute", math.inf, ABSOLUTE_LIMIT, note)
