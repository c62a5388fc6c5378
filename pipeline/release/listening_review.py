"""A blind listening test as a review: what its result files must say before a person's approval may rest on them.

result files, candidate, version in production -> checks of names, sounds and trials -> sentence for the event log
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from timbre.core.digests import digest_bytes, digest_file
from timbre.core.errors import CheckFailedError, InputError
from timbre.evaluation.listening import Listened, pooled, read_listening
from timbre.registry.manifest import Manifest
from timbre.registry.registry import Registry

FEWEST_TRIALS = 5
"""All listeners together; of fewer even a unanimous choice is often chance."""
_SAMPLES = "samples/"


def listening_review(registry: Registry, voice: str, version: str, alias: str, files: Sequence[Path]) -> str:
    """What the listeners found, in words, with the digests of their files.

    Raises InputError for files about another voice or other versions, with sounds that these versions do not have, with
    sentences left out or with fewer than FEWEST_TRIALS judgements; CheckFailedError where more prefer the version that
    speaks now; and what Registry.manifest and read_file raise.
    """
    candidate = registry.manifest(voice, version)
    current = registry.alias(voice, alias)
    if current is None or current.version is None or current.version == version:
        raise InputError(
            f"{voice}@{version}: {alias} points to no other version, so there is nothing that it was compared with",
            "leave out --listening",
        )
    spoken = registry.manifest(voice, current.version)
    digests = [digest_file(path) if path.is_file() else "" for path in files]
    if len(set(digests)) < len(digests):
        raise InputError("--listening: one result was given twice", "give each result once")
    results = [
        _checked(registry, path, read_listening(path, _name(spoken), _name(candidate)), spoken, candidate)
        for path in files
    ]
    found = pooled(results)
    if found.trials < FEWEST_TRIALS:
        raise InputError(
            f"--listening: {found.trials} judgements; expected at least {FEWEST_TRIALS}",
            "let more people listen and give all results",
        )
    if found.wins_b < found.wins_a:
        raise CheckFailedError(
            f"{_name(candidate)}: listeners prefer {_name(spoken)}: {found.sentence()}",
            "improve the recordings, or approve it without --listening and give a --reason",
        )
    return f"{found.sentence()} [{', '.join(digest[:12] for digest in digests)}]"


def _checked(registry: Registry, path: Path, result: Listened, spoken: Manifest, candidate: Manifest) -> Listened:
    for manifest, sounds in ((spoken, result.sounds_a), (candidate, result.sounds_b)):
        strange = sounds - _sounds(registry, manifest)
        if strange or not sounds:
            what = min(strange, default="")[:12] or "not named"
            raise InputError(
                f"{path}: a sound of {_name(manifest)} is {what}; the version has no such sample",
                f"listen to these versions: timbre compare {_name(spoken)} {_name(candidate)} --html FILE",
            )
    if result.skipped:
        raise InputError(f"{path}: {result.skipped} sentences of the test were not judged", "finish the listening test")
    return result


def _sounds(registry: Registry, manifest: Manifest) -> frozenset[str]:
    """SHA-256 of each sample as it is heard: that of an encrypted file is of other bytes."""
    paths = [entry.path for entry in manifest.files if entry.path.startswith(_SAMPLES)]
    return frozenset(digest_bytes(registry.read_file(manifest, path)) for path in paths)


def _name(manifest: Manifest) -> str:
    return f"{manifest.voice}@{manifest.version}"
