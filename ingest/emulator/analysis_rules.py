"""Analysis rules, the views that filter conversations, and what is analysed without being asked."""

from __future__ import annotations

import hashlib

from ingest.emulator import protos
from ingest.emulator.analysis.annotate import effective_selector
from ingest.emulator.context import Context
from ingest.emulator.errors import invalid
from ingest.emulator.filters import CONVERSATION_FIELDS, compile_filter
from ingest.emulator.operations import OperationEngine
from ingest.emulator.request_fields import UpdateRule, check_selector
from ingest.emulator.resources import ResourceName, Resources
from ingest.emulator.settings import SettingsStore

_Rule = protos.message_class("AnalysisRule")
_View = protos.message_class("View")
_AnalysisRequest = protos.message_class("CreateAnalysisRequest")
_AnalysisMetadata = protos.message_class("CreateAnalysisOperationMetadata")
_RULE_UPDATE = UpdateRule(
    _Rule,
    updatable=(
        "display_name", "conversation_filter", "annotator_selector", "analysis_percentage",
        "active",
    ),
)  # fmt: skip
_VIEW_UPDATE = UpdateRule(_View, updatable=("display_name", "value"))
_LISTS = {
    "phrase_matchers": "run_phrase_matcher_annotator",
    "issue_models": "run_issue_model_annotator",
}


class AnalysisRuleMethods:
    """The methods of analysis rules, by their RPC names in snake case."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rules = Resources(context, _Rule, "analysisRules")

    async def create_analysis_rule(self, request: protos.Pb) -> protos.Pb:
        """Keep a rule under a new id."""
        rule = _Rule()
        rule.CopyFrom(request.analysis_rule)
        self._check(rule)
        now = protos.timestamp(self._context.clock.now())
        rule.create_time.CopyFrom(now)
        rule.update_time.CopyFrom(now)
        self._rules.insert(self._rules.new_name(self._rules.owner(request.parent)), rule)
        return rule

    async def get_analysis_rule(self, request: protos.Pb) -> protos.Pb:
        """Return a rule."""
        return self._rules.get(self._rules.name(request.name))

    async def list_analysis_rules(self, request: protos.Pb) -> protos.Pb:
        """Return a page of rules, the oldest first (assumed)."""
        reply = protos.message_class("ListAnalysisRulesResponse")()
        return self._rules.page(request, reply, "analysis_rules")

    async def update_analysis_rule(self, request: protos.Pb) -> protos.Pb:
        """Change what the mask names, everything without one (documented)."""
        given = request.analysis_rule
        name = self._rules.name(given.name)
        rule = self._rules.updated(_RULE_UPDATE, name, given, request.update_mask.paths)
        self._check(rule)
        rule.update_time.CopyFrom(protos.timestamp(self._context.clock.now()))
        self._rules.replace(name, rule)
        return rule

    async def delete_analysis_rule(self, request: protos.Pb) -> protos.Pb:
        """Forget a rule."""
        self._rules.delete(self._rules.name(request.name))
        return protos.Empty()

    def _check(self, rule: protos.Pb) -> None:
        if not 0 <= rule.analysis_percentage <= 1:
            raise invalid("Invalid analysis_rule.analysis_percentage: use 0 to 1.")
        compile_filter(rule.conversation_filter, CONVERSATION_FIELDS)
        check_selector(self._context.names, rule.annotator_selector)


class ViewMethods:
    """The methods of views, by their RPC names in snake case."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._views = Resources(context, _View, "views")

    async def create_view(self, request: protos.Pb) -> protos.Pb:
        """Keep a view under a new id; its value is a filter of conversations."""
        view = _View(display_name=request.view.display_name, value=request.view.value)
        compile_filter(view.value, CONVERSATION_FIELDS)
        now = protos.timestamp(self._context.clock.now())
        view.create_time.CopyFrom(now)
        view.update_time.CopyFrom(now)
        self._views.insert(self._views.new_name(self._views.owner(request.parent)), view)
        return view

    async def get_view(self, request: protos.Pb) -> protos.Pb:
        """Return a view."""
        return self._views.get(self._views.name(request.name))

    async def list_views(self, request: protos.Pb) -> protos.Pb:
        """Return a page of views, the oldest first (assumed)."""
        reply = protos.message_class("ListViewsResponse")()
        return self._views.page(request, reply, "views")

    async def update_view(self, request: protos.Pb) -> protos.Pb:
        """Change what the mask names, everything without one (AIP-134)."""
        name = self._views.name(request.view.name)
        paths = request.update_mask.paths
        view = self._views.updated(_VIEW_UPDATE, name, request.view, paths)
        compile_filter(view.value, CONVERSATION_FIELDS)
        view.update_time.CopyFrom(protos.timestamp(self._context.clock.now()))
        self._views.replace(name, view)
        return view

    async def delete_view(self, request: protos.Pb) -> protos.Pb:
        """Forget a view."""
        self._views.delete(self._views.name(request.name))
        return protos.Empty()


class AutomaticAnalysis:
    """Analyses what is uploaded or ingested, as rules and settings say."""

    def __init__(self, context: Context, operations: OperationEngine) -> None:
        self._context = context
        self._operations = operations
        self._rules = Resources(context, _Rule, "analysisRules")
        self._settings = SettingsStore(context.database)

    async def start(self, parent: str, conversation_seq: int, name: str, is_upload: bool) -> str:
        """Start the analysis of a new conversation; return the operation's name, or "".

        Settings decide for uploads, rules for uploads and ingestions (documented); what several ask
        for is one analysis by the union of their annotators (documented for rules).
        """
        selectors = [
            rule.annotator_selector
            for rule in self._rules.every(ResourceName(parent, "", "", ""))
            if self._applies(rule, conversation_seq, name)
        ]
        request = _AnalysisRequest(parent=name)
        config = self._settings.find(parent).analysis_config
        share = config.upload_conversation_analysis_percentage / 100
        by_settings = is_upload and _draw(name) < share
        if by_settings and config.HasField("annotator_selector"):
            selectors.append(config.annotator_selector)
        elif by_settings and selectors:
            selectors.append(effective_selector(protos.Analysis()))
        if selectors:
            request.analysis.annotator_selector.CopyFrom(union(selectors))
        elif not by_settings:
            return ""
        metadata = _AnalysisMetadata(conversation=name)
        operation = await self._operations.start(
            "CreateAnalysis", parent, request, metadata, name.rpartition("/")[2]
        )
        return str(operation.name)

    def _applies(self, rule: protos.Pb, conversation_seq: int, name: str) -> bool:
        """Return whether a rule analyses a conversation; one without annotators runs none."""
        if not rule.active or not rule.HasField("annotator_selector"):
            return False
        if _draw(name) >= rule.analysis_percentage:
            return False
        condition = compile_filter(rule.conversation_filter, CONVERSATION_FIELDS)
        found = self._context.database.execute(
            f"select 1 from conversations c where c.seq = ? and ({condition.sql})",
            (conversation_seq, *condition.parameters),
        )
        return found.fetchone() is not None


def union(selectors: list[protos.Pb]) -> protos.Pb:
    """Return the selector that runs what any of these runs.

    An annotator that runs without a list of its resources runs all of them, in a union too.
    """
    whole = protos.AnnotatorSelector()
    for selector in selectors:
        whole.MergeFrom(selector)
    for field, runs in _LISTS.items():
        lists = [list(getattr(each, field)) for each in selectors if getattr(each, runs)]
        whole.ClearField(field)
        if all(lists):
            names = dict.fromkeys(name for each in lists for name in each)
            getattr(whole, field).extend(names)
    revisions = dict.fromkeys(whole.qa_config.scorecard_list.qa_scorecard_revisions)
    if revisions:
        whole.qa_config.scorecard_list.ClearField("qa_scorecard_revisions")
        whole.qa_config.scorecard_list.qa_scorecard_revisions.extend(revisions)
    return whole


def _draw(name: str) -> float:
    """Return where from 0 to 1 a conversation lies (sampling is documented as deterministic; that a
    hash of the name decides is ours)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 10_000 / 10_000
