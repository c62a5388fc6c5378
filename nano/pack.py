"""bases/nano from the checkpoints: averaged weights in half precision, base.yaml with digests, training curves as a
plot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from timbre.core import base as base_module
from timbre.core.base import Base, write_base
from timbre.core.digests import digest_file
from timbre.core.errors import ConfigurationError
from timbre.core.speaking_defaults import SpeakingDefaults
from timbre.core.weights import BaseFile, Licence
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.files.base_networks import checkpoint_of, half_precision
from timbre.gptsovits.files.checkpoints import ACOUSTIC, TEXT_TO_SEMANTIC, Checkpoint, save_safetensors
from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.nano.checkpointing import START, averaged, restored
from timbre.nano.content import load_averaged
from timbre.nano.content_network import TONES, ContentEncoder
from timbre.nano.label_codes import projection_of
from timbre.nano.speaking import NANO_SPREAD

RECOGNISER = "recogniser"
LARGEST_BYTES = 40_000_000

NANO_SPEAKING = SpeakingDefaults(
    top_k=5,
    temperature=0.6,
    repetition_penalty=1.0,
    prompt_codes=False,
    noise_scale=0.2,
    follow_text=True,
    duration_spread=NANO_SPREAD,
)
"""As timbre.nano.speaking measures it. Prompt codes stay out until the codes continue a prompt well."""

NANO_RECIPE = {
    "finetune": {
        "min_steps": 60,
        "max_steps": 200,
        "warmup_steps": 20,
        "validate_every_steps": 15,
        "patience": 3,
        "kl_weight": 0.1,
        "spoken_weight": 1.0,
        "pitch_weight": 1.0,
        "speaker_weight": 3.0,
        "content_weight": 0.75,
        "practice_weight": 2.0,
    }
}
"""For one to two minutes of speech; without practice, 300 steps lose words."""

LICENCES = (
    ("text_to_semantic, acoustic, content_encoder, recogniser", "MIT", "trained by this project"),
    ("LJ Speech (training data)", "public domain", "https://keithito.com/LJ-Speech-Dataset"),
    ("VCTK, speaker p239 (training data)", "CC-BY-4.0", "https://datashare.ed.ac.uk/handle/10283/3443"),
    ("AISHELL-1, speaker S0150 (training data)", "Apache-2.0", "https://www.openslr.org/33"),
    ("speechocean762, adults (training data)", "CC-BY-4.0", "https://www.openslr.org/101"),
    ("Kathleen (training data)", "CC0-1.0", "https://github.com/rhasspy/dataset-voice-kathleen"),
    ("LibriSpeech, one clip each of 251 speakers (training data)", "CC-BY-4.0", "https://www.openslr.org/12"),
    ("Kokoro-82M (its speech is training data)", "Apache-2.0", "https://github.com/hexgrad/kokoro"),
    (
        "speaker encoder (not included; the resemblyzer package)",
        "Apache-2.0",
        "https://github.com/resemble-ai/Resemblyzer",
    ),
)


def load_acoustic(work: Path, kept: float = 1.0) -> Synthesizer:
    """The acoustic model of a work folder, averaged weights; codes as the content encoder's heads hear them.

    kept: share of what the joint steps changed in the restored base that they began from (weight-space ensembles,
    Wortsman et al. 2022, arXiv 2109.01903). Raises ConfigurationError below 1 where they began from none.
    """
    model = Synthesizer(SynthesizerConfig.nano())
    trained_or_restored(model, work / "acoustic", "joint.pt")
    if kept < 1:
        keep_part(model, work / "acoustic", kept)
    encoder = load_averaged(work / "content")
    hears_codes(model, encoder)
    return model


@torch.no_grad()
def keep_part(model: Synthesizer, folder: Path, kept: float) -> None:
    """Move every weight back towards where training began, to that share of its way."""
    before = Synthesizer(model.config)
    if not restored(before, folder):
        raise ConfigurationError(
            f"acoustic: kept: {kept:g} needs {folder / START}, where the joint steps began",
            remedy="pack with kept: 1, or continue a base with `timbre pretrain restore`",
        )
    began = before.state_dict()
    for name, value in model.named_parameters():
        value.copy_(torch.lerp(began[name], value, kept))


@torch.no_grad()
def hears_codes(model: Synthesizer, encoder: ContentEncoder) -> None:
    """Set the projection before the codebook from the encoder's heads of frames, tones and beginnings."""
    details = encoder.prosody_head.weight, encoder.prosody_head.bias
    tone = details[0][2 : 2 + TONES], details[1][2 : 2 + TONES]
    begins = details[0][2 + TONES :], details[1][2 + TONES :]
    weight, bias = projection_of((encoder.frame_head.weight, encoder.frame_head.bias), tone, begins)
    model.ssl_proj.weight.copy_(weight)
    assert model.ssl_proj.bias is not None
    model.ssl_proj.bias.copy_(bias)


def load_semantic(work: Path) -> TextToSemantic:
    """The text-to-semantic network of a work folder, averaged weights."""
    model = TextToSemantic(T2S_NANO)
    trained_or_restored(model, work / "semantic", "t2s.pt")
    return model


def trained_or_restored(model: nn.Module, folder: Path, name: str) -> None:
    """Averaged weights of a part's training; of a restored base, where that part has not been trained again."""
    if not (folder / name).is_file() and restored(model, folder):
        model.eval()
    else:
        averaged(model, folder / name)


def content_sizes(encoder: ContentEncoder) -> dict[str, Any]:
    """What transformers needs to build the HuBERT of the base, without training-only settings."""
    sizes: dict[str, Any] = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in encoder.config.hubert().to_diff_dict().items()
        if key not in ("transformers_version", "dtype", "architectures")
    }
    return {**sizes, "apply_spec_augment": False, "mask_time_prob": 0.0}


def pack(
    work: Path,
    folder: Path,
    steps: str = "",
    kept: float = 1.0,
    finish: Callable[[Synthesizer], None] | None = None,
) -> Base:
    """Write the base; kept: as load_acoustic has it; finish: changes the acoustic model after that, in place. Raises
    ConfigurationError when a stage is missing or the files are larger than the limit."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder = load_averaged(work / "content")
    acoustic, semantic = load_acoustic(work, kept), load_semantic(work)
    if finish is not None:
        finish(acoustic)
    # The vector that masks frames is for training only, and a network built without masking does not have it.
    hubert = {name: value for name, value in encoder.hubert.state_dict().items() if name != "masked_spec_embed"}
    parts: list[tuple[str, Checkpoint]] = [
        (TEXT_TO_SEMANTIC, checkpoint_of(semantic, TEXT_TO_SEMANTIC, "nano", semantic.config, steps)),
        (ACOUSTIC, checkpoint_of(acoustic, ACOUSTIC, "nano", acoustic.config, steps)),
        (base_module.CONTENT_ENCODER, Checkpoint("content_encoder", "nano", hubert)),
        (RECOGNISER, Checkpoint(RECOGNISER, "nano", dict(encoder.ctc_head.state_dict()))),
    ]
    files = []
    for role, checkpoint in parts:
        path = folder / f"{role}.safetensors"
        save_safetensors(half_precision(checkpoint), path)
        files.append((role, path.name))
    sizes = json.dumps(content_sizes(encoder), indent=1)
    (folder / "content_encoder.json").write_text(sizes + "\n", encoding="utf-8")
    files.append((base_module.CONTENT_ENCODER_CONFIG, "content_encoder.json"))
    total = sum((folder / name).stat().st_size for _, name in files)
    if total > LARGEST_BYTES:
        raise ConfigurationError(
            f"{folder}: {total / 1e6:.1f} MB of weights, the limit is {LARGEST_BYTES / 1e6:.0f} MB",
            remedy="make the networks narrower (SynthesizerConfig.nano, T2S_NANO, ContentConfig)",
        )
    config = acoustic.config
    base = Base(
        folder=folder,
        name="nano",
        description="Small base trained by this project on two CPU cores; speaks English and Mandarin",
        files=tuple(BaseFile(role, name, digest_file(folder / name)) for role, name in files),
        weights="here",
        licences=tuple(Licence(*row) for row in LICENCES),
        architecture="nano",
        rate_hz=config.rate_hz,
        hop=config.hop,
        fft=config.fft_size,
        languages=("en", "zh"),
        speaker_encoder="ge2e",
        speaking=NANO_SPEAKING,
        recipe=NANO_RECIPE,
    )
    write_base(base)
    return base
