"""The registries that benchmarks compare: a folder, S3 (SeaweedFS) and the Hub (our stub)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.registry.hub_server import hub_server
from tests.registry.s3_servers import CREDENTIALS, seaweedfs

STORES = ("folder", "s3", "hub")


def addresses(only: str | None, prefix: str) -> Iterator[tuple[str, str, Path]]:
    """Kind, address of an empty registry, and a folder of its own for each kind, or one. prefix: within the bucket."""
    os.environ.update(CREDENTIALS)
    os.environ.update({"HF_TOKEN": "hf_right", "HF_HUB_DISABLE_XET": "1"})
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        for kind in (only,) if only else STORES:
            address = str(folder / "registry")
            if kind == "s3":
                address = stack.enter_context(seaweedfs(folder / "weed")).address(prefix)
            elif kind == "hub":
                os.environ["HF_HUB_CACHE"] = str(folder / "cache")
                address = f"hf://example-org/voices?endpoint={stack.enter_context(hub_server()).url}"
            (folder / kind).mkdir()
            yield kind, address, folder / kind
