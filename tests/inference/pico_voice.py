"""Voice packages for the generated base: random adapters in PEFT's layout, a random prompt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from timbre.inference.exported_base import ExportedBase, read_export
from timbre.text.frontend import phonemize

RANK, ALPHA = 4, 8
ADAPTED = (
    "dec.conv_pre",
    "dec.blocks.0.pwconv1",
    "flow.flows.0.enc.in_layers.0",
    "enc_p.encoder2.attn_layers.0.conv_q",
)


def write_voice(folder: Path, export: Path, rng: np.random.Generator, *, t2s: bool = True, sovits: bool = True) -> Path:
    """A package folder as stage 3 writes it; returns it."""
    base = read_export(export)
    folder.mkdir(parents=True, exist_ok=True)
    prompt = {
        "codes": rng.integers(0, base.t2s.end_token, 80),
        "phones": np.array(phonemize("Good morning to everybody.", "en").ids),
        "condition": rng.standard_normal(base.acoustic.condition).astype(np.float32),
        "speaker": rng.random(256).astype(np.float32),
        "rate": np.array(0.09, np.float32),
    }
    if t2s:
        _write_peft(folder / "t2s", {name: (low, (high,)) for name, (low, high) in base.t2s.projections.items()}, rng)
    if sovits:
        _write_peft(folder / "sovits", _acoustic_shapes(base), rng)
    save_file(prompt, folder / "prompt.safetensors")
    (folder / "prompt.json").write_text(json.dumps({"language": "en", "text": "Good morning to everybody."}))
    return folder


def _acoustic_shapes(base: ExportedBase) -> dict[str, tuple[int, tuple[int, ...]]]:
    weights = load_file(base.graph("weights"))
    shapes = {}
    for name in ADAPTED:
        transposed = f"{name}.weight.T" in weights
        shape = weights[f"{name}.weight.T"].T.shape if transposed else weights[f"{name}.weight"].shape
        shapes[name] = (shape[1], (shape[0], *shape[2:]))
    return shapes


def _write_peft(folder: Path, shapes: dict[str, tuple[int, tuple[int, ...]]], rng: np.random.Generator) -> None:
    folder.mkdir(exist_ok=True)
    tensors = {}
    for name, (inputs, (outputs, *kernel)) in shapes.items():
        down = rng.standard_normal((RANK, inputs, *kernel)) * 0.2
        up = rng.standard_normal((outputs, RANK, *(1 for _ in kernel))) * 0.2
        tensors[f"base_model.model.{name}.lora_A.weight"] = down.astype(np.float16)
        tensors[f"base_model.model.{name}.lora_B.weight"] = up.astype(np.float16)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": sorted(shapes)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
