"""A photo on its way from the browser: read once, erased at once when it has served."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from firmware_config.errors import BadInput

MAX_PHOTO_BYTES: Final = 32 * 1024 * 1024
"""Bytes: a 40-megapixel JPEG of a phone has 10 to 20 MB."""

MAX_UPLOAD_BYTES: Final = 512 * 1024 * 1024
"""Bytes of a ZIP: a hundred people's photos as a telephone takes them. What is in it is judged one by one."""

File = dict[str, Any] | None
"""Gradio's record of an upload, as the browser sends it."""

NO_PHOTO: Final = "There is no photo yet. Take one with the camera, or choose a file."


def photo_path(file: File, uploads: Path) -> Path:
    """Gradio's file record -> the uploaded file. Raises BadInput, also for a path outside of `uploads`: the
    record comes from the browser, and must not become a way to read other files of this machine."""
    if not file or not isinstance(file, dict) or not isinstance(file.get("path"), str):
        raise BadInput(NO_PHOTO)
    path = Path(file["path"]).resolve()
    if not path.is_relative_to(uploads.resolve()) or not path.is_file():
        raise BadInput("The photo is no longer here. Take it or choose it once more.")
    return path


def photo_bytes(file: File, uploads: Path) -> bytes:
    """Gradio's file record -> the file's bytes. Raises BadInput."""
    path = photo_path(file, uploads)
    if path.stat().st_size > MAX_PHOTO_BYTES:
        raise BadInput(
            f"The file has {path.stat().st_size / 1e6:.0f} MB; at most {MAX_PHOTO_BYTES / 1e6:.0f} MB are read. "
            "Choose a smaller photo."
        )
    return path.read_bytes()


def forget_photo(file: File, uploads: Path) -> None:
    """Photos are not kept: what a door needs is in the roster, what a person needs is the stored crop."""
    try:
        photo_path(file, uploads).unlink(missing_ok=True)
    except BadInput:
        return  # gone already, or never there
