"""The lock's one rule: which commands it takes. The ESPHome firmware holds the same rule in C++."""

from __future__ import annotations

import hmac

from firmware_config.keys import ChallengeBook, Refusal, SecretKey, command_text
from firmware_config.messages import LockCommand


def sign_command(
    key: SecretKey, door: str, action: str, challenge: str, hold_ms: int, good_ms: int | None = None
) -> LockCommand:
    """A command good once, for as long as the lock knows `challenge`, and at most until that is good_ms old.

    door: "site/door". good_ms: 0 to 4000, see LockCommand.
    """
    mac = key.mac(command_text(door, action, challenge, hold_ms, good_ms))
    return LockCommand(door=door, action=action, challenge=challenge, hold_ms=hold_ms, mac=mac, good_ms=good_ms)


class LockRule:
    """Judges commands for one lock. No I/O; `now` is monotonic seconds.

    Rules, in this order:
    - retained: refused, whatever it says; a broker stores and redelivers it, so it proves nothing about now;
    - for another door: refused;
    - MAC over door, action, challenge, hold time and good_ms: compared in constant time; wrong: refused, challenge kept
      (else anybody who can publish could spend the challenges of the door);
    - challenge: the current or the previous one, each once;
    - good_ms, where the command has one: at most the challenge's age by this lock's clock.
    """

    def __init__(self, key: SecretKey, door: str, now: float) -> None:
        self._key = key
        self._door = door
        self.book = ChallengeBook(now)

    def judge(self, command: LockCommand, *, retained: bool, now: float) -> Refusal | None:
        """None: obey. Otherwise why not."""
        if retained:
            return Refusal("retained", "A retained command is refused: it may be from any time.")
        if command.door != self._door:
            return Refusal("foreign_door", f"The command is for {command.door}, this is the lock of {self._door}.")
        expected = self._key.mac(
            command_text(command.door, command.action, command.challenge, command.hold_ms, command.good_ms)
        )
        if not hmac.compare_digest(expected, command.mac):
            return Refusal("bad_mac", "The command was not made with this lock's key.")
        return self.book.take(command.challenge, now, command.good_ms)
