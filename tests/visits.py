"""People who come to a whole door (doors.py), and what the page sends it first."""

from __future__ import annotations

import time

from tests.doors import TOPICS, Door, Page
from tests.waiting import until


def publish_roster(page: Page, sealed: bytes) -> None:
    """Retained, as the page does."""
    assert page.connection.publish(TOPICS["roster"], sealed, retain=True)


def knows(page: Page, generation: int) -> bool:
    """True as soon as the door says that it runs this generation."""
    return until(lambda: page.applied is not None and page.applied.generation == generation)


def open_for_ana_and_ben(door: Door, page: Page) -> Door:
    """A door that knows both, with a lock that answers."""
    door.start_lock()
    publish_roster(page, door.roster(1, "ana", "ben"))
    daemon = door.start()
    assert knows(page, 1)
    assert until(lambda: daemon._link.lock.alive)
    return door


def visit(door: Door, who: str, seconds: float = 0.4) -> None:
    """At least so long, and until the door has taken some frames: a busy machine takes its time."""
    before = door.camera.taken
    door.camera.showing = who
    time.sleep(seconds)
    assert until(lambda: door.camera.taken >= before + 12)
    door.camera.showing = ""
