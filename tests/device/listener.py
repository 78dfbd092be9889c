"""Somebody who listens as Home Assistant does, and asks as it does."""

from __future__ import annotations

import json
import time
from typing import Any

from device.discovery import COMMAND_LEAF, STATUS_TOPIC
from firmware_config.broker import Connection, Incoming
from firmware_config.messages import Health, decode
from firmware_config.settings import BrokerSettings
from tests.doors import TOPICS, Door, Page
from tests.waiting import until

NO_COMMANDS = (
    b"",
    b"unlock",
    b"OPEN",
    b"UNLOCK ",
    b"{}",
    b'{"command":"OPEN"}',
    b'{"command":"UNLOCK","at":"now"}',
    b'{"command":"UNLOCK","at":NaN}',
    b"\xff" * 40_000,
    b"[" * 10_000,
)


class Listener:
    """Subscribes to discovery, then to what it names, and says its birth at every connection, as Home Assistant."""

    def __init__(self, broker: BrokerSettings) -> None:
        self.entities: dict[str, Any] = {}
        self.known: dict[str, Incoming] = {}
        self.connection = Connection(
            broker,
            "test-home-assistant",
            subscriptions=[("homeassistant/device/+/config", 0)],
            on_message=self._hear,
            on_connected=lambda: self.ask(b"online", STATUS_TOPIC),
        )
        self.connection.start()

    def _hear(self, message: Incoming) -> None:
        if not message.topic.endswith("/config"):
            self.known[message.topic] = message
            return
        self.entities = json.loads(message.payload)["components"]
        topics = {entity["state_topic"] for entity in self.entities.values()}
        for topic in topics | {TOPICS["availability"]}:
            self.connection.subscribe(topic)

    def ask(self, payload: bytes, topic: str = TOPICS[COMMAND_LEAF], *, retain: bool = False) -> None:
        assert self.connection.publish(topic, payload, qos=0, retain=retain)

    def unlock(self, seconds_ago: float = 0.0, *, retain: bool = False) -> None:
        """As the command template writes it."""
        self.ask(json.dumps({"command": "UNLOCK", "at": time.time() - seconds_ago}).encode(), retain=retain)

    def lock_state(self) -> str:
        """As the lock entity would show it."""
        health, online = self.known.get(TOPICS["health"]), self.known.get(TOPICS["availability"])
        if not self.entities or health is None or online is None or online.payload != b"online":
            return "unavailable"
        return decode(Health, health.payload, "health").lock

    def forget(self) -> None:
        """As after a restart of Home Assistant or of its broker."""
        self.entities, self.known = {}, {}


def knows_ana(door: Door, page: Page, generation: int = 1, **policy: Any) -> None:
    assert page.connection.publish(TOPICS["roster"], door.roster(generation, "ana", **policy), retain=True)
    assert until(lambda: page.applied is not None and page.applied.generation == generation)
