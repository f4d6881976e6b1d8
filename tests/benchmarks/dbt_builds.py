"""Full refresh against increment on the BigQuery emulator: `make bench-dbt`.

Lands conversation versions by SQL, as many every day, each with files, events and an analysed CI
state of 43 KB; builds all incremental models in full; lands the next day's and builds the increment
with the project's own overlap. Then as many days again are landed, most of them before the first,
and both builds are measured once more. Prints times and the two ratios that the project promises:
an increment of 1 % takes <= 10 % of the full refresh, and as large a one <= 20 % more with twice
the history.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.cloud import bigquery

from tests.benchmarks.ci_payloads import write_payloads
from tests.benchmarks.stacks import free_port_base
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import client_for, create_raw_tables
from tests.warehouse.raw_rows import PARENT

MODELS = ("--select", "config.materialized:incremental")
SHARE = 100
"""One in so many conversations is new in the increment."""
DAYS = 300
"""So many days a base takes to land."""
BASE = (range(-DAYS, 0), 0)
"""Days on which it lands, and that of the increment."""
DOUBLED = ((*range(3 - 2 * DAYS, -DAYS), 1, 2, 3), 4)
"""As many days more. Three follow the first increment, so that both have the same overlap."""
DAY_ZERO = dt.date(2025, 11, 1)

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
OWN_WORD = "ref0x"
"""So begins a word in every turn of the first of the conversations that `write_payloads` makes."""

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
            'CONVERSATION-ID', conversation_id), 'BATCH-DATE', cast(batch_date as string))
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
    parser.add_argument("--bases", type=int, nargs="+", default=[10_000, 100_000])
    bases = sorted(parser.parse_args().bases)
    took = []
    with tempfile.TemporaryDirectory() as folder:
        state = landed_state(Path(folder))
    for base in bases:
        for versions, full, increment in _measure(state, base, is_doubled=base == bases[-1]):
            took.append((full, increment))
            more = base // SHARE
            _say(f"{versions:>9,} versions: full {full:6.1f} s, +{more:,} {increment:6.1f} s")
    (full, increment), (_, doubled) = took[-2:]
    share, growth = increment / full, doubled / increment - 1
    _say(f"increment / full refresh: {share:.1%} (promised: at most 10 %)")
    _say(f"increment when the base doubles: {growth:+.1%} (promised: at most +20 %)")
    return 0 if share <= 0.10 and growth <= 0.20 else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _measure(state: str, base: int, *, is_doubled: bool) -> Iterator[tuple[int, float, float]]:
    """Yield versions that a full refresh built, its seconds, and those of an increment of 1 %."""
    with tempfile.TemporaryDirectory() as folder, _emulator(Path(folder)) as endpoint:
        client = client_for(endpoint)
        create_raw_tables(client)
        project = DbtProject(Path(folder), endpoint)
        project.run("build", "--exclude", "resource_type:test", "resource_type:unit_test")
        landed = 0
        for days, next_day in (BASE, DOUBLED)[: 1 + is_doubled]:
            for number, day in enumerate(days):
                more = base * (number + 1) // DAYS - base * number // DAYS
                _land(client, state, landed, more, day)
                landed += more
            full = _timed(project, "run", "--full-refresh", *MODELS)
            _land(client, state, landed, base // SHARE, next_day)
            yield landed, full, _timed(project, "run", *MODELS)
            landed += base // SHARE


def _timed(project: DbtProject, *arguments: str) -> float:
    started = time.perf_counter()
    project.run(*arguments)
    return time.perf_counter() - started


def _land(client: bigquery.Client, state: str, held: int, more: int, day: int) -> None:
    """Land so many versions more than are held as one run of that day."""
    date = f"date '{DAY_ZERO + dt.timedelta(days=day)}'"
    landed = f"timestamp_add(timestamp({date}), interval 20 hour)"
    values = {"first": held + 1, "last": held + more, "day": date, "landed": landed}
    values |= {"run": f"bench-{day:+d}", "payload": PAYLOAD}
    values |= {"parent": PARENT, "state": state}
    for statement in (FILES, EVENTS, STATES):
        client.query(statement.format(**values), retry=None, job_retry=None).result(timeout=600)


def landed_state(folder: Path) -> str:
    """Return what CI's emulator answers for an analysed conversation, 43 KB, with names in it for
    what differs: no turn's text occurs twice when they are replaced."""
    path = folder / "state.json"
    write_payloads([path], [1], folder)
    state = json.loads(path.read_text(encoding="utf-8"))
    name = f"{PARENT}/conversations/CONVERSATION-ID"
    state |= {"name": name, "startTime": "BATCH-DATET09:00:00Z"}
    state["latestAnalysis"]["name"] = f"{name}/analyses/1"
    state["labels"] = {
        "batch_date": "BATCH-DATE",
        "direction": "INBOUND",
        "business_line": "LOANS",
        "metadata_sha256": "METADATA-SHA256",
        "transcript_sha256": "TRANSCRIPT-SHA256",
    }
    text = json.dumps(state).replace(OWN_WORD, "CONVERSATION-ID-x")
    return re.sub(r"\d{4}-\d\d-\d\dT", "BATCH-DATET", text)


@contextmanager
def _emulator(folder: Path) -> Iterator[str]:
    port = free_port_base()
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
