"""What the calls of the code need, and which grant of the plan gives it.

Permissions of calls are by cloud.google.com/storage/docs/access-control/iam-json,
/bigquery/docs/access-control and the names of Insights' methods; those of roles by
cloud.google.com/iam/docs/roles-permissions, as far as something here needs them. Nothing here has
asked Google: a role that loses a permission there isn't noticed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .plan_policy import resources

_INSIGHTS = "contactcenterinsights"
BY_DESCRIPTION = {
    f"{_INSIGHTS}.{_kind}.{_verb}"
    for _kind, _verbs in {
        "feedbackLabels": ("create", "list", "update"),
        "qaQuestions": ("create", "list"),
        "qaScorecardRevisions": ("create", "deploy", "list", "tune"),
        "qaScorecards": ("create", "delete", "list", "update"),
    }.items()
    for _verb in _verbs
}
"""Names that no list of the editor's permissions we have seen spells out. Its description says
"read and write access to all … resources"."""

_OTHER_INSIGHTS = {
    "bulk_analyze_conversations": "analyses.create",
    "calculate_issue_model_stats": "issueModels.get",
    "get_operation": "operations.get",
    "import_issue_model": "issueModels.create",
    "list_all_feedback_labels": "feedbackLabels.list",
    "list_operations": "operations.list",
}

STORAGE: Mapping[str, set[str]] = {
    "delete": {"storage.objects.delete"},
    "download_as_bytes": {"storage.objects.get"},
    "list_blobs": {"storage.objects.list"},
    "reload": {"storage.objects.get"},
    # Writing over a generation deletes it.
    "upload_from_string": {"storage.objects.create", "storage.objects.delete"},
}
BIGQUERY: Mapping[str, set[str]] = {
    "get_dataset": {"bigquery.datasets.get"},
    "get_job": set(),  # of one's own
    "get_table": {"bigquery.tables.get"},
    "list_rows": {"bigquery.tables.getData"},
    "list_tables": {"bigquery.tables.list"},
    "load_table_from_uri": {"bigquery.jobs.create", "bigquery.tables.updateData"},
    "query": {"bigquery.jobs.create", "bigquery.tables.getData"},
    "query_and_wait": {"bigquery.jobs.create", "bigquery.tables.getData"},
}

_READ = {"bigquery.datasets.get", "bigquery.tables.get", "bigquery.tables.list"}
_OBJECTS = {f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list")}
ROLES: Mapping[str, set[str]] = {
    "roles/bigquery.dataEditor": _READ
    | {
        f"bigquery.tables.{verb}"
        for verb in ("create", "delete", "getData", "update", "updateData")
    },
    "roles/bigquery.dataViewer": _READ | {"bigquery.tables.getData"},
    "roles/bigquery.jobUser": {"bigquery.jobs.create"},
    "roles/bigquery.metadataViewer": _READ,
    "roles/contactcenterinsights.editor": {
        f"{_INSIGHTS}.{kind}.{verb}"
        for kind, verbs in {
            "analyses": "create get list",
            "conversations": "create delete get list update",
            "issueModels": "create delete deploy get list undeploy",
            "issues": "list",
            "operations": "get list",
            "phraseMatchers": "create delete list update",
            "settings": "get update",
        }.items()
        for verb in verbs.split()
    }
    | BY_DESCRIPTION,
    "roles/run.jobsExecutor": {"run.jobs.run", "run.executions.cancel"},
    "roles/run.jobsExecutorWithOverrides": {"run.jobs.run", "run.jobs.runWithOverrides"},
    "roles/run.viewer": {"run.executions.get", "run.operations.get"},
    "roles/logging.logWriter": {"logging.logEntries.create"},
    "roles/workflows.invoker": {"workflows.executions.create"},
    "roles/eventarc.eventReceiver": {"eventarc.events.receiveEvent"},
    "roles/storage.legacyBucketReader": {"storage.buckets.get", "storage.objects.list"},
    "roles/storage.objectUser": _OBJECTS,
    "roles/storage.objectViewer": {"storage.objects.get", "storage.objects.list"},
    "roles/datacatalog.categoryFineGrainedReader": {"datacatalog.categories.fineGrainedGet"},
}

_DATASET = "google_bigquery_dataset_iam_member.granted"
_PROJECT = "google_project_iam_member"
_BUCKET = "google_storage_bucket_iam_member"
_FOLDER = "google_storage_managed_folder_iam_member"
_TAG = "google_data_catalog_policy_tag_iam_member.readers"
_BUILD = ("create", "delete", "get", "getData", "list", "update", "updateData")
NEEDS: tuple[tuple[str, str, set[str]], ...] = (
    ("sidecar: files, transcripts, batches, leases", f"{_BUCKET}.sidecar_objects", _OBJECTS),
    ("sidecar: jobs of BigQuery", f'{_PROJECT}.bigquery_jobs["sidecar"]', {"bigquery.jobs.create"}),
    (
        "sidecar: loads, reads and erases rows of each raw table",
        "google_bigquery_table_iam_member.sidecar_loads",
        {"bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.updateData"},
    ),
    ("sidecar: doctor, schema", f'{_DATASET}["sidecar describes raw"]', _READ),
    (
        "sidecar: verify, show, report",
        f'{_DATASET}["sidecar reads marts"]',
        _READ | {"bigquery.tables.getData"},
    ),
    ("sidecar: payload", f'{_TAG}["sidecar"]', {"datacatalog.categories.fineGrainedGet"}),
    ("dbt: jobs of BigQuery", f'{_PROJECT}.bigquery_jobs["dbt"]', {"bigquery.jobs.create"}),
    ("dbt: sources", f'{_DATASET}["dbt reads raw"]', _READ | {"bigquery.tables.getData"}),
    *(
        (
            f"dbt: builds {dataset}",
            f'{_DATASET}["dbt builds {dataset}"]',
            {"bigquery.datasets.get", *(f"bigquery.tables.{verb}" for verb in _BUILD)},
        )
        for dataset in ("staging", "marts")
    ),
    ("dbt: payload", f'{_TAG}["dbt"]', {"datacatalog.categories.fineGrainedGet"}),
    ("dbt: leases", f"{_FOLDER}.dbt_leases", _OBJECTS),
    ("workflow: has the day a folder", f"{_BUCKET}.scheduler_lists", {"storage.objects.list"}),
    (
        "workflow: starts the sidecar with arguments",
        'google_cloud_run_v2_job_iam_member.started_by_scheduler["sidecar"]',
        {"run.jobs.run", "run.jobs.runWithOverrides"},
    ),
    (
        "workflow: starts dbt",
        'google_cloud_run_v2_job_iam_member.started_by_scheduler["dbt"]',
        {"run.jobs.run"},
    ),
    *(
        (f"workflow and triggers: {role}", f'{_PROJECT}.scheduler["roles/{role}"]', needed)
        for role, needed in {
            "run.viewer": {"run.executions.get", "run.operations.get"},
            "logging.logWriter": {"logging.logEntries.create"},
            "workflows.invoker": {"workflows.executions.create"},
            "eventarc.eventReceiver": {"eventarc.events.receiveEvent"},
        }.items()
    ),
    (
        "Insights' agent: transcripts",
        f"{_FOLDER}.insights_transcripts",
        {"storage.objects.get", "storage.objects.list"},
    ),
)
"""Who needs it for what, the address of the grant, and the permissions."""


def insights_permission(method: str) -> str:
    """Return the permission that a method of the Insights client needs."""
    if method in _OTHER_INSIGHTS:
        return f"{_INSIGHTS}.{_OTHER_INSIGHTS[method]}"
    verb, _, noun = method.partition("_")
    first, *others = noun.split("_")
    kind = first + "".join(map(str.capitalize, others))
    plural = kind if verb == "list" or kind == "settings" else f"{kind}s"
    return f"{_INSIGHTS}.{plural.replace('analysiss', 'analyses')}.{verb}"


def called(files: list[Path], owners: str) -> set[str]:
    """Return the methods of the owners, a pattern, that files call or hand on to be called."""
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = [node.func, *node.args] if isinstance(node, ast.Call) else []
            parts += [node.value] if isinstance(node, ast.Assign) else []
            for part in parts:
                if isinstance(part, ast.Attribute) and re.search(owners, ast.unparse(part.value)):
                    found.add(part.attr)
    return found


def lacking(plan: dict[str, Any]) -> Iterator[str]:
    """Yield what a grant of the plan doesn't give although a call needs it."""
    roles = {
        resource["address"].removeprefix("module.conversation_insights."): resource["values"][
            "role"
        ]
        for resource in resources(plan)
        if "role" in resource["values"]
    }
    for what, place, permissions in NEEDS:
        granted = [role for address, role in roles.items() if address.startswith(place)]
        if not granted:
            yield f"{what}: nothing is granted by {place}"
        for role in granted:
            if absent := permissions - ROLES[role]:
                yield f"{what}: {role} lacks {', '.join(sorted(absent))}"
