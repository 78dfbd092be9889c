"""MQTT topics, and payload <-> bytes for each message; events.py has those that tell what happened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, ClassVar, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firmware_config.errors import BadInput
from firmware_config.keys import SecretKey

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
"""Site and door names: they become topic levels, file names and C strings, so nothing else is let in."""

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"
SMALL: Final = 16 * 1024
LARGE: Final = 96 * 1024 * 1024
"""Bytes: the largest payload read at all. 100,000 people with one template each make a roster of 80 MB."""


class MessageRefused(BadInput):
    """A payload that does not read as the message its topic promises."""

    def __init__(self, topic: str, why: str) -> None:
        super().__init__(f"The message on {topic} is refused: {why}")
        self.topic = topic
        self.why = why


@dataclass(frozen=True)
class Topics:
    """Topics of one door, `latchkey/<site>/<door>/...`."""

    site: str
    door: str

    def __post_init__(self) -> None:
        for name in (self.site, self.door):
            if not re.fullmatch(NAME_PATTERN, name):
                raise BadInput(
                    f"{name[:80]!r} cannot name a site or door: use a-z, 0-9, '-' and '_', beginning with a letter or "
                    "digit, at most 63 characters."
                )

    @property
    def door_id(self) -> str:
        """ "site/door", as it stands in signed texts."""
        return f"{self.site}/{self.door}"

    @property
    def device_id(self) -> str:
        """[a-z0-9_-]: the door's id in Home Assistant. A `_` in a name is doubled, for `_` parts the names."""
        return "_".join(("latchkey", self.site.replace("_", "__"), self.door.replace("_", "__")))

    def __getitem__(self, leaf: str) -> str:
        return f"latchkey/{self.site}/{self.door}/{leaf}"

    @classmethod
    def split(cls, topic: str) -> tuple[Topics, str]:
        """A topic -> the door's topics and the leaf. Raises BadInput."""
        parts = topic.split("/", 3)
        if len(parts) != 4 or parts[0] != "latchkey":
            raise BadInput(f"{topic} is not a Latchkey topic.")
        return cls(parts[1], parts[2]), parts[3]


class Message(BaseModel):
    """Base of all payloads. Unknown fields are ignored, so that a newer sender can add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")
    max_bytes: ClassVar[int] = SMALL


M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    return message.model_dump_json().encode()


def decode(kind: type[M], payload: bytes, topic: str) -> M:
    """Raises MessageRefused."""
    if len(payload) > kind.max_bytes:
        raise MessageRefused(topic, f"{len(payload)} bytes, at most {kind.max_bytes} are read.")
    try:
        return kind.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        raise MessageRefused(topic, f"{where}: {first['msg']}.") from error


def seal(key: SecretKey, topic: str, message: Message) -> bytes:
    """Readable only with the door's key, good only on `topic`."""
    return key.seal(topic, encode(message))


def unseal(key: SecretKey, topic: str, kind: type[M], payload: bytes) -> M:
    """Raises SealRefused, MessageRefused."""
    if len(payload) > kind.max_bytes + 64:
        raise MessageRefused(topic, f"{len(payload)} bytes, at most {kind.max_bytes} are read.")
    return decode(kind, key.open(topic, payload), topic)


Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
HoldMs = Annotated[int, Field(ge=200, le=60_000)]
"""Milliseconds that the relay stays on: below 200 no strike moves, above a minute the door stands open."""


MAX_COUNT: Final = 2**31 - 1
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
"""What the store keeps, PostgreSQL's integer: at one record a second, 68 years."""


class Challenge(Message):
    """Topics challenge (door) and lock/challenge (lock)."""

    challenge: Hex32


class LockCommand(Message):
    """Topic lock/command: QoS 0, never retained, never queued."""

    max_bytes: ClassVar[int] = 1024
    """A command has 300; a lock on a microcontroller reads no more than this, so no lock does."""
    door: str = Field(max_length=127)
    action: str = Field(pattern=r"^(unlock|lock)$")
    challenge: Hex32
    hold_ms: Annotated[HoldMs, Field(strict=True)]
    mac: Hex64
    good_ms: Annotated[int, Field(strict=True, ge=0, le=4000)] | None = Field(None, exclude_if=lambda ms: ms is None)
    """The challenge's age, in milliseconds, at which the command is too late: the door counts from when it heard the
    challenge, the lock from when it gave it, so the time on the way counts against the command, both ways, without
    a common clock. A frame that may open is 500 ms old at most when the relay moves. None is left out: every bit of a
    command is under its MAC."""


class LockState(str, Enum):
    """Topic lock/state, plain text."""

    LOCKED = "LOCKED"
    UNLOCKED = "UNLOCKED"
    JAMMED = "JAMMED"


class Contact(str, Enum):
    """Topic lock/contact, plain text, retained: the door's leaf, as its contact says."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


LEAF_ALARMS: Final = ("forced_open", "held_open", "found_open")
"""Reasons of notices about the leaf that somebody should look after."""

EXIT_PRESSED: Final = b"PRESSED"
"""Topic lock/exit, never retained: somebody inside pressed the button that asks to be let out. The lock has opened
by itself: a way out must not hang on a network."""


class LockResult(Message):
    """Topic lock/result: what became of a command. `reason` is empty when it was obeyed."""

    challenge: str = Field(max_length=64)
    accepted: bool
    reason: str = Field(default="", max_length=64)


class Hint(str, Enum):
    """Topic hint, plain text: for a display or a buzzer at the door."""

    COME_CLOSER = "come_closer"
    LOOK_HERE = "look_here"
    TOO_DARK = "too_dark"
    WELCOME = "welcome"
    CLOSE_DOOR = "close_door"


class Health(Message):
    """Topic health. Times in milliseconds, temperature in degrees Celsius."""

    software: str
    encoder_id: str = ""
    model_version: str = ""
    generation: Count = 0
    people: Count = 0
    fps: float = 0.0
    stage_ms: dict[str, float] = Field(default_factory=dict)
    """Median of each stage of a frame, over the last half minute."""
    stage_p95_ms: dict[str, float] = Field(default_factory=dict)
    """95th percentile, of the same frames."""
    resting: bool = False
    """Nobody is there and nothing moves: the door looks for faces seldom."""
    camera: str = "opening"
    camera_why: str = ""
    lock: str = "unknown"
    contact: str = "unknown"
    """open, closed, or unknown where the door has no contact."""
    forced_open: bool = False
    """Opened with neither a grant nor a request to exit, and not closed since."""
    held_open: bool = False
    """Open for longer than its settings allow."""
    outbox: Count = 0
    guard: bool = False
    audit_seq: Count = 0
    audit_head: str = Field(default="", max_length=64)
    """Where the door's audit ends: the number of its last record, and that one's hash."""
    temperature_c: float | None = None
    problems: list[str] = Field(default_factory=list)


class Applied(Message):
    """Topic applied: what the door runs, and the last refusal if it refused something since."""

    generation: Count
    encoder_id: str
    model_version: str
    people: Count = 0
    roster_encoder: str = ""
    """Where the roster's templates are of an older encoder that this one may be compared with: its encoder_id."""
    refused: str = ""
    """Machine-readable reason of the last refusal, empty when the last document was taken."""
    refused_why: str = ""
    refused_topic: str = ""


class Ask(Message):
    """Topic ask, sealed: the page asks the door for something, once, now."""

    id: Hex32
    challenge: Hex32
    action: Literal["unlock", "look", "face"]
    """look: the camera's newest picture; face: the best one of who stands there. Nothing moves on either."""
    by: str = Field(max_length=128)
    why: str = Field(default="", max_length=256)


class Answer(Message):
    """Topic answer, sealed. `ok` false: `reason` is a code, `sentence` for a person. image: a JPEG, for a look."""

    max_bytes: ClassVar[int] = 8 * SMALL
    id: Hex32
    ok: bool
    reason: str = ""
    sentence: str = ""
    image: bytes = b""
