"""A voice folder: voice.yaml, metadata.csv and recordings, read without decoding a sample.

folder -> VoiceFolder with its clips, its digest and every problem that files and texts already show
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbre.audio.suffixes import SUFFIXES
from timbre.core.digests import digest_file, digest_value
from timbre.core.errors import InputError
from timbre.core.printable import printable
from timbre.core.problems import Problem
from timbre.core.recipe import Recipe
from timbre.pipeline.voice.folder_paths import file_problem, name_problem, path_problem, spelling
from timbre.pipeline.voice.metadata import FILE as METADATA
from timbre.pipeline.voice.metadata import read_metadata, shortened
from timbre.pipeline.voice.voice_yaml import FILE as VOICE_YAML
from timbre.pipeline.voice.voice_yaml import Consent, VoiceSettings, read_voice_yaml
from timbre.text import lexicon

LEXICON = "lexicon.txt"
_LFS_MARK = b"version https://git-lfs"
_MAX_ENTRIES = 200_000
_MAX_LEXICON_BYTES = 1 << 20


@dataclass(frozen=True)
class Clip:
    """One recording with its text."""

    file: str
    """Relative to the folder."""
    path: Path
    """Where to open it."""
    text: str
    """What is said, in normalised Unicode."""
    language: str
    """Its own or the voice's ("": unknown)."""


@dataclass(frozen=True)
class VoiceFolder:
    """A voice as it lies on disk."""

    name: str
    """Of the folder."""
    path: Path
    """As the caller gave it."""
    settings: VoiceSettings
    """voice.yaml; values that could not be read are defaults."""
    clips: tuple[Clip, ...]
    """Usable rows of metadata.csv, in its order."""
    problems: tuple[Problem, ...]
    """What stage 1 reports besides its own findings; empty for a good folder."""

    @property
    def language(self) -> str:
        """Language of the voice; empty when voice.yaml names none."""
        return self.settings.language

    @property
    def base(self) -> str:
        """Name of a folder of bases/."""
        return self.settings.base

    @property
    def consent(self) -> Consent:
        """Why this voice may be cloned."""
        return self.settings.consent

    @property
    def review(self) -> bool:
        """True when a person approves before the alias moves."""
        return self.settings.review

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Overrides, same schema as recipes/default.yaml."""
        return self.settings.recipe

    @property
    def statement(self) -> Path | None:
        """The recorded consent, when voice.yaml names one inside the folder."""
        return self.path / self.consent.statement if self.consent.statement else None

    def digest(self) -> str:
        """SHA-256 of what the voice is made of: voice.yaml normalised; bytes of metadata.csv, clips, consent, lexicon.

        Files that cannot be read count as absent, so that a folder with problems has a digest too.
        """
        content = {file: _digest_or_none(self.path / file) for file in sorted(self.files() - {VOICE_YAML})}
        problems = [str(problem) for problem in self.problems]
        return digest_value({"voice": self.settings.normalised(), "files": content, "problems": problems})

    def files(self) -> set[str]:
        """Names of all files that the voice is made of, relative to its folder."""
        files = {VOICE_YAML, METADATA, *(clip.file for clip in self.clips)}
        if self.consent.statement:
            files.add(self.consent.statement)
        if os.path.lexists(self.path / LEXICON):
            files.add(LEXICON)
        return files

    def recordings(self) -> str:
        """SHA-256 of the recordings alone: equal under another name of the voice, other settings and other texts."""
        return digest_value(sorted({found for clip in self.clips if (found := _digest_or_none(clip.path))}))


def open_voice(path: Path, recipe: Recipe | None = None) -> VoiceFolder:
    """Reads the folder. Problems inside it are collected in the result, so that stage 1 can report all of them at once.

    Raises InputError when there is no such folder, or when its name cannot be that of a voice.
    """
    name = path.name
    if problem := name_problem(name):
        raise InputError(f"{problem.where}: {problem.value}; expected {problem.limit}", problem.remedy)
    if (path / ".git").exists():
        message = f"{path}: a Git submodule or nested repository, expected a folder of this one"
        raise InputError(message, f"take it out (git rm --cached voices/{name}) and commit its files here")
    if path.is_symlink():
        raise InputError(f"{path}: a symbolic link, expected a folder", "replace it by the folder itself")
    if not path.is_dir():
        others = sorted(entry.name for entry in path.parent.iterdir() if entry.is_dir()) if path.parent.is_dir() else []
        remedy = f"start one with: timbre voices new {name}"
        raise InputError(f"{path}: no such voice folder (there are: {', '.join(others) or 'none'})", remedy)
    settings = VoiceSettings()
    problems: list[Problem] = []
    yaml_data = _small_file(path, VOICE_YAML, problems, "start one with: timbre voices new NAME")
    if yaml_data is not None:
        settings, found = read_voice_yaml(yaml_data)
        problems += found
    base_recipe = recipe or Recipe()
    laid_over, _ = base_recipe.check_overrides(settings.recipe, VOICE_YAML, by_voice=True, with_base=False)
    clips: list[Clip] = []
    listed: frozenset[str] | None = None
    metadata = _small_file(path, METADATA, problems, "write one row `file|text` for each recording")
    if metadata is not None:
        table = read_metadata(metadata, settings.language, laid_over.validate.max_clips)
        problems += table.problems
        bad_files = []
        found_as = {name: stored_as(path, name) for name in table.named or ()}
        listed = frozenset(found_as.values()) if table.named is not None else None
        first: dict[str, int] = {}
        for row in table.rows:
            file, where = found_as[row.file], f"{METADATA}, line {row.line}"
            if (earlier := first.setdefault(file, row.line)) != row.line:
                what = f"{row.file!r} means {file!r}, which is in line {earlier} already"
                bad_files.append(Problem(where, what, "every file once", "delete one row"))
            elif problem := _clip_problem(path, where, file):
                bad_files.append(problem)
            else:
                clips.append(Clip(file, path / file, row.text, row.language))
        problems += shortened(bad_files)
    statement = settings.consent.statement
    if statement and (problem := _clip_problem(path, f"{VOICE_YAML}: consent.statement", statement)):
        problems.append(problem)
    problems += _lexicon_problems(path)
    problems += shortened(list(_stray_files(path, listed, statement)))
    return VoiceFolder(name, path, settings, tuple(clips), tuple(problems))


def stored_as(folder: Path, name: str) -> str:
    """The file that a name in the list means: itself, or the one in wavs/, or the only one there with a suffix of a
    recording (`c01.wav`, `c01`). The name itself where there is no such file.
    """
    if path_problem("", name) is not None:
        return name
    for candidate in (name, f"wavs/{name}"):
        if os.path.lexists(folder / candidate):
            return candidate
    stem = Path(name).name
    for place in (Path(name).parent, Path("wavs") / Path(name).parent):
        found = [
            place / f"{stem}{suffix}" for suffix in SUFFIXES if os.path.lexists(folder / place / f"{stem}{suffix}")
        ]
        if len(found) == 1:
            return found[0].as_posix()
    return name


def _small_file(folder: Path, name: str, problems: list[Problem], remedy: str) -> bytes | None:
    if not os.path.lexists(folder / name):
        problems.append(Problem(name, "missing", f"a {name} in every voice folder", remedy))
        return None
    if problem := file_problem(name, folder, name):
        problems.append(problem)
        return None
    try:
        with (folder / name).open("rb") as stream:
            # A little more than any limit of the readers, so that they see that it is too long.
            data = stream.read((64 << 20) + 2)
    except OSError as error:
        problems.append(Problem(name, str(error.strerror), "a readable file", "correct the permissions"))
        return None
    if data.startswith(_LFS_MARK):
        problems.append(Problem(name, "a Git LFS pointer", "the file itself", "run `git lfs pull`"))
        return None
    return data


def _lexicon_problems(folder: Path) -> list[Problem]:
    """Every line of the voice's own readings that cannot be used; it has none where there is no lexicon.txt."""
    problems: list[Problem] = []
    if not os.path.lexists(folder / LEXICON):
        return problems
    data = _small_file(folder, LEXICON, problems, "")
    if data is None:
        return problems
    if len(data) > _MAX_LEXICON_BYTES:
        limit = f"at most {_MAX_LEXICON_BYTES}"
        return [Problem(LEXICON, f"{len(data)} bytes", limit, "keep only words that are mispronounced without it")]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [Problem(f"{LEXICON}, line {line}", "not UTF-8", "UTF-8 text", "save the file as UTF-8")]
    # Most folders have no lexicon, and the tables behind it take their time to load.

    limit = "a word and its phones"
    return [Problem(f"{LEXICON}, line {line}", what, limit, lexicon.REMEDY) for line, what in lexicon.read(text)[1]]


def _clip_problem(folder: Path, where: str, file: str) -> Problem | None:
    if problem := file_problem(where, folder, file):
        return problem
    suffix = Path(file).suffix.lower()
    if suffix not in SUFFIXES:
        remedy = "export the recording as WAV or FLAC"
        return Problem(where, f"{file!r} ends in {suffix!r}", "one of " + ", ".join(SUFFIXES), remedy)
    path = folder / file
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(len(_LFS_MARK))
    except OSError as error:
        return Problem(where, f"{file!r}: {error.strerror}", "a readable file", "correct the permissions")
    if size == 0:
        return Problem(where, f"{file!r} has 0 bytes", "a recording", "put the recording there or delete the row")
    if head == _LFS_MARK:
        return Problem(where, f"{file!r} is a Git LFS pointer", "the recording itself", "run `git lfs pull`")
    return None


def _stray_files(folder: Path, listed: frozenset[str] | None, statement: str | None) -> Iterator[Problem]:
    """Links anywhere in the folder, and recordings that no row names (listed None: metadata.csv could not tell)."""
    count = 0
    # A row that means such a file by another spelling is reported already, with what to do.
    meant = {spelling(name) for name in listed or () if not os.path.lexists(folder / name)}
    for place, folders, files in os.walk(folder, followlinks=False):
        # Version control and tools keep hidden folders; no recording may be in one.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(folders) + sorted(files):
            count += 1
            if count > _MAX_ENTRIES:
                yield Problem(folder.name, f"more than {_MAX_ENTRIES} entries", "a folder of recordings", "tidy it")
                return
            path = Path(place) / name
            relative = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                # Links that a row names are reported with their row.
                named = (VOICE_YAML, METADATA, LEXICON, statement)
                if listed is None or (relative not in listed and relative not in named):
                    yield Problem(printable(relative), "a symbolic link", "files only", "replace it by the file itself")
                continue
            suffix = Path(name).suffix.lower()
            is_sound = suffix in SUFFIXES
            if listed is None or not is_sound or relative in listed or relative == statement:
                continue
            if name.startswith(".") or spelling(relative) in meant:
                continue
            kind = "a directory" if stat.S_ISDIR(mode) else "in no row of metadata.csv"
            yield Problem(printable(relative), kind, "one row for each recording", "add a row, or delete the file")


def _digest_or_none(path: Path) -> str | None:
    try:
        return digest_file(path) if stat.S_ISREG(path.lstat().st_mode) else None
    except OSError:
        return None
