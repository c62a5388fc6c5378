"""Prometheus metrics. Labels are bounded: routes of a list, voices of the library, never text or keys."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0)
_FACTORS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0)
UNKNOWN = "unknown"
"""Label of a voice that the library does not have: names that clients make up must not become series."""


class Metrics:
    """All series of one server, in a collection of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, version: str, commit: str) -> None:
        own = CollectorRegistry()
        self._registry = own
        voice, tts = ("voice",), "voice_tts"
        self.requests = Counter(
            f"{tts}_requests", "Requests for speech by outcome", ("route", "voice", "status"), registry=own
        )
        self.duration = Histogram(
            f"{tts}_request_duration_seconds", "From a request's arrival to its last byte", ("route", "voice"),
            buckets=_SECONDS, registry=own,
        )  # fmt: skip
        self.first_audio = Histogram(
            f"{tts}_time_to_first_audio_seconds", "From a request's arrival to its first sound", voice,
            buckets=_SECONDS, registry=own,
        )  # fmt: skip
        self.audio = Counter(f"{tts}_audio_seconds", "Seconds of audio spoken", voice, registry=own)
        self.characters = Counter(f"{tts}_characters", "Characters spoken", voice, registry=own)
        self.real_time = Histogram(
            f"{tts}_real_time_factor", "Seconds of speaking a second of audio", voice, buckets=_FACTORS, registry=own
        )
        self.queue_depth = Gauge(f"{tts}_queue_depth", "Requests that wait for a worker", registry=own)
        self.in_flight = Gauge(f"{tts}_in_flight", "Requests accepted and not yet answered in full", registry=own)
        self.regenerations = Counter(
            f"{tts}_regenerations", "Sentences spoken a second time, by why", ("reason",), registry=own
        )
        self.silent = Counter(
            f"{tts}_silent", "Answers that were silence: refused, or broken off when streamed", voice, registry=own
        )
        self.cancelled = Counter(f"{tts}_cancelled", "Requests ended early, by why", ("reason",), registry=own)
        self.refused = Counter("voice_http_refused", "Requests refused before speaking", ("status",), registry=own)
        self.loads = Counter("voice_model_loads", "Voices loaded, by outcome", ("result",), registry=own)
        self.load_seconds = Histogram(
            "voice_model_load_seconds", "Time to load a voice", buckets=_SECONDS, registry=own
        )
        self.loaded = Gauge("voice_models_loaded", "Voice packages in memory", registry=own)
        self.model_bytes = Gauge("voice_model_bytes", "Bytes of the voice packages in memory", registry=own)
        self.known = Gauge("voice_models_known", "Voices of the registry, by state", ("state",), registry=own)
        self.failed = Gauge(
            "voice_model_load_failed", "1 while a version cannot be loaded and an older one speaks, or none", voice,
            registry=own,
        )  # fmt: skip
        self.polls = Counter("voice_registry_polls", "Polls of the registry, by outcome", ("result",), registry=own)
        self.polled = Gauge("voice_registry_last_success_timestamp_seconds", "Last successful poll", registry=own)
        self.away = Gauge(
            "voice_registry_away", "1 while the registry does not answer and its last good state counts", registry=own
        )
        self.stale = Gauge(
            "voice_registry_stale", "1 while the registry was not read for longer than stale_s", registry=own
        )
        self.build = Gauge("voice_build_info", "The running program", ("version", "git_sha"), registry=own)
        self.model = Gauge("voice_model_info", "Version that speaks", ("voice", "voice_sha"), registry=own)
        self.device = Gauge("voice_device_info", "Where graphs run", ("device",), registry=own)
        self.build.labels(version, commit or UNKNOWN).set(1)

    def show_models(self, serving: Iterable[tuple[str, str]], failed: Iterable[str], states: dict[str, int]) -> None:
        """Replaces what is said about voices: (voice, version) pairs, voices with a failed load, state -> number."""
        for gauge in (self.model, self.failed, self.known):
            gauge.clear()
        for voice, version in serving:
            self.model.labels(voice, version).set(1)
        for voice in failed:
            self.failed.labels(voice).set(1)
        for state, number in states.items():
            self.known.labels(state).set(number)

    def text(self) -> bytes:
        """The exposition that a scrape reads."""
        return generate_latest(self._registry)
