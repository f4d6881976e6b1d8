"""Phrase matchers: create, get, list, update, delete, and their revisions."""

from __future__ import annotations

from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, Role, RuleGroup
from ingest.domain.phrase_matching import compile_matcher
from ingest.emulator import paging, protos
from ingest.emulator.analysis.annotate import ActiveMatcher
from ingest.emulator.core import Core
from ingest.emulator.problems import invalid, not_found
from ingest.emulator.store.matchers import StoredMatcher

_DEFAULT_PAGE = 100
_LARGEST_REPLY = 1000
_UPDATABLE = (
    "version_tag", "display_name", "type", "active", "phrase_match_rule_groups", "role_match",
)  # fmt: skip
_FIELDS = {"type": "type_"}
_ListResponse = protos.message_class("ListPhraseMatchersResponse")


class MatcherMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create_phrase_matcher(self, request: protos.Pb) -> protos.Pb:
        """Keep a matcher under a new id; two may share a display name (inferred)."""
        parent = self._core.names.location(request.parent)
        matcher = protos.PhraseMatcher()
        matcher.CopyFrom(request.phrase_matcher)
        _check(matcher)
        matcher_id = self._core.ids.resource()
        matcher.name = f"{parent}/phraseMatchers/{matcher_id}"
        self._stamp_revision(matcher)
        matcher.activation_update_time.CopyFrom(matcher.revision_create_time)
        with self._core.database.transaction():
            self._core.matchers.insert(self._core.database.parent_id(parent), matcher_id, matcher)
        return matcher

    async def get_phrase_matcher(self, request: protos.Pb) -> protos.Pb:
        """Return a matcher, or one of its revisions for a name with `@`."""
        stored, revision_id = self._find(request.name)
        if not revision_id:
            return stored.message()
        body = self._core.matchers.revision(stored.seq, revision_id)
        if body is None:
            raise not_found(request.name)
        return protos.PhraseMatcher.FromString(body)

    async def list_phrase_matchers(self, request: protos.Pb) -> protos.Pb:
        """Return a page of matchers in the order they were made (assumed)."""
        parent = self._core.names.location(request.parent)
        query = (parent, request.filter, "matchers")
        position = paging.decode_token(query, request.page_token, 1)
        if request.filter:
            raise invalid(f"Invalid filter '{request.filter}': no field of a matcher is known.")
        limit = paging.page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        found = self._core.matchers.page(
            self._core.database.parent_id(parent), limit + 1, position[0] if position else 0
        )
        reply = _ListResponse(phrase_matchers=[stored.message() for stored in found[:limit]])
        if len(found) > limit:
            reply.next_page_token = paging.encode_token(query, (found[limit - 1].seq,))
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
        for path in _checked_paths(request.update_mask.paths):
            field = _FIELDS.get(path, path)
            matcher.ClearField(field)
            _copy(matcher, request.phrase_matcher, field)
        _check(matcher)
        self._stamp_changes(current, matcher)
        with self._core.database.transaction():
            self._core.matchers.update(stored.seq, matcher)
        return matcher

    async def delete_phrase_matcher(self, request: protos.Pb) -> protos.Pb:
        """Forget a matcher with its revisions; what analyses found stays in them."""
        stored, revision_id = self._find(request.name)
        if revision_id:
            raise invalid("A revision of a phrase matcher can't be deleted.")
        with self._core.database.transaction():
            self._core.matchers.delete(stored.seq)
        return protos.Empty()

    def _find(self, name: str) -> tuple[StoredMatcher, str]:
        parent, own = self._core.names.child(name, "phraseMatchers")
        matcher_id, _, revision_id = own.partition("@")
        parent_id = self._core.database.parent_id(parent)
        stored = self._core.matchers.find(parent_id, matcher_id)
        if stored is None:
            raise not_found(f"{parent}/phraseMatchers/{own}")
        return stored, revision_id

    def _stamp_revision(self, matcher: protos.Pb) -> None:
        now = protos.timestamp(self._core.clock.now())
        matcher.revision_id = self._core.ids.revision()
        matcher.revision_create_time.CopyFrom(now)
        matcher.update_time.CopyFrom(now)
        matcher.version_tag = matcher.version_tag or matcher.revision_id

    def _stamp_changes(self, current: protos.Pb, matcher: protos.Pb) -> None:
        now = protos.timestamp(self._core.clock.now())
        if current.active != matcher.active:
            matcher.activation_update_time.CopyFrom(now)
            matcher.update_time.CopyFrom(now)
        changed = any(
            getattr(current, _FIELDS.get(path, path)) != getattr(matcher, _FIELDS.get(path, path))
            for path in _UPDATABLE
            if path != "active"
        )
        if changed:
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
            tuple(
                PhraseRule(rule.query, rule.negated, rule.config.exact_match_config.case_sensitive)
                for rule in group.phrase_match_rules
            ),
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
    if matcher.role_match not in (0, 1, 2, 3, 4):
        raise invalid(f"Invalid phrase_matcher.role_match {matcher.role_match}.")


def _checked_paths(paths: list[str]) -> list[str]:
    if not paths or list(paths) == ["*"]:
        return list(_UPDATABLE)
    for path in paths:
        if path not in _UPDATABLE:
            raise invalid(
                f"Invalid update_mask path '{path}': use '*' or any of {', '.join(_UPDATABLE)}."
            )
    return list(paths)


def _copy(target: protos.Pb, source: protos.Pb, field: str) -> None:
    value = getattr(source, field)
    if field == "phrase_match_rule_groups":
        target.phrase_match_rule_groups.extend(value)
    else:
        setattr(target, field, value)
