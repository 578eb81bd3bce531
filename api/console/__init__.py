"""The console in the browser, for people with an API key. Only api.app imports it; it submits orders as every endpoint
does, and runs no step."""
