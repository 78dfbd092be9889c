"""The board's bench: each figure against what is asked, and what could not be measured is not met."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.board import __main__ as bench
from benchmarks.board import lists, peers
from benchmarks.board.door import percentile

WALL = {
    "alone_ms": {
        "woken": {"detector": 2.0, "encoder": 1.0},
        "warm": {"detector": 1.5, "encoder": 0.9},
        "cold": {"detector": 2.5, "encoder": 1.5},
    },
    "whole_ms": [3.0] * 98 + [3.6] * 2,
    "all_searched_ms": [3.3] * 33,
    "frames": 100,
    "not_opened": 0,
    "networks_ms": 2.9,
    "opencv_ms": 0.05,
    "glue_ms": 0.7,
}
CPU = WALL | {
    "alone_ms": {"woken": {"detector": 1.5, "encoder": 1.0}},
    "whole_ms": [2.75] * 98 + [3.3] * 2,
    "glue_ms": 0.5,
}
FRAME = {"wall": WALL, "cpu": CPU}


def met(lines: list[bench.Line]) -> list[bool]:
    return [line.met for line in lines]


def test_the_way_of_a_frame_is_held_against_floor_and_peers() -> None:
    lines = bench.of_frame(FRAME, {"opencv": {"ms": 12.0, "frames": 9}, "face_recognition": {"ms": 44.0, "frames": 9}})
    assert [line.value for line in lines] == pytest.approx([1.0, 3 / 44, 0.25, 1.2, 0.7])
    assert met(lines) == [True, False, True, True, False]
    assert "encoder alone 3.00 ms, each picture after the same wait as a frame;" in lines[0].against
    assert (
        "one right after the other 2.40 ms, 1.25 x; with caches emptied before each 4.00 ms, 0.75 x" in lines[0].against
    )
    assert "those searched all over, 33, 3.30 ms, 1.10 x" in lines[0].against
    assert "in processor time 2.75 and 2.50 ms, 1.10 x" in lines[0].against
    assert "in processor time 1.20 x" in lines[3].against
    assert "in processor time 0.50 ms" in lines[4].against


def test_frames_that_did_not_open_are_no_frames_that_were_quick() -> None:
    for clock, found in FRAME.items():
        assert bench.of_frame(FRAME | {clock: found | {"not_opened": 1}}, {})[0].value is None


def test_a_peer_that_could_not_be_had_is_no_victory() -> None:
    lines = bench.of_frame(FRAME, {})
    assert met(lines) == [True, False, False, True, False]
    assert "not measured" in bench.table(lines)
    assert "could not be had" in bench.table(lines)


def test_lists_are_held_against_one_pass_and_the_quicker_rival() -> None:
    found = {
        "float32": {"floor": 4.0, "ours": 2.0, "float32 alone": 1.0, "faiss flat": 2.5, "usearch exact": 1.9},
        "int8": {"floor": 4.0, "ours": 6.0},
    }
    lines = bench.of_lists(found)
    assert [line.value for line in lines] == pytest.approx([0.5, 2 / 1.9, 1.5, None])
    assert met(lines) == [True, False, False, False]


def test_a_visit_that_did_not_open_meets_nothing() -> None:
    well = {"relay_ms": [150.0, 200.0], "missed": 0, "cpu": 0.03, "rss_mb": 150.0}
    assert met(bench.of_door(well)) == [True, True, True]
    assert met(bench.of_door(well | {"missed": 1})) == [False, True, True]
    assert met(bench.of_door(well | {"relay_ms": []})) == [False, True, True]


def test_a_start_is_counted_beyond_the_imports() -> None:
    (line,) = bench.of_start({"ready": 0.9, "imports": 0.4, "ready_cpu": 0.8, "imports_cpu": 0.35})
    assert "in processor time 450 ms" in line.against
    assert line.value == pytest.approx(500)
    assert not line.met


def test_the_result_is_written_with_the_machine_and_the_table_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "board.json"
    monkeypatch.setattr(
        bench, "starts", lambda rounds: {"ready": 0.5, "imports": 0.4, "ready_cpu": 0.5, "imports_cpu": 0.4}
    )
    monkeypatch.setattr(sys, "argv", ["board", "--only", "start", "--out", str(out)])
    assert bench.main() == 0
    result = json.loads(out.read_text())
    assert result["lines"][0]["value"] == pytest.approx(100)
    assert result["machine"]["cores"] >= 1
    said = capsys.readouterr().out
    assert "| 100 ms | 400 ms | yes |" in said
    assert f"One thread of {result['machine']['cores']}: {result['machine']['cpu']}" in said


def test_an_unknown_part_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["board", "--only", "frame,wheels"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "no part wheels" in capsys.readouterr().err


def test_contestants_take_turns_and_the_slower_takes_longer() -> None:
    order: list[str] = []
    times = lists.by_turns({"a": lambda: order.append("a"), "b": lambda: (order.append("b"), time.sleep(0.003))}, 3)
    assert order == ["a", "b"] * 4
    assert times["b"] > times["a"]
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0


def test_one_pass_moves_as_many_bytes_as_a_search_reads() -> None:
    rows = np.arange(40, dtype=np.float32).reshape(10, 4)
    lists.copy(rows)()
    found = lists.floats(300, lists.unit_rows(1, 9)[0])
    assert {"floor", "ours", "float32 alone"} <= set(found)
    assert set(lists.codes(300, lists.unit_rows(1, 9)[0])) >= {"floor", "ours"}


def test_a_peer_is_timed_over_as_many_frames_as_it_has_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [np.zeros((2, 2, 3), np.uint8)]
    assert peers.measure(lambda _: 0.0, pictures, 5)["frames"] == 5
    monkeypatch.setattr(peers, "OWN_LIMIT_S", 0.0)
    assert peers.measure(lambda _: 0.0, pictures, 5)["frames"] == 1
