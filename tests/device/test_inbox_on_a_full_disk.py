"""What the page sends while the door's disk takes nothing: offered again without end, but not all the time."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

import device.shelf
from device.inbox import RESTS, Inbox
from device.journal import RETRY_S
from firmware_config.broker import Incoming
from firmware_config.messages import Answer, Ask, decode, encode
from tests.makers import Premises


class Desk:
    """An inbox with a clock that the test moves; a list takes `takes_s` of it to read."""

    def __init__(self, premises: Premises, takes_s: float = 0.0) -> None:
        self.now = 100.0
        self.tried: list[tuple[float, float]] = []
        self.room = True
        self.told: list[str] = []
        self.answers: list[Answer] = []
        self.holdings = premises.holdings()
        offering = self.holdings.offer_roster

        def offer(sealed: bytes) -> Any:
            self.now += takes_s
            self.tried.append((self.now - takes_s, self.now))
            return offering(sealed)

        self.holdings.offer_roster = offer  # type: ignore[method-assign]
        self.topics = premises.topics
        link: Any = SimpleNamespace(
            topics=self.topics,
            say_applied=lambda _: None,
            answer=self.answers.append,
            take_ask=lambda message: decode(Ask, message.payload, "ask"),
        )
        journal: Any = Journal(self)
        house: Any = None
        self.inbox = Inbox(
            *(link, self.holdings, journal, house, lambda _: None, lambda: None),
            clock=lambda: self.now,
            look=self.look,
            face=lambda: b"a face",
        )

    def send(self, sealed: bytes) -> None:
        self.inbox.handle(Incoming(self.topics["roster"], sealed, retained=False))

    def ask(self, action: Any) -> Answer:
        asked = Ask(id="12" * 16, challenge="34" * 16, action=action, by="olga")
        self.inbox.handle(Incoming(self.topics["ask"], encode(asked), retained=False))
        return self.answers[-1]

    def loop(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.05
            self.inbox.beat()

    def pauses(self) -> list[float]:
        """Seconds between an attempt's end and the next one."""
        return [begun - ended for (_, ended), (begun, _) in pairwise(self.tried)]

    def look(self) -> bytes:
        return b"a picture"


class Journal:
    """Of a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def has_room(self) -> bool:
        return self._desk.room

    def tell(self, _outcome: str, reason: str, *_: object, **__: object) -> None:
        self._desk.told.append(reason)

    def note(self, *_: object) -> None:
        return None


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_long_list_that_cannot_be_saved_leaves_the_loop_its_time(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(premises, takes_s=2.0)
    with monkeypatch.context() as broken:
        broken.setattr(device.shelf, "write_atomic", full)
        desk.send(premises.sealed(premises.roster(1, {"Ada": 7})))
        desk.loop(60)
        assert len(desk.pauses()) >= 5
        assert min(desk.pauses()) >= RESTS * 2.0
    desk.loop(RESTS * 2.0 + 0.1)
    assert desk.holdings.generation == 1, "nobody sends it once more"


def test_a_short_list_that_cannot_be_saved_is_offered_once_a_second(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(premises)
    monkeypatch.setattr(device.shelf, "write_atomic", full)
    desk.send(premises.sealed(premises.roster(1, {"Ada": 7})))
    desk.loop(10)
    assert desk.pauses()
    assert all(RETRY_S <= pause < RETRY_S + 0.1 for pause in desk.pauses())


@pytest.mark.parametrize("action", ["look", "face"])
def test_nobody_looks_unrecorded(premises: Premises, action: str) -> None:
    desk = Desk(premises)
    assert desk.ask(action).image
    assert desk.told == ["looked_through"]
    desk.room = False
    answer = desk.ask(action)
    assert (answer.ok, answer.reason, answer.image) == (False, "internal_error", b"")
    assert "cannot write its log" in answer.sentence


def test_a_look_that_takes_the_last_room_shows_nothing(premises: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is late sees a frame for it, and may tell of whom it sees."""

    def look(desk: Desk) -> bytes:
        desk.room = False
        return b"a picture"

    monkeypatch.setattr(Desk, "look", look)
    assert not Desk(premises).ask("look").ok
