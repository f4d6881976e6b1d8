"""Everything that Terraform hands to `ingest` and `dbt` is something they understand."""

from __future__ import annotations

import pytest

from . import inputs, job_arguments
from .workspace import Workspace

pytestmark = pytest.mark.terraform


def test_jobs_workflow_and_provisioners_use_the_command_lines_as_they_are(
    workspace: Workspace,
) -> None:
    plan = workspace.plan("terraform/environments/prod", *inputs.EVERYTHING)

    assert job_arguments.faults(plan) == []


def test_command_lines_are_all_found(workspace: Workspace) -> None:
    plan = workspace.plan("terraform/environments/prod", *inputs.EVERYTHING)

    lines = sorted(" ".join(words) for _, words in job_arguments.command_lines(plan))
    assert lines == [
        "ingest build --wait --target bigquery",
        "ingest doctor",
        "ingest health --json",
        "ingest matchers apply",
        "ingest matchers plan --exit-code",
        "ingest push gs://acme-coach-dev-cc-prod/2025-12-28 --wait",
        "ingest settings apply -",
        "sleep 60",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "ingest uplod x",
        "ingest push",
        "ingest push a --shards 0/4",
        "ingest matchers plan --exitcode",
        "dbt build --goal x",
        "dbt biuld",
        "python -m ingest",
    ],
)
def test_a_line_that_the_programs_refuse_is_told(line: str) -> None:
    assert job_arguments.refusal(line.split()) is not None
