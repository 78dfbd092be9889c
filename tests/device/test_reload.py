"""Settings that are read again while the door runs: what it takes of them, and what it says that it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.audit import read
from device.ledger import audit_key
from device.shelf import AUDIT_FOLDER
from firmware_config.settings import BrokerSettings
from tests.doors import Door
from tests.waiting import until

Reload = Callable[[str], str]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """Its broker is down, which is nothing to this."""
    made = Door(tmp_path, BrokerSettings(url="mqtt://127.0.0.1:1"))
    yield made
    made.stop()


@pytest.fixture
def reload(door: Door, caplog: pytest.LogCaptureFixture) -> Reload:
    """door.toml with this in it is read -> the log of that."""
    daemon, settings = door.start(), door.folder / "door.toml"
    daemon._settings_path = settings
    folder = door.settings.state / AUDIT_FOLDER

    def times_read() -> int:
        records = read(folder, audit_key(door.door_key)) if folder.exists() else []
        return sum(record["kind"] == "settings_read" for record in records)

    def again(more: str) -> str:
        paths = {"pairing": door.settings.pairing, "state": door.settings.state, "models": door.bundle}
        top = "".join(f'{key} = "{path}"\n' for key, path in paths.items())
        settings.write_text(f'{top}[camera]\nsource = "0"\n{more}', encoding="utf-8")
        caplog.clear()
        before = times_read()
        daemon.reload.set()
        assert until(lambda: times_read() == before + 1)
        door.stop()  # the turn in which they were read is over then
        return caplog.text

    return again


def test_what_a_door_takes_at_once_needs_no_word(reload: Reload) -> None:
    assert "next start" not in reload("[runtime]\ndetect_size = 256\nidle_fps = 2.0\n")


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ('[runtime]\nproviders = ["xnnpack", "cpu"]\n', "runtime.providers takes effect at the next start"),
        ("[runtime]\ncpus = [0]\n", "runtime.cpus takes effect at the next start"),
        ("[runtime]\nthreads = 2\n", "the encoder has as many threads as before until the next start"),
        ("[audit]\nkeep_days = 30\n", "the rest takes effect at the next start"),
    ],
)
def test_what_a_door_takes_at_its_next_start_is_said(reload: Reload, more: str, word: str) -> None:
    said = reload(more)
    assert word in said
    assert said.count("next start") == 1
