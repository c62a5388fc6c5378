"""Files that were dropped on the page, on their way to a voice: kept aside until all are there, then import_voice.

files of a folder, a list, a ZIP archive -> .timbre/studio/<number>/ -> pipeline/voice/importing.py -> voices/<name>/
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from timbre.audio.suffixes import SUFFIXES
from timbre.core.atomic import remove_tree
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.voice.importing import MAX_FILES, ImportedVoice, import_voice
from timbre.studio.errors import StudioError

_KINDS = (*SUFFIXES, ".list", ".csv", ".tsv", ".txt", ".zip")
_NUMBER = re.compile(r"[0-9a-f]{16}")
_MOST_BYTES = 2 << 30


class Imports:
    """Folders below .timbre/studio, closed to other users. What an earlier studio left there is removed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._place = workspace.private / "studio" / "imports"
        remove_tree(self._place)

    def begin(self) -> str:
        """Number of a new import."""
        self._workspace.make_private()
        number = secrets.token_hex(8)
        (self._place / number / "files").mkdir(parents=True)
        return number

    async def add(self, number: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        """One file; name: its path within what was dropped, of which the last parts are kept."""
        folder = self._folder(number)
        target = folder / _safe(name)
        present = [path for path in folder.rglob("*") if path.is_file()]
        if len(present) >= MAX_FILES or sum(path.stat().st_size for path in present) > _MOST_BYTES:
            raise StudioError(
                413, "too-many-files", f"more than {MAX_FILES} files or 2 GiB", "import fewer", n=MAX_FILES
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("wb") as stream:
                async for chunk in chunks:
                    stream.write(chunk)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise StudioError(507, "disk-full", f"{target.name}: {error.strerror}", "make room on the disk") from error

    def finish(self, number: str, name: str, language: str, base: str) -> ImportedVoice:
        """Makes voices/<name> of the files. Raises InputError; the files stay for another name or language."""
        folder = self._folder(number)
        archives = sorted(folder.rglob("*.zip"))
        source = archives[0] if len(archives) == 1 else folder
        made = import_voice(self._workspace.root, source, name, language, base)
        self.drop(number)
        return made

    def drop(self, number: str) -> None:
        """Forgets an import."""
        shutil.rmtree(self._folder(number).parent, ignore_errors=True)

    def _folder(self, number: str) -> Path:
        folder = self._place / number / "files"
        if not _NUMBER.fullmatch(number) or not folder.is_dir():
            raise StudioError(404, "no-import", f"import {number[:20]!r}: no such import", "drop the files again")
        return folder


def _safe(name: str) -> PurePosixPath:
    """At most a folder and a file name, without anything that could lead elsewhere."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    clean = [re.sub(r"[^\w. ()-]+", "_", part).lstrip(".")[:120] or "_" for part in parts[-2:]]
    if not clean or PurePosixPath(clean[-1]).suffix.lower() not in _KINDS:
        raise StudioError(
            415, "no-such-kind", f"{name[:80]!r}: neither a recording nor a list", "drop recordings and their list",
            file=name[:80],
        )  # fmt: skip
    return PurePosixPath(*clean)
