"""What Lethe as a whole needs of a host, and what more workers bring."""
