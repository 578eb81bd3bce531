"""The HTTP API: authenticates, validates, submits orders, reports. Only gunicorn imports it; it imports neither worker
nor cli, and runs no step."""
