"""Runs migrations on the own database; called by shared.database.migrate only."""

from alembic import context

from shared.database.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
