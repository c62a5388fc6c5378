"""Whisper as a critic: the same numbers as transformers' Whisper, tokens, what it pulls at, and wrong folders."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from tests.nano.synthetic_corpus import write_corpus
from tests.nano.test_joint import CPU, LISTENED_TO, sampler_of, started
from timbre.cli.main import timbre
from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.nano.joint import train_joint
from timbre.nano.joint_critics import Distances, Panel
from timbre.nano.recipe import AcousticRecipe
from timbre.nano.spectrum_critics import PushShares, SpectrumCritics, joined_gradient
from timbre.nano.speech_stages import checked_ear
from timbre.nano.whisper_ear import (
    AFTER_FRAMES,
    BANDS,
    VALLEY,
    EarShares,
    WhisperEar,
    harmonics,
    read_ctranslate2,
)
from timbre.training.spectral_losses import standardised_distance

WORDS = [
    "<|startoftranscript|>",
    "<|en|>",
    "<|zh|>",
    "<|transcribe|>",
    "<|notimestamps|>",
    "<|endoftext|>",
    "hello",
    "world",
]
FRAMES = 24


def tiny(positions: int = FRAMES + AFTER_FRAMES) -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(WORDS), num_mel_bins=BANDS, d_model=16, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        max_source_positions=positions, max_target_positions=20, dropout=0.0,
        pad_token_id=5, bos_token_id=0, eos_token_id=5, decoder_start_token_id=0, suppress_tokens=None,
        begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    for name, parameter in model.named_parameters():  # the initial ones are too small to tell paths apart
        parameter.data.normal_(1.0 if name.endswith("layer_norm.weight") else 0.0, 0.3)
        if "encoder_attn.out_proj" in name or "encoder_attn.q_proj" in name:
            parameter.data *= 8.0
    return model


def variables(model: WhisperForConditionalGeneration) -> dict[str, Tensor]:
    """The weights under CTranslate2's names, queries, keys and values joined as its converter joins them."""
    found: dict[str, Tensor] = {"decoder/embeddings/weight": model.model.decoder.embed_tokens.weight}
    width = model.config.d_model
    for part, network in (("encoder", model.model.encoder), ("decoder", model.model.decoder)):
        found[f"{part}/num_heads"] = torch.tensor(2, dtype=torch.int16)
        found[f"{part}/position_encodings/encodings"] = network.embed_positions.weight
        found[f"{part}/layer_norm/gamma"], found[f"{part}/layer_norm/beta"] = (
            network.layer_norm.weight,
            network.layer_norm.bias,
        )
        for number, layer in enumerate(network.layers):
            name = f"{part}/layer_{number}"
            norms = {"self_attention": layer.self_attn_layer_norm, "ffn": layer.final_layer_norm}
            own = layer.self_attn
            linears = {
                "self_attention/linear_0": (
                    torch.cat([own.q_proj.weight, own.k_proj.weight, own.v_proj.weight]),
                    torch.cat([own.q_proj.bias, torch.zeros(width), own.v_proj.bias]),
                ),
                "self_attention/linear_1": (own.out_proj.weight, own.out_proj.bias),
                "ffn/linear_0": (layer.fc1.weight, layer.fc1.bias),
                "ffn/linear_1": (layer.fc2.weight, layer.fc2.bias),
            }
            if part == "decoder":
                other, norms["attention"] = layer.encoder_attn, layer.encoder_attn_layer_norm
                linears |= {
                    "attention/linear_0": (other.q_proj.weight, other.q_proj.bias),
                    "attention/linear_1": (
                        torch.cat([other.k_proj.weight, other.v_proj.weight]),
                        torch.cat([torch.zeros(width), other.v_proj.bias]),
                    ),
                    "attention/linear_2": (other.out_proj.weight, other.out_proj.bias),
                }
            for key, norm in norms.items():
                found[f"{name}/{key}/layer_norm/gamma"], found[f"{name}/{key}/layer_norm/beta"] = norm.weight, norm.bias
            for key, (weight, bias) in linears.items():
                found[f"{name}/{key}/weight"], found[f"{name}/{key}/bias"] = weight, bias
    for key in ("conv1", "conv2"):
        convolution = getattr(model.model.encoder, key)
        found[f"encoder/{key}/weight"], found[f"encoder/{key}/bias"] = convolution.weight, convolution.bias
    return {name: value.detach() for name, value in found.items()}


def write_model(path: Path, found: dict[str, Tensor], version: int = 6, kind: str = "WhisperSpec") -> None:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    parts = [struct.pack("<I", version), text(kind), struct.pack("<II", 3, len(found))]
    for name, value in found.items():
        array = value.numpy()
        number = {"float32": 0, "int16": 2}[str(array.dtype)]
        parts += [text(name), struct.pack("<B", array.ndim), *(struct.pack("<I", size) for size in array.shape)]
        parts += [struct.pack("<BI", number, array.nbytes), np.ascontiguousarray(array).tobytes()]
    path.write_bytes(b"".join(parts))


@pytest.fixture(scope="module")
def model() -> WhisperForConditionalGeneration:
    return tiny()


def write_folder(place: Path, model: WhisperForConditionalGeneration) -> Path:
    write_model(place / "model.bin", variables(model))
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="hello"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(place / "tokenizer.json"))
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model: WhisperForConditionalGeneration) -> Path:
    return write_folder(tmp_path_factory.mktemp("whisper"), model)


@pytest.fixture(scope="module")
def ear(folder: Path) -> WhisperEar:
    return WhisperEar(folder, 24000, CPU)


def noise(seed: int = 1) -> Tensor:
    """wave [1,1,L] of FRAMES frames."""
    return 0.1 * torch.randn(1, 1, FRAMES * 480, generator=torch.Generator().manual_seed(seed))


def test_it_hears_and_writes_what_transformers_whisper_does(
    ear: WhisperEar, model: WhisperForConditionalGeneration
) -> None:
    frames = FRAMES + AFTER_FRAMES
    view = torch.randn(2, BANDS, 2 * frames)
    tokens = torch.tensor([[0, 1, 3, 4, 6, 7], [0, 2, 3, 4, 7, 5]])
    with torch.no_grad():
        expected = model(input_features=view, decoder_input_ids=tokens)
        encoded = ear.encode(view)
        logits = ear.decode(tokens, encoded[-1], torch.ones(2, frames, dtype=torch.bool))
    assert len(encoded) == 1
    assert torch.allclose(logits, expected.logits, atol=2e-5)


def test_frames_beyond_a_sentence_are_not_attended_to_by_the_writer(ear: WhisperEar) -> None:
    encoded = torch.randn(1, FRAMES, 16)
    there = torch.arange(FRAMES).view(1, -1) < 15
    changed = torch.where(there.unsqueeze(2), encoded, torch.randn(1, FRAMES, 16))
    tokens = torch.tensor([[0, 1, 3, 4, 6]])
    assert torch.allclose(ear.decode(tokens, encoded, there), ear.decode(tokens, changed, there), atol=1e-6)
    assert not torch.allclose(ear.decode(tokens, encoded, ~there), ear.decode(tokens, changed, ~there), atol=1e-3)


def test_tokens_are_prompt_text_and_end(ear: WhisperEar) -> None:
    given, wanted, counted = ear.tokens(["hello world", "world"], ["en", "zh"])
    assert given.tolist() == [[0, 1, 3, 4, 6, 7], [0, 2, 3, 4, 7, 5]]
    assert [row[mask].tolist() for row, mask in zip(wanted, counted, strict=True)] == [[6, 7, 5], [7, 5]]
    with pytest.raises(ConfigurationError, match=r"<\|ja\|>"):
        ear.tokens(["hello"], ["ja"])


def test_a_view_is_bounded_and_silent_beyond_the_sentence(ear: WhisperEar) -> None:
    mask = (torch.arange(FRAMES) < 20).float().view(1, 1, -1)
    view = ear.view(noise(), mask)
    assert view.shape == (1, BANDS, 2 * (FRAMES + AFTER_FRAMES))
    assert torch.allclose(view.amax() - view.amin(), torch.tensor(2.0), atol=1e-5)  # 8 decades, in quarters
    assert (view[..., 40:] == view.amin()).all()


def test_a_view_is_what_whisper_is_given(ear: WhisperEar) -> None:
    rate, seconds = 16000, FRAMES / 50
    wave = torch.randn(1, 1, int(rate * seconds))
    expected = WhisperFeatureExtractor(chunk_length=1)(wave[0, 0].numpy(), sampling_rate=rate, return_tensors="pt")
    slow = WhisperEar.__new__(WhisperEar)
    slow.listen_at(rate, CPU)
    view = slow.view(wave, torch.ones(1, 1, FRAMES))
    assert torch.allclose(view[0, :, 2 : 2 * FRAMES - 2], expected.input_features[0, :, 2 : 2 * FRAMES - 2], atol=2e-3)


@pytest.mark.parametrize("f0", [100.0, 160.0, 320.0])
def test_harmonics_are_those_of_pulses_under_the_window(f0: float) -> None:
    rate, length = 32000, 800
    wave = torch.zeros(2 * rate)
    wave[(torch.arange(1, int(2 * f0)) * rate / f0).round().long()] = 1.0
    spectrum = torch.stft(wave, length, 37, window=torch.hann_window(length), center=False, return_complex=True)
    power = spectrum.abs().square().mean(1)
    frequencies = torch.arange(len(power)) * rate / length
    low = frequencies <= 2000
    factor = harmonics(frequencies[low], torch.tensor([[f0]]), torch.ones(1, 1))[0, :, 0]
    expected = power[low] / (torch.hann_window(length).square().sum() * f0 / rate)
    assert torch.allclose(factor, expected.clamp(min=VALLEY), atol=0.05), (factor - expected).abs().max()
    assert torch.equal(harmonics(frequencies, torch.tensor([[f0]]), torch.zeros(1, 1)), torch.ones(1, len(power), 1))


def test_the_pitch_gets_the_gradient_of_its_harmonics_and_changes_nothing(ear: WhisperEar) -> None:
    wave, mask = noise(), torch.ones(1, 1, FRAMES)
    voicing, f0 = (torch.full((1, FRAMES), value).requires_grad_(True) for value in (0.9, 200.0))
    view = ear.view(wave, mask, (voicing, f0))
    assert torch.allclose(view, ear.view(wave, mask), atol=1e-6)
    view.square().sum().backward()
    for value in (voicing, f0):
        assert value.grad is not None
        assert float(value.grad.abs().min()) > 0


def test_a_pitch_learns_the_recorded_one_from_the_bands_alone(ear: WhisperEar) -> None:
    wanted = harmonics(ear.frequencies, torch.full((1, FRAMES), 210.0), torch.ones(1, FRAMES))
    bands = (ear.bands @ wanted).log10()
    f0 = torch.full((1, FRAMES), 200.0).requires_grad_(True)
    said = (ear.bands @ harmonics(ear.frequencies, f0, torch.ones(1, FRAMES))).log10()
    (gradient,) = torch.autograd.grad((said - bands).square().sum(), f0)
    assert (gradient < 0).all(), "up, to the recorded 210 Hz"


def test_a_step_along_the_pull_is_written_down_more_like_the_recording(folder: Path) -> None:
    ear = WhisperEar(folder, 24000, CPU, EarShares(right=0.0, encoded=0.0))
    mask, recorded = torch.ones(1, 1, FRAMES), noise(2).cumsum(2)  # most of it is low
    real = ear.view(recorded, mask).detach()
    wave = noise(3).requires_grad_(True)
    losses = []
    for _ in range(12):
        terms = ear.push(real, ear.view(wave, mask), mask, ["hello world"], ["en"])
        losses.append(float(terms["written"][0].detach()))
        gradient = joined_gradient(terms, wave, torch.ones_like(wave))
        wave = (wave - 0.001 * gradient).detach().requires_grad_(True)
    assert losses[-1] < 0.9 * losses[0], losses
    same = ear.push(real, ear.view(recorded, mask), mask, ["hello world"], ["en"])
    assert abs(float(same["written"][0])) < 1e-3
    assert float(same["encoded"][0]) < 1e-3
    assert all(not value.requires_grad for value in ear.weights.values())


def test_the_distance_is_in_spreads_of_what_is_there() -> None:
    torch.manual_seed(3)
    recorded = 5.0 * torch.randn(1, 4000, 2)
    there = torch.ones(1, 4000, 1)
    there[:, 2000:] = 0
    moved = recorded + 5.0 + 100.0 * (1 - there)
    assert float(standardised_distance([moved], [recorded], there)) == pytest.approx(1.0, abs=0.05)


def test_a_training_is_pulled_by_it_too(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    listening = write_folder(tmp_path, tiny(1000))
    prior = {}
    for name, ear, weight in (("without", None, 1.0), ("with", listening, 1.0), ("weak", listening, 1e-3)):
        stored = train_joint(
            started(corpus), sampler_of(corpus, 200), tmp_path / name,
            dataclasses.replace(LISTENED_TO, ear=ear, ear_weight=weight), CPU,
        )  # fmt: skip
        kept = torch.load(stored, weights_only=True)
        prior[name] = kept["network"]["enc_p.proj.weight"]
        assert set(kept["extra"]) == {"critics"}, "Whisper is not stored"
    assert not torch.equal(prior["with"], prior["without"])
    assert not torch.equal(prior["with"], prior["weak"])


def test_it_pulls_at_spectrum_and_pitch_of_what_is_spoken_and_leaves_the_generator_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus(tmp_path)
    model, batch = started(corpus), sampler_of(corpus, 200).batch(0)
    ear = WhisperEar(write_folder(tmp_path, tiny(1000)), model.config.rate_hz, CPU)
    config = model.config
    critics = SpectrumCritics(
        config.rate_hz, config.spectrum_bins, config.codebook_size, config.condition_channels,
        PushShares(0.0, 0.0, 0.0, 0.0),
    )  # fmt: skip
    frames = int(batch.lengths.max())
    recorded = torch.randn(len(batch.lengths), config.latent_channels, frames)
    expected = torch.randn_like(recorded)
    expected[:, 0] = 1.0
    mask = torch.ones(len(batch.lengths), 1, frames)
    condition = torch.randn(len(batch.lengths), config.condition_channels, 1)
    assert isinstance(model.dec, SourceIstftGenerator)
    distances = Distances(lambda latent: latent.square().mean(), lambda latent: 0.0 * latent.sum())
    found, gradients = [], []
    hears = ear.view
    for view in (hears, lambda wave, there, _pitch=None: hears(wave, there)):
        monkeypatch.setattr(ear, "view", view)
        torch.manual_seed(5)
        terms, gradient = Panel(critics, ear, ear_part=1.0).criticise(
            model.dec, expected, recorded, batch, mask, condition, 1.0, distances
        )
        found.append(terms)
        gradients.append(gradient)
    assert torch.allclose(found[0]["written"], found[1]["written"], atol=0.02)
    assert float(gradients[1][:, 2:].abs().mean()) > 0, "the spectrum"
    moved = (gradients[0] / gradients[0].norm() - gradients[1] / gradients[1].norm()).abs()
    assert float(moved[:, 1].mean()) > 3 * float(moved[:, 2:].mean()), "the harmonics move the pitch"
    assert all(parameter.grad is None for parameter in model.dec.parameters())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "no CTranslate2 model"),
        (lambda path: path.write_bytes(b"PK\3\4" + bytes(100)), "format"),
        (lambda path: write_model(path, {}, kind="TransformerSpec"), "TransformerSpec"),
        (lambda path: path.unlink(), "has no model.bin"),
    ],
)
def test_wrong_folders_are_named(folder: Path, tmp_path: Path, damage: object, words: str) -> None:
    for name in ("model.bin", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    damage(tmp_path / "model.bin")  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match=words):
        WhisperEar(tmp_path, 24000, CPU)


def test_floats_of_a_file_are_read_as_they_are(folder: Path, model: WhisperForConditionalGeneration) -> None:
    assert all(
        torch.equal(value, read_ctranslate2(folder / "model.bin")[name]) for name, value in variables(model).items()
    )


def test_a_recipe_that_asks_for_it_without_a_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("acoustic: {whisper: 1.0}\n")
    given = ["pretrain", "acoustic", "--speech", str(tmp_path), "--recipe", str(recipe), "--work", str(tmp_path)]
    refused = CliRunner(env={"TIMBRE_WHISPER": ""}).invoke(timbre, given)
    assert isinstance(refused.exception, ConfigurationError)
    assert "TIMBRE_WHISPER" in str(refused.exception)
    empty = CliRunner().invoke(timbre, [*given, "--whisper", str(tmp_path)])
    assert isinstance(empty.exception, ConfigurationError)
    assert "has no model.bin" in str(empty.exception), "before the corpus is read"
    assert checked_ear(AcousticRecipe(whisper=1.0), folder) == folder
    assert checked_ear(AcousticRecipe(), tmp_path) is None
