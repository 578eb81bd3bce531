"""What a request passes before an endpoint sees it, for all endpoints alike: its body, its origin, where it leads. Only
the application and gunicorn's worker import it; it knows no endpoint but by its blueprint."""
