"""Alembic migrations of Lethe's own database."""
