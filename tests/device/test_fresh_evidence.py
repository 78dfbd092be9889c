"""Nothing opens on what was seen more than half a second ago, whatever was slow on the way to the lock."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.camera import Frame
from device.decide import FRESH_S
from device.link import Link
from device.lockline import NEXT_CHALLENGE_S
from device.model import Active
from device.sight import Seen
from firmware_config.face import Reason
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Challenge, encode
from firmware_config.pairing import DoorPairing
from firmware_config.settings import LockSettings
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.staging import look
from tests.waiting import until

pytestmark = pytest.mark.broker

SEED = 5
PREEMPTED_S = 0.02
"""Between the last look at the clock and the relay a busy machine may do something else for a slice or two."""
STEPS = ("look", "decide", "disk", "challenge")


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


class SlowWay:
    """Makes one step of the daemon's way slow, and measures how old the newest picture is when the door opens."""

    def __init__(self, door: Door) -> None:
        self.slow: dict[str, float] = dict.fromkeys(STEPS, 0.0)
        self.ages: list[float] = []
        self._door = door
        self._captured = 0.0
        door.look = self._look
        relay_on = door.relay.on

        def on() -> None:
            self.opens()
            relay_on()

        if door.settings.lock.kind == "gpio":
            door.relay.on = on  # type: ignore[method-assign]

    def opens(self) -> None:
        self.ages.append(time.monotonic() - self._captured)

    def watch(self) -> None:
        """Once the daemon runs."""
        daemon = self._door.daemon
        assert daemon is not None
        self._delay(daemon._decider, "step", "decide")
        self._delay(daemon._opener, "_let_go", "disk")
        self._delay(daemon._link.lock, "_fresh_challenge", "challenge", after=True)
        connection = daemon._link.connection
        publish = connection.publish

        def watched(topic: str, payload: bytes, **more: Any) -> bool:
            if topic == TOPICS["lock/command"]:
                self.opens()
            return publish(topic, payload, **more)

        connection.publish = watched  # type: ignore[method-assign]

    def _look(self, frame: Frame, active: Active) -> Seen:
        self._captured = frame.captured_at
        time.sleep(self.slow["look"])
        return look(frame, active)

    def _delay(self, owner: Any, name: str, step: str, *, after: bool = False) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def slowed(*given: Any) -> Any:
            if after:
                result = real(*given)
                time.sleep(self.slow[step])
                return result
            time.sleep(self.slow[step])
            return real(*given)

        setattr(owner, name, slowed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mqtt", "gpio"])
def test_whatever_is_slow_no_command_is_handed_over_on_an_old_picture(door: Door, page: Page, kind: str) -> None:
    door.settings = door.settings.model_copy(update={"lock": LockSettings(kind=kind)})  # type: ignore[arg-type]
    way = SlowWay(door)
    if kind == "mqtt":
        door.start_lock()
    roster = door.roster(1, "ana", cooldown_s=0.05, votes_needed=1, votes_window=1)
    assert page.connection.publish(TOPICS["roster"], roster, retain=True)
    daemon = door.start()
    assert until(lambda: page.applied is not None and page.applied.generation == 1)
    assert kind == "gpio" or until(lambda: daemon._link.lock.alive)
    way.watch()
    door.camera.showing = "ana"
    draw = random.Random(SEED)
    for _ in range(30):
        door.camera.delay_s = draw.uniform(0.0, 0.45)
        way.slow = dict.fromkeys(STEPS, 0.0) | {draw.choice(STEPS): draw.uniform(0.0, 0.55)}
        before = door.camera.taken
        assert until(lambda before=before: door.camera.taken >= before + 2)  # type: ignore[misc]
    door.camera.showing = ""
    door.stop()
    assert len(way.ages) >= 5, "some are quick enough"
    assert ("denied", "stale_frame") in page.happened(), "and some are not"
    assert max(way.ages) <= FRESH_S + PREEMPTED_S


def test_the_wait_for_the_locks_next_challenge_counts(broker: Mosquitto) -> None:
    pairing = DoorPairing(
        TOPICS, broker.settings, SecretKey.generate(), SigningKey.generate().public, SecretKey.generate()
    )
    link, page = Link(pairing), Page(broker.settings, pairing.door_key)
    link.start()
    assert link.connection.wait(20)

    def challenge(text: str) -> None:
        assert page.connection.publish(TOPICS["lock/challenge"], encode(Challenge(challenge=text * 16)))

    def beat() -> bool:
        """Its subscription may still be on the way."""
        challenge("ab")
        return link.lock.alive

    assert until(beat, step_s=0.2)
    assert link.lock.unlock(200, time.monotonic() + FRESH_S) is None
    # The next one comes in time for a wait, and too late for a picture that was nearly half a second old.
    later = threading.Timer(NEXT_CHALLENGE_S / 2, challenge, ["cd"])
    later.start()
    assert link.lock.unlock(200, time.monotonic() + 0.03) is Reason.STALE_FRAME
    later.join()
    assert until(lambda: len(set(page.payloads("lock/challenge"))) == 2)
    assert len(page.payloads("lock/command")) == 1
    assert link.lock.unlock(200, time.monotonic() + FRESH_S) is None, "the challenge was not wasted on it"
    link.stop()
    page.connection.stop()
