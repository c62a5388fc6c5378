"""The images `serve-gpu` and `train`, built and used: on request (TIMBRE_IMAGES=all), since they take gigabytes."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.e2e import containers
from tests.e2e.containers import Container
from tests.e2e.gitlab_tool import ROOT
from tests.e2e.image_server import KEY, open_to_others, post, readable_shelf, speaking
from tests.e2e.material import voice_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

MAX_CODE_MB = 5
CUDA = "CUDAExecutionProvider"


def built(target: str) -> str:
    reason = containers.missing_for(target)
    if reason:
        pytest.skip(reason)
    return containers.build(target)


@pytest.fixture(scope="module")
def gpu_image() -> str:
    return built("serve-gpu")


@pytest.fixture(scope="module")
def gpu_server(gpu_image: str, tmp_path_factory: pytest.TempPathFactory, pico_export: Path) -> Iterator[Container]:
    shelf = readable_shelf(tmp_path_factory.mktemp("gpu"), pico_export)
    with speaking(gpu_image, shelf, "--env", "TIMBRE_SERVE_DEVICE=auto") as started:
        yield started


def test_the_image_for_cuda_speaks_without_one_and_says_so(gpu_server: Container, tmp_path: Path) -> None:
    offered = gpu_server.python("import onnxruntime; print(*onnxruntime.get_available_providers())").split()
    assert CUDA in offered
    status, sound = post(gpu_server, "/v1/audio/speech", {"model": "timbre", "voice": "ada", "input": "Good morning."})
    assert status == 200
    (tmp_path / "said.mp3").write_bytes(sound)
    samples, rate_hz = soundfile.read(tmp_path / "said.mp3")
    assert len(samples) > 0.3 * rate_hz
    assert abs(samples).max() > 1e-4
    # Problems are for those who have a key.
    question = urllib.request.Request(
        f"http://127.0.0.1:{gpu_server.port}/readyz", headers={"authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(question, timeout=20) as answer:
        ready = json.loads(answer.read())
    assert ready["device"] == "cpu"
    assert any("cuda:0 cannot be used" in line and "driver" in line for line in ready["problems"]), ready
    assert "speaking on the processor" in gpu_server.log()


def test_the_image_for_cuda_holds_its_own_runtime_only(gpu_server: Container, gpu_image: str) -> None:
    program = (
        "import importlib.util as u, importlib.metadata as m, sys; names = {d.metadata['Name'] for d in "
        "m.distributions()}; print(sys.version_info[:2], sorted(n for n in names if n.startswith('onnxruntime')), "
        "[n for n in ('torch', 'pip') if u.find_spec(n)])"
    )
    assert gpu_server.python(program) == "(3, 12) ['onnxruntime-gpu'] []"
    layers = containers.copied_layers(gpu_image)
    print(f"image serve-gpu without its base image: {layers.packages:.0f} MB packages, {layers.code:.1f} MB code")
    assert layers.code < MAX_CODE_MB


@pytest.fixture(scope="module")
def train_image() -> str:
    return built("train")


@pytest.fixture(scope="module")
def job(train_image: str, tmp_path_factory: pytest.TempPathFactory, pico_base: Path) -> Iterator[Container]:
    """A container as a runner starts it, without a network, with a repository that holds one voice and nothing else."""
    root = tmp_path_factory.mktemp("train")
    voice_folder(root / "voices" / "ada")
    shutil.copytree(pico_base, root / "bases" / "pico")
    (root / "recipes").mkdir()
    shutil.copyfile(ROOT / "recipes" / "ci.yaml", root / "recipes" / "default.yaml")
    open_to_others(root)
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode | (0o777 if path.is_dir() else 0o444))
    started = containers.call(
        "podman", "run", "--detach", "--pull", "never", "--network", "none", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--volume", f"{root}:/work", train_image, "sleep", "3600",
    )  # fmt: skip
    container = Container(started.stdout.strip().splitlines()[-1], 0)
    try:
        yield container
    finally:
        container.remove()


def test_the_image_for_jobs_lacks_nothing(job: Container) -> None:
    said = json.loads(job.run("timbre", "doctor", "--json").stdout)
    findings = {item["name"]: item for item in said["findings"]}
    assert said["exit_code"] == 0
    assert {name for name, item in findings.items() if item["state"] == "failure"} == set()
    assert job.python("import os; print(os.getuid())") == "10001"
    assert "git version" in job.run("git", "--version").stdout
    assert "git-lfs" in job.run("git", "lfs", "version").stdout


def test_the_image_for_jobs_brings_the_bases(job: Container) -> None:
    assert "nano" in job.run("timbre", "base", "list").stdout


def test_stages_run_in_the_image_for_jobs(job: Container) -> None:
    """Stages 1 and 2 check and prepare, stage 3 trains both networks."""
    done = job.run("timbre", "run", "ada", "--until", "finetune", "--json")
    (voice,) = json.loads(done.stdout)["voices"]
    assert [stage["name"] for stage in voice["stages"]] == ["validate", "extract", "finetune"]
    print("stages in the image:", {stage["name"]: f"{stage['seconds']:.1f} s" for stage in voice["stages"]})
    trained = job.run("find", voice["stages"][-1]["path"], "-name", "*.safetensors").stdout.split()
    assert trained


def test_sizes_of_the_image_for_jobs(train_image: str) -> None:
    print(f"image train: {containers.size_mb(train_image):.0f} MB; {containers.copied_layers(train_image)}")
    assert containers.copied_layers(train_image).code < MAX_CODE_MB
