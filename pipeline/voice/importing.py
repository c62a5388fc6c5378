"""A voice folder from what other programs keep: GPT-SoVITS and LJSpeech lists, exports of spreadsheets, archives.

folder | list | archive -> rows (file, text, language) -> voices/NAME with copies of the recordings and metadata.csv
"""

from __future__ import annotations

import csv
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
from timbre.pipeline.voice.new_voice import free_folder, settings_text
from timbre.pipeline.voice.voice_yaml import DEFAULT_BASE
from timbre.text.scripts import normalised

_LISTS = (".list", ".csv", ".tsv", ".txt")
_PREFERRED = ("metadata.csv", "transcript.txt", "transcripts.csv")
_HEADINGS = {
    "file": (
        "file",
        "filename",
        "file name",
        "path",
        "audio",
        "audio_file",
        "wav",
        "clip",
        "id",
        "文件",
        "文件名",
        "音频",
    ),
    "text": ("text", "transcript", "transcription", "sentence", "normalized", "normalised", "文本", "内容"),
    "language": ("language", "lang", "语言"),
    "speaker": ("speaker", "spk", "speaker_id", "说话人"),
}
_UPSTREAM_LANGUAGES = {"ZH": "zh", "EN": "en", "JA": "ja", "JP": "ja", "KO": "ko", "YUE": "yue"}
MAX_LIST_BYTES = 64 << 20
MAX_FILES = 5_000
MAX_UNPACKED_BYTES = 2 << 30
_MAX_RATIO = 200


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
            found, notes = _rows(unpacked)
        else:
            found, notes = _rows(source)
        rows, spoken = _with_language(found, language)
        made = Path(place) / "voice"
        _write(made, rows, spoken, base)
        made.rename(target)
    return ImportedVoice(target, len(rows), tuple(notes))


def read_list(data: bytes) -> list[dict[str, str]]:
    """Rows of a list as columns `file`, `text` and perhaps `language`, whatever program wrote it.

    Knows UTF-8, UTF-16 and GB18030; `|`, tab, semicolon and comma; headings in any case, or none. Raises InputError.
    """
    text = _decoded(data)
    lines = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
    if not lines:
        raise InputError("the list is empty", "name a list with one row for each recording")
    mark = max(
        "|\t;,", key=lambda item: (_fields(lines[0], item) > 1, "|\t;,".index(item) == 0, _fields(lines[0], item))
    )
    if _fields(lines[0], mark) < 2:
        message = f"{lines[0][:60]!r}: no `|`, tab, semicolon or comma between file and text"
        raise InputError(message, "export it as CSV, with the columns file and text")
    if mark == "|":
        table = [line.split("|") for line in lines]
    else:
        table = [row for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=mark) if any(row)]
    head = [cell.strip().casefold() for cell in table[0]]
    columns = {key: next((head.index(word) for word in words if word in head), -1) for key, words in _HEADINGS.items()}
    if columns["file"] >= 0 and columns["text"] >= 0:
        return [_cells(row, columns) for row in table[1:]]
    return [_cells(row, _usual(row)) for row in table]


def _usual(row: Sequence[str]) -> dict[str, int]:
    """Columns without headings: `path|speaker|language|text` (GPT-SoVITS), `id|text|normalised text` (LJSpeech)."""
    if len(row) >= 4 and row[2].strip().upper() in _UPSTREAM_LANGUAGES:
        return {"file": 0, "speaker": 1, "language": 2, "text": 3}
    if len(row) == 3 and row[2].strip().lower() in LANGUAGES:
        return {"file": 0, "text": 1, "language": 2}
    # LJSpeech's last column has numbers and abbreviations written out, as they are spoken.
    return {"file": 0, "text": 2 if len(row) == 3 and row[2].strip() else 1}


def _cells(row: Sequence[str], columns: dict[str, int]) -> dict[str, str]:
    return {key: row[at].strip() if 0 <= at < len(row) else "" for key, at in columns.items()}


def _fields(line: str, mark: str) -> int:
    return len(next(csv.reader([line], delimiter=mark), [])) if mark != "|" else line.count("|") + 1


def _decoded(data: bytes) -> str:
    if len(data) > MAX_LIST_BYTES:
        raise InputError(f"a list of {len(data)} bytes, expected at most {MAX_LIST_BYTES}", "name the list itself")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError("the list is neither UTF-8, UTF-16 nor GB18030", "save it as UTF-8")


def _rows(source: Path) -> tuple[list[ImportedRow], list[str]]:
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
    for number, cells in enumerate(read_list(path.read_bytes()), 1):
        file, text = cells["file"], normalised(cells["text"])
        recording = _find(folder, sounds, file)
        if recording is None or not text:
            why = "no such recording" if recording is None else "no text"
            notes.append(f"row {number} left out, {why}: {printable(file)[:80]}")
            continue
        speakers.add(cells.get("speaker", ""))
        own = cells.get("language", "")
        found.append(ImportedRow(recording, text, _UPSTREAM_LANGUAGES.get(own.upper(), own.lower())))
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


def _sounds(folder: Path) -> dict[str, Path]:
    """Recordings below a folder by bare name and by bare name without suffix; links are none."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if (
            path.suffix.lower() in SUFFIXES
            and path.is_file()
            and not path.is_symlink()
            and not path.name.startswith(".")
        ):
            found.setdefault(path.name.casefold(), path)
            found.setdefault(path.stem.casefold(), path)
    return found


def _find(folder: Path, sounds: dict[str, Path], name: str) -> Path | None:
    """By its bare name below the folder: lists hold paths of other machines, and must not reach outside."""
    bare = PurePosixPath(name.replace("\\", "/").strip().strip('"')).name.casefold()
    return sounds.get(bare) if bare else None


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
                path = _inside(target, item.filename, number, archive.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(item) as packed_file, path.open("wb") as out:
                    # A header may lie about the size; what it said is all that is read.
                    shutil.copyfileobj(io.BytesIO(packed_file.read(item.file_size)), out)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{archive.name}: not readable as a ZIP archive ({error})", "pack it again, without a password"
        ) from error


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
