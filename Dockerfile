# One image for the jobs: `ingest …` or `dbt …`, given as the command. No emulators, no tests, no
# conversations. The base is pinned by digest; both lines move together with .python-version.

FROM python:3.13-slim-bookworm@sha256:01f42367a0a94ad4bc17111776fd66e3500c1d87c15bbd6055b7371d39c124fb AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# Dependencies first: they change less often than the code.
COPY constraints.txt pyproject.toml README.md ./
RUN mkdir ingest && touch ingest/__init__.py \
    && python -m venv /opt/coach \
    && /opt/coach/bin/pip install --constraint constraints.txt .
COPY ingest ingest
RUN /opt/coach/bin/pip install --no-deps --force-reinstall .

FROM python:3.13-slim-bookworm@sha256:01f42367a0a94ad4bc17111776fd66e3500c1d87c15bbd6055b7371d39c124fb AS run
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin coach
COPY --from=build /opt/coach /opt/coach
WORKDIR /app
COPY dbt_project.yml ./
COPY profiles.example.yml profiles/profiles.yml
COPY dbt_project dbt_project
COPY seeds seeds
COPY tests/data_tests tests/data_tests
# The root file system may be read-only: dbt writes below /tmp alone.
ENV PATH=/opt/coach/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    DBT_PROFILES_DIR=/app/profiles \
    DBT_TARGET_PATH=/tmp/target \
    DBT_LOG_PATH=/tmp/logs
USER coach
# Jobs end by themselves; there is nothing to ask.
HEALTHCHECK NONE
CMD ["ingest", "--help"]
