"""The command line, for an operator on the server. Nothing imports it; it gives orders through tasks as the API
does, and imports neither api nor worker."""
