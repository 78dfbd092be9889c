"""The other end: a lock that listens to the broker and obeys only fresh commands made with its own key.

The ESPHome firmware in firmware_config/lock does the same on an ESP32; this one drives a GPIO relay on a Linux
board, or simulates one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from device.contact import GRACE_S
from device.inputs import Inputs
from device.lockset import EXIT_HOLD_S, READ_S, Lockset, Told
from device.relay import Relay, RelayFault
from firmware_config.broker import Connection, Incoming
from firmware_config.flag import Flag
from firmware_config.lockrule import LockRule
from firmware_config.messages import (
    EXIT_PRESSED,
    Challenge,
    Contact,
    LockCommand,
    LockResult,
    LockState,
    MessageRefused,
    decode,
    encode,
)
from firmware_config.pairing import LockPairing

log = logging.getLogger("latchkey.lock")


class LockActuator:
    """One lock on the broker. It has no last will: a challenge that is not renewed tells that it is gone.

    Commands are judged on the network thread; a lock serves one door, so nothing waits behind them.
    """

    def __init__(
        self,
        pairing: LockPairing,
        relay: Relay,
        clock: Callable[[], float] = time.monotonic,
        inputs: Inputs | None = None,
        exit_hold_s: float = EXIT_HOLD_S,
    ) -> None:
        """clock: monotonic seconds. exit_hold_s: how long the exit button lets the bolt go, seconds. Raises BadState
        for unreadable broker secrets."""
        self._topics = pairing.topics
        self._clock = clock
        self._exit_hold_s = exit_hold_s
        self._exit_unsaid_at: float | None = None
        self._guard = threading.Lock()
        self._rule = LockRule(pairing.lock_key, pairing.topics.door_id, clock())
        told = Told(self._say_state, self._say_contact, self._say_exit)
        self._lockset = Lockset(relay, inputs, told, exit_hold_s, clock)
        self.latch = self._lockset.latch
        self.connection = Connection(
            pairing.broker,
            f"latchkey-lock-{pairing.topics.site}-{pairing.topics.door}",
            subscriptions=[(self._topics["lock/command"], 0)],
            on_message=self._receive,
            on_connected=self._connected,
        )

    @property
    def challenge(self) -> str:
        """The current one, as it is published."""
        return self._rule.book.current

    def run(self, stop: Flag) -> None:
        """Serve until `stop` is set; the lock is in its fail state when this returns."""
        self.connection.start()
        try:
            while not stop.wait(READ_S):
                self.beat()
        finally:
            try:
                self._lockset.rest()
            finally:
                self.connection.stop()

    def beat(self) -> None:
        """Read the wires, and renew the challenge when it is due."""
        self._lockset.beat()
        with self._guard:
            now = self._clock()
            if self._rule.book.due(now):
                self._rule.book.rotate(now)
                self._say_challenge()

    def obey(self, payload: bytes, *, retained: bool) -> LockResult | None:
        """Judge one command and do it. None: the payload is no command, so there is nobody to answer."""
        topic = self._topics["lock/command"]
        try:
            command = decode(LockCommand, payload, topic)
        except MessageRefused as refused:
            log.warning("%s", refused)
            return None
        with self._guard:
            before = self._rule.book.current
            good_until = self._rule.book.late_at(command.challenge, command.good_ms)
            refusal = self._rule.judge(command, retained=retained, now=self._clock())
            # What was spent is replaced at once: the next person must not wait for the period to end.
            if self._rule.book.current != before:
                self._say_challenge()
        if refusal is not None:
            log.warning("Refused to %s: %s", command.action, refusal.sentence)
            return LockResult(challenge=command.challenge, accepted=False, reason=refusal.code)
        try:
            if command.action != "unlock":
                self.latch.shut()
            elif not self.latch.open(command.hold_ms, good_until):
                return LockResult(challenge=command.challenge, accepted=False, reason="late_command")
        except RelayFault as fault:
            log.error("%s", fault)  # noqa: TRY400 - the sentence is the fact
            return LockResult(challenge=command.challenge, accepted=False, reason="jammed")
        return LockResult(challenge=command.challenge, accepted=True)

    def _receive(self, message: Incoming) -> None:
        if message.topic != self._topics["lock/command"]:
            return  # amqtt 0.12 delivers retained messages of other topics to whoever is just connecting
        result = self.obey(message.payload, retained=message.retained)
        if result is not None:
            self.connection.publish(self._topics["lock/result"], encode(result))

    def _connected(self) -> None:
        # Before the challenge: at its sound the door begins to judge the contact, and must not do so by an old one.
        unsaid, self._exit_unsaid_at = self._exit_unsaid_at, None
        if unsaid is not None and self._clock() - unsaid < self._exit_hold_s + GRACE_S:
            self._say_exit()
        if self._lockset.contact is not None:
            self._say_contact(self._lockset.contact)
        with self._guard:
            # Whoever listened while we were away holds an old challenge; a new one is what tells we are back.
            self._rule.book.rotate(self._clock())
            self._say_challenge()
        self._say_state(self.latch.state)

    def _say_challenge(self) -> None:
        payload = encode(Challenge(challenge=self._rule.book.current))
        self.connection.publish(self._topics["lock/challenge"], payload, retain=True)

    def _say_state(self, state: LockState) -> None:
        self.connection.publish(self._topics["lock/state"], state.value.encode(), retain=True)

    def _say_contact(self, contact: Contact) -> None:
        self.connection.publish(self._topics["lock/contact"], contact.value.encode(), retain=True)

    def _say_exit(self) -> None:
        if not self.connection.publish(self._topics["lock/exit"], EXIT_PRESSED):
            self._exit_unsaid_at = self._clock()
