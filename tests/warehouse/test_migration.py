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
        max(regexp_extract(analysis_name, r'([^/]+)$')) as ci_analysis_id
    from coach_raw.ci_conversations
    where _landed_at >= timestamp '2020-01-01 00:00:00+00'
    group by conversation_id
)

select files.*, analyses.ci_conversation_name, analyses.ci_analysis_id
from files left join analyses on files.conversation_id = analyses.conversation_id
"""
COLUMNS = (
    "conversation_id, transcript_uri_raw, metadata_uri_raw, has_transcript, has_metadata, "
    "ci_conversation_name, ci_analysis_id, created_at"
)


def test_upgrading_from_version_1_keeps_every_conversation(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    create_raw_tables(warehouse.client)
    land(warehouse.client, batches()[0])
    for dataset in ("coach", "coach_staging"):
        warehouse.client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
        warehouse.client.create_dataset(dataset, timeout=60)
    warehouse.rows(VERSION_1)
    question = f"select {COLUMNS} from coach.conversation_registry_v1 order by conversation_id"
    before = warehouse.rows(question)

    project = DbtProject(tmp_path_factory.mktemp("upgrade"), warehouse.endpoint)
    project.run("run", "--full-refresh", "--select", "+conversation_registry")

    table = warehouse.client.get_table("coach.conversation_registry_v1", timeout=60)
    versions = warehouse.rows("select count(*) as n from coach.conversation_registry")
    assert len(before) == 7
    assert warehouse.rows(question) == before
    assert table.table_type == "VIEW"
    assert versions == [{"n": 7}]
