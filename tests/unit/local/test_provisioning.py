from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ingest.errors import SettingsError
from ingest.local.layout import Layout, Service
from ingest.local.processes import StackState, write_state
from ingest.local.provisioning import (
    datasets,
    local_settings,
    point_dbt_at,
    provision,
    raw_table_schemas,
)
from ingest.settings import Settings

CLOUD = {"project_id": "acme", "bucket": "acme-cc", "location": "us-central1"}


def test_every_raw_table_has_a_schema_with_the_partition_column() -> None:
    schemas = raw_table_schemas()

    assert {
        "ci_conversations",
        "conversation_files",
        "conversation_truths",
        "feedback_labels",
        "phrase_matchers",
        "pipeline_events",
    } <= set(schemas)
    assert not [name for name in schemas if name.endswith(".schema")]
    for fields in schemas.values():
        (landed,) = [field for field in fields if field["name"] == "_landed_at"]
        assert (landed["type"], landed["mode"]) == ("TIMESTAMP", "REQUIRED")


def test_nothing_is_provisioned_on_google_cloud() -> None:
    with pytest.raises(SettingsError, match="only the local stack"):
        provision(Settings(**CLOUD))


def test_the_datasets_follow_the_settings() -> None:
    settings = Settings(**CLOUD, raw_dataset="raw", marts_dataset="marts")

    assert datasets(settings) == ("raw", "marts", "marts_staging")


HERE = "http://127.0.0.1:9141"
PROFILE = """\
# mine
coach:
  outputs:
    local:
      api_endpoint: "{{ env_var('INGEST_BIGQUERY_ENDPOINT', 'http://127.0.0.1:9041') }}"
"""


def test_a_missing_profile_is_copied_and_leads_to_the_stack(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "profiles.example.yml").write_text(PROFILE)

    leads = [point_dbt_at(HERE, tmp_path, said.append) for _ in range(2)]

    assert leads == [True, True]
    assert (tmp_path / "profiles.yml").read_text() == PROFILE.replace("9041", "9141")
    assert (tmp_path / "profiles.example.yml").read_text() == PROFILE
    assert said == [
        "profiles.yml written from profiles.example.yml",
        "profiles.yml: dbt goes to http://127.0.0.1:9141",
    ]


def test_of_a_profile_that_is_there_the_default_address_alone_changes(tmp_path: Path) -> None:
    mine = f"{PROFILE}  target: other\n# http://127.0.0.1:9041\n"
    (tmp_path / "profiles.example.yml").write_text(PROFILE)
    (tmp_path / "profiles.yml").write_text(mine)

    assert point_dbt_at(HERE, tmp_path, print)
    assert (tmp_path / "profiles.yml").read_text() == mine.replace("9041", "9141", 1)


def test_a_profile_with_an_address_of_its_own_is_left_alone(tmp_path: Path) -> None:
    mine = "coach: {outputs: {local: {api_endpoint: 'http://127.0.0.1:9041'}}}\n"
    (tmp_path / "profiles.yml").write_text(mine)

    assert not point_dbt_at(HERE, tmp_path, print)
    assert (tmp_path / "profiles.yml").read_text() == mine


def test_the_profile_of_the_project_leads_to_the_stack(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[3] / "profiles.example.yml", tmp_path)

    assert point_dbt_at(HERE, tmp_path, print)
    assert HERE in (tmp_path / "profiles.yml").read_text()


def test_no_profiles_are_written_where_there_is_no_example(tmp_path: Path) -> None:
    assert not point_dbt_at(HERE, tmp_path, print)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("environment", [{}, {"INGEST_PROJECT_ID": "acme"}])
def test_first_steps_reach_this_stack_whatever_project_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    layout = Layout(tmp_path, 9140)
    state = StackState(9140, layout.endpoints(Service), layout.ports, {})
    write_state(layout.state_file, state)

    settings = local_settings(layout, state)

    assert (settings.project_id, settings.bucket) == ("local-project", "local-project-cc-dev")
    assert settings.bigquery_endpoint == "http://127.0.0.1:9141"
