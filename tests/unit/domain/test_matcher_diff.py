from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.as_code import FieldChange
from ingest.domain.matchers import (
    MatcherDefinition,
    MatchType,
    PhraseRule,
    Role,
    RuleGroup,
    content_sha256,
    field_changes,
    rule_changes,
)

BEFORE = MatcherDefinition(
    "empathy",
    MatchType.ANY_OF,
    (
        RuleGroup("care", MatchType.ANY_OF, (PhraseRule("I hear you"), PhraseRule("take care"))),
        RuleGroup("calm", MatchType.ALL_OF, (PhraseRule("no rush", negated=True),)),
    ),
    Role.HUMAN_AGENT,
    True,
)
CARE, CALM = BEFORE.groups


def changed(**fields: Any) -> MatcherDefinition:
    return dataclasses.replace(BEFORE, **fields)


def group(of: RuleGroup, **fields: Any) -> RuleGroup:
    return dataclasses.replace(of, **fields)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (BEFORE, []),
        (changed(type=MatchType.ALL_OF), ["type ANY_OF -> ALL_OF"]),
        (changed(role_match=Role.END_USER), ["role_match HUMAN_AGENT -> END_USER"]),
        (changed(active=False), ["is_active true -> false"]),
        (
            changed(groups=(CARE, group(CALM, type=MatchType.ANY_OF))),
            ["group 2: type ALL_OF -> ANY_OF"],
        ),
        (
            changed(groups=(CARE, group(CALM, rules=(PhraseRule("no rush", True, True),)))),
            ["group 2, not no rush: is_case_sensitive false -> true"],
        ),
        (
            changed(groups=(group(CARE, rules=CARE.rules[::-1]), CALM)),
            ["group 1: phrases I hear you, take care -> take care, I hear you"],
        ),
        (changed(groups=(CARE,)), ["group 2: type ALL_OF -> none"]),
        (
            changed(groups=(CARE, CALM, RuleGroup("new", MatchType.ANY_OF, ()))),
            ["group 3: type none -> ANY_OF"],
        ),
        (changed(groups=(group(CARE, name="another name"), CALM)), []),
    ],
)
def test_every_value_that_differs_is_named_with_its_place(
    after: MatcherDefinition, expected: list[str]
) -> None:
    assert [str(change) for change in field_changes(BEFORE, after)] == expected


def test_a_changed_phrase_is_a_rule_that_goes_and_one_that_comes_and_no_field() -> None:
    after = changed(
        groups=(group(CARE, rules=(PhraseRule("I see"), PhraseRule("take care"))), CALM)
    )

    assert [(rule.is_added, rule.group, rule.query) for rule in rule_changes(BEFORE, after)] == [
        (False, 1, "I hear you"),
        (True, 1, "I see"),
    ]
    assert field_changes(BEFORE, after) == ()


def test_a_field_change_keeps_its_parts_apart() -> None:
    after = changed(role_match=Role.END_USER)

    assert field_changes(BEFORE, after) == (
        FieldChange("", "role_match", "HUMAN_AGENT", "END_USER"),
    )


RULES = st.lists(
    st.builds(PhraseRule, st.sampled_from(["a", "b"]), st.booleans(), st.booleans()), max_size=3
)
GROUPS = st.lists(
    st.builds(
        RuleGroup, st.just("g"), st.sampled_from(list(MatchType)), RULES.map(lambda r: tuple(r))
    ),
    max_size=3,
)
DEFINITIONS = st.builds(
    MatcherDefinition,
    st.just("empathy"),
    st.sampled_from(list(MatchType)),
    GROUPS.map(lambda g: tuple(g)),
    st.sampled_from(list(Role)),
    st.booleans(),
)


@given(DEFINITIONS, DEFINITIONS)
def test_a_difference_shows_exactly_when_ci_would_hold_another_content(
    before: MatcherDefinition, after: MatcherDefinition
) -> None:
    is_same = content_sha256(before) == content_sha256(after)
    shown = [*rule_changes(before, after), *field_changes(before, after)]

    assert (shown == []) is is_same
