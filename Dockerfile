# syntax=docker/dockerfile:1
FROM python:3.12-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /venv
COPY requirements.lock pyproject.toml README.md ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY api api
COPY cli cli
COPY worker worker
COPY tasks tasks
COPY shared shared
RUN /venv/bin/pip install --no-cache-dir --no-deps .

FROM python:3.12-slim-bookworm
# Evolution's files belong to whoever runs it; 1000 is what its image uses most. Override with `user:` where it is not.
RUN useradd --uid 1000 --no-create-home lethe
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 LETHE_BIND=0.0.0.0:8080
USER lethe
EXPOSE 8080
CMD ["gunicorn", "--config", "api/gunicorn_config.py", "api.app:create()"]
