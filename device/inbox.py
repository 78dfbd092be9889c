"""What the page and the lock sent: rosters, models, acknowledgements, asks, and what became of our unlocks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

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

RESTS: Final = 4
"""How many times as long as an attempt to save a document took it is left alone afterwards: a list of tens of thousands
takes seconds to read, and has a fifth of the loop's time at most."""

NOBODY_THERE: Final = "nobody_there"
NOBODY_SENTENCE: Final = (
    "Nobody stood before the camera in the last three seconds. Ask the person to look into it, and try again."
)
SENTENCES = {
    Reason.LOCK_OFFLINE: "The lock does not answer. Look at its power and at the broker.",
    Reason.INTERNAL_ERROR: "The door cannot write its log, so it opens for nobody. Look at its disk.",
}
UNRECORDED_SENTENCE: Final = "The door cannot write its log, so it shows nobody its picture. Look at its disk."


class Inbox:
    """Handles one message at a time, on the loop's thread, between frames."""

    def __init__(
        self,
        link: Link,
        holdings: Holdings,
        journal: Journal,
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
        self._house = house
        self._unlock = unlock
        self._adopted = adopted
        self._look, self._face = look, face
        self._seldom = Seldom(REFUSED_AGAIN_S)
        self._refused_by_lock = ""
        self._unsaved: dict[str, bytes] = {}
        self._clock, self._again_at = clock, clock()

    def handle(self, message: Incoming) -> None:
        """Anything a broker may deliver; what is wrong with it is said, never raised."""
        try:
            self._hear(message)
        except Exception as error:
            # Safe to go on: a document takes effect by one assignment, or not at all. Raised, five messages that
            # nobody had to sign would end the door.
            log.exception("The message on %r could not be handled.", message.topic)
            self._say_failed(message.topic.removeprefix(self._link.topics[""]), type(error).__name__)

    def _say_failed(self, leaf: str, error: str) -> None:
        code = str(Reason.INTERNAL_ERROR)
        is_document = leaf in DOCUMENTS
        if is_document:
            refusal = {"refused": code, "refused_why": error, "refused_topic": leaf}
            self._link.say_applied(self._holdings.applied().model_copy(update=refusal))
        if not self._seldom.due(f"{leaf} {code}" if is_document else code):
            return
        if is_document:
            self._journal.tell("notice", f"{leaf}_refused", more={"code": code})
        else:
            self._journal.tell("denied", code, EventDetail(by=error))

    def _hear(self, message: Incoming) -> None:
        leaf = message.topic.removeprefix(self._link.topics[""])
        if leaf in DOCUMENTS:
            begun = self._clock()
            self._unsaved.pop(leaf, None)
            self._take_document(leaf, message.payload, self._offer(leaf, message.payload))
            if self._unsaved:
                self._rest(begun)
        elif leaf == "event/ack":
            self._journal.acknowledged(message.payload)
        elif leaf == "ask":
            self._answer(message)
        elif leaf == "lock/result":
            self._hear_lock(message)
        else:
            self._house.hear(message)

    def beat(self) -> None:
        """What the disk did not take is offered again: nobody sends a list twice, and an erased person must go."""
        begun = self._clock()
        if begun < self._again_at:
            return
        self._holdings.finish()
        for leaf, payload in list(self._unsaved.items()):
            outcome = self._offer(leaf, payload)
            if outcome.refused != NOT_SAVED:
                del self._unsaved[leaf]
                self._take_document(leaf, payload, outcome)
        self._rest(begun)

    def _rest(self, begun: float) -> None:
        now = self._clock()
        self._again_at = now + max(RETRY_S, RESTS * (now - begun))

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
        # Asked after the look, which may itself have seen somebody and told of it.
        if not self._journal.has_room:
            image, reason, sentence = b"", str(Reason.INTERNAL_ERROR), UNRECORDED_SENTENCE
        elif not shown:
            reason, sentence = str(Reason.CAMERA_LOST), "The camera gives no picture; look at its cable."
        elif not image:
            reason, sentence = NOBODY_THERE, NOBODY_SENTENCE
        self._link.answer(Answer(id=ask.id, ok=not reason, reason=reason, sentence=sentence, image=image))
        # Without room this is counted only, as is whatever else goes by then.
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
