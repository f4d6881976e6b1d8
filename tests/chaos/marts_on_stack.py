"""What a chaos run is judged by in the end: the marts that dbt builds from what was landed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack_fixture import Stack

from ingest.gcp.bigquery import BigQueryRawSink
from tests.warehouse.dbt_runs import DbtProject

_MARTS = ("conversation_registry_current", "ci_analyses", "ci_turns")


@dataclass(frozen=True)
class FoundInMarts:
    """Counts by conversation: current registry rows by status, versions, analyses, turns."""

    statuses: Counter[tuple[str, str]]
    versions: Counter[str]
    analyses: Counter[str]
    current_analyses: Counter[str]
    doubled_turns: list[str]
    with_turns: set[str]


def built_on(stack: Stack, work_dir: Path, ids: Sequence[str]) -> FoundInMarts:
    """Build the marts that the promise is about, and read them."""
    project = DbtProject(work_dir, stack.endpoints["bigquery_endpoint"], is_lean=True)
    selected = [f"+{mart}" for mart in _MARTS]
    project.run("build", "--select", *selected, "--resource-type", "model", "seed")
    return asyncio.run(_read(stack, ids))


async def _read(stack: Stack, ids: Sequence[str]) -> FoundInMarts:
    sink = BigQueryRawSink(stack.settings)

    async def rows(sql: str) -> Sequence[Any]:
        return await sink.query(sql, {"ids": list(ids)})

    where = "where conversation_id in unnest(@ids)"
    try:
        current = await rows(
            "select conversation_id, status, count(*) as n "
            f"from {sink.mart('conversation_registry_current')} {where} group by 1, 2"
        )
        versions = await rows(
            "select conversation_id, count(*) as n "
            f"from {sink.mart('conversation_registry')} {where} group by 1"
        )
        analyses = await rows(
            "select conversation_id, count(*) as n, countif(is_current) as current_n "
            f"from {sink.mart('ci_analyses')} {where} group by 1"
        )
        turns = await rows(
            "select conversation_id, count(*) as n, count(distinct turn_index) as distinct_n "
            f"from {sink.mart('ci_turns')} {where} group by 1"
        )
    finally:
        sink.close()
    return FoundInMarts(
        statuses=Counter({(row["conversation_id"], row["status"]): row["n"] for row in current}),
        versions=Counter({row["conversation_id"]: row["n"] for row in versions}),
        analyses=Counter({row["conversation_id"]: row["n"] for row in analyses}),
        current_analyses=Counter({row["conversation_id"]: row["current_n"] for row in analyses}),
        doubled_turns=[row["conversation_id"] for row in turns if row["n"] != row["distinct_n"]],
        with_turns={row["conversation_id"] for row in turns},
    )


def assert_whole_in_marts(found: FoundInMarts, ids: Sequence[str]) -> None:
    """Every conversation has one version, analysed, and one analysis, which is the current one."""
    once = dict.fromkeys(ids, 1)
    assert found.statuses == {(id_, "analysed"): 1 for id_ in ids}
    assert (found.versions, found.analyses, found.current_analyses) == (once, once, once)
    assert (found.doubled_turns, found.with_turns) == ([], set(ids))
