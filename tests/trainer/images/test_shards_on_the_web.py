"""Shards on a web server with TLS: read as from this disk, and a sentence for whatever goes wrong on the way."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from admin_ui.authority import Authority, Role
from firmware_config.errors import BadInput, LostLink
from tests.brokers import free_port
from trainer.images.shards import find_shards, read_shards


class Shelf(BaseHTTPRequestHandler):
    """/NAME is a file of the folder; /cut/NAME breaks off in its middle; /short/NAME ends there as if it were whole."""

    folder: Path

    def do_GET(self) -> None:
        where, _, name = self.path.rpartition("/")
        file = self.folder / name
        if not file.is_file():
            self.send_error(404)
            return
        data = file.read_bytes()
        half = data[: len(data) // 2] if where else data
        self.send_response(200)
        self.send_header("Content-Length", str(len(half) if where == "/short" else len(data)))
        self.end_headers()
        self.wfile.write(half)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"), "store")


@pytest.fixture(scope="module")
def store(authority: Authority, shard_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web server that has the shards, with a certificate of an authority of its own."""
    folder = tmp_path_factory.mktemp("server")
    authority.issue(Role.BROKER, "store", ["localhost"]).save(folder / "crt", folder / "key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    handler = type("ShelfOfShards", (Shelf,), {"folder": shard_folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trusted(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("no_proxy", "localhost")


@pytest.mark.usefixtures("trusted")
def test_shards_come_from_a_web_server_as_from_a_file(store: str, shard_folder: Path) -> None:
    fetched = read_shards([f"{store}/faces-celeba-{{00..01}}.tar"])
    from_disk = read_shards(find_shards(shard_folder, "faces-celeba"))
    assert fetched.keys == from_disk.keys
    assert (fetched.pixels == from_disk.pixels).all()


@pytest.mark.usefixtures("trusted")
def test_who_wants_a_few_images_need_not_wait_for_the_rest(store: str) -> None:
    assert len(read_shards([f"{store}/faces-celeba-{{00..01}}.tar"], limit=3)) == 3


def test_a_server_with_an_unknown_authority_is_not_believed(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv("no_proxy", "localhost")
    with pytest.raises(LostLink, match=r"faces-celeba-00\.tar did not come: .* certificate .* CURL_CA_BUNDLE"):
        read_shards([f"{store}/faces-celeba-00.tar"])


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("path", "why"),
    [("nowhere.tar", "the server refuses it"), ("cut/faces-celeba-00.tar", "the connection was cut")],
)
def test_what_does_not_come_whole_is_said(store: str, path: str, why: str) -> None:
    with pytest.raises(LostLink, match=rf"The shard https://.*\.tar did not come: {why}"):
        read_shards([f"{store}/{path}"])


@pytest.mark.usefixtures("trusted")
def test_a_shard_that_lies_there_cut_short_is_refused(store: str) -> None:
    with pytest.raises(BadInput, match="is cut short"):
        read_shards([f"{store}/short/faces-celeba-00.tar"])


@pytest.mark.usefixtures("trusted")
def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(LostLink, match="nobody answers there"):
        read_shards([f"https://localhost:{free_port()}/faces-celeba-00.tar"])


def test_without_curl_the_user_is_told_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LostLink, match="install curl"):
        read_shards(["https://localhost/faces-celeba-00.tar"])
