"""Full refresh against increment on the BigQuery emulator: `make bench-dbt`.

Lands conversation versions by SQL, as many every day, each with files, events and an analysed CI
state of 43 KB; builds in full once; then five increments with the project's own overlap. Each
lands 1 % of the base three days after the one before, so that each reads as much: what is new, and
the 1 % of the 48 hours before. Then as many days again are landed before the first, and all is
measured once more. The incremental models are timed apart from what is rebuilt each time, and both
from a build that finds nothing new.

Prints medians and the two ratios that the project promises of its incremental models: an increment
of 1 % takes <= 10 % of the full refresh, and as large a one <= 20 % more with twice the history.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from google.cloud import bigquery

from tests.benchmarks.ci_payloads import write_payloads
from tests.benchmarks.harness import serving
from tests.benchmarks.stacks import free_port_base
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import client_for, create_raw_tables
from tests.warehouse.raw_rows import PARENT

INCREMENTAL = ("--select", "config.materialized:incremental")
REBUILT = ("--select", "config.materialized:table")
SHARE = 100
"""One in so many conversations is new in the increment."""
DAYS = 300
"""So many days a base takes to land."""
DAYS_BETWEEN = 3
"""From increment to increment: the days of the base that hold as much as one of them, and more than
the overlap's 48 hours, so that the first reads as much as the others."""
BASE = range(-DAYS, 0)
OLDER = range(-2 * DAYS, -DAYS)
"""What doubles the base."""
MOST_A_STATEMENT = 500
"""Versions that one statement lands: they are 20 MB."""
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
    concat('bench-', cast({day} as string)) as _run_id,
    timestamp_add(timestamp({day}), interval 20 hour) as _landed_at
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
    timestamp_add(timestamp({day}), interval 20 hour) as started_at,
    timestamp_add(timestamp({day}), interval 20 hour) as ended_at,
    concat('bench-', cast({day} as string)) as _run_id,
    timestamp_add(timestamp({day}), interval 20 hour) as _landed_at
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
    concat('bench-', cast(batch_date as string)) as _run_id,
    timestamp_add(timestamp(batch_date), interval 20 hour) as _landed_at
from numbered
"""


@dataclass(frozen=True)
class Builds:
    """Seconds of the builds of one size: of the incremental models, and of the tables that every
    build makes new. The full refresh is one sample."""

    versions: int
    """Of the full refresh."""
    more: int
    """Of each increment."""
    full_sec: float
    full_tables_sec: float
    increments_sec: Sequence[float]
    tables_sec: Sequence[float]
    idle_sec: Sequence[float]
    """Of the incremental models with nothing landed since."""

    def __str__(self) -> str:
        rounds = len(self.increments_sec)
        return (
            f"{self.versions:>9,} versions: full {self.full_sec:6.1f} s, +{self.more:,} "
            f"{median(self.increments_sec):6.1f} s (incremental models); rebuilt tables "
            f"{self.full_tables_sec:.1f} s, then {median(self.tables_sec):.1f} s; nothing new "
            f"{median(self.idle_sec):.1f} s; full n = 1, others median of {rounds}"
        )


def main() -> int:
    """Print the measurement; return 0 when both promises hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bases", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5, help="increments of each size")
    chosen = parser.parse_args()
    bases = sorted(chosen.bases)
    took: list[Builds] = []
    with tempfile.TemporaryDirectory() as folder:
        state = landed_state(Path(folder))
    for base in bases:
        for builds in _measure(state, base, chosen.rounds, is_doubled=base == bases[-1]):
            took.append(builds)
            _say(str(builds))
    single, doubled = took[-2:]
    share = median(single.increments_sec) / single.full_sec
    growth = median(doubled.increments_sec) / median(single.increments_sec) - 1
    _say(f"increment / full refresh: {share:.1%} (promised: at most 10 %)")
    _say(f"increment when the base doubles: {growth:+.1%} (promised: at most +20 %)")
    return 0 if share <= 0.10 and growth <= 0.20 else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _measure(state: str, base: int, rounds: int, *, is_doubled: bool) -> Iterator[Builds]:
    """Yield what the builds of a base took, and then those of a base with twice its history."""
    with tempfile.TemporaryDirectory() as folder, _emulator(Path(folder)) as endpoint:
        client = client_for(endpoint)
        create_raw_tables(client)
        project = DbtProject(Path(folder), endpoint)
        project.run("build", "--exclude", "resource_type:test", "resource_type:unit_test")
        landed, next_day, more = 0, 0, base // SHARE
        for days in (BASE, OLDER)[: 1 + is_doubled]:
            _land(client, state, landed, base, days)
            landed += base
            versions = landed
            full = _timed(project, "--full-refresh", *INCREMENTAL)
            full_tables = _timed(project, "--full-refresh", *REBUILT)
            increments, tables = [], []
            for _ in range(rounds):
                _land(client, state, landed, more, range(next_day, next_day + 1))
                landed, next_day = landed + more, next_day + DAYS_BETWEEN
                increments.append(_timed(project, *INCREMENTAL))
                tables.append(_timed(project, *REBUILT))
            idle = [_timed(project, *INCREMENTAL) for _ in range(rounds)]
            yield Builds(versions, more, full, full_tables, increments, tables, idle)


def _timed(project: DbtProject, *arguments: str) -> float:
    started = time.perf_counter()
    project.run("run", *arguments)
    return time.perf_counter() - started


def _land(client: bigquery.Client, state: str, held: int, more: int, days: range) -> None:
    """Land so many versions more than are held, as many on each of the days, and in their order."""
    number = f"cast(floor((n - {held + 1}) * {len(days)} / {more}) as int64)"
    day = f"date_add(date '{DAY_ZERO + dt.timedelta(days=days[0])}', interval {number} day)"
    values = {"day": day, "payload": PAYLOAD, "parent": PARENT, "state": state}
    for first in range(held + 1, held + more + 1, MOST_A_STATEMENT):
        values["first"] = str(first)
        values["last"] = str(min(first + MOST_A_STATEMENT - 1, held + more))
        for statement in (FILES, EVENTS, STATES):
            query = client.query(statement.format(**values), retry=None, job_retry=None)
            query.result(timeout=600)


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
    command = [sys.executable, "-m", "ingest.local.bigquery.server", "--port", str(port)]
    command += ["--grpc-port", str(port + 1), "--data-dir", str(folder / "data")]
    command += ["--gcs-root", str(folder / "gcs")]
    with serving(command):
        _await(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"


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
