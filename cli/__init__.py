"""The command line, for an operator on the server. Nothing imports it; it submits orders through tasks.orders as the
API does, and imports neither api nor worker."""
