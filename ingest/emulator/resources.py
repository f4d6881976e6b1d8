"""Resources that are read and written whole: where they are kept, and what their methods share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ingest.emulator import protos
from ingest.emulator.context import Context
from ingest.emulator.errors import already_exists, invalid, not_found
from ingest.emulator.request_fields import (
    UpdateRule,
    copy_field,
    decode_token,
    encode_token,
    page_size,
)

_DEFAULT_PAGE = 100
_LARGEST_REPLY = 1000
_ID = re.compile(r"[a-z0-9-]{4,64}")


@dataclass(frozen=True, slots=True)
class ResourceName:
    """A resource's name in its parts; `owner` is what lies between location and collection."""

    location: str
    owner: str
    collection: str
    id: str

    @property
    def path(self) -> str:
        """The name below the location."""
        return "/".join(filter(None, (self.owner, self.collection, self.id)))

    def __str__(self) -> str:
        return f"{self.location}/{self.path}"


class Resources:
    """The resources of one kind; `collections` lead to it, such as qaScorecards, revisions."""

    def __init__(self, context: Context, message: protos.Pb, *collections: str) -> None:
        self._context = context
        self._db = context.database
        self._message = message
        self._collections = collections

    def name(self, name: str, field: str = "name") -> ResourceName:
        """Return the parts of a resource's name, or raise INVALID_ARGUMENT."""
        return self._split(name, self._collections, field)

    def owner(self, parent: str) -> ResourceName:
        """Return the parts of the name under which such resources lie."""
        if len(self._collections) == 1:
            return ResourceName(self._context.names.location(parent), "", "", "")
        return self._split(parent, self._collections[:-1], "parent")

    def new_name(self, owner: ResourceName, given_id: str = "") -> ResourceName:
        """Return the name of a new resource; the id is given (`^[a-z0-9-]{4,64}$`) or made."""
        if given_id and not _ID.fullmatch(given_id):
            raise invalid(f"Invalid id '{given_id}': it must match ^[a-z0-9-]{{4,64}}$.")
        own_id = given_id or self._context.ids.resource()
        return ResourceName(owner.location, owner.path, self._collections[-1], own_id)

    def insert(self, name: ResourceName, message: protos.Pb) -> None:
        """Keep a new resource under its name; raise ALREADY_EXISTS when that is taken."""
        message.name = str(name)
        with self._db.transaction():
            cursor = self._db.execute(
                "insert or ignore into resources (parent_id, owner, collection, resource_id, body)"
                " values (?, ?, ?, ?, ?)",
                (*self._key(name), message.SerializeToString()),
            )
        if cursor.rowcount == 0:
            raise already_exists(str(name))

    def find(self, name: ResourceName) -> protos.Pb | None:
        """Return the resource, or None."""
        row = self._db.execute(
            "select body from resources where parent_id = ? and owner = ? and collection = ?"
            " and resource_id = ?",
            self._key(name),
        ).fetchone()
        return None if row is None else self._message.FromString(row[0])

    def get(self, name: ResourceName) -> protos.Pb:
        """Return the resource, or raise NOT_FOUND."""
        found = self.find(name)
        if found is None:
            raise not_found(str(name))
        return found

    def replace(self, name: ResourceName, message: protos.Pb) -> None:
        """Keep a changed resource."""
        with self._db.transaction():
            self._db.execute(
                "update resources set body = ? where parent_id = ? and owner = ?"
                " and collection = ? and resource_id = ?",
                (message.SerializeToString(), *self._key(name)),
            )

    def updated(
        self, rule: UpdateRule, name: ResourceName, given: protos.Pb, mask: Iterable[str]
    ) -> protos.Pb:
        """Return the resource after an update, not kept yet."""
        current = self.get(name)
        changed = self._message()
        changed.CopyFrom(current)
        for path in rule.paths(current, given, list(mask)):
            copy_field(changed, given, path)
        return changed

    def delete(self, name: ResourceName) -> None:
        """Forget a resource and all that lies under it; raise NOT_FOUND."""
        self.get(name)
        key = self._key(name)
        with self._db.transaction():
            self._db.execute(
                "delete from resources where parent_id = ? and owner = ? and collection = ?"
                " and resource_id = ?",
                key,
            )
            self._db.execute(
                "delete from resources where parent_id = ? and (owner = ? or owner glob ?)",
                (key[0], name.path, f"{name.path}/*"),
            )

    def every(self, owner: ResourceName) -> list[protos.Pb]:
        """Return all resources under a name, in the order they were made."""
        rows = self._db.execute(
            "select body from resources where parent_id = ? and owner = ? and collection = ?"
            " order by seq",
            (self._db.parent_id(owner.location), owner.path, self._collections[-1]),
        )
        return [self._message.FromString(row[0]) for row in rows]

    def page(self, request: protos.Pb, reply: protos.Pb, field: str) -> protos.Pb:
        """Fill a reply with a page of the resources under `parent`, the oldest first (assumed).

        The id of the last owner may be `-`, which stands for all of them.
        """
        owner = self.owner(request.parent)
        query = (str(owner), self._collections[-1])
        position = decode_token(query, request.page_token, 1)
        limit = page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        is_any = owner.id == "-"
        pattern = f"{owner.path.removesuffix('-')}[^/]*" if is_any else owner.path
        rows = self._db.execute(
            "select seq, body from resources where parent_id = ? and collection = ? and"
            f" owner {'glob' if is_any else '='} ? and seq > ? order by seq limit ?",
            (
                *(self._db.parent_id(owner.location), self._collections[-1], pattern),
                *(position[0] if position else 0, limit + 1),
            ),
        ).fetchall()
        getattr(reply, field).extend(self._message.FromString(body) for _, body in rows[:limit])
        if len(rows) > limit:
            reply.next_page_token = encode_token(query, (rows[limit - 1][0],))
        return reply

    def _key(self, name: ResourceName) -> tuple[int, str, str, str]:
        return self._db.parent_id(name.location), name.owner, name.collection, name.id

    def _split(self, name: str, collections: tuple[str, ...], field: str) -> ResourceName:
        parts = name.split("/")
        own = parts[4:]
        if len(own) != 2 * len(collections) or tuple(own[::2]) != collections or "" in own:
            form = "/".join(f"{collection}/{{id}}" for collection in collections)
            raise invalid(
                f"Invalid {field} '{name}': use projects/{{project}}/locations/{{location}}/{form}."
            )
        location = self._context.names.location("/".join(parts[:4]), field)
        return ResourceName(location, "/".join(own[:-2]), own[-2], own[-1])
