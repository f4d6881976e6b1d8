"""What the warehouse promises about builds, on a stack: see tests/warehouse/story.py."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import DbtProject
from tests.warehouse.manifest_walk import models_in_order, nodes, place_of
from tests.warehouse.raw_loading import create_raw_tables, land
from tests.warehouse.raw_rows import RawRows
from tests.warehouse.reference import Reference, as_text
from tests.warehouse.story import BATCHES, ERASURE, FORGOTTEN, TURNS, batches

pytestmark = pytest.mark.stack

TABLES_ONLY = ("--exclude", "config.materialized:view")
"""Views are made by the first run; they needn't be made again."""
Tables = dict[str, list[str]]
NOT_FROM_ROWS = ("int_changed_days", "int_forgotten_charges", "time_spine")
"""One tells of the build before, hooks fill the second, and the last has 11,000 days."""
MODELS_JUDGED = 50
SEEN = {"int_conversation_days", "int_changed_days", "int_forgotten_days"}
"""What builds have seen, days of forgotten conversations too: no raw row tells of those again."""
VIEWS_TOO = (
    "conversation_registry_current",
    "conversation_registry_v1",
    "ci_export_compat",
    "ci_qa_answers",
)

LANDED_DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
HELD = {
    "version": ("ci_conversations", ("conversation_version_id", "analysis_id", "turn_count")),
    "turns": ("ci_turns", ("analysis_id", "turn_index", "speaker", "text")),
    "analyses": ("ci_analyses", ("analysis_id", "superseded_by", "is_current", "reason")),
    "phrases": ("ci_phrase_matches", ("turn_index", "phrase")),
}
CHANGE = (
    "analysis_id",
    "previous_analysis_id",
    "is_unchanged",
    "added_hit_count",
    "removed_hits",
    "annotation_count_change",
    "entity_mention_count_change",
    "sentiment_score_change",
)
EVALUATION = "coach.phrase_matcher_evaluation"
COUNTED = (
    "judged_conversation",
    "true_positive",
    "false_positive",
    "false_negative",
    "noisy_turn",
)


@dataclass(frozen=True)
class Told:
    """All tables after each part of the story was built."""

    stages: list[Tables]
    built_again: Tables
    shuffled: Tables
    refreshed: Tables
    judged: dict[str, list[str]]

    @property
    def end(self) -> Tables:
        return self.stages[-1]

    def registry(self, stage: int, conversation_id: str) -> list[dict[str, Any]]:
        rows = [json.loads(row) for row in self.stages[stage]["coach.conversation_registry"]]
        chosen = [row for row in rows if row["conversation_id"] == conversation_id]
        return sorted(chosen, key=lambda row: row["version_number"])

    def held(self, conversation_id: str, stage: int = -1) -> dict[str, list[tuple[Any, ...]]]:
        """Return what the marts say of a conversation's Insights state, as columns in order."""
        return {
            said: sorted(
                (
                    tuple(row[column] for column in columns)
                    for row in self.rows(f"coach.{table}", conversation_id, stage)
                ),
                key=str,
            )
            for said, (table, columns) in HELD.items()
        }

    def rows(self, table: str, conversation_id: str, stage: int = -1) -> list[dict[str, Any]]:
        rows = [json.loads(row) for row in self.stages[stage][table]]
        return [row for row in rows if row["conversation_id"] == conversation_id]


@pytest.fixture(scope="module")
def told(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Tell the story batch by batch, once more, in another order, and all at once."""
    create_raw_tables(warehouse.client)
    narrow = DbtProject(
        tmp_path_factory.mktemp("narrow"),
        warehouse.endpoint,
        variables={"incremental_overlap_hours": 0},
        is_lean=True,
    )
    narrow.run("seed")
    stages = []
    for number, rows in enumerate(batches()):
        land(warehouse.client, rows)
        if number:
            _erase(warehouse)
        narrow.run("run", *(TABLES_ONLY if number else ()))
        stages.append(all_tables(warehouse))
    narrow.run("run", *TABLES_ONLY)
    again = all_tables(warehouse)
    narrow.run("run", "--full-refresh", *TABLES_ONLY)
    refreshed = all_tables(warehouse)

    create_raw_tables(warehouse.client)
    wide = DbtProject(tmp_path_factory.mktemp("wide"), warehouse.endpoint, is_lean=True)
    for rows, mode in zip(_shuffled(), (("--full-refresh",), ()), strict=True):
        land(warehouse.client, rows)
        _erase(warehouse)
        wide.run("run", *mode, *TABLES_ONLY)
    offline = DbtProject(
        tmp_path_factory.mktemp("full"), variables={"offline_compile": "full"}, is_lean=True
    )
    return Told(stages, again, all_tables(warehouse), refreshed, judged(warehouse, offline))


def test_building_twice_changes_no_row(told: Told) -> None:
    assert told.built_again == told.end


def test_batch_by_batch_equals_a_full_refresh(told: Told) -> None:
    assert told.refreshed == told.end


def test_rows_landed_in_any_order_give_the_same_tables(told: Told) -> None:
    assert told.shuffled == told.end


def test_every_model_gives_the_rows_of_the_reference_evaluator(told: Told) -> None:
    assert told.judged == {name: [] for name in told.judged}
    assert len(told.judged) >= MODELS_JUDGED


def test_a_late_metadata_file_makes_a_second_version_that_is_analysed(told: Told) -> None:
    before = [(row["version_number"], row["status"]) for row in told.registry(0, "c-late")]
    after = [
        (row["version_number"], row["status"], row["is_current"], row["open_reason"])
        for row in told.registry(1, "c-late")
    ]

    assert before == [(1, "waiting_for_metadata")]
    assert after == [
        (1, "waiting_for_metadata", False, "waiting_for_metadata"),
        (2, "analysed", True, None),
    ]
    for table in ("ci_conversations", "ci_turns", "ci_analyses", "ci_phrase_matches"):
        assert told.rows(f"coach.{table}", "c-late", stage=0) == []
    assert told.held("c-late", stage=1) == {
        "version": [(told.registry(1, "c-late")[1]["conversation_version_id"], "201", 4)],
        "turns": [("201", index, speaker, text) for index, (speaker, text) in enumerate(TURNS)],
        "analyses": [("201", None, True, "first_analysis")],
        "phrases": [
            (0, "confirm your date of birth"),
            (0, "this call is recorded"),
            (2, "i'm really sorry"),
        ],
    }


def test_an_edited_transcript_waits_and_then_replaces_every_turn(told: Told) -> None:
    waiting = [(row["status"], row["is_current"]) for row in told.registry(1, "c-edit")]
    current = told.registry(2, "c-edit")[1]["conversation_version_id"]

    assert waiting == [("analysed", False), ("registered", True)]
    assert len(told.rows("coach.ci_turns", "c-edit", stage=1)) == 4
    assert told.held("c-edit") == {
        "version": [(current, "301", 2)],
        "turns": [("301", index, speaker, text) for index, (speaker, text) in enumerate(TURNS[:2])],
        "analyses": [
            ("101", "301", False, "first_analysis"),
            ("301", None, True, "transcript_changed"),
        ],
        "phrases": [(0, "confirm your date of birth"), (0, "this call is recorded")],
    }
    assert told.rows("coach.ci_summaries", "c-edit") == []


def test_a_re_analysis_supersedes_the_older_one_and_tells_what_changed(told: Told) -> None:
    changes = told.rows("coach.analysis_changes", "c-again")
    versions = [row["conversation_version_id"] for row in told.registry(2, "c-again")]

    assert [(row["analysis_id"], row["reason"], row["is_unchanged"]) for row in changes] == [
        ("302", "profile_changed", True)
    ]
    assert told.held("c-again") == {
        "version": [(version, "302", 4) for version in versions],
        "turns": [("302", index, speaker, text) for index, (speaker, text) in enumerate(TURNS)],
        "analyses": [
            ("102", "302", False, "first_analysis"),
            ("302", None, True, "profile_changed"),
        ],
        "phrases": [
            (0, "confirm your date of birth"),
            (0, "this call is recorded"),
            (2, "i'm really sorry"),
            (2, "take your time"),
        ],
    }
    assert len(versions) == 1


def test_a_re_analysis_that_finds_other_things_replaces_them_and_says_so(told: Told) -> None:
    changes = [
        {name: row[name] for name in CHANGE}
        for row in told.rows("coach.analysis_changes", "c-change")
    ]
    sentiments = {
        row["turn_index"]: row["customer_sentiment_score"]
        for row in told.rows("coach.ci_turns", "c-change")
    }
    held = told.held("c-change")

    assert changes == [
        {
            "analysis_id": "303",
            "previous_analysis_id": "106",
            "is_unchanged": False,
            "added_hit_count": 0,
            "removed_hits": ["empathy_indicators@2"],
            "annotation_count_change": -1,
            "entity_mention_count_change": 0,
            "sentiment_score_change": 0.5,
        }
    ]
    assert sentiments == {0: None, 1: 0.25, 2: None, 3: 0.5}
    assert held["phrases"] == [(0, "confirm your date of birth"), (0, "this call is recorded")]
    assert held["analyses"] == [
        ("106", "303", False, "first_analysis"),
        ("303", None, True, "profile_changed"),
    ]
    assert {turn[0] for turn in held["turns"]} == {"303"}


def test_paths_of_the_payloads_are_counted_by_day_of_landing(told: Told) -> None:
    days = [
        {
            row["landed_date"]
            for row in map(json.loads, tables["coach_staging.stg_ci__payload_paths"])
        }
        for tables in told.stages
    ]

    assert days == [set(LANDED_DAYS[:number]) for number in (1, 2, 3)]


def test_phrases_of_a_group_that_does_not_hold_are_no_matches(told: Told) -> None:
    everywhere = {json.loads(row)["phrase"] for row in told.end["coach.ci_phrase_matches"]}

    assert "take your" not in everywhere


def test_matchers_are_judged_by_the_truth_of_the_transcript_that_was_analysed(told: Told) -> None:
    judged = [
        {row["phrase_matcher"]: row for row in map(json.loads, told.stages[stage][EVALUATION])}
        for stage in (0, 2)
    ]
    counts = [
        {
            name: [row[f"{kind}_count"] for kind in COUNTED]
            for name, row in stage.items()
            if name in ("required_disclosures", "empathy_indicators")
        }
        for stage in judged
    ]

    assert counts == [
        {"required_disclosures": [2, 2, 0, 0, 0], "empathy_indicators": [2, 0, 2, 2, 2]},
        {"required_disclosures": [1, 1, 0, 0, 0], "empathy_indicators": [1, 0, 1, 1, 1]},
    ]


def test_scores_topics_and_labels_are_those_of_the_current_analysis(told: Told) -> None:
    answer = ("revision_id", "question_id", "answer_key", "machine_answer", "score")
    answers = {
        tuple(row[name] for name in answer) for row in told.rows("coach.ci_qa_answers", "c-again")
    }
    first = {row["revision_id"] for row in told.rows("coach.ci_qa_answers", "c-again", stage=0)}
    (result,) = told.rows("coach.ci_qa_results", "c-again")
    topics = {(row["topic"], row["score"]) for row in told.rows("coach.ci_topics", "c-again")}
    labels = [
        sorted(
            (row["question_id"] or "", row["answer"] or "", row["label"] or "")
            for row in told.rows("coach.ci_feedback_labels", "c-again", stage)
        )
        for stage in (0, 2)
    ]
    agreement = {
        (row["revision_id"], row["question_id"], row["label_count"], row["agreement_count"])
        for row in map(json.loads, told.end["coach.qa_agreement"])
    }

    assert first == {"one"}
    assert answers == {
        ("two", "identity-check", "no", "yes", 0.0),
        ("two", "no-threats", "no", "no", 0.0),
        ("two", "hardship-help", "na", "na", None),
    }
    assert (result["score"], result["potential_score"], result["normalized_score"]) == (0, 4, 0)
    assert [(s["source_type"], s["score"]) for s in result["score_sources"]] == [
        ("SYSTEM_GENERATED_ONLY", 2.0),
        ("INCLUDES_MANUAL_EDITS", 0.0),
    ]
    assert topics == {("Hardship", 0.75), ("Payment plan", 0.0)}
    assert labels == [
        [("", "", "Hardship"), ("identity-check", "no", ""), ("no-threats", "yes", "")],
        [("identity-check", "no", ""), ("no-threats", "no", "")],
    ]
    assert agreement == {("two", "identity-check", 1, 0), ("two", "no-threats", 1, 1)}
    assert told.rows("coach.ci_qa_results", "c-edit", stage=0)
    assert told.rows("coach.ci_qa_results", "c-edit") == []


def test_a_forgotten_conversation_leaves_every_table(told: Told) -> None:
    assert told.registry(0, "c-forget")
    left = [
        name
        for stage in (1, 2)
        for name, rows in told.stages[stage].items()
        if any('"c-forget"' in row or "/c-forget" in row for row in rows)
        and not name.endswith(("int_conversations_forgotten", "int_pipeline_events"))
    ]
    events = [
        {row["step"] for row in told.rows("coach_staging.int_pipeline_events", "c-forget", stage)}
        for stage in (0, 1, 2)
    ]

    assert left == []
    assert events == [{"upload", "submit", "analyse"}, {"forget"}, {"forget"}]


def test_a_failed_step_stands_until_a_better_one(told: Told) -> None:
    failed = [(row["status"], row["open_reason"]) for row in told.registry(0, "c-fail")]
    later = [
        (row["status"], row["open_reason"], row["failure_count"], row["last_error_code"])
        for row in told.registry(1, "c-fail")
    ]

    assert failed == [("failed", "submit: UNAVAILABLE")]
    assert later == [("analysed", None, 1, "UNAVAILABLE")]


def test_an_event_that_lands_again_counts_once(told: Told) -> None:
    failures = [
        [
            (row["outcome"], row["landed_at"])
            for row in told.rows("coach_staging.int_pipeline_events", "c-fail", stage)
            if row["outcome"] == "failed"
        ]
        for stage in (0, 2)
    ]
    counted = [row["failure_count"] for row in told.registry(2, "c-fail")]

    assert failures == [[("failed", _landed(BATCHES[0]))]] * 2
    assert counted == [1]


def test_content_that_returns_is_its_old_version_again(told: Told) -> None:
    versions = [
        (row["version_number"], row["is_current"], row["valid_from"], row["valid_to"])
        for row in told.registry(2, "c-back")
    ]
    second, third = (_landed(BATCHES[number]) for number in (1, 2))

    assert versions == [(1, True, third, None), (2, False, second, third)]


def test_content_that_returns_is_open_until_ci_holds_it_again(told: Told) -> None:
    told_of = [
        [
            (row["version_number"], row["is_current"], row["status"], row["open_reason"])
            for row in rows
        ]
        for rows in (told.registry(stage, "c-return") for stage in (1, 2))
    ]
    never_left = [(row["is_current"], row["status"]) for row in told.registry(2, "c-back")]

    assert told_of == [
        [(1, False, "analysed", None), (2, True, "analysed", None)],
        [(1, True, "registered", "not_submitted_yet"), (2, False, "analysed", None)],
    ]
    assert never_left == [(True, "analysed"), (False, "registered")]
    assert len(told.rows("coach.ci_turns", "c-return")) == 2


def _landed(batch: dt.datetime) -> str:
    return str(batch + dt.timedelta(minutes=1))


def _shuffled() -> list[RawRows]:
    """The second and third batch first, then the first; rows in no order."""
    order = random.Random(20251228)
    first, second, third = batches()
    rearranged = [second.extend(third), first]
    for rows in rearranged:
        for table in vars(rows).values():
            order.shuffle(table)
    return rearranged


def _erase(warehouse: Warehouse) -> None:
    for statement in ERASURE:
        warehouse.rows(statement)


def judged(warehouse: Warehouse, project: DbtProject) -> dict[str, list[str]]:
    """Return by model where the rows of the emulator differ from those that the reference
    evaluator makes of the same SQL and of the emulator's rows of what the model reads."""
    project.run("compile", "--no-introspect", "--no-populate-cache")
    manifest = project.manifest()
    reference = Reference()
    different = {}
    for source in manifest["sources"].values():
        place = (source["database"], source["schema"], source["identifier"])
        types = {c["name"]: c["data_type"] for c in source["columns"].values()}
        rows = _rows(warehouse, place, "where _landed_at >= timestamp '2000-01-01'")
        reference.add(place, reference.sql.types_of(types), rows)
    for seed in nodes(manifest, "seed"):
        types = seed["config"]["column_types"]
        rows = _rows(warehouse, place_of(seed))
        held = {name: types[name] for name in (rows[0] if rows else types)}
        reference.add(place_of(seed), reference.sql.types_of(held), rows)
    for model in models_in_order(manifest):
        sql, place = model["compiled_code"], place_of(model)
        rows = _rows(warehouse, place)
        if model["name"] not in NOT_FROM_ROWS:
            ours, theirs = as_text(rows), reference.rows(sql)
            different[model["name"]] = [
                row for row in _unequal(ours, theirs) if not _is_taken_out(model["name"], row)
            ]
        reference.add(place, reference.sql.columns_of(sql), rows)
    return different


def _unequal(ours: list[str], theirs: list[str]) -> list[str]:
    one, other = Counter(ours), Counter(theirs)
    return sorted(((one - other) + (other - one)).elements())


def _is_taken_out(model: str, row: str) -> bool:
    """A post-hook, which isn't in the model's SQL, takes out events of c-forget."""
    return model == "int_pipeline_events" and f'"{FORGOTTEN.conversation_id}"' in row


def _rows(
    warehouse: Warehouse, place: tuple[str, str, str], where: str = ""
) -> list[dict[str, Any]]:
    return warehouse.rows(f"select * from `{'`.`'.join(place)}` {where}")


def all_tables(warehouse: Warehouse) -> Tables:
    """Return the rows of every table and of some views, as sorted JSON."""
    found: Tables = {}
    for dataset in ("coach", "coach_staging"):
        for item in warehouse.client.list_tables(dataset, timeout=60):
            if item.table_type == "VIEW" and item.table_id not in VIEWS_TOO:
                continue
            if item.table_id in SEEN:
                continue
            rows = warehouse.rows(f"select * from `{dataset}`.`{item.table_id}`")
            name = f"{dataset}.{item.table_id}"
            found[name] = sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)
    return found
