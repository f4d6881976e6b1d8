"""Rules of the real provider that the stand-in can't know, for every type that is used.

Source: github.com/hashicorp/terraform-provider-google, `ValidateFunc`, `ConflictsWith`,
`ExactlyOneOf` and `ForceNew` of `google/services/<service>/resource_<type>.go` and the page of each
resource in `website/docs/r/`, as of v7.45.0. Names and formats that Google's API alone checks are
by its reference. Written down by hand, so a first real plan has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .plan_policy import resources

_SECONDS = r"\d+(\.\d+)?s"
_LOWER = r"[a-z]([a-z0-9-]*[a-z0-9])?"
_REGISTRY = "google_artifact_registry_repository"
_CRON = r"(\S+ ){4}\S+"
VALUES: tuple[tuple[str, str, str], ...] = (
    (_REGISTRY, "format", "DOCKER|MAVEN|NPM|PYTHON|APT|YUM|KFP|GO"),
    (_REGISTRY, "cleanup_policies.action", "DELETE|KEEP"),
    (_REGISTRY, "cleanup_policies.condition.older_than", _SECONDS),
    (_REGISTRY, "repository_id", rf"{_LOWER}"),
    (
        "google_bigquery_datapolicy_data_policy",
        "data_policy_type",
        "COLUMN_LEVEL_SECURITY_POLICY|DATA_MASKING_POLICY",
    ),
    (
        "google_bigquery_datapolicy_data_policy",
        "data_masking_policy.predefined_expression",
        "SHA256|ALWAYS_NULL|DEFAULT_MASKING_VALUE|LAST_FOUR_CHARACTERS|FIRST_FOUR_CHARACTERS"
        "|EMAIL_MASK|DATE_YEAR_MASK|RANDOM_HASH",
    ),
    ("google_bigquery_datapolicy_data_policy", "data_policy_id", r"\w+"),
    ("google_bigquery_dataset", "dataset_id", r"\w{1,1024}"),
    ("google_bigquery_dataset", "max_time_travel_hours", "48|72|96|120|144|168"),
    ("google_bigquery_dataset", "deletion_policy", "DELETE|ABANDON|PREVENT"),
    ("google_bigquery_dataset_access", "dataset.target_types", "VIEWS"),
    ("google_bigquery_table", "table_id", r"[\w-]{1,1024}"),
    ("google_bigquery_table", "time_partitioning.type", "DAY|HOUR|MONTH|YEAR"),
    ("google_billing_budget", "billing_account", r"[0-9A-F]{6}(-[0-9A-F]{6}){2}"),
    ("google_billing_budget", "budget_filter.calendar_period", "MONTH|QUARTER|YEAR"),
    ("google_billing_budget", "budget_filter.projects", r"projects/\d+"),
    ("google_cloud_run_v2_job", "name", rf"(?=.{{1,63}}$){_LOWER}"),
    ("google_cloud_run_v2_job", "template.template.timeout", _SECONDS),
    ("google_cloud_run_v2_job", "template.template.containers.resources.limits.cpu", "1|2|4|8"),
    ("google_cloud_scheduler_job", "schedule", _CRON),
    ("google_cloud_scheduler_job", "http_target.http_method", "GET|POST|PUT|DELETE|HEAD|PATCH"),
    (
        "google_data_catalog_taxonomy",
        "activated_policy_types",
        "POLICY_TYPE_UNSPECIFIED|FINE_GRAINED_ACCESS_CONTROL",
    ),
    ("google_kms_crypto_key", "rotation_period", r"(8640\d|86[5-9]\d{2}|8[7-9]\d{3}|\d{6,})s"),
    ("google_kms_key_ring", "name", r"[\w-]{1,63}"),
    ("google_monitoring_alert_policy", "combiner", "AND|OR|AND_WITH_MATCHING_RESOURCE"),
    ("google_monitoring_alert_policy", "severity", "CRITICAL|ERROR|WARNING"),
    (
        "google_monitoring_alert_policy",
        "conditions.condition_threshold.comparison",
        "COMPARISON_(GT|GE|LT|LE|EQ|NE)",
    ),
    (
        "google_monitoring_alert_policy",
        "conditions.condition_threshold.aggregations.per_series_aligner",
        "ALIGN_(NONE|DELTA|RATE|INTERPOLATE|NEXT_OLDER|MIN|MAX|MEAN|COUNT|SUM|STDDEV|COUNT_TRUE"
        "|COUNT_FALSE|FRACTION_TRUE|PERCENTILE_(99|95|50|05)|PERCENT_CHANGE)",
    ),
    (
        "google_monitoring_alert_policy",
        "conditions.condition_threshold.aggregations.cross_series_reducer",
        "REDUCE_(NONE|MEAN|MIN|MAX|SUM|STDDEV|COUNT|COUNT_TRUE|COUNT_FALSE|FRACTION_TRUE"
        "|PERCENTILE_(99|95|50|05))",
    ),
    # The service takes whole minutes, and absence of 23.5 hours at most.
    (
        "google_monitoring_alert_policy",
        "conditions.condition_absent.duration",
        r"\d{2}s|\d{3}s|\d{4}s|[1-7]\d{4}s|8[0-3]\d{3}s|84[0-5]\d{2}s|84600s",
    ),
    ("google_monitoring_notification_channel", "type", "email"),
    (
        "google_project_iam_audit_config",
        "audit_log_config.log_type",
        "(ADMIN|DATA)_READ|DATA_WRITE",
    ),
    ("google_project_iam_custom_role", "role_id", r"[\w.]{3,64}"),
    ("google_project_service", "service", r"[a-z0-9-]+\.googleapis\.com"),
    ("google_pubsub_topic", "name", r"(?!goog)[A-Za-z][\w.~+%-]{2,254}"),
    ("google_pubsub_topic", "message_retention_duration", _SECONDS),
    ("google_service_account", "account_id", r"[a-z][a-z0-9-]{4,28}[a-z0-9]"),
    ("google_storage_bucket", "name", r"(?!goog)[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"),
    ("google_storage_bucket", "public_access_prevention", "inherited|enforced"),
    (
        "google_storage_bucket",
        "soft_delete_policy.retention_duration_seconds",
        r"0|\d{6,7}",
    ),
    (
        "google_storage_bucket",
        "lifecycle_rule.action.type",
        "Delete|SetStorageClass|AbortIncompleteMultipartUpload",
    ),
    ("google_storage_bucket", "lifecycle_rule.condition.with_state", "LIVE|ARCHIVED|ANY"),
    ("google_storage_managed_folder", "name", r".+/"),
    ("google_storage_notification", "payload_format", "JSON_API_V1|NONE"),
    (
        "google_storage_notification",
        "event_types",
        "OBJECT_(FINALIZE|METADATA_UPDATE|DELETE|ARCHIVE)",
    ),
    ("google_workflows_workflow", "call_log_level", "LOG_(ALL_CALLS|ERRORS_ONLY|NONE)"),
    (
        "google_iam_workload_identity_pool",
        "workload_identity_pool_id",
        r"(?!gcp-)[a-z0-9-]{4,32}",
    ),
    (
        "google_iam_workload_identity_pool_provider",
        "workload_identity_pool_provider_id",
        r"(?!gcp-)[a-z0-9-]{4,32}",
    ),
)
"""Type, place, and the whole of what its value may be."""

ONE_OF: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (_REGISTRY, "cleanup_policies", ("condition", "most_recent_versions")),
    ("google_bigquery_dataset_access", "", ("dataset", "view", "routine", "role")),
    ("google_cloud_scheduler_job", "", ("http_target", "pubsub_target", "app_engine_http_target")),
    ("google_cloud_scheduler_job", "http_target", ("oauth_token", "oidc_token")),
    ("google_eventarc_trigger", "destination", ("workflow", "cloud_run_service", "gke")),
    ("google_iam_workload_identity_pool_provider", "", ("oidc", "aws", "saml", "x509")),
    (
        "google_monitoring_alert_policy",
        "conditions",
        (
            "condition_absent",
            "condition_matched_log",
            "condition_threshold",
            "condition_monitoring_query_language",
            "condition_prometheus_query_language",
            "condition_sql",
        ),
    ),
)  # fmt: skip
"""Type, block, and what excludes each other there: one of them is given."""

_PLACE = ("project", "location")
_MEMBER = ("member", "role", "project")
FORCES_NEW: Mapping[str, tuple[str, ...]] = {
    _REGISTRY: (*_PLACE, "repository_id", "format", "kms_key_name"),
    "google_bigquery_datapolicy_data_policy": (*_PLACE, "data_policy_id"),
    "google_bigquery_datapolicy_data_policy_iam_member": (*_MEMBER, "data_policy_id", "location"),
    "google_bigquery_dataset": (*_PLACE, "dataset_id"),
    "google_bigquery_dataset_access": ("project", "dataset_id", "dataset"),
    "google_bigquery_dataset_iam_member": (*_MEMBER, "dataset_id"),
    "google_bigquery_table": ("project", "dataset_id", "table_id", "clustering", "schema",
                              "time_partitioning"),
    "google_bigquery_table_iam_member": (*_MEMBER, "dataset_id", "table_id"),
    "google_billing_budget": ("billing_account",),
    "google_cloud_run_v2_job": (*_PLACE, "name"),
    "google_cloud_run_v2_job_iam_member": (*_MEMBER, "location", "name"),
    "google_cloud_scheduler_job": ("project", "region", "name"),
    "google_contact_center_insights_encryption_spec": (*_PLACE, "kms_key"),
    "google_contact_center_insights_view": _PLACE,
    "google_data_catalog_policy_tag": ("taxonomy", "parent_policy_tag"),
    "google_data_catalog_policy_tag_iam_member": ("member", "role", "policy_tag"),
    "google_data_catalog_taxonomy": ("project", "region"),
    "google_eventarc_trigger": (*_PLACE, "name", "transport"),
    "google_iam_workload_identity_pool": ("project", "workload_identity_pool_id"),
    "google_iam_workload_identity_pool_provider": ("project", "workload_identity_pool_provider_id"),
    "google_kms_crypto_key": ("name", "key_ring", "purpose"),
    "google_kms_crypto_key_iam_member": ("member", "role", "crypto_key_id"),
    "google_kms_key_ring": (*_PLACE, "name"),
    "google_monitoring_alert_policy": ("project",),
    "google_monitoring_notification_channel": ("project",),
    "google_project_iam_audit_config": ("project", "service"),
    "google_project_iam_custom_role": ("project", "role_id"),
    "google_project_iam_member": _MEMBER,
    "google_project_service": ("project", "service"),
    "google_project_service_identity": ("project", "service"),
    "google_pubsub_topic": ("project", "name"),
    "google_pubsub_topic_iam_member": (*_MEMBER, "topic"),
    "google_service_account": ("project", "account_id"),
    "google_service_account_iam_member": ("member", "role", "service_account_id"),
    "google_storage_bucket": (*_PLACE, "name"),
    "google_storage_bucket_iam_member": ("member", "role", "bucket"),
    "google_storage_managed_folder": ("bucket", "name"),
    "google_storage_managed_folder_iam_member": ("member", "role", "bucket", "managed_folder"),
    "google_storage_notification": ("bucket", "topic", "payload_format", "event_types",
                                    "object_name_prefix"),
    "google_workflows_workflow": ("project", "region", "name"),
}  # fmt: skip
"""What can't be changed in place. Of a table's columns a new nullable one can, which only the
provider itself tells from others; so can a topic's, a bucket's and a dataset's key."""


def faults(plan: dict[str, Any]) -> Iterator[str]:
    """Yield what the real provider, or Google's API, would refuse."""
    for resource in resources(plan):
        kind, address, values = resource["type"], resource["address"], resource["values"]
        if kind.startswith("google_") and kind not in FORCES_NEW and resource["mode"] == "managed":
            yield f"{address}: no rule says what replaces a {kind}"
        for of_kind, place, allowed in VALUES:
            for value in _at(values, place) if of_kind == kind else ():
                if not re.fullmatch(allowed, str(value)):
                    yield f"{address}: {place} can't be {value!r}"
        for of_kind, place, names in ONE_OF:
            for block in _at(values, place) if of_kind == kind else ():
                given = [name for name in names if block.get(name)]
                if len(given) > 1:
                    yield f"{address}: {' and '.join(given)} exclude each other"


def replaced(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the resources of both plans that the second would replace, with the attribute."""
    old = {each["address"]: each["values"] for each in resources(before)}
    return [
        f"{each['address']}: {name}"
        for each in resources(after)
        if each["address"] in old
        for name in FORCES_NEW.get(each["type"], ())
        if old[each["address"]].get(name) != each["values"].get(name)
    ]


def _at(values: Any, place: str) -> Iterator[Any]:
    """Yield what stands at a place, of each block and each item of a list."""
    if values in (None, "", [], {}):
        return
    if isinstance(values, list):
        for each in values:
            yield from _at(each, place)
    elif not place:
        yield values
    elif isinstance(values, dict):
        name, _, rest = place.partition(".")
        yield from _at(values.get(name), rest)
