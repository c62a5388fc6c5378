"""What a version must fulfil before an alias points at it, by whatever command: one rule for promote and rollback."""

from __future__ import annotations

from timbre.core.errors import CheckFailedError
from timbre.registry import events
from timbre.registry.manifest import Manifest
from timbre.registry.names import check_voice
from timbre.registry.store import Store


def require_passed(manifest: Manifest) -> None:
    """Raises CheckFailedError that names the red gates."""
    if manifest.passed:
        return
    failed = sorted(name for name, gate in manifest.gates.items() if not gate.get("passed", False))
    raise CheckFailedError(
        f"{manifest.voice}@{manifest.version} failed its gates ({', '.join(failed) or 'no gate passed'}) and is not "
        "promoted",
        remedy="read its report, improve the recordings, push again",
    )


def require_reviewed(store: Store, manifest: Manifest) -> None:
    """Raises CheckFailedError when a version needs a review that it was never given."""
    if manifest.review_required and not approval(store, manifest.voice, manifest.version):
        raise CheckFailedError(
            f"{manifest.voice}@{manifest.version} needs a review that nobody gave, and is not taken back to",
            remedy=f"listen to it, then: timbre promote {manifest.voice} {manifest.version} --approve",
        )


def approval(store: Store, voice: str, version: str) -> str | None:
    """Who approved this very version when it was promoted before, or None."""
    found = events.read(store, check_voice(voice))
    return next((item.approved_by for item in reversed(found) if item.version == version and item.approved_by), None)
