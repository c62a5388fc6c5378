"""The whole way on the base that speaks: a voice pushed, replaced by another speaker's, and brought back by a revert.

python -m benchmarks.nano_push [--first awb] [--second wren] [--clips 14] [--recipe FILE] [--base nano] [--sentences 5]

A bare repository whose hook runs our .gitlab-ci.yml with gitlab-ci-local; a running server is asked after each push.
Printed for each push, in one run: what the pipeline did, its wall time, which version answers, and how alike its speech
is to the recordings of both speakers (GE2E cosine; each speaker's recordings among themselves beside it). Exit code 1
when a version that was asked for does not answer, when the revert trains, or when speech is more like the other one's.

The recipe is recipes/ci.yaml unless one is given: a few training steps only, so that the speaker comes mostly from
prompt and style vector. With --recipe recipes/default.yaml voices are trained as they should be.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import yaml
from numpy.typing import NDArray

from tests.e2e import gitlab_tool
from tests.e2e.forge import Forge, new_forge
from tests.e2e.gitlab_tool import ROOT
from tests.e2e.listener import Listener, listening
from tests.e2e.material import voice_folder
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.base import load_base
from timbre.core.progress import SilentProgress
from timbre.evaluation.metrics.speaker import cosine, real_to_real
from timbre.pipeline.bases.exported import publish_exported
from timbre.pipeline.stages.validate.speakers import SpeakerEncoder
from timbre.registry.address import RegistryAddress

_RATE_HZ = 16_000
_SENTENCES = (
    "The first train leaves at seven, and the library opens at nine.",
    "Please bring the blue folder and two sharpened pencils.",
    "It rained all night, but the morning was clear and cold.",
    "Her brother sold the old house near the river last spring.",
    "Nobody knew how long the meeting would take.",
)


@dataclass(frozen=True)
class Speaker:
    """A sample voice and the embeddings [N, 256] of its recordings."""

    name: str
    folder: Path
    embeddings: NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nano_push", description=__doc__.splitlines()[0])
    parser.add_argument("--first", default="awb")
    parser.add_argument("--second", default="wren")
    parser.add_argument("--clips", type=int, default=14)
    parser.add_argument("--base", default="nano")
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "ci.yaml")
    parser.add_argument("--sentences", type=int, default=5)
    given = parser.parse_args(arguments)
    if reason := gitlab_tool.missing():
        raise SystemExit(reason)
    model = SpeakerEncoder()
    with tempfile.TemporaryDirectory(prefix="timbre-nano-push-") as folder:
        root = Path(folder)
        speakers = [_speaker(root, name, given.base, given.clips, model) for name in (given.first, given.second)]
        base = load_base(given.base, ROOT / "bases")
        publish_exported(base, ROOT, RegistryAddress(str(root / "operator"), os.environ), progress=SilentProgress())
        forge = new_forge(root / "forge", base.folder, root / "operator", given.recipe)
        _let_gates_pass(forge, given.base)
        return _pushes(forge, speakers, _SENTENCES[: given.sentences], model)


def _pushes(forge: Forge, speakers: Sequence[Speaker], sentences: Sequence[str], model: SpeakerEncoder) -> int:
    wrong: list[str] = []
    first, second = speakers
    forge.record(first.folder)
    forge.commit(f"The voice of {first.name}")
    with listening(forge.address, forge.root / "server") as server:
        _step(forge, server, f"push {first.name}", (first, second), sentences, model, wrong)
        old = forge.version()
        forge.record(second.folder)
        forge.commit(f"The voice of {second.name} instead")
        _step(forge, server, f"push {second.name}", (second, first), sentences, model, wrong)
        forge.git("revert", "--no-edit", "HEAD")
        jobs = _step(forge, server, "revert", (first, second), sentences, model, wrong)
    if forge.version() != old:
        wrong.append(f"the revert speaks {forge.version()}, expected {old}")
    if any(name.startswith("finetune") for name in jobs):
        wrong.append("the revert trained")
    print("\n".join(f"WRONG: {line}" for line in wrong) or "all as it should be")
    return 1 if wrong else 0


def _step(
    forge: Forge, server: Listener, title: str, pair: tuple[Speaker, Speaker], sentences: Sequence[str],
    model: SpeakerEncoder, wrong: list[str],
) -> tuple[str, ...]:  # fmt: skip
    started = time.monotonic()
    pipeline = forge.push()
    seconds = time.monotonic() - started
    if pipeline is None or not pipeline.green:
        raise SystemExit(f"{title}: the pipeline failed\n{pipeline.log[-4000:] if pipeline else ''}")
    wanted = f"ada@{forge.version()}"
    while server.ask("ada", "Yes.").voice != wanted and time.monotonic() - started < seconds + 30:
        time.sleep(0.05)
    heard = server.ask("ada", "Yes.").voice
    ready = time.monotonic() - started
    if heard != wanted:
        wrong.append(f"{title}: {heard} answers, expected {wanted}")
    spoken = model.embed([_speech(server, text) for text in sentences])
    own, other = (float(cosine(spoken, speaker.embeddings).mean()) for speaker in pair)
    ceiling = real_to_real(pair[0].embeddings)
    jobs = tuple(name for name in pipeline.jobs if name.endswith(" ada"))
    print(f"{title:12s} {seconds:6.1f} s pipeline, {ready:6.1f} s until spoken, {heard}, jobs: {', '.join(jobs)}")
    print(
        f"{'':12s} GE2E to {pair[0].name} {own:.3f}, to {pair[1].name} {other:.3f}; {pair[0].name}'s own recordings "
        f"{ceiling:.3f}"
    )
    if own <= other:
        wrong.append(f"{title}: speech is more like {pair[1].name} ({other:.3f}) than {pair[0].name} ({own:.3f})")
    return jobs


def _speech(server: Listener, text: str) -> NDArray[np.float32]:
    body = json.dumps({"model": "tts-1", "input": text, "voice": "ada", "response_format": "wav"}).encode()
    request = urllib.request.Request(
        f"{server.address}/v1/audio/speech", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as response:
        samples, rate = soundfile.read(io.BytesIO(response.read()), dtype="float32")
    return resample(Waveform(samples, rate), _RATE_HZ).samples


def _speaker(root: Path, name: str, base: str, clips: int, model: SpeakerEncoder) -> Speaker:
    folder = voice_folder(root / name, sample=name, base=base, clips=clips)
    waves = [resample(read(path), _RATE_HZ).samples for path in sorted((folder / "wavs").iterdir())]
    return Speaker(name, folder, model.embed(waves))


def _let_gates_pass(forge: Forge, base: str) -> None:
    """A few training steps pass no gate that means something; what is tried here is the way, not the limits."""
    path = forge.desk / "bases" / base / "gates.yaml"
    gates = yaml.safe_load(path.read_text(encoding="utf-8"))
    gates["min_sentences"] = 2
    for gate in gates["gates"]:
        gate["blocks"] = gate["metric"] == "peak_dbfs"
    path.write_text(yaml.safe_dump(gates), encoding="utf-8")
    forge.commit("Gates that only look")
    forge.push(hold=True)


if __name__ == "__main__":
    raise SystemExit(main())
