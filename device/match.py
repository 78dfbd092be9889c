"""Who is nearest: exact search over everybody enrolled at this door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_config.errors import BadInput, BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray


@dataclass(frozen=True)
class Match:
    """The nearest person. distance: Euclidean, 0 to 2. runner_up_distance: the nearest template of anybody else,
    infinity when nobody else is enrolled.
    """

    person_id: str
    name: str
    distance: float
    runner_up_distance: float


class Gallery:
    """The enrolled people of one roster, one or more templates each, all from one encoder."""

    def __init__(
        self,
        ids: Sequence[str],
        names: Sequence[str],
        templates: FloatArray,
        owner: npt.NDArray[np.intp],
        encoder_id: str,
    ) -> None:
        """ids, names: one a person. templates: float32[M, 128], unit rows. owner: int[M], whose row each is, an
        index into ids. encoder_id: sha256 of the encoder that made the templates.

        Raises BadInput when these do not fit together.
        """
        owner = np.asarray(owner, dtype=np.intp)
        if len(ids) != len(names) or len(set(ids)) != len(ids):
            raise BadInput("A gallery needs one name for each id, and no id twice.")
        if templates.dtype != np.float32 or templates.shape != (len(owner), EMBEDDING_SIZE):
            raise BadInput(f"Templates are float32[{len(owner)}, 128], not {templates.dtype}{list(templates.shape)}.")
        if not np.all(np.abs(np.linalg.norm(templates, axis=1) - 1) <= 1e-3):
            raise BadInput("A template is not of length 1; distances to it would mean nothing.")
        if len(owner) and not (owner.min() >= 0 and owner.max() < len(ids)):
            raise BadInput("A template belongs to a person whom the gallery does not have.")
        self.ids, self.names, self.encoder_id = tuple(ids), tuple(names), encoder_id
        # Rows of a person side by side: the best of each person is then one reduction, not a loop.
        order = np.argsort(owner, kind="stable")
        self._templates = np.ascontiguousarray(templates[order])
        self._people, self._first_row = np.unique(owner[order], return_index=True)

    def __len__(self) -> int:
        """How many people have a template."""
        return len(self._people)

    def require_encoder(self, encoder_id: str) -> None:
        """Raises BadState unless these templates come from that encoder: call it when the two are put together."""
        if encoder_id != self.encoder_id:
            raise BadState(
                f"The roster was made by encoder {self.encoder_id[:12]}, this door runs {encoder_id[:12]}; "
                f"embeddings of two encoders are never compared."
            )

    def nearest(self, embedding: FloatArray) -> Match | None:
        """The nearest person, and how near the next one is.

        embedding: float32[128], unit length, from the encoder of the gallery -> None when nobody is enrolled.
        Raises BadInput for another shape or a NaN. Exact: one matrix product, 51 MB for 100,000 people.
        """
        if embedding.shape != (EMBEDDING_SIZE,) or not np.isfinite(embedding).all():
            raise BadInput(f"An embedding is 128 finite numbers, not {list(embedding.shape)}.")
        if not len(self):
            return None
        cosines = self._templates @ embedding.astype(np.float32)
        per_person = np.maximum.reduceat(cosines, self._first_row)
        best = int(np.argmax(per_person))
        best_cosine = float(per_person[best])
        per_person[best] = -np.inf
        runner_up = float(per_person.max())
        person = int(self._people[best])
        return Match(
            person_id=self.ids[person],
            name=self.names[person],
            distance=_distance(best_cosine),
            runner_up_distance=_distance(runner_up),
        )


def _distance(cosine: float) -> float:
    # max: rounding can put the cosine of a vector with itself above 1. Of minus infinity this is infinity.
    return float(np.sqrt(max(0.0, 2.0 - 2.0 * cosine)))
