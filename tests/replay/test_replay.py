"""Recorded frames through `latchkey-device replay`: the same frames give the same decisions, to the line.

The encoder is a small ONNX graph made here (coarse pixels, projected), so that this log changes when the way of a
frame or a rule changes, and not when an encoder is trained anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from device.cli import main
from device.demo_camera import DemoScene, parse_demo, walkup
from device.detect import Detector
from device.embed import Encoder
from firmware_config.face import ImageArray
from firmware_config.keys import SigningKey
from firmware_config.messages import encode
from firmware_config.roster import Policy, Roster
from tests.pixels import bundle_of, enrolled, pixel_encoder

FPS = 8.0
DEMO = "demo:?owners=31,32&strangers=5,6&photos=1&walkups=4&gap=1.3&seed=3"
"""Owners show the photo that they are enrolled with: coarse pixels recognise a picture, not a person."""

GOLDEN = [
    ("1", "granted", "granted", "Person 32"),
    ("2", "denied", "unknown_face", ""),
    ("3", "granted", "granted", "Person 31"),
    ("4", "denied", "unknown_face", ""),
]


@pytest.fixture
def recording(tmp_path: Path, att: dict[int, list[ImageArray]]) -> Path:
    """Four walk-ups as a folder of pictures, owners and strangers by turns."""
    plan = parse_demo(DEMO)
    scene = DemoScene(plan, att)
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(int(4 * plan.period_s * FPS)):
        image, label = scene.at(number / FPS)
        assert cv2.imwrite(str(folder / f"{number:04}-{label or 'nobody'}.jpg"), image)
    return folder


@pytest.fixture
def arguments(tmp_path: Path, recording: Path, att: dict[int, list[ImageArray]], detector: Detector) -> list[str]:
    model = pixel_encoder()
    (tmp_path / "pixels.latchkey").write_bytes(bundle_of(model, SigningKey.generate()))
    encoder = Encoder(model)
    roster = Roster(
        site="home",
        door="front",
        generation=1,
        encoder_id=encoder.encoder_id,
        policy=Policy(tau=0.65, tau_strict=0.4),
        people=[enrolled(person, att, encoder, detector) for person in (31, 32)],
    )
    (tmp_path / "roster.json").write_bytes(encode(roster))
    paths = ["--frames", str(recording), "--roster", str(tmp_path / "roster.json")]
    return ["replay", *paths, "--model", str(tmp_path / "pixels.latchkey"), "--fps", str(FPS)]


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_recording_gives_the_golden_decisions(
    arguments: list[str], recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--json"]) == 0
    lines = lines_of(capsys)
    assert [line["frame"] for line in lines] == sorted(path.name for path in recording.iterdir())
    decisions = [
        (Path(line["decided_on"]).stem.split("-")[1], line["decision"], line["reason"], line["person"])
        for line in lines
        if line["decision"] != "none"
    ]
    assert decisions == GOLDEN
    plan = parse_demo(DEMO)
    assert [walkup(plan, number).is_owner for number in (1, 2, 3, 4)] == [True, False, True, False]


def test_a_second_run_gives_the_same_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--json"]) == 0
    first = lines_of(capsys)
    assert main([*arguments, "--json"]) == 0
    assert lines_of(capsys) == first


def test_lines_for_people_name_the_decision(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "granted: granted Person 31" in said
    assert "denied: unknown_face" in said
    assert "nobody" in said


def test_a_roster_for_another_encoder_is_refused_with_a_sentence(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roster = json.loads((tmp_path / "roster.json").read_text())
    roster["encoder_id"] = "ab" * 32
    (tmp_path / "roster.json").write_text(json.dumps(roster))
    assert main(arguments) == 1
    assert "--model" in capsys.readouterr().err
