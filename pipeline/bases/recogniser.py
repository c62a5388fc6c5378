"""Which phone recogniser hears the recordings of a voice: that of its base, or nano's for a base that has none."""

from __future__ import annotations

from timbre.core.base import BASE_FILE, CONTENT_ENCODER, CONTENT_ENCODER_CONFIG, RECOGNISER, Base, read_base
from timbre.core.digests import digest_value
from timbre.core.errors import ConfigurationError

_STAND_IN = "nano"
_ROLES = (CONTENT_ENCODER, CONTENT_ENCODER_CONFIG, RECOGNISER)


def recognising_base(base: Base) -> Base | None:
    """The base whose recogniser hears the recordings: its own, else that of nano beside it; None without either."""
    if _hears(base):
        return base
    folder = base.folder.parent / _STAND_IN
    if base.folder == folder or not (folder / BASE_FILE).is_file():
        return None
    try:
        other = read_base(folder, base.weights_root)
    except ConfigurationError:
        return None
    return other if _hears(other) else None


def listening_key(base: Base) -> str:
    """Digest of all that decides what is heard; part of the key of stage 1."""
    found = recognising_base(base)
    if found is None:
        return digest_value({"recogniser": None})
    files = {item.role: item.sha256 for item in found.files if item.role in _ROLES}
    return digest_value({"recogniser": files, "languages": list(found.languages)})


def _hears(base: Base) -> bool:
    if not all(base.has(role) for role in _ROLES):
        return False
    try:
        return all(base.file_path(role).is_file() for role in _ROLES)
    except ConfigurationError:
        # Not pulled yet: the operator has to do that for stage 2 anyway.
        return False
