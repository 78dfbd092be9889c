"""What the door's tests stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.makers import Premises


@pytest.fixture
def premises(tmp_path: Path) -> Premises:
    """A site with one door and all its keys."""
    return Premises(tmp_path)
