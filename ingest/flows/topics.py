"""Makes the topic models of Insights equal to the seed, trains and deploys them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ingest.domain.as_code import ChangeKind
from ingest.domain.conversation import TOPICS_PREFIX, sha256_hex
from ingest.domain.costs import USD_PER_TOPICS
from ingest.domain.raw_records import ANY_PARTITION, CI_CONVERSATIONS, PIPELINE_EVENTS
from ingest.domain.topics import (
    FEWEST_CONVERSATIONS,
    FEWEST_EXCHANGES,
    LiveModel,
    ModelChange,
    TopicModel,
    exchanges,
    parse_topics,
    plan,
    trained_name,
)
from ingest.errors import InputError, RemoteError
from ingest.flows.analysis import wait_for_operation
from ingest.flows.attempts import Attempts, admitted, every_item
from ingest.flows.services import Services
from ingest.flows.steps import log_change
from ingest.ports.move import CiConversation, CiOperation, InsightsApi, RawSink
from ingest.ports.quality import QualityApi


@dataclass(frozen=True)
class ModelOutcome:
    """What became of one change; `error` is None when Insights holds what was wanted."""

    change: ModelChange
    error: RemoteError | None = None


@dataclass(frozen=True)
class TopicCost:
    """Landed conversations that have topics of models, and what labelling them again costs."""

    conversation_count: int

    @property
    def usd(self) -> float:
        """US dollars beside the analyses."""
        return round(self.conversation_count * USD_PER_TOPICS, 2)


def read_topics(seeds_dir: Path) -> tuple[TopicModel, ...]:
    """Return the definitions of `topics.csv`."""
    try:
        return parse_topics((seeds_dir / "topics.csv").read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"no topics.csv in {seeds_dir}", "run at the repository root, or set INGEST_SEEDS_DIR"
        ) from error


async def held_models(api: QualityApi, attempts: Attempts) -> list[LiveModel]:
    """Return all topic models with their topics."""
    found = []
    for model in (await attempts.run(api.list_models)).value:
        topics = (await attempts.run(partial(api.list_topics, model.model_id))).value
        found.append(replace(model, topics=tuple(topics)))
    return found


async def plan_topics(
    api: QualityApi, attempts: Attempts, definitions: Sequence[TopicModel]
) -> tuple[ModelChange, ...]:
    """Return what apply would do."""
    return plan(definitions, await held_models(api, attempts))


async def with_topics(sink: RawSink, attempts: Attempts) -> TopicCost:
    """Return how many landed conversations have topics of any model in their newest state."""
    sql = f"""
        select count(*) as conversation_count
        from (
            select payload
            from {sink.table(CI_CONVERSATIONS)}
            where {ANY_PARTITION} and conversation_id not in (
                select conversation_id from {sink.table(PIPELINE_EVENTS)}
                where {ANY_PARTITION} and step = 'forget'
            )
            qualify row_number() over (
                partition by conversation_id order by ci_updated_at desc, _landed_at desc
            ) = 1
        )
        where json_query(
            payload, '$.latestAnalysis.analysisResult.callAnalysisMetadata.issueModelResult'
        ) is not null
    """
    rows = (await attempts.run(partial(sink.query, sql, {}))).value
    return TopicCost(int(rows[0]["conversation_count"]))


class ApplyingTopics:
    """Changes topic models in Insights; every step may be killed and done again."""

    def __init__(
        self, services: Services, attempts: Attempts, run_id: str, timeout_sec: float
    ) -> None:
        self._services = services
        self._api = services.quality
        self._attempts = attempts
        self._run_id = run_id
        self._timeout_sec = timeout_sec

    async def apply(self, definitions: Sequence[TopicModel]) -> list[ModelOutcome]:
        """Make a model of each taxonomy that Insights lacks; deploy nothing."""
        return [
            await self._outcome(change)
            for change in await plan_topics(self._api, self._attempts, definitions)
        ]

    async def train(self, name: str, language: str, filter_: str) -> LiveModel:
        """Have Insights train a model; InputError without enough conversations."""
        wanted = trained_name(name)
        if await self._named(wanted) is not None:
            raise InputError(f"Insights has a trained model {name!r}", "give it another name")
        await check_minimum(self._services.insights, self._attempts, filter_)

        async def start() -> CiOperation | None:
            # Creating it isn't idempotent, and an answer may be lost.
            if await self._named(wanted) is not None:
                return None
            return await self._api.train_model(wanted, language, filter_)

        await self._end("train topic model", name, start)
        made = await self._named(wanted)
        if made is None:
            raise RemoteError("Insights: the trained model isn't there", code="DATA_LOSS")
        return made

    async def deploy(self, model: LiveModel) -> list[str]:
        """Let analyses use the model in place of those of ours with its name; return their ids."""
        if not model.is_deployed:
            await self._end(
                "deploy topic model",
                model.model_id,
                partial(self._api.deploy_model, model.model_id),
            )
        older = [
            each
            for each in (await self._attempts.run(self._api.list_models)).value
            if each.is_ours
            and each.name == model.name
            and each.is_deployed
            and each.model_id != model.model_id
        ]
        return [await self.undeploy(each) for each in older]

    async def undeploy(self, model: LiveModel) -> str:
        """Let no analysis use the model any more; return its id."""
        undeploy = partial(self._api.undeploy_model, model.model_id)
        await self._end("undeploy topic model", model.model_id, undeploy)
        return model.model_id

    async def _outcome(self, change: ModelChange) -> ModelOutcome:
        try:
            if change.kind is ChangeKind.DELETE and change.model_id:
                delete = partial(self._api.delete_model, change.model_id)
                await self._end("delete topic model", change.model_id, delete)
            elif change.kind is not ChangeKind.KEEP and change.definition:
                await self._import(change.definition)
        except RemoteError as error:
            return ModelOutcome(change, error)
        return ModelOutcome(change)

    async def _import(self, wanted: TopicModel) -> None:
        content = wanted.file()
        sha256 = sha256_hex(content)
        name = f"{TOPICS_PREFIX}{sha256}.json"
        store = self._services.store

        async def start() -> CiOperation | None:
            if await self._named(wanted.display_name) is not None:
                return None
            if await store.stat(name) is None:
                await store.put(
                    name,
                    content,
                    content_type="application/json",
                    content_sha256=sha256,
                    if_generation_match=0,
                )
            return await self._api.import_model(f"gs://{store.bucket}/{name}")

        await self._end("import topic model", wanted.name, start)

    async def _end(
        self, what: str, resource: str, start: Callable[[], Awaitable[CiOperation | None]]
    ) -> None:
        operation = (await self._attempts.run(start)).value
        if operation is not None:
            await wait_for_operation(
                self._services.insights,
                self._services.clock,
                self._attempts,
                operation,
                self._timeout_sec,
            )
        log_change(what, self._run_id, resource=resource)

    async def _named(self, display_name: str) -> LiveModel | None:
        models = (await self._attempts.run(self._api.list_models)).value
        return next((each for each in models if each.display_name == display_name), None)


def chosen_model(
    models: Sequence[LiveModel], name: str, definitions: Sequence[TopicModel]
) -> LiveModel:
    """Return our model of that name: of the seed's content where it defines one, else trained."""
    wanted = [each.display_name for each in definitions if each.name == name] or [
        trained_name(name)
    ]
    for model in models:
        if model.display_name == wanted[0]:
            return model
    raise InputError(
        f"Insights has no topic model {name!r} as it is defined now",
        "run `ingest topics apply` or `ingest topics train` first",
    )


async def check_minimum(insights: InsightsApi, attempts: Attempts, filter_: str) -> None:
    """Raise InputError unless the filter admits enough conversations that are long enough."""
    listed = every_item(attempts, lambda token: insights.list_conversations(filter_, token))
    count = 0
    async for conversation in admitted(listed, filter_):
        count += exchanges(_roles(conversation)) >= FEWEST_EXCHANGES
        if count == FEWEST_CONVERSATIONS:
            return
    raise InputError(
        f"{count} conversations have {FEWEST_EXCHANGES} exchanges or more, and training takes "
        f"{FEWEST_CONVERSATIONS}",
        "push more, widen the filter, or define topics in seeds/topics.csv",
    )


def _roles(conversation: CiConversation) -> list[str]:
    segments = conversation.payload.get("transcript", {}).get("transcriptSegments", ())
    return [part.get("segmentParticipant", {}).get("role", "") for part in segments]
