"""Studios that end with their tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.studio.running import VOICE, Studio, start


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio over an empty repository, entered."""
    running = start(tmp_path)
    running.enter()
    yield running
    running.server.should_exit = True


@pytest.fixture
def ada(studio: Studio) -> Studio:
    """The same, with a new voice."""
    assert studio.call("POST", "/api/voices", VOICE).status == 201
    return studio
