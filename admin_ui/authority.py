"""The site's own certificate authority: who may speak to the broker, and as whom.

ca.crt, ca.key      what the site's broker and everybody who speaks to it trust
revoked.crl         certificates that are worth nothing any more, by serial number
issued/             a copy of each certificate that was given out: what to revoke, and when to renew

Keys are P-256 with SHA-256: OpenSSL takes Ed25519 too, but the ESP32's mbedTLS does not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firmware_config.errors import BadInput, BadState
from firmware_config.files import PRIVATE, PUBLIC, sync_folder, write_atomic
from firmware_config.messages import Topics
from firmware_config.pairing import AUTHORITY, CERTIFICATE, CERTIFICATE_KEY

CA_CERTIFICATE: Final = "ca.crt"
CA_KEY: Final = "ca.key"
REVOKED: Final = "revoked.crl"
ISSUED: Final = "issued"

NOT_BEFORE: Final = datetime(2020, 1, 1, tzinfo=timezone.utc)
"""Older than this software: a board without a clock battery wakes in the past, and a first day would lock it out
until somebody tells it the time, for no gain: no key is older than its certificate."""
AUTHORITY_LASTS: Final = timedelta(days=25 * 365)
"""A new authority means a visit to every door and lock; a building's doors are kept about as long."""
CERTIFICATE_LASTS: Final = timedelta(days=5 * 365)
"""An expired certificate is a door that opens for nobody, so expiry is not how a lost door is shut out: revocation
is, and the broker has the list at hand. Five years is about what an SD card in a wall lasts."""


class Role(str, Enum):
    """Who a certificate is for: what may be said and heard depends on it (firmware_config/lock/acl)."""

    BROKER = "broker"
    PAGE = "page"
    DOOR = "door"
    LOCK = "lock"
    HOME_ASSISTANT = "home-assistant"


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes

    def save(self, certificate: Path, key: Path, key_mode: int = PRIVATE) -> None:
        """Raises OSError."""
        write_atomic(certificate, self.certificate, mode=PUBLIC)
        write_atomic(key, self.key, mode=key_mode)


def user_name(site: str, role: Role, name: str) -> str:
    """The user that Mosquitto sees (use_subject_as_username): RFC 2253's text of the certificate's subject.

    Site and name are a-z, 0-9, `-` and `_`, so nothing in it is ever escaped.
    """
    return f"CN={name},OU={role.value},O={site}"


class Authority:
    """Gives out certificates and takes them back. One at a time: the office's commands do not run at once."""

    def __init__(self, folder: Path, site: str) -> None:
        """Raises BadState where there is no authority, or an unreadable one."""
        self._folder = folder
        self._site = site
        try:
            self._certificate = x509.load_pem_x509_certificate((folder / CA_CERTIFICATE).read_bytes())
            key = load_pem_private_key((folder / CA_KEY).read_bytes(), None)
        except FileNotFoundError:
            raise BadState(f"There is no certificate authority in {folder}. Run `latchkey-admin init`.") from None
        except (OSError, ValueError) as error:
            raise BadState(f"The certificate authority in {folder} cannot be read: {error}.") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadState(f"{folder / CA_KEY} is not the key that `latchkey-admin init` makes. Restore its backup.")
        self._key = key

    @classmethod
    def make(cls, folder: Path, site: str) -> Authority:
        """The authority in `folder`, made when it is missing. Raises BadState, OSError."""
        if not (folder / CA_CERTIFICATE).exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = ec.generate_private_key(ec.SECP256R1())
            name = _subject(site, "authority", "latchkey")
            builder = _builder(name, name, key.public_key(), key.public_key(), AUTHORITY_LASTS)
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            certificate = builder.add_extension(_usage(authority=True), critical=True).sign(key, hashes.SHA256())
            write_atomic(folder / CA_KEY, _pem(key))
            # Last: where it stands, all the rest does.
            write_atomic(folder / CA_CERTIFICATE, certificate.public_bytes(Encoding.PEM), mode=PUBLIC)
        made = cls(folder, site)
        if not (folder / REVOKED).exists():
            made.write_revoked(())
        return made

    @property
    def certificate(self) -> bytes:
        """PEM: what others trust."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def revoked(self) -> bytes:
        """PEM: the list for the broker's crlfile. Raises BadState."""
        try:
            return (self._folder / REVOKED).read_bytes()
        except OSError as error:
            raise BadState(f"The list {self._folder / REVOKED} cannot be read: {error}.") from error

    def issue(self, role: Role, name: str, hosts: Sequence[str] = (), lasts: timedelta = CERTIFICATE_LASTS) -> Identity:
        """A new certificate and key. name: a door's, for doors and locks.

        hosts: names and addresses of the broker, which needs at least one and is the only one to have any.
        Raises BadInput, OSError.
        """
        Topics(self._site, name)  # raises BadInput for a name that is none
        if bool(hosts) != (role is Role.BROKER):
            raise BadInput("The broker's certificate, and no other, needs the names that it is reached by.")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(self._site, role.value, name)
        builder = _builder(subject, self._certificate.subject, key.public_key(), self._key.public_key(), lasts)
        # Who may be a client may not be the broker: a stolen door could answer in its place.
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = certificate.public_bytes(Encoding.PEM)
        write_atomic(self._folder / ISSUED / f"{role.value}.{name}.{certificate.serial_number:x}.crt", pem, mode=PUBLIC)
        return Identity(pem, _pem(key))

    def give(self, role: Role, folder: Path) -> None:
        """mqtt.crt, mqtt.key and ca.crt for somebody of whom there is one: page, Home Assistant. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.issue(role, role.value).save(folder / CERTIFICATE, folder / CERTIFICATE_KEY)
        write_atomic(folder / AUTHORITY, self.certificate, mode=PUBLIC)

    def issued(self, role: Role, name: str) -> list[x509.Certificate]:
        """All that were given to somebody and not taken back, the oldest first. Raises BadState."""
        try:
            files = sorted((self._folder / ISSUED).glob(f"{role.value}.{name}.*.crt"))
            found = [x509.load_pem_x509_certificate(file.read_bytes()) for file in files]
        except (OSError, ValueError) as error:
            raise BadState(f"The certificates in {self._folder / ISSUED} cannot be read: {error}.") from error
        return sorted(found, key=lambda certificate: certificate.not_valid_after_utc)

    def expires(self, role: Role, name: str) -> datetime | None:
        """Aware, UTC: the end of the newest certificate; None where there is none. Raises BadState."""
        given = self.issued(role, name)
        return given[-1].not_valid_after_utc if given else None

    def revoke(self, role: Role, name: str) -> int:
        """Take back all that somebody was given -> how many. The broker learns it from the new list.

        Raises BadState, OSError.
        """
        given = self.issued(role, name)
        self.write_revoked(certificate.serial_number for certificate in given)
        for certificate in given:
            (self._folder / ISSUED / f"{role.value}.{name}.{certificate.serial_number:x}.crt").unlink()
        if given:
            sync_folder(self._folder / ISSUED)
        return len(given)

    def write_revoked(self, serials: Iterable[int]) -> None:
        """Add serial numbers to the list. Raises BadState, OSError."""
        now = datetime.now(timezone.utc)
        # The list is carried to the broker, not fetched by it: one that ran out would shut everybody out.
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now)
            .next_update(self._certificate.not_valid_after_utc)
        )
        number = 0
        if (self._folder / REVOKED).exists():
            before = x509.load_pem_x509_crl(self.revoked)
            number = before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            for entry in before:
                builder = builder.add_revoked_certificate(entry)
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(x509.CRLNumber(number + 1), False).add_extension(issuer, False)
        revoked = builder.sign(self._key, hashes.SHA256())
        write_atomic(self._folder / REVOKED, revoked.public_bytes(Encoding.PEM), mode=PUBLIC)


def _subject(site: str, role: str, name: str) -> x509.Name:
    parts = ((NameOID.ORGANIZATION_NAME, site), (NameOID.ORGANIZATIONAL_UNIT_NAME, role), (NameOID.COMMON_NAME, name))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer_public: ec.EllipticCurvePublicKey,
    lasts: timedelta,
) -> x509.CertificateBuilder:
    # Python 3.13 checks as strictly as RFC 5280 asks, and wants both identifiers.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(datetime.now(timezone.utc) + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise BadInput(f"{host!r} is no host name: {error}.") from error


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
