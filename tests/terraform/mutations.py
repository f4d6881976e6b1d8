"""Faults seeded into the configuration, one at a time, and the check that has to catch each.

A check that can't fail proves nothing. The table in terraform/README.md is made from what really
happened: `python -m tests.terraform` writes it anew, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import inputs, job_arguments, plan_policy
from .workspace import MODULE, REPOSITORY, Workspace

_PROD = "terraform/environments/prod"


@dataclass(frozen=True)
class Fault:
    """One edit: `old` has to be in the file, once or more; its first place becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    check: str
    test_file: str = ""


def _module(name: str, file: str, old: str, new: str, check: str, test_file: str = "") -> Fault:
    return Fault(name, f"{MODULE}/{file}", old, new, check, test_file)


FAULTS = (
    _module(
        "misspelt argument", "conversation_bucket.tf", "force_destroy", "force_destory", "validate"
    ),
    _module(
        "required argument left out",
        "conversation_bucket.tf",
        "  bucket        = google_storage_bucket.conversations.name\n",
        "",
        "validate",
    ),
    _module(
        "value of the wrong type",
        "insights_analysis_rules.tf",
        "run_entity_annotator         = true",
        'run_entity_annotator         = "some"',
        "validate",
    ),
    _module(
        "block that doesn't exist",
        "bigquery_raw_tables.tf",
        "  time_partitioning {",
        "  day_partitioning {",
        "validate",
    ),
    _module(
        "block given twice",
        "conversation_bucket.tf",
        "  versioning {\n    enabled = true\n  }",
        "  versioning {\n    enabled = true\n  }\n  versioning {\n    enabled = false\n  }",
        "validate",
    ),
    _module(
        "attribute that doesn't exist",
        "cloud_run_jobs.tf",
        "google_service_account.dbt.email",
        "google_service_account.dbt.mail",
        "validate",
    ),
    _module(
        "reference to nothing",
        "insights_settings.tf",
        "google_project_iam_member.insights_redacts",
        "google_project_iam_member.redacts",
        "validate",
    ),
    _module(
        "beta resource on the GA provider",
        "service_agents.tf",
        "  provider = google-beta\n",
        "",
        "validate",
    ),
    _module(
        "value for a read-only attribute",
        "conversation_bucket.tf",
        "  force_destroy               = false\n\n",
        "  force_destroy               = false\n  self_link = var.project_id\n\n",
        "validate",
    ),
    _module(
        "ignored change of no attribute",
        "bigquery_raw_tables.tf",
        "[access]",
        "[acess]",
        "validate",
    ),
    _module(
        "argument of an older provider",
        "bigquery_raw_tables.tf",
        '    type  = "DAY"\n',
        '    type  = "DAY"\n    require_filter = true\n',
        "validate",
    ),
    _module(
        "public bucket", "conversation_bucket.tf", '"enforced"', '"inherited"', "test", "privacy"
    ),
    _module(
        "grant to everybody",
        "conversation_bucket_access.tf",
        "member = google_service_account.sidecar.member",
        'member = "allUsers"',
        "plan",
    ),
    _module(
        "role widened to admin",
        "conversation_bucket_access.tf",
        "roles/storage.objectUser",
        "roles/storage.admin",
        "plan",
    ),
    _module(
        "project-wide editor",
        "bigquery_access.tf",
        '"roles/bigquery.jobUser"',
        '"roles/editor"',
        "plan",
    ),
    _module(
        "role that the deployer can't grant",
        "insights_access.tf",
        "roles/contactcenterinsights.editor",
        "roles/contactcenterinsights.viewer",
        "plan",
    ),
    _module(
        "key of a service account",
        "service_accounts.tf",
        "# Whoever makes",
        'resource "google_service_account_key" "sidecar" {\n'
        "  service_account_id = google_service_account.sidecar.name\n}\n\n# Whoever makes",
        "plan",
    ),
    _module(
        "Insights' agent let into the raw tables",
        "bigquery_access.tf",
        "member = google_service_account.dbt.member }",
        "member = google_project_service_identity.insights.member }",
        "test",
        "least_privilege",
    ),
    _module(
        "Insights' agent let into the day folders",
        "conversation_bucket_access.tf",
        "google_storage_managed_folder.ci_transcripts.name",
        '"2025-12-28/"',
        "test",
        "least_privilege",
    ),
    _module(
        "personal data without its tag",
        "naming.tf",
        'pii_columns      = ["payload"]',
        "pii_columns      = []",
        "test",
        "privacy",
    ),
    _module(
        "table without a partition filter",
        "bigquery_raw_tables.tf",
        "require_partition_filter = true",
        "require_partition_filter = false",
        "test",
        "raw_tables",
    ),
    _module(
        "clustered by the wrong column",
        "bigquery_raw_tables.tf",
        "each.value[0].name",
        "each.value[1].name",
        "test",
        "raw_tables",
    ),
    _module(
        "raw table that may be replaced",
        "bigquery_raw_tables.tf",
        "deletion_protection      = var.deletion_protection",
        "deletion_protection      = false",
        "test",
        "raw_tables",
    ),
    _module(
        "bucket misnamed",
        "naming.tf",
        '"${var.project_id}-cc-${var.environment}"',
        '"${var.project_id}-${var.environment}-cc"',
        "test",
        "naming",
    ),
    _module(
        "source files deleted with the landing batches",
        "conversation_bucket.tf",
        "prefixes = [local.landing_prefix]",
        "prefixes = null",
        "test",
        "privacy",
    ),
    _module(
        "bucket left out of encryption",
        "conversation_bucket.tf",
        'dynamic "encryption" {\n    for_each = google_kms_crypto_key.conversations',
        'dynamic "encryption" {\n    for_each = []',
        "test",
        "customer_managed_key",
    ),
    _module(
        "image by tag",
        "variables.tf",
        '"^[^\\\\s@]+@sha256:[0-9a-f]{64}$"',
        '"^[^\\\\s]+$"',
        "test",
        "refusals",
    ),
    _module(
        "rules of matchers left out of the digest",
        "insights_phrase_matchers.tf",
        '["phrase_matchers.csv", "phrase_matcher_rules.csv"]',
        '["phrase_matchers.csv"]',
        "test",
        "insights",
    ),
    _module(
        "alert on a field nobody logs",
        "alerts.tf",
        "jsonPayload.backlog_age_hours",
        "jsonPayload.backlog_hours",
        "arguments",
    ),
    _module(
        "job with an option that the CLI hasn't",
        "cloud_run_jobs.tf",
        '"--exit-code"',
        '"--exitcode"',
        "arguments",
    ),
    _module(
        "workflow with a command that the CLI hasn't",
        "process_date.workflow.yaml",
        "- push\n",
        "- upload-all\n",
        "arguments",
    ),
    Fault(
        "production without deletion protection",
        f"{_PROD}/main.tf",
        "deletion_protection  = true",
        "deletion_protection  = false",
        "production",
    ),
    Fault(
        "deployer that may become any account",
        "terraform/bootstrap/deployer_permissions.tf",
        '"iam.serviceAccounts.update",',
        '"iam.serviceAccounts.setIamPolicy",',
        "deployer",
    ),
    Fault(
        "API left out of bootstrap",
        "terraform/bootstrap/project_services.tf",
        '    "eventarc.googleapis.com",\n',
        "",
        "apis",
    ),
)


def caught_by(workspace: Workspace, fault: Fault) -> str | None:
    """Seed the fault, run `validate` and then its check; return what failed first, or None."""
    path = workspace.path / fault.file
    original = path.read_text(encoding="utf-8")
    if fault.old not in original:
        raise ValueError(f"{fault.name}: {fault.old!r} isn't in {fault.file} any more")
    path.write_text(original.replace(fault.old, fault.new, 1), encoding="utf-8")
    try:
        if not _is_valid(workspace, path):
            return "validate"
        return fault.check if _CHECKS[fault.check](workspace, fault) else None
    finally:
        path.write_text(original, encoding="utf-8")


def _is_valid(workspace: Workspace, path: Path) -> bool:
    root = path.parent.relative_to(workspace.path)
    return workspace.terraform(str(root), "validate", "-no-color").returncode == 0


def _fails_test(workspace: Workspace, fault: Fault) -> bool:
    only = f"-filter=tests/{fault.test_file}.tftest.hcl"
    return workspace.terraform(MODULE, "test", "-no-color", only).returncode != 0


def _breaks_policy(workspace: Workspace, fault: Fault) -> bool:
    plan = workspace.plan(_PROD, *inputs.EVERYTHING)
    return bool(plan_policy.faults(plan, plan_policy.stated_grantable_roles(REPOSITORY)))


def _lacks_apis(workspace: Workspace, fault: Fault) -> bool:
    bootstrap = workspace.plan("terraform/bootstrap", *inputs.BOOTSTRAP)
    plan = workspace.plan(_PROD, *inputs.EVERYTHING)
    return bool(plan_policy.services(plan) - plan_policy.services(bootstrap))


def _lets_the_deployer_act(workspace: Workspace, fault: Fault) -> bool:
    bootstrap = workspace.plan("terraform/bootstrap", *inputs.BOOTSTRAP)
    return bool(plan_policy.ways_to_other_accounts(bootstrap))


def _breaks_production(workspace: Workspace, fault: Fault) -> bool:
    return bool(plan_policy.unprotected(workspace.plan(_PROD, *inputs.EVERYTHING)))


def _breaks_arguments(workspace: Workspace, fault: Fault) -> bool:
    plan = workspace.plan(_PROD, *inputs.EVERYTHING)
    return bool(job_arguments.faults(plan))


def _passes(workspace: Workspace, fault: Fault) -> bool:
    return False


_CHECKS = {
    "validate": _passes,
    "test": _fails_test,
    "plan": _breaks_policy,
    "production": _breaks_production,
    "apis": _lacks_apis,
    "deployer": _lets_the_deployer_act,
    "arguments": _breaks_arguments,
}
