"""Looks at everything that a run needs, and says what is wrong and how to cure it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import quote

import requests
from google.api_core.exceptions import Forbidden, from_http_response
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession

from ingest.domain.conversation import CI_TRANSCRIPTS_PREFIX
from ingest.errors import IngestError
from ingest.gcp.bigquery import bigquery_client
from ingest.gcp.credentials import default_credentials, lacks_quota_project, renewed_owner
from ingest.gcp.errors import odd_answer, reading
from ingest.gcp.storage import pages_of, storage_client
from ingest.settings import Settings

RawSchemas = Mapping[str, Mapping[str, Mapping[str, str]]]
APIS = (
    "storage.googleapis.com",
    "bigquery.googleapis.com",
    "contactcenterinsights.googleapis.com",
)
LARGEST_SKEW_SEC = 60
_AGENT = "Insights agent's access"
_AGENTS_DOMAIN = "@gcp-sa-contactcenterinsights.iam.gserviceaccount.com"
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


def _google_credentials() -> Credentials:
    return default_credentials("credentials", [_CLOUD_SCOPE])


class Diagnosis:
    """Checks of one set of settings; every check is made, whatever the others say."""

    def __init__(
        self,
        settings: Settings,
        schemas: RawSchemas,
        now: Callable[[], dt.datetime],
        credentials: Callable[[], Credentials] = _google_credentials,
        session: Callable[[Credentials], requests.Session] = AuthorizedSession,
    ) -> None:
        self._settings = settings
        self._schemas = schemas
        self._now = now
        self._credentials_of = credentials
        self._session_of = session
        self._cure = _UP if settings.is_local else _APPLY

    def checks(self) -> Iterator[Check]:
        """Yield the checks as they're made."""
        yield self._guarded("credentials", self._credentials)
        yield self._guarded("quota project", self._quota_project)
        for api in APIS:
            yield self._guarded(f"API {api}", partial(self._api, api))
        yield self._guarded(f"bucket {self._settings.bucket}", self._bucket)
        yield self._guarded("clock", self._clock)
        for dataset in (self._settings.raw_dataset, self._settings.marts_dataset):
            yield self._guarded(f"dataset {dataset}", partial(self._dataset, dataset))
        for table in self._schemas:
            yield self._guarded(f"table {table}", partial(self._table, table))
        yield self._guarded("personal data", self._personal_data)
        yield self._guarded(_AGENT, self._agent)

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
        return renewed_owner(self._credentials_of())

    def _quota_project(self) -> Check | str:
        name = "quota project"
        if self._settings.is_local:
            return _not_applicable(name, "the emulators count for nobody")
        if lacks_quota_project(self._credentials_of()):
            project = self._settings.project_id
            cure = f"run `gcloud auth application-default set-quota-project {project}`"
            return Check(name, Verdict.FAILED, "your login names none to count requests on", cure)
        return "named, or the service account's own"

    def _api(self, api: str) -> Check | str:
        name = f"API {api}"
        if self._settings.is_local:
            return _not_applicable(name, "emulated")
        url = f"{self._at('serviceusage')}/v1/projects"
        reply = self._session().get(
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
        base = self._settings.gcs_endpoint or self._at("storage")
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

    def _personal_data(self) -> Check | str:
        """Ask for a column under the policy tag, of no row."""
        if self._settings.is_local:
            return _not_applicable("personal data", "the emulators have no policy tags")
        table = f"`{self._settings.project_id}.{self._settings.raw_dataset}.conversation_files`"
        sql = f"select payload from {table} where _landed_at > '9999-01-01' limit 0"
        try:
            bigquery_client(self._settings).query_and_wait(
                sql, api_timeout=5, wait_timeout=30, retry=None, job_retry=None
            )
        except Forbidden:
            cure = "put the account into `pii_readers_group`, or act as the sidecar's account"
            detail = "`payload` and other columns under the policy tag may not be read"
            return Check("personal data", Verdict.FAILED, detail, cure)
        return "columns under the policy tag may be read"

    def _agent(self) -> Check | str:
        if self._settings.is_local:
            return _not_applicable(_AGENT, "the emulators have no IAM")
        base = self._settings.gcs_endpoint or self._at("storage")
        buckets = f"{base}/storage/v1/b/{self._settings.bucket}"
        folder = quote(CI_TRANSCRIPTS_PREFIX, safe="")
        projects = f"{self._at('cloudresourcemanager')}/v1/projects"
        project = f"{projects}/{self._settings.project_id}:getIamPolicy"
        asked = {
            f"the folder {CI_TRANSCRIPTS_PREFIX}": (
                "GET",
                f"{buckets}/managedFolders/{folder}/iam",
            ),
            "the bucket": ("GET", f"{buckets}/iam"),
            "the project": ("POST", project),
        }
        hidden = []
        for place, (method, url) in asked.items():
            reply = self._session().request(method, url, timeout=self._settings.rpc_timeout_sec)
            if reply.status_code == 403:
                hidden.append(place)
            elif reply.status_code != 404 and not reply.ok:
                raise from_http_response(reply)
            elif reply.ok and (role := _agents_role(reply.json())):
                return f"{role} on {place}"
        if hidden:
            detail = f"{' and '.join(hidden)} may not be looked at with these credentials"
            return _not_applicable(_AGENT, detail)
        return Check(_AGENT, Verdict.FAILED, "none: Insights can't read transcripts", _APPLY)

    def _at(self, service: str) -> str:
        return f"https://{service}.{self._settings.universe_domain}"

    def _session(self) -> requests.Session:
        return self._session_of(self._credentials_of())


def _agents_role(policy: Any) -> str | None:
    """Return a role that an IAM policy gives Insights' agent."""
    for binding in policy.get("bindings", ()):
        if any(_AGENTS_DOMAIN in member for member in binding["members"]):
            return str(binding["role"])
    return None


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
