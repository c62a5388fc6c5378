"""All stages from one packed corpus, one stage a call, on a machine without the speech corpora.

    python -m timbre.nano.everything --pack corpus.pack --out OUT [--device cuda] [--stage content]

A packed corpus brings its alignments, from which the codes come. It needs torch, numpy, safetensors, transformers and
soundfile, nothing else. Without ``--stage`` the first unfinished stage runs. Stages continue from their checkpoints in
the work folder. The weights of a stage are written as fp16 safetensors, each file below 16 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from timbre.core.errors import TimbreError
from timbre.nano import speech_stages
from timbre.nano.content import load_averaged
from timbre.nano.packed import unpack_corpus
from timbre.nano.recipe import NanoRecipe, load_nano_recipe
from timbre.nano.stages import content_trainer
from timbre.nano.training_loop import Report

STAGES = ("content", "autoencoder", "acoustic", "t2s")
LARGEST_FILE = 16_000_000


def run_stage(stage: str, recipe: NanoRecipe, work: Path, speech: Path, device: str, report: Report) -> None:
    """Run one stage to the end of its recipe; a stage that was interrupted continues from its checkpoint."""
    if stage == "content":
        trainer = content_trainer(recipe.content, speech, work, device, report)
        trainer.train()
        return
    where = torch.device(device)
    if stage == "autoencoder":
        speech_stages.generator(recipe.acoustic, speech, work, where, report)
    elif stage == "acoustic":
        speech_stages.acoustic(recipe.acoustic, speech, work, where, report)
    else:
        speech_stages.semantic(recipe.t2s, speech, work, where, report)


def outputs(stage: str, work: Path) -> Mapping[str, torch.Tensor]:
    """Weights that a stage made, averaged, by name."""
    if stage == "content":
        return load_averaged(work / "content").state_dict()
    path = {
        "autoencoder": work / "acoustic" / "autoencoder.pt",
        "acoustic": work / "acoustic" / "joint.pt",
        "t2s": work / "semantic" / "t2s.pt",
    }[stage]
    state: Mapping[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)["average"]["state"]
    return state


def write_half(weights: Mapping[str, torch.Tensor], folder: Path, stage: str) -> list[Path]:
    """fp16 safetensors of at most LARGEST_FILE bytes each: ``stage.safetensors``, then ``stage-2.safetensors``, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    groups: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, value in weights.items():
        tensor = (value.half() if value.is_floating_point() else value).cpu().contiguous().clone()
        size += tensor.numel() * tensor.element_size()
        if size > LARGEST_FILE * 0.95 and groups[-1]:
            groups.append({})
            size = tensor.numel() * tensor.element_size()
        groups[-1][name] = tensor
    paths = []
    for number, group in enumerate(groups, start=1):
        path = folder / (f"{stage}.safetensors" if number == 1 else f"{stage}-{number}.safetensors")
        save_file(group, path)
        paths.append(path)
    return paths


def main(arguments: list[str] | None = None) -> int:
    """Command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m timbre.nano.everything", description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="file of `timbre pretrain pack-corpus`")
    parser.add_argument("--out", type=Path, required=True, help="where the weights go")
    parser.add_argument("--work", type=Path, default=Path(".timbre/pretrain-gpu"))
    parser.add_argument("--recipe", type=Path, default=Path("recipes/nano-gpu.yaml"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--stage", choices=STAGES, help="default: the first that is not done")
    options = parser.parse_args(arguments)
    try:
        done_file = options.work / "done.json"
        unpack_corpus(options.pack, options.work, options.work / "speech")
        done = json.loads(done_file.read_text()) if done_file.is_file() else []
        stage = options.stage or next((name for name in STAGES if name not in done), None)
        if stage is None:
            print("all stages are done")
            return 0
        recipe = load_nano_recipe(options.recipe)
        print(f"stage {stage} on {options.device}", flush=True)
        speech = options.work / "speech"
        run_stage(stage, recipe, options.work, speech, options.device, lambda line: print(line, flush=True))
        for path in write_half(outputs(stage, options.work), options.out, stage):
            print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
        done_file.write_text(json.dumps([*done, stage] if stage not in done else done))
        print(f"stage {stage} is done")
    except TimbreError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
