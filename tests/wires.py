"""A contact and a button for tests."""

from __future__ import annotations

import time

from firmware_config.messages import Contact


class PlayedInputs:
    """Played by the test, from any thread."""

    def __init__(self, leaf: Contact | None = None) -> None:
        self.leaf = leaf
        self.down = False

    def contact(self) -> Contact | None:
        return self.leaf

    def pressed(self) -> bool:
        return self.down

    def press(self) -> None:
        """For as long as a quick thumb."""
        self.down = True
        time.sleep(0.15)
        self.down = False

    def close(self) -> None:
        return None
