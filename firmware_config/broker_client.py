"""paho's client, with two things changed: any thread may write to its socket, and its own thread does not die."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

log = logging.getLogger("latchkey.broker")

TURN_S: Final = 0.05
"""How long whoever hands a message over waits for the socket: reading a message of the door's takes 0.1 ms."""


class Client(mqtt.Client):
    """paho's, to whose socket any thread may write what is queued: one reads or writes at a time. paho leaves both to
    its own thread, for half a packet must not be followed by another, and OpenSSL takes no two at once."""

    fell: Callable[[Exception], None] = staticmethod(lambda _: None)
    """Called on paho's thread with an error that paho did not expect. The connection is then made anew."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._turn = threading.RLock()

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """What paho's thread runs, again after whatever it raises: paho would let the thread end, and nobody would
        hear that the link is gone for good."""
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception as error:
                # Safe to go on: the socket is closed, and what was half read or half sent goes with it.
                log.exception("An error between us and the broker.")
                self._sock_close()
                self.fell(error)
                self._reconnect_wait()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        with self._turn:
            return super().loop_read(max_packets)

    def loop_write(self) -> MQTTErrorCode:
        with self._turn:
            return super().loop_write()

    def write_now(self) -> bool:
        """What is queued. False: the connection broke. True also where the socket is full, or somebody else does not
        let go of it: paho's thread writes it then."""
        if not self._turn.acquire(timeout=TURN_S):
            return True
        try:
            return self.loop_write() == MQTTErrorCode.MQTT_ERR_SUCCESS
        finally:
            self._turn.release()
