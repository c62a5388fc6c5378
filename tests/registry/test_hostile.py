"""A small version of `python -m benchmarks.hostile` on S3 and the Hub stub; the folder stands in test_signing.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import hostile
from tests.registry.hub_server import HubServer
from tests.registry.s3_servers import CREDENTIALS, S3Server
from timbre.registry.packs import has_tags
from timbre.registry.signing import SignedStore
from timbre.serving import catalogue


def check(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No edit of a few is accepted; an auditor who sees nothing, and a server that believes copies, would let pass what
    they are there for.
    """
    folder.mkdir()
    attack, reader = hostile.prepare(address, folder, 5)
    assert hostile.accepted(attack, reader, 4) == []
    indexed = has_tags(attack.plain)
    with monkeypatch.context() as blind:
        blind.setattr(hostile, "noticed", lambda reader: False)
        blind.setattr(hostile, "KINDS", ("file",))
        assert len(hostile.accepted(attack, reader, 2)) == (1 if indexed else 2)
    if indexed:
        monkeypatch.setattr(SignedStore, "check", lambda store, key, data: None)
        monkeypatch.setattr(catalogue, "_require_newest", lambda url, state, recorded: None)
        monkeypatch.setattr(hostile, "INDEX_KINDS", ("other record",))
        assert any("index other record" in what for what in hostile.accepted(attack, reader, 8))


@pytest.mark.slow
def test_no_hostile_edit_of_a_bucket_is_accepted(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    check(s3_server.address(f"hostile-{tmp_path.name}"), tmp_path / "keys", monkeypatch)


@pytest.mark.slow
def test_no_hostile_edit_of_the_hub_is_accepted(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(f"hf://example-org/voices?endpoint={hub.url}", tmp_path / "keys", monkeypatch)
