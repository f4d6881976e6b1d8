"""Feedback labels: people's answers to questions of scorecards, and topics of conversations.

Bulk files: no document that could be read names their columns or records. JSON is taken as one
FeedbackLabel in proto3 JSON a line (assumed); CSV is refused rather than invented.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from google.protobuf import json_format

from ingest.emulator import protos
from ingest.emulator.cloud_storage import parse_uri
from ingest.emulator.context import Context
from ingest.emulator.conversations import ConversationStore
from ingest.emulator.database import Database
from ingest.emulator.errors import ApiError, already_exists, invalid, not_found, unimplemented
from ingest.emulator.filters import CONVERSATION_FIELDS, LABEL_FIELDS, compile_filter
from ingest.emulator.operations import Kind, OperationEngine, Outcome, Running
from ingest.emulator.request_fields import (
    UpdateRule,
    copy_field,
    decode_token,
    encode_token,
    page_size,
)
from ingest.emulator.resources import ResourceName, Resources
from ingest.emulator.rest_json import read_message
from ingest.emulator.wire import rest_fields

_UPLOAD, _DOWNLOAD = "BulkUploadFeedbackLabels", "BulkDownloadFeedbackLabels"
_DEFAULT_PAGE, _LARGEST_REPLY = 100, 1000
_CSV, _JSON = 1, 2
_LABELED = "feedback_label.labeled_resource"
_Label = protos.message_class("FeedbackLabel")
_UPDATE = UpdateRule(_Label, updatable=("label", "qa_answer_label", "labeled_resource"))
_RESOURCE = re.compile(
    r"projects/[^/]+/locations/[^/]+/(?:qaScorecards/(?P<scorecard>[^/]+)/revisions/[^/]+"
    r"/qaQuestions/(?P<question>[^/]+)|issueModels/(?P<model>[^/]+)|generators/[^/]+)"
)


class FeedbackLabelStore:
    """Reads and writes labels; they go with their conversation."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def write(self, conversation_seq: int, name: ResourceName, label: protos.Pb) -> None:
        """Keep a new or changed label."""
        found = _RESOURCE.fullmatch(label.labeled_resource)
        assert found is not None  # noqa: S101 (checked before)
        self._db.execute(
            "insert into feedback_labels (parent_id, conversation_seq, conversation_id, label_id,"
            " create_us, update_us, type, question_id, scorecard_id, model_id, body)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " on conflict (conversation_seq, label_id) do update set"
            " update_us = excluded.update_us, type = excluded.type,"
            " question_id = excluded.question_id, scorecard_id = excluded.scorecard_id,"
            " model_id = excluded.model_id,"
            " body = excluded.body",
            (
                *(self._db.parent_id(name.location), conversation_seq),
                *(name.owner.rpartition("/")[2], name.id),
                protos.timestamp_micros(label.create_time),
                protos.timestamp_micros(label.update_time),
                "TOPIC_MODELING" if label.WhichOneof("label_type") == "label" else "QUALITY_AI",
                *(found["question"] or "", found["scorecard"] or "", found["model"] or ""),
                label.SerializeToString(),
            ),
        )

    def find(self, conversation_seq: int, label_id: str) -> protos.Pb | None:
        """Return a label, or None."""
        row = self._db.execute(
            "select body from feedback_labels where conversation_seq = ? and label_id = ?",
            (conversation_seq, label_id),
        ).fetchone()
        return None if row is None else _Label.FromString(row[0])

    def delete(self, conversation_seq: int, label_id: str) -> None:
        """Forget a label."""
        self._db.execute(
            "delete from feedback_labels where conversation_seq = ? and label_id = ?",
            (conversation_seq, label_id),
        )

    def select(
        self, where: str, parameters: tuple[Any, ...], after: int = 0, limit: int = -1
    ) -> list[tuple[int, protos.Pb]]:
        """Return (seq, label) in the order they were made."""
        rows = self._db.execute(
            f"select seq, body from feedback_labels f where seq > ? and {where}"
            " order by seq limit ?",
            (after, *parameters, limit),
        )
        return [(int(seq), _Label.FromString(body)) for seq, body in rows]


class FeedbackLabelMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(self, context: Context, operations: OperationEngine) -> None:
        self._context = context
        self._conversations = ConversationStore(context.database)
        self._labels = FeedbackLabelStore(context.database)
        self._names = Resources(context, _Label, "conversations", "feedbackLabels")
        self._questions = Resources(
            context, protos.message_class("QaQuestion"), "qaScorecards", "revisions", "qaQuestions"
        )
        self._models = Resources(context, protos.message_class("IssueModel"), "issueModels")
        self._operations = operations
        for kind, work in ((_UPLOAD, self._upload), (_DOWNLOAD, self._download)):
            operations.register(
                Kind(
                    kind,
                    protos.message_class(f"{kind}Request"),
                    protos.message_class(f"{kind}Metadata"),
                    in_background=work,
                )
            )

    async def create_feedback_label(self, request: protos.Pb) -> protos.Pb:
        """Keep a label of a conversation."""
        owner = self._names.owner(request.parent)
        seq = self._conversation(owner)
        name = self._names.new_name(owner, request.feedback_label_id)
        label = _Label()
        label.CopyFrom(request.feedback_label)
        self._check(label)
        if self._labels.find(seq, name.id) is not None:
            raise already_exists(str(name))
        self._keep_new(seq, name, label)
        return label

    async def get_feedback_label(self, request: protos.Pb) -> protos.Pb:
        """Return a label."""
        return self._find(self._names.name(request.name))[1]

    async def list_feedback_labels(self, request: protos.Pb) -> protos.Pb:
        """Return a page of a conversation's labels; `-` stands for every conversation (assumed)."""
        owner = self._names.owner(request.parent)
        reply = protos.message_class("ListFeedbackLabelsResponse")()
        if owner.id == "-":
            return self._page(request, reply, owner.location, "1", ())
        seq = self._conversation(owner)
        return self._page(request, reply, owner.location, "conversation_seq = ?", (seq,))

    async def list_all_feedback_labels(self, request: protos.Pb) -> protos.Pb:
        """Return a page of a location's labels."""
        location = self._context.names.location(request.parent)
        reply = protos.message_class("ListAllFeedbackLabelsResponse")()
        return self._page(request, reply, location, "1", ())

    async def update_feedback_label(self, request: protos.Pb) -> protos.Pb:
        """Change what the mask names; it is required (documented)."""
        if not request.update_mask.paths:
            raise invalid("update_mask is required.")
        given = request.feedback_label
        name = self._names.name(given.name)
        seq, current = self._find(name)
        label = _Label()
        label.CopyFrom(current)
        is_whole = "*" in request.update_mask.paths
        for path in _UPDATE.paths(current, given, request.update_mask.paths):
            if not is_whole or path == "labeled_resource" or given.WhichOneof("label_type") == path:
                copy_field(label, given, path)
        self._check(label)
        label.update_time.CopyFrom(protos.timestamp(self._context.clock.now()))
        with self._context.database.transaction():
            self._labels.write(seq, name, label)
        return label

    async def delete_feedback_label(self, request: protos.Pb) -> protos.Pb:
        """Forget a label."""
        name = self._names.name(request.name)
        seq, _ = self._find(name)
        with self._context.database.transaction():
            self._labels.delete(seq, name.id)
        return protos.Empty()

    async def bulk_upload_feedback_labels(self, request: protos.Pb) -> protos.Pb:
        """Start the upload of the labels in a file."""
        parent = self._context.names.location(request.parent)
        _check_file(request.gcs_source)
        metadata = protos.message_class(f"{_UPLOAD}Metadata")(request=request)
        return await self._operations.start(_UPLOAD, parent, request, metadata)

    async def bulk_download_feedback_labels(self, request: protos.Pb) -> protos.Pb:
        """Start the download of the labels that match into files."""
        parent = self._context.names.location(request.parent)
        _check_file(request.gcs_destination)
        if request.template_qa_scorecard_id:
            raise unimplemented("A template for labelling")
        if request.max_download_count < 0 or request.gcs_destination.records_per_file_count < 0:
            raise invalid("Counts must not be negative.")
        _wanted_type(request)
        compile_filter(request.filter, LABEL_FIELDS)
        compile_filter(request.conversation_filter, CONVERSATION_FIELDS)
        metadata = protos.message_class(f"{_DOWNLOAD}Metadata")(request=request)
        return await self._operations.start(_DOWNLOAD, parent, request, metadata)

    async def _upload(self, running: Running) -> Outcome:
        """Keep each line's label; a bad one is a partial error."""
        request, stats = running.request, running.metadata.upload_stats
        content = await self._context.objects.read(parse_uri(request.gcs_source.object_uri))
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            stats.processed_object_count += 1
            try:
                self._upload_one(line, running)
                stats.successful_upload_count += not request.validate_only
            except ApiError as error:
                stats.failed_validation_count += 1
                status = error.status()
                status.message = f"Line {number}: {status.message}"
                running.metadata.partial_errors.append(status)
        return Outcome(protos.message_class(f"{_UPLOAD}Response")())

    def _upload_one(self, line: bytes, running: Running) -> None:
        fault = self._context.switches.faults.draw("partial", _UPLOAD)
        if fault is not None:
            raise fault.error()
        label = _Label()
        try:
            read_message(orjson.loads(line), label)
        except orjson.JSONDecodeError as error:
            raise invalid(f"Not valid JSON ({error.msg}).") from error
        name = self._names.name(label.name)
        if name.location != running.parent:
            raise invalid(f"Label '{label.name}' lies in another location.")
        seq = self._conversation(self._names.owner(label.name.rpartition("/feedbackLabels/")[0]))
        self._check(label)
        if not running.request.validate_only:
            self._keep_new(seq, name, label)

    async def _download(self, running: Running) -> Outcome:
        request, stats = running.request, running.metadata.download_stats
        destination = request.gcs_destination
        wanted = compile_filter(request.filter, LABEL_FIELDS)
        within = compile_filter(request.conversation_filter, CONVERSATION_FIELDS)
        where = (
            f"f.parent_id = ? and ({wanted.sql}) and exists (select 1 from conversations c"
            f" where c.seq = f.conversation_seq and ({within.sql}))"
        )
        parameters = (
            *(self._context.database.parent_id(running.parent),),
            *(*wanted.parameters, *within.parameters),
        )
        label_type = _wanted_type(request)
        if label_type:
            where += " and f.type = ?"
            parameters += (label_type,)
        limit = request.max_download_count or -1
        labels = [label for _, label in self._labels.select(where, parameters, limit=limit)]
        size = destination.records_per_file_count or max(len(labels), 1)
        parts = [labels[start : start + size] for start in range(0, len(labels), size)] or [[]]
        for number, part in enumerate(parts):
            suffix = f"-{number}" if len(parts) > 1 else ""
            uri = parse_uri(f"{destination.object_uri}{suffix}.json")
            await self._context.objects.write(uri, _lines(part, destination))
            stats.file_names.append(str(uri))
        stats.processed_object_count = stats.successful_download_count = len(labels)
        stats.total_files_written = len(parts)
        return Outcome(protos.message_class(f"{_DOWNLOAD}Response")())

    def _page(
        self,
        request: protos.Pb,
        reply: protos.Pb,
        location: str,
        where: str,
        parameters: tuple[Any, ...],
    ) -> protos.Pb:
        query = (location, where, parameters, request.filter)
        position = decode_token(query, request.page_token, 1)
        limit = page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        condition = compile_filter(request.filter, LABEL_FIELDS)
        found = self._labels.select(
            f"f.parent_id = ? and {where} and ({condition.sql})",
            (self._context.database.parent_id(location), *parameters, *condition.parameters),
            position[0] if position else 0,
            limit + 1,
        )
        reply.feedback_labels.extend(label for _, label in found[:limit])
        if len(found) > limit:
            reply.next_page_token = encode_token(query, (found[limit - 1][0],))
        return reply

    def _keep_new(self, seq: int, name: ResourceName, label: protos.Pb) -> None:
        now = protos.timestamp(self._context.clock.now())
        label.name = str(name)
        label.create_time.CopyFrom(now)
        label.update_time.CopyFrom(now)
        with self._context.database.transaction():
            self._labels.write(seq, name, label)

    def _conversation(self, owner: ResourceName) -> int:
        parent_id = self._context.database.parent_id(owner.location)
        seq = self._conversations.seq_of(parent_id, owner.id)
        if seq is None:
            raise not_found(str(owner))
        return seq

    def _check(self, label: protos.Pb) -> None:
        """Refuse a label that isn't whole, and one of a question or a model that isn't there."""
        found = _parts(label)
        if found["question"]:
            self._questions.get(self._questions.name(label.labeled_resource, _LABELED))
        elif found["model"]:
            self._models.get(self._models.name(label.labeled_resource, _LABELED))

    def _find(self, name: ResourceName) -> tuple[int, protos.Pb]:
        owner = self._names.owner(f"{name.location}/{name.owner}")
        seq = self._conversation(owner)
        label = self._labels.find(seq, name.id)
        if label is None:
            raise not_found(str(name))
        return seq, label


def _parts(label: protos.Pb) -> re.Match[str]:
    """Return what a label is of: topics label an issue model with text, scorecards a question with
    an answer (documented)."""
    kind = label.WhichOneof("label_type")
    if kind is None:
        raise invalid("Invalid feedback_label: one of label and qa_answer_label is required.")
    found = _RESOURCE.fullmatch(label.labeled_resource)
    if found is None:
        raise invalid(
            f"Invalid feedback_label.labeled_resource '{label.labeled_resource}': name a question"
            " of a scorecard's revision, an issue model or a generator."
        )
    if (kind == "qa_answer_label") != bool(found["question"]):
        raise invalid("Invalid feedback_label: a question takes qa_answer_label, the rest label.")
    return found


def _wanted_type(request: protos.Pb) -> str:
    """Return the type of labels to download, "" for all; REST knows one that no label here has."""
    number = request.feedback_label_type
    types = request.DESCRIPTOR.fields_by_name["feedback_label_type"].enum_type.values_by_number
    if number not in types:
        raise invalid(f"Invalid feedback_label_type {number}: it is no known type.")
    return str(rest_fields(request).get("feedbackLabelType", types[number].name if number else ""))


def _check_file(file: protos.Pb) -> None:
    if file.format_ == _CSV:
        raise unimplemented("CSV of feedback labels (its columns are documented nowhere)")
    if file.format_ != _JSON:
        raise invalid("Invalid format: use JSON.")
    parse_uri(file.object_uri)


def _lines(labels: list[protos.Pb], destination: protos.Pb) -> bytes:
    return b"".join(
        json_format.MessageToJson(
            label,
            indent=2 if destination.add_whitespace else None,
            always_print_fields_with_no_presence=destination.always_print_empty_fields,
        ).encode()
        + b"\n"
        for label in labels
    )
