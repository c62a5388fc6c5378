"""What `timbre evaluate` writes into a merge request: the verdict, and the sentence that shows best why.

run -> report.md, worst sample of the first red gate by this voice and by the base -> note
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from timbre.cli.invocation import Invocation
from timbre.core.errors import TimbreError
from timbre.evaluation.measurements import Measurements, Sample, read_measurements
from timbre.pipeline.ci.merge_note import Player, below, note_text, notes_of
from timbre.pipeline.engine.run_log import gates_of_run
from timbre.pipeline.engine.run_report import VoiceRun
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.encryption.sealed_page import FILE as SEALED

_STAGE = "evaluate"
_VERDICT, _PAGE, _VOICE_SOUND, _BASE_SOUND = "report.md", "report.html", "heard-voice.wav", "heard-base.wav"


def note_runs(invocation: Invocation, workspace: Workspace, runs: Sequence[VoiceRun]) -> None:
    """Writes the note of each voice whose gates were decided; nothing without a token or outside a merge request."""
    notes = notes_of(invocation.environment)
    if notes is None:
        return
    for run in runs:
        report, gates = workspace.report(run.voice, _STAGE), gates_of_run(workspace, run)
        # A report that lies there from an earlier run is not this run's.
        key = next((outcome.key for outcome in run.outcomes if outcome.row.name == _STAGE), "")
        if not key or not gates or not (report / _VERDICT).is_file():
            continue
        measured = workspace.work(run.voice, _STAGE) / key
        sentence, players = _heard(workspace.root, measured, report, gates) if notes.job else ("", ())
        page = report / _PAGE
        text = note_text(
            (report / _VERDICT).read_text(encoding="utf-8"), sentence, players,
            below(page, workspace.root) if page.is_file() else "", notes.job, invocation.redactor,
        )  # fmt: skip
        notes.show(run.voice, text, invocation.logger())


def _heard(
    root: Path, measured: Path, report: Path, gates: Mapping[str, Mapping[str, Any]]
) -> tuple[str, tuple[Player, ...]]:
    """The sentence, and its sounds copied beside the report; none of an encrypted voice, whose artefacts are silent."""
    if (report / SEALED).exists():
        return "", ()
    try:
        values = read_measurements(measured)
    except TimbreError:
        return "", ()
    for sample, base in _candidates(values, gates):
        sounds = ((_VOICE_SOUND, "this voice", sample), (_BASE_SOUND, "base alone", base))
        if all((measured / item.file).is_file() for _, _, item in sounds):
            for name, _, item in sounds:
                shutil.copyfile(measured / item.file, report / name)
            players = tuple(Player(label, below(report / name, root)) for name, label, _ in sounds)
            return sample.text, players
    return "", ()


def _candidates(values: Measurements, gates: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[Sample, Sample]]:
    """A sample of the voice and the base's of the same sentence: of red gates first, then any that was kept."""
    red = [gate for gate in gates.values() if not gate.get("passed") and gate.get("blocks", True)]
    ours = [*values.adapted.tts, *values.adapted.copy]
    worst = [item for gate in red for item in ours if item.file and item.file == gate.get("worst_file")]
    for sample in [*worst, *(item for item in ours if item.file)]:
        same = [
            base
            for base in (values.plain.copy if sample.seed is None else values.plain.tts)
            if base.file and (base.id, base.text) == (sample.id, sample.text)
        ]
        # The same seed first: it says the sentence in the most similar way.
        yield from ((sample, base) for base in sorted(same, key=lambda base: base.seed != sample.seed))
