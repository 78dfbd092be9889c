"""What latchkey-admin says when something is not as it should be: one sentence with the name, no traceback."""

from __future__ import annotations

import getpass
import os
import socket
import stat
from pathlib import Path

import pytest

from admin_ui import cli
from admin_ui.commands import shared
from admin_ui.founding import found
from admin_ui.port import check_port
from firmware_config.settings import PageSettings
from tests.brokers import free_port


@pytest.fixture
def admin_toml(tmp_path: Path) -> Path:
    found(tmp_path / "admin.toml", "home", state=tmp_path / "state", password="long enough to keep")
    return tmp_path / "admin.toml"


def test_a_file_that_is_not_there_is_named(admin_toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = admin_toml.with_name("nowhere.jpg")
    assert cli.main(["enrol", "Ada", str(nowhere), "--settings", str(admin_toml)]) == 1
    assert capsys.readouterr().err == f"{nowhere}: No such file or directory.\n"


def test_a_file_that_may_not_be_read_is_named_with_its_owner(
    admin_toml: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, *_: object) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    photo = admin_toml.with_name("ada.jpg")
    photo.touch()
    assert cli.main(["model", "ship", str(photo)]) == 1
    assert capsys.readouterr().err.startswith(f"{photo}: Permission denied. {photo} belongs to ")


@pytest.mark.parametrize("words", [["door", "list"], ["serve"], ["people"], ["password", "admin"], ["backup", "-"]])
def test_before_init_it_says_to_run_init(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.toml"
    assert cli.main([*words, "--settings", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{path} has 1 problem(s):\n  The file is not there. Run `latchkey-admin init` first")


@pytest.mark.parametrize("action", ["add", "renew"])
def test_a_brokers_address_that_is_none_is_refused_as_at_init(
    admin_toml: Path, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["door", action, "back", "--broker", "ftp://x", "--settings", str(admin_toml)]) == 2
    assert capsys.readouterr().err == (
        "--broker has 1 problem(s):\n  url: write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS (found 'ftp://x').\n"
    )


def test_what_init_refuses_it_does_not_blame_on_a_file_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "admin.toml"
    assert cli.main(["init", "--settings", str(path), "--broker", "ftp://x"]) == 2
    assert capsys.readouterr().err == (
        "What `init` is asked to write has 1 problem(s):\n"
        "  broker.url: write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS (found 'ftp://x').\n"
    )
    assert not path.exists()


def test_a_password_that_nobody_types_is_asked_for_in_a_file(
    admin_toml: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", ended)
    assert shared.getpass is getpass
    assert cli.main(["password", "admin", "--settings", str(admin_toml)]) == 1
    assert capsys.readouterr().err == "No password was typed. Name a file that has it with --password-file.\n"


def test_a_taken_port_is_said_before_anything_is_loaded(admin_toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with admin_toml.open("a", encoding="utf-8") as file:
            file.write(f"[page]\nport = {port}\n")
        assert cli.main(["serve", "--settings", str(admin_toml)]) == 1
    assert capsys.readouterr().err == (
        f"Port {port} is taken: end what has it, or set `port` under [page] in admin.toml.\n"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "no.such.host.invalid"])
def test_a_free_port_and_what_uvicorn_refuses_itself_pass(host: str) -> None:
    check_port(PageSettings(host=host, port=free_port()))


def test_a_brokers_folder_for_its_group_is_ready(admin_toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = admin_toml.with_name("mosquitto")
    folder.mkdir()
    folder.chmod(0o2750)
    command = ["broker", "write", str(folder), "--settings", str(admin_toml), "--host"]
    assert cli.main([*command, "broker.example"]) == 0
    assert capsys.readouterr().err == ""
    assert stat.S_IMODE((folder / "server.key").stat().st_mode) == 0o640


def test_a_brokers_folder_that_mosquitto_cannot_read_is_warned_of(
    admin_toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = admin_toml.with_name("mosquitto")
    command = ["broker", "write", str(folder), "--settings", str(admin_toml), "--host"]
    assert cli.main([*command, "broker.example"]) == 0
    assert f"-g mosquitto -m 2750 {folder}`" in capsys.readouterr().err


def test_a_broker_by_a_name_that_is_none_is_refused(admin_toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = admin_toml.with_name("mosquitto")
    command = ["broker", "write", str(folder), "--settings", str(admin_toml), "--host"]
    assert cli.main([*command, "bro ker"]) == 1
    assert capsys.readouterr().err == "'bro ker' is no host name and no address. Nothing was changed.\n"
    assert not folder.exists()
