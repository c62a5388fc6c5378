"""What a failed S3 request means to a person: botocore's exceptions become errors of core/errors.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ProxyConnectionError,
    SSLError,
)
from urllib3.exceptions import HTTPError

from timbre.core.errors import ConfigurationError, InfrastructureError, TimbreError

_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "MethodNotAllowed"}
_CREDENTIALS = {
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
    "RequestTimeTooSkewed",
}  # fmt: skip
_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307"}
_AGAIN = {"SlowDown", "RequestTimeout", "Throttling", "NoSuchUpload"}
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "507", "EntityTooLarge"}


@contextmanager
def translated(where: str, action: str) -> Iterator[None]:
    """Raises ConfigurationError or InfrastructureError for what botocore raises in the block.

    where: the store's address; action: what was tried, with the key.
    """
    try:
        yield
    except ClientError as error:
        raise _answered(f"registry {where}: cannot {action}", error) from error
    except SSLError as error:
        raise ConfigurationError(
            f"registry {where}: cannot {action}: {error}", remedy="name the authority of its certificate: ?ca=FILE"
        ) from error
    except ProxyConnectionError as error:
        raise InfrastructureError(
            f"registry {where}: cannot {action}: {error}", remedy="check the proxy (?proxy=, HTTPS_PROXY, NO_PROXY)"
        ) from error
    except (ConnectionError, HTTPClientError, IncompleteReadError, HTTPError) as error:
        raise InfrastructureError(
            f"registry {where}: cannot {action}: {error}",
            remedy="check the network and the store, then run the command again",
        ) from error
    except (BotoCoreError, Boto3Error, ValueError) as error:
        raise ConfigurationError(
            f"registry {where}: cannot {action}: {error}",
            remedy="give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or an instance role",
        ) from error


def code_of(error: Exception) -> str:
    """The store's code of a ClientError ("NoSuchKey", "PreconditionFailed"), or its HTTP status as text."""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", "")) or str(status_of(error))


def status_of(error: Exception) -> int:
    """HTTP status of a ClientError; 0 when there is none."""
    return int(getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(what: str, error: Exception) -> TimbreError:
    code, status = code_of(error), status_of(error)
    response = getattr(error, "response", {})
    said = str(response.get("Error", {}).get("Message", "")).strip()
    text = f"{what}: {code}{f' ({said})' if said else ''}"
    if code in _CREDENTIALS:
        remedy = "check the credentials (AWS_ACCESS_KEY_ID, profile, role) and this machine's clock"
        return ConfigurationError(text, remedy)
    if code in _REGION or status in (301, 307):
        region = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
        there = f"the bucket is in {region}: set ?region={region}" if region else "set ?region= to the bucket's region"
        return ConfigurationError(text, there)
    if code in ("NoSuchBucket", "InvalidBucketName"):
        return ConfigurationError(text, "create the bucket, or correct the address")
    if code in _FULL or status == 507:
        return InfrastructureError(text, "free space or raise the quota, then run the command again")
    if status == 501 or code == "NotImplemented":
        return ConfigurationError(text, "use a store with conditional writes (If-None-Match, If-Match)")
    if code in _DENIED or status in (401, 403):
        remedy = "allow this identity s3:GetObject, PutObject, DeleteObject, AbortMultipartUpload and ListBucket there"
        return ConfigurationError(text, remedy)
    if status >= 500 or status in (408, 409, 429) or code in _AGAIN:
        return InfrastructureError(text, "the store is overloaded or down: run the command again later")
    return ConfigurationError(text, "check the options of the registry's address")
