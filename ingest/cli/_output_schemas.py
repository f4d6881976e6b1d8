"""JSON Schemas of `--json` outputs, made from the types that are printed.

`python -m ingest.cli._output_schemas` writes them to `ingest/schemas/output/`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ingest.cli._bq_view import CountedTable
from ingest.cli._doctor_run import Diagnosed
from ingest.cli._ls_view import ListedMatcher
from ingest.cli._show_output import Shown
from ingest.flows.health import HealthLine
from ingest.flows.inspection.differences import AnalysisDifference
from ingest.flows.inspection.failures import FailedStep, FailureGroup
from ingest.flows.inspection.listing import (
    ListedCiConversation,
    ListedConversation,
    ListedObject,
    ListedVersion,
)
from ingest.flows.inspection.run_report import RunReport
from ingest.flows.inspection.runs import Run
from ingest.flows.inspection.status import PipelineStatus
from ingest.flows.inspection.tables import ColumnChange, ListedTable
from ingest.flows.inspection.talk import Talk
from ingest.flows.inspection.version_differences import VersionDifference
from ingest.flows.inspection.why import Explanation
from ingest.flows.schema_diff import SchemaDiff
from ingest.local.stack_status import StackStatus
from ingest.warehouse import TableDetails

FOLDER = Path(__file__).resolve().parents[1] / "schemas" / "output"
OUTPUTS: dict[str, Any] = {
    "status": PipelineStatus,
    "runs": tuple[Run, ...],
    "errors": tuple[FailedStep, ...],
    "errors_group": tuple[FailureGroup, ...],
    "why": Explanation,
    "show": Shown,
    "transcript": Talk,
    "diff": AnalysisDifference,
    "diff_versions": VersionDifference,
    "ls_gcs": tuple[ListedObject, ...],
    "ls_ci": tuple[ListedCiConversation, ...],
    "ls_raw": tuple[ListedConversation, ...],
    "ls_marts": tuple[ListedVersion, ...],
    "ls_matchers": tuple[ListedMatcher, ...],
    "bq_tables": tuple[ListedTable, ...],
    "bq_schema": TableDetails,
    "bq_diff": tuple[ColumnChange, ...],
    "bq_count": CountedTable,
    "report": RunReport,
    "health": HealthLine,
    "doctor": Diagnosed,
    "schema_diff": SchemaDiff,
    "local_status": StackStatus,
}


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one output; no other keys than these are ever printed."""
    schema = TypeAdapter(OUTPUTS[name]).json_schema(mode="serialization")
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("type") == "object" and "properties" in part:
            part["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def text_of(name: str) -> str:
    """Return the schema as the file's text."""
    return json.dumps(schema_of(name), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    for output in OUTPUTS:
        (FOLDER / f"{output}.schema.json").write_text(text_of(output), encoding="utf-8")
