"""Accounts get roles and one-time codes, sessions are rows, people consent and may be suspended, crops are optional."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Towards newer."""
    with op.batch_alter_table("accounts") as accounts:
        # Until now there was one kind of account, and it did everything.
        accounts.add_column(sa.Column("role", sa.String(length=16), nullable=False, server_default="administrator"))
        accounts.add_column(sa.Column("totp", sa.LargeBinary(), nullable=True))
        accounts.add_column(sa.Column("totp_pending", sa.LargeBinary(), nullable=True))
        accounts.add_column(sa.Column("totp_step", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("opened", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name=op.f("fk_sessions_account_accounts"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_sessions_account"), "sessions", ["account"])
    with op.batch_alter_table("people") as people:
        people.add_column(sa.Column("suspended", sa.Boolean(), nullable=False, server_default=sa.false()))
        people.add_column(sa.Column("consent_at", sa.DateTime(timezone=True), nullable=True))
        people.add_column(sa.Column("consent_version", sa.Integer(), nullable=False, server_default="0"))
        people.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
    with op.batch_alter_table("portraits") as portraits:
        portraits.alter_column("crop", existing_type=sa.LargeBinary(), nullable=True)
    op.create_table(
        "consents",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_consents")),
    )
    op.create_table(
        "options",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_options")),
    )
    with op.batch_alter_table("doors") as doors:
        doors.add_column(sa.Column("policy_before", sa.JSON(), nullable=False, server_default="{}"))
    _go_on_keeping()


def _go_on_keeping() -> None:
    """A site that has kept its people's crops goes on: nobody there expects to be photographed again."""
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM portraits")):
        options = sa.table("options", sa.column("key", sa.String()), sa.column("value", sa.JSON()))
        op.bulk_insert(options, [{"key": "keep_photos", "value": True}])


def downgrade() -> None:
    """Back to 0002."""
    with op.batch_alter_table("doors") as doors:
        doors.drop_column("policy_before")
    op.drop_table("options")
    op.drop_table("consents")
    # A portrait without its crop means nothing to 0002.
    op.execute("DELETE FROM portraits WHERE crop IS NULL")
    with op.batch_alter_table("portraits") as portraits:
        portraits.alter_column("crop", existing_type=sa.LargeBinary(), nullable=False)
    with op.batch_alter_table("people") as people:
        for name in ("revision", "consent_version", "consent_at", "suspended"):
            people.drop_column(name)
    op.drop_index(op.f("ix_sessions_account"), table_name="sessions")
    op.drop_table("sessions")
    with op.batch_alter_table("accounts") as accounts:
        for name in ("totp_step", "totp_pending", "totp", "role"):
            accounts.drop_column(name)
