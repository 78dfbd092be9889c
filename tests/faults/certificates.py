"""A broker's certificates, good and expired, from an authority that lives as long as a test."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=400)
"""Longer than a clock is ever set off by here, so that a jumped clock and an expired certificate are two faults."""


class Authority:
    """P-256, as admin_ui's own. `folder` gets ca.crt, server.crt, server.key."""

    def __init__(self, folder: Path, addresses: list[str]) -> None:
        """addresses: IP addresses that the broker is reached at."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._addresses = addresses
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Latchkey faults")])
        self._server_key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(timezone.utc)
        own = self._begin(self._name, self._key, now - LIFE, now + LIFE)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        (folder / "ca.crt").write_bytes(_pem(own.sign(self._key, hashes.SHA256())))
        (folder / "server.key").write_bytes(
            self._server_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.issue()

    @property
    def ca_file(self) -> Path:
        return self._folder / "ca.crt"

    def issue(self, *, expired: bool = False) -> None:
        """Write server.crt anew; the broker reads it at its next start."""
        now = datetime.now(timezone.utc)
        end = now - timedelta(minutes=1) if expired else now + LIFE
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
        names = [x509.IPAddress(ipaddress.ip_address(address)) for address in self._addresses]
        made = self._begin(subject, self._server_key, now - LIFE, end)
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        (self._folder / "server.crt").write_bytes(_pem(made.sign(self._key, hashes.SHA256())))

    def _begin(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return builder.not_valid_before(start).not_valid_after(end)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
