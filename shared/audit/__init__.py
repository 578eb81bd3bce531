"""The audit: who did what, when, and how it ended; each line is sealed with the one before. All packages may import
it; it imports only the own database, and never changes a line."""
