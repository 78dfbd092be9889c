"""All targets, by name. hypothesis (test_fuzz.py) and atheris (guided.py) take the same ones."""

from __future__ import annotations

from typing import Final

from tests.fuzz import files, page, wires
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {target.name: target for target in (*files.TARGETS, *wires.TARGETS, *page.TARGETS)}
