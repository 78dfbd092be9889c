"""The lock's end: it opens for a fresh command of its own door, goes back by itself, and says when it cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device.actuator import LockActuator
from device.latch import Latch
from device.relay import GpioRelay, RelayFault, SimulatedRelay
from firmware_config.broker import Connection, Incoming
from firmware_config.errors import BadState
from firmware_config.keys import SecretKey
from firmware_config.lockrule import sign_command
from firmware_config.messages import Challenge, LockResult, LockState, Topics, decode, encode
from firmware_config.pairing import LockPairing
from firmware_config.settings import BrokerSettings
from tests.brokers import Mosquitto
from tests.waiting import until

TOPICS = Topics("home", "front")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def relay(said: list[str]) -> SimulatedRelay:
    return SimulatedRelay(say=said.append)


def test_the_latch_goes_back_by_itself(relay: SimulatedRelay, said: list[str]) -> None:
    states: list[LockState] = []
    latch = Latch(relay, states.append)
    latch.open(200)
    assert relay.is_on
    assert until(lambda: not relay.is_on)
    assert states == [LockState.UNLOCKED, LockState.LOCKED]
    assert said == ["The lock opens.", "The lock shuts."]


def test_a_second_opening_begins_the_time_anew(relay: SimulatedRelay) -> None:
    latch = Latch(relay)
    latch.open(300)
    time.sleep(0.2)
    latch.open(300)
    time.sleep(0.2)
    assert relay.is_on
    assert until(lambda: not relay.is_on)


def test_a_jammed_relay_is_said_and_recovers(relay: SimulatedRelay) -> None:
    latch = Latch(relay)
    relay.jammed = True
    with pytest.raises(RelayFault):
        latch.open(200)
    assert latch.state is LockState.JAMMED
    relay.jammed = False
    latch.open(200)
    assert latch.state is LockState.UNLOCKED
    latch.shut()
    assert latch.state is LockState.LOCKED


def test_a_board_without_gpio_is_told_what_to_install() -> None:
    with pytest.raises(BadState, match=r"gpiozero|GPIO 17 cannot be used"):
        GpioRelay(17)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.mark.broker
def test_an_opening_over_a_real_broker(broker: Mosquitto, relay: SimulatedRelay) -> None:
    key = SecretKey.generate()
    lock = LockActuator(LockPairing(TOPICS, broker.settings, key), relay)
    heard: list[Incoming] = []
    door = Connection(
        broker.settings,
        "test-door",
        subscriptions=[(TOPICS["lock/challenge"], 1), (TOPICS["lock/state"], 1), (TOPICS["lock/result"], 1)],
        on_message=heard.append,
        on_connected=lambda: None,
    )

    def on(leaf: str) -> list[bytes]:
        return [message.payload for message in heard if message.topic == TOPICS[leaf]]

    stop = threading.Event()
    thread = threading.Thread(target=lock.run, args=(stop,))
    door.start()
    thread.start()
    try:
        assert until(lambda: on("lock/challenge") and on("lock/state"))
        challenge = decode(Challenge, on("lock/challenge")[-1], "lock/challenge").challenge
        command = sign_command(key, TOPICS.door_id, "unlock", challenge, 300)
        door.publish(TOPICS["lock/command"], encode(command), qos=0)
        assert until(lambda: on("lock/state") == [b"LOCKED", b"UNLOCKED", b"LOCKED"])
        results = [decode(LockResult, payload, "lock/result") for payload in on("lock/result")]
        assert results == [LockResult(challenge=challenge, accepted=True)]
        assert relay.times_on == 1
        # Without a command the challenge is renewed all the same.
        known = len(on("lock/challenge"))
        assert until(lambda: len(on("lock/challenge")) > known, timeout_s=4)
    finally:
        stop.set()
        thread.join(5)
        door.stop()
    assert not thread.is_alive()


def test_a_lock_that_is_too_slow_itself_opens_nothing(relay: SimulatedRelay) -> None:
    """Judged in time, and the relay's turn comes too late: on a busy board there may be a second between them."""
    key = SecretKey.generate()
    now = [100.0]
    lock = LockActuator(LockPairing(TOPICS, BrokerSettings(), key), relay, clock=lambda: now[0])
    judge = lock._rule.judge

    def slow(*given: Any, **more: Any) -> Any:
        refusal = judge(*given, **more)
        now[0] += 0.3
        return refusal

    lock._rule.judge = slow  # type: ignore[method-assign]
    for good_ms, opened in ((200, 0), (1000, 1)):
        command = sign_command(key, TOPICS.door_id, "unlock", lock.challenge, 200, good_ms)
        result = lock.obey(encode(command), retained=False)
        reason = "" if opened else "late_command"
        assert result == LockResult(challenge=command.challenge, accepted=bool(opened), reason=reason)
        assert relay.times_on == opened
    lock.latch.shut()


@pytest.mark.broker
def test_a_jam_is_answered_and_published(broker: Mosquitto, relay: SimulatedRelay) -> None:
    key = SecretKey.generate()
    lock = LockActuator(LockPairing(TOPICS, broker.settings, key), relay)
    relay.jammed = True
    command = sign_command(key, TOPICS.door_id, "unlock", lock.challenge, 300)
    result = lock.obey(encode(command), retained=False)
    assert result == LockResult(challenge=command.challenge, accepted=False, reason="jammed")
    assert lock.latch.state is LockState.JAMMED
