"""Topics in analyses: which model runs, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.emulator import protos, wire
from ingest.emulator.analysis.topics import topic_finder
from ingest.emulator.analysis.turns import Turn, annotation_at
from ingest.emulator.context import Context
from ingest.emulator.issue_models import DEPLOYED, IssueModelStore, labels_of
from ingest.emulator.resources import ResourceName

_Result = protos.message_class("IssueModelResult")
_MatchData = protos.message_class("IssueMatchData")


class IssueResults:
    """Finds the topics of a conversation."""

    def __init__(self, context: Context) -> None:
        self._store = IssueModelStore(context)

    def model(self, location: str, selector: protos.Pb) -> ResourceName | None:
        """Return the model that runs, or None.

        It is the first of the list, or the one deployed last; only a deployed one is used (all
        documented).
        """
        if not selector.run_issue_model_annotator:
            return None
        deployed = self._store.deployed(location)
        if selector.issue_models:
            listed = self._store.models.name(selector.issue_models[0], "annotator_selector")
            deployed = [name for name in deployed if name == listed]
        if not deployed:
            return None
        model = self._store.models.find(deployed[-1])
        return deployed[-1] if model is not None and model.state == DEPLOYED else None

    def found(self, model: ResourceName, turns: Sequence[Turn]) -> tuple[bytes, list[str]]:
        """Return a part of a serialized CallAnalysisMetadata, and the labels to keep.

        Every issue that is found is assigned, the best one first; an annotation spans its phrases
        in a segment (Google names neither a threshold nor a place: assumed).
        """
        finder = topic_finder(self._store.topics(model))
        found = finder.find(turns)
        result = _Result(issue_model=str(model))
        assigned = {}
        for index, score in found.scores.items():
            topic = finder.topics[index]
            assigned[index] = result.issues.add(
                issue=topic.issue, score=score, display_name=topic.display_name
            )
        annotations = [
            annotation_at(
                span,
                wire.field(
                    protos.CallAnnotation,
                    "issue_match_data",
                    _MatchData(issue_assignment=assigned[index]).SerializeToString(),
                ),
            )
            for index, span in found.places
        ]
        part = wire.repeated(protos.CallMetadata, "annotations", annotations) + wire.field(
            protos.CallMetadata, "issue_model_result", result.SerializeToString()
        )
        return part, labels_of(model.id, [issue.issue for issue in result.issues])
