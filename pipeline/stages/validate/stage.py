"""Stage 1. Measures every recording, cuts and cleans what can be used, or refuses a folder with all its problems.

VoiceFolder -> surveys -> slices -> speakers, consent, amount -> validation.json (+ .md), slices/
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from timbre.audio.denoise import Denoiser
from timbre.audio.level import active_level_dbfs
from timbre.audio.reader import UndecodableError, write
from timbre.audio.resample import resample
from timbre.audio.room import reverberation_s
from timbre.audio.vad import detect
from timbre.audio.waveform import Samples, Waveform
from timbre.core.digests import digest_file
from timbre.core.recipe import Recipe, ValidateRecipe
from timbre.core.settings import problems_error
from timbre.pipeline.stages.table import StageContext
from timbre.pipeline.stages.validate.checks import (
    Findings,
    check_amount,
    check_languages,
    check_noise,
    check_pace,
    check_room,
    check_sound,
    check_speakers,
    same_recordings,
)
from timbre.pipeline.stages.validate.cleaning import (
    ANALYSIS_RATE_HZ,
    Cleaner,
    DenoisePolicy,
    gain_db,
    make_copies,
    probe_spans,
    read_spans,
)
from timbre.pipeline.stages.validate.consent import Statement, check_statement
from timbre.pipeline.stages.validate.denoisers import choose_denoiser
from timbre.pipeline.stages.validate.held_out import choose_held_out
from timbre.pipeline.stages.validate.report import ClipReport, Slice, Validation
from timbre.pipeline.stages.validate.slicing import Cut, Limits, Plan, plan_slices, shorten_pauses
from timbre.pipeline.stages.validate.speakers import MIN_SPEECH_S, SpeakerEncoder, Speakers, Vectors, compare
from timbre.pipeline.stages.validate.survey import ClipSurvey, survey_clip
from timbre.pipeline.voice.folder import Clip, VoiceFolder, open_voice

SLICES = "slices"
SLICES_16K = "slices_16k"
_MIN_SLICES = 2
_EMBED_TOGETHER = 8
_MIN_HELD_OUT_S = 2.0


class ValidateStage:
    """Stage 1 of the table in pipeline/stages/table.py."""

    version = 2

    def machine(self, recipe: Recipe, root: Path) -> Mapping[str, str]:
        """Its denoiser: other packages here make other slices."""
        return {"denoiser": choose_denoiser(recipe.validate.denoise, root / "bases").identity}

    def run(self, context: StageContext) -> Mapping[str, Any]:
        """Writes slices/, slices_16k/ and validation.json; the report also when the voice is refused.

        Raises InputError with every problem of the folder, ConfigurationError when a denoiser that the recipe asks for
        is not there.
        """
        voice = context.voice
        folder = voice if isinstance(voice, VoiceFolder) else open_voice(voice.path, context.recipe)
        result = _Run(context, folder, context.section(ValidateRecipe)).validate()
        result.write(context.report)
        result.write(context.output)
        if not result.passed:
            raise problems_error(result.findings.problems, f"voice {folder.name}")
        return result.facts()


@dataclass
class _Run:
    """The work on one folder; fields that grow are what the report is made of."""

    context: StageContext
    folder: VoiceFolder
    recipe: ValidateRecipe
    found: Findings = field(default_factory=Findings)
    encoder: SpeakerEncoder = field(default_factory=SpeakerEncoder)
    reports: list[ClipReport] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    vectors: list[Vectors] = field(default_factory=list)
    embedded: list[Slice] = field(default_factory=list)
    waiting: list[tuple[Slice, Samples]] = field(default_factory=list)

    def validate(self) -> Validation:
        self.found.problems += self.folder.problems
        spoken, base = [clip.language for clip in self.folder.clips], self.context.base
        check_languages(base.name, spoken, self.folder.language, base.languages, self.found)
        cleaner = Cleaner(
            DenoisePolicy(
                self.recipe.denoise,
                self.recipe.denoise_below_snr_db,
                self.recipe.denoise_min_gain_mos,
                self.recipe.denoise_max_speech_loss_mos,
            ),
            self._denoiser,
        )
        (self.context.output / SLICES).mkdir()
        if self.context.base.rate_hz != ANALYSIS_RATE_HZ:
            (self.context.output / SLICES_16K).mkdir()
        with self.context.progress.task("validate", total=len(self.folder.clips), unit="clips") as task:
            for clip in self.folder.clips:
                self.context.cancel.check()
                task.note(clip.file)
                self.reports.append(self._clip(clip, cleaner))
                task.advance()
        self._embed(rest=True)
        self._compare_clips()
        rings = self._room()
        speakers = self._speakers()
        statement = self._statement(speakers)
        # A refused clip is in the sum all the same: its replacement counts, so do not ask for more recordings.
        effective = sum(report.survey.speech_s - report.dropped_s for report in self.reports if report.survey)
        if self.folder.clips or not self.folder.problems:
            check_amount(effective, self.recipe, self.found)
        self._hold_out()
        denoiser = cleaner.denoiser.name if any(r.denoise and r.denoise.denoiser for r in self.reports) else ""
        return Validation(
            self.folder.name,
            self.folder.language,
            self.folder.base,
            self.context.base.rate_hz,
            self.folder.consent.kind,
            denoiser,
            effective,
            rings,
            self.found,
            self.reports,
            self.slices,
            speakers,
            statement,
        )

    def _clip(self, clip: Clip, cleaner: Cleaner) -> ClipReport:
        """Measures one recording and, if there is something to use in it, writes its slices."""
        sha256 = digest_file(clip.path)
        try:
            heard = survey_clip(clip.path, self.recipe.max_clip_s, self.recipe.vad_aggressiveness, self.context.cancel)
        except UndecodableError as error:
            # The message begins with the bare file name, which `where` says better.
            value = error.message.removeprefix(f"{clip.path.name}: ")
            self.found.refuse(clip.file, value, "a recording that decodes to its end", error.remedy)
            return ClipReport(clip.file, clip.text, sha256, None)
        check_sound(clip.file, heard, self.recipe, self.context.base.rate_hz, self.found)
        plan = plan_slices(heard.duration_s, heard.activity, clip.text, self._limits())
        if not heard.speech_s:
            limit = "speech"
            self.found.refuse(clip.file, "no speech found", limit, "record it again or delete the row")
            return ClipReport(clip.file, clip.text, sha256, heard, notes=plan.notes)
        for note in plan.notes:
            self.found.remark(
                clip.file,
                note,
                f"slices of {self.recipe.slice_min_s:g} to {self.recipe.slice_max_s:g} s",
                "record sentences of 3 to 10 s, one file and one row each",
            )
        if not plan.cuts:
            return ClipReport(clip.file, clip.text, sha256, heard, dropped_s=plan.dropped_s, notes=plan.notes)
        probes = list(read_spans(clip.path, probe_spans(plan.cuts))) if self._may_denoise(heard) else []
        decision = cleaner.decide(heard.snr_db, probes)
        check_noise(clip.file, heard, decision, self.recipe, self.found)
        level = heard.level_dbfs
        if decision.applied:
            level = _level([cleaner.denoiser.denoise(piece) for piece in probes], level)
        self._write_slices(clip, heard, plan, cleaner.denoiser if decision.applied else None, level)
        return ClipReport(clip.file, clip.text, sha256, heard, decision, len(plan.cuts), plan.dropped_s, plan.notes)

    def _may_denoise(self, heard: ClipSurvey) -> bool:
        mode = self.recipe.denoise
        return mode != "off" and (mode != "auto" or heard.snr_db < self.recipe.denoise_below_snr_db)

    def _write_slices(
        self, clip: Clip, heard: ClipSurvey, plan: Plan, denoiser: Denoiser | None, level_dbfs: float
    ) -> None:
        gain = gain_db(level_dbfs, self.recipe.loudness_target_dbfs)
        rate_hz = self.context.base.rate_hz
        pauses = heard.activity.runs(False)
        for cut, wave in zip(plan.cuts, read_spans(clip.path, [(c.start_s, c.end_s) for c in plan.cuts]), strict=True):
            self.context.cancel.check()
            clean = denoiser.denoise(wave) if denoiser is not None else wave
            tight = shorten_pauses(clean.samples, clean.rate_hz, _inside(pauses, cut), self.recipe.max_pause_s)
            copies = make_copies(Waveform(tight, clean.rate_hz), gain, rate_hz, self.recipe.limiter_ceiling_dbfs)
            name = f"{len(self.slices) + 1:05d}.wav"
            file_16k = f"{SLICES_16K}/{name}" if rate_hz != ANALYSIS_RATE_HZ else f"{SLICES}/{name}"
            write(self.context.output / SLICES / name, copies.base)
            if rate_hz != ANALYSIS_RATE_HZ:
                write(self.context.output / file_16k, copies.analysis)
            duration = copies.base.duration_s
            piece = Slice(
                id=name.removesuffix(".wav"),
                file=f"{SLICES}/{name}",
                file_16k=file_16k,
                text=cut.text,
                language=clip.language,
                duration_s=duration,
                speech_s=_speech_in(heard, cut),
                clip=clip.file,
                start_s=cut.start_s,
                end_s=cut.end_s,
                gain_db=gain,
                limited_db=copies.reduction_db,
                prompt=self.recipe.slice_min_s <= duration <= self.recipe.slice_max_s,
            )
            self.slices.append(piece)
            if piece.speech_s >= MIN_SPEECH_S:
                self.waiting.append((piece, copies.analysis.samples))
            self._embed()

    def _embed(self, rest: bool = False) -> None:
        """Embeds the waiting slices a few at a time, so that they need not all be held."""
        if len(self.waiting) >= _EMBED_TOGETHER or (rest and self.waiting):
            self.vectors.append(self.encoder.embed([samples for _, samples in self.waiting]))
            self.embedded += [piece for piece, _ in self.waiting]
            self.waiting.clear()

    def _compare_clips(self) -> None:
        heard = [(report, report.survey) for report in self.reports if report.survey is not None]
        files = [report.file for report, _ in heard]
        for file, earlier, identical in same_recordings(files, [r.sha256 for r, _ in heard], [s for _, s in heard]):
            value = f"the same {'file' if identical else 'recording'} as {earlier}"
            self.found.refuse(file, value, "every recording once", "delete one of the two files and its row")
        spoken = [(report, survey) for report, survey in heard if survey.speech_s > 0]
        check_pace(
            [r.file for r, _ in spoken],
            [r.text for r, _ in spoken],
            [s.speech_s for _, s in spoken],
            self.recipe,
            self.found,
        )

    def _room(self) -> float | None:
        levels = [report.survey.room_levels_db for report in self.reports if report.survey is not None]
        rings = reverberation_s(np.concatenate(levels)) if levels else None
        check_room(rings, self.recipe, self.found)
        return rings

    def _speakers(self) -> Speakers | None:
        if len(self.embedded) < _MIN_SLICES:
            return None
        speakers = compare(np.concatenate(self.vectors), self.recipe.min_group_similarity)
        files, seconds = [piece.clip for piece in self.embedded], [piece.speech_s for piece in self.embedded]
        check_speakers(files, seconds, speakers, self.recipe, self.found)
        return speakers

    def _statement(self, speakers: Speakers | None) -> Statement | None:
        path = self.folder.statement
        named = f"voice.yaml: consent.statement ({self.folder.consent.statement})"
        if path is None or any(
            problem.where.startswith("voice.yaml: consent.statement") for problem in self.found.problems
        ):
            return None
        centre = speakers.centre if speakers is not None else None
        return check_statement(
            named,
            path,
            self.folder.language,
            self.recipe,
            self.encoder,
            centre,
            self.found.problems,
            self.found.remarks,
        )

    def _hold_out(self) -> None:
        texts, lengths = [piece.text for piece in self.slices], [piece.duration_s for piece in self.slices]
        kept = choose_held_out(texts, lengths, self.recipe.held_out_share, self.recipe.held_out_min, _MIN_HELD_OUT_S)
        self.slices = [dataclasses.replace(piece, held_out=i in kept) for i, piece in enumerate(self.slices)]
        training = [piece for piece in self.slices if not piece.held_out]
        if not self.slices or self.found.problems:
            return
        if len(kept) < self.recipe.held_out_min or not any(piece.prompt for piece in training):
            value = f"{len(self.slices)} slices, {len(kept)} of them held out"
            limit = f"{self.recipe.held_out_min} held out, and one of 3 to 10 s to train on"
            self.found.refuse(
                "all clips", value, limit, "record more sentences of 3 to 10 s, one file and one row each"
            )

    def _limits(self) -> Limits:
        recipe = self.recipe
        return Limits(
            recipe.slice_min_s, recipe.slice_max_s, recipe.whole_clip_max_s, recipe.clip_min_s, recipe.max_pause_s
        )

    def _denoiser(self) -> Denoiser:
        """The one that the recipe names, or the best that this machine has."""
        return choose_denoiser(self.recipe.denoise, self.context.root / "bases").make()


def _level(pieces: list[Waveform], otherwise: float) -> float:
    """Level of active speech over some pieces in dBFS."""
    heard = [detect(resample(piece, ANALYSIS_RATE_HZ).samples) for piece in pieces]
    speech = np.concatenate([activity.speech for activity in heard])
    levels = np.concatenate([activity.levels_dbfs for activity in heard])
    return active_level_dbfs(levels, speech) if speech.any() else otherwise


def _inside(pauses: list[tuple[float, float]], cut: Cut) -> list[tuple[float, float]]:
    """Pauses within a cut, in seconds from its start."""
    return [(a - cut.start_s, b - cut.start_s) for a, b in pauses if a > cut.start_s and b < cut.end_s]


def _speech_in(heard: ClipSurvey, cut: Cut) -> float:
    return sum(_overlaps(heard.activity.runs(True), cut))


def _overlaps(runs: list[tuple[float, float]], cut: Cut) -> Iterator[float]:
    for start, end in runs:
        yield max(0.0, min(end, cut.end_s) - max(start, cut.start_s))
