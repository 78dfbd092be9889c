"""What the door's tests stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from device import homeassistant
from tests.makers import Premises


@pytest.fixture
def premises(tmp_path: Path) -> Premises:
    """A site with one door and all its keys."""
    return Premises(tmp_path)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A door obeys Home Assistant as soon as it is connected: the seconds that it waits are for a test of their own."""
    monkeypatch.setattr(homeassistant, "SETTLE_S", 0.0)


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    """A board's pins, as gpiozero itself plays them."""
    before, factory = Device.pin_factory, MockFactory()
    Device.pin_factory = factory
    yield factory
    factory.close()
    Device.pin_factory = before
