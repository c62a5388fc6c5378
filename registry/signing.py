"""Signatures: what somebody without the key wrote into a store is not read as a record of the registry.

A signature (signing_keys.py) over the key of a record and its content. A SignedStore puts them on and checks them
between the registry and any store, so that aliases, manifests, events, bases (with the digests of their graphs), stage
records and tombstones are covered alike; blobs are named by their digest, which stands in such a record.

Events and links are named by digest in the links after them and cannot be signed again. When a key is given up
(renewal.py), those that were true until then are listed in countersigned/VOICE.json, by digest and signed by the key
that follows; they count by that list. So do manifests that the links name, by what they say: a mirror may hold versions
that the registry pruned before its renewal.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from timbre.core.digests import canonical_json, digest_bytes, digest_value
from timbre.core.errors import ConfigurationError
from timbre.core.extras import needed_by
from timbre.registry.errors import CorruptError
from timbre.registry.records import encode, unseal
from timbre.registry.store import Store, Stored

SIGNING_KEY, TRUSTED_KEYS = "TIMBRE_SIGNING_KEY", "TIMBRE_TRUSTED_KEYS"
_SIGNED = (
    "voices/", "bases/", "stages/", "revoked/", "heads/", "policy", "trash/", "index/", "packs/", "countersigned/",
)  # fmt: skip
COUNTERSIGNED = "countersigned/"
_PURPOSE = b"timbre record 1\0"


class TrustedKey(Protocol):
    """A public key."""

    @property
    def line(self) -> str:
        """How it stands in a file of trusted keys."""

    @property
    def id(self) -> str:
        """Names it in a signature."""

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether its private half made this signature of this message."""


class Signer(Protocol):
    """A private key."""

    @property
    def public(self) -> TrustedKey:
        """Its public half. Raises as sign."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes. Raises InfrastructureError and ConfigurationError when a key of KMS cannot be used."""


@dataclass(frozen=True)
class _List:
    """A list of what counts without a signature."""

    tag: str
    """Of the object that held it."""
    records: Mapping[str, str]
    """Key -> SHA-256 of the bytes of an event, link or head."""
    manifests: Mapping[str, str]
    """Key -> SHA-256 of what a manifest says, under any signature."""

    @classmethod
    def read(cls, tag: str, body: Mapping[str, Any]) -> _List:
        records, manifests = body["records"], body.get("manifests", {})
        return cls(tag, {str(key): str(item) for key, item in records.items()}, dict(manifests))

    def holds(self, key: str, data: bytes) -> bool:
        if key not in self.manifests:
            return self.records.get(key) == digest_bytes(data)
        try:
            return self.manifests[key] == digest_value(unseal(key, data))
        except CorruptError:
            return False


class SignedStore:
    """A store whose records are signed on the way in and checked on the way out; everything else passes through.

    trusted: key id -> public key. signer: None for a program that only reads. Reading raises CorruptError for a record
    that is not signed by a trusted key; writing one without a signer raises ConfigurationError.
    """

    signs = True

    def __init__(self, store: Store, trusted: Mapping[str, TrustedKey], signer: Signer | None = None) -> None:
        self.inner = store
        self._trusted = dict(trusted)
        self._signer = signer
        self._countersigned: dict[str, _List] = {}

    def __getattr__(self, name: str) -> Any:
        # What only some stores can do (sweep, several writes as one) is the inner store's.
        return getattr(self.inner, name)

    @property
    def can_sign(self) -> bool:
        """Whether records can be written."""
        return self._signer is not None

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
        remedy = "restore this object from a backup; if the registry is older than its signing key: timbre sign adopt"
        try:
            record = json.loads(data)
            signature = record["signature"]
            value = base64.b64decode(signature["value"], validate=True)
            # Bits of the last character that carry nothing could be changed otherwise.
            trusted = base64.b64encode(value).decode() == signature["value"] and (
                self._trusted[signature["key"]].accepts(value, _message(key, record))
            )
            why = None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            trusted, why = False, error
        if not trusted and not self._is_countersigned(key, data):
            raise CorruptError(
                f"registry {self.url}: {key} is not signed by a key that is trusted here", remedy=remedy
            ) from why

    def signed_by(self, data: bytes) -> str:
        """Id of the key that a record names, "" for one that names none."""
        try:
            return str(json.loads(data)["signature"]["key"])
        except (ValueError, KeyError, TypeError):
            return ""

    @property
    def signer_id(self) -> str:
        """Id of the key that records are signed with here, "" without one."""
        return self._signer.public.id if self._signer is not None else ""

    def _is_countersigned(self, key: str, data: bytes) -> bool:
        voice = history_of(key)
        if not voice:
            return False
        where = f"{COUNTERSIGNED}{voice}.json"
        # What a trusted key said of these bytes once, it said for good: not asked for again at each record.
        if where in self._countersigned and self._countersigned[where].holds(key, data):
            return True
        stored = self.inner.get(where)
        if stored is None:
            return False
        known = self._countersigned.get(where)
        if known is None or known.tag != stored.tag:
            self.check(where, stored.data)
            known = self._countersigned[where] = _List.read(stored.tag, unseal(where, stored.data))
        return known.holds(key, data)

    def _signed(self, key: str, data: bytes) -> bytes:
        if not is_signed_key(key):
            return data
        if self._signer is None:
            raise ConfigurationError(
                f"registry {self.url}: {key} would be written without a signature, which nobody here would read",
                f"set {SIGNING_KEY} to a private key (a file, kms:KEY) whose public half is in {TRUSTED_KEYS}",
            )
        record = json.loads(data)
        record = {name: value for name, value in record.items() if name not in ("digest", "signature")}
        value = base64.b64encode(self._signer.sign(_message(key, record))).decode()
        record["signature"] = {"key": self._signer.public.id, "value": value}
        return encode({**record, "digest": digest_value(record)})


def history_of(key: str) -> str:
    """The voice whose event, link, manifest or head (of a witness) this key names; "" for every other record."""
    parts = key.split("/")
    if len(parts) == 4 and parts[0] == "voices" and parts[2] in ("events", "chain", "versions"):
        return parts[1]
    return parts[1] if len(parts) == 3 and parts[0] == "heads" else ""


def is_signed_key(key: str) -> bool:
    """Whether what lies under this key is a record that needs a signature."""
    return key.startswith(_SIGNED) and key.endswith(".json")


def guarded(store: Store, environment: Mapping[str, str]) -> Store:
    """The store, with signatures when the environment names keys. Raises ConfigurationError for files without any."""
    private, public = environment.get(SIGNING_KEY, ""), environment.get(TRUSTED_KEYS, "")
    if not private and not public:
        return store
    with needed_by(SIGNING_KEY if private else TRUSTED_KEYS):
        from timbre.registry.signing_keys import read_signer, read_trusted
    signer = read_signer(private) if private else None
    trusted = read_trusted(Path(public)) if public else {}
    if signer is not None and not public:
        trusted[signer.public.id] = signer.public
    return SignedStore(store, trusted, signer)


def _message(key: str, record: Mapping[str, Any]) -> bytes:
    content = {name: value for name, value in record.items() if name not in ("digest", "signature")}
    return _PURPOSE + key.encode() + b"\0" + canonical_json(content).encode()


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
