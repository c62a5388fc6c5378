"""One fine-tuning step of both networks with LoRA, and beside it one with every weight trained, as upstream does it.

python -m benchmarks.finetune [--size v2Pro] [--batch 4] [--beside] [--json]

Random weights, clips of 4 s (40 phones, 100 codes), pieces of 0.64 s, float32, one thread. Each side runs in a process
of its own, so that its peak memory is its own; sides take turns, and a step is measured in CPU seconds of the process.
--beside also runs the full step (all weights, AdamW, for the acoustic network the discriminators too): it needs several
GB more. Upstream's own figures, measured on such a machine with batch 2: 12.7 to 15.4 CPU s and 5.1 GB for the acoustic
network of v2Pro, 4.8 to 5.4 CPU s and 3.1 GB for text to semantic.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

NETWORKS = ("sovits", "t2s")
SIZES = ("v2", "v2Pro", "v2ProPlus", "nano")
MEMORY_LIMIT_MIB = 8 * 1024
PACKAGE_LIMIT_MB = 8.0
UPSTREAM = {"sovits": "12.7 to 15.4 s at batch 2", "t2s": "4.8 to 5.4 s at batch 2"}
_CLIP_S, _PHONES = 4, 40
_STEPS = 3


def step_of(
    size: str, network: str, batch: int, full: bool, device: str = "cpu"
) -> tuple[Callable[[], object], dict[str, Any]]:
    """A function that does one step, and facts: trainable values by group, bytes of the adapter's file."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
    from timbre.gptsovits.acoustic.discriminator_configuration import DiscriminatorConfig
    from timbre.gptsovits.acoustic.discriminators import Discriminators
    from timbre.gptsovits.acoustic.synthesizer import Synthesizer
    from timbre.gptsovits.text_to_semantic.configuration import T2S_NANO, T2S_V2
    from timbre.gptsovits.text_to_semantic.network import TextToSemantic
    from timbre.training.finetune.data import Row, VoiceData
    from timbre.training.finetune.sovits_trainer import AcousticTask, Weights
    from timbre.training.finetune.t2s_trainer import TextToSemanticTask
    from timbre.training.finetune.voice_condition import voice_condition
    from timbre.training.lora import LoraSettings, parameter_counts, save_adapter, wrap

    config = getattr(SynthesizerConfig, size.lower())()
    codes, where = _CLIP_S * 25, torch.device(device)

    def row(number: int) -> Row:
        speaker = torch.rand(config.speaker_width) if config.speaker_width else None
        return Row(
            id=str(number),
            held_out=False,
            phones=torch.randint(0, 700, (_PHONES,)),
            codes=torch.randint(0, config.codebook_size, (codes,)),
            wave=0.1 * torch.randn(_CLIP_S * config.rate_hz),
            ge2e=torch.rand(256),
            speaker=speaker,
            bert=None,
            pitch=torch.full((2 * codes,), 120.0),
        )

    rows = tuple(row(number) for number in range(batch))
    data = VoiceData(rows, (), rows[0], 0.09, (0.2, 0.4, 0.1), {})
    judges = None
    if network == "t2s":
        plain: Any = TextToSemantic(T2S_NANO if size == "nano" else T2S_V2)
    else:
        plain = Synthesizer(config)
        condition = voice_condition(plain.eval().to(where), rows, where)
        if full:
            judges = Discriminators(DiscriminatorConfig.nano() if size == "nano" else DiscriminatorConfig.v2pro())
            judges.to(where)
    model = wrap(plain, LoraSettings())
    facts: dict[str, Any] = {"trainable": parameter_counts(model)}
    with tempfile.TemporaryDirectory() as folder:
        facts["adapter_bytes"] = save_adapter(model, Path(folder))
    task: Any
    if network == "t2s":
        task = TextToSemanticTask(model.to(where), data, 1, where)
    else:
        task = AcousticTask(model.to(where), data, condition, Weights(1.0, 45.0, 0.64), 1, where, judges)
    task.train(True)
    if full:
        plain.requires_grad_(True)
    parameters = [p for p in model.parameters() if p.requires_grad] + list(judges.parameters() if judges else ())
    facts["trained_values"] = sum(parameter.numel() for parameter in parameters)
    optimizer = torch.optim.AdamW(parameters, 1e-4)
    state = {"step": 0}

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        terms = task.loss(state["step"], list(range(batch)))
        terms["total"].backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        state["step"] += 1

    return step, facts


def child(size: str, network: str, batch: int, full: bool, steps: int) -> dict[str, Any]:
    """Runs one side and measures it; the first step, which fills caches, is not counted."""
    from timbre.core.memory import peak_mib

    step, facts = step_of(size, network, batch, full)
    seconds = []
    for number in range(steps + 1):
        begun = time.process_time()
        step()
        if number:
            seconds.append(time.process_time() - begun)
    return {**facts, "cpu_s": statistics.median(seconds), "best_cpu_s": min(seconds), "peak_mib": peak_mib()}


def measure(size: str, network: str, batch: int, full: bool, steps: int) -> dict[str, Any]:
    """`child` in a separate process."""
    arguments = [sys.executable, "-m", "benchmarks.finetune", "--child", network, "--size", size, "--batch", str(batch)]
    arguments += ["--steps", str(steps), *(["--full"] if full else [])]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(size: str, batch: int, beside: bool, steps: int) -> dict[str, Any]:
    """All sides, as plain data with a verdict."""
    found: dict[str, Any] = {"size": size, "batch": batch, "networks": {}}
    for network in NETWORKS:
        sides = {"lora": measure(size, network, batch, False, steps)}
        if beside:
            sides["full"] = measure(size, network, batch, True, steps)
        found["networks"][network] = sides
    lora = [sides["lora"] for sides in found["networks"].values()]
    found["step_cpu_s"] = sum(side["cpu_s"] for side in lora)
    found["minutes_per_1000_steps"] = found["step_cpu_s"] * 1000 / 60
    found["peak_mib"] = max(side["peak_mib"] for side in lora)
    found["package_mb"] = sum(side["adapter_bytes"] for side in lora) / 1e6
    found["passed"] = found["peak_mib"] < MEMORY_LIMIT_MIB and found["package_mb"] < PACKAGE_LIMIT_MB
    return found


def lines(found: dict[str, Any]) -> list[str]:
    """For a terminal."""
    rows = [f"{found['size']}, batch {found['batch']}, one thread, float32, CPU seconds a step"]
    for network, sides in found["networks"].items():
        lora = sides["lora"]
        groups = ", ".join(f"{name} {count:,}" for name, count in lora["trainable"].items())
        rows.append(
            f"  {network:7s} LoRA {lora['cpu_s']:.2f} s (best {lora['best_cpu_s']:.2f}), "
            f"peak {lora['peak_mib']:.0f} MiB, adapter {lora['adapter_bytes'] / 1e6:.2f} MB; trained values: {groups}"
        )
        if "full" in sides:
            full = sides["full"]
            rows.append(
                f"          every weight {full['cpu_s']:.2f} s, peak {full['peak_mib']:.0f} MiB, "
                f"{full['trained_values']:,} values; {full['cpu_s'] / lora['cpu_s']:.1f} times the LoRA step"
            )
        if found["size"] == "v2Pro":
            rows.append(f"          upstream's own (another machine like this): {UPSTREAM[network]}")
    verdict = "passed" if found["passed"] else "FAILED"
    rows.append(
        f"  both: {found['step_cpu_s']:.2f} s a step, {found['minutes_per_1000_steps']:.0f} minutes for 1,000 steps of "
        f"each on this core; peak {found['peak_mib']:.0f} MiB (limit {MEMORY_LIMIT_MIB}); "
        f"adapters {found['package_mb']:.2f} MB (limit {PACKAGE_LIMIT_MB:g} MB): {verdict}"
    )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the limits hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="v2Pro")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=_STEPS)
    parser.add_argument("--beside", action="store_true", help="also with every weight trained")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=NETWORKS, help=argparse.SUPPRESS)
    parser.add_argument("--full", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(child(options.size, options.child, options.batch, options.full, options.steps)))
        return 0
    found = report(options.size, options.batch, options.beside, options.steps)
    print(json.dumps(found, indent=2) if options.json else "\n".join(lines(found)))
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
