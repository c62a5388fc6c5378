"""Keys of the registry, and the names that may stand in them."""

from __future__ import annotations

import re

from timbre.core.errors import InputError
from timbre.core.voice_names import LIMIT, is_voice_name, near_voice_name

_VERSION = re.compile(r"[0-9a-f]{12}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,31}")
PRODUCTION = "production"
# Stage caches: outputs of runs that publish, and of merge requests and other branches, which the former never read.
TRUSTED, UNTRUSTED = "stages", "merge-requests"
STAGE_AREAS = (TRUSTED, UNTRUSTED)
# What every run did: of runs that publish, and of the others, below the area that these may write.
RUNS = "runs"
RUN_AREAS = (RUNS, f"{UNTRUSTED}/runs")
# What pruning took away and can still bring back (trash.py).
TRASH = "trash"
# Every place with records over files (file_set.py) beside versions and bases.
FOLDER_AREAS = (*STAGE_AREAS, RUNS, TRASH)


def check_voice(name: str) -> str:
    """name itself when it may name a voice (core/voice_names.py). Raises InputError."""
    if not is_voice_name(name):
        near = near_voice_name(name)
        remedy = f"did you mean `{near}`?" if near else "rename the folder under voices/"
        raise InputError(f"voice name {name[:80]!r}: expected {LIMIT}", remedy)
    return name


def check_version(version: str) -> str:
    """version itself when it is 12 lower-case hexadecimal digits."""
    if not _VERSION.fullmatch(version):
        raise InputError(
            f"version {version[:80]!r}: expected 12 hexadecimal digits", remedy="list them with: timbre history VOICE"
        )
    return version


def check_alias(alias: str) -> str:
    """alias itself when it is 1 to 32 of a-z, 0-9, - and _, beginning with a letter."""
    if not _ALIAS.fullmatch(alias):
        raise InputError(
            f"alias {alias[:80]!r}: allowed are 1 to 32 of a-z, 0-9, - and _, beginning with a letter",
            remedy="use for example: production",
        )
    return alias


def blob_key(digest: str) -> str:
    """Key of a blob; the two-digit folder keeps directories small."""
    return f"blobs/{digest[:2]}/{digest}"


def version_key(voice: str, version: str) -> str:
    """Key of an immutable manifest."""
    return f"voices/{check_voice(voice)}/versions/{check_version(version)}.json"


def alias_key(voice: str, alias: str) -> str:
    """Key of the only mutable object."""
    return f"voices/{check_voice(voice)}/aliases/{check_alias(alias)}.json"


def tombstone_key(voice: str) -> str:
    """Key of the permanent mark of a revoked voice."""
    return f"voices/{check_voice(voice)}/revoked.json"


def event_key(voice: str, event_id: str) -> str:
    """Key of an append-only event; event ids begin with a UTC time, so keys sort by time."""
    return f"voices/{check_voice(voice)}/events/{event_id}.json"


def split_reference(reference: str) -> tuple[str, str]:
    """VOICE, VOICE@ALIAS or VOICE@VERSION as Registry.resolve takes it: of a voice alone the version in production."""
    voice, _, wanted = reference.partition("@")
    return voice, wanted or PRODUCTION
