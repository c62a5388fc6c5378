"""What can go wrong between a request and its audio."""

from __future__ import annotations

from timbre.core.errors import ConfigurationError, InfrastructureError, InputError


class TextError(InputError):
    """The text cannot be spoken: empty, too long, or in a language the base does not have."""


class TooLongError(TextError):
    """The text would take longer to say than a request may."""


class VoiceError(InputError):
    """The voice package cannot be used with this base or this program."""


class GraphError(ConfigurationError):
    """The exported graphs are missing, damaged or of another schema."""


class CancelledError(InfrastructureError):
    """The caller went away."""
