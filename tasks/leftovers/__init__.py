"""What the stores still hold for ids or names that no instance has: found, and erased on request. Command line and
worker import it; it touches no existing instance and no unfinished deletion."""
