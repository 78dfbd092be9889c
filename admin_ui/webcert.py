"""The page's certificate for browsers: self-signed at `init`, so that webcams work from other desks of the network.

A browser gives a webcam to https or localhost alone. It warns of a certificate that nobody has signed, once a machine;
settings put a proper one in its place. Not the site's authority: whoever trusts that in a browser would trust it for
every address of the web.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from admin_ui.keyring import KEYS
from firmware_config.broker_tls import WARN_BEFORE
from firmware_config.errors import BadInput, BadState
from firmware_config.files import PUBLIC, write_atomic
from firmware_config.settings import AdminSettings

FOLDER: Final = "web"
CERTIFICATE: Final = "page.crt"
KEY: Final = "page.key"
LASTS: Final = timedelta(days=800)
"""Apple's browsers take no certificate of more than 825 days, whoever has signed it."""
BEFORE: Final = timedelta(days=1)
"""Good since yesterday: a desk whose clock is behind must get in too."""
HOST_NAME: Final = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
LONGEST_NAME: Final = 253
"""Characters: RFC 1035."""
NEVER_ASKED: Final = "192.0.2.1"
"""An address for documentation (RFC 5737). Nothing is sent to it: a socket that is pointed there knows its own."""
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


@dataclass(frozen=True)
class WebCertificate:
    """certificate, key: PEM files. own: made by us. ends: aware, UTC. names: that it is good for."""

    certificate: Path
    key: Path
    own: bool
    ends: datetime
    names: tuple[str, ...]

    def news(self, now: datetime) -> str:
        """A sentence where it ends soon, or has ended; "" otherwise. now: aware."""
        if self.ends - now > WARN_BEFORE:
            return ""
        day = f"{self.ends:%Y-%m-%d}"
        told = f"The page's certificate for browsers ends on {day}."
        if self.ends <= now:
            told = f"The page's certificate for browsers ended on {day}."
        if self.own:
            return f"{told} Renew it: `latchkey-admin web-certificate`, then restart the page."
        return f"{told} Renew it: put the new one into {self.certificate}, then restart the page."


def own_names(settings: AdminSettings) -> list[str]:
    """Names and addresses that other machines may reach this one by, sorted; nobody is asked for them."""
    host = socket.gethostname()
    names = {"localhost", "127.0.0.1", "::1", host, socket.getfqdn()}
    if settings.page.host not in EVERYWHERE:
        names.add(settings.page.host)
    if "." not in host:
        names.add(f"{host}.local")
    with contextlib.suppress(OSError):
        names |= {str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)}
    # No network: then nobody reaches this machine by its address either.
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((NEVER_ASKED, 9))
        names.add(str(probe.getsockname()[0]))
    return sorted(name for name in names if _is_address(name) or HOST_NAME.fullmatch(name))


def make(settings: AdminSettings, names: Sequence[str] = ()) -> WebCertificate:
    """A new one, in place of one that was made before. names: to be good for besides own_names. Raises BadInput for
    what is no host name, OSError."""
    known = own_names(settings)
    hosts = [*known, *(name for name in names if name not in known)]
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Latchkey {settings.site}")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now - BEFORE + LASTS)
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = settings.state / KEYS / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(folder / KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_atomic(folder / CERTIFICATE, certificate.public_bytes(Encoding.PEM), mode=PUBLIC)
    return _read(folder / CERTIFICATE, folder / KEY, own=True)


def web_certificate(settings: AdminSettings) -> WebCertificate | None:
    """What the page shows browsers: the one of the settings, or its own, made where it is missing; None: it speaks
    http. Raises BadState for one that cannot be used."""
    page = settings.page
    if not page.https:
        return None
    if page.cert_file is not None and page.key_file is not None:
        return _read(page.cert_file, page.key_file, own=False)
    folder = settings.state / KEYS / FOLDER
    if not (folder / CERTIFICATE).exists() or not (folder / KEY).exists():
        return make(settings)
    return _read(folder / CERTIFICATE, folder / KEY, own=True)


def _read(certificate: Path, key: Path, *, own: bool) -> WebCertificate:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        # As the server will: this also finds a key that belongs to another certificate.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadState(
            f"The page's certificate {certificate} and its key {key} cannot be used: {reason}. Correct `cert_file` and "
            "`key_file` under [page] in admin.toml; both are PEM, the key without a password."
        ) from error
    return WebCertificate(certificate, key, own, found.not_valid_after_utc, _names(found))


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    with contextlib.suppress(x509.ExtensionNotFound):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(str(name.value) for name in names)
    return ()


def general_name(name: str) -> x509.GeneralName:
    """Of a host's name or address. Raises BadInput for what is neither."""
    if _is_address(name):
        return x509.IPAddress(ipaddress.ip_address(name))
    if not HOST_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise BadInput(f"{name[:100]!r} is no host name and no address. Nothing was changed.")
    return x509.DNSName(name)


def _is_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False
