"""A company's own words and fields, from an empty folder to agent_daily, with no code changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from tests.fakes import folders
from tests.stack_fixture import Stack
from tests.warehouse.dbt_runs import ROOT, DbtProject

pytestmark = pytest.mark.stack
RUN_INGEST = "from ingest.cli import main; main()"
COUNT = 8


@dataclass(frozen=True)
class Company:
    """What its owner writes: words in seeds, fields in dbt_project.yml, how data should be."""

    date: str
    words: Mapping[str, tuple[str, ...]]
    fields: tuple[dict[str, Any], ...]
    custom: Mapping[str, Any]


COMPANIES = {
    "utility": Company(
        "2026-03-02",
        {
            "business_lines": ("ELECTRICITY", "GAS"),
            "call_outcomes": ("READING_TAKEN", "TECHNICIAN_BOOKED", "BILL_EXPLAINED"),
            "queues": ("outages", "meter-readings"),
        },
        (
            {"name": "meter_reading", "data_type": "float64", "description": "Reading given."},
            {"name": "tariff", "data_type": "string", "description": "Tariff.", "label": True},
        ),
        {"meter_reading": {"from": 100, "to": 900}, "tariff": ["day", "night"]},
    ),
    "hospital": Company(
        "2026-03-03",
        {
            "business_lines": ("CARDIOLOGY", "RADIOLOGY"),
            "call_outcomes": ("APPOINTMENT_MADE", "REFERRED"),
            "queues": ("wards", "reception"),
        },
        (
            {"name": "wait_days", "data_type": "int64", "description": "Days until the visit."},
            {
                "name": "patient_id",
                "data_type": "string",
                "description": "Number of the patient.",
                "personal": True,
            },
        ),
        {"wait_days": [3, 14], "patient_id": ["P-1", "P-2"], "ward": ["A"]},
    ),
}
POLICY_TAG = "projects/acme-coach/locations/us-central1/taxonomies/1/policyTags/2"
KEYS = {"business_lines": "business_line", "call_outcomes": "call_outcome", "queues": "queue"}


def _project(company: Company, root: Path) -> Path:
    """Return the repository's project with the seeds and variables of the company."""
    root.mkdir()
    for name in ("dbt_project", "tests"):
        (root / name).symlink_to(ROOT / name)
    (root / "seeds").mkdir()
    for path in (*(ROOT / "seeds").glob("*.csv"), *(ROOT / "seeds").glob("*.yml")):
        shutil.copy(path, root / "seeds")
    for seed, words in company.words.items():
        lines = [f"{KEYS[seed]},description", *(f"{word},Own." for word in words)]
        (root / "seeds" / f"{seed}.csv").write_text("\n".join(lines) + "\n")
    media = (
        "medium,insights_medium",
        "PHONE_CALL,PHONE_CALL",
        "CHAT,CHAT",
        "EMAIL,CHAT",
        "LETTER,",
    )
    lines = [f"{line},{'Own.' if number else 'description'}" for number, line in enumerate(media)]
    (root / "seeds" / "media.csv").write_text("\n".join(lines) + "\n")
    settings = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))
    settings["vars"]["conversation_custom_fields"] = list(company.fields)
    settings["vars"]["personal_data_policy_tag"] = POLICY_TAG
    (root / "dbt_project.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (root / "profile.yaml").write_text(yaml.safe_dump({"custom": dict(company.custom)}))
    return root


def _ingest(stack: Stack, root: Path, *command: str) -> Any:
    places = {
        "INGEST_SEEDS_DIR": str(root / "seeds"),
        "INGEST_DBT_PROJECT_FILE": str(root / "dbt_project.yml"),
    }
    endpoints = {f"INGEST_{name.upper()}": value for name, value in stack.endpoints.items()}
    finished = subprocess.run(
        [sys.executable, "-c", RUN_INGEST, *command, "--json"],
        env=os.environ | endpoints | places,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr + finished.stdout
    return json.loads(finished.stdout)


@pytest.mark.parametrize("name", COMPANIES)
def test_own_words_and_fields_come_as_far_as_agent_daily(
    stack: Stack, tmp_path: Path, name: str
) -> None:
    company = COMPANIES[name]
    root, data = _project(company, tmp_path / "project"), tmp_path / "data"
    generated = ("--count", str(COUNT), "--date", company.date, "--out", str(data))
    places = ("--seeds", str(root / "seeds"), "--profile", str(root / "profile.yaml"))
    _ingest(stack, root, "data", "generate", *generated, *places)
    found = _ingest(stack, root, "data", "validate", str(data))
    made = [json.loads(path.read_text()) for path in data.glob("*/*/metadata.json")]
    for number, medium in enumerate(("EMAIL", "LETTER"), start=1):
        _write_more(company, data, number, medium, made[0])

    pushed = _ingest(stack, root, "push", str(data))
    project = DbtProject(
        tmp_path / "dbt", str(stack.settings.bigquery_endpoint), f"coach_{name}", own_root=root
    )
    wanted = ("--select", "+agent_daily", "+conversation_custom_fields")
    project.run("build", *wanted, "--exclude", "resource_type:test", "resource_type:unit_test")
    rows = _rows_of(stack)

    own = {f"conversation_custom_fields.{f['name']}" for f in company.fields if f.get("personal")}
    assert _tagged(stack, f"coach_{name}") == own | {
        "agent_daily.agent_name",
        "ci_conversations.agent_name",
        "ci_conversations.labels.value",
        "ci_conversations.obfuscated_user_id",
        "ci_entities.entity",
        "ci_phrase_matches.quote",
        "ci_turns.text",
        "conversation_registry.agent_name",
        "missing_disclosures.agent_name",
    }
    undeclared = {fault["rule"] for fault in found["faults"]}
    assert undeclared == (set() if name == "utility" else {"undeclared_custom_field"})
    assert pushed["states"]["done"] == COUNT + 2
    registry = rows(
        f"select medium, status, business_line, call_outcome, queue "
        f"from coach_{name}.conversation_registry where batch_date = '{company.date}'"
    )
    assert len(registry) == COUNT + 2
    for seed, key in KEYS.items():
        assert {row[key] for row in registry} <= set(company.words[seed])
    assert [(r["medium"], r["status"]) for r in registry if r["medium"] in ("EMAIL", "LETTER")] in (
        [("EMAIL", "analysed"), ("LETTER", "registered")],
        [("LETTER", "registered"), ("EMAIL", "analysed")],
    )
    number = company.fields[0]["name"]
    measured = rows(
        f"select sum(measure.conversation_count) as conversations, sum(measure.total) as total "
        f"from coach_{name}.agent_daily cross join unnest(custom_measures) as measure "
        f"where conversation_date = '{company.date}' and measure.name = '{number}'"
    )
    total = sum(round(each["custom"][number] * 10) for each in made) / 10
    assert measured == [{"conversations": COUNT, "total": pytest.approx(total)}]
    project.run("test", "--select", "assert_custom_fields_are_kept")
    columns = ", ".join(field["name"] for field in company.fields)
    typed = rows(
        f"select conversation_id, {columns} from coach_{name}.conversation_custom_fields "
        f"where batch_date = '{company.date}' and {number} is not null"
    )
    assert sorted(typed, key=str) == sorted(
        (
            {
                "conversation_id": each["conversation_id"],
                **{field["name"]: each["custom"][field["name"]] for field in company.fields},
            }
            for each in made
        ),
        key=str,
    )


def _write_more(
    company: Company, data: Path, number: int, medium: str, like: dict[str, Any]
) -> None:
    id_ = folders.conversation_id(9_000 + number + int(company.date[-2:]) * 10)
    metadata = {
        **folders.metadata(id_),
        **{key: like[key] for key in KEYS.values()},
        "medium": medium,
        "started_at": f"{company.date}T09:00:00+10:00",
        "ended_at": f"{company.date}T09:01:00+10:00",
    }
    folders.write(data, id_, company.date, metadata=metadata)


def _tagged(stack: Stack, dataset: str) -> set[str]:
    """Return table.column of all columns in the dataset that the policy tag is on."""
    client = _client(stack)
    return {
        f"{listed.table_id}.{name}"
        for listed in client.list_tables(dataset)
        for name in _tagged_in(client.get_table(listed.reference).schema)
    }


def _tagged_in(fields: Iterable[bigquery.SchemaField], prefix: str = "") -> Iterator[str]:
    for field in fields:
        if field.policy_tags and field.policy_tags.names == (POLICY_TAG,):
            yield prefix + field.name
        yield from _tagged_in(field.fields, f"{prefix}{field.name}.")


def _client(stack: Stack) -> bigquery.Client:
    return bigquery.Client(
        project=stack.settings.project_id,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=stack.settings.bigquery_endpoint),
    )


def _rows_of(stack: Stack) -> Any:
    client = _client(stack)

    def rows(sql: str) -> list[dict[str, Any]]:
        job = client.query(sql, retry=None, job_retry=None, timeout=60)
        return [dict(row) for row in job.result(timeout=120)]

    return rows
