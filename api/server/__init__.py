"""How gunicorn serves the API: its configuration and its worker class. Only gunicorn imports it, through
api/gunicorn_config.py; it imports no endpoint."""
