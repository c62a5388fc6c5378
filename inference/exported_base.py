"""An exported base: a folder of ONNX graphs and `export.json`, all that a torch-free program needs to speak with a
base.

export.json (schema 2):
    schema_version, export_version (of the exporter), name, digest (of the base), rate_hz, hop, fft_size, codes_hz,
    languages, speaker_encoder, bert, bert_width (0 without)
    t2s: {layers, heads, head_width, vocabulary, phone_rows, end_token, max_positions, projections: {name: [in, out]}}
    acoustic: {latent, condition, speaker_width, spectrum_bins, generator_context_frames, source_fft_size, refinements}
    speaking: sampling and prompt where a request says nothing (core/speaking_defaults.py)
    recogniser_classes: names of the phone recogniser's classes, or [] without one
    graphs: {name: {profile: {file, sha256}}}

Graphs and their tensors (all batches are 1 except t2s and speaker; T frames, N codes, P phones, S samples):
    t2s        see training/export/t2s_graph.py
    prior      codes int64 [1,N], phones int64 [1,P], condition [1,G,1], left int64 [T], blend [T], noise [1,L,T] -> z
    [1,L,T]
               (frame t of the encoder's output becomes (1 - blend[t]) * h[left[t]] + blend[t] * h[left[t] + 1], which
               is resampling for the speed; noise is added as noise * exp(log_std))
    generator  z [1,L,T], condition [1,G,1] -> wave [1,T*hop]
               or, with a harmonic source (source_fft_size > 0): spectrum [1,T,4*F] (log magnitude, comb, real and
               imaginary part of the rotation), voicing [1,T], f0_hz [1,T]; inference/pieces.py makes the wave of them
    posterior  spectrum [1,F,T], condition [1,G,1] -> z [1,L,T] (mean)
    style      spectrum [1,F,T], speaker [1,W] (absent when W is 0) -> condition [1,G,1]
    content    wave [1,S] at 16 kHz -> features [1,C,T]; and, with a recogniser, logits [1,T,K] at 50 frames a second
    quantizer  features [1,C,T] -> codes int64 [1,N]
    speaker    mels [B,160,40] -> embedding [B,256] (GE2E partials; see inference/speaker.py)
    verification  features [1,T,80] (inference/filter_bank.py) -> speaker [1,W]; where speaker_encoder is eres2netv2
    bert       ids int64 [1,L] -> vectors [1,L,W] (see inference/characters.py); beside it bert_tokens (character -> id
               as JSON) and bert_projection (safetensors, bert_proj.weight [H,W])
Only fp32 must exist; int8 replaces it for the graphs that have it when the profile is int8.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timbre.core.atomic import write_text
from timbre.core.digests import digest_file
from timbre.core.speaking_defaults import SpeakingDefaults, speaking_defaults
from timbre.inference.errors import GraphError
from timbre.inference.t2s_slots import T2SShape

EXPORT_FILE = "export.json"
SCHEMA_VERSION = 2
EXPORT_VERSION = "4"
"""Of the exporter: raised when the same weights give other graphs than before (training/export)."""
EDITION = f"{SCHEMA_VERSION}.{EXPORT_VERSION}"
"""Which exports of one base this program makes; several editions of a base may lie side by side in a registry."""


@dataclass(frozen=True)
class AcousticShape:
    """Widths of the acoustic graphs."""

    latent: int
    """Channels of the latent."""
    condition: int
    """Width of the condition vector."""
    speaker_width: int
    """Width of the speaker vector, 0 on bases without."""
    spectrum_bins: int
    """Bins of the spectrum that style and posterior read."""
    generator_context_frames: int
    """Frames of context on each side that make chunked decoding equal to decoding at once (0: the generator must see
    everything)."""
    source_fft_size: int = 0
    """Window of a generator with harmonic source, whose graph gives spectra (0: the graph gives the wave)."""
    refinements: int = 0
    """Of the phase of such a generator."""


@dataclass(frozen=True)
class ExportedBase:
    """The content of export.json, and where the graphs are. Nothing is loaded yet."""

    folder: Path
    """Contains export.json and the graphs."""
    name: str
    """Of the base."""
    digest: str
    """Of the base, see `Base.digest`."""
    rate_hz: int
    """Sampling rate of its audio."""
    hop: int
    """Samples between two spectrum frames."""
    fft_size: int
    """Samples of a spectrum frame."""
    codes_hz: int
    """Codes per second."""
    languages: tuple[str, ...]
    """Languages that the base speaks."""
    speaker_encoder: str
    """Name of the speaker encoder."""
    bert: bool
    """Whether it reads Mandarin with character vectors."""
    t2s: T2SShape
    """Sizes of the text-to-semantic graph."""
    acoustic: AcousticShape
    """Sizes of the acoustic graphs."""
    recogniser_classes: tuple[str, ...]
    """Phones of the recogniser in the order of its outputs; empty without one."""
    graphs: Mapping[str, Mapping[str, Mapping[str, str]]]
    """Graph -> profile -> file and SHA-256."""
    speaking: SpeakingDefaults = field(default_factory=SpeakingDefaults)
    """Default options of a request."""
    bert_width: int = 0
    """Width of the character vectors, 0 without."""
    export_version: str = EXPORT_VERSION
    """Version of the exporter that wrote the graphs."""

    @property
    def edition(self) -> str:
        """As EDITION; equal to it when this program would export the same."""
        return f"{SCHEMA_VERSION}.{self.export_version}"

    @property
    def samples_per_code(self) -> int:
        """Samples of audio that one semantic code becomes at speed 1."""
        return self.rate_hz // self.codes_hz

    @property
    def frames_per_code(self) -> int:
        """Spectrogram frames a code."""
        return self.samples_per_code // self.hop

    def graph(self, name: str, profile: str = "fp32") -> Path:
        """Path of a graph in a profile (fp32 where that profile has none). Raises GraphError when the base has no
        such graph.
        """
        files = self.graphs.get(name)
        if not files:
            raise GraphError(f"{self.folder}: the base {self.name!r} has no graph {name!r}", "export the base again")
        entry = files.get(profile) or files["fp32"]
        return self.folder / entry["file"]

    def has(self, name: str) -> bool:
        """Whether there is a graph of that name."""
        return bool(self.graphs.get(name))

    def verify(self) -> None:
        """Compares every graph's bytes with its digest. Raises GraphError naming the first that differs or is
        missing.
        """
        for profiles in self.graphs.values():
            for entry in profiles.values():
                path = self.folder / entry["file"]
                if not path.is_file() or digest_file(path) != entry["sha256"]:
                    state = "is missing" if not path.is_file() else "was changed or truncated"
                    raise GraphError(f"{path} {state}", f"export it again: timbre base export {self.name}")


def usable_edition(editions: Iterable[str]) -> str | None:
    """The one of these that this program speaks with best: its own, else the latest of its schema, else None."""

    def number(edition: str) -> list[int]:
        return [int(part) if part.isdigit() else -1 for part in edition.split(".")]

    fitting = [item for item in editions if item.split(".", 1)[0] == str(SCHEMA_VERSION)]
    if EDITION in fitting:
        return EDITION
    return max(fitting, key=number, default=None)


def read_export(folder: Path) -> ExportedBase:
    """Reads folder/export.json. Raises GraphError when it is missing, damaged or of a newer schema."""
    path = folder / EXPORT_FILE
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = data.pop("schema_version")
        if version != SCHEMA_VERSION:
            older = isinstance(version, int) and version < SCHEMA_VERSION
            raise GraphError(
                f"{path}: schema version {version!r}; this program reads {SCHEMA_VERSION}",
                f"export the base again: timbre base export {data.get('name', 'NAME')}" if older else "upgrade timbre",
            )
        shape = data.pop("t2s")
        shape["projections"] = {name: (int(low), int(high)) for name, (low, high) in shape["projections"].items()}
        _refuse_paths(path, data["graphs"])
        return ExportedBase(
            folder=folder,
            t2s=T2SShape(**shape),
            acoustic=AcousticShape(**data.pop("acoustic")),
            languages=tuple(data.pop("languages")),
            recogniser_classes=tuple(data.pop("recogniser_classes")),
            speaking=speaking_defaults(data.pop("speaking")),
            **data,
        )
    except FileNotFoundError:
        raise GraphError(f"{path} does not exist", "export the base: timbre base export NAME") from None
    except (ValueError, KeyError, TypeError) as error:
        raise GraphError(f"{path}: {error!r}", "export the base again: timbre base export NAME") from error


def _refuse_paths(path: Path, graphs: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
    """Graphs lie beside export.json. Raises GraphError for a name that leads anywhere else, or to a link."""
    for name, profiles in graphs.items():
        for entry in profiles.values():
            file = entry["file"]
            if not isinstance(file, str) or file in ("", ".", "..") or {"/", "\\", "\0"} & set(file):
                raise GraphError(
                    f"{path}: graphs: {name}: {str(file)[:200]!r} is not the name of a file beside it",
                    "export the base again: timbre base export NAME",
                )
            if (path.parent / file).is_symlink():
                raise GraphError(f"{path.parent / file}: a symbolic link, expected a graph", "export the base again")


def sound_export(folder: Path, digest: str, edition: str = "") -> ExportedBase | None:
    """What lies in folder, if it is the complete and unchanged export of the base with that digest, in a schema that
    this program reads; None otherwise. edition: the only one that will do, "" for any.
    """
    try:
        found = read_export(folder)
        found.verify()
    except GraphError:
        return None
    return found if found.digest == digest and edition in ("", found.edition) else None


def write_export(base: ExportedBase) -> None:
    """Writes export.json next to the graphs, last of all files."""
    shape = base.t2s
    data = {
        "schema_version": SCHEMA_VERSION,
        **{
            name: getattr(base, name)
            for name in (
                "name",
                "digest",
                "rate_hz",
                "hop",
                "fft_size",
                "codes_hz",
                "speaker_encoder",
                "bert",
                "bert_width",
                "export_version",
            )
        },
        "languages": list(base.languages),
        "recogniser_classes": list(base.recogniser_classes),
        "t2s": {**vars(shape), "projections": {name: list(size) for name, size in shape.projections.items()}},
        "acoustic": vars(base.acoustic),
        "speaking": base.speaking.to_plain(),
        "graphs": {
            name: {profile: dict(entry) for profile, entry in files.items()} for name, files in base.graphs.items()
        },
    }
    write_text(base.folder / EXPORT_FILE, json.dumps(data, indent=2, sort_keys=True) + "\n")
