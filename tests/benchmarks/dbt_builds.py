"""Full refresh against increment on the BigQuery emulator: `make bench-dbt`.

Lands conversation versions by SQL over 300 days, each with files, events and an analysed CI state
of 20 turns, builds all incremental models in full, lands the next day's 1 % and builds the
increment with the project's own overlap, at two sizes. Prints
times and the two ratios that the project promises: increment / full refresh <= 10 %, and <= 20 %
more for a doubled base.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.cloud import bigquery

from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import client_for, create_raw_tables
from tests.warehouse.raw_rows import PARENT, analysis_of, ci_row, talk

MODELS = ("--select", "config.materialized:incremental")
TURNS = 20
SHARE = 100
"""One in so many conversations is new in the increment."""
DAYS = 300
"""So many days the base took to land; the increment lands on the next."""

FILES = """
insert into coach_raw.conversation_files
select
    format('bench-%08d', n) as conversation_id,
    {day} as batch_date,
    kind,
    format('gs://bench/%08d/%s.json', n, kind) as uri,
    1000 + n as generation,
    'AAAAAA==' as crc32c,
    400 as size_bytes,
    to_hex(sha256(format('%d-%s', n, kind))) as content_sha256,
    '1.0' as schema_version,
    if(
        kind = 'metadata',
        json '{payload}',
        json '{{"turns": [{{"text": "a"}}, {{"text": "b"}}]}}'
    ) as payload,
    '{run}' as _run_id,
    {landed} as _landed_at
from unnest(generate_array({first}, {last})) as n
cross join unnest(['metadata', 'transcription']) as kind
"""
PAYLOAD = (
    '{"direction": "INBOUND", "business_line": "LOANS", "medium": "PHONE_CALL", '
    '"language_code": "en-AU", "queue": "q", "agent_id": "a", "agent_name": "n", '
    '"agent_team": "t", "agent_site": "s", "call_outcome": "NO_AGREEMENT", '
    '"started_at": "2025-12-28T09:00:00+11:00", "ended_at": "2025-12-28T09:05:00+11:00", '
    '"duration_sec": 300}'
)
EVENTS = """
insert into coach_raw.pipeline_events
select
    format('bench-%08d', n) as conversation_id,
    to_hex(sha256(format('%d-%s', n, step))) as event_id,
    {day} as batch_date,
    step,
    'succeeded' as outcome,
    cast(null as string) as reason,
    to_hex(sha256(format('%d-metadata', n))) as metadata_sha256,
    to_hex(sha256(format('%d-transcription', n))) as transcript_sha256,
    cast(null as string) as resource_name,
    cast(null as string) as error_code,
    cast(null as string) as error_message,
    1 as attempt,
    {landed} as started_at,
    {landed} as ended_at,
    '{run}' as _run_id,
    {landed} as _landed_at
from unnest(generate_array({first}, {last})) as n
cross join unnest(['upload', 'submit']) as step
"""

STATES = """
insert into coach_raw.ci_conversations
with numbered as (
    select
        n,
        format('bench-%08d', n) as conversation_id,
        {day} as batch_date,
        to_hex(sha256(format('%d-metadata', n))) as metadata_sha256,
        to_hex(sha256(format('%d-transcription', n))) as transcript_sha256
    from unnest(generate_array({first}, {last})) as n
)
select
    conversation_id,
    concat('{parent}/conversations/', conversation_id) as ci_name,
    concat('{parent}/conversations/', conversation_id, '/analyses/', n) as analysis_name,
    'profile' as annotator_profile_sha256,
    metadata_sha256,
    transcript_sha256,
    parse_json(
        replace(replace(replace(replace(r'''{state}''',
            'METADATA-SHA256', metadata_sha256), 'TRANSCRIPT-SHA256', transcript_sha256),
            'BENCH-ID', conversation_id), 'BATCH-DATE', cast(batch_date as string))
    ) as payload,
    to_hex(sha256(conversation_id)) as payload_sha256,
    timestamp_add(timestamp(batch_date), interval 20 hour) as ci_updated_at,
    '{run}' as _run_id,
    timestamp_add(timestamp(batch_date), interval 20 hour) as _landed_at
from numbered
"""


def main() -> int:
    """Print the measurement; return 0 when both promises hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=100_000)
    base = parser.parse_args().versions
    full, increment = _measure(base)
    _say(f"{base:>9,} versions: full {full:6.1f} s, +1 % {increment:6.1f} s")
    doubled_full, doubled = _measure(2 * base)
    _say(f"{2 * base:>9,} versions: full {doubled_full:6.1f} s, +1 % {doubled:6.1f} s")
    share, growth = increment / full, doubled / increment - 1
    _say(f"increment / full refresh: {share:.1%} (promised: at most 10 %)")
    _say(f"increment when the base doubles: {growth:+.1%} (promised: at most +20 %)")
    return 0 if share <= 0.10 and growth <= 0.20 else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _measure(versions: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder, _emulator(Path(folder)) as endpoint:
        client = client_for(endpoint)
        create_raw_tables(client)
        project = DbtProject(Path(folder), endpoint)
        project.run("build", "--exclude", "resource_type:test", "resource_type:unit_test")
        _land(client, 1, versions, f"mod(n, {DAYS})", "base")
        full = _timed(project, "run", "--full-refresh", *MODELS)
        _land(client, versions + 1, versions + versions // SHARE, str(DAYS), "more")
        return full, _timed(project, "run", *MODELS)


def _timed(project: DbtProject, *arguments: str) -> float:
    started = time.perf_counter()
    project.run(*arguments)
    return time.perf_counter() - started


def _land(client: bigquery.Client, first: int, last: int, day_number: str, run: str) -> None:
    day = f"date_add(date '2025-01-01', interval {day_number} day)"
    landed = f"timestamp_add(timestamp({day}), interval 20 hour)"
    values = {"first": first, "last": last, "day": day, "landed": landed}
    values |= {"run": run, "payload": PAYLOAD}
    values |= {"parent": PARENT, "state": _state()}
    for statement in (FILES, EVENTS, STATES):
        client.query(statement.format(**values), retry=None, job_retry=None).result(timeout=600)


def _state() -> str:
    """Return an analysed conversation of TURNS turns as CI answers, with names to be replaced."""
    spoken = talk(
        "BENCH-ID",
        [
            (("AGENT", "CUSTOMER")[turn % 2], f"This is turn {turn} of the call.")
            for turn in range(TURNS)
        ],
        batch_date="2025-01-01",
    )
    moment = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    analysis = analysis_of(spoken, "1", moment, [], [0.5, -0.5])
    payload = ci_row(spoken, moment, "run", analysis=analysis, profile="profile")["payload"]
    payload["labels"] |= {
        "metadata_sha256": "METADATA-SHA256",
        "transcript_sha256": "TRANSCRIPT-SHA256",
        "batch_date": "BATCH-DATE",
    }
    return json.dumps(payload)


@contextmanager
def _emulator(folder: Path) -> Iterator[str]:
    port = 26_500
    command = [sys.executable, "-m", "ingest.local.bigquery_server", "--port", str(port)]
    command += ["--grpc-port", str(port + 1), "--data-dir", str(folder / "data")]
    command += ["--gcs-root", str(folder / "gcs")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


def _await(endpoint: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            list(client_for(endpoint).list_datasets(timeout=5, retry=None))
        except (OSError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    raise SystemExit("the BigQuery emulator did not start")


if __name__ == "__main__":
    raise SystemExit(main())
