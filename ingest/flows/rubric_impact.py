"""Says which cards an edit of the coaching rubric changes, before dbt builds them.

The warehouse's own views judge again, with the edited seeds in the place of those that are loaded;
what comes out is compared with the checks as they were built.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ingest.errors import InputError
from ingest.ports.inspect import Warehouse

SEEDS = ("agents", "coaching_rubric", "policies", "required_disclosures")
"""What people edit of how calls are judged."""
VIEWS = ("int_coaching_due", "int_coaching_findings", "int_coaching_judged")
"""In the order in which they read each other."""
_COMPARED = ("rule_sha256", "policy_version", "outcome_sha256")


@dataclass(frozen=True, slots=True)
class ChangedCheck:
    """A check of a conversation that is judged by another rule or comes out otherwise.

    A verdict is None where the check isn't due.
    """

    conversation_id: str
    check_id: str
    verdict: str | None
    planned_verdict: str | None
    is_changed: bool
    """Whether the card tells something else of the call; else its rule alone is another."""


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """How many cards change so."""

    check_id: str
    verdict: str | None
    planned_verdict: str | None
    is_changed: bool
    card_count: int


@dataclass(frozen=True, slots=True)
class RubricPlan:
    """What the edited seeds would change: counts of cards, by check and verdict, and each check."""

    card_count: int
    """Cards that the marts have."""
    changed_card_count: int
    """Of those and of new ones: how many tell something else (`judgement_sha256`)."""
    rejudged_card_count: int
    """How many are judged by another rule, the changed ones among them (`rubric_sha256`)."""
    changes: tuple[VerdictChange, ...]
    checks: tuple[ChangedCheck, ...]


def read_impact(warehouse: Warehouse, seeds_dir: Path, project_file: Path) -> RubricPlan:
    """Return what the seeds in the folder would change in the marts as they were last built.

    Raises InputError before the marts' first build, and where a seed can't be read.
    """
    staging = f"{warehouse.marts_dataset}_staging"
    built = {table.name for table in warehouse.tables(staging)}
    if not set(VIEWS) <= built:
        raise InputError("the coaching marts were never built", "run `dbt build`")
    views = _views(warehouse, staging)
    types = _column_types(project_file)
    seeds = {name: _rows_as_sql(seeds_dir / f"{name}.csv", types[name]) for name in SEEDS}
    sql = impact_sql(views, seeds, staging, warehouse.mart("coaching_checks"))
    checks = tuple(
        ChangedCheck(**{name: row[name] for name in ChangedCheck.__slots__})
        for row in warehouse.query(sql).rows
    )
    counted = f"select count(*) as n from {warehouse.mart('coaching_cards')}"
    return plan_of(int(warehouse.query(counted).rows[0]["n"]), checks)


def plan_of(card_count: int, checks: Sequence[ChangedCheck]) -> RubricPlan:
    """Return the plan of these changes, those that a card tells of first."""
    counts = Counter(
        (each.check_id, each.verdict, each.planned_verdict, each.is_changed) for each in checks
    )
    changes = (VerdictChange(*change, count) for change, count in counts.items())
    return RubricPlan(
        card_count,
        len({each.conversation_id for each in checks if each.is_changed}),
        len({each.conversation_id for each in checks}),
        tuple(sorted(changes, key=_order)),
        tuple(checks),
    )


def impact_sql(
    views: Mapping[str, str], seeds: Mapping[str, str], staging: str, checks: str
) -> str:
    """Return the statement that judges by other seeds and gives the checks that differ.

    `views` are definitions by name, `seeds` queries of their rows; `checks` is the built table.
    """
    parts = {**seeds, **{name: views[name] for name in VIEWS}}
    names = "|".join(parts)
    read = re.compile(rf"(?:`[^`]+`\.|[\w-]+\.)?`?{re.escape(staging)}`?\.`?({names})`?(?!\w)")
    planned = [
        f"planned_{name} as (\n{read.sub(lambda found: f'planned_{found[1]}', sql)}\n)"
        for name, sql in parts.items()
    ]
    same = " and ".join(
        f"coalesce(cast(planned.{name} as string), '') = coalesce(cast(held.{name} as string), '')"
        for name in _COMPARED
    )
    return f"""
with {", ".join(planned)}
select
    coalesce(planned.conversation_id, held.conversation_id) as conversation_id,
    coalesce(planned.check_id, held.check_id) as check_id,
    held.verdict as verdict,
    planned.verdict as planned_verdict,
    coalesce(planned.outcome_sha256, '') != coalesce(held.outcome_sha256, '') as is_changed
from planned_int_coaching_judged as planned
full outer join {checks} as held
    on planned.coaching_check_id = held.coaching_check_id
where
    planned.coaching_check_id is null
    or held.coaching_check_id is null
    or not ({same})
order by conversation_id, check_id
"""


def _order(change: VerdictChange) -> tuple[bool, str, str, str]:
    return (
        not change.is_changed,
        change.check_id,
        change.verdict or "",
        change.planned_verdict or "",
    )


def _views(warehouse: Warehouse, staging: str) -> Mapping[str, str]:
    held = warehouse.full_name(staging, "INFORMATION_SCHEMA.VIEWS")
    rows = warehouse.query(
        f"select table_name, view_definition from {held} where table_name like 'int_coaching%'"
    ).rows
    return {row["table_name"]: row["view_definition"].rstrip().rstrip(";") for row in rows}


def _column_types(project_file: Path) -> Mapping[str, Mapping[str, str]]:
    try:
        declared = yaml.safe_load(project_file.read_text(encoding="utf-8"))
        seeds = declared["seeds"]["conversation_coach"]
        return {name: seeds[name]["+column_types"] for name in SEEDS}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(
            f"{project_file} doesn't say the types of {', '.join(SEEDS)}",
            "run at the repository root, or set INGEST_DBT_PROJECT_FILE",
        ) from error


def _rows_as_sql(seed: Path, types: Mapping[str, str]) -> str:
    """Return a query that gives the rows of the CSV file, with the types of its columns."""
    try:
        with seed.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"can't read {seed}", "run at the repository root") from error
    values = [
        ", ".join(_literal(row.get(name), types[name], name) for name in types) for row in rows
    ]
    nothing = ", ".join(_literal(None, type_, name) for name, type_ in types.items())
    none = f"select {nothing} from unnest([1]) as nothing where nothing = 0"
    return "\nunion all\n".join([f"select {row}" for row in values] or [none])


def _literal(text: str | None, type_: str, name: str) -> str:
    value = json.dumps(text, ensure_ascii=False) if text else "null"
    return f"cast({value} as {type_}) as {name}"
