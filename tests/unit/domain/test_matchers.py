from __future__ import annotations

from typing import Any

import pytest

from ingest.domain.as_code import ChangeKind, is_ours
from ingest.domain.matchers import (
    LiveMatcher,
    MatcherDefinition,
    MatchType,
    PhraseRule,
    Role,
    RuleChange,
    RuleGroup,
    content_sha256,
    parse_definitions,
    plan,
    version_tag,
)
from ingest.errors import InputError

MATCHERS = "display_name,type,role_match,is_active\nempathy,ANY_OF,HUMAN_AGENT,true\n"
HEADER = (
    "display_name,group_number,group_name,group_type,rule_number,query,is_negated,"
    "is_case_sensitive\n"
)
RULES = (
    f"{HEADER}empathy,2,negated,ALL_OF,1,no worries,true,false\n"
    'empathy,1,care,ANY_OF,2,"I hear you, truly",false,true\n'
    "empathy,1,care,ANY_OF,1,I understand,false,false\n"
)


def definition(*queries: str, name: str = "empathy", **changes: Any) -> MatcherDefinition:
    fields: dict[str, Any] = {
        "display_name": name,
        "type": MatchType.ANY_OF,
        "groups": (RuleGroup("g", MatchType.ANY_OF, tuple(PhraseRule(q) for q in queries)),),
        "role_match": Role.HUMAN_AGENT,
        "active": True,
    }
    return MatcherDefinition(**{**fields, **changes})


def live(name: str, made: MatcherDefinition, tag: str | None = None) -> LiveMatcher:
    return LiveMatcher(name, version_tag(made) if tag is None else tag, made)


def test_definitions_are_read_in_the_order_of_their_numbers() -> None:
    assert parse_definitions(MATCHERS, RULES) == (
        MatcherDefinition(
            display_name="empathy",
            type=MatchType.ANY_OF,
            groups=(
                RuleGroup(
                    "care",
                    MatchType.ANY_OF,
                    (
                        PhraseRule("I understand", negated=False, case_sensitive=False),
                        PhraseRule("I hear you, truly", negated=False, case_sensitive=True),
                    ),
                ),
                RuleGroup("negated", MatchType.ALL_OF, (PhraseRule("no worries", negated=True),)),
            ),
            role_match=Role.HUMAN_AGENT,
            active=True,
        ),
    )


@pytest.mark.parametrize(
    ("matchers", "rules", "message"),
    [
        (MATCHERS, HEADER, "has no rules"),
        (MATCHERS, f"{RULES}other,1,g,ANY_OF,1,x,false,false\n", "unknown matchers: other"),
        (MATCHERS.replace("ANY_OF", "SOME_OF"), RULES, "'SOME_OF' is not a valid MatchType"),
        (MATCHERS.replace("HUMAN_AGENT", "BOSS"), RULES, "'BOSS' is not a valid Role"),
        (MATCHERS.replace("true", "yes"), RULES, "neither true nor false"),
        (MATCHERS, RULES.replace(",1,I under", ",one,I under"), "invalid literal"),
        (MATCHERS, RULES.replace("I understand", " "), "has an empty query"),
        (MATCHERS, RULES.replace("ANY_OF,1,I", "ANY_OF,2,I"), "a rule_number twice"),
        (MATCHERS, RULES.replace("care,ANY_OF,1", "love,ANY_OF,1"), "two names or types"),
        (MATCHERS, RULES.replace('"', ""), "not as many values as columns"),
        (MATCHERS, f"{RULES}empathy,3\n", "not as many values as columns"),
        (MATCHERS.replace("is_active", "active"), RULES, "lacks the columns is_active"),
        ("", RULES, "lacks the columns"),
        (f"{MATCHERS}empathy,ANY_OF,ANY_AGENT,true\n", RULES, "is defined twice"),
    ],
)
def test_an_unusable_row_is_refused_with_what_is_wrong(
    matchers: str, rules: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        parse_definitions(matchers, rules)


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (definition("a", "b"), True),
        (
            definition(
                groups=(RuleGroup("x", MatchType.ANY_OF, (PhraseRule("a"), PhraseRule("b"))),)
            ),
            True,
        ),
        (definition("b", "a"), False),
        (definition("a"), False),
        (definition("a", "b", active=False), False),
        (definition("a", "b", role_match=Role.ANY_AGENT), False),
        (definition("a", "b", type=MatchType.ALL_OF), False),
    ],
)
def test_the_content_hash_covers_what_ci_keeps(other: MatcherDefinition, is_same: bool) -> None:
    assert (content_sha256(other) == content_sha256(definition("a", "b"))) is is_same


def test_a_tag_marks_a_matcher_as_ours() -> None:
    assert is_ours(version_tag(definition("a")))
    assert not is_ours("conversation-coachx")
    assert not is_ours("")


def test_a_plan_creates_updates_keeps_and_deletes_ours_only() -> None:
    wanted = [definition("a"), definition("b", "c", name="kept"), definition("n", name="new")]
    held = [
        live("m/1", definition("a", "old")),
        live("m/2", definition("b", "c", name="kept")),
        live("m/3", definition("gone", name="gone")),
        live("m/4", definition("z", name="theirs"), tag="somebody"),
    ]

    changes = plan(wanted, held)

    assert [(change.kind, change.display_name, change.name) for change in changes] == [
        (ChangeKind.UPDATE, "empathy", "m/1"),
        (ChangeKind.KEEP, "kept", "m/2"),
        (ChangeKind.CREATE, "new", None),
        (ChangeKind.DELETE, "gone", "m/3"),
    ]
    assert [change.rule_changes for change in changes] == [
        (RuleChange(False, 1, "old"),),
        (),
        (RuleChange(True, 1, "n"),),
        (RuleChange(False, 1, "gone"),),
    ]


def test_of_two_matchers_of_ours_with_one_name_the_first_stays() -> None:
    wanted = definition("a")

    changes = plan([wanted], [live("m/9", wanted), live("m/2", wanted)])

    assert [(change.kind, change.name) for change in changes] == [
        (ChangeKind.KEEP, "m/2"),
        (ChangeKind.DELETE, "m/9"),
    ]


def test_a_matcher_of_others_with_our_name_is_left_alone() -> None:
    changes = plan([definition("a")], [live("m/1", definition("a"), tag="")])

    assert [(change.kind, change.name) for change in changes] == [(ChangeKind.CREATE, None)]


def test_the_order_in_which_ci_lists_matchers_makes_no_other_plan() -> None:
    wanted = [definition("a"), definition("b", name="other")]
    held = [live(f"m/{n}", definition(str(n), name=f"gone{n}")) for n in range(4)]

    assert plan(wanted, held) == plan(wanted, list(reversed(held)))
