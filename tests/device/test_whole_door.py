"""The whole door as it is installed: real processes, a real broker, real faces found by the real detector."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.detect import Detector
from device.embed import Encoder
from firmware_config.face import ImageArray
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.pairing import write_pairing
from firmware_config.roster import Policy, Roster, seal_roster
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Page
from tests.pixels import bundle_of, enrolled, pixel_encoder
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow]

SETTINGS = """
pairing = "pairing"
state = "state"
models = "pixels.latchkey"
[camera]
source = "demo:?owners={owners}&strangers={strangers}&photos=1&gap=1.3&seed=3"
"""


class Processes:
    """latchkey-device as processes of their own, stopped at the end whatever happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{arguments[0]}.log").open("ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", "device", *arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            )
        self._all.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def stop(self) -> None:
        for process in self._all:
            process.kill()
            process.wait(10)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.stop()


def write_settings(folder: Path, owners: str, strangers: str) -> None:
    (folder / "door.toml").write_text(SETTINGS.format(owners=owners, strangers=strangers), encoding="utf-8")


def test_owners_walk_in_and_strangers_do_not(
    tmp_path: Path,
    broker: Mosquitto,
    processes: Processes,
    att: dict[int, list[ImageArray]],
    detector: Detector,
) -> None:
    site, door_key, lock_key = SigningKey.generate(), SecretKey.generate(), SecretKey.generate()
    write_pairing(tmp_path / "pairing", TOPICS, broker.settings, lock_key, site.public, door_key)
    model = pixel_encoder()
    (tmp_path / "pixels.latchkey").write_bytes(bundle_of(model, site))
    encoder = Encoder(model)
    roster = Roster(
        site=TOPICS.site,
        door=TOPICS.door,
        generation=1,
        encoder_id=encoder.encoder_id,
        policy=Policy(tau=0.65, tau_strict=0.4, hold_ms=500),
        people=[enrolled(person, att, encoder, detector) for person in (31, 32)],
    )
    write_settings(tmp_path, "31,32", "5,6")
    page = Page(broker.settings, door_key)
    assert page.connection.publish(TOPICS["roster"], seal_roster(roster, site, door_key), retain=True)
    lock = processes.start("lock", "--simulate", "--pairing", str(tmp_path / "pairing"))
    door = processes.start("run", "--settings", str(tmp_path / "door.toml"))
    # Four walk-ups of 4.4 s, and the first may have begun before the lock was heard.
    assert until(lambda: len(page.happened()) >= 5, timeout_s=60), processes.log("run")
    # Odd walk-ups are owners, even ones strangers; the scene's number is only in the sealed detail.
    once = {event.id: event for event in page.events()}
    verdicts = [(int(page.detail(event).scene) % 2 == 1, event.outcome) for event in once.values()]
    assert {outcome for owner, outcome in verdicts if not owner} == {"denied"}
    assert (True, "granted") in verdicts
    granted = [outcome for _, outcome in verdicts].count("granted")
    assert until(lambda: processes.log("lock").count("The lock opens.") >= granted)
    assert [result.accepted for result in page.lock_results()].count(False) == 0

    # SIGHUP: another camera, no restart.
    write_settings(tmp_path, "31", "")
    before = len(page.happened())
    door.send_signal(signal.SIGHUP)
    assert until(lambda: page.happened()[before:].count(("granted", "granted")) >= 2, timeout_s=30)
    (tmp_path / "door.toml").write_text("nonsense = 1\n", encoding="utf-8")
    door.send_signal(signal.SIGHUP)
    assert until(lambda: "nonsense: there is no such setting" in processes.log("run"))
    assert door.poll() is None

    for process in (door, lock):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert until(lambda: page.payloads("availability")[-1:] == [b"offline"])
    page.connection.stop()
