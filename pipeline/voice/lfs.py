"""Which files of a voice Git LFS stores: recordings in every format that stage 1 reads."""

from __future__ import annotations

from timbre.audio.suffixes import SUFFIXES


def lfs_rules(folder: str) -> list[str]:
    """Lines of .gitattributes for the recordings below a folder of the repository, such as voices/ada."""
    return [f"{folder}/**/*{suffix} filter=lfs diff=lfs merge=lfs -text" for suffix in SUFFIXES]
