"""Of which format a file is; and where it's of none, the lines of a mapping that might fit it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ingest.domain.faults import HIDDEN_KEY, json_pointer
from ingest.errors import InputError
from ingest.formats.engine import Engine
from ingest.formats.mapping_files import bundled_names, load_bundled
from ingest.formats.reading import SUFFIXES, How, Record, load_json, read_bytes, records_of

_TEXT = (
    "text",
    "content",
    "transcript",
    "message",
    "utterance",
    "sentence",
    "body",
    "words",
    "said",
    "say",
)
_SPEAKER = (
    "role",
    "speaker",
    "participant",
    "purpose",
    "channel",
    "party",
    "author",
    "sender",
    "who",
)
_START = ("start", "begin", "offset", "timestamp", "time", "ts", "at", "t", "sec")
_END = ("end", "stop", "until")
_ID = ("conversationid", "callid", "contactid", "interactionid", "sessionid", "sid", "uuid", "id")
_OURS: Mapping[str, Sequence[str]] = {
    "started_at": ("startedat", "starttime", "starttimestamp", "calltimestamp", "begin", "start"),
    "ended_at": ("endedat", "endtime", "endtimestamp", "end"),
    "duration_sec": ("durationsec", "duration"),
    "language_code": ("languagecode", "language", "locale"),
    **{
        name: (name.replace("_", ""),)
        for name in ("direction", "queue", "agent_id", "agent_name", "agent_team", "agent_site")
    },
    "business_line": ("businessline", "lineofbusiness", "lob"),
    "call_outcome": ("calloutcome", "outcome", "disposition", "result"),
    "call_reason": ("callreason", "contactreason", "reasonforcall", "reason"),
    "campaign_id": ("campaignid", "campaign"),
}
"""Names that others give to our fields, without blanks and signs."""
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEEPEST, _LOOKED_AT = 6, 20
_EPOCHS = (
    (1e14, "time: epoch_us"),
    (1e11, "time: epoch_ms"),
    (1e9, "time: epoch_s"),
)


@cache
def _bundled(name: str) -> Engine:
    return Engine(load_bundled(name))


def fitting(record: Any, reads: str) -> list[str]:
    """Return the bundled formats that the record is of."""
    return [
        name
        for name in bundled_names()
        if (engine := _bundled(name)).mapping.reads == reads
        and engine.mapping.when
        and engine.takes(record)
        and any(reader.items(record) for reader in engine.turns)
    ]


def reads_of(path: Path) -> list[str]:
    """Return the kinds of file that the name's ending fits."""
    return [
        reads
        for reads, suffixes in SUFFIXES.items()
        if path.suffix.lower() in suffixes and reads != "folder"
    ]


def first_record(path: Path, reads: str) -> Any:
    """Return the first record of a file, read without a mapping; raise InputError."""
    for record in records_of(How(reads), {path.name: read_bytes(path)}):
        if isinstance(record, Record):
            return record.value
    raise InputError("the file holds no record", "export it again")


def cure_for(record: Any, reads: str, name: str = "") -> str:
    """Return what would read the record: a format that comes with this, or lines of a mapping."""
    found = [each for each in fitting(record, reads) if each != name]
    if found:
        return f"it looks like {found[0]}: --from {found[0]}"
    lines = proposal(record, reads)
    if not lines:
        return "it holds no list of utterances; `ingest data map` lists the formats"
    return "put this into a mapping.yaml and correct it:\n" + "\n".join(lines)


def cure_of_folder(contents: Mapping[str, bytes]) -> str:
    """Return how a conversation folder that isn't ours can be read, given its files by stem."""
    try:
        record = {stem: load_json(content) for stem, content in contents.items()}
    except InputError:
        return ""
    found = fitting(record, "folder")
    return f"they look like {found[0]}: ingest data convert --from {found[0]}" if found else ""


def cure_without_mapping(sources: Sequence[Path]) -> str:
    """Return what would read the first of the sources that can be read."""
    for path in _files(sources):
        for reads in reads_of(path):
            try:
                found = fitting(first_record(path, reads), reads)
            except InputError:
                continue
            if found:
                return f"{path.name}: it looks like {found[0]}: --from {found[0]}"
            return f"`ingest data map --explain {path.name}` proposes a mapping"
    return "name a format with --from or a mapping with --mapping; `ingest data map` lists formats"


def cure_of_source(source: Path) -> str:
    """Return how a file, or a folder of files, can be pushed as it is; empty where nothing reads
    the first of them. Folders below aren't looked into: they may hold a whole machine."""
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    for path in filter(Path.is_file, files):
        for reads in reads_of(path):
            try:
                found = fitting(first_record(path, reads), reads)
            except InputError:
                continue
            if found:
                lines = f"`mapping: 1` and `extends: {found[0]}`"
                return f"{path.name} looks like {found[0]}: write {lines} to mapping.yaml beside it"
            return f"`ingest data map --explain {path.name}` proposes a mapping.yaml"
    return ""


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        yield from sorted(source.rglob("*")) if source.is_dir() else [source]


def proposal(record: Any, reads: str = "json") -> list[str]:
    """Return lines of a mapping, guessed from the names of fields; empty without a list of
    utterances. No value of the record is shown."""
    lists = sorted(_lists(record, "", 0), key=lambda found: -_score(found[1]))
    if not lists or _score(lists[0][1]) == 0:
        return []
    path, items = lists[0]
    keys = list(dict.fromkeys(key for item in items[:_LOOKED_AT] for key in item))
    lines = ["mapping: 1"] + ([f"reads: {reads}"] if reads != "json" else [])
    fields = list(_fields(record if isinstance(record, dict) else {}))
    lines += ["conversation:", *fields] if fields else []
    lines += ["turns:", f"  from: {_yaml(path or '@')}"]
    text = _text_key(items, keys)
    speaker = _named(dict.fromkeys(keys), _SPEAKER) or _of_few(items, keys, text)
    lines.append(
        f"  speaker: {{path: {_quoted(speaker or 'WHO')}, map: {{THEIR_AGENT: AGENT, "
        "THEIR_CUSTOMER: CUSTOMER}, otherwise: AUTOMATED_AGENT}"
    )
    for ours, hints in (("start", _START), ("end", _END)):
        left = [key for key in keys if key not in (text, speaker)]
        key = _named(dict.fromkeys(left), hints)
        key = key or (_growing(items, left) if ours == "start" else None)
        if key:
            lines.append(f"  {ours}: {{path: {_quoted(key)}{_form(items, key)}}}")
    return [*lines, f"  text: {_quoted(text or 'TEXT')}"]


def _fields(record: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each field of ours that a name of the record surely means."""
    source_id = _named(record, _ID)
    if source_id:
        yield f"  source_id: {_quoted(source_id)}"
    plain = {re.sub(r"[^a-z0-9]", "", key.lower()): key for key in record}
    for name, hints in _OURS.items():
        key = next((plain[hint] for hint in hints if hint in plain), None)
        if key is None or isinstance(record[key], (dict, list)) or record[key] is None:
            continue
        yield f"  {name}: {_with_form(name, key, record[key])}"


def _with_form(name: str, key: str, value: Any) -> str:
    """Return the path with the verb that a time needs: a wall time has no zone of its own."""
    if not name.endswith(("_at", "_sec")):
        return _quoted(key)
    form = _form([{key: value}], key)
    if "iso" in form and not re.search(r"(Z|[+-]\d\d:?\d\d)$", str(value)):
        form += ", zone: AREA/CITY"
    return f"{{path: {_quoted(key)}{form}}}"


def _lists(value: Any, path: str, depth: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield every list of objects with its JMESPath."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for key, each in value.items():
            at = _quoted(key)
            yield from _lists(each, f"{path}.{at}" if path else at, depth + 1)
    elif isinstance(value, list):
        objects = [each for each in value if isinstance(each, dict)]
        if objects:
            yield path, objects
            inner = [key for key, each in objects[0].items() if isinstance(each, list)]
            for key in inner:
                lists = [each[key] for each in objects if isinstance(each.get(key), list)]
                below = [part for each in lists for part in each]
                yield from _lists(below, f"{path}[].{_quoted(key)}[]", depth + 1)


def _score(items: list[dict[str, Any]]) -> int:
    """Return how much the objects look like utterances; 0 for not at all."""
    keys = dict.fromkeys(items[0])
    text = _text_key(items, list(keys))
    if text is None:
        return 0
    longest = max((len(str(item.get(text) or "")) for item in items[:_LOOKED_AT]), default=0)
    return 1 + 2 * bool(_named(keys, _SPEAKER)) + bool(_named(keys, _START)) + (longest > 12)


def _text_key(items: list[dict[str, Any]], keys: list[str]) -> str | None:
    texts = {
        key: None
        for key in keys
        if any(isinstance(item.get(key), str) for item in items[:_LOOKED_AT])
    }
    return _named(texts, _TEXT) or _wordy(items, texts)


def _of_few(items: list[dict[str, Any]], keys: list[str], text: str | None) -> str | None:
    """Return the key whose short texts are the fewest: so those who speak are told apart."""
    looked_at = items[:_LOOKED_AT]
    seen = {
        key: {item.get(key) for item in looked_at}
        for key in keys
        if key != text and all(isinstance(item.get(key), str) for item in looked_at)
    }
    return min(seen, key=lambda key: len(seen[key]), default=None)


def _growing(items: list[dict[str, Any]], keys: list[str]) -> str | None:
    """Return the first key whose numbers never go back."""
    for key in keys:
        values = [item.get(key) for item in items[:_LOOKED_AT]]
        numbers = [each for each in values if isinstance(each, int | float)]
        if len(numbers) == len(values) and numbers == sorted(numbers) and len(set(numbers)) > 1:
            return key
    return None


def _wordy(items: list[dict[str, Any]], keys: Iterable[str]) -> str | None:
    """Return the key whose texts have the most words, where that's two or more on average."""
    looked_at = items[:_LOOKED_AT]
    words = {key: sum(len(str(item.get(key) or "").split()) for item in looked_at) for key in keys}
    best = max(words, key=lambda key: words[key], default=None)
    return best if best is not None and words[best] >= 2 * len(looked_at) else None


def _named(keys: dict[str, Any], hints: Sequence[str]) -> str | None:
    """Return the key whose name fits the earliest hint: equal before containing; a short hint
    at either end, since sentiment is no time."""
    plain = {key: re.sub(r"[^a-z0-9]", "", key.lower()) for key in keys}
    for hint in hints:
        for key, name in plain.items():
            if name == hint:
                return key
    for hint in hints:
        for key, name in plain.items():
            is_in = hint in name[1:-1] and len(hint) > 4
            if len(hint) > 2 and (is_in or name.startswith(hint) or name.endswith(hint)):
                return key
    return None


def _form(items: list[dict[str, Any]], key: str) -> str:
    """Return the verb that the values of a time need."""
    values = [item[key] for item in items[:_LOOKED_AT] if item.get(key) is not None]
    if not values:
        return ""
    last = values[-1]
    try:
        number = float(last)
    except (TypeError, ValueError):
        text = str(last)
        return ", time: iso" if re.match(r"\d{4}-\d\d-\d\d", text) else ", unit: duration"
    for least, form in _EPOCHS:
        if number > least:
            return f", {form}"
    apart = number / max(1, len(values) - 1)
    return f", unit: {'us' if apart > 100_000 else 'ms' if apart > 100 else 's'}"


def _quoted(name: str) -> str:
    """Return the key as JMESPath writes it; hidden where it may be somebody's name or number."""
    if json_pointer(name) == f"/{HIDDEN_KEY}":
        name = HIDDEN_KEY
    return name if _PLAIN_NAME.fullmatch(name) else f"'\"{name}\"'"


def _yaml(path: str) -> str:
    return f"'{path.replace(chr(39), '')}'" if re.search(r"[^A-Za-z0-9_.]", path) else path
