"""Acts become a hash chain without names of people; audit heads of the doors; the list of the erased."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

from admin_ui.acts import act_hash
from admin_ui.models import ActRow, Utc
from firmware_config.chain import ORIGIN

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAMED = re.compile(r"^.* \(([0-9a-f]{32})\)", re.DOTALL)
"""How 0.1 wrote a person into an act: name, and id in brackets."""


def upgrade() -> None:
    """Towards newer."""
    with op.batch_alter_table("acts") as acts:
        acts.add_column(sa.Column("seq", sa.Integer(), nullable=True))
        acts.add_column(sa.Column("prev", sa.String(length=64), nullable=True))
        acts.add_column(sa.Column("hash", sa.String(length=64), nullable=True))
    _chain()
    with op.batch_alter_table("acts") as acts:
        acts.alter_column("seq", existing_type=sa.Integer(), nullable=False)
        acts.alter_column("prev", existing_type=sa.String(length=64), nullable=False)
        acts.alter_column("hash", existing_type=sa.String(length=64), nullable=False)
        acts.create_unique_constraint(op.f("uq_acts_seq"), ["seq"])
    with op.batch_alter_table("doors") as doors:
        doors.add_column(sa.Column("audit", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("events") as events:
        events.add_column(sa.Column("audit_seq", sa.Integer(), nullable=False, server_default="0"))
        events.add_column(sa.Column("audit_hash", sa.String(length=64), nullable=False, server_default=""))
        events.create_index(op.f("ix_events_door_audit_seq"), ["door", "audit_seq"])
        events.create_index(op.f("ix_events_person_id"), ["person_id"])
    op.create_table(
        "erased",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_erased")),
    )


def _chain() -> None:
    acts = sa.table(
        "acts",
        *[sa.column(name) for name in ("id", "seq", "prev", "hash", "by", "what", "subject")],
        sa.column("at", Utc()),
    )
    connection, previous = op.get_bind(), ORIGIN
    for seq, old in enumerate(connection.execute(sa.select(acts).order_by(acts.c.id)).all(), start=1):
        subject = NAMED.sub(r"\1", old.subject)
        row = ActRow(seq=seq, at=old.at, by=old.by, what=old.what, subject=subject, prev=previous)
        row.hash = act_hash(row)
        values = {"seq": seq, "prev": previous, "hash": row.hash, "subject": subject}
        connection.execute(sa.update(acts).where(acts.c.id == old.id).values(**values))
        previous = row.hash


def downgrade() -> None:
    """Back to 0001."""
    op.drop_table("erased")
    with op.batch_alter_table("events") as events:
        events.drop_index(op.f("ix_events_person_id"))
        events.drop_index(op.f("ix_events_door_audit_seq"))
        events.drop_column("audit_hash")
        events.drop_column("audit_seq")
    with op.batch_alter_table("doors") as doors:
        doors.drop_column("audit")
    with op.batch_alter_table("acts") as acts:
        acts.drop_constraint(op.f("uq_acts_seq"), type_="unique")
        for name in ("hash", "prev", "seq"):
            acts.drop_column(name)
