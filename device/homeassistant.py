"""What Home Assistant asks of a door: to be told everything again, to unlock, to lock. What it reads: discovery.py."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Literal

from pydantic import Field

from device.discovery import COMMAND_LEAF, STATUS_TOPIC
from device.journal import Journal
from device.link import Link
from device.opening import Opener
from device.roster import Holdings
from device.seldom import Seldom
from firmware_config.broker import Incoming
from firmware_config.events import EventDetail
from firmware_config.messages import OFFLINE, ONLINE, Message, MessageRefused, decode

log = logging.getLogger("latchkey.homeassistant")

GOOD_FOR_S: Final = 5.0
"""Seconds between the asking and the doing. The broker keeps nothing of it, but a network that comes back delivers
what lay in its buffers. Lock commands live for 4 s; here two clocks are compared, so one more."""

SETTLE_S: Final = GOOD_FOR_S
"""Seconds after the door's own connection has come up, until it obeys an unlock: whatever was held up by the connection
that broke, or was obeyed before the door's last start, is older than GOOD_FOR_S by then, by any clock."""

REFUSAL_EVENT_S: Final = 10.0
"""Seconds between two events about the same refusal; each is in the system's log. An automation that repeats itself
must not fill the audit."""

ASKER: Final = EventDetail(by="Home Assistant")


class Command(Message):
    """Topic ha/lock/set as discovery.COMMAND_TEMPLATE writes it. at: seconds since 1970, by Home Assistant's clock."""

    command: Literal["LOCK", "UNLOCK"]
    at: float | None = Field(default=None, allow_inf_nan=False)


class HomeAssistant:
    """Obeys one Home Assistant, on the loop's thread.

    Rules for a command, in this order:
    - retained: ignored; a broker stores and redelivers it, so it proves nothing about now;
    - the roster's policy does not allow Home Assistant: refused, both ways;
    - the door's connection came up less than SETTLE_S ago, or Home Assistant's last will was heard since then and no
      birth after it: an unlock is refused, for it may have waited for a connection to come back;
    - asked for more than GOOD_FOR_S ago, for later, or not after the one that was obeyed last: refused. A plain `LOCK`
      bears no time and is obeyed, for a late one opens nothing; a plain `UNLOCK` is refused: it may be from any time;
    - then as for anybody else: a command signed for the lock, now or not at all.
    """

    def __init__(
        self,
        link: Link,
        holdings: Holdings,
        journal: Journal,
        opener: Opener,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """clock: wall clock, seconds since 1970."""
        self._link = link
        self._holdings = holdings
        self._journal = journal
        self._opener = opener
        self._clock = clock
        self._seldom = Seldom(REFUSAL_EVENT_S, clock)
        self._obeyed_at = float("-inf")
        self._gone_at = float("-inf")

    def hear(self, message: Incoming) -> bool:
        """False: the message is not Home Assistant's. What is wrong with one is said, never raised."""
        if message.topic == STATUS_TOPIC:
            if message.payload == ONLINE:
                self._gone_at = float("-inf")
                self._link.say_all_again()
            elif message.payload == OFFLINE:
                self._gone_at = time.monotonic()
        elif message.topic == self._link.topics[COMMAND_LEAF]:
            self._obey(message)
        else:
            return False
        return True

    def _obey(self, message: Incoming) -> None:
        if message.retained:
            log.warning("A retained command of Home Assistant is ignored: it may be from any time.")
            return
        try:
            asked = read_command(message)
        except MessageRefused as refused:
            log.warning("%s", refused)
            return
        reason = self._refusal(asked) or self._do(asked)
        if reason:
            log.warning("Home Assistant asked to %s; refused: %s", asked.command.lower(), reason)
            if self._seldom.due(reason):
                self._journal.tell("denied", reason, ASKER)
        else:
            log.info("Home Assistant asked to %s: done.", asked.command.lower())
            self._journal.tell("notice", f"home_assistant_{asked.command.lower()}", ASKER)

    def _refusal(self, asked: Command) -> str:
        roster = self._holdings.active.roster
        if roster is None or not roster.policy.allow_home_assistant_unlock:
            return "not_allowed"
        if asked.command == "UNLOCK" and (reason := "locked_down" * roster.policy.locked_down or self._unsettled()):
            return reason
        if asked.at is None:
            return "undated_command" if asked.command == "UNLOCK" else ""
        again = asked.at <= self._obeyed_at <= asked.at + 2 * GOOD_FOR_S  # further ahead: the clock was set back
        if again or abs(self._clock() - asked.at) > GOOD_FOR_S:
            return "stale_command"
        self._obeyed_at = asked.at
        return ""

    def _unsettled(self) -> str:
        """Why what comes now may be old: it may have waited for us, or for Home Assistant."""
        up_for_s = self._link.connection.up_for_s
        if up_for_s < SETTLE_S:
            return "just_connected"
        # A birth may be missed with the connection: what was heard on an earlier one does not count.
        return "home_assistant_offline" if time.monotonic() - self._gone_at < up_for_s else ""

    def _do(self, asked: Command) -> str:
        roster = self._holdings.active.roster
        assert roster is not None
        failed = self._opener.open(roster.policy.hold_ms) if asked.command == "UNLOCK" else self._opener.shut()
        return str(failed) if failed else ""


def read_command(message: Incoming) -> Command:
    """`LOCK`, `UNLOCK`, or JSON with the time of asking. Raises MessageRefused."""
    if message.payload in (b"LOCK", b"UNLOCK"):
        return Command.model_validate({"command": message.payload.decode()})
    return decode(Command, message.payload, message.topic)
