"""A long list lies in a file that is mapped: whole, this list's, or made anew. Without a folder for it, nowhere."""

from __future__ import annotations

import logging
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from device import model
from device.gallery_file import HEADER, PATTERN, mapped, open_gallery
from device.model import build_gallery
from firmware_config.errors import BadState
from firmware_config.face import FloatArray
from firmware_config.roster import Roster
from tests.makers import POLICY, encoder_id, person, unit


@pytest.fixture
def templates() -> FloatArray:
    rows = np.random.default_rng(1).standard_normal((500, 128))
    unit_rows: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit_rows


def five_people() -> Roster:
    people = [person(f"p{number}", number) for number in range(5)]
    return Roster(site="home", door="front", generation=1, encoder_id=encoder_id(), policy=POLICY, people=people)


def only_file(folder: Path) -> Path:
    (path,) = folder.glob(PATTERN)
    return path


def test_what_is_mapped_is_what_was_given(templates: FloatArray, tmp_path: Path) -> None:
    rows, coded = mapped(templates, tmp_path)
    assert np.array_equal(rows, templates)
    assert coded.codes.shape == (500, 64)
    assert not rows.flags.writeable
    assert only_file(tmp_path).stat().st_mode & 0o077 == 0
    written = only_file(tmp_path).stat().st_mtime_ns
    mapped(templates, tmp_path)
    assert only_file(tmp_path).stat().st_mtime_ns == written, "the same list again is not written again"


def test_the_old_list_is_searched_to_the_end_and_its_file_is_gone(templates: FloatArray, tmp_path: Path) -> None:
    old, _ = mapped(templates, tmp_path)
    new, _ = mapped(templates[:400], tmp_path)
    only_file(tmp_path)
    assert np.array_equal(old, templates)
    assert len(new) == 400


@pytest.mark.parametrize("left", [0, 10, HEADER.size, HEADER.size + 70_000])
def test_a_file_cut_short_is_said_and_made_anew(
    templates: FloatArray, tmp_path: Path, left: int, caplog: pytest.LogCaptureFixture
) -> None:
    mapped(templates, tmp_path)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(BadState, match="is cut short"):
        open_gallery(path, sha256(templates.tobytes()).digest())
    with caplog.at_level(logging.WARNING):
        rows, _ = mapped(templates, tmp_path)
    assert "made anew" in caplog.text
    assert np.array_equal(rows, templates)


def test_another_lists_file_is_not_taken(templates: FloatArray, tmp_path: Path) -> None:
    mapped(templates, tmp_path)
    with pytest.raises(BadState, match="not the gallery of this list"):
        open_gallery(only_file(tmp_path), sha256(b"another").digest())


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "FEW", 2)


@pytest.mark.usefixtures("few")
def test_a_door_maps_a_long_list_only_where_systemd_gave_it_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roster = five_people()
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    in_memory = build_gallery(roster)
    assert list(tmp_path.rglob(PATTERN)) == []
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    assert build_gallery(roster).nearest(unit(3)) == in_memory.nearest(unit(3))
    only_file(tmp_path)


@pytest.mark.usefixtures("few")
def test_a_folder_that_takes_nothing_leaves_the_list_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "file"))
    gallery = build_gallery(five_people())
    match = gallery.nearest(unit(3))
    assert match is not None
    assert match.person_id == "id-p3"
    assert "held in memory instead" in caplog.text
