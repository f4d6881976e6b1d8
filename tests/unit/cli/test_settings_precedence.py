from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from requests.utils import should_bypass_proxies

from ingest.errors import ExitCode, SettingsError
from ingest.settings import (
    cloud_run_shard,
    dbt_environment,
    load_settings,
    setting_origins,
)

CLOUD = {"PROJECT_ID": "acme", "BUCKET": "acme-cc", "LOCATION": "europe-west1"}
ENDPOINTS = {
    "gcs_endpoint": "http://127.0.0.1:9040",
    "bigquery_endpoint": "http://127.0.0.1:9041",
    "insights_endpoint": "127.0.0.1:9042",
}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("PROJECT_ID", "BUCKET", "LOCATION", "CONCURRENCY", *map(str.upper, ENDPOINTS)):
        monkeypatch.delenv(f"INGEST_{name}", raising=False)
    monkeypatch.delenv("CONTACTCENTERINSIGHTS_EMULATOR_HOST", raising=False)


def stack_state(folder: Path, endpoints: dict[str, str]) -> Path:
    path = folder / "stack.json"
    path.write_text(json.dumps({"endpoints": endpoints}))
    return path


def set_env(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"INGEST_{name}", value)


def test_a_flag_wins_over_env_over_dotenv_over_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_env(monkeypatch, CLOUD)
    found = [load_settings().concurrency]
    (tmp_path / ".env").write_text("INGEST_CONCURRENCY=7\n")
    found.append(load_settings().concurrency)
    monkeypatch.setenv("INGEST_CONCURRENCY", "8")
    found.append(load_settings().concurrency)
    found.append(load_settings(concurrency=9).concurrency)
    found.append(load_settings(concurrency=None).concurrency)

    assert found == [384, 7, 8, 9, 8]


def test_without_a_project_the_local_stack_is_used(tmp_path: Path) -> None:
    settings = load_settings(stack_state(tmp_path, ENDPOINTS))

    assert settings.is_local
    assert (settings.project_id, settings.bucket) == ("local-project", "local-project-cc-dev")
    assert settings.gcs_endpoint == ENDPOINTS["gcs_endpoint"]


@pytest.mark.parametrize("place", ["env", "dotenv"])
def test_an_endpoint_that_is_set_wins_over_the_stacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "env":
        monkeypatch.setenv("INGEST_GCS_ENDPOINT", "http://other:1")
    else:
        (tmp_path / ".env").write_text("INGEST_GCS_ENDPOINT=http://other:1\n")

    settings = load_settings(stack_state(tmp_path, ENDPOINTS))

    assert settings.gcs_endpoint == "http://other:1"
    assert settings.insights_endpoint == ENDPOINTS["insights_endpoint"]


def test_the_emulators_own_variable_is_an_endpoint_after_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = stack_state(tmp_path, ENDPOINTS)
    (tmp_path / ".env").write_text("CONTACTCENTERINSIGHTS_EMULATOR_HOST=dotenv:1\n")
    found = [load_settings(state)]
    monkeypatch.setenv("CONTACTCENTERINSIGHTS_EMULATOR_HOST", "emulator:1")
    found.append(load_settings(state))
    monkeypatch.setenv("INGEST_INSIGHTS_ENDPOINT", "ours:1")
    found.append(load_settings(state))
    found.append(load_settings(state, insights_endpoint="flag:1"))

    assert [settings.insights_endpoint for settings in found] == [
        "dotenv:1",
        "emulator:1",
        "ours:1",
        "flag:1",
    ]
    assert setting_origins(found[1])["insights_endpoint"] == ("emulator:1", "environment")


def test_an_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_GCS_ENDPOINT", "")

    settings = load_settings(stack_state(tmp_path, ENDPOINTS))

    assert settings.gcs_endpoint == ENDPOINTS["gcs_endpoint"]


def test_a_stack_that_does_not_run_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "none.json")

    assert caught.value.exit_code is ExitCode.SETTINGS
    assert "ingest local up" in caught.value.hint


def test_a_stack_without_one_service_is_no_way_to_the_real_one(tmp_path: Path) -> None:
    only_ci = {"insights_endpoint": ENDPOINTS["insights_endpoint"]}

    with pytest.raises(SettingsError, match="without gcs, bigquery"):
        load_settings(stack_state(tmp_path, only_ci))


def test_a_project_in_the_environment_is_not_the_local_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_env(monkeypatch, CLOUD)

    settings = load_settings(stack_state(tmp_path, ENDPOINTS))

    assert not settings.is_local
    assert (settings.project_id, settings.gcs_endpoint) == ("acme", None)


def test_nothing_of_a_customers_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_PROJECT_ID", "acme")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert caught.value.message == (
        "unusable settings: INGEST_BUCKET: field required; INGEST_LOCATION: field required"
    )


@pytest.mark.parametrize(
    ("name", "value", "form"),
    [
        ("BIGQUERY", "127.0.0.1:9041", "http://host:port or https://host"),
        ("GCS", "ftp://other", "http://host:port or https://host"),
        ("INSIGHTS", "http://127.0.0.1:9042", "host:port"),
    ],
)
def test_an_endpoint_of_another_form_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, form: str
) -> None:
    set_env(monkeypatch, CLOUD | {f"{name}_ENDPOINT": value})

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert caught.value.message == f"unusable settings: INGEST_{name}_ENDPOINT: should be {form}"


def test_a_misspelt_setting_in_dotenv_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_env(monkeypatch, CLOUD)
    (tmp_path / ".env").write_text("INGEST_BUKET=x\n")

    with pytest.raises(SettingsError, match="INGEST_BUKET: no such setting"):
        load_settings()


def test_variables_of_others_in_dotenv_are_their_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_env(monkeypatch, CLOUD)
    (tmp_path / ".env").write_text("DATABASE_URL=x\nINGEST_CONCURRENCY=7\n")

    assert load_settings().concurrency == 7


def test_a_dotenv_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"INGEST_PROJECT_ID=\xff\n")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert (caught.value.message, caught.value.hint) == (
        ".env isn't plain UTF-8",
        "save it as UTF-8",
    )


def test_a_cloud_run_task_is_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUD_RUN_TASK_INDEX", raising=False)
    monkeypatch.delenv("CLOUD_RUN_TASK_COUNT", raising=False)
    alone = cloud_run_shard()
    monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", "2")
    monkeypatch.setenv("CLOUD_RUN_TASK_COUNT", "4")

    assert (alone, cloud_run_shard()) == ((0, 1), (2, 4))
    monkeypatch.setenv("CLOUD_RUN_TASK_COUNT", "many")
    with pytest.raises(SettingsError):
        cloud_run_shard()


def test_the_local_stack_is_reached_past_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "intranet.example.com")
    monkeypatch.setenv("NO_PROXY", "")
    state = stack_state(tmp_path, ENDPOINTS)

    load_settings(state)
    load_settings(state)

    assert os.environ["no_proxy"] == "intranet.example.com,127.0.0.1"
    assert os.environ["NO_PROXY"] == "127.0.0.1"
    assert should_bypass_proxies(ENDPOINTS["bigquery_endpoint"], no_proxy=None)


def test_dbt_is_run_with_what_dotenv_says_behind_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["INGEST_PROJECT_ID=acme", "INGEST_BUCKET=acme-cc", "INGEST_LOCATION=europe-west1"]
    own = ["DBT_PERSONAL_DATA_POLICY_TAG=tags/1", "INGEST_MARTS_DATASET=of_file"]
    (tmp_path / ".env").write_text("\n".join([*lines, *own]))
    monkeypatch.setenv("INGEST_MARTS_DATASET", "of_environment")
    monkeypatch.delenv("DBT_TARGET", raising=False)

    given = dbt_environment(load_settings())

    assert {name: given[name] for name in given.keys() - os.environ.keys()} == {
        "DBT_PERSONAL_DATA_POLICY_TAG": "tags/1",
        "DBT_TARGET": "bigquery",
        "INGEST_BUCKET": "acme-cc",
        "INGEST_LOCATION": "europe-west1",
        "INGEST_PROJECT_ID": "acme",
        "INGEST_RAW_DATASET": "coach_raw",
    }
    assert given["INGEST_MARTS_DATASET"] == "of_environment"


def test_dbt_is_led_to_the_stack_where_no_project_is_set(tmp_path: Path) -> None:
    settings = load_settings(stack_state(tmp_path, ENDPOINTS))

    given = dbt_environment(settings)

    assert given["INGEST_BIGQUERY_ENDPOINT"] == ENDPOINTS["bigquery_endpoint"]
    assert given["DBT_TARGET"] == os.environ.get("DBT_TARGET", "local")
