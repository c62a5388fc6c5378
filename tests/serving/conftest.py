"""A shelf of three voices and a server over it, for tests that change neither; and makers of both for those that do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving.running import FAST, Running, running
from tests.serving.shelf_of_voices import Shelf
from timbre.serving.settings import ServeSettings


@pytest.fixture
def shelf(tmp_path: Path, pico_export: Path) -> Shelf:
    """An empty registry that holds the base."""
    return Shelf(tmp_path / "registry", pico_export)


@pytest.fixture
def serve(shelf: Shelf, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """serve(settings) -> a running server over the shelf."""
    with ExitStack() as stack:

        def start(settings: ServeSettings = FAST) -> Running:
            return stack.enter_context(running(shelf.registry, tmp_path / "cache", settings))

        yield start


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory, pico_export: Path) -> Shelf:
    """ada, bob and carl, never changed."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf") / "registry", pico_export)
    for seed, name in enumerate(("ada", "bob", "carl")):
        shelf.publish(name, seed)
    return shelf


@pytest.fixture(scope="session")
def live(voices: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server over the three voices."""
    with running(voices.registry, tmp_path_factory.mktemp("cache")) as server:
        yield server
