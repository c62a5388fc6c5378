"""The context of one call of the command line: repository, output, environment.

Commands receive it as click's object (`@click.pass_obj`). Imports inside methods bring the engine and audio: a command
that only reads the registry does without them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from timbre.core.cancellation import Cancellation
from timbre.core.errors import ConfigurationError, InfrastructureError, TimbreError
from timbre.core.logs import LOGGER, set_up
from timbre.core.packaged import DEFAULT_WEIGHTS_ROOT, PACKAGED_BASES
from timbre.core.printable import printable
from timbre.core.progress import PlainProgress, Progress, SilentProgress, TerminalProgress
from timbre.core.redaction import Redactor
from timbre.pipeline.ci.actor import acting_person
from timbre.pipeline.ci.identity import answering_actor, signed_actor
from timbre.pipeline.ci.origin import Origin, origin_of
from timbre.pipeline.engine.alerts import Webhook
from timbre.pipeline.engine.private_state import refuse_foreign_state
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.encryption.keyring import open_keyring
from timbre.registry.rules import policies_of
from timbre.registry.run_records import RunStore
from timbre.registry.store_at import open_store

if TYPE_CHECKING:
    from timbre.core.base import Base
    from timbre.pipeline.engine.run_log import RunLog


OWN_CACHE = "TIMBRE_MERGE_REQUEST_CACHE"


@dataclass(frozen=True)
class Invocation:
    """What a command line gives its command."""

    root: Path | None = None
    """From --root or TIMBRE_ROOT; None to search upwards. Only this class reads the environment."""
    log_format: str = "plain"
    """plain or json, from --log-format."""
    log_level: str = "warning"
    """Minimum level that is logged, from --log-level."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """Variables of the process, copied at the start."""

    @property
    def redactor(self) -> Redactor:
        return Redactor.of(self.environment)

    def workspace(self) -> Workspace:
        """Raises ConfigurationError outside a voice repository, and for a checkout that brings `.timbre/` along."""
        found = Workspace.find(self.root or Path.cwd(), self.pulled_weights())
        refuse_foreign_state(found.root, found.private)
        return found

    def folder(self) -> Path:
        """The repository, else the working directory: registries can be worked on without a checkout."""
        try:
            return self.workspace().root
        except TimbreError:
            return self.root or Path.cwd()

    def pulled_weights(self) -> Path | None:
        """The folder of pulled weights in TIMBRE_BASES, None for the repository's .timbre/bases."""
        value = self.environment.get("TIMBRE_BASES", "")
        return Path(value) if value else None

    def bases(self, bases_dir: Path | None, weights: Path | None) -> tuple[Path, Path]:
        """Folder of base folders, folder of pulled weights: as given, else the repository's, else the package's."""
        try:
            workspace = self.workspace()
        except ConfigurationError:
            if self.root is not None:
                raise
            here = Path("bases")
            found = here if here.is_dir() else PACKAGED_BASES, self.pulled_weights() or DEFAULT_WEIGHTS_ROOT
        else:
            found = workspace.bases, workspace.weights_root
        return bases_dir or found[0], weights or found[1]

    def load_base(self, name: str) -> Base:
        """The base of that name: of the repository, else of the package. Raises ConfigurationError."""
        from timbre.core.base import load_base

        return load_base(name, *self.bases(None, None))

    def cache(self) -> Path:
        """Where exported bases are kept: .timbre of the repository, else the user's cache: who only speaks or serves
        needs no repository.
        """
        try:
            return self.workspace().private
        except ConfigurationError:
            if self.root is not None:
                raise
            home = self.environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
            return Path(home) / "timbre"

    def logger(self) -> logging.Logger:
        """Sets the process's logger up."""
        set_up(self.redactor, as_json=self.log_format == "json", level=self.log_level)
        return logging.getLogger(f"{LOGGER}.engine")

    def progress(self) -> Progress:
        """Progress bars on a terminal, occasional lines in CI, nothing with JSON logs."""
        if self.log_format == "json":
            return SilentProgress()
        if sys.stderr.isatty() and not self.environment.get("CI"):
            return TerminalProgress()
        return PlainProgress(lambda line: print(line, file=sys.stderr, flush=True))

    def registry(self, given: str = "") -> RegistryAddress:
        """--registry, else TIMBRE_REGISTRY, else .timbre/registry of the repository."""
        return self.address(
            given or self.environment.get("TIMBRE_REGISTRY", "") or str(self.workspace().default_registry)
        )

    def anywhere(self, given: str = "") -> tuple[Workspace | None, RegistryAddress]:
        """The repository, None outside of one, and the registry as `registry` has it: that is there without a checkout
        too. Raises ConfigurationError where neither is.
        """
        try:
            return self.workspace(), self.registry(given)
        except ConfigurationError:
            address = given or self.environment.get("TIMBRE_REGISTRY", "")
            if not address:
                raise ConfigurationError(
                    "no registry given, and this is not a voice repository", "give --registry URL"
                ) from None
            return None, self.address(address)

    def address(self, url: str) -> RegistryAddress:
        """A registry's address with this invocation's variables."""
        return RegistryAddress(url, self.environment)

    def webhook(self) -> Webhook | None:
        """The webhook of TIMBRE_WEBHOOK, if any. Raises ConfigurationError for an invalid address."""
        url = self.environment.get("TIMBRE_WEBHOOK", "").strip()
        return Webhook(url, self.redactor) if url else None

    def run_log(self, registry: str = "") -> RunLog:
        """Where runs leave their records: in the registry, for runs that do not publish in their own area or store."""
        from timbre.pipeline.engine.run_log import RunLog, run_area

        origin, own = origin_of(self.environment, self.workspace().root), self.environment.get(OWN_CACHE, "")
        address = self.registry(registry)
        keys = open_keyring(open_store(address), self.environment)
        store = open_store(address.beside(own) if own and origin.why_not else address)
        return RunLog(RunStore(store, run_area(origin), keys), self.redactor)

    def signed_actor(self, registry: str = "") -> Actor | None:
        """Who this job is by a signed identity that the operator's policy counts, or None.

        Raises ConfigurationError for an invalid identity or policy, InfrastructureError when the registry or the CI
        server does not answer.
        """
        return signed_actor(self.environment, policies_of(open_store(self.registry(registry)), self.environment)())

    def named_actor(self, registry: str, who: str) -> Actor:
        """A person whom somebody named: by Jenkins where it says that they answered an input step of this build, else
        as claimed. Raises as signed_actor.
        """
        policies = policies_of(open_store(self.registry(registry)), self.environment)()
        return answering_actor(self.environment, policies, who) or Actor(printable(who))

    def actor(self, registry: str = "", author: str = "") -> Actor:
        """Who gives a command: the signed identity of the CI job, else author, or the person named by CI or Git, as
        claimed.
        """
        return self.signed_actor(registry) or Actor(author or acting_person(self.environment, self.folder()))

    def origin(self, registry: str = "") -> Origin:
        """Who asks for a run: by the job's signed identity where there is one, beside what Git and variables say.

        A registry or CI server that does not answer leaves the identity out; publishing asks again.
        """
        origin = origin_of(self.environment, self.workspace().root)
        try:
            actor = self.signed_actor(registry)
        except InfrastructureError as error:
            self.logger().warning("signed identity not looked up", extra={"reason": error.message})
            return origin
        return origin if actor is None else replace(origin, actor=actor.name, proof=actor.proof)


@contextmanager
def cancel_on_signals(cancel: Cancellation) -> Iterator[None]:
    """SIGINT and SIGTERM stop the work at its next safe point; a second signal stops it at once."""

    def handle(number: int, frame: object) -> None:
        if cancel.cancelled:
            raise KeyboardInterrupt
        cancel.cancel(f"signal {signal.Signals(number).name}")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
