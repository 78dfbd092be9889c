"""Live lessons, and teachers as they are asked on a GPU: the same answers as onnxruntime's, crop by crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from firmware_config.errors import BadInput
from tests.makers_teacher import tiny_teacher
from trainer import train
from trainer.config import Config
from trainer.teaching import live, teachers
from trainer.teaching.engines import OnnxRuntime, OnTorch
from trainer.teaching.lessons import Aim
from trainer.teaching.onnx_on_torch import OnnxNetwork

CPU = torch.device("cpu")


def model(*nodes: onnx.NodeProto, opset: int = 17) -> bytes:
    """pixels: float32[N, 3, 8, 8] -> rows, through these nodes; w: float32[5, 3, 3, 3], s and b: float32[5]."""
    random = np.random.default_rng(7)

    def held(name: str, *shape: int) -> onnx.TensorProto:
        return onnx.numpy_helper.from_array(random.uniform(0.2, 1.0, shape).astype(np.float32), name)

    graph = helper.make_graph(
        list(nodes),
        "made",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, None)],
        [held("w", 5, 3, 3, 3), held("s", 5), held("b", 5), held("m", 6, 320), held("c", 6), held("p", 5, 1, 1)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return made.SerializeToString()


def convolved(*after: onnx.NodeProto) -> bytes:
    node = helper.make_node("Conv", ["pixels", "w", "b"], ["x"], pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    return model(node, *after)


@pytest.mark.parametrize(
    "made",
    [
        convolved(
            helper.make_node("BatchNormalization", ["x", "s", "b", "b", "s"], ["y"], epsilon=1e-3),
            helper.make_node("PRelu", ["y", "p"], ["z"]),
            helper.make_node("Flatten", ["z"], ["f"]),
            helper.make_node("Gemm", ["f", "m", "c"], ["rows"], transB=1, alpha=0.5, beta=2.0),
        ),
        convolved(
            helper.make_node("Constant", [], ["two"], value=onnx.numpy_helper.from_array(np.float32(2.0))),
            helper.make_node("Sub", ["x", "two"], ["y"]),
            helper.make_node("Div", ["y", "two"], ["z"]),
            helper.make_node("Clip", ["z", "", "two"], ["q"]),
            helper.make_node("Sigmoid", ["q"], ["g"]),
            helper.make_node("GlobalAveragePool", ["g"], ["a"]),
            helper.make_node("Flatten", ["a"], ["rows"]),
        ),
    ],
    ids=["sface", "others"],
)
def test_torch_says_what_onnxruntime_says(made: bytes) -> None:
    pixels = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    said = OnTorch(OnnxNetwork(made, "it"), CPU)(pixels)
    assert said.numpy() == pytest.approx(OnnxRuntime(made, 1, "it")(pixels).numpy(), rel=1e-4, abs=1e-5)


def test_what_torch_is_not_taught_is_named() -> None:
    with pytest.raises(BadInput, match=r"operators not known here: HardSwish\. It can teach with lessons"):
        OnnxNetwork(model(helper.make_node("HardSwish", ["pixels"], ["rows"])), "The teacher odd")
    uneven = model(helper.make_node("Conv", ["pixels", "w"], ["rows"], pads=[0, 0, 1, 1]))
    with pytest.raises(BadInput, match="same padding on opposite sides"):
        OnnxNetwork(uneven, "The teacher odd")(torch.zeros(1, 3, 8, 8))
    with pytest.raises(BadInput, match="The teacher odd is not an ONNX model"):
        OnnxNetwork(b"no model", "The teacher odd")


def test_a_teacher_answers_alike_from_either_engine(tmp_path: Path) -> None:
    file = tiny_teacher(tmp_path / "t.onnx", rows=12).model_copy(update={"order": "bgr"})
    crops = np.random.default_rng(3).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)
    said = teachers.load_teacher(file).say(crops)
    network = OnnxNetwork(teachers.model_of(file), "it")
    assert teachers.Teacher(file, OnTorch(network, CPU)).say(crops) == pytest.approx(said, abs=2e-2)


@pytest.fixture
def lessons(shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> live.LiveLessons:
    """Of two teachers of 90 and 70 numbers, aimed by a fixed matrix: forty crops have no 128 directions."""
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(160, 128)))[0].astype(np.float32)
    monkeypatch.setattr(live, "fit_aim", lambda rows, whiten: Aim(np.zeros(160, np.float32), matrix))
    files = [tiny_teacher(tmp_path / f"{n}.onnx", rows=n, seed=n) for n in (90, 70)]
    config = Config.model_validate(
        {
            "name": "tiny",
            "network": {"kind": "fusedfacenet", "widths": [16, 16, 32, 64], "blocks": [0, 0, 1, 0]},
            "data": {"source": "shards", "unnamed_images": 4, "calibration_people": 4, "validation_people": 2},
            "teacher": [file.model_dump() for file in files],
            "distill": {"crops": 32, "lessons": "live", "plain": 2, "mixes": 1},
        }
    )
    faces, split = train.load_faces(config, shard_folder)
    asked = [teachers.load_teacher(file) for file in files]
    return live.LiveLessons(asked, faces.take(split.train), config, CPU)


def test_no_two_lessons_on_a_crop_are_alike_and_each_repeats_with_its_chance(lessons: live.LiveLessons) -> None:
    rows = np.arange(6)
    first, again, other = (lessons.read(0, rows, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert first.targets == pytest.approx(again.targets, abs=1e-5)
    assert not torch.equal(first.images, other.images)
    assert np.linalg.norm(first.targets, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert first.images.shape == (6, 3, 112, 112)
    assert float(first.images.abs().max()) <= 1.0
    assert first.blend is None


def test_a_blend_has_its_neighbour_in_it(lessons: live.LiveLessons) -> None:
    assert lessons.turns == (0, 0, 1)
    lesson = lessons.read(1, np.array([3, 5, 8]), np.random.default_rng(1))
    assert lesson.blend is not None
    other, share = lesson.blend
    assert other.tolist() == [8, 3, 5]
    assert np.all((share >= 0.2) & (share <= 0.5))


def test_the_sample_is_what_the_teachers_say_of_the_door_s_own_crop(lessons: live.LiveLessons) -> None:
    rows, targets = lessons.sample()
    assert len(rows) == len(targets) == lessons.count
    assert np.linalg.norm(targets, axis=1) == pytest.approx(1.0, abs=1e-5)
