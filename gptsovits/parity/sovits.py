"""Comparison of the acoustic model with reference vectors: every tensor of a set, training vectors included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from timbre.core.errors import TimbreError
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.discriminators import Discriminators
from timbre.gptsovits.acoustic.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    kl_loss,
    mel_loss,
)
from timbre.gptsovits.acoustic.masking import sequence_mask, slice_rows
from timbre.gptsovits.acoustic.spectrogram import MelConfig, MelSpectrogram, Spectrogram, SpectrogramConfig
from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer, TrainingBatch
from timbre.gptsovits.files.recipe_weights import fill_by_recipe, recipe_state
from timbre.gptsovits.parity.check import Check, MissingVectorError, VectorSet

# Streaming vectors: first chunk of 20 codes, then everything with two codes of overlap (four frames).
_FIRST_CODES = 20
_OVERLAP_CODES = 2
_MELS = 128
_DISCRIMINATOR_PREFIX = "D/"


def sovits_checks(folder: Path) -> Iterator[Check]:
    """Every comparison of the set in ``folder``; what cannot be built or read is a failed check, never an exception."""
    try:
        vectors = VectorSet.open(folder)
    except (OSError, ValueError) as error:
        yield Check(folder.name, "set", "absolute", float("inf"), 0.0, str(error))
        return
    try:
        yield from _checks(vectors)
    except (MissingVectorError, TimbreError, KeyError, RuntimeError, TypeError, ValueError) as error:
        yield vectors.failure("set", f"{type(error).__name__}: {error}".splitlines()[0])
    yield from vectors.not_compared()


def _checks(vectors: VectorSet) -> Iterator[Check]:
    network = _network(vectors)
    shapes = _fingerprint_shapes(vectors)
    trains = vectors.has("in.train_wav")
    discriminators = None
    if trains or any(name.startswith(_DISCRIMINATOR_PREFIX) for name in shapes):
        discriminators = _discriminators(vectors, network)
    yield vectors.weights(_all_weights(vectors, network, discriminators, shapes))
    with torch.no_grad():
        yield from _inference_checks(vectors, network)
    if trains and discriminators is not None:
        yield from _training_checks(vectors, network, discriminators)


def _fingerprint_shapes(vectors: VectorSet) -> dict[str, list[int]]:
    path = vectors.folder / "fingerprint.json"
    if not path.exists():
        return {}
    return {name: entry["shape"] for name, entry in json.loads(path.read_text(encoding="utf-8")).items()}


def _all_weights(
    vectors: VectorSet, network: Synthesizer, discriminators: Discriminators | None, shapes: Mapping[str, list[int]]
) -> dict[str, Tensor]:
    """What the fingerprint lists: the network, the discriminators, and an enc_q that the stored file does not carry."""
    state = dict(network.state_dict())
    if discriminators is not None:
        listed = any(name.startswith(_DISCRIMINATOR_PREFIX) for name in shapes)
        entries = discriminators.state_dict().items() if listed else ()
        state.update({_DISCRIMINATOR_PREFIX + name: value for name, value in entries})
    absent = {name: shape for name, shape in shapes.items() if name not in state and name.startswith("enc_q.")}
    for name, value in recipe_state(vectors.seed_string, absent).items():
        half = "float16" in str(vectors.config.get("weights"))
        state[name] = value.half().float() if half else value
    return state


def _discriminators(vectors: VectorSet, network: Synthesizer) -> Discriminators:
    pro = bool(network.config.speaker_width)
    discriminators = Discriminators(DiscriminatorConfig.v2pro() if pro else DiscriminatorConfig.v2())
    fill_by_recipe(discriminators, vectors.seed_string + "/D")
    return discriminators.eval()


def _network(vectors: VectorSet) -> Synthesizer:
    stored = vectors.stored_state()
    model = vectors.config["model"]
    symbols = None if stored is None else stored["enc_p.text_embedding.weight"].shape[0]
    config = SynthesizerConfig.from_upstream(
        model,
        spectrum_bins=int(vectors.config["spec_channels"]),
        segment_frames=int(vectors.config["segment_size_frames"]),
        symbols=symbols,
    )
    with_posterior = stored is None or any(name.startswith("enc_q.") for name in stored)
    network = Synthesizer(config, with_posterior)
    if stored is None:
        fill_by_recipe(network, vectors.seed_string)
    else:
        network.load_state_dict(stored, strict=True)
    return network.eval()


def _reference(vectors: VectorSet, index: int) -> Reference:
    speaker = vectors[f"in.sv{index}"] if vectors.has(f"in.sv{index}") else None
    return Reference(vectors[f"in.refer{index}"], speaker)


def _inference_checks(vectors: VectorSet, network: Synthesizer) -> Iterator[Check]:
    codes = network.extract_codes(vectors["in.ssl"])
    yield vectors.equal("out.codes", codes)
    # From here on the reference's codes, so that one differing code is one miss and not ten.
    codes, phones = vectors["out.codes"], vectors["in.text"]
    first = _reference(vectors, 0)
    yield vectors.absolute("out.ref_enc0", network.style(first.spectrum))
    condition = network.condition(first)
    yield vectors.absolute("out.ge", condition)
    if vectors.has("out.ge512"):
        yield vectors.absolute("out.ge512", network.text_condition(condition))
    prior = network.prior(codes, phones, condition)
    yield vectors.absolute("out.encp_hidden", prior.hidden)
    yield vectors.absolute("out.m_p", prior.mean)
    yield vectors.absolute("out.logs_p", prior.log_std)
    z = network.sample(prior, condition, noise_scale=0.0)
    yield vectors.absolute("out.z", z)
    yield vectors.absolute("out.audio", network.decode(codes, phones, condition, noise_scale=0.0))
    both = network.mean_condition([first, _reference(vectors, 1)])
    yield vectors.absolute("out.audio_two_refs", network.decode(codes, phones, both, noise_scale=0.0))
    faster = network.decode(codes, phones, condition, noise_scale=0.0, speed=1.3)
    yield vectors.absolute("out.audio_speed1.3", faster)
    yield from _stream_checks(vectors, network, condition)
    yield vectors.absolute("out.dec_segment_audio", network.dec(vectors["in.dec_z_segment"], condition))
    if vectors.has("out.flow_fwd_of_z"):
        mask = torch.ones_like(z[:, :1])
        yield vectors.absolute("out.flow_fwd_of_z", network.flow(vectors["out.z"], mask, condition))
    if network.enc_q is not None:
        mask = torch.ones_like(first.spectrum[:, :1])
        posterior = network.enc_q(first.spectrum, mask, condition, noise_scale=0.0)
        yield vectors.absolute("out.m_q", posterior.mean)
        yield vectors.absolute("out.logs_q", posterior.log_std)
        yield vectors.absolute("out.flow_fwd_of_m_q", network.flow(vectors["out.m_q"], mask, condition))


def _stream_checks(vectors: VectorSet, network: Synthesizer, condition: Tensor) -> Iterator[Check]:
    codes, phones = vectors["out.codes"], vectors["in.text"]
    one = network.decode_chunk(codes[:, :, :_FIRST_CODES], phones, condition, noise_scale=0.0)
    yield vectors.absolute("out.stream_chunk1", one.wave)
    frames = _OVERLAP_CODES * network.config.code_frames
    two = network.decode_chunk(
        codes,
        phones,
        condition,
        keep_codes=codes.shape[2] - _FIRST_CODES + _OVERLAP_CODES,
        before=one.hidden[:, :, -frames:],
        noise_scale=0.0,
    )
    yield vectors.absolute("out.stream_chunk2", two.wave)


# -- training ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """What one training step gave: order of losses as in the vectors."""

    wave: Tensor
    mel_target: Tensor
    mel_wave: Tensor
    losses: Tensor
    norm_d: Tensor
    norm_g: Tensor


def _training_checks(vectors: VectorSet, network: Synthesizer, discriminators: Discriminators) -> Iterator[Check]:
    step = _training_step(vectors, network, discriminators)
    yield vectors.absolute("out.train_y_hat", step.wave)
    yield vectors.absolute("out.train_mel_target", step.mel_target)
    yield vectors.absolute("out.train_mel_hat", step.mel_wave)
    yield _each_relative(vectors, "out.train_losses", step.losses)
    yield _each_relative(vectors, "out.train_grad_norms", torch.stack([step.norm_d, step.norm_g]))
    parameters = dict(network.named_parameters())
    prefix = "out.train_grad."
    for name in sorted(key for key in vectors.vectors if key.startswith(prefix)):
        parameter = parameters.get(name.removeprefix(prefix))
        if parameter is None or parameter.grad is None:
            yield vectors.failure(name, "our network has no such gradient")
        else:
            yield vectors.relative(name, parameter.grad)
    moved = [key for key, value in parameters.items() if key.startswith("ssl_proj.") and value.grad is not None]
    yield vectors.extra("no gradient in ssl_proj", "integer", float(len(moved)), 0.0)


def _training_batch(vectors: VectorSet, network: Synthesizer) -> tuple[TrainingBatch, Tensor]:
    config = network.config
    framing = SpectrogramConfig(config.rate_hz, config.fft_size, config.hop, config.fft_size)
    wave, lengths = vectors["in.train_wav"], vectors["in.train_spec_len"]
    spectrum = Spectrogram(framing)(wave)
    # The wave's reflection reaches past a row's end; the rows' padding frames are defined as zero.
    spectrum = spectrum * sequence_mask(lengths, spectrum.shape[2])
    speaker = torch.cat([vectors["in.sv0"], vectors["in.sv1"]]) if config.speaker_width else None
    batch = TrainingBatch(
        spectrum,
        lengths,
        network.extract_codes(vectors["in.train_ssl"]),
        vectors["in.train_text"],
        vectors["in.train_text_len"],
        speaker,
        vectors["in.train_slice_start"],
    )
    return batch, wave


def _training_step(vectors: VectorSet, network: Synthesizer, discriminators: Discriminators) -> _Step:
    config = network.config
    framing = SpectrogramConfig(config.rate_hz, config.fft_size, config.hop, config.fft_size)
    to_mel = MelSpectrogram(MelConfig(framing, n_mels=_MELS))
    batch, wave = _training_batch(vectors, network)
    network.zero_grad(set_to_none=True)
    out = network(batch, noise_scale=0.0)
    size = config.segment_frames
    real = slice_rows(wave, out.starts * config.hop, size * config.hop)
    mel_target = slice_rows(to_mel.from_magnitudes(batch.spectrum), out.starts, size)
    mel_wave = to_mel(out.wave)

    loss_d = discriminator_loss(*discriminators.compare(real, out.wave.detach()))
    loss_d.backward()
    norm_d = _gradient_norm(discriminators)
    discriminators.requires_grad_(False)
    on_real, on_fake = discriminators.compare(real, out.wave)
    loss_g, loss_f = generator_loss(on_fake), feature_matching_loss(on_real, on_fake)
    loss_m = mel_loss(mel_target, mel_wave)
    loss_k = kl_loss(out.z_p, out.posterior.log_std, out.prior.mean, out.prior.log_std, out.mask)
    (loss_g + loss_f + loss_m + loss_k).backward()
    codebook = torch.zeros(())
    losses = torch.stack([loss_d, loss_g, loss_f, loss_m, codebook, loss_k]).detach()
    return _Step(out.wave.detach(), mel_target, mel_wave.detach(), losses, norm_d, _gradient_norm(network))


def _gradient_norm(module: torch.nn.Module) -> Tensor:
    squares = [value.grad.double().square().sum() for value in module.parameters() if value.grad is not None]
    return torch.stack(squares).sum().sqrt().float()


def _each_relative(vectors: VectorSet, name: str, ours: Tensor) -> Check:
    """Relative error of each entry by itself: the largest loss must not hide the others."""
    whole = vectors.relative(name, ours)
    if not vectors.has(name) or ours.shape != vectors[name].shape:
        return whole
    reference = vectors[name].double()
    worst = (ours.double() - reference).abs() / reference.abs().clamp(min=1e-6)
    return vectors.extra(name, "relative", float(worst.max()), whole.limit)
