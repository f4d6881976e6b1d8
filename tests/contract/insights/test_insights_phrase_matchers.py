"""Phrase matchers: what they are, what they find."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import field_mask_pb2
from insights_service import Service, new_id, rule

TALK = (
    ("AGENT", "I understand, and I hear you."),
    ("CUSTOMER", "I understand. I lost my job, you're right."),
    ("AUTOMATED_AGENT", "I understand."),
    ("AGENT", "Thank you for telling me, and your job matters."),
)


def hits(service: Service, name: str, matcher: insights.PhraseMatcher) -> dict[int, str]:
    """Return the revision-qualified matcher by turn for every annotation of this matcher."""
    selector = insights.AnnotatorSelector(
        run_phrase_matcher_annotator=True, phrase_matchers=[matcher.name]
    )
    annotations = service.analyse(name, selector).analysis_result.call_analysis_metadata.annotations
    by_turn = {
        a.annotation_start_boundary.transcript_index: a.phrase_match_data.phrase_matcher
        for a in annotations
    }
    assert len(by_turn) == len(annotations)
    return by_turn


def group(kind: str, *rules: insights.PhraseMatchRule) -> insights.PhraseMatchRuleGroup:
    return insights.PhraseMatchRuleGroup(type_=kind, phrase_match_rules=rules)


@pytest.mark.fact("observed", "17 annotations of a real conversation equal matching segments")
def test_a_matcher_gives_one_annotation_per_matching_segment(service: Service) -> None:
    matcher = service.matcher("I understand", "I hear you", "lost my job")
    found = hits(service, service.talk(*TALK).name, matcher)
    assert set(found) == {0, 1, 2}


@pytest.mark.fact("documented", "export has matcher id and revision id; the form is inferred")
def test_a_match_names_the_revision_that_found_it(service: Service) -> None:
    matcher = service.matcher("lost my job")
    found = hits(service, service.talk(*TALK).name, matcher)
    assert found == {1: f"{matcher.name}@{matcher.revision_id}"}


@pytest.mark.parametrize(
    ("role", "turns"),
    [
        ("ROLE_UNSPECIFIED", {0, 1, 2}),
        ("HUMAN_AGENT", {0}),
        ("AUTOMATED_AGENT", {2}),
        ("END_USER", {1}),
        ("ANY_AGENT", {0, 2}),
    ],
)
@pytest.mark.fact("documented", "PhraseMatcher.role_match")
def test_a_matcher_hears_only_its_role(service: Service, role: str, turns: set[int]) -> None:
    matcher = service.matcher("I understand", role_match=role)
    assert set(hits(service, service.talk(*TALK).name, matcher)) == turns


@pytest.mark.fact("documented", "PhraseMatchRule.negated is about the segment")
def test_a_negated_rule_wants_the_phrase_missing_from_the_segment(service: Service) -> None:
    groups = [
        group("ANY_OF", rule("I understand")),
        group("ALL_OF", rule("I hear you", negated=True), rule("lost my job", negated=True)),
    ]
    matcher = service.matcher(type_="ALL_OF", phrase_match_rule_groups=groups)
    assert set(hits(service, service.talk(*TALK).name, matcher)) == {2}


@pytest.mark.fact("documented", "PhraseMatcherType, PhraseMatchRuleGroupType")
def test_all_of_needs_every_group_in_one_segment(service: Service) -> None:
    groups = [group("ANY_OF", rule("job")), group("ALL_OF", rule("I understand"), rule("right"))]
    both = service.matcher(type_="ALL_OF", phrase_match_rule_groups=groups)
    either = service.matcher(type_="ANY_OF", phrase_match_rule_groups=groups)
    name = service.talk(*TALK).name
    assert set(hits(service, name, both)) == {1}
    assert set(hits(service, name, either)) == {1, 3}


@pytest.mark.fact("documented", "ExactMatchConfig.case_sensitive")
def test_case_counts_only_when_asked_for(service: Service) -> None:
    strict = [group("ANY_OF", rule("i understand", case_sensitive=True))]
    name = service.talk(*TALK).name
    assert set(hits(service, name, service.matcher("I UNDERSTAND"))) == {0, 1, 2}
    sensitive = service.matcher(phrase_match_rule_groups=strict)
    assert hits(service, name, sensitive) == {}


@pytest.mark.fact("assumed", "whole words; counts of a real conversation don't tell")
def test_a_phrase_is_found_as_whole_words(service: Service) -> None:
    name = service.talk(*TALK).name
    assert set(hits(service, name, service.matcher("you"))) == {0, 3}
    assert hits(service, name, service.matcher("stand")) == {}


@pytest.mark.fact("documented", "AnnotatorSelector.phrase_matchers: inactive ones are ignored")
def test_an_inactive_matcher_finds_nothing(service: Service) -> None:
    matcher = service.matcher("I understand", active=False)
    assert hits(service, service.talk(*TALK).name, matcher) == {}


@pytest.mark.fact("documented", "empty phrase_matchers: all active matchers run")
def test_without_a_list_all_active_matchers_run(service: Service) -> None:
    one, two = service.matcher("lost my job"), service.matcher("I hear you")
    service.matcher("I understand", active=False)
    selector = insights.AnnotatorSelector(run_phrase_matcher_annotator=True)
    analysis = service.analyse(service.talk(*TALK).name, selector)
    found = {
        a.phrase_match_data.display_name
        for a in analysis.analysis_result.call_analysis_metadata.annotations
    }
    assert found >= {one.display_name, two.display_name}


@pytest.mark.fact("observed", "server-made decimal ids; version_tag documented")
def test_a_new_matcher_gets_id_revision_and_tag(service: Service) -> None:
    matcher = service.matcher("hello")
    assert matcher.name.rpartition("/")[2].isdecimal()
    assert matcher.version_tag == matcher.revision_id != ""
    assert service.matcher("hello", version_tag="mine").version_tag == "mine"
    assert service.client.get_phrase_matcher(name=matcher.name) == matcher


@pytest.mark.fact("documented", "a revision for every change but activation")
def test_a_change_commits_a_revision_and_activation_does_not(service: Service) -> None:
    first = service.matcher("hello")
    mask = field_mask_pb2.FieldMask(paths=["active"])
    first.active = False
    off = service.client.update_phrase_matcher(phrase_matcher=first, update_mask=mask)
    assert (off.revision_id, off.active) == (first.revision_id, False)
    assert off.activation_update_time > first.activation_update_time
    changed = service.client.update_phrase_matcher(
        phrase_matcher=insights.PhraseMatcher(name=first.name, display_name="other"),
        update_mask=field_mask_pb2.FieldMask(paths=["display_name"]),
    )
    assert changed.revision_id != first.revision_id
    assert (changed.display_name, changed.active) == ("other", False)
    old = service.client.get_phrase_matcher(name=f"{first.name}@{first.revision_id}")
    assert old.display_name == first.display_name


@pytest.mark.fact("observed", "results live in the analysis")
def test_an_old_analysis_keeps_what_an_old_revision_found(service: Service) -> None:
    matcher = service.matcher("lost my job")
    name = service.talk(*TALK).name
    before = hits(service, name, matcher)
    service.client.update_phrase_matcher(
        phrase_matcher=insights.PhraseMatcher(
            name=matcher.name, phrase_match_rule_groups=[group("ANY_OF", rule("I hear you"))]
        ),
        update_mask=field_mask_pb2.FieldMask(paths=["phrase_match_rule_groups"]),
    )
    oldest = list(service.client.list_analyses(parent=name))[-1]
    kept = oldest.analysis_result.call_analysis_metadata.annotations
    assert {a.phrase_match_data.phrase_matcher for a in kept} == set(before.values())
    assert set(hits(service, name, matcher)) == {0}


BAD_MATCHERS: dict[str, dict[str, Any]] = {
    "no type": {"type_": "PHRASE_MATCHER_TYPE_UNSPECIFIED"},
    "no groups": {"phrase_match_rule_groups": []},
    "a group without type": {
        "phrase_match_rule_groups": [insights.PhraseMatchRuleGroup(phrase_match_rules=[rule("x")])]
    },
    "a group without rules": {"phrase_match_rule_groups": [group("ANY_OF")]},
    "an empty query": {"phrase_match_rule_groups": [group("ANY_OF", rule("  "))]},
}


@pytest.mark.parametrize("fault", BAD_MATCHERS)
@pytest.mark.fact("documented", "required fields of PhraseMatcher; status assumed")
def test_an_incomplete_matcher_is_refused(service: Service, fault: str) -> None:
    with service.refused(exceptions.InvalidArgument):
        service.matcher("x", **BAD_MATCHERS[fault])


@pytest.mark.fact("assumed", "the status of an unknown matcher, revision and mask path")
def test_unknown_matchers_and_paths_are_refused(service: Service) -> None:
    matcher = service.matcher("x")
    for name in (f"{service.parent}/phraseMatchers/1", f"{matcher.name}@1"):
        with service.refused(exceptions.NotFound):
            service.client.get_phrase_matcher(name=name)
    with service.refused(exceptions.NotFound):
        service.client.delete_phrase_matcher(name=f"{service.parent}/phraseMatchers/{new_id()}")
    with service.refused(exceptions.InvalidArgument):
        service.client.update_phrase_matcher(
            phrase_matcher=matcher, update_mask=field_mask_pb2.FieldMask(paths=["nonsense"])
        )


@pytest.mark.fact("documented", "ListPhraseMatchersRequest.page_size and page_token")
def test_matchers_are_listed_page_by_page_until_deleted(service: Service) -> None:
    made = [service.matcher("x").name for _ in range(3)]
    request = insights.ListPhraseMatchersRequest(parent=service.parent, page_size=2)
    pages = list(service.client.list_phrase_matchers(request).pages)
    assert all(len(page.phrase_matchers) <= 2 for page in pages)
    assert {m.name for page in pages for m in page.phrase_matchers} >= set(made)
    service.client.delete_phrase_matcher(name=made[0])
    left = {m.name for m in service.client.list_phrase_matchers(parent=service.parent)}
    assert made[0] not in left
