"""Topic models as code: a taxonomy in `topics.csv`, or a model that Insights trains by itself.

Insights keeps no description of a model, so its display name carries our mark and a hash of what it
looks for: another taxonomy is another model, as another set of questions is another revision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ingest.domain.as_code import OWNERSHIP_MARKER, ChangeKind, csv_rows
from ingest.domain.conversation import canonical_json, json_sha256
from ingest.errors import InputError

FEWEST_CONVERSATIONS = 100
FEWEST_EXCHANGES = 5
"""What training takes: so many conversations of so many exchanges each."""
TOPIC_COLUMNS = ("issue_model", "language_code", "topic", "description")
_TRAINED = "trained"
_NAME = re.compile(rf"(.+) \[{OWNERSHIP_MARKER}:([0-9a-z]+)\]")
_DIGITS = 12


class ModelState(StrEnum):
    """How far a model has come, under Insights' own names."""

    STATE_UNSPECIFIED = "STATE_UNSPECIFIED"
    UNDEPLOYED = "UNDEPLOYED"
    DEPLOYING = "DEPLOYING"
    DEPLOYED = "DEPLOYED"
    UNDEPLOYING = "UNDEPLOYING"
    DELETING = "DELETING"


@dataclass(frozen=True)
class Topic:
    """One topic of a model."""

    name: str
    description: str


@dataclass(frozen=True)
class TopicModel:
    """A taxonomy: what a model looks for."""

    name: str
    language_code: str
    topics: tuple[Topic, ...]

    @property
    def display_name(self) -> str:
        """The name in Insights: whose it is and what it looks for."""
        content = [self.language_code, *([each.name, each.description] for each in self.topics)]
        return f"{self.name} [{OWNERSHIP_MARKER}:{json_sha256(content)[:_DIGITS]}]"

    def file(self) -> bytes:
        """Return the file that Insights imports.

        Of its form only `issues` with names and descriptions are known; the rest is assumed.
        """
        issues = [
            {"displayName": each.name, "displayDescription": each.description}
            for each in self.topics
        ]
        return canonical_json(
            {
                "displayName": self.display_name,
                "languageCode": self.language_code,
                "issues": issues,
            }
        )


@dataclass(frozen=True)
class LiveModel:
    """A topic model as Insights holds it."""

    model_id: str
    display_name: str
    state: ModelState
    language_code: str
    topics: tuple[Topic, ...] = ()

    @property
    def name(self) -> str:
        """What it is called without our mark."""
        found = _NAME.fullmatch(self.display_name)
        return found[1] if found else self.display_name

    @property
    def is_ours(self) -> bool:
        """Whether it carries our mark."""
        return _NAME.fullmatch(self.display_name) is not None

    @property
    def is_trained(self) -> bool:
        """Whether Insights has trained it for us."""
        found = _NAME.fullmatch(self.display_name)
        return found is not None and found[2] == _TRAINED

    @property
    def is_deployed(self) -> bool:
        """Whether analyses use it."""
        return self.state is ModelState.DEPLOYED


@dataclass(frozen=True)
class ModelChange:
    """One model, what apply does to it, and how its topics differ from those that analyses use."""

    kind: ChangeKind
    name: str
    definition: TopicModel | None
    model_id: str | None
    is_deployed: bool
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def is_drift(self) -> bool:
        """Whether Insights differs from the seed, in what it holds or in what it uses."""
        return self.kind is not ChangeKind.KEEP or not self.is_deployed


@dataclass(frozen=True)
class TopicCount:
    """How many conversations a topic was assigned to."""

    topic: str
    conversation_count: int


@dataclass(frozen=True)
class ModelStats:
    """What a model has found in all conversations that it was asked about."""

    analysed_count: int
    unclassified_count: int
    topics: tuple[TopicCount, ...]


def trained_name(name: str) -> str:
    """Return the display name of a model that Insights trains for us."""
    return f"{name} [{OWNERSHIP_MARKER}:{_TRAINED}]"


def deployed_models(models: Iterable[LiveModel]) -> frozenset[str]:
    """Return the ids of our models that analyses use."""
    return frozenset(each.model_id for each in models if each.is_ours and each.is_deployed)


def parse_topics(text: str) -> tuple[TopicModel, ...]:
    """Return the models that the CSV defines; raise InputError that names the bad row."""
    file = "topics.csv"
    models: dict[str, list[dict[str, str]]] = {}
    for number, row in enumerate(csv_rows(file, text, TOPIC_COLUMNS), 2):
        own = models.setdefault(row["issue_model"], [])
        fault = _fault(row, own)
        if fault:
            raise InputError(f"{file}, line {number}: {fault}", "compare with the other rows")
        own.append(row)
    return tuple(
        TopicModel(
            name,
            rows[0]["language_code"],
            tuple(Topic(row["topic"], row["description"]) for row in rows),
        )
        for name, rows in models.items()
    )


def _fault(row: Mapping[str, str], own: Sequence[Mapping[str, str]]) -> str:
    if not row["issue_model"].strip() or "[" in row["issue_model"]:
        return f"{row['issue_model']!r} can't be the name of a model"
    if not row["topic"].strip():
        return "a row has no topic"
    if any(row["topic"] == each["topic"] for each in own):
        return f"the model has the topic {row['topic']!r} twice"
    if any(row["language_code"] != each["language_code"] for each in own):
        return "the model has two languages"
    return ""


def plan(definitions: Sequence[TopicModel], live: Iterable[LiveModel]) -> tuple[ModelChange, ...]:
    """Return what makes Insights equal to the definitions.

    A changed taxonomy is a new model. One of ours that no seed defines goes, unless analyses use it
    or Insights has trained it. The names of models of others may be the same: they stay.
    """
    ours = [each for each in sorted(live, key=lambda each: each.model_id) if each.is_ours]
    changes, kept = [], set[str]()
    for wanted in definitions:
        found = next((each for each in ours if each.display_name == wanted.display_name), None)
        if found:
            kept.add(found.model_id)
        changes.append(_change(wanted, found, [each for each in ours if each.name == wanted.name]))
    changes += [
        ModelChange(
            ChangeKind.DELETE,
            each.name,
            None,
            each.model_id,
            is_deployed=False,
            removed=tuple(topic.name for topic in each.topics),
        )
        for each in ours
        if each.model_id not in kept and not each.is_trained and each.state is ModelState.UNDEPLOYED
    ]
    return tuple(changes)


def _change(wanted: TopicModel, found: LiveModel | None, named: list[LiveModel]) -> ModelChange:
    used = next((each for each in named if each.is_deployed), None)
    old = {topic.name: topic.description for topic in used.topics} if used else {}
    new = {topic.name: topic.description for topic in wanted.topics}
    return ModelChange(
        ChangeKind.KEEP if found else (ChangeKind.UPDATE if named else ChangeKind.CREATE),
        wanted.name,
        wanted,
        found.model_id if found else None,
        found is not None and found.is_deployed,
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
        tuple(name for name in new if name in old and new[name] != old[name]),
    )


def exchanges(roles: Iterable[str]) -> int:
    """Return how often the two sides of a talk took turns: customer and agent, back and forth."""
    runs, before = 0, None
    for role in roles:
        side = role == "END_USER"
        if side != before:
            runs, before = runs + 1, side
    return runs // 2
