"""What an opened or closed leaf means: forced, held, found open. A pure state machine, no I/O."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from firmware_config.messages import Contact

SETTLE_S: Final = 0.1
"""Seconds that a contact must keep still before it is believed. Reed switches bounce for a few milliseconds, a leaf
that falls to for some tens; nobody gets through a door in less."""

FLAPPING_S: Final = 2.0
"""Seconds after which a contact that never keeps still counts as open: a loose wire must not hide a door."""

GRACE_S: Final = 2.0
"""Seconds after the bolt went back in which an opening still belongs to it: whoever has the leaf in hand pulls it
then, and the news of it takes a moment."""

EXIT_AGAIN_S: Final = 1.0
"""Seconds between two notices of the exit button: more often is one hurried thumb."""

ALARM_AGAIN_S: Final = 10.0
"""Seconds between two notices of the same alarm: a contact that comes loose must not fill the audit."""

UNKNOWN: Final = "unknown"
"""Health.contact while there is no contact, or nobody to say how it is."""

T = TypeVar("T")


class Settled(Generic[T]):
    """A reading that counts only once it has kept still. Pure: `now` is monotonic seconds, handed in.

    Rules:
    - a new reading is taken when it was the same for `still_s`;
    - readings that contradict each other for FLAPPING_S are taken as `if_flapping`, where there is one.
    """

    def __init__(self, still_s: float = SETTLE_S, if_flapping: T | None = None) -> None:
        self._still_s = still_s
        self._if_flapping = if_flapping
        self._raw: T | None = None
        self._raw_since = 0.0
        self._restless_since: float | None = None
        self.value: T | None = None
        """As it was last taken; None before the first."""

    def hear(self, reading: T, now: float) -> None:
        """A reading, as often as one likes; the same one again changes nothing."""
        if reading == self._raw:
            return
        self._raw, self._raw_since = reading, now
        if self._restless_since is None:
            self._restless_since = now

    def begin_again(self, now: float) -> None:
        """Believe the latest reading only after it has kept still from now on."""
        self._raw_since = now

    def at(self, now: float) -> T | None:
        """The value now."""
        if self._raw is None:
            return None
        if now - self._raw_since >= self._still_s:
            self.value, self._restless_since = self._raw, None
        elif self._restless_since is not None and now - self._restless_since >= FLAPPING_S and self._if_flapping:
            self.value = self._if_flapping
        return self.value

    @property
    def since(self) -> float:
        """When the latest reading came, monotonic seconds."""
        return self._raw_since


class ContactWatch:
    """Judges one door's contact.

    Rules:
    - opened while the bolt was let go (a grant, the page, Home Assistant, the exit button: `permit`, `exit`), or
      within GRACE_S after, also where it went back before its time (`end_permit`): nothing to tell;
    - opened at any other time: forced_open, until it is closed;
    - open for longer than `held_open_s`: held_open, until it is closed;
    - closed after any of these was told: door_closed; the same is told every ALARM_AGAIN_S at most;
    - open when it is first heard, after a start or after the lock was out of hearing: found_open, because nobody
      knows why; so is an opening for as long afterwards as a bolt let go out of hearing may still be back;
    - out of hearing nothing is judged, and what was forced or held stays so until it is heard to be closed.
    """

    def __init__(self, held_open_s: float, exit_hold_s: float) -> None:
        """Seconds: how long a door may stand open, and how long the exit button lets the bolt go."""
        self._held_open_s = held_open_s
        self._exit_hold_s = exit_hold_s
        self._leaf: Settled[Contact] = Settled(if_flapping=Contact.OPEN)
        self._heard = False
        self._known: Contact | None = None
        self._opened_at = 0.0
        self._permit_until = float("-inf")
        self._blind_until = float("-inf")
        self._exit_told_at = float("-inf")
        self._notices: list[str] = []
        self._told_at: dict[str, float] = {}
        self._odd = False
        self.forced_open = False
        self.held_open = False

    @property
    def contact(self) -> str:
        """open, closed or unknown, as in Health."""
        return self._known.value.lower() if self._known is not None and self._heard else UNKNOWN

    def permit(self, hold_s: float, now: float) -> None:
        """The bolt was let go for hold_s seconds."""
        self._permit_until = max(self._permit_until, now + hold_s + GRACE_S)

    def end_permit(self, now: float) -> None:
        """The bolt was told to go back before its time."""
        self._permit_until = min(self._permit_until, now + GRACE_S)

    def exit(self, now: float) -> None:
        """Somebody inside pressed the button; the lock has let the bolt go."""
        self.permit(self._exit_hold_s, now)
        if now - self._exit_told_at >= EXIT_AGAIN_S:
            self._exit_told_at = now
            self._notices.append("exit_requested")

    def hear(self, contact: Contact, now: float) -> None:
        """What the contact says."""
        self._leaf.hear(contact, now)

    def lose(self, now: float) -> None:
        """There was a gap in what was heard."""
        self._heard = False
        self._leaf.begin_again(now)

    def step(self, now: float, in_hearing: bool) -> list[str]:
        """-> notices since the last step, in order. in_hearing: the lock is alive, so its contact is of now."""
        told, self._notices = self._notices, []
        if not in_hearing:
            self.lose(now)
            return told
        leaf = self._leaf.at(now)
        if leaf is None or (not self._heard and now - self._leaf.since < SETTLE_S):
            return told
        if not self._heard:
            self._heard = True
            self._blind_until = now + self._exit_hold_s + GRACE_S
        if leaf != self._known:
            told += self._turned(leaf, now)
        if leaf is Contact.OPEN and not self.held_open and now - self._opened_at > self._held_open_s:
            self.held_open = True
            told += self._alarm("held_open", now)
        return told

    def _turned(self, leaf: Contact, now: float) -> list[str]:
        first, self._known = self._known is None, leaf
        if leaf is Contact.CLOSED:
            odd = self._odd
            self._odd = self.forced_open = self.held_open = False
            return ["door_closed"] if odd else []
        self._opened_at = min(self._leaf.since, now)
        if not first and self._opened_at <= self._permit_until:
            return []
        self.forced_open = not first and self._opened_at > self._blind_until
        return self._alarm("forced_open" if self.forced_open else "found_open", now)

    def _alarm(self, notice: str, now: float) -> list[str]:
        if now - self._told_at.get(notice, float("-inf")) < ALARM_AGAIN_S:
            return []
        self._told_at[notice] = now
        self._odd = True
        return [notice]
