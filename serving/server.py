"""One running server: registry, engines, library, workers and the thread that polls the registry."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from timbre.core.errors import ConfigurationError, TimbreError
from timbre.core.host import installed_version
from timbre.core.locks import exclusive
from timbre.inference.device import choose_device
from timbre.inference.engine_settings import EngineSettings
from timbre.registry.names import PRODUCTION
from timbre.registry.registry import Registry
from timbre.serving.catalogue import Catalogue
from timbre.serving.engines import Engines
from timbre.serving.errors import ApiError
from timbre.serving.library import Library
from timbre.serving.metrics import UNKNOWN, Metrics
from timbre.serving.order import Delivery, Order
from timbre.serving.poll_watch import PollWatch
from timbre.serving.references import References
from timbre.serving.served import ServedMarks
from timbre.serving.settings import ServeSettings
from timbre.serving.warming import GREETINGS, first_words, read_dictionaries
from timbre.serving.workers import Workers
from timbre.serving.zero_shot import HOUR_S, ZeroShotVoices
from timbre.serving.zero_shot_maker import ZeroShotMaker

_SOON_S = 0.05
_ZERO_SHOT_PACKAGES = ("python_multipart", "_webrtcvad")


class Server:
    """Owns every long-lived part. start() once, close() once; exports: folder of exported bases on this machine."""

    def __init__(
        self, registry: Registry, exports: Path, settings: ServeSettings, log: logging.Logger,
        catalogue: Catalogue | None = None,
    ) -> None:  # fmt: skip
        """catalogue: as Library has it."""
        self.settings = settings
        self.log = log
        self.version = installed_version("timbre") or UNKNOWN
        self.metrics = Metrics(self.version, settings.commit)
        self.device = choose_device(settings.device)
        self.metrics.device.labels(self.device.name).set(1)
        if self.device.fallback:
            log.warning("speaking on the processor", extra={"reason": self.device.fallback})
        engine_settings = EngineSettings(
            device=self.device,
            threads=settings.threads,
            slots=settings.slots,
            capacity=settings.capacity,
            voices=settings.decoders,
            voice_bytes=settings.decoders_mib << 20,
        )
        self.engines = Engines(registry.store, exports, engine_settings, profile=settings.profile)
        names = dict(pair.split("=", 1) for pair in settings.voice_names)
        offered = bool(settings.zero_shot or settings.references)
        if offered and not all(map(find_spec, _ZERO_SHOT_PACKAGES)):
            raise ConfigurationError(
                f"zero_shot, references: a package is missing ({', '.join(_ZERO_SHOT_PACKAGES)})",
                "pip install 'timbre[zero-shot]' on the server",
            )
        self.zero_shot = ZeroShotVoices(
            Path(settings.zero_shot) if settings.zero_shot else None, settings.max_zero_shot, self.engines
        )
        self.library = Library(
            registry, self.engines, self.metrics, log, voices_held=settings.voices_held, retry_s=settings.retry_s,
            voices_bytes=settings.voices_mib << 20,
            names=names, default_voice=settings.default_voice, openai_names=settings.openai_names,
            zero_shot=self.zero_shot if offered else None, catalogue=catalogue,
        )  # fmt: skip
        self.maker = ZeroShotMaker(
            self.zero_shot, self.engines, log, threads=settings.threads, kept_s=settings.zero_shot_hours * HOUR_S,
            digests=lambda: self.library.bases,
        )  # fmt: skip
        self.references = References(Path(settings.references), self.maker) if settings.references else None
        self._served = ServedMarks(registry.served, log)
        self.workers = Workers(
            self.library, self.metrics, log, self._served, count=settings.workers, waiting=settings.queue,
            queue_timeout_s=settings.queue_timeout_s, program=f"Timbre {self.version}" if settings.mark else "",
        )  # fmt: skip
        self.wyoming_port = 0
        """Where Wyoming is spoken; 0: nowhere."""
        self.ready = threading.Event()
        self.opened = threading.Event()
        """Set when requests are taken; until then no voice is loaded but the first."""
        self._read: set[str] = set()
        self._stop = threading.Event()
        self._started = False
        self._folders = ExitStack()
        self.poll = PollWatch(
            self._poll_on, self.metrics, log, stale_s=settings.stale_s, stop=self._stop, poll_s=settings.poll_s
        )  # fmt: skip

    def start(self) -> None:
        """Starts looking and speaking, once; `ready` is set when the first voice has spoken, or there is none to wait
        for. Raises InfrastructureError when another server has the folder of batches or of voices of one recording.
        """
        if self._started:
            return
        with ExitStack() as folders:
            for folder in filter(None, (self.settings.batches, self.settings.zero_shot)):
                folders.enter_context(exclusive(Path(folder) / "lock", f"folder {folder}"))
            self.zero_shot.open()
            self._started = True
            self.workers.start()
            self.poll.start()
            self._folders = folders.pop_all()

    def close(self) -> None:
        """Stops looking, cancels what runs, closes the engines, gives the folders back; once."""
        if self._stop.is_set():
            return
        self._stop.set()
        self.opened.set()
        self.library.closing.set()
        self.workers.close()
        self.engines.close()
        self.poll.join(timeout_s=10)
        self._folders.close()

    def deliver(self, order: Order) -> Delivery:
        """Queues an order of the task that runs now. Raises ApiError 429 when the queue is full, 503 after close()."""
        settings = self.settings
        delivery = Delivery(
            order, asyncio.get_running_loop(), settings.max_pending_kib * 1024, settings.stall_timeout_s
        )  # fmt: skip
        self.workers.submit(delivery)
        return delivery

    @property
    def problems(self) -> list[str]:
        """What the operator should know, one line each."""
        found = [f"registry: {self.library.last_problem}"] if self.library.last_problem else []
        if self.device.fallback:
            found.append(f"device: {self.device.fallback}; using the CPU")
        if self.poll.stale_for_s is not None:
            found.append(
                f"registry: not read for {self.poll.stale_for_s:.0f} s, so that revocations do not reach this server"
            )
        for name, entry in self.library.entries.items():
            if entry.listing.problem:
                found.append(f"voice {name}: {entry.listing.problem}")
            for alias, failure in entry.failures.items():
                kept = entry.serving.get(alias)
                instead = f"{kept} keeps speaking" if kept else "nothing speaks instead"
                found.append(f"voice {name}@{alias}: {failure.version} cannot be loaded ({failure.reason}); {instead}")
        return found

    @property
    def states(self) -> Mapping[str, int]:
        """How many voices are in which state."""
        counted: dict[str, int] = {}
        for entry in self.library.entries.values():
            counted[entry.state] = counted.get(entry.state, 0) + 1
        return counted

    def _poll_on(self) -> None:
        while not self._stop.is_set():
            try:
                for record in self.zero_shot.sweep():
                    self.log.info("the time of a voice is over", extra={"voice": record.id})
                self.library.poll(None if self.ready.is_set() else self._begin)
            except Exception as error:
                # The poller must outlive everything: without it no new voice would ever speak.
                self.log.error("bug while looking at the registry", exc_info=error)
            else:
                if not self.library.last_problem:
                    self.poll.read()
                    self._served.flush()
            pending = self.library.pending
            if not pending:
                self._read_dictionaries(sorted(self._unread()))
            self._stop.wait(min(_SOON_S, self.settings.poll_s) if pending else self.settings.poll_s)

    def _begin(self) -> None:
        language = self._warm_up()
        self.ready.set()
        # What follows can wait, and would hold up what still has to be imported.
        self.opened.wait()
        self._read_dictionaries([language] if language in GREETINGS else [])

    def _read_dictionaries(self, languages: list[str]) -> None:
        """In a thread of its own: it is a second of Python at best, and moves must be noticed meanwhile."""
        if languages:
            self._read |= set(languages)
            threading.Thread(target=read_dictionaries, args=(languages,), name="dictionaries", daemon=True).start()

    def _unread(self) -> set[str]:
        """Languages of the open bases whose dictionaries were not read yet."""
        return (
            {item for engine in self.engines.open for item in engine.base.languages} & GREETINGS.keys()
        ) - self._read

    def _warm_up(self) -> str:
        """One word by the first voice that can speak, so that no client pays for first runs; its language, "" without
        such a voice.
        """
        wanted = self.settings.default_voice.partition("@")[0]
        names = sorted(self.library.entries, key=lambda name: (name != wanted, name))
        for name in names:
            if self._stop.is_set():
                break
            entry = self.library.entries[name]
            if PRODUCTION not in entry.listing.aliases:
                continue
            try:
                speaker = self.library.speaker(name, PRODUCTION)
                speaker.engine.speak(first_words(speaker.voice.prompt.language), speaker.voice)
            except (TimbreError, ApiError):
                continue
            return speaker.voice.prompt.language
        return ""
