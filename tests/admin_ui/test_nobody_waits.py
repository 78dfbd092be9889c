"""Long work in the office holds nobody up who unlocks a door, locks one down or logs in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from admin_ui import batches, journal, newcomers, portraits
from admin_ui.chronicle import EventQuery
from admin_ui.eyes import Eyes
from admin_ui.service import Office
from admin_ui.views import PersonView
from firmware_config.errors import BadInput
from tests.admin_ui.happenings import Happenings
from tests.admin_ui.test_batch import zipped
from tests.admin_ui.toys import toy_onnx

Photo = Callable[..., bytes]
PATIENCE_S = 4.0
"""Less than a writer waits for another."""


class Fire:
    """Somebody locks the front door down while the office works. in_time: whether that was over soon."""

    def __init__(self, office: Office) -> None:
        self.in_time: bool | None = None
        self._thread = threading.Thread(target=office.lock_down, args=("front", "olga", "fire"), daemon=True)

    def during(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """As `work`, and at its first call the door is locked down."""

        def worked(*given: Any, **named: Any) -> Any:
            if self.in_time is None:
                self._thread.start()
                self._thread.join(PATIENCE_S)
                self.in_time = not self._thread.is_alive()
            return work(*given, **named)

        return worked


def test_a_door_is_locked_down_beside_a_download(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    happenings = Happenings(office)
    for _ in range(3):
        happenings.tell()
    fire = Fire(office)
    monkeypatch.setattr(journal, "view", fire.during(journal.view))
    assert len(office.export_events(EventQuery(), "olga").splitlines()) == 4
    assert fire.in_time
    assert office.door("front").locked_down
    assert [(act.what, act.subject) for act in office.acts(1)] == [("export_events", "3 rows, all")]


@pytest.mark.parametrize("slow", ["crop_png", "seal_vector"])
def test_a_door_is_locked_down_beside_a_batch(
    office: Office, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    office.keep_photos(True, "boss")
    office.read_batch(zipped(tmp_path, {"ana.png": photo(1), "bo.png": photo(7)}), "boss")
    fire = Fire(office)
    for module in (portraits, newcomers):
        if hasattr(module, slow):
            monkeypatch.setattr(module, slow, fire.during(getattr(portraits, slow)))
    assert office.enrol_batch("boss").sentence == "2 people are enrolled."
    assert fire.in_time
    assert office.door("front").locked_down
    assert [office.portrait(person.id)[:4] for person in office.people()] == [b"\x89PNG"] * 2


def _in_between(office: Office, monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> list[PersonView]:
    """The waiting batch of boss is enrolled, and `change` comes after all was prepared -> everybody."""

    def late(*given: Any, **named: Any) -> Any:
        ready = newcomers.prepared(*given, **named)
        change()
        return ready

    monkeypatch.setattr(batches, "prepared", late)
    office.enrol_batch("boss")
    return office.people()


@pytest.mark.parametrize("on", [True, False])
def test_the_switch_for_photos_counts_as_it_is_when_a_batch_is_saved(
    office: Office, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on: bool
) -> None:
    office.keep_photos(not on, "boss")
    office.read_batch(zipped(tmp_path, {"ana.png": photo(1)}), "boss")
    (ana,) = _in_between(office, monkeypatch, lambda: office.keep_photos(on, "boss"))
    assert (ana.photos, ana.kept) == (1, on)


def test_a_name_and_a_face_that_were_taken_while_a_batch_was_prepared_are_left_out(
    office: Office, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"ana.png": photo(1), "bo.png": photo(7), "cy.png": photo(4)}
    office.read_batch(zipped(tmp_path, files), "boss")

    def faster() -> None:
        office.enrol("BO", photo(3), [], "olga")
        office.enrol("Cyrus", photo(4), [], "olga")

    found = _in_between(office, monkeypatch, faster)
    assert [person.name for person in found] == ["Ana", "BO", "Cyrus"]
    waits = office.waiting_batch("boss")
    assert waits is not None
    assert [row.done for row in waits.rows] == [True, False, False]
    assert "already somebody named BO" in waits.rows[1].sentence
    assert "that of Cyrus too" in waits.rows[2].sentence


@pytest.mark.parametrize("since", ["before", "meanwhile"])
def test_a_batch_is_known_to_the_encoder_that_runs_ahead_too(
    office: Office,
    photo: Photo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    eyes_for: Callable[[bytes], Eyes],
    since: str,
) -> None:
    eyes = eyes_for(toy_onnx(2))
    answers = iter([eyes if since == "before" else None, eyes])
    monkeypatch.setattr(office, "_eyes_ahead", lambda _session: next(answers))
    office.read_batch(zipped(tmp_path, {"ana.png": photo(1), "bo.png": photo(7)}), "boss")
    office.enrol_batch("boss")
    with office.store.read() as session:
        known = portraits.known_people(session, eyes.encoder_id, office._keyring.store)
    by_name = {one.name: one.vector for one in known}
    assert sorted(by_name) == ["Ana", "Bo"]
    crop = office.examine(photo(1)).crop
    assert crop is not None
    np.testing.assert_allclose(by_name["Ana"], eyes.embed([crop])[0], atol=1e-6)


def test_a_batch_that_is_enrolled_twice_at_once_is_enrolled_once(
    office: Office, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.read_batch(zipped(tmp_path, {"ana.png": photo(1)}), "boss")
    prepared = batches.prepared

    def twice(*given: Any, **named: Any) -> Any:
        ready = prepared(*given, **named)
        monkeypatch.setattr(batches, "prepared", prepared)
        office.enrol_batch("boss")
        return ready

    monkeypatch.setattr(batches, "prepared", twice)
    with pytest.raises(BadInput, match="enrolled, dropped or replaced meanwhile"):
        office.enrol_batch("boss")
    assert [person.name for person in office.people()] == ["Ana"]
