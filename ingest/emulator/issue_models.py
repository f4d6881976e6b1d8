"""Topic models (issue models) and their issues: trained, kept, deployed, exported and imported.

States are documented: UNDEPLOYED, DEPLOYING, DEPLOYED, UNDEPLOYING, DELETING. What a model knows
are phrase lists (`analysis/topics.py`), which stand in for Google's model.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf import json_format

from ingest.emulator import protos
from ingest.emulator.analysis.topics import Topic, Trainer, phrases_of, topic_finder
from ingest.emulator.analysis.turns import Turn, read_turns
from ingest.emulator.cloud_storage import parse_uri
from ingest.emulator.context import Context
from ingest.emulator.conversations import ConversationStore
from ingest.emulator.errors import failed_precondition, invalid
from ingest.emulator.filters import CONVERSATION_FIELDS, compile_filter
from ingest.emulator.issue_model_file import ModelFile, model_file
from ingest.emulator.operation_store import StoredOperation
from ingest.emulator.operations import Kind, OperationEngine, Outcome, Running
from ingest.emulator.quotas import DEPLOYED_MODELS, MODELS
from ingest.emulator.request_fields import UpdateRule
from ingest.emulator.resources import ResourceName, Resources
from ingest.emulator.wire import add_rest_fields

FEWEST_CONVERSATIONS, FEWEST_TURNS, MOST_CONVERSATIONS = 100, 5, 10_000
"""What training takes (documentation: at least 100 conversations with 5 turns, up to 10,000)."""
_LANGUAGES = ("en", "fr", "de", "it", "es", "pt")
_CHUNK = 20
"""Conversations of a training between two chances for other calls."""
_Model = protos.message_class("IssueModel")
_Issue = protos.message_class("Issue")
_Stats = protos.message_class("IssueModelLabelStats")
_STATES = _Model.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_name
UNDEPLOYED, DEPLOYING, DEPLOYED, UNDEPLOYING, DELETING = (
    _STATES[name].number
    for name in ("UNDEPLOYED", "DEPLOYING", "DEPLOYED", "UNDEPLOYING", "DELETING")
)
_TYPE_V2 = 2
_MODEL_UPDATE = UpdateRule(_Model, updatable=("display_name",))
_ISSUE_UPDATE = UpdateRule(_Issue, updatable=("display_name", "display_description"))


class IssueModelStore:
    """Finds models, their issues and what is deployed; callers own the transactions."""

    def __init__(self, context: Context) -> None:
        self._db = context.database
        self.models = Resources(context, _Model, "issueModels")
        self.issues = Resources(context, _Issue, "issueModels", "issues")
        self._deployments = Resources(context, _Model, "issueModelDeployments")

    def topics(self, model: ResourceName) -> tuple[Topic, ...]:
        """Return what a model's issues look for."""
        return tuple(
            Topic(
                issue.name,
                issue.display_name,
                phrases_of(issue.display_name, issue.display_description),
            )
            for issue in self.issues.every(model)
        )

    def deployed(self, location: str) -> list[ResourceName]:
        """Return the names of the deployed models, the one deployed last at the end."""
        found = self._deployments.every(ResourceName(location, "", "", ""))
        return [
            ResourceName(location, "", "issueModels", each.name.rpartition("/")[2])
            for each in found
        ]

    def set_state(self, name: ResourceName, state: int, now: int) -> None:
        """Change a model's state, if it is there, and whether it counts as deployed."""
        model = self.models.find(name)
        if model is None:
            return
        was = name in self.deployed(name.location)
        if state == DEPLOYED and not was:
            self._deployments.insert(self._deployment(name), _Model())
        elif state == UNDEPLOYED and was:
            self._deployments.delete(self._deployment(name))
        model.state = state
        model.update_time.CopyFrom(protos.timestamp(now))
        self.models.replace(name, model)

    def delete(self, name: ResourceName) -> None:
        """Forget a model, its issues and what it learned from."""
        if name in self.deployed(name.location):
            self._deployments.delete(self._deployment(name))
        self._forget_training(name)
        self.models.delete(name)

    def put_issues(self, model: ResourceName, issues: list[tuple[str, protos.Pb]]) -> None:
        """Keep (id, Issue) as a model's issues, in place of those it had and of its training."""
        self._forget_training(model)
        for issue in self.issues.every(model):
            self.issues.delete(self.issues.name(issue.name))
        for issue_id, issue in issues:
            self.issues.insert(ResourceName(model.location, model.path, "issues", issue_id), issue)

    def put_training_labels(self, model: ResourceName, labels: dict[int, list[str]]) -> None:
        """Keep what training found in each conversation, by its seq; see `labels_of`."""
        parent_id = self._db.parent_id(model.location)
        self._db.connection.executemany(
            "insert into training_labels values (?, ?, ?, ?)",
            [
                (parent_id, model.id, seq, orjson.dumps(found).decode())
                for seq, found in labels.items()
            ],
        )

    def stats(self, model: ResourceName) -> protos.Pb:
        """Return the labels of a model: those of latest analyses, and of training where the latest
        analysis isn't by this model."""
        rows = self._db.execute(
            "select issues, count(*) from ("
            " select c.issues from conversations c where c.parent_id = ? and c.issues ->> 0 = ?"
            " union all select t.issues from training_labels t"
            " join conversations c on c.seq = t.conversation_seq"
            " where t.parent_id = ? and t.model_id = ? and coalesce(c.issues ->> 0, '') != ?"
            ") group by issues",
            (*(self._db.parent_id(model.location), model.id) * 2, model.id),
        )
        counted = [(orjson.loads(labels), int(count)) for labels, count in rows]
        return label_stats(model.id, self.issues.every(model), counted)

    def _forget_training(self, model: ResourceName) -> None:
        self._db.execute(
            "delete from training_labels where parent_id = ? and model_id = ?",
            (self._db.parent_id(model.location), model.id),
        )

    def _deployment(self, model: ResourceName) -> ResourceName:
        return ResourceName(model.location, "", "issueModelDeployments", model.id)


def labels_of(model_id: str, issues: list[str]) -> list[str]:
    """Return what is kept of a conversation's topics: the model's id, then `model/issue` ids.

    `issues` are resource names.
    """
    return [model_id, *(f"{model_id}/{issue.rpartition('/')[2]}" for issue in issues)]


def label_stats(
    model_id: str, issues: list[protos.Pb], counted: list[tuple[Any, int]]
) -> protos.Pb:
    """Return IssueModelLabelStats of (labels, number of conversations); see `labels_of`."""
    stats = _Stats()
    keys = {f"{model_id}/{issue.name.rpartition('/')[2]}": issue for issue in issues}
    for issue in issues:
        stats.issue_stats[issue.name].issue = issue.name
        stats.issue_stats[issue.name].display_name = issue.display_name
    for labels, count in counted:
        stats.analyzed_conversations_count += count
        known = [keys[label].name for label in labels if label in keys]
        stats.unclassified_conversations_count += 0 if known else count
        for name in known:
            stats.issue_stats[name].labeled_conversations_count += count
    return stats


class IssueModelMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(self, context: Context, operations: OperationEngine) -> None:
        self._context = context
        self._store = IssueModelStore(context)
        self._conversations = ConversationStore(context.database)
        self._operations = operations
        for name, work in (
            ("CreateIssueModel", self._create),
            ("ExportIssueModel", self._export),
            ("ImportIssueModel", self._import),
        ):
            operations.register(_kind(name, in_background=work))
        for name, at_once, failed in (
            ("DeployIssueModel", self._deploy, UNDEPLOYED),
            ("UndeployIssueModel", self._undeploy, DEPLOYED),
            ("DeleteIssueModel", self._delete, None),
        ):
            operations.register(_kind(name, at_once=at_once, on_failure=self._back_to(failed)))

    async def create_issue_model(self, request: protos.Pb) -> protos.Pb:
        """Start the training of a model; it is there when the operation has ended (assumed)."""
        parent = self._context.names.location(request.parent)
        model = request.issue_model
        _check(model)
        usable = len(self._training(parent, model))
        if usable < FEWEST_CONVERSATIONS:
            raise failed_precondition(
                f"Training needs {FEWEST_CONVERSATIONS} conversations with {FEWEST_TURNS} turns or"
                f" more; issue_model.input_data_config selects {usable}."
            )
        self._check_room(parent, 1)
        self._operations.check_bulk(parent, "CreateIssueModel")
        return await self._start("CreateIssueModel", parent, request)

    async def get_issue_model(self, request: protos.Pb) -> protos.Pb:
        """Return a model."""
        return self._store.models.get(self._store.models.name(request.name))

    async def list_issue_models(self, request: protos.Pb) -> protos.Pb:
        """Return all models, the oldest first (assumed); the list has no pages."""
        owner = self._store.models.owner(request.parent)
        reply = protos.message_class("ListIssueModelsResponse")()
        reply.issue_models.extend(self._store.models.every(owner))
        return reply

    async def update_issue_model(self, request: protos.Pb) -> protos.Pb:
        """Change a model's display name; the rest is made by training."""
        given = request.issue_model
        name = self._store.models.name(given.name)
        paths = request.update_mask.paths
        model = self._store.models.updated(_MODEL_UPDATE, name, given, paths)
        model.update_time.CopyFrom(self._now())
        self._store.models.replace(name, model)
        return model

    async def delete_issue_model(self, request: protos.Pb) -> protos.Pb:
        """Start to forget a model, deployed or not (assumed)."""
        name = self._resting(request.name)
        return await self._change("DeleteIssueModel", name, DELETING, request)

    async def deploy_issue_model(self, request: protos.Pb) -> protos.Pb:
        """Start to deploy a model; a deployed one is refused (documented)."""
        name = self._resting(request.name)
        if self._store.models.get(name).state == DEPLOYED:
            raise failed_precondition(f"Issue model '{name}' is deployed already.")
        self._check_deployed(name.location)
        return await self._change("DeployIssueModel", name, DEPLOYING, request)

    async def undeploy_issue_model(self, request: protos.Pb) -> protos.Pb:
        """Start to undeploy a model; one that isn't deployed stays so (assumed)."""
        name = self._resting(request.name)
        return await self._change("UndeployIssueModel", name, UNDEPLOYING, request)

    async def export_issue_model(self, request: protos.Pb) -> protos.Pb:
        """Start to write a model and its issues into a file."""
        name = self._store.models.name(request.name)
        self._store.models.get(name)
        parse_uri(request.gcs_destination.object_uri)
        return await self._start("ExportIssueModel", name.location, request)

    async def import_issue_model(self, request: protos.Pb) -> protos.Pb:
        """Start to read a model and its issues from a file."""
        parent = self._context.names.location(request.parent)
        parse_uri(request.gcs_source.object_uri)
        return await self._start("ImportIssueModel", parent, request)

    async def calculate_issue_model_stats(self, request: protos.Pb) -> protos.Pb:
        """Return how many conversations have each issue, in training and in analyses."""
        name = self._store.models.name(request.issue_model, "issue_model")
        self._store.models.get(name)
        reply = protos.message_class("CalculateIssueModelStatsResponse")()
        reply.current_stats.CopyFrom(self._store.stats(name))
        return reply

    async def get_issue(self, request: protos.Pb) -> protos.Pb:
        """Return an issue."""
        return self._store.issues.get(self._store.issues.name(request.name))

    async def list_issues(self, request: protos.Pb) -> protos.Pb:
        """Return all issues of a model, in the order they were made (assumed)."""
        owner = self._store.issues.owner(request.parent)
        self._store.models.get(owner)
        reply = protos.message_class("ListIssuesResponse")()
        reply.issues.extend(self._store.issues.every(owner))
        return reply

    async def update_issue(self, request: protos.Pb) -> protos.Pb:
        """Change an issue's name or description, and so its phrases."""
        given = request.issue
        name = self._store.issues.name(given.name)
        paths = request.update_mask.paths
        issue = self._store.issues.updated(_ISSUE_UPDATE, name, given, paths)
        issue.update_time.CopyFrom(self._now())
        self._store.issues.replace(name, issue)
        return issue

    async def delete_issue(self, request: protos.Pb) -> protos.Pb:
        """Forget an issue."""
        name = self._store.issues.name(request.name)
        owner = self._store.issues.owner(request.name.rpartition("/issues/")[0])
        with self._context.database.transaction():
            self._store.issues.delete(name)
            model = self._store.models.get(owner)
            model.issue_count -= 1
            model.update_time.CopyFrom(self._now())
            self._store.models.replace(owner, model)
        return protos.Empty()

    async def _start(self, kind: str, location: str, request: protos.Pb) -> protos.Pb:
        metadata = protos.message_class(f"{kind}Metadata")(request=request)
        return await self._operations.start(kind, location, request, metadata)

    async def _change(
        self, kind: str, name: ResourceName, state: int, request: protos.Pb
    ) -> protos.Pb:
        with self._context.database.transaction():
            self._store.set_state(name, state, self._context.clock.now())
        return await self._start(kind, name.location, request)

    def _resting(self, given: str) -> ResourceName:
        """Return the name of a model whose state isn't changing."""
        name = self._store.models.name(given)
        if self._store.models.get(name).state not in (UNDEPLOYED, DEPLOYED):
            raise failed_precondition(f"The state of issue model '{name}' is changing.")
        return name

    def _deploy(self, running: Running) -> Outcome:
        return self._ended(running, DEPLOYED)

    def _undeploy(self, running: Running) -> Outcome:
        return self._ended(running, UNDEPLOYED)

    def _ended(self, running: Running, state: int) -> Outcome:
        name = self._store.models.name(running.request.name)
        self._store.models.get(name)
        self._store.set_state(name, state, self._context.clock.now())
        return Outcome(protos.message_class(f"{running.kind}Response")())

    def _delete(self, running: Running) -> Outcome:
        self._store.delete(self._store.models.name(running.request.name))
        return Outcome(protos.Empty())

    def _back_to(self, state: int | None) -> Callable[[StoredOperation, int], None]:
        """Return what gives a model its state back; None stands for the one that it had."""

        def restore(operation: StoredOperation, code: int) -> None:
            request = protos.message_class(f"{operation.kind}Request").FromString(operation.request)
            name = self._store.models.name(request.name)
            was = DEPLOYED if name in self._store.deployed(name.location) else UNDEPLOYED
            before = was if state is None else state
            with self._context.database.transaction():
                self._store.set_state(name, before, self._context.clock.now())

        return restore

    def _training(self, parent: str, model: protos.Pb) -> list[int]:
        """Return the conversations that a model learns from, the newest 10,000."""
        config = model.input_data_config
        condition = compile_filter(config.filter, CONVERSATION_FIELDS)
        sql, parameters = f"({condition.sql}) and c.turn_count >= ?", condition.parameters
        parameters += (FEWEST_TURNS,)
        if config.medium:
            sql, parameters = f"{sql} and c.medium = ?", (*parameters, config.medium)
        parent_id = self._context.database.parent_id(parent)
        return self._conversations.matching(parent_id, sql, parameters)[-MOST_CONVERSATIONS:]

    async def _create(self, running: Running) -> Outcome:
        """Train a model; one that an earlier process has kept already is the response."""
        name = _made_name(running, "issueModels")
        kept = self._store.models.find(name)
        if kept is not None:
            return Outcome(kept)
        seqs = self._training(running.parent, running.request.issue_model)
        trainer = Trainer()
        for number, seq in enumerate(seqs, start=1):
            trainer.add(self._turns(seq))
            if number % _CHUNK == 0:
                await asyncio.sleep(0)
        issues = [
            (_made_id(running, number), self._new_issue(each.display_name, each.description))
            for number, each in enumerate(trainer.topics(), start=1)
        ]
        model = self._new_model(running.request.issue_model, len(issues))
        model.input_data_config.training_conversations_count = len(seqs)
        for issue_id, issue in issues:
            issue.name = f"{name}/issues/{issue_id}"
        labels = await self._labels(name, [issue for _, issue in issues], seqs)
        counted = [(found, 1) for found in labels.values()]
        model.training_stats.CopyFrom(label_stats(name.id, [issue for _, issue in issues], counted))
        with self._context.database.transaction():
            self._store.models.insert(name, model)
            self._store.put_issues(name, issues)
            self._store.put_training_labels(name, labels)
        return Outcome(model)

    async def _labels(
        self, model: ResourceName, issues: list[protos.Pb], seqs: list[int]
    ) -> dict[int, list[str]]:
        finder = topic_finder(
            tuple(
                Topic(each.name, each.display_name, phrases_of("", each.display_description))
                for each in issues
            )
        )
        labels: dict[int, list[str]] = {}
        for number, seq in enumerate(seqs, start=1):
            found = finder.find(self._turns(seq))
            names = [finder.topics[index].issue for index in found.scores]
            labels[seq] = labels_of(model.id, names)
            if number % _CHUNK == 0:
                await asyncio.sleep(0)
        return labels

    def _turns(self, seq: int) -> list[Turn]:
        """Return a conversation's turns, none when it was deleted meanwhile."""
        if not self._conversations.read([seq]):
            return []
        return read_turns(self._conversations.transcript(seq))

    async def _export(self, running: Running) -> Outcome:
        """Write the model as JSON: of the form only `issues` and their names are known."""
        name = self._store.models.name(running.request.name)
        model = self._store.models.get(name)
        uri = parse_uri(running.request.gcs_destination.object_uri)
        await self._context.objects.write(uri, model_file(model, self._store.issues.every(name)))
        return Outcome(protos.message_class("ExportIssueModelResponse")())

    async def _import(self, running: Running) -> Outcome:
        """Keep the model of a file: under new ids, or in place of the model with its id."""
        uri = parse_uri(running.request.gcs_source.object_uri)
        file = ModelFile(await self._context.objects.read(uri))
        is_new = running.request.create_new_model or not file.model_id
        made = _made_name(running, "issueModels")
        name = made if is_new else ResourceName(made.location, "", "issueModels", file.model_id)
        issues = [
            ((not is_new and own_id) or _made_id(running, number), self._new_issue(*texts))
            for number, (own_id, *texts) in enumerate(file.issues, start=1)
        ]
        model = self._store.models.find(name)
        if model is None:
            self._check_room(running.parent, 1)
            model = self._new_model(file.model, len(issues))
            with self._context.database.transaction():
                self._store.models.insert(name, model)
                self._store.put_issues(name, issues)
        else:
            self._resting(str(name))
            model.display_name = file.model.display_name
            model.issue_count = len(issues)
            model.ClearField("training_stats")
            model.update_time.CopyFrom(self._now())
            with self._context.database.transaction():
                self._store.models.replace(name, model)
                self._store.put_issues(name, issues)
        response = protos.message_class("ImportIssueModelResponse")()
        add_rest_fields(response, {"issueModel": json_format.MessageToDict(model)})
        return Outcome(response)

    def _new_model(self, given: protos.Pb, issue_count: int) -> protos.Pb:
        now = self._now()
        return _Model(
            display_name=given.display_name,
            create_time=now,
            update_time=now,
            issue_count=issue_count,
            state=UNDEPLOYED,
            input_data_config=given.input_data_config,
            model_type=given.model_type or _TYPE_V2,
            language_code=given.language_code or "en-US",
        )

    def _new_issue(self, display_name: str, description: str) -> protos.Pb:
        now = self._now()
        return _Issue(
            display_name=display_name,
            display_description=description,
            create_time=now,
            update_time=now,
        )

    def _check_room(self, location: str, further: int) -> None:
        models = self._store.models.every(ResourceName(location, "", "", ""))
        self._context.switches.quotas.check_number(MODELS, len(models) + further)

    def _check_deployed(self, location: str) -> None:
        models = self._store.models.every(ResourceName(location, "", "", ""))
        used = sum(model.state in (DEPLOYING, DEPLOYED, UNDEPLOYING) for model in models)
        self._context.switches.quotas.check_number(DEPLOYED_MODELS, used + 1)

    def _now(self) -> protos.Pb:
        return protos.timestamp(self._context.clock.now())


def _check(model: protos.Pb) -> None:
    """Types and languages are documented; a model without them is of type V2 and English
    (assumed)."""
    if model.model_type not in (0, 1, _TYPE_V2):
        raise invalid(f"Invalid issue_model.model_type {model.model_type}: use TYPE_V2.")
    if model.language_code and model.language_code.partition("-")[0] not in _LANGUAGES:
        raise invalid(
            f"Invalid issue_model.language_code '{model.language_code}': use one of"
            f" {', '.join(_LANGUAGES)}."
        )
    if model.input_data_config.medium not in (0, 1, 2):
        raise invalid("Invalid issue_model.input_data_config.medium: use PHONE_CALL or CHAT.")


def _kind(name: str, **work: Any) -> Kind:
    messages = (protos.message_class(f"{name}{part}") for part in ("Request", "Metadata"))
    return Kind(name, *messages, **work)


def _made_id(running: Running, number: int) -> str:
    """Return an id for what an operation makes; the same when it is taken up again."""
    content = f"{running.operation_id}/{number}".encode()
    return str(int.from_bytes(hashlib.sha256(content).digest()[:8]))


def _made_name(running: Running, collection: str) -> ResourceName:
    return ResourceName(running.parent, "", collection, _made_id(running, 0))
