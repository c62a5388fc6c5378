"""The drill: a registry in a bucket is backed up, lost, restored into an empty place, and a server speaks there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.registry.s3_servers import CREDENTIALS, seaweedfs
from tests.serving.running import FAST, running, wait_until
from tests.serving.shelf_of_voices import Shelf
from timbre.cli.main import call
from timbre.registry.address import RegistryAddress
from timbre.registry.encryption.master import new_master
from timbre.registry.open import open_registry
from timbre.registry.served import last_served
from timbre.registry.signing_keys import new_key


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_speaks_from_a_restored_backup(
    tmp_path: Path, pico_export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trusted").write_text(new_key(tmp_path / "key"))
    keys = {"TIMBRE_SIGNING_KEY": str(tmp_path / "key"), "TIMBRE_TRUSTED_KEYS": str(tmp_path / "trusted")}
    keys |= {"TIMBRE_MASTER_KEY": new_master(), "TIMBRE_KEYS": str(tmp_path / "data-keys")}
    for name, value in {**CREDENTIALS, **keys}.items():
        monkeypatch.setenv(name, value)
    with seaweedfs(tmp_path / "weed") as store:
        lost, backup, restored = (store.address(name) for name in ("lost", "backup", "restored"))
        version = Shelf(tmp_path, pico_export, lost).publish("ada", 1)
        assert call(["registry", "backup", backup, "--registry", lost]) == 0
        gone = open_registry(RegistryAddress(lost, os.environ)).store
        for key in list(gone.list("")):
            gone.delete(key)
        assert call(["registry", "restore", backup, "--registry", restored]) == 0
        assert call(["verify", "--registry", restored]) == 0
        with running(open_registry(RegistryAddress(restored, os.environ)), tmp_path / "exports", FAST) as live:
            wait_until(lambda: live.say("ada").status == 200)
            assert live.say("ada").headers["x-timbre-voice"] == f"ada@{version}"
            marks = open_registry(RegistryAddress(restored, os.environ)).store
            wait_until(lambda: version in last_served(marks, "ada"))
            # The life goes on where it was restored: a new data key, a new version.
            assert call(["keys", "rotate", "ada", "--registry", restored]) == 0
            later = Shelf(tmp_path, pico_export, restored).publish("ada", 2)
            wait_until(lambda: live.say("ada").headers.get("x-timbre-voice") == f"ada@{later}")
