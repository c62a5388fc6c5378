"""A small version of `python -m benchmarks.kills` for every run, and the harness seen to notice harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import kills
from tests.registry.s3_servers import CREDENTIALS, S3Server


def test_kills_on_a_folder_break_nothing(tmp_path: Path) -> None:
    place = kills.Place(str(tmp_path / "registry"), str(tmp_path / "mirror"), kills.environment_in(tmp_path))
    found = kills.measure(place, 15, 7, lambda line: None)
    assert found.broken == []
    assert found.not_repaired == []
    assert sum(points for points, _ in found.kills.values()) == 15


@pytest.mark.slow
def test_kills_on_s3_break_nothing(tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    addresses = s3_server.address(f"kills-{tmp_path.name}"), s3_server.address(f"kills-mirror-{tmp_path.name}")
    found = kills.measure(kills.Place(*addresses, kills.environment_in(tmp_path)), 6, 7, lambda line: None)
    assert found.broken == []
    assert found.not_repaired == []
    assert set(found.kills) == set(kills.WORK)


def test_a_half_version_would_be_noticed(tmp_path: Path) -> None:
    place = kills.Place(str(tmp_path / "registry"), str(tmp_path / "mirror"), kills.environment_in(tmp_path))
    registry, copy = place.open()
    kills.publish(registry, copy, 0)
    kills.promote(registry, copy, 0)
    assert kills.broken(registry) == []
    blob = registry.resolve("ada").files[0].sha256
    registry.store.delete(f"blobs/{blob[:2]}/{blob}")
    assert len(kills.broken(registry)) == 1
