"""Many templates as one file that is mapped, not read: pages that nobody needs stay out of memory.

    LKGAL002 | count, 8 bytes | sha256 of the templates | float32 templates

Their codes are not in it: onnxruntime keeps those in an order of its own.
The file is plain, so it belongs into memory that no power cut leaves on a disk: systemd's RuntimeDirectory= (tmpfs, the
service's alone). Without one the gallery is held as arrays. It is named by what is in it, written whole and renamed; a
gallery that is still searched keeps its pages after the file is gone.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np

from device.code_dot import Coded
from device.search import CHUNK, encode
from firmware_config.errors import BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray
from firmware_config.files import write_parts

log = logging.getLogger("latchkey.gallery")

MARK: Final = b"LKGAL002"
HEADER: Final = struct.Struct("<8sQ32s")
BYTES_EACH: Final = EMBEDDING_SIZE * 4

PATTERN: Final = "gallery-*.templates"


def runtime_folder() -> Path | None:
    """systemd's RuntimeDirectory=, or None: then nothing may be written."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(folder) if folder else None


def mapped(templates: FloatArray, folder: Path) -> tuple[FloatArray, Coded]:
    """The same templates, from a file in folder that is made where it is not there or not whole; and their codes.

    templates: float32[M, 128], unit rows. Raises BadState when the folder cannot be written.
    """
    digest = sha256(np.ascontiguousarray(templates, dtype="<f4").data).digest()
    path = folder / PATTERN.replace("*", digest.hex()[:16])
    try:
        found = open_gallery(path, digest)
    except BadState as error:
        if path.exists():
            log.warning("%s It is made anew.", error)
        try:
            write_parts(path, _parts(templates, digest))
        except OSError as error:
            raise BadState(f"The gallery {path} cannot be written ({error.strerror}).") from error
        found = open_gallery(path, digest)
    for old in folder.glob(PATTERN):
        if old != path:
            with contextlib.suppress(OSError):
                old.unlink()
    return found, encode(found)


def _parts(templates: FloatArray, digest: bytes) -> Iterator[bytes | memoryview]:
    yield HEADER.pack(MARK, len(templates), digest)
    for first in range(0, len(templates), CHUNK):
        yield np.ascontiguousarray(templates[first : first + CHUNK], dtype="<f4").data


def open_gallery(path: Path, digest: bytes) -> FloatArray:
    """digest: sha256 of the templates that are wanted -> float32[M, 128], mapped.

    Raises BadState for a file that is not there, is cut short, or is another gallery's.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEADER.size)
            size = os.fstat(file.fileno()).st_size
            if len(head) < HEADER.size:
                raise BadState(f"The gallery {path} is cut short: {size} bytes, its head alone has {HEADER.size}.")
            mark, count, held = HEADER.unpack(head)
            if mark != MARK or held != digest:
                raise BadState(f"{path} is not the gallery of this list of people.")
            wanted = HEADER.size + count * BYTES_EACH
            if size != wanted:
                raise BadState(f"The gallery {path} is cut short: {size:,} bytes instead of {wanted:,}.")
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as problem:
        raise BadState(f"The gallery {path} cannot be read ({problem.strerror}).") from problem
    return np.frombuffer(memory, "<f4", count * EMBEDDING_SIZE, HEADER.size).reshape(count, EMBEDDING_SIZE)
