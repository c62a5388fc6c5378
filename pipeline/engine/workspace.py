"""Where things lie below a repository root: voices, bases, recipes, and all that the pipeline writes (`.timbre/`)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from timbre.core.errors import ConfigurationError, InfrastructureError, InputError
from timbre.core.near_names import nearest
from timbre.core.printable import printable
from timbre.core.voice_names import LIMIT, is_voice_name, near_voice_name

if TYPE_CHECKING:
    from timbre.core.base import Base

EXPORTS = "exports"
"""Folder of exported bases by digest, in .timbre of a repository or in the user's cache; servers share it."""


@dataclass(frozen=True)
class Workspace:
    """A checkout of a voice repository."""

    root: Path
    """Folder that holds `voices/`; absolute when `find` made it."""
    pulled: Path | None = None
    """Folder of pulled weights, None for .timbre/bases."""

    @classmethod
    def find(cls, start: Path, pulled: Path | None = None) -> Workspace:
        """The nearest folder at or above `start` that holds `voices/`. Raises ConfigurationError."""
        for folder in (start.resolve(), *start.resolve().parents):
            if (folder / "voices").is_dir():
                return cls(folder, pulled)
        raise ConfigurationError(
            f"{start}: no `voices/` folder here or above",
            "name a voice repository (--root DIR on the command line), or make one with: timbre init DIR",
        )

    @property
    def voices(self) -> Path:
        return self.root / "voices"

    @property
    def bases(self) -> Path:
        return self.root / "bases"

    @property
    def weights_root(self) -> Path:
        """Folder of pulled weights."""
        return self.pulled or self.private / "bases"

    def load_base(self, name: str) -> Base:
        """A base of this repository, else of the package. Raises ConfigurationError."""
        from timbre.core.base import load_base

        return load_base(name, self.bases, self.weights_root)

    @property
    def default_recipe(self) -> Path:
        return self.root / "recipes" / "default.yaml"

    @property
    def private(self) -> Path:
        """All that the pipeline writes; ignored by Git."""
        return self.root / ".timbre"

    def make_private(self) -> None:
        """Makes `.timbre/`, closed to other users: recordings lie below it. Raises InfrastructureError."""
        try:
            self.private.mkdir(exist_ok=True)
            self.private.chmod(0o700)
        except OSError as error:
            raise InfrastructureError(
                f"{self.private}: {error.strerror}", "give this user write permission on the repository"
            ) from error

    @property
    def default_registry(self) -> Path:
        return self.private / "registry"

    def work(self, voice: str, stage: str) -> Path:
        return self.private / "work" / voice / stage

    def report(self, voice: str, stage: str) -> Path:
        return self.private / "reports" / voice / stage

    def lock(self, voice: str) -> Path:
        return self.private / "locks" / f"{voice}.lock"

    def voice_names(self) -> list[str]:
        """Folders of voices/ that have a voice.yaml, sorted. Names that no voice can have (line breaks, bytes that are
        no UTF-8) are written with escapes, so that they can be shown.
        """
        return sorted(printable(path.parent.name) for path in self.voices.glob("*/voice.yaml"))

    def _same_letters(self, name: str) -> str:
        """A folder whose name shows as this one and is stored otherwise; "" for none."""
        if not self.voices.is_dir():
            return ""
        composed = unicodedata.normalize("NFC", name)
        found = (path.name for path in self.voices.iterdir())
        return next((other for other in found if unicodedata.normalize("NFC", other) == composed), "")

    def voice_path(self, name: str) -> Path:
        """The folder of a voice. Raises InputError for a name that is not one, and for a voice that does not exist."""
        if not is_voice_name(name):
            near = near_voice_name(name)
            remedy = f"rename the folder, for example `{near or 'ada-lovelace'}`"
            raise InputError(f"voice name {name[:80]!r}: expected {LIMIT}", remedy)
        path = self.voices / name
        if not path.is_dir() and (other := self._same_letters(name)):
            raise InputError(
                f"voices/{name}: no such folder, but one whose name is stored in other characters (decomposed letters)",
                f"rename it: git mv voices/{other} voices/{name}",
            )
        if not path.is_dir():
            guess = nearest(name, self.voice_names())
            raise InputError(
                f"voices/{name}: no such folder",
                f"did you mean `{guess}`?" if guess else f"start it with: timbre voices new {name} --language en",
            )
        return path
