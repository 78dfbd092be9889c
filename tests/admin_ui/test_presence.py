"""What the page knows of a door from what it said: cleared topics, doors that are no more, names that are none."""

from __future__ import annotations

import pytest

from admin_ui.link import LEAVES
from firmware_config.broker import Incoming
from firmware_config.messages import ONLINE, Applied, Challenge, Health, encode
from tests.admin_ui.silent_desk import TOPICS, SilentDesk, hear, page_link

HEALTH = encode(Health(software="0.2.0", lock="LOCKED"))
BEAT = encode(Challenge(challenge="ab" * 16))


def test_a_cleared_topic_takes_back_its_own_word_and_no_other() -> None:
    link = page_link()
    for leaf, word in (("availability", ONLINE), ("health", HEALTH), ("lock/state", b"LOCKED"), ("challenge", BEAT)):
        hear(link, leaf, word)
    for leaf in LEAVES:
        hear(link, leaf, b"")
    seen = link.presence("front")
    assert seen.online, "nobody said that it is offline"
    assert seen.challenge == "ab" * 16
    assert seen.health is None
    assert seen.lock == "unknown"


def test_a_report_after_a_gap_is_a_later_one_than_all_before_it() -> None:
    link, runs = page_link(), encode(Applied(generation=1, encoder_id="0" * 64, model_version="1.0.0"))
    said, kept = (Incoming(TOPICS["applied"], runs, retained) for retained in (False, True))
    for _ in range(3):
        link._take_applied(TOPICS, said)
    before = link.presence("front").report
    link._connected()
    link._take_applied(TOPICS, kept)
    assert link.presence("front").applied is not None
    assert link.presence("front").report == 0, "what the broker kept is from any time"
    link._take_applied(TOPICS, said)
    assert link.presence("front").report > before


def test_a_last_will_is_believed() -> None:
    link = page_link()
    hear(link, "availability", ONLINE)
    hear(link, "availability", b"offline")
    assert not link.presence("front").online


def test_a_door_that_was_revoked_is_forgotten_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = SilentDesk()
    link = page_link(desk)
    hear(link, "availability", ONLINE)
    desk.doors.clear()
    for _ in range(5):
        hear(link, "challenge", BEAT)
        hear(link, "event", b"{}")
    assert not link.presence("front").online
    assert caplog.text.count("no keys for a door") == 1
    assert link._intake.waiting == 0, "nothing of it waits for the store"
    desk.doors.add("front")
    hear(link, "availability", ONLINE)
    desk.doors.clear()
    hear(link, "challenge", BEAT)
    assert caplog.text.count("no keys for a door") == 2, "revoked again, told again"


def test_a_topic_that_no_door_can_have_is_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    page_link()._receive(Incoming("latchkey/home/Front Door/health", HEALTH, retained=False))
    assert "cannot name a site or door" in caplog.text
    assert "Traceback" not in caplog.text
