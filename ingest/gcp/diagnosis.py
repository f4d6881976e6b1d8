"""Looks at everything that a run needs, and says what is wrong and how to cure it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import Any

import requests
from google.api_core.exceptions import Forbidden, from_http_response
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession

from ingest.errors import IngestError
from ingest.gcp.bigquery import bigquery_client
from ingest.gcp.credentials import default_credentials, renewed_owner
from ingest.gcp.errors import odd_answer, reading
from ingest.gcp.storage import pages_of, storage_client
from ingest.settings import Settings

RawSchemas = Mapping[str, Mapping[str, Mapping[str, str]]]
APIS = (
    "storage.googleapis.com",
    "bigquery.googleapis.com",
    "contactcenterinsights.googleapis.com",
)
AGENT_ROLES = frozenset({"roles/storage.objectViewer", "roles/storage.objectUser"})
LARGEST_SKEW_SEC = 60
_CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_APPLY = "run `terraform apply` in terraform/environments/<env>"
_UP = "run `ingest local up`"


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    NOT_APPLICABLE = "n/a"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis; `cure` says what to do where it failed."""

    name: str
    verdict: Verdict
    detail: str
    cure: str = ""


class Diagnosis:
    """Checks of one set of settings; every check is made, whatever the others say."""

    def __init__(
        self, settings: Settings, schemas: RawSchemas, now: Callable[[], dt.datetime]
    ) -> None:
        self._settings = settings
        self._schemas = schemas
        self._now = now
        self._cure = _UP if settings.is_local else _APPLY

    def checks(self) -> Iterator[Check]:
        """Yield the checks as they're made."""
        yield self._guarded("credentials", self._credentials)
        for api in APIS:
            yield self._guarded(f"API {api}", partial(self._api, api))
        yield self._guarded(f"bucket {self._settings.bucket}", self._bucket)
        yield self._guarded("clock", self._clock)
        for dataset in (self._settings.raw_dataset, self._settings.marts_dataset):
            yield self._guarded(f"dataset {dataset}", partial(self._dataset, dataset))
        for table in self._schemas:
            yield self._guarded(f"table {table}", partial(self._table, table))
        yield self._guarded("Insights agent's access", self._agent)

    def _guarded(self, name: str, check: Callable[[], Check | str]) -> Check:
        try:
            with reading(name):
                found = check()
        except IngestError as error:
            return Check(name, Verdict.FAILED, error.message, error.hint or self._cure)
        return found if isinstance(found, Check) else Check(name, Verdict.OK, found)

    def _credentials(self) -> Check | str:
        if self._settings.is_local:
            return _not_applicable("credentials", "the emulators ask for none")
        return renewed_owner(self._google_credentials())

    def _api(self, api: str) -> Check | str:
        name = f"API {api}"
        if self._settings.is_local:
            return _not_applicable(name, "emulated")
        url = "https://serviceusage.googleapis.com/v1/projects"
        reply = AuthorizedSession(self._google_credentials()).get(
            f"{url}/{self._settings.project_id}/services/{api}",
            timeout=self._settings.rpc_timeout_sec,
        )
        if reply.status_code == 403:
            return _not_applicable(name, "may not be looked at with these credentials")
        if not reply.ok:
            raise from_http_response(reply)
        answer = reply.json()
        if not isinstance(answer, dict) or "state" not in answer:
            raise odd_answer(name)
        state = answer["state"]
        if state == "ENABLED":
            return "enabled"
        return Check(name, Verdict.FAILED, f"state {state}", "run `terraform apply` in bootstrap")

    def _bucket(self) -> str:
        client = storage_client(self._settings)
        next(pages_of(client, self._settings.bucket, page_size=1, timeout=5, retry=None), None)
        return "answers"

    def _clock(self) -> Check | str:
        base = self._settings.gcs_endpoint or "https://storage.googleapis.com"
        date = requests.get(f"{base}/storage/v1/b", timeout=5).headers.get("Date")
        if date is None:
            return _not_applicable("clock", "the service states no time")
        skew = abs((parsedate_to_datetime(date) - self._now()).total_seconds())
        if skew > LARGEST_SKEW_SEC:
            return Check("clock", Verdict.FAILED, f"{skew:.0f} s off", "set the machine's clock")
        return f"{skew:.0f} s off"

    def _dataset(self, name: str) -> str:
        client = bigquery_client(self._settings)
        dataset = client.get_dataset(f"{self._settings.project_id}.{name}", timeout=5, retry=None)
        return f"in {dataset.location}"

    def _table(self, name: str) -> Check | str:
        client = bigquery_client(self._settings)
        table_id = f"{self._settings.project_id}.{self._settings.raw_dataset}.{name}"
        faults = _table_faults(
            client.get_table(table_id, timeout=5, retry=None), self._schemas[name]
        )
        if faults:
            return Check(f"table {name}", Verdict.FAILED, "; ".join(faults), self._cure)
        return "as declared"

    def _agent(self) -> Check | str:
        name = "Insights agent's access"
        if self._settings.is_local:
            return _not_applicable(name, "the emulators have no IAM")
        client = storage_client(self._settings)
        bucket = client.bucket(self._settings.bucket)
        try:
            policy = bucket.get_iam_policy(requested_policy_version=3, timeout=5)
        except Forbidden:
            return _not_applicable(name, "may not be looked at with these credentials")
        agent = "gcp-sa-contactcenterinsights.iam.gserviceaccount.com"
        for binding in policy.bindings:
            if binding["role"] in AGENT_ROLES and any(agent in m for m in binding["members"]):
                return f"{binding['role']} on the bucket"
        return _not_applicable(
            name, "no grant on the bucket itself; Terraform grants it on ci-transcripts/ only"
        )

    def _google_credentials(self) -> Credentials:
        return default_credentials("credentials", [_CLOUD_SCOPE])


def _not_applicable(name: str, why: str) -> Check:
    return Check(name, Verdict.NOT_APPLICABLE, why)


def _table_faults(table: Any, declared: Mapping[str, Mapping[str, str]]) -> list[str]:
    live = {field.name: (field.field_type, field.mode) for field in table.schema}
    faults = []
    for name, field in declared.items():
        wanted = (field["type"], field["mode"])
        if name not in live:
            faults.append(f"lacks column {name}")
        elif live[name] != wanted:
            faults.append(f"column {name} is {' '.join(live[name])}, not {' '.join(wanted)}")
    partitioning = table.time_partitioning
    if partitioning is None or partitioning.field != "_landed_at":
        faults.append("isn't partitioned by _landed_at")
    if table.clustering_fields != [next(iter(declared))]:
        faults.append(f"isn't clustered by {next(iter(declared))}")
    if not table.require_partition_filter:
        faults.append("doesn't require a partition filter")
    return faults
