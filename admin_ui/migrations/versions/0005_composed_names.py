"""Names are composed (NFC): one that came from a Mac with its accents apart could not be found, nor typed to erase it.

Two who then have one name are told apart by a number behind the later one's. The doors' lists get the new writing with
their next change; they know people by id.
"""

from __future__ import annotations

import itertools
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LONGEST = 120
PEOPLE = sa.table("people", *(sa.column(name) for name in ("id", "name", "name_key", "created")))
EVENTS = sa.table("events", sa.column("person_id"), sa.column("person"))


def upgrade() -> None:
    """Towards newer."""
    connection = op.get_bind()
    rows = connection.execute(sa.select(PEOPLE.c.id, PEOPLE.c.name, PEOPLE.c.name_key).order_by(PEOPLE.c.created)).all()
    taken = {row.name_key for row in rows}
    for row in rows:
        name, key = _composed(row.name), _key(row.name)
        if (name, key) == (row.name, row.name_key):
            continue
        taken.remove(row.name_key)
        numbers = itertools.count(2)
        while key in taken:
            name = f"{_composed(row.name)[: LONGEST - 8]} ({next(numbers)})"
            key = _key(name)
        taken.add(key)
        connection.execute(PEOPLE.update().where(PEOPLE.c.id == row.id).values(name=name, name_key=key))
        told = (EVENTS.c.person_id == row.id) & (EVENTS.c.person == row.name)
        connection.execute(EVENTS.update().where(told).values(person=name))


def downgrade() -> None:
    """Back to 0004, which reads these names as well."""


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _key(name: str) -> str:
    return _composed(" ".join(_composed(name).split()).casefold())
