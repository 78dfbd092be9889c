"""What counts as a difference between two processors' replays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.arm64.compare import compared, main

LINE: dict[str, Any] = {
    "frame": "1.png",
    "face": True,
    "quality": "",
    "distance": 0.5,
    "runner_up": None,
    "decision": "granted",
    "reason": "granted",
    "person": "Ana",
    "decided_on": "1.png",
}


def test_rounding_is_no_difference() -> None:
    assert compared([LINE], [LINE | {"distance": 0.515}]) == ([], pytest.approx(0.015))


@pytest.mark.parametrize(
    "other",
    [
        {"decision": "none"},
        {"person": "Ben"},
        {"face": False},
        {"distance": 0.53},
        {"distance": None},
        {"runner_up": 0.9},
    ],
)
def test_another_decision_or_a_far_distance_is(other: dict[str, Any]) -> None:
    problems, _ = compared([LINE], [LINE | other])
    assert len(problems) == 1


def test_missing_frames_and_a_replay_without_decisions_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compared([LINE, LINE], [LINE])[0] == ["2 frames here, 1 there."]
    one, none = tmp_path / "one.jsonl", tmp_path / "none.jsonl"
    one.write_text(json.dumps(LINE) + "\n")
    none.write_text(json.dumps(LINE | {"decision": "none"}) + "\n")
    assert (main(one, one), main(none, none), main(one, none)) == (0, 1, 1)
    assert "1 decisions: the same" in capsys.readouterr().out
