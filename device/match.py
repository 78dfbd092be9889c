"""Who is nearest: exact search over everybody enrolled at this door."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from device.code_dot import Coded
from device.search import FEW, Search
from device.search import encode as encode_templates
from firmware_config.errors import BadInput, BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray

MOST: Final = 1_000_000
"""Templates, and people, that a gallery takes: 580 MB. firmware_config.roster takes as many people."""

ROWS_AT_ONCE: Final = 65_536


class Match(NamedTuple):
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
        coded: Coded | None = None,
    ) -> None:
        """ids, names: one a person. templates: float32[M, 128], unit rows. owner: int[M], whose row each is, an
        index into ids. encoder_id: sha256 of the encoder that made the templates. coded: of these templates in this
        order, rows of a person side by side; None: made here where there are many.

        Raises BadInput when these do not fit together, or are more than MOST.
        """
        if len(templates) > MOST or len(ids) > MOST:
            raise BadInput(
                f"A door searches among {MOST:,} templates at most, not {max(len(ids), len(templates)):,}: give this "
                "door a shorter list of people."
            )
        owner = np.asarray(owner, dtype=np.intp)
        if len(ids) != len(names) or len(set(ids)) != len(ids):
            raise BadInput("A gallery needs one name for each id, and no id twice.")
        if templates.dtype != np.float32 or templates.shape != (len(owner), EMBEDDING_SIZE):
            raise BadInput(f"Templates are float32[{len(owner)}, 128], not {templates.dtype}{list(templates.shape)}.")
        if not _unit_rows(templates):
            raise BadInput("A template is not of length 1; distances to it would mean nothing.")
        if len(owner) and not (owner.min() >= 0 and owner.max() < len(ids)):
            raise BadInput("A template belongs to a person whom the gallery does not have.")
        self.ids, self.names, self.encoder_id = tuple(ids), tuple(names), encoder_id
        # Rows of a person side by side: the best of each person is then one reduction, not a loop.
        if not np.all(owner[:-1] <= owner[1:]):
            order = np.argsort(owner, kind="stable")
            templates, owner = templates[order], owner[order]
        self._people, first_row = np.unique(owner, return_index=True)
        if coded is None and len(owner) > FEW:
            coded = encode_templates(templates)
        self._search = Search(np.ascontiguousarray(templates), first_row, coded)

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
        Raises BadInput for another shape or a NaN. Exact, whatever the number of people: device/search.py.
        """
        # One sum instead of 128 looks: it is finite only if all of them are.
        if embedding.shape != (EMBEDDING_SIZE,) or not isfinite(embedding.dot(embedding)):
            raise BadInput(f"An embedding is 128 finite numbers, not {list(embedding.shape)}.")
        if not len(self):
            return None
        best, best_cosine, runner_up = self._search.two_nearest(embedding.astype(np.float32, copy=False))
        person = int(self._people[best])
        return Match(
            person_id=self.ids[person],
            name=self.names[person],
            distance=_distance(best_cosine),
            runner_up_distance=_distance(runner_up),
        )


def _unit_rows(templates: FloatArray) -> bool:
    # In parts: a copy of a million templates is half a gigabyte.
    parts = (templates[first : first + ROWS_AT_ONCE] for first in range(0, len(templates), ROWS_AT_ONCE))
    return all(np.all(np.abs(np.linalg.norm(part, axis=1) - 1) <= 1e-3) for part in parts)


def _distance(cosine: float) -> float:
    # max: rounding can put the cosine of a vector with itself above 1. Of minus infinity this is infinity.
    return sqrt(max(0.0, 2.0 - 2.0 * cosine))
