"""What a door tells of what happened: an open half for anybody, a half that is sealed for the page, and its receipt."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import ClassVar, Final, Literal

from pydantic import Field, field_validator

from firmware_config.chain import canonical
from firmware_config.keys import SecretKey
from firmware_config.messages import Count, Message, MessageRefused, Topics, decode, seal, unseal

ACK_CONTEXT: Final = "door-ack"
"""What door.key is asked for."""


class EventDetail(Message):
    """What an event says to the page alone: sealed. Distances 0 to 2; an unknown person has no id."""

    person_id: str = ""
    person: str = ""
    distance: float | None = None
    runner_up: float | None = None
    quality: dict[str, float] = Field(default_factory=dict)
    stage_ms: dict[str, float] = Field(default_factory=dict)
    scene: str = ""
    """Label of a replayed or demo frame; empty at a real camera."""
    by: str = ""
    """Who asked, for a remote unlock."""
    why: str = Field(default="", max_length=256)
    """And what for, in their words."""
    audit_seq: Count = 0
    audit_head: str = Field(default="", max_length=64)
    """The event's record in the door's audit and its hash, hex: the page keeps the last, so that a door whose audit
    lost its tail is found out."""
    prune: str = Field(default="", max_length=96)
    """The last of the audit's oldest records that the door would like to remove, as SEQ:HASH, once the page agrees."""


class Event(Message):
    """Topic event: what happened, for anybody; `detail` is an EventDetail sealed for the page."""

    id: str = Field(pattern=r"^[0-9a-f-]{32,36}$")
    at: datetime
    outcome: Literal["granted", "denied", "notice"]
    reason: str = Field(max_length=64)
    detail: bytes = b""

    @field_validator("at")
    @classmethod
    def _on_the_calendar(cls, at: datetime) -> datetime:
        try:
            at.astimezone(timezone.utc)
        except (OverflowError, ValueError) as error:
            raise ValueError("no time that there is in UTC") from error
        return at


def seal_event(
    key: SecretKey,
    topics: Topics,
    *,
    event_id: str,
    at: datetime,
    outcome: Literal["granted", "denied", "notice"],
    reason: str,
    detail: EventDetail,
) -> Event:
    """An event whose detail is sealed to its public half: who stands between can read that half, not change it.

    at: with a time zone.
    """
    event = Event(id=event_id, at=at, outcome=outcome, reason=reason)
    return event.model_copy(update={"detail": seal(key, _event_context(topics, event), detail)})


def open_event(key: SecretKey, topics: Topics, event: Event) -> EventDetail:
    """The detail of an event that the door wrote just so. Raises SealRefused, MessageRefused."""
    return unseal(key, _event_context(topics, event), EventDetail, event.detail)


def _event_context(topics: Topics, event: Event) -> str:
    at = event.at.astimezone(timezone.utc).isoformat()
    return f"{topics['event']}|{event.id}|{at}|{event.outcome}|{event.reason}"


class EventAck(Message):
    """Topic event/ack: these are stored; the door may drop them. Under a MAC: whoever owns the broker must not be able
    to say so in the page's place."""

    ids: list[str] = Field(max_length=1000)
    prune: str = Field(default="", max_length=96)
    """EventDetail.prune of one of them, where the page agrees."""
    mac: str = Field(default="", max_length=64)
    max_bytes: ClassVar[int] = 64 * 1024


def acknowledge(key: SecretKey, topics: Topics, ids: Sequence[str], prune: str = "") -> EventAck:
    """key: the door's."""
    return EventAck(ids=list(ids), prune=prune, mac=_ack_mac(key, topics, ids, prune))


def open_ack(key: SecretKey, topics: Topics, payload: bytes) -> EventAck:
    """An acknowledgement that the page wrote for this door. Raises MessageRefused."""
    ack = decode(EventAck, payload, topics["event/ack"])
    if not ack.mac:
        raise MessageRefused(topics["event/ack"], "it bears no MAC. Is the page older than this door? Upgrade it.")
    if not hmac.compare_digest(ack.mac.encode(), _ack_mac(key, topics, ack.ids, ack.prune).encode()):
        raise MessageRefused(topics["event/ack"], "its MAC is not that of this door's page.")
    return ack


def _ack_mac(key: SecretKey, topics: Topics, ids: Sequence[str], prune: str) -> str:
    text = canonical({"door": topics.door_id, "ids": list(ids), "prune": prune})
    return key.derive(ACK_CONTEXT).mac(b"latchkey-ack-1|" + text)
