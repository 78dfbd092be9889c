"""What a process under the shim said to others before its power was cut: one line of JSON each, in a file beside its
state. power_disk.py never loses it: what somebody was told, they know."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.faults.power_disk import TOLD

Word = dict[str, Any]


class Teller:
    """Appends to the file in the folder that is watched."""

    def __init__(self, watched: Path) -> None:
        self._file = os.open(watched / TOLD, os.O_WRONLY | os.O_APPEND)

    def tell(self, **word: Any) -> None:
        os.write(self._file, json.dumps(word).encode() + b"\n")


def read_told(watched: Path) -> list[Word]:
    """All that was said, in order."""
    lines = (watched / TOLD).read_text(encoding="ascii").splitlines()
    return [json.loads(line) for line in lines if line]


def said(told: list[Word], key: str) -> list[Any]:
    """The values under a key, in order."""
    return [word[key] for word in told if key in word]
