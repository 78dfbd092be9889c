"""What `check` says about key and audit: sentences for whoever looks after the door."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from device.audit import Audit
from device.check_kept import look_at_audit, look_at_key, look_at_roster, look_at_state
from device.ledger import audit_key
from device.segments import segments
from device.shelf import AUDIT_FOLDER, ROSTER
from firmware_config.errors import BadState
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics
from firmware_config.pairing import DOOR_KEY, DoorPairing, load_door, write_pairing
from firmware_config.roster import Roster, seal_roster
from firmware_config.settings import BrokerSettings, CameraSettings, DoorSettings
from tests.makers import POLICY, encoder_id, person


@pytest.fixture
def settings(tmp_path: Path) -> DoorSettings:
    site, broker = SigningKey.generate().public, BrokerSettings(url="mqtt://127.0.0.1")
    door_key, lock_key = SecretKey.generate(), SecretKey.generate()
    write_pairing(tmp_path / "pairing", Topics("home", "front"), broker, lock_key, site, door_key)
    return DoorSettings(pairing=tmp_path / "pairing", state=tmp_path / "state", camera=CameraSettings(source="0"))


@pytest.fixture
def pairing(settings: DoorSettings) -> DoorPairing:
    return load_door(settings.pairing)


def test_a_key_beside_what_it_opens_is_said_and_one_that_all_may_read_is_a_problem(settings: DoorSettings) -> None:
    found = look_at_key(settings)
    assert found.ok
    assert "a copy of this disk has both" in found.sentence
    assert "TPM" in found.advice
    (settings.pairing / DOOR_KEY).chmod(0o644)
    found = look_at_key(settings)
    assert not found.ok
    assert found.advice.startswith("chmod 600")


def test_a_key_from_systemd_is_well(settings: DoorSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    shutil.move(settings.pairing / DOOR_KEY, credentials / DOOR_KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    found = look_at_key(settings)
    assert (found.ok, found.advice) == (True, "")
    assert "systemd" in found.sentence


def test_the_audit_is_looked_at_without_touching_it(settings: DoorSettings, pairing: DoorPairing) -> None:
    folder = settings.state / AUDIT_FOLDER
    assert look_at_audit(settings, pairing).sentence == "Nothing is recorded yet."
    with Audit(folder, audit_key(pairing.door_key)) as audit:
        for _ in range(5):
            audit.append("started", {})
        before = {path: path.read_bytes() for path in folder.iterdir()}
        found = look_at_audit(settings, pairing)
    assert found.ok
    assert found.sentence.startswith("5 records")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    last = segments(folder)[-1]
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:4]))
    with pytest.raises(BadState, match="tail was cut off"):
        look_at_audit(settings, pairing)


def test_a_plain_audit_of_version_0_1_is_pointed_at(settings: DoorSettings, pairing: DoorPairing) -> None:
    settings.state.mkdir()
    (settings.state / "audit.log").write_text("{}\n", encoding="utf-8")
    found = look_at_audit(settings, pairing)
    assert not found.ok
    assert "Start the daemon" in found.advice


def test_a_state_folder_that_is_not_there_says_who_makes_it(settings: DoorSettings) -> None:
    assert not look_at_state(settings).ok
    settings.state.mkdir()
    assert look_at_state(settings).ok


def test_a_list_without_people_lets_nobody_in_and_that_is_said(settings: DoorSettings) -> None:
    site = SigningKey.generate()
    pairing = replace(load_door(settings.pairing), site_key=site.public)
    topics, mia = pairing.topics, person("mia", 1)
    for people, said in (([], "Generation 1, 0 people. Nobody is let in"), ([mia], "Generation 1, 1 people.")):
        roster = Roster(
            site=topics.site, door=topics.door, generation=1, encoder_id=encoder_id(), policy=POLICY, people=people
        )
        settings.state.mkdir(exist_ok=True)
        (settings.state / ROSTER).write_bytes(seal_roster(roster, site, pairing.door_key))
        found = look_at_roster(settings, pairing)
        assert found.ok
        assert found.sentence.startswith(said)
        assert ("Nobody" in found.sentence) == (not people)
