"""The torch-free engine: beside the plain torch networks at official size, and on nano against its limits.

workload: official v2 sizes, random weights, one thread, both sides in one run. 80 phones (40 of the prompt), 100
prompt codes, exactly 100 new codes, 4 s of audio; a rank 8 voice is active in the engine. CPU seconds of this process,
variants taking turns. The other parts: benchmarks/nano_engine.py.

    python -m benchmarks.engine --only workload   text to audio, fp32 and int8, at least 1.35 and 2.2 times as fast
    python -m benchmarks.engine --only nano       20 words: real-time factor <= 0.03, first sound <= 60 ms
    python -m benchmarks.engine --only savings    what several codes at once and refining low bands first save
    python -m benchmarks.engine --only copies     recordings copied: PESQ, STOI and time with fewer rounds and with more
    python -m benchmarks.engine --only together   8 requests, 8 voices: equal audio, >= 1.5 times the throughput
    python -m benchmarks.engine --only pieces     streamed beside whole audio, by PESQ
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import nano_engine
from benchmarks.interleaved import Timing, take_turns
from benchmarks.naive_t2s import generate_naively
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.text_to_semantic.configuration import T2S_V2
from timbre.gptsovits.text_to_semantic.decoding import T2SRequest
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.gptsovits.text_to_semantic.sampling import SamplingConfig
from timbre.inference.acoustic import resampling
from timbre.inference.sampling import Sampler, Sampling
from timbre.inference.session import open_session
from timbre.inference.t2s_slots import Lora, T2SShape, T2SSlots
from timbre.training.export.acoustic_graphs import GeneratorGraph, PriorGraph, save_graph, trace
from timbre.training.export.base_export import MAX_POSITIONS, t2s_shape
from timbre.training.export.quantise import quantise
from timbre.training.export.t2s_graph import build_t2s_graph
from timbre.training.export.two_dimensional import to_two_dimensional

Array = NDArray[Any]
PHONES, PROMPT, CODES, REFERENCE_FRAMES, RANK = 80, 100, 100, 250, 8
PARTS = ("workload", "nano", "savings", "copies", "together", "pieces")
RECORDING = Path("voices/awb/wavs/0001.flac")
LIMITS = {"fp32": 1.35, "int8": 2.2}


@click.command()
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Parts to run; all by default.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), default=Path(".timbre/benchmarks"), show_default=True,
              help="Where nano's exported graphs are kept between runs.")  # fmt: skip
@click.option("--recording", type=click.Path(path_type=Path, exists=True), default=RECORDING, show_default=True,
              help="Speech that nano's voices are conditioned on.")  # fmt: skip
def main(only: tuple[str, ...], rounds: int, keep: Path, recording: Path) -> None:
    """Prints measured values beside their limits."""
    parts = only or PARTS
    if "workload" in parts:
        workload(rounds)
    nano_engine.run(parts, rounds, keep, recording)


def workload(rounds: int) -> None:
    """Both sides and the ratio of each profile with its limit."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    t2s, acoustic = TextToSemantic(T2S_V2).eval(), Synthesizer(SynthesizerConfig.v2(), with_posterior=False).eval()
    phones, prompt = rng.integers(0, 732, PHONES), rng.integers(0, 1024, PROMPT)
    reference = torch.rand(1, 1025, REFERENCE_FRAMES)
    request = T2SRequest(torch.from_numpy(phones), torch.from_numpy(prompt), bert=torch.randn(1024, PHONES))

    def naive() -> None:
        codes = generate_naively(t2s, request, SamplingConfig(), CODES)
        with torch.no_grad():
            condition = acoustic.style(reference)
            acoustic.decode(codes[None, None], request.phones[None, PHONES // 2 :], condition)

    variants = {"naive torch": naive}
    with tempfile.TemporaryDirectory() as folder:
        # The torch side keeps its weight norm: the engine gets a folded copy.
        folded = Synthesizer(SynthesizerConfig.v2(), with_posterior=False).eval()
        folded.load_state_dict(acoustic.state_dict())
        with torch.no_grad():
            condition = acoustic.style(reference).numpy()
        paths = export(Path(folder), t2s, folded.fold())
        for profile in LIMITS:
            variants[profile] = Spoken(paths, profile, t2s_shape(t2s), phones, prompt, condition).speak
        timings = take_turns(variants, rounds)
    report(timings)


def export(folder: Path, t2s: TextToSemantic, acoustic: Synthesizer) -> dict[str, Path]:
    """The graphs that the workload needs, as `timbre base export` writes them."""
    config = acoustic.config
    paths = {name: folder / f"{name}.onnx" for name in ("fp32", "int8", "prior", "generator")}
    weights = {name: tensor.detach().numpy() for name, tensor in t2s.named_parameters()}
    save_graph(build_t2s_graph(t2s.config, weights, max_positions=MAX_POSITIONS), paths["fp32"], {})
    save_graph(quantise(paths["fp32"]), paths["int8"], {})
    condition = torch.randn(1, config.condition_channels, 1)
    inputs = (
        torch.randint(0, 1024, (1, 7)), torch.randint(0, 732, (1, 11)), condition, torch.arange(14), torch.zeros(14),
        torch.randn(1, config.latent_channels, 14),
    )  # fmt: skip
    names = ("codes", "phones", "condition", "left", "blend", "noise")
    sizes = {"codes": {1: "N"}, "phones": {1: "P"}, "left": {0: "T"}, "blend": {0: "T"}, "noise": {2: "T"}}
    save_graph(trace(PriorGraph(acoustic), inputs, names, ("z",), sizes), paths["prior"], {})
    z = torch.randn(1, config.latent_channels, 30)
    generator = trace(GeneratorGraph(acoustic), (z, condition), ("z", "condition"), ("wave",), {"z": {2: "T"}})
    if not to_two_dimensional(generator):
        raise SystemExit("the generator could not be written in two dimensions")
    save_graph(generator, paths["generator"], {})
    return paths


class Spoken:
    """The engine's parts on the workload, with a fixed number of codes."""

    def __init__(
        self, paths: dict[str, Path], profile: str, shape: T2SShape, phones: Array, prompt: Array, condition: Array,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(1)

        def normal(*size: int) -> Array:
            return (0.01 * rng.standard_normal(size)).astype(np.float32)

        lora = Lora({name: (normal(low, RANK), normal(RANK, high)) for name, (low, high) in shape.projections.items()})
        self._slots = T2SSlots(paths[profile], shape, slots=1, capacity=512)
        self._prior, self._generator = open_session(paths["prior"]), open_session(paths["generator"])
        self._phones, self._prompt, self._condition, self._lora = phones, prompt, condition, lora
        self._shape = shape

    def speak(self) -> None:
        """100 codes and their 4 s of audio."""
        sampler = Sampler(Sampling(seed=0), self._shape.vocabulary, self._shape.end_token, self._prompt)
        _, logits = self._slots.admit(self._phones, self._prompt, self._lora)
        codes = [self._draw(sampler, logits)]
        while len(codes) < CODES:
            codes.append(self._draw(sampler, self._slots.step(np.array(codes[-1:]))[0]))
        self._slots.release(0)
        left, blend = resampling(2 * CODES, 1.0)
        noise = np.zeros((1, 192, 2 * CODES), np.float32)
        feeds = {
            "codes": np.array([codes]), "phones": self._phones[None, PHONES // 2 :], "condition": self._condition,
            "left": left, "blend": blend, "noise": noise,
        }  # fmt: skip
        latent = self._prior.run(None, feeds)[0]
        self._generator.run(None, {"z": latent, "condition": self._condition})

    def _draw(self, sampler: Sampler, logits: Array) -> int:
        # The end token is likely to be among the likeliest of random weights; the workload has a fixed length.
        logits = logits.copy()
        logits[self._shape.end_token] = -1e9
        code = sampler.draw(logits, may_end=False)
        assert code is not None
        return code


def report(timings: dict[str, Timing]) -> None:
    """Both sides and their ratio."""
    naive = timings["naive torch"]
    click.echo(f"{'variant':<14}{'best s':>9}{'median s':>10}{'ratio':>8}{'limit':>7}")
    for name, timing in timings.items():
        ratio = naive.best_s / timing.best_s
        limit = LIMITS.get(name)
        verdict = "" if limit is None else f"{limit:>7.2f}  {'ok' if ratio >= limit else 'MISS'}"
        click.echo(f"{name:<14}{timing.best_s:>9.3f}{timing.median_s:>10.3f}{ratio:>8.2f}{verdict}")


if __name__ == "__main__":
    main()
