"""Encryption of voices: what a store then holds, who can read it, and what destroys it."""

from __future__ import annotations

import base64
import io
import json
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.registry.conftest import make_manifest
from timbre.core.errors import ConfigurationError, InputError
from timbre.registry.address import RegistryAddress
from timbre.registry.encryption.keyring import Keyring, open_keyring
from timbre.registry.encryption.master import LocalMaster, new_master, read_master
from timbre.registry.encryption.sealed_file import Place, is_sealed, open_file, seal_file
from timbre.registry.errors import CorruptError
from timbre.registry.local_store import LocalStore
from timbre.registry.open import open_registry
from timbre.registry.registry import Actor, Registry
from timbre.registry.stage_cache import pull_stage, push_stage
from timbre.registry.verification import verify

PLACE = Place("ada", "0123456789ab", "samples/1.wav")
KEY = bytes(range(32))
ADA = Actor("ada")
# Beginnings of the formats in which speech is kept, at the beginning or anywhere in a file.
SPEECH_HEADERS = (b"RIFF", b"WAVEfmt", b"fLaC", b"OggS", b"OpusHead", b"ID3", b"ftypM4A", b"\x93NUMPY", b"PK\x03\x04")
LEAST_ENTROPY_BITS = 7.9


def speech() -> bytes:
    """A WAV file of two seconds that is no noise."""
    times = np.arange(32_000) / 16_000
    sound = 0.3 * np.sin(2 * np.pi * (120 + 40 * np.sin(3 * times)) * times) * (1 + np.sin(8 * times))
    stream = io.BytesIO()
    soundfile.write(stream, sound, 16_000, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def plain_speech(folder: Path, originals: list[bytes]) -> list[str]:
    """Findings of a scan of every file: a header of a sound format, a long piece of an original, or content of a file
    that is no JSON whose bytes are not as evenly spread as ciphertext's.
    """
    pieces = {data[at : at + 24] for data in originals for at in range(64, len(data) - 24, 997)}
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        found += [f"{path}: {header!r}" for header in SPEECH_HEADERS if data.startswith(header)]
        found += [f"{path}: a piece of an original" for piece in pieces if piece in data]
        if path.suffix != ".json" and len(data) > 20_000 and _entropy_bits(data) < LEAST_ENTROPY_BITS:
            found.append(f"{path}: {_entropy_bits(data):.2f} bits a byte")
    return found


def _entropy_bits(data: bytes) -> float:
    return -sum(count / len(data) * math.log2(count / len(data)) for count in Counter(data).values())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def keys(folder: Path) -> Keyring:
    return Keyring(LocalStore(folder), read_master(new_master()))


def test_a_file_opens_at_its_place_only() -> None:
    sealed = seal_file(b"speech", PLACE, "00" * 8, KEY)
    keys = {"00" * 8: KEY}
    assert open_file(sealed, PLACE, keys) == b"speech"
    assert is_sealed(sealed)
    assert b"speech" not in sealed
    assert seal_file(b"speech", PLACE, "00" * 8, KEY) == sealed
    for other in (Place("ben", *("0123456789ab", "samples/1.wav")), Place("ada", "ba9876543210", "samples/1.wav"),
                  Place("ada", "0123456789ab", "samples/2.wav")):  # fmt: skip
        assert seal_file(b"speech", other, "00" * 8, KEY)[17:29] != sealed[17:29]
        with pytest.raises(CorruptError, match="moved"):
            open_file(sealed, other, keys)
    with pytest.raises(ConfigurationError, match="does not exist"):
        open_file(sealed, PLACE, {"11" * 8: KEY})
    for at in random.Random(1).sample(range(29, len(sealed)), 8):
        damaged = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(CorruptError):
            open_file(damaged, PLACE, keys)


def test_no_plain_speech_in_store_and_cache(folder: Path, keys: Keyring, tmp_path: Path) -> None:
    files = {"samples/1.wav": speech(), "prompt.wav": speech()[:20_000], "t2s/adapter.bin": b"adapter " * 5000}
    stage = tmp_path / "stage"
    for name, data in files.items():
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).write_bytes(data)
    originals = list(files.values())
    plain = tmp_path / "plain"
    Registry(LocalStore(plain)).publish(make_manifest(), files, actor=ADA)
    push_stage(LocalStore(plain), "a" * 64, "ada", "validate", stage)
    assert len(plain_speech(plain, originals)) >= 5  # The scan finds what is there to be found.

    registry = Registry(LocalStore(folder), keys=keys)
    manifest = registry.publish(make_manifest(), files, actor=ADA)
    push_stage(registry.store, "a" * 64, "ada", "validate", stage, keys)
    assert plain_speech(folder, originals) == []
    assert verify(registry) == []
    assert {path: registry.read_file(manifest, path) for path in files} == files
    registry.fetch(manifest, tmp_path / "out")
    assert (tmp_path / "out" / "prompt.wav").read_bytes() == files["prompt.wav"]
    assert pull_stage(registry.store, "a" * 64, tmp_path / "pulled", keys)
    assert (tmp_path / "pulled" / "samples" / "1.wav").read_bytes() == files["samples/1.wav"]
    before = sorted(registry.store.list(""))
    assert registry.publish(make_manifest(), files, actor=ADA) == manifest
    assert sorted(registry.store.list("")) == before


def test_without_the_key_nothing_opens(folder: Path, keys: Keyring, tmp_path: Path) -> None:
    manifest = Registry(keys.store, keys=keys).publish(make_manifest(), {"a": b"1"}, actor=ADA)
    with pytest.raises(ConfigurationError, match="encrypted") as caught:
        Registry(keys.store).read_file(manifest, "a")
    assert "TIMBRE_MASTER_KEY" in caught.value.remedy
    stranger = Keyring(keys.store, read_master(new_master()))
    with pytest.raises(ConfigurationError, match="does not open with master"):
        Registry(keys.store, keys=stranger).read_file(manifest, "a")


def test_rotation_keeps_older_versions_readable(keys: Keyring) -> None:
    registry = Registry(keys.store, keys=keys)
    old = registry.publish(make_manifest(), {"a": b"1"}, actor=ADA)
    first = keys.ids("ada")
    second = keys.rotate("ada")
    new = registry.publish(make_manifest(content="two"), {"a": b"1"}, actor=ADA)
    assert keys.ids("ada") == [*first, second]
    assert old.files != new.files
    again = Registry(keys.store, keys=Keyring(keys.store, keys.master))
    assert again.read_file(old, "a") == again.read_file(new, "a") == b"1"
    moved = Keyring(keys.store, read_master(new_master()))
    moved.rewrap("ada", keys.master)
    assert Registry(keys.store, keys=Keyring(keys.store, moved.master)).read_file(old, "a") == b"1"
    with pytest.raises(ConfigurationError):
        Keyring(keys.store, keys.master).open(Place("ada", old.version, "a"), keys.seal(Place("ada", "", "a"), b""))


def test_a_destroyed_key_is_never_made_again(keys: Keyring, folder: Path) -> None:
    registry = Registry(keys.store, keys=keys)
    manifest = registry.publish(make_manifest(), {"a": b"1"}, actor=ADA)
    wrapped = json.loads((folder / "keys" / "ada.json").read_bytes())["keys"][0]["wrapped"]
    assert keys.destroy("ada")
    assert not keys.destroy("ada")
    assert not [path for path in folder.rglob("*") if path.is_file() and wrapped.encode() in path.read_bytes()]
    fresh = Keyring(keys.store, keys.master)
    with pytest.raises(ConfigurationError, match="does not exist any more"):
        Registry(keys.store, keys=fresh).read_file(manifest, "a")
    for call in (lambda: fresh.new("ada"), lambda: fresh.rotate("ada"), lambda: fresh.seal(PLACE, b"x")):
        with pytest.raises(InputError):
            call()


def test_sixteen_publishers_share_one_key(keys: Keyring) -> None:
    rings = [Keyring(keys.store, keys.master) for _ in range(16)]
    sealed = {ring.seal(PLACE, b"x") for ring in rings}
    assert len(sealed) == 1
    assert len(keys.ids("ada")) == 1


def test_master_keys_come_from_file_variable_or_kms(tmp_path: Path) -> None:
    text = new_master()
    path = tmp_path / "master"
    path.write_text(text)
    path.chmod(0o600)
    assert read_master(f"file:{path}") == read_master(text)
    assert text not in repr(read_master(text))
    assert read_master("kms:alias/timbre").name == "kms:alias/timbre"
    path.chmod(0o640)
    for bad in (f"file:{path}", f"file:{tmp_path}/none", "short", base64.b64encode(b"x" * 31).decode()):
        with pytest.raises(ConfigurationError) as caught:
            read_master(bad)
        assert text not in str(caught.value)
    assert isinstance(read_master(text), LocalMaster)


def test_kms_wraps_with_the_voice_as_context(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    with moto.mock_aws():
        key = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
        ring = Keyring(LocalStore(folder), read_master(f"kms:{key}"))
        sealed = ring.seal(PLACE, b"speech")
        assert Keyring(LocalStore(folder), read_master(f"kms:{key}")).open(PLACE, sealed) == b"speech"
        with pytest.raises(ConfigurationError):
            ring.master.unwrap(ring.master.wrap(KEY, {"voice": "ada"}), {"voice": "ben"})


def test_the_environment_names_key_and_place(folder: Path, tmp_path: Path) -> None:
    store = LocalStore(folder)
    assert open_keyring(store, {}) is None
    with pytest.raises(ConfigurationError, match="TIMBRE_ENCRYPTION"):
        open_keyring(store, {"TIMBRE_ENCRYPTION": "required"})
    with pytest.raises(ConfigurationError, match="TIMBRE_ENCRYPTION"):
        open_keyring(store, {"TIMBRE_ENCRYPTION": "yes"})
    environment = {"TIMBRE_MASTER_KEY": new_master(), "TIMBRE_KEYS": str(tmp_path / "keys")}
    registry = open_registry(RegistryAddress(str(folder), environment))
    registry.publish(make_manifest(), {"a": b"1"}, actor=ADA)
    assert (tmp_path / "keys" / "keys" / "ada.json").is_file()
    assert not (folder / "keys").exists()
    with pytest.raises(ConfigurationError, match="cannot be destroyed"):
        open_registry(RegistryAddress("hf://a/b", {"TIMBRE_MASTER_KEY": new_master()}))


def test_a_key_that_another_process_added_is_found(folder: Path) -> None:
    """A server that holds a voice's keys in memory opens what is published after a rotation elsewhere."""
    master = read_master(new_master())
    server, operator = (Keyring(LocalStore(folder), master) for _ in range(2))
    place = Place("ada", "v1", "prompt.bin")
    assert server.open(place, operator.seal(place, b"before")) == b"before"
    operator.rotate("ada")
    assert server.open(place, operator.seal(place, b"after")) == b"after"
    with pytest.raises(ConfigurationError, match="does not exist any more"):
        server.open(place, seal_file(b"x", place, "0" * 16, b"k" * 32))
