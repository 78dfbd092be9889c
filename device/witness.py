"""Where the audit ends, sealed in a small file beside it: a tail that somebody cut off is missed at the next start.

Two slots, written in turn and in place: whatever a power cut does to one, the other holds the head before. Which
slot a head belongs in follows from its seq and is under the seal, so that without the key none can be made, nor an
older one copied over a newer. A whole folder put back as it was a week ago is not noticed here: that is what the
head in every event is for, which the page remembers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from firmware_config.chain import Head, canonical
from firmware_config.errors import BadState, DiskFault
from firmware_config.files import write_atomic
from firmware_config.keys import SealRefused, SecretKey

HEAD_FILE: Final = "head"

SLOT_BYTES: Final = 4096
"""One block of a file system and one page of an SD card: a torn write of one slot leaves the other alone."""

INSIDE_BYTES: Final = 128
"""What is sealed, filled up with spaces, so that every slot has one length: 18 digits and a hash need 105."""

SEALED_BYTES: Final = INSIDE_BYTES + 32
"""With the seal's mark (4), nonce (12) and tag (16)."""


class Witness:
    """The file `path`, sealed with the audit's key. One writer."""

    def __init__(self, path: Path, key: SecretKey) -> None:
        self._path = path
        self._key = key

    @property
    def exists(self) -> bool:
        return self._path.exists()

    def create(self, head: Head) -> None:
        """A new file; both slots say the same. Raises OSError."""
        write_atomic(self._path, self._slot(0, head).ljust(SLOT_BYTES, b"\0") + self._slot(1, head))

    def write(self, head: Head) -> None:
        """On disk when this returns. Raises OSError; the head before is then still there."""
        slot = head.count % 2
        file = os.open(self._path, os.O_WRONLY)
        try:
            data = self._slot(slot, head)
            if os.pwrite(file, data, slot * SLOT_BYTES) != len(data):
                raise OSError(f"{self._path} took only part of a head")
            os.fdatasync(file)
        finally:
            os.close(file)

    def expected(self) -> tuple[Head, int]:
        """-> the newest head that is readable, and how many records the audit has at least.

        The second is larger by one where a slot was torn: its record was on disk before the slot was touched.
        Raises BadState for a file that is missing, or in which nothing is ours; DiskFault.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError as error:
            raise BadState(f"{self._path} is not there. {self._advice}") from error
        except OSError as error:
            raise DiskFault(f"{self._path} cannot be read ({error.strerror}).") from error
        heads = [self._read(slot, data) for slot in (0, 1)]
        known = sorted((head for head in heads if head is not None), key=lambda head: head.count)
        if not known or known[-1].count - known[0].count > 1:
            raise BadState(f"{self._path} was changed by somebody without the door's key. {self._advice}")
        return known[-1], known[-1].count + (len(known) == 1)

    @property
    def _advice(self) -> str:
        return (
            "It says where the audit ends, so records may have been cut off. Compare `latchkey-device audit verify` "
            "with the head that the page remembers; then move the audit and the outbox away, as evidence."
        )

    def _slot(self, slot: int, head: Head) -> bytes:
        inside = canonical({"count": head.count, "hash": head.hash})
        return self._key.seal(f"latchkey-audit-head-1|{slot}", inside.ljust(INSIDE_BYTES))

    def _read(self, slot: int, data: bytes) -> Head | None:
        sealed = data[slot * SLOT_BYTES :][:SEALED_BYTES]
        try:
            return Head(**json.loads(self._key.open(f"latchkey-audit-head-1|{slot}", sealed)))
        except (SealRefused, ValueError, TypeError):
            return None
