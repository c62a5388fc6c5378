"""The image of the server, built from this checkout and asked for audio as an orchestrator would run it."""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from wyoming.audio import AudioStop
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize

from tests.deploy.processes import free_port
from tests.e2e import containers
from tests.e2e.containers import Container
from tests.e2e.image_server import KEY, open_to_others, post, readable_shelf, speaking
from tests.serving.shelf_of_voices import Shelf
from tests.serving.test_wyoming import sound, talk, types
from tests.serving.test_zero_shot import RECORDING, form, good, wav

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MAX_IMAGE_MB = 700
MAX_PACKAGES_MB = 450
MAX_CODE_MB = 5


@pytest.fixture(scope="session")
def image() -> str:
    reason = containers.missing()
    if reason:
        pytest.skip(reason)
    return containers.build()


@pytest.fixture(scope="module")
def shelf(image: str, tmp_path_factory: pytest.TempPathFactory, pico_export: Path) -> Shelf:
    return readable_shelf(tmp_path_factory.mktemp("image"), pico_export)


@pytest.fixture(scope="module")
def server(image: str, shelf: Shelf) -> Iterator[Container]:
    with speaking(image, shelf) as started:
        yield started


def test_it_speaks_over_http(server: Container, tmp_path: Path) -> None:
    status, data = post(server, "/v1/audio/speech", {"model": "timbre", "voice": "ada", "input": "Good morning."})
    assert status == 200
    (tmp_path / "said.mp3").write_bytes(data)
    samples, rate_hz = soundfile.read(tmp_path / "said.mp3")
    assert rate_hz == 16_000
    assert len(samples) > 0.3 * rate_hz
    assert abs(samples).max() > 1e-4


def test_it_hears_of_a_new_voice(server: Container, shelf: Shelf) -> None:
    assert post(server, "/tts", {"text": "Good morning.", "spk": "bob"})[0] == 404
    shelf.publish("bob", 1)
    deadline = time.monotonic() + 30
    while post(server, "/tts", {"text": "Good morning.", "spk": "bob"})[0] != 200:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.2)


def test_without_a_key_nothing_is_said(server: Container) -> None:
    assert post(server, "/tts", {"text": "Hello.", "spk": "ada"}, key="")[0] == 401


def test_it_runs_as_nobody_and_writes_nowhere_else(server: Container) -> None:
    assert server.python("import os; print(os.getuid(), os.getgid())") == "10001 10001"
    for place in ("/", "/opt/timbre", "/tmp", "/registry", "/etc"):
        done = server.run("sh", "-c", f"echo x > {place}/written", check=False)
        assert done.returncode, place
        assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr, done.stderr
    assert server.run("sh", "-c", "echo x > /var/cache/timbre/written").returncode == 0
    # CapEff of process 1: none.
    assert server.python("print([l.split()[1] for l in open('/proc/1/status') if l.startswith('CapEff')])") == (
        "['0000000000000000']"
    )


def test_torch_and_pip_are_not_in_it(server: Container) -> None:
    program = (
        "import importlib.util as u; "
        "print([n for n in ('torch', 'transformers', 'peft', 'pip', 'pytest', 'onnxruntime', 'timbre') "
        "if u.find_spec(n)])"
    )
    assert server.python(program) == "['onnxruntime', 'timbre']"


def test_nothing_reports_home(server: Container) -> None:
    """Whoever wants no connections out of the server's network sees none tried."""
    assert "elemetry" not in server.log()
    assert server.run("find", "/var/cache/timbre", "-ipath", "*microsoft*").stdout == ""


def test_packages_stay_small(server: Container, image: str) -> None:
    packages = server.python(
        "import site, pathlib; "
        "print(sum(p.stat().st_size for p in pathlib.Path(site.getsitepackages()[0]).rglob('*') if p.is_file()))"
    )
    packages_mb = int(packages) / 1e6
    size_mb, base_mb = containers.size_mb(image), containers.size_mb(containers.BASE)
    print(f"image serve: {size_mb:.0f} MB (limit {MAX_IMAGE_MB} MB)")
    print(f"of these {base_mb:.0f} MB base image")
    print(f"Python packages: {packages_mb:.0f} MB (limit {MAX_PACKAGES_MB} MB)")
    assert 100 < packages_mb < MAX_PACKAGES_MB
    assert size_mb < MAX_IMAGE_MB


def test_our_code_is_a_small_layer_of_its_own(image: str) -> None:
    layers = containers.copied_layers(image)
    print(f"layer that changes with our code: {layers.code:.1f} MB (limit {MAX_CODE_MB} MB); data {layers.data:.1f} MB")
    assert layers.packages > 100
    assert 0.1 < layers.code < MAX_CODE_MB
    assert 0.1 < layers.data < 1


_IMPORTS = """
import importlib, json, pkgutil
missing = set()
for room in ("api", "core", "inference", "registry", "serving", "text"):
    package = importlib.import_module(f"timbre.{room}")
    for found in pkgutil.walk_packages(package.__path__, f"timbre.{room}."):
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            missing.add(error.name.split(".")[0])
from timbre.text.frontend import phonemize
for text, language in (("A quick brown xylograph.", "en"), ("你好，世界。", "zh")):
    assert len(phonemize(text, language).phones) > 3
import boto3
for service in ("s3", "kms"):
    boto3.client(service, region_name="eu-west-1")
print(json.dumps(sorted(missing)))
"""


def test_all_that_a_server_imports_is_in_it(server: Container) -> None:
    """Packages are trimmed: what is missing belongs to extras that the image leaves out (asia, hub)."""
    missing = set(json.loads(server.python(_IMPORTS)))
    assert missing <= {"huggingface_hub", "httpx2", "pyopenjtalk", "g2pk2", "jamo", "mecab_ko", "ToJyutping"}


_PROMPT = """
import json, sys
from pathlib import Path
from timbre.inference.exported_base import read_export
from timbre.inference.reference import ReferenceEncoder
from timbre.serving.recordings import reference_of, refuse_two_speakers
from timbre.text.frontend import phonemize
(folder,) = {path.parent for path in Path("/var/cache/timbre").rglob("export.json")}
encoder = ReferenceEncoder(read_export(folder))
recording = reference_of(Path("/recording/ada.wav").read_bytes(), "audio")
refuse_two_speakers(recording, encoder, "audio")
prompt = encoder.prompt(recording, "en", phonemize("Not at this particular case.", "en"))
print(json.dumps([len(prompt.codes), round(recording.speech_s, 1)]))
"""


def test_voices_of_one_recording_and_the_bridge_to_home_assistant(image: str, shelf: Shelf, tmp_path: Path) -> None:
    """Both want packages of their own. pico hears no words: its server listens to both sounds, then asks for an ear."""
    recording, bridge = tmp_path / "recording" / "ada.wav", free_port()
    recording.parent.mkdir()
    recording.write_bytes(wav(RECORDING))
    open_to_others(recording.parent)
    options = [
        "--volume", f"{recording.parent}:/recording:ro", "--publish", f"127.0.0.1:{bridge}:10300",
        "--env", "TIMBRE_SERVE_ZERO_SHOT=/var/cache/timbre/voices", "--env", "TIMBRE_SERVE_WYOMING=0.0.0.0:10300",
        "--env", "TIMBRE_SERVE_WYOMING_OPEN=true", "--env", "TIMBRE_SERVE_DEFAULT_VOICE=ada",
    ]  # fmt: skip
    with speaking(image, shelf, *options) as server:
        body, headers = form(good())
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/v1/audio/voices", body, {**headers, "authorization": f"Bearer {KEY}"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=120)
        assert (refused.value.code, json.load(refused.value)["error"]["code"]) == (403, "consent_unheard")
        codes, speech_s = json.loads(server.python(_PROMPT))
        assert codes > 50
        assert speech_s > 3
        sent = [Describe(), Synthesize("Good morning.")]
        events = talk(bridge, sent, lambda event: AudioStop.is_type(event.type))
        assert types(events) == ["info", "audio-start", "audio-chunk", "audio-stop"]
        assert next(voice.name for program in Info.from_event(events[0]).tts for voice in program.voices) == "ada"
        assert len(sound(events)) > 10_000


def test_the_bill_of_materials_names_every_package(server: Container, image: str, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("cyclonedx-py")
    root = containers.call("podman", "image", "mount", image).stdout.strip()
    try:
        containers.call("ci/sbom.sh", root, str(tmp_path / "serve.cdx.json"), str(program))
    finally:
        containers.call("podman", "image", "unmount", image)
    bill = json.loads((tmp_path / "serve.cdx.json").read_text(encoding="utf-8"))
    named = {(canonical(item["name"]), item["version"]) for item in bill["components"]}
    listed = server.python(
        "import json; from importlib.metadata import distributions; "
        "print(json.dumps([[d.metadata['Name'], d.version] for d in distributions()]))"
    )
    installed = {(canonical(name), version) for name, version in json.loads(listed)}
    print(f"bill of materials: {len(named)} packages of {len(installed)} installed")
    assert named == installed
    assert dict(named)["onnxruntime"]


def test_doctor_inside(server: Container) -> None:
    said = json.loads(server.run("timbre", "doctor", "--json").stdout)
    findings = {item["name"]: item for item in said["findings"]}
    assert "in production" in findings["registry"]["value"]
    assert findings["encoders"]["state"] == findings["HTTP server"]["state"] == "ok"


def test_what_the_image_says_of_itself(server: Container, image: str) -> None:
    about = json.loads(containers.call("podman", "image", "inspect", image).stdout)[0]
    settings = about["Config"]
    assert settings["User"] == "10001:10001"
    assert list(settings["ExposedPorts"]) == ["9880/tcp"]
    assert settings["Labels"]["org.opencontainers.image.revision"] == "0123456789ab"
    assert about["Healthcheck"]["Test"][-1] == "timbre.serving.probe"
    body = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=20).read()
    assert "0123456789ab" in body.decode()


def test_open_to_the_network_without_a_key_is_refused(image: str) -> None:
    """The image listens on all addresses, so it wants a key, or the plain word that it shall answer everybody."""
    refused = containers.start(image)
    try:
        containers.call("podman", "wait", refused.id)
        assert refused.inspect()["State"]["ExitCode"] == 40
        assert "api_keys" in refused.log()
    finally:
        refused.remove()


def test_health_check_turns_red(image: str, tmp_path: Path) -> None:
    """Alive is not ready: the probe of a container whose server is not up fails."""
    idle = containers.start(
        image, "--entrypoint", "python", command=("-c", "import time; time.sleep(600)")
    )  # fmt: skip
    try:
        assert containers.call("podman", "healthcheck", "run", idle.id, check=False).returncode
        assert "refused" in idle.run("python", "-m", "timbre.serving.probe", check=False).stdout
    finally:
        idle.remove()


def test_it_ends_when_asked(image: str, shelf: Shelf) -> None:
    started = containers.start(
        image, "--volume", f"{shelf.folder}:/registry:ro", "--env", f"TIMBRE_SERVE_API_KEYS={KEY}"
    )
    try:
        started.wait_healthy()
        assert started.stop() == 0, started.log()
    finally:
        started.remove()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
