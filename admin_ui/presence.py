"""What one door has said since the page's connection began, as far as the store does not keep it."""

from __future__ import annotations

from dataclasses import dataclass

from admin_ui.views import STATE_UNKNOWN
from firmware_config.broker import Incoming
from firmware_config.messages import ONLINE, Applied, Challenge, Health, LockState, decode


@dataclass
class Presence:
    """Written by the network thread, and by the worker once it has stored what the door runs."""

    online: bool = False
    health: Health | None = None
    lock: str = STATE_UNKNOWN
    applied: Applied | None = None
    report: int = 0
    """The number of its latest word on what it runs, among all that this process has heard said; 0: none yet."""
    challenge: str = ""
    challenge_at: float = float("-inf")
    """Monotonic seconds; a retained challenge, from any time, does not count."""

    def hear(self, leaf: str, message: Incoming, now: float) -> None:
        """A word of the door, or an empty one: somebody had the broker forget what it retained. That takes the word
        back and says nothing else: a door that is online stays so until it, or its last will, says otherwise.

        now: monotonic seconds. Raises MessageRefused.
        """
        if leaf == "availability" and message.payload:
            self.online = message.payload == ONLINE
        elif leaf == "health":
            self.health = decode(Health, message.payload, message.topic) if message.payload else None
        elif leaf == "lock/state":
            states = {state.value for state in LockState}
            text = message.payload.decode("ascii", "replace")
            self.lock = text if text in states else STATE_UNKNOWN
        elif leaf == "challenge" and message.payload and not message.retained:
            self.challenge = decode(Challenge, message.payload, message.topic).challenge
            self.challenge_at = now
