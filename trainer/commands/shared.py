"""What the commands share: where images lie, and files that are read whole."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from firmware_config.errors import BadInput

Jobs = Any  # argparse keeps the type of its subparsers private

DEFAULT_DATA = Path("../shared/data")
PUBLIC = 0o644
"""Mode of what holds no secret."""
QUALITY = "quality.onnx"
QUALITY_RESULT = "quality.json"
"""What `quality` writes into its folder."""


def where(job: argparse.ArgumentParser) -> None:
    """--data and --cache."""
    job.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the shards (default: %(default)s)")
    cache(job)


def cache(job: argparse.ArgumentParser) -> None:
    """--cache alone, for what needs no images."""
    job.add_argument("--cache", type=Path, help="where fetched files are kept")


def read(path: Path) -> bytes:
    """A whole file. Raises BadInput."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
