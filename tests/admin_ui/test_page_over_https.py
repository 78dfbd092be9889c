"""A page for other machines, as a whole: founded, served over https, its certificate renewed, all as processes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from admin_ui.page.login import COOKIE
from tests.page_server import ACCOUNT, PASSWORD
from tests.served import OTHERS_HOST, Served, found_for_others, latchkey_admin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    served = found_for_others(tmp_path)
    served.start()
    yield served
    served.stop()


def kept(page: Served) -> x509.Certificate:
    assert page.ca is not None
    return x509.load_pem_x509_certificate(page.ca.read_bytes())


def address(page: Served) -> tuple[str, int]:
    return OTHERS_HOST, int(page.url.rpartition(":")[2])


def shown(page: Served) -> bytes:
    """DER of what a browser is shown, trusted or not."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(address(page)))


def in_the_clear(page: Served) -> bytes:
    """All that is answered to a browser that speaks http, until the other side hangs up."""
    told = b""
    with socket.create_connection(address(page), 10) as plain:
        plain.settimeout(10)
        plain.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            while part := plain.recv(4096):
                told += part
        except ConnectionError:
            return told  # hung up without a goodbye
    return told


def test_a_page_for_other_machines_speaks_https_alone_with_the_certificate_of_init(page: Served) -> None:
    certificate = kept(page)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert OTHERS_HOST in [str(one) for one in names.get_values_for_type(x509.IPAddress)]
    assert shown(page) == certificate.public_bytes(Encoding.DER)
    with page.client() as client:  # it trusts that certificate alone, for this very address
        answer = client.post("/login", data={"account": ACCOUNT, "password": PASSWORD})
        assert answer.status_code == 303
        name, *rest = answer.headers["set-cookie"].split("; ")
        assert name.startswith(f"{COOKIE}=")
        assert {"Secure", "HttpOnly", "SameSite=strict"} <= set(rest)
        assert client.get("/", headers={"Accept": "text/html"}).status_code == 200
    assert not in_the_clear(page).startswith(b"HTTP")
    with pytest.raises(httpx.TransportError):
        httpx.get(page.url.replace("https", "http"))


def test_its_certificate_is_renewed_by_a_command_and_a_restart(page: Served) -> None:
    first = kept(page)
    said = latchkey_admin(page.settings, "web-certificate", "--host", "desk.office.lan")
    assert ("desk.office.lan" in said, "Restart the page" in said) == (True, True)
    second = kept(page)
    assert second.serial_number != first.serial_number
    assert shown(page) == first.public_bytes(Encoding.DER), "until the page is started again"
    page.stop()
    page.start()  # whoever asks whether it is there trusts the new one alone
    assert shown(page) == second.public_bytes(Encoding.DER)
