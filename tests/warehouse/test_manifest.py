"""The written rules of the dbt project, checked on its manifest without a warehouse."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud.contact_center_insights_v1 import Entity

from ingest.domain.conversation import Direction, Speaker
from ingest.domain.outcome import Outcome, Step
from tests.warehouse.dbt_runs import ROOT, DbtProject
from tests.warehouse.manifest_walk import declared_types

SEEDS = ROOT / "seeds"
MODELS = ROOT / "dbt_project" / "models"
MAX_LINES = 150
WITHOUT_IDENTITY = {"stg_ci__annotations", "int_phrase_annotations"}
"""Insights gives an annotation no id, and equal ones may repeat."""
WITHOUT_INTERMEDIATE = {
    "ci_feedback_labels <- stg_labels__feedback_labels",
    "ci_entities <- stg_ci__annotations",
    "ci_entities <- stg_ci__entities",
    "ci_turns <- stg_ci__annotations",
    "ci_turns <- stg_ci__turns",
    "phrase_matcher_evaluation <- stg_truths__conversation_truths",
    "schema_drift <- stg_ci__payload_paths",
}
"""Marts that read staging: nothing is derived in between, so a view there would say nothing."""
SHARED_PARTS = {"int_turn_hits", "int_turn_counts"} | {
    f"int_coaching_{name}" for name in ("due", "findings", "turns")
}
"""The second is read by marts that judge sentiment and oddities, the others by no mart."""
FOREIGN_KEYS = {
    ("analysis_changes", "analysis_id", "ci_analyses"),
    ("analysis_changes", "previous_analysis_id", "ci_analyses"),
    ("ci_analyses", "conversation_id", "ci_conversations"),
    ("ci_entities", "conversation_id", "ci_conversations"),
    ("ci_highlights", "turn_id", "ci_turns"),
    ("ci_phrase_matches", "turn_id", "ci_turns"),
    ("ci_summaries", "conversation_id", "ci_conversations"),
    ("ci_turns", "conversation_id", "ci_conversations"),
    ("customer_sentiment_arcs", "conversation_id", "ci_conversations"),
    ("missing_disclosures", "conversation_id", "ci_conversations"),
}
"""Each has a test of relationships too, since BigQuery believes a key that it doesn't enforce."""
_V1 = (MODELS / "marts/registry/conversation_registry_v1.sql").read_text("utf-8")
WORDS = {
    "directions": list(Direction),
    "entity_types": [kind.name for kind in Entity.Type],
    "pipeline_steps": list(Step),
    "registry_v1_statuses": re.findall(r"(?:then|else) '(\w+)'", _V1),
    "speakers": list(Speaker),
    "step_outcomes": list(Outcome),
}
"""Seeds of accepted values, and the words of those who write them."""
OPEN_WORDS = {"business_lines", "call_outcomes", "call_reasons", "media", "queues"}
"""Seeds whose words are the user's: a value that isn't among them is a warning."""
TYPES = {"STRING": "string", "JSON": "json", "DATE": "date", "TIMESTAMP": "timestamp"} | {
    "INTEGER": "int64",
    "BOOLEAN": "bool",
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    project = DbtProject(tmp_path_factory.mktemp("manifest"))
    project.run("parse")
    return project.manifest()


def _models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def _marts(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [model for model in _models(manifest) if model["access"] == "public"]


def _layer(model: dict[str, Any]) -> str:
    return "parts" if "parts" in model["fqn"] else str(model["fqn"][1])


def test_every_column_of_every_model_is_described(manifest: dict[str, Any]) -> None:
    silent = [
        f"{model['name']}.{column['name']}"
        for model in _models(manifest)
        for column in model["columns"].values()
        if not column["description"]
    ]

    assert silent == []
    assert all(model["description"] and model["columns"] for model in _models(manifest))


def test_every_mart_has_an_enforced_contract_with_types(manifest: dict[str, Any]) -> None:
    loose = [
        model["name"]
        for model in _marts(manifest)
        if not model["config"]["contract"]["enforced"]
        or not all(column["data_type"] for column in model["columns"].values())
    ]

    assert loose == []


def test_every_model_and_seed_has_a_tested_key(manifest: dict[str, Any]) -> None:
    keyed = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") == "key"
    }
    keyless = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed") and node["unique_id"] not in keyed
    }

    assert keyless == WITHOUT_IDENTITY


def test_every_rule_with_a_case_or_a_window_has_unit_tests_of_both_runs(
    manifest: dict[str, Any],
) -> None:
    runs: dict[str, set[bool | None]] = {}
    for test in manifest["unit_tests"].values():
        override = (test["overrides"] or {}).get("macros", {}).get("is_incremental")
        for node in test["depends_on"]["nodes"]:
            runs.setdefault(node, set()).add(override)
    untested = {
        model["name"]
        for model in _models(manifest)
        if re.search(r"\bcase\b|\bover\b|latest_by\(", _without_comments(model["raw_code"]))
        and not runs.get(model["unique_id"], set())
        >= ({True, False} if model["config"]["materialized"] == "incremental" else {None})
    }

    assert untested == set()


def test_accepted_values_stand_in_seeds_alone(manifest: dict[str, Any]) -> None:
    nodes = [node for node in manifest["nodes"].values() if node.get("test_metadata")]
    seeded: dict[str, set[str]] = {}
    for node in nodes:
        arguments = node["test_metadata"]["kwargs"]
        words = (
            dict(arguments.get("columns") or {}) if node["test_metadata"]["name"] == "words" else {}
        )
        seed = re.sub(r"\W*ref\W*(\w+).*", r"\1", arguments.get("to", ""))
        if seed in WORDS:
            words[arguments["column_name"]] = f"{seed}.{arguments['field']}"
        for column, word in words.items():
            seeded.setdefault(word, set()).add(f"{node['attached_node'].split('.', 2)[2]}.{column}")

    assert [node["name"] for node in nodes if "accepted_values" in node["name"]] == []
    assert seeded == {
        "business_lines.business_line": {"conversation_registry.v2.business_line"},
        "call_outcomes.call_outcome": {"conversation_registry.v2.call_outcome"},
        "call_reasons.call_reason": {"conversation_registry.v2.call_reason"},
        "directions.direction": {"conversation_registry.v2.direction"},
        "entity_types.entity_type": {"ci_entities.entity_type"},
        "media.medium": {"conversation_registry.v2.medium"},
        "pipeline_steps.step": {
            "conversation_registry.v2.last_failed_step",
            "int_pipeline_events.step",
        },
        "queues.queue": {"conversation_registry.v2.queue"},
        "conversation_statuses.status": {"conversation_registry.v2.status"},
        "registry_v1_statuses.status": {"conversation_registry.v1.status"},
        "speakers.speaker": {"ci_turns.speaker"},
        "step_outcomes.outcome": {"int_pipeline_events.outcome"},
    }


def test_seeds_of_accepted_values_are_complete() -> None:
    held = {}
    for name in WORDS:
        with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            held[name] = [row[0] for row in csv.reader(file)][1:]

    assert held == WORDS


def test_a_word_that_is_the_users_own_is_a_warning(manifest: dict[str, Any]) -> None:
    severities = {
        word.split(".")[0]: node["config"]["severity"].lower()
        for node in manifest["nodes"].values()
        if (node.get("test_metadata") or {}).get("name") == "words"
        for word in node["test_metadata"]["kwargs"]["columns"].values()
    }

    assert {seed for seed, severity in severities.items() if severity == "warn"} == OPEN_WORDS


def test_every_mart_is_in_an_exposure(manifest: dict[str, Any]) -> None:
    exposed = {
        node
        for exposure in manifest["exposures"].values()
        for node in exposure["depends_on"]["nodes"]
    }
    unread = {model["name"] for model in _marts(manifest) if model["unique_id"] not in exposed}

    assert unread == set()


def test_layers_read_downwards_only(manifest: dict[str, Any]) -> None:
    layers = {model["unique_id"]: _layer(model) for model in _models(manifest)}
    edges = {
        (layer, layers.get(parent, parent.split(".")[0]))
        for name, layer in layers.items()
        for parent in manifest["nodes"][name]["depends_on"]["nodes"]
    }
    straight = {
        f"{name.split('.', 2)[2]} <- {parent.split('.', 2)[2]}"
        for name, layer in layers.items()
        for parent in manifest["nodes"][name]["depends_on"]["nodes"]
        if (layer, layers.get(parent)) == ("marts", "staging")
    }

    assert edges <= {
        ("staging", "source"),
        ("intermediate", "seed"),
        ("intermediate", "staging"),
        ("intermediate", "intermediate"),
        ("marts", "seed"),
        ("marts", "staging"),
        ("marts", "intermediate"),
        ("marts", "marts"),
        ("marts", "parts"),
        ("parts", "seed"),
        ("parts", "intermediate"),
        ("parts", "marts"),
        ("parts", "parts"),
    }
    assert straight == WITHOUT_INTERMEDIATE


def test_a_part_is_read_by_one_mart_alone(manifest: dict[str, Any]) -> None:
    marts = {model["unique_id"] for model in _marts(manifest)}
    readers = {
        model["name"]: len(marts.intersection(manifest["child_map"][model["unique_id"]]))
        for model in _models(manifest)
        if _layer(model) == "parts" and model["name"] not in SHARED_PARTS
    }

    assert readers == dict.fromkeys(readers, 1)


def test_marts_are_public_and_everything_has_an_owner(manifest: dict[str, Any]) -> None:
    groups = {group["name"]: group["owner"]["email"] for group in manifest["groups"].values()}
    access = {(_layer(model), model["access"]) for model in _models(manifest)}
    owners = {
        (node["group"], node["config"]["meta"].get("owner"))
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed")
    }

    assert access == {
        ("staging", "private"),
        ("intermediate", "private"),
        ("parts", "private"),
        ("metrics", "private"),
        ("marts", "public"),
    }
    assert owners == set(groups.items())


def test_every_field_of_a_struct_is_declared_and_described(manifest: dict[str, Any]) -> None:
    """test_googlesql.py holds the fields that are declared to those that the SQL gives."""
    whole = [
        f"{model['name']}.{column['name']}"
        for model in _models(manifest)
        for column in model["columns"].values()
        if "struct<" in column["data_type"]
    ]

    assert whole == []


def test_a_mart_declares_the_keys_of_marts_that_it_reads(manifest: dict[str, Any]) -> None:
    keys = {
        (model["name"], column["name"], re.findall(r"\w+", constraint["to"])[1])
        for model in _marts(manifest)
        for column in model["columns"].values()
        for constraint in column["constraints"]
        if constraint["type"] == "foreign_key"
    }

    assert keys == FOREIGN_KEYS


def test_what_can_be_measured(manifest: dict[str, Any]) -> None:
    """test_googlesql.py has the analyzer judge what each asks of its table."""
    read = {
        metric["name"]: sorted(
            manifest["nodes"][manifest["semantic_models"][semantic]["depends_on"]["nodes"][0]][
                "name"
            ]
            for semantic in metric["depends_on"]["nodes"]
            if semantic.startswith("semantic_model.")
        )
        for metric in manifest["metrics"].values()
    }

    assert read == {
        "calls": ["ci_conversations"],
        "cost": ["ci_costs"],
        "customer_sentiment": ["ci_conversations"],
        "disclosure_misses": ["missing_disclosures"],
        "disclosure_misses_per_call": [],
        "talk_share": ["call_dynamics"],
        "violations": ["agent_daily"],
    }


def test_json_is_opened_in_staging_only() -> None:
    opened = [
        path.name
        for path in MODELS.rglob("*.sql")
        if "staging" not in path.parts and re.search(r"json_(value|query)", path.read_text("utf-8"))
    ]

    assert opened == []


def test_no_model_is_too_long() -> None:
    long = [
        path.name
        for path in MODELS.rglob("*.sql")
        if len(path.read_text("utf-8").splitlines()) > MAX_LINES
    ]

    assert long == []


def test_no_statement_reads_the_clock_hides_a_fan_out_or_depends_on_the_order_of_rows() -> None:
    texts = {path.name: path.read_text("utf-8") for path in (ROOT / "dbt_project").rglob("*.sql")}
    clock, fan_out = r"current_timestamp\(|current_date", r"select distinct|noqa|\blimit \d"
    pattern = rf"{clock}|{fan_out}|any_value\(|approx_|avg\(|stddev"

    assert [name for name, text in texts.items() if re.search(pattern, text)] == []


def test_every_read_of_a_raw_table_has_a_literal_filter() -> None:
    texts = [path.read_text("utf-8") for path in (MODELS / "staging").rglob("*.sql")]
    reads = [text for text in texts if "source('coach_raw'" in text]

    assert len(reads) >= 8
    literals = (
        '_landed_at >= timestamp \'{{ var("raw_start_date") }}',
        "_landed_at >= timestamp_trunc({{ landed_from(is_backfilled=false) }}, day)",
    )
    assert [text for text in reads if not any(each in text for each in literals)] == []


def test_sources_are_declared_as_the_raw_table_schemas_say(manifest: dict[str, Any]) -> None:
    declared = {
        source["name"]: [
            (column["name"], column["data_type"], column["description"])
            for column in source["columns"].values()
        ]
        for source in manifest["sources"].values()
    }
    schemas = {
        name: [
            (field["name"], TYPES[field["type"]], field["description"])
            for field in json.loads((ROOT / f"ingest/schemas/{name}.json").read_text("utf-8"))
        ]
        for name in declared
    }

    assert declared == schemas


def test_the_export_has_the_names_and_types_of_googles_version_3(manifest: dict[str, Any]) -> None:
    fixture = Path(__file__).with_name("ci_export_schema_v3.json")
    expected = {field["name"]: _type(field) for field in json.loads(fixture.read_text("utf-8"))}
    model = manifest["nodes"]["model.conversation_coach.ci_export_compat"]
    ours = {name: re.sub(r"\s+", "", kind or "") for name, kind in declared_types(model).items()}

    assert {name: ours.get(name) for name in expected} == expected


def _without_comments(sql: str) -> str:
    return re.sub(r"\{#.*?#\}", "", sql, flags=re.DOTALL)


def _type(field: dict[str, Any]) -> str:
    names = {"INTEGER": "int64", "FLOAT": "float64", "BOOLEAN": "bool"}
    if field["type"] == "RECORD":
        members = ",".join(f"{member['name']}{_type(member)}" for member in field["fields"])
        kind = f"struct<{members}>"
    else:
        kind = names.get(field["type"], field["type"].lower())
    return f"array<{kind}>" if field["mode"] == "REPEATED" else kind


def _text_columns(manifest: dict[str, Any]) -> set[str]:
    """Return the columns with text of all tables; a view shows what the tables below it do."""
    return {
        str(column["name"])
        for model in _models(manifest)
        if model["config"]["materialized"] != "view"
        for column in model["columns"].values()
        if (column["data_type"] or "").lower() in ("string", "json", "array<string>")
    }


def test_of_each_column_with_text_it_is_said_whether_it_is_personal(
    manifest: dict[str, Any],
) -> None:
    personal = yaml.safe_load((ROOT / "dbt_project.yml").read_text("utf-8"))["vars"][
        "personal_columns"
    ]
    with (Path(__file__).parent / "impersonal_columns.csv").open(encoding="utf-8") as file:
        why = {row["column"]: row["why"] for row in csv.DictReader(file)}

    assert _text_columns(manifest) == {*personal, *why}
    assert not {*personal} & {*why}
    assert [column for column, reason in why.items() if not reason] == []
    assert personal == sorted(personal)
