"""Wrong tries to log in are rows, so that they count for every process of the page and a restart forgets none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Towards newer."""
    op.create_table(
        "tries",
        sa.Column("who", sa.String(length=80), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("who", name=op.f("pk_tries")),
    )


def downgrade() -> None:
    """Back to 0003."""
    op.drop_table("tries")
