FROM python:3.12-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /venv
COPY requirements-image.lock ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements-image.lock
COPY api api
COPY cli cli
COPY worker worker
COPY tasks tasks
COPY shared shared
COPY docs/operations/nginx.conf docs/operations/nginx.conf
# So that an operator can say `docker compose exec worker lethe doctor`.
RUN printf '#!/venv/bin/python\nfrom cli.__main__ import run\n\nrun()\n' > /venv/bin/lethe && chmod +x /venv/bin/lethe

FROM python:3.12-slim-bookworm
# Web and worker must be able to write to Evolution's folder: set `user:` in the compose file to whom that belongs.
RUN useradd --uid 1000 --no-create-home lethe
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 LETHE_BIND=0.0.0.0:8080
USER lethe
EXPOSE 8080
CMD ["gunicorn", "--config", "api/gunicorn_config.py", "api.app:create()"]
