"""Fixtures of the registry's tests: a registry with a clock that ticks, and manifests of small packages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.registry.hub_server import HubServer, hub_server
from tests.registry.s3_servers import S3Server, seaweedfs
from timbre.core.digests import digest_bytes
from timbre.registry.local_store import LocalStore
from timbre.registry.manifest import Manifest, Provenance
from timbre.registry.registry import Registry
from timbre.registry.signing_keys import FileSigner, new_key, read_signer


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS, one for all tests of a run; each test makes a bucket of its own."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A stand-in for the Hugging Face Hub, with the right token in the environment."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    with hub_server() as server:
        yield server


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    """Signs with a key of its own."""
    new_key(tmp_path / "key")
    found = read_signer(tmp_path / "key")
    assert isinstance(found, FileSigner)
    return found


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    ticks = itertools.count()
    return Registry(
        LocalStore(tmp_path / "registry"), clock=lambda: f"2026-11-21T10:00:{next(ticks) % 60:02d}.000000+00:00"
    )


def make_manifest(
    voice: str = "ada", content: str = "one", *, passed: bool = True, review: bool = False, commit: str | None = None
) -> Manifest:
    return Manifest(
        voice=voice,
        version=digest_bytes(f"{voice}-{content}".encode())[:12],
        source=digest_bytes(f"source-{voice}-{content}".encode()),
        base="pico",
        base_digest="b" * 64,
        languages=("en",),
        rate_hz=16_000,
        created=f"2026-11-21T09:00:0{len(content) % 10}.000000+00:00",
        passed=passed,
        gates={"stoi": {"value": 0.9 if passed else 0.1, "limit": 0.85, "passed": passed}},
        consent={"kind": "synthetic", "rights": "none"},
        review_required=review,
        provenance=Provenance(commit, "Ada <ada@example.org>", "ada", None, "r" * 64, {"timbre": "0.1.0"}),
        files=(),
    )


def make_files(content: str = "one") -> dict[str, bytes]:
    return {
        "t2s/adapter.bin": f"adapter {content}".encode() * 50,
        "prompt.bin": b"prompt shared by all",
        "README.md": content.encode(),
    }


@pytest.fixture
def manifest_of() -> Callable[..., Manifest]:
    return make_manifest
