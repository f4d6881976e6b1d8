"""Which JSON paths of a payload a staging model opens, read off its SQL."""

from __future__ import annotations

import re

MAPS = ("labels", "entities", "intents", "phraseMatchers", "textSections")
"""Fields whose keys are data; `*` stands for any of them, as in seeds/ci_read_paths.csv."""
_OPENING = re.compile(r"\b(?:json_(?:value|query|extract)\w*|(?:parse|to)_json\w*)\(")
_OPENED = re.compile(
    r"\bjson_(?:value|query|query_array)\("
    r"\s*([\w.]+(?:\[\w+\])?)\s*(?:,\s*'\$([^']*)'\s*)?\)"
)
_NAMED = re.compile(_OPENED.pattern + r"\s+as\s+(\w+)")
_ELEMENT = re.compile(r"\bunnest\(\s*(?:json_query_array\()?(?:\w+\.)?(\w+)\)?\s*\)\s+as\s+(\w+)")
_ELEMENT_OF_PATH = re.compile(
    r"\bunnest\(\s*json_query_array\((?:\w+\.)?(\w+),\s*'\$([^']*)'\)\s*\)\s+as\s+(\w+)"
)
_MEMBER = re.compile(r"(?:\w+\.)?(\w+)\[\w+\]\s+as\s+(\w+)")


_POINTS = re.compile(r"\{\{ points_of\('(\w+)'(?:, '([\w.]+)')?\) \}\}")


def opened_paths(sql: str) -> set[str]:
    """Return the paths that the SQL opens, but for those that it opens only to reach under them.

    A column named like a path's alias is that path all through the model; an element of an array
    ends in `[]`, whichever is read. ValueError where a part of the SQL opens JSON in another way
    than json_value, json_query and json_query_array by a literal path do.
    """
    sql = _POINTS.sub(_points, sql)
    if len(_OPENING.findall(sql)) != len(_OPENED.findall(sql)):
        raise ValueError("JSON is opened by a function or a path that can't be read off the SQL")
    named = {"payload": ""}
    for _ in range(len(_NAMED.findall(sql)) + len(_ELEMENT_OF_PATH.findall(sql))):
        for base, path, name in _NAMED.findall(sql):
            if _root(base) in named and name not in named:
                named[name] = _joined(named, base, path)
        for base, path, name in _ELEMENT_OF_PATH.findall(sql):
            if base in named and name not in named:
                named[name] = f"{_joined(named, base, path)}[]"
        for pattern, suffix in ((_ELEMENT, "[]"), (_MEMBER, ".*")):
            for base, name in pattern.findall(sql):
                if base in named and name not in named:
                    named[name] = named[base] + suffix
    if unknown := {_root(base) for base, _ in _OPENED.findall(sql)} - named.keys():
        raise ValueError(f"no path is known of {', '.join(sorted(unknown))}")
    paths = {_joined(named, base, path) for base, path in _OPENED.findall(sql)}
    return {path for path in paths if not any(_is_under(other, path) for other in paths)}


def _points(call: re.Match[str]) -> str:
    """Return the reads that the macro `points_of` stands for."""
    names = ("score", "potentialScore", "normalizedScore")
    return ", ".join(f"json_value({call[1]}, '$.{call[2] or ''}{name}')" for name in names)


def _root(base: str) -> str:
    return base.split("[")[0].rsplit(".", 1)[-1]


def _joined(named: dict[str, str], base: str, path: str) -> str:
    member = ".*" if "[" in base else ""
    whole = (named[_root(base)] + member + re.sub(r"\[\d+\]", "[]", path)).lstrip(".")
    return re.sub(rf"(^|\.)({'|'.join(MAPS)})\.[^.]+", r"\1\2.*", whole)


def _is_under(path: str, container: str) -> bool:
    return path.startswith((f"{container}.", f"{container}[]"))
