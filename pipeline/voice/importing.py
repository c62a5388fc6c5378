"""A voice folder from what other programs keep: GPT-SoVITS and LJSpeech lists, exports of spreadsheets, archives.

folder | list | archive -> rows (file, text, language) -> voices/NAME with copies of the recordings and metadata.csv
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from timbre.audio.suffixes import SUFFIXES
from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES
from timbre.core.printable import printable
from timbre.pipeline.voice.folder_paths import spelling
from timbre.pipeline.voice.foreign_list import UPSTREAM_LANGUAGES, decoded, read_list
from timbre.pipeline.voice.new_voice import free_folder, settings_text
from timbre.pipeline.voice.voice_yaml import DEFAULT_BASE
from timbre.text.scripts import normalised

_LISTS = (".list", ".csv", ".tsv", ".txt")
_PREFERRED = ("metadata.csv", "transcript.txt", "transcripts.csv")
MAX_FILES = 5_000
MAX_UNPACKED_BYTES = 2 << 30
_MAX_RATIO = 200
_UTF8_NAME = 0x800


@dataclass(frozen=True)
class ImportedRow:
    """One recording of the source."""

    source: Path
    """The recording where it is now."""
    text: str
    """What it says, in normalised Unicode."""
    language: str
    """Empty where the list does not say."""


@dataclass(frozen=True)
class ImportedVoice:
    """A voice folder made from recordings that lay elsewhere."""

    folder: Path
    """The new voice."""
    rows: int
    """Recordings taken."""
    notes: tuple[str, ...]
    """What was left out and why, in words."""


def import_voice(root: Path, source: Path, name: str, language: str = "", base: str = DEFAULT_BASE) -> ImportedVoice:
    """Makes voices/NAME from a folder with a list, a list beside its recordings, or a ZIP archive of either.

    language: of rows that name none. Writes nothing when it raises. Raises InputError for a source that cannot be read,
    a name or language that cannot be, and a folder that exists.
    """
    target = free_folder(root, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".import-") as place:
        if zipfile.is_zipfile(source):
            unpacked = Path(place) / "unpacked"
            _unpack(source, unpacked)
            found, notes = _rows(unpacked, language)
        else:
            found, notes = _rows(source, language)
        rows, spoken = _with_language(found, language)
        made = Path(place) / "voice"
        _write(made, rows, spoken, base)
        made.rename(target)
    return ImportedVoice(target, len(rows), tuple(notes))


def _rows(source: Path, language: str) -> tuple[list[ImportedRow], list[str]]:
    if source.is_dir():
        path = _list_in(source)
        if path is None:
            names = ", ".join(_LISTS)
            raise InputError(f"{source}: no list of texts in it (a file ending in {names})", "put the list beside them")
        folder = source
    elif source.is_file():
        path, folder = source, source.parent
    else:
        raise InputError(f"{source}: no such file or folder", "name a folder, a list or a ZIP archive")
    sounds = _sounds(folder)
    found: list[ImportedRow] = []
    notes: list[str] = []
    speakers = set()
    for number, cells in enumerate(read_list(path.read_bytes(), language), 1):
        file, text = cells["file"], normalised(cells["text"])
        recordings = _find(sounds, file)
        if len(recordings) != 1 or not text:
            why = f"{len(recordings)} recordings of that name" if recordings else "no such recording"
            notes.append(f"row {number} left out, {'no text' if not text else why}: {printable(file)[:80]}")
            continue
        speakers.add(cells.get("speaker", ""))
        own = cells.get("language", "")
        found.append(ImportedRow(recordings[0], text, UPSTREAM_LANGUAGES.get(own.upper(), own.lower())))
    if not found:
        detail = f" ({notes[0]})" if notes else ""
        raise InputError(
            f"{path.name}: no row names a recording that is there{detail}", "put recordings beside the list"
        )
    if len(found) > MAX_FILES:
        raise InputError(f"{path.name}: {len(found)} rows, expected at most {MAX_FILES}", "keep the best recordings")
    if len(speakers - {""}) > 1:
        notes.append(
            f"the list names {len(speakers)} speakers; one folder holds one: {', '.join(sorted(speakers))[:200]}"
        )
    return found, notes


def _list_in(folder: Path) -> Path | None:
    """The list of a folder: one that is named so first, text files last, those in subfolders after those above."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _LISTS
        and path.is_file()
        and not path.name.startswith((".", "README", "LICENSE", "script."))
    ]
    order = sorted(found, key=lambda p: (p.name not in _PREFERRED, p.suffix.lower() == ".txt", len(p.parts)))
    return order[0] if order else None


def _sounds(folder: Path) -> dict[str, list[Path]]:
    """Recordings below a folder by bare name and by bare name without suffix; links are none."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if (
            path.suffix.lower() in SUFFIXES
            and path.is_file()
            and not path.is_symlink()
            and not path.name.startswith(".")
        ):
            for key in (path.name, path.stem):
                found.setdefault(spelling(key), []).append(path)
    return found


def _find(sounds: dict[str, list[Path]], name: str) -> list[Path]:
    """By its bare name below the folder: lists hold paths of other machines, and must not reach outside. Of several
    recordings of that name those in the folders that the list names.
    """
    parts = [spelling(part) for part in PurePosixPath(name.replace("\\", "/").strip().strip('"')).parts]
    found = sounds.get(parts[-1], []) if parts else []
    if len(found) < 2:
        return found
    common = [_common_end(parts[:-1], [spelling(part) for part in path.parent.parts]) for path in found]
    return [path for path, count in zip(found, common, strict=True) if count == max(common)]


def _common_end(one: Sequence[str], two: Sequence[str]) -> int:
    pairs = zip(reversed(one), reversed(two), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(two)))


def _with_language(rows: Sequence[ImportedRow], language: str) -> tuple[list[ImportedRow], str]:
    named = [row.language for row in rows if row.language in LANGUAGES]
    spoken = language or (max(sorted(set(named)), key=named.count) if named else "")
    if spoken not in LANGUAGES:
        raise InputError(f"language {spoken!r}: the list names none", f"add --language, one of {', '.join(LANGUAGES)}")
    return [ImportedRow(r.source, r.text, r.language if r.language in LANGUAGES else spoken) for r in rows], spoken


def _write(folder: Path, rows: Sequence[ImportedRow], language: str, base: str) -> None:
    (folder / "wavs").mkdir(parents=True)
    several = any(row.language != language for row in rows)
    lines = ["file|text|language" if several else "file|text"]
    for number, row in enumerate(rows, 1):
        stem = re.sub(r"[^\w-]+", "-", row.source.stem).strip("-_")[:60] or "clip"
        file = f"wavs/{number:04d}-{stem}{row.source.suffix.lower()}"
        shutil.copyfile(row.source, folder / file)
        text = row.text.replace("|", ",")
        lines.append(f"{file}|{text}|{row.language}" if several else f"{file}|{text}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "voice.yaml").write_text(settings_text(language, base), encoding="utf-8")


def _unpack(archive: Path, target: Path) -> None:
    """Sound files and lists of an archive, by checked sizes. Raises InputError for one that is no archive to trust."""
    try:
        with zipfile.ZipFile(archive) as opened:
            wanted = [item for item in opened.infolist() if _is_wanted(item)]
            total = sum(item.file_size for item in wanted)
            packed = sum(item.compress_size for item in wanted)
            if len(wanted) > MAX_FILES or total > MAX_UNPACKED_BYTES or total > _MAX_RATIO * max(packed, 1) + (1 << 20):
                message = f"{archive.name}: {len(wanted)} files, {total} bytes out of {packed}"
                limit = (
                    f"expected at most {MAX_FILES} files and {MAX_UNPACKED_BYTES} bytes, packed at most {_MAX_RATIO}:1"
                )
                raise InputError(f"{message}; {limit}", "unpack it yourself and import the folder")
            for number, item in enumerate(wanted):
                path = _inside(target, _named(item), number, archive.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(item) as packed_file, path.open("wb") as out:
                    # A header may lie about the size; what it said is all that is read.
                    shutil.copyfileobj(io.BytesIO(packed_file.read(item.file_size)), out)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{archive.name}: not readable as a ZIP archive ({error})", "pack it again, without a password"
        ) from error


def _named(item: zipfile.ZipInfo) -> str:
    """Its name; one that is not marked as UTF-8 is in the code page of who packed it."""
    if item.flag_bits & _UTF8_NAME or item.filename.isascii():
        return item.filename
    try:
        return decoded(item.filename.encode("cp437"))
    except (InputError, UnicodeEncodeError):
        return item.filename


def _is_wanted(item: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(item.filename.replace("\\", "/")).name
    hidden = name.startswith((".", "_")) or "__MACOSX" in item.filename
    is_link = item.external_attr >> 16 & 0o170000 == 0o120000
    return not item.is_dir() and not hidden and not is_link and Path(name).suffix.lower() in (*SUFFIXES, *_LISTS)


def _inside(target: Path, name: str, number: int, archive: str) -> Path:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise InputError(
            f"{archive}: {printable(name)[:80]!r} lies outside the archive", "unpack it yourself, with care"
        )
    # Names of the archive are looked up by their last part; folders are numbered, so that equal names may meet.
    return target / path.parent / path.name if len(path.parts) < 8 else target / f"{number:05d}" / path.name
