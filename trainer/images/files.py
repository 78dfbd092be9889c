"""Which files below a folder are pictures, and which folders are people.

What is hidden is a program's own: macOS writes a `._photo.jpg` beside each photo.jpg on a stick, and file managers keep
small pictures of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".pgm", ".ppm", ".tif", ".tiff"})
"""Ends of names."""


def pictures_in(folder: Path) -> list[Path]:
    """Those that lie in the folder itself, by name. Raises OSError."""
    return sorted(path for path in folder.iterdir() if _is_picture(path, folder))


def pictures_below(folder: Path) -> list[Path]:
    """Those in folders of the folder, too, by path."""
    return sorted(path for path in folder.rglob("*") if _is_picture(path, folder))


def people_in(folder: Path) -> list[Path]:
    """The folders of people, by name. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_picture(path: Path, below: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(below).parts)
    return path.suffix.lower() in PICTURES and not hidden and path.is_file()
