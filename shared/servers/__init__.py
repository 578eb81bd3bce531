"""URLs of Redis and PostgreSQL servers: several hosts, Sentinel, TLS.

May be imported by everything; imports nothing of Lethe.
"""

REDIS_SCHEMES = ("redis", "rediss", "unix", "sentinel", "sentinels")
