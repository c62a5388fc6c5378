"""Runs stage 1 on a folder without the engine, for measurements and tests."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbre.audio.reader import write
from timbre.audio.waveform import Waveform
from timbre.core.base import Base
from timbre.core.cancellation import Cancellation
from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES
from timbre.core.problems import Problem
from timbre.core.progress import SilentProgress
from timbre.core.recipe import Recipe
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.stages.table import StageContext
from timbre.pipeline.stages.validate.stage import ValidateStage
from timbre.pipeline.voice.folder import open_voice
from timbre.registry.address import RegistryAddress


@dataclass(frozen=True)
class Rate:
    """All that stage 1 needs to know of a base."""

    name: str
    rate_hz: int
    path: Path = Path()
    digest: str = ""
    languages: tuple[str, ...] = tuple(LANGUAGES)
    # No other base beside it, so that nothing is heard unless a test asks for it.
    folder: Path = Path("/nowhere/measured")
    weights_root: Path = Path("/nowhere/weights")

    def has(self, role: str) -> bool:
        """It has no files."""
        return False


@dataclass(frozen=True)
class Outcome:
    """facts: of a voice that passed, else empty. problems: of one that did not. report, output: where the files are."""

    facts: Mapping[str, Any]
    problems: Sequence[Problem]
    report: Path
    output: Path


def run_stage_one(
    folder: Path, work: Path, rate_hz: int = 16_000, recipe: Mapping[str, Any] | None = None, base: Base | None = None
) -> Outcome:
    """Validates a voice folder; `work`: an existing folder to write into; recipe: overrides of its section.

    base: whose recogniser compares texts with recordings; without one nothing is compared.
    """
    place = Path(tempfile.mkdtemp(dir=work))
    for name in ("output", "resume", "report"):
        (place / name).mkdir()
    context = StageContext(
        key="measured",
        voice=open_voice(folder),
        base=base or Rate("measured", rate_hz),  # type: ignore[arg-type]
        recipe=Recipe().with_overrides({"validate": dict(recipe or {})}, "overrides"),
        sections=("validate",),
        inputs={},
        output=place / "output",
        resume=place / "resume",
        report=place / "report",
        root=place,
        registry=RegistryAddress("", {}),
        origin=Origin(),
        progress=SilentProgress(),
        log=logging.getLogger("timbre.stage_one"),
        cancel=Cancellation(),
    )
    facts: Mapping[str, Any] = {}
    problems: Sequence[Problem] = ()
    try:
        facts = ValidateStage().run(context)
    except InputError as error:
        problems = getattr(error, "problems", [])
        if not problems:
            raise
    return Outcome(facts, problems, context.report, context.output)


def write_voice(folder: Path, language: str, clips: Sequence[tuple[Waveform, str]], suffix: str = ".flac") -> Path:
    """Writes a synthetic voice folder from sounds and their texts, and returns it."""
    (folder / "wavs").mkdir(parents=True)
    rows = ["file|text"]
    for number, (wave, text) in enumerate(clips, 1):
        file = f"wavs/{number:04d}{suffix}"
        write(folder / file, wave)
        rows.append(f"{file}|{text}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = f"language: {language}\nconsent:\n  kind: public-domain\n  rights: for measurements only\n"
    (folder / "voice.yaml").write_text(settings, encoding="utf-8")
    return folder
