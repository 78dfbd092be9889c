"""The lock as a process of its own, played through its pipe: what it says, what it does alone, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_config.keys import SecretKey, SigningKey
from firmware_config.pairing import write_pairing
from firmware_config.settings import BrokerSettings
from tests.brokers import Mosquitto, free_port
from tests.doors import TOPICS, Page
from tests.waiting import until


class Lock:
    """`latchkey-device lock --simulate --control PIPE`."""

    def __init__(self, folder: Path, broker: BrokerSettings, *more: str) -> None:
        keys = SecretKey.generate(), SigningKey.generate().public, SecretKey.generate()
        write_pairing(folder / "pairing", TOPICS, broker, *keys)
        self.door_key = keys[2]
        self.pipe, self._log = folder / "control", folder / "lock.log"
        arguments = ["lock", "--simulate", "--pairing", str(folder / "pairing"), "--control", str(self.pipe), *more]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "device", *arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            )
        assert until(self.pipe.exists)

    def play(self, word: str) -> None:
        self.pipe.write_text(f"{word}\n", encoding="ascii")

    def said(self, line: str) -> int:
        return self._log.read_text(encoding="utf-8").count(line)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Lock]]:
    made: list[Lock] = []

    def begin(broker: BrokerSettings, *more: str) -> Lock:
        made.append(Lock(tmp_path, broker, *more))
        return made[-1]

    yield begin
    for lock in made:
        lock.process.kill()
        lock.process.wait(10)


NO_BROKER = BrokerSettings(url="mqtt://127.0.0.1:1")


def test_the_button_lets_out_with_no_broker_at_all(start: Callable[..., Lock]) -> None:
    lock = start(BrokerSettings(url=f"mqtt://127.0.0.1:{free_port()}"), "--exit-hold", "0.3")
    for times in (1, 2):
        lock.play("press")
        assert until(lambda times=times: lock.said("The lock opens.") == times)  # type: ignore[misc]
        assert until(lambda times=times: lock.said("The lock shuts.") == times)  # type: ignore[misc]


@pytest.mark.parametrize(("fail", "ends"), [("secure", "shut"), ("safe", "open")])
def test_told_to_stop_it_ends_in_its_fail_state(start: Callable[..., Lock], fail: str, ends: str) -> None:
    lock = start(NO_BROKER, "--fail", fail, "--exit-hold", "60")
    lock.play("press")
    assert until(lambda: lock.said("The lock opens.") == 1)
    lock.process.send_signal(signal.SIGTERM)
    assert lock.process.wait(10) == 0
    assert lock.said(f"The lock is without current: {ends}.") == 1


def test_killed_while_open_it_is_shut_by_the_next_start(start: Callable[..., Lock]) -> None:
    lock = start(NO_BROKER, "--fail", "safe", "--exit-hold", "60")
    lock.play("press")
    assert until(lambda: lock.said("The lock opens.") == 1)
    lock.process.kill()
    lock.process.wait(10)
    before = lock.said("The lock shuts.")
    start(NO_BROKER, "--fail", "safe")
    assert until(lambda: lock.said("The lock shuts.") == before + 1)


@pytest.mark.broker
def test_what_is_played_is_what_the_broker_hears(tmp_path: Path, start: Callable[..., Lock]) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        lock = start(broker.settings, "--exit-hold", "0.3")
        page = Page(broker.settings, lock.door_key)
        assert until(lambda: page.payloads("lock/contact") == [b"CLOSED"])
        assert until(lambda: page.payloads("lock/state") == [b"LOCKED"])
        lock.play("press")
        assert until(lambda: page.payloads("lock/exit") == [b"PRESSED"])
        lock.play("open")
        assert until(lambda: page.payloads("lock/contact")[-1] == b"OPEN")
        assert until(lambda: lock.said("The lock shuts.") == 1)
        assert page.payloads("lock/state")[-1] == b"UNLOCKED", "the bolt is back, the leaf is not"
        lock.play("close")
        assert until(lambda: page.payloads("lock/state")[-1] == b"LOCKED")
        lock.play("jam\npress")
        assert until(lambda: page.payloads("lock/state")[-1] == b"JAMMED")
        lock.play("free\npress")
        assert until(lambda: page.payloads("lock/state")[-2:] == [b"UNLOCKED", b"LOCKED"])
        retained = [message.topic for message in page.heard if message.retained]
        assert TOPICS["lock/exit"] not in retained
        late = Page(broker.settings, lock.door_key)
        assert until(lambda: late.payloads("lock/contact") == [b"CLOSED"])
        assert late.payloads("lock/exit") == []
        late.connection.stop()
        page.connection.stop()


def test_a_pipe_that_is_a_file_is_said(start: Callable[..., Lock], tmp_path: Path) -> None:
    (tmp_path / "control").write_text("", encoding="ascii")
    lock = start(NO_BROKER)
    assert lock.process.wait(20) == 1
    assert lock.said("is no named pipe") == 1
