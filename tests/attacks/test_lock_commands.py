"""Attacks on the lock: whoever can read and write the broker, but has not the lock's key, opens nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.actuator import LockActuator
from device.relay import SimulatedRelay
from firmware_config.broker import Connection, Incoming
from firmware_config.keys import SecretKey
from firmware_config.lockrule import sign_command
from firmware_config.messages import LockResult, Topics, decode, encode
from firmware_config.pairing import LockPairing
from firmware_config.settings import BrokerSettings
from tests.brokers import Mosquitto
from tests.waiting import until

TOPICS = Topics("home", "front")
OTHER = Topics("home", "back")
KEY = SecretKey(bytes(range(32)))
NOWHERE = BrokerSettings(url="mqtt://127.0.0.1:1")


class Lock:
    """A lock with a clock of the test's own, and no broker: payloads are handed to it as the broker would."""

    def __init__(self) -> None:
        self.now = 100.0
        self.relay = SimulatedRelay(say=lambda _line: None)
        self._start()

    def _start(self) -> None:
        self.actuator = LockActuator(LockPairing(TOPICS, NOWHERE, KEY), self.relay, lambda: self.now)

    def restart(self) -> None:
        self.actuator.latch.shut()
        self._start()

    def wait(self, seconds: float) -> None:
        """Time goes by, and the lock renews its challenge as it does in its loop."""
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            self.actuator.beat()

    def command(self, hold_ms: int = 200, topics: Topics = TOPICS, key: SecretKey = KEY) -> bytes:
        """What the door would send now."""
        return encode(sign_command(key, topics.door_id, "unlock", self.actuator.challenge, hold_ms))

    def receive(self, payload: bytes, *, retained: bool = False) -> str:
        """The refusal's code, "" when the lock obeyed, "no command" when it did not even read as one."""
        result = self.actuator.obey(payload, retained=retained)
        if result is None:
            return "no command"
        assert result.accepted == (result.reason == "")
        return result.reason


@pytest.fixture
def lock() -> Iterator[Lock]:
    made = Lock()
    yield made
    made.actuator.latch.shut()


def test_the_doors_own_command_opens(lock: Lock) -> None:
    assert lock.receive(lock.command()) == ""
    assert lock.relay.times_on == 1


def test_the_previous_challenge_still_opens_for_one_period(lock: Lock) -> None:
    command = lock.command()
    lock.wait(3.5)
    assert lock.receive(command) == ""


def test_replayed_command_is_refused(lock: Lock) -> None:
    command = lock.command()
    assert lock.receive(command) == ""
    assert lock.receive(command) == "spent_challenge"
    lock.wait(1.0)
    assert lock.receive(command) == "spent_challenge"
    assert lock.relay.times_on == 1


@pytest.mark.parametrize("seconds", [4.1, 5.0, 60.0, 86_400.0])
def test_delayed_command_is_refused(lock: Lock, seconds: float) -> None:
    command = lock.command()
    lock.now += seconds  # the lock's loop may even have slept: age counts, not the number of beats
    assert lock.receive(command) == "stale_challenge"
    assert lock.relay.times_on == 0


def test_delayed_command_is_refused_while_challenges_go_on(lock: Lock) -> None:
    command = lock.command()
    lock.wait(4.2)
    assert lock.receive(command) == "spent_challenge"
    assert lock.relay.times_on == 0


def test_retained_command_is_refused_even_when_it_is_good(lock: Lock) -> None:
    command = lock.command()
    assert lock.receive(command, retained=True) == "retained"
    assert lock.relay.times_on == 0
    assert lock.receive(command) == "", "refusing the copy must not spend the door's challenge"


def test_forged_command_is_refused_and_spends_nothing(lock: Lock) -> None:
    good = lock.command()
    assert lock.receive(lock.command(key=SecretKey(bytes(32)))) == "bad_mac"
    assert lock.relay.times_on == 0
    assert lock.receive(good) == "", "a forger must not be able to use up the challenges of the door"


def test_command_for_another_door_is_refused(lock: Lock) -> None:
    assert lock.receive(lock.command(topics=OTHER)) == "foreign_door"
    # The same with the door's name put right: the MAC was made over the other name.
    stolen = json.loads(lock.command(topics=OTHER)) | {"door": TOPICS.door_id}
    assert lock.receive(json.dumps(stolen).encode()) == "bad_mac"
    assert lock.relay.times_on == 0


def test_longer_hold_than_signed_is_refused(lock: Lock) -> None:
    longer = json.loads(lock.command(hold_ms=200)) | {"hold_ms": 60_000}
    assert lock.receive(json.dumps(longer).encode()) == "bad_mac"


def test_lock_command_turned_into_unlock_is_refused(lock: Lock) -> None:
    shut = sign_command(KEY, TOPICS.door_id, "lock", lock.actuator.challenge, 200)
    assert lock.receive(encode(shut.model_copy(update={"action": "unlock"}))) == "bad_mac"
    assert lock.relay.times_on == 0


def test_no_single_flipped_bit_opens(lock: Lock) -> None:
    command = lock.command()
    for position in range(len(command) * 8):
        flipped = bytearray(command)
        flipped[position // 8] ^= 1 << position % 8
        assert lock.receive(bytes(flipped)) != ""
    assert lock.relay.times_on == 0
    assert lock.receive(command) == ""


def test_command_from_before_the_restart_is_refused(lock: Lock) -> None:
    command = lock.command()
    lock.restart()
    assert lock.receive(command) == "spent_challenge"
    assert lock.relay.times_on == 0


@pytest.mark.parametrize("payload", [b"", b"UNLOCK", b"{}", b"[]", b"\xff" * 40, b"{" * 20_000])
def test_what_is_no_command_is_ignored(lock: Lock, payload: bytes) -> None:
    assert lock.receive(payload) == "no command"
    assert lock.relay.times_on == 0


class Wire:
    """An attacker's client on a real broker: hears all, can publish anything."""

    def __init__(self, settings: BrokerSettings) -> None:
        self.heard: list[Incoming] = []
        self.connection = Connection(
            settings,
            "attacker",
            subscriptions=[("latchkey/#", 1)],
            on_message=self.heard.append,
            on_connected=lambda: None,
        )
        self.connection.start()
        assert self.connection.wait(20)

    def results(self) -> list[str]:
        topic = TOPICS["lock/result"]
        taken = [decode(LockResult, m.payload, topic) for m in self.heard if m.topic == topic]
        return [result.reason for result in taken]

    def publish(self, payload: bytes, *, retain: bool = False) -> None:
        assert self.connection.publish(TOPICS["lock/command"], payload, qos=1, retain=retain)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Callable[[], tuple[LockActuator, SimulatedRelay, Wire]]]:
    """Starts a lock on a real broker; a second call starts it anew, as after a power cut."""
    running: list[tuple[threading.Event, threading.Thread]] = []
    wires: list[Wire] = []

    def stop_lock() -> None:
        while running:
            stop, thread = running.pop()
            stop.set()
            thread.join(5)

    with Mosquitto(tmp_path / "broker") as broker:

        def start() -> tuple[LockActuator, SimulatedRelay, Wire]:
            stop_lock()
            relay = SimulatedRelay(say=lambda _line: None)
            actuator = LockActuator(LockPairing(TOPICS, broker.settings, KEY), relay)
            stop = threading.Event()
            thread = threading.Thread(target=actuator.run, args=(stop,))
            thread.start()
            running.append((stop, thread))
            assert actuator.connection.wait(20)
            if not wires:
                wires.append(Wire(broker.settings))
            return actuator, relay, wires[0]

        yield start
        stop_lock()
        for wire in wires:
            wire.connection.stop()


@pytest.mark.broker
def test_attacks_over_a_real_broker(real: Callable[[], tuple[LockActuator, SimulatedRelay, Wire]]) -> None:
    actuator, relay, wire = real()

    def command() -> bytes:
        return encode(sign_command(KEY, TOPICS.door_id, "unlock", actuator.challenge, 200))

    good = command()
    wire.publish(good)
    assert until(lambda: wire.results() == [""])
    assert relay.times_on == 1
    wire.publish(good)
    assert until(lambda: wire.results() == ["", "spent_challenge"])
    wire.publish(encode(sign_command(SecretKey(bytes(32)), TOPICS.door_id, "unlock", "0" * 32, 200)))
    assert until(lambda: wire.results()[2:] == ["bad_mac"])
    assert relay.times_on == 1


@pytest.mark.broker
def test_command_retained_for_a_lock_that_restarts(
    real: Callable[[], tuple[LockActuator, SimulatedRelay, Wire]],
) -> None:
    actuator, _, wire = real()
    # Stored while it is still good: a lock that trusted the broker's copy would open at its next start.
    wire.publish(encode(sign_command(KEY, TOPICS.door_id, "unlock", actuator.challenge, 200)), retain=True)
    assert until(lambda: len(wire.results()) == 1)
    _, relay, wire = real()
    assert until(lambda: wire.results()[1:] == ["retained"])
    assert relay.times_on == 0
