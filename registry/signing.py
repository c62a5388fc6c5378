"""Signatures: what somebody without the key wrote into a store is not read as a record of the registry.

Ed25519 over the key of a record and its content. A SignedStore puts them on and checks them between the registry and
any store, so that aliases, manifests, events, bases (with the digests of their graphs), stage records and tombstones
are covered alike; blobs are named by their digest, which stands in such a record.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbre.core.digests import canonical_json, digest_bytes, digest_value
from timbre.core.errors import ConfigurationError
from timbre.registry.errors import CorruptError
from timbre.registry.records import encode, unseal
from timbre.registry.store import Store, Stored

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_KEY, TRUSTED_KEYS = "TIMBRE_SIGNING_KEY", "TIMBRE_TRUSTED_KEYS"
_SIGNED = ("voices/", "bases/", "stages/", "revoked/", "heads/", "policy", "trash/")
_PURPOSE = b"timbre record 1\0"


@dataclass(frozen=True)
class Signer:
    """A private key and the id of its public half."""

    id: str
    key: Ed25519PrivateKey

    def sign(self, key: str, record: Mapping[str, Any]) -> dict[str, str]:
        """The signature that stands in a record."""
        return {"key": self.id, "value": base64.b64encode(self.key.sign(_message(key, record))).decode()}


class SignedStore:
    """A store whose records are signed on the way in and checked on the way out; everything else passes through.

    trusted: key id -> public key. signer: None for a program that only reads. Reading raises CorruptError for a record
    that is not signed by a trusted key; writing one without a signer raises ConfigurationError.
    """

    signs = True

    def __init__(self, store: Store, trusted: Mapping[str, Ed25519PublicKey], signer: Signer | None = None) -> None:
        self.inner = store
        self._trusted = dict(trusted)
        self._signer = signer

    def __getattr__(self, name: str) -> Any:
        # What only some stores can do (sweep, several writes as one) is the inner store's.
        return getattr(self.inner, name)

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def can_compare_and_swap(self) -> bool:
        return self.inner.can_compare_and_swap

    def get(self, key: str) -> Stored | None:
        stored = self.inner.get(key)
        if stored is not None and is_signed_key(key):
            self.check(key, stored.data)
        return stored

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self.inner.put_if_absent(key, self._signed(key, data))

    def replace_if(self, key: str, data: bytes, tag: str) -> str | None:
        return self.inner.replace_if(key, self._signed(key, data), tag)

    def list(self, prefix: str) -> Iterator[str]:
        return self.inner.list(prefix)

    def delete(self, key: str) -> bool:
        return self.inner.delete(key)

    def check(self, key: str, data: bytes) -> None:
        """Raises CorruptError when these bytes are no record of this key with a signature that is trusted."""
        from cryptography.exceptions import InvalidSignature

        remedy = "restore this object from a backup; if the registry is older than its signing key: timbre sign adopt"
        try:
            record = json.loads(data)
            signature = record["signature"]
            public = self._trusted[signature["key"]]
            public.verify(base64.b64decode(signature["value"], validate=True), _message(key, record))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidSignature) as error:
            raise CorruptError(
                f"registry {self.url}: {key} is not signed by a key that is trusted here", remedy=remedy
            ) from error

    def _signed(self, key: str, data: bytes) -> bytes:
        if not is_signed_key(key):
            return data
        if self._signer is None:
            raise ConfigurationError(
                f"registry {self.url}: {key} would be written without a signature, which nobody here would read",
                f"set {SIGNING_KEY} to the file of a private key whose public half is in {TRUSTED_KEYS}",
            )
        record = json.loads(data)
        record = {name: value for name, value in record.items() if name not in ("digest", "signature")}
        record["signature"] = self._signer.sign(key, record)
        return encode({**record, "digest": digest_value(record)})


def is_signed_key(key: str) -> bool:
    """Whether what lies under this key is a record that needs a signature."""
    return key.startswith(_SIGNED) and key.endswith(".json")


def guarded(store: Store, environment: Mapping[str, str]) -> Store:
    """The store, with signatures when the environment names keys. Raises ConfigurationError for files without any."""
    private, public = environment.get(SIGNING_KEY, ""), environment.get(TRUSTED_KEYS, "")
    if not private and not public:
        return store
    signer = read_signer(Path(private)) if private else None
    trusted = read_trusted(Path(public)) if public else {}
    if signer is not None and not public:
        trusted[signer.id] = signer.key.public_key()
    return SignedStore(store, trusted, signer)


def new_key(path: Path) -> str:
    """Writes a new private key (mode 0600) and returns the line of its public half. Raises ConfigurationError when
    there is a file already.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path}: there is a file already", "name another one; no key is replaced") from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(pem)
    return public_line(key.public_key())


def public_line(key: Ed25519PublicKey) -> str:
    """A line of a file of trusted keys: base64 of the 32 bytes."""
    return base64.b64encode(_raw(key)).decode()


def read_signer(path: Path) -> Signer:
    """Raises ConfigurationError when the file holds no Ed25519 private key, or others may read it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path}: others may read this private key", f"chmod 600 {path}")
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path}: no private key ({error})", "make one with: timbre sign new FILE") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: no Ed25519 key", "make one with: timbre sign new FILE")
    return Signer(_id(key.public_key()), key)


def read_trusted(path: Path) -> dict[str, Ed25519PublicKey]:
    """Key id -> public key, of a file with one key a line (# for remarks). Raises ConfigurationError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    found = {}
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
        for line in filter(None, lines):
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(line, validate=True))
            found[_id(key)] = key
    except (OSError, ValueError) as error:
        message = f"{path}: no list of public keys ({error})"
        raise ConfigurationError(message, "one a line, as timbre sign new prints it") from error
    if not found:
        raise ConfigurationError(f"{path}: no public key in it", "one a line, as timbre sign new prints it")
    return found


def _message(key: str, record: Mapping[str, Any]) -> bytes:
    content = {name: value for name, value in record.items() if name not in ("digest", "signature")}
    return _PURPOSE + key.encode() + b"\0" + canonical_json(content).encode()


def _raw(key: Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _id(key: Ed25519PublicKey) -> str:
    return digest_bytes(_raw(key))[:16]


def adopt_records(store: Store) -> int:
    """Signs every record that has no signature, as it is now; how many. Raises ConfigurationError without a signer,
    CorruptError for a damaged record or one with a signature that is not trusted.
    """
    if not isinstance(store, SignedStore):
        raise ConfigurationError("no signing key is named", f"set {SIGNING_KEY}; make one with: timbre sign new FILE")
    count = 0
    for key in list(store.list("")):
        stored = store.inner.get(key) if is_signed_key(key) else None
        if stored is None:
            continue
        unseal(key, stored.data)
        if "signature" in json.loads(stored.data):
            store.check(key, stored.data)
        elif store.replace_if(key, stored.data, stored.tag) is not None:
            count += 1
    return count
