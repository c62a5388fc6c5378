"""Stage 2: slices -> phones, semantic codes, speaker vectors, pitch; and the slice that will be the prompt.

slices (waves and texts) -> features/*.safetensors, extract.json

Waves are kept as they are (16-bit); spectra cost less to compute than to read. Every tensor depends on its slice alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from timbre.audio.mos import Dnsmos
from timbre.audio.noise import AmplitudeStream, signal_to_noise_db
from timbre.audio.reader import read
from timbre.audio.vad import detect
from timbre.core.atomic import write_json
from timbre.core.base import Base
from timbre.core.cancellation import Cancellation
from timbre.core.errors import ConfigurationError, InputError
from timbre.core.problems import Problem, problems_error
from timbre.core.progress import Progress, SilentProgress
from timbre.core.recipe import ExtractRecipe
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.encoders.eres2net import ERes2NetV2
from timbre.gptsovits.encoders.ge2e import load_ge2e
from timbre.gptsovits.encoders.kaldi_fbank import kaldi_fbank
from timbre.gptsovits.files.base_networks import load_content_encoder, load_speaker_encoder, load_synthesizer
from timbre.inference.pace import Pace
from timbre.text.frontend import phonemize
from timbre.text.lexicon import Lexicon
from timbre.text.pauses import count_pauses, finished
from timbre.text.phone_codes import CODES
from timbre.text.phonemes import Phonemes
from timbre.text.recognition import CLASSES
from timbre.text.symbols import is_speech
from timbre.training.bert_features import BertFeatures
from timbre.training.pace import measure_pace
from timbre.training.pitch import HOP, RATE_HZ, track
from timbre.training.prompt_choice import Candidate, PromptChoice, choose_prompt
from timbre.training.shards import FOLDER, ShardWriter, Tensors
from timbre.training.text_codes import codes_of_text, levels_of

SCHEMA = 1
EXTRACT_FILE = "extract.json"
_FRAME = 320
_RECEPTIVE = 400
_MAX_BATCH = 16
_LONGEST_S = 60.0

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SliceSource:
    """One slice of stage 1."""

    id: str
    """Unique in the voice; names the slice's tensors."""
    path: Path
    """At the base's rate."""
    path_16k: Path
    """At 16 kHz (may be the same)."""
    text: str
    """What is said, as in metadata.csv."""
    language: str
    """Code of the text's language."""
    duration_s: float
    """Of the whole slice, silence included."""
    speech_s: float
    """Of speech."""
    prompt: bool
    """Its length allows it as the prompt."""
    held_out: bool
    """Never trained on; evaluated by stages 3 and 4."""


@dataclass(frozen=True)
class Extraction:
    """Outcome for a voice."""

    rows: tuple[Mapping[str, Any], ...]
    """One a slice, as extract.json has them."""
    prompt: PromptChoice
    """Chosen from the slices that are trained on."""
    pace: Pace
    """Of the voice."""
    shards: int
    """Files below features/."""
    unknown: tuple[str, ...]
    """Characters of the texts without a sound, each once."""

    def facts(self) -> dict[str, Any]:
        """A few figures for the run's summary."""
        return {
            "slices": len(self.rows),
            "held_out": sum(bool(row["held_out"]) for row in self.rows),
            "codes": sum(row["codes"] for row in self.rows),
            "seconds_per_phone": round(self.pace.phone_s, 4),
            "pauses_s": [self.pace.weak_s, self.pace.strong_s, self.pace.edges_s],
            "prompt": self.prompt.id,
            "shards": self.shards,
        }


@dataclass
class _Networks:
    """Everything that hears, loaded once."""

    base: Base
    device: torch.device
    weights_root: Path | None
    content: Any = field(init=False)
    synthesizer: Synthesizer = field(init=False)
    speaker: ERes2NetV2 | None = field(init=False)

    def __post_init__(self) -> None:
        self.content = load_content_encoder(self.base, self.weights_root).to(self.device)  # type: ignore[arg-type]
        self.synthesizer = load_synthesizer(self.base, self.weights_root, with_posterior=False).to(self.device)
        self.ge2e = load_ge2e(device=str(self.device))
        other = None
        if self.base.speaker_encoder == "eres2netv2":
            other = load_speaker_encoder(self.base, self.weights_root)
        self.speaker = other.to(self.device) if isinstance(other, ERes2NetV2) else None

    @property
    def gains_by_batches(self) -> bool:
        """A processor is as fast slice by slice, and then no slice's bits depend on its company."""
        return self.device.type != "cpu"

    @property
    def pads(self) -> bool:
        """Whether rows of unequal length may share a batch.

        Group normalisation of the front end runs over time, so padded rows would come out differently.
        """
        return bool(self.content.config.feat_extract_norm == "layer")


def extract_features(
    base: Base,
    slices: Sequence[SliceSource],
    output: Path,
    recipe: ExtractRecipe,
    *,
    lexicon: Lexicon | None = None,
    progress: Progress | None = None,
    cancel: Cancellation | None = None,
    weights_root: Path | None = None,
    device: torch.device | None = None,
) -> Extraction:
    """Writes features/ and extract.json into `output`.

    Raises InputError with every slice whose text cannot be spoken, or when there is nothing to train on; and what
    loading the base's networks raises.
    """
    progress, cancel = progress or SilentProgress(), cancel or Cancellation()
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    spoken = _phonemes(slices, lexicon)
    networks = _Networks(base, device, weights_root)
    bert = BertFeatures(base, device, weights_root) if base.bert and _has_mandarin(spoken.values()) else None
    writer = ShardWriter(output / FOLDER, recipe.shard_mib)
    rows: list[dict[str, Any]] = []
    vectors: dict[str, Floats] = {}
    with progress.task("extract", total=len(slices), unit="slices") as task:
        for batch in _batches(slices, recipe.batch_s if networks.gains_by_batches else 0.0, networks.pads):
            cancel.check()
            task.note(batch[0].text[:40])
            for piece, tensors in zip(batch, _hear(batch, networks, spoken), strict=True):
                phonemes = spoken[piece.id]
                tensors["phones"] = np.array(phonemes.ids, np.int64)
                if bert is not None:
                    tensors["bert"] = bert.of(phonemes)
                writer.add(piece.id, tensors)
                vectors[piece.id] = tensors["ge2e"]
                rows.append(_row(piece, phonemes, tensors))
            task.advance(len(batch))
    writer.flush()
    rows.sort(key=lambda row: row["id"])
    training = [row for row in rows if not row["held_out"]]
    pace = measure_pace(
        speaking_rate(rows),
        [row["duration_s"] - row["speech_s"] for row in training],
        [count_pauses(spoken[row["id"]].phones) for row in training],
    )
    prompt = _choose(slices, vectors, {row["id"]: row for row in rows}, recipe, cancel)
    unknown = tuple(dict.fromkeys(mark for item in spoken.values() for mark in item.unknown))
    found = Extraction(tuple(rows), prompt, pace, writer.files, unknown)
    write_json(output / EXTRACT_FILE, _plain(base, found))
    return found


def speaking_rate(rows: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of speech per sounding phone over the slices that are trained on. Raises InputError without any."""
    training = [row for row in rows if not row["held_out"]]
    phones = sum(row["sounding_phones"] for row in training)
    if not phones:
        raise InputError(f"{len(rows)} slices, none of them to train on", "record more sentences")
    return float(sum(row["speech_s"] for row in training) / phones)


def _phonemes(slices: Sequence[SliceSource], lexicon: Lexicon | None) -> dict[str, Phonemes]:
    found: dict[str, Phonemes] = {}
    problems: list[Problem] = []
    for piece in slices:
        try:
            # As the engine closes what it speaks.
            found[piece.id] = finished(phonemize(piece.text, piece.language, lexicon))
        except InputError as error:
            problems.append(Problem(f"slice {piece.id}", error.message, "text with a front end", error.remedy))
    if problems:
        raise problems_error(problems, "texts that cannot be spoken")
    return found


def _has_mandarin(all_phonemes: Any) -> bool:
    return any(segment.language == "zh" for phonemes in all_phonemes for segment in phonemes.segments)


def _batches(slices: Sequence[SliceSource], batch_s: float, padded: bool) -> Iterator[list[SliceSource]]:
    """Slices of like length together, under a budget of seconds; of equal length where padding would change them."""
    ordered = sorted(slices, key=lambda piece: (piece.duration_s, piece.id))
    batch: list[SliceSource] = []
    for piece in ordered:
        same = padded or not batch or round(piece.duration_s, 4) == round(batch[0].duration_s, 4)
        full = len(batch) == _MAX_BATCH or (len(batch) + 1) * piece.duration_s > batch_s
        if batch and (full or not same):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


@torch.inference_mode()
def _hear(batch: Sequence[SliceSource], networks: _Networks, spoken: Mapping[str, Phonemes]) -> list[Tensors]:
    """Everything of the slices that comes from their sound, and codes that come from sound and text."""
    base = networks.base
    heard = [read(piece.path_16k, _LONGEST_S).samples for piece in batch]
    # As many samples of silence as make one frame for every 320 samples of sound.
    lengths = [len(wave) + _RECEPTIVE - _FRAME for wave in heard]
    inputs = torch.zeros(len(batch), max(lengths))
    for row, wave in enumerate(heard):
        inputs[row, : len(wave)] = torch.from_numpy(wave)
    mask = None
    if len(set(lengths)) > 1:
        mask = (torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]).long().to(networks.device)
    hidden = networks.content(inputs.to(networks.device), attention_mask=mask).last_hidden_state.float()
    ge2e = [networks.ge2e.embed(wave) for wave in heard]
    results: list[Tensors] = []
    for row, (piece, wave) in enumerate(zip(batch, heard, strict=True)):
        frames = min(hidden.shape[1], len(wave) // _FRAME)
        features = hidden[row : row + 1, :frames].transpose(1, 2)
        codes = _codes(networks.synthesizer, features, spoken[piece.id], wave)
        sound = read(piece.path, _LONGEST_S).samples if piece.path != piece.path_16k else wave
        tensors: Tensors = {
            "codes": codes,
            "wave": np.clip(np.round(sound * 32768.0), -32768, 32767).astype(np.int16),
            "ge2e": ge2e[row],
        }
        if networks.speaker is not None:
            filters = kaldi_fbank(torch.from_numpy(wave)[None].to(networks.device))
            tensors["sv"] = networks.speaker(filters)[0].float().cpu().numpy()
        if networks.synthesizer.config.harmonic_source is not None:
            tensors["pitch"] = _pitch(sound, base)
        results.append(tensors)
    return results


def _codes(synthesizer: Synthesizer, features: torch.Tensor, phonemes: Phonemes, wave: Floats) -> NDArray[np.int64]:
    """Codes [N] of features [1,C,T] at 50 Hz; wave [S] at 16 kHz.

    Where codes stand for phones, the text decides which, and the sound only when: what the encoder mishears would
    teach the voice to mispronounce.
    """

    if synthesizer.config.codebook_size == CODES:
        scores = synthesizer.ssl_proj(features.float())[0, : len(CLASSES)].log_softmax(0).T.cpu().numpy()
        levels = levels_of(wave[: features.shape[2] * _FRAME], len(scores))
        labelled = codes_of_text(scores, phonemes.ids, levels)
        if labelled is not None:
            return labelled.codes.astype(np.int64)
    heard: NDArray[np.int64] = synthesizer.extract_codes(features)[0, 0].cpu().numpy().astype(np.int64)
    return heard


def _pitch(wave: Floats, base: Base) -> Floats:
    """F0 of every frame in Hz, 0 where unvoiced: the latent of these bases carries it in two channels."""

    if (base.rate_hz, base.hop) != (RATE_HZ, HOP):
        raise ConfigurationError(
            f"{base.spec_path}: rate {base.rate_hz} Hz and hop {base.hop}: pitch is tracked at {RATE_HZ} and {HOP}",
            "use a base of that rate and hop",
        )
    return track(wave)


def _row(piece: SliceSource, phonemes: Phonemes, tensors: Tensors) -> dict[str, Any]:
    return {
        "id": piece.id,
        "text": piece.text,
        "normalized": phonemes.normalized,
        "language": piece.language,
        "held_out": piece.held_out,
        "duration_s": round(piece.duration_s, 4),
        "speech_s": round(piece.speech_s, 4),
        "codes": len(tensors["codes"]),
        "phones": len(phonemes.ids),
        "sounding_phones": sum(map(is_speech, phonemes.phones)),
        "unknown": list(phonemes.unknown),
    }


def _choose(
    slices: Sequence[SliceSource],
    vectors: Mapping[str, Floats],
    rows: Mapping[str, Mapping[str, Any]],
    recipe: ExtractRecipe,
    cancel: Cancellation,
) -> PromptChoice:
    training = [piece for piece in slices if not piece.held_out]
    mean = np.mean([vectors[piece.id] for piece in training], axis=0)
    mean /= max(float(np.linalg.norm(mean)), 1e-9)
    judge, waves, candidates = Dnsmos(), {}, []
    for piece in training:
        # A prompt has to fit anyway: only those compete, where there are any.
        if not piece.prompt and any(other.prompt for other in training):
            continue
        cancel.check()
        wave = read(piece.path_16k, _LONGEST_S)
        waves[piece.id] = piece.path_16k
        amplitudes = AmplitudeStream()
        amplitudes.push(wave.samples)
        pace = piece.speech_s / max(1, rows[piece.id]["sounding_phones"])
        candidates.append(
            Candidate(
                piece.id, piece.text, piece.duration_s, round(float(vectors[piece.id] @ mean), 4),
                round(signal_to_noise_db(detect(wave.samples), amplitudes.finish()), 2),
                None, round(pace, 5), piece.prompt,
            )
        )  # fmt: skip

    def listen(candidate: Candidate) -> float:
        cancel.check()
        return round(judge.score(read(waves[candidate.id], _LONGEST_S)).overall, 3)

    return choose_prompt(candidates, recipe.prompt_min_s, recipe.prompt_max_s, listen)


def _plain(base: Base, found: Extraction) -> dict[str, Any]:
    chosen = next(row for row in found.rows if row["id"] == found.prompt.id)
    return {
        "schema": SCHEMA,
        "base": base.name,
        "base_digest": base.digest,
        "rate_hz": base.rate_hz,
        **found.facts(),
        "unknown_characters": list(found.unknown),
        "prompt": {
            "id": found.prompt.id,
            "text": chosen["text"],
            "language": chosen["language"],
            "reason": found.prompt.reason,
            "relaxed": list(found.prompt.relaxed),
            "candidates": list(found.prompt.scores),
        },
        "slices": list(found.rows),
    }
