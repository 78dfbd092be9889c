"""The bundle's ranking of quality: what it may be, and what it changes at the door."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from device import model
from device.align import align
from device.detect import Detector, Face
from device.quality import DOOR_GATE, assess
from device.ranker import QualityRanker
from firmware_config.bundle import BundleRefused, read_bundle
from firmware_config.errors import BadInput, BadState
from firmware_config.face import ImageArray, Reason
from tests import makers
from tests.rankers import light_ranker


def test_scores_are_one_number_a_crop() -> None:
    crops = np.stack([np.full((112, 112, 3), level, np.uint8) for level in (30, 60, 120)])
    assert QualityRanker(light_ranker()).score(crops) == pytest.approx([-0.5, 0.0, 1.0])


def test_another_networks_file_is_refused() -> None:
    for data in (b"not onnx", makers.toy_onnx()):
        with pytest.raises(BadInput, match="quality network"):
            QualityRanker(data)


def test_a_network_that_gives_no_number_fails_the_crop() -> None:
    with pytest.raises(BadInput, match="quality network gave"):
        QualityRanker(light_ranker(divisor=0.0))


@pytest.fixture
def seen(att: dict[int, list[ImageArray]], detector: Detector) -> tuple[ImageArray, Face, ImageArray]:
    big = cv2.resize(att[5][0], None, fx=3.0, fy=3.0, interpolation=cv2.INTER_CUBIC)
    image = np.asarray(cv2.cvtColor(big, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    face = detector.detect(image)[0]
    return image, face, align(image, face.landmarks)


def test_a_poor_picture_is_refused_as_such_and_its_score_is_told(seen: tuple[ImageArray, Face, ImageArray]) -> None:
    good = assess(*seen, ranker=QualityRanker(light_ranker(darkest=20.0)))
    poor = assess(*seen, ranker=QualityRanker(light_ranker(darkest=250.0)))
    assert good.reason is None
    assert good.values["score"] > 0
    assert poor.reason is Reason.POOR_PICTURE
    assert poor.values["score"] < 0


def test_a_reason_that_a_person_can_mend_comes_first(seen: tuple[ImageArray, Face, ImageArray]) -> None:
    gate = replace(DOOR_GATE, min_luma=250.0)
    found = assess(*seen, gate=gate, ranker=QualityRanker(light_ranker(darkest=250.0)))
    assert found.reason is Reason.TOO_DARK
    assert "score" not in found.values


def test_a_bundle_whose_ranker_does_not_load_is_refused_whole() -> None:
    bundle = replace(read_bundle(makers.toy_bundle(), None), quality=b"not onnx")
    with pytest.raises(BundleRefused, match="network of the bundle does not load"):
        model.tested(bundle, makers.ToyEncoder)


def test_a_bundle_with_a_ranker_runs_it_and_one_without_runs_none() -> None:
    bundle = read_bundle(makers.toy_bundle(), None)
    assert model.tested(bundle, makers.ToyEncoder).ranker is None
    with_ranker = model.tested(replace(bundle, quality=light_ranker()), makers.ToyEncoder)
    assert with_ranker.ranker is not None
    assert with_ranker.bundle.quality is None  # the session has it; the bytes would only take memory


def test_a_ranker_that_fails_on_a_crop_is_an_error_and_no_verdict(seen: tuple[ImageArray, Face, ImageArray]) -> None:
    ranker = QualityRanker(light_ranker())
    ranker.score = lambda crops: (_ for _ in ()).throw(BadState("no number"))  # type: ignore[method-assign]
    with pytest.raises(BadState):
        assess(*seen, ranker=ranker)
