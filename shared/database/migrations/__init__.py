"""The migrations of Lethe's own database, run by alembic. Only alembic imports it, when shared.database.migrate
asks; nothing here reads or writes Evolution's database."""
