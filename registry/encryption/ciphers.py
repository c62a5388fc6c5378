"""AES-256-GCM of the library `cryptography`; `master.aes_gcm` imports this module, so that registries without keys
need no library.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class AesGcm:
    """One key, of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """Ciphertext and tag. nonce: 12 bytes, never used twice with one key for different data."""
        return self._cipher.encrypt(nonce, data, associated)

    def decrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """The reverse of encrypt. Raises ValueError with another key, nonce, ciphertext or associated data."""
        try:
            return self._cipher.decrypt(nonce, data, associated)
        except InvalidTag as error:
            raise ValueError("the tag does not fit key, ciphertext and associated data") from error
