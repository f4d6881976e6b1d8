"""Phrase matchers: create, get, list, update, delete, their revisions, and where they are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.domain.matchers import (
    MatcherDefinition,
    MatchType,
    PatternRule,
    PhraseRule,
    Role,
    RuleGroup,
)
from ingest.domain.phrase_matching import compile_matcher
from ingest.emulator import protos
from ingest.emulator.analysis.annotate import ActiveMatcher
from ingest.emulator.context import Context
from ingest.emulator.database import Database
from ingest.emulator.errors import invalid, not_found
from ingest.emulator.request_fields import (
    UpdateRule,
    copy_field,
    decode_token,
    encode_token,
    page_size,
)
from ingest.emulator.wire import rest_fields

_MOST_OF_PATTERN = 500
_NOT_RE2 = re.compile(r"\\[1-9]|\(\?(?:<?[=!]|P=|>|\()|[*+?}]\+")


@dataclass(frozen=True, slots=True)
class StoredMatcher:
    """One phrase matcher as it is now; `body` is a serialized PhraseMatcher."""

    seq: int
    matcher_id: str
    body: bytes

    def message(self) -> protos.Pb:
        """Return the matcher as a message."""
        return protos.PhraseMatcher.FromString(self.body)


class MatcherStore:
    """Reads and writes phrase matchers; callers own the transactions."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._writes = 0

    @property
    def changes(self) -> tuple[int, int]:
        """A value that changes with every write: what was read before is out of date then."""
        return self._writes, self._db.clearings

    def insert(self, parent_id: int, matcher_id: str, matcher: protos.Pb) -> None:
        """Store a new matcher with its first revision."""
        self._writes += 1
        cursor = self._db.execute(
            "insert into phrase_matchers (parent_id, matcher_id, is_active, body)"
            " values (?, ?, ?, ?)",
            (parent_id, matcher_id, matcher.active, matcher.SerializeToString()),
        )
        self._write_revision(int(cursor.lastrowid or 0), matcher)

    def update(self, seq: int, matcher: protos.Pb) -> None:
        """Replace a matcher; its revision is added or brought up to date."""
        self._writes += 1
        self._db.execute(
            "update phrase_matchers set is_active = ?, body = ? where seq = ?",
            (matcher.active, matcher.SerializeToString(), seq),
        )
        self._write_revision(seq, matcher)

    def find(self, parent_id: int, matcher_id: str) -> StoredMatcher | None:
        """Return the matcher as it is now, or None."""
        row = self._db.execute(
            "select seq, matcher_id, body from phrase_matchers"
            " where parent_id = ? and matcher_id = ?",
            (parent_id, matcher_id),
        ).fetchone()
        return None if row is None else StoredMatcher(*row)

    def revision(self, seq: int, revision_id: str) -> bytes | None:
        """Return the matcher as that revision was, or None."""
        row = self._db.execute(
            "select body from phrase_matcher_revisions where matcher_seq = ? and revision_id = ?",
            (seq, revision_id),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def page(self, parent_id: int, limit: int, after: int) -> list[StoredMatcher]:
        """Return matchers in the order they were made (assumed), from behind seq `after`."""
        rows = self._db.execute(
            "select seq, matcher_id, body from phrase_matchers"
            " where parent_id = ? and seq > ? order by seq limit ?",
            (parent_id, after, limit),
        )
        return [StoredMatcher(*row) for row in rows]

    def active(self, parent_id: int) -> list[tuple[str, bytes]]:
        """Return id and serialized message of the matchers that are switched on."""
        rows = self._db.execute(
            "select matcher_id, body from phrase_matchers"
            " where parent_id = ? and is_active order by seq",
            (parent_id,),
        )
        return [(str(row[0]), bytes(row[1])) for row in rows]

    def delete(self, seq: int) -> None:
        """Forget a matcher and its revisions."""
        self._writes += 1
        self._db.execute("delete from phrase_matchers where seq = ?", (seq,))
        self._db.execute("delete from phrase_matcher_revisions where matcher_seq = ?", (seq,))

    def _write_revision(self, seq: int, matcher: protos.Pb) -> None:
        self._db.execute(
            "insert or replace into phrase_matcher_revisions values (?, ?, ?)",
            (seq, matcher.revision_id, matcher.SerializeToString()),
        )


_DEFAULT_PAGE = 100
_LARGEST_REPLY = 1000
_UPDATE_RULE = UpdateRule(
    protos.PhraseMatcher,
    updatable=(
        "version_tag", "display_name", "type", "active", "phrase_match_rule_groups", "role_match",
    ),
)  # fmt: skip
_ListResponse = protos.message_class("ListPhraseMatchersResponse")


class MatcherMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(self, context: Context, matchers: MatcherStore) -> None:
        self._context = context
        self._matchers = matchers

    async def create_phrase_matcher(self, request: protos.Pb) -> protos.Pb:
        """Keep a matcher under a new id; two may share a display name (inferred)."""
        parent = self._context.names.location(request.parent)
        matcher = protos.PhraseMatcher()
        matcher.CopyFrom(request.phrase_matcher)
        _check(matcher)
        matcher_id = self._context.ids.resource()
        matcher.name = f"{parent}/phraseMatchers/{matcher_id}"
        self._stamp_revision(matcher)
        matcher.activation_update_time.CopyFrom(matcher.revision_create_time)
        with self._context.database.transaction():
            self._matchers.insert(self._context.database.parent_id(parent), matcher_id, matcher)
        return matcher

    async def get_phrase_matcher(self, request: protos.Pb) -> protos.Pb:
        """Return a matcher, or one of its revisions for a name with `@`."""
        stored, revision_id = self._find(request.name)
        if not revision_id:
            return stored.message()
        body = self._matchers.revision(stored.seq, revision_id)
        if body is None:
            raise not_found(request.name)
        return protos.PhraseMatcher.FromString(body)

    async def list_phrase_matchers(self, request: protos.Pb) -> protos.Pb:
        """Return a page of matchers in the order they were made (assumed)."""
        parent = self._context.names.location(request.parent)
        query = (parent, request.filter, "matchers")
        position = decode_token(query, request.page_token, 1)
        if request.filter:
            raise invalid(f"Invalid filter '{request.filter}': no field of a matcher is known.")
        limit = page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        found = self._matchers.page(
            self._context.database.parent_id(parent), limit + 1, position[0] if position else 0
        )
        reply = _ListResponse(phrase_matchers=[stored.message() for stored in found[:limit]])
        if len(found) > limit:
            reply.next_page_token = encode_token(query, (found[limit - 1].seq,))
        return reply

    async def update_phrase_matcher(self, request: protos.Pb) -> protos.Pb:
        """Change what the mask names, everything without one.

        A revision is committed for every change but of `active` (documented); an update that
        changes nothing commits none (assumed).
        """
        stored, revision_id = self._find(request.phrase_matcher.name)
        if revision_id:
            raise invalid("A revision of a phrase matcher can't be changed.")
        current = stored.message()
        matcher = stored.message()
        given = request.phrase_matcher
        for path in _UPDATE_RULE.paths(current, given, request.update_mask.paths):
            copy_field(matcher, given, path)
        _check(matcher)
        self._stamp_changes(current, matcher)
        with self._context.database.transaction():
            self._matchers.update(stored.seq, matcher)
        return matcher

    async def delete_phrase_matcher(self, request: protos.Pb) -> protos.Pb:
        """Forget a matcher with its revisions; what analyses found stays in them."""
        stored, revision_id = self._find(request.name)
        if revision_id:
            raise invalid("A revision of a phrase matcher can't be deleted.")
        with self._context.database.transaction():
            self._matchers.delete(stored.seq)
        return protos.Empty()

    def _find(self, name: str) -> tuple[StoredMatcher, str]:
        parent, own = self._context.names.child(name, "phraseMatchers")
        matcher_id, _, revision_id = own.partition("@")
        parent_id = self._context.database.parent_id(parent)
        stored = self._matchers.find(parent_id, matcher_id)
        if stored is None:
            raise not_found(f"{parent}/phraseMatchers/{own}")
        return stored, revision_id

    def _stamp_revision(self, matcher: protos.Pb) -> None:
        now = protos.timestamp(self._context.clock.now())
        matcher.revision_id = self._context.ids.revision()
        matcher.revision_create_time.CopyFrom(now)
        matcher.update_time.CopyFrom(now)
        matcher.version_tag = matcher.version_tag or matcher.revision_id

    def _stamp_changes(self, current: protos.Pb, matcher: protos.Pb) -> None:
        now = protos.timestamp(self._context.clock.now())
        if current.active != matcher.active:
            matcher.activation_update_time.CopyFrom(now)
            matcher.update_time.CopyFrom(now)
        if _without_active(current) != _without_active(matcher):
            if current.version_tag == matcher.version_tag == current.revision_id:
                matcher.version_tag = ""
            self._stamp_revision(matcher)


def active_matcher(body: bytes) -> ActiveMatcher:
    """Return the matcher of a serialized PhraseMatcher ready for use."""
    matcher = protos.PhraseMatcher.FromString(body)
    roles = matcher.DESCRIPTOR.fields_by_name["role_match"].enum_type.values_by_number
    groups = tuple(
        RuleGroup(
            str(number),
            _match_type(group.type_),
            tuple(map(_rule, group.phrase_match_rules)),
        )
        for number, group in enumerate(matcher.phrase_match_rule_groups, start=1)
    )
    role = Role(roles[matcher.role_match].name)
    definition = MatcherDefinition(
        matcher.display_name, _match_type(matcher.type_), groups, role, matcher.active
    )
    return ActiveMatcher(
        matcher.name, matcher.revision_id, matcher.display_name, compile_matcher(definition)
    )


def _rule(rule: protos.Pb) -> PhraseRule:
    if _is_pattern(rule):
        return PatternRule(rule.query, rule.negated, case_sensitive=True)
    return PhraseRule(rule.query, rule.negated, rule.config.exact_match_config.case_sensitive)


def _is_pattern(rule: protos.Pb) -> bool:
    return "regexMatchConfig" in rest_fields(rule.config)


def _match_type(number: int) -> MatchType:
    return MatchType.ALL_OF if number == 1 else MatchType.ANY_OF


def _check(matcher: protos.Pb) -> None:
    """Types and queries are required (documented); that groups are, too, is assumed."""
    if matcher.type_ not in (1, 2):
        raise invalid("Invalid phrase_matcher.type: use ALL_OF or ANY_OF.")
    if not matcher.phrase_match_rule_groups:
        raise invalid("Invalid phrase_matcher: phrase_match_rule_groups is empty.")
    for index, group in enumerate(matcher.phrase_match_rule_groups):
        where = f"phrase_match_rule_groups[{index}]"
        if group.type_ not in (1, 2):
            raise invalid(f"Invalid {where}.type: use ALL_OF or ANY_OF.")
        if not group.phrase_match_rules:
            raise invalid(f"Invalid {where}: phrase_match_rules is empty.")
        for number, rule in enumerate(group.phrase_match_rules):
            if not rule.query.strip():
                raise invalid(f"Invalid {where}.phrase_match_rules[{number}]: query is required.")
            if _is_pattern(rule):
                _check_pattern(f"{where}.phrase_match_rules[{number}].query", rule.query)
    if matcher.role_match not in (0, 1, 2, 3, 4):
        raise invalid(
            f"Invalid phrase_matcher.role_match {matcher.role_match}: it is no known role."
        )


def _check_pattern(where: str, pattern: str) -> None:
    """Refuse what is no regular expression, and what RE2, as Google's services have it, is not
    (assumed)."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise invalid(f"Invalid {where}: it is no regular expression ({error}).") from error
    if len(pattern) > _MOST_OF_PATTERN or _NOT_RE2.search(pattern):
        raise invalid(
            f"Invalid {where}: look-arounds, back references and more than {_MOST_OF_PATTERN}"
            " characters aren't taken."
        )


def _without_active(matcher: protos.Pb) -> protos.Pb:
    """Return what a revision is made of."""
    content = protos.PhraseMatcher()
    for path in _UPDATE_RULE.updatable:
        if path != "active":
            copy_field(content, matcher, path)
    return content
