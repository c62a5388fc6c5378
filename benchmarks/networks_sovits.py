"""Acoustic model, ours beside a naive variant of the same network: decoding 4 s of audio, and one fine-tuning step.

Workload W: 100 codes, 40 phones, a reference of 250 frames; the step has batch 2, clips of 200 frames and 40 phones,
slices of 32 frames. The naive variant is what upstream runs: weight norm kept, float32, every operation a new tensor,
four passes of the discriminators a step, codes extracted again in every step. One thread, both sides interleaved in one
process, process CPU time, medians. Memory is the peak of a child process that runs one side only.
"""

from __future__ import annotations

import copy
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from timbre.core.memory import peak_mib
from timbre.gptsovits.acoustic.adversarial import adversarial_pass, join_losses
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
from timbre.gptsovits.acoustic.discriminators import Discriminators
from timbre.gptsovits.acoustic.generator_hifigan import HifiGanGenerator, ResBlock
from timbre.gptsovits.acoustic.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    kl_loss,
    mel_loss,
)
from timbre.gptsovits.acoustic.masking import slice_rows
from timbre.gptsovits.acoustic.spectrogram import V2_MEL, MelSpectrogram
from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer, TrainingBatch, TrainingOutput

SEED = 20260
_BATCH, _FRAMES, _PHONES, _CODES, _REFERENCE_FRAMES = 2, 200, 40, 100, 250


@dataclass(frozen=True)
class Comparison:
    """One row. unit: CPU s or MiB; ratio = naive / ours; limit: the smallest ratio that is good enough."""

    name: str
    ours: float
    naive: float
    unit: str
    limit: float

    @property
    def ratio(self) -> float:
        """How many times less ours takes."""
        return self.naive / self.ours

    @property
    def passed(self) -> bool:
        """Whether the ratio reaches the limit."""
        return self.ratio >= self.limit

    def line(self) -> str:
        """One line of text."""
        verdict = "ok" if self.passed else "MISSED"
        return (
            f"{self.name:34s} ours {self.ours:8.2f} {self.unit:5s} naive {self.naive:8.2f} {self.unit:5s} "
            f"ratio {self.ratio:5.2f} (at least {self.limit:.2f}) {verdict}"
        )


def interleaved(ours: Callable[[], object], naive: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median process CPU seconds of each side, after one warm-up each."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for side, run in enumerate((ours, naive)):
            begin = time.process_time()
            run()
            if turn:
                times[side].append(time.process_time() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


# -- decoding ----------------------------------------------------------------------------------------------------------


def _network(with_posterior: bool) -> Synthesizer:
    torch.manual_seed(SEED)
    return Synthesizer(SynthesizerConfig.v2(), with_posterior)


def naive_generator(dec: HifiGanGenerator, z: Tensor, condition: Tensor) -> Tensor:
    """The generator as written in the paper's reference code: every step makes a new tensor."""
    x = dec.conv_pre(z) + dec.cond(condition)
    for stage, up in enumerate(dec.ups):
        x = up(functional.leaky_relu(x, 0.1))
        total = torch.zeros(())
        for block in list(dec.resblocks)[stage * dec.blocks_per_stage : (stage + 1) * dec.blocks_per_stage]:
            assert isinstance(block, ResBlock)
            h = x
            for dilated, plain in zip(block.convs1, block.convs2, strict=True):
                h = plain(functional.leaky_relu(dilated(functional.leaky_relu(h, 0.1)), 0.1)) + h
            total = total + h
        x = total / dec.blocks_per_stage
    return torch.tanh(dec.conv_post(functional.leaky_relu(x)))


class _NaiveDec(torch.nn.Module):
    """Stands in for a network's generator and runs it in the naive way."""

    def __init__(self, dec: HifiGanGenerator) -> None:
        super().__init__()
        self.inner = dec

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        """As the generator."""
        return naive_generator(self.inner, z, condition)


def decoding(rounds: int = 5) -> Iterator[Comparison]:
    """Whole decode in float32, then the generator alone in float32 and in bfloat16."""
    naive = _network(with_posterior=False).eval().requires_grad_(False)
    ours = copy.deepcopy(naive).fold()
    half = copy.deepcopy(ours.dec).bfloat16()
    assert isinstance(naive.dec, HifiGanGenerator)
    naive.dec = _NaiveDec(naive.dec)  # type: ignore[assignment]
    codes = torch.randint(0, ours.config.codebook_size, (1, 1, _CODES))
    phones = torch.randint(0, ours.config.symbols, (1, _PHONES))
    reference = Reference(torch.rand(1, ours.config.spectrum_bins, _REFERENCE_FRAMES))
    with torch.inference_mode():
        ready = ours.condition(reference)
        z = ours.sample(ours.prior(codes, phones, ready), ready)
        z_half, ready_half = z.bfloat16(), ready.bfloat16()
        cpu = interleaved(
            lambda: ours.decode(codes, phones, ready),
            lambda: naive.decode(codes, phones, naive.condition(reference)),
            rounds,
        )
        yield Comparison("decode 4 s, v2, float32", *cpu, "CPU s", 1.0)
        cpu = interleaved(lambda: ours.dec(z, ready), lambda: naive.dec(z, ready), rounds)
        yield Comparison("generator 4 s, v2, float32", *cpu, "CPU s", 1.0)
        cpu = interleaved(lambda: half(z_half, ready_half), lambda: naive.dec(z, ready), rounds)
        yield Comparison("generator 4 s, v2, bfloat16", *cpu, "CPU s", 1.5)


# -- one step of fine-tuning -------------------------------------------------------------------------------------------


@dataclass
class _Trainer:
    """Networks, optimizers and one batch of a side."""

    network: Synthesizer
    discriminators: Discriminators
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
    to_mel: MelSpectrogram
    wave: Tensor
    ssl: Tensor
    batch: TrainingBatch

    def slices(self, out: TrainingOutput) -> tuple[Tensor, Tensor]:
        """Real wave and real mel of the drawn slices."""
        config = self.network.config
        real = slice_rows(self.wave, out.starts * config.hop, config.segment_frames * config.hop)
        return real, slice_rows(self.to_mel.from_magnitudes(self.batch.spectrum), out.starts, config.segment_frames)

    def own_losses(self, out: TrainingOutput, mel: Tensor) -> Tensor:
        """Mel and KL loss."""
        kl = kl_loss(out.z_p, out.posterior.log_std, out.prior.mean, out.prior.log_std, out.mask)
        return mel_loss(mel, self.to_mel(out.wave)) + kl


def _trainer(fused: bool) -> _Trainer:
    network = _network(with_posterior=True).train()
    if not fused:
        assert isinstance(network.dec, HifiGanGenerator)
        network.dec = _NaiveDec(network.dec)  # type: ignore[assignment]
    torch.manual_seed(SEED + 1)
    discriminators = Discriminators(DiscriminatorConfig.v2())
    config = network.config
    wave = 0.1 * torch.randn(_BATCH, 1, _FRAMES * config.hop)
    to_mel = MelSpectrogram(V2_MEL)
    spectrum = to_mel.spectrogram(wave)
    ssl = torch.randn(_BATCH, config.ssl_width, _FRAMES)
    lengths = torch.tensor([_FRAMES] * _BATCH)
    batch = TrainingBatch(
        spectrum,
        lengths,
        network.extract_codes(ssl),
        torch.randint(0, config.symbols, (_BATCH, _PHONES)),
        torch.tensor([_PHONES] * _BATCH),
    )

    def adamw(module: torch.nn.Module) -> torch.optim.Optimizer:
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(trained, lr=1e-4, betas=(0.8, 0.99), eps=1e-9, fused=fused)

    return _Trainer(network, discriminators, adamw(network), adamw(discriminators), to_mel, wave, ssl, batch)


def naive_step(side: _Trainer) -> None:
    """A step as upstream takes it."""
    side.network.extract_codes(side.ssl)
    out = side.network(side.batch)
    real, mel = side.slices(out)
    loss_d = discriminator_loss(side.discriminators(real), side.discriminators(out.wave.detach()))
    side.optimizer_d.zero_grad()
    loss_d.backward()
    side.optimizer_d.step()
    on_real, on_fake = side.discriminators(real), side.discriminators(out.wave)
    loss = generator_loss(on_fake) + feature_matching_loss(on_real, on_fake) + side.own_losses(out, mel)
    side.optimizer_g.zero_grad()
    loss.backward()
    side.optimizer_g.step()


def our_step(side: _Trainer) -> None:
    """bfloat16 autocast, one pass of the discriminators, codes from the features file, fused updates."""
    with torch.autocast("cpu", torch.bfloat16):
        out = side.network(side.batch)
        real, mel = side.slices(out)
        judged = adversarial_pass(side.discriminators, real, out.wave)
    side.optimizer_d.step()
    side.optimizer_d.zero_grad()
    loss = join_losses(out.wave, judged.wave_gradient, side.own_losses(out, mel))
    loss.backward()
    side.optimizer_g.step()
    side.optimizer_g.zero_grad()


def training_time(rounds: int = 3) -> Comparison:
    """CPU time of a step, v2, batch 2. Weight norm stays on both sides: everything trains."""
    ours, naive = _trainer(fused=True), _trainer(fused=False)
    cpu = interleaved(lambda: our_step(ours), lambda: naive_step(naive), rounds)
    return Comparison("fine-tuning step, v2, batch 2", *cpu, "CPU s", 2.0)


def training_memory(steps: int = 2) -> Comparison:
    """Peak memory of a process that takes a few steps of one side."""
    peaks = []
    for name in ("ours", "naive"):
        command = [sys.executable, "-m", "benchmarks.networks_sovits", "--memory", name, str(steps)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        peaks.append(float(done.stdout.strip().splitlines()[-1]))
    return Comparison("fine-tuning step, v2, peak memory", peaks[0], peaks[1], "MiB", 1.0)


def compare_sovits(rounds: int = 5) -> Iterator[Comparison]:
    """All rows. Sets one thread for the process."""
    torch.set_num_threads(1)
    yield from decoding(rounds)
    yield training_time(max(2, rounds // 2))
    yield training_memory()


def main(arguments: list[str]) -> int:
    """Prints the rows (``--json``: one object a line); 20 when a limit is missed."""
    torch.set_num_threads(1)
    if arguments[:1] == ["--memory"]:
        ours = arguments[1] == "ours"
        side, step = _trainer(fused=ours), our_step if ours else naive_step
        for _ in range(int(arguments[2])):
            step(side)
        print(peak_mib())
        return 0
    passed = True
    for row in compare_sovits():
        shown = json.dumps({**asdict(row), "ratio": row.ratio, "passed": row.passed})
        print(shown if "--json" in arguments else row.line(), flush=True)
        passed = passed and row.passed
    return 0 if passed else 20


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
