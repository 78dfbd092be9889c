"""A whole site on a broker with certificates and the shipped ACL: nothing that it says is denied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from admin_ui.authority import Authority, Role
from admin_ui.keyring import AUTHORITY_FOLDER, KEYS
from admin_ui.service import Office
from device.discovery import discovery_topic
from firmware_config.broker import Connection, Incoming
from firmware_config.messages import Topics
from firmware_config.settings import AdminSettings
from tests.admin_ui.real_door import RealDoor
from tests.brokers import TlsMosquitto
from tests.waiting import until

pytestmark = pytest.mark.broker

TOPICS = Topics("home", "front")
DENIED = b"Denied PUBLISH"
"""What Mosquitto logs of a message that its ACL refuses; nobody else hears of it."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[TlsMosquitto]:
    with TlsMosquitto(tmp_path / "broker", log_all=True) as running:
        yield running


@pytest.fixture
def office(make_office: Callable[..., Office], broker: TlsMosquitto, settings: AdminSettings) -> Iterator[Office]:
    """Connected with the page's certificate; its authority is the broker's, as after `init` and `broker write`."""
    folder = settings.state / KEYS / AUTHORITY_FOLDER
    Authority.make(folder, "home")
    broker.adopt(Authority(folder, "home"))
    made = make_office(broker.settings)
    made.start()
    assert made.link.wait_connected(10), made.link.why_down
    yield made
    made.stop()


def test_everything_a_site_says_is_allowed(office: Office, broker: TlsMosquitto, tmp_path: Path) -> None:
    pairing = office.add_door("front", "test")
    door = RealDoor(pairing, tmp_path / "door", office.settings.state / "default.latchkey")
    heard: list[Incoming] = []
    leaves = ("availability", "health", "event", "lock/state")
    home = Connection(
        broker.client(Role.HOME_ASSISTANT, Role.HOME_ASSISTANT.value),
        "home-assistant",
        subscriptions=[(discovery_topic(TOPICS), 1), *((TOPICS[leaf], 1) for leaf in leaves)],
        on_message=heard.append,
        on_connected=lambda: None,
    )
    home.start()
    door.start()
    try:
        assert until(lambda: office.door("front").in_step and not office.door("front").problems)
        assert until(lambda: office.door("front").lock == "LOCKED")
        daemon = door.daemon
        assert daemon is not None
        assert until(lambda: daemon._link.lock.alive)
        assert home.wait(10)
        home.publish("homeassistant/status", b"online", qos=0)
        # Ask, challenge, command, result, answer, event and its acknowledgement: the longest way there is.
        assert office.unlock("front", "test").ok
        assert until(lambda: any(event.reason == "remote_unlock" for event in office.events("front")))
        assert until(lambda: (health := office.door("front").health) is not None and health.outbox == 0)
        assert office.set_tau("front", office.threshold("front").tau + 0.01, "test").news[0].sent
        assert until(lambda: office.door("front").in_step)
        wanted = {discovery_topic(TOPICS), *(TOPICS[leaf] for leaf in leaves)}
        assert until(lambda: wanted <= {message.topic for message in heard}), wanted - {one.topic for one in heard}
    finally:
        door.stop()
        home.stop()
        office.stop()
    log = (broker.folder / "mosquitto.log").read_bytes()
    assert TOPICS["lock/command"].encode() in log
    assert DENIED not in log, [line for line in log.splitlines() if DENIED in line][:5]


def test_a_denial_would_be_seen(office: Office, broker: TlsMosquitto) -> None:
    """The line that the test above looks for does come."""
    office.link._connection.publish(TOPICS["lock/command"], b"x")
    assert until(lambda: DENIED in (broker.folder / "mosquitto.log").read_bytes())
