"""Network sizes as plain data, for the metadata of weight files: every configuration class of gptsovits.

config -> {"kind": class name, field: value, ...} -> config
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic import configuration, discriminator_configuration, generator_configuration
from timbre.gptsovits.encoders import eres2net
from timbre.gptsovits.text_to_semantic import configuration as configuration_t2s

_KINDS: Mapping[str, type[Any]] = MappingProxyType(
    {
        kind.__name__: kind
        for module in (
            *(configuration, discriminator_configuration, generator_configuration),
            *(configuration_t2s, eres2net),
        )
        for kind in vars(module).values()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
    }
)


def config_to_plain(config: Any) -> dict[str, Any]:
    """The configuration as dicts, lists, numbers and text; every nested configuration says its kind."""
    plain: dict[str, Any] = {"kind": type(config).__name__}
    for field in dataclasses.fields(config):
        plain[field.name] = _plain(getattr(config, field.name))
    return plain


def config_from_plain(plain: Mapping[str, Any], source: str) -> Any:
    """The configuration that config_to_plain described. Raises ConfigurationError that names source and the field.

    Fields that are absent take their defaults; the class checks its own values.
    """
    kind = _KINDS.get(str(plain.get("kind")))
    if kind is None:
        raise ConfigurationError(
            f"{source}: kind {plain.get('kind')!r} is not one of {', '.join(sorted(_KINDS))}",
            "read it with the release of timbre that wrote it",
        )
    known = {field.name for field in dataclasses.fields(kind)}
    values = {}
    for name, value in plain.items():
        if name == "kind":
            continue
        if name not in known:
            raise ConfigurationError(
                f"{source}: {kind.__name__} has no field {name!r}", "read it with the release of timbre that wrote it"
            )
        values[name] = _value(value, source)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{source}: {kind.__name__}: {error}", "get the file again") from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return config_to_plain(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _value(value: Any, source: str) -> Any:
    if isinstance(value, dict):
        return config_from_plain(value, source)
    return tuple(_value(item, source) for item in value) if isinstance(value, list) else value
