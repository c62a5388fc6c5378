"""What production's version measured, for gates that compare with it.

registry, voice -> measurements, or nothing in production, or why what is there cannot be compared with
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from timbre.core.errors import InputError, TimbreError
from timbre.evaluation.measurements import FILE, Measurements, parse_measurements
from timbre.registry.address import RegistryAddress
from timbre.registry.errors import CorruptError, NewerSchemaError, NotFoundError, RetiredError, RevokedError
from timbre.registry.manifest import Manifest
from timbre.registry.open import open_registry
from timbre.registry.registry import Registry


@dataclass(frozen=True)
class Production:
    """What the version in production measured."""

    measured: Measurements | None = None
    """None when there is nothing to compare with."""
    left_out: str = ""
    """Why, empty when nothing is in production."""
    sound: Callable[[str], bytes | None] = field(default=lambda file: None, compare=False)
    """A sample of measurements.json -> its bytes, None when the package has not kept it."""


def production_measurements(address: RegistryAddress, voice: str) -> Production:
    """What the version in production measured. A damaged version, or one of another program, is left out with the
    reason.

    Raises InfrastructureError when the registry cannot be read, so that no margin is lost to a bad moment, and
    ConfigurationError for an address that is none.
    """
    registry = open_registry(address)
    try:
        manifest = _manifest(registry, voice)
        if manifest is None:
            return Production()
        where = f"{voice}@{manifest.version}: {FILE}"
        measured = parse_measurements(registry.read_file(manifest, FILE), where)
        return Production(measured, sound=partial(_sound, registry, manifest))
    except (CorruptError, NewerSchemaError, InputError) as error:
        return Production(left_out=error.message)


def _sound(registry: Registry, manifest: Manifest, file: str) -> bytes | None:
    try:
        return registry.read_file(manifest, file) if manifest.entry(file) else None
    except TimbreError:
        # Damaged, or no key at hand: a report lacks a player then, and the verdict is not touched.
        return None


def _manifest(registry: Registry, voice: str) -> Manifest | None:
    try:
        return registry.resolve(voice)
    except (RetiredError, RevokedError):
        return None
    except NotFoundError:
        # An alias that points at a version which is gone is damage, not absence.
        state = registry.alias(voice)
        return registry.manifest(voice, state.version) if state is not None and state.version else None
