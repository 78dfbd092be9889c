"""The pairing folder: what is written on the page's machine is read at the door."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_config.errors import BadState
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics
from firmware_config.pairing import load_door, load_lock, write_pairing
from firmware_config.schema import SettingsRefused
from firmware_config.settings import BrokerSettings

TOPICS = Topics("office", "front")


@pytest.fixture
def keys() -> tuple[SecretKey, SigningKey, SecretKey]:
    return SecretKey.generate(), SigningKey.generate(), SecretKey.generate()


@pytest.fixture
def folder(tmp_path: Path, keys: tuple[SecretKey, SigningKey, SecretKey]) -> Path:
    """A door's pairing, with TLS and a password."""
    (tmp_path / "password").write_text("hunter2\n")
    (tmp_path / "ca").write_text("certificate")
    broker = BrokerSettings(
        url="mqtts://broker.example:8883",
        username='front "door" \\ é\x7f',
        password_file=tmp_path / "password",
        ca_file=tmp_path / "ca",
        keepalive_s=9,
    )
    lock_key, site_key, door_key = keys
    made = tmp_path / "pairing"
    write_pairing(made, TOPICS, broker, lock_key, site_key.public, door_key)
    return made


def test_what_is_written_is_read(folder: Path, keys: tuple[SecretKey, SigningKey, SecretKey]) -> None:
    pairing = load_door(folder)
    assert pairing.topics == TOPICS
    assert pairing.broker.url == "mqtts://broker.example:8883"
    assert pairing.broker.username == 'front "door" \\ é\x7f'
    assert pairing.broker.keepalive_s == 9
    assert pairing.broker.password_file is not None
    assert pairing.broker.password_file.read_text() == "hunter2\n"
    assert pairing.broker.ca_file == folder / "ca.crt"
    assert pairing.lock_key.mac(b"x") == keys[0].mac(b"x")
    assert pairing.site_key.raw == keys[1].public.raw
    assert pairing.door_key.mac(b"x") == keys[2].mac(b"x")


def test_secrets_are_private_and_not_in_the_toml(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("lock.key", "door.key", "mqtt.password"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    text = (folder / "pairing.toml").read_text()
    assert "hunter2" not in text
    assert (folder / "door.key").read_text().strip() not in text


def test_a_lock_gets_no_more_than_it_needs(tmp_path: Path, keys: tuple[SecretKey, SigningKey, SecretKey]) -> None:
    write_pairing(tmp_path / "lock", TOPICS, BrokerSettings(), keys[0])
    assert sorted(path.name for path in (tmp_path / "lock").iterdir()) == ["lock.key", "pairing.toml"]
    assert load_lock(tmp_path / "lock").topics == TOPICS
    with pytest.raises(BadState, match=r"site\.pub"):
        load_door(tmp_path / "lock")


def test_systemds_credentials_come_first(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    other = SecretKey.generate()
    other.save(credentials / "door.key")
    (credentials / "mqtt.password").write_text("better")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    pairing = load_door(folder)
    assert pairing.door_key.mac(b"x") == other.mac(b"x")
    assert pairing.broker.password_file == credentials / "mqtt.password"
    assert pairing.broker.ca_file == folder / "ca.crt"


def test_a_door_that_is_not_paired_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadState, match="latchkey-admin door add"):
        load_door(tmp_path)


def test_a_pairing_with_errors_tells_them_all(folder: Path) -> None:
    (folder / "pairing.toml").write_text('site = "Office!"\n[broker]\nurll = "x"\n')
    with pytest.raises(SettingsRefused) as caught:
        load_door(folder)
    assert len(caught.value.problems) == 3


def test_a_missing_key_is_told(folder: Path) -> None:
    (folder / "lock.key").unlink()
    with pytest.raises(BadState, match=r"lock\.key.*Pair this door again"):
        load_lock(folder)
