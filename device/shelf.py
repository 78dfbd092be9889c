"""What the door keeps on disk of the documents that it took, and in which order it is written.

    roster.sealed     the roster as it came. Which encoder the door runs is what this says: the commit point
    model.latchkey    the bundle in use; none: the one that came with the package
    staged.latchkey   a verified bundle that waits for its roster
    marks.json        the highest generation and version taken: nothing lower comes in again

Beside them the journal keeps audit/ and outbox.db, the lookout guard.json. Nothing in the folder shows a name, a
person's id, a template or a distance to whoever has not the door's key; marks.json holds two numbers.

Switching encoders is: roster.sealed is replaced (now the new pair is in force), then staged.latchkey is renamed to
model.latchkey, then marks.json follows. A power cut in between is finished at the next start.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pydantic import Field

from firmware_config.errors import BadState
from firmware_config.files import drop_half_written, sync_folder, write_atomic
from firmware_config.messages import Count, Message, MessageRefused, decode, encode

ROSTER = "roster.sealed"
MODEL = "model.latchkey"
STAGED = "staged.latchkey"
MARKS = "marks.json"
AUDIT_FOLDER = "audit"


class Marks(Message):
    """generation, version: the highest that the door has run. permitted: encoder_id of a lower version that the
    administrator signed a rollback to, and that the door went back to."""

    generation: Count = 0
    version: str = Field(default="", pattern=r"^(\d{1,5}\.\d{1,5}\.\d{1,5})?$")
    permitted: str = ""


class Shelf:
    """Four files in one folder. Reading gives None for a file that is not there. All methods raise OSError, but
    what is there and cannot be read raises BadState."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (ROSTER, MODEL, STAGED, MARKS):
            # A roster among them may hold an erased person.
            drop_half_written(folder, name)

    def roster(self) -> bytes | None:
        return self._read(ROSTER)

    def model(self) -> bytes | None:
        return self._read(MODEL)

    def staged(self) -> bytes | None:
        return self._read(STAGED)

    def has_model(self) -> bool:
        return (self.folder / MODEL).exists()

    def marks(self) -> Marks:
        """Raises BadState for a damaged file: an empty one would let old documents in."""
        data = self._read(MARKS)
        if data is None:
            return Marks()
        try:
            return decode(Marks, data, MARKS)
        except MessageRefused as error:
            raise BadState(
                f"{self.folder / MARKS} is damaged ({error.why}), so the door cannot tell old documents from new "
                "ones. Pair this door again with an empty state folder."
            ) from error

    def keep_roster(self, sealed: bytes) -> None:
        write_atomic(self.folder / ROSTER, sealed)

    def keep_model(self, bundle: bytes) -> None:
        write_atomic(self.folder / MODEL, bundle)

    def keep_staged(self, bundle: bytes) -> None:
        write_atomic(self.folder / STAGED, bundle)

    def keep_marks(self, marks: Marks) -> None:
        write_atomic(self.folder / MARKS, encode(marks))

    def promote(self) -> None:
        """The staged bundle becomes the one in use. Once more does no harm: a disk may fail between the two steps."""
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.folder / STAGED, self.folder / MODEL)  # noqa: PTH105  # the atomic call has POSIX's name
        sync_folder(self.folder)

    def drop_staged(self) -> None:
        (self.folder / STAGED).unlink(missing_ok=True)
        sync_folder(self.folder)

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadState(f"{self.folder / name} cannot be read ({error.strerror}).") from error
