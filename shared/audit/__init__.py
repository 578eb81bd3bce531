"""The audit: who did what, when, and with which result; each line contains the hash of the one before. All packages
may import it; it imports only the own database, and never changes a line."""
