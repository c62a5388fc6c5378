"""A key of AWS KMS, asked by boto3; it never leaves KMS."""

from __future__ import annotations

from threading import Lock
from typing import Any

from timbre.core.errors import ConfigurationError, InfrastructureError

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
        self._made: Any = None

    @property
    def name(self) -> str:
        """kms: and the key's id."""
        return f"{PREFIX}{self.key_id}"

    def call(self, verb: str, allow: str, **arguments: Any) -> dict[str, Any]:
        """The answer of one request. allow: the permissions that it needs.

        Raises InfrastructureError for what passes by itself, ConfigurationError for every other refusal.
        """
        client = self._client()
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return dict(getattr(client, verb)(KeyId=self.key_id, **arguments))
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            passing = status >= 500 or status == 429 or error.response.get("Error", {}).get("Code") in _PASSING
            kind = InfrastructureError if passing else ConfigurationError
            raise kind(f"{self.name}: {error}", remedy=f"allow this identity {allow}") from error
        except BotoCoreError as error:
            raise InfrastructureError(f"{self.name}: {error}", remedy="check credentials and network") from error

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                try:
                    import boto3
                    from botocore.exceptions import BotoCoreError
                except ImportError as error:
                    raise ConfigurationError(
                        f"{self._variable}: boto3 is not installed", remedy="in a checkout: pip install '.[s3]'"
                    ) from error
                try:
                    self._made = boto3.session.Session().client("kms")
                except (BotoCoreError, ValueError) as error:
                    raise ConfigurationError(
                        f"{self._variable}: {self.name}: {error}", remedy="set AWS_REGION, and check AWS_ENDPOINT_URL"
                    ) from error
            return self._made
