"""Insights in several regions as one: conversations are spread over them by a hash of their ids.

A conversation that is found elsewhere than its hash says, since it was made before a region came,
stays where it is. Ids of matchers and topic models are each region's own: flows see those of the
home. Matchers are changed, and scorecards and topics looked after, in the home alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from ingest.domain.annotators import Selector
from ingest.domain.as_code import is_ours
from ingest.domain.conversation import Region, region_of
from ingest.domain.insights_format import CiSubmission
from ingest.domain.labels import CiLabel, WantedLabel
from ingest.domain.scorecards import LiveRevision, deployed_of_ours
from ingest.domain.topics import LiveModel
from ingest.errors import SettingsError
from ingest.gcp.insights_quality import GrpcInsights
from ingest.ports.inspect import CiAnalysisState
from ingest.ports.move import CiConversation, CiMatcher, CiOperation, Page, QuotaGate
from ingest.settings import Settings

_AND = ","
"""Between the names of operations that run in several regions for one call."""


def insights_of(settings: Settings, gates: Sequence[QuotaGate] = ()) -> GrpcInsights:
    """Return Insights in the regions of the settings, each with its own gate."""
    if len(settings.places) == 1:
        return GrpcInsights(settings, *gates)
    apis = {
        region: GrpcInsights(settings.at(region), *gates[number : number + 1])
        for number, region in enumerate(settings.places)
    }
    return InsightsOfRegions(settings, apis, *gates[:1])


class InsightsOfRegions(GrpcInsights):
    """All regions of the settings, whose adapters are given, the home's first."""

    def __init__(
        self,
        settings: Settings,
        apis: Mapping[Region, GrpcInsights],
        admission: QuotaGate | None = None,
    ) -> None:
        self._regions = tuple(apis)
        self._apis = apis
        self._home = apis[self._regions[0]]
        self._elsewhere: dict[str, Region] = {}
        """Of conversations that aren't where their hash says."""
        self._begun: dict[str, Region] = {}
        """Of operations that this object has seen and that haven't ended."""
        self._own_ids: dict[Region, dict[str, str]] = {region: {} for region in apis}
        """The region's id of each matcher and topic model, by the home's."""
        self._learned = {self._regions[0]}
        self._learning = asyncio.Lock()
        super().__init__(settings, admission)

    async def close(self) -> None:
        """Close all channels."""
        await asyncio.gather(super().close(), *(api.close() for api in self._apis.values()))

    async def check(self) -> None:
        """Raise RemoteError unless every region answers."""
        await asyncio.gather(*(api.check() for api in self._apis.values()))

    async def create_conversation(self, submission: CiSubmission) -> CiConversation:
        """Create it; ALREADY_EXISTS when the id is taken."""
        region = self._region(submission.conversation_id)
        return await self._seen(region, await self._apis[region].create_conversation(submission))

    async def get_conversation(self, conversation_id: str) -> CiConversation | None:
        """Return it in the FULL view, or None when no region holds it."""
        first = self._region(conversation_id)
        for region in dict.fromkeys((first, *self._regions)):
            if (held := await self._apis[region].get_conversation(conversation_id)) is not None:
                return await self._seen(region, held)
        return None

    async def update_conversation(self, submission: CiSubmission) -> CiConversation:
        """Make everything but the transcript equal to the submission."""
        region = self._region(submission.conversation_id)
        return await self._seen(region, await self._apis[region].update_conversation(submission))

    async def set_labels(self, conversation_id: str, labels: Mapping[str, str]) -> None:
        """Make the labels equal to these, and change nothing else."""
        await self._of(conversation_id).set_labels(conversation_id, labels)

    async def delete_conversation(self, conversation_id: str) -> None:
        """Delete it wherever it is; no error when it's gone."""
        every = (api.delete_conversation(conversation_id) for api in self._apis.values())
        await asyncio.gather(*every)
        self._elsewhere.pop(conversation_id, None)

    async def list_conversations(self, filter_: str, page_token: str = "") -> Page[CiConversation]:
        """Return a page of one region."""

        async def read(region: Region, token: str) -> Page[CiConversation]:
            page = await self._apis[region].list_conversations(filter_, token)
            return Page([await self._seen(region, held) for held in page.items], page.next_token)

        return await self._page(page_token, read)

    async def list_ids(self, page_token: str = "") -> Page[str]:
        """Return a page of the ids of one region, the newest first."""
        return await self._page(
            page_token, lambda region, token: self._apis[region].list_ids(token)
        )

    async def list_analyses(self, conversation_id: str) -> Sequence[CiAnalysisState]:
        """Return every analysis of the conversation, newest first."""
        return await self._of(conversation_id).list_analyses(conversation_id)

    async def create_analysis(self, conversation_id: str, selector: Selector) -> CiOperation:
        """Start an analysis. Not idempotent, and billed."""
        region = self._region(conversation_id)
        await self._learn(region)
        own = _renamed(selector, self._own_ids[region])
        return self._started(region, await self._apis[region].create_analysis(conversation_id, own))

    async def running_analysis(self, conversation_id: str) -> CiOperation | None:
        """Return the operation that analyses the conversation now, or None."""
        region = self._region(conversation_id)
        found = await self._apis[region].running_analysis(conversation_id)
        return None if found is None else self._started(region, found)

    async def running_bulk_analysis(self) -> CiOperation | None:
        """Return the bulk analyses that run in the regions now as one, or None."""
        found = await asyncio.gather(*(api.running_bulk_analysis() for api in self._apis.values()))
        running = [
            self._started(region, operation)
            for region, operation in zip(self._regions, found, strict=True)
            if operation is not None
        ]
        return _together(running) if running else None

    async def bulk_analyze(self, filter_: str, selector: Selector) -> CiOperation:
        """Start an analysis of all that the filter admits, in every region."""

        async def start(region: Region) -> CiOperation:
            await self._learn(region)
            own = _renamed(selector, self._own_ids[region])
            return self._started(region, await self._apis[region].bulk_analyze(filter_, own))

        return _together(await asyncio.gather(*map(start, self._regions)))

    async def get_operation(self, name: str) -> CiOperation:
        """Return the operation's state, or of several that one call began."""
        if _AND in name:
            return _together(await asyncio.gather(*map(self.get_operation, name.split(_AND))))
        region = self._begun.get(name) or self._region_in(name)
        state = await self._apis[region].get_operation(name)
        if state.is_done:
            self._begun.pop(name, None)
        return state

    async def list_matchers(self) -> Sequence[CiMatcher]:
        """Return the home's; SettingsError where ours differ in another region."""
        at_home = await self._home.list_matchers()
        newest = {each.applied.display_name: each.applied for each in _ours(at_home)}
        wanted = {each.definition for each in _ours(at_home)}
        for region in self._regions[1:]:
            held = _ours(await self._apis[region].list_matchers())
            if {each.definition for each in held} != wanted:
                raise _differs(region, "phrase matchers", "matchers")
            for each in held:
                home = newest[each.applied.display_name]
                # An analysis is as new as the region that was changed last.
                revised_at = max(home.revised_at, each.applied.revised_at)
                newest[home.display_name] = dataclasses.replace(home, revised_at=revised_at)
        return [
            dataclasses.replace(each, applied=newest[each.applied.display_name])
            if is_ours(each.version_tag)
            else each
            for each in at_home
        ]

    async def list_scorecard_revisions(self) -> Sequence[LiveRevision]:
        """Return the home's; SettingsError where others of ours are deployed in another region."""
        at_home = await self._home.list_scorecard_revisions()
        for region in self._regions[1:]:
            held = await self._apis[region].list_scorecard_revisions()
            if deployed_of_ours(held) != deployed_of_ours(at_home):
                raise _differs(region, "scorecards", "scorecards")
        return at_home

    async def list_models(self) -> Sequence[LiveModel]:
        """Return the home's; SettingsError where others of ours are deployed in another region."""
        at_home = await self._home.list_models()
        wanted = _deployed(at_home)
        for region in self._regions[1:]:
            held = _deployed(await self._apis[region].list_models())
            if held.keys() != wanted.keys():
                raise _differs(region, "topic models", "topics")
        return at_home

    async def list_labels(self) -> Sequence[CiLabel]:
        """Return the feedback labels of all conversations."""
        found = await asyncio.gather(*(api.list_labels() for api in self._apis.values()))
        return [label for labels in found for label in labels]

    async def create_label(self, label: WantedLabel) -> None:
        """Label a conversation; NOT_FOUND without it, ALREADY_EXISTS when the id is taken."""
        await self._of(label.conversation_id).create_label(label)

    async def update_label(self, label: WantedLabel) -> None:
        """Make a label of ours say what is wanted."""
        await self._of(label.conversation_id).update_label(label)

    def _region(self, conversation_id: str) -> Region:
        found = self._elsewhere.get(conversation_id)
        return found or region_of(conversation_id, self._regions)

    def _of(self, conversation_id: str) -> GrpcInsights:
        return self._apis[self._region(conversation_id)]

    def _region_in(self, name: str) -> Region:
        """Return the region that a resource name says, by its location where it says a number."""
        near = [each for each in self._regions if f"/locations/{each.location}/" in name]
        exact = [each for each in near if name.startswith(f"{each.parent}/")]
        return (exact or near or self._regions)[0]

    async def _learn(self, region: Region) -> None:
        """Learn which matchers and models of the region are the home's, by their names."""
        async with self._learning:
            if region in self._learned:
                return
            at_home, own = await _named_ids(self._home), await _named_ids(self._apis[region])
            self._own_ids[region] = {id_: own[name] for name, id_ in at_home.items() if name in own}
            self._learned.add(region)

    async def _seen(self, region: Region, held: CiConversation) -> CiConversation:
        """Note where it is; return it with the home's ids in the selector of its analysis."""
        if region != region_of(held.conversation_id, self._regions):
            self._elsewhere[held.conversation_id] = region
        latest = held.latest_analysis
        if latest is None:
            return held
        await self._learn(region)
        homes = {own: home for home, own in self._own_ids[region].items()}
        known = dataclasses.replace(latest, selector=_renamed(latest.selector, homes))
        return dataclasses.replace(held, latest_analysis=known)

    def _started(self, region: Region, operation: CiOperation) -> CiOperation:
        if not operation.is_done:
            self._begun[operation.name] = region
        return operation

    async def _page[Item](
        self, page_token: str, read: Callable[[Region, str], Awaitable[Page[Item]]]
    ) -> Page[Item]:
        """Return the page of a token `region:token`; after a region's last comes the next one's."""
        number, _, token = page_token.partition(":")
        here = int(number or 0)
        page = await read(self._regions[here], token)
        if page.next_token:
            return Page(page.items, f"{here}:{page.next_token}")
        is_last = here + 1 == len(self._regions)
        return Page(page.items, "" if is_last else f"{here + 1}:")


def _ours(matchers: Iterable[CiMatcher]) -> list[CiMatcher]:
    return [each for each in matchers if is_ours(each.version_tag)]


async def _named_ids(api: GrpcInsights) -> dict[tuple[str, str], str]:
    """Return the ids of our matchers and models, by kind and name."""
    matchers = _ours(await api.list_matchers())
    ids = {("matcher", each.applied.display_name): each.applied.matcher_id for each in matchers}
    models = _deployed(await api.list_models())
    return ids | {("model", name): id_ for name, id_ in models.items()}


def _deployed(models: Iterable[LiveModel]) -> dict[str, str]:
    """Return the ids of our models that analyses use, by name."""
    return {
        each.display_name: each.model_id for each in models if each.is_ours and each.is_deployed
    }


def _differs(region: Region, what: str, command: str) -> SettingsError:
    name = f"{region.project_id}/{region.location}"
    return SettingsError(
        f"Insights' {what} in {name} aren't those of the first region",
        f"make them equal, then run again: INGEST_REGION={name} ingest {command} apply",
    )


def _renamed(selector: Selector, ids: Mapping[str, str]) -> Selector:
    rename: Callable[[str], str] = lambda id_: ids.get(id_, id_)  # noqa: E731 - used twice
    return dataclasses.replace(
        selector,
        phrase_matchers=frozenset(map(rename, selector.phrase_matchers)),
        issue_models=frozenset(map(rename, selector.issue_models)),
    )


def _together(operations: Sequence[CiOperation]) -> CiOperation:
    """Return several operations as one: done when all are, failed as the first that failed."""
    counts: Counter[str] = Counter()
    for each in operations:
        counts.update(each.counts)
    failed = next((each for each in operations if each.error_code), operations[0])
    return CiOperation(
        _AND.join(each.name for each in operations),
        all(each.is_done for each in operations),
        failed.error_code,
        failed.error_message,
        counts,
        tuple(error for each in operations for error in each.partial_errors),
    )
