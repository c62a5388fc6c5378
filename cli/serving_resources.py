"""What the server would use on this machine: ONNX Runtime, HTTP packages, encoders, registry."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from timbre.cli.check import NOTE, OK, WARNING, Check, attempt
from timbre.core.errors import TimbreError
from timbre.core.host import installed_version
from timbre.core.telemetry import switch_off_telemetry
from timbre.inference.device import choose_device
from timbre.registry.address import RegistryAddress
from timbre.registry.names import PRODUCTION
from timbre.registry.open import open_registry
from timbre.serving.encoding import FORMATS

_INSTALL = "in a checkout: pip install '.[serve-cpu]'"
_HTTP = ("fastapi", "uvicorn", "prometheus-client")


def serving_findings(registry: RegistryAddress) -> Iterator[Check]:
    """One finding each for engine, server, encoders and registry. registry: its address, "" for none."""
    yield attempt("onnxruntime", _engine)
    yield _http()
    yield _encoders()
    yield _registry(registry)


def _engine() -> str:
    switch_off_telemetry()
    import onnxruntime

    offered = ", ".join(onnxruntime.get_available_providers())
    device = choose_device("auto").shown
    return f"{onnxruntime.__version__}; graphs run on {device} (this build offers {offered})"


def _http() -> Check:
    found = {name: installed_version(name) for name in _HTTP}
    missing = [name for name, version in found.items() if not version]
    if missing:
        return Check("HTTP server", WARNING, f"{', '.join(missing)} not installed", f"for timbre serve: {_INSTALL}")
    return Check("HTTP server", OK, ", ".join(f"{name} {version}" for name, version in found.items()))


def _encoders() -> Check:
    name = "encoders"
    try:
        from av.codec import Codec
    except ImportError as error:
        return Check(name, WARNING, f"wav and pcm only (av cannot be imported: {error})", _INSTALL)
    missing = [item.name for item in FORMATS.values() if item.codec and not _encodes(Codec, item.codec)]
    if missing:
        value = f"without {', '.join(missing)}: this av was built without them"
        return Check(name, WARNING, value, "install av from its wheel: pip install --force-reinstall av")
    return Check(name, OK, ", ".join(FORMATS))


def _encodes(codec: type, name: str) -> bool:
    try:
        codec(name, "w")
    except ValueError:  # av's UnknownCodecError is one
        return False
    return True


def _registry(address: RegistryAddress) -> Check:
    if not address:
        return Check("registry", NOTE, "not set", "set TIMBRE_REGISTRY to a folder shared by all runners")
    return attempt("registry", partial(_shelf, address))


def _shelf(address: RegistryAddress) -> str:
    registry = open_registry(address)
    names = registry.voices()
    if not names:
        return f"{address}: empty; the first publish fills it"
    speaking = 0
    for name in names:
        try:
            alias = registry.alias(name, PRODUCTION)
        except TimbreError as error:
            raise type(error)(f"{address}: voice {name}: {error.message}", "run: timbre verify") from error
        speaking += alias is not None and alias.version is not None
    bases = {key.split("/")[1] for key in registry.store.list("bases/")}
    return f"{address}: {len(names)} voices, {speaking} in production; {len(bases)} exported bases"
