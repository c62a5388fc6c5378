"""Settings of the server: one frozen dataclass, filled from a YAML file, the environment and the command line."""

from __future__ import annotations

import ipaddress
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.core.problems import configuration_error
from timbre.core.settings import read_section, setting
from timbre.core.yaml_document import read_mapping
from timbre.inference.device import WANTED
from timbre.inference.profiles import PROFILES

PREFIX = "TIMBRE_SERVE_"
"""A setting `poll_s` is given in the environment as this prefix and POLL_S."""

_SECRET = ("api_keys", "jwt_secret")
_SHORTEST_KEY = 16
_HIGHEST_PORT = 65_535


@dataclass(frozen=True)
class ServeSettings:
    """Everything the operator may choose. Lists are separated by commas or line ends in the environment."""

    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(9880, "port to listen on; 0 takes a free one", low=0, high=65535)
    profile: str = setting(
        "auto", "graphs to use; auto: int8 for voices whose int8 gates passed, else and on a GPU fp32", choices=PROFILES
    )
    device: str = setting("auto", "where graphs run: auto, cpu, cuda or cuda:N; auto takes CUDA where it is offered")
    threads: int = setting(1, "threads of each graph", low=1, high=64)
    slots: int = setting(8, "sentences decoded at once, for each base", low=1, high=256)
    capacity: int = setting(1280, "positions (phones and codes) of a slot", low=128, high=8192)
    decoders: int = setting(8, "voices whose merged decoder stays in memory, for each base", low=1, high=1024)
    decoders_mib: int = setting(
        512,
        "merged decoders that stay in memory, together, for each base; the last one stays in any case",
        "MiB",
        low=1,
    )
    voices_held: int = setting(64, "voice packages that stay in memory", low=1, high=100_000)
    voices_mib: int = setting(
        1024, "voice packages that stay in memory together; the last one stays in any case", "MiB", low=1
    )
    workers: int = setting(4, "requests spoken at once", low=1, high=256)
    queue: int = setting(32, "requests that may wait; more are refused with 429", low=0, high=100_000)
    queue_timeout_s: float = setting(60.0, "longest wait in the queue; then 503", "s", low=0.1)
    drain_s: float = setting(30.0, "longest wait for answers under way when the server is asked to end", "s", low=0)
    stall_timeout_s: float = setting(
        30.0, "a client that takes no byte for so long while some wait for it is dropped", "s", low=0.1
    )
    header_timeout_s: float = setting(10.0, "longest wait for the head of a request; then 408", "s", low=0.1)
    body_timeout_s: float = setting(10.0, "longest wait for the rest of a request's body; then 408", "s", low=0.1)
    max_characters: int = setting(4096, "longest text of a whole answer; more is refused with 413", low=1, high=10_000)
    max_stream_characters: int = setting(
        200_000, "longest text of a streamed request, which is spoken part by part; more is refused with 413",
        low=1, high=100_000_000,
    )  # fmt: skip
    max_audio_s: float = setting(
        1800.0,
        "longest speech of a request, or of a long text's part, as planned; more is refused with 413",
        "s",
        low=1,
    )
    max_pending_kib: int = setting(
        4096, "encoded speech that waits for a client before speaking waits too", "KiB", low=64
    )
    max_connections: int = setting(
        1000, "open connections, within the limit of open files; the one that has been idle longest makes room",
        low=8, high=100_000,
    )  # fmt: skip
    max_streams: int = setting(64, "open WebSockets of /v1/audio/speech/stream; more are refused with 503", low=0)
    stream_idle_s: float = setting(
        120.0, "a WebSocket that neither sends nor is spoken to for so long is closed", "s", low=0.1
    )
    max_body_kib: int = setting(
        256, "largest body of a request, and largest WebSocket message; more is refused with 413", "KiB", low=1
    )
    batches: str = setting("", "folder of batch jobs; empty: /v1/audio/batches is not offered")
    max_batches: int = setting(20, "unfinished batches of a key; more are refused with 429", low=1, high=100_000)
    batches_mib: int = setting(4096, "all batches together; when they hold more, new ones are refused", "MiB", low=1)
    batch_days: float = setting(7.0, "time until a batch and its sound are removed", "days", low=0.001)
    zero_shot: str = setting(
        "", "folder of voices made from one recording each, with consent (docs/server.md); empty: none can be made"
    )
    zero_shot_hours: float = setting(24.0, "time until such a voice is removed", "h", low=0.001, high=8760)
    max_zero_shot: int = setting(10, "such voices of a key; more are refused with 429", low=1, high=10_000)
    max_upload_kib: int = setting(
        16_384, "largest body of a request that brings a recording; more is refused with 413", "KiB", low=1,
        high=1_048_576,
    )  # fmt: skip
    references: str = setting(
        "", "folder of recordings, each beside its statement of consent, that /tts may name; empty: none"
    )
    stale_s: float = setting(60.0, "a registry that was not read for so long is reported as stale", "s", low=0.1)
    poll_s: float = setting(1.0, "polling interval of the registry", "s", low=0.05, high=3600)
    retry_s: float = setting(30.0, "time until a version that could not be loaded is tried again", "s", low=0.1)
    mark: bool = setting(
        True, "mark speech as synthetic, inaudibly and in the tags of files; laws may ask for it (docs/provenance.md)"
    )
    default_voice: str = setting("", "voice of requests that name none; empty: the only voice there is, else refused")
    voice_names: tuple[str, ...] = setting((), "other names for voices, as alloy=ada or nova=ada@production")
    openai_names: bool = setting(
        True, "OpenAI's voice names (alloy, nova, ...) speak: with default_voice, else each with one of the voices"
    )
    api_keys: tuple[str, ...] = setting((), "keys that may speak; at least 16 characters each")
    api_keys_file: str = setting("", "file with one key a line, for mounted secrets")
    jwt_secret: str = setting("", "secret of HS256 tokens that may speak; at least 32 characters")
    jwt_audience: str = setting("", "audience that tokens must name; empty: not looked at")
    jwt_issuer: str = setting("", "issuer that tokens must name; empty: not looked at")
    open_access: bool = setting(False, "answer everybody although the address is not a loopback one")
    cors_origins: tuple[str, ...] = setting((), "web origins whose pages may call this server; * for all")
    allowed_hosts: tuple[str, ...] = setting(
        (), "host names that requests may name; empty: those of this machine where no key is asked for, else any"
    )
    wyoming: str = setting(
        "", "HOST:PORT on which Home Assistant's protocol Wyoming is spoken too, as 127.0.0.1:10300; empty: it is not"
    )
    wyoming_open: bool = setting(
        False, "let the Wyoming address be one that other machines reach, although the protocol has no keys"
    )
    page: bool = setting(True, "show the web page at /")
    commit: str = setting("", "commit of the running program, for /health and voice_build_info")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return is_loopback(self.host)

    @property
    def wyoming_address(self) -> tuple[str, int] | None:
        """Host and port of `wyoming`, None without. Raises ConfigurationError for anything else."""
        if not self.wyoming:
            return None
        host, colon, port = self.wyoming.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT):
            raise ConfigurationError(f"wyoming: {self.wyoming!r} is not HOST:PORT", "write for example 127.0.0.1:10300")
        return host.strip("[]"), int(port)

    @property
    def guarded(self) -> bool:
        """Whether requests need a key or a token."""
        return bool(self.api_keys or self.jwt_secret)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host of this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(file: Path | None, environment: Mapping[str, str], options: Mapping[str, Any]) -> ServeSettings:
    """Defaults, under the file, under the environment, under the options of the command line (None is "not given").

    Raises ConfigurationError that names every wrong setting, and one when the address is reachable from elsewhere and
    neither key nor token is asked for.
    """
    settings = ServeSettings()
    if file is not None:
        values, problems = read_mapping(file, "name a YAML file of settings", empty=True)
        if problems:
            raise configuration_error(problems, "server settings")
        settings = _overlay(settings, values, str(file))
    settings = _overlay(settings, _from_environment(environment), "environment")
    settings = _overlay(settings, {name: value for name, value in options.items() if value is not None}, "command line")
    if settings.api_keys_file:
        keys = (*settings.api_keys, *_read_keys(Path(settings.api_keys_file)))
        settings = _overlay(settings, {"api_keys": keys}, settings.api_keys_file)
    _check(settings)
    return settings


def _overlay(settings: ServeSettings, values: Any, where: str) -> ServeSettings:
    changed, problems = read_section(settings, values, where)
    if problems:
        lines = [f"{problem.where}: {problem.limit}; {problem.remedy}" for problem in problems]
        secret = any(name in line for line in lines for name in _SECRET)
        shown = lines if secret else [str(problem) for problem in problems]
        raise ConfigurationError("server settings: " + "; ".join(shown), "correct them; docs/server.md lists all")
    return typing.cast(ServeSettings, changed)


def _read_keys(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"api_keys_file {file}: {error}", "mount a text file with one key a line") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    hints = typing.get_type_hints(ServeSettings)
    known = {f"{PREFIX}{field.name.upper()}": field.name for field in fields(ServeSettings)}
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if variable.startswith(PREFIX) and text != "":
            name = known.get(variable)
            # An unknown name is handed on as it is: the reader of settings then names the nearest known one.
            values[name or variable.removeprefix(PREFIX).lower()] = _typed(text, hints[name]) if name else text
    return values


def _typed(text: str, hint: Any) -> Any:
    """The value that a text stands for, or the text itself where it stands for none, which the reader then refuses."""
    if typing.get_origin(hint) is tuple:
        return tuple(part.strip() for part in text.replace("\n", ",").split(",") if part.strip())
    if hint is bool:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(text.lower(), text)
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            return text
    return text


def _check(settings: ServeSettings) -> None:
    if not WANTED.fullmatch(settings.device):
        raise ConfigurationError(f"device: {settings.device!r} is not a device", "use auto, cpu, cuda or cuda:N")
    if any(len(key) < _SHORTEST_KEY for key in settings.api_keys):
        raise ConfigurationError(
            f"api_keys: a key has fewer than {_SHORTEST_KEY} characters", "make one with: openssl rand -hex 24"
        )
    if settings.jwt_secret and len(settings.jwt_secret) < 32:
        raise ConfigurationError("jwt_secret: fewer than 32 characters", "make one with: openssl rand -hex 32")
    for name in ("zero_shot", "references"):
        if getattr(settings, name) and not settings.mark:
            raise ConfigurationError(
                f"{name}: set while mark is false", "leave mark on: speech in a voice of one recording is always marked"
            )
    address = settings.wyoming_address
    if address is not None and not (is_loopback(address[0]) or settings.wyoming_open or settings.open_access):
        raise ConfigurationError(
            f"wyoming {settings.wyoming}: other machines reach this address, and the protocol has no keys",
            "use 127.0.0.1, or set wyoming_open where a firewall lets only Home Assistant through",
        )
    for pair in settings.voice_names:
        name, equals, target = pair.partition("=")
        if not (name and equals and target):
            raise ConfigurationError(f"voice_names: {pair!r} is not NAME=VOICE", "write for example alloy=ada")
    if not (settings.loopback or settings.guarded or settings.open_access):
        raise ConfigurationError(
            f"host {settings.host}: other machines reach this address, and neither api_keys nor jwt_secret is set",
            f"set {PREFIX}API_KEYS (or api_keys_file, jwt_secret), or open_access to answer everybody",
        )
