"""JMESPath expressions of a mapping: compiled once, and what each of them reads.

Which fields a mapping reads is known without running it: that is what makes the list of fields that
it leaves unread possible. A path here is a tuple of keys; `[]` stands for each element of a list,
`[0]` for one, `[?]` for some, and `*` for each value of an object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import EmptyExpressionError, JMESPathError, ParseError
from jmespath.parser import ParsedResult

from ingest.errors import InputError

Keys = tuple[str, ...]
EACH = "[]"
SOME = "[?]"
"""Elements of which only a run shows which they are: none of them counts as read."""
ANY = "*"
_MADE_LIST = "^"
"""Ends the path of a list that the expression itself makes, of elements that lie at that path."""
_PASSED_ON = frozenset({"sort_by", "reverse", "not_null", "max_by", "min_by", "to_array"})
"""Functions whose result is among their arguments; what any other function gets is read whole."""


class MappingError(Exception):
    """A value doesn't fit its line of the mapping; never holds the value itself."""

    def __init__(
        self, place: str, reason: str, hint: str, keys: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason
        self.hint = hint
        self.keys = keys


@dataclass(slots=True)
class Path:
    """One expression: `find` applies it, `keys` are those of a plain path, `read` what it reads."""

    place: str
    expression: str
    find: Callable[[Any], Any]
    read: frozenset[Keys]
    origins: frozenset[Keys]
    """Where the result itself may come from."""
    keys: Keys | None
    scope: str = "record"
    """What it is applied to, as its compiler names it."""
    is_matched: bool = field(default=False)
    """Whether it has found a value in this run."""

    @property
    def reads(self) -> frozenset[Keys]:
        """What is read when the result is taken whole."""
        return self.read | self.origins


def compile_path(expression: str, place: str) -> Path:
    """Return the compiled expression; raise InputError that shows place and position in it."""
    try:
        compiled = jmespath.compile(expression)
    except EmptyExpressionError as error:
        raise InputError(f"{place}: the path is empty", "write a JMESPath expression") from error
    except ParseError as error:
        at = error.lex_position + 1
        raise InputError(
            f"{place}: {expression!r} is no JMESPath expression, see character {at}",
            "names with other characters than letters, digits and _ stand in double quotes",
        ) from error
    except JMESPathError as error:
        raise InputError(
            f"{place}: {expression!r} is no JMESPath expression", "see jmespath.org"
        ) from error
    tree = compiled.parsed
    keys = _plain_keys(tree)
    read: set[Keys] = set()
    origins = _origins(tree, frozenset({()}), read)
    find = _safe(compiled.search, place, expression) if keys is None else _plain(keys)
    return Path(place, expression, find, frozenset(read), _items(origins, ""), keys)


def _plain_keys(node: Mapping[str, Any]) -> Keys | None:
    """Return the keys of `a.b.c`, or None when the expression is more than that."""
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return None
    parts = [_plain_keys(child) for child in node["children"]]
    return None if None in parts else tuple(key for part in parts for key in part or ())


def _plain(keys: Keys) -> Callable[[Any], Any]:
    """Return what JMESPath's own search does for a plain path, several times faster."""
    if len(keys) == 1:
        (key,) = keys
        return lambda value: value.get(key) if type(value) is dict else None

    if len(keys) == 2:
        outer, inner = keys

        def find_two(value: Any) -> Any:
            below = value.get(outer) if type(value) is dict else None
            return below.get(inner) if type(below) is dict else None

        return find_two

    def find(value: Any) -> Any:
        for each in keys:
            if type(value) is not dict:
                return None
            value = value.get(each)
        return value

    return find


def _safe(search: Callable[[Any], Any], place: str, expression: str) -> Callable[[Any], Any]:
    def find(value: Any) -> Any:
        try:
            return search(value)
        except (JMESPathError, TypeError, ValueError) as error:
            # The error's own text quotes values.
            raise MappingError(
                place,
                f"the expression {expression!r} can't be applied: a function got another type",
                "test for it first, for example by not_null(field, '')",
            ) from error.with_traceback(None)

    return find


def _origins(node: Mapping[str, Any], roots: frozenset[Keys], read: set[Keys]) -> frozenset[Keys]:
    """Return where the node's result comes from; what only decides something goes to `read`."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        return frozenset((*root, node["value"]) for root in _items(roots, ""))
    if kind == "index":
        made = [tuple(SOME if k == EACH else k for k in keys) for keys in roots if _is_made(keys)]
        rest = frozenset(keys for keys in roots if not _is_made(keys))
        return _items(frozenset(made), "") | _items(rest, f"[{node['value']}]")
    if kind in ("current", "identity", "slice"):
        return roots
    if kind == "literal":
        return frozenset()
    if kind in ("subexpression", "index_expression", "pipe"):
        for child in children:
            roots = _origins(child, roots, read)
        return roots
    if kind in ("projection", "value_projection", "filter_projection"):
        return _projected(node, roots, read)
    together = frozenset[Keys]().union(*(_origins(child, roots, read) for child in children))
    if kind == "flatten":  # of a list of lists, or of a list that is flat already
        return together | _items(together, "")
    if kind in ("or_expression", "key_val_pair") or node.get("value") in _PASSED_ON:
        return together
    if kind != "expref":
        read |= _items(together, "")
    return frozenset()


def _projected(node: Mapping[str, Any], roots: frozenset[Keys], read: set[Keys]) -> frozenset[Keys]:
    left, right, *condition = node["children"]
    step = {"value_projection": ANY, "filter_projection": SOME}.get(node["type"], EACH)
    elements = _items(_origins(left, roots, read), step)
    for each in condition:
        tested = _items(_origins(left, roots, read), EACH)
        read |= _items(_origins(each, tested, read), "")
    return frozenset((*keys, _MADE_LIST) for keys in _items(_origins(right, elements, read), ""))


def _items(paths: frozenset[Keys], step: str) -> frozenset[Keys]:
    """Return the paths of the elements: a made list's are where it says, others' a step below."""
    return frozenset(
        keys[:-1] if keys[-1:] == (_MADE_LIST,) else (*keys, step) if step else keys
        for keys in paths
    )


def _is_made(keys: Keys) -> bool:
    return keys[-1:] == (_MADE_LIST,)


def unfiltered(expression: str) -> Callable[[Any], Any] | None:
    """Return what finds the elements that the expression's filters skip too; None without any."""
    tree = jmespath.compile(expression).parsed
    whole: Any = _without_filters(tree)
    return None if whole == tree else ParsedResult(expression, whole).search


def _without_filters(node: Mapping[str, Any]) -> dict[str, Any]:
    children = [_without_filters(each) for each in node["children"]]
    if node["type"] == "filter_projection":
        return {"type": "projection", "children": children[:2]}
    return {**node, "children": children}


def is_nothing(value: Any) -> bool:
    """Return whether a JSON value holds no fact: null, empty, or of such alone."""
    if isinstance(value, dict):
        return all(map(is_nothing, value.values()))
    return all(map(is_nothing, value)) if isinstance(value, list) else value is None or value == ""


_NEVER_EMPTY = frozenset({int, float, bool})


class Tree:
    """Paths that are read, as a tree; says what of a value none of them reads."""

    __slots__ = ("children", "is_on_the_way", "is_whole")

    def __init__(self) -> None:
        self.children: dict[str, Tree] = {}
        self.is_whole = False
        self.is_on_the_way = False
        """Whether the turns lie below: then only what is left of an element is kept."""

    @classmethod
    def of(cls, paths: Iterable[Keys], on_the_way: Iterable[Keys] = ()) -> Tree:
        """Return the tree of the paths; `on_the_way` lead to the turns."""
        tree = cls()
        for keys in paths:
            tree._at(keys).is_whole = True
        for keys in on_the_way:
            for end in range(len(keys) + 1):
                tree._at(keys[:end]).is_on_the_way = True
        return tree

    def _at(self, keys: Keys) -> Tree:
        node = self
        for key in keys:
            node = node.children.setdefault(key, Tree())
        return node

    def rest(self, value: Any) -> Any:
        """Return what of the value isn't read, None for nothing; null and empty count as nothing.

        An element of a list is kept whole when a part of it is left, so that the part still shows
        what it belongs to.
        """
        if self.is_whole or value is None:
            return None
        if isinstance(value, dict):
            return self._rest_of_object(value) or None
        if not isinstance(value, list):
            return value
        left = [
            None
            if inner is None and is_nothing(each)
            else each
            if inner is None
            else inner.rest(each)
            for inner, each in zip(self._of_elements(len(value)), value, strict=True)
        ]
        if not any(part is not None for part in left):
            return None
        if any(node.is_on_the_way for node in self.children.values()):
            return left
        return [each for each, part in zip(value, left, strict=True) if part is not None]

    def _of_elements(self, count: int) -> list[Tree | None]:
        """Return what is read of each element of a list."""
        children, each = self.children, self.children.get(EACH)
        if not children or (len(children) == 1 and each is not None):
            return [each] * count
        listed = []
        for index in range(count):
            names = (EACH, f"[{index}]", f"[{index - count}]")
            nodes = [children[name] for name in names if name in children]
            listed.append(Tree.merged(nodes) if len(nodes) > 1 else nodes[0] if nodes else None)
        return listed

    @classmethod
    def merged(cls, nodes: Sequence[Tree]) -> Tree:
        """Return what any of the trees reads."""
        tree = cls()
        tree.is_whole = any(node.is_whole for node in nodes)
        tree.is_on_the_way = any(node.is_on_the_way for node in nodes)
        for key in dict.fromkeys(key for node in nodes for key in node.children):
            tree.children[key] = cls.merged(
                [node.children[key] for node in nodes if key in node.children]
            )
        return tree

    def _rest_of_object(self, value: Mapping[str, Any]) -> dict[str, Any]:
        children, others = self.children, self.children.get(ANY)
        left: dict[str, Any] = {}
        for key, each in value.items():
            inner = children.get(key, others)
            if inner is None:
                if type(each) in _NEVER_EMPTY or not is_nothing(each):
                    left[key] = each
            elif not inner.is_whole and (part := inner.rest(each)) is not None:
                left[key] = part
        return left
