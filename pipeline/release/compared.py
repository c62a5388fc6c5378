"""One side of a comparison: a published version, the record of a run, or what this machine measured last.

VOICE[@REFERENCE] -> Side
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timbre.core.errors import InputError
from timbre.core.json_file import read_object
from timbre.evaluation.measurements import FILE, Measurements, read_measurements
from timbre.pipeline.engine.outputs import read_record
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.registry_view import short
from timbre.pipeline.release.run_view import views
from timbre.registry.manifest import Manifest
from timbre.registry.names import split_reference
from timbre.registry.registry import Registry
from timbre.registry.run_records import runs_of

HERE, LAST_RUN = "here", "run"
_RUN_ID = re.compile(r"\d{4}-\d\d-\d\dT")
_TRAINING, _GATES = "training.json", "gates.json"
Gates = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    name: str
    """VOICE@REFERENCE as it was found."""
    about: Mapping[str, str]
    """Where it came from."""
    recipe: Mapping[str, Any]
    """Settings of its training."""
    recordings: Mapping[str, Any]
    """What it was trained and measured on."""
    gates: Gates
    """Gate name -> verdict as in gates.json."""
    measured: Measurements | None = None
    """None where only verdicts are known (records of runs)."""
    folder: Path | None = field(default=None, compare=False)
    """Contains the files of its samples; None without sound."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """training.json, empty where it is unknown."""


def find_side(reference: str, registry: Registry, workspace: Workspace | None, kept: Path) -> Side:
    """Finds a side by its name.

    reference: VOICE (production), VOICE@VERSION, VOICE@ALIAS, VOICE@run (its last run), VOICE@RUN-ID, or VOICE@here
    (what stage 4 measured last in this repository). kept: empty folder for files of the package.

    Raises InputError for an invalid reference or one with nothing to compare, and what Registry.resolve raises.
    """
    voice, at, wanted = reference.partition("@")
    if not voice or (at and not wanted):
        raise InputError(
            f"{reference!r}: expected VOICE, VOICE@VERSION, VOICE@run or VOICE@here", "see timbre compare --help"
        )
    if wanted == HERE:
        if workspace is None:
            raise InputError(f"{reference}: this is not a voice repository", "give a version: VOICE@VERSION")
        return _here(voice, workspace)
    if wanted == LAST_RUN or _RUN_ID.match(wanted):
        return _run(voice, wanted, registry)
    manifest = registry.resolve(*split_reference(reference))
    registry.fetch(manifest, kept, without=("t2s/", "sovits/", "prompt."))
    return _version(manifest, kept)


def _version(manifest: Manifest, kept: Path) -> Side:
    came = manifest.provenance
    about = {
        "created": short(manifest.created), "commit": (came.commit or "")[:12], "author": _name(came.author or ""),
        "base": f"{manifest.base} {manifest.base_digest[:12]}", "languages": ", ".join(manifest.languages),
        "recipe digest": came.recipe_digest[:12], "overrides": _flat_text(manifest.overrides),
        "gates.yaml": manifest.gates_digest[:12],
    }  # fmt: skip
    training, measured = read_object(kept / _TRAINING), _measured(kept)
    recordings = {"recordings digest": manifest.recordings[:12], **_trained_on(training), **_judged_on(measured)}
    return Side(
        f"{manifest.voice}@{manifest.version}",
        about,
        _recipe(training),
        recordings,
        manifest.gates,
        measured,
        kept,
        training,
    )


def _here(voice: str, workspace: Workspace) -> Side:
    workspace.voice_path(voice)
    found = [(str(record["started"]), path, record)
             for path in workspace.work(voice, "evaluate").glob("*")
             if (record := read_record(path)) is not None and (path / FILE).is_file()]  # fmt: skip
    if not found:
        raise InputError(f"{voice}@{HERE}: stage 4 has measured nothing here", f"run: timbre evaluate {voice}")
    _, folder, record = max(found, key=lambda item: item[0])
    finetuned = workspace.work(voice, "finetune") / str(record.get("inputs", {}).get("finetune", ""))
    training, measured = read_object(finetuned / _TRAINING), _measured(folder)
    verdicts = read_object(workspace.report(voice, "evaluate") / _GATES).get("gates", {})
    about = {
        "created": short(str(record["started"])), "base": _base_of(measured), "stage 4": str(record["key"])[:12],
    }  # fmt: skip
    recordings = {"recordings digest": str(record.get("recordings", ""))[:12], **_trained_on(training),
                  **_judged_on(measured)}  # fmt: skip
    return Side(f"{voice}@{HERE}", about, _recipe(training), recordings, verdicts, measured, folder, training)


def _run(voice: str, wanted: str, registry: Registry) -> Side:
    ended = [view for view in views(runs_of(registry.store, voice)) if not view.record.running]
    fitting = [view for view in ended if wanted == LAST_RUN or view.record.id.startswith(wanted)]
    if not fitting:
        known = ", ".join(view.record.id for view in ended[-3:])
        raise InputError(
            f"{voice}@{wanted}: no such run" + (f"; the last are {known}" if known else ""),
            "list runs with: timbre status --json",
        )
    if len(fitting) > 1 and wanted != LAST_RUN:
        raise InputError(f"{voice}@{wanted}: {len(fitting)} runs begin so", f"write all of {fitting[-1].record.id}")
    run = fitting[-1]
    if not run.gates:
        reason = run.text("error")
        raise InputError(
            f"{voice}@{run.record.id}: {run.state}, so it has no verdicts" + (f" ({reason})" if reason else ""),
            "choose a run that reached stage 4",
        )
    about = {
        "created": f"{run.time} UTC", "commit": run.text("commit")[:12], "author": run.text("author"),
        "base": run.text("base"), "state": run.state, "version": run.text("version"),
    }  # fmt: skip
    recordings = {"recordings digest": run.text("recordings")[:12]}
    return Side(f"{voice}@{run.record.id}", about, {}, recordings, run.gates)


def _base_of(measured: Measurements | None) -> str:
    return f"{measured.base} {measured.base_digest[:12]}" if measured else ""


def _measured(folder: Path) -> Measurements | None:
    """None for a package of an earlier program without measurements, or with those of another."""
    try:
        return read_measurements(folder)
    except InputError:
        return None


def _recipe(training: Mapping[str, Any]) -> Mapping[str, Any]:
    found = training.get("recipe")
    return found if isinstance(found, dict) else {}


def _trained_on(training: Mapping[str, Any]) -> dict[str, Any]:
    names = {"training_slices": "training slices", "training_s": "training seconds"}
    steps = {
        f"steps {name}": f"{network.get('best_step')} of {network.get('steps')}"
        for name, network in (training.get("networks") or {}).items()
    }
    return {title: training[name] for name, title in names.items() if name in training} | steps


def _judged_on(measured: Measurements | None) -> dict[str, Any]:
    if measured is None:
        return {}
    spoken = measured.adapted.tts
    return {
        "held-out recordings": len(measured.adapted.copy), "spoken sentences": len({item.id for item in spoken}),
        "samples": len(spoken), "texts version": measured.texts_version, "graphs": measured.profile,
    }  # fmt: skip


def _flat_text(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{section}.{name}={value}" for section, items in values.items() for name, value in dict(items).items()
    )


def _name(person: str) -> str:
    return person.partition(" <")[0]
