"""Names that a voice folder may use, and paths that stay inside it."""

from __future__ import annotations

import re
import stat
import unicodedata
from pathlib import Path

from timbre.core.problems import Problem
from timbre.core.voice_names import LIMIT, is_voice_name, near_voice_name

# Spoken of in messages, never handed to a shell; what could still hurt a careless script is refused.
_DANGEROUS = frozenset('$`;|<>*?:"\\')
_MAX_PATH = 200
_RENAME = "rename the file, for example to letters, digits, `-`, `_` and `.`, and correct the path here"
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))}


def name_problem(name: str) -> Problem | None:
    """What is wrong with the name of a voice."""
    if is_voice_name(name):
        return None
    near = near_voice_name(name)
    remedy = f"rename the folder under voices/ to `{near}`" if near else "rename the folder under voices/"
    return Problem("voice name", repr(name[:80]), LIMIT, remedy)


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
            if character in _DANGEROUS or not character.isprintable():
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
            return _absent(where, folder, text)
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


def _absent(where: str, folder: Path, text: str) -> Problem:
    """Near names: another case, letters stored decomposed (macOS), another suffix."""
    near = near_file(folder, text)
    if near is None:
        return Problem(where, f"{text!r} does not exist", "an existing file", "add the recording or delete the row")
    if unicodedata.normalize("NFC", near) == unicodedata.normalize("NFC", text):
        value = f"{text!r} does not exist; the file is stored with decomposed letters, as macOS does"
        return Problem(where, value, "the same characters in both", f"rename the file to {text!r} (git mv)")
    return Problem(
        where, f"{text!r} does not exist", "an existing file", f"did you mean {near!r}? correct the path here"
    )


def near_file(folder: Path, text: str) -> str | None:
    """A file beside the missing one that was probably meant, as a path relative to the folder."""
    place = folder / Path(text).parent
    if not place.is_dir():
        return None
    wanted = spelling(Path(text).name)
    names = sorted(path.name for path in place.iterdir() if path.is_file())
    found = next((name for name in names if spelling(name) == wanted), None)
    found = found or next((name for name in names if spelling(Path(name).stem) == spelling(Path(text).stem)), None)
    return (Path(text).parent / found).as_posix() if found is not None else None


def spelling(name: str) -> str:
    """The same for names that differ in case or in how accents are stored."""
    return unicodedata.normalize("NFC", name).casefold()
