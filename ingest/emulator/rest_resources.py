"""Resources that only REST has and that tools use: auto-labelling rules and dashboards.

They are kept as JSON, with the fields and types of the discovery document, and do nothing: no rule
labels a conversation. Ids and the order of a list are assumed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from ingest.emulator import protos
from ingest.emulator.context import Context
from ingest.emulator.errors import already_exists, invalid, not_found
from ingest.emulator.request_fields import decode_token, encode_token, page_size
from ingest.emulator.rest_digest import Route
from ingest.emulator.rest_json import Json, bad_json

_DEFAULT_PAGE, _LARGEST_REPLY = 100, 1000
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY_TYPES = ("LABEL_KEY_TYPE_UNSPECIFIED", "LABEL_KEY_TYPE_CUSTOM")
_SET_BY_SERVER = frozenset({"name", "createTime", "updateTime", "readOnly"})
_WHERE = "parent_id = ? and owner = '' and collection = ?"
Fields = dict[str, Json]
Query = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A collection: the query parameter that gives an id, and the fields by what they hold."""

    id_parameter: str
    fields: Mapping[str, type]
    list_parameters: frozenset[str] = frozenset({"pageSize", "pageToken"})


_KINDS = {
    "autoLabelingRules": _Kind(
        "autoLabelingRuleId",
        {
            "displayName": str, "description": str, "labelKey": str, "labelKeyType": str,
            "active": bool, "conditions": list,
        },
    ),
    "dashboards": _Kind(
        "dashboardId",
        {
            "displayName": str, "description": str, "filter": str,
            "dateRangeConfig": dict, "rootContainer": dict,
        },
    ),
}  # fmt: skip
_TYPE_NAMES = {str: "string", bool: "boolean", list: "array", dict: "object"}


class RestResources:
    """Answers the routes of these collections."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._db = context.database

    def answers(self, route: Route) -> bool:
        """Return whether a route is one of these."""
        collection, _, verb = route.id.rpartition(".")
        return collection in _KINDS and verb in ("create", "get", "list", "patch", "delete")

    def answer(self, route: Route, bound: Mapping[str, str], query: Query, body: Json) -> Fields:
        """Return the JSON of a reply; raise ApiError."""
        collection, _, verb = route.id.rpartition(".")
        given = dict(query)
        if verb in ("create", "list"):
            location = self._context.names.location(bound["parent"])
            if verb == "create":
                return self._create(location, collection, given, body)
            return self._list(location, collection, given)
        location, id_ = self._context.names.child(bound["name"], collection)
        location = self._context.names.location(location)
        kept = self._kept(location, collection, id_)
        if verb == "get":
            _refuse_others(given, frozenset())
        elif verb == "patch":
            return self._patch(location, collection, kept, given, body)
        else:
            _refuse_others(given, frozenset())
            with self._db.transaction():
                self._db.execute(
                    f"delete from resources where {_WHERE} and resource_id = ?",
                    (self._db.parent_id(location), collection, id_),
                )
            return {}
        return kept

    def _create(self, location: str, collection: str, given: dict[str, str], body: Json) -> Fields:
        kind = _KINDS[collection]
        _refuse_others(given, frozenset({kind.id_parameter}))
        fields = _checked(kind, body)
        id_ = given.get(kind.id_parameter) or self._context.ids.resource()
        if not _ID.fullmatch(id_):
            raise invalid(f"Invalid {kind.id_parameter} '{id_}': it must match ^{_ID.pattern}$.")
        name, now = f"{location}/{collection}/{id_}", self._now()
        made = {"name": name, **fields, "createTime": now, "updateTime": now}
        with self._db.transaction():
            cursor = self._db.execute(
                "insert or ignore into resources (parent_id, owner, collection, resource_id, body)"
                " values (?, '', ?, ?, ?)",
                (self._db.parent_id(location), collection, id_, orjson.dumps(made)),
            )
        if cursor.rowcount == 0:
            raise already_exists(name)
        return made

    def _patch(
        self, location: str, collection: str, kept: Fields, given: dict[str, str], body: Json
    ) -> Fields:
        kind = _KINDS[collection]
        _refuse_others(given, frozenset({"updateMask"}))
        fields = _checked(kind, body)
        changed = dict(kept)
        for name in _masked(kind, given.get("updateMask", ""), fields):
            if name in fields:
                changed[name] = fields[name]
            else:
                changed.pop(name, None)
        changed["updateTime"] = self._now()
        with self._db.transaction():
            self._db.execute(
                f"update resources set body = ? where {_WHERE} and resource_id = ?",
                (
                    orjson.dumps(changed),
                    self._db.parent_id(location),
                    collection,
                    str(kept["name"]).rpartition("/")[2],
                ),
            )
        return changed

    def _list(self, location: str, collection: str, given: dict[str, str]) -> Fields:
        _refuse_others(given, _KINDS[collection].list_parameters)
        wanted = given.get("pageSize") or "0"
        if not re.fullmatch(r"-?\d{1,10}", wanted):
            raise invalid(f"Invalid pageSize '{wanted}': it is no number.")
        limit = page_size(int(wanted), _DEFAULT_PAGE, _LARGEST_REPLY)
        position = decode_token((location, collection), given.get("pageToken", ""), 1)
        rows = self._db.execute(
            f"select seq, body from resources where {_WHERE} and seq > ? order by seq limit ?",
            (
                *(self._db.parent_id(location), collection),
                *(position[0] if position else 0, limit + 1),
            ),
        ).fetchall()
        reply: Fields = {collection: [orjson.loads(row[1]) for row in rows[:limit]]} if rows else {}
        if len(rows) > limit:
            reply["nextPageToken"] = encode_token((location, collection), (rows[limit - 1][0],))
        return reply

    def _kept(self, location: str, collection: str, id_: str) -> Fields:
        row = self._db.execute(
            f"select body from resources where {_WHERE} and resource_id = ?",
            (self._db.parent_id(location), collection, id_),
        ).fetchone()
        if row is None:
            raise not_found(f"{location}/{collection}/{id_}")
        found: Fields = orjson.loads(row[0])
        return found

    def _now(self) -> str:
        return protos.timestamp(self._context.clock.now()).ToJsonString()


def _refuse_others(given: Mapping[str, str], known: frozenset[str]) -> None:
    for name in given.keys() - known:
        raise bad_json(name, f'Unknown name "{name}": Cannot bind query parameter')


def _checked(kind: _Kind, body: Json) -> Fields:
    """Return the fields that a client may set; those of the server's are ignored (AIP-203)."""
    if not isinstance(body, dict):
        raise bad_json("", "the root must be an object")
    found: Fields = {}
    for name, value in body.items():
        if name in _SET_BY_SERVER or value is None:
            continue
        wanted = kind.fields.get(name)
        if wanted is None:
            raise bad_json(name, f'Unknown name "{name}": Cannot find field')
        if not isinstance(value, wanted):
            raise bad_json(name, f"Invalid value at '{name}' ({_TYPE_NAMES[wanted]})")
        found[name] = value
    if found.get("labelKeyType", _KEY_TYPES[0]) not in _KEY_TYPES:
        raise bad_json("labelKeyType", f"Invalid value at 'labelKeyType': {', '.join(_KEY_TYPES)}")
    conditions = found.get("conditions", [])
    for place, each in enumerate(conditions if isinstance(conditions, list) else ()):
        is_condition = isinstance(each, dict) and each.keys() <= {"condition", "value"}
        if not is_condition or not all(isinstance(part, str) for part in each.values()):
            where = f"conditions[{place}]"
            raise bad_json(where, f"Invalid value at '{where}': condition and value are strings")
    return found


def _masked(kind: _Kind, mask: str, fields: Fields) -> list[str]:
    """Return the fields that an update changes: without a mask, or with `*`, all (assumed)."""
    named = [re.sub(r"_([a-z])", lambda m: m[1].upper(), each) for each in mask.split(",") if each]
    if not named or named == ["*"]:
        return list(kind.fields if named else fields)
    for name in named:
        if name not in kind.fields and name not in _SET_BY_SERVER:
            raise invalid(f"Invalid update_mask: there is no field '{name}'.")
    return [name for name in named if name in kind.fields]
