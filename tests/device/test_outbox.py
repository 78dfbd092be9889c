"""Events on their way: kept over power cuts, delivered until acknowledged, never made twice."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from device.audit import Audit, read
from device.outbox import SCHEMA, Outbox, Pending, outbox_key
from firmware_config.errors import BadState
from firmware_config.keys import SecretKey

DOOR_KEY = SecretKey(bytes(range(32)))
KEY = outbox_key(DOOR_KEY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the outbox lies."""
    return tmp_path / "outbox.db"


def ids(outbox: Outbox) -> list[str]:
    return [pending.event_id for pending in outbox.pending()]


def event_of(record: dict[str, Any]) -> Pending | None:
    return Pending(record["event"], record["event"].encode()) if "event" in record else None


def test_events_wait_in_order_until_they_are_acknowledged(path: Path) -> None:
    with Outbox(path, KEY) as outbox:
        for number in range(5):
            assert outbox.add(f"e{number}", f"payload {number}".encode())
        assert outbox.pending(2) == [Pending("e0", b"payload 0"), Pending("e1", b"payload 1")]
        assert outbox.drop(["e0", "e3", "never seen"]) == 2
    with Outbox(path, KEY) as outbox:
        assert ids(outbox) == ["e1", "e2", "e4"]
        assert len(outbox) == 3


def test_an_event_is_taken_once(path: Path) -> None:
    with Outbox(path, KEY) as outbox:
        assert outbox.add("e1", b"first", 1)
        assert not outbox.add("e1", b"second", 1)
        assert outbox.pending() == [Pending("e1", b"first")]
        outbox.drop(["e1"])
        assert not outbox.add("e1", b"third", 1)
        assert ids(outbox) == []


def test_a_power_cut_between_audit_and_outbox_loses_nothing_and_doubles_nothing(tmp_path: Path, path: Path) -> None:
    log = tmp_path / "audit"
    with Audit(log, KEY) as audit, Outbox(path, KEY) as outbox:
        for number in range(1, 4):
            record = audit.append("denied", {"event": f"e{number}"})
            outbox.add(f"e{number}", b"sent once", record["seq"])
        outbox.drop(["e1", "e2"])
        audit.append("denied", {"event": "e4"})
        audit.append("started", {})
        audit.append("denied", {"event": "e6"})
    for added in (2, 0):
        with Audit(log, KEY) as audit, Outbox(path, KEY) as outbox:
            assert outbox.reconcile(read(log, KEY, after=outbox.taken), audit.head.count, event_of) == added
            assert outbox.pending() == [Pending("e3", b"sent once"), Pending("e4", b"e4"), Pending("e6", b"e6")]


def test_an_audit_that_was_cut_short_is_told(tmp_path: Path, path: Path) -> None:
    log = tmp_path / "audit"
    with Audit(log, KEY) as audit, Outbox(path, KEY) as outbox:
        for number in range(1, 4):
            record = audit.append("granted", {"event": f"e{number}"})
            outbox.add(f"e{number}", b"", record["seq"])
    for file in log.iterdir():
        file.unlink()
    with Audit(log, KEY) as audit, Outbox(path, KEY) as outbox, pytest.raises(BadState, match="cut off"):
        outbox.reconcile(read(log, KEY, after=outbox.taken), audit.head.count, event_of)


def test_what_was_added_is_there_after_a_kill(path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from device.outbox import Outbox; "
        "from firmware_config.keys import SecretKey\n"
        "outbox = Outbox(Path(sys.argv[1]), SecretKey(bytes.fromhex(sys.argv[2])))\n"
        "[outbox.add(f'e{n}', b'x', n) for n in range(1, 21)]\n"
        "outbox.drop(['e1']); os.kill(os.getpid(), 9)\n"
    )
    secret = bytes(range(32))
    done = subprocess.run([sys.executable, "-c", program, str(path), secret.hex()], check=False)
    assert done.returncode == -9
    with Outbox(path, SecretKey(secret)) as outbox:
        assert ids(outbox) == [f"e{number}" for number in range(2, 21)]
        assert outbox.taken == 20


def test_it_really_is_durable(path: Path) -> None:
    with Outbox(path, KEY) as outbox:
        assert outbox._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert outbox._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_told_and_not_emptied(path: Path) -> None:
    path.write_bytes(b"this is no database, but long enough to be looked at" * 30)
    before = path.read_bytes()
    with pytest.raises(BadState, match="cannot be used"):
        Outbox(path, KEY)
    assert path.read_bytes() == before


def test_a_page_of_the_file_overwritten_is_told(path: Path) -> None:
    with Outbox(path, KEY) as outbox:
        for number in range(200):
            outbox.add(f"e{number}", b"x" * 500)
    database = sqlite3.connect(path)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    data = bytearray(path.read_bytes())
    data[8192:16384] = b"\xff" * 8192
    path.write_bytes(data)
    with pytest.raises(BadState, match="cannot be used"):
        Outbox(path, KEY)


def test_two_threads_may_use_it(path: Path) -> None:
    with Outbox(path, KEY) as outbox:

        def work(name: str) -> None:
            for number in range(30):
                outbox.add(f"{name}{number}", b"")

        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(outbox) == 60


def every_byte(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_what_waits_is_readable_with_the_doors_key_only(path: Path) -> None:
    with Outbox(path, KEY) as outbox:
        outbox.add("e1", b'{"outcome":"granted"}', 1)
        outbox.add("e2", b'{"outcome":"denied"}', 2)
        outbox.drop(["e1"])
        assert b"outcome" not in every_byte(path)
    assert b"outcome" not in every_byte(path)
    with Outbox(path, outbox_key(SecretKey.generate())) as outbox, pytest.raises(BadState, match="cannot be used"):
        outbox.pending()
    with Outbox(path, outbox_key(DOOR_KEY)) as outbox:
        assert outbox.pending() == [Pending("e2", b'{"outcome":"denied"}')]


def test_a_payload_put_in_another_events_place_is_told(path: Path) -> None:
    with Outbox(path, KEY) as outbox:
        outbox.add("e1", b"first", 1)
        outbox.add("e2", b"second", 2)
    database = sqlite3.connect(path)
    database.execute("UPDATE outbox SET payload = (SELECT payload FROM outbox WHERE event_id = 'e1')")
    database.commit()
    database.close()
    with Outbox(path, KEY) as outbox, pytest.raises(BadState):
        outbox.pending()


def test_what_version_0_1_left_in_plain_is_sealed_and_still_goes_out(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript(SCHEMA)
    for number in range(50):
        row = (f"e{number}", f'{{"outcome":"granted","number":{number}}}'.encode() * 20)
        database.execute("INSERT INTO outbox (event_id, payload) VALUES (?, ?)", row)
    database.execute("DELETE FROM outbox WHERE position % 2 = 0")
    database.execute("UPDATE taken SET seq = 50")
    database.commit()
    database.close()
    assert b"outcome" in every_byte(path)
    for _ in range(2):
        with Outbox(path, KEY) as outbox:
            assert ids(outbox) == [f"e{number}" for number in range(0, 50, 2)]
            assert outbox.pending(1)[0].payload.startswith(b'{"outcome":"granted","number":0}')
            assert outbox.taken == 50
            assert b"outcome" not in every_byte(path)
