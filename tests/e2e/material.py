"""What a repository of these tests is filled with: voice folders on pico, and a registry as an operator prepares it."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.e2e.gitlab_tool import ROOT
from timbre.core.base import read_base
from timbre.core.progress import SilentProgress
from timbre.pipeline.bases.exported import exports_folder, publish_exported
from timbre.registry.address import RegistryAddress

_CLIPS = 8


def voice_folder(target: Path, first: int = 0, sample: str = "awb", base: str = "pico", clips: int = _CLIPS) -> Path:
    """Recordings of a sample voice, counted from `first` and round its end, as a voice on that base.

    Folders with another `first` are other voices to the pipeline: nothing of one is found in the other's cache.
    """
    source = ROOT / "voices" / sample
    with (source / "metadata.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="|"))
    return _write(target, source, base, [rows[(first + index) % len(rows)] for index in range(clips)])


def operator_registry(root: Path, base: Path, export: Path) -> Path:
    """A registry as `timbre base publish` leaves it: the exported base and nothing else. root: an empty folder."""
    found = read_base(base)
    shutil.copytree(export, exports_folder(root) / found.digest)
    assert publish_exported(found, root, RegistryAddress(str(root / "registry"), os.environ), progress=SilentProgress())
    return root / "registry"


def _write(target: Path, source: Path, base: str, rows: Sequence[dict[str, str]]) -> Path:
    (target / "wavs").mkdir(parents=True)
    for row in rows:
        shutil.copyfile(source / row["file"], target / row["file"])
    lines = ["file|text", *(f"{row['file']}|{row['text']}" for row in rows)]
    (target / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = yaml.safe_load((source / "voice.yaml").read_text(encoding="utf-8"))
    settings = {key: settings[key] for key in ("language", "consent")} | {"base": base}
    (target / "voice.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return target
