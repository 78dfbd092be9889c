"""A page's link without broker and store: what came in is asked of it directly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from admin_ui.keyring import DoorKeys
from admin_ui.link import PageLink
from firmware_config.broker import Incoming
from firmware_config.errors import BadState
from firmware_config.events import Event, EventAck, acknowledge
from firmware_config.keys import SecretKey
from firmware_config.messages import Applied, Health, Topics
from firmware_config.settings import BrokerSettings

TOPICS = Topics("home", "front")


class SilentDesk:
    """Knows the door `front` alone, until it is revoked, and does nothing."""

    def __init__(self) -> None:
        self.doors = {"front"}

    def door_keys(self, door: str) -> DoorKeys:
        """As FrontDesk.door_keys."""
        if door not in self.doors:
            raise BadState(f"There are no keys for a door {door!r}.")
        return DoorKeys(SecretKey(bytes(32)), SecretKey(bytes(32)))

    def on_connected(self) -> None:
        """Nothing."""

    def on_applied(self, door: str, applied: Applied) -> None:
        """Nothing."""

    def on_health(self, door: str, health: Health) -> None:
        """Nothing."""

    def on_events(self, told: Sequence[tuple[str, Event]]) -> dict[str, list[str]]:
        """Stores none."""
        return {}

    def acknowledge(self, door: str, ids: list[str]) -> EventAck:
        """As FrontDesk.acknowledge."""
        return acknowledge(self.door_keys(door).door, Topics("home", door), ids)


def page_link(desk: SilentDesk | None = None, clock: Callable[[], float] = lambda: 0.0) -> PageLink:
    """Not started, and as if it were connected."""
    link = PageLink("home", BrokerSettings(), desk or SilentDesk(), clock)
    link._connection._up.set()
    return link


def hear(link: PageLink, leaf: str, payload: bytes, door: str = "front", *, retained: bool = False) -> None:
    """As from the broker."""
    link._receive(Incoming(Topics("home", door)[leaf], payload, retained))
