"""Stages that do next to nothing, as the engine's test subjects, and a program that runs them, for a test to kill."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timbre.core.base import Base
from timbre.core.digests import digest_file, digest_value
from timbre.core.errors import CheckFailedError, InfrastructureError, InputError
from timbre.core.recipe import ExtractRecipe, FinetuneRecipe, ValidateRecipe, load_recipe
from timbre.core.weights import BaseFile
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.table import BASE, BASE_RATE, FOLDER, StageContext, StageRow
from timbre.pipeline.voice.voice_yaml import Consent

HERE = "tests.pipeline.engine.tiny_stages"


@dataclass(frozen=True)
class TinyVoice:
    """A voice folder that is only a text file."""

    path: Path
    base: str = "tiny"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    consent: Consent = field(default_factory=lambda: Consent(kind="synthetic"))

    @property
    def name(self) -> str:
        return self.path.name

    def digest(self) -> str:
        return digest_value({path.name: digest_file(path) for path in sorted(self.path.iterdir())})

    def recordings(self) -> str:
        return digest_value(sorted(digest_file(path) for path in self.path.iterdir()))


def tiny_base(folder: Path, **changes: Any) -> Base:
    files = (BaseFile("acoustic", "a.safetensors", "0" * 64),)
    return Base(folder=folder, name="tiny", files=files, **{"rate_hz": 16000, "hop": 320, **changes})


def tiny_voice(root: Path, name: str = "ada", text: str = "hello", **changes: Any) -> TinyVoice:
    path = root / "voices" / name
    path.mkdir(parents=True, exist_ok=True)
    file = path / "text.txt"
    # Left alone when it is right: another process may be reading it.
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
    return TinyVoice(path, **changes)


def count(root: Path, stage: str) -> int:
    """How often a stage has really run."""
    path = root / "runs.log"
    return path.read_text(encoding="utf-8").split().count(stage) if path.exists() else 0


def _note(context: StageContext, stage: str) -> None:
    with (context.root / "runs.log").open("a", encoding="utf-8") as stream:
        stream.write(stage + "\n")


def _hook(context: StageContext, stage: str) -> None:
    """Misbehave as a file of the test asks: fail once, crash, wait to be killed."""
    path = context.root / f"{stage}.do"
    wanted = path.read_text(encoding="utf-8") if path.exists() else ""
    if wanted == "input":
        (context.report / "problems.json").write_text("[]", encoding="utf-8")
        raise InputError("text.txt: no words", "write some")
    if wanted == "network once":
        path.unlink()
        raise InfrastructureError("store: not reachable", "try again")
    if wanted == "full":
        raise OSError(28, "No space left on device", "x.bin")
    if wanted == "memory":
        raise MemoryError
    if wanted == "bug":
        raise ZeroDivisionError("tiny")
    if wanted == "cancel":
        context.cancel.cancel("test")
        context.cancel.check()
    if wanted == "hang":
        (context.root / "hanging").write_text(str(os.getpid()), encoding="utf-8")
        time.sleep(600)


class Copy:
    version = 1

    def run(self, context: StageContext) -> Mapping[str, Any]:
        _note(context, "validate")
        text = (context.voice.path / "text.txt").read_text(encoding="utf-8")
        (context.output / "part.txt").write_text("half", encoding="utf-8")
        _hook(context, "validate")
        context.section(ValidateRecipe)
        with context.progress.task("letters", total=len(text)) as task:
            task.advance(len(text))
        (context.output / "part.txt").write_text(text.upper(), encoding="utf-8")
        (context.report / "summary.md").write_text(f"# {text}", encoding="utf-8")
        return {"letters": len(text)}


class Count:
    version = 1

    def run(self, context: StageContext) -> Mapping[str, Any]:
        _note(context, "extract")
        text = (context.inputs["validate"] / "part.txt").read_text(encoding="utf-8")
        checkpoint = context.resume / "checkpoint"
        resumed = checkpoint.exists()
        checkpoint.write_text("here", encoding="utf-8")
        _hook(context, "extract")
        context.section(ExtractRecipe)
        (context.output / "deep").mkdir()
        (context.output / "deep" / "count.txt").write_text(str(len(text)), encoding="utf-8")
        return {"resumed": resumed}


class Judge:
    version = 1

    def run(self, context: StageContext) -> Mapping[str, Any]:
        _note(context, "finetune")
        (context.output / "seed.txt").write_text(str(context.section(FinetuneRecipe).seed), encoding="utf-8")
        return {}

    def decide(self, context: StageContext, measured: Path) -> Mapping[str, Any]:
        _note(context, "decide")
        (context.report / "verdict.txt").write_text(measured.name, encoding="utf-8")
        if (context.root / "red").exists():
            raise CheckFailedError("gate loudness: -30 dBFS, limit -20 dBFS", "record again")
        return {"verdict": "green"}


class Act:
    version = 1

    def run(self, context: StageContext) -> Mapping[str, Any]:
        _note(context, "publish")
        return {"commit": context.origin.commit}


def row(
    number: int, name: str, kind: str, inputs: tuple[str, ...], sections: tuple[str, ...], cached: bool = True
) -> StageRow:
    target = f"{HERE}:{kind}"
    return StageRow(number, name, "", "", "", inputs, sections, target, cached)


ROWS = (
    row(1, "validate", "Copy", (FOLDER, BASE_RATE), ("validate",)),
    row(2, "extract", "Count", ("validate", BASE), ("extract",)),
    row(3, "finetune", "Judge", ("extract", BASE), ("finetune",)),
    row(4, "publish", "Act", (FOLDER, "finetune"), ("publish",), cached=False),
)


def main() -> None:
    """`python -m tests.pipeline.engine.tiny_stages ROOT WAIT_S`: run voice ada once; prints the states."""
    root = Path(sys.argv[1])
    recipe_file = root / "recipe.yaml"
    engine = Engine(Workspace(root), rows=ROWS, wait_s=float(sys.argv[2]))
    if recipe_file.exists():
        engine = Engine(Workspace(root), load_recipe(recipe_file), rows=ROWS, wait_s=float(sys.argv[2]))
    outcomes = engine.run(tiny_voice(root), tiny_base(root))
    print(" ".join(outcome.state for outcome in outcomes))


if __name__ == "__main__":
    main()
