"""What a Conversation may hold when it is made or changed, and what the server adds to it."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.emulator import protos
from ingest.emulator.problems import invalid, unimplemented
from ingest.emulator.times import LAST_MICROS, check_duration, check_timestamp, check_ttl

MAX_LABELS = 100
MAX_LABEL_CHARS = 256
"""For key and value alike; the documents don't say which of the two they mean."""

_MEDIA = frozenset(int(medium) for medium in protos.Medium)
_OUTPUT_ONLY = (
    "name", "create_time", "update_time", "transcript", "duration", "turn_count",
    "latest_analysis", "latest_summary", "runtime_annotations", "dialogflow_intents",
)  # fmt: skip
_INPUT_ONLY = ("metadata_json",)
_UPDATABLE = (
    "agent_id", "language_code", "labels", "quality_metadata", "call_metadata", "start_time",
    "expire_time", "ttl", "data_source.gcs_source.audio_uri",
    "data_source.dialogflow_source.audio_uri",
)  # fmt: skip
_ALIASES = {"metadata": "quality_metadata"}
"""The mask's documented `metadata` names no field that comes back; taken for quality_metadata."""


def prepared(given: protos.Pb, name: str, now: int, default_ttl_us: int) -> protos.Pb:
    """Return a new conversation as the server keeps it, or raise INVALID_ARGUMENT.

    Output-only fields are dropped, as AIP-203 asks; `duration` of a caller is ignored (observed).
    """
    body = protos.Conversation()
    body.CopyFrom(given)
    for field in (*_OUTPUT_ONLY, *_INPUT_ONLY):
        body.ClearField(field)
    if body.data_source.WhichOneof("source") == "dialogflow_source":
        raise unimplemented("A conversation from dialogflow_source")
    if not body.data_source.gcs_source.transcript_uri:
        raise invalid("GCS source not provided.")
    body.name = name
    body.medium = checked_medium(body.medium) or int(protos.Medium.PHONE_CALL)
    body.create_time.CopyFrom(protos.timestamp(now))
    _set_expiry(body, now, default_ttl_us)
    return checked(body)


def checked_medium(medium: int) -> int:
    """Return the medium, or raise INVALID_ARGUMENT for a number that stands for none."""
    if medium not in _MEDIA:
        raise invalid(f"Invalid medium {medium}: use PHONE_CALL or CHAT.")
    return medium


def updated(current: protos.Pb, given: protos.Pb, paths: Sequence[str], now: int) -> protos.Pb:
    """Return the conversation after an update.

    The mask's paths are the documented ones; an empty mask is read as `*` (AIP-134). A field in
    the mask that the request leaves out is cleared; `labels` are replaced as a whole (inferred).
    """
    body = protos.Conversation()
    body.CopyFrom(current)
    for path in _checked_paths(current, given, paths):
        _copy_field(body, given, path)
    if "ttl" in paths and "expire_time" not in paths and not given.HasField("ttl"):
        body.ClearField("expire_time")
    if any(path in ("ttl", "*") for path in paths) or not paths:
        _set_expiry(body, now, 0)
    return checked(body)


def checked(body: protos.Pb) -> protos.Pb:
    """Return the conversation with the server's agent entry, or raise INVALID_ARGUMENT."""
    if len(body.labels) > MAX_LABELS:
        raise invalid(f"Too many labels: {len(body.labels)}, at most {MAX_LABELS} are allowed.")
    for key, value in body.labels.items():
        if not key or len(key) > MAX_LABEL_CHARS or len(value) > MAX_LABEL_CHARS:
            raise invalid(
                f"Invalid label '{key[:40]}': key and value may have {MAX_LABEL_CHARS} characters."
            )
    for field in ("start_time", "expire_time"):
        if body.HasField(field):
            check_timestamp(getattr(body, field), field)
    if body.quality_metadata.HasField("wait_duration"):
        check_duration(body.quality_metadata.wait_duration, "quality_metadata.wait_duration")
    _fill_agent(body)
    return body


def _fill_agent(body: protos.Pb) -> None:
    """A conversation with agent_id has that agent in quality_metadata.agent_info (observed)."""
    if not body.agent_id:
        return
    agents = body.quality_metadata.agent_info
    own = next((agent for agent in agents if agent.agent_id == body.agent_id), None)
    if own is None:
        own = agents.add(agent_id=body.agent_id)
    if own.agent_type == 0:
        agent_types = own.DESCRIPTOR.fields_by_name["agent_type"].enum_type.values_by_name
        own.agent_type = agent_types["HUMAN_AGENT"].number


def _set_expiry(body: protos.Pb, now: int, default_ttl_us: int) -> None:
    if body.HasField("expire_time"):
        return
    ttl_us = default_ttl_us
    if body.HasField("ttl"):
        check_ttl(body.ttl, now, "ttl")
        ttl_us = protos.duration_micros(body.ttl)
        body.ClearField("ttl")
    if ttl_us:
        body.expire_time.CopyFrom(protos.timestamp(min(now + ttl_us, LAST_MICROS)))


def _checked_paths(current: protos.Pb, given: protos.Pb, paths: Sequence[str]) -> list[str]:
    if not paths or list(paths) == ["*"]:
        return [path for path in _UPDATABLE if _applies(current, given, path)]
    for path in paths:
        if _ALIASES.get(path, path) not in _UPDATABLE:
            raise invalid(
                f"Invalid update_mask path '{path}': use '*' or any of {', '.join(_UPDATABLE)}."
            )
        if path.startswith("data_source.") and not _applies(current, given, path):
            raise invalid(
                f"Invalid update_mask path '{path}': the conversation has another data source."
            )
    return [_ALIASES.get(path, path) for path in paths]


def _applies(current: protos.Pb, given: protos.Pb, path: str) -> bool:
    """With `*`, only the source that the conversation has and the expiry that is given count."""
    if path.startswith("data_source."):
        return current.data_source.WhichOneof("source") == path.split(".")[1]
    if path in ("expire_time", "ttl"):
        return bool(given.WhichOneof("expiration") in (path, None))
    return True


def _copy_field(body: protos.Pb, given: protos.Pb, path: str) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        body, given = getattr(body, parent), getattr(given, parent)
    body.ClearField(name)
    field = body.DESCRIPTOR.fields_by_name[name]
    value = getattr(given, name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(body, name).update(value)
    elif field.message_type is not None:
        if given.HasField(name):
            getattr(body, name).CopyFrom(value)
    else:
        setattr(body, name, value)
