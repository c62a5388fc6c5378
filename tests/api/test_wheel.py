"""The wheel outside of the checkout: one import name, its data, and the README's snippet run from it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import soundfile as sf
import yaml

from tests.conftest import ROOT

_NAME = "my-voices"
DATA = (
    "timbre/py.typed", "timbre/serving/page/index.html", "timbre/serving/page/page.js", "timbre/recipes/default.yaml",
    "timbre/recipes/ci.yaml", "timbre/text/data/symbols_v2.txt", "timbre/text/data/phone_grams.npz",
    "timbre/bases/nano/base.yaml", "timbre/bases/nano/gates.yaml",
    "timbre/bases/nano/acoustic.safetensors", "timbre/bases/nano/text_to_semantic.safetensors",
    "timbre/bases/nano/content_encoder.json",
)  # fmt: skip


def snippet() -> str:
    """The Python of the README that imports timbre.api."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    (found,) = [block for block in blocks if "timbre.api" in block]
    return str(found)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tracked files, so that nothing that lies about here gets in."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "Jenkinsfile", "__init__.py", "py.typed"):
        shutil.copyfile(ROOT / name, source / name)
    rooms = [folder for folder in ROOT.iterdir() if (folder / "__init__.py").is_file() and folder.name[0] != "."]
    for folder in (*rooms, *(ROOT / name for name in ("bases", "recipes", "ci", "templates"))):
        shutil.copytree(folder, source / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(target), str(source)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
    (found,) = target.glob("timbre-*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel; libraries come from the environment of the tests."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A path file inside a folder that is added like this is not read: the checkout's own stays out.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return environment / "bin" / "python"


def run(python: Path, program: str, folder: Path) -> str:
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(python), "-c", program], cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_wheel_holds_one_name_and_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    texts = [f"timbre/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "evaluation" / "texts").glob("*.txt")]
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"timbre"}
    assert texts
    assert [name for name in (*DATA, *texts) if name not in names] == []
    assert [name for name in names if name.startswith(("timbre/tests", "timbre/benchmarks", "timbre/voices"))] == []


def test_bases_are_found_without_a_repository(python: Path, tmp_path: Path) -> None:
    said = run(
        python,
        "import timbre, timbre.core.base as b; n = b.load_base('nano'); "
        "print(timbre.__file__); print(n.file_path('acoustic'))",
        tmp_path,
    )
    assert all("site-packages/timbre/" in line for line in said.splitlines())
    assert str(ROOT) not in said


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_readme_runs_from_the_wheel(python: Path, pico_base: Path, tmp_path: Path) -> None:
    """On pico, whose stages take seconds: the sound is noise, the way to it is the same."""
    root = tmp_path / _NAME
    shutil.copytree(pico_base, root / "bases" / "pico")
    shutil.copytree(ROOT / "voices" / "awb", root / "voices" / "awb")
    settings = root / "voices" / "awb" / "voice.yaml"
    settings.write_text(yaml.safe_dump(yaml.safe_load(settings.read_text("utf-8")) | {"base": "pico"}), "utf-8")
    (root / "recipes").mkdir()
    shutil.copyfile(ROOT / "recipes" / "ci.yaml", root / "recipes" / "default.yaml")
    said = run(python, snippet(), tmp_path)
    assert "awb 0" in said, said
    assert sf.info(str(tmp_path / "hello.wav")).duration > 0.2
    assert len(re.findall(r"^16000 \d+$", said, re.M)) >= 1, said
