"""`door add` cut off at any file that it writes: the same command again makes the door, and no half of it works."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import event as sql_event

from admin_ui.authority import Authority
from admin_ui.keyring import AUTHORITY_FOLDER, KEYS
from admin_ui.service import Office
from firmware_config import files
from firmware_config.errors import BadInput
from firmware_config.pairing import load_door, load_lock
from firmware_config.settings import BrokerSettings

BROKER = BrokerSettings(url="mqtts://broker.test")


class PowerCut(BaseException):
    """Caught by nobody."""


@contextmanager
def cut_at(write: int) -> Iterator[None]:
    """Power is cut in place of putting the file number `write`, from 0, in its place."""
    left = iter(range(write + 1))
    real = os.replace

    def replace(source: str, target: Path) -> None:
        if next(left, None) == write:
            raise PowerCut
        real(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.os, "replace", replace)
        yield


@pytest.fixture
def offices(make_office: Callable[..., Office]) -> tuple[Office, Office]:
    """The one whose power is cut, and the one after; the site has certificates."""
    before, after = make_office(), make_office()
    Authority.make(before.settings.state / KEYS / AUTHORITY_FOLDER, before.settings.site)
    return before, after


def keys_in(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*.key")}


def certificates_in(folder: Path) -> set[int]:
    found = [x509.load_pem_x509_certificate(path.read_bytes()) for path in folder.rglob("mqtt.crt")]
    return {certificate.serial_number for certificate in found}


def revoked(office: Office) -> set[int]:
    authority = Authority(office.settings.state / KEYS / AUTHORITY_FOLDER, office.settings.site)
    return {entry.serial_number for entry in x509.load_pem_x509_crl(authority.revoked)}


def made(folder: Path) -> None:
    """A whole pairing of door and lock that belong together."""
    door, lock = load_door(folder / "door"), load_lock(folder / "lock")
    assert door.topics == lock.topics
    assert door.lock_key.mac(b"x") == lock.lock_key.mac(b"x")
    assert len(certificates_in(folder)) == 2
    assert not list(folder.rglob(".*"))


def test_whichever_file_was_the_last_the_retry_makes_a_door_and_the_half_is_worthless(
    offices: tuple[Office, Office], tmp_path: Path
) -> None:
    before, after = offices
    for write in range(100):
        name, folder, copy = f"door-{write}", tmp_path / f"carry-{write}", tmp_path / f"copy-{write}"
        try:
            with cut_at(write):
                before.add_door(name, "test", folder, BROKER)
        except PowerCut:
            pass
        else:
            break
        if folder.exists():
            shutil.copytree(folder, copy)
        if name in {door.name for door in after.doors()}:
            with pytest.raises(BadInput, match=f"latchkey-admin door renew {name}"):
                after.add_door(name, "test", folder, BROKER)
            made(folder)
            continue
        after.add_door(name, "test", folder, BROKER)
        made(folder)
        assert not keys_in(folder) & keys_in(copy), "the keys of the half are no door's"
        assert certificates_in(copy) <= revoked(after)
        assert not certificates_in(folder) & revoked(after)
    assert 15 < write < 100, "each of the files was the last once"


def test_a_cut_before_the_store_knows_of_it_leaves_a_whole_folder_that_is_made_anew(
    offices: tuple[Office, Office], tmp_path: Path
) -> None:
    def cut(_: object) -> None:
        raise PowerCut

    before, after = offices
    sql_event.listen(before.store._writer, "commit", cut)
    with pytest.raises(PowerCut):
        before.add_door("front", "test", tmp_path / "carry", BROKER)
    made(tmp_path / "carry")
    old = keys_in(tmp_path / "carry")
    after.add_door("front", "test", tmp_path / "carry", BROKER)
    made(tmp_path / "carry")
    assert not old & keys_in(tmp_path / "carry")


def test_a_half_made_door_can_be_put_elsewhere_and_the_first_folder_opens_nothing(
    offices: tuple[Office, Office], tmp_path: Path
) -> None:
    before, after = offices
    with pytest.raises(PowerCut), cut_at(16):
        before.add_door("front", "test", tmp_path / "first", BROKER)
    after.add_door("front", "test", tmp_path / "second", BROKER)
    assert not keys_in(tmp_path / "first") & keys_in(tmp_path / "second")
    assert certificates_in(tmp_path / "first") <= revoked(after)


def test_a_cut_after_the_store_knows_of_it_is_told_with_the_way_on(
    offices: tuple[Office, Office], tmp_path: Path
) -> None:
    before, after = offices
    before.add_door("front", "test", tmp_path / "carry", BROKER)
    shutil.rmtree(tmp_path / "carry")
    keys = after._keyring.door("front").door
    with pytest.raises(BadInput, match="latchkey-admin door renew front"):
        after.add_door("front", "test", tmp_path / "carry", BROKER)
    folder = after.renew_door("front", "test", tmp_path / "carry", BROKER)
    assert load_door(folder / "door").door_key.mac(b"x") == keys.mac(b"x"), "the failed retry did not touch its keys"


def test_a_pairing_of_another_door_is_never_overwritten(offices: tuple[Office, Office], tmp_path: Path) -> None:
    before, after = offices
    before.add_door("back", "test", tmp_path / "carry", BROKER)
    held = keys_in(tmp_path / "carry")
    with pytest.raises(PowerCut), cut_at(16):
        before.add_door("front", "test", tmp_path / "first", BROKER)
    with pytest.raises(BadInput, match="holds a pairing already"):
        after.add_door("front", "test", tmp_path / "carry", BROKER)
    assert keys_in(tmp_path / "carry") == held


def test_a_revoking_that_was_cut_off_leaves_no_key_for_a_new_door_of_that_name(
    offices: tuple[Office, Office], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_: str) -> None:
        raise PowerCut

    before, after = offices
    before.add_door("front", "test", tmp_path / "old", BROKER)
    monkeypatch.setattr(before._keyring, "forget_door", cut)
    with pytest.raises(PowerCut):
        before.revoke_door("front", "test")
    after.add_door("front", "test", tmp_path / "new", BROKER)
    assert not keys_in(tmp_path / "old") & keys_in(tmp_path / "new")
