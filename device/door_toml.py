"""Read door.toml; where there is none, say where one comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from firmware_config.files import is_missing
from firmware_config.schema import SettingsRefused
from firmware_config.settings import DoorSettings, load_door

WHERE_FROM: Final = (
    "`systemd/install.sh device` writes one; systemd/examples/door.toml is a pattern. Another file: --settings."
)


def read_door_toml(path: Path) -> DoorSettings:
    """As load_door. Raises SettingsRefused."""
    try:
        return load_door(path)
    except SettingsRefused as refused:
        if not is_missing(path):
            raise
        raise SettingsRefused(path, [f"{problem} {WHERE_FROM}" for problem in refused.problems]) from None
