"""A generator with harmonic source, rendered by the engine: equal to the torch network, continuous in pieces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from timbre.audio.reader import read
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.generator_configuration import SourceIstftConfig
from timbre.gptsovits.acoustic.generator_istft import InverseStft
from timbre.gptsovits.acoustic.generator_source_istft import HarmonicSource as TorchSource
from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator, Stft, refine_phase
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.inference.exported_base import AcousticShape
from timbre.inference.harmonic_source import HarmonicSource
from timbre.inference.phase_refinement import FrameTransform
from timbre.inference.pieces import SourcePieces, pieces_of
from timbre.inference.session import open_session
from timbre.training.export.acoustic_graphs import SourceGraph, save_graph, trace
from timbre.training.export.context import context_frames

LATENT, CONDITION = 8, 6
CONFIG = SourceIstftConfig(width=16, inner_width=24, blocks=1)


@pytest.fixture(scope="module")
def network() -> Synthesizer:
    torch.manual_seed(0)
    config = replace(
        SynthesizerConfig.pico(), latent_channels=LATENT, condition_channels=CONDITION, generator=CONFIG,
        prior=replace(SynthesizerConfig.pico().prior, mrte_width=16),
    )  # fmt: skip
    return Synthesizer(config).eval().fold()


@pytest.fixture(scope="module")
def graph(network: Synthesizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "generator.onnx"
    inputs = (torch.randn(1, LATENT, 30), torch.randn(1, CONDITION, 1))
    outputs = ("spectrum", "voicing", "f0_hz")
    save_graph(trace(SourceGraph(network), inputs, ("z", "condition"), outputs, {"z": {2: "T"}}), path, {})
    return path


def rendered_by(network: Synthesizer, graph: Path, condition: np.ndarray, refinements: int) -> SourcePieces:
    shape = AcousticShape(LATENT, CONDITION, 0, 641, context_frames(network), CONFIG.fft_size, refinements)
    base: Any = SimpleNamespace(acoustic=shape, hop=CONFIG.hop, rate_hz=CONFIG.rate_hz)
    pieces = pieces_of(base, open_session(graph), condition)
    assert isinstance(pieces, SourcePieces)
    return pieces


def latents(frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A voice that glides and falls silent in the middle, and a condition."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((1, LATENT, frames)).astype(np.float32)
    z[0, 0] = np.where(np.abs(np.arange(frames) - frames / 2) < 5, -1.5, 1.5)
    z[0, 1] = np.sin(np.arange(frames) / 20)
    return z, rng.standard_normal((1, CONDITION, 1)).astype(np.float32)


def torch_wave(network: Synthesizer, z: np.ndarray, condition: np.ndarray, refinements: int) -> np.ndarray:
    generator = network.dec
    assert isinstance(generator, SourceIstftGenerator)
    with torch.no_grad():
        polar = generator.polar(torch.from_numpy(z), torch.from_numpy(condition))
        wave: Tensor = generator.synthesise(*polar, refinements)
    return wave[0, 0].numpy()


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


class Given:
    """A source that was rendered elsewhere."""

    def __init__(self, samples: np.ndarray) -> None:
        self.samples = samples

    def render(self, voicing: np.ndarray, f0_hz: np.ndarray, start: int, end: int, **rest: Any) -> tuple[Any, float]:
        return self.samples[start:end], 0.0


def test_the_wave_is_that_of_the_network(network: Synthesizer, graph: Path) -> None:
    z, condition = latents(90)
    generator = network.dec
    assert isinstance(generator, SourceIstftGenerator)
    with torch.no_grad():
        excitation = generator.source(*generator.pitch(torch.from_numpy(z)))[0].numpy()
    for refinements, limit in ((0, 1e-3), (2, 1e-2)):
        wanted = torch_wave(network, z, condition, refinements)
        pieces = rendered_by(network, graph, condition, refinements)
        own = pieces.next(z)
        assert own.shape == wanted.shape
        # Bins in which the source has next to no power turn with every rounding, and untrained weights let them sound.
        assert rms(own - wanted) < 0.1 * rms(wanted)
        pieces = rendered_by(network, graph, condition, refinements)
        pieces._source = Given(excitation)  # type: ignore[assignment]
        assert rms(pieces.next(z) - wanted) < limit * rms(wanted)


def test_source_and_refinement_equal_torch() -> None:
    rng = np.random.default_rng(1)
    f0 = (120 + 60 * np.sin(np.arange(70) / 9)).astype(np.float32)
    voicing = rng.random(70).astype(np.float32)
    wanted = TorchSource(16_000, 320)(torch.from_numpy(voicing)[None], torch.from_numpy(f0)[None])[0].numpy()
    source = HarmonicSource(16_000, 320)
    whole, _ = source.render(voicing, f0, 0, 70 * 320)
    assert rms(whole - wanted) < 1e-3
    first, phase = source.render(voicing[:41], f0[:41], 0, 40 * 320)
    second, _ = source.render(voicing[38:], f0[38:], 40 * 320, 70 * 320, first_frame=38, cycles=phase)
    assert rms(np.concatenate([first, second]) - whole) < 1e-4

    magnitude = rng.random((40, 641)).astype(np.float32)
    phasors = np.exp(2j * np.pi * rng.random((40, 641))).astype(np.complex64)
    parts = [torch.from_numpy(np.ascontiguousarray(item.T))[None] for item in (magnitude, phasors.real, phasors.imag)]
    real, imaginary = refine_phase(*parts, Stft(1280, 320), InverseStft(1280, 320), 3)
    got = FrameTransform(1280, 320).refine(magnitude, phasors, 3) / magnitude
    weight = magnitude / magnitude.sum()
    assert float(np.sum(weight * np.abs(got - (real + 1j * imaginary)[0].T.numpy()))) < 1e-4


def test_both_halves_of_the_band_settle() -> None:
    """The lower one as well as in as many iterations of the whole band, the upper one as in the few that see it."""
    transform = FrameTransform(1280, 320)
    wave = read(Path(__file__).parents[2] / "voices/awb/wavs/0001.flac").samples[: 120 * 320]
    magnitude = np.abs(transform.spectra(transform.padded(wave)))
    phasors = np.exp(2j * np.pi * np.random.default_rng(0).random(magnitude.shape)).astype(np.complex64)

    def inconsistency_db(spectra: NDArray[np.complex64], bins: slice) -> float:
        heard = np.abs(transform.spectra(transform.padded(transform.samples(spectra))))
        error = np.linalg.norm((heard - magnitude)[:, bins]) / np.linalg.norm(magnitude[:, bins])
        return float(20 * np.log10(error))

    lower, upper = slice(0, 320), slice(320, None)
    settled, few, many = (
        transform.settle(magnitude, phasors, 32), transform.refine(magnitude, phasors, 6),
        transform.refine(magnitude, phasors, 32),
    )  # fmt: skip
    assert inconsistency_db(settled, lower) < inconsistency_db(many, lower) + 1 < inconsistency_db(few, lower) - 5
    assert inconsistency_db(settled, upper) < inconsistency_db(few, upper) + 1
    np.testing.assert_array_equal(transform.settle(magnitude, phasors, 6), few)


@pytest.mark.parametrize(("frames", "held"), [(150, 0), (150, 6), (2, 0), (3, 2), (1, 0)])
def test_rounds_in_shared_buffers_equal_rounds_in_their_own(frames: int, held: int) -> None:
    """Over several blocks of frames, at both ends, with samples that are held fixed, and where all is edge."""
    transform = FrameTransform(1280, 320)
    rng = np.random.default_rng(4)
    magnitude = rng.random((frames, 641)).astype(np.float32)
    phasors = np.exp(2j * np.pi * rng.random((frames, 641))).astype(np.complex64)
    known = rng.standard_normal(transform.edge + held * 320).astype(np.float32) if held else None

    def extended(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        wave = transform.samples(spectra)
        if known is None:
            return transform.padded(wave)
        joined = np.concatenate([known, wave[held * 320 :]])
        return np.pad(joined, (0, transform.edge), mode="reflect")

    def heard(padded: NDArray[np.float32]) -> NDArray[np.complex64]:
        spectra = transform.spectra(padded)
        return np.asarray(spectra * (magnitude / np.sqrt(np.abs(spectra) ** 2 + 1e-8)), np.complex64)

    share = np.float32(0.99 / 1.99)
    moved = last = extended(magnitude * phasors)
    for _ in range(3):
        following = extended(heard(moved))
        moved, last = following - share * last, following
    wanted = heard(moved)
    got = transform.refine(magnitude, phasors, 4, known)
    assert float(np.abs(got - wanted).mean()) < 1e-4
    np.testing.assert_allclose(transform.settled(magnitude, phasors, 4, known), transform.samples(got), atol=1e-5)
    assert rms(transform.samples(got) - transform.samples(magnitude * phasors)) > 1e-3 or frames == 1


@pytest.mark.parametrize("steps", [(30, 60, 90), (3, 40), (6, 7, 8, 90), (17,)])
def test_pieces_go_on_where_the_last_one_ended(network: Synthesizer, graph: Path, steps: tuple[int, ...]) -> None:
    """Same length, same spectra, and no jump at a border that is larger than jumps elsewhere."""
    z, condition = latents(120, seed=2)
    whole = rendered_by(network, graph, condition, 16).next(z)
    pieces = rendered_by(network, graph, condition, 16)
    parts = [pieces.next(z[:, :, : min(120, end + 10)], end) for end in steps] + [pieces.next(z)]
    joined = np.concatenate(parts)
    assert len(joined) == len(whole) == 120 * CONFIG.hop
    assert [len(part) for part in parts[:-1]] == [320 * n for n in np.diff((0, *steps))]
    transform = FrameTransform(1280, 320)
    one, two = (np.abs(transform.spectra(transform.padded(wave))) for wave in (whole, joined))
    assert float(np.mean(np.abs(one - two)) / np.mean(one)) < 0.25
    borders = np.array(steps) * CONFIG.hop
    jumps = np.abs(np.diff(joined))
    assert max(jumps[border - 2 : border + 2].max() for border in borders) <= 1.2 * jumps.max()
    assert not len(pieces.next(z))


def test_a_piece_that_ignores_what_was_given_is_heard(network: Synthesizer, graph: Path) -> None:
    """The memory between pieces matters: without it the harmonics of two pieces are out of step."""
    z, condition = latents(120, seed=3)
    pieces, forgetful = (rendered_by(network, graph, condition, 16) for _ in range(2))
    first = pieces.next(z, 60)
    np.testing.assert_array_equal(first, forgetful.next(z, 60))
    forgetful._cycles += 0.5
    forgetful._tail = None
    assert np.abs(pieces.next(z) - forgetful.next(z)).max() > 0.1 * np.abs(first).max()
