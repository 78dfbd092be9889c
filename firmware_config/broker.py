"""The one user of the broker library, with broker_client. Door, lock and page stand on this connection; the trainer
never loads it.

It lives with the contract because three programs must agree on how they speak to a broker: nothing is sent
while the connection is down. paho would queue QoS 1 messages and deliver them later; a door wants no late
message that it did not keep itself (docs/adr/0003).
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from firmware_config.broker_client import Client
from firmware_config.broker_tls import PAIR_AGAIN, Excuse, secure_context, why_refused, why_unanswered
from firmware_config.errors import BadState
from firmware_config.settings import BrokerSettings

log = logging.getLogger("latchkey.broker")

RECONNECT_MIN_S: Final = (0.3, 1.0)
"""Drawn anew for each process, so that a hundred doors do not knock at a restarted broker in one beat."""
RECONNECT_MAX_S: Final = 1.5
CONNECT_S: Final = 3.0
"""An attempt knocks at 0 and 1 s and then waits until 3 s, so after an outage the connection is back within
2 + 1.5 s and what TLS takes: below the 5 s that a door may be without its broker."""
UNHEARD_NAMED: Final = 3
"""Topics that a sentence names of those that we may not hear."""
LAST_WORDS_S: Final = 1.0
"""How long a stop waits for the broker to answer: a stop must be over within two seconds."""
UNANSWERED_MS: Final = 4000
"""RFC 5482's user timeout: a connection whose bytes nobody acknowledged for so long is dead. paho alone would find
out after two keepalives, and the kernel's ever slower repetitions would outlast a broken wire that is mended."""


class Incoming(NamedTuple):
    """A message as it came. `retained`: stored by the broker, from any time."""

    topic: str
    payload: bytes
    retained: bool


class Will(NamedTuple):
    """What the broker says for us when we vanish; retained, QoS 1."""

    topic: str
    payload: bytes


class Connection:
    """A connection that comes back by itself. Callbacks run on the network thread: hand over and return.

    on_connected runs at every (re)connection, after the subscriptions are sent; state that others must see is
    published there. Raises BadState from the constructor for unreadable password or certificate files.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        client_id: str,
        *,
        subscriptions: Iterable[tuple[str, int]],
        on_message: Callable[[Incoming], None],
        on_connected: Callable[[], None],
        will: Will | None = None,
        renewal: str = PAIR_AGAIN,
    ) -> None:
        """renewal: how we come to another certificate of ours, as half a sentence."""
        self._broker = broker
        self._renewal = renewal
        self._subscriptions = list(subscriptions)
        self._on_message = on_message
        self._on_connected = on_connected
        self._up = threading.Event()
        self._listening = threading.Event()
        self._up_at = 0.0
        self.connections = 0
        """How often it has come up."""
        self._excuse = Excuse()
        self._denied = ""
        self._asked: dict[int, list[str]] = {}
        self._refused: set[str] = set()
        self._asking = threading.Lock()
        self._unanswered: mqtt.MQTTMessageInfo | None = None
        self.why_down = "not connected yet"
        # A clean session: the broker keeps nothing for us while we are away, so that nothing old comes with us back.
        client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True, protocol=mqtt.MQTTv311)
        client.fell = self._fell
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_connect_fail = self._failed
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        client.reconnect_delay_set(random.uniform(*RECONNECT_MIN_S), RECONNECT_MAX_S)  # type: ignore[arg-type]  # noqa: S311
        client.connect_timeout = CONNECT_S
        client.on_socket_open = self._opened
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        self._secure(client)
        self._client = client

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    @property
    def up_for_s(self) -> float:
        """Seconds since the connection came up; 0 while it is down."""
        return time.monotonic() - self._up_at if self.connected else 0.0

    @property
    def unheard(self) -> str:
        """A sentence on the topics that the broker does not let us hear; "" where it lets us hear all."""
        with self._asking:
            topics = sorted(self._refused)
        if not topics:
            return ""
        more = f" and {len(topics) - UNHEARD_NAMED} more" if len(topics) > UNHEARD_NAMED else ""
        named = ", ".join(topics[:UNHEARD_NAMED])
        return f"The broker does not let us hear {named}{more}; look at its access list."

    def wait(self, timeout_s: float) -> bool:
        """True as soon as the broker has answered the subscriptions: whatever anybody publishes from now on arrives,
        but for what `unheard` names."""
        return self._listening.wait(timeout_s)

    def start(self) -> None:
        """Return at once; a broker that is down is tried again until it is up."""
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=self._broker.keepalive_s)
        self._client.loop_start()

    def stop(self, last_words: Will | None = None) -> None:
        """Say `last_words` (a clean stop sends no will), see that what was sent has arrived, then disconnect."""
        if last_words is not None:
            self.publish(last_words.topic, last_words.payload, retain=True)
        # A socket that is closed on unread answers is reset, and the broker then drops what it has not read either.
        if self._unanswered is not None and self.connected:
            with contextlib.suppress(RuntimeError, ValueError):
                self._unanswered.wait_for_publish(LAST_WORDS_S)
            if not self._unanswered.is_published():
                log.warning("What was said last to the broker %s may not have arrived.", self._broker.url)
        self._not_up()
        self._client.disconnect()
        # paho 2.2: the network thread clears its own handle as it ends, also between loop_stop's look and its join.
        with contextlib.suppress(AttributeError):
            self._client.loop_stop()
        # paho 2.2: a connection that was being made meanwhile stays open, and in the end the broker tells our will.
        if self._client.socket() is not None:
            self._client.disconnect()
        # Closes it, and the pair of sockets that woke paho's thread: paho leaves those two to the garbage collector.
        self._client.reinitialise()

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Hand a message to the network thread, which sends it when it has its turn, or return False. Never queued for
        a later connection."""
        if not self.connected:
            return False
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            return False
        if qos:
            # Answers come in the order of what was sent, so the newest one's stands for all.
            self._unanswered = info
        return True

    def hand_over(self, topic: str, payload: bytes) -> bool:
        """As publish, QoS 0, but written to the socket here and now: the network thread's turn may come milliseconds
        later. It is left to that thread only where the socket is full, or where a callback has it for TURN_S. False:
        the connection is down, or broke."""
        return self.publish(topic, payload, qos=0) and self._client.write_now()

    def subscribe(self, topic: str, qos: int = 1) -> None:
        """Add a subscription, now and at every reconnection."""
        self._subscriptions.append((topic, qos))
        if self.connected:
            self._subscribe([(topic, qos)])

    def _subscribe(self, topics: list[tuple[str, int]]) -> None:
        with self._asking:  # the answer may come on the network thread before its number is known here
            _, number = self._client.subscribe(topics)
            if number is not None:
                self._asked[number] = [topic for topic, _ in topics]

    def _secure(self, client: mqtt.Client) -> None:
        broker = self._broker
        if broker.username:
            client.username_pw_set(broker.username, _password(broker))
        if broker.tls:
            context = secure_context(broker, self._excuse)
            client.tls_set_context(context)

    def _connected(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._denied = f"the broker refuses us: {reason}"
            log.error("The broker %s refuses us: %s. Check user and password.", self._broker.url, reason)
            return
        with self._asking:
            self._asked.clear()
            self._refused.clear()
        if self._subscriptions:
            self._subscribe(list(self._subscriptions))
        self.why_down = "the broker has not answered our subscriptions" if self._subscriptions else ""
        self._up_at = time.monotonic()
        self.connections += 1
        self._up.set()
        log.info("Connected to the broker %s.", self._broker.url)
        self._guarded(self._on_connected)
        if not self._subscriptions:
            self._listening.set()

    def _subscribed(self, _client: mqtt.Client, _data: Any, number: int, reasons: Any, _properties: Any) -> None:
        with self._asking:
            asked = self._asked.pop(number, [])
            refused = [topic for topic, reason in zip(asked, reasons, strict=False) if reason.is_failure]
            self._refused.update(refused)
        if refused:
            log.error("%s (%s)", self.unheard, self._broker.url)
        self.why_down = ""
        self._listening.set()

    def _disconnected(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        was_up = self._up.is_set()
        self._not_up()
        # In TLS 1.3 a broker says what it thinks of our certificate only after its greeting: here, not in _failed.
        refusal = why_refused(self._excuse.take(), self._broker, self._renewal)
        if refusal or self._denied:
            self._down(refusal or self._denied)
        elif not was_up and reason.is_failure:
            self._down(f"{self._broker.url} hangs up before it lets us in ({reason}); it may want TLS (mqtts://)")
        elif was_up and reason.is_failure:
            self.why_down = f"lost the broker: {reason}"
            log.warning("Lost the broker %s: %s. Trying again.", self._broker.url, reason)

    def _opened(self, _client: mqtt.Client, _data: Any, opened: Any) -> None:
        self._denied = ""
        # Nagle would hold a command back while what was said before it is not yet acknowledged: for 40 ms.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)

    def _failed(self, _client: mqtt.Client, _data: Any) -> None:
        # paho calls this while it handles the error, and does not hand it over.
        error = self._excuse.take() or sys.exc_info()[1]
        self._down(why_refused(error, self._broker, self._renewal) or why_unanswered(error, self._broker))

    def _fell(self, error: Exception) -> None:
        self._not_up()
        self._down(f"the connection to {self._broker.url} fell over {type(error).__name__} ({error})")

    def _not_up(self) -> None:
        self._up.clear()
        self._listening.clear()

    def _down(self, why: str) -> None:
        if why != self.why_down:
            log.warning("No connection to the broker %s: %s.", self._broker.url, why)
        self.why_down = why

    def _message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        # The topic is decoded as it is asked for, and may be no UTF-8.
        self._guarded(lambda: self._on_message(Incoming(message.topic, bytes(message.payload), bool(message.retain))))

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            # An exception here would end the network thread and with it the link; the message is lost, not the door.
            log.exception("A message from the broker could not be handled.")


def _password(broker: BrokerSettings) -> str:
    if broker.password_file is None:
        return ""
    try:
        return broker.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadState(f"The broker password file {broker.password_file} cannot be read: {error}.") from error
