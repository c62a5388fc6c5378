"""What a push costs beside training and speaking, how fast a revert speaks, and many voices in one push.

python -m benchmarks.pushes [--voices 20] [--fresh] [--runs 3]

A bare repository whose hook runs our .gitlab-ci.yml with gitlab-ci-local, each job in a separate checkout, on the
generated base pico; a server runs over the registry. Printed together, from one run, with limits and exit code 1 when
one is missed:

one voice    from `git push` to the end of its pipeline, what the stages themselves took (their stage.json), the rest:
             besides training and synthesis (stages 3 and 4) less than 30 s
revert       from `git push` to the first answer of the running server in the old version: less than 15 s, and no
             training step by the records of stage 3
N voices     wall and processor time of one push; with N/4 and N/2 before it, so that growth is seen: all in production,
             and a voice of N takes at most 1.5 times one of N/4

Without --fresh the many voices share their recordings, so that stages are found in the cache and the pipeline is what
is measured; with it each has a folder of its own, and all are trained.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.server import report
from tests.e2e import gitlab_tool
from tests.e2e.forge import Forge, new_forge
from tests.e2e.gitlab_tool import Pipeline
from tests.e2e.listener import Listener, listening
from tests.e2e.material import operator_registry, voice_folder
from timbre.cli.sample_run import TEXTS
from timbre.gptsovits.files.pico import make_pico

LIMITS = {"overhead s": 30.0, "revert s": 15.0, "training steps": 0, "voices missing": 0, "growth": 1.5}
_SPENT_ON_THE_VOICE = ("finetune", "evaluate")
_POLL_S = 0.05
_LONGEST_S = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs and prints; 1 when a limit is missed. Raises SystemExit where gitlab-ci-local cannot be had, and when a
    pipeline is not green.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pushes", description=__doc__.splitlines()[0])
    parser.add_argument("--voices", type=int, default=20)
    parser.add_argument("--fresh", action="store_true", help="every voice has recordings of its own")
    parser.add_argument("--runs", type=int, default=3, help="reverts that are timed")
    given = parser.parse_args(arguments)
    if reason := gitlab_tool.missing():
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory(prefix="timbre-pushes-") as folder:
        return 0 if _measure(Path(folder), given.voices, given.fresh, given.runs) else 1


def _measure(root: Path, voices: int, fresh: bool, runs: int) -> bool:
    print(f"load average {os.getloadavg()[0]:.1f}", flush=True)
    base = root / "pico"
    make_pico(base)
    seed = operator_registry(root / "operator", base, _export(base, root / "export"))
    forge = new_forge(root / "one", base, seed)
    one, two = voice_folder(root / "variant-one"), voice_folder(root / "variant-two", first=1)
    forge.record(one)
    forge.commit("One voice")
    seconds, processor, pipeline = _pushed(forge)
    work = _stage_seconds(pipeline)
    print(f"one voice    {seconds:7.1f} s from push to end, {processor:.1f} s of processor; in stages", end=" ")
    print(f"{sum(work.values()):.1f} s ({', '.join(f'{name} {value:.1f}' for name, value in work.items())})")
    print(f"             {seconds - sum(work.values()):7.1f} s besides the stages' own work", flush=True)
    fine = [report("besides training, synthesis, s", overhead_s(seconds, work), LIMITS["overhead s"], "one voice")]
    old = forge.version()
    forge.record(two)
    forge.commit("Other recordings")
    _pushed(forge)
    with listening(forge.address, root / "server") as server:
        server.ask("ada", TEXTS["en"])
        spoken, steps = [], 0
        for _ in range(runs):
            forge.git("revert", "--no-edit", "HEAD")
            begun = datetime.now(UTC)
            seconds, processor, pipeline = _until_spoken(forge, server)
            spoken.append((seconds, processor))
            steps += training_steps(pipeline.folder, begun)
        shown = ", ".join(f"{seconds:.1f} ({processor:.1f} of processor)" for seconds, processor in spoken)
        median = statistics.median(seconds for seconds, _ in spoken)
        print(f"revert       {median:7.1f} s from push to spoken, median of {shown}; first: {old}", flush=True)
    longest = max(seconds for seconds, _ in spoken)
    fine.append(report("revert to speech, s (longest)", longest, LIMITS["revert s"], f"{runs} reverts"))
    fine.append(report("training steps of the reverts", steps, LIMITS["training steps"], "by stage.json of stage 3"))
    taken, missing = {}, 0
    for count in sorted({max(1, voices // 4), max(1, voices // 2), voices}):
        taken[count], lost = _many(root / f"many-{count}", base, forge.root / "registry", count, fresh)
        missing += lost
    fine.append(report("voices not in production", missing, LIMITS["voices missing"], f"of {sum(taken)} pushed"))
    fine.append(report("growth of seconds a voice", growth(taken), LIMITS["growth"], f"{min(taken)} to {max(taken)}"))
    return all(fine)


def overhead_s(whole_s: float, stage_s: Mapping[str, float]) -> float:
    """What a push took beside training and synthesis."""
    return whole_s - sum(stage_s.get(name, 0.0) for name in _SPENT_ON_THE_VOICE)


def growth(taken: Mapping[int, float]) -> float:
    """taken: number of voices -> seconds of their push. Seconds a voice of the most, over those of the fewest."""
    fewest, most = min(taken), max(taken)
    return (taken[most] / most) / (taken[fewest] / fewest)


def training_steps(checkout: Path, begun: datetime) -> int:
    """Steps that stage 3 made below a checkout since then: what came out of the stage cache is older.

    A record that names no steps counts as one: training that does not say what it did is training.
    """
    # Records are dated in whole seconds.
    made, begun = 0, begun.replace(microsecond=0)
    for path in checkout.rglob("stage.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("stage") == "finetune" and datetime.fromisoformat(record["started"]) >= begun:
            steps = [value for name, value in record.get("facts", {}).items() if name.endswith("_steps")]
            made += sum(steps) if steps else 1
    return made


def _many(root: Path, base: Path, seed: Path, count: int, fresh: bool) -> tuple[float, int]:
    """Wall seconds of one push of so many voices, and how many of them are not in production afterwards."""
    forge = new_forge(root, base, seed)
    for index in range(count):
        folder = voice_folder(root / "recordings" / str(index), first=index % 2)
        if fresh:
            # Another file in the folder makes it another voice to the pipeline.
            (folder / "lexicon.txt").write_text(f"# voice {index}\nTimbre T AE1 M B ER0\n", encoding="utf-8")
        forge.record(folder, f"voice-{index:02d}")
    forge.commit(f"{count} voices")
    seconds, used, pipeline = _pushed(forge)
    done = [name for name in forge.registry.voices() if forge.version(name)]
    if len(done) != count:
        print(f"{count - len(done)} of {count} voices are not in production:\n{pipeline.log[-2000:]}")
    print(
        f"{count:2d} voices    {seconds:7.1f} s, {used:.1f} s of processor, {used / count:.1f} s a voice; "
        f"{len(done)} in production",
        flush=True,
    )
    shutil.rmtree(root)
    return seconds, count - len(done)


def _pushed(forge: Forge) -> tuple[float, float, Pipeline]:
    """Wall seconds, processor seconds of everything that the push started, and its pipeline."""
    started, before = time.monotonic(), _processor_s()
    pipeline = forge.push()
    seconds, processor = time.monotonic() - started, _processor_s() - before
    if pipeline is None or not pipeline.green:
        raise SystemExit(f"the pipeline failed:\n{pipeline.log[-3000:] if pipeline else ''}")
    return seconds, processor, pipeline


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _until_spoken(forge: Forge, server: Listener) -> tuple[float, float, Pipeline]:
    """Seconds from the push to the first answer in the version that the revert brings back, those of processor, and the
    pipeline.
    """
    before = server.ask("ada", "Yes.").voice
    started = time.monotonic()
    _, processor, pipeline = _pushed(forge)
    while server.ask("ada", "Yes.").voice == before:
        if time.monotonic() - started > _LONGEST_S:
            raise SystemExit("the server never spoke the old version")
        time.sleep(_POLL_S)
    return time.monotonic() - started, processor, pipeline


def _stage_seconds(pipeline: Pipeline) -> dict[str, float]:
    """What the stages say of themselves, from the records in the jobs' checkouts."""
    found: dict[str, float] = {}
    for path in pipeline.folder.rglob("stage.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if "seconds" in record and "stage" in record:
            found[record["stage"]] = float(record["seconds"])
    return found


def _export(base: Path, target: Path) -> Path:
    from timbre.core.base import read_base
    from timbre.training.export.base_export import export_base

    export_base(read_base(base), target)
    return target


if __name__ == "__main__":
    raise SystemExit(main())
