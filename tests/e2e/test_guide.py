"""The five commands of docs/host.md as the page has them, in sequence, on a Debian that has nothing: TIMBRE_GUIDE=all.

The machine is a container with this host's network. Three things are not as the page has them: the address of the copy
is a folder, wheels of `make wheelhouse` stand in for the same files of the package index, and the fourth command, which
stays in the foreground, runs beside the fifth. The commands install gigabytes and train a voice.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.e2e import containers
from tests.e2e.containers import ROOT, Container

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

PAGE = ROOT / "docs" / "host.md"
DEBIAN = "localhost/timbre-test:debian"
COPY = "YOUR-COPY-OF-THIS-REPOSITORY"
LIMIT = 5


def commands() -> list[str]:
    """Those of the page's first block."""
    block = re.search(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert block is not None
    return block[1].replace("\\\n", " ").strip().splitlines()


def test_the_page_needs_five_commands() -> None:
    listed = commands()
    print(f"commands from a fresh machine to speech over TLS: {len(listed)} (limit {LIMIT})")
    assert len(listed) <= LIMIT
    assert listed[0].startswith("apt-get update")
    assert "https://" in listed[-1]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Container]:
    """Debian as its own installer leaves it, with certificates, and this commit as a repository in /copy."""
    if os.environ.get("TIMBRE_GUIDE") != "all":
        pytest.skip("the guide's commands run where TIMBRE_GUIDE=all: gigabytes and many minutes")
    if reason := containers.missing():
        pytest.skip(reason)
    if containers.call("podman", "image", "exists", DEBIAN, check=False).returncode:
        archive = containers.FOLDER / "debian.tar"
        containers.call(
            "mmdebstrap", "--quiet", "--variant=important", "--include=ca-certificates", "bookworm", str(archive)
        )
        containers.call("podman", "import", str(archive), DEBIAN)
        archive.unlink()
    wheels = containers.wheelhouse("train")
    subprocess.run(["git", "clone", "--quiet", "--bare", str(ROOT), str(tmp_path / "copy.git")], check=True)
    authorities = "/etc/ssl/certs/ca-certificates.crt"
    started = containers.call(
        "podman", "run", "--detach", "--pull", "never", "--network", "host", "--workdir", "/root",
        "--volume", f"{wheels}:/wheels:ro", "--env", "PIP_FIND_LINKS=/wheels",
        "--env", "DEBIAN_FRONTEND=noninteractive", "--volume", f"{authorities}:/authorities.crt:ro",
        "--env", "PIP_CERT=/authorities.crt",
        "--volume", f"{tmp_path / 'copy.git'}:/copy.git:ro", DEBIAN, "sleep", "7200",
    )  # fmt: skip
    container = Container(started.stdout.strip().splitlines()[-1], 0)
    try:
        yield container
    finally:
        container.remove()


def test_five_commands_lead_to_speech_over_tls(machine: Container, tmp_path: Path) -> None:
    install, clone, run, serve, speak = commands()
    assert COPY in clone
    assert machine.run("sh", "-c", "command -v git make gcc python3 nginx curl", check=False).stdout == ""
    for command in (install, clone.replace(COPY, "/copy.git"), run):
        started = time.monotonic()
        done = machine.run("sh", "-c", command)
        print(f"{time.monotonic() - started:.0f} s: {command}")
    assert "awb" in done.stdout + done.stderr
    log = tmp_path / "serve.log"
    with log.open("wb") as output, machine.background("sh", "-c", serve, output=output) as server:
        while b"speaks; keys" not in log.read_bytes():
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
        assert machine.run("sh", "-c", speak).returncode == 0
        (tmp_path / "hello.mp3").write_bytes(b"")
        containers.call("podman", "cp", f"{machine.id}:/root/hello.mp3", str(tmp_path / "hello.mp3"))
        machine.remove()
    samples, rate_hz = soundfile.read(tmp_path / "hello.mp3")
    print(f"speech over TLS: {len(samples) / rate_hz:.1f} s at {rate_hz} Hz")
    assert len(samples) > 0.5 * rate_hz
    assert abs(samples).max() > 0.05
