"""A voice repository for stage 5: real Git, folder, registry, base and publish stage; stages 1 to 4 are made short.

Stage 3 writes random adapters that fit the generated base, stage 4 writes measurements by hand and green or red gates.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.inference.pico_voice import write_voice
from timbre.core.base import Base, load_base
from timbre.core.digests import digest_bytes
from timbre.core.errors import CheckFailedError
from timbre.core.recipe import Recipe
from timbre.evaluation.measurements import Group, Measurements, Sample
from timbre.pipeline.bases.exported import exports_folder
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.voice_runs import run_voice
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.table import STAGES, StageContext
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry
from timbre.registry.registry import Registry

HERE = "tests.pipeline.release.publish_stages"
YAML = """language: en
base: pico
consent: {kind: synthetic, source: "a generator", rights: "Free | for all"}
"""


def _note(context: StageContext, stage: str) -> None:
    with (context.root / "runs.log").open("a", encoding="utf-8") as stream:
        stream.write(stage + "\n")


class Look:
    version = 1

    def run(self, context: StageContext) -> Mapping[str, Any]:
        _note(context, "look")
        (context.output / "seen.txt").write_bytes((context.voice.path / "wavs" / "1.wav").read_bytes())
        return {}


class Train:
    version = 1

    def run(self, context: StageContext) -> Mapping[str, Any]:
        _note(context, "train")
        export = exports_folder(context.root) / context.base.digest
        write_voice(context.output, export, np.random.default_rng(int(context.key[:8], 16)))
        (context.output / "training.json").write_text("{}", encoding="utf-8")
        (context.output / "lexicon.txt").write_text("Timbre T AE1 M B ER0\n", encoding="utf-8")
        return {}


class Measure:
    version = 1

    def run(self, context: StageContext) -> Mapping[str, Any]:
        _note(context, "measure")
        (context.output / "samples").mkdir()
        spoken = []
        for identity in ("one", "two", "fixed-001", "three"):
            source = "fixed" if identity.startswith("fixed") else "held-out"
            for seed in (1, 2):
                file = f"samples/tts-{identity}-{seed}.wav"
                (context.output / file).write_bytes(digest_bytes(f"{context.key}{file}".encode()).encode())
                spoken.append(Sample(identity, f"Text {identity}.", source, seed, file, {"peak_dbfs": -1.0}))
        Measurements(
            voice=context.voice.name, base=context.base.name, base_digest=context.base.digest, profile="fp32",
            texts_version="1", adapted=Group((), tuple(spoken)), plain=Group((), ()), real={}, models={},
        ).write(context.output)  # fmt: skip
        return {}

    def decide(self, context: StageContext, measured: Path) -> Mapping[str, Any]:
        green = not (context.root / "red").exists()
        gate = {"title": "Sample peak", "protocol": "tts", "direction": "lower", "value": -1.0, "limit": 0.0}
        gates = {"peak_dbfs_tts": {**gate, "passed": green, "blocks": True}}
        about = {"voice": context.voice.name, "base_digest": context.base.digest, "passed": green, "gates": gates}
        (context.report / "gates.json").write_text(json.dumps(about), encoding="utf-8")
        if not green:
            raise CheckFailedError("1 of 1 gates are red: Sample peak", "open the report")
        return {"gates": 1}


_SHORT = {"validate": "Look", "extract": "Look", "finetune": "Train", "evaluate": "Measure"}
ROWS = tuple(
    dataclasses.replace(row, target=f"{HERE}:{_SHORT[row.name]}" if row.name in _SHORT else row.target)
    for row in STAGES
)


@dataclass(frozen=True)
class Repo:
    """A repository at root with one voice, ada."""

    root: Path

    @property
    def base(self) -> Base:
        return load_base("pico", self.root / "bases")

    @property
    def registry(self) -> Registry:
        return open_registry(RegistryAddress(self.address, {}))

    @property
    def address(self) -> str:
        return str(self.root / ".timbre" / "registry")

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    @property
    def production(self) -> str | None:
        state = self.registry.alias("ada")
        return state.version if state else None

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(self.root), *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def record(self, sound: str, settings: str = YAML, voice: str = "ada") -> str:
        """Writes the voice's folder, commits it, and returns the commit."""
        folder = self.root / "voices" / voice
        (folder / "wavs").mkdir(parents=True, exist_ok=True)
        (folder / "wavs" / "1.wav").write_text(sound, encoding="utf-8")
        (folder / "metadata.csv").write_text("file|text\nwavs/1.wav|One sentence.\n", encoding="utf-8")
        (folder / "voice.yaml").write_text(settings, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", sound)
        return self.head

    def engine(self, **origin: str) -> Engine:
        origin = {"commit": self.head, "author": "Ada <ada@example.org>", **origin}
        return Engine(
            Workspace(self.root),
            Recipe(),
            registry=RegistryAddress(self.address, {}),
            origin=Origin(**origin),
            rows=ROWS,
            wait_s=5,
        )

    def run(self, rebuild: bool = False, webhook: Any = None, **origin: str) -> VoiceRun:
        return run_voice(self.engine(**origin), "ada", "", rebuild, webhook)

    def said(self, run: VoiceRun) -> str:
        assert run.error is None, run.error
        return str(run.outcomes[-1].facts["said"])

    def stages_run(self) -> list[str]:
        path = self.root / "runs.log"
        return path.read_text(encoding="utf-8").split() if path.exists() else []


def make_repo(root: Path, pico_base: Path, pico_export: Path) -> Repo:
    """A repository with the generated base, already exported, and the first recording of ada."""
    shutil.copytree(pico_base, root / "bases" / "pico")
    repo = Repo(root)
    shutil.copytree(pico_export, exports_folder(root) / repo.base.digest)
    (root / ".gitignore").write_text(".timbre/\nruns.log\nred\n", encoding="utf-8")
    repo.git("init", "-q", "-b", "main")
    repo.git("config", "user.name", "Bob")
    repo.git("config", "user.email", "bob@example.org")
    repo.record("one")
    return repo
