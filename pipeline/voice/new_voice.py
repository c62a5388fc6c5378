"""Starts a voice folder for a person: settings, a script to read, a table already filled in, what to do next."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from timbre.core.base import list_bases, load_base
from timbre.core.consent import CONSENT_KINDS
from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES
from timbre.pipeline.voice.folder_paths import name_problem
from timbre.pipeline.voice.lfs import lfs_rules
from timbre.pipeline.voice.reading_script import SENTENCES
from timbre.pipeline.voice.voice_yaml import DEFAULT_BASE
from timbre.text.consent import CONSENT

STATEMENT = "consent.wav"


@dataclass(frozen=True)
class NewVoice:
    """A voice folder that was just created."""

    folder: Path
    """The new folder."""
    files: tuple[str, ...]
    """What was written, relative to the repository."""
    steps: tuple[str, ...]
    """What the person does next."""


def free_folder(root: Path, name: str) -> Path:
    """voices/NAME, which is not made. Raises InputError for a name that no voice can have, and one that is taken."""
    if problem := name_problem(name):
        raise InputError(f"{problem.where}: {problem.value}; expected {problem.limit}", "choose another name")
    folder = root / "voices" / name
    if os.path.lexists(folder):
        raise InputError(f"voices/{name}: exists already", "choose another name, or work on that folder")
    return folder


def rights_step(name: str) -> str:
    """The next step that a person takes in any new voice.yaml."""
    return f"write in voices/{name}/voice.yaml under `rights` what the voice may be used for"


def new_voice(
    root: Path,
    name: str,
    language: str,
    base: str = DEFAULT_BASE,
    lfs: bool = False,
    *,
    statement: str = STATEMENT,
    rights: str = "",
    listed: bool = True,
) -> NewVoice:
    """Writes voices/NAME under a repository root; with lfs also the Git LFS rule. Nothing that exists is overwritten.

    statement: name of the recorded consent. rights: what the voice may be used for, "" to be filled in. listed: whether
    the list names the recordings of the script already; a page that records them adds each as it is made.

    Raises InputError for a name or language that cannot be, for a language that the base cannot speak and for a folder
    that exists.
    """
    folder = free_folder(root, name)
    if language not in LANGUAGES:
        raise InputError(f"language {language!r}: expected one of {', '.join(LANGUAGES)}", "use for example: en")
    languages = load_base(base, root / "bases").languages if base in list_bases(root / "bases") else ()
    if languages and language not in languages:
        raise InputError(
            f"language {language!r}: the base {base!r} speaks {', '.join(languages)}",
            "choose a base that speaks it before anything is recorded: timbre base list",
        )
    sentences = SENTENCES[language]
    rows = [f"{_file(number)}|{text}" for number, text in enumerate(sentences, 1)] if listed else []
    files = {
        "voice.yaml": settings_text(language, base, statement, rights),
        "metadata.csv": "\n".join(["file|text", *rows]) + "\n",
        "script.txt": _script(language, sentences, statement),
        "wavs/.gitkeep": "",
    }
    for relative, text in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    written = [f"voices/{name}/{relative}" for relative in files]
    if lfs:
        _add_lfs_rule(root / ".gitattributes", name)
        written.append(".gitattributes")
    return NewVoice(folder, tuple(written), _steps(name, len(sentences), lfs))


def _file(number: int) -> str:
    return f"wavs/{number:04d}.wav"


def settings_text(language: str, base: str, statement: str = STATEMENT, rights: str = "") -> str:
    """voice.yaml of a voice with recorded consent. rights: "" for a line that the person fills in."""
    example = '""                 # for example: "(c) 2026 Example School. Internal announcements only."'
    # JSON strings are YAML strings.
    given = json.dumps(rights, ensure_ascii=False) if rights else example
    return (
        f"language: {language}\n"
        f"base: {base}\n"
        "consent:\n"
        f"  kind: recorded             # {' | '.join(CONSENT_KINDS)}\n"
        f"  statement: {statement:<15} # recorded: you say who you are and what the voice may be used for\n"
        f"  rights: {given}\n"
        "# review: required           # a person approves before the voice goes into production\n"
        "recipe: {}                   # overrides of the base's settings and of recipes/default.yaml\n"
    )


def _script(language: str, sentences: tuple[str, ...], statement: str) -> str:
    lines = [
        "Read one line, make one recording. Quiet room, a hand's width from the microphone, half a second of silence",
        "before and after. WAV, 24 kHz or more (FLAC too: then correct the names in metadata.csv).",
        "If a line goes wrong, record it again.",
        "",
        statement,
        f"    {CONSENT[language]}",
        "    (put your own name and purpose in place of the brackets)",
        "",
    ]
    for number, sentence in enumerate(sentences, 1):
        lines += [_file(number), f"    {sentence}"]
    return "\n".join(lines) + "\n"


def _add_lfs_rule(path: Path, name: str) -> None:
    """Adds the lines that are not there yet; a last line without its end is completed first.

    For this voice only: recordings of other voices may lie in plain Git, and Git would call them all changed.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    missing = [rule for rule in lfs_rules(f"voices/{name}") if rule not in text.splitlines()]
    if missing:
        start = text if not text or text.endswith("\n") else text + "\n"
        path.write_text(start + "\n".join(missing) + "\n", encoding="utf-8")


def _steps(name: str, count: int, lfs: bool) -> tuple[str, ...]:
    steps = [
        f"record the {count} lines of voices/{name}/script.txt as wavs/0001.wav to wavs/{count:04d}.wav (about 90 s)",
        f"record the statement of consent as voices/{name}/{STATEMENT}, in your own voice",
        f"delete rows of voices/{name}/metadata.csv that you did not record, and correct those that you read otherwise "
        "or stored under another name (.flac, .mp3, .ogg)",
        rights_step(name),
        f"check it: timbre validate {name} (lists every problem and its remedy)",
        f"git add {'.gitattributes ' if lfs else ''}voices/{name} && git commit -m 'Voice {name}' && git push",
    ]
    if lfs:
        steps.insert(0, "once on this machine, before the first git add: install Git LFS and run: git lfs install")
    return tuple(steps)
