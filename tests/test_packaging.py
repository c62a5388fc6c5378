"""What is shipped: direct dependencies of the server, pins, the Dockerfile, what its build may see."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from importlib import metadata, util
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.serving.test_start import LATER
from timbre.serving.settings import PREFIX, ServeSettings

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAX_DEPENDENCIES = 20
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.fixture(scope="module")
def lister() -> ModuleType:
    """docker/requirements.py, which is a script and no module of a package."""
    spec = util.spec_from_file_location("requirements", ROOT / "docker" / "requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {line.partition("==")[0] for line in lines if "==" in line}


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


DEBIAN_12 = "3.11.2"


def _asked_on_debian_12(requirements: Sequence[str]) -> set[str]:
    """Names of what a list of requirements brings to its Python, through others too, as far as it is installed here."""
    environment = {"python_full_version": DEBIAN_12, "python_version": "3.11", "extra": ""}
    waiting, found = [Requirement(line) for line in requirements], set()
    while waiting:
        asked = waiting.pop()
        if asked.name in found or (asked.marker is not None and not asked.marker.evaluate(environment)):
            continue
        try:
            more = metadata.requires(asked.name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(asked.name)
        waiting += map(Requirement, more)
    return found


def test_every_pinned_package_runs_on_the_python_of_debian_12() -> None:
    """The guide begins there; one package that wants a newer patch release makes the whole installation fail."""
    extras = PROJECT["optional-dependencies"].values()
    asked = _asked_on_debian_12([*PROJECT["dependencies"], *(line for lines in extras for line in lines)])
    wanted = {name: metadata.metadata(name)["Requires-Python"] or "" for name in asked}
    assert len(wanted) > 150
    assert {name: wants for name, wants in wanted.items() if DEBIAN_12 not in SpecifierSet(wants)} == {}


@pytest.mark.parametrize("extra", ["serve-cpu", "serve-gpu"])
def test_the_server_has_few_direct_dependencies(lister: ModuleType, extra: str) -> None:
    wanted = lister.requirements(ROOT / "pyproject.toml", [extra])
    print(f"{extra}: {len(wanted)} direct dependencies (limit {MAX_DEPENDENCIES})")
    assert len(PROJECT["dependencies"]) < len(wanted) <= MAX_DEPENDENCIES, wanted
    assert not {canonical(line) for line in wanted} & {"torch", "transformers", "peft", "torchaudio"}


def test_both_servers_differ_in_the_runtime_only(lister: ModuleType) -> None:
    cpu, gpu = (set(lister.requirements(ROOT / "pyproject.toml", [extra])) for extra in ("serve-cpu", "serve-gpu"))
    assert {canonical(line) for line in cpu ^ gpu} == {"onnxruntime", "onnxruntime-gpu"}


def test_requirements_of_extras(lister: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[project]\ndependencies = ["b"]\n[project.optional-dependencies]\nx = ["a", "b"]\n')
    assert lister.requirements(file, []) == ["b"]
    assert lister.requirements(file, ["x"]) == ["a", "b"]
    with pytest.raises(SystemExit, match="no extra y; there are: x"):
        lister.requirements(file, ["y"])


def test_every_direct_dependency_is_pinned(lister: ModuleType) -> None:
    extras = [name for name in PROJECT["optional-dependencies"] if name != "serve-gpu"]
    wanted = {canonical(line) for line in lister.requirements(ROOT / "pyproject.toml", extras)}
    assert wanted - {canonical(name) for name in pins()} == set()


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint is not installed: make install")
def test_the_dockerfile_is_clean(tmp_path: Path) -> None:
    def lint(file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([HADOLINT, str(file)], cwd=ROOT, capture_output=True, text=True, check=False)

    clean = lint(ROOT / "Dockerfile")
    assert clean.returncode == 0, clean.stdout
    spoilt = tmp_path / "Dockerfile"
    spoilt.write_text((ROOT / "Dockerfile").read_text(encoding="utf-8") + "RUN cd /tmp\n", encoding="utf-8")
    assert "DL3003" in lint(spoilt).stdout


def stages(text: str) -> dict[str, str]:
    """Name of each stage of a Dockerfile -> its lines."""
    parts = re.split(r"^FROM \S+ AS (\S+)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_image_runs_as_nobody_and_says_what_it_is() -> None:
    found = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    for name in ("serve", "serve-gpu", "train"):
        assert re.search(r"^USER 10001:10001$", found[name], re.M), name
        assert "org.opencontainers.image.revision" in found[name], name
    for name in ("serve", "serve-gpu"):
        assert "HEALTHCHECK" in found[name], name
        assert "EXPOSE 9880" in found[name], name
        assert "pip" not in found[name], f"{name}: the compiler's stage installs, not the one that is shipped"


def test_compose_runs_it_as_tightly_as_the_image_allows() -> None:
    plain = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    service = plain["services"]["timbre"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [port.startswith("127.0.0.1:") for port in service["ports"]] == [True]
    targets = [volume.rpartition("}")[2] or volume for volume in service["volumes"]]
    assert targets == [":/registry:ro", "cache:/var/cache/timbre"]
    server = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))[service["build"]["target"]]
    assert "VOLUME /var/cache/timbre" in server
    assert "TIMBRE_REGISTRY=/registry" in server
    settings = {f"{PREFIX}{field.name.upper()}" for field in fields(ServeSettings)}
    assert set(service["environment"]) <= settings
    assert service["environment"][f"{PREFIX}API_KEYS_FILE"] == f"/run/secrets/{service['secrets'][0]}"
    assert set(re.findall(r"TIMBRE_SERVE_[A-Z_]+", server)) <= settings


def test_every_orchestrator_waits_until_answers_have_ended() -> None:
    """A server that is killed before `drain_s` is over cuts off what it is saying."""
    drain_s = ServeSettings().drain_s
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "timbre" / "values.yaml").read_text("utf-8"))["server"]
    assert values["terminationGracePeriodSeconds"] >= values["drainSeconds"] + drain_s + 5
    for file, service in (("compose.yaml", "timbre"), ("deploy/compose/compose.yaml", "timbre")):
        period = yaml.safe_load((ROOT / file).read_text("utf-8"))["services"][service]["stop_grace_period"]
        assert int(period.removesuffix("s")) >= drain_s + 5, file


def test_compose_file_is_one(tmp_path: Path) -> None:
    def says(file: Path) -> int:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert says(ROOT / "compose.yaml") == 0
    spoilt = tmp_path / "compose.yaml"
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    spoilt.write_text(text.replace("cap_drop: [ALL]", "cap_drop: ALL"), encoding="utf-8")
    assert says(spoilt) != 0


def test_every_room_gets_into_the_images_and_nothing_else() -> None:
    """The build sees a list of folders; a room that is missing from it would be missing from the image."""
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages <= allowed
    assert not allowed & {"voices", "tests", "benchmarks", ".git", ".timbre", ".venv"}


def test_the_image_for_ci_jobs_brings_the_bases() -> None:
    """A repository that holds voices only has none of its own; a server reads its bases from the registry."""
    found = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert "docker/install.sh code bases" in found["train-code"]
    for name in ("serve", "serve-gpu", "train"):
        order = [line for line in found[name].splitlines() if line.startswith("COPY") and "/opt/" in line]
        assert [re.search(r"/opt/(\w+)", line)[1] for line in order] == ["timbre", "data", "code"]  # type: ignore[index]
    for name in ("serve", "serve-gpu"):
        assert "install.sh code\n" in found[f"{name}-code"]


def test_what_a_server_imports_with_the_first_recording_has_no_bytecode_in_the_image() -> None:
    script = (ROOT / "docker" / "install.sh").read_text(encoding="utf-8")
    seldom = re.compile("/(" + "|".join(re.findall(r'seldom=[\'"](?:\$seldom\|)?(.+)[\'"]$', script, re.M)) + r")\.py$")
    later = [name for name in LATER if name.startswith(("timbre.inference", "timbre.serving"))]
    assert len(later) >= 3
    for name in later:
        assert seldom.search(f"/{name.replace('.', '/')}.py"), name
    assert not seldom.search("/timbre/inference/open_graphs.py"), "every start opens graphs"


def locked_extras() -> dict[str, list[str]]:
    """Each lock and the extras that it holds, as ci/locks.sh makes it."""
    text = (ROOT / "ci" / "locks.sh").read_text(encoding="utf-8")
    found = re.findall(r'requirements\.py (\S+) >"\$work/([\w-]+)\.in"', text)
    return {"build": []} | {name: extras.split(",") for extras, name in found}


LOCKS = locked_extras()
_HASH = re.compile(r" +--hash=sha256:[0-9a-f]{64}(?: \\)?")


def test_every_image_takes_its_packages_by_a_lock() -> None:
    found = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    asked = {name: re.findall(r"docker/install\.sh packages (.+)$", text, re.M) for name, text in found.items()}
    assert [lines for lines in asked.values() if lines] == [["serve"], ["serve-gpu"], ["train"]]


def lock_text(name: str) -> str:
    return (ROOT / "docker" / f"{name}.lock").read_text(encoding="utf-8")


def locked(text: str) -> dict[str, str]:
    """Package -> its version in a lock; fails for a line that is neither a package nor a hash, or without a hash."""
    found: dict[str, str] = {}
    hashes = 1
    for line in text.splitlines():
        if pin := re.fullmatch(r"([A-Za-z0-9._-]+)==([^ ;]+)(?: ?;[^\\]*)? \\", line):
            assert hashes, f"no hash before {line}"
            found[canonical(pin[1])], hashes = pin[2], 0
        elif line and not line.startswith("#"):
            assert _HASH.fullmatch(line), line
            hashes += 1
    assert hashes, "no hash for the last package"
    return found


def wrong_with(text: str, wanted: Sequence[str], python: str) -> set[str]:
    """Packages that a lock lacks: what is wanted and, of packages that are installed here, what they need in turn.

    pip installs a lock with --no-deps: what is missing from it is missing from the image.
    """
    packages, missing, seen = locked(text), set(), set()
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    waiting = [Requirement(line) for line in wanted]
    while waiting:
        requirement = waiting.pop()
        name, extras = canonical(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name not in packages:
            missing.add(name)
            continue
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # ONNX Runtime for CUDA
        for need in map(Requirement, needs):
            asked = (
                [need.marker.evaluate(environment | {"extra": extra}) for extra in ("", *extras)]
                if need.marker
                else [True]
            )
            if any(asked):
                waiting.append(need)
    return missing


@pytest.mark.parametrize("name", LOCKS)
def test_locks_hold_hashes_of_what_is_tested(lister: ModuleType, name: str) -> None:
    """`pip install --require-hashes` refuses a line without a hash."""
    packages = locked(lock_text(name))
    assert packages
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested: dict[str, set[str]] = {}
    for line in lines:
        if "==" in line and not line.startswith("#"):
            package, _, version = line.partition(";")[0].strip().partition("==")
            tested.setdefault(canonical(package), set()).add(version)
    different = {package: version for package, version in packages.items() if package in tested}
    assert {package for package, version in different.items() if version not in tested[package]} == set()
    wanted = lister.requirements(ROOT / "pyproject.toml", LOCKS[name]) if LOCKS[name] else ["setuptools", "wheel"]
    wanted = [line for line in wanted if not (marker := Requirement(line).marker) or marker.evaluate()]
    assert wrong_with(lock_text(name), wanted, "3.12" if name == "serve-gpu" else "3.11") == set(), "run: make locks"


def test_the_check_of_locks_can_fail() -> None:
    text = lock_text("serve")
    entry = re.search(r"^starlette==.*?(?=^\S)", text, re.M | re.S)
    assert entry is not None
    assert wrong_with(text.replace(entry[0], ""), ["fastapi"], "3.11") == {"starlette"}
    assert wrong_with(text, ["fastapi", "torch"], "3.11") == {"torch"}
    digest = re.search(r"[0-9a-f]{64}", text)
    assert digest is not None
    for broken in (text.replace(digest[0], digest[0][1:]), re.sub(r"^ +--hash.*\n", "", entry[0], flags=re.M)):
        with pytest.raises(AssertionError):
            locked(broken)
