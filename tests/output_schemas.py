"""JSON Schemas of `--json` outputs, made from the types that are printed.

`python -m tests.output_schemas` writes them to `ingest/schemas/output/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, WithJsonSchema

from ingest.cli.bq import CountedTable
from ingest.cli.convert import Format
from ingest.cli.data import GeneratedSet, LandedTruths, ValidatedSet
from ingest.cli.doctor import Diagnosed
from ingest.cli.forget import ToForget
from ingest.cli.labels import ExportedLabels, ImportedLabels
from ingest.cli.ls import ListedMatcher
from ingest.cli.matchers import (
    HeldMatcher,
    MatcherPlan,
    MatcherTrial,
    PlannedChange,
    PulledMatchers,
)
from ingest.cli.migrate import MigrateResult
from ingest.cli.pull import PullResult
from ingest.cli.push import PushResult
from ingest.cli.reanalyze import ReanalyzeResult
from ingest.cli.retention import RetentionPlan
from ingest.cli.scorecards import (
    HeldScorecard,
    PlannedScorecard,
    PlannedScorecards,
    PulledScorecards,
    ScorecardTrial,
)
from ingest.cli.show import Shown, ShownObject, ShownRaw
from ingest.cli.topics import (
    DeployedModel,
    HeldModel,
    NamedStats,
    PlannedModel,
    PulledTopics,
)
from ingest.cli.verify import CheckedDate
from ingest.datagen.coaching_measure import CoachingMeasure
from ingest.datagen.figures import DataSetFigures
from ingest.datagen.redaction_measure import RedactionMeasure
from ingest.domain.converted import Converted
from ingest.domain.insights_settings import FIELDS, SettingChange
from ingest.domain.outcome import ItemState, Outcome, Step
from ingest.domain.rubric import SEVERITIES
from ingest.flows.acceptance import AcceptanceReport
from ingest.flows.coach import AgentWeek, Card, QueuedCall
from ingest.flows.diff import AnalysisDifference, VersionDifference
from ingest.flows.forget import Forgotten
from ingest.flows.health import HealthLine
from ingest.flows.listing import (
    ListedCiConversation,
    ListedConversation,
    ListedObject,
    ListedVersion,
)
from ingest.flows.report import RunReport
from ingest.flows.rubric_impact import RubricPlan
from ingest.flows.runs import FailedStep, FailureGroup, Run
from ingest.flows.schema import ColumnChange, ListedTable, SchemaDiff
from ingest.flows.show import MartRows, RegistryVersion, SourceFile
from ingest.flows.status import STATUSES, PipelineStatus
from ingest.flows.transcript import Talk
from ingest.flows.verify import PLACES
from ingest.flows.why import Explanation
from ingest.formats.explaining import Explanation as Explanation_
from ingest.local.processes import StackState
from ingest.local.status import StackStatus
from ingest.ports.inspect import TableDetails
from ingest.schemas import output

FOLDER = Path(output.__file__).parent

CiJson = Annotated[
    Mapping[str, Any],
    WithJsonSchema(
        {
            "description": "Google's Conversation as REST JSON, whole: Insights' own type.",
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {
                    "type": "string",
                    "pattern": "^projects/[^/]+/locations/[^/]+/conversations/[a-z0-9-]{4,64}$",
                }
            },
        }
    ),
]
Rows = tuple[Mapping[str, Any], ...]
"""Rows of any columns, by name."""
OUTPUTS: dict[str, Any] = {
    "acceptance": AcceptanceReport,
    "push": PushResult,
    "pull": PullResult,
    "migrate_cc_coach": MigrateResult,
    "reanalyze": ReanalyzeResult,
    "verify": tuple[CheckedDate, ...],
    "forget": Forgotten,
    "forget_dry_run": ToForget,
    "forget_customer": tuple[Forgotten, ...],
    "forget_customer_dry_run": tuple[ToForget, ...],
    "status": PipelineStatus,
    "health": HealthLine,
    "runs": tuple[Run, ...],
    "errors": tuple[FailedStep, ...],
    "errors_group": tuple[FailureGroup, ...],
    "why": Explanation,
    "show": Shown,
    "show_source": tuple[SourceFile, ...],
    "show_gcs": tuple[ShownObject, ...],
    "show_ci": CiJson | None,
    "show_raw": ShownRaw,
    "show_registry": tuple[RegistryVersion, ...] | None,
    "show_marts": tuple[MartRows, ...],
    "transcript": Talk,
    "coach": Card,
    "coach_queue": tuple[QueuedCall, ...],
    "coach_agent": tuple[AgentWeek, ...],
    "diff": AnalysisDifference,
    "diff_versions": VersionDifference,
    "ls_gcs": tuple[ListedObject, ...],
    "ls_ci": tuple[ListedCiConversation, ...],
    "ls_raw": tuple[ListedConversation, ...],
    "ls_marts": tuple[ListedVersion, ...],
    "ls_matchers": tuple[ListedMatcher, ...],
    "bq_tables": tuple[ListedTable, ...],
    "bq_schema": TableDetails,
    "bq_head": Rows,
    "bq_count": CountedTable,
    "bq_query": Rows,
    "bq_diff": tuple[ColumnChange, ...],
    "schema_diff": SchemaDiff,
    "report": RunReport,
    "matchers_plan": MatcherPlan,
    "matchers_apply": tuple[PlannedChange, ...],
    "matchers_list": tuple[HeldMatcher, ...],
    "matchers_test": MatcherTrial,
    "matchers_pull": PulledMatchers,
    "matchers_destroy": tuple[PlannedChange, ...],
    "scorecards_plan": PlannedScorecards,
    "scorecards_apply": tuple[PlannedScorecard, ...],
    "scorecards_test": ScorecardTrial,
    "scorecards_activate": tuple[PlannedScorecard, ...],
    "scorecards_list": tuple[HeldScorecard, ...],
    "scorecards_pull": PulledScorecards,
    "scorecards_destroy": tuple[PlannedScorecard, ...],
    "rubric_plan": RubricPlan,
    "topics_plan": tuple[PlannedModel, ...],
    "topics_apply": tuple[PlannedModel, ...],
    "topics_train": HeldModel,
    "topics_deploy": DeployedModel,
    "topics_list": tuple[HeldModel, ...],
    "topics_pull": PulledTopics,
    "topics_stats": tuple[NamedStats, ...],
    "labels_import": ImportedLabels,
    "labels_export": ExportedLabels,
    "settings_plan": tuple[SettingChange, ...],
    "settings_apply": tuple[SettingChange, ...],
    "retention_plan": RetentionPlan,
    "retention_apply": RetentionPlan,
    "data_generate": GeneratedSet,
    "data_validate": ValidatedSet,
    "data_report": tuple[DataSetFigures, ...],
    "data_redaction_report": RedactionMeasure,
    "data_coaching_report": CoachingMeasure,
    "data_convert": Converted,
    "data_map": tuple[Format, ...],
    "data_map_explain": Explanation_,
    "data_land_truth": LandedTruths,
    "doctor": Diagnosed,
    "local_up": StackState,
    "local_status": StackStatus,
}
"""Type by name: `ingest bq count --json` prints `bq_count`, with an option that prints another
type in its place that option's name follows, as in `forget_dry_run` and `show_gcs`."""
_NO_ID = ("Failure", "Mismatch")
"""Types whose conversation id is empty for what is no conversation: a batch, a whole place."""
_BELOW_ZERO = ("exit_code",)
"""Whole numbers that may be negative; all others are counts, sizes and places."""
_BY_NAME: dict[str, dict[str, Any]] = {
    "conversation_id": {"pattern": "^[a-z0-9-]{4,64}$"},
    "example_id": {"pattern": "^[a-z0-9-]{4,64}$"},
    "run_id": {"pattern": "^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$"},
    "step": {"enum": [step.value for step in Step]},
    "failed_step": {"enum": [step.value for step in Step]},
    "outcome": {"enum": [outcome.value for outcome in Outcome]},
    "place": {"enum": list(PLACES)},
}
CHECK_WORDS = {"severity": SEVERITIES, "verdict": ("pass", "fail", "not_applicable")}
_BY_TYPE_AND_NAME: dict[tuple[str, str], dict[str, Any]] = {
    **{(name, "conversation_id"): {"pattern": "^([a-z0-9-]{4,64})?$"} for name in _NO_ID},
    ("FieldChange", "place"): {},
    ("KeptPlace", "place"): {"enum": ["originals", "files", "insights", "pages"]},
    ("Refused", "place"): {},
    ("Warned", "place"): {},
    ("StatusCount", "status"): {"enum": list(STATUSES)},
    ("ListedConversation", "status"): {"enum": list(STATUSES)},
    **{("Check", key): {"enum": list(words)} for key, words in CHECK_WORDS.items()},
    ("Moment", "kind"): {"enum": ["miss", "strength", "lowest_mood", "highest_mood"]},
    ("QueuedCall", "kind"): {"enum": ["coach", "show"]},
    ("SettingChange", "field"): {"enum": list(FIELDS)},
    ("ServiceStatus", "health"): {"enum": ["ok", "starting", "dead", "stopped"]},
    ("ServiceStatus", "name"): {"enum": ["gcs", "bigquery", "ci"]},
}
_SHA256 = {"pattern": "^[0-9a-f]{64}$"}


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one output; all its keys are always printed, and no others are."""
    schema = TypeAdapter(OUTPUTS[name]).json_schema(mode="serialization")
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("type") == "object" and "properties" in part and "title" in part:
            part["additionalProperties"] = False
            part["required"] = sorted(part["properties"])
            for key, value in part["properties"].items():
                _constrain(value, part["title"], key)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _constrain(schema: dict[str, Any], type_name: str, key: str) -> None:
    """Add what the value's name says of it, wherever it is no null."""
    for choice in schema.get("anyOf", ()):
        _constrain(choice, type_name, key)
    for inner in (schema.get("additionalProperties"), schema.get("items")):
        if isinstance(inner, dict) and inner.get("type") == "integer":
            inner["minimum"] = 0
    if key == "states":
        schema["required"] = [state.value for state in ItemState]
    if schema.get("type") == "integer" and key not in _BELOW_ZERO:
        schema["minimum"] = 0
    elif schema.get("type") == "string" and "format" not in schema and "enum" not in schema:
        named = _SHA256 if key.endswith("_sha256") else _BY_NAME.get(key, {})
        schema.update(_BY_TYPE_AND_NAME.get((type_name, key), named))


def text_of(name: str) -> str:
    """Return the schema as the file's text."""
    return json.dumps(schema_of(name), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    for output_name in OUTPUTS:
        (FOLDER / f"{output_name}.schema.json").write_text(text_of(output_name), encoding="utf-8")
