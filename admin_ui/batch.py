"""Many people at once: a ZIP of photos and a CSV -> one row a person, each judged. Nothing is saved in here."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, Final

import numpy as np

from admin_ui import csvtext, days
from admin_ui import enrol as photos
from admin_ui.enrol import Known
from admin_ui.eyes import Eyes
from admin_ui.parcel import Parcel
from admin_ui.people import clean_name
from admin_ui.personnel import check_dates
from admin_ui.store import folded, name_key
from admin_ui.views import Verdict
from firmware_config.errors import BadInput
from firmware_config.face import EMBEDDING_SIZE, FloatArray, distance
from firmware_config.plainzip import ZIP_FAULTS

MOST_ROWS: Final = 1000
"""People in one batch: a large building's staff. More are more batches."""
MOST_CSV_BYTES: Final = 1024 * 1024
HEAD: Final = ("file", "name", "doors", "from", "until", "consent")
YES: Final = frozenset({"yes", "y", "true", "1", "x", "是"})


@dataclass(frozen=True)
class Row:
    """One person of a batch. ok: may be enrolled. sentence: what was found, or why not and what to do. doors: empty for
    all. done: enrolled now."""

    file: str
    name: str
    doors: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    consent: bool = False
    ok: bool = False
    sentence: str = ""
    done: bool = False
    verdict: Verdict | None = field(default=None, repr=False)

    def refused(self, sentence: str) -> Row:
        """The same person, not to be enrolled."""
        return replace(self, ok=False, sentence=sentence)


def read_rows(file: IO[bytes]) -> tuple[list[Row], Parcel]:
    """A ZIP -> its rows, and its photos, which can be read for as long as the file is open.

    With one .csv in it the rows are that table's; without, each photo is a person named by its file. Raises BadInput
    where it is no such ZIP as a whole.
    """
    try:
        pictures = Parcel(file)
        table = pictures.table(MOST_CSV_BYTES)
    except ZIP_FAULTS as error:
        raise BadInput(f"This is not a whole ZIP file ({error}). Make it anew and send it again.") from error
    if len(pictures) > MOST_ROWS:
        raise BadInput(f"There are {len(pictures)} photos in this ZIP; at most {MOST_ROWS} are read at once.")
    if not pictures:
        raise BadInput("There is no photo in this ZIP (JPEG, PNG or WebP). Put the photos and the CSV in it.")
    return [_by_name(one) for one in pictures] if table is None else _table(table), pictures


def judge(
    rows: Sequence[Row],
    files: Mapping[str, bytes | str],
    eyes: Eyes,
    taken: Sequence[str],
    doors: Sequence[str],
    known: Sequence[Known],
    duplicate_tau: float,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Row]:
    """Each row with its verdict. files: a photo's name, composed (NFC) -> its bytes, or why there are none; one is held
    at a time. taken: names that are enrolled. doors: those that there are. known: everybody's templates. duplicate_tau:
    distance, 0 to 2, within which two faces are one person's. progress: rows done, of all."""
    names = {name_key(name): "enrolled already" for name in taken}
    by_base = {_base(name): name for name in files}
    faces = Faces(known, room=len(rows))
    judged = []
    for number, row in enumerate(rows):
        path = row.file if row.file in files else by_base.get(_base(row.file), "")
        done = row if row.sentence else _judge(row, files.get(path), eyes, doors)
        if done.ok and name_key(done.name) in names:
            done = done.refused(
                f"Somebody is named {done.name} already ({names[name_key(done.name)]}). Add an initial."
            )
        vector = done.verdict.embedding if done.ok and done.verdict is not None else None
        if vector is not None:
            alike = faces.told(vector, duplicate_tau)
            if alike:
                done = done.refused(alike)
            else:
                faces.add(done.name, "in this batch", vector)
        if done.ok:
            names[name_key(done.name)] = "in this batch"
        judged.append(done)
        progress(number + 1, len(rows))
    return judged


def result_table(rows: Sequence[Row]) -> bytes:
    """CSV: what became of each row."""
    states = [("enrolled" if row.done else "good" if row.ok else "refused") for row in rows]
    return csvtext.table(
        ("file", "name", "doors", "from", "until", "consent", "result", "why"),
        [
            (
                row.file,
                row.name,
                "; ".join(row.doors) or "all",
                days.first_day(row.valid_from),
                days.last_day(row.valid_until),
                "yes" if row.consent else "no",
                state,
                row.sentence,
            )
            for row, state in zip(rows, states, strict=True)
        ],
    )


class Faces:
    """Everybody so far, as one matrix with room for those to come: a thousand rows against ten thousand people take a
    second."""

    def __init__(self, known: Sequence[Known], room: int) -> None:
        """room: how many may be added."""
        self._names = [(one.name, "enrolled already") for one in known]
        self._vectors = np.zeros((len(known) + room, EMBEDDING_SIZE), np.float32)
        for row, one in enumerate(known):
            self._vectors[row] = one.vector

    def add(self, name: str, where: str, vector: FloatArray) -> None:
        """vector: float32[128], unit."""
        self._vectors[len(self._names)] = vector
        self._names.append((name, where))

    def told(self, vector: FloatArray, within: float) -> str:
        """A sentence where somebody's distance is at most `within`, otherwise ""."""
        if not self._names:
            return ""
        distances = distance(self._vectors[: len(self._names)], vector)
        best = int(np.argmin(distances))
        if not distances[best] <= within:
            return ""
        name, where = self._names[best]
        return f"This face is that of {name} too ({where}, distance {distances[best]:.2f}). Leave one of the two out."


def _judge(row: Row, photo: bytes | str | None, eyes: Eyes, doors: Sequence[str]) -> Row:
    try:
        row = replace(row, name=clean_name(row.name))
        check_dates(row.valid_from, row.valid_until)
    except BadInput as error:
        return row.refused(str(error))
    unknown = [name for name in row.doors if name not in doors]
    if unknown:
        return row.refused(f"There is no door {unknown[0]!r}; the doors are: {', '.join(doors) or 'none yet'}.")
    if photo is None:
        return row.refused(f"There is no photo {row.file!r} in the ZIP. Correct the name in the CSV, or add the file.")
    if isinstance(photo, str):
        return row.refused(photo)
    verdict = photos.examine(photo, eyes)
    # The photo itself is not kept any longer than this line.
    slim = replace(verdict, upright=None)
    return replace(row, ok=verdict.ok, sentence=" ".join(verdict.sentences), verdict=slim if verdict.ok else None)


def _table(data: bytes) -> list[Row]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput('The CSV is not UTF-8. Save it as "CSV UTF-8", and send the ZIP again.') from error
    first = text.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=separator) if any(map(str.strip, line))]
    except csv.Error as error:
        raise BadInput(f"The CSV does not read ({error}). Save it once more, and send the ZIP again.") from error
    head = [cell.strip().casefold() for cell in lines[0]] if lines else []
    if "file" not in head or "name" not in head:
        raise BadInput(f"The CSV's first line has to name its columns: {', '.join(HEAD)}. Only file and name must be.")
    if len(lines) - 1 > MOST_ROWS:
        raise BadInput(f"The CSV has {len(lines) - 1} rows; at most {MOST_ROWS} are read at once.")
    return [_row(dict(zip(head, (cell.strip() for cell in line), strict=False))) for line in lines[1:]]


def _row(cells: dict[str, str]) -> Row:
    doors = tuple(name for name in re.split(r"[;,|\s]+", cells.get("doors", "")) if name and name != "all")
    row = Row(unicodedata.normalize("NFC", cells.get("file", "")[:500]), cells.get("name", "")[:500], doors)
    try:
        return replace(
            row,
            valid_from=days.first_moment(days.day(cells.get("from", ""))),
            valid_until=days.last_moment(days.day(cells.get("until", ""))),
            consent=cells.get("consent", "").casefold() in YES,
        )
    except BadInput as error:
        return row.refused(str(error))


def _base(path: str) -> str:
    """A file's name without its folders, as it is compared."""
    return folded(PurePosixPath(path).name)


def _by_name(file: str) -> Row:
    words = re.split(r"[_\s]+", PurePosixPath(file).stem.strip())
    return Row(file, " ".join(word[:1].upper() + word[1:] for word in words if word))
