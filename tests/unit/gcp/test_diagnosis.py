"""What `ingest doctor` says of a project of Google's, by answers as its services give them."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from answering_server import Request, reply, serving
from google.auth.credentials import Credentials
from google.oauth2.credentials import Credentials as UserCredentials

from ingest.gcp.diagnosis import Check, Diagnosis, Verdict
from tests.fakes.world import fake_settings

AGENT = "serviceAccount:service-1@gcp-sa-contactcenterinsights.iam.gserviceaccount.com"
FOLDER = "/b/local-project-cc-dev/managedFolders/ci-transcripts%2F/iam"
BUCKET = "/b/local-project-cc-dev/iam"
PROJECT = "/projects/local-project:getIamPolicy"
NOBODY: Mapping[str, Any] = {"kind": "storage#policy"}


class Session(requests.Session):
    """Answers each path as told, and all else with 403."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__()
        self._answers = answers

    def request(  # type: ignore[override]
        self, method: str | bytes, url: str | bytes, **_: Any
    ) -> requests.Response:
        """Return a policy, or a status for a number."""
        answer = requests.Response()
        found = next((v for path, v in self._answers.items() if str(url).endswith(path)), 403)
        answer.status_code = found if isinstance(found, int) else 200
        answer.raw = io.BytesIO(json.dumps({} if isinstance(found, int) else found).encode())
        return answer


def granted(role: str, member: str = AGENT) -> Mapping[str, Any]:
    return {"bindings": [{"role": role, "members": ["user:a@b.example", member]}]}


def check_of(
    name: str,
    answers: Mapping[str, Any] | None = None,
    credentials: Credentials | None = None,
    **settings: Any,
) -> Check:
    endpoints = {"gcs_endpoint": "http://127.0.0.1:9", "bigquery_endpoint": "http://127.0.0.1:9"}
    diagnosis = Diagnosis(
        fake_settings(**{**endpoints, **settings}),
        {},
        lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        lambda: credentials or UserCredentials("token"),
        lambda _: Session(answers or {}),
    )
    return next(check for check in diagnosis.checks() if check.name == name)


@pytest.mark.parametrize(
    ("answers", "verdict", "detail"),
    [
        (
            {FOLDER: granted("roles/storage.objectViewer")},
            Verdict.OK,
            "roles/storage.objectViewer on the folder ci-transcripts/",
        ),
        (
            {FOLDER: 404, BUCKET: granted("roles/storage.objectUser")},
            Verdict.OK,
            "roles/storage.objectUser on the bucket",
        ),
        (
            {FOLDER: NOBODY, BUCKET: NOBODY, PROJECT: granted("roles/x.serviceAgent")},
            Verdict.OK,
            "roles/x.serviceAgent on the project",
        ),
        (
            {FOLDER: granted("roles/storage.objectViewer", "group:g"), BUCKET: NOBODY},
            Verdict.NOT_APPLICABLE,
            "the project may not be looked at with these credentials",
        ),
        (
            {FOLDER: 404, BUCKET: NOBODY, PROJECT: {"bindings": []}},
            Verdict.FAILED,
            "none: Insights can't read transcripts",
        ),
    ],
    ids=["folder", "bucket", "project", "hidden", "nowhere"],
)
def test_the_agents_grant_is_looked_for_where_it_can_be(
    answers: Mapping[str, Any], verdict: Verdict, detail: str
) -> None:
    found = check_of("Insights agent's access", answers)

    assert (found.verdict, found.detail) == (verdict, detail)
    assert found.cure == (
        "run `terraform apply` in terraform/environments/<env>" if verdict is Verdict.FAILED else ""
    )


def test_a_login_without_a_quota_project_is_told_how_to_name_one() -> None:
    named = UserCredentials("token", quota_project_id="p")

    found = [check_of("quota project", credentials=given) for given in (None, named)]

    assert [(check.verdict, check.cure) for check in found] == [
        (
            Verdict.FAILED,
            "run `gcloud auth application-default set-quota-project local-project`",
        ),
        (Verdict.OK, ""),
    ]


DENIED = {
    "error": {
        "code": 403,
        "message": "Access Denied: User does not have permission to access policy tag",
        "errors": [{"reason": "accessDenied", "message": "Access Denied"}],
        "status": "PERMISSION_DENIED",
    }
}
NO_ROWS = {
    "kind": "bigquery#queryResponse",
    "jobComplete": True,
    "jobReference": {"projectId": "p", "jobId": "j"},
    "schema": {"fields": [{"name": "payload", "type": "STRING"}]},
    "totalRows": "0",
}


@pytest.mark.parametrize(
    ("answer", "status", "verdict", "cure"),
    [
        (DENIED, 403, Verdict.FAILED, "put the account into `pii_readers_group`, or act as the "),
        (NO_ROWS, 200, Verdict.OK, ""),
    ],
    ids=["denied", "granted"],
)
def test_whether_personal_columns_may_be_read_is_asked_of_no_row(
    answer: Mapping[str, Any], status: int, verdict: Verdict, cure: str
) -> None:
    sent: list[str] = []

    def warehouse(request: Request) -> bytes:
        if request.path.endswith("/queries"):
            sent.append(json.loads(request.body)["query"])
        return reply(json.dumps(answer).encode(), status)

    with serving(warehouse) as service:
        found = check_of("personal data", bigquery_endpoint=service.address)

    assert found.verdict is verdict
    assert found.cure.startswith(cure)
    assert sent == [
        "select payload from `local-project.coach_raw.conversation_files` "
        "where _landed_at > '9999-01-01' limit 0"
    ]


def test_the_emulators_are_not_asked_about_rights() -> None:
    names = ("quota project", "personal data", "Insights agent's access")

    found = [check_of(name, insights_endpoint="127.0.0.1:9") for name in names]

    assert [check.verdict for check in found] == [Verdict.NOT_APPLICABLE] * 3
