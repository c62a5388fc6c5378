"""What a version must fulfil before an alias points at it, by whatever command: one rule for promote and rollback."""

from __future__ import annotations

from collections.abc import Iterable

from timbre.core.errors import CheckFailedError
from timbre.core.near_names import nearest_few
from timbre.registry.blobs import get_file
from timbre.registry.errors import NotFoundError
from timbre.registry.manifest import Manifest
from timbre.registry.rules import Rules
from timbre.registry.store import Store, side_by_side


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
    entries = {entry.path: entry for entry in manifest.files}

    def check(path: str) -> None:
        get_file(store, entries[path], f"{manifest.voice}@{manifest.version}")

    side_by_side(store, check, entries)


def unknown_voice(voice: str, known: Iterable[str], url: str) -> NotFoundError:
    """The error for a voice that a registry does not hold. known: the voices that it holds."""
    near = nearest_few(voice, known)
    return NotFoundError(
        f"there is no voice {voice!r} in the registry {url}",
        remedy=f"did you mean {', '.join(near)}?" if near else "list them with: timbre voices list",
    )
