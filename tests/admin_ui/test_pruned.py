"""The page lets a door prune its audit, where it has stored what the door says about it and nothing is amiss."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from admin_ui.service import Office
from firmware_config.chain import Head
from firmware_config.events import Event, EventDetail, open_ack, seal_event
from firmware_config.messages import Health, Topics, encode

TOPICS = Topics("home", "front")
CUT = Head(6, "cc" * 32)


@pytest.fixture
def office(make_office: Callable[..., Office]) -> Office:
    made = make_office()
    made.add_door("front", by="olga")
    return made


def say(office: Office, number: int, seq: int, prune: str = "", off: timedelta = timedelta(0)) -> str:
    """The door tells an event that is record `seq`, the office stores it -> what it agrees to."""
    key = office._keyring.door("front").door
    event: Event = seal_event(
        key,
        TOPICS,
        event_id=f"{number:032x}",
        at=datetime.now(timezone.utc) + off,
        outcome="notice",
        reason="audit_pruning",
        detail=EventDetail(audit_seq=seq, audit_head=f"{seq:064x}" if seq != 6 else CUT.hash, prune=prune),
    )
    stored = office._desk.on_events([("front", event)])
    assert stored == {"front": [event.id]}, "whatever it thinks of pruning, the event itself is kept"
    ack = office._desk.acknowledge("front", stored["front"])
    assert open_ack(key, TOPICS, encode(ack)) == ack
    return ack.prune


def test_a_door_may_prune_what_it_asked_for_once_that_is_stored(office: Office) -> None:
    say(office, 1, 6)
    assert say(office, 2, 9, str(CUT)) == str(CUT)
    assert office.audit_heads()["front"].seq == 9, "the head that is kept covers the record of the pruning"
    assert say(office, 3, 10) == "", "said once, with the event that asked"
    assert say(office, 2, 9, str(CUT)) == str(CUT), "a door that did not hear it asks with the same event"


def test_a_record_that_is_not_the_one_it_was_is_an_alarm_and_stays(office: Office) -> None:
    say(office, 1, 6)
    assert say(office, 2, 9, str(Head(6, "dd" * 32))) == ""
    assert "was written anew" in office.audit_heads()["front"].alarm


def test_nothing_is_pruned_while_an_alarm_is_open(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    say(office, 1, 8)
    for _ in range(2):
        office._desk.on_health("front", Health(software="0", audit_seq=5, audit_head="ee" * 32))
    assert office.audit_heads()["front"].alarm
    assert say(office, 2, 9, str(CUT)) == ""
    assert "an alarm about its audit is open" in caplog.text
    office.accept_audit("front", by="olga")
    assert say(office, 3, 10, str(CUT)) == str(CUT)


@pytest.mark.parametrize("days", [-2, 2, 4000])
def test_a_door_whose_clock_is_wrong_takes_no_young_record_for_an_old_one(office: Office, days: int) -> None:
    assert say(office, 1, 9, str(CUT), timedelta(days=days)) == ""
    assert say(office, 2, 10, str(CUT)) == str(CUT)


def test_a_door_says_where_the_record_of_it_is(office: Office) -> None:
    assert say(office, 1, 0, str(CUT)) == "", "none on its disk: sent while that was full"
    assert say(office, 2, 5, str(CUT)) == "", "a record cannot tell of one that comes after it"
