"""The roster: who may use one door and by what rule; signed by the site, sealed for the door."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

import numpy as np
from pydantic import Field, field_validator, model_validator

from firmware_config.errors import BadInput
from firmware_config.face import EMBEDDING_SIZE, MAX_DISTANCE, FloatArray
from firmware_config.keys import SIGNATURE_BYTES, SecretKey, SigningKey, VerifyKey
from firmware_config.messages import LARGE, MAX_COUNT, HoldMs, Message, MessageRefused, Topics, decode, encode

ROSTER_CONTEXT: Final = b"latchkey-roster-1|"
"""Before the signed bytes, so that no signature over another kind of document can pass for a roster's."""

NORM_TOLERANCE: Final = 1e-3
"""How far a template's length may be from 1: float32 rounding is 1e-6, anything above this is damage."""

LOWEST_TAU: Final = 0.05
"""Distance. Two pictures of one person are never so near; below it a threshold would only look like one."""


class RosterRefused(BadInput):
    """A roster that the door does not take. `reason` is a code, published; the text is for a person."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Policy(Message):
    """The rule of one door. Distances 0 to 2, times in seconds unless the name says otherwise."""

    tau: float = Field(ge=LOWEST_TAU, le=MAX_DISTANCE)
    """Same person when the distance is at most this."""
    tau_strict: float = Field(ge=LOWEST_TAU, le=MAX_DISTANCE)
    """What tau becomes while the guard is raised."""
    fpir: float | None = Field(default=None, gt=0, lt=1)
    """For the page alone: it sets tau with every list so that one picture of a stranger opens at most so often,
    however many templates it is compared with. None: tau was set by hand."""
    margin: float = Field(default=0.05, ge=0, le=1)
    """Two people within tau and closer than this to each other: ambiguous."""
    votes_needed: int = Field(default=3, ge=1, le=15)
    votes_window: int = Field(default=5, ge=1, le=30)
    cooldown_s: float = Field(default=4.0, ge=0, le=600)
    """After a grant, the same person is not granted again for so long: they are still walking through."""
    hold_ms: HoldMs = 3000
    near_miss_band: float = Field(default=0.08, ge=0, le=0.5)
    """A refused visit whose best distance is within this above tau counts as a near miss."""
    guard_misses: int = Field(default=5, ge=2, le=100)
    guard_window_s: float = Field(default=60.0, ge=1, le=3600)
    guard_hold_s: float = Field(default=300.0, ge=1, le=3600)
    locked_down: bool = False
    """Nobody is let in, by whatever way, until an administrator releases the door. A way out is no way in: the exit
    button goes on working."""
    allow_remote_unlock: bool = True
    allow_home_assistant_unlock: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Policy:
        if self.tau_strict > self.tau:
            raise ValueError("tau_strict must not be above tau")
        if self.votes_needed > self.votes_window:
            raise ValueError("votes_needed must not be above votes_window")
        return self


class Person(Message):
    """One enrolled person. `templates`: each float32[128], unit length, little-endian, base64 in JSON."""

    id: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=120)
    templates: list[bytes] = Field(min_length=1, max_length=20)
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    @field_validator("templates")
    @classmethod
    def _unit_vectors(cls, templates: list[bytes]) -> list[bytes]:
        for raw in templates:
            if len(raw) != EMBEDDING_SIZE * 4:
                raise ValueError(f"a template has {EMBEDDING_SIZE * 4} bytes, not {len(raw)}")
            # float64, and quietly: damaged bytes may be infinities or signalling NaNs, which fail the comparison.
            with np.errstate(all="ignore"):
                norm = float(np.linalg.norm(np.frombuffer(raw, "<f4").astype(np.float64)))
            if not abs(norm - 1.0) < NORM_TOLERANCE:
                raise ValueError(f"a template has length {norm:.3f}, not 1")
        return templates

    @field_validator("valid_from", "valid_until")
    @classmethod
    def _with_zone(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and moment.tzinfo is None:
            raise ValueError("a date needs a time zone")
        return moment

    def vectors(self) -> FloatArray:
        """float32[T, 128], unit rows."""
        return np.stack([np.frombuffer(raw, "<f4") for raw in self.templates]).astype(np.float32)


class Roster(Message):
    """Everything a door needs to judge alone, in one document. Photos are not in it."""

    max_bytes: ClassVar[int] = LARGE

    site: str
    door: str
    generation: int = Field(ge=1, le=MAX_COUNT)
    encoder_id: str = Field(pattern=r"^[0-9a-f]{64}$")
    policy: Policy
    people: list[Person] = Field(default_factory=list, max_length=1_000_000)
    rollback_to: str = ""
    """encoder_id of an older bundle that the administrator lets the door go back to. Here, not in the bundle:
    a roster's generation only rises, so an old permission cannot be replayed."""

    @model_validator(mode="after")
    def _ids_once(self) -> Roster:
        if len({person.id for person in self.people}) != len(self.people):
            raise ValueError("a person stands in the roster twice")
        return self


def template_bytes(vector: FloatArray) -> bytes:
    """float32[128] unit -> the bytes a Person carries."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def seal_roster(roster: Roster, site_key: SigningKey, door_key: SecretKey) -> bytes:
    """Signed, then sealed: the door learns who wrote it, the broker learns nothing."""
    document = encode(roster)
    signature = site_key.sign(ROSTER_CONTEXT + document)
    topic = Topics(roster.site, roster.door)["roster"]
    return door_key.seal(topic, signature + document)


def open_roster(sealed: bytes, topics: Topics, site_key: VerifyKey, door_key: SecretKey, newer_than: int = 0) -> Roster:
    """The door's side of `seal_roster`.

    newer_than: the generation that the door has taken; only a higher one passes.
    Raises SealRefused, SignatureRefused, MessageRefused, RosterRefused.
    """
    topic = topics["roster"]
    if len(sealed) > LARGE:
        raise MessageRefused(topic, f"{len(sealed)} bytes, at most {LARGE} are read.")
    opened = door_key.open(topic, sealed)
    signature, document = opened[:SIGNATURE_BYTES], opened[SIGNATURE_BYTES:]
    site_key.verify(signature, ROSTER_CONTEXT + document)
    roster = decode(Roster, document, topic)
    if (roster.site, roster.door) != (topics.site, topics.door):
        raise RosterRefused("foreign_door", f"The roster is for {roster.site}/{roster.door}, this is {topics.door_id}.")
    if roster.generation <= newer_than:
        raise RosterRefused(
            "older_generation",
            f"The roster has generation {roster.generation}, the door has taken {newer_than} already.",
        )
    return roster
