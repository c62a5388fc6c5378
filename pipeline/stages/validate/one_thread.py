"""Torch on one thread for a while, also for several at once: what was set before comes back when the last one ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_holders: list[int] = []


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """On a few seconds of speech, further threads of one network mostly wait for each other."""
    import torch

    with _lock:
        _holders.append(_holders[0] if _holders else torch.get_num_threads())
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            before = _holders.pop()
            if not _holders:
                torch.set_num_threads(before)
