"""Options of `s3://bucket/prefix`: what the query of the address and TIMBRE_S3 may say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from timbre.core.errors import ConfigurationError
from timbre.core.settings import setting
from timbre.registry.store import check_key
from timbre.registry.stores.options import read_options, split_address

VARIABLE = "TIMBRE_S3"
_FORM = "s3://BUCKET/PREFIX, for example s3://voices/registry?region=eu-central-1"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class S3Options:
    """Where and how to speak S3. Credentials are boto3's business: variables, profile, role of the instance or pod."""

    endpoint: str = setting("", "address of a store that is not AWS, for example http://127.0.0.1:8333")
    region: str = setting("", "region; default: AWS_REGION or the profile's")
    profile: str = setting("", "profile of the AWS configuration")
    addressing: str = setting("auto", "bucket in the path or in the host name", choices=("auto", "path", "virtual"))
    encryption: str = setting("", "encryption at rest by the store", choices=("", "AES256", "aws:kms", "aws:kms:dsse"))
    kms_key: str = setting("", "key id or ARN for aws:kms; default: the bucket's")
    checksum: str = setting(
        "when_supported", "when boto3 sends its own checksums", choices=("when_supported", "when_required")
    )
    part_mib: int = setting(64, "objects above this size are sent in parts of this size", "MiB", low=5, high=5000)
    connect_s: float = setting(5.0, "time to connect", "s", low=0.1, high=600)
    read_s: float = setting(60.0, "time between two pieces of an answer", "s", low=0.1, high=3600)
    attempts: int = setting(5, "attempts of a request, waits between them grow and are random", low=1, high=20)
    proxy: str = setting("", "HTTP proxy without credentials; default: HTTPS_PROXY and NO_PROXY")
    ca: str = setting("", "file of the certificate authority that signed the endpoint's certificate")
    versions: str = setting(
        "delete", "in a versioned bucket, whether a deletion also deletes old versions", choices=("delete", "keep")
    )


@dataclass(frozen=True)
class S3Place:
    """Where in S3 a registry is."""

    bucket: str
    """Without prefix."""
    prefix: str
    """Before every key: "" or ending in "/"."""
    options: S3Options
    """From TIMBRE_S3 and, before it, the query of the address."""

    @property
    def url(self) -> str:
        """The address without its query."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def read_place(url: str, defaults: str = "") -> S3Place:
    """The place an address means. defaults: the text of TIMBRE_S3. Raises ConfigurationError."""
    parts = split_address(url, _FORM)
    if not _BUCKET.fullmatch(parts.netloc):
        raise ConfigurationError(f"registry: {parts.netloc[:80]!r} cannot name a bucket", remedy=f"write {_FORM}")
    options = read_options(S3Options, parts.query, defaults, VARIABLE)
    for name in ("endpoint", "proxy"):
        _check_address(name, getattr(options, name))
    if options.kms_key and not options.encryption.startswith("aws:kms"):
        raise ConfigurationError("registry: kms_key is set without encryption=aws:kms", remedy="set both or neither")
    prefix = unquote(parts.path).strip("/")
    if prefix:
        check_key(prefix)
    return S3Place(parts.netloc, f"{prefix}/" if prefix else "", options)


def _check_address(name: str, text: str) -> None:
    if not text:
        return
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(
            f"registry: the option {name} is no http:// or https:// address without credentials",
            remedy=f"write for example {name}=https://storage.example.org",
        )
