"""What the lock's firmware does besides judging: the way out, what it says, and when it says nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_config.broker import Connection, Incoming
from firmware_config.keys import SecretKey
from firmware_config.lockrule import sign_command
from firmware_config.messages import Challenge, Contact, LockState, decode, encode
from tests.brokers import Mosquitto
from tests.lock_firmware import Firmware, Said, build
from tests.waiting import until

KEY = SecretKey(bytes(range(32)))
KEY_HEX = bytes(range(32)).hex()
DOOR = "office/front"
BEAT_MS = 10


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("lock"))


@pytest.fixture
def lock(program: Path) -> Iterator[Firmware]:
    """Awake for a tenth of a second, the button up."""
    with Firmware(program, KEY_HEX, DOOR) as made:
        beats(made, 900, 1000)
        made.at(1000)
        yield made


def command(lock: Firmware, action: str = "unlock", hold_ms: int = 3000) -> bytes:
    """What the door would send now."""
    return encode(sign_command(KEY, DOOR, action, lock.challenge, hold_ms))


def beats(lock: Firmware, start: int, end: int) -> list[int]:
    """The timer fires from `start` to `end`, nothing else. -> when the strike moved, milliseconds."""
    moved = []
    for now in range(start, end, BEAT_MS):
        before = lock.strike
        lock.at(now)
        lock.order("beat")
        if lock.strike != before:
            moved.append(now)
    return moved


def states(said: list[Said]) -> list[str]:
    return [one.payload for one in said if one.leaf == "state"]


def test_the_button_opens_with_no_network_and_the_loop_hanging(lock: Firmware) -> None:
    lock.order("exit 1")
    assert beats(lock, 1000, 1100) == [1030], "debounced, and neither loop nor broker was asked"
    lock.order("exit 0")
    assert beats(lock, 1100, 7000) == [6090], "five seconds after it was let go"


def test_a_button_that_is_down_at_the_start_opens_nothing_until_it_was_up(program: Path) -> None:
    with Firmware(program, KEY_HEX, DOOR) as lock:
        lock.order("exit 1")
        assert beats(lock, 0, 10_000) == [], "a short circuit must not open the door at every start"
        lock.order("exit 0")
        assert beats(lock, 10_000, 10_020) == []
        lock.order("exit 1")
        assert beats(lock, 10_020, 10_200) == [], "a wire that comes loose for a moment was not let go"
        lock.order("exit 0")
        assert beats(lock, 10_200, 10_300) == []
        lock.order("exit 1")
        assert beats(lock, 10_300, 10_400) == [10_330]


def test_a_spark_on_the_buttons_wire_opens_nothing(lock: Firmware) -> None:
    for start in range(1000, 3000, 100):
        lock.order("exit 1")
        assert beats(lock, start, start + 30) == []
        lock.order("exit 0")
        assert beats(lock, start + 30, start + 100) == []


def test_no_command_cuts_the_way_out_short(lock: Firmware) -> None:
    lock.connect()
    lock.order("exit 1")
    assert beats(lock, 1000, 1100) == [1030]
    lock.order("exit 0")
    assert '"accepted":true' in lock.obey(command(lock, "lock"))[0].payload
    assert beats(lock, 1100, 5000) == []
    assert lock.strike


def test_a_grant_opens_for_its_hold_time_and_goes_back_by_itself(lock: Firmware) -> None:
    lock.connect()
    lock.obey(command(lock, hold_ms=2000))
    assert beats(lock, 1010, 4000) == [1010, 3000], "by the timer, though the loop stands still"


def test_a_lock_command_ends_a_grant(lock: Firmware) -> None:
    lock.connect()
    lock.obey(command(lock, hold_ms=60_000))
    assert beats(lock, 1010, 1100) == [1010]
    lock.obey(command(lock, "lock"))
    assert beats(lock, 1100, 1200) == [1100]


def test_it_introduces_itself_on_each_connection(lock: Firmware) -> None:
    said = lock.connect()
    assert [(one.leaf, one.qos, one.retained) for one in said] == [
        ("contact", 1, True),
        ("state", 1, True),
        ("challenge", 1, True),
    ]
    assert [Contact(said[0].payload), LockState(said[1].payload)] == [Contact.CLOSED, LockState.LOCKED]
    assert decode(Challenge, said[2].payload.encode(), "lock/challenge").challenge == lock.challenge
    assert lock.loop() == [], "nothing new, nothing said"
    lock.order("down")
    assert lock.loop(leaf_open=True) == []
    assert [one.payload for one in lock.order("up") + lock.loop(leaf_open=True)][:2] == ["OPEN", "UNLOCKED"]


def test_the_challenge_is_renewed_every_two_seconds(lock: Firmware) -> None:
    lock.connect()
    seen = []
    for now in range(1000, 9001, 100):
        lock.at(now)
        seen += [(now, one.payload) for one in lock.loop()]
    assert [now for now, _ in seen] == [3000, 5000, 7000, 9000]
    assert len({payload for _, payload in seen}) == 4


def test_what_was_on_its_way_when_the_connection_broke_is_void(lock: Firmware) -> None:
    lock.connect()
    late = command(lock)
    lock.order("down")
    lock.order("up")
    assert json.loads(lock.obey(late)[0].payload)["reason"] == "spent_challenge", "before the first challenge"
    lock.loop()
    assert json.loads(lock.obey(late)[0].payload)["reason"] == "spent_challenge", "and after it"
    lock.order("beat")
    assert not lock.strike


def test_the_exit_is_told_before_the_leaf_opens_and_again_while_held(lock: Firmware) -> None:
    lock.connect()
    lock.order("exit 1")
    beats(lock, 1000, 1100)
    said = lock.loop(lets_go=True, leaf_open=True)
    assert [(one.leaf, one.payload, one.retained) for one in said] == [
        ("exit", "PRESSED", False),
        ("contact", "OPEN", True),
        ("state", "UNLOCKED", True),
    ]
    told = 0
    for start in range(1100, 4100, 100):
        beats(lock, start, start + 100)
        told += sum(one.leaf == "exit" for one in lock.loop(lets_go=True, leaf_open=True))
    assert told == 3


def test_an_exit_while_offline_is_not_told_later(lock: Firmware) -> None:
    lock.order("exit 1")
    beats(lock, 1000, 1100)
    lock.order("exit 0")
    assert "exit" not in {one.leaf for one in lock.connect()}
    assert "exit" not in {one.leaf for one in lock.loop()}


def test_the_state_is_what_is_read_back_never_what_was_commanded(lock: Firmware) -> None:
    lock.connect()
    lock.obey(command(lock))
    lock.order("beat")
    assert lock.strike
    assert states(lock.loop(lets_go=False)) == [], "told to let go; it still holds, so it is still LOCKED"
    lock.at(1100)
    assert states(lock.loop(lets_go=True)) == ["UNLOCKED"]
    beats(lock, 1110, 4100)
    lock.at(4100)
    assert states(lock.loop(lets_go=False, leaf_open=True)) == [], "it holds, but the leaf stands open"
    assert states(lock.loop(lets_go=False, leaf_open=False)) == ["LOCKED"]


@pytest.mark.parametrize("stuck_open", [True, False])
def test_a_relay_that_does_not_follow_is_told_as_jammed(lock: Firmware, stuck_open: bool) -> None:
    lock.connect()
    if not stuck_open:
        lock.obey(command(lock))
        lock.order("beat")
    seen = []
    for now in range(1000, 2000, 100):
        lock.at(now)
        seen += [(now, state) for state in states(lock.loop(lets_go=stuck_open))]
    assert seen[-1] == (1500, "JAMMED")
    assert states(lock.loop(lets_go=not stuck_open)) == ["LOCKED" if stuck_open else "UNLOCKED"]


def test_what_finds_the_queue_full_is_said_later(lock: Firmware) -> None:
    lock.order("full 1")
    assert lock.connect() == []
    lock.order("full 0")
    assert {one.leaf for one in lock.loop(leaf_open=True)} == {"contact", "state", "challenge"}


@pytest.mark.parametrize("key", ["", "0" * 63, "0" * 65, "0" * 62 + "xy", "A" * 64])
def test_without_a_good_key_nothing_is_obeyed_and_the_way_out_works(program: Path, key: str) -> None:
    with Firmware(program, key, DOOR) as lock:
        beats(lock, 900, 1000)
        lock.at(1000)
        lock.connect()
        for guess in (KEY, SecretKey(bytes(32))):
            assert lock.obey(encode(sign_command(guess, DOOR, "unlock", lock.challenge, 3000))) == []
        lock.order("exit 1")
        assert beats(lock, 1000, 1100) == [1030]
        assert "Pair this lock again" in lock.log()


@pytest.mark.broker
def test_a_retained_command_is_refused_for_its_challenge(program: Path, tmp_path: Path) -> None:
    """ESPHome does not tell which messages are retained, so nothing retained may carry a good challenge.

    The firmware's order on the wire: SUBSCRIBE, then its first challenge. A broker reads one connection in order, so
    whoever learns that challenge publishes after the subscription stands: to this lock such a message comes live.
    """
    topic = f"latchkey/{DOOR}/lock/command"
    with Mosquitto(tmp_path / "broker") as broker, Firmware(program, KEY_HEX, DOOR) as lock:
        lock.at(1000)
        lock.connect()
        heard: list[Incoming] = []
        connections: list[str] = []
        attacker = Connection(
            broker.settings,
            "attacker",
            subscriptions=[],
            on_message=heard.append,
            on_connected=lambda: None,
        )
        attacker.start()
        assert attacker.wait(10)
        kept = command(lock)
        attacker.publish(topic, kept, retain=True)

        def connected() -> None:
            # Connection subscribes before it calls this, as ESPHome does before is_connected() is true.
            lock.connect()
            connections.append("up")

        wire = Connection(
            broker.settings,
            "lock",
            subscriptions=[(topic, 0)],
            on_message=heard.append,
            on_connected=connected,
        )
        wire.start()
        assert until(lambda: connections and len(heard) == 1)
        assert heard[0].retained
        assert json.loads(lock.obey(heard[0].payload)[0].payload)["reason"] == "spent_challenge"
        attacker.publish(topic, command(lock), retain=True)
        assert until(lambda: len(heard) == 2)
        assert not heard[1].retained, "with a challenge of this connection it can only come live"
        assert json.loads(lock.obey(heard[1].payload)[0].payload)["accepted"] is True
        wire.stop()
        attacker.stop()
        assert connections == ["up"]
