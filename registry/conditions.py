"""What a version must fulfil before an alias points at it, by whatever command: one rule for promote and rollback."""

from __future__ import annotations

from timbre.core.errors import CheckFailedError
from timbre.registry.blobs import get_file
from timbre.registry.manifest import Manifest
from timbre.registry.rules import Rules
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


def require_releasable(store: Store, manifest: Manifest, rules: Rules) -> None:
    """Raises CheckFailedError when a version failed a gate or a policy, or needs a review that it was never given,
    CorruptError when a file of it is damaged.
    """
    require_passed(manifest)
    rules.check_version(manifest)
    if rules.wants_review(manifest) and not rules.approval(store, manifest):
        raise CheckFailedError(
            f"{manifest.voice}@{manifest.version} needs a review that nobody gave, and is not taken back to",
            remedy=f"listen to it, then: timbre promote {manifest.voice} {manifest.version} --approve",
        )
    require_whole(store, manifest)


def require_whole(store: Store, manifest: Manifest) -> None:
    """Raises CorruptError when a file of a version is missing or damaged."""
    for entry in manifest.files:
        get_file(store, entry, f"{manifest.voice}@{manifest.version}")
