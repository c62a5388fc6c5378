"""A voice package: the files of stages 3 and 4 that are published, and the manifest that describes them.

outputs of finetune and evaluate, gates.json -> Package
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbre.core.base import Base
from timbre.core.digests import digest_file, digest_value
from timbre.core.errors import CheckFailedError, InfrastructureError
from timbre.core.host import tool_versions
from timbre.core.recipe import SECTIONS, Recipe
from timbre.evaluation.gates_yaml import GATES_FILE
from timbre.evaluation.measurements import Sample, read_measurements
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.origin import Origin, actor_of
from timbre.pipeline.engine.outputs import read_record
from timbre.pipeline.release.model_card import CARD, model_card
from timbre.pipeline.voice.folder import LEXICON, VoiceFolder
from timbre.registry.manifest import Manifest, Provenance

GATES, MEASUREMENTS, SAMPLES = "gates.json", "measurements.json", "samples/"
VERSION_DIGITS = 12
# Without samples: a base of 81 M parameters at rank 8 needs about half of it.
MAX_BYTES = 8_000_000
_ADAPTERS = ("t2s", "sovits")
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_NEEDED = ("prompt.safetensors", "prompt.json", "training.json")


@dataclass(frozen=True)
class Package:
    """A voice as the registry takes it."""

    manifest: Manifest
    """Its `files` are still empty: the registry fills them in."""
    files: Mapping[str, bytes]
    """Path in the package -> content."""

    @property
    def size_bytes(self) -> int:
        """Of all files but the samples."""
        return sum(len(data) for path, data in self.files.items() if not path.startswith(SAMPLES))


@dataclass(frozen=True)
class PackageInputs:
    """Where the pipeline made a voice."""

    voice: VoiceFolder
    """The folder that was trained."""
    base: Base
    """The one that was trained on; its digest must be that of the verdicts."""
    recipe: Recipe
    """The one of the run, with the voice's overrides; only its digest is published."""
    origin: Origin
    """Who asked, for the provenance."""
    finetuned: Path
    """Finished output of stage 3."""
    measured: Path
    """Finished output of stage 4; its key names the version."""
    gates: Path
    """gates.json of stage 4's report, decided in this run."""
    review: bool = False
    """Whether a review is asked for beside voice.yaml."""


def source_digest(voice: VoiceFolder) -> str:
    """What a voice is made from: the digest of its folder and the name of its base.

    The name, not the digest of the base: other weights under that name do not retrain voices by themselves.
    """
    return digest_value({"folder": voice.digest(), "base": voice.base})


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 of all settings that can change a stage's outputs."""
    return digest_value({name: recipe.section_digest(name) for name in SECTIONS})


def build_package(made: PackageInputs, created: str, samples: int) -> Package:
    """The package of a voice that passed its gates. created: UTC time; samples: how many spoken samples to keep.

    Raises CheckFailedError when the gates are red, InfrastructureError when they are not of these measurements or when
    a file of an earlier stage is missing.
    """
    verdict = _verdict(made)
    voice, base, origin = made.voice, made.base, made.origin
    manifest = Manifest(
        voice=voice.name,
        version=version_of(made.measured),
        source=source_digest(voice),
        base=base.name,
        base_digest=base.digest,
        languages=(voice.language, *(item for item in base.languages if item != voice.language)),
        rate_hz=base.rate_hz,
        created=created,
        passed=True,
        gates=verdict["gates"],
        consent={
            "kind": voice.consent.kind,
            "rights": voice.consent.rights,
            "source": voice.consent.source,
            "statement": voice.consent.statement,
            **({"approved_by": voice.consent.approved_by} if voice.consent.approved_by else {}),
        },
        review_required=voice.review or made.review,
        provenance=Provenance(
            origin.commit or None,
            origin.author or None,
            actor_of(origin).name,
            origin.job_url or None,
            recipe_digest(made.recipe),
            tool_versions(),
        ),
        files=(),
        recordings=voice.recordings(),
        gates_digest=_digest_of_gates(base),
        overrides={name: dict(values) for name, values in voice.recipe.items() if values},
        review_dropped=made.review and not voice.review,
    )
    kept = choose_samples(read_measurements(made.measured).adapted.tts, samples)
    files = _files(made, kept)
    return Package(manifest, {**files, CARD: model_card(manifest, base, kept).encode()})


def _digest_of_gates(base: Base) -> str:
    """Of the limits that the verdicts were taken by; empty for a base that has none (its verdicts say so)."""
    path = base.folder / GATES_FILE
    return digest_file(path) if path.is_file() else ""


def committed(origin: Origin, voice: VoiceFolder, repository: Repository) -> Origin:
    """The origin without its commit when the recordings here are not those of that commit."""
    if origin.commit and repository.differs(voice.path, voice.files()):
        return dataclasses.replace(origin, commit="")
    return origin


def version_of(measured: Path) -> str:
    """The id of the version that was measured: the first 12 digits of stage 4's key."""
    record = read_record(measured)
    if record is None:
        raise InfrastructureError(f"{measured}: no stage.json", "run stage 4 again: timbre evaluate VOICE --rebuild")
    return str(record["key"])[:VERSION_DIGITS]


def choose_samples(spoken: Sequence[Sample], count: int) -> tuple[Sample, ...]:
    """Samples to keep, of the first seed: fixed sentences and held-out ones in turn, so that voices can be compared."""
    kept = [item for item in spoken if item.file]
    seeds = [item.seed for item in kept if item.seed is not None]
    first = [item for item in kept if item.seed == min(seeds, default=None)]
    fixed = [item for item in first if item.source == "fixed"]
    own = [item for item in first if item.source != "fixed"]
    half = max(count - len(own), (count + 1) // 2)
    chosen = fixed[:half]
    return (*chosen, *own[: count - len(chosen)])


def _verdict(made: PackageInputs) -> dict[str, Any]:
    try:
        verdict: dict[str, Any] = json.loads(made.gates.read_text(encoding="utf-8"))
        passed, gates = verdict["passed"], verdict["gates"]
        about = (verdict["voice"], verdict["base_digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{made.gates}: verdicts cannot be read ({error!r})"
        raise InfrastructureError(message, f"run: timbre evaluate {made.voice.name}") from error
    if about != (made.voice.name, made.base.digest):
        message = f"{made.gates}: verdicts of {about[0]} on base {about[1][:12]}, expected {made.voice.name} on "
        raise InfrastructureError(message + made.base.digest[:12], f"run: timbre evaluate {made.voice.name}")
    if passed is not True or not gates:
        red = ", ".join(name for name, gate in gates.items() if gate.get("blocks") and not gate.get("passed"))
        raise CheckFailedError(f"{made.voice.name}: red gates are not published: {red}", "see stage 4's report")
    return verdict


def _files(made: PackageInputs, samples: Sequence[Sample]) -> dict[str, bytes]:
    wanted = {name: made.finetuned / name for name in _NEEDED}
    for adapter in _ADAPTERS:
        if (made.finetuned / adapter).is_dir():
            wanted |= {f"{adapter}/{name}": made.finetuned / adapter / name for name in _ADAPTER_FILES}
    if (made.finetuned / LEXICON).is_file():
        wanted[LEXICON] = made.finetuned / LEXICON
    wanted |= {MEASUREMENTS: made.measured / MEASUREMENTS, GATES: made.gates}
    wanted |= {item.file: made.measured / item.file for item in samples}
    files = {}
    for name, path in wanted.items():
        try:
            files[name] = path.read_bytes()
        except FileNotFoundError as error:
            message = f"{path}: missing, so the package of {made.voice.name} is not complete"
            raise InfrastructureError(message, f"run: timbre run {made.voice.name} --rebuild") from error
    return files
