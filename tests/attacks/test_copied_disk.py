"""A copied SD card: what the door keeps, byte by byte, shows nobody's name, id or template to who has no key."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.audit import read
from device.ledger import audit_key
from device.shelf import AUDIT_FOLDER, ROSTER
from firmware_config.roster import open_roster
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.staging import face_of
from tests.waiting import until

pytestmark = pytest.mark.broker

ANNABEL, BARTHOLOMEW = "annabel featherstonehaugh", "bartholomew quäntz"
"""Long and rare, so that no random bytes look like them."""

WINDOW = 12
"""Bytes of a secret that are looked for: as few do not come up by chance in a megabyte, and divide by three."""


def traces(secret: bytes) -> set[bytes]:
    """Every stretch of a secret, as it is, in hex, and in base64 at each of its three alignments."""
    found = set()
    for start in range(len(secret) - WINDOW + 1):
        piece = secret[start : start + WINDOW]
        found |= {piece, piece.hex().encode(), piece.hex().upper().encode(), base64.b64encode(piece)}
        found.add(base64.urlsafe_b64encode(piece))
    return found


def traces_of(name: str) -> set[bytes]:
    """A person's display name, parts of it, their id, and their template, however they may be written down."""
    texts = {name.title(), f"id-{name}", *(part for part in name.title().split() if len(part) >= WINDOW)}
    found = traces(face_of(name).tobytes())
    for text in texts:
        escaped = json.dumps(text).strip('"')
        for written in (text, text.lower(), text.upper(), escaped):
            for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le"):
                found |= traces(written.encode(encoding))
    return found


def shown(folder: Path, secrets: set[bytes]) -> list[str]:
    """Files under `folder` in which one of the secrets stands; their names count too."""
    held: dict[str, bytes] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            held[str(path.relative_to(folder))] = str(path).encode() + path.read_bytes()
    return [name for name, data in held.items() if any(secret in data for secret in secrets)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto) -> Iterator[Door]:
    made = Door(tmp_path, broker.settings)
    yield made
    made.stop()


@pytest.fixture
def page(door: Door, broker: Mosquitto) -> Iterator[Page]:
    made = Page(broker.settings, door.door_key)
    yield made
    made.connection.stop()


def send_roster(page: Page, sealed: bytes, generation: int) -> None:
    assert page.connection.publish(TOPICS["roster"], sealed, retain=True)
    assert until(lambda: page.applied is not None and page.applied.generation == generation)


def come(door: Door, page: Page, who: str, verdict: tuple[str, str]) -> None:
    before = len(page.happened())
    door.camera.showing = who
    assert until(lambda: verdict in page.happened()[before:])
    door.camera.showing = ""
    time.sleep(1.2)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    secrets = traces_of(ANNABEL)
    template = face_of(ANNABEL).tobytes()
    plain = {
        "name": b"..." + ANNABEL.title().encode() + b"...",
        "utf16": ANNABEL.title().encode("utf-16-le"),
        "base64": base64.b64encode(b"x" + f"id-{ANNABEL}".encode()),
        "template": template[40:80],
        "template-base64": base64.b64encode(b"yy" + template),
        "hex": template.hex().encode(),
    }
    for name, data in plain.items():
        (tmp_path / name).write_bytes(b"\0" * 100 + data + b"\0" * 100)
    (tmp_path / "json").write_text(json.dumps({"id": BARTHOLOMEW.title()}), encoding="ascii")
    assert sorted(shown(tmp_path, secrets)) == sorted(plain)
    assert shown(tmp_path, traces_of(BARTHOLOMEW)) == ["json"]


def test_no_byte_of_the_state_folder_names_anybody(
    door: Door, page: Page, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secrets = traces_of(ANNABEL) | traces_of(BARTHOLOMEW)
    state = door.settings.state
    door.start_lock()
    daemon = door.start()
    send_roster(page, door.roster(1, ANNABEL, BARTHOLOMEW), 1)
    assert until(lambda: daemon._link.lock.alive)
    come(door, page, ANNABEL, ("granted", "granted"))
    come(door, page, "somebody else", ("denied", "unknown_face"))
    come(door, page, f"{BARTHOLOMEW}@1.04", ("denied", "unknown_face"))
    come(door, page, BARTHOLOMEW, ("granted", "granted"))
    assert page.ask_unlock(by=ANNABEL.title()).ok
    assert page.connection.publish(TOPICS["roster"], door.roster(1, ANNABEL), retain=True)
    assert until(lambda: ("notice", "roster_refused") in page.happened())
    assert shown(state, secrets) == [], "while it runs: the outbox's write-ahead log lies there too"
    assert (state / "outbox.db-wal").exists()
    page.acknowledge_all()
    journal = daemon._journal
    assert until(lambda: journal.unsent == 0)
    door.stop()
    assert door.codes == [0]
    assert shown(state, secrets) == []
    assert not any(secret in caplog.text.encode() for secret in secrets), "nor does the system's log"
    kinds = [record["kind"] for record in read(state / AUDIT_FOLDER, audit_key(door.door_key))]
    assert kinds[0] == "started"
    assert kinds[-1] == "stopped"
    assert "roster_taken" in kinds
    assert kinds.count("event") == 6


def test_an_erased_person_is_gone_from_the_disk_even_for_who_has_the_key(door: Door, page: Page) -> None:
    state, secrets = door.settings.state, traces_of(ANNABEL)
    door.start_lock()
    daemon = door.start()
    send_roster(page, door.roster(1, ANNABEL, BARTHOLOMEW), 1)
    assert until(lambda: daemon._link.lock.alive)
    come(door, page, ANNABEL, ("granted", "granted"))
    send_roster(page, door.roster(2, BARTHOLOMEW), 2)
    page.acknowledge_all()
    journal = daemon._journal
    assert until(lambda: journal.unsent == 0)
    files = {path.name for path in state.iterdir()}
    assert files <= {
        "audit", "guard.json", "marks.json", "model.latchkey", "outbox.db", "outbox.db-shm",
        "outbox.db-wal", ROSTER,
    }  # fmt: skip
    door.stop()
    assert shown(state, secrets) == []

    roster = open_roster((state / ROSTER).read_bytes(), TOPICS, door.site.public, door.door_key)
    assert [person.name for person in roster.people] == [BARTHOLOMEW.title()]
    records = list(read(state / AUDIT_FOLDER, audit_key(door.door_key)))
    assert ANNABEL.title() not in json.dumps(records, ensure_ascii=False)
    receipt = [record for record in records if record["kind"] == "roster_taken"][-1]
    assert (receipt["generation"], receipt["people"], receipt["joined"], receipt["left"]) == (2, 1, 0, 1)
    assert f"id-{ANNABEL}" not in json.dumps(receipt)
