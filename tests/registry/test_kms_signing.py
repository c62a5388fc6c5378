"""Records signed by a key in KMS (moto's): read with its public half alone, and no second signature is made of one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.registry.conftest import make_files, make_manifest
from timbre.cli.main import timbre
from timbre.core.digests import digest_value
from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.bases import publish_base
from timbre.registry.errors import CorruptError
from timbre.registry.kms import KmsKey
from timbre.registry.open import open_registry
from timbre.registry.records import encode
from timbre.registry.signing_keys import new_key, read_signer, read_trusted
from timbre.registry.verification import audit, verify

ADA = Actor("ada", "c1")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of moto's KMS."""
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    for name, value in {"DEFAULT_REGION": "eu-central-1", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with moto.mock_aws():
        yield boto3.client("kms")


def made(kms: Any, spec: str = "ECC_NIST_P256") -> str:
    return "kms:" + str(kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"])


def test_a_life_is_signed_by_kms_and_read_with_the_public_key_alone(tmp_path: Path, kms: Any) -> None:
    key, before = made(kms), new_key(tmp_path / "key")
    shown = CliRunner().invoke(timbre, ["sign", "public", key])
    assert shown.exit_code == 0, shown.output
    assert CliRunner().invoke(timbre, ["sign", "public", str(tmp_path / "key")]).output.strip() == before
    (tmp_path / "trusted").write_text(f"{shown.output.strip()}  # of the operator\n{before}\n")
    address = str(tmp_path / "registry")
    reading = {"TIMBRE_TRUSTED_KEYS": str(tmp_path / "trusted"), "TIMBRE_WITNESS": str(tmp_path / "witness")}
    registry = open_registry(RegistryAddress(address, {**reading, "TIMBRE_SIGNING_KEY": key}))
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "export.json").write_text("{}")
    publish_base(registry.store, "b" * 64, tmp_path / "graphs", {"name": "pico"}, "1.0")
    # Longer than the 4096 bytes that KMS takes.
    one = registry.publish(make_manifest(), make_files() | {f"samples/{n:03}": b"s" for n in range(60)}, actor=ADA)
    registry.promote("ada", one.version, actor=ADA)
    # A key in a file takes over: both are trusted.
    later = open_registry(RegistryAddress(address, {**reading, "TIMBRE_SIGNING_KEY": str(tmp_path / "key")}))
    two = later.publish(make_manifest(content="three"), make_files("three"), actor=ADA)
    later.promote("ada", two.version, actor=ADA)
    registry.rollback("ada", actor=ADA, reason="worse")
    kms.schedule_key_deletion(KeyId=key.removeprefix("kms:"), PendingWindowInDays=7)
    reader = open_registry(RegistryAddress(address, reading))
    assert reader.resolve("ada").version == one.version
    assert verify(reader) == []
    assert audit(reader, "ada") == []


def test_what_is_not_signed_by_that_key_is_refused(tmp_path: Path, kms: Any) -> None:
    signer, other = read_signer(made(kms)), read_signer(made(kms))
    key, address = "voices/ada/aliases/production.json", str(tmp_path / "registry")
    (tmp_path / "trusted").write_text(signer.public.line)
    public = read_trusted(tmp_path / "trusted")[signer.public.id]
    signature = signer.sign(b"a message")
    assert public.accepts(signature, b"a message")
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    # The other half of each pair of valid signatures: anyone who has one could make it without the key.
    mirrored = r + (ORDER - s).to_bytes(32, "big")
    for wrong in (mirrored, other.sign(b"a message"), signature[:-1], signature + b"0", b"\0" * 64, b""):
        assert not public.accepts(wrong, b"a message")
    assert not public.accepts(signature, b"another message")
    registry = open_registry(RegistryAddress(address, {"TIMBRE_SIGNING_KEY": made(kms)}))
    made_one = registry.publish(make_manifest(), make_files(), actor=ADA)
    registry.promote("ada", made_one.version, actor=ADA)
    reader = open_registry(RegistryAddress(address, {"TIMBRE_TRUSTED_KEYS": str(tmp_path / "trusted")}))
    with pytest.raises(CorruptError, match="not signed by a key that is trusted"):
        reader.store.get(key)


def test_a_signature_is_written_in_one_way(tmp_path: Path) -> None:
    """Base64 of 64 bytes has four bits that carry nothing."""
    new_key(tmp_path / "key")
    registry = open_registry(RegistryAddress(str(tmp_path / "store"), {"TIMBRE_SIGNING_KEY": str(tmp_path / "key")}))
    manifest = registry.publish(make_manifest(), make_files(), actor=ADA)
    path = tmp_path / "store" / manifest.key
    record = json.loads(path.read_bytes())
    text = record["signature"]["value"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    changed = text[:-3] + letters[letters.index(text[-3]) + 1] + "=="
    assert base64.b64decode(changed) == base64.b64decode(text)
    record["signature"]["value"] = changed
    record.pop("digest")
    path.write_bytes(encode({**record, "digest": digest_value(record)}))
    with pytest.raises(CorruptError, match="not signed"):
        registry.manifest("ada", manifest.version)


def test_a_key_that_cannot_sign_names_the_way_out(kms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="no ECC_NIST_P256 key"):
        read_signer(made(kms, "RSA_2048")).public  # noqa: B018
    with pytest.raises(ConfigurationError, match="kms:unknown") as caught:
        read_signer("kms:unknown").sign(b"a message")
    assert "kms:Sign" in caught.value.remedy
    (tmp_path / "trusted").write_text("p256:" + base64.b64encode(b"\x05" * 33).decode())
    with pytest.raises(ConfigurationError, match="no list of public keys"):
        read_trusted(tmp_path / "trusted")

    class Throttled:
        def sign(self, **arguments: object) -> None:
            raise exceptions.ClientError(
                {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, ""
            )  # type: ignore[typeddict-item]

    exceptions = pytest.importorskip("botocore.exceptions")
    monkeypatch.setattr(KmsKey, "_client", lambda self: (Throttled(), exceptions))
    with pytest.raises(InfrastructureError):
        read_signer("kms:busy").sign(b"a message")
