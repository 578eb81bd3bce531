"""The Celery worker and its periodic tasks: runs steps, one at a time for each deletion, and publishes again what
got lost. Only Celery imports it; it imports neither api nor cli."""
