"""Single stores: keys of Redis, and indexes of the tenant database."""
