"""What the page and the lock sent: rosters, models, acknowledgements, asks, and what became of our unlocks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from device.doorman import Doorman
from device.homeassistant import HomeAssistant
from device.journal import RETRY_S, Journal
from device.link import DOCUMENTS, Link
from device.outcome import NOT_SAVED
from device.roster import Holdings, Outcome
from device.seldom import Seldom
from firmware_config.broker import Incoming
from firmware_config.events import EventDetail
from firmware_config.face import Reason
from firmware_config.messages import Answer, Ask, LockResult, MessageRefused, decode

log = logging.getLogger("latchkey.inbox")

REFUSED_AGAIN_S: Final = 60.0
"""Seconds between two events about documents refused for the same reason; each is in the system's log. Whoever owns
the broker can send bad ones all day, and a disk that they fill lets nobody in (docs/adr/0009)."""

NOBODY_THERE: Final = "nobody_there"
NOBODY_SENTENCE: Final = (
    "Nobody stood before the camera in the last three seconds. Ask the person to look into it, and try again."
)
SENTENCES = {
    Reason.LOCK_OFFLINE: "The lock does not answer. Look at its power and at the broker.",
    Reason.INTERNAL_ERROR: "The door cannot write its log, so it opens for nobody. Look at its disk.",
}


class Inbox:
    """Handles one message at a time, on the loop's thread, between frames."""

    def __init__(
        self,
        link: Link,
        holdings: Holdings,
        journal: Journal,
        doorman: Doorman,
        house: HomeAssistant,
        unlock: Callable[[int], Reason | None],
        adopted: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        look: Callable[[], bytes] = lambda: b"",
        face: Callable[[], bytes] = lambda: b"",
    ) -> None:
        """unlock: hold_ms -> None or why not. adopted: called when another roster or encoder is in force. look: the
        camera's newest picture as a JPEG, b"" where there is none. face: likewise, of who stands there."""
        self._link = link
        self._holdings = holdings
        self._journal = journal
        self._doorman = doorman
        self._house = house
        self._unlock = unlock
        self._adopted = adopted
        self._look, self._face = look, face
        self._seldom = Seldom(REFUSED_AGAIN_S)
        self._refused_by_lock = ""
        self._unsaved: dict[str, bytes] = {}
        self._clock, self._tried_at = clock, clock()

    def handle(self, message: Incoming) -> None:
        """Anything a broker may deliver; what is wrong with it is said, never raised."""
        leaf = message.topic.removeprefix(self._link.topics[""])
        if leaf in DOCUMENTS:
            self._unsaved.pop(leaf, None)
            self._take_document(leaf, message.payload, self._offer(leaf, message.payload))
        elif leaf == "event/ack":
            self._journal.acknowledged(message.payload)
        elif leaf == "ask":
            self._answer(message)
        elif leaf == "lock/result":
            self._hear_lock(message)
        elif leaf in ("lock/contact", "lock/exit"):
            self._doorman.hear(leaf, message)
        else:
            self._house.hear(message)

    def beat(self) -> None:
        """What the disk did not take is offered again: nobody sends a list twice, and an erased person must go."""
        now = self._clock()
        if now - self._tried_at < RETRY_S:
            return
        self._tried_at = now
        self._holdings.finish()
        for leaf, payload in list(self._unsaved.items()):
            outcome = self._offer(leaf, payload)
            if outcome.refused != NOT_SAVED:
                del self._unsaved[leaf]
                self._take_document(leaf, payload, outcome)

    def _offer(self, leaf: str, payload: bytes) -> Outcome:
        return self._holdings.offer_roster(payload) if leaf == "roster" else self._holdings.offer_bundle(payload)

    def _take_document(self, leaf: str, payload: bytes, outcome: Outcome) -> None:
        if outcome.refused == NOT_SAVED:
            self._unsaved[leaf] = payload
        if outcome.refused:
            if self._seldom.due(f"{leaf} {outcome.refused}"):
                self._journal.tell("notice", f"{leaf}_refused", more={"code": outcome.refused})
        elif outcome.changed:
            self._journal.note(f"{leaf}_taken", outcome.facts)
            self._adopted()
        self._link.say_applied(self._holdings.applied())

    def _answer(self, message: Incoming) -> None:
        ask = self._link.take_ask(message)
        if ask is None:
            return
        if ask.action in ("look", "face"):
            self._show(ask)
            return
        roster = self._holdings.active.roster
        if roster is None or not roster.policy.allow_remote_unlock:
            reason, sentence = "not_allowed", "This door's rules do not allow it to be opened from the page."
        elif roster.policy.locked_down:
            reason, sentence = str(Reason.LOCKED_DOWN), "The door is locked down; an administrator releases it first."
        else:
            refused = self._unlock(roster.policy.hold_ms)
            reason = str(refused) if refused else ""
            sentence = SENTENCES.get(refused, "") if refused else "The door was told to open."
        self._link.answer(Answer(id=ask.id, ok=not reason, reason=reason, sentence=sentence))
        by = EventDetail(by=ask.by, why=ask.why)
        if reason:
            log.warning("The page asked to open the door; refused: %s", reason)
            self._journal.tell("denied", reason, by)
        else:
            log.info("Opened from the page; the audit says by whom.")
            self._journal.tell("notice", "remote_unlock", by)

    def _show(self, ask: Ask) -> None:
        """Whoever looks through the camera stands in the audit, as whoever opens the door does."""
        shown = self._look()
        image = self._face() if ask.action == "face" and shown else shown
        reason = sentence = ""
        if not shown:
            reason, sentence = str(Reason.CAMERA_LOST), "The camera gives no picture; look at its cable."
        elif not image:
            reason, sentence = NOBODY_THERE, NOBODY_SENTENCE
        self._link.answer(Answer(id=ask.id, ok=not reason, reason=reason, sentence=sentence, image=image))
        self._journal.tell("notice", "looked_through", EventDetail(by=ask.by, why=ask.why))

    def _hear_lock(self, message: Incoming) -> None:
        if message.retained:
            return
        try:
            result = decode(LockResult, message.payload, message.topic)
        except MessageRefused as refused:
            log.warning("%s", refused)
            return
        # Results of other people's attempts are published too; only ours is news about this door.
        if result.accepted or result.challenge != self._link.lock.last_used:
            return
        # One command has one answer: whoever repeats it must not fill the audit.
        if result.challenge != self._refused_by_lock:
            self._refused_by_lock = result.challenge
            log.error("The lock refused to open: %r.", result.reason)
            self._journal.tell("notice", "lock_refused")
