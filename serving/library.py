"""The voices that this server speaks with: what the registry wants, what is loaded, and what speaks in the meantime.

poll (every second) -> catalogue -> per alias: load the wanted version -> it speaks from the next request on
                                     └ cannot be loaded: the version before it keeps speaking, and the page says so

Requests read a snapshot and never wait for a poll.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from timbre.core.errors import InfrastructureError, TimbreError
from timbre.core.near_names import nearest_few
from timbre.registry.manifest import Manifest
from timbre.registry.names import PRODUCTION
from timbre.registry.registry import Registry
from timbre.serving.catalogue import Catalogue
from timbre.serving.engines import Engines
from timbre.serving.entries import Entry, Failure, follow, refuse_gone
from timbre.serving.errors import ApiError, unavailable
from timbre.serving.loader import Loader, Speaker
from timbre.serving.metrics import Metrics
from timbre.serving.openai_voices import OPENAI_VOICES, stand_in
from timbre.serving.zero_shot import ZeroShotVoices

_LOADING_S = 0.3


class Library:
    """Thread-safe. poll() is called by one thread; everything else by any."""

    def __init__(
        self,
        registry: Registry,
        engines: Engines,
        metrics: Metrics,
        log: logging.Logger,
        *,
        voices_held: int,
        retry_s: float,
        voices_bytes: int = 1 << 30,
        names: Mapping[str, str] | None = None,
        default_voice: str = "",
        openai_names: bool = False,
        zero_shot: ZeroShotVoices | None = None,
        catalogue: Catalogue | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """voices_held, voices_bytes: most packages in memory, and most bytes of them together. zero_shot: voices that
        are not in the registry, None where they are not offered. catalogue: of that registry, where its reading has
        begun.
        """
        self.registry = registry
        self._catalogue = catalogue or Catalogue(registry)
        self.zero_shot = zero_shot
        self.engines = engines
        self._metrics = metrics
        self._log = log
        self.loader = Loader(registry, engines, metrics, voices_held, voices_bytes)
        self._retry_s = retry_s
        self._names = dict(names or {})
        self._default = default_voice
        self._openai_names = openai_names
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()
        self._manifests: dict[tuple[str, str], Manifest] = {}
        self.polled = threading.Event()
        self.closing = threading.Event()
        self.last_problem = ""

    # -- requests --------------------------------------------------------------------------------------------------

    @property
    def entries(self) -> Mapping[str, Entry]:
        """A snapshot: voice name -> entry."""
        return self._entries

    def check(self, reference: str, owner: str = "") -> tuple[str, str]:
        """(voice, alias or version) of what a request calls a voice; "" is the default one. Nothing is loaded.

        owner: whose request it is (Authenticator.owner).

        Raises ApiError: 400 without a default, 404 with near names, 410 for retired and revoked voices, 503 when the
        registry was not read yet.
        """
        if not self.polled.is_set():
            raise unavailable("the server is starting", retry_after_s=1, code="starting")
        if self.zero_shot is not None and self.zero_shot.names(reference):
            return self.zero_shot.check(reference, owner)
        reference = self._names.get(reference, reference) or self._default_reference()
        if self._openai_names and reference in OPENAI_VOICES and reference not in self._entries:
            ready = [name for name, entry in self._entries.items() if entry.state == "ready"]
            reference = self._default or stand_in(reference, ready) or reference
        name, _, wanted = reference.partition("@")
        name, _, more = self._names[name].partition("@") if name in self._names else (name, "", "")
        entry = self._entries.get(name)
        if entry is None:
            raise self.unknown(name)
        refuse_gone(entry)
        wanted = wanted or more or PRODUCTION
        known = {*entry.listing.versions, *entry.listing.aliases, *entry.serving}
        if wanted not in known:
            near = nearest_few(wanted, known)
            have = ", ".join(near or sorted(entry.listing.aliases) or sorted(entry.listing.versions)[:3])
            what = "production version yet" if wanted == PRODUCTION else f"version or alias {wanted[:40]!r}"
            raise ApiError(
                404, f"voice {name!r} has no {what}", f"ask for one of: {have}", code="version_not_found", param="voice"
            )
        return name, wanted

    def speaker(self, name: str, wanted: str) -> Speaker:
        """What `check` found, loaded. Raises ApiError, and what loading raises."""
        if self.zero_shot is not None and self.zero_shot.names(name):
            return self.zero_shot.speaker(name)
        entry = self._entries.get(name)
        if entry is None:
            raise self.unknown(name)
        refuse_gone(entry)
        version = entry.serving.get(wanted)
        if version is None and wanted in entry.listing.aliases:
            version = self._settle(name, wanted)
        return self._load(name, version or wanted)

    @property
    def bases(self) -> dict[str, str]:
        """Name -> digest of the bases that voices speak with; of two digests of a name that of the newest version."""
        found = [
            manifest
            for name, entry in self._entries.items()
            for version in entry.serving.values() if (manifest := self._manifests.get((name, version)))
        ]  # fmt: skip
        return {item.base: item.base_digest for item in sorted(found, key=lambda item: item.created)}

    def manifest(self, name: str, version: str) -> Manifest | None:
        """What the registry says of a version, if it was read already."""
        return self._manifests.get((name, version))

    def _default_reference(self) -> str:
        if self._default:
            return self._default
        usable = [name for name, entry in self._entries.items() if entry.state == "ready" or entry.awaited]
        if len(usable) == 1:
            return usable[0]
        raise ApiError(
            400, "no voice was named", f"name one of: {', '.join(usable[:8]) or 'none is there yet'}",
            code="voice_missing", param="voice",
        )  # fmt: skip

    def unknown(self, name: str, param: str = "voice") -> ApiError:
        """The error for a missing voice, with similar names. param: the field that named it."""
        near = nearest_few(name[:63].lower(), [*self._entries, *self._names])
        remedy = f"did you mean {', '.join(near)}?" if near else "GET /v1/audio/voices lists what there is"
        return ApiError(404, f"there is no voice {name[:63]!r}", remedy, code="voice_not_found", param=param)

    # -- polling ---------------------------------------------------------------------------------------------------

    def poll(self, before_loading: Callable[[], object] | None = None) -> None:
        """Reads the registry once and brings voices in line with it. Raises no user-facing error:
        failures are logged, counted and kept in last_problem.

        before_loading: called once the names of the voices are known, before any is loaded.
        """
        try:
            found = self._catalogue.read({name: entry.listing for name, entry in self._entries.items()})
        except TimbreError as error:
            self._metrics.polls.labels("failed").inc()
            self._metrics.away.set(isinstance(error, InfrastructureError))
            if error.message != self.last_problem:
                self._log.error("registry could not be read", extra={"reason": error.message})
            self.last_problem = error.message
            return
        # A store behind a cache answers from its copies while it is away, and says so.
        away = getattr(self.registry.store, "problem", "")
        self._metrics.away.set(bool(away))
        self._metrics.polls.labels("cached" if away else "ok").inc()
        if away and away != self.last_problem:
            self._log.error("registry is away, its last good state counts", extra={"reason": away})
        if not away:
            self._metrics.polled.set(time.time())
        self.last_problem = away
        with self._lock:
            self._entries = {name: follow(listing, self._entries.get(name)) for name, listing in found.items()}
        self._drop_gone()
        self.polled.set()
        if before_loading is not None:
            before_loading()
        self._settle_some()
        self._read_manifests()
        self._close_unused()
        self._show()

    @property
    def pending(self) -> bool:
        """Whether voices wait to be loaded for the first time: poll again soon."""
        entries = self._entries
        return any(self._unsettled(entry, alias) for entry in entries.values() for alias in entry.listing.aliases)

    def _settle_some(self) -> None:
        """Moves first, since only a poll makes them; then first loads, as many as fit into a short time, so that
        the next move is noticed soon. A request for a voice that waits loads it at once.
        """
        began, entries = self._clock(), self._entries
        waiting = [
            (alias not in entry.serving, name, alias)
            for name, entry in entries.items() for alias in entry.listing.aliases if self._unsettled(entry, alias)
        ]  # fmt: skip
        for first_time, name, alias in sorted(waiting):
            if self.closing.is_set():
                return
            if first_time and self._clock() - began > _LOADING_S:
                return
            try:
                self._settle(name, alias)
            except (TimbreError, ApiError):
                continue  # noted in the entry

    def _unsettled(self, entry: Entry, alias: str) -> bool:
        state, failure = entry.listing.aliases[alias], entry.failures.get(alias)
        if state.version is None or entry.listing.retired is not None or entry.serving.get(alias) == state.version:
            return False
        if failure is not None and failure.version == state.version:
            return self._clock() - failure.monotonic_s >= self._retry_s
        return True

    def _settle(self, name: str, alias: str) -> str:
        """Loads the version that an alias wants and lets it speak; returns the version that speaks.

        Raises what loading raises when there is no older version to keep.
        """
        entry = self._entries[name]
        state = entry.listing.aliases[alias]
        old = entry.serving.get(alias)
        if state.version is None:
            raise ApiError(410, f"voice {name!r} has nothing under {alias!r} any more", code="voice_retired")
        failure = entry.failures.get(alias)
        if failure is not None and failure.version == state.version and not self._unsettled(entry, alias):
            if old is not None:
                return old
            raise unavailable(f"voice {name!r} cannot be loaded; the server's log says why", code="voice_failed")
        try:
            speaker = self._load(name, state.version)
            if old is not None:
                # Merged now, so that the first request after the change does not wait, and a misfit is found here.
                speaker.engine.decoders.get(speaker.voice)
        except Exception as error:
            if self.closing.is_set():
                # Engines are closed under it; the version is sound.
                raise unavailable("the server is shutting down") from error
            reason = error.message if isinstance(error, TimbreError | ApiError) else repr(error)
            self._note(name, alias, None, Failure(state.version, reason, self._clock()))
            self._log.error(
                "a version could not be loaded",
                extra={"voice": name, "alias": alias, "version": state.version, "kept": old, "reason": reason},
                exc_info=None if isinstance(error, TimbreError | ApiError) else error,
            )
            if old is not None:
                return old
            if isinstance(error, TimbreError | ApiError):
                raise
            raise unavailable(f"voice {name!r} cannot be loaded", code="voice_failed") from error
        self._note(name, alias, state.version, None)
        self._log.info("voice speaks", extra={"voice": name, "alias": alias, "version": state.version, "before": old})
        return state.version

    def _note(self, name: str, alias: str, version: str | None, failure: Failure | None) -> None:
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return
            serving = {**entry.serving, **({} if version is None else {alias: version})}
            failures = {other: found for other, found in entry.failures.items() if other != alias}
            failures |= {} if failure is None else {alias: failure}
            self._entries = {**self._entries, name: Entry(entry.listing, serving, failures)}

    # -- keeping in line ---------------------------------------------------------------------------------------------

    def _load(self, name: str, version: str) -> Speaker:
        speaker = self.loader.load((name, version), lambda: self._present(name))
        if speaker.manifest is not None:
            self._manifests[name, version] = speaker.manifest
        return speaker

    def _present(self, name: str) -> bool:
        entry = self._entries.get(name)
        return entry is not None and entry.state not in ("revoked", "retired")

    def _drop_gone(self) -> None:
        """Takes voices out of memory that are revoked, retired or no longer there."""
        for speaker in self.loader.drop(lambda name: not self._present(name)):
            self._log.info("voice is gone", extra={"voice": speaker.voice.name, "version": speaker.voice.version})
        # Their merged decoders too, and those that a request merged once more that was under way when its voice went.
        for engine in self.engines.open:
            for key in engine.decoders.held:
                if not self._present(key.partition("@")[0]):
                    engine.decoders.forget(key)

    def _read_manifests(self, most: int = 200) -> None:
        """Read manifests that were not needed yet, a few at every poll: the list of versions shows their dates."""
        wanted = [
            (name, version)
            for name, entry in self._entries.items() if entry.listing.revoked is None
            for version in sorted(entry.listing.versions) if (name, version) not in self._manifests
        ]  # fmt: skip
        for key in wanted[:most]:
            try:
                self._manifests[key] = self.registry.manifest(*key)
            except TimbreError:
                continue

    def _close_unused(self) -> None:
        key = self.engines.key
        used = {(speaker.engine.base.digest, speaker.engine.settings.profile) for speaker in self.loader.held.values()}
        used |= {
            key(manifest.base_digest, int8_passed=manifest.int8_passed)
            for name, entry in self._entries.items()
            for version in entry.serving.values() if (manifest := self._manifests.get((name, version)))
        }  # fmt: skip
        used |= {key(digest) for digest in self.zero_shot.bases} if self.zero_shot is not None else set()
        for digest, profile in self.engines.keep_only(used):
            self._log.info("base is not needed any more", extra={"base": digest[:12], "profile": profile})

    def _show(self) -> None:
        entries = self._entries
        states = Counter(entry.state for entry in entries.values())
        serving = [(name, entry.serving[PRODUCTION]) for name, entry in entries.items() if PRODUCTION in entry.serving]
        self._metrics.show_models(serving, [name for name, entry in entries.items() if entry.failures], states)
        held = self.loader.held
        self._metrics.loaded.set(len(held))
        self._metrics.model_bytes.set(sum(speaker.manifest.size_bytes for speaker in held.values() if speaker.manifest))
