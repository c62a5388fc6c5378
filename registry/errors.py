"""What can go wrong between the registry and a person."""

from __future__ import annotations

from timbre.core.errors import ConfigurationError, InfrastructureError, InputError


class NotFoundError(InputError):
    """A voice, version, alias or object that does not exist."""


class ConflictError(InfrastructureError):
    """Somebody else changed the object in the meantime; the same command may succeed when it reads the new state."""


class CorruptError(InfrastructureError):
    """A stored object is not what was written: changed, truncated, swapped or gone. Names the object."""


class RevokedError(InputError):
    """The voice was revoked for good: its recordings are gone and no revert brings it back."""


class RetiredError(InputError):
    """The voice's folder was deleted; a revert brings it back."""


class NewerSchemaError(ConfigurationError):
    """The object was written by a newer program than this one."""
