"""The annotators: deterministic, and as fast as they claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import BOOSTER_DICT, NEGATE, SentimentIntensityAnalyzer

from ingest.domain.matchers import Role
from ingest.emulator import protos
from ingest.emulator.analysis.annotate import ActiveMatchers, annotate, effective_selector
from ingest.emulator.analysis.annotators import (
    Sentiment,
    as_text,
    conversation_sentiment,
    pair_of,
    sentences,
    summarize,
    turn_sentiment,
)
from ingest.emulator.analysis.cues import LOCATION, ORGANIZATION, OTHER, PERSON
from ingest.emulator.analysis.entities import find_entities, mentions, shown_entities
from ingest.emulator.analysis.lexicon import QuickAnalyzer
from ingest.emulator.analysis.sentiment import Shares
from ingest.emulator.analysis.turns import Turn, chars, whole

SLOW, QUICK = SentimentIntensityAnalyzer(), QuickAnalyzer()
PARTICLES = """
    kind of but least at very never so this without doubt the bomb yeah right to die for no or nor
    HATE LOVE Table what?? good!! 😀
"""
CUES = [*list(SLOW.lexicon)[::40], *BOOSTER_DICT, *NEGATE, *PARTICLES.split()]
GRID = st.sampled_from([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0])


def turn(text: str, role: Role = Role.END_USER, index: int = 0) -> Turn:
    return Turn(index, text, role, 1 if role is Role.END_USER else 2)


def result_of(turns: list[Turn], selector: protos.Pb) -> protos.Pb:
    found = annotate("name", turns, selector, ActiveMatchers())
    return protos.AnalysisResult.FromString(found.result)


@given(st.lists(st.sampled_from(CUES), max_size=12).map(" ".join))
def test_the_quick_lexicon_scores_as_the_library_does(text: str) -> None:
    assert QUICK.polarity_scores(text) == SLOW.polarity_scores(text)


@pytest.mark.parametrize(
    "text",
    [
        "It is good but it was bad", "kind of good", "very kind of you", "no good", "no very good",
        "no good or great", "least good of all", "at least good", "the least good", "never so good",
        "never this so good", "so very extremely good",
        "without doubt good",
        "without a doubt good", "without doubt very good", "not very good", "isn't that good",
        "never good", "GOOD day", "ALL GOOD", "a VERY bad day", "a VERY good day",
        "it was just the bomb today", "well yeah right sure", "I was sort of happy with it",
        "a dress to die for really", "love 😀 it", ":) :(", "good!!!!!", "good???? bad??", "no", "",
    ],
)  # fmt: skip
def test_each_rule_of_the_lexicon_gives_the_library_s_score(text: str) -> None:
    assert QUICK.polarity_scores(text) == SLOW.polarity_scores(text)


@given(st.text(max_size=60))
def test_the_quick_lexicon_scores_any_text_as_the_library_does(text: str) -> None:
    assert QUICK.polarity_scores(text) == SLOW.polarity_scores(text)


@pytest.mark.parametrize(
    ("found", "words", "expected"),
    [
        ((0.95, 0.03, 0.02), (0, 0), (-1.0, 1.0)),
        ((0.02, 0.2, 0.78), (0, 0), (0.5, 0.5)),
        ((0.5, 0.2, 0.3), (0, 0), (-0.25, 0.75)),
        ((0.2, 0.6, 0.2), (0.12, 0), (0.0, 0.0)),
        ((0.2, 0.6, 0.2), (0.12, 0.12), (0.0, 0.75)),
        ((0.4, 0.4, 0.2), (0, 0), (0.0, 0.0)),
    ],
)
def test_the_surer_the_model_the_further_is_the_documented_pair(
    found: tuple[float, float, float], words: tuple[float, float], expected: tuple[float, float]
) -> None:
    assert pair_of(Shares(*found), dict(zip(("neg", "pos"), words, strict=True))) == expected


@given(st.text(max_size=60))
def test_a_turn_of_any_text_gets_a_documented_pair(text: str) -> None:
    score, magnitude = turn_sentiment(turn(text))

    assert (abs(score), magnitude) in {(0, 0), (0, 0.75), (0.25, 0.75), (0.5, 0.5), (1, 1)}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([-1, 0, 0, -1, -1, 0, 0, -0.5, 1], (0.5, 1.0)),  # a real conversation
        ([-1, -1, 1, 1], (1.0, 1.0)),
        ([0, 0], (0.0, 0.0)),
        ([], (0.0, 0.0)),
    ],
)
def test_the_conversation_leans_on_its_end(
    scores: list[float], expected: tuple[float, float]
) -> None:
    turns = [Sentiment(score, abs(score)) for score in scores]
    assert conversation_sentiment(turns) == expected


@given(st.lists(GRID, min_size=1, max_size=30))
def test_the_conversation_is_as_extreme_as_its_turns_at_most(scores: list[float]) -> None:
    overall = conversation_sentiment([Sentiment(score, abs(score)) for score in scores])
    assert min(scores) - 0.25 <= overall.score <= max(scores) + 0.25
    assert overall.magnitude == max(abs(score) for score in scores)


@given(st.lists(st.text(max_size=80), min_size=1, max_size=6))
def test_the_same_turns_give_the_same_analysis(texts: list[str]) -> None:
    turns = [
        turn(text, (Role.END_USER, Role.HUMAN_AGENT)[i % 2], i) for i, text in enumerate(texts)
    ]
    selector = effective_selector(protos.Analysis())
    one = result_of(turns, selector)
    two = result_of(list(turns), selector)
    assert one.SerializeToString(deterministic=True) == two.SerializeToString(deterministic=True)
    for annotation in one.call_analysis_metadata.annotations:
        start, end = annotation.annotation_start_boundary, annotation.annotation_end_boundary
        count = len(turns[start.transcript_index].text.split())
        assert start.transcript_index == end.transcript_index
        assert 0 <= start.word_index <= end.word_index <= max(count - 1, 0)


def test_annotations_are_not_in_transcript_order() -> None:
    turns = [turn("I hate this.", index=index) for index in range(30)]
    selector = protos.AnnotatorSelector(run_sentiment_annotator=True)
    result = result_of(turns, selector).call_analysis_metadata.annotations
    order = [annotation.annotation_start_boundary.transcript_index for annotation in result]
    assert sorted(order) == list(range(30)) != order


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thanks, Margaret, I'm calling Margaret O'Brien.", {("Margaret", PERSON)}),
        ("Apex Recoveries and the AFCA",
         {("Apex Recoveries", ORGANIZATION), ("AFCA", ORGANIZATION)}),
        ("at 12 Smith Street on Monday, 1 March 2025, $450.50 or 40 dollars, 0491 570 156", set()),
        ("Hi Monday, thanks March, it's June", set()),
        ("New South Wales, New shoes", {("New South Wales", LOCATION)}),
        ("Mr. Chen", {("Chen", PERSON)}),
        ("My wife's bills, her bill. People pay taxes, companies too.",
         {("wife", PERSON), ("bill", OTHER), ("person", PERSON), ("tax", OTHER),
          ("company", ORGANIZATION)}),
        ("The Union Bank is a bank", {("Union Bank", ORGANIZATION), ("bank", ORGANIZATION)}),
        ("Mr chen has a $ and a + sign.", set()),
        ("I think So. Then Okay", set()),
    ],
)  # fmt: skip
def test_entities_are_found_by_rule(text: str, expected: set[tuple[str, int]]) -> None:
    found = find_entities([turn(text)])
    assert {(entity.display_name, entity.type) for entity in found} == expected


def test_a_person_introduced_once_is_known_again() -> None:
    found = find_entities(
        [turn("My name is Priya Nair."), turn("Right, Priya Nair it is.", index=1)]
    )
    assert [(e.display_name, len(e.mentions)) for e in found] == [("Priya Nair", 2)]
    people = {"Priya"}
    assert [m.name for m in mentions(turn("Well Priya Nair said"), people)] == ["Priya"]


def test_only_what_has_a_tenth_of_the_mentions_is_shown_the_most_salient_first() -> None:
    """The public replies show 2 entities of 39 turns and 1 of 19, none below 0.118."""
    nouns = ["loan", "debt", "fee", "car", "job", "bill", "rent", "phone", "card", "email"]
    said = [f"My {noun}." for noun in nouns]
    call = [turn(text, index=index) for index, text in enumerate([*said, "Mr Chen, the fee."] * 2)]
    found = shown_entities(call)
    assert [(e.display_name, e.type, len(e.mentions), round(share, 3)) for e, share in found] == [
        ("fee", OTHER, 4, 0.167)
    ]
    evenly = shown_entities(
        [turn(text, index=index) for index, text in enumerate(nouns * 2 + ["app"])]
    )
    assert [e.display_name for e, _ in evenly] == ["loan"]
    assert shown_entities([turn("Hi there."), turn("$450.50 on 3 March 2024", index=1)]) == []


@given(st.text("Mr Chen$12,.\u2019'Bank of JuneMay ABC0491570156", max_size=50))
def test_mentions_lie_in_the_text_and_shares_add_up(text: str) -> None:
    for mention in mentions(turn(text), set()):
        assert 0 <= mention.start < mention.end <= len(text)
    shares = [share for _, share in shown_entities([turn(text)])]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1 + 1e-9
    assert all(share >= 0.1 for share in shares[1:])


@given(st.text("ab .!?\n", max_size=40))
def test_sentences_cover_all_words(text: str) -> None:
    pieces = [text[start:end] for start, end in sentences(text)]
    assert "".join("".join(pieces).split()) == "".join(text.split())


@given(st.text("ab  \t\n", max_size=30))
def test_words_are_counted_as_python_splits_them(text: str) -> None:
    assert whole(turn(text)).last_word == max(len(text.split()) - 1, 0)
    for place, char in enumerate(text):
        if not char.isspace():
            word = text.split()[chars(turn(text), place, place + 1).first_word]
            assert char in word


def test_a_summary_quotes_the_transcript() -> None:
    turns = [
        turn("Hi.", Role.HUMAN_AGENT),
        turn("Okay. I lost my job in March and can't pay.", index=1),
        turn("I'm sorry. I'll set up a plan for you.", Role.HUMAN_AGENT, 2),
        turn("That works.", index=3),
    ]
    sections = summarize(turns)
    assert sections == {
        "situation": "I lost my job in March and can't pay.",
        "action": "I'll set up a plan for you.",
        "resolution": "Y",
    }
    assert as_text(sections).startswith("situation\nI lost my job")
    assert summarize([]) == {"situation": "", "action": "", "resolution": "N"}
