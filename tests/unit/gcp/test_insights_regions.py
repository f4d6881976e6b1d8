"""Insights in several regions, over the emulator: which conversation is where, what is asked."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ingest.domain.annotators import AnnotatorProfile, Selector
from ingest.domain.conversation import Metadata, Region, Transcription, region_of
from ingest.domain.insights_format import CiSubmission, ConversationVersion, ci_submission
from ingest.domain.labels import WantedLabel
from ingest.domain.matchers import (
    MatcherDefinition,
    MatchType,
    PhraseRule,
    RuleGroup,
    version_tag,
)
from ingest.domain.scorecards import Answer, Question, Scorecard, ValueType
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer
from ingest.errors import SettingsError
from ingest.flows.attempts import items_of
from ingest.gcp.insights_regions import InsightsOfRegions, insights_of
from ingest.settings import Settings
from tests.fakes.folders import conversation_id, metadata, transcription
from tests.fakes.world import fake_settings

REGIONS = "us-central1,europe-west1,asia-northeast1"
PLACES = tuple(Region("local-project", location) for location in REGIONS.split(","))
IDS = [conversation_id(number) for number in range(12)]
MATCHER = MatcherDefinition(
    "greeting", MatchType.ANY_OF, (RuleGroup("g", MatchType.ANY_OF, (PhraseRule("good morning"),)),)
)


@dataclasses.dataclass
class Cloud:
    """The regions as one, and how each alone is reached."""

    settings: Settings
    together: InsightsOfRegions
    objects: ObjectServer

    def submission(self, id_: str, **changes: str) -> CiSubmission:
        """Return a submission whose transcript lies in the bucket."""
        made = ci_submission(
            ConversationVersion(
                id_,
                dt.date(2026, 1, 5),
                Metadata.model_validate(metadata(id_, **changes)),
                Transcription.model_validate(transcription(id_)),
                "a" * 64,
                "b" * 64,
            )
        )
        self.objects.put(self.settings.bucket, made.transcript_object, made.transcript_content)
        return made

    async def holding(self, id_: str) -> list[Region]:
        """Return the regions that hold a conversation."""
        found = []
        for region in PLACES:
            async with alone(self.settings.at(region)) as api:
                if await api.get_conversation(id_) is not None:
                    found.append(region)
        return found


@asynccontextmanager
async def alone(settings: Settings) -> AsyncIterator[InsightsOfRegions]:
    api = insights_of(settings)
    try:
        yield api  # type: ignore[misc]
    finally:
        await api.close()


@pytest.fixture
def in_cloud(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> Callable[[Callable[[Cloud], Awaitable[None]]], None]:
    """Run a case with Insights in three regions."""
    settings = fake_settings(insights_endpoint=ci_emulator.address, regions=REGIONS)

    async def run(case: Callable[[Cloud], Awaitable[None]]) -> None:
        async with alone(settings) as together:
            assert type(together) is InsightsOfRegions
            await case(Cloud(settings, together, ci_objects))

    return lambda case: asyncio.run(run(case))


InCloud = Callable[[Callable[[Cloud], Awaitable[None]]], None]


def elsewhere(id_: str) -> Region:
    """Return a region that the conversation's hash doesn't name."""
    return next(region for region in PLACES if region != region_of(id_, PLACES))


def test_each_conversation_is_made_in_the_region_of_its_hash_and_listed_once(
    in_cloud: InCloud,
) -> None:
    async def case(cloud: Cloud) -> None:
        for id_ in IDS:
            await cloud.together.create_conversation(cloud.submission(id_))
        listing = items_of(lambda token: cloud.together.list_conversations("", token))

        assert {id_: await cloud.holding(id_) for id_ in IDS} == {
            id_: [region_of(id_, PLACES)] for id_ in IDS
        }
        assert sorted([held.conversation_id async for held in listing]) == sorted(IDS)
        assert sorted([id_ async for id_ in items_of(cloud.together.list_ids)]) == sorted(IDS)
        assert len({region_of(id_, PLACES) for id_ in IDS}) == 3

    in_cloud(case)


def test_one_that_was_made_before_its_region_came_stays_where_it_is(in_cloud: InCloud) -> None:
    id_ = IDS[0]

    async def case(cloud: Cloud) -> None:
        async with alone(cloud.settings.at(elsewhere(id_))) as before:
            await before.create_conversation(cloud.submission(id_))
        held = await cloud.together.get_conversation(id_)
        updated = await cloud.together.update_conversation(cloud.submission(id_, agent_id="a-7"))
        await cloud.together.create_analysis(id_, Selector(frozenset({"run_entity_annotator"})))

        assert held is not None
        assert held.name.split("/conversations/")[0].endswith(elsewhere(id_).location)
        assert updated.name == held.name
        assert await cloud.holding(id_) == [elsewhere(id_)]

    in_cloud(case)


def test_what_is_deleted_is_gone_from_every_region(in_cloud: InCloud) -> None:
    id_ = IDS[0]

    async def case(cloud: Cloud) -> None:
        for region in PLACES:
            async with alone(cloud.settings.at(region)) as api:
                await api.create_conversation(cloud.submission(id_))
        await cloud.together.delete_conversation(id_)

        assert await cloud.holding(id_) == []

    in_cloud(case)


def test_an_analysis_names_its_own_regions_matchers_and_is_read_by_the_homes(
    in_cloud: InCloud,
) -> None:
    id_ = next(id_ for id_ in IDS if region_of(id_, PLACES) == PLACES[1])

    async def case(cloud: Cloud) -> None:
        for region in reversed(PLACES):
            async with alone(cloud.settings.at(region)) as api:
                await api.create_matcher(MATCHER, version_tag(MATCHER))
                own = [each.applied.matcher_id for each in await api.list_matchers()]
        (at_home,) = await cloud.together.list_matchers()
        profile = AnnotatorProfile(summarization=False, matchers=(at_home.applied,))
        await cloud.together.create_conversation(cloud.submission(id_))
        operation = await cloud.together.create_analysis(id_, profile.selector)
        while not operation.is_done:
            operation = await cloud.together.get_operation(operation.name)
        async with alone(cloud.settings) as anew:
            held = await anew.get_conversation(id_)

        assert own == [at_home.applied.matcher_id]
        assert held is not None
        assert held.latest_analysis is not None
        assert held.latest_analysis.selector == profile.selector
        (named,) = held.payload["latestAnalysis"]["annotatorSelector"]["phraseMatchers"]
        async with alone(cloud.settings.at(PLACES[1])) as api:
            (there,) = await api.list_matchers()
        assert named.rsplit("/", 1)[-1] == there.applied.matcher_id
        assert there.applied.matcher_id != at_home.applied.matcher_id
        assert at_home.applied.revised_at >= there.applied.revised_at

    in_cloud(case)


def test_matchers_that_differ_between_regions_are_refused_with_the_cure(in_cloud: InCloud) -> None:
    async def case(cloud: Cloud) -> None:
        for region in PLACES[:2]:
            async with alone(cloud.settings.at(region)) as api:
                await api.create_matcher(MATCHER, version_tag(MATCHER))
        with pytest.raises(SettingsError) as caught:
            await cloud.together.list_matchers()

        assert caught.value.message == (
            "Insights' phrase matchers in local-project/asia-northeast1 aren't those of the first "
            "region"
        )
        assert caught.value.hint.endswith(
            "INGEST_REGION=local-project/asia-northeast1 ingest matchers apply"
        )

    in_cloud(case)


def test_a_bulk_analysis_takes_every_region_and_counts_as_one(in_cloud: InCloud) -> None:
    async def case(cloud: Cloud) -> None:
        for id_ in IDS:
            await cloud.together.create_conversation(cloud.submission(id_))
        operation = await cloud.together.bulk_analyze("", Selector(frozenset()))
        while not operation.is_done:
            operation = await cloud.together.get_operation(operation.name)
        held = [await cloud.together.get_conversation(id_) for id_ in IDS]

        assert operation.error_code is None
        assert operation.counts["completed_analyses_count"] == len(IDS)
        assert await cloud.together.running_bulk_analysis() is None
        assert all(each is not None and each.latest_analysis is not None for each in held)

    in_cloud(case)


def test_places_are_the_home_and_those_named_each_once() -> None:
    settings = fake_settings(regions="europe-west1,us-central1,other-project/us-central1")
    applied = fake_settings(region="other-project/europe-west1")

    assert [place.parent for place in settings.places] == [
        "projects/local-project/locations/us-central1",
        "projects/local-project/locations/europe-west1",
        "projects/other-project/locations/us-central1",
    ]
    assert settings.at(settings.places[2]).places == (Region("other-project", "us-central1"),)
    assert applied.places == (Region("other-project", "europe-west1"),)
    assert applied.project_id == "local-project"


def test_a_label_goes_where_its_conversation_is_and_all_are_listed(in_cloud: InCloud) -> None:
    answer = Answer("yes", ValueType.TEXT, "Yes", 2.0)
    card = Scorecard(
        "call-quality", "Calls", "", (Question("greeting", 1, "A", "Did they?", "", (), (answer,)),)
    )
    key = f"{card.scorecard_id}/{card.revision_id}"
    question = f"qaScorecards/call-quality/revisions/{card.revision_id}/qaQuestions/greeting"

    async def case(cloud: Cloud) -> None:
        for region in PLACES:
            async with alone(cloud.settings.at(region)) as api:
                await api.create_scorecard(card)
                await api.create_scorecard_revision(key)
                await api.create_question(key, card.questions[0])
        for id_ in IDS:
            await cloud.together.create_conversation(cloud.submission(id_))
            await cloud.together.create_label(WantedLabel(id_, question, answer))
        listed = await cloud.together.list_labels()

        assert sorted(each.conversation_id for each in listed) == sorted(IDS)
        assert {each.name.split("/")[3] for each in listed} == {place.location for place in PLACES}

    in_cloud(case)
