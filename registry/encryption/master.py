"""The master key: wraps the data keys of voices, and is itself never stored in a registry.

TIMBRE_MASTER_KEY says where it is: `file:/path` (the file holds 32 bytes in base64), `kms:KEY-ID-OR-ARN` (it never
leaves AWS KMS; boto3), or the 32 bytes in base64 themselves, as a secret variable of CI.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from timbre.core.errors import ConfigurationError
from timbre.core.extras import needed_by
from timbre.registry.kms import PREFIX, KmsKey

if TYPE_CHECKING:
    from timbre.registry.encryption.ciphers import AesGcm

VARIABLE = "TIMBRE_MASTER_KEY"
_BYTES = 32
_MAKE = "make one with: timbre keys master"
_ALLOW = "kms:Encrypt and kms:Decrypt"


class Master(Protocol):
    """Wraps and unwraps data keys. context: name -> value, authenticated with the key."""

    @property
    def name(self) -> str:
        """Which master this is; says nothing about the key."""

    def wrap(self, key: bytes, context: dict[str, str]) -> bytes:
        """The key, readable only with this master and the same context."""

    def unwrap(self, wrapped: bytes, context: dict[str, str]) -> bytes:
        """The reverse of wrap. Raises ConfigurationError with another master or context."""


def read_master(text: str) -> Master:
    """The master that the text of TIMBRE_MASTER_KEY names. Raises ConfigurationError; never quotes the key."""
    if text.startswith(PREFIX):
        return KmsMaster(text.removeprefix(PREFIX))
    if text.startswith("file:"):
        path = Path(text.removeprefix("file:"))
        try:
            mode, content = path.stat().st_mode, path.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{VARIABLE}: {path}: {error}", remedy=_MAKE) from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(f"{VARIABLE}: {path} is open to others", remedy=f"run: chmod 600 {path}")
        return LocalMaster(_decoded(content, str(path)))
    return LocalMaster(_decoded(text, "its value"))


def new_master() -> str:
    """A fresh master key as text."""
    return base64.b64encode(secrets.token_bytes(_BYTES)).decode()


@dataclass(frozen=True)
class LocalMaster:
    """A master key in this process's memory: AES-256-GCM."""

    key: bytes
    """32 bytes; never shown, `name` has a fingerprint."""

    def __repr__(self) -> str:
        return f"LocalMaster({self.name})"

    @property
    def name(self) -> str:
        """local: and a fingerprint."""
        return "local:" + hashlib.sha256(b"timbre master " + self.key).hexdigest()[:12]

    def wrap(self, key: bytes, context: dict[str, str]) -> bytes:
        """Nonce and ciphertext."""
        nonce = secrets.token_bytes(12)
        return nonce + aes_gcm(self.key).encrypt(nonce, key, _flat(context))

    def unwrap(self, wrapped: bytes, context: dict[str, str]) -> bytes:
        """The reverse of wrap."""
        try:
            return aes_gcm(self.key).decrypt(wrapped[:12], wrapped[12:], _flat(context))
        except ValueError as error:
            raise ConfigurationError(
                f"the data key of {context.get('voice')!r} does not open with master {self.name}",
                remedy=f"set {VARIABLE} to the master key that wrapped it",
            ) from error


class KmsMaster:
    """A key in AWS KMS; the context is its encryption context."""

    def __init__(self, key_id: str) -> None:
        self._key = KmsKey(key_id, VARIABLE)

    @property
    def name(self) -> str:
        """kms: and the key's id."""
        return self._key.name

    def wrap(self, key: bytes, context: dict[str, str]) -> bytes:
        """KMS's ciphertext."""
        return bytes(self._key.call("encrypt", _ALLOW, Plaintext=key, EncryptionContext=context)["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, context: dict[str, str]) -> bytes:
        """The reverse of wrap."""
        return bytes(self._key.call("decrypt", _ALLOW, CiphertextBlob=wrapped, EncryptionContext=context)["Plaintext"])


def aes_gcm(key: bytes) -> AesGcm:
    """The cipher with this key. Raises ConfigurationError where its library is not installed."""
    with needed_by("encryption"):
        from timbre.registry.encryption.ciphers import AesGcm
    return AesGcm(key)


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _BYTES:
        raise ConfigurationError(f"{VARIABLE}: {where} is not {_BYTES} bytes in base64", remedy=_MAKE)
    return key


def _flat(context: dict[str, str]) -> bytes:
    return "\0".join(f"{name}={value}" for name, value in sorted(context.items())).encode()
