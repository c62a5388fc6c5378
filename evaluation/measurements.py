"""What stage 4 measured, as plain data: every spoken sentence and every copied recording with its values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from timbre.core.errors import InputError
from timbre.evaluation.metrics.words import HeardWord

SCHEMA_VERSION = 1
FILE = "measurements.json"
FP32, INT8 = "fp32", "int8"
"""Profiles of exported graphs."""
_AGAIN = "run stage 4 again: timbre evaluate VOICE"


@dataclass(frozen=True)
class Sample:
    """One sentence or recording."""

    id: str
    """Of the sentence or recording, shared by all its seeds."""
    text: str
    """That was to be spoken."""
    source: str
    """"held-out" or "fixed"."""
    seed: int | None
    """Sampling seed, None under `copy`."""
    file: str
    """Below the stage's output, "" when it was not kept."""
    values: Mapping[str, float]
    """Metric name -> value."""
    unmeasurable: Mapping[str, str] = field(default_factory=dict)
    """Metric name -> why there is no value."""
    failures: tuple[str, ...] = ()
    """Reasons why the sentence failed (`tts`)."""
    detail: Mapping[str, float] = field(default_factory=dict)
    """delay_s, gain_db, seconds, phones and the like."""
    words: tuple[HeardWord, ...] = ()
    """What was heard in the place of each word (`tts`, bases with a recogniser; empty in measurements of earlier
    programs)."""


@dataclass(frozen=True)
class Group:
    """All samples of one protocol with one set of weights."""

    copy: tuple[Sample, ...]
    """Copied recordings."""
    tts: tuple[Sample, ...]
    """Spoken sentences."""

    def samples(self, protocol: str) -> tuple[Sample, ...]:
        """The samples of "copy" or "tts"."""
        return self.copy if protocol == "copy" else self.tts


@dataclass(frozen=True)
class Measurements:
    """Everything that gates decide on."""

    voice: str
    """Name of the voice."""
    base: str
    """Name of its base."""
    base_digest: str
    """Of the base, see `Base.digest`."""
    profile: str
    """Of the graphs, for example fp32."""
    texts_version: str
    """Of the sentences that every voice reads."""
    adapted: Group
    """With the voice's adapter."""
    plain: Group
    """Without it, with the same prompt."""
    real: Mapping[str, float]
    """Facts about the held-out recordings: phone_error_rate, speaker_similarity (real to real), dnsmos."""
    models: Mapping[str, str]
    """Metric -> model and digest."""
    memorisation: float | None = None
    """Of the training, None when stage 3 did not report it."""
    held_out_loss: float | None = None
    """Loss on held-out slices over that of the base, None when stage 3 did not report it."""
    unasked: Mapping[str, str] = field(default_factory=dict)
    """Metric -> why no sample was asked about it: an extra that is not installed, a language that no recogniser
    hears."""
    beside: tuple[Sample, ...] = ()
    """Some sentences of `adapted` spoken with the other profile from the same seeds (fp32 and int8); empty where only
    one was heard."""

    @property
    def int8_and_fp32(self) -> tuple[tuple[Sample, Sample], ...]:
        """Sentences that both profiles have spoken from the same seed: (with int8, with fp32)."""
        own = {(item.id, item.seed): item for item in self.adapted.tts}
        pairs = [(item, own[item.id, item.seed]) for item in self.beside if (item.id, item.seed) in own]
        return tuple((mine, other) if self.profile == INT8 else (other, mine) for other, mine in pairs)

    def write(self, folder: Path) -> None:
        """Writes measurements.json."""
        data = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_measurements(folder: Path) -> Measurements:
    """Reads folder/measurements.json. Raises InputError when it is missing, damaged or of another schema."""
    path = folder / FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error!r}", _AGAIN) from error
    return parse_measurements(data, str(path))


def parse_measurements(content: bytes, name: str) -> Measurements:
    """What measurements.json holds; name: of the file, for the message. Raises InputError as read_measurements does."""
    try:
        data: dict[str, Any] = json.loads(content.decode("utf-8"))
        version = data.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(f"{name}: schema version {version!r}, expected {SCHEMA_VERSION}", _AGAIN)
        groups = {"adapted": _group(data["adapted"]), "plain": _group(data["plain"])}
        return Measurements(**{**data, **groups, "beside": _samples(data.get("beside", ()))})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{name}: {error!r}", _AGAIN) from error


def _group(data: dict[str, Any]) -> Group:
    return Group(_samples(data["copy"]), _samples(data["tts"]))


def _samples(items: Sequence[dict[str, Any]]) -> tuple[Sample, ...]:
    return tuple(
        Sample(**{
            **item, "failures": tuple(item["failures"]),
            "words": tuple(HeardWord(**word) for word in item.get("words", ())),
        })
        for item in items
    )  # fmt: skip
