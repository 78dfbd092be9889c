"""What the commands share: where images lie, and files that are read whole."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_config.errors import BadInput

if TYPE_CHECKING:
    from firmware_config.keys import SigningKey, VerifyKey

Jobs = Any  # argparse keeps the type of its subparsers private

DEFAULT_DATA = Path("../shared/data")
PUBLIC = 0o644
"""Mode of what holds no secret."""
PUBLIC_HALF = ".pub"
"""Ending of what `keygen` writes beside a key."""
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


def signing_key(path: Path | None) -> SigningKey | None:
    """The release key; None for None. Raises BadInput, BadState."""
    from firmware_config.keys import SigningKey  # noqa: PLC0415

    if path is None:
        return None
    if path.suffix == PUBLIC_HALF:
        raise BadInput(f"{path} is the public half, which doors trust; the key to sign with lies beside it.")
    return SigningKey.load(_key_there(path))


def verify_key(path: Path) -> VerifyKey:
    """The public half of a release key. Raises BadInput, BadState."""
    from firmware_config.keys import VerifyKey  # noqa: PLC0415

    return VerifyKey.load(_key_there(path))


def _key_there(path: Path) -> Path:
    if not path.is_file():
        raise BadInput(f"There is no key {path}. `latchkey-trainer keygen release.key` makes one, and release.pub.")
    return path
