"""Asks door and lock whether they hear and are heard, by questions that open nothing.

Its own connection comes back within a tenth of a second, so that what is measured is the product's, not the
probe's. An ask with a challenge that nobody gave is refused with an answer; a command with a wrong MAC is refused
with a result: both go the whole way and back.
"""

from __future__ import annotations

import secrets
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from firmware_config.errors import BadInput
from firmware_config.events import Event
from firmware_config.keys import SecretKey
from firmware_config.messages import Answer, Ask, Health, LockCommand, LockResult, Topics, decode, encode, seal, unseal

EVERY_S = 0.1
AGAIN_S = 0.1


class Probe:
    """A listener and asker on the broker. events, healths: what came, with monotonic seconds."""

    def __init__(self, host: str, port: int, ca_file: Path | None, topics: Topics, door_key: SecretKey) -> None:
        self._topics, self._door_key = topics, door_key
        self._asked: dict[str, str] = {}
        self._answered: dict[str, float] = {}
        self._guard = threading.Lock()
        self.events: list[tuple[float, Event]] = []
        self.healths: list[tuple[float, Health]] = []
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        client.reconnect_delay_set(AGAIN_S, AGAIN_S)  # type: ignore[arg-type]
        client.connect_timeout = 2.0
        if ca_file is not None:
            client.tls_set_context(ssl.create_default_context(cafile=ca_file))
        client.on_connect = lambda client, *_: client.subscribe([("latchkey/#", 1)])
        client.on_message = lambda _client, _data, message: self._hear(message)
        client.connect_async(host, port, keepalive=60)
        client.loop_start()
        self._client = client

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def answers(self, wanted: dict[str, float | None], since: float) -> None:
        """Ask everybody in `wanted` ("door", "lock") who has no time yet; note how long after `since` one answered."""
        with self._guard:
            for question, who in self._asked.items():
                at = self._answered.get(question)
                if who in wanted and wanted[who] is None and at is not None:
                    wanted[who] = max(0.0, at - since)
        for who in [name for name, at in wanted.items() if at is None]:
            self._ask(who)

    def forget(self) -> None:
        """Answers to questions asked so far count no more."""
        with self._guard:
            self._asked.clear()
            self._answered.clear()

    def _ask(self, who: str) -> None:
        question = secrets.token_hex(16)
        if who == "door":
            topic = self._topics["ask"]
            ask = Ask(id=question, challenge=secrets.token_hex(16), action="unlock", by="probe")
            payload = seal(self._door_key, topic, ask)
        else:
            topic = self._topics["lock/command"]
            wrong = secrets.token_hex(32)
            payload = encode(
                LockCommand(door=self._topics.door_id, action="unlock", challenge=question, hold_ms=200, mac=wrong)
            )
        with self._guard:
            self._asked[question] = who
        self._client.publish(topic, payload, qos=0)

    def _hear(self, message: mqtt.MQTTMessage) -> None:
        at = time.monotonic()
        leaf = message.topic.removeprefix(self._topics[""])
        payload = bytes(message.payload)
        try:
            if leaf == "answer":
                answer = unseal(self._door_key, self._topics["answer"], Answer, payload)
                self._note(answer.id, at)
            elif leaf == "lock/result":
                self._note(decode(LockResult, payload, leaf).challenge, at)
            elif leaf == "event":
                self.events.append((at, decode(Event, payload, leaf)))
            elif leaf == "health" and not message.retain:
                self.healths.append((at, decode(Health, payload, leaf)))
        except BadInput as refused:
            print(f"the probe cannot read {leaf}: {refused}")

    def _note(self, question: str, at: float) -> None:
        with self._guard:
            self._answered.setdefault(question, at)


def back_after(probe: Probe, since: float, limit_s: float, office: Callable[[], bool]) -> dict[str, float]:
    """Ask until door and lock have answered a question put after `since`, and the office says that it is connected.

    -> seconds that each took; limit_s: it did not.
    """
    wanted: dict[str, float | None] = {"door": None, "lock": None}
    office_took: float | None = None
    probe.forget()
    while (None in wanted.values() or office_took is None) and time.monotonic() - since < limit_s:
        if office_took is None and office():
            office_took = time.monotonic() - since
        probe.answers(wanted, since)
        time.sleep(EVERY_S)
    return {who: limit_s if took is None else took for who, took in {**wanted, "office": office_took}.items()}
