"""Which fields the emulator ever sets, and what shows it: made from the contract's cases.

While a case of `tests/contract/insights` runs over gRPC, the fields that are set in replies are
kept with what the case rests on: observed, documented or assumed. `fidelity.json` beside the cases
has them by file, `ingest/emulator/FIDELITY.md` shows them by message. Both are written by

    INSIGHTS_CONTRACT_FIDELITY=write pytest tests/contract/insights
    python -m tests.fidelity
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.cloud.contact_center_insights_v1 import types
from google.protobuf import message_factory, symbol_database

from ingest.emulator import protos
from ingest.emulator.methods import ALL_METHODS, OPERATION_KINDS

TABLE = Path(__file__).parent / "contract" / "insights" / "fidelity.json"
PAGE = Path(protos.__file__).with_name("FIDELITY.md")
STRENGTHS = ("assumed", "documented", "observed")
"""What a case may rest on, the weakest first."""
Evidence = dict[str, dict[str, str]]
"""The strongest evidence of each field, by message."""
_ANY = protos.Any_.DESCRIPTOR.full_name
_HEAD = """# What the emulator sets

Made from the contract suite by `tests/fidelity.py`. A field counts as set when a reply to one of
the suite's cases has it with another value than its default. The evidence is that of the case, the
strongest if there are several: **observed** at the real service, **documented** in Google's client
or pages, **assumed**. A case may show more fields than it is about, so this is no proof of each of
them. Messages are those that replies, operations' results and their metadata can hold.

"""


def strongest(*kinds: str) -> str:
    """Return the strongest of these kinds of evidence."""
    return max(kinds, key=STRENGTHS.index)


def note(message: protos.Pb, kind: str, found: Evidence) -> None:
    """Add every field that is set in a message, and in the messages in it."""
    descriptor = message.DESCRIPTOR
    if descriptor.full_name == _ANY:
        known = symbol_database.Default().pool.FindMessageTypeByName(message.TypeName())
        note(message_factory.GetMessageClass(known).FromString(message.value), kind, found)
        return
    for field, value in message.ListFields():
        if descriptor.full_name.startswith(f"{protos.PACKAGE}."):
            kinds = found.setdefault(descriptor.full_name.removeprefix(f"{protos.PACKAGE}."), {})
            kinds[field.name] = strongest(kind, kinds.get(field.name, kind))
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            is_plain = field.message_type.fields_by_name["value"].message_type is None
            each = () if is_plain else value.values()
        else:
            each = value if field.is_repeated else (value,)
        for inner in each:
            note(inner, kind, found)


class Recorder(grpc.UnaryUnaryClientInterceptor):
    """Notes the replies of a client's calls."""

    def __init__(self, kind: str, found: Evidence) -> None:
        self._kind = kind
        self._found = found

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        """Let the call happen; a refused one is the caller's."""
        call = continuation(details, request)
        if call.code() is grpc.StatusCode.OK:
            reply = call.result()
            note(getattr(type(reply), "pb", lambda plain: plain)(reply), self._kind, self._found)
        return call


def read_table() -> dict[str, Evidence]:
    """Return the evidence by file of cases."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    return {
        file: {
            message: {field: kind for kind, fields in kinds.items() for field in fields.split()}
            for message, kinds in found.items()
        }
        for file, found in table.items()
    }


def write_file(name: str, found: Evidence) -> None:
    """Keep the evidence of one file of cases, a message a line."""
    table = {**(read_table() if TABLE.exists() else {}), name: found}
    files = [
        f"{json.dumps(file)}: {{\n"
        + ",\n".join(
            f"  {json.dumps(each)}: {_line(table[file][each])}" for each in sorted(table[file])
        )
        + "\n}"
        for file in sorted(table)
    ]
    TABLE.write_text("{\n" + ",\n".join(files) + "\n}\n", encoding="utf-8")


def _line(kinds: dict[str, str]) -> str:
    by_kind: dict[str, list[str]] = {}
    for field in sorted(kinds):
        by_kind.setdefault(kinds[field], []).append(field)
    return json.dumps({kind: " ".join(fields) for kind, fields in by_kind.items()}, sort_keys=True)


def messages() -> dict[str, list[str]]:
    """Return the fields of every message that a reply or an operation can hold."""
    package = types.Conversation.pb().DESCRIPTOR.file.pool
    names = {m.response for m in ALL_METHODS}
    for kind in OPERATION_KINDS:
        parts = ("Metadata", "OperationMetadata", "Response")
        names |= {f"{protos.PACKAGE}.{kind}{part}" for part in parts if hasattr(types, kind + part)}
    found: dict[str, list[str]] = {}
    for name in names:
        for descriptor in _inside(package.FindMessageTypeByName(name), set()):
            own = descriptor.full_name.removeprefix(f"{protos.PACKAGE}.")
            found[own] = [field.name for field in descriptor.fields]
    return found


def _inside(descriptor: Any, seen: set[str]) -> Iterator[Any]:
    """Yield a message of the service and those in it, each once."""
    if descriptor.full_name in seen or not descriptor.full_name.startswith(protos.PACKAGE):
        return
    seen.add(descriptor.full_name)
    if not descriptor.GetOptions().map_entry:
        yield descriptor
    for field in descriptor.fields:
        if field.message_type is not None:
            yield from _inside(field.message_type, seen)


def page(table: Mapping[str, Evidence], known: Mapping[str, list[str]]) -> str:
    """Return the page: a row for each message, the least complete first."""
    evidence: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for found in table.values():
        for message, kinds in found.items():
            for field, kind in kinds.items():
                own = evidence[message]
                own[field] = strongest(kind, own.get(field, kind))
    ranked = sorted(
        ((name, fields, evidence[name]) for name, fields in known.items() if fields),
        key=lambda row: (len(row[2]) / len(row[1]), row[0]),
    )
    every = sum(len(fields) for _, fields, _ in ranked)
    total = sum(len(kinds) for _, _, kinds in ranked)
    lines = [
        f"{len(ranked)} messages, {every} fields, {total} of them set ({100 * total // every} %): "
        + ", ".join(f"{_count(ranked, kind)} {kind}" for kind in reversed(STRENGTHS))
        + ".",
        "",
        "| message | set | observed | documented | assumed | never set |",
        "|---|---|---|---|---|---|",
    ]
    for name, fields, kinds in ranked:
        counts = [list(kinds.values()).count(kind) or "" for kind in reversed(STRENGTHS)]
        never = ", ".join(field for field in fields if field not in kinds)
        cells = (name, f"{len(kinds)} of {len(fields)}", *counts, never)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return _HEAD + "\n".join(lines) + "\n"


def _count(rows: list[tuple[str, list[str], dict[str, str]]], kind: str) -> int:
    return sum(list(kinds.values()).count(kind) for _, _, kinds in rows)


if __name__ == "__main__":
    PAGE.write_text(page(read_table(), messages()), encoding="utf-8")
