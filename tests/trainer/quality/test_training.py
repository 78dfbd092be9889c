"""quality.onnx: its scale, its measures, its place in a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from device.embed import Encoder
from device.ranker import QualityRanker
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray
from tests import makers
from tests.pixels import pixel_encoder
from tests.rankers import light_ranker
from trainer.data import SHARD_SIZE, Faces
from trainer.packing import bundling
from trainer.quality import measures, training
from trainer.quality.distortions import DISTORTIONS, LEVELS
from trainer.quality.ranking import RankingNetwork, ladder, score


@pytest.fixture(scope="module")
def network() -> RankingNetwork:
    torch.manual_seed(2)
    made = RankingNetwork()
    with torch.no_grad():
        for _ in range(5):  # statistics for batch norm
            made.train()(torch.randn(16, 3, 112, 112))
    made.eval()
    return made


@pytest.fixture(scope="module")
def crops() -> ImageArray:
    random = np.random.default_rng(4)
    low = random.integers(0, 256, (40, 14, 14, 3))
    return np.kron(low, np.ones((1, 8, 8, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def people() -> Faces:
    """Ten people of eight pictures, sharp squares with a little noise."""
    random = np.random.default_rng(6)
    base = np.kron(random.integers(30, 226, (10, 1, 16, 16, 3)), np.ones((1, 1, 8, 8, 1)))
    pixels = np.clip(base + random.normal(0, 6, (10, 8, SHARD_SIZE, SHARD_SIZE, 3)), 0, 255).astype(np.uint8)
    keys = tuple(f"ca-{i // 8:05d}-{i % 8}" for i in range(80))
    return Faces(pixels.reshape(80, SHARD_SIZE, SHARD_SIZE, 3), np.repeat(np.arange(10), 8), keys)


def _sharpness(crops: ImageArray) -> FloatArray:
    return np.abs(np.diff(crops.astype(np.float32), axis=2)).mean(axis=(1, 2, 3))


class _Noisy(RankingNetwork):
    """Scores by the share of neighbouring pixels that are alike: noise and JPEG lower it."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return -(pixels[..., 1:] - pixels[..., :-1]).abs().mean(dim=(1, 2, 3)) * 100


def test_zero_is_where_faults_have_used_half_of_the_room(crops: ImageArray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "DISTORTIONS", {"noise": DISTORTIONS["noise"]})
    encoder = Encoder(pixel_encoder())
    random = np.random.default_rng(0)
    ladders = [ladder(crop, "noise", encoder, random) for crop in crops]
    half = float(np.median([each.drift[3] for each in ladders]))
    ends = training.scale(_Noisy(), crops, encoder, tau=half / training.WORST_DRIFT)
    below = np.concatenate([each.drift[score(_Noisy(), each.pixels) < ends.worst] for each in ladders])
    above = np.concatenate([each.drift[score(_Noisy(), each.pixels) >= ends.worst] for each in ladders])
    assert float(np.median(below)) > half > float(np.median(above))
    assert ends.median > ends.worst


def test_the_exported_scale_is_zero_and_one_at_its_ends(network: RankingNetwork, crops: ImageArray) -> None:
    bare = score(network, crops)
    ends = training.Scale(worst=float(bare.min()), median=float(np.median(bare)))
    scores = QualityRanker(training.to_quality_onnx(network, ends, crops)).score(crops)
    assert float(np.median(scores)) == pytest.approx(1.0, abs=0.25)  # int8 moves it
    assert float(scores.min()) == pytest.approx(0.0, abs=0.3)


def test_a_network_that_tells_nothing_apart_has_no_scale(crops: ImageArray) -> None:
    class Blind(RankingNetwork):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.mean(dim=(1, 2, 3)) * 0

    with pytest.raises(BadInput, match="does not tell good pictures"):
        training.scale(Blind(), crops, Encoder(pixel_encoder()), tau=0.05)


def test_a_score_that_sees_blur_correlates_with_blur_and_not_with_darkness(crops: ImageArray) -> None:
    found = measures.judge(_sharpness, crops)
    assert found.srocc["blur"] > 0.8
    assert found.within["blur"] > 0.95
    assert set(found.srocc) == set(DISTORTIONS)
    assert all(len(shares) == LEVELS + 1 for shares in found.refused.values())


def test_refusing_by_a_good_score_lowers_the_misses_and_by_a_bad_one_does_not(people: Faces) -> None:
    encoder = Encoder(pixel_encoder())
    good = measures.error_versus_reject(people, encoder, 0.35, _sharpness, spoilt=True)
    random = measures.error_versus_reject(
        people, encoder, 0.35, lambda shown: np.arange(len(shown), dtype=np.float32), spoilt=True
    )
    assert (good["probes"], good["people"]) == (70, 10)
    assert good["fnmr"][0] == good["by_chance"] > 0
    assert good["fnmr"][0] == random["fnmr"][0]
    assert good["at_best"][-1] <= good["fnmr"][-1]
    assert good["fnmr"][-1] < random["fnmr"][-1]


def test_an_unspoilt_probe_is_shown_as_it_is(people: Faces) -> None:
    shown: list[ImageArray] = []
    measures.error_versus_reject(
        people, Encoder(pixel_encoder()), 1.0, lambda crops: shown.append(crops) or _sharpness(crops), spoilt=False
    )
    assert np.array_equal(shown[0][0], people.centre()[1])


def _bundle_with_history() -> bytes:
    parts = makers.bundle_parts("1.0.0")
    manifest = json.loads(parts["manifest.json"])
    rates = {"eer": 0.1, "tar_1e-2": 0.7, "tar_1e-3": 0.5}
    manifest["training"] = {"validation": {"float32": rates, "int8": rates}, "results": {}, "config": {"teacher": []}}
    return bundling.pack_bundle(parts | {"manifest.json": json.dumps(manifest).encode()}, None)


def test_a_bundle_gets_its_ranking_under_a_higher_version_and_the_card_tells(people: Faces) -> None:
    onnx = light_ranker()
    found = measures.measure_quality(onnx, Encoder(pixel_encoder()), 1.0, people)
    before = read_bundle(_bundle_with_history(), None)
    after = read_bundle(bundling.with_quality(_bundle_with_history(), onnx, found, "1.1.0"), None)
    assert after.quality == onnx
    assert after.manifest.encoder_id == before.manifest.encoder_id
    assert after.manifest.version == "1.1.0"
    assert "| darkness |" in after.model_card
    assert "quality" in after.manifest.training
    assert "rank correlation" in measures.sentence(found)


@pytest.mark.parametrize(("version", "says"), [("1.0.0", "already"), ("0.9.0", "already"), ("two", "three numbers")])
def test_a_version_that_no_door_would_take_is_refused(version: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        bundling.with_quality(_bundle_with_history(), light_ranker(), {}, version)


def test_a_bundle_that_does_not_name_its_people_gets_no_ranking(tmp_path: object) -> None:
    with pytest.raises(BadInput, match="how its people were split"):
        training.make_quality(_bundle_real(), tmp_path, 1)  # type: ignore[arg-type]


def test_people_who_did_not_calibrate_are_no_strangers_for_a_ranking(shard_folder: Path) -> None:
    parts = makers.bundle_parts(onnx=pixel_encoder())
    manifest = json.loads(parts["manifest.json"])
    people = {"calibration_people": 4, "validation_people": 2, "named": "faces-celeba"}
    manifest["training"] = {"config": {"seed": 5, "data": people}}
    bundle = bundling.pack_bundle(parts | {"manifest.json": json.dumps(manifest).encode()}, None)
    with pytest.raises(BadInput, match="not those whom the bundle was calibrated with"):
        training.make_quality(bundle, shard_folder, 1)


def _bundle_real() -> bytes:
    return bundling.pack_bundle(makers.bundle_parts(onnx=pixel_encoder()), None)
