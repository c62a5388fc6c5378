"""Keys of signatures: Ed25519 in a file, or ECDSA P-256 in AWS KMS, where the private half stays.

TIMBRE_SIGNING_KEY -> Signer; a line of the file TIMBRE_TRUSTED_KEYS -> TrustedKey

A line is base64 of the 32 bytes of an Ed25519 key, or `p256:` and base64 of a compressed point. Verification
needs only that line; KMS is used for signing alone. A signature has one valid encoding, so that nobody without the key
can derive another from it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from timbre.core.digests import digest_bytes
from timbre.core.errors import ConfigurationError
from timbre.registry.kms import PREFIX, KmsKey
from timbre.registry.signing import SIGNING_KEY, Signer, TrustedKey

_P256 = "p256:"
# Order of the group of P-256 (FIPS 186-5). (r, s) and (r, order - s) are both valid; only the lower s is accepted.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_MAKE = "make one with: timbre sign new FILE"


@dataclass(frozen=True)
class Ed25519Public:
    """An Ed25519 public key."""

    raw: bytes
    """32 bytes."""

    @property
    def line(self) -> str:
        return base64.b64encode(self.raw).decode()

    @property
    def id(self) -> str:
        return digest_bytes(self.raw)[:16]

    def accepts(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class P256Public:
    """A P-256 public key."""

    raw: bytes
    """The compressed point, 33 bytes. Signatures are r and s of 32 bytes each, over SHA-256 of the message's SHA-256:
    KMS takes no message above 4096 bytes.
    """

    @property
    def line(self) -> str:
        return _P256 + base64.b64encode(self.raw).decode()

    @property
    def id(self) -> str:
        return digest_bytes(self.raw)[:16]

    def accepts(self, signature: bytes, message: bytes) -> bool:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        if len(signature) != 64 or s > _ORDER // 2:
            return False
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.raw)
        try:
            key.verify(utils.encode_dss_signature(r, s), _short(message), ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class FileSigner:
    """An Ed25519 key in memory."""

    key: Ed25519PrivateKey = field(repr=False)
    """Never shown."""

    @property
    def public(self) -> Ed25519Public:
        encoding, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        return Ed25519Public(self.key.public_key().public_bytes(encoding, form))

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


class KmsSigner:
    """A key of KMS with key spec ECC_NIST_P256 and usage SIGN_VERIFY: a request for each signature."""

    def __init__(self, key_id: str) -> None:
        self._key = KmsKey(key_id, SIGNING_KEY)
        self._public: P256Public | None = None

    @property
    def public(self) -> P256Public:
        """Asked of KMS once. Raises ConfigurationError for a key of another kind."""
        if self._public is None:
            found = self._key.call("get_public_key", "kms:GetPublicKey")
            key = serialization.load_der_public_key(bytes(found["PublicKey"]))
            if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
                raise ConfigurationError(
                    f"{SIGNING_KEY}: {self._key.name} is no ECC_NIST_P256 key",
                    "make a key with: aws kms create-key --key-spec ECC_NIST_P256 --key-usage SIGN_VERIFY",
                )
            encoding, form = serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
            self._public = P256Public(key.public_bytes(encoding, form))
        return self._public

    def sign(self, message: bytes) -> bytes:
        more = {"Message": _short(message), "MessageType": "RAW", "SigningAlgorithm": "ECDSA_SHA_256"}
        found = self._key.call("sign", "kms:Sign and kms:GetPublicKey", **more)
        r, s = utils.decode_dss_signature(bytes(found["Signature"]))
        return r.to_bytes(32, "big") + min(s, _ORDER - s).to_bytes(32, "big")


def new_key(path: Path) -> str:
    """Writes a new private key (mode 0600) and returns the line of its public half. Raises ConfigurationError when
    there is a file already.
    """

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path}: there is a file already", "name another one; no key is replaced") from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(pem)
    return FileSigner(key).public.line


def read_signer(named: str | Path) -> Signer:
    """The key that the text of TIMBRE_SIGNING_KEY names: a file, or kms:KEY-ID-OR-ARN, which is not asked yet.

    Raises ConfigurationError when a file holds no Ed25519 private key, or others may read it.
    """
    if str(named).startswith(PREFIX):
        return KmsSigner(str(named).removeprefix(PREFIX))

    path = Path(named)
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path}: others may read this private key", f"chmod 600 {path}")
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path}: no private key ({error})", _MAKE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: no Ed25519 key", _MAKE)
    return FileSigner(key)


def read_trusted(path: Path) -> dict[str, TrustedKey]:
    """Key id -> public key, of a file with one key a line (# for remarks). Raises ConfigurationError."""
    found: dict[str, TrustedKey] = {}
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
        for line in filter(None, lines):
            key = _public(line)
            found[key.id] = key
    except (OSError, ValueError) as error:
        message = f"{path}: no list of public keys ({error})"
        raise ConfigurationError(message, "one a line, as timbre sign new and public print it") from error
    if not found:
        raise ConfigurationError(f"{path}: no public key in it", "one a line, as timbre sign new and public print it")
    return found


def _public(line: str) -> TrustedKey:
    """Raises ValueError for a line that is no key."""

    raw = base64.b64decode(line.removeprefix(_P256), validate=True)
    if line.startswith(_P256):
        if len(raw) != 33:
            raise ValueError(f"{line[:60]!r} is no compressed point of P-256")
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
        return P256Public(raw)
    Ed25519PublicKey.from_public_bytes(raw)
    return Ed25519Public(raw)


def _short(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()
