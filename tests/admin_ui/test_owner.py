"""Root at a site of somebody else: it is told the right command, and leaves nothing there that the page cannot read."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Final

import pytest

from admin_ui import cli, owner
from admin_ui.acts import HEAD_FILE, Witness
from admin_ui.erasure import ERASED_FILE, ErasedList
from admin_ui.founding import found
from admin_ui.keyring import Keyring
from firmware_config.errors import DiskFault
from firmware_config.keys import SecretKey

NOBODY: Final = 65534


def give_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """From now on we are root, and the folder is another user's -> whose."""
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return pwd.getpwuid(folder.stat().st_uid).pw_name


@pytest.fixture
def admin_toml(tmp_path: Path) -> Path:
    found(tmp_path / "admin.toml", "home", state=tmp_path / "state", password="long enough to keep")
    return tmp_path / "admin.toml"


@pytest.mark.parametrize(
    "words",
    [
        ["events", "prune", "--older-than", "90"],
        ["web-certificate"],
        ["people", "remove", "Ada Byron"],
        ["serve"],
        ["password", "admin"],
        ["door", "add", "front", "--broker", "mqtt://b"],
        ["init"],
    ],
)
def test_root_is_told_the_right_command_and_touches_nothing(
    admin_toml: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = admin_toml.parent / "state"
    before = {file: file.stat().st_mtime_ns for file in state.rglob("*")}
    user = give_away(state, monkeypatch)
    assert cli.main([*words, "--settings", str(admin_toml)]) == 1
    said = capsys.readouterr().err
    typed = " ".join(words).replace("Ada Byron", "'Ada Byron'")
    assert said == (
        f"This site belongs to {user}: runuser -u {user} -- latchkey-admin {typed} --settings {admin_toml}\n"
    )
    assert before == {file: file.stat().st_mtime_ns for file in state.rglob("*")}


def test_root_founds_no_site_in_the_folder_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state, toml = tmp_path / "state", tmp_path / "admin.toml"
    state.mkdir()
    user = give_away(state, monkeypatch)
    assert cli.main(["init", "--state", str(state), "--settings", str(toml)]) == 1
    assert f"runuser -u {user} -- latchkey-admin init" in capsys.readouterr().err
    assert not toml.exists()
    assert not list(state.iterdir())


def test_root_may_keep_a_site_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid)
    owner.refuse_root(tmp_path, ["people"])
    owner.refuse_root(tmp_path / "not yet there", ["init"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_restored_is_the_pages_own(admin_toml: Path, tmp_path: Path) -> None:
    state, file = tmp_path / "state", tmp_path / "backup.tar.gz"
    for path in (state, *state.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    assert cli.main(["backup", str(file), "--settings", str(admin_toml)]) == 0
    assert cli.main(["restore", str(file), "--settings", str(admin_toml)]) == 0
    assert (state / HEAD_FILE).exists()
    assert {path.stat().st_uid for path in (state, *state.rglob("*"))} == {NOBODY}


def test_a_file_that_may_not_be_read_is_no_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Keyring.make(tmp_path)
    (tmp_path / HEAD_FILE).write_text("{}", encoding="utf-8")
    (tmp_path / ERASED_FILE).write_text("", encoding="utf-8")
    me = os.geteuid()

    def refuse(path: Path, *_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    for read in (
        Witness(tmp_path, SecretKey(bytes(32))).last_seen,
        ErasedList(tmp_path)._read,
        lambda: Keyring(tmp_path),
    ):
        with pytest.raises(DiskFault, match=r"may not be read\. .* belongs to .*As root: chown -R ") as told:
            read()
        assert "evidence" not in str(told.value)
        assert "Restore" not in str(told.value)


def test_a_witness_on_a_disk_that_fails_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / HEAD_FILE).mkdir()
    with pytest.raises(DiskFault, match="cannot be read") as told:
        Witness(tmp_path, SecretKey(bytes(32))).last_seen()
    assert "evidence" not in str(told.value)
