"""Options of a store's address: `s3://bucket/prefix?endpoint=...&region=...`, with defaults from one variable.

The variable (TIMBRE_S3 for buckets) holds the same query string; what the address says wins. A store's options are a
frozen dataclass whose fields are made by timbre.core.settings.setting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, urlsplit

from timbre.core.errors import ConfigurationError
from timbre.core.near_names import nearest

Options = TypeVar("Options")


def split_address(url: str, form: str) -> SplitResult:
    """The parts of an address. form: how it is written. Raises ConfigurationError when credentials stand in it, or when
    it names no place.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError(f"registry: the address cannot be read: {error}", remedy=f"write {form}") from error
    if "@" in parts.netloc or parts.port is not None:
        raise ConfigurationError(
            f"registry: an address that begins with {parts.scheme}:// holds neither credentials nor a port",
            remedy=f"write {form}; credentials come from the environment, a host from an option",
        )
    if not parts.netloc:
        raise ConfigurationError(f"registry: the address {url!r} names no place", remedy=f"write {form}")
    return parts


def read_options(kind: type[Options], query: str, defaults: str, variable: str) -> Options:
    """Options of an address's query over those of the variable. Raises ConfigurationError that names the option."""
    values: dict[str, Any] = {}
    for text, where in ((defaults, variable), (query, "the registry's address")):
        try:
            pairs = parse_qsl(text.lstrip("?"), keep_blank_values=True, strict_parsing=bool(text.strip()))
        except ValueError as error:
            raise ConfigurationError(
                f"{where}: {error}", remedy="write NAME=VALUE, several joined by &, values percent-encoded"
            ) from error
        values |= {name: _value(kind, name, value, where) for name, value in pairs}
    return kind(**values)


def _value(kind: type[Any], name: str, text: str, where: str) -> Any:
    fields: Mapping[str, dataclasses.Field[Any]] = {field.name: field for field in dataclasses.fields(kind)}
    if name not in fields:
        guess = nearest(name, fields)
        known = ", ".join(sorted(fields))
        raise ConfigurationError(
            f"{where}: there is no option {name[:40]!r}", remedy=f"did you mean {guess}?" if guess else f"use: {known}"
        )
    limits, default = fields[name].metadata, fields[name].default
    if isinstance(default, str):
        if limits["choices"] and text not in limits["choices"]:
            raise ConfigurationError(f"{where}: {name} is {text[:80]!r}", remedy=f"use: {', '.join(limits['choices'])}")
        return text
    try:
        number: float | None = int(text) if isinstance(default, int) else float(text)
    except ValueError:
        number = None
    low, high = limits["low"], limits["high"]
    if number is None or not low <= number <= high:
        unit = f" {limits['unit']}" if limits["unit"] else ""
        raise ConfigurationError(f"{where}: {name} is {text[:80]!r}", remedy=f"use {low:g} to {high:g}{unit}")
    return number
