"""One person under two labels is found by what teachers say, and counted as one from then on."""

from __future__ import annotations

import numpy as np

from trainer.data import Faces
from trainer.measuring.calibrate import calibrate
from trainer.teaching.labels import one_label_each


def crowd(people: int, each: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Rows of people who are themselves in all photos, and like nobody else."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, 64))
    rows = np.repeat(centres, each, axis=0) + 0.4 * random.normal(size=(people * each, 64))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit.astype(np.float32), np.repeat(np.arange(people), each)


def faces_of(identities: np.ndarray) -> Faces:
    keys = tuple(f"ca-{person:03d}-{number:03d}" for number, person in enumerate(identities))
    return Faces(np.zeros((len(keys), 1, 1, 3), np.uint8), identities.astype(np.int64), keys)


def test_two_labels_of_one_person_become_one() -> None:
    rows, people = crowd(20, each=6)
    labels = people.copy()
    labels[people == 3] = np.array([3, 3, 3, 20, 20, 20])  # half of the photos under another name
    mended, doubled = one_label_each(faces_of(labels), rows)
    assert mended.people == 20
    assert len(set(mended.identities[people == 3])) == 1
    assert [(d.first[:6], d.second[:6]) for d in doubled] == [("ca-003", "ca-020")]
    assert doubled[0].cosine > 0.8


def test_a_third_name_joins_the_other_two() -> None:
    rows, people = crowd(5, each=6)
    labels = people.copy()
    labels[people == 0] = np.array([0, 0, 5, 5, 6, 6])
    mended, doubled = one_label_each(faces_of(labels), rows)
    assert mended.people == 5
    assert len(doubled) == 3


def test_different_people_keep_their_labels() -> None:
    rows, people = crowd(40, each=3)
    mended, doubled = one_label_each(faces_of(people), rows)
    assert np.array_equal(mended.identities, people)
    assert doubled == []


def test_a_doubled_label_no_longer_decides_the_threshold() -> None:
    rows, people = crowd(60, each=8)
    labels = people.copy()
    labels[people == 7] = np.array([7, 7, 7, 7, 60, 60, 60, 60])
    mended, _ = one_label_each(faces_of(labels), rows)
    before, after = (
        next(p.tau for p in calibrate(rows, ids, "a test").operating_points if p.fmr == 1e-4)
        for ids in (labels, mended.identities)
    )
    assert before < 0.8 * after
