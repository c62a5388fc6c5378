"""Suffixes of the sound files that `reader.py` reads, without its decoders: for what only looks at names."""

from __future__ import annotations

SUFFIXES = (
    ".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a", ".aac", ".wma", ".aiff", ".aif", ".w64", ".caf", ".amr",
    ".mp4", ".mov", ".m4v", ".webm", ".mkv", ".mka", ".avi", ".3gp", ".oga",
)  # fmt: skip
