"""The archive of a deletion, as deregister writes it. Steps and orders may import it; it imports no step."""
