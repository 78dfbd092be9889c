"""Recorded frames through `latchkey-device replay`: the same frames give the same decisions, to the line.

The encoder is a small ONNX graph made here (coarse pixels, projected), so that this log changes when the way of a
frame or a rule changes, and not when an encoder is trained anew.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from device.align import align
from device.cli import main
from device.demo_camera import DemoScene, parse_demo, walkup
from device.detect import Detector
from device.embed import Encoder
from firmware_config.bundle import Golden, Manifest, golden_bytes, pack_bundle
from firmware_config.face import ImageArray
from firmware_config.keys import SigningKey
from firmware_config.messages import encode
from firmware_config.roster import Person, Policy, Roster, template_bytes
from tests.makers import calibration

FPS = 8.0
DEMO = "demo:?owners=31,32&strangers=5,6&photos=1&walkups=4&gap=1.3&seed=3"
"""Owners show the photo that they are enrolled with: coarse pixels recognise a picture, not a person."""

GOLDEN = [
    ("1", "granted", "granted", "Person 32"),
    ("2", "denied", "unknown_face", ""),
    ("3", "granted", "granted", "Person 31"),
    ("4", "denied", "unknown_face", ""),
]


def pixel_encoder() -> bytes:
    """uint8[N, 112, 112, 3] -> float32[N, 128]: 14x14 averages without their mean, projected, unit length."""
    weights = np.random.default_rng(0).normal(size=(14 * 14 * 3, 128)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["coarse"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["coarse"], ["flat"]),
        helper.make_node("ReduceMean", ["flat", "axes"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["flat", "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "weights"], ["projected"]),
        helper.make_node("Add", ["projected", "nudge"], ["nudged"]),  # a flat grey crop has no direction of its own
        helper.make_node("LpNormalization", ["nudged"], ["embeddings"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "pixels",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", 112, 112, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 128])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
            numpy_helper.from_array(np.full(128, 1e-3, np.float32), "nudge"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def bundle_of(model: bytes) -> bytes:
    inputs = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    manifest = Manifest(
        name="pixels",
        version="1.0.0",
        encoder_id=sha256(model).hexdigest(),
        created=datetime(2025, 1, 1, tzinfo=timezone.utc),
        trained_on=[],
        licence="Apache-2.0",
    )
    parts = {
        "manifest.json": encode(manifest),
        "encoder.onnx": model,
        "calibration.json": encode(calibration()),
        "golden.npz": golden_bytes(Golden(inputs, Encoder(model).embed(inputs))),
        "MODEL_CARD.md": b"Coarse pixels, for a test.\n",
    }
    return pack_bundle(parts, SigningKey.generate())


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


def enrolled(person: int, faces: dict[int, list[ImageArray]], encoder: Encoder, detector: Detector) -> Person:
    """From a frame of a walk-up of its own, by the same way as at the door."""
    plan = parse_demo(f"demo:?owners={person}&strangers=&photos=1&seed=11")
    image, _ = DemoScene(plan, faces).at(plan.approach + 0.2)
    crop = align(image, detector.detect(image)[0].landmarks)
    template = encoder.embed(crop[None])[0]
    return Person(id=f"p{person}", name=f"Person {person}", templates=[template_bytes(template)])


@pytest.fixture
def arguments(tmp_path: Path, recording: Path, att: dict[int, list[ImageArray]], detector: Detector) -> list[str]:
    model = pixel_encoder()
    (tmp_path / "pixels.latchkey").write_bytes(bundle_of(model))
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
