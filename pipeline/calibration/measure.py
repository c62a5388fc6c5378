"""Measures good voices and degraded copies of them on a base, for the limits of its gates.

voice folders -> stages 1 to 3, short -> good adapters -> degraded adapters -> stage 4's measurements, kept one by one

Everything lies below .timbre/calibration/<base>/ and is found again: trainings by their stage keys, measurements by a
digest of all that they depend on. An interrupted run resumes.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timbre.core.atomic import publish_directory, remove_tree, write_json
from timbre.core.base import Base
from timbre.core.cancellation import Cancellation
from timbre.core.digests import digest_value
from timbre.core.errors import CheckFailedError, InputError
from timbre.core.progress import Progress, SilentProgress
from timbre.core.recipe import FinetuneRecipe, Recipe
from timbre.evaluation.calibration import GOOD, UNTRAINED, Specimen
from timbre.evaluation.judge import Judge
from timbre.evaluation.measurements import Group, Measurements, read_measurements
from timbre.evaluation.metrics import distilled
from timbre.evaluation.optional_judges import OptionalJudges
from timbre.evaluation.recorded import band_of, misheard_of, tones_of
from timbre.evaluation.rendition import Recording
from timbre.inference.engine import Engine as Speaking
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.errors import VoiceError
from timbre.pipeline.bases.exported import exported_base
from timbre.pipeline.calibration.degraded_adapters import (
    TONAL,
    WRONG_SPEAKER,
    AdapterDegrader,
    Subject,
    degradations_by_speaker,
)
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.evaluate import EvaluateStage, held_out_recordings
from timbre.pipeline.voice.folder import VoiceFolder, open_voice
from timbre.registry.address import RegistryAddress

VERSION = 9
"""Raised when the same adapter would be degraded or measured in another way than before."""
_ABOUT = "about.json"
_OVER_TRAINING = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class CalibrationPlan:
    """How much is done."""

    steps: int = 60
    """Optimiser steps of each training; three times as many for an over-trained adapter."""
    minutes: float = 3.0
    """Limit of each training beside `steps`."""
    rate: float = FinetuneRecipe.learning_rate
    """Learning rate of each training: that of a voice, so that good ones are what users get."""
    copies: int = 5
    """Recordings of a voice that are copied, and held-out sentences that are spoken."""
    fixed: int = 3
    """Fixed sentences that are spoken beside those."""
    seed: int = 1
    """Of sampling, and of random damage to weights."""
    kinds_per_voice: int = 0
    """How many ways each voice is degraded, taken in turn; 0 for all."""
    listen: int = 2
    """Sentences that the strengths of each training are chosen by."""
    profile: str = "fp32"
    """Precision of the exported graphs that speak; limits hold for this one."""

    def recipe(self, base: Recipe, *, over_trained: bool = False) -> Recipe:
        """The repository's recipe with a short training; an over-trained one is long, harsh and keeps its last step."""
        steps, factor = (3 * self.steps, _OVER_TRAINING) if over_trained else (self.steps, 1.0)
        short = dataclasses.replace(
            base.finetune, max_steps=steps, min_steps=steps, warmup_steps=max(1, steps // 10),
            validate_every_steps=max(1, steps // 4), checkpoint_every_steps=max(1, steps // 2),
            max_minutes=self.minutes * (3 if over_trained else 1), early_stopping=not over_trained,
            learning_rate=self.rate * factor,
            listen_sentences=0 if over_trained else min(base.finetune.listen_sentences, self.listen),
        )  # fmt: skip
        return dataclasses.replace(base, finetune=short)


def calibration_folder(root: Path, base: str) -> Path:
    """Where everything that calibrations of a base made lies, below a repository's root."""
    return Workspace(root).private / "calibration" / base


@dataclass(frozen=True)
class _Speaker:
    """A voice that went through stages 1 to 3."""

    voice: VoiceFolder
    adapter: Path
    """Output of stage 3."""
    keys: tuple[str, ...]
    """Of the stages."""
    held_out: tuple[Recording, ...]

    @property
    def name(self) -> str:
        return self.voice.name


@dataclass(frozen=True)
class Measuring:
    """One calibration run."""

    base: Base
    """The one whose gates get limits."""
    root: Path
    """Of the repository, below which everything is kept."""
    registry: RegistryAddress
    """Where an exported base may be had."""
    plan: CalibrationPlan = field(default_factory=CalibrationPlan)
    """Part of the digest under which measurements are kept, but for `kinds_per_voice`."""
    recipe: Recipe = field(default_factory=Recipe)
    """The repository's; `plan` shortens its training."""
    progress: Progress = field(default_factory=SilentProgress)
    """Counts voices while they train, then adapters."""
    cancel: Cancellation = field(default_factory=Cancellation)
    """Checked before each voice and each adapter; what is measured by then is kept."""
    say: Say = lambda line: None
    """Called with a line about every adapter."""
    degradations: Callable[[Sequence[str], int], Mapping[str, Sequence[str]]] = degradations_by_speaker
    """(speakers, kinds of each) -> the kinds of each, beside TONAL of Mandarin voices."""

    @property
    def folder(self) -> Path:
        """Where everything of this base lies."""
        return calibration_folder(self.root, self.base.name)

    def specimens(self, folders: Sequence[Path]) -> tuple[list[Specimen], list[str]]:
        """All measured adapters, good and degraded, and the voices that were left out with the reason.

        Raises what the stages raise but InputError and CheckFailedError, which leave a voice out; InputError when two
        folders have one name or fewer than two voices are left; Interrupted when asked to stop.
        """
        speakers, left_out = self._prepare(folders)
        exported = exported_base(self.base, self.root, self.registry, progress=self.progress)
        found: list[Specimen] = []
        with Speaking(exported, EngineSettings(profile=self.plan.profile)) as engine:
            judge = Judge(engine, others=OptionalJudges(distilled.available()))
            chosen = self.degradations([speaker.name for speaker in speakers], self.plan.kinds_per_voice)
            for number, speaker in enumerate(speakers):
                other = speakers[(number + 1) % len(speakers)]
                tonal = TONAL if speaker.held_out[0].language == "zh" else ()
                kinds = (GOOD, *chosen[speaker.name], *tonal)
                with self.progress.task(f"calibrate: {speaker.name}", total=len(kinds), unit="adapters") as task:
                    degrader = AdapterDegrader(engine, self._subject(speaker, other), self.plan.fixed, self.plan.seed)
                    for kind in kinds:
                        self.cancel.check()
                        task.note(kind)
                        found.append(self._specimen(exported.graphs, speaker, other, kind, degrader, judge))
                        task.advance()
        return found, left_out

    def _prepare(self, folders: Sequence[Path]) -> tuple[list[_Speaker], list[str]]:
        names = [folder.name for folder in folders]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"calibration: two voice folders are called {twice}", "rename one: results go by name")
        speakers, left_out = [], []
        with self.progress.task("calibrate: train", total=len(folders), unit="voices") as task:
            for folder in folders:
                self.cancel.check()
                began = time.process_time()
                try:
                    voice = open_voice(folder, self.recipe)
                    adapter, validated, keys = self._train(voice)
                except (InputError, CheckFailedError) as error:
                    left_out.append(f"{folder.name}: {str(error).splitlines()[0]}")
                    self.say(f"{folder.name}: left out: {left_out[-1]}")
                else:
                    held_out = tuple(held_out_recordings(validated)[: self.plan.copies])
                    speakers.append(_Speaker(voice, adapter, keys, held_out))
                    self.say(f"{folder.name}: trained, {time.process_time() - began:.0f} CPU s")
                task.advance()
        if len(speakers) < 2:
            reasons = "; ".join(left_out) or "no folders given"
            raise InputError(f"calibration: {len(speakers)} usable voices ({reasons})", "give at least four")
        return speakers, left_out

    def _train(self, voice: VoiceFolder, *, over_trained: bool = False) -> tuple[Path, Path, tuple[str, ...]]:
        """(output of stage 3, output of stage 1, keys) of a voice; found where it was made before."""
        engine = Engine(
            Workspace(self.folder), self.plan.recipe(self.recipe, over_trained=over_trained), progress=self.progress,
            cancel=self.cancel, registry=self.registry,
        )  # fmt: skip
        outcomes = engine.run(voice, _careless(self.base) if over_trained else self.base, until="finetune")
        paths = {outcome.row.name: outcome.path for outcome in outcomes}
        trained, validated = paths["finetune"], paths["validate"]
        assert trained is not None, "the engine raises where a stage has no output"
        assert validated is not None, "the engine raises where a stage has no output"
        return trained, validated, tuple(outcome.key for outcome in outcomes)

    def _subject(self, speaker: _Speaker, other: _Speaker) -> Subject:
        scratch = self.folder / "scratch" / speaker.name
        remove_tree(scratch)
        scratch.mkdir(parents=True)
        return Subject(
            speaker.name, speaker.adapter, speaker.held_out, other.held_out,
            lambda: self._train(speaker.voice, over_trained=True)[0], scratch,
        )  # fmt: skip

    def _specimen(
        self,
        graphs: Mapping[str, Any],
        speaker: _Speaker,
        other: _Speaker,
        kind: str,
        degrader: AdapterDegrader,
        judge: Judge,
    ) -> Specimen:
        """Measured now or before, beside the base alone with the voice's prompt, which relative limits compare with."""
        place = self._place(graphs, speaker, other, kind)
        found = _stored(place, speaker.name, kind) or self._measure(place, speaker.name, kind, degrader, judge)
        if kind == UNTRAINED or found.measured is None:
            return found
        alone = self._specimen(graphs, speaker, other, UNTRAINED, degrader, judge).measured
        assert alone is not None, "the base alone needs no adapter's file"
        return dataclasses.replace(found, measured=dataclasses.replace(found.measured, plain=alone.adapted))

    def _measure(self, place: Path, speaker: str, kind: str, degrader: AdapterDegrader, judge: Judge) -> Specimen:
        began, name = time.process_time(), f"{speaker}-{kind}"
        try:
            case = degrader.case(kind)
        except VoiceError as error:
            _keep(place, {"refusal": error.message})
            self.say(f"{name}: refused by the loader")
            return Specimen(speaker, kind, None, error.message)
        real = judge.recorded(case.held_out)
        copies = tuple(judge.judge_copy(item) for item in case.copies)
        spoken = tuple(judge.judge_speech(item, real) for item in case.spoken)
        nothing = Group((), ())
        about = band_of(case.held_out) | tones_of(case.held_out, judge.recogniser, {})
        about |= misheard_of(case.held_out, judge.recogniser, {})
        languages = {item.sentence.language for item in case.spoken}
        measured = judge.measurements(name, Group(copies, spoken), nothing, about, case.outcome, languages=languages)
        seconds = time.process_time() - began
        _keep(place, {"cpu_s": round(seconds, 2)}, measured)
        self.say(f"{name}: measured, {seconds:.0f} CPU s")
        return Specimen(speaker, kind, measured)

    def _place(self, graphs: Mapping[str, Any], speaker: _Speaker, other: _Speaker, kind: str) -> Path:
        """Where a measurement is kept: under a digest of everything that it depends on."""
        plan = dataclasses.asdict(self.plan)
        plan.pop("kinds_per_voice")
        depends: dict[str, Any] = {
            "version": VERSION, "mos": distilled.available(), "stage": EvaluateStage.version, "kind": kind,
            "plan": plan, "keys": speaker.keys,
            "graphs": {name: {profile: item["sha256"] for profile, item in files.items()}
                       for name, files in graphs.items()},
        }  # fmt: skip
        if kind == WRONG_SPEAKER:
            depends["other"] = other.keys
        return self.folder / "measured" / speaker.name / f"{kind}-{digest_value(depends)[:16]}"


def _careless(base: Base) -> Base:
    """The base without the practice that guards the words in a long training."""
    finetune = {name: value for name, value in base.recipe.get("finetune", {}).items() if name != "practice_weight"}
    return dataclasses.replace(base, recipe={**base.recipe, "finetune": finetune})


def _stored(place: Path, speaker: str, kind: str) -> Specimen | None:
    if not (place / _ABOUT).is_file():
        return None
    about = json.loads((place / _ABOUT).read_text(encoding="utf-8"))
    if "refusal" in about:
        return Specimen(speaker, kind, None, about["refusal"])
    return Specimen(speaker, kind, read_measurements(place))


def _keep(place: Path, about: Mapping[str, Any], measured: Measurements | None = None) -> None:
    partial = place.with_name(f".partial-{place.name}")
    remove_tree(partial)
    partial.mkdir(parents=True)
    if measured is not None:
        measured.write(partial)
    write_json(partial / _ABOUT, about)
    publish_directory(partial, place)
