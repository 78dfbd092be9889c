"""Labels that two names share one person: found by the teachers, mended before anything is calibrated with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from firmware_config.face import FloatArray
from trainer.data import Faces
from trainer.teaching.lessons import ask, together
from trainer.teaching.teachers import Teacher

SAME_PERSON: Final = 0.65
"""Cosine of two people's mean rows, of all teachers, above which they are one. Among 928 people of CelebA two pairs
have 0.97 and 0.79, and no other more than 0.56: between the two nobody is."""


@dataclass(frozen=True)
class Doubled:
    """Two labels of one person: a key of each, and the cosine of their mean rows."""

    first: str
    second: str
    cosine: float


def one_label_each(faces: Faces, rows: FloatArray) -> tuple[Faces, list[Doubled]]:
    """The same images, those of one person under one label, and which labels those were.

    rows: float32[M, D], what the teachers say of them. One person under two labels is a few hundred impostor pairs
    nearer than any stranger: in a set of five million pairs that alone is the false match rate of 1e-4, and a
    threshold that keeps them apart turns everybody away.
    """
    means = np.zeros((faces.people, rows.shape[1]))
    np.add.at(means, faces.identities, rows)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    first, second = np.nonzero(np.triu(means @ means.T > SAME_PERSON, k=1))
    links = coo_array((np.ones(len(first)), (first, second)), shape=(faces.people, faces.people))
    _, label = connected_components(links, directed=False)
    key = {int(person): faces.keys[row] for row, person in reversed(list(enumerate(faces.identities)))}
    found = [Doubled(key[int(a)], key[int(b)], float(means[a] @ means[b])) for a, b in zip(first, second, strict=True)]
    _, identities = np.unique(label[faces.identities], return_inverse=True)
    return replace(faces, identities=identities.astype(np.int64)), found


def teachers_rows(teachers: list[Teacher], faces: Faces) -> FloatArray:
    """What the teachers say of each crop and its mirror image together: float32[M, D]."""
    crops = np.ascontiguousarray(faces.centre())
    said = [ask(teachers, crops), ask(teachers, np.ascontiguousarray(crops[:, :, ::-1]))]
    return together(said, [(teacher.numbers, teacher.file.weight) for teacher in teachers])
