"""`celery -A bench.bare_worker worker` runs the bare chains."""

from bench import bare

app = bare.create()
