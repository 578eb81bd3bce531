"""Evolution's Redis cache: which keys belong to an instance, and how they are counted and removed. Steps and
commands may import it; it imports no other store."""
