"""One module for each migration, in their order. Only alembic imports it; a migration imports nothing of Lethe, and
is not changed after its release."""
