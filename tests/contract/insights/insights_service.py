"""Conversational Insights as the contract's cases see it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import contact_center_insights_v1 as insights

START_USEC = 1_766_892_002_000_000
TIMEOUT_SEC = 300

Entry = dict[str, Any]
_DELETIONS = {
    "phraseMatchers": "delete_phrase_matcher",
    "analysisRules": "delete_analysis_rule",
    "views": "delete_view",
    "feedbackLabels": "delete_feedback_label",
}


@dataclass
class Service:
    """Conversational Insights as a case sees it; what it makes is deleted in the end."""

    client: insights.ContactCenterInsightsClient
    parent: str
    put: Callable[[str, bytes], str]
    """Stores an object and returns its URI."""
    remove: Callable[[str], object]
    """Deletes an object."""
    uploaded: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    @contextmanager
    def refused(self, kind: type[GoogleAPICallError], match: str | None = None) -> Iterator[None]:
        """Expect a refusal of this kind; over REST the exception's class is the HTTP status's."""
        with pytest.raises(GoogleAPICallError, match=match) as refusal:
            yield
        error = refusal.value
        response = getattr(error, "response", None)
        if isinstance(response, requests.Response):
            assert response.json()["error"]["status"] == kind.grpc_status_code.name
        else:
            assert isinstance(error, kind)

    def transcript(self, *turns: tuple[str, str]) -> str:
        """Upload a transcript of (role, text) turns, five seconds apart; return its URI."""
        entries = [entry(role, text, index) for index, (role, text) in enumerate(turns)]
        return self.transcript_file({"entries": entries})

    def transcript_file(self, content: Any) -> str:
        """Upload a JSON value as a transcript file; return its URI."""
        return self.upload(f"contract/{uuid.uuid4()}.json", json.dumps(content).encode())

    def upload(self, name: str, content: bytes) -> str:
        """Store an object; return its URI."""
        uri = self.put(name, content)
        self.uploaded.append(name)
        return uri

    def create(self, uri: str, conversation_id: str = "", **fields: Any) -> insights.Conversation:
        """Create a conversation of the transcript at `uri`."""
        source = insights.GcsSource(transcript_uri=uri)
        request = insights.CreateConversationRequest(
            parent=self.parent,
            conversation_id=conversation_id or new_id(),
            conversation=insights.Conversation(
                data_source=insights.ConversationDataSource(gcs_source=source), **fields
            ),
        )
        created = self.client.create_conversation(request, timeout=TIMEOUT_SEC)
        self.made.append(created.name)
        return created

    def talk(self, *turns: tuple[str, str], **fields: Any) -> insights.Conversation:
        """Create a conversation of these turns."""
        return self.create(self.transcript(*turns), **fields)

    def analyse(
        self, name: str, selector: insights.AnnotatorSelector | None = None
    ) -> insights.Analysis:
        """Analyse a conversation and wait for it."""
        analysis = insights.Analysis(annotator_selector=selector)
        return self.client.create_analysis(
            parent=name, analysis=analysis, timeout=TIMEOUT_SEC
        ).result(timeout=TIMEOUT_SEC)

    def matcher(self, *phrases: str, **fields: Any) -> insights.PhraseMatcher:
        """Create an active ANY_OF matcher of these phrases."""
        rules = [rule(phrase) for phrase in phrases]
        group = insights.PhraseMatchRuleGroup(type_="ANY_OF", phrase_match_rules=rules)
        values = {"display_name": f"contract {uuid.uuid4()}", "type_": "ANY_OF", "active": True}
        matcher = insights.PhraseMatcher(
            **{**values, "phrase_match_rule_groups": [group], **fields}
        )
        created = self.client.create_phrase_matcher(parent=self.parent, phrase_matcher=matcher)
        self.made.append(created.name)
        return created

    def model(self, *issues: dict[str, str]) -> insights.IssueModel:
        """Import an issue model of these issues."""
        display_name = f"contract {uuid.uuid4()}"
        uri = self.transcript_file({"displayName": display_name, "issues": issues})
        request = insights.ImportIssueModelRequest(
            parent=self.parent, gcs_source={"object_uri": uri}, create_new_model=True
        )
        operation = self.client.import_issue_model(request)
        operation.result(timeout=TIMEOUT_SEC)
        assert operation.metadata.request == request
        models = self.client.list_issue_models(parent=self.parent).issue_models
        (made,) = [each for each in models if each.display_name == display_name]
        self.made.append(made.name)
        return made

    def question(self) -> str:
        """Create a scorecard and return the question of its revision that can be edited."""
        card = self.client.create_qa_scorecard(parent=self.parent, qa_scorecard={})
        self.made.append(card.name)
        revision = self.client.get_qa_scorecard_revision(name=f"{card.name}/revisions/latest")
        choices = [
            {"key": "yes", "str_value": "Yes", "score": 1},
            {"key": "more", "str_value": "More", "score": 2},
        ]
        made = self.client.create_qa_question(
            parent=revision.name,
            qa_question={
                "question_body": "Well?", "answer_choices": choices, "tags": ["BUSINESS"]
            },
        )  # fmt: skip
        return str(made.name)

    def clean(self) -> None:
        """Delete what was made, the objects last."""
        self._delete_resources()
        for name in dict.fromkeys(self.uploaded):
            self.remove(name)

    def _delete_resources(self) -> None:
        for name in self.made:
            try:
                kind = name.split("/")[-2]
                if kind == "qaScorecards":
                    card = insights.DeleteQaScorecardRequest(name=name, force=True)
                    self.client.delete_qa_scorecard(card)
                elif kind == "issueModels":
                    self.client.delete_issue_model(name=name).result(timeout=TIMEOUT_SEC)
                elif kind in _DELETIONS:
                    getattr(self.client, _DELETIONS[kind])(name=name)
                else:
                    request = insights.DeleteConversationRequest(name=name, force=True)
                    self.client.delete_conversation(request)
            except NotFound:
                continue


def new_id() -> str:
    """Return an id that no conversation has."""
    return f"contract-{uuid.uuid4()}"


def entry(role: str, text: str, index: int = 0) -> Entry:
    """Return one entry of a transcript file in the documented spelling."""
    return {
        "role": role,
        "text": text,
        "user_id": 1 if role in ("CUSTOMER", "END_USER") else 2,
        "start_timestamp_usec": START_USEC + index * 5_000_000,
    }


def rule(query: str, *, negated: bool = False, case_sensitive: bool = False) -> Any:
    """Return a rule of exact match."""
    exact = insights.ExactMatchConfig(case_sensitive=case_sensitive)
    config = insights.PhraseMatchRuleConfig(exact_match_config=exact)
    return insights.PhraseMatchRule(query=query, negated=negated, config=config)
