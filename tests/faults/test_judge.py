"""The bench's own judgement must be able to condemn."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.bench import Figure, Findings, Part, Row
from tests.faults.clock import WallClock
from tests.faults.judge import Grant, match

FIGURES = (Figure("opened", "opened", at_most=0), Figure("control", "let in", at_least=1))


def row(*figures: Figure) -> Row:
    return Row("toy", "A toy", "faults", figures or FIGURES, 3, 10, 4, 1.0, lambda _part, _findings: None)


def found(**values: float) -> Findings:
    findings = Findings(done=1)
    for key, value in values.items():
        findings.count(key, value)
    return findings


def test_an_opening_without_a_grant_is_found() -> None:
    assert match([10.0], []).unfounded == [10.0]
    assert match([10.0], [Grant(5.9, 0.1)]).unfounded == [10.0], "a command is dead after four seconds"
    assert match([10.0], [Grant(11.1, 0.1)]).unfounded == [10.0], "a grant that came later is no reason"


def test_one_grant_opens_once() -> None:
    verdict = match([10.0, 10.3], [Grant(9.99, 0.1)])
    assert len(verdict.founded) == 1
    assert verdict.unfounded == [10.3]


def test_each_opening_takes_the_grant_nearest_to_it() -> None:
    grants = [Grant(9.99, 0.1), Grant(10.99, 0.2)]
    assert match([10.0, 11.0], grants).founded == [(10.0, grants[0]), (11.0, grants[1])]


def test_evidence_grows_old_on_the_way_to_the_relay() -> None:
    assert match([11.5], [Grant(10.0, 0.1)]).evidence_at_relay_s == [pytest.approx(1.6)]


def test_a_record_is_put_at_its_true_time_whatever_the_clock_said(tmp_path: Path) -> None:
    clock = WallClock(tmp_path / "clock", None)
    before = time.time()
    clock.jump(-86_400)
    during = time.time()
    assert clock.true_time(during - 86_400) == pytest.approx(time.monotonic(), abs=0.2)
    clock.jump(0)
    assert clock.true_time(time.time()) == pytest.approx(time.monotonic(), abs=0.2)
    assert clock.true_time(before) < clock.true_time(during - 86_400) + 0.1


def test_a_row_misses_what_is_too_much_too_little_or_never_looked_at() -> None:
    assert row().missed(found(opened=0, control=1), ci=False) == []
    assert row().missed(found(opened=1, control=1), ci=False) == ["opened: 1 (<= 0)"]
    assert row().missed(found(opened=0, control=0), ci=False) == ["let in: 0 (>= 1)"]
    assert row().missed(found(control=1), ci=False) == ["opened: not measured (<= 0)"]


def test_a_sentence_about_something_wrong_fails_the_row() -> None:
    findings = found(opened=0, control=1)
    findings.wrong.append("the door did not end")
    assert row().missed(findings, ci=False) == ["the door did not end"]


def test_what_this_machine_cannot_do_is_left_out_here_and_fails_in_ci() -> None:
    findings = Findings()
    findings.leave_out("all of it", "this needs nft: apt-get install nftables")
    assert row().missed(findings, ci=False) == []
    assert any("apt-get install nftables" in sentence for sentence in row().missed(findings, ci=True))


def test_the_worst_of_what_was_measured_counts() -> None:
    findings = Findings(done=3)
    for seconds in (0.2, 6.0, 0.3):
        findings.measure("back", seconds)
    slow = row(Figure("back", "back after", at_most=5.0, worst=True, unit=" s"))
    assert slow.missed(findings, ci=False) == ["back after: 6 s (<= 5, median 0.3)"]


def test_parts_are_the_same_whoever_runs_them(tmp_path: Path) -> None:
    parts = row().parts(7, 10, tmp_path, short=False)
    assert [part.count for part in parts] == [4, 4, 2]
    again = Part("toy", 7, 1, 4, tmp_path / "elsewhere")
    assert parts[1].random.random() == again.random.random()
    assert parts[1].random.random() != parts[2].random.random()
