"""`make run`: a voice of this repository from its recordings to a spoken sentence, and the gates in between.

python -m timbre.cli.sample_run [VOICE] [--text TEXT] [--out FILE]

If the weights of the voice's base are missing, the same five stages run on the generated base pico in
.timbre/sample: everything works, but the speech is noise.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from timbre.cli.main import call
from timbre.core.errors import TimbreError
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.voice.folder import open_voice

TEXTS = {
    "en": "The first train leaves at seven, and the library opens at nine.",
    "zh": "早上七点有第一班火车，图书馆九点开门。",
}
_SEED = "1"


def main(arguments: Sequence[str]) -> int:
    """Runs, prints, and returns the exit code of the step that failed, or 0."""
    parser = argparse.ArgumentParser(prog="make run", description="A voice from its recordings to a spoken sentence.")
    parser.add_argument("voice", nargs="?", default="awb")
    parser.add_argument("--text", default="")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args(arguments)
    workspace = Workspace.find(Path.cwd())
    try:
        voice = open_voice(workspace.voice_path(given.voice))
    except TimbreError as error:
        print(f"timbre: {error}", file=sys.stderr)
        return error.exit_code
    out = given.out or workspace.root / "out" / f"{voice.name}.wav"
    root, registry = workspace.root, []
    missing = why_base_is_missing(workspace, voice.base)
    if missing:
        root = generated_repository(workspace, voice.name)
        # Noise has no business in a registry that others use.
        registry = ["--registry", str(Workspace(root).default_registry)]
        print(f"{missing}; using the generated base pico in {root.relative_to(workspace.root)}")
    text = given.text or TEXTS.get(voice.language, TEXTS["en"])
    code = call(["--root", str(root), "run", voice.name, *registry])
    if code == 0:
        code = call(["--root", str(root), "say", voice.name, text, "-o", str(out), "--seed", _SEED, *registry])
    return code


def why_base_is_missing(workspace: Workspace, name: str) -> str:
    """Why a base cannot be used on this machine, or ""."""
    try:
        base = workspace.load_base(name)
    except TimbreError as error:
        return error.message
    absent = [item.path for item in base.files if not (base.weights_dir() / item.path).is_file()]
    if not base.locked or absent:
        return f"base {name}: {f'{absent[0]} is not here' if absent else 'its digests are not known'}"
    return ""


def generated_repository(workspace: Workspace, voice: str) -> Path:
    """.timbre/sample: a repository with pico, the short recipe, and a copy of the voice that names pico as its base."""
    root = workspace.private / "sample"
    pico = root / "bases" / "pico"
    if not (pico / "base.yaml").is_file():
        from timbre.gptsovits.files.pico import make_pico

        make_pico(pico)
    (root / "recipes").mkdir(exist_ok=True)
    shutil.copyfile(workspace.root / "recipes" / "ci.yaml", root / "recipes" / "default.yaml")
    target = root / "voices" / voice
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(workspace.voice_path(voice), target)
    settings = yaml.safe_load((target / "voice.yaml").read_text(encoding="utf-8")) | {"base": "pico"}
    (target / "voice.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return root


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
