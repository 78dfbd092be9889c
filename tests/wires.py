"""A contact and a button for tests."""

from __future__ import annotations

from firmware_config.messages import Contact
from tests.waiting import until


class PlayedInputs:
    """Played by the test, from any thread."""

    def __init__(self, leaf: Contact | None = None) -> None:
        self.leaf = leaf
        self.down = False
        self._looks = 0

    def contact(self) -> Contact | None:
        return self.leaf

    def pressed(self) -> bool:
        self._looks += 1
        return self.down

    def press(self) -> None:
        """For as long as a quick thumb: eight looks of the lock, however busy the machine is."""
        first, self.down = self._looks, True
        assert until(lambda: self._looks >= first + 8)
        self.down = False

    def close(self) -> None:
        return None
