"""Keys that the page shares with its doors, where more than one process makes and destroys them."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin_ui.keyring import Keyring
from firmware_config.errors import BadState


def test_a_door_that_another_process_made_anew_has_its_new_keys_here_too(tmp_path: Path) -> None:
    page, command = Keyring.make(tmp_path), Keyring.make(tmp_path)
    command.make_door("cellar")
    before = page.door("cellar")
    command.forget_door("cellar")
    command.make_door("cellar")
    sealed = command.door("cellar").door.seal("a topic", b"for the new one")
    assert page.door("cellar").door.open("a topic", sealed) == b"for the new one"
    assert page.door("cellar").lock.mac(b"text") != before.lock.mac(b"text")


def test_keys_are_read_once(tmp_path: Path) -> None:
    keyring = Keyring.make(tmp_path)
    assert keyring.make_door("cellar") is keyring.door("cellar")


def test_a_door_that_another_process_revoked_has_none(tmp_path: Path) -> None:
    page, command = Keyring.make(tmp_path), Keyring.make(tmp_path)
    command.make_door("cellar")
    page.door("cellar")
    command.forget_door("cellar")
    with pytest.raises(BadState, match="revoked"):
        page.door("cellar")
