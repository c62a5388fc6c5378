"""Pulling: locked at the first time, the same bytes ever after, resumed when cut, complete or absent."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.pipeline.bases.hub_stub import HubStub, serve
from timbre.core.base import load_base, load_weights
from timbre.core.errors import CheckFailedError, ConfigurationError, InfrastructureError
from timbre.core.weights import Tool, read_tool
from timbre.pipeline.bases.pull import pull

ROOT = Path(__file__).resolve().parents[3]
FIRST, SECOND = "1" * 40, "2" * 40
CONTENT = {"a/model.bin": b"first model" * 1000, "b/model.bin": b"second model", "a/config.json": b"{}"}


def put_tool(folder: Path, name: str = "voices", hub: bool = True, url: str | None = None) -> Tool:
    (folder / name).mkdir(parents=True)
    files = [{"role": f"part_{i}", "path": path, "sha256": None} for i, path in enumerate("abc")]
    for item, path in zip(files, CONTENT, strict=True):
        item["path"] = path
        if url:
            item["url"] = f"{url}/owner/repo/resolve/main/{path}"
    plain = {"name": name, "files": files} | ({"hub": {"repo": "owner/repo", "revision": None}} if hub else {})
    (folder / name / "weights.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    return read_tool(folder / name)


def put_files(folder: Path) -> Path:
    for path, content in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubStub]:
    constants = pytest.importorskip("huggingface_hub.constants")
    with serve(HubStub("owner/repo", {FIRST: dict(CONTENT)})) as stub:
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield stub


def visible(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_first_pull_locks_revision_and_digests(tmp_path: Path, hub: HubStub) -> None:
    tool = put_tool(tmp_path / "bases")
    report = pull(tool, tmp_path / "w", hub_endpoint=hub.url)
    assert (report.revision, report.locked_now) == (FIRST, True)
    assert visible(tmp_path / "w" / "voices") == sorted(CONTENT)
    locked = read_tool(tool.folder)
    assert locked.hub is not None
    assert locked.hub.revision == FIRST
    assert {i.path: i.sha256 for i in locked.files} == {p: hashlib.sha256(c).hexdigest() for p, c in CONTENT.items()}
    asked = len(hub.requests)
    again = pull(locked, tmp_path / "w", hub_endpoint=hub.url)
    assert (again.source, again.locked_now) == ("already there", False)
    assert len(hub.requests) == asked
    assert [p.name for p in (tmp_path / "w").iterdir() if not p.name.endswith(".lock")] == ["voices"]


def test_a_locked_base_ignores_what_main_became(tmp_path: Path, hub: HubStub) -> None:
    tool = put_tool(tmp_path / "bases")
    pull(tool, tmp_path / "w", hub_endpoint=hub.url)
    hub.revisions[SECOND] = dict.fromkeys(CONTENT, b"another")
    pull(read_tool(tool.folder), tmp_path / "elsewhere", hub_endpoint=hub.url)
    assert (tmp_path / "elsewhere" / "voices" / "b/model.bin").read_bytes() == CONTENT["b/model.bin"]
    for method, path, _ in hub.requests:
        assert SECOND not in path, (method, path)


@pytest.mark.parametrize("lfs", [True, False])
def test_other_bytes_are_refused(tmp_path: Path, hub: HubStub, lfs: bool) -> None:
    hub.lfs = lfs
    tool = put_tool(tmp_path / "bases")
    pull(tool, tmp_path / "w", hub_endpoint=hub.url)
    hub.revisions[FIRST] = dict(CONTENT, **{"b/model.bin": b"second modem"})
    with pytest.raises(CheckFailedError, match=r"b/model.bin .* locked to"):
        pull(read_tool(tool.folder), tmp_path / "elsewhere", hub_endpoint=hub.url)
    assert not (tmp_path / "elsewhere" / "voices").exists()
    hub.revisions[FIRST] = dict(CONTENT)
    report = pull(read_tool(tool.folder), tmp_path / "elsewhere", hub_endpoint=hub.url)
    assert {item.path: item.how for item in report.files}["a/model.bin"] == "present"


def test_a_cut_download_goes_on_where_it_stopped(tmp_path: Path, hub: HubStub) -> None:
    tool = put_tool(tmp_path / "bases")
    hub.cut_at = 5000
    with pytest.raises(InfrastructureError, match="5000 of 11000 bytes came"):
        pull(tool, tmp_path / "w", hub_endpoint=hub.url)
    assert not (tmp_path / "w" / "voices").exists()
    assert not read_tool(tool.folder).locked
    hub.status, hub.cut_at = None, None
    hub.revisions[SECOND] = dict.fromkeys(CONTENT, b"another")  # main moves on between the two attempts
    report = pull(tool, tmp_path / "w", hub_endpoint=hub.url)
    assert report.revision == FIRST
    assert visible(tmp_path / "w" / "voices") == sorted(CONTENT)
    assert [r for r in hub.requests if r[2].startswith("bytes=5000")]
    assert hub.sent_bytes == sum(map(len, CONTENT.values()))


def test_a_download_that_ended_before_it_got_its_name(tmp_path: Path, hub: HubStub) -> None:
    tool = put_tool(tmp_path / "bases")
    part = tmp_path / "w/.voices.partial/a/model.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT["a/model.bin"])
    pull(tool, tmp_path / "w", hub_endpoint=hub.url)
    assert hub.sent_bytes == len(CONTENT["b/model.bin"]) + len(CONTENT["a/config.json"])


@pytest.mark.parametrize("same_host", [True, False])
def test_the_token_stays_with_the_hub(
    tmp_path: Path, hub: HubStub, monkeypatch: pytest.MonkeyPatch, same_host: bool
) -> None:
    """Large files are on another host; a server there must not learn the token."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serve(HubStub("owner/repo", {FIRST: dict(CONTENT)})) as storage:
        hub.storage = "" if same_host else storage.url.replace("127.0.0.1", "localhost")
        pull(put_tool(tmp_path / "bases"), tmp_path / "w", hub_endpoint=hub.url)
        assert set(hub.tokens) == {"Bearer hf_secret"}
        assert set(storage.tokens) == (set() if same_host else {""})


def test_what_a_retry_cures_is_told_from_what_it_does_not(tmp_path: Path, hub: HubStub) -> None:
    tool = put_tool(tmp_path / "bases")
    hub.status = 500
    with pytest.raises(InfrastructureError, match="--from DIR"):
        pull(tool, tmp_path / "w", hub_endpoint=hub.url)
    hub.status = 403
    with pytest.raises(ConfigurationError):
        pull(tool, tmp_path / "w", hub_endpoint=hub.url)
    hub.status = None
    del hub.revisions[FIRST]["b/model.bin"]
    with pytest.raises(ConfigurationError, match=r"b/model\.bin: not in the repository"):
        pull(tool, tmp_path / "w", hub_endpoint=hub.url)
    hub.repo = "other/repo"
    with pytest.raises(ConfigurationError):
        pull(put_tool(tmp_path / "more"), tmp_path / "w2", hub_endpoint=hub.url)


def test_nobody_listens(tmp_path: Path, hub: HubStub) -> None:
    with pytest.raises(InfrastructureError, match="not reachable"):
        pull(put_tool(tmp_path / "bases"), tmp_path / "w", hub_endpoint="http://127.0.0.1:9")


def test_files_that_another_base_has_are_linked(tmp_path: Path, hub: HubStub) -> None:
    pull(put_tool(tmp_path / "bases", "one"), tmp_path / "w", hub_endpoint=hub.url)
    sent = hub.sent_bytes
    report = pull(put_tool(tmp_path / "bases", "two"), tmp_path / "w", hub_endpoint=hub.url)
    assert {item.how for item in report.files} == {"linked"}
    assert hub.sent_bytes == sent
    assert (tmp_path / "w/one/a/model.bin").samefile(tmp_path / "w/two/a/model.bin")


def test_damaged_weights_are_replaced(tmp_path: Path) -> None:
    tool = put_tool(tmp_path / "bases")
    pull(tool, tmp_path / "w", put_files(tmp_path / "copy"))
    (tmp_path / "w/voices/a/model.bin").write_bytes(b"broken")
    report = pull(read_tool(tool.folder), tmp_path / "w", tmp_path / "copy")
    assert {item.path: item.how for item in report.files} == {
        "a/model.bin": "fetched",
        "b/model.bin": "linked",
        "a/config.json": "linked",
    }
    assert (tmp_path / "w/voices/a/model.bin").read_bytes() == CONTENT["a/model.bin"]


def test_from_a_folder(tmp_path: Path) -> None:
    tool = put_tool(tmp_path / "bases")
    copy = put_files(tmp_path / "copy")
    (copy / "a/config.json").rename(copy / "config.json")  # a bare name is enough where it is unique
    report = pull(tool, tmp_path / "w", copy)
    assert (report.revision, report.locked_now) == (None, True)
    (copy / "b/model.bin").rename(copy / "model.bin")  # two files have this name: not enough
    with pytest.raises(ConfigurationError, match=r"b/model\.bin not there"):
        pull(read_tool(tool.folder), tmp_path / "w2", copy)
    (copy / "b/model.bin").write_bytes(b"something else")
    with pytest.raises(CheckFailedError, match=r"base.yaml is locked to"):
        pull(read_tool(tool.folder), tmp_path / "w3", copy)


def test_by_url(tmp_path: Path) -> None:
    with serve(HubStub("owner/repo", {FIRST: dict(CONTENT)})) as stub:
        tool = put_tool(tmp_path / "bases", hub=False, url=stub.url)
        stub.cut_at = 4000
        with pytest.raises(InfrastructureError):
            pull(tool, tmp_path / "w")
        stub.cut_at = stub.status = None
        assert pull(tool, tmp_path / "w").locked_now
        assert stub.sent_bytes == sum(map(len, CONTENT.values()))
        stub.status = 404
        with pytest.raises(ConfigurationError, match="answered 404"):
            pull(read_tool(tool.folder), tmp_path / "w2")
    with pytest.raises(ConfigurationError, match="not https"):
        pull(put_tool(tmp_path / "plain", hub=False, url="http://example.org"), tmp_path / "w3")
    with pytest.raises(ConfigurationError, match="neither a Hub repository nor a url"):
        pull(put_tool(tmp_path / "none", hub=False), tmp_path / "w4")


def test_command_against_the_stub(tmp_path: Path, hub: HubStub) -> None:
    """The whole command in its own process: the client reads HF_ENDPOINT there, as at a site with a mirror."""
    tool = put_tool(tmp_path / "bases")
    env = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "TIMBRE_BASES": str(tmp_path / "w")}
    command = [
        sys.executable,
        "-m",
        "timbre.cli.main",
        "base",
        "pull",
        tool.name,
        "--bases-dir",
        str(tmp_path / "bases"),
    ]
    done = subprocess.run([*command, "--json"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["revision"] == FIRST
    assert {item["how"] for item in report["files"]} == {"fetched"}
    (tmp_path / "w/voices/b/model.bin").write_bytes(b"x")
    hub.revisions[FIRST]["b/model.bin"] = b"swapped"
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 20
    assert "locked to" in done.stderr


def test_the_official_bases_are_whole() -> None:
    """What is in the repository: three bases and a tool, nothing invented in them."""
    for name, architecture, speaker in [
        ("gpt-sovits-v2", "v2", "none"),
        ("gpt-sovits-v2pro", "v2Pro", "eres2netv2"),
        ("gpt-sovits-v2proplus", "v2ProPlus", "eres2netv2"),
    ]:
        base = load_base(name, ROOT / "bases")
        assert (base.architecture, base.speaker_encoder) == (architecture, speaker)
        assert (base.rate_hz, base.bert) == (32000, True)
        assert base.hub is not None
        assert base.hub.repo == "lj1995/GPT-SoVITS"
        for role in ("text_to_semantic", "acoustic", "discriminator", "content_encoder", "bert"):
            assert base.has(role)
        assert base.licences
    assert load_weights("deepfilternet", ROOT / "bases").has("denoiser")
