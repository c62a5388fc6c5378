"""Reading and writing inside one voice folder, and nowhere else: no links are followed, a file is whole or absent."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from timbre.core.atomic import write_bytes
from timbre.core.voice_names import is_voice_name
from timbre.pipeline.voice.folder_paths import path_problem
from timbre.studio.errors import StudioError

OWN = ".studio"
"""Folder of a voice folder for what the studio alone needs; Git ignores it."""
_CLOSED = f"{OWN}/.gitignore"
# As write_bytes and `keep` name what they have not finished.
_UNFINISHED = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class VoiceFiles:
    """The files of voices/<name>/. Paths are relative to it, with forward slashes."""

    def __init__(self, voices: Path, name: str) -> None:
        if not is_voice_name(name):
            raise StudioError(404, "no-voice", f"voice {name[:80]!r}: no such voice", voice=name[:80])
        self.name = name
        self.folder = voices / name

    def path(self, relative: str) -> Path:
        """Where a file is. Raises StudioError for a path that leaves the folder, and for one through a link."""
        own = relative.removeprefix(f"{OWN}/") if relative.startswith(f"{OWN}/") else relative
        if own != ".gitignore" and (problem := path_problem("path", own)) is not None:
            raise StudioError(400, "path", f"{relative[:80]!r}: expected {problem.limit}", problem.remedy)
        place = self.folder.parent
        for part in (self.name, *relative.split("/")[:-1]):
            place = place / part
            self._refuse_link(place)
        target = place / relative.rsplit("/", 1)[-1]
        self._refuse_link(target, folder=False)
        return target

    def exists(self, relative: str) -> bool:
        """Whether it is there as an ordinary file."""
        try:
            return stat.S_ISREG(self.path(relative).lstat().st_mode)
        except (OSError, StudioError):
            return False

    def read(self, relative: str) -> bytes:
        """Its bytes. Raises StudioError 404."""
        try:
            return self.path(relative).read_bytes()
        except OSError as error:
            raise StudioError(404, "no-file", f"voices/{self.name}/{relative}: {error.strerror}") from error

    def write(self, relative: str, data: bytes) -> None:
        """Replaces it as a whole. Raises StudioError 507 where the disk is full, and says that nothing was lost."""
        if relative.startswith(f"{OWN}/") and relative != _CLOSED:
            self.make_own()
        target = self.path(relative)
        try:
            write_bytes(target, data)
        except OSError as error:
            raise self._unwritten(relative, error) from error

    def keep(self, relative: str, other: str) -> None:
        """A second name for a file: its bytes stay when the first name gets others, without a moment in between."""
        source, target = self.path(relative), self.path(other)
        aside = target.with_name(f".{target.name}.kept0000")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.unlink(missing_ok=True)
            try:
                os.link(source, aside, follow_symlinks=False)
            except OSError:
                # File systems without hard links.
                write_bytes(aside, source.read_bytes())
            aside.replace(target)
            # A rename of one name of a file over another of the same file does nothing.
            aside.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritten(other, error) from error

    def remove(self, relative: str) -> None:
        """Nothing there is fine."""
        try:
            self.path(relative).unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritten(relative, error) from error

    def names(self, folder: str) -> list[str]:
        """Ordinary files directly in a subfolder, sorted, hidden ones left out; none where there is no such folder."""
        place = self.path(f"{folder}/x").parent
        if not place.is_dir():
            return []
        return sorted(
            entry.name for entry in os.scandir(place) if entry.name[0] != "." and entry.is_file(follow_symlinks=False)
        )

    def make_own(self) -> None:
        """The hidden folder, closed to Git, so that no command commits a take that was deleted."""
        if not self.exists(_CLOSED):
            self.write(_CLOSED, b"*\n")

    def sweep(self) -> None:
        """Removes the temporary files of writes that a crash cut short."""
        for folder in ("", "wavs", OWN, f"{OWN}/takes", f"{OWN}/trash"):
            place = self.path(f"{folder}/x" if folder else "x").parent
            if not place.is_dir():
                continue
            for entry in os.scandir(place):
                if _UNFINISHED.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    Path(entry.path).unlink(missing_ok=True)

    def _refuse_link(self, place: Path, folder: bool = True) -> None:
        try:
            mode = place.lstat().st_mode
        except OSError:
            return
        if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
            kind = "a link" if stat.S_ISLNK(mode) else "another kind of file"
            message = f"{place.relative_to(self.folder.parent.parent)}: {kind}, expected an ordinary one"
            raise StudioError(409, "link", message, "replace it by the folder or file itself", file=place.name)

    def _unwritten(self, relative: str, error: OSError) -> StudioError:
        where = f"voices/{self.name}/{relative}: {error.strerror}"
        if error.errno in _NO_SPACE:
            return StudioError(507, "disk-full", where, "make room on the disk, then send it again; nothing was lost")
        return StudioError(500, "unwritten", where, "give this user write permission, then send it again")
