"""What the tabs show: sentences, escaped, and a plot that reads at the ends of its scale."""

import re
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from admin_ui.batch import Row
from admin_ui.chronicle import Measure, Why
from admin_ui.page import markup, markup_accounts, markup_events, markup_people
from admin_ui.page.photo import MAX_PHOTO_BYTES, forget_photo, photo_bytes
from admin_ui.page.plot import share_words, threshold_plot
from admin_ui.reception import ActView
from admin_ui.sentences import at_the_door
from admin_ui.views import DoorView, EventView, PersonView, ThresholdView, Verdict
from admin_ui.waiting import Batch
from firmware_config.errors import BadInput
from firmware_config.messages import Health

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=timezone.utc)
EVIL = '<img src=x onerror="alert(1)">'


def door(online: bool = True, applied: int = 3, **health: object) -> DoorView:
    return DoorView(
        name="front",
        online=online,
        generation=3,
        applied_generation=applied,
        people=2,
        encoder_id="ab" * 32,
        model_version="1.2.0",
        tau=1.0,
        lock="LOCKED",
        refused="",
        problems=(),
        health=Health.model_validate({"software": "1", "camera": "ok", "fps": 14.9} | health),
    )


def event(outcome: str, reason: str, sentence: str, **more: object) -> EventView:
    return EventView("1", "front", NOW, outcome, reason, sentence, **more)  # type: ignore[arg-type]


def view(tau: float = 1.0, lowest: float = 0.0) -> ThresholdView:
    taus = tuple(float(tau) for tau in np.linspace(0.5, 1.5, 21))
    fmr = tuple(max(lowest, 0.0 if tau < 0.8 else 10 ** (tau * 4 - 7)) for tau in taus)
    fnmr = tuple(float(1.6 - tau) for tau in taus)
    return ThresholdView(
        "front", tau, 0.7, 0.5, 1.5, 0.005, taus, fmr, fnmr, (), ((0.6, "granted"), (1.4, "denied")), ""
    )


def test_nothing_that_people_typed_becomes_html() -> None:
    texts = [
        markup_people.people_list([PersonView(EVIL, EVIL, (EVIL,), NOW)], 1, NOW),
        markup_people.card(PersonView(EVIL, EVIL, (EVIL,), NOW, kept=True), NOW),
        markup_people.consent(1, EVIL),
        markup_people.batch_table(Batch((Row(EVIL, EVIL, (EVIL,), sentence=EVIL),), "", 0.0)),
        markup_accounts.acts([ActView(1, NOW, EVIL, EVIL, EVIL)]),
        markup_accounts.password(EVIL, EVIL),
        markup_events.why(
            Why(event("denied", EVIL, EVIL, person=EVIL), 1.0, (EVIL,), (Measure(EVIL, 1.0, EVIL, True),))
        ),
        markup.note(EVIL),
        markup.header(EVIL, EVIL),
        markup.verdict(Verdict(False, (EVIL,))),
        markup.events([event("granted", EVIL, EVIL, person=EVIL, by=EVIL, why=EVIL, scene=EVIL)]),
        markup.door_card(door(camera=EVIL, stage_ms={EVIL: 1.0}), EVIL),
    ]
    assert [text for text in texts if "<img src=x" in text] == []


def test_a_pictures_way_is_shown_in_its_order_without_what_took_no_time() -> None:
    sent = {"frame": 6.9, "embed": 2.9, "decode": 0.04, "wait": 0.1, "detect": 3.0, "another": 1.0, "capture": 0.2}
    text = markup.door_card(door(stage_ms=sent), "front")
    assert re.findall(r"<dt>([^<]*)</dt>", text) == ["capture", "wait", "detect", "embed", "frame", "another"]


def test_event_names_who_came_in_and_why_somebody_did_not() -> None:
    text = markup.events(
        [
            event("granted", "granted", "Let in.", person="Ana", distance=0.712),
            event("denied", "too_dark", "The face was too dark to tell.", scene="12"),
            event("notice", "remote_unlock", "Unlocked from the page.", by="olga"),
            event("notice", "remote_unlock", "Unlocked from the page.", by="ivo", why="a courier"),
        ]
    )
    assert "Ana came in" in text
    assert "distance 0.71" in text
    assert "The face was too dark to tell." in text
    assert "Unlocked from the page. By olga." in text
    assert "Unlocked from the page. By ivo: a courier" in text


def test_door_says_when_it_lags_behind_or_is_away() -> None:
    assert "up to date" in markup.door_card(door())
    assert "3 sent, 2 running" in markup.door_card(door(applied=2))
    away = markup.door_card(door(online=False), "The page has no connection.")
    assert "Offline" in away
    assert "Seeing" not in away  # what it said before it vanished is not shown as now
    assert "The page has no connection." in away


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        ({"contact": "closed"}, ('lk-good"><span>Leaf', "Closed")),
        ({"contact": "open"}, ('lk-warn"><span>Leaf', "Open")),
        ({"contact": "open", "forced_open": True}, ('lk-bad"><span>Leaf', "<small>forced</small>")),
        ({"contact": "open", "held_open": True}, ('lk-bad"><span>Leaf', "<small>held</small>")),
        ({"contact": "unknown", "forced_open": True}, ('lk-bad"><span>Leaf', "Unknown")),
    ],
)
def test_leaf_is_shown_as_its_contact_says(health: dict[str, object], shown: tuple[str, str]) -> None:
    text = markup.door_card(door(**health))
    assert [words for words in shown if words not in text] == []


def test_a_door_without_a_contact_shows_no_leaf() -> None:
    assert "Leaf" not in markup.door_card(door())
    assert "Leaf" not in markup.door_card(door(online=False, contact="open"))


def test_an_alarm_at_the_leaf_stands_out_and_says_what_to_do() -> None:
    alarm = markup.events([event("notice", "forced_open", at_the_door("forced_open"))])
    assert 'class="lk-bad"' in alarm
    assert "Look at the door" in alarm
    assert "Go and look." in alarm
    calm = markup.events([event("notice", "exit_requested", at_the_door("exit_requested"))])
    assert 'class="lk-info"' in calm
    assert "pressed the exit button" in calm


def test_empty_lists_say_what_to_do() -> None:
    assert "Nobody is enrolled yet" in markup_people.people_list([], 0, NOW)
    assert "Nothing has happened" in markup.events([])
    assert "latchkey-admin door add" in markup.no_door()


def test_long_list_is_cut_with_a_word_about_the_rest() -> None:
    people = [PersonView(str(n), f"Person {n}", ("front",), NOW) for n in range(10)]
    text = markup_people.people_list(people, 12, NOW)
    assert text.count("<li>") == 10
    assert "and 2 more" in text


def test_plot_is_whole_xml_with_both_curves_and_what_runs() -> None:
    figure = ElementTree.fromstring(threshold_plot(view(), 1.2))
    drawings = figure.findall(".//svg")
    assert len(drawings) == 2  # a desk's and a phone's
    for drawing in drawings:
        names = [element.get("class") or "" for element in drawing.iter()]
        assert "lk-curve lk-fmr" in names
        assert "lk-curve lk-fnmr" in names
        running = next(line for line in drawing.iter() if line.get("class") == "lk-running")
        chosen = next(line for line in drawing.iter() if line.get("class") == "lk-chosen")
        assert float(running.get("x1", 0)) < float(chosen.get("x1", 0))
        assert {"lk-rug-granted", "lk-rug-denied"} <= set(names)


def test_plot_keeps_inside_its_frame_whatever_is_asked() -> None:
    for tau in (0.0, 0.5, 1.5, 2.0):
        figure = ElementTree.fromstring(threshold_plot(view(tau=0.5), tau))
        width = float(figure.findall(".//svg")[0].get("viewBox", "").split()[2])
        lines = [line for line in figure.findall(".//svg")[0].iter() if line.get("x1")]
        assert all(0 <= float(line.get("x1", -1)) <= width for line in lines)


@pytest.mark.parametrize(
    ("rate", "words"), [(0.0, "fewer than counted"), (1e-4, "1 in 10,000"), (0.02, "1 in 50"), (0.25, "25 %")]
)
def test_rates_are_said_in_words(rate: float, words: str) -> None:
    assert share_words(rate) == words


def test_photo_is_read_only_from_the_uploads(tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "a.png").write_bytes(b"photo")
    (tmp_path / "site.key").write_bytes(b"secret")
    (uploads / "link.png").symlink_to(tmp_path / "site.key")
    assert photo_bytes({"path": str(uploads / "a.png")}, uploads) == b"photo"
    outside = (tmp_path / "site.key", uploads / ".." / "site.key", uploads / "link.png", uploads / "none.png", uploads)
    for path in outside:
        with pytest.raises(BadInput, match="once more"):
            photo_bytes({"path": str(path)}, uploads)
        forget_photo({"path": str(path)}, uploads)
    assert (tmp_path / "site.key").read_bytes() == b"secret"
    forget_photo({"path": str(uploads / "a.png")}, uploads)
    assert not (uploads / "a.png").exists()


def test_missing_and_oversized_photos_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no photo yet"):
        photo_bytes(None, tmp_path)
    with (tmp_path / "big.png").open("wb") as big:
        big.truncate(MAX_PHOTO_BYTES + 1)
    with pytest.raises(BadInput, match="smaller"):
        photo_bytes({"path": str(tmp_path / "big.png")}, tmp_path)
