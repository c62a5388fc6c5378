"""A key of AWS KMS, asked by boto3; it never leaves KMS."""

from __future__ import annotations

from threading import Lock
from typing import Any

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.core.extras import needed_by

PREFIX = "kms:"
"""What the value of a variable begins with that names such a key: kms:KEY-ID-OR-ARN."""
# KMS throttles and fails with status 400 too.
_PASSING = {
    "ThrottlingException", "LimitExceededException", "KMSInternalException", "DependencyTimeoutException",
    "KeyUnavailableException",
}  # fmt: skip


class KmsKey:
    """variable: which one named the key, for messages. Safe to use from many threads."""

    def __init__(self, key_id: str, variable: str) -> None:
        self.key_id, self._variable = key_id, variable
        self._lock = Lock()
        self._made: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """kms: and the key's id."""
        return f"{PREFIX}{self.key_id}"

    def call(self, verb: str, allow: str, **arguments: Any) -> dict[str, Any]:
        """The answer of one request. allow: the permissions that it needs.

        Raises InfrastructureError for what passes by itself, ConfigurationError for every other refusal.
        """
        client, exceptions = self._client()
        try:
            return dict(getattr(client, verb)(KeyId=self.key_id, **arguments))
        except exceptions.ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            passing = status >= 500 or status == 429 or error.response.get("Error", {}).get("Code") in _PASSING
            kind = InfrastructureError if passing else ConfigurationError
            raise kind(f"{self.name}: {error}", remedy=f"allow this identity {allow}") from error
        except exceptions.BotoCoreError as error:
            raise InfrastructureError(f"{self.name}: {error}", remedy="check credentials and network") from error

    def _client(self) -> tuple[Any, Any]:
        """The client and the module of its exceptions; boto3 is imported when the key is first used."""
        with self._lock:
            if self._made is None:
                with needed_by(self._variable):
                    import boto3
                    from botocore import exceptions
                try:
                    self._made = boto3.session.Session().client("kms"), exceptions
                except (exceptions.BotoCoreError, ValueError) as error:
                    raise ConfigurationError(
                        f"{self._variable}: {self.name}: {error}", remedy="set AWS_REGION, and check AWS_ENDPOINT_URL"
                    ) from error
            return self._made
