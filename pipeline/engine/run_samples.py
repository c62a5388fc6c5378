"""What a red run leaves in its record of its red gates: the worst samples beside recording and base, and the recordings
that came out worst.

gates.json, measurements.json, samples/ -> FLAC files and a list that says what each is
gates.json, measurements.json, validation.json -> gate -> paths of recordings
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import soundfile

from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.core.errors import TimbreError
from timbre.evaluation.measurements import read_measurements
from timbre.evaluation.metrics.catalogue import Direction
from timbre.pipeline.stages.table import VALIDATION_FILE

LIST = "samples.json"
MAX_SENTENCES = 3
_RATE_HZ = 16_000


def red_samples(measured: Path, gates: Mapping[str, Mapping[str, Any]]) -> dict[str, bytes]:
    """File name -> content, with LIST among them; empty where no gate is red or nothing was kept.

    measured: output of stage 4, as far as it is there.
    """
    found: dict[str, bytes] = {}
    listed: list[dict[str, str]] = []
    for text, gate, parts in _sentences(measured, gates):
        entry = {"text": text, "gate": gate}
        for part, path in parts.items():
            sound = _flac(path)
            if sound is not None:
                name = f"{len(listed) + 1}-{part}.flac"
                found[name], entry[part] = sound, name
        if "voice" in entry:
            listed.append(entry)
        if len(listed) == MAX_SENTENCES:
            break
    if not listed:
        return {}
    found = {name: data for name, data in found.items() if any(name in entry.values() for entry in listed)}
    return {**found, LIST: json.dumps(listed, indent=1, ensure_ascii=False).encode()}


def worst_clips(measured: Path, validated: Path, gates: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Red gate -> the held-out recordings that it judged worst, as the voice's list names them, worst first; gates that
    no recording stands behind are left out.

    measured: output of stage 4; validated: output of stage 1, as far as they are there.
    """
    try:
        slices = json.loads((validated / VALIDATION_FILE).read_text(encoding="utf-8"))["slices"]
        clips = {str(item["id"]): str(item["clip"]) for item in slices}
        found = read_measurements(measured).adapted
    except (OSError, ValueError, KeyError, TypeError, TimbreError):
        return {}
    worst = {}
    for name, gate in gates.items():
        if gate.get("passed") or not gate.get("blocks", True):
            continue
        key, sign = str(gate.get("metric", "")), 1.0 if gate.get("direction") == Direction.HIGHER else -1.0
        asked = [item for item in found.samples(str(gate.get("protocol", ""))) if item.id in clips]
        asked = [item for item in asked if key in item.values or key in item.unmeasurable]
        asked.sort(key=lambda item: sign * item.values[key] if key in item.values else float("-inf"))
        if files := list(dict.fromkeys(clips[item.id] for item in asked))[:MAX_SENTENCES]:
            worst[name] = files
    return worst


def _sentences(measured: Path, gates: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, dict[str, Path]]]:
    """Text, red gate and files (voice, recording, base) of each worst sample, every sentence once."""
    try:
        data = json.loads((measured / "measurements.json").read_text(encoding="utf-8"))
        groups = {name: [*data[name]["tts"], *data[name]["copy"]] for name in ("adapted", "plain")}
    except (OSError, ValueError, KeyError, TypeError):
        return
    taken = set()
    for name, gate in gates.items():
        if gate.get("passed") or not gate.get("blocks", True):
            continue
        worst = next(
            (item for item in groups["adapted"] if item["file"] and item["file"] == gate.get("worst_file")), None
        )
        if worst is None or worst["id"] in taken:
            continue
        taken.add(worst["id"])
        spoken = "tts" if worst["seed"] is not None else "copy"
        same = (
            item
            for item in groups["plain"]
            if item["id"] == worst["id"] and (item["seed"] is None) == (spoken == "copy")
        )
        base = next((item["file"] for item in same if item["file"]), "")
        parts = {"voice": measured / worst["file"], "recording": measured / "samples" / f"real-{worst['id']}.wav"}
        yield worst["text"], name, parts | ({"base": measured / base} if base else {})


def _flac(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    try:
        wave = resample(read(path), _RATE_HZ)
    except TimbreError:
        return None
    stream = io.BytesIO()
    soundfile.write(stream, wave.samples, _RATE_HZ, format="FLAC", subtype="PCM_16")
    return stream.getvalue()
