"""One encrypted file: header, nonce, ciphertext with tag.

    b"TMBRSEAL" | format, 1 byte | id of the data key, 8 bytes | nonce, 12 bytes | AES-256-GCM ciphertext and tag

Owner (voice), version (or stage key) and path are associated data: a file moved to another voice, version or path does
not open. The nonce is a keyed digest of these and the content, so that encrypting the same file again gives the same
bytes: publishing again finds the blobs that it wrote.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from timbre.core.errors import ConfigurationError
from timbre.registry.encryption.master import aes_gcm
from timbre.registry.errors import CorruptError

MAGIC = b"TMBRSEAL"
_FORMAT = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = len(MAGIC) + 1 + _ID_BYTES + _NONCE_BYTES


@dataclass(frozen=True)
class Place:
    """What a file is bound to."""

    voice: str
    """The owner, whose data key encrypts it."""
    version: str
    """Of the package, or the key of the stage."""
    path: str
    """Relative to the package or to the stage's folder."""

    @property
    def associated(self) -> bytes:
        """Bytes that are authenticated with the content."""
        return "\0".join(("timbre-1", self.voice, self.version, self.path)).encode()


def is_sealed(data: bytes) -> bool:
    """Whether data begins like a sealed file."""
    return data.startswith(MAGIC)


def seal_file(data: bytes, place: Place, key_id: str, key: bytes) -> bytes:
    """data encrypted for its place. key_id: 16 hexadecimal digits; key: 32 bytes."""
    nonce = hmac.digest(_derived(key, b"nonce"), place.associated + b"\0" + data, "sha256")[:_NONCE_BYTES]
    body = aes_gcm(_derived(key, b"encrypt")).encrypt(nonce, data, place.associated)
    return MAGIC + _FORMAT + bytes.fromhex(key_id) + nonce + body


def open_file(data: bytes, place: Place, keys: Mapping[str, bytes]) -> bytes:
    """The reverse of seal_file. keys: id -> data key of the voice.

    Raises ConfigurationError without its key (destroyed, or of another master), CorruptError when the content or the
    place is another.
    """
    if len(data) < _HEADER_BYTES or data[len(MAGIC) : len(MAGIC) + 1] != _FORMAT:
        raise CorruptError(f"{_named(place)}: its header is damaged", remedy="publish the voice again")
    start = len(MAGIC) + 1
    key_id = data[start : start + _ID_BYTES].hex()
    key = keys.get(key_id)
    if key is None:
        raise ConfigurationError(
            f"{_named(place)}: its data key {key_id} does not exist any more",
            remedy="nothing brings it back: publish the voice again from its recordings, if consent stands",
        )
    nonce = data[start + _ID_BYTES : _HEADER_BYTES]
    try:
        return aes_gcm(_derived(key, b"encrypt")).decrypt(nonce, data[_HEADER_BYTES:], place.associated)
    except ValueError as error:
        raise CorruptError(
            f"{_named(place)}: does not open with its key: changed, or moved from another voice, version or path",
            remedy="publish the voice again",
        ) from error


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"timbre " + purpose, hashlib.sha256)


def _named(place: Place) -> str:
    return f"{place.voice}@{place.version[:12]}: {place.path}"
