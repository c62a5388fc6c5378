"""A machine that is taken away: the next one resumes from the checkpoint in the registry."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from timbre.core.errors import InfrastructureError
from timbre.pipeline.ci.origin import Origin
from timbre.pipeline.engine.checkpoint_mirror import StageInProgress, checkpoints_kept
from timbre.pipeline.engine.registry_cache import RegistryStageCache, stage_cache
from timbre.registry.address import RegistryAddress
from timbre.registry.errors import RevokedError
from timbre.registry.registry import Actor, Registry
from timbre.registry.stage_cache import TRUSTED
from timbre.registry.store_at import open_store
from timbre.registry.tombstones import mark_voice

ROOT = Path(__file__).resolve().parents[3]
KEY = "ab" * 32
ABOUT = StageInProgress(KEY, "ada", "finetune", "cd" * 32)
LOG = logging.getLogger("mirror")
COPIED_STEPS = 3
# A training that counts steps: it goes on to the next one when the copy of the last is in the registry. Its machine is
# taken away right after one more step, whether that was copied or not.
PROGRAM = f"""
import logging, os, pathlib, signal, sys
from tests.pipeline.engine.test_checkpoint_mirror import ABOUT, Heard, cache_at
from timbre.core.atomic import write_text
from timbre.pipeline.engine.checkpoint_mirror import checkpoints_kept

registry, folder = map(pathlib.Path, sys.argv[1:])
resume = folder / "resume"
resume.mkdir(parents=True)
cache = Heard(cache_at(registry))
with checkpoints_kept(cache, ABOUT, resume, logging.getLogger("mirror"), 0.01):
    for step in range(1, {COPIED_STEPS} + 1):
        write_text(resume / "steps.txt", str(step))
        assert cache.copied.acquire(timeout=60), step
    write_text(resume / "steps.txt", str({COPIED_STEPS} + 1))
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Heard:
    """A cache that lets its owner wait for the next copy."""

    def __init__(self, cache: RegistryStageCache) -> None:
        self._cache = cache
        self.copied = threading.Semaphore(0)
        self.fetch_checkpoint = cache.fetch_checkpoint
        self.drop_checkpoints = cache.drop_checkpoints

    def offer_checkpoint(self, key: str, voice: str, stage: str, recordings: str, directory: Path) -> None:
        self._cache.offer_checkpoint(key, voice, stage, recordings, directory)
        self.copied.release()


def cache_at(folder: Path) -> RegistryStageCache:
    return stage_cache(open_store(RegistryAddress(str(folder), os.environ)), Origin())


def keys_of(folder: Path) -> list[str]:
    return sorted(open_store(RegistryAddress(str(folder), os.environ)).list("stages/"))


def steps(path: Path) -> int:
    return int(path.read_text()) if path.exists() else 0


def test_a_killed_machine_loses_at_most_one_interval(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    command = [sys.executable, "-c", PROGRAM, str(registry), str(tmp_path / "one")]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=300).returncode == -signal.SIGKILL
    reached = steps(tmp_path / "one" / "resume" / "steps.txt")
    assert reached == COPIED_STEPS + 1
    resume = tmp_path / "two"
    resume.mkdir()
    with pytest.raises(KeyboardInterrupt), checkpoints_kept(cache_at(registry), ABOUT, resume, LOG):
        restored = steps(resume / "steps.txt")
        raise KeyboardInterrupt
    # One checkpoint a step: what was copied is there, and one interval may be lost.
    assert reached - 1 <= restored <= reached


def test_a_stage_that_ends_well_leaves_nothing(tmp_path: Path) -> None:
    resume = tmp_path / "resume"
    resume.mkdir()
    with checkpoints_kept(cache_at(tmp_path / "registry"), ABOUT, resume, LOG, 0.01):
        (resume / "state").write_bytes(b"1" * 1000)
        deadline = time.monotonic() + 30
        while not (tmp_path / "registry").is_dir() or not keys_of(tmp_path / "registry"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert keys_of(tmp_path / "registry") == []
    assert list(open_store(RegistryAddress(str(tmp_path / "registry"), os.environ)).list("blobs/")) == []


def test_an_interrupted_stage_keeps_its_last_state(tmp_path: Path) -> None:
    resume = tmp_path / "resume"
    resume.mkdir()
    with pytest.raises(KeyboardInterrupt), checkpoints_kept(cache_at(tmp_path / "registry"), ABOUT, resume, LOG, 60):
        (resume / "state").write_text("last")
        raise KeyboardInterrupt
    again = tmp_path / "again"
    again.mkdir()
    with checkpoints_kept(cache_at(tmp_path / "registry"), ABOUT, again, LOG):
        assert (again / "state").read_text() == "last"


def test_a_state_that_is_here_is_not_replaced_by_an_older_one(tmp_path: Path) -> None:
    """A retry on the same machine: what the cache has was copied before."""
    cache, resume = cache_at(tmp_path / "registry"), tmp_path / "resume"
    resume.mkdir()
    (resume / "state").write_text("older")
    cache.offer_checkpoint(KEY, "ada", "finetune", ABOUT.recordings, resume)
    (resume / "state").write_text("newer")
    with checkpoints_kept(cache, ABOUT, resume, LOG):
        assert (resume / "state").read_text() == "newer"


class Counted:
    """A cache that writes down what it is offered."""

    def __init__(self) -> None:
        self.offered: list[dict[str, str]] = []

    def fetch_checkpoint(self, key: str, destination: Path) -> bool:
        return False

    def offer_checkpoint(self, key: str, voice: str, stage: str, recordings: str, directory: Path) -> None:
        self.offered.append({path.name: path.read_text() for path in directory.iterdir()})

    def drop_checkpoints(self, key: str) -> None:
        self.offered.append({})


def test_each_state_is_copied_once_and_without_what_is_being_written(tmp_path: Path) -> None:
    cache, resume = Counted(), tmp_path / "resume"
    resume.mkdir()
    with pytest.raises(KeyboardInterrupt), checkpoints_kept(cache, ABOUT, resume, LOG, 0.001):
        (resume / ".state-half").write_text("half")
        (resume / "state").write_text("whole")
        deadline = time.monotonic() + 30
        while not cache.offered:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        raise KeyboardInterrupt
    # The last look, at the end of the block, finds nothing new.
    assert cache.offered == [{"state": "whole"}]


def test_only_the_newest_state_is_kept(tmp_path: Path) -> None:
    cache, resume = cache_at(tmp_path / "registry"), tmp_path / "resume"
    resume.mkdir()
    for number in range(12):
        (resume / "state").write_text(str(number))
        cache.offer_checkpoint(KEY, "ada", "finetune", ABOUT.recordings, resume)
    assert keys_of(tmp_path / "registry") == [f"stages/{KEY}/checkpoint-000012.json"]
    assert len(list(open_store(RegistryAddress(str(tmp_path / "registry"), os.environ)).list("blobs/"))) == 1


def test_merge_requests_never_write_where_the_default_branch_reads(tmp_path: Path) -> None:
    store, resume = open_store(RegistryAddress(str(tmp_path / "registry"), os.environ)), tmp_path / "resume"
    resume.mkdir()
    (resume / "state").write_text("forged")
    stage_cache(store, Origin(why_not="merge request 7")).offer_checkpoint(KEY, "ada", "finetune", "", resume)
    assert not stage_cache(store, Origin()).fetch_checkpoint(KEY, tmp_path / "found")
    assert list(store.list(f"{TRUSTED}/")) == []


def test_a_revoked_voice_has_no_checkpoint(tmp_path: Path) -> None:
    cache, resume = cache_at(tmp_path / "registry"), tmp_path / "resume"
    resume.mkdir()
    (resume / "state").write_text("a voice")
    registry = Registry(open_store(RegistryAddress(str(tmp_path / "registry"), os.environ)))
    mark_voice(registry.store, "ada", registry.now(), Actor("eve", None).name, "withdrawn")
    with pytest.raises(RevokedError):
        cache.offer_checkpoint(KEY, "ada", "finetune", ABOUT.recordings, resume)
    assert keys_of(tmp_path / "registry") == []


def test_a_store_that_fails_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def fetch_checkpoint(self, *arguments: object) -> bool:
            raise InfrastructureError("store: not reachable", "try again")

        offer_checkpoint = drop_checkpoints = fetch_checkpoint

    resume = tmp_path / "resume"
    resume.mkdir()
    with caplog.at_level("WARNING"), checkpoints_kept(Broken(), ABOUT, resume, LOG, 0.01):
        (resume / "state").write_text("1")
        deadline = time.monotonic() + 30
        while "not kept" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    for words in ("not taken", "not kept", "not removed"):
        assert words in caplog.text


def test_a_cache_without_checkpoints_is_left_alone(tmp_path: Path) -> None:
    with checkpoints_kept(None, ABOUT, tmp_path / "absent", LOG):
        pass
    assert not (tmp_path / "absent").exists()
