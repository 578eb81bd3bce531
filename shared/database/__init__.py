"""Lethe's own PostgreSQL database: connections, tables and migrations. All packages may import it; it imports no
other room of shared, and knows neither Evolution's database nor Redis."""
