"""A stack that was built by version 1 of the registry alone is upgraded; nothing is lost."""

from __future__ import annotations

import pytest

from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.story import batches

pytestmark = pytest.mark.stack

VERSION_1 = """
create or replace table coach.conversation_registry_v1 as
with files as (
    select
        conversation_id,
        max(if(kind = 'transcription', uri, null)) as transcript_uri_raw,
        max(if(kind = 'metadata', uri, null)) as metadata_uri_raw,
        logical_or(kind = 'transcription') as has_transcript,
        logical_or(kind = 'metadata') as has_metadata,
        min(_landed_at) as created_at
    from coach_raw.conversation_files
    where _landed_at >= timestamp '2020-01-01 00:00:00+00'
    group by conversation_id
),

analyses as (
    select
        conversation_id,
        max(ci_name) as ci_conversation_name,
        max(regexp_extract(analysis_name, r'([^/]+)$')) as ci_analysis_id,
        max(ci_updated_at) as last_update_at
    from coach_raw.ci_conversations
    where _landed_at >= timestamp '2020-01-01 00:00:00+00'
    group by conversation_id
),

events as (
    select
        conversation_id,
        countif(outcome = 'failed') as retry_count,
        max(if(outcome = 'failed', error_message, null)) as last_error,
        max_by(outcome, ended_at) = 'failed' as is_failed,
        max(ended_at) as last_event_at
    from coach_raw.pipeline_events
    where _landed_at >= timestamp '2020-01-01 00:00:00+00'
    group by conversation_id
)

select
    files.conversation_id,
    files.transcript_uri_raw,
    files.metadata_uri_raw,
    files.has_transcript,
    files.has_metadata,
    case
        when analyses.ci_analysis_id is not null then 'ENRICHED'
        when events.is_failed then 'FAILED'
        when analyses.ci_conversation_name is not null then 'INGESTED'
        else 'NEW'
    end as status,
    analyses.ci_conversation_name,
    analyses.ci_analysis_id,
    events.retry_count,
    events.last_error,
    files.created_at,
    greatest(
        files.created_at, events.last_event_at, coalesce(analyses.last_update_at, files.created_at)
    ) as updated_at
from files
inner join events on files.conversation_id = events.conversation_id
left join analyses on files.conversation_id = analyses.conversation_id
"""
QUESTION = "select * from coach.conversation_registry_v1 order by conversation_id"


def test_upgrading_from_version_1_keeps_every_conversation(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    create_raw_tables(warehouse.client)
    land(warehouse.client, batches()[0])
    for dataset in ("coach", "coach_staging"):
        warehouse.client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
        warehouse.client.create_dataset(dataset, timeout=60)
    warehouse.rows(VERSION_1)
    before = warehouse.rows(QUESTION)

    project = DbtProject(tmp_path_factory.mktemp("upgrade"), warehouse.endpoint)
    project.run("run", "--full-refresh", "--select", "+conversation_registry")

    table = warehouse.client.get_table("coach.conversation_registry_v1", timeout=60)
    versions = warehouse.rows("select count(*) as n from coach.conversation_registry")
    contract = project.manifest()["nodes"]["model.conversation_coach.conversation_registry.v1"]
    statuses = {row["conversation_id"]: row["status"] for row in before}
    assert [list(row) for row in before] == [list(contract["columns"])] * 8
    assert (statuses["c-plain"], statuses["c-late"], statuses["c-fail"]) == (
        "ENRICHED",
        "NEW",
        "FAILED",
    )
    assert warehouse.rows(QUESTION) == before
    assert table.table_type == "VIEW"
    assert versions == [{"n": 8}]
