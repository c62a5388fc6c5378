"""The manifest of a version: what a voice package is, where it came from and how it was judged. Immutable once
written.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from timbre.registry.actor import CLAIMED
from timbre.registry.blobs import FileEntry
from timbre.registry.errors import CorruptError
from timbre.registry.events import Act, Event
from timbre.registry.names import check_version, check_voice, version_key

# Fields that versions of older programs lack.
_LATER = ("recordings", "gates_digest", "overrides", "sequence", "review_dropped", "proof")


@dataclass(frozen=True)
class Provenance:
    """Where a version came from."""

    commit: str | None
    """Full git hash, or None outside git."""
    author: str | None
    """Of that commit."""
    actor: str
    """Who or what ran the pipeline."""
    job: str | None
    """The CI job's address or id, or None."""
    recipe_digest: str
    """SHA-256 of the effective recipe."""
    tools: dict[str, str] = field(default_factory=dict)
    """Package -> version."""


@dataclass(frozen=True)
class Manifest:
    """One version of a voice."""

    voice: str
    """Name of the voice."""
    version: str
    """Id within the voice."""
    source: str
    """Digest of the voice folder and base id; equal sources are the same voice, so a revert finds its old version."""
    base: str
    """Name of the base that it speaks with."""
    base_digest: str
    """SHA-256 of that base (Base.digest); a server refuses to load it on another."""
    languages: tuple[str, ...]
    """Codes of the recordings' languages."""
    rate_hz: int
    """Of what it speaks."""
    created: str
    """UTC, ISO 8601 with microseconds."""
    passed: bool
    """Whether every blocking gate passed."""
    gates: dict[str, Any]
    """Name -> {value, limit, ...}."""
    consent: dict[str, Any]
    """Kind and rights as declared in voice.yaml."""
    review_required: bool
    """A person must approve before the alias moves."""
    provenance: Provenance
    """Who published it, from which commit and job."""
    files: tuple[FileEntry, ...]
    """Everything in the package but this manifest."""
    recordings: str = ""
    """Digest of the recordings alone, equal under every name and setting ("" in versions of older programs)."""
    gates_digest: str = ""
    """SHA-256 of the gates.yaml that the verdicts were taken by."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """What the voice's own `recipe:` changed."""
    sequence: int = 0
    """Counts the versions of a voice in the order in which they were published, whatever clocks say."""
    review_dropped: bool = False
    """The folder asks for no review any more, but the version in production did."""
    proof: str = ""
    """What shows who published it (registry/actor.py), "" for a name that nothing shows."""

    def __post_init__(self) -> None:
        check_voice(self.voice)
        check_version(self.version)

    @property
    def key(self) -> str:
        """Its place in the registry."""
        return version_key(self.voice, self.version)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size_bytes for entry in self.files)

    @property
    def int8_passed(self) -> bool:
        """Whether stage 4 heard this voice with int8 graphs beside fp32 ones, words at least, and no gate on what they
        lose is red: the graphs that a server on a processor takes by itself.
        """
        judged = [gate for gate in self.gates.values() if gate.get("fp32_margin") is not None]
        words = any(gate.get("metric") == "word_error_rate" for gate in judged)
        return words and all(gate.get("passed") is True for gate in judged)

    def event(self, reason: str = "") -> Event:
        """The event of its publication."""
        return Event(
            voice=self.voice,
            act=Act.PUBLISHED,
            time=self.created,
            actor=self.provenance.actor,
            reason=reason,
            commit=self.provenance.commit,
            version=self.version,
            proof=self.proof or CLAIMED,
        )

    def entry(self, path: str) -> FileEntry | None:
        """The entry of one file, or None."""
        return next((entry for entry in self.files if entry.path == path), None)

    def to_body(self) -> dict[str, Any]:
        """Plain data for records.seal."""
        body = asdict(self)
        body["languages"] = list(self.languages)
        body["files"] = [entry.to_json() for entry in self.files]
        # What older programs do not know stands only where it says something, so that they can read the rest.
        return {name: value for name, value in body.items() if name not in _LATER or value}

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Manifest:
        """The reverse of to_body. Raises CorruptError naming the missing, unknown or ill-typed field."""
        names = {item.name for item in fields(cls)}
        needed = names - set(_LATER)
        if not needed <= body.keys() <= names:
            missing, unknown = sorted(needed - body.keys()), sorted(body.keys() - names)
            raise CorruptError(
                f"manifest: missing fields {missing}, unknown fields {unknown}", remedy="publish the voice again"
            )
        try:
            return cls(
                **{
                    **body,
                    "languages": tuple(body["languages"]),
                    "provenance": Provenance(**body["provenance"]),
                    "files": tuple(FileEntry.from_json(entry) for entry in body["files"]),
                }
            )
        except (TypeError, KeyError) as error:
            raise CorruptError(f"manifest: {error}", remedy="publish the voice again") from error
