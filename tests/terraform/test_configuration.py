"""Terraform itself reads, checks and plans every root, against the provider's own schema."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from . import inputs, permissions, plan_policy, provider_rules
from .workspace import MODULE, REPOSITORY, ROOTS, Toolbox, Workspace

pytestmark = pytest.mark.terraform
BOOTSTRAP, PROD = "terraform/bootstrap", "terraform/environments/prod"
ENVIRONMENTS = tuple(root for root in ROOTS if "/environments/" in root)


def test_every_file_is_formatted(workspace: Workspace) -> None:
    result = workspace.terraform("terraform", "fmt", "-check", "-recursive", "-diff")

    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("root", [*ROOTS, MODULE])
def test_root_installs_its_providers_and_is_valid(fresh: Workspace, root: str) -> None:
    installed = fresh.init(root)
    checked = fresh.terraform(root, "validate", "-no-color")

    assert (installed.returncode, installed.stderr) == (0, "")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_schema_covers_every_type_and_is_of_a_version_that_the_roots_admit(
    toolbox: Toolbox,
) -> None:
    constraint = (REPOSITORY / MODULE / "versions.tf").read_text(encoding="utf-8")

    assert '">= 8.0, < 9.0"' in constraint
    assert re.fullmatch(r"8\.\d+\.\d+", toolbox.provider_version)


def test_module_tests_pass(workspace: Workspace) -> None:
    result = workspace.terraform(MODULE, "test", "-no-color")

    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"Success! [1-9]\d+ passed, 0 failed\.", result.stdout)


@pytest.fixture(scope="module")
def plans(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Plans of all roots with every optional part on."""
    made = {root: workspace.plan(root, *inputs.EVERYTHING) for root in ENVIRONMENTS}
    return {BOOTSTRAP: workspace.plan(BOOTSTRAP, *inputs.BOOTSTRAP), **made}


@pytest.mark.parametrize("root", ENVIRONMENTS)
def test_environment_keeps_every_rule_with_all_parts_on(
    plans: dict[str, dict[str, Any]], root: str
) -> None:
    roles = plan_policy.grantable_roles(plans[BOOTSTRAP])

    assert plan_policy.faults(plans[root], roles) == []


def test_the_real_provider_would_take_every_value(plans: dict[str, dict[str, Any]]) -> None:
    assert {root: list(provider_rules.faults(plan)) for root, plan in plans.items()} == {
        root: [] for root in plans
    }


def test_what_may_be_tuned_replaces_nothing_that_is_there(
    workspace: Workspace, plans: dict[str, dict[str, Any]]
) -> None:
    tuned = workspace.plan(PROD, *inputs.TUNED)

    assert provider_rules.replaced(plans[PROD], tuned) == []


def test_a_value_that_the_provider_refuses_and_a_replacement_are_told(
    plans: dict[str, dict[str, Any]],
) -> None:
    plan = copy.deepcopy(plans[PROD])
    bucket, job = (
        next(each for each in plan_policy.resources(plan) if each["type"] == kind)
        for kind in ("google_storage_bucket", "google_cloud_scheduler_job")
    )
    bucket["values"]["public_access_prevention"] = "enforce"
    bucket["values"]["location"] = "europe-west1"
    job["values"]["pubsub_target"] = [{"topic_name": "t"}]

    assert list(provider_rules.faults(plan)) == [
        f"{job['address']}: http_target and pubsub_target exclude each other",
        f"{bucket['address']}: public_access_prevention can't be 'enforce'",
    ]
    assert provider_rules.replaced(plans[PROD], plan) == [f"{bucket['address']}: location"]


def test_deployer_may_grant_the_roles_that_its_list_states(
    plans: dict[str, dict[str, Any]],
) -> None:
    stated = plan_policy.stated_grantable_roles(REPOSITORY)

    assert len(stated) == 8
    assert plan_policy.grantable_roles(plans[BOOTSTRAP]) == stated


def test_the_deployer_can_become_no_account_but_those_it_was_given(
    plans: dict[str, dict[str, Any]],
) -> None:
    bootstrap = plans[BOOTSTRAP]

    assert plan_policy.ways_to_other_accounts(bootstrap) == []
    kept = {each["address"] for each in plan_policy.resources(bootstrap)}
    assert "google_project_iam_custom_role.account_keeper" in kept


def test_bootstrap_switches_on_every_api_that_an_environment_uses(
    plans: dict[str, dict[str, Any]],
) -> None:
    missing = plan_policy.services(plans[PROD]) - plan_policy.services(plans[BOOTSTRAP])

    assert missing == set()


def test_each_call_of_the_code_has_a_grant_whose_role_permits_it(
    plans: dict[str, dict[str, Any]],
) -> None:
    assert list(permissions.lacking(plans[PROD])) == []


def test_a_role_that_lacks_what_a_call_needs_is_told(plans: dict[str, dict[str, Any]]) -> None:
    plan = copy.deepcopy(plans[PROD])
    for resource in plan_policy.resources(plan):
        if resource["address"].endswith("google_storage_bucket_iam_member.sidecar_objects"):
            resource["values"]["role"] = "roles/storage.objectViewer"

    assert list(permissions.lacking(plan)) == [
        "sidecar: files, transcripts, batches, leases: roles/storage.objectViewer lacks "
        "storage.objects.create, storage.objects.delete"
    ]


def test_every_method_of_googles_clients_that_is_called_has_its_permission_in_the_table() -> None:
    folder = REPOSITORY / "ingest" / "gcp"
    insights = permissions.called([*folder.glob("insights*.py")], r"^self\._client$")
    storage = permissions.called([folder / "storage.py"], r"^(client|blob)$|^self\._blob\(")
    bigquery = permissions.called(
        [folder / "bigquery.py", folder / "diagnosis.py"],
        r"^(self\._client|client)$|^bigquery_client\(",
    )
    of_insights = {permissions.insights_permission(each) for each in insights - {"transport"}}
    roles = permissions.ROLES
    needed = set().union(*(permission for _, _, permission in permissions.NEEDS))

    assert len(of_insights) >= 30
    assert of_insights - roles["roles/contactcenterinsights.editor"] == set()
    assert permissions.BY_DESCRIPTION - of_insights == set()
    assert storage - {"close", "generation", "updated"} == set(permissions.STORAGE)
    assert bigquery - {"close"} == set(permissions.BIGQUERY)
    assert set().union(*permissions.STORAGE.values()) <= needed
    assert set().union(*permissions.BIGQUERY.values()) <= needed


def test_production_protects_encrypts_and_logs(plans: dict[str, dict[str, Any]]) -> None:
    plan = plans[PROD]
    found = list(plan_policy.resources(plan))

    protected = [each for each in found if "deletion_protection" in each["values"]]
    assert len(protected) >= 9
    assert plan_policy.unprotected(plan) == []
    types = {resource["type"] for resource in found}
    assert {"google_kms_crypto_key", "google_project_iam_audit_config"} <= types
    kept = {each["type"] for each in found if each["values"].get("deletion_policy") == "PREVENT"}
    assert kept == {
        "google_bigquery_dataset",
        "google_storage_bucket",
        "google_storage_managed_folder",
    }


def test_a_quiet_development_project_has_only_what_data_needs(workspace: Workspace) -> None:
    plan = workspace.plan("terraform/environments/dev", *inputs.PROJECT)

    assert {resource["type"] for resource in plan_policy.resources(plan)} == {
        "google_bigquery_datapolicy_data_policy",
        "google_bigquery_dataset",
        "google_bigquery_dataset_access",
        "google_bigquery_dataset_iam_member",
        "google_bigquery_table",
        "google_bigquery_table_iam_member",
        "google_contact_center_insights_view",
        "google_data_catalog_policy_tag",
        "google_data_catalog_policy_tag_iam_member",
        "google_data_catalog_taxonomy",
        "google_project_iam_member",
        "google_project_service",
        "google_project_service_identity",
        "google_service_account",
        "google_storage_bucket",
        "google_storage_bucket_iam_member",
        "google_storage_managed_folder",
        "google_storage_managed_folder_iam_member",
        "terraform_data",
    }


def test_bad_input_is_refused_with_its_reason(workspace: Workspace) -> None:
    result = workspace.terraform(
        "terraform/environments/dev",
        "plan",
        "-input=false",
        "-no-color",
        "-var=project_id=123456789012",
        "-var=project_number=acme-coach",
        "-var=location=us-central2",
        '-var=cloud_jobs={image="registry/ingest:latest"}',
    )

    said = " ".join(result.stderr.replace("│", " ").split())
    assert result.returncode == 1
    assert "project_id must be a project id (6 to 30 lower-case letters" in said
    assert "project_number must be digits: see `gcloud projects describe PROJECT`." in said
    assert "location must be a region where Conversational Insights runs" in said
    assert "cloud_jobs.image must be pinned by digest" in said


def test_environments_differ_only_where_they_mean_to() -> None:
    folder = REPOSITORY / "terraform" / "environments"
    for name in ("variables.tf", "outputs.tf"):
        texts = {
            (folder / env / name).read_text(encoding="utf-8") for env in ("dev", "test", "prod")
        }
        assert len(texts) == 1, f"{name} differs between environments"


def test_files_are_short_and_named_for_what_they_provision() -> None:
    files = sorted((REPOSITORY / "terraform").rglob("*.tf"))

    too_long = {str(f): n for f in files if (n := _lines(f)) > 150 and f.name != "variables.tf"}
    assert too_long == {}
    assert [f for f in files if f.name == "main.tf" and "/environments/" not in str(f)] == []


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_lock_state_or_values_are_left_in_the_repository() -> None:
    left = [
        path
        for pattern in (".terraform", "*.tfstate*", "*.tfplan", "plan.bin")
        for path in (REPOSITORY / "terraform").rglob(pattern)
    ]

    assert left == []
