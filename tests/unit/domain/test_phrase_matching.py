"""The phrase matching rule, against examples and against a slow plain reading of it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, Role, RuleGroup
from ingest.domain.phrase_matching import (
    PhraseHit,
    compile_matcher,
    compile_matchers,
    find_in_segments,
    prepare,
    role_matches,
    role_of_speaker,
)
from ingest.errors import InputError

ANY, ALL = MatchType.ANY_OF, MatchType.ALL_OF
APOSTROPHES = "'`\u2019\u2018\u02bc"
ALPHABET = "abIKé19 \t'\u2019.-_\u0301\u0130\u0131\u017f\u212a"


def matcher(*rules: PhraseRule, kind: MatchType = ANY, role: Role = Role.ROLE_UNSPECIFIED):
    return compile_matcher(MatcherDefinition("m", ANY, (RuleGroup("g", kind, rules),), role))


def places(phrase: str, text: str, *, case_sensitive: bool = False) -> list[str]:
    hits = matcher(PhraseRule(phrase, case_sensitive=case_sensitive)).find(text, Role.END_USER)
    return [text[hit.start_char : hit.end_char] for hit in hits or ()]


@pytest.mark.parametrize(
    ("phrase", "text", "expected"),
    [
        ("lost my job", "I LOST my\n job, lost my job.", ["LOST my\n job", "lost my job"]),
        ("you", "thank you; you're; re'you; 'you' youth", ["you", "you"]),
        ("don't be", "don\u2019t be, don`t  be", ["don\u2019t be", "don`t  be"]),
        ("n't", "don't", []),
        ("cafe", "cafe\u0301 cafés cafe", ["cafe"]),
        ("$5", "pay $5 or $50 or x$5", ["$5"]),
        ("e-mail", "My E-Mail, e mail", ["E-Mail"]),
        ("a.b", "aXb a.b", ["a.b"]),
        ("I", "I I I", ["I", "I", "I"]),
    ],
)
def test_a_phrase_is_found_as_whole_words(phrase: str, text: str, expected: list[str]) -> None:
    assert places(phrase, text) == expected


def test_case_counts_when_the_rule_says_so() -> None:
    assert places("Apex", "apex Apex APEX", case_sensitive=True) == ["Apex"]


def plain_reading(phrase: str, text: str, case_sensitive: bool) -> bool:
    """The rule read literally: try every start and every end, letter by letter."""
    marks = dict.fromkeys("\u2018\u2019\u201b\u02bc\u00b4`\u2032\uff07", "'")

    def is_word(char: str) -> bool:
        return char.isalnum() or "\u0300" <= char <= "\u036f"

    def same(one: str, other: str) -> bool:
        if case_sensitive:
            return one == other
        folds = [{"i", "I", "\u0130", "\u0131"}, {"s", "S", "\u017f"}, {"k", "K", "\u212a"}]
        return (
            one == other
            or one.lower() == other.lower()
            or any(one in fold and other in fold for fold in folds)
        )

    plain = "".join(marks.get(char, char) for char in text)
    words = "".join(marks.get(char, char) for char in phrase).split()

    def ends(start: int) -> list[int]:
        at = start
        for index, word in enumerate(words):
            if index:
                after = at
                while after < len(plain) and plain[after].isspace():
                    after += 1
                if after == at:
                    return []
                at = after
            piece = plain[at : at + len(word)]
            if len(piece) < len(word) or not all(map(same, word, piece)):
                return []
            at += len(word)
        return [at]

    def is_bounded(start: int, end: int) -> bool:
        if start > 0 and is_word(plain[start - 1]):
            return False
        if start > 1 and plain[start - 1] == "'" and is_word(plain[start - 2]):
            return False
        if end < len(plain) and is_word(plain[end]):
            return False
        return not (end + 1 < len(plain) and plain[end] == "'" and is_word(plain[end + 1]))

    return any(is_bounded(start, end) for start in range(len(plain) + 1) for end in ends(start))


@given(
    phrase=st.text(ALPHABET, min_size=1, max_size=5).filter(lambda text: text.split()),
    text=st.text(ALPHABET, max_size=20),
    case_sensitive=st.booleans(),
)
@example(phrase="K", text="\u212a", case_sensitive=False)
@example(phrase="a", text="a''a", case_sensitive=False)
def test_the_fast_rule_agrees_with_its_plain_reading(
    phrase: str, text: str, case_sensitive: bool
) -> None:
    rule = PhraseRule(phrase, case_sensitive=case_sensitive)
    found = matcher(rule).matches(text, Role.END_USER)
    assert found is plain_reading(phrase, text, case_sensitive)


@given(st.text(max_size=60), st.lists(st.text("abc '", min_size=1, max_size=6), max_size=5))
def test_spans_lie_in_the_text_in_order_and_hold_the_phrase(text: str, phrases: list[str]) -> None:
    rules = [PhraseRule(phrase) for phrase in phrases if phrase.split()]
    for hit in matcher(*rules).find(text, Role.END_USER) or ():
        assert 0 <= hit.start_char < hit.end_char <= len(text)
        assert places(hit.query, text[hit.start_char : hit.end_char]) == [
            text[hit.start_char : hit.end_char]
        ]


@given(st.text("ab' \u2019é", max_size=30), st.sampled_from(list(Role)))
def test_a_prepared_text_gives_the_same_answer(text: str, role: Role) -> None:
    compiled = matcher(PhraseRule("a b"), PhraseRule("b'a"))
    assert compiled.find(prepare(text), role) == compiled.find(text, role)


@given(
    st.lists(
        st.tuples(st.text(ALPHABET, max_size=12), st.sampled_from(list(Role)[1:4])), max_size=5
    )
)
def test_a_conversation_is_judged_as_its_segments_one_by_one(
    turns: list[tuple[str, Role]],
) -> None:
    negated = RuleGroup("n", ANY, (PhraseRule("a", negated=True), PhraseRule("b")))
    matchers = [
        matcher(PhraseRule("a b"), PhraseRule("I"), PhraseRule("é")),
        matcher(PhraseRule("a"), role=Role.ANY_AGENT),
        compile_matcher(MatcherDefinition("n", ANY, (negated,))),
    ]
    segments = [(prepare(text), role) for text, role in turns]
    assert find_in_segments(matchers, segments) == [
        (number, place, hits)
        for number, compiled in enumerate(matchers)
        for place, (text, role) in enumerate(turns)
        if (hits := compiled.find(text, role)) is not None
    ]


@given(
    st.sets(st.sampled_from("abcd")),
    st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=4),
    st.sampled_from([ANY, ALL]),
)
def test_groups_follow_their_logic(
    present: set[str], rules: list[tuple[str, bool]], kind: MatchType
) -> None:
    compiled = matcher(*(PhraseRule(query, negated) for query, negated in rules), kind=kind)
    judged = [(query in present) is not negated for query, negated in rules]
    expected = all(judged) if kind is ALL else any(judged)
    assert compiled.matches(" ".join(sorted(present)), Role.END_USER) is expected


def test_hits_say_group_rule_query_and_place_of_the_groups_that_hold() -> None:
    groups = (
        RuleGroup("one", ANY, (PhraseRule("no"), PhraseRule("my job"))),
        RuleGroup("two", ALL, (PhraseRule("my"), PhraseRule("never"))),
        RuleGroup("three", ANY, (PhraseRule("absent", negated=True), PhraseRule("job"))),
    )
    definition = MatcherDefinition("m", ANY, groups)
    (compiled,) = compile_matchers([definition])
    assert compiled.find("lost my job", Role.END_USER) == (
        PhraseHit("one", 1, 2, "my job", 5, 11),
        PhraseHit("three", 3, 2, "job", 8, 11),
    )


def test_a_match_by_missing_phrases_alone_has_no_place() -> None:
    assert matcher(PhraseRule("absent", negated=True)).find("hello", Role.END_USER) == ()


def test_all_groups_must_hold_for_all_of() -> None:
    groups = (
        RuleGroup("one", ANY, (PhraseRule("a"),)),
        RuleGroup("two", ANY, (PhraseRule("b"),)),
    )
    compiled = compile_matcher(MatcherDefinition("m", ALL, groups))
    assert [compiled.matches(text, Role.END_USER) for text in ("a", "b", "b a", "")] == [
        False, False, True, False,
    ]  # fmt: skip


def test_a_matcher_without_groups_or_rules_never_matches() -> None:
    assert not compile_matcher(MatcherDefinition("m", ALL, ())).matches("a", Role.END_USER)
    assert not matcher().matches("a", Role.END_USER)


def test_roles_are_heard_as_asked_for() -> None:
    heard = {
        wanted: [role for role in list(Role)[1:4] if role_matches(wanted, role)] for wanted in Role
    }
    assert heard == {
        Role.ROLE_UNSPECIFIED: [Role.HUMAN_AGENT, Role.AUTOMATED_AGENT, Role.END_USER],
        Role.HUMAN_AGENT: [Role.HUMAN_AGENT],
        Role.AUTOMATED_AGENT: [Role.AUTOMATED_AGENT],
        Role.END_USER: [Role.END_USER],
        Role.ANY_AGENT: [Role.HUMAN_AGENT, Role.AUTOMATED_AGENT],
    }
    assert not matcher(PhraseRule("a"), role=Role.HUMAN_AGENT).matches("a", Role.END_USER)


def test_speakers_have_the_roles_that_ci_gives_them() -> None:
    roles = [role_of_speaker(name) for name in ("AGENT", "AUTOMATED_AGENT", "CUSTOMER", "END_USER")]
    assert roles == [Role.HUMAN_AGENT, Role.AUTOMATED_AGENT, Role.END_USER, Role.END_USER]
    with pytest.raises(InputError, match="unknown speaker 'BOT'"):
        role_of_speaker("BOT")


def test_a_phrase_without_characters_is_refused() -> None:
    with pytest.raises(InputError, match="no characters"):
        matcher(PhraseRule(" \t "))
