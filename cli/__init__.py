"""The command line, for whoever stands on the server."""
