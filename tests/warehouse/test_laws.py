"""Each law of tests/data_tests is broken on a built stack, and that law alone says so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.story import ERASURE, batches

pytestmark = pytest.mark.stack

DATASET = "laws"
STAGING = f"{DATASET}_staging"
LATER_EVENT = """
insert into coach_raw.pipeline_events
select * replace (
    'later' as event_id, 'submit' as step, 'failed' as outcome,
    timestamp '2026-02-01 00:00:00+00' as ended_at
)
from coach_raw.pipeline_events
where
    conversation_id = 'c-back' and _run_id = 'run-2'
    and _landed_at >= timestamp '2020-01-01 00:00:00+00'
"""
SECOND_FORGOTTEN = """
insert into laws.ci_summaries
select * replace ('c-forget' as conversation_id)
from laws.ci_summaries
where conversation_id = 'c-plain'
"""
FORGOTTEN_EVENT = """
insert into laws_staging.int_pipeline_events
select * replace ('c-forget' as conversation_id)
from laws_staging.int_pipeline_events
where conversation_id = 'c-plain'
"""
FINDINGS_WITHOUT_HITS = """
set phrase_match_count = 0,
    turn_annotations = (
        select array_agg(annotation)
        from unnest(turn_annotations) as annotation
        where annotation.annotation_type != 'phrase_match'
    )
where conversation_id = 'c-plain'
""".strip()
CHANGED_LABELS = """
set labels = (
    select array_agg(struct({} as key, {} as value))
    from unnest(labels) as label
    where {}
)
where conversation_id = 'c-plain'
""".strip()
BREACHES = {
    "a conversation that isn't registered": (
        "analysed_conversations_are_registered",
        "laws.ci_conversations",
        "set conversation_version_id = 'stray' where conversation_id = 'c-plain'",
    ),
    "a conversation of another day": (
        "export_totals_equal_the_registry",
        "laws.ci_conversations",
        "set batch_date = date '2020-01-01' where conversation_id = 'c-plain'",
    ),
    "an analysis of another day": (
        "export_totals_equal_the_registry",
        "laws.ci_analyses",
        "set batch_date = date '2020-01-01' where conversation_id = 'c-plain'",
    ),
    "turns of another day": (
        "export_totals_equal_the_registry",
        "laws.ci_turns",
        "set batch_date = date '2020-01-01' where conversation_id = 'c-plain'",
    ),
    "highlights that are lost": (
        "findings_equal_the_annotations",
        "laws.ci_highlights",
        "delete from laws.ci_highlights where true",
    ),
    "entities that are lost": (
        "findings_equal_the_annotations",
        "laws.ci_entities",
        "delete from laws.ci_entities where conversation_id = 'c-plain'",
    ),
    "mentions that CI didn't make": (
        "findings_equal_the_annotations",
        "laws.ci_entities",
        "set mention_count = mention_count + 1 where conversation_id = 'c-plain'",
    ),
    "a summary of someone forgotten": (
        "forgotten_conversations_are_gone",
        "laws.ci_summaries",
        SECOND_FORGOTTEN,
    ),
    "an event of someone forgotten": (
        "forgotten_conversations_are_gone",
        "laws_staging.int_pipeline_events",
        FORGOTTEN_EVENT,
    ),
    "a phrase that is lost": (
        "hits_without_a_phrase_are_explained",
        "laws.ci_phrase_matches",
        "set phrase = null, start_char = null, end_char = null where conversation_id = 'c-plain'",
    ),
    "a label of another file format": (
        "labels_equal_metadata",
        "laws.conversation_registry",
        "set schema_version = '0.9' where conversation_id = 'c-plain'",
    ),
    "a label that metadata doesn't give": (
        "labels_equal_metadata",
        "laws.conversation_registry",
        "set schema_version = null where conversation_id = 'c-plain'",
    ),
    "a label of the user's that CI lost": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        CHANGED_LABELS.format("label.key", "label.value", "label.key != 'priority'"),
    ),
    "a label of the user's with another value": (
        "labels_equal_metadata",
        "laws_staging.int_conversation_files",
        CHANGED_LABELS.format("label.key", "concat(label.value, 'x')", "true"),
    ),
    "a label of a name that the pipeline doesn't know": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        "set labels = array_concat(labels, [struct('zone' as key, 'x' as value)]) "
        "where conversation_id = 'c-plain'",
    ),
    "another language": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        "set language_code = 'en-US' where conversation_id = 'c-plain'",
    ),
    "an agent of another name": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        "set agent_name = 'Someone Else' where conversation_id = 'c-plain'",
    ),
    "another portfolio": (
        "labels_equal_metadata",
        "laws.ci_conversations",
        "set portfolio_id = 'other' where conversation_id = 'c-plain'",
    ),
    "a customer turn without sentiment": (
        "neutral_is_not_missing",
        "laws.ci_turns",
        "set customer_sentiment_score = null where conversation_id = 'c-plain' and turn_index = 1",
    ),
    "a sentiment of a turn that isn't there": (
        "neutral_is_not_missing",
        "laws_staging.int_analysis_findings",
        "set sentiment_turn_count = sentiment_turn_count + 1 where conversation_id = 'c-plain'",
    ),
    "two current analyses": (
        "one_current_analysis_per_analysed_conversation",
        "laws.ci_analyses",
        "set is_current = true where analysis_id = '101'",
    ),
    "two current versions": (
        "one_current_version_per_conversation",
        "laws.conversation_registry",
        "set is_current = true, valid_to = null where status = 'waiting_for_metadata'",
    ),
    "an analysed version that is open": (
        "open_versions_say_why",
        "laws.conversation_registry",
        "set open_reason = 'not_analysed_yet' where conversation_id = 'c-plain'",
    ),
    "a match on another turn": (
        "phrase_matches_agree_with_ci",
        "laws.ci_phrase_matches",
        "set turn_index = 3 where conversation_id = 'c-plain' and turn_index = 2",
    ),
    "a shifted span": (
        "phrases_stand_in_the_text",
        "laws.ci_phrase_matches",
        "set start_char = start_char + 1 where conversation_id = 'c-plain'",
    ),
    "an analysed version that fell back": (
        "status_never_moves_backwards",
        "laws.conversation_registry",
        "set status = 'submitted' where conversation_id = 'c-edit' and not is_current",
    ),
    "a failure that no event tells of": (
        "status_never_moves_backwards",
        "laws.conversation_registry",
        "set status = 'failed' where status = 'waiting_for_metadata'",
    ),
    "an event that the registry doesn't know of": (
        "status_never_moves_backwards",
        "coach_raw.pipeline_events",
        LATER_EVENT,
    ),
    "a turn that is missing": (
        "turns_are_numbered_from_zero",
        "laws.ci_turns",
        "set turn_index = 4 where conversation_id = 'c-plain' and turn_index = 3",
    ),
    "a turn that is there twice, and one that is missing": (
        "turns_are_numbered_from_zero",
        "laws.ci_turns",
        "set turn_index = 1 where conversation_id = 'c-plain' and turn_index = 2",
    ),
    "a turn of the transcript that CI doesn't count": (
        "turns_are_numbered_from_zero",
        "laws.conversation_registry",
        "set turn_count = turn_count + 1 where conversation_id = 'c-return' and not is_current",
    ),
    "a gap in the versions": (
        "versions_are_numbered_without_gap",
        "laws.conversation_registry",
        "set version_number = 3 where conversation_id = 'c-late' and is_current",
    ),
    "a version that ends before it began": (
        "versions_follow_one_another",
        "laws.conversation_registry",
        "set valid_to = timestamp_sub(valid_from, interval 1 day) where not is_current",
    ),
}


@dataclass(frozen=True)
class Law:
    """A test of the project: its query, and the tables that it reads, through views too."""

    name: str
    sql: str
    tables: frozenset[str]


@dataclass(frozen=True)
class Laws:
    """The story as tables, and the laws that hold in it."""

    warehouse: Warehouse
    laws: tuple[Law, ...]
    staging_keys: dict[str, str]

    def broken(self, table: str | None = None) -> set[object]:
        """Return the laws that don't hold; with a table, only those that read it are asked."""
        parts = [
            f"select '{law.name}' as law where exists (select 1 from ({law.sql}) as broken)"
            for law in self.laws
            if table is None or table in law.tables
        ]
        return {row["law"] for row in self.warehouse.rows(" union all ".join(parts))}

    def broken_keys(self) -> set[str]:
        """Return the staging models whose key is null or there twice."""
        return {name for name, sql in self.staging_keys.items() if self.warehouse.rows(sql)}

    @contextmanager
    def breach(self, table: str, statement: str) -> Iterator[None]:
        """Break one table, and have it whole again afterwards."""
        whole = f"{STAGING}.whole_{table.replace('.', '_')}"
        every_row = "_landed_at >= timestamp '2020-01-01 00:00:00+00'"
        where = every_row if table.startswith("coach_raw.") else "true"
        self.warehouse.rows(
            f"create or replace table {whole} as select * from {table} where {where}"
        )
        change = f"update {table} {statement}" if statement.startswith("set ") else statement
        try:
            self.warehouse.rows(change)
            yield
        finally:
            self.warehouse.rows(f"delete from {table} where {where}")
            self.warehouse.rows(f"insert into {table} select * from {whole}")


@pytest.fixture(scope="module")
def laws(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Laws:
    create_raw_tables(warehouse.client)
    for rows in batches():
        land(warehouse.client, rows)
    for statement in ERASURE:
        warehouse.rows(statement)
    folder = tmp_path_factory.mktemp("laws")
    project = DbtProject(folder, warehouse.endpoint, DATASET, is_lean=True)
    project.run("seed")
    project.run("run", "--full-refresh")
    project.run("test", "--select", "test_type:data")
    manifest = project.manifest()
    keys = (node for node in manifest["nodes"].values() if node["name"].startswith("key_stg_"))
    laws = (node for node in manifest["nodes"].values() if node["name"].startswith("assert_"))
    return Laws(
        warehouse,
        tuple(
            Law(node["name"].removeprefix("assert_"), node["compiled_code"], _read(manifest, node))
            for node in laws
        ),
        {node["attached_node"].split(".")[-1]: node["compiled_code"] for node in keys},
    )


def test_the_story_breaks_no_law(laws: Laws) -> None:
    assert laws.broken() == set()


def test_every_law_is_broken_once(laws: Laws) -> None:
    assert {law for law, _, _ in BREACHES.values()} == {law.name for law in laws.laws}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_found_by_its_law_alone(laws: Laws, breach: str) -> None:
    law, table, statement = BREACHES[breach]

    with laws.breach(table, statement):
        assert laws.broken(table) == {law}


def test_hits_that_the_findings_and_the_mart_lost_are_found_in_what_landed_lately(
    laws: Laws,
) -> None:
    with (
        laws.breach("laws_staging.int_analysis_findings", FINDINGS_WITHOUT_HITS),
        laws.breach(
            "laws.ci_phrase_matches",
            "delete from laws.ci_phrase_matches where conversation_id = 'c-plain'",
        ),
    ):
        unseen = laws.broken()
        with laws.breach("coach_raw.ci_conversations", _landed_again("ci_conversations", 1)):
            seen = laws.broken()

    assert (unseen, seen) == (set(), {"phrase_matches_agree_with_ci"})


def test_what_landed_again_lately_breaks_no_law(laws: Laws) -> None:
    with laws.breach("coach_raw.ci_conversations", _landed_again("ci_conversations", 1)):
        assert laws.broken("coach_raw.ci_conversations") == set()


def test_what_landed_twice_at_once_breaks_the_keys_of_staging(laws: Laws) -> None:
    broken = laws.broken_keys()

    for table in ("ci_conversations", "conversation_files", "pipeline_events"):
        with laws.breach(f"coach_raw.{table}", _landed_again(table, 2)):
            broken |= laws.broken_keys()

    assert broken == {
        "stg_ci__conversations",
        "stg_ci__entities",
        "stg_ci__summaries",
        "stg_ci__turns",
        "stg_files__conversation_files",
        "stg_pipeline__events",
    }


def _landed_again(table: str, times: int) -> str:
    now = dt.datetime.now(dt.UTC).isoformat()
    return f"""
        insert into coach_raw.{table}
        select landed.* replace (timestamp '{now}' as _landed_at)
        from coach_raw.{table} as landed
        cross join unnest(generate_array(1, {times})) as copy
        where conversation_id = 'c-plain'
        and _landed_at >= timestamp '2020-01-01 00:00:00+00'
    """


def _read(manifest: dict[str, Any], node: dict[str, Any]) -> frozenset[str]:
    tables: set[str] = set()
    for parent in node["depends_on"]["nodes"]:
        read = manifest["nodes"].get(parent) or manifest["sources"][parent]
        if read.get("config", {}).get("materialized") == "view":
            tables |= _read(manifest, read)
        else:
            tables.add(".".join(read["relation_name"].replace("`", "").split(".")[1:]))
    return frozenset(tables)
