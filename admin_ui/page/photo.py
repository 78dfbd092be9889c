"""A photo on its way from the browser: read once, erased at once when it has served."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path
from typing import Any, Final

from firmware_config.errors import BadInput

MAX_PHOTO_BYTES: Final = 32 * 1024 * 1024
"""Bytes: a 40-megapixel JPEG of a phone has 10 to 20 MB."""

MAX_UPLOAD_BYTES: Final = 512 * 1024 * 1024
"""Bytes of a ZIP: a hundred people's photos as a telephone takes them. What is in it is judged one by one."""

UPLOAD_AGE_S: Final = 900
"""Seconds: photos that were looked at but not enrolled are erased after a quarter of an hour."""

File = dict[str, Any] | None
"""Gradio's record of an upload, as the browser sends it."""

NO_FILE: Final = "There is no file yet. Choose one."
NO_PHOTO: Final = "There is no photo yet. Take one with the camera, or choose a file."
FILE_GONE: Final = "The file is no longer here. Choose it once more."
PHOTO_GONE: Final = "The photo is no longer here. Take it or choose it once more."


def sent_path(file: File, uploads: Path, missing: str = NO_FILE, gone: str = FILE_GONE) -> Path:
    """Gradio's file record -> the uploaded file. Raises BadInput, also for a path outside of `uploads`: the
    record comes from the browser, and must not become a way to read other files of this machine."""
    if not file or not isinstance(file, dict) or not isinstance(file.get("path"), str):
        raise BadInput(missing)
    try:
        path = Path(file["path"]).resolve()
        there = path.is_relative_to(uploads.resolve()) and path.is_file()
    except (OSError, ValueError) as error:  # characters that no file's name has, or too many of them
        raise BadInput(gone) from error
    if not there:
        raise BadInput(gone)
    return path


def photo_bytes(file: File, uploads: Path) -> bytes:
    """Gradio's file record -> the file's bytes. Raises BadInput."""
    path = sent_path(file, uploads, NO_PHOTO, PHOTO_GONE)
    if path.stat().st_size > MAX_PHOTO_BYTES:
        raise BadInput(
            f"The file has {path.stat().st_size / 1e6:.0f} MB; at most {MAX_PHOTO_BYTES / 1e6:.0f} MB are read. "
            "Choose a smaller photo."
        )
    return path.read_bytes()


def put_photo(data: bytes, uploads: Path) -> Path:
    """A photo that came by another way, as if it had been uploaded: forgotten with it, or after UPLOAD_AGE_S. Gradio
    serves it from here and sweeps only what it has put there itself. Raises OSError."""
    path = uploads / f"{secrets.token_hex(16)}.jpg"
    path.touch(mode=0o600)
    path.write_bytes(data)
    timer = threading.Timer(UPLOAD_AGE_S, path.unlink, kwargs={"missing_ok": True})
    timer.daemon = True
    timer.start()
    return path


def forget_photo(file: File, uploads: Path) -> None:
    """Photos are not kept: what a door needs is in the roster, what a person needs is the stored crop."""
    try:
        sent_path(file, uploads).unlink(missing_ok=True)
    except BadInput:
        return  # gone already, or never there
