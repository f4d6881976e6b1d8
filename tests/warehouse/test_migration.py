"""A stack that was built by version 1 of the registry alone is upgraded; nothing is lost."""

from __future__ import annotations

import pytest

from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.story import ERASURE, batches

pytestmark = pytest.mark.stack

VERSION_1 = """
create or replace table coach.conversation_registry_v1 as
with newest as (
    select *, min(_landed_at) over (partition by conversation_id) as first_landed_at
    from coach_raw.conversation_files
    where _landed_at >= timestamp '2020-01-01 00:00:00+00'
    qualify row_number() over (partition by conversation_id, kind order by generation desc) = 1
),

files as (
    select
        conversation_id,
        max(if(kind = 'transcription', uri, null)) as transcript_uri_raw,
        max(if(kind = 'metadata', uri, null)) as metadata_uri_raw,
        max(if(kind = 'transcription', content_sha256, null)) as transcript_sha256,
        max(if(kind = 'metadata', content_sha256, null)) as metadata_sha256,
        min(first_landed_at) as created_at,
        max(_landed_at) as changed_at
    from newest
    group by conversation_id
),

held as (
    select
        conversation_id,
        ci_name as ci_conversation_name,
        regexp_extract(analysis_name, r'([^/]+)$') as ci_analysis_id,
        json_value(payload, '$.labels.transcript_sha256') as transcript_sha256,
        json_value(payload, '$.labels.metadata_sha256') as metadata_sha256,
        cast(json_value(payload, '$.latestAnalysis.createTime') as timestamp) as analysed_at
    from coach_raw.ci_conversations
    where _landed_at >= timestamp '2020-01-01 00:00:00+00'
    qualify row_number() over (partition by conversation_id order by ci_updated_at desc) = 1
),

events as (
    select
        conversation_id,
        transcript_sha256,
        metadata_sha256,
        count(distinct if(outcome = 'failed', event_id, null)) as retry_count,
        max(if(outcome = 'failed', error_message, null)) as last_error,
        max_by(outcome, ended_at) = 'failed' as is_failed,
        max(ended_at) as last_event_at
    from coach_raw.pipeline_events
    where _landed_at >= timestamp '2020-01-01 00:00:00+00'
    group by conversation_id, transcript_sha256, metadata_sha256
)

select
    files.conversation_id,
    files.transcript_uri_raw,
    files.metadata_uri_raw,
    files.transcript_sha256 is not null as has_transcript,
    files.metadata_sha256 is not null as has_metadata,
    case
        when held.ci_analysis_id is not null then 'ENRICHED'
        when events.is_failed then 'FAILED'
        when held.ci_conversation_name is not null then 'INGESTED'
        else 'NEW'
    end as status,
    held.ci_conversation_name,
    held.ci_analysis_id,
    coalesce(events.retry_count, 0) as retry_count,
    events.last_error,
    files.created_at,
    greatest(
        files.changed_at,
        coalesce(events.last_event_at, files.changed_at),
        coalesce(held.analysed_at, files.changed_at)
    ) as updated_at
from files
left join events
    on
        files.conversation_id = events.conversation_id
        and files.transcript_sha256 = events.transcript_sha256
        and files.metadata_sha256 = events.metadata_sha256
left join held
    on
        files.conversation_id = held.conversation_id
        and files.transcript_sha256 = held.transcript_sha256
        and files.metadata_sha256 = held.metadata_sha256
"""
"""A row for each conversation, about the files that were handed in last."""
QUESTION = "select * from coach.conversation_registry_v1 order by conversation_id"


STATUSES = {
    1: {
        "c-again": "ENRICHED",
        "c-back": "ENRICHED",
        "c-change": "ENRICHED",
        "c-edit": "ENRICHED",
        "c-fail": "FAILED",
        "c-forget": "ENRICHED",
        "c-late": "NEW",
        "c-plain": "ENRICHED",
        "c-return": "ENRICHED",
    },
    2: {
        "c-again": "ENRICHED",
        "c-back": "NEW",
        "c-change": "ENRICHED",
        "c-edit": "NEW",
        "c-fail": "ENRICHED",
        "c-late": "ENRICHED",
        "c-plain": "ENRICHED",
        "c-return": "ENRICHED",
    },
    3: {
        "c-again": "ENRICHED",
        "c-back": "ENRICHED",
        "c-change": "ENRICHED",
        "c-edit": "ENRICHED",
        "c-fail": "ENRICHED",
        "c-late": "ENRICHED",
        "c-plain": "ENRICHED",
        "c-return": "NEW",
    },
}
"""By the number of batches that landed: edited, answered, and returned transcripts among them."""
VERSIONS = {1: 9, 2: 12, 3: 12}


@pytest.mark.parametrize("landed", STATUSES)
def test_upgrading_from_version_1_keeps_every_conversation(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory, landed: int
) -> None:
    create_raw_tables(warehouse.client)
    for rows in batches()[:landed]:
        land(warehouse.client, rows)
    if landed > 1:
        for statement in ERASURE:
            warehouse.rows(statement)
    for dataset in ("coach", "coach_staging"):
        warehouse.client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
        warehouse.client.create_dataset(dataset, timeout=60)
    warehouse.rows(VERSION_1)
    before = warehouse.rows(QUESTION)

    project = DbtProject(tmp_path_factory.mktemp("upgrade"), warehouse.endpoint, is_lean=True)
    without_tests = ("--exclude", "resource_type:test", "resource_type:unit_test")
    project.run("build", "--full-refresh", "--select", "+conversation_registry", *without_tests)

    table = warehouse.client.get_table("coach.conversation_registry_v1", timeout=60)
    versions = warehouse.rows("select count(*) as n from coach.conversation_registry")
    contract = project.manifest()["nodes"]["model.conversation_coach.conversation_registry.v1"]
    assert {tuple(row) for row in before} == {tuple(contract["columns"])}
    assert {row["conversation_id"]: row["status"] for row in before} == STATUSES[landed]
    assert warehouse.rows(QUESTION) == before
    assert table.table_type == "VIEW"
    assert versions == [{"n": VERSIONS[landed]}]
