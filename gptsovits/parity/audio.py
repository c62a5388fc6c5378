"""Our audio features, speaker-verification network and sampler against a folder of reference vectors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from timbre.gptsovits.acoustic.spectrogram import (
    V3_MEL,
    V4_MEL,
    MelConfig,
    MelSpectrogram,
    Spectrogram,
    SpectrogramConfig,
)
from timbre.gptsovits.encoders.eres2net import ERes2NetConfig, ERes2NetV2
from timbre.gptsovits.encoders.kaldi_fbank import FbankConfig, kaldi_fbank
from timbre.gptsovits.files.recipe_weights import fill_by_recipe
from timbre.gptsovits.parity.check import Check, VectorSet
from timbre.gptsovits.text_to_semantic.sampling import SamplingConfig, penalise, probabilities, seen_ids

CASES_KEY = "sampler_cases"
_FINGERPRINT = "fingerprint_eres2net.json"
_RATE_HZ = 32_000
# The reference for 24 kHz reads at most this many samples of the 32 kHz wave as if it were 24 kHz.
_V3_SAMPLES = 48_000


@torch.inference_mode()
def audio_checks(folder: Path) -> Iterator[Check]:
    """Every comparison that the folder allows. Raises what reading the folder or building the network raises."""
    vectors = VectorSet.open(folder)
    yield from _spectra(vectors)
    yield from _speaker(vectors)
    yield from _sampler(vectors)
    yield from vectors.not_compared()


def _spectra(vectors: VectorSet) -> Iterator[Check]:
    wave = vectors["in.wav"]
    names = [name for name in vectors.vectors if re.fullmatch(r"out\.spec_\d+_\d+", name)]
    if not names:
        yield vectors.failure("out.spec_<n_fft>_<hop>", "no spectrogram in vectors.safetensors")
    for name in sorted(names):
        n_fft, hop = (int(part) for part in name.split("_")[1:])
        framing = SpectrogramConfig(_RATE_HZ, n_fft, hop, n_fft)
        magnitudes = Spectrogram(framing)(wave)
        yield vectors.absolute(name, magnitudes)
        mels = MelSpectrogram(MelConfig(framing))
        yield vectors.absolute("out.mel128_from_spec", mels.from_magnitudes(magnitudes))
        yield vectors.absolute("out.mel128", mels(wave))
    yield vectors.absolute("out.mel100_v3_24k", MelSpectrogram(V3_MEL)(wave[:, :_V3_SAMPLES]))
    yield vectors.absolute("out.mel100_v4_32k", MelSpectrogram(V4_MEL)(wave))


def _speaker(vectors: VectorSet) -> Iterator[Check]:
    shapes = fingerprint_shapes(vectors.folder / _FINGERPRINT)
    network = ERes2NetV2(ERes2NetConfig.from_shapes(shapes)).eval()
    fill_by_recipe(network, f"{vectors.seed_string}/sv")
    yield vectors.weights(network.state_dict(), _FINGERPRINT, "weights of ERes2NetV2")
    features = kaldi_fbank(vectors["in.wav16k"], FbankConfig(bins=network.config.bins))
    yield vectors.absolute(f"out.kaldi_fbank{network.config.bins}", features[0])
    yield vectors.absolute("out.sv_emb", network(features))


def _sampler(vectors: VectorSet) -> Iterator[Check]:
    cases: list[list[float]] = next((value for key, value in vectors.config.items() if key.startswith(CASES_KEY)), [])
    logits = vectors["in.logits"]
    seen = seen_ids(vectors["in.prev_tokens"], logits.shape[1])
    for index, (top_k, top_p, temperature, penalty) in enumerate(cases):
        config = SamplingConfig(int(top_k), float(top_p), float(temperature), float(penalty))
        chances = probabilities(penalise(logits, seen, config.repetition_penalty), config)
        yield vectors.absolute(f"out.probs_case{index}", chances)
    if not cases:
        yield vectors.failure("out.probs_case*", "no sampler cases in config.json")


def fingerprint_shapes(path: Path) -> Mapping[str, Sequence[int]]:
    """Tensor names and shapes that a fingerprint file lists."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {key: tuple(entry["shape"]) for key, entry in entries.items()}
