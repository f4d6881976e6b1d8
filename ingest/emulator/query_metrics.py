"""QueryMetrics: measures over the conversations of a window, whole or by one dimension.

Measures come from conversations and their latest analyses, as they are stored. A dimension that a
conversation has several times (agents, issues, questions) counts it in each of its slices.
"""

from __future__ import annotations

import asyncio
import calendar
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import orjson

from ingest.emulator import protos
from ingest.emulator.context import Context
from ingest.emulator.conversations import ConversationStore
from ingest.emulator.errors import invalid
from ingest.emulator.filters import CONVERSATION_FIELDS, Condition, Vocabulary, compile_filter
from ingest.emulator.operations import Kind, OperationEngine, Outcome, Running
from ingest.emulator.request_fields import FIRST_MICROS, LAST_MICROS
from ingest.emulator.wire import add_rest_fields, rest_fields

_KIND = "QueryMetrics"
_CHUNK = 50
"""Conversations between two chances for other calls."""
_DAY_US = 86_400_000_000
_Request = protos.message_class(f"{_KIND}Request")
_Metadata = protos.message_class(f"{_KIND}Metadata")
_Response = protos.message_class(f"{_KIND}Response")
_Dimension = protos.message_class("Dimension")
_Slice = _Response.Slice
_Point = _Slice.DataPoint
_MEASURES = tuple(_Point.ConversationMeasure.DESCRIPTOR.fields_by_name)
_ALIASES = {"count": "conversation_count"}
"""The documented example of a mask names a field that isn't there."""
_KEYS = _Dimension.DESCRIPTOR.fields_by_name["dimension_key"].enum_type
_DESCRIPTIONS = {"issue_display_name", "agent_display_name", "agent_team", "question_body"}
_DAILY, _HOURLY, _MINUTE, _FIVE_MINUTES, _MONTHLY = 2, 3, 4, 5, 6
_STEPS = {_DAILY: 86_400, _HOURLY: 3_600, _MINUTE: 60, _FIVE_MINUTES: 300}
_CUSTOMER_CHANNEL, _AGENT_CHANNEL = 1, 2


@dataclass(frozen=True, slots=True)
class Facts:
    """What a conversation adds to the measures; None where it says nothing."""

    create_us: int
    duration_us: int | None = None
    turn_count: int | None = None
    satisfaction: int | None = None
    silence: float | None = None
    agent_sentiment: float | None = None
    client_sentiment: float | None = None
    qa_scores: tuple[float, ...] = ()
    tag_scores: tuple[tuple[str, float], ...] = ()
    question_scores: tuple[float, ...] = ()


@dataclass(slots=True)
class _Group:
    """The conversations of one slice."""

    dimension: protos.Pb | None
    facts: list[Facts] = field(default_factory=list)


class QueryMetricsMethods:
    """The method, by its RPC name in snake case."""

    def __init__(self, context: Context, operations: OperationEngine) -> None:
        self._context = context
        self._store = ConversationStore(context.database)
        self._operations = operations
        operations.register(Kind(_KIND, _Request, _Metadata, in_background=self._query))

    async def query_metrics(self, request: protos.Pb) -> protos.Pb:
        """Start the query; its filter must bound create_time on both sides (documented)."""
        location = self._context.names.location(request.location, "location")
        window_of(request.filter)
        if request.time_granularity not in (0, 1, _MONTHLY, *_STEPS):
            raise invalid(
                f"Invalid time_granularity {request.time_granularity}: it is no known one."
            )
        if len(request.dimensions) > 1:
            raise invalid("Invalid dimensions: one is supported at most.")
        for dimension in request.dimensions:
            if _key(dimension) not in DIMENSIONS:
                raise invalid(
                    f"Invalid dimensions[0].dimension_key: use one of {', '.join(DIMENSIONS)}."
                )
        measures(request.measure_mask.paths)
        return await self._operations.start(_KIND, location, request, _Metadata())

    async def _query(self, running: Running) -> Outcome:
        request = running.request
        window, condition = window_of(request.filter)
        first, end = (moment // _DAY_US * _DAY_US for moment in window)
        key = _key(request.dimensions[0]) if request.dimensions else ""
        groups: dict[tuple[str, ...], _Group] = {} if key else {(): _Group(None)}
        seqs = self._store.matching(
            self._context.database.parent_id(running.parent),
            f"({condition.sql}) and c.create_us >= ? and c.create_us < ?",
            (*condition.parameters, first, end),
        )
        for number, seq in enumerate(seqs, start=1):
            for stored in self._store.read([seq]):
                conversation = protos.Conversation.FromString(stored.basic())
                for name, dimension, facts in _slices(conversation, key):
                    groups.setdefault(name, _Group(dimension)).facts.append(facts)
            if number % _CHUNK == 0:
                await asyncio.sleep(0)
        reply = _Response(
            location=running.parent, update_time=protos.timestamp(self._context.clock.now())
        )
        wanted = measures(request.measure_mask.paths)
        for name in sorted(groups):
            _fill(reply.slices.add(), groups[name], window, request.time_granularity, wanted)
        if key:
            _average(reply.macro_average_slice, list(reply.slices), window)
        return Outcome(reply)


def window_of(text: str) -> tuple[tuple[int, int], Condition]:
    """Return the bounds of create_time in a filter, in microseconds, and its other conditions.

    Raises INVALID_ARGUMENT unless there is a lower and an upper bound.
    """
    lower: list[int] = []
    upper: list[int] = []

    def bound(key: str, comparator: str, value: str) -> Condition:
        condition = CONVERSATION_FIELDS.fields["create_time"](key, comparator, value)
        if comparator not in (">", ">=", "<", "<="):
            return condition
        (lower if comparator.startswith(">") else upper).append(int(condition.parameters[0]))
        return Condition()

    fields = {**CONVERSATION_FIELDS.fields, "create_time": bound}
    condition = compile_filter(text, Vocabulary(fields, CONVERSATION_FIELDS.prefixes))
    if not lower or not upper:
        raise invalid(
            'Invalid filter: it must bound create_time, as create_time>="2025-12-01T00:00:00Z"'
            ' AND create_time<"2026-01-01T00:00:00Z".'
        )
    bounds = max(FIRST_MICROS, *lower), min(LAST_MICROS, *upper)
    return bounds, condition


def measures(mask: Iterable[str]) -> frozenset[str]:
    """Return the measures of a mask, all without one; raise INVALID_ARGUMENT for another path."""
    paths = [*mask]
    found: set[str] = set()
    for path in paths:
        prefix, _, name = path.partition(".")
        name = _ALIASES.get(name, name)
        if prefix != "conversation_measure" or name not in ("", *_MEASURES):
            raise invalid(
                f"Invalid measure_mask path '{path}': use conversation_measure, or one of its"
                f" fields {', '.join(_MEASURES)}."
            )
        found.update([name] if name else _MEASURES)
    return frozenset(found) if paths else frozenset(_MEASURES)


def _facts(conversation: protos.Pb) -> Facts:
    result = conversation.latest_analysis.analysis_result.call_analysis_metadata
    overall = {each.channel_tag: each.sentiment_data.score for each in result.sentiments}
    scorecards = result.qa_scorecard_results
    return Facts(
        create_us=protos.timestamp_micros(conversation.create_time),
        duration_us=protos.duration_micros(conversation.duration) or None,
        turn_count=conversation.turn_count,
        satisfaction=conversation.quality_metadata.customer_satisfaction_rating or None,
        silence=result.silence.silence_percentage if result.HasField("silence") else None,
        agent_sentiment=overall.get(_AGENT_CHANNEL),
        client_sentiment=overall.get(_CUSTOMER_CHANNEL),
        qa_scores=tuple(each.normalized_score for each in scorecards if each.normalized_score),
        tag_scores=tuple(
            (each.tag, each.normalized_score)
            for scorecard in scorecards
            for each in scorecard.qa_tag_results
            if each.HasField("normalized_score")
        ),
    )


def _slices(
    conversation: protos.Pb, key: str
) -> Iterator[tuple[tuple[str, ...], protos.Pb | None, Facts]]:
    """Yield (name, dimension, facts) for each slice that counts the conversation."""
    facts = _facts(conversation)
    if not key:
        yield (), None, facts
        return
    seen: set[tuple[str, ...]] = set()
    for dimension, further in DIMENSIONS[key](conversation):
        name = _name(dimension)
        if name and name not in seen:
            seen.add(name)
            _set_key(dimension, key)
            yield name, dimension, replace(facts, **further)


def _key(dimension: protos.Pb) -> str:
    """Return the key of a dimension by name; REST knows more of them than gRPC."""
    known = _KEYS.values_by_number.get(dimension.dimension_key)
    return str(rest_fields(dimension).get("dimensionKey", known.name if known else ""))


def _set_key(dimension: protos.Pb, key: str) -> None:
    if key in _KEYS.values_by_name:
        dimension.dimension_key = _KEYS.values_by_name[key].number
    else:
        add_rest_fields(dimension, {**rest_fields(dimension), "dimensionKey": key})


def _name(dimension: protos.Pb) -> tuple[str, ...]:
    """Return what tells dimensions apart: ids, or names where there are none."""
    kind = dimension.WhichOneof("dimension_metadata")
    fields = getattr(dimension, kind).ListFields() if kind else ()
    values = {field.name: value for field, value in fields}
    ids = {name: value for name, value in values.items() if name not in _DESCRIPTIONS}
    further = rest_fields(dimension)
    return (
        *(f"{name}={value}" for name, value in (ids or values).items()),
        *(orjson.dumps(further[each]).decode() for each in sorted(further)),
    )


Dimensions = Iterator[tuple[protos.Pb, dict[str, Any]]]
"""Dimensions of a conversation, each with the facts that are its own."""


def _result(conversation: protos.Pb) -> protos.Pb:
    return conversation.latest_analysis.analysis_result.call_analysis_metadata


def _further(metadata: str, **values: str) -> protos.Pb:
    """Return a dimension that only REST knows."""
    dimension = _Dimension()
    add_rest_fields(dimension, {metadata: values})
    return dimension


def _issues(conversation: protos.Pb) -> Dimensions:
    result = _result(conversation).issue_model_result
    for issue in result.issues:
        dimension = _Dimension()
        metadata = dimension.issue_dimension_metadata
        metadata.issue_id = issue.issue.rpartition("/")[2]
        metadata.issue_display_name = issue.display_name
        metadata.issue_model_id = result.issue_model.rpartition("/")[2]
        yield dimension, {}


def _issue_names(conversation: protos.Pb) -> Dimensions:
    for issue in _result(conversation).issue_model_result.issues:
        dimension = _Dimension()
        dimension.issue_dimension_metadata.issue_display_name = issue.display_name
        yield dimension, {}


def _agents(conversation: protos.Pb) -> Dimensions:
    """Each agent of the quality metadata, or else the conversation's own."""
    agents = conversation.quality_metadata.agent_info
    for agent in agents:
        dimension = _Dimension()
        metadata = dimension.agent_dimension_metadata
        metadata.agent_id, metadata.agent_display_name = agent.agent_id, agent.display_name
        metadata.agent_team = next(iter(agent.teams), agent.team)
        yield dimension, {}
    if not agents and conversation.agent_id:
        dimension = _Dimension()
        dimension.agent_dimension_metadata.agent_id = conversation.agent_id
        yield dimension, {}


def _teams(conversation: protos.Pb) -> Dimensions:
    for agent in conversation.quality_metadata.agent_info:
        for team in agent.teams or filter(None, [agent.team]):
            dimension = _Dimension()
            dimension.agent_dimension_metadata.agent_team = team
            yield dimension, {}


def _scorecards(conversation: protos.Pb) -> Dimensions:
    """Scorecards whatever their revision (documented), the last result of each (assumed)."""
    scores = {
        result.qa_scorecard_revision.split("/")[5]: result.normalized_score
        for result in _result(conversation).qa_scorecard_results
    }
    for scorecard_id, score in scores.items():
        dimension = _further("qaScorecardDimensionMetadata", qaScorecardId=scorecard_id)
        yield dimension, {"qa_scores": (score,) if score else ()}


def _questions(conversation: protos.Pb) -> Dimensions:
    """Questions whatever the scorecard's revision (documented)."""
    for answer in _answers(conversation):
        dimension, value = _Dimension(), answer.answer_value
        _set_question(dimension.qa_question_dimension_metadata, answer)
        is_scored = value.HasField("normalized_score")
        yield dimension, {"question_scores": (value.normalized_score,) if is_scored else ()}


def _question_answers(conversation: protos.Pb) -> Dimensions:
    for answer in _answers(conversation):
        dimension = _Dimension()
        metadata = dimension.qa_question_answer_dimension_metadata
        _set_question(metadata, answer)
        metadata.answer_value = _answer_text(answer.answer_value)
        yield dimension, {}


def _answers(conversation: protos.Pb) -> Iterator[protos.Pb]:
    for result in _result(conversation).qa_scorecard_results:
        yield from result.qa_answers


def _set_question(metadata: protos.Pb, answer: protos.Pb) -> None:
    parts = answer.qa_question.split("/")
    metadata.qa_scorecard_id, metadata.qa_question_id = parts[5], parts[-1]
    metadata.question_body = answer.question_body


def _medium(conversation: protos.Pb) -> Dimensions:
    names = protos.Conversation.DESCRIPTOR.fields_by_name["medium"].enum_type.values_by_number
    yield _further("mediumDimensionMetadata", medium=names[conversation.medium].name), {}


def _labels(*parts: str) -> Callable[[protos.Pb], Dimensions]:
    """Return the dimensions of a label's key, its value, or both."""

    def dimensions(conversation: protos.Pb) -> Dimensions:
        for key, value in sorted(conversation.labels.items()):
            label = {"labelKey": key, "labelValue": value}
            chosen = {part: label[part] for part in parts}
            yield _further("labelDimensionMetadata", **chosen), {}

    return dimensions


def _none(conversation: protos.Pb) -> Dimensions:
    """No conversation here comes from Dialogflow or has a supervisor."""
    yield from ()


DIMENSIONS: Mapping[str, Callable[[protos.Pb], Dimensions]] = {
    "ISSUE": _issues,
    "ISSUE_NAME": _issue_names,
    "AGENT": _agents,
    "AGENT_TEAM": _teams,
    "QA_SCORECARD_ID": _scorecards,
    "QA_QUESTION_ID": _questions,
    "QA_QUESTION_ANSWER_VALUE": _question_answers,
    "MEDIUM": _medium,
    "LABEL_KEY": _labels("labelKey"),
    "LABEL_VALUE": _labels("labelValue"),
    "LABEL_KEY_AND_VALUE": _labels("labelKey", "labelValue"),
    "CONVERSATION_PROFILE_ID": _none,
    "CONVERSATIONAL_AGENTS_PLAYBOOK_ID": _none,
    "CONVERSATIONAL_AGENTS_PLAYBOOK_NAME": _none,
    "CONVERSATIONAL_AGENTS_TOOL_ID": _none,
    "CONVERSATIONAL_AGENTS_TOOL_NAME": _none,
    "AGENT_ASSIST_SUPERVISOR_ID": _none,
    "LAST_TRANSFER_SUB_AGENT_NAME": _none,
}
"""How a conversation is counted, by key; those that aren't here need what nobody documents."""


def _answer_text(value: protos.Pb) -> str:
    """Return an answer as text (its form is assumed)."""
    kind = value.WhichOneof("value")
    if kind in (None, "na_value"):
        return "N/A"
    found = getattr(value, kind)
    if kind == "bool_value":
        return "true" if found else "false"
    return f"{found:g}" if kind == "num_value" else str(found)


def _fill(
    target: protos.Pb,
    group: _Group,
    window: tuple[int, int],
    granularity: int,
    wanted: frozenset[str],
) -> None:
    """Fill a slice: its total, and a series with the steps in which there are conversations."""
    if group.dimension is not None:
        target.dimensions.add().CopyFrom(group.dimension)
    _measure(target.total, group.facts, window, wanted)
    if granularity not in (_MONTHLY, *_STEPS):
        return
    steps: defaultdict[tuple[int, int], list[Facts]] = defaultdict(list)
    for facts in group.facts:
        steps[step_of(facts.create_us, granularity)].append(facts)
    for step in sorted(steps):
        _measure(target.time_series.data_points.add(), steps[step], step, wanted)


def step_of(micros: int, granularity: int) -> tuple[int, int]:
    """Return begin and end, in microseconds, of the step of a series that holds a moment; UTC."""
    if granularity != _MONTHLY:
        length = _STEPS[granularity] * 1_000_000
        begin = micros // length * length
        return begin, begin + length
    day = dt.datetime.fromtimestamp(micros // 1_000_000, dt.UTC)
    first = dt.datetime(day.year, day.month, 1, tzinfo=dt.UTC)
    days = calendar.monthrange(day.year, day.month)[1]
    begin = int(first.timestamp()) * 1_000_000
    return begin, begin + days * _DAY_US


def _measure(
    point: protos.Pb, facts: list[Facts], interval: tuple[int, int], wanted: frozenset[str]
) -> None:
    point.interval.start_time.CopyFrom(protos.timestamp(interval[0]))
    point.interval.end_time.CopyFrom(protos.timestamp(interval[1]))
    tags: defaultdict[str, list[float]] = defaultdict(list)
    for tag, score in (pair for each in facts for pair in each.tag_scores):
        tags[tag].append(score)
    values = {
        "conversation_count": len(facts),
        "average_silence_percentage": _mean(each.silence for each in facts),
        "average_duration": _mean(each.duration_us for each in facts),
        "average_turn_count": _mean(each.turn_count for each in facts),
        "average_agent_sentiment_score": _mean(each.agent_sentiment for each in facts),
        "average_client_sentiment_score": _mean(each.client_sentiment for each in facts),
        "average_customer_satisfaction_rating": _mean(each.satisfaction for each in facts),
        "average_qa_normalized_score": _mean(s for each in facts for s in each.qa_scores),
        "average_qa_question_normalized_score": _mean(
            score for each in facts for score in each.question_scores
        ),
        "qa_tag_scores": {tag: fmean(scores) for tag, scores in sorted(tags.items())},
    }
    _set(point.conversation_measure, values, wanted)


def _set(measure: protos.Pb, values: dict[str, Any], wanted: frozenset[str]) -> None:
    """Set the measures that are wanted and that some conversation says something of."""
    measure.SetInParent()
    for name, value in values.items():
        if value is None or name not in wanted:
            continue
        if name == "average_duration":
            measure.average_duration.CopyFrom(protos.duration(round(value)))
        elif name == "qa_tag_scores":
            for tag, score in value.items():
                measure.qa_tag_scores.add(tag=tag, average_tag_normalized_score=score)
        else:
            setattr(measure, name, value)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _average(target: protos.Pb, slices: list[protos.Pb], window: tuple[int, int]) -> None:
    """Fill the macro average: each measure's mean over the slices that have it."""
    _average_point(target.total, [each.total for each in slices], window)
    steps: defaultdict[tuple[int, int], list[protos.Pb]] = defaultdict(list)
    for point in (point for each in slices for point in each.time_series.data_points):
        interval = point.interval
        times = (interval.start_time, interval.end_time)
        begin, end = (protos.timestamp_micros(each) for each in times)
        steps[begin, end].append(point)
    for step in sorted(steps):
        _average_point(target.time_series.data_points.add(), steps[step], step)


def _average_point(target: protos.Pb, points: list[protos.Pb], interval: tuple[int, int]) -> None:
    target.interval.start_time.CopyFrom(protos.timestamp(interval[0]))
    target.interval.end_time.CopyFrom(protos.timestamp(interval[1]))
    known: defaultdict[str, list[float]] = defaultdict(list)
    tags: defaultdict[str, list[float]] = defaultdict(list)
    for measure in (point.conversation_measure for point in points):
        for name, value in ((found.name, value) for found, value in measure.ListFields()):
            if name == "qa_tag_scores":
                for each in value:
                    tags[each.tag].append(each.average_tag_normalized_score)
            elif name == "average_duration":
                known[name].append(protos.duration_micros(value))
            else:
                known[name].append(value)
    values: dict[str, Any] = {name: fmean(found) for name, found in known.items()}
    if "conversation_count" in values:
        values["conversation_count"] = round(values["conversation_count"])
    values["qa_tag_scores"] = {tag: fmean(found) for tag, found in sorted(tags.items())}
    _set(target.conversation_measure, values, frozenset(_MEASURES))
