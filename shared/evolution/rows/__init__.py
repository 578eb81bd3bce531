"""Evolution's PostgreSQL database: which rows belong to an instance, and how they are counted and erased. Steps,
commands and endpoints may import it; it imports no other store."""
