"""The five stages in order, and the contract between a stage and the engine that runs it.

This table is the only place that knows which stages there are: the engine, the CLI, the CI generator and the
documentation read it. A stage is a class found through `target`.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from timbre.core.base import Base
from timbre.core.cancellation import Cancellation
from timbre.core.progress import Progress
from timbre.core.recipe import SECTIONS, Recipe
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.voice.folder import VoiceFolder
from timbre.registry.address import RegistryAddress

Section = TypeVar("Section")

# Inputs that are not stages.
FOLDER = "folder"
BASE = "base"
BASE_RATE = "base_rate"
RECOGNISER = "recogniser"

VALIDATION_FILE = "validation.json"
"""Of stage 1, in its output and its report: slices, measured values, problems."""


@dataclass(frozen=True)
class StageContext:
    """Everything a stage may use. It prints nothing, exits nowhere and reads no environment variables."""

    key: str
    """64 hex digits; equal keys mean equal outputs."""
    voice: VoiceFolder
    """The folder as the run read it; a stage does not read voice.yaml or metadata.csv a second time."""
    base: Base
    """The base that voice.yaml names, or the one that the command line put in its place."""
    recipe: Recipe
    """Complete; read it through `section`, so that a stage reads only what its key covers."""
    sections: tuple[str, ...]
    """Recipe sections in the stage's row of the table."""
    inputs: Mapping[str, Path]
    """Stage name -> finished output directory (read-only) of every stage named in the table's `inputs`."""
    output: Path
    """An empty directory to write into; the engine renames it into place when `run` returns, else removes it."""
    resume: Path
    """A directory that survives an interrupted or failed attempt with the same key (training checkpoints), removed when
    the stage completes. Files in it must be written atomically by the stage."""
    report: Path
    """`.timbre/reports/<voice>/<stage>/`, emptied before every attempt and kept afterwards, also when the stage fails:
    what a person should look at (validation.json and .md of a refused folder, gates.json, report.html)."""
    root: Path
    """Repository root, for messages with paths that a person recognises."""
    registry: RegistryAddress
    """Where stage 4 looks for exported graphs and stage 5 publishes."""
    origin: Origin
    """Who asked."""
    progress: Progress
    """Receives counts and notes; the caller decides whether they are shown."""
    log: logging.Logger
    """Logger whose records also reach the log file of the run."""
    cancel: Cancellation
    """Checked between units of work; `check` raises when the user or CI ends the run."""

    def section(self, kind: type[Section]) -> Section:
        """The recipe section of this dataclass type, e.g. `context.section(ValidateRecipe)`.

        Raises LookupError when the stage's row in the table does not name that section: its key would not cover it.
        """
        for name in self.sections:
            if SECTIONS[name] is kind:
                found: Section = getattr(self.recipe, name)
                return found
        raise LookupError(f"{kind.__name__} is not among the recipe sections of this stage: {self.sections}")


class Stage(Protocol):
    """A stage. `version` is raised by hand whenever the same inputs would give other outputs than before."""

    version: int

    def run(self, context: StageContext) -> Mapping[str, Any]:
        """Do the work, write into `context.output`, return a few plain facts for stage.json and the run's summary.

        Raises the classes of core/errors.py; anything else is a bug (exit code 1).
        """
        ...


@runtime_checkable
class JudgingStage(Protocol):
    """A stage that also decides something which is part of no key (stage 4's verdicts, stage 5's promotion)."""

    def decide(self, context: StageContext, measured: Path) -> Mapping[str, Any]:
        """Called after every run of the stage and every skip; `measured` is its finished output directory (read-only).

        Writes to `context.report` only. Raises CheckFailedError (exit code 20) for a red verdict.
        """
        ...


@runtime_checkable
class MachineStage(Protocol):
    """A stage whose output depends on what is installed where it runs."""

    def machine(self, recipe: Recipe, bases: Path, weights_root: Path) -> Mapping[str, str]:
        """What of it: name -> identity; part of the key. bases: base folders; weights_root: pulled weights.

        Raises ConfigurationError when the recipe asks for something that is not there.
        """
        ...


@runtime_checkable
class PreparingStage(Protocol):
    """A stage that fetches something before its key can be known. Runs call it; looking at the state of a voice never
    does, so that `timbre status` downloads nothing.
    """

    def prepare(self, recipe: Recipe) -> None:
        """Raises ConfigurationError when what the recipe names cannot be had."""
        ...


@dataclass(frozen=True)
class StageRow:
    """One row of the table."""

    number: int
    """From 1, in the order of running."""
    name: str
    """Name of the command, of the CI job and of the folder under `.timbre/work/VOICE/`."""
    job: str
    """What it does, for the documentation."""
    reads: str
    """For the documentation, in Markdown."""
    writes: str
    """For the documentation, in Markdown."""
    inputs: tuple[str, ...]
    """What the key depends on: names of earlier stages (their keys; their directories are in `context.inputs`),
    `folder` (content digest of the voice folder), `base` (digest of the base), `base_rate` (only its sample rate and
    its languages), `recogniser` (the one that hears recordings and speech)."""
    sections: tuple[str, ...]
    """Recipe sections that the stage reads; part of the key."""
    target: str
    """"module:class", imported when the stage runs."""
    cached: bool = True
    """False for a stage that acts on the world (publish) and therefore runs every time; it must be idempotent."""
    limit_min: int = 30
    """Minutes after which CI ends the job, beside what the recipe itself allows a training."""
    gpu: bool = False
    """Whether CI sends it to a machine with a GPU."""
    junit: str = ""
    """JUnit file in the stage's report directory; empty when the stage writes none."""
    metrics: str = ""
    """File of GitLab metrics in the report directory, or empty."""
    code_quality: str = ""
    """File of GitLab code quality in the report directory, or empty."""
    warnings: str = ""
    """File for the Jenkins plugin warnings-ng in the report directory, or empty."""

    @property
    def stage_inputs(self) -> tuple[str, ...]:
        return tuple(name for name in self.inputs if name not in (FOLDER, BASE, BASE_RATE, RECOGNISER))

    def load(self) -> Stage:
        """An instance of the stage."""
        module, _, attribute = self.target.partition(":")
        stage: Stage = getattr(importlib.import_module(module), attribute)()
        return stage


STAGES: tuple[StageRow, ...] = (
    StageRow(
        1,
        "validate",
        job="decode, loudness, VAD, denoise, slice, quality and consent checks",
        reads="voice folder",
        writes="clean slices at the base's rate and at 16 kHz, `validation.json`",
        inputs=(FOLDER, BASE_RATE, RECOGNISER),
        sections=("validate",),
        target="timbre.pipeline.stages.validate.stage:ValidateStage",
        code_quality="codequality.json",
        warnings="issues.json",
    ),
    StageRow(
        2,
        "extract",
        job="HuBERT features to semantic codes, speaker embedding, spectrogram, phonemes, prompt slice",
        reads="slices",
        writes="`features/*.safetensors`, `extract.json`",
        inputs=("validate", BASE),
        sections=("extract",),
        target="timbre.pipeline.stages.extract:ExtractStage",
    ),
    StageRow(
        3,
        "finetune",
        job="LoRA on the frozen base, early stopping; export of the adapter to the serving form",
        reads="features",
        writes="`t2s/`, `sovits/` (PEFT folders), `training.json`",
        inputs=("extract", BASE),
        sections=("finetune",),
        target="timbre.pipeline.stages.finetune:FinetuneStage",
        gpu=True,
    ),
    StageRow(
        4,
        "evaluate",
        job="synthesise the held-out sentences, measure (cached), decide every gate (never cached)",
        reads="adapter and held-out slices",
        writes="`samples/*.wav`, `measurements.json`; report: `gates.json`, `junit.xml`, `report.html`",
        inputs=("validate", "extract", "finetune", BASE, RECOGNISER),
        sections=("evaluate",),
        target="timbre.pipeline.stages.evaluate:EvaluateStage",
        limit_min=60,
        junit="junit.xml",
        metrics="metrics.txt",
    ),
    StageRow(
        5,
        "publish",
        job="write the immutable version, move the alias, record who and why",
        reads="everything",
        writes="a version in the registry",
        inputs=(FOLDER, BASE, "validate", "extract", "finetune", "evaluate"),
        sections=("publish",),
        target="timbre.pipeline.stages.publish:PublishStage",
        limit_min=15,
        cached=False,
    ),
)


def stage_row(name: str) -> StageRow:
    """The row with this name. Raises KeyError."""
    return {row.name: row for row in STAGES}[name]
