"""What REST alone knows: fields of other resources, and collections that no RPC has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from emulator_cases import BUCKET, TALK, call, create, own_emulator, refusal

from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer


def test_what_is_kept_for_rest_alone_survives_a_restart_and_is_no_matter_for_grpc(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    uri = ci_objects.put_turns(BUCKET, "a.json", TALK)
    source = {"gcsSource": {"transcriptUri": uri, "audioUris": ["gs://b/a.wav"]}}
    body = {"dataSource": source, "correlationInfo": {"fullConversationCorrelationId": "f"}}
    with own_emulator(tmp_path, ci_objects) as emulator:
        call(emulator, "POST", "/conversations?conversationId=kept", body)
    with own_emulator(tmp_path, ci_objects) as emulator:
        _, found = call(emulator, "GET", "/conversations/kept?fields=dataSource,correlationInfo")
        name = f"{emulator.parent}/conversations/kept"
        by_grpc = emulator.client.get_conversation(name=name)
    assert found == body
    assert by_grpc.data_source.gcs_source.transcript_uri == uri


def pattern_matcher(query: str, **rule: Any) -> dict[str, Any]:
    """Return a matcher of one regular expression."""
    rules = [{"query": query, "config": {"regexMatchConfig": {}}, **rule}]
    group = {"type": "ANY_OF", "phraseMatchRules": rules}
    return {
        "displayName": "m", "type": "ANY_OF", "active": True, "phraseMatchRuleGroups": [group]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "rule", "found"),
    [
        ("l[aeiou]st m. j", {}, [(1, 1, 3)]),
        ("date|job", {}, [(0, 5, 5), (1, 3, 3)]),
        ("JOB", {}, []),
        ("(?i)JOB", {}, [(1, 3, 3)]),
        ("x*", {}, []),
        ("job|hello", {"negated": True}, [(0, 0, 7)]),
    ],
)
def test_a_regular_expression_finds_its_place_and_comes_back(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, query: str, rule: Any, found: Any
) -> None:
    matcher = pattern_matcher(query, **rule)
    status, made = call(ci_emulator, "POST", "/phraseMatchers", matcher)
    name = create(ci_emulator, ci_objects, "call-1").name
    analysis = ci_emulator.client.create_analysis(parent=name, analysis={}).result(timeout=10)
    places = sorted(
        (
            each.annotation_start_boundary.transcript_index,
            each.annotation_start_boundary.word_index,
            each.annotation_end_boundary.word_index,
        )
        for each in analysis.analysis_result.call_analysis_metadata.annotations
        if "phrase_match_data" in each
    )
    assert (status, places) == (200, found)
    assert made["phraseMatchRuleGroups"] == matcher["phraseMatchRuleGroups"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("(", "no regular expression"), ("a{9999999999}", "no regular expression"),
        ("(a)\\1", "back references"), ("(?=a)", "look-arounds"), ("(?<!a)b", "look-arounds"),
        ("a" * 501, "500 characters"), (" ", "query is required"),
    ],
)  # fmt: skip
def test_what_is_no_regular_expression_of_google_s_is_refused(
    ci_emulator: RunningEmulator, query: str, why: str
) -> None:
    answer = refusal(call(ci_emulator, "POST", "/phraseMatchers", pattern_matcher(query)))
    assert answer[:2] == (400, "INVALID_ARGUMENT")
    assert why in answer[2]
    assert call(ci_emulator, "GET", "/phraseMatchers") == (200, {})


def test_a_question_that_is_skipped_counts_as_little_as_one_that_does_not_apply(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    create(ci_emulator, ci_objects, "call-1")
    call(ci_emulator, "POST", "/qaScorecards?qaScorecardId=card", {})
    revision = call(ci_emulator, "GET", "/qaScorecards/card/revisions/latest")[1]["name"]
    own = revision.partition("us-central1")[2]
    choices = [{"key": "yes", "strValue": "Yes", "score": 2}]
    asked = [
        call(
            ci_emulator, "POST", f"{own}/qaQuestions?qaQuestionId=question-{number}",
            {"questionBody": f"{number}?", "answerChoices": choices},
        )
        for number in range(2)
    ]  # fmt: skip
    call(ci_emulator, "POST", f"{own}:tuneQaScorecardRevision", {})
    answers = [{"strValue": "Yes"}, {"skipValue": True}]
    for (_, question), answer in zip(asked, answers, strict=True):
        label = {"labeledResource": question["name"], "qaAnswerLabel": answer}
        assert call(ci_emulator, "POST", "/conversations/call-1/feedbackLabels", label)[0] == 200
    selector = {
        "runQaAnnotator": True,
        "qaConfig": {"scorecardList": {"qaScorecardRevisions": [revision]}},
    }
    call(ci_emulator, "POST", "/conversations/call-1/analyses", {"annotatorSelector": selector})
    _, found = call(ci_emulator, "GET", "/conversations/call-1")
    (result,) = found["latestAnalysis"]["analysisResult"]["callAnalysisMetadata"][
        "qaScorecardResults"
    ]
    assert (result["score"], result["potentialScore"], result["normalizedScore"]) == (2, 2, 1)
    assert [each["answerValue"] for each in result["qaAnswers"]] == [
        {"key": "yes", "strValue": "Yes", "score": 2, "potentialScore": 2, "normalizedScore": 1},
        {"skipValue": True},
    ]


@pytest.mark.parametrize(
    ("collection", "id_parameter", "fields"),
    [
        (
            "autoLabelingRules",
            "autoLabelingRuleId",
            {"labelKey": "tier", "conditions": [{"condition": "medium = 2", "value": "chat"}]},
        ),
        ("dashboards", "dashboardId", {"filter": "", "rootContainer": {"width": 12}}),
    ],
)
def test_a_resource_of_rest_alone_is_made_listed_changed_and_deleted(
    ci_emulator: RunningEmulator, collection: str, id_parameter: str, fields: dict[str, Any]
) -> None:
    given = {"displayName": "One", **fields, "createTime": "2020-01-01T00:00:00Z"}
    place = f"/{collection}"
    ci_emulator.control.freeze()

    status, made = call(ci_emulator, "POST", f"{place}?{id_parameter}=one", given)
    again = call(ci_emulator, "POST", f"{place}?{id_parameter}=one", given)
    _, other = call(ci_emulator, "POST", place, {"displayName": "Two"})
    first = call(ci_emulator, "GET", f"{place}?pageSize=1")
    _, second = call(ci_emulator, "GET", f"{place}?pageToken={first[1]['nextPageToken']}")
    ci_emulator.control.advance(60)
    _, changed = call(
        ci_emulator, "PATCH", f"{place}/one?updateMask=displayName", {"displayName": "New"}
    )
    _, whole = call(ci_emulator, "PATCH", f"{place}/one?updateMask=*", {"displayName": "Last"})
    kept = call(ci_emulator, "GET", f"{place}/one")
    gone = call(ci_emulator, "DELETE", f"{place}/one")

    assert (status, made) == (
        200,
        {
            "name": f"{made['name'].rpartition('/')[0]}/one",
            "displayName": "One",
            **fields,
            "createTime": made["updateTime"],
            "updateTime": made["updateTime"],
        },
    )
    assert made["createTime"] > "2020-01-02"
    assert again[0] == 409
    assert (first[1][collection], second) == ([made], {collection: [other]})
    assert changed == made | {"displayName": "New", "updateTime": changed["updateTime"]}
    assert changed["updateTime"] > made["updateTime"]
    assert whole == {
        "name": made["name"],
        "displayName": "Last",
        "createTime": made["createTime"],
        "updateTime": changed["updateTime"],
    }
    assert (kept, gone) == ((200, whole), (200, {}))
    assert call(ci_emulator, "GET", f"{place}/one")[0] == 404


@pytest.mark.parametrize(
    ("verb", "path", "body", "told"),
    [
        ("POST", "", {"nosuch": 1}, 'Unknown name "nosuch"'),
        ("POST", "", {"active": "yes"}, "Invalid value at 'active' (boolean)"),
        ("POST", "", {"labelKeyType": "X"}, "Invalid value at 'labelKeyType'"),
        ("POST", "", {"conditions": [{"when": "x"}]}, "Invalid value at 'conditions[0]'"),
        ("POST", "", [], "the root must be an object"),
        ("POST", "?ruleId=x", {}, 'Unknown name "ruleId"'),
        ("POST", "?autoLabelingRuleId=a%20b", {}, "Invalid autoLabelingRuleId 'a b'"),
        ("GET", "?pageSize=x", None, "Invalid pageSize 'x'"),
        ("GET", "?pageToken=x", None, "Invalid page_token"),
        ("PATCH", "/kept?updateMask=nosuch", {}, "there is no field 'nosuch'"),
    ],
)
def test_a_bad_request_for_a_resource_of_rest_alone_says_what(
    ci_emulator: RunningEmulator, verb: str, path: str, body: Any, told: str
) -> None:
    call(ci_emulator, "POST", "/autoLabelingRules?autoLabelingRuleId=kept", {"labelKey": "k"})

    status, code, message = refusal(call(ci_emulator, verb, f"/autoLabelingRules{path}", body))

    assert (status, code) == (400, "INVALID_ARGUMENT")
    assert told in message
    _, left = call(ci_emulator, "GET", "/autoLabelingRules")
    assert [each["labelKey"] for each in left["autoLabelingRules"]] == ["k"]
