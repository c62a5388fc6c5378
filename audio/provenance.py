"""What a sound file says of itself: that it is synthetic, which voice spoke, and on which day.

A label is text in the file's own tags, which every program can read and any can remove; audio/watermark.py marks the
sound itself. Tags: `comment` for people, `AIGC` in the form of GB 45438-2025 for programs.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SAYS = re.compile(r"Synthetic speech by (\S+ \S+), voice (\S+), (\d{4}-\d\d-\d\d)")


@dataclass(frozen=True)
class Label:
    """What a sound file says about its origin."""

    program: str
    """Name and version."""
    voice: str
    """NAME@VERSION."""
    day: str
    """As 2026-11-28, UTC."""

    @property
    def tags(self) -> dict[str, str]:
        """As FFmpeg's containers take them."""
        produced = {"Label": "1", "ContentProducer": self.program, "ProduceID": self.voice}
        return {"comment": self.text, "AIGC": json.dumps(produced)}

    @property
    def text(self) -> str:
        """One line."""
        return f"Synthetic speech by {self.program}, voice {self.voice}, {self.day}"


def riff_list(label: Label) -> bytes:
    """The chunk that says it in a WAV file; it stands after the samples."""
    text = label.text.encode() + b"\0"
    text += b"\0" * (len(text) % 2)
    return struct.pack("<4sI4s4sI", b"LIST", 12 + len(text), b"INFO", b"ICMT", len(text)) + text


def read_label(path: Path) -> Label | None:
    """The label of a sound file, None where it has none or cannot be read."""
    import av

    try:
        with av.open(str(path)) as container:
            tags: dict[str, Any] = dict(container.metadata)
            for stream in container.streams:
                tags |= stream.metadata
    except (OSError, ValueError):  # what FFmpeg raises is one of these
        return None
    for value in tags.values():
        if match := _SAYS.search(str(value)):
            return Label(*match.groups())
    return None
