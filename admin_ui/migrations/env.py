"""Alembic's entry: runs the migrations over the connection that store.py hands in."""

from __future__ import annotations

from alembic import context

from admin_ui.models import Base

connection = context.config.attributes["connection"]
# render_as_batch: SQLite cannot alter most of a table in place; Alembic then copies it.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
