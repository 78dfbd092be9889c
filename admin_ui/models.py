"""The store's tables. What identifies a face (crop, template) is sealed with the store key before it gets here."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship

ID_LENGTH: Final = 64
NAME_LENGTH: Final = 120
"""Characters; the roster's limits for a person's id and name."""


class Utc(TypeDecorator[datetime]):
    """Aware in Python, UTC in the store: SQLite keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the store needs a zone")
        return value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Aware, UTC."""
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=timezone.utc)


class Base(DeclarativeBase):
    """All tables."""

    # A later migration can only change a constraint that has a name.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Utc, dict[str, Any]: JSON}  # noqa: RUF012 - SQLAlchemy reads it from the class


class PersonRow(Base):
    """Somebody enrolled. name_key: store.name_key of the name, so that `Ada` and `ADA` are one name."""

    __tablename__ = "people"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    name_key: Mapped[str] = mapped_column(String(2 * NAME_LENGTH), unique=True)
    created: Mapped[datetime]
    valid_from: Mapped[datetime | None]
    valid_until: Mapped[datetime | None]
    suspended: Mapped[bool] = mapped_column(Boolean, server_default=false())
    """In no list of any door until somebody ends it."""
    consent_at: Mapped[datetime | None]
    consent_version: Mapped[int] = mapped_column(server_default="0")
    """ConsentRow that they agreed to; 0: none was recorded."""
    revision: Mapped[int] = mapped_column(server_default="1")
    """Rises with every edit, so that two who edit one person at once do not undo each other unseen."""
    portraits: Mapped[list[PortraitRow]] = relationship(
        back_populates="person", cascade="all, delete-orphan", passive_deletes=True
    )
    memberships: Mapped[list[MembershipRow]] = relationship(
        back_populates="person", cascade="all, delete-orphan", passive_deletes=True
    )


class PortraitRow(Base):
    """One enrolment photo. crop: the aligned 112x112 face, PNG, sealed, where the site keeps it: what a new encoder
    makes new templates from. The photo itself is never kept."""

    __tablename__ = "portraits"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), index=True)
    crop: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """Loaded when it is asked for: a list of ten thousand people must not read their faces."""
    quality: Mapped[dict[str, Any]]
    created: Mapped[datetime]
    kept: Mapped[bool] = column_property(crop.is_not(None))
    person: Mapped[PersonRow] = relationship(back_populates="portraits")
    templates: Mapped[list[TemplateRow]] = relationship(
        back_populates="portrait", cascade="all, delete-orphan", passive_deletes=True
    )


class TemplateRow(Base):
    """float32[128] of one portrait under one encoder, sealed."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("portrait_id", "encoder_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    portrait_id: Mapped[int] = mapped_column(ForeignKey("portraits.id", ondelete="CASCADE"), index=True)
    encoder_id: Mapped[str] = mapped_column(String(64))
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    portrait: Mapped[PortraitRow] = relationship(back_populates="templates")


class ModelRow(Base):
    """A bundle that this site has run; the one in force has the newest `since`. Its file is named by encoder_id."""

    __tablename__ = "models"

    encoder_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(63))
    version: Mapped[str] = mapped_column(String(17))
    since: Mapped[datetime]


class DoorRow(Base):
    """A door: its rule, the roster last published (sealed, so that it can be sent again byte for byte) and what
    the door last said it runs."""

    __tablename__ = "doors"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    policy: Mapped[dict[str, Any]]
    policy_before: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    """What the threshold was moved from last; {}: nothing to undo."""
    generation: Mapped[int]
    encoder_id: Mapped[str] = mapped_column(String(64))
    roster: Mapped[bytes] = mapped_column(LargeBinary)
    applied: Mapped[dict[str, Any]]
    audit: Mapped[dict[str, Any]]
    """The last head of the door's audit that the page saw, and an alarm: journal.AuditSeen."""
    created: Mapped[datetime]
    memberships: Mapped[list[MembershipRow]] = relationship(
        back_populates="door", cascade="all, delete-orphan", passive_deletes=True
    )


class MembershipRow(Base):
    """This person may use this door."""

    __tablename__ = "memberships"

    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), primary_key=True)
    door_name: Mapped[str] = mapped_column(ForeignKey("doors.name", ondelete="CASCADE"), primary_key=True, index=True)
    person: Mapped[PersonRow] = relationship(back_populates="memberships")
    door: Mapped[DoorRow] = relationship(back_populates="memberships")


class EventRow(Base):
    """An event of a door. A person is named by value, and by nothing once they are erased."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "door", "at"),
        Index(None, "at"),
        Index(None, "door", "audit_seq"),
        Index(None, "person_id"),
    )

    door: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(64))
    person_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    person: Mapped[str] = mapped_column(String(NAME_LENGTH))
    distance: Mapped[float | None] = mapped_column(Double)
    audit_seq: Mapped[int]
    audit_hash: Mapped[str] = mapped_column(String(64))
    """Its record in the door's audit; 0 and "" from a door that does not say."""
    detail: Mapped[dict[str, Any]]


class ActRow(Base):
    """Who did what in the office, and when. Never changed, never deleted; acts.py says how that would show."""

    __tablename__ = "acts"

    id: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(unique=True)
    prev: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(index=True)
    by: Mapped[str] = mapped_column(String(128))
    what: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text)


class ErasedRow(Base):
    """The random id of somebody who was erased: a backup that still has them must not bring them back."""

    __tablename__ = "erased"

    person_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    at: Mapped[datetime]


class AccountRow(Base):
    """Who may log in. hash: argon2id, with its salt and costs. role: roles.AccountRole. totp: the secret of the
    one-time codes, sealed, None where none are asked for; totp_pending: one that was shown and not confirmed yet;
    totp_step: the last code's, which is good once."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    hash: Mapped[str] = mapped_column(String(256))
    created: Mapped[datetime]
    role: Mapped[str] = mapped_column(String(16), server_default="administrator")
    totp: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_pending: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_step: Mapped[int] = mapped_column(server_default="0")


class SessionRow(Base):
    """One login. The cookie has the token; its sha256 is kept, so that who reads the store can take no session over."""

    __tablename__ = "sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name", ondelete="CASCADE"), index=True)
    opened: Mapped[datetime]


class TriesRow(Base):
    """Wrong tries to log in, of one address or account, and when the last was begun: tries.Tries has the rules."""

    __tablename__ = "tries"

    who: Mapped[str] = mapped_column(String(80), primary_key=True)
    count: Mapped[int]
    last: Mapped[datetime]


class ConsentRow(Base):
    """A text that people agree to before they are enrolled. Never changed: another text is another version."""

    __tablename__ = "consents"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]


class OptionRow(Base):
    """A switch of the site that the page sets."""

    __tablename__ = "options"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
