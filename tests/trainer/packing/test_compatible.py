"""What an older encoder's templates are worth to a newer one's probes: measured, judged, and taught for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from device.embed import Encoder
from firmware_config.bundle import pack_bundle, read_bundle
from firmware_config.errors import BadInput, BadState
from firmware_config.face import FloatArray, ImageArray
from tests.admin_ui.toys import toy_onnx
from tests.makers import bundle_parts
from tests.makers_training import quiet
from tests.trainer.test_distill import config_of
from trainer import distill, train
from trainer.config import Config, OldEncoder
from trainer.data import Faces, IntArray
from trainer.measuring import calibrate
from trainer.packing import gate
from trainer.packing.compatible import UNSURE, Earlier, check_older, measure
from trainer.teaching.lessons import Aim, Lesson, TurnedLessons
from trainer.teaching.old_space import CompatibleLessons, homes, load_old, middles
from trainer.terms import sources


def unit(rows: np.ndarray) -> FloatArray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


PEOPLE, EACH = 40, 4
IDENTITIES = np.repeat(np.arange(PEOPLE), EACH)


def pictures() -> Faces:
    """Crops that say nothing but their number; the encoders below look them up."""
    pixels = np.zeros((PEOPLE * EACH, 128, 128, 3), np.uint8)
    pixels[:, 8, 8, 0] = np.arange(PEOPLE * EACH)  # the first pixel that a door would see
    return Faces(pixels, IDENTITIES, tuple(f"p{i}" for i in range(PEOPLE * EACH)))


class Spoken:
    """An encoder that puts each person somewhere, its pictures around, and notes nothing else."""

    def __init__(self, spread: float, seed: int, space: int = 0) -> None:
        centres = np.random.default_rng(space).normal(size=(PEOPLE, 128))
        noise = np.random.default_rng(seed).normal(size=(PEOPLE * EACH, 128))
        self.rows = unit(centres[IDENTITIES] + spread * noise)

    def __call__(self, crops: ImageArray) -> FloatArray:
        return self.rows[crops[:, 0, 0, 0]]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "BOOTSTRAPS", 5)


EARLIER = Earlier(read_bundle(pack_bundle(bundle_parts(), None), None), same_images=True)
NEW_ID = "a" * 64


def test_pairs_across_are_counted_as_a_loop_counts_them() -> None:
    old, new = Spoken(1.2, seed=1), Spoken(0.8, seed=2)
    found = calibrate.calibrate(old.rows, IDENTITIES, "made up", probes=new.rows)
    genuine, impostor = [], []
    for i in range(len(IDENTITIES)):
        for j in range(len(IDENTITIES)):
            if i != j:
                distance = float(np.linalg.norm(old.rows[i] - new.rows[j]))
                (genuine if IDENTITIES[i] == IDENTITIES[j] else impostor).append(distance)
    assert (found.genuine_pairs, found.impostor_pairs) == (len(genuine), len(impostor))
    for rate in (1e-2, 1e-3):
        [point] = [each for each in found.operating_points if each.fmr == rate]
        # The loop's float32 rounds otherwise in the last bit: one pair may be on the other side.
        assert abs(sum(distance <= point.tau for distance in impostor) - int(rate * len(impostor))) <= 1
        assert point.fnmr == pytest.approx(
            np.mean([distance > point.tau for distance in genuine]), abs=1.5 / len(genuine)
        )
        assert point.tau_low <= point.tau <= point.tau_high


def test_a_better_encoder_in_the_same_space_proves_it() -> None:
    said: list[str] = []
    proof = measure(Spoken(1.3, 1), Spoken(0.9, 2), EARLIER, NEW_ID, pictures(), "made up", said.append)
    assert (proof.templates, proof.probes) == (EARLIER.bundle.manifest.encoder_id, NEW_ID)
    assert proof.old == EARLIER.bundle.calibration
    assert proof.cross_tar >= proof.old_tar
    assert "across" in said[0]
    assert UNSURE not in proof.cross.source
    other = Earlier(EARLIER.bundle, same_images=False)
    assert UNSURE in measure(Spoken(1.3, 1), Spoken(0.9, 2), other, NEW_ID, pictures(), "made up", quiet).cross.source


@pytest.mark.parametrize("new", [Spoken(1.9, 2), Spoken(0.9, 2, space=7)], ids=["a worse encoder", "another space"])
def test_a_comparison_that_is_worse_than_the_older_encoder_alone_is_not_declared(new: Spoken) -> None:
    with pytest.raises(BadState, match="Nothing was written"):
        measure(Spoken(1.2, 1), new, EARLIER, NEW_ID, pictures(), "made up", quiet)


def test_one_encoder_is_declared_once() -> None:
    check_older([EARLIER.bundle])
    with pytest.raises(BadInput, match="each of another encoder"):
        check_older([EARLIER.bundle, EARLIER.bundle])


def test_the_gate_takes_as_good_and_no_less() -> None:
    gate.check_compatible(0.9, 0.9)
    for cross in (0.8999, float("nan")):
        with pytest.raises(BadState, match="is not declared"):
            gate.check_compatible(cross, 0.9)


def test_a_person_s_home_is_the_middle_of_their_pictures() -> None:
    rows = unit(np.random.default_rng(1).normal(size=(5, 128)))
    found = middles(rows, np.array([0, 1, 0, 2, 0]))
    assert found[0] == pytest.approx(unit(rows[[0, 2, 4]].sum(axis=0, keepdims=True))[0], abs=1e-6)
    assert np.array_equal(found[0], found[4])
    assert found[3] == pytest.approx(rows[3], abs=1e-6)


class HomeLessons:
    """Targets that are the homes themselves, turned away; look 1 blends each crop with the next."""

    turns: tuple[int, ...] = (0, 1)

    def __init__(self, home: FloatArray, turn: FloatArray) -> None:
        self.targets, self.count = unit(home @ turn), len(home)

    def read(self, look: int, rows: IntArray, random: np.random.Generator) -> Lesson:
        del random
        blend = None if look == 0 else ((rows + 1) % self.count, np.full(len(rows), 0.25, np.float32))
        return Lesson(torch.zeros(len(rows), 3, 8, 8), self.targets[rows], blend)

    def sample(self) -> tuple[IntArray, FloatArray]:
        return np.arange(self.count), self.targets


def turned(weight: float) -> tuple[CompatibleLessons, FloatArray, TurnedLessons]:
    random = np.random.default_rng(4)
    home = unit(random.normal(size=(400, 128)))
    turn = np.linalg.qr(random.normal(size=(128, 128)))[0].astype(np.float32)
    inner = TurnedLessons(HomeLessons(home, turn), lambda rows: home[rows])
    return CompatibleLessons(inner, home, weight), home, inner


def test_the_space_is_turned_onto_the_older_one_and_no_distance_changes() -> None:
    lessons, home, inner = turned(weight=0.0)
    rows = np.arange(50)
    targets = lessons.read(0, rows, np.random.default_rng()).targets
    assert targets == pytest.approx(home[rows], abs=1e-4)
    before = inner.sample()[1] @ inner.rotation.T
    assert targets @ targets.T == pytest.approx(before[rows] @ before[rows].T, abs=1e-4)
    assert inner.rotation @ inner.rotation.T == pytest.approx(np.eye(128), abs=1e-5)


def test_a_weight_draws_targets_home_as_a_second_regression_would() -> None:
    lessons, home, inner = turned(weight=0.5)
    home += 0.3 * unit(np.random.default_rng(9).normal(size=home.shape))  # no longer where the targets are
    home[:] = unit(home)
    rows = np.arange(20)
    target = torch.from_numpy(inner.sample()[1][rows])
    pulled = torch.from_numpy(lessons.read(0, rows, np.random.default_rng()).targets)
    # What minimises |f - t|^2 + w |f - h|^2 among unit rows, found by going downhill.
    free = torch.nn.Parameter(target.clone())
    descent = torch.optim.SGD([free], lr=0.2)
    for _ in range(200):
        descent.zero_grad()
        found = torch.nn.functional.normalize(free)
        loss = (found - target).square().sum(1) + 0.5 * (found - torch.from_numpy(home[rows])).square().sum(1)
        loss.sum().backward()
        descent.step()
    assert torch.allclose(torch.nn.functional.normalize(free.detach()), pulled, atol=1e-3)


def test_a_blend_is_at_home_between_its_two_people() -> None:
    lessons, home, _before = turned(weight=1e6)  # all home
    rows = np.arange(10)
    blended = lessons.read(1, rows, np.random.default_rng()).targets
    assert blended == pytest.approx(unit(0.75 * home[rows] + 0.25 * home[rows + 1]), abs=1e-4)


def old_bundle(folder: Path) -> OldEncoder:
    """A real, tiny encoder in a bundle on disk."""
    model = toy_onnx(3)
    path = folder / "old.latchkey"
    path.write_bytes(pack_bundle(bundle_parts("0.9.0", model), None))
    return OldEncoder(bundle=str(path), encoder_id=Encoder(model).encoder_id, weight=1.0)


def test_another_bundle_at_that_path_is_refused(tmp_path: Path) -> None:
    old = old_bundle(tmp_path)
    with pytest.raises(BadInput, match="not the one that the configuration pins"):
        load_old(old.model_copy(update={"encoder_id": "0" * 64}))
    with pytest.raises(BadInput, match="cannot be read"):
        load_old(old.model_copy(update={"bundle": str(tmp_path / "none")}))


def test_homes_are_asked_for_once_and_a_damaged_file_is_said(
    six_people: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_old(old_bundle(tmp_path))
    made = homes(encoder, six_people, tmp_path / "lessons", quiet)
    crops = six_people.centre()
    both = unit(encoder.embed(crops) + encoder.embed(np.ascontiguousarray(crops[:, :, ::-1])))
    assert made == pytest.approx(middles(both, six_people.identities), abs=1e-5)
    monkeypatch.setattr(encoder, "embed", None)
    assert np.array_equal(homes(encoder, six_people, tmp_path / "lessons", quiet), made)
    [path] = (tmp_path / "lessons").glob("homes-*.npy")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(BadState, match="Remove it"):
        homes(encoder, six_people, tmp_path / "lessons", quiet)


def test_a_student_that_is_taught_so_comes_nearer_to_the_older_encoder(
    shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(160, 128)))[0].astype(np.float32)
    for where in ("trainer.teaching.kept.fit_aim", "trainer.teaching.lessons.fit_aim"):
        monkeypatch.setattr(where, lambda rows, whiten: Aim(np.zeros(160, np.float32), matrix))
    config = config_of(tmp_path, crops=1280, old=old_bundle(tmp_path).model_dump())
    faces, split = train.load_faces(config, shard_folder)
    school = distill.distill(config, faces, split, tmp_path / "run", quiet)
    strangers = faces.take(split.validation)
    old = load_old(config.distill.old)  # type: ignore[union-attr, arg-type]
    untaught = distill.build_school(config, config.distill, faces.take(split.train)).result  # type: ignore[arg-type]

    def apart(network: torch.nn.Module) -> float:
        rows = train.embed(config, network, strangers.centre())
        return float(np.linalg.norm(rows - old.embed(strangers.centre()), axis=1).mean())

    assert apart(school.result) < apart(untaught) - 0.2
    resumed = config.model_copy(
        update={"distill": config.distill.model_copy(update={"old": None})}  # type: ignore[union-attr]
    )
    with pytest.raises(BadState, match="older encoder"):
        distill.distill(resumed, faces, split, tmp_path / "run", quiet)


def test_a_configuration_names_the_older_encoder_in_what_it_was_trained_on(tmp_path: Path) -> None:
    old = old_bundle(tmp_path)
    config: Config = config_of(tmp_path, old=old.model_dump())
    assert any(old.encoder_id[:12] in name for name in sources(config))
