"""checkov finds nothing in Terraform or the Dockerfile that isn't excused where it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .workspace import REPOSITORY, Toolbox, make_workspace

pytestmark = pytest.mark.terraform


def scan(toolbox: Toolbox, folder: Path, framework: str) -> dict[str, Any]:
    result = toolbox.checkov(
        *("-d", str(folder), "--framework", framework, "--skip-download", "-o", "json"),
        cwd=folder,
    )
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def failed(report: dict[str, Any]) -> list[str]:
    return sorted(
        f"{check['check_id']} {check['resource']}" for check in report["results"]["failed_checks"]
    )


@pytest.fixture(scope="module")
def terraform_report(toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = make_workspace(toolbox, tmp_path_factory.mktemp("scan")).path / "terraform"
    # checkov's parser doesn't read all of Terraform's test language, and tests make nothing.
    for test in folder.rglob("*.tftest.hcl"):
        test.unlink()
    return scan(toolbox, folder, "terraform")


def test_scan_of_terraform_finds_nothing(terraform_report: dict[str, Any]) -> None:
    assert failed(terraform_report) == []
    assert terraform_report["results"]["parsing_errors"] == []
    assert terraform_report["summary"]["passed"] >= 100


def test_every_excuse_says_why(terraform_report: dict[str, Any]) -> None:
    excuses = {
        check["check_id"]: check["check_result"]["suppress_comment"]
        for check in terraform_report["results"]["skipped_checks"]
    }

    assert {check for check, reason in excuses.items() if len(reason) < 20} == set()
    assert sorted(excuses) == [
        "CKV_GCP_121",
        "CKV_GCP_125",
        "CKV_GCP_62",
        "CKV_GCP_83",
        "CKV_GCP_84",
    ]


def test_scan_of_the_dockerfile_finds_nothing(toolbox: Toolbox, tmp_path: Path) -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    (tmp_path / "Dockerfile").write_text(dockerfile, encoding="utf-8")

    report = scan(toolbox, tmp_path, "dockerfile")

    assert failed(report) == []
    assert report["summary"]["passed"] >= 5
