"""Names that a voice folder may use, and paths that stay inside it."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from timbre.core.settings import Problem
from timbre.pipeline.engine.workspace import VOICE_NAME

_HARMLESS = re.compile(r"[\w .,+@=()-]", re.UNICODE)
_MAX_PATH = 200
_RENAME = "rename the file with letters, digits, `-`, `_` and `.` only, and correct the path here"
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))}


def name_problem(name: str) -> Problem | None:
    """What is wrong with the name of a voice."""
    if VOICE_NAME.fullmatch(name):
        return None
    limit = "1 to 63 of a-z, 0-9 and inner hyphens"
    return Problem("voice name", repr(name[:80]), limit, "rename the folder under voices/")


def path_problem(where: str, text: str) -> Problem | None:
    """What is wrong with a path as it stands in a file of the folder, before any file is touched."""
    shown = repr(text[:80])
    if not text:
        return Problem(where, "empty path", "a path such as wavs/0001.wav", "name the recording")
    if len(text) > _MAX_PATH:
        return Problem(where, f"path of {len(text)} characters", f"at most {_MAX_PATH}", _RENAME)
    if text.startswith(("/", "~")) or "\\" in text or re.match(r"[A-Za-z]:", text):
        remedy = "write the path relative to the voice folder, with / between folders"
        return Problem(where, shown, "a relative path with forward slashes", remedy)
    parts = text.split("/")
    if any(part == ".." for part in parts):
        return Problem(where, shown, "a path inside the voice folder", "move the recording into wavs/")
    for part in parts:
        if part in ("", ".") or part.startswith((".", "-", " ")) or part.endswith((" ", ".")):
            return Problem(where, shown, "names that begin and end with a letter or digit", _RENAME)
        if part.split(".")[0].lower() in _WINDOWS_DEVICES:
            return Problem(where, shown, "a portable file name", _RENAME)
        for character in part:
            if not _HARMLESS.match(character):
                return Problem(where, shown, f"a name without {character!r}", _RENAME)
    return None


def file_problem(where: str, folder: Path, text: str) -> Problem | None:
    """What is wrong with the file behind a path that `path_problem` accepted: absent, a link, or no ordinary file."""
    path = folder
    for part in text.split("/"):
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return Problem(where, f"{text!r} does not exist", "an existing file", "add the recording or delete the row")
        except OSError as error:
            return Problem(where, f"{text!r}: {error.strerror}", "a readable file", "correct the permissions")
        if stat.S_ISLNK(mode):
            return Problem(
                where, f"{text!r} is a symbolic link", "a regular file", "replace it by the recording itself"
            )
    if stat.S_ISDIR(mode):
        return Problem(where, f"{text!r} is a directory", "a file", "replace it by the recording itself")
    if not stat.S_ISREG(mode):
        return Problem(where, f"{text!r} is a device or pipe", "an ordinary file", "replace it by the recording itself")
    return None
