"""TLS with the broker: what a connection says when one of the two refuses the other, and what is to be done."""

from __future__ import annotations

import ssl
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from admin_ui.authority import Authority, Role
from firmware_config.broker import Connection
from firmware_config.errors import BadState
from firmware_config.settings import BrokerSettings
from tests.brokers import Mosquitto, TlsMosquitto
from tests.connections import BACK_WITHIN_S, PATIENCE_S, Connect, open_files
from tests.waiting import until

pytestmark = pytest.mark.broker


def says(connection: Connection, sentence: str) -> bool:
    """Whether that is why it is down."""
    return until(lambda: sentence in connection.why_down, PATIENCE_S)


def test_a_broker_whose_certificate_has_expired(tmp_path: Path, connect: Connect) -> None:
    broker = TlsMosquitto(tmp_path)
    broker.write(server_lasts=timedelta(seconds=-1))
    with broker:
        connection = connect(broker.settings, "page")
        assert says(connection, "the broker's certificate has expired"), connection.why_down
        assert "latchkey-admin broker write" in connection.why_down
        broker.write()
        broker.reload()
        assert connection.wait(BACK_WITHIN_S), connection.why_down


def test_a_broker_under_another_name(tmp_path: Path, connect: Connect) -> None:
    broker = TlsMosquitto(tmp_path)
    identity = broker.authority.issue(Role.BROKER, "broker", ["broker.example"])
    identity.save(broker.place.folder / "server.crt", broker.place.folder / "server.key")
    with broker:
        connection = connect(broker.settings, "page")
        assert says(connection, "is for another name than localhost"), connection.why_down


def test_a_broker_of_another_site(tmp_path: Path, connect: Connect) -> None:
    foreign = Authority.make(tmp_path / "foreign", "home")
    (tmp_path / "foreign.crt").write_bytes(foreign.certificate)
    with TlsMosquitto(tmp_path / "ours") as broker:
        settings = broker.settings.model_copy(update={"ca_file": tmp_path / "foreign.crt"})
        connection = connect(settings, "page")
        assert says(connection, "is not from our site's authority"), connection.why_down


def test_an_authority_of_ones_own_without_what_rfc_5280_asks(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    lenient = ssl.create_default_context

    def strict(**named: Any) -> ssl.SSLContext:
        context = lenient(**named)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 and later by themselves
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    broker = TlsMosquitto(tmp_path)
    bare_certificates(broker.place.folder)
    with broker:
        connection = connect(broker.settings, "page")
        assert says(connection, "or its authority's, is refused: Missing Authority Key Identifier"), connection.why_down
        assert "latchkey-admin broker write" in connection.why_down


def bare_certificates(folder: Path) -> None:
    """ca.crt, server.crt and server.key for localhost, with no more in them than TLS needs."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = {each: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in ("authority", "broker")}
    for file, subject, extension in (
        ("ca.crt", "authority", x509.BasicConstraints(ca=True, path_length=0)),
        ("server.crt", "broker", x509.SubjectAlternativeName([x509.DNSName("localhost")])),
    ):
        builder = x509.CertificateBuilder().subject_name(names[subject]).issuer_name(names["authority"])
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        now = datetime.now(timezone.utc)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        made = builder.add_extension(extension, critical=file == "ca.crt").sign(key, hashes.SHA256())
        (folder / file).write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "server.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_tls_where_the_broker_has_none(tmp_path: Path, connect: Connect) -> None:
    with Mosquitto(tmp_path) as broker:
        connection = connect(BrokerSettings(url=f"mqtts://127.0.0.1:{broker.port}"), "page")
        assert says(connection, "hangs up before TLS begins"), connection.why_down


def test_nobody_listens(connect: Connect) -> None:
    connection = connect(BrokerSettings(url="mqtt://127.0.0.1:1"), "page")
    assert says(connection, "no broker answers at mqtt://127.0.0.1:1")


def test_files_that_are_no_certificates_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nothing")
    settings = BrokerSettings(url="mqtts://localhost", ca_file=tmp_path / "ca.crt")
    with pytest.raises(BadState, match="certificate files cannot be used"):
        Connection(settings, "page", subscriptions=[], on_message=print, on_connected=lambda: None)


def test_attempts_that_fail_leave_no_socket_open(tmp_path: Path, connect: Connect) -> None:
    broker = TlsMosquitto(tmp_path)
    broker.write(server_lasts=timedelta(seconds=-1))
    with broker:
        connection = connect(broker.settings, "page")
        assert says(connection, "expired")
        before = open_files()
        time.sleep(4.0)
        assert open_files() <= before + 1
