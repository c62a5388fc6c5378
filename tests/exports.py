"""Exports of bases that are kept between sessions, as long as nothing that makes them changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filelock import FileLock

from timbre.core.base import Base
from timbre.core.digests import digest_file, digest_value

ROOT = Path(__file__).parents[1]


def kept_export(base: Base, **options: Any) -> Path:
    """Folder of the base's exported graphs; options: of export_base."""
    import torch

    from timbre.training.export.base_export import export_base

    # What decides the graphs and their format; what speaks with them does not.
    sources = sorted(path for room in ("gptsovits", "training/export") for path in (ROOT / room).glob("*.py"))
    sources += [ROOT / "inference" / name for name in ("characters.py", "exported_base.py", "t2s_slots.py")]
    state = [base.digest, torch.__version__, options, *(digest_file(path) for path in sources)]
    folder = ROOT / ".timbre" / "test-exports" / digest_value(state)[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "export.json").is_file():
            export_base(base, folder, **options)
    return folder
