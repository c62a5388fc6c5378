"""HTTPS for a telephone in the same network: browsers give a microphone to secure pages only. Signed by itself."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from timbre.core.errors import ConfigurationError

_DAYS = 30
# An address that nobody has (RFC 5737): asking for the way there sends nothing.
_ELSEWHERE = ("192.0.2.1", 9)


@dataclass(frozen=True)
class Certificate:
    """Files in PEM form."""

    certificate: Path
    """File of the certificate."""
    key: Path
    """File of the private key, readable by this user only."""
    fingerprint: str
    """SHA-256 as browsers show it, for the person to compare."""


def make_certificate(folder: Path, address: str) -> Certificate:
    """A new key and a certificate for one address, below a private folder. Raises ConfigurationError without the
    package cryptography.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError:
        raise ConfigurationError("HTTPS needs the package cryptography", "pip install 'timbre[keys]'") from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Timbre Studio")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    (folder / "key.pem").touch(mode=0o600)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    digest = made.fingerprint(hashes.SHA256()).hex().upper()
    shown = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
    return Certificate(folder / "certificate.pem", folder / "key.pem", shown)


def network_address() -> str:
    """The address of this machine in its network. Raises ConfigurationError without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(_ELSEWHERE)
            found = str(asking.getsockname()[0])
        except OSError:
            found = "127.0.0.1"
    if ipaddress.ip_address(found).is_loopback:
        raise ConfigurationError("this machine is in no network", "connect it to the network of the telephone")
    return found
