"""Registry: immutable versions of voices and movable aliases, over any Store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from timbre.core.errors import InputError
from timbre.registry import chain, events, index, packs, trash
from timbre.registry.actor import Actor
from timbre.registry.aliases import Alias, Decide, move_alias, read_alias
from timbre.registry.blobs import FileEntry, fetch_files, get_file, mend, put_all
from timbre.registry.by_hand import IsAncestor, hold_words, holding_move, is_by_hand, objection
from timbre.registry.conditions import require_passed, require_releasable, require_whole, unknown_voice
from timbre.registry.encryption.keyring import Keyring, missing_key
from timbre.registry.encryption.sealed_file import Place, is_sealed
from timbre.registry.errors import NotFoundError, RetiredError, RevokedError
from timbre.registry.events import Act, Event
from timbre.registry.manifest import Manifest
from timbre.registry.names import PRODUCTION, check_alias, check_version, check_voice, tombstone_key
from timbre.registry.quota import require_room
from timbre.registry.records import seal
from timbre.registry.references import delete_unneeded
from timbre.registry.rules import ReadPolicies, Rules
from timbre.registry.store import Store, batched, folders_below, side_by_side
from timbre.registry.tombstones import refuse_revoked, tombstone
from timbre.registry.versions import next_sequence, read_manifest, read_versions


@dataclass(frozen=True)
class Promotion:
    """Outcome of a promotion."""

    moved: bool
    """False when the alias was left alone; `reason` then says why."""
    alias: Alias | None
    """As it is afterwards; None where it was never set."""
    reason: str
    """"" when it moved."""


class Registry:
    """Versions, aliases and events of voices over a Store.

    clock gives UTC times (events.utc_now); tests pass their own. unsafe_aliases lets aliases move on stores without
    compare-and-swap. keys: encrypts the files of packages that are published and opens those that are read; without it
    what is encrypted cannot be read. policies: reads what the operator allows; without them everything.
    key_store: where data keys lie; served: where servers note what they speak with; each the store itself if None.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], str] = events.utc_now,
        unsafe_aliases: bool = False,
        keys: Keyring | None = None,
        witness: Store | None = None,
        key_store: Store | None = None,
        served: Store | None = None,
        policies: ReadPolicies = tuple,
    ) -> None:
        self.store, self.witness, self.keys = store, witness, keys
        self.key_store, self.served = key_store or store, served or store
        self._clock, self._unsafe, self._policies = clock, unsafe_aliases, policies

    # -- reading ---------------------------------------------------------------------------------------------------

    def voices(self) -> list[str]:
        """Names of all voices that were ever published, sorted; revoked and retired ones too."""
        return folders_below(self.store, "voices/")

    def versions(self, voice: str) -> list[Manifest]:
        """All versions of a voice, oldest first. Raises CorruptError on a damaged manifest."""
        return read_versions(self.store, voice)

    def manifest(self, voice: str, version: str) -> Manifest:
        """One version's manifest. Raises NotFoundError with what there is, CorruptError when it is damaged."""
        found = read_manifest(self.store, voice, version)
        if found is None:
            self._require_voice(voice)
            raise NotFoundError(
                f"voice {voice!r} has no version {version}", remedy=f"list them with: timbre history {voice}"
            )
        return found

    def alias(self, voice: str, alias: str = PRODUCTION, recorded: chain.Recorded | None = None) -> Alias | None:
        """An alias's state, or None when it was never set. recorded: what was listed of the history before, for those
        who ask for many. Raises CorruptError for a damaged record and an older state.
        """
        if recorded is None and chain.is_chained(self.store):
            recorded = chain.recorded(self.store, voice, self.witness)
        state = read_alias(self.store, check_voice(voice), check_alias(alias))
        if recorded is not None:
            chain.refuse_older_state(self.store.url, voice, alias, state.generation if state else 0, recorded)
        return state

    def settle(self, voice: str) -> chain.Head | None:
        """Links what happened to a voice into its history, tells the witness and brings the index up to date; None
        where records are not signed.
        """
        head = None
        if chain.is_chained(self.store):
            head = chain.link(self.store, voice)
            if self.witness is not None:
                chain.bear_witness(self.witness, head)
        index.note(self.store, voice)
        return head

    def resolve(self, voice: str, reference: str = PRODUCTION) -> Manifest:
        """The manifest of voice@reference, where reference is an alias or a version id.

        Raises RevokedError, RetiredError, NotFoundError (near names are given) or CorruptError.
        """
        by_version = len(reference) == 12 and all(character in "0123456789abcdef" for character in reference)
        chained = chain.is_chained(self.store) and not by_version
        # The witness before the listing, and the listing before the alias: see chain.recorded_in.
        witnessed = (
            chain.witnessed_numbers(self.witness, check_voice(voice)) if chained and self.witness is not None else {}
        )
        keys = list(self.store.list(f"voices/{check_voice(voice)}/"))
        if not keys:
            raise self._unknown(voice)
        if tombstone_key(voice) in keys:
            self._refuse_revoked(voice)
        if by_version:
            return self.manifest(voice, check_version(reference))
        state = self.alias(voice, reference, chain.recorded_in(keys, witnessed.get(voice, 0)) if chained else None)
        if state is None:
            raise NotFoundError(
                f"voice {voice!r} has no alias {reference!r}",
                remedy=f"promote a version first: timbre promote {voice} VERSION --alias {reference}",
            )
        if state.version is None:
            raise RetiredError(
                f"voice {voice!r} was retired at {state.time} by {state.actor}: {state.reason}",
                remedy="revert the commit that deleted its folder, or ask for a version by its id",
            )
        return self.manifest(voice, state.version)

    def find_source(self, voice: str, source: str) -> Manifest | None:
        """The newest version of this source that passed its gates, or None: what a revert promotes without training."""
        return next((item for item in reversed(self.versions(voice)) if item.source == source and item.passed), None)

    def history(self, voice: str) -> list[Event]:
        """All events of a voice, oldest first. Raises NotFoundError when there is no such voice."""
        seen = packs.view(self.store, check_voice(voice))
        if next(iter(seen.list(f"voices/{voice}/")), None) is None:
            raise self._unknown(voice)
        return events.read(seen, voice)

    def read_file(self, manifest: Manifest, path: str) -> bytes:
        """One file of a package, digest checked. Raises NotFoundError or CorruptError."""
        entry = manifest.entry(path)
        name = f"{manifest.voice}@{manifest.version}"
        if entry is None:
            raise NotFoundError(
                f"{name} has no file {path!r}", remedy=f"it has: {', '.join(e.path for e in manifest.files)}"
            )
        return self._open_file(manifest, path, get_file(self.store, entry, name))

    def fetch(self, manifest: Manifest, target: Path, *, without: tuple[str, ...] = ()) -> None:
        """Writes a package below target, every digest checked, with package.json as stored. without: beginnings of
        paths that are left out. Raises CorruptError, and ConfigurationError for encrypted files without their key.
        """
        target.mkdir(parents=True, exist_ok=True)
        wanted = [entry for entry in manifest.files if not entry.path.startswith(without)]
        opened = partial(self._open_file, manifest)
        fetch_files(self.store, wanted, target, f"{manifest.voice}@{manifest.version}", opened)
        (target / "package.json").write_bytes(seal(manifest.key, manifest.to_body()))

    def _open_file(self, manifest: Manifest, path: str, data: bytes) -> bytes:
        if not is_sealed(data):
            return data
        if self.keys is None:
            raise missing_key(f"{manifest.voice}@{manifest.version} is encrypted")
        return self.keys.open(_place(manifest, path), data)

    # -- writing ---------------------------------------------------------------------------------------------------

    def publish(self, manifest: Manifest, files: Mapping[str, bytes], *, actor: Actor, reason: str = "") -> Manifest:
        """Writes a version: blobs first, manifest last. manifest.files is filled in here.

        A version that exists already is kept (the first to publish wins) and returned; its damaged or missing blobs are
        written again when the files are the same. Raises RevokedError, InputError without files, CorruptError when
        the store does not give back what it took, what the policies raise, and NoRoomError beyond a quota.
        """
        refuse_revoked(self.store, manifest.voice, manifest.recordings)
        rules = self.rules
        rules.require("publish", actor)
        rules.check_version(manifest)
        if not files:
            raise InputError(
                f"{manifest.voice}@{manifest.version}: the package has no files", remedy="run stage 3 again"
            )
        if self.keys is not None:
            files = {path: self.keys.seal(_place(manifest, path), data) for path, data in files.items()}
        require_room(self.store, rules.policies, manifest, files)
        name, tag = f"{manifest.voice}@{manifest.version}", f"{manifest.voice}-{manifest.version}"
        with batched(self.store, f"Publish {name}", tag) as overtaken:
            entries = put_all(self.store, files)
            proof, sequence = actor.proof if actor.verified else "", next_sequence(self.store, manifest.voice)
            full = replace(manifest, files=entries, sequence=sequence, proof=proof)
            if not self.store.put_if_absent(full.key, seal(full.key, full.to_body())):
                full = self.manifest(manifest.voice, manifest.version)
            events.append(self.store, full.event(reason))
        if full.key in overtaken:
            full = self.manifest(manifest.voice, manifest.version)
            events.append(self.store, full.event(reason))
        self.settle(manifest.voice)
        stored = {entry.path: entry for entry in entries}
        side_by_side(self.store, lambda path: mend(self.store, stored[path], lambda: files[path]), stored)
        try:
            refuse_revoked(self.store, manifest.voice, manifest.recordings)
        except RevokedError:
            # Revoked while this version was being written: the revocation may have counted before its files came.
            delete_unneeded(self.store, {entry.sha256 for entry in entries}, [full.key])
            raise
        return full

    def promote(
        self,
        voice: str,
        version: str,
        *,
        actor: Actor,
        alias: str = PRODUCTION,
        reason: str = "",
        approved_by: str | None = None,
        is_ancestor: IsAncestor | None = None,
        by_hand: bool = False,
    ) -> Promotion:
        """Points an alias at a version, for a pipeline or (by_hand) because a person says so.

        Not moved, with the reason, when: the version needs a review that nobody gave; the alias stands for a commit
        that is not an ancestor of actor.commit (is_ancestor(old, new) decides: a stale pipeline that finishes late); a
        person moved the alias off this version since a pipeline last moved it (not asked when by_hand); it already
        points there for this commit.

        Raises CheckFailedError for a version whose gates failed, NotFoundError, RevokedError,
        CorruptError when a file of the version is damaged, and what move_alias raises.
        """
        self._require_voice(voice)
        self._refuse_revoked(voice)
        manifest = self.manifest(voice, version)
        require_passed(manifest)
        rules = self.rules
        rules.check_version(manifest)
        approved_by = rules.permitted(self.store, manifest, actor, approved_by, by_hand)
        if rules.wants_review(manifest) and not approved_by:
            return Promotion(
                False, self.alias(voice, alias), f"waits for a review: timbre promote {voice} {version} --approve"
            )
        require_whole(self.store, manifest)
        # Its publisher may have died between the manifest and its event.
        events.append(self.store, manifest.event())
        declined = ""

        def decide(current: Alias | None) -> Alias | None:
            nonlocal declined
            hold = "" if by_hand else self._hold(current, version, is_ancestor)
            declined = hold or objection(current, version, actor.commit, is_ancestor)
            if declined:
                return None
            state = self._state(voice, alias, version, Act.PROMOTED, actor, reason, approved_by)
            return replace(state, by_hand=by_hand)

        moved = self._move(voice, alias, decide)
        self._refuse_revoked(voice)
        return Promotion(moved is not None, moved or self.alias(voice, alias), declined)

    def rollback(
        self, voice: str, *, actor: Actor, alias: str = PRODUCTION, to: str | None = None, reason: str = ""
    ) -> Alias:
        """Points an alias back at `to`, or at the version before the current one.

        What promote asks of a version counts here too: its gates passed, its files are whole, and a review that it
        needs was given, now or before. Raises NotFoundError when there is none, CheckFailedError otherwise.
        """
        self._require_voice(voice)
        self._refuse_revoked(voice)
        rules = self.rules
        rules.require("promote", actor)
        if to is not None:
            require_releasable(self.store, self.manifest(voice, to), rules)

        def decide(current: Alias | None) -> Alias | None:
            target = to or (current.previous if current else None)
            if target is None:
                raise NotFoundError(
                    f"voice {voice!r} has no version before the current one under {alias!r}",
                    remedy=f"name one: timbre rollback {voice} --to VERSION (see timbre history {voice})",
                )
            require_releasable(self.store, self.manifest(voice, target), rules)
            # A rollback by hand has no commit of its own: it keeps the place in the order of commits.
            commit = actor.commit or (current.commit if current else None)
            return self._state(voice, alias, target, Act.ROLLED_BACK, replace(actor, commit=commit), reason, None)

        return self._moved(self._move(voice, alias, decide))

    def retire(
        self,
        voice: str,
        *,
        actor: Actor,
        alias: str = PRODUCTION,
        reason: str = "",
        is_ancestor: IsAncestor | None = None,
    ) -> Promotion:
        """Empties an alias because the voice's folder was deleted; a later promote brings the voice back."""
        self._require_voice(voice)
        self.rules.require("publish", actor, "promote")
        declined = ""

        def decide(current: Alias | None) -> Alias | None:
            nonlocal declined
            declined = objection(current, None, actor.commit, is_ancestor)
            return None if declined else self._state(voice, alias, None, Act.RETIRED, actor, reason, None)

        moved = self._move(voice, alias, decide)
        return Promotion(moved is not None, moved or self.alias(voice, alias), declined)

    def _move(self, voice: str, alias: str, decide: Decide) -> Alias | None:
        moved = move_alias(self.store, voice, alias, decide, unsafe=self._unsafe)
        if moved is not None and moved.version is not None:
            trash.keep_version(self.store, voice, moved.version)
        self.settle(voice)
        return moved

    # -- helpers ---------------------------------------------------------------------------------------------------

    def tombstone(self, voice: str) -> dict[str, Any] | None:
        """The permanent mark of a revoked voice, or None."""
        return tombstone(self.store, voice)

    def now(self) -> str:
        """The registry's clock."""
        return self._clock()

    @property
    def rules(self) -> Rules:
        """What the operator allows now: one of these for an act reads the policies once."""
        return Rules(self._policies)

    def _hold(self, current: Alias | None, version: str, is_ancestor: IsAncestor | None) -> str:
        """Why a person's decision keeps a pipeline from this version; empty when none does."""
        if current is None or current.version == version or not is_by_hand(current):
            return ""
        found = holding_move(
            events.read(packs.view(self.store, current.voice), current.voice),
            current,
            version,
            lambda other: self.manifest(current.voice, other).provenance.commit,
            is_ancestor,
        )
        return hold_words(found) if found else ""

    def _state(
        self, voice: str, alias: str, version: str | None, act: Act, actor: Actor, reason: str, approved_by: str | None
    ) -> Alias:
        return Alias(
            voice, alias, version, actor.commit, 0, None, act, self._clock(), actor.name, reason, approved_by,
            proof=actor.proof,
        )  # fmt: skip

    @staticmethod
    def _moved(state: Alias | None) -> Alias:
        assert state is not None, "this decision never declines"
        return state

    def _require_voice(self, voice: str) -> None:
        if next(self.store.list(f"voices/{check_voice(voice)}/"), None) is None:
            raise self._unknown(voice)

    def _unknown(self, voice: str) -> NotFoundError:
        return unknown_voice(voice, self.voices(), self.store.url)

    def _refuse_revoked(self, voice: str) -> None:
        refuse_revoked(self.store, voice)


def _place(manifest: Manifest, path: str) -> Place:
    return Place(manifest.voice, manifest.version, path)


__all__ = ["Actor", "FileEntry", "Promotion", "Registry"]
