"""What the REST front knows of the service's discovery document: its routes and its further fields.

The document ships in the PyPI package google-api-python-client, which takes 111 MB installed, so
`rest_digest.json` beside this file holds the part that is needed, made by

    python -m ingest.emulator.rest_digest …/discovery_cache/documents/contactcenterinsights.v1.json
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from google.cloud.contact_center_insights_v1 import types

from ingest.emulator import protos
from ingest.emulator.methods import ALL_METHODS, Method

_FILE = Path(__file__).with_name("rest_digest.json")
_ROOT = "contactcenterinsights.projects.locations."
_PREFIX = "GoogleCloudContactcenterinsightsV1"
_REST_ONLY = ("authorizedViewSets.", "datasets.")
"""Collections whose members have the names of others' methods, and no RPC."""
_SINGULAR = {"analyses": "Analysis", "revisions": "QaScorecardRevision"}
_VERBS = {"patch": "Update"}
_RPCS = {
    "conversations.bulkAnalyze": "BulkAnalyzeConversations",
    "conversations.bulkDelete": "BulkDeleteConversations",
    "conversations.ingest": "IngestConversations",
    "conversations.analyses.list": "ListAnalyses",
    "encryptionSpec.initialize": "InitializeEncryptionSpec",
    "insightsdata.export": "ExportInsightsData",
    "qaScorecards.revisions.list": "ListQaScorecardRevisions",
}
"""RPCs whose name isn't verb and resource of the REST method's id."""


@dataclass(frozen=True, slots=True)
class Route:
    """One REST method: verb and path, and the RPC that answers it, if gRPC has one."""

    id: str
    verb: str
    path: re.Pattern[str]
    """With one group, named as the field of the request that it fills."""
    method: Method | None


@lru_cache(maxsize=1)
def routes() -> tuple[Route, ...]:
    """Return every route of the discovery document."""
    methods = {method.name: method for method in ALL_METHODS}
    return tuple(
        Route(id_, verb, re.compile(path), methods.get(rpc))
        for id_, verb, path, rpc in _digest()["routes"]
    )


def rest_only_fields(message: str) -> dict[str, str]:
    """Return the JSON fields (name and JSON type) that a message has in REST and not in gRPC."""
    fields: dict[str, str] = _digest()["fields"].get(message, {})
    return fields


def rest_only_values(message: str) -> dict[str, list[str]]:
    """Return the values that a message's enums have in REST and not in gRPC, by JSON field."""
    values: dict[str, list[str]] = _digest()["values"].get(message, {})
    return values


@lru_cache(maxsize=1)
def _digest() -> Any:
    return orjson.loads(_FILE.read_bytes())


def digest(document: dict[str, Any]) -> dict[str, Any]:
    """Return what `rest_digest.json` holds of a discovery document."""
    names = {method.name for method in ALL_METHODS}
    found = []
    for method in sorted(_methods(document), key=lambda each: str(each["id"])):
        own = method["id"].removeprefix(_ROOT)
        rpc = _rpc(own)
        found.append([own, method["httpMethod"], _path(method), rpc if rpc in names else ""])
    fields, values = {}, {}
    for message in _messages():
        schema = document["schemas"].get(
            _PREFIX + message.full_name.removeprefix(f"{protos.PACKAGE}.").replace(".", "")
        )
        known = {field.json_name for field in message.fields}
        further = {
            name: _json_type(declared)
            for name, declared in (schema or {}).get("properties", {}).items()
            if name not in known
        }
        if further:
            fields[message.full_name] = further
        unknown = _unknown_values(message, (schema or {}).get("properties", {}))
        if unknown:
            values[message.full_name] = unknown
    return {
        "revision": document["revision"], "routes": found, "fields": fields, "values": values
    }  # fmt: skip


def _unknown_values(message: Any, properties: dict[str, Any]) -> dict[str, list[str]]:
    found = {
        field.json_name: [
            value
            for value in properties.get(field.json_name, {}).get("enum", ())
            if value not in field.enum_type.values_by_name
        ]
        for field in message.fields
        if field.enum_type is not None
    }
    return {name: values for name, values in found.items() if values}


def _methods(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from _methods(inner)


def _rpc(own: str) -> str:
    """Return the name of the RPC that a REST method's id stands for, "" when there is none."""
    if own.startswith(_REST_ONLY):
        return ""
    if own in _RPCS:
        return _RPCS[own]
    *collections, verb = own.split(".")
    if not collections or verb != verb.lower():
        return verb[0].upper() + verb[1:]
    plural = collections[-1]
    noun = _SINGULAR.get(plural, plural.removesuffix("s"))
    if verb == "list":
        noun = plural
    return _VERBS.get(verb, verb.capitalize()) + noun[0].upper() + noun[1:]


def _path(method: dict[str, Any]) -> str:
    """Return the path as a regular expression; only a project may have a colon."""
    ((name, parameter),) = (
        (name, each) for name, each in method["parameters"].items() if each["location"] == "path"
    )
    field = re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    inner = parameter["pattern"].strip("^$").replace("[^/]+", "[^/:]+")
    inner = inner.replace("[^/:]+", "[^/]+", 1)
    before, _, after = method["path"].partition(f"{{+{name}}}")
    return f"/{re.escape(before)}(?P<{field}>{inner}){re.escape(after)}"


def _messages() -> Iterator[Any]:
    for name in types.__all__:
        descriptor = getattr(getattr(types, name), "pb", None)
        if descriptor is not None:
            yield from _with_nested(descriptor().DESCRIPTOR)


def _with_nested(message: Any) -> Iterator[Any]:
    yield message
    for inner in message.nested_types:
        yield from _with_nested(inner)


def _json_type(declared: dict[str, Any]) -> str:
    return str(declared.get("type", "object"))


def main(path: str) -> None:
    """Write `rest_digest.json` from a discovery document."""
    made = digest(orjson.loads(Path(path).read_bytes()))
    lines = {key: [json.dumps(each) for each in made[key]] for key in ("routes",)}
    inner = ",\n".join(lines["routes"])
    fields, values = (
        ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in made[key].items())
        for key in ("fields", "values")
    )
    _FILE.write_text(
        f'{{"revision": "{made["revision"]}",\n"routes": [\n{inner}\n],\n'
        f'"fields": {{\n{fields}\n}},\n"values": {{\n{values}\n}}}}\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(sys.argv[1])
