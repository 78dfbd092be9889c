"""An hour of fuzzing is reached piece by piece: what is done is kept, and what is wrong is tried first."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.faults import fuzz
from tests.faults.bench import Findings, Part, Skipped
from tests.fuzz.sittings import Found, found_in, sit_down


def part(folder: Path, count: int = 3600, at_most: int = 0) -> Part:
    return Part("fuzz-pairing", seed=1, index=0, count=count, folder=folder, at_most=at_most)


def test_seconds_and_executions_add_up_over_sittings(tmp_path: Path) -> None:
    for sitting in range(1, 4):
        found = sit_down(tmp_path, [b"seed"], 100.0)
        assert (found.sittings, found.seconds) == (sitting, 600.0 * (sitting - 1))
        found.seconds += 600.0
        found.executions += 5
        found.ended = True
        found.save(tmp_path)
    assert found_in(tmp_path) == Found(1800.0, 3, 15, {}, {}, 100.0, 0.0, ended=True)


def test_the_corpus_stays_and_what_went_wrong_is_tried_again_first(tmp_path: Path) -> None:
    found = sit_down(tmp_path, [b"seed"], 0.0)
    (tmp_path / "corpus" / "kept").write_bytes(b"worth it")
    for bad in ("input-1", "stuck-2"):
        (tmp_path / bad).write_bytes(bad.encode())
    found.crashes["KeyError at x.py:1"] = "KeyError (input-1)"
    found.save(tmp_path)
    again = sit_down(tmp_path, [b"seed"], 0.0)
    assert again.crashes == {}, "a defect that was mended is forgotten, any other is found anew"
    corpus = {path.name: path.read_bytes() for path in (tmp_path / "corpus").iterdir()}
    assert corpus == {"seed-0": b"seed", "kept": b"worth it", "input-1": b"input-1", "stuck-2": b"stuck-2"}


def test_a_target_that_has_had_its_hour_is_told_and_not_run(tmp_path: Path) -> None:
    Found(seconds=3600.4, sittings=6, executions=70_000, peak_mb=300.0, ended=True).save(made(tmp_path / "pairing"))
    findings = Findings()
    fuzz.run("pairing", part(tmp_path / "part"), findings, tmp_path)
    assert findings.done == 3600
    assert findings.values["executions"] == [70_000.0]
    assert findings.notes["sittings"] == 6
    assert findings.wrong == []


def test_what_an_earlier_sitting_found_is_not_forgotten_by_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    found = Found(seconds=3600, sittings=1, executions=9, crashes={"KeyError at x.py:1": "KeyError"}, ended=False)
    found.save(made(tmp_path / "pairing"))
    findings = Findings()
    fuzz.run("pairing", part(tmp_path / "part"), findings, tmp_path)
    assert findings.values["crashes"] == [2.0], "the crash, and that it did not end by itself"
    assert "KeyError at x.py:1" in findings.wrong[0]


@pytest.mark.parametrize(
    ("bad", "lengths", "wrong"),
    [(None, ["600", "600", "300"], 0), (2, ["600", "600"], 1)],
    ids=["well", "the second bad"],
)
def test_a_long_time_is_cut_into_sittings_of_ten_minutes_and_a_bad_one_is_the_last(
    bad: int | None, lengths: list[str], wrong: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def sit(command: list[str], **_more: object) -> SimpleNamespace:
        asked.append(command[4])
        found = sit_down(tmp_path / "pairing", [b"seed"], 100.0)
        found.seconds += float(command[4])
        found.ended = len(asked) != bad
        found.save(tmp_path / "pairing")
        return SimpleNamespace(returncode=77)

    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    monkeypatch.setattr(fuzz.subprocess, "run", sit)
    findings = Findings()
    fuzz.run("pairing", part(tmp_path / "part", at_most=1500), findings, tmp_path)
    assert asked == lengths
    assert len(findings.wrong) == wrong


def test_without_atheris_it_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(Skipped, match="atheris"):
        fuzz.run("pairing", part(tmp_path / "part"), Findings(), tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris: make fuzz installs it")
@pytest.mark.timeout(600)
def test_two_sittings_of_a_real_target(tmp_path: Path) -> None:
    made(tmp_path / "part")
    for sitting in (1, 2):
        findings = Findings()
        fuzz.run("pairing", replace(part(tmp_path / "part"), at_most=5), findings, tmp_path)
        assert findings.wrong == []
        assert 4 * sitting <= findings.done <= 30 * sitting
        assert findings.notes["sittings"] == sitting
    assert list((tmp_path / "pairing" / "corpus").iterdir())


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder
