"""The page's certificate for browsers: made at `init`, used by `serve`, replaced by settings, and seen when it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509

from admin_ui.cli import main
from admin_ui.founding import found
from admin_ui.webcert import LASTS, WebCertificate, make, own_names, web_certificate
from firmware_config.errors import BadInput, BadState
from firmware_config.settings import AdminSettings, PageSettings
from tests.brokers import free_port
from tests.waiting import until


@pytest.fixture
def site(tmp_path: Path) -> AdminSettings:
    return AdminSettings(site="home", state=tmp_path / "state", page=PageSettings(host="0.0.0.0"))


def test_init_makes_one_for_the_names_of_this_machine_and_keeps_its_key_private(tmp_path: Path) -> None:
    settings = found(tmp_path / "admin.toml", "home", state=tmp_path / "state", password="long enough to keep").settings
    folder = settings.state / "keys" / "web"
    assert (folder / "page.key").stat().st_mode & 0o777 == 0o600
    made = x509.load_pem_x509_certificate((folder / "page.crt").read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert "127.0.0.1" in [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert socket.gethostname().lower() in [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    before = (folder / "page.crt").read_bytes()
    found(tmp_path / "admin.toml", "home", state=tmp_path / "state")
    assert (folder / "page.crt").read_bytes() == before  # a second `init` changes nothing


@pytest.mark.parametrize(
    ("page", "https"),
    [
        (PageSettings(), False),
        (PageSettings(tls=True), True),
        (PageSettings(host="0.0.0.0"), True),
        (PageSettings(host="desk.office.lan"), True),
        (PageSettings(host="0.0.0.0", tls=False), False),
        (PageSettings(cert_file=Path("/a"), key_file=Path("/b")), True),
    ],
)
def test_the_page_speaks_https_wherever_other_machines_reach_it(page: PageSettings, https: bool) -> None:
    assert page.https is https


@pytest.mark.parametrize(
    "wrong", [{"cert_file": "/a"}, {"key_file": "/b"}, {"cert_file": "/a", "key_file": "/b", "tls": False}]
)
def test_half_a_pair_is_told_at_once(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cert_file"):
        PageSettings(**wrong)  # type: ignore[arg-type]


def test_a_browser_that_trusts_it_is_served(site: AdminSettings) -> None:
    made = make(site, ["desk.office.lan"])
    assert "desk.office.lan" in made.names

    async def hello(_scope: object, _receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"in"})  # type: ignore[operator]

    port = free_port()
    config = uvicorn.Config(
        hello, port=port, ssl_certfile=made.certificate, ssl_keyfile=made.key, lifespan="off", log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        assert until(lambda: server.started)
        trusting = ssl.create_default_context(cafile=made.certificate)
        for name in ("localhost", "desk.office.lan"):
            plain = socket.create_connection(("127.0.0.1", port))
            with trusting.wrap_socket(plain, server_hostname=name) as safe:
                safe.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert b"200 OK" in safe.recv(4096)
        with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
            trusting.wrap_socket(plain, server_hostname="elsewhere.example")
    finally:
        server.should_exit = True
        thread.join(10)


def test_a_missing_one_is_made_and_one_of_the_settings_goes_before_it(site: AdminSettings, tmp_path: Path) -> None:
    own = web_certificate(site)
    assert own is not None
    assert own.own
    page = PageSettings(host="0.0.0.0", cert_file=own.certificate, key_file=own.key)
    proper = web_certificate(site.model_copy(update={"page": page}))
    assert proper is not None
    assert not proper.own
    other = make(site.model_copy(update={"state": tmp_path / "other"}))
    mixed = page.model_copy(update={"key_file": other.key})
    with pytest.raises(BadState, match="cannot be used"):
        web_certificate(site.model_copy(update={"page": mixed}))
    gone = page.model_copy(update={"cert_file": tmp_path / "none.crt"})
    with pytest.raises(BadState, match=r"none.crt.*cert_file"):
        web_certificate(site.model_copy(update={"page": gone}))


def test_that_it_ends_is_said_before_it_does_and_how_to_renew_it(site: AdminSettings) -> None:
    made = make(site)
    now = datetime.now(timezone.utc)
    assert made.ends - now < LASTS < timedelta(days=825)
    assert made.news(now) == ""
    assert "ends on" in made.news(made.ends - timedelta(days=20))
    assert "latchkey-admin web-certificate" in made.news(made.ends - timedelta(days=20))
    proper = WebCertificate(made.certificate, made.key, False, made.ends, ())
    told = proper.news(made.ends + timedelta(days=1))
    assert ("ended on" in told, "put the new one into" in told) == (True, True)


@pytest.mark.parametrize("name", ["not a name\n", "\u202e", "x" * 10_000, ""])
def test_what_is_no_host_name_is_refused_and_changes_nothing(site: AdminSettings, name: str) -> None:
    before = make(site).certificate.read_bytes()
    with pytest.raises(BadInput, match="no host name"):
        make(site, [name])
    assert (site.state / "keys" / "web" / "page.crt").read_bytes() == before


def test_the_command_makes_it_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "admin.toml"
    found(path, "home", state=tmp_path / "state", password="long enough to keep")
    assert main(["web-certificate", "--settings", str(path), "--host", "192.168.7.9"]) == 0
    told = capsys.readouterr().out
    assert ("192.168.7.9" in told, "Restart the page" in told, "speaks http" in told) == (True, True, True)


def test_nobody_is_asked_for_the_names_of_this_machine(site: AdminSettings) -> None:
    assert {"localhost", "127.0.0.1", "::1"} <= set(own_names(site))
    assert "0.0.0.0" not in own_names(site)
